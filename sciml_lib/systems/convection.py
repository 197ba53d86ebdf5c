"""One-dimensional convection: a sine wave carried around a ring."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sciml_lib.systems.base import Block, Jet, SpaceTimeSystem


@dataclass(frozen=True, eq=False, repr=False)
class Convection(SpaceTimeSystem):
    """u_t + beta u_x = 0 on [0, 2 pi] x [0, 1], u(x, 0) = sin x, periodic in x (the paper, appendix B.2).

    The exact solution is sin(x - beta t). Periodicity is asked of the value alone, not of u_x, as in the released
    code. The paper writes the interval half open; the released grid includes both ends, and so does ours.
    """

    name = "convection"
    title = "1D Convection"
    coefficient_name = "beta"
    coefficient_label = "β"
    coefficient_range = (0.0, math.inf)
    x_range = (0.0, 2.0 * math.pi)

    def blocks(self, n: int, data_seed: int | Sequence[int] = 0) -> dict[str, Block]:
        """Residual points, the initial line (257) and both ends of the ring (101 each)."""
        conditions = {name: Block(points) for name, points in self.edges().items()}
        return {"residual": Block(self.collocation(n, data_seed), ("x", "t")), **conditions}

    def residuals(self, jets: Mapping[str, Jet], points: Mapping[str, Tensor], coefficient: Tensor) -> dict[str, Tensor]:
        """Equation, periodicity of u, and u - sin x at t = 0."""
        inner = jets["residual"]
        return {
            "residual": inner["t"] + coefficient * inner["x"],
            "boundary": jets["upper"]["u"] - jets["lower"]["u"],
            "initial": jets["initial"]["u"] - torch.sin(points["initial"][..., 0]),
        }

    def solution(self, points: Tensor, coefficient: Tensor) -> Tensor:
        """sin(x - beta t), ``[M, n]``."""
        return torch.sin(points[..., 0] - coefficient * points[..., 1])
