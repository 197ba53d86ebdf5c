"""The published maps of Fig. 1, digitised, and the labels that can be read from them."""

from __future__ import annotations

import csv
import functools
import math
from collections.abc import Sequence
from importlib import resources

import numpy as np
import xarray as xr

from sciml_lib.errors import unknown
from sciml_lib.regimes.boundaries import Boundary, contour, extract
from sciml_lib.regimes.labels import Regime
from sciml_lib.regimes.thresholds import FACTORS, Thresholds

ACCURACY = 0.05
"""Accuracy of a digitised value as a fraction of its panel's colour range."""

_PANELS = {
    "PINN": ("pinn/convection/lbfgs", "(a)", "beta", "collocation points"),
    "FNO": ("fno/advection-diffusion/adam", "(b)", "advection-diffusion ratio a", "number of samples"),
    "PINO": ("pino/darcy/lbfgs", "(c)", "contrast ratio r", "number of samples"),
    "NODE": ("node/pendulum/adam", "(d)", "1/b", "number of samples"),
    # Named L-BFGS in the text, but drawn with the range and the contours of the Adam row of Table 5.
    "PINODE": ("pinode/pendulum/adam", "(e)", "1/b", "number of samples"),
}
_MAPS = {"train_loss": "train", "test_error": "test"}


def _rows(name: str) -> list[list[str]]:
    text = resources.files("sciml_lib.regimes").joinpath(f"data/{name}").read_text(encoding="utf-8")
    return list(csv.reader(text.splitlines()))[1:]


@functools.cache
def _colour_ranges() -> dict[tuple[str, str], tuple[float, float]]:
    return {(row[0], row[1]): (float(row[2]), float(row[4])) for row in _rows("fig1_colourbars_and_levels.csv")}


def fig1(model: str) -> xr.Dataset:
    """Returns one pair of maps of Fig. 1 as digitised by this project (about +-5 % of the colour range).

    Args:
        model: ``"PINN"``, ``"FNO"``, ``"PINO"``, ``"NODE"`` or ``"PINODE"``.

    Returns:
        Dimensions ``coefficient`` and ``n_data``; variables ``train_loss`` and ``test_error`` (NaN where
        hidden) and for each of them the masks ``<variable>_low`` (true value at most this),
        ``<variable>_high`` (at least this) and ``<variable>_hidden`` (under a line). The attributes name the
        panel; each map carries its ``colour_range`` (5th and 95th percentile as drawn) and ``accuracy``
        (half-width of a value's interval, in its own units).

    Raises:
        UserError: the figure has no panel of that model.
    """
    if model not in _PANELS:
        raise unknown("model of Fig. 1", model, _PANELS)
    rows = _rows(f"fig1_{model.lower()}_digitised_grid.csv")
    coefficient = sorted({float(row[1]) for row in rows})
    # Ticks of the NODE are horizons over dt; the states that a horizon holds are that many, rounded up.
    ticks = sorted({float(row[2]) for row in rows})
    n_data = [math.ceil(tick) for tick in ticks]
    shape = (len(coefficient), len(n_data))
    dataset = xr.Dataset(coords={"coefficient": coefficient, "n_data": n_data})
    for column, (variable, short) in zip((3, 5), _MAPS.items(), strict=True):
        values = np.full(shape, np.nan)
        marks = np.full(shape, "hidden_by_line", dtype=object)
        for row in rows:
            cell = coefficient.index(float(row[1])), ticks.index(float(row[2]))
            values[cell] = float(row[column]) if row[column] else np.nan
            marks[cell] = row[column + 1]
        low, high = _colour_ranges()[model, short]
        dataset[variable] = ("coefficient", "n_data"), values
        dataset[variable].attrs = {"colour_range": (low, high), "accuracy": ACCURACY * (high - low)}
        for suffix, mark in (("low", "<=p5"), ("high", ">=p95"), ("hidden", "hidden_by_line")):
            dataset[f"{variable}_{suffix}"] = ("coefficient", "n_data"), marks == mark
    sweep, letter, coefficient_name, data_name = _PANELS[model]
    dataset.attrs = {
        "model": model,
        "sweep": sweep,
        "coefficient_name": coefficient_name,
        "data_name": data_name,
        "source": f"Fig. 1{letter} of arXiv 2605.29153, digitised from the image by this project",
    }
    return dataset


def of_sweep(sweep_id: str) -> xr.Dataset:
    """Returns the pair of maps of Fig. 1 that shows the model and the system of a sweep, whatever its strategy.

    Raises:
        UserError: the figure shows no such pair.
    """
    known = {sweep.rsplit("/", 1)[0]: model for model, (sweep, *_) in _PANELS.items()}
    panel = str(sweep_id).rsplit("/", 1)[0]
    if panel not in known:
        raise unknown("panel of Fig. 1", panel, known)
    return fig1(known[panel])


