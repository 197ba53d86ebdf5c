"""The look of the figures: the paper's colours and scales, on one white ground in light and dark mode."""

from __future__ import annotations

import contextlib
import functools
import io
from collections.abc import Iterator, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection, PolyCollection, QuadMesh
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Colormap, ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator, ScalarFormatter
from numpy.typing import ArrayLike, NDArray

RC = {
    "font.family": "DejaVu Sans",
    "font.size": 10.5,
    "axes.titlesize": 12,
    "axes.labelsize": 11.5,
    "axes.linewidth": 0.8,
    "axes.grid": False,
    "axes.facecolor": "white",
    "axes.axisbelow": True,
    "figure.facecolor": "white",
    "figure.titlesize": 13.5,
    "savefig.facecolor": "white",
    "text.color": "#1b1f24",
    "axes.labelcolor": "#1b1f24",
    "axes.edgecolor": "#40464d",
    "xtick.color": "#40464d",
    "ytick.color": "#40464d",
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "hatch.linewidth": 0.6,
    "mathtext.fontset": "dejavusans",
}

REGIME_COLOURS = {1: "#f3e3a1", 2: "#39568c", 3: "#e08a3c"}
"""Regime I, II, III: pale, dark and middle in grey too, and distinct to colour-blind eyes."""

BOUNDARY_COLOURS = {"train": "#2b4c8c", "test": "#b3541e"}
"""Bands of the training (solid) and the test (dashed) boundary."""

STRATEGIES = (
    ("#20242a", "o"),
    ("#e08a3c", "s"),
    ("#1f5fa8", "D"),
    ("#c2185b", "^"),
    ("#5bbd8f", "v"),
    ("#a99be0", "P"),
    ("#7a4a1e", "X"),
)
"""Colour and marker of the strategies that are compared on one plot, in order; distinct to colour-blind eyes."""

LINESTYLES = {"train": "-", "test": (0, (3.2, 1.8))}
THRESHOLD = {"marker": ">", "markersize": 6, "color": "#20242a", "linestyle": "none"}
WIDEST = 11.2
"""Inches that a figure is wide at most: the text column is 774 pixels wide, and then a label of 9.5 points has 9 pixels."""

MOST_POINTS = 20_000
"""A drawing with more points than this is shown as a picture."""

MISSING = {"facecolor": "#eceef0", "edgecolor": "#a3abb3", "hatch": "////", "linewidth": 0.0}


class BookFigure(Figure):
    """A figure that shows itself in a notebook without pyplot, and so without any global state.

    A drawing of lines and marks shows itself as SVG as well, which stays sharp at any size and which the book prefers. Cells
    and surfaces would have seams between them, and be large.
    """

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=150, bbox_inches="tight", metadata={"Software": None})
        return buffer.getvalue(), self._pixels()

    def _repr_svg_(self) -> tuple[str, dict[str, int]] | None:
        if not self.is_drawing():
            return None
        buffer = io.BytesIO()
        # Names of parts are hashes, by default with a new salt each time; letters as outlines, since a reader's fonts differ.
        with matplotlib.rc_context({"svg.hashsalt": "book", "svg.fonttype": "path"}):
            self.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": None})
        return buffer.getvalue().decode(), self._pixels()

    def _pixels(self) -> dict[str, int]:
        width, height = (self.get_size_inches() * 96).astype(int).tolist()
        return {"width": width, "height": height}

    def is_drawing(self) -> bool:
        """Whether it has nothing but lines, marks, areas and texts, and not too many points of them."""
        points = 0
        for axes in self.axes:
            for artist in (*axes.images, *axes.lines, *axes.collections):
                if artist.get_rasterized() or not isinstance(artist, (Line2D, PathCollection, PolyCollection, LineCollection)):
                    return False
                points += len(artist.get_xydata() if isinstance(artist, Line2D) else artist.get_offsets())
        return points <= MOST_POINTS


@contextlib.contextmanager
def paper() -> Iterator[None]:
    """Applies the look to everything drawn inside the ``with`` block, and only there."""
    with matplotlib.rc_context(RC):
        yield


