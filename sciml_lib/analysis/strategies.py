"""Maps of several training strategies side by side: their budgets, their accuracy, and two variants of what is trained."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from sciml_lib import regimes
from sciml_lib.analysis.borders import has
from sciml_lib.optim import LBFGS, NNCG, Status
from sciml_lib.panels import Panel
from sciml_lib.regimes import Regime
from sciml_lib.strategies import AugmentedLagrangian, Curriculum, MiniBatchAdam, RoPINN, Stage, Strategy
from sciml_lib.sweeps.spec import Sweep
from sciml_lib.sweeps.table2 import TABLE_2_LBFGS

BUDGET_ENDED = (Status.BUDGET_SPENT.label, Status.NEGATIVE_CURVATURE.label)
"""Statuses of runs that might have gone on."""


def budgets(panels: Mapping[str, Panel]) -> pd.DataFrame:
    """How much of the paper's budget each strategy had here.

    Returns:
        For each map the iterations of the stage that the strategy is named after, at most, ``here`` and in Table 2
        (``paper``; Newton steps for NNCG), the ``share`` of the two, the ``cells`` and ``seeds`` of the map, its
        stored ``runs``, and those of the paper's map, ``paper_runs`` and ``paper_seeds``.
    """
    rows = {}
    for name, panel in panels.items():
        paper, here, full = panel.plan.sweep.at("paper"), iterations(own_stage(panel.plan.strategy)), paper_iterations(panel)
        rows[name] = {
            **{"here": here, "paper": full, "share": here / full, "cells": int((panel.labels != Regime.MISSING).sum())},
            **{"seeds": panel.runs.sizes["seed"], "runs": int((panel.runs["status"] != "").sum())},
            **{"paper_runs": len(paper.cells), "paper_seeds": len(paper.seeds)},
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def own_stage(strategy: Strategy) -> Stage | Curriculum:
    """The stage that a strategy of Table 2 is named after: its special one, or the last if it has none."""
    special = (NNCG, AugmentedLagrangian, RoPINN, Curriculum)
    return next((stage for stage in strategy.stages if isinstance(stage, special)), strategy.stages[-1])


def paper_iterations(panel: Panel) -> int:
    """Iterations that the paper's table gives to the stage that a map's strategy is named after, see :func:`iterations`."""
    return paper_budget(panel.plan.sweep)


def paper_budget(sweep: Sweep) -> int:
    """The same of a sweep."""
    stage = own_stage(sweep.at("paper").strategy)
    # The profile `paper` of L-BFGS has five times the iterations of Table 2; all others have their table's.
    pinn = sweep.id.startswith("pinn/") and isinstance(stage, LBFGS)
    return iterations(TABLE_2_LBFGS if pinn else stage)


def iterations(stage: Stage | Curriculum) -> int:
    """Iterations of a stage at most; Newton steps of NysNewton-CG, epochs of Adam on mini-batches."""
    if isinstance(stage, MiniBatchAdam):
        return stage.epochs
    if isinstance(stage, AugmentedLagrangian):
        return stage.outer * stage.inner.max_iterations
    if isinstance(stage, RoPINN):
        return stage.calls * stage.solver.max_iterations
    if isinstance(stage, Curriculum):
        return stage.n_stages * stage.solver.max_iterations
    return stage.steps if isinstance(stage, NNCG) else stage.max_iterations


def errors_at(panels: Mapping[str, Panel], coefficient: float) -> pd.DataFrame:
    """Mean test error of each map at one coefficient, by map and amount of data; empty if no map has that coefficient."""
    there = {name: p for name, p in panels.items() if has(p, {"coefficient": coefficient})}
    return pd.DataFrame({name: p.test.sel(coefficient=coefficient).to_series() for name, p in there.items()}).T


def accurate_from(panels: Mapping[str, Panel], coefficient: float) -> pd.Series:
    """The least amount of data with which each map is below its own test threshold at one coefficient; infinite if none."""
    errors = errors_at(panels, coefficient)
    low = errors.le(pd.Series({name: panels[name].thresholds.test for name in errors.index}), axis="index")
    return pd.Series({name: min(row.index[row], default=np.inf) for name, row in low.iterrows()}, dtype=float)


def constraints(forms: Mapping[str, Panel], cells: Panel, limit: float) -> pd.DataFrame:
    """What becomes of some cells under several forms of the loss, on the seeds that all of them have.

    Args:
        forms: the map of each form.
        cells: the map whose planned cells are taken.
        limit: test error up to which a cell counts as solved.

    Returns:
        One row a cell, by (coefficient, n_data): for each form ``train``, ``test`` and whether it is ``solved``, as columns
        of two levels; NaN where a form was not run. Its ``attrs["seeds"]`` are the seeds.
    """
    seeds = sorted(set.intersection(*({int(s) for s in panel.runs["seed"].values} for panel in forms.values())))
    rows = {}
    for coefficient, n_data in cells.plan.pairs:
        cell, row = {"coefficient": coefficient, "n_data": n_data}, {}
        for name, panel in forms.items():
            if has(panel, cell):
                train, test = (float(panel.runs[q].sel(cell).sel(seed=seeds).mean()) for q in ("train_loss", "test_error"))
                row |= {(name, "train"): train, (name, "test"): test, (name, "solved"): float(test <= limit)}
            else:
                row |= {(name, part): np.nan for part in ("train", "test", "solved")}
        rows[coefficient, n_data] = pd.Series(row)
    found = pd.DataFrame(rows).T
    found.attrs["seeds"] = seeds
    return found


def tested_where_trained(grid: Panel, random: Panel) -> pd.DataFrame:
    """Networks trained on a tensor grid, tested on that grid and on the common one.

    Args:
        grid: the map of those networks.
        random: the map of networks trained on random points.

    Returns:
        One row a cell, by (coefficient, n_data): mean training loss ``train``, test error ``own`` on the grid of training
        and ``common`` on that of all other maps, and ``random``, the test error with random points (NaN if not run);
        whether the training loss is ``low``, and whether the test on the own grid then is ``hiding`` a wrong solution.
    """
    held_out: xr.DataArray = regimes.seed_mean(grid.held_out_error())
    rows = {}
    for coefficient, n_data in grid.plan.pairs:
        cell = {"coefficient": coefficient, "n_data": n_data}
        train, own, common = float(grid.train.sel(cell)), float(grid.test.sel(cell)), float(held_out.sel(cell))
        low = train <= grid.thresholds.train
        rows[coefficient, n_data] = {
            **{"train": train, "own": own, "common": common},
            "random": float(random.test.sel(cell)) if has(random, cell) else np.nan,
            "low": low,
            "hiding": low and own <= grid.thresholds.test < common,
        }
    return pd.DataFrame.from_dict(rows, orient="index")
