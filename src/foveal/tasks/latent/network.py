"""Networks that read the latents of ``frequency``: one trunk for all tasks, and a head for each.

Reference: ours. That tasks read an autoencoder's latent in place of its picture is of Torfason et al., "Towards image
understanding from deep compression without decoding", ICLR 2018; the bands, any number of which may be missing, are of this codec.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, cast, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from foveal.errors import NetworkError, RecipeError
from foveal.tasks.camvid_segment.network import SegmenterConfig, SegmenterTail
from foveal.tasks.latent.cuts import cut_of
from foveal.tasks.latent.feature_head import FeatureHead
from foveal.tasks.latent.tensor_heads import StemHead
from foveal.tasks.latent.trunk import OwnFeatures, Trunk
from foveal.tasks.residual import Block, Normed

FED: Final = ("mobilenet_v2_imagenet", "yolox_nano_coco")
"""The networks that heads feed; these are the heads' names too."""
_THINGS: Final = (96, 128)
"""Channels of the head of things at 1/16 and 1/32."""
_RARE: Final = -6.0
"""Logits of things at a place before anything is learned."""
_SHARP: Final = 4.0
"""How near the sum over places comes to the surest of them."""


@dataclass(frozen=True)
class LatentConfig:
    """Channels of the bands that are read and of the trunk (``trunk``), which are the codec's, its blocks, and heads.

    spectrum: channels at 1/8 that heads read. segment: classes of the head that tells the class of each pixel, 0 for none; segment_own: whether it
    makes as many channels for itself, of what the trunk knows at 1/16, in place of those for all. things: classes
    of the head that tells which things a picture shows, 0 for none. mobilenet_v2_imagenet, yolox_nano_coco: at which of its cuts
    (``cuts``, from 1) a head feeds the network, 0 for none; adapter, adapter_blocks: channels and residual blocks of such heads, where a cut lies
    behind first filters.
    """

    latent_0: int = 64
    latent_1: int = 112
    latent_2: int = 320
    coarse: int = 128
    middle: int = 256
    blocks: int = 1
    spectrum: int = 96
    segment: int = 11
    segment_own: bool = False
    dropout: float = 0.1
    things: int = 0
    adapter: int = 128
    adapter_blocks: int = 2
    mobilenet_v2_imagenet: int = 0
    yolox_nano_coco: int = 0

    def __post_init__(self) -> None:
        channels, counts = (
            (self.coarse, self.middle, self.spectrum, self.adapter),
            (self.blocks, self.segment, self.things, self.adapter_blocks),
        )
        if min(channels) < 1 or min(counts) < 0 or not 0 <= self.dropout < 1:
            raise RecipeError(
                f"{self}; channels of 1 or more, blocks and classes of 0 or more and a dropout from 0 to below 1 are needed"
            )
        if self.segment_own and not self.segment:
            raise RecipeError("segment_own = true, and segment = 0; ask for the head, segment = 11, or leave segment_own out")
        for network in FED:
            if number := getattr(self, network):
                try:
                    cut_of(network, number)
                except NetworkError as error:
                    raise RecipeError(str(error)) from error

    @property
    def by_way(self) -> list[str]:
        """Heads that correct what a network's own layers make."""
        return [network for network in FED if (number := getattr(self, network)) and cut_of(network, number).way is not None]


@dataclass(frozen=True, eq=False)
class TrunkFeatures:
    """What heads read, each ``(batch, spectrum, h, w)`` at 1/8 of the padded pictures. shared: all but the head of road scenes. segment: that head; the
    same where it makes none for itself.
    """

    shared: Tensor
    segment: Tensor


