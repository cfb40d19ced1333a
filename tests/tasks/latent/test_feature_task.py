"""Third-party networks fed from latents: results in pixels of the picture, of any size, and what does not fit is named."""

from __future__ import annotations

import dataclasses
import gc
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from foveal.errors import NetworkError, RecipeError
from foveal.tasks.input import place_of
from foveal.tasks.latent import feature_task
from foveal.tasks.latent.cuts import Cut
from foveal.tasks.latent.feature_head import FeatureHead
from foveal.tasks.latent.feature_task import LatentFeatureTask, open_head
from foveal.tasks.latent.network import LatentConfig, LatentNetwork
from foveal.tasks.latent.running import LatentTask
from foveal.tasks.latent.tensor_heads import CorrectedHead
from foveal.tasks.record import shipped_record
from foveal.tasks.residual import fold, ready
from foveal.tasks.results import Boxes, ClassScores
from latent_networks import CLASSIFIER, DETECTOR, FED, SIZES, card, latents


@pytest.fixture
def network(tiny_cuts: dict[str, Cut]) -> LatentNetwork:
    torch.manual_seed(2)
    return LatentNetwork(LatentConfig(**FED)).eval()


def test_a_classifier_and_a_detector_answer(network: LatentNetwork, fed_networks: Path) -> None:
    for part in network.feature_head(DETECTOR).parts:
        torch.nn.init.normal_(part.leave.weight)  # type: ignore[arg-type]
    network.feature_head(DETECTOR).measured([torch.zeros(4)] * 3, [torch.full((4,), 20.0)] * 3)  # so that some cells are sure
    for width, height in ((250, 180), (70, 400)):
        source = latents(width, height)
        classifier = LatentFeatureTask(network, card(), CLASSIFIER, fed_networks / f"{CLASSIFIER}.onnx", threads=1)
        result = classifier.analyze(source)
        assert isinstance(result, ClassScores)
        assert result.scores.shape == (1000,)
        assert classifier.scoring.name == "classify"
        assert classifier.label == f"latent:tiny:{CLASSIFIER}"
        detector = LatentFeatureTask(network, card(), DETECTOR, fed_networks / f"{DETECTOR}.onnx", threads=1)
        found = detector.analyze(source)
        assert isinstance(found, Boxes)
        assert len(found.scores)
        assert (found.corners[:, 2:] <= (width, height)).all()
        assert detector.identity != classifier.identity


def test_tensors_that_are_the_front_s_give_the_network_s_own_answer(
    network: LatentNetwork, fed_networks: Path, monkeypatch: pytest.MonkeyPatch, photo: Any
) -> None:
    """A head that is perfect, in spreads, brings the network's own boxes."""
    from foveal.tasks.latent.onnx_parts import open_front
    from foveal.tasks.opening import open_task

    file, head = fed_networks / f"{DETECTOR}.onnx", network.feature_head(DETECTOR)
    own = open_task(f"onnx:{file}", threads=1)
    tensors = [torch.from_numpy(maps) for maps in open_front(file, head.cut, 1).run([own.prepare(photo).batch])]
    head.measured([t.mean((0, 2, 3)) for t in tensors], [t.std((0, 2, 3)) for t in tensors])
    normal = [grid.normal(tensor) for grid, tensor in zip(head.parts, tensors, strict=True)]
    assert all(abs(float(t.std()) - 1) < 0.2 for t in normal)
    monkeypatch.setattr(FeatureHead, "forward", lambda self, features, geometry, between: normal)
    found = LatentFeatureTask(network, card(), DETECTOR, file, threads=1).analyze(latents(photo.width, photo.height))
    wanted = own.analyze(photo)
    assert isinstance(found, Boxes)
    assert isinstance(wanted, Boxes)
    assert len(wanted.scores) > 3
    np.testing.assert_allclose(found.corners, wanted.corners, atol=0.05)
    np.testing.assert_allclose(found.scores, wanted.scores, atol=1e-4)


def test_what_a_network_s_own_layers_make_is_corrected(network: LatentNetwork, fed_networks: Path) -> None:
    """Before anything is learned a cut by way of another answers as that does."""
    file, source = fed_networks / f"{CLASSIFIER}.onnx", latents(100, 130)
    further = LatentNetwork(LatentConfig(**{**FED, CLASSIFIER: 2})).eval()
    further.trunk.load_state_dict(network.trunk.state_dict())
    head = further.feature_head(CLASSIFIER)
    head.heads.load_state_dict(network.feature_head(CLASSIFIER).heads.state_dict())
    head.measured([torch.full((4,), 0.25)], [torch.tensor([1.0, 2.0, 3.0, 0.5])])
    assert [type(part) for part in head.parts] == [CorrectedHead]

    def answered(of: LatentNetwork) -> npt.NDArray[np.float32]:
        result = LatentFeatureTask(
            of, card({**FED, CLASSIFIER: of.config.mobilenet_v2_imagenet}), CLASSIFIER, file, threads=1
        ).analyze(source)
        assert isinstance(result, ClassScores)
        return result.scores

    first = answered(network)
    np.testing.assert_allclose(answered(further), first, atol=1e-6)
    torch.nn.init.normal_(head.parts[0].leave.weight)  # type: ignore[arg-type]
    assert np.abs(answered(further) - first).max() > 1e-4


