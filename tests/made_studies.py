"""Stored studies whose truth is known."""

from __future__ import annotations

import numpy as np

from sciml_lib.studies import Item, Results
from sciml_lib.studies.cells import CONVECTION, REACTION_DIFFUSION

# --- spectra --------------------------------------------------------------------------------------------------

Nodes = dict[float, float]
"""Weights by Ritz value, of one start or of all."""


def arrays(*starts: Nodes) -> dict[str, np.ndarray]:
    steps = max(map(len, starts))
    nodes, weights = np.full((len(starts), steps), np.nan), np.zeros((len(starts), steps))
    for k, start in enumerate(starts):
        found = sorted(start.items())
        nodes[k, : len(found)], weights[k, : len(found)] = zip(*found, strict=True)
    return {"nodes": nodes, "weights": weights}


def spectra(runs: dict[tuple[str, float, int], list[tuple[Nodes, Nodes]]], profile: str = "laptop") -> Results:
    """Runs by cell, each before and after training, one a seed."""
    items = {
        Item(*cell, seed=seed, variant=variant): arrays(nodes, nodes)
        for cell, pairs in runs.items()
        for seed, pair in enumerate(pairs)
        for variant, nodes in zip(("before", "after"), pair, strict=True)
    }
    attrs = {"profile": profile, "seeds": sorted({item.seed for item in items}), "command": "python -m sciml_lib study spectra"}
    attrs["sweep"] = "study spectra"
    return Results(items, attrs)


SPREAD = {-300.0: 0.2, -30.0: 0.2, -2.0: 0.08, 2.0: 0.12, 30.0: 0.2, 400.0: 0.2}
"""Nothing about zero, and about as much on either side."""

SHARP = {-1e-5: 0.4, 1e-5: 0.4, 5.0: 0.1, 50.0: 0.05, 2e4: 0.05}
"""A peak at zero and an outlier."""

WIDE = {-3.0: 0.05, 3.0: 0.05, 20.0: 0.2, 90.0: 0.3, 5e3: 0.2, 2e4: 0.2}
"""An outlier and no peak."""

SMALL = {-1e-5: 0.45, 1e-5: 0.45, 5.0: 0.05, 90.0: 0.05}
"""A peak and no outlier."""

SLOW, FAST, MANY = (CONVECTION, 5.0, 100), (CONVECTION, 50.0, 500), (CONVECTION, 50.0, 2000)


def rho(value: float) -> tuple[str, float, int]:
    return REACTION_DIFFUSION, value, 1000


EVEN = {-400.0: 0.25, -100.0: 0.2, -1.0: 0.04, 1.0: 0.02, 100.0: 0.24, 420.0: 0.25}
"""As many below zero as above it."""

# --- trainings ------------------------------------------------------------------------------------------------

AT = np.array([0, 10, 100, 500, 1000, 2000, 2100, 2300, 2600, 3000])
FALLING = 10.0 ** -np.arange(10.0)
RISING = np.array([1, 1, 2, 4, 8, 8, 8, 8, 8, 8.0])


def training(lambda_max: np.ndarray, loss: np.ndarray = FALLING, at: np.ndarray = AT) -> dict[str, np.ndarray]:
    return {"iteration": at, "loss": loss, "lambda_max": lambda_max}


def study(
    cells: dict[tuple[float, int], list[dict[str, np.ndarray]]], profile: str = "laptop", sweep: str = CONVECTION
) -> Results:
    """Trainings by cell, one a seed."""
    items = {Item(sweep, c, n, seed): run for (c, n), runs in cells.items() for seed, run in enumerate(runs)}
    return Results(items, {"profile": profile, "sweep": "study trajectories"})
