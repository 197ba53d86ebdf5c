"""The driver of the chapters: what it refuses, what it writes, and that it destroys nobody's work."""

import base64
import io
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import nbformat
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from sciml_lib import chapters, notebooks
from sciml_lib.errors import UserError

CHAPTER = """
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


REPOSITORY = chapters.ROOT


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
    shutil.copy(REPOSITORY / "jupytext.toml", tmp_path)
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
        ({"seeds": 10**5000}, ["seeds=a number of about 5000 digits", "at most 18 digits"]),
        ({"seeds": "9" * 5000}, ["seeds='999", "9...", "at most 18 digits"]),
        ({"seeds": "-" * 100_000 + "1"}, ["seeds='---", "a whole number"]),
        ({"seeds": [1, 2]}, ["seeds=[1, 2]", "a whole number"]),
        ({"profile": ["laptop"]}, ["profile=['laptop']", "a text"]),
        ({"profile": "lap\0top"}, ["profile=", "a text"]),
        ({"runs": None}, ["runs=None", "a text"]),
        ({"runs": "None"}, ["runs='None' is not a folder"]),
        ({"runs": "nowhere/runs"}, ["there is no folder nowhere/runs"]),
        ({"runs": "~/nowhere/runs"}, ["there is no folder", str(Path.home() / "nowhere" / "runs")]),
        ({"factor": "nan"}, ["factor='nan'", "a finite number"]),
        ({"factor": 10**400}, ["factor=a number of about 400 digits", "a finite number"]),
        ({"seeds": 2.5}, ["seeds=2.5", "a whole number"]),
        ({"seeds": True}, ["seeds=True", "a whole number"]),
        ({"factor": "wide"}, ["factor='wide'", "a finite number", "-p factor 1.0"]),
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


def test_a_folder_of_runs_is_read_where_the_reader_typed_it(book, tmp_path, monkeypatch):
    (tmp_path / "home" / "mine").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "home")
    for typed in ("~/mine", "mine", "../home/mine"):
        assert chapters.check("tiny", {"runs": typed}) == {"runs": str(tmp_path / "home" / "mine")}


def test_numbers_of_numpy_are_numbers(book):
    assert chapters.check("tiny", {"seeds": np.int64(2), "factor": np.float64(0.5)}) == {"seeds": 2, "factor": 0.5}


# --- the notebook that `chapter -o` writes -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("out.html", "does not end in .ipynb"),
        ("nowhere/out.ipynb", "there is no folder"),
        ("folder.ipynb", "folder.ipynb is a folder"),
        ("pipe.ipynb", "no regular file"),
        ("circle.ipynb/out.ipynb", "not the name of a file"),
        ("x" * 300 + ".ipynb", "not the name of a file"),
        ("book/part/tiny.ipynb", "the place of the committed chapters"),
        ("book/part/other.ipynb", "the place of the committed chapters"),
        ("book/new.ipynb", "the place of the committed chapters"),
        ("link/other.ipynb", "the place of the committed chapters"),
        ("link.ipynb", "the place of the committed chapters"),
    ],
)
def test_an_impossible_output_is_refused_before_anything_runs(book, tmp_path, monkeypatch, output, words):
    (tmp_path / "folder.ipynb").mkdir()
    os.mkfifo(tmp_path / "pipe.ipynb")
    (tmp_path / "circle.ipynb").symlink_to("circle.ipynb")
    (book / "other.ipynb").write_text("another chapter")
    (tmp_path / "link").symlink_to(book)
    (tmp_path / "link.ipynb").symlink_to(book / "other.ipynb")
    monkeypatch.setattr(chapters, "_run", lambda *_, **__: pytest.fail("the chapter was executed"))
    with pytest.raises(UserError, match=words):
        chapters.execute("tiny", {}, tmp_path / output)
    assert (book / "other.ipynb").read_text() == "another chapter"


def test_a_folder_that_cannot_be_written_is_refused_before_anything_runs(book, tmp_path, monkeypatch):
    def refuse(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(chapters.tempfile, "TemporaryFile", refuse)
    with pytest.raises(UserError, match=r"cannot write to .*: Permission denied"):
        chapters.execute("tiny", {}, tmp_path / "out.ipynb")


@pytest.mark.parametrize("given", [{"sead": 7}, {"seeds": 0}, {"seeds": -1}, {"runs": "nowhere"}])
def test_a_notebook_that_stands_there_outlives_a_chapter_that_ends_badly(book, tmp_path, given):
    mine = tmp_path / "mine.ipynb"
    mine.write_text("my work")
    with pytest.raises(Exception, match=r"sead|at least 1|a fault of the chapter itself|no folder"):
        chapters.execute("tiny", given, mine, progress=False)
    assert mine.read_text() == "my work"
    assert not list(tmp_path.glob("*mine*.tmp"))


def test_a_notebook_that_stands_there_is_replaced_at_the_end(book, tmp_path, monkeypatch):
    mine = tmp_path / "mine.ipynb"
    mine.write_text("an earlier one")
    run = chapters._run

    def look(*arguments, **options):
        notebook = run(*arguments, **options)
        assert mine.read_text() == "an earlier one"
        return notebook

    monkeypatch.setattr(chapters, "_run", look)
    chapters.execute("tiny", {"seeds": 1}, mine, progress=False)
    assert printed(mine) == "laptop 1 1.0 False \n"
    assert nbformat.read(mine, as_version=4).metadata.papermill.output_path == str(mine)


def test_a_sentence_of_the_chapter_is_all_that_remains_of_its_stop(book, tmp_path):
    with pytest.raises(UserError) as error:
        chapters.execute("tiny", {"seeds": 0}, tmp_path / "out.ipynb", progress=False)
    assert str(error.value) == "seeds=0 leaves nothing to average; choose at least 1"
    assert error.value.__cause__ is None
    assert not (tmp_path / "out.ipynb").exists()


def test_a_fault_of_the_chapter_keeps_its_traceback(book, tmp_path):
    with pytest.raises(Exception, match=r"In \[3\](.|\n)*RuntimeError(.|\n)*a fault of the chapter itself"):
        chapters.execute("tiny", {"seeds": -1}, tmp_path / "out.ipynb", progress=False)


def test_refresh_as_a_command_says_what_it_did(book, capsys):
    assert chapters.main(["refresh"]) == 0
    assert "tiny ... as committed" in capsys.readouterr().out
    assert chapters.main(["refresh", "nothing"]) == 2
    assert "unknown chapter 'nothing'" in capsys.readouterr().err


def test_without_the_book_the_sentence_says_where_chapters_are(tmp_path, monkeypatch):
    monkeypatch.setattr(chapters, "ROOT", tmp_path)
    with pytest.raises(UserError, match="clone of the repository"):
        chapters.names()


# --- edits, in either file of the pair ----------------------------------------------------------------------------


def edit_notebook(path: Path, text: str = "a remark of mine") -> bytes:
    """Adds a cell as an editor of notebooks does."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_markdown_cell(text))
    nbformat.write(notebook, path)
    return path.read_bytes()


