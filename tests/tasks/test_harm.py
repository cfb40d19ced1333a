"""How much a codec's errors harm the proxy's teachers: closed forms, and the networks asked in their own terms."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from foveal.errors import MissingDependencyError, NetworkError
from foveal.tasks.proxy import TASKS, harm, teachers
from foveal.tasks.proxy.crops import SIDE, Pixels
from foveal.tasks.proxy.harm import GRID, HarmTeachers, energy_of, measured_harm
from foveal.tasks.proxy.surprise import bernoulli

Pictures = tuple[Pixels, Pixels]


@pytest.fixture(scope="module")
def asked(networks: Path) -> Iterator[HarmTeachers]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield HarmTeachers(networks)
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    """A square of noise over a ramp, as large as the detector reads it, and the same with errors everywhere."""
    chance = np.random.default_rng(2)
    ramp = np.linspace(60, 180, SIDE)[:, None, None] + chance.normal(0, 20, (SIDE, SIDE, 3))
    return ramp.astype(np.uint8), np.clip(ramp + chance.normal(0, 8, ramp.shape), 0, 255).astype(np.uint8)


def test_the_harm_of_one_answer_is_what_it_is_by_hand() -> None:
    """Of an answer of logit ``w x``: ``p (1 - p) (w e) ** 2`` over the energy, of each block, and the mean over codings."""
    side, chance = 48, np.random.default_rng(0)  # blocks of one pixel and of two
    square, *coded = chance.integers(0, 256, (3, side, side, 3), np.uint8)
    w = torch.from_numpy(chance.normal(0, 0.02, (1, 3, side, side)).astype(np.float32))
    energy = chance.uniform(1, 9, (2, GRID, GRID))

    def read(picture: Pixels) -> Tensor:
        return torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255

    shift = -1.3 - float((w * read(square)).sum())
    p = 1 / (1 + np.exp(1.3))

    def draw(x: Tensor, chance: torch.Generator) -> list[Tensor]:
        logit = (w * x).sum() + shift
        return [bernoulli(logit.expand(600), chance), (0 * x).sum()[None]]

    found, none = measured_harm(read, draw, (square, *coded), energy, torch.Generator().manual_seed(1))
    expected = np.zeros((GRID, GRID))
    for other, own in zip(coded, energy, strict=True):
        product = (w * (read(other) - read(square))).sum((0, 1)).double().numpy()
        blocks = np.zeros((GRID, GRID))
        np.add.at(blocks, tuple(np.indices((side, side)) * GRID // side), product)
        expected += p * (1 - p) * blocks**2 / own / len(coded)
    assert found.shape == (GRID, GRID)
    ratio = found / expected
    assert ratio.mean() == pytest.approx(1, abs=0.15)
    assert ratio.std() < 1e-3  # one answer is drawn for all blocks together
    assert not none.any()


@pytest.mark.parametrize("side", [64, 80, 32])
def test_the_energy_of_a_block_is_its_squared_error_and_that_of_rounding(side: int) -> None:
    square = np.full((side, side, 3), 100, np.uint8)
    coded = square.copy()
    coded[: side // 2, side // 4 :, 0] -= 3
    coded[: side // 2, :, 2] += 5
    found = energy_of(square, coded)
    assert found.shape == (GRID, GRID)
    assert found.dtype == np.float64
    half, quarter = GRID // 2, GRID // 4
    assert found[:half, quarter:] == pytest.approx(34.5)
    assert found[:half, :quarter] == pytest.approx(25.5)
    assert found[half:] == pytest.approx(0.5)


def test_harm_is_a_map_of_mean_1_for_each_task(asked: HarmTeachers, pictures: Pictures) -> None:
    square, coded = pictures
    found = asked.harm(square, [coded], road=True, seed=3)
    assert found.shape == (len(TASKS), GRID, GRID)
    assert found.dtype == np.float32
    assert found.min() >= 0
    assert found.mean((1, 2)) == pytest.approx(1, abs=1e-4)
    assert all(np.abs(found[i] - found[j]).max() > 0.1 for i in range(len(TASKS)) for j in range(i))
    assert (asked.harm(square, [coded], road=True, seed=3) == found).all()
    assert (asked.harm(square, [coded], road=True, seed=4) != found).any()


def test_segments_are_told_of_roads_alone(asked: HarmTeachers, pictures: Pictures) -> None:
    square, coded = pictures
    found = asked.harm(square, [coded], road=False, seed=3)
    assert (found[TASKS.index("segment")] == -1).all()
    others = [i for i, task in enumerate(TASKS) if task != "segment"]
    assert found[others].min() >= 0
    assert found[others].mean((1, 2)) == pytest.approx(1, abs=1e-4)


def test_harm_is_where_the_errors_are(asked: HarmTeachers, pictures: Pictures) -> None:
    """Nothing right of them; and two codings of a half each are as one of both, for an answer that all blocks share."""
    square, whole = pictures
    left, right = whole.copy(), whole.copy()
    left[:, SIDE // 2 :], right[:, : SIDE // 2] = square[:, SIDE // 2 :], square[:, : SIDE // 2]
    found = asked.harm(square, [left], road=True, seed=3)
    assert found[:, :, : GRID // 2 - 1].mean((1, 2)).min() > 1.5
    assert (found[:, :, GRID // 2 + 1 :] == 0).all()
    both, one = (asked.harm(square, some, road=False, seed=3)[TASKS.index("classify")] for some in ((left, right), (whole,)))
    inner = [*range(GRID // 2 - 1), *range(GRID // 2 + 1, GRID)]
    assert np.corrcoef(both[:, inner].ravel(), one[:, inner].ravel())[0, 1] > 0.999


def test_a_picture_that_was_not_harmed_tells_nothing(asked: HarmTeachers, pictures: Pictures) -> None:
    assert (asked.harm(pictures[0], [pictures[0]], road=True, seed=3) == -1).all()


def test_faces_are_part_of_pose(asked: HarmTeachers, pictures: Pictures) -> None:
    """The tiny finder of faces reads the highest rows alone, and has half a say."""
    square, whole = pictures
    found = dict(zip(TASKS, asked.harm(square, [whole], road=False, seed=3), strict=True))
    assert found["pose"][2:].mean() == pytest.approx(0.5, abs=0.15)
    assert found["pose"][:2].mean() > 5
    assert found["detect"][:2].mean() < 2.5
    low = whole.copy()
    low[: SIDE // 4] = square[: SIDE // 4]
    found = dict(zip(TASKS, asked.harm(square, [low], road=False, seed=3), strict=True))
    assert found["pose"].mean() == pytest.approx(1, abs=1e-4)
    assert np.abs(found["pose"] - found["detect"]).max() > 0.1


def test_the_networks_are_asked_as_for_the_other_lessons(asked: HarmTeachers, networks: Path) -> None:
    square = np.zeros((SIDE, SIDE, 3), np.uint8)
    square[:208, :, 0], square[:, :104, 2] = 200, 80
    told = teachers.Teachers(networks).teach(square)
    (objects,) = asked._detector(harm._for_detector(square))
    maps = torch.cat([torch.from_numpy(m).flatten(1) for m in told.objects], 1).T
    assert torch.allclose(objects[0], maps, atol=1e-6)
    (classes,) = asked._classifier(harm._for_classifier(square))
    assert np.allclose(classes.flatten().numpy(), told.classes, atol=1e-6)
    (scores,) = asked._faces(harm._for_faces(square))
    assert np.allclose(teachers._faces(scores[0, :, 1].numpy()), told.faces, atol=1e-6)
    parts = harm._for_segmenter(square)
    assert parts.shape[:2] == (1, 3)
    assert parts[0, :, 40, 300].tolist() == pytest.approx([200 / 255, 0, 0])
    assert parts[0, :, 300, 40].tolist() == pytest.approx([0, 0, 80 / 255])


def moved_answers(told: dict[str, Tensor], moved: dict[str, Tensor]) -> dict[str, float]:
    """Twice the divergence of each kind of answer, to second order, by hand from the networks' outputs before and after."""

    def certain(p: Tensor, logits: Tensor, others: Tensor) -> Tensor:
        return p * (1 - p) * (others - logits).square()

    p, q = told["objects"], moved["objects"]
    answers, there = certain(p[:, 4:], p[:, 4:].logit(), q[:, 4:].logit()), p[:, 4:5]
    placed = (q[:, :4] - p[:, :4]).square().sum(1, keepdim=True)
    objects = answers[:, :1] + there * (answers[:, 1:].sum(1, keepdim=True) + placed)
    persons = there * p[:, 5:6] * (answers[:, :1] + answers[:, 1:2] + placed)
    faces = certain(told["faces"], told["faces"].logit(), moved["faces"].logit())
    out = {"objects": float(objects.sum()), "persons": float(persons.sum()), "faces": float(faces.sum())}
    for kind in ("classes", "parts"):
        shares, change = told[kind], (moved[kind] / told[kind]).log()
        out[kind] = float(((shares * change.square()).sum(1) - (shares * change).sum(1).square()).sum())
    return out


