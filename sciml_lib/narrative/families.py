"""What the chapter on model families says: how near each map comes to the published one, and what its numbers are made of."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from scipy import stats

from sciml_lib import figures, rollouts
from sciml_lib.analysis.borders import jump
from sciml_lib.analysis.pendulum import floors
from sciml_lib.ledger import FAILS, HOLDS, OPEN, Statement
from sciml_lib.panels import Panel
from sciml_lib.prose import counted, in_words, is_are, listed, number, part_of, percent, strength, table
from sciml_lib.regimes import Regime
from sciml_lib.report import NUMERALS, regime_counts, stored_runs

SMALL = 0.1
"""A relative change of a test error that is small."""


LEARNED = {
    "pinn": "the solution $u(x, t)$, from its equation",
    "node": "the rates of change, from observed states",
    "pinode": "the rates of change, from observed states and the equation",
}
"""What a network of each family is asked to learn."""


def families(panels: Mapping[str, Panel]) -> str:
    """Tabulates what each family learns, on which system, and over which axes."""
    rows = []
    for name, panel in panels.items():
        system, plan = panel.system, panel.plan
        rows.append(
            [
                name,
                LEARNED[panel.sweep.split("/")[0]],
                f"{system.name}, {system.coefficient_label} = {plan.coefficients[0]:g} ... {plan.coefficients[-1]:g}",
                f"{system.data_label} = {plan.n_data[0]:,} ... {plan.n_data[-1]:,}",
                f"{len(stored_runs(panel)):,}",
                panel.runs.sizes["seed"],
            ]
        )
    return table(["family", "its networks learn", "system", "amount of data", "runs", "seeds"], rows, of_text=True)


def against_published(panels: Mapping[str, Panel]) -> str:
    """Tabulates how far each map agrees with its published one, in labels and in values."""
    rows = []
    for name, panel in panels.items():
        result = panel.agreement
        values = [_against(panel, quantity) for quantity in ("train_loss", "test_error")]
        kappa = "n/a" if np.isnan(result.kappa) else f"{result.kappa:.2f} ({strength(result.kappa)})"
        equal = f"{percent(result.share_equal)} of {counted(result.n, 'cell')}" if result.n else "none can be compared"
        rows.append([name, equal, kappa, *(_known(r) for r, _, _ in values), *(_known(rho, ".2f") for _, rho, _ in values)])
    header = ["map", "equal labels", "Cohen's kappa", "published over our training loss", "published over our test error"]
    text = table([*header, "rank correlation, training loss", "rank correlation, test error"], rows)
    return (
        f"{text}\n\nRatios are those of the median cell. The four columns on values leave out the cells that the published "
        "colours cut off at the ends of their scale, or hide under a line."
    )


def _against(panel: Panel, quantity: str) -> tuple[float, float, int]:
    """Median of published over ours, their rank correlation, and on how many cells that are legible in value."""
    theirs = panel.published
    legible = ~(theirs[f"{quantity}_low"] | theirs[f"{quantity}_high"] | theirs[f"{quantity}_hidden"])
    ours = {"train_loss": panel.train, "test_error": panel.test}[quantity]
    both = xr.Dataset({"ours": ours, "theirs": theirs[quantity].where(legible)}).to_dataframe().dropna()
    both = both[np.isfinite(both["ours"]) & (both["theirs"] > 0)]
    if len(both) < 3:
        return np.nan, np.nan, len(both)
    return float((both["theirs"] / both["ours"]).median()), _rank(both["ours"], both["theirs"]), len(both)


def _known(value: float, form: str = ".2g") -> str:
    return "n/a" if np.isnan(value) else f"{value:{form}}"


def _rank(a: np.ndarray, b: np.ndarray) -> float:
    return float(stats.spearmanr(a, b).statistic)


def who_was_drawn(panels: Mapping[str, Panel]) -> str:
    """Says which of some maps of one family is nearest to the published one.

    Args:
        panels: the maps by the names of their strategies.
    """
    top = next(iter(panels.values())).published["train_loss"].attrs["colour_range"][1]
    rows, off = [], {}
    for name, panel in panels.items():
        ratios = [_against(panel, quantity)[0] for quantity in ("train_loss", "test_error")]
        distance = float(np.sum(np.abs(np.log10(ratios))))
        off[name] = np.inf if np.isnan(distance) else distance
        highest = float(panel.train.max())
        rows.append([name, number(panel.thresholds.train), number(highest), *map(_known, ratios)])
    header = ["our map", "its $T_\\mathrm{train}$ in Table 5", "its highest training loss"]
    text = table([*header, "published over ours: training loss", "published over ours: test error"], rows)
    nearest = min(off, key=off.get)
    below = [name for name, panel in panels.items() if float(panel.train.max()) < top]
    if below and len(below) < len(panels):
        text += (
            f"\n\nThe published colours of the training loss end at {number(top)}. No cell of our map with {listed(below)} "
            "gets that far."
        )
    return text if np.isinf(off[nearest]) else f"{text}\n\nIn both values together the published map is nearest to *{nearest}*."


def second_regime(panels: Mapping[str, Panel]) -> str:
    """Tabulates the test error in each regime, and how many cells of Regime II have a low one."""
    rows, low_in_all = [], []
    for name, panel in panels.items():
        under = panel.labels == Regime.II
        low = int((under & (panel.test <= panel.thresholds.test)).sum())
        n = int(under.sum())
        medians = []
        for regime in NUMERALS:
            inside = panel.test.values[(panel.labels == regime).values]
            medians.append(number(float(np.median(inside))) if inside.size else "no cell")
        rows.append([name, *medians, number(panel.thresholds.test), part_of(low, n)])
        if n and low > n / 2:
            low_in_all.append(name)
    header = ["map", *(f"median test error in {r.numeral}" for r in NUMERALS), "$T_\\mathrm{test}$"]
    text = table([*header, "cells of II with a test error at most that"], rows)
    if not low_in_all:
        return text
    return (
        f"{text}\n\nIn the {'map' if len(low_in_all) == 1 else 'maps'} of {listed(low_in_all)} most of Regime II has a *low* "
        "test error. The paper describes II by a high training loss and a high test error; there it is a high training loss "
        "alone."
    )


def floor_figure(panel: Panel, title: str) -> Figure:
    """Draws the training loss, the floor of forward Euler in the same colours, and the floor's share of the loss."""
    floor = rollouts.euler_floor(panel)
    limits = figures.style.colour_range(panel.train.values)
    maps = [
        figures.ValueMap("training loss", panel.train.values, limits),
        figures.ValueMap("floor of forward Euler", floor.values, limits),
        figures.ValueMap("share of the floor", (floor / panel.train).values, (0.0, 1.0), written=True),
    ]
    axes = panel.runs["coefficient"].values, panel.runs["n_data"].values
    return figures.value_maps(maps, *axes, **panel.axis_words, title=title)