def labels(published: xr.Dataset, thresholds: Thresholds) -> xr.Dataset:
    """Returns the regimes that a published map shows, and how far each can be trusted.

    Every value stands for an interval: +-5 % of the colour range around it, open downwards at the lowest
    colour and upwards at the highest. A clipped value decides only if the end that is known lies on the right
    side: at most ``p5`` is low if ``p5 <= T``, at least ``p95`` is high if ``p95 > T``.

    Args:
        published: a pair of maps from `fig1`.
        thresholds: where low ends; the same as for the map it is compared with.

    Returns:
        ``label`` (0 where it cannot be decided), ``legible`` (it can) and ``uncertain`` (legible, but another
        label lies within the accuracy of the digitisation), each with the dimensions ``coefficient`` and
        ``n_data``.
    """
    axes = ("coefficient", "n_data")
    plain = {name: values.transpose(*axes).values for name, values in published.data_vars.items()}
    outcome = {}
    for variable, short in _MAPS.items():
        value, level, accuracy = plain[variable], getattr(thresholds, short), published[variable].attrs["accuracy"]
        low, high = plain[f"{variable}_low"], plain[f"{variable}_high"]
        decided = ~plain[f"{variable}_hidden"] & ~(low & (value > level)) & ~(high & (value <= level))
        surely_low = (value + accuracy <= level) & ~high
        surely_high = (value - accuracy > level) & ~low
        outcome[short] = decided, value > level, decided & ~surely_low & ~surely_high
    (train_decided, train_high, train_doubt), (test_decided, test_high, test_doubt) = (
        outcome["train"],
        outcome["test"],
    )
    # A high training loss settles the label whatever the test error is.
    legible = train_decided & (train_high | test_decided)
    label = np.where(train_high, int(Regime.II), np.where(test_high, int(Regime.III), int(Regime.I)))
    return xr.Dataset(
        {
            "label": (axes, np.where(legible, label, int(Regime.MISSING))),
            "legible": (axes, legible),
            "uncertain": (axes, legible & (train_doubt | (~train_high & test_doubt))),
        },
        coords={axis: published[axis] for axis in axes},
        attrs={"source": published.attrs.get("source", ""), "thresholds": thresholds.origin},
    )


def interval(published: xr.Dataset, name: str, coefficient: float, n_data: float) -> tuple[float, float] | None:
    """Returns the interval in which a published value lies, or None if the figure does not show the cell.

    A value at the low end of the colour bar is open downwards to zero, one at the high end upwards.
    """
    on_grid = np.isclose(published.coefficient, coefficient).any() and np.isclose(published.n_data, n_data).any()
    if not on_grid:
        return None
    cell = published.sel(coefficient=coefficient, n_data=n_data, method="nearest")
    if bool(cell[f"{name}_hidden"]):
        return None
    value, accuracy = float(cell[name]), published[name].attrs["accuracy"]
    low = 0.0 if bool(cell[f"{name}_low"]) else max(0.0, value - accuracy)
    return low, np.inf if bool(cell[f"{name}_high"]) else value + accuracy


def boundaries(published: xr.Dataset, thresholds: Thresholds, factors: Sequence[float] = FACTORS) -> list[Boundary]:
    """Returns the boundaries of a published map, extracted from its digitised values like our own.

    Where a hidden node lies between a low and a high training loss of the same row, the solid curves must
    pass between the two, and it is they that hide the node: the curves are led through it. Other hidden nodes
    count as missing.

    Args:
        published: a pair of maps from `fig1`.
        thresholds: the nominal thresholds.
        factors: their perturbations.
    """
    train, test = (published[name].transpose("coefficient", "n_data").values for name in _MAPS)
    anchored = thresholds.anchored(train, test)
    curves = []
    for factor in factors:
        level = anchored.perturbed(factor).train
        crossed = np.zeros(train.shape, dtype=bool)
        for axis in (0, 1):
            padded = np.pad(train, [(1, 1) if a == axis else (0, 0) for a in (0, 1)], constant_values=np.nan)
            before, after = np.delete(padded, [-2, -1], axis), np.delete(padded, [0, 1], axis)
            crossed |= (np.minimum(before, after) <= level) & (np.maximum(before, after) > level)
        crossed &= np.isnan(train)
        lines = contour(np.where(crossed, level, train), level, np.isnan(train) & ~crossed)
        curves.append(Boundary("train", float(factor), level, lines))
    return curves + extract(train, test, thresholds, factors, kinds=("test",))
