"""Regime maps beside each other: regimes, borders, whose thresholds judge them, and how much of them was run."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from sciml_lib import regimes
from sciml_lib.analysis.strategies import BUDGET_ENDED
from sciml_lib.optim import Adam, Status
from sciml_lib.panels import Panel, onset
from sciml_lib.regimes import REGIMES, Regime

EARLY = 100
"""A run that ended within so many iterations of its warm-up has hardly left it."""


def seed_labels(panel: Panel) -> xr.DataArray:
    """The regime of every single run, ``[n_coefficient, n_data, n_seed]``; 0 where none is stored."""
    return regimes.label(panel.seeded("train_loss"), panel.seeded("test_error"), panel.thresholds)


def majority(panel: Panel) -> xr.DataArray:
    """The regime that more than half of a cell's runs are in, ``[n_coefficient, n_data]``; 0 where there is no such regime."""
    own = seed_labels(panel)
    stored = (own != Regime.MISSING).sum("seed")
    found = xr.full_like(panel.labels, Regime.MISSING)
    for regime in REGIMES:
        found = xr.where((own == regime).sum("seed") > stored / 2, int(regime), found)
    return found


def regime_shares(panels: Mapping[str, Panel]) -> pd.DataFrame:
    """How large each regime is in each map, by the seed means and by the majority of the seeds.

    Returns:
        For each map: the number of ``cells``, the shares ``I``, ``II`` and ``III`` of the seed means, the coefficient ``first``
        at which II begins in any row (infinite if nowhere), the ``symbol`` of the coefficient, for each regime the number of
        cells it has by the means (``means_I`` ...) and by most of the seeds (``most_I`` ...), the cells whose seeds are
        ``split`` between regimes, the ``runs`` in cells of II, and those of them that ended ``early`` (see
        :func:`ended_early`; None where that cannot be known).
    """
    found = {}
    for name, panel in panels.items():
        share, most, early = regimes.shares(panel.labels), majority(panel), ended_early(panel)
        under = (panel.labels == Regime.II).values[..., None]
        first = [value for value in onset(panel.labels).values() if np.isfinite(value)]
        found[name] = {
            "cells": int((panel.labels != Regime.MISSING).sum()),
            **{regime.numeral: share[regime] for regime in REGIMES},
            "first": min(first, default=np.inf),
            "symbol": panel.system.coefficient_label,
            **{f"means_{regime.numeral}": int((panel.labels == regime).sum()) for regime in REGIMES},
            **{f"most_{regime.numeral}": int((most == regime).sum()) for regime in REGIMES},
            "split": int(split(panel).sum()),
            "runs": int((panel.seeded("test_error").notnull().values & under).sum()),
            "early": None if early is None else int((early & under).sum()),
        }
    return pd.DataFrame.from_dict(found, orient="index")


def split(panel: Panel) -> xr.DataArray:
    """The cells whose runs are not all in one regime, ``[n_coefficient, n_data]``."""
    own = seed_labels(panel)
    return sum(((own == regime).any("seed").astype(int) for regime in REGIMES), xr.zeros_like(panel.labels)) > 1


def seeds_of_split_cells(panel: Panel) -> pd.DataFrame:
    """The cells whose runs are not all in one regime, with what each way of summing up their seeds makes of them.

    Returns:
        One row a cell: ``coefficient``, ``n_data``, the seeds in ``I``, ``II`` and ``III`` ``of`` how many, ``mean`` and
        ``median`` test error, and the regime by the means (``by_mean``), by the medians (``by_median``) and by most of the
        seeds (``by_most``; empty if no regime has most), as numerals.
    """
    own, most = seed_labels(panel), majority(panel)
    train, test = panel.seeded("train_loss").median("seed"), panel.seeded("test_error").median("seed")
    middle = regimes.label(train, test, panel.thresholds)
    rows = []
    for i, j in np.argwhere(split(panel).values):
        rows.append(
            {
                "coefficient": float(panel.runs["coefficient"][i]),
                "n_data": int(panel.runs["n_data"][j]),
                **{regime.numeral: int((own[i, j] == regime).sum()) for regime in REGIMES},
                "of": int((own[i, j] != Regime.MISSING).sum()),
                "mean": float(panel.test[i, j]),
                "median": float(test[i, j]),
                "by_mean": Regime(int(panel.labels[i, j])).numeral,
                "by_median": Regime(int(middle[i, j])).numeral,
                "by_most": Regime(int(most[i, j])).numeral,
            }
        )
    columns = ["coefficient", "n_data", "I", "II", "III", "of", "mean", "median", "by_mean", "by_median", "by_most"]
    return pd.DataFrame(rows, columns=columns)


def warm_up(panel: Panel) -> int:
    """The steps of Adam that a strategy begins with; they are counted among a run's iterations."""
    first = panel.plan.strategy.stages[0]
    return first.steps if isinstance(first, Adam) else 0


def ended_early(panel: Panel) -> np.ndarray | None:
    """Which runs ended within :data:`EARLY` iterations of their warm-up, ``[n_coefficient, n_data, n_seed]``.

    None where there is no warm-up, or the iterations are not known.
    """
    if not warm_up(panel) or "iterations" not in panel.runs:
        return None
    return (panel.seeded("iterations") <= warm_up(panel) + EARLY).values & (panel.seeded("status") != "").values


