"""The checks every function on maps shares: shapes, sizes and axes, each refusal one sentence."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciml_lib.errors import UserError


def panel(train: ArrayLike, test: ArrayLike, *, ndim: int = 2) -> tuple[NDArray, NDArray]:
    """Returns both maps as float arrays after checking that they are one panel.

    Args:
        train: training loss, ``[n_coefficient, n_data]``, or with the seeds last if ``ndim`` is 3.
        test: test error, same shape.
        ndim: number of axes the maps must have.

    Raises:
        UserError: the shapes differ, the number of axes is wrong, or there are fewer than 2 x 2 cells.
    """
    train, test = np.asarray(train, dtype=float), np.asarray(test, dtype=float)
    same_shape(train, test)
    if train.ndim != ndim:
        axes = "(coefficient, n_data)" if ndim == 2 else "(coefficient, n_data, seed)"
        raise UserError(f"the maps have shape {train.shape}, expected the {ndim} axes {axes}")
    if min(train.shape[:2]) < 2:
        raise UserError(
            f"a map of {train.shape[0]} x {train.shape[1]} cells has no boundary: "
            "give at least 2 coefficients and 2 amounts of data"
        )
    return train, test


def same_shape(train: NDArray, test: NDArray) -> None:
    """Refuses a training map and a test map of different shapes.

    Raises:
        UserError: the shapes differ.
    """
    if train.shape != test.shape:
        raise UserError(f"train has shape {train.shape} but test has {test.shape}: give two maps of the same cells")


def increasing(name: str, values: ArrayLike, length: int | None = None) -> NDArray:
    """Returns an axis of a map as floats after checking that it increases and has the right length.

    Args:
        name: the argument's name as the caller typed it.
        values: the axis, one-dimensional.
        length: number of entries it must have; ``None`` for any.

    Raises:
        UserError: the axis is not one-dimensional, does not strictly increase, or has another length.
    """
    axis = np.asarray(values, dtype=float)
    if axis.ndim != 1 or not np.all(np.isfinite(axis)) or np.any(np.diff(axis) <= 0):
        raise UserError(f"{name} must be a list of strictly increasing numbers, got {np.array2string(axis, threshold=8)}")
    if length is not None and axis.size != length:
        raise UserError(f"{name} has {axis.size} values but the map has {length} cells along it")
    return axis
