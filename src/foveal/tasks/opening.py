"""From the spelling of a network to a task: ``onnx:FILE``, ``tflite:FILE``, ``torch:MODULE:FACTORY``, ``hf:NAME``, ``builtin:NAME``."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from foveal.errors import NetworkError
from foveal.tasks.networks.base import Network
from foveal.tasks.pixel import PixelTask
from foveal.tasks.record import Record, read_record, shipped_record
from foveal.threads import MOST_THREADS, check_count

SPELLINGS: Final = "onnx:FILE, tflite:FILE, torch:PACKAGE.MODULE:FACTORY, hf:NAME_OR_FOLDER or builtin:NAME"


def open_task(spec: str, record: Path | Record | None = None, threads: int | None = None) -> PixelTask:
    """The task that a network answers, ready to run.

    record: what the network is given and says, or the file that says so. Without it the file beside the network counts, of its name
    with the suffix ``.toml``, then the record of that name that comes with foveal; hf and builtin networks bring their own.
    threads: how many a run may use, 1 to 64; one a core if left out.

    Raises:
        NetworkError: no such network or record, or they do not fit. MissingDependencyError: a library has to be installed.
        SettingsError: threads out of range.
    """
    if threads is not None:
        check_count("threads", threads, MOST_THREADS)
    kind, _, name = spec.partition(":")
    if kind not in ("onnx", "tflite", "torch", "hf", "builtin") or not name:
        raise NetworkError(f"network {spec!r}; write {SPELLINGS}")
    given = read_record(record) if isinstance(record, Path) else record
    if kind in ("onnx", "tflite"):
        return PixelTask(*_from_file(kind, Path(name), given, threads), Path(name).stem)
    if kind == "torch":
        return PixelTask(*_from_module(name, given, threads), name)
    if kind == "hf":
        from foveal.tasks.networks.hf_model import load_hf

        return PixelTask(*load_hf(name, given, threads), Path(name).name)
    from foveal.tasks.builtin import load_builtin

    network, known = load_builtin(name, threads)
    return PixelTask(network, given or known, name)


def _from_file(kind: str, path: Path, given: Record | None, threads: int | None) -> tuple[Network, Record]:
    if not path.is_file():
        raise NetworkError(f"{kind}:{path}: there is no such file")
    record = given or _record_beside(path) or _need_record(f"{kind}:{path}", path)  # before the network: it may take long to open
    if kind == "onnx":
        from foveal.tasks.networks.onnx_file import OnnxNetwork

        return OnnxNetwork(path, threads), record
    from foveal.tasks.networks.tflite_file import TfliteNetwork

    return TfliteNetwork(path, threads), record


def _from_module(name: str, given: Record | None, threads: int | None) -> tuple[Network, Record]:
    from foveal.tasks.networks.torch_module import TorchNetwork, load_module

    module, path = load_module(name)
    record = given or (_record_beside(path) if path else None) or _need_record(f"torch:{name}", path)
    return TorchNetwork(module, threads, name), record


def _record_beside(path: Path) -> Record | None:
    beside = path.with_suffix(".toml")
    return read_record(beside) if beside.is_file() else shipped_record(path.stem)


def _need_record(spec: str, path: Path | None) -> Record:
    beside = f"write {path.with_suffix('.toml')}, or " if path else ""
    raise NetworkError(f"{spec}: what it is given and what its outputs mean is not known; {beside}name a record (docs/tasks.md)")
