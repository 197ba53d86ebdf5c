"""Curvature at the ends of stored runs: eigenvalues and traces from their stored parameters; nothing is trained.

They stand in ``curvature.csv`` beside the rows of the store, one line a run, written like these: appended, flushed and
forced to the disk, so that a stopped measurement goes on where it was.
"""

from __future__ import annotations

import csv
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from filelock import FileLock
from tqdm import tqdm

from sciml_lib.errors import UserError
from sciml_lib.landscape import HessianOperator, hutch_pp, lanczos, power_iteration
from sciml_lib.sweeps import catalog, devices, provenance, store
from sciml_lib.sweeps.spec import Cell, Plan

NAME = "curvature.csv"

QUANTITIES = ("lambda_max", "lambda_max_residual", "lambda_power", "trace", "trace_error")
"""What is measured: the largest eigenvalue with the residual of its pair, what the paper's power iteration gives instead,
and the trace with its standard error."""

COLUMNS = ("coefficient", "n_data", "seed", *QUANTITIES, "seconds", "device", "commit")

TRACE_PRODUCTS = 60
"""Hessian products that a trace may take; with these its standard error was below a tenth of a per cent for 280 of
312 trained PINNs, and 0.3 per cent at most."""

MEMBERS = 16
"""Runs that are measured side by side: a stop loses at most these."""


@dataclass(frozen=True)
class Measured:
    """What a call of :func:`measure` did.

    Attributes:
        plan: the sweep and profile.
        new: runs measured by this call.
        done: runs measured in all.
        left_out: stored runs that cannot be measured: their parameters are not finite, or not stored.
        stopped: whether the time limit ended it.
    """

    plan: Plan
    new: int
    done: int
    left_out: int
    stopped: bool

    @property
    def sentence(self) -> str:
        """What was done, and what to type to go on."""
        text = f"{self.plan.sweep.id}, {self.plan.profile}: the curvature of {self.done} runs is stored, {self.new} of them new"
        if self.left_out:
            text += f"; {self.left_out} stored runs were left out, whose parameters are not finite or not stored"
        return f"{text}; stopped by the time limit; go on with `{command(self.plan)}`" if self.stopped else text


def measure(
    sweep_id: str,
    profile: str = "laptop",
    *,
    runs: str | os.PathLike[str] | None = None,
    device: str = "auto",
    time_limit: float | None = None,
    progress: bool = True,
) -> Measured:
    """Measures the curvature of the training loss at the stored parameters of a sweep's runs.

    Args:
        sweep_id: id of the sweep, such as ``pinn/convection/lbfgs``.
        profile: ``smoke``, ``laptop`` or ``paper``.
        runs: the folder of all stores; by default ``SCIML_RUNS`` of the environment, or ``runs/`` of the repository.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        time_limit: seconds after which no further group of runs is begun.
        progress: whether to draw a progress bar.

    Returns:
        What was done.

    Raises:
        UserError: if an argument is impossible, nothing is stored, or something cannot be read or written.
    """
    plan, target = catalog.get(sweep_id).at(profile), devices.resolve(device)
    stored = store.read(plan, runs)
    if not stored.rows:
        raise UserError(f"no runs of {sweep_id}, profile {profile}, are stored; train them with `{plan.command}`")
    start, folder = time.monotonic(), stored.folder
    lock = FileLock(folder / ".lock")
    store.take(lock, folder)
    try:
        done = read(folder)
        params = _parameters(plan, folder)
        wanted = [row.cell for row in stored.rows if row.cell in params]
        groups = [part for cells in plan.ensembles([c for c in wanted if c not in done]) for part in _parts(cells)]
        new, stopped = 0, False
        options = {} if progress else {"disable": True}
        with tqdm(total=sum(map(len, groups)), desc=f"{sweep_id} ({profile}), curvature", unit="run", **options) as bar:
            for cells in groups:
                stopped = time_limit is not None and time.monotonic() - start > time_limit
                if stopped:
                    break
                _append(folder, _lines(plan, cells, torch.stack([params[cell] for cell in cells]), target))
                new += len(cells)
                bar.update(len(cells))
    finally:
        lock.release()
    return Measured(plan, new, len(set(wanted) & set(done)) + new, len(stored.rows) - len(wanted), stopped)


