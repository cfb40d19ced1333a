"""The networks around a standard codec that a recipe can train, by what they do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from foveal.errors import RecipeError
from foveal.training.config import AroundConfig
from foveal.training.preprocess_subject import PreprocessSubject
from foveal.training.restore_subject import RestoreSubject
from foveal.training.subject import AnySubject
from foveal.training.surrogate_subject import SurrogateSubject
from foveal.training.upsample_subject import UpsampleSubject

_SUBJECTS: Final[Mapping[str, Callable[[AroundConfig], AnySubject]]] = {
    "compact": RestoreSubject,
    "preprocess": PreprocessSubject,
    "restore": RestoreSubject,
    "surrogate": SurrogateSubject,
    "upsample": UpsampleSubject,
}


def around_subject(config: AroundConfig) -> AnySubject:
    """The subject of a recipe with ``part``.

    Raises:
        RecipeError: no such network can be trained.
    """
    if config.part not in _SUBJECTS:
        raise RecipeError(f"part = {config.part!r} cannot be trained; known are: {', '.join(_SUBJECTS)}")
    return _SUBJECTS[config.part](config)
