"""The data of the page on which one clicks a cell of a map, written when the book is built, and its script and style.

Nothing of it is committed: it follows from the stored runs. What a store gave is kept in ``_build`` until the store changes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sphinx.errors import ExtensionError

MARK = 'id="explorer"'
"""A page that has this element needs the script."""

FOLDER = "explorer"
"""Where the script finds the data: a folder beside it."""


def setup(app: Any) -> dict[str, bool]:
    """Writes the data before the pages are read, and adds the script to the page that needs it."""
    app.connect("config-inited", _write)
    app.connect("html-page-context", _load)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _write(app: Any, config: Any) -> None:
    from sciml_lib import explorer
    from sciml_lib.errors import UserError

    root = Path(app.confdir)
    kept = root / "_build" / ".explorer"
    try:
        stores = explorer.write(
            kept / "static" / FOLDER, kept / "stores", root / "runs"
        )
    except UserError as error:
        raise ExtensionError(str(error)) from None
    config.html_static_path.append(str(kept / "static"))
    config.myst_substitutions = {
        **config.myst_substitutions,
        **_suggestions(explorer.suggested(stores)),
    }


def _suggestions(cells: list[dict[str, Any]]) -> dict[str, str]:
    """A link to a cell of each kind, as ``explorer_well`` and so on."""
    kinds = ("well", "over", "divided")
    links = {f"explorer_{kind}": "there is none in this copy" for kind in kinds}
    for one in cells:
        (c, n), counts = one["cell"], one["counts"]
        coefficient, amount = map(_symbol, one["symbols"])
        seeds = ", ".join(
            f"{count} in {numeral}"
            for numeral, count in zip(("I", "II", "III"), counts, strict=True)
            if count
        )
        links[f"explorer_{one['kind']}"] = (
            f'<a href="{one["link"]}">{coefficient}&nbsp;=&nbsp;{c:g}, {amount}&nbsp;=&nbsp;{n:,}</a>'
            f" (seeds: {seeds})"
        )
    return links


def _symbol(text: str) -> str:
    letter, _, below = text.partition("_")
    return f"{letter}<sub>{below}</sub>" if below else letter


def _load(
    app: Any, page: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    if MARK in context.get("body", ""):
        app.add_css_file("explorer.css")
        app.add_js_file(f"{FOLDER}/index.js", loading_method="defer")
        app.add_js_file("explorer.js", loading_method="defer")
