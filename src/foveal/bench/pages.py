"""The report as one HTML file that needs nothing beside it, and as Markdown."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from foveal.bench.tables import Table

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
img { max-width: 100%; height: auto; background: #fff; border-radius: 4px; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .8rem; border-bottom: 1px solid #8884; text-align: right; vertical-align: top; }
th:first-child, td:first-child, .words td, .words th { text-align: left; }
thead th { border-bottom-width: 2px; }
.notes { font-size: .875rem; opacity: .85; }
"""


@dataclass(frozen=True)
class Plot:
    """A picture of the report: its file name, what it shows in words, and its PNG."""

    name: str
    title: str
    png: bytes


@dataclass(frozen=True)
class Page:
    """A report in reading order. figures: tables of numbers; words: tables of text."""

    title: str
    lead: str
    notes: tuple[str, ...]
    plots: tuple[Plot, ...]
    figures: tuple[Table, ...]
    words: tuple[Table, ...]


def to_html(page: Page) -> str:
    """The whole page, plots embedded."""
    parts = [
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(page.title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>",
        f"<h1>{escape(page.title)}</h1>\n<p>{escape(page.lead)}</p>",
        _html_notes(page.notes),
    ]
    for plot in page.plots:
        data = base64.b64encode(plot.png).decode()
        parts.append(f'<p><img src="data:image/png;base64,{data}" alt="{escape(plot.title)}"></p>')
    parts += [_html_table(table, "figures") for table in page.figures]
    parts += [_html_table(table, "words") for table in page.words]
    return "\n".join([*parts, "</body>\n</html>\n"])


def to_markdown(page: Page) -> str:
    """The whole report, plots as links to the files beside it."""
    parts = [f"# {page.title}", page.lead]
    if page.notes:
        parts.append("\n".join(f"- {note}" for note in page.notes))
    parts += [f"![{plot.title}]({plot.name})" for plot in page.plots]
    parts += [_markdown_table(table, "---:") for table in page.figures]
    parts += [_markdown_table(table, "---") for table in page.words]
    return "\n\n".join(parts) + "\n"


def _html_table(table: Table, kind: str) -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in table.head)
    body = "\n".join("<tr>" + "".join(f"<td>{escape(text)}</td>" for text in row) + "</tr>" for row in table.rows)
    return (
        f'<h2>{escape(table.caption)}</h2>\n<div class="wide"><table class="{kind}">\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>\n{_html_notes(table.footnotes)}"
    )


def _html_notes(notes: Sequence[str]) -> str:
    if not notes:
        return ""
    return '<ul class="notes">' + "".join(f"<li>{escape(note)}</li>" for note in notes) + "</ul>"


def _markdown_table(table: Table, align: str) -> str:
    rule = ["---", *[align] * (len(table.head) - 1)]
    lines = [_markdown_row(row) for row in (table.head, rule, *table.rows)]
    notes = "".join(f"\n- {note}" for note in table.footnotes)
    return f"## {table.caption}\n\n" + "\n".join(lines) + ("\n" + notes if notes else "")


def _markdown_row(texts: Sequence[str]) -> str:
    clean = (" ".join(text.replace("|", "\\|").split()) for text in texts)
    return "| " + " | ".join(clean) + " |"
