"""Several pairs of regime maps in one figure, in the reading order of Figs. 2, 3, 8 and 9."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sciml_lib.errors import UserError
from sciml_lib.figures import style
from sciml_lib.figures.regime_map import PANEL_TITLES, draw_pair, handles_of, map_legend
from sciml_lib.regimes import Boundary, Thresholds, _checks


@dataclass(frozen=True)
class MapPair:
    """One column of a `map_grid`: a pair of maps on its own grid.

    Attributes:
        name: the system or strategy, as the title of the column.
        train_mean: seed mean of the training loss, ``[n_coefficient, n_data]``; NaN cells are hatched.
        test_mean: seed mean of the test error, same shape.
        coefficient: the coefficients, increasing, ``[n_coefficient]``.
        n_data: the amounts of data, increasing, ``[n_data]``.
        thresholds: for the Roman numerals and the marks on the colour bars.
        boundaries: curves from `sciml_lib.regimes.extract`.
        coefficient_label: text of the horizontal axis.
        data_label: text of the vertical axis.
    """

    name: str
    train_mean: ArrayLike
    test_mean: ArrayLike
    coefficient: ArrayLike
    n_data: ArrayLike
    thresholds: Thresholds
    boundaries: Sequence[Boundary]
    coefficient_label: str
    data_label: str


def map_grid(pairs: Sequence[MapPair], *, title: str, columns: int = 3, missing: str = "not computed") -> style.BookFigure:
    """Draws pairs of maps beside each other: the training losses in one row, the test errors in the row below.

    Each panel has its own colour scale, from the 5th to the 95th percentile of its cells (Eq. 22). More pairs
    than fit beside each other go into further pairs of rows of about equal length, as in Fig. 3. Pairs need
    not share a grid: all panels are equally large, whatever the number of their cells.

    Args:
        pairs: the columns, in reading order; lettered (a), (b), ...
        title: title of the figure.
        columns: pairs beside each other at most.
        missing: what a hatched cell means, for the legend.

    Raises:
        UserError: there is no pair or no column, or the shapes of a pair do not match, one of its axes does
            not increase, or it has fewer than 2 x 2 cells.
    """
    if not pairs or len(pairs) > len(string.ascii_lowercase):
        raise UserError(f"a grid of maps needs 1 to {len(string.ascii_lowercase)} pairs, got {len(pairs)}")
    if columns < 1:
        raise UserError(f"columns must be at least 1, got {columns}")
    maps = [_checks.panel(pair.train_mean, pair.test_mean) for pair in pairs]
    axes_of = [
        (_checks.increasing("coefficient", pair.coefficient, n_x), _checks.increasing("n_data", pair.n_data, n_y))
        for pair, (n_x, n_y) in zip(pairs, (train.shape for train, _ in maps), strict=True)
    ]
    bands, columns = style.rows_of(len(pairs), columns)
    with style.paper():
        figure = style.new_figure(0.8 + (3.45 if columns > 2 else 4.4) * columns, 1.3 + 5.0 * bands)
        grid = figure.subplots(2 * bands, columns, squeeze=False)
        for k, (pair, (train, test), (coefficient, n_data)) in enumerate(zip(pairs, maps, axes_of, strict=True)):
            band, column = divmod(k, columns)
            panels = grid[2 * band : 2 * band + 2, column]
            draw_pair(panels, train, test, pair.thresholds, pair.boundaries, small=True)
            for axes, quantity in zip(panels, PANEL_TITLES, strict=True):
                style.category_axes(axes, coefficient, n_data, pair.coefficient_label, pair.data_label, letters=90 // columns)
                axes.set_aspect("auto")
                axes.set_title(quantity, loc="left", fontsize=10.5)
                if column and pair.data_label == pairs[k - 1].data_label:
                    axes.set_ylabel("")
            panels[0].set_xlabel("")
            panels[0].set_title(f"({string.ascii_lowercase[k]}) {pair.name}\n{PANEL_TITLES[0]}", loc="left", fontsize=10.5)
        for axes in grid[-2:, len(pairs) - columns * (bands - 1) :].ravel():
            axes.set_visible(False)
        figure.suptitle(title)
        handles = handles_of([boundary for pair in pairs for boundary in pair.boundaries])
        if any(np.isnan(values).any() for pair in maps for values in pair):
            handles.append(style.missing_handle(missing))
        letters = (f"({letter})" for letter in string.ascii_lowercase)
        named = {letter: pair.thresholds for letter, pair in zip(letters, pairs, strict=False)}
        map_legend(figure, handles, named, 5 if columns > 2 else 3)
    return figure
