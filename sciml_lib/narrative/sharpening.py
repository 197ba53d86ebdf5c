"""What the chapter on sharpness says of training in time: where the curvature rises, and what the loss does meanwhile."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from sciml_lib import figures
from sciml_lib.figures.trajectories import median
from sciml_lib.ledger import FAILS, HOLDS, OPEN, Statement
from sciml_lib.narrative.curvature import rank, signed
from sciml_lib.prose import counted, listed, number, table
from sciml_lib.studies import Results
from sciml_lib.studies.trajectories import warm_up
from sciml_lib.sweeps import catalog

SHARPER = 1.5
"""From this factor on a rise of the largest eigenvalue counts as sharpening."""

DONE = 0.9
"""The sharpening phase ends when this part of the rise, in logarithms, is done."""

STEADY = 2.0
"""What stays within this factor of its last value is stable."""

FIG_7 = (5.0, 15_000)
"""The cell of Fig. 7: coefficient and amount of data."""

PHASES = {"whole": "all of training", "adam": "Adam", "lbfgs": "L-BFGS"}


@dataclass(frozen=True)
class Run:
    """One training.

    Attributes:
        iteration: where it was measured, increasing, ``[K]``.
        loss: training loss, ``[K]``.
        lambda_max: largest eigenvalue, ``[K]``.
        warm: iterations of Adam, which come first.
    """

    iteration: NDArray
    loss: NDArray
    lambda_max: NDArray
    warm: int

    def phase(self, name: str) -> Run:
        """The points of a phase, those where one ends and the next begins in both: ``whole``, ``adam`` or ``lbfgs``."""
        before = int((self.iteration <= self.warm).sum())
        part = {"whole": slice(None), "adam": slice(0, before), "lbfgs": slice(max(0, before - 1), None)}[name]
        return Run(self.iteration[part], self.loss[part], self.lambda_max[part], self.warm)

    @property
    def sharpening(self) -> float:
        """Last eigenvalue over the first; NaN for fewer than two points."""
        return float(self.lambda_max[-1] / self.lambda_max[0]) if len(self.lambda_max) > 1 else np.nan

    @property
    def rise(self) -> float:
        """Factor of the largest rise on the way, from some point to a later one; at least 1."""
        return largest_rise(self.lambda_max)[2]

    @property
    def fall(self) -> float:
        """First loss over the last; NaN for fewer than two points."""
        return float(self.loss[0] / self.loss[-1]) if len(self.loss) > 1 else np.nan

    @property
    def relation(self) -> float:
        """Rank correlation of loss and eigenvalue along the run; ranks are those of the logarithms, too."""
        return rank(self.loss, self.lambda_max)


def trainings(results: Results) -> dict[tuple[float, int], list[Run]]:
    """The runs of the study by cell: (coefficient, amount of data)."""
    found: dict[tuple[float, int], list[Run]] = {}
    profile = "smoke" if results.attrs["profile"] == "smoke" else "paper"
    for item, arrays in results.items.items():
        warm = warm_up(catalog.get(item.sweep).at(profile))
        run = Run(arrays["iteration"], arrays["loss"], arrays["lambda_max"], warm)
        found.setdefault((item.coefficient, item.n_data), []).append(run)
    return dict(sorted(found.items(), key=lambda entry: (entry[0][1], entry[0][0])))


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


def sharpening_figure(results: Results, title: str) -> Figure:
    """Draws loss and largest eigenvalue along training, cell by cell, with the split between the phases."""
    panels = []
    for (coefficient, n_data), runs in trainings(results).items():
        iterations, losses, eigenvalues = aligned(runs)
        name = f"$\\beta = {coefficient:g}$, $N_f = {n_data:,}$"
        warm = runs[0].warm if 0 < runs[0].warm < iterations[-1] else None
        panels.append(figures.Trajectory(name, iterations, losses, eigenvalues, split(runs), warm))
    phases = ("largest eigenvalue rises", "after nine tenths of its rise")
    return figures.trajectories(panels, title=title, phases=phases, switch="L-BFGS takes over from Adam")


def sharpening_table(results: Results) -> str:
    """Tabulates how much sharper each cell's runs become, in all of training, under Adam and under L-BFGS."""
    rows = []
    for (coefficient, n_data), runs in trainings(results).items():
        for phase, words in PHASES.items():
            parts = [part for run in runs if len((part := run.phase(phase)).iteration) > 1]
            if not parts:
                continue
            factors, relations = np.array([p.sharpening for p in parts]), np.array([p.relation for p in parts])
            first = phase == "whole"
            relation = _middle(relations)
            rows.append(
                [
                    f"$\\beta = {coefficient:g}$, $N_f = {n_data:,}$" if first else "",
                    words,
                    " to ".join(number(_middle([p.lambda_max[end] for p in parts])) for end in (0, -1)),
                    f"{number(_middle(factors))} ({number(factors.min())} to {number(factors.max())})",
                    f"{int((factors > 1).sum())} of {len(parts)}",
                    f"{number(_middle([p.rise for p in parts]))}",
                    number(_middle([p.fall for p in parts])),
                    f"{signed(relation)} (negative in {int((relations < 0).sum())})" if np.isfinite(relation) else "n/a",
                ]
            )
    header = [
        "cell",
        "phase",
        "$\\lambda_{\\max}$",
        "changes by the factor",
        "rises in",
        "largest rise on the way",
        "loss falls by the factor",
    ]
    text = table([*header, "rank correlation with the loss"], rows)
    return (
        f"{text}\n\nMedians over the seeds, of the factors the lowest and the highest as well; a correlation is that along one "
        f"run. {_split_words(results)} {fig_7_words(results)}"
    )


