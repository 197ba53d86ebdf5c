"""The driver of the chapters: what it refuses, what it writes, and that a refreshed chapter does not change."""

import shutil
import textwrap
from pathlib import Path

import nbformat
import pytest

from sciml_lib import chapters
from sciml_lib.errors import UserError

CHAPTER = """
    # ---
    # jupyter:
    #   jupytext:
    #     formats: ipynb,py:percent
    #     text_representation:
    #       extension: .py
    #       format_name: percent
    #   kernelspec:
    #     display_name: Python 3
    #     language: python
    #     name: python3
    # ---

    # %% [markdown]
    # # A chapter

    # %% tags=["parameters"]
    profile: str = "laptop"  # smoke | laptop | paper
    seeds: int = 3  # use the first n seeds
    factor: float = 1.0  # of the threshold
    loud: bool = False  # say more
    runs: str = ""  # folder of stored runs

    # %%
    from tqdm import tqdm
    from sciml_lib.errors import UserError

    if seeds == 0:
        raise UserError("seeds=0 leaves nothing to average; choose at least 1")
    if seeds < 0:
        raise RuntimeError("a fault of the chapter itself")
    for _ in tqdm(range(3)):
        pass
    print(profile, seeds, factor, loud, runs)
"""


@pytest.fixture(scope="module")
def executed_book(tmp_path_factory) -> Path:
    """A repository whose book has one tiny chapter, called tiny, already executed."""
    root = tmp_path_factory.mktemp("repository")
    folder = root / "book" / "part"
    folder.mkdir(parents=True)
    (folder / "tiny.py").write_text(textwrap.dedent(CHAPTER).lstrip(), encoding="utf-8")
    (root / "book" / "_ext").mkdir()
    (root / "book" / "_ext" / "no_chapter.py").write_text("")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chapters, "ROOT", root)
        assert chapters.refresh("tiny")
    return root


@pytest.fixture
def book(executed_book, tmp_path, monkeypatch) -> Path:
    """The folder of the tiny chapter in a fresh copy of that repository."""
    shutil.copytree(executed_book / "book", tmp_path / "book")
    monkeypatch.setattr(chapters, "ROOT", tmp_path)
    return tmp_path / "book" / "part"


def printed(notebook: Path) -> str:
    cells = nbformat.read(notebook, as_version=4).cells
    return "".join(output.text for cell in cells for output in cell.get("outputs", []))


def test_a_refreshed_chapter_comes_out_byte_for_byte_the_same(book):
    before = (book / "tiny.ipynb").read_bytes()
    assert printed(book / "tiny.ipynb") == "laptop 3 1.0 False \n"
    assert b"papermill" not in before
    assert not chapters.refresh("tiny")
    assert (book / "tiny.ipynb").read_bytes() == before


def test_folders_with_an_underscore_hold_no_chapters(book):
    assert chapters.names() == ["tiny"]


def test_parameters_are_listed_with_type_default_and_help(book):
    found = chapters.parameters("tiny")
    assert list(found) == ["profile", "seeds", "factor", "loud", "runs"]
    assert str(found["profile"]) == "profile: str = 'laptop' (smoke | laptop | paper)"
    assert str(found["seeds"]) == "seeds: int = 3 (use the first n seeds)"


def test_text_is_read_in_the_declared_type(book):
    given = {"seeds": "5", "factor": "2", "loud": "true", "profile": "7"}
    assert chapters.check("tiny", given) == {"seeds": 5, "factor": 2.0, "loud": True, "profile": "7"}


def test_parameters_reach_the_chapter_and_progress_bars_do_not_stay(book, tmp_path, capfd):
    output = chapters.execute("tiny", {"seeds": 2, "profile": "smoke"}, tmp_path / "out.ipynb", runs=tmp_path)
    assert printed(output) == f"smoke 2 1.0 False {tmp_path}\n"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"sead": 7}, ["unknown parameter", "'sead'", "did you mean seeds", "seeds: int = 3 (use the first n seeds)"]),
        ({"seeds": "three"}, ["seeds='three'", "a whole number", "-p seeds 3"]),
        ({"seeds": 2.5}, ["seeds=2.5", "a whole number"]),
        ({"seeds": True}, ["seeds=True", "a whole number"]),
        ({"factor": "wide"}, ["factor='wide'", "a number", "-p factor 1.0"]),
        ({"loud": "maybe"}, ["loud='maybe'", "True or False"]),
        ({"profile": 3}, ["profile=3", "a text"]),
    ],
)
def test_a_wrong_parameter_is_one_sentence_and_nothing_is_written(book, tmp_path, given, words):
    with pytest.raises(UserError) as error:
        chapters.execute("tiny", given, tmp_path / "out.ipynb")
    for word in words:
        assert word in str(error.value)
    assert not (tmp_path / "out.ipynb").exists()


def test_an_unknown_chapter_offers_the_nearest(book, tmp_path):
    with pytest.raises(UserError, match="unknown chapter 'tinny': did you mean tiny"):
        chapters.execute("tinny", {}, tmp_path / "out.ipynb")


@pytest.mark.parametrize(
    ("output", "words"),
    [("out.html", "does not end in .ipynb"), ("nowhere/out.ipynb", "there is no folder"), (None, "committed chapter")],
)
def test_an_impossible_output_is_refused(book, tmp_path, output, words):
    with pytest.raises(UserError, match=words):
        chapters.execute("tiny", {}, book / "tiny.ipynb" if output is None else tmp_path / output)


def test_a_sentence_of_the_chapter_is_all_that_remains_of_its_stop(book, tmp_path):
    with pytest.raises(UserError) as error:
        chapters.execute("tiny", {"seeds": 0}, tmp_path / "out.ipynb", progress=False)
    assert str(error.value) == "seeds=0 leaves nothing to average; choose at least 1"
    assert error.value.__cause__ is None
    assert not (tmp_path / "out.ipynb").exists()


def test_a_fault_of_the_chapter_keeps_its_traceback_and_its_notebook(book, tmp_path):
    with pytest.raises(Exception, match="a fault of the chapter itself"):
        chapters.execute("tiny", {"seeds": -1}, tmp_path / "out.ipynb", progress=False)
    assert (tmp_path / "out.ipynb").exists()


def test_refresh_as_a_command_says_what_it_did(book, capsys):
    assert chapters.main(["refresh"]) == 0
    assert "tiny ... as committed" in capsys.readouterr().out
    assert chapters.main(["refresh", "nothing"]) == 2
    assert "unknown chapter 'nothing'" in capsys.readouterr().err


def test_without_the_book_the_sentence_says_where_chapters_are(tmp_path, monkeypatch):
    monkeypatch.setattr(chapters, "ROOT", tmp_path)
    with pytest.raises(UserError, match="clone of the repository"):
        chapters.names()
