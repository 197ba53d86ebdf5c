"""The cache of computed data: a folder of the user's, outside of the project, that may be deleted at any time."""

from __future__ import annotations

import os
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sciml_lib.errors import UserError


def folder() -> Path:
    """The folder of computed data: ``SCIML_CACHE`` of the environment, or ``sciml_lib`` in the user's cache folder.

    Raises:
        UserError: if it would lie inside the project or among installed packages, where data do not belong.
    """
    given = os.environ.get("SCIML_CACHE")
    chosen = Path(os.path.expanduser(given)) if given else _platform_cache() / "sciml_lib"
    chosen, project = chosen.resolve(), Path(__file__).resolve().parents[2]
    if chosen.is_relative_to(project) or "site-packages" in chosen.parts:
        raise UserError(f"the cache {chosen} lies inside the project or an installation; set SCIML_CACHE to a folder elsewhere")
    return chosen


def _platform_cache() -> Path:
    home = Path(os.path.expanduser("~"))
    if sys.platform == "darwin":
        return home / "Library" / "Caches"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    named = Path(os.environ.get("XDG_CACHE_HOME") or "")
    return named if named.is_absolute() else home / ".cache"


def read(path: Path, digest: str) -> dict[str, NDArray] | None:
    """The arrays of a file; None if it is not there, damaged (its checksums tell), or of another recipe."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as found:
            if str(found["digest"]) == digest:
                return {name: found[name] for name in found.files if name != "digest"}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        pass
    return None


def write(path: Path, digest: str, arrays: Mapping[str, NDArray]) -> None:
    """Writes a file whole or not at all, also beside others who write the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.stem}-", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, digest=digest, **arrays)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
