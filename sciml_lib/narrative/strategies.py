"""What the chapter on training strategies says: whose border lies where, and what the paper's statements come to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from sciml_lib import figures, prose, regimes
from sciml_lib.narrative.convection import MANY_POINTS
from sciml_lib.optim import Status
from sciml_lib.panels import Panel
from sciml_lib.prose import counted, listed, none_or, number, percent, table
from sciml_lib.regimes import Regime

NAMES = {"lbfgs": "L-BFGS", "alm": "ALM", "ropinn": "RoPINN", "nncg": "NNCG", "cl": "CL"}
"""The strategies as the paper abbreviates them."""

FAILURES = (Status.DIVERGED, Status.LINE_SEARCH_FAILED, Status.NOT_DESCENT, Status.SKETCH_FAILED)
"""Statuses with which NysNewton-CG gives up before its budget is spent."""

RESOLUTION = 0.5
"""Two borders that are nearer than this, in cells, are the same: the grid does not tell them apart."""

HOLDS, FAILS, OPEN = "holds", "does not hold", "cannot be judged"


@dataclass(frozen=True)
class Statement:
    """One statement of the paper beside the number from the runs.

    Attributes:
        claim: what the paper says, in our words.
        found: what the runs say.
        verdict: :data:`HOLDS`, :data:`FAILS` or :data:`OPEN`, each at the scale that was run.
    """

    claim: str
    found: str
    verdict: str


def borders(panels: Mapping[str, Panel], title: str) -> Figure:
    """Draws the borders of all strategies into one map, with what resampling the seeds leaves open."""
    entries = []
    for name, panel in panels.items():
        axes = panel.runs["coefficient"].values, panel.runs["n_data"].values
        if panel.band is not None:
            entries.append(figures.Border.of_band(name, panel.band, *axes))
        else:
            means = panel.train.values, panel.test.values
            entries.append(figures.Border.of_means(name, *means, panel.thresholds, *axes))
    return figures.boundary_overlay(entries, **next(iter(panels.values()))._words, title=title)


def shifts(panels: Mapping[str, Panel], base: str = "L-BFGS") -> str:
    """Tabulates where the training border of each strategy lies, row by row, and whether its shift exceeds the noise."""
    ours = panels[base]
    rows, beyond = [], {}
    amounts, grid = [int(n) for n in ours.runs["n_data"].values], ours.runs["coefficient"].values
    for name, panel in panels.items():
        row = [name]
        for n in amounts:
            here = _at(panel, n)
            if here is None:
                row.append("not run")
                continue
            row.append(_place(here["crossing"]))
            if name != base and (sign := _beyond(here, _at(ours, n), grid)):
                beyond.setdefault(name, {}).setdefault(sign, []).append(n)
        rows.append(row)
    text = table(["training border", *(f"$N_f$ = {n:,}" for n in amounts)], rows)
    lines = []
    for name in panels:
        if name == base:
            continue
        moved = beyond.get(name, {})
        parts = [
            f"to {'larger' if sign > 0 else 'smaller'} β with {listed(f'{n:,}' for n in many)} points"
            for sign, many in sorted(moved.items(), reverse=True)
        ]
        single = panels[name].band is None
        against = "beyond the band of L-BFGS (it has one seed, so no band of its own)" if single else "beyond both bands"
        lines.append(
            f"- *{name}*: the training border moves {listed(parts)}, {against}."
            if parts
            else f"- *{name}*: in no row does the training border move {against}."
        )
    return text + "\n\n" + "\n".join(lines)


def statements(panels: Mapping[str, Panel]) -> list[Statement]:
    """Evaluates what section 2.4 of the paper says about the borders of the five strategies.

    Args:
        panels: the convection panels by the names of :data:`NAMES`.
    """
    found = [_place_of_border(panels, "L-BFGS", 25.0), _place_of_border(panels, "ALM", 50.0)]
    found += [_comparable(panels), _further(panels)]
    found += [_accurate_from(panels, "ALM", 5000, at_least=True), _accurate_from(panels, "CL", 1000, at_least=False)]
    return found


def statement_table(found: list[Statement]) -> str:
    """Tabulates statements with what the runs say."""
    rows = [[s.claim, s.found, s.verdict] for s in found]
    return table(["the paper says", "our runs say", "at this scale it"], rows, of_text=True)


def improvement_figure(base: Panel, method: Panel, title: str) -> Figure:
    """Draws the improvement maps of training loss and test error, by both readings of the paper's formula."""
    rows = []
    gains = {name: improvement(base, method, name) for name in ("train_loss", "test_error")}
    for measure, reading in (("ratio_of_means", "ratio of seed means"), ("mean_of_ratios", "mean of the seeds' ratios")):
        rows.append(
            [
                (f"{words}: {reading}", gains[name][measure].values, _failed(method, gains[name]))
                for name, words in (("train_loss", "Training loss"), ("test_error", "Test error"))
            ]
        )
    axes = gains["train_loss"]["coefficient"].values, gains["train_loss"]["n_data"].values
    # A gain ends at 100 per cent and a loss has no bound; a few lost cells would wash out all the others.
    return figures.improvement_maps(rows, *axes, **method._words, title=title, limit=100.0)


