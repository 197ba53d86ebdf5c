"""Regime maps: the pair of maps with its boundaries, and the same beside the published one."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from sciml_lib.errors import UserError
from sciml_lib.figures import style
from sciml_lib.regimes import REGIMES, Bootstrap, Boundary, Regime, Thresholds, _checks, label

PANEL_TITLES = ("Training loss", "Test error")


def regime_map(
    train_mean: ArrayLike,
    test_mean: ArrayLike,
    coefficient: ArrayLike,
    n_data: ArrayLike,
    thresholds: Thresholds,
    boundaries: Sequence[Boundary],
    *,
    coefficient_label: str,
    data_label: str,
    title: str,
    band: Bootstrap | None = None,
    missing: str = "not computed",
    seeds: tuple[ArrayLike, int] | None = None,
) -> style.BookFigure:
    """Draws a pair of maps, training loss and test error, in the paper's look, from the raw cells.

    Args:
        train_mean: seed mean of the training loss, ``[n_coefficient, n_data]``; NaN cells are hatched.
        test_mean: seed mean of the test error, same shape.
        coefficient: the coefficients, increasing, ``[n_coefficient]``.
        n_data: the amounts of data, increasing, ``[n_data]``.
        thresholds: for the Roman numerals and the marks on the colour bars; the legend tells where they are from, unless
            they stand in Table 5 of the paper.
        boundaries: curves from `sciml_lib.regimes.extract`; the same ones lie over both panels.
        coefficient_label: text of the horizontal axis.
        data_label: text of the vertical axis.
        title: title of the figure.
        band: if given, the part of the map in which the resampled boundaries lie is veiled in white.
        missing: what a hatched cell means, for the legend.
        seeds: how many seeds each cell has, ``[n_coefficient, n_data]``, and how many it should have; a cell with fewer says
            so, as in ``2/3``.

    Raises:
        UserError: shapes do not match, an axis does not increase, or there are fewer than 2 x 2 cells.
    """
    train, test = _checks.panel(train_mean, test_mean)
    coefficient = _checks.increasing("coefficient", coefficient, train.shape[0])
    n_data = _checks.increasing("n_data", n_data, train.shape[1])
    with style.paper():
        figure = style.new_figure(11.2, 1.65 + 3.85 * max(0.45, min(1.15, train.shape[1] / train.shape[0])))
        panels = figure.subplots(1, 2)
        draw_pair(panels, train, test, thresholds, boundaries, band=band)
        for axes, name in zip(panels, PANEL_TITLES, strict=True):
            style.category_axes(axes, coefficient, n_data, coefficient_label, data_label)
            axes.set_title(name, loc="left")
            if seeds is not None:
                _count_seeds(axes, *seeds)
        figure.suptitle(title)
        handles = handles_of(boundaries)
        if band is not None:
            handles.append(Patch(facecolor="white", edgecolor="#20242a", linewidth=0.8, label="5-95 % of resampled seeds"))
        if np.isnan(train).any() or np.isnan(test).any():
            handles.append(style.missing_handle(missing))
        map_legend(figure, handles, {"": thresholds}, 5)
    return figure


def side_by_side(
    train_mean: ArrayLike,
    test_mean: ArrayLike,
    coefficient: ArrayLike,
    n_data: ArrayLike,
    published: xr.Dataset,
    thresholds: Thresholds,
    boundaries: Sequence[Boundary],
    published_boundaries: Sequence[Boundary] = (),
    *,
    coefficient_label: str,
    data_label: str,
    title: str,
) -> style.BookFigure:
    """Draws our maps above the published ones, on the published grid, in the same colours and scale.

    Cells of the published grid that are missing in ours are hatched, and so are published nodes that lie
    under a line. Our boundaries are drawn only if our grid is part of the published one (they live in index
    coordinates).

    Args:
        train_mean: our seed mean of the training loss, ``[n_coefficient, n_data]``.
        test_mean: our seed mean of the test error, same shape.
        coefficient: our coefficients.
        n_data: our amounts of data.
        published: the published pair, from `sciml_lib.regimes.published.fig1`; a part of it, as in
            ``published.sel(n_data=slice(None, 2000))``, leaves the other rows out.
        thresholds: for the numerals and the marks on the colour bars; the same for both.
        boundaries: our curves.
        published_boundaries: curves extracted from the published values in the same way.
        coefficient_label: text of the horizontal axis.
        data_label: text of the vertical axis.
        title: title of the figure.

    Raises:
        UserError: shapes do not match, an axis does not increase, or the grids have nothing in common.
    """
    train, test = _checks.panel(train_mean, test_mean)
    coords = {
        "coefficient": _checks.increasing("coefficient", coefficient, train.shape[0]),
        "n_data": _checks.increasing("n_data", n_data, train.shape[1]),
    }
    position = {axis: _positions(values, published[axis].values, axis) for axis, values in coords.items()}
    ours = [np.full(published["train_loss"].shape, np.nan) for _ in range(2)]
    inside = [where >= 0 for where in position.values()]
    for target, source in zip(ours, (train, test), strict=True):
        target[np.ix_(*(where[keep] for where, keep in zip(position.values(), inside, strict=True)))] = source[np.ix_(*inside)]
    moved = [_moved(boundary, *position.values()) for boundary in boundaries] if all(map(np.all, inside)) else []
    theirs = [published[name].transpose("coefficient", "n_data").values for name in ("train_loss", "test_error")]
    ranges = [published[name].attrs.get("colour_range") for name in ("train_loss", "test_error")]
    ranges = [given or style.colour_range(values) for given, values in zip(ranges, theirs, strict=True)]
    with style.paper():
        n_x, n_y = theirs[0].shape
        figure = style.new_figure(11.2, 1.95 + 8.0 * max(0.45, min(1.1, n_y / n_x)))
        grid = figure.subplots(2, 2)
        draw_pair(grid[0], *ours, thresholds, moved, ranges=ranges)
        draw_pair(grid[1], *theirs, thresholds, published_boundaries, ranges=ranges)
        for row, origin in zip(grid, ("ours", "published"), strict=True):
            for axes, name in zip(row, PANEL_TITLES, strict=True):
                style.category_axes(axes, published["coefficient"], published["n_data"], coefficient_label, data_label)
                axes.set_title(f"{name}, {origin}", loc="left")
        figure.suptitle(title)
        handles = handles_of([*moved, *published_boundaries])
        if any(np.isnan(values).any() for values in ours):
            handles.append(style.missing_handle("not computed (ours)"))
        if any(np.isnan(values).any() for values in theirs):
            handles.append(style.missing_handle("under a line of the figure (published)"))
        map_legend(figure, handles, {"": thresholds}, 5)
    return figure


def draw_pair(
    panels: Sequence[Axes],
    train: NDArray,
    test: NDArray,
    thresholds: Thresholds,
    boundaries: Sequence[Boundary],
    *,
    ranges: Sequence[tuple[float, float]] | None = None,
    band: Bootstrap | None = None,
    small: bool = False,
) -> None:
    """Draws the map of the training loss and that of the test error, each with its own colour bar.

    Args:
        panels: two axes, for the training loss and the test error.
        train: seed mean of the training loss, ``[n_coefficient, n_data]``.
        test: seed mean of the test error, same shape.
        thresholds: for the numerals and the marks on the colour bars.
        boundaries: curves that lie over both maps.
        ranges: ends of the two colour scales; by default from the values (Eq. 22).
        band: resampled boundaries, veiled in white.
        small: smaller numerals, fewer numbers and thinner curves, for panels of half the usual width.
    """
    numeral, width, ticks = (14, 1.2, 5) if small else (17, 1.6, 6)
    labels = label(train, test, thresholds)
    ranges = ranges or [style.colour_range(train), style.colour_range(test)]
    levels = (thresholds.train, thresholds.test)
    for axes, values, limits, level in zip(panels, (train, test), ranges, levels, strict=True):
        mesh = style.cells(axes, values, norm=Normalize(*limits), cmap=style.map_colours())
        if band is not None:
            for field in (band.train_field, band.test_field):
                _veil(axes, band, field)
        draw_boundaries(axes, boundaries, width=width)
        draw_numerals(axes, labels, numeral)
        style.colour_bar(axes, mesh, level, ticks)


def draw_boundaries(axes: Axes, boundaries: Sequence[Boundary], *, width: float = 1.6, colour: Any = None) -> None:
    """Draws curves over a map, solid for training, dashed for test, from edge to edge.

    Args:
        axes: axes whose limits are those of the map.
        boundaries: the curves.
        width: line width in points.
        colour: one colour for all; otherwise by perturbation.
    """
    shape = round(axes.get_xlim()[1] + 0.5), round(axes.get_ylim()[1] + 0.5)
    factors = {boundary.factor for boundary in boundaries}
    for boundary in sorted(boundaries, key=lambda b: (b.kind != "train", b.factor)):
        drawn = colour or style.factor_colour(boundary.factor, factors)
        for line in boundary.lines:
            x, y = _to_edge(line, shape).T
            axes.plot(
                x,
                y,
                color=drawn,
                linewidth=width,
                linestyle=style.LINESTYLES[boundary.kind],
                zorder=3,
                dash_capstyle="butt",
                path_effects=style.casing(drawn[:3] if colour is None else (0, 0, 0), width),
                gid=f"{boundary.kind}-{boundary.factor:g}",
            )


def handles_of(boundaries: Sequence[Boundary]) -> list[Line2D | Patch]:
    """Legend entries of curves over a map, and of the mark on its colour bar."""
    factors = sorted({boundary.factor for boundary in boundaries})
    kinds = {boundary.kind for boundary in boundaries if boundary.lines}
    words = {"train": "training boundary", "test": "test boundary"}
    handles: list[Line2D | Patch] = [
        Line2D([], [], color="#40464d", linewidth=1.9, linestyle=style.LINESTYLES[kind], label=words[kind])
        for kind in words
        if kind in kinds
    ]
    for factor in factors if kinds else []:
        colour = style.factor_colour(factor, factors)
        handles.append(
            Line2D(
                [],
                [],
                color=colour,
                linewidth=2.6,
                label=f"threshold \u00d7 {factor:g}",
                path_effects=style.casing(colour, 2.6),
            )
        )
    handles.append(Line2D([], [], label="threshold on the colour bar", **style.THRESHOLD))
    return handles


def map_legend(figure: Figure, handles: list[Any], thresholds: Mapping[str, Thresholds], ncols: int) -> None:
    """Adds the legend below maps; thresholds that are not the paper's are told with their origin.

    Args:
        figure: the figure.
        handles: entries of the legend.
        thresholds: those of all maps of the figure, by the letter of the map.
        ncols: entries beside each other.
    """
    own = {one.sentence: [] for one in thresholds.values() if not one.published}
    for name, one in thresholds.items():
        own.get(one.sentence, []).append(name)
    sentences = [f"{', '.join(names)} {text}" if len(names) < len(thresholds) else text for text, names in own.items()]
    width = int(11 * figure.get_figwidth())  # letters that fit into a line
    title = "\n".join(textwrap.fill(sentence, width) for sentence in sentences) or None
    place = {"loc": "outside lower center", "ncols": ncols, "columnspacing": 1.6, "handlelength": 2.6}
    figure.legend(handles=handles, title=title, title_fontsize=9.5, **place)


def numeral_places(labels: ArrayLike) -> dict[Regime, tuple[float, float]]:
    """Returns where a regime's numeral goes: the centroid of its largest connected region.

    Where the centroid is not well inside the region (a bent region), it is the innermost cell nearest to the
    centroid.

    Args:
        labels: integers 0 to 3, ``[n_coefficient, n_data]``.

    Returns:
        Index coordinates (coefficient, n_data) of every label that occurs.
    """
    labels = np.asarray(labels)
    places = {}
    for regime in REGIMES:
        regions, count = ndimage.label(labels == regime)
        if count == 0:
            continue
        sizes = ndimage.sum_labels(np.ones(labels.shape), regions, range(1, count + 1))
        region = regions == 1 + int(np.argmax(sizes))
        centroid = np.argwhere(region).mean(axis=0)
        depth = ndimage.distance_transform_cdt(np.pad(region, 1), metric="chessboard")[1:-1, 1:-1]
        inner = np.argwhere(depth == depth.max())
        nearest = inner[np.argmin(((inner - centroid) ** 2).sum(axis=1))]
        corners = {(int(f(centroid[0])), int(g(centroid[1]))) for f in (np.floor, np.ceil) for g in (np.floor, np.ceil)}
        well_inside = all(depth[corner] >= min(2, depth.max()) for corner in corners)
        places[regime] = tuple(float(v) for v in (centroid if well_inside else nearest))
    return places


def draw_numerals(axes: Axes, labels: ArrayLike, size: float = 17) -> None:
    """Writes I, II, III into their regions: serif, white with a black rim, as the paper does."""
    for regime, (x, y) in numeral_places(labels).items():
        axes.text(
            x,
            y,
            regime.numeral,
            ha="center",
            va="center",
            family="DejaVu Serif",
            fontsize=size,
            color="white",
            zorder=5,
            path_effects=[withStroke(linewidth=2.6, foreground="black")],
            gid="numeral",
        )


def _count_seeds(axes: Axes, present: ArrayLike, wanted: int) -> None:
    """Writes into cells with fewer seeds than they should have how many there are."""
    for x, column in enumerate(np.asarray(present)):
        for y, n in enumerate(column):
            if 0 < n < wanted:
                rim = [withStroke(linewidth=1.6, foreground="black")]
                axes.text(
                    x, y, f"{n}/{wanted}", ha="center", va="center", fontsize=6.5, color="white", path_effects=rim, zorder=4
                )


def _veil(axes: Axes, band: Bootstrap, field: NDArray) -> None:
    values = np.ma.masked_invalid(field).T
    axes.contourf(band.x, band.y, values, levels=[0.05, 0.95], colors=["white"], alpha=0.5, zorder=2)
    axes.contour(band.x, band.y, values, levels=[0.05, 0.95], colors=["#20242a"], linewidths=0.7, zorder=2)


def _positions(ours: NDArray, published: NDArray, axis: str) -> NDArray:
    """Index of each of our values on the published axis, -1 where it has none."""
    same = np.isclose(ours[:, None], published[None, :].astype(float), rtol=1e-6, atol=0)
    if not same.any():
        raise UserError(f"our grid and the published one share no {axis}: compare panels of the same system")
    return np.where(same.any(axis=1), same.argmax(axis=1), -1)


def _moved(boundary: Boundary, to_x: NDArray, to_y: NDArray) -> Boundary:
    """The same curve in the index coordinates of another grid that contains ours."""
    lines = tuple(
        np.column_stack(
            [
                np.interp(line[:, 0], np.arange(to_x.size), to_x),
                np.interp(line[:, 1], np.arange(to_y.size), to_y),
            ]
        )
        for line in boundary.lines
    )
    return Boundary(boundary.kind, boundary.factor, boundary.level, lines)


def _to_edge(line: NDArray, shape: tuple[int, int]) -> NDArray:
    """Adds the half cell between an outermost node and the edge of the map, where the map is constant."""
    if np.allclose(line[0], line[-1]):
        return line
    ends = []
    for end in (line[0], line[-1]):
        outer = end.copy()
        for axis in (0, 1):
            if np.isclose(end[axis], 0):
                outer[axis] = -0.5
            elif np.isclose(end[axis], shape[axis] - 1):
                outer[axis] = shape[axis] - 0.5
        ends.append(outer)
    return np.vstack([ends[0], line, ends[1]])
