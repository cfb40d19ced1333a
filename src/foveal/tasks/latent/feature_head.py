"""A head that makes the middle tensors of a third-party network from the trunk's features (ours)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast, final

from torch import Tensor, nn

from foveal.tasks.input import Geometry
from foveal.tasks.latent.cuts import Cut
from foveal.tasks.latent.tensor_heads import COARSE, GridHead, StemHead, TensorHead


@final
class FeatureHead(nn.Module):
    """All tensors of a cut. channels, blocks: of those that lie behind a network's first filters."""

    def __init__(self, spectrum: int, cut: Cut, *, channels: int, blocks: int, folded: bool) -> None:
        super().__init__()
        self.cut = cut
        self.heads = nn.ModuleList(
            GridHead(spectrum, tensor, channels=channels, blocks=blocks, folded=folded)
            if tensor.stride >= COARSE
            else StemHead(spectrum, tensor)
            for tensor in cut.tensors
        )

    @property
    def parts(self) -> list[TensorHead]:
        """One for each tensor of the cut."""
        return [cast(TensorHead, head) for head in self.heads]

    def forward(self, features: Tensor, geometry: Geometry) -> list[Tensor]:
        """The tensors in spreads. geometry: how the pictures, all of one size, lie in the network's input."""
        return [head(features, geometry) for head in self.parts]

    def real(self, normal: Sequence[Tensor]) -> list[Tensor]:
        """The tensors as the tail reads them, float32."""
        return [head.real(tensor.float()) for head, tensor in zip(self.parts, normal, strict=True)]

    def measured(self, means: Sequence[Tensor], spreads: Sequence[Tensor]) -> None:
        """Takes mean and spread of each tensor's channels."""
        for head, mean, spread in zip(self.parts, means, spreads, strict=True):
            head.measured(mean, spread)
