"""The progressive recurrent codecs: every prefix is a picture, and the bits are exact."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

import foveal
from foveal.bench.plan import default_qualities
from foveal.codecs.base import DecodeSettings, EncodeSettings
from foveal.codecs.learned.rnn import loop
from foveal.codecs.learned.rnn.bits import LEVELS, STEPS, bit_tables, frozen_ones, step_masks
from foveal.codecs.learned.rnn.cells import ConvGRU, ConvLSTM
from foveal.codecs.learned.rnn.codec import PLAIN_SUFFIX
from foveal.codecs.learned.rnn.frozen import freeze, load_networks, thaw
from foveal.codecs.learned.rnn.model import RnnModel, binarise
from foveal.codecs.learned.rnn.networks import RnnConfig
from foveal.codecs.learned.rnn.start import Channel, stage_filters
from foveal.codecs.learned.weights import default_card
from foveal.codecs.registry import codec_by_name
from foveal.errors import DamagedError, DriftError, FovealError, RecipeError, SettingsError, TargetError
from foveal.metrics.psnr import psnr_rgb_db
from foveal.picture import Picture

CODECS = ("rnn-2015", "rnn-2017")
KINDS = [(name, preset) for name in CODECS for preset in codec_by_name(name).info.presets]


def quality_of(iterations: int) -> float:
    return 1 + 99 * (iterations - 1) / 15


def waves(height: int, width: int, channels: int = 3) -> Picture:
    y, x = np.mgrid[0:height, 0:width]
    parts = [128 + 90 * np.sin(x / 9 + y / 31), 128 + 90 * np.cos(y / 12), (2 * x + y) % 256]
    return Picture(np.stack(parts[:channels], 2).astype(np.uint8))


@pytest.fixture(scope="module")
def picture() -> Picture:
    return waves(70, 101)


@pytest.mark.parametrize(("codec", "preset"), KINDS)
def test_all_presets_code_and_every_prefix_is_the_picture_of_a_smaller_file(codec: str, preset: str, picture: Picture) -> None:
    coder = codec_by_name(codec)
    prepared = coder.prepare(picture, EncodeSettings(preset=preset))
    files = {n: prepared.encode(quality_of(n)) for n in (1, 3, 5)}
    assert len(files[1]) < len(files[3]) < len(files[5])
    stages = list(coder.decode_bands(files[5]))
    assert len(stages) == 5
    for n, data in files.items():
        decoded = coder.decode(data)
        assert np.array_equal(decoded.samples, stages[n - 1].samples)
        assert np.array_equal(decoded.samples, coder.decode(files[5], settings=DecodeSettings(bands=n)).samples)
        described = coder.describe(data)
        assert len(described.bands) == n
        cut = files[5][: len(files[5]) - sum(band.bytes for band in coder.describe(files[5]).bands[n:])]
        assert np.array_equal(decoded.samples, foveal.decode(cut, allow_partial=True).samples)
    assert files[5] == coder.encode(picture, EncodeSettings(quality_of(5), preset=preset)), "what was asked before matters"


@pytest.mark.parametrize("codec", CODECS)
def test_more_iterations_come_nearer_to_a_picture(codec: str) -> None:
    photo = waves(96, 128)
    coder = codec_by_name(codec)
    stages = [psnr_rgb_db(photo, stage) for stage in coder.decode_bands(coder.encode(photo, EncodeSettings(100)))]
    assert stages[15] > stages[3] + 2 > stages[0] + 3


@pytest.mark.parametrize("codec", CODECS)
def test_coded_and_plain_files_hold_the_same_bits_and_the_plain_one_is_larger(codec: str, photo: Picture) -> None:
    preset = codec_by_name(codec).info.presets[0]
    coded = foveal.encode(photo, codec=codec, preset=preset, quality=30)
    plain = foveal.encode(photo, codec=codec, preset=preset + PLAIN_SUFFIX, quality=30)
    crcs = [[band.symbols_crc for band in foveal.info(data).bands] for data in (coded, plain)]
    assert crcs[0] == crcs[1]
    assert np.array_equal(foveal.decode(coded).samples, foveal.decode(plain).samples)
    assert len(coded) < 0.92 * len(plain)


def test_targets_are_met_by_whole_iterations(picture: Picture) -> None:
    encoded = foveal.encode(picture, codec="rnn-2017", target=foveal.Target(size_bytes=600))
    assert len(encoded) <= 600
    iterations = len(foveal.info(encoded).bands)
    assert len(foveal.encode(picture, codec="rnn-2017", quality=quality_of(iterations + 1))) > 600
    reached = foveal.encode(picture, codec="rnn-2017", target=foveal.Target(psnr_db=18.0))
    assert psnr_rgb_db(picture, foveal.decode(reached)) >= 18
    with pytest.raises(TargetError, match="no quality of rnn-2017"):
        foveal.encode(picture, codec="rnn-2017", target=foveal.Target(size_bytes=30))


def test_more_bands_than_the_file_has_are_refused_by_number(picture: Picture) -> None:
    data = foveal.encode(picture, codec="rnn-2015", quality=quality_of(2))
    with pytest.raises(SettingsError, match="bands = 3; the file has 2 iterations"):
        foveal.decode(data, bands=3)
    with pytest.raises(SettingsError, match="rnn-2015 has 16 bands"):
        foveal.decode(data, bands=17)


def test_a_prefix_reads_fewer_bytes(picture: Picture) -> None:
    coder = codec_by_name("rnn-2017")
    data = coder.encode(picture, EncodeSettings(quality_of(6)))
    read = [coder.bytes_needed(data, settings=DecodeSettings(bands=n)) for n in (1, 4, 6)]
    assert read[0] < read[1] < read[2] == len(data)


def test_a_file_decodes_to_the_same_bits_whatever_the_caller_has_set(picture: Picture) -> None:
    """What is written is exact: a decoder with other threads and types checks every symbol against the CRCs; pixels may differ by 1."""
    codec = codec_by_name("rnn-2017")
    data = codec.encode(picture, EncodeSettings(quality_of(7)))
    first = codec.decode(data, settings=DecodeSettings(threads=1)).samples
    assert np.abs(first.astype(int) - codec.decode(data, settings=DecodeSettings(threads=2)).samples).max() <= 1
    torch.set_default_dtype(torch.float64)
    try:
        with torch.autocast("cpu"):
            assert np.abs(first.astype(int) - codec.decode(data).samples).max() <= 1
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("codec", CODECS)
def test_blocks_show_no_seams(codec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture larger than a block is coded in several; here blocks are of 64 pixels."""
    photo = waves(150, 200)
    coder = codec_by_name(codec)
    whole = coder.decode(coder.encode(photo, EncodeSettings(quality_of(4))))
    monkeypatch.setattr(loop, "BLOCK", 64)
    data = coder.encode(photo, EncodeSettings(quality_of(4)))
    blocks = coder.decode(data)
    assert len(loop.blocks(10, 13, load_networks(default_card(codec)).config)) > 1
    if codec == "rnn-2015":
        assert np.array_equal(whole.samples, blocks.samples)
    else:
        assert psnr_rgb_db(photo, blocks) > psnr_rgb_db(photo, whole) - 0.3
        stages = list(coder.decode_bands(data))
        assert np.array_equal(stages[-1].samples, blocks.samples)


