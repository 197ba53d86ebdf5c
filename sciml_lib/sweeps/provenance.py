"""Which code, packages and commit made a store."""

from __future__ import annotations

import ast
import inspect
import io
import os
import platform
import subprocess
import sys
import sysconfig
import textwrap
import tokenize
from collections.abc import Iterable, Iterator
from functools import cache
from hashlib import sha256
from importlib import import_module, metadata, util
from pathlib import Path
from types import CodeType
from typing import Any

import torch

import sciml_lib
from sciml_lib import keeper, kernel
from sciml_lib.keeper import COMMIT, DATE, TEXT, VERSIONS

PACKAGE = Path(__file__).resolve().parents[1]
ROOT = PACKAGE.parent
TRAINING_ROOMS = ("kernel", "systems", "models", "problems", "optim", "strategies")
"""The rooms that a run's numbers come from."""

_CALL = {"started": DATE, "ended": DATE, "device": TEXT, "versions": VERSIONS, "commit": COMMIT, "library": TEXT}


def _are_calls(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, dict) and not keeper.first_wrong(one, _CALL) for one in value)


CALLS: keeper.Kind = ("a list of calls", _are_calls)
"""What the record of a manifest has to be, see :func:`this_call`; empty where everything is older than the record."""


def in_checkout() -> bool:
    """Whether the library runs from a clone of its own repository, and is not installed somewhere else."""
    return (ROOT / "pyproject.toml").is_file() and (ROOT / ".git").exists() and (ROOT / "book").is_dir()


def versions() -> dict[str, str]:
    """Versions of what trains: Python, this library, PyTorch, NumPy."""
    found = {"python": platform.python_version(), "sciml_lib": sciml_lib.__version__}
    return found | {name: metadata.version(name) for name in ("torch", "numpy")}


def versions_in_words(several: Iterable[dict[str, str]]) -> str:
    """Packages with all their versions, such as ``python 3.11.7, torch 2.12.0 and 2.13.0``."""
    found: dict[str, list[str]] = {}
    for versions in several:
        for package, version in versions.items():
            if version not in found.setdefault(package, []):
                found[package].append(version)
    return ", ".join(f"{package} {' and '.join(each)}" for package, each in found.items())


def circumstances() -> dict[str, Any]:
    """What else a run's last digits may depend on: processor, cores, threads, engine and precision of products."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "threads": torch.get_num_threads(),
        "engine": "eager" if kernel.get() is None else "fused",
        "float32_precision": torch.get_float32_matmul_precision(),
    }


def _gpu_software(device: str) -> dict[str, str]:
    """Versions of what a GPU computes with beside PyTorch; empty for a CPU."""
    return {} if device == "cpu" else {"cuda": torch.version.cuda or "", "driver": _driver()}


@cache
def _driver() -> str:
    """Version of the GPU's driver; empty where nothing tells."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.split("\n")[0].strip()


