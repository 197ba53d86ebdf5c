"""Adam on mini-batches, counted in epochs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sciml_lib.checks import settle
from sciml_lib.errors import UserError
from sciml_lib.optim import Adam, Schedule, Status
from sciml_lib.optim.adam import AdamState, check_schedule
from sciml_lib.problems import Batched, Problem, Validated

ENDLESS = 2**62
"""Steps of the Adam inside, which does not count epochs."""


@dataclass
class MiniBatchState(AdamState):
    """Adds what the order of the data and the choice of an epoch need.

    Attributes:
        seeds: seeds of the members' orders, ``[M]`` (CPU).
        best_params: parameters of the epoch with the lowest validation error so far, ``[M, P]``; ``[M, 0]`` if not kept.
        best_error: that error, ``[M]`` float64 (CPU).
    """

    seeds: Tensor
    best_params: Tensor
    best_error: Tensor


@dataclass(frozen=True)
class MiniBatchAdam:
    """Adam on one batch of the data after the other.

    An epoch is one pass through a member's own batches. With ``updates`` it has so many updates for every member instead:
    one with fewer batches goes through them again and again, beginning each epoch with the first. That is what the released
    code does with the pendulum, whose longest trajectory fills 13 batches; the paper's text says nothing of it.

    Attributes:
        epochs: 600 in Table 4 of the paper.
        batch_size: 32 there.
        updates: of an epoch; None for one pass through the member's own batches.
        learning_rate: 1e-3 in Table 4.
        schedule: how the learning rate falls from epoch to epoch; None keeps it.
        shuffle: whether every epoch has an order of its own, drawn from the member's seed and the epoch; if not, data are
            taken as they lie, which is what the released code does for pendulum and FNO.
        keep_best: whether a member ends with the parameters of the epoch with the lowest validation error, as the released
            code has it for FNO, and not with its last.

    Raises:
        UserError: if a number is impossible.
    """

    epochs: int = 600
    batch_size: int = 32
    updates: int | None = None
    learning_rate: float = 1e-3
    schedule: Schedule | None = None
    shuffle: bool = False
    keep_best: bool = False

    def __post_init__(self) -> None:
        """Checks the numbers."""
        settle(self, whole_numbers=("epochs", "batch_size", "updates"), reals=("learning_rate",))
        if min(self.epochs, self.batch_size, 1 if self.updates is None else self.updates) < 1:
            raise UserError("MiniBatchAdam needs epochs, batch_size and updates of at least 1, such as 600, 32 and 13")
        if not 0 < self.learning_rate < float("inf"):
            raise UserError(f"MiniBatchAdam needs learning_rate > 0, not {self.learning_rate}; try 1e-3")
        check_schedule(self.schedule)

    @property
    def words(self) -> str:
        """What it does, with its numbers, as part of a sentence."""
        passes = "each one pass through its own batches" if self.updates is None else f"{self.updates} updates each"
        fall = "" if self.schedule is None else f", {self.schedule.words('epoch')}"
        order = ", shuffled" if self.shuffle else ""
        best = "; the epoch with the lowest validation error is kept" if self.keep_best else ""
        return (
            f"{self.epochs:,} epochs of Adam on batches of {self.batch_size} ({passes}{order}; learning rate "
            f"{self.learning_rate:g}{fall}{best})"
        )

    def expected_evaluations(self, problem: Problem) -> int:
        """Updates that one member will make at most."""
        return self.epochs * int(self._epoch(problem).max())

    def check(self, problem: Problem) -> None:
        """Refuses a problem whose data cannot be cut, or not into so few batches, or are all trained on.

        Raises:
            UserError: says what would fit.
        """
        if not isinstance(problem, Batched):
            raise UserError("MiniBatchAdam cuts data into batches, and these members have none; choose Adam, on all points")
        most = int(problem.n_batches(self.batch_size).max())
        if self.updates is not None and most > self.updates:
            raise UserError(
                f"updates={self.updates} an epoch would leave out data that fill {most} batches of {self.batch_size}; "
                f"choose at least updates={most}"
            )
        if self.keep_best and not (isinstance(problem, Validated) and bool((problem.n_validation > 0).all())):
            raise UserError("keep_best=True needs data that are held out of training; give the problem some, or leave it out")

    def bytes_per_member(self, problem: Problem) -> int:
        """Memory of one member's state."""
        best = problem.n_params * problem.dtype.itemsize if self.keep_best else 0
        return self._adam.bytes_per_member(problem) + best

    def init(self, problem: Problem, params: Tensor, seeds: Sequence[int] | None = None) -> MiniBatchState:
        """The state before the first update, at ``params [M, P]``; ``seeds`` are those of the orders, 0 to M - 1 if None."""
        return MiniBatchState(
            **vars(self._adam.init(problem, params)),
            seeds=torch.as_tensor(list(range(len(params)) if seeds is None else seeds), dtype=torch.long),
            best_params=params.clone() if self.keep_best else params[:, :0].clone(),
            best_error=torch.full((len(params),), torch.inf, dtype=torch.float64),
        )

    @torch.no_grad()
    def step(self, problem: Problem, state: MiniBatchState) -> MiniBatchState:
        """One update of every running member, on its next batch."""
        batches, epoch = problem.n_batches(self.batch_size), self._epoch(problem)
        running, done = state.status == Status.RUNNING, state.iterations // epoch
        order = problem.order(state.seeds, done) if self.shuffle else None
        part = problem.minibatch(state.iterations % epoch % batches, self.batch_size, order)
        scale = torch.ones(len(done), dtype=torch.float64) if self.schedule is None else self.schedule.scale(done, self.epochs)
        self._adam.step(part, state, self.learning_rate * scale)
        ended = (running & (state.status == Status.RUNNING) & (state.iterations % epoch == 0)).nonzero()[:, 0]
        if self.keep_best and len(ended):
            self._compare(problem.select(ended), state, ended)
        spent = ended[state.iterations[ended] >= self.epochs * epoch[ended]]
        state.status[spent] = int(Status.BUDGET_SPENT)
        if self.keep_best and len(spent):
            on = spent.to(state.params.device)
            state.params[on] = state.best_params[on]
        return state

    def _compare(self, problem: Validated, state: MiniBatchState, rows: Tensor) -> None:
        """Keeps the parameters of the members ``rows``, whose problem is ``problem``, where they are the best so far."""
        on = rows.to(state.params.device)
        error = problem.validation_error(state.params[on]).double().cpu()
        better = error < state.best_error[rows]
        state.best_error[rows[better]] = error[better]
        here = on[better.to(on.device)]
        state.best_params[here] = state.params[here]

    def _epoch(self, problem: Batched) -> Tensor:
        """Updates of an epoch, ``[M]`` (CPU)."""
        batches = problem.n_batches(self.batch_size)
        return batches if self.updates is None else torch.full_like(batches, self.updates)

    @property
    def _adam(self) -> Adam:
        return Adam(ENDLESS, self.learning_rate)
