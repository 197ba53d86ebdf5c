"""Boundaries of several strategies on one plot, with their bands: whether a shift is larger than the noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike, NDArray

from sciml_lib.errors import UserError, unknown
from sciml_lib.figures import style
from sciml_lib.regimes import Bootstrap, Thresholds, _checks, to_coefficient
from sciml_lib.regimes.bootstrap import crossings

KINDS = {"train": "Training boundary", "test": "Test boundary"}

_ARROWS = {-np.inf: "<", np.inf: ">"}


@dataclass(frozen=True)
class Border:
    """Where the rows of one map cross their two thresholds, with the ends of their intervals if known.

    Positions are indices on the map's own coefficients, as in `Bootstrap.rows`; the first axis is the
    training and the test boundary. ``-inf``: above from the first coefficient on; ``inf``: no crossing inside
    the map; NaN: cells are missing where it would be.

    Attributes:
        name: the strategy, for the legend.
        coefficient: the coefficients of the map, increasing, ``[n_coefficient]``.
        n_data: its amounts of data, increasing, ``[n_data]``.
        crossing: of the seed means, ``[2, n_data]``.
        lower: lower ends of the intervals, same shape, or None where there is one seed.
        upper: upper ends, same shape, or None.
    """

    name: str
    coefficient: ArrayLike
    n_data: ArrayLike
    crossing: ArrayLike
    lower: ArrayLike | None = None
    upper: ArrayLike | None = None

    @classmethod
    def of_band(cls, name: str, band: Bootstrap, coefficient: ArrayLike, n_data: ArrayLike) -> Border:
        """Reads crossings and intervals from resampled seeds.

        Args:
            name: the strategy, for the legend.
            band: from `sciml_lib.regimes.bootstrap`.
            coefficient: the coefficients of its maps.
            n_data: the amounts of data of its maps.
        """
        rows = band.rows.sel(boundary=list(KINDS)).transpose("boundary", "n_data")
        return cls(name, coefficient, n_data, *(rows[part].values for part in ("crossing", "lower", "upper")))

    @classmethod
    def of_means(
        cls,
        name: str,
        train_mean: ArrayLike,
        test_mean: ArrayLike,
        thresholds: Thresholds,
        coefficient: ArrayLike,
        n_data: ArrayLike,
    ) -> Border:
        """Finds the crossings of a pair of maps of which nothing can be resampled, such as those of one seed.

        Args:
            name: the strategy, for the legend.
            train_mean: training loss, ``[n_coefficient, n_data]``.
            test_mean: test error, same shape.
            thresholds: where low ends.
            coefficient: the coefficients of the maps.
            n_data: the amounts of data of the maps.

        Raises:
            UserError: the shapes differ, or there are fewer than 2 x 2 cells.
        """
        maps = (values[None] for values in _checks.panel(train_mean, test_mean))
        return cls(name, coefficient, n_data, np.concatenate(crossings(*maps, thresholds)))


def boundary_overlay(
    borders: Sequence[Border],
    *,
    kind: Literal["train", "test", "both"] = "both",
    coefficient_label: str,
    data_label: str,
    title: str,
) -> style.BookFigure:
    """Draws where each strategy's rows cross a threshold, row by row, with the interval of the resampled seeds.

    The axes are categorical over all coefficients and all amounts of data that occur; places between two
    coefficients of a strategy's own map are linear in the coefficient. Within a row the strategies stand
    below each other in the order given. A row that is above from the start, or does not cross inside the
    map, is an arrowhead at the edge of the strategy's *own* map, which may be narrower than the plot; an
    interval with an open end runs to that edge. A test boundary that would lie beyond the training boundary
    is not one, and counts as no crossing. Rows whose crossing is not known (cells are missing) are left empty.

    Args:
        borders: one for each strategy, at most seven.
        kind: the training boundary, the test boundary, or both beside each other.
        coefficient_label: text of the horizontal axis.
        data_label: text of the vertical axis.
        title: title of the figure.

    Raises:
        UserError: there is no border or more than seven, two have the same name, ``kind`` is unknown, an axis
            does not increase, the numbers of rows differ, or only one end of the intervals is given.
    """
    if kind not in (*KINDS, "both"):
        raise unknown("kind", kind, (*KINDS, "both"))
    if not 1 <= len(borders) <= len(style.STRATEGIES):
        raise UserError(f"1 to {len(style.STRATEGIES)} strategies can be told apart on one plot, got {len(borders)}")
    if len({border.name for border in borders}) < len(borders):
        raise UserError(f"each strategy needs its own name, got {', '.join(border.name for border in borders)}")
    kinds = tuple(KINDS) if kind == "both" else (kind,)
    parts = [_checked(border) for border in borders]
    grid = [np.unique(np.concatenate([part[axis] for part in parts])) for axis in ("coefficient", "n_data")]
    with style.paper():
        width, height = (11.2, 6.8)[len(kinds) == 1], 1.7 + grid[1].size * max(0.34, 0.08 + 0.135 * len(borders))
        figure = style.new_figure(width, height)
        panels = figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
        for axes, which in zip(panels, kinds, strict=True):
            style.category_axes(axes, *grid, coefficient_label, data_label)
            axes.set_xlim(-0.62, grid[0].size - 0.38)
            axes.set_ylim(-0.5, grid[1].size - 0.5)
            for row in range(0, grid[1].size, 2):
                axes.axhspan(row - 0.5, row + 0.5, facecolor="#f1f3f5", edgecolor="none", zorder=0, gid="row")
            axes.grid(axis="x", color="#d5d9dd", linewidth=0.6)
            for slot, part in enumerate(parts):
                dodge = 0.8 * (0.5 - (slot + 0.5) / len(parts))
                _strategy(axes, part, list(KINDS).index(which), *grid, dodge, *style.STRATEGIES[slot])
            axes.set_title(KINDS[which], loc="left")
        for axes in panels[1:]:
            axes.set_ylabel("")
        figure.suptitle(title)
        figure.legend(
            handles=[*_strategies(borders, parts, kinds), *_marks(parts, kinds)],
            loc="outside lower center",
            ncols=4 if len(kinds) == 2 else 2,
            columnspacing=1.6,
        )
    return figure


def _checked(border: Border) -> dict[str, NDArray]:
    """The arrays of a border, with ends equal to the crossing where there are none."""
    n_data = _checks.increasing("n_data", border.n_data)
    part = {"coefficient": _checks.increasing("coefficient", border.coefficient), "n_data": n_data}
    if (border.lower is None) != (border.upper is None):
        raise UserError(f"{border.name} has one end of its intervals only: give lower and upper, or neither")
    part["crossing"] = np.asarray(border.crossing, dtype=float)
    for end in ("lower", "upper"):
        given = getattr(border, end)
        part[end] = part["crossing"] if given is None else np.asarray(given, dtype=float)
    for name in ("crossing", "lower", "upper"):
        if part[name].shape != (len(KINDS), n_data.size):
            raise UserError(
                f"{name} of {border.name} has shape {part[name].shape}, "
                f"expected (2, {n_data.size}): the training and the test boundary at each amount of data"
            )
    return part


def _strategy(
    axes: Axes,
    part: dict[str, NDArray],
    which: int,
    coefficient: NDArray,
    n_data: NDArray,
    dodge: float,
    colour: str,
    marker: str,
) -> None:
    own = _places(part["coefficient"], coefficient)
    left, right = own[0] - 0.5, own[-1] + 0.5
    look = {"color": colour, "markersize": 6.5, "markeredgecolor": "white", "markeredgewidth": 0.5, "linestyle": "none"}
    rows = np.searchsorted(n_data, part["n_data"]) + dodge
    ends = (part[name][which] for name in ("crossing", "lower", "upper"))
    for row, crossing, *interval in zip(rows, *ends, strict=True):
        if np.isnan(crossing):
            continue
        values = to_coefficient([crossing, *interval], part["coefficient"])
        centre, lower, upper = np.clip(_places(values, coefficient), left, right)
        if upper > lower:
            axes.plot([lower, upper], [row, row], color=colour, linewidth=1.6, solid_capstyle="butt", zorder=3, gid="interval")
        for end, place in zip(interval, (lower, upper), strict=True):
            if np.isfinite(end) and upper > lower:
                axes.plot([place], [row], marker="|", color=colour, markersize=5.5, markeredgewidth=1.4, zorder=3, gid="end")
            elif end != crossing:
                open_end = {**look, "markeredgecolor": colour, "markerfacecolor": "white", "markeredgewidth": 1.2}
                axes.plot([place], [row], marker=_ARROWS[end], zorder=3.5, clip_on=False, gid="open end", **open_end)
        if np.isfinite(crossing):
            axes.plot([centre], [row], marker=marker, zorder=4, gid="crossing", **look)
        else:
            axes.plot([centre], [row], marker=_ARROWS[crossing], zorder=4, clip_on=False, gid="outside", **look)


def _places(values: NDArray, axis: NDArray) -> NDArray:
    """Positions on a categorical axis, linear between its values; infinite ones stay what they are."""
    values = np.asarray(values, dtype=float)
    return np.where(np.isfinite(values), np.interp(values, axis, np.arange(axis.size)), values)


def _strategies(borders: Sequence[Border], parts: Sequence[dict[str, NDArray]], kinds: Sequence[str]) -> list[Line2D]:
    handles = []
    shown = [list(KINDS).index(kind) for kind in kinds]
    for border, part, (colour, marker) in zip(borders, parts, style.STRATEGIES, strict=False):
        notes = [" (one seed)"] if border.lower is None else []
        if np.isnan(part["crossing"][shown]).all():
            notes = [" (cells missing)"]
        handles.append(
            Line2D([], [], color=colour, marker=marker, markersize=6, linewidth=1.6, label="".join([border.name, *notes]))
        )
    return handles


def _marks(parts: Sequence[dict[str, NDArray]], kinds: Sequence[str]) -> list[Line2D]:
    """Entries for the interval and for those arrowheads that occur."""
    shown = [list(KINDS).index(kind) for kind in kinds]
    crossing, lower, upper = (
        np.concatenate([part[k][shown].ravel() for part in parts]) for k in ("crossing", "lower", "upper")
    )
    grey = {"color": "#70777f", "markersize": 6}
    handles = []
    if (upper > lower).any():
        handles.append(Line2D([], [], label="90 % of resampled seeds", marker="|", linewidth=1.6, **grey))
    words = {-np.inf: "above from the first coefficient on", np.inf: "no crossing inside the map"}
    for value, text in words.items():
        if (crossing == value).any():
            handles.append(Line2D([], [], label=text, linestyle="none", marker=_ARROWS[value], **grey))
    if ((np.isinf(lower) | np.isinf(upper)) & np.isfinite(crossing) | np.isfinite(lower) & np.isinf(crossing)).any():
        handles.append(
            Line2D(
                [], [], label="interval reaches beyond the map", linestyle="none", marker=">", markerfacecolor="white", **grey
            )
        )
    return handles
