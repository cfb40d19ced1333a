"""What ``encode`` and ``decode`` do to a folder of files; what they cannot do to any of them is said before the first."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from foveal.batch import BatchJob, BatchPlan, Failure, plan_batch, settings_digest
from foveal.codecs.base import CodecInfo, DecodeSettings
from foveal.codecs.guide import asked_guide
from foveal.codecs.registry import all_codecs, codec_by_name
from foveal.codecs.search import check_target
from foveal.errors import InputError, SettingsError
from foveal.files import DecodeReport, DecodeRequest, EncodeReport, EncodeRequest, decode_file, encode_file
from foveal.importance_maps import MAP_SUFFIXES, MapFolder
from foveal.sources import PICTURE_SUFFIXES, PIPE
from foveal.threads import MOST_THREADS, check_count


def encode_batch(source: str, output: str, request: EncodeRequest) -> tuple[BatchPlan, partial[EncodeReport]]:
    """What to do for a folder of pictures, and the worker that does it, one thread each unless told.

    Where ``request.importance`` is a folder, each picture takes the map of its own place and stem there; one that has none
    is coded without.

    Raises:
        InputError: no pictures there, no maps, or ``output`` is standard output. UnknownCodecError: no codec of that name.
        SettingsError: a setting that would fail for every picture, or one importance map for all.
    """
    folder = _folder(output)
    info = next((info for info in all_codecs() if info.name == request.codec), None) or codec_by_name(request.codec).info
    request.check(info)
    maps = _maps(source, request)
    _check_encode(info, request)
    request = replace(request, settings=replace(request.settings, threads=request.settings.threads or 1))
    made_by = (request.codec, replace(request.settings, threads=None), request.hold_rate, request.target, request.background)
    made_by += tuple(asked for asked in (request.machine, request.around) if asked is not None)
    skip = None if request.importance is None else Path(request.importance)
    plan = plan_batch(Path(source), folder, info.suffixes[0], PICTURE_SUFFIXES, settings_digest("encode", *made_by), skip=skip)
    return plan if maps is None else _with_maps(plan, maps), partial(_encode_job, request)


def _check_encode(info: CodecInfo, request: EncodeRequest) -> None:
    settings = request.settings
    if request.importance is None:
        asked_guide(None, hold_rate=request.hold_rate)
    info.checked(settings)
    if request.target is None:
        info.scale.native(settings.quality)
    else:
        check_target(hold_rate=request.hold_rate)


def _maps(source: str, request: EncodeRequest) -> MapFolder | None:
    given = request.importance
    if request.settings.guide is not None or (given is not None and not Path(given).is_dir()):
        raise SettingsError(
            "an importance map belongs to one picture, and a folder is given; name a folder of maps, each with its picture's stem"
        )
    if given is None:
        return None
    maps = MapFolder(Path(given), Path(source))
    if maps.is_empty():
        raise InputError(
            f"no importance map in {given} or below; files of {' '.join(MAP_SUFFIXES)} are needed, by their pictures' names"
        )
    return maps


def _with_maps(plan: BatchPlan, maps: MapFolder) -> BatchPlan:
    jobs, refused = list[BatchJob](), list(plan.refused)
    for job in plan.jobs:
        try:
            jobs.append(replace(job, beside=maps.find(job.name)))
        except InputError as error:
            refused.append(Failure(job.name, str(error)))
    without = sum(job.beside is None for job in jobs)
    note = f"{without} without an importance map" if without else ""
    return replace(plan, jobs=tuple(jobs), refused=tuple(refused), note=note)


def decode_batch(source: str, output: str, request: DecodeRequest) -> tuple[BatchPlan, partial[DecodeReport]]:
    """What to do for a folder of coded files, and the worker that writes PNG, one thread each unless told.

    Raises:
        InputError: no coded files there, or ``output`` is standard output. SettingsError: a setting that would fail for every file.
    """
    folder = _folder(output)
    _check_decode(request.settings)
    request = replace(request, threads=request.threads or 1)
    suffixes = [suffix for info in all_codecs() for suffix in info.suffixes]
    settings = replace(request.settings, threads=None)
    made_by = () if settings == DecodeSettings() else (settings,)
    plan = plan_batch(Path(source), folder, ".png", suffixes, settings_digest("decode", *made_by))
    return plan, partial(_decode_job, request)


def _check_decode(settings: DecodeSettings) -> None:
    most = max(info.bands for info in all_codecs())
    if settings.bands is not None and not 1 <= settings.bands <= most:
        raise SettingsError(f"bands = {settings.bands}; no codec has more than {most}: ask for 1 to {most}, or leave it out")
    if settings.crop is not None:
        settings.crop.check()
    if settings.threads is not None:
        check_count("threads", settings.threads, MOST_THREADS)


def _folder(output: str) -> Path:
    if output == PIPE:
        raise InputError("a folder cannot be coded to standard output; name a folder to write to")
    if Path(output).exists() and not Path(output).is_dir():
        raise InputError(f"{output} is a file; a folder of pictures needs a folder to write to")
    return Path(output)


def _encode_job(request: EncodeRequest, job: BatchJob) -> EncodeReport:
    if request.importance is not None:
        importance, hold_rate = (None, False) if job.beside is None else (str(job.beside), request.hold_rate)
        request = replace(request, importance=importance, hold_rate=hold_rate)
    return encode_file(str(job.source), str(job.target), request)


def _decode_job(request: DecodeRequest, job: BatchJob) -> DecodeReport:
    return decode_file(str(job.source), str(job.target), request)