def edit_source(path: Path, text: str = "another remark") -> None:
    path.write_text(path.read_text() + f"\n# %% [markdown]\n# {text}\n")


@pytest.fixture
def no_execution(monkeypatch):
    monkeypatch.setattr(chapters, "_run", lambda *_, **__: pytest.fail("a chapter was executed"))


@pytest.mark.parametrize("source_too", [False, True])
def test_edits_in_the_notebook_are_not_thrown_away(book, capsys, no_execution, source_too):
    mine = edit_notebook(book / "tiny.ipynb")
    if source_too:
        edit_source(book / "tiny.py")
    text = (book / "tiny.py").read_text()
    assert chapters.main(["refresh"]) == 2
    said = capsys.readouterr()
    assert "tiny.ipynb was edited" in said.err and said.out == ""
    assert (book / "tiny.ipynb").read_bytes() == mine
    assert (book / "tiny.py").read_text() == text


def test_edits_in_any_notebook_stop_before_the_first_chapter_is_executed(book, capsys, no_execution):
    shutil.copy(book / "tiny.py", book / "aaa.py")
    shutil.copy(book / "tiny.ipynb", book / "aaa.ipynb")
    edit_notebook(book / "tiny.ipynb")
    assert chapters.main(["refresh"]) == 2
    assert capsys.readouterr().out == ""


def test_both_ways_that_the_sentence_names_work(book, capsys, monkeypatch):
    monkeypatch.chdir(book.parents[1])
    for way, text in ((0, "a remark of mine"), (1, None)):
        edit_notebook(book / "tiny.ipynb")
        assert chapters.main(["refresh"]) == 2
        command = shlex.split(re.findall(r"`(.*?)`", capsys.readouterr().err)[way])
        command[0] = sys.executable if command[0] == "python" else command[0]
        subprocess.run(command, check=True, capture_output=True)
        assert chapters.main(["refresh"]) == 0
        sources = [cell.source for cell in nbformat.read(book / "tiny.ipynb", as_version=4).cells]
        assert ("a remark of mine" in sources) is ("a remark of mine" in (book / "tiny.py").read_text())
        if text is not None:
            assert text in sources
            shutil.copy(book / "tiny.py", book / "kept.txt")
        else:
            assert (book / "tiny.py").read_text() == (book / "kept.txt").read_text()


