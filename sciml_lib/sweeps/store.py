"""The stored runs of a sweep: ``runs/<sweep id>/<profile>/`` with ``manifest.json``, ``cells.csv`` and ``arrays/``.

One process writes, any number read. A row is appended, flushed and forced to the disk when its run ends, the final
parameters before it; everything else is replaced as a whole. So a cut at any moment leaves a store that is in order up
to its last line.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
from filelock import FileLock, Timeout

from sciml_lib.errors import UserError
from sciml_lib.strategies import MemberResult
from sciml_lib.sweeps import manifest as manifests
from sciml_lib.sweeps import rows as table
from sciml_lib.sweeps.rows import Row
from sciml_lib.sweeps.spec import Cell, Plan

ROOT = Path(__file__).resolve().parents[2]
ARCHIVE = "_archive"


def runs_folder(runs: str | os.PathLike[str] | None = None) -> Path:
    """The folder of all stores: the argument, or the environment's ``SCIML_RUNS``, or ``runs/`` of the repository."""
    return Path(runs or os.environ.get("SCIML_RUNS") or ROOT / "runs")


def folder_of(plan: Plan, runs: str | os.PathLike[str] | None = None) -> Path:
    """The folder of one sweep in one profile."""
    return runs_folder(runs) / plan.sweep.id / plan.profile


@dataclass(frozen=True)
class Stored:
    """What is in a store.

    Attributes:
        folder: where.
        manifest: what it says of itself; empty if there is no store yet.
        rows: the runs in the order in which they ended.
        good_bytes: length of the part of ``cells.csv`` that is in order.
    """

    folder: Path
    manifest: dict[str, Any]
    rows: list[Row]
    good_bytes: int = 0

    @property
    def done(self) -> set[Cell]:
        """The runs that are stored."""
        return {row.cell for row in self.rows}


def read(plan: Plan, runs: str | os.PathLike[str] | None = None) -> Stored:
    """Reads a store; one that does not exist is empty.

    Raises:
        UserError: if anything in it is not what this library wrote, or cannot be read.
    """
    folder = folder_of(plan, runs)
    manifest, cells = folder / manifests.NAME, folder / "cells.csv"
    try:
        if manifest.exists():
            content = manifests.read(manifest, plan)
            names = content["blocks"], content.get("metrics", ())
            return Stored(folder, content, *table.read(cells, plan, *names))
        if cells.exists() and cells.stat().st_size:
            raise UserError(
                f"{cells} has no {manifests.NAME} beside it, so nobody knows what its rows are; restore that file, or "
                f"put the store aside and train anew: `{plan.command} --restart`"
            )
    except OSError as error:
        raise UserError(f"{error.filename or folder} cannot be read: {error.strerror}; make it readable") from error
    return Stored(folder, {}, [])


