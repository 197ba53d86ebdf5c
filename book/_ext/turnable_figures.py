"""The drawing library of the figures that a reader can turn: written when the book is built, loaded only where it is used.

It is 4.8 MB large and a part of an installed package, so it is not committed. A page with such a figure gets a small script,
which loads the library when the figure comes near the window.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

LIBRARY = "plotly.min.js"
SCRIPT = "turnable.js"
MARK = 'class="turnable"'
"""What a page has in its text if it needs the script."""


def setup(app: Any) -> dict[str, bool]:
    """Writes the library beside the other static files, and adds the script to the pages that need it."""
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
        app.add_js_file(SCRIPT, loading_method="defer")
