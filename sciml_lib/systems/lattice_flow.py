"""What the two steady equations on the periodic square share: sources on a lattice, turned tensors, the exact solution."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from sciml_lib.errors import UserError
from sciml_lib.systems.operator_data import OperatorData

CHUNK = 16
"""Samples that are computed at once: their arrays stay in a processor's cache."""

LATTICE = 12
"""Gaussians along each axis, in the released code."""

CENTRES = 0.5 + (np.arange(LATTICE) - 5.5) / 16
"""Where they stand along an axis: spacing 1/16 around the centre, in the released code."""

GROUPS = (0.8, 0.6, 0.4, 0.2)
"""How likely a Gaussian is there in each of the four groups of samples, in the order of the released code's files."""

DIFFUSIVITY = 0.01
"""What the released code multiplies every tensor with."""


@dataclass(frozen=True, kw_only=True)
class LatticeFlow(OperatorData):
    """-div(K grad u) + v . grad u = f on the periodic unit square, solved exactly in Fourier space.

    f is a sum of Gaussians of width 1/32 on a lattice of 12 x 12 points, divided by its maximum, its mean removed; u has the
    mean 0. All of this is the released code's; the paper states the equations and the ranges.

    Each Gaussian is there with probability 0.8, 0.6, 0.4 or 0.2, with an amplitude uniform in [0.001, 1]. The released
    code writes these four groups behind each other and takes every k-th sample; here sample i is of group i modulo 4,
    so that the first samples are as mixed as all. Ranges share their angles and sources, as they do there.

    Attributes:
        side: points along each axis on which source and solution are computed, the end left out.
        every: k, where every k-th of them is kept along each axis. The solution stays that of the finer grid.
        sparse: False takes all 144 Gaussians, with amplitudes uniform in [0, 1].
    """

    side: int = 128
    every: int = 1
    sparse: bool = True

    _drawn = 0
    """Uniform numbers of a sample beside those of tensor and source."""

    def __post_init__(self) -> None:
        """Checks the numbers."""
        super().__post_init__()
        if type(self.side) is not int or self.side < 16 or self.side % 2:
            raise UserError(f"side={self.side!r} is impossible; choose an even whole number of at least 16, such as 128")
        if type(self.every) is not int or self.every < 1 or self.side % self.every or self.side // self.every < 8:
            raise UserError(
                f"every={self.every!r} does not divide side={self.side} into at least 8 points an axis; choose one such as 2"
            )
        object.__setattr__(self, "sparse", bool(self.sparse))

    @property
    def points(self) -> int:
        """Points along each axis that are kept."""
        return self.side // self.every

    @abstractmethod
    def _coefficients(self, uniform: NDArray) -> dict[str, NDArray]:
        """``tensor [m, 3]`` (k11, k22, k12), and whatever else a sample's equation has, of uniform numbers.

        Args:
            uniform: ``[m, 2 + _drawn]``; the first two are for the tensor.
        """

    def _measured(self, waves: NDArray, coefficients: dict[str, NDArray]) -> dict[str, NDArray]:
        """What else is known of samples whose sources have the Fourier coefficients ``[m, side, side / 2 + 1]``: nothing."""
        return {}

    def generate(self) -> dict[str, NDArray]:
        """Computes ``source`` and ``solution [n, points, points]``, first axis x, and the coefficients of the equation."""
        arrays: dict[str, NDArray] = {}
        generator, grid, ends = self._generator(), slice(None, None, self.every), 2 * LATTICE**2 + 3
        for begin in range(0, self.n, CHUNK):
            index = np.arange(begin, min(begin + CHUNK, self.n))
            uniform = generator.random((len(index), ends + self._drawn))
            source = self._source(self._amplitudes(index, uniform[:, 2:ends]))
            given = self._coefficients(np.concatenate([uniform[:, :2], uniform[:, ends:]], axis=1))
            waves = fft.rfft2(source)
            found = {"source": source[:, grid, grid], **given, **self._measured(waves, given)}
            found["solution"] = solve(waves, given["tensor"], given.get("velocity"), every=self.every)
            for name, values in found.items():
                if name not in arrays:
                    arrays[name] = np.empty((self.n, *values.shape[1:]), self.precision)
                arrays[name][index] = values
        return arrays

    def _amplitudes(self, index: NDArray, uniform: NDArray) -> NDArray:
        """The Gaussians' heights, ``[m, 12, 12]``, of uniform numbers ``[m, 289]``."""
        drawn, height = uniform[:, : LATTICE**2], uniform[:, LATTICE**2 : 2 * LATTICE**2]
        if not self.sparse:
            return height.reshape(-1, LATTICE, LATTICE)
        active = drawn < np.take(GROUPS, index % len(GROUPS))[:, None]
        # At least one is always there.
        active[np.arange(len(index)), (LATTICE**2 * uniform[:, -1]).astype(int)] |= ~active.any(axis=1)
        return np.where(active, 1e-3 + (1 - 1e-3) * height, 0.0).reshape(-1, LATTICE, LATTICE)

    def _source(self, amplitudes: NDArray) -> NDArray:
        """F on the grid, ``[m, side, side]``; a Gaussian in two dimensions is a product of two in one."""
        bumps = np.exp(-0.5 * (32 * (np.arange(self.side) / self.side - CENTRES[:, None])) ** 2)  # [12, side]
        source = bumps.T @ amplitudes @ bumps
        source /= source.max(axis=(1, 2), keepdims=True)
        source -= source.mean(axis=(1, 2), keepdims=True)
        return source


