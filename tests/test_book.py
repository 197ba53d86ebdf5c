"""The built book: no warning, no broken link, and every page right in a real browser with no network."""

import functools
import http.server
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlparse

import pytest
import yaml
from bs4 import BeautifulSoup

from sciml_lib import chapters
from sciml_lib.figures import style

ROOT = chapters.ROOT
HEAVIEST = 5_000_000
"""Bytes that a page may need before a reader has scrolled or clicked."""

PHONE = {"width": 390, "height": 844}
TURNABLE = "book/landscapes/rugged_surfaces"
"""A page with figures that can be turned."""

LEAST = 9.0
"""Pixels that a number along an axis has at least."""


@pytest.fixture(scope="session")
def build(tmp_path_factory):
    """The finished build of the book in a temporary folder, warnings as errors."""
    folder = tmp_path_factory.mktemp("book")
    command = [str(Path(sys.executable).with_name("jupyter-book")), "build", str(ROOT), "--path-output", str(folder)]
    environment = {**os.environ, "PYTHONWARNINGS": ""}
    done = subprocess.run(
        [*command, "-W", "--keep-going", "--all", "-q"],
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT,
    )
    return folder / "_build" / "html", done


@pytest.fixture(scope="session")
def html(build) -> Path:
    folder, done = build
    if done.returncode or not (folder / "book" / "intro.html").exists():
        pytest.fail("the book does not build; see test_the_book_builds_without_a_warning")
    return folder


