"""NysNewton-CG (Rathore et al. 2024): damped Newton steps, solved by conjugate gradients with a Nystrom preconditioner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sciml_lib.checks import settle
from sciml_lib.errors import UserError
from sciml_lib.optim.nystrom import precondition, sketch
from sciml_lib.optim.rows import row_maxima, row_norms, row_sums
from sciml_lib.optim.state import EnsembleState, Status
from sciml_lib.problems.base import CurvedObjective, HessianProduct

MAX_BACKTRACKS = 30
"""Halvings of the step after which a line search gives up; the step is then below 1e-9."""


@dataclass
class NNCGState(EnsembleState):
    """Adds the last direction and the preconditioner.

    Attributes:
        direction: solution of the last system, ``[M, P]``.
        vectors: of the sketch, ``[M, P, rank]``.
        values: of the sketch, ``[M, rank]``.
        seeds: seeds of the members' test matrices, ``[M]`` (CPU).
        indefinite: Newton steps in which negative curvature was met, ``[M]`` (CPU).
    """

    direction: Tensor
    vectors: Tensor
    values: Tensor
    seeds: Tensor
    indefinite: Tensor


@dataclass(frozen=True)
class NNCG:
    """Newton steps  w - t d  with  (H + mu I) d = g  for the exact Hessian of the full loss.

    One call of :meth:`step` is one Newton step of every member. The members' conjugate gradients run side by side, each
    with its own stopping rule; who has ended waits for the others, and no products are computed for it.

    Differs from the released code: conjugate gradients stop at a direction of negative curvature, and the run's status
    says that one was met; they begin again from zero where starting from the last direction gave no descent, and a run
    ends where even that gives none (the code warns and goes on); a line search ends after 30 halvings (the code has no
    bound); a sketch that cannot be factorised ends the run, and the damping never changes.

    Attributes:
        steps: Newton steps; 2,000 in Table 2.
        rank: of the sketch; 50 in Table 2.
        refresh: steps after which the preconditioner is made anew; 100 in the authors' sweep, 20 upstream.
        damping: mu; 1e-2 in the released code. It decides success, says the method's author.
        cg_iterations: of one system at most; 1,000 in the released code.
        cg_tolerance: norm of the system's residual at which it is solved; 1e-5 in the released code.
        learning_rate: first trial step t; 1 in Table 2.
        decrease: Armijo's constant; 0.1 in the released code.
        shrink: factor of the step when it is refused; 0.5 in the released code.
        tolerance_grad: stop if no entry of the gradient exceeds it (ours, that of L-BFGS in Table 2).

    Raises:
        UserError: if a number is impossible.
    """

    steps: int = 2_000
    rank: int = 50
    refresh: int = 100
    damping: float = 1e-2
    cg_iterations: int = 1_000
    cg_tolerance: float = 1e-5
    learning_rate: float = 1.0
    decrease: float = 0.1
    shrink: float = 0.5
    tolerance_grad: float = 1e-7

    def __post_init__(self) -> None:
        """Checks the numbers."""
        others = ("damping", "cg_tolerance", "learning_rate", "decrease", "shrink", "tolerance_grad")
        settle(self, whole_numbers=("steps", "rank", "refresh", "cg_iterations"), reals=others)
        if min(self.steps, self.rank, self.refresh, self.cg_iterations) < 1:
            raise UserError("NNCG needs steps, rank, refresh and cg_iterations of at least 1")
        if not (self.damping > 0 and self.cg_tolerance > 0 and self.learning_rate > 0 and self.tolerance_grad >= 0):
            raise UserError("NNCG needs damping, cg_tolerance and learning_rate above 0, such as 1e-2, 1e-5 and 1")
        if not (0 < self.decrease < 1 and 0 < self.shrink < 1):
            raise UserError("NNCG needs decrease and shrink between 0 and 1, such as 0.1 and 0.5")

    @property
    def words(self) -> str:
        """What it does, with its numbers, as part of a sentence."""
        often = "every step" if self.refresh == 1 else f"every {self.refresh} steps"
        return (
            f"{self.steps:,} Newton steps (sketch of rank {self.rank} renewed {often}, damping {self.damping:g}, at most "
            f"{self.cg_iterations:,} iterations of conjugate gradients)"
        )

    def expected_evaluations(self, problem: Any) -> int:
        """Passes that one member will ask for at most: gradients, Hessian products and trial losses that succeed."""
        return self.steps * (self.cg_iterations + 3) + self.rank * -(-self.steps // self.refresh)

    def bytes_per_member(self, problem: Any) -> int:
        """Memory of one member: the sketch while it is made (float64) and what the Hessian products keep."""
        own = problem.n_params * (self.rank + 10) * problem.dtype.itemsize
        return own + 4 * 8 * problem.n_params * self.rank + problem.curvature_bytes_per_member

    def check(self, problem: Any) -> None:
        """Refuses a problem without products with its Hessian, and a sketch larger than the Hessian.

        Raises:
            UserError: says what would fit, or how large it may be.
        """
        if not isinstance(problem, CurvedObjective):
            raise UserError("NNCG needs products with the Hessian, and this problem gives none; choose LBFGS")
        if self.rank > problem.n_params:
            raise UserError(
                f"rank={self.rank} exceeds the {problem.n_params} parameters of the network; choose at most that, such as 50"
            )

    def init(self, problem: CurvedObjective, params: Tensor, seeds: Sequence[int] | None = None) -> NNCGState:
        """The state before the first step, at ``params [M, P]``; ``seeds`` are those of the sketches, 0 to M - 1 if None."""
        m, p = params.shape
        return NNCGState.fresh(
            params,
            direction=torch.zeros_like(params),
            vectors=params.new_zeros(m, p, self.rank),
            values=params.new_zeros(m, self.rank),
            seeds=torch.as_tensor(list(range(m) if seeds is None else seeds), dtype=torch.long),
            indefinite=torch.zeros(m, dtype=torch.long),
        )

    @torch.no_grad()
    def step(self, problem: CurvedObjective, state: NNCGState) -> NNCGState:
        """One Newton step of every running member.

        Args:
            problem: the ensemble, in the rows' order.
            state: the state, updated in place.

        Returns:
            The same state.
        """
        loss, grad, product = problem.linearised(state.params)
        known = (loss, row_maxima(grad), row_norms(grad), row_maxima(state.direction))
        loss, largest, norm, last = torch.stack([numbers.double() for numbers in known]).cpu()
        state.loss.copy_(loss)
        running = state.status == Status.RUNNING
        state.evaluations += running
        _end(state, running & ~(torch.isfinite(loss) & torch.isfinite(largest)), Status.DIVERGED)
        _end(state, running & (largest <= self.tolerance_grad), Status.CONVERGED_GRADIENT)
        # Conjugate gradients would end at their start, a direction of zero; without randomness that is the end for good.
        _end(state, running & (norm <= self.cg_tolerance) & (last == 0), Status.NOTHING_TO_SOLVE)
        self._renew_sketches(product, state)
        slope = self._solve(product, grad, last != 0, state)
        self._search(problem, slope, state)
        state.iterations += state.status == Status.RUNNING
        spent = (state.status == Status.RUNNING) & (state.iterations >= self.steps)
        _end(state, spent & (state.indefinite > 0), Status.NEGATIVE_CURVATURE)
        _end(state, spent & (state.indefinite == 0), Status.BUDGET_SPENT)
        return state

    def _renew_sketches(self, product: HessianProduct, state: NNCGState) -> None:
        """Makes new preconditioners for the members whose turn it is."""
        due = (state.status == Status.RUNNING) & (state.iterations % self.refresh == 0)
        if not due.any():
            return
        rows = due.nonzero()[:, 0]
        on = rows.to(state.params.device)
        tests = []
        for m in rows.tolist():
            turn = int(state.iterations[m]) // self.refresh
            generator = np.random.Generator(np.random.Philox(key=int(state.seeds[m]), counter=[0, turn, 0, 0]))
            tests.append(generator.standard_normal(state.vectors.shape[1:], dtype=np.float32))

        def of_these(v: Tensor) -> Tensor:
            whole = torch.zeros_like(state.params)
            whole[on] = v
            return product(whole, due)[on]

        made = sketch(of_these, torch.from_numpy(np.stack(tests)).to(state.params))
        state.vectors[on], state.values[on] = made.vectors, made.values
        state.evaluations[due] += self.rank
        failed = torch.zeros_like(due)
        failed[rows] = ~made.good.cpu()
        _end(state, failed, Status.SKETCH_FAILED)

    def _solve(self, product: HessianProduct, grad: Tensor, warm: Tensor, state: NNCGState) -> Tensor:
        """Finds the directions: from the last ones, and where that does not lead to a descent, from zero.

        Args:
            product: products with the Hessians.
            grad: ``[M, P]``.
            warm: who has a last direction, ``[M]`` (CPU).
            state: the state, updated in place.

        Returns:
            Their products with the gradients, ``[M]`` float64 (CPU); those of members that do not run mean nothing.
        """
        wanted = state.status == Status.RUNNING
        slopes = torch.zeros(len(wanted), dtype=torch.float64)
        indefinite = torch.zeros_like(wanted)
        for start, known in ((state.direction, warm), (torch.zeros_like(grad), torch.zeros_like(warm))):
            if wanted.any():
                d, passes, negative = self._conjugate_gradients(product, grad, start, known, wanted, state)
                state.direction.copy_(torch.where(wanted.to(grad.device)[:, None], d, state.direction))
                slopes, negative = torch.stack([row_sums(grad * state.direction).double(), negative.double()]).cpu()
                state.evaluations += passes
                indefinite |= negative > 0
                wanted = wanted & ~((slopes > 0) & torch.isfinite(slopes))
        state.indefinite += indefinite
        _end(state, wanted, Status.NOT_DESCENT)
        return slopes

    def _conjugate_gradients(
        self, product: HessianProduct, grad: Tensor, start: Tensor, warm: Tensor, wanted: Tensor, state: NNCGState
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Preconditioned conjugate gradients for (H + mu I) d = g.

        A direction p with p.(H + mu I)p <= 0 ends the member's solve where it is (Nocedal & Wright, algorithm 7.1); if
        that is at its very beginning, p itself, the preconditioned residual, is added.

        Args:
            product: products with the Hessians.
            grad: ``[M, P]``.
            start: where to start, ``[M, P]``.
            warm: for whom that is not zero, ``[M]`` (CPU).
            wanted: for whom to solve, ``[M]`` (CPU).
            state: has the preconditioners.

        Returns:
            d ``[M, P]``, products used ``[M]`` (CPU) and whether negative curvature was met ``[M]``.
        """
        d, r = start, grad
        passes = torch.zeros_like(state.evaluations)
        who = wanted & warm  # the others' residual is their gradient, whether they are alone or not
        if who.any():
            there = who.to(grad.device)[:, None]
            r = torch.where(there, grad - (product(start, who) + self.damping * start), grad)
            passes += who
        active = wanted.to(grad.device)
        z = precondition(state.vectors, state.values, r, self.damping)
        p, rz = z, row_sums(r * z)
        indefinite = torch.zeros_like(active)
        for iteration in range(self.cg_iterations):
            active = active & (row_norms(r) > self.cg_tolerance) & (rz > 0)
            who = active.cpu()  # the one transfer of an iteration
            if not who.any():
                break
            hp = product(p, who) + self.damping * p
            passes += who
            curvature = row_sums(p * hp)
            negative = active & ~(curvature > 0)  # also where it is NaN
            if iteration == 0:
                d = torch.where(negative[:, None], d + p, d)
            indefinite |= negative
            active = active & ~negative
            alpha = torch.where(active, rz / curvature, 0.0)[:, None]
            d = torch.where(active[:, None], d + alpha * p, d)
            r = torch.where(active[:, None], r - alpha * hp, r)
            z = precondition(state.vectors, state.values, r, self.damping)
            rz_next = row_sums(r * z)
            p = torch.where(active[:, None], z + (rz_next / rz)[:, None] * p, p)
            rz = torch.where(active, rz_next, rz)
        return d, passes, indefinite

    def _search(self, problem: CurvedObjective, slope: Tensor, state: NNCGState) -> None:
        """Armijo backtracking along the directions, with products ``slope [M]`` with the gradients.

        A trial loss that is not finite counts as too high.
        """
        open_ = state.status == Status.RUNNING
        step = torch.full_like(slope, self.learning_rate)
        seen_finite = torch.zeros_like(open_)
        for _ in range(MAX_BACKTRACKS):
            if not open_.any():
                return
            trial = state.params - step.to(state.params)[:, None] * state.direction
            loss = problem.value(trial).double().cpu()
            state.evaluations += open_
            seen_finite |= torch.isfinite(loss)
            accepted = open_ & (loss <= state.loss - self.decrease * step * slope)
            state.params.copy_(torch.where(accepted.to(trial.device)[:, None], trial, state.params))
            state.loss[accepted] = loss[accepted]
            open_ = open_ & ~accepted
            step = torch.where(open_, self.shrink * step, step)
        _end(state, open_ & seen_finite, Status.LINE_SEARCH_FAILED)
        _end(state, open_ & ~seen_finite, Status.DIVERGED)


def _end(state: EnsembleState, rows: Tensor, status: Status) -> None:
    """Gives the running members among ``rows`` (a mask on the CPU) their final status."""
    state.status[rows & (state.status == Status.RUNNING)] = int(status)
