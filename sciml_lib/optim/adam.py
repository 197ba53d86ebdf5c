"""Adam (Kingma & Ba 2015) for an ensemble."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sciml_lib.checks import real, settle
from sciml_lib.errors import UserError
from sciml_lib.optim.rows import row_maxima
from sciml_lib.optim.state import EnsembleState, Status
from sciml_lib.problems.base import Objective


@dataclass
class AdamState(EnsembleState):
    """Adds the running moments ``mean`` and ``square``, both ``[M, P]``."""

    mean: Tensor
    square: Tensor


@dataclass(frozen=True)
class Exponential:
    """The learning rate is multiplied by ``factor`` after every ``every`` steps (the released PINODE code: 0.995).

    A stage that trains in epochs counts these instead of steps.
    """

    factor: float
    every: int = 1

    def __post_init__(self) -> None:
        settle(self, whole_numbers=("every",), reals=("factor",))
        if not 0 < self.factor <= 1 or self.every < 1:
            raise UserError(f"Exponential needs 0 < factor <= 1 and every >= 1, not {self.factor} and {self.every}")

    def words(self, unit: str) -> str:
        """What it does, as part of a sentence; ``unit`` is what it counts, ``step`` or ``epoch``."""
        return f"times {self.factor:g} {_each(self.every, unit)}"

    def scale(self, done: Tensor, steps: int) -> Tensor:
        """Factors of the learning rate after ``done [M]`` of so many steps, ``[M]`` float64; both on the CPU."""
        return torch.tensor([self.factor**n for n in (done // self.every).tolist()], dtype=torch.float64)


@dataclass(frozen=True)
class Cosine:
    """The learning rate falls to zero along half a cosine, changed every ``every`` steps (the released FNO code).

    A stage that trains in epochs counts these instead of steps.
    """

    every: int = 1

    def __post_init__(self) -> None:
        settle(self, whole_numbers=("every",))
        if self.every < 1:
            raise UserError(f"Cosine needs every >= 1, not {self.every}")

    def words(self, unit: str) -> str:
        """What it does, as part of a sentence; ``unit`` is what it counts, ``step`` or ``epoch``."""
        return "falling to zero along half a cosine" + (f" {_each(self.every, unit)}" if self.every > 1 else "")

    def scale(self, done: Tensor, steps: int) -> Tensor:
        """Factors of the learning rate after ``done [M]`` of so many steps, ``[M]`` float64; both on the CPU."""
        angles = (math.pi * n / steps for n in (done // self.every * self.every).tolist())
        return torch.tensor([0.5 * (1.0 + math.cos(angle)) for angle in angles], dtype=torch.float64)


Schedule = Exponential | Cosine


@dataclass(frozen=True)
class Adam:
    """Full-batch Adam with the standard constants.

    Attributes:
        steps: how many; the warm-up of the paper's NNCG row (Table 2) has 2,000.
        learning_rate: 1e-3 there.
        betas: decay of the moments (algorithm 1 of Kingma & Ba).
        eps: added to the root of the second moment.
        schedule: how the learning rate falls; None keeps it.

    Raises:
        UserError: if a number is impossible.
    """

    steps: int = 2_000
    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    schedule: Schedule | None = None

    def __post_init__(self) -> None:
        settle(self, whole_numbers=("steps",), reals=("learning_rate", "eps"))
        if self.steps < 1 or not 0 < self.learning_rate < math.inf:
            raise UserError(f"Adam needs steps >= 1 and learning_rate > 0, not {self.steps} and {self.learning_rate}")
        if not self.eps >= 0:
            raise UserError(f"eps={self.eps} is impossible; choose 0 or more, such as 1e-8")
        try:
            betas = tuple(real("betas", beta) for beta in self.betas)
        except TypeError:
            betas = ()
        if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise UserError(f"betas={self.betas} are impossible; choose two numbers from 0 to below 1, such as (0.9, 0.999)")
        object.__setattr__(self, "betas", betas)
        check_schedule(self.schedule)

    @property
    def words(self) -> str:
        """What it does, with its numbers, as part of a sentence."""
        fall = "" if self.schedule is None else f", {self.schedule.words('step')}"
        return f"{self.steps:,} steps of Adam (learning rate {self.learning_rate:g}{fall})"

    def expected_evaluations(self, problem: Any) -> int:
        """Evaluations that one member will ask for."""
        return self.steps

    def init(self, problem: Objective, params: Tensor, seeds: Sequence[int] | None = None) -> AdamState:
        """The state before the first step, at ``params [M, P]``; nothing here is random, so ``seeds`` are not used."""
        return AdamState.fresh(params, mean=torch.zeros_like(params), square=torch.zeros_like(params))

    def bytes_per_member(self, problem: Any) -> int:
        """Memory of one member's state."""
        return 6 * problem.n_params * problem.dtype.itemsize

    @torch.no_grad()
    def step(self, problem: Objective, state: AdamState, rate: Tensor | None = None) -> AdamState:
        """One step of every running member; a member whose loss or gradient is not finite stays where it is.

        Args:
            problem: the ensemble, in the rows' order.
            state: the state, updated in place.
            rate: learning rate of each member in this step, ``[M]`` (CPU), in place of the stage's own.

        Returns:
            The same state.
        """
        loss, grad = problem.value_and_grad(state.params)
        known, largest = torch.stack([loss.double(), row_maxima(grad).double()]).cpu()  # the one transfer of a step
        finite = torch.isfinite(known) & torch.isfinite(largest)
        state.loss.copy_(known)
        running = state.status == Status.RUNNING
        state.status[running & ~finite] = int(Status.DIVERGED)
        moving = running & finite
        state.iterations += moving
        state.evaluations += running

        length, root = self._factors(state.iterations, rate).to(grad)[:, :, None]  # [M, 1] each
        here = None if bool(moving.all()) else moving.to(grad.device)[:, None]  # the usual case needs no mask
        if here is not None:
            grad = torch.where(here, grad, 0.0)
        beta1, beta2 = self.betas
        state.mean.add_((grad - state.mean).mul_(1.0 - beta1))
        state.square.mul_(beta2).add_(grad.square().mul_(1.0 - beta2))
        update = length * (state.mean / (state.square.sqrt() / root + self.eps))
        state.params.sub_(update if here is None else torch.where(here, update, 0.0))
        state.status[(state.status == Status.RUNNING) & (state.iterations >= self.steps)] = Status.BUDGET_SPENT
        return state

    def _factors(self, count: Tensor, rate: Tensor | None) -> Tensor:
        """Step length and root of the second moment's correction for members in their step ``count``, ``[2, M]`` (CPU)."""
        beta1, beta2 = self.betas
        numbers = count.clamp(min=1).tolist()
        if rate is None:
            rate = torch.full(count.shape, self.learning_rate, dtype=torch.float64)
            if self.schedule is not None:
                rate = rate * self.schedule.scale(count.sub(1).clamp(min=0), self.steps)
        first = torch.tensor([1.0 - beta1**n for n in numbers], dtype=torch.float64)
        second = torch.tensor([math.sqrt(1.0 - beta2**n) for n in numbers], dtype=torch.float64)
        return torch.stack([rate / first, second])


def check_schedule(schedule: object) -> None:
    """Refuses what is not a schedule of the learning rate.

    Raises:
        UserError: names the schedules.
    """
    if schedule is not None and not isinstance(schedule, Schedule):
        raise UserError(f"schedule={schedule!r} is not a schedule; choose Exponential(0.995), Cosine() or None")


def _each(every: int, unit: str) -> str:
    """``a step``, ``an epoch`` or ``every 5 steps``."""
    if every > 1:
        return f"every {every} {unit}s"
    return f"{'an' if unit[0] in 'aeio' else 'a'} {unit}"
