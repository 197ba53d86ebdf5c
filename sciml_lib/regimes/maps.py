"""From stored runs to a regime map, in one call and without a drawing package."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import xarray as xr

from sciml_lib.errors import UserError
from sciml_lib.regimes.boundaries import Boundary, extract
from sciml_lib.regimes.labels import label, seed_mean
from sciml_lib.regimes.thresholds import Thresholds, for_maps

AXES = ("coefficient", "n_data")


@dataclass(frozen=True)
class RegimeMap:
    """A pair of maps and what follows from it.

    Attributes:
        train: seed mean of the training loss, ``[n_coefficient, n_data]``; NaN where nothing is stored, infinite where a
            run ended without a finite value.
        test: seed mean of the test error, same shape.
        thresholds: where low ends; their origin says by which rule.
    """

    train: xr.DataArray
    test: xr.DataArray
    thresholds: Thresholds

    @cached_property
    def labels(self) -> xr.DataArray:
        """The regime of every cell, integers 0 to 3 (:class:`Regime`), 0 where nothing is stored."""
        return label(self.train, self.test, self.thresholds)

    @cached_property
    def boundaries(self) -> list[Boundary]:
        """Both boundaries at the five perturbations of their thresholds; needs contourpy, which comes with matplotlib."""
        return extract(self.train, self.test, self.thresholds)


def map_of(runs: xr.Dataset, thresholds: Thresholds | None = None) -> RegimeMap:
    """Returns the regime map of some runs.

    Args:
        runs: what :func:`sciml_lib.load` returns.
        thresholds: where low ends; by default the row of Table 5 for this sweep, or, where it has none, thresholds that
            follow from these maps themselves (:func:`sciml_lib.regimes.thresholds.relative`).

    Raises:
        UserError: if ``runs`` or ``thresholds`` is something else, or no threshold follows from the maps.
    """
    needed = ("train_loss", "test_error", "status")
    if not isinstance(runs, xr.Dataset) or any(name not in runs for name in needed):
        raise UserError(f"runs={type(runs).__name__} is not a data set of runs; give what sciml_lib.load returns")
    if thresholds is not None and not isinstance(thresholds, Thresholds):
        raise UserError(f"thresholds={thresholds!r} are not thresholds; write them as Thresholds.of(train=1e-3, test=0.05)")
    train, test = (
        seed_mean(runs[name].transpose(*AXES, "seed"), runs["status"].transpose(*AXES, "seed")) for name in needed[:2]
    )
    return RegimeMap(train, test, thresholds or for_maps(str(runs.attrs.get("sweep", "")), train, test))
