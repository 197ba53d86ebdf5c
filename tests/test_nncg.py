"""Newton steps, their sketches and their ways to end, against dense matrices and autograd. Float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor
from trained import assert_same, cut_after_every_step

from sciml_lib import systems
from sciml_lib.errors import UserError
from sciml_lib.models import MLP
from sciml_lib.optim import NNCG, NNCGState, Status
from sciml_lib.optim.nystrom import precondition, sketch
from sciml_lib.problems import PINN
from sciml_lib.problems.base import HessianProduct
from sciml_lib.strategies import Adam, MemberResult, Strategy, train


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gaussian(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=generator(seed))


def with_spectrum(values: Tensor, seed: int = 0) -> Tensor:
    """A symmetric matrix with these eigenvalues."""
    q, _ = torch.linalg.qr(gaussian(len(values), len(values), seed=seed))
    return (q * values) @ q.mT


def times(*matrices: Tensor) -> Callable[[Tensor], Tensor]:
    """Each member's product with its own matrix."""
    stack = torch.stack(matrices)
    return lambda v: torch.bmm(stack, v[..., None])[..., 0]


def dense(vectors: Tensor, values: Tensor) -> Tensor:
    return torch.bmm(vectors * values[:, None], vectors.mT)


@pytest.mark.parametrize("decay", [0.7, 0.9])
def test_a_sketch_is_within_its_bound(decay: float) -> None:
    """E |A - A_nys| <= (1 + k/(p-1)) l_{k+1} + e^2 (k+p)/(p^2-1) sum_{j>k} l_j  for rank k + p (Frangella et al., 2.2)."""
    n, rank, seeds = 40, 10, 60
    values = decay ** torch.arange(n, dtype=torch.float64)
    a = with_spectrum(values)
    tests = torch.stack([gaussian(n, rank, seed=s) for s in range(seeds)])
    made = sketch(lambda v: v @ a, tests)
    assert made.good.all()
    error = torch.linalg.matrix_norm(a - dense(made.vectors, made.values), ord=2)  # [seeds]
    bounds = []
    for p in range(2, rank - 1):
        k = rank - p
        tail = values[k:].sum().item()
        bounds.append((1 + k / (p - 1)) * values[k].item() + math.e**2 * rank / (p**2 - 1) * tail)
    assert error.mean() <= min(bounds)
    assert error.min() >= values[rank] * (1 - 1e-9)  # no matrix of that rank is nearer
    gap = torch.linalg.eigvalsh(a - dense(made.vectors, made.values))
    assert gap.min() > -1e-9  # a Nystrom approximation never exceeds its matrix


@pytest.mark.parametrize("rank", [3, 5])
def test_a_sketch_of_a_matrix_of_low_rank_is_the_matrix(rank: int) -> None:
    matrices = [with_spectrum(torch.cat([torch.tensor([9.0, 2.0, 0.5]), torch.zeros(9)]).double(), seed=s) for s in (1, 2)]
    made = sketch(times(*matrices), torch.stack([gaussian(12, rank, seed=s) for s in (3, 4)]))
    # A core that is singular is lifted by 1e-6 of its largest eigenvalue.
    near = 1e-10 if rank == 3 else 2e-5
    torch.testing.assert_close(dense(made.vectors, made.values), torch.stack(matrices), rtol=0, atol=near)
    expected = torch.tensor([9.0, 2.0, 0.5, 0.0, 0.0], dtype=torch.float64)[:rank]
    torch.testing.assert_close(made.values, expected.expand(2, -1), rtol=0, atol=near)
    eye = torch.eye(rank, dtype=torch.float64).expand(2, -1, -1)
    torch.testing.assert_close(made.vectors.mT @ made.vectors, eye, rtol=0, atol=1e-10)
    assert made.good.all()


