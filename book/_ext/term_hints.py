"""Hints on terms: a link to the glossary shows the first sentence of its entry when the pointer is over it."""

from __future__ import annotations

from typing import Any

from docutils import nodes


def setup(app: Any) -> dict[str, bool]:
    """Adds the hints when all links are known."""
    app.connect("doctree-resolved", _hint)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _hint(app: Any, tree: nodes.document, name: str) -> None:
    sentences = _sentences(app.env)
    for link in tree.findall(nodes.reference):
        anchor = link.get("refid") or link.get("refuri", "").partition("#")[2]
        if anchor in sentences:
            link["reftitle"] = sentences[anchor]


def _sentences(env: Any) -> dict[str, str]:
    """The first sentence of every entry, by its anchor."""
    found = {}
    pages = {page for _, _, kind, page, _, _ in _objects(env) if kind == "term"}
    for page in pages:
        for item in env.get_doctree(page).findall(nodes.definition_list_item):
            terms = [
                term
                for term in item.findall(nodes.term)
                if any(one.startswith("term-") for one in term["ids"])
            ]
            definition = next(item.findall(nodes.definition), None)
            if terms and definition is not None:
                text = " ".join(definition.astext().split())
                sentence = text.split(". ")[0].rstrip(".") + "."
                for term in terms:
                    found |= dict.fromkeys(term["ids"], sentence)
    return found


def _objects(env: Any) -> Any:
    return env.get_domain("std").get_objects()
