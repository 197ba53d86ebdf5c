"""A member's numbers are its own: alone, among others, in another order, in fewer slots, with more threads. To the bit.

This holds for whatever problem computes each member by itself, as the toy below does; its size is such that several members
together are enough for PyTorch to use a second thread, and that rows begin and end in the middle of a vector.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Self

import numpy as np
import pytest
import torch
from torch import Tensor

from sciml_lib import kernel
from sciml_lib.optim import Cosine, Exponential
from sciml_lib.optim.nystrom import precondition, sketch
from sciml_lib.optim.rows import row_norms, row_sums
from sciml_lib.problems import Evaluation
from sciml_lib.problems.base import shuffled
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

P = 5301
BLOCKS = {"residual": 4, "conditions": 2}
FREQUENCIES, PHASES = 7.0 * torch.rand(2, 3, P, generator=torch.Generator().manual_seed(0)).sub(0.5)
MEMBERS = ((3.0, 5), (0.5, 1), (2.0, 2), (3.0, 1), (1.0, 7), (2.5, 5), (0.7, 3), (1.5, 11))  # coefficients and seeds


class Toy:
    """Residuals  tanh(c a(x).w / sqrt P) - target(x)  of features a of random frequencies, one member after the other."""

    device, dtype, n_params = torch.device("cpu"), torch.float32, P
    term_names, coefficient_name, group_size = tuple(BLOCKS), "c", 1
    workspace_bytes_per_member = curvature_bytes_per_member = 0
    n_residual, shortest_side, engine = BLOCKS["residual"], 1.0, "eager"

    def __init__(self, coefficients: Sequence[float]) -> None:
        self.coefficients = torch.tensor(coefficients)
        self.resample(0)

    def resample(self, seed: int) -> None:
        points = torch.rand(sum(BLOCKS.values()), 2, generator=torch.Generator().manual_seed(seed))
        self.points = points.expand(len(self), -1, -1)  # [M, n, 2]
        self.data_seed = seed

    def __len__(self) -> int:
        return len(self.coefficients)

    def changed(self, **fields: object) -> Self:
        other = copy.copy(self)
        vars(other).update(fields)
        return other

    def select(self, index: Sequence[int] | Tensor) -> Self:
        index = torch.as_tensor(index)
        own = {name: value[index] for name, value in vars(self).items() if isinstance(value, Tensor)}
        return self.changed(**own)

    def init(self, seeds: Sequence[int]) -> Tensor:
        return torch.stack([torch.randn(P, generator=torch.Generator().manual_seed(int(seed))) for seed in seeds])

    # One member

    def residuals(self, m: int, w: Tensor) -> Tensor:
        x, t = self.points[m].clone().unbind(1)
        features = torch.sin(FREQUENCIES[0] * x[:, None] + FREQUENCIES[1] * t[:, None] + PHASES[0])
        return torch.tanh(self.coefficients[m].item() * (features * w).sum(dim=1) / P**0.5) - 0.9 * torch.sin(3 * x + t)

    def loss(self, m: int, w: Tensor) -> Tensor:
        r = self.residuals(m, w)
        if not hasattr(self, "multipliers"):
            return r.square().mean() if not hasattr(self, "batch") else r[int(self.batch[m]) :: 2].square().mean()
        soft, g = r.split(tuple(BLOCKS.values()))
        pushed = (self.multipliers[m].clone() * g).mean() + 0.5 * self.penalty[m].item() * g.square().mean()
        return self.weight[m].item() * soft.square().mean() + pushed + self.decay[m].item() * w.square().sum()

    @torch.enable_grad()
    def slope(self, m: int, w: Tensor, twice: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        w = w.clone().requires_grad_()
        loss = self.loss(m, w)
        return w, loss, torch.autograd.grad(loss, w, create_graph=twice)[0]

    # All members

    def value_and_grad(self, params: Tensor) -> tuple[Tensor, Tensor]:
        made = [self.slope(m, w) for m, w in enumerate(params)]
        return torch.stack([loss.detach() for _, loss, _ in made]), torch.stack([grad.detach() for _, _, grad in made])

    def value(self, params: Tensor) -> Tensor:
        return torch.stack([self.loss(m, w.clone()) for m, w in enumerate(params)])

    def linearised(self, params: Tensor) -> tuple[Tensor, Tensor, Callable[..., Tensor]]:
        made = [self.slope(m, w, twice=True) for m, w in enumerate(params)]

        def product(v: Tensor, wanted: Tensor | None = None) -> Tensor:
            pairs = zip(made, v, strict=True)
            return torch.cat([torch.autograd.grad(g, w, own.clone(), retain_graph=True)[0][None] for (w, _, g), own in pairs])

        return *self.value_and_grad(params), product

    def evaluate(self, params: Tensor) -> Evaluation:
        made = torch.stack([self.residuals(m, w.clone()) for m, w in enumerate(params)])
        terms = dict(zip(BLOCKS, (block.square().mean(dim=1) for block in made.split(tuple(BLOCKS.values()), 1)), strict=True))
        return Evaluation(terms, test_error=made.abs().amax(dim=1))

    # What strategies ask for

    data_groups = property(lambda self: [0] * len(self))

    def at(self, coefficients: Tensor) -> Self:
        return self.changed(coefficients=coefficients)

    def resampled(self, data_seed: Sequence[int]) -> Self:
        other = copy.copy(self)
        other.resample(data_seed[-1])
        return other

    def constraints(self, params: Tensor, names: Sequence[str]) -> Tensor:
        return torch.stack([self.residuals(m, w.clone()) for m, w in enumerate(params)])[:, BLOCKS["residual"] :]

    def augmented(self, names: Sequence[str], multipliers: Tensor, penalty: Tensor, weight: Tensor, decay: Tensor) -> Self:
        return self.changed(multipliers=multipliers, penalty=penalty, weight=weight, decay=decay)

    def shifted(self, shifts: Tensor) -> Self:
        points = self.points.clone()
        points[:, : self.n_residual] += shifts
        return self.changed(points=points)

    def n_batches(self, size: int) -> Tensor:
        return torch.full((len(self),), 2)

    def order(self, seeds: Tensor, epochs: Tensor) -> Tensor:
        return shuffled(self.n_batches(0), seeds, epochs)

    def minibatch(self, index: Tensor, size: int, order: Tensor | None = None) -> Self:
        return self.changed(batch=index if order is None else order.gather(1, index[:, None])[:, 0])

    @property
    def n_validation(self) -> Tensor:
        return torch.ones(len(self), dtype=torch.long)

    def validation_error(self, params: Tensor) -> Tensor:
        return self.evaluate(params).test_error


@pytest.fixture(autouse=True)
def same_threads_afterwards() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


needs_kernel = pytest.mark.skipif(kernel.get() is None, reason="directions are batched without the compiled kernel")


def ends(stages: Sequence[Stage], members: Sequence[int], threads: int, width: int | None = None) -> dict[int, MemberResult]:
    """How some of the members end, trained together."""
    torch.set_num_threads(threads)
    results: dict[int, MemberResult] = {}
    coefficients, seeds = zip(*(MEMBERS[m] for m in members), strict=True)
    train(
        Toy(coefficients),
        seeds,
        Strategy(tuple(stages)),
        on_result=lambda i, result: results.__setitem__(members[i], result),
        width=width,
    )
    return results


def assert_independent(*stages: Stage, differing: bool = False) -> None:
    alone: dict[int, MemberResult] = {}
    for m in range(len(MEMBERS)):
        alone |= ends(stages, [m], threads=1)
    assert len({result.train_loss for result in alone.values()}) == len(MEMBERS)
    assert not differing or len({result.evaluations for result in alone.values()}) > 1
    for order, threads, width in (([6, 2, 7, 0, 3, 1, 5, 4], 2, None), ([4, 1, 0, 7, 5, 2, 6, 3], 1, 3)):
        together = ends(stages, order, threads, width)
        for m, one in alone.items():
            other = together[m]
            assert torch.equal(one.params, other.params), f"member {m} in {order}, {threads} threads, {width} slots"
            assert (one.status, one.iterations, one.evaluations) == (other.status, other.iterations, other.evaluations)
            assert (one.train_loss, one.test_error) == (other.train_loss, other.test_error)
    again = ends(stages, [3], threads=2)[3]
    assert torch.equal(again.params, alone[3].params)


@pytest.mark.parametrize("schedule", [None, Exponential(0.93, every=2), Cosine()], ids=["constant", "exponential", "cosine"])
def test_adam(schedule: Exponential | Cosine | None) -> None:
    assert_independent(Adam(steps=12, learning_rate=1e-2, schedule=schedule))


def test_mini_batches() -> None:
    assert_independent(MiniBatchAdam(epochs=5, shuffle=True, keep_best=True, schedule=Exponential(0.9)))


@needs_kernel
def test_lbfgs() -> None:
    assert_independent(LBFGS(max_iterations=12, history=5), differing=True)


@needs_kernel
@pytest.mark.parametrize("keep_history", [False, True])
def test_the_augmented_lagrangian(keep_history: bool) -> None:
    inner = LBFGS(max_iterations=4, history=3)
    table = ((0.0, 10.0), (1.0, 3.0))
    decay = ((0.0, 1e-4), (2.0, 1e-3))
    stage = AugmentedLagrangian(outer=3, inner=inner, weight=table, decay=decay, keep_history=keep_history)
    assert_independent(Adam(steps=2), stage)


@needs_kernel
def test_ropinn() -> None:
    solver = LBFGS(max_iterations=3, max_evaluations=4, history=5)
    assert_independent(RoPINN(calls=4, solver=solver, initial_region=1e-3, window=3, max_region=0.1))


def test_nncg() -> None:
    assert_independent(NNCG(steps=3, rank=3, refresh=2, cg_iterations=4, damping=1e-3, cg_tolerance=1e-8))


def test_a_newcomer_beside_a_member_that_has_a_last_direction() -> None:
    """Its residual is its gradient, and no product is counted for that."""
    stage = NNCG(steps=3, rank=2, cg_iterations=3, damping=1e-3, cg_tolerance=1e-8)
    problem = Toy([3.0, 0.5])
    first, second = problem.select([0]), problem.select([1])
    old = stage.step(first, stage.init(first, first.init([5]), [5]))
    new = stage.init(second, second.init([1]), [1])
    both = old.replaced({name: torch.cat([value, new.tensors()[name]]) for name, value in old.tensors().items()})
    stage.step(problem, both)
    stage.step(first, old)
    stage.step(second, new)
    for name, value in both.tensors().items():
        assert torch.equal(value, torch.cat([old.tensors()[name], new.tensors()[name]])), name


@needs_kernel
def test_a_curriculum() -> None:
    solver = LBFGS(max_iterations=4, history=4)
    assert_independent(Curriculum(n_stages=3, step=1.0, solver=solver), LBFGS(max_iterations=4))


@pytest.mark.parametrize("n_params", [37, P, 45_301])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sums_of_rows(n_params: int, dtype: torch.dtype) -> None:
    x = torch.randn(61, n_params, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)
    across = x.T.contiguous().T
    torch.set_num_threads(1)
    sums, norms = (torch.cat([f(row[None].clone()) for row in x]) for f in (row_sums, row_norms))
    np.testing.assert_allclose(sums, x.double().numpy().sum(axis=1), rtol=0, atol=1e-2 if dtype == torch.float32 else 1e-10)
    for threads in (1, 2):
        torch.set_num_threads(threads)
        for m in (1, 2, 3, 7, 12, 60):
            for made in (x[1 : m + 1], across[1 : m + 1], x.repeat_interleave(2, dim=1)[1 : m + 1, ::2]):
                assert torch.equal(row_sums(made), sums[1 : m + 1])
                assert torch.equal(row_norms(made), norms[1 : m + 1])


def test_sketches() -> None:
    """Of diagonal matrices, whose products are elementwise."""
    generator = torch.Generator().manual_seed(2)
    diagonal = torch.rand(5, P, generator=generator) ** 8
    tests, r = torch.randn(5, P, 7, generator=generator), torch.randn(5, P, generator=generator)

    def made(rows: Sequence[int]) -> tuple[Tensor, ...]:
        own = sketch(lambda v: diagonal[rows] * v, tests[rows])
        return own.vectors, own.values, precondition(own.vectors, own.values, r[rows], 1e-2)

    torch.set_num_threads(1)
    alone = [made([m]) for m in range(5)]
    for threads in (1, 2):
        torch.set_num_threads(threads)
        rows = [3, 1, 4, 0, 2]
        for part, own in zip(made(rows), zip(*alone, strict=True), strict=True):
            assert torch.equal(part, torch.cat([own[m] for m in rows]))
        assert torch.get_num_threads() == threads