def improvement(base: Panel, method: Panel, variable: str) -> xr.Dataset:
    """Relative improvement of a method on its base, cell by cell, see :func:`sciml_lib.regimes.improvement`."""
    return regimes.improvement(
        base._seeded(variable),
        method._seeded(variable),
        base_status=base._seeded("status"),
        method_status=method._seeded("status"),
    )


def improvement_words(base: Panel, method: Panel) -> str:
    """Says how much the method gains in each regime of its base, and how often it fails there."""
    rows = []
    gains = {name: improvement(base, method, name)["ratio_of_means"] for name in ("train_loss", "test_error")}
    labels = base.labels.sel({axis: gains["train_loss"][axis] for axis in ("coefficient", "n_data")})
    status = method._seeded("status").sel({axis: labels[axis] for axis in ("coefficient", "n_data")})
    for regime in (Regime.I, Regime.II, Regime.III):
        inside = labels.values == regime
        if not inside.any():
            continue
        ended = status.values[inside].ravel()
        ended = ended[ended != ""]
        rows.append(
            [
                f"{regime.numeral}, {regime.title}",
                int(inside.sum()),
                *(_percentages(gain.values[inside]) for gain in gains.values()),
                prose.part_of(sum((ended == s.label).sum() for s in FAILURES), len(ended)),
                prose.part_of((ended == Status.NEGATIVE_CURVATURE.label).sum(), len(ended)),
            ]
        )
    header = ["regime of the base", "cells", "training loss falls by", "test error falls by", "runs that gave up"]
    return table([*header, "spent the budget, negative curvature met"], rows)


def nncg_statements(base: Panel, method: Panel) -> list[Statement]:
    """Evaluates what section 2.4 of the paper says about NysNewton-CG on the convection equation."""
    gains = {name: improvement(base, method, name)["ratio_of_means"] for name in ("train_loss", "test_error")}
    labels = base.labels.sel({axis: gains["train_loss"][axis] for axis in ("coefficient", "n_data")}).values
    well = labels == Regime.I
    found = []
    for name, claimed in (("test_error", 50), ("train_loss", 60)):
        values = gains[name].values[well]
        words = {"test_error": "the test error in data-limited cells", "train_loss": "the training loss"}[name]
        if name == "test_error" and well.any():  # the half of Regime I with the fewest points
            amounts = np.broadcast_to(gains[name]["n_data"].values, labels.shape)[well]
            values = values[amounts <= np.median(amounts)]
        claim = f"in Regime I NNCG lowers {words} by about {claimed} %"
        if not values.size:
            found.append(Statement(claim, "no cell of the base is in Regime I", OPEN))
            continue
        middle = float(np.median(values))
        near = claimed / 2 <= middle <= min(100.0, 1.5 * claimed)
        found.append(Statement(claim, f"the median cell by {middle:.0f} %", HOLDS if near else FAILS))
    status = method._seeded("status").sel(coefficient=gains["train_loss"]["coefficient"], n_data=gains["train_loss"]["n_data"])
    gave_up = np.isin(status.values, [s.label for s in FAILURES])
    worse = method._seeded("test_error").values > base.cut_to(method)._seeded("test_error").values * 1.05
    shares = []
    for inside in (well, (labels == Regime.II) | (labels == Regime.III)):
        n = int(inside.sum()) * status.sizes["seed"]
        shares.append((float(gave_up[inside].mean()) if n else np.nan, float(worse[inside].mean()) if n else np.nan, n))
    (up_well, worse_well, n_well), (up_else, worse_else, n_else) = shares
    claim = "outside Regime I NNCG is unstable: single runs fail or diverge"
    if not n_else:
        return [*found, Statement(claim, "no cell of the base lies outside Regime I", OPEN)]
    text = (
        f"{percent(up_else)} of {n_else} runs give up early and in {percent(worse_else)} the test error grows by more than "
        f"5 %; in Regime I {percent(up_well)} and {percent(worse_well)} of {n_well}"
    )
    more = up_else + worse_else > (0.0 if np.isnan(up_well) else up_well + worse_well)
    return [*found, Statement(claim, text, HOLDS if more and up_else + worse_else > 0.1 else FAILS)]


