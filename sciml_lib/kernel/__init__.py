"""The compiled kernel: loss and gradient of tanh networks, and directions of L-BFGS, member by member on a CPU.

The kernel is optional. Where it cannot be had, or ``SCIML_ENGINE=eager`` is set, everything goes by the eager form, in PyTorch;
a sentence says so once a process.

Why C++ and not numba: what makes it fast are sums that stay in registers, which GCC's and Clang's vector types say directly.
The same products in plain loops that numba compiles do about half as many operations a second (``benchmarks/kernel.py --with
numba``), and a compiler is on most machines where one trains, while numba and its compiler are 190 MB more for everybody.
"""

from __future__ import annotations

import ctypes
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from ctypes import c_int32, c_int64, c_void_p
from functools import cache

import torch
from torch import Tensor

from sciml_lib.kernel import build

ENGINES = ("fused", "eager")
"""Forms of an evaluation, the preferred one first."""

MAX_LAYERS, MAX_WIDTH = 32, 256
FORM = ("p1", "p2", "p3", "a_x", "a_t", "c_x", "c_t", "b_x", "b_t", "ratio", "weight")
"""The numbers of a block of residuals, one row a member; ``struct Block`` in ``kernel.cpp`` says what they are."""


def tile_bytes(hidden: Sequence[int]) -> int:
    """About how much memory a thread needs for a network with these hidden widths; no tile has more than 512 rows."""
    return 4 * 512 * (2 * sum(hidden) + 2 * max(hidden))


class Network(ctypes.Structure):
    """The widths of a network with two inputs and one output."""

    _fields_ = (("layers", c_int32), ("widths", c_int32 * (MAX_LAYERS + 1)))

    @classmethod
    def of(cls, hidden: Sequence[int]) -> Network:
        """The network with these hidden widths."""
        widths = (2, *hidden, 1)
        return cls(len(hidden) + 1, (c_int32 * (MAX_LAYERS + 1))(*widths))


class Block(ctypes.Structure):
    """A block of residuals; see ``struct Block`` in ``kernel.cpp``."""

    _fields_ = (
        *((name, c_void_p) for name in ("points", "partner", "offset", "multipliers", "form", "residuals")),
        *((name, c_int64) for name in ("points_step", "partner_step", "offset_step", "multipliers_step", "n")),
        *((name, c_int32) for name in ("axes", "linear")),
    )


class Kernel:
    """The functions of the compiled library for contiguous tensors on the CPU.

    Members are shared among :func:`torch.get_num_threads` threads, and each of them is computed by one thread alone.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        """Binds the library."""
        self._library = library
        library.kernel_values.argtypes = (c_void_p, c_void_p, c_int64, c_int64, c_void_p, c_int64, c_void_p)
        library.kernel_evaluate.argtypes = (*(c_void_p, c_void_p, c_int64, c_int64, c_void_p, c_int32), *[c_void_p] * 3)
        library.kernel_direction.argtypes = (*[c_void_p] * 7, c_int64, c_int64, c_int32, c_int64, c_void_p)
        library.kernel_tanh.argtypes = (c_void_p, c_void_p, c_int64)
        self.lanes: int = library.kernel_lanes()

    def tanh(self, x: Tensor) -> Tensor:
        """The hyperbolic tangent of float32 numbers as the kernel computes it."""
        y = torch.empty_like(x)
        self._library.kernel_tanh(x.data_ptr(), y.data_ptr(), x.numel())
        return y

    def values(self, network: Network, params: Tensor, points: Tensor) -> Tensor:
        """The networks' values ``[M, n]`` at ``points [n, 2]``, for ``params [M, P]``."""
        values = params.new_empty(len(params), len(points))
        function, net = self._library.kernel_values, ctypes.byref(network)
        ends = (points.data_ptr(), len(points), values.data_ptr())
        _over_members(len(params), lambda i, j: function(net, params.data_ptr(), i, j, *ends))
        return values

    def evaluate(
        self, network: Network, params: Tensor, blocks: Sequence[Block], *, gradient: bool
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """The blocks' mean squares, the loss, and its gradient if it is wanted.

        Args:
            network: the network.
            params: ``[M, P]``.
            blocks: the residuals; what their pointers point to has to live on.
            gradient: whether the gradient is wanted.

        Returns:
            ``[M, blocks]`` and ``[M]`` in float64, and ``[M, P]``.
        """
        m = len(params)
        squares = torch.empty(m, len(blocks), dtype=torch.float64)
        loss = torch.empty(m, dtype=torch.float64)
        grad = torch.empty_like(params) if gradient else None
        function, net, listed = self._library.kernel_evaluate, ctypes.byref(network), (Block * len(blocks))(*blocks)
        ends = (listed, len(blocks), squares.data_ptr(), loss.data_ptr(), None if grad is None else grad.data_ptr())
        _over_members(m, lambda i, j: function(net, params.data_ptr(), i, j, *ends))
        return squares, loss, grad

    def direction(
        self, s: Tensor, y: Tensor, products: Tensor, gamma: Tensor, pairs: Tensor, grad: Tensor, members: Tensor
    ) -> Tensor:
        """Directions of L-BFGS ``[len(members), P]``; see :class:`~sciml_lib.optim.history.History` for the arguments."""
        found = grad.new_empty(len(members), grad.shape[1])
        function = self._library.kernel_direction
        begin = [part.data_ptr() for part in (s, y, products, gamma, pairs, grad, members)]
        ends = (s.shape[1], grad.shape[1], found.data_ptr())
        _over_members(len(members), lambda i, j: function(*begin, i, j, *ends))
        return found


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="kernel")


def _over_members(m: int, call: Callable[[int, int], object]) -> None:
    """Calls a function for members ``i`` to ``j - 1`` in as many parts as there are threads; it waits for all."""
    parts = max(1, min(torch.get_num_threads(), m))
    edges = [m * k // parts for k in range(parts + 1)]
    others = [_pool(parts - 1).submit(call, edges[k], edges[k + 1]) for k in range(1, parts)] if parts > 1 else []
    call(edges[0], edges[1])
    for other in others:
        other.result()


@contextmanager
def one_thread() -> Iterator[None]:
    """Gives PyTorch one thread: some of its routines round by the number of them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@cache
def _wanted(name: str) -> str:
    """Reads ``SCIML_ENGINE``."""
    if name in ("", *ENGINES):
        return name or ENGINES[0]
    warnings.warn(f"SCIML_ENGINE={name!r} is none of {', '.join(ENGINES)}; {ENGINES[0]} is used", stacklevel=3)
    return ENGINES[0]


@cache
def _built() -> Kernel | None:
    """The kernel, if it can be had."""
    try:
        library, said = build.load()
    except build.Unavailable as error:
        say_eager(str(error), "install g++ or clang++ for a training that is 2 to 4 times faster")
        return None
    if said:
        warnings.warn(said, stacklevel=3)
    return Kernel(library)


def get() -> Kernel | None:
    """The kernel; None where it is not wanted or cannot be had."""
    return _built() if _wanted(os.environ.get("SCIML_ENGINE", "")) == "fused" else None


def say_eager(why: str, remedy: str) -> None:
    """Says that the eager form takes over."""
    warnings.warn(f"{why}, so the eager form is used; {remedy}, or set SCIML_ENGINE=eager if it is meant", stacklevel=3)