def floor_words(panels: Mapping[str, Panel]) -> str:
    """Tabulates how much of each map's training loss no field could avoid, and which thresholds lie below that."""
    found = floors(panels)
    rows = [
        [
            name,
            f"{percent(row.share)} ({percent(row.least)} to {percent(row.most)})",
            f"{row['rank']:.2f}",
            number(row.threshold),
            part_of(row.above, row.cells),
        ]
        for name, row in found.iterrows()
    ]
    impossible = [f"{row.above:.0f} of {row.cells:.0f} with {name}" for name, row in found.iterrows() if row.above]
    header = ["map", "share of the floor in the training loss: median cell", "rank correlation with the floor"]
    text = table([*header, "$T_\\mathrm{train}$", "cells whose floor is above it"], rows)
    if not impossible:
        return text
    return (
        f"{text}\n\nWhere the floor is above the threshold a cell is in Regime II whatever the training: {listed(impossible)}. "
        "There *under-trained* says something about the time step, and nothing about the optimiser."
    )


def error_floor(panel: Panel) -> str:
    """Says what a test error is made of: the true field's under Euler, and what lies beyond the training data."""
    true, (trained, tested) = rollouts.true_field_error(panel), rollouts.reach(panel)
    rows, closer = [], []
    for coefficient in panel.runs["coefficient"].values:
        own = float(true.sel(coefficient=coefficient))
        well = panel.test.sel(coefficient=coefficient)
        best = float(well.min())
        rows.append([f"{coefficient:g}", number(own), number(best), percent(own / best)])
        if best < own:
            closer.append(coefficient)
    symbol = panel.system.coefficient_label
    header = [symbol, "test error of the true field", "lowest test error in our map", "the one over the other"]
    first, last = rows[0], rows[-1]
    text = table(header, rows) + (
        f"\n\nThe test begins at {tested:.2g} rad, and no training trajectory goes beyond {trained:.2g} rad: the test asks for "
        f"swings that no network has seen. At {symbol} = {first[0]} the true field would have an error of {first[1]}, and the "
        f"best cell has {first[2]}. At {symbol} = {last[0]} following the *true* field with Euler's method already costs "
        f"{last[1]}, and the best cell has {last[2]}."
    )
    if closer:
        values = listed(f"{value:g}" for value in closer)
        text += (
            f" At {symbol} = {values} the best networks are more accurate than the true field: trained on single steps of "
            "Euler they have learned to make up for a part of its error."
        )
    return text