def test_draws_move_as_the_answers_do(asked: HarmTeachers, pictures: Pictures, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over many draws the mean square is what the divergence of the answers is, whatever answers a network gives."""
    few = 4 * torch.randn(3, 5, generator=torch.Generator().manual_seed(2))  # of 1001 classes none would be drawn often enough
    monkeypatch.setattr(asked, "_classifier", lambda x: [(x.mean((2, 3)) @ few).softmax(1)])
    real, large = asked._detector, torch.cat([torch.full((4,), 300.0), torch.ones(81)])  # as boxes are beside their logits
    monkeypatch.setattr(asked, "_detector", lambda x: [real(x)[0] * large])
    monkeypatch.setattr(asked, "_segmenter", lambda x: torch.einsum("bcyx,ck->bkyx", functional.avg_pool2d(x, 4), few))
    square = pictures[0]
    blocks = [(0, 3), (0, 20), (1, 9)]  # the tiny finder of faces reads no others
    ways: dict[str, tuple[Callable[[Pixels], Tensor], harm.LogLikelihoods]] = {
        "objects persons": (harm._for_detector, asked._objects),
        "faces": (harm._for_faces, asked._face),
        "classes": (harm._for_classifier, asked._classes),
        "parts": (harm._for_segmenter, asked._parts),
    }

    def told(x: dict[str, Tensor]) -> dict[str, Tensor]:
        with torch.no_grad():
            return {
                "objects": asked._detector(x["objects persons"])[0][0].double(),
                "faces": asked._faces(x["faces"])[0][0, :, 1].double(),
                "classes": asked._classifier(x["classes"])[0].double(),
                "parts": asked._segmenter(x["parts"])[0].flatten(1).T.softmax(1).double(),
            }

    near = {kinds: read(square) for kinds, (read, _) in ways.items()}
    errors: dict[str, Tensor] = {}
    for kinds, x in near.items():  # larger where an answer is of the whole picture, so that rounding is not all that is seen
        noise = 1 + torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
        errors[kinds] = (0.5 if kinds == "classes" else 0.02) * x.std() * noise
    expected = dict.fromkeys(("objects", "persons", "faces", "classes", "parts"), 0.0)
    for row, column in blocks:
        moved = {}
        for kinds, x in near.items():
            rows, columns = (harm._cells(side)[at] for side, at in zip(x.shape[2:], (row, column), strict=True))
            moved[kinds] = x + errors[kinds] * rows[:, None] * columns
        for kind, value in moved_answers(told(near), told(moved)).items():
            expected[kind] += value
    for kinds, (_, draw) in ways.items():
        monkeypatch.setattr(harm, "_DRAWS", {"classes": 200, "parts": 60}.get(kinds, 40))
        given = iter((near[kinds].clone(), near[kinds] + errors[kinds]))
        found = measured_harm(
            lambda _, given=given: next(given), draw, (square, square), np.ones((1, GRID, GRID)), torch.Generator().manual_seed(1)
        )
        for kind, values in zip(kinds.split(), found, strict=True):
            assert sum(values[at] for at in blocks) == pytest.approx(expected[kind], rel=0.35)


def test_teachers_that_are_missing_or_others_are_named(networks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NetworkError, match=r"yolox_nano_coco\.onnx is missing; the proxy learns from"):
        HarmTeachers(tmp_path)
    for name in (teachers.DETECTOR, teachers.CLASSIFIER, teachers.FACES):
        (tmp_path / name).write_bytes((networks / name).read_bytes())
    (tmp_path / teachers.FACES).write_bytes((networks / teachers.CLASSIFIER).read_bytes())
    with pytest.raises(NetworkError, match=r"ultraface_rfb_320\.onnx has no tensor scores: it is another network"):
        HarmTeachers(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'foveal\[distil\]'"):
        HarmTeachers(networks)
