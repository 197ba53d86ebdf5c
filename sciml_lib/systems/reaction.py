"""Logistic growth at every point of a ring: fast where there is something, and nothing moves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sciml_lib.systems.base import Block, Jet, SpaceTimeSystem, positive


def bump(x: Tensor, width: float) -> Tensor:
    """A Gaussian of height 1 around pi: exp(-(x - pi)^2 / (2 width^2))."""
    return torch.exp(-((x - math.pi) ** 2) / (2.0 * width**2))


def logistic(start: Tensor, growth: Tensor) -> Tensor:
    """Where u' = rho u (1 - u) takes ``start`` while rho t grows by ``growth``: h e^g / (h e^g + 1 - h)."""
    # Divided by e^g, so that nothing overflows whatever the growth.
    return start / (start + (1.0 - start) * torch.exp(-growth))


@dataclass(frozen=True, eq=False, repr=False)
class Reaction(SpaceTimeSystem):
    """u_t - rho u (1 - u) = 0 on [0, 2 pi] x [0, 1], a Gaussian of width pi/4 at t = 0, periodic in x (appendix B.2).

    The exact solution is the logistic curve through every initial value. The width is the released code's; the paper
    gives none. Periodicity is asked of the value alone, as in the released code.

    Attributes:
        width: standard deviation of the Gaussian.

    Raises:
        UserError: if the width is not positive.
    """

    name = "reaction"
    title = "1D Reaction"
    coefficient_name = "rho"
    coefficient_label = "ρ"
    coefficient_range = (0.0, math.inf)
    x_range = (0.0, 2.0 * math.pi)
    width: float = math.pi / 4.0

    def __post_init__(self) -> None:
        """Checks the constants."""
        super().__post_init__()
        positive(self, "width")

    def blocks(self, n: int, data_seed: int | Sequence[int] = 0) -> dict[str, Block]:
        """Residual points, the initial line (257) and both ends of the ring (101 each)."""
        conditions = {name: Block(points) for name, points in self.edges().items()}
        return {"residual": Block(self.collocation(n, data_seed), ("t",)), **conditions}

    def residuals(self, jets: Mapping[str, Jet], points: Mapping[str, Tensor], coefficient: Tensor) -> dict[str, Tensor]:
        """Equation, periodicity of u, and u - h at t = 0."""
        inner = jets["residual"]
        u = inner["u"]
        return {
            "residual": inner["t"] - coefficient * u * (1.0 - u),
            "boundary": jets["upper"]["u"] - jets["lower"]["u"],
            "initial": jets["initial"]["u"] - bump(points["initial"][..., 0], self.width),
        }

    def solution(self, points: Tensor, coefficient: Tensor) -> Tensor:
        """The logistic curve through the initial value, ``[M, n]``."""
        return logistic(bump(points[..., 0], self.width), coefficient * points[..., 1])
