"""Trains what a plan asks for and the store does not have."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch
from tqdm import tqdm

from sciml_lib import strategies
from sciml_lib.errors import UserError
from sciml_lib.strategies import MemberResult, Progress, TimeLimitReached
from sciml_lib.strategies.loop import CHECKPOINT_SECONDS
from sciml_lib.sweeps import catalog, devices, estimate, planner, store
from sciml_lib.sweeps.planner import Ensemble
from sciml_lib.sweeps.spec import Cell, Plan, first_seeds
from sciml_lib.sweeps.store import Stored, Writer


@dataclass(frozen=True)
class Report:
    """What a call of :func:`run` did.

    Attributes:
        plan: the sweep and profile.
        trained: runs stored by this call.
        done: runs stored in all.
        stopped_by: ``""`` if nothing was left to do, else ``"time limit"`` or ``"interrupt"``.
        seconds: how long it took.
    """

    plan: Plan
    trained: int
    done: int
    stopped_by: str
    seconds: float

    @property
    def sentence(self) -> str:
        """What was done, and what to type to go on."""
        text = f"{self.plan.sweep.id}, {self.plan.profile}: {self.done} of {len(self.plan.cells)} runs are stored"
        if self.stopped_by:
            return f"{text}; stopped by the {self.stopped_by}; go on with `{self.plan.command}`"
        return f"{text}, {self.trained} of them by this call"


class _Stop(TimeLimitReached):
    """Somebody asked to stop; raised between two steps, so that the checkpoint is up to date."""


def run(
    sweep_id: str,
    profile: str = "laptop",
    *,
    runs: str | os.PathLike[str] | None = None,
    device: str = "auto",
    seeds: int | None = None,
    time_limit: float | None = None,
    progress: bool = True,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> Report:
    """Trains a sweep, or goes on with it; runs that are stored are never trained again.

    Ctrl-C and SIGTERM stop it after the present step; a second Ctrl-C at once.

    Args:
        sweep_id: id of the sweep, such as ``pinn/convection/lbfgs``.
        profile: ``smoke``, ``laptop`` or ``paper``.
        runs: the folder of all stores; by default ``SCIML_RUNS`` of the environment, or ``runs/`` of the repository.
        device: ``auto`` (the GPU if there is one), ``cpu``, ``cuda`` or ``cuda:1``.
        seeds: only the first so many seeds of the plan; all by default.
        time_limit: seconds after which to stop.
        progress: whether to draw a progress bar.
        checkpoint_seconds: how often the runs in training are written to the disk.
        clock: what tells the time in seconds.

    Returns:
        What was done.

    Raises:
        UserError: if an argument is impossible, the store is not in order or in use, or nothing can be written.
    """
    plan = catalog.get(sweep_id).at(profile)
    target = devices.resolve(device)
    wanted = wanted_cells(plan, seeds)
    if time_limit is not None and not 0 < time_limit < float("inf"):
        raise UserError(f"time_limit={time_limit} is impossible; give seconds above 0, such as 540")
    start = clock()
    stored = store.read(plan, runs)
    if set(wanted) <= stored.done and _tidy(stored):
        return Report(plan, 0, len(stored.done), "", clock() - start)
    deadline = None if time_limit is None else start + time_limit
    one, label = plan.problem(plan.cells[:1]), devices.label(target)
    names = {"blocks": one.term_names, "metrics": one.metric_names}
    with _stop_signals() as asked, Writer(plan, runs, **names, device=label) as writer:
        before = len(writer.rows)
        with _Bar(plan, wanted, writer, progress) as bar:
            try:
                for ensemble in planner.ensembles(plan, writer.rows, wanted, writer.folder, target):
                    _train(ensemble, plan, writer, target, bar, asked, deadline, checkpoint_seconds, clock)
                stopped_by = ""
            except _Stop:
                stopped_by = "interrupt"
            except TimeLimitReached:
                stopped_by = "time limit"
        done = len(writer.rows)
    return Report(plan, done - before, done, stopped_by, clock() - start)


def _tidy(stored: Stored) -> bool:
    """Whether a cut has left nothing behind: no broken last line, no draft, no checkpoint of an ensemble that ended."""
    left = [*stored.folder.rglob("*.tmp"), *stored.folder.glob(".checkpoint*")]
    return not left and os.path.getsize(stored.folder / "cells.csv") == stored.good_bytes


def wanted_cells(plan: Plan, seeds: int | None) -> list[Cell]:
    """The runs of the first so many seeds; all of them if None.

    Raises:
        UserError: if there are not so many.
    """
    chosen = plan.seeds[: first_seeds(seeds, len(plan.seeds))]
    return [cell for cell in plan.cells if cell.seed in chosen]


def _train(
    ensemble: Ensemble,
    plan: Plan,
    writer: Writer,
    device: torch.device,
    bar: _Bar,
    asked: Sequence[int],
    deadline: float | None,
    checkpoint_seconds: float,
    clock: Callable[[], float],
) -> None:
    """Trains one ensemble to its end, every run stored when it ends."""

    def on_result(index: int, result: MemberResult) -> None:
        writer.add(ensemble.cells[index], result)

    def on_step(progress: Progress) -> None:
        bar.show(ensemble, progress)
        if asked:
            raise _Stop

    if asked:
        raise _Stop
    problem = plan.problem(ensemble.cells, device)
    with writer.writing():
        ensemble.begin(writer.folder)
        try:
            strategies.train(
                problem,
                [cell.seed for cell in ensemble.cells],
                plan.strategy,
                on_result=on_result,
                width=ensemble.width,
                checkpoint=ensemble.checkpoint(writer.folder),
                checkpoint_seconds=checkpoint_seconds,
                deadline=deadline,
                progress=on_step,
                clock=clock,
            )
        except torch.cuda.OutOfMemoryError as error:
            raise UserError(
                f"the GPU ran out of memory at n_data={ensemble.n_data}: another program may be using it; every run "
                f"that ended is stored, go on with `{plan.command}`"
            ) from error
    lost = [cell for cell in ensemble.cells if cell not in writer.rows]
    if lost:  # never seen; a silent gap would be trained again for ever
        raise RuntimeError(f"training ended without a result for {lost[:3]}")
    for n_data in sorted({cell.n_data for cell in ensemble.cells}):
        writer.pack(n_data)
    ensemble.end(writer.folder)


class _Bar:
    """The progress bar: runs weighted by their cost, those in training by the share of their budget they have used."""

    def __init__(self, plan: Plan, wanted: Sequence[Cell], writer: Writer, visible: bool) -> None:
        self._writer, self._wanted = writer, wanted
        options: dict[str, Any] = {} if visible else {"disable": True}  # left out, TQDM_DISABLE decides
        self._bar = tqdm(
            total=sum(map(_cost, wanted)),
            initial=sum(_cost(cell) for cell in wanted if cell in writer.rows),
            desc=f"{plan.sweep.id} ({plan.profile})",
            bar_format="{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}",
            mininterval=0.5 if sys.stderr.isatty() else 30.0,
            smoothing=0.0,
            dynamic_ncols=True,
            **options,
        )

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def show(self, ensemble: Ensemble, progress: Progress) -> None:
        """Moves the bar to where an ensemble is."""
        if self._bar.disable:
            return
        rows = self._writer.rows
        ended = [rows[cell] for cell in ensemble.cells if cell in rows]
        budget = progress.expected_evaluations / progress.total
        used = max(0, progress.evaluations - sum(row.evaluations for row in ended)) / budget
        partial = min(used, len(ensemble.cells) - len(ended)) * _cost(ensemble.cells[0])
        done = [cell for cell in self._wanted if cell in rows]
        self._bar.set_postfix_str(
            f"{len(done)} of {len(self._wanted)} runs, {progress.running} in training at n_data={ensemble.n_data}",
            refresh=False,
        )
        position = min(sum(map(_cost, done)) + partial, self._bar.total)
        self._bar.update(position - self._bar.n)


def _cost(cell: Cell) -> float:
    """What a run costs, in points."""
    return cell.n_data + estimate.CONDITION_POINTS


@contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """Collects Ctrl-C and SIGTERM instead of raising; a second Ctrl-C raises as ever."""
    asked: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    if threading.current_thread() is not threading.main_thread():  # only the main thread may set handlers
        yield asked
        return
    before: dict[int, Callable[..., Any] | int | None] = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, note)
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
