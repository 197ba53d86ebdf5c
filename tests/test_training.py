"""The training loop: stages, slots, checkpoints, time limit, members in trouble; and ensemble Adam."""

from __future__ import annotations

import itertools
import math
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from trained import assert_same, cut_after_every_step

from sciml_lib import systems
from sciml_lib.errors import UserError
from sciml_lib.models import MLP
from sciml_lib.optim import Cosine, Exponential, Status
from sciml_lib.problems import PINN, Evaluation
from sciml_lib.strategies import (
    LBFGS,
    NNCG,
    Adam,
    AugmentedLagrangian,
    Curriculum,
    MemberResult,
    MiniBatchAdam,
    Progress,
    RoPINN,
    Strategy,
    TimeLimitReached,
    train,
)
from sciml_lib.systems import Convection

SHORT = Strategy((Adam(steps=15), LBFGS(max_iterations=20, history=10)))


def make_problem(m: int = 5, n_data: int = 40, dtype: torch.dtype = torch.float64) -> PINN:
    betas = torch.linspace(1.0, 20.0, m)
    return PINN(systems.get("convection"), MLP(hidden=(8, 8)), betas, n_data, dtype=dtype)


def run(
    problem: PINN, strategy: Strategy = SHORT, results: dict[int, MemberResult] | None = None, **options: object
) -> dict[int, MemberResult]:
    results = {} if results is None else results
    train(problem, range(len(problem)), strategy, on_result=results.__setitem__, **options)
    return results


def test_adam_is_torch_adam_for_every_member() -> None:
    problem = make_problem()
    params = problem.init(range(5))
    stage = Adam(steps=40, learning_rate=3e-3)
    state = stage.init(problem, params)
    for _ in range(40):
        state = stage.step(problem, state)
    for m in range(5):
        x = params[m].clone().requires_grad_()
        optimiser = torch.optim.Adam([x], lr=3e-3)
        for _ in range(40):
            optimiser.zero_grad()
            problem.select([m]).loss(x[None]).sum().backward()
            optimiser.step()
        torch.testing.assert_close(state.params[m], x.detach(), rtol=1e-9, atol=1e-12)
    assert (state.status == Status.BUDGET_SPENT).all()


def test_result_says_what_the_parameters_give() -> None:
    problem = make_problem()
    for m, result in run(problem).items():
        one, params = problem.select([m]), result.params[None]
        assert result.train_loss == pytest.approx(one.loss(params).item())
        assert result.train_loss == pytest.approx(sum(result.terms.values()))
        assert tuple(result.terms) == problem.term_names == ("residual", "boundary", "initial")
        assert result.test_error == pytest.approx(one.test_error(params).item())
        assert 15 < result.iterations <= 15 + 20
        assert result.evaluations > result.iterations
        assert result.seconds > 0


@pytest.mark.parametrize("width", [1, 2, 3, 5, 50])
def test_slots_do_not_change_any_member(width: int) -> None:
    assert_same(run(make_problem()), run(make_problem(), width=width))


@pytest.mark.parametrize("width", [2, None])
def test_stopped_and_resumed_at_every_step_gives_the_same(tmp_path: Path, width: int | None) -> None:
    results = cut_after_every_step(partial(run, make_problem(), width=width), tmp_path, at_least=30)
    assert_same(results, run(make_problem(), width=width))


def test_checkpoint_of_something_else_or_damaged_is_passed_over_and_said(tmp_path: Path) -> None:
    checkpoint = tmp_path / "c.pt"

    def stop(problem: PINN) -> None:
        with pytest.raises(TimeLimitReached):
            run(problem, checkpoint=checkpoint, deadline=time.monotonic())

    expected = run(make_problem())
    stop(make_problem(m=4))
    with pytest.warns(UserWarning, match="another ensemble"):
        assert_same(run(make_problem(), checkpoint=checkpoint), expected)
    stop(make_problem())
    whole = checkpoint.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"not a checkpoint"):
        checkpoint.write_bytes(damaged)
        with pytest.warns(UserWarning, match="damaged"):
            assert_same(run(make_problem(), checkpoint=checkpoint), expected)


