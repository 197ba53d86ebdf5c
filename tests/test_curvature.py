"""Curvature at the ends of stored runs: against dense Hessians, stopped, cut off, damaged, and as columns of a data set."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import sciml_lib
from sciml_lib.cli import main
from sciml_lib.errors import UserError
from sciml_lib.panels import Panel
from sciml_lib.problems import PINN
from sciml_lib.strategies import Adam, Strategy
from sciml_lib.sweeps import catalog, curvature, devices, store
from sciml_lib.sweeps.dataset import load_measured
from sciml_lib.sweeps.job import Job
from sciml_lib.sweeps.setups import PINNSetup
from sciml_lib.sweeps.spec import Cell, Plan, Reduction, Sweep

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
    strategy=Strategy((Adam(4),)),
    reading="None.",
    profiles={"smoke": Reduction(why="For tests."), "laptop": Reduction(why="For tests.", n_data=(10,))},
)
RUNS = 8


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Plan:
    """A tiny sweep whose runs are trained and stored."""
    monkeypatch.setitem(catalog.SWEEPS, TINY.id, TINY)
    monkeypatch.setenv("SCIML_RUNS", str(tmp_path / "runs"))
    torch.set_num_threads(1)
    sciml_lib.run(TINY.id, "smoke", device="cpu")
    return TINY.at("smoke")


def measure(**options) -> curvature.Measured:
    return curvature.measure(TINY.id, "smoke", device="cpu", progress=False, **options)


def left(plan: Plan) -> int:
    return curvature.left(Job(plan), store.read(Job(plan)))


def file_of(plan: Plan) -> Path:
    return Job(plan).folder / curvature.NAME


def replace_params(plan: Plan, cell: Cell, values: np.ndarray | None) -> None:
    """Stores other parameters for a run, or none."""
    path = Job(plan).folder / "arrays" / f"n{cell.n_data}.npz"
    arrays = store.read_params(Job(plan), cell.n_data)
    if values is None:
        del arrays[store.params_key(cell)]
    else:
        arrays[store.params_key(cell)] = values
    np.savez(path, **arrays)


def test_what_is_measured_is_what_the_dense_hessian_has(plan: Plan) -> None:
    assert measure().done == RUNS
    for cell, found in curvature.read(Job(plan)).items():
        params = store.params_of(Job(plan), cell)
        problem = plan.problem([cell], torch.device("cpu"))
        hessian = torch.func.hessian(lambda x, problem=problem: problem.loss(x[None])[0])(torch.from_numpy(params))
        values = torch.linalg.eigvalsh(hessian.double())
        assert found["lambda_max"] == pytest.approx(float(values[-1]), rel=1e-3)
        assert found["lambda_max_residual"] <= 2e-3 * found["lambda_max"]
        assert found["trace"] == pytest.approx(float(values.sum()), rel=1e-3, abs=4 * found["trace_error"])
        largest = float(values[values.abs().argmax()])
        assert found["lambda_power"] <= largest * (1 + 1e-4) or largest < 0
        assert found["lambda_power"] == pytest.approx(largest, rel=0.05)


def test_a_stopped_measurement_goes_on(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curvature, "MEMBERS", 1)
    now, lines = [0.0], curvature._lines

    def slow(*arguments: object) -> list[list[object]]:
        now[0] += 10.0
        return lines(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(curvature, "_lines", slow)
        first = curvature.measure_job(Job(plan, device="cpu", time_limit=25.0), progress=False, clock=lambda: now[0])
    assert (first.new, first.done, first.stopped) == (2, 2, True)
    assert left(plan) == RUNS - 2
    assert first.sentence.endswith(
        f"go on with `python -m sciml_lib measure {TINY.id} --profile smoke --device cpu --time-limit 25s`"
    )
    before = file_of(plan).read_text()
    second = measure()
    assert (second.new, second.done, second.stopped) == (RUNS - 2, RUNS, False)
    assert file_of(plan).read_text().startswith(before) and "stopped" not in second.sentence
    assert measure().new == 0 and left(plan) == 0


def test_how_a_run_is_measured_does_not_depend_on_who_is_beside_it(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    measure()
    together = curvature.read(Job(plan))
    file_of(plan).unlink()
    monkeypatch.setattr(curvature, "MEMBERS", 1)
    measure()
    alone = curvature.read(Job(plan))
    for cell, found in together.items():
        for name in ("lambda_max", "trace"):
            assert alone[cell][name] == pytest.approx(found[name], rel=1e-3, abs=4 * found["trace_error"])


@pytest.mark.parametrize("kept", [3, 25, 60])
def test_a_line_that_was_cut_off_is_measured_again(plan: Plan, kept: int) -> None:
    measure()
    whole = curvature.read(Job(plan))
    text = file_of(plan).read_text()
    *lines, last = text.splitlines(keepends=True)
    file_of(plan).write_text("".join(lines) + last[:kept])
    assert len(curvature.read(Job(plan))) == RUNS - 1
    assert measure().new == 1
    again = curvature.read(Job(plan))
    assert again.keys() == whole.keys()
    assert file_of(plan).read_text().startswith("".join(lines)) and file_of(plan).read_text().count("\n") == RUNS + 1


def test_networks_that_are_not_finite_or_not_stored_are_left_out(plan: Plan) -> None:
    gone, broken = plan.cells[0], plan.cells[1]
    size = plan.sweep.setup.network(plan.sweep.system).n_params
    replace_params(plan, gone, None)
    replace_params(plan, broken, np.full(size, np.nan, dtype=np.float32))
    found = measure()
    assert (found.new, found.left_out) == (RUNS - 2, 2)
    assert "; 2 stored runs were left out, whose parameters are not finite or not stored" in found.sentence
    assert {gone, broken}.isdisjoint(curvature.read(Job(plan)))
    assert left(plan) == 0
    data = load_measured(TINY.id, "smoke", device="cpu")
    assert int(data["lambda_max"].isnull().sum()) == 2


def test_columns_appear_once_something_is_measured(plan: Plan) -> None:
    assert not set(curvature.QUANTITIES) & set(sciml_lib.load(TINY.id, "smoke").data_vars)
    measure()
    data, numbers = sciml_lib.load(TINY.id, "smoke"), curvature.read(Job(plan))
    for cell, found in numbers.items():
        for name in curvature.QUANTITIES:
            assert float(data[name].sel(coefficient=cell.coefficient, n_data=cell.n_data, seed=cell.seed)) == found[name]
    assert curvature.spent(Job(plan))[0] == RUNS


def test_a_chapter_gets_the_curvature_in_smoke_and_elsewhere_a_command(plan: Plan) -> None:
    panel = Panel.measured(TINY.id, "smoke", "cpu", seeds=9)
    assert panel.seeded("lambda_max").shape == (2, 2, 2) and bool(panel.seeded("lambda_max").notnull().all())
    assert file_of(plan).exists()
    with pytest.raises(
        UserError, match=r"the curvature of 4 runs of .* is not stored; measure it with `python -m sciml_lib measure pinn"
    ):
        Panel.measured(TINY.id, "laptop", "cpu")
    curvature.measure(TINY.id, "laptop", device="cpu", progress=False)
    assert Panel.measured(TINY.id, "laptop", "cpu", seeds=1).seeded("trace").shape == (2, 1, 1)


def test_runs_without_any_parameters_cannot_be_measured(plan: Plan) -> None:
    for path in (Job(plan).folder / "arrays").iterdir():
        path.unlink()
    with pytest.raises(UserError, match="has its parameters stored, so there is nothing to measure; train it with"):
        load_measured(TINY.id, "smoke", device="cpu")


def test_the_command_measures_and_says_so(plan: Plan) -> None:
    result = CliRunner().invoke(main, shlex.split(f"measure {TINY.id} --profile smoke --device cpu --quiet"))
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{TINY.id}, smoke: the curvature of 8 runs is stored, 8 of them new\n"
    assert CliRunner().invoke(main, shlex.split("measure pinn/convection/tinny")).exit_code == 2


def room_for(monkeypatch: pytest.MonkeyPatch, members: int) -> None:
    """Lets the GPU run out of memory where more members than these are differentiated twice."""
    genuine = PINN.linearised

    def linearised(problem: PINN, params: torch.Tensor) -> object:
        if len(params) > members:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return genuine(problem, params)

    monkeypatch.setattr(PINN, "linearised", linearised)


def test_where_the_memory_runs_out_half_as_many_are_measured_at_a_time(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    measure()
    together = curvature.read(Job(plan))
    file_of(plan).unlink()
    room_for(monkeypatch, 1)
    with pytest.warns(UserWarning, match="ran out of memory") as said:
        assert measure().done == RUNS
    words = [str(one.message) for one in said]
    assert words[0] == "the GPU ran out of memory with 4 runs at a time; it goes on with 2"
    assert words[1] == "the GPU ran out of memory with 2 runs at a time; it goes on with 1"
    for cell, found in curvature.read(Job(plan)).items():
        assert found["lambda_max"] == pytest.approx(together[cell]["lambda_max"], rel=1e-3)


def test_where_not_even_one_run_can_be_measured_it_is_a_sentence(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    genuine, calls = curvature._lines, []

    def fills(job: Job, rows: list, params: torch.Tensor) -> list[list[object]]:
        calls.append(len(rows))
        if len(calls) > 1:
            room_for(monkeypatch, 0)
        return genuine(job, rows, params)

    monkeypatch.setattr(curvature, "_lines", fills)
    with pytest.warns(UserWarning, match="ran out of memory"), pytest.raises(UserError) as caught:
        measure()
    assert str(caught.value) == (
        "the GPU ran out of memory even for the least that is computed at a time: another program may be using it; what was "
        f"measured is stored, go on with `python -m sciml_lib measure {TINY.id} --profile smoke --device cpu`"
    )
    assert calls == [4, 4, 2, 1] and left(plan) == 4


def test_as_many_are_measured_at_a_time_as_fit_the_memory(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = plan.problem(plan.cells[-1:])
    fits = [curvature._fitting(problem, 100, memory) for memory in (10**10, 10**6, 3 * 10**5, 0)]
    assert fits == sorted(fits, reverse=True) and fits[0] == curvature.MEMBERS and 1 < fits[1] < 16 and fits[-1] == 1
    genuine, sizes = curvature._lines, []
    monkeypatch.setattr(curvature, "_lines", lambda job, rows, params: sizes.append(len(rows)) or genuine(job, rows, params))
    free = iter([10**10, 0, 0, 0, 0])  # somebody else comes
    monkeypatch.setattr(devices, "memory_budget", lambda device: next(free))
    assert measure().done == RUNS and sizes == [4, 1, 1, 1, 1]


def test_products_are_precise_while_curvature_is_measured(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    genuine, seen = curvature._lines, set()

    def lines(*arguments: object) -> list[list[object]]:
        seen.add(torch.get_float32_matmul_precision())
        return genuine(*arguments)

    monkeypatch.setattr(curvature, "_lines", lines)
    torch.set_float32_matmul_precision("medium")
    try:
        measure()
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")
    assert seen == {"highest"}
