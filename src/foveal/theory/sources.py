"""Sources to study: binary, Gaussian on a lattice, random."""

from __future__ import annotations

import math

import numpy as np

from foveal.errors import TheoryError
from foveal.theory.arrays import check_cells, flip_pair, number, one_hot, probability
from foveal.theory.gaussian import deviation
from foveal.theory.normal import normal_cdf
from foveal.theory.source import Source


def bernoulli(p: float = 0.5, flips: tuple[float, float] = (0.1, 0.1)) -> Source:
    """X = 1 with probability p; the label S is X, but other than X with probability flips[X]; Hamming distortion; c0(x̂) = x̂.

    Raises:
        TheoryError: a probability outside 0..1.
    """
    p = probability(p, "p")
    zero, one = flip_pair(flips)
    labels = np.array([[1 - zero, zero], [one, 1 - one]])
    return Source(np.array([1 - p, p]), labels, 1 - np.eye(2), np.eye(2), f"Bernoulli({p:g}), flips {zero:g}, {one:g}")


def gaussian_lattice(symbols: int = 64, sigma: float = 1.0, rho: float = 0.9, reach: float = 4.0) -> Source:
    """A Gaussian X on an even lattice of -reach..reach standard deviations, with the label S = [T >= 0] and c0(x̂) = [x̂ >= 0].

    T is Gaussian with correlation rho to X, so P(S = 1 | x) = Φ(rho x / (sigma sqrt(1 - rho²))). Squared distortion; reproductions are the
    lattice's points. It is a discrete source in its own right: for bounds on the continuous one see ``gaussian_classifier``.

    Raises:
        TheoryError: sigma not in 1e-30..1e30, rho outside 0..1, a reach beyond 0..30, less than two symbols or more than 4096.
    """
    if symbols < 2 or not 0 < number(reach, "reach") <= 30:
        raise TheoryError(f"symbols {symbols}, reach {reach}; 2 symbols or more, and a reach above 0 and up to 30, are needed")
    check_cells(symbols, symbols, "distortion")
    sigma = deviation(sigma, "sigma")
    rho = probability(rho, "rho")
    x = np.linspace(-reach, reach, symbols)
    p = np.exp(-x * x / 2)
    one = normal_cdf(rho * x / math.sqrt(1 - rho * rho)) if rho < 1 else np.where(x == 0, 0.5, (x > 0) * 1.0)
    values = sigma * x
    labels = np.stack([1 - one, one], axis=1)
    answers = one_hot((values >= 0).astype(np.int64), 2)
    return Source(p / p.sum(), labels, (values[:, None] - values) ** 2, answers, f"Gaussian on {symbols} points")


def random_source(
    seed: int, symbols: int = 8, reproductions: int | None = None, classes: int = 2, *, noisy: bool = True
) -> Source:
    """A source drawn at random: Dirichlet probabilities, even distortions in 0..1, labels with noise or without, a random classifier."""
    rng = np.random.default_rng(seed)
    letters = reproductions or symbols
    p = rng.dirichlet(np.ones(symbols))
    labels = rng.dirichlet(np.ones(classes), symbols) if noisy else one_hot(rng.integers(0, classes, symbols), classes)
    answers = one_hot(rng.integers(0, classes, letters), classes)
    return Source(p, labels, rng.random((symbols, letters)), answers, f"random source {seed}")
