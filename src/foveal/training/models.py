"""Which recipe name builds which network."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor, nn

from foveal.codecs.learned.gdn import GdnConfig, GdnModel
from foveal.errors import RecipeError
from foveal.training.config import build


class RateConfig(Protocol):
    """The trained range of rates, which every model's configuration states."""

    @property
    def coarse_lambda(self) -> float: ...
    @property
    def fine_lambda(self) -> float: ...


class TrainableCodec(Protocol):
    """What the loop asks of a model: bits and a reconstruction for pictures at given qualities."""

    @property
    def config(self) -> RateConfig: ...
    def __call__(self, x: Tensor, quality: Tensor) -> tuple[Tensor, Tensor]: ...


def build_model(codec: str, sizes: dict[str, Any]) -> nn.Module:
    """Builds the network of a recipe.

    Raises:
        RecipeError: no such trainable codec, or sizes that it does not know.
    """
    if codec != "gdn":
        raise RecipeError(f"codec = {codec!r} cannot be trained; known are: gdn")
    return GdnModel(build(GdnConfig, sizes, "[model]"))
