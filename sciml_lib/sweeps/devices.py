"""The device that trains: its name, its memory and what to do when that runs out, its precision."""

from __future__ import annotations

import gc
import os
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import torch

from sciml_lib.errors import UserError, unknown

CHOICES = ("auto", "cpu", "cuda", "cuda:0")
CPU_LIMIT_BYTES = 6 * 10**9
"""No ensemble takes more on a CPU, however much there is."""

TF32_VARIABLE = "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE"
"""With it set to 1 PyTorch multiplies float32 matrices with 10 bits of mantissa; some containers of vendors set it."""

_CPU_SHARE, _GPU_SHARE = 0.5, 0.6

Part, Result = TypeVar("Part"), TypeVar("Result")


def resolve(name: str) -> torch.device:
    """Reads the name of a device; ``auto`` is the GPU if there is one.

    Raises:
        UserError: if it is no device, or one that is not there.
    """
    match = re.fullmatch(r"auto|cpu|cuda(?::([0-9]{1,40}))?", str(name))
    if not match:
        raise unknown("device", name, CHOICES)
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "cpu" or (name == "auto" and not count):
        return torch.device("cpu")
    if not count:
        raise UserError(f"device={name} asks for a GPU and PyTorch finds none; use --device cpu (or auto)")
    index = int(match[1] or 0)
    if index >= count:
        have = "cuda:0" if count == 1 else f"cuda:0 to cuda:{count - 1}"
        raise UserError(f"device={name} is not there; PyTorch finds {have}")
    return torch.device("cuda", index)


def label(device: torch.device) -> str:
    """The name under which runs record their device: ``cpu``, or the name of the GPU."""
    return "cpu" if device.type == "cpu" else torch.cuda.get_device_name(device)


def memory_budget(device: torch.device) -> int:
    """Bytes that an ensemble may take: half of what is available on a CPU (6 GB at most), 60 % on a GPU.

    Raises:
        UserError: if the GPU is so full that it cannot even be asked.
    """
    if device.type == "cpu":
        return min(CPU_LIMIT_BYTES, int(_CPU_SHARE * available_memory()))
    try:
        free, _ = torch.cuda.mem_get_info(device)
    except RuntimeError as error:  # nothing is left for this process's own context
        raise UserError(
            f"device={device} cannot be used ({str(error).splitlines()[0]}); close other programs, or use --device cpu"
        ) from error
    # What this process keeps of tensors that are gone counts as taken there, and will be used again.
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(_GPU_SHARE * (free + kept))


def available_memory() -> int:
    """Bytes of main memory that can be taken without swapping, within the limit of a container."""
    found = []
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        found += [1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")]
    except (OSError, ValueError, IndexError):
        pass
    for limit in ("memory.max", "memory/memory.limit_in_bytes"):  # control groups, version 2 and 1
        try:
            found.append(int((Path("/sys/fs/cgroup") / limit).read_text()))
        except (OSError, ValueError):
            continue
    if not found:
        try:
            found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2)
        except (OSError, ValueError, AttributeError):
            found.append(4 * 10**9)
    return max(0, min(found))


def ran_out(error: RuntimeError) -> bool:
    """Whether an error says that a GPU has no more memory: PyTorch's own word for it, or that of a library beneath it."""
    words = ("CUDA error: out of memory", "_STATUS_ALLOC_FAILED")
    return isinstance(error, torch.OutOfMemoryError) or any(word in str(error) for word in words)


def release() -> None:
    """Gives back the memory of tensors that are gone; to be called when the error that they ended in is gone, too.

    An error holds the frames that it passed through, and these hold their tensors.
    """
    gc.collect()
    torch.cuda.empty_cache()


def in_halves(
    parts: Sequence[Part],
    compute: Callable[[Sequence[Part]], Iterable[tuple[Part, Result]]],
    kind: str,
) -> Iterator[tuple[Part, Result]]:
    """Computes several things together, and in halves where the memory of the GPU runs out; a warning says so.

    Args:
        parts: what to compute.
        compute: gives each of some parts with its result, in any order.
        kind: what the parts are, such as ``runs``.

    Yields:
        Every part with its result.

    Raises:
        RuntimeError: as it came, if one part alone does not fit; what was yielded before stands.
    """
    waiting = [list(parts)]
    while waiting:
        left = waiting.pop(0)
        together = len(left)
        try:
            for part, result in compute(tuple(left)):
                left.remove(part)
                yield part, result
            continue
        except RuntimeError as error:
            if together == 1 or not ran_out(error):
                raise
        release()
        half = (len(left) + 1) // 2
        warnings.warn(f"the GPU ran out of memory with {together} {kind} at a time; it goes on with {half}", stacklevel=2)
        waiting[:0] = [some for some in (left[:half], left[half:]) if some]


@contextmanager
def computing(device: torch.device, remedy: str) -> Iterator[None]:
    """What everything that trains or measures is done in: see :func:`full_precision`; memory that runs out is a sentence.

    Args:
        device: what computes.
        remedy: what is stored, and what to type to go on, as the end of a sentence.

    Raises:
        UserError: if the GPU has no room even for the least that can be computed at a time, or the environment spoils it.
    """
    with full_precision(device):
        try:
            yield
        except RuntimeError as error:
            if not ran_out(error):
                raise
            raise UserError(
                "the GPU ran out of memory even for the least that is computed at a time: another program may be using it; "
                f"{remedy}"
            ) from error


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Products of float32 matrices have float32's precision in it, whatever this process has asked for before and after.

    With the 10 bits of mantissa that PyTorch can be told to make do with, or the 8 on some processors, line searches and the
    tolerances of gradients mean nothing.

    Args:
        device: what computes.

    Raises:
        UserError: if the environment asks a GPU for less.
    """
    if device.type == "cuda" and os.environ.get(TF32_VARIABLE) == "1":
        raise UserError(f"{TF32_VARIABLE}=1 in the environment takes half the digits from products on a GPU; unset it")
    # PyTorch has an older setting for everything and a newer one for each backend. Only setting the older one leaves the two
    # in agreement; asked for itself, it raises an error where somebody has used the newer one.
    try:
        whole = torch.get_float32_matmul_precision()
    except RuntimeError:
        whole = "highest"  # as it is where only the newer one was used
    backends = (torch.backends.cuda.matmul, torch.backends.mkldnn.matmul)
    each = [backend.fp32_precision for backend in backends]
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(whole)
        for backend, before in zip(backends, each, strict=True):
            backend.fp32_precision = before
