"""The extensions of the book's builder, one by one: what they write beside the static files, and what they add to a page."""

import base64
import importlib.util
import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
from bs4 import BeautifulSoup
from PIL import Image
from plotly.offline import get_plotlyjs
from sphinx.ext.napoleon import Config, GoogleDocstring

from sciml_lib import chapters, figures
from sciml_lib.figures import Relief


def extension(name: str):
    path = chapters.ROOT / "book" / "_ext" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def handlers_of(name: str, **parts):
    """What an extension connects to the events of the builder, by event, and the builder."""
    handlers = {}
    app = SimpleNamespace(connect=handlers.__setitem__, **parts)
    extension(name).setup(app)
    return handlers, app


def page_of(handlers, app, body):
    context = {"body": body}
    handlers["html-page-context"](app, "page", "page.html", context, None)
    return context["body"]


def test_the_drawing_library_is_written_once_and_its_loader_goes_where_a_figure_needs_it(tmp_path):
    (tmp_path / "book" / "_static").mkdir(parents=True)
    target = tmp_path / "book" / "_static" / "plotly.min.js"
    added = []
    handlers, app = handlers_of(
        "turnable_figures", confdir=str(tmp_path), add_js_file=lambda name, **options: added.append((name, options))
    )
    handlers["config-inited"](app, None)
    assert target.read_text(encoding="utf-8") == get_plotlyjs() and [p.name for p in target.parent.iterdir()] == [target.name]
    before = target.stat().st_mtime_ns
    handlers["config-inited"](app, None)
    assert target.stat().st_mtime_ns == before
    target.write_text("of another version", encoding="utf-8")
    handlers["config-inited"](app, None)
    assert target.read_text(encoding="utf-8") == get_plotlyjs()

    page_of(handlers, app, "<p>no figure</p>")
    handlers["html-page-context"](app, "search", "search.html", {}, None)
    assert added == []
    line = np.linspace(-1.0, 1.0, 5)
    relief = Relief("a surface", line, line, line[:, None] + line)
    page_of(handlers, app, figures.to_html(figures.surface_interactive([relief], title="t"), alt="surfaces"))
    assert added == [("turnable.js", {"loading_method": "defer"})]
    assert (chapters.ROOT / "book" / "_static" / "turnable.js").exists()


def table(*aligned):
    heads = "".join(f'<th class="head {side}"><p>column {k}</p></th>' for k, side in enumerate(aligned))
    entries = "".join(f'<td class="{side}"><p>entry {k} &amp; more</p></td>' for k, side in enumerate(aligned))
    return f'<table class="table"><thead><tr>{heads}</tr></thead><tbody><tr>{entries}</tr></tbody></table>'


def test_entries_of_a_table_of_text_carry_the_heads_of_their_columns():
    handlers, app = handlers_of("readable_tables")
    body = f"<p>before</p>{table('text-left', 'text-left', 'text-left')}<p>after</p>"
    changed = page_of(handlers, app, body)
    assert changed.startswith("<p>before</p>") and changed.endswith("<p>after</p>")
    soup = BeautifulSoup(changed, "html.parser")
    assert soup.table["class"] == ["table", "cards"]
    assert [entry["data-label"] for entry in soup.select("td")] == ["column 0", "column 1", "column 2"]
    assert [entry.get_text() for entry in soup.select("td")] == [f"entry {k} & more" for k in range(3)]


def test_tables_of_numbers_and_narrow_ones_stay_as_they_are():
    handlers, app = handlers_of("readable_tables")
    for body in (table("text-left", "text-right", "text-right"), table("text-left", "text-left"), "<p>no table</p>"):
        assert page_of(handlers, app, body) == body
    handlers["html-page-context"](app, "search", "search.html", {}, None)  # a page without a body


def test_figures_with_a_name_get_a_small_picture(tmp_path):
    buffer = io.BytesIO()
    Image.new("RGB", (1600, 800), "red").save(buffer, "png")
    png = base64.b64encode(buffer.getvalue()).decode()

    def cell(data, **metadata):
        return {"metadata": metadata, "outputs": [{"data": data}]}

    named = {"mystnb": {"figure": {"name": "fig-red"}}}
    cells = [cell({"image/png": png}, **named), cell({"image/png": png}), cell({"text/html": ""}, **named), {"metadata": {}}]
    folder = tmp_path / "book" / "x"
    (tmp_path / "book" / "_static").mkdir(parents=True)
    folder.mkdir()
    (folder / "a.ipynb").write_text(json.dumps({"cells": cells}))
    handlers, app = handlers_of("thumbnails", confdir=str(tmp_path))
    handlers["config-inited"](app, None)
    (small,) = (tmp_path / "book" / "_static" / "thumbs").iterdir()
    with Image.open(small) as picture:
        assert small.name == "fig-red.png" and picture.size == (320, 160) and picture.getpixel((9, 9)) == (255, 0, 0)


def test_pictures_of_figures_are_loaded_late_and_keep_their_place():
    handlers, app = handlers_of("lazy_pictures")
    body = '<img alt="a" src="a.png" style="width: 1075px; height: 900px;" /><img alt="b" src="b.png" />'
    first, second = BeautifulSoup(page_of(handlers, app, body), "html.parser").select("img")
    assert first["loading"] == "lazy" and first["src"] == "a.png" and first["alt"] == "a"
    assert first["style"] == "width: 1075px; height: 900px; aspect-ratio: auto 1075 / 900;"
    assert "loading" not in second.attrs


@pytest.mark.parametrize("kind", ["attribute", "property"])
@pytest.mark.parametrize(
    "words",
    ["The coefficient as one types it: ``beta``.", "Its name: and more: of it.\n\nTuples are lists.", "No more than this."],
)
def test_the_first_sentence_of_an_attribute_keeps_what_stands_before_its_colon(kind, words):
    handlers = {}
    app = SimpleNamespace(connect=lambda event, handler, priority: handlers.update({event: (handler, priority)}))
    extension("attribute_words").setup(app)
    handler, priority = handlers["autodoc-process-docstring"]
    lines = GoogleDocstring(words, Config(napoleon_google_docstring=True), what=kind, name="name").lines()
    handler(app, kind, "name", None, None, lines)
    assert [line for line in lines if line] == [line for line in words.split("\n") if line] and priority > 500
    if ":" in words:
        assert lines != GoogleDocstring(words, Config(napoleon_google_docstring=True), what=kind, name="name").lines()
