"""What one worker process does: one classifier, one start or one point, from the files of the run to the files of the run."""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from safetensors.torch import load_file, save
from torch import nn

from foveal.digits.codec import DigitCodec, save_networks
from foveal.digits.data import Digits, read_digits
from foveal.digits.label_code import LabelCode, label_code
from foveal.digits.measure import Measured, Row, measure, row_of, save_measured
from foveal.digits.model import DigitModel
from foveal.digits.networks import frozen_classifier, held_out_classifier
from foveal.digits.plan import Folder, Point
from foveal.digits.recipe import CodecSizes, Recipe
from foveal.digits.training import surprise_and_errors, tables_of, train_classifier, train_point, train_start
from foveal.errors import RecipeError
from foveal.media.output import write_whole

FROZEN: Final = "frozen"
HELD_OUT: Final = "held-out"
_NETS: Final = {FROZEN: frozen_classifier, HELD_OUT: held_out_classifier}


@dataclass(frozen=True)
class Task:
    """What to do: ``frozen``, ``held-out``, the start of a seed (an int), or a point."""

    recipe: Recipe
    data: Path
    folder: Folder
    what: str | int | Point


def do(task: Task) -> str:
    """Does one task in this process, on one thread, and says in a few words what came of it.

    Raises:
        RecipeError: a classifier is not as good as the recipe asks. InputError: the digits cannot be read or a file not be written.
    """
    torch.set_num_threads(1)
    digits = _digits(task.data)
    if isinstance(task.what, str):
        return _classifier(task, task.what, digits)
    if isinstance(task.what, int):
        model = train_start(task.recipe, digits, task.what)
        write_whole(task.folder.start(task.what), save(model.state_dict()))
        return f"start of seed {task.what}"
    row = _point(task, task.what, digits)
    errors = f"errors {row.frozen_percent:.1f} % and {row.held_out_percent:.1f} %"
    return f"{task.what.name}: {row.rate_bits:.1f} bits, MSE {row.mse:.0f}, {errors}"


def classifier(folder: Folder, name: str) -> nn.Module:
    """A trained classifier of the run."""
    net = _NETS[name]()
    net.load_state_dict(load_file(folder.classifier(name)))
    return net.eval().requires_grad_(False)


def _classifier(task: Task, name: str, digits: Digits) -> str:
    how, number = (task.recipe.frozen, 1) if name == FROZEN else (task.recipe.held_out, 2)
    torch.manual_seed(number)
    net = _NETS[name]()
    train_classifier(net, digits, how, number)
    accuracy = 100 * (1 - float(surprise_and_errors(net, digits.test_images, digits.test_labels)[1].mean()))
    if accuracy < task.recipe.least_accuracy:
        raise RecipeError(
            f"the {name} classifier is right on {accuracy:.2f} % of the test digits, {task.recipe.least_accuracy:g} are asked for; "
            f"give [{name.replace('-', '_')}] more steps, or lower least_accuracy, and name another --out"
        )
    write_whole(task.folder.classifier(name), save(net.state_dict()))
    return f"{name} classifier: {accuracy:.2f} %"


def _point(task: Task, point: Point, digits: Digits) -> Row:
    begun = time.perf_counter()
    frozen, held_out = (classifier(task.folder, name) for name in (FROZEN, HELD_OUT))
    start = DigitModel(CodecSizes(task.recipe.codec.latents, task.recipe.codec.channels, 1))
    start.load_state_dict(load_file(task.folder.start(point.seed)))
    model = train_point(task.recipe, digits, point, start, frozen)
    networks = save_networks(task.folder.weights(point), model, tables_of(model, digits))
    trained = time.perf_counter()
    trip = measure(DigitCodec(networks), digits, frozen, held_out)
    row = row_of(
        point,
        trip.digits,
        longest_bytes=trip.longest_bytes,
        clusters=trip.clusters,
        checked=trip.checked,
        differ=trip.differ,
        weights=networks.id,
        train_s=round(trained - begun, 2),
        measure_s=round(time.perf_counter() - trained, 2),
    )
    save_measured(task.folder, Measured(row, trip.digits))
    return row


@functools.lru_cache(maxsize=1)
def _digits(path: Path) -> Digits:
    return read_digits(path)


def errors_on_originals(folder: Folder, data: Path) -> dict[str, float]:
    """What percent of the test digits as they are each classifier gets wrong."""
    digits = _digits(data)
    return {
        name: 100 * float(surprise_and_errors(classifier(folder, name), digits.test_images, digits.test_labels)[1].mean())
        for name in (FROZEN, HELD_OUT)
    }


def label_code_of(folder: Folder, data: Path) -> LabelCode:
    """What a code that names the frozen classifier's answer does to the test digits."""
    return label_code(_digits(data), classifier(folder, FROZEN), classifier(folder, HELD_OUT))
