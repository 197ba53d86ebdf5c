"""The table of the floor that the chapter on strategies shows; its numbers are those of :mod:`sciml_lib.analysis.families`."""

from __future__ import annotations

from collections.abc import Mapping

from sciml_lib.analysis import families
from sciml_lib.panels import Panel
from sciml_lib.prose import listed, part_of, percent
from sciml_lib.text import tabulated


def floor_words(panels: Mapping[str, Panel]) -> str:
    """Tabulates how much of each map's training loss no field could avoid, and which thresholds lie below that."""
    found = families.floors(panels)
    shares = zip(*(found[name].map(percent) for name in ("share", "least", "most")), strict=True)
    written = found.assign(
        shares=[f"{share} ({least} to {most})" for share, least, most in shares],
        part=[part_of(above, cells) for above, cells in zip(found["above"], found["cells"], strict=True)],
    )
    columns = {
        "shares": "share of the floor in the training loss: median cell",
        "rank": "rank correlation with the floor",
        "threshold": "$T_\\mathrm{train}$",
        "part": "cells whose floor is above it",
    }
    text = tabulated(written, columns, "map", {"rank": "{:.2f}".format})
    impossible = [f"{row.above} of {row.cells} with {row.Index}" for row in found.itertuples() if row.above]
    if not impossible:
        return text
    return (
        f"{text}\n\nWhere the floor is above the threshold a cell is in Regime II whatever the training: {listed(impossible)}. "
        "There *under-trained* says something about the time step, and nothing about the optimiser."
    )
