"""What networks learned: their solutions over both coordinates, below the true ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciml_lib.errors import UserError
from sciml_lib.figures import style


def solutions(
    learned: Sequence[ArrayLike],
    true: Sequence[ArrayLike],
    x: ArrayLike,
    t: ArrayLike,
    points: Sequence[ArrayLike],
    titles: Sequence[str],
    notes: Sequence[str],
    *,
    axis_labels: tuple[str, str] = ("x", "t"),
    title: str,
) -> style.BookFigure:
    """Draws one column for each network: the true solution, and below it what the network learned, with its points.

    More than three networks go into further pairs of rows.

    Args:
        learned: one array ``[n_t, n_x]`` for each network.
        true: the true solutions, same shapes.
        x: places along the first coordinate, ``[n_x]``.
        t: places along the second, ``[n_t]``.
        points: the collocation points ``[n, 2]`` (x, t) of each network.
        titles: one line above each column.
        notes: one line below each column.
        axis_labels: letters of the two coordinates.
        title: title of the figure.

    Raises:
        UserError: the lists have different lengths, or a solution has not the shape of the grid.
    """
    x, t = np.asarray(x, dtype=float), np.asarray(t, dtype=float)
    if not len(learned) or len({len(part) for part in (learned, true, points, titles, notes)}) != 1:
        raise UserError("give one solution, one true solution, one set of points, one title and one note for each network")
    shape = (t.size, x.size)
    across, upwards = axis_labels
    rows = [[_on_grid(values, shape) for values in part] for part in (true, learned)]
    limit = max(float(np.abs(values).max()) for values in rows[0])
    with style.paper():
        bands, columns = style.rows_of(len(titles), 3)
        figure = style.new_figure(3.4 * columns + 1.0, 0.4 + 5.2 * bands)
        grid = figure.subplots(2 * bands, columns, sharex=True, sharey=True, squeeze=False)
        upper, lower = (list(grid[k::2].ravel()) for k in (0, 1))
        for axes in upper[len(titles) :] + lower[len(titles) :]:
            axes.set_visible(False)
        for row, fields, name in zip((upper, lower), rows, ("true solution", "the network"), strict=True):
            for axes, values in zip(row, fields, strict=False):
                mesh = axes.pcolormesh(x, t, values, cmap="RdBu_r", vmin=-limit, vmax=limit, shading="nearest")
                mesh.set_rasterized(True)
            for axes in row[::columns]:
                axes.set_ylabel(f"{name}\n${upwards}$")
        for axes, text in zip(upper, titles, strict=False):
            axes.set_title(text)
        for axes, where, note in zip(lower, points, notes, strict=False):
            where = np.asarray(where, dtype=float)
            size = float(np.clip(400.0 / len(where), 0.3, 5.0))
            axes.scatter(where[:, 0], where[:, 1], s=size, color="#20242a", alpha=0.55, linewidths=0)
            axes.set_xlabel(f"${across}$\n{note}")
        bar = figure.colorbar(mesh, ax=grid, shrink=0.7, pad=0.015)
        bar.set_label(f"$u({across}, {upwards})$")
        figure.suptitle(title)
    return figure


def _on_grid(values: ArrayLike, shape: tuple[int, int]) -> NDArray:
    field = np.asarray(values, dtype=float)
    if field.shape != shape:
        raise UserError(f"a solution has shape {field.shape} but its grid has {shape}")
    return field