def fig_7_words(results: Results) -> str:
    """Says whether the cell of Fig. 7 is among the runs."""
    runs = trainings(results).get(FIG_7)
    if runs is None:
        profile = results.attrs["profile"]
        cell = "The cell of Fig. 7, $\\beta = 5$ with $N_f = 15{,}000$,"
        return f"{cell} is not among the runs that are stored of the profile *{profile}*."
    if len(runs) == 1:
        return "The cell of Fig. 7 has one seed here, and five in the paper."
    return ""


def sharpening_statements(results: Results) -> list[Statement]:
    """Evaluates what section 2.5.2 and appendix F.1 say of sharpening, from the runs of Figs. 7 and 12."""
    cells = trainings(results)
    runs = [run for cell in cells.values() for run in cell]
    factors = np.array([run.sharpening for run in runs])
    sharper = [int(sum(run.sharpening >= SHARPER for run in cell)) for cell in cells.values()]
    most = sum(n > len(cell) / 2 for n, cell in zip(sharper, cells.values(), strict=True))
    middle, least, largest = (number(value) for value in (_middle(factors), factors.min(), factors.max()))
    rising = Statement(
        "in all settings the largest eigenvalue rises substantially while the training loss falls",
        f"in {sum(sharper)} of {counted(len(runs), 'run')} it ends at {SHARPER:g} times its first value or more (median factor "
        f"{middle}, {least} to {largest}); in {most} of {counted(len(cells), 'cell')} in most seeds; its largest rise on the "
        f"way has the factor {number(_middle([run.rise for run in runs]))} in the median run",
        HOLDS if most == len(cells) else FAILS,
    )
    return [rising, _coincide(runs, cells), _settles(cells), _steeper(cells)]


def _coincide(runs: list[Run], cells: dict[tuple[float, int], list[Run]]) -> Statement:
    claim = "the rise coincides with the fall of the loss"
    relations = np.array([run.relation for run in runs])
    known = relations[np.isfinite(relations)]
    if not known.size:
        return Statement(claim, "the runs have too few points", OPEN)
    typical = [_middle([run.relation for run in cell]) for cell in cells.values()]
    found = (
        f"along a run the two have a rank correlation of {signed(_middle(known))} in the median, negative in "
        f"{int((known < 0).sum())} of {counted(known.size, 'run')}"
    )
    return Statement(claim, found, HOLDS if all(value <= -0.5 for value in typical if np.isfinite(value)) else FAILS)


