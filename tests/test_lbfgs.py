"""Every member of an ensemble follows ``torch.optim.LBFGS`` on the same problem, in float64.

Same trial points, same number of evaluations, the same parameters to 1e-8. A trajectory on these functions amplifies
rounding, so that PyTorch's own result moves by more than 1e-8 in places when its start is changed in the last digit;
where that is so, the allowance is a multiple of that movement, measured for the member at hand.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sciml_lib import systems
from sciml_lib.models import MLP
from sciml_lib.optim import LBFGS, LBFGSState, Status
from sciml_lib.problems import PINN


class Function:
    """An objective made of a differentiable function ``[M, P] -> [M]``."""

    def __init__(self, f: Callable[[Tensor], Tensor]) -> None:
        self.f = f

    def value_and_grad(self, params: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            x = params.detach().requires_grad_()
            loss = self.f(x)
            (grad,) = torch.autograd.grad(loss.sum(), x)
        return loss.detach(), grad


def rosenbrock(x: Tensor) -> Tensor:
    return (100.0 * (x[:, 1:] - x[:, :-1] ** 2) ** 2 + (1.0 - x[:, :-1]) ** 2).sum(dim=1)


def steep_rosenbrock(x: Tensor) -> Tensor:
    """Starts where the unit step is far too long, so that searches zoom."""
    return rosenbrock(30.0 * x) + (x**4).sum(dim=1)


def quadratic(x: Tensor) -> Tensor:
    scale = torch.logspace(0, 6, x.shape[1], dtype=x.dtype)
    return 0.5 * (scale * (x - 1.0) ** 2).sum(dim=1)


def reference(f: Callable[[Tensor], Tensor], x0: Tensor, **options: float) -> tuple[Tensor, int, int]:
    """One member with PyTorch's optimiser: final point, iterations, evaluations."""
    x = x0.clone().requires_grad_()
    optimiser = torch.optim.LBFGS([x], line_search_fn="strong_wolfe", **options)

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = f(x[None])[0]
        loss.backward()
        return loss

    optimiser.step(closure)
    state = optimiser.state[x]
    return x.detach(), state["n_iter"], state["func_evals"]


def allowance(f: Callable[[Tensor], Tensor], x0: Tensor, x: Tensor, **options: float) -> float:
    """How far a faithful implementation may be from ``x``: 1e-8, or 20 times the effect of one unit in the last place."""
    nudged, _, _ = reference(f, x0 * (1.0 + 2.3e-16), **options)
    return float(1e-8 * torch.linalg.vector_norm(x) + 20.0 * torch.linalg.vector_norm(nudged - x))


def minimise(optimiser: LBFGS, objective: Function | PINN, params: Tensor, steps: int = 10_000) -> LBFGSState:
    state = optimiser.init(objective, params)
    for _ in range(steps):
        if not (state.status == Status.RUNNING).any():
            break
        state = optimiser.step(objective, state)
    return state


