"""``hevc-blocks``: files of two layers, their choice by cost, and what damage does to them."""

from __future__ import annotations

import zlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

import foveal
from foveal.codecs.around import cards
from foveal.codecs.around.blocks.choice import slope_at, squared_error
from foveal.codecs.around.blocks.codec import BlocksPrepared, Coded, layers_crc
from foveal.codecs.around.blocks.kinds import FULL, LEARNED, PLAIN, write_kinds
from foveal.codecs.around.blocks.layers import code_layer, decode_layer
from foveal.codecs.around.blocks.payload import Payload, read_payload, write_payload
from foveal.codecs.around.blocks.upsampling import load_networks
from foveal.codecs.base import Codec, DecodeSettings, EncodeSettings
from foveal.codecs.registry import codec_by_name
from foveal.container.bounded import varint
from foveal.container.format import Container
from foveal.container.reader import read_container
from foveal.container.writer import write_container
from foveal.errors import DamagedError, DriftError, FovealError, LimitError, TruncatedError, UnknownWeightsError
from foveal.limits import DEFAULT_LIMITS, Limits
from foveal.media.color import Matrix, YCbCr
from foveal.picture import Picture

pytest.importorskip("av", reason="PyAV codes the layers: pip install av")
FAST = EncodeSettings(preset="ultrafast", threads=1)


@pytest.fixture(scope="module")
def codec() -> Codec:
    return codec_by_name("hevc-blocks")


@pytest.fixture(scope="module")
def smooth(photo: Picture) -> Picture:
    blurred = Image.fromarray(photo.samples).filter(ImageFilter.GaussianBlur(4))
    return Picture(np.asarray(blurred))


def _candidates(codec: Codec, picture: Picture, quality: float, **given: tuple[int, ...]) -> list[Coded]:
    prepared = codec.prepare(picture, FAST)
    assert isinstance(prepared, BlocksPrepared)
    return list(prepared.candidates(quality, **given))


def _pattern(height: int, width: int, channels: int) -> Picture:
    y, x, c = np.mgrid[0:height, 0:width, 0:channels]
    return Picture((128 + 60 * np.sin(x / 9 + c) + 50 * np.cos(y / (4 + c))).astype(np.uint8))


@settings(max_examples=25)
@given(
    height=st.integers(1, 150), width=st.integers(1, 150), channels=st.sampled_from([1, 3]),
    quality=st.floats(1, 100), alpha=st.booleans(),
)  # fmt: skip
def test_any_size_comes_back(height: int, width: int, channels: int, quality: float, alpha: bool) -> None:
    codec, picture = codec_by_name("hevc-blocks"), _pattern(height, width, channels)
    picture = replace(picture, alpha=picture.samples[:, :, 0].copy() if alpha else None, icc=b"a profile", exif=b"a block")
    for coded in _candidates(codec, picture, quality):
        back = codec.decode(coded.data)
        assert back.samples.shape == (height, width, channels)
        assert (back.samples == coded.samples).all(), "the encoder chose by what the decoder gives"
        assert (back.alpha is None) == (not alpha)
        assert back.alpha is None or (back.alpha == picture.alpha).all()
        assert (back.icc, back.exif) == (picture.icc, picture.exif)


def test_smooth_goes_half_and_detail_stays_full(codec: Codec, smooth: Picture) -> None:
    y, x = np.mgrid[0:256, 0:256]
    stripes = Picture((128 + 90 * ((x + y) % 3 - 1)).astype(np.uint8)[:, :, None].repeat(3, 2))
    for picture, half in ((smooth, True), (stripes, False)):
        best = min(_candidates(codec, picture, 10), key=lambda coded: coded.cost)
        assert ((best.kinds == FULL).all(), (best.kinds != FULL).all()) == (not half, half)
        assert codec.encode(picture, replace(FAST, quality=10)) == best.data


def test_blocks_of_both_sizes_stand_in_one_file_where_that_is_cheapest(codec: Codec) -> None:
    """Noise in a strip beside waves that half the samples hold."""
    y, x = np.mgrid[0:256, 0:448]
    waves = np.stack([128 + 60 * np.sin(x / 7 + y / 15), 128 + 60 * np.cos(y / 7), 128 + 50 * np.sin((x - y) / 10)], 2)
    waves[:, :128] += 30 * np.random.default_rng(7).standard_normal((256, 128, 1))
    picture = Picture(np.clip(waves, 0, 255).astype(np.uint8))
    full, half, *mixed = _candidates(codec, picture, 30)
    assert mixed
    assert mixed[0].cost < min(full.cost, half.cost)
    assert (mixed[0].kinds[:, :2] == FULL).all()
    assert (mixed[0].kinds[:, 2:] != FULL).all()
    data = codec.encode(picture, replace(FAST, quality=30))
    assert len(data) < 0.97 * len(full.data)
    payload = read_payload(read_container(data, DEFAULT_LIMITS).units[0].payload)
    assert payload.full is not None
    assert payload.half is not None


