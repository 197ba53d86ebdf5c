"""Studies: how they are stored and continued, and that what they store is what an independent computation gives."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import Tensor

import sciml_lib
from sciml_lib import keeper, studies
from sciml_lib.cli import main
from sciml_lib.errors import UserError
from sciml_lib.landscape import HessianOperator, hutchinson, power_iteration
from sciml_lib.landscape.draws import Purpose, rademacher
from sciml_lib.optim import Status
from sciml_lib.problems import Problem
from sciml_lib.studies import STUDIES, Item, Results, Study, base
from sciml_lib.sweeps import catalog, store
from sciml_lib.sweeps.job import Job
from sciml_lib.sweeps.spec import Cell

LBFGS, ALM = "pinn/convection/lbfgs", "pinn/convection/alm"


# --- what is to be computed -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", STUDIES)
@pytest.mark.parametrize("profile", base.PROFILES)
def test_items_are_unique_and_their_sweeps_exist(name: str, profile: str) -> None:
    study = studies.get(name)
    items = study.items(profile)
    assert items == study.items(profile)
    assert len({item.key for item in items}) == len(set(items)) == len(items)
    groups = study.groups(items)
    assert sorted(item.key for group in groups for item in group) == sorted(item.key for item in items)
    assert all(len({item.sweep for item in group}) == 1 for group in groups)
    assert {item.sweep for item in items} <= set(study.sweeps(profile)) <= set(catalog.SWEEPS)
    assert json.loads(json.dumps(study.recipe(profile))) == study.recipe(profile)


def test_names_of_files_stay_what_they_are() -> None:
    """Stored results are found by these."""
    found = {name: [len(study.items("laptop")), study.items("laptop")[-1].key] for name, study in STUDIES.items()}
    assert found == {
        "spectra": [42, "pinn-reaction-diffusion-lbfgs_c20_n1000_s1_after"],
        "surfaces": [30, "pinn-reaction-diffusion-lbfgs_c15_n1000_s1_wide"],
        "trajectories": [15, "pinn-convection-lbfgs_c5_n15000_s2"],
        "curves": [18, "pinn-convection-alm_c40_n10000_s2_own"],
        "jumps": [24, "pinn-convection-lbfgs_c20_n500_s2_eta0.8"],
    }


@pytest.mark.parametrize("profile", ["smoke", "laptop"])
@pytest.mark.parametrize("name", ["spectra", "surfaces", "curves"])
def test_the_networks_are_among_those_that_the_sweeps_train(name: str, profile: str) -> None:
    for item in studies.get(name).items(profile):
        for sweep, cell in studies.get(name).networks(item):
            assert cell in catalog.get(sweep).at(profile).cells


# --- storing and going on -------------------------------------------------------------------------------------


class Made(Study):
    """Six items in three groups; remembers what it computed and fails where it is told to."""

    id = "made"
    title = "For tests"

    def __init__(self, factor: float = 1.0) -> None:
        self.factor, self.computed, self.fails = factor, [], {}

    def items(self, profile: str) -> tuple[Item, ...]:
        return tuple(Item(LBFGS, 5.0, n, seed) for n in (10, 20, 30) for seed in (0, 1))

    def recipe(self, profile: str) -> dict[str, Any]:
        return {"factor": self.factor}

    def networks(self, item: Item) -> tuple[base.Network, ...]:
        return ()

    def groups(self, items: Sequence[Item]) -> list[list[Item]]:
        return [[item for item in items if item.n_data == n] for n in sorted({item.n_data for item in items})]

    def compute(self, group: Sequence[Item], profile: str, context: base.Context) -> Iterator[tuple[Item, dict]]:
        for item in group:
            if item.key in self.fails:
                raise self.fails[item.key]
            self.computed.append(item.key)
            yield item, {"value": np.array([self.factor * item.n_data, item.seed])}


@pytest.fixture
def made() -> Made:
    return Made()


def run(study: Study, folder: Path, **options: Any) -> tuple[int, int]:
    done = studies.run(study, "laptop", runs=folder, device="cpu", progress=False, **options)
    return done.new, done.done


def test_what_is_stored_is_never_computed_again(made: Made, tmp_path: Path) -> None:
    assert run(made, tmp_path) == (6, 6)
    assert made.computed == [item.key for item in made.items("laptop")]
    before = {path.name: path.read_bytes() for path in (tmp_path / "studies/made/laptop").iterdir()}
    assert run(made, tmp_path) == (0, 6) and len(made.computed) == 6
    assert {path.name: path.read_bytes() for path in (tmp_path / "studies/made/laptop").iterdir()} == before
    found = studies.load(made, "laptop", tmp_path)
    assert list(found.items) == list(made.items("laptop"))
    for item, arrays in found.items.items():
        assert arrays["value"].tolist() == [item.n_data, item.seed]
    assert set(found.where(n_data=20, seed=1)) == {Item(LBFGS, 5.0, 20, 1)}
    attrs = found.attrs
    assert (attrs["cells_done"], attrs["cells_planned"], attrs["seeds"], attrs["device"]) == (6, 6, [0, 1], ["cpu"])
    assert attrs["command"] == f"python -m sciml_lib study made --profile laptop --runs {tmp_path}" and attrs["recipe"] == {
        "factor": 1.0
    }
    assert not list(tmp_path.rglob("*.tmp"))


def test_one_lost_item_is_the_only_one_computed(made: Made, tmp_path: Path) -> None:
    run(made, tmp_path)
    lost = made.items("laptop")[3]
    (tmp_path / f"studies/made/laptop/{lost.key}.npz").unlink()
    assert studies.load(made, "laptop", tmp_path).attrs["cells_done"] == 5
    made.computed.clear()
    assert run(made, tmp_path) == (1, 6) and made.computed == [lost.key]


def test_a_time_limit_is_kept_as_far_as_the_last_items_tell(made: Made, tmp_path: Path) -> None:
    now = [0.0]
    compute = made.compute

    def slow(*arguments: Any) -> Iterator[tuple[Item, dict]]:
        for found in compute(*arguments):
            now[0] += 10.0
            yield found

    made.compute = slow
    options = {"clock": lambda: now[0], "progress": False, "runs": tmp_path, "device": "cpu"}
    first = studies.run(made, "laptop", time_limit=25.0, **options)
    assert (first.new, first.done, first.stopped, now[0]) == (2, 2, True, 20.0)  # a third would end at 30
    command = f"python -m sciml_lib study made --profile laptop --runs {tmp_path} --device cpu --time-limit 25s"
    assert first.sentence.endswith(f"stopped by the time limit; go on with `{command}`")
    assert studies.seconds_left(made, "laptop", tmp_path) == pytest.approx(4 * 10.0)
    last = studies.run(made, "laptop", **options)
    assert (last.new, last.done, last.stopped) == (4, 6, False) and "stopped" not in last.sentence
    assert sorted(made.computed) == sorted(item.key for item in made.items("laptop"))


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("out of memory")])
def test_what_ended_before_an_interruption_is_kept(made: Made, tmp_path: Path, error: BaseException) -> None:
    made.fails = {made.items("laptop")[3].key: error}
    with pytest.raises(type(error)):
        run(made, tmp_path)
    assert len(studies.load(made, "laptop", tmp_path).items) == 3
    made.fails = {}
    assert run(made, tmp_path) == (3, 6) and len(made.computed) == 6


class Large(Made):
    """Takes more memory for several items at a time than there is, or for any; every second one is done before that shows."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room

    def groups(self, items: Sequence[Item]) -> list[list[Item]]:
        return [list(items)]

    def compute(self, group: Sequence[Item], profile: str, context: base.Context) -> Iterator[tuple[Item, dict]]:
        assert torch.get_float32_matmul_precision() == "highest"
        yield from super().compute(group[: len(group) // 2] if len(group) > self.room else group, profile, context)
        if len(group) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")


def test_where_the_memory_runs_out_half_of_the_items_are_computed_at_a_time(tmp_path: Path) -> None:
    study = Large(1)
    torch.set_float32_matmul_precision("high")
    try:
        with pytest.warns(UserWarning, match="ran out of memory") as said:
            assert run(study, tmp_path) == (6, 6)
        assert [str(one.message) for one in said] == [
            f"the GPU ran out of memory with {n} items at a time; it goes on with {half}" for n, half in ((6, 2), (2, 1))
        ]
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision("highest")
    assert sorted(study.computed) == sorted(item.key for item in study.items("laptop"))  # and none of them twice


def test_where_not_even_one_item_fits_it_is_a_sentence(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="ran out of memory"), pytest.raises(UserError) as caught:
        run(Large(0), tmp_path)
    command = f"python -m sciml_lib study made --profile laptop --runs {tmp_path} --device cpu"
    assert str(caught.value) == (
        "the GPU ran out of memory even for the least that is computed at a time: another program may be using it; every "
        f"item that ended is stored, go on with `{command}`"
    )
    assert len(studies.load(Made(), "laptop", tmp_path).items) == 4


def test_a_cut_before_the_first_item_leaves_no_item_without_a_manifest(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine, calls = keeper.replace, []

    def cut(path: Path, content: bytes) -> None:
        calls.append(path)
        if len(calls) == 2:
            raise KeyboardInterrupt
        genuine(path, content)

    monkeypatch.setattr(keeper, "replace", cut)
    with pytest.raises(KeyboardInterrupt):
        run(made, tmp_path)
    monkeypatch.undo()
    with pytest.raises(UserError, match="nothing of the study made"):
        studies.load(made, "laptop", tmp_path)
    assert run(made, tmp_path) == (6, 6) and len(studies.load(made, "laptop", tmp_path).items) == 6


@pytest.mark.parametrize("complete", [True, False])
def test_items_of_another_recipe_are_refused(tmp_path: Path, complete: bool) -> None:
    run(Made(), tmp_path, time_limit=None if complete else 10.0)
    for look in (lambda: studies.load(Made(2.0), "laptop", tmp_path), lambda: run(Made(2.0), tmp_path)):
        with pytest.raises(UserError, match="was made with other numbers than the study made or its sweeps have now"):
            look()


def test_what_cannot_be_written_is_one_sentence(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file is a file, not a folder of runs"):
        run(made, tmp_path / "file")
    run(made, tmp_path)
    for item in made.items("laptop")[:2]:
        (tmp_path / f"studies/made/laptop/{item.key}.npz").unlink()

    def full(path: Path, content: bytes) -> None:
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patch:
        patch.setattr(keeper, "replace", full)
        with pytest.raises(UserError, match="No space left on device; every item that ended is stored"):
            run(made, tmp_path)
    assert run(made, tmp_path) == (2, 6)


def test_two_processes_do_not_compute_the_same(made: Made, tmp_path: Path) -> None:
    folder = tmp_path / "studies/made/laptop"
    folder.mkdir(parents=True)
    with keeper.locked(folder), pytest.raises(UserError, match="another process is writing to"):
        run(made, tmp_path)
    assert run(made, tmp_path) == (6, 6)


def change_network(folder: Path, item: Item, factor: float) -> None:
    """Multiplies the stored parameters of a run."""
    job = Job.of(item.sweep, "smoke", runs=folder)
    arrays = store.read_params(job, item.n_data)
    arrays[store.params_key(item.cell)] = arrays[store.params_key(item.cell)] * np.float32(factor)
    keeper.replace(job.folder / "arrays" / f"n{item.n_data}.npz", keeper.packed(arrays))


def test_items_of_other_networks_than_are_stored_are_left_out_and_computed_anew(tmp_path: Path) -> None:
    study = studies.get("spectra")
    studies.load_or_run(study, "smoke", runs=tmp_path, device="cpu")
    changed = next(item for item in study.items("smoke") if item.variant == "after")
    change_network(tmp_path, changed, 1.0)
    assert len(studies.load(study, "smoke", tmp_path).items) == 8  # the same numbers, written again
    change_network(tmp_path, changed, 1.5)
    with pytest.warns(UserWarning, match="1 items of the study spectra, smoke, were computed of other networks"):
        assert changed not in studies.load(study, "smoke", tmp_path).items
    with pytest.raises(UserError, match=r"are not those of its row: their loss is .* and not .*; restore .*n100\.npz"):
        studies.run(study, "smoke", runs=tmp_path, device="cpu", progress=False)  # nor are they what the row says
    change_network(tmp_path, changed, 1 / 1.5)


def test_items_follow_the_recipe_of_their_sweeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = studies.get("jumps")
    studies.run(study, "smoke", runs=tmp_path, device="cpu", progress=False)
    sweep = catalog.get(LBFGS)
    changed = replace(sweep, setup=replace(sweep.setup, data_seed=1))
    monkeypatch.setitem(catalog.SWEEPS, LBFGS, changed)
    with pytest.raises(UserError, match="was made with other numbers than the study jumps or its sweeps have now"):
        studies.load(study, "smoke", tmp_path)


@pytest.mark.parametrize("name", ["spectra", "surfaces", "curves"])
def test_a_network_that_is_missing_comes_with_its_command(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not stored; train it with `python -m sciml_lib run pinn/") as caught:
        studies.run(studies.get(name), "smoke", runs=tmp_path, device="cpu", progress=False)
    assert "coefficient 5, n_data=100, seed 0" in str(caught.value) and "--profile smoke" in str(caught.value)


# --- the profile smoke of every study, from an empty folder -----------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where nothing is stored before the first study asks for its networks."""
    torch.set_num_threads(1)
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def smoke(folder: Path) -> dict[str, Results]:
    """All studies; that with the most ends first, so that it must train them itself."""
    names = ("curves", *(name for name in STUDIES if name != "curves"))
    return {name: studies.load_or_run(studies.get(name), "smoke", runs=folder, device="cpu") for name in names}


def stored(folder: Path, item: Item, quantity: str, sweep: str = "") -> float:
    """A number of the run that an item looks at."""
    runs = sciml_lib.load(sweep or item.sweep, "smoke", folder)
    return float(runs[quantity].sel(coefficient=item.coefficient, n_data=item.n_data, seed=0 if sweep else item.seed))


def network(folder: Path, item: Item, sweep: str = "") -> tuple[Problem, Tensor]:
    """The run's own problem with one member, and its stored parameters."""
    sweep = sweep or item.sweep
    plan = catalog.get(sweep).at("smoke")
    cell = item.cell if sweep == item.sweep else item.cell._replace(seed=0)
    return plan.problem([item.cell]), torch.from_numpy(store.params_of(Job(plan, folder), cell))[None]


@pytest.mark.parametrize("name", STUDIES)
def test_a_smoke_run_computes_everything_and_only_once(name: str, smoke: dict[str, Results], folder: Path) -> None:
    found = smoke[name]
    assert found.attrs["cells_done"] == found.attrs["cells_planned"] == len(studies.get(name).items("smoke"))
    for item, arrays in found.items.items():
        for array_name, values in arrays.items():
            words, blank = values.dtype.kind == "U", (item.variant, array_name) == ("random", "eigenvalues")
            assert words or blank or np.isfinite(values).all()
    again = studies.run(studies.get(name), "smoke", runs=folder, device="cpu")
    assert (again.new, again.done, again.stopped) == (0, len(found.items), False)


def test_the_centre_of_a_surface_is_the_stored_loss(smoke: dict[str, Results], folder: Path) -> None:
    for item, arrays in smoke["surfaces"].items.items():
        assert arrays["alpha"][3] == arrays["beta"][3] == 0.0 and arrays["loss"].shape == (7, 7)
        assert arrays["loss"][3, 3] == pytest.approx(stored(folder, item, "train_loss"), rel=1e-5)
        radius = arrays["alpha"][-1]
        assert radius == pytest.approx(0.05) or item.variant == "wide"
        if item.variant == "wide":  # a hundredfold of the loss is reached on one side at least
            assert arrays["loss"][[0, -1], 3].max() == pytest.approx(100 * arrays["loss"][3, 3], rel=0.5)


def test_a_surface_lies_along_the_leading_eigenvectors(smoke: dict[str, Results], folder: Path) -> None:
    item = Item(LBFGS, 5.0, 100, 0, "eigen")
    values = smoke["surfaces"].items[item]["eigenvalues"]
    problem, params = network(folder, item)
    found = power_iteration(HessianOperator.of_problem(problem, params), steps=400, tolerance=1e-7)
    assert abs(values[0]) == pytest.approx(abs(float(found.values[0, 0])), rel=1e-2) and values[0] >= values[1]


def test_the_first_moment_of_a_spectrum_is_the_trace(smoke: dict[str, Results], folder: Path) -> None:
    for item, arrays in smoke["spectra"].items.items():
        problem, params = network(folder, item)
        if item.variant == "before":
            params = problem.init([item.seed])
        nodes, weights = arrays["nodes"], arrays["weights"]
        assert weights.sum(axis=-1) == pytest.approx(np.ones(len(weights)), rel=1e-9)
        moments = (nodes * weights).sum(axis=-1) * params.shape[1]  # one start each
        point = params.clone().requires_grad_(True)
        grad = torch.autograd.grad(problem.loss(point).sum(), point, create_graph=True)[0]
        for start, moment in enumerate(moments):
            v = rademacher([item.seed], Purpose.QUADRATURE, start, params)
            product = torch.autograd.grad((grad * v).sum(), point, retain_graph=True)[0]
            scale = float(product.norm() * v.norm())
            assert moment == pytest.approx(float((product.double() * v.double()).sum()), abs=1e-4 * scale)
        trace = hutchinson(HessianOperator.of_problem(problem, params), probes=30, seeds=[item.seed + 100])
        one = float(trace.error) * np.sqrt(30)  # standard deviation of one probe
        assert abs(moments.mean() - float(trace.value)) < 5 * one * np.sqrt(1 / len(moments) + 1 / 30)


def test_a_trajectory_leads_from_the_start_to_the_stored_end(smoke: dict[str, Results], folder: Path) -> None:
    for item, arrays in smoke["trajectories"].items.items():
        problem, params = network(folder, item)
        assert arrays["iteration"][0] == 0 and (np.diff(arrays["iteration"]) > 0).all()
        assert arrays["loss"][0] == pytest.approx(float(problem.value(problem.init([item.seed]))), rel=1e-5)
        assert arrays["iteration"][-1] == stored(folder, item, "iterations")
        assert arrays["loss"][-1] == pytest.approx(stored(folder, item, "train_loss"), rel=1e-3)
        assert float(arrays["test_error"]) == pytest.approx(stored(folder, item, "test_error"), rel=1e-3)
        trace = hutchinson(HessianOperator.of_problem(problem, params), probes=100, seeds=[item.seed + 7])
        error = np.hypot(float(trace.error), float(arrays["trace_error"][-1]))
        assert abs(arrays["trace"][-1] - float(trace.value)) < 5 * error


def test_training_watched_again_is_the_stored_training(smoke: dict[str, Results], folder: Path) -> None:
    """To the last bit, in the ensemble that was trained first; in another one float32 rounds otherwise."""
    plan, seen = catalog.get(LBFGS).at("smoke"), []
    before = {path: path.read_bytes() for path in (folder / LBFGS).rglob("*") if path.is_file()}
    cells = [cell for cell in plan.cells if cell.n_data == 100]
    results = base.train_watched(plan, cells, torch.device("cpu"), seen.append)
    assert before == {path: path.read_bytes() for path in (folder / LBFGS).rglob("*") if path.is_file()}
    assert len(results) == len(cells) and len(seen) == max(result.evaluations for result in results.values())
    for cell, result in results.items():
        item = Item(LBFGS, cell.coefficient, cell.n_data, cell.seed)
        assert torch.equal(result.params, network(folder, item)[1][0])
        for name in ("iterations", "evaluations", "train_loss", "test_error"):
            assert getattr(result, name) == stored(folder, item, name)


def test_the_ends_of_curves_are_the_stored_runs(smoke: dict[str, Results], folder: Path) -> None:
    for item, arrays in smoke["curves"].items.items():
        if item.variant == "own":
            continue
        assert arrays["t"].tolist() == pytest.approx(np.linspace(0, 1, 7))
        for kind in ("straight", "bezier"):
            for quantity, name in (("loss", "train_loss"), ("error", "test_error")):
                values = arrays[f"{kind}_{quantity}"]
                assert values[0] == pytest.approx(stored(folder, item, name), rel=1e-5)
                assert values[-1] == pytest.approx(stored(folder, item, name, ALM), rel=1e-5)
        (problem, a), (_, b) = network(folder, item), network(folder, item, ALM)
        middle = 0.5 * (a + b)
        assert arrays["straight_loss"][3] == pytest.approx(float(problem.value(middle)), rel=1e-5)
        assert arrays["straight_error"][3] == pytest.approx(float(problem.test_error(middle)), rel=1e-5)
        assert arrays["bezier_loss"].mean() < arrays["straight_loss"].mean()  # it was trained
        assert "run_status" not in arrays and np.array_equal(arrays["control"][[0, 2]], torch.cat([a, b]).numpy())


def test_a_run_of_alm_is_joined_with_the_place_where_its_constraints_come_in(smoke: dict[str, Results], folder: Path) -> None:
    ((item, arrays),) = smoke["curves"].where(variant="own").items()
    problem, end = network(folder, item)
    first, middle, last = torch.from_numpy(arrays["control"])[:, None]
    assert torch.equal(last, end)  # the stored run, bit for bit
    assert str(arrays["run_status"]) == str(
        sciml_lib.load(ALM, "smoke", folder)["status"].sel(coefficient=item.coefficient, n_data=item.n_data, seed=0).item()
    )
    # The two stages before, in a plain loop.
    *before, _ = catalog.get(ALM).at("smoke").strategy.stages
    start = problem.init([item.seed])
    for stage in before:
        state = stage.init(problem, start.clone())
        while (state.status == Status.RUNNING).any():
            state = stage.step(problem, state)
        start = state.params
    assert torch.equal(first, start)
    # From the three points that are stored a reader has the curve again, and can go on with it.
    at = 0.25 * first + 0.5 * middle + 0.25 * last
    assert arrays["bezier_loss"][3] == pytest.approx(float(problem.value(at)), rel=1e-5)
    assert str(arrays["status"]) == "budget_spent" and int(arrays["iterations"]) <= 3


def naive(rate: float = 0.8) -> tuple[list[tuple[int, float]], list[tuple[int, float]], int]:
    """The smoke run of the study of jumps as a plain loop over its optimisers.

    Returns:
        The losses of the points that iterations begin at, the lengths of all steps, both with the count of iterations,
        and the length of the warm-up.
    """
    plan = catalog.get(LBFGS).at("smoke")
    problem = plan.problem([Cell(5.0, 100, 0)])
    params, done, losses, steps, warm = problem.init([0]), 0, [], [], 0
    losses.append((0, float(problem.value(params))))
    adam, solver = plan.strategy.stages
    for stage in (adam, replace(solver, learning_rate=rate)):
        state = stage.init(problem, params.clone())
        while (state.status == Status.RUNNING).any():
            before = state.params.clone()
            state = stage.step(problem, state)
            number = done + int(state.iterations[0])
            length = float((state.params.double() - before.double()).norm())
            if length > 0:
                steps.append((number, length))
                losses.append((number, float(problem.value(state.params))))
        params, done, warm = state.params, number, warm or number
    return losses, steps, warm


def test_step_lengths_are_those_of_a_plain_loop(smoke: dict[str, Results]) -> None:
    """The threshold is passed at once; counted are the steps of L-BFGS, none of the warm-up."""
    losses, steps, warm = naive()
    (arrays,) = smoke["jumps"].items.values()
    assert warm == 10 and int(arrays["passed"]) == 0
    expected = [length for number, length in steps if number > warm][:20]
    assert len(expected) == 20 and arrays["norms"] == pytest.approx(expected, rel=1e-3)
    assert float(arrays["final_loss"][0]) == pytest.approx(losses[-1][1], rel=1e-3)


@pytest.mark.parametrize("place", ["between", "nowhere"])
def test_steps_begin_where_the_threshold_is_passed(place: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    losses, steps, _ = naive()
    at = dict(losses)
    threshold = 0.5 * (at[20] + at[25]) if place == "between" else 0.0
    monkeypatch.setattr(studies.Jumps, "recipe", lambda self, profile: {"threshold": threshold, "steps": 6, "every": 5})
    studies.run(studies.get("jumps"), "smoke", runs=tmp_path, device="cpu", progress=False)
    (arrays,) = studies.load(studies.get("jumps"), "smoke", tmp_path).items.values()
    if place == "nowhere":
        assert int(arrays["passed"]) == -1 and not arrays["norms"].size
        return
    looked_at = [number for number, loss in losses if number % 5 == 0 and loss <= threshold]
    assert int(arrays["passed"]) == looked_at[0] == 25
    expected = [length for number, length in steps if number > 25][:6]
    assert len(expected) == 6 and arrays["norms"] == pytest.approx(expected, rel=1e-3)


# --- the command line -----------------------------------------------------------------------------------------


def typed(line: str) -> Any:
    return CliRunner().invoke(main, shlex.split(line))


def test_the_command_computes_a_study(smoke: dict[str, Results], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCIML_RUNS", str(folder))
    result = typed("study spectra --profile smoke --quiet --device cpu")
    assert result.exit_code == 0, result.output
    assert result.stdout == "study spectra, smoke: 8 of 8 items are stored, 0 of them by this call\n"
    for item in smoke["spectra"].items:
        if item.variant == "before":
            (folder / f"studies/spectra/smoke/{item.key}.npz").unlink()
    result = typed("study spectra -p smoke -q -d cpu -t 0.000001s")
    command = "python -m sciml_lib study spectra --profile smoke --device cpu --time-limit 0.000001s"
    assert result.exit_code == 75 and result.stdout == (
        "study spectra, smoke: 4 of 8 items are stored, 0 of them by this call; stopped by the time limit; "
        f"go on with `{command}`\n"
    )
    result = typed(f"study spectra -p smoke -d cpu --runs {folder}")
    first, last = result.stdout.splitlines()
    assert re.fullmatch(r"study spectra, smoke: the rest takes about \d+ s", first)
    assert last == "study spectra, smoke: 8 of 8 items are stored, 4 of them by this call"
    again = studies.load(studies.get("spectra"), "smoke", folder)
    for item, arrays in smoke["spectra"].items.items():
        for name, values in arrays.items():
            np.testing.assert_array_equal(again.items[item][name], values)
