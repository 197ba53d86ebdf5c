"""A curriculum against a loop over its levels with ``torch.optim.LBFGS``; who shares a level; and every bad number. Float64."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from trained import assert_same, cut_after_every_step

from sciml_lib import systems
from sciml_lib.errors import UserError
from sciml_lib.models import MLP
from sciml_lib.problems import PINN
from sciml_lib.strategies import LBFGS, Adam, Curriculum, MemberResult, Strategy, train

SOLVER, LAST = LBFGS(max_iterations=6, history=5), LBFGS(max_iterations=8, history=5)
SHORT = Strategy((Curriculum(n_stages=6, step=0.5, solver=SOLVER), LAST))
TARGETS, SEEDS = [0.5, 1.0, 2.25, 3.0, 1.0, 3.0], [4, 4, 4, 4, 7, 7]


def make_problem(targets: Sequence[float] = TARGETS, dtype: torch.dtype = torch.float64, kind: type[PINN] = PINN) -> PINN:
    return kind(systems.get("convection"), MLP(hidden=(5, 5)), targets, 20, data_seed=3, dtype=dtype)


def run(
    problem: PINN, seeds: Sequence[int] = SEEDS, results: dict[int, MemberResult] | None = None, **options: object
) -> dict[int, MemberResult]:
    results = {} if results is None else results
    train(problem, seeds, SHORT, on_result=results.__setitem__, **options)
    return results


def test_phases_are_the_levels_and_then_the_members_own_coefficients() -> None:
    phases = SHORT.phases
    assert [phase.coefficient for phase in phases] == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, None]
    assert [phase.stage for phase in phases] == [SOLVER] * 6 + [LAST]
    assert Curriculum().phases[-1].coefficient == 69.5
    assert Curriculum().top == 70.0
    problem = make_problem()
    draws = [phase.view(problem).points["residual"] for phase in phases]
    for i, one in enumerate(draws):
        for other in draws[:i]:
            assert not torch.equal(one, other)
    assert torch.equal(draws[-1], problem.points["residual"])
    assert phases[-1].view(problem).coefficients.tolist() == TARGETS
    # Another seed of the data gives other levels, too.
    other = PINN(problem.system, problem.model, TARGETS, 20, data_seed=4, dtype=torch.float64)
    assert not torch.equal(phases[0].view(other).points["residual"], draws[0])


def test_a_levels_points_are_those_of_its_seed() -> None:
    problem = make_problem()
    x = np.linspace(0.0, 2.0 * math.pi, 257)[1:-1]
    t = np.linspace(0.0, 1.0, 101)[1:]
    pool = np.stack([np.tile(x, 100), np.repeat(t, 255)], axis=1)
    for k, phase in enumerate(SHORT.phases[:3]):
        drawn = pool[np.random.RandomState((3, k + 1)).permutation(25_500)[:20]]
        np.testing.assert_allclose(phase.view(problem).points["residual"], drawn, rtol=0, atol=1e-14)


def test_members_of_one_seed_share_the_levels_below_their_coefficients() -> None:
    groups = [phase.groups(make_problem(TARGETS), SEEDS) for phase in SHORT.phases]
    assert groups[0] == [[0, 1, 2, 3], [4, 5]]  # everybody begins at 0
    assert groups[1] == [[1, 2, 3], [4, 5]]  # 0.5 is a target, not a level, for member 0
    assert groups[2] == [[2, 3], [5]]
    assert groups[3] == groups[4] == [[2, 3], [5]]
    assert groups[5] == [[3], [5]]
    assert groups[6] == [[m] for m in range(6)]


def test_a_target_that_float32_moves_above_its_level_is_still_the_level() -> None:
    target = torch.tensor([0.1, 0.7, 6.3], dtype=torch.float32).tolist()
    curriculum = Curriculum(n_stages=63, step=0.1, solver=SOLVER)
    for value, levels in zip(target, (1, 7, 63), strict=True):
        assert sum(bool(phase.groups(make_problem([value]), [0])) for phase in curriculum.phases) == levels
    curriculum.check(make_problem([0.1, 6.3], torch.float32))


def plain_lbfgs(problem: PINN, solver: LBFGS, x0: Tensor) -> tuple[Tensor, int, int]:
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
    results = run(problem)
    for m, (target, seed) in enumerate(zip(TARGETS, SEEDS, strict=True)):
        one = problem.select([m])
        x = problem.init([seed])[0]
        iterations = evaluations = level = 0
        while 0.5 * level < target:
            here = one.at(torch.tensor([0.5 * level])).resampled((3, level + 1))
            x, n_iter, n_eval = plain_lbfgs(here, SOLVER, x)
            iterations, evaluations, level = iterations + n_iter, evaluations + n_eval, level + 1
        x, n_iter, n_eval = plain_lbfgs(one, LAST, x)
        assert (results[m].iterations, results[m].evaluations) == (iterations + n_iter, evaluations + n_eval)
        torch.testing.assert_close(results[m].params, x, rtol=1e-6, atol=1e-8)
        assert results[m].train_loss == pytest.approx(one.loss(x[None]).item(), rel=1e-6)


class Counted(PINN):
    """Counts the rows that are evaluated at each coefficient."""

    rows: dict[float, int]

    def value_and_grad(self, params: Tensor) -> tuple[Tensor, Tensor]:
        for coefficient in self.coefficients.tolist():
            self.rows[coefficient] = self.rows.get(coefficient, 0) + 1
        return super().value_and_grad(params)


def test_members_of_one_seed_share_their_evaluations() -> None:
    together = make_problem([2.75] * 3, kind=Counted)
    together.rows = {}
    results = run(together, [4, 4, 4])
    alone = make_problem([2.75], kind=Counted)
    alone.rows = {}
    assert_same({0: results[2]}, run(alone, [4]), rtol=1e-6, atol=1e-8)
    levels = [0.5 * k for k in range(6)]
    assert {c: together.rows[c] for c in levels} == {c: alone.rows[c] for c in levels}
    assert together.rows[2.75] == 3 * alone.rows[2.75]
    assert sum(alone.rows.values()) == results[0].evaluations
    other = make_problem([2.75] * 2, kind=Counted)
    other.rows = {}
    run(other, [4, 5])  # two seeds share nothing
    assert all(other.rows[c] > together.rows[c] for c in levels)


@pytest.mark.parametrize("width", [1, 2, 4])
def test_slots_do_not_change_any_member(width: int) -> None:
    assert_same(run(make_problem(), width=width), run(make_problem()), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("width", [None, 2])
def test_stopped_and_resumed_at_every_step_gives_the_same(tmp_path: Path, width: int | None) -> None:
    results = cut_after_every_step(partial(run, make_problem(), SEEDS, width=width), tmp_path, at_least=30)
    assert_same(results, run(make_problem(), width=width), rtol=1e-6, atol=1e-8)


class Poisoned(PINN):
    """The loss of one coefficient is not a number."""

    def value_and_grad(self, params: Tensor) -> tuple[Tensor, Tensor]:
        loss, grad = super().value_and_grad(params)
        bad = self.coefficients == 1.5
        return torch.where(bad, torch.nan, loss), grad


def test_members_that_diverge_on_a_level_are_reported_and_the_others_go_on() -> None:
    ours, expected = run(make_problem(kind=Poisoned)), run(make_problem())
    assert sorted(ours) == list(range(6))
    lost = [2, 3, 5]  # all that climb above 1.5
    for m in lost:
        assert ours[m].status == "diverged"
        assert ours[m].evaluations < expected[m].evaluations
        del expected[m], ours[m]
    assert_same(ours, expected, rtol=1e-6, atol=1e-8)


def test_seconds_of_a_shared_slot_are_divided() -> None:
    start = time.perf_counter()
    results = run(make_problem([2.5] * 4), [4] * 4)
    spent = time.perf_counter() - start
    assert 0 < sum(result.seconds for result in results.values()) < spent


def test_nothing_may_part_the_members_before_the_levels() -> None:
    with pytest.raises(UserError, match="Curriculum must come first"):
        Strategy((Adam(steps=3), Curriculum(n_stages=2, step=0.5, solver=SOLVER), LAST))


def test_too_few_levels_are_refused_with_the_number_that_would_do() -> None:
    said = r"beta=3 \(6 stages of 0.5\) and 3.2 lies above; choose at least n_stages=7"
    with pytest.raises(UserError, match=said):
        run(make_problem([1.0, 3.2]), [0, 1])
    Curriculum(n_stages=7, solver=SOLVER).check(make_problem([1.0, 3.2]))


def test_a_problem_without_a_coefficient_is_refused() -> None:
    class Nameless(systems.Convection):
        coefficient_name = ""

    problem = PINN(Nameless(), MLP(hidden=(4,)), [1.0], 10)
    with pytest.raises(UserError, match="this one has none; choose another strategy"):
        run(problem, [0])


def test_a_strategy_does_not_end_with_a_curriculum() -> None:
    with pytest.raises(UserError, match=r"Curriculum ends below .* such as LBFGS\(\)"):
        Strategy((LAST, Curriculum(n_stages=2)))
    with pytest.raises(UserError, match="at least one stage"):
        Strategy(())


@pytest.mark.parametrize("options", [{"n_stages": 0}, {"n_stages": -3}, {"step": 0.0}, {"step": -0.5}, {"step": math.nan}])
def test_impossible_numbers_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(UserError, match="n_stages >= 1 and step > 0"):
        Curriculum(**options)
