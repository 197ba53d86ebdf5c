"""How much better one method is than another, cell by cell."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sciml_lib.errors import UserError
from sciml_lib.regimes.labels import by_status, seed_mean

_DIMS = ("coefficient", "n_data", "seed")


def improvement(base: Any, method: Any, *, base_status: Any = None, method_status: Any = None) -> xr.Dataset:
    """Returns the relative improvement of a method over a baseline in percent, in the two readings of Fig. 4.

    Eq. 23 is ``(v_base - v_method) / v_base x 100 %``. The paper calls the colour a "raw averaged percentage
    change" and the values "seed-averaged", which leaves open whether the seeds are averaged before the ratio
    is taken or after; both are computed. They differ where the seeds of a cell differ: one bad run of the
    method weighs by its value in the first, by its ratio to its own baseline in the second.

    Only runs that both have are compared, seed by seed. None of them is left out: a run of the method that
    ended without a finite value makes its cell ``-inf`` in both readings.

    Args:
        base: a loss or error of the baseline, ``[n_coefficient, n_data, n_seed]``, not negative; NaN marks a
            run that has not been computed. A ``DataArray`` with the dimensions ``coefficient``, ``n_data``
            and ``seed`` is matched with the other by its coordinates; what only one has is left out.
        method: the same for the method.
        base_status: how each run ended, same shape as ``base``; a run that ended without a finite value counts as
            infinite (:func:`sciml_lib.regimes.by_status`).
        method_status: the same for ``method``.

    Returns:
        A data set with the dimensions ``coefficient`` and ``n_data``: ``ratio_of_means`` and
        ``mean_of_ratios`` in percent, positive where the method is better, NaN where there is no pair of runs
        or the ratio has no value (zero by zero, infinite by infinite); ``failed``, the number of compared runs of the
        method that ended without a finite value; ``runs``, the number of compared runs.

    Raises:
        UserError: shapes or dimensions do not fit, the grids have nothing in common, or a value is negative.
    """
    base, method = _matched(_with_status("base", base, base_status), _with_status("method", method, method_status))
    old, new = base.values, method.values
    for name, values in (("base", old), ("method", new)):
        if (values < 0).any():
            raise UserError(f"{name} has the value {np.nanmin(values):g}: losses and errors are not negative")
    both = ~(np.isnan(old) | np.isnan(new))
    old, new = (np.where(both, values, np.nan) for values in (old, new))
    count = both.sum(axis=-1)
    ratios = np.where(both, _percent(old, new), 0.0)
    cell = {name: base.coords[name] for name in _DIMS[:2] if name in base.coords}
    mean_of_ratios = np.where(count > 0, ratios.sum(axis=-1) / np.maximum(count, 1), np.nan)
    return xr.Dataset(
        {
            "ratio_of_means": (_DIMS[:2], _percent(seed_mean(old), seed_mean(new)), {"units": "%"}),
            "mean_of_ratios": (_DIMS[:2], mean_of_ratios, {"units": "%"}),
            "failed": (_DIMS[:2], np.isinf(new).sum(axis=-1)),
            "runs": (_DIMS[:2], count),
        },
        coords=cell,
    )


def _percent(base: NDArray, method: NDArray) -> NDArray:
    """Eq. 23 in a form that also holds for an infinite baseline, over which any finite value gains 100 %."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return 100.0 * (1.0 - method / base)


def _with_status(name: str, values: Any, status: Any) -> xr.DataArray:
    if isinstance(values, xr.DataArray):
        if set(values.dims) != set(_DIMS):
            raise UserError(f"{name} has the dimensions {values.dims}, expected {_DIMS}")
        values = values.transpose(*_DIMS)
        status = status.transpose(*_DIMS) if isinstance(status, xr.DataArray) else status
        array = values.astype(float)
    else:
        raw = np.asarray(values, dtype=float)
        if raw.ndim != 3:
            raise UserError(f"{name} has shape {raw.shape}, expected the 3 axes {_DIMS}")
        array = xr.DataArray(raw, dims=_DIMS)
    if status is None:
        return array
    status = np.asarray(status)
    if status.shape != array.shape:
        raise UserError(f"{name}_status has shape {status.shape} but {name} has {array.shape}: give one status a run")
    return array.copy(data=by_status(array.values, status))


def _matched(base: xr.DataArray, method: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    for name in _DIMS:
        labelled = [name in values.coords for values in (base, method)]
        if all(labelled):
            continue
        if any(labelled):
            raise UserError(
                f"only one of base and method says which {name} is which: give both with coordinates or both without"
            )
        if base.sizes[name] != method.sizes[name]:
            raise UserError(f"base has shape {base.shape} but method has {method.shape}: give two maps of the same runs")
    base, method = xr.align(base, method, join="inner")
    empty = [name for name in _DIMS if base.sizes[name] == 0]
    if empty:
        raise UserError(f"base and method share no {empty[0]}: compare runs of the same system")
    return base, method
