"""``digits``: the codec of the experiment, one file for each handwritten digit.

::

        x ─► analysis ─► nearest cluster, steps from it ─► round ─► symbols ─► exact interval ─► file
        x̂ ◄─ synthesis ◄──────── cluster + steps ◄───────────────── symbols ◄─ exact interval ◄─ file

The file is the bare payload of the entropy coder, cut to its shortest form: 0 to about 20 bytes. It has no magic, no
header and no check sum, since the head of a container would be larger than all the rest; so it says neither which
weights it was made with nor that it is of this codec, and whoever reads it has to know both. What is damaged is found
where no digit has such a file; where another digit has it, as may be after a cut, that digit is decoded.

The symbols are the same on every machine; the picture may differ by 1 where floats do.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import Tensor

from foveal.codecs.base import Codec, CodecInfo, DecodeSettings, EncodeSettings, FileInfo, Prepared, QualityScale
from foveal.codecs.learned.runtime import inference
from foveal.codecs.learned.weights import weights_id
from foveal.digits.coding import DigitTables
from foveal.digits.data import SIDE
from foveal.digits.model import STEP_ERROR_BITS, DigitModel
from foveal.digits.recipe import CodecSizes
from foveal.errors import PictureError, UnknownWeightsError
from foveal.limits import DEFAULT_LIMITS, Limits
from foveal.media.output import write_whole
from foveal.picture import Picture

INFO: Final = CodecInfo(
    id=0,  # of no .fvl file
    name="digits",
    title="Handwritten digits, 28x28, at one rate",
    suffixes=(".digit",),
    scale=QualityScale("weights", 1.0, 1.0, continuous=True),
    learned=True,
    needs=("torch", "safetensors"),
)
_SIZES: Final = ("latents", "channels", "clusters")
_TABLES: Final = ("low", "counts", "frequencies", "clusters")


@final
@dataclass(frozen=True, eq=False)
class DigitNetworks:
    """What is frozen of one point: float transforms, integer tables, and the id of the file that holds both."""

    id: str
    sizes: CodecSizes
    model: DigitModel
    tables: DigitTables


@final
class DigitCodec(Codec):
    """Codes gray pictures of 28x28 pixels at the one rate that its weights have; ``quality`` changes nothing."""

    def __init__(self, networks: DigitNetworks) -> None:
        super().__init__(INFO)
        self.networks = networks

    def _prepare(self, picture: Picture, settings: EncodeSettings) -> DigitPrepared:
        if picture.alpha is not None:
            raise PictureError("digits holds no alpha; lay the picture over a colour first with --background")
        if picture.samples.shape != (SIDE, SIDE, 1):
            kind = "gray" if picture.is_gray else "colour"
            raise PictureError(
                f"a {kind} picture of {picture.width}x{picture.height}; digits codes gray ones of {SIDE}x{SIDE} and nothing else"
            )
        return DigitPrepared(self.networks, picture, settings.threads)

    def _decode(self, data: bytes | memoryview, limits: Limits, settings: DecodeSettings) -> Picture:
        _check_limits(data, limits)
        cluster, symbols = self.networks.tables.read(bytes(data))
        with inference():
            made = self.networks.model.pictures(torch.tensor([cluster]), torch.from_numpy(symbols[None]).float())
        return Picture(made[0, 0, :, :, None].numpy())

    def describe(self, data: bytes, limits: Limits = DEFAULT_LIMITS) -> FileInfo:
        _check_limits(data, limits)
        self.networks.tables.read(data)
        return FileInfo(codec=INFO.name, bytes=len(data), width=SIDE, height=SIDE, channels=1, weights=self.networks.id)


@final
class DigitPrepared(Prepared):
    """A digit after analysis: its cluster, its symbols ``(latents,)``, and the bits that the tables say they take."""

    def __init__(self, networks: DigitNetworks, picture: Picture, threads: int | None) -> None:
        with inference(threads):
            x = torch.from_numpy(np.ascontiguousarray(picture.samples)).reshape(1, 1, SIDE, SIDE).float() / 255
            near, steps = networks.model.near(x)
        self._tables = networks.tables
        cluster, symbols, bits = networks.tables.choose(near.numpy(), steps.double().numpy(), STEP_ERROR_BITS)
        self.cluster, self.symbols, self.bits = int(cluster[0]), symbols[0], float(bits[0])

    def encode(self, quality: float) -> bytes:
        INFO.scale.native(quality)
        return self._tables.file(self.cluster, self.symbols)


def save_networks(path: Path, model: DigitModel, tables: DigitTables) -> DigitNetworks:
    """Writes the frozen codec as one safetensors file, whole or not at all, and returns it.

    Raises:
        InputError: the file cannot be written.
    """
    sizes = torch.tensor([getattr(model.sizes, name) for name in _SIZES])
    parts = {name: torch.from_numpy(getattr(tables, name).astype(np.int32)) for name in _TABLES}
    tensors: dict[str, Tensor] = {"sizes": sizes, **{f"tables.{name}": part for name, part in parts.items()}}
    data = save_safetensors(tensors | {name: t.contiguous() for name, t in model.state_dict().items()})
    write_whole(path, data)
    return _networks(data)


def load_networks(path: Path) -> DigitNetworks:
    """Reads a frozen codec. Raises UnknownWeightsError: the file is missing, damaged or of something else."""
    try:
        return _networks(path.read_bytes())
    except Exception as error:  # safetensors and torch have errors of their own
        raise UnknownWeightsError(f"{path} holds no weights of digits: {error}; `foveal rdc-digits` makes them") from error


def _networks(data: bytes) -> DigitNetworks:
    tensors = load_safetensors(data)
    held: npt.NDArray[np.int64] = tensors.pop("sizes").numpy()
    sizes = CodecSizes(**{name: int(size) for name, size in zip(_SIZES, held, strict=True)})
    tables = DigitTables(*(tensors.pop(f"tables.{name}").numpy().astype(np.int64) for name in _TABLES))
    model = DigitModel(sizes)
    model.load_state_dict(tensors)
    model.eval().requires_grad_(False)
    return DigitNetworks(weights_id(data), sizes, model, tables)


def _check_limits(data: bytes | memoryview, limits: Limits) -> None:
    limits.check_payload(len(data))
    limits.check_size(SIDE, SIDE)
