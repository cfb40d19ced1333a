"""Exports weights of a learned codec again, as `foveal train --export` does now; for those of an earlier version.

Usage: python examples/shorten_weights.py WEIGHTS.safetensors.xz OUT --name NAME [--note TEXT]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from foveal.training.export import export_again


def main() -> None:
    """Writes the weights and their card to OUT, and says how large they are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, help="a file with its card, the .json of the same name, beside it")
    parser.add_argument("out", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--note", default="", help="for the card: what became of the weights")
    asked = parser.parse_args()
    card = export_again(asked.weights, asked.out, asked.name, asked.note)
    after = (asked.out / f"{card.name}.safetensors.xz").stat().st_size
    print(f"{card.name}, weights {card.id}: {asked.weights.stat().st_size:,} to {after:,} bytes")


if __name__ == "__main__":
    main()