def left(plan: Plan, runs: str | os.PathLike[str] | None = None) -> int:
    """How many stored runs can be measured, and have not been.

    Raises:
        UserError: if the store or its parameters are not in order.
    """
    stored = store.read(plan, runs)
    measurable = _parameters(plan, stored.folder)
    return len({row.cell for row in stored.rows if row.cell in measurable} - set(read(stored.folder)))


def spent(plan: Plan, runs: str | os.PathLike[str] | None = None) -> tuple[int, float]:
    """How many runs of a sweep have been measured, and how many seconds that took.

    Raises:
        UserError: if the file is damaged.
    """
    lines = [seconds for _, _, seconds in _lines_of(store.folder_of(plan, runs))]
    return len(lines), float(sum(lines))


def command(plan: Plan) -> str:
    """What to type to measure a sweep, or to go on with it."""
    return f"python -m sciml_lib measure {plan.sweep.id} --profile {plan.profile}"


def read(folder: Path) -> dict[Cell, dict[str, float]]:
    """Reads what has been measured in the folder of a store, by run; a line that was cut off is left out.

    Raises:
        UserError: if the file is not what :func:`measure` writes.
    """
    return {cell: numbers for cell, numbers, _ in _lines_of(folder)}


def _lines_of(folder: Path) -> list[tuple[Cell, dict[str, float], float]]:
    """The file line by line: the run, what was measured, and the seconds that it took."""
    path = folder / NAME
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        lines = list(csv.reader(file))
    found = []
    try:
        if tuple(lines[0]) != COLUMNS:
            raise ValueError
        for number, line in enumerate(lines[1:], start=2):
            if len(line) != len(COLUMNS) and number == len(lines):
                break
            text = dict(zip(COLUMNS, line, strict=True))
            cell = Cell(float(text["coefficient"]), int(text["n_data"]), int(text["seed"]))
            found.append((cell, {name: float(text[name]) for name in QUANTITIES}, float(text["seconds"])))
    except (ValueError, IndexError):
        raise UserError(f"{path} is damaged; move it away and measure again: nothing that was trained is in it") from None
    return found


def _parameters(plan: Plan, folder: Path) -> dict[Cell, torch.Tensor]:
    """The stored parameters that are finite, by run."""
    found = {}
    for n_data in plan.n_data:
        arrays = store.read_params(folder / "arrays" / f"n{n_data}.npz")
        for cell in plan.cells:
            row = arrays.get(store.params_key(cell)) if cell.n_data == n_data else None
            if row is not None and torch.isfinite(torch.from_numpy(row)).all():
                found[cell] = torch.from_numpy(row)
    return found


def _parts(cells: Sequence[Cell]) -> list[Sequence[Cell]]:
    return [cells[i : i + MEMBERS] for i in range(0, len(cells), MEMBERS)]


def _lines(plan: Plan, cells: Sequence[Cell], params: torch.Tensor, device: torch.device) -> list[list[object]]:
    """Measures some runs of one ensemble: their lines of the table."""
    start = time.perf_counter()
    problem = plan.problem(cells, device)
    operator = HessianOperator.of_problem(problem, params.to(problem.device, problem.dtype))
    seeds = [cell.seed for cell in cells]
    leading, power = lanczos(operator, seeds=seeds), power_iteration(operator, seeds=seeds)
    trace = hutch_pp(operator, products=TRACE_PRODUCTS, seeds=seeds)
    columns = (leading.values[:, 0], leading.residuals[:, 0], power.values[:, 0], trace.value, trace.error)
    seconds = round((time.perf_counter() - start) / len(cells), 3)
    origin = [seconds, devices.label(device).replace(",", " "), provenance.commit()[:7]]
    numbers = torch.stack(columns, dim=1).tolist()
    return [[repr(c.coefficient), c.n_data, c.seed, *map(repr, row), *origin] for c, row in zip(cells, numbers, strict=True)]


def _append(folder: Path, lines: list[list[object]]) -> None:
    """Appends lines and forces them to the disk; what a cut left of a last line is removed first."""
    path = folder / NAME
    try:
        if not path.exists():
            store.replace(path, (",".join(COLUMNS) + "\n").encode())
        content = path.read_bytes()
        if not content.endswith(b"\n"):
            os.truncate(path, content.rfind(b"\n") + 1)
        store.append(path, "".join(",".join(map(str, line)) + "\n" for line in lines).encode())
    except OSError as error:
        raise UserError(
            f"cannot write to {folder}: {error.strerror or error}; make room or make it writable, and give the command again"
        ) from error
