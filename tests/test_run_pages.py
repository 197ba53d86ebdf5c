"""The pages of the stored sweeps: made of a small folder of runs, and of a damaged one."""

from __future__ import annotations

import importlib
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from bs4 import BeautifulSoup
from sphinx.errors import ExtensionError

import sciml_lib
from sciml_lib import chapters, studies
from sciml_lib.errors import UserError
from sciml_lib.figures import provenance
from sciml_lib.strategies import Adam, Strategy
from sciml_lib.studies import Jumps
from sciml_lib.sweeps import catalog
from sciml_lib.sweeps.setups import PINNSetup
from sciml_lib.sweeps.spec import Reduction, Sweep

TINY = Sweep(
    id="pinn/convection/lbfgs-tiny",
    title="Tiny, for *tests* <b>",
    system="convection",
    coefficients=(0.5, 5.0, 50.0),
    n_data=(10, 20),
    seeds=(0, 1),
    setup=PINNSetup(hidden=(4,)),
    strategy=Strategy((Adam(4),)),
    reading="A_word and {{ another }}.",
    profiles={
        "laptop": Reduction(why="Less.", coefficients=(0.5, 5.0), strategy=Strategy((Adam(2),))),
        "paper": Reduction(why="All of it."),
    },
)
OWN = replace(TINY, id="pinn/mine/adam", profiles={"laptop": Reduction(why="Mine.")})
LAPTOP = "pinn-convection-lbfgs-tiny-laptop"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of a sweep of the catalog, some of them measured, and of one that a page of the book would define."""
    runs = tmp_path_factory.mktemp("runs")
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalog, "SWEEPS", {TINY.id: TINY})
        sciml_lib.run(TINY, "laptop", runs=runs, device="cpu", progress=False, seeds=1)
        sciml_lib.measure(TINY, "laptop", runs=runs, device="cpu", progress=False)
        sciml_lib.run(OWN, "laptop", runs=runs, device="cpu", progress=False, seed_numbers=[1])
    return runs


@pytest.fixture
def runs(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of them that may be damaged, with the tiny sweep as the whole catalog."""
    monkeypatch.setattr(catalog, "SWEEPS", {TINY.id: TINY})
    return Path(shutil.copytree(trained, tmp_path / "runs"))


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The extension."""
    names = ("run_pages", "run_texts", "run_stores")
    monkeypatch.syspath_prepend(str(chapters.ROOT / "book" / "_ext"))
    yield importlib.import_module("run_pages")
    for name in names:
        sys.modules.pop(name, None)


def table(text: str) -> BeautifulSoup:
    """The table of rows on a page."""
    return BeautifulSoup(text, "html.parser").select_one("table.sortable")


def test_every_store_has_a_page_and_the_index_knows_what_is_planned(pages: ModuleType, runs: Path, tmp_path: Path) -> None:
    found = pages.texts(runs, tmp_path)
    assert list(found) == ["index", LAPTOP, "pinn-mine-adam-laptop"]
    index = table(found["index"])
    links = [tag["data-page"] for tag in index.select("a")]
    assert links == [f"runs/{LAPTOP}.html", "runs/pinn-mine-adam-laptop.html"]
    first = [cell.text for cell in index.tbody.tr.find_all(["th", "td"])]
    assert first[:4] == [TINY.id, "laptop", "4", "12"]
    assert sum(int(count or 0) for count in first[4:7]) == 4
    planned = found["index"].split("## Planned, and not stored")[1]
    assert planned.count("python -m sciml_lib run ") == 1 and "--profile paper` | 12 | All of it." in planned


def test_the_page_tells_the_recipe_the_reading_and_who_trained(pages: ModuleType, runs: Path, tmp_path: Path) -> None:
    text = pages.texts(runs, tmp_path)[LAPTOP]
    assert text.startswith("# pinn/convection/lbfgs-tiny, laptop\n\n**Tiny, for \\*tests\\* \\<b\\>.**\n")  # nothing is obeyed
    assert "A\\_word and \\{\\{ another \\}\\}." in text
    assert "4 of 8 (12 in the whole sweep), with smaller budgets" in text and "0 (1 of 2)" in text
    assert "2 steps of Adam" in text and "4 steps of Adam" in text and "1 hidden layer of 4 tanh units" in text
    made = text.split("## Who trained it")[1].split("##")[0]
    assert "cores" in made and ("| fused |" in made or "| eager |" in made) and f"torch {torch.__version__}" in made
    again = text.split("## Re-run")[1].split("##")[0]
    assert f"run {TINY.id} --profile laptop\n" in again
    assert f"run {TINY.id} --profile laptop --runs my_runs --coefficient " in again and str(runs) not in text
    own = pages.texts(runs, tmp_path)["pinn-mine-adam-laptop"]
    assert f"run {OWN.id} --profile laptop --plugin my_sweeps.py" in own and "Adam (steps 4, " in own


def test_every_run_has_a_row_with_an_anchor_and_what_was_measured(pages: ModuleType, runs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "book" / "runs"
    text = pages.texts(runs, folder)[LAPTOP]
    rows = table(text).tbody.find_all("tr")
    assert {row["id"] for row in rows} == {f"c{c}-n{n}-s0" for c in ("0.5", "5") for n in (10, 20)}
    heads = [head.text for head in table(text).thead.find_all("th")]
    assert heads[:6] == ["coefficient", "n_data", "seed", "regime", "training loss", "test error"]
    stored = sciml_lib.load(TINY, "laptop", runs).sel(coefficient=5, n_data=20, seed=0)
    row = table(text).find(id="c5-n20-s0")
    shown = dict(zip(heads, (cell.text for cell in row.find_all(["th", "td"])), strict=True))
    for head, name in (("training loss", "train_loss"), ("test error", "test_error"), ("largest eigenvalue", "lambda_max")):
        assert float(shown[head]) == pytest.approx(float(stored[name]), rel=1e-3)
    assert shown["status"] == str(stored.status.values) and shown["regime"] in ("I", "II", "III")
    assert row.a["href"] == "#c5-n20-s0"
    for name in ("cells.csv", "curvature.csv", "manifest.json"):
        (path,) = [part.split(">`")[0] for part in text.split(f"{{download}}`{name} <")[1:]]
        assert (folder / path).resolve() == runs / TINY.id / "laptop" / name
    small = BeautifulSoup(text, "html.parser").select("table.run-map a")
    assert [tag["href"] for tag in small] == ["#c0.5-n20-s0", "#c5-n20-s0", "#c0.5-n10-s0", "#c5-n10-s0"]
    assert [tag.text for tag in small] == [_regime(text, tag["href"][1:]) for tag in small]  # of one seed


def _regime(text: str, anchor: str) -> str:
    return table(text).find(id=anchor).find_all("td")[2].text


def test_commits_lead_to_the_repository_where_its_address_is_set(pages: ModuleType, runs: Path, tmp_path: Path) -> None:
    path, number = runs / TINY.id / "laptop" / "manifest.json", "0123456789" * 4
    path.write_text(re.sub('"commit": "[^"]*"', f'"commit": "{number}"', path.read_text()))
    assert "https://" not in pages.texts(runs, tmp_path)[LAPTOP]
    linked = pages.texts(runs, tmp_path, "https://github.com/me/fork")[LAPTOP]
    assert f"[`0123456`](https://github.com/me/fork/commit/{number})" in linked


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("cells.csv", lambda text: text.replace("budget_spent", "budget_lost", 1)),
        ("cells.csv", lambda text: text[:-20]),  # its last line is cut off
        ("curvature.csv", lambda text: text.replace(",cpu,", ",", 1)),
        ("manifest.json", lambda text: text[:-20]),
        ("manifest.json", lambda text: text.replace('"profile": "laptop"', '"profile": "paper"')),
        ("manifest.json", None),
    ],
)
def test_a_damaged_store_stops_the_build_with_the_name_of_the_file(
    pages: ModuleType, runs: Path, file: str, damage: object
) -> None:
    path = runs / TINY.id / "laptop" / file
    if damage is None:
        path.unlink()
    else:
        path.write_text(damage(path.read_text()))
    root = runs.parent
    app = SimpleNamespace(confdir=str(root))
    with pytest.raises(ExtensionError) as error:
        pages._write(app, SimpleNamespace(repository_url=""))
    named = path if damage else path.with_name("cells.csv")
    assert str(named) in str(error.value) and "\n" not in str(error.value)
    assert not (root / "book").exists()


def test_a_damaged_table_of_a_sweep_that_is_not_in_the_catalog_is_named_too(
    pages: ModuleType, runs: Path, tmp_path: Path
) -> None:
    path = runs / OWN.id / "laptop" / "cells.csv"
    path.write_text(path.read_text().replace("10,1,", "10,one,", 1))
    with pytest.raises(UserError, match=r"cells.csv is damaged \(invalid literal .*restore it"):
        pages.texts(runs, tmp_path)


def test_pages_are_written_where_they_change_and_removed_with_their_stores(
    pages: ModuleType, runs: Path, tmp_path: Path
) -> None:
    app = SimpleNamespace(confdir=str(tmp_path))
    folder, config = tmp_path / "book" / "runs", SimpleNamespace(repository_url="")
    pages._write(app, config)
    names = {path.name for path in folder.iterdir()}
    assert names == {"index.md", f"{LAPTOP}.md", "pinn-mine-adam-laptop.md"}
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    shutil.rmtree(runs / "pinn" / "mine")
    pages._write(app, config)
    after = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert set(after) == names - {"pinn-mine-adam-laptop.md"}
    assert after[f"{LAPTOP}.md"] == before[f"{LAPTOP}.md"] and after["index.md"] != before["index.md"]


@pytest.mark.parametrize("page", ["book/intro", "book/regimes/one", "book/a/b/two", f"book/runs/{LAPTOP}"])
def test_links_are_right_from_every_depth(pages: ModuleType, page: str) -> None:
    target = f"book/runs/{LAPTOP}"
    builder = SimpleNamespace(get_relative_uri=lambda start, to: "../" * start.count("/") + to + ".html")
    scripts: list[str] = []
    app = SimpleNamespace(
        env=SimpleNamespace(found_docs={target}), builder=builder, add_js_file=lambda name, **_: scripts.append(name)
    )
    address = provenance.page_of(TINY.id, "laptop", (0.5, 10, 0))
    context = {"body": f"<p>{provenance.link('a row', address, 'seen')}</p>", "page_source_suffix": ".md"}
    pages._finish(app, page, "page.html", context, None)
    link = BeautifulSoup(context["body"], "html.parser").a
    assert link["href"] == "../" * page.count("/") + f"book/runs/{LAPTOP}.html#c0.5-n10-s0"
    assert (link["title"], link.text) == ("seen", "a row") and not link.has_attr("data-page")
    assert scripts == (["run_table.js"] if page == target else [])
    assert context["page_source_suffix"] == ("" if page == target else ".md")


def test_a_link_to_a_page_that_is_not_there_warns(pages: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(pages._LOGGER, "warning", lambda text, *words: said.append(text % words))
    context = {"body": provenance.link("rows", provenance.page_of("pinn/x/y", "smoke"))}
    pages._finish(SimpleNamespace(env=SimpleNamespace(found_docs=set())), "book/intro", "page.html", context, None)
    assert said == ["book/intro leads to runs/pinn-x-y-smoke.html, and there is no such page"]
    assert "href" not in context["body"] and "rows" in context["body"]


def test_a_repository_that_is_set_gets_the_buttons_of_the_theme(pages: ModuleType) -> None:
    for url, buttons in (("", set()), ("https://example.org/x", set()), ("https://github.com/me/fork", {True})):
        config = SimpleNamespace(repository_url=url, html_theme_options={})
        pages._name_repository(None, config)
        assert set(config.html_theme_options.values()) - {url} == buttons


def test_the_stored_items_of_a_study_have_a_page(pages: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of the repository's own study, whose networks are stored."""
    monkeypatch.setattr(studies, "STUDIES", {"jumps": Jumps()})
    run_stores = importlib.import_module("run_stores")
    run_texts = importlib.import_module("run_texts")
    (found,) = run_stores.study_stores(chapters.ROOT / "runs")
    stores = run_stores.stores(chapters.ROOT / "runs")
    text = run_texts.study_page(found, tmp_path, str, stores)
    rows = table(text).tbody.find_all("tr")
    assert {row["id"] for row in rows} == {item.key for item in found.results.items} and len(rows) > 1
    assert rows[0].a["data-page"].startswith("runs/pinn-convection-lbfgs-laptop.html#c")
    bare = table(run_texts.study_page(found, tmp_path, str, [])).tbody.find("tr")  # whose network is not stored
    assert bare.a["data-page"] == "runs/pinn-convection-lbfgs-laptop.html"
    assert "python -m sciml_lib study jumps --profile laptop\n" in text and '"recipe"' not in text
