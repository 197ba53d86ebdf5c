"""The curvature pairs of L-BFGS against the recursion for a dense inverse Hessian, in float64; and states with parts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sciml_lib.optim import LBFGS, History

Pairs = list[tuple[Tensor, Tensor]]


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def dense(pairs: Pairs, size: int, n: int) -> Tensor:
    """The inverse Hessian of the last ``size`` pairs: H <- V^T H V + rho s s^T (Nocedal & Wright, equation 6.17)."""
    kept = pairs[-size:]
    gamma = kept[-1][0].dot(kept[-1][1]) / kept[-1][1].square().sum() if kept else 1.0
    h = gamma * torch.eye(n, dtype=torch.float64)
    for s, y in kept:
        rho = 1.0 / s.dot(y)
        v = torch.eye(n, dtype=torch.float64) - rho * torch.outer(y, s)
        h = v.T @ h @ v + rho * torch.outer(s, s)
    return h


def curved(m: int, n: int) -> Callable[[Tensor, Tensor], Tensor]:
    """Gradient differences of steps on ``m`` different convex quadratics."""
    root = torch.randn(m, n, n, dtype=torch.float64, generator=generator(1))
    hessians = root @ root.mT / n + 0.1 * torch.eye(n, dtype=torch.float64)
    return lambda rows, s: torch.bmm(hessians[rows], s[..., None])[..., 0]


@pytest.mark.parametrize("size", [1, 4, 7])
def test_directions_are_those_of_a_dense_inverse_hessian(size: int) -> None:
    """Before the ring buffers are full and after, for members that store at different times."""
    m, n, rounds = 4, 9, 14
    history = History.empty(torch.zeros(m, n, dtype=torch.float64), size)
    differences, random = curved(m, n), generator(2)
    pairs: list[Pairs] = [[] for _ in range(m)]
    for k in range(rounds):
        # The first member stores in every round, the second in every other, the third in the last five, the fourth never.
        rows = torch.tensor([0] + [1] * (k % 2) + [2] * (k >= rounds - 5))
        s = torch.randn(len(rows), n, dtype=torch.float64, generator=random)
        y = differences(rows, s)
        history.store(rows, s, y)
        for i, row in enumerate(rows.tolist()):
            pairs[row].append((s[i], y[i]))
        grad = torch.randn(m, n, dtype=torch.float64, generator=random)
        directions = history.direction(grad, torch.arange(m))
        for member in range(m):
            expected = -dense(pairs[member], size, n) @ grad[member]
            torch.testing.assert_close(directions[member], expected, rtol=1e-9, atol=1e-11)
        assert torch.equal(history.direction(grad, torch.tensor([2, 0])), directions[[2, 0]])
    assert history.pairs.tolist() == [14, 7, 5, 0]
    assert torch.equal(directions[3], -grad[3])  # no pair: steepest descent


def test_a_pair_without_positive_curvature_is_left_out() -> None:
    history = History.empty(torch.zeros(2, 3, dtype=torch.float64), 5)
    s = torch.eye(3, dtype=torch.float64)[:2]
    grad = torch.ones(2, 3, dtype=torch.float64)
    history.store(torch.tensor([0, 1]), s, torch.stack([2.0 * s[0], -2.0 * s[1]]))
    assert history.pairs.tolist() == [1, 0]
    expected = torch.tensor([[-0.5, -0.5, -0.5], [-1.0, -1.0, -1.0]], dtype=torch.float64)
    torch.testing.assert_close(history.direction(grad, torch.arange(2)), expected)


def test_a_pair_that_was_never_completed_is_not_silently_wrong() -> None:
    history = History.empty(torch.zeros(1, 3, dtype=torch.float64), 5)
    for k in range(2):  # no direction between the two
        history.store(torch.tensor([0]), torch.eye(3, dtype=torch.float64)[[k]], torch.eye(3, dtype=torch.float64)[[k]])
    assert not torch.isfinite(history.direction(torch.ones(1, 3, dtype=torch.float64), torch.tensor([0]))).all()


def test_tensors_of_a_state_have_names_and_make_it_again() -> None:
    class Bowl:
        def value_and_grad(self, params: Tensor) -> tuple[Tensor, Tensor]:
            return 0.5 * (weights * params.square()).sum(dim=1), weights * params

    weights = torch.logspace(0, 2, 4, dtype=torch.float64)
    stage = LBFGS(history=3)
    state = stage.init(Bowl(), torch.randn(5, 4, dtype=torch.float64, generator=generator(3)))
    for _ in range(6):
        stage.step(Bowl(), state)
    named = state.tensors()
    assert {"params", "history.s", "history.gamma", "search.step", "search.zooming"} <= set(named)
    assert all(isinstance(value, Tensor) and len(value) == 5 for value in named.values())
    again = stage.init(Bowl(), torch.zeros(5, 4, dtype=torch.float64)).load({k: v.clone() for k, v in named.items()})
    some = state.select(torch.tensor([4, 1]))
    for _ in range(3):
        for one in (state, again):
            stage.step(Bowl(), one)
        stage.step(Bowl(), some)
    for name, value in state.tensors().items():
        assert torch.equal(again.tensors()[name], value)
    # The search reads and writes the tensors that a checkpoint holds.
    assert torch.equal(again.tensors()["search.step"], torch.from_numpy(again.search.step))
    torch.testing.assert_close(some.params, state.params[[4, 1]], rtol=1e-10, atol=1e-13)
    assert some.evaluations.tolist() == state.evaluations[[4, 1]].tolist()