def two_errors_figure(panel: Panel, title: str) -> Figure:
    """Draws the error of the rollout beside that of one step along the same test trajectory."""
    one_step = panel.seeded("one_step_mse").mean("seed")
    maps = [
        figures.ValueMap("rollout over 20 s, relative error", panel.test.values),
        figures.ValueMap("one step, mean squared error", one_step.values),
    ]
    axes = panel.runs["coefficient"].values, panel.runs["n_data"].values
    return figures.value_maps(maps, *axes, **panel.axis_words, title=title)


def two_errors(panels: Mapping[str, Panel]) -> str:
    """Says how far the two test errors order the cells alike, and whether Table 5 could mean the error of one step."""
    rows = []
    for name, panel in panels.items():
        one_step = panel.seeded("one_step_mse").mean("seed")
        rank = _rank(panel.test.values.ravel(), one_step.values.ravel())
        inside = int((panel.labels == Regime.III).sum())
        split = _rank_in(panel, one_step)
        rows.append(
            [
                name,
                f"{rank:.2f}",
                f"{number(float(one_step.min()))} to {number(float(one_step.max()))}",
                number(panel.thresholds.test),
                "no cell" if not inside else percent(split),
            ]
        )
    header = ["map", "rank correlation of both errors", "error of one step, lowest to highest cell", "$T_\\mathrm{test}$"]
    text = table([*header, "III apart from I by one step alone"], rows)
    return (
        f"{text}\n\n*Apart*: in how many of all pairs of a cell of III with a cell of I the one of III has the larger error of "
        "one step; one half would be chance." + _orders(panels)
    )


def _orders(panels: Mapping[str, Panel]) -> str:
    """Says that the thresholds cannot mean the error of one step, if they are larger than all of them."""
    highest = max(float(panel.seeded("one_step_mse").mean("seed").max()) for panel in panels.values())
    lowest = min(panel.thresholds.test for panel in panels.values())
    if highest >= lowest:
        return ""
    return (
        f" The thresholds of Table 5 are at least {lowest / highest:,.0f} times every error of one step: they mean the rollout."
    )


def _rank_in(panel: Panel, values: xr.DataArray) -> float:
    """Share of pairs (a cell of III, a cell of I) that a number orders like the labels; ties count half."""
    over, well = (values.values[(panel.labels == regime).values] for regime in (Regime.III, Regime.I))
    if not over.size or not well.size:
        return np.nan
    return float(stats.mannwhitneyu(over, well).statistic / (over.size * well.size))


def other_readings(base: Panel, variants: Mapping[str, Panel]) -> str:
    """Tabulates what other readings of paper and code change on the cells of a map.

    Args:
        base: the map as it is read here.
        variants: the same cells read otherwise, by what is different.
    """
    rows = [["*as above*", "1", "1", regime_counts(base.labels), "", _kappa(base)]]
    for name, panel in variants.items():
        comparable = panel.plan.sweep.setup == base.plan.sweep.setup
        ratios = []
        for quantity in ("loss_data", "test_error"):
            ratio = panel.seeded(quantity).mean("seed") / base.seeded(quantity).mean("seed")
            ratios.append(f"{float(ratio.median()):.2g}")
        changed = int((panel.labels != base.labels).sum())
        rows.append(
            [
                name,
                *ratios,
                regime_counts(panel.labels) if comparable else "another loss",
                changed if comparable else "",
                _kappa(panel) if comparable else "",
            ]
        )
    header = [
        "reading",
        "data loss, ratio",
        "test error, ratio",
        "I / II / III",
        "labels that change",
        "kappa with the published",
    ]
    return table(header, rows)


