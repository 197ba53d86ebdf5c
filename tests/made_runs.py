"""Runs whose truth is known, in the form of stored ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr

from sciml_lib.panels import Panel
from sciml_lib.regimes import published
from sciml_lib.sweeps import catalog

Number = Callable[[float, int, int], float]
"""A number of a run as a function of (coefficient, n_data, seed)."""


def runs(
    sweep: str,
    profile: str,
    train: Number,
    test: Number,
    n_seeds: int | None = None,
    ended: Callable[[float, int, int], str] = lambda c, n, s: "converged_change",
) -> xr.Dataset:
    """A data set as stored runs would give it."""
    plan = catalog.get(sweep).at(profile)
    seeds = plan.seeds[:n_seeds]
    axes = (plan.coefficients, plan.n_data, seeds)
    shape = tuple(map(len, axes))
    values = {name: np.full(shape, np.nan) for name in ("train_loss", "test_error", "seconds", "iterations")}
    status = np.full(shape, "", dtype="<U20")
    for place in np.ndindex(shape):
        c, n, s = (axis[k] for axis, k in zip(axes, place, strict=True))
        if (c, n) in plan.pairs:
            values["train_loss"][place], values["test_error"][place] = train(c, n, s), test(c, n, s)
            values["seconds"][place], values["iterations"][place], status[place] = 60.0, 3000.0, ended(c, n, s)
    dimensions = ("coefficient", "n_data", "seed")
    return xr.Dataset(
        {name: (dimensions, array) for name, array in [*values.items(), ("status", status)]},
        coords=dict(zip(dimensions, map(list, axes), strict=True)),
        attrs={
            "sweep": sweep, "profile": profile, "cells_done": 1, "cells_planned": 1, "seeds": list(seeds), "device": "cpu",
            "versions": "torch 2.13.0", "updated": "2026-11-23", "commit": "0123456789",
        },
    )  # fmt: skip


def measured(
    sweep: str,
    profile: str,
    train: Number,
    test: Number,
    lambda_max: Number,
    n_seeds: int | None = None,
    ended: Callable[[float, int, int], str] = lambda c, n, s: "converged_change",
    **numbers: Number,
) -> Panel:
    """A map with made curvature: power iteration and trace give the largest eigenvalue, if nothing is said."""
    data = runs(sweep, profile, train, test, n_seeds, ended)
    axes = [data[name].values.tolist() for name in ("coefficient", "n_data", "seed")]
    for name, number in ({"lambda_max": lambda_max, "lambda_power": lambda_max, "trace": lambda_max} | numbers).items():
        values = [[[number(c, n, s) for s in axes[2]] for n in axes[1]] for c in axes[0]]
        data[name] = ("coefficient", "n_data", "seed"), np.array(values, dtype=float)
    return Panel(data)


def steep(at: float) -> Number:
    """A training loss that is high from a coefficient on."""
    return lambda c, n, s: 1e-2 if c >= at else 1e-5


def few(c: float, n: int, s: int) -> float:
    """A test error that is high where points are few, and for fast waves."""
    return 1.0 if n < 500 or c >= 25 else 0.01


def pendulum(
    variant: str, train: Number, test: Number = lambda *_: 0.5, family: str = "pinode", n_seeds: int = 1, **numbers
) -> Panel:
    """A map of the pendulum; the parts of its loss are halves and the error of one step is the test error, if nothing is said.

    Args:
        variant: last part of the sweep's name.
        train: training loss of a run.
        test: test error of a run.
        family: first part of the sweep's name.
        n_seeds: how many seeds it has.
        numbers: ``data``, ``residual`` and ``one_step``, numbers of a run; ``ended``, how it ended.
    """
    parts = {
        "loss_data": numbers.pop("data", lambda *cell: train(*cell) / 2),
        "loss_residual": numbers.pop("residual", lambda *cell: train(*cell) / 2),
        "one_step_mse": numbers.pop("one_step", test),
    }
    data = runs(f"{family}/pendulum/{variant}", "paper", train, test, n_seeds, **numbers)
    axes = [data[name].values.tolist() for name in ("coefficient", "n_data", "seed")]
    for name, number in parts.items():
        values = [[[number(c, n, s) for s in axes[2]] for n in axes[1]] for c in axes[0]]
        data[name] = ("coefficient", "n_data", "seed"), np.array(values, dtype=float)
    return Panel(data)


def rising(at: float, low: float = 1e-7, high: float = 2e-6) -> Number:
    """A training loss of the pendulum that is high from a coefficient on, by the thresholds of Adam."""
    return lambda c, n, s: high if c >= at else low


def as_published(model: str, name: str, factor: float = 1.0, hidden: float = 1.0) -> Number:
    """The values of a published map times a factor, and a number of our own where a line hides them."""
    values = published.fig1(model)[name].to_series().to_dict()
    return lambda c, n, s: hidden if np.isnan(values[c, n]) else factor * values[c, n]


def less(panel: Panel) -> list[Panel]:
    """A map of which cells, seeds or the budget are taken away, one after the other; the last one is of the profile smoke."""
    data = panel.runs
    spent = data.assign(status=data["status"].where(data["status"] == "", "budget_spent"))
    cut = [data.isel(n_data=slice(0, None, 2)), data.isel(seed=[0, 1]), data.isel(seed=[0]), spent]
    return [Panel(one) for one in (*cut, data.assign_attrs(profile="smoke"))]
