"""The only module that starts programs: never through a shell, always with a timeout."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence

from foveal.errors import BackendError, MissingDependencyError

_TAIL = 500  # characters of the program's complaints that an error repeats


def run_program(arguments: Sequence[str], *, stdin: bytes, timeout_s: float) -> bytes:
    """Runs ``arguments[0]`` with the rest as its arguments, and returns what it wrote to standard output.

    Raises:
        MissingDependencyError: there is no such program. BackendError: it failed, or was ended, with all that it had
            started, after ``timeout_s``.
    """
    name = os.path.basename(arguments[0])  # noqa: PTH119 - a name, not a file
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(arguments, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
    except OSError as error:
        raise MissingDependencyError(f"cannot start {arguments[0]}: {error.strerror}; pip install imageio-ffmpeg") from error
    try:
        output, complaints = process.communicate(stdin, timeout=timeout_s)
    except subprocess.TimeoutExpired as error:
        raise BackendError(f"{name} did not end within {timeout_s:g} s and was ended; a faster preset may help") from error
    finally:
        _end(process)
    if process.returncode != 0:
        tail = complaints.decode(errors="replace").strip()[-_TAIL:]
        raise BackendError(f"{name} failed with status {process.returncode}: {tail or 'it said nothing'}")
    return output


def ffmpeg_program() -> str:
    """The path of the ffmpeg program that imageio-ffmpeg carries.

    Raises:
        MissingDependencyError: imageio-ffmpeg, or its program, is missing.
    """
    try:
        import imageio_ffmpeg

        return imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError) as error:
        raise MissingDependencyError("the ffmpeg program is missing; pip install imageio-ffmpeg") from error


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends the program and its children where they still run, and closes the pipes."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
