"""Limited-memory BFGS with a strong-Wolfe line search for an ensemble, one evaluation a step.

Every member has its own curvature pairs (:mod:`sciml_lib.optim.history`), line search (:mod:`sciml_lib.optim.line_search`)
and stopping rule, and follows what ``torch.optim.LBFGS`` would do for it alone. One call of :meth:`LBFGS.step` evaluates
all members once, wherever their searches stand.

In this module ``rows`` are members as int64 on the CPU, where everything is that is one number a member; ``on`` are the
same members on the device of the parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sciml_lib.checks import settle
from sciml_lib.errors import UserError
from sciml_lib.optim.history import History
from sciml_lib.optim.line_search import CURRENT, FIRST, SECOND, Outcome, WolfeSearch
from sciml_lib.optim.rows import row_maxima, row_sums
from sciml_lib.optim.state import EnsembleState, Status
from sciml_lib.problems.base import Objective


@dataclass
class LBFGSState(EnsembleState):
    """Adds the present iteration, the history and the line search.

    Attributes:
        grad: gradient at ``params``, ``[M, P]``.
        direction: current search direction ``[M, P]``; between two calls the last step.
        first_grad: gradient at end 0 of the bracket ``[M, P]``; between two calls that before the last step.
        second_grad: gradient at end 1 of the bracket ``[M, P]``.
        begun: whether an iteration has begun, in this call or an earlier one, ``[M]`` (CPU).
        history: the curvature pairs.
        search: the line searches.
    """

    grad: Tensor
    direction: Tensor
    first_grad: Tensor
    second_grad: Tensor
    begun: Tensor
    history: History
    search: WolfeSearch


@dataclass(frozen=True)
class LBFGS:
    """L-BFGS with the stopping rules of ``torch.optim.LBFGS`` (one call of its ``step``).

    Attributes:
        max_iterations: 2,000 in the paper's Table 2.
        max_evaluations: PyTorch's rule, 1.25 times the iterations, if None.
        history: pairs kept, 100 in Table 2.
        tolerance_grad: stop if no entry of the gradient exceeds it; 1e-7 in Table 2.
        tolerance_change: stop if neither the loss nor any parameter changes by more in an iteration; 1e-9 there.
        learning_rate: first trial step of every search, 1 in Table 2.
    """

    max_iterations: int = 2_000
    max_evaluations: int | None = None
    history: int = 100
    tolerance_grad: float = 1e-7
    tolerance_change: float = 1e-9
    learning_rate: float = 1.0

    def __post_init__(self) -> None:
        counts = ("max_iterations", "max_evaluations", "history")
        settle(self, whole_numbers=counts, reals=("tolerance_grad", "tolerance_change", "learning_rate"))
        if self.max_iterations < 1 or self.history < 1 or self.evaluation_budget < 1:
            raise UserError("L-BFGS needs max_iterations, max_evaluations and history of at least 1")
        if not (self.learning_rate > 0 and self.tolerance_grad >= 0 and self.tolerance_change >= 0):
            raise UserError("L-BFGS needs learning_rate > 0 and tolerances that are not negative")

    @property
    def evaluation_budget(self) -> int:
        """Evaluations after which a member stops."""
        return self.max_iterations * 5 // 4 if self.max_evaluations is None else self.max_evaluations

    @property
    def words(self) -> str:
        """What it does, with its budget, as part of a sentence."""
        return f"up to {self.max_iterations:,} iterations of L-BFGS"

    def expected_evaluations(self, problem: Any) -> int:
        """Evaluations that one member will ask for at most, up to one line search."""
        return self.evaluation_budget

    def bytes_per_member(self, problem: Any) -> int:
        """Memory of one member's state: mostly the history."""
        return problem.dtype.itemsize * problem.n_params * (2 * self.history + 12) + 3 * 8 * self.history**2

    def init(self, problem: Objective, params: Tensor, seeds: Sequence[int] | None = None) -> LBFGSState:
        """The state before the first step, at ``params [M, P]``; nothing here is random, so ``seeds`` are not used."""
        m = len(params)
        return LBFGSState.fresh(
            params,
            grad=torch.zeros_like(params),
            direction=torch.zeros_like(params),
            first_grad=torch.zeros_like(params),
            second_grad=torch.zeros_like(params),
            begun=torch.zeros(m, dtype=torch.bool),
            history=History.empty(params, self.history),
            search=WolfeSearch.empty(m),
        )

    @torch.no_grad()
    def step(self, problem: Objective, state: LBFGSState) -> LBFGSState:
        """Evaluates every member at its trial point and moves it one state on.

        Args:
            problem: the ensemble, in the rows' order. Rows that do not run any more are evaluated and left alone, so
                a caller takes them out.
            state: the state, updated in place.

        Returns:
            The same state.
        """
        step = _steps(state)
        loss, grad = problem.value_and_grad(state.params + step * state.direction)
        # One transfer before the searches: everything they need to know.
        known = (loss, row_sums(grad * state.direction), row_maxima(grad))
        loss, slope, largest = torch.stack([numbers.double() for numbers in known]).cpu()
        loss = torch.where(torch.isfinite(loss) & torch.isfinite(largest), loss, torch.inf)

        running = state.status == Status.RUNNING
        state.evaluations += running
        searching = running & (state.iterations > 0)
        starting = (running & ~searching).nonzero()[:, 0]
        if len(starting):
            self._start(state, starting, loss[starting], largest[starting], grad)
        if searching.any():
            outcome = state.search.advance(searching.numpy(), loss.numpy(), slope.numpy(), self.tolerance_change)
            _keep_gradients(state, outcome, grad)
            done = torch.from_numpy(outcome.done).nonzero()[:, 0]
            if len(done):
                self._accept(state, done, outcome, step, loss[done], largest[done], grad)
        return state

    def call_again(self, state: LBFGSState, rows: Tensor) -> None:
        """Gives ended members another call with the history they have, as a second ``torch.optim.LBFGS.step`` would.

        The loss may have changed meanwhile. Evaluations and iterations count from zero again, and a call begins with an
        evaluation at the present parameters, whose gradient also completes the last curvature pair of the call before.

        Args:
            state: the state, changed in place.
            rows: the members, int64 on the CPU.
        """
        state.status[rows] = int(Status.RUNNING)
        state.iterations[rows] = 0
        state.evaluations[rows] = 0
        state.search.step[rows.numpy()] = 0.0

    def _start(self, state: LBFGSState, rows: Tensor, loss: Tensor, largest: Tensor, grad: Tensor) -> None:
        """First evaluation of a call of the members ``rows``; ``grad [M, P]`` is everybody's.

        A first call begins with steepest descent and a cautious step, a further one goes on with the history there is.

        Args:
            state: the state, updated in place.
            rows: the members, int64 on the CPU.
            loss: their losses ``[m]`` (CPU).
            largest: the largest entries of their gradients ``[m]`` (CPU).
            grad: gradients of all members.
        """
        state.loss[rows] = loss
        finite = torch.isfinite(loss)
        state.status[rows[~finite]] = Status.DIVERGED
        state.status[rows[finite & (largest <= self.tolerance_grad)]] = Status.CONVERGED_GRADIENT

        # Members that have ended at once keep what a further call would need.
        going = state.status[rows] == Status.RUNNING
        again = going & state.begun[rows]
        everybody, on, before, new = _on(grad.device, rows, rows[going], rows[again], rows[going & ~again])
        state.grad[everybody] = grad[everybody]
        if not going.any():
            return
        first_step = torch.full((len(rows),), self.learning_rate, dtype=torch.float64)
        if len(new):
            first_step[going & ~again] *= (1.0 / row_sums(grad[new].abs()).double().cpu()).clamp(max=1.0)
            state.direction[new] = -grad[new]
        if len(before):
            state.history.store(rows[again], state.direction[before], grad[before] - state.first_grad[before])
            self._new_directions(state, before)
        self._begin_search(state, rows[going], on, first_step[going])

    def _accept(
        self, state: LBFGSState, rows: Tensor, outcome: Outcome, step: Tensor, loss: Tensor, largest: Tensor, grad: Tensor
    ) -> None:
        """Ends an iteration of the members ``rows`` where their searches ended.

        Args:
            state: the state, updated in place.
            rows: the members, int64 on the CPU.
            outcome: where the searches ended.
            step: the trial steps of all members, ``[M, 1]`` on the device.
            loss: losses of the members ``rows`` at the trial points, ``[m]`` (CPU).
            largest: the largest entries of their gradients there, ``[m]`` (CPU).
            grad: gradients of all members there, ``[M, P]``.
        """
        elsewhere = (torch.from_numpy(outcome.end)[rows] != CURRENT).nonzero()[:, 0]  # few: a search that was given up
        kept = _kept_gradients(state, rows[elsewhere], outcome) if len(elsewhere) else None
        if kept is not None:
            largest[elsewhere] = row_maxima(kept).double().cpu()
            found = torch.from_numpy(outcome.loss)[rows]
            loss = torch.where(found.isnan(), loss, found)
            step = _steps(state)
        change = (loss - state.loss[rows]).abs()
        state.loss[rows] = loss
        length = torch.from_numpy(state.search.step)[rows]
        # The largest entry of the step, known here without looking: a product is rounded alike wherever it is taken.
        longest = length.abs().to(grad.dtype) * torch.from_numpy(state.search.size)[rows].to(grad.dtype)

        # The last rule that holds names the reason; a step of length zero is the search's failure, not convergence.
        for holds, reason in (
            (state.iterations[rows] >= self.max_iterations, Status.BUDGET_SPENT),
            (state.evaluations[rows] >= self.evaluation_budget, Status.BUDGET_SPENT),
            ((longest <= self.tolerance_change) | (change < self.tolerance_change), Status.CONVERGED_CHANGE),
            (length == 0.0, Status.LINE_SEARCH_FAILED),
            (largest <= self.tolerance_grad, Status.CONVERGED_GRADIENT),
            (~(torch.isfinite(largest) & torch.isfinite(longest)), Status.DIVERGED),
        ):
            state.status[rows[holds]] = reason

        going = state.status[rows] == Status.RUNNING
        positions = (elsewhere, going.nonzero()[:, 0], (~going).nonzero()[:, 0])
        on, elsewhere, stay, over = _on(grad.device, rows, *positions)
        grad = grad[on]
        if kept is not None:
            grad[elsewhere] = kept
        s = step[on] * state.direction[on]  # [m, P]
        before = state.grad[on]
        y = grad - before
        state.params[on] += s
        state.grad[on] = grad
        if len(over):  # what another call would need to know of this iteration
            state.direction[on[over]], state.first_grad[on[over]] = s[over], before[over]
            rows, on, s, y = rows[going], on[stay], s[stay], y[stay]
        if len(rows):
            state.history.store(rows, s, y)
            self._new_directions(state, on)
            self._begin_search(state, rows, on, torch.full((len(rows),), self.learning_rate, dtype=torch.float64))

    def _new_directions(self, state: LBFGSState, on: Tensor) -> None:
        """Gives the members ``on`` the directions of their histories."""
        state.direction[on] = state.history.direction(state.grad, on)

    def _begin_search(self, state: LBFGSState, rows: Tensor, on: Tensor, first_step: Tensor) -> None:
        """Starts an iteration of the members ``rows`` along their directions, or ends them where none descends."""
        d = state.direction[on]
        slope, size = torch.stack([row_sums(state.grad[on] * d), row_maxima(d)]).double().cpu()
        state.iterations[rows] += 1
        state.begun[rows] = True
        state.search.begin(*(part.numpy() for part in (rows, first_step, state.loss[rows], slope, size)))
        state.status[rows[~(slope <= -self.tolerance_change)]] = Status.CONVERGED_CHANGE
        state.status[rows[slope >= 0]] = Status.LINE_SEARCH_FAILED
        state.status[rows[~torch.isfinite(slope)]] = Status.DIVERGED
        refused = rows[state.status[rows] != Status.RUNNING]
        if len(refused):  # another call must not take a direction that was never gone for a step
            state.direction[refused.to(on.device)] = 0.0


