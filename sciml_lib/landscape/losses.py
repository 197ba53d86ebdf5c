"""How the tools evaluate a loss, and how much memory they take for it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sciml_lib.landscape.checks import check_count, check_values

Loss = Callable[[Tensor], Tensor]
"""A loss of any number of points, ``[n, P] -> [n]``, each entry a function of its own row alone."""

CPU_BYTES = 2**30
GPU_BYTES = 8 * 2**30
"""Memory that the vectors which a tool works on at a time may take."""

VECTORS = 4
"""Vectors of P entries that one point may need at a time: two while it is made (measured with a network of 527,361 float32
parameters), and two more that are left to the loss."""

MOST_POINTS = 256
"""Points at a time beyond which an evaluation gains nothing on a CPU."""


def detached(loss: Loss, points: Tensor, name: str = "loss") -> Tensor:
    """Evaluates a loss, without a graph that leads back to the points.

    Gradients stay enabled: the residual of a differential equation may be made by differentiating a network by its inputs,
    and under ``torch.no_grad`` such a loss could not be evaluated at all. A loss that does not do so builds no graph, since
    the points need no gradient.

    Args:
        loss: from ``[n, P]`` to ``[n]``.
        points: ``[n, P]``.
        name: of the loss, for the sentence that refuses what it gave.

    Returns:
        ``[n]``.

    Raises:
        UserError: it does not give one real number for each point.
    """
    with torch.enable_grad():
        values = loss(points.detach())
    check_values(name, values, points)
    return values.detach()


def budget(like: Tensor) -> int:
    """Bytes that vectors on the device of ``like`` may take."""
    return GPU_BYTES if like.is_cuda else CPU_BYTES


def points_at_a_time(like: Tensor, chunk: int | None = None) -> int:
    """How many points a loss is given at a time, so that they stay within :func:`budget`.

    Args:
        like: has P entries in its last dimension, and the type and the device of the points.
        chunk: what the caller asks for, if anything.

    Raises:
        UserError: ``chunk`` is not a whole number of at least 1.
    """
    if chunk is not None:
        check_count("chunk", chunk, 1, such_as=MOST_POINTS)
        return int(chunk)
    return max(1, min(MOST_POINTS, budget(like) // (VECTORS * like.shape[-1] * like.itemsize)))
