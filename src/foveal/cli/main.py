"""The command ``foveal``: one verb per file, and one place where errors become words and an exit status."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from foveal.cli.analyze import analyze
from foveal.cli.bench import bench
from foveal.cli.codecs import codecs
from foveal.cli.decode import decode
from foveal.cli.encode import encode
from foveal.cli.energy import energy
from foveal.cli.importance import importance
from foveal.cli.info import info
from foveal.cli.rdc import rdc
from foveal.cli.rdc_digits import rdc_digits
from foveal.cli.train import train
from foveal.errors import FovealError

app = typer.Typer(
    name="foveal",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _verb in (encode, decode, info, analyze, importance, bench, train, rdc, rdc_digits, energy, codecs):
    app.command()(_verb)


def _version(wanted: bool) -> None:
    if wanted:
        from foveal import __version__

        print(f"foveal {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Code images for two readers, people and machines: our own learned codecs beside the standard ones.

    Files may be -, which is standard input or output. A folder in place of a file means a batch.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status: 0 done, 1 a named error or a failed item, 2 a command line that cannot be read, 130 Ctrl-C."""
    with _plain_warnings():
        try:
            app(args=arguments, prog_name="foveal")
        except FovealError as error:
            print(f"error: {error}", file=sys.stderr)
            _flushed()
            return 1
        except OSError as error:  # print() to a full disk; what foveal writes itself ends as FovealError
            _flushed()
            print(f"error: cannot write to standard output: {error.strerror}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 130
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else 0
            return status if _flushed() else 1
    return 0


def _flushed() -> bool:
    """Writes out what is left for standard output; False if nobody reads it any more."""
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            print(f"error: cannot write to standard output: {error.strerror}", file=sys.stderr)
        return False
    return True


@contextmanager
def _plain_warnings() -> Generator[None]:
    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        print(f"warning: {message}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


if __name__ == "__main__":
    sys.exit(main())
