"""Eigenpairs, traces and spectra of Hessians, against dense matrices, closed forms and independent programs."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import hessian_eigenthings
import numpy as np
import pytest
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor, nn

from sciml_lib import systems
from sciml_lib.errors import UserError
from sciml_lib.landscape import (
    HessianOperator,
    Spectrum,
    hutch_pp,
    hutchinson,
    lanczos,
    lanczos_bytes_per_member,
    power_iteration,
    slq,
    slq_bytes_per_member,
)
from sciml_lib.landscape.draws import Purpose, normal, rademacher
from sciml_lib.landscape.krylov import Krylov
from sciml_lib.models import MLP
from sciml_lib.problems import PINN
from sciml_lib.sweeps import catalog, store
from sciml_lib.sweeps.job import Job

# PyTorch's own forward differentiation still calls it.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

SYSTEMS = {"convection": 9.0, "reaction": 4.0, "wave": 1.5, "reaction-diffusion": 4.0}
RANKS = {"largest": np.negative, "smallest": np.positive, "magnitude": lambda values: -np.abs(values)}


def make_problem(name: str = "convection", members: int = 3, dtype: torch.dtype = torch.float64) -> PINN:
    coefficients = [SYSTEMS[name] / (i + 1) for i in range(members)]
    return PINN(systems.get(name), MLP(hidden=(4, 4)), coefficients, 16, dtype=dtype)


def some_params(problem: PINN) -> Tensor:
    """Weights away from the start, where biases are zero."""
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(len(problem), problem.n_params, dtype=torch.float64, generator=generator)
    return problem.init(range(len(problem))) + 0.3 * noise.to(problem.dtype)


def dense(problem: PINN, params: Tensor) -> Tensor:
    """The members' Hessians, forward over reverse, ``[M, P, P]``."""
    losses = [problem.select([i]).loss for i in range(len(problem))]
    return torch.stack([torch.func.hessian(lambda x, f=f: f(x[None])[0])(x) for f, x in zip(losses, params, strict=True)])


def with_spectrum(*spectra: list[float], seed: int = 0) -> Tensor:
    """Symmetric matrices with these eigenvalues, ``[M, P, P]``."""
    made = []
    for i, values in enumerate(spectra):
        generator = torch.Generator().manual_seed(seed + i)
        q, _ = torch.linalg.qr(torch.randn(len(values), len(values), dtype=torch.float64, generator=generator))
        made.append((q * torch.tensor(values, dtype=torch.float64)) @ q.mT)
    return torch.stack(made)


class Quadratic:
    """The problem of minimising x.Hx / 2, with a note of how often a product with each member was asked for."""

    def __init__(self, matrices: Tensor) -> None:
        self.matrices, self.asked = matrices, torch.zeros(len(matrices), dtype=torch.long)

    def linearised(self, params: Tensor) -> tuple[Tensor, Tensor, Callable[..., Tensor]]:
        def product(v: Tensor, wanted: Tensor | None = None) -> Tensor:
            wanted = torch.ones(len(v), dtype=torch.bool) if wanted is None else wanted
            self.asked += wanted
            return torch.where(wanted[:, None], torch.einsum("mij,mj->mi", self.matrices, v), 123.0)

        return self.value(params), torch.einsum("mij,mj->mi", self.matrices, params), product

    def value(self, params: Tensor) -> Tensor:
        return 0.5 * torch.einsum("mi,mij,mj->m", params, self.matrices, params)


def quadratic(*spectra: list[float], seed: int = 0) -> HessianOperator:
    matrices = with_spectrum(*spectra, seed=seed)
    return HessianOperator.of_problem(Quadratic(matrices), torch.ones(matrices.shape[:2], dtype=torch.float64))


# --- products ---


