"""What changes between two sweeps, on the runs that both have."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from sciml_lib.analysis.maps import counts_of, seed_labels
from sciml_lib.errors import UserError
from sciml_lib.panels import Panel
from sciml_lib.regimes import Regime, published

FEWEST = 10
"""Cohen's kappa of fewer cells than these says nothing."""


@dataclass(frozen=True)
class Effect:
    """One sweep beside another, by the thresholds of the first.

    Attributes:
        cells: cells of which both have runs of the same seeds.
        runs: these runs, of either sweep.
        seeds: the seeds among them.
        test_ratio: test error of the other over that of the first, seed means, in the median cell.
        train_ratio: the same of the training loss; NaN if the two losses have other units.
        changed: cells whose regime differs; None if the losses have other units.
        runs_changed: runs whose own regime differs; None if the losses have other units.
        regimes: numbers of cells in I, II and III, of the first and of the other; None if the losses have other units.
        legible: cells among them whose published regime can be read, if the first sweep is that of a published map; else 0.
        kappa: agreement of both with the published map on these cells, NaN if they are fewer than :data:`FEWEST`.
    """

    cells: int
    runs: int
    seeds: int
    test_ratio: float
    train_ratio: float
    changed: int | None = None
    runs_changed: int | None = None
    regimes: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    legible: int = 0
    kappa: tuple[float, float] = (np.nan, np.nan)

    @property
    def share(self) -> float:
        """Share of the cells whose regime differs; NaN if the losses have other units."""
        return np.nan if self.changed is None else self.changed / self.cells


def compare(base: Panel, other: Panel) -> Effect:
    """Compares two sweeps on the cells and seeds that both have.

    Means are over the same seeds on both sides, so that a sweep with more of them has no advantage.

    Args:
        base: the first; its thresholds judge both.
        other: the other.

    Returns:
        What changes from the first to the other.

    Raises:
        UserError: if the two have no run in common, or are of two equations.
    """
    if base.system.recipe != other.system.recipe:
        names = f"{base.system.name} and {other.system.name}"
        raise UserError(f"{base.sweep} and {other.sweep} are maps of {names}; compare maps of one equation")
    base, other = _paired(base, other)
    known = (base.labels != Regime.MISSING).values
    found = {
        "cells": int(known.sum()),
        "runs": int((base.runs["status"] != "").sum()),
        "seeds": int((base.runs["status"] != "").any(("coefficient", "n_data")).sum()),
        "test_ratio": _ratio(other.test, base.test),
    }
    if not _same_units(base, other):
        return Effect(**found, train_ratio=np.nan)
    single = [seed_labels(panel) for panel in (base, other)]
    legible, kappa = _kappas(base, other)
    return Effect(
        **found,
        train_ratio=_ratio(other.train, base.train),
        changed=int((base.labels != other.labels).sum()),
        runs_changed=int((single[0] != single[1]).sum()),
        regimes=(counts_of(base.labels), counts_of(other.labels)),
        legible=legible,
        kappa=kappa,
    )


def _paired(base: Panel, other: Panel) -> tuple[Panel, Panel]:
    """Both panels without the runs that only one of them has, judged by the thresholds of the first."""
    thresholds = base.thresholds
    axes = {name: np.intersect1d(base.runs[name], other.runs[name]) for name in ("coefficient", "n_data", "seed")}
    parts = [panel.runs.sel(axes).transpose(*axes, ...) for panel in (base, other)]
    both = (parts[0]["status"] != "") & (parts[1]["status"] != "")
    if not both.any():
        raise UserError(
            f"{base.sweep} and {other.sweep} have no run in common; compare sweeps that share coefficients, n_data and seeds"
        )
    masked = [_masked(part, both) for part in parts]
    first, second = (replace(p, runs=r, own_thresholds=thresholds) for p, r in zip((base, other), masked, strict=True))
    return first, second


def _masked(runs: xr.Dataset, keep: xr.DataArray) -> xr.Dataset:
    """Runs that are not kept look as if none were stored."""
    numbers = runs.drop_vars("status").where(keep)
    return numbers.assign(status=runs["status"].where(keep, "")).assign_attrs(runs.attrs)


def _ratio(above: xr.DataArray, below: xr.DataArray) -> float:
    """Median ratio over the cells where both are finite; NaN if there are none."""
    ratio = (above / below).values
    finite = np.isfinite(above.values) & np.isfinite(below.values) & np.isfinite(ratio)
    return float(np.median(ratio[finite])) if finite.any() else np.nan


def _same_units(base: Panel, other: Panel) -> bool:
    """Whether the two training losses are of one kind: the same network and terms, wherever the points are."""
    kinds = [{k: v for k, v in panel.plan.sweep.setup.recipe.items() if k != "collocation"} for panel in (base, other)]
    return kinds[0] == kinds[1]


def _kappas(base: Panel, other: Panel) -> tuple[int, tuple[float, float]]:
    """Agreement of both with the published map, if the first is the sweep that was published."""
    try:
        theirs = published.of_sweep(base.sweep)
    except UserError:
        return 0, (np.nan, np.nan)
    if theirs.attrs["sweep"] != base.sweep:
        return 0, (np.nan, np.nan)
    found = [panel.agreement for panel in (base, other)]
    n = found[0].n
    return n, tuple(one.kappa for one in found) if n >= FEWEST else (np.nan, np.nan)
