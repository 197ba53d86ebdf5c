"""RoPINN (Wu et al. 2024): residual points wander in a small region whose size is calibrated while training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from sciml_lib.checks import settle
from sciml_lib.errors import UserError
from sciml_lib.optim import LBFGS, Status
from sciml_lib.optim.rows import row_sums
from sciml_lib.problems import Movable, Objective, Problem
from sciml_lib.strategies.calls import CallsState

SMALLEST = 1e-6
"""Added to the mean gradient in the denominator, as in the released code."""


@dataclass
class RoPINNState(CallsState):
    """Adds what the calibration remembers.

    Attributes:
        region: present size of the region, ``[M]`` float64 (CPU).
        gradient_sum: sum of the gradients of the present call's evaluations, ``[M, P]``.
        averages: mean gradients of the last calls, ``[M, window, P]``; call k stands in row k mod window.
        seeds: seeds of the members' random numbers, ``[M]`` (CPU).
    """

    region: Tensor
    gradient_sum: Tensor
    averages: Tensor
    seeds: Tensor


@dataclass(frozen=True)
class RoPINN:
    """Calls of L-BFGS whose every evaluation sees each residual point moved by a fresh uniform shift in [0, R]^2.

    After a call, v is the mean over the parameters of the standard deviation of the last calls' mean gradients over
    their mean magnitude, and R becomes  initial_region / v,  at most ``max_region``. Conditions are not moved. The
    released code shifts to one side only and lets points leave the domain by R; so do we. A member's shifts are those
    of its seed and of the number of its evaluation, whoever trains beside it.

    Attributes:
        calls: outer calls; 1,000 epochs in Table 2.
        solver: one call; the released code leaves PyTorch's 20 iterations and 25 evaluations. The history is kept.
        initial_region: 1e-5 in Table 2 (the released scripts for reaction and wave still have 1e-4).
        window: calls that the calibration looks back on; 5 in Table 2.
        max_region: limit of R in the released code.

    Raises:
        UserError: if a number is impossible.
    """

    calls: int = 1_000
    solver: LBFGS = field(default_factory=lambda: LBFGS(max_iterations=20, max_evaluations=25))
    initial_region: float = 1e-5
    window: int = 5
    max_region: float = 0.01

    def __post_init__(self) -> None:
        """Checks the numbers."""
        settle(self, whole_numbers=("calls", "window"), reals=("initial_region", "max_region"))
        if self.calls < 1 or self.window < 1:
            raise UserError(f"RoPINN needs calls >= 1 and window >= 1, not {self.calls} and {self.window}; try 1000 and 5")
        if not 0 < self.initial_region <= self.max_region:
            raise UserError(
                f"RoPINN needs 0 < initial_region <= max_region, not {self.initial_region} and {self.max_region}; "
                "try 1e-5 and 0.01"
            )

    @property
    def words(self) -> str:
        """What it does, with its numbers, as part of a sentence."""
        n = self.solver.max_iterations
        return (
            f"{self.calls:,} calls of {n:,} {'iteration' if n == 1 else 'iterations'} of L-BFGS on points that wander in a "
            f"region of {self.initial_region:g} at first and {self.max_region:g} at most (calibrated on the last "
            f"{self.window} calls)"
        )

    def expected_evaluations(self, problem: Problem) -> int:
        """Evaluations that one member will ask for at most, up to one line search a call."""
        return self.calls * self.solver.expected_evaluations(problem)

    def bytes_per_member(self, problem: Problem) -> int:
        """Memory of one member's state."""
        return self.solver.bytes_per_member(problem) + (1 + self.window) * problem.n_params * problem.dtype.itemsize

    def check(self, problem: Problem) -> None:
        """Refuses a problem without points that can be moved, and a region as large as the domain.

        Raises:
            UserError: says what would fit, or how large it may be.
        """
        if not isinstance(problem, Movable):
            raise UserError(
                "RoPINN moves collocation points, and these members have none; choose another strategy, such as L-BFGS"
            )
        side = problem.shortest_side
        if self.max_region >= side:
            raise UserError(
                f"max_region={self.max_region} would carry points out of the domain, whose shortest side is {side:g}; "
                "choose a small part of it, such as 0.01"
            )

    def init(self, problem: Problem, params: Tensor, seeds: Sequence[int] | None = None) -> RoPINNState:
        """The state before the first step, at ``params [M, P]``; ``seeds`` are those of the shifts, 0 to M - 1 if None."""
        m, p = params.shape
        return RoPINNState.around(
            self.solver.init(problem, params),
            region=torch.full((m,), self.initial_region, dtype=torch.float64),
            gradient_sum=torch.zeros_like(params),
            averages=params.new_zeros(m, self.window, p),
            seeds=torch.as_tensor(list(range(m) if seeds is None else seeds), dtype=torch.long),
        )

    @torch.no_grad()
    def step(self, problem: Problem, state: RoPINNState) -> RoPINNState:
        """One evaluation of every running member, on points of its own; whose call ends begins the next."""
        running = state.status == Status.RUNNING
        watched = _Watched(problem.shifted(self._shifts(problem, state)))
        self.solver.step(watched, state)
        state.gradient_sum += torch.where(running.to(watched.grad.device)[:, None], watched.grad, 0.0)
        ended = (running & (state.status != Status.RUNNING)).nonzero()[:, 0]
        if len(ended):
            self._calibrate(state, ended)
            state.end_call(ended)
            again = ended[(state.calls[ended] < self.calls) & (state.status[ended] != Status.DIVERGED)]
            self.solver.call_again(state, again)
        return state

    def _shifts(self, problem: Problem, state: RoPINNState) -> Tensor:
        """The displacement of every residual point at the coming evaluation, ``[M, n, 2]``."""
        counts = state.total_evaluations
        draws = []
        for seed, count in zip(state.seeds.tolist(), counts.tolist(), strict=True):
            # Philox is a function of key and counter: nothing to store, nothing that depends on the neighbours.
            generator = np.random.Generator(np.random.Philox(key=seed, counter=[0, count, 0, 0]))
            draws.append(generator.random((problem.n_residual, 2), dtype=np.float32))
        uniform = torch.from_numpy(np.stack(draws)).to(state.params)
        return uniform * state.region.to(state.params)[:, None, None]

    def _calibrate(self, state: RoPINNState, rows: Tensor) -> None:
        """Sets the region of the members ``rows`` from the gradients of their last calls."""
        on = rows.to(state.params.device)
        counts = state.evaluations[rows].to(state.params)[:, None]
        state.averages[on, (state.calls[rows] % self.window).to(on.device)] = state.gradient_sum[on] / counts
        state.gradient_sum[on] = 0.0
        for known in range(1, self.window + 1):
            # During the first calls the window is not full yet.
            some = rows[(state.calls[rows] + 1).clamp(max=self.window) == known]
            if len(some):
                last = state.averages[some.to(on.device), :known]  # [m, known, P]
                spread = last.std(dim=1, correction=0) / (last.abs().mean(dim=1) + SMALLEST)
                v = (row_sums(spread) / spread.shape[1]).double().cpu()
                v = torch.where(v == 0, 1.0, v)  # one call alone has no spread
                state.region[some] = (self.initial_region / v).clamp(0.0, self.max_region)


class _Watched:
    """An objective that keeps its last gradients."""

    def __init__(self, objective: Objective) -> None:
        self._objective = objective
        self.grad: Tensor

    def value_and_grad(self, params: Tensor) -> tuple[Tensor, Tensor]:
        """As the objective's."""
        loss, self.grad = self._objective.value_and_grad(params)
        return loss, self.grad
