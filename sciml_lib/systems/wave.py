"""A string held at both ends that starts at rest with two of its modes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sciml_lib.errors import UserError
from sciml_lib.systems.base import Block, Jet, SpaceTimeSystem, positive


@dataclass(frozen=True, eq=False, repr=False)
class Wave(SpaceTimeSystem):
    """u_tt - c^2 u_xx = 0 on [0, 1] x [0, 1], u = sin(pi x) + sin(beta pi x) / 2 and u_t = 0 at t = 0, u = 0 at both ends.

    The paper (appendix B.2) leaves beta open; 2 is what the authors' sweeps used. One of the two loss functions of the
    released code has 4 u_xx whatever c is; here c^2 stands everywhere. The loss is the sum of five mean squares:
    equation, both ends, initial value and initial velocity.

    Attributes:
        beta: number of the second mode.

    Raises:
        UserError: if ``beta`` is not a positive whole number, so that the mode would not vanish at x = 1.
    """

    name = "wave"
    title = "1D Wave"
    coefficient_name = "c"
    coefficient_label = "c"
    coefficient_range = (0.0, math.inf)
    x_range = (0.0, 1.0)
    beta: float = 2.0

    def __post_init__(self) -> None:
        """Checks the constants."""
        super().__post_init__()
        positive(self, "beta")
        if self.beta % 1:
            raise UserError(f"beta={self.beta} is not the number of a mode that is held at both ends; choose one such as 2.0")

    def blocks(self, n: int, data_seed: int | Sequence[int] = 0) -> dict[str, Block]:
        """Residual points, the initial line (257, with its velocity) and both ends (101 each)."""
        edges = self.edges()
        return {
            "residual": Block(self.collocation(n, data_seed), ("xx", "tt")),
            "initial": Block(edges["initial"], ("t",)),
            "upper": Block(edges["upper"]),
            "lower": Block(edges["lower"]),
        }

    def residuals(self, jets: Mapping[str, Jet], points: Mapping[str, Tensor], coefficient: Tensor) -> dict[str, Tensor]:
        """Equation, u at both ends, and u - h and u_t at t = 0."""
        inner, initial = jets["residual"], jets["initial"]
        return {
            "residual": inner["tt"] - coefficient**2 * inner["xx"],
            "upper": jets["upper"]["u"],
            "lower": jets["lower"]["u"],
            "initial": initial["u"] - self._start(points["initial"][..., 0]),
            "velocity": initial["t"],
        }

    def solution(self, points: Tensor, coefficient: Tensor) -> Tensor:
        """Two standing waves, ``[M, n]``."""
        x, phase = points[..., 0], math.pi * coefficient * points[..., 1]
        first = torch.sin(math.pi * x) * torch.cos(phase)
        return first + 0.5 * torch.sin(self.beta * math.pi * x) * torch.cos(self.beta * phase)

    def _start(self, x: Tensor) -> Tensor:
        return torch.sin(math.pi * x) + 0.5 * torch.sin(self.beta * math.pi * x)
