"""Sweeps: what may be written down, the paper's tables, planning, training, resuming, reading, estimating."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import signal
import subprocess
import tomllib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import sciml_lib
from sciml_lib import kernel, sweeps
from sciml_lib.errors import UserError
from sciml_lib.problems import PINN
from sciml_lib.regimes import thresholds
from sciml_lib.strategies import LBFGS, Adam, Strategy
from sciml_lib.sweeps import catalog, dataset, devices, execution, places, planner, provenance, revalidation, store, timing
from sciml_lib.sweeps.job import Job
from sciml_lib.sweeps.rows import trained_by
from sciml_lib.sweeps.setups import PINNSetup
from sciml_lib.sweeps.spec import Plan, Reduction, Sweep

CPU = torch.device("cpu")
TINY = Sweep(
    id="pinn/convection/tiny",
    title="Tiny",
    system="convection",
    coefficients=(0.5, 5.0),
    n_data=(10, 20),
    seeds=(0, 1),
    setup=PINNSetup(hidden=(4,)),
    strategy=Strategy((Adam(3), LBFGS(max_iterations=6, history=5))),
    reading="None.",
    profiles={
        "smoke": Reduction(why="For tests."),
        "long": Reduction(why="For tests.", strategy=Strategy((Adam(200_000),))),
        "part": Reduction(why="For tests.", coefficients=(5.0,), n_seeds=1, keep_seeds=0),
    },
)


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> Plan:
    """The tiny sweep, known to the catalog; training on one core."""
    monkeypatch.setitem(catalog.SWEEPS, TINY.id, TINY)
    monkeypatch.delenv("SCIML_RUNS", raising=False)
    torch.set_num_threads(1)
    return TINY.at("smoke")


def job_in(runs: Path, plan: Plan) -> Job:
    return Job(plan, runs, "cpu")


# --- what may be written down ---


def test_the_panel_is_the_published_grid() -> None:
    paper = catalog.get("pinn/convection/lbfgs").at("paper")
    assert paper.coefficients == (5, 6, 7, 8, 9, 10, 15, 20, 25, 30, 50, 70)
    assert paper.n_data == (100, 150, 200, 250, 500, 1000, 2000, 5000, 10_000, 15_000, 20_000, 25_000)
    assert (paper.seeds, len(paper.cells)) == ((0, 1, 2, 3, 4), 720)
    laptop = catalog.get("pinn/convection/lbfgs").at("laptop")
    assert (laptop.coefficients, laptop.seeds, max(laptop.n_data)) == (paper.coefficients, (0, 1, 2), 2000)
    assert laptop.hash == paper.hash  # the full budget, so the runs are the same runs
    assert catalog.get("pinn/convection/lbfgs").at("smoke").hash != paper.hash
    (table_2,) = catalog.get("pinn/convection/lbfgs-literal").at("paper").strategy.stages
    assert table_2 == LBFGS(2_000, 2_500, 100, 1e-7, 1e-9, 1.0)


def test_the_pinn_rows_of_table_5_are_the_panels() -> None:
    rows = {row for row in thresholds.table5() if row.startswith("pinn/")}
    assert len(rows) == 15 and rows <= set(catalog.ids())
    for row in rows:
        sweep = catalog.get(row)
        laptop = sweep.at("laptop")
        assert len(laptop.coefficients) >= 5 and len(laptop.n_data) >= 4
        assert len(laptop.seeds) >= (2 if row.split("/")[2] in ("lbfgs", "ropinn") else 1)
        assert sweep.at("paper").seeds == (0, 1, 2, 3, 4)
        assert sweep.at("paper").strategy == sweep.strategy


def test_the_strategies_are_those_of_table_2() -> None:
    """The table of the paper, line by line; the base solver is the first chapter's."""
    base = (Adam(2_000, 1e-3), LBFGS(10_000, 12_500, 100, 1e-7, 1e-9, 1.0))
    inner = LBFGS(2_000, 2_500, 100, 1e-7, 1e-9, 1.0)
    for system in ("convection", "reaction", "wave", "reaction-diffusion"):
        *before, alm = catalog.get(f"pinn/{system}/alm").strategy.stages
        assert (tuple(before), alm.outer, alm.inner, alm.penalty, alm.growth) == (base, 50, inner, 2.0, 1.2)
        warm, ropinn = catalog.get(f"pinn/{system}/ropinn").strategy.stages
        assert warm == base[0]
        assert (ropinn.calls, ropinn.initial_region, ropinn.window, ropinn.max_region) == (1_000, 1e-5, 5, 0.01)
        assert (ropinn.solver.max_iterations, ropinn.solver.max_evaluations) == (20, 25)
    for system in ("convection", "reaction"):
        adam, lbfgs, nncg = catalog.get(f"pinn/{system}/nncg").strategy.stages
        assert (adam, lbfgs.max_iterations, nncg.steps, nncg.rank) == (base[0], 1_000, 2_000, 50)
        assert (nncg.damping, nncg.cg_iterations, nncg.cg_tolerance, nncg.refresh) == (1e-2, 1_000, 1e-5, 100)
        assert catalog.get(f"pinn/{system}/nncg-base").strategy.stages == (adam, lbfgs)
    curriculum, last = catalog.get("pinn/convection/cl").strategy.stages
    assert (curriculum.n_stages, curriculum.step, curriculum.solver, last) == (140, 0.5, inner, inner)
    assert curriculum.top == max(catalog.get("pinn/convection/cl").coefficients) == 70
    alm = catalog.get("pinn/convection/alm").strategy.stages[-1]
    assert (alm.weight, alm.decay) == (((0.0, 500.0), (50.0, 100.0)), ((0.0, 0.0), (50.0, 1e-3)))
    assert catalog.get("pinn/convection/alm-pde").strategy.stages[-1] == dataclasses.replace(alm, constrained=("residual",))


