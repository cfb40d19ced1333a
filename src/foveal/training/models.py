"""Which recipe name builds which network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn

from foveal.codecs.learned.cae_pca.model import CaePcaModel
from foveal.codecs.learned.cae_pca.networks import freeze as freeze_cae_pca
from foveal.codecs.learned.cae_pca.networks import measure as measure_cae_pca
from foveal.codecs.learned.cae_pca.networks import thaw as thaw_cae_pca
from foveal.codecs.learned.cae_pca.transforms import CaePcaConfig
from foveal.codecs.learned.frequency.model import FrequencyModel
from foveal.codecs.learned.frequency.networks import freeze as freeze_frequency
from foveal.codecs.learned.frequency.networks import thaw as thaw_frequency
from foveal.codecs.learned.frequency.transforms import FrequencyConfig
from foveal.codecs.learned.gdn import GdnConfig, GdnModel
from foveal.codecs.learned.gdn import freeze as freeze_gdn
from foveal.codecs.learned.gdn import thaw as thaw_gdn
from foveal.codecs.learned.hyperprior.model import HyperpriorConfig, HyperpriorModel
from foveal.codecs.learned.hyperprior.networks import freeze as freeze_hyperprior
from foveal.codecs.learned.hyperprior.networks import short_networks
from foveal.codecs.learned.hyperprior.networks import thaw as thaw_hyperprior
from foveal.codecs.learned.short_weights import short_transforms
from foveal.declared import build
from foveal.errors import RecipeError


class RateConfig(Protocol):
    """The trained range of rates, which every model's configuration states."""

    @property
    def coarse_lambda(self) -> float: ...
    @property
    def fine_lambda(self) -> float: ...


class TrainableCodec(Protocol):
    """What the loop asks of a model: bits and a reconstruction for pictures at given qualities, from a prefix of the bands.

    ``quality_cell``: pixels a side that may have a quality of their own; 0 if a picture has one quality.
    """

    config: RateConfig
    bands: int
    quality_cell: int

    def __call__(self, x: Tensor, quality: Tensor, bands: int) -> tuple[Tensor, Tensor]: ...


@dataclass(frozen=True)
class Trainable:
    """A codec that can be trained. ``freeze``: the tensors that ship; ``thaw``: a state to train on from them. ``shorten``: those
    tensors of ``freeze`` that come of weights in floats, shortened, the codec's integers being the rest; None where floats ship in float16.
    ``measure``: those that are measured on photographs ``(3, H, W)`` in 0..1 at export, where a codec has such.
    """

    build: Callable[[dict[str, Any]], nn.Module]
    freeze: Callable[..., dict[str, Tensor]]
    thaw: Callable[[dict[str, Tensor]], dict[str, Tensor]]
    shorten: Callable[[Any], dict[str, Tensor]] | None = None
    measure: Callable[[Any, list[Tensor]], dict[str, Tensor]] | None = None


_TRAINABLE = {
    "frequency": Trainable(
        lambda sizes: FrequencyModel(build(FrequencyConfig, sizes, "[model]")), freeze_frequency, thaw_frequency, short_transforms
    ),
    "hyperprior": Trainable(
        lambda sizes: HyperpriorModel(build(HyperpriorConfig, sizes, "[model]")),
        freeze_hyperprior,
        thaw_hyperprior,
        short_networks,
    ),
    "gdn": Trainable(lambda sizes: GdnModel(build(GdnConfig, sizes, "[model]")), freeze_gdn, thaw_gdn, short_transforms),
    "cae-pca": Trainable(
        lambda sizes: CaePcaModel(build(CaePcaConfig, sizes, "[model]")),
        freeze_cae_pca,
        thaw_cae_pca,
        measure=measure_cae_pca,
    ),
}


def trainable(codec: str) -> Trainable:
    """The row of a codec.

    Raises:
        RecipeError: no such trainable codec.
    """
    if codec not in _TRAINABLE:
        raise RecipeError(f"codec = {codec!r} cannot be trained; known are: {', '.join(_TRAINABLE)}")
    return _TRAINABLE[codec]


def build_model(codec: str, sizes: dict[str, Any]) -> nn.Module:
    """Builds the network of a recipe.

    Raises:
        RecipeError: no such trainable codec, or sizes that it does not know.
    """
    return trainable(codec).build(sizes)
