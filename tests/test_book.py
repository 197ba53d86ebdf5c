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

ROOT = chapters.ROOT
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars",
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
    return [toc["root"], *(chapter["file"] for part in toc["parts"] for chapter in part["chapters"])]


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
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    page.troubles = []
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
    if page.locator("span.math, div.math").count():
        page.wait_for_selector("mjx-container", state="attached", timeout=20_000)  # the first may be folded
        page.wait_for_timeout(300)
        assert page.locator("mjx-merror").count() == 0
    missing = page.evaluate("[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)")
    assert missing == []
    shape = "Math.abs((i.width / i.height) / (i.naturalWidth / i.naturalHeight) - 1) > 0.02"
    distorted = f"[...document.querySelectorAll('article img')].filter(i => {shape}).map(i => i.src)"
    assert page.evaluate(distorted) == []
    silent = "[...document.querySelectorAll('article figure img')].filter(i => (i.alt || '').length < 20).map(i => i.src)"
    assert page.evaluate(silent) == []
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"the page is {wide} pixels wider than the window"
    assert page.troubles == []


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
    assert all(link.has_attr("href") for link in links)
