"""Training loss and test error along curves between trained networks, cell by cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from sciml_lib.errors import UserError
from sciml_lib.figures import style
from sciml_lib.figures.curves import DASHES, NAMES

_COLOURS = ("#1f5fa8", "#c2185b", "#5bbd8f", "#7a4a1e")
_THRESHOLD = "#70777f"


@dataclass(frozen=True)
class Curve:
    """One curve.

    Attributes:
        pair: what it joins; curves of one pair have one colour.
        kind: ``bezier`` or ``straight``.
        t: places on it, from 0 to 1, ``[T]``.
        loss: training loss there, ``[T]``.
        error: test error there, ``[T]``.
    """

    pair: str
    kind: str
    t: ArrayLike
    loss: ArrayLike
    error: ArrayLike


def curve_grid(
    cells: dict[str, Sequence[Curve]], *, ends: tuple[str, str], title: str, low: tuple[float, float] | None = None
) -> style.BookFigure:
    """Draws a column a cell, the training loss above and the test error below, over the place on the curve.

    Bezier curves are solid, straight lines dashed. The vertical axes are logarithmic, and the same in a row. More than three
    cells go into further pairs of rows.

    Args:
        cells: curves by the title of their cell.
        ends: what stands at t = 0 and at t = 1.
        title: title of the figure.
        low: thresholds of loss and error, drawn as dotted lines.

    Raises:
        UserError: there is no curve or too many pairs, a kind is unknown, arrays do not fit together, or a value is not
            positive.
    """
    everything = [curve for curves in cells.values() for curve in curves]
    pairs = list(dict.fromkeys(curve.pair for curve in everything))
    kinds = [kind for kind in DASHES if any(curve.kind == kind for curve in everything)]
    if not 1 <= len(pairs) <= len(_COLOURS):
        raise UserError(f"1 to {len(_COLOURS)} pairs can be told apart by colour, got {len(pairs)}")
    for curve in everything:
        _check(curve)
    with style.paper():
        bands, columns = style.rows_of(len(cells), 3)
        figure = style.new_figure(1.4 + 3.1 * max(columns, 2), 0.6 + 5.0 * bands)
        grid = figure.subplots(2 * bands, columns, sharex=True, sharey="row", squeeze=False)
        places = [grid[k::2].ravel() for k in (0, 1)]
        for axes in (*places[0][len(cells) :], *places[1][len(cells) :]):
            axes.set_visible(False)
        for above, below, (name, curves) in zip(*places, cells.items(), strict=False):
            for axes, quantity in ((above, "loss"), (below, "error")):
                for curve in curves:
                    axes.plot(
                        np.asarray(curve.t, dtype=float),
                        np.asarray(getattr(curve, quantity), dtype=float),
                        color=_COLOURS[pairs.index(curve.pair)],
                        linestyle=DASHES[curve.kind],
                        linewidth=2.0,
                        gid=f"{curve.pair} {curve.kind}",
                    )
                axes.set_yscale("log")
                axes.set_xlim(0.0, 1.0)
                axes.spines[["top", "right"]].set_visible(False)
            above.set_title(name)
            below.set_xlabel(f"place on the curve $t$\n{ends[0]} at 0, {ends[1]} at 1")
        for row, words in zip(places, ("training loss", "test error"), strict=True):
            for axes in row[::columns]:
                axes.set_ylabel(words)
        handles = [Line2D([], [], color=_COLOURS[i], linewidth=2.0, label=pair) for i, pair in enumerate(pairs)]
        handles += [Line2D([], [], color="#20242a", linestyle=DASHES[kind], linewidth=2.0, label=NAMES[kind]) for kind in kinds]
        if low is not None:
            for row, level in zip(places, low, strict=True):
                for axes in row:
                    axes.axhline(level, color=_THRESHOLD, linewidth=1.0, linestyle=":", zorder=1, gid="low")
            handles.append(Line2D([], [], color=_THRESHOLD, linestyle=":", label="threshold of Table 5"))
        figure.suptitle(title)
        figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def _check(curve: Curve) -> None:
    if curve.kind not in DASHES:
        raise UserError(f"kind={curve.kind!r} of the curve of {curve.pair!r} is unknown; choose {' or '.join(DASHES)}")
    t, loss, error = (np.asarray(values, dtype=float) for values in (curve.t, curve.loss, curve.error))
    if t.ndim != 1 or not t.size or loss.shape != t.shape or error.shape != t.shape:
        raise UserError(
            f"the curve of {curve.pair!r} has {t.shape} places, {loss.shape} losses and {error.shape} errors: give equally many"
        )
    for name, values in (("loss", loss), ("error", error)):
        if (values <= 0).any():
            raise UserError(
                f"a logarithmic axis needs positive values, but the {name} of {curve.pair!r} has {np.nanmin(values):g}"
            )