def damping_figure(study: Mapping[float, Panel], value: str, title: str) -> Figure:
    """Draws the single runs of the study over the damping."""
    frames = []
    for damping, panel in study.items():
        runs = panel.runs[[value]].to_dataframe().reset_index().dropna(subset=[value])
        frames.append(runs.assign(damping=damping))
    thresholds = next(iter(study.values())).thresholds
    return figures.seed_strip(
        pd.concat(frames, ignore_index=True),
        x="damping",
        value=value,
        x_label="damping of the Newton step",
        value_label={"train_loss": "training loss", "test_error": "test error"}[value],
        title=title,
        threshold=thresholds.train if value == "train_loss" else thresholds.test,
        columns=2,
    )


def damping_words(study: Mapping[float, Panel], base: Panel) -> str:
    """Tabulates what each damping makes of each cell of the study."""
    rows, best = [], {}
    first = next(iter(study.values()))
    for coefficient, n_data in first.plan.pairs:
        cell = {"coefficient": coefficient, "n_data": n_data}
        before = number(float(base.train.sel(cell))) if _has(base, cell) else "not run"
        row = [f"{coefficient:g}, {n_data:,}", before]
        for damping, panel in study.items():
            loss = float(panel.train.sel(cell))
            row.append(f"{number(loss)} ({_most_common(panel, cell)})")
            best.setdefault((coefficient, n_data), {})[damping] = loss
        rows.append(row)
    header = ["$\\beta$, $N_f$", "before", *(f"damping {damping:g}" for damping in study)]
    winners = {cell: min(losses, key=losses.get) for cell, losses in best.items()}
    return (
        "Mean training loss, and in brackets how most runs ended:\n\n"
        + table(header, rows)
        + "\n\n"
        + " ".join(
            f"With β = {c:g} and {n:,} points the lowest loss comes from a damping of {winner:g}, "
            f"{best[c, n][max(study)] / best[c, n][winner]:.1f} times lower than from {max(study):g}."
            for (c, n), winner in winners.items()
        )
    )


def constraint_words(soft: Panel, conditions: Panel, equation: Panel) -> str:
    """Sets side by side what becomes of a row when nothing, the conditions, or the equation is the constraint."""
    rows = []
    forms = {"nothing": soft, "the conditions": conditions, "the equation": equation}
    counts = dict.fromkeys(forms, 0)
    for coefficient, n_data in equation.plan.pairs:
        cell = {"coefficient": coefficient, "n_data": n_data}
        row = [f"{coefficient:g}, {n_data:,}"]
        for name, panel in forms.items():
            if _has(panel, cell):
                test = float(panel.test.sel(cell))
                counts[name] += test <= panel.thresholds.test
                row.append(f"{number(float(panel.train.sel(cell)))} / {number(test)}")
            else:
                row.append("not run")
        rows.append(row)
    n = len(rows)
    sums = listed(f"{none_or(count)} with {name} constrained" for name, count in counts.items())
    return (
        "Training loss / test error by what is constrained:\n\n"
        + table(["$\\beta$, $N_f$", *forms], rows)
        + f"\n\nOf the {counted(n, 'cell')}, the solution passes the test threshold of its row of Table 5 in {sums}."
    )