@pytest.mark.parametrize("quality", [2, 20, 45, 80])
def test_it_is_never_worse_than_plain_hevc(codec: Codec, photo: Picture, smooth: Picture, quality: float) -> None:
    """In squared error and bits, at the slope of this quality; the file around a layer is smaller than the heads that it saves."""
    slope = slope_at(51 - 47 * (quality - 1) / 99)
    for picture in (photo, smooth):
        plain = codec_by_name("hevc").encode(picture, replace(FAST, quality=quality))
        own = codec.encode(picture, replace(FAST, quality=quality))
        costs = [
            float(squared_error(picture.samples, foveal.decode(data).samples).sum(dtype=np.float64)) + slope * 8 * len(data)
            for data in (plain, own)
        ]
        assert costs[1] <= costs[0] * 1.0001


def test_quality_rises_with_size_and_targets_are_met(codec: Codec, photo: Picture) -> None:
    files = [codec.encode(photo, replace(FAST, quality=q)) for q in (1, 5, 10, 20, 40, 70, 100)]
    sizes, errors = (
        [len(data) for data in files],
        [squared_error(photo.samples, codec.decode(data).samples).mean() for data in files],
    )
    assert sizes == sorted(sizes)
    assert errors == sorted(errors, reverse=True)
    data = foveal.encode(photo, codec="hevc-blocks", preset="ultrafast", target=foveal.Target(bpp=0.3))
    assert 0.9 * 0.3 * 256 * 256 / 8 < len(data) <= 0.3 * 256 * 256 / 8


def test_kinds_of_blocks_can_be_asked_for_and_networks_are_better(codec: Codec, photo: Picture) -> None:
    plain, learned = (_candidates(codec, photo, 10, kinds=(kind,))[1] for kind in (PLAIN, LEARNED))
    assert (plain.kinds == PLAIN).all()
    assert (learned.kinds == LEARNED).all()
    assert squared_error(photo.samples, learned.samples).mean() < 0.99 * squared_error(photo.samples, plain.samples).mean()


