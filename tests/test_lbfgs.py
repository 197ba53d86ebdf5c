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


def follows(f: Callable[[Tensor], Tensor], x0: Tensor, ours: Tensor, x: Tensor, **options: float) -> bool:
    """Whether ``ours`` is as near to PyTorch's ``x`` as a faithful implementation may be expected to come.

    That is 1e-8, or 20 times the largest movement of ``x`` when the start is changed in its last digits. One change may
    by chance hardly move it, so there are eight.
    """
    distance, near = torch.linalg.vector_norm(ours - x), 1e-8 * torch.linalg.vector_norm(x)
    if distance <= near:
        return True
    signs = torch.randint(-1, 2, (8, len(x0)), generator=torch.Generator().manual_seed(1), dtype=x0.dtype)
    moved = [reference(f, x0 * (1.0 + 2.3e-16 * row), **options)[0] - x for row in signs]
    return bool(distance <= near + 20.0 * max(torch.linalg.vector_norm(step) for step in moved))


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
            assert follows(f, start, ours.params[m], x, **options)


def test_zoom_phase_is_entered() -> None:
    """The comparison above is worth something only if searches do more than accept their first trial."""
    starts = torch.randn(16, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    optimiser, objective = LBFGS(max_iterations=50), Function(steep_rosenbrock)
    state, zooms, grows = optimiser.init(objective, starts), 0, 0
    for _ in range(60):
        state = optimiser.step(objective, state)
        zooms += int(state.search.zooming.sum())
        grows += int(((state.search.trials > 0) & ~state.search.zooming).sum())
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


Call = tuple[int, int, Tensor]
"""Iterations and evaluations of one call, and where it ended."""


class Counting:
    """An objective ``f(x [M, P], k [M]) -> [M]``, where k counts the evaluations of each member over all its calls."""

    def __init__(self, f: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.f = f
        self.count = torch.zeros(0)

    def value_and_grad(self, params: Tensor) -> tuple[Tensor, Tensor]:
        return Function(lambda x: self.f(x, self.count)).value_and_grad(params)


def repeated(optimiser: LBFGS, f: Callable[[Tensor, Tensor], Tensor], starts: Tensor, calls: int) -> list[list[Call]]:
    """Every member's calls, each beginning as soon as the one before ends, whatever the other members do."""
    objective = Counting(f)
    state = optimiser.init(objective, starts)
    made: list[list[Call]] = [[] for _ in starts]
    earlier = torch.zeros(len(starts), dtype=torch.long)
    while (running := state.status == Status.RUNNING).any():
        objective.count = (earlier + state.evaluations).to(starts)
        optimiser.step(objective, state)
        ended = (running & (state.status != Status.RUNNING)).nonzero()[:, 0]
        for m in ended.tolist():
            made[m].append((int(state.iterations[m]), int(state.evaluations[m]), state.params[m].clone()))
        earlier[ended] += state.evaluations[ended]
        optimiser.call_again(state, torch.tensor([m for m in ended.tolist() if len(made[m]) < calls], dtype=torch.long))
    return made


def repeated_reference(f: Callable[[Tensor, Tensor], Tensor], x0: Tensor, calls: int, **options: float) -> list[Call]:
    """One member with PyTorch's optimiser, whose ``step`` is called again and again."""
    x = x0.clone().requires_grad_()
    optimiser = torch.optim.LBFGS([x], line_search_fn="strong_wolfe", **options)
    count = 0

    def closure() -> Tensor:
        nonlocal count
        optimiser.zero_grad()
        loss = f(x[None], torch.tensor([count], dtype=x.dtype))[0]
        loss.backward()
        count += 1
        return loss

    made: list[Call] = []
    iterations = evaluations = 0
    for _ in range(calls):
        optimiser.step(closure)
        state = optimiser.state[x]
        made.append((state["n_iter"] - iterations, state["func_evals"] - evaluations, x.detach().clone()))
        iterations, evaluations = state["n_iter"], state["func_evals"]
    return made


def still(f: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda x, k: f(x)


def drifting(x: Tensor, k: Tensor) -> Tensor:
    """Another function at every evaluation, as in RoPINN."""
    return rosenbrock(x * (1.0 + 1e-3 * torch.sin(k))[:, None])


@pytest.mark.usefixtures("searches_of_25_trials")
@pytest.mark.parametrize("f", [still(rosenbrock), still(quadratic), drifting], ids=["rosenbrock", "quadratic", "drifting"])
@pytest.mark.parametrize(("iterations", "history"), [(20, 100), (7, 4)])
def test_repeated_calls_are_those_of_torch(f: Callable[[Tensor, Tensor], Tensor], iterations: int, history: int) -> None:
    starts = torch.randn(6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    ours = repeated(LBFGS(max_iterations=iterations, history=history), f, starts, calls=4)
    ends = [sum(evaluations for _, evaluations, _ in calls[:3]) for calls in ours]
    assert len(set(ends)) > 1  # the members are in different calls at the same time
    options = {"max_iter": iterations, "history_size": history}
    nudges = 2.3e-16 * torch.randint(-1, 2, (8, 5), generator=torch.Generator().manual_seed(1), dtype=starts.dtype)
    for start, calls in zip(starts, ours, strict=True):
        expected = repeated_reference(f, start, 4, **options)
        assert [call[:2] for call in calls] == [call[:2] for call in expected]
        if all(torch.linalg.vector_norm(a[2] - b[2]) <= 1e-8 for a, b in zip(calls, expected, strict=True)):
            continue
        moved = [repeated_reference(f, start * (1.0 + row), 4, **options) for row in nudges]
        for k, (_, _, x) in enumerate(expected):
            most = max(torch.linalg.vector_norm(other[k][2] - x) for other in moved)
            assert torch.linalg.vector_norm(calls[k][2] - x) <= 1e-8 + 20.0 * most


def test_another_call_keeps_the_history() -> None:
    """With a forgotten history the comparison above could still hold on an easy function."""
    start = torch.randn(1, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    optimiser = LBFGS(max_iterations=10)
    ((first, second),) = repeated(optimiser, still(rosenbrock), start, calls=2)
    ((afresh,),) = repeated(optimiser, still(rosenbrock), first[2][None], calls=1)
    assert not torch.allclose(second[2], afresh[2], rtol=1e-3)


@pytest.mark.usefixtures("searches_of_25_trials")
@pytest.mark.parametrize("flat_at", [0, 7], ids=["first call", "second call"])
def test_a_call_that_finds_no_gradient_leaves_nothing_for_the_next(flat_at: int) -> None:
    """PyTorch returns from such a call before it touches its state."""

    def paused(x: Tensor, k: Tensor) -> Tensor:
        return torch.where(k == flat_at, 0.0, 1.0) * rosenbrock(x)

    starts = torch.tensor([[-0.5, 0.3]], dtype=torch.float64)
    expected = repeated_reference(paused, starts[0], 4, max_iter=5)
    assert 0 in [call[0] for call in expected]  # one call is over at once
    (ours,) = repeated(LBFGS(max_iterations=5), paused, starts, calls=4)
    assert [call[:2] for call in ours] == [call[:2] for call in expected]
    for (_, _, x), (_, _, x_torch) in zip(ours, expected, strict=True):
        torch.testing.assert_close(x, x_torch, rtol=1e-8, atol=1e-10)
