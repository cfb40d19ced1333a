"""Pictures that heads learn from: sizes, scales, what is held out, and that a number decides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from foveal.errors import RecipeError
from foveal.picture import Picture
from foveal.training.latent_pictures import COCO, ScaledCrops, load_pictures, padded_picture


@pytest.fixture
def data(tmp_path: Path, photo: Picture) -> Path:
    for folder, count in (("photos", 3), (COCO, 9), ("camvid/train", 2), ("coco/images/val2017", 2)):
        (tmp_path / folder).mkdir(parents=True)
        for i in range(count):
            Image.fromarray(np.roll(photo.samples, 40 * i, axis=0)[: 128 + i, :160]).save(tmp_path / folder / f"{i}.png")
    return tmp_path


def test_what_is_held_out_is_not_learned_from(data: Path) -> None:
    pictures = load_pictures(data)
    names = [str(source.path.relative_to(data)) for source in pictures.held_out]
    assert names == ["photos/0.png", f"{COCO}/0.png", f"{COCO}/8.png"]
    trained = [str(source.path.relative_to(data)) for source in pictures.training]
    assert trained == [
        "photos/1.png",
        "photos/2.png",
        *(f"{COCO}/{i}.png" for i in range(1, 8)),
        "camvid/train/0.png",
        "camvid/train/1.png",
    ]
    assert pictures.odds[0] == pytest.approx(4 * pictures.odds[-1])
    assert pictures.summary == "11 pictures, 3 held out"
    with pytest.raises(RecipeError, match="too few pictures in photos/ or"):
        load_pictures(data / "photos")


def test_a_number_decides_a_batch_of_one_size(data: Path) -> None:
    crops = ScaledCrops(load_pictures(data), batch=4, rows=128, columns=192, seed=5)
    again = ScaledCrops(load_pictures(data), batch=4, rows=128, columns=192, seed=5)
    sizes, ragged, flipped, scales = set[tuple[int, ...]](), 0, 0, list[float]()
    for number in range(60):
        found = crops.at(number)
        assert found.pictures.shape == (
            len(found.windows),
            *padded_picture(found.pictures[0, : found.height, : found.width]).shape,
        )
        assert found.pictures.shape[1] % 64 == found.pictures.shape[2] % 64 == 0
        assert found.pictures.shape[1] - 64 < found.height <= found.pictures.shape[1]
        np.testing.assert_array_equal(found.pictures[:, found.height :], found.pictures[:, found.height - 1 : found.height].repeat(
            found.pictures.shape[1] - found.height, 1
        ))  # fmt: skip
        sizes.add(found.pictures.shape[1:3])
        ragged += found.height % 64 > 0
        flipped += any(window.flipped for window in found.windows)
        for window in found.windows:
            x0, y0, x1, y1 = window.box
            assert 0 <= x0 < x1 <= 160
            assert 0 <= y0 < y1 <= 137
            scales.append(found.width / (x1 - x0))
            assert (y1 - y0) / (x1 - x0) == pytest.approx(found.height / found.width, rel=1e-6)
        if number < 3:
            np.testing.assert_array_equal(again.at(number).pictures, found.pictures)
    assert len(sizes) > 5
    assert 10 < ragged < 50
    assert flipped
    assert max(scales) > 1.4 * min(scales)
    assert len(crops.at(0).pictures) >= 1


def test_windows_are_what_they_say(data: Path) -> None:
    """A window's box, taken from its source by other means, is the picture."""
    pictures = load_pictures(data)
    found = ScaledCrops(pictures, batch=6, rows=64, columns=64, seed=1).at(4)
    for window, picture in zip(found.windows, found.pictures, strict=True):
        image = Image.fromarray(pictures.training[window.source].pixels)
        cut = np.asarray(
            image.transform((found.width, found.height), Image.Transform.EXTENT, window.box, Image.Resampling.BILINEAR)
        )
        cut = cut[:, ::-1] if window.flipped else cut
        shown = picture[: found.height, : found.width]
        assert np.abs(cut.astype(float) - shown).mean() < 12
        assert np.abs(cut[:, ::-1].astype(float) - shown).mean() > 12
