"""What the shape of one regime map is: where its regimes lie, how much its thresholds matter, how steep its border is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats

from sciml_lib import regimes
from sciml_lib.panels import Panel
from sciml_lib.regimes import FACTORS, REGIMES, Regime, published

AXES = ("coefficient", "n_data")


def in_order(labels: xr.DataArray, first: Regime, second: Regime, axis: str) -> tuple[float, int]:
    """How often cells of one regime come before those of another along an axis.

    Only cells in one line are compared, so that what changes across the lines is no part of it.

    Args:
        labels: regimes, ``[n_coefficient, n_data]``.
        first: the regime that should come first.
        second: the other one.
        axis: ``coefficient`` or ``n_data``.

    Returns:
        The share of all pairs in a line whose cell of ``first`` has the smaller value, NaN if there is no pair; and the number
        of lines that have a pair.
    """
    before, pairs, lines = 0, 0, 0
    for line in labels.transpose(axis, ...).values.T:
        here, there = (np.flatnonzero(line == regime) for regime in (first, second))
        before += int((here[:, None] < there[None, :]).sum())
        pairs += here.size * there.size
        lines += bool(here.size and there.size)
    return (before / pairs if pairs else np.nan), lines


def labels_at(panel: Panel) -> Callable[[float], xr.DataArray]:
    """The regimes of a map as a function of the factor on its thresholds; see ``Thresholds.perturbed``."""
    level = panel.thresholds.anchored(panel.train, panel.test)
    return lambda factor: regimes.label(panel.train, panel.test, level.perturbed(factor))


def published_labels_at(panel: Panel) -> Callable[[float], xr.DataArray]:
    """The same of the published map of a panel, 0 where it cannot be read."""
    theirs = panel.published
    level = panel.thresholds.anchored(theirs["train_loss"], theirs["test_error"])
    return lambda factor: published.labels(theirs, level.perturbed(factor))["label"]


def under_thresholds(at: Callable[[float], xr.DataArray]) -> pd.DataFrame:
    """How the regimes depend on the height of both thresholds.

    Args:
        at: regimes as a function of the factor on the thresholds.

    Returns:
        For each of :data:`~sciml_lib.regimes.FACTORS`: the numbers of cells ``I``, ``II`` and ``III``, and Cohen's ``kappa``
        with the regimes at the factor 1.
    """
    nominal = at(1.0)
    found = {}
    for factor in FACTORS:
        labels = at(factor)
        cells = {regime.numeral: int((labels == regime).sum()) for regime in REGIMES}
        found[factor] = cells | {"kappa": regimes.agreement(labels, nominal, nominal != Regime.MISSING).kappa}
    return pd.DataFrame.from_dict(found, orient="index")


def kappas(confusion: np.ndarray) -> dict[Regime, float]:
    """Cohen's kappa of each regime against the other two, from the table of counts of two maps; see ``Agreement.confusion``."""
    found = {}
    for k, regime in enumerate(REGIMES):
        both, ours, theirs = confusion[k, k], confusion[k].sum(), confusion[:, k].sum()
        neither = confusion.sum() - ours - theirs + both
        found[regime] = regimes.cohen_kappa(np.array([[both, ours - both], [theirs - both, neither]]))
    return found


def rises(train: xr.DataArray, level: float, floor: xr.DataArray | float = 0.0) -> pd.DataFrame:
    """How steeply the training loss rises where a row first passes its threshold along the coefficient.

    A row without such a place is left out, and so is one whose floor passes the threshold there by itself.

    Args:
        train: training loss, ``[n_coefficient, n_data]``; NaN where it is not known.
        level: the training threshold.
        floor: the part of it that no training can take away, same shape.

    Returns:
        One row an amount of data: the ``factor`` between the two cells of the border, and the ``exponent`` of the coefficient
        with which the loss above its floor grows between them.
    """
    train = train.transpose(*AXES)
    bottom = xr.zeros_like(train) + floor
    grid = np.log(train["coefficient"].values)
    rows = {}
    for n in train["n_data"].values:
        values, least = train.sel(n_data=n).values, bottom.sel(n_data=n).values
        edges = np.flatnonzero((values[:-1] <= level) & (values[1:] > level))
        if not edges.size or least[edges[0] + 1] > level:
            continue
        pair = slice(edges[0], edges[0] + 2)
        (low, high), (under, over) = values[pair], values[pair] - least[pair]
        if 0 < low and 0 < under and np.isfinite(high):
            rows[int(n)] = {"factor": high / low, "exponent": np.log(over / under) / np.diff(grid[pair]).item()}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["factor", "exponent"])


def steeper(ours: pd.DataFrame, theirs: pd.DataFrame) -> dict[str, tuple[float, float, float]]:
    """The steepness of two maps beside each other.

    Args:
        ours: what :func:`rises` returns.
        theirs: the same of another map.

    Returns:
        For ``factor`` and ``exponent``: the median row of each, and the probability that rows of one kind would differ as much
        (Mann-Whitney, two-sided); NaN where one has no row.
    """
    found = {}
    for measure in ("factor", "exponent"):
        a, b = ours[measure].to_numpy(dtype=float), theirs[measure].to_numpy(dtype=float)
        chance = float(stats.mannwhitneyu(a, b).pvalue) if a.size and b.size else np.nan
        found[measure] = *(float(np.median(x)) if x.size else np.nan for x in (a, b)), chance
    return found
