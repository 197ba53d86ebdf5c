"""Systems whose solution operator is learnt: a coefficient stands for a range, and data are pairs of fields."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sciml_lib.checks import whole
from sciml_lib.errors import UserError
from sciml_lib.systems.advection_diffusion import AdvectionDiffusion2D
from sciml_lib.systems.base import System, is_number
from sciml_lib.systems.lattice_flow import LatticeFlow, checked_range
from sciml_lib.systems.poisson import Poisson2D


@dataclass(frozen=True, init=False, eq=False, repr=False)
class OperatorSystem(System):
    """A family of steady equations: the network learns the map from source and coefficients of the equation to the solution.

    The coefficient of a run is the lower end of one of :attr:`ranges`; the equations of its samples are drawn from that range.

    Attributes:
        ranges: from the easiest to the hardest.

    Raises:
        UserError: if a range is upside down, or two begin at the same number.
    """

    data_label: ClassVar[str] = "$N$, training samples"
    coefficient_range: ClassVar[tuple[float, float]] = (0.0, np.inf)
    n_channels: ClassVar[int]
    """Inputs of a network at every point: the source, and the coefficients of the equation."""

    ranges: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        """Checks the ranges."""
        super().__post_init__()
        ranges = tuple(checked_range("ranges", one, self.coefficient_words, (1.0, 2.5)) for one in self.ranges)
        if not ranges or any(low >= above for (low, _), (above, _) in pairwise(ranges)):
            raise UserError(f"ranges={self.ranges!r} do not ascend; list them from the lowest on, such as ((1, 2.5), (2.5, 5))")
        object.__setattr__(self, "ranges", ranges)

    def check_coefficient(self, coefficient: float) -> None:
        """Refuses what is not the lower end of a range.

        Raises:
            UserError: lists the lower ends.
        """
        lows = [low for low, _ in self.ranges]
        if not is_number(coefficient) or float(coefficient) not in lows:
            raise UserError(
                f"{self.coefficient_name}={coefficient} is not the lower end of a range of the {self.name} system; choose one "
                f"of {', '.join(f'{low:g}' for low in lows)}"
            )

    def check_n_data(self, n: int) -> None:
        """Refuses what is no number of samples.

        Raises:
            UserError: says so.
        """
        whole("n_data", n, 1)

    def range_of(self, coefficient: float) -> tuple[float, float]:
        """The range that begins at a coefficient.

        Raises:
            UserError: if none does.
        """
        self.check_coefficient(coefficient)
        return next(one for one in self.ranges if one[0] == float(coefficient))

    @abstractmethod
    def samples(self, coefficient: float, n: int, split: str, *, every: int = 1, seed: int = 0) -> LatticeFlow:
        """The recipe of the data of a run.

        Args:
            coefficient: of the run.
            n: number of samples.
            split: ``train``, ``validation`` or ``test``.
            every: how much the grid of 128 x 128 points is thinned along each axis.
            seed: of the data.
        """

    @abstractmethod
    def channels(self, arrays: Mapping[str, NDArray]) -> NDArray:
        """The coefficients of the samples' equations, ``[n, n_channels - 1]``, of the arrays of :meth:`samples`."""


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Poisson(OperatorSystem):
    """-div(K grad u) = f; the coefficient is the least second eigenvalue of 100 K (SYS-1), see :class:`Poisson2D`."""

    name = "poisson"
    title = "2D Poisson"
    coefficient_name = "K"
    coefficient_words = "the eigenvalue of the diffusion tensor"
    n_channels = 4

    ranges: tuple[tuple[float, float], ...] = (
        *((1.0, 2.5), (2.5, 5.0), (5.0, 10.0), (10.0, 20.0)),
        *((20.0, 30.0), (30.0, 50.0), (50.0, 100.0), (100.0, 200.0)),
    )

    def samples(self, coefficient: float, n: int, split: str, *, every: int = 1, seed: int = 0) -> Poisson2D:
        """See :meth:`OperatorSystem.samples`."""
        return Poisson2D(n=n, split=split, every=every, seed=seed, anisotropy=self.range_of(coefficient))

    def channels(self, arrays: Mapping[str, NDArray]) -> NDArray:
        """K11, k22 and k12."""
        return arrays["tensor"]


@dataclass(frozen=True, init=False, eq=False, repr=False)
class AdvectionDiffusion(OperatorSystem):
    """-div(K grad u) + v . grad u = f; the coefficient is the least ratio of the two terms (SYS-2).

    See :class:`AdvectionDiffusion2D`.
    """

    name = "advection-diffusion"
    title = "2D Advection-Diffusion"
    coefficient_name = "ratio"
    coefficient_label = "Ψ"
    coefficient_words = "the ratio of advection to diffusion"
    n_channels = 6

    ranges: tuple[tuple[float, float], ...] = (
        *((0.2, 0.4), (0.4, 0.6), (0.6, 0.8), (0.8, 1.0)),
        *((1.0, 1.3), (1.3, 1.7), (1.7, 2.0), (2.0, 2.5)),
    )

    def samples(self, coefficient: float, n: int, split: str, *, every: int = 1, seed: int = 0) -> AdvectionDiffusion2D:
        """See :meth:`OperatorSystem.samples`."""
        return AdvectionDiffusion2D(n=n, split=split, every=every, seed=seed, ratio=self.range_of(coefficient))

    def channels(self, arrays: Mapping[str, NDArray]) -> NDArray:
        """K11, k22 and k12, v1 and v2."""
        return np.concatenate([arrays["tensor"], arrays["velocity"]], axis=1)
