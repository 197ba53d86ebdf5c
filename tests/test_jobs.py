"""Jobs: what commands say and do when they are typed, where runs go, whose code made them, and what a call costs."""

from __future__ import annotations

import dataclasses
import importlib
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

import sciml_lib
from sciml_lib import sweeps
from sciml_lib.cli import main
from sciml_lib.errors import UserError
from sciml_lib.problems import PINN
from sciml_lib.strategies import Adam, Strategy
from sciml_lib.sweeps import catalog, curvature, manifest, places, planner, plugins, provenance, store
from sciml_lib.sweeps.job import Job, words
from sciml_lib.sweeps.setups import PINNSetup
from sciml_lib.sweeps.spec import Cell, Reduction, Sweep
from sciml_lib.systems import Wave

# PyTorch's own forward differentiation still calls it.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

TINY = Sweep(
    id="pinn/convection/tiny",
    title="Tiny, for tests",
    system="convection",
    coefficients=(0.5, 5.0),
    n_data=(10, 20),
    seeds=(0, 1),
    setup=PINNSetup(hidden=(4,)),
    strategy=Strategy((Adam(2),)),
    reading="None.",
    profiles={"smoke": Reduction(why="For tests."), "long": Reduction(why="x", strategy=Strategy((Adam(10**6),)))},
)


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The tiny sweep is known by name, and this is an empty folder; what a test imports is forgotten after it."""
    monkeypatch.setitem(catalog.SWEEPS, TINY.id, TINY)
    monkeypatch.setattr(catalog, "_OWN", {})
    monkeypatch.setattr(plugins, "_LOADED", {})
    monkeypatch.delenv("SCIML_RUNS", raising=False)
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)
    path = list(sys.path)
    yield
    sys.path[:] = path
    for name in ("mine", "equation"):
        sys.modules.pop(name, None)


def typed(command: str) -> Result:
    """What happens when a printed command is typed, letter by letter."""
    python, m, package, *arguments = shlex.split(command)
    assert (python, m, package) == ("python", "-m", "sciml_lib")
    return CliRunner().invoke(main, arguments)


def train(runs: Path, sweep: Sweep = TINY, **options: object) -> Path:
    """The folder of a sweep that was trained."""
    sciml_lib.run(sweep, "smoke", runs=runs, device="cpu", progress=False, **options)
    return Job(sweep.at("smoke"), runs).folder


# --- commands ----------------------------------------------------------------------------------------------------


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A job in which every option matters, in a folder whose name has to be quoted."""
    return Job.of(TINY, "smoke", runs=tmp_path / "my runs; $HOME", device="cpu", seeds=1, time_limit=540.0)


def test_a_command_carries_every_option_that_matters(job: Job) -> None:
    folder = shlex.quote(str(job.runs))
    start = f"python -m sciml_lib run pinn/convection/tiny --profile smoke --runs {folder} --device cpu"
    assert job.command == f"{start} --seeds 1 --time-limit 540s"
    assert shlex.split(job.restart) == [*shlex.split(start)[:7], "--restart", *shlex.split(job.command)[7:]]
    assert shlex.split(job.typed("measure"))[3:] == [
        *("measure", TINY.id, "--profile", "smoke", "--runs", str(job.runs), "--device", "cpu", "--time-limit", "540s")
    ]
    for verb in ("status", "revalidate"):  # which take neither seeds nor a time
        assert shlex.split(job.typed(verb))[3:] == [verb, TINY.id, "--profile", "smoke", "--runs", str(job.runs)]
    assert Job.of(TINY, "smoke").command == "python -m sciml_lib run pinn/convection/tiny --profile smoke"


def test_some_amounts_of_data_alone_are_trained(job: Job) -> None:
    some = dataclasses.replace(job, n_data=(20,), time_limit=None)
    assert some.command.endswith("--seeds 1 --n-data 20")
    assert Job.of(TINY, "smoke", n_data=[20, 10, 20]).command.endswith("--profile smoke --n-data 20 --n-data 10")
    result = typed(some.command)
    assert result.exit_code == 0 and "2 of 8 runs are stored" in result.stdout, result.output
    assert {row.cell.n_data for row in store.read(job).rows} == {20}
    for wrong, said in (
        ([30], "n_data: 30 is not planned by pinn/convection/tiny, smoke; choose among 10, 20"),
        ([], "n_data: nothing is not planned"),
        ("20", r"n_data='20' is not a list; give some of 10, 20, such as n_data=\(10,\)"),
        (20, "n_data=20 is not a list"),
        ([20.5], "n_data=20.5 is not a whole number"),
    ):
        with pytest.raises(UserError, match=said):
            Job.of(TINY, "smoke", n_data=wrong)


