"""What all families of problems share, shown on one whose terms are no mean squares; weights; and every bad input. Float64."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

import numpy as np
import pytest
import torch
from torch import Tensor

from sciml_lib import systems
from sciml_lib.errors import UserError
from sciml_lib.landscape import HessianOperator, lanczos
from sciml_lib.models import MLP
from sciml_lib.problems import (
    PINN,
    Batched,
    Constrained,
    Continuable,
    CurvedObjective,
    EnsembleProblem,
    Evaluation,
    Movable,
    NeuralODE,
    Validated,
)
from sciml_lib.strategies import (
    LBFGS,
    NNCG,
    Adam,
    AugmentedLagrangian,
    Curriculum,
    MemberResult,
    MiniBatchAdam,
    RoPINN,
    Stage,
    Strategy,
    train,
)
from sciml_lib.systems import Convection, Pendulum, ReactionDiffusion

COEFFICIENTS = [1.0, 2.5, 4.0]


class Fit(EnsembleProblem):
    """Networks that fit sin(c x) on a few samples, by relative L2 errors as operator networks are trained."""

    def __init__(self, coefficients: Sequence[float] = COEFFICIENTS, dtype: torch.dtype = torch.float64) -> None:
        super().__init__(Convection(), MLP(hidden=(4,), n_inputs=1), coefficients, device="cpu", dtype=dtype)
        self.points = torch.linspace(0.0, 1.0, 12, dtype=dtype).reshape(-1, 1)

    term_names = ("data", "slope")
    particulars = ("12 points",)
    workspace_bytes_per_member = 10_000

    def terms(self, params: Tensor) -> dict[str, Tensor]:
        self._check(params)
        u = self.model(params, self.points)[:, :, 0]  # [M, 12]
        true = torch.sin(self.coefficients[:, None].to(u) * self.points[:, 0])
        found = {}
        for name, (ours, theirs) in {"data": (u, true), "slope": (u.diff(dim=1), true.diff(dim=1))}.items():
            found[name] = torch.linalg.vector_norm(ours - theirs, dim=1) / torch.linalg.vector_norm(theirs, dim=1)
        return found

    @torch.no_grad()
    def evaluate(self, params: Tensor) -> Evaluation:
        terms = self.terms(params)
        return Evaluation(terms, terms["data"], outcomes=["bent" if c > 3 else None for c in self.coefficients.tolist()])


def weights_of(problem: EnsembleProblem) -> Tensor:
    """Parameters at which nothing is small."""
    noise = torch.randn(len(problem), problem.n_params, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return problem.init(range(len(problem))) + 0.3 * noise.to(problem.dtype)


def pinn(dtype: torch.dtype = torch.float64) -> PINN:
    return PINN(systems.get("convection"), MLP(hidden=(5, 4)), COEFFICIENTS, 12, dtype=dtype)


def node(**options: object) -> NeuralODE:
    model = MLP(hidden=(4,), n_inputs=2, n_outputs=2, initial="linear")
    return NeuralODE(Pendulum(), model, COEFFICIENTS, (9, 9, 30), physics=True, dtype=torch.float64, **options)


def run(problem: EnsembleProblem, *stages: Stage, **options: object) -> dict[int, MemberResult]:
    results: dict[int, MemberResult] = {}
    train(problem, range(len(problem)), Strategy(stages), on_result=results.__setitem__, **options)
    return results


# --- a family that is not the library's ---


def test_a_family_gets_loss_gradient_and_hessian_from_its_terms() -> None:
    problem = Fit()
    params = weights_of(problem)
    loss, grad, product = problem.linearised(params)
    torch.testing.assert_close(problem.value_and_grad(params), (loss, grad), rtol=1e-12, atol=0)
    torch.testing.assert_close(problem.value(params), loss, rtol=1e-12, atol=0)
    v = torch.randn(params.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    for m in range(3):
        one = problem.select([m])
        hessian = torch.autograd.functional.hessian(lambda row, one=one: one.loss(row[None])[0], params[m])
        torch.testing.assert_close(product(v)[m], hessian @ v[m], rtol=1e-9, atol=1e-11)
        (expected,) = torch.autograd.functional.jacobian(lambda row, one=one: one.loss(row[None]), params[m])
        torch.testing.assert_close(grad[m], expected, rtol=1e-10, atol=1e-13)
    assert not product(v, torch.zeros(3, dtype=torch.bool)).any()


def test_a_family_goes_through_the_loop_the_optimisers_and_the_hessian_tools() -> None:
    problem = Fit()
    results = run(problem, Adam(steps=30, learning_rate=1e-2), LBFGS(max_iterations=15), NNCG(steps=2, rank=3))
    start = problem.loss(problem.init(range(3)))
    for m, result in results.items():
        terms = problem.select([m]).terms(result.params[None])
        assert result.train_loss == pytest.approx(float(terms["data"] + terms["slope"]), rel=1e-12)  # no square anywhere
        assert result.train_loss < 0.7 * start[m]
    assert [results[m].status == "bent" for m in range(3)] == [False, False, True]
    params = torch.stack([results[m].params for m in range(3)])
    assert torch.isfinite(lanczos(HessianOperator.of_problem(problem, params), 1, seeds=[0, 1, 2]).values).all()


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        (AugmentedLagrangian(), "needs residuals point by point, and this problem has none"),
        (RoPINN(), "moves collocation points, and these members have none"),
        (MiniBatchAdam(), "cuts data into batches, and these members have none"),
        (Curriculum(), "needs other coefficients, and this problem has none"),
    ],
)
def test_a_stage_refuses_a_problem_that_lacks_what_it_needs(stage: Stage, said: str) -> None:
    with pytest.raises(UserError, match=said):
        run(Fit(), stage, LBFGS(max_iterations=2))


def test_a_stage_that_needs_the_hessian_refuses_a_problem_without() -> None:
    class Slopes:
        n_params = 100

        def value_and_grad(self, params: Tensor) -> tuple[Tensor, Tensor]:
            return params.sum(dim=1), torch.ones_like(params)

    with pytest.raises(UserError, match="needs products with the Hessian, and this problem gives none; choose LBFGS"):
        NNCG().check(Slopes())


def test_the_families_have_the_protocols_that_their_strategies_need() -> None:
    found = {
        protocol: [isinstance(problem, protocol) for problem in (pinn(), node(), Fit())]
        for protocol in (CurvedObjective, Continuable, Constrained, Movable, Batched, Validated)
    }
    assert found == {
        CurvedObjective: [True, True, True],
        Continuable: [True, True, False],
        Constrained: [True, True, False],
        Movable: [True, False, False],
        Batched: [False, True, False],
        Validated: [False, True, False],
    }


# --- weights ---


@pytest.mark.parametrize("make", [pinn, node, Fit])
def test_a_weighted_loss_is_the_weighted_sum_with_its_gradient_and_hessian(make: Callable[[], EnsembleProblem]) -> None:
    problem = make()
    first, second = problem.term_names[:2]
    weights = {first: torch.tensor([5.0, 0.0, 0.5], dtype=torch.float64), second: 3.0}
    weighted, params = problem.weighted(weights), weights_of(problem)
    v = torch.randn(params.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))

    def expected(rows: Tensor, index: list[int]) -> Tensor:
        terms = problem.select(index).terms(rows)
        return sum(term * {first: weights[first][index], second: 3.0}.get(name, 1.0) for name, term in terms.items())

    for index in ([0, 1, 2], [2, 0]):
        one, x = weighted.select(index), params[index].clone().requires_grad_()
        total = expected(x, index)
        (grad,) = torch.autograd.grad(total.sum(), x, create_graph=True)
        (hv,) = torch.autograd.grad((grad * v[index]).sum(), x)
        loss, slope, product = one.linearised(params[index])
        for ours in (loss, one.loss(params[index]), one.value(params[index]), one.value_and_grad(params[index])[0]):
            torch.testing.assert_close(ours.detach(), total.detach(), rtol=1e-11, atol=0)
        for ours in (slope, one.value_and_grad(params[index])[1]):
            torch.testing.assert_close(ours, grad.detach(), rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(product(v[index]), hv, rtol=1e-8, atol=1e-11)
    for name, term in problem.terms(params).items():
        torch.testing.assert_close(weighted.terms(params)[name], term, rtol=0, atol=0)
    twice = problem.weighted({first: 2.0}).weighted({first: 3.0})
    torch.testing.assert_close(twice.value(params), problem.weighted({first: 6.0}).value(params), rtol=1e-12, atol=0)
    assert weighted.description != problem.description != twice.description


def test_the_reported_loss_of_a_weighted_training_is_the_plain_one() -> None:
    problem = pinn()
    weighted = problem.weighted({"boundary": 100.0})
    ours, plain = run(weighted, LBFGS(max_iterations=8)), run(problem, LBFGS(max_iterations=8))
    for m, result in ours.items():
        assert result.train_loss == pytest.approx(problem.select([m]).loss(result.params[None]).item(), rel=1e-9)
        assert result.train_loss == pytest.approx(sum(result.terms.values()), rel=1e-12)
        assert (result.params - plain[m].params).abs().max() > 1e-3


def test_weights_hold_on_every_view_and_in_every_batch() -> None:
    problem = node()
    params, weights = weights_of(problem), {"residual": [2.0, 3.0, 4.0]}
    moved = problem.weighted(weights).at(torch.tensor([2.0, 2.0, 2.0], dtype=torch.float64))
    expected = problem.at(torch.tensor([2.0] * 3, dtype=torch.float64)).weighted(weights)
    torch.testing.assert_close(moved.value(params), expected.value(params), rtol=1e-12, atol=0)
    whole = problem.weighted(weights).minibatch(torch.zeros(3, dtype=torch.long), 100).value_and_grad(params)
    torch.testing.assert_close(whole, problem.weighted(weights).value_and_grad(params), rtol=1e-10, atol=1e-13)
    shifts = torch.zeros(3, pinn().n_residual, 2, dtype=torch.float64)
    some = weights_of(pinn())
    heavy = pinn().weighted({"initial": 7.0})
    torch.testing.assert_close(heavy.shifted(shifts).value(some), heavy.resampled(0).value(some), rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({"boundry": 5.0}, r"unknown term to weight 'boundry': did you mean boundary"),
        ({"boundary": -1.0}, "the weight of 'boundary' must be one number, or one for each of the 3 members"),
        ({"boundary": np.nan}, "none of them negative"),
        ({"boundary": [1.0, 2.0]}, "one for each of the 3 members"),
        ({"boundary": "heavy"}, "must be one number"),
    ],
)
def test_impossible_weights_are_refused(weights: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        pinn().weighted(weights)


def test_an_augmented_lagrangian_has_weights_of_its_own() -> None:
    with pytest.raises(UserError, match="this problem is weighted; give it one without weights"):
        run(pinn().weighted({"residual": 2.0}), AugmentedLagrangian(outer=1, inner=LBFGS(max_iterations=2)))
    one = torch.ones(3, dtype=torch.float64)
    augmented = pinn().augmented(["initial"], torch.zeros(3, 257, dtype=torch.float64), one, one, one)
    with pytest.raises(UserError, match="an augmented problem has weights of its own"):
        augmented.weighted({"residual": 2.0})


# --- bad input ---


@pytest.mark.parametrize("make", [pinn, node, Fit])
@pytest.mark.parametrize("function", ["value_and_grad", "value", "loss", "linearised", "terms", "evaluate", "test_error"])
def test_parameters_that_do_not_fit_are_one_sentence(make: Callable[[], EnsembleProblem], function: str) -> None:
    problem = make()
    params = problem.init(range(3))
    for wrong, said in (
        (params.float(), r"params of type torch.float32 do not fit a problem of torch.float64; give params.to"),
        (params[:2], rf"params of shape \[2, {problem.n_params}\] do not fit; give \[3, {problem.n_params}\]"),
        (params[:, 1:], "do not fit; give"),
        (params[0], "do not fit; give"),
    ):
        with pytest.raises(UserError, match=said):
            getattr(problem, function)(wrong)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: PINN("convection", MLP(), [5.0], 100), r"such as Convection\(\), and 'convection' is none"),
        (lambda: NeuralODE("pendulum", MLP(), [5.0], 100), r"such as Pendulum\(\), and 'pendulum' is none"),
        (lambda: PINN(Convection(), MLP(), [5.0], 1.5), "n_data=1.5 is not a whole number"),
        (lambda: PINN(Convection(), MLP(), [5.0], "20"), "n_data='20' is not a whole number"),
        (lambda: PINN(Convection(), MLP(), [5.0], True), "n_data=True is not a whole number"),
        (lambda: PINN(Convection(), MLP(), [5.0], 100, data_seed=-1), "data_seed=-1 is not a seed"),
        (lambda: PINN(Convection(), MLP(), [5.0], 100, device="gpu"), "device='gpu' is not there; choose cpu, or cuda"),
        (lambda: PINN(Convection(), MLP(), [5.0], 100, dtype=torch.float16), "dtype=torch.float16 is not a type for training"),
        (lambda: PINN(Convection(), MLP(), ["fast"], 100), r"coefficients=\['fast'\] are not numbers"),
        (lambda: PINN(Convection(), MLP(), None, 100), "coefficients=None are not numbers"),
        (lambda: node(validation=1.0), "validation=1.0 is not a share of the data"),
        (lambda: node(validation="half"), "validation='half' is not a number"),
        (lambda: node().validation_error(node().init(range(3))), "no data are held out of training"),
    ],
)
def test_impossible_problems_are_one_sentence(make: Callable[[], object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        make()


def test_whole_numbers_of_numpy_are_whole_numbers() -> None:
    ours = PINN(Convection(), MLP(hidden=(4,)), np.array([5.0]), np.int64(20), data_seed=np.int64(3))
    same = PINN(Convection(), MLP(hidden=[np.int64(4)]), [5.0], 20, data_seed=3)
    assert ours.description == same.description
    model = MLP(hidden=(4,), n_inputs=2, n_outputs=2)
    assert NeuralODE(Pendulum(), model, [1.0, 2.0], np.array([20, 30])).data_groups == [20, 30]


def test_the_description_has_the_constants_of_the_equation() -> None:
    def of(system: systems.SpaceTimeSystem) -> str:
        return PINN(system, MLP(hidden=(4,)), [5.0], 20).description

    assert of(ReactionDiffusion(nu=2.0)) == of(ReactionDiffusion()) != of(ReactionDiffusion(nu=5.0))

    class Faster(Convection):
        def residuals(self: Self, *parts: object) -> dict[str, Tensor]:
            return {name: 2.0 * r for name, r in super().residuals(*parts).items()}

    assert of(Faster()) != of(Convection())
