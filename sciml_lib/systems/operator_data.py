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
