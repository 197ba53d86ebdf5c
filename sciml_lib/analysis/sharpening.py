"""Loss and largest eigenvalue along training: how far each rises and falls, and where the rise is done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sciml_lib.analysis.curvature import rank
from sciml_lib.analysis.strategies import iterations, own_stage
from sciml_lib.figures import Trajectory
from sciml_lib.figures.trajectories import median
from sciml_lib.studies import Results
from sciml_lib.studies.trajectories import warm_up
from sciml_lib.sweeps import catalog

SHARPER = 1.5
"""From this factor on a rise of the largest eigenvalue counts as sharpening."""

DONE = 0.9
"""The sharpening phase ends when this part of the rise, in logarithms, is done."""

STEADY = 2.0
"""On a logarithmic axis what stays within this factor of its last value is stable: the paper gives no number, this is ours."""

LEVEL = 0.1
"""On a linear axis what stays within this part of the run's largest value of its last value is: ours, too."""

PHASES = ("whole", "adam", "lbfgs")
"""All of training, and its parts."""


@dataclass(frozen=True)
class Run:
    """One training.

    Attributes:
        iteration: where it was measured, increasing, ``[K]``.
        loss: training loss, ``[K]``.
        lambda_max: largest eigenvalue, ``[K]``.
        warm: iterations of Adam, which come first.
        seed: of the run.
        most: iterations that it might have had.
    """

    iteration: NDArray
    loss: NDArray
    lambda_max: NDArray
    warm: int
    seed: int = 0
    most: float = np.inf

    def phase(self, name: str) -> Run:
        """The points of one of :data:`PHASES`; those where one ends and the next begins are in both."""
        before = int((self.iteration <= self.warm).sum())
        part = {"whole": slice(None), "adam": slice(0, before), "lbfgs": slice(max(0, before - 1), None)}[name]
        return replace(self, iteration=self.iteration[part], loss=self.loss[part], lambda_max=self.lambda_max[part])


def trainings(results: Results) -> dict[tuple[float, int], list[Run]]:
    """The runs of the study by cell, (coefficient, amount of data): by data, then by coefficient."""
    found: dict[tuple[float, int], list[Run]] = {}
    profile = "smoke" if results.attrs["profile"] == "smoke" else "paper"
    for item, arrays in results.items.items():
        plan = catalog.get(item.sweep).at(profile)
        warm = warm_up(plan)
        most = warm + iterations(own_stage(plan.strategy))
        run = Run(arrays["iteration"], arrays["loss"], arrays["lambda_max"], warm, item.seed, most)
        found.setdefault((item.coefficient, item.n_data), []).append(run)
    return dict(sorted(found.items(), key=lambda entry: (entry[0][1], entry[0][0])))


def runs_of(results: Results) -> pd.DataFrame:
    """What loss and curvature do in every run, in all of its training and in each phase of it.

    Returns:
        One row a run and phase with at least two points: coefficient, n_data, seed, ``phase`` (of :data:`PHASES`); the
        eigenvalue ``first`` and ``last``, their quotient ``factor``, and ``rise``, the factor of the largest rise on the way,
        from some point to a later one, at least 1; ``fall``, the first loss over the last; and ``relation``, the rank
        correlation of loss and eigenvalue along the run, NaN for few points.
    """
    return pd.DataFrame(_lines(results), columns=[*_OF_A_RUN])


_OF_A_RUN = ("coefficient", "n_data", "seed", "phase", "first", "last", "factor", "rise", "fall", "relation")


def _lines(results: Results) -> Iterator[tuple]:
    for (coefficient, n_data), runs in trainings(results).items():
        for phase in PHASES:
            for run in runs:
                part = run.phase(phase)
                if len(part.iteration) < 2:
                    continue
                first, last = (float(part.lambda_max[end]) for end in (0, -1))
                rise, fall = largest_rise(part.lambda_max)[2], float(part.loss[0] / part.loss[-1])
                relation = rank(part.loss, part.lambda_max)
                yield coefficient, n_data, run.seed, phase, first, last, last / first, rise, fall, relation


def by_cell(runs: pd.DataFrame) -> pd.DataFrame:
    """The seeds of each cell together, phase by phase.

    Args:
        runs: what :func:`runs_of` returns.

    Returns:
        One row a cell and phase, by data, coefficient and phase: ``runs``; medians of ``first``, ``last``, ``factor``,
        ``rise``, ``fall`` and ``relation``; the ``lowest`` and ``highest`` factor; how many runs end ``sharper`` than they
        begin; and in how many the relation is ``negative``.
    """
    groups = runs.groupby(["n_data", "coefficient", "phase"])
    found = groups[["first", "last", "factor", "rise", "fall", "relation"]].median()
    found["runs"], found["lowest"], found["highest"] = groups.size(), groups["factor"].min(), groups["factor"].max()
    for name, part in {"sharper": runs["factor"] > 1, "negative": runs["relation"] < 0}.items():
        found[name] = part.groupby([runs[key] for key in ("n_data", "coefficient", "phase")]).sum()
    return found.reset_index().sort_values(["n_data", "coefficient", "phase"], key=_in_order).reset_index(drop=True)