def runs_of(panel: Panel) -> int:
    """The number of stored runs."""
    return int(panel.seeded("test_error").notnull().sum())


def scale(panels: Mapping[str, Panel]) -> pd.DataFrame:
    """How much of the paper's maps was run.

    Returns:
        For each map: ``runs`` and ``seeds`` that are stored, ``paper_runs`` and ``paper_seeds`` of the profile *paper*, whether
        its whole ``grid`` is stored, and whether the ``recipe`` is that of the paper's full budget.
    """
    found = {}
    for name, panel in panels.items():
        sweep = panel.plan.sweep
        paper, labels = sweep.at("paper"), panel.labels.to_series()
        stored = set(labels[labels != Regime.MISSING].reorder_levels(["coefficient", "n_data"]).index)
        found[name] = {
            "runs": runs_of(panel),
            "seeds": panel.runs.sizes["seed"],
            "paper_runs": len(paper.cells),
            "paper_seeds": len(paper.seeds),
            "grid": set(paper.pairs) <= stored,
            "recipe": panel.plan.strategy == sweep.strategy,
        }
    return pd.DataFrame.from_dict(found, orient="index")


def high_runs(panels: Mapping[str, Panel]) -> pd.DataFrame:
    """Runs whose training loss is above the threshold, and how they ended.

    Returns:
        For each map: the ``runs``, those that are ``high``, and of these the ones that had used up their budget
        (``by_budget``), the ones whose line search found no lower point (``by_search``), and those that ended ``early`` (see
        :func:`ended_early`; None where that cannot be known).
    """
    found = {}
    for name, panel in panels.items():
        high, early = (panel.seeded("train_loss") > panel.thresholds.train).values, ended_early(panel)
        ended = panel.seeded("status").values[high]
        found[name] = {
            "runs": runs_of(panel),
            "high": int(high.sum()),
            "by_budget": int(np.isin(ended, BUDGET_ENDED).sum()),
            "by_search": int((ended == Status.LINE_SEARCH_FAILED.label).sum()),
            "early": None if early is None else int((early & high).sum()),
        }
    return pd.DataFrame.from_dict(found, orient="index")


def borders(panels: Mapping[str, Panel]) -> pd.DataFrame:
    """Where the rows of each map first rise above each of its thresholds.

    Returns:
        One row a ``map`` and ``border`` (train, test): the number of ``rows``, those that are ``crossed`` inside the map with
        the least and greatest coefficient (``low``, ``high``), those that are above from the ``start`` and those that are
        ``never`` above, and where all are crossed the way in which the border ``moves`` as data are added: larger, smaller,
        or empty if neither.
    """
    found = []
    for name, panel in panels.items():
        for border in ("train", "test"):
            rows = panel.crossings["crossing"].sel(boundary=border).values
            inside = rows[np.isfinite(rows)]
            found.append(
                {
                    "map": name,
                    "border": border,
                    "symbol": panel.system.coefficient_label,
                    "rows": rows.size,
                    "crossed": inside.size,
                    "low": inside.min() if inside.size else np.nan,
                    "high": inside.max() if inside.size else np.nan,
                    "start": int(np.isneginf(rows).sum()),
                    "never": int(np.isposinf(rows).sum()),
                    "moves": _direction(rows),
                }
            )
    return pd.DataFrame(found)


def _direction(rows: np.ndarray) -> str:
    """Which way crossings move along the rows, if all are finite and none moves back."""
    if not np.isfinite(rows).all():
        return ""
    steps = np.diff(rows)
    if not steps.any() or not (np.all(steps >= 0) or np.all(steps <= 0)):
        return ""
    return "larger" if steps.sum() > 0 else "smaller"


def other_thresholds(panels: Mapping[str, Panel], bases: Mapping[str, Panel] | Panel) -> pd.DataFrame:
    """Maps by the thresholds of their own row of Table 5 and by those of another strategy's row.

    Args:
        panels: the maps.
        bases: the map whose thresholds are the common yardstick: one for all, or one for each of them.

    Returns:
        For each map the ratios ``train`` and ``test`` of its own thresholds to the others, the numbers of cells in I, II and
        III by its ``own`` and by the ``other``, three each, and the number of cells whose label is ``changed``.
    """
    found = {}
    for name, panel in panels.items():
        base = bases if isinstance(bases, Panel) else bases[name]
        own, other = panel.thresholds, base.thresholds
        again = panel.with_thresholds_of(base).labels
        found[name] = {
            "train": own.train / other.train,
            "test": own.test / other.test,
            "own": counts_of(panel.labels),
            "other": counts_of(again),
            "changed": int((again != panel.labels).sum()),
        }
    return pd.DataFrame.from_dict(found, orient="index")


def counts_of(labels: xr.DataArray) -> tuple[int, ...]:
    """The number of cells in I, II and III."""
    return tuple(int((labels == regime).sum()) for regime in REGIMES)
