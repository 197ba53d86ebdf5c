"""The line under a figure that says where its numbers come from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

CHANGED = "\u26a0 the library has changed since"
"""The mark of a figure whose runs were made by another state of the library."""

_SHOWN_VERSIONS = ("sciml_lib", "torch")


def line(attrs: Mapping[str, Any]) -> str:
    """Returns the provenance of a data set in one line; what is not recorded is called so.

    Args:
        attrs: attributes of a data set from `sciml_lib.load`: ``sweep``, ``profile``, ``cells_done``,
            ``cells_planned``, ``seeds`` (the list), ``device``, ``versions`` (package to version),
            ``updated`` (ISO date or time), ``commit``, ``library_changed`` (whether the library differs from
            that commit).

    Returns:
        For instance ``pinn/convection/lbfgs \u00b7 laptop \u00b7 252 of 252 cells \u00b7 seeds 0-2 \u00b7 cpu
        \u00b7 sciml_lib 0.1.0, torch 2.13.0 \u00b7 2026-11-23 \u00b7 commit abc1234``.
    """
    # Without the build tag: "2.13.0+cpu" and "2.13.0" are the same release, and the device is named anyway.
    versions = re.sub(r"\+[\w.]+", "", str(attrs.get("versions") or "")).split(", ")
    packages = ", ".join(one for name in _SHOWN_VERSIONS for one in versions if one.split(" ")[0] == name)
    commit = str(attrs.get("commit") or "")
    parts = [
        str(attrs.get("sweep") or "sweep not recorded"),
        str(attrs.get("profile") or "profile not recorded"),
        f"{_known(attrs, 'cells_done')} of {_known(attrs, 'cells_planned')} cells",
        _seeds(attrs.get("seeds")),
        _devices(attrs.get("device")),
        packages or "versions not recorded",
        str(attrs.get("updated") or "date not recorded")[:17].split("T")[0],
        f"commit {commit[:7]}" if commit else "commit not recorded",
    ]
    if attrs.get("library_changed"):
        parts.append(CHANGED)
    return " \u00b7 ".join(parts)


def ranges(numbers: Iterable[int]) -> str:
    """Returns whole numbers as ranges: ``[0, 1, 2, 5]`` gives ``0-2, 5``."""
    found: list[list[int]] = []
    for number in sorted({int(n) for n in numbers}):
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ", ".join(f"{first}" if first == last else f"{first}-{last}" for first, last in found)


def _known(attrs: Mapping[str, Any], name: str) -> str:
    value = attrs.get(name)
    return "?" if value is None else f"{int(value):,}"


def _seeds(seeds: Any) -> str:
    if seeds is None:
        return "seeds not recorded"
    if not isinstance(seeds, Iterable):
        return f"{int(seeds)} seeds"
    numbers = [int(seed) for seed in seeds]
    if not numbers:
        return "no seed"
    return f"seed {numbers[0]}" if len(numbers) == 1 else f"seeds {ranges(numbers)}"


def _devices(device: Any) -> str:
    if not device:
        return "device not recorded"
    return device if isinstance(device, str) else " and ".join(sorted({str(name) for name in device}))