def test_edits_in_the_source_alone_go_on_and_again_before_they_are_committed(book):
    for text in ("a first remark", "a second remark"):
        edit_source(book / "tiny.py", text)
        assert chapters.refresh("tiny")
        assert nbformat.read(book / "tiny.ipynb", as_version=4).cells[-1].source == text


def test_executing_the_notebook_in_an_editor_is_no_edit(book):
    notebook = nbformat.read(book / "tiny.ipynb", as_version=4)
    notebook.cells[1].execution_count, notebook.cells[1].metadata["collapsed"] = 7, True
    notebook.cells[-1].outputs = []
    notebook.metadata["language_info"] = {"name": "python"}
    nbformat.write(notebook, book / "tiny.ipynb")
    assert chapters.refresh("tiny")
    assert printed(book / "tiny.ipynb") == "laptop 3 1.0 False \n"


def test_a_notebook_that_is_saved_while_its_chapter_runs_is_kept(book, monkeypatch):
    run = chapters._run

    def save(*arguments, **options):
        edit_notebook(book / "tiny.ipynb")
        return run(*arguments, **options)

    monkeypatch.setattr(chapters, "_run", save)
    with pytest.raises(UserError, match=r"tiny\.ipynb was saved while the chapter was executed"):
        chapters.refresh("tiny")
    assert b"a remark of mine" in (book / "tiny.ipynb").read_bytes()


def test_a_notebook_with_the_marks_of_a_merge_is_a_sentence(book, no_execution):
    (book / "tiny.ipynb").write_text("<<<<<<< HEAD\n" + (book / "tiny.ipynb").read_text())
    with pytest.raises(UserError, match=r"tiny\.ipynb is damaged: it is not a notebook"):
        chapters.refresh("tiny")


def test_jupytext_changes_nothing_in_a_refreshed_pair(book):
    before = {path: path.read_bytes() for path in (book / "tiny.py", book / "tiny.ipynb")}
    for newer in before:
        later = time.time() + 10
        os.utime(newer, (later, later))
        subprocess.run([sys.executable, "-m", "jupytext", "--sync", str(newer)], check=True, capture_output=True)
        assert {path: path.read_bytes() for path in before} == before


# --- noise of the machine -----------------------------------------------------------------------------------------


def code(book: Path, *lines: str, tags: str = "") -> None:
    """Adds a code cell to the tiny chapter."""
    with (book / "tiny.py").open("a") as file:
        file.write("\n# %%" + tags + "\n" + "\n".join(lines) + "\n")


def test_a_home_that_cannot_be_written_leaves_no_trace(book, tmp_path, monkeypatch, capfd):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HOME", str(tmp_path / "file" / "home"))  # not even root can make this folder
    for key in ("MPLCONFIGDIR", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR"):
        monkeypatch.delenv(key, raising=False)
    code(book, "import matplotlib.pyplot")
    assert chapters.refresh("tiny")
    assert printed(book / "tiny.ipynb") == "laptop 3 1.0 False \n"
    assert capfd.readouterr().err == ""  # neither does the kernel warn that it talks over TCP


def test_a_kernel_that_has_not_come_to_rest_ends_in_silence(book, capfd):
    """It has answered the last request of the tools, and is still busy with it when it is shut down."""
    code(
        book,
        "import time",
        "handlers = get_ipython().kernel.shell_handlers",
        "answer = handlers['kernel_info_request']",
        "",
        "async def linger(*request):",
        "    await answer(*request)",
        "    time.sleep(1)",
        "",
        "handlers['kernel_info_request'] = linger",
    )
    assert chapters.refresh("tiny")
    assert capfd.readouterr().err == ""


def test_what_tools_say_about_this_machine_is_dropped_and_what_the_chapter_prints_is_kept():
    stream = nbformat.v4.new_output("stream", name="stderr", text="mkdir -p failed for path /home/me/.config: read-only\n")
    fonts = nbformat.v4.new_output("stream", name="stderr", text="Matplotlib is building the font cache; wait\nreal\n")
    result = nbformat.v4.new_output("stream", name="stdout", text="mkdir -p failed for path is what tools say\n")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("", outputs=[stream, fonts, result])])
    notebooks.tidy(notebook)
    assert [output.text for output in notebook.cells[0].outputs] == ["real\n", "mkdir -p failed for path is what tools say\n"]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["import warnings", "warnings.warn('a thing is old')"], "must not warn; mend the cause: .*a thing is old"),
        (["import sys", "print('low on memory', file=sys.stderr)"], "must not warn; mend the cause: low on memory"),
        (["import os", "print(os.path.abspath('data.csv'))"], "the folder of the repository .*data.csv"),
        (["from pathlib import Path", "Path.home() / 'mine'"], "the home folder of this machine, .*/mine"),
    ],
)
def test_a_chapter_that_warns_or_names_a_folder_of_this_machine_is_not_committed(book, lines, words):
    before = (book / "tiny.ipynb").read_bytes()
    code(book, *lines)
    with pytest.raises(UserError, match=f"(?s)chapter tiny: it .*{words}"):
        chapters.refresh("tiny")
    assert (book / "tiny.ipynb").read_bytes() == before


