"""The stored runs of a sweep: ``runs/<sweep id>/<profile>/`` with ``manifest.json``, ``cells.csv`` and ``arrays/``.

One process writes, any number read. A row is appended, flushed and forced to the disk when its run ends, the final
parameters before it; everything else is replaced as a whole. So a cut at any moment leaves a store that is in order up
to its last line.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sciml_lib import keeper
from sciml_lib.errors import UserError
from sciml_lib.strategies import MemberResult
from sciml_lib.sweeps import manifest as manifests
from sciml_lib.sweeps import places, provenance
from sciml_lib.sweeps import rows as table
from sciml_lib.sweeps.job import Job
from sciml_lib.sweeps.rows import Row
from sciml_lib.sweeps.spec import Cell, Sweep, written

ARCHIVE = "_archive"


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


def read(job: Job) -> Stored:
    """Reads a store; one that does not exist is empty.

    Raises:
        UserError: if anything in it is not what this library wrote, or cannot be read.
    """
    folder = job.folder
    manifest, cells = folder / manifests.NAME, folder / "cells.csv"
    content = manifests.read(manifest, job)
    if content is not None:
        return Stored(folder, content, *table.read(cells, job, content["blocks"], content.get("metrics", ())))
    if keeper.read_bytes(cells):
        raise UserError(
            f"{cells} has no {manifests.NAME} beside it, which says what its rows are; restore that file, or "
            f"put the store aside and train anew: `{job.restart}`"
        )
    return Stored(folder, {}, [])


class Writer:
    """The one process that may write to a store; a context manager that holds the lock.

    Attributes:
        job: what is trained.
        folder: where the store is.
        rows: the stored runs by cell.
    """

    def __init__(self, job: Job) -> None:
        """Names the store; nothing is touched before it is entered."""
        self.job, self.folder = job, job.folder
        self.rows: dict[Cell, Row] = {}
        self._setup, self._system = job.plan.sweep.setup, job.plan.sweep.system
        self._held = ExitStack()
        self._manifest: dict[str, Any] = {}
        self._call: dict[str, Any] = {}
        self._trained = 0
        self._params: dict[int, dict[str, NDArray]] = {}

    def __enter__(self) -> Self:
        """Takes the lock, reads what is there, mends a cut-off line and writes the manifest if there is none.

        Raises:
            UserError: if another process writes to the store, the store is not in order, or nothing can be written.
        """
        with self.writing():
            self.folder.mkdir(parents=True, exist_ok=True)
            self._held.enter_context(keeper.locked(self.folder))
        try:
            stored = read(self.job)
            self._check_names(stored.manifest)
            self.rows = {row.cell: row for row in stored.rows}
            with self.writing():
                for draft in (*self.folder.glob("*.tmp"), *self.folder.glob("arrays/*.tmp")):
                    draft.unlink()
                self._begin(stored)
        except BaseException:
            self._held.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Notes what was trained, and gives the lock back."""
        try:
            if self._trained:
                with self.writing():
                    self._write_manifest()
        finally:
            self._held.close()

    def add(self, cell: Cell, result: MemberResult) -> bool:
        """Stores a run that has ended; False if it is stored already.

        Raises:
            UserError: if the disk is full or refuses; what was stored before is untouched.
        """
        if cell in self.rows:
            return False
        row = Row.of(cell, result, self.job.label)
        with self.writing():
            if not self._trained:  # before its first row: no row is without the code that trained it
                self._write_manifest()
            if cell.seed in self.job.plan.kept_seeds:
                self._keep(cell, result.params.numpy())
            keeper.append(self.folder / "cells.csv", row.line().encode())
        self.rows[cell] = row
        self._trained += 1
        return True

    def take(self, rows: Sequence[Row], params: Mapping[Cell, NDArray], manifest: Mapping[str, Any]) -> None:
        """Stores runs of another store, whose manifest says who trained them.

        Raises:
            UserError: as :meth:`add`.
        """
        self._manifest = manifests.with_calls_of(self._manifest, manifest)
        with self.writing():
            self._write_manifest()
            for n_data in sorted({cell.n_data for cell in params}):
                arrays = self._stored_params(n_data)
                arrays |= {params_key(cell): array for cell, array in params.items() if cell.n_data == n_data}
                path = _arrays(self.folder, n_data)
                path.parent.mkdir(exist_ok=True)
                keeper.replace(path, keeper.packed(arrays))
            keeper.append(self.folder / "cells.csv", "".join(row.line() for row in rows).encode())
        self.rows |= {row.cell: row for row in rows}

    def pack(self, n_data: int) -> None:
        """Compresses the parameters of one amount of data, when all its runs have ended."""
        path = _arrays(self.folder, n_data)
        if n_data in self._params or path.exists():
            with self.writing():
                keeper.replace(path, keeper.packed(self._stored_params(n_data)))
        self._params.pop(n_data, None)

    def writing(self) -> AbstractContextManager[None]:
        """Turns an error of the file system into a sentence."""
        safe = f"{len(self.rows):,} runs are stored" if self.rows else "no run is lost"
        return keeper.writing(self.folder, safe, f"go on with `{self.job.command}`")

    def _check_names(self, manifest: Mapping[str, Any]) -> None:
        """Refuses a manifest whose rows have other columns."""
        self.blocks, self.metrics = self._setup.term_names(self._system), self._setup.metric_names(self._system)
        for name, ours in (("blocks", self.blocks), ("metrics", self.metrics)):
            theirs = tuple(manifest.get(name, ())) if manifest else ours
            if theirs != ours:
                raise UserError(
                    f"{self.folder / manifests.NAME} lists the {name} {', '.join(theirs) or 'none'} and not "
                    f"{', '.join(ours) or 'none'}; restore it, or `{self.job.restart}`"
                )

    def _begin(self, stored: Stored) -> None:
        """Writes the manifest first, so that rows are never without one, then the head of the table."""
        plan, path = self.job.plan, self.folder / manifests.NAME
        self._call = provenance.this_call(self.job.label, plan.code)
        if not stored.rows:
            self._manifest = manifests.fresh(plan, self.blocks, self.metrics)
            self._write_manifest()
        else:
            self._manifest = manifests.described(stored.manifest, plan)
            if self._manifest != stored.manifest:
                keeper.replace(path, keeper.dumped(self._manifest))
        cells = self.folder / "cells.csv"
        if cells.exists() and cells.stat().st_size > stored.good_bytes:
            os.truncate(cells, stored.good_bytes)
        if stored.good_bytes == 0:
            keeper.append(cells, table.header(self.blocks, self.metrics).encode())

    def _write_manifest(self) -> None:
        call = self._call | {"ended": keeper.now()}
        keeper.replace(self.folder / manifests.NAME, keeper.dumped(manifests.updated(self._manifest, self.job.plan, call)))

    def _keep(self, cell: Cell, params: NDArray) -> None:
        arrays = self._stored_params(cell.n_data)
        arrays[params_key(cell)] = params
        path = _arrays(self.folder, cell.n_data)
        path.parent.mkdir(exist_ok=True)
        keeper.replace(path, keeper.packed(arrays, compressed=False))

    def _stored_params(self, n_data: int) -> dict[str, NDArray]:
        """The parameters stored for one amount of data, read once."""
        if n_data not in self._params:
            self._params[n_data] = read_params(self.job, n_data)
        return self._params[n_data]


