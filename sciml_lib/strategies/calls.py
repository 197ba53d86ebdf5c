"""What strategies share that call L-BFGS again and again: which call a member is in, and what it has spent in all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from sciml_lib.optim.lbfgs import LBFGSState


@dataclass
class CallsState(LBFGSState):
    """The state of L-BFGS in its present call, and the counts of those before.

    Attributes:
        calls: calls that have ended, ``[M]`` (CPU).
        earlier_iterations: iterations of those, ``[M]`` (CPU).
        earlier_evaluations: evaluations of those, ``[M]`` (CPU).
    """

    calls: Tensor
    earlier_iterations: Tensor
    earlier_evaluations: Tensor

    @classmethod
    def around(cls, inner: LBFGSState, **more: Tensor) -> Self:
        """The state before the first call, from the state of its optimiser and the strategy's own tensors."""
        zeros = (torch.zeros_like(inner.iterations) for _ in range(3))
        counts = dict(zip(("calls", "earlier_iterations", "earlier_evaluations"), zeros, strict=True))
        return cls(**vars(inner), **counts, **more)

    @property
    def total_iterations(self) -> Tensor:
        """Iterations over all calls, ``[M]``."""
        return self.earlier_iterations + self.iterations

    @property
    def total_evaluations(self) -> Tensor:
        """Evaluations over all calls, ``[M]``."""
        return self.earlier_evaluations + self.evaluations

    def end_call(self, rows: Tensor) -> None:
        """Books the present call of the members ``rows`` (int64, CPU)."""
        self.calls[rows] += 1
        self.earlier_iterations[rows] += self.iterations[rows]
        self.earlier_evaluations[rows] += self.evaluations[rows]
        self.iterations[rows] = 0
        self.evaluations[rows] = 0
