"""How long the runs that are missing will take."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Sequence
from statistics import median
from typing import NamedTuple

import numpy as np
import torch

from sciml_lib.errors import UserError
from sciml_lib.optim import Status
from sciml_lib.problems import Problem
from sciml_lib.strategies import Phase
from sciml_lib.sweeps import devices, planner, store
from sciml_lib.sweeps.rows import Row
from sciml_lib.sweeps.spec import Cell, Plan

CALIBRATION_SECONDS = 1.0
CONDITION_POINTS = 500
"""Initial and boundary points come on top of n_data; so much of a run's cost does not depend on it."""


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
        """``about 40 s``, ``at most about 3.5 h`` ..."""
        return f"{'at most ' if self.bound else ''}about {duration(self.seconds)}"


def duration(seconds: float) -> str:
    """Seconds in words: ``40 s``, ``12 min`` or ``3.5 h``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def stored_rows(plan: Plan, runs: str | os.PathLike[str] | None, device_label: str) -> list[Row]:
    """Runs of the same recipe on the same device, stored in any profile of the sweep."""
    found = []
    for other in {one.profile: one for one in map(plan.sweep.at, plan.sweep.profiles)}.values():
        if other.hash != plan.hash:
            continue
        try:
            found += [row for row in store.read(other, runs).rows if row.device == device_label]
        except UserError:
            if other.profile == plan.profile:
                raise
    return found


def from_rows(rows: Collection[Row], cells: Collection[Cell]) -> float:
    """Seconds that ``cells`` will take if they take what ``rows`` took; NaN without rows.

    The median of each amount of data is interpolated linearly between them; beyond their ends it grows in proportion
    to the number of points.
    """
    if not rows:
        return float("nan")
    by_data: dict[int, list[float]] = {}
    for row in rows:
        by_data.setdefault(row.cell.n_data, []).append(row.seconds)
    return _interpolated({n: median(seconds) for n, seconds in by_data.items()}, cells)


def calibrated(plan: Plan, cells: Collection[Cell], device: torch.device) -> float:
    """Seconds that ``cells`` will take at most, from about a second of real steps at the ends of their range."""
    groups = plan.ensembles(list(cells))
    ends = groups[:1] + groups[1:][-1:]
    seconds = [_seconds_a_run(plan, group, device, CALIBRATION_SECONDS / len(ends)) for group in ends]
    if plan.sweep.setup.together:
        return seconds[0] * len(cells)
    return _interpolated({group[0].n_data: each for group, each in zip(ends, seconds, strict=True)}, cells)


def time_left(
    plan: Plan,
    cells: Collection[Cell],
    device: torch.device,
    runs: str | os.PathLike[str] | None = None,
    *,
    calibrate: bool = True,
) -> Estimate:
    """The time that ``cells`` will take, from stored runs where there are any, else from a calibration.

    Args:
        plan: the sweep and profile.
        cells: the runs that are missing.
        device: what will train them.
        runs: the folder of all stores.
        calibrate: whether a second may be spent on measuring.

    Returns:
        The time; NaN seconds if nothing is stored and nothing may be measured.
    """
    if not cells:
        return Estimate(0.0)
    seconds = from_rows(stored_rows(plan, runs, devices.label(device)), cells)
    if np.isnan(seconds) and calibrate:
        return Estimate(calibrated(plan, cells, device), bound=True)
    return Estimate(seconds)


def _seconds_a_run(plan: Plan, cells: Sequence[Cell], device: torch.device, limit: float) -> float:
    """A run's share of the time of the whole budget of some that train together, from steps of every stage."""
    # Large members cost on a CPU in proportion to their number; small ones, and a GPU, have to be measured as they are used.
    few = device.type == "cpu" and not plan.sweep.setup.together
    count = min(len(cells), 4) if few else len(cells)
    count = min(count, planner.slots(plan, cells[:count], device, devices.memory_budget(device)))
    problem = plan.problem(cells[:count], device)
    kinds = {type(phase.stage): phase for phase in plan.strategy.phases}  # the curriculum stages of a curriculum cost the same
    rates = {kind: _seconds_an_evaluation(phase, problem, limit / len(kinds)) for kind, phase in kinds.items()}
    # Members that share a slot are trained once.
    whole, seeds = plan.problem(cells, device), [cell.seed for cell in cells]
    slots = ((phase.stage, len(phase.groups(whole, seeds))) for phase in plan.strategy.phases)
    return sum(n * rates[type(stage)] * stage.expected_evaluations for stage, n in slots) / len(cells)


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


def _interpolated(seconds: dict[int, float], cells: Collection[Cell]) -> float:
    """Sum over the cells of seconds known at some amounts of data."""
    known = sorted(seconds)
    total = 0.0
    for cell in cells:
        nearest = min(max(cell.n_data, known[0]), known[-1])
        beyond = (cell.n_data + CONDITION_POINTS) / (nearest + CONDITION_POINTS)
        total += beyond * float(np.interp(nearest, known, [seconds[n] for n in known]))
    return total
