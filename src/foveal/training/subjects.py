"""The subject of a recipe."""

from __future__ import annotations

from foveal.training.codec_subject import CodecSubject
from foveal.training.config import CodecConfig, NetworkConfig
from foveal.training.network_subject import network_subject
from foveal.training.subject import AnySubject


def subject_of(config: CodecConfig | NetworkConfig) -> AnySubject:
    """What the recipe trains.

    Raises:
        RecipeError: no such network can be trained. (Of a codec, ``build`` says so.)
    """
    return CodecSubject(config) if isinstance(config, CodecConfig) else network_subject(config)