def turned(low: float, high: float, angle: NDArray, share: NDArray) -> NDArray:
    """Symmetric tensors with the eigenvalues 1 and e, times :data:`DIFFUSIVITY`, as (k11, k22, k12), ``[m, 3]``.

    Args:
        low: smallest e.
        high: largest e.
        angle: of the eigenvector of 1, in turns, ``[m]``.
        share: where e lies between the two, 0 to 1, ``[m]``.
    """
    e, c, s = low + (high - low) * share, np.cos(2 * np.pi * angle), np.sin(2 * np.pi * angle)
    return DIFFUSIVITY * np.stack([c * c + e * s * s, s * s + e * c * c, (1 - e) * c * s], axis=1)


def checked_range(name: str, given: object, what: str, such_as: tuple[float, float]) -> tuple[float, float]:
    """Returns a range as two numbers.

    Raises:
        UserError: if it is none, is upside down, or does not begin above 0.
    """
    try:
        low, high = (float(value) for value in given)
    except (TypeError, ValueError):
        low = high = np.nan
    if not 0 < low <= high < np.inf:
        raise UserError(f"{name}={given!r} is not a range of {what}; choose one such as {such_as}")
    return low, high


def symbols(side: int, tensor: NDArray, velocity: NDArray | None = None) -> tuple[NDArray, NDArray | float]:
    """What diffusion and advection multiply a wave with, ``[m, side, side / 2 + 1]`` each; the second is imaginary.

    The highest wave has no first derivative on the grid, so it has no mixed one and no advection.

    Args:
        side: points along each axis, even.
        tensor: k11, k22 and k12, ``[m, 3]``.
        velocity: ``[m, 2]``; without it the second is 0.
    """
    x, y = 2 * np.pi * fft.fftfreq(side, 1 / side)[:, None], 2 * np.pi * fft.rfftfreq(side, 1 / side)
    odd_x, odd_y = np.where(np.abs(x) < np.pi * side, x, 0), np.where(y < np.pi * side, y, 0)
    k11, k22, k12 = tensor.T[:, :, None, None]
    diffusion = k11 * x**2 + k22 * y**2 + 2 * k12 * (odd_x * odd_y)
    if velocity is None:
        return diffusion, 0.0
    v1, v2 = velocity.T[:, :, None, None]
    return diffusion, 1j * (v1 * odd_x + v2 * odd_y)


def solve(waves: NDArray, tensor: NDArray, velocity: NDArray | None = None, *, every: int = 1) -> NDArray:
    """Solves -div(K grad u) + v . grad u = f for periodic trigonometric polynomials; u has the mean 0.

    Args:
        waves: what ``rfft2`` gives of f on an even number of points, ``[m, side, side / 2 + 1]``; the mean of f must be 0.
        tensor: k11, k22 and k12, ``[m, 3]``.
        velocity: v, ``[m, 2]``; 0 by default.
        every: k, where every k-th point of u is wanted along each axis; it divides the side.

    Returns:
        u, ``[m, side / every, side / every]``.
    """
    m, side = waves.shape[:2]
    diffusion, advection = symbols(side, tensor, velocity)
    symbol = diffusion + advection
    symbol[:, 0, 0] = np.inf
    # On every k-th row, waves that differ by side / k look the same: their sum is all that has to be transformed.
    rows = (waves / symbol).reshape(m, every, side // every, -1).sum(axis=1) / every
    return fft.irfft(fft.ifft(rows, axis=1), n=side, axis=2)[:, :, ::every]
