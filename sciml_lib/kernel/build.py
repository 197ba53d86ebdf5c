"""Compiles ``kernel.cpp`` at first use, and keeps the result in the user's cache."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import subprocess
import tempfile
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from sciml_lib.errors import UserError
from sciml_lib.systems import cache

SOURCE = Path(__file__).with_name("kernel.cpp")
COMPILERS = ("c++", "g++", "clang++")
FLAGS = ("-std=c++17", "-O3", "-march=native", "-ffp-contract=fast", "-fno-math-errno", "-fPIC", "-shared")
SECONDS = 300.0
"""A compiler that takes longer is given up; a few seconds are usual."""


class Unavailable(Exception):
    """There is no kernel; the message is the reason as part of a sentence."""


def load() -> tuple[ctypes.CDLL, str]:
    """The compiled kernel, from the cache or made now.

    The cache is ``kernel/`` in the folder of :func:`sciml_lib.systems.cache.folder`; a file there is named by the source, the
    compiler, its flags and the processor. ``CXX`` of the environment names a compiler.

    Returns:
        The library, and a sentence about a cache that cannot be written; empty if there is nothing to say.

    Raises:
        Unavailable: there is no compiler, or it cannot build the kernel.
    """
    compiler = _compiler()
    name = f"kernel-{_digest(compiler)}.so"
    try:
        folder = cache.folder() / "kernel"
        folder.mkdir(parents=True, exist_ok=True)
        kept = folder / name
        if kept.is_file():
            with suppress(OSError):  # what is damaged is built anew
                return ctypes.CDLL(str(kept)), ""
        return _opened(_compiled(compiler, kept)), ""
    except (OSError, UserError) as error:
        said = error if isinstance(error, UserError) else f"the kernel cannot be kept ({error})"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # a library stays open when its file is gone
        try:
            return _opened(_compiled(compiler, Path(folder) / name)), f"{said}; it is built anew by every process"
        except OSError as error:
            raise Unavailable(f"the kernel can be kept nowhere ({error})") from None


def _compiler() -> list[str]:
    """The command of a compiler."""
    wanted = os.environ.get("CXX", "").split()
    if wanted:
        if shutil.which(wanted[0]) is None:
            raise Unavailable(f"CXX={os.environ['CXX']!r} names no compiler")
        return wanted
    for name in COMPILERS:
        if found := shutil.which(name):
            return [found]
    raise Unavailable(f"there is no C++ compiler ({', '.join(COMPILERS)})")


def _digest(compiler: list[str]) -> str:
    """Fingerprint of everything that the compiled file depends on."""
    try:
        version = subprocess.run([*compiler, "--version"], capture_output=True, timeout=SECONDS, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable(f"the compiler {compiler[0]} does not run ({_first_line(error)})") from None
    parts = (SOURCE.read_bytes(), version, " ".join((*compiler, *FLAGS)).encode(), _processor().encode())
    digest = sha256()
    for part in parts:
        digest.update(sha256(part).digest())
    return digest.hexdigest()[:16]


def _processor() -> str:
    """What the processor can do: a folder may be shared by unlike machines."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    found = {line.partition(":")[2].strip() for line in lines if line.split(":")[0].strip() in ("flags", "Features")}
    return " ".join((platform.machine(), *sorted(found))) or platform.processor()


def _compiled(compiler: list[str], path: Path) -> Path:
    """Compiles into a file that is there whole or not at all, also beside others who do the same."""
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f"{path.stem}-", suffix=".part")
    os.close(handle)
    try:
        command = [compiler[0], *FLAGS, *compiler[1:], "-o", draft, str(SOURCE)]  # a person's own flags win
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=SECONDS)
        if done.returncode:
            raise Unavailable(f"{Path(compiler[0]).name} cannot build the kernel ({_first_line(done.stderr)})")
        Path(draft).replace(path)
    except subprocess.SubprocessError as error:
        raise Unavailable(f"{Path(compiler[0]).name} cannot build the kernel ({_first_line(error)})") from None
    finally:
        Path(draft).unlink(missing_ok=True)
    return path


def _opened(path: Path) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        path.unlink(missing_ok=True)
        raise Unavailable(f"the compiled kernel cannot be loaded ({_first_line(error)})") from None


def _first_line(error: object) -> str:
    """What went wrong, short enough for a sentence."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = next((line for line in lines if "error" in line), lines[0] if lines else "it says nothing")
    return told if len(told) <= 120 else told[:117] + "..."