@cache
def _processor() -> str:
    """The processor's name as the system gives it, or its architecture."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    except OSError:
        pass
    return platform.processor() or platform.machine()


def this_call(device: str, parts: Iterable[type | str]) -> dict[str, Any]:
    """Who computes, from now on, for the record of a manifest.

    Args:
        device: its name.
        parts: what the computation begins with, see :func:`library_digest`.
    """
    started = keeper.now()
    return {
        "started": started,
        "ended": started,
        "device": device,
        **circumstances(),
        **_gpu_software(device),
        "versions": versions(),
        "commit": commit(),
        "library": library_digest(parts),
    }


def with_call(calls: Iterable[dict[str, Any]], call: dict[str, Any]) -> list[dict[str, Any]]:
    """The record with one more call; calls of the same set-up share an entry, from the start of the first on."""
    found = [dict(one) for one in calls]
    same = next((one for one in found if _set_up(one) == _set_up(call)), None)
    if same is None:
        return [*found, call]
    same["ended"] = call["ended"]
    return found


def _set_up(call: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in call.items() if name not in ("started", "ended")}


def library_digest(parts: Iterable[type | str]) -> str:
    """Fingerprint of the code that trains: these classes and modules, and all that they import.

    Of the library only the rooms that train count; of other code, such as somebody's own equation or optimiser, every
    module that is neither Python's nor an installed package's. Comments and docstrings do not count. A new equation or
    strategy does not change the fingerprint of runs that do not use it.

    Args:
        parts: what a plan begins with: names of modules such as ``sciml_lib.systems.wave``, or classes.
    """
    digest = sha256()
    names: set[str] = set()
    for part in parts:
        if isinstance(part, str):
            names.add(part)
        elif _file(part.__module__):
            names.add(part.__module__)
        elif part.__module__ not in sys.builtin_module_names:  # typed into a notebook or a prompt
            digest.update(f"{part.__qualname__}\n".encode())
            for line in sorted(_methods(part)):
                digest.update(line.encode())
    for name in sorted(_closure(names)):
        digest.update(f"{name}\n".encode())
        digest.update(_source(name).encode())
    return digest.hexdigest()[:16]


def _closure(modules: Iterable[str]) -> set[str]:
    """The modules and what they import, directly or not, as far as it counts."""
    found, waiting = set(), list(modules)
    while waiting:
        name = waiting.pop()
        if name not in found and _counts(name):
            found.add(name)
            waiting += _imports(name) if _is_ours(name) else _imports_of_own(name)
    return found


def _is_ours(name: str) -> bool:
    return name.split(".")[0] == "sciml_lib"


@cache
def _counts(name: str) -> bool:
    """Whether a module's code is part of a fingerprint."""
    if _is_ours(name):
        return name.split(".")[1:2] != [] and name.split(".")[1] in TRAINING_ROOMS
    file = _file(name)
    if file is None or file.suffix != ".py":
        return False
    installed = {sysconfig.get_path(key) for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    return not any(file.is_relative_to(Path(path).resolve()) for path in installed)


def _file(name: str) -> Path | None:
    """Where a module's source is; None for one that has none."""
    module = sys.modules.get(name)
    if module is None:
        try:
            module = import_module(name)
        except ImportError:
            return None
    file = getattr(module, "__file__", None)
    return None if file is None or not Path(file).is_file() else Path(file).resolve()


@cache
def _imports(name: str) -> tuple[str, ...]:
    """The modules in which what a module of the library imports by name from the rooms that train is defined."""
    needed = []
    for node in ast.walk(ast.parse(_text(name))):
        if isinstance(node, ast.ImportFrom) and node.module and _is_ours(node.module):
            needed += _homes(node.module, node.names)
    return tuple(needed)


def _imports_of_own(name: str) -> Iterator[str]:
    """All modules that a module outside the library imports."""
    package = getattr(sys.modules.get(name), "__package__", None) or ""
    for node in ast.walk(ast.parse(_text(name))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            try:
                yield from _homes(util.resolve_name(module, package) if node.level else module, node.names)
            except ImportError:
                continue


def _homes(module: str, names: Iterable[ast.alias]) -> list[str]:
    """The modules in which some names of a module are defined."""
    source = import_module(module)
    is_package = hasattr(source, "__path__")
    homes = []
    for alias in names:
        thing = getattr(source, alias.name, None)
        home = getattr(thing, "__module__", None) or getattr(thing, "__name__", "")
        # A constant says nothing of where it is from; the module that it is imported from will do.
        homes.append(home if is_package and isinstance(home, str) and home.split(".")[0] == module.split(".")[0] else module)
    return homes


def _methods(cls: type) -> Iterator[str]:
    """The methods and constants of a class that has no source file: their source where it is known, else compiled."""
    for name, value in vars(cls).items():
        function = inspect.unwrap(getattr(value, "fget", None) or getattr(value, "__func__", value))
        if isinstance(getattr(function, "__code__", None), CodeType):
            try:
                yield f"{name}: {code(textwrap.dedent(inspect.getsource(function)))}"
            except (OSError, TypeError, SyntaxError):
                yield f"{name}: {_compiled(function.__code__)}"
        elif not name.startswith("__"):
            yield f"{name} = {value!r}" if isinstance(value, int | float | str | tuple) else name


def _compiled(code: CodeType) -> str:
    constants = [_compiled(one) if isinstance(one, CodeType) else repr(one) for one in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {constants}"


def _source(name: str) -> str:
    return _code_of(name) + _compiled_code_of(name) if _is_ours(name) else code(_text(name))


@cache
def _code_of(name: str) -> str:
    return code(_text(name))


@cache
def _compiled_code_of(name: str) -> str:
    """The C++ beside a module that has some, without comments and empty lines."""
    file = _file(name)
    beside = sorted(file.parent.glob("*.cpp")) if file and file.name == "__init__.py" else []
    lines = (line.partition("//")[0].rstrip() for path in beside for line in path.read_text(encoding="utf-8").splitlines())
    return "\n".join(line for line in lines if line)


def _text(name: str) -> str:
    file = _file(name)
    return "" if file is None else file.read_text(encoding="utf-8")


def commit() -> str:
    """The commit of the library's own repository that is checked out; empty if it does not run from one."""
    if not in_checkout():
        return ""
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), "rev-parse", "--show-toplevel", "HEAD"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    top, head = done.stdout.split("\n")[:2]
    return head if Path(top).resolve() == ROOT else ""


def code(source: str) -> str:
    """Source text without comments, docstrings and empty lines."""
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        body = getattr(node, "body", None)
        if not isinstance(body, list):
            continue
        for statement in body:
            value = statement.value if isinstance(statement, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                for i in range(statement.lineno - 1, statement.end_lineno or statement.lineno):
                    lines[i] = ""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    return "\n".join(line.rstrip() for line in lines if line.strip())