def new_figure(width: float, height: float) -> BookFigure:
    """Returns an empty figure of this size in inches, laid out so that nothing overlaps; never wider than :data:`WIDEST`."""
    figure = BookFigure(figsize=(min(width, WIDEST), height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.06, wspace=0.03, hspace=0.03)
    return figure


def rows_of(n: int, most: int) -> tuple[int, int]:
    """Returns how many rows of how many panels ``n`` panels make, as equally long as can be, at most ``most`` in a row."""
    rows = -(-n // most)
    return rows, -(-n // rows)


@functools.cache
def map_colours() -> Colormap:
    """The paper's colours: the part [0, 0.8] of reversed viridis; yellow is low, dark blue high."""
    colours = matplotlib.colormaps["viridis_r"](np.linspace(0.0, 0.8, 256))
    return ListedColormap(colours, name="viridis_r_0_08")


def factor_colour(factor: float, factors: Sequence[float]) -> tuple[float, float, float, float]:
    """Colour of a boundary: the part [0.1, 0.9] of plasma, equally spaced, dark for the lowest factor."""
    order = sorted(factors)
    place = 0.5 if len(order) == 1 else order.index(factor) / (len(order) - 1)
    return matplotlib.colormaps["plasma"](0.1 + 0.8 * place)


def casing(colour: tuple[float, ...], width: float) -> list[withStroke]:
    """A thin rim around a line, dark around a light one and the reverse: it is seen on any cell."""
    return [withStroke(linewidth=width + 1.3, foreground=ink(colour), alpha=0.75)]


def ink(colour: tuple[float, ...]) -> str:
    """The colour in which one writes on another: dark on a light one, white on a dark one."""
    return "#20242a" if float(np.dot(colour[:3], (0.299, 0.587, 0.114))) > 0.5 else "white"


def colour_range(values: ArrayLike) -> tuple[float, float]:
    """Returns the 5th and 95th percentile of the finite values (Eq. 22), widened if they coincide."""
    finite = np.asarray(values, dtype=float)
    finite = finite[np.isfinite(finite)]
    if finite.size == 0:
        return 0.0, 1.0
    low, high = (float(p) for p in np.percentile(finite, [5, 95]))
    return (low, high) if high > low else (low, low + (abs(low) or 1.0) * 0.1)


def cells(axes: Axes, values: NDArray, *, norm: Normalize, cmap: Colormap, rim: str | None = None) -> QuadMesh:
    """Draws a map cell by cell, nothing interpolated; cells without a value are hatched grey.

    Args:
        axes: where to draw.
        values: ``[n_coefficient, n_data]``; infinite values take the colour of their end and an infinity sign.
        norm: the colour scale.
        cmap: the colours.
        rim: colour of thin lines between the cells, or none.
    """
    n_x, n_y = values.shape
    drawn = np.where(np.isinf(values), np.copysign(np.finfo(np.float32).max, values), values)
    drawn = np.ma.masked_invalid(drawn).T
    edges_x, edges_y = np.arange(n_x + 1) - 0.5, np.arange(n_y + 1) - 0.5
    mesh = axes.pcolormesh(edges_x, edges_y, drawn, norm=norm, cmap=cmap, edgecolors=rim or "none", linewidth=0.4)
    for i, j in np.argwhere(np.isnan(values)):
        axes.add_patch(Rectangle((i - 0.5, j - 0.5), 1, 1, gid="missing", zorder=1.5, **MISSING))
    for i, j in np.argwhere(np.isinf(values)):
        below = values[i, j] < 0
        sign, colour = ("\u2212\u221e", cmap(0.0)) if below else ("\u221e", cmap(1.0))
        axes.text(i, j, sign, ha="center", va="center", color=ink(colour), fontsize=9)
    axes.set_xlim(-0.5, n_x - 0.5)
    axes.set_ylim(-0.5, n_y - 0.5)
    axes.set_aspect("equal")
    return mesh


def category_axes(
    axes: Axes, coefficient: ArrayLike, n_data: ArrayLike, coefficient_label: str, data_label: str, *, letters: int = 48
) -> None:
    """Labels the equally spaced, categorical axes of a map with the values of its grid.

    Args:
        axes: those of the map.
        coefficient: values of the horizontal axis.
        n_data: values of the vertical axis.
        coefficient_label: text of the horizontal axis.
        data_label: text of the vertical axis.
        letters: as many fit beside each other below the map; more, and the numbers are turned.
    """
    coefficient, n_data = np.asarray(coefficient), np.asarray(n_data)
    axes.set_xticks(range(coefficient.size), [f"{value:g}" for value in coefficient])
    if sum(len(f"{value:g}") + 1 for value in coefficient) > letters:
        axes.tick_params(axis="x", labelrotation=90)
    axes.set_yticks(range(n_data.size), [f"{value:,.10g}" for value in n_data])
    axes.set_xlabel(coefficient_label)
    axes.set_ylabel(data_label)
    axes.tick_params(length=2.5)


def colour_bar(axes: Axes, mesh: QuadMesh, threshold: float | None = None, ticks: int = 6) -> Colorbar:
    """Adds a map's own colour bar, with open ends and the threshold marked on it.

    Args:
        axes: the map's axes.
        mesh: its cells.
        threshold: value to mark, left out if it lies beyond the ends.
        ticks: numbers along the bar at most.
    """
    # An inset follows the map's square cells, which axes taken from the layout would not.
    place = axes.inset_axes((1.035, 0.0, 0.042, 1.0))
    bar = axes.figure.colorbar(mesh, cax=place, extend="both", extendfrac=0.035)
    formatter = ScalarFormatter(useMathText=True)
    formatter.set_powerlimits((-2, 3))
    bar.ax.yaxis.set_major_locator(MaxNLocator(ticks))
    bar.ax.yaxis.set_major_formatter(formatter)
    bar.ax.yaxis.get_offset_text().set(ha="left", fontsize=9.5)
    bar.outline.set_linewidth(0.6)
    low, high = mesh.norm.vmin, mesh.norm.vmax
    if threshold is not None and low < threshold < high:
        bar.ax.axhline(threshold, color="#20242a", linewidth=1.4)
        bar.ax.plot(
            [-0.22],
            [threshold],
            transform=bar.ax.get_yaxis_transform(),
            clip_on=False,
            gid="threshold",
            **THRESHOLD,
        )
    return bar


def missing_handle(text: str = "not computed") -> Patch:
    """Legend entry of a hatched cell."""
    return Patch(label=text, **MISSING)
