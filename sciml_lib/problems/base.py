"""What optimisers, strategies and the training loop may know of a problem: small protocols, one for each use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor


@runtime_checkable
class Objective(Protocol):
    """What a first-order optimiser sees: one loss a member, of one row of parameters."""

    def value_and_grad(self, params: Tensor) -> tuple[Tensor, Tensor]:
        """Loss ``[M]`` and gradient ``[M, P]`` at ``params [M, P]``."""


class HessianProduct(Protocol):
    """Products with the members' Hessians at one point."""

    def __call__(self, v: Tensor, wanted: Tensor | None = None) -> Tensor:
        """``H v`` for ``v [M, P]``; rows outside the mask ``wanted [M]`` (CPU) may hold anything finite."""


@runtime_checkable
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
        terms: the terms of the loss, without any weights, ``{name: [M]}``; the training loss that is reported is their sum.
        test_error: ``[M]``.
        metrics: further numbers that the problem has, ``{name: [M]}``.
        outcomes: what the evaluation itself says of each member, M labels such as ``rollout_diverged``, and None where
            there is nothing to say; empty if there never is. A setup's ``outcomes`` has a sentence for each label.
    """

    terms: dict[str, Tensor]
    test_error: Tensor
    metrics: dict[str, Tensor] = field(default_factory=dict)
    outcomes: Sequence[str | None] = ()


class Problem(Objective, Protocol):
    """What the training loop, and whoever plans its memory, needs: M members that can be taken apart.

    Attributes:
        device: where parameters live.
        dtype: their type.
    """

    device: torch.device
    dtype: torch.dtype

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
        """Names of the terms of the loss."""

    @property
    def engine(self) -> str:
        """How it is evaluated: ``fused`` by the compiled kernel, or ``eager`` by PyTorch."""

    @property
    def group_size(self) -> int:
        """How many members are evaluated at a time."""

    @property
    def workspace_bytes_per_member(self) -> int:
        """Memory of one member in an evaluation."""

    def select(self, index: Sequence[int] | Tensor) -> Problem:
        """The problem of some of the members, in that order."""

    def init(self, seeds: Sequence[int]) -> Tensor:
        """Initial parameters ``[len(seeds), P]``."""

    def evaluate(self, params: Tensor) -> Evaluation:
        """Everything that is stored of trained members."""


@runtime_checkable
class Continuable(Protocol):
    """What a curriculum needs beside that: other coefficients, and other draws of the data.

    Attributes:
        coefficients: one a member, ``[M]``.
        data_seed: seed of the data.
    """

    coefficients: Tensor
    data_seed: int

    @property
    def coefficient_name(self) -> str:
        """Name of what :attr:`coefficients` are; empty if the equation has none."""

    @property
    def data_groups(self) -> list[int]:
        """One number a member: those with the same one have the same data wherever their coefficients are the same."""

    def at(self, coefficients: Tensor) -> Problem:
        """The same problem at other coefficients, one a member."""

    def resampled(self, data_seed: int | Sequence[int]) -> Problem:
        """The same problem on another draw of data, the same for all members."""


@runtime_checkable
class Constrained(Protocol):
    """What an augmented Lagrangian needs: terms whose residuals are known point by point.

    Attributes:
        coefficients: one a member, ``[M]``.
    """

    coefficients: Tensor

    @property
    def term_names(self) -> tuple[str, ...]:
        """Names of the residual blocks."""

    def constraints(self, params: Tensor, names: Sequence[str]) -> Tensor:
        """The residuals of some blocks side by side, ``[M, C]``."""

    def augmented(
        self, constrained: Sequence[str], multipliers: Tensor, penalty: Tensor, weight: Tensor, decay: Tensor
    ) -> Objective:
        """The same problem with an augmented Lagrangian for its loss."""


@runtime_checkable
class Movable(Protocol):
    """What RoPINN needs: residual points that can be moved."""

    @property
    def n_residual(self) -> int:
        """Points of the residual block."""

    @property
    def shortest_side(self) -> float:
        """Length of the shortest side of the domain."""

    def shifted(self, shifts: Tensor) -> Objective:
        """The same problem with every member's residual points moved by ``shifts [M, n, 2]``."""


@runtime_checkable
class Batched(Protocol):
    """What mini-batches need: data that can be taken in parts."""

    def n_batches(self, size: int) -> Tensor:
        """In how many batches of at most ``size`` each member's data are cut, ``[M]`` (CPU)."""

    def order(self, seeds: Tensor, epochs: Tensor) -> Tensor:
        """An order of each member's data, drawn from its seed and its epoch alone.

        Args:
            seeds: ``[M]`` (CPU).
            epochs: ``[M]`` (CPU).

        Returns:
            Indices ``[M, n]`` (CPU), a member's own first; see :func:`shuffled`.
        """

    def minibatch(self, index: Tensor, size: int, order: Tensor | None = None) -> Objective:
        """The loss on one batch of each member: number ``index [M]`` (CPU) of its data in ``order``, as they lie if None."""


@runtime_checkable
class Validated(Protocol):
    """What the choice of the best epoch needs: data that are held out of training."""

    @property
    def n_validation(self) -> Tensor:
        """How many data of each member are held out, ``[M]`` (CPU)."""

    def validation_error(self, params: Tensor) -> Tensor:
        """The error on those data, ``[M]``."""


def shuffled(amounts: Tensor, seeds: Tensor, epochs: Tensor) -> Tensor:
    """Random orders, each a function of its seed and its epoch: nothing to store, nothing that depends on the neighbours.

    Args:
        amounts: how many data each member has, ``[M]`` (CPU).
        seeds: ``[M]`` (CPU).
        epochs: ``[M]`` (CPU).

    Returns:
        Indices ``[M, n]`` with n the largest amount (CPU); zeros follow those of a member with less.
    """
    orders = torch.zeros(len(amounts), int(amounts.max()), dtype=torch.long)
    for row, amount, seed, epoch in zip(orders, amounts.tolist(), seeds.tolist(), epochs.tolist(), strict=True):
        generator = np.random.Generator(np.random.Philox(key=seed, counter=[0, epoch, 1, 0]))
        row[:amount] = torch.from_numpy(generator.permutation(amount))
    return orders
