"""What networks learned of a motion: the test motion over time, and in the space of states beside the training data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from sciml_lib.errors import UserError
from sciml_lib.figures import style

LEARNED, TRAINED = "#c2185b", "#1f5fa8"


def rollouts(
    time: ArrayLike,
    true: Sequence[ArrayLike],
    learned: Sequence[ArrayLike],
    observed: Sequence[ArrayLike],
    titles: Sequence[str],
    notes: Sequence[str],
    *,
    labels: Sequence[str],
    time_label: str = "time",
    title: str,
) -> style.BookFigure:
    """Draws one column for each network: the first component over time above, and the space of states below.

    More than three networks go into further pairs of rows.

    Args:
        time: times of the test motion, ``[n]``.
        true: the true test motion of each network, ``[n, 2]``.
        learned: what each network makes of it, ``[n, 2]``.
        observed: the states that each network was trained on, ``[n_data, 2]``.
        titles: one line above each column.
        notes: one line below each column.
        labels: names of the two components, with their units.
        time_label: text of the axis of time, with its unit.
        title: title of the figure.

    Raises:
        UserError: the lists have different lengths, a motion has not the shape of the times, or states have not two components.
    """
    time = np.asarray(time, dtype=float)
    if not len(true) or len({len(part) for part in (true, learned, observed, titles, notes)}) != 1:
        raise UserError("give one true and one learned motion, one set of data, one title and one note for each network")
    true, learned, observed = ([np.asarray(one, dtype=float) for one in part] for part in (true, learned, observed))
    for motion in (*true, *learned):
        if motion.shape != (time.size, 2):
            raise UserError(f"a motion has shape {motion.shape} but {time.size} times of two components are expected")
    for states in observed:
        if states.ndim != 2 or states.shape[1] != 2:
            raise UserError(f"observed states have shape {states.shape} but rows of two components are expected")
    with style.paper():
        bands, columns = style.rows_of(len(titles), 3)
        figure = style.new_figure(3.5 * columns + 0.6, 0.4 + 6.2 * bands)
        heights = (1.0, 1.25) * bands
        grid = figure.subplots(2 * bands, columns, squeeze=False, sharey="row", height_ratios=heights)
        upper, lower = grid[0::2].ravel(), grid[1::2].ravel()
        # A network that runs away would squeeze everything else.
        reach = 1.35 * max(float(np.abs(motion).max()) for motion in true)
        for k, (above, below) in enumerate(list(zip(upper, lower, strict=True))[: len(titles)]):
            above.plot(time, true[k][:, 0], color="#20242a", linewidth=1.5)
            above.plot(time, learned[k][:, 0], color=LEARNED, linewidth=1.5, linestyle=(0, (4, 1.6)))
            above.set_title(titles[k])
            above.set_xlabel(time_label)
            below.plot(*true[k].T, color="#20242a", linewidth=1.2, label="true test motion")
            below.plot(*learned[k].T, color=LEARNED, linewidth=1.3, linestyle=(0, (4, 1.6)), label="the network's")
            below.plot(*observed[k].T, ".", color=TRAINED, markersize=3.2, label="states it was trained on")
            below.set_xlabel(f"{labels[0]}\n{notes[k]}")
            above.set_ylim(-reach, reach)
            below.set(xlim=(-reach, reach), ylim=(-reach, reach))
        for axes in (*upper[len(titles) :], *lower[len(titles) :]):
            axes.set_visible(False)
        for above, below in zip(upper[::columns], lower[::columns], strict=True):
            above.set_ylabel(labels[0])
            below.set_ylabel(labels[1])
        figure.suptitle(title)
        figure.legend(*lower[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure
