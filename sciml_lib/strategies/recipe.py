"""What a training recipe is: stages in sequence, and the phases into which they are cut."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from sciml_lib.errors import UserError
from sciml_lib.optim import EnsembleState
from sciml_lib.problems import Problem


@runtime_checkable
class Stage(Protocol):
    """An optimiser with a budget, as the loop uses it.

    It may also have a method ``check(problem)``, which refuses a problem that it cannot train, and a property ``words``, which
    says what it does, with its numbers, as part of a sentence.
    """

    def expected_evaluations(self, problem: Problem) -> int:
        """Evaluations that one member will ask for at most."""

    def bytes_per_member(self, problem: Problem) -> int:
        """Memory of one member's state."""

    def init(self, problem: Problem, params: Tensor, seeds: Sequence[int] | None = None) -> EnsembleState:
        """The state before the first step, at ``params [M, P]``; ``seeds`` are those of the members' random numbers."""

    def step(self, problem: Problem, state: EnsembleState) -> EnsembleState:
        """Moves every member on."""


@runtime_checkable
class MultiPhase(Protocol):
    """A stage that consists of several phases, such as a curriculum."""

    @property
    def phases(self) -> Sequence[Phase]:
        """What the loop does one after the other."""


@dataclass(frozen=True)
class Phase:
    """One stretch of training: everybody has ended it before anybody begins the next.

    A plain phase trains every member on its own problem. A phase with a ``coefficient`` is a curriculum stage on the way
    up to the members' own coefficients: it is trained at that one, by the members that want to go higher, on points of its
    own. Members with one seed and the same data are one and the same network up to the coefficient at which they part, so
    one of them trains for all.

    Attributes:
        stage: the optimiser.
        coefficient: where the phase is trained; None for the members' own.
        draw: which draw of residual points a curriculum stage is trained on.
    """

    stage: Stage
    coefficient: float | None = None
    draw: int = 0

    def view(self, problem: Problem) -> Problem:
        """The problem as the phase sees it; one with a coefficient needs a :class:`~sciml_lib.problems.Continuable` one."""
        if self.coefficient is None:
            return problem
        here = torch.full_like(problem.coefficients, self.coefficient)
        return problem.at(here).resampled((problem.data_seed, self.draw))

    def groups(self, problem: Problem, seeds: Sequence[int]) -> list[list[int]]:
        """The members that take part, those together that share one slot."""
        if self.coefficient is None:
            return [[m] for m in range(len(problem))]
        groups: dict[tuple[int, int], list[int]] = {}
        for m, (target, seed, data) in enumerate(zip(problem.coefficients.tolist(), seeds, problem.data_groups, strict=True)):
            if target > self.coefficient + 1e-6 * max(1.0, self.coefficient):  # float32 holds no 0.1
                groups.setdefault((int(seed), data), []).append(m)
        return list(groups.values())


@dataclass(frozen=True)
class Strategy:
    """A training recipe: stages in sequence, each starting from where the one before ended.

    Attributes:
        stages: optimisers with their budgets, or multi-phase stages.
    """

    stages: tuple[Stage | MultiPhase, ...]

    def __post_init__(self) -> None:
        """Checks that there is something to do.

        Raises:
            UserError: if there is no stage, or something else among them; if nothing follows a curriculum, or something
                comes before it.
        """
        if isinstance(self.stages, str) or not isinstance(self.stages, Iterable):
            raise UserError(f"stages={self.stages!r} is not a tuple of stages; write them like Strategy((Adam(), LBFGS()))")
        object.__setattr__(self, "stages", tuple(self.stages))
        if not self.stages:
            raise UserError("a strategy needs at least one stage, such as Strategy((LBFGS(),))")
        for stage in self.stages:
            _check_stage(stage)
        if isinstance(self.stages[-1], MultiPhase):
            raise UserError(
                f"{type(self.stages[-1]).__name__} ends below the members' own coefficients; let a stage follow that trains "
                "at those, such as LBFGS()"
            )

        # Members of one seed share the curriculum stages, which is right only as long as nothing has parted them.
        late = next((stage for stage in self.stages[1:] if isinstance(stage, MultiPhase)), None)
        if late is not None:
            raise UserError(
                f"{type(late).__name__} must come first: what stands before it would train each member at its own coefficient; "
                "put the other stages behind it"
            )

    @cached_property
    def phases(self) -> tuple[Phase, ...]:
        """What the loop does one after the other."""
        phases: list[Phase] = []
        for stage in self.stages:
            phases += stage.phases if isinstance(stage, MultiPhase) else [Phase(stage)]
        return tuple(phases)

    @property
    def words(self) -> str:
        """What it does, stage after stage, as part of a sentence."""
        parts = [getattr(stage, "words", type(stage).__name__) for stage in self.stages]
        return " and then ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))

    def check(self, problem: Problem) -> None:
        """Refuses a problem to which a stage cannot be applied.

        Raises:
            UserError: says what would fit.
        """
        for stage in self.stages:
            if hasattr(stage, "check"):
                stage.check(problem)


def _check_stage(stage: object) -> None:
    """Refuses what the loop cannot use.

    Raises:
        UserError: says how to write a stage, or what one of one's own lacks.
    """
    if isinstance(stage, MultiPhase) and not isinstance(stage, type):
        return
    methods = ("expected_evaluations", "bytes_per_member", "init", "step")
    lacking = [name for name in methods if not callable(getattr(stage, name, None))]
    if isinstance(stage, type) or len(lacking) == len(methods):
        given = f"the class {stage.__name__}" if isinstance(stage, type) else f"{stage!r}"
        raise UserError(f"{given} is not a stage; write stages like Strategy((Adam(), LBFGS()))")
    if lacking:
        raise UserError(
            f"{type(stage).__name__} is no stage yet; give it the methods {', '.join(lacking)} of sciml_lib.strategies.Stage"
        )
