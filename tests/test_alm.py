"""The augmented Lagrangian against a dense solution of the KKT system, and its formula written out with autograd. Float64."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
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
from sciml_lib.optim import LBFGS, Status
from sciml_lib.problems import PINN, Augmentation
from sciml_lib.strategies import AugmentedLagrangian, MemberResult, Strategy, train
from sciml_lib.strategies.alm import AugmentedLagrangianState

SHORT = AugmentedLagrangian(outer=3, inner=LBFGS(max_iterations=6, history=5), weight=((0.0, 2.0),))
MULTIPLIERS = {"convection": 101 + 257, "reaction": 101 + 257, "wave": 101 + 101 + 257 + 257, "reaction-diffusion": 101 + 257}


class LeastSquares:
    """Residuals A x - a, to be small, and constraints B x - b, to vanish; the coefficient scales a."""

    def __init__(self, coefficients: Sequence[float] | Tensor) -> None:
        generator = torch.Generator().manual_seed(0)
        draw = {"generator": generator, "dtype": torch.float64}
        self.A, self.a = torch.randn(9, 6, **draw), torch.randn(9, **draw)
        self.B, self.b = torch.randn(3, 6, **draw), torch.randn(3, **draw)
        self.coefficients = torch.as_tensor(coefficients, dtype=torch.float64)
        self.augmentation: Augmentation | None = None
        self.term_names = ("residual", "hard")

    def select(self, index: Tensor) -> LeastSquares:
        return LeastSquares(self.coefficients[index])

    def residuals(self, x: Tensor) -> dict[str, Tensor]:
        return {"residual": x @ self.A.mT - self.coefficients[:, None] * self.a, "hard": x @ self.B.mT - self.b}

    def constraints(self, x: Tensor, names: Sequence[str]) -> Tensor:
        return torch.cat([self.residuals(x)[name] for name in names], dim=1)

    def augmented(self, *parts: object) -> LeastSquares:
        other = LeastSquares(self.coefficients)
        other.augmentation = Augmentation(*parts)
        return other

    def value_and_grad(self, x: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            loss = self.augmentation.total(self.residuals(x)) + self.augmentation.decay * x.square().sum(dim=1)
            (grad,) = torch.autograd.grad(loss.sum(), x)
        return loss.detach(), grad


def finish(strategy: AugmentedLagrangian, problem: PINN | LeastSquares, params: Tensor) -> AugmentedLagrangianState:
    state = strategy.init(problem, params)
    while (state.status == Status.RUNNING).any():
        strategy.step(problem, state)
    return state


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_a_constrained_least_squares_problem_is_solved_with_its_multipliers(decay: float) -> None:
    """The truth is the dense KKT system of  w |A x - a|^2 / n + d |x|^2  with  lambda.(B x - b) / k."""
    weight = 5.0
    strategy = AugmentedLagrangian(
        outer=20,
        growth=1.5,
        inner=LBFGS(max_iterations=40, tolerance_grad=1e-11, tolerance_change=1e-16),
        constrained=("hard",),
        weight=((0.0, weight),),
        decay=((0.0, decay),),
    )
    problem = LeastSquares([1.0, 2.5])
    state = finish(strategy, problem, torch.zeros(2, 6, dtype=torch.float64))
    A, a, B, b = (part.numpy() for part in (problem.A, problem.a, problem.B, problem.b))
    k = len(b)
    for m, coefficient in enumerate((1.0, 2.5)):
        hessian = 2.0 * weight / len(a) * A.T @ A + 2.0 * decay * np.eye(6)
        matrix = np.block([[hessian, B.T / k], [B, np.zeros((k, k))]])
        truth = np.linalg.solve(matrix, np.concatenate([2.0 * weight / len(a) * A.T @ (coefficient * a), b]))
        np.testing.assert_allclose(state.params[m], truth[:6], rtol=0, atol=2e-5)  # L-BFGS keeps no pair with y.s below 1e-10
        # The last call's multipliers are one update behind its point.
        last = state.multipliers[m].numpy() + state.penalty[m].item() * (B @ state.params[m].numpy() - b)
        np.testing.assert_allclose(last, truth[6:], rtol=0, atol=1e-3)
        assert abs(truth[6:]).min() > 0.1  # every constraint is one


def test_multipliers_grow_before_the_penalty_and_at_the_weights_of_the_last_call() -> None:
    problem = LeastSquares([1.0, 2.5])
    strategy = AugmentedLagrangian(outer=4, inner=LBFGS(max_iterations=3), constrained=("hard",), growth=1.2)
    params = torch.randn(2, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    state = strategy.init(problem, params)
    expected = 2.0 * problem.constraints(params, ["hard"])
    penalty = torch.full((2,), 2.4, dtype=torch.float64)
    while (state.status == Status.RUNNING).any():
        torch.testing.assert_close(state.multipliers, expected, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(state.penalty, penalty)
        before = state.calls.clone()
        strategy.step(problem, state)
        again = (state.calls > before) & (state.calls < 4)
        g = problem.constraints(state.params, ["hard"])
        expected = torch.where(again[:, None], expected + penalty[:, None] * g, expected)
        penalty = torch.where(again, 1.2 * penalty, penalty)
        assert not state.history.pairs[again].any()  # the history is discarded
    assert (state.calls == 4).all()


@pytest.mark.parametrize(("start", "growth"), [(2.0, 1.2), (0.5, 1.0)])
def test_the_penalty_after_all_calls(start: float, growth: float) -> None:
    strategy = AugmentedLagrangian(outer=7, inner=LBFGS(max_iterations=2), constrained=("hard",), penalty=start, growth=growth)
    state = finish(strategy, LeastSquares([1.0]), torch.ones(1, 6, dtype=torch.float64))
    assert state.penalty.item() == pytest.approx(start * growth**7, rel=1e-13)
    assert AugmentedLagrangian().penalty * AugmentedLagrangian().growth ** AugmentedLagrangian().outer == pytest.approx(
        18_201, rel=1e-4
    )


def make_problem(name: str = "convection", coefficients: Sequence[float] = (1.0, 6.0, 12.0)) -> PINN:
    return PINN(systems.get(name), MLP(hidden=(5, 5)), coefficients, 12, dtype=torch.float64)


@pytest.mark.parametrize("name", ["convection", "wave"])
@pytest.mark.parametrize("constrained", [("boundary", "initial"), ("residual",), ("initial", "residual")])
def test_the_augmented_loss_of_a_pinn_is_the_formula(name: str, constrained: tuple[str, ...]) -> None:
    problem = make_problem(name)
    if name == "wave":
        constrained = tuple("velocity" if block == "boundary" else block for block in constrained)
    params = problem.init(range(3))
    params += 0.1 * torch.randn(params.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    width = problem.constraints(params, constrained).shape[1]
    multipliers = torch.randn(3, width, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    penalty, weight, decay = torch.tensor([[2.0, 5.0, 30.0], [1.0, 50.0, 3.0], [0.0, 1e-3, 0.2]], dtype=torch.float64)
    augmented = problem.augmented(constrained, multipliers, penalty, weight, decay)
    for view, rows in ((augmented, [0, 1, 2]), (augmented.select([2, 0]), [2, 0])):
        loss, grad = view.value_and_grad(params[rows])
        torch.testing.assert_close(view.loss(params[rows]), loss, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(view.value(params[rows]), loss, rtol=1e-12, atol=1e-12)
        for i, m in enumerate(rows):
            x = params[m].clone().requires_grad_()
            total = decay[m] * (x * x).sum()
            start = 0
            residuals = {block: r[0] for block, r in problem.select([m]).residuals(x[None]).items()}
            for block, r in residuals.items():
                if block not in constrained:
                    total = total + weight[m] * (r**2).sum() / len(r)
            for block in constrained:
                g = residuals[block]
                for j in range(len(g)):  # point by point: a mean over all pairs would be another number
                    total = total + (multipliers[m, start + j] * g[j] + 0.5 * penalty[m] * g[j] ** 2) / len(g)
                start += len(g)
            (expected,) = torch.autograd.grad(total, x)
            torch.testing.assert_close(loss[i], total.detach(), rtol=1e-11, atol=1e-12)
            torch.testing.assert_close(grad[i], expected, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(problem.loss(params), sum(problem.terms(params).values()))  # itself untouched


@pytest.mark.parametrize("name", sorted(MULTIPLIERS))
def test_conditions_are_all_blocks_but_the_equation(name: str) -> None:
    problem = make_problem(name)
    state = SHORT.init(problem, problem.init(range(3)))
    assert state.multipliers.shape == (3, MULTIPLIERS[name])
    g = torch.cat([r for block, r in problem.residuals(problem.init(range(3))).items() if block != "residual"], dim=1)
    torch.testing.assert_close(state.multipliers, 2.0 * g)


def test_the_equation_can_be_the_constraint_and_a_block_named_twice_counts_once() -> None:
    problem = make_problem()
    params = problem.init(range(3))
    hard = replace(SHORT, constrained=("residual",)).init(problem, params)
    torch.testing.assert_close(hard.multipliers, 2.0 * problem.residuals(params)["residual"])
    both = replace(SHORT, constrained=("initial", "conditions")).init(problem, params)
    r = problem.residuals(params)
    torch.testing.assert_close(both.multipliers, 2.0 * torch.cat([r["initial"], r["boundary"]], dim=1))


def test_equation_and_conditions_can_be_constraints_together() -> None:
    problem = make_problem()
    params = problem.init(range(3))
    state = replace(SHORT, constrained=("conditions", "residual")).init(problem, params)
    r = problem.residuals(params)
    expected = torch.cat([r["boundary"], r["initial"], r["residual"]], dim=1)
    torch.testing.assert_close(state.multipliers, 2.0 * expected)


@pytest.mark.parametrize(("beta", "weight", "decay"), [(0.5, 500, 0), (49.9, 500, 0), (50.0, 100, 1e-3), (70.0, 100, 1e-3)])
def test_tables_hold_from_their_coefficient_on(beta: float, weight: float, decay: float) -> None:
    released = replace(SHORT, weight=((0.0, 500.0), (50.0, 100.0)), decay=((0.0, 0.0), (50.0, 1e-3)))
    problem = make_problem(coefficients=[beta, 20.0])
    params = problem.init([0, 1])
    state = released.init(problem, params)
    g = problem.constraints(params, ["boundary", "initial"])
    released.step(problem, state)
    soft = problem.terms(params)["residual"][0]
    blocks = g[0].split([101, 257])
    lifted = sum((2.0 * part.square()).mean() + 0.5 * 2.4 * part.square().mean() for part in blocks)
    expected = weight * soft + lifted + decay * params[0].square().sum()
    assert state.loss[0].item() == pytest.approx(expected.item(), rel=1e-12)


def run(problem: PINN, results: dict[int, MemberResult] | None = None, **options: object) -> dict[int, MemberResult]:
    results = {} if results is None else results
    strategy = Strategy((LBFGS(max_iterations=3), SHORT))
    train(problem, range(len(problem)), strategy, on_result=results.__setitem__, **options)
    return results


@pytest.mark.parametrize("width", [1, 2])
def test_a_member_does_not_depend_on_its_neighbours_and_reports_the_plain_loss(width: int) -> None:
    problem = make_problem()
    together = run(problem)
    assert_same(run(problem, width=width), together)
    for m, result in together.items():
        one, params = problem.select([m]), result.params[None]
        assert result.train_loss == pytest.approx(one.loss(params).item(), rel=1e-12)
        assert 3 < result.iterations <= 3 + 3 * 6
    alone = finish(SHORT, problem.select([1]), problem.init([7]))
    among = finish(SHORT, problem, problem.init([3, 7, 5]))
    torch.testing.assert_close(among.params[1], alone.params[0], rtol=1e-7, atol=1e-9)
    assert among.total_evaluations[1] == alone.total_evaluations[0]


def test_stopped_and_resumed_at_every_step_gives_the_same(tmp_path: Path) -> None:
    results = cut_after_every_step(partial(run, make_problem(), width=2), tmp_path, at_least=20)
    assert_same(results, run(make_problem(), width=2))


def test_a_member_that_diverges_makes_no_further_call() -> None:
    problem = make_problem()
    params = problem.init(range(3))
    sound = finish(SHORT, problem, params)
    params[1] = torch.nan
    state = finish(SHORT, problem, params)
    assert (state.status[1], state.total_evaluations[1]) == (Status.DIVERGED, 1)
    torch.testing.assert_close(state.params[[0, 2]], sound.params[[0, 2]], rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"outer": 0}, "outer >= 1"),
        ({"penalty": 0.0}, "penalty > 0"),
        ({"penalty": -2.0}, "penalty > 0"),
        ({"growth": 0.9}, "growth=0.9 would let the penalty fall"),
        ({"growth": -1.0}, "growth=-1.0 would let the penalty fall"),
        ({"growth": float("nan")}, "growth=nan"),
        ({"constrained": ()}, "constrained is empty"),
        ({"weight": ((0.0, -1.0),)}, "not negative"),
        ({"decay": ((0.0, 0.0), (50.0, -1e-3))}, "not negative"),
        ({"weight": ()}, "weight and decay list pairs"),
    ],
)
def test_impossible_numbers_are_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        AugmentedLagrangian(**options)


def test_an_unknown_block_is_refused_with_those_there_are() -> None:
    stage = replace(SHORT, constrained=("boundry",))
    said = "unknown block to constrain 'boundry': did you mean boundary.*conditions, residual, boundary, initial"
    with pytest.raises(UserError, match=said):
        train(make_problem(), range(3), Strategy((stage,)), on_result=lambda *_: None)
    with pytest.raises(UserError, match="conditions, residual, upper, lower, initial, velocity"):
        replace(SHORT, constrained=("boundary",)).check(make_problem("wave"))
