"""Networks of every spelling, opened and run."""

from __future__ import annotations

import json
import socket
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foveal.errors import MissingDependencyError, NetworkError, SettingsError
from foveal.picture import Picture
from foveal.tasks.networks.base import Declared, Network, check_declared
from foveal.tasks.opening import open_task
from foveal.tasks.pixel import PixelTask
from foveal.tasks.record import Record, parse_record
from foveal.tasks.results import Boxes, ClassMap, ClassScores
from foveal.threads import available_cores

RECORD = """
task = "classify"
classes = "colours.txt"
[input]
width = 8
height = 4
[output]
form = "scores"
"""
RED = Picture(np.array([[[255, 0, 51]]], np.uint8))


def onnx_mean(sides: Sequence[int] = (1, 3, 4, 8)) -> bytes:
    """An ONNX file, field by field: the mean of each channel of a picture."""

    def field(number: int, value: bytes | str | int) -> bytes:
        if isinstance(value, int):
            return bytes([number << 3, value])
        data = value.encode() if isinstance(value, str) else value
        assert len(data) < 1 << 14
        return bytes([number << 3 | 2, len(data) & 127 | 128, len(data) >> 7]) + data

    def array(name: str, shape: Sequence[int]) -> bytes:
        dims = b"".join(field(1, field(1, side)) for side in shape)
        return field(1, name) + field(2, field(1, field(1, 1) + field(2, dims)))

    node = field(1, "pixels") + field(2, "scores") + field(4, "GlobalAveragePool")
    graph = field(1, node) + field(2, "mean") + field(11, array("pixels", sides)) + field(12, array("scores", [1, 3, 1, 1]))
    return field(1, 7) + field(7, graph) + field(8, field(1, "") + field(2, 13))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A network of means, with its record and its classes."""
    (tmp_path / "mean.onnx").write_bytes(onnx_mean())
    (tmp_path / "mean.toml").write_text(RECORD)
    (tmp_path / "colours.txt").write_text("red\ngreen\nblue\n")
    return tmp_path


class _Fixed(Network):
    """Says the same of everything."""

    def __init__(self, *outputs: Any) -> None:
        self._outputs = tuple(np.array(output, np.float32) for output in outputs)

    def run(self, batch: Any) -> tuple[Any, ...]:
        return self._outputs


def _record(folder: Path) -> Record:
    return parse_record(RECORD, folder, "here")


def test_torch_modules(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch", reason="torch has to be installed")
    from foveal.tasks.networks.torch_module import TorchNetwork

    (folder / "means.py").write_text(
        textwrap.dedent("""
        import torch
        class Mean(torch.nn.Module):
            def forward(self, x):
                assert not self.training and not torch.is_grad_enabled()
                return {"scores": x.mean((2, 3)), "threads": torch.tensor([torch.get_num_threads()])}
        network, number = Mean, 3
        ready = Mean()
        def broken(): raise ValueError("no weights")
        class Failing(torch.nn.Module):
            def forward(self, x): raise ValueError("too dark")
        """)
    )
    (folder / "means.toml").write_text(RECORD)
    monkeypatch.syspath_prepend(str(folder))
    before = torch.get_num_threads()
    for spec in ("torch:means", "torch:means:Mean", "torch:means:ready"):
        task = open_task(spec, threads=1)
        result = task.analyze(RED)
        assert isinstance(result, ClassScores)
        np.testing.assert_allclose(result.scores, [1, 0, 0.2], atol=1e-6)
        assert task.classes.names == ("red", "green", "blue")
        assert task.scoring.name == "classify"
    assert torch.get_num_threads() == before
    first, second = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    identity = TorchNetwork(first).identity
    assert TorchNetwork(second).identity != identity  # other weights
    second.load_state_dict(first.state_dict())
    assert TorchNetwork(second).identity == identity
    assert torch.is_grad_enabled()
    for spec, message in (
        ("torch:no_such_module", "cannot import no_such_module"),
        ("torch:means:none", "has no none"),
        ("torch:means:number", "the factory fails"),
        ("torch:means:broken", "no weights"),
        ("torch:json:loads", "the factory fails"),
        ("torch:collections:OrderedDict", "a torch.nn.Module is needed"),
    ):
        with pytest.raises(NetworkError, match=message):
            open_task(spec)
    with pytest.raises(NetworkError, match="Failing fails: ValueError: too dark"):
        open_task("torch:means:Failing").analyze(RED)
    sys.modules.pop("means")


def test_onnx_files(folder: Path) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime has to be installed")
    path = folder / "mean.onnx"
    before = open_task(f"onnx:{path}").identity
    path.write_bytes(onnx_mean() + b"\x12\x03foo")  # a producer's name: the same network, another file
    assert open_task(f"onnx:{path}").identity != before
    path.write_bytes(onnx_mean())
    assert open_task(f"onnx:{path}").identity == before
    with pytest.raises(NetworkError, match=r"mean: output 0 is 1x3x1x1, its record's \[output\] \(Scores\) wants 1x3"):
        open_task(f"onnx:{path}").analyze(RED)
    record = folder / "other.toml"
    record.write_text(RECORD.replace("classify", "segment").replace('"scores"', '"logits"'))
    result = open_task(f"onnx:{path}", record, threads=1).analyze(RED)
    assert isinstance(result, ClassMap)
    assert result.classes.tolist() == [[0]]
    for old, new, message in (
        ("width = 8", "width = 9", r"mean takes 1x3x4x8 of float32, its record's \[input\] makes 1x3x4x9 of float32"),
        ("width = 8", 'width = 8\nlayout = "nhwc"', "makes 1x4x8x3"),
        ("width = 8", 'width = 8\ntype = "uint8"', "makes 1x3x4x8 of uint8"),
    ):
        record.write_text(RECORD.replace(old, new))
        with pytest.raises(NetworkError, match=message):
            open_task(f"onnx:{path}", record)
    path.write_bytes(onnx_mean()[:40])
    with pytest.raises(NetworkError, match="ONNX Runtime cannot open"):
        open_task(f"onnx:{path}")


def test_tflite_files(folder: Path) -> None:
    pytest.importorskip("ai_edge_litert", reason="ai-edge-litert has to be installed")
    (folder / "mean.tflite").write_bytes(b"\x1c\0\0\0TFL3" + bytes(40))
    with pytest.raises(NetworkError, match="LiteRT cannot open"):
        open_task(f"tflite:{folder / 'mean.tflite'}")


def test_spellings_that_name_nothing(folder: Path) -> None:
    for spec, message in (
        ("mean.onnx", "write onnx:FILE"),
        ("onnx:", "write onnx:FILE"),
        ("keras:mean", "write onnx:FILE"),
        (f"onnx:{folder / 'none.onnx'}", "no such file"),
        (f"tflite:{folder}", "no such file"),
        ("builtin:nothing", "builtin:nothing"),
    ):
        with pytest.raises(NetworkError, match=message):
            open_task(spec)
    (folder / "mean.toml").unlink()
    with pytest.raises(NetworkError, match=r"write .*mean\.toml, or name a record"):
        open_task(f"onnx:{folder / 'mean.onnx'}")
    with pytest.raises(SettingsError, match="threads = 0"):
        open_task(f"onnx:{folder / 'mean.onnx'}", threads=0)


@pytest.mark.parametrize(
    ("library", "spec", "name"),
    [
        ("onnxruntime", "onnx:{}/mean.onnx", r"foveal\[tasks\]"),
        ("ai_edge_litert.interpreter", "tflite:{}/mean.onnx", r"foveal\[tflite\]"),
        ("transformers", "hf:{}", r"foveal\[hf\]"),
    ],
)
def test_a_missing_library_is_named(library: str, spec: str, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingDependencyError, match=f"pip install '{name}'"):
        open_task(spec.format(folder))


def test_what_a_network_declares(folder: Path) -> None:
    check_declared(None, (1, 3, 4, 8), "float32", "net")
    check_declared(Declared((None, 3, None, 8), "float32"), (1, 3, 4, None), "float32", "net")
    with pytest.raises(NetworkError, match=r"net takes \?x3 of float32"):
        check_declared(Declared((None, 3), "float32"), (1, 3, 4, 8), "float32", "net")


def test_outputs_that_are_no_numbers(folder: Path) -> None:
    with pytest.raises(NetworkError, match="output 0 has values that are no numbers"):
        PixelTask(_Fixed([[0, np.nan, 1]]), _record(folder), "net").analyze(RED)


def test_no_more_threads_than_cores(folder: Path) -> None:
    ort = pytest.importorskip("onnxruntime", reason="onnxruntime has to be installed")
    from foveal.tasks.networks.onnx_file import OnnxNetwork

    seen: list[int] = []
    original = ort.InferenceSession

    def session(path: str, options: Any, providers: Any) -> Any:
        seen.append(options.intra_op_num_threads)
        return original(path, options, providers=providers)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ort, "InferenceSession", session)
        OnnxNetwork(folder / "mean.onnx")
        OnnxNetwork(folder / "mean.onnx", 3)
    assert seen == [available_cores(), 3]


PREPARATION = {"do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.25] * 3, "resample": 3, "do_resize": True}
NAMES = {0: "cat", 1: "dog", 2: "bird"}


def _save(model: Any, folder: Path, **preparation: Any) -> str:
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({**PREPARATION, **preparation}))
    return f"hf:{folder}"


PHOTO = Picture(np.random.default_rng(3).integers(0, 256, (70, 90, 3), dtype=np.uint8))


@pytest.fixture
def hf() -> Any:
    """transformers, where it is installed, with chance held still."""
    library = pytest.importorskip("transformers", reason="transformers has to be installed")
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield library


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # those of transformers are its own
def test_classifiers_of_transformers(hf: Any, tmp_path: Path) -> None:
    import torch

    config = hf.ViTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=32,
        patch_size=8,
        id2label=NAMES,
    )
    model = hf.ViTForImageClassification(config).eval()
    task = open_task(_save(model, tmp_path, size={"height": 32, "width": 32}), threads=1)
    assert task.record.task == "classify"
    assert task.classes.names == ("cat", "dog", "bird")
    result = task.analyze(PHOTO)
    assert isinstance(result, ClassScores)
    from PIL import Image

    small = np.asarray(Image.fromarray(PHOTO.samples).resize((32, 32), Image.Resampling.BICUBIC)).astype(np.float32) / 255
    with torch.inference_mode():
        logits = model(pixel_values=torch.from_numpy((small - 0.5) / 0.25).permute(2, 0, 1)[None]).logits
    np.testing.assert_allclose(result.scores, logits.softmax(1)[0].numpy(), atol=1e-5)
    own = parse_record(RECORD.replace("colours.txt", "coco-80"), None, "here")
    with pytest.raises(NetworkError, match=f"hf:{tmp_path} fails: "):  # 8x4 pixels, where the model takes 32x32
        open_task(f"hf:{tmp_path}", own).analyze(PHOTO)
    (tmp_path / "preprocessor_config.json").unlink()
    with pytest.raises(NetworkError, match=r"no preprocessor_config\.json"):
        open_task(f"hf:{tmp_path}")


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_detectors_of_transformers(hf: Any, tmp_path: Path) -> None:
    config = hf.YolosConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=[64, 64],
        patch_size=16,
        num_detection_tokens=10,
        id2label=NAMES,
    )
    task = open_task(
        _save(hf.YolosForObjectDetection(config), tmp_path, size={"shortest_edge": 64, "longest_edge": 100}), threads=1
    )
    assert task.prepare(PHOTO).batch.shape == (1, 3, 64, 82)
    result = task.analyze(PHOTO)
    assert isinstance(result, Boxes)
    assert len(result.scores) == 10  # each query is one object of its likeliest class
    assert (result.corners[:, 2:] <= [90, 70]).all()


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_segmenters_of_transformers(hf: Any, tmp_path: Path) -> None:
    config = hf.SegformerConfig(
        num_encoder_blocks=2,
        depths=[1, 1],
        sr_ratios=[2, 1],
        hidden_sizes=[8, 16],
        patch_sizes=[7, 3],
        strides=[4, 2],
        num_attention_heads=[1, 2],
        mlp_ratios=[2, 2],
        decoder_hidden_size=16,
        id2label=NAMES,
    )
    task = open_task(_save(hf.SegformerForSemanticSegmentation(config), tmp_path, size={"height": 64, "width": 64}), threads=1)
    result = task.analyze(PHOTO)
    assert isinstance(result, ClassMap)
    assert result.classes.shape == (70, 90)
    hf.SegformerModel(config).save_pretrained(tmp_path)
    with pytest.raises(NetworkError, match="SegformerModel; …ForImageClassification"):
        open_task(f"hf:{tmp_path}")


@pytest.fixture
def no_hub(hf: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub that refuses connections, and its cache, which is empty; waiting for another attempt is an error."""
    from huggingface_hub import constants

    def wait(seconds: float) -> None:
        raise AssertionError(f"waits {seconds} s")

    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("time.sleep", wait)
    return tmp_path / "cache"


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_hub_that_does_not_answer_is_asked_once(no_hub: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(
        NetworkError, match=r"^hf:some/model: http://127\.0\.0\.1:\d+ cannot be reached .* name a folder that holds"
    ) as told:
        open_task("hf:some/model")
    assert "\n" not in str(told.value)
    assert "Retrying" not in "".join(capfd.readouterr())


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_without_a_hub_the_copy_in_its_cache_is_read(hf: Any, no_hub: Path) -> None:
    config = hf.ViTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=32,
        patch_size=8,
        id2label=NAMES,
    )
    model, kept = no_hub / "models--some--model", "0123456789abcdef0123456789abcdef01234567"
    _save(hf.ViTForImageClassification(config), model / "snapshots" / kept, size=32)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text(kept)
    task = open_task("hf:some/model", threads=1)
    assert (task.record.input.width, task.classes.names) == (32, ("cat", "dog", "bird"))
    (model / "snapshots" / kept / "model.safetensors").unlink()
    with pytest.raises(NetworkError, match="nor a whole copy"):
        open_task("hf:some/model", threads=1)


