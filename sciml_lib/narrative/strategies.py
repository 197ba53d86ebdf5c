"""What a chapter on training strategies says of borders, row by row."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sciml_lib.analysis.borders import BASE, RESOLUTION, Words, at, has, panel_words, returns, shift
from sciml_lib.ledger.strategies import place
from sciml_lib.panels import Panel
from sciml_lib.prose import listed, table
from sciml_lib.report import borders_figure as borders

__all__ = ["BASE", "RESOLUTION", "Words", "at", "borders", "has", "panel_words", "shifts"]


def shifts(panels: Mapping[str, Panel], kind: str = "train") -> str:
    """Says where each strategy's training loss (or test error) first rises above the threshold, and whether that is a shift.

    A border has shifted if it lies beyond that of L-BFGS, with no overlap of the bands and by a gap that the grid can
    show, by the thresholds of its own row of Table 5 *and* by those of L-BFGS. Maps that are all judged by one pair of
    thresholds already are judged by those alone.

    Args:
        panels: the maps by the names of their strategies, L-BFGS among them.
        kind: ``train`` or ``test``; the test error counts only before the training loss has risen.
    """
    base = panels[BASE]
    amounts = [int(n) for n in base.runs["n_data"].values]
    words = panel_words(base)
    common = len({panel.thresholds for panel in panels.values()}) == 1
    rows, lines = [], []
    for own in (True, False)[: 1 if common else 2]:
        for name, panel in panels.items():
            if own or name != BASE:
                judged = panel if own else panel.with_thresholds_of(base)
                whose = "all" if common else "its own" if own else BASE
                rows.append([name, whose, *(_place(judged, n, kind) for n in amounts)])
    for name, panel in panels.items():
        if name != BASE:
            moved = {n: shift(panel, base, n, kind) for n in amounts}
            parts = [
                f"to {word} {words.symbol} with {listed(f'{n:,}' for n in amounts if moved[n] == sign)} {words.unit}"
                for sign, word in ((1, "larger"), (-1, "smaller"))
                if sign in moved.values()
            ]
            lines.append(f"- *{name}*: " + (f"the border moves {listed(parts)}." if parts else "no row shows a shift."))
    what = {"train": "training loss", "test": "test error"}[kind]
    header = [f"{what} first rises above", "threshold of", *(f"{words.letter} = {n:,}" for n in amounts)]
    nowhere = any("nowhere" in row for row in rows)
    notes = ["*Nowhere*: not before the training loss has risen, and so nowhere that a border is drawn."]
    if kind == "train":
        notes = ["*Nowhere*: the whole row stays below.\n"] if nowhere else []
        notes += [_trust(panels), _returning(panels)]
    return "\n".join([table(header, rows), "", *lines, "", *notes]).strip()


def _trust(panels: Mapping[str, Panel]) -> str:
    """How much the bands can say, given the seeds."""
    seeds = listed(f"{panel.runs.sizes['seed']} with {name}" for name, panel in panels.items())
    few = [name for name, panel in panels.items() if panel.runs.sizes["seed"] <= 2]
    text = f"Seeds: {seeds}."
    if few:
        text += (
            " The band of two seeds runs from the border of the one to that of the other, and one seed has none: "
            f"for {listed(few)} a shift means that the seeds at hand agree on it, no more."
        )
    return text


def _returning(panels: Mapping[str, Panel]) -> str:
    """Names the rows in which a border is not all there is: behind it the loss is low again."""
    found = []
    for name, panel in panels.items():
        rows = [int(n) for n in panel.runs["n_data"].values if returns(panel, int(n))]
        if rows:
            found.append(f"{name} with {listed(f'{n:,}' for n in rows)} {panel_words(panel).unit}")
    if not found:
        return ""
    symbol = panel_words(next(iter(panels.values()))).symbol
    return (
        f"\n\\* Behind the first rise the training loss is low again at some larger {symbol} ({listed(found)}); there a border "
        "is not the edge of a region, and a single cell can place it."
    )


def _place(panel: Panel, n_data: int, kind: str = "train") -> str:
    here = at(panel, n_data, kind)
    return place(here["crossing"] if here else np.nan, here is not None and kind == "train" and returns(panel, n_data))
