"""What optimisers and strategies may know of a problem."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor


class Objective(Protocol):
    """The part of a problem that an optimiser sees: one loss a member, of one row of parameters."""

    def value_and_grad(self, params: Tensor) -> tuple[Tensor, Tensor]:
        """Loss ``[M]`` and gradient ``[M, P]`` at ``params [M, P]``."""


class HessianProduct(Protocol):
    """Products with the members' Hessians at one point."""

    def __call__(self, v: Tensor, wanted: Tensor | None = None) -> Tensor:
        """``H v`` for ``v [M, P]``; rows outside the mask ``wanted [M]`` (CPU) may hold anything finite."""


class CurvedObjective(Objective, Protocol):
    """What a second-order optimiser sees beside that."""

    def value(self, params: Tensor) -> Tensor:
        """Loss ``[M]`` alone."""

    def linearised(self, params: Tensor) -> tuple[Tensor, Tensor, HessianProduct]:
        """Loss ``[M]``, gradient ``[M, P]``, and what gives products with the Hessian there."""


@dataclass(frozen=True)
class Evaluation:
    """What is known of trained members.

    Attributes:
        terms: mean square of each residual block, ``{name: [M]}``; the training loss is their sum.
        test_error: ``[M]``.
        metrics: further numbers that the problem has, ``{name: [M]}``.
        left_bounds: members whose test ended early because its values left every bound, ``[M]``; None if that cannot be.
    """

    terms: dict[str, Tensor]
    test_error: Tensor
    metrics: dict[str, Tensor] = field(default_factory=dict)
    left_bounds: Tensor | None = None


class Problem(CurvedObjective, Protocol):
    """A system, a model and data, bound for M members.

    Attributes:
        device: where parameters live.
        dtype: their type.
        coefficients: one a member, ``[M]``.
        data_seed: seed of the data.
    """

    device: torch.device
    dtype: torch.dtype
    coefficients: Tensor
    data_seed: int

    def __len__(self) -> int:
        """M."""

    @property
    def n_params(self) -> int:
        """P."""

    @property
    def description(self) -> str:
        """Everything that makes two problems the same, in one line."""

    @property
    def term_names(self) -> tuple[str, ...]:
        """Names of the residual blocks."""

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Names of the further numbers that :meth:`evaluate` gives."""

    @property
    def coefficient_name(self) -> str:
        """Name of what :attr:`coefficients` are; empty if the equation has none."""

    @property
    def data_groups(self) -> list[int]:
        """One number a member: those with the same one have the same data wherever their coefficients are the same."""

    @property
    def group_size(self) -> int:
        """How many members are evaluated at a time."""

    @property
    def workspace_bytes_per_member(self) -> int:
        """Memory of one member in an evaluation."""

    @property
    def curvature_bytes_per_member(self) -> int:
        """Memory of one member in what :meth:`linearised` returns."""

    def at(self, coefficients: Tensor) -> Problem:
        """The same problem at other coefficients, one a member."""

    def resampled(self, data_seed: int | Sequence[int]) -> Problem:
        """The same problem on another draw of data, the same for all members."""

    def augmented(
        self, constrained: Sequence[str], multipliers: Tensor, penalty: Tensor, weight: Tensor, decay: Tensor
    ) -> Problem:
        """The same problem with an augmented Lagrangian for its loss."""

    def constraints(self, params: Tensor, names: Sequence[str]) -> Tensor:
        """The residuals of some blocks side by side, ``[M, C]``."""

    def select(self, index: Sequence[int]) -> Problem:
        """The problem of some of the members, in that order."""

    def init(self, seeds: Sequence[int]) -> Tensor:
        """Initial parameters ``[len(seeds), P]``."""

    def residuals(self, params: Tensor) -> dict[str, Tensor]:
        """Residual blocks ``{name: [M, n]}``."""

    def terms(self, params: Tensor) -> dict[str, Tensor]:
        """Mean square of each block ``{name: [M]}``."""

    def loss(self, params: Tensor) -> Tensor:
        """Training loss ``[M]``, differentiable to any order."""

    def test_error(self, params: Tensor) -> Tensor:
        """Test error ``[M]``."""

    def evaluate(self, params: Tensor) -> Evaluation:
        """Everything that is stored of trained members."""


@runtime_checkable
class CollocationProblem(Protocol):
    """What RoPINN needs beside that: residual points that can be moved."""

    @property
    def n_residual(self) -> int:
        """Points of the residual block."""

    @property
    def shortest_side(self) -> float:
        """Length of the shortest side of the domain."""

    def shifted(self, shifts: Tensor) -> Problem:
        """The same problem with every member's residual points moved by ``shifts [M, n, 2]``."""


@runtime_checkable
class BatchedProblem(Protocol):
    """What mini-batches need beside that: data that can be taken in parts."""

    def n_batches(self, size: int) -> Tensor:
        """In how many batches of at most ``size`` each member's data are cut, ``[M]`` (CPU)."""

    def minibatch(self, index: Tensor, size: int) -> Objective:
        """The loss on one batch of each member: number ``index [M]`` (CPU)."""