def test_what_does_not_fit_is_named(network: LatentNetwork, fed_networks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = fed_networks / f"{CLASSIFIER}.onnx"
    task = LatentFeatureTask(network, card(), CLASSIFIER, file, threads=1)
    with pytest.raises(NetworkError, match="reads latents of weights 00c0ffee; these are of 11111111"):
        task.prepare(dataclasses.replace(latents(64, 64), weights="11111111"))
    with pytest.raises(NetworkError, match="needs 2 bands or more; there are 1"):
        task.prepare(latents(64, 64, bands=1))
    with pytest.raises(NetworkError, match="is another network"):
        LatentFeatureTask(network, card(), DETECTOR, file)
    with pytest.raises(NetworkError, match=r"\[input\] is 416x416; the head that feeds .* was trained for 224x224"):
        LatentFeatureTask(network, card(), CLASSIFIER, file, shipped_record(DETECTOR))
    bare = LatentNetwork(LatentConfig(**SIZES))
    for head in (CLASSIFIER, "segment"):
        with pytest.raises(NetworkError, match=f"no head that feeds '{head}'; they feed none"):
            LatentFeatureTask(bare, card(), head, file)

    monkeypatch.setattr(feature_task, "load_network", lambda card: network)
    assert isinstance(open_head(card(), "things"), LatentTask)
    assert isinstance(open_head(card(), CLASSIFIER, file), LatentFeatureTask)
    for head, given, message in (
        ("segment", None, "head 'segment'; tiny has things, "),
        ("things", file, "answers by itself; leave the file out"),
        (DETECTOR, None, rf"give its file, {DETECTOR}\.onnx"),
    ):
        with pytest.raises(NetworkError, match=message):
            open_head(card(), head, given)


def test_heads_of_one_network_share_the_trunk_s_work(
    network: LatentNetwork, fed_networks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, plain = list[int](), LatentNetwork.forward
    tasks = (
        LatentTask(network, card(), "things"),
        LatentFeatureTask(network, card(), CLASSIFIER, fed_networks / f"{CLASSIFIER}.onnx"),
    )

    def counted(self: LatentNetwork, bands: Sequence[torch.Tensor], quality: torch.Tensor) -> torch.Tensor:
        runs.append(1)
        return plain(self, bands, quality)

    monkeypatch.setattr(LatentNetwork, "forward", counted)
    same, other = latents(100, 130), latents(100, 130)
    found = [task.analyze(same) for task in tasks]
    assert len(runs) == 1
    for task, known in zip(tasks, found, strict=True):
        alone = task.analyze(dataclasses.replace(same))
        assert isinstance(alone, ClassScores)
        assert isinstance(known, ClassScores)
        np.testing.assert_array_equal(alone.scores, known.scores)
    assert len(runs) == 3
    tasks[0].analyze(other)
    assert len(runs) == 4
    kept = weakref.ref(same)
    del same
    gc.collect()
    assert kept() is None


def test_cuts_that_there_are_not() -> None:
    for sizes, message in (
        ({CLASSIFIER: 9}, rf"{CLASSIFIER} = 9; it has the cuts 1 to 7"),
        ({"blocks": -1}, "blocks and classes of 0 or more"),
        ({"things": -1}, "blocks and classes of 0 or more"),
    ):
        with pytest.raises(RecipeError, match=message):
            LatentConfig(**sizes)


def test_weights_that_ship_compute_what_was_trained(network: LatentNetwork) -> None:
    head = network.feature_head(DETECTOR)
    head.measured([torch.full((4,), 0.5)] * 3, [torch.tensor([1.0, 2.0, 3.0, 0.0])] * 3)
    assert head.parts[0].spread.tolist() == pytest.approx([1, 2, 3, 0.02], rel=1e-3)  # a channel that hardly changes
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2)
    folded = LatentNetwork(network.config, folded=True)
    ready(folded, fold(network))
    prepared = LatentTask(network, card(), "things").prepare(latents(100, 130))
    record = shipped_record(DETECTOR)
    assert record is not None
    geometry, _ = place_of(100, 130, record.input)
    with torch.no_grad():
        for one, other in zip(
            head(network(prepared.bands, prepared.quality).shared, geometry, None),
            folded.feature_head(DETECTOR)(folded(prepared.bands, prepared.quality).shared, geometry, None),
            strict=True,
        ):
            assert float((one - other).abs().max()) < 0.02 * float(one.abs().max())
    assert folded.feature_head(DETECTOR).parts[2].mean.tolist() == [0.5] * 4


def test_the_scale_changes_what_a_head_says(network: LatentNetwork) -> None:
    """The same features in a picture that is read at half its size are other features."""
    record = shipped_record(CLASSIFIER)
    assert record is not None
    part = network.feature_head(CLASSIFIER).parts[0]
    torch.nn.init.normal_(part.told[2].weight)  # type: ignore[arg-type]
    flat = torch.ones(1, 8, 40, 40)
    with torch.no_grad():
        one, half = (part(flat[:, :, :side, :side], place_of(8 * side, 8 * side, record.input)[0]) for side in (20, 40))
    assert float((one - half).abs().max()) > 1e-3
