"""A short hash of what a figure shows, printed under it, so that a notebook check notices a change.

Notebook checkers compare text, not pixels: a plot of flipped data passes unseen. The digest is made from the
data of the artists, not from the picture, so fonts, sizes and versions of the drawing library do not change
it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import Collection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator
from numpy.typing import ArrayLike, NDArray

_DIGITS = 4
_FLOOR = 1e-6


def digest(figure: Figure) -> str:
    """Returns 12 hexadecimal digits that stand for the data, texts, scales and labels of a figure.

    Numbers count to four significant digits, and no finer than a millionth of the largest one beside them (a
    logarithmic axis counts the logarithm). Noise of 1e-9 of the data's scale therefore changes nothing, a
    changed cell, curve, label or colour scale does. In theory a value on the very edge between two roundings
    can fall either way.

    Args:
        figure: any figure; subfigures count too.
    """
    sink = hashlib.sha256()
    for entry in _entries(figure):
        sink.update(entry.encode() + b"\n")
    return sink.hexdigest()[:12]


def print_digest(figure: Figure, **numbers: float | int | str) -> None:
    """Prints the digest and, one a line, the headline numbers of a figure, rounded so that they are stable.

    Args:
        figure: the figure above.
        numbers: name and value; floats are shown to four significant digits, other values as they are.
    """
    print(f"figure digest {digest(figure)}")
    for name, value in numbers.items():
        real = isinstance(value, (float, np.floating))
        print(f"{name.replace('_', ' ')}: {f'{value:.4g}' if real else value}")


def _entries(figure: Figure) -> Iterator[str]:
    for text in (*figure.texts, *filter(None, (figure._suptitle, figure._supxlabel, figure._supylabel))):
        yield f"figure text {text.get_text()!r}"
    for legend in figure.legends:
        yield f"legend {[text.get_text() for text in legend.get_texts()]}"
    for axes in _all_axes(figure):
        if hasattr(axes, "_colorbar"):
            marks = [line for line in axes.lines if line.get_gid() == "threshold"]
            yield f"colour bar {axes.get_ylabel()!r} {_numbers(axes.get_ylim())}"
            for mark in marks:
                yield from _artist(axes, mark)
        elif axes.get_visible():
            yield from _axes(axes)


def _all_axes(figure: Figure) -> Iterable[Axes]:
    for axes in figure.axes:
        yield axes
        yield from (child for child in axes.child_axes if child not in figure.axes)


def _axes(axes: Axes) -> Iterator[str]:
    titles = [axes.get_title(loc) for loc in ("left", "center", "right")]
    yield f"axes {titles} {axes.get_xlabel()!r} {axes.get_ylabel()!r} {axes.get_xscale()} {axes.get_yscale()}"
    yield f"limits {_numbers(axes.get_xlim())} {_numbers(axes.get_ylim())}"
    for axis in (axes.xaxis, axes.yaxis):
        # Ticks that were set count; those that the drawing library chose are left to it.
        if isinstance(axis.get_major_locator(), FixedLocator):
            places = axis.get_major_locator()()
            yield f"ticks {_numbers(places)} {axis.get_major_formatter().format_ticks(places)}"
    if axes.get_legend() is not None:
        yield f"legend {[text.get_text() for text in axes.get_legend().get_texts()]}"
    decoration = {id(part) for part in (axes.patch, axes.title, axes._left_title, axes._right_title, *axes.spines.values())}
    for artist in axes.get_children():
        if id(artist) not in decoration and artist.get_visible():
            yield from _artist(axes, artist)


def _artist(axes: Axes, artist: Artist) -> Iterator[str]:
    if isinstance(artist, Line2D):
        look = f"{to_hex(artist.get_color())} {artist.get_linestyle()} {artist.get_marker()}"
        yield f"line {_points(axes, artist.get_xydata())} {look}"
    elif isinstance(artist, AxesImage):
        yield f"image {_numbers(artist.get_array())} {_numbers(artist.get_extent())} {_scale(artist)}"
    elif isinstance(artist, Collection):
        yield f"{type(artist).__name__} {_points(axes, artist.get_offsets())}"
        if artist.get_array() is not None:
            yield f"array {_numbers(artist.get_array())} {_scale(artist)}"
        for lines in _paths(axes, [path.vertices for path in artist.get_paths()]):
            yield f"path {lines}"
        if artist.get_array() is None:
            yield f"colours {_numbers(artist.get_facecolor(), digits=2)}"
    elif isinstance(artist, Patch):
        corners = artist.get_patch_transform().transform_path(artist.get_path()).vertices
        colour = to_hex(artist.get_facecolor(), keep_alpha=True)
        yield f"patch {_points(axes, corners)} {colour} {artist.get_hatch()}"
    elif isinstance(artist, Text) and artist.get_text():
        yield f"text {artist.get_text()!r} {_numbers(artist.get_position())}"


def _scale(artist: AxesImage | Collection) -> str:
    limits = [limit for limit in (artist.norm.vmin, artist.norm.vmax) if limit is not None]
    return f"{_numbers(limits)} {type(artist.norm).__name__} {artist.get_cmap().name}"


def _points(axes: Axes, points: ArrayLike) -> str:
    """Points in the units in which they are seen: logarithms on a logarithmic axis."""
    (words,) = _paths(axes, [np.ma.filled(np.ma.asarray(points, dtype=float), np.nan).reshape(-1, 2)])
    return words


def _paths(axes: Axes, paths: Sequence[NDArray]) -> list[str]:
    """The points of several paths, those of equal length at once: the mesh of a surface has a path for each of its cells."""
    words = [""] * len(paths)
    lengths = np.array([len(path) for path in paths])
    for length in np.unique(lengths):
        places = np.flatnonzero(lengths == length)
        points = np.array([paths[place] for place in places], dtype=float)  # [n, length, 2]
        columns = []
        for axis, column in zip((axes.xaxis, axes.yaxis), np.moveaxis(points, -1, 0), strict=True):
            if axis.get_scale() == "log":
                with np.errstate(divide="ignore", invalid="ignore"):
                    column = np.log10(column)
            columns.append(_rows(column))
        for place, *parts in zip(places, *columns, strict=True):
            words[place] = " ".join(parts)
    return words


def _numbers(values: ArrayLike, digits: int = _DIGITS) -> str:
    flat = np.ma.filled(np.ma.asarray(values, dtype=float), np.nan).ravel()
    (words,) = _rows(flat[None], digits)
    return words


def _rows(values: NDArray, digits: int = _DIGITS) -> list[str]:
    """The numbers of each row, ``[n, m]``, rounded by the largest of the row."""
    # Infinite cells are drawn as the largest float32; they must not hide the others.
    known = np.isfinite(values) & (np.abs(values) < np.finfo(np.float32).max)
    quantum = _FLOOR * np.abs(np.where(known, values, 0.0)).max(axis=1, initial=0.0, keepdims=True)  # [n, 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        rounded = np.where(known & (quantum > 0), np.round(values / quantum) * quantum, values) + 0.0
    # Each number is written once, however often it occurs.
    different, places = np.unique(rounded, return_inverse=True)
    short = np.array([f"{value:.{digits}g}" for value in different], dtype=object)
    words = [",".join(row) for row in short[places.reshape(rounded.shape)]]
    for row in np.flatnonzero(~known.any(axis=1)):
        words[row] = ",".join(f"{value}" for value in values[row])
    return words