def test_memory_that_runs_out_while_a_checkpoint_is_loaded_does_not_make_it_a_damaged_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = tmp_path / "c.pt"
    with pytest.raises(TimeLimitReached):
        run(make_problem(), checkpoint=checkpoint, deadline=time.monotonic())
    before = checkpoint.read_bytes()

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")

    monkeypatch.setattr(Adam, "init", full)
    with pytest.raises(torch.OutOfMemoryError):
        run(make_problem(), checkpoint=checkpoint)
    assert checkpoint.read_bytes() == before


def test_a_checkpoint_that_cannot_be_written_leaves_the_last_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = tmp_path / "c.pt"
    with pytest.raises(TimeLimitReached):
        run(make_problem(), checkpoint=checkpoint, deadline=time.monotonic())
    before = checkpoint.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        run(make_problem(), checkpoint=checkpoint, checkpoint_seconds=0.0)
    assert checkpoint.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["c.pt"]


def poisoned(problem: PINN, member: int) -> PINN:
    """The same problem, but one member starts from numbers that are none."""

    class Poisoned(PINN):
        def init(self, seeds: object) -> torch.Tensor:
            params = super().init(seeds)
            params[member] = torch.nan
            return params

    return Poisoned(problem.system, problem.model, problem.coefficients, problem.n_data, dtype=torch.float64)


def test_a_member_that_diverges_is_reported_and_the_others_go_on() -> None:
    problem = make_problem()
    ours, expected = run(poisoned(problem, 2)), run(problem)
    assert ours[2].status == "diverged"
    assert ours[2].train_loss != ours[2].train_loss  # NaN
    for results in (ours, expected):
        del results[2]
    assert_same(ours, expected)


def test_a_member_that_diverged_before_a_cut_is_reported_all_the_same(tmp_path: Path) -> None:
    problem = poisoned(make_problem(3), 1)
    results: dict[int, MemberResult] = {}
    with pytest.raises(TimeLimitReached):  # member 1 ends with the first step of the first phase
        run(problem, results=results, checkpoint=tmp_path / "c.pt", deadline=time.monotonic())
    assert results[1].status == "diverged"  # reported where it ended, not at the end of the phase
    run(problem, results=results, checkpoint=tmp_path / "c.pt")
    assert sorted(results) == [0, 1, 2]


def test_progress_counts_up_to_the_end() -> None:
    seen: list[Progress] = []
    run(make_problem(), progress=seen.append)
    assert [p.evaluations for p in seen] == sorted(p.evaluations for p in seen)
    assert seen[-1].finished == seen[-1].total == 5
    assert 0 < seen[-1].evaluations <= seen[-1].expected_evaluations + 5 * 25


@pytest.mark.parametrize(
    "make",
    [
        lambda: Adam(steps=0),
        lambda: Adam(learning_rate=-1.0),
        lambda: LBFGS(max_iterations=0),
        lambda: LBFGS(history=0),
        lambda: LBFGS(tolerance_grad=-1.0),
    ],
)
def test_impossible_budgets_are_refused(make: object) -> None:
    with pytest.raises(UserError, match="needs"):
        make()


def test_warnings_are_errors_in_this_suite() -> None:
    with pytest.raises(UserWarning):
        warnings.warn("the configuration must turn this into an error", stacklevel=1)


# --- one meaning of NaN ---


class Cut(PINN):
    """Member 1 has no finite loss where it ended, although no optimiser met a NaN: as where a line search gave up."""

    def evaluate(self, params: torch.Tensor) -> Evaluation:
        found = super().evaluate(params)
        bad = self.coefficients == 5.75  # member 1
        return Evaluation({n: torch.where(bad, torch.nan, t) for n, t in found.terms.items()}, found.test_error)


def test_a_loss_that_is_not_finite_is_reported_as_diverged_however_training_ended() -> None:
    problem = make_problem()
    cut = Cut(problem.system, problem.model, problem.coefficients, problem.n_data, dtype=torch.float64)
    results, sound = run(cut), run(problem)
    assert math.isnan(results[1].train_loss) and results[1].status == "diverged" != sound[1].status
    assert [results[m].status for m in (0, 2, 3, 4)] == [sound[m].status for m in (0, 2, 3, 4)]


