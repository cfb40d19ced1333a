"""The subject of a recipe."""

from __future__ import annotations

from foveal.training.around_subject import around_subject
from foveal.training.codec_subject import CodecSubject
from foveal.training.config import (
    AnyConfig,
    AroundConfig,
    CodecConfig,
    JointTraining,
    LatentTraining,
    MachineTraining,
    RecurrentConfig,
)
from foveal.training.joint_subject import JointSubject
from foveal.training.latent_subject import LatentSubject
from foveal.training.machine_subject import MachineSubject
from foveal.training.network_subject import network_subject
from foveal.training.recurrent_subject import RecurrentSubject
from foveal.training.subject import AnySubject


def subject_of(config: AnyConfig) -> AnySubject:
    """What the recipe trains.

    Raises:
        RecipeError: no such network can be trained. (Of a codec, ``build`` says so.)
    """
    if isinstance(config, CodecConfig):
        return CodecSubject(config)
    if isinstance(config, RecurrentConfig):
        return RecurrentSubject(config)
    if isinstance(config, MachineTraining):
        return MachineSubject(config)
    if isinstance(config, JointTraining):
        return JointSubject(config)
    if isinstance(config, LatentTraining):
        return LatentSubject(config)
    return around_subject(config) if isinstance(config, AroundConfig) else network_subject(config)
