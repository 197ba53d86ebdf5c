"""What the chapters on curvature say of a map whose largest eigenvalues and traces have been measured."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from sciml_lib import figures, regimes
from sciml_lib.narrative.strategies import panel_words
from sciml_lib.panels import Panel
from sciml_lib.prose import counted, listed, number, part_of, percent, table
from sciml_lib.regimes import Regime
from sciml_lib.report import NUMERALS

CLOSE = 0.01
"""Two estimates of an eigenvalue are the same if they differ by no more than this, relatively."""

CLEAR = 0.3
"""From this size on a rank correlation counts as a relation."""

FEWEST = 5
"""A rank correlation of fewer numbers than these says nothing."""

PAIRS = (("lambda_max", "train_loss"), ("lambda_max", "test_error"), ("trace", "train_loss"), ("trace", "test_error"))
TITLES = {"lambda_max": "$\\lambda_{\\max}$", "trace": "trace", "train_loss": "training loss", "test_error": "test error"}


def mean_of_logs(panel: Panel, quantity: str = "lambda_max") -> xr.DataArray:
    """Seed mean of the natural logarithm, ``[n_coefficient, n_data]``; values that are not positive are left out."""
    values = panel.seeded(quantity)
    return np.log(values.where(values > 0)).mean("seed")


def log_of_means(panel: Panel, quantity: str = "lambda_max") -> xr.DataArray:
    """Natural logarithm of the seed mean, ``[n_coefficient, n_data]``; NaN where that is not positive."""
    means = panel.seeded(quantity).mean("seed")
    return np.log(means.where(means > 0))


def curvature_figure(panel: Panel, title: str) -> Figure:
    """Draws the training loss beside the largest eigenvalue, as logarithm of the seed mean and as mean of the logarithms."""
    first, second = log_of_means(panel).values, mean_of_logs(panel).values
    limits = figures.style.colour_range(np.stack([first, second]))
    maps = [
        figures.ValueMap("training loss", panel.train.values),
        figures.ValueMap(r"$\ln\,\lambda_{\max}$: of the seeds' mean", first, limits),
        figures.ValueMap(r"$\ln\,\lambda_{\max}$: mean of the seeds'", second, limits),
    ]
    axes = panel.runs["coefficient"].values, panel.runs["n_data"].values
    return figures.value_maps(maps, *axes, **panel.axis_words, title=title)


def two_means(panel: Panel) -> str:
    """Says whether it matters that a map shows the logarithm of a mean, or the mean of logarithms."""
    said = (
        "The paper does not say whether its map takes the mean over the seeds or the logarithm first; its code takes the mean."
    )
    if panel.runs.sizes["seed"] < 2:
        return f"{said} With one seed there is no difference."
    first, second = log_of_means(panel), mean_of_logs(panel)
    ratio = np.exp(first - second)
    place = np.unravel_index(int(np.nanargmax(ratio.values)), ratio.shape)
    coefficient, n_data = (float(ratio[axis][i]) for axis, i in zip(ratio.dims, place, strict=True))
    words, alike = panel_words(panel), rank(first, second)
    order = "" if np.isnan(alike) else f" Both order the cells almost alike (rank correlation {alike:.2f})."
    if alike <= 0.95:
        order = f" The two order the cells differently (rank correlation {alike:.2f})."
    middle, most = number(float(ratio.median()), 3), number(float(ratio.max()), 3)
    return (
        f"{said} The mean taken first gives more weight to the sharpest seed: its eigenvalue is {middle} times the other in "
        f"the median cell, and {most} times at most ({words.symbol} = {coefficient:g}, {words.letter} = {n_data:,.0f}).{order} "
        "What follows takes the mean of the logarithms."
    )


def power_words(panels: Mapping[str, Panel]) -> str:
    """Tabulates how often the paper's power iteration gives the largest eigenvalue, and how it errs."""
    rows, early, signs, total = [], 0, 0, 0
    for name, panel in panels.items():
        exact, power = panel.seeded("lambda_max").values.ravel(), panel.seeded("lambda_power").values.ravel()
        known = np.isfinite(exact) & np.isfinite(power)
        exact, power = exact[known], power[known]
        off = (power - exact) / np.abs(exact)
        negative = int((power < 0).sum())
        low, high = int(((off < -CLOSE) & (power >= 0)).sum()), int((off > CLOSE).sum())
        early, signs, total = early + low + high, signs + negative, total + exact.size
        worst = number(float(np.abs(off).max())) if off.size else "n/a"
        within = part_of(exact.size - low - high - negative, exact.size)
        rows.append([name, f"{exact.size:,}", within, low, high, negative, worst])
    same = f"within {percent(CLOSE)}"
    text = table(["map", "runs", same, "too low", "too high", "negative", "largest relative difference"], rows)
    if early or signs:
        reasons = ["a step that changes little ends it, whether or not it has arrived"] * bool(early)
        reasons += ["what is largest in absolute value may be negative"] * bool(signs)
        end = f"In {counted(early + signs, 'run')} of {total:,} that gives another number: {listed(reasons)}."
        if early + signs <= 0.05 * total:
            end += " Almost everywhere else both agree, so the paper's maps of it can be compared with ours."
    else:
        end = "At the ends of these runs that is as good: one eigenvalue stands out, and it is quickly found."
    return (
        f"{text}\n\nOur $\\lambda_{{\\max}}$ is the largest eigenvalue by the Lanczos method. The paper's *power iteration* "
        f"multiplies a random vector by the Hessian until the value changes by less than a thousandth. {end}"
    )