def test_single_cells_alone_are_trained(job: Job) -> None:
    one = dataclasses.replace(job, seeds=None, n_data=(20,), coefficients=(0.5,), seed_numbers=(1,), time_limit=None)
    assert one.command.endswith("--device cpu --coefficient 0.5 --n-data 20 --seed 1")
    assert one.cells == (Cell(0.5, 20, 1),)
    assert shlex.split(one.typed("measure"))[-2:] == ["--device", "cpu"]  # which takes the whole store
    assert one.at("long").cells == TINY.at("long").cells
    result = typed(one.command)
    assert result.exit_code == 0 and "1 of 8 runs are stored" in result.stdout, result.output
    assert {row.cell for row in store.read(job).rows} == set(one.cells)
    both = Job.of(TINY, "smoke", coefficients=[5, 0.5, 5], seed_numbers=[1, 0])
    assert both.command.endswith("--coefficient 5 --coefficient 0.5 --seed 1 --seed 0") and len(both.cells) == 8
    for wrong, said in (
        ({"coefficients": [31]}, "coefficients: 31 is not planned by pinn/convection/tiny, smoke; choose among 0.5, 5"),
        ({"coefficients": [None]}, "coefficients=None is not a number"),
        ({"coefficients": 5.0}, r"coefficients=5.0 is not a list; give some of 0.5, 5, such as coefficients=\(0.5,\)"),
        ({"seed_numbers": [2]}, "seed_numbers: 2 is not planned by pinn/convection/tiny, smoke; choose among 0, 1"),
        ({"seed_numbers": [-1]}, "seed_numbers=-1 is not a seed"),
        (
            {"seeds": 2, "seed_numbers": [0]},
            "--seeds 2 takes the first seeds and --seed names single ones; give one of the two",
        ),
    ):
        with pytest.raises(UserError, match=said):
            Job.of(TINY, "smoke", **wrong)
    with pytest.raises(UserError, match=r"has that coefficient with that n_data; choose among 0.5 with 10, 5 with 20"):
        pairs = dataclasses.replace(TINY, coefficients=(), n_data=(), pairs=((0.5, 10), (5.0, 20)))
        Job.of(pairs, "smoke", coefficients=[5.0], n_data=[10])


def test_a_call_of_a_sweep_that_the_command_line_cannot_know_names_its_cells() -> None:
    mine = dataclasses.replace(TINY, id="pinn/convection/mine")
    one = Job.of(mine, "smoke", coefficients=[5], n_data=[10], seed_numbers=[0])
    assert one.command == ("sciml_lib.run(sweep, 'smoke', coefficients=(5.0,), n_data=(10,), seed_numbers=(0,))")


def test_a_command_does_what_it_says(job: Job) -> None:
    result = typed(job.command)
    assert result.exit_code == 0 and "4 of 8 runs are stored" in result.stdout, result.output
    rows = store.read(job).rows
    assert {row.cell for row in rows} == set(job.cells) and {row.cell.seed for row in rows} == {0}
    result = typed(job.typed("measure"))
    assert result.exit_code == 0 and "the curvature of 4 runs is stored" in result.stdout, result.output
    result = typed(job.typed("status"))
    assert result.exit_code == 0 and "4 of 8 runs" in result.stdout
    assert "nothing to revalidate" in typed(job.typed("revalidate")).stdout
    assert not (Path.cwd() / "runs").exists()


def test_a_stopped_call_names_the_command_that_goes_on(job: Job) -> None:
    stopped = dataclasses.replace(job, plan=TINY.at("long"), time_limit=0.05)
    result = typed(stopped.command)
    assert result.exit_code == 75
    (printed,) = re.findall("`(.*)`", result.stdout)
    assert printed == stopped.command
    assert typed(printed).exit_code == 75


