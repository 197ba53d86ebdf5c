"""The line under a figure that says where its numbers come from, and leads there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

CHANGED = "\u26a0 the library has changed since"
"""The mark of a figure whose runs were made by another state of the library."""

PARTS = ("rows", "recipe", "re-run")
"""The sections of the page of a sweep that a line leads to; their anchors have the same names."""

_SHOWN_VERSIONS = ("sciml_lib", "torch")


def line(attrs: Mapping[str, Any]) -> str:
    """Returns the provenance of a data set in one line of HTML; what is not recorded is called so.

    The words that lead to the page of the sweep are links once the book is built, see :func:`link`. What else is known,
    such as the date, is the title of the first link.

    Args:
        attrs: attributes of a data set from `sciml_lib.load` or of the results of a study: ``sweep``, ``profile``,
            ``cells_done``, ``cells_whole`` (runs of the whole sweep; ``cells_planned``, those of the profile, where it
            is missing), ``seeds`` (the list), ``seeds_whole``, ``published`` (whether the whole is a map of the paper;
            then one word leads to its cells in the explorer),
            ``reduced`` (whether budgets are smaller than those of the whole), ``unit`` (``items`` of a study),
            ``device``, ``versions``, ``updated`` (ISO date or time), ``commit``, ``library_changed`` (whether the
            library differs from that commit).

    Returns:
        For instance ``pinn/convection/lbfgs \u00b7 252 of 720 runs of the paper's map \u00b7 3 of 5 seeds \u00b7 rows
        \u00b7 recipe \u00b7 re-run \u00b7 explore``.
    """
    sweep, profile, unit = attrs.get("sweep"), attrs.get("profile"), attrs.get("unit") or "runs"
    whole = attrs.get("cells_whole", attrs.get("cells_planned"))
    runs = f"{_known(attrs.get('cells_done'))} of {_known(whole)} {unit}"
    runs += " of the paper's map" if attrs.get("published") else ""
    runs += ", with smaller budgets" if attrs.get("reduced") else ""
    name = str(sweep or "sweep not recorded")
    parts = [escape(name), runs, _seeds(attrs.get("seeds"), attrs.get("seeds_whole"))]
    if sweep and profile:
        parts[0] = link(name, page_of(sweep, profile), details(attrs))
        words = {"rows": unit if unit != "runs" else "rows"}
        parts += [link(words.get(part, part), page_of(sweep, profile, part=part)) for part in PARTS]
        if attrs.get("published"):
            parts.append(link("explore", f"explorer/cells.html#sweep={sweep}&profile={profile}"))
    if attrs.get("library_changed"):
        parts.append(CHANGED)
    return " \u00b7 ".join(parts)


def details(attrs: Mapping[str, Any]) -> str:
    """Returns who made a data set, in words: ``laptop \u00b7 seeds 0-2 \u00b7 cpu \u00b7 torch 2.13.0 \u00b7 ...``."""
    # Without the build tag: "2.13.0+cpu" and "2.13.0" are the same release, and the device is named anyway.
    versions = re.sub(r"\+[\w.]+", "", str(attrs.get("versions") or "")).split(", ")
    packages = ", ".join(one for name in _SHOWN_VERSIONS for one in versions if one.split(" ")[0] == name)
    commit = str(attrs.get("commit") or "")
    seeds = attrs.get("seeds")
    parts = [
        str(attrs.get("profile") or "profile not recorded"),
        f"seeds {ranges(seeds)}" if isinstance(seeds, Iterable) else "seeds not recorded",
        _devices(attrs.get("device")),
        packages or "versions not recorded",
        str(attrs.get("updated") or "date not recorded")[:17].split("T")[0],
        f"commit {commit[:7]}" if commit else "commit not recorded",
    ]
    return " \u00b7 ".join(parts)


def page_of(sweep: str, profile: str, cell: tuple[float, int, int] | None = None, part: str = "") -> str:
    """Returns the address of the page of a sweep or study, from the folder ``book`` of the built book on.

    Args:
        sweep: its id, such as ``pinn/convection/lbfgs``, or ``study spectra``.
        profile: what is stored of it.
        cell: (coefficient, n_data, seed) of the row to lead to.
        part: the section to lead to, one of :data:`PARTS`.

    Returns:
        For instance ``runs/pinn-convection-lbfgs-laptop.html#c30-n1000-s0``.
    """
    name = re.sub(r"[/ ]", "-", f"{sweep}/{profile}")
    place = part if cell is None else anchor(cell)
    return f"runs/{name}.html" + (f"#{place}" if place else "")


def anchor(cell: tuple[float, int, int]) -> str:
    """Returns the anchor of a run's row: ``c30-n1000-s0`` of (30.0, 1000, 0)."""
    coefficient, n_data, seed = cell
    return f"c{repr(float(coefficient)).removesuffix('.0')}-n{int(n_data)}-s{int(seed)}"


def link(words: str, page: str, title: str = "") -> str:
    """Returns words, in HTML, that become a link when the book is built.

    Only the builder knows where a page lies as seen from another; in a notebook outside the book they are plain words.

    Args:
        words: what is read.
        page: an address from the folder ``book`` on, see :func:`page_of`.
        title: what is shown when the pointer is over it.
    """
    shown = f' title="{escape(title)}"' if title else ""
    return f'<a data-page="{escape(page)}"{shown}>{escape(words)}</a>'


def ranges(numbers: Iterable[int]) -> str:
    """Returns whole numbers as ranges: ``[0, 1, 2, 5]`` gives ``0-2, 5``."""
    found: list[list[int]] = []
    for number in sorted({int(n) for n in numbers}):
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ", ".join(f"{first}" if first == last else f"{first}-{last}" for first, last in found)


def _known(value: Any) -> str:
    return "?" if value is None else f"{int(value):,}"


def _seeds(seeds: Any, whole: Any) -> str:
    if seeds is None:
        return "seeds not recorded"
    count = len(list(seeds)) if isinstance(seeds, Iterable) else int(seeds)
    return f"{count} of {int(whole)} seeds" if whole is not None else f"{count} seed{'' if count == 1 else 's'}"


def _devices(device: Any) -> str:
    if not device:
        return "device not recorded"
    return device if isinstance(device, str) else " and ".join(sorted({str(name) for name in device}))
