"""The recipe of the experiment: frozen dataclasses read from TOML, unknown keys refused."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from foveal.declared import build, read_toml
from foveal.errors import RecipeError
from foveal.scalars import real, whole

_MOST_POINTS: Final = 1000


@dataclass(frozen=True)
class CodecSizes:
    """Sizes of the codec's networks.

    latents: numbers that a digit becomes. channels: of the finest layer; the next has twice as many. clusters: how many sets of
    coding tables there are, of which a file names one.
    """

    latents: int = 24
    channels: int = 12
    clusters: int = 16

    def __post_init__(self) -> None:
        for name, most in (("latents", 256), ("channels", 128), ("clusters", 256)):
            _check_count(f"[codec] {name}", getattr(self, name), most)


@dataclass(frozen=True)
class Learning:
    """How long and how fast one network learns: steps of ``batch`` digits, the rate falling from ``learning_rate`` along a cosine."""

    steps: int
    batch: int
    learning_rate: float

    def __post_init__(self) -> None:
        _check_count("steps", self.steps, 10**7)
        _check_count("batch", self.batch, 10**5)
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise RecipeError(f"learning_rate = {self.learning_rate}; a number above 0 is needed, such as 0.002")


@dataclass(frozen=True)
class Grid:
    """The points: every pair of weights, once for each seed.

    distortion_weights: what a unit of mean squared error (samples in 0..255) is worth, in bits. classification_weights: what a
    bit of the frozen classifier's cross entropy is worth, in bits; with 0 it is not asked.
    """

    distortion_weights: tuple[float, ...]
    classification_weights: tuple[float, ...]
    seeds: tuple[int, ...]

    def __post_init__(self) -> None:
        for name, rises in (("distortion_weights", "above 0"), ("classification_weights", "of 0 or more")):
            values = [real(value) for value in _listed(f"[grid] {name}", getattr(self, name))]
            least = 0.0 if name == "classification_weights" else math.ulp(0.0)
            known = [value for value in values if value is not None and math.isfinite(value) and value >= least]
            if len(known) < len(values) or len(set(known)) < len(known):
                raise RecipeError(f"[grid] {name} = {list(getattr(self, name))}; different numbers {rises} are needed")
            object.__setattr__(self, name, tuple(sorted(known)))
        seeds = [whole(seed) for seed in _listed("[grid] seeds", self.seeds)]
        known_seeds = [seed for seed in seeds if seed is not None and 0 <= seed < 2**31]
        if len(known_seeds) < max(3, len(seeds)) or len(set(known_seeds)) < len(known_seeds):
            raise RecipeError(f"[grid] seeds = {list(self.seeds)}; three or more different whole numbers from 0 on are needed")
        object.__setattr__(self, "seeds", tuple(known_seeds))
        if (points := len(self.distortion_weights) * len(self.classification_weights) * len(seeds)) > _MOST_POINTS:
            raise RecipeError(f"[grid] {points} points; up to {_MOST_POINTS} are allowed")


@dataclass(frozen=True)
class Recipe:
    """All of an experiment but its data.

    start: how the codec that all points of a seed go on from learns, and start_weight for which weight of distortion; point: how
    each point then learns. frozen, held_out: the classifiers. least_accuracy: of both on clean test digits, in percent; a run
    with less stops there.
    """

    grid: Grid
    start: Learning
    point: Learning
    frozen: Learning
    held_out: Learning
    codec: CodecSizes = field(default_factory=CodecSizes)
    start_weight: float = 0.3
    least_accuracy: float = 98.5

    def __post_init__(self) -> None:
        if not (math.isfinite(self.start_weight) and self.start_weight > 0):
            raise RecipeError(f"start_weight = {self.start_weight}; a number above 0 is needed, such as 0.3")
        if not 0 <= self.least_accuracy <= 100:
            raise RecipeError(f"least_accuracy = {self.least_accuracy}; percent from 0 to 100 are needed")


def read_recipe(path: Path) -> Recipe:
    """Reads a recipe.

    Raises:
        RecipeError: the file is missing, is not TOML, or holds a key, a type or a value that is not allowed.
    """
    values = read_toml(path, "recipes/rdc-digits.toml comes with foveal")
    try:
        return _made(values, str(path))
    except RecipeError as error:
        raise error if str(path) in str(error) else RecipeError(f"{path}: {error}") from error


def _made(values: dict[str, Any], where: str) -> Recipe:
    kinds: dict[str, type[Any]] = {"grid": Grid, "codec": CodecSizes}
    kinds |= dict.fromkeys(("start", "point", "frozen", "held_out"), Learning)
    made = dict(values)
    for name, kind in kinds.items():
        part = values.get(name, {} if name == "codec" else None)
        if not isinstance(part, dict):
            wanted = ", ".join(f.name for f in fields(kind))
            raise RecipeError(f"{where}: a table [{name}] with {wanted} is needed")
        made[name] = build(kind, part, f"{where} [{name}]")  # pyright: ignore[reportUnknownArgumentType]
    return build(Recipe, made, where)


def _listed(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list | tuple) or not value:
        raise RecipeError(f"{name} = {value!r}; a list of one or more is needed")
    return list(value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def _check_count(name: str, value: int, most: int) -> None:
    if not 1 <= value <= most:
        raise RecipeError(f"{name} = {value}; a whole number from 1 to {most} is allowed")
