"""What is computed of trained networks beside their losses, and stored like the runs: spectra, surfaces, curves.

A study is a list of items, each one small file ``runs/studies/<study>/<profile>/<key>.npz``, and a manifest that says what
they were made with. An item that exists is not computed again, unless it was computed of other networks than are stored
now: it carries their fingerprint. Files are replaced as a whole, so a study can be stopped at any moment and goes on where
it was.
"""

from __future__ import annotations

import json
import math
import os
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from statistics import mean
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from sciml_lib import keeper, strategies
from sciml_lib.errors import NotStored, UserError, unknown
from sciml_lib.problems import Problem
from sciml_lib.sweeps import catalog, curvature, dataset, devices, job, places, provenance, store
from sciml_lib.sweeps.job import Job
from sciml_lib.sweeps.rows import Row
from sciml_lib.sweeps.spec import Cell, Plan

PROFILES = ("smoke", "laptop", "paper")
MANIFEST = "manifest.json"
NETWORKS = "_networks"
"""Name of the array of an item that holds the fingerprint of the networks it was computed of."""

Arrays = dict[str, NDArray]
Network = tuple[str, Cell]
"""A trained network: the id of its sweep, and its run."""


@dataclass(frozen=True)
class Item:
    """One thing to compute.

    Attributes:
        sweep: whose networks.
        coefficient: of the cell.
        n_data: of the cell.
        seed: of the run.
        variant: what is done with it, where a study does several things with one run.
    """

    sweep: str
    coefficient: float
    n_data: int
    seed: int
    variant: str = ""

    @property
    def cell(self) -> Cell:
        """The run's coordinates."""
        return Cell(self.coefficient, self.n_data, self.seed)

    @property
    def key(self) -> str:
        """Name of its file, such as ``pinn-convection-lbfgs_c5_n100_s0_before``."""
        parts = [self.sweep.replace("/", "-"), f"c{self.coefficient:g}", f"n{self.n_data}", f"s{self.seed}", self.variant]
        return "_".join(part for part in parts if part)


@dataclass(frozen=True)
class Results:
    """Items of a study that are stored.

    Attributes:
        items: arrays by item.
        attrs: where they are from, as :func:`sciml_lib.load` gives it.
    """

    items: Mapping[Item, Arrays]
    attrs: Mapping[str, Any]

    def where(self, **wanted: Any) -> dict[Item, Arrays]:
        """The items whose attributes have these values."""
        chosen = {k: v for k, v in self.items.items() if all(getattr(k, name) == value for name, value in wanted.items())}
        return chosen


class Study(ABC):
    """Something that is computed of trained networks; a subclass lists its items and computes them.

    Attributes:
        id: readable name.
        title: what it is, in a few words.
    """

    id: ClassVar[str]
    title: ClassVar[str]

    @abstractmethod
    def items(self, profile: str) -> tuple[Item, ...]:
        """What is to be computed."""

    @abstractmethod
    def recipe(self, profile: str) -> dict[str, Any]:
        """The numbers that an item's values depend on beside its own coordinates, as plain data."""

    def networks(self, item: Item) -> tuple[Network, ...]:
        """The trained networks that an item is computed of; by default its own."""
        return ((item.sweep, item.cell),)

    def sweeps(self, profile: str) -> tuple[str, ...]:
        """Ids of the sweeps whose networks it takes."""
        return tuple(sorted({item.sweep for item in self.items(profile)}))

    def plans(self, profile: str) -> tuple[Plan, ...]:
        """The plans whose recipes an item depends on."""
        return tuple(catalog.get(sweep).at(profile) for sweep in self.sweeps(profile))

    def groups(self, items: Sequence[Item]) -> list[list[Item]]:
        """Items that are computed together; a time limit is looked at between two groups, so that no work is lost."""
        return [[item] for item in items]

    @abstractmethod
    def compute(self, group: Sequence[Item], profile: str, context: Context) -> Iterator[tuple[Item, Arrays]]:
        """Computes the items of one group."""


