"""Models of transformers: the network, and a record made of what stands beside it.

The picture is prepared by foveal's own ``prepare``, with the numbers of the model's ``preprocessor_config.json``: the processors of
transformers want torchvision.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from foveal.errors import MissingDependencyError, NetworkError
from foveal.tasks.decode_boxes import PlainBoxes
from foveal.tasks.decode_maps import ClassLogits
from foveal.tasks.decode_scores import Scores
from foveal.tasks.forms import Form
from foveal.tasks.input import InputRecord
from foveal.tasks.networks.base import Network
from foveal.tasks.networks.torch_module import TorchNetwork
from foveal.tasks.record import Record
from foveal.tasks.vocabulary import Vocabulary

if TYPE_CHECKING:
    from torch import nn

_PREPARATION: Final = "preprocessor_config.json"
_PATIENCE_S: Final = 5.0  # for the hub's first answer
_FILTERS: Final = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")  # by Pillow's numbers
_SOFTMAX: Final = ("detr", "yolos", "table-transformer")  # the last class is nothing; the other detectors have a sigmoid for each


@dataclass(frozen=True)
class _Kind:
    """What the end of an architecture's name means. outputs: those that are read, in this order."""

    ending: str
    task: str
    loader: str
    outputs: tuple[str, ...] = ("logits",)


_KINDS: Final = (
    _Kind("ForImageClassification", "classify", "AutoModelForImageClassification"),
    _Kind("ForObjectDetection", "detect", "AutoModelForObjectDetection", ("pred_boxes", "logits")),
    _Kind("ForSemanticSegmentation", "segment", "AutoModelForSemanticSegmentation"),
)


def load_hf(name: str, record: Record | None, threads: int | None) -> tuple[Network, Record]:
    """The model in a folder, or of a name on the hub, and its record unless one is given. Without a connection the copy in the hub's
    cache is taken.

    Raises:
        NetworkError: it cannot be reached or loaded, answers no task of foveal, or does not say how its pictures are prepared.
        MissingDependencyError: transformers has to be installed.
    """
    try:
        transformers: Any = importlib.import_module("transformers")
    except ImportError as error:
        raise MissingDependencyError("hf: networks need transformers: pip install 'foveal[hf]'") from error
    unreached = None if Path(name).is_dir() else _why_unreached()
    cached = unreached is not None
    try:
        config: Any = transformers.AutoConfig.from_pretrained(name, local_files_only=cached)
    except Exception as error:
        raise _not_loaded(name, "cannot read its config", error, unreached) from error
    kind = _kind_of(config, name)
    try:
        with _no_progress_bar():
            model: Any = getattr(transformers, kind.loader).from_pretrained(name, local_files_only=cached).float()
    except Exception as error:
        raise _not_loaded(name, f"{kind.loader} cannot load it: {type(error).__name__}", error, unreached) from error
    found = record or Record(
        kind.task, _classes(config, name), _input(name, cached), _output(kind, config), source=f"transformers, {name}"
    )
    return TorchNetwork(_chosen_outputs(model, kind), threads, f"hf:{name}"), found


def _why_unreached() -> str | None:
    """Why the hub does not answer; None if it does. One question first, because its own library repeats each for half a minute."""
    constants, utils = (importlib.import_module(f"huggingface_hub.{part}") for part in ("constants", "utils"))
    try:
        utils.get_session().head(constants.ENDPOINT, timeout=_PATIENCE_S)
    except Exception as error:
        return f"{constants.ENDPOINT} cannot be reached ({str(error).strip(' .') or type(error).__name__})"
    return None


def _not_loaded(name: str, what: str, error: Exception, unreached: str | None) -> NetworkError:
    if unreached is None or not isinstance(error, OSError):  # OSError: a file that is missing
        return NetworkError(f"hf:{name}: {what}: {error}")
    return NetworkError(
        f"hf:{name}: {unreached}, and there is neither a folder of that name nor a whole copy in the hub's cache; connect to the internet, or name a folder that holds the model"
    )


@contextmanager
def _no_progress_bar() -> Generator[None]:
    logging: Any = importlib.import_module("transformers.utils.logging")
    enabled: bool = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if enabled:
            logging.enable_progress_bar()


def _kind_of(config: Any, name: str) -> _Kind:
    architectures = cast("list[str]", getattr(config, "architectures", None) or [])
    for kind in _KINDS:
        if any(known.endswith(kind.ending) for known in architectures):
            return kind
    raise NetworkError(
        f"hf:{name} is {', '.join(architectures) or 'of no architecture'}; {', '.join('…' + kind.ending for kind in _KINDS)} can be read"
    )


