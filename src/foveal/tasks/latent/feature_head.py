"""A head that makes the middle tensors of a third-party network from the trunk's features (ours)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self, cast, final

from torch import Tensor, nn

from foveal.tasks.input import Geometry
from foveal.tasks.latent.cuts import Cut
from foveal.tasks.latent.tensor_heads import COARSE, CorrectedHead, GridHead, StemHead, TensorHead

Between = Callable[[Tensor], Sequence[Tensor]]
"""A network's own layers, from the tensor ``(batch, channels, rows, columns)`` by way of which a head goes to those of its cut."""


@final
class FeatureHead(nn.Module):
    """All tensors of a cut. channels, blocks: of those that lie behind a network's first filters.

    Where the cut lies by way of another tensor, that is made, and what the network's own layers give of it corrected.
    """

    def __init__(self, spectrum: int, cut: Cut, *, channels: int, blocks: int, folded: bool) -> None:
        super().__init__()
        self.cut = cut
        self.heads = nn.ModuleList(
            GridHead(spectrum, tensor, channels=channels, blocks=blocks, folded=folded)
            if tensor.stride >= COARSE
            else StemHead(spectrum, tensor)
            for tensor in cut.made
        )
        corrected = () if cut.way is None else cut.tensors
        self.corrected = nn.ModuleList(
            CorrectedHead(spectrum, tensor, channels=channels, blocks=blocks, folded=folded) for tensor in corrected
        )
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """What leads the way to further tensors is given, and runs as it ships in training too."""
        super().train(mode)
        if self.corrected:
            self.heads.eval()
        return self

    @property
    def made(self) -> list[TensorHead]:
        """One for each tensor that is made of features alone."""
        return [cast(TensorHead, head) for head in self.heads]

    @property
    def parts(self) -> list[TensorHead]:
        """One for each tensor of the cut."""
        return [cast(TensorHead, head) for head in self.corrected] or self.made

    def forward(self, features: Tensor, geometry: Geometry, between: Between | None) -> list[Tensor]:
        """The tensors in spreads. geometry: how the pictures, all of one size, lie in the network's input. between: where the cut has a way."""
        made = [head(features, geometry) for head in self.made]
        if not self.corrected:
            return made
        assert between is not None
        grown = between(self.made[0].real(made[0].float()))
        return [head(features, geometry, own) for head, own in zip(self.corrected, grown, strict=True)]

    def real(self, normal: Sequence[Tensor]) -> list[Tensor]:
        """The tensors as the tail reads them, float32."""
        return [head.real(tensor.float()) for head, tensor in zip(self.parts, normal, strict=True)]

    def measured(self, means: Sequence[Tensor], spreads: Sequence[Tensor]) -> None:
        """Takes mean and spread of each tensor's channels."""
        for head, mean, spread in zip(self.parts, means, spreads, strict=True):
            head.measured(mean, spread)