@pytest.mark.parametrize("name", sorted(SYSTEMS))
def test_products_of_problems_and_losses_are_those_of_the_dense_matrix(name: str) -> None:
    problem = make_problem(name)
    params = some_params(problem)
    matrices = dense(problem, params)
    v = torch.randn(params.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = torch.einsum("mij,mj->mi", matrices, v)
    for operator in (HessianOperator.of_problem(problem, params), HessianOperator.of_loss(problem.loss, params)):
        assert (len(operator), operator.n_params) == params.shape
        torch.testing.assert_close(operator(v), expected, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(operator.loss, problem.loss(params), rtol=1e-12, atol=0)
        torch.testing.assert_close(operator.grad, problem.value_and_grad(params)[1], rtol=1e-10, atol=1e-11)
        assert not operator.loss.requires_grad
        assert not operator.grad.requires_grad
        rows = torch.tensor([0, 2])
        torch.testing.assert_close(operator.of_rows(v[rows], rows), expected[rows], rtol=1e-9, atol=1e-9)


def test_a_graph_of_some_members_at_a_time_gives_the_same_and_skips_the_others() -> None:
    calls: list[int] = []

    def loss(x: Tensor) -> Tensor:
        calls.append(len(x))
        return (x.square().sum(dim=1) + 1.0).log() + x.prod(dim=1)

    x = torch.randn(5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    whole, parts = HessianOperator.of_loss(loss, x), HessianOperator.of_loss(loss, x, chunk=2)
    v = torch.randn(5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(parts(v), whole(v), rtol=1e-12, atol=1e-12)
    calls.clear()
    some = parts(v, torch.tensor([False, False, True, False, False]))
    assert calls == [2]
    torch.testing.assert_close(some[2], whole(v)[2], rtol=1e-12, atol=1e-12)
    calls.clear()
    whole(v)
    assert calls == []


def test_float32_agrees_with_float64() -> None:
    problem = make_problem(dtype=torch.float32)
    params = some_params(problem)
    single = HessianOperator.of_problem(problem, params)
    double = HessianOperator.of_problem(make_problem(), params.double())
    for k, which in ((1, "largest"), (3, "magnitude")):
        ours, exact = lanczos(single, k, which=which), lanczos(double, k, which=which)
        assert (ours.vectors.dtype, exact.vectors.dtype) == (torch.float32, torch.float64)
        assert ours.converged.all()
        torch.testing.assert_close(ours.values, exact.values, rtol=1e-5, atol=0)
    torch.testing.assert_close(hutchinson(single).value, hutchinson(double).value, rtol=1e-3, atol=0)
    torch.testing.assert_close(hutch_pp(single).value, hutch_pp(double).value, rtol=1e-4, atol=0)
    torch.testing.assert_close(slq(single).moment(2), slq(double).moment(2), rtol=1e-5, atol=0)


def test_a_loss_that_two_programs_round_differently_is_taken() -> None:
    class Rounded(Quadratic):
        """The kernel's loss and the graph's, where it is tiny."""

        def value(self, params: Tensor) -> Tensor:
            return 1.001 * super().value(params)

    matrices = with_spectrum([1.0, 2.0], [3.0, 4.0])
    operator = HessianOperator.of_problem(Rounded(matrices), torch.ones(2, 2).double())
    torch.testing.assert_close(operator(torch.ones(2, 2).double()), matrices.sum(dim=2))


def test_a_loss_that_is_not_deterministic_is_refused() -> None:
    generator = torch.Generator().manual_seed(0)

    def noisy(x: Tensor) -> Tensor:
        scale = torch.ones(len(x))
        scale[1] = 1.0 + 0.01 * torch.rand((), generator=generator)
        return scale * x.square().sum(dim=1)

    with pytest.raises(UserError, match="member 1 has a loss that changed when it was evaluated again"):
        HessianOperator.of_loss(noisy, torch.ones(3, 4))

    class Sampled(Quadratic):
        """The loss stays, its curvature does not."""

        def linearised(self, params: Tensor) -> tuple[Tensor, Tensor, Callable[..., Tensor]]:
            loss, grad, product = super().linearised(params)
            return loss, grad, lambda v, wanted=None: product(v, wanted) * (1.0 + torch.rand((), generator=generator))

    operator = HessianOperator.of_problem(Sampled(with_spectrum([1.0, 2.0], [3.0, 4.0])), torch.ones(2, 2).double())
    for tool in (lanczos, power_iteration, hutchinson, hutch_pp, slq):
        with pytest.raises(UserError, match="member 0 has a Hessian that changed"):
            tool(operator)
    with pytest.raises(UserError, match="member 1 has a Hessian that changed"):
        operator.of_rows(torch.ones(1, 2).double(), torch.tensor([1]))


def test_rounding_that_changes_is_no_reason_to_refuse() -> None:
    calls = 0

    def loss(x: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return (1.0 + 1e-6 * calls) * x.square().sum(dim=1)

    HessianOperator.of_loss(loss, torch.ones(2, 3))


def test_members_that_are_not_finite_are_named() -> None:
    params = torch.ones(12, 3)
    params[2, 1], params[5, 0] = math.nan, math.inf
    with pytest.raises(UserError, match="members 2, 5 have parameters that are not finite; leave them out"):
        HessianOperator.of_loss(lambda x: x.square().sum(dim=1), params)
    params[:] = math.nan
    with pytest.raises(UserError, match=r"members 0, 1, 2, 3, 4, 5, 6, 7 and 4 more have"):
        HessianOperator.of_loss(lambda x: x.square().sum(dim=1), params)
    start = torch.tensor([[1.0], [200.0], [0.0]])
    with pytest.raises(UserError, match="member 1 has a loss that is not finite"):
        HessianOperator.of_loss(lambda x: x.exp().sum(dim=1), start)
    with pytest.raises(UserError, match="member 2 has a gradient that is not finite"):
        HessianOperator.of_loss(lambda x: x.sqrt().sum(dim=1), start)
    operator = HessianOperator.of_loss(lambda x: x.abs().pow(1.5).sum(dim=1), start)
    with pytest.raises(UserError, match="member 2 has a Hessian that is not finite"):
        hutchinson(operator)


@pytest.mark.parametrize(
    ("loss", "shape", "message"),
    [
        (lambda x: x.square().sum(), (2, 3), "loss gave shape"),
        (lambda x: x.square().sum(dim=1), (3,), r"params of shape \[3\] is no ensemble"),
        (lambda x: x.square().sum(dim=1), (0, 3), "is no ensemble"),
    ],
)
def test_what_is_no_ensemble_is_refused(loss: Callable[[Tensor], Tensor], shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        HessianOperator.of_loss(loss, torch.ones(shape))


# --- eigenpairs ---


def check_pairs(matrices: Tensor, pairs: object, which: str, rtol: float = 1e-6) -> None:
    """Values against the dense spectrum, and everything else against its definition."""
    m, k = pairs.values.shape
    for i in range(m):
        spectrum = np.linalg.eigvalsh(matrices[i].numpy())
        expected = sorted(spectrum, key=RANKS[which])[:k]
        ours = pairs.values[i].numpy()
        if which == "magnitude":  # of two that are equal either may come first; their signs are held by the residuals
            ours, expected = np.abs(ours), np.abs(expected)
        np.testing.assert_allclose(ours, expected, rtol=rtol, atol=rtol * np.abs(spectrum).max())
    eye = torch.eye(k, dtype=torch.float64).expand(m, -1, -1)
    torch.testing.assert_close(torch.bmm(pairs.vectors, pairs.vectors.mT), eye, rtol=0, atol=1e-9)
    difference = torch.bmm(pairs.vectors, matrices) - pairs.values[..., None] * pairs.vectors
    torch.testing.assert_close(pairs.residuals, torch.linalg.vector_norm(difference, dim=2), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", sorted(SYSTEMS))
@pytest.mark.parametrize("which", RANKS)
def test_lanczos_finds_the_eigenpairs_of_the_dense_hessian(name: str, which: str) -> None:
    problem = make_problem(name)
    params = some_params(problem)
    matrices = dense(problem, params)
    operator = HessianOperator.of_problem(problem, params)
    for k in (1, 4):
        pairs = lanczos(operator, k, which=which, tolerance=1e-5)
        check_pairs(matrices, pairs, which)
        assert pairs.converged.all()
        assert (pairs.residuals <= 1e-5 * pairs.values.abs()).all()


SPECTRA = {
    "degenerate": [5.0, 5.0, 5.0, 2.0, 2.0, 1.0, 0.5, 0.1, -3.0, -3.0],
    "clustered": [5.0, 5.0 - 1e-7, 5.0 - 2e-7, 4.999, 1.0, 0.5, 0.2, -4.999, -5.0, -5.0],
    "multiple of one": [2.5] * 10,
    "minus one": [-1.0] * 10,
    "low rank": [7.0, 3.0, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    "both ends": [4.0, -4.0, 4.0, -4.0, 1.0, 0.0, 0.0, 0.5, 0.25, -1.0],
    "single": [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 9.0],
    "stretched": [10.0**i for i in range(-5, 5)],
}


@pytest.mark.parametrize("which", RANKS)
@pytest.mark.parametrize("k", [1, 2, 3, 5, 10])
def test_eigenvalues_are_found_as_often_as_they_occur(which: str, k: int) -> None:
    """All these spectra are members of one ensemble, so that every member has runs of its own number and length."""
    operator = quadratic(*SPECTRA.values())
    matrices = with_spectrum(*SPECTRA.values())
    pairs = lanczos(operator, k, which=which, tolerance=1e-8)
    check_pairs(matrices, pairs, which, rtol=1e-8)
    assert pairs.converged.all(), pairs


def test_one_krylov_space_would_miss_copies() -> None:
    """The reason for more than one run: without noise a space has one vector of each eigenspace and then ends."""
    diagonal = torch.tensor([5.0, 5.0, 5.0, 2.0, 2.0, 1.0], dtype=torch.float64)
    krylov = Krylov(lambda v, rows: diagonal * v, torch.arange(1), torch.ones(1, 6, dtype=torch.float64))
    while not krylov.ended.all():
        krylov.advance()
    assert len(krylov) == 3
    torch.testing.assert_close(krylov.ritz()[0], torch.tensor([[1.0, 2.0, 5.0]], dtype=torch.float64))
    operator = HessianOperator.of_loss(lambda x: 0.5 * (diagonal * x.square()).sum(dim=1), torch.ones_like(diagonal)[None])
    assert lanczos(operator, 4).values[0].tolist() == pytest.approx([5.0, 5.0, 5.0, 2.0])


def test_full_reorthogonalisation_keeps_the_basis_orthonormal() -> None:
    """Without it, copies of the leading eigenvalue appear among the Ritz values after some steps."""
    spectrum = [1e6, 1e3, *np.linspace(0.0, 1.0, 118)]
    spread = slq(quadratic(spectrum), steps=60, starts=1)
    assert (spread.nodes > 10.0).sum() == 2
    matrix = with_spectrum(spectrum)
    start = normal([3], Purpose.LANCZOS, 0, torch.zeros(120, dtype=torch.float64))
    krylov = Krylov(lambda v, rows: torch.einsum("mij,mj->mi", matrix, v), torch.arange(1), start)
    for _ in range(60):
        krylov.advance()
    basis = krylov.lift(torch.eye(60, dtype=torch.float64)[None], torch.tensor([0]))[0]
    torch.testing.assert_close(basis @ basis.mT, torch.eye(60, dtype=torch.float64), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("which", "name"), [("largest", "LA"), ("smallest", "SA"), ("magnitude", "LM")])
def test_scipy_finds_the_same(which: str, name: str) -> None:
    problem = PINN(systems.get("reaction"), MLP(hidden=(12, 12)), [5.0], 40, dtype=torch.float64)
    params = some_params(problem)
    operator = HessianOperator.of_problem(problem, params)
    shape = problem.n_params, problem.n_params
    theirs = LinearOperator(shape, matvec=lambda v: operator(torch.from_numpy(v).reshape(1, -1))[0].numpy(), dtype=np.float64)
    expected = eigsh(theirs, k=3, which=name, return_eigenvectors=False, v0=np.ones(problem.n_params))
    pairs = lanczos(operator, 3, which=which, tolerance=1e-6)
    np.testing.assert_allclose(pairs.values[0], sorted(expected, key=RANKS[which]), rtol=1e-9)


def convection_loss(model: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
    """The loss as one would write it for one network."""
    beta, inner, upper, lower, initial = batch
    inner = inner.clone().requires_grad_()
    (d,) = torch.autograd.grad(model(inner).sum(), inner, create_graph=True)
    equation = d[:, 1] + beta * d[:, 0]
    periodic, start = model(upper) - model(lower), model(initial) - torch.sin(initial[:, :1])
    return equation.square().mean() + periodic.square().mean() + start.square().mean()


def test_an_independent_package_finds_the_same_of_a_stored_network() -> None:
    plan = catalog.get("pinn/convection/lbfgs").at("laptop")
    stored = store.read_params(Job(plan), 100)
    cells = [cell for cell in plan.cells if cell.n_data == 100 and cell.seed == 0 and store.params_key(cell) in stored][:2]
    params = torch.stack([torch.from_numpy(stored[store.params_key(cell)]) for cell in cells])
    problem = plan.problem(cells)
    operator = HessianOperator.of_problem(problem, params)
    ours = {which: lanczos(operator, 3, which=which) for which in ("largest", "magnitude")}
    trace = hutch_pp(operator)
    points = problem.points
    for i in range(len(cells)):
        batch = (problem.coefficients[i], *(points[name] for name in ("residual", "upper", "lower", "initial")))
        theirs = hessian_eigenthings.HessianOperator(problem.model.module(params[i]), [batch], convection_loss)
        for which, name in (("largest", "LA"), ("magnitude", "LM")):
            found = hessian_eigenthings.lanczos(theirs, k=3, max_iter=24, which=name, seed=i)
            assert found.converged.all()
            np.testing.assert_allclose(ours[which].values[i], found.eigenvalues, rtol=1e-4)
            overlap = (ours[which].vectors[i] * found.eigenvectors).sum(dim=1).abs()
            assert (overlap > 1 - 1e-4).all()
        other = hessian_eigenthings.trace(theirs, num_matvecs=99, seed=i)
        assert abs(other.estimate - trace.value[i].item()) < 5 * math.hypot(other.stderr, trace.error[i].item())
    assert ours["largest"].converged.all()


def test_no_member_depends_on_its_neighbours() -> None:
    problem = make_problem("reaction", members=5)
    params = some_params(problem)
    together, seeds = HessianOperator.of_problem(problem, params), [7, 3, 8, 0, 5]
    some = [3, 1]
    alone = HessianOperator.of_problem(problem.select(some), params[some])
    own = [seeds[i] for i in some]
    for tool in (lambda *a: lanczos(*a[:1], 3, seeds=a[1]), lambda *a: power_iteration(*a[:1], 2, seeds=a[1])):
        a, b = tool(together, seeds), tool(alone, own)
        torch.testing.assert_close(a.values[some], b.values, rtol=1e-8, atol=1e-10)
        torch.testing.assert_close(a.vectors[some], b.vectors, rtol=1e-5, atol=1e-6)
        assert a.products[some].tolist() == b.products.tolist()
    for tool in (hutchinson, lambda *a, **b: hutchinson(*a, tolerance=1e-2, **b), hutch_pp):
        a, b = tool(together, seeds=seeds), tool(alone, seeds=own)
        torch.testing.assert_close(a.value[some], b.value, rtol=1e-9, atol=0)
        assert a.probes[some].tolist() == b.probes.tolist()
    a, b = slq(together, steps=8, starts=2, seeds=seeds), slq(alone, steps=8, starts=2, seeds=own)
    torch.testing.assert_close(a.nodes[some], b.nodes, rtol=1e-8, atol=1e-8)


def test_who_has_converged_costs_nothing() -> None:
    easy, hard = [100.0, *np.linspace(0, 1, 59)], list(np.linspace(0, 1, 60))
    problem = Quadratic(with_spectrum(easy, hard))
    operator = HessianOperator.of_problem(problem, torch.ones(2, 60, dtype=torch.float64))
    operator(operator.params)
    assert problem.asked.tolist() == [2, 1]  # the very first is made twice
    for tool in (lanczos, lambda x: lanczos(x, 3), power_iteration, lambda x: power_iteration(x, 2)):
        problem.asked.zero_()
        pairs = tool(operator)
        assert pairs.products.tolist() == problem.asked.tolist()
        assert pairs.products[0] != pairs.products[1]
    problem.asked.zero_()
    assert hutchinson(operator, tolerance=1e-2).probes.tolist() == problem.asked.tolist()
    assert problem.asked[0] != problem.asked[1]


def test_a_search_that_is_cut_off_says_so() -> None:
    pairs = lanczos(quadratic(list(np.linspace(0, 1, 60)), [1e3, *np.linspace(0, 1, 59)]), 2, max_steps=4, tolerance=1e-4)
    assert pairs.converged.tolist() == [[False, False], [True, False]]
    assert pairs.values[0, 0] < 1.0
    assert (pairs.products <= 3 * 4 + 2).all()


# --- the paper's power iteration ---


def one_by_one(matrix: Tensor, start: Tensor, steps: int = 100, tolerance: float = 1e-3) -> tuple[float, int]:
    """Power iteration as PyHessian does it for the first eigenvalue; returns it and the products it took."""
    v, last = start / (start.norm() + 1e-6), None
    for step in range(steps):
        v = v / (v.norm() + 1e-6)
        hv = matrix @ v
        quotient = (v @ hv).item()
        if last is not None and abs(last - quotient) / (abs(last) + 1e-6) < tolerance:
            return last, step + 1
        v, last = hv / (hv.norm() + 1e-6), quotient
    return last, steps


def test_power_iteration_is_that_of_pyhessian() -> None:
    spectra = [[9.0, *np.linspace(-5, 5, 29)], list(np.linspace(-2, 1, 30)), list(np.linspace(0, 1e-6, 30))]
    operator, matrices = quadratic(*spectra), with_spectrum(*spectra)
    starts = normal(range(3), Purpose.POWER, 0, torch.zeros(30, dtype=torch.float64))
    for options in ({}, {"steps": 4}, {"tolerance": 1e-6}):
        ours = power_iteration(operator, **options)
        theirs = [one_by_one(matrix, start, **options) for matrix, start in zip(matrices, starts, strict=True)]
        assert ours.values[:, 0].tolist() == pytest.approx([value for value, _ in theirs], rel=1e-9)
        assert (ours.products - 1).tolist() == [products for _, products in theirs]
        difference = torch.einsum("mij,mkj->mki", matrices, ours.vectors) - ours.values[..., None] * ours.vectors
        torch.testing.assert_close(ours.residuals, torch.linalg.vector_norm(difference, dim=2), rtol=1e-6, atol=1e-15)
        assert ours.vectors.norm(dim=2).allclose(torch.ones(3, 1, dtype=torch.float64))


def test_power_iteration_finds_the_dominant_where_lanczos_finds_the_largest() -> None:
    """The paper calls both the largest eigenvalue: they differ where the dominant one is negative."""
    operator = quadratic([-6.0, 2.0, 1.0, 0.5, 0.1])
    assert power_iteration(operator).values.item() == pytest.approx(-6.0, rel=1e-2)
    assert lanczos(operator).values.item() == pytest.approx(2.0, rel=1e-6)
    assert lanczos(operator, which="magnitude").values.item() == pytest.approx(-6.0, rel=1e-6)


def test_power_iteration_stops_short_of_a_largest_eigenvalue_with_near_neighbours() -> None:
    spectrum = list(np.linspace(0.0, 1.0, 200) ** 0.25)
    operator = quadratic(spectrum)
    power, ours = power_iteration(operator), lanczos(operator)
    assert power.converged.all()
    assert power.values.item() < 0.99
    assert power.residuals.item() > 0.015
    assert ours.values.item() == pytest.approx(1.0, rel=1e-4)


def test_later_pairs_of_power_iteration_are_clear_of_the_first() -> None:
    operator = quadratic([9.0, -5.0, 2.0, 0.5, 0.1, 0.0], [3.0, 3.0, -1.0, 0.1, 0.0, 0.0])
    pairs = power_iteration(operator, 3, tolerance=1e-9, steps=400)
    torch.testing.assert_close(
        pairs.values, torch.tensor([[9.0, -5.0, 2.0], [3.0, 3.0, -1.0]], dtype=torch.float64), rtol=1e-4, atol=0
    )
    assert pairs.converged.all()


# --- traces ---


def test_hutchinson_averages_the_quadratic_forms_of_random_signs() -> None:
    problem = make_problem()
    params = some_params(problem)
    matrices = dense(problem, params)
    found = hutchinson(HessianOperator.of_problem(problem, params), probes=7)
    forms = []
    for i in range(7):
        v = rademacher(range(3), Purpose.HUTCHINSON, i, params)
        assert v.abs().eq(1.0).all()
        forms.append(torch.einsum("mi,mij,mj->m", v, matrices, v))
    forms = torch.stack(forms)
    torch.testing.assert_close(found.value, forms.mean(dim=0), rtol=1e-9, atol=0)
    torch.testing.assert_close(found.error, forms.std(dim=0) / 7**0.5, rtol=1e-9, atol=0)
    assert found.probes.tolist() == [7, 7, 7]


def test_hutchinson_is_exact_for_a_diagonal() -> None:
    diagonal = torch.tensor([4.0, -1.0, 0.25], dtype=torch.float64)
    operator = HessianOperator.of_loss(lambda x: 0.5 * (diagonal * x.square()).sum(dim=1), torch.ones(2, 3).double())
    found = hutchinson(operator, probes=3)
    assert found.value.tolist() == pytest.approx([3.25, 3.25])
    assert found.error.tolist() == pytest.approx([0.0, 0.0], abs=1e-15)
    assert hutchinson(operator, tolerance=1e-3).probes.tolist() == [2, 2]  # as early as the paper's rule can stop
    assert hutchinson(operator, probes=1).error.isnan().all()


def test_the_papers_rule_stops_where_the_running_mean_changes_little() -> None:
    matrices = with_spectrum(list(np.linspace(0, 1, 30)), [9.0, *np.linspace(-1, 1, 29)], [5.0] * 15 + [1.0] * 15)
    operator = HessianOperator.of_problem(Quadratic(matrices), torch.ones(3, 30, dtype=torch.float64))
    vectors = torch.stack([rademacher(range(3), Purpose.HUTCHINSON, i, operator.params) for i in range(100)])
    forms = torch.einsum("nmi,mij,nmj->mn", vectors, matrices, vectors)
    means = forms.cumsum(dim=1) / torch.arange(1, 101)
    for tolerance in (1e-1, 1e-2, 1e-4):
        found = hutchinson(operator, tolerance=tolerance)
        for i in range(3):
            changes = [abs(b - a) / (abs(a) + 1e-6) for a, b in pairwise([0.0, *means[i].tolist()])]
            expected = next((n for n, change in enumerate(changes, start=1) if change < tolerance), 100)
            assert found.probes[i] == expected
            assert found.value[i].item() == pytest.approx(means[i, expected - 1].item(), rel=1e-9)


@pytest.mark.parametrize(
    "tool", [lambda x, s: hutchinson(x, probes=30, seeds=s), lambda x, s: hutch_pp(x, products=30, seeds=s)]
)
def test_standard_errors_are_those_of_the_estimates(tool: Callable[..., object]) -> None:
    """Over many seeds the estimates scatter about the trace as far as each says of itself."""
    matrix = with_spectrum([50.0, -20.0, *np.linspace(-1, 3, 38)])
    n = 200
    operator = HessianOperator.of_problem(Quadratic(matrix.expand(n, -1, -1)), torch.ones(n, 40, dtype=torch.float64))
    found = tool(operator, range(n))
    true = torch.trace(matrix[0])
    deviations = (found.value - true) / found.error
    assert abs((found.value - true).mean()) < 3.5 * found.value.std() / n**0.5
    assert 0.8 < found.value.std() / found.error.square().mean().sqrt() < 1.25
    assert 0.85 < (deviations.abs() < 2).double().mean() <= 1.0


def test_hutch_pp_is_exact_where_few_directions_hold_everything() -> None:
    spectra = [[9.0, -4.0, 1e-2] + [0.0] * 57, [1.0] * 3 + [0.0] * 57]
    found = hutch_pp(quadratic(*spectra), products=30)
    assert found.value.tolist() == pytest.approx([5.01, 3.0], rel=1e-12)
    assert (found.error < 1e-12).all()
    assert found.probes.tolist() == [30, 30]
    whole = hutch_pp(quadratic([3.0, 2.0, -1.0]))  # more products than dimensions
    assert whole.value.item() == pytest.approx(4.0)
    assert whole.error.item() == pytest.approx(0.0, abs=1e-15)


def test_hutch_pp_beats_hutchinson_where_few_eigenvalues_lead() -> None:
    operator = quadratic([1000.0, 300.0, 100.0, *np.linspace(0, 1, 97)])
    assert hutch_pp(operator, products=60).error < 0.02 * hutchinson(operator, probes=60).error


# --- spectra ---


def test_quadrature_is_exact_for_polynomials() -> None:
    """A start's nodes and weights give  v.H^p v / v.v  for every p below twice the steps."""
    problem = make_problem()
    params = some_params(problem)
    matrices = dense(problem, params)
    spectrum = slq(HessianOperator.of_problem(problem, params), steps=5, starts=3)
    assert spectrum.nodes.shape == spectrum.weights.shape == (3, 3, 5)
    norm = torch.linalg.matrix_norm(matrices, ord=2)[:, None, None]
    for p in range(10):
        expected = []
        for start in range(3):
            v = w = rademacher(range(3), Purpose.QUADRATURE, start, params)
            for _ in range(p):
                w = torch.einsum("mij,mj->mi", matrices / norm, w)
            expected.append((v * w).sum(dim=1) / problem.n_params)
        ours = (spectrum.weights * (spectrum.nodes / norm) ** p).sum(dim=2)
        torch.testing.assert_close(ours, torch.stack(expected, dim=1), rtol=1e-9, atol=1e-12)
        mean, error = spectrum.moment(p)
        torch.testing.assert_close(mean / norm[:, 0, 0] ** p, ours.mean(dim=1), rtol=1e-9, atol=1e-14)
        torch.testing.assert_close(error / norm[:, 0, 0] ** p, ours.std(dim=1) / 3**0.5, rtol=1e-6, atol=1e-14)


def test_as_many_steps_as_parameters_give_the_whole_spectrum() -> None:
    problem = make_problem()
    params = some_params(problem)
    exact = torch.linalg.eigvalsh(dense(problem, params))
    spectrum = slq(HessianOperator.of_problem(problem, params), steps=200, starts=40)
    p = problem.n_params
    assert spectrum.nodes[..., p:].isnan().all()
    assert (spectrum.weights[..., p:] == 0).all()
    norm = exact.abs().amax(dim=1)
    for start in range(40):
        error = (spectrum.nodes[:, start, :p] - exact).abs().amax(dim=1)
        assert (error < 1e-9 * norm).all()
    for threshold in (-1.0, 0.0, 1.0):
        share, error = spectrum.share_below(threshold)
        assert ((share - (exact < threshold).double().mean(dim=1)).abs() <= 4 * error + 1e-12).all()
    assert [count.tolist() for count in spectrum.count_below()] == [
        (40 * (exact < 0).sum(dim=1)).tolist(),
        [40 * p] * 3,
    ]
    trace, error = spectrum.moment(1)
    assert ((trace - exact.mean(dim=1)).abs() <= 4 * error).all()


def test_the_share_below_lies_between_its_bounds() -> None:
    """And a share about zero is not determined by its nodes, however small its standard error."""
    values = np.concatenate([np.geomspace(1, 1e4, 10), 1e-6 * np.linspace(-1, 1, 290)])
    exact = torch.tensor(values)
    spectrum = slq(quadratic(list(values)), steps=14, starts=60)
    for threshold in (-1.0, 0.0, 0.5, 3.0, 100.0, 1e5):
        low, high = (bound.item() for bound in spectrum.share_bounds(threshold))
        share, error = (part.item() for part in spectrum.share_below(threshold))
        true = (exact < threshold).double().mean().item()
        assert low - 4 * error - 1e-12 <= true <= high + 4 * error + 1e-12
        assert low <= share <= high
    low, high = (bound.item() for bound in spectrum.share_bounds(0.0))
    assert high - low > 0.5
    assert spectrum.share_below()[1] < 0.05
    low, high = (bound.item() for bound in spectrum.share_bounds(3.0))  # between two that stand alone
    assert high - low < 0.02


def test_a_space_that_closes_early_leaves_no_weight() -> None:
    diagonal = torch.tensor([5.0] * 4 + [-2.0] * 4, dtype=torch.float64)
    scale = torch.tensor([[1.0], [0.0]], dtype=torch.float64)
    operator = HessianOperator.of_loss(lambda x: 0.5 * (scale * diagonal * x.square()).sum(dim=1), torch.ones(2, 8).double())
    spectrum = slq(operator, steps=6, starts=3)
    nan = math.nan
    expected = torch.tensor([[-2.0, 5.0, nan, nan, nan, nan], [0.0, nan, nan, nan, nan, nan]], dtype=torch.float64)
    torch.testing.assert_close(spectrum.nodes, expected[:, None].expand(-1, 3, -1), equal_nan=True)
    torch.testing.assert_close(spectrum.weights.sum(dim=2), torch.ones(2, 3, dtype=torch.float64))
    assert (spectrum.weights[spectrum.nodes.isnan()] == 0).all()
    assert spectrum.share_below()[0].tolist() == pytest.approx([0.5, 0.0])  # half of the entries of any vector of signs
    assert spectrum.moment(1)[0].tolist() == pytest.approx([1.5, 0.0])
    assert [count.tolist() for count in spectrum.count_below()] == [[3, 0], [6, 3]]
    grid = torch.linspace(-12, 12, 4801)
    density = spectrum.density(grid, torch.tensor([0.5, 1.0]))
    assert (density.sum(dim=1) * 0.005).tolist() == pytest.approx([1.0, 1.0], rel=1e-6)


def test_a_density_is_a_mean_of_gaussians_of_the_released_width(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = torch.tensor([[[-1.0, 3.0, 9.0], [0.0, 2.0, 11.0]], [[0.0, 0.1, 0.2], [0.0, 0.1, math.nan]]], dtype=torch.float64)
    weights = torch.tensor([[[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]], [[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]]], dtype=torch.float64)
    spectrum = Spectrum(nodes, weights, 3)
    low, high = spectrum.released_range
    assert low.tolist() == pytest.approx([-0.501, -0.001])
    assert high.tolist() == pytest.approx([10.001, 0.151])
    widths = spectrum.released_width
    assert widths.tolist() == pytest.approx([(5e-5 * 10.502) ** 0.5, 5e-5**0.5])
    grid = torch.linspace(-2, 12, 57)
    for width in (widths, 0.7):
        expected = np.zeros((2, 57))
        for i in range(2):
            w = float(torch.as_tensor(width).expand(2)[i])
            for node, weight in zip(nodes[i].ravel().tolist(), weights[i].ravel().tolist(), strict=True):
                if not math.isnan(node):
                    expected[i] += 0.5 * weight * np.exp(-((grid.numpy() - node) ** 2) / (2 * w**2)) / (w * (2 * np.pi) ** 0.5)
        torch.testing.assert_close(spectrum.density(grid, width), torch.from_numpy(expected), rtol=1e-5, atol=1e-12)
        with monkeypatch.context() as patch:
            patch.setattr("sciml_lib.landscape.density.KERNELS", 1)
            torch.testing.assert_close(spectrum.density(grid, width), torch.from_numpy(expected), rtol=1e-5, atol=1e-12)


def test_one_start_has_no_standard_error() -> None:
    spectrum = slq(quadratic([1.0, 2.0, 3.0]), starts=1)
    assert spectrum.share_below(1.5)[1].isnan().all()
    assert spectrum.moment(2)[1].isnan().all()


# --- memory, bars, refusals ---


def test_parts_that_fit_the_memory_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    operator = quadratic(*SPECTRA.values())
    whole = lanczos(operator, 3), hutch_pp(operator, products=9), slq(operator, steps=7, starts=2)
    p, itemsize = operator.n_params, 8
    assert slq_bytes_per_member(p, itemsize, steps=40) > 40 * p * itemsize
    assert lanczos_bytes_per_member(p, itemsize, k=2, steps=40) > 44 * p * itemsize
    for budget in (1, 3 * slq_bytes_per_member(p, itemsize, steps=7)):
        monkeypatch.setattr("sciml_lib.landscape.losses.CPU_BYTES", budget)
        assert len(operator.parts(slq_bytes_per_member(p, itemsize, steps=7))) == (8 if budget == 1 else 3)
        torch.testing.assert_close(lanczos(operator, 3).values, whole[0].values, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(hutch_pp(operator, products=9).value, whole[1].value, rtol=1e-9, atol=1e-12)
        spectrum = slq(operator, steps=7, starts=2)
        torch.testing.assert_close(spectrum.moment(3), whole[2].moment(3), rtol=1e-9, atol=1e-12)


def test_bars_are_shown_only_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    operator = quadratic([3.0, 2.0, 1.0], [1.0, 0.0, 0.0])
    for tool in (lanczos, power_iteration, hutchinson, hutch_pp, slq):
        tool(operator)
        assert capsys.readouterr().err == ""
        tool(operator, progress=True)
        assert "%" in capsys.readouterr().err


def test_a_hessian_that_is_zero_has_no_leading_eigenvalue() -> None:
    def loss(x: Tensor) -> Tensor:
        return (torch.arange(3.0) * x.square().sum(dim=1)) + x.sum(dim=1)

    for operator in (
        HessianOperator.of_loss(loss, torch.ones(3, 4)),
        HessianOperator.of_loss(lambda x: x.sum(1), torch.ones(1, 4)),
    ):
        for tool in (lanczos, power_iteration):
            with pytest.raises(UserError, match="member 0 has a Hessian that is zero"):
                tool(operator)
        assert hutchinson(operator).value[0] == 0
        assert hutch_pp(operator).value[0] == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: lanczos(x, 4), "k=4 is impossible; choose a whole number from 1 to 3"),
        (lambda x: lanczos(x, 0), "k=0 is impossible"),
        (lambda x: power_iteration(x, 4), "k=4 is impossible"),
        (lambda x: power_iteration(x, 0), "k=0 is impossible"),
        (lambda x: lanczos(x, which="larges"), "unknown which 'larges': did you mean largest"),
        (lambda x: lanczos(x, tolerance=0.0), "tolerance=0.0 is impossible; choose a number above 0, such as 0.001"),
        (lambda x: lanczos(x, tolerance=math.nan), "tolerance=nan is impossible"),
        (lambda x: lanczos(x, 3, max_steps=2), "max_steps=2 is impossible; choose a whole number of at least 3"),
        (lambda x: power_iteration(x, steps=0), "steps=0"),
        (lambda x: power_iteration(x, tolerance=-1.0), "tolerance=-1"),
        (lambda x: lanczos(x, seeds=[1]), r"seeds=\[1\] do not fit 2 members"),
        (lambda x: slq(x, seeds=[1, -1]), r"seeds\[1\]=-1 is impossible; choose a whole number from 0 to 4294967295"),
        (lambda x: hutchinson(x, probes=0), "probes=0"),
        (lambda x: hutchinson(x, tolerance=-1e-3), "tolerance=-0.001"),
        (lambda x: hutch_pp(x, products=5), "products=5 is impossible; choose a whole number of at least 6"),
        (lambda x: slq(x, steps=0), "steps=0"),
        (lambda x: slq(x, starts=0), "starts=0"),
        (lambda x: slq(x).density(torch.zeros(1), 0.0), "width=0.0 is impossible"),
        (lambda x: HessianOperator.of_loss(lambda y: y.square().sum(dim=1), torch.ones(1, 2), chunk=0), "chunk=0"),
    ],
)
def test_impossible_arguments_are_refused(call: Callable[[HessianOperator], object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        call(quadratic([3.0, 2.0, 1.0], [1.0, 0.0, 0.0]))
