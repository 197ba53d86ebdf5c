"""Measures of stored surfaces: how deep, how narrow and how broken they are, and how much of them is a plain bowl."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from sciml_lib.landscape.surface import FLOOR

BARRIER = 0.1
"""Decades of climb (26 per cent) that divide two basins; a shallower minimum is a ripple."""

DECADE = 1.0
"""How far above its lowest point a surface is a valley, and about the level of its rim a plain."""


@dataclass(frozen=True)
class Shape:
    """What is measured on one surface; heights are decimal logarithms of the loss, shares are those of the square's points.

    Attributes:
        centre: height of the trained network.
        below_centre: how far the lowest point lies below it, 0 if it is the lowest itself.
        depth: from the median of the rim down to the centre.
        valley: share of the points within a decade of the lowest one.
        plain: share of the points within a decade of the rim's median, above or below.
        basins: minima with a barrier of at least :data:`BARRIER` about each, those on the rim left out.
        drained: share of the points from which the way downhill, over ripples, ends in the basin of the lowest point.
        bowl: how much of the heights' variance a paraboloid of the same depth explains, see :func:`bowl`.
    """

    centre: float
    below_centre: float
    depth: float
    valley: float
    plain: float
    basins: int
    drained: float
    bowl: float


def height_of(arrays: Mapping[str, NDArray]) -> NDArray:
    """Decimal logarithms of a stored surface, NaN where the loss has none."""
    loss = np.asarray(arrays["loss"], dtype=float) + FLOOR
    return np.log10(loss, out=np.full(loss.shape, np.nan), where=np.isfinite(loss) & (loss > 0))


def measure(arrays: Mapping[str, NDArray]) -> Shape:
    """Measures one surface."""
    height = height_of(arrays)
    n, m = height.shape
    centre = float(height[n // 2, m // 2])
    edge = np.ones(height.shape, dtype=bool)
    edge[1:-1, 1:-1] = False
    rim = float(np.nanmedian(height[edge]))
    lowest = float(np.nanmin(height))
    minima, drained = basins(height)
    return Shape(
        centre=centre,
        below_centre=centre - lowest,
        depth=rim - centre,
        valley=float(np.mean(height <= lowest + DECADE)),
        plain=float(np.mean(np.abs(height - rim) <= DECADE)),
        basins=_inner(minima, height),
        drained=drained,
        bowl=bowl(arrays),
    )


def inner_basins(height: NDArray, barrier: float = BARRIER) -> int:
    """Counts the minima of :func:`basins` that do not lie on the rim, where a slope may go on downhill outside."""
    minima, _ = basins(height, barrier)
    return _inner(minima, height)


def _inner(minima: list[tuple[int, int]], height: NDArray) -> int:
    return sum(0 < i < height.shape[0] - 1 and 0 < j < height.shape[1] - 1 for i, j in minima)


def basins(height: NDArray, barrier: float = BARRIER) -> tuple[list[tuple[int, int]], float]:
    """Finds the minima that a barrier divides from every lower one.

    Points are taken in ascending order and joined with those of their eight neighbours that are there already. Where two
    valleys meet, the one with the higher bottom ends: if that bottom lies by less than the barrier below the pass, it was
    a ripple of the other, else it is a basin of its own. Holes are walls.

    Returns:
        The places of the minima, the lowest first, and the share of all points that drain into the lowest.
    """
    # Lists of plain numbers, and a wall around: every point has eight neighbours, and none needs a look at the edge.
    walled = np.pad(np.asarray(height, dtype=float), 1, constant_values=np.nan)
    width, flat = walled.shape[1], walled.ravel().tolist()
    order = [k for k in np.argsort(walled, axis=None, kind="stable").tolist() if math.isfinite(flat[k])]
    neighbours = [a * width + b for a in (-1, 0, 1) for b in (-1, 0, 1) if a or b]
    root: list[int] = [-1] * len(flat)  # of the connected part a point belongs to: the lowest point of it
    belongs: list[int] = [-1] * len(flat)  # the minimum a point drains into; a ripple's minimum drains into another
    found = set()

    def follow(links: list[int], k: int) -> int:
        path = []
        while links[k] != k:
            path.append(k)
            k = links[k]
        for step in path:
            links[step] = k
        return k

    for k in order:
        around = [k + step for step in neighbours if root[k + step] >= 0]
        if not around:
            root[k] = belongs[k] = k
            found.add(k)
            continue
        belongs[k] = min(around, key=flat.__getitem__)
        roots = sorted({follow(root, place) for place in around}, key=lambda place: (flat[place], place))
        for other in roots[1:]:
            if flat[k] - flat[other] < barrier:
                found.discard(other)
                belongs[other] = roots[0]
            root[other] = roots[0]
        root[k] = roots[0]
    places = sorted(found, key=lambda place: (flat[place], place))
    drained = sum(follow(belongs, k) == places[0] for k in order) / height.size
    return [(place // width - 1, place % width - 1) for place in places], drained


def bowl(arrays: Mapping[str, NDArray]) -> float:
    """How much of the variance of the heights a plain paraboloid explains.

    Its bottom is the loss at the centre, and its three curvatures are fitted to the heights. On a logarithmic scale a narrow
    funnel in a flat plain is such a bowl, too.

    Returns:
        1 if the surface is such a bowl, 0 or less if a level plane is no worse.
    """
    height = height_of(arrays)
    bottom = 10.0 ** height[tuple(side // 2 for side in height.shape)]
    a, b = np.meshgrid(np.asarray(arrays["alpha"], float), np.asarray(arrays["beta"], float), indexing="ij")
    known = np.isfinite(height)
    a, b, target = a[known] / np.abs(a).max(), b[known] / np.abs(b).max(), height[known]

    def misfit(p: NDArray) -> NDArray:
        along, across = np.exp(p[0]) * a + p[2] * b, np.exp(p[1]) * b
        return np.log10(bottom + along**2 + across**2) - target

    start = 0.5 * np.log(10.0 ** np.median(target))
    fit = optimize.least_squares(misfit, (start, start, 0.0))
    return float(1.0 - np.sum(fit.fun**2) / np.sum((target - target.mean()) ** 2))
