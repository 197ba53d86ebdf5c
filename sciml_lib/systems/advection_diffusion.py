"""Advection and diffusion in a given proportion (SYS-2 of the paper)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from sciml_lib.systems.lattice_flow import LatticeFlow, checked_range, symbols, turned

EIGENVALUES = (1.0, 5.0)
"""Range of the second eigenvalue of the tensor, for every proportion, in the released code."""

LAMBDAS = np.concatenate([np.logspace(-3, -1, 20), 0.14 + 0.04 * np.arange(20), 0.9 + np.logspace(-3, np.log10(0.078476), 19)])
"""The 59 weights of advection between which the released code chooses."""

SAMPLES = 400
"""Samples whose proportions are averaged for the table, 100 of each group, as in the released code."""


@dataclass(frozen=True, kw_only=True)
class AdvectionDiffusion2D(LatticeFlow):
    """-(1 - l) div(K grad u) + l v . grad u = f on the periodic unit square (SYS-2); see :class:`LatticeFlow` for f.

    K is as for :class:`Poisson2D` with the second eigenvalue uniform in [1, 5], v a unit vector of uniform angle. The weight l
    is that of :data:`LAMBDAS` whose *mean* proportion of advection to diffusion is nearest to a number drawn uniformly from
    :attr:`ratio`, as in the released code. The proportion of a single sample is another, so that neighbouring ranges overlap;
    it is one of the arrays.

    Attributes:
        ratio: range of the proportion, the norm of the advection term over that of the diffusion term. The paper prints
            (0.8, 10) where the released code has (0.8, 1).

    Raises:
        UserError: if a number is impossible.
    """

    name = "advection-diffusion-2d"
    version = 1

    ratio: tuple[float, float] = (0.2, 0.4)

    _drawn = 2

    def __post_init__(self) -> None:
        """Checks the numbers."""
        super().__post_init__()
        object.__setattr__(self, "ratio", checked_range("ratio", self.ratio, "proportions", (0.2, 0.4)))

    def _measured(self, waves: NDArray, coefficients: dict[str, NDArray]) -> dict[str, NDArray]:
        """``ratio [m]``, the proportion of every sample."""
        return {"ratio": proportions(waves, **coefficients)}

    def _coefficients(self, uniform: NDArray) -> dict[str, NDArray]:
        angle, share, direction, drawn = uniform.T
        low, high = self.ratio
        wanted = low + (high - low) * drawn
        weight = LAMBDAS[np.abs(mean_proportions() - wanted[:, None]).argmin(axis=1)][:, None]
        around = 2 * np.pi * direction
        velocity = weight * np.stack([np.cos(around), np.sin(around)], axis=1)
        return {"tensor": (1 - weight) * turned(*EIGENVALUES, angle, share), "velocity": velocity}


def proportions(waves: NDArray, tensor: NDArray, velocity: NDArray) -> NDArray:
    """The norm of the advection term over that of the diffusion term, for the solution of each sample, ``[m]``.

    Args:
        waves: what ``rfft2`` gives of f, ``[m, side, side / 2 + 1]``.
        tensor: ``[m, 3]``, with everything that it is multiplied with.
        velocity: ``[m, 2]``, likewise.
    """
    side = waves.shape[1]
    diffusion, advection = symbols(side, tensor, velocity)
    power = waves.real**2 + waves.imag**2
    power[:, :, 1 : side // 2] *= 2.0  # for each of these there is one of the opposite sign
    power[:, 0, 0] = 0.0
    squared = advection.imag**2
    with np.errstate(invalid="ignore", divide="ignore"):
        power /= diffusion**2 + squared
    power[:, 0, 0] = 0.0
    return np.sqrt((squared * power).sum(axis=(1, 2)) / (diffusion**2 * power).sum(axis=(1, 2)))


@lru_cache(maxsize=1)
def mean_proportions() -> NDArray:
    """The mean proportion for each of :data:`LAMBDAS`, ``[59]``: the table that the released code reads from a file.

    It is computed anew, over samples of the same kind on a grid of 64 x 64 points.
    """
    draws = _Sample(n=SAMPLES, side=64, precision="float64").generate()
    table, waves = [], fft.rfft2(draws["source"])
    for weight in LAMBDAS:
        tensor, velocity = (1 - weight) * draws["tensor"], weight * draws["velocity"]
        table.append(proportions(waves, tensor, velocity).mean())
    found = np.array(table)
    found.flags.writeable = False
    return found


@dataclass(frozen=True, kw_only=True)
class _Sample(AdvectionDiffusion2D):
    """Samples with the whole tensor and the whole velocity."""

    name = "advection-diffusion-2d-table"

    def _measured(self, waves: NDArray, coefficients: dict[str, NDArray]) -> dict[str, NDArray]:
        return {}

    def _coefficients(self, uniform: NDArray) -> dict[str, NDArray]:
        around = 2 * np.pi * uniform[:, 2]
        velocity = np.stack([np.cos(around), np.sin(around)], axis=1)
        return {"tensor": turned(*EIGENVALUES, uniform[:, 0], uniform[:, 1]), "velocity": velocity}
