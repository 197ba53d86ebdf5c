"""What the chapter on training strategies says of Newton steps, of what is constrained, and of testing where one trains."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray

from sciml_lib import figures, prose, regimes
from sciml_lib.ledger import FAILS, HOLDS, OPEN, Statement
from sciml_lib.narrative.strategies import has
from sciml_lib.optim import Status
from sciml_lib.panels import Panel
from sciml_lib.prose import counted, is_are, listed, none_or, number, percent, table
from sciml_lib.regimes import Regime

FAILURES = (Status.DIVERGED, Status.LINE_SEARCH_FAILED, Status.NOT_DESCENT, Status.SKETCH_FAILED)
"""Statuses with which NysNewton-CG gives up before its budget is spent."""

WORSE = 0.05
"""By how much, relatively, a test error must grow for a run to count as spoiled."""

MEASURES = {"ratio_of_means": "ratio of seed means", "mean_of_ratios": "mean of the seeds' ratios"}
QUANTITIES = {"train_loss": "training loss", "test_error": "test error"}


class Gain:
    """What a method improves on its base, on the cells and seeds that both have.

    Attributes:
        gains: for training loss and test error the data set of :func:`sciml_lib.regimes.improvement`.
        labels: regimes of the base, ``[n_coefficient, n_data]``.
        gave_up: which runs of the method ended before their budget, ``[n_coefficient, n_data, n_seed]``.
        worse: which of its runs have a test error more than 5 % above the base's, or none that is finite.
        indefinite: which of its runs spent their budget but met negative curvature.
        stored: which runs both have.
    """

    def __init__(self, base: Panel, method: Panel) -> None:
        """Brings both on their common grid and seeds."""
        ours, theirs = xr.align(method.runs, base.runs, join="inner")
        method, base = Panel(ours.assign_attrs(method.runs.attrs)), Panel(theirs.assign_attrs(base.runs.attrs))
        self.gains = {
            name: regimes.improvement(
                base.seeded(name), method.seeded(name), base_status=base.seeded("status"), method_status=method.seeded("status")
            )
            for name in QUANTITIES
        }
        self.labels: NDArray = base.labels.values
        status = method.seeded("status").values
        before, after = base.seeded("test_error").values, method.seeded("test_error").values
        self.stored: NDArray = (status != "") & (base.seeded("status").values != "")
        self.gave_up: NDArray = np.isin(status, [s.label for s in FAILURES])
        self.indefinite: NDArray = status == Status.NEGATIVE_CURVATURE.label
        self.worse: NDArray = self.stored & ~(after <= (1.0 + WORSE) * before)

    def values(self, quantity: str, measure: str, where: NDArray) -> NDArray:
        """The improvements in per cent of the cells ``where``, those that are not known left out."""
        values = self.gains[quantity][measure].values[where]
        return values[~np.isnan(values)]


def improvement_figure(base: Panel, method: Panel, title: str) -> Figure:
    """Draws the improvement maps of training loss and test error, by both readings of the paper's formula."""
    gain = Gain(base, method)
    failed = gain.gave_up.sum(axis=-1)
    rows = [
        [
            (f"{prose.capitalised(words)}: {reading}", gain.gains[name][measure].values, failed)
            for name, words in QUANTITIES.items()
        ]
        for measure, reading in MEASURES.items()
    ]
    axes = gain.gains["train_loss"]["coefficient"].values, gain.gains["train_loss"]["n_data"].values
    # A gain ends at 100 per cent and a loss has no bound; a few lost cells would wash out all the others.
    return figures.improvement_maps(rows, *axes, **method.axis_words, title=title, limit=100.0)


def improvement_words(base: Panel, method: Panel) -> str:
    """Says how much the method gains in each regime of its base, and how often it gives up there."""
    gain, rows = Gain(base, method), []
    for regime in (Regime.I, Regime.II, Regime.III):
        inside = gain.labels == regime
        if not inside.any():
            continue
        runs = int(gain.stored[inside].sum())
        rows.append(
            [
                f"{regime.numeral}, {regime.title}",
                int(inside.sum()),
                *(_percentages(gain.values(name, measure, inside)) for name in QUANTITIES for measure in MEASURES),
                *(prose.part_of(int(what[inside].sum()), runs) for what in (gain.gave_up, gain.indefinite, gain.worse)),
            ]
        )
    header = ["regime of the base", "cells"]
    header += [f"{words} falls by ({reading})" for words in QUANTITIES.values() for reading in MEASURES.values()]
    header += ["runs that gave up", "met negative curvature", f"test error grew by more than {percent(WORSE)}"]
    return table(header, rows) + "\n\nPercentages are those of the median cell, in brackets the lowest and the highest."


