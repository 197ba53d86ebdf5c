"""The first sentence of an attribute is shown whole: the reader of docstrings takes what stands before a colon for a type."""

from __future__ import annotations

from typing import Any

KINDS = ("attribute", "data", "property")
TYPE = ":type: "
AFTER_NAPOLEON = 600
"""Sphinx calls what is connected in this order; Napoleon has 500."""


def setup(app: Any) -> dict[str, bool]:
    """Mends the docstrings after they have been read."""
    app.connect("autodoc-process-docstring", _rejoin, priority=AFTER_NAPOLEON)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _rejoin(
    app: Any, kind: str, name: str, thing: Any, options: Any, lines: list[str]
) -> None:
    """Types are annotations here, never words of a docstring."""
    places = [k for k, line in enumerate(lines) if line.startswith(TYPE)]
    if kind not in KINDS or not places or not lines[0]:
        return
    lines[0] = f"{lines[places[0]].removeprefix(TYPE)}: {lines[0]}"
    del lines[places[0]]