def params_key(cell: Cell) -> str:
    """Name of a run's parameters in its file, such as ``c5_s0``."""
    return f"c{written(cell.coefficient)}_s{cell.seed}"


def read_params(job: Job, n_data: int) -> dict[str, NDArray]:
    """The stored parameters of one amount of data by :func:`params_key`; empty if there are none.

    Raises:
        UserError: if the file is damaged, or what is in it are no parameters of this sweep's networks.
    """
    path = _arrays(job.folder, n_data)
    remedy = "restore it, or move it away to go on without its parameters"
    found = keeper.read_npz(path, remedy)
    for name, array in found.items():
        if array.shape != (job.plan.n_params,) or array.dtype not in (np.float32, np.float64):
            raise UserError(
                f"{path} is damaged ({name} is {array.dtype} {list(array.shape)}, and a network of {job.plan.sweep.id} has "
                f"{job.plan.n_params} parameters in single or double precision); {remedy}"
            )
    return found


def params_of(job: Job, cell: Cell) -> NDArray | None:
    """The stored parameters ``[P]`` of one run; None if they are not stored.

    Raises:
        UserError: as :func:`read_params`.
    """
    return read_params(job, cell.n_data).get(params_key(cell))


def _arrays(folder: Path, n_data: int) -> Path:
    return folder / "arrays" / f"n{n_data}.npz"


def archive(sweep: Sweep | str, profile: str = "laptop", runs: str | os.PathLike[str] | None = None) -> Path | None:
    """Moves a store to ``runs/_archive/`` under a dated name; nothing is deleted.

    Args:
        sweep: a sweep, or the id of one.
        profile: of the store.
        runs: the folder of all stores; by default see :func:`~sciml_lib.sweeps.places.runs_folder`.

    Returns:
        Where it is now; None if there was none.

    Raises:
        UserError: if another process writes to it, or it cannot be moved.
    """
    job = Job.of(sweep, profile, runs=runs)
    folder, plan = job.folder, job.plan
    if not folder.exists():
        return None
    date = keeper.now()[:19].replace(":", "-")
    target, again = places.runs_folder(job.runs) / ARCHIVE / plan.sweep.id / f"{plan.profile}-{date}", 2
    try:
        with keeper.locked(folder):
            target.parent.mkdir(parents=True, exist_ok=True)
            while target.exists():  # another one was put aside in the same second
                target, again = target.with_name(f"{plan.profile}-{date}-{again}"), again + 1
            os.rename(folder, target)
    except OSError as error:
        raise UserError(f"cannot move {folder} to {target}: {error.strerror or error}; move it by hand") from error
    return target
