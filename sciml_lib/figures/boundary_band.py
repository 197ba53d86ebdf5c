"""Bands of resampled boundaries: which part of a boundary is noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import ArrayLike

from sciml_lib.figures import style
from sciml_lib.figures.regime_map import draw_boundaries
from sciml_lib.regimes import Bootstrap, Boundary, _checks


def boundary_band(
    band: Bootstrap,
    train_mean: ArrayLike,
    test_mean: ArrayLike,
    coefficient: ArrayLike,
    n_data: ArrayLike,
    boundaries: Sequence[Boundary],
    *,
    coefficient_label: str,
    data_label: str,
    title: str,
) -> style.BookFigure:
    """Draws how sure each cell's side of the two thresholds is, with the band in which each boundary lies.

    Colour: probability that a resample of the seeds puts the cell above the threshold. Dark outline: the 5 % and
    95 % contours of that probability between the cells. Thick curve: the boundary of the seed means. Points with
    bars: where each row first crosses, with the 90 % interval.

    Args:
        band: from `sciml_lib.regimes.bootstrap`.
        train_mean: seed mean of the training loss, ``[n_coefficient, n_data]``.
        test_mean: seed mean of the test error, same shape.
        coefficient: the coefficients.
        n_data: the amounts of data.
        boundaries: curves of the seed means; only those with factor 1 are drawn.
        coefficient_label: text of the horizontal axis.
        data_label: text of the vertical axis.
        title: title of the figure.

    Raises:
        UserError: shapes do not match, an axis does not increase, or there are fewer than 2 x 2 cells.
    """
    train, _ = _checks.panel(train_mean, test_mean)
    _checks.panel(train, band.train_high)
    coefficient = _checks.increasing("coefficient", coefficient, train.shape[0])
    n_data = _checks.increasing("n_data", n_data, train.shape[1])
    words = {"train": "Training loss above its threshold", "test": "Test error above its threshold"}
    with style.paper():
        figure = style.new_figure(11.2, 1.95 + 3.75 * max(0.45, min(1.15, n_data.size / coefficient.size)))
        panels = figure.subplots(1, 2, sharey=True)
        for axes, kind in zip(panels, words, strict=True):
            colour = style.BOUNDARY_COLOURS[kind]
            shades = LinearSegmentedColormap.from_list(kind, ["#fbfaf5", colour], N=256)
            mesh = style.cells(axes, getattr(band, f"{kind}_high"), norm=Normalize(0, 1), cmap=shades, rim="white")
            field = np.ma.masked_invalid(getattr(band, f"{kind}_field")).T
            axes.contourf(band.x, band.y, field, levels=[0.05, 0.95], colors=["#f5c542"], alpha=0.55, zorder=2)
            axes.contour(band.x, band.y, field, levels=[0.05, 0.95], colors=["#20242a"], linewidths=0.9, zorder=2.2)
            draw_boundaries(axes, [b for b in boundaries if b.kind == kind and b.factor == 1], width=2.4, colour="#20242a")
            _intervals(axes, band, kind, coefficient.size)
            style.category_axes(axes, coefficient, n_data, coefficient_label, data_label)
            axes.set_title(words[kind], loc="left")
            bar = axes.figure.colorbar(mesh, cax=axes.inset_axes((1.035, 0.0, 0.042, 1.0)))
            bar.set_label("share of resamples")
            bar.outline.set_linewidth(0.6)
        panels[1].set_ylabel("")
        figure.suptitle(title)
        how = "different resamples, all enumerated" if band.exact else "resamples drawn"
        drawn = f"{band.n_resamples:,} {how}"
        handles: list[Patch | Line2D] = [
            Line2D([], [], color="#20242a", linewidth=2.4, label="boundary of the seed means (dashed: test)"),
            Patch(
                facecolor="#f5c54299",
                edgecolor="#20242a",
                linewidth=0.9,
                label="5-95 % of resampled boundaries",
            ),
            Line2D(
                [],
                [],
                marker="o",
                markersize=4.5,
                markerfacecolor="white",
                color="#c2185b",
                label="first crossing of a row, 90 %",
            ),
        ]
        if np.isnan(band.train_high).any():
            handles.append(style.missing_handle())
        legend_title = f"{band.n_seeds} seeds, {drawn}"
        figure.legend(handles=handles, title=legend_title, loc="outside lower center", ncols=4, columnspacing=1.6)
    return figure


def _intervals(axes: Axes, band: Bootstrap, kind: str, n_coefficient: int) -> None:
    rows = band.rows.sel(boundary=kind)
    left, right = -0.5, n_coefficient - 0.5
    for j, (centre, lower, upper) in enumerate(
        zip(rows["crossing"].values, rows["lower"].values, rows["upper"].values, strict=True)
    ):
        if np.isnan(lower) or lower == upper == np.inf or lower == upper == -np.inf:
            continue
        ends = np.clip([lower, upper], left, right)
        axes.plot(ends, [j, j], color="#c2185b", linewidth=1.3, zorder=4, gid="interval")
        if np.isfinite(centre):
            axes.plot(
                [centre],
                [j],
                marker="o",
                markersize=4.5,
                color="#c2185b",
                markerfacecolor="white",
                zorder=4.5,
                gid="crossing",
            )