@dataclass(frozen=True)
class Context:
    """What a study needs beside its items.

    Attributes:
        device: what computes.
        runs: the folder of all stores; None for the default.
        profile: profile of the sweeps whose networks are taken.
    """

    device: torch.device
    runs: str | os.PathLike[str] | None
    profile: str
    _rows: dict[str, dict[Cell, Row]] = field(default_factory=dict, repr=False)
    _params: dict[tuple[str, int], Arrays] = field(default_factory=dict, repr=False)

    def plan(self, sweep: str) -> Plan:
        """The plan of a sweep in this profile."""
        return catalog.get(sweep).at(self.profile)

    def job(self, sweep: str) -> Job:
        """The store of a sweep in this profile."""
        return Job.of(sweep, self.profile, runs=self.runs, device=str(self.device))

    def problem(self, items: Sequence[Item]) -> Problem:
        """The ensemble of some items of one sweep with one amount of data."""
        return self.plan(items[0].sweep).problem([item.cell for item in items], self.device)

    def params(self, network: Network) -> NDArray | None:
        """The stored parameters ``[P]`` of a network; None if they are not stored."""
        sweep, cell = network
        if (sweep, cell.n_data) not in self._params:
            self._params[sweep, cell.n_data] = store.read_params(self.job(sweep), cell.n_data)
        return self._params[sweep, cell.n_data].get(store.params_key(cell))

    def fingerprint(self, networks: Sequence[Network]) -> str | None:
        """One fingerprint of the stored parameters of some networks; None if some are not stored."""
        found = [self.params(network) for network in networks]
        if any(one is None for one in found):
            return None
        return sha256("".join(map(keeper.digest, found)).encode()).hexdigest()[:16] if found else ""

    def trained(self, items: Sequence[Item]) -> torch.Tensor:
        """The stored parameters of some items of one sweep, ``[M, P]``.

        Raises:
            UserError: if one is not stored, or they are not those of their rows; it says what to do.
        """
        sweep = items[0].sweep
        self.check([(item.sweep, item.cell) for item in items])
        params = torch.stack([torch.from_numpy(self.params((item.sweep, item.cell))) for item in items]).to(self.device)
        if sweep not in self._rows:
            self._rows[sweep] = {row.cell: row for row in store.read(self.job(sweep)).rows}
        rows = [self._rows[sweep].get(item.cell) for item in items]
        if all(rows):
            problem = self.problem(items)
            curvature.check_losses(self.job(sweep), rows, problem.value(params.to(problem.dtype)))
        return params

    def check(self, networks: Sequence[Network]) -> None:
        """Refuses networks that are not stored.

        Raises:
            UserError: names one, says how many there are, and how to train them.
        """
        missing = [network for network in networks if self.params(network) is None]
        if missing:
            sweep, cell = missing[0]
            more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
            raise NotStored(
                f"the network of {sweep}, coefficient {cell.coefficient:g}, n_data={cell.n_data}, seed {cell.seed}{more} is "
                f"not stored; train it with `{self.job(sweep).command}`"
            )


@dataclass(frozen=True)
class Computed:
    """What a call of :func:`run` did.

    Attributes:
        new: items computed by this call.
        done: items stored in all.
        planned: items of the study.
        command: what to type to go on.
    """

    new: int
    done: int
    planned: int
    command: str

    @property
    def stopped(self) -> bool:
        """Whether the time limit ended it."""
        return self.done < self.planned

    @property
    def sentence(self) -> str:
        """What was done, and what to type to go on."""
        text = f"{self.done} of {self.planned} items are stored, {self.new} of them by this call"
        return f"{text}; stopped by the time limit; go on with `{self.command}`" if self.stopped else text


def run(
    study: Study,
    profile: str = "laptop",
    *,
    runs: str | os.PathLike[str] | None = None,
    device: str = "auto",
    time_limit: float | None = None,
    progress: bool = True,
    clock: Callable[[], float] = time.monotonic,
) -> Computed:
    """Computes what a study lacks, and stores it item by item.

    Args:
        study: which.
        profile: smoke, laptop or paper.
        runs: the folder of all stores; None for the default.
        device: what computes.
        time_limit: seconds after which to stop, as far as the time of the next items can be told from that of the last;
            under a limit items are computed one by one until their time is known.
        progress: whether a bar is shown.
        clock: what tells the time in seconds.

    Returns:
        How many items are new, and how many are stored in all.

    Raises:
        UserError: if a name is unknown, a network is not stored, the stored items were made with other numbers, or nothing
            can be written.
    """
    _check(profile)
    job.checked_limit(time_limit)
    places.runs_folder(runs, must_exist=runs is not None)
    start, folder, target = clock(), folder_of(study, profile, runs), devices.resolve(device)
    context = Context(target, runs, profile)
    items = study.items(profile)
    command_line = command(study, profile, runs=runs, device=device, time_limit=time_limit)
    manifest = _manifest(study, profile, folder, command_line)
    missing = [item for item in items if not _is_fresh(study, item, folder, context, command_line)]
    if not missing:
        return Computed(0, len(items), len(items), command_line)
    context.check(list(dict.fromkeys(network for item in missing for network in study.networks(item))))
    new = 0

    def compute(part: Sequence[Item]) -> Iterator[tuple[Item, Arrays]]:
        return study.compute(part, profile, context)

    with (
        devices.computing(target, f"every item that ended is stored, go on with `{command_line}`"),
        keeper.writing(folder, "every item that ended is stored", f"give `{command_line}` again"),
    ):
        folder.mkdir(parents=True, exist_ok=True)
        with keeper.locked(folder):
            call = provenance.this_call(devices.label(target), _code(study, profile))
            manifest = _manifest(study, profile, folder, command_line) or {"created": keeper.now()}
            options = {} if progress else {"disable": True}
            with tqdm(total=len(missing), desc=f"{study.id} ({profile})", unit="item", **options) as bar:
                for part in _parts(study.groups(missing), time_limit, start, clock):
                    before = clock()
                    for item, arrays in devices.in_halves(part, compute, "items"):
                        seconds, before = round(clock() - before, 3), clock()
                        manifest = _updated(manifest, study, profile, call, {item.key: seconds})
                        # Before the item: a cut between the two must not leave one whose making is not recorded.
                        keeper.replace(folder / MANIFEST, keeper.dumped(manifest))
                        stamp = np.array(context.fingerprint(study.networks(item)))
                        keeper.replace(folder / f"{item.key}.npz", keeper.packed(arrays | {NETWORKS: stamp}))
                        new += 1
                        bar.update()
    return Computed(new, len(items) - len(missing) + new, len(items), command_line)


