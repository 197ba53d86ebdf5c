"""How a member stands, and the value that an optimiser hands from step to step."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Self

import torch
from torch import Tensor


class Status(IntEnum):
    """Why a member is where it is; :attr:`sentence` is what a person reads."""

    RUNNING = 0
    CONVERGED_GRADIENT = 1
    CONVERGED_CHANGE = 2
    LINE_SEARCH_FAILED = 3
    DIVERGED = 4
    BUDGET_SPENT = 5
    NEGATIVE_CURVATURE = 6
    NOT_DESCENT = 7
    SKETCH_FAILED = 8
    NOTHING_TO_SOLVE = 9

    @property
    def sentence(self) -> str:
        """The meaning, in words."""
        return _SENTENCES[self]

    @property
    def label(self) -> str:
        """The name under which the status is stored, such as ``converged_change``."""
        return self.name.lower()


_SENTENCES = {
    Status.RUNNING: "training goes on",
    Status.CONVERGED_GRADIENT: "the largest entry of the gradient fell to the gradient tolerance",
    Status.CONVERGED_CHANGE: "loss or parameters changed by no more than the change tolerance in one iteration",
    Status.LINE_SEARCH_FAILED: "the line search found no step that lowers the loss",
    Status.DIVERGED: "loss, gradient or parameters are no longer finite",
    Status.BUDGET_SPENT: "the budget of iterations or evaluations is used up",
    Status.NEGATIVE_CURVATURE: "the budget is used up, and on the way the damped Hessian was found not to be positive definite",
    Status.NOT_DESCENT: "the Newton direction does not descend, not even computed afresh",
    Status.SKETCH_FAILED: "the sketch of the Hessian could not be factorised, whatever was added to its diagonal",
    Status.NOTHING_TO_SOLVE: "the gradient is within the Newton system's tolerance, so that no step counts as its solution",
}


@dataclass
class Part:
    """Some fields of a state that belong together; all of them tensors with one row a member."""

    def tensors(self) -> dict[str, Tensor]:
        """All fields by name."""
        return dict(vars(self))

    @classmethod
    def of(cls, tensors: dict[str, Tensor]) -> Self:
        """The part that has these fields."""
        return cls(**tensors)


@dataclass
class EnsembleState:
    """Tensors with one row a member; optimisers add their own fields, each a tensor or a :class:`Part`.

    Attributes:
        params: current point ``[M, P]``.
        loss: training loss there, ``[M]`` float64 on the CPU (the value before the first step is infinite).
        status: :class:`Status` as ``[M]`` int64 on the CPU.
        iterations: iterations done, ``[M]`` int64 on the CPU.
        evaluations: evaluations of loss and gradient, ``[M]`` int64 on the CPU.
    """

    params: Tensor
    loss: Tensor
    status: Tensor
    iterations: Tensor
    evaluations: Tensor

    @classmethod
    def fresh(cls, params: Tensor, **more: Tensor | Part) -> Self:
        """A state before its first step, at ``params [M, P]``."""
        m = len(params)
        counts = {name: torch.zeros(m, dtype=torch.long) for name in ("status", "iterations", "evaluations")}
        return cls(params=params.clone(), loss=torch.full((m,), torch.inf, dtype=torch.float64), **counts, **more)

    @property
    def total_iterations(self) -> Tensor:
        """Iterations done, ``[M]``, also where ``iterations`` counts from the last of several calls."""
        return self.iterations

    @property
    def total_evaluations(self) -> Tensor:
        """Evaluations done, ``[M]``, also where ``evaluations`` counts from the last of several calls."""
        return self.evaluations

    def __len__(self) -> int:
        """M."""
        return len(self.params)

    def tensors(self) -> dict[str, Tensor]:
        """All tensors by name; those of a part are named like ``history.gamma``."""
        flat: dict[str, Tensor] = {}
        for name, value in vars(self).items():
            parts = {"": value} if isinstance(value, Tensor) else value.tensors()
            flat |= {f"{name}.{inner}" if inner else name: tensor for inner, tensor in parts.items()}
        return flat

    def replaced(self, tensors: dict[str, Tensor]) -> Self:
        """A state of the same kind with other tensors, named as :meth:`tensors` names them."""
        fields: dict[str, Any] = {}
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                fields[name] = tensors[name]
            else:
                fields[name] = value.of({inner: tensors[f"{name}.{inner}"] for inner in value.tensors()})
        return type(self)(**fields)

    def select(self, index: Tensor) -> Self:
        """The rows ``index`` (int64), copied."""
        return self.replaced({name: value[index.to(value.device)] for name, value in self.tensors().items()})

    def load(self, tensors: dict[str, Tensor]) -> Self:
        """Copies stored tensors over its own, wherever these live, and returns itself."""
        for name, value in self.tensors().items():
            value.copy_(tensors[name])
        return self
