"""Training loss and test error along curves between two trained networks."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike, NDArray

from sciml_lib.errors import UserError
from sciml_lib.figures import style

LOSS, ERROR = style.BOUNDARY_COLOURS["train"], style.BOUNDARY_COLOURS["test"]
DASHES = {"bezier": "-", "straight": (0, (4, 1.6))}
NAMES = {"bezier": "trained Bezier curve", "straight": "straight line"}


def along_curves(
    t: ArrayLike,
    train: dict[str, ArrayLike],
    test: dict[str, ArrayLike],
    *,
    ends: tuple[str, str],
    title: str,
) -> style.BookFigure:
    """Draws the training loss on the left and the test error on the right, over the place on the curve.

    Bezier curves are solid, straight lines dashed; thin lines are seeds, the thick one is their median. What is not
    finite is left out, and both axes are logarithmic.

    Args:
        t: places on the curve, from 0 to 1, ``[T]``.
        train: training losses ``[T, S]`` of ``bezier``, of ``straight`` or of both.
        test: test errors of the same curves.
        ends: what stands at t = 0 and at t = 1.
        title: title of the figure.

    Raises:
        UserError: the two have different curves or unknown ones, arrays do not fit together, or a value is not positive.
    """
    t = np.asarray(t, dtype=float)
    if not train or set(train) != set(test) or not set(train) <= set(DASHES):
        raise UserError(f"train and test must both have 'bezier', 'straight' or both, got {sorted(train)} and {sorted(test)}")
    with style.paper():
        figure = style.new_figure(9.6, 4.2)
        left, right = figure.subplots(1, 2)
        for axes, given, colour, label in (
            (left, train, LOSS, "training loss"),
            (right, test, ERROR, "test error"),
        ):
            for kind in (kind for kind in DASHES if kind in given):
                _seeds(axes, t, _checked(given[kind], t, f"{label} of {kind}"), colour, kind)
            axes.set_yscale("log")
            axes.set_xlim(t[0], t[-1])
            axes.set_title(label.capitalize())
            axes.set_ylabel(label)
            axes.set_xlabel(f"place on the curve $t$\n{ends[0]} at 0, {ends[1]} at 1")
            axes.spines[["top", "right"]].set_visible(False)
        handles = [
            Line2D([], [], color="#20242a", linewidth=2.2, linestyle=DASHES[kind], label=NAMES[kind])
            for kind in DASHES
            if kind in train
        ]
        if np.asarray(next(iter(train.values()))).shape[1] > 1:
            handles.append(Line2D([], [], color="#20242a", linewidth=0.8, alpha=0.6, label="single seeds, thin"))
        figure.suptitle(title)
        figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def _checked(values: ArrayLike, t: NDArray, name: str) -> NDArray:
    values = np.asarray(values, dtype=float)
    if t.ndim != 1 or values.ndim != 2 or len(values) != len(t) or not values.size:
        raise UserError(f"the {name} has shape {values.shape} but {t.size} places on the curve need [{t.size}, seeds]")
    if (values <= 0).any():
        raise UserError(f"a logarithmic axis needs positive values, but the {name} has {np.nanmin(values):g}")
    return np.where(np.isfinite(values), values, np.nan)


def _seeds(axes: Axes, t: NDArray, values: NDArray, colour: str, kind: str) -> None:
    if values.shape[1] > 1:
        axes.plot(t, values, color=colour, linewidth=0.8, alpha=0.45, linestyle=DASHES[kind], gid=f"{kind}-seed")
    axes.plot(t, np.median(values, axis=1), color=colour, linewidth=2.2, linestyle=DASHES[kind], gid=f"{kind}-median")
