"""What optimisers and strategies may know of a problem."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor


class Objective(Protocol):
    """The part of a problem that an optimiser sees: one loss a member, of one row of parameters."""

    def value_and_grad(self, params: Tensor) -> tuple[Tensor, Tensor]:
        """Loss ``[M]`` and gradient ``[M, P]`` at ``params [M, P]``."""


class Problem(Objective, Protocol):
    """A system, a model and data, bound for M members.

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
    def block_names(self) -> tuple[str, ...]:
        """Names of the residual blocks."""

    @property
    def workspace_bytes_per_member(self) -> int:
        """Memory of one member in an evaluation."""

    def select(self, index: Sequence[int]) -> Problem:
        """The problem of some of the members, in that order."""

    def init(self, seeds: Sequence[int]) -> Tensor:
        """Initial parameters ``[len(seeds), P]``."""

    def residuals(self, params: Tensor) -> dict[str, Tensor]:
        """Residual blocks ``{name: [M, n]}``."""

    def block_losses(self, params: Tensor) -> dict[str, Tensor]:
        """Mean square of each block ``{name: [M]}``."""

    def loss(self, params: Tensor) -> Tensor:
        """Training loss ``[M]``, differentiable to any order."""

    def test_error(self, params: Tensor) -> Tensor:
        """Test error ``[M]``."""
