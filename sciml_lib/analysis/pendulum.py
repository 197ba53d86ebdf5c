"""Maps of the pendulum: whose thresholds judge them, the floor of their loss, and Newton steps that find nothing to solve."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats

from sciml_lib import regimes, rollouts
from sciml_lib.optim import Status
from sciml_lib.panels import Panel
from sciml_lib.regimes import REGIMES

LOSSES = ("train_loss", "loss_data", "loss_residual")
"""What a threshold of the training loss could refer to: the whole loss, its data part, its physics part."""

OWN = "own"
"""Name of the thresholds of a map's own row of Table 5."""


def counts(panels: Mapping[str, Panel], judges: Mapping[str, Panel]) -> pd.DataFrame:
    """How many cells of each map are in each regime, by its own thresholds and by those of others.

    Args:
        panels: the maps by their strategies.
        judges: the maps whose thresholds are tried beside each one's own.

    Returns:
        One row a map and judge: ``map``, ``judge`` (:data:`OWN` or the name of a judge), the thresholds ``train`` and
        ``test``, and the numbers of cells ``I``, ``II`` and ``III``.
    """
    rows = []
    for name, panel in panels.items():
        for judge, judged in {OWN: panel, **{other: panel.with_thresholds_of(p) for other, p in judges.items()}}.items():
            cells = {regime.numeral: int((judged.labels == regime).sum()) for regime in REGIMES}
            limits = judged.thresholds
            rows.append({"map": name, "judge": judge, "train": limits.train, "test": limits.test} | cells)
    return pd.DataFrame(rows)


def loss_ranges(panels: Mapping[str, Panel]) -> pd.DataFrame:
    """The ranges of the losses beside the threshold that should divide them.

    Returns:
        One row a map and a loss: ``map``, ``loss`` (one of :data:`LOSSES`), ``threshold``, ``low`` and ``high`` of the cells'
        seed means, and whether the threshold ``divides`` them (a loss at the threshold is low).
    """
    rows = []
    for name, panel in panels.items():
        level = panel.thresholds.train
        for quantity in LOSSES:
            values = panel.seeded(quantity).mean("seed").values
            low, high = float(np.nanmin(values)), float(np.nanmax(values))
            row = {"map": name, "loss": quantity, "threshold": level, "low": low, "high": high}
            rows.append(row | {"divides": low <= level < high})
    return pd.DataFrame(rows)


def floors(panels: Mapping[str, Panel]) -> pd.DataFrame:
    """How much of each map's training loss no field could avoid, see :func:`sciml_lib.rollouts.euler_floor`.

    Returns:
        For each map the floor's share of the training loss in the median cell, ``share``, in the one with the lowest,
        ``least``, and in that with the highest, ``most``; ``rank``, the rank correlation of loss and floor; ``threshold``;
        ``above``, the number of cells whose floor is above it; and ``cells``.
    """
    rows = {}
    for name, panel in panels.items():
        floor, level = rollouts.euler_floor(panel), panel.thresholds.train
        share = (floor / panel.train).values.ravel()
        share = share[np.isfinite(share)]
        rows[name] = {
            "share": float(np.median(share)),
            "least": float(share.min()),
            "most": float(share.max()),
            "rank": float(stats.spearmanr(floor.values.ravel(), panel.train.values.ravel()).statistic),
            "threshold": level,
            "above": int((floor > level).sum()),
            "cells": floor.size,
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def crossings(panel: Panel, kind: str) -> pd.Series:
    """Where the rows of a map first rise above a threshold, if they do so inside the map.

    Args:
        panel: the map.
        kind: ``train`` or ``test``; the test error counts only before the training loss has risen.

    Returns:
        The coefficients, by the amounts of data of those rows.
    """
    found = panel.crossings["crossing"].sel(boundary=kind, drop=True).to_series()
    return found[np.isfinite(found)]


def newton_runs(base: Panel, method: Panel) -> pd.DataFrame:
    """The stored runs of NysNewton-CG beside those of L-BFGS that it starts from.

    Returns:
        One row a run: coefficient, n_data, seed, status, whether it ended for want of something to solve, ``idle``, and
        whether its loss is that of L-BFGS to the last digit, ``unchanged``.
    """
    runs = xr.Dataset({"status": method.seeded("status"), "loss": method.seeded("train_loss")}).to_dataframe().reset_index()
    runs["unchanged"] = (method.seeded("train_loss").values == base.seeded("train_loss").values).ravel()
    runs["idle"] = runs["status"] == Status.NOTHING_TO_SOLVE.label
    return runs[runs["status"] != ""].drop(columns="loss").reset_index(drop=True)


def gains(base: Panel, method: Panel) -> pd.DataFrame:
    """By how many per cent the seed means of training loss and test error are lower with a method, cell by cell.

    Returns:
        One row a cell of which both have runs: coefficient, n_data, ``train_loss`` and ``test_error``; negative where the
        method is worse.
    """
    found = {
        name: regimes.improvement(
            base.seeded(name), method.seeded(name), base_status=base.seeded("status"), method_status=method.seeded("status")
        )["ratio_of_means"]
        for name in ("train_loss", "test_error")
    }
    return xr.Dataset(found).to_dataframe().reset_index().dropna(subset=list(found), how="all").reset_index(drop=True)
