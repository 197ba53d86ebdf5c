"""Single runs of a few cells, one point a seed: where a mean hides two kinds of outcome."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, NullFormatter

from sciml_lib.errors import UserError
from sciml_lib.figures import style
from sciml_lib.regimes.published import interval

_POINT, _MEAN, _PUBLISHED = "#2b6f8f", "#20242a", "#c2185b"


def seed_strip(
    runs: pd.DataFrame,
    *,
    x: str,
    value: str,
    x_label: str,
    value_label: str,
    title: str,
    coefficient_name: str,
    data_name: str,
    published: xr.Dataset | None = None,
    threshold: float | None = None,
    columns: int = 4,
    logarithmic: bool = True,
) -> style.BookFigure:
    """Draws every run of a few cells: a panel a cell, a point a seed, a bar at the mean, the published band.

    The vertical axis is logarithmic unless told otherwise. A published value is drawn with its reading accuracy (+-5 % of the
    colour range), open downwards where the figure shows its lowest colour and upwards where it shows its
    highest.

    Args:
        runs: one row a run, with the columns ``coefficient``, ``n_data``, ``seed``, and those named by ``x``
            and ``value``. Infinite values are drawn at the top edge as triangles; rows whose value is NaN are
            left out.
        x: column of the horizontal axis, taken as categories in increasing order.
        value: column of the vertical axis; also the variable of ``published``.
        x_label: text of the horizontal axis.
        value_label: text of the vertical axis.
        title: title of the figure.
        coefficient_name: symbol of the coefficient, for the panel titles.
        data_name: symbol of the amount of data, for the panel titles.
        published: a pair of maps from `sciml_lib.regimes.published.fig1`.
        threshold: drawn as a dotted line.
        columns: panels beside each other at most.
        logarithmic: whether the vertical axis is.

    Raises:
        UserError: a column is missing, there is no run, or a finite value is not positive.
    """
    needed = ["coefficient", "n_data", "seed", x, value]
    absent = [name for name in needed if name not in runs.columns]
    if absent:
        raise UserError(f"runs lacks the column {absent[0]!r}: it needs {', '.join(needed)}")
    runs = runs.dropna(subset=[value]).reset_index(drop=True)
    if runs.empty:
        raise UserError(f"runs has no row with a {value}: run the sweep first")
    if (runs[value] <= 0).any():
        raise UserError(f"{value} must be positive to be drawn on a logarithmic axis, got {runs[value].min():g}")
    order = sorted(runs[x].unique())
    groups = list(runs.groupby(["n_data", "coefficient"], sort=True))
    rows, columns = style.rows_of(len(groups), columns)
    limits = _limits(runs[value].to_numpy(dtype=float), threshold, 2.2 if logarithmic else 1.1)
    with style.paper():
        figure = style.new_figure(1.0 + 2.55 * columns, 1.35 + 2.5 * rows)
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for axes, ((n_data, coefficient), cell) in zip(panels, groups, strict=False):
            axes.set_yscale("log" if logarithmic else "linear")
            axes.set_ylim(limits)
            _cell(axes, cell, x, value, order)
            if threshold is not None:
                axes.axhline(threshold, color="#70777f", linewidth=1.0, linestyle=":", zorder=1)
            if published is not None:
                _published(axes, published, value, coefficient, n_data)
            axes.set_title(f"{coefficient_name} = {coefficient:g}, {data_name} = {n_data:,.10g}", fontsize=10.5)
            axes.set_xlim(-0.6, len(order) - 0.4)
            axes.set_xticks(range(len(order)), [f"{v:,.10g}" if np.isreal(v) else str(v) for v in order])
            if logarithmic:
                axes.yaxis.set_major_locator(LogLocator(numticks=8))
                axes.yaxis.set_minor_formatter(NullFormatter())
            axes.spines[["top", "right"]].set_visible(False)
            axes.set(xlabel="", ylabel="")
        for axes in panels[len(groups) :]:
            axes.set_visible(False)
        for axes in panels[max(0, len(groups) - columns) : len(groups)]:  # the lowest panel of each column
            axes.tick_params(labelbottom=True)
            axes.set_xlabel(x_label, visible=True)
        for axes in panels[: len(groups) : columns]:
            axes.set_ylabel(value_label)
        figure.suptitle(title)
        handles: list[Line2D | Patch] = [
            Line2D([], [], marker="o", linestyle="none", color=_POINT, alpha=0.8, label="one seed"),
            Line2D([], [], color=_MEAN, linewidth=2.4, label="mean over the seeds"),
        ]
        if np.isinf(runs[value]).any():
            handles.insert(1, Line2D([], [], marker="^", linestyle="none", color=_POINT, label="no finite value"))
        if published is not None:
            handles.append(Patch(facecolor=_PUBLISHED, alpha=0.22, label="published value, \u00b1 reading accuracy"))
        if threshold is not None:
            handles.append(Line2D([], [], color="#70777f", linestyle=":", label="threshold"))
        figure.legend(handles=handles, loc="outside lower center", ncols=5, columnspacing=1.6)
    return figure


def _limits(values: np.ndarray, threshold: float | None, factor: float) -> tuple[float, float]:
    finite = [*values[np.isfinite(values)], *([threshold] if threshold else [])] or [1.0]
    return float(min(finite)) / factor, float(max(finite)) * factor


def _offsets(values: pd.Series, near: float = 0.09, step: float = 0.12) -> pd.Series:
    """Moves points of one column apart that would overlap (within ``near`` decades), by a rule and not by chance.

    The first point of a heap stays in the middle, the next ones go right and left of it in turn.
    """
    logarithms = np.log10(values.sort_values(kind="stable"))
    taken: list[tuple[float, int]] = []
    offsets = {}
    for row, height in logarithms.items():
        used = {slot for level, slot in taken if height - level < near}
        slot = next(k for k in range(len(logarithms)) if k not in used)
        taken.append((height, slot))
        offsets[row] = step * ((slot + 1) // 2) * (1 if slot % 2 else -1)
    return pd.Series(offsets).reindex(values.index)


def _cell(axes: Axes, cell: pd.DataFrame, x: str, value: str, order: list) -> None:
    finite = cell[np.isfinite(cell[value])]
    places = pd.concat(
        [group.assign(place=order.index(level) + _offsets(group[value])) for level, group in finite.groupby(x)]
        or [finite.assign(place=[])]
    )
    sns.scatterplot(
        data=places,
        x="place",
        y=value,
        ax=axes,
        s=34,
        color=_POINT,
        alpha=0.8,
        linewidth=0.5,
        edgecolor="white",
        zorder=3,
        legend=False,
    )
    for place, level in enumerate(order):
        values = cell.loc[cell[x] == level, value].to_numpy(dtype=float)
        lost = int(np.isinf(values).sum())
        if lost:
            offsets = place + 0.14 * (np.arange(lost) - (lost - 1) / 2)
            axes.plot(
                offsets,
                [0.97] * lost,
                transform=axes.get_xaxis_transform(),
                marker="^",
                linestyle="none",
                color=_POINT,
                markersize=6,
                gid="diverged",
            )
        if values.size and np.isfinite(values.mean()):
            axes.plot(
                [place - 0.3, place + 0.3],
                [values.mean()] * 2,
                color=_MEAN,
                linewidth=2.4,
                zorder=4,
                gid="mean",
            )


def _published(axes: Axes, published: xr.Dataset, value: str, coefficient: float, n_data: float) -> None:
    ends = interval(published, value, coefficient, n_data)
    if ends is None:
        return
    bottom, top = axes.get_ylim()
    axes.axhspan(
        max(ends[0], bottom), min(ends[1], top), facecolor=_PUBLISHED, alpha=0.14, linewidth=0, zorder=0.5, gid="published"
    )
    for edge in ends:
        if bottom < edge < top:
            axes.axhline(edge, color=_PUBLISHED, linewidth=0.7, alpha=0.6, zorder=0.6)
