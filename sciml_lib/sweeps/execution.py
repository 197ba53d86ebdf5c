"""Trains what a plan asks for and the store does not have."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any

from tqdm import tqdm

from sciml_lib import strategies
from sciml_lib.strategies import MemberResult, Progress, TimeLimitReached
from sciml_lib.strategies.loop import CHECKPOINT_SECONDS
from sciml_lib.sweeps import devices, planner, sharing, store
from sciml_lib.sweeps.job import Job
from sciml_lib.sweeps.planner import Ensemble
from sciml_lib.sweeps.spec import Cell, Sweep
from sciml_lib.sweeps.store import Stored, Writer


@dataclass(frozen=True)
class Report:
    """What a call of :func:`run` did.

    Attributes:
        job: what was wanted.
        trained: runs stored by this call.
        done: runs of the profile that are stored in all.
        stopped_by: ``""`` if nothing is left to do, else what stopped it: ``time limit``, ``Ctrl-C`` or ``SIGTERM``.
        seconds: how long it took.
        taken: runs that another profile had trained.
    """

    job: Job
    trained: int
    done: int
    stopped_by: str
    seconds: float
    taken: int = 0

    @property
    def sentence(self) -> str:
        """What was done, and what to type to go on."""
        plan = self.job.plan
        text = f"{plan.sweep.id}, {plan.profile}: {self.done} of {len(plan.cells)} runs are stored in {self.job.folder}"
        if self.taken:
            text += f", {self.taken} of them taken over from another profile"
        if self.stopped_by:
            return f"{text}; stopped by {_ARTICLE.get(self.stopped_by, '')}{self.stopped_by}; go on with `{self.job.command}`"
        return f"{text}, {self.trained} of them by this call"


_ARTICLE = {"time limit": "the "}
_SIGNALS = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}


class _Stop(TimeLimitReached):
    """Somebody asked to stop; raised between two steps, so that the checkpoint is up to date."""


def run(
    sweep: Sweep | str,
    profile: str = "laptop",
    *,
    runs: str | os.PathLike[str] | None = None,
    device: str = "auto",
    seeds: int | None = None,
    n_data: Sequence[int] | None = None,
    coefficients: Sequence[float] | None = None,
    seed_numbers: Sequence[int] | None = None,
    time_limit: float | None = None,
    progress: bool = True,
) -> Report:
    """Trains a sweep, or goes on with it; runs that are stored are never trained again.

    Ctrl-C and SIGTERM stop it after the present step; a second Ctrl-C at once.

    Args:
        sweep: a sweep, or the id of one such as ``pinn/convection/lbfgs``.
        profile: ``smoke``, ``laptop`` or ``paper``, or one of the sweep's own.
        runs: the folder of all stores; by default see :func:`~sciml_lib.sweeps.places.runs_folder`.
        device: ``auto`` (the GPU if there is one), ``cpu``, ``cuda`` or ``cuda:1``.
        seeds: only the first so many seeds of the plan; all by default.
        n_data: only these amounts of data of the plan; all by default.
        coefficients: only these coefficients of the plan; all by default.
        seed_numbers: only these seeds of the plan, by their numbers; all by default.
        time_limit: seconds after which to stop.
        progress: whether to draw a progress bar.

    Returns:
        What was done.

    Raises:
        UserError: if an argument is impossible, the store is not in order or in use, or nothing can be written.
    """
    chosen = {"seeds": seeds, "n_data": n_data, "coefficients": coefficients, "seed_numbers": seed_numbers}
    job = Job.of(sweep, profile, runs=runs, device=device, time_limit=time_limit, **chosen)
    return train(job, progress=progress)


def train(
    job: Job,
    *,
    stored: Stored | None = None,
    progress: bool = True,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> Report:
    """Trains what a job wants and its store does not have; see :func:`run`.

    Args:
        job: what is wanted.
        stored: what is in its store, if the caller has read it.
        progress: whether to draw a progress bar.
        checkpoint_seconds: how often the runs in training are written to the disk.
        clock: what tells the time in seconds.

    Raises:
        UserError: as :func:`run`.
    """
    start = clock()
    stored = store.read(job) if stored is None else stored
    if set(job.cells) <= stored.done and _tidy(stored):
        return Report(job, 0, len(stored.done), "", clock() - start)
    deadline = None if job.time_limit is None else start + job.time_limit
    target = job.target  # a device that is not there is refused before anything is written
    remedy = f"every run that ended is stored, go on with `{job.command}`"
    with devices.computing(target, remedy), _stop_signals() as asked, Writer(job) as writer:
        taken = sharing.take_over(job, writer)
        before = len(writer.rows)
        with _Bar(job, writer, progress) as bar:
            trainer = _Trainer(job, writer, bar, asked, deadline, checkpoint_seconds, clock)
            try:
                for ensemble in planner.ensembles(job, writer.rows, target):
                    trainer.train(ensemble)
                stopped_by = ""
            except _Stop:
                stopped_by = _SIGNALS[asked[0]]
            except TimeLimitReached:
                stopped_by = "time limit"
        done = len(writer.rows)
    return Report(job, done - before, done, stopped_by, clock() - start, taken)


def _tidy(stored: Stored) -> bool:
    """Whether a cut has left nothing behind: no broken last line, no draft, no checkpoint of an ensemble that ended."""
    left = [*stored.folder.rglob("*.tmp"), *stored.folder.glob(".checkpoint*")]
    return not left and os.path.getsize(stored.folder / "cells.csv") == stored.good_bytes


@dataclass(frozen=True)
class _Trainer:
    """What every ensemble of a call is trained with."""

    job: Job
    writer: Writer
    bar: _Bar
    asked: Sequence[int]
    deadline: float | None
    checkpoint_seconds: float
    clock: Callable[[], float]

    def train(self, ensemble: Ensemble) -> None:
        """Trains one ensemble to its end, every run stored when it ends; with half the slots where the memory runs out."""
        amounts = sorted({cell.n_data for cell in ensemble.cells})
        while not self._fitted(ensemble):
            devices.release()
            # Whoever has ended is stored. The others start again: a checkpoint belongs to its number of slots.
            ensemble.end(self.writer.folder)
            cells = self._missing(ensemble)
            width = max(1, min(ensemble.width, len(cells)) // 2)
            warnings.warn(
                f"the GPU ran out of memory with up to {ensemble.width} runs side by side at n_data={ensemble.n_data}; the "
                f"{len(cells)} that have not ended start again, {width} at a time",
                stacklevel=2,
            )
            ensemble = replace(ensemble, cells=cells, width=width)
        for n_data in amounts:
            self.writer.pack(n_data)
        ensemble.end(self.writer.folder)

    def _fitted(self, ensemble: Ensemble) -> bool:
        """Trains an ensemble to its end; False if the memory ran out on the way, although it need not take so much."""
        writer, folder = self.writer, self.writer.folder
        checkpoint = ensemble.checkpoint(folder)

        def on_result(index: int, result: MemberResult) -> None:
            writer.add(ensemble.cells[index], result)

        def on_step(progress: Progress) -> None:
            self.bar.show(ensemble, progress)
            if self.asked:
                raise _Stop

        if self.asked:
            raise _Stop
        with writer.writing():
            ensemble.begin(folder)
            try:
                strategies.train(
                    self.job.plan.problem(ensemble.cells, self.job.target),
                    [cell.seed for cell in ensemble.cells],
                    self.job.plan.strategy,
                    on_result=on_result,
                    width=ensemble.width,
                    checkpoint=checkpoint,
                    checkpoint_seconds=self.checkpoint_seconds,
                    deadline=self.deadline,
                    progress=on_step,
                    clock=self.clock,
                )
            except RuntimeError as error:
                if not devices.ran_out(error):
                    raise
                if ensemble.width == 1:
                    if not checkpoint.exists():  # nothing is lost, and the next call may have room for more slots
                        ensemble.end(folder)
                    raise
                return not self._missing(ensemble)
        lost = self._missing(ensemble)
        if lost:  # never seen; a silent gap would be trained again for ever
            raise RuntimeError(f"training ended without a result for {lost[:3]}")
        return True

    def _missing(self, ensemble: Ensemble) -> tuple[Cell, ...]:
        return tuple(cell for cell in ensemble.cells if cell not in self.writer.rows)


class _Bar:
    """The progress bar: runs weighted by their cost, those in training by the share of their budget they have used."""

    def __init__(self, job: Job, writer: Writer, visible: bool) -> None:
        self._writer, self._wanted = writer, job.cells
        self._cost = job.plan.cost
        options: dict[str, Any] = {} if visible else {"disable": True}  # left out, TQDM_DISABLE decides
        self._bar = tqdm(
            total=sum(map(self._cost, job.cells)),
            initial=sum(self._cost(cell) for cell in job.cells if cell in writer.rows),
            desc=f"{job.plan.sweep.id} ({job.plan.profile})",
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
        partial = min(used, len(ensemble.cells) - len(ended)) * self._cost(ensemble.cells[0])
        done = [cell for cell in self._wanted if cell in rows]
        self._bar.set_postfix_str(
            f"{len(done)} of {len(self._wanted)} runs, {progress.running} in training at n_data={ensemble.n_data}",
            refresh=False,
        )
        position = min(sum(map(self._cost, done)) + partial, self._bar.total)
        self._bar.update(position - self._bar.n)


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
