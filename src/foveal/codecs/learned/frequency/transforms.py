"""Analysis and synthesis of ``frequency``: a learned pyramid of bands, and their fusion.

::

    x ─► sample 1/8 ─► blocks ─► 1/16 ─► blocks ──► F_2 ─► I_2 = F_2 - A u(F_1) ─► y_2
                                          └► 1/32 ► F_1 ─► I_1 = F_1 - A u(F_0) ─► y_1
                                              └1/64 F_0 ─► I_0 = F_0 ────────────► y_0

    y_0 ─► h_0 ─► up ─┐
    y_1 ─────────────►+► h_1 ─► up ─┐
    y_2 ───────────────────────────►+► h_2 ─► attention over h_0, h_1, h_2 ─► blocks ─► 1/8 ─► blocks ─► x

Reference: Zhang and Lin, "End-to-end optimized image compression with the frequency-oriented transform", Machine
Vision and Applications 2024 (arXiv 2401.08194): spatial sampling, the pyramid ``I_k = F_k(X) - u(F_{k-1}(X))`` with
bilinear ``u``, one latent for each band, fusion by non-local attention. Ours, for the paper's text is not public: three
bands at 1/64, 1/32 and 1/16, sampling by windows of 16x16 pixels at once, a 1x1 convolution ``A`` that matches channels, blocks
of depthwise and 1x1 convolutions (the design of DCVC-RT's image model, Jia et al., CVPR 2025) on the channels that matter
most, a linear path past them for the rest, attention in windows of 128 pixels whose keys are all bands, and features
scaled by quality. ``start`` makes all of it an orthonormal lapped transform before training begins. ``adapters``, where a
configuration has them, stand behind the analysis' blocks and before those of the synthesis.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional

from foveal.codecs.learned.frequency.adapters import adapter
from foveal.codecs.learned.quality_levels import NODES
from foveal.errors import RecipeError

BANDS = 3
STRIDES = (64, 32, 16)
SAMPLED = 192  # channels at 1/8: all of 8x8 pixels
WINDOW = 8  # positions at 1/16, so 128 pixels


@dataclass(frozen=True)
class FrequencyConfig:
    """Sizes of the networks; they are stored with the weights.

    fine, middle, coarse: channels of the blocks at 1/8, at 1/16, and at 1/32 and 1/64. latent_0 to latent_2: channels of
    the bands. prior_coarse, prior_fine: channels of the entropy networks at 1/64 and 1/32, and at 1/16.
    adapters: channels inside the adapters, 0 for none.
    """

    fine: int = 128
    middle: int = 256
    coarse: int = 128
    analysis_fine: int = 2
    analysis_middle: int = 2
    synthesis_middle: int = 3
    synthesis_fine: int = 3
    latent_0: int = 64
    latent_1: int = 112
    latent_2: int = 320
    prior_coarse: int = 128
    prior_fine: int = 192
    coarse_lambda: float = 0.0002
    fine_lambda: float = 0.3
    adapters: int = 0

    def __post_init__(self) -> None:
        if self.adapters < 0:
            raise RecipeError(f"adapters = {self.adapters}; 0, for none, or more channels are needed")
        if any(latent % 4 for latent in self.latents) or self.middle % 32:
            raise RecipeError(f"latents {self.latents} and middle {self.middle}; multiples of 4, and of 32, are needed")

    @property
    def latents(self) -> tuple[int, int, int]:
        """Channels of the bands, the coarsest first."""
        return self.latent_0, self.latent_1, self.latent_2


@final
class DepthBlock(nn.Module):
    """1x1, depthwise 3x3, 1x1, then 1x1 to twice the channels and back, each part added to what it is given.

    The last convolution of each part starts at zero, so that a new block passes everything through.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(channels, channels, 1)
        self.depth = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.leave = nn.Conv2d(channels, channels, 1)
        self.widen = nn.Conv2d(channels, 2 * channels, 1)
        self.narrow = nn.Conv2d(2 * channels, channels, 1)
        for last in (self.leave, self.narrow):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        # What a convolution gives is nobody else's, and may be changed in place.
        x = self.leave(self.depth(functional.leaky_relu_(self.enter(x), 0.1))).add_(x)
        return self.narrow(functional.leaky_relu_(self.widen(x), 0.1)).add_(x)


