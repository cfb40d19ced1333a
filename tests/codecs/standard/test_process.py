"""Programs are started by one function: it waits so long and no longer, and says what went wrong."""

from __future__ import annotations

import os
import sys
import time

import pytest

from foveal.codecs.standard.process import ffmpeg_program, run_program
from foveal.errors import BackendError, MissingDependencyError

ECHO = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read()[::-1])"


def test_input_and_output_are_bytes():
    data = bytes(range(256)) * 4000  # more than a pipe holds
    assert run_program([sys.executable, "-c", ECHO], stdin=data, timeout_s=30) == data[::-1]


def test_no_shell_reads_the_arguments():
    code = "import sys; sys.stdout.write(sys.argv[1])"
    assert run_program([sys.executable, "-c", code, "$HOME; `id` *"], stdin=b"", timeout_s=30) == b"$HOME; `id` *"


def test_a_failure_repeats_what_the_program_said():
    code = "import sys; sys.stderr.write('x' * 9000 + 'no such quantiser'); sys.exit(3)"
    with pytest.raises(BackendError, match=r"status 3: x+no such quantiser$") as caught:
        run_program([sys.executable, "-c", code], stdin=b"", timeout_s=30)
    assert len(str(caught.value)) < 700


def test_a_program_that_reads_nothing_still_fails_by_name():
    with pytest.raises(BackendError, match="status 4"):
        run_program([sys.executable, "-c", "import sys; sys.exit(4)"], stdin=bytes(1 << 20), timeout_s=30)


def test_a_timeout_ends_the_program_and_its_children(tmp_path):
    note = tmp_path / "child"
    code = (
        "import subprocess, sys, time, pathlib\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "pathlib.Path(sys.argv[1]).write_text(str(child.pid))\n"
        "time.sleep(60)\n"
    )
    begin = time.monotonic()
    with pytest.raises(BackendError, match=r"within 6 s"):
        run_program([sys.executable, "-c", code, str(note)], stdin=b"", timeout_s=6)
    assert time.monotonic() - begin < 20
    assert _gone(int(note.read_text()))


def test_a_missing_program_says_what_to_install():
    with pytest.raises(MissingDependencyError, match="pip install imageio-ffmpeg"):
        run_program(["/nowhere/ffmpeg"], stdin=b"", timeout_s=1)


def test_a_missing_library_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(MissingDependencyError, match="pip install imageio-ffmpeg"):
        ffmpeg_program()


def test_the_program_is_there():
    pytest.importorskip("imageio_ffmpeg")
    assert run_program([ffmpeg_program(), "-version"], stdin=b"", timeout_s=30).startswith(b"ffmpeg version")


def _gone(process_id: int) -> bool:
    """Whether a process has ended: it is no more, or a zombie that nobody waits for."""
    for _ in range(100):
        try:
            os.kill(process_id, 0)
            with open(f"/proc/{process_id}/stat") as stat:  # noqa: PTH123
                if stat.read().rsplit(")", 1)[1].split()[0] == "Z":
                    return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.05)
    return False
