"""Random vectors that belong to a member: those of one member do not depend on the others in the ensemble."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import IntEnum

import numpy as np
import torch
from torch import Tensor

from sciml_lib.errors import UserError
from sciml_lib.landscape.checks import check_seed


class Purpose(IntEnum):
    """What a vector is drawn for; two purposes never share their numbers."""

    LANCZOS = 1
    POWER = 2
    HUTCHINSON = 3
    SKETCH = 4
    REST = 5
    QUADRATURE = 6


def member_seeds(seeds: Sequence[int] | None, members: int) -> list[int]:
    """Checks the seeds of an ensemble; None means 0 to M - 1.

    Raises:
        UserError: if there is not one for each member, or one is not a whole number from 0 to 2**32 - 1.
    """
    if seeds is None:
        return list(range(members))
    if isinstance(seeds, str) or not isinstance(seeds, Iterable):
        raise UserError(f"seeds={seeds!r} is not a list; give one seed for each of {members} members, or leave seeds out")
    given = list(seeds.tolist() if isinstance(seeds, Tensor) else seeds)
    for i, seed in enumerate(given):
        check_seed(f"seeds[{i}]", seed)
    if len(given) != members:
        raise UserError(f"seeds={given} do not fit {members} members; give each one seed, or leave seeds out")
    return [int(seed) for seed in given]


def normal(seeds: Sequence[int], purpose: Purpose, turn: int, like: Tensor) -> Tensor:
    """Standard normal vectors.

    Args:
        seeds: one a member, ``[m]``.
        purpose: what they are for.
        turn: number of the vector among those of this purpose.
        like: has P entries in its last dimension, and the type and device of the result.

    Returns:
        ``[m, P]``; the same numbers in every type, up to rounding, and on every device.
    """
    return _drawn(lambda generator, p: generator.standard_normal(p), seeds, purpose, turn, like)


def rademacher(seeds: Sequence[int], purpose: Purpose, turn: int, like: Tensor) -> Tensor:
    """Vectors of random signs; see :func:`normal` for the arguments."""
    return _drawn(lambda generator, p: 2.0 * generator.integers(0, 2, p) - 1.0, seeds, purpose, turn, like)


def _drawn(
    draw: Callable[[np.random.Generator, int], np.ndarray], seeds: Sequence[int], purpose: Purpose, turn: int, like: Tensor
) -> Tensor:
    rows = []
    for seed in seeds:
        # Counter-based, so that a vector can be drawn without those before it; the lowest word counts within a vector.
        generator = np.random.Generator(np.random.Philox(key=seed, counter=[0, turn, int(purpose), 0]))
        rows.append(draw(generator, like.shape[-1]))
    return torch.from_numpy(np.stack(rows)).to(like)