@final
class QualityScale(nn.Module):
    """Multiplies each channel by ``1 + s(quality)``, ``s`` piecewise linear over the nodes (Cui et al., CVPR 2021)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(channels, NODES))

    def forward(self, x: Tensor, hats: Tensor) -> Tensor:
        scale = functional.conv2d(hats, self.scale[:, :, None, None])
        if scale.shape[2:] not in ((1, 1), x.shape[2:]):
            scale = functional.interpolate(scale, x.shape[2:])
        return x * (1 + scale)


@final
class BandAttention(nn.Module):
    """Each position of ``h_2`` looks at all bands within its window of 128 pixels.

    ``h_2`` ``(batch, middle, h, w)``, ``h_1`` ``(batch, coarse, h/2, w/2)``, ``h_0`` ``(batch, coarse, h/4, w/4)``; the result is
    like ``h_2``. Windows lie on the grid of 128 pixels from the corner; what they hold beyond the picture is masked.
    Reference: the windows are of Liu et al., "Swin Transformer", ICCV 2021; keys from several bands are ours.
    """

    def __init__(self, middle: int, coarse: int) -> None:
        super().__init__()
        self.heads = max(1, middle // 32)
        self.query = nn.Conv2d(middle, middle, 1)
        self.keys = nn.ModuleList([nn.Conv2d(c, 2 * middle, 1) for c in (middle, coarse, coarse)])
        self.place = nn.Parameter(torch.zeros(self.heads, WINDOW**2, sum((WINDOW >> i) ** 2 for i in range(BANDS))))
        self.out = nn.Conv2d(middle, middle, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def forward(self, h_2: Tensor, h_1: Tensor, h_0: Tensor) -> Tensor:
        batch, middle, height, width = h_2.shape
        rows, columns = -(-height // WINDOW), -(-width // WINDOW)
        query = _windows(self.query(h_2), rows, columns, WINDOW, self.heads)
        parts = [
            _windows(net(h), rows, columns, WINDOW >> i, self.heads)
            for i, (net, h) in enumerate(zip(self.keys, (h_2, h_1, h_0), strict=True))
        ]
        key, value = torch.cat(parts, 2).chunk(2, 3)
        bias: Tensor = self.place[None]
        if height % WINDOW or width % WINDOW:
            inside = [_windows(torch.ones_like(h[:1, :1]), rows, columns, WINDOW >> i, 1) for i, h in enumerate((h_2, h_1, h_0))]
            outside = torch.cat(inside, 2)[..., 0] == 0
            bias = bias.masked_fill(outside[:, :, None, :], -1e4).repeat(batch, 1, 1, 1)
        seen = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias.to(query.dtype))
        seen = seen.reshape(batch, rows, columns, self.heads, WINDOW, WINDOW, -1).permute(0, 3, 6, 1, 4, 2, 5)
        seen = seen.reshape(batch, middle, rows * WINDOW, columns * WINDOW)[:, :, :height, :width]
        return h_2 + self.out(seen)


def _windows(x: Tensor, rows: int, columns: int, side: int, heads: int) -> Tensor:
    """``(batch, c, h, w)`` to ``(batch * rows * columns, heads, side^2, c / heads)``, padded with zeros."""
    batch, channels, height, width = x.shape
    x = functional.pad(x, (0, columns * side - width, 0, rows * side - height))
    x = x.reshape(batch, heads, channels // heads, rows, side, columns, side)
    return x.permute(0, 3, 5, 1, 4, 6, 2).reshape(batch * rows * columns, heads, side * side, channels // heads)


@final
class Analysis(nn.Module):
    """Pixels ``(batch, 3, H, W)`` in 0..1, sides multiples of 64, to the latents of the bands, the coarsest first:
    ``(batch, latent_k, H / STRIDES[k], W / STRIDES[k])``. The same for every quality.
    """

    def __init__(self, config: FrequencyConfig) -> None:
        super().__init__()
        fine, middle, coarse = config.fine, config.middle, config.coarse
        self.narrow = fine
        self.sample = nn.Conv2d(SAMPLED, SAMPLED, 2)
        self.fine = nn.Sequential(*(DepthBlock(fine) for _ in range(config.analysis_fine)))
        self.to_middle = nn.Conv2d(4 * SAMPLED, middle, 1)
        self.middle = nn.Sequential(*(DepthBlock(middle) for _ in range(config.analysis_middle)))
        self.to_32 = nn.Conv2d(4 * middle, coarse, 1)
        self.at_32 = DepthBlock(coarse)
        self.to_64 = nn.Conv2d(4 * coarse, coarse, 1)
        self.at_64 = DepthBlock(coarse)
        self.subtract_1 = nn.Conv2d(coarse, coarse, 1)
        self.subtract_2 = nn.Conv2d(coarse, middle, 1)
        self.past = nn.Conv2d(4 * SAMPLED, config.latent_2, 1)
        self.heads = nn.ModuleList([nn.Conv2d(c, m, 1) for c, m in zip((coarse, coarse, middle), config.latents, strict=True)])
        self.adapter_8 = adapter(fine, config.adapters, 8)
        self.adapter_16 = adapter(middle, config.adapters, 16)
        self.adapter_32 = adapter(coarse, config.adapters, 32)

    def forward(self, x: Tensor) -> list[Tensor]:
        sampled = self.sample(lapped_pieces(x))
        f = torch.cat([self.adapter_8(self.fine(sampled[:, : self.narrow])), sampled[:, self.narrow :]], 1)
        f = functional.pixel_unshuffle(f, 2)
        f_2 = self.adapter_16(self.middle(self.to_middle(f)))
        f_1 = self.adapter_32(self.at_32(self.to_32(functional.pixel_unshuffle(f_2, 2))))
        f_0 = self.at_64(self.to_64(functional.pixel_unshuffle(f_1, 2)))
        i_1 = f_1 - self.subtract_1(_up(f_0))
        i_2 = f_2 - self.subtract_2(_up(f_1))
        y_0, y_1, y_2 = (head(i) for head, i in zip(self.heads, (f_0, i_1, i_2), strict=True))
        return [y_0, y_1, y_2 + self.past(f)]


def lapped_pieces(x: Tensor) -> Tensor:
    """Pieces of 8x8 pixels, ``(batch, 192, H/8 + 1, W/8 + 1)``, two by two of which make windows of 16x16, 8 apart.

    The picture is mirrored at its edges.
    """
    x = torch.cat([x[:, :, :4].flip(2), x, x[:, :, -4:].flip(2)], 2)
    x = torch.cat([x[:, :, :, :4].flip(3), x, x[:, :, :, -4:].flip(3)], 3)
    return functional.pixel_unshuffle(x - 0.5, 8)


def _up(x: Tensor) -> Tensor:
    """The pyramid's ``u``: twice the size, bilinear."""
    return functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


