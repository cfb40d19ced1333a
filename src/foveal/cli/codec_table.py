"""The codecs as a table for a person or as rows for a program."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

from foveal.codecs.base import CodecInfo
from foveal.codecs.registry import all_codecs


@dataclass(frozen=True)
class CodecRow:
    """A codec and whether it works here. parameter runs from ``coarse`` at quality 1 to ``fine`` at 100."""

    name: str
    id: int
    title: str
    suffixes: tuple[str, ...]
    learned: bool
    parameter: str
    coarse: float
    fine: float
    continuous: bool
    chroma: tuple[str, ...]
    presets: tuple[str, ...]
    alpha: bool
    metadata: bool
    needs: tuple[str, ...]
    missing: tuple[str, ...]
    installed: bool
    bands: int
    tiles: bool
    importance: bool
    guided_by: str
    adaptive: bool


def codec_rows() -> tuple[CodecRow, ...]:
    """One row a codec. Nothing is imported to see what is installed."""
    return tuple(_row(info) for info in all_codecs())


def _row(info: CodecInfo) -> CodecRow:
    missing = tuple(name for name in info.needs if importlib.util.find_spec(name.replace("-", "_")) is None)
    return CodecRow(
        name=info.name,
        id=info.id,
        title=info.title,
        suffixes=info.suffixes,
        learned=info.learned,
        parameter=info.scale.parameter,
        coarse=info.scale.coarse,
        fine=info.scale.fine,
        continuous=info.scale.continuous,
        chroma=info.chroma,
        presets=info.presets,
        alpha=info.alpha,
        metadata=info.metadata,
        needs=info.needs,
        missing=missing,
        installed=not missing,
        bands=info.bands,
        tiles=info.tiles,
        importance=info.importance,
        guided_by=info.guided_by,
        adaptive=info.adaptive,
    )


def _has(row: CodecRow) -> list[str]:
    words = {
        "alpha": row.alpha,
        "icc+exif": row.metadata,
        f"{row.bands}\N{NO-BREAK SPACE}bands": row.bands > 1,
        "tiles": row.tiles,
        row.guided_by: True,
        "adaptive": row.adaptive,
    }
    return [word for word, there in words.items() if there]


def print_table(rows: tuple[CodecRow, ...]) -> None:
    """Prints the rows; as wide as needed where the output is no terminal."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for title in ("codec", "id", "what", "files", "quality 1..100 is", "chroma", "presets", "has", "needs"):
        table.add_column(title, overflow="fold", justify="right" if title == "id" else "left")
    for row in rows:
        steps = "" if row.continuous else ", whole"
        needs = " ".join(f"{name} (missing)" if name in row.missing else name for name in row.needs)
        table.add_row(
            row.name,
            str(row.id),
            row.title,
            " ".join(row.suffixes),
            f"{row.parameter} {row.coarse:g}..{row.fine:g}{steps}",
            " ".join(row.chroma),
            " ".join(row.presets),
            " ".join(_has(row)),
            needs or "-",
        )
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = 320
    console.print(table)
    print(
        "Has: what of a picture a file keeps, and how it can be coded: in bands, in tiles; how importance is followed (a map of steps, thresholds of coefficients, a filter before); by adaptive quantisation of its own."
    )
    print("The first chroma and preset are the default. pip install 'foveal[all]' installs what all of them need.")