def grid_words(grid: Panel, random: Panel) -> str:
    """Says whether testing on the training grid hides wrong solutions: the same networks under both tests."""
    held_out = regimes.seed_mean(grid.held_out_error())
    rows, hidden, low = [], 0, 0
    for coefficient, n_data in grid.plan.pairs:
        cell = {"coefficient": coefficient, "n_data": n_data}
        train, same, other = float(grid.train.sel(cell)), float(grid.test.sel(cell)), float(held_out.sel(cell))
        limit = grid.thresholds
        if train <= limit.train:
            low += 1
            hidden += same <= limit.test < other
        beside = number(float(random.test.sel(cell))) if _has(random, cell) else "not run"
        n = round(n_data**0.5)
        rows.append([f"{coefficient:g}, {n} x {n}", number(train), number(same), number(other), beside])
    header = [
        "$\\beta$, grid",
        "training loss",
        "error on its own grid",
        "error on the common grid",
        "random points, common grid",
    ]
    if not low:
        return table(header, rows) + "\n\nNo training loss of this row is low, so there is no Regime III to hide."
    verdict = (
        f"In {hidden} of the {counted(low, 'cell')} with a low training loss the solution passes on its own grid and fails on "
        "the common one"
    )
    tail = (
        ": tested where it was trained, Regime III looks like Regime I there."
        if hidden
        else ": on these cells the test on the training grid hides no wrong solution that the common grid would show."
    )
    return table(header, rows) + f"\n\n{verdict}{tail}"


def _has(panel: Panel, cell: dict[str, float]) -> bool:
    return all(value in panel.runs[axis].values for axis, value in cell.items())


def _at(panel: Panel, n_data: int) -> dict[str, float] | None:
    """The training border of one row: crossing, lower, upper; None if the row was not run."""
    if n_data not in panel.runs["n_data"]:
        return None
    row = panel.crossings.sel(boundary="train", n_data=n_data)
    here = {name: float(row[name]) for name in ("crossing", "lower", "upper")}
    return None if np.isnan(here["crossing"]) else here


def _place(crossing: float) -> str:
    if np.isneginf(crossing):
        return "below the map"
    return "beyond the map" if np.isposinf(crossing) else f"{crossing:.3g}"


def _beyond(here: dict[str, float], base: dict[str, float] | None, grid: np.ndarray) -> int:
    """1 or -1 if a border lies beyond the base's: no overlap of the bands, and a gap that the grid can show; 0 if not."""
    if base is None:
        return 0
    low, high = (here["crossing"] if np.isnan(here[end]) else here[end] for end in ("lower", "upper"))
    base_low, base_high = (base["crossing"] if np.isnan(base[end]) else base[end] for end in ("lower", "upper"))
    if low > base_high and _cells_apart(grid, low, base_high) >= RESOLUTION:
        return 1
    return -1 if high < base_low and _cells_apart(grid, high, base_low) >= RESOLUTION else 0


def _place_of_border(panels: Mapping[str, Panel], name: str, claimed: float) -> Statement:
    """Whether the training border lies at a coefficient, to within the grid, where points are plenty."""
    panel, claim = panels[name], f"the training border of {name} lies at about β = {claimed:g}"
    grid = panel.runs["coefficient"].values
    places = {}
    for n in panel.runs["n_data"].values:
        if n >= MANY_POINTS and (row := _at(panel, int(n))) is not None:
            places[int(n)] = row["crossing"]
    if not places:
        return Statement(claim, f"no row with at least {MANY_POINTS:,} points was run", OPEN)
    text = listed(f"{_place(place)} with {n:,} points" for n, place in places.items())
    # A border cannot be told from a neighbour nearer than the step of the grid there.
    right = min(np.searchsorted(grid, claimed), len(grid) - 1)
    left, right = grid[max(right - 1, 0)], grid[min(right + 1, len(grid) - 1)]
    near = [left <= place <= right for place in places.values()]
    return Statement(claim, text, HOLDS if all(near) else FAILS)


def _comparable(panels: Mapping[str, Panel]) -> Statement:
    claim = "CL has a training border comparable to that of ALM"
    rows = _rows_of_both(panels["CL"], panels["ALM"])
    if not rows:
        return Statement(claim, f"no row with at least {MANY_POINTS:,} points was run with both", OPEN)
    text = listed(f"{_place(a['crossing'])} and {_place(b['crossing'])} with {n:,} points" for n, (a, b) in rows.items())
    grid = panels["CL"].runs["coefficient"].values
    same = [_cells_apart(grid, a["crossing"], b["crossing"]) <= 1.0 for a, b in rows.values()]
    return Statement(claim, f"CL and ALM: {text}", HOLDS if all(same) else FAILS)


