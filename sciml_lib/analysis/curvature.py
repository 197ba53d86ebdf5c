"""Curvature at the ends of training, beside loss and error: cell by cell, run by run, and how they go together."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from sciml_lib import regimes
from sciml_lib.analysis import maps as regime_maps
from sciml_lib.figures import ValueMap
from sciml_lib.panels import Panel
from sciml_lib.regimes import REGIMES, Regime

CLOSE = 0.01
"""Two estimates of an eigenvalue are the same if they differ by no more than this, relatively."""

FEWEST = 5
"""A rank correlation of fewer numbers than these says nothing."""

DRAWS = 400
"""So many times cells are resampled for an interval."""

PAIRS = tuple((a, b) for a in ("lambda_max", "scaled", "trace") for b in ("train_loss", "test_error"))
"""What is correlated with what."""


def runs_of(panel: Panel) -> pd.DataFrame:
    """The stored runs of a measured map.

    Returns:
        One row a run: coefficient, n_data, seed, train_loss, test_error, ``lambda_max`` and ``trace`` (NaN where they were not
        measured), status, iterations, ``scaled`` (:func:`scaled`), ``regime`` by its own loss and error, and whether its
        training loss is ``high``, above the threshold.
    """
    names = ("train_loss", "test_error", "lambda_max", "trace", "status", "iterations")
    runs = xr.Dataset({name: panel.seeded(name) for name in names}).to_dataframe().reset_index()
    return _judged(runs[runs["train_loss"].notna()].reset_index(drop=True), panel)


def cells_of(panel: Panel) -> pd.DataFrame:
    """The cells of a measured map.

    Returns:
        One row a cell with stored runs: coefficient, n_data, the seed means train_loss, test_error and ``trace``;
        ``lambda_max``, the exponential of the seeds' mean logarithm (values that are not positive are left out), and
        ``lambda_mean``, the seeds' mean; ``scaled``, ``regime`` and ``high`` as in :func:`runs_of`, of these means; and by more
        than half of the seeds the regime, ``most`` (0 if there is none), and whether the training loss is high or low,
        ``mostly_high`` and ``mostly_low``.
    """
    eigenvalues, means = panel.seeded("lambda_max"), {"train_loss": panel.train, "test_error": panel.test}
    positive = eigenvalues.where(eigenvalues > 0)
    means |= {"lambda_max": np.exp(np.log(positive).mean("seed")), "lambda_mean": eigenvalues.mean("seed")}
    losses = panel.seeded("train_loss")
    sides = {"mostly_high": losses > panel.thresholds.train, "mostly_low": losses <= panel.thresholds.train}
    means |= {name: side.sum("seed") > losses.notnull().sum("seed") / 2 for name, side in sides.items()}
    means |= {"most": regime_maps.majority(panel), "trace": panel.seeded("trace").mean("seed")}
    cells = xr.Dataset(means).to_dataframe().reset_index()
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
    """In how many pairs (a cell of I, one of II, by most of their seeds) the first has the larger eigenvalue; ties count half.

    Returns:
        The share, NaN if there are no pairs, and the number of pairs.
    """
    parts = [group for _, group in cells.groupby("coefficient")] if at_one_coefficient else [cells]
    won, n = 0.0, 0
    for part in parts:
        well, under = (part.loc[part["most"] == regime, "lambda_max"].dropna().to_numpy() for regime in (Regime.I, Regime.II))
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


def beside_peers(cells: pd.DataFrame, own: pd.Series, peers: pd.Series, column: str = "lambda_max") -> pd.Series:
    """Some cells beside others of the same coefficient.

    Args:
        cells: what :func:`cells_of` returns.
        own: which cells.
        peers: which others.
        column: what is compared, a positive number.

    Returns:
        The logarithm of each of these cells' number over the median of its peers, NaN where it has none, indexed by
        coefficient and n_data.
    """
    logs = np.log(cells[column])
    middle = cells["coefficient"].map(logs[peers].groupby(cells.loc[peers, "coefficient"]).median())
    return (logs - middle)[own].set_axis(pd.MultiIndex.from_frame(cells.loc[own, ["coefficient", "n_data"]]))


def links(panel: Panel) -> pd.DataFrame:
    """How the largest eigenvalue of a cell goes with its training loss and its coefficient, and how sure that is.

    Returns:
        Rank correlations over cells: of loss and eigenvalue (``raw``), the same with the eigenvalue over the square of the
        coefficient (``scaled``), the partial one given the coefficient (``given``), and of coefficient and eigenvalue
        (``coefficient``, ``coefficient_scaled``). Besides ``seeds``: pairs of seeds of one cell in which the run of higher
        loss is the sharper one less those in which it is the flatter, over all of them, in the mean cell. Columns: the
        ``value``, and ``low`` and ``high``, between which lie 95 per cent of what resampled cells give.
    """
    cells, runs = cells_of(panel), runs_of(panel)
    cells = cells[cells["lambda_max"].notna()].merge(_signs_of_seeds(runs), how="left", on=["coefficient", "n_data"])
    names = ["raw", "scaled", "given", "coefficient", "coefficient_scaled", "seeds"]
    if len(cells) < FEWEST:
        return pd.DataFrame(np.nan, names, ["value", "low", "high"])
    columns = [cells[name].to_numpy() for name in ("train_loss", "lambda_max", "scaled", "coefficient", "sign")]
    draws = np.random.default_rng(0).integers(len(cells), size=(DRAWS, len(cells)))
    with np.errstate(invalid="ignore", divide="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of cells whose seeds have no pair
        value, resampled = (_links(*(column[part] for column in columns)) for part in (np.arange(len(cells))[None], draws))
        ends = np.nanpercentile(resampled, [2.5, 97.5], axis=1)
    return pd.DataFrame({"value": value[:, 0], "low": ends[0], "high": ends[1]}, names)


def _links(loss: NDArray, eigenvalue: NDArray, scaled: NDArray, coefficient: NDArray, sign: NDArray) -> NDArray:
    """The numbers of :func:`links` for samples of cells ``[B, n]``, as ``[6, B]``."""
    loss, eigenvalue, scaled, coefficient = (_centred_ranks(part) for part in (loss, eigenvalue, scaled, coefficient))
    raw, with_c, loss_c = ((a * b).sum(axis=1) for a, b in ((loss, eigenvalue), (eigenvalue, coefficient), (loss, coefficient)))
    given = (raw - with_c * loss_c) / np.sqrt((1 - with_c**2) * (1 - loss_c**2))
    scaled_with = [(scaled * part).sum(axis=1) for part in (loss, coefficient)]
    return np.stack([raw, scaled_with[0], given, with_c, scaled_with[1], np.nanmean(sign, axis=1)])


def _centred_ranks(values: NDArray) -> NDArray:
    """Ranks along the last axis less their mean, scaled to length one; NaN where all are equal."""
    ranks = stats.rankdata(values, axis=-1)
    ranks -= ranks.mean(axis=-1, keepdims=True)
    return ranks / np.linalg.norm(ranks, axis=-1, keepdims=True)


def _signs_of_seeds(runs: pd.DataFrame) -> pd.DataFrame:
    """Of each cell the mean ``sign`` of its pairs of seeds: 1 where the run of higher loss is the sharper one, -1 elsewhere."""
    found = []
    for cell, group in runs[runs["lambda_max"].notna()].groupby(["coefficient", "n_data"]):
        loss, eigenvalue = (group[name].to_numpy() for name in ("train_loss", "lambda_max"))
        more = loss[:, None] > loss[None, :]
        signs = np.sign(eigenvalue[:, None] - eigenvalue[None, :])[more]
        found.append([*cell, signs.mean() if signs.size else np.nan])
    return pd.DataFrame(found, columns=["coefficient", "n_data", "sign"])


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
