"""The device that trains, and how much memory an ensemble may take there."""

from __future__ import annotations

import os
import re
from pathlib import Path

import torch

from sciml_lib.errors import UserError, unknown

CHOICES = ("auto", "cpu", "cuda", "cuda:0")
CPU_LIMIT_BYTES = 6 * 10**9
"""No ensemble takes more on a CPU, however much there is."""

_CPU_SHARE, _GPU_SHARE = 0.5, 0.6


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
    """Bytes that an ensemble may take: half of what is available on a CPU (6 GB at most), 60 % on a GPU."""
    if device.type == "cuda":
        return int(_GPU_SHARE * torch.cuda.mem_get_info(device)[0])
    return min(CPU_LIMIT_BYTES, int(_CPU_SHARE * available_memory()))


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