def test_every_sweep_has_the_three_profiles_and_its_id_says_its_system() -> None:
    for sweep_id in set(catalog.ids()) - {TINY.id}:
        sweep = catalog.get(sweep_id)
        assert sweep.id == sweep_id and sweep_id.split("/")[1] == sweep.system.name
        assert tuple(sweep.profiles) == ("smoke", "laptop", "paper")
        assert sweep.reading.endswith(".")


@pytest.mark.parametrize(
    "change",
    [
        {"setup": PINNSetup((5,))},
        {"setup": PINNSetup((4,), data_seed=1)},
        {"strategy": Strategy((Adam(4), LBFGS(max_iterations=6, history=5)))},
    ],
)
def test_the_hash_changes_with_what_changes_numbers(change: dict[str, object], tiny: Plan) -> None:
    assert dataclasses.replace(TINY, **change).at("smoke").hash != tiny.hash
    assert dataclasses.replace(TINY, seeds=(0, 1, 2), title="Other").at("smoke").hash == tiny.hash


# --- planning ---


def test_one_ensemble_per_amount_of_data_cheap_first(tmp_path: Path, tiny: Plan) -> None:
    planned = planner.ensembles(job_in(tmp_path, tiny), [], CPU)
    assert [(e.n_data, len(e.cells), e.width) for e in planned] == [("10", 4, 4), ("20", 4, 4)]
    rest = planner.ensembles(job_in(tmp_path, tiny), tiny.cells[:5], CPU)
    assert [e.cells for e in rest] == [tiny.cells[5:]]


def test_slots_follow_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = catalog.get("pinn/convection/lbfgs").at("paper")
    largest = [cell for cell in plan.cells if cell.n_data == 25_000]
    monkeypatch.setattr(kernel, "get", lambda: None)  # the eager form takes more
    widths = [planner.slots(plan, largest, CPU, memory) for memory in (6 * 10**9, 400 * 10**6, 150 * 10**6)]
    assert widths == sorted(widths, reverse=True) and widths[0] == 60 and 1 <= widths[-1] < widths[1] < 60
    with pytest.raises(UserError, match=r"n_data=25000 takes 0\.1 GB and 0\.0 GB may be used"):
        planner.slots(plan, largest, CPU, 10**7)
    for cells in plan.ensembles(plan.cells):  # what the slots and the buffers of an evaluation take together
        problem = plan.problem(cells[:1])
        slots = planner.slots(plan, cells, CPU, devices.CPU_LIMIT_BYTES)
        state = slots * planner.memory_per_member(problem, plan.strategy)
        assert state + planner.evaluation_bytes(problem, slots) < 6e9


def test_the_budget_of_memory_is_at_most_half_of_what_is_available() -> None:
    budget = devices.memory_budget(CPU)
    assert 0 < budget <= devices.CPU_LIMIT_BYTES
    assert budget <= 0.6 * devices.available_memory()


@pytest.fixture
def begun(tmp_path: Path, tiny: Plan) -> planner.Ensemble:
    """The first ensemble of the tiny sweep, written down as one that has begun."""
    job = job_in(tmp_path, tiny)
    job.folder.mkdir(parents=True)
    first = planner.ensembles(job, [], CPU)[0]
    first.begin(job.folder)
    return first


def test_a_stopped_ensemble_goes_on_as_it_was(tmp_path: Path, tiny: Plan, begun: planner.Ensemble) -> None:
    job = job_in(tmp_path, tiny)
    checkpoint = begun.checkpoint(job.folder)
    torch.save({"state": torch.zeros(2)}, checkpoint)
    done = set(begun.cells[:2])
    assert planner.ensembles(job, done, CPU)[0] == begun
    # Not all of its runs are wanted: those that are train for themselves, the checkpoint stays for later.
    assert planner.ensembles(Job(tiny, tmp_path, "cpu", seeds=1), [], CPU)[0].cells == tuple(
        cell for cell in begun.cells if cell.seed == 0
    )
    assert checkpoint.exists()
    # All of its runs are stored: both files go.
    planner.ensembles(job, begun.cells, CPU)
    assert not list(job.folder.iterdir())


