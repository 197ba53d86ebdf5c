"""How large the numbers along the axes of a figure are on a page."""

from __future__ import annotations

import matplotlib
from matplotlib.figure import Figure

DESKTOP = 774
"""Pixels that the text column is wide in a window of 1,440 pixels."""

_PER_INCH = 96
_MARGIN = 0.1


def label_pixels(figure: Figure, column: float = DESKTOP) -> float:
    """Returns the height of the smallest label of a tick, in pixels of the page.

    A figure is shown as large as it was drawn, or as wide as the column if that is less.

    Args:
        figure: the figure as it is shown: its empty margin cut off.
        column: width of the column in pixels.
    """
    figure.draw_without_rendering()
    labels = [
        label
        for axes in figure.axes
        if axes.get_visible()
        for place in (axes, *axes.child_axes)
        for axis in (place.xaxis, place.yaxis, getattr(place, "zaxis", None))
        if axis is not None
        for label in axis.get_ticklabels()
        if label.get_visible() and label.get_text()
    ]
    points = min((label.get_fontsize() for label in labels), default=matplotlib.rcParams["font.size"])
    inches = figure.get_tightbbox().width + 2 * _MARGIN
    return points / 72 * min(_PER_INCH, column / inches)