def _in_order(column: pd.Series) -> pd.Series:
    return column.map({phase: place for place, phase in enumerate(PHASES)}) if column.name == "phase" else column


def aligned(runs: Iterable[Run]) -> tuple[NDArray, NDArray, NDArray]:
    """Runs over common iterations: between its own points a run is interpolated in logarithms, after its end it stays there.

    If it went missing instead, the median of the seeds would jump where one of them ends.

    Returns:
        Iterations ``[K]``, losses and eigenvalues ``[S, K]``.
    """
    runs = list(runs)
    grid = np.unique(np.concatenate([run.iteration for run in runs]))

    def over_grid(run: Run, values: NDArray) -> NDArray:
        return np.exp(np.interp(np.log1p(grid), np.log1p(run.iteration), np.log(values)))

    losses = np.stack([over_grid(run, run.loss) for run in runs])
    return grid, losses, np.stack([over_grid(run, run.lambda_max) for run in runs])


def largest_rise(values: NDArray) -> tuple[int, int, float]:
    """The largest rise along a sequence of positive numbers: where it begins, where it is complete, and its factor.

    Numbers that are NaN are skipped; a sequence that only falls has the factor 1.
    """
    place = np.flatnonzero(np.isfinite(values))
    logs = np.log(values[place])
    lowest = np.minimum.accumulate(logs)
    end = int(np.argmax(logs - lowest))
    start = int(np.argmin(logs[: end + 1]))
    return int(place[start]), int(place[end]), float(np.exp(logs[end] - logs[start]))


def split(runs: Iterable[Run]) -> float | None:
    """The iteration that parts the sharpening from the stable phase, None if there is no sharpening; the paper gives no rule.

    Taken is the largest rise of the seeds' median eigenvalue, from some point to a later one. Its first point at which nine
    tenths of it are done, in logarithms, is the split. That assumes no shape: a plateau before the rise or a decline after
    it does not move it, and an outlier of one seed does not enter the median. A rise by less than a factor of 1.5 counts as
    none.
    """
    iterations, _, eigenvalues = aligned(runs)
    middle = median(eigenvalues)
    start, end, factor = largest_rise(middle)
    if factor < SHARPER:
        return None
    level = middle[start] * factor**DONE
    reached = next(i for i in range(start, end + 1) if middle[i] >= level)
    return float(iterations[reached])


def splits(results: Results) -> pd.DataFrame:
    """Where each cell's sharpening is done.

    Returns:
        One row a cell: coefficient, n_data, and ``split``, NaN if there is no sharpening.
    """
    places = {cell: split(runs) for cell, runs in trainings(results).items()}
    return pd.DataFrame([{"coefficient": c, "n_data": n, "split": place} for (c, n), place in places.items()]).astype(
        {"split": float}
    )


def after_split(results: Results) -> pd.DataFrame:
    """What each run does once the sharpening of its cell is done.

    Returns:
        One row a run that has at least two points from the split on: coefficient, n_data, seed, the factor by which its loss
        still falls, ``fall``, and for loss and eigenvalue whether they stay where they end: ``loss_log`` and ``lambda_log``
        within a factor of :data:`STEADY`, ``loss_linear`` and ``lambda_linear`` within :data:`LEVEL` of the run's largest
        value.
    """
    found = []
    for (coefficient, n_data), runs in trainings(results).items():
        at = split(runs)
        for run in runs:
            later = run.iteration >= (np.inf if at is None else at)
            if later.sum() < 2:
                continue
            line = {"coefficient": coefficient, "n_data": n_data, "seed": run.seed}
            for name, values in (("loss", run.loss), ("lambda", run.lambda_max)):
                part, last = values[later], values[-1]
                line[f"{name}_log"] = bool(((part <= STEADY * last) & (part >= last / STEADY)).all())
                line[f"{name}_linear"] = bool((np.abs(part - last) <= LEVEL * values.max()).all())
            found.append(line | {"fall": float(run.loss[later][0] / run.loss[-1])})
    names = ("loss_log", "loss_linear", "lambda_log", "lambda_linear", "fall")
    return pd.DataFrame(found, columns=["coefficient", "n_data", "seed", *names])


def curves(results: Results) -> list[Trajectory]:
    """Loss and largest eigenvalue along training, cell by cell, with the split between the phases: what a figure takes."""
    panels = []
    for (coefficient, n_data), runs in trainings(results).items():
        iterations, losses, eigenvalues = aligned(runs)
        name = f"$\\beta = {coefficient:g}$, $N_f = {n_data:,}$"
        warm = runs[0].warm if 0 < runs[0].warm < iterations[-1] else None
        panels.append(Trajectory(name, iterations, losses, eigenvalues, split(runs), warm))
    return panels