def test_tiles_of_2015_do_not_touch(picture: Picture) -> None:
    data = foveal.encode(picture, codec="rnn-2015", quality=quality_of(3))
    alone = foveal.encode(Picture(np.ascontiguousarray(picture.samples[:32, 32:64])), codec="rnn-2015", quality=quality_of(3))
    a, b = foveal.decode(data).samples[:32, 32:64].astype(int), foveal.decode(alone).samples
    assert np.abs(a - b).max() <= 1


@pytest.mark.parametrize(
    ("at", "value", "message"), [(0, 1, "HEAD has the quality 1; 1 bands are 0"), (2, 8, "names preset 8 of rnn-2017")]
)
def test_parameters_that_no_writer_makes_are_damage(at: int, value: int, message: str, picture: Picture) -> None:
    from dataclasses import replace

    from foveal.container.reader import read_container
    from foveal.container.writer import write_container
    from foveal.limits import DEFAULT_LIMITS

    container = read_container(foveal.encode(picture, codec="rnn-2017", quality=1), DEFAULT_LIMITS)
    parameters = bytearray(container.head.parameters)
    parameters[at] = value
    changed = write_container(replace(container, head=replace(container.head, parameters=bytes(parameters))))
    for read in (foveal.decode, foveal.info):
        with pytest.raises(DamagedError, match=message):
            read(changed)


@pytest.mark.parametrize("preset", ["lstm", "lstm-plain"])
def test_damaged_payloads_give_own_errors(preset: str) -> None:
    """The payload changed and all sums but the symbols' made right again."""
    from dataclasses import replace

    from foveal.container.reader import read_container
    from foveal.container.writer import write_container
    from foveal.limits import DEFAULT_LIMITS

    container = read_container(foveal.encode(waves(33, 31), codec="rnn-2015", preset=preset, quality=1), DEFAULT_LIMITS)
    (unit,) = container.units
    random = np.random.default_rng(3)
    for _ in range(40):
        payload = bytearray(unit.payload)
        payload[int(random.integers(len(payload)))] ^= 1 << int(random.integers(8))
        changed = write_container(replace(container, units=(replace(unit, payload=bytes(payload)),)))
        with pytest.raises((DamagedError, DriftError)):
            foveal.decode(changed)
    for payload in (b"", unit.payload[:-1], unit.payload + b"\1", bytes(4000)):
        with pytest.raises(FovealError):
            foveal.decode(write_container(replace(container, units=(replace(unit, payload=payload),))))


def test_each_bit_belongs_to_one_step() -> None:
    masks = step_masks(32, 5, 4)
    assert masks.shape == (STEPS, 32, 5, 4)
    assert (masks.sum(0) == 1).all()
    assert not (masks[0] & masks[0].roll(1, -1)).any(), "neighbours of one channel are coded in one step"


