"""``foveal codecs``."""

from __future__ import annotations

from foveal.cli.options import Json
from foveal.cli.show import json_line


def codecs(as_json: Json = False) -> None:
    """List every codec: what it is, the files that it writes, its settings, and whether what it needs is installed."""
    from foveal.cli.codec_table import codec_rows, print_table

    rows = codec_rows()
    if not as_json:
        print_table(rows)
        return
    for row in rows:
        print(json_line(row))