def nncg_statements(base: Panel, method: Panel) -> list[Statement]:
    """Evaluates what section 2.4 of the paper says about NysNewton-CG on the convection equation."""
    gain = Gain(base, method)
    well = gain.labels == Regime.I
    amounts = gain.gains["train_loss"]["n_data"].values
    least = np.broadcast_to(amounts == amounts.min(), well.shape)
    found = [
        _gains_about(gain, "test_error", 50, well & least, f"the test error where data are short ($N_f$ = {amounts.min():,})"),
        _gains_about(gain, "train_loss", 60, well, "the training loss"),
    ]
    claim = "outside Regime I NNCG is unstable: single runs fail or diverge"
    trouble = gain.gave_up | gain.worse
    shares = []
    for inside in (~well & (gain.labels != Regime.MISSING), well):
        runs = int(gain.stored[inside].sum())
        shares.append((int(trouble[inside].sum()), runs))
    (outside, n_outside), (within, n_within) = shares
    if not n_outside:
        return [*found, Statement(claim, "no cell of the base lies outside Regime I", OPEN)]
    text = (
        f"{prose.part_of(outside, n_outside)} of {n_outside} runs outside give up or end with a test error more than "
        f"{percent(WORSE)} higher than before; inside Regime I {prose.part_of(within, n_within)} of {n_within}"
    )
    more = outside / n_outside > (within / n_within if n_within else 0.0)
    return [*found, Statement(claim, text, HOLDS if more else FAILS)]


def _gains_about(gain: Gain, quantity: str, claimed: int, where: NDArray, words: str) -> Statement:
    """Whether the median cell gains about so many per cent: at least half of it, by both readings of the formula."""
    claim = f"in Regime I NNCG lowers {words} by about {claimed} %"
    middles = []
    for measure in MEASURES:
        values = gain.values(quantity, measure, where)
        if not values.size:
            return Statement(claim, "no such cell of the base is in Regime I", OPEN)
        middles.append(float(np.median(values)))
    text = listed(f"{middle:.0f} % ({reading})" for middle, reading in zip(middles, MEASURES.values(), strict=True))
    near = all(claimed / 2 <= middle for middle in middles)
    return Statement(claim, f"the median cell by {text}; at least half of the claim counts as about", HOLDS if near else FAILS)


def damping_figure(study: Mapping[float, Panel], value: str, title: str) -> Figure:
    """Draws the single runs of the study over the damping."""
    frames = []
    for damping, panel in study.items():
        runs = panel.runs[[value]].to_dataframe().reset_index().dropna(subset=[value])
        frames.append(runs.assign(damping=damping))
    first = next(iter(study.values()))
    thresholds = first.thresholds
    return figures.seed_strip(
        pd.concat(frames, ignore_index=True),
        x="damping",
        value=value,
        x_label="damping of the Newton step",
        value_label=QUANTITIES[value],
        title=title,
        coefficient_name=first.system.coefficient_label,
        data_name=first.system.data_symbol,
        threshold=thresholds.train if value == "train_loss" else thresholds.test,
        columns=2,
    )


def damping_words(study: Mapping[float, Panel], base: Panel) -> str:
    """Tabulates what each damping makes of each cell of the study, and says how much it matters."""
    rows, lines = [], []
    first = next(iter(study.values()))
    for coefficient, n_data in first.plan.pairs:
        cell = {"coefficient": coefficient, "n_data": n_data}
        known = has(base, cell)
        regime = f", in Regime {Regime(int(base.labels.sel(cell))).numeral}" if known else ""
        losses = {damping: float(panel.train.sel(cell)) for damping, panel in study.items()}
        row = [f"{coefficient:g}, {n_data:,}{regime}", number(float(base.train.sel(cell))) if known else "not run"]
        rows.append([*row, *(f"{number(loss)} ({_most_common(study[d], cell)})" for d, loss in losses.items())])
        finite = {damping: loss for damping, loss in losses.items() if np.isfinite(loss)}
        if len(finite) > 1:
            best, worst = min(finite, key=finite.get), max(finite, key=finite.get)
            lines.append(
                f"With β = {coefficient:g} and {n_data:,} points the lowest mean loss comes from a damping of {best:g}, "
                f"{finite[worst] / finite[best]:.1f} times lower than the highest, from {worst:g}"
                f"{', and the seeds of the two overlap' if _overlap(study[best], study[worst], cell) else ''}."
            )
    header = ["$\\beta$, $N_f$", "before", *(f"damping {damping:g}" for damping in study)]
    seeds = first.runs.sizes["seed"]
    return (
        f"Mean training loss over {counted(seeds, 'seed')}, and in brackets how most runs ended:\n\n{table(header, rows)}\n\n"
        + " ".join(lines)
    )