@pytest.mark.parametrize("f", [rosenbrock, steep_rosenbrock, quadratic])
@pytest.mark.parametrize("history", [5, 100])
def test_every_member_follows_torch(f: Callable[[Tensor], Tensor], history: int) -> None:
    starts = torch.randn(16, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    for iterations in (1, 7, 20, 50):
        ours = minimise(LBFGS(max_iterations=iterations, history=history), Function(f), starts)
        for m, start in enumerate(starts):
            options = {"max_iter": iterations, "history_size": history}
            x, n_iter, n_eval = reference(f, start, **options)
            assert (ours.iterations[m], ours.evaluations[m]) == (n_iter, n_eval)
            assert torch.linalg.vector_norm(ours.params[m] - x) <= allowance(f, start, x, **options)


def test_zoom_phase_is_entered() -> None:
    """The comparison above is worth something only if searches do more than accept their first trial."""
    starts = torch.randn(16, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    optimiser, objective = LBFGS(max_iterations=50), Function(steep_rosenbrock)
    state, zooms, grows = optimiser.init(objective, starts), 0, 0
    for _ in range(60):
        state = optimiser.step(objective, state)
        zooms += int(state.zooming.sum())
        grows += int(((state.trials > 0) & ~state.zooming).sum())
    assert zooms > 20
    assert grows > 0


@pytest.mark.parametrize("n_data", [40])
def test_members_of_a_mixed_pinn_ensemble_follow_torch(n_data: int) -> None:
    model = MLP(hidden=(12, 12))
    betas = [1.0, 5.0, 20.0, 40.0]
    problem = PINN(systems.get("convection"), model, betas, n_data, dtype=torch.float64)
    params = problem.init([0, 1, 2, 3])
    ours = minimise(LBFGS(max_iterations=50), problem, params)
    for m in range(len(betas)):
        one = problem.select([m])
        x, n_iter, n_eval = reference(one.loss, params[m], max_iter=50, history_size=100)
        assert (ours.iterations[m], ours.evaluations[m]) == (n_iter, n_eval)
        assert torch.linalg.vector_norm(ours.params[m] - x) <= 1e-8 * torch.linalg.vector_norm(x)


def test_a_member_alone_and_among_63_others_agree() -> None:
    problem = PINN(systems.get("convection"), MLP(hidden=(10, 10)), torch.linspace(1, 30, 64), 50, dtype=torch.float64)
    params = problem.init(range(64))
    optimiser = LBFGS(max_iterations=25)  # beyond, a trajectory amplifies the rounding of another batch size
    together = minimise(optimiser, problem, params)
    for m in (0, 17, 63):
        alone = minimise(optimiser, problem.select([m]), params[m : m + 1])
        assert alone.evaluations[0] == together.evaluations[m]
        torch.testing.assert_close(alone.params[0], together.params[m], rtol=1e-8, atol=1e-10)
    order = torch.randperm(64, generator=torch.Generator().manual_seed(0))
    shuffled = minimise(optimiser, problem.select(order), params[order])
    torch.testing.assert_close(shuffled.params, together.params[order], rtol=1e-8, atol=1e-10)


def test_trouble_of_one_member_is_its_status_and_touches_no_other() -> None:
    def f(x: Tensor) -> Tensor:
        return torch.where(x[:, 0] > 50.0, torch.log(-x[:, 0].abs()), rosenbrock(x))

    starts = torch.tensor([[-1.2, 1.0], [60.0, 1.0], [1.0, 1.0], [3.0, -1.0]], dtype=torch.float64)
    ours = minimise(LBFGS(max_iterations=200), Function(f), starts)
    assert Status(int(ours.status[1])) is Status.DIVERGED  # the loss is NaN from the start
    assert Status(int(ours.status[2])) is Status.CONVERGED_GRADIENT  # starts at the minimum
    for m in (0, 3):
        x, _, n_eval = reference(rosenbrock, starts[m], max_iter=200, history_size=100)
        assert ours.evaluations[m] == n_eval
        torch.testing.assert_close(ours.params[m], x, rtol=1e-6, atol=1e-8)


def test_a_loss_that_is_infinite_beyond_a_wall_is_searched_before_it() -> None:
    """PyTorch's search would carry the NaN on; ours backs off."""

    def f(x: Tensor) -> Tensor:
        return -torch.log(1.0 - x[:, 0]) - 3.0 * x[:, 0] + x[:, 1] ** 2  # NaN beyond x = 1, minimum at 2/3

    ours = minimise(LBFGS(max_iterations=100), Function(f), torch.tensor([[-8.0, 0.5]], dtype=torch.float64))
    assert Status(int(ours.status[0])) in (Status.CONVERGED_CHANGE, Status.CONVERGED_GRADIENT)
    torch.testing.assert_close(ours.params[0], torch.tensor([2 / 3, 0.0], dtype=torch.float64), rtol=0, atol=1e-5)


def test_a_search_without_descent_is_a_failed_search() -> None:
    """The gradient points the wrong way: no step along the direction lowers the loss."""

    class Liar(Function):
        def value_and_grad(self, params: Tensor) -> tuple[Tensor, Tensor]:
            loss, grad = super().value_and_grad(params)
            return loss, -grad

    ours = minimise(LBFGS(max_iterations=50), Liar(rosenbrock), torch.tensor([[-1.2, 1.0]], dtype=torch.float64))
    assert Status(int(ours.status[0])) is Status.LINE_SEARCH_FAILED
    torch.testing.assert_close(ours.params[0], torch.tensor([-1.2, 1.0], dtype=torch.float64))