@pytest.fixture(scope="module")
def small(codec: Codec) -> tuple[bytes, Payload, Container]:
    """A file with both layers and alpha, of few blocks, made by hand."""
    x = np.mgrid[0:66, 0:70][1]
    planes = tuple((128 + 90 * np.sin(x[: 66 // s, : 70 // s] / 5)).astype(np.uint8) for s in (1, 2, 2))
    halves = tuple(plane[::2, ::2].copy() for plane in (planes[0], np.pad(planes[1], ((0, 1), (0, 1)), mode="edge")[:33, :35]))
    halves = (halves[0], halves[1], halves[1])
    full, half = (YCbCr(some, "420", Matrix.BT709, True) for some in (planes, halves))
    streams = [code_layer(layer, 45, "ultrafast", 1) for layer in (full, half)]
    decoded = [decode_layer(s, layer.planes[0].shape, "420").planes for s, layer in zip(streams, (full, half), strict=True)]
    kinds = np.array([[FULL, LEARNED], [PLAIN, FULL]], np.int32)
    payload = Payload(streams[0], streams[1], 40, write_kinds(kinds, (FULL, PLAIN, LEARNED)))
    like = codec.encode(Picture(np.zeros((66, 70, 3), np.uint8), alpha=x.astype(np.uint8)), FAST)
    container = read_container(like, DEFAULT_LIMITS)
    unit = replace(container.units[0], symbols_crc=layers_crc(kinds, *decoded), payload=write_payload(payload))
    container = replace(container, units=(unit,))
    return write_container(container), payload, container


def _with(container: Container, payload: Payload) -> bytes:
    return write_container(replace(container, units=(replace(container.units[0], payload=write_payload(payload)),)))


def test_what_is_made_by_hand_decodes(codec: Codec, small: tuple[bytes, Payload, Container]) -> None:
    assert codec.decode(small[0]).samples.shape == (66, 70, 3)
    about = foveal.info(small[0])
    assert (about.codec, about.width, about.height, about.weights) == (
        "hevc-blocks",
        70,
        66,
        cards.card_for("upsample", "hevc").id,
    )


def test_a_cut_file_or_a_changed_byte_is_never_a_picture(codec: Codec, small: tuple[bytes, Payload, Container]) -> None:
    data = small[0]
    for size in range(len(data)):
        with pytest.raises(FovealError):
            codec.decode(data[:size])
    for at in range(len(data)):
        with pytest.raises(FovealError):
            foveal.decode(data[:at] + bytes([data[at] ^ 255]) + data[at + 1 :])


def test_a_payload_that_sums_do_not_show_is_damage_or_drift(codec: Codec, small: tuple[bytes, Payload, Container]) -> None:
    """Bytes of the payload changed and sums of chunks made to fit, as one in 65,536 damages does."""
    data, payload, container = small
    unit, whole = container.units[0], codec.decode(data).samples
    for at in range(len(unit.payload)):
        changed = unit.payload[:at] + bytes([unit.payload[at] ^ 85]) + unit.payload[at + 1 :]
        data = write_container(replace(container, units=(replace(unit, payload=changed),)))
        try:
            picture = codec.decode(data)
        except FovealError:
            continue
        if read_payload(changed).level == payload.level:  # it moves networks alone
            assert (picture.samples == whole).all(), "what HEVC looks past changes nothing"


def test_wrong_layers_are_refused_by_name(codec: Codec, small: tuple[bytes, Payload, Container], photo: Picture) -> None:
    _, payload, container = small
    assert payload.full is not None
    assert payload.half is not None
    other = write_kinds(np.array([[PLAIN, LEARNED], [PLAIN, FULL]], np.int32), (FULL, PLAIN, LEARNED))
    with pytest.raises(DriftError):
        codec.decode(_with(container, replace(payload, kinds=other)))
    with pytest.raises(DriftError):
        codec.decode(write_container(replace(container, units=(replace(container.units[0], symbols_crc=1),))))
    for kinds in (b"", payload.kinds + b"\1" * 8):
        with pytest.raises((DamagedError, DriftError)):
            codec.decode(_with(container, replace(payload, kinds=kinds)))
    with pytest.raises(DamagedError, match="a layer of 70x66"):
        codec.decode(_with(container, replace(payload, half=payload.full)))
    gray = code_layer(YCbCr((photo.samples[:66, :70, 0].copy(),), "400", Matrix.BT709, True), 45, "ultrafast", 1)
    with pytest.raises(DamagedError, match="chroma 400"):
        codec.decode(_with(container, replace(payload, full=gray)))
    for cut in (payload.full[:-3], payload.full[:90]):
        with pytest.raises(FovealError):
            codec.decode(_with(container, replace(payload, full=cut)))
    for start in (0, 4, 255):
        with pytest.raises(DamagedError, match=f"layers {start}"):
            read_payload(bytes([start]) + container.units[0].payload[1:])


def test_heads_are_bounded() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = packer.compress(bytes(1 << 20)) + packer.flush()
    with pytest.raises(DamagedError, match="at most 4096 bytes"):
        read_payload(b"\1" + varint(len(bomb)) + bomb)
    for heads in (b"", b"\x07no deflate stream", bomb[:40]):
        with pytest.raises(DamagedError, match="the heads of the layers"):
            read_payload(b"\1" + varint(len(heads)) + heads)
    with pytest.raises(TruncatedError):
        read_payload(b"\1" + varint(1 << 40))


def test_callers_settings_change_next_to_nothing_and_are_left_alone(codec: Codec, photo: Picture) -> None:
    data = next(coded for coded in _candidates(codec, photo, 8) if (coded.kinds == LEARNED).any()).data
    expected, threads = codec.decode(data).samples.astype(int), torch.get_num_threads()
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            with torch.autocast("cpu", torch.bfloat16), torch.enable_grad():
                found = codec.decode(data, settings=DecodeSettings(threads=count)).samples
                assert torch.is_autocast_enabled("cpu")
                assert torch.is_grad_enabled()
            assert np.abs(expected - found).max() <= 1
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(threads)
    state = torch.random.get_rng_state()
    load_networks.cache_clear()
    codec.decode(data)
    assert torch.equal(state, torch.random.get_rng_state())


def test_other_weights_and_limits_are_named(codec: Codec, small: tuple[bytes, Payload, Container]) -> None:
    container = small[2]
    with pytest.raises(UnknownWeightsError, match="upsample network 01020304"):
        codec.decode(write_container(replace(container, head=replace(container.head, weights=b"\1\2\3\4"))))
    with pytest.raises(LimitError):
        codec.decode(small[0], Limits(pixels=4000))


def test_missing_weights_are_named(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cards, "around_cards", tuple)
    with pytest.raises(UnknownWeightsError, match="no upsample network for hevc"):
        codec.encode(_pattern(16, 16, 3))
