"""Curvature at the ends of stored runs: eigenvalues and traces from their stored parameters; nothing is trained.

They stand in ``curvature.csv`` beside the rows of the store, one line a run, written like these: appended, flushed and
forced to the disk, so that a stopped measurement goes on where it was. Every line carries the fingerprint of the parameters
that it was measured at; where these have changed since, it counts as not measured.
"""

from __future__ import annotations

import math
import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from sciml_lib import keeper
from sciml_lib.errors import UserError
from sciml_lib.landscape import HessianOperator, hutch_pp, lanczos, lanczos_bytes_per_member, power_iteration
from sciml_lib.problems import Problem
from sciml_lib.sweeps import dataset, devices, planner, provenance, store
from sciml_lib.sweeps.job import Job
from sciml_lib.sweeps.rows import Row, count, device, number
from sciml_lib.sweeps.spec import Cell, Sweep
from sciml_lib.sweeps.store import Stored

NAME = "curvature.csv"

QUANTITIES = ("lambda_max", "lambda_max_residual", "lambda_power", "trace", "trace_error")
"""What is measured: the largest eigenvalue with the residual of its pair, what the paper's power iteration gives instead,
and the trace with its standard error."""

COLUMNS = ("coefficient", "n_data", "seed", *QUANTITIES, "seconds", "device", "commit", "params")

TRACE_PRODUCTS = 60
"""Hessian products that a trace may take; with these its standard error was below a tenth of a per cent for 280 of
312 trained PINNs, and 0.3 per cent at most."""

MEMBERS = 16
"""Runs that are measured side by side where the memory holds so many: a stop loses at most these."""

PATIENCE = 3.0
"""Seconds by which a measurement may overrun its time limit, as far as the runs before tell."""

LOSS_TOLERANCE = 0.01
"""Parameters are a run's own if their loss is that of its row within this relative error: other processors add in another
order, which moved the losses of 4,700 stored runs by 0.05 per cent at most."""


@dataclass(frozen=True)
class Measured:
    """What a call of :func:`measure` did.

    Attributes:
        job: the sweep and profile.
        new: runs measured by this call.
        done: runs measured in all.
        left_out: stored runs that cannot be measured: their parameters are not finite, or not stored.
        stopped: whether the time limit ended it.
    """

    job: Job
    new: int
    done: int
    left_out: int
    stopped: bool

    @property
    def sentence(self) -> str:
        """What was done, and what to type to go on."""
        plan = self.job.plan
        text = f"{plan.sweep.id}, {plan.profile}: the curvature of {self.done} runs is stored, {self.new} of them new"
        if self.left_out:
            text += f"; {self.left_out} stored runs were left out, whose parameters are not finite or not stored"
        return f"{text}; stopped by the time limit; go on with `{self.job.typed('measure')}`" if self.stopped else text


def measure(
    sweep: Sweep | str,
    profile: str = "laptop",
    *,
    runs: str | os.PathLike[str] | None = None,
    device: str = "auto",
    time_limit: float | None = None,
    progress: bool = True,
) -> Measured:
    """Measures the curvature of the training loss at the stored parameters of a sweep's runs.

    Args:
        sweep: a sweep, or the id of one such as ``pinn/convection/lbfgs``.
        profile: ``smoke``, ``laptop`` or ``paper``, or one of the sweep's own.
        runs: the folder of all stores; by default see :func:`~sciml_lib.sweeps.places.runs_folder`.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        time_limit: seconds after which to stop, as far as the time of the next runs can be told from that of the last.
        progress: whether to draw a progress bar.

    Returns:
        What was done.

    Raises:
        UserError: if an argument is impossible, nothing is stored, something cannot be read or written, or stored
            parameters are not those of their run.
    """
    return measure_job(Job.of(sweep, profile, runs=runs, device=device, time_limit=time_limit), progress=progress)


def measure_job(job: Job, *, progress: bool = True, clock: Callable[[], float] = time.monotonic) -> Measured:
    """Measures what a job's store lacks; see :func:`measure`.

    Raises:
        UserError: as :func:`measure`.
    """
    start = clock()
    stored = dataset.read_some(job)
    params = _parameters(job)
    rows = {row.cell: row for row in stored.rows if row.cell in params}
    left_out = len(stored.rows) - len(rows)
    done = set(read(job)) & set(rows)
    missing = [cell for cell in rows if cell not in done]
    if not missing:
        return Measured(job, 0, len(done), left_out, False)
    new = 0
    remedy = f"what was measured is stored, go on with `{job.typed('measure')}`"
    with devices.computing(job.target, remedy), _writing(job), keeper.locked(job.folder):
        _tidy(job)

        def compute(cells: Sequence[Cell]) -> Iterator[tuple[Cell, list[object]]]:
            lines = _lines(job, [rows[cell] for cell in cells], torch.stack([params[cell] for cell in cells]))
            return zip(cells, lines, strict=True)

        options = {} if progress else {"disable": True}
        description = f"{job.plan.sweep.id} ({job.plan.profile}), curvature"
        with tqdm(total=len(missing), desc=description, unit="run", **options) as bar:
            for cells in _parts(job, missing, start, clock):
                for _, line in devices.in_halves(cells, compute, "runs"):
                    _append(job, line)
                    new += 1
                    bar.update()
    return Measured(job, new, len(done) + new, left_out, new < len(missing))


