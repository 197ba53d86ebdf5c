"""The committed chapters: executed, in step with their sources, and able to train for themselves.

That their outputs are still what the library and the stored runs give is checked beside this file, by nbval.
"""

import base64
import csv
import os
import re
import shutil

import jupytext
import jupytext.cli
import nbformat
import pytest

from sciml_lib import chapters, ledger, notebooks

DIGEST = re.compile(r"digest\W+(?:<code>)?([0-9a-f]{8,})")
NAMES = chapters.names()
OVERVIEWS = [name for name in NAMES if chapters._source(name).parent.name in ("glance", "book")]
"""They read what is stored and train nothing."""
CHAPTERS = [name for name in NAMES if name not in OVERVIEWS]


def notebook(name: str):
    return nbformat.read(chapters._notebook(name), as_version=4)


def code_cells(name: str) -> list:
    cells = [cell for cell in notebook(name).cells if cell.cell_type == "code"]
    assert cells, f"the chapter {name} has no code"
    return cells


def words(outputs: list) -> str:
    parts = []
    for output in outputs:
        data = output.get("data", {})
        parts += [
            output.get("text", ""),
            data.get("text/plain", ""),
            data.get("text/html", ""),
            data.get("text/markdown", ""),
        ]
    return "\n".join(parts)


def is_figure(cell) -> bool:
    return any(kind.startswith("image/") for output in cell.outputs for kind in output.get("data", {}))


def test_there_are_chapters():
    assert "pinn_convection" in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_code_cell_is_committed_executed_in_order_and_without_an_error(name):
    cells = code_cells(name)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert outputs
    assert not [output for output in outputs if output.output_type == "error"]
    assert not [output for output in outputs if output.get("name") == "stderr"]


@pytest.mark.parametrize("name", NAMES)
def test_the_pair_is_in_step(name):
    def content(notebook) -> list[tuple[str, str, dict]]:
        return [(cell.cell_type, cell.source, dict(cell.metadata)) for cell in notebook.cells]

    source = jupytext.read(chapters._source(name))
    assert content(notebook(name)) == content(source)
    assert len(source.cells) >= 5


@pytest.mark.parametrize("newer", [".py", ".ipynb"])
@pytest.mark.parametrize("name", NAMES)
def test_jupytext_has_nothing_to_do(name, newer, tmp_path):
    source, committed = chapters._source(name), chapters._notebook(name)
    for path in (chapters.ROOT / "jupytext.toml", source, committed):
        shutil.copyfile(path, tmp_path / path.name)
        os.utime(tmp_path / path.name, (2e9, 2e9) if path.suffix == newer else (1e9, 1e9))
    assert jupytext.cli.jupytext(["--sync", "--quiet", str(tmp_path / committed.name)]) == 0
    for path in (source, committed):
        same = (tmp_path / path.name).read_bytes() == path.read_bytes()
        assert same, f"give `python -m jupytext --sync {path.relative_to(chapters.ROOT)}`, then look at what it changed"


@pytest.mark.parametrize("name", NAMES)
def test_the_notebook_holds_nothing_but_what_its_source_and_data_determine(name):
    committed = notebook(name)
    tidy = notebook(name)
    notebooks.tidy(tidy)
    notebooks.normalise(tidy)
    assert tidy == committed
    notebooks.refuse_traces(committed, chapters._folders_of_this_machine())


@pytest.mark.parametrize("name", CHAPTERS)
def test_every_figure_is_followed_by_the_digest_of_its_data(name):
    cells = code_cells(name)
    figures = [index for index, cell in enumerate(cells) if is_figure(cell)]
    assert figures, f"the chapter {name} shows no figure"
    for index in figures:
        after = cells[index + 1] if index + 1 < len(cells) else None
        assert after is not None and DIGEST.search(words(after.outputs)), f"no digest after code cell {index + 1} of {name}"


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_has_a_name_a_caption_and_alternative_text(name):
    for cell in code_cells(name):
        if is_figure(cell):
            settings = cell.metadata.get("mystnb", {})
            assert settings["figure"]["name"].startswith("fig-")
            assert len(settings["figure"]["caption"]) > 20
            assert len(settings["image"]["alt"]) > 20


@pytest.mark.parametrize("name", NAMES)
def test_the_picture_on_the_landing_page_is_the_one_in_the_chapter(name):
    cover = chapters.ROOT / "book" / "_static" / "covers" / f"{name}.png"
    pictures = [
        base64.b64decode(output.data["image/png"])
        for cell in code_cells(name)
        if "cover" in cell.metadata.get("tags", ())
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]
    assert pictures == ([cover.read_bytes()] if cover.exists() else [])


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_typed_and_explained(name):
    found = chapters.parameters(name)
    assert list(found) == (["runs"] if name in OVERVIEWS else ["profile", "device", "seeds", "runs"])
    for parameter in found.values():
        assert parameter.type and parameter.help, f"{parameter} needs a type and a comment"


@pytest.mark.parametrize("name", CHAPTERS)
def test_papermill_really_trains_the_chapter(name, smoke_runs, tmp_path):
    """With the smallest profile; the full execution is the one that nbval compares, so no chapter is executed thrice."""
    output = chapters.execute(name, {"profile": "smoke"}, tmp_path / "first.ipynb", runs=smoke_runs, progress=False)
    stored = rows(smoke_runs)
    assert stored, "the smoke run of a chapter stored no training run"
    assert all(int(row["iterations"]) > 0 and float(row["test_error"]) > 0 for row in stored)
    cells = [cell for cell in nbformat.read(output, as_version=4).cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in cells)
    assert any(is_figure(cell) for cell in cells)


@pytest.mark.parametrize("name", OVERVIEWS)
def test_an_overview_counts_what_is_there(name, smoke_runs, tmp_path):
    """With a folder that holds hardly anything, everything is said to be not run."""
    before = rows(smoke_runs)
    output = chapters.execute(name, {}, tmp_path / "overview.ipynb", runs=smoke_runs, progress=False)
    cells = [cell for cell in nbformat.read(output, as_version=4).cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in cells) and rows(smoke_runs) == before
    if name == "figures":
        assert "0 are drawn at the paper's scale" in "\n".join(words(cell.outputs) for cell in cells)
    if name in ("intro", "claims"):
        said = "\n".join(words(cell.outputs) for cell in cells)
        assert re.search(rf"{len(ledger.claims())}\W.*{len(ledger.claims())} are open", said, re.DOTALL), said


def test_the_second_time_a_chapter_only_reads(smoke_runs, tmp_path):
    output = tmp_path / "again.ipynb"
    chapters.execute("three_regimes", {"profile": "smoke"}, output, runs=smoke_runs, progress=False)
    first = rows(smoke_runs)
    chapters.execute("three_regimes", {"profile": "smoke"}, output, runs=smoke_runs, progress=False)
    assert first and rows(smoke_runs) == first


def rows(folder) -> list[dict[str, str]]:
    found = []
    for cells in sorted(folder.glob("**/cells.csv")):
        with cells.open(newline="", encoding="utf-8") as lines:
            found += list(csv.DictReader(lines))
    return found
