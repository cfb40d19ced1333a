"""Lessons of harm on disk: made, read again, the same by seed, and held out by pictures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from foveal.codecs.base import EncodeSettings
from foveal.codecs.registry import codec_by_name
from foveal.errors import NetworkError, RecipeError
from foveal.picture import Picture
from foveal.tasks.proxy import TASKS, harm_lessons
from foveal.tasks.proxy.crops import Pixels, Source
from foveal.tasks.proxy.harm import GRID
from foveal.tasks.proxy.harm_lessons import SIDE, HarmLessons, make_harm_lessons

pytest.importorskip("av", reason="squares are coded by x265: pip install 'foveal[standard]'")

ROAD_COLOUR = 200


class Told:
    """Teachers that note what they are shown, and tell the square's colour of every task but of segments where there is no road."""

    asked: list[tuple[Pixels, Sequence[Pixels], bool, int]]

    def __init__(self, folder: Path) -> None:
        assert folder.name == "networks"

    def harm(self, square: Pixels, coded: Sequence[Pixels], *, road: bool, seed: int) -> np.ndarray:
        self.asked.append((square, coded, road, seed))
        found = np.full((len(TASKS), GRID, GRID), 1e9 if square.mean() == 0 else square.mean(), np.float32)
        found[TASKS.index("segment")] *= 1 if road else 0
        return found - (found == 0)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Pixels, Sequence[Pixels], bool, int]]:
    """What teachers were asked that cost nothing."""
    Told.asked = []
    monkeypatch.setattr(harm_lessons, "HarmTeachers", Told)
    return Told.asked


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """45 photographs of one gray each, 0 to 88, of which the first and the 41st are held out."""
    return grays(tmp_path / "plain", range(0, 90, 2))


@pytest.fixture
def roads(tmp_path: Path) -> Path:
    """42 road scenes, 200 to 241."""
    grays(tmp_path / "roads" / "train", range(ROAD_COLOUR, ROAD_COLOUR + 42))
    return tmp_path / "roads"


def grays(folder: Path, colours: Sequence[int]) -> Path:
    folder.mkdir(parents=True)
    for i, colour in enumerate(colours):
        Image.fromarray(np.full((70 + i, 90, 3), colour, np.uint8)).save(folder / f"p{i:02}.png")
    return folder


def make(photos: Path, out: Path, squares: int, scenes: Path | None = None, **more: object) -> HarmLessons:
    make_harm_lessons([photos], scenes, Path("networks"), out, squares, **more)  # type: ignore[arg-type]
    return HarmLessons.read([out])[0]


def colours(squares: np.ndarray) -> list[int]:
    """Of squares of one colour each."""
    assert (squares == squares[:, :1, :1, :1]).all()
    return squares[:, 0, 0, 0].tolist()


def test_held_out_squares_are_of_pictures_that_no_other_is_cut_from(
    asked: list[tuple[Pixels, Sequence[Pixels], bool, int]], plain: Path, roads: Path, tmp_path: Path
) -> None:
    found = make(plain, tmp_path / "out", 160, roads)
    assert (found.held_out, len(found.squares), len(found.harm)) == (4, 160, 160)
    taught, kept = colours(found.squares[:-4]), colours(found.squares[-4:])
    assert set(kept) <= {0, 80, 200, 240}
    assert not set(taught) & {0, 80, 200, 240}
    assert len(set(taught)) > 50
    on_roads = [colour >= ROAD_COLOUR for colour in [*taught, *kept]]
    assert 0.2 < np.mean(on_roads) < 0.42
    assert [road for _, _, road, _ in asked] == on_roads
    assert [seed for *_, seed in asked] == list(range(160))
    parts = TASKS.index("segment")
    for colour, road, told in zip([*taught, *kept], on_roads, found.harm, strict=True):
        expected = min(colour or 1e9, float(np.finfo(np.float16).max))
        assert (np.delete(told, parts, 0) == expected).all()
        assert (told[parts] == (expected if road else -1)).all()


def test_squares_are_coded_coarsely_and_finely(
    asked: list[tuple[Pixels, Sequence[Pixels], bool, int]], photographs: Path, tmp_path: Path
) -> None:
    found = make(photographs, tmp_path / "out", 12)
    for (square, coded, _, _), shown in zip(asked, found.squares, strict=True):
        assert square.shape[0] == square.shape[1]
        assert shown.shape == (SIDE, SIDE, 3)
        small = np.asarray(Image.fromarray(square).resize((SIDE, SIDE), Image.Resampling.BOX))
        assert (small == shown).all()
        coarse, fine = (np.square(other.astype(float) - square).mean() for other in coded)
        assert coarse > fine > 3
    sides = [square.shape[0] for square, *_ in asked]
    assert min(sides) >= 64
    assert len(set(sides)) > 3


