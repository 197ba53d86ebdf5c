"""The pendulum's sweeps: the paper's tables, one ensemble for all lengths, and what its strategies ask of the stages."""

from __future__ import annotations

import dataclasses
import json
import re
import zipfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from trained import assert_same, cut_after_every_step

import sciml_lib
from sciml_lib import sweeps
from sciml_lib.errors import UserError
from sciml_lib.models import MLP
from sciml_lib.optim import LBFGS, NNCG, Exponential, Status
from sciml_lib.problems import NeuralODE
from sciml_lib.regimes import published, thresholds
from sciml_lib.strategies import (
    AugmentedLagrangian,
    Curriculum,
    MemberResult,
    MiniBatchAdam,
    RoPINN,
    Strategy,
    train,
)
from sciml_lib.sweeps import catalog, devices, planner, store, table4
from sciml_lib.sweeps.job import Job
from sciml_lib.sweeps.setups import NeuralODESetup
from sciml_lib.sweeps.spec import Plan, Reduction, Sweep
from sciml_lib.systems import Pendulum

CPU = torch.device("cpu")
TINY = Sweep(
    id="pinode/pendulum/tiny",
    title="Tiny",
    system="pendulum",
    coefficients=(1.0, 4.0),
    n_data=(20, 40),
    seeds=(3, 4),
    setup=NeuralODESetup(hidden=(4,), physics=True),
    strategy=Strategy((MiniBatchAdam(epochs=2, updates=3), LBFGS(max_iterations=6, history=5))),
    reading="None.",
    profiles={"smoke": Reduction(why="For tests.", n_seeds=1), "laptop": "paper", "paper": Reduction(why="For tests.")},
)


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> Plan:
    """The tiny sweep, known to the catalog; training on one core."""
    monkeypatch.setitem(catalog.SWEEPS, TINY.id, TINY)
    monkeypatch.delenv("SCIML_RUNS", raising=False)
    torch.set_num_threads(1)
    return TINY.at("paper")


# --- the paper's tables ---


def stages_of(sweep_id: str) -> tuple[object, ...]:
    return catalog.get(sweep_id).at("paper").strategy.stages


def test_the_strategies_are_those_of_table_4() -> None:
    """The table of the paper, line by line; what it leaves open is the released code's."""
    lbfgs = LBFGS(1_000, 1_250, 50, 1e-7, 1e-9, 1.0)
    inner = LBFGS(500, 625, 50, 1e-7, 1e-9, 1.0)
    for family in ("node", "pinode"):
        (adam,) = stages_of(f"{family}/pendulum/adam")
        assert (adam.learning_rate, adam.epochs, adam.batch_size) == (1e-3, 600, 32)
        assert (adam.updates, adam.schedule, adam.shuffle) == (13, Exponential(0.995), False)  # the code's alone
        (letter,) = stages_of(f"{family}/pendulum/adam-plain")
        assert letter == dataclasses.replace(adam, updates=None, schedule=None)
        assert stages_of(f"{family}/pendulum/adam-own") == (dataclasses.replace(adam, updates=None),)
    assert stages_of("pinode/pendulum/lbfgs") == (lbfgs,)
    before, alm = stages_of("pinode/pendulum/alm")
    assert (before, alm.inner, alm.outer, alm.growth, alm.penalty) == (lbfgs, inner, 50, 1.05, 1.0)
    assert (alm.constrained, alm.weight, alm.decay) == (("residual",), ((0.0, 10.0),), ((0.0, 0.0),))
    assert alm.keep_history is True
    before, nncg = stages_of("pinode/pendulum/nncg")
    assert (before, nncg.learning_rate, nncg.steps, nncg.rank) == (lbfgs, 1e-3, 1_500, 10)
    assert (nncg.damping, nncg.cg_tolerance, nncg.cg_iterations, nncg.refresh) == (1e-2, 1e-5, 100, 1)
    half, after = stages_of("pinode/pendulum/nncg-adam")
    assert stages_of("pinode/pendulum/adam-half") == (half,)
    assert (half, after) == (dataclasses.replace(adam, epochs=300), dataclasses.replace(nncg, steps=300))
    before, tight = stages_of("pinode/pendulum/nncg-tight")
    assert (before, tight.damping, tight.cg_tolerance, tight.learning_rate) == (lbfgs, 1e-6, 1e-9, 1.0)
    curriculum, last = stages_of("pinode/pendulum/cl")
    assert (curriculum.n_stages, curriculum.step, curriculum.start, curriculum.solver, last) == (59, 0.25, 0.25, inner, inner)
    assert stages_of("pinode/pendulum/adam-unscaled") == stages_of("pinode/pendulum/adam")
    assert stages_of("node/pendulum/adam-raw") == stages_of("node/pendulum/adam")


