"""Adam on mini-batches against a plain loop over ``torch.optim.Adam`` and ``ExponentialLR``; and every bad number. Float64."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import ExponentialLR
from trained import assert_same, cut_after_every_step

from sciml_lib import systems
from sciml_lib.errors import UserError
from sciml_lib.models import MLP
from sciml_lib.optim import Cosine, Exponential, Status
from sciml_lib.optim.adam import AdamState
from sciml_lib.problems import PINN, NeuralODE
from sciml_lib.strategies import MemberResult, MiniBatchAdam, Strategy, train
from sciml_lib.systems import Pendulum

COEFFICIENTS, AMOUNTS, SEEDS = (1.0, 4.0, 15.0, 2.0), (20, 100, 70, 400), (3, 4, 3, 5)
BATCHES = (1, 4, 3, 13)  # of 32 pairs: 19 | 32 32 32 3 | 32 32 5 | twelve of 32 and 15
REPEATED = MiniBatchAdam(epochs=4, updates=13, schedule=Exponential(0.9))
PLAIN = replace(REPEATED, updates=None, schedule=None)
NEAR = {"rtol": 0.0, "atol": 1e-8}  # one update moves a parameter by about 1e-3


def make_problem(physics: bool = True, dtype: torch.dtype = torch.float64) -> NeuralODE:
    model = MLP(hidden=(6, 5), n_inputs=2, n_outputs=2, initial="linear")
    return NeuralODE(Pendulum(), model, COEFFICIENTS, AMOUNTS, physics=physics, dtype=dtype)


def reference(problem: NeuralODE, m: int, row: Tensor, stage: MiniBatchAdam) -> tuple[Tensor, int]:
    """One member as one would write it down: its final parameters and its updates."""
    module = problem.model.module(row)
    optimiser = torch.optim.Adam(module.parameters(), lr=stage.learning_rate)
    scheduler = ExponentialLR(optimiser, gamma=stage.schedule.factor if stage.schedule else 1.0)
    states = Pendulum().trajectory(COEFFICIENTS[m], AMOUNTS[m])
    pairs = list(zip(states[:-1].split(stage.batch_size), states[1:].split(stage.batch_size), strict=True))
    done = 0
    for _ in range(stage.epochs):
        for update in range(stage.updates or len(pairs)):
            now, after = pairs[update % len(pairs)]  # every epoch begins with the first
            optimiser.zero_grad()
            rates = module(now)
            loss = nn.functional.mse_loss(now + 0.05 * rates, after)
            if problem.physics:
                angle, velocity = now.unbind(1)
                true = torch.stack([velocity, -velocity / COEFFICIENTS[m] - angle.sin()], dim=1)
                loss = loss + nn.functional.mse_loss(0.05 * rates, 0.05 * true)
            loss.backward()
            optimiser.step()
            done += 1
        scheduler.step()
    return nn.utils.parameters_to_vector(module.parameters()).detach(), done


def finish(stage: MiniBatchAdam, problem: NeuralODE, params: Tensor) -> AdamState:
    state = stage.init(problem, params)
    for _ in range(stage.expected_evaluations(problem)):
        stage.step(problem, state)
    return state


def run(
    problem: NeuralODE, stage: MiniBatchAdam, results: dict[int, MemberResult] | None = None, **options: object
) -> dict[int, MemberResult]:
    results = {} if results is None else results
    train(problem, SEEDS, Strategy((stage,)), on_result=results.__setitem__, **options)
    return results


@pytest.mark.parametrize("physics", [True, False])
def test_every_member_is_a_plain_loop_around_torch(physics: bool) -> None:
    problem = make_problem(physics)
    assert problem.n_batches(32).tolist() == list(BATCHES)
    params = problem.init(SEEDS)
    state = finish(REPEATED, problem, params)
    for m in range(4):
        expected, updates = reference(problem, m, params[m], REPEATED)
        assert state.iterations[m] == state.evaluations[m] == updates == 4 * 13
        torch.testing.assert_close(state.params[m], expected, **NEAR)
        assert (expected - params[m]).abs().max() > 0.02
    assert (state.status == Status.BUDGET_SPENT).all()


@pytest.mark.parametrize(("updates", "batch_size"), [(13, 32), (14, 32), (20, 40), (50, 8)])
def test_an_epoch_begins_with_the_first_batch_whatever_its_length(updates: int, batch_size: int) -> None:
    problem = make_problem()
    params = problem.init(SEEDS)
    stage = MiniBatchAdam(epochs=3, batch_size=batch_size, updates=updates, learning_rate=3e-3, schedule=Exponential(0.8))
    state = finish(stage, problem, params)
    for m in range(4):
        expected, done = reference(problem, m, params[m], stage)
        assert state.iterations[m] == done == 3 * updates
        torch.testing.assert_close(state.params[m], expected, **NEAR)


def test_without_repetition_an_epoch_is_one_pass_through_the_members_own_batches() -> None:
    problem = make_problem()
    params = problem.init(SEEDS)
    for stage in (PLAIN, replace(PLAIN, schedule=Exponential(0.7))):
        state = finish(stage, problem, params)
        for m, batches in enumerate(BATCHES):
            expected, updates = reference(problem, m, params[m], stage)
            assert state.iterations[m] == state.evaluations[m] == updates == 4 * batches
            torch.testing.assert_close(state.params[m], expected, **NEAR)
    assert (state.status == Status.BUDGET_SPENT).all()


def test_members_end_one_after_the_other_and_stay_where_they_ended() -> None:
    problem = make_problem()
    state = PLAIN.init(problem, problem.init(SEEDS))
    ended: dict[int, tuple[int, Tensor]] = {}
    for step in range(1, PLAIN.expected_evaluations(problem) + 1):
        PLAIN.step(problem, state)
        for m in (state.status == Status.BUDGET_SPENT).nonzero()[:, 0].tolist():
            ended.setdefault(m, (step, state.params[m].clone()))
    assert {m: step for m, (step, _) in ended.items()} == {m: 4 * batches for m, batches in enumerate(BATCHES)}
    for m, (_, there) in ended.items():
        assert torch.equal(state.params[m], there)


def test_the_variants_are_different_trainings() -> None:
    problem = make_problem()
    params = problem.init(SEEDS)
    variants = [finish(stage, problem, params).params for stage in (REPEATED, replace(REPEATED, schedule=None), PLAIN)]
    for m in range(4):
        # Thirteen batches fill an epoch with and without repetition.
        assert ((variants[1][m] - variants[2][m]).abs().max() > 1e-3) == (BATCHES[m] != 13)
        assert (variants[0][m] - variants[1][m]).abs().max() > 1e-4


def test_results_carry_budget_status_and_the_loss_over_all_pairs() -> None:
    problem = make_problem()
    for stage, counts in ((REPEATED, [4 * 13] * 4), (PLAIN, [4 * batches for batches in BATCHES])):
        results = run(problem, stage)
        assert [results[m].iterations for m in range(4)] == [results[m].evaluations for m in range(4)] == counts
        for m, result in results.items():
            assert result.status == "budget_spent"
            expected, _ = reference(problem, m, problem.init(SEEDS)[m], stage)
            torch.testing.assert_close(result.params, expected, **NEAR)
            loss = problem.select([m]).loss(expected[None]).item()
            assert result.train_loss == pytest.approx(loss, rel=1e-6)
            assert result.train_loss == pytest.approx(sum(result.terms.values()), rel=1e-12)


def test_an_epoch_is_as_long_as_the_data_unless_it_is_told_otherwise() -> None:
    problem = make_problem()
    assert MiniBatchAdam().expected_evaluations(problem) == 600 * 13
    assert MiniBatchAdam().expected_evaluations(problem.select([0, 2])) == 600 * 3
    assert MiniBatchAdam(epochs=2, updates=20).expected_evaluations(problem) == 40


@pytest.mark.parametrize("stage", [REPEATED, PLAIN], ids=["repeated", "plain"])
@pytest.mark.parametrize("width", [1, 3])
def test_slots_do_not_change_any_member(stage: MiniBatchAdam, width: int) -> None:
    # Products of another batch size round otherwise. In float64 a gradient is then off by some 1e-16, of which an update,
    # 1e-3 m / (sqrt(v) + 1e-8), makes 1e-11 at the very most, even where the gradient vanishes; and there are 52 of them.
    problem = make_problem()
    assert_same(run(problem, stage, width=width), run(problem, stage), rtol=0, atol=1e-9)


@pytest.mark.parametrize("stage", [REPEATED, PLAIN], ids=["repeated", "plain"])
@pytest.mark.parametrize("width", [None, 2])
def test_stopped_and_resumed_at_every_step_gives_the_same(tmp_path: Path, stage: MiniBatchAdam, width: int | None) -> None:
    results = cut_after_every_step(partial(run, make_problem(), stage, width=width), tmp_path, at_least=45)
    assert_same(results, run(make_problem(), stage, width=width), rtol=0, atol=0)  # the same slots, so the same bits


def test_a_member_that_diverges_stays_where_it_is() -> None:
    problem = make_problem()
    params = problem.init(SEEDS)
    sound = finish(REPEATED, problem, params)
    params[1, 0] = torch.nan
    state = finish(REPEATED, problem, params)
    assert (state.status[1], state.iterations[1], state.evaluations[1]) == (Status.DIVERGED, 0, 1)
    assert torch.equal(state.params[1].isnan(), params[1].isnan())
    torch.testing.assert_close(state.params[[0, 2, 3]], sound.params[[0, 2, 3]], rtol=1e-12, atol=1e-14)


def test_points_in_space_and_time_are_not_cut_into_batches() -> None:
    problem = PINN(systems.get("convection"), MLP(hidden=(4,)), [5.0], 20)
    with pytest.raises(UserError, match="cuts data into batches, and these members have none; choose Adam, on all points"):
        train(problem, [0], Strategy((REPEATED,)), on_result=lambda *_: None)


@pytest.mark.parametrize(("updates", "batch_size", "most"), [(12, 32, 13), (1, 32, 13), (13, 16, 25)])
def test_too_few_updates_are_refused_with_the_number_that_would_do(updates: int, batch_size: int, most: int) -> None:
    said = f"updates={updates} an epoch would leave out data that fill {most} batches of {batch_size}; choose at least .*{most}"
    stage = MiniBatchAdam(epochs=1, batch_size=batch_size, updates=updates)
    with pytest.raises(UserError, match=said):
        train(make_problem(), SEEDS, Strategy((stage,)), on_result=lambda *_: None)
    replace(stage, updates=most).check(make_problem())
    MiniBatchAdam(epochs=1, updates=4).check(make_problem().select([0, 1, 2]))  # the longest member decides


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"epochs": 0}, "epochs, batch_size and updates of at least 1"),
        ({"batch_size": 0}, "epochs, batch_size and updates of at least 1"),
        ({"updates": -13}, "epochs, batch_size and updates of at least 1"),
        ({"learning_rate": 0.0}, "learning_rate > 0, not 0.0"),
        ({"learning_rate": -1e-3}, "learning_rate > 0"),
        ({"learning_rate": math.nan}, "learning_rate > 0"),
        ({"epochs": 1.5}, "epochs=1.5 is not a whole number"),
        ({"learning_rate": "1e-3"}, "learning_rate='1e-3' is not a number"),
        ({"schedule": 0.995}, "schedule=0.995 is not a schedule; choose Exponential"),
    ],
)
def test_impossible_numbers_are_refused(options: dict[str, float], said: str) -> None:
    with pytest.raises(UserError, match=said):
        MiniBatchAdam(**options)
