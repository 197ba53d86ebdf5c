"""What the chapter on four equations says: which regimes occur, what stays and what moves, what a flat guess earns."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import xarray as xr

from sciml_lib import regimes, systems
from sciml_lib.panels import Panel, onset
from sciml_lib.prose import counted, is_are, listed, number, percent, table
from sciml_lib.regimes import Regime, shares

EQUATIONS = {
    "convection": r"$u_t + \beta\, u_x = 0$",
    "reaction": r"$u_t = \rho\, u (1 - u)$",
    "wave": r"$u_{tt} = c^2\, u_{xx}$",
    "reaction-diffusion": r"$u_t = \nu\, u_{xx} + \rho\, u (1 - u)$",
}
"""The equations as formulas, by the name of their system."""

NUMERALS = (Regime.I, Regime.II, Regime.III)


def equations(names: Mapping[str, Panel]) -> str:
    """Tabulates the equations, where they live, and which of their numbers is swept."""
    rows = []
    for name, panel in names.items():
        system = systems.get(name)
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
        symbol = systems.get(panel.plan.sweep.system).coefficient_label
        where = f"{symbol} = {min(first.values()):g}" if first else "nowhere in this map"
        rows.append([name, computed, *(percent(share[r]) for r in NUMERALS), where])
    return table(["map", "cells", *(f"{r.numeral}, {r.title}" for r in NUMERALS), "II begins at"], rows)


def stays_and_moves(panels: Mapping[str, Panel]) -> str:
    """Says which regimes occur in which map, and whether each border follows the coefficient or the data."""
    lines = []
    occurring = {name: [r for r in NUMERALS if (panel.labels == r).any()] for name, panel in panels.items()}
    complete = [name for name, found in occurring.items() if len(found) == len(NUMERALS)]
    lines.append(
        f"All three regimes occur in {len(complete)} of the {len(panels)} maps"
        + (f" ({listed(complete)}). " if complete else ". ")
        + " ".join(
            f"In that of {name} there is no {listed([r.numeral for r in NUMERALS if r not in found], last='or')}."
            for name, found in occurring.items()
            if name not in complete
        )
    )
    for name, panel in panels.items():
        lines.append(f"- *{name}*: {_border(panel, 'train')}; {_border(panel, 'test')}.")
    return "\n".join(lines)


def _border(panel: Panel, kind: str) -> str:
    """Where one border runs, row by row, in words."""
    rows = panel.crossings["crossing"].sel(boundary=kind)
    symbol = systems.get(panel.plan.sweep.system).coefficient_label
    inside = rows.values[np.isfinite(rows.values)]
    title = {"train": "the training border", "test": "the test border"}[kind]
    n = rows.size
    if not inside.size:
        above = int(np.isneginf(rows.values).sum())
        return f"{title} lies outside the map ({above} of {counted(n, 'row')} begin above the threshold)"
    grid = panel.runs["coefficient"].values
    index = np.interp([inside.min(), inside.max()], grid, np.arange(grid.size))
    where = f"{symbol} = {inside.min():.3g}" if inside.size == 1 else f"{symbol} = {inside.min():.3g} to {inside.max():.3g}"
    shift = "" if inside.size == 1 else f", a shift of {index[1] - index[0]:.1f} cells over the amounts of data"
    return f"{title} crosses {inside.size} of {counted(n, 'row')}, at {where}{shift}"


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
        again = regimes.label(panel.train, panel.test, other)
        changed = int((again != panel.labels).sum())
        moved += changed
        ratio = own.train / other.train
        if changed and ratio > 1:
            looser.append(key)
        rows.append([key, f"{ratio:.2g}", f"{own.test / other.test:.2g}", _counts(panel.labels), _counts(again), changed])
    header = ["map", "$T_\\mathrm{train}$, ratio", "$T_\\mathrm{test}$, ratio", f"I / II / III of {name}"]
    text = table([*header, f"by the thresholds of {base_name}", "cells that change"], rows)
    if not moved:
        return f"{text}\n\nNo label depends on whose thresholds are taken."
    tail = (
        f" In the {'map' if len(looser) == 1 else 'maps'} of {listed(looser)} the own training threshold is the looser one: a "
        "border that lies farther out there is in part a border of another height."
        if looser
        else ""
    )
    return (
        f"{text}\n\n*Ratio*: own threshold over that of {base_name}. {moved} labels depend on whose thresholds are taken; "
        f"Table 5 gives every strategy its own.{tail}"
    )


def _counts(labels: xr.DataArray) -> str:
    return " / ".join(str(int((labels == r).sum())) for r in NUMERALS)


def flat_guesses(panel: Panel) -> str:
    """Tabulates, for reaction-diffusion, the error of the constants 0 and 1 and of the reference itself.

    A constant is what a network learns that ignores the equation's shape; where it passes the test threshold, Regime I
    does not mean that anything was learned.
    """
    system = systems.get(panel.plan.sweep.system)
    points, limit = system.test_points(), panel.thresholds.test
    rows, passing = [], []
    for rho in panel.runs["coefficient"].values:
        exact = system.solution(points, torch.tensor([[rho]], dtype=torch.float64))[0]
        zero, one = (float((exact - constant).norm() / exact.norm()) for constant in (0.0, 1.0))
        if min(zero, one) <= limit:
            passing.append(rho)
        rows.append([f"{rho:g}", number(zero), number(one), percent_of(system.reference_error(float(rho)))])
    labels = panel.labels.sel(coefficient=passing) if passing else panel.labels[:0]
    well = int((labels == Regime.I).sum())
    text = table([f"{system.coefficient_label}", "error of u = 0", "error of u = 1", "error of the reference"], rows)
    if not passing:
        return f"{text}\n\nNeither constant passes the test threshold of {number(limit)} anywhere in this map."
    return (
        f"{text}\n\nFrom {system.coefficient_label} = {min(passing):g} on, the constant 1 alone would pass the test threshold "
        f"of {number(limit)}: {counted(well, 'cell')} of this map {is_are(max(1, well))} in Regime I at such coefficients, "
        "where the label says no more than that the training loss is low and the solution no worse than a constant."
    )


def percent_of(share: float) -> str:
    """Returns a small share with one more digit than :func:`sciml_lib.prose.percent`."""
    return f"{100 * share:.2f} %"
