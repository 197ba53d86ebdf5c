"""What a run that is trained once more should give: the range of the stored seeds of its cell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from sciml_lib.errors import UserError
from sciml_lib.sweeps import places, store
from sciml_lib.sweeps.job import Job
from sciml_lib.sweeps.rows import Row
from sciml_lib.sweeps.spec import Cell

NUMBERS = {"train_loss": "training loss", "test_error": "test error"}


@dataclass(frozen=True)
class Expected:
    """The stored runs of the cells that a job trains.

    Attributes:
        job: what is trained.
        rows: runs of these cells that were stored before, whatever their seed; all by the recipe of the job.
    """

    job: Job
    rows: tuple[Row, ...]

    def sentences(self, new: Sequence[Row]) -> list[str]:
        """The range to expect of every cell, and where its new runs lie.

        Args:
            new: the job's runs now that it has ended.
        """
        lines = []
        for coefficient, n_data in dict.fromkeys(cell[:2] for cell in self.job.cells):
            there = [row for row in self.rows if row.cell[:2] == (coefficient, n_data)]
            name = f"{self.job.plan.sweep.system.coefficient_name}={coefficient:g}, n_data={n_data}"
            lines.append(f"{name}: {_range(there)}")
            if there:
                now = [row for row in new if row.cell[:2] == (coefficient, n_data) and row.cell in self.job.cells]
                lines += [f"  {_place(row, there)}" for row in now]
        return lines


def of(job: Job) -> Expected:
    """Reads, before a job is trained, what is stored of its cells.

    That is in the repository's own folder of runs, or, where that has none of them, in the job's folder; in any profile
    whose runs follow the same recipe.
    """
    for runs in (places.repository_runs(), job.runs):
        rows: dict[Cell, Row] = {}
        here = replace(job, runs=runs)
        for one in (here, *here.siblings):
            with suppress(UserError):  # a store that is not in order tells nothing, and is not this call's business
                rows = {row.cell: row for row in store.read(one).rows} | rows
        pairs = {cell[:2] for cell in job.cells}
        found = tuple(row for row in rows.values() if row.cell[:2] in pairs)
        if found:
            return Expected(job, found)
    return Expected(job, ())


def _range(rows: Sequence[Row]) -> str:
    """What the stored seeds of a cell ended with, and how far that can be trusted."""
    if not rows:
        return "nothing is stored for this cell, so there is no range to expect"
    seeds = ", ".join(map(str, sorted(row.cell.seed for row in rows)))
    words = [
        f"{words} {_ends(name, rows)[0]:.2g} to {_ends(name, rows)[1]:.2g}" for name, words in NUMBERS.items() if _known(rows)
    ]
    failed = len(rows) - len(_known(rows))
    words += [f"{failed} without a finite value"] if failed else []
    n = len(rows)
    text = f"expect what the {n} stored seeds ({seeds}) gave: " if n > 1 else f"only seed {seeds} is stored: "
    more = f"; a further seed lies outside such a range in 2 of {n + 1} cases" if n > 1 else ""
    return f"{text}{', '.join(words)}{more}"


def _place(row: Row, rows: Sequence[Row]) -> str:
    """Where a run lies among the stored ones of its cell."""
    stored = next((one for one in rows if one.cell == row.cell), None)
    words = []
    for name, title in NUMBERS.items():
        value = getattr(row, name)
        then = "" if stored is None else f", stored: {getattr(stored, name):.2g}"
        if not math.isfinite(value):
            place = "not finite"
        elif not _known(rows):
            place = "no finite value to compare with"
        else:
            low, high = _ends(name, rows)
            place = "below the range" if value < low else "above the range" if value > high else "inside"
        words.append(f"{title} {value:.2g} ({place}{then})")
    return f"seed {row.cell.seed}: {', '.join(words)}"


def _known(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if all(math.isfinite(getattr(row, name)) for name in NUMBERS)]


def _ends(name: str, rows: Sequence[Row]) -> tuple[float, float]:
    values = [getattr(row, name) for row in _known(rows)]
    return min(values), max(values)
