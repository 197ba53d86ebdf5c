"""What the chapter on strategies says of the pendulum: the paper's statements, and Newton steps that have nothing to solve."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sciml_lib.analysis.families import jump
from sciml_lib.ledger import FAILS, HOLDS, OPEN, Statement
from sciml_lib.narrative.strategies import BASE
from sciml_lib.narrative.variants import Gain
from sciml_lib.optim import Status
from sciml_lib.panels import Panel
from sciml_lib.prose import counted, listed, number, part_of, percent, table
from sciml_lib.regimes import Regime
from sciml_lib.report import regime_counts

LOSSES = {"whole loss": "train_loss", "data part": "loss_data", "physics part": "loss_residual"}
"""What a threshold of the training loss could refer to."""

FEW = 40
"""Up to so many states the paper's horizons are short: one or two seconds."""


def whose_thresholds(panels: Mapping[str, Panel], judges: Mapping[str, Panel]) -> str:
    """Tabulates how many cells of each map are in each regime, by several rows of Table 5.

    Args:
        panels: the maps by their strategies.
        judges: the maps whose thresholds are tried beside each one's own.
    """
    rows, without = [], {name: [] for name in judges}
    for name, panel in panels.items():
        row = [name, number(panel.thresholds.train), number(panel.thresholds.test), regime_counts(panel.labels)]
        for other, yardstick in judges.items():
            judged = panel.with_thresholds_of(yardstick)
            row.append(regime_counts(judged.labels))
            if not (judged.labels == Regime.II).any():
                without[other].append(name)
        rows.append(row)
    header = ["map", "$T_\\mathrm{train}$", "$T_\\mathrm{test}$", "I / II / III, by its own"]
    text = table([*header, *(f"by those of {other}" for other in judges)], rows)
    for other, names in without.items():
        if names:
            text += f"\n\nBy the thresholds of {other} the maps of {listed(names)} have no Regime II at all."
    return text


def which_loss(panels: Mapping[str, Panel]) -> str:
    """Tabulates the ranges of the losses beside the threshold that should divide them."""
    rows, dividing = [], {}
    for name, panel in panels.items():
        row, level = [name, number(panel.thresholds.train)], panel.thresholds.train
        for words, quantity in LOSSES.items():
            values = panel.seeded(quantity).mean("seed").values
            low, high = float(np.nanmin(values)), float(np.nanmax(values))
            inside = low <= level < high  # what is at the threshold is low
            row.append(f"{number(low)} to {number(high)}" + (" ✓" if inside else ""))
            if inside:
                dividing.setdefault(name, []).append(words)
        rows.append(row)
    text = (
        table(["map", "$T_\\mathrm{train}$", *LOSSES], rows)
        + "\n\n✓: the threshold lies within this range of cells, and so can "
    )
    text += "divide them."
    lost = [name for name in panels if name not in dividing]
    if lost:
        text += f" That of {listed(lost)} divides none of the three."
    return text


def pendulum_statements(panels: Mapping[str, Panel], yardstick: Panel) -> list[Statement]:
    """Evaluates what section 2.4 of the paper says about ALM and CL on the pendulum.

    Args:
        panels: the maps by their strategies, L-BFGS, ALM and CL among them.
        yardstick: the map whose thresholds judge them beside their own.
    """
    base, alm, cl = panels[BASE], panels["ALM"], panels["CL"]
    found = [
        _more_cells(alm, base, yardstick, Regime.I, "ALM expands Regime I over L-BFGS"),
        _keeps(alm, yardstick, "ALM does not remove Regime III"),
        _more_cells(base, cl, yardstick, Regime.II, "CL shrinks Regime II of L-BFGS", bigger="L-BFGS", smaller="CL"),
        _lower_where_few(cl, base, "CL lowers the test error where data are few"),
        _smoother(panels, "transitions of CL are smoother than those of the other strategies"),
    ]
    return found


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


def nothing_to_solve(base: Panel, method: Panel, moving: Panel) -> str:
    """Says how many runs of NysNewton-CG ended before their first step, and what it does with a tighter tolerance.

    Args:
        base: what it starts from.
        method: NysNewton-CG with the tolerance of the released code.
        moving: the same with a tolerance that asks for steps.
    """
    status = method.seeded("status").values
    idle, runs = int((status == Status.NOTHING_TO_SOLVE.label).sum()), int((status != "").sum())
    equal = method.seeded("train_loss").values == base.seeded("train_loss").values
    tolerance, tight = (panel.plan.strategy.stages[-1] for panel in (method, moving))
    if not idle:
        return "No run of NysNewton-CG in this profile ended for want of something to solve."
    text = (
        f"{part_of(idle, runs)} of {counted(runs, 'run')} ended before a step that did anything: where L-BFGS stops, the norm "
        f"of the gradient is already below {tolerance.cg_tolerance:g}, the absolute tolerance at which the conjugate gradients "
        "of the released code count the Newton system as solved, and zero is its solution. "
    )
    if equal.sum():
        text += f"In {part_of(int(equal.sum()), runs)} of the runs the loss is that of L-BFGS to the last digit. "
    gain = Gain(base, moving)
    falls = gain.values("train_loss", "ratio_of_means", gain.labels != Regime.MISSING)
    errors = gain.values("test_error", "ratio_of_means", gain.labels != Regime.MISSING)
    if falls.size:
        text += (
            f"\n\nWith a tolerance of {tight.cg_tolerance:g}, a damping of {tight.damping:g} and full steps the method moves: "
            f"in the median cell the training loss falls by {np.median(falls):.0f} % and the test error by "
            f"{np.median(errors):.0f} % (from {errors.min():.0f} to {errors.max():.0f} %)."
        )
    return text
