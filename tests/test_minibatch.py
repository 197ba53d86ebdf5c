"""Adam on mini-batches against a plain loop over ``torch.optim.Adam`` and ``ExponentialLR``; and every bad number. Float64."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR, ExponentialLR, LRScheduler
from trained import assert_same, cut_after_every_step

from sciml_lib import systems
from sciml_lib.errors import UserError
from sciml_lib.models import MLP
from sciml_lib.optim import Cosine, Exponential, Schedule, Status
from sciml_lib.optim.adam import AdamState
from sciml_lib.problems import PINN, NeuralODE
from sciml_lib.strategies import MemberResult, MiniBatchAdam, Strategy, train
from sciml_lib.systems import Pendulum

COEFFICIENTS, AMOUNTS, SEEDS = (1.0, 4.0, 15.0, 2.0), (20, 100, 70, 400), (3, 4, 3, 5)
BATCHES = (1, 4, 3, 13)  # of 32 pairs: 19 | 32 32 32 3 | 32 32 5 | twelve of 32 and 15
REPEATED = MiniBatchAdam(epochs=4, updates=13, schedule=Exponential(0.9))
PLAIN = replace(REPEATED, updates=None, schedule=None)
NEAR = {"rtol": 0.0, "atol": 1e-8}  # one update moves a parameter by about 1e-3


def make_problem(physics: bool = True, dtype: torch.dtype = torch.float64, **options: object) -> NeuralODE:
    model = MLP(hidden=(6, 5), n_inputs=2, n_outputs=2, initial="linear")
    return NeuralODE(Pendulum(), model, COEFFICIENTS, AMOUNTS, physics=physics, dtype=dtype, **options)


def schedule_of(stage: MiniBatchAdam, optimiser: torch.optim.Adam) -> LRScheduler:
    if isinstance(stage.schedule, Cosine):
        return CosineAnnealingLR(optimiser, T_max=stage.epochs)
    return ExponentialLR(optimiser, gamma=stage.schedule.factor if stage.schedule else 1.0)


def reference(problem: NeuralODE, m: int, row: Tensor, stage: MiniBatchAdam, seed: int = 0) -> tuple[Tensor, int]:
    """One member as one would write it down: its final parameters and its updates."""
    module = problem.model.module(row)
    optimiser = torch.optim.Adam(module.parameters(), lr=stage.learning_rate)
    scheduler = schedule_of(stage, optimiser)
    states = Pendulum().trajectory(COEFFICIENTS[m], AMOUNTS[m])
    before, later, done = states[:-1], states[1:], 0
    for epoch in range(stage.epochs):
        order = np.arange(len(before))
        if stage.shuffle:
            order = np.random.Generator(np.random.Philox(key=seed, counter=[0, epoch, 1, 0])).permutation(len(before))
        pairs = list(zip(before[order].split(stage.batch_size), later[order].split(stage.batch_size), strict=True))
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


def finish(stage: MiniBatchAdam, problem: NeuralODE, params: Tensor, seeds: Sequence[int] | None = None) -> AdamState:
    state = stage.init(problem, params, seeds)
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


@pytest.mark.parametrize("schedule", [Cosine(), Exponential(0.8)])
@pytest.mark.parametrize("updates", [None, 13])
def test_shuffled_epochs_are_a_plain_loop_in_an_order_of_seed_and_epoch(schedule: Schedule, updates: int | None) -> None:
    problem = make_problem()
    params, stage = problem.init(SEEDS), MiniBatchAdam(5, 32, updates, 3e-3, schedule, shuffle=True)
    state = finish(stage, problem, params, SEEDS)
    for m in range(4):
        expected, done = reference(problem, m, params[m], stage, SEEDS[m])
        assert state.iterations[m] == done
        torch.testing.assert_close(state.params[m], expected, **NEAR)
    fixed = finish(replace(stage, shuffle=False), problem, params)
    # A single batch has no order; all others do.
    assert [((state.params - fixed.params)[m].abs().max() > 1e-5).item() for m in range(4)] == [False, True, True, True]
    alone = finish(stage, problem.select([3]), params[[3]], [SEEDS[3]])
    torch.testing.assert_close(alone.params[0], state.params[3], **NEAR)


def test_an_order_is_drawn_from_seed_and_epoch_alone() -> None:
    problem = make_problem()
    seeds, epochs = torch.tensor(SEEDS), torch.tensor([0, 0, 0, 0])
    first, second = problem.order(seeds, epochs), problem.order(seeds, epochs + 1)
    for m, n in enumerate(AMOUNTS):
        own, later = first[m, : n - 1].tolist(), second[m, : n - 1].tolist()
        assert sorted(own) == sorted(later) == list(range(n - 1)) and own != later != list(range(n - 1))
        assert own == problem.select([m]).order(seeds[[m]], epochs[[m]])[0].tolist()
    assert first[0, :19].tolist() != problem.order(seeds + 1, epochs)[0, :19].tolist()


# --- data that are held out ---


def test_the_last_pairs_are_held_out_of_training_and_measured_on_their_own() -> None:
    whole, part = make_problem(), make_problem(validation=0.2)
    params = whole.init(SEEDS)
    assert part.n_validation.tolist() == [math.ceil(0.2 * (n - 1)) for n in AMOUNTS]
    assert (part.n_pairs + part.n_validation).tolist() == [n - 1 for n in AMOUNTS]
    for m, (coefficient, n) in enumerate(zip(COEFFICIENTS, AMOUNTS, strict=True)):
        states, module = Pendulum().trajectory(coefficient, n), part.model.module(params[m])
        off = (states[:-1] + 0.05 * module(states[:-1]) - states[1:]).square().mean(dim=1)
        trained, held_out = off.split([int(part.n_pairs[m]), int(part.n_validation[m])])
        assert part.terms(params)["data"][m].item() == pytest.approx(trained.mean().item(), rel=1e-10)
        assert part.validation_error(params)[m].item() == pytest.approx(held_out.mean().item(), rel=1e-10)
        assert whole.terms(params)["data"][m].item() == pytest.approx(off.mean().item(), rel=1e-10)
    loss, grad = part.value_and_grad(params)
    batch = part.minibatch(torch.zeros(4, dtype=torch.long), 400).value_and_grad(params)
    torch.testing.assert_close(batch, (loss, grad), rtol=1e-9, atol=1e-13)
    assert part.select([2, 0]).n_validation.tolist() == part.n_validation[[2, 0]].tolist()
    assert "validation=0.2" in part.description and "validation" not in whole.description
    shortest = NeuralODE(Pendulum(), whole.model, [1.0], 3, validation=0.9)
    assert (shortest.n_pairs.tolist(), shortest.n_validation.tolist()) == ([1], [1])


def test_the_epoch_with_the_lowest_validation_error_is_kept(tmp_path: Path) -> None:
    problem = make_problem(validation=0.3)
    # A learning rate so large that the error goes up and down.
    stage = MiniBatchAdam(12, 32, learning_rate=0.1, shuffle=True, keep_best=True)
    results = run(problem, stage)
    earlier = 0
    for m in range(4):
        one, last = problem.select([m]), replace(stage, keep_best=False)
        paths = [run_alone(one, replace(last, epochs=epochs), SEEDS[m]) for epochs in range(1, 13)]
        errors = [one.validation_error(path.params[None]).item() for path in paths]
        best = int(np.argmin(errors))
        torch.testing.assert_close(results[m].params, paths[best].params, rtol=0, atol=1e-9)
        assert results[m].iterations == paths[-1].iterations
        earlier += best < 11
    assert earlier  # somebody's best epoch is not the last
    cut = cut_after_every_step(partial(run, problem, stage, width=2), tmp_path, at_least=45)
    assert_same(cut, run(problem, stage, width=2), rtol=0, atol=0)


def run_alone(problem: NeuralODE, stage: MiniBatchAdam, seed: int) -> MemberResult:
    results: dict[int, MemberResult] = {}
    train(problem, [seed], Strategy((stage,)), on_result=results.__setitem__)
    return results[0]


def test_without_held_out_data_no_epoch_is_the_best() -> None:
    with pytest.raises(UserError, match="keep_best=True needs data that are held out of training"):
        run(make_problem(), replace(PLAIN, keep_best=True))


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
