"""The augmented Lagrangian method (Hestenes 1969; Powell 1969): some residual blocks become constraints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from sciml_lib.checks import settle
from sciml_lib.errors import UserError, unknown
from sciml_lib.optim import LBFGS, Status
from sciml_lib.problems import Constrained, Objective, Problem
from sciml_lib.strategies.calls import CallsState

CONDITIONS = "conditions"
"""Stands for all blocks but the residual of the equation."""

Table = tuple[tuple[float, float], ...]
"""Pairs (coefficient, value): the value holds from that coefficient on."""


@dataclass
class AugmentedLagrangianState(CallsState):
    """Adds the ``multipliers [M, C]`` and the ``penalty [M]`` of the present call."""

    multipliers: Tensor
    penalty: Tensor


@dataclass(frozen=True)
class AugmentedLagrangian:
    """Minimises  w sum_soft mean(r^2) + sum_constrained [mean(lambda g) + mu/2 mean(g^2)]  for growing mu.

    Every point of a constrained block has its own multiplier, zero at first. Before each call of the inner solver
    lambda grows by mu g at the present weights and mu by its factor, and the solver starts with a fresh history, as in
    the released code for PINNs, or goes on with the one it has, as in that for the pendulum. What is reported is the plain,
    unweighted loss. Let a stage of ordinary training come first: the released code does so.

    Attributes:
        outer: calls of the inner solver; 50 in Table 2.
        inner: the solver, with 2,000 iterations in Table 2.
        penalty: mu before its first growth; 2 in Table 2.
        growth: its factor; 1.2 in Table 2 (whose final value 1.2^50 leaves the 2 out).
        constrained: names of the constrained blocks; ``conditions`` are all but the equation. That is what the
            released code constrains, while the paper's section 2.4 speaks of the equation: ``("residual",)``.
        weight: w by coefficient; an earlier script of the released code has 500 for convection below beta = 50 and 100
            elsewhere.
        decay: weight of the squared norm of the parameters by coefficient; there 1e-3 for convection from beta = 50.
        keep_history: whether a call goes on with the curvature pairs of the one before; afresh if None.

    Raises:
        UserError: if a number is impossible.
    """

    outer: int = 50
    inner: LBFGS = field(default_factory=LBFGS)
    penalty: float = 2.0
    growth: float = 1.2
    constrained: tuple[str, ...] = (CONDITIONS,)
    weight: Table = ((0.0, 100.0),)
    decay: Table = ((0.0, 0.0),)
    keep_history: bool | None = None

    def __post_init__(self) -> None:
        """Checks the numbers."""
        settle(self, whole_numbers=("outer",), reals=("penalty", "growth"))
        if isinstance(self.constrained, str):
            raise UserError(f"constrained={self.constrained!r} is one name; write ({self.constrained!r},)")
        if self.outer < 1 or not self.penalty > 0:
            raise UserError(
                f"AugmentedLagrangian needs outer >= 1 and penalty > 0, not {self.outer} and {self.penalty}; try 50 and 2"
            )
        if not self.growth >= 1:
            raise UserError(f"growth={self.growth} would let the penalty fall; choose at least 1, such as 1.2")
        if not self.constrained:
            raise UserError(f"constrained is empty; name at least one block, such as ({CONDITIONS!r},)")
        if not self.weight or not self.decay or any(value < 0 for _, value in (*self.weight, *self.decay)):
            raise UserError("weight and decay list pairs (coefficient, value) with values that are not negative")

    @property
    def words(self) -> str:
        """What it does, with its numbers, as part of a sentence."""
        names = {CONDITIONS: "boundary and initial terms", "residual": "the equation"}
        blocks = " and ".join(names.get(name, name) for name in self.constrained)
        calls = f"{self.outer:,} {'call' if self.outer == 1 else 'calls'}"
        decay = f"; weight decay {_table_words(self.decay)}" if any(value for _, value in self.decay) else ""
        return (
            f"{calls} of {self.inner.words} on an augmented Lagrangian (constraints: {blocks}; penalty from {self.penalty:g}, "
            f"times {self.growth:g} a call; weight of the rest {_table_words(self.weight)}{decay})"
        )

    def expected_evaluations(self, problem: Problem) -> int:
        """Evaluations that one member will ask for at most."""
        return self.outer * self.inner.expected_evaluations(problem)

    def bytes_per_member(self, problem: Problem) -> int:
        """Memory of one member's state."""
        return self.inner.bytes_per_member(problem)

    def check(self, problem: Problem) -> None:
        """Refuses a problem without residual blocks, or without these.

        Raises:
            UserError: names the blocks there are, or says what would fit.
        """
        if not isinstance(problem, Constrained):
            raise UserError(
                "an augmented Lagrangian needs residuals point by point, and this problem has none; choose another strategy"
            )
        self._blocks(problem)

    def init(self, problem: Problem, params: Tensor, seeds: Sequence[int] | None = None) -> AugmentedLagrangianState:
        """The state before the first step, at ``params [M, P]``; nothing here is random, so ``seeds`` are not used."""
        width = problem.select([0]).constraints(params[:1], self._blocks(problem)).shape[1]
        state = AugmentedLagrangianState.around(
            self.inner.init(problem, params),
            multipliers=params.new_zeros(len(params), width),
            penalty=params.new_full((len(params),), self.penalty),
        )
        self._raise_multipliers(problem, state, torch.arange(len(params)))
        return state

    def step(self, problem: Problem, state: AugmentedLagrangianState) -> AugmentedLagrangianState:
        """One evaluation of every running member; whose inner solve ends begins the next."""
        running = state.status == Status.RUNNING
        self.inner.step(self._view(problem, state), state)
        ended = (running & (state.status != Status.RUNNING)).nonzero()[:, 0]
        if len(ended):
            state.end_call(ended)
            again = ended[(state.calls[ended] < self.outer) & (state.status[ended] != Status.DIVERGED)]
            if len(again):
                part = problem.select(again)
                self._raise_multipliers(part, state, again)
                if self.keep_history:
                    self.inner.call_again(state, again)
                    return state
                own, here = state.tensors(), again.to(state.params.device)
                for name, value in self.inner.init(part, state.params[here]).tensors().items():
                    own[name][again.to(value.device)] = value
        return state

    def _raise_multipliers(self, problem: Problem, state: AugmentedLagrangianState, rows: Tensor) -> None:
        """Lambda += mu g and mu *= growth for the members ``rows``, whose problem is ``problem``."""
        on = rows.to(state.params.device)
        g = problem.constraints(state.params[on], self._blocks(problem))
        state.multipliers[on] += state.penalty[on][:, None] * g
        state.penalty[on] *= self.growth

    def _view(self, problem: Problem, state: AugmentedLagrangianState) -> Objective:
        weight, decay = (_by_coefficient(table, problem.coefficients) for table in (self.weight, self.decay))
        return problem.augmented(self._blocks(problem), state.multipliers, state.penalty, weight, decay)

    def _blocks(self, problem: Problem) -> tuple[str, ...]:
        """The names of the constrained blocks, ``conditions`` spelled out."""
        names = problem.term_names
        chosen = []
        for name in self.constrained:
            if name != CONDITIONS and name not in names:
                raise unknown("block to constrain", name, (CONDITIONS, *names))
            chosen += [other for other in names if other != "residual"] if name == CONDITIONS else [name]
        return tuple(dict.fromkeys(chosen))


def _by_coefficient(table: Table, coefficients: Tensor) -> Tensor:
    """The table's value for each member, ``[M]``; below its first coefficient the first value."""
    if len(table) == 1:
        return coefficients.new_full(coefficients.shape, table[0][1])
    edges = torch.tensor([edge for edge, _ in table[1:]], dtype=torch.float64, device=coefficients.device)
    values = coefficients.new_tensor([value for _, value in table])
    return values[torch.searchsorted(edges, coefficients.double(), right=True)]


def _table_words(table: Table) -> str:
    """A table by coefficient in words."""
    (_, first), *others = table
    return f"{first:g}" + "".join(f", {value:g} from coefficient {edge:g} on" for edge, value in others)
