"""The set-up of `make`: whatever interrupted it, the same command goes on. No network: what would install is a stub."""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sciml_lib import chapters

# Stands in for a Python outside of an environment: makes an environment whose python has pip, and notes what it was asked.
OUTSIDE = """#!/bin/sh
echo "outside $*" >> calls
[ "$1 $2" = "-m venv" ] || exit 0
rm -rf "$3"
mkdir -p "$3/bin"
cp inside.sh "$3/bin/python"
"""
INSIDE = """#!/bin/sh
echo "inside $*" >> calls
"""


@pytest.fixture
def clone(tmp_path) -> Path:
    """A folder in which `make .venv/.ready` can be given; nothing is installed."""
    for name in ("Makefile", "requirements.txt", "pyproject.toml"):
        shutil.copy(chapters.ROOT / name, tmp_path)
    for name, text in (("outside.sh", OUTSIDE), ("inside.sh", INSIDE)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    return tmp_path


def make(clone: Path, *words: str) -> subprocess.CompletedProcess:
    (clone / "calls").unlink(missing_ok=True)
    return subprocess.run(
        ["make", "PYTHON=./outside.sh", *words, ".venv/.ready"], cwd=clone, capture_output=True, text=True, timeout=60
    )


def calls(clone: Path) -> list[str]:
    return (clone / "calls").read_text().splitlines()


def test_a_new_clone_gets_an_environment_and_its_requirements(clone):
    assert make(clone).returncode == 0
    assert "outside -m venv .venv" in calls(clone)
    assert [call for call in calls(clone) if "-m pip install" in call and "-r requirements.txt" in call]
    assert (clone / ".venv" / ".ready").exists()


def test_an_environment_without_pip_is_made_again(clone):
    # What Ctrl-C leaves in the first seconds: a python that works, and no pip yet.
    half = clone / ".venv" / "bin" / "python"
    half.parent.mkdir(parents=True)
    half.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -I -S "$@"\n')
    half.chmod(0o755)
    assert make(clone).returncode == 0
    assert "outside -m venv .venv" in calls(clone)
    assert (clone / ".venv" / ".ready").exists()


def test_an_environment_with_pip_is_kept_and_its_installation_goes_on(clone):
    assert make(clone).returncode == 0
    (clone / ".venv" / ".ready").unlink()  # interrupted while the requirements were installed
    assert make(clone).returncode == 0
    assert not [call for call in calls(clone) if call.startswith("outside")]
    assert [call for call in calls(clone) if "-m pip install" in call and "-r requirements.txt" in call]


def test_a_python_that_makes_no_pip_is_said(clone):
    (clone / "inside.sh").write_text("#!/bin/sh\nexit 1\n")
    done = make(clone)
    assert done.returncode != 0
    assert ".venv has no pip; remove that folder and give the command again" in done.stdout
    assert not (clone / ".venv" / ".ready").exists()