# --- arguments ---


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"width": 0}, "width=0 is impossible; choose a whole number of at least 1"),
        ({"width": -1}, "width=-1 is impossible"),
        ({"width": 1.5}, "width=1.5 is not a whole number"),
        ({"seeds": range(4)}, "seeds lists 4 numbers for 5 members; give one for each"),
        ({"seeds": range(6)}, "seeds lists 6 numbers for 5 members"),
        ({"seeds": 3}, "seeds=3 is not a list of seeds"),
        ({"seeds": [0, 1, 2, 3, -1]}, "seeds=-1 is not a seed; choose integers from 0 to 4294967295"),
        ({"seeds": [0, 1, 2, 3, 2**32]}, "seeds=4294967296 is not a seed"),
        ({"seeds": [0, 1, 2, 3, 0.5]}, "seeds=0.5 is not a seed"),
        ({"seeds": [0, 1, 2, 3, True]}, "seeds=True is not a seed"),
        ({"strategy": Adam(steps=2)}, r"is not a strategy; write it like Strategy\(\(Adam\(\), LBFGS\(\)\)\)"),
    ],
)
def test_impossible_arguments_of_training_are_refused_before_it_begins(options: dict[str, object], said: str) -> None:
    given = {"seeds": range(5), "strategy": SHORT} | options
    with pytest.raises(UserError, match=said):
        train(make_problem(), **given, on_result=lambda *_: pytest.fail("nobody may be trained"))


def test_seeds_and_width_may_be_numpys() -> None:
    expected = run(make_problem(), width=2)
    results: dict[int, MemberResult] = {}
    train(make_problem(), np.arange(5), SHORT, on_result=results.__setitem__, width=np.int64(2))
    assert_same(results, expected, rtol=0, atol=0)