@pytest.mark.parametrize("verb", ["run", "measure", "status"])
def test_a_remedy_mends_the_store_that_is_damaged_and_no_other(job: Job, tmp_path: Path, verb: str) -> None:
    """The healthy one stands where a command without ``--runs`` would look."""
    healthy, ill = train(tmp_path / "default"), train(Path(job.runs))
    (ill / "manifest.json").write_text("{")
    before = {path: path.read_bytes() for path in healthy.rglob("*") if path.is_file()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCIML_RUNS", str(tmp_path / "default"))
        result = typed(job.typed(verb))
        assert result.exit_code == 2
        (printed,) = re.findall("`(.*)`", result.stderr)
        result = typed(printed)
    assert result.exit_code == 0 and f"the stored runs are now in {job.runs}" in result.stdout, result.output
    assert {path: path.read_bytes() for path in healthy.rglob("*") if path.is_file()} == before
    assert sweeps.read(dataclasses.replace(job, seeds=None)).rows


def test_the_command_of_a_study_carries_its_options(tmp_path: Path) -> None:
    command = words("study", "spectra", "smoke", runs=tmp_path / "my runs", device="cpu", time_limit=9.5)
    expected = ["--runs", str(tmp_path / "my runs"), "--device", "cpu", "--time-limit", "9.5s"]
    assert shlex.split(command)[3:] == ["study", "spectra", "--profile", "smoke", *expected]
    (tmp_path / "my runs").mkdir()
    result = typed(command)
    (printed,) = re.findall("`(.*)`", result.stderr)
    assert result.exit_code == 2 and shlex.split(printed)[3:5] == ["run", "pinn/convection/lbfgs"]
    assert shlex.split(printed)[-4:-2] == ["--runs", str(tmp_path / "my runs")]


@pytest.mark.parametrize("seconds", [1e-6, 0.2, 1.0, 90.0, 540.0, 86_400.0, 1e9])
def test_a_time_limit_reads_back_as_it_was(seconds: float) -> None:
    from sciml_lib.cli import seconds_of

    limit = shlex.split(words("run", "x", "smoke", time_limit=seconds))[-1]
    assert seconds_of(limit) == pytest.approx(seconds, rel=1e-9)


# --- sweeps of one's own ------------------------------------------------------------------------------------------

MODULE = """
from sciml_lib import Adam, Reduction, Strategy, Sweep
from sciml_lib.sweeps import PINNSetup
from sciml_lib.systems import Convection


class Faster(Convection):
    name = "faster"

    def residuals(self, jets, points, coefficient):
        return super().residuals(jets, points, {factor} * coefficient)


MINE = Sweep(
    id="pinn/faster/adam", title="Mine", system=Faster(), strategy=Strategy((Adam(2),)), coefficients=(5.0,), n_data=(10,),
    seeds=(0, 1), setup=PINNSetup((4,)), profiles={{"smoke": Reduction("For tests.")}},
)
"""


def write_module(factor: float = 2.0, note: str = "") -> None:
    Path("mine.py").write_text(note + MODULE.format(factor=factor))


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a new process."""
    monkeypatch.setattr(catalog, "_OWN", {})
    monkeypatch.setattr(plugins, "_LOADED", {})
    sys.modules.pop("mine", None)
    importlib.invalidate_caches()


@pytest.mark.parametrize("name", ["mine", "mine.py"])
def test_the_command_of_an_own_sweep_names_its_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    write_module()
    (sweep,) = plugins.load(name)
    job = Job.of("pinn/faster/adam", "smoke", runs=tmp_path / "own", device="cpu", seeds=1)
    assert job.plan.sweep is sweep and shlex.split(job.command)[7:9] == ["--plugin", name]
    command, *others = (job.typed(verb) for verb in ("run", "status", "measure", "revalidate"))
    forget(monkeypatch)
    with pytest.raises(UserError, match="unknown sweep 'pinn/faster/adam'"):
        catalog.get("pinn/faster/adam")
    result = typed(command)
    assert result.exit_code == 0 and "1 of 2 runs are stored" in result.stdout, result.output
    for command, said in zip(others, ("1 of 2 runs", "the curvature of 1 runs is stored", "nothing"), strict=True):
        forget(monkeypatch)
        result = typed(command)
        assert result.exit_code == 0 and said in result.stdout, result.output


def test_the_sweeps_of_an_installed_package_need_no_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    write_module()

    class Entry:
        value = "mine"

        def load(self) -> object:
            sys.path.insert(0, str(Path.cwd()))
            return importlib.import_module("mine")

    monkeypatch.setattr(plugins.metadata, "entry_points", lambda group: [Entry()] if group == plugins.GROUP else [])
    result = CliRunner().invoke(main, ["list"])
    assert result.exit_code == 0 and "pinn/faster/adam" in result.stdout
    assert Job.of("pinn/faster/adam", "smoke").command == "python -m sciml_lib run pinn/faster/adam --profile smoke"


@pytest.mark.parametrize(
    "options", [{}, {"device": "cpu"}, {"runs": "else where", "device": "cpu", "seeds": 1, "time_limit": 500.0}]
)
def test_a_sweep_of_a_script_is_gone_on_with_by_a_call(options: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line cannot know it, so the sentence is Python, and runs as it stands."""
    monkeypatch.setenv("SCIML_RUNS", str(Path.cwd() / "runs"))
    sweep = dataclasses.replace(TINY, id="pinn/convection/script")
    job = Job.of(sweep, "smoke", **options)
    names = {"sciml_lib": sciml_lib, "sweep": sweep}
    for name, value in options.items():
        assert f"{name}={value!r}" in job.command
    report = eval(job.command, names)
    assert report.done == len(job.cells)
    measured = eval(job.typed("measure"), names)
    assert measured.done == report.done and "nothing to revalidate" in eval(job.typed("revalidate"), names)
    assert eval(job.restart, names).exists() and not job.folder.exists()


def test_an_equation_with_another_constant_is_another_specification(tmp_path: Path) -> None:
    sweep = dataclasses.replace(TINY, id="pinn/wave/own", system=Wave(beta=3.0))
    folder = train(tmp_path, sweep)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    other = dataclasses.replace(sweep, system=Wave(beta=4.0))
    for act in (sciml_lib.load, sciml_lib.run, sciml_lib.measure, sciml_lib.estimate, sciml_lib.load_or_train):
        with pytest.raises(UserError, match=r"was made with another specification \(its system differ\)"):
            act(other, "smoke", runs=tmp_path)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_own_code_that_changed_marks_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A changed equation is seen although its constants are the same; a changed comment is no change."""
    for factor, note, changed in ((2.0, "", 0), (2.0, "# the same, with a word more\n", 0), (3.0, "", 1)):
        forget(monkeypatch)
        write_module(factor, note)
        plugins.load("mine.py")
        sciml_lib.run("pinn/faster/adam", "smoke", runs=tmp_path / "own", device="cpu", progress=False)
        assert sciml_lib.load("pinn/faster/adam", "smoke", tmp_path / "own").attrs["library_changed"] == changed


def test_own_code_that_is_imported_by_own_code_counts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    digests = set()
    for factor in (2.0, 3.0):
        forget(monkeypatch)
        sys.modules.pop("equation", None)
        Path("equation.py").write_text(f"FACTOR = {factor}\n")
        Path("mine.py").write_text(f"from equation import FACTOR\n{MODULE.format(factor='FACTOR')}")
        (sweep,) = plugins.load("mine.py")
        digests.add(provenance.library_digest(sweep.at("smoke").code))
    assert len(digests) == 2


# --- where runs go, and which commit made them ---------------------------------------------------------------------


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The library as in ``site-packages`` of an environment that lies in somebody's own repository."""
    thesis = tmp_path / "thesis"
    place = thesis / "env/lib/site-packages"
    place.mkdir(parents=True)
    git = ["git", "-c", "user.name=A", "-c", "user.email=a@b.c", "-C", str(thesis)]
    for arguments in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "My own thesis"]):
        subprocess.run([*git, *arguments], check=True, capture_output=True)
    monkeypatch.setattr(provenance, "ROOT", place)
    return place


