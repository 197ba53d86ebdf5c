"""Tables of text for narrow windows: each row becomes a card there, in which every entry has the head of its column.

Only attributes are added; the style sheet decides from which width on they count. A table of numbers stays a table.
"""

from __future__ import annotations

import re
from typing import Any

from bs4 import BeautifulSoup

TABLE = re.compile(r'<table class="table">.*?</table>', re.DOTALL)
LEAST_COLUMNS = 3


def setup(app: Any) -> dict[str, bool]:
    """Adds the attributes to every page when its text is complete."""
    app.connect("html-page-context", _mark)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _mark(
    app: Any, page: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    if "body" in context:
        context["body"] = TABLE.sub(
            lambda found: _marked(found.group()), context["body"]
        )


def _marked(html: str) -> str:
    soup = BeautifulSoup(html, "html.parser")
    heads = soup.select("thead th")
    if len(heads) < LEAST_COLUMNS or any(
        "text-right" in head.get("class", ()) for head in heads
    ):
        return html
    # A table whose parts are no longer laid out as such must still say what they are.
    soup.table["class"] = ["table", "cards"]
    soup.table["role"] = "table"
    for row in soup.select("tbody tr"):
        row["role"] = "row"
        for head, entry in zip(heads, row.find_all("td"), strict=False):
            entry["role"] = "cell"
            entry["data-label"] = " ".join(head.get_text().split())
    return str(soup)
