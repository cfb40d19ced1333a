"""``foveal energy``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foveal.cli.options import Json, MaxPixels, Threads, make_limits
from foveal.cli.show import json_line

if TYPE_CHECKING:
    from foveal.codecs.learned.cae_pca.compaction import Compaction


def energy(
    sources: Annotated[list[str], typer.Argument(metavar="PICTURE...", help="Pictures, or folders of them.")],
    out: Annotated[Path, typer.Option(metavar="FILE.png", help="The plot.")],
    as_json: Json = False,
    threads: Threads = None,
    max_pixels: MaxPixels = None,
) -> None:
    """Show how the rotation of cae-pca gathers the energy of its maps in few of them.

    The plot has the share of each map in the variance of the latent, with the rotation and without it, and how the shares add up. A coding gain says
    how much less error, in dB, the maps give for the same bits at fine steps, against maps of equal energy.
    """
    from foveal.bench.pictures import find_pictures
    from foveal.codecs.learned.cae_pca.compaction import draw_compaction, measure_compaction
    from foveal.media.image_io import read_picture
    from foveal.media.output import write_whole

    limits = make_limits(max_pixels)
    paths = [path for source in sources for path in find_pictures(Path(source))]
    compaction = measure_compaction((read_picture(path, limits) for path in paths), threads)
    write_whole(out, draw_compaction(compaction))
    print(json_line(compaction) if as_json else _text(compaction, out))


def _text(compaction: Compaction, out: Path) -> str:
    spreads = "; ".join(
        f"{spread.preset}: coding gain {spread.coding_gain_db:.1f} dB, 99 % in {spread.maps_for_99} of {len(spread.shares)} maps"
        for spread in compaction.spreads
    )
    return f"{out}: {compaction.pictures} picture{'s' * (compaction.pictures > 1)}, {spreads}"