@final
class SegmentHead(SegmenterTail):
    """Logits ``(batch, classes, 4 h, 4 w)``, half of the picture a side, of features ``(batch, spectrum, h, w)``.

    It makes what the segmenter of pictures has at 1/4 and 1/8, and goes on as that does, from its weights.
    """

    def __init__(self, config: LatentConfig, *, folded: bool) -> None:
        super().__init__(replace(SegmenterConfig(), coarse_blocks=2, classes=config.segment, dropout=config.dropout), folded=True)
        c = self.config
        self.enter = Normed(config.spectrum, c.middle, folded=folded)
        self.blocks = nn.Sequential(*(Block(c.middle, folded=folded) for _ in range(2)))
        self.to_middle = nn.Conv2d(c.middle, c.middle, 1)
        self.to_fine = nn.Conv2d(c.middle, 4 * c.fine, 1)
        self.past = nn.Conv2d(config.spectrum, 4 * c.fine, 1, bias=False)
        own = OwnFeatures(config.latent_2, middle=config.middle, spectrum=config.spectrum) if config.segment_own else None
        self.own = own

    def forward(self, x: Tensor) -> Tensor:
        return self.logits(*self.features(x))

    def features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What the tail reads, at 1/4 and 1/8."""
        h = self.blocks(functional.relu(self.enter(x)))
        return functional.relu(functional.pixel_shuffle(self.to_fine(h) + self.past(x), 2)), functional.relu(self.to_middle(h))


@final
class ThingsHead(nn.Module):
    """Logits ``(batch, classes)`` of what is to be seen in pictures of features ``(batch, spectrum, h, w)``: of each class about that of the
    place at 1/32 where it is surest.
    """

    def __init__(self, config: LatentConfig, *, folded: bool) -> None:
        super().__init__()
        at_16, at_32 = _THINGS
        self.to_16 = Normed(config.spectrum, at_16, stride=2, folded=folded)
        self.at_16 = nn.Sequential(*(Block(at_16, folded=folded) for _ in range(2)))
        self.to_32 = Normed(at_16, at_32, stride=2, folded=folded)
        self.at_32 = nn.Sequential(*(Block(at_32, folded=folded) for _ in range(2)))
        self.dropout = nn.Dropout2d(config.dropout)
        self.leave = nn.Conv2d(at_32, config.things, 1)
        nn.init.constant_(self.leave.bias, _RARE)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return self.of_picture(self.places(x))

    def places(self, x: Tensor) -> Tensor:
        """Logits at each place ``(batch, classes, h / 4, w / 4)``, rounded up."""
        x = self.at_16(functional.relu(self.to_16(x)))
        return self.leave(self.dropout(self.at_32(functional.relu(self.to_32(x)))))

    def of_picture(self, places: Tensor) -> Tensor:
        """Logits of whole pictures, of those at their places."""
        return torch.logsumexp(_SHARP * places.flatten(2).float(), 2) / _SHARP


@final
class LatentNetwork(nn.Module):
    """The trunk and its heads.

    folded: batch norm is part of the convolutions, as in weights that ship.
    """

    def __init__(self, config: LatentConfig, *, folded: bool = False) -> None:
        super().__init__()
        self.config = config
        c = config
        self.trunk = Trunk(
            (c.latent_0, c.latent_1, c.latent_2), coarse=c.coarse, middle=c.middle, spectrum=c.spectrum, blocks=c.blocks
        )
        self.segment = SegmentHead(config, folded=folded) if config.segment else None
        self.things = ThingsHead(config, folded=folded) if config.things else None
        self.mobilenet_v2_imagenet = self._feeding("mobilenet_v2_imagenet", folded)
        self.yolox_nano_coco = self._feeding("yolox_nano_coco", folded)

    def _feeding(self, network: str, folded: bool) -> FeatureHead | None:
        c, number = self.config, getattr(self.config, network)
        if not number:
            return None
        return FeatureHead(c.spectrum, cut_of(network, number), channels=c.adapter, blocks=c.adapter_blocks, folded=folded)

    def feature_head(self, network: str) -> FeatureHead:
        """The head that feeds a network. Raises NetworkError: there is none."""
        head = cast("FeatureHead | None", getattr(self, network)) if network in FED else None
        if head is None:
            having = ", ".join(name for name in FED if getattr(self, name) is not None) or "none"
            raise NetworkError(f"these weights have no head that feeds {network!r}; they feed {having}")
        return head

    @property
    def solved(self) -> list[str]:
        """Weights that least squares gave: large ones that nearly cancel, which have no room for rounding."""
        modules = cast("Iterator[tuple[str, nn.Module]]", self.named_modules())
        stems = [name for name, module in modules if isinstance(module, StemHead)]
        return [f"{stem}.{part}.weight" for stem in stems for part in ("colours", "filters")]

    def forward(self, bands: Sequence[Tensor], quality: Tensor) -> TrunkFeatures:
        """The features that heads read."""
        h = self.trunk.at_16(bands, quality)
        features = self.trunk.at_8(h, bands, quality)
        own = None if self.segment is None else self.segment.own
        return TrunkFeatures(features, features if own is None else own(h, bands, quality))
