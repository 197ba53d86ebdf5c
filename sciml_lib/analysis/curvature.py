"""Curvature at the ends of training, beside loss and error: cell by cell, run by run, and how they go together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike
from scipy import stats

from sciml_lib import regimes
from sciml_lib.figures import ValueMap
from sciml_lib.panels import Panel
from sciml_lib.regimes import REGIMES, Regime

CLOSE = 0.01
"""Two estimates of an eigenvalue are the same if they differ by no more than this, relatively."""

FEWEST = 5
"""A rank correlation of fewer numbers than these says nothing."""

PAIRS = tuple((a, b) for a in ("lambda_max", "scaled", "trace") for b in ("train_loss", "test_error"))
"""What is correlated with what."""


def runs_of(panel: Panel) -> pd.DataFrame:
    """The stored runs of a measured map.

    Returns:
        One row a run: coefficient, n_data, seed, train_loss, test_error, ``lambda_max`` and ``trace`` (NaN where they were not
        measured), status, ``scaled`` (:func:`scaled`), ``regime`` by its own loss and error, and whether its training loss is
        ``high``, above the threshold.
    """
    names = ("train_loss", "test_error", "lambda_max", "trace", "status")
    runs = xr.Dataset({name: panel.seeded(name) for name in names}).to_dataframe().reset_index()
    return _judged(runs[runs["train_loss"].notna()].reset_index(drop=True), panel)


def cells_of(panel: Panel) -> pd.DataFrame:
    """The cells of a measured map.

    Returns:
        One row a cell with stored runs: coefficient, n_data, the seed means train_loss, test_error and ``trace``;
        ``lambda_max``, the exponential of the seeds' mean logarithm (values that are not positive are left out), and
        ``lambda_mean``, the seeds' mean; ``scaled``, ``regime`` and ``high`` as in :func:`runs_of`, of these means.
    """
    eigenvalues, means = panel.seeded("lambda_max"), {"train_loss": panel.train, "test_error": panel.test}
    positive = eigenvalues.where(eigenvalues > 0)
    means |= {"lambda_max": np.exp(np.log(positive).mean("seed")), "lambda_mean": eigenvalues.mean("seed")}
    cells = xr.Dataset(means | {"trace": panel.seeded("trace").mean("seed")}).to_dataframe().reset_index()
    return _judged(cells[cells["train_loss"].notna()].reset_index(drop=True), panel)


def scaled(eigenvalue: ArrayLike, coefficient: ArrayLike) -> ArrayLike:
    """An eigenvalue over the square of the coefficient, which multiplies a part of the residual and so enters its square."""
    return eigenvalue / coefficient**2


def two_means(cells: pd.DataFrame) -> pd.Series:
    """How much larger an eigenvalue is where the seeds' mean is taken before the logarithm: one ratio a cell."""
    return cells["lambda_mean"] / cells["lambda_max"]


class Power(NamedTuple):
    """How the paper's power iteration compares with the Lanczos method.

    Attributes:
        runs: that both have measured.
        same: they differ by at most :data:`CLOSE`, relatively.
        low: the power iteration gives less.
        high: it gives more.
        negative: it gives a negative number.
        worst: largest relative difference; NaN without runs.
    """

    runs: int
    same: int
    low: int
    high: int
    negative: int
    worst: float


def power_iteration(panel: Panel) -> Power:
    """Compares the two estimates of the largest eigenvalue, run by run."""
    exact, power = (panel.seeded(name).values.ravel() for name in ("lambda_max", "lambda_power"))
    known = np.isfinite(exact) & np.isfinite(power)
    exact, power = exact[known], power[known]
    off = (power - exact) / np.abs(exact)
    negative, low, high = (int(part.sum()) for part in (power < 0, (off < -CLOSE) & (power >= 0), off > CLOSE))
    worst = float(np.abs(off).max()) if off.size else np.nan
    return Power(off.size, off.size - negative - low - high, low, high, negative, worst)


def by_regime(cells: pd.DataFrame) -> pd.DataFrame:
    """Number of cells of each regime, and their medians, taken of logarithms where they are of eigenvalues.

    Returns:
        A row each for I, II and III: ``cells``, ``lambda_max``, its quartiles ``lower`` and ``upper``, ``scaled``, ``trace``
        and ``train_loss``; NaN where there is no cell.
    """
    found = {}
    for regime in REGIMES:
        inside = cells[(cells["regime"] == regime) & cells["lambda_max"].notna()]
        logs = np.log(inside[["lambda_max", "scaled"]])
        quarters = np.exp(logs["lambda_max"].quantile([0.25, 0.5, 0.75]))
        line = {"cells": len(inside), "lambda_max": quarters[0.5], "lower": quarters[0.25], "upper": quarters[0.75]}
        line["scaled"] = np.exp(logs["scaled"].median())
        found[regime.numeral] = line | {name: inside[name].median() for name in ("trace", "train_loss")}
    return pd.DataFrame.from_dict(found, orient="index")