def what_matters(node: Panel, raw: Panel, pinode: Panel, data: Panel) -> str:
    """Says what the representation does to a NODE, and what the physics does to a PINODE.

    Args:
        node: the NODE on the sphere.
        raw: the same on angle and velocity.
        pinode: the PINODE.
        data: the same without physics.
    """
    loss, error = (_median_ratio(node, raw, quantity) for quantity in ("loss_data", "test_error"))
    level = node.thresholds.train
    above = [int((panel.train > level).sum()) for panel in (node, raw)]
    sphere = (
        f"*The sphere.* A NODE that sees angle and velocity has a loss {_times(loss)} in the median cell, and a "
        f"test error {_times(error)}. On the sphere {above[0]} of {node.train.size} cells are above the training "
        f"threshold, here {above[1]}"
    )
    sphere += (
        " (in other units, but far from it): the Regime II of the NODE is that of its representation."
        if above[1] == 0 < above[0]
        else "."
    )
    change = 1.0 / _median_ratio(pinode, data, "test_error") - 1.0
    few = pinode.runs["n_data"].values[:2]
    short = 1.0 / _median_ratio(pinode, data, "test_error", few) - 1.0
    physics = (
        f"*The equation.* Without it the test error of a PINODE is {_by(change)} in the median cell, and {_by(short)} in that "
        f"of the {in_words(len(few))} shortest trajectories. "
    )
    small = abs(change) < SMALL and abs(short) < SMALL
    physics += (
        "The physics term asks for the true field at the states that are observed anyway, where the data ask for almost the "
        "same; so it adds little."
        if small
        else "The physics term asks for the true field at the states that are observed anyway, and no others."
    )
    return f"{sphere}\n\n{physics}"


def _times(ratio: float) -> str:
    """By what factor a number is smaller, or larger."""
    return f"{number(ratio)} times smaller" if ratio >= 1 else f"{number(1 / ratio)} times larger"


def _by(change: float) -> str:
    """A relative change in words."""
    if round(100 * change) == 0:
        return "the same"
    return f"{percent(abs(change))} {'larger' if change > 0 else 'smaller'}"


def _median_ratio(base: Panel, other: Panel, quantity: str, n_data: np.ndarray | None = None) -> float:
    """Median over the cells of the base's seed mean over the other's."""
    ratio = base.seeded(quantity).mean("seed") / other.seeded(quantity).mean("seed")
    if n_data is not None:
        ratio = ratio.sel(n_data=n_data)
    return float(ratio.median())


def _kappa(panel: Panel) -> str:
    return "n/a" if np.isnan(panel.agreement.kappa) else f"{panel.agreement.kappa:.2f}"


def sharpness(panels: Mapping[str, Panel]) -> list[Statement]:
    """Evaluates the paper's sentence that PINNs have sharper transitions than neural ODEs.

    Args:
        panels: maps by the names of their families, PINN among them.
    """
    jumps = {name: jump(panel) for name, panel in panels.items()}
    known = {name: value for name, value in jumps.items() if np.isfinite(value)}
    text = listed(f"{value:.2g} ({name})" for name, value in known.items())
    found = f"the training loss rises across the border by a factor of {text} in the median pair of neighbouring cells"
    statements = []
    for claim, first, second in (
        ("transitions of PINNs are sharper than those of NODEs", "PINN", "NODE"),
        ("physics makes transitions sharper: those of PINODEs are sharper than those of NODEs", "PINODE", "NODE"),
    ):
        if first in known and second in known:
            statements.append(Statement(claim, found, HOLDS if known[first] > known[second] else FAILS))
        else:
            statements.append(Statement(claim, "one of the maps has no border", OPEN))
    return statements


def missing_families(names: list[str]) -> str:
    """Says which families of Fig. 1 no map here shows."""
    return f"{listed(names)} {is_are(len(names))} not run in this edition: their maps need training data that are not made yet."