def by_regime(panel: Panel) -> str:
    """Tabulates eigenvalue, trace and loss regime by regime, and says which of I and II is the sharper one."""
    logs, trace = mean_of_logs(panel), panel.seeded("trace").mean("seed")
    rows = []
    for regime in NUMERALS:
        inside = ((panel.labels == regime) & logs.notnull()).values
        if not inside.any():
            rows.append([f"{regime.numeral}, {regime.title}", "no cell", *[""] * 4])
            continue
        low, middle, high = np.exp(np.percentile(logs.values[inside], [25, 50, 75]))
        typical = [number(float(np.median(part.values[inside]))) for part in (trace, panel.train)]
        spread = f"{number(low)} to {number(high)}"
        rows.append([f"{regime.numeral}, {regime.title}", int(inside.sum()), number(middle), spread, *typical])
    header = [
        "regime",
        "cells",
        "$\\lambda_{\\max}$, median",
        "middle half of the cells",
        "trace, median",
        "training loss, median",
    ]
    text = table(header, rows)
    share, n = ahead(panel)
    if not n:
        return f"{text}\n\nWhether I or II is sharper cannot be said: the map has no cells of both."
    fixed, m = ahead(panel, at_one_coefficient=True)
    symbol = panel_words(panel).symbol
    text += (
        f"\n\nOf all pairs of a cell of I with a cell of II, the one of I has the larger $\\lambda_{{\\max}}$ in "
        f"{percent(share)}; one half would be chance. "
    )
    if not m:
        return text + f"No {symbol} has cells of both."
    turn = "but" if (share > 0.5) != (fixed > 0.5) else "and"
    return text + (
        f"A larger {symbol} alone raises the curvature, since it multiplies a part of the equation's residual; {turn} among "
        f"pairs with one and the same {symbol} ({m:,}) it has the larger one in {percent(fixed)}."
    )


def ahead(panel: Panel, *, at_one_coefficient: bool = False) -> tuple[float, int]:
    """In how many pairs (a cell of I, a cell of II) the first has the larger eigenvalue; ties count half.

    Returns:
        The share, NaN if there are no pairs, and the number of pairs.
    """
    logs = mean_of_logs(panel)
    whole = [(logs.values, panel.labels.values)]
    parts = zip(logs.values, panel.labels.values, strict=True) if at_one_coefficient else whole
    won, n = 0.0, 0
    for values, labels in parts:
        well, under = (values[(labels == regime) & np.isfinite(values)] for regime in (Regime.I, Regime.II))
        difference = well[:, None] - under[None, :]
        won += float((difference > 0).sum() + 0.5 * (difference == 0).sum())
        n += difference.size
    return (won / n if n else np.nan), n


def rank(a: ArrayLike, b: ArrayLike) -> float:
    """Rank correlation over the places where both have a value; NaN if they are few, or one of them never changes."""
    a, b = (np.asarray(part, dtype=float).ravel() for part in (a, b))
    known = np.isfinite(a) & np.isfinite(b)
    a, b = a[known], b[known]
    if a.size < FEWEST or np.ptp(a) == 0 or np.ptp(b) == 0:
        return np.nan
    return float(stats.spearmanr(a, b).statistic)