def left(job: Job, stored: Stored) -> int:
    """How many stored runs can be measured, and have not been.

    Raises:
        UserError: if the parameters or what was measured are not in order.
    """
    measurable = _parameters(job)
    return len({row.cell for row in stored.rows if row.cell in measurable} - set(read(job)))


def spent(job: Job) -> tuple[int, float]:
    """How many runs of a sweep have been measured, and how many seconds that took.

    Raises:
        UserError: if the file is damaged.
    """
    lines = _lines_of(job)
    return len(lines), float(sum(line.seconds for line in lines))


def read(job: Job) -> dict[Cell, dict[str, float]]:
    """Reads what has been measured at the present parameters, by run; a line that was cut off is left out.

    A warning says how many lines belong to other parameters and are left out, too.

    Raises:
        UserError: if the file is not what :func:`measure` writes.
    """
    fresh, stale = _sorted_out(job)
    if stale:
        warnings.warn(
            f"{job.folder / NAME}: {len(stale)} runs were measured at other parameters than are stored now and are left "
            f"out; measure them again with `{job.typed('measure')}`",
            stacklevel=2,
        )
    return {line.cell: line.numbers for line in fresh}


class _Line(NamedTuple):
    """One line of the file: the run, what was measured, the seconds that it took, and the parameters' fingerprint."""

    cell: Cell
    numbers: dict[str, float]
    seconds: float
    params: str


def _sorted_out(job: Job) -> tuple[list[_Line], list[_Line]]:
    """The lines that belong to the stored parameters, or whose parameters are not stored, and those of other ones."""
    lines = _lines_of(job)
    fresh, stale = [], []
    for n_data in dict.fromkeys(line.cell.n_data for line in lines):
        arrays = store.read_params(job, n_data)
        for line in lines:
            if line.cell.n_data == n_data:
                array = arrays.get(store.params_key(line.cell))
                (fresh if array is None or keeper.digest(array) == line.params else stale).append(line)
    return fresh, stale


def _lines_of(job: Job) -> list[_Line]:
    """The file line by line."""
    path = job.folder / NAME
    data = keeper.read_bytes(path)
    if data is None:
        return []
    planned, found = set(job.plan.cells), {}
    try:
        head, *lines = _whole(data).decode("utf-8").split("\n")[:-1] or [""]
        if tuple(head.removesuffix("\r").split(",")) != COLUMNS:
            raise ValueError("the columns are not those of this version")
        for place, text in enumerate(lines, start=2):
            try:
                line = _parse(text)
                if line.cell not in planned:
                    raise ValueError("its run is not in the plan")
                if line.cell in found:
                    raise ValueError("its run was measured already in an earlier line")
            except ValueError as error:
                raise ValueError(f"line {place}: {error}") from None
            found[line.cell] = line
    except ValueError as error:
        reason = "it is not text" if isinstance(error, UnicodeDecodeError) else str(error)
        raise UserError(
            f"{path} is damaged ({reason}); move it away and measure again with `{job.typed('measure')}`: nothing that was "
            "trained is in it"
        ) from None
    return list(found.values())


def _whole(data: bytes) -> bytes:
    """The lines that have their ends; what follows was cut off while it was written."""
    return data[: data.rfind(b"\n") + 1]


def _parse(line: str) -> _Line:
    """One line; a ValueError says what is wrong with it."""
    fields = line.removesuffix("\r").split(",")
    if len(fields) != len(COLUMNS):
        raise ValueError(f"it has {len(fields)} fields and not {len(COLUMNS)}")
    text = dict(zip(COLUMNS, fields, strict=True))
    cell = Cell(number(text, "coefficient"), count(text, "n_data"), count(text, "seed"))
    numbers = {name: number(text, name) for name in (*QUANTITIES, "seconds")}
    for name, value in numbers.items():
        if not math.isfinite(value):
            raise ValueError(f"{name}={text[name]!r} is not finite")
        if value < 0 and name in ("lambda_max_residual", "trace_error", "seconds"):
            raise ValueError(f"{name}={text[name]!r} is negative")
    device(text)
    return _Line(cell, numbers, numbers.pop("seconds"), text["params"])


