"""One map with everything a chapter shows and says of it: means, regimes, borders, pictures and agreement.

This is the glue between the stored runs and the rooms that know arrays only; it computes nothing of its own.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
import xarray as xr
from matplotlib.figure import Figure
from torch import Tensor

from sciml_lib import figures, regimes
from sciml_lib.errors import UserError
from sciml_lib.figures.regime_map import numeral_places
from sciml_lib.problems import PINN
from sciml_lib.regimes import REGIMES, Agreement, Bootstrap, Boundary, Regime, RegimeMap, Thresholds
from sciml_lib.regimes.bootstrap import crossings as row_crossings
from sciml_lib.sweeps import catalog, dataset, store
from sciml_lib.sweeps.job import Job
from sciml_lib.sweeps.spec import Cell, Plan, Sweep
from sciml_lib.systems import System

FLAT = 0.05
"""A solution that varies over x by less than this share of its start counts as a constant there."""


@dataclass(frozen=True)
class Solution:
    """What one network learned, beside the truth.

    Attributes:
        x: places along the first coordinate, ``[n_x]``.
        t: places along the second, ``[n_t]``.
        learned: the network's solution, ``[n_t, n_x]``.
        true: the reference solution, ``[n_t, n_x]``.
        points: its collocation points (x, t), ``[n_data, 2]``.
    """

    x: np.ndarray
    t: np.ndarray
    learned: np.ndarray
    true: np.ndarray
    points: np.ndarray

    @property
    def flat_from(self) -> float | None:
        """The time from which on the learned solution is a constant in x; None if it never is.

        That is, from where it varies over x by less than a twentieth of what the true solution varies by at the beginning.
        """
        bound = FLAT * float(np.ptp(self.true[0]))
        uneven = np.flatnonzero(np.ptp(self.learned, axis=1) > bound)
        first = 0 if not uneven.size else int(uneven[-1]) + 1
        return float(self.t[first]) if first < len(self.t) else None


@dataclass(frozen=True)
class Panel:
    """A regime map computed from stored runs.

    Attributes:
        runs: what :func:`sciml_lib.load` returns; dimensions coefficient, n_data and seed.
        folder: the folder of stored runs they come from; empty for the repository's own.
        own_thresholds: thresholds to judge it by; None for those of its own row of Table 5, or, where it has none, those
            that follow from its maps.
        own_plan: exactly what the runs are meant to be; None for what the catalog has under the id in their attributes.
    """

    runs: xr.Dataset
    folder: str = ""
    own_thresholds: Thresholds | None = None
    own_plan: Plan | None = None

    @classmethod
    def of(
        cls,
        sweep: Sweep | str,
        profile: str = "laptop",
        device: str = "auto",
        runs: str | os.PathLike[str] = "",
        seeds: int | None = None,
        thresholds: Thresholds | None = None,
        grown: bool = False,
        max_minutes: float = 5.0,
    ) -> Panel:
        """Reads the runs of a sweep, and trains what is missing if that takes no more than a few minutes.

        Args:
            sweep: id of a sweep, or a sweep of your own.
            profile: smoke, laptop or paper, or a profile of your own sweep.
            device: auto, cpu or cuda.
            runs: folder of stored runs; empty for the repository's own.
            seeds: *at most* the first so many seeds: a profile that has fewer gives all of its own, so that one number
                can be asked of several sweeps. All by default.
            thresholds: where low ends; by default the row of Table 5, or what follows from the maps where it has none.
            grown: whether to show a larger profile of the same recipe instead, as far as it is stored, if it has all these
                runs and more.
            max_minutes: how long training may take by the estimate; with 0 nothing is trained.

        Raises:
            UserError: if a name or number is impossible, or training would take long; it says how to go on.
        """
        import sciml_lib

        plan, folder, seeds = _asked(sweep, profile, runs, seeds, thresholds)
        options = {"runs": folder or None, "device": device, "seeds": seeds, "grown": grown, "max_minutes": max_minutes}
        found = sciml_lib.load_or_train(sweep, profile, **options)
        if grown:
            plan = plan.sweep.at(found.attrs["profile"])
        return cls(found, folder, thresholds, plan)

    @classmethod
    def stored(cls, sweep: Sweep | str, runs: str | os.PathLike[str] | None = None, *, grown: bool = True) -> Panel | None:
        """What is stored of a sweep in its profile *laptop*; trains nothing.

        Args:
            sweep: id of a sweep, or a sweep of your own.
            runs: folder of stored runs; None for the repository's own.
            grown: as :meth:`of` has it.

        Returns:
            The map; None if no run is stored.

        Raises:
            UserError: if there is no such sweep or folder, or the store is not in order.
        """
        job = Job.of(sweep, runs=runs)
        if not store.read(job).rows:
            return None
        found = dataset.load(sweep, runs=runs, grown=grown)
        return cls(found, os.fspath(runs or ""), own_plan=job.plan.sweep.at(found.attrs["profile"]))

    @classmethod
    def measured(
        cls,
        sweep: Sweep | str,
        profile: str = "laptop",
        device: str = "auto",
        runs: str | os.PathLike[str] = "",
        seeds: int | None = None,
        thresholds: Thresholds | None = None,
        max_minutes: float = 5.0,
    ) -> Panel:
        """Reads the runs of a sweep with their curvature: ``seeded("lambda_max")`` and the others work.

        Takes what :meth:`of` takes.

        Raises:
            UserError: as :meth:`of`, or if the curvature is not stored; it says what to type.
        """
        plan, folder, seeds = _asked(sweep, profile, runs, seeds, thresholds)
        options = {"runs": folder or None, "device": device, "seeds": seeds, "max_minutes": max_minutes}
        found = dataset.load_measured(sweep, profile, **options)
        return cls(found, folder, thresholds, plan)

    @cached_property
    def plan(self) -> Plan:
        """Exactly what the runs are meant to be."""
        return self.own_plan or catalog.get(self.sweep).at(self.runs.attrs["profile"])

    @property
    def job(self) -> Job:
        """The plan with its folder, which words every command."""
        return Job(self.plan, self.folder or None)

    @cached_property
    def system(self) -> System:
        """The equation, with its constants and its own words."""
        return self.plan.sweep.system

    @property
    def sweep(self) -> str:
        """The id of the sweep, such as ``pinn/convection/lbfgs``."""
        return self.runs.attrs["sweep"]

    @cached_property
    def map(self) -> RegimeMap:
        """The pair of maps with its thresholds, regimes and borders."""
        return regimes.map_of(self.runs, self.own_thresholds)

    @property
    def train(self) -> xr.DataArray:
        """Seed mean of the training loss, ``[n_coefficient, n_data]``; NaN where nothing is stored."""
        return self.map.train

    @property
    def test(self) -> xr.DataArray:
        """Seed mean of the test error, ``[n_coefficient, n_data]``; NaN where nothing is stored."""
        return self.map.test

    @property
    def thresholds(self) -> Thresholds:
        """Those that were given, or the row of Table 5 for this sweep, or what follows from the maps."""
        return self.map.thresholds

    @property
    def labels(self) -> xr.DataArray:
        """The regime of every cell, 0 where nothing is stored."""
        return self.map.labels

    @property
    def boundaries(self) -> list[Boundary]:
        """Both borders at the five perturbations of their thresholds."""
        return self.map.boundaries

    @cached_property
    def band(self) -> Bootstrap | None:
        """What resampling the seeds says; None if there is one seed only."""
        if self.runs.sizes["seed"] < 2:
            return None
        return regimes.bootstrap(
            self.seeded("train_loss"),
            self.seeded("test_error"),
            self.thresholds,
            generator=np.random.default_rng(0),
        )

    @cached_property
    def published(self) -> xr.Dataset:
        """The published pair of maps of this family of models on this system, digitised from Fig. 1.

        Raises:
            UserError: if Fig. 1 shows no such map.
        """
        return regimes.published.of_sweep(self.sweep)

    @cached_property
    def published_labels(self) -> xr.Dataset:
        """The regimes that can be read from the published map, judged by the same thresholds."""
        return regimes.published.labels(self.published, self.thresholds)

    @cached_property
    def agreement(self) -> Agreement:
        """Our labels against the published ones."""
        theirs = self.published_labels
        return regimes.agreement(self.labels, theirs["label"], theirs["legible"], theirs["uncertain"])

    def restricted_to(self, other: Panel) -> Panel:
        """The part of this panel on the coefficients and amounts of data that another has too."""
        common = {axis: np.intersect1d(self.runs[axis], other.runs[axis]) for axis in ("coefficient", "n_data")}
        return replace(self, runs=self.runs.sel(common))

    def with_thresholds_of(self, other: Panel) -> Panel:
        """The same map by the thresholds of another."""
        return replace(self, own_thresholds=other.thresholds)

    @cached_property
    def crossings(self) -> xr.Dataset:
        """Where each row first rises above its thresholds, as coefficients; see :class:`sciml_lib.regimes.Bootstrap`.

        Variables ``crossing``, ``lower`` and ``upper`` (NaN with one seed) over ``boundary`` and ``n_data``.
        """
        coefficients = self.runs["coefficient"].values
        if self.band is not None:
            rows = self.band.rows
        else:
            found = np.concatenate(row_crossings(self.train.values[None], self.test.values[None], self.thresholds))
            names = ("boundary", "n_data")
            unknown = np.full_like(found, np.nan)
            rows = xr.Dataset(
                {"crossing": (names, found), "lower": (names, unknown), "upper": (names, unknown)},
                coords={"boundary": ["train", "test"], "n_data": self.runs["n_data"].values},
            )
        return rows.map(lambda index: index.copy(data=regimes.to_coefficient(index.values, coefficients)))

    def held_out_error(self) -> xr.DataArray:
        """Test error of stored PINNs on the common test grid, whatever grid they were trained and tested on.

        Returns:
            ``[coefficient, n_data, seed]``; NaN where no parameters are stored.
        """
        sweep = self.plan.sweep
        errors = xr.full_like(self.seeded("test_error"), np.nan)
        for place in np.ndindex(errors.shape):
            cell = Cell(*(errors[axis].values[i].item() for axis, i in zip(errors.dims, place, strict=True)))
            params = self.parameters(cell)
            if params is not None:
                problem = PINN(
                    self.system, sweep.setup.network(self.system), [cell.coefficient], cell.n_data, dtype=torch.float64
                )
                errors[place] = problem.test_error(params[None].double()).item()
        return errors

    def on_the_cells_of(self, other: Panel) -> Agreement:
        """Our labels against the published ones, over the cells that another panel of ours has too."""
        mine, theirs = self.restricted_to(other).labels, other.restricted_to(self).labels
        published = self.published_labels
        shared = mine.where(theirs != int(Regime.MISSING), int(Regime.MISSING)).astype(int)
        return regimes.agreement(shared, published["label"], published["legible"], published["uncertain"])

    def agreement_with(self, other: Panel) -> Agreement:
        """The labels of this panel against those of another of ours."""
        known = other.labels != int(Regime.MISSING)
        return regimes.agreement(self.labels, other.labels, known)

    def regime_map(self, title: str, *, band: bool = False) -> Figure:
        """The pair of maps; with ``band`` the part in which the resampled borders lie is veiled."""
        return figures.regime_map(
            *self.maps,
            self.thresholds,
            self.boundaries,
            **self.axis_words,
            title=title,
            band=self.band if band else None,
            seeds=((self.runs["status"] != "").sum("seed").transpose("coefficient", "n_data").values, self.runs.sizes["seed"]),
        )

    def beside_the_published(self, title: str) -> Figure:
        """Our maps above the published ones."""
        theirs = regimes.published.boundaries(self.published, self.thresholds)
        return figures.side_by_side(
            *self.maps, self.published, self.thresholds, self.boundaries, theirs, **self.axis_words, title=title
        )

    def boundary_band(self, title: str) -> Figure:
        """How sure each cell's side of the two thresholds is, given the seeds."""
        if self.band is None:
            raise UserError("a band needs more than one seed; choose at least seeds=2")
        return figures.boundary_band(self.band, *self.maps, self.boundaries, **self.axis_words, title=title)

    def examples(self, title: str) -> Figure:
        """One run of each regime that occurs: the true solution above what the network learned.

        Raises:
            UserError: if no final parameters are stored.
        """
        cells = {regime: self.typical(regime) for regime in REGIMES}
        found = {regime: cell for regime, cell in cells.items() if cell is not None}
        titles = [f"{regime.numeral}, {regime.title}: {self.cell_words(cell)}" for regime, cell in found.items()]
        return self.solutions_figure(list(found.values()), titles, [self.note(cell) for cell in found.values()], title)

    def cell_words(self, cell: Cell) -> str:
        """A cell in the system's own symbols, such as ``β = 5, $N_f$ = 1,000``."""
        return f"{self.system.coefficient_label} = {cell.coefficient:g}, {self.system.data_symbol} = {cell.n_data:,}"

    def note(self, cell: Cell) -> str:
        """Training loss and test error of one run, in words."""
        return f"training loss {self.value('train_loss', cell):.1e}, test error {self.value('test_error', cell):.2g}"

    def solutions_figure(self, cells: Sequence[Cell], titles: Sequence[str], notes: Sequence[str], title: str) -> Figure:
        """What the networks of some runs learned, below the true solutions.

        Args:
            cells: the runs; their parameters are stored.
            titles: a line above each.
            notes: a line below each.
            title: title of the figure.

        Raises:
            UserError: if there is no run, because no final parameters are stored.
        """
        if not cells:
            raise UserError(f"the arrays of {self.sweep} are not stored; train it with `{self.job.command}`")
        shown = [self.solution(cell) for cell in cells]
        return figures.solutions(
            [one.learned for one in shown],
            [one.true for one in shown],
            shown[0].x,
            shown[0].t,
            [one.points for one in shown],
            titles,
            notes,
            axis_labels=self.system.axis_labels,
            title=title,
        )

    def value(self, name: str, cell: Cell) -> float:
        """One number of one run."""
        return float(self.runs[name].sel(coefficient=cell.coefficient, n_data=cell.n_data, seed=cell.seed))

    def label_maps(self, title: str) -> Figure:
        """Our labels, the published ones, and where they differ."""
        theirs = self.published_labels
        return figures.label_maps(
            self.labels,
            theirs["label"],
            self.agreement,
            uncertain=theirs["uncertain"],
            **self.axis_words,
            title=title,
        )

    def typical(self, regime: Regime) -> Cell | None:
        """Returns a run whose mean, and which itself, lies in a regime: where the map writes its numeral, or near it.

        Only runs whose final parameters are stored are considered; None if there is none.
        """
        places = numeral_places(self.labels.values)
        if regime not in places:
            return None
        own = regimes.label(self.seeded("train_loss"), self.seeded("test_error"), self.thresholds)
        fits = (own == int(regime)) & (self.labels == int(regime))
        centre = np.array(places[regime])
        for i, j in sorted(np.ndindex(self.labels.shape), key=lambda cell: float(((np.array(cell) - centre) ** 2).sum())):
            for k, seed in enumerate(self.runs["seed"].values):
                cell = Cell(float(self.runs["coefficient"][i]), int(self.runs["n_data"][j]), int(seed))
                if bool(fits[i, j, k]) and self.parameters(cell) is not None:
                    return cell
        return None

    def parameters(self, cell: Cell) -> Tensor | None:
        """Returns the final parameters ``[P]`` of a run, None if they are not stored."""
        found = store.params_of(self.job, cell)
        return None if found is None else torch.from_numpy(found)

    def solution(self, cell: Cell) -> Solution:
        """Evaluates the network of a PINN, and the true solution, on the grid of the test error."""
        system = self.system
        x, t = system.axes(system.test_grid)
        points = torch.stack([part.reshape(-1) for part in torch.meshgrid(x, t, indexing="xy")], dim=1)  # [n_t n_x, 2]
        network = self.plan.sweep.setup.network(system)
        with torch.no_grad():
            # In double precision, so that a figure does not depend on the processor in its last digits.
            learned = network(self.parameters(cell)[None].double(), points)[0, :, 0]
        true = system.solution(points, torch.tensor([[cell.coefficient]], dtype=torch.float64))[0]
        return Solution(
            x=x.numpy(),
            t=t.numpy(),
            learned=learned.reshape(len(t), len(x)).numpy(),
            true=true.reshape(len(t), len(x)).numpy(),
            points=system.collocation(cell.n_data, self.plan.sweep.setup.data_seed).numpy(),
        )

    @property
    def maps(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Seed means of training loss and test error, ``[n_coefficient, n_data]``, and both axes: what figures take."""
        return (
            self.train.values,
            self.test.values,
            self.runs["coefficient"].values,
            self.runs["n_data"].values,
        )

    @property
    def axis_words(self) -> dict[str, str]:
        """Texts of both axes, as figures take them."""
        return {
            "coefficient_label": f"{self.system.coefficient_label}, {self.system.coefficient_words}",
            "data_label": self.system.data_label,
        }

    def seeded(self, name: str) -> xr.DataArray:
        """A variable of the runs with its axes in order, ``[n_coefficient, n_data, n_seed]``.

        A loss or test error without a finite value is infinite where a run has ended, and NaN where none is stored.
        """
        values = self.runs[name].transpose("coefficient", "n_data", "seed")
        counted = name in ("train_loss", "test_error") or name.startswith("loss_")
        return regimes.by_status(values, self.runs["status"]) if counted else values


def _asked(sweep: Any, profile: Any, runs: Any, seeds: Any, thresholds: Any) -> tuple[Plan, str, int | None]:
    """The plan, the folder and the number of seeds that were asked for; a chapter takes them as papermill got them.

    Raises:
        UserError: if one is of a wrong type, or impossible.
    """
    if not isinstance(runs, (str, os.PathLike, type(None))):
        raise UserError(f"runs={runs!r} is not a folder; give its path as text, or leave it empty")
    if not isinstance(thresholds, (Thresholds, type(None))):
        raise UserError(f"thresholds={thresholds!r} are not thresholds; write them as Thresholds.of(train=1e-3, test=0.05)")
    plan = catalog.get(sweep).at(profile)
    return plan, os.fspath(runs or ""), _at_most(seeds, len(plan.seeds))


def _at_most(seeds: Any, planned: int) -> int | None:
    """No more seeds than the profile has; a chapter asks for some number of all its sweeps."""
    if seeds is None:
        return None
    try:
        number = None if isinstance(seeds, bool) else operator.index(seeds)
    except TypeError:
        number = None
    if number is None or number < 1:
        raise UserError(f"seeds={seeds!r} is impossible: {planned} seeds are planned; choose between 1 and {planned}")
    return min(number, planned)


def solved(panel: Panel) -> xr.DataArray:
    """Returns which single runs are well trained by themselves, ``[n_coefficient, n_data, n_seed]``."""
    train, test = panel.seeded("train_loss"), panel.seeded("test_error")
    return (train <= panel.thresholds.train) & (test <= panel.thresholds.test)


def mixed(panel: Panel) -> xr.DataArray:
    """Returns the cells in which some seeds are well trained and others are not, ``[n_coefficient, n_data]``."""
    good = solved(panel).sum("seed")
    stored = panel.seeded("test_error").notnull().sum("seed")  # a run that has ended has a value, if an infinite one
    return (good > 0) & (good < stored)


def onset(labels: xr.DataArray) -> dict[int, float]:
    """Returns for each amount of data the first coefficient in Regime II.

    Args:
        labels: regimes with the coordinates coefficient and n_data.

    Returns:
        The coefficient; infinite if no cell is in II, NaN if a cell before the first one is missing.
    """
    found = {}
    for n_data in labels["n_data"].values:
        row = labels.sel(n_data=n_data).values
        under = np.flatnonzero(row == Regime.II)
        stop = under[0] if len(under) else len(row)
        first = float(labels["coefficient"].values[stop]) if len(under) else np.inf
        found[int(n_data)] = np.nan if np.any(row[:stop] == Regime.MISSING) else first
    return found


def distance(value: float, target: tuple[float, float]) -> float:
    """Returns by how many powers of ten a positive value lies outside an interval; zero inside."""
    low, high = target
    if low <= value <= high:
        return 0.0
    return float(abs(np.log10(value / (low if value < low else high))))
