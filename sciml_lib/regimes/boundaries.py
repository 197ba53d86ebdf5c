"""Boundaries between the regimes as curves, in the index coordinates of a map."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciml_lib.errors import UserError
from sciml_lib.regimes import _checks
from sciml_lib.regimes.thresholds import FACTORS, Thresholds

Kind = Literal["train", "test"]


@dataclasses.dataclass(frozen=True)
class Boundary:
    """One boundary at one perturbation of its threshold.

    Attributes:
        kind: ``"train"``, the solid curve that separates Regime II, or ``"test"``, the dashed one between I
            and III.
        factor: perturbation of the threshold, 1 for the nominal one.
        level: value of the map along the curve.
        lines: polylines ``[n_points, 2]`` of (coefficient index, n_data index); empty if the map never
            crosses the level.
    """

    kind: Kind
    factor: float
    level: float
    lines: tuple[NDArray, ...]


def extract(
    train_mean: ArrayLike,
    test_mean: ArrayLike,
    thresholds: Thresholds,
    factors: Sequence[float] = FACTORS,
    *,
    kinds: Sequence[Kind] = ("train", "test"),
) -> list[Boundary]:
    """Returns the boundaries of a panel the way Fig. 1 draws them.

    Both are piecewise linear iso-contours of the node values, which are not smoothed, in index coordinates
    (the axes of a map are categorical). The training boundary is drawn everywhere. The test boundary is drawn
    only where the training loss is at most the training threshold of the same perturbation: beyond it lies
    Regime II, which does not ask for the test error. The nodes beyond are masked and the corners of
    half-masked squares kept, so the curve ends on the diagonal of a cell, as in the figure.

    Earlier versions of the released code also hide the training boundary where the test error is well below
    its threshold. The figure does not: in the PINN panel the solid curves run on at 10,000 points and more,
    right over the nodes of the coefficient 25, with a test error of zero on their left and one near the
    threshold on their right. We follow the figure.

    Args:
        train_mean: seed mean of the training loss, ``[n_coefficient, n_data]``; NaN marks a missing cell,
            around which no boundary is drawn; an infinite value is put far above everything else.
        test_mean: seed mean of the test error, same shape.
        thresholds: the nominal thresholds; the perturbed ones are measured from the floor of these maps
            (`anchored`).
        factors: the perturbations.
        kinds: which of the two boundaries.

    Raises:
        UserError: the shapes differ or there are fewer than 2 x 2 cells, or a factor is not a positive
            number.
    """
    train, test = _checks.panel(train_mean, test_mean)
    anchored = thresholds.anchored(train, test)
    missing = np.isnan(train) | np.isnan(test)
    boundaries = []
    for kind in kinds:
        for factor in factors:
            moved = anchored.perturbed(factor)
            field, level = (train, moved.train) if kind == "train" else (test, moved.test)
            hidden = missing if kind == "train" else missing | (train > moved.train)
            boundaries.append(Boundary(kind, float(factor), level, contour(field, level, hidden)))
    return boundaries


def nominal(boundaries: Sequence[Boundary], kind: Kind) -> Boundary:
    """Returns the boundary of one kind whose factor is 1.

    Raises:
        UserError: there is none.
    """
    for boundary in boundaries:
        if boundary.kind == kind and boundary.factor == 1:
            return boundary
    raise UserError(f"no {kind} boundary among the {len(boundaries)} given has factor 1: extract it with factors=(1.0,)")


def to_coefficient(index: ArrayLike, coefficient: ArrayLike) -> NDArray:
    """Returns the coefficient at a place on the categorical axis, linear between neighbouring values.

    Args:
        index: coefficient indices, any shape; infinite and missing ones stay what they are.
        coefficient: the coefficients of the map, increasing.

    Raises:
        UserError: the coefficients do not increase.
    """
    axis = _checks.increasing("coefficient", coefficient)
    index = np.asarray(index, dtype=float)
    return np.where(np.isfinite(index), np.interp(index, np.arange(axis.size), axis), index)


def contour(field: NDArray, level: float, hidden: NDArray) -> tuple[NDArray, ...]:
    """Returns the iso-contour of a map as polylines in index coordinates.

    Args:
        field: ``[n_coefficient, n_data]``.
        level: value along the contour.
        hidden: nodes to leave out, same shape; a square with one of them keeps its other half.
    """
    import contourpy  # comes with matplotlib, which labels and thresholds do without

    values = np.ma.array(finite(field, level), mask=hidden)
    generator = contourpy.contour_generator(z=values.T, name="serial", corner_mask=True, line_type="Separate")
    return tuple(np.asarray(line) for line in generator.lines(level))


def finite(field: NDArray, level: float) -> NDArray:
    """Returns a copy whose infinite values lie at ten times the largest finite one: above, and drawable."""
    known = field[np.isfinite(field)]
    ceiling = 10 * max(float(known.max(initial=0.0)), level)
    return np.where(np.isposinf(field), ceiling, np.where(np.isnan(field), ceiling, field))