def _chosen_outputs(model: nn.Module, kind: _Kind) -> nn.Module:
    from torch import nn

    class Chosen(nn.Module):
        """The model with positional input and the outputs that are read, and no others."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, pixels: Any) -> tuple[Any, ...]:
            answer: Any = self.model(pixel_values=pixels)
            return tuple(answer[output] for output in kind.outputs)

    return Chosen()


def _classes(config: Any, name: str) -> Vocabulary:
    known = {int(number): str(text) for number, text in dict(config.id2label).items()}
    if sorted(known) != list(range(len(known))):
        raise NetworkError(f"hf:{name}: id2label numbers its {len(known)} classes otherwise than from 0 on; give a record")
    names = tuple(known[number] for number in range(len(known)))
    return Vocabulary(name, names, next((number for number, text in enumerate(names) if text == "background"), None))


def _output(kind: _Kind, config: Any) -> Form:
    if kind.task == "classify":
        return Scores(logits=True)
    if kind.task == "segment":
        return ClassLogits()
    softmax = config.model_type in _SOFTMAX
    return PlainBoxes(
        boxes=0,
        labels=-1,
        scores=1,
        coordinates="cxcywh",
        normalised=True,
        activation="softmax" if softmax else "sigmoid",
        background=len(config.id2label) if softmax else -1,
        one_class=softmax,
        iou=1.0,  # these detectors are trained to say each object once
    )


def _input(name: str, cached: bool) -> InputRecord:
    """What ``preprocessor_config.json`` asks for. cached: take it from the hub's cache alone."""
    hub: Any = importlib.import_module("transformers.utils")
    try:
        path = hub.cached_file(name, _PREPARATION, local_files_only=cached)
        values = cast("dict[str, Any]", json.loads(Path(path).read_text(encoding="utf-8")))
    except Exception as error:
        raise NetworkError(
            f"hf:{name}: no {_PREPARATION} that can be read, which says how pictures are prepared; give a record ({error})"
        ) from error
    try:
        return input_of(values)
    except (NetworkError, KeyError, TypeError, ValueError, IndexError) as error:
        raise NetworkError(f"hf:{name}: {_PREPARATION} asks for what foveal does not do ({error}); give a record") from error


def input_of(values: dict[str, Any]) -> InputRecord:
    """The ``[input]`` that the keys of a ``preprocessor_config.json`` amount to.

    Raises:
        NetworkError: it does not resize, or to a size of another kind. KeyError, TypeError, ValueError: values of other types.
    """
    if not values.get("do_resize", True):
        raise NetworkError("do_resize is false: which sizes it takes is not said")
    normalised = values.get("do_normalize", "image_mean" in values)
    return InputRecord(
        **_size(values),
        filter=_FILTERS[int(values.get("resample", 2))],
        range=255 * float(values.get("rescale_factor", 1 / 255)) if values.get("do_rescale", True) else 255.0,
        mean=_three(values["image_mean"]) if normalised else (0.0, 0.0, 0.0),
        std=_three(values["image_std"]) if normalised else (1.0, 1.0, 1.0),
        channels="bgr" if values.get("do_flip_channel_order", False) else "rgb",
    )


def _size(values: dict[str, Any]) -> dict[str, Any]:
    size, crop = values["size"], values.get("crop_size")
    cropped = values.get("do_center_crop", False)
    short = size if isinstance(size, int) else size.get("shortest_edge")
    if short and "crop_pct" in values:  # the rule of ConvNeXT, and of the ResNets
        if short >= 384:
            return {"width": short, "height": short}
        return {"fit": "crop", "short_side": int(short / values["crop_pct"]), "width": short, "height": short}
    if cropped and short and crop:
        width, height = (crop, crop) if isinstance(crop, int) else (crop["width"], crop["height"])
        return {"fit": "crop", "short_side": short, "width": width, "height": height}
    if isinstance(size, int):
        return {"width": size, "height": size}
    if cropped:
        raise NetworkError(f"a centre crop after a size of {size}")
    if "height" in size and "width" in size:
        return {"width": size["width"], "height": size["height"]}
    if short:
        return {"fit": "scale", "short_side": short, "long_side": size.get("longest_edge") or 16384}
    raise NetworkError(f"size {size}")


def _three(numbers: Any) -> tuple[float, float, float]:
    red, green, blue = (float(number) for number in numbers)
    return red, green, blue