def test_a_committed_chapter_is_that_of_the_repository_s_runs(book, tmp_path, monkeypatch):
    code(book, "import os", "print(os.environ.get('SCIML_RUNS'))")
    monkeypatch.setenv("SCIML_RUNS", str(tmp_path))
    assert chapters.refresh("tiny")
    assert printed(book / "tiny.ipynb").endswith("None\n")


# --- several chapters at once -------------------------------------------------------------------------------------


def refreshing(root: Path) -> subprocess.Popen:
    """The command that refreshes all chapters of a repository, two at a time, as somebody types it."""
    # A shell starts what it puts into the background without Ctrl-C; a person who types the command has it.
    words = "import sys, signal, pathlib; signal.signal(signal.SIGINT, signal.default_int_handler)"
    words += "; from sciml_lib import chapters; chapters.ROOT = pathlib.Path(sys.argv[1])"
    script = f"{words}; chapters._processors = lambda: 2; sys.exit(chapters.main(['refresh']))"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", script, str(root)], env=environment, start_new_session=True, **pipes)


def chapter(path: Path, *lines: str) -> None:
    """Writes a chapter with one cell, not yet executed."""
    path.write_text("# %% [markdown]\n# # A chapter\n\n# %%\n" + "\n".join(lines) + "\n")


linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere chapters are executed one after another")


@linux
def test_chapters_beside_each_other_are_those_of_one_alone_and_every_failure_is_told(book):
    shared = "import sciml_lib", "print(vars(sciml_lib).get('mark'))", "sciml_lib.mark = 1"
    chapter(book / "one.py", *shared)
    chapter(book / "two.py", *shared)
    chapter(book / "polite.py", "from sciml_lib.errors import UserError", "raise UserError('the runs are gone; train them')")
    chapter(book / "broken.py", "raise RuntimeError('a fault of the chapter')")
    chapter(book / "dead.py", "import os", "os._exit(3)")
    before = (book / "tiny.ipynb").read_bytes()
    process = refreshing(book.parents[1])
    out, err = process.communicate(timeout=300)
    assert process.returncode == 2
    assert sorted(out.splitlines()) == [
        *("broken ... failed", "dead ... failed", "one ... new output", "polite ... failed"),
        *("tiny ... as committed", "two ... new output"),
    ]
    assert "error: chapter polite: the runs are gone; train them\n" in err
    assert re.search(r"error: chapter broken: (.|\n)*RuntimeError(.|\n)*a fault of the chapter", err)
    assert re.search(r"error: chapter dead: (.|\n)*Kernel died", err)
    assert "KeyboardInterrupt" not in err and "IPKernelApp" not in err
    assert (book / "tiny.ipynb").read_bytes() == before
    assert printed(book / "one.ipynb") == printed(book / "two.ipynb") == "None\n"
    assert sorted(path.name for path in book.glob("*.ipynb*")) == ["one.ipynb", "tiny.ipynb", "two.ipynb"]


