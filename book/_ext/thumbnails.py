"""Small pictures of the figures of the chapters, made from their notebooks when the book is built.

A page shows one as ``_static/thumbs/NAME.png``, where NAME is that of the figure, as in ``fig-map``.
"""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

from PIL import Image

WIDTH, HEIGHT = 320, 240
"""Pixels at most: twice as many as are shown, for finer screens."""


def setup(app: Any) -> dict[str, bool]:
    """Makes the pictures beside the other static files; they are not committed."""
    app.connect("config-inited", _write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _write(app: Any, config: Any) -> None:
    book = Path(app.confdir) / "book"
    folder = book / "_static" / "thumbs"
    folder.mkdir(exist_ok=True)
    for notebook in book.rglob("*.ipynb"):
        for name, picture in _pictures(notebook):
            small = Image.open(io.BytesIO(picture)).convert("RGB")
            small.thumbnail((WIDTH, HEIGHT))
            small.save(folder / f"{name}.png")


def _pictures(notebook: Path) -> Any:
    """Yields the name and the picture of every figure with both."""
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        figure = cell["metadata"].get("mystnb", {}).get("figure", {})
        for output in cell.get("outputs", ()):
            picture = output.get("data", {}).get("image/png")
            if "name" in figure and picture:
                yield figure["name"], base64.b64decode(picture)
