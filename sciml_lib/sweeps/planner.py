"""From the runs that are missing to ensembles that fit the memory, and back to them after a stop.

Which runs train together is the plan's word. An ensemble that has begun leaves two files in its store until it ends:
``.checkpoint-n<n_data>-<identity>.json``, its members, and, after the first half minute, ``....pt``, where they are. After
a stop the same members go on, although some of them may have their row by then.
"""

from __future__ import annotations

import json
import warnings
import zipfile
from bisect import bisect_right
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import torch

from sciml_lib import keeper
from sciml_lib.errors import UserError
from sciml_lib.problems import Problem
from sciml_lib.strategies import memory_per_member
from sciml_lib.sweeps import devices
from sciml_lib.sweeps.job import Job
from sciml_lib.sweeps.spec import Cell, Plan


@dataclass(frozen=True)
class Ensemble:
    """Runs that train side by side.

    Attributes:
        cells: the runs.
        width: slots; how many of them train at a time.
        spec_hash: fingerprint of the recipe.
    """

    cells: tuple[Cell, ...]
    width: int
    spec_hash: str

    @property
    def n_data(self) -> str:
        """The amount of data of its members, ``100``, or the smallest and the largest, ``20-400``."""
        amounts = [cell.n_data for cell in self.cells]
        low, high = min(amounts), max(amounts)
        return str(low) if low == high else f"{low}-{high}"

    @property
    def record(self) -> bytes:
        """Its members, for the file beside its checkpoint."""
        content = {"spec_hash": self.spec_hash, "width": self.width, "cells": [list(cell) for cell in self.cells]}
        return (json.dumps(content) + "\n").encode()

    def checkpoint(self, folder: Path) -> Path:
        """Where its checkpoint is, in the folder of its store."""
        return folder / f".checkpoint-n{self.n_data}-{sha256(self.record).hexdigest()[:8]}.pt"

    def begin(self, folder: Path) -> None:
        """Writes down its members before they train."""
        keeper.replace(self.checkpoint(folder).with_suffix(".json"), self.record)

    def end(self, folder: Path) -> None:
        """Removes its files after they have trained."""
        _discard(self.checkpoint(folder))


def ensembles(job: Job, done: Collection[Cell], device: torch.device, *, memory: int | None = None) -> list[Ensemble]:
    """Plans the runs that are wanted and not stored, the cheap amounts of data first.

    An ensemble that was stopped goes on as it was, if all of its missing members are wanted: from its checkpoint, or
    from the start where it was stopped before the first one, since other company would change its members' last digits.

    Args:
        job: what is wanted, and the store in which checkpoints are looked for; files of ensembles that have ended are
            removed.
        done: runs that are stored.
        device: what trains.
        memory: bytes there are; measured by default.

    Returns:
        Ensembles in the order in which to train them.

    Raises:
        UserError: if not even one run fits the memory.
    """
    plan, folder, done = job.plan, job.folder, set(done)
    missing = [cell for cell in job.cells if cell not in done]
    memory = devices.memory_budget(device) if memory is None else memory
    planned: list[Ensemble] = []
    for record in sorted(folder.glob(".checkpoint-*.json")):
        ensemble = _resumable(record, plan)
        if ensemble is None or set(ensemble.cells) <= done:
            _discard(record)
        elif set(ensemble.cells) - done <= set(missing):
            planned.append(ensemble)
            missing = [cell for cell in missing if cell not in ensemble.cells]
            fit = slots(plan, ensemble.cells, device, memory)
            if ensemble.width > fit:
                warnings.warn(
                    f"{record.stem} goes on with {ensemble.width} runs side by side as it began, although only {fit} fit the "
                    "memory that is free now; close other programs if it runs out",
                    stacklevel=2,
                )
    planned += [Ensemble(cells, slots(plan, cells, device, memory), plan.hash) for cells in plan.ensembles(missing)]
    return sorted(planned, key=lambda ensemble: ensemble.cells[0].n_data)


def slots(plan: Plan, cells: Sequence[Cell], device: torch.device, memory: int) -> int:
    """How many of the runs fit the memory side by side.

    Raises:
        UserError: if not even one does.
    """
    largest = max(cells, key=lambda cell: cell.n_data)
    problem = plan.problem([largest], device)
    each = memory_per_member(problem, plan.strategy)
    fit = members_that_fit(problem, each, len(cells), memory)
    if not fit:
        need, have = (each + evaluation_bytes(problem, 1)) / 1e9, memory / 1e9
        raise UserError(
            f"a run with n_data={largest.n_data} takes {need:.1f} GB and {have:.1f} GB may be used; "
            "close other programs, or use a machine or a profile with more room"
        )
    return fit


def members_that_fit(problem: Problem, each: int, members: int, memory: int) -> int:
    """How many of some members fit the memory, at ``each`` bytes and with the buffers of their evaluation; 0 if none does."""
    return bisect_right(range(1, members + 1), memory, key=lambda m: m * each + evaluation_bytes(problem, m))


def evaluation_bytes(problem: Problem, members: int) -> int:
    """Size of the buffers of an evaluation, which groups of members use in turn."""
    return min(problem.group_size, members) * problem.workspace_bytes_per_member


def _resumable(record: Path, plan: Plan) -> Ensemble | None:
    """The ensemble whose checkpoint can be gone on with; None if there is nothing to go on with."""
    checkpoint = record.with_suffix(".pt")
    try:
        content = keeper.read_json(record, "it is ignored") or {}
        cells = tuple(Cell(float(c), int(n), int(seed)) for c, n, seed in content["cells"])
        ensemble = Ensemble(cells, int(content["width"]), str(content["spec_hash"]))
        fits = ensemble.spec_hash == plan.hash and cells and set(cells) <= set(plan.cells)
        fits = fits and ensemble.width >= 1 and ensemble.checkpoint(record.parent) == checkpoint
    except (ValueError, KeyError, TypeError, OverflowError):
        fits = False
    if not fits:
        warnings.warn(f"{record} does not belong to {plan.sweep.id}, {plan.profile}; it is ignored", stacklevel=3)
        return None
    if not checkpoint.exists():
        return ensemble
    try:
        damaged = not checkpoint.is_file()
        if not damaged:
            with zipfile.ZipFile(checkpoint) as archive:
                damaged = archive.testzip() is not None
    except (OSError, zipfile.BadZipFile):
        damaged = True
    if damaged:
        warnings.warn(f"{checkpoint} is damaged; the runs that it held start again", stacklevel=3)
        return None
    return ensemble


def _discard(file: Path) -> None:
    """Removes both files of an ensemble, the checkpoint first: a checkpoint without its record is never used."""
    for suffix in (".pt", ".json"):
        with suppress(OSError):
            file.with_suffix(suffix).unlink(missing_ok=True)
