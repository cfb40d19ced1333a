"""``python -m foveal.training``: trains with torch, numpy, Pillow and safetensors alone.

For machines that have nothing else; everywhere else ``foveal train`` does the same and more.
"""

from __future__ import annotations

import argparse
import functools
import sys
from pathlib import Path

from torch import Tensor

from foveal.codecs.learned.weights import read_tensors
from foveal.errors import FovealError
from foveal.training.checkpoint import load_tensors
from foveal.training.config import read_recipe
from foveal.training.loop import train


def main() -> int:
    """Parses, trains, and returns the exit status. Under torchrun all processes train one model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("recipe", type=Path, help="a recipe, such as recipes/frequency.toml")
    parser.add_argument("--data", type=Path, required=True, help="the folder of photographs")
    parser.add_argument("--run", type=Path, required=True, help="the folder of the run; a run that is there goes on")
    parser.add_argument("--from", dest="start", type=Path, help="start a fresh run from this .safetensors or .safetensors.xz")
    parser.add_argument("--minutes", type=float, default=60.0, help="stop after this time")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=None)
    options = parser.parse_args()
    try:
        log = functools.partial(print, flush=True)
        train(
            read_recipe(options.recipe),
            options.data,
            options.run,
            minutes=options.minutes,
            device=options.device,
            threads=options.threads,
            initial=_initial(options.start) if options.start else None,
            log=log,
        )
    except FovealError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _initial(path: Path) -> dict[str, Tensor]:
    """Tensors by name: of weights that ship, or of a run's average in its parts."""
    return read_tensors(path) if path.suffix == ".xz" else load_tensors(path.parent, path.stem)


if __name__ == "__main__":
    raise SystemExit(main())
