"""Ensemble Adam with a falling learning rate against ``torch.optim.Adam`` and PyTorch's schedulers. Float64."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.optim.lr_scheduler import CosineAnnealingLR, ExponentialLR, LRScheduler

from sciml_lib.errors import UserError
from sciml_lib.optim import Adam, AdamState, Cosine, Exponential, Status

STEPS = 60


class Valley:
    """Rosenbrock's function; a member whose first entry exceeds 50 has no finite loss."""

    def loss(self, x: Tensor) -> Tensor:
        value = (100.0 * (x[:, 1:] - x[:, :-1] ** 2) ** 2 + (1.0 - x[:, :-1]) ** 2).sum(dim=1)
        return torch.where(x[:, 0] > 50.0, torch.nan, value)

    def value_and_grad(self, params: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            x = params.detach().requires_grad_()
            loss = self.loss(x)
            (grad,) = torch.autograd.grad(loss.sum(), x)
        return loss.detach(), grad


def starts(m: int = 3) -> Tensor:
    return torch.randn(m, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def finish(stage: Adam, params: Tensor) -> AdamState:
    state = stage.init(Valley(), params)
    while (state.status == Status.RUNNING).any():
        stage.step(Valley(), state)
    return state


def reference(stage: Adam, x0: Tensor, every: int, make: Callable[[torch.optim.Adam], LRScheduler]) -> Tensor:
    """One member with PyTorch, whose scheduler is called at the end of each epoch of ``every`` steps."""
    x = x0.clone().requires_grad_()
    optimiser = torch.optim.Adam([x], lr=stage.learning_rate, betas=stage.betas, eps=stage.eps)
    scheduler = make(optimiser)
    for done in range(1, stage.steps + 1):
        optimiser.zero_grad()
        Valley().loss(x[None]).sum().backward()
        optimiser.step()
        if done % every == 0:
            scheduler.step()
    return x.detach()


@pytest.mark.parametrize("every", [1, 5, 12])
@pytest.mark.parametrize("factor", [0.995, 0.8])
def test_an_exponential_schedule_is_that_of_torch(every: int, factor: float) -> None:
    stage = Adam(steps=STEPS, learning_rate=0.02, betas=(0.8, 0.99), eps=1e-6, schedule=Exponential(factor, every))
    state = finish(stage, starts())
    for m, x0 in enumerate(starts()):
        x = reference(stage, x0, every, lambda optimiser: ExponentialLR(optimiser, gamma=factor))
        torch.testing.assert_close(state.params[m], x, rtol=1e-10, atol=1e-12)
    unscheduled = finish(Adam(steps=STEPS, learning_rate=0.02, betas=(0.8, 0.99), eps=1e-6), starts())
    assert (state.params - unscheduled.params).abs().max() > 1e-4


@pytest.mark.parametrize("every", [1, 5, 12])
def test_a_cosine_schedule_is_that_of_torch(every: int) -> None:
    stage = Adam(steps=STEPS, learning_rate=0.02, schedule=Cosine(every))
    state = finish(stage, starts())
    for m, x0 in enumerate(starts()):
        x = reference(stage, x0, every, lambda optimiser: CosineAnnealingLR(optimiser, T_max=STEPS // every))
        torch.testing.assert_close(state.params[m], x, rtol=1e-9, atol=1e-11)
    exponential = finish(Adam(steps=STEPS, learning_rate=0.02, schedule=Exponential(0.98)), starts())
    assert (state.params - exponential.params).abs().max() > 1e-4


def test_factors_over_the_steps() -> None:
    done = torch.arange(9)
    halves = Exponential(0.5, every=3).scale(done, 9).tolist()
    assert halves == pytest.approx([1.0] * 3 + [0.5] * 3 + [0.25] * 3)
    thirds = Cosine(every=3).scale(done, 9).tolist()
    assert thirds == pytest.approx([1.0] * 3 + [0.75] * 3 + [0.25] * 3)
    assert Cosine().scale(torch.tensor([9]), 9).item() == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize("schedule", [None, Exponential(0.9, 4), Cosine(2)], ids=["constant", "exponential", "cosine"])
def test_members_at_different_steps_have_their_own_rate(schedule: Exponential | Cosine | None) -> None:
    """A member that enters later is where it would be alone."""
    stage = Adam(steps=STEPS, learning_rate=0.02, schedule=schedule)
    early = stage.init(Valley(), starts()[:2])
    for _ in range(25):
        stage.step(Valley(), early)
    late = stage.init(Valley(), starts()[2:])
    joined = AdamState(**{name: torch.cat([value, late.tensors()[name]]) for name, value in early.tensors().items()})
    while (joined.status == Status.RUNNING).any():
        stage.step(Valley(), joined)
    expected = finish(stage, starts())
    torch.testing.assert_close(joined.params, expected.params, rtol=1e-10, atol=1e-12)
    assert joined.iterations.tolist() == joined.evaluations.tolist() == [STEPS] * 3
    assert (joined.status == Status.BUDGET_SPENT).all()


def test_a_member_that_diverges_stays_where_it_is() -> None:
    params = starts()
    params[1, 0] = 60.0
    state = finish(Adam(steps=20, schedule=Cosine()), params)
    sound = finish(Adam(steps=20, schedule=Cosine()), starts())
    assert state.status.tolist() == [Status.BUDGET_SPENT, Status.DIVERGED, Status.BUDGET_SPENT]
    assert (state.iterations[1], state.evaluations[1]) == (0, 1)
    assert torch.equal(state.params[1], params[1])
    torch.testing.assert_close(state.params[[0, 2]], sound.params[[0, 2]], rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Exponential(0.0), "0 < factor <= 1"),
        (lambda: Exponential(-0.5), "0 < factor <= 1"),
        (lambda: Exponential(1.01), "0 < factor <= 1"),
        (lambda: Exponential(float("nan")), "0 < factor <= 1"),
        (lambda: Exponential(0.9, every=0), "every >= 1"),
        (lambda: Cosine(every=0), "every >= 1"),
        (lambda: Cosine(every=-2), "every >= 1"),
        (lambda: Adam(steps=0), "steps >= 1"),
        (lambda: Adam(learning_rate=0.0), "learning_rate > 0"),
        (lambda: Adam(learning_rate=float("nan")), "learning_rate > 0"),
    ],
)
def test_impossible_numbers_are_refused(make: Callable[[], object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        make()