def test_the_curriculum_has_sixty_stages_and_leads_exactly_to_the_last_column() -> None:
    phases = catalog.get("pinode/pendulum/cl").at("paper").strategy.phases
    assert len(phases) == 60
    levels = [phase.coefficient for phase in phases[:-1]]
    assert levels == pytest.approx([0.25 * k for k in range(1, 60)])
    curriculum = stages_of("pinode/pendulum/cl")[0]
    assert (curriculum.first, curriculum.top) == (0.25, 15.0)
    assert curriculum.top == max(catalog.get("pinode/pendulum/cl").coefficients)


@pytest.mark.parametrize("family", ["node", "pinode"])
def test_the_axes_are_those_of_fig_1(family: str) -> None:
    fig = published.fig1(family.upper())
    sweep = catalog.get(fig.attrs["sweep"])
    assert sweep.id == f"{family}/pendulum/adam"
    assert sweep.coefficients == tuple(fig.coefficient.values.tolist())
    assert sweep.n_data == tuple(fig.n_data.values.tolist())
    for sweep_id in catalog.ids():
        if sweep_id.startswith(f"{family}/"):
            other = catalog.get(sweep_id)
            assert sweep_id == TINY.id or (other.coefficients, other.n_data) == (sweep.coefficients, sweep.n_data)


def test_the_axes_in_numbers() -> None:
    node, pinode = catalog.get("node/pendulum/adam"), catalog.get("pinode/pendulum/adam")
    assert pinode.coefficients == (1, 2, 4, 6, 8, 10, 12, 15)
    assert pinode.n_data == tuple(round(seconds / 0.05) for seconds in (1, 2, 5, 8, 10, 12, 15, 20))
    assert node.coefficients == (1, 1.2, 2, 2.9, 5.5, 8, 12, 15)
    horizons = np.linspace(1.0, 18.2727, 8)  # eight ticks up to the eleventh of linspace(1, 20, 12)
    assert node.n_data == tuple(len(np.arange(0.0, seconds, 0.05)) for seconds in horizons)
    assert node.seeds == pinode.seeds == (3, 4, 5, 6, 7)
    assert len(pinode.at("paper").cells) == len(node.at("paper").cells) == 8 * 8 * 5


def test_the_rows_of_table_5_are_sweeps() -> None:
    rows = {row for row in thresholds.table5() if "/pendulum/" in row}
    assert rows == {"node/pendulum/adam", *(f"pinode/pendulum/{name}" for name in ("adam", "lbfgs", "alm", "nncg", "cl"))}
    assert rows <= set(catalog.ids())


@pytest.mark.parametrize(
    ("sweep_id", "shape", "said"),
    [
        ("node/pendulum/adam", 659, "sphere, data"),
        ("node/pendulum/adam-raw", 626, "raw, data"),
        ("pinode/pendulum/adam", 626, "raw, physics"),
        ("pinode/pendulum/lbfgs", 626, "raw, physics"),
        ("pinode/pendulum/adam-unscaled", 626, "raw, unscaled physics"),
    ],
)
def test_the_networks_are_the_released_codes(sweep_id: str, shape: int, said: str) -> None:
    plan = catalog.get(sweep_id).at("paper")
    problem = plan.problem(plan.cells[:2])
    assert problem.n_params == shape
    assert f"), {said}, " in problem.description
    assert (problem.model.hidden, problem.model.initial, problem.system.dt) == ((16, 16, 16), "linear", 0.05)
    assert problem.dtype == torch.float32


@pytest.mark.parametrize("family", ["node", "pinode"])
def test_laptop_is_another_name_of_paper(family: str) -> None:
    for sweep_id in catalog.ids():
        if sweep_id.startswith(f"{family}/"):
            sweep = catalog.get(sweep_id)
            laptop, paper = sweep.at("laptop"), sweep.at("paper")
            assert laptop.profile == "paper"
            assert laptop == paper and laptop.hash == paper.hash
            assert Job(laptop).command == f"python -m sciml_lib run {sweep_id} --profile paper"
            assert sweep_id == TINY.id or sweep.at("smoke").hash != paper.hash


