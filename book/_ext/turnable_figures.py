"""The drawing library of the figures that a reader can turn: written when the book is built, loaded only where it is used.

It is 4.8 MB large and a part of an installed package, so it is not committed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

LIBRARY = "plotly.min.js"
MARK = "plotly-graph-div"
"""A page that has an element of this class needs the library."""

FIT = "addEventListener('load', () => dispatchEvent(new Event('resize')));"
"""A figure is drawn before the page has its columns, and has to be fitted into them once these are there."""


def setup(app: Any) -> dict[str, bool]:
    """Writes the library beside the other static files, and adds it to the pages that need it."""
    app.connect("config-inited", _write)
    app.connect("html-page-context", _load)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _write(app: Any, config: Any) -> None:
    from plotly.offline import get_plotlyjs

    target = Path(app.confdir) / "book" / "_static" / LIBRARY
    text = get_plotlyjs()
    if target.exists() and target.read_text(encoding="utf-8") == text:
        return
    scratch = target.with_suffix(".tmp")
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(target)


def _load(
    app: Any, page: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    if MARK in context.get("body", ""):
        # In the head and not deferred, so that it is there before the figures' own scripts.
        app.add_js_file(LIBRARY)
        app.add_js_file(None, body=FIT)
