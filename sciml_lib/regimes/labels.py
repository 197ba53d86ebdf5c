"""From a pair of maps to the three regimes."""

from __future__ import annotations

import enum
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from sciml_lib.errors import UserError
from sciml_lib.regimes import _checks
from sciml_lib.regimes.thresholds import Thresholds


class Regime(enum.IntEnum):
    """The label of one cell.

    The paper describes Regime II as high training *and* test error. Its figures separate II by the training
    loss alone (in the NODE, PINODE and PINO panels Regime II reaches test errors as low as Regime I), and so
    does this enum.
    """

    MISSING = 0
    I = 1  # noqa: E741  (the paper's names are Roman numerals)
    II = 2
    III = 3

    @property
    def numeral(self) -> str:
        """The Roman numeral, empty for a missing cell."""
        return "" if self is Regime.MISSING else self.name

    @property
    def title(self) -> str:
        """Two words, as a legend shows them."""
        return _TITLES[self]

    @property
    def sentence(self) -> str:
        """What the label means, as a reader sees it."""
        return _SENTENCES[self]


REGIMES = (Regime.I, Regime.II, Regime.III)
"""The three regimes in their order; a missing cell is in none of them."""

_TITLES = {
    Regime.MISSING: "not computed",
    Regime.I: "well trained",
    Regime.II: "under-trained",
    Regime.III: "over-trained",
}
_SENTENCES = {
    Regime.MISSING: "This cell has not been computed.",
    Regime.I: "Training loss and test error are both low: the network has found the solution.",
    Regime.II: "The training loss stays high: training has not solved its own problem, whatever the test error.",
    Regime.III: "The training loss is low, the test error high: the points are fitted, the solution is not found.",
}


def by_status(values: Any, status: Any) -> Any:
    """Returns losses or errors in which NaN means one thing: the run has not been computed.

    A run that has ended, however it did, counts: without a finite value it has an infinite one. A run whose status is
    empty has not been computed, whatever stands in its place.

    Args:
        values: a loss or error, any shape.
        status: how each run ended, same shape; ``""`` (or NaN) where none is stored.

    Returns:
        An array like ``values``; a ``DataArray`` if it is one.

    Raises:
        UserError: the shapes differ.
    """
    if isinstance(values, xr.DataArray) and isinstance(status, xr.DataArray) and set(values.dims) == set(status.dims):
        status = status.transpose(*values.dims)
    raw, ended = np.array(values, dtype=float), np.asarray(status).astype(str)
    if ended.shape != raw.shape:
        raise UserError(f"status has shape {ended.shape} but the values have {raw.shape}: give one status a run")
    computed = ~np.isin(ended, ("", "nan"))
    raw[computed & ~np.isfinite(raw)] = np.inf
    raw[~computed] = np.nan
    return values.copy(data=raw) if isinstance(values, xr.DataArray) else raw


def seed_mean(values: Any, status: Any = None) -> Any:
    """Returns the arithmetic mean over the seeds, the number that the paper's maps show.

    No run is left out: a run that ended without a finite value makes its cell infinite, and so high. The mean is over
    the seeds that have been computed, and a cell without any is NaN.

    Args:
        values: a loss or error, ``[..., n_seed]``, or a ``DataArray`` with a dimension ``seed``; without ``status``,
            NaN means that a run has not been computed.
        status: how each run ended, same shape; see :func:`by_status`.

    Raises:
        UserError: ``status`` has another shape, or there is no seed axis.
    """
    if isinstance(values, xr.DataArray):
        if "seed" not in values.dims:
            raise UserError(f"the array has the dimensions {values.dims}: a seed mean needs one called 'seed'")
        values = values.transpose(..., "seed")
    counted = values if status is None else by_status(values, status)
    raw = np.array(counted, dtype=float)
    if raw.ndim == 0 or raw.shape[-1] == 0:
        raise UserError("a seed mean needs values with the seeds along the last axis and at least one seed")
    known = ~np.isnan(raw)
    count = known.sum(axis=-1)
    total = np.where(known, raw, 0.0).sum(axis=-1)
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    if isinstance(values, xr.DataArray):
        return xr.DataArray(
            mean,
            dims=values.dims[:-1],
            coords={k: v for k, v in values.coords.items() if "seed" not in v.dims and k != "seed"},
            name=values.name,
            attrs=values.attrs,
        )
    return mean


def label(train: Any, test: Any, thresholds: Thresholds) -> Any:
    """Returns the regime of every cell.

    I if both values are at most their thresholds, III if only the training loss is, II if the training loss
    is above its threshold. Infinite values are above every threshold. A cell with a NaN in either map is
    missing.

    Args:
        train: training loss, any shape, usually the seed mean ``[n_coefficient, n_data]``.
        test: test error, same shape.
        thresholds: where low ends.

    Returns:
        Integers 0 to 3 (see `Regime`) of the same shape; a ``DataArray`` if ``train`` is one.

    Raises:
        UserError: the shapes differ.
    """
    if isinstance(train, xr.DataArray) and isinstance(test, xr.DataArray) and set(train.dims) == set(test.dims):
        test = test.transpose(*train.dims)
    train_values, test_values = np.asarray(train, dtype=float), np.asarray(test, dtype=float)
    _checks.same_shape(train_values, test_values)
    regimes = np.where(test_values <= thresholds.test, Regime.I, Regime.III)
    regimes = np.where(train_values <= thresholds.train, regimes, Regime.II)
    regimes = np.where(np.isnan(train_values) | np.isnan(test_values), Regime.MISSING, regimes).astype(int)
    if isinstance(train, xr.DataArray):
        return train.copy(data=regimes).rename("regime")
    return regimes


def shares(labels: ArrayLike) -> dict[Regime, float]:
    """Returns the share of each regime among the cells that are not missing (NaN if there are none).

    Args:
        labels: integers 0 to 3, any shape.
    """
    flat: NDArray = np.asarray(labels).ravel()
    known = flat[flat != Regime.MISSING]
    return {r: float(np.mean(known == r)) if known.size else float("nan") for r in REGIMES}
