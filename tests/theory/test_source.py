from __future__ import annotations

import json
import math
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from foveal.errors import FovealError, TheoryError
from foveal.theory.entropy_form import entropy_rate
from foveal.theory.solver import classifier_rate
from foveal.theory.source import Source
from foveal.theory.sources import bernoulli, gaussian_lattice, random_source

HALF = np.array([0.5, 0.5])
EYE = np.eye(2)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"p": np.array([0.5, math.nan])}, "nan at \\(1,\\)"),
        ({"p": np.array([1.5, -0.5])}, "-0.5 at \\(1,\\)"),
        ({"p": np.array([0.5, 0.5 + 2e-9])}, "sums to 1.000000002"),
        ({"p": np.array([])}, "empty"),
        ({"p": np.array([0.2, 0.3, 0.5])}, "2 rows for 3 symbols"),
        ({"p": np.array([math.inf, 0.5])}, "inf at"),
        ({"labels": np.array([[0.5, 0.4], [1.0, 0.0]])}, "labels: row 0 sums to 0.9"),
        ({"labels": HALF}, "labels: an array of shape"),
        ({"distortion": np.array([[0.0, -1.0], [1.0, 0.0]])}, "distortion: -1.0 at \\(0, 1\\)"),
        ({"distortion": np.array([[0.0, math.inf], [1.0, 0.0]])}, "distortion: inf"),
        ({"distortion": np.zeros((2, 0))}, "empty"),
        ({"classifier": np.eye(3)}, "shape \\(3, 3\\)"),
        ({"classifier": np.array([[0.5, 0.6], [0, 1]])}, "classifier: row 0"),
    ],
)
def test_what_is_no_source_is_refused_by_name(values: dict[str, np.ndarray], says: str) -> None:
    sound = {"p": HALF, "labels": EYE, "distortion": 1 - EYE, "classifier": EYE}
    Source(**sound)
    with pytest.raises(TheoryError, match=says):
        Source(**{**sound, **values})


def test_a_sum_within_the_tolerance_is_scaled_to_one() -> None:
    source = Source(np.array([0.5, 0.5 + 9e-10]), EYE, 1 - EYE)
    assert source.p.sum() == pytest.approx(1.0, abs=1e-15)
    assert not source.p.flags.writeable


def test_entropies() -> None:
    source = bernoulli(0.5, (0.11, 0.11))
    assert source.entropy == 1.0
    assert source.label_entropy == pytest.approx(1.0)
    assert source.noise_entropy == pytest.approx(0.4999, abs=1e-4)  # h(0.11)
    assert source.error == pytest.approx(np.array([[0.11, 0.89], [0.89, 0.11]]))


def test_no_classifier_means_the_entropy_definition_only() -> None:
    source = Source(HALF, EYE, 1 - EYE)
    with pytest.raises(TheoryError, match="has no classifier"):
        classifier_rate(source, 0.1, 0.1)
    assert entropy_rate(source, 1.0, 0.5) == pytest.approx(0.5, abs=1e-4)


@pytest.mark.parametrize("definition", [classifier_rate, entropy_rate])
def test_degenerate_sources_have_their_limits(definition) -> None:
    one = Source(np.array([1.0]), np.array([[1.0, 0.0]]), np.array([[0.25]]), np.array([[1.0, 0.0]]))
    assert definition(one, 0.25, 0.0) == 0.0
    assert definition(one, 0.2, 1.0) == math.inf
    assert definition(bernoulli(0.0), 0.0, 1.0) == 0.0
    noise = Source(HALF, np.full((2, 2), 0.5), 1 - EYE, EYE)  # labels that say nothing
    assert definition(noise, 0.1, 1.0) == pytest.approx(0.5310, abs=1e-4)
    assert definition(noise, 0.1, 0.49) == math.inf


def test_symbols_of_probability_zero_change_nothing() -> None:
    source = random_source(3, 5)
    p = np.insert(source.p, 2, 0.0)
    wide = Source(p, np.insert(source.labels, 2, [0.0, 1.0], 0), np.insert(source.distortion, 2, 0.9, 0), source.classifier)
    for definition in (classifier_rate, entropy_rate):
        assert definition(wide, 0.3, 0.45) == pytest.approx(definition(source, 0.3, 0.45), abs=1e-5)


def test_builders_refuse_what_is_no_probability() -> None:
    for call in (lambda: bernoulli(1.1), lambda: bernoulli(0.5, (math.nan, 0)), lambda: gaussian_lattice(rho=1.5)):
        with pytest.raises(TheoryError):
            call()
    with pytest.raises(TheoryError, match="sigma = 0; a number of 1e-30"):
        gaussian_lattice(sigma=0)


