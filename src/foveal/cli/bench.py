"""``foveal bench``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from foveal.cli.options import Json, parse_qualities
from foveal.threads import MOST_THREADS


def bench(
    pictures: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of pictures, or one picture.")],
    codecs: Annotated[
        str,
        typer.Option(
            metavar="LIST",
            help="Codecs between commas, each with a chroma or preset: frequency,jpeg,hevc:444,vvc:faster; or guided, or a baseline "
            "of guides: hevc:machine=detect+pose, hevc:lowpass, hevc:aq, hevc:boxes=LABEL (docs/guidance.md); "
            "or read without a picture: frequency:latent (docs/tasks.md).",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="REPORT", help="The folder of rows and report. A bench that is there goes on.")],
    qualities: Annotated[
        str | None,
        typer.Option(
            metavar="LIST", help="Qualities between commas, 1 to 100. Default: some that suit each codec, mostly eight."
        ),
    ] = None,
    anchor: Annotated[
        str | None,
        typer.Option(metavar="LABEL", help="The curve that BD-rates are against. Default: jpeg, else the first codec."),
    ] = None,
    published: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="PATH", help="Also draw published curves (CompressAI results JSON): a file or a folder. May be repeated."
        ),
    ] = None,
    measured: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also draw curves measured earlier on the same pictures (JSON Lines).")
    ] = None,
    tasks: Annotated[
        str | None, typer.Option(metavar="LIST", help="Tasks between commas that networks answer: classify,detect,segment,pose.")
    ] = None,
    network: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SPEC",
            help="A network that reads what comes back: onnx:FILE, tflite:FILE, torch:MODULE:FACTORY, hf:NAME or builtin:NAME. May be repeated.",
        ),
    ] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FORM:PATH",
            help="Labels to score it with: folders:, csv:, coco:, yolo:, masks: or joints:. Without any, agreement alone is told. May be repeated.",
        ),
    ] = None,
    leave_out: Annotated[
        bool,
        typer.Option(
            "--leave-out",
            help="Allow pictures without a label or of a class that the network does not have, and labels without a picture.",
        ),
    ] = False,
    sample: Annotated[int | None, typer.Option(min=1, metavar="N", help="Only N of the pictures, evenly spaced.")] = None,
    draws: Annotated[
        int, typer.Option(min=10, max=10_000, metavar="N", help="Draws of the bootstrap that gives the intervals of scores.")
    ] = 300,
    cache: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where coded files are kept for networks that come later. Default: REPORT/coded."),
    ] = None,
    also: Annotated[
        list[Path] | None,
        typer.Option(metavar="REPORT", help="Also report the rows of this bench, over the same pictures. May be repeated."),
    ] = None,
    ssim: Annotated[bool, typer.Option(help="Measure SSIM and MS-SSIM, which takes torch.")] = True,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1, max=MOST_THREADS, metavar="N", help="Threads that an encoder may use. Default: the codec's own choice."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure codecs x qualities x pictures, and write a report: rate-distortion plots, BD-rates, times, and what networks read.

    Every row goes to REPORT/rows.jsonl as soon as it is measured, so that a stopped bench goes on where it was.
    One failure does not stop the rest. Status: 0 all measured, 1 something failed, 2 a command line that cannot be read.
    """
    from foveal.bench.plan import BenchPlan, parse_codecs
    from foveal.bench.report import write_report
    from foveal.bench.run import run_bench
    from foveal.cli.bench_readers import ReadersAsked, bench_pictures, open_readers
    from foveal.cli.bench_show import bench_json, bench_lines, choose_anchor, failed_lines, published_files, row_progress

    runs = parse_codecs(codecs, parse_qualities(qualities))
    every, found = bench_pictures(pictures, sample)
    names = tuple(name.strip() for name in (tasks or "").split(",") if name.strip())
    asked = ReadersAsked(names, tuple(network or ()), tuple(labels or ()), leave_out)
    readers = open_readers(asked, pictures, every, found, threads)
    plan = BenchPlan(found, runs, out, ssim=ssim, threads=threads, readers=readers, cache=cache)
    curves = published_files(published or [])
    with row_progress() as on_row:
        done = run_bench(plan, on_row)
    files = [done.path, *(folder / "rows.jsonl" for folder in also or ())]
    report = write_report(files, out, draws=draws, anchor=choose_anchor(anchor, runs), published=curves, measured=measured)
    print(bench_json(done, report) if as_json else bench_lines(done, report))
    for line in failed_lines(done.failed):
        print(f"error: {line}", file=sys.stderr)
    if done.failed:
        raise typer.Exit(1)
