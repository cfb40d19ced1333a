"""Tells what the codecs of one run of ``foveal rdc-digits`` save against those of another, point by point, as Markdown.

Usage: python examples/compare_digit_runs.py OUT_OF_ONE OUT_OF_ANOTHER
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np

Weights = tuple[float, float]
Means = tuple[float, float, float]


def means(out: Path) -> dict[Weights, Means]:
    """Rate in bits, MSE and the frozen classifier's errors in percent, over seeds, by the weights of classification and distortion."""
    found: dict[Weights, list[Means]] = {}
    with (out / "points.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            weights = (float(row["classification_weight"]), float(row["distortion_weight"]))
            found.setdefault(weights, []).append((float(row["rate_bits"]), float(row["mse"]), float(row["frozen_percent"])))
    return {weights: tuple(np.mean(runs, axis=0).tolist()) for weights, runs in found.items()}  # pyright: ignore[reportReturnType]


def rate_at(curve: list[Means], mse: float) -> float:
    """The rate at an MSE, straight between neighbours, which a mixture of both reaches; NaN beyond the ends."""
    in_order = sorted(curve, key=lambda point: point[1])
    return float(np.interp(mse, [d for _, d, _ in in_order], [r for r, _, _ in in_order], left=np.nan, right=np.nan))


def table(one: dict[Weights, Means], other: dict[Weights, Means]) -> str:
    """A row for each pair of weights that both runs have."""
    lines = [
        "| λc | λd | first: rate, bits | MSE | error, % | second: rate, bits | MSE | error, % | first at the second's MSE, bits | saved |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for weights in sorted(one.keys() & other.keys()):
        (r, d, e), (rate, mse, error) = one[weights], other[weights]
        at = rate_at([point for (c, _), point in one.items() if c == weights[0]], mse)
        saved = "not measured | " if np.isnan(at) else f"{at:.1f} | {rate - at:.1f} ({100 * (1 - at / rate):.0f} %)"
        lines.append(
            f"| {weights[0]:g} | {weights[1]:g} | {r:.1f} | {d:.0f} | {e:.2f} | {rate:.1f} | {mse:.0f} | {error:.2f} | {saved} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Reads the runs and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("one", type=Path)
    parser.add_argument("other", type=Path)
    asked = parser.parse_args()
    print(table(means(asked.one), means(asked.other)))


if __name__ == "__main__":
    main()