def test_a_source_in_json(tmp_path: Path) -> None:
    path = tmp_path / "dice.json"
    path.write_text(json.dumps({"probabilities": [0.4, 0.6], "labels": [0, 1], "distortion": "hamming", "classifier": [0, 1]}))
    source = Source.read(path)
    assert source.name == "dice"
    assert classifier_rate(source, 1.0, 0.1) == pytest.approx(classifier_rate(bernoulli(0.6, (0, 0)), 1.0, 0.1), abs=1e-6)
    rows = {"probabilities": [0.5, 0.5], "labels": [[0.9, 0.1], [0.2, 0.8]], "distortion": "squared"}
    path.write_text(json.dumps({**rows, "values": [0, 1], "reproductions": [0, 0.5, 1], "classifier": [0, 0, 1], "name": "n"}))
    assert Source.read(path).distortion.tolist() == [[0, 0.25, 1], [1, 0.25, 0]]
    assert Source.read(path).name == "n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[]", "a list"),
        ('{"probabilities": [1], "labels": [0]}', "'distortion' is missing"),
        ('{"probabilities": [1], "labels": [0], "distortion": [[0]], "x": 1}', "unknown key 'x'"),
        ('{"probabilities": [1], "labels": [0], "distortion": "cosine"}', "'cosine'"),
        ('{"probabilities": [1], "labels": [0], "distortion": "squared"}', "values"),
        ('{"probabilities": [NaN], "labels": [0], "distortion": "hamming"}', "nan"),
        ('{"probabilities": [0.5, 0.5], "labels": [0, -1], "distortion": "hamming"}', r"labels\[1\] = -1; a class"),
        ('{"probabilities": [0.5, 0.5], "labels": [0, [1]], "distortion": "hamming"}', "labels"),
        ('{"probabilities": "many", "labels": [0], "distortion": "hamming"}', "probabilities"),
        ('{"probabilities": [0.5, 0.6], "labels": [0, 1], "distortion": "hamming"}', "sums to 1.1"),
        ('{"probabilities": ["0.5", 0.5], "labels": [0, 1], "distortion": "hamming"}', r"probabilities\[0\] = '0.5'; a number"),
        ('{"probabilities": [true, false], "labels": [0, 1], "distortion": "hamming"}', r"probabilities\[0\] = True; a number"),
        ('{"probabilities": 1, "labels": [0], "distortion": "hamming"}', "probabilities = 1; a list of numbers"),
        ('{"probabilities": [1], "labels": ["0"], "distortion": "hamming"}', r"labels\[0\] = '0'; a class"),
        ('{"probabilities": [1], "labels": [0.5], "distortion": "hamming"}', r"labels\[0\] = 0.5; a class"),
        ('{"probabilities": [1], "labels": [true], "distortion": "hamming"}', r"labels\[0\] = True; a class"),
        ('{"probabilities": [1], "labels": [[0.5, 0.5], [1]], "distortion": "hamming"}', "rows of 1 and of 2 numbers"),
        ('{"probabilities": [1], "labels": [[0.5, "x"]], "distortion": "hamming"}', r"labels\[0\]\[1\] = 'x'"),
        ('{"probabilities": [1], "labels": [0], "distortion": "hamming", "name": 5}', "name = 5"),
        ('{"probabilities": [1], "labels": [0], "distortion": "hamming", "name": "\\ud800"}', "name = "),
        (f'{{"probabilities": [1], "labels": [{10**30}], "distortion": "hamming"}}', "largest class is 1000.*; at most 16777216"),
        (f'{{"probabilities": [1], "labels": [0], "distortion": [[{10**400}]]}}', r"distortion\[0\]\[0\] = 1000.*; a number"),
        ('{"probabilities": [1], "labels": [0], "distortion": [[1e308]]}', r"1e\+308 at \(0, 0\)"),
        ('{"probabilities": [1], "labels": [0], "distortion": "squared", "values": [1e200]}', r"values: 1e\+200"),
        ('{"probabilities": [1], "labels": [0], "distortion": "hamming", "values": [0]}', "'values' is given, and only"),
        ('{"probabilities": [1], "labels": [0], "labels": [1], "distortion": "hamming"}', "'labels' is there twice"),
        (
            '{"probabilities": [0.5, 0.5], "labels": [0, 1], "distortion": "hamming", "classifier": [0, 7]}',
            r"classifier\[1\] = 7",
        ),
        (
            f'{{"probabilities": [1], "labels": [0], "distortion": "hamming", "classifier": [{10**30}]}}',
            r"classifier\[0\] = 1000",
        ),
    ],
)
def test_a_file_that_describes_no_source_is_refused_by_name(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(FovealError, match=says) as raised:
        Source.read(path)
    assert str(path) in str(raised.value)


def test_classes_are_numbered_as_far_as_the_table_of_them_may_be(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"probabilities": [0.2, 0.3, 0.5], "labels": [0, 0, 65535], "distortion": "hamming"}')
    near = Source(np.array([0.2, 0.3, 0.5]), np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), 1 - np.eye(3))
    assert entropy_rate(Source.read(path), 0.3, 0.5) == pytest.approx(entropy_rate(near, 0.3, 0.5), abs=1e-5)
    path.write_text('{"probabilities": [0.2, 0.3, 0.5], "labels": [0, 0, 1000000000], "distortion": "hamming"}')
    with pytest.raises(TheoryError, match="largest class is 1000000000: 3 rows of 1000000001 numbers; at most 16777216"):
        Source.read(path)


@pytest.mark.parametrize("distortion", ['"hamming"', '"squared", "values": [0' + ", 1" * 39_999 + "]"])
def test_a_table_that_is_too_large_is_refused_before_it_is_made(tmp_path: Path, distortion: str) -> None:
    path, count = tmp_path / "a.json", 40_000
    path.write_text(f'{{"probabilities": {[1 / count] * count}, "labels": {[0] * count}, "distortion": {distortion}}}')
    tracemalloc.start()
    with pytest.raises(TheoryError, match="distortion: 40000 rows of 40000 numbers; at most 16777216"):
        Source.read(path)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 2**28


def test_a_file_may_begin_with_the_mark_that_windows_puts_there(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf{"probabilities": [1], "labels": [0], "distortion": "hamming"}')
    assert Source.read(tmp_path / "a.json").name == "a"


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(TheoryError, match="cannot read"):
        Source.read(tmp_path / "none.json")
