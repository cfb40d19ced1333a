"""The networks that a recipe can train, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from foveal.errors import RecipeError
from foveal.training.config import NetworkConfig
from foveal.training.proxy_subject import ProxySubject
from foveal.training.segmenter_subject import SegmenterSubject
from foveal.training.subject import AnySubject

_SUBJECTS: Final[Mapping[str, Callable[[NetworkConfig], AnySubject]]] = {
    "camvid-segment": SegmenterSubject,
    "proxy": ProxySubject,
}


def network_subject(config: NetworkConfig) -> AnySubject:
    """The subject of a recipe with ``network``.

    Raises:
        RecipeError: no such network can be trained.
    """
    if config.network not in _SUBJECTS:
        raise RecipeError(f"network = {config.network!r} cannot be trained; known is: {', '.join(_SUBJECTS)}")
    return _SUBJECTS[config.network](config)
