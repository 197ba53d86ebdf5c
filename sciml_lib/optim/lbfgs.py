"""Limited-memory BFGS with a strong-Wolfe line search for an ensemble, one evaluation a step.

Every member has its own curvature pairs, step length and stopping rule, and follows what ``torch.optim.LBFGS`` would
do for it alone. One call of :meth:`LBFGS.step` evaluates all members once, wherever their line searches stand.

The search direction is the two-loop recursion (Nocedal & Wright, algorithm 7.4) in block form. With the pairs as rows
of S and Y, oldest first, R the upper triangle of S Y^T, D its diagonal and H0 = gamma I, the first loop is one
triangular solve and the second another:

    R alpha = S g,   r = gamma (g - Y^T alpha),   R^T delta = D alpha - Y r,   d = -(r + S^T delta)

so a direction costs four products with the history, as the recursion does, in four large operations instead of four
hundred small ones. New pairs overwrite the oldest in place: rows of S and Y are in no order of age, only the small
matrix R is brought into it, and the history is never gathered or shifted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sciml_lib.errors import UserError
from sciml_lib.optim.line_search import FIRST, SECOND, WolfeSearch
from sciml_lib.optim.state import EnsembleState, Status
from sciml_lib.problems.base import Objective

MIN_CURVATURE = 1e-10
"""A pair is kept if y.s exceeds this, as in ``torch.optim.LBFGS``."""


@dataclass
class LBFGSState(EnsembleState):
    """Adds direction, history and line search; the fields of the search are those of ``WolfeSearch``.

    Attributes:
        grad: gradient at ``params``, ``[M, P]``.
        direction: current search direction ``[M, P]``.
        first_grad: gradient at end 0 of the bracket ``[M, P]``; second_grad: at end 1.
        s: steps ``[M, H, P]``; y: differences of gradients ``[M, H, P]``.
        products: S Y^T in the order of storage, ``[M, H, H]`` float64; unit where nothing is stored yet.
        gamma: scale of the initial inverse Hessian ``[M]``.
        pairs: pairs stored since the start ``[M]`` (CPU); the next goes to row ``pairs mod H``.
        begun: whether an iteration has begun, in this call or an earlier one, ``[M]`` (CPU).
    """

    grad: Tensor
    direction: Tensor
    first_grad: Tensor
    second_grad: Tensor
    s: Tensor
    y: Tensor
    products: Tensor
    gamma: Tensor
    pairs: Tensor
    begun: Tensor
    step: Tensor
    loss0: Tensor
    slope0: Tensor
    size: Tensor
    trials: Tensor
    zooming: Tensor
    stuck: Tensor
    low: Tensor
    end_t: Tensor
    end_f: Tensor
    end_s: Tensor
    buffer: Tensor


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
        if self.max_iterations < 1 or self.history < 1 or self.evaluation_budget < 1:
            raise UserError("L-BFGS needs max_iterations, max_evaluations and history of at least 1")
        if not (self.learning_rate > 0 and self.tolerance_grad >= 0 and self.tolerance_change >= 0):
            raise UserError("L-BFGS needs learning_rate > 0 and tolerances that are not negative")

    @property
    def evaluation_budget(self) -> int:
        """Evaluations after which a member stops."""
        return self.max_iterations * 5 // 4 if self.max_evaluations is None else self.max_evaluations

    @property
    def expected_evaluations(self) -> int:
        """Evaluations that one member will ask for at most, up to one line search."""
        return self.evaluation_budget

    def bytes_per_member(self, problem: Any) -> int:
        """Memory of one member's state: mostly the history."""
        return problem.dtype.itemsize * problem.n_params * (2 * self.history + 12) + 3 * 8 * self.history**2

    def init(self, problem: Objective, params: Tensor, seeds: Sequence[int] | None = None) -> LBFGSState:
        """The state before the first step, at ``params [M, P]``; nothing here is random, so ``seeds`` are not used."""
        m, p = params.shape
        like = {"device": params.device, "dtype": params.dtype}
        eye = torch.eye(self.history, device=params.device, dtype=torch.float64)
        return LBFGSState.fresh(
            params,
            **{name: torch.zeros(m, p, **like) for name in ("grad", "direction", "first_grad", "second_grad")},
            **{name: torch.zeros(m, self.history, p, **like) for name in ("s", "y")},
            products=eye.repeat(m, 1, 1),
            gamma=torch.ones(m, **like),
            pairs=torch.zeros(m, dtype=torch.long),
            begun=torch.zeros(m, dtype=torch.bool),
            **WolfeSearch.empty(m),
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
        step = state.step.to(state.params)[:, None]
        loss, grad = problem.value_and_grad(torch.addcmul(state.params, step, state.direction))
        slope = (grad * state.direction).sum(dim=1)
        # One transfer a step: everything the searches need to know.
        loss, slope, finite = torch.stack([loss.double(), slope.double(), torch.isfinite(grad).all(dim=1)]).cpu().numpy()
        loss = np.where(np.isfinite(loss) & (finite > 0), loss, np.inf)

        running = (state.status == Status.RUNNING).numpy()
        state.evaluations += torch.from_numpy(running)
        searching = running & (state.iterations > 0).numpy()
        starting = np.flatnonzero(running & ~searching)
        if starting.size:
            self._start(state, starting, loss, grad)
        if searching.any():
            search = WolfeSearch.views(state.tensors())
            outcome = search.advance(searching, loss, slope, self.tolerance_change)
            _keep_gradients(state, outcome.keep, outcome.restore, grad)
            done = np.flatnonzero(outcome.done)
            if done.size:
                end_loss = np.where(np.isnan(outcome.loss), loss, outcome.loss)
                self._accept(state, done, end_loss[done], _gradient_at(state, done, outcome.end[done], grad))
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
        state.step[rows] = 0.0

    def _start(self, state: LBFGSState, i: np.ndarray, loss: np.ndarray, grad: Tensor) -> None:
        """First evaluation of a call of the members ``i``: steepest descent with a cautious step, unless they go on."""
        rows = torch.from_numpy(i)
        on = rows.to(grad.device)
        state.loss[rows] = torch.from_numpy(loss[i])
        state.grad[on] = grad[on]
        sizes = torch.stack([grad[on].abs().amax(dim=1), grad[on].abs().sum(dim=1)]).double().cpu().numpy()
        finite = np.isfinite(loss[i])
        state.status[rows[~finite]] = Status.DIVERGED
        state.status[rows[finite & (sizes[0] <= self.tolerance_grad)]] = Status.CONVERGED_GRADIENT
        # Who has ended at once keeps what a further call would need.
        going = state.status[rows] == Status.RUNNING
        if not going.any():
            return
        rows, on, i = rows[going], on[going.to(on.device)], i[going.numpy()]
        with np.errstate(divide="ignore"):
            first_step = np.minimum(1.0, 1.0 / sizes[1][going.numpy()]) * self.learning_rate
        again = state.begun[rows]
        kept = on[again.to(on.device)]
        if again.any():
            self._store_pairs(state, rows[again], state.direction[kept], grad[kept] - state.first_grad[kept])
        state.direction[on] = -grad[on]
        if again.any():
            self._new_directions(state, kept)
            first_step[again.numpy()] = self.learning_rate
        self._begin_search(state, i, first_step)

    def _accept(self, state: LBFGSState, i: np.ndarray, loss: np.ndarray, grad: Tensor) -> None:
        """Ends an iteration of the members ``i`` at their steps: stopping rules, new pair, new direction."""
        rows = torch.from_numpy(i)
        on = rows.to(grad.device)
        s = state.step[rows].to(grad)[:, None] * state.direction[on]  # [m, P]
        before = state.grad[on]
        y = grad - before
        change = np.abs(loss - state.loss[rows].numpy())
        state.params[on] += s
        state.grad[on] = grad
        state.loss[rows] = torch.from_numpy(loss)
        largest = torch.stack([grad.abs().amax(dim=1), s.abs().amax(dim=1)]).double().cpu().numpy()

        # The first rule that holds names the reason; a step of length zero is the search's failure, not convergence.
        status = np.full(len(i), int(Status.RUNNING))
        rules = [
            (state.iterations[rows].numpy() >= self.max_iterations, Status.BUDGET_SPENT),
            (state.evaluations[rows].numpy() >= self.evaluation_budget, Status.BUDGET_SPENT),
            ((largest[1] <= self.tolerance_change) | (change < self.tolerance_change), Status.CONVERGED_CHANGE),
            (state.step[rows].numpy() == 0.0, Status.LINE_SEARCH_FAILED),
            (largest[0] <= self.tolerance_grad, Status.CONVERGED_GRADIENT),
            (~np.isfinite(largest).all(axis=0), Status.DIVERGED),
        ]
        for holds, reason in rules:
            status[holds] = reason
        state.status[rows] = torch.from_numpy(status)

        goes_on = torch.from_numpy(status == Status.RUNNING)
        here = goes_on.to(grad.device)
        if not goes_on.all():  # what another call would need to know of this iteration
            state.direction[on[~here]], state.first_grad[on[~here]] = s[~here], before[~here]
        if goes_on.any():
            self._store_pairs(state, rows[goes_on], s[here], y[here])
            self._new_directions(state, on[here])
            self._begin_search(state, i[goes_on.numpy()], np.full(int(goes_on.sum()), self.learning_rate))

    def _begin_search(self, state: LBFGSState, i: np.ndarray, first_step: np.ndarray) -> None:
        """Starts an iteration of the members ``i`` along their directions, or ends them where none descends."""
        rows = torch.from_numpy(i)
        on = rows.to(state.grad.device)
        d = state.direction[on]
        slope, size = torch.stack([(state.grad[on] * d).sum(dim=1), d.abs().amax(dim=1)]).double().cpu().numpy()
        state.iterations[rows] += 1
        state.begun[rows] = True
        WolfeSearch.views(state.tensors()).begin(i, first_step, state.loss[rows].numpy(), slope, size)
        state.status[rows[~(slope <= -self.tolerance_change)]] = Status.CONVERGED_CHANGE
        state.status[rows[slope >= 0]] = Status.LINE_SEARCH_FAILED
        state.status[rows[~np.isfinite(slope)]] = Status.DIVERGED
        refused = state.status[rows].numpy() != Status.RUNNING
        if refused.any():  # a direction that is not gone: another call must not take it for a step
            state.direction[on[torch.from_numpy(refused).to(on.device)]] = 0.0

    def _store_pairs(self, state: LBFGSState, rows: Tensor, s: Tensor, y: Tensor) -> None:
        """Stores the pairs that have positive curvature, over the oldest where the history is full."""
        curvature = (y * s).sum(dim=1)
        good = (curvature > MIN_CURVATURE).nonzero()[:, 0]
        chosen = rows[good.cpu()]
        if not len(chosen):
            return
        slot = (state.pairs[chosen] % self.history).to(s.device)
        on = chosen.to(s.device)
        state.s[on, slot], state.y[on, slot] = s[good], y[good]
        state.gamma[on] = curvature[good] / y[good].square().sum(dim=1)
        state.pairs[chosen] += 1

    def _new_directions(self, state: LBFGSState, on: Tensor) -> None:
        """Search directions for the members ``on`` (see the head of the module)."""
        m, h = len(state), self.history
        pairs = state.pairs.to(on.device)
        newest = (pairs - 1) % h
        member = torch.arange(m, device=on.device)
        filled = int(state.pairs.max().clamp(1, h))  # rows of the history in use by anybody; a view, nothing is copied
        s, y = state.s[:, :filled], state.y[:, :filled]
        y_new = state.y[member, newest]  # [M, P]
        s_g, s_y = torch.bmm(torch.stack([state.grad, y_new], dim=1), s.transpose(1, 2)).double().unbind(1)
        stored = pairs > 0
        state.products[member[stored], :filled, newest[stored]] = s_y[stored]

        # Rows by age, oldest first; before the history is full they lie in that order already.
        age = torch.arange(filled, device=on.device)
        order = torch.where(pairs[:, None] > h, (pairs[:, None] + age) % h, age)  # [M, filled]
        r = state.products[member[:, None, None], order[:, :, None], order[:, None, :]]
        # A slot not yet filled has a zero row in S and Y and a unit diagonal: its coefficients come out as zero.
        diagonal = r.diagonal(dim1=1, dim2=2)
        alpha = torch.linalg.solve_triangular(r, s_g.gather(1, order)[..., None], upper=True)[..., 0]
        inverse = order.argsort(dim=1)
        weights = alpha.gather(1, inverse).to(y)[:, None]  # [M, 1, filled]
        q = state.gamma[:, None] * (state.grad - torch.bmm(weights, y)[:, 0])
        y_q = torch.bmm(q[:, None], y.transpose(1, 2))[:, 0].double().gather(1, order)
        delta = torch.linalg.solve_triangular(r.mT, (diagonal * alpha - y_q)[..., None], upper=False)[..., 0]
        weights = delta.gather(1, inverse).to(s)[:, None]
        direction = -(q + torch.bmm(weights, s)[:, 0])
        state.direction[on] = direction[on]


def _keep_gradients(state: LBFGSState, keep: np.ndarray, restore: np.ndarray, grad: Tensor) -> None:
    """Writes the gradients that brackets will need into their buffers."""
    for which, kept in ((FIRST, state.first_grad), (SECOND, state.second_grad)):
        i = np.flatnonzero(keep == which)
        if i.size:
            on = torch.from_numpy(i).to(grad.device)
            kept[on] = grad[on]
    i = np.flatnonzero(restore)
    if i.size:
        on = torch.from_numpy(i).to(grad.device)
        state.first_grad[on] = state.grad[on]


def _gradient_at(state: LBFGSState, i: np.ndarray, end: np.ndarray, grad: Tensor) -> Tensor:
    """The gradients ``[m, P]`` at the steps where the searches of the members ``i`` ended."""
    found = grad[torch.from_numpy(i).to(grad.device)]
    for which, kept in ((FIRST, state.first_grad), (SECOND, state.second_grad)):
        j = np.flatnonzero(end == which)
        if j.size:
            found[torch.from_numpy(j).to(grad.device)] = kept[torch.from_numpy(i[j]).to(grad.device)]
    return found
