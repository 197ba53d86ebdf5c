"""Loss and largest Hessian eigenvalue during training, seed by seed."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import ArrayLike, NDArray

from sciml_lib.errors import UserError
from sciml_lib.figures import style

LOSS, EIGENVALUE = "#1f77b4", "#d62728"
EARLY, LATE = "#5bbd8f", "#f2a3bf"
"""Shades of the two phases: the paper's green and pink."""

SWITCH = "#20242a"


@dataclass(frozen=True)
class Trajectory:
    """One panel: what several seeds did in one cell.

    Attributes:
        title: which cell.
        iterations: where the others were read, increasing, ``[K]``.
        loss: training loss, ``[S, K]``; NaN after a seed has ended.
        eigenvalue: largest eigenvalue of the Hessian, ``[S, K]``.
        split: iteration that separates the early from the late phase; no phases if None.
        switch: iteration at which another optimiser takes over; not marked if None.
    """

    title: str
    iterations: ArrayLike
    loss: ArrayLike
    eigenvalue: ArrayLike
    split: float | None = None
    switch: float | None = None


def trajectories(
    panels: Sequence[Trajectory],
    *,
    title: str,
    phases: tuple[str, str] = ("early phase", "late phase"),
    switch: str = "another optimiser takes over",
    columns: int = 2,
) -> style.BookFigure:
    """Draws loss (blue, left axis) and largest eigenvalue (red, dashed, right axis) over the iterations.

    Thin lines are seeds, the thick one is their median, drawn as long as at least half of the seeds have a value. Both
    axes are logarithmic.

    Args:
        panels: one entry a cell.
        title: title of the figure.
        phases: names of what lies before and after a panel's ``split``.
        switch: name of what happens at a panel's ``switch``.
        columns: panels beside each other at most.

    Raises:
        UserError: there is no panel, arrays do not fit together, or a value is not positive.
    """
    if not len(panels) or columns < 1:
        raise UserError("give at least one trajectory and at least one column")
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    with style.paper():
        figure = style.new_figure(0.6 + 4.6 * columns, 1.2 + 2.9 * rows)
        places = figure.subplots(rows, columns, squeeze=False).ravel()
        for left, panel in zip(places, panels, strict=False):
            iterations, loss, eigenvalue = _checked(panel)
            right = left.twinx()
            _lines(left, iterations, loss, LOSS, "-", "loss")
            _lines(right, iterations, eigenvalue, EIGENVALUE, (0, (4, 1.6)), "eigenvalue")
            ends = iterations[0], iterations[-1]
            left.set_xlim(ends)
            if panel.split is not None:
                left.axvspan(ends[0], panel.split, color=EARLY, alpha=0.16, linewidth=0, gid="early")
                left.axvspan(panel.split, ends[1], color=LATE, alpha=0.22, linewidth=0, gid="late")
                left.axvline(panel.split, color="#40464d", linewidth=1.1, linestyle="--", gid="split")
            if panel.switch is not None:
                left.axvline(panel.switch, color=SWITCH, linewidth=1.3, linestyle=":", gid="switch")
            left.set_title(panel.title)
            left.set_xlabel("iteration")
            left.set_ylabel("training loss", color=LOSS)
            right.set_ylabel(r"largest eigenvalue $\lambda_{\max}$", color=EIGENVALUE)
        for axes in places[len(panels) :]:
            axes.set_visible(False)
        handles: list[Line2D | Patch] = [
            Line2D([], [], color=LOSS, linewidth=2.2, label="training loss"),
            Line2D([], [], color=EIGENVALUE, linewidth=2.2, linestyle=(0, (4, 1.6)), label="largest eigenvalue"),
        ]
        if any(len(np.asarray(panel.loss)) > 1 for panel in panels):
            handles.append(Line2D([], [], color="#70777f", linewidth=0.8, alpha=0.6, label="single seeds, thin"))
        if any(panel.split is not None for panel in panels):
            handles += [Patch(color=EARLY, alpha=0.16, label=phases[0]), Patch(color=LATE, alpha=0.22, label=phases[1])]
        if any(panel.switch is not None for panel in panels):
            handles.append(Line2D([], [], color=SWITCH, linewidth=1.3, linestyle=":", label=switch))
        figure.suptitle(title)
        figure.legend(handles=handles, loc="outside lower center", ncols=5 if len(handles) < 6 else 3)
    return figure


def _checked(panel: Trajectory) -> tuple[NDArray, NDArray, NDArray]:
    iterations = np.asarray(panel.iterations, dtype=float)
    loss, eigenvalue = np.asarray(panel.loss, dtype=float), np.asarray(panel.eigenvalue, dtype=float)
    if iterations.ndim != 1 or len(iterations) < 2 or (np.diff(iterations) <= 0).any():
        raise UserError(f"the iterations of {panel.title!r} must be at least two, and increase")
    if loss.ndim != 2 or loss.shape[1] != len(iterations) or loss.shape != eigenvalue.shape or not len(loss):
        raise UserError(
            f"{panel.title!r} has losses of shape {loss.shape} and eigenvalues of {eigenvalue.shape}: "
            f"both must be [seeds, {len(iterations)}]"
        )
    for name, values in (("loss", loss), ("eigenvalue", eigenvalue)):
        if (values <= 0).any():
            raise UserError(
                f"a logarithmic axis needs positive values, but {panel.title!r} has the {name} {np.nanmin(values):g}"
            )
    for name in ("split", "switch"):
        at = getattr(panel, name)
        if at is not None and not iterations[0] <= at <= iterations[-1]:
            raise UserError(f"{name}={at:g} lies outside the iterations of {panel.title!r}")
    return iterations, loss, eigenvalue


def _lines(axes: Axes, x: NDArray, values: NDArray, colour: str, dashes: str | tuple, name: str) -> None:
    """Thin lines for the seeds and a thick one for their median; one seed is its own median."""
    for one in values if len(values) > 1 else ():
        axes.plot(x, one, color=colour, linewidth=0.8, alpha=0.45, linestyle=dashes, gid=f"{name}-seed")
    axes.plot(x, median(values), color=colour, linewidth=2.2, linestyle=dashes, gid=f"{name}-median")
    axes.set_yscale("log")
    axes.tick_params(axis="y", colors=colour)


def median(values: NDArray) -> NDArray:
    """Median ``[K]`` of the seeds that have a value, of ``[S, K]``; NaN where fewer than half of them have."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of columns without any value, which become NaN
        middle = np.nanmedian(values, axis=0)
    return np.where(2 * np.isfinite(values).sum(axis=0) >= len(values), middle, np.nan)