def test_tables_are_whole_and_rise() -> None:
    ones = frozen_ones()
    assert len(ones) == LEVELS
    assert (np.diff(ones) > 0).all()
    assert 1 <= ones.min() <= ones.max() <= 65534
    assert {int(table.frequencies.sum()) for table in bit_tables(ones)} == {1 << 16}
    assert np.array_equal(ones + ones[::-1], np.full(LEVELS, 65535)), "a bit and its contrary are not treated alike"


@pytest.mark.parametrize("cell", [ConvLSTM, ConvGRU])
def test_no_state_is_a_state_of_zeros(cell: type[ConvLSTM] | type[ConvGRU]) -> None:
    torch.manual_seed(0)
    layer = cell(3, 4, stride=2, hidden=3)
    x = torch.randn(1, 3, 8, 6)
    zeros = (torch.zeros(1, 4, 4, 3),) * (2 if cell is ConvLSTM else 1)
    fresh, zero = layer(x, ()), layer(x, zeros)
    assert torch.allclose(fresh[0], zero[0], atol=1e-6)
    assert len(fresh[1]) == len(zero[1])
    again = layer(x, fresh[1])[0]
    assert not torch.allclose(again, fresh[0], atol=1e-3), "the state is not used"


@pytest.mark.parametrize("width", [32, 96])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_before_any_training_more_iterations_come_nearer(cell: str, width: int, photo: Picture) -> None:
    torch.manual_seed(0)
    model = RnnModel(RnnConfig(cell=cell, width=width)).eval()
    x = torch.from_numpy(photo.samples[None, :128, :160].copy()).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        error = [float(e) for e in model(x, 16).error]
    assert error[0] > 1.3 * error[2] > 1.5 * error[15]


def test_the_stages_of_the_start_undo_each_other() -> None:
    levels = [[Channel(0)]]
    for _ in range(3):
        levels.append([child for channel in levels[-1] for child in channel.children()])
    forward = [stage_filters(above, below).flatten(1) for above, below in pairwise(levels)]
    gram = forward[0] @ forward[0].T
    assert torch.allclose(gram, torch.eye(4) / 4)
    variances = [channel.variance for channel in levels[3]]
    assert max(variances) == variances[0], "the mean of a block is not its largest coefficient"
    line = 0.95 ** np.abs(np.arange(8)[:, None] - np.arange(8))
    covariance = 0.23**2 * np.kron(line, line)
    assert variances[0] == pytest.approx(covariance.mean(), rel=1e-4)
    assert 64 * sum(variances) == pytest.approx(covariance.trace(), rel=1e-4)


def test_bits_drawn_have_the_odds_as_their_mean() -> None:
    torch.manual_seed(0)
    odds = torch.full((200_000,), 0.3, requires_grad=True)
    drawn = binarise(odds, stochastic=True)
    assert np.unique(drawn.detach().numpy()).tolist() == [-1.0, 1.0]
    assert float(drawn.detach().mean()) == pytest.approx(0.3, abs=0.01)
    assert (binarise(odds, stochastic=False) == 1).all()
    drawn.sum().backward()
    gradient = odds.grad
    assert isinstance(gradient, torch.Tensor)
    assert gradient.eq(1).all()


@pytest.mark.parametrize("reconstruction", ["additive", "one-shot"])
def test_training_and_the_frozen_codec_agree(reconstruction: str) -> None:
    torch.manual_seed(0)
    model = RnnModel(RnnConfig(width=32, reconstruction=reconstruction, iterations=3, context=8)).eval()
    thawed = RnnModel(model.config).eval()
    thawed.load_state_dict(thaw(freeze(model)))
    x = torch.rand(1, 3, 32, 48)
    with torch.no_grad():
        own, again = (m(x, 3) for m in (model, thawed))
    for a, b in zip(own.error, again.error, strict=True):
        assert float(a) == pytest.approx(float(b), rel=0.05)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"cell": "rnn"}, "cell = 'rnn'"),
        ({"reconstruction": "both"}, "reconstruction = 'both'"),
        ({"tile": 48}, "tile = 48"),
        ({"width": 40}, "width = 40"),
        ({"iterations": 17}, "iterations = 17"),
    ],
)
def test_sizes_that_cannot_be_are_named(sizes: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        RnnConfig(**sizes)  # type: ignore[arg-type]


def test_the_network_of_a_step_is_the_whole_network() -> None:
    context = load_networks(default_card("rnn-2017", "lstm-additive")).context
    random = torch.Generator().manual_seed(0)
    known = torch.randint(-1, 2, (1, 96, 7, 9), generator=random).float()
    with torch.inference_mode():
        whole = context(known, 5)
        step = context.stepwise(known[:, 32:].contiguous(), 5)(known[:, :32].contiguous())
    assert torch.equal(whole, step)
    assert float(whole.abs().max()) > 0


def test_the_bench_asks_for_whole_iterations() -> None:
    info = codec_by_name("rnn-2017").info
    assert [info.scale.native(quality) for quality in default_qualities(info)] == [1, 2, 4, 8, 16]
    for quality, iterations in zip(default_qualities(info), (1, 2, 4, 8, 16), strict=True):
        assert quality == pytest.approx(quality_of(iterations))
