"""What a physical system is to the rest of the library."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from sciml_lib.errors import UserError

Jet = Mapping[str, Tensor]
"""A block's values by name: ``"u"`` and the derivatives the system asked for (``"x"``, ``"t"``, ``"xx"`` ...), ``[M, n]``."""


@dataclass(frozen=True)
class Block:
    """Points at which one part of the problem is posed.

    Attributes:
        points: coordinates (x, t), ``[n, 2]``, float64.
        derivatives: whether the system needs derivatives there, not only values.
    """

    points: Tensor
    derivatives: bool = False


class System(ABC):
    """An equation on a rectangle of (x, t) with one coefficient, its conditions and its reference solution.

    The point sets are those of the released code: a master grid of 257 x 101 points with both ends included; residual
    points drawn without replacement from its interior (t = 0 excluded, t = 1 included, so 25,500 of them); the
    initial and boundary conditions on all grid points; the test error on a 129 x 101 grid.

    To add an equation, write a subclass with the class attributes and the four abstract methods below.
    """

    name: ClassVar[str]
    coefficient_name: ClassVar[str]
    coefficient_label: ClassVar[str]
    coefficient_range: ClassVar[tuple[float, float]]
    """Open interval of coefficients for which the equation makes sense."""
    x_range: ClassVar[tuple[float, float]]
    t_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    orders: ClassVar[tuple[tuple[str, int], ...]]
    """Highest derivative along each axis that the residual needs."""

    grid: ClassVar[tuple[int, int]] = (257, 101)
    test_grid: ClassVar[tuple[int, int]] = (129, 101)

    @property
    def max_collocation(self) -> int:
        """How many residual points the master grid holds."""
        n_x, n_t = self.grid
        return (n_x - 2) * (n_t - 1)

    def check_coefficient(self, coefficient: float) -> None:
        """Refuses a coefficient outside :attr:`coefficient_range`.

        Raises:
            UserError: names the coefficient, what was got and the valid range.
        """
        low, high = self.coefficient_range
        if not low < coefficient < high:
            wanted = f"above {low:g}" if np.isinf(high) else f"between {low:g} and {high:g}"
            raise UserError(
                f"{self.coefficient_name}={coefficient:g} is no coefficient of the {self.name} equation; choose one {wanted}"
            )

    def axes(self, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """The coordinates of a grid's columns ``[n_x]`` and rows ``[n_t]``, ends included."""
        x = torch.linspace(*self.x_range, grid[0], dtype=torch.float64)
        t = torch.linspace(*self.t_range, grid[1], dtype=torch.float64)
        return x, t

    def collocation(self, n: int, data_seed: int = 0) -> Tensor:
        """Draws residual points from the interior of the master grid, without replacement.

        A draw is the beginning of one seeded permutation of the 25,500 points (x running fastest), so with one seed
        a smaller set is part of every larger one, and no set depends on the coefficient.

        Args:
            n: number of points.
            data_seed: seed of the permutation.

        Returns:
            Coordinates ``[n, 2]``, float64.

        Raises:
            UserError: if ``n`` is not between 1 and the number of points there are.
        """
        if not 1 <= n <= self.max_collocation:
            n_x, n_t = self.grid
            raise UserError(
                f"n_data={n} is impossible: the {n_x} x {n_t} grid has {self.max_collocation} interior points; "
                f"choose between 1 and {self.max_collocation}"
            )
        x, t = self.axes(self.grid)
        pool = _mesh(x[1:-1], t[1:])
        drawn = np.random.RandomState(data_seed).permutation(len(pool))[:n]
        return pool[torch.from_numpy(drawn)]

    def test_points(self) -> Tensor:
        """The points of the test error, ``[13031, 2]``: interior, initial line, upper and lower boundary.

        Corners occur twice, as in the released code; the relative error is taken over this stacked vector.
        """
        x, t = self.axes(self.test_grid)
        return torch.cat(
            [
                _mesh(x[1:-1], t[1:]),
                _mesh(x, t[:1]),
                _mesh(x[-1:], t),
                _mesh(x[:1], t),
            ]
        )

    @abstractmethod
    def blocks(self, n: int, data_seed: int = 0) -> dict[str, Block]:
        """The point sets of training: ``n`` residual points and all conditions. Blocks with derivatives come first."""

    @abstractmethod
    def residuals(self, jets: Mapping[str, Jet], points: Mapping[str, Tensor], coefficient: Tensor) -> dict[str, Tensor]:
        """The residuals whose mean squares are the loss.

        Args:
            jets: the network's jet at every block.
            points: the blocks' coordinates ``[n, 2]``.
            coefficient: ``[M, 1]``.

        Returns:
            ``{name: [M, n]}``; the loss is the unweighted sum of their mean squares.
        """

    @abstractmethod
    def solution(self, points: Tensor, coefficient: Tensor) -> Tensor:
        """The reference solution at ``points [n, 2]`` for ``coefficient [M, 1]``, ``[M, n]``."""


def _mesh(x: Tensor, t: Tensor) -> Tensor:
    """All pairs (x, t), ``[len(t) * len(x), 2]``, x running fastest."""
    grid_t, grid_x = torch.meshgrid(t, x, indexing="ij")
    return torch.stack([grid_x.reshape(-1), grid_t.reshape(-1)], dim=1)