def _parts(
    groups: Sequence[Sequence[Item]], limit: float | None, start: float, clock: Callable[[], float]
) -> Iterator[Sequence[Item]]:
    """Items that are computed together, until the time limit."""
    if limit is None:
        yield from groups
        return
    each = 0.0  # seconds of an item of the last part
    for group in groups:
        rest = list(group)
        while rest:
            room = start + limit - clock()
            if room <= 0 or room < each:
                return
            size = max(1, int(room / each)) if each else 1
            part, rest = rest[:size], rest[size:]
            before = clock()
            yield part
            each = (clock() - before) / len(part)


def seconds_left(study: Study, profile: str = "laptop", runs: str | os.PathLike[str] | None = None) -> float:
    """How long the items that are missing will take, by those that are stored; NaN if none tells.

    Raises:
        UserError: if the study is unknown in that profile, or its manifest is not in order.
    """
    _check(profile)
    folder = folder_of(study, profile, runs)
    manifest = _manifest(study, profile, folder, command(study, profile, runs=runs)) or {}
    seconds = manifest.get("seconds", {}).values()
    missing = sum(not (folder / f"{item.key}.npz").exists() for item in study.items(profile))
    return missing * mean(seconds) if seconds else (float("nan") if missing else 0.0)


def load(study: Study, profile: str = "laptop", runs: str | os.PathLike[str] | None = None) -> Results:
    """Reads what is stored of a study; a warning says if some of it was computed of other networks than are stored now.

    Raises:
        UserError: if nothing is stored, or what is stored is damaged or was made with other numbers.
    """
    _check(profile)
    places.runs_folder(runs, must_exist=runs is not None)
    folder, items = folder_of(study, profile, runs), study.items(profile)
    command_line = command(study, profile, runs=runs)
    manifest = _manifest(study, profile, folder, command_line)
    context = Context(torch.device("cpu"), runs, profile)
    found: dict[Item, Arrays] = {}
    stale = 0
    for item in items:
        path = folder / f"{item.key}.npz"
        if manifest is None or not path.exists():
            continue
        arrays = _read(path, command_line)
        now, then = context.fingerprint(study.networks(item)), str(arrays.pop(NETWORKS))
        if now in (None, then):  # networks that are gone prove nothing
            found[item] = arrays
        else:
            stale += 1
    if stale:
        warnings.warn(
            f"{stale} items of the study {study.id}, {profile}, were computed of other networks than are stored now and are "
            f"left out; compute them again with `{command_line}`",
            stacklevel=2,
        )
    if not found:
        raise NotStored(f"nothing of the study {study.id}, profile {profile}, is stored; compute it with `{command_line}`")
    attrs = {
        "sweep": f"study {study.id}",
        "profile": profile,
        "cells_done": len(found),
        "cells_planned": len(items),
        "unit": "items",
        "seeds": sorted({item.seed for item in found}),
        "device": sorted({call["device"] for call in manifest["calls"]}),
        "versions": provenance.versions_in_words(call["versions"] for call in manifest["calls"]),
        "updated": manifest["updated"],
        "commit": manifest["calls"][-1]["commit"],
        "command": command_line,
        "recipe": manifest["recipe"],
    }
    return Results(found, attrs)


