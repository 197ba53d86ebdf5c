"""What a physical system is to the rest of the library."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

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
        derivatives: which derivatives the system needs there beside the value: ``"x"``, ``"xx"``, ``"t"``, ``"tt"``.
    """

    points: Tensor
    derivatives: tuple[str, ...] = ()


class System(ABC):
    """An equation with one coefficient: what every kind of physics has in common."""

    name: ClassVar[str]
    coefficient_name: ClassVar[str]
    coefficient_label: ClassVar[str]
    coefficient_words: ClassVar[str] = ""
    """What the coefficient is, where "the coefficient of this equation" says too little."""
    coefficient_range: ClassVar[tuple[float, float]]
    """Open interval of coefficients for which the equation makes sense."""
    data_label: ClassVar[str]
    """What an amount of data counts, as the text of an axis."""

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

    @property
    def recipe(self):
        return {"name": self.name}

    @abstractmethod
    def check_n_data(self, n: int) -> None:
        """Refuses an amount of data that the system cannot give.

        Raises:
            UserError: says which amounts are possible.
        """


class SpaceTimeSystem(System):
    """An equation on a rectangle of (x, t), its conditions and its reference solution.

    The point sets are those of the released code: a master grid of 257 x 101 points with both ends included; residual
    points drawn without replacement from its interior (t = 0 excluded, t = 1 included, so 25,500 of them); the
    initial and boundary conditions on all grid points; the test error on a 129 x 101 grid.

    To add an equation, write a subclass with the class attributes and the three abstract methods below.

    Attributes:
        grid: points of the master grid along x and t.
        test_grid: points of the grid of the test error.
        whole_grid: see :meth:`on_grid`.
    """

    data_label = "$N_f$, collocation points"
    x_range: ClassVar[tuple[float, float]]
    t_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    grid: tuple[int, int] = (257, 101)
    test_grid: tuple[int, int] = (129, 101)
    whole_grid: bool = False

    @property
    def max_collocation(self) -> int:
        """How many residual points the master grid holds."""
        n_x, n_t = self.grid
        return n_x * n_t if self.whole_grid else (n_x - 2) * (n_t - 1)

    def on_grid(self, n: int) -> Self:
        """The same system on a tensor grid of n x n points, for training and test alike.

        This is how the released RoPINN code poses its problems: all points of the grid, ends and initial line
        included, are residual points; conditions are asked for at n points; and the error is measured at the very
        points that were trained on.

        Args:
            n: points along each axis; at least 2.

        Raises:
            UserError: if ``n`` is below 2.
        """
        if n < 2:
            raise UserError(f"a tensor grid needs at least 2 x 2 points, not {n} x {n}; choose n_data of at least 3")
        other = copy.copy(self)
        other.grid = other.test_grid = (n, n)
        other.whole_grid = True
        return other

    def check_n_data(self, n: int) -> None:
        """Refuses a number of residual points that the master grid does not have.

        Raises:
            UserError: says which numbers are possible.
        """
        most, (n_x, n_t) = self.max_collocation, self.grid
        if n < 1:
            raise UserError(f"n_data={n} leaves no residual point to train on; choose between 1 and {most}")
        if n > most:
            raise UserError(f"n_data={n} exceeds the {most} points of the {n_x} x {n_t} grid; choose at most {most}")

    def axes(self, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """The coordinates of a grid's columns ``[n_x]`` and rows ``[n_t]``, ends included."""
        x = torch.linspace(*self.x_range, grid[0], dtype=torch.float64)
        t = torch.linspace(*self.t_range, grid[1], dtype=torch.float64)
        return x, t

    def edges(self) -> dict[str, Tensor]:
        """Points of the master grid on the initial line ``[n_x, 2]`` and on both ends ``[n_t, 2]``, corners included."""
        x, t = self.axes(self.grid)
        low, high = self.x_range
        return {
            "initial": torch.stack([x, torch.full_like(x, self.t_range[0])], dim=1),
            "upper": torch.stack([torch.full_like(t, high), t], dim=1),
            "lower": torch.stack([torch.full_like(t, low), t], dim=1),
        }

    def collocation(self, n: int, data_seed: int | Sequence[int] = 0) -> Tensor:
        """Draws residual points from the interior of the master grid, without replacement.

        A draw is the beginning of one seeded permutation of the 25,500 points (x running fastest), so with one seed
        a smaller set is part of every larger one, and no set depends on the coefficient.

        On a tensor grid (:meth:`on_grid`) the points are always all there are, whatever ``n``.

        Args:
            n: number of points.
            data_seed: seed of the permutation; a sequence of integers is one seed, too.

        Returns:
            Coordinates ``[n, 2]``, float64.

        Raises:
            UserError: if ``n`` is not between 1 and the number of points there are.
        """
        x, t = self.axes(self.grid)
        if self.whole_grid:
            return _mesh(x, t)
        if not 1 <= n <= self.max_collocation:
            n_x, n_t = self.grid
            raise UserError(
                f"n_data={n} is impossible: the {n_x} x {n_t} grid has {self.max_collocation} points for the residual; "
                f"choose between 1 and {self.max_collocation}"
            )
        pool = _mesh(x[1:-1], t[1:])
        drawn = np.random.RandomState(data_seed).permutation(len(pool))[:n]
        return pool[torch.from_numpy(drawn)]

    def test_points(self) -> Tensor:
        """The points of the test error, ``[13031, 2]``: interior, initial line, upper and lower boundary.

        Corners occur twice, as in the released code; the relative error is taken over this stacked vector. On a
        tensor grid (:meth:`on_grid`) it is every point once.
        """
        x, t = self.axes(self.test_grid)
        if self.whole_grid:
            return _mesh(x, t)
        return torch.cat(
            [
                _mesh(x[1:-1], t[1:]),
                _mesh(x, t[:1]),
                _mesh(x[-1:], t),
                _mesh(x[:1], t),
            ]
        )

    @abstractmethod
    def blocks(self, n: int, data_seed: int | Sequence[int] = 0) -> dict[str, Block]:
        """The point sets of training: ``"residual"``, with ``n`` points, and all conditions.

        Derivatives that a block asks for are carried at the blocks before it, too, so those that ask for much come
        first; ``"residual"`` is always the first.
        """

    @abstractmethod
    def residuals(self, jets: Mapping[str, Jet], points: Mapping[str, Tensor], coefficient: Tensor) -> dict[str, Tensor]:
        """The residuals whose mean squares are the loss.

        Args:
            jets: the network's jet at every block.
            points: the blocks' coordinates, ``[n, 2]``, or ``[M, n, 2]`` where members have their own.
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