def rank_table(panel: Panel) -> str:
    """Tabulates rank correlations of curvature with loss and error: over the map, within a regime, at one coefficient."""
    own = regimes.label(panel.seeded("train_loss"), panel.seeded("test_error"), panel.thresholds)
    words = panel_words(panel)
    rows = [_rank_row("the whole map", panel, np.ones(panel.labels.shape, bool), np.ones(own.shape, bool))]
    for regime in NUMERALS:
        name = f"within {regime.numeral}"
        rows.append(_rank_row(name, panel, (panel.labels == regime).values, (own == regime).values))
    single = [f"{signed(_median(at_one(panel, *pair)))} / {signed(_median(at_one(panel, *pair, runs=True)))}" for pair in PAIRS]
    rows.append([f"at one {words.symbol} (median)", "", *single])
    header = ["rank correlation: over cells / over single runs", "cells / runs"]
    return table([*header, *(f"{TITLES[a]} with {TITLES[b]}" for a, b in PAIRS)], rows)


def rank_words(panel: Panel) -> str:
    """Says whether curvature and training loss rise together, over the map and at one coefficient."""
    symbol, everywhere = panel_words(panel).symbol, rank(mean_of_logs(panel), panel.train)
    single = at_one(panel, "lambda_max", "train_loss", runs=True)
    if np.isnan(everywhere) or not single:
        return "The cells are too few for a rank correlation."
    negative, middle = sum(value < 0 for value in single), _median(single)
    text = (
        f"Over the whole map $\\lambda_{{\\max}}$ {_relation(everywhere)} the training loss ({signed(everywhere)} over the "
        f"cells). At one {symbol} at a time it {_relation(middle)} it ({signed(middle)} in the median, negative at {negative} "
        f"of {counted(len(single), 'value')} of {symbol}). "
    )
    if everywhere * middle < 0 and min(abs(everywhere), abs(middle)) >= CLEAR:
        return text + (
            f"The sign turns. What the map shows first is how both change with {symbol}; what curvature says of *training* "
            f"shows at one {symbol}: there the better trained run is the {'sharper' if middle < 0 else 'flatter'} one."
        )
    if middle <= -CLEAR:
        return text + "So the better trained run is the sharper one, and curvature deceives who looks for flat minima."
    if middle >= CLEAR:
        return text + "So the better trained run is the flatter one, and a low curvature is a good sign."
    return text + "So curvature tells next to nothing about how well a run is trained."


def at_one(panel: Panel, a: str, b: str, *, runs: bool = False) -> list[float]:
    """The rank correlations of two quantities, coefficient by coefficient, where there are enough numbers."""
    first, second = (panel.seeded(name) if runs else _cells(panel, name) for name in (a, b))
    found = [rank(x, y) for x, y in zip(first.values, second.values, strict=True)]
    return [value for value in found if np.isfinite(value)]


def signed(value: float) -> str:
    """A correlation with its sign."""
    return "n/a" if np.isnan(value) else f"{value:+.2f}"


def _cells(panel: Panel, name: str) -> xr.DataArray:
    """One number a cell."""
    if name == "lambda_max":
        return mean_of_logs(panel)
    return {"train_loss": panel.train, "test_error": panel.test}.get(name, panel.seeded(name).mean("seed"))


def _rank_row(name: str, panel: Panel, cells: NDArray, runs: NDArray) -> list[str]:
    """One line of the table: correlations over the chosen cells and over the chosen runs."""
    measured = panel.seeded("lambda_max").notnull().values
    entries = [name, f"{int((cells & measured.any(axis=2)).sum()):,} / {int((runs & measured).sum()):,}"]
    for pair in PAIRS:
        over_cells = rank(*(_cells(panel, quantity).values[cells] for quantity in pair))
        over_runs = rank(*(panel.seeded(quantity).values[runs] for quantity in pair))
        entries.append(f"{signed(over_cells)} / {signed(over_runs)}")
    return entries


def _median(values: list[float]) -> float:
    return float(np.median(values)) if values else np.nan


def _relation(value: float) -> str:
    """The verb of a rank correlation."""
    if abs(value) < CLEAR:
        return "hardly changes with"
    return "rises with" if value > 0 else "falls with"