@pytest.fixture(scope="session")
def pages(html) -> dict[Path, BeautifulSoup]:
    """Every page, parsed; the theme's own templates are no pages."""
    paths = [path for path in sorted(html.rglob("*.html")) if "_static" not in path.parts]
    return {path: BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser") for path in paths}


def contents() -> list[str]:
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    chapters = [chapter for part in toc["parts"] for chapter in part["chapters"]]
    # The pages of stores are named by a pattern; they have tests of their own.
    files = (one.get("file") for chapter in chapters for one in (chapter, *chapter.get("sections", ())))
    return [toc["root"], *filter(None, files)]


def test_the_book_builds_without_a_warning(build):
    folder, done = build
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert (folder / "book" / "intro.html").exists()


def test_every_page_of_the_contents_is_built_and_every_chapter_is_in_the_contents(html):
    for page in contents():
        assert (html / f"{page}.html").exists()
    for name in chapters.names():
        assert str(chapters._source(name).relative_to(ROOT).with_suffix("")) in contents()


def test_every_internal_link_resolves(html, pages):
    anchors = {
        path: {tag[key] for key in ("id", "name") for tag in page.find_all(attrs={key: True})} for path, page in pages.items()
    }
    broken, seen = set(), 0
    for path, page in pages.items():
        for tag, attribute in (("a", "href"), ("link", "href"), ("img", "src"), ("script", "src")):
            for element in page.find_all(tag, attrs={attribute: True}):
                address, fragment = urldefrag(element[attribute])
                if urlparse(address).scheme:
                    continue
                seen += 1
                if fragment.startswith("sweep="):  # no place on the page but a choice; the next test follows it
                    fragment = ""
                target = (path.parent / unquote(urlparse(address).path)).resolve() if address else path
                known = anchors.get(target)
                if not target.exists() or (fragment and known is not None and unquote(fragment) not in known):
                    broken.add(f"{path.relative_to(html)}: {element[attribute]}")
    assert seen > 100
    assert not broken, "\n".join(sorted(broken))


def test_every_link_to_a_cell_names_one_that_is_stored(html, pages):
    links = [urldefrag(element["href"]) for page in pages.values() for element in page.select('a[href*="#sweep="]')]
    assert len(links) >= 3
    for _, fragment in links:
        chosen = dict(part.split("=") for part in unquote(fragment).split("&"))
        name = ".".join([*chosen["sweep"].split("/"), chosen["profile"]])
        text = (html / "_static" / "explorer" / f"{name}.js").read_text(encoding="utf-8")
        stored = json.loads(text[text.index(" = ") + 3 : text.rindex(";")])
        if "c" in chosen:
            assert float(chosen["c"]) in stored["coefficient"]["values"] and int(chosen["n"]) in stored["data"]["values"]


def test_nothing_is_loaded_from_elsewhere(pages):
    for path, page in pages.items():
        for tag, attribute in (("link", "href"), ("img", "src"), ("script", "src"), ("iframe", "src")):
            for element in page.find_all(tag, attrs={attribute: True}):
                assert not element[attribute].startswith(("http:", "https:", "//")), f"{path.name}: {element}"


def test_every_picture_of_the_text_has_alternative_text(pages):
    pictures = 0
    for path, page in pages.items():
        for image in page.select("article img"):
            pictures += 1
            assert len(image.get("alt", "")) > 20, f"{path.name}: {image}"
    assert pictures >= 3


def test_the_search_index_knows_the_words_of_the_book(html):
    index = (html / "searchindex.js").read_text(encoding="utf-8")
    for word in ("colloc", "regim", "bootstrap", "papermil"):
        assert f'"{word}' in index or f"{word}" in index.split("terms:")[-1], word


@pytest.fixture(scope="session")
def site(html):
    """The book on a local server."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(html)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("name", [*contents(), "search", "genindex"])
def test_a_browser_opens_the_page_without_trouble(page, site, name):
    page.goto(f"{site}/{name}.html", wait_until="networkidle")
    assert sum(page.loaded.values()) <= HEAVIEST, page.loaded
    page.evaluate("[...document.images].forEach(i => { i.loading = 'eager'; })")
    page.wait_for_function("[...document.images].every(i => i.complete)")
    if page.locator("span.math, div.math").count():
        page.wait_for_selector("mjx-container", state="attached", timeout=20_000)  # the first may be folded
        page.wait_for_timeout(300)
        assert page.locator("mjx-merror").count() == 0
    missing = page.evaluate("[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)")
    assert missing == []
    shape = "getComputedStyle(i).objectFit == 'fill' && "
    shape += "Math.abs((i.width / i.height) / (i.naturalWidth / i.naturalHeight) - 1) > 0.02"
    distorted = f"[...document.querySelectorAll('article img')].filter(i => {shape}).map(i => i.src)"
    assert page.evaluate(distorted) == []
    silent = "[...document.querySelectorAll('article figure img')].filter(i => (i.alt || '').length < 20).map(i => i.src)"
    assert page.evaluate(silent) == []
    # Numbers along axes have 9.5 points, in pictures at 150 dots an inch, in drawings at 96; what is folded is not measured.
    pictures = "[...document.querySelectorAll('article .cell_output figure img')].filter(i => i.clientWidth && i.naturalWidth)"
    sizes = page.evaluate(f"{pictures}.map(i => [i.src, (i.src.endsWith('svg') ? 96 : 150) * i.clientWidth / i.naturalWidth])")
    assert [source for source, dots in sizes if style.RC["xtick.labelsize"] / 72 * dots < LEAST] == []
    for window in (page.viewport_size, PHONE):
        page.set_viewport_size(window)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"the page is {wide} pixels wider than a window of {window['width']}"
    assert page.troubles == []


@pytest.mark.parametrize("window", [{"width": 1440, "height": 1000}, PHONE])
def test_a_figure_can_be_enlarged(page, site, window):
    page.set_viewport_size(window)
    page.goto(f"{site}/book/regimes/model_families.html", wait_until="networkidle")
    link = page.locator("article figure a.enlargeable").first
    image, dialog = link.locator("img"), page.locator("dialog.enlarged")
    small, address = image.bounding_box()["width"], page.url
    assert not dialog.is_visible()
    for ask, leave in ((link.click, "Escape"), (lambda: link.press("Enter"), "Enter")):
        ask()
        assert dialog.is_visible() and page.url == address
        large = dialog.locator("img")
        assert large.get_attribute("alt") == image.get_attribute("alt")
        assert large.bounding_box()["width"] > 1.2 * small
        assert style.RC["xtick.labelsize"] / 72 * 150 * large.bounding_box()["width"] / 1680 >= LEAST
        page.keyboard.press(leave)  # Enter presses the button that closes
        assert not dialog.is_visible()
        assert link.evaluate("link => link === document.activeElement")
    assert page.troubles == []


def test_a_picture_that_leads_to_a_page_still_does(page, site):
    page.goto(f"{site}/book/glance/figures.html", wait_until="networkidle")
    link = page.locator("article a:has(img.thumbnail)").first
    assert link.get_attribute("class") is None
    link.click()
    page.wait_for_url(lambda address: "#fig-" in address)
    assert page.troubles == []


def test_every_part_that_was_run_shows_a_small_picture_when_it_is_reached(page, site, pages, html):
    rows = pages[html / "book" / "glance" / "figures.html"].select("article table tbody tr")
    assert len(rows) > 30
    for row in rows:
        words, small = row.get_text(), row.select_one("img.thumbnail[loading=lazy]")
        assert (small is None) == ("not\N{NO-BREAK SPACE}run" in words), words
    page.goto(f"{site}/book/glance/figures.html", wait_until="networkidle")
    at_first = len([address for address in page.loaded if "/thumbs/" in address])
    page.locator("img.thumbnail").last.scroll_into_view_if_needed()
    page.wait_for_function("[...document.querySelectorAll('img.thumbnail')].at(-1).naturalWidth > 0")
    assert len([address for address in page.loaded if "/thumbs/" in address]) > at_first
    assert page.troubles == []


def test_a_figure_that_can_be_turned_is_drawn_when_it_is_reached(page, site):
    page.goto(f"{site}/{TURNABLE}.html", wait_until="networkidle")
    figure = page.locator("figure:has(.turnable)").first
    assert figure.locator("figcaption .caption-number").inner_text().startswith("Fig.")
    assert len(figure.locator("[role=img]").get_attribute("aria-label")) > 20
    assert not [address for address in page.loaded if "plotly" in address]
    figure.scroll_into_view_if_needed()
    figure.locator("canvas").first.wait_for(timeout=60_000)
    assert [address for address in page.loaded if "plotly" in address]
    titles = "Object.entries({}._fullLayout).filter(([k]) => /^scene[0-9]*$/.test(k)).map(([, s]) => s.zaxis.title.text)"
    assert page.evaluate(titles.format("document.querySelector('.turnable-plot')")) == ["training loss"] * 2
    # The wheel scrolls the page and not the figure.
    box = figure.locator(".turnable").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2)
    before = page.evaluate("scrollY")
    page.mouse.wheel(0, 300)
    page.wait_for_function(f"scrollY > {before} + 100")
    assert page.troubles == []


def test_the_surfaces_of_a_figure_stand_below_each_other_on_a_phone(page, site):
    page.set_viewport_size(PHONE)
    page.goto(f"{site}/{TURNABLE}.html", wait_until="networkidle")
    figure = page.locator(".turnable").first
    figure.scroll_into_view_if_needed()
    figure.locator("canvas").first.wait_for(timeout=60_000)
    whole = figure.bounding_box()
    first, second = (figure.locator(f"#scene{k}").bounding_box() for k in ("", "2"))
    for scene in (first, second):
        assert scene["x"] >= whole["x"] - 1 and scene["x"] + scene["width"] <= whole["x"] + whole["width"] + 1
        assert scene["width"] > 250
    assert second["y"] >= first["y"] + first["height"]
    assert page.troubles == []


def test_tables_can_be_read_on_a_phone(page, site):
    page.set_viewport_size(PHONE)
    page.goto(f"{site}/book/glance/figures.html", wait_until="networkidle")
    entry = page.locator("table.cards tbody td:nth-child(2)").first
    assert entry.evaluate("e => getComputedStyle(e, '::before').content") == '"what it shows"'
    assert page.locator("table.cards").first.evaluate("t => t.scrollWidth <= t.parentElement.clientWidth + 1")
    page.goto(f"{site}/book/regimes/pinn_convection.html", wait_until="networkidle")
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    wide = "[...document.querySelectorAll('.pst-scrollable-table-container')].find(b => b.scrollWidth > b.clientWidth + 40)"
    page.wait_for_function(wide)
    head = f"{wide}.querySelector('tbody tr > :first-child').getBoundingClientRect().left"
    before = page.evaluate(head)
    page.evaluate(f"{wide}.scrollLeft = 40")
    assert page.evaluate(f"{wide}.scrollLeft") == 40 and page.evaluate(head) == pytest.approx(before, abs=1)
    page.wait_for_function(f"{wide}.matches('.more-before.more-after')")
    page.evaluate(f"{wide}.scrollLeft = 10000")
    page.wait_for_function(f"!{wide}.matches('.more-after')")


def test_the_root_leads_to_the_landing_page(page, site):
    page.goto(f"{site}/index.html", wait_until="networkidle")
    page.wait_for_url("**/book/intro.html")
    assert page.troubles == []


def test_dark_mode_changes_the_page(page, site):
    page.goto(f"{site}/book/intro.html", wait_until="networkidle")
    background = "getComputedStyle(document.body).backgroundColor"
    seen = {}
    for _ in range(3):  # light, dark, and the system's choice
        seen[page.evaluate("document.documentElement.dataset.theme")] = page.evaluate(background)
        page.locator("button.theme-switch-button:visible").first.click()
    assert set(seen) == {"light", "dark"}
    assert seen["light"] != seen["dark"]
    assert page.troubles == []


def test_search_finds_a_word(page, site):
    page.goto(f"{site}/search.html?q=bootstrap", wait_until="networkidle")
    page.wait_for_selector("ul.search li a", timeout=20_000)
    assert page.locator("ul.search li a").count() >= 1
    assert page.troubles == []


@pytest.mark.parametrize(("width", "height"), [(1440, 1000), (390, 844)])
def test_a_cell_of_a_map_opens_by_a_click_and_by_the_keyboard_without_a_server(page, html, width, height):
    page.set_viewport_size({"width": width, "height": height})
    page.goto((html / "book" / "explorer" / "cells.html").as_uri())
    cells = page.locator(".explorer-cell")
    cells.first.wait_for()
    cells.nth(3).click()
    heading, cards = page.locator(".explorer-detail h2"), page.locator(".explorer-card")
    heading.wait_for()
    opened = heading.inner_text()
    assert cards.filter(has_text="Seed 0").count() == 1 and "lbfgs" in page.locator(".explorer-detail pre").inner_text()
    assert heading.is_visible() and page.locator('.explorer-cell[aria-selected="true"]').count() == 1
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert heading.inner_text() != opened and cards.filter(has_text="Seed 0").count() == 1
    address = page.url
    page.reload()
    heading.wait_for()
    assert page.url == address and heading.inner_text() != opened
    background, lit = "getComputedStyle(document.querySelector('.explorer-controls select')).backgroundColor", set()
    for theme in ("light", "dark"):
        page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
        lit.add(page.evaluate(background))
    assert len(lit) == 2
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    assert page.troubles == []


def test_a_figure_leads_to_its_cells_in_the_explorer(page, site):
    page.goto(f"{site}/book/regimes/pinn_strategies.html", wait_until="networkidle")
    page.locator("a[href*='explorer/cells.html#sweep=pinn/convection/alm']", has_text="explore").first.click()
    page.wait_for_selector(".explorer-cell")
    assert page.locator(".explorer-controls select").first.input_value() == "pinn/convection/alm"
    assert page.url.endswith("book/explorer/cells.html#sweep=pinn/convection/alm&profile=laptop")


def test_a_figure_leads_to_the_rows_of_its_sweep_and_these_can_be_sorted(page, site, html):
    name = "pinn-convection-lbfgs-laptop"
    page.goto(f"{site}/book/runs/{name}.html#c30-n1000-s0", wait_until="networkidle")
    page.wait_for_selector("[id='c30-n1000-s0']", timeout=60_000)
    assert page.evaluate("document.querySelector(':target').id") == "c30-n1000-s0"
    one = page.locator(".one-run pre")
    assert one.inner_text().strip().endswith("--runs my_runs --coefficient 30 --n-data 1000 --seed 0")
    page.locator("[id='c5-n100-s1'] a").click()
    page.wait_for_function("document.querySelector('.one-run pre').textContent.includes('--coefficient 5 ')")
    assert one.inner_text().strip().endswith("--coefficient 5 --n-data 100 --seed 1")

    head = page.locator("table.sortable thead th", has_text="training loss")
    column = "[...document.querySelectorAll('table.sortable tbody tr')].map(r => Number(r.cells[4].textContent))"
    before = page.evaluate(column)
    assert head.get_attribute("aria-sort") == "none" and before != sorted(before)
    head.get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending" and page.evaluate(column) == sorted(before)
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending" and page.evaluate(column) == sorted(before, reverse=True)
    assert page.locator("th[aria-sort='ascending'], th[aria-sort='descending']").count() == 1
    page.locator("table.sortable thead th", has_text="seed").get_by_role("button").click()
    assert page.locator("th[aria-sort='descending']").count() == 0

    (link,) = page.locator("a.download", has_text="cells.csv").all()
    stored = (ROOT / "runs/pinn/convection/lbfgs/laptop/cells.csv").read_bytes()
    assert (html / "book" / "runs" / link.get_attribute("href")).resolve().read_bytes() == stored
    page.set_viewport_size({"width": 390, "height": 844})
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"the page is {wide} pixels wider than a telephone"
    assert page.troubles == []


def test_every_store_has_a_page_that_is_no_burden(html):
    pages = list((html / "book" / "runs").glob("*.html"))
    stores = [path for path in (ROOT / "runs").glob("*/*/*/*/cells.csv") if "_archive" not in path.parts]
    assert len(pages) > len(stores) > 10
    assert max(path.stat().st_size for path in pages) < 1_000_000


def test_the_lines_below_the_figures_lead_to_their_rows(pages):
    """In chapters that were executed since the lines lead anywhere."""
    links = [link for page in pages.values() for link in page.select("p.provenance a")]
    assert len(links) > 100 and all(link.has_attr("href") for link in links)