def test_every_recipe_of_the_pendulum_has_its_own_hash() -> None:
    plans = [catalog.get(sweep_id).at("paper") for sweep_id in catalog.ids() if sweep_id.split("/")[0] in ("node", "pinode")]
    assert len(plans) > 10
    for one in plans:
        for other in plans:  # two sweeps may have one recipe on different axes
            assert (one.hash == other.hash) == ((one.sweep.setup, one.strategy) == (other.sweep.setup, other.strategy))
    for change in (
        {"hidden": (5,)},
        {"physics": False},
        {"scaled": False},
        {"representation": "sphere", "physics": False},
    ):
        setup = dataclasses.replace(TINY.setup, **change)
        assert dataclasses.replace(TINY, setup=setup).at("paper").hash != TINY.at("paper").hash
    assert (
        dataclasses.replace(TINY, seeds=(9,), profiles={"paper": Reduction(why="")}).at("paper").hash == TINY.at("paper").hash
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n_data": (2, 20)}, "n_data=2 states are a horizon of fewer than two steps of 0.05; choose at least 3"),
        ({"n_data": (20.5,)}, "n_data=20.5 is not a whole number"),
        ({"coefficients": (0.0,)}, "1/b=0 is no coefficient of the pendulum equation; choose one above 0"),
        ({"coefficients": (-1.0,)}, "1/b=-1 is no coefficient"),
        ({"profiles": {"laptop": "papier"}}, "unknown profile 'papier'"),
    ],
)
def test_impossible_sweeps_are_refused_with_what_is_possible(change: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        dataclasses.replace(TINY, **change).at("laptop")


@pytest.mark.parametrize("hidden", [(), (0,), (16, -1)])
def test_impossible_widths_are_refused(hidden: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="must list one positive integer per hidden layer"):
        NeuralODESetup(hidden=hidden)


# --- one ensemble of all lengths ---


def test_all_runs_of_a_plan_train_in_one_ensemble(tmp_path: Path, tiny: Plan) -> None:
    job = Job(tiny, tmp_path)
    (whole,) = planner.ensembles(job, [], CPU)
    assert (whole.cells, whole.width, whole.n_data) == (tiny.cells, 8, "20-40")
    assert re.fullmatch(r"\.checkpoint-n20-40-[0-9a-f]{8}\.pt", whole.checkpoint(tmp_path).name)
    (rest,) = planner.ensembles(job, tiny.cells[:5], CPU)
    assert (rest.cells, rest.n_data) == (tiny.cells[5:], "40")
    assert planner.ensembles(job, tiny.cells, CPU) == []
    panel = catalog.get("pinode/pendulum/nncg").at("paper")
    (panel_whole,) = planner.ensembles(Job(panel, tmp_path), [], CPU, memory=4 * 10**9)
    assert (len(panel_whole.cells), panel_whole.width, panel_whole.n_data) == (320, 320, "20-400")


def test_the_members_of_an_ensemble_are_its_cells(tiny: Plan) -> None:
    problem = tiny.problem(tiny.cells)
    assert problem.coefficients.tolist() == [cell.coefficient for cell in tiny.cells]
    assert problem.data_groups == [cell.n_data for cell in tiny.cells]
    assert sorted(set(problem.data_groups)) == [20, 40]


def test_a_stopped_ensemble_goes_on_as_it_was(tmp_path: Path, tiny: Plan) -> None:
    job = Job(tiny, tmp_path)
    job.folder.mkdir(parents=True)
    (begun,) = planner.ensembles(job, [], CPU)
    begun.begin(job.folder)
    torch.save({"state": torch.zeros(2)}, begun.checkpoint(job.folder))
    assert planner.ensembles(job, tiny.cells[:3], CPU) == [begun]
    (own,) = planner.ensembles(Job(tiny, tmp_path, seeds=1), [], CPU)
    assert own.cells == tuple(cell for cell in tiny.cells if cell.seed == 3) and begun.checkpoint(job.folder).exists()


def test_what_an_evaluation_of_all_slots_needs_is_kept_free() -> None:
    plan = catalog.get("pinode/pendulum/adam").at("paper")
    largest = max(plan.cells, key=lambda cell: cell.n_data)
    one, all_ = plan.problem([largest]), plan.problem([largest] * 320)
    assert all_.workspace_bytes_per_member == one.workspace_bytes_per_member
    assert planner.evaluation_bytes(one, 320) == planner.evaluation_bytes(all_, 320) == 320 * one.workspace_bytes_per_member


def test_slots_follow_the_memory() -> None:
    plan = catalog.get("pinode/pendulum/alm").at("paper")
    widths = [planner.slots(plan, plan.cells, CPU, memory) for memory in (devices.CPU_LIMIT_BYTES, 200 * 10**6, 30 * 10**6)]
    assert widths[0] == 320 and widths == sorted(widths, reverse=True) and 1 <= widths[2] < 320
    with pytest.raises(UserError, match="a run with n_data=400 takes"):
        planner.slots(plan, plan.cells, CPU, 1000)


def test_a_sweep_trains_and_reads_back_with_its_measure(tmp_path: Path, tiny: Plan) -> None:
    report = sweeps.run(TINY.id, "laptop", runs=tmp_path, device="cpu")
    assert (report.trained, report.done, report.stopped_by) == (8, 8, "")
    folder = Job(tiny, tmp_path).folder
    assert folder == tmp_path / "pinode/pendulum/tiny/paper"
    assert not list(folder.glob(".checkpoint*"))
    assert sorted(path.name for path in (folder / "arrays").iterdir()) == ["n20.npz", "n40.npz"]
    for path in (folder / "arrays").iterdir():  # what an ensemble has of each length is packed when it has ended
        with zipfile.ZipFile(path) as archive:
            assert {part.compress_type for part in archive.infolist()} == {zipfile.ZIP_DEFLATED}
    head = (folder / "cells.csv").read_text().splitlines()[0].split(",")
    assert head[4:9] == ["train_loss", "loss_data", "loss_residual", "test_error", "one_step_mse"]
    content = json.loads((folder / "manifest.json").read_text())
    assert (content["profile"], content["blocks"], content["metrics"]) == ("paper", ["data", "residual"], ["one_step_mse"])
    for profile in ("laptop", "paper"):
        data = sciml_lib.load(TINY.id, profile=profile, runs=tmp_path)
        assert data.attrs["profile"] == "paper"
        assert dict(data.sizes) == {"coefficient": 2, "n_data": 2, "seed": 2}
        assert data.one_step_mse.dims == ("coefficient", "n_data", "seed")
        assert np.isfinite(data.one_step_mse).all() and (data.one_step_mse > 0).all()
        np.testing.assert_allclose(data.loss_data + data.loss_residual, data.train_loss, rtol=1e-5)
    rows = {row.cell: row for row in store.read(Job(tiny, tmp_path)).rows}
    assert len(rows) == 8
    for cell, row in rows.items():
        one = data.sel(coefficient=cell.coefficient, n_data=cell.n_data, seed=cell.seed)
        assert float(one.one_step_mse) == row.metrics["one_step_mse"]
    before = (folder / "cells.csv").read_bytes()
    assert sweeps.run(TINY.id, "paper", runs=tmp_path, device="cpu").trained == 0
    assert (folder / "cells.csv").read_bytes() == before


def test_a_row_is_the_run_that_its_coordinates_name(tmp_path: Path, tiny: Plan) -> None:
    sweeps.run(TINY.id, "paper", runs=tmp_path, device="cpu")
    params = {n: store.read_params(Job(tiny, tmp_path), n) for n in (20, 40)}
    setup, finals = TINY.setup, []
    for row in store.read(Job(tiny, tmp_path)).rows:
        c, n, seed = row.cell
        final = torch.from_numpy(params[n][store.params_key(row.cell)])[None]
        problem = NeuralODE(Pendulum(), setup.network(Pendulum()), [c], n, physics=True)
        found = problem.evaluate(final)
        assert problem.loss(final).item() == pytest.approx(row.train_loss, rel=1e-6)
        assert found.terms["residual"].item() == pytest.approx(row.terms["residual"], rel=1e-6)
        assert found.test_error.item() == pytest.approx(row.test_error, rel=1e-6)
        assert found.metrics["one_step_mse"].item() == pytest.approx(row.metrics["one_step_mse"], rel=1e-6)
        own: list[MemberResult] = []
        train(problem, [seed], TINY.strategy, on_result=lambda _, result, own=own: own.append(result))
        assert own[0].train_loss == pytest.approx(row.train_loss, rel=1e-4)
        assert (own[0].status, own[0].iterations) == (row.status, row.iterations)
        finals.append(final)
    assert len({tuple(final[0].tolist()) for final in finals}) == 8


def test_the_time_limit_stops_and_the_next_call_goes_on(tmp_path: Path, tiny: Plan) -> None:
    reference = sweeps.run(TINY.id, "paper", runs=tmp_path / "whole", device="cpu")
    folder, stops = Job(tiny, tmp_path).folder, 0
    while (report := sweeps.run(TINY.id, "laptop", runs=tmp_path, device="cpu", time_limit=1e-9)).stopped_by:
        assert report.stopped_by == "time limit"
        assert "go on with `python -m sciml_lib run pinode/pendulum/tiny --profile paper --runs" in report.sentence
        assert [path.name[:17] for path in folder.glob(".checkpoint-*.pt")] == [".checkpoint-n20-4"]
        stops += 1
        assert stops < 200
    assert stops > 10 and report.done == reference.done == 8
    whole, parts = (sciml_lib.load(TINY.id, "paper", runs=runs) for runs in (tmp_path / "whole", tmp_path))
    for name in ("train_loss", "test_error", "one_step_mse", "iterations", "evaluations"):
        np.testing.assert_allclose(parts[name], whole[name], rtol=1e-6)
    assert (parts.status == whole.status).all()


@pytest.mark.parametrize("metrics", [None, ["other_mse"], ["one_step_mse", "other_mse"]])
def test_a_manifest_with_other_measures_is_refused(tmp_path: Path, tiny: Plan, metrics: list[str] | None) -> None:
    sweeps.run(TINY.id, "paper", runs=tmp_path, device="cpu")
    folder = Job(tiny, tmp_path).folder
    content = json.loads((folder / "manifest.json").read_text())
    del content["metrics"]
    (folder / "manifest.json").write_text(json.dumps(content | ({} if metrics is None else {"metrics": metrics})))
    rows = (folder / "cells.csv").read_bytes()
    for use in (partial(sciml_lib.load, TINY.id, "paper", runs=tmp_path), partial(sweeps.run, TINY.id, "paper", runs=tmp_path)):
        with pytest.raises(UserError, match=r"cells\.csv, line 1: the columns are not coefficient"):
            use()
    assert (folder / "cells.csv").read_bytes() == rows
    (folder / "cells.csv").unlink()  # then nothing but the manifest speaks
    named = "none" if metrics is None else ", ".join(metrics)
    with pytest.raises(UserError, match=f"lists the metrics {named} and not one_step_mse; restore it, or .* --restart"):
        sweeps.run(TINY.id, "paper", runs=tmp_path, device="cpu")
    assert not (folder / "cells.csv").exists()


def test_a_sweep_without_a_measure_writes_none(tmp_path: Path) -> None:
    """Older stores stay as they were."""
    sweep_id = "pinn/convection/lbfgs-literal"
    sweeps.run(sweep_id, "smoke", runs=tmp_path, device="cpu", seeds=1)
    folder = Job(catalog.get(sweep_id).at("smoke"), tmp_path).folder
    assert "metrics" not in json.loads((folder / "manifest.json").read_text())
    head = (folder / "cells.csv").read_text().splitlines()[0]
    assert head.endswith("test_error,iterations,evaluations,seconds,device")


# --- what the strategies ask of the stages ---

COEFFICIENTS, AMOUNTS, SEEDS = (1.0, 2.0, 2.0, 1.4, 2.0, 0.25), (9, 9, 14, 9, 9, 9), (4, 4, 4, 4, 5, 4)
SOLVER, LAST = LBFGS(max_iterations=5, history=4), LBFGS(max_iterations=8, history=4)
CLIMB = Strategy((Curriculum(n_stages=4, step=0.5, solver=SOLVER, start=0.25), LAST))


def make_problem(
    coefficients: Sequence[float] = COEFFICIENTS, n_data: int | Sequence[int] = AMOUNTS, **options: object
) -> NeuralODE:
    model = MLP(hidden=(5, 4), n_inputs=2, n_outputs=2, initial="linear")
    return NeuralODE(Pendulum(), model, coefficients, n_data, **({"physics": True, "dtype": torch.float64} | options))


def run(
    problem: NeuralODE,
    strategy: Strategy,
    seeds: Sequence[int] = SEEDS,
    results: dict[int, MemberResult] | None = None,
    **options: object,
) -> dict[int, MemberResult]:
    results = {} if results is None else results
    train(problem, seeds, strategy, on_result=results.__setitem__, **options)
    return results


def test_members_share_levels_with_those_of_the_same_seed_and_equally_much_data() -> None:
    assert [phase.coefficient for phase in CLIMB.phases] == [0.25, 0.75, 1.25, 1.75, None]
    groups = [phase.groups(make_problem(), SEEDS) for phase in CLIMB.phases]
    assert groups[0] == [[0, 1, 3], [2], [4]]  # member 5 is where the first level is, and has no way to go
    assert groups[1] == [[0, 1, 3], [2], [4]]
    assert groups[2] == [[1, 3], [2], [4]]
    assert groups[3] == [[1], [2], [4]]
    assert groups[4] == [[m] for m in range(6)]
    equal = [phase.groups(make_problem(n_data=9), SEEDS) for phase in CLIMB.phases]
    assert equal[0] == [[0, 1, 2, 3], [4]]


def test_a_levels_trajectories_are_those_of_its_coefficient() -> None:
    problem = make_problem()
    params = problem.init(range(6)) + 0.2
    for phase in CLIMB.phases[:-1]:
        view = phase.view(problem)
        expected = make_problem([phase.coefficient] * 6)
        assert view.data_groups == list(AMOUNTS)
        assert view.coefficients.tolist() == [phase.coefficient] * 6
        for name, residual in expected.residuals(params).items():
            assert torch.equal(view.residuals(params)[name], residual)
    assert CLIMB.phases[-1].view(problem) is problem


def plain_lbfgs(problem: NeuralODE, solver: LBFGS, x0: Tensor) -> tuple[Tensor, int, int]:
    x = x0.clone().requires_grad_()
    optimiser = torch.optim.LBFGS(
        [x], max_iter=solver.max_iterations, history_size=solver.history, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = problem.loss(x[None])[0]
        loss.backward()
        return loss

    optimiser.step(closure)
    state = optimiser.state[x]
    return x.detach(), state["n_iter"], state["func_evals"]


@pytest.mark.usefixtures("searches_of_25_trials")
def test_every_member_climbs_its_levels_one_after_the_other() -> None:
    problem = make_problem()
    results = run(problem, CLIMB)
    for m, (target, n, seed) in enumerate(zip(COEFFICIENTS, AMOUNTS, SEEDS, strict=True)):
        x = problem.init([seed])[0]
        counts = [0, 0]
        here = 0.25
        while here < target:
            x, *spent = plain_lbfgs(make_problem([here], n), SOLVER, x)
            counts = [sum(pair) for pair in zip(counts, spent, strict=True)]
            here += 0.5
        x, *spent = plain_lbfgs(make_problem([target], n), LAST, x)
        counts = [sum(pair) for pair in zip(counts, spent, strict=True)]
        assert [results[m].iterations, results[m].evaluations] == counts
        torch.testing.assert_close(results[m].params, x, rtol=1e-6, atol=1e-8)
    for m in range(6):  # slots and cuts are no part of it
        torch.testing.assert_close(run(problem, CLIMB, width=2)[m].params, results[m].params, rtol=1e-6, atol=1e-8)


def test_a_curriculum_stopped_and_resumed_at_every_step_gives_the_same(tmp_path: Path) -> None:
    def train_it(results: dict[int, MemberResult], **options: object) -> None:
        run(make_problem(), CLIMB, results=results, **options)

    results = cut_after_every_step(train_it, tmp_path, at_least=25)
    assert_same(results, run(make_problem(), CLIMB), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("start", [-0.25, -1e-9, float("nan")])
def test_a_curriculum_begins_at_zero_or_above(start: float) -> None:
    with pytest.raises(UserError, match=f"start={start} is no coefficient to begin a curriculum at; choose 0 or more"):
        Curriculum(start=start)
    assert (Curriculum(start=0.0).first, Curriculum().first) == (0.0, 0.0)


def test_levels_are_counted_from_the_start() -> None:
    assert table4.TABLE_4_CL.start == 0.25
    said = r"1/b=2.25 \(4 stages of 0.5\) and 3.3 lies above; choose at least n_stages=7"
    with pytest.raises(UserError, match=said):
        run(make_problem([1.0, 3.3], 9), CLIMB, [0, 1])
    Curriculum(n_stages=7, step=0.5, start=0.25).check(make_problem([1.0, 3.3], 9))


def test_a_curriculum_that_begins_where_the_equation_makes_no_sense_is_refused() -> None:
    strategy = Strategy((Curriculum(n_stages=4, step=0.5, solver=SOLVER), LAST))
    with pytest.raises(UserError, match="1/b=0 is no coefficient of the pendulum equation; choose one above 0"):
        run(make_problem([1.0, 2.0], 9), strategy, [0, 1])


def test_ropinn_is_refused_with_a_sentence() -> None:
    said = "RoPINN moves collocation points, and these members have none; choose another strategy, such as L-BFGS"
    with pytest.raises(UserError, match=said):
        run(make_problem(), Strategy((RoPINN(calls=2),)))


def test_an_unknown_block_to_constrain_is_refused() -> None:
    node = make_problem(physics=False)
    with pytest.raises(UserError, match=r"unknown block to constrain 'residual': .*conditions, data"):
        run(node, Strategy((AugmentedLagrangian(outer=2, constrained=("residual",)),)))


ALM = AugmentedLagrangian(
    outer=4,
    inner=LBFGS(max_iterations=6, history=4),
    penalty=1.0,
    growth=1.05,
    constrained=("residual",),
    weight=((0.0, 10.0),),
    keep_history=True,
)


def plain_alm(alm: AugmentedLagrangian, coefficient: float, n: int, x0: Tensor) -> tuple[Tensor, int, int]:
    """One member in the released code's words: one optimiser throughout if the history is kept, else one for each call."""
    problem = make_problem([coefficient], n, scaled=False)
    x = x0.clone().requires_grad_()
    lam, mu = torch.zeros(2 * (n - 1), dtype=torch.float64), alm.penalty
    solver = alm.inner

    def make() -> torch.optim.LBFGS:
        return torch.optim.LBFGS(
            [x], max_iter=solver.max_iterations, history_size=solver.history, line_search_fn="strong_wolfe"
        )

    optimiser = make()

    def closure() -> Tensor:
        optimiser.zero_grad()
        blocks = problem.residuals(x[None])
        r = blocks["residual"][0]
        loss = 10.0 * blocks["data"][0].square().mean() + (lam * r).mean() + 0.5 * mu * 0.05**2 * r.square().mean()
        loss.backward()
        return loss

    iterations = evaluations = 0
    for call in range(alm.outer):
        with torch.no_grad():
            lam = lam + mu * 0.05**2 * problem.residuals(x[None])["residual"][0]
        mu *= alm.growth
        if call and not alm.keep_history:
            counts = optimiser.state[x]
            iterations, evaluations = iterations + counts["n_iter"], evaluations + counts["func_evals"]
            optimiser = make()
        optimiser.step(closure)
    counts = optimiser.state[x]
    return x.detach(), iterations + counts["n_iter"], evaluations + counts["func_evals"]


@pytest.mark.usefixtures("searches_of_25_trials")
@pytest.mark.parametrize("keep", [True, None])
def test_alm_goes_on_with_the_curvature_it_has_if_asked_to(keep: bool | None) -> None:
    problem = make_problem()
    alm = dataclasses.replace(ALM, keep_history=keep)
    params = problem.init(SEEDS)
    state = alm.init(problem, params)
    began_with_pairs = 0
    while (state.status == Status.RUNNING).any():
        before = state.calls.clone()
        alm.step(problem, state)
        again = (state.calls > before) & (state.calls < alm.outer)
        began_with_pairs += int((state.history.pairs[again] > 0).sum())
    assert (began_with_pairs == 3 * 6) if keep else (began_with_pairs == 0)
    for m, (coefficient, n) in enumerate(zip(COEFFICIENTS, AMOUNTS, strict=True)):
        x, iterations, evaluations = plain_alm(alm, coefficient, n, params[m])
        assert (state.total_iterations[m], state.total_evaluations[m]) == (iterations, evaluations)
        torch.testing.assert_close(state.params[m], x, rtol=1e-6, atol=1e-8)
        other, _, _ = plain_alm(dataclasses.replace(alm, keep_history=None if keep else True), coefficient, n, params[m])
        assert (other - x).abs().max() > 1e-5  # the two are not the same
    assert (state.calls == alm.outer).all()
    multipliers = state.multipliers
    for m, n in enumerate(AMOUNTS):
        assert multipliers[m, : 2 * (n - 1)].all() and not multipliers[m, 2 * (n - 1) :].any()


def test_alm_with_its_history_does_not_depend_on_slots_and_cuts(tmp_path: Path) -> None:
    strategy = Strategy((LBFGS(max_iterations=3, history=4), ALM))
    expected = run(make_problem(), strategy)
    assert_same(run(make_problem(), strategy, width=2), expected, rtol=1e-6, atol=1e-8)

    def train_it(results: dict[int, MemberResult], **options: object) -> None:
        run(make_problem(), strategy, results=results, width=4, **options)

    assert_same(cut_after_every_step(train_it, tmp_path, at_least=30), expected, rtol=1e-6, atol=1e-8)
    for m, result in expected.items():
        assert result.train_loss == pytest.approx(make_problem().select([m]).loss(result.params[None]).item(), rel=1e-12)


def test_nncg_ends_where_the_gradient_is_within_its_tolerance_and_changes_nothing() -> None:
    problem = make_problem()
    params = problem.init(SEEDS)
    norms = torch.linalg.vector_norm(problem.value_and_grad(params)[1], dim=1)
    between = (norms.min() + norms.max()).item() / 2
    stage = NNCG(steps=3, rank=4, refresh=1, cg_tolerance=between, learning_rate=0.1)
    state = stage.init(problem, params, SEEDS)
    for _ in range(3):
        stage.step(problem, state)
    solved = norms <= between
    assert solved.any() and not solved.all()
    for m in range(6):
        if solved[m]:
            assert state.status[m] == Status.NOTHING_TO_SOLVE
            assert (state.iterations[m], state.evaluations[m]) == (0, 1)
            assert torch.equal(state.params[m], params[m])
            assert state.loss[m] == problem.loss(params)[m]
        else:
            assert state.status[m] in (Status.BUDGET_SPENT, Status.NEGATIVE_CURVATURE)
            assert state.iterations[m] == 3
            assert not torch.equal(state.params[m], params[m])
    assert "tolerance" in Status.NOTHING_TO_SOLVE.sentence


def test_nncg_after_lbfgs_is_lbfgs_where_there_is_nothing_to_solve() -> None:
    before = LBFGS(max_iterations=10, history=5)
    alone = run(make_problem(), Strategy((before,)))
    loose, tight = NNCG(steps=2, rank=4, cg_tolerance=1e3), NNCG(steps=2, rank=4, cg_tolerance=1e-12)
    followed = run(make_problem(), Strategy((before, loose)))
    moved = run(make_problem(), Strategy((before, tight)))
    for m in range(6):
        assert followed[m].status == "nothing_to_solve"
        assert torch.equal(followed[m].params, alone[m].params)
        assert (followed[m].iterations, followed[m].evaluations) == (alone[m].iterations, alone[m].evaluations + 1)
        # Reported in another company: members end together here, and one after the other there.
        assert followed[m].train_loss == pytest.approx(alone[m].train_loss, rel=1e-12)
        assert moved[m].status != "nothing_to_solve"
        assert moved[m].train_loss < alone[m].train_loss


def test_a_direction_that_is_known_goes_on_below_the_tolerance() -> None:
    """Only at a direction of zero would conjugate gradients do nothing for ever."""
    problem = make_problem()
    params = problem.init(SEEDS)
    stage = NNCG(steps=2, rank=4, refresh=1, cg_tolerance=1e3)
    state = stage.init(problem, params, SEEDS)
    grad = problem.value_and_grad(params)[1]
    state.direction[0] = grad[0]
    stage.step(problem, state)
    assert state.status.tolist() == [Status.RUNNING] + [Status.NOTHING_TO_SOLVE] * 5
    assert state.iterations.tolist() == [1, 0, 0, 0, 0, 0]
    assert not torch.equal(state.params[0], params[0]) and torch.equal(state.params[1:], params[1:])
