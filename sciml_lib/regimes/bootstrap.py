"""How much of a boundary is noise: the maps are made again from resampled seeds."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sciml_lib.errors import UserError
from sciml_lib.regimes import _checks
from sciml_lib.regimes.boundaries import finite
from sciml_lib.regimes.labels import REGIMES, Regime
from sciml_lib.regimes.thresholds import Thresholds

REFINE = 12
"""Points of the probability fields per cell and direction."""

_EXACT_SEEDS = 6  # up to here all resamples are enumerated: 462 different ones for six seeds


@dataclasses.dataclass(frozen=True)
class Bootstrap:
    """What resampling the seeds says about a pair of maps.

    Attributes:
        n_seeds: seeds of the maps.
        n_resamples: resamples drawn, or different ones enumerated.
        exact: whether all possible resamples were enumerated with their probabilities.
        train_high: probability that the cell's training loss is above its threshold, ``[n_coefficient,
            n_data]``.
        test_high: the same for the test error.
        label_probability: probability of the labels 1, 2, 3, ``[3, n_coefficient, n_data]``; NaN for missing
            cells.
        x: coefficient indices of the fields below, ``[n_x]``, in steps of 1/12 cell.
        y: n_data indices of the fields below, ``[n_y]``.
        train_field: probability that the linearly interpolated training loss is above its threshold, ``[n_x,
            n_y]``. Its 0.05 and 0.95 contours bound the band in which the training boundary lies.
        test_field: the same for the test error, NaN where the mean training loss is above its threshold
            (Regime II).
        rows: where each row crosses, an ``xarray.Dataset`` with the dimensions ``boundary`` (``train``,
            ``test``) and ``n_data`` (index of the row, or its value if the maps carried it): ``crossing`` of
            the mean maps, ``lower`` and ``upper`` end of its 90 % interval, in coefficient indices. ``-inf``:
            above from the first coefficient on; ``inf``: no crossing inside the map; NaN: cells are missing
            where it would be.
    """

    n_seeds: int
    n_resamples: int
    exact: bool
    train_high: NDArray
    test_high: NDArray
    label_probability: NDArray
    x: NDArray
    y: NDArray
    train_field: NDArray
    test_field: NDArray
    rows: xr.Dataset

    def spread(self, kind: str) -> float:
        """Returns the median width of a boundary's 90 % intervals, in cells, where both ends are in the map.

        Args:
            kind: ``"train"`` or ``"test"``.

        Returns:
            The width, NaN if no row has both ends inside.
        """
        lower, upper = (self.rows[end].sel(boundary=kind).values for end in ("lower", "upper"))
        inside = np.isfinite(lower) & np.isfinite(upper)
        return float(np.median(upper[inside] - lower[inside])) if inside.any() else math.nan


def bootstrap(
    train: Any,
    test: Any,
    thresholds: Thresholds,
    n_resamples: int | None = None,
    generator: np.random.Generator | None = None,
) -> Bootstrap:
    """Resamples the seeds with replacement and returns how often each place of the map lies above.

    The unit that is resampled is the seed: one seed is one draw of initial weights, used in every cell of a
    map, so each resample takes the same seeds in all cells and in both maps. Up to six seeds all resamples
    are enumerated with their exact probabilities, and the result carries no noise of its own.

    With two or three seeds there are only 3 or 10 different resamples: the probabilities are multiples of 1/4
    or 1/27, a band can tell a cell where the seeds disagree from one where they agree, and no more. Five
    seeds have 126.

    Args:
        train: training losses, ``[n_coefficient, n_data, n_seed]``, or a ``DataArray`` with dimensions of
            these names (``coefficient``, ``n_data``, ``seed``); NaN marks a run that has not been computed.
        test: test errors, same shape.
        thresholds: where low ends.
        n_resamples: number of resamples to draw; ``None`` enumerates them up to six seeds and draws 2,000
            beyond.
        generator: source of the draws, needed only if there are any.

    Raises:
        UserError: there is one seed only, the shapes do not fit, or draws are asked for without a generator.
    """
    rows = np.arange(np.shape(train)[1]) if np.ndim(train) == 3 else None
    if isinstance(train, xr.DataArray) and isinstance(test, xr.DataArray):
        train, test = (values.transpose("coefficient", "n_data", "seed") for values in (train, test))
        rows = train["n_data"].values if "n_data" in train.coords else np.arange(train.sizes["n_data"])
    train, test = _checks.panel(train, test, ndim=3)
    n_seeds = train.shape[-1]
    if n_seeds < 2:
        raise UserError("resampling one seed says nothing about noise: run the sweep with at least 2 seeds, better 5")
    exact = n_resamples is None and n_seeds <= _EXACT_SEEDS
    counts, weights = _enumerate(n_seeds) if exact else _draw(n_seeds, n_resamples, generator)

    # One run has one training loss and one test error: if either is missing, so is the run.
    known = ~(np.isnan(train) | np.isnan(test))
    train_means, test_means = (_means(values, known, counts) for values in (train, test))  # [R, n_coefficient, n_data]
    missing = ~known.any(axis=-1)
    train_high, test_high = train_means > thresholds.train, test_means > thresholds.test
    present = ~np.isnan(train_means)

    def probability(event: NDArray) -> NDArray:
        """Weighted share of the resamples that have a mean at all; [R, ...] -> [...]."""
        total = np.tensordot(weights, present, axes=1)
        return np.where(missing, np.nan, np.tensordot(weights, event & present, axes=1) / np.where(missing, 1.0, total))

    probabilities = {
        Regime.I: probability(~train_high & ~test_high),
        Regime.II: probability(train_high),
        Regime.III: probability(~train_high & test_high),
    }
    means = [_means(values, known, np.ones((1, n_seeds), dtype=int)) for values in (train, test)]
    x, to_x = _refinement(train.shape[0])
    y, to_y = _refinement(train.shape[1])
    unknown = to_x @ missing @ to_y.T > 0  # [n_x, n_y]: interpolates from a missing node
    # A resample may leave a cell of an incomplete map without a run; there it takes the mean of what is known.
    fields = []
    for values, mean, level in zip((train_means, test_means), means, (thresholds.train, thresholds.test), strict=True):
        filled = finite(np.where(present, values, mean), level)
        field = sum(w * (to_x @ member @ to_y.T > level) for w, member in zip(weights, filled, strict=True))
        fields.append(np.where(unknown, np.nan, field))
    regime_two = to_x @ finite(means[0][0], thresholds.train) @ to_y.T > thresholds.train
    return Bootstrap(
        n_seeds=n_seeds,
        n_resamples=len(weights),
        exact=exact,
        train_high=probability(train_high),
        test_high=probability(test_high),
        label_probability=np.stack([probabilities[regime] for regime in REGIMES]),
        x=x,
        y=y,
        train_field=fields[0],
        test_field=np.where(regime_two, np.nan, fields[1]),
        rows=_rows(means, (train_means, test_means), weights, thresholds, rows),
    )


def crossings(train: NDArray, test: NDArray, thresholds: Thresholds) -> tuple[NDArray, NDArray]:
    """Returns where each row first rises above each threshold, in coefficient indices.

    Args:
        train: training losses, ``[R, n_coefficient, n_data]``.
        test: test errors, same shape.
        thresholds: where low ends.

    Returns:
        Two arrays ``[R, n_data]`` for the training and the test boundary: ``-inf`` if the row is above from
        the start, ``inf`` if it never rises above, or, for the test boundary, only beyond the training
        boundary, where none is drawn; NaN if a node is missing where the row would cross, or before.
    """
    at_train, at_test = _first_rise(train, thresholds.train), _first_rise(test, thresholds.test)
    return at_train, np.where((at_test > at_train) | np.isneginf(at_train), np.inf, at_test)


def _first_rise(values: NDArray, level: float) -> NDArray:
    field = finite(values, level)
    above = field > level
    first = above.argmax(axis=1)  # [R, n_data]; 0 also where nothing is above
    right = np.maximum(first, 1)[:, None, :]
    high = np.take_along_axis(field, right, axis=1)[:, 0]
    low = np.take_along_axis(field, right - 1, axis=1)[:, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        position = first - 1 + (level - low) / (high - low)
    position = np.where(above[:, 0], -np.inf, np.where(above.any(axis=1), position, np.inf))
    # Missing nodes count as above here, so a rise that is known lies wholly left of the first of them.
    rises_at = np.take_along_axis(values, first[:, None, :], axis=1)[:, 0]
    return np.where(np.isnan(rises_at), np.nan, position)


def _rows(means: list[NDArray], resampled: tuple, weights: NDArray, thresholds: Thresholds, rows: NDArray) -> xr.Dataset:
    centre = crossings(*means, thresholds)
    table = {"crossing": np.stack([position[0] for position in centre])}
    positions = np.stack(crossings(*resampled, thresholds))  # [2, R, n_data]
    for name, level in (("lower", 0.05), ("upper", 0.95)):
        table[name] = np.stack([_quantile(position, weights, level) for position in positions])
    coords = {"boundary": ["train", "test"], "n_data": rows}
    incomplete = np.isnan(table["crossing"])
    variables = {name: (tuple(coords), np.where(incomplete, np.nan, values)) for name, values in table.items()}
    return xr.Dataset(variables, coords=coords)


def _quantile(values: NDArray, weights: NDArray, level: float) -> NDArray:
    """Weighted quantile along the first axis, not interpolated: infinities are ordinary values."""
    result = np.full(values.shape[1], np.nan)
    for column in range(values.shape[1]):
        known = ~np.isnan(values[:, column])
        if known.any():
            order = np.argsort(values[known, column], kind="stable")
            share = np.cumsum(weights[known][order]) / weights[known].sum()
            result[column] = values[known, column][order][np.searchsorted(share, level - 1e-12)]
    return result


def _enumerate(n_seeds: int) -> tuple[NDArray, NDArray]:
    """All multisets of the seeds ``[R, n_seeds]`` (counts) and their probabilities ``[R]``."""
    draws = itertools.combinations_with_replacement(range(n_seeds), n_seeds)
    counts = np.array([np.bincount(draw, minlength=n_seeds) for draw in draws])
    ways = [math.factorial(n_seeds) / math.prod(math.factorial(int(k)) for k in row) for row in counts]
    return counts, np.array(ways) / n_seeds**n_seeds


def _draw(n_seeds: int, n_resamples: int | None, generator: np.random.Generator | None) -> tuple[NDArray, NDArray]:
    n_resamples = 2000 if n_resamples is None else n_resamples
    if n_resamples < 1:
        raise UserError(f"n_resamples must be at least 1, got {n_resamples}")
    if generator is None:
        raise UserError("drawing resamples needs a generator: pass generator=np.random.default_rng(0)")
    counts = generator.multinomial(n_seeds, [1 / n_seeds] * n_seeds, size=n_resamples)
    return counts, np.full(n_resamples, 1 / n_resamples)


def _means(values: NDArray, known: NDArray, counts: NDArray) -> NDArray:
    """Means over the resampled seeds, ``[R, n_coefficient, n_data]``; NaN where none has been run."""
    weight = np.einsum("rs,cns->rcn", counts, known)
    usable = np.where(known & np.isfinite(values), values, 0.0)
    total = np.einsum("rs,cns->rcn", counts.astype(float), usable)
    diverged = np.einsum("rs,cns->rcn", counts, known & np.isinf(values)) > 0
    mean = np.where(weight > 0, total / np.maximum(weight, 1), np.nan)
    return np.where(diverged, np.inf, mean)


def _refinement(n: int) -> tuple[NDArray, NDArray]:
    """Fine index coordinates ``[m]`` and the matrix ``[m, n]`` of linear interpolation to them."""
    fine = np.linspace(0, n - 1, (n - 1) * REFINE + 1)
    return fine, np.maximum(0.0, 1.0 - np.abs(fine[:, None] - np.arange(n)[None, :]))
