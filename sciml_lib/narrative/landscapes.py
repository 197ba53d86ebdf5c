"""What the chapters on landscapes share: names of their cells, and ranges over seeds."""

from __future__ import annotations

from collections.abc import Iterable

from sciml_lib import prose
from sciml_lib.analysis.cells import cell_name, first_seeds

__all__ = ["cell_name", "first_seeds", "share_span", "span"]


def span(values: Iterable[float], digits: int = 2) -> str:
    """Returns numbers of several seeds as one or as a range, ``2.1 to 2.4``."""
    known = [value for value in values if value == value]
    if not known:
        return "n/a"
    low, high = prose.number(min(known), digits), prose.number(max(known), digits)
    return low if low == high else f"{low} to {high}"


def share_span(values: Iterable[float]) -> str:
    """Returns shares of several seeds as one or as a range, ``12 to 15 %``."""
    known = list(values)
    low, high = prose.percent(min(known)), prose.percent(max(known))
    if low == high:
        return low
    return f"{low.removesuffix(' %') if low[0].isdigit() and high[0].isdigit() else low} to {high}"
