"""Which code, packages and commit made a store."""

from __future__ import annotations

import ast
import io
import platform
import subprocess
import tokenize
from collections.abc import Iterable
from functools import cache
from hashlib import sha256
from importlib import import_module, metadata
from pathlib import Path

import sciml_lib

PACKAGE = Path(__file__).resolve().parents[1]
TRAINING_ROOMS = ("systems", "models", "problems", "optim", "strategies")
"""The rooms that a run's numbers come from."""


def versions() -> dict[str, str]:
    """Versions of what trains: Python, this library, PyTorch, NumPy."""
    found = {"python": platform.python_version(), "sciml_lib": sciml_lib.__version__}
    return found | {name: metadata.version(name) for name in ("torch", "numpy")}


def library_digest(modules: Iterable[str]) -> str:
    """Fingerprint of the code that these modules and all that they import train with.

    Only the rooms that train count, and comments and docstrings do not. A new equation or strategy does not change the
    fingerprint of runs that do not use it.

    Args:
        modules: names of the modules that a plan begins with, such as ``sciml_lib.systems.wave``.
    """
    digest = sha256()
    for name in sorted(_closure(modules)):
        digest.update(f"{name}\n".encode())
        digest.update(_source(name).encode())
    return digest.hexdigest()[:16]


def _closure(modules: Iterable[str]) -> set[str]:
    """The modules and what they import, directly or not, within the rooms that train."""
    found, waiting = set(), list(modules)
    while waiting:
        name = waiting.pop()
        if name not in found and name.split(".")[:1] == ["sciml_lib"] and name.split(".")[1] in TRAINING_ROOMS:
            found.add(name)
            waiting += _imports(name)
    return found


@cache
def _imports(name: str) -> tuple[str, ...]:
    """The modules in which what a module imports by name from the rooms that train is defined."""
    needed = []
    for node in ast.walk(ast.parse(Path(import_module(name).__file__).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("sciml_lib."):
            source = import_module(node.module)
            is_package = hasattr(source, "__path__")
            for alias in node.names:
                thing = getattr(source, alias.name)
                home = getattr(thing, "__module__", None) or getattr(thing, "__name__", "")
                # A constant says nothing of where it is from; the module that it is imported from will do.
                needed.append(home if is_package and home.startswith("sciml_lib.") else node.module)
    return tuple(needed)


@cache
def _source(name: str) -> str:
    return code(Path(import_module(name).__file__).read_text(encoding="utf-8"))


def commit(folder: Path = PACKAGE) -> str:
    """The commit that is checked out; empty where there is no git or no repository."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


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
