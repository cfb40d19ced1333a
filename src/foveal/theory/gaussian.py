"""The closed form for a Gaussian source under the entropy definition (docs/theory.md has the derivation)."""

from __future__ import annotations

import math
from typing import Final

from foveal.theory.arrays import number, probability

_DEVIATIONS: Final = (1e-30, 1e30)


def gaussian_label_entropy(sigma: float = 1.0) -> float:
    """The differential entropy of a Gaussian with standard deviation ``sigma``, in bits. Raises TheoryError: sigma not in 1e-30..1e30."""
    return 0.5 * math.log2(2 * math.pi * math.e * deviation(sigma, "sigma") ** 2)


def gaussian_entropy_rate(sigma: float, rho: float, distortion: float, equivocation: float, *, label_sigma: float = 1.0) -> float:
    """R(D, C) of the entropy definition in bits: E[(X - X̂)²] <= D and h(S|U) <= C, S and X jointly Gaussian with correlation rho.

    U is what the decoder receives, of any alphabet, from which it makes X̂.

    C is a differential entropy in bits, and may be negative. R = max(½ log2(σ²/D), -½ log2(1 - (1 - 2^(-2(h(S) - C)))/ρ²), 0);
    inf for D <= 0, and for C <= h(S) + ½ log2(1 - ρ²), which no rate reaches.

    Raises:
        TheoryError: sigma or label_sigma not in 1e-30..1e30, rho outside -1..1, or no number.

    Reference: arXiv 2405.04144; the converse is the entropy power inequality.
    """
    variance = deviation(sigma, "sigma") ** 2
    rho = probability(rho, "rho", least=-1.0)
    distortion = number(distortion, "distortion")
    known = gaussian_label_entropy(deviation(label_sigma, "label_sigma")) - number(equivocation, "equivocation")
    if distortion <= 0:
        return math.inf
    rates = [0.0, 0.5 * math.log2(variance / distortion) if distortion < math.inf else 0.0]
    if known > 0:
        left = rho * rho - 1 + 2.0 ** (-2 * known)
        if left <= 0:
            return math.inf
        rates.append(-0.5 * math.log2(left / (rho * rho)))
    return max(rates)


def gaussian_least_entropy(rho: float, *, label_sigma: float = 1.0) -> float:
    """h(S|X) in bits, which C must be above; -inf where the label is a function of X."""
    rho = probability(rho, "rho", least=-1.0)
    return gaussian_label_entropy(label_sigma) + (0.5 * math.log2(1 - rho * rho) if rho * rho < 1 else -math.inf)


def check_gaussian(sigma: float, rho: float, threshold: float = 0.0) -> None:
    """Raises TheoryError: sigma not in 1e-30..1e30, rho outside 0..1, or a threshold beyond 3 standard deviations."""
    deviation(sigma, "sigma")
    probability(rho, "rho")
    probability(threshold, "threshold", least=-3.0, most=3.0)


def deviation(sigma: float, what: str) -> float:
    """A standard deviation whose square, and what is reckoned with it, is a number. Raises TheoryError: not in 1e-30..1e30."""
    return number(sigma, what, least=_DEVIATIONS[0], most=_DEVIATIONS[1])


def gaussian_name(sigma: float, rho: float, threshold: float = 0.0) -> str:
    """For titles."""
    return f"Gaussian, sigma {sigma:g}, rho {rho:g}" + (f", threshold {threshold:g}" if threshold else "")