def test_indefinite_matrices_and_broken_products() -> None:
    indefinite = with_spectrum(torch.linspace(-3.0, 5.0, 12, dtype=torch.float64))
    negative = -with_spectrum(torch.linspace(1.0, 5.0, 12, dtype=torch.float64), seed=1)
    broken = torch.full((12, 12), torch.nan, dtype=torch.float64)
    zero = torch.zeros(12, 12, dtype=torch.float64)
    tests = gaussian(12, 4).expand(5, -1, -1)
    positive = with_spectrum(torch.linspace(0.1, 5.0, 12, dtype=torch.float64))
    made = sketch(times(indefinite, negative, broken, zero, positive), tests)
    assert made.good.tolist() == [True, True, False, True, True]
    assert (made.values >= 0).all()
    assert torch.isfinite(made.vectors).all()
    assert (made.values.diff(dim=1) <= 0).all()
    assert not made.values[2].any()
    assert not made.vectors[2].any()
    (alone,) = sketch(times(positive), tests[:1]).values
    torch.testing.assert_close(made.values[4], alone, rtol=1e-10, atol=1e-12)  # the neighbours' trouble stays theirs


def test_the_preconditioner_is_the_dense_formula() -> None:
    values = torch.tensor([[9.0, 2.0, 0.5], [3.0, 1.0, 0.0]], dtype=torch.float64)
    u = torch.stack([torch.linalg.qr(gaussian(8, 3, seed=s)).Q for s in (0, 1)])
    r, damping = gaussian(2, 8, seed=2), 0.3
    ours = precondition(u, values, r, damping)
    for m in range(2):
        inside = (values[m, -1] + damping) * u[m] @ torch.diag(1.0 / (values[m] + damping)) @ u[m].mT
        inverse = inside + torch.eye(8, dtype=torch.float64) - u[m] @ u[m].mT
        torch.testing.assert_close(ours[m], inverse @ r[m], rtol=1e-12, atol=1e-12)
        forward = u[m] @ torch.diag(values[m] + damping) @ u[m].mT / (values[m, -1] + damping)
        forward += torch.eye(8, dtype=torch.float64) - u[m] @ u[m].mT
        torch.testing.assert_close(forward @ ours[m], r[m], rtol=1e-11, atol=1e-11)
    made = sketch(times(with_spectrum(torch.linspace(1, 5, 8).double())), gaussian(1, 8, 3))
    torch.testing.assert_close(made.precondition(r[:1], 0.3), precondition(made.vectors, made.values, r[:1], 0.3))


class Function:
    """A curved objective made of a differentiable function ``[M, P] -> [M]``."""

    def __init__(self, f: Callable[[Tensor], Tensor]) -> None:
        self.f = f
        self.products = 0

    def value(self, params: Tensor) -> Tensor:
        return self.f(params)

    def value_and_grad(self, params: Tensor) -> tuple[Tensor, Tensor]:
        return self.linearised(params)[:2]

    def linearised(self, params: Tensor) -> tuple[Tensor, Tensor, HessianProduct]:
        with torch.enable_grad():
            x = params.detach().requires_grad_()
            loss = self.f(x)
            (grad,) = torch.autograd.grad(loss.sum(), x, create_graph=True)

        def product(v: Tensor, wanted: Tensor | None = None) -> Tensor:
            self.products += 1
            with torch.enable_grad():
                return torch.autograd.grad((grad * v.detach()).sum(), x, retain_graph=True)[0]

        return loss.detach(), grad.detach(), product


def finish(stage: NNCG, objective: Function | PINN, params: Tensor) -> NNCGState:
    state = stage.init(objective, params)
    while (state.status == Status.RUNNING).any():
        stage.step(objective, state)
    return state


def make_problem(name: str = "convection", coefficients: tuple[float, ...] = (1.0, 3.0, 6.0)) -> PINN:
    return PINN(systems.get(name), MLP(hidden=(4, 4)), coefficients, 16, dtype=torch.float64)


def hessian(problem: PINN, params: Tensor) -> Tensor:
    """The dense Hessian of one member, by differentiating its loss twice."""
    return torch.autograd.functional.hessian(lambda x: problem.loss(x[None])[0], params)


