"""Densities of the eigenvalues of Hessians, before and after training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from sciml_lib.errors import UserError
from sciml_lib.figures import style

FLOOR = 1e-10
"""Lowest density that is drawn, as in the released code."""

BEFORE, AFTER = "#1f77b4", "#ff7f0e"
"""The paper's blue and orange, which its text names."""


@dataclass(frozen=True)
class SpectrumPair:
    """One panel.

    Attributes:
        title: what it shows.
        before: eigenvalues ``[n]`` and their density ``[n]`` before training.
        after: the same after it, on a grid of its own.
    """

    title: str
    before: tuple[ArrayLike, ArrayLike]
    after: tuple[ArrayLike, ArrayLike]


def spectra(
    rows: Sequence[Sequence[SpectrumPair]],
    *,
    title: str,
    row_labels: Sequence[str] = (),
) -> style.BookFigure:
    """Draws one or two rows of densities: with two, the same spectra smoothed by two rules below each other.

    The eigenvalues stand on a scale that is logarithmic beyond -1 and 1 and linear between; densities below 1e-10 are
    drawn there. All panels share both axes, so widths and heights can be compared. Rows of more than four are broken.

    Args:
        rows: one or two rows of equally many panels.
        title: title of the figure.
        row_labels: what distinguishes the rows, one text a row; none for a single row without one.

    Raises:
        UserError: the rows are not one or two of equal length, the labels are not as many, or a density has not the
            shape of its eigenvalues.
    """
    if len(rows) not in (1, 2) or not len(rows[0]) or len({len(row) for row in rows}) != 1:
        raise UserError("give one row of spectra, or two rows of equally many")
    if row_labels and len(row_labels) != len(rows):
        raise UserError(f"{len(row_labels)} row_labels for {len(rows)} rows: give one text for each row")
    bands, n = style.rows_of(len(rows[0]), 4)
    broken = [row[k * n : (k + 1) * n] for k in range(bands) for row in rows]
    with style.paper():
        figure = style.new_figure(1.0 + 2.55 * max(2, n), 1.3 + 2.5 * len(broken))
        panels = figure.subplots(len(broken), n, sharex=True, sharey=True, squeeze=False)
        for row, drawn in zip(panels, broken, strict=True):
            for axes in row[len(drawn) :]:
                axes.set_visible(False)
            for axes, spectrum in zip(row, drawn, strict=False):
                _curve(axes, spectrum.title, spectrum.before, color=BEFORE, linestyle="-", label="before training")
                _curve(axes, spectrum.title, spectrum.after, color=AFTER, linestyle="--", label="after training")
                axes.set_title(spectrum.title, fontsize=10.5)
        axes = panels[0, 0]
        axes.set_xscale("symlog", linthresh=1.0)
        axes.set_yscale("log")
        axes.set_ylim(bottom=FLOOR)
        reach = max(abs(end) for end in axes.get_xlim())
        decades = int(np.log10(max(reach, 1.0)))
        powers = [10.0**k for k in range(0, decades + 1, max(1, -(-decades // 2)))]
        ticks = [*(-power for power in reversed(powers)), 0.0, *powers]
        axes.set_xticks([tick for tick in ticks if axes.get_xlim()[0] <= tick <= axes.get_xlim()[1]])
        for axes in panels[-1]:
            axes.set_xlabel(r"eigenvalue $\lambda$")
        for k, row in enumerate(panels):
            row[0].set_ylabel(f"{row_labels[k % len(rows)]}\ndensity" if row_labels else "density")
            for axes in row:
                axes.spines[["top", "right"]].set_visible(False)
        figure.suptitle(title)
        figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def _curve(axes: Axes, title: str, curve: tuple[ArrayLike, ArrayLike], *, label: str, **look: str) -> None:
    eigenvalues, density = (np.asarray(part, dtype=float) for part in curve)
    if eigenvalues.ndim != 1 or eigenvalues.shape != density.shape:
        raise UserError(f"{title!r} {label} has densities of shape {density.shape} at {eigenvalues.shape} eigenvalues")
    axes.plot(eigenvalues, np.maximum(density, FLOOR), linewidth=1.4, label=label, **look)
