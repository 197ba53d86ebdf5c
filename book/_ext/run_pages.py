"""A page for every store under ``runs/``, written when the book is built, and the links that lead to them.

The pages are files in ``book/runs/``, which is no part of the repository: the list of contents, ``_toc.yml``, knows pages
that are files and names these by a pattern, because which there are depends on what is stored. They are written before the
builder looks for its sources.

A link to one is ``<a data-page="runs/pinn-wave-alm-laptop.html#rows">``, wherever it stands: the builder alone knows the way
from one page to another, so the address is filled in here. See :func:`sciml_lib.figures.provenance.link`.
"""

from __future__ import annotations

import re
from html import escape, unescape
from pathlib import Path
from typing import Any

import run_stores
import run_texts
from sciml_lib.errors import UserError
from sphinx.errors import ExtensionError
from sphinx.util import logging

FOLDER = "book/runs"
SCRIPT = "run_table.js"
HOSTS = ("github", "gitlab", "bitbucket")
"""What the theme has buttons for."""

_LOGGER = logging.getLogger(__name__)
_LINK = re.compile(r'<a data-page="([^"]*)"')


def setup(app: Any) -> dict[str, bool]:
    """Writes the pages first, and fills in the links last."""
    app.add_config_value("repository_url", "", "env")
    app.connect("config-inited", _write)
    app.connect("config-inited", _name_repository)
    app.connect("html-page-context", _finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _write(app: Any, config: Any) -> None:
    root = Path(app.confdir)
    url = config.repository_url.rstrip("/")
    try:
        pages = texts(root / "runs", root / FOLDER, url)
    except UserError as error:
        raise ExtensionError(str(error)) from None
    write(pages, root / FOLDER)


def texts(runs: Path, folder: Path, repository: str = "") -> dict[str, str]:
    """Writes all pages.

    Args:
        runs: the folder of all stores.
        folder: where the pages will be.
        repository: address of the repository; commits lead there if there is one.

    Returns:
        Markdown by the name of the page.

    Raises:
        UserError: if a store is damaged; it names the file.
    """

    def commit(number: str) -> str:
        if not number:
            return "not recorded"
        words = f"`{number[:7]}`"
        return (
            f"[{words}]({repository}/commit/{number})" if repository else words
        )

    stores, studies = run_stores.stores(runs), run_stores.study_stores(runs)
    pages = {
        "index": run_texts.index(stores, studies, run_stores.planned(stores))
    }
    pages |= {
        Path(one.page).stem: run_texts.page(one, folder, commit)
        for one in stores
    }
    return pages | {
        Path(one.page).stem: run_texts.study_page(one, folder, commit, stores)
        for one in studies
    }


def write(pages: dict[str, str], folder: Path) -> None:
    """Writes pages where they have changed, and removes those of stores that are gone."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.md"):
        if path.name.removesuffix(".md") not in pages:
            path.unlink()
    for name, text in pages.items():
        path = folder / f"{name}.md"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def _name_repository(app: Any, config: Any) -> None:
    """Where the address of the repository is set, the theme's buttons lead there, too."""
    url = config.repository_url
    if any(host in url for host in HOSTS):
        buttons = (
            "use_repository_button",
            "use_issues_button",
            "use_source_button",
        )
        config.html_theme_options |= {
            "repository_url": url,
            **dict.fromkeys(buttons, True),
        }


def _finish(
    app: Any, page: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    """Fills in the links of a page; those of the stores also get their script and lose the link to a source."""
    if page.startswith(f"{FOLDER}/"):
        app.add_js_file(SCRIPT, loading_method="defer")
        context["page_source_suffix"] = ""  # no file of the repository
    if "body" in context:
        context["body"] = _LINK.sub(
            lambda found: _address(app, page, found), context["body"]
        )


def _address(app: Any, page: str, found: re.Match[str]) -> str:
    address, _, anchor = unescape(found[1]).partition("#")
    target = f"book/{address.removesuffix('.html')}"
    if target not in app.env.found_docs:
        _LOGGER.warning(
            "%s leads to %s, and there is no such page", page, address
        )
        return "<a"
    place = f"#{escape(anchor)}" if anchor else ""
    return f'<a href="{app.builder.get_relative_uri(page, target)}{place}"'