def test_runs_of_an_installed_library_are_here_and_of_no_commit(installed: Path, tmp_path: Path) -> None:
    before = sorted(installed.rglob("*"))
    assert places.runs_folder() == tmp_path / "runs" and provenance.commit() == ""
    result = CliRunner().invoke(main, ["run", TINY.id, "-p", "smoke", "-q", "-d", "cpu"])
    assert result.exit_code == 0 and f"are stored in {tmp_path / 'runs'}" in result.stdout
    content = json.loads((tmp_path / "runs/pinn/convection/tiny/smoke/manifest.json").read_text())
    assert content["commit"] == "" and [call["commit"] for call in content["calls"]] == [""]
    assert sorted(installed.rglob("*")) == before


def test_a_copy_in_another_repository_is_of_no_commit(installed: Path) -> None:
    """It looks like a clone, and git answers with the repository around it."""
    (installed / "pyproject.toml").touch()
    (installed / "book").mkdir()
    (installed / ".git").mkdir()
    assert provenance.in_checkout() and provenance.commit() == ""


def test_runs_of_a_clone_are_in_the_clone() -> None:
    root = Path(__file__).parents[1]
    if not (root / ".git").exists():
        pytest.skip("this is not a clone")
    assert places.runs_folder() == root / "runs"
    head = subprocess.run(["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True)
    assert provenance.commit() == head.stdout.strip()


# --- curvature follows its networks ---------------------------------------------------------------------------------


def change(folder: Path, cell: Cell, by: Callable[[np.ndarray], np.ndarray]) -> None:
    """Stores other parameters for one run."""
    path = folder / f"arrays/n{cell.n_data}.npz"
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    name = store.params_key(cell)
    np.savez(path, **arrays | {name: by(arrays[name])})


def test_only_runs_whose_networks_changed_are_measured_again(tmp_path: Path) -> None:
    folder, cell = train(tmp_path), TINY.at("smoke").cells[2]
    options = {"runs": tmp_path, "device": "cpu", "progress": False}
    assert sciml_lib.measure(TINY, "smoke", **options).new == 8
    before = (folder / curvature.NAME).read_text().splitlines()
    change(folder, cell, lambda array: array * np.float32(1 + 1e-5))
    with pytest.warns(UserWarning, match="1 runs were measured at other parameters than are stored now"):
        data = sciml_lib.load(TINY, "smoke", tmp_path)
    assert int(data.lambda_max.isnull().sum()) == 1
    with pytest.warns(UserWarning, match="1 runs were measured"):
        again = sciml_lib.measure(TINY, "smoke", **options)
    assert (again.new, again.done) == (1, 8)
    after = (folder / curvature.NAME).read_text().splitlines()
    (gone,) = set(before) - set(after)
    assert gone.startswith(f"{cell.coefficient},{cell.n_data},{cell.seed},")
    assert [line for line in before if line != gone] == after[:-1] and after[-1].split(",")[:3] == gone.split(",")[:3]
    assert sciml_lib.measure(TINY, "smoke", **options).new == 0


def test_networks_that_are_not_those_of_their_rows_are_not_measured(tmp_path: Path) -> None:
    folder, cell = train(tmp_path), TINY.at("smoke").cells[2]
    change(folder, cell, lambda array: array * np.float32(1.5))
    with pytest.raises(UserError, match=r"are not those of its row: their loss is .* and not .*; restore .*n10\.npz"):
        sciml_lib.measure(TINY, "smoke", runs=tmp_path, device="cpu", progress=False)
    assert len((folder / curvature.NAME).read_text().splitlines()) == 1  # nothing was measured but the head written


# --- what a call costs --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quiet", [True, False])
def test_a_run_reads_its_store_twice_and_builds_two_problems_an_ensemble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quiet: bool
) -> None:
    """One that asks how much fits into the memory, one that trains; and one each for the columns and the size of a network."""
    reads, built = [], []
    read, init = manifest.read, PINN.__init__

    def count_reads(path: Path, job: Job) -> object:
        reads.append(path)
        return read(path, job)

    def count_problems(self: PINN, *arguments: object, **options: object) -> None:
        built.append(self)
        init(self, *arguments, **options)

    ensembles = len(planner.ensembles(Job(TINY.at("smoke"), tmp_path, "cpu"), [], torch.device("cpu")))
    if not quiet:  # the estimate is measured by problems of its own; from stored runs it needs none
        train(tmp_path, seeds=1)
    monkeypatch.setattr(manifest, "read", count_reads)
    monkeypatch.setattr(PINN, "__init__", count_problems)
    flags = ["-q"] if quiet else []
    result = CliRunner().invoke(main, ["run", TINY.id, "-p", "smoke", "-d", "cpu", "--runs", str(tmp_path), *flags])
    assert result.exit_code == 0 and "8 of 8 runs are stored" in result.stdout, result.output
    assert ensembles == 2 and len(reads) <= 2 and len(built) <= 2 * ensembles + 2