class Writer:
    """The one process that may write to a store; a context manager that holds the lock.

    Attributes:
        plan: what is trained.
        folder: where the store is.
        rows: the stored runs by cell.
    """

    def __init__(
        self,
        plan: Plan,
        runs: str | os.PathLike[str] | None,
        *,
        blocks: Sequence[str],
        metrics: Sequence[str] = (),
        device: str = "cpu",
    ) -> None:
        """Names the store; nothing is touched before it is entered.

        Args:
            plan: what is trained.
            runs: the folder of all stores, see :func:`runs_folder`.
            blocks: names of the residual blocks.
            metrics: names of further numbers of a run.
            device: name of the device that trains, for the record.
        """
        self.plan, self.folder, self.device = plan, folder_of(plan, runs), device
        self.blocks, self.metrics = tuple(blocks), tuple(metrics)
        self.rows: dict[Cell, Row] = {}
        self._runs = runs
        self._lock = FileLock(self.folder / ".lock")
        self._params: dict[int, dict[str, np.ndarray]] = {}

    def __enter__(self) -> Self:
        """Takes the lock, reads what is there, mends a cut-off line and brings the manifest up to date.

        Raises:
            UserError: if another process writes to the store, the store is not in order, or nothing can be written.
        """
        with self.writing():
            self.folder.mkdir(parents=True, exist_ok=True)
            take(self._lock, self.folder)
        try:
            stored = read(self.plan, self._runs)
            for name, ours in (("blocks", self.blocks), ("metrics", self.metrics)):
                theirs = tuple(stored.manifest.get(name, ())) if stored.manifest else ours
                if theirs != ours:
                    raise UserError(
                        f"{self.folder / manifests.NAME} lists the {name} {', '.join(theirs) or 'none'} and not "
                        f"{', '.join(ours) or 'none'}; restore it, or `{self.plan.command} --restart`"
                    )
            self.rows = {row.cell: row for row in stored.rows}
            with self.writing():
                for draft in (*self.folder.glob("*.tmp"), *self.folder.glob("arrays/*.tmp")):
                    draft.unlink()
                self._begin(stored)
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Gives the lock back."""
        self._lock.release()

    def add(self, cell: Cell, result: MemberResult) -> bool:
        """Stores a run that has ended; False if it is stored already.

        Raises:
            UserError: if the disk is full or refuses; what was stored before is untouched.
        """
        if cell in self.rows:
            return False
        row = Row.of(cell, result, self.device)
        with self.writing():
            if cell.seed in self.plan.kept_seeds:
                self._keep(cell, result.params.numpy())
            append(self.folder / "cells.csv", row.line().encode())
        self.rows[cell] = row
        return True

    def pack(self, n_data: int) -> None:
        """Compresses the parameters of one amount of data, when all its runs have ended."""
        path = self._arrays(n_data)
        if n_data in self._params or path.exists():
            with self.writing():
                buffer = io.BytesIO()
                np.savez_compressed(buffer, **dict(sorted(self._stored_params(n_data).items())))
                replace(path, buffer.getvalue())
        self._params.pop(n_data, None)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Turns an error of the file system into a sentence."""
        try:
            yield
        except OSError as error:
            raise UserError(
                f"cannot write to {self.folder}: {error.strerror or error}; every run that ended is stored: make room "
                f"or make it writable, then go on with `{self.plan.command}`"
            ) from error

    def _begin(self, stored: Stored) -> None:
        """Writes the manifest first, so that rows are never without one, then the head of the table."""
        content = stored.manifest or manifests.fresh(self.plan, self.blocks, self.metrics)
        replace(self.folder / manifests.NAME, manifests.dumped(manifests.updated(content, self.plan, self.device)))
        cells = self.folder / "cells.csv"
        if cells.exists() and cells.stat().st_size > stored.good_bytes:
            os.truncate(cells, stored.good_bytes)
        if stored.good_bytes == 0:
            append(cells, table.header(self.blocks, self.metrics).encode())

    def _keep(self, cell: Cell, params: np.ndarray) -> None:
        arrays = self._stored_params(cell.n_data)
        arrays[params_key(cell)] = params
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        path = self._arrays(cell.n_data)
        path.parent.mkdir(exist_ok=True)
        replace(path, buffer.getvalue())

    def _stored_params(self, n_data: int) -> dict[str, np.ndarray]:
        """The parameters stored for one amount of data, read once."""
        if n_data not in self._params:
            self._params[n_data] = read_params(self._arrays(n_data))
        return self._params[n_data]

    def _arrays(self, n_data: int) -> Path:
        return self.folder / "arrays" / f"n{n_data}.npz"


def params_key(cell: Cell) -> str:
    """Name of a run's parameters in its file, such as ``c5_s0``."""
    return f"c{repr(cell.coefficient).removesuffix('.0')}_s{cell.seed}"


def read_params(path: Path) -> dict[str, np.ndarray]:
    """Reads a file of parameters by :func:`params_key`; one that does not exist is empty.

    Raises:
        UserError: if it is damaged.
    """
    if not path.exists():
        return {}
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile, zipfile.LargeZipFile) as error:
        raise UserError(
            f"{path} is damaged ({type(error).__name__}); restore it, or move it away to go on without its parameters"
        ) from error


def archive(plan: Plan, runs: str | os.PathLike[str] | None = None) -> Path | None:
    """Moves a store to ``runs/_archive/`` under a dated name; nothing is deleted.

    Returns:
        Where it is now; None if there was none.

    Raises:
        UserError: if another process writes to it, or it cannot be moved.
    """
    folder = folder_of(plan, runs)
    if not folder.exists():
        return None
    date = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S")
    target = runs_folder(runs) / ARCHIVE / plan.sweep.id / f"{plan.profile}-{date}"
    lock = FileLock(folder / ".lock")
    try:
        take(lock, folder)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            os.rename(folder, target)
        finally:
            lock.release()
    except OSError as error:
        raise UserError(f"cannot move {folder} to {target}: {error.strerror or error}; move it by hand") from error
    return target


def take(lock: FileLock, folder: Path) -> None:
    """Takes the lock of a store without waiting.

    Raises:
        UserError: if another process holds it.
    """
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise UserError(
            f"another process is writing to {folder}; wait until it ends, or stop it (this one changed nothing)"
        ) from None
    except NotImplementedError as error:
        raise UserError(f"the file system of {folder} has no locks; use --runs with a folder on another one") from error


def replace(path: Path, content: bytes) -> None:
    """Writes a file beside its place and moves it there, so that a cut leaves the old one or the new one."""
    draft = path.with_name(path.name + ".tmp")
    try:
        with open(draft, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise


def append(path: Path, line: bytes) -> None:
    """Appends one line and forces it to the disk; if that fails, the file is as it was."""
    with open(path, "ab", buffering=0) as file:
        length = file.seek(0, os.SEEK_END)
        try:
            written = 0
            while written < len(line):
                written += file.write(line[written:])
            os.fsync(file.fileno())
        except BaseException:
            with suppress(OSError):
                file.truncate(length)
            raise