class HalfAStage:
    expected_evaluations = 5

    def bytes_per_member(self, problem: object) -> int:
        return 0

    step = bytes_per_member


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Strategy(("adam",)), r"'adam' is not a stage; write stages like Strategy\(\(Adam\(\), LBFGS\(\)\)\)"),
        (lambda: Strategy((Adam,)), "the class Adam is not a stage"),
        (lambda: Strategy(Adam()), "is not a tuple of stages"),
        (lambda: Strategy((HalfAStage(),)), "HalfAStage is no stage yet; give it the methods expected_evaluations, init of"),
        (lambda: Strategy("adam"), "stages='adam' is not a tuple of stages"),
        (lambda: Adam(steps=1.5), "steps=1.5 is not a whole number; choose one such as 3"),
        (lambda: Adam(steps="10"), "steps='10' is not a whole number"),
        (lambda: Adam(betas=(1.0, 1.0)), r"betas=\(1.0, 1.0\) are impossible; choose two numbers from 0 to below 1"),
        (lambda: Adam(betas=0.9), "betas=0.9 are impossible"),
        (lambda: Adam(betas=(0.9,)), r"betas=\(0.9,\) are impossible"),
        (lambda: Adam(eps=-1.0), "eps=-1.0 is impossible; choose 0 or more"),
        (lambda: Adam(learning_rate="fast"), "learning_rate='fast' is not a number"),
        (lambda: Adam(schedule=0.99), "schedule=0.99 is not a schedule"),
        (lambda: LBFGS(max_iterations=2.5), "max_iterations=2.5 is not a whole number"),
        (lambda: NNCG(rank="50"), "rank='50' is not a whole number"),
        (lambda: Curriculum(n_stages=1.5), "n_stages=1.5 is not a whole number"),
        (lambda: RoPINN(window="5"), "window='5' is not a whole number"),
        (lambda: AugmentedLagrangian(outer=2.0), "outer=2.0 is not a whole number"),
        (lambda: AugmentedLagrangian(constrained="residual"), r"constrained='residual' is one name; write \('residual',\)"),
    ],
)
def test_impossible_recipes_are_one_sentence(make: Callable[[], object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        make()


def test_recipes_of_numpys_numbers_are_the_same_recipes() -> None:
    assert repr(Adam(np.int64(5), np.float64(1e-3))) == repr(Adam(5, 1e-3))
    assert repr(Strategy([Adam(5)])) == repr(Strategy((Adam(5),)))


# --- time, faults and checkpoints ---


def test_a_deadline_is_kept_by_the_clock_that_is_given(tmp_path: Path) -> None:
    ticks, steps = itertools.count(), []
    with pytest.raises(TimeLimitReached):
        options = {"deadline": 7, "clock": lambda: next(ticks), "progress": steps.append}
        run(make_problem(), checkpoint=tmp_path / "c.pt", checkpoint_seconds=1e9, **options)
    assert len(steps) == 7 and (tmp_path / "c.pt").exists()  # one look at the clock before, one after every step


def test_what_a_residual_raises_comes_out_as_it_is_and_what_was_reported_stays(tmp_path: Path) -> None:
    class Fragile(PINN):
        calls = 0

        def value_and_grad(self, params: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            Fragile.calls += 1
            if Fragile.calls > 20:
                raise ArithmeticError("no number")
            return super().value_and_grad(params)

    problem = make_problem()
    fragile = Fragile(problem.system, problem.model, problem.coefficients, problem.n_data, dtype=torch.float64)
    results: dict[int, MemberResult] = {}
    with pytest.raises(ArithmeticError, match="no number"):
        run(fragile, results=results, strategy=Strategy((Adam(steps=15),)), width=4)
    assert sorted(results) == [0, 1, 2, 3]


def test_a_checkpoint_of_another_equation_is_not_continued(tmp_path: Path) -> None:
    def problem(nu: float) -> PINN:
        return PINN(systems.ReactionDiffusion(nu=nu), MLP(hidden=(5,)), [2.0, 4.0], 20, dtype=torch.float64)

    checkpoint, strategy = tmp_path / "c.pt", Strategy((LBFGS(max_iterations=12),))
    with pytest.raises(TimeLimitReached):
        run(problem(2.0), strategy, checkpoint=checkpoint, deadline=4, clock=itertools.count().__next__)
    with pytest.warns(UserWarning, match="another ensemble"):
        ours = run(problem(5.0), strategy, checkpoint=checkpoint)
    assert_same(ours, run(problem(5.0), strategy), rtol=0, atol=0)


# --- words ---


def test_every_stage_says_what_it_does_with_its_numbers() -> None:
    assert SHORT.words == "15 steps of Adam (learning rate 0.001) and then up to 20 iterations of L-BFGS"
    adam = Adam(2_000, 1e-3, schedule=Exponential(0.99, every=10))
    assert adam.words == "2,000 steps of Adam (learning rate 0.001, times 0.99 every 10 steps)"
    minibatch = MiniBatchAdam(500, 128, schedule=Cosine(), shuffle=True, keep_best=True)
    assert minibatch.words == (
        "500 epochs of Adam on batches of 128 (each one pass through its own batches, shuffled; learning rate 0.001, falling "
        "to zero along half a cosine; the epoch with the lowest validation error is kept)"
    )
    alm = AugmentedLagrangian(outer=1, weight=((0.0, 500.0), (50.0, 100.0)), decay=((0.0, 0.0), (50.0, 1e-3)))
    assert alm.words == (
        "1 call of up to 2,000 iterations of L-BFGS on an augmented Lagrangian (constraints: boundary and initial terms; "
        "penalty from 2, times 1.2 a call; weight of the rest 500, 100 from coefficient 50 on; weight decay 0, 0.001 from "
        "coefficient 50 on)"
    )
    assert RoPINN().words.startswith("1,000 calls of 20 iterations of L-BFGS on points that wander in a region of 1e-05")
    assert Curriculum().words.startswith("a curriculum of 140 stages from coefficient 0 on, 0.5 apart, each of up to 2,000")
    assert NNCG().words.startswith("2,000 Newton steps (sketch of rank 50 renewed every 100 steps, damping 0.01")
    assert Strategy((Curriculum(2), adam, LBFGS())).words.count(" and then ") == 1

    class Own:
        def expected_evaluations(self, problem: object) -> int:
            return 1

        bytes_per_member = init = step = expected_evaluations

    assert Strategy((Own(), LBFGS())).words.startswith("Own and then up to")


def test_a_run_whose_test_error_is_no_number_is_one_that_diverged() -> None:
    """Its loss may be finite: an own equation's reference solution can fail at some point of the test."""

    class Broken(Convection):
        def solution(self, points: torch.Tensor, coefficient: torch.Tensor) -> torch.Tensor:
            return super().solution(points, coefficient) * float("nan")

    results: dict[int, MemberResult] = {}
    problem = PINN(Broken(), MLP(hidden=(4,)), [5.0], 10)
    train(problem, [0], Strategy((Adam(3),)), on_result=results.__setitem__)
    assert math.isnan(results[0].test_error) and math.isfinite(results[0].train_loss)
    assert results[0].status == "diverged"
