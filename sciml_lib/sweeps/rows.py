"""The table ``cells.csv``: how one run is written as a line, and how a line is judged when it is read."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sciml_lib import keeper
from sciml_lib.errors import UserError
from sciml_lib.optim import Status
from sciml_lib.strategies import MemberResult
from sciml_lib.sweeps.job import Job
from sciml_lib.sweeps.spec import Cell, Plan

SUM_TOLERANCE = 1e-3
"""The terms of a stored loss add up to it within this relative error; float32 leaves about 1e-6."""

LONGEST_NUMBER, LONGEST_NAME = 40, 200
"""No number of a row has more characters, and no name of a device."""


def statuses(plan: Plan) -> tuple[str, ...]:
    """How a run can end: as its optimiser says, or as the evaluation of its family of models does."""
    return (*(status.label for status in Status if status is not Status.RUNNING), *plan.sweep.setup.outcomes)


@dataclass(frozen=True)
class Row:
    """One stored run; :class:`~sciml_lib.strategies.MemberResult` says what the numbers mean."""

    cell: Cell
    status: str
    train_loss: float
    terms: dict[str, float]
    test_error: float
    iterations: int
    evaluations: int
    seconds: float
    device: str
    metrics: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, cell: Cell, result: MemberResult, device: str) -> Row:
        """The row of a member that has ended; the compiled kernel is named behind the device."""
        return cls(
            cell=cell,
            status=result.status,
            train_loss=result.train_loss,
            terms=dict(result.terms),
            test_error=result.test_error,
            iterations=result.iterations,
            evaluations=result.evaluations,
            seconds=round(result.seconds, 3),
            device=trained_by(device, result.engine),
            metrics=dict(result.metrics),
        )

    def line(self) -> str:
        """The line of the table, with its end; floats are written so that they read back exactly."""
        cell, blocks, metrics = self.cell, self.terms.values(), self.metrics.values()
        fields = [repr(cell.coefficient), cell.n_data, cell.seed, self.status, repr(self.train_loss)]
        fields += [*map(repr, blocks), repr(self.test_error), *map(repr, metrics)]
        return ",".join(map(str, [*fields, self.iterations, self.evaluations, repr(self.seconds), self.device])) + "\n"


def trained_by(device: str, engine: str) -> str:
    """What a row says of a device: its name, with the compiled kernel behind it where that was used."""
    return (device if engine == "eager" else f"{device} ({engine})").replace(",", " ")


def header(blocks: Sequence[str], metrics: Sequence[str] = ()) -> str:
    """The first line of the table, with its end; metrics stand behind the test error."""
    losses = [f"loss_{name}" for name in blocks]
    columns = ["coefficient", "n_data", "seed", "status", "train_loss", *losses]
    return ",".join([*columns, "test_error", *metrics, "iterations", "evaluations", "seconds", "device"]) + "\n"


def read(path: Path, job: Job, blocks: Sequence[str], metrics: Sequence[str] = ()) -> tuple[list[Row], int]:
    """Reads the table and checks every line of it.

    Args:
        path: the file; one that does not exist is an empty table.
        job: what may be in it, and the words of the remedy.
        blocks: names of the terms of the loss.
        metrics: names of further numbers of a run.

    Returns:
        The rows, and the number of bytes that are in order: what follows is a line that was cut off while it was
        written (a warning says so).

    Raises:
        UserError: names the file, the line, what is wrong with it and what to do.
    """
    head = header(blocks, metrics)
    data = keeper.read_bytes(path) or b""
    whole = data.rstrip(b"\0")  # a power cut can leave zeros where the last line should be
    good = whole.rfind(b"\n") + 1
    if good < len(data):
        lost = "its last line was cut off" if good else "its only line was cut off"
        warnings.warn(f"{path}: {lost} and is left out; that run will be trained again", stacklevel=2)
    if good == 0:
        if whole and not head.encode().startswith(whole):
            raise _error(path, 1, f"it begins with {whole[:40]!r}, which is no table of this sweep", job)
        return [], 0
    try:
        lines = data[:good].decode("utf-8").split("\n")[:-1]
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise _error(path, line, "it is not text", job) from None
    lines = [line.removesuffix("\r") for line in lines]
    if lines[0] + "\n" != head:
        raise _error(path, 1, f"the columns are not {head.strip()}", job)
    rows: list[Row] = []
    plan, endings = job.plan, statuses(job.plan)
    planned, first = set(plan.cells), {}
    for number, line in enumerate(lines[1:], start=2):
        try:
            row = _parse(line, blocks, metrics, endings)
            if row.cell not in planned:
                raise ValueError(f"{_words(row.cell, plan)} is not in the plan of {plan.sweep.id}, {plan.profile}")
            if row.cell in first:
                raise ValueError(f"{_words(row.cell, plan)} is already in line {first[row.cell]}")
        except ValueError as error:
            raise _error(path, number, str(error), job) from None
        first[row.cell] = number
        rows.append(row)
    return rows, good


def _parse(line: str, blocks: Sequence[str], metrics: Sequence[str], endings: Sequence[str]) -> Row:
    """Reads one line; a ValueError says what is wrong with it."""
    names = header(blocks, metrics).strip().split(",")
    fields = line.split(",")
    if len(fields) != len(names):
        raise ValueError(f"{len(names)} fields are expected, not {len(fields)}")
    text = dict(zip(names, fields, strict=True))
    if text["status"] not in endings:
        raise ValueError(f"status={text['status']!r} is none of {', '.join(endings)}")
    row = Row(
        cell=Cell(number(text, "coefficient"), count(text, "n_data"), count(text, "seed")),
        status=text["status"],
        train_loss=number(text, "train_loss"),
        terms={name: number(text, f"loss_{name}") for name in blocks},
        test_error=number(text, "test_error"),
        iterations=count(text, "iterations"),
        evaluations=count(text, "evaluations"),
        seconds=number(text, "seconds"),
        device=device(text),
        metrics={name: number(text, name) for name in metrics},
    )
    _check(row, text)
    return row


def _check(row: Row, text: dict[str, str]) -> None:
    """Refuses numbers that no training can have given; a ValueError says which."""
    for name in ("coefficient", "seconds"):
        if not math.isfinite(float(text[name])):
            raise ValueError(f"{name}={text[name]!r} is not finite")
    for name in ("train_loss", "test_error", "seconds", *(f"loss_{name}" for name in row.terms)):
        if float(text[name]) < 0:
            raise ValueError(f"{name}={text[name]!r} is negative")
    # Means over seeds tell a run that blew up from one that is missing by its status, so the two must agree.
    known = math.isfinite(row.train_loss) and not math.isnan(row.test_error)
    if not known and row.status != Status.DIVERGED.label:
        raise ValueError(
            f"train_loss={text['train_loss']} and test_error={text['test_error']} are those of a run that diverged, and "
            f"its status is {row.status}"
        )
    total = sum(row.terms.values())
    if math.isfinite(row.train_loss) and not math.isclose(total, row.train_loss, rel_tol=SUM_TOLERANCE):
        raise ValueError(f"train_loss={text['train_loss']} is not the sum {total:.6g} of its terms")


def number(text: Mapping[str, str], name: str) -> float:
    """A field as a number; a ValueError says what is wrong with it."""
    try:
        if len(text[name]) <= LONGEST_NUMBER and text[name].isascii() and "_" not in text[name]:
            return float(text[name])
    except ValueError:
        pass
    raise ValueError(f"{name}={text[name][:LONGEST_NUMBER]!r} is not a number")


def count(text: Mapping[str, str], name: str) -> int:
    """A field as a whole number from 0 on; a ValueError says what is wrong with it."""
    if not (text[name].isascii() and text[name].isdigit() and len(text[name]) <= LONGEST_NUMBER):
        raise ValueError(f"{name}={text[name][:LONGEST_NUMBER]!r} is not a whole number")
    return int(text[name])


def device(text: Mapping[str, str]) -> str:
    """The field of the device; a ValueError says what is wrong with it."""
    found = text["device"]
    if found.isprintable() and 0 < len(found) <= LONGEST_NAME:
        return found
    raise ValueError(f"device={found[:LONGEST_NUMBER]!r} is not the name of a device")


def _words(cell: Cell, plan: Plan) -> str:
    name = plan.specification["coefficient_name"]
    return f"the run {name}={cell.coefficient:g}, n_data={cell.n_data}, seed={cell.seed}"


def _error(path: Path, line: int, what: str, job: Job) -> UserError:
    mend = "the run will be trained again" if line > 1 else "what it held will be trained again"
    remove = "delete that line" if line > 1 else f"move the file away (or `{job.restart}`)"
    return UserError(f"{path}, line {line}: {what}; restore the file, or {remove}: {mend}")
