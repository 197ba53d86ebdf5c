"""A pretended CUDA device: the numbers live on the CPU, and the rules are those of a GPU.

PyTorch's device checks are part of its CUDA kernels, so that code which mixes devices runs happily where there is no GPU.
Here tensors carry a mark that says "on the GPU". It sits on their storage, so that views, and whatever autograd makes, have it,
too. What CUDA refuses is refused, what makes the host wait for the device is counted, and the numbers stay those of the CPU.

What it cannot see: how CUDA's own kernels round, kernels that CUDA lacks, gradients that flow from one device to the other,
the allocator, and time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

CUDA, CPU = torch.device("cuda", 0), torch.device("cpu")
NAME = "Pretended GPU"

WAITS = {
    "_local_scalar_dense": "item",
    "_linalg_check_errors": "check of a factorisation",
    "_linalg_eigh": "check of a factorisation",
}
WAITS |= {"_linalg_svd": "check of a factorisation", "equal": "equal", "nonzero": "nonzero", "masked_select": "boolean mask"}
WAITS |= {
    "_unique2": "unique",
    "unique_dim": "unique",
    "unique_consecutive": "unique",
    "repeat_interleave": "repeat_interleave",
}
"""Operations whose result the host needs before it goes on."""

NO_KERNEL = {
    "detach",
    "alias",
    "lift_fresh",
    "empty",
    "empty_like",
    "empty_strided",
    "new_empty",
    "new_empty_strided",
    "_unsafe_view",
}
STRICT = {
    "cat",
    "stack",
    "bmm",
    "baddbmm",
    "mm",
    "addmm",
    "gather",
    "scatter",
    "scatter_add",
    "index_select",
    "linalg_solve_triangular",
}
"""Operations that take no number on the CPU beside tensors on the GPU."""


class DeviceFault(BaseException):
    """What CUDA would refuse; no ``except Exception`` of the code under test may hide it."""


@dataclass
class Counts:
    """What the device was asked to do: kernels, and by what the host was made to wait for it."""

    launches: int = 0
    waits: Counter[str] = field(default_factory=Counter)

    @property
    def synchronisations(self) -> int:
        """How often the host waited."""
        return self.waits.total()

    def reset(self) -> None:
        """Begins anew."""
        self.launches = 0
        self.waits.clear()


def on_gpu(x: object) -> bool:
    """Whether something is a tensor on the pretended device."""
    return isinstance(x, Tensor) and hasattr(x.untyped_storage(), "pretended")


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    """The tensors among some arguments or results, which may be lists of them."""
    for x in values:
        if isinstance(x, Tensor):
            yield x
        elif isinstance(x, list | tuple):
            yield from _tensors(x)


def _mark(out: Any) -> Any:
    for x in _tensors((out,)):
        x.untyped_storage().pretended = True
    return out


@cache
def _facts(func: Any) -> tuple[str, bool]:
    """The name of an operation, and whether it launches a kernel."""
    name = func._schema.name.removeprefix("aten::")
    return name, not (func.is_view or name in NO_KERNEL)


class _Kernels(TorchDispatchMode):
    """What reaches the device, autograd's own operations among it."""

    def __init__(self, counts: Counts) -> None:
        super().__init__()
        self.counts = counts
        self.target: bool | None = None  # where all results go while something is copied or made

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        name, launches = _facts(func)
        tensors = list(_tensors((*args, *kwargs.values())))
        there = [on_gpu(x) for x in tensors]
        gpu = any(there) if self.target is None else self.target
        if gpu:
            self.counts.launches += launches
            if kwargs.get("generator") is not None:
                raise DeviceFault(f"{name}: expected a 'cuda' device type for generator but found 'cpu'")
        if self.target is None and gpu:
            if not all(there):
                self._check(func, name, args, [x for x, on in zip(tensors, there, strict=True) if not on])
            self._wait(name, args)
        out = func(*args, **kwargs)
        to_host = name == "copy_" and not on_gpu(args[0])
        return _mark(out) if gpu and not to_host else out

    def _check(self, func: Any, name: str, args: tuple, host: list[Tensor]) -> None:
        """Refuses tensors on the CPU where CUDA does."""
        if name == "copy_":
            return
        if name in ("index", "index_put", "index_put_", "_index_put_impl_") and on_gpu(args[0]):
            host = [x for x in args[2:3] if not on_gpu(x)]  # the indices may lie anywhere
        scalars = all(x.dim() == 0 for x in host) and name not in STRICT
        into_host = func._schema.is_mutable and not on_gpu(args[0])
        if host and (into_host or not scalars):
            shapes = [list(x.shape) for x in host]
            raise DeviceFault(f"{name}: expected all tensors to be on the same device, but found {shapes} on the CPU")

    def _wait(self, name: str, args: tuple) -> None:
        """Counts what makes the host wait for the device."""
        waits = self.counts.waits
        if name in WAITS:
            waits[WAITS[name]] += 1
        elif name == "copy_":
            if not on_gpu(args[0]):
                waits["copy to the host"] += 1
            elif not on_gpu(args[1]):
                waits["copy to the device"] += 1
        elif name in ("index", "index_put", "index_put_", "_index_put_impl_"):
            fills = name != "index" and args[2].dim() == 0 and not on_gpu(args[2])  # a number wherever the mask is set
            for index in (x for x in args[1] if x is not None):
                if not on_gpu(index):
                    waits["copy to the device"] += 1
                elif index.dtype == torch.bool and not fills:
                    waits["boolean mask"] += 1


