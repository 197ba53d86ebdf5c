"""The commands of the README and of the page "Run it yourself": each one is run, the expensive ones in their cheap form."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import sciml_lib
from sciml_lib import chapters, studies

ROOT = chapters.ROOT
PAGES = ("README.md", "book/start/run_it_yourself.md")
CHEAP = {
    "--profile": "smoke", "--device": "cpu", "--time-limit": "2m", "--n-data": "100", "--seeds": "1", "--coefficient": "5",
}  # fmt: skip


def commands(page: str) -> list[str]:
    blocks = re.findall(r"^```bash\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.S | re.M)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line.split(" #")[0].strip() for line in lines if line.strip() and not line.startswith("#")]


ALL = sorted({command for page in PAGES for command in commands(page)})


def test_both_pages_have_commands():
    for page in PAGES:
        assert {"make book", "make test"} <= set(commands(page))
    assert sum(command.startswith("python -m sciml_lib") for command in ALL) >= 5


def cheap(words: list[str], folder: Path) -> list[str]:
    """The command with the smallest profile, and with what it writes in a temporary folder."""
    words = list(words)
    if "--coefficient" in words:  # which the profile that is the default has, and not the smallest
        words += ["--profile", "smoke"]
    for index, word in enumerate(words[:-1]):
        if word in CHEAP:
            words[index + 1] = CHEAP[word]
        if word in ("-o", "--runs"):
            words[index + 1] = str(folder / words[index + 1])
        if word == "-p" and words[index + 1] == "profile":
            words[index + 2] = "smoke"
    if words[0] == "papermill":
        words[2] = str(folder / words[2])
    return words


@pytest.mark.parametrize("command", ALL)
def test_the_command_works(command, smoke_runs, tmp_path):
    words = cheap(shlex.split(command), tmp_path)
    if words[0] == "make":
        # Only asked whether it knows the target: what it would do is what this test is part of.
        done = subprocess.run(["make", "--dry-run", *words[1:]], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return
    if words[:2] == ["source", ".venv/bin/activate"]:
        assert "VENV   ?= .venv" in (ROOT / "Makefile").read_text(encoding="utf-8")
        return
    if words[:3] == ["python", "-m", "sciml_lib"] and words[3] in ("measure", "study"):
        # These look at networks that are stored; a reader of the repository has them.
        for sweep in [words[4]] if words[3] == "measure" else studies.get(words[4]).sweeps("smoke"):
            sciml_lib.load_or_train(sweep, "smoke", runs=smoke_runs)
    if words[0] == "python":
        words[0] = sys.executable
    elif words[0] == "papermill":
        words[:1] = [sys.executable, "-m", "papermill"]
    else:
        pytest.fail(f"no check is written for the command {command!r}")
    environment = {**os.environ, "SCIML_RUNS": str(smoke_runs), "PYTHONWARNINGS": ""}
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def test_the_python_lines_of_the_page_run(smoke_runs, monkeypatch):
    text = (ROOT / "book/start/run_it_yourself.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.S | re.M)
    assert blocks
    monkeypatch.setenv("SCIML_RUNS", str(smoke_runs))
    sciml_lib.load_or_train("pinn/convection/lbfgs", "smoke", runs=smoke_runs)
    for block in blocks:
        exec(block.replace('"laptop"', '"smoke"'), {})


def test_every_file_that_the_readme_links_to_exists():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert links
    for link in links:
        assert (ROOT / link).exists(), link
