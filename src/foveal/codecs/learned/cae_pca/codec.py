"""``cae-pca`` in files (docs/format.md, section 12).

::

        x ─► g_a ─► y ─► axes^T ─► / step(quality) ─► round ─► symbols ─► contexts ─► file
        x̂ ◄─ g_s ◄─ ŷ ◄─ · step ◄─ axes ◄───────────────────── symbols ◄─ contexts ◄─ file
"""

from __future__ import annotations

from typing import final

import torch

from foveal.codecs.base import Codec, CodecInfo, DecodeSettings, EncodeSettings, FileInfo, Prepared
from foveal.codecs.learned.cae_pca.contexts import SymbolDecoder, SymbolEncoder, walk
from foveal.codecs.learned.cae_pca.networks import PRESETS, load_networks, log_step_at, quantised
from foveal.codecs.learned.cae_pca.transforms import ANALYSIS_REACH, STRIDE, SYNTHESIS_REACH
from foveal.codecs.learned.one_band import OneBandPrepared, padded_pixels, read_one_band
from foveal.codecs.learned.runtime import inference, run_in_blocks
from foveal.codecs.learned.symbols import check_symbols, describe_learned, symbols_crc
from foveal.codecs.learned.weights import card_of, default_card
from foveal.entropy.coder import SymbolReader, SymbolSink
from foveal.entropy.fixed_point import Integers
from foveal.limits import DEFAULT_LIMITS, Limits
from foveal.picture import Picture


@final
class CaePcaPrepared(OneBandPrepared):
    """A picture after analysis and rotation, ready for any quality."""

    def __init__(self, info: CodecInfo, picture: Picture, settings: EncodeSettings) -> None:
        self._networks = load_networks(default_card(info.name, settings.preset))
        self._way = self._networks.ways[PRESETS.index(settings.preset or PRESETS[0])]
        super().__init__(info, self._networks.card, picture, preset=settings.preset)
        with inference(settings.threads):
            y = run_in_blocks(self._networks.analysis, padded_pixels(picture, STRIDE), ANALYSIS_REACH, 1)[0].contiguous().numpy()
        self._rotated = self._way.rotation.rotate(y.reshape(len(y), -1)).reshape(y.shape)

    def _code(self, parameter: int, steps: Integers | None, sink: SymbolSink) -> int:
        """Puts all symbols; returns their CRC. The registry says that there is no map."""
        assert steps is None
        symbols = quantised(self._rotated, log_step_at(self._networks.log_steps, parameter))
        contexts = self._way.contexts
        walk(contexts, parameter, symbols.shape, SymbolEncoder(symbols, contexts.tables, sink))
        return symbols_crc(symbols)


@final
class CaePcaCodec(Codec):
    """The codec ``cae-pca`` (docs/format.md, section 12)."""

    def _prepare(self, picture: Picture, settings: EncodeSettings) -> Prepared:
        return CaePcaPrepared(self.info, picture, settings)

    def _decode(self, data: bytes | memoryview, limits: Limits, settings: DecodeSettings) -> Picture:
        file = read_one_band(self.info, data, limits, settings)
        networks = load_networks(card_of(self.info.name, file.head.weights))
        rotation, contexts = networks.ways[file.preset].rotation, networks.ways[file.preset].contexts

        shape = (len(rotation.axes), -(-file.head.height // STRIDE), -(-file.head.width // STRIDE))
        reader = SymbolReader(file.unit.payload)
        symbols = walk(contexts, file.parameter, shape, SymbolDecoder(contexts.tables, reader))
        check_symbols(symbols, file.unit)
        reader.finish()

        latent = rotation.latent(symbols.reshape(len(symbols), -1), log_step_at(networks.log_steps, file.parameter))
        with inference():
            y = torch.from_numpy(latent.reshape(1, *shape))
            return file.picture(run_in_blocks(networks.synthesis, y, SYNTHESIS_REACH, STRIDE))

    def describe(self, data: bytes, limits: Limits = DEFAULT_LIMITS) -> FileInfo:
        return describe_learned(self.info, data, limits)