def stored(study: Study, profile: str = "laptop", runs: str | os.PathLike[str] | None = None) -> Results | None:
    """Reads what :func:`load` reads; None if nothing of the study is stored.

    Raises:
        UserError: if what is stored is damaged or was made with other numbers.
    """
    found = any(folder_of(study, profile, runs).glob("*.npz"))
    return load(study, profile, runs) if found else None


def load_or_run(
    study: Study, profile: str = "laptop", *, runs: str | os.PathLike[str] | None = None, device: str = "auto"
) -> Results:
    """Reads a study; in the profile ``smoke`` what is missing, networks included, is computed first, which takes seconds.

    Raises:
        UserError: as :func:`load`.
    """
    _check(profile)
    devices.resolve(device)
    if profile == "smoke":
        for sweep in study.sweeps(profile):
            dataset.load_or_train(sweep, profile, runs=runs, device=device)
        run(study, profile, runs=runs, device=device, progress=False)
    return load(study, profile, runs)


def folder_of(study: Study, profile: str, runs: str | os.PathLike[str] | None = None) -> Path:
    """Where the items of a study are stored."""
    return places.runs_folder(runs) / "studies" / study.id / profile


def command(study: Study, profile: str, **options: Any) -> str:
    """What to type to compute a study, or to go on with it; options as in :func:`sciml_lib.sweeps.job.words`."""
    return job.words("study", study.id, profile, **options)


def train_watched(plan: Plan, cells: Sequence[Cell], device: torch.device, watch: Any) -> dict[Cell, Any]:
    """Trains some runs of a plan once more, with somebody watching; what is stored is not touched.

    Returns:
        The results by run.
    """
    results: dict[Cell, Any] = {}
    strategies.train(
        plan.problem(cells, device),
        [cell.seed for cell in cells],
        plan.strategy,
        on_result=lambda index, result: results.__setitem__(cells[index], result),
        watch=watch,
    )
    return results


def _check(profile: str) -> None:
    if profile not in PROFILES:
        raise unknown("profile", profile, PROFILES)


def _read(path: Path, command_line: str) -> Arrays:
    """The arrays of a stored item, its fingerprint among them."""
    remedy = f"remove it and give `{command_line}`"
    arrays = keeper.read_npz(path, remedy)
    if NETWORKS not in arrays:
        raise UserError(f"{path} is damaged (it does not say which networks it was computed of); {remedy}")
    return arrays


def _is_fresh(study: Study, item: Item, folder: Path, context: Context, command_line: str) -> bool:
    """Whether an item is stored and was computed of the networks that are; networks that are gone prove nothing."""
    path = folder / f"{item.key}.npz"
    if not path.exists():
        return False
    now = context.fingerprint(study.networks(item))
    return now is None or str(_read(path, command_line)[NETWORKS]) == now


def _are_seconds(value: Any) -> bool:
    return isinstance(value, dict) and all(type(one) in (int, float) and 0 <= one < math.inf for one in value.values())


_EXPECTED = {
    "recipe": keeper.OBJECT,
    "recipe_hash": keeper.TEXT,
    "created": keeper.DATE,
    "updated": keeper.DATE,
    "calls": ("a list of calls", lambda value: provenance.CALLS[1](value) and bool(value)),
    "seconds": ("seconds by item", _are_seconds),
}


def _code(study: Study, profile: str) -> tuple[type | str, ...]:
    return tuple(part for plan in study.plans(profile) for part in plan.code)


def _recipe_hash(study: Study, profile: str) -> str:
    plans = {plan.sweep.id: plan.hash for plan in study.plans(profile)}
    return sha256(json.dumps([study.recipe(profile), plans], sort_keys=True).encode()).hexdigest()


def _manifest(study: Study, profile: str, folder: Path, command_line: str) -> dict[str, Any] | None:
    """The manifest, None if there is none."""
    path = folder / MANIFEST
    remedy = f"restore it, or move the folder away and give `{command_line}`"
    content = keeper.read_json(path, remedy, _EXPECTED)
    if content is None:
        return None
    if content["recipe_hash"] != _recipe_hash(study, profile):
        raise UserError(
            f"{path} was made with other numbers than the study {study.id} or its sweeps have now; move the folder away and "
            f"compute it anew with `{command_line}`"
        )
    return content


def _updated(
    manifest: dict[str, Any], study: Study, profile: str, call: dict[str, Any], seconds: dict[str, float]
) -> dict[str, Any]:
    now = keeper.now()
    return {
        "study": study.id,
        "profile": profile,
        "title": study.title,
        "recipe": study.recipe(profile),
        "recipe_hash": _recipe_hash(study, profile),
        "created": manifest["created"],
        "updated": now,
        "calls": provenance.with_call(manifest.get("calls", ()), call | {"ended": now}),
        "seconds": manifest.get("seconds", {}) | seconds,
    }
