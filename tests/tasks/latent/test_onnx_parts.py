"""Networks cut in two: both parts together are the network, and another file is refused by name."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from foveal.errors import MissingDependencyError, NetworkError
from foveal.tasks.latent.cuts import CUTS, Cut, CutTensor, cut_of
from foveal.tasks.latent.onnx_parts import OnnxPart, joined_tail, open_between, open_front, open_tail
from foveal.tasks.networks.onnx_file import OnnxNetwork
from foveal.tasks.proxy.onnx_graph import OnnxGraph
from latent_networks import CLASSIFIER, DETECTOR

MODELS = Path(os.environ.get("FOVEAL_MODELS", Path(__file__).parents[4] / "shared" / "models"))


def _input(network: str) -> np.ndarray[Any, Any]:
    side, unit = (224, 1) if network == CLASSIFIER else (416, 255)
    return (np.random.default_rng(1).random((1, 3, side, side)) * unit).astype(np.float32)


@pytest.mark.parametrize("network", [CLASSIFIER, DETECTOR])
def test_front_and_tail_are_the_network(network: str, fed_networks: Path, tiny_cuts: dict[str, Cut], tmp_path: Path) -> None:
    path, cut, x = fed_networks / f"{network}.onnx", tiny_cuts[network], _input(network)
    passed = open_front(path, cut, 1).run([x])
    assert [maps.shape[1:] for maps in passed] == [(t.channels, t.rows, t.columns) for t in cut.tensors]
    answer = open_tail(path, cut, 1).run(passed)
    whole = OnnxNetwork(path, 1).run(x)
    np.testing.assert_allclose(answer[0], whole[0], atol=1e-6)
    assert np.ptp(whole[0]) > 1e-4

    model, output = joined_tail(path, cut)
    (tmp_path / "joined.onnx").write_bytes(model)
    flat = torch.from_numpy(np.concatenate([maps.ravel() for maps in passed]))[None].requires_grad_()
    found = OnnxGraph(tmp_path / "joined.onnx", [output])(flat)[0]
    np.testing.assert_allclose(found.detach().numpy(), whole[0], atol=1e-5)
    found.square().sum().backward()
    assert flat.grad is not None
    assert float(flat.grad.abs().max()) > 0


def test_another_file_is_refused(fed_networks: Path, tiny_cuts: dict[str, Cut], tmp_path: Path) -> None:
    cut = tiny_cuts[CLASSIFIER]
    for open_part in (open_front, open_tail):
        with pytest.raises(
            NetworkError, match=rf"is another network .*{CLASSIFIER}\.onnx of SHA-256 {cut.sha256[:16]}\.\.\. fits"
        ):
            open_part(fed_networks / f"{DETECTOR}.onnx", cut)
        with pytest.raises(NetworkError, match=rf"no such file; the head needs {CLASSIFIER}\.onnx"):
            open_part(tmp_path / "none.onnx", cut)
        other = dataclasses.replace(cut, tensors=(CutTensor("elsewhere", 4, 14, 14, 16),))
        with pytest.raises(NetworkError, match="has no tensor elsewhere; the head was trained for elsewhere"):
            open_part(fed_networks / f"{CLASSIFIER}.onnx", other)
    with pytest.raises(NetworkError, match=r"the tail of .* fails"):
        open_tail(fed_networks / f"{CLASSIFIER}.onnx", cut).run([np.zeros((1, 5, 14, 14), np.float32)])
    with pytest.raises(NetworkError, match="ONNX Runtime cannot open rubbish"):
        OnnxPart(b"rubbish", 1, "rubbish")


@pytest.mark.parametrize("library", ["onnx", "onnxruntime"])
def test_a_missing_library_is_named(
    library: str, fed_networks: Path, tiny_cuts: dict[str, Cut], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'foveal\[tasks\]'"):
        open_tail(fed_networks / f"{CLASSIFIER}.onnx", tiny_cuts[CLASSIFIER])


def test_cuts_are_counted_from_one() -> None:
    assert cut_of(CLASSIFIER, 1) is CUTS[CLASSIFIER][0]
    for number in (-1, 0, 8):
        with pytest.raises(NetworkError, match=rf"{CLASSIFIER} = {number}; it has the cuts 1 to 7"):
            cut_of(CLASSIFIER, number)


@pytest.mark.parametrize(("network", "number"), [(name, i + 1) for name, cuts in CUTS.items() for i in range(len(cuts))])
def test_the_known_cuts_are_of_the_real_networks(network: str, number: int) -> None:
    """Names, sizes, hash and the share of the tail, from the file itself."""
    onnx: Any = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    path, cut = MODELS / f"{network}.onnx", cut_of(network, number)
    if not path.is_file():
        pytest.skip(f"no network {path}; set FOVEAL_MODELS to cut it")
    x = _input(network)
    passed = open_front(path, cut, 1).run([x])
    assert [maps.shape[1:] for maps in passed] == [(t.channels, t.rows, t.columns) for t in cut.tensors]
    np.testing.assert_allclose(open_tail(path, cut, 1).run(passed)[0], OnnxNetwork(path, 1).run(x)[0], atol=1e-5)
    if cut.way is not None:
        between = open_between(path, cut, 1)
        assert between is not None
        way = open_front(path, dataclasses.replace(cut, tensors=(cut.way,), way=None), 1).run([x])
        for grown, maps in zip(between(torch.from_numpy(way[0])), passed, strict=True):
            np.testing.assert_allclose(grown.numpy(), maps, atol=1e-4)
    whole = _multiplications(onnx.load(path), {})
    tail = _multiplications(onnx.load_from_string(joined_tail(path, cut)[0]), whole)
    assert 100 * sum(tail.values()) / sum(whole.values()) == pytest.approx(cut.tail_percent, abs=0.06)


def _multiplications(model: Any, known: dict[str, int]) -> dict[str, int]:
    """Of each convolution, by its output's name. known: counted before, in the whole network, whose nodes keep their names."""
    import onnxruntime

    nodes = [node for node in model.graph.node if node.op_type == "Conv"]
    if known:
        return {node.output[0]: known[node.output[0]] for node in nodes}
    import onnx

    weights = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    for node in nodes:
        model.graph.output.append(onnx.helper.make_empty_tensor_value_info(node.output[0]))
    session: Any = onnxruntime.InferenceSession(model.SerializeToString())
    entry = session.get_inputs()[0]
    names = [node.output[0] for node in nodes]
    shapes = [made.shape for made in session.run(names, {entry.name: np.zeros(entry.shape, np.float32)})]
    sizes = [int(np.prod(shape)) * int(np.prod(weights[node.input[1]][1:])) for node, shape in zip(nodes, shapes, strict=True)]
    return dict(zip(names, sizes, strict=True))