def _settles(cells: dict[tuple[float, int], list[Run]]) -> Statement:
    """Whether eigenvalue and loss stay where they are after the split."""
    claim = "after the sharpening both, loss and sharpness, are stable"
    n, steady_lambda, steady_loss, falls = 0, 0, 0, []
    for runs in cells.values():
        at = split(runs)
        if at is None:
            continue
        iterations, losses, eigenvalues = aligned(runs)
        later = iterations >= at
        if later.sum() < 2:
            continue
        loss, value = (median(part)[later] for part in (losses, eigenvalues))
        n += 1
        steady_lambda += int(_steady(value))
        steady_loss += int(_steady(loss))
        falls.append(float(loss[0] / loss[-1]))
    if not n:
        return Statement(claim, f"no cell has a rise by a factor of {SHARPER:g}, and points after it", OPEN)
    found = (
        f"from the split on the eigenvalue stays within a factor of {STEADY:g} of its last value in {steady_lambda} of "
        f"{counted(n, 'cell')}, the loss in {steady_loss}; it falls by another factor of {number(_middle(falls))} (median cell)"
    )
    return Statement(claim, found, HOLDS if steady_lambda == steady_loss == n else FAILS)


def _steeper(cells: dict[tuple[float, int], list[Run]]) -> Statement:
    """Whether the eigenvalue rises more where the coefficient is larger, at equal amounts of data.

    From the first to the last point, and in the largest rise on the way: if these, or the amounts of data, disagree, it cannot
    be judged.
    """
    claim = "sharpening is more pronounced for larger β"
    parts, verdicts = [], []
    for n_data in sorted({n for _, n in cells}):
        row = {beta: runs for (beta, n), runs in cells.items() if n == n_data}
        if len(row) < 2:
            continue
        small, large = (row[end(row)] for end in (min, max))
        (a, rise_a), (b, rise_b) = (
            (_middle([run.sharpening for run in runs]), _middle([run.rise for run in runs])) for runs in (small, large)
        )
        start = _middle([run.lambda_max[0] for run in large]) / _middle([run.lambda_max[0] for run in small])
        verdicts += [b > a, rise_b > rise_a]
        low, high = min(row), max(row)
        parts.append(
            f"with {n_data:,} points from first to last by {number(a)} at β = {low:g} and by {number(b)} at β = {high:g} "
            f"(where it is {number(start)} times as large before training), in its largest rise by {number(rise_a)} and by "
            f"{number(rise_b)}"
        )
    if not parts:
        return Statement(claim, "no amount of data was run with several β", OPEN)
    verdict = HOLDS if all(verdicts) else OPEN if any(verdicts) else FAILS
    doubt = "; these do not agree" if verdict == OPEN else ""
    return Statement(claim, f"the eigenvalue of the median seed changes {'; '.join(parts)}{doubt}", verdict)


def _split_words(results: Results) -> str:
    """Where the splits lie, and by which rule."""
    places, none = [], []
    for (coefficient, n_data), runs in trainings(results).items():
        at, name = split(runs), f"β = {coefficient:g} with {n_data:,} points"
        if at is None:
            none.append(name)
        else:
            places.append(f"{at:,.0f} ({name})")
    text = (
        "The paper gives no rule for where its two phases part. Here it is the first point at which nine tenths of the largest "
        "rise of the seeds' median eigenvalue are done, counted in its logarithm"
    )
    text += f": iteration {listed(places)}." if places else "."
    if none:
        text += f" At {listed(none)} the median nowhere rises by a factor of {SHARPER:g}, so there are no phases."
    return text


def _steady(values: NDArray) -> bool:
    return bool(((values <= STEADY * values[-1]) & (values >= values[-1] / STEADY)).all())


def _valid(values: NDArray) -> NDArray:
    return values[np.isfinite(values)]


def _middle(values: Iterable[float]) -> float:
    """Median of the numbers that are there; NaN if there are none."""
    known = _valid(np.asarray(list(values), dtype=float))
    return float(np.median(known)) if known.size else np.nan