def ahead(cells: pd.DataFrame, *, at_one_coefficient: bool = False) -> tuple[float, int]:
    """In how many pairs (a cell of I, a cell of II) the first has the larger eigenvalue; ties count half.

    Returns:
        The share, NaN if there are no pairs, and the number of pairs.
    """
    parts = [group for _, group in cells.groupby("coefficient")] if at_one_coefficient else [cells]
    won, n = 0.0, 0
    for part in parts:
        well, under = (part.loc[part["regime"] == regime, "lambda_max"].dropna().to_numpy() for regime in (Regime.I, Regime.II))
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


def at_one(frame: pd.DataFrame, a: str, b: str) -> pd.Series:
    """The rank correlations of two columns, coefficient by coefficient, where there are enough numbers."""
    found = {coefficient: rank(group[a], group[b]) for coefficient, group in frame.groupby("coefficient")}
    return pd.Series(found, dtype=float).dropna()


def ranks(frame: pd.DataFrame) -> pd.DataFrame:
    """Rank correlations of curvature with loss and error.

    Args:
        frame: cells or runs, as :func:`cells_of` or :func:`runs_of` returns them.

    Returns:
        Rows: the whole map, the part in each regime, and the median over the coefficients of what is found at one. Columns:
        ``n``, how many have been measured, and one for each of :data:`PAIRS`, such as ``lambda_max_train_loss``.
    """
    measured = frame[frame["lambda_max"].notna()]
    parts = {"whole map": measured}
    parts |= {f"within {r.numeral}": measured[measured["regime"] == r] for r in REGIMES}
    found = {name: {"n": len(part)} | {f"{a}_{b}": rank(part[a], part[b]) for a, b in PAIRS} for name, part in parts.items()}
    found["at one coefficient"] = {"n": None} | {f"{a}_{b}": at_one(measured, a, b).median() for a, b in PAIRS}
    return pd.DataFrame.from_dict(found, orient="index")


def between_seeds(runs: pd.DataFrame) -> tuple[int, int]:
    """Pairs of seeds of one cell, and in how many of them the run with the higher training loss is the sharper one.

    Coefficient and data are the same in both runs of a pair: what differs is what training has made of its start.

    Returns:
        Those in which it is sharper, and all pairs with two different losses.
    """
    sharper, n = 0, 0
    for _, group in runs[runs["lambda_max"].notna()].groupby(["coefficient", "n_data"]):
        loss, eigenvalue = group["train_loss"].to_numpy(), group["lambda_max"].to_numpy()
        more = loss[:, None] > loss[None, :]
        sharper += int((more & (eigenvalue[:, None] > eigenvalue[None, :])).sum())
        n += int(more.sum())
    return sharper, n


def across(panels: Mapping[str, Panel]) -> pd.DataFrame:
    """How curvature goes with the training loss in several maps.

    Args:
        panels: measured maps by the names of their equations.

    Returns:
        A row a map: ``cells``; rank correlations over its cells of the training loss with ``lambda_max`` and with
        ``scaled``, and the median ``at_one`` coefficient; the share of ``pairs`` of a cell of I and one of II in which the
        first is sharper, ``ahead``, and the same ``at_one`` coefficient; and of :func:`between_seeds` ``sharper`` and
        ``seed_pairs``.
    """
    found = {}
    for name, panel in panels.items():
        cells = cells_of(panel)
        line = {"cells": int(cells["lambda_max"].notna().sum())}
        line |= {column: rank(cells[column], cells["train_loss"]) for column in ("lambda_max", "scaled")}
        line["at_one"] = at_one(cells, "lambda_max", "train_loss").median()
        line["ahead"], line["pairs"] = ahead(cells)
        line["ahead_at_one"], line["pairs_at_one"] = ahead(cells, at_one_coefficient=True)
        line["sharper"], line["seed_pairs"] = between_seeds(runs_of(panel))
        found[name] = line
    return pd.DataFrame.from_dict(found, orient="index")


def maps(panel: Panel) -> list[ValueMap]:
    """Training loss, largest eigenvalue and the scaled one, these two in natural logarithms: what a figure of maps takes."""
    cells = cells_of(panel)
    axes = panel.runs["coefficient"].values, panel.runs["n_data"].values
    logs = [np.log(cells.pivot(index="coefficient", columns="n_data", values=name)) for name in ("lambda_max", "scaled")]
    eigenvalue, over_square = (part.reindex(index=axes[0], columns=axes[1]).to_numpy() for part in logs)
    symbol = panel.system.coefficient_label
    return [
        ValueMap("training loss", panel.train.values),
        ValueMap(r"$\ln\,\lambda_{\max}$", eigenvalue),
        ValueMap(rf"$\ln\,(\lambda_{{\max}} / {symbol}^2)$", over_square),
    ]


def _judged(frame: pd.DataFrame, panel: Panel) -> pd.DataFrame:
    """Adds what follows from loss, error, eigenvalue and coefficient of each row."""
    frame["scaled"] = scaled(frame["lambda_max"], frame["coefficient"])
    frame["regime"] = regimes.label(frame["train_loss"].to_numpy(), frame["test_error"].to_numpy(), panel.thresholds)
    frame["high"] = frame["train_loss"] > panel.thresholds.train
    return frame