SYSTEMS = {"convection": 3.0, "reaction": 2.0, "wave": 1.5, "reaction-diffusion": 4.0}


@pytest.mark.parametrize("damping", [15.0, 40.0])
def test_one_step_is_the_damped_newton_step_for_every_member(damping: float) -> None:
    problem = make_problem()
    params = problem.init(range(3))
    stage = NNCG(steps=1, rank=8, damping=damping, cg_iterations=400, cg_tolerance=1e-11)
    state = finish(stage, problem, params)
    _, grad = problem.value_and_grad(params)
    for m in range(3):
        dense_hessian = hessian(problem.select([m]), params[m])
        system = dense_hessian + damping * torch.eye(problem.n_params, dtype=torch.float64)
        assert torch.linalg.eigvalsh(system).min() > 0  # so that conjugate gradients end at the solution
        d = torch.linalg.solve(system, grad[m])
        torch.testing.assert_close(state.direction[m], d, rtol=1e-7, atol=1e-9)
        t = ((params[m] - state.params[m]) @ d / (d @ d)).item()
        assert math.log2(t) == pytest.approx(round(math.log2(t)), abs=1e-6)  # 1 or a halving of it
        torch.testing.assert_close(state.params[m], params[m] - t * d, rtol=1e-7, atol=1e-9)
    assert (state.iterations == 1).all()


def test_an_accepted_step_is_the_first_that_satisfies_armijo() -> None:
    problem = make_problem(coefficients=(2.0, 9.0, 20.0))
    params = problem.init(range(3))
    stage = NNCG(steps=12, rank=8, refresh=4, damping=1e-2, cg_iterations=60)
    state = stage.init(problem, params)
    halved = 0
    for _ in range(12):
        before = state.params.clone()
        loss, grad = problem.value_and_grad(before)
        running = state.status == Status.RUNNING
        stage.step(problem, state)
        for m in (running & (state.status != Status.LINE_SEARCH_FAILED)).nonzero()[:, 0].tolist():
            d = state.direction[m]
            t = ((before[m] - state.params[m]) @ d / (d @ d)).item()
            slope = (grad[m] @ d).item()
            one = problem.select([m])
            assert slope > 0
            assert one.loss(state.params[[m]]).item() <= loss[m].item() - 0.1 * t * slope * (1 - 1e-9)
            assert state.loss[m].item() == pytest.approx(one.loss(state.params[[m]]).item(), rel=1e-12)
            if t < 0.99:
                halved += 1
                longer = one.loss((before[m] - 2.0 * t * d)[None]).item()
                assert not longer <= loss[m].item() - 0.1 * 2.0 * t * slope * (1 + 1e-6)
    assert halved > 0


def test_a_step_that_lowers_the_loss_too_little_is_refused() -> None:
    """The first trial, 1.9 times the Newton step, keeps 81 % of the loss of a parabola, and a tenth of the slope asks more."""
    start = torch.tensor([[4.0]], dtype=torch.float64)
    objective = Function(lambda x: 0.5 * x.square().sum(dim=1))
    stage = NNCG(steps=1, rank=1, damping=1e-12, learning_rate=1.9)
    assert finish(stage, objective, start).params.item() == pytest.approx(4.0 * (1 - 0.95))
    lenient = NNCG(steps=1, rank=1, damping=1e-12, learning_rate=1.9, decrease=0.01)
    assert finish(lenient, objective, start).params.item() == pytest.approx(4.0 * (1 - 1.9))
    slow = NNCG(steps=1, rank=1, damping=1e-12, learning_rate=1.9, shrink=0.2)
    assert finish(slow, objective, start).params.item() == pytest.approx(4.0 * (1 - 0.38))


