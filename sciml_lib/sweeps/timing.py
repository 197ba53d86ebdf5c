"""How long the runs that are missing will take."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from statistics import median
from typing import NamedTuple

import numpy as np
import torch

from sciml_lib.errors import UserError
from sciml_lib.optim import Status
from sciml_lib.problems import Problem
from sciml_lib.strategies import Phase
from sciml_lib.sweeps import devices, planner, store
from sciml_lib.sweeps.job import Job
from sciml_lib.sweeps.rows import Row, trained_by
from sciml_lib.sweeps.spec import Cell, Plan, Sweep
from sciml_lib.sweeps.store import Stored

CALIBRATION_SECONDS = 1.0


class Estimate(NamedTuple):
    """A time, and whether it is only known to be enough.

    Attributes:
        seconds: NaN where nothing is known.
        bound: whether it counts every run's whole budget, which most runs do not use up.
    """

    seconds: float
    bound: bool = False

    @property
    def words(self) -> str:
        """``about 40 s``, ``up to about 3.5 h`` ..."""
        return f"{'up to ' if self.bound else ''}about {duration(self.seconds)}"


def duration(seconds: float) -> str:
    """Seconds in words: ``40 s``, ``12 min`` or ``3.5 h``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def stored_rows(job: Job, stored: Stored) -> list[Row]:
    """Runs of the same recipe on the same device and by the same engine, stored in this or another profile of the sweep.

    Args:
        job: the sweep, profile and device.
        stored: its own store.
    """
    plan, rows = job.plan, list(stored.rows)
    for other in job.siblings:
        with suppress(UserError):  # a damaged store of another profile is not this call's business
            rows += store.read(other).rows
    by = trained_by(job.label, plan.smallest.engine if job.target.type == "cpu" else "eager") if rows else ""
    return [row for row in rows if row.device == by]


def from_rows(plan: Plan, rows: Collection[Row], cells: Collection[Cell]) -> float:
    """Seconds that ``cells`` will take if they take what ``rows`` took; NaN without rows.

    The median of each amount of data is interpolated linearly between them; beyond their ends it grows as the cost of a
    run of this family does.
    """
    if not rows:
        return float("nan")
    by_data: dict[int, list[float]] = {}
    for row in rows:
        by_data.setdefault(row.cell.n_data, []).append(row.seconds)
    return _interpolated(plan, {n: median(seconds) for n, seconds in by_data.items()}, cells)


def calibrated(plan: Plan, cells: Collection[Cell], device: torch.device) -> float:
    """Seconds that ``cells`` will take at most, from about a second of real steps at the ends of their range."""
    groups = plan.ensembles(list(cells))
    ends = groups[:1] + groups[1:][-1:]
    with devices.computing(device, "close it, or use --device cpu"):
        seconds = [_seconds_a_run(plan, group, device, CALIBRATION_SECONDS / len(ends)) for group in ends]
    if plan.sweep.setup.together:
        return seconds[0] * len(cells)
    return _interpolated(plan, {group[0].n_data: each for group, each in zip(ends, seconds, strict=True)}, cells)


def time_left(job: Job, stored: Stored | None = None, *, calibrate: bool = True) -> Estimate:
    """The time that the missing runs of a job will take, from stored runs where there are any, else from a calibration.

    Args:
        job: what is wanted.
        stored: what is in its store, if the caller has read it.
        calibrate: whether a second may be spent on measuring.

    Returns:
        The time; NaN seconds if nothing is stored and nothing may be measured.

    Raises:
        UserError: if the store is not in order.
    """
    stored = store.read(job) if stored is None else stored
    missing = [cell for cell in job.cells if cell not in stored.done]
    if not missing:
        return Estimate(0.0)
    seconds = from_rows(job.plan, stored_rows(job, stored), missing)
    if np.isnan(seconds) and calibrate:
        return Estimate(calibrated(job.plan, missing, job.target), bound=True)
    return Estimate(seconds)


def estimate(
    sweep: Sweep | str,
    profile: str = "laptop",
    *,
    runs: str | os.PathLike[str] | None = None,
    device: str = "auto",
    seeds: int | None = None,
) -> Estimate:
    """How long the missing runs of a sweep will take on this machine.

    Args:
        sweep: a sweep, or the id of one.
        profile: ``smoke``, ``laptop`` or ``paper``, or one of the sweep's own.
        runs: the folder of all stores; by default see :func:`~sciml_lib.sweeps.places.runs_folder`.
        device: what would train.
        seeds: only the first so many seeds of the plan; all by default.

    Raises:
        UserError: if an argument is impossible or the store is not in order.
    """
    return time_left(Job.of(sweep, profile, runs=runs, device=device, seeds=seeds))


def _seconds_a_run(plan: Plan, cells: Sequence[Cell], device: torch.device, limit: float) -> float:
    """A run's share of the time of the whole budget of some that train together, from steps of every stage.

    Where the memory of a GPU runs out, the steps are those of half as many.
    """
    # Large members cost on a CPU in proportion to their number; small ones, and a GPU, have to be measured as they are used.
    few = device.type == "cpu" and not plan.sweep.setup.together
    count = min(len(cells), 4) if few else len(cells)
    count = min(count, planner.slots(plan, cells[:count], device, devices.memory_budget(device)))
    while (rates := _rates(plan, cells[:count], device, limit)) is None:
        devices.release()
        count //= 2
    # Members that share a slot are trained once.
    whole, seeds = plan.problem(cells, device), [cell.seed for cell in cells]
    slots = ((phase.stage, len(phase.groups(whole, seeds))) for phase in plan.strategy.phases)
    return sum(n * rates[type(stage)] * stage.expected_evaluations(whole) for stage, n in slots) / len(cells)


def _rates(plan: Plan, cells: Sequence[Cell], device: torch.device, limit: float) -> dict[type, float] | None:
    """Seconds that an evaluation takes a member in each kind of stage; None if the memory ran out with several."""
    kinds = {type(phase.stage): phase for phase in plan.strategy.phases}  # the curriculum stages of a curriculum cost the same
    try:
        problem = plan.problem(cells, device)
        return {kind: _seconds_an_evaluation(phase, problem, limit / len(kinds)) for kind, phase in kinds.items()}
    except RuntimeError as error:
        if not devices.ran_out(error) or len(cells) == 1:
            raise
        return None


def _seconds_an_evaluation(phase: Phase, problem: Problem, limit: float) -> float:
    """A member's share of the time of one evaluation, from real steps."""
    problem, stage = phase.view(problem), phase.stage
    state = stage.step(problem, stage.init(problem, problem.init([0] * len(problem))))  # the first allocates its buffers
    start, before = time.perf_counter(), int(state.total_evaluations.sum())
    while (done := int(state.total_evaluations.sum()) - before) == 0 or time.perf_counter() - start < limit:
        if not (state.status == Status.RUNNING).any():
            state = stage.init(problem, problem.init([0] * len(problem)))
            before = -done
        state = stage.step(problem, state)
    if problem.device.type == "cuda":
        torch.cuda.synchronize(problem.device)
    return (time.perf_counter() - start) / done


def _interpolated(plan: Plan, seconds: dict[int, float], cells: Collection[Cell]) -> float:
    """Sum over the cells of seconds known at some amounts of data."""
    known = sorted(seconds)
    total = 0.0
    for cell in cells:
        nearest = min(max(cell.n_data, known[0]), known[-1])
        beyond = plan.sweep.setup.cost(cell.n_data) / plan.sweep.setup.cost(nearest)
        total += beyond * float(np.interp(nearest, known, [seconds[n] for n in known]))
    return total
