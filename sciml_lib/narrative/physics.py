"""What the chapter on four equations says: which regimes occur, what stays and what moves, what a flat guess earns."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from sciml_lib.analysis.constants import NEAR, constant_error, constant_loss
from sciml_lib.panels import Panel, onset
from sciml_lib.prose import capitalised, counted, is_are, listed, number, percent, table
from sciml_lib.regimes import Regime, shares
from sciml_lib.report import NUMERALS, regime_counts

EQUATIONS = {
    "convection": r"$u_t + \beta\, u_x = 0$",
    "reaction": r"$u_t = \rho\, u (1 - u)$",
    "wave": r"$u_{tt} = c^2\, u_{xx}$",
    "reaction-diffusion": r"$u_t = \nu\, u_{xx} + \rho\, u (1 - u)$",
}
"""The equations as formulas, by the name of their system."""


def equations(names: Mapping[str, Panel]) -> str:
    """Tabulates the equations, where they live, and which of their numbers is swept."""
    rows = []
    for name, panel in names.items():
        system = panel.system
        coefficients = panel.plan.sweep.coefficients
        (x0, x1), (t0, t1) = system.x_range, system.t_range
        end = r"2\pi" if np.isclose(x1, 2 * np.pi) else f"{x1:g}"
        rows.append(
            [
                name,
                EQUATIONS[name],
                f"$[{x0:g}, {end}] \\times [{t0:g}, {t1:g}]$",
                f"{system.coefficient_label} = {coefficients[0]:g} ... {coefficients[-1]:g}",
                f"{panel.runs.coefficient.values[0]:g} ... {panel.runs.coefficient.values[-1]:g}",
            ]
        )
    return table(["equation", "", "(x, t)", "swept in the paper", "in the runs read here"], rows)


def regime_shares(panels: Mapping[str, Panel]) -> str:
    """Tabulates how large each regime is in each map, and where the training loss first stays high."""
    rows = []
    for name, panel in panels.items():
        share = shares(panel.labels)
        computed = int((panel.labels != Regime.MISSING).sum())
        first = {n: value for n, value in onset(panel.labels).items() if np.isfinite(value)}
        symbol = panel.system.coefficient_label
        where = f"{symbol} = {min(first.values()):g}" if first else "nowhere in this map"
        rows.append([name, computed, *(percent(share[r]) for r in NUMERALS), where])
    return table(["map", "cells", *(f"{r.numeral}, {r.title}" for r in NUMERALS), "II begins at"], rows)


def stays_and_moves(panels: Mapping[str, Panel]) -> str:
    """Says which regimes occur in which map, and where each border runs over the amounts of data."""
    occurring = {name: [r for r in NUMERALS if (panel.labels == r).any()] for name, panel in panels.items()}
    complete = [name for name, found in occurring.items() if len(found) == len(NUMERALS)]
    text = f"All three regimes occur in {len(complete)} of the {len(panels)} maps" + (
        f" ({listed(complete)})." if complete else "."
    )
    for name, found in occurring.items():
        if name not in complete:
            text += f" In that of {name} there is no {listed([r.numeral for r in NUMERALS if r not in found], last='or')}."
    lines = [f"- *{name}*: {_border(panel, 'train')}; {_border(panel, 'test')}." for name, panel in panels.items()]
    return "\n".join([text, "", *lines])


def _border(panel: Panel, kind: str) -> str:
    """Where the rows of a map first rise above one threshold, in words."""
    rows = panel.crossings["crossing"].sel(boundary=kind)
    symbol = panel.system.coefficient_label
    inside = rows.values[np.isfinite(rows.values)]
    start, never = int(np.isneginf(rows.values).sum()), int(np.isposinf(rows.values).sum())
    parts = []
    if inside.size:
        low, high = inside.min(), inside.max()
        where = f"{symbol} = {low:.3g}" if low == high else f"between {symbol} = {low:.3g} and {high:.3g}"
        parts.append(f"crosses {inside.size} of {counted(rows.size, 'row')} {'at ' if low == high else ''}{where}")
    if start:
        parts.append(f"lies below the smallest {symbol} in {start}")
    if never:
        parts.append(f"is not met {'in' if kind == 'train' else 'before the training border, or at all, in'} {never}")
    title = {"train": "the training border", "test": "the test border"}[kind]
    return f"{title} {listed(parts)}" + _trend(rows)


def _trend(rows: xr.DataArray) -> str:
    """Which way a border that crosses every row moves from few data to many, if it moves one way only."""
    if not np.isfinite(rows.values).all():
        return ""
    steps = np.diff(rows.values)
    if not steps.any() or not (np.all(steps >= 0) or np.all(steps <= 0)):
        return ""
    return f" (it moves to {'larger' if steps.sum() > 0 else 'smaller'} values as data are added)"


def same_thresholds(panels: Mapping[str, Panel], bases: Mapping[str, Panel], name: str, base_name: str) -> str:
    """Judges maps by the thresholds of their own row of Table 5 and by those of another strategy's row.

    Args:
        panels: the maps.
        bases: for each of them the map whose thresholds are the common yardstick.
        name: what the maps are, as the beginning of a column's head.
        base_name: what the yardstick is.
    """
    rows, moved, looser = [], 0, []
    for key, panel in panels.items():
        own, other = panel.thresholds, bases[key].thresholds
        again = panel.with_thresholds_of(bases[key]).labels
        changed = int((again != panel.labels).sum())
        moved += changed
        ratio = own.train / other.train
        if changed and ratio > 1:
            looser.append(key)
        rows.append(
            [key, f"{ratio:.2g}", f"{own.test / other.test:.2g}", regime_counts(panel.labels), regime_counts(again), changed]
        )
    header = ["map", "$T_\\mathrm{train}$, ratio", "$T_\\mathrm{test}$, ratio", f"I / II / III of {name}"]
    text = table([*header, f"by the thresholds of {base_name}", "cells that change"], rows)
    if not moved:
        return f"{text}\n\nNo label depends on whose thresholds are taken."
    tail = (
        f" For {listed(looser)} the training threshold of its row is the looser one: a border that lies farther out there is "
        "in part a border of another height."
        if looser
        else ""
    )
    return (
        f"{text}\n\n*Ratio*: threshold of its own row over that of {base_name}. {counted(moved, 'label')} "
        f"{'depends' if moved == 1 else 'depend'} on whose thresholds are taken; Table 5 gives every strategy its own.{tail}"
    )


def collapses(panels: Mapping[str, Panel]) -> str:
    """Tabulates how many runs of each map have ended at the constant zero, loss and error alike.

    The constant's training loss is that of a network that ignores its inputs; where zero solves the equation and fits the
    boundary, it is what the initial values alone cost.
    """
    rows, found = [], {}
    for name, panel in panels.items():
        level = constant_loss(panel, 0.0)
        train, test = panel.seeded("train_loss").values, panel.seeded("test_error").values
        at_zero = (np.abs(train / level - 1.0) < NEAR) & (np.abs(test - 1.0) < NEAR)
        under = (panel.labels == Regime.II).values
        runs = int(np.isfinite(test[under]).sum())
        found[name] = int(at_zero[under].sum())
        rows.append([name, number(level), number(panel.thresholds.train), runs, found[name]])
    header = ["map", "training loss of u = 0", "training threshold", "runs in cells of Regime II", "of them at u = 0"]
    total, flat = sum(row[3] for row in rows), sum(found.values())
    text = table(header, rows) + "\n\n"
    if not flat:
        return text + "None of the runs in Regime II has ended at the constant zero."
    where = listed(name for name, n in found.items() if n)
    return text + (
        f"{flat} of the {total} runs in Regime II have ended at the constant zero, within {percent(NEAR)} of its loss and "
        f"of its error ({where}). There *under-trained* does not mean unfinished: the optimiser has settled on a solution of "
        "the equation that leaves only the initial values unexplained."
    )


def flat_guesses(panel: Panel) -> str:
    """Tabulates, for reaction-diffusion, the errors of the constant 1 and of the reference itself."""
    system = panel.system
    limit = panel.thresholds.test
    rows, passing, beaten = [], [], 0
    for rho in panel.runs["coefficient"].values:
        one = constant_error(panel, 1.0, float(rho))
        cells = panel.test.sel(coefficient=rho).values[panel.labels.sel(coefficient=rho).values == Regime.I]
        if one <= limit:
            passing.append(rho)
            beaten += int((cells >= one).sum())
        best = number(float(panel.test.sel(coefficient=rho).min()))
        rows.append([f"{rho:g}", number(one), best, f"{100 * system.reference_error(float(rho)):.2f} %"])
    symbol = system.coefficient_label
    text = table([symbol, "error of the constant u = 1", "lowest error in our map", "error of the reference"], rows) + "\n\n"
    if not passing:
        return f"{text}The constant 1 does not pass the test threshold of {number(limit)} anywhere in this map."
    text += (
        f"From {symbol} = {min(passing):g} on the constant 1 has an error below the test threshold of {number(limit)} (its "
        f"training loss, {number(constant_loss(panel, 1.0))}, is not low). So there the threshold asks for less than a guess "
        "would give, and Regime III begins only where a solution is worse than that. "
    )
    return text + (
        f"{capitalised(counted(beaten, 'cell'))} of Regime I there {is_are(beaten)} no better than the constant."
        if beaten
        else "All cells of Regime I there are better than the constant."
    )
