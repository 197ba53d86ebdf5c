"""The committed chapters: executed, in step with their sources, and able to train for themselves.

That their outputs are still what the library and the stored runs give is checked beside this file, by nbval.
"""

import base64
import csv
import re

import jupytext
import nbformat
import pytest

from sciml_lib import chapters

DIGEST = re.compile(r"digest\W+(?:<code>)?([0-9a-f]{8,})")
NAMES = chapters.names()


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
    assert len(source.cells) > 5


@pytest.mark.parametrize("name", NAMES)
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
    assert list(found) == ["profile", "device", "seeds", "runs"]
    for parameter in found.values():
        assert parameter.type and parameter.help, f"{parameter} needs a type and a comment"


@pytest.mark.parametrize("name", NAMES)
def test_papermill_really_trains_the_chapter_and_the_second_time_only_reads(name, smoke_runs, tmp_path):
    output = chapters.execute(name, {"profile": "smoke"}, tmp_path / "first.ipynb", runs=smoke_runs, progress=False)
    first = rows(smoke_runs)
    assert first, "the smoke run of a chapter stored no training run"
    assert all(int(row["iterations"]) > 0 and float(row["test_error"]) > 0 for row in first)
    cells = [cell for cell in nbformat.read(output, as_version=4).cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in cells)
    assert any(is_figure(cell) for cell in cells)
    again = chapters.execute(name, {"profile": "smoke"}, tmp_path / "again.ipynb", runs=smoke_runs, progress=False)
    assert rows(smoke_runs) == first
    assert again.exists()


def rows(folder) -> list[dict[str, str]]:
    found = []
    for cells in sorted(folder.glob("**/cells.csv")):
        with cells.open(newline="", encoding="utf-8") as lines:
            found += list(csv.DictReader(lines))
    return found
