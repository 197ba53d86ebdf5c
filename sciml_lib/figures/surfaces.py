"""Loss surfaces over two directions, as pictures and as things a reader can turn around."""

from __future__ import annotations

import hashlib
import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
from matplotlib.colors import to_hex
from matplotlib.ticker import FuncFormatter, MaxNLocator
from mpl_toolkits.mplot3d.axes3d import Axes3D
from numpy.typing import ArrayLike, NDArray

from sciml_lib.errors import UserError
from sciml_lib.figures import style

if TYPE_CHECKING:
    import plotly.graph_objects as go

ELEVATION, AZIMUTH = 30.0, 135.0
"""From where the released code looks at its surfaces, in degrees."""

_COLOURS = "RdYlBu_r"
_SUPERSCRIPTS = str.maketrans("-0123456789.", "\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u00b7")


@dataclass(frozen=True)
class Relief:
    """One surface.

    Attributes:
        title: what it shows.
        alpha: places along the first direction, ``[n]``.
        beta: places along the second, ``[m]``.
        height: decimal logarithm of the loss, ``[n, m]``; a hole where it is NaN.
    """

    title: str
    alpha: ArrayLike
    beta: ArrayLike
    height: ArrayLike


def surfaces(
    reliefs: Sequence[Relief],
    *,
    title: str,
    directions: tuple[str, str] = ("first direction", "second direction"),
    height: str = "training loss",
) -> style.BookFigure:
    """Draws surfaces, two in a row, each with its own vertical scale and its own colours.

    Blue is low and red high; the colours end at the 5th and 95th percentile of a surface, as in the paper's figures.

    Args:
        reliefs: the surfaces, at most three.
        title: title of the figure.
        directions: names of the two directions.
        height: name of what is drawn upwards.

    Raises:
        UserError: there is no surface or more than three, or one has not the shape of its grid or no finite value.
    """
    grids = _checked(reliefs)
    with style.paper():
        rows, columns = style.rows_of(len(reliefs), 2)
        figure = style.new_figure(4.9 * columns + 0.3, 0.4 + 3.9 * rows)
        for k, (relief, (alpha, beta, values)) in enumerate(zip(reliefs, grids, strict=True)):
            axes: Axes3D = figure.add_subplot(rows, columns, k + 1, projection="3d")
            low, high = style.colour_range(values)
            axes.plot_surface(
                *np.meshgrid(alpha, beta, indexing="ij"),
                values,
                cmap=_COLOURS,
                vmin=low,
                vmax=high,
                rcount=values.shape[0],
                ccount=values.shape[1],
                linewidth=0,
                antialiased=False,
                rasterized=True,
            )
            axes.view_init(ELEVATION, AZIMUTH)
            axes.set_box_aspect((1.0, 1.0, 0.72), zoom=0.94)  # the labels lie outside the box
            axes.zaxis.set_major_locator(_powers(values))
            axes.zaxis.set_major_formatter(FuncFormatter(lambda place, _: f"$10^{{{place:g}}}$"))
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_major_locator(MaxNLocator(4))
                axis.set_pane_color("#f6f7f8")
            axes.zaxis.set_pane_color("#f6f7f8")
            axes.tick_params(labelsize=9, pad=1)
            axes.tick_params(axis="z", pad=5)
            axes.set(xlabel=directions[0], ylabel=directions[1])
            axes.set_zlabel(height, labelpad=9)
            axes.set_title(relief.title, y=1.0)
        figure.suptitle(title)
        # A surface is projected when it is drawn, and its digest must not depend on whether it was.
        figure.draw_without_rendering()
    return figure