def constraint_words(soft: Panel, conditions: Panel, equation: Panel) -> str:
    """Sets side by side what becomes of a row when nothing, the conditions, or the equation is the constraint.

    All are judged on the seeds that all have, by one threshold for the solution, that of ALM.
    """
    forms = {"nothing": soft, "the conditions": conditions, "the equation": equation}
    seeds = sorted(set.intersection(*({int(s) for s in panel.runs["seed"].values} for panel in forms.values())))
    limit = conditions.thresholds.test
    rows, passed = [], {name: [] for name in forms}
    for coefficient, n_data in equation.plan.pairs:
        cell = {"coefficient": coefficient, "n_data": n_data}
        row = [f"{coefficient:g}, {n_data:,}"]
        for name, panel in forms.items():
            if has(panel, cell):
                train, test = (float(panel.runs[q].sel(cell).sel(seed=seeds).mean()) for q in QUANTITIES)
                passed[name].append(test <= limit)
                row.append(f"{number(train)} / {number(test)}")
            else:
                row.append("not run")
        rows.append(row)
    text = (
        f"Training loss / test error by what is constrained (mean of {counted(len(seeds), 'seed')}):\n\n"
        + table(["$\\beta$, $N_f$", *forms], rows)
        + f"\n\nA test error of at most {number(limit)} (ALM's row of Table 5) is reached in "
        + listed(
            f"{none_or(sum(good))} of {counted(len(good), 'cell')} with {name} constrained"
            for name, good in passed.items()
            if good
        )
        + "."
    )
    hard, pde = passed["the conditions"], passed["the equation"]
    if not hard or len(hard) != len(pde):
        return text
    if sum(hard) == sum(pde):
        verdict = "which of the two is constrained makes no difference to how many of these cells are solved."
    else:
        better = "conditions" if sum(hard) > sum(pde) else "equation"
        reading = "the released code's" if better == "conditions" else "the text's"
        verdict = f"constraining the {better}, {reading} reading, solves more of these cells."
    return f"{text} On this row, {verdict}"


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
        beside = number(float(random.test.sel(cell))) if has(random, cell) else "not run"
        n = round(n_data**0.5)
        rows.append([f"{coefficient:g}, {n} x {n}", number(train), number(same), number(other), beside])
    header = ["$\\beta$, grid", "training loss", "error on its own grid", "error on the common grid", "with random points"]
    if not low:
        return table(header, rows) + "\n\nNo training loss of these cells is low, so there is no Regime III to hide."
    tail = (
        ": tested where it was trained, Regime III looks like Regime I there."
        if hidden
        else ": on these cells the test on the training grid hides no wrong solution that the common grid would show."
    )
    return (
        f"{table(header, rows)}\n\nOf the {counted(low, 'cell')} with a low training loss, {none_or(hidden)} {is_are(hidden)} "
        f"such that the solution passes on its own grid and fails on the common one{tail}"
    )


def _percentages(values: NDArray) -> str:
    """Median and range of some percentages."""
    if not values.size:
        return "n/a"
    low, middle, high = np.min(values), np.median(values), np.max(values)
    return f"{middle:.0f} % ({low:.0f} to {high:.0f} %)"


def _most_common(panel: Panel, cell: dict[str, float]) -> str:
    ended = [s for s in panel.runs["status"].sel(cell).values.tolist() if s]
    return max(sorted(set(ended)), key=ended.count).replace("_", " ") if ended else "not run"


def _overlap(a: Panel, b: Panel, cell: dict[str, float]) -> bool:
    """Whether the single runs of two panels at a cell lie among each other."""
    first, second = (panel.runs["train_loss"].sel(cell).dropna("seed").values for panel in (a, b))
    return bool(first.size and second.size and first.max() >= second.min() and second.max() >= first.min())