def _parameters(job: Job) -> dict[Cell, torch.Tensor]:
    """The stored parameters that are finite, by run."""
    found = {}
    for n_data in job.plan.n_data:
        arrays = store.read_params(job, n_data)
        for cell in job.plan.cells:
            row = arrays.get(store.params_key(cell)) if cell.n_data == n_data else None
            if row is not None and np.isfinite(row).all():
                found[cell] = torch.from_numpy(row)
    return found


def _parts(job: Job, cells: Sequence[Cell], start: float, clock: Callable[[], float]) -> Iterator[Sequence[Cell]]:
    """Runs that are measured side by side, until the time limit; the first part under a limit is one run, to time it."""
    for group in job.plan.ensembles(cells):
        rest, each = list(group), float("inf")
        problem = job.plan.problem([max(group, key=lambda cell: cell.n_data)], job.target)
        while rest:
            most = size = _fitting(problem, len(rest), devices.memory_budget(job.target))
            if job.time_limit is not None:
                room = start + job.time_limit + PATIENCE - clock()
                if room <= PATIENCE or (each < float("inf") and room < each):
                    return
                size = min(most, max(1, int(room / each)))
            part, rest = rest[:size], rest[size:]
            before = clock()
            yield part
            each = (clock() - before) / len(part)


def _fitting(problem: Problem, members: int, memory: int) -> int:
    """How many of some members are measured side by side; at least one is tried."""
    each = problem.curvature_bytes_per_member + lanczos_bytes_per_member(problem.n_params, problem.dtype.itemsize)
    return max(1, planner.members_that_fit(problem, each, min(MEMBERS, members), memory))


def _lines(job: Job, rows: Sequence[Row], params: torch.Tensor) -> list[list[object]]:
    """Measures some runs of one ensemble: their lines of the table."""
    start = time.perf_counter()
    cells = [row.cell for row in rows]
    problem = job.plan.problem(cells, job.target)
    here = params.to(problem.device, problem.dtype)
    check_losses(job, rows, problem.value(here))
    operator = HessianOperator.of_problem(problem, here)
    seeds = [cell.seed for cell in cells]
    leading, power = lanczos(operator, seeds=seeds), power_iteration(operator, seeds=seeds)
    trace = hutch_pp(operator, products=TRACE_PRODUCTS, seeds=seeds)
    columns = (leading.values[:, 0], leading.residuals[:, 0], power.values[:, 0], trace.value, trace.error)
    seconds = round((time.perf_counter() - start) / len(cells), 3)
    origin = [seconds, job.label.replace(",", " "), provenance.commit()[:7]]
    numbers = torch.stack(columns, dim=1).tolist()
    return [
        [repr(c.coefficient), c.n_data, c.seed, *map(repr, row), *origin, keeper.digest(array.numpy())]
        for c, row, array in zip(cells, numbers, params, strict=True)
    ]


def check_losses(job: Job, rows: Sequence[Row], losses: torch.Tensor) -> None:
    """Refuses parameters whose training loss is not that of the row they are stored for.

    Args:
        job: the sweep and profile.
        rows: the rows, M of them.
        losses: training losses at the stored parameters, ``[M]``.

    Raises:
        UserError: names the run, both losses and what to do.
    """
    for row, loss in zip(rows, losses.tolist(), strict=True):
        if not math.isclose(loss, row.train_loss, rel_tol=LOSS_TOLERANCE) or math.isinf(loss):
            cell = row.cell
            raise UserError(
                f"the parameters stored for {job.plan.sweep.id}, coefficient {cell.coefficient:g}, n_data={cell.n_data}, seed "
                f"{cell.seed}, are not those of its row: their loss is {loss:.6g} and not {row.train_loss:.6g}; restore "
                f"{job.folder / 'arrays' / f'n{cell.n_data}.npz'}, or put the store aside and train anew: `{job.restart}`"
            )


def _tidy(job: Job) -> None:
    """Makes the file ready to be appended to: no line that was cut off, none that belongs to other parameters."""
    path = job.folder / NAME
    data = keeper.read_bytes(path)
    if data is None:
        keeper.replace(path, _text([COLUMNS]))
        return
    _, stale = _sorted_out(job)
    whole = _whole(data)
    if stale:
        gone = {line.cell for line in stale}
        head, *lines = whole.decode("utf-8").splitlines(keepends=True)
        whole = "".join([head, *(line for line in lines if _parse(line.removesuffix("\n")).cell not in gone)]).encode()
    if whole != data:
        keeper.replace(path, whole)


def _append(job: Job, line: Sequence[object]) -> None:
    keeper.append(job.folder / NAME, _text([line]))


def _text(lines: Sequence[Sequence[object]]) -> bytes:
    return "".join(",".join(map(str, line)) + "\n" for line in lines).encode()


def _writing(job: Job) -> AbstractContextManager[None]:
    return keeper.writing(job.folder, "what was measured is stored", f"give `{job.typed('measure')}` again")