def surface_interactive(
    reliefs: Sequence[Relief],
    *,
    title: str,
    directions: tuple[str, str] = ("first direction", "second direction"),
    height: str = "training loss",
) -> go.Figure:
    """The same surfaces, to be turned and zoomed by the reader; see :func:`to_html`.

    Its texts are plain, with the tags ``<sub>`` and ``<sup>`` and Greek letters as they are; formulas in dollar signs
    would be shown as they are typed.

    Args:
        reliefs: the surfaces, at most three.
        title: title of the figure.
        directions: names of the two directions.
        height: name of what is drawn upwards.

    Raises:
        UserError: there is no surface or more than three, or one has not the shape of its grid or no finite value.
    """
    import plotly.graph_objects as go  # only those who turn surfaces need it
    from plotly.subplots import make_subplots

    grids = _checked(reliefs)
    figure = make_subplots(
        rows=1,
        cols=len(reliefs),
        specs=[[{"type": "surface"}] * len(reliefs)],
        subplot_titles=[relief.title for relief in reliefs],
        horizontal_spacing=0.02,
    )
    map_of = matplotlib.colormaps[_COLOURS]
    colours = [[place, to_hex(map_of(place))] for place in np.linspace(0.0, 1.0, 11).tolist()]
    hover = f"{directions[0]} %{{x:.3g}}<br>{directions[1]} %{{y:.3g}}<br>log\u2081\u2080 {height} %{{z:.2f}}<extra></extra>"
    angle, rise = np.deg2rad(AZIMUTH), np.deg2rad(ELEVATION)
    eye = 2.6 * np.array([np.cos(rise) * np.cos(angle), np.cos(rise) * np.sin(angle), np.sin(rise)])
    for k, (alpha, beta, values) in enumerate(grids):
        low, high = style.colour_range(values)
        trace = go.Surface(
            x=alpha.astype(np.float32),
            y=beta.astype(np.float32),
            z=values.T.astype(np.float32),  # plotly's rows run along y
            cmin=low,
            cmax=high,
            colorscale=colours,
            showscale=False,
            hovertemplate=hover,
        )
        figure.add_trace(trace, row=1, col=k + 1)
        ticks = _powers(values).tick_values(np.nanmin(values), np.nanmax(values)).round(6)
        figure.update_scenes(
            xaxis={"title": {"text": directions[0]}, "nticks": 5},
            yaxis={"title": {"text": directions[1]}, "nticks": 5},
            zaxis={
                "title": {"text": height},
                "tickvals": ticks.tolist(),
                "ticktext": ["10" + f"{tick:g}".translate(_SUPERSCRIPTS) for tick in ticks],
            },
            camera={"eye": dict(zip("xyz", eye.tolist(), strict=True)), "center": {"x": 0, "y": 0, "z": -0.12}},
            aspectmode="manual",
            aspectratio={"x": 1.0, "y": 1.0, "z": 0.72},
            row=1,
            col=k + 1,
        )
    figure.update_layout(
        template="none",
        title={"text": title, "x": 0.5, "xanchor": "center"},
        height=470,
        margin={"l": 0, "r": 0, "t": 70, "b": 0},
        paper_bgcolor="white",
        font={"family": "DejaVu Sans, Verdana, sans-serif", "size": 12, "color": "#1b1f24"},
    )
    return figure


def to_html(figure: go.Figure, *, alt: str) -> str:
    """The part of a page that shows an interactive figure, without the drawing library and without any request.

    It holds the data and a place for the figure; ``book/_static/turnable.js`` loads the library (``plotly.min.js``, which is
    written beside it when the book is built) and draws when the place comes near the window.

    The same figure gives the same text, so an executed notebook does not change from run to run.

    Args:
        figure: from :func:`surface_interactive`.
        alt: what it shows, for those who cannot see it.
    """
    data = figure.to_json()
    name = hashlib.sha256(data.encode()).hexdigest()[:12]
    data = data.replace("<", "\\u003c")  # else a text with a tag could end the script
    return (
        f'<div class="turnable" id="surface-{name}" style="min-height: {figure.layout.height}px">'
        f'<div class="turnable-plot" role="img" aria-label="{html.escape(alt)}">It is drawn when it comes into view.</div>'
        '<button type="button">Turn with a finger</button>'
        f'<script type="application/json">{data}</script></div>'
    )


def _powers(values: NDArray) -> MaxNLocator:
    """Places of a few powers of ten along the heights: whole ones if these span several decades."""
    return MaxNLocator(5, integer=bool(np.nanmax(values) - np.nanmin(values) > 3))


def _checked(reliefs: Sequence[Relief]) -> list[tuple[NDArray, NDArray, NDArray]]:
    if not 1 <= len(reliefs) <= 3:
        raise UserError(f"1 to 3 surfaces fit beside each other, got {len(reliefs)}")
    grids = []
    for relief in reliefs:
        alpha, beta, values = (np.asarray(part, dtype=float) for part in (relief.alpha, relief.beta, relief.height))
        if values.shape != (alpha.size, beta.size):
            raise UserError(f"the surface {relief.title!r} has shape {values.shape} but its grid has {(alpha.size, beta.size)}")
        if not np.isfinite(values).any():
            raise UserError(f"the surface {relief.title!r} has no finite value to draw")
        grids.append((alpha, beta, np.where(np.isfinite(values), values, np.nan)))
    return grids
