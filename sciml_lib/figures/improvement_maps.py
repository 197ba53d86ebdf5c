"""Maps of the relative improvement of one method over another (Fig. 4)."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import ArrayLike, NDArray

from sciml_lib.errors import UserError
from sciml_lib.figures import style
from sciml_lib.regimes import _checks

WRITTEN_CELLS = 60
"""Up to so many cells a map has its values written into it."""

Improvement = tuple[str, ArrayLike, ArrayLike | None]
"""Title, improvement in percent ``[n_coefficient, n_data]``, and how many runs of the method gave up, same shape."""


def improvement_maps(
    maps: Sequence[Sequence[Improvement]],
    coefficient: ArrayLike,
    n_data: ArrayLike,
    *,
    coefficient_label: str,
    data_label: str,
    title: str,
    limit: float | None = None,
    missing: str = "no pair of runs to compare",
) -> style.BookFigure:
    """Draws maps of (base - method) / base in percent: blue where the method is better, red where it is worse.

    The colours are symmetric around zero. Cells in which runs of the method gave up carry a cross and their
    number; they keep their colour, since the paper leaves no run out (the text below Eq. 23). Maps of at most
    60 cells have their values written into them.

    Args:
        maps: rows of equally many (title, values, failed): the improvement in percent, ``[n_coefficient,
            n_data]``, NaN where there is nothing to compare, ``-inf`` where a run diverged to infinity; and
            the number of runs that gave up, same shape, or None.
        coefficient: the coefficients, increasing.
        n_data: the amounts of data, increasing.
        coefficient_label: text of the horizontal axis.
        data_label: text of the vertical axis.
        title: title of the figure.
        limit: end of every colour scale in percent; by default each map's own 95th percentile of the finite
            absolute values, as its colour bar says. An improvement ends at 100 % and a deterioration nowhere,
            so ``limit=100`` shows more where a few cells are far worse.
        missing: what a hatched cell means, for the legend.

    Raises:
        UserError: the rows have different lengths, a shape does not match the axes, an axis does not increase,
            or the limit is not positive.
    """
    if not maps or not maps[0] or len({len(row) for row in maps}) > 1:
        raise UserError(f"give rows of equally many maps, got rows of {', '.join(str(len(row)) for row in maps) or 'none'}")
    if limit is not None and not (np.isfinite(limit) and limit > 0):
        raise UserError(f"limit must be a positive number of percent such as 100, got {limit!r}")
    coefficient, n_data = _checks.increasing("coefficient", coefficient), _checks.increasing("n_data", n_data)
    shape = coefficient.size, n_data.size
    rows = [[(name, _map(name, values, shape), _map(name, failed, shape)) for name, values, failed in row] for row in maps]
    with style.paper():
        # More than two beside each other would be too small to read.
        rows = [row[k : k + 2] for row in rows for k in range(0, len(row), 2)]
        n_rows, n_columns = len(rows), len(rows[0])
        panel = 3.6 * max(0.5, min(1.15, shape[1] / shape[0]))
        figure = style.new_figure(0.4 + 5.4 * n_columns, 1.2 + (0.45 + panel) * n_rows)
        grid = figure.subplots(n_rows, n_columns, squeeze=False)
        places = [grid[i, k] for i, row in enumerate(rows) for k in range(len(row))]
        for axes in set(grid.ravel()).difference(places):
            axes.set_visible(False)
        for axes, (name, values, failed) in zip(places, (one for row in rows for one in row), strict=True):
            mesh = _draw(axes, values, limit)
            _write(axes, mesh, values, failed)
            style.category_axes(axes, coefficient, n_data, coefficient_label, data_label)
            axes.set_aspect("auto")  # a wide map leaves its numbers the height of the panel
            axes.set_title(name, loc="left")
        for axes in grid[:-1].ravel():
            axes.set_xlabel("")
        for axes in grid[:, 1:].ravel():
            axes.set_ylabel("")
        figure.suptitle(title)
        figure.legend(handles=_handles(rows, missing), loc="outside lower center", ncols=4, columnspacing=1.6)
    return figure


def _map(name: str, values: ArrayLike | None, shape: tuple[int, int]) -> NDArray:
    if values is None:
        return np.zeros(shape)
    values = np.asarray(values, dtype=float)
    if values.shape != shape:
        raise UserError(f"the map {name!r} has shape {values.shape} but coefficient and n_data have {shape}")
    return values


def _draw(axes: Axes, values: NDArray, limit: float | None) -> QuadMesh:
    end = f"±{limit:g}" if limit is not None else "the\n95th percentile of |Δ|"
    if limit is None:
        finite = np.abs(values[np.isfinite(values)])
        limit = (float(np.percentile(finite, 95)) if finite.size else 0.0) or 100.0
    colours = matplotlib.colormaps["RdBu"]
    mesh = style.cells(axes, values, norm=Normalize(-limit, limit), cmap=colours, rim="white")
    style.colour_bar(axes, mesh).set_label(f"Δ in %, clipped at {end}", fontsize=9)
    return mesh


def _write(axes: Axes, mesh: QuadMesh, values: NDArray, failed: NDArray) -> None:
    """Writes values and numbers of runs that gave up into the cells, light on dark and dark on light."""
    written = np.isfinite(values) & (values.size <= WRITTEN_CELLS)
    longest = max((len(_percent(value)) for value in values[written]), default=1)
    size = float(np.clip(360.0 / (values.shape[0] * longest), 5.5, 9.0))  # a map is 3.6 inches wide, a digit 0.6 of its height
    for (i, j), value in np.ndenumerate(values):
        colour = "#20242a" if np.isnan(value) else style.ink(mesh.cmap(mesh.norm(value)))
        if written[i, j]:
            y = j + 0.12 * (failed[i, j] > 0)
            axes.text(i, y, _percent(value), ha="center", va="center", color=colour, fontsize=size, gid="value")
        if failed[i, j] > 0:
            text = f"\u2715{failed[i, j]:g}"
            axes.text(i, j - 0.31, text, ha="center", va="center", color=colour, fontsize=7, weight="bold", gid="failed")


def _percent(value: float) -> str:
    """Two to three digits: a sign, and a power of ten beyond a thousand."""
    if abs(value) >= 999.5:
        digit, power = f"{value:+.0e}".split("e")
        text = f"{digit}e{int(power)}"
    else:
        text = f"{value:+.{0 if abs(value) >= 9.95 else 1}f}"
    return "0" if float(text) == 0 else text.replace("-", "\u2212")


def _handles(rows: Sequence[Sequence[tuple[str, NDArray, NDArray]]], missing: str) -> list[Patch | Line2D]:
    colours = matplotlib.colormaps["RdBu"]
    every = [(values, failed) for row in rows for _, values, failed in row]
    handles: list[Patch | Line2D] = [
        Patch(facecolor=colours(0.85), label="the method is better"),
        Patch(facecolor=colours(0.15), label="the method is worse"),
    ]
    if any((failed > 0).any() for _, failed in every):
        cross = {"marker": "x", "markersize": 5, "markeredgewidth": 1.8, "color": "#20242a", "linestyle": "none"}
        handles.append(Line2D([], [], label="number of its runs that gave up", **cross))
    if any(np.isnan(values).any() for values, _ in every):
        handles.append(style.missing_handle(missing))
    return handles
