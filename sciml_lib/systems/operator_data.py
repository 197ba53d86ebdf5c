"""Data of operator learning: pairs of fields that follow from a recipe, kept in a cache that may be deleted at any time."""

from __future__ import annotations

import json
import warnings
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sciml_lib.errors import UserError, unknown
from sciml_lib.systems import cache

SPLITS = ("train", "validation", "test")
PRECISIONS = ("float32", "float64")
CHUNK = 128
"""Samples that are computed at once."""


@dataclass(frozen=True, kw_only=True)
class OperatorData(ABC):
    """A recipe for samples of an operator. Equal recipes give equal arrays, and fewer samples are the first of more.

    Attributes:
        n: number of samples.
        split: ``train``, ``validation`` or ``test``: independent draws.
        seed: of all random numbers.
        precision: type of the arrays; everything is computed in double precision.

    Raises:
        UserError: if a number is impossible.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    """To be raised whenever the same recipe gives other numbers."""

    n: int = 128
    split: str = "train"
    seed: int = 0
    precision: str = "float32"

    def __post_init__(self) -> None:
        """Checks the numbers."""
        if type(self.n) is not int or self.n < 1:
            raise UserError(f"n={self.n!r} is not a number of samples; choose a whole number of at least 1, such as 128")
        if type(self.seed) is not int or not 0 <= self.seed < 2**32:
            raise UserError(f"seed={self.seed!r} is not a seed; choose a whole number from 0 to {2**32 - 1}")
        for name, choices in (("split", SPLITS), ("precision", PRECISIONS)):
            if getattr(self, name) not in choices:
                raise unknown(name, getattr(self, name), choices)

    @abstractmethod
    def generate(self) -> dict[str, NDArray]:
        """Computes the arrays, one row a sample."""

    @property
    def recipe(self) -> dict[str, object]:
        """Everything that the arrays depend on, as plain data."""
        return json.loads(json.dumps({"name": self.name, "version": self.version, **asdict(self)}))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of :attr:`recipe`."""
        return sha256(json.dumps(self.recipe, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    @property
    def path(self) -> Path:
        """Where the cache keeps the arrays."""
        return cache.folder() / f"{self.name}-{self.digest[:20]}.npz"

    def load(self) -> dict[str, NDArray]:
        """Reads the arrays from the cache, or computes and keeps them if they are not there or the file is damaged.

        Where the cache cannot be written to, a warning says so and the arrays are returned all the same.

        Raises:
            UserError: if the cache would lie inside the project or an installed package.
        """
        path = self.path
        arrays = cache.read(path, self.digest)
        if arrays is None:
            arrays = self.generate()
            try:
                cache.write(path, self.digest, arrays)
            except OSError as error:
                warnings.warn(
                    f"the data of {self.name} cannot be kept in {path.parent}: {error.strerror or error}; they are computed "
                    "each time until you make room there, or set SCIML_CACHE to another folder",
                    stacklevel=2,
                )
        return arrays

    def _generator(self) -> np.random.Generator:
        """Random numbers of this seed and split; row by row, so that a sample does not depend on how many there are."""
        return np.random.Generator(np.random.Philox(np.random.SeedSequence([self.seed, SPLITS.index(self.split)])))


@dataclass(frozen=True, kw_only=True)
class Poisson2D(OperatorData):
    """-div(K grad u) = f on the periodic unit square (SYS-1 of the paper), solved exactly in Fourier space.

    K is 0.01 times a symmetric matrix with the eigenvalues 1 and e, e uniform in a range, turned by a uniform angle. f is a
    sum of Gaussians of width 1/32 on a lattice of 12 x 12 points with spacing 1/16 around the centre, divided by its maximum,
    its mean removed; u has the mean 0. All of this is the released code's; the paper states the equation and the ranges.

    Each Gaussian is there with probability 0.8, 0.6, 0.4 or 0.2, with an amplitude uniform in [0.001, 1]. The released
    code writes these four groups behind each other and takes every k-th sample; here sample i is of group i modulo 4,
    so that the first samples are as mixed as all. Ranges share their angles and sources, as they do there.

    Attributes:
        anisotropy: range of the eigenvalue e.
        side: points along each axis, the end left out.
        sparse: False takes all 144 Gaussians, with amplitudes uniform in [0, 1].
    """

    name = "poisson-2d"
    version = 1

    anisotropy: tuple[float, float] = (1.0, 2.5)
    side: int = 128
    sparse: bool = True

    def __post_init__(self) -> None:
        """Checks the numbers."""
        super().__post_init__()
        try:
            low, high = (float(value) for value in self.anisotropy)
        except (TypeError, ValueError):
            low = high = np.nan
        if not 0 < low <= high < np.inf:
            raise UserError(f"anisotropy={self.anisotropy!r} is not a range of eigenvalues; choose one such as (1.0, 2.5)")
        if type(self.side) is not int or self.side < 16 or self.side % 2:
            raise UserError(f"side={self.side!r} is impossible; choose an even whole number of at least 16, such as 128")
        object.__setattr__(self, "anisotropy", (low, high))
        object.__setattr__(self, "sparse", bool(self.sparse))

    def generate(self) -> dict[str, NDArray]:
        """Computes ``tensor [n, 3]`` (k11, k22, k12), ``source [n, side, side]`` and ``solution``, first axis x."""
        fields, generator = (self.n, self.side, self.side), self._generator()
        arrays = {name: np.empty(fields, self.precision) for name in ("source", "solution")}
        arrays["tensor"] = np.empty((self.n, 3), self.precision)
        for begin in range(0, self.n, CHUNK):
            index = np.arange(begin, min(begin + CHUNK, self.n))
            uniform = generator.random((len(index), 2 * 144 + 3))
            tensor = self._tensor(uniform[:, 0], uniform[:, 1])
            source = self._source(self._amplitudes(index, uniform[:, 2:]))
            for name, values in {"tensor": tensor, "source": source, "solution": solve_poisson(source, tensor)}.items():
                arrays[name][index] = values
        return arrays

    def _tensor(self, angle: NDArray, share: NDArray) -> NDArray:
        """(k11, k22, k12) of uniform numbers, ``[m, 3]``."""
        low, high = self.anisotropy
        e, c, s = low + (high - low) * share, np.cos(2 * np.pi * angle), np.sin(2 * np.pi * angle)
        return 0.01 * np.stack([c * c + e * s * s, s * s + e * c * c, (1 - e) * c * s], axis=1)

    def _amplitudes(self, index: NDArray, uniform: NDArray) -> NDArray:
        """The Gaussians' heights, ``[m, 12, 12]``, of uniform numbers ``[m, 289]``."""
        drawn, height = uniform[:, :144], uniform[:, 144:288]
        if not self.sparse:
            return height.reshape(-1, 12, 12)
        active = drawn < 0.8 - 0.2 * (index[:, None] % 4)
        # At least one is always there.
        active[np.arange(len(index)), (144 * uniform[:, 288]).astype(int)] |= ~active.any(axis=1)
        return np.where(active, 1e-3 + (1 - 1e-3) * height, 0.0).reshape(-1, 12, 12)

    def _source(self, amplitudes: NDArray) -> NDArray:
        """F on the grid, ``[m, side, side]``; a Gaussian in two dimensions is a product of two in one."""
        centres = 0.5 + (np.arange(12) - 5.5) / 16
        bumps = np.exp(-0.5 * (32 * (np.arange(self.side) / self.side - centres[:, None])) ** 2)  # [12, side]
        source = bumps.T @ amplitudes @ bumps
        source /= source.max(axis=(1, 2), keepdims=True)
        return source - source.mean(axis=(1, 2), keepdims=True)


def solve_poisson(source: NDArray, tensor: NDArray) -> NDArray:
    """Solves -div(K grad u) = f for periodic trigonometric polynomials; u has the mean 0.

    Args:
        source: f, ``[m, side, side]`` with even side; its mean must be 0.
        tensor: k11, k22 and k12, ``[m, 3]``.

    Returns:
        u, ``[m, side, side]``.
    """
    side = source.shape[-1]
    x, y = 2 * np.pi * np.fft.fftfreq(side, 1 / side)[:, None], 2 * np.pi * np.fft.rfftfreq(side, 1 / side)
    # The highest wave has no first derivative on the grid, so it has no mixed one either.
    mixed = np.where(np.abs(x) < np.pi * side, x, 0) * np.where(y < np.pi * side, y, 0)
    k11, k22, k12 = tensor.T[:, :, None, None]
    symbol = k11 * x**2 + k22 * y**2 + 2 * k12 * mixed
    symbol[:, 0, 0] = np.inf
    return np.fft.irfft2(np.fft.rfft2(source) / symbol, s=(side, side))
