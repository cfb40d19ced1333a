"""``foveal rdc``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foveal.cli.options import Json
from foveal.cli.show import json_line
from foveal.errors import TheoryError

if TYPE_CHECKING:
    from foveal.theory.study import StudyReport
    from foveal.theory.subject import Subject
    from foveal.theory.surface import Definition


_OWNERS = {"p": "bernoulli", "flips": "bernoulli", "sigma": "gaussian", "rho": "gaussian", "threshold": "gaussian"}
"""The source that an option belongs to."""


def rdc(
    context: typer.Context,
    out: Annotated[
        str,
        typer.Option(metavar="FILE.png", help="The surface plot; FILE-contour.png and FILE.csv are written beside it."),
    ],
    source: Annotated[
        str, typer.Option(metavar="SOURCE", help="bernoulli, gaussian, or a JSON file that describes a source (docs/theory.md).")
    ] = "bernoulli",
    definition: Annotated[
        str,
        typer.Option(
            metavar="HOW",
            help="classifier: C bounds the error of a fixed classifier; entropy: C bounds H(S|U), what stays unknown of the label to who has all that is received, in bits.",
        ),
    ] = "classifier",
    p: Annotated[float, typer.Option(metavar="P", help="bernoulli: the probability of a 1.")] = 0.5,
    flips: Annotated[
        str, typer.Option(metavar="Q0,Q1", help="bernoulli: the probability that the label of a 0 and of a 1 is the other one.")
    ] = "0.1,0.1",
    sigma: Annotated[
        float,
        typer.Option(
            metavar="S",
            help="gaussian: the standard deviation of the source. Under the entropy definition that of the label is 1.",
        ),
    ] = 1.0,
    rho: Annotated[
        float, typer.Option(metavar="R", help="gaussian: the correlation of the source with what decides its label.")
    ] = 0.9,
    threshold: Annotated[
        float, typer.Option(metavar="T", help="gaussian, classifier: where label and classifier part, in standard deviations.")
    ] = 0.0,
    points: Annotated[int, typer.Option(min=2, max=200, metavar="N", help="Points on each axis.")] = 30,
    d_range: Annotated[str | None, typer.Option(metavar="LOW,HIGH", help="Bounds on D. Default: all that matters.")] = None,
    c_range: Annotated[str | None, typer.Option(metavar="LOW,HIGH", help="Bounds on C. Default: all that matters.")] = None,
    points_csv: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also draw a codec's points (columns rate,distortion,classification) that lie within the axes, and say how far above all are.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Draw the rate-distortion-classification function of a source: the least rate in bits for a distortion D and a classification C.

    Bounds from both sides are computed; the largest gap between them, and the largest difference to a closed form, are told.
    Points that no code reaches are gray, and inf in the table.
    """
    from foveal.theory.study import study

    for option, owner in _OWNERS.items():
        given = context.get_parameter_source(option)
        if owner != source and given is not None and given.name == "COMMANDLINE":
            raise TheoryError(f"--{option} belongs to --source {owner}, and the source is {source}; leave one of them out")
    subject = _subject(source, _definition(definition), p, flips, sigma, rho, threshold)
    report = study(
        subject,
        out,
        points=points,
        distortion=_range(d_range, "--d-range"),
        classification=_range(c_range, "--c-range"),
        points_csv=points_csv,
    )
    print(json_line(report) if as_json else _text(report))


def _subject(source: str, definition: Definition, p: float, flips: str, sigma: float, rho: float, threshold: float) -> Subject:
    from foveal.theory.source import Source
    from foveal.theory.subject import bernoulli_subject, gaussian_subject, source_subject

    if source == "bernoulli":
        return bernoulli_subject(p, _pair(flips, "--flips"), definition)
    if source == "gaussian":
        return gaussian_subject(sigma, rho, definition, threshold=threshold)
    if not Path(source).exists():
        raise TheoryError(f"cannot read {source}: there is no such file; bernoulli, gaussian, or a JSON file is needed")
    return source_subject(Source.read(source), definition)


def _range(text: str | None, option: str) -> tuple[float, float] | None:
    pair = None if text is None else _pair(text, option)
    if pair is not None and not -math.inf < pair[0] < pair[1] < math.inf:
        raise TheoryError(f"{option} {text!r}; two finite numbers that rise are needed, such as 0,0.5")
    return pair


def _definition(text: str) -> Definition:
    if text == "classifier" or text == "entropy":
        return text
    raise TheoryError(f"definition {text!r}; classifier or entropy is needed")


def _pair(text: str, option: str) -> tuple[float, float]:
    try:
        first, second = (float(part) for part in text.split(","))
    except ValueError as error:
        raise TheoryError(f"{option} {text!r}; two numbers with a comma between them are needed, such as 0,0.5") from error
    return first, second


def _text(report: StudyReport) -> str:
    known = report.closed_form_difference_bits
    closed = "" if known is None else f", at most {known:.2g} bit from the closed form"
    lines = [
        f"{report.files[0]}: {report.source}, {report.definition} definition, {report.feasible} of {report.points} points can be reached, "
        f"up to {report.highest_rate_bits:.4g} bit; bounds at most {report.gap_bits:.2g} bit apart{closed}; "
        f"{'monotone' if report.monotone else 'NOT monotone'}, {'convex' if report.convex else 'NOT convex'}; {report.solve_s:.1f} s",
        f"  also {', '.join(report.files[1:])}",
    ]
    if report.not_drawn:
        lines.append(
            f"  {report.not_drawn} of {len(report.operating_points)} operating points lie outside of the axes and are not drawn; "
            "--d-range and --c-range move the axes"
        )
    for point in report.operating_points:
        place = f"  D {point.distortion:.4g}, C {point.classification:.4g}: {point.rate:.4g} bit"
        if point.limit == float("inf"):
            lines.append(f"{place}, where no code can be: look at the units and the definition")
        elif point.rate < point.lower:
            lines.append(
                f"{place}, {-point.above_bits:.4g} bit BELOW the limit of {point.limit:.4g}: look at the units and the definition"
            )
        else:
            lines.append(f"{place}, {point.above_bits:.4g} bit above the limit of {point.limit:.4g}")
    return "\n".join(lines)
