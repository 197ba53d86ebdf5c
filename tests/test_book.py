"""The built book: no warning, no broken link, and every page right in a real browser with no network."""

import functools
import http.server
import os
import shutil
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

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
LEAST = 9.0
"""Pixels that a number along an axis has at least."""

FLAGS = [
    "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
]  # fmt: skip


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
    return [toc["root"], *(one["file"] for chapter in chapters for one in (chapter, *chapter.get("sections", ())))]


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
                target = (path.parent / unquote(urlparse(address).path)).resolve() if address else path
                known = anchors.get(target)
                if not target.exists() or (fragment and known is not None and unquote(fragment) not in known):
                    broken.add(f"{path.relative_to(html)}: {element[attribute]}")
    assert seen > 100
    assert not broken, "\n".join(sorted(broken))


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


@pytest.fixture(scope="session")
def browser():
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed; the book was not opened in a browser")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    """A fresh page that remembers what went wrong on it."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    page = context.new_page()
    page.troubles, page.loaded = [], {}
    page.on("response", lambda r: page.loaded.update({r.url: int(r.headers.get("content-length", 0))}))
    page.on("pageerror", lambda error: page.troubles.append(f"script error: {error}"))
    page.on("console", lambda message: page.troubles.append(message.text) if message.type == "error" else None)
    page.on("requestfailed", lambda request: page.troubles.append(f"failed: {request.url}"))
    page.on("response", lambda r: page.troubles.append(f"{r.status}: {r.url}") if r.status >= 400 else None)
    page.on("request", lambda r: page.troubles.append(f"external: {r.url}") if not _local(r.url) else None)
    yield page
    context.close()


def _local(url: str) -> bool:
    return urlparse(url).hostname == "127.0.0.1" or urlparse(url).scheme in ("data", "blob", "about")


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