class _Functions(TorchFunctionMode):
    """What a program says to PyTorch: which device it names, and what it asks a tensor for."""

    def __init__(self, counts: Counts) -> None:
        super().__init__()
        self.counts, self.kernels = counts, _Kernels(counts)
        self.rules: dict[Any, Callable[..., Any]] = {
            Tensor.device.__get__: lambda x, *_: CUDA if on_gpu(x) else CPU,
            Tensor.is_cuda.__get__: lambda x, *_: on_gpu(x),
            Tensor.is_cpu.__get__: lambda x, *_: not on_gpu(x),
            Tensor.get_device: lambda x: 0 if on_gpu(x) else -1,
            Tensor.to: self._to,
            Tensor.cpu: lambda x, **_: self._moved(x, False),
            Tensor.cuda: lambda x, *_, **__: self._moved(x, True),
            Tensor.pin_memory: self._pinned,
            Tensor.tolist: lambda x: self._moved(x, False).tolist(),
            torch.as_tensor: self._as_tensor,
            torch.tensor: self._tensor,
            Tensor.new_tensor: lambda x, data, **options: self._tensor(
                data, **{"dtype": x.dtype, "device": _where(x)} | options
            ),
        }
        for asked in (Tensor.numpy, Tensor.__array__, Tensor.data_ptr):
            self.rules[asked] = partial(self._on_host, asked)

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        rule = self.rules.get(func)
        if rule is not None:
            return rule(*args, **kwargs)
        if kwargs.get("device") is None:
            return func(*args, **kwargs)
        return self._placed(func, *args, **kwargs)

    def _placed(self, func: Any, *args: Any, device: Any, **kwargs: Any) -> Any:
        """Makes a tensor where the caller wants it."""
        gpu = torch.device(device).type == "cuda"
        self.kernels.target = gpu
        try:
            out = func(*args, device=CPU, **kwargs)
        finally:
            self.kernels.target = None
        return _mark(out) if gpu else out

    def _moved(self, x: Tensor, gpu: bool, *, non_blocking: bool = False) -> Tensor:
        if on_gpu(x) == gpu:
            return x
        if not (gpu and non_blocking and hasattr(x.untyped_storage(), "pinned")):
            self.counts.waits["copy to the device" if gpu else "copy to the host"] += 1
        self.kernels.target = gpu
        try:
            return x.clone()
        finally:
            self.kernels.target = None

    def _to(self, x: Tensor, *args: Any, copy: bool = False, **kwargs: Any) -> Tensor:
        if args and isinstance(args[0], Tensor):
            args = (_where(args[0]), args[0].dtype, *args[1:])
        device, dtype, non_blocking, _ = torch._C._nn._parse_to(*args, **kwargs)
        gpu = on_gpu(x) if device is None else device.type == "cuda"
        y = self._moved(x, gpu, non_blocking=non_blocking)
        return y.to(dtype or x.dtype, copy=copy and y is x)

    def _pinned(self, x: Tensor) -> Tensor:
        y = self._on_host(Tensor.clone, x)
        y.untyped_storage().pinned = True
        return y

    def _as_tensor(self, data: Any, dtype: Any = None, device: Any = None) -> Tensor:
        if isinstance(data, Tensor):
            return self._to(data, device or _where(data), dtype or data.dtype)
        if device is None or torch.device(device).type == "cpu":
            return torch.as_tensor(data, dtype=dtype)
        return self._tensor(data, dtype=dtype, device=device)

    def _tensor(self, data: Any, *, device: Any = None, **options: Any) -> Tensor:
        if device is None or torch.device(device).type == "cpu":
            return torch.tensor(data, **options)
        self.counts.waits["copy to the device"] += 1
        return self._placed(torch.tensor, data, device=device, **options)

    @staticmethod
    def _on_host(func: Any, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        if on_gpu(x):
            raise DeviceFault(f"{func.__name__}: can't convert cuda:0 device type tensor; use Tensor.cpu() first")
        return func(x, *args, **kwargs)


def _where(x: Tensor) -> torch.device:
    return CUDA if on_gpu(x) else CPU


@contextmanager
def pretended(free: int = 80 * 10**9, kept: int = 0) -> Iterator[Counts]:
    """Makes PyTorch believe that it has a GPU.

    Args:
        free: bytes that the driver says are free.
        kept: bytes of them gone that this process keeps for tensors to come.

    Yields:
        What is counted.
    """
    counts = Counts()
    functions = _Functions(counts)
    driver = {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "get_device_name": lambda device=None: NAME,
        "mem_get_info": lambda device=None: (free, free + kept),
        "memory_reserved": lambda device=None: kept,
        "memory_allocated": lambda device=None: 0,
        "synchronize": lambda device=None: counts.waits.update(["synchronize"]),
        "empty_cache": lambda: None,
    }
    with mock.patch.multiple(torch.cuda, **driver), functions, functions.kernels:
        yield counts
