"""Label maps: our regimes, the published ones, and where they differ."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Polygon, Rectangle
from numpy.typing import NDArray

from sciml_lib.figures import style
from sciml_lib.regimes import REGIMES, Agreement, Regime, _checks

_INK = {1: "#5a4d10", 2: "white", 3: "#3a1c00"}


def label_maps(
    ours: xr.DataArray,
    published: xr.DataArray,
    agreement: Agreement,
    *,
    uncertain: xr.DataArray | None = None,
    coefficient_label: str,
    data_label: str,
    title: str,
) -> style.BookFigure:
    """Draws our labels, the published labels, and where they differ, on the cells common to both grids.

    In the third panel a cell that agrees is pale; one that differs is split, our label above its diagonal,
    the published one below. A dot marks a published label that could be another within the reading accuracy.

    Args:
        ours: our labels 0 to 3 with the coordinates ``coefficient`` and ``n_data``.
        published: published labels; 0 where they cannot be read.
        agreement: the comparison of the two, for the numbers in the third title.
        uncertain: which published labels are uncertain.
        coefficient_label: text of the horizontal axis.
        data_label: text of the vertical axis.
        title: title of the figure.

    Raises:
        UserError: an axis does not increase, or fewer than 2 x 2 cells are common.
    """
    for name in ("coefficient", "n_data"):
        _checks.increasing(name, ours[name].values)
        _checks.increasing(name, published[name].values)
    published = published.reindex_like(ours, method="nearest", tolerance=1e-6, fill_value=-1)
    common = published != -1
    keep = {"coefficient": common.any("n_data").values, "n_data": common.any("coefficient").values}
    mine, theirs = (values.isel(keep).transpose("coefficient", "n_data") for values in (ours, published))
    _checks.panel(mine, theirs)
    doubt = np.zeros(mine.shape, dtype=bool)
    if uncertain is not None:
        doubt = uncertain.reindex_like(mine, method="nearest", tolerance=1e-6).transpose("coefficient", "n_data").values
    with style.paper():
        n_x, n_y = mine.shape
        figure = style.new_figure(style.WIDEST, 1.75 + 3.0 * max(0.45, min(1.2, n_y / n_x)))
        panels = figure.subplots(1, 3, sharey=True)
        for axes, values, name in zip(panels, (mine.values, theirs.values), ("Ours", "Published"), strict=False):
            _labelled(axes, values)
            axes.set_title(name, loc="left")
        _differences(panels[2], mine.values, theirs.values)
        for axes in panels[1:]:
            for i, j in np.argwhere(doubt):
                axes.plot(
                    [i + 0.32],
                    [j + 0.32],
                    marker="o",
                    markersize=3.2,
                    color="#c2185b",
                    zorder=4,
                    gid="uncertain",
                )
        equal = "no comparable cell" if agreement.n == 0 else f"{agreement.share_equal:.0%} of {agreement.n} cells equal"
        panels[2].set_title(f"Differences: {equal}", loc="left")
        for axes in panels:
            style.category_axes(axes, mine["coefficient"], mine["n_data"], coefficient_label, data_label, letters=36)
        for axes in panels[1:]:
            axes.set_ylabel("")
        figure.suptitle(title)
        handles: list[Patch | Line2D] = [
            Patch(facecolor=style.REGIME_COLOURS[r], label=f"{r.numeral}  {r.title}") for r in REGIMES
        ]
        if ((mine.values != theirs.values) & (mine.values > 0) & (theirs.values > 0)).any():
            handles.append(
                Patch(
                    facecolor="none",
                    edgecolor="#20242a",
                    label="differs: ours above, published below the diagonal",
                )
            )
        if doubt.any():
            handles.append(
                Line2D(
                    [],
                    [],
                    marker="o",
                    markersize=4,
                    linestyle="none",
                    color="#c2185b",
                    label="published label uncertain",
                )
            )
        if (mine.values == 0).any() or (theirs.values == 0).any():
            handles.append(style.missing_handle("not computed, or not legible"))
        figure.legend(handles=handles, loc="outside lower center", ncols=4, columnspacing=1.5, handlelength=1.6)
    return figure


def _numeral(axes: Axes, x: float, y: float, value: int, fontsize: float) -> None:
    text = Regime(value).numeral
    axes.text(x, y, text, ha="center", va="center", family="DejaVu Serif", fontsize=fontsize, color=_INK[value], zorder=3)


def _labelled(axes: Axes, labels: NDArray) -> None:
    values = np.where(labels > 0, labels, np.nan).astype(float)
    colours = ListedColormap([style.REGIME_COLOURS[k] for k in (1, 2, 3)])
    style.cells(axes, values, norm=Normalize(0.5, 3.5), cmap=colours, rim="white")
    for (i, j), value in np.ndenumerate(labels):
        if value > 0:
            _numeral(axes, i, j, value, fontsize=8.5)
    # Our own borders between the labels, so that a region is seen without its colour.
    for kind, mask in (("II", labels == Regime.II), ("III", labels == Regime.III)):
        for x, y in _edges(mask):
            axes.plot(
                x,
                y,
                color="#20242a",
                linewidth=1.1,
                solid_capstyle="projecting",
                zorder=3,
                gid=f"edge-{kind}",
            )


def _edges(mask: NDArray) -> list[tuple[list[float], list[float]]]:
    """The sides between a cell inside the mask and a neighbour outside it."""
    sides = []
    for i, j in np.argwhere(mask[1:] != mask[:-1]):
        sides.append(([i + 0.5, i + 0.5], [j - 0.5, j + 0.5]))
    for i, j in np.argwhere(mask[:, 1:] != mask[:, :-1]):
        sides.append(([i - 0.5, i + 0.5], [j + 0.5, j + 0.5]))
    return sides


def _differences(axes: Axes, ours: NDArray, published: NDArray) -> None:
    known = (ours > 0) & (published > 0)
    equal = np.where(known, np.where(ours == published, ours, 0), np.nan).astype(float)
    pale = ["#f4f5f6"] + [_mix(style.REGIME_COLOURS[k]) for k in (1, 2, 3)]
    style.cells(axes, equal, norm=Normalize(-0.5, 3.5), cmap=ListedColormap(pale), rim="white")
    for i, j in np.argwhere(known & (ours != published)):
        upper = [(i - 0.5, j - 0.5), (i - 0.5, j + 0.5), (i + 0.5, j + 0.5)]
        lower = [(i - 0.5, j - 0.5), (i + 0.5, j - 0.5), (i + 0.5, j + 0.5)]
        for corners, value, shift in ((upper, ours[i, j], -0.2), (lower, published[i, j], 0.2)):
            axes.add_patch(Polygon(corners, facecolor=style.REGIME_COLOURS[value], edgecolor="none", zorder=2))
            _numeral(axes, i + shift, j - shift, value, fontsize=7.5)
        axes.add_patch(
            Rectangle(
                (i - 0.5, j - 0.5),
                1,
                1,
                facecolor="none",
                edgecolor="#20242a",
                linewidth=1.3,
                zorder=3,
                gid="differs",
            )
        )


def _mix(colour: str, share: float = 0.28) -> tuple[float, ...]:
    rgb = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    return tuple((1 - share * (1 - rgb)).tolist())
