"""What a recipe's heads learn from."""

from __future__ import annotations

from pathlib import Path

from foveal.errors import RecipeError
from foveal.tasks.latent.cuts import cut_of
from foveal.tasks.latent.network import FED, LatentConfig
from foveal.training.config import LatentTraining
from foveal.training.feature_teaching import FeatureTeaching
from foveal.training.latent_pictures import SCENES, ScaledCrops, load_pictures
from foveal.training.latent_teaching import Curriculum, Teaching
from foveal.training.segment_teaching import SegmentTeaching
from foveal.training.things_teaching import ThingsTeaching


def curriculum_of(sizes: LatentConfig, data: Path, config: LatentTraining, seed: int) -> Curriculum:
    """A teaching for each head of ``sizes``. data: the folder that holds ``camvid/``, ``photos/`` and ``coco/``, as far as heads need them.

    Raises:
        RecipeError: no head, or too few pictures. NetworkError: a network that teaches is missing.
    """
    if not 0 <= config.unlabelled < 1:
        raise RecipeError(f"unlabelled = {config.unlabelled}; a part of the batches from 0 to below 1 is needed")
    teachings: list[Teaching] = []
    fed = [cut_of(network, number) for network in FED if (number := getattr(sizes, network))]
    pictures = load_pictures(data) if fed or sizes.things or (sizes.segment and config.unlabelled) else None
    if sizes.segment:
        others = [source.pixels for source in pictures.training if not source.path.parent.match(SCENES)] if pictures else []
        teachings.append(SegmentTeaching(data / "camvid", config, seed, others))
    if pictures and (fed or sizes.things):
        networks = data / config.networks
        crops = ScaledCrops(pictures, batch=config.batch, rows=config.crop_rows, columns=config.crop_columns, seed=seed)
        teachings += [FeatureTeaching(cut, networks, pictures, crops, config) for cut in fed]
        if sizes.things:
            teachings.append(ThingsTeaching(data, networks, pictures, crops, config))
    if not teachings:
        raise RecipeError(f"[model] has no head; segment = 11, things = 80, {' = 1, '.join(FED)} = 1 are some")
    return Curriculum(teachings)