def test_preparations_of_transformers() -> None:
    pytest.importorskip("torch", reason="torch has to be installed")
    from foveal.tasks.networks.hf_model import input_of

    resnet = input_of({**PREPARATION, "size": {"shortest_edge": 224}, "crop_pct": 0.875})
    assert (resnet.fit, resnet.short_side, resnet.width, resnet.filter) == ("crop", 256, 224, "bicubic")
    clip = input_of(
        {**PREPARATION, "size": {"shortest_edge": 224}, "do_center_crop": True, "crop_size": {"height": 200, "width": 210}}
    )
    assert (clip.fit, clip.short_side, clip.width, clip.height) == ("crop", 224, 210, 200)
    raw = input_of({"size": 32, "do_rescale": False, "do_flip_channel_order": True})
    assert (raw.fit, raw.width, raw.range, raw.channels, raw.mean) == ("stretch", 32, 255, "bgr", (0, 0, 0))
    halves = input_of({**PREPARATION, "size": 32, "rescale_factor": 1 / 127.5})
    assert halves.range == pytest.approx(2)
    for bad in ({}, {"size": {"max_height": 3}}, {"size": 32, "do_resize": False}, {"size": 32, "do_normalize": True}):
        with pytest.raises((NetworkError, KeyError)):
            input_of(bad)
