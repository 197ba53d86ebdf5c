"""Adam on mini-batches, counted in epochs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sciml_lib.errors import UserError
from sciml_lib.optim import Adam, Status
from sciml_lib.optim.adam import AdamState
from sciml_lib.problems import BatchedProblem, Problem


@dataclass(frozen=True)
class MiniBatchAdam:
    """Adam on one batch of consecutive data after the other, without shuffling.

    With ``repeat`` an epoch has the same number of updates for every member: who has fewer batches goes through them
    again and again, beginning each epoch with the first. That is what the released code does with the pendulum, whose
    longest trajectory fills 13 batches. The paper's text says nothing of it, nor of the decay of the learning rate; to
    the letter, an epoch is one pass through the member's own batches (``repeat=False, decay=1``).

    Attributes:
        epochs: 600 in Table 4 of the paper.
        batch_size: 32 there.
        updates: of an epoch, 13 in the released code; without ``repeat`` the most that any member makes.
        learning_rate: 1e-3 in Table 4.
        decay: factor of the learning rate after every epoch, 0.995 in the released code.
        repeat: whether short data are repeated until the epoch is full.

    Raises:
        UserError: if a number is impossible.
    """

    epochs: int = 600
    batch_size: int = 32
    updates: int = 13
    learning_rate: float = 1e-3
    decay: float = 0.995
    repeat: bool = True

    def __post_init__(self) -> None:
        """Checks the numbers."""
        if min(self.epochs, self.batch_size, self.updates) < 1:
            raise UserError("MiniBatchAdam needs epochs, batch_size and updates of at least 1, such as 600, 32 and 13")
        if not (self.learning_rate > 0 and 0 < self.decay <= 1):
            raise UserError(
                f"MiniBatchAdam needs learning_rate > 0 and 0 < decay <= 1, not {self.learning_rate} and {self.decay}; "
                "try 1e-3 and 0.995"
            )

    @property
    def expected_evaluations(self) -> int:
        """Updates that one member will make at most."""
        return self.epochs * self.updates

    def check(self, problem: Problem) -> None:
        """Refuses a problem whose data cannot be cut, or not into so few batches.

        Raises:
            UserError: says what would fit.
        """
        if not isinstance(problem, BatchedProblem):
            raise UserError("MiniBatchAdam cuts data into batches, and these members have none; choose Adam, on all points")
        most = int(problem.n_batches(self.batch_size).max())
        if most > self.updates:
            raise UserError(
                f"updates={self.updates} an epoch would leave out data that fill {most} batches of {self.batch_size}; "
                f"choose at least updates={most}"
            )

    def bytes_per_member(self, problem: Problem) -> int:
        """Memory of one member's state."""
        return self._adam.bytes_per_member(problem)

    def init(self, problem: Problem, params: Tensor, seeds: Sequence[int] | None = None) -> AdamState:
        """The state before the first update, at ``params [M, P]``; nothing here is random, so ``seeds`` are not used."""
        return self._adam.init(problem, params)

    @torch.no_grad()
    def step(self, problem: Problem, state: AdamState) -> AdamState:
        """One update of every running member, on its next batch."""
        batches = problem.n_batches(self.batch_size)
        epoch = torch.full_like(batches, self.updates) if self.repeat else batches
        part = problem.minibatch(state.iterations % epoch % batches, self.batch_size)
        rate = self.learning_rate * self.decay ** (state.iterations // epoch).double()
        self._adam.step(part, state, rate)
        spent = (state.status == Status.RUNNING) & (state.iterations >= self.epochs * epoch)
        state.status[spent] = int(Status.BUDGET_SPENT)
        return state

    @property
    def _adam(self) -> Adam:
        return Adam(self.expected_evaluations, self.learning_rate)