def test_a_quadratic_is_minimised_in_one_step() -> None:
    """Where the model is exact, one step with hardly any damping ends at the minimum, and the next finds no gradient."""
    scale = torch.logspace(0, 3, 8, dtype=torch.float64)
    objective = Function(lambda x: 0.5 * (scale * (x - 1.0) ** 2).sum(dim=1))
    stage = NNCG(steps=9, rank=4, damping=1e-9, cg_tolerance=1e-12)
    state = finish(stage, objective, gaussian(2, 8))
    torch.testing.assert_close(state.params, torch.ones(2, 8, dtype=torch.float64), rtol=0, atol=1e-8)
    assert (state.status == Status.CONVERGED_GRADIENT).all()
    assert (state.iterations <= 2).all()


def concave(x: Tensor) -> Tensor:
    """Down along the second axis for ever, and convex along the first."""
    return (x[:, 0] - 1.0) ** 2 - 2.0 * torch.log(torch.cosh(x[:, 1])) + 0.1 * x[:, 1]


def test_negative_curvature_is_named_when_the_budget_ends() -> None:
    starts = torch.tensor([[0.5, 0.3], [-1.0, -0.2]], dtype=torch.float64)
    state = finish(NNCG(steps=3, rank=1), Function(concave), starts)
    assert (state.status == Status.NEGATIVE_CURVATURE).all()
    assert (state.indefinite > 0).all()
    assert (state.iterations == 3).all()
    assert (concave(state.params) < concave(starts)).all()  # it goes downhill all the same
    convex = finish(NNCG(steps=3, rank=1, tolerance_grad=0.0), Function(lambda x: torch.cosh(x).sum(dim=1)), starts)
    assert (convex.status == Status.BUDGET_SPENT).all()
    assert not convex.indefinite.any()


