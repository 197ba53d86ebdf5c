"""Tables that the chapters on strategies show of their maps; their numbers are those of :mod:`sciml_lib.analysis.maps`."""

from __future__ import annotations

from collections.abc import Mapping

from sciml_lib.analysis import maps
from sciml_lib.panels import Panel
from sciml_lib.prose import counted, listed, percent
from sciml_lib.regimes import Regime
from sciml_lib.text import tabulated


def regime_shares(panels: Mapping[str, Panel]) -> str:
    """Tabulates how large each regime is in each map, and where the training loss first stays high."""
    found = maps.regime_shares(panels)
    begins = [
        f"{symbol} = {first:g}" if first == first else "nowhere in this map"
        for symbol, first in zip(found["symbol"], found["first"], strict=True)
    ]
    heads = {r.numeral: f"{r.numeral}, {r.title}" for r in (Regime.I, Regime.II, Regime.III)}
    columns = {"cells": "cells"} | heads | {"begins": "II begins at"}
    return tabulated(found.assign(begins=begins), columns, "map", dict.fromkeys(heads, percent))


def same_thresholds(panels: Mapping[str, Panel], bases: Mapping[str, Panel], name: str, base_name: str) -> str:
    """Judges maps by the thresholds of their own row of Table 5 and by those of another strategy's row.

    Args:
        panels: the maps.
        bases: for each of them the map whose thresholds are the common yardstick.
        name: what the maps are, as the end of a column's head.
        base_name: what the yardstick is.
    """
    found = maps.other_thresholds(panels, bases)
    columns = {
        "train": "$T_\\mathrm{train}$, ratio",
        "test": "$T_\\mathrm{test}$, ratio",
        "own": f"I / II / III of {name}",
        "other": f"by the thresholds of {base_name}",
        "changed": "cells that change",
    }
    forms = dict.fromkeys(("own", "other"), lambda counts: " / ".join(map(str, counts)))
    text = tabulated(found, columns, "map", forms | dict.fromkeys(("train", "test"), "{:.2g}".format))
    moved = int(found["changed"].sum())
    if not moved:
        return f"{text}\n\nNo label depends on whose thresholds are taken."
    looser = found.index[(found["changed"] > 0) & (found["train"] > 1)]
    tail = (
        f" For {listed(looser)} the training threshold of its row is the looser one: a border that lies farther out there is "
        "in part a border of another height."
        if len(looser)
        else ""
    )
    return (
        f"{text}\n\n*Ratio*: threshold of its own row over that of {base_name}. {counted(moved, 'label')} "
        f"{'depends' if moved == 1 else 'depend'} on whose thresholds are taken; Table 5 gives every strategy its own.{tail}"
    )
