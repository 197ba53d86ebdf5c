"""Where stores are."""

from __future__ import annotations

import os
from pathlib import Path

from sciml_lib.errors import UserError
from sciml_lib.sweeps import provenance
from sciml_lib.sweeps.spec import Plan


def runs_folder(runs: str | os.PathLike[str] | None = None, *, must_exist: bool = False) -> Path:
    """The folder of all stores.

    It is the one that is given, or the environment's ``SCIML_RUNS``, or ``runs`` in the clone that the library runs from,
    or ``runs`` in the present folder where the library is installed. It is never inside an installed package.

    Args:
        runs: a folder; ``~`` is the home.
        must_exist: whether a folder that was named has to be there already.

    Raises:
        UserError: if it is no name of a folder, is a file, or has to be there and is not.
    """
    given = runs if runs is not None else os.environ.get("SCIML_RUNS") or None
    if given is None:
        return repository_runs() or Path.cwd() / "runs"
    try:
        if not isinstance(given, str | os.PathLike) or str(given).strip() in ("", "None") or b"\0" in str(given).encode():
            raise ValueError
        folder = Path(given).expanduser()
    except (ValueError, TypeError, RuntimeError):  # what is no text, or the home of nobody
        raise UserError(f"runs={given!r} is not a folder; leave it out for the default, or name one such as runs/") from None
    try:
        if folder.exists() and not folder.is_dir():
            raise UserError(f"{folder} is a file, not a folder of runs; name a folder, such as {folder}-runs")
        if must_exist and not folder.exists():
            raise UserError(f"there is no folder {folder}; name the folder in which the runs are stored")
    except OSError as error:
        raise UserError(f"{folder} cannot be read: {error.strerror or error}; name another folder") from error
    return folder


def repository_runs() -> Path | None:
    """The stored runs of the clone that the library runs from; None where it is installed, which gives the default folder."""
    return provenance.ROOT / "runs" if provenance.in_checkout() else None


def folder_of(plan: Plan, runs: str | os.PathLike[str] | None = None) -> Path:
    """The folder of one sweep in one profile, see :func:`runs_folder`."""
    return runs_folder(runs) / plan.sweep.id / plan.profile
