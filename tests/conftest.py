"""What several tests of training need."""

from __future__ import annotations

import importlib
import shutil
from urllib.parse import urlparse

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars",
]  # fmt: skip


@pytest.fixture(scope="session")
def browser():
    """A real browser."""
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed; the book was not opened in a browser")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    """A fresh page that remembers what went wrong on it, and how many bytes it loaded from where."""
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
    return urlparse(url).hostname == "127.0.0.1" or urlparse(url).scheme in ("data", "blob", "about", "file")


@pytest.fixture
def searches_of_25_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch's line searches as the released code had them; a newer PyTorch cuts them off with the call's evaluations."""
    module = importlib.import_module("torch.optim.lbfgs")
    search = module._strong_wolfe

    def with_25(*args: object, **options: object) -> object:
        return search(*args, **(options | {"max_ls": 25}))

    monkeypatch.setattr(module, "_strong_wolfe", with_25)
