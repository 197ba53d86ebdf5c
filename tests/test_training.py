"""The training loop: stages, slots, checkpoints, time limit, members in trouble; and ensemble Adam."""

from __future__ import annotations

import time
import warnings
from functools import partial
from pathlib import Path

import pytest
import torch
from trained import assert_same, cut_after_every_step

from sciml_lib import systems
from sciml_lib.errors import UserError
from sciml_lib.models import MLP
from sciml_lib.optim import Status
from sciml_lib.problems import PINN
from sciml_lib.strategies import LBFGS, Adam, MemberResult, Progress, Strategy, TimeLimitReached, train

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
