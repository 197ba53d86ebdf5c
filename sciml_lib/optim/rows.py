"""Arithmetic on the rows of members, in which no bit of one row depends on the others or on the number of threads.

Elementwise operations are safe on a CPU if each of them rounds once (``+ - * /`` and the root). One that multiplies and
adds (``addcmul``, ``lerp``, ``add`` with a factor) may round once where a vector unit does it and twice in what is left
over at the end of a stretch, and so may a power: where a row lies would then decide its last bit.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sciml_lib import kernel


def row_sums(x: Tensor) -> Tensor:
    """The sum of every row of ``x [M, P]``, ``[M]``."""
    x = x.contiguous()  # rows that lie across memory are added up in another order
    if len(x) == 1 and x.is_cpu:  # PyTorch has each thread add up a part of a single long row, but whole rows of several
        return x.expand(2, -1).contiguous().sum(dim=1)[:1]
    return x.sum(dim=1)


def row_norms(x: Tensor) -> Tensor:
    """The Euclidean norm of every row of ``x [M, P]``, ``[M]``."""
    return row_sums(x.square()).sqrt()


def row_maxima(x: Tensor) -> Tensor:
    """The largest magnitude in every row of ``x [M, P]``, ``[M]``; not finite where an entry is not."""
    return x.abs().amax(dim=1)


def memberwise(f: Callable[..., tuple[Tensor, ...]], *tensors: Tensor) -> tuple[Tensor, ...]:
    """A function made of matrix products and factorisations, applied to every member by itself on a CPU.

    How such a routine rounds depends on its threads, and on where in memory its operands begin. So it gets one thread and
    copies of the member's own, which all begin alike. A GPU takes all members at once.

    Args:
        f: takes tensors with a first dimension for members and returns such.
        tensors: ``[M, ...]`` each.

    Returns:
        What ``f`` returns of all M members.
    """
    if not tensors[0].is_cpu:
        return f(*tensors)
    with kernel.one_thread():
        members = zip(*(tensor.split(1) for tensor in tensors), strict=True)
        made = [f(*(own.clone(memory_format=torch.contiguous_format) for own in member)) for member in members]
    return tuple(torch.cat(parts) for parts in zip(*made, strict=True))