def _steps(state: LBFGSState) -> Tensor:
    """The trial steps, ``[M, 1]`` on the device."""
    return torch.from_numpy(state.search.step).to(state.params)[:, None]


def _on(device: torch.device, *rows: Tensor) -> Sequence[Tensor]:
    """Several lists of members, or of places in such a list, on the device: one transfer for all."""
    return rows if device.type == "cpu" else torch.cat(rows).to(device).split([len(some) for some in rows])


def _keep_gradients(state: LBFGSState, outcome: Outcome, grad: Tensor) -> None:
    """Writes the gradients that brackets will need into their buffers."""
    wanted = (outcome.keep == FIRST, outcome.keep == SECOND, outcome.restore)
    first, second, restored = _on(grad.device, *(torch.from_numpy(mask.nonzero()[0]) for mask in wanted))
    moves = (first, grad, state.first_grad), (second, grad, state.second_grad), (restored, state.grad, state.first_grad)
    for on, source, target in moves:
        if len(on):
            target[on] = source[on]


def _kept_gradients(state: LBFGSState, rows: Tensor, outcome: Outcome) -> Tensor:
    """The gradients ``[m, P]`` of the members ``rows`` in the buffers where their searches ended."""
    on, second = _on(state.grad.device, rows, torch.from_numpy(outcome.end)[rows].eq(SECOND).long())
    return torch.where(second[:, None] > 0, state.second_grad[on], state.first_grad[on])
