"""What the chapters on the first map say: the convection equation, its warm-up, and the recipe to the letter."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from sciml_lib import figures, prose
from sciml_lib.analysis.borders import MANY_POINTS
from sciml_lib.models import MLP
from sciml_lib.panels import Panel, distance, mixed, onset, solved
from sciml_lib.prose import capitalised, counted, in_words, is_are, listed, none_or, number, percent, table
from sciml_lib.regimes import Difference, Regime, shares
from sciml_lib.regimes.published import interval
from sciml_lib.report import in_full, stored_cells, stored_runs
from sciml_lib.sweeps import Cell


def recipe(panel: Panel) -> str:
    """Says how each network of a panel was trained, and whose word is followed."""
    plan, sizes = panel.plan, panel.runs.sizes
    hidden = plan.sweep.setup.hidden
    return (
        f"What is read here: {counted(len(stored_runs(panel)), 'run')}, from {counted(sizes['coefficient'], 'speed')}, "
        f"{counted(sizes['n_data'], 'amount')} of data and {counted(sizes['seed'], 'seed')}. Each network has "
        f"{in_words(len(hidden))} hidden layers of {hidden[0]} tanh units ({MLP(hidden=hidden).n_params:,} parameters in "
        f"single precision) and was trained by {in_full(plan.strategy)}. All runs share one draw of collocation points, a "
        f"smaller set being part of every larger one.\n\n*Profile {plan.profile}:* {plan.why} "
        f"*Whose word is followed:* {plan.sweep.reading}"
    )


def overview(panel: Panel) -> str:
    """Says how large each regime is and where training stops to succeed."""
    share, labels = shares(panel.labels), panel.labels.values
    computed = int((labels != Regime.MISSING).sum())
    if not computed:
        return "No cell of this map is stored yet."
    parts = [f"{percent(share[r])} are {r.title} ({r.numeral})" for r in (Regime.I, Regime.II, Regime.III)]
    text = f"Of the {counted(computed, 'cell')} computed, {listed(parts)}. "
    if computed < labels.size:
        text += (
            f"{capitalised(counted(labels.size - computed, 'cell'))} of the grid {is_are(labels.size - computed)} not stored. "
        )
    text += (
        f"The thresholds are {number(panel.thresholds.train)} for the training loss and "
        f"{number(panel.thresholds.test)} for the test error ({panel.thresholds.origin})."
    )
    theirs = panel.published_labels["label"]
    rows = [n for n in panel.runs["n_data"].values if n >= MANY_POINTS and n in theirs["n_data"]]
    if rows:
        text += (
            "\n\nWhere points are plenty, the question is at which speed training stops to succeed. "
            f"In our map, {_onset(panel.labels.sel(n_data=rows))}. In the published one, {_onset(theirs.sel(n_data=rows))}."
        )
    return text


def trust(panel: Panel) -> str:
    """Says how much of the map is settled by the seeds there are."""
    split, computed = int(mixed(panel).sum()), int((panel.labels != Regime.MISSING).sum())
    text = (
        f"In {split} of {counted(computed, 'cell')} some seeds are well trained and others are not, with nothing different "
        "but the random start. The colour of such a cell is less a typical error than a count of failures. "
    )
    if panel.band is None:
        return text + "With one seed nothing can be said about the borders."
    unsure = int((panel.band.label_probability.max(axis=0) < 0.9).sum())
    text += (
        f"In {counted(unsure, 'cell')} no regime is reached by nine resamples of ten: "
        f"{'its label' if unsure == 1 else 'their labels'} could well be another. "
        if unsure
        else "Every label is reached by at least nine resamples of ten. "
    )
    widths = {"training": panel.band.spread("train"), "test": panel.band.spread("test")}
    known = [f"{width:.1f} cells for the {name} border" for name, width in widths.items() if np.isfinite(width)]
    if known:
        text += f"Along a row the band is {listed(known)} wide (median). "
    if panel.band.n_seeds <= 3:
        text += (
            f"With {counted(panel.band.n_seeds, 'seed')} there are only {panel.band.n_resamples} different resamples, so "
            "the band tells cells where the seeds agree from cells where they do not, and no more."
        )
    return text


def three(panel: Panel) -> str:
    """Says of one run of each regime what happened to it."""
    words = {
        Regime.I: "It was told enough and has learned what it was told: the two pictures agree.",
        Regime.II: (
            "It violates even what it was told: the way in which it was trained did not find weights that obey. What it "
            "would learn if they were found, these two numbers do not say."
        ),
        Regime.III: (
            "At its points it obeys the equation well, and between them it does as it likes. It was told too little for a "
            "wave of this speed; to train it better would not help, since it fulfils what it was asked."
        ),
    }
    lines = []
    for regime, text in words.items():
        cell = panel.typical(regime)
        if cell is None:
            lines.append(f"{regime.numeral}, {regime.title}\n: No stored run of this profile is in this regime.")
            continue
        train, test = panel.value("train_loss", cell), panel.value("test_error", cell)
        lines.append(
            f"{regime.numeral}, {regime.title}\n: $\\beta = {cell.coefficient:g}$ with $N_f = {cell.n_data:,}$ points: "
            f"training loss {number(train)}, test error {number(test)}. {text}{_forgets(panel, cell)}"
        )
    return (
        "\n\n".join(lines) + f"\n\nHere *low* means at most {number(panel.thresholds.train)} for the training loss and "
        f"{number(panel.thresholds.test)} for the test error ({panel.thresholds.origin})."
    )


def _forgets(panel: Panel, cell: Cell) -> str:
    """Says if a network that fulfils the equation and is wrong became a constant, which solves it exactly."""
    flat = panel.solution(cell).flat_from
    low = panel.value("train_loss", cell) <= panel.thresholds.train
    if flat is None or flat > 0.9 or not low:
        return ""
    return (
        f" What it does is no riddle: from $t = {flat:.2f}$ on it is a constant. A constant solves the equation exactly; "
        "the network has forgotten how the wave began, and no point in between told it otherwise."
    )


def comparison(panel: Panel) -> str:
    """Says how far our map agrees with the published one, and what explains the rest."""
    result = panel.agreement
    if not result.n:
        return result.sentence
    text = f"{result.sentence} As kappa is usually read, this is {prose.strength(result.kappa)} agreement. "
    n = len(result.differing)
    if not n:
        return f"{text}No cell differs. {_unseen(panel)}"
    doubtful = sum(d.uncertain for d in result.differing)
    luck = sum(not d.uncertain and _chance(panel, d) >= 0.05 for d in result.differing)
    return text + (
        f"Of the {counted(n, 'cell')} that {'differs' if n == 1 else 'differ'}, the published label is uncertain "
        f"in {doubtful}, and in {luck} more it appears in at least one of twenty resamples of our seeds. That leaves "
        f"{counted(n - doubtful - luck, 'cell')} in which the two maps contradict each other. {_unseen(panel)}"
    )


def _unseen(panel: Panel) -> str:
    """Says how much of the published Regime II lies where nothing of ours is stored; nothing if all of it is compared."""
    theirs = panel.published_labels["label"]
    under = theirs == int(Regime.II)
    ours = panel.labels.reindex_like(theirs, fill_value=int(Regime.MISSING))
    unseen, n = int((under & (ours == int(Regime.MISSING))).sum()), int(under.sum())
    if not unseen:
        return ""
    return (
        f"All this says little of Regime II: of the {counted(n, 'published cell')} that {is_are(n)} in it, {unseen} lie where "
        "nothing of ours is stored."
    )


def repeats(panel: Panel, again: Panel) -> str:
    """Says what became of runs that were trained twice: same recipe, cell and seed, but in another ensemble."""
    if panel.plan.hash != again.plan.hash:
        return ""
    keys = ["coefficient", "n_data", "seed"]
    pairs = stored_runs(panel).merge(stored_runs(again), on=keys, suffixes=("", "_again"))
    pairs = pairs[np.isfinite(pairs["test_error"]) & np.isfinite(pairs["test_error_again"])]
    if pairs.empty:
        return ""
    ratio = np.exp(np.abs(np.log(pairs["test_error"] / pairs["test_error_again"])))
    n, changed, doubled = len(pairs), int((pairs["solved"] != pairs["solved_again"]).sum()), int((ratio > 2).sum())
    return (
        f"**The same run twice.** {n} of these runs {is_are(n)} in the map as well: the same recipe, points and seed, trained "
        "once more beside other members of an ensemble. In exact arithmetic nothing would "
        "differ; in single precision the last digit of a sum depends on the company, and thousands of iterations amplify "
        f"it. The test errors of the two runs differ by more than a factor of two in {doubled} of {n}, and in {changed} one "
        "of the two is well trained and the other is not. "
        + ("A seed is then no more than a name for a draw, near a border. " if changed else "")
        + _relabelled(panel, again)
    )


def _relabelled(panel: Panel, again: Panel) -> str:
    """Names the cells to which a second training, with its own number of seeds, gives another regime."""
    theirs = panel.published_labels["label"]
    moved = []
    for n_data, coefficient in sorted(stored_cells(panel) & stored_cells(again)):
        cell = {"coefficient": coefficient, "n_data": n_data}
        ours, other = (Regime(int(labels.sel(cell))) for labels in (panel.labels, again.labels))
        if ours != other:
            published = Regime(int(theirs.sel(cell)))
            moved.append(
                f"$\\beta = {coefficient:g}$ with {n_data:,.0f} points ({ours.numeral} in the map, {other.numeral} here, "
                f"{published.numeral} published)"
            )
    return f"Taking all seeds of the second training, the regime changes at {listed(moved)}." if moved else ""


def differences(panel: Panel) -> str:
    """Tabulates the cells whose regime is not the published one."""
    header = ["$N_f$", "$\\beta$", "ours", "published", "our test error", "published", "uncertain", "in our resamples"]
    rows = [
        [
            f"{d.n_data:,.0f}",
            f"{d.coefficient:g}",
            d.ours.numeral,
            d.published.numeral,
            number(float(panel.test.sel(coefficient=d.coefficient, n_data=d.n_data))),
            _reading(interval(panel.published, "test_error", d.coefficient, d.n_data)),
            "yes" if d.uncertain else "",
            percent(_chance(panel, d)),
        ]
        for d in panel.agreement.differing
    ]
    if not rows:
        return "No cell differs."
    return (
        f"{table(header, rows)}\n\n*uncertain*: the published label could be another within the reading accuracy; "
        "*in our resamples*: how often the published label appears when our seeds are resampled."
    )


def warmup_figure(study: Mapping[int, Panel], title: str) -> Figure:
    """Draws the single runs of the study over the length of the warm-up."""
    first = next(iter(study.values()))
    return figures.seed_strip(
        pd.concat([stored_runs(panel).assign(warmup=steps) for steps, panel in study.items()], ignore_index=True),
        x="warmup",
        value="test_error",
        x_label="steps of Adam before L-BFGS",
        value_label="test error",
        title=title,
        coefficient_name=first.system.coefficient_label,
        data_name=first.system.data_symbol,
        published=first.published,
        threshold=first.thresholds.test,
        columns=3,
    )


def warmup_words(study: Mapping[int, Panel]) -> str:
    """Says which length of the warm-up comes nearest to the published values, and tabulates the cells."""
    published = next(iter(study.values())).published
    cells = sorted(set.intersection(*(stored_cells(panel) for panel in study.values())))
    if not cells:
        return "No cell of this study is stored for every length yet."
    rows, away = [], {steps: [] for steps in study}
    for n_data, coefficient in cells:
        cell = {"coefficient": coefficient, "n_data": n_data}
        target = interval(published, "test_error", coefficient, n_data)
        row = [f"{n_data:,.0f}, {coefficient:g}"]
        for steps, panel in study.items():
            mean, stored = float(panel.test.sel(cell)), int(panel.runs["test_error"].sel(cell).notnull().sum())
            row.append(f"{number(mean)} ({int(solved(panel).sel(cell).sum())} of {stored})")
            if target is not None:
                away[steps].append(distance(mean, target))
        rows.append([*row, _reading(target)])
    header = ["$N_f$, $\\beta$", *("no warm-up" if steps == 0 else f"Adam {steps:,}" for steps in study), "published"]
    text = (
        f"Mean test error, and in brackets how many of the seeds are well trained by themselves:\n\n{table(header, rows)}\n\n"
    )
    if not all(away.values()):
        return text + "The published figure shows none of these cells, so no length can be called the nearest."
    factor = {steps: float(10 ** np.mean(values)) for steps, values in away.items()}
    best, second, *_, worst = sorted(factor, key=factor.get)
    text += (
        f"Over these {counted(len(away[best]), 'cell')}, {_run(best)} comes nearest to the published means: beyond their "
        f"reading accuracy they are missed by a factor of {factor[best]:.1f} on (geometric) average. "
        f"Farthest off is {_run(worst)}, by a factor of {factor[worst]:.1f}. "
    )
    if 0 in factor and 0 not in (best, worst):
        text += f"Without a warm-up the factor is {factor[0]:.1f}. "
    if factor[second] / factor[best] < 1.25:
        text += f"{capitalised(_run(second))}, with a factor of {factor[second]:.1f}, is too near to be ruled out. "
    return text


def literal_words(literal: Panel, panel: Panel) -> str:
    """Says how the literal map differs from the published one and from ours, and what follows for the word difficulty."""
    mine, theirs = panel.on_the_cells_of(literal), literal.on_the_cells_of(panel)
    text = f"Against the published map: {theirs.sentence} "
    if theirs.n:
        closer = "closer to" if mine.share_equal > theirs.share_equal else "no closer to"
        text += (
            f"With the warm-up, on the same cells, the share of equal labels is {percent(mine.share_equal)} and kappa is "
            f"{mine.kappa:.2f}: the map with the warm-up is {closer} the published one. "
        )
    stuck = literal.agreement_with(panel).confusion[Regime.II - 1]  # literal II; columns: I, II, III with the warm-up
    total, (trained, still, wrong) = int(stuck.sum()), (int(count) for count in stuck)
    if not total:
        return text + "\n\nIn no cell that both maps have is the literal training in Regime II."
    text += (
        f"\n\n**What this says about difficulty.** With the printed settings {counted(total, 'cell')} of those that both maps "
        f"have {is_are(total)} in Regime II, and would be called hard to optimise. With the warm-up and the longer budget, "
        f"{none_or(trained)} of them {is_are(trained)} well trained, {none_or(wrong)} {'trains' if wrong == 1 else 'train'} "
        f"but "
        f"{'learns' if wrong == 1 else 'learn'} a wrong solution, and {none_or(still)} {'stays' if still == 1 else 'stay'} "
        "in Regime II. "
    )
    if still == total:
        return text + "So, on these cells, Regime II does not depend on how training starts."
    much = "most" if total - still > total / 2 else "a part"
    return text + (
        f"So {much} of what the literal map shows as a failure of the optimisation belongs to the *recipe*, to the start and "
        "the budget, and not to the equation at that speed with that many points. The border of Regime II is a statement about "
        "a way of training, and should be quoted together with it."
    )


def _run(steps: int) -> str:
    return "training without a warm-up" if steps == 0 else f"a warm-up of {steps:,} steps"


def _chance(panel: Panel, d: Difference) -> float:
    """Share of the resamples in which our cell has the published label; NaN with one seed."""
    if panel.band is None:
        return float("nan")
    i = int(np.flatnonzero(np.isclose(panel.runs["coefficient"], d.coefficient))[0])
    j = int(np.flatnonzero(np.isclose(panel.runs["n_data"], d.n_data))[0])
    return float(panel.band.label_probability[int(d.published) - 1, i, j])


def _onset(labels: xr.DataArray) -> str:
    """The first coefficient in Regime II, row by row, in words."""
    found: dict[str, list[int]] = {}
    for n_data, first in onset(labels).items():
        if np.isnan(first):
            where = "cannot be followed, a cell being hidden or missing,"
        elif np.isinf(first):
            where = "stays below its threshold at every speed"
        else:
            where = f"first exceeds its threshold at $\\beta = {first:g}$"
        found.setdefault(where, []).append(n_data)
    return "the training loss " + listed(
        f"{where} with {listed(f'{n:,}' for n in many)} points" for where, many in found.items()
    )


def _reading(target: tuple[float, float] | None) -> str:
    if target is None:
        return "not legible"
    low, high = target
    if np.isinf(high):
        return f"at least {number(low)}"
    return f"at most {number(high)}" if low == 0 else f"{number(low)} to {number(high)}"
