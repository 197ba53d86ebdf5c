"""Which code, packages and commit made a store."""

from __future__ import annotations

import ast
import io
import platform
import subprocess
import tokenize
from functools import cache
from hashlib import sha256
from importlib import metadata
from pathlib import Path

import sciml_lib

PACKAGE = Path(__file__).resolve().parents[1]
TRAINING_ROOMS = ("systems", "models", "problems", "optim", "strategies")
"""The rooms that a run's numbers come from."""


def versions() -> dict[str, str]:
    """Versions of what trains: Python, this library, PyTorch, NumPy."""
    found = {"python": platform.python_version(), "sciml_lib": sciml_lib.__version__}
    return found | {name: metadata.version(name) for name in ("torch", "numpy")}


@cache
def library_digest(package: Path = PACKAGE) -> str:
    """Fingerprint of the code that training runs through; comments and docstrings do not count."""
    digest = sha256()
    for room in TRAINING_ROOMS:
        for path in sorted((package / room).glob("**/*.py")):
            digest.update(f"{path.relative_to(package).as_posix()}\n".encode())
            digest.update(_code(path.read_text(encoding="utf-8")).encode())
    return digest.hexdigest()[:16]


def commit(folder: Path = PACKAGE) -> str:
    """The commit that is checked out; empty where there is no git or no repository."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def _code(source: str) -> str:
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