class Lying(Function):
    """An objective whose gradient, products or trial losses are not those of its loss."""

    def __init__(
        self,
        f: Callable[[Tensor], Tensor] = lambda x: torch.cosh(x).sum(dim=1),
        value: Callable[[Tensor], Tensor] | None = None,
        bend: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__(f)
        self.trial, self.bend = value or f, bend

    def value(self, params: Tensor) -> Tensor:
        return self.trial(params)

    def linearised(self, params: Tensor) -> tuple[Tensor, Tensor, Callable[[Tensor], Tensor]]:
        loss, grad, product = super().linearised(params)
        return loss, grad, product if self.bend is None else lambda v, wanted=None: self.bend(v)


@pytest.mark.parametrize(
    ("objective", "status"),
    [
        (Lying(value=lambda x: torch.full((len(x),), torch.nan, dtype=x.dtype)), Status.DIVERGED),
        (Lying(value=lambda x: torch.full((len(x),), torch.inf, dtype=x.dtype)), Status.DIVERGED),
        (Lying(value=lambda x: torch.full((len(x),), 1e9, dtype=x.dtype)), Status.LINE_SEARCH_FAILED),
        (Lying(bend=lambda v: torch.full_like(v, torch.nan)), Status.SKETCH_FAILED),
        (Lying(f=lambda x: torch.log(-x.square().sum(dim=1))), Status.DIVERGED),
        (Lying(f=lambda x: (0.0 * x).sum(dim=1) + 0.0 * x.square().sum(dim=1)), Status.CONVERGED_GRADIENT),
    ],
    ids=["nan trials", "infinite trials", "high trials", "nan products", "nan loss", "flat"],
)
def test_every_trouble_has_its_status(objective: Lying, status: Status) -> None:
    starts = torch.tensor([[0.5, 0.3], [-1.0, -0.2]], dtype=torch.float64)
    state = finish(NNCG(steps=5, rank=1), objective, starts)
    assert state.status.tolist() == [status, status]
    assert torch.equal(state.params, starts)
    assert (state.iterations == 0).all()
    assert status.sentence


def test_a_direction_that_does_not_descend_is_not_gone() -> None:
    """Products that overflow once the sketch is made leave conjugate gradients where they start, at zero."""
    objective = Lying()

    def bend(v: Tensor) -> Tensor:
        objective.products += 1
        return v.clone() if objective.products <= 2 else torch.inf * v

    objective.bend = bend
    starts = torch.tensor([[0.5, 0.3]], dtype=torch.float64)
    state = finish(NNCG(steps=5, rank=2), objective, starts)
    assert Status(int(state.status)) is Status.NOT_DESCENT
    assert torch.equal(state.params, starts)


def test_a_last_direction_that_leads_to_a_climb_is_dropped() -> None:
    scale, damping = torch.tensor([1.0, 100.0], dtype=torch.float64), 1e-2
    objective = Function(lambda x: 0.5 * (scale * x.square()).sum(dim=1))
    stage = NNCG(steps=5, rank=1, cg_iterations=1, damping=damping)
    state = stage.init(objective, torch.tensor([[1.0, 0.01]], dtype=torch.float64))
    g = torch.ones(2, dtype=torch.float64)
    state.iterations.fill_(1)  # no sketch is due, and none made yet: no preconditioner
    state.direction.copy_(-1e6 * g)
    stage.step(objective, state)
    expected = g * (g @ g) / (g @ ((scale + damping) * g))  # one iteration from zero
    torch.testing.assert_close(state.direction[0], expected, rtol=1e-10, atol=0)
    torch.testing.assert_close(state.params[0], torch.tensor([1.0, 0.01], dtype=torch.float64) - expected)
    assert state.evaluations.item() == 1 + 2 + 1 + 1  # gradient, products of both attempts, and one trial


def test_trouble_of_one_member_touches_no_other() -> None:
    def f(x: Tensor) -> Tensor:
        return torch.where(x[:, 0] > 50.0, torch.log(-x[:, 0].abs()), torch.cosh(x).sum(dim=1))

    starts = torch.tensor([[0.5, 0.3], [60.0, 1.0], [-1.0, 0.7]], dtype=torch.float64)
    state = finish(NNCG(steps=20, rank=1), Function(f), starts)
    assert state.status.tolist() == [Status.CONVERGED_GRADIENT, Status.DIVERGED, Status.CONVERGED_GRADIENT]
    torch.testing.assert_close(state.params[[0, 2]], torch.zeros(2, 2, dtype=torch.float64), rtol=0, atol=1e-6)


SHORT = NNCG(steps=4, rank=5, refresh=2, cg_iterations=25)


def test_a_member_alone_and_among_others_agree() -> None:
    problem = make_problem(coefficients=(1.0, 5.0, 9.0, 20.0))
    params = problem.init(range(4))
    seeds = [3, 8, 1, 5]
    together = SHORT.init(problem, params, seeds)
    for _ in range(4):
        SHORT.step(problem, together)
    for m in range(4):
        one = problem.select([m])
        alone = SHORT.init(one, params[[m]], [seeds[m]])
        for _ in range(4):
            SHORT.step(one, alone)
        torch.testing.assert_close(alone.params[0], together.params[m], rtol=1e-6, atol=1e-8)
        assert (alone.status[0], alone.evaluations[0]) == (together.status[m], together.evaluations[m])


def test_evaluations_are_the_passes_through_the_network() -> None:
    objective = Function(lambda x: torch.cosh(x).sum(dim=1))
    values = 0

    def counted(x: Tensor) -> Tensor:
        nonlocal values
        values += 1
        return torch.cosh(x).sum(dim=1)

    objective.value = counted
    stage = NNCG(steps=3, rank=2, refresh=2, tolerance_grad=0.0)
    state = finish(stage, objective, torch.tensor([[0.5, -0.8, 1.2]], dtype=torch.float64))
    assert state.evaluations.item() == 3 + objective.products + values
    assert objective.products >= 2 * 2  # two sketches


def run(problem: PINN, results: dict[int, MemberResult] | None = None, **options: object) -> dict[int, MemberResult]:
    results = {} if results is None else results
    train(problem, [4, 2, 9], Strategy((Adam(steps=3), SHORT)), on_result=results.__setitem__, **options)
    return results


def test_slots_and_stops_do_not_change_any_member(tmp_path: Path) -> None:
    expected = run(make_problem())
    assert_same(run(make_problem(), width=1), expected, rtol=1e-6, atol=1e-8)
    results = cut_after_every_step(partial(run, make_problem(), width=2), tmp_path, at_least=10)
    assert_same(results, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", sorted(SYSTEMS))
@pytest.mark.parametrize("kind", ["plain", "augmented", "shifted", "both"])
def test_value_and_products_of_a_problem_are_those_of_autograd(name: str, kind: str) -> None:
    problem = make_problem(name, (0.5, SYSTEMS[name]))
    params = problem.init(range(2)) + 0.1 * gaussian(2, problem.n_params)
    if kind in ("shifted", "both"):
        problem = problem.shifted(0.05 * torch.rand(2, 16, 2, dtype=torch.float64, generator=generator(1)))
    if kind in ("augmented", "both"):
        blocks = tuple(block for block in problem.term_names if block != "residual")
        width = problem.constraints(params, blocks).shape[1]
        parts = torch.tensor([[3.0, 40.0], [7.0, 2.0], [0.1, 0.0]], dtype=torch.float64)
        problem = problem.augmented(blocks, gaussian(2, width, seed=5), *parts)
    x = params.clone().requires_grad_()
    expected = problem.loss(x)
    (gradient,) = torch.autograd.grad(expected.sum(), x, create_graph=True)
    loss, grad, product = problem.linearised(params)
    torch.testing.assert_close(problem.value(params), expected.detach(), rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(grad, gradient.detach(), rtol=1e-10, atol=1e-11)
    for seed in range(2):
        v = gaussian(2, problem.n_params, seed=seed + 7)
        (hv,) = torch.autograd.grad(gradient, x, v, retain_graph=True)
        torch.testing.assert_close(product(v), hv, rtol=1e-9, atol=1e-9)


def test_groups_and_masks_do_not_change_products(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = make_problem("wave")
    params, v = problem.init(range(3)), gaussian(3, problem.n_params)
    whole = problem.linearised(params)
    monkeypatch.setattr("sciml_lib.problems.pinn.CPU_WORKSPACE_BYTES", 1)
    monkeypatch.setattr("sciml_lib.problems.pinn.CPU_CURVATURE_BYTES", 1)
    parts = problem.linearised(params)
    torch.testing.assert_close(parts[0], whole[0], rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(parts[2](v), whole[2](v), rtol=1e-10, atol=1e-10)
    for product in (whole[2], parts[2]):
        some = product(v, torch.tensor([False, True, False]))
        torch.testing.assert_close(some[1], whole[2](v)[1], rtol=1e-10, atol=1e-10)
        assert torch.isfinite(some).all()


def test_a_sketch_larger_than_the_hessian_is_refused() -> None:
    problem = make_problem()
    with pytest.raises(UserError, match=f"rank={problem.n_params + 1} exceeds the {problem.n_params} parameters"):
        train(problem, range(3), Strategy((NNCG(rank=problem.n_params + 1),)), on_result=lambda *_: None)
    NNCG(rank=problem.n_params).check(problem)


@pytest.mark.parametrize(
    "options",
    [
        {"steps": 0},
        {"rank": 0},
        {"refresh": 0},
        {"cg_iterations": 0},
        {"damping": 0.0},
        {"damping": -1.0},
        {"cg_tolerance": 0.0},
        {"learning_rate": 0.0},
        {"tolerance_grad": -1e-7},
        {"damping": math.nan},
        {"decrease": 0.0},
        {"decrease": 1.0},
        {"shrink": 0.0},
        {"shrink": 1.0},
    ],
)
def test_impossible_numbers_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(UserError):
        NNCG(**options)


def test_defaults_are_those_of_table_2() -> None:
    default = NNCG()
    assert (default.steps, default.rank, default.refresh, default.learning_rate) == (2_000, 50, 100, 1.0)
    assert (default.damping, default.cg_iterations, default.cg_tolerance) == (1e-2, 1_000, 1e-5)
    assert (default.decrease, default.shrink) == (0.1, 0.5)
