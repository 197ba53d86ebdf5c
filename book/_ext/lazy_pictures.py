"""Pictures of executed figures are loaded when they come near the window, and their place is kept until then."""

from __future__ import annotations

import re
from typing import Any

PICTURE = re.compile(r'<img ([^>]*)style="width: (\d+)px; height: (\d+)px;"')


def setup(app: Any) -> dict[str, bool]:
    """Changes every page when its text is complete."""
    app.connect("html-page-context", _delay)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _delay(
    app: Any, page: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    if "body" in context:
        # The ratio counts until the picture is there and has its own.
        context["body"] = PICTURE.sub(
            r'<img loading="lazy" \1style="width: \2px; height: \3px; aspect-ratio: auto \2 / \3;"',
            context["body"],
        )
