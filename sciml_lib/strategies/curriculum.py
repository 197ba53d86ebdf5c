"""Curriculum learning (Krishnapriyan et al. 2021): begin where the equation is easy and raise its coefficient."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from sciml_lib.checks import settle
from sciml_lib.errors import UserError
from sciml_lib.optim import LBFGS
from sciml_lib.problems import Continuable, Problem
from sciml_lib.strategies.recipe import Phase


@dataclass(frozen=True)
class Curriculum:
    """Stages at coefficients in equal steps, each trained from the weights of the one below.

    Every curriculum stage has a fresh optimiser and data of its own, as in the released code: residual points are drawn
    anew, a trajectory is that of the stage's coefficient. A member leaves at the last one below its own coefficient; the
    stage that follows trains it there, on its own data. Members of one seed with equally much data share the way as long as
    they are on it, so that one trajectory serves all coefficients of a map's row.

    Attributes:
        n_stages: how many; Table 2 has 140.
        start: coefficient of the first curriculum stage; 0 if None.
        step: from one to the next. Table 2 says 0.05, but 140 of these end at 7 and the map at 70; the other families'
            rows are consistent (stages times speed is the top coefficient), so 0.5 is taken for the meaning.
        solver: what trains each curriculum stage; Table 2: learning rate 1, 2,000 iterations.
    """

    n_stages: int = 140
    step: float = 0.5
    solver: LBFGS = field(default_factory=LBFGS)
    start: float | None = None

    def __post_init__(self) -> None:
        """Checks the numbers.

        Raises:
            UserError: if one is not positive.
        """
        settle(self, whole_numbers=("n_stages",), reals=("step", "start"))
        if self.n_stages < 1 or not self.step > 0:
            raise UserError(
                f"Curriculum needs n_stages >= 1 and step > 0, not {self.n_stages} and {self.step}; try 140 and 0.5"
            )
        if self.start is not None and not self.start >= 0:
            raise UserError(f"start={self.start} is no coefficient to begin a curriculum at; choose 0 or more")

    def check(self, problem: Problem) -> None:
        """Refuses a problem whose coefficients the curriculum stages do not lead up to.

        Raises:
            UserError: says what would fit.
        """
        if not isinstance(problem, Continuable):
            raise UserError("a curriculum needs other coefficients, and this problem has none; choose another strategy")
        if not problem.coefficient_name:
            raise UserError("a curriculum raises the equation's coefficient, and this one has none; choose another strategy")
        highest = problem.coefficients.max().item()
        if highest > self.top * (1 + 1e-6):
            enough = math.ceil((highest - self.first) / self.step)
            raise UserError(
                f"the curriculum leads up to {problem.coefficient_name}={self.top:g} ({self.n_stages} stages of "
                f"{self.step:g}) and {highest:g} lies above; choose at least n_stages={enough}, or a larger step"
            )

    @property
    def words(self) -> str:
        """What it does, with its numbers, as part of a sentence."""
        return (
            f"a curriculum of {self.n_stages} stages from coefficient {self.first:g} on, {self.step:g} apart, each of "
            f"{self.solver.words} on data of its own"
        )

    @property
    def top(self) -> float:
        """The coefficient that the last curriculum stage leads up to."""
        return self.first + self.n_stages * self.step

    @property
    def first(self) -> float:
        """The coefficient of the first curriculum stage."""
        return 0.0 if self.start is None else self.start

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The curriculum stages, at coefficients start, start + step, start + 2 step, ..."""
        return tuple(Phase(self.solver, coefficient=self.first + k * self.step, draw=k + 1) for k in range(self.n_stages))
