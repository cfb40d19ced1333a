"""What a recipe's heads learn from."""

from __future__ import annotations

from pathlib import Path

from foveal.errors import RecipeError
from foveal.tasks.latent.cuts import cut_of
from foveal.tasks.latent.network import FED, LatentConfig
from foveal.training.config import LatentTraining
from foveal.training.feature_teaching import FeatureTeaching
from foveal.training.latent_pictures import ScaledCrops, load_pictures
from foveal.training.latent_teaching import Curriculum, Teaching
from foveal.training.segment_teaching import SegmentTeaching
from foveal.training.things_teaching import ThingsTeaching


def curriculum_of(sizes: LatentConfig, data: Path, config: LatentTraining, seed: int) -> Curriculum:
    """A teaching for each head of ``sizes``. data: the folder that holds ``camvid/``, ``photos/`` and ``coco/``, as far as heads need them.

    Raises:
        RecipeError: no head, or too few pictures. NetworkError: a network that teaches is missing.
    """
    teachings: list[Teaching] = []
    if sizes.segment:
        teachings.append(SegmentTeaching(data / "camvid", config, seed))
    fed = [cut_of(network, number) for network in FED if (number := getattr(sizes, network))]
    if fed or sizes.things:
        pictures, networks = load_pictures(data), data / config.networks
        crops = ScaledCrops(pictures, batch=config.batch, rows=config.crop_rows, columns=config.crop_columns, seed=seed)
        teachings += [FeatureTeaching(cut, networks, pictures, crops, config) for cut in fed]
        if sizes.things:
            teachings.append(ThingsTeaching(data, networks, pictures, crops, config))
    if not teachings:
        raise RecipeError(f"[model] has no head; segment = 11, things = 80, {' = 1, '.join(FED)} = 1 are some")
    return Curriculum(teachings)