def test_an_ensemble_that_was_killed_before_its_first_checkpoint_starts_again_with_the_same_members(
    tmp_path: Path, tiny: Plan, begun: planner.Ensemble
) -> None:
    """Other company would change its members' last digits: those that are stored train once more and are not stored twice."""
    assert planner.ensembles(job_in(tmp_path, tiny), begun.cells[:2], CPU)[0] == begun


@pytest.mark.parametrize("kind", ["cut off", "flipped", "record", "other recipe"])
def test_a_checkpoint_that_cannot_be_used_is_said_and_passed_over(
    tmp_path: Path, tiny: Plan, begun: planner.Ensemble, kind: str
) -> None:
    folder = job_in(tmp_path, tiny).folder
    checkpoint = begun.checkpoint(folder)
    torch.save({"state": torch.arange(1000)}, checkpoint)
    if kind == "cut off":
        checkpoint.write_bytes(checkpoint.read_bytes()[:2000])
    elif kind == "flipped":
        data = bytearray(checkpoint.read_bytes())
        data[len(data) // 2] ^= 1
        checkpoint.write_bytes(data)
    elif kind == "record":
        checkpoint.with_suffix(".json").write_text("{")
    else:
        tiny = dataclasses.replace(TINY, setup=PINNSetup(hidden=(5,))).at("smoke")
    with pytest.warns(UserWarning, match="damaged|does not belong"):
        (first, *_) = planner.ensembles(job_in(tmp_path, tiny), begun.cells[:1], CPU)
    assert first.cells == begun.cells[1:]
    assert not list(folder.iterdir())


def test_a_checkpoint_is_kept_where_less_memory_is_free_than_before(
    tmp_path: Path, tiny: Plan, begun: planner.Ensemble
) -> None:
    checkpoint = begun.checkpoint(job_in(tmp_path, tiny).folder)
    torch.save({"state": torch.zeros(2)}, checkpoint)
    one = tiny.problem(begun.cells[:1])
    memory = 2 * planner.memory_per_member(one, tiny.strategy) + planner.evaluation_bytes(one, 2)
    said = r"goes on with 4 runs side by side as it began, although only 2 fit .*; close other programs if it runs out$"
    with pytest.warns(UserWarning, match=said):
        first, other = planner.ensembles(job_in(tmp_path, tiny), begun.cells[:1], CPU, memory=memory)
    assert first == begun and checkpoint.exists()
    assert other.cells == tiny.cells[4:] and other.width < 4


# --- memory that runs out, precision ---


FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")


def room_for(monkeypatch: pytest.MonkeyPatch, members: int, error: RuntimeError = FULL) -> None:
    """Lets the GPU run out of memory where more members than these are evaluated at a time."""
    genuine = PINN.value_and_grad

    def value_and_grad(problem: PINN, params: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if len(params) > members:
            raise error
        return genuine(problem, params)

    monkeypatch.setattr(PINN, "value_and_grad", value_and_grad)


@pytest.mark.parametrize("error", [FULL, RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`")])
def test_where_the_memory_runs_out_half_as_many_train_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: Plan, error: RuntimeError
) -> None:
    sweeps.run(TINY.id, "smoke", runs=tmp_path / "whole", device="cpu")
    room_for(monkeypatch, 1, error)
    with pytest.warns(UserWarning, match="ran out of memory") as said:
        report = sweeps.run(TINY.id, "smoke", runs=tmp_path, device="cpu")
    assert (report.trained, report.done, report.stopped_by) == (8, 8, "")
    assert [str(one.message) for one in said] == [
        f"the GPU ran out of memory with up to {width} runs side by side at n_data={n}; the 4 that have not ended start again, "
        f"{width // 2} at a time"
        for n in (10, 20)
        for width in (4, 2)
    ]
    rows, whole = ({row.cell: row for row in store.read(job_in(runs, tiny)).rows} for runs in (tmp_path, tmp_path / "whole"))
    for cell, row in whole.items():
        assert rows[cell].train_loss == pytest.approx(row.train_loss, rel=1e-5)
    assert not [*tmp_path.rglob("*.tmp"), *tmp_path.rglob(".checkpoint*")]
    assert len(store.read_params(job_in(tmp_path, tiny), 20)) == 4


def test_runs_that_ended_before_the_memory_ran_out_are_not_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = dataclasses.replace(
        TINY, profiles={"smoke": Reduction(why="", n_data=(10,), strategy=Strategy((LBFGS(max_iterations=500),)))}
    ).at("smoke")
    add = store.Writer.add

    def add_and_fill(writer: store.Writer, *arguments: object) -> bool:
        room_for(monkeypatch, 1)  # from the first run that ends on
        return add(writer, *arguments)

    monkeypatch.setattr(store.Writer, "add", add_and_fill)
    with pytest.warns(UserWarning, match="the 3 that have not ended start again, 1 at a time"):
        report = execution.train(job_in(tmp_path, plan), progress=False)
    assert (report.trained, report.done) == (4, 4)


def test_a_stop_after_the_memory_ran_out_goes_on_with_as_many_as_fitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: Plan
) -> None:
    room_for(monkeypatch, 2)
    job = dataclasses.replace(job_in(tmp_path, tiny), time_limit=1e-9)
    with pytest.warns(UserWarning, match="2 at a time"):
        assert execution.train(job, progress=False).stopped_by == "time limit"
    (record,) = job.folder.glob(".checkpoint-n10-*.json")
    assert json.loads(record.read_text())["width"] == 2
    assert [e.width for e in planner.ensembles(job, [], CPU)] == [2, 4]
    with pytest.warns(UserWarning, match="at n_data=20"):  # the first amount of data needs no second warning
        assert execution.train(job_in(tmp_path, tiny), progress=False).done == 8


def test_where_not_even_one_run_fits_it_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: Plan) -> None:
    room_for(monkeypatch, 0)
    sentence = (
        "the GPU ran out of memory even for the least that is computed at a time: another program may be using it; every run "
        f"that ended is stored, go on with `python -m sciml_lib run {TINY.id} --profile smoke --runs {tmp_path} --device cpu`"
    )
    with pytest.warns(UserWarning, match="ran out of memory"), pytest.raises(UserError) as caught:
        sweeps.run(TINY.id, "smoke", runs=tmp_path, device="cpu")
    assert str(caught.value) == sentence
    assert not list(tmp_path.rglob(".checkpoint*"))  # the next call plans for the memory that there is then
    with pytest.raises(UserError, match=r"ran out of memory even for the least .*; close it, or use --device cpu"):
        timing.estimate(TINY.id, "smoke", runs=tmp_path, device="cpu")


def test_another_error_is_not_taken_for_a_lack_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room_for(monkeypatch, 0, RuntimeError("CUDA error: an illegal memory access was encountered"))
    with pytest.raises(RuntimeError, match="illegal memory access"):
        sweeps.run(TINY.id, "smoke", runs=tmp_path, device="cpu")


def test_an_estimate_takes_as_many_runs_as_fit(monkeypatch: pytest.MonkeyPatch, tiny: Plan) -> None:
    monkeypatch.setattr(timing, "CALIBRATION_SECONDS", 0.01)
    room_for(monkeypatch, 1)
    assert timing.calibrated(tiny, tiny.cells, CPU) > 0


@pytest.mark.parametrize("before", ["highest", "high", "medium"])
def test_products_are_precise_while_training_and_as_before_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    seen, step = set(), Adam.step
    monkeypatch.setattr(Adam, "step", lambda *arguments: seen.add(precision()) or step(*arguments))
    torch.set_float32_matmul_precision(before)
    try:
        outside = precision()
        sweeps.run(TINY.id, "smoke", runs=tmp_path, device="cpu")
        assert precision() == outside
    finally:
        torch.set_float32_matmul_precision("highest")
    assert seen == {("highest", "ieee", "ieee")}
    (call,) = json.loads((job_in(tmp_path, TINY.at("smoke")).folder / "manifest.json").read_text())["calls"]
    assert call["float32_precision"] == "highest" and "cuda" not in call


@pytest.mark.parametrize("backend", [torch.backends.cuda.matmul, torch.backends.mkldnn.matmul], ids=["cuda", "mkldnn"])
def test_a_precision_that_was_set_for_one_backend_is_put_back(backend: Any) -> None:
    """PyTorch then no longer answers what the precision of all of them is."""
    before = backend.fp32_precision
    backend.fp32_precision = "tf32"
    try:
        with pytest.raises(KeyError), devices.full_precision(CPU):
            assert precision() == ("highest", "ieee", "ieee")
            raise KeyError
        assert backend.fp32_precision == "tf32"
        with pytest.raises(RuntimeError, match="mix of the legacy and new APIs"):
            torch.get_float32_matmul_precision()
    finally:
        backend.fp32_precision = before


def precision() -> tuple[str, str, str]:
    backends = torch.backends.cuda.matmul.fp32_precision, torch.backends.mkldnn.matmul.fp32_precision
    return (torch.get_float32_matmul_precision(), *backends)


# --- training, stopping, reading ---


def test_a_sweep_trains_and_reads_back(tmp_path: Path, tiny: Plan) -> None:
    report = sweeps.run(TINY.id, "smoke", runs=tmp_path, device="cpu")
    assert (report.trained, report.done, report.stopped_by) == (8, 8, "")
    data = sciml_lib.load(TINY.id, profile="smoke", runs=tmp_path)
    assert dict(data.sizes) == {"coefficient": 2, "n_data": 2, "seed": 2}
    assert data.train_loss.dims == ("coefficient", "n_data", "seed")
    assert np.isfinite(data.train_loss).all() and (data.status != "").all()
    total = data.loss_residual + data.loss_boundary + data.loss_initial
    np.testing.assert_allclose(total, data.train_loss, rtol=1e-5)
    assert data.attrs["cells_done"] == data.attrs["cells_planned"] == 8
    assert data.attrs["seeds"] == [0, 1] and data.attrs["device"] == trained_by("cpu", tiny.smallest.engine)
    assert f"torch {torch.__version__}" in data.attrs["versions"]
    assert data.attrs["library_changed"] == 0
    assert not list(job_in(tmp_path, tiny).folder.glob(".checkpoint*"))


@pytest.mark.skipif(kernel.get() is None, reason="rows depend on their company without the compiled kernel")
@pytest.mark.parametrize("name", ["pinn/convection/lbfgs", "pinn/convection/nncg", "pinn/wave/alm", "pinn/reaction/ropinn"])
def test_a_row_that_was_lost_comes_back_to_the_bit(tmp_path: Path, name: str) -> None:
    """Trained alone and by another number of threads, where it was trained among others before."""
    plan = catalog.get(name).at("smoke")
    n = plan.n_data[0]
    job, before = sweeps.Job.of(name, "smoke", runs=tmp_path, device="cpu", n_data=[n]), torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        execution.train(job, progress=False)
        table, whole = job.folder / "cells.csv", store.read(job).rows
        head, *lines = table.read_text().splitlines(keepends=True)
        params = store.read_params(job, n)
        for i in (0, len(lines) - 1):
            lost = next(row for row in whole if row.line() == lines[i])
            table.write_text(head + "".join(line for k, line in enumerate(lines) if k != i))
            (job.folder / "arrays" / f"n{n}.npz").unlink()
            torch.set_num_threads(1)
            execution.train(job, progress=False)
            (found,) = (row for row in store.read(job).rows if row.cell == lost.cell)
            assert dataclasses.replace(found, seconds=lost.seconds) == lost
            key = store.params_key(lost.cell)
            np.testing.assert_array_equal(store.read_params(job, n)[key], params[key])
    finally:
        torch.set_num_threads(before)


def test_runs_of_another_profile_are_taken_over(tmp_path: Path, tiny: Plan) -> None:
    """Those of the same recipe, with their parameters and the record of who trained them."""
    sweep = dataclasses.replace(TINY, profiles=TINY.profiles | {"half": Reduction(why="For tests.", coefficients=(5.0,))})
    sweeps.run(sweep, "smoke", runs=tmp_path, device="cpu", n_data=[20], seeds=1)
    first = store.read(job_in(tmp_path, tiny))
    part = sweep.at("half")
    assert part.hash == tiny.hash
    report = sweeps.run(sweep, "half", runs=tmp_path, device="cpu")
    there = {row.cell for row in first.rows} & set(part.cells)
    assert report.taken == len(there) > 0 and report.trained == len(part.cells) - report.taken
    assert f"{report.taken} of them taken over from another profile" in report.sentence
    stored = store.read(job_in(tmp_path, part))
    assert stored.rows[: report.taken] == [row for row in first.rows if row.cell in there]
    for cell in there:
        ours, theirs = (store.params_of(job_in(tmp_path, plan), cell) for plan in (part, tiny))
        np.testing.assert_array_equal(ours, theirs)
    assert stored.manifest["calls"][0]["started"] == first.manifest["calls"][0]["started"]


def test_a_data_set_grows_into_a_larger_profile_that_has_its_runs(tmp_path: Path, tiny: Plan) -> None:
    load = partial(sciml_lib.load_or_train, TINY.id, runs=tmp_path, device="cpu")
    assert load("part", grown=True).attrs["profile"] == "part"  # nothing larger is stored
    sweeps.run(TINY.id, "smoke", runs=tmp_path, device="cpu", n_data=[10])
    assert load("part", grown=True).attrs["profile"] == "part"  # what is stored there lacks a run of its own
    sweeps.run(TINY.id, "smoke", runs=tmp_path, device="cpu", n_data=[20], seeds=1)
    found = load("part", seeds=1, grown=True)
    assert found.attrs["profile"] == "smoke" and (found.attrs["cells_done"], found.attrs["cells_planned"]) == (4, 4)
    assert load("part", seeds=1).attrs["profile"] == "part"


def test_runs_of_other_code_or_without_their_parameters_are_trained_anew(tmp_path: Path, tiny: Plan) -> None:
    sweeps.run(TINY.id, "smoke", runs=tmp_path, device="cpu")
    folder = job_in(tmp_path, tiny).folder
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"library": ["0123456789abcdef"]}))
    assert sweeps.run(TINY.id, "part", runs=tmp_path, device="cpu").taken == 0
    (folder / "manifest.json").write_text(json.dumps(manifest))
    sweeps.archive(TINY.id, "part", tmp_path)
    assert sweeps.run(TINY.id, "part", runs=tmp_path, device="cpu").taken == 2
    sweeps.archive(TINY.id, "smoke", tmp_path)
    assert sweeps.run(TINY.id, "smoke", runs=tmp_path, device="cpu").taken == 0  # "part" keeps no parameters


def test_runs_that_were_revalidated_stay_so_where_they_are_taken_over(tmp_path: Path, tiny: Plan) -> None:
    sweeps.run(TINY.id, "smoke", runs=tmp_path, device="cpu")
    path = job_in(tmp_path, tiny).folder / "manifest.json"
    content = json.loads(path.read_text())
    same = sorted(["0123456789abcdef", *content["library"]])
    path.write_text(json.dumps(content | {"library": ["0123456789abcdef"], "revalidated": same}))
    assert sweeps.run(TINY.id, "part", runs=tmp_path, device="cpu").taken == 2
    assert not sciml_lib.load(TINY.id, "part", runs=tmp_path).attrs["library_changed"]


def test_a_row_is_the_run_that_its_coordinates_name(tmp_path: Path, tiny: Plan) -> None:
    sweeps.run(TINY.id, "smoke", runs=tmp_path, device="cpu")
    params = store.read_params(job_in(tmp_path, tiny), 20)
    for row in store.read(job_in(tmp_path, tiny)).rows:
        if row.cell.n_data != 20:
            continue
        final = torch.from_numpy(params[store.params_key(row.cell)])[None]
        problem = tiny.problem([row.cell])
        assert problem.loss(final).item() == pytest.approx(row.train_loss, rel=1e-6)
        assert problem.test_error(final).item() == pytest.approx(row.test_error, rel=1e-6)


def test_nothing_is_trained_or_touched_twice(tmp_path: Path, tiny: Plan) -> None:
    sweeps.run(TINY.id, "smoke", runs=tmp_path, device="cpu")
    folder = job_in(tmp_path, tiny).folder
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    report = sweeps.run(TINY.id, "smoke", runs=tmp_path, device="cpu")
    assert (report.trained, report.done) == (0, 8)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_what_a_cut_at_the_very_end_left_behind_is_cleared(tmp_path: Path, tiny: Plan) -> None:
    """All rows are stored, but the process was killed before it removed its checkpoint."""
    sweeps.run(TINY.id, "smoke", runs=tmp_path, device="cpu")
    folder = job_in(tmp_path, tiny).folder
    rows = (folder / "cells.csv").read_bytes()
    ended = planner.Ensemble(tuple(cell for cell in tiny.cells if cell.n_data == 10), 4, tiny.hash)
    ended.begin(folder)
    torch.save({}, ended.checkpoint(folder))
    for path in (folder / ".checkpoint-n10-x.pt.tmp", folder / "arrays" / "n10.npz.tmp"):
        path.write_bytes(b"left")
    assert sweeps.run(TINY.id, "smoke", runs=tmp_path, device="cpu").trained == 0
    assert not [*folder.rglob("*.tmp"), *folder.glob(".checkpoint*")]
    assert (folder / "cells.csv").read_bytes() == rows


def test_the_time_limit_stops_and_the_next_call_goes_on(tmp_path: Path, tiny: Plan) -> None:
    reference = sweeps.run(TINY.id, "smoke", runs=tmp_path / "whole", device="cpu")
    stops = 0
    while (report := sweeps.run(TINY.id, "smoke", runs=tmp_path, device="cpu", time_limit=1e-9)).stopped_by:
        assert report.stopped_by == "time limit"
        assert "go on with `python -m sciml_lib run pinn/convection/tiny --profile smoke --runs" in report.sentence
        stops += 1
        assert stops < 200
    assert stops > 5 and report.done == reference.done == 8
    whole, parts = (sciml_lib.load(TINY.id, "smoke", runs=runs) for runs in (tmp_path / "whole", tmp_path))
    for name in ("train_loss", "test_error", "iterations", "evaluations"):
        np.testing.assert_allclose(parts[name], whole[name], rtol=1e-6)
    assert (parts.status == whole.status).all()


def signal_at_step(monkeypatch: pytest.MonkeyPatch, step: int, number: signal.Signals) -> None:
    """Sends this process a signal during one step of training, when the handlers stand for certain."""
    count = iter(range(10**9))
    show = execution._Bar.show

    def and_signal(*arguments: object) -> None:
        if next(count) == step:
            os.kill(os.getpid(), number)
        show(*arguments)

    monkeypatch.setattr(execution._Bar, "show", and_signal)


@pytest.fixture(params=[signal.default_int_handler, signal.SIG_IGN], ids=["terminal", "background"])
def handler_before(request: pytest.FixtureRequest) -> Iterator[object]:
    """What answers Ctrl-C before training: Python's own handler, or nothing, as in the background of a shell."""
    before = signal.signal(signal.SIGINT, request.param)
    yield request.param
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_between_two_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, handler_before: object
) -> None:
    signal_at_step(monkeypatch, 7, number)
    report = sweeps.run(TINY.id, "long", runs=tmp_path, device="cpu", progress=False)
    assert report.stopped_by == {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}[number]
    (checkpoint,) = job_in(tmp_path, TINY.at("long")).folder.glob(".checkpoint-n10-*.pt")
    at = torch.load(checkpoint, weights_only=True)["state"]["iterations"].tolist()
    assert at == [8] * 4  # the step in which it came is finished and kept
    assert signal.getsignal(signal.SIGINT) is handler_before
    clock = partial(next, itertools.count(0.0))  # a second passes whenever somebody looks
    report = execution.train(Job(TINY.at("long"), tmp_path, "cpu", time_limit=10.0), clock=clock)
    assert report.stopped_by == "time limit"
    after = torch.load(checkpoint, weights_only=True)["state"]["iterations"].tolist()
    assert 8 < after[0] <= 8 + 10 and after == after[:1] * 4


def test_ctrl_c_reaches_who_asked_for_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "calibrated", lambda *_: 1.0)
    signal_at_step(monkeypatch, 3, signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        sciml_lib.load_or_train(TINY.id, "long", runs=tmp_path, device="cpu")


def test_a_disk_full_of_checkpoint_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", refuse)
    with pytest.raises(UserError, match="No space left on device; no run is lost"):
        execution.train(job_in(tmp_path, TINY.at("long")), checkpoint_seconds=0.0)
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
def test_a_gpu_that_is_not_there_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert devices.resolve("auto") == CPU
    with pytest.raises(UserError, match=f"device={name} asks for a GPU and PyTorch finds none; use --device cpu"):
        sweeps.run(TINY.id, "smoke", runs=tmp_path, device=name)


def test_a_gpu_too_many_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert devices.resolve("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(UserError, match="PyTorch finds cuda:0 to cuda:1"):
        devices.resolve("cuda:2")


def test_load_or_train_trains_only_the_seeds_it_was_asked_for(tmp_path: Path, tiny: Plan) -> None:
    data = sciml_lib.load_or_train(TINY.id, "smoke", runs=tmp_path, device="cpu", seeds=1)
    assert data.seed.values.tolist() == data.attrs["seeds"] == [0]
    assert data.attrs["cells_done"] == data.attrs["cells_planned"] == 4
    assert {row.cell.seed for row in store.read(job_in(tmp_path, tiny)).rows} == {0}
    partly = sciml_lib.load(TINY.id, "smoke", runs=tmp_path)
    assert np.isnan(partly.train_loss.sel(seed=1)).all() and (partly.status.sel(seed=1) == "").all()
    assert (partly.attrs["cells_done"], partly.attrs["cells_planned"]) == (4, 8)
    whole = sciml_lib.load_or_train(TINY.id, "smoke", runs=tmp_path, device="cpu")
    np.testing.assert_array_equal(whole.train_loss.sel(seed=0), data.train_loss.sel(seed=0))


def test_hours_are_never_started_silently(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "train", lambda *_, **__: pytest.fail("training was started"))
    with pytest.raises(UserError) as caught:
        sciml_lib.load_or_train("pinn/convection/lbfgs", "paper", runs=tmp_path, device="cpu")
    assert "720 of 720 runs" in str(caught.value) and " h;" in str(caught.value)
    assert "python -m sciml_lib run pinn/convection/lbfgs --profile paper --runs" in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_the_estimate_follows_stored_runs_of_the_same_recipe(tmp_path: Path, tiny: Plan) -> None:
    assert np.isnan(timing.time_left(job_in(tmp_path, tiny), calibrate=False).seconds)
    sweeps.run(TINY.id, "smoke", runs=tmp_path, device="cpu")
    rows = store.read(job_in(tmp_path, tiny)).rows
    medians = {n: float(np.median([r.seconds for r in rows if r.cell.n_data == n])) for n in (10, 20)}
    part = TINY.at("part")
    got = timing.time_left(job_in(tmp_path, part), calibrate=False)
    assert got == timing.Estimate(pytest.approx(medians[10] + medians[20]), bound=False)
    other = TINY.at("long")  # another recipe: its runs take another time
    assert np.isnan(timing.time_left(job_in(tmp_path, other), calibrate=False).seconds)


def test_the_calibration_is_the_time_of_the_whole_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Adam uses up its whole budget, so that the bound is the time itself; the clock goes on a quarter second a step."""
    plan = dataclasses.replace(
        TINY, n_data=(500,), setup=PINNSetup(), profiles={"smoke": Reduction(why="", strategy=Strategy((Adam(60),)))}
    ).at("smoke")
    now, genuine = 0.0, Adam.step

    def step(*arguments: object) -> object:
        nonlocal now
        now += 0.25
        return genuine(*arguments)

    monkeypatch.setattr(Adam, "step", step)
    monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=lambda: now))
    assert timing.calibrated(plan, plan.cells, CPU) == pytest.approx(60 * 0.25)


def test_pairs_leave_the_rest_of_the_grid_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = dataclasses.replace(TINY, pairs=((0.5, 10), (5.0, 20)), profiles={"smoke": Reduction(why="")})
    monkeypatch.setitem(catalog.SWEEPS, TINY.id, study)
    data = sciml_lib.load_or_train(TINY.id, "smoke", runs=tmp_path, device="cpu")
    assert data.attrs["cells_planned"] == 4
    assert np.isfinite(data.train_loss.values).all(axis=2).tolist() == [[True, False], [False, True]]


def test_the_runs_folder_can_be_named_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert places.runs_folder() == Path(__file__).parents[1] / "runs"
    monkeypatch.setenv("SCIML_RUNS", str(tmp_path / "here"))
    assert places.runs_folder() == tmp_path / "here"
    assert places.runs_folder(tmp_path) == tmp_path


# --- where it comes from ---


def test_comments_do_not_change_the_library_but_code_does() -> None:
    plain, commented, other = ("x = 1\n", '"""Words."""\n\n# more\nx = 1  # one\n', "x = 2\n")
    assert provenance.code(plain) == provenance.code(commented) != provenance.code(other)


def closure(plan: Plan) -> set[str]:
    """Names of the modules that are part of a plan's fingerprint."""
    return provenance._closure({part if isinstance(part, str) else part.__module__ for part in plan.code})


def test_the_library_of_a_plan_is_what_its_runs_go_through() -> None:
    plan = catalog.get("pinn/convection/lbfgs").at("laptop")
    found = closure(plan)
    assert {"sciml_lib.systems.convection", "sciml_lib.models.jets", "sciml_lib.optim.line_search"} <= found
    assert {"sciml_lib.problems.pinn", "sciml_lib.strategies.loop", "sciml_lib.optim.adam"} <= found
    others = ("systems.wave", "strategies.alm", "strategies.ropinn", "strategies.curriculum", "optim.nncg", "sweeps.spec")
    assert not found & {f"sciml_lib.{name}" for name in others}
    assert "sciml_lib.systems.wave" in closure(catalog.get("pinn/wave/lbfgs").at("laptop"))
    assert "sciml_lib.optim.nystrom" in closure(catalog.get("pinn/convection/nncg").at("laptop"))


def test_a_changed_library_is_marked(tmp_path: Path, tiny: Plan) -> None:
    sweeps.run(TINY.id, "smoke", runs=tmp_path, device="cpu")
    path = job_in(tmp_path, tiny).folder / "manifest.json"
    content = json.loads(path.read_text())
    assert content["commit"] == provenance.commit() and content["cells_planned"] == 8
    path.write_text(json.dumps({**content, "library": ["0123456789abcdef"]}))
    assert dataset.load(TINY.id, "smoke", tmp_path).attrs["library_changed"] == 1


def _unchanged_since_the_commit() -> bool:
    done = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", "sciml_lib"], cwd=provenance.ROOT, capture_output=True)
    return done.returncode == 0


@pytest.mark.slow
def test_runs_of_other_code_are_confirmed_if_it_gives_the_same_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not _unchanged_since_the_commit():
        pytest.skip("the library differs from the commit that is checked out; commit first")
    sweep_id = "pinn/convection/nncg-base"
    sweeps.run(sweep_id, "smoke", runs=tmp_path, device="cpu")
    assert "nothing to revalidate" in sweeps.revalidate(sweep_id, "smoke", tmp_path)
    monkeypatch.setattr(provenance, "library_digest", lambda parts: "feedfeedfeedfeed")
    assert dataset.load(sweep_id, "smoke", tmp_path).attrs["library_changed"] == 1
    assert "8 runs of the profile smoke are the same to the last bit" in sweeps.revalidate(sweep_id, "smoke", tmp_path)
    assert dataset.load(sweep_id, "smoke", tmp_path).attrs["library_changed"] == 0
    monkeypatch.setattr(provenance, "library_digest", lambda parts: "0123012301230123")  # another change
    assert dataset.load(sweep_id, "smoke", tmp_path).attrs["library_changed"] == 1
    made = revalidation._Made
    monkeypatch.setattr(revalidation, "_Made", lambda folder: made(folder) if "old" in str(folder) else _Other(made(folder)))
    with pytest.raises(UserError, match="give different numbers"):
        sweeps.revalidate(sweep_id, "smoke", tmp_path)
    assert dataset.load(sweep_id, "smoke", tmp_path).attrs["library_changed"] == 1


class _Other:
    """What code makes whose last number is another."""

    def __init__(self, made: revalidation._Made) -> None:
        self.rows, self.library = [*made.rows[:-1], made.rows[-1] + "0"], made.library


def test_what_cannot_be_confirmed_is_said(tmp_path: Path, tiny: Plan) -> None:
    with pytest.raises(UserError, match=r"no runs of .* are stored"):
        sweeps.revalidate(TINY.id, "smoke", tmp_path)
    sweeps.run(TINY.id, "smoke", runs=tmp_path, device="cpu")
    path = job_in(tmp_path, tiny).folder / "manifest.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "library": ["0123456789abcdef"], "commit": "0" * 40}))
    with pytest.raises(UserError, match="commit 0000000 is not in this repository"):
        sweeps.revalidate(TINY.id, "smoke", tmp_path)


def test_the_version_is_that_of_the_package() -> None:
    text = (Path(__file__).parents[1] / "pyproject.toml").read_text()
    assert tomllib.loads(text)["project"]["version"] == sciml_lib.__version__
