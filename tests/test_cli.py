"""The command line, as a person types it."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from sciml_lib import chapters, sweeps
from sciml_lib.cli import main, seconds_of
from sciml_lib.errors import UserError
from sciml_lib.strategies import Adam, Strategy
from sciml_lib.sweeps import catalog, expectation, places
from sciml_lib.sweeps.rows import Row
from sciml_lib.sweeps.setups import PINNSetup
from sciml_lib.sweeps.spec import Cell, Reduction, Sweep

ROOT = Path(__file__).parents[1]
TINY = Sweep(
    id="pinn/convection/tiny",
    title="Tiny, for tests",
    system="convection",
    coefficients=(0.5, 5.0),
    n_data=(10, 20),
    seeds=(0, 1),
    setup=PINNSetup(hidden=(4,)),
    strategy=Strategy((Adam(4),)),
    reading="None.",
    profiles={"smoke": Reduction(why="For tests."), "long": Reduction(why="x", strategy=Strategy((Adam(10**6),)))},
)


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(catalog.SWEEPS, TINY.id, TINY)
    monkeypatch.setenv("SCIML_RUNS", str(tmp_path / "runs"))
    torch.set_num_threads(1)


def typed(line: str) -> Result:
    return CliRunner().invoke(main, shlex.split(line))


def refused(line: str) -> str:
    """The sentence with which a command is refused: one line, exit status 2, no traceback."""
    result = typed(line)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1
    assert result.stdout == ""
    return result.stderr


def test_list_shows_every_sweep_and_profile() -> None:
    result = typed("list")
    assert result.exit_code == 0
    for sweep_id in catalog.ids():
        assert f"{sweep_id}\n" in result.output
    assert "laptop    252 runs" in result.output and "paper     720 runs" in result.output


@pytest.mark.parametrize("line", ["--help", "list --help", "run --help", "status --help", "chapter --help"])
def test_help_shows_examples_that_can_be_typed(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_sweeps.py").write_text(
        "from sciml_lib import Adam, Strategy, Sweep\n"
        "MINE = Sweep(id='pinn/burgers/lbfgs', title='Mine', system='convection', strategy=Strategy((Adam(4),)),\n"
        "             coefficients=(1.0,), n_data=(10,), seeds=(0,))\n"
    )
    monkeypatch.setattr(catalog, "_OWN", {})
    result = typed(line)
    assert result.exit_code == 0 and "python -m sciml_lib" in result.output
    if line != "--help":
        examples = [text.strip() for text in result.output.splitlines() if text.startswith("    python -m")]
        assert examples
        for example in examples:
            _, _, _, command, *arguments = example.split()
            main.commands[command].make_context(command, arguments)  # parses it without doing it


def test_run_status_run_again() -> None:
    result = typed("run pinn/convection/tiny --profile smoke --device cpu")
    assert result.exit_code == 0, result.output
    assert re.search(r"0 of 8 runs are stored in \S+tiny/smoke; the rest takes up to about \d+ s on cpu", result.stdout)
    assert re.search(r"pinn/convection/tiny, smoke: 8 of 8 runs are stored in \S+, 8 of them by this call", result.stdout)
    result = typed("status pinn/convection/tiny --profile smoke")
    assert re.search(r"tiny, smoke: 8 of 8 runs, \d+ s of training\n    8 budget_spent", result.stdout)
    result = typed("run pinn/convection/tiny --profile smoke --quiet")
    folder = places.folder_of(TINY.at("smoke"))
    assert result.stdout == f"pinn/convection/tiny, smoke: 8 of 8 runs are stored in {folder}, 0 of them by this call\n"


def test_a_cell_that_is_run_again_is_set_beside_the_stored_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = tmp_path / "repository"
    monkeypatch.setattr(places, "repository_runs", lambda: repository)
    one = (
        f"run pinn/convection/tiny --profile smoke --quiet --device cpu --runs {tmp_path / 'mine'} --coefficient 5 --n-data 10"
    )
    none = typed(one + " --seed 0")
    assert none.exit_code == 0, none.output
    assert none.stdout.splitlines()[1:] == [
        "beta=5, n_data=10: nothing is stored for this cell, so there is no range to expect"
    ]
    typed(f"run pinn/convection/tiny --profile smoke --quiet --device cpu --runs {repository}")
    table = repository / "pinn/convection/tiny/smoke/cells.csv"
    before = table.read_bytes()
    rows = [line.split(",") for line in table.read_text().splitlines()[1:]]
    stored = {int(row[2]): row for row in rows if row[:2] == ["5.0", "10"]}
    low, high = sorted(float(row[4]) for row in stored.values())
    result = typed(one)  # the other seed, and the one that is there
    assert "2 of 8 runs are stored" in result.stdout and "1 of them by this call" in result.stdout
    expect, *places_of = result.stdout.splitlines()[1:]
    assert f"the 2 stored seeds (0, 1) gave: training loss {low:.2g} to {high:.2g}, test error" in expect
    assert expect.endswith("a further seed lies outside such a range in 2 of 3 cases")
    assert sorted(line[2:9] for line in places_of) == ["seed 0:", "seed 1:"]
    for line in places_of:  # the engine gives the same bits whoever trains beside
        assert line.count("(inside, stored: ") == 2
    assert table.read_bytes() == before
    table.write_text("\n".join(line for line in table.read_text().splitlines() if not line.startswith("5.0,10,1")) + "\n")
    assert "only seed 0 is stored: training loss" in typed(one).stdout
    assert "expect" not in typed(one.replace(" --coefficient 5", "")).stdout  # a map is not listed cell by cell


def test_a_new_run_is_placed_beside_the_range_of_its_cell() -> None:
    def row(seed: int, loss: float, error: float = 0.5, status: str = "budget_spent") -> Row:
        return Row(Cell(5.0, 10, seed), status, loss, {}, error, 1, 1, 1.0, "cpu")

    job = sweeps.Job.of(TINY, "smoke", coefficients=[5.0], n_data=[10])
    stored = (row(0, 1e-3), row(1, 3e-3), row(2, float("nan"), float("nan"), "diverged"))
    sentences = expectation.Expected(job, stored).sentences([row(0, 2e-3, 0.6), row(1, 4e-3, float("nan"))])
    assert "training loss 0.001 to 0.003, test error 0.5 to 0.5, 1 without a finite value" in sentences[0]
    assert "in 2 of 4 cases" in sentences[0]
    assert sentences[1:] == [
        "  seed 0: training loss 0.002 (inside, stored: 0.001), test error 0.6 (above the range, stored: 0.5)",
        "  seed 1: training loss 0.004 (above the range, stored: 0.003), test error nan (not finite, stored: 0.5)",
    ]


def test_first_seeds_and_single_seeds_exclude_each_other() -> None:
    said = refused("run pinn/convection/tiny --profile smoke --seeds 1 --seed 0")
    assert "--seeds 1" in said and "--seed names single ones" in said
    assert "choose among 0.5, 5" in refused("run pinn/convection/tiny --profile smoke --coefficient 30")
    assert "choose among 0, 1" in refused("run pinn/convection/tiny --profile smoke --seed 7")


def test_status_of_everything_says_what_is_left() -> None:
    typed("run pinn/convection/tiny --profile smoke --seeds 1 --quiet --device cpu")
    result = typed("status")
    assert result.exit_code == 0
    assert "pinn/convection/lbfgs, paper: 0 of 720 runs" in result.stdout
    assert re.search(r"tiny, smoke: 4 of 8 runs, \d+ s of training, about \d+ s left on cpu", result.stdout)


def test_status_goes_on_after_a_damaged_store() -> None:
    typed("run pinn/convection/tiny --profile smoke --quiet --device cpu")
    (places.folder_of(TINY.at("smoke")) / "manifest.json").write_text("{")
    result = typed("status")
    assert result.exit_code == 2
    assert "pinn/convection/tiny, smoke: error: " in result.stderr and "pinn/convection/tiny, long" in result.stdout


def test_the_time_limit_says_that_there_is_more_to_do() -> None:
    result = typed("run pinn/convection/tiny --profile long --time-limit 0.2s --quiet --device cpu")
    assert result.exit_code == 75
    command = "python -m sciml_lib run pinn/convection/tiny --profile long --device cpu --time-limit 0.2s"
    assert f"stopped by the time limit; go on with `{command}`" in result.stdout


def test_restart_puts_the_runs_aside_and_mends_a_manifest(tmp_path: Path) -> None:
    typed("run pinn/convection/tiny --profile smoke --quiet --device cpu")
    manifest = places.folder_of(TINY.at("smoke")) / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"spec_hash": "', '"spec_hash": "0'))
    sentence = refused("run pinn/convection/tiny --profile smoke")
    command = sentence.split("`")[1]
    assert command == "python -m sciml_lib run pinn/convection/tiny --profile smoke --restart"
    result = typed(command.removeprefix("python -m sciml_lib ") + " --quiet --device cpu")
    assert result.exit_code == 0 and "8 of them by this call" in result.stdout
    (aside,) = (tmp_path / "runs/_archive/pinn/convection/tiny").iterdir()
    assert len((aside / "cells.csv").read_text().splitlines()) == 9


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("9m", 540), ("1.5h", 5400), ("1h30m", 5400), ("1h 30m", 5400), ("2D", 172_800)],
)
def test_times_are_read(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "9 parsecs", "nan", "inf", "1e3", "-1", "1m30", "0s", "0h0m", "1:30"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="--time-limit"):
        seconds_of(text)


def test_a_chapter_gets_its_parameters(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[object] = []
    monkeypatch.setattr(chapters, "execute", lambda *arguments: seen.append(arguments))
    result = typed(f"chapter pinn_convection -p profile smoke -p seeds 2 -o {tmp_path / 'out.ipynb'}")
    assert result.exit_code == 0, result.output
    assert seen == [("pinn_convection", {"profile": "smoke", "seeds": "2"}, tmp_path / "out.ipynb")]


def test_help_needs_no_torch_and_training_needs_no_plotting() -> None:
    code = (
        "import sys; from sciml_lib.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "assert 'torch' not in sys.modules\n"
        "import sciml_lib; sciml_lib.load, sciml_lib.run\n"
        "heavy = {'matplotlib', 'seaborn', 'contourpy', 'papermill', 'jupytext', 'nbclient', 'IPython'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_ctrl_c_of_a_real_process_says_how_to_go_on(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sciml_lib", "run", "pinn/convection/lbfgs", "--quiet", "--device", "cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "SCIML_RUNS": str(tmp_path)}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(tmp_path.rglob(".checkpoint*.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "stopped by Ctrl-C; go on with `python -m sciml_lib run pinn/convection/lbfgs --profile laptop --device cpu`" in out
    assert "Traceback" not in err
    assert list(tmp_path.rglob(".checkpoint*.pt"))
