"""Planes coded in blocks of several sizes, each predicted from what is around it, with a tree that chooses between the sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from foveal.codecs.around.block_coder import BlockCoder, Tried
from foveal.codecs.around.intra import Predictor, borders, cut, join
from foveal.codecs.around.surrogate_config import SurrogateConfig

REGION: Final = 32
"""Pixels a side for which bits are told."""
_LAMBDA: Final = 0.09  # squared error that a bit is worth, in squared steps: 0.57 * 2^((QP - 12) / 3)
_SOFT: Final = 0.03  # of two costs: how far apart they are where the dearer one is hardly chosen
_LEAST_CHROMA: Final = 4


@final
@dataclass(frozen=True, eq=False)
class CodedPlanes:
    """plane ``(n * planes, rows, columns)``; bits and harm of each region, ``(n, rows, columns)``; sizes, their shares, ``(n, sizes, rows, columns)``."""

    plane: Tensor
    bits: Tensor
    harm: Tensor
    sizes: Tensor


@final
class PlaneCoder(nn.Module):
    """Planes of one kind, luma alone or both of chroma."""

    def __init__(self, config: SurrogateConfig, *, luma: bool) -> None:
        super().__init__()
        self.config, self.luma = config, luma
        sides = [2**i for i in range(config.smallest.bit_length() - 1, config.largest.bit_length())]
        if not luma and len(sides) > 1:
            sides = sorted({max(_LEAST_CHROMA, side // 2) for side in sides})
        self.sides = sides
        self.coders = nn.ModuleList(BlockCoder(side) for side in sides)
        self.predictors = nn.ModuleList(Predictor(side, config.directions) for side in sides if config.directions)

    def forward(self, planes: Tensor, level: Tensor) -> CodedPlanes:
        """Of ``(n, planes, rows, columns)``."""
        n, count, rows, columns = planes.shape
        flat = planes.reshape(n * count, rows, columns)
        if not self.config.directions:
            return self._coded(flat, n, level, None, [])
        with torch.no_grad():
            kinds = [
                self._predictor(i).best(_around(flat, side), cut(flat, side).flatten(0, 2)) for i, side in enumerate(self.sides)
            ]
            draft = self._coded(flat, n, level, flat, kinds).plane
        return self._coded(flat, n, level, flat + (draft - flat).detach(), kinds)

    def _predictor(self, i: int) -> Predictor:
        return cast(Predictor, self.predictors[i])

    def _coded(self, flat: Tensor, n: int, level: Tensor, read: Tensor | None, kinds: Sequence[Tensor]) -> CodedPlanes:
        """read: the plane that blocks are predicted from, each by its kind; None for a codec that does not predict."""
        tried = list[Tried]()
        for i, side in enumerate(self.sides):
            blocks = cut(flat, side).contiguous()
            shape = blocks.shape
            foretold = None if read is None else self._predictor(i)(_around(read, side), kinds[i]).view(n, -1, side, side)
            coder = cast(BlockCoder, self.coders[i])
            one = coder(
                blocks.view(n, -1, side, side),
                foretold,
                self.config.log_step(level, side, luma=self.luma),
                level,
                rounded=read is None and not self.training,
                across=shape[2],
            )
            tried.append(Tried(one.back.view(shape), one.bits.view(shape[:3]), one.harm.view(shape[:3])))
        step = self.config.log_step(level, self.sides[0], luma=self.luma).flatten(1).mean(1).exp()
        shares = shares_of_sizes(tried, (_LAMBDA * step.square()).repeat_interleave(len(flat) // n))
        region = REGION if self.luma else REGION // 2
        pairs = list(zip(self.sides, tried, shares, strict=True))

        def by_picture(values: list[Tensor]) -> Tensor:
            return torch.stack(values).sum(0).view(n, -1, *values[0].shape[1:]).sum(1)

        parts = [_by_region(share, side, region) * (side / region) ** 2 for side, _, share in pairs]
        return CodedPlanes(
            torch.stack([join(share[..., None, None] * one.back) for _, one, share in pairs]).sum(0),
            by_picture([_by_region(share * one.bits, side, region) for side, one, share in pairs]),
            by_picture([_by_region(share * one.harm, side, region) for side, one, share in pairs]),
            torch.stack([part.view(n, -1, *part.shape[1:]).mean(1) for part in parts], 1),
        )


def _around(plane: Tensor, side: int) -> Tensor:
    """Of all blocks in one row."""
    return borders(plane, side).flatten(0, 2)


@torch.no_grad()
def shares_of_sizes(tried: list[Tried], worth: Tensor) -> list[Tensor]:
    """The share of each size in each of its blocks, from the smallest size to the largest. worth: error for a bit, ``(planes,)``."""
    costs = [one.harm + worth[:, None, None] * one.bits for one in tried]
    least, whole = costs[0], list[Tensor]()
    for cost in costs[1:]:
        parts = 4 * functional.avg_pool2d(least, 2)
        share = torch.sigmoid((parts - cost) / (_SOFT * (parts + cost) + worth[:, None, None]))
        least = share * cost + (1 - share) * parts
        whole.append(share)
    shares, remaining = list[Tensor](), torch.ones_like(costs[-1])
    for share in reversed(whole):
        shares.append(remaining * share)
        remaining = (remaining * (1 - share)).repeat_interleave(2, 1).repeat_interleave(2, 2)
    return [*shares, remaining][::-1]


def _by_region(values: Tensor, side: int, region: int) -> Tensor:
    """Sums of blocks, ``(planes, rows, columns)`` of ``side`` pixels, in squares of ``region`` pixels."""
    if side > region:
        factor = side // region
        return (values / factor**2).repeat_interleave(factor, 1).repeat_interleave(factor, 2)
    factor = region // side
    return values if factor == 1 else functional.avg_pool2d(values, factor) * factor**2
