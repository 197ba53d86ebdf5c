"""Runs that have ended at a constant solution, and how curved the loss is there."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from sciml_lib.analysis import curvature
from sciml_lib.analysis.constants import NEAR, constant_error, constant_loss
from sciml_lib.landscape import HessianOperator, lanczos
from sciml_lib.optim import Status
from sciml_lib.panels import Panel
from sciml_lib.sweeps import devices
from sciml_lib.sweeps.spec import Cell

CONSTANTS = {"zero": 0.0, "one": 1.0}
"""Solutions of the equation that have forgotten how it began."""

KINDS = ("solved", "wrong", *CONSTANTS, "other")
"""What a run can have become, see :func:`runs_of`."""


def runs_of(panel: Panel) -> pd.DataFrame:
    """The stored runs of a measured map, with what each has become.

    Returns:
        One row a run, as :func:`sciml_lib.analysis.curvature.runs_of` gives it, with its ``kind`` and whether it is ``flat``
        (at a constant), ``low`` (solved or wrong) and ``stalled`` (the line search found no lower point). A run is at a
        constant, ``zero`` or ``one``, if its training loss and its test error both are those of the constant within 5 per
        cent; of the others the thresholds make ``solved``, ``wrong`` (low loss, high error) and ``other`` (high loss).
    """
    runs = curvature.runs_of(panel)
    wrong = runs["test_error"] > panel.thresholds.test
    runs["kind"] = np.where(runs["high"], "other", np.where(wrong, "wrong", "solved"))
    for name, value in CONSTANTS.items():
        error = runs["coefficient"].map({c: constant_error(panel, value, float(c)) for c in runs["coefficient"].unique()})
        apart = np.maximum((runs["train_loss"] / constant_loss(panel, value) - 1).abs(), (runs["test_error"] / error - 1).abs())
        runs.loc[apart < NEAR, "kind"] = name
    runs["flat"] = runs["kind"].isin(CONSTANTS)
    runs["low"] = runs["kind"].isin(("solved", "wrong"))
    runs["stalled"] = runs["status"] == Status.LINE_SEARCH_FAILED.label
    return runs


def cells_of(panel: Panel) -> pd.DataFrame:
    """The cells as :func:`sciml_lib.analysis.curvature.cells_of` gives them, and the median seed's ``iterations``."""
    medians = panel.seeded("iterations").median("seed").to_dataframe("iterations").reset_index()
    return curvature.cells_of(panel).merge(medians, on=["coefficient", "n_data"])


def by_kind(runs: pd.DataFrame) -> pd.DataFrame:
    """Number of runs of each kind, and their medians; NaN for a kind that does not occur."""
    medians = runs.groupby("kind")[["train_loss", "test_error", "lambda_max", "trace"]].median().reindex(list(KINDS))
    medians.insert(0, "runs", runs["kind"].value_counts().reindex(list(KINDS), fill_value=0))
    return medians


def unit(coefficient: float) -> float:
    """The second derivative of the loss at a constant solution as everything is lifted alike, ``2 (rho^2 + 1)``.

    Lifting u by b makes the residual of the equation rho b (1 - b), or rho b (1 + b) at u = 1, and that of the initial
    values b.
    """
    return 2.0 * (coefficient**2 + 1.0)


def by_coefficient(runs: pd.DataFrame) -> pd.DataFrame:
    """Median curvature by coefficient: of runs of low loss, of flat ones, and of those of low loss made constant.

    Args:
        runs: what :func:`runs_of` returns, with a column ``emptied`` of :func:`emptied_curvature`.

    Returns:
        For each coefficient ``low``, ``n_low``, ``flat``, ``n_flat``, the ``unit``, and the three medians in units.
    """
    found = {}
    for c, group in runs.groupby("coefficient"):
        low, flat = (group.loc[group[kind] & np.isfinite(group["lambda_max"]), "lambda_max"] for kind in ("low", "flat"))
        made = group.loc[group["low"], "emptied"]
        line = {"low": low.median(), "n_low": len(low), "flat": flat.median(), "n_flat": len(flat), "unit": unit(c)}
        parts = {"low": low, "flat": flat, "emptied": made}
        found[c] = line | {f"{name}_in_units": part.median() / unit(c) for name, part in parts.items()}
    return pd.DataFrame.from_dict(found, orient="index")


def apart_in_data(runs: pd.DataFrame) -> pd.DataFrame:
    """Coefficients at which every run of low loss has fewer data than every flat one: most of those, least of these."""
    most = runs[runs["low"]].groupby("coefficient")["n_data"].max()
    least = runs[runs["flat"]].groupby("coefficient")["n_data"].min()
    both = pd.DataFrame({"low_at_most": most, "flat_at_least": least}).dropna()
    return both[both["low_at_most"] < both["flat_at_least"]]


def one_of_each(panel: Panel, runs: pd.DataFrame) -> dict[str, Cell]:
    """A run of each kind with stored parameters, all at the coefficient that has most kinds.

    Large coefficients are preferred where several have equally many kinds, and large amounts of data within them.
    """
    best: dict[str, Cell] = {}
    for _, group in sorted(runs.groupby("coefficient"), reverse=True):
        cells = {row.kind: Cell(float(row.coefficient), int(row.n_data), int(row.seed)) for row in group.itertuples()}
        found = {kind: cells[kind] for kind in KINDS if kind in cells and panel.parameters(cells[kind]) is not None}
        best = found if len(found) > len(best) else best
    return best


def emptied_curvature(panel: Panel, runs: pd.DataFrame, value: float = 0.0, device: str = "auto") -> pd.Series:
    """Largest eigenvalue of every run's Hessian, once its last layer gives one value whatever its input.

    The weights into the output become zero and its bias the value, everything else stays: an exact constant, with the hidden
    layers that training has made.

    Args:
        panel: the map.
        runs: what :func:`runs_of` returns.
        value: the constant.
        device: auto, cpu or cuda.

    Returns:
        One number a row; NaN where no finite parameters are stored.
    """
    target, plan = devices.resolve(device), panel.plan
    cells = [Cell(float(row.coefficient), int(row.n_data), int(row.seed)) for row in runs.itertuples()]
    stored = {cell: panel.parameters(cell) for cell in cells}
    known = [cell for cell, params in stored.items() if params is not None and torch.isfinite(params).all()]
    width, found = plan.sweep.setup.hidden[-1], dict.fromkeys(cells, np.nan)
    for group in plan.ensembles(known):
        params = torch.stack([stored[cell] for cell in group])
        params[:, -width - 1 : -1], params[:, -1] = 0.0, value
        problem = plan.problem(group, target)
        operator = HessianOperator.of_problem(problem, params.to(problem.device, problem.dtype))
        largest = lanczos(operator, seeds=[cell.seed for cell in group]).values[:, 0]
        found |= dict(zip(group, largest.tolist(), strict=True))
    return pd.Series([found[cell] for cell in cells], index=runs.index, dtype=float)