@linux
def test_ctrl_c_stops_every_kernel_and_leaves_the_book_as_it_was(book, tmp_path):
    (book / "tiny.py").unlink()
    (book / "tiny.ipynb").unlink()
    for name in ("one", "two", "three"):
        chapter(
            book / f"{name}.py",
            "import os, time",
            "from pathlib import Path",
            f"Path({str(tmp_path)!r}, '{name}.pid').write_text(str(os.getpid()))",
            "try:",
            "    time.sleep(600)",
            "except KeyboardInterrupt:",
            f"    Path({str(tmp_path)!r}, '{name}.stopped').touch()",
            "    raise",
        )
    files = sorted(book.rglob("*"))
    process = refreshing(book.parents[1])
    deadline = time.monotonic() + 300
    while len(marks := list(tmp_path.glob("*.pid"))) < 2 or not all(mark.read_text() for mark in marks):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130 and out == ""
    words = "stopped by Ctrl-C; every chapter that was finished is kept: give the same command again"
    assert err.splitlines()[-1] == words and "ForkProcess" not in err
    assert sorted(book.rglob("*")) == files
    assert {mark.stem for mark in tmp_path.glob("*.stopped")} == {mark.stem for mark in marks} and len(marks) == 2
    for mark in marks:
        with pytest.raises(ProcessLookupError):
            os.kill(int(mark.read_text()), 0)


def png(pixels: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, format="png")
    return base64.b64encode(buffer.getvalue()).decode()


@pytest.mark.parametrize(
    ("pixels", "levels", "same"),
    [(0, 0, True), (2, 120, True), (4, 16, True), (5, 1, False), (3, 135, False), (40_000, 1, False)],
)
def test_the_rule_when_two_pictures_are_the_same(pixels, levels, same):
    one = np.full((200, 200, 3), 100)
    other = one.copy()
    other[50:].reshape(-1, 3)[100 : 100 + pixels, 1] += levels
    assert notebooks.same_picture(png(one), png(other)) is same
    assert not notebooks.same_picture(png(one), png(one[:100]))
    assert not notebooks.same_picture(png(one), "bm8gcGljdHVyZQ==")


def test_another_digit_in_a_small_label_is_another_picture():
    def picture(label: str) -> str:
        figure = Figure(figsize=(8, 6), dpi=100)
        figure.text(0.3, 0.4, label, fontsize=6, color="0.3")
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
        return base64.b64encode(buffer.getvalue()).decode()

    assert not notebooks.same_picture(picture("1.3"), picture("1.8"))
    assert notebooks.same_picture(picture("1.3"), picture("1.3"))


def test_a_picture_with_another_shade_in_a_few_pixels_is_not_written_anew(book):
    code(
        book,
        "import numpy as np",
        "from PIL import Image",
        "pixels = np.full((200, 200, 3), 100, np.uint8)",
        "Image.fromarray(pixels)",
        tags=' tags=["cover"]',
    )
    assert chapters.refresh("tiny")
    cover = book.parents[1] / "book" / "_static" / "covers" / "tiny.png"
    assert np.asarray(Image.open(cover)).shape == (200, 200, 3)

    # What another machine committed: two pixels of another shade. Nothing is written.
    notebook = nbformat.read(book / "tiny.ipynb", as_version=4)
    theirs = np.full((200, 200, 3), 100)
    theirs[5, 5:7] = 190
    (output,) = (o for o in notebook.cells[-1].outputs if "image/png" in o.get("data", {}))
    output.data["image/png"] = png(theirs)
    (book / "tiny.ipynb").write_bytes(notebooks.written(notebook))
    cover.write_bytes(base64.b64decode(png(theirs)))
    before = (book / "tiny.ipynb").read_bytes(), cover.read_bytes()
    assert not chapters.refresh("tiny")
    assert ((book / "tiny.ipynb").read_bytes(), cover.read_bytes()) == before

    # A picture that shows something else is.
    (book / "tiny.py").write_text((book / "tiny.py").read_text().replace("3), 100,", "3), 200,"))
    assert chapters.refresh("tiny")
    assert (np.asarray(Image.open(cover)) == 200).all()


def test_a_drawing_stays_with_the_picture_beside_it():
    def notebook_of(shade, drawing):
        data = {"image/png": png(np.full((50, 50, 3), shade)), **drawing}
        cell = nbformat.v4.new_code_cell(outputs=[nbformat.v4.new_output("display_data", data=data)])
        return nbformat.v4.new_notebook(cells=[cell])

    def kept(new, old):
        notebooks.keep_pictures(new, old)
        return new.cells[0].outputs[0].data.get("image/svg+xml")

    here, there = {"image/svg+xml": "<svg>1.0000001</svg>"}, {"image/svg+xml": "<svg>1.0000002</svg>"}
    assert kept(notebook_of(100, here), notebook_of(100, there)) == there["image/svg+xml"]
    assert kept(notebook_of(200, here), notebook_of(100, there)) == here["image/svg+xml"]  # another figure
    assert kept(notebook_of(100, here), notebook_of(100, {})) == here["image/svg+xml"]  # had none so far
    assert kept(notebook_of(100, {}), notebook_of(100, there)) is None