@final
class Synthesis(nn.Module):
    """Latents of all bands, and the quality as ``hats`` ``(batch, NODES, 1, 1)`` or one for each 32 pixels, to pixels
    ``(batch, 3, H, W)``, about 0..1 but not clipped.
    """

    def __init__(self, config: FrequencyConfig) -> None:
        super().__init__()
        fine, middle, coarse = config.fine, config.middle, config.coarse
        self.narrow = fine
        self.enter = nn.ModuleList([nn.Conv2d(m, c, 1) for c, m in zip((coarse, coarse, middle), config.latents, strict=True)])
        self.from_64 = nn.Conv2d(coarse, 4 * coarse, 1)
        self.at_32 = DepthBlock(coarse)
        self.from_32 = nn.Conv2d(coarse, 4 * middle, 1)
        self.scale_middle = QualityScale(middle)
        self.attention = BandAttention(middle, coarse)
        self.middle = nn.Sequential(*(DepthBlock(middle) for _ in range(config.synthesis_middle)))
        self.from_middle = nn.Conv2d(middle, 4 * SAMPLED, 1)
        self.past = nn.Conv2d(config.latent_2, 4 * SAMPLED, 1)
        self.scale_fine = QualityScale(SAMPLED)
        self.fine = nn.Sequential(*(DepthBlock(fine) for _ in range(config.synthesis_fine)))
        self.restore = nn.ConvTranspose2d(SAMPLED, SAMPLED, 2)
        self.mirror: Tensor
        self.register_buffer("mirror", torch.ones(2, SAMPLED))
        self.adapter_16 = adapter(middle, config.adapters, 16)
        self.adapter_8 = adapter(fine, config.adapters, 8)

    def forward(self, latents: list[Tensor], hats: Tensor) -> Tensor:
        h_0, low, high = (net(y) for net, y in zip(self.enter, latents, strict=True))
        h_1 = self.at_32(low + functional.pixel_shuffle(self.from_64(h_0), 2))
        h_2 = high + functional.pixel_shuffle(self.from_32(h_1), 2)
        # The adapter is before the attention, and so what a place depends on stays within the margin of blocks.
        h_2 = self.middle(self.attention(self.adapter_16(self.scale_middle(h_2, hats)), h_1, h_0))
        h = functional.pixel_shuffle(self.from_middle(h_2) + self.past(latents[2]), 2)
        h = self.scale_fine(h, hats)
        h = torch.cat([self.fine(self.adapter_8(h[:, : self.narrow])), h[:, self.narrow :]], 1)
        # A mirrored picture has the same features beyond its edges, but for signs.
        vertical, horizontal = self.mirror[:, :, None, None]
        h = torch.cat([h[:, :, :1] * vertical, h, h[:, :, -1:] * vertical], 2)
        h = torch.cat([h[:, :, :, :1] * horizontal, h, h[:, :, :, -1:] * horizontal], 3)
        return functional.pixel_shuffle(self.restore(h), 8)[:, :, 12:-12, 12:-12] + 0.5
