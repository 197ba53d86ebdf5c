"""What section 2.4 of the paper says of ALM and CL on the pendulum."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sciml_lib.analysis.borders import jump
from sciml_lib.ledger.statement import FAILS, HOLDS, OPEN, Statement
from sciml_lib.panels import Panel
from sciml_lib.prose import listed, percent
from sciml_lib.regimes import STRATEGY_NAMES, Regime

BASE = STRATEGY_NAMES["lbfgs"]
"""The strategy that the others are compared with."""

FEW = 40
"""Up to so many states the paper's horizons are short: one or two seconds."""


def statements(panels: Mapping[str, Panel], yardstick: Panel) -> list[Statement]:
    """Evaluates it.

    Args:
        panels: the maps by their strategies, L-BFGS, ALM and CL among them.
        yardstick: the map whose thresholds judge them beside their own.
    """
    base, alm, cl = panels[BASE], panels["ALM"], panels["CL"]
    return [
        _more_cells(alm, base, yardstick, Regime.I, "ALM expands Regime I over L-BFGS"),
        _keeps(alm, yardstick, "ALM does not remove Regime III"),
        _more_cells(base, cl, yardstick, Regime.II, "CL shrinks Regime II of L-BFGS", bigger=BASE, smaller="CL"),
        _lower_where_few(cl, base, "CL lowers the test error where data are few"),
        _smoother(panels, "transitions of CL are smoother than those of the other strategies"),
    ]


def _more_cells(
    more: Panel, fewer: Panel, yardstick: Panel, regime: Regime, claim: str, bigger: str = "ALM", smaller: str = BASE
) -> Statement:
    """Whether one map has more cells of a regime than another, by both judges."""
    counts = []
    for judge in (None, yardstick):
        pair = [(panel if judge is None else panel.with_thresholds_of(judge)).labels for panel in (more, fewer)]
        counts.append([int((labels == regime).sum()) for labels in pair])
    own, common = counts
    text = (
        f"cells of {regime.numeral} with {bigger} and {smaller}: {own[0]} and {own[1]} by the thresholds of their own rows, "
        f"{common[0]} and {common[1]} by one pair of thresholds ({yardstick.thresholds.origin.rsplit(', ', 1)[-1]})"
    )
    if own[0] > own[1] and common[0] > common[1]:
        return Statement(claim, text, HOLDS)
    return Statement(claim, text, OPEN if own[0] > own[1] or common[0] > common[1] else FAILS)


def _keeps(panel: Panel, yardstick: Panel, claim: str) -> Statement:
    counts = [int((p.labels == Regime.III).sum()) for p in (panel, panel.with_thresholds_of(yardstick))]
    text = f"cells of III: {counts[0]} by the thresholds of its own row, {counts[1]} by one pair of thresholds"
    return Statement(claim, text, HOLDS if all(counts) else OPEN if any(counts) else FAILS)


def _lower_where_few(panel: Panel, base: Panel, claim: str) -> Statement:
    few = [int(n) for n in base.runs["n_data"].values if n <= FEW]
    if not few:
        return Statement(claim, f"no row with at most {FEW} states was run", OPEN)
    ratio = (panel.test / base.test).sel(n_data=few).values.ravel()
    ratio = ratio[np.isfinite(ratio)]
    lower = float(np.mean(ratio < 1))
    change = float(np.median(ratio)) - 1.0
    by = f"by {percent(-change)}" if change < 0 else f"higher by {percent(change)}"
    text = (
        f"with {listed(few, last='and')} states it is lower than with L-BFGS in {percent(lower)} of the cells, in the median "
        f"cell {by}"
    )
    return Statement(claim, text, HOLDS if lower > 0.5 else FAILS)


def _smoother(panels: Mapping[str, Panel], claim: str) -> Statement:
    """Whether the training loss rises less across the border of CL than across all others, each judged by its own row."""
    jumps = {name: jump(panel) for name, panel in panels.items()}
    known = {name: value for name, value in jumps.items() if np.isfinite(value)}
    if "CL" not in known or len(known) < 2:
        return Statement(claim, "there is no training border to compare", OPEN)
    text = f"the training loss rises across the border by a factor of {listed(f'{v:.2g} ({n})' for n, v in known.items())}"
    return Statement(claim, text, HOLDS if known["CL"] == min(known.values()) else FAILS)