def test_a_square_is_a_part_of_its_picture(
    asked: list[tuple[Pixels, Sequence[Pixels], bool, int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own pixels, as they are or mirrored, where the picture is not made small first."""
    monkeypatch.setattr(harm_lessons, "_SMALL", 0.0)
    folder = tmp_path / "one"
    folder.mkdir()
    rows, columns = np.mgrid[:150, :230]
    places = np.stack([rows, columns, 0 * rows], 2).astype(np.uint8)
    for name in ("a.png", "b.png"):
        Image.fromarray(places).save(folder / name)
    make(folder, tmp_path / "out", 12)
    mirrored = 0
    for square, *_ in asked:
        side = len(square)
        down, across = np.diff(square[:, :, 0].astype(int), axis=0), np.diff(square[:, :, 1].astype(int), axis=1)
        assert (down == 1).all()
        assert (across == across[0, 0]).all()
        assert abs(across[0, 0]) == 1
        mirrored += across[0, 0] == -1
        assert 64 <= side <= 150
    assert 0 < mirrored < 12


def test_a_square_is_as_large_as_the_proxy_reads_at_256(tmp_path: Path) -> None:
    """Of 320 pixels of the longer side, times what is drawn; some pictures are made small first."""
    Image.fromarray(np.zeros((900, 1280, 3), np.uint8)).save(tmp_path / "large.png")
    sides = [len(harm_lessons._cut(Source(tmp_path / "large.png"), np.random.default_rng(i))) for i in range(60)]
    small = [side for side in sides if side <= 320]
    assert 10 < len(small) < 32
    assert min(small) > 180
    large = [side for side in sides if side > 320]
    assert 1024 / 1.43 < min(large) < 760
    assert max(large) == 900


def test_small_pictures_are_filled_up(asked: list[tuple[Pixels, Sequence[Pixels], bool, int]], tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    folder.mkdir()
    for i in range(2):
        Image.fromarray(np.full((5, 30, 3), 99, np.uint8)).save(folder / f"{i}.png")
    make(folder, tmp_path / "out", 2)
    assert [square.shape for square, *_ in asked] == [(64, 64, 3)] * 2


def test_the_same_seed_makes_the_same(
    asked: list[tuple[Pixels, Sequence[Pixels], bool, int]], photographs: Path, scenes: Path, tmp_path: Path
) -> None:
    one, again, other = (
        make(photographs, tmp_path / name, 6, scenes, seed=seed) for name, seed in (("a", 3), ("b", 3), ("c", 4))
    )
    assert (one.squares == again.squares).all()
    assert (one.harm == again.harm).all()
    assert (one.squares != other.squares).any()
    for (square, coded, road, seed), (same, decoded, also, number) in zip(asked[:6], asked[6:12], strict=True):
        assert (square == same).all()
        assert all((x == y).all() for x, y in zip(coded, decoded, strict=True))
        assert (road, seed) == (also, number)


def test_pictures_that_are_named_are_left_alone(
    asked: list[tuple[Pixels, Sequence[Pixels], bool, int]], plain: Path, roads: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    but = [f"p{i:02}" for i in range(45) if i not in (7, 9, 11)]
    found = make(plain, out, 40, roads, but=but)
    assert set(colours(found.squares[:-1])) == {18, 22, 209, 211}
    assert colours(found.squares[-1:])[0] in (14, 207)  # what is left is shared out anew
    with pytest.raises(RecipeError, match="4 squares from 1 photographs; two of each are needed"):
        make(plain, out, 4, roads, but=[*but, "p07", "p09"])


def test_one_road_scene_is_too_few_to_hold_any_out(
    asked: list[tuple[Pixels, Sequence[Pixels], bool, int]], plain: Path, roads: Path, tmp_path: Path
) -> None:
    found = make(plain, tmp_path / "out", 30, roads, but=[f"p{i:02}" for i in range(42) if i != 20])
    assert set(colours(found.squares)) <= {40, 84, 86, 88}
    assert not any(road for _, _, road, _ in asked)


def test_making_that_is_cut_off_is_refused(
    asked: list[tuple[Pixels, Sequence[Pixels], bool, int]], plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    words = rf"{out} holds no lessons of harm: .*; `python -m foveal\.tasks\.proxy\.harm_lessons` makes them"
    with pytest.raises(RecipeError, match=words):
        HarmLessons.read([out])
    with monkeypatch.context() as patch:
        patch.setattr(Told, "harm", lambda self, *_, **more: 1 / (2 - more["seed"]))
        with pytest.raises(ZeroDivisionError):
            make(plain, out, 5)
    with pytest.raises(RecipeError, match=words):
        HarmLessons.read([out])
    make(plain, out, 5)
    with pytest.raises(RecipeError, match="holds lessons of harm already; name another folder"):
        make(plain, out, 5)
    whole = make(plain, tmp_path / "other", 5)
    found = HarmLessons.read([out, tmp_path / "other"])
    assert [len(some.squares) for some in found] == [5, 5]
    assert (found[1].squares == whole.squares).all()
    for name in ("harm.npy", "squares.npy"):
        data = (out / name).read_bytes()
        for part in (data[: len(data) // 2], b"", b"junk" * 99):
            (out / name).write_bytes(part)
            with pytest.raises(RecipeError, match=words):
                HarmLessons.read([tmp_path / "other", out])
        (out / name).write_bytes(data)
    HarmLessons.read([out])


def test_what_cannot_be_made_is_named(
    asked: list[tuple[Pixels, Sequence[Pixels], bool, int]], plain: Path, roads: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(RecipeError, match="1 squares from 45 photographs; two of each are needed"):
        make(plain, out, 1)
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecipeError, match=r"no pictures in .*empty"):
        make(tmp_path / "empty", out, 4)
    with pytest.raises(RecipeError, match=r"no pictures in .*train; CamVid"):
        make(plain, out, 4, plain)
    assert not out.exists()
    for path in plain.glob("*.png"):
        path.write_bytes(b"junk")
    with pytest.raises(RecipeError, match=r"cannot read .*p\d\d\.png: .*; take it out of what the proxy learns from"):
        make(plain, out, 4)
    with pytest.raises(RecipeError, match="holds no lessons of harm"):
        HarmLessons.read([out])


def command(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["harm_lessons", *map(str, arguments)])
    return harm_lessons.main()


def test_the_command_line_makes_lessons_that_teachers_tell(
    networks: Path, photographs: Path, scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "but.txt").write_text("2\nother\n")
    folders = ["--photos", photographs, "--scenes", scenes, "--networks", networks]
    assert (
        command(monkeypatch, *folders, "--out", tmp_path / "a", "--squares", 4, "--but", tmp_path / "but.txt", "--seed", 5) == 0
    )
    (found,) = HarmLessons.read([tmp_path / "a"])
    assert (found.squares.shape, found.squares.dtype) == ((4, SIDE, SIDE, 3), np.uint8)
    assert (found.harm.shape, found.harm.dtype) == ((4, len(TASKS), GRID, GRID), np.float16)
    assert found.held_out == 1
    harm = found.harm.astype(np.float32)
    told = (harm >= 0).all((2, 3))
    assert (harm[~told] == -1).all()
    assert harm.mean((2, 3))[told] == pytest.approx(1, abs=0.01)
    parts = TASKS.index("segment")
    assert np.delete(told, parts, 1).all()
    assert set(told[:, parts].tolist()) == {False, True}
    asked = dict[str, object]()
    monkeypatch.setattr(
        harm_lessons, "make_harm_lessons", lambda *given, **more: asked.update(more, squares=given[4], photos=given[0])
    )
    assert command(monkeypatch, *folders[:2], *folders, "--out", tmp_path / "b", "--seed", 7) == 0
    assert asked == {"photos": [photographs, photographs], "squares": 2500, "seed": 7, "but": []}


def test_the_command_line_ends_with_a_named_error(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for more, words in (
        (["--squares", 1], "1 squares from 3 photographs"),
        (["--but", tmp_path / "none.txt"], r"cannot read .*none\.txt, the list of pictures to leave alone: .*No such file"),
    ):
        arguments = ["--photos", photographs, "--networks", tmp_path, "--out", tmp_path / "out", *more]
        assert command(monkeypatch, *arguments) == 1
        err = capsys.readouterr().err
        assert err.startswith("error: ")
        assert len(err.splitlines()) == 1
        assert re.search(words, err)
    with pytest.raises(NetworkError, match="is missing; the proxy learns from"):
        make_harm_lessons([photographs], None, tmp_path, tmp_path / "out", 4)
    assert not (tmp_path / "out").exists()


def test_squares_are_coded_by_x265_at_the_drawn_quality(photo: Picture) -> None:
    square = np.ascontiguousarray(photo.samples[:96, :96])
    codec = codec_by_name("hevc")
    data = codec.encode(Picture(square), EncodeSettings(20, preset="medium", threads=1))
    assert (harm_lessons._coded(square, 20) == codec.decode(data).samples).all()