def _further(panels: Mapping[str, Panel]) -> Statement:
    claim = "RoPINN moves the training border to larger β than L-BFGS"
    ours, base = panels["RoPINN"], panels["L-BFGS"]
    rows = {int(n): (_at(ours, int(n)), _at(base, int(n))) for n in ours.runs["n_data"].values}
    rows = {n: pair for n, pair in rows.items() if None not in pair}
    if not rows:
        return Statement(claim, "no row was run with both", OPEN)
    if all(a["crossing"] == b["crossing"] for a, b in rows.values()):  # both beyond the same edge of the map
        return Statement(claim, "neither border lies in the map", OPEN)
    grid = ours.runs["coefficient"].values
    signs = {n: _beyond(a, b, grid) for n, (a, b) in rows.items()}
    counts = {sign: [f"{n:,}" for n, s in signs.items() if s == sign] for sign in (1, 0, -1)}
    words = {1: "larger β", 0: "no shift beyond the bands", -1: "smaller β"}
    text = "; ".join(f"{words[sign]} with {listed(many)} points" for sign, many in counts.items() if many)
    return Statement(claim, text, HOLDS if len(counts[1]) > len(rows) / 2 else FAILS)


def _accurate_from(panels: Mapping[str, Panel], name: str, claimed: int, *, at_least: bool) -> Statement:
    """From how many points on the solution at beta = 30 passes its threshold."""
    panel, beta = panels[name], 30.0
    verb = f"needs {claimed:,} points or more" if at_least else f"is accurate with {claimed:,} points"
    claim = f"at β = {beta:g} {name} {verb}"
    if beta not in panel.runs["coefficient"]:
        return Statement(claim, f"β = {beta:g} was not run", OPEN)
    errors = panel.test.sel(coefficient=beta)
    passing = [int(n) for n in errors["n_data"].values if errors.sel(n_data=n) <= panel.thresholds.test]
    most = int(errors["n_data"].max())
    amounts = listed(f"{n:,}" for n in errors["n_data"].values)
    tried = f"test error {listed(number(float(e)) for e in errors.values)} with {amounts} points"
    if at_least:
        if any(n < claimed for n in passing):
            return Statement(claim, tried, FAILS)
        return Statement(claim, tried, OPEN if most < claimed else HOLDS)
    if most < claimed:
        return Statement(claim, tried, OPEN)
    return Statement(claim, tried, HOLDS if claimed in passing else FAILS)


def _rows_of_both(a: Panel, b: Panel) -> dict[int, tuple[dict[str, float], dict[str, float]]]:
    amounts = [int(n) for n in a.runs["n_data"].values if n >= MANY_POINTS]
    rows = {n: (_at(a, n), _at(b, n)) for n in amounts}
    return {n: pair for n, pair in rows.items() if None not in pair}


def _cells_apart(grid: np.ndarray, a: float, b: float) -> float:
    """Distance of two coefficients in cells of a grid; a place beyond its edge counts as one cell farther out."""
    if a == b:
        return 0.0
    place = [np.interp(x, grid, np.arange(grid.size), left=-1.0, right=float(grid.size)) for x in (a, b)]
    return float(abs(place[0] - place[1]))


def _percentages(values: np.ndarray) -> str:
    """Median and range of some percentages."""
    if not values.size:
        return "n/a"
    low, middle, high = np.min(values), np.median(values), np.max(values)
    return f"{middle:.0f} % ({low:.0f} to {high:.0f} %)"


def _failed(method: Panel, gain: xr.Dataset) -> np.ndarray:
    """Runs of each cell that gave up, ``[n_coefficient, n_data]``."""
    status = method._seeded("status").sel(coefficient=gain["coefficient"], n_data=gain["n_data"])
    return np.isin(status.values, [s.label for s in FAILURES]).sum(axis=-1)


def _most_common(panel: Panel, cell: dict[str, float]) -> str:
    ended = [s for s in panel.runs["status"].sel(cell).values.tolist() if s]
    return max(set(ended), key=ended.count).replace("_", " ") if ended else "not run"
