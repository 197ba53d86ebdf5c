"""Single maps beside each other: any number of a cell, without regimes and borders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import Normalize
from numpy.typing import ArrayLike

from sciml_lib.errors import UserError
from sciml_lib.figures import style
from sciml_lib.regimes import _checks


@dataclass(frozen=True)
class ValueMap:
    """One map.

    Attributes:
        title: what it shows.
        values: ``[n_coefficient, n_data]``; NaN cells are hatched.
        limits: ends of the colour scale; the 5th and 95th percentile of its values if None.
        written: whether each value is written into its cell.
    """

    title: str
    values: ArrayLike
    limits: tuple[float, float] | None = None
    written: bool = False


def value_maps(
    maps: Sequence[ValueMap],
    coefficient: ArrayLike,
    n_data: ArrayLike,
    *,
    coefficient_label: str,
    data_label: str,
    title: str,
) -> style.BookFigure:
    """Draws maps of one grid in a row, each with its own colour bar.

    Args:
        maps: the maps, at most three; those that are to be compared by colour are given the same limits.
        coefficient: the coefficients, increasing, ``[n_coefficient]``.
        n_data: the amounts of data, increasing, ``[n_data]``.
        coefficient_label: text of the horizontal axis.
        data_label: text of the vertical axis.
        title: title of the figure.

    Raises:
        UserError: there is no map or more than three, or one has not the shape of the grid.
    """
    if not 1 <= len(maps) <= 3:
        raise UserError(f"1 to 3 maps fit into a row, got {len(maps)}")
    coefficient, n_data = _checks.increasing("coefficient", coefficient), _checks.increasing("n_data", n_data)
    shape = coefficient.size, n_data.size
    with style.paper():
        width = style.WIDEST / 3 * max(2, len(maps))
        figure = style.new_figure(width, 1.2 + 2.8 * max(0.45, min(1.15, shape[1] / shape[0])))
        panels = figure.subplots(1, len(maps), squeeze=False)[0]
        for axes, one in zip(panels, maps, strict=True):
            values = np.asarray(one.values, dtype=float)
            if values.shape != shape:
                raise UserError(f"the map {one.title!r} has shape {values.shape} but its grid has {shape}")
            colours, norm = style.map_colours(), Normalize(*(one.limits or style.colour_range(values)))
            mesh = style.cells(axes, values, norm=norm, cmap=colours)
            style.category_axes(axes, coefficient, n_data, coefficient_label, data_label, letters=30)
            axes.set_title(one.title, loc="left", fontsize=10.5)
            style.colour_bar(axes, mesh, ticks=5)
            for i, j in np.argwhere(np.isfinite(values)) if one.written else ():
                ink = style.ink(colours(norm(values[i, j])))
                axes.text(i, j, f"{values[i, j]:.2g}", ha="center", va="center", fontsize=7, color=ink, gid="value")
        for axes in panels[1:]:
            axes.set_ylabel("")
        figure.suptitle(title)
    return figure
