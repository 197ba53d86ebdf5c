"""What is computed of trained networks beside their losses, and stored like the runs: spectra, surfaces, curves.

A study is a list of items, each one small file ``runs/studies/<study>/<profile>/<key>.npz``, and a manifest that says what
they were made with. An item that exists is never computed again; files are replaced as a whole, so a study can be stopped
at any moment and goes on where it was.
"""

from __future__ import annotations

import io
import json
import os
import time
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray
from tqdm import tqdm

from sciml_lib import strategies
from sciml_lib.errors import UserError, unknown
from sciml_lib.problems import Problem
from sciml_lib.sweeps import catalog, dataset, devices, provenance, store
from sciml_lib.sweeps.spec import Cell, Plan

PROFILES = ("smoke", "laptop", "paper")
MANIFEST = "manifest.json"

Arrays = dict[str, NDArray]


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

    def sweeps(self, profile: str) -> tuple[str, ...]:
        """Ids of the sweeps whose networks it takes."""
        return tuple(sorted({item.sweep for item in self.items(profile)}))

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
    runs: Path | None
    profile: str

    def plan(self, sweep: str) -> Plan:
        """The plan of a sweep in this profile."""
        return catalog.get(sweep).at(self.profile)

    def problem(self, items: Sequence[Item]) -> Problem:
        """The ensemble of some items of one sweep with one amount of data."""
        return self.plan(items[0].sweep).problem([item.cell for item in items], self.device)

    def trained(self, items: Sequence[Item]) -> torch.Tensor:
        """The stored parameters of some items of one sweep, ``[M, P]``.

        Raises:
            UserError: if one is not stored; it says how to train it.
        """
        plan, rows = self.plan(items[0].sweep), []
        for item in items:
            path = store.folder_of(plan, self.runs) / "arrays" / f"n{item.n_data}.npz"
            found = store.read_params(path).get(store.params_key(item.cell))
            if found is None:
                raise UserError(
                    f"the network of {item.sweep}, coefficient {item.coefficient:g}, n_data={item.n_data}, seed {item.seed} is "
                    f"not stored; train it with `{plan.command}`"
                )
            rows.append(torch.from_numpy(found))
        return torch.stack(rows).to(self.device)


def run(
    study: Study,
    profile: str = "laptop",
    *,
    runs: str | os.PathLike[str] | None = None,
    device: str = "auto",
    time_limit: float | None = None,
    progress: bool = True,
) -> tuple[int, int]:
    """Computes what a study lacks, and stores it item by item.

    Args:
        study: which.
        profile: smoke, laptop or paper.
        runs: the folder of all stores; None for the default.
        device: what computes.
        time_limit: seconds after which no further group of items is begun.
        progress: whether a bar is shown.

    Returns:
        How many items are new, and how many are stored in all.

    Raises:
        UserError: if a name is unknown, a network is not stored, the stored items were made with other numbers, or nothing
            can be written.
    """
    _check(profile)
    start, folder, target = time.monotonic(), folder_of(study, profile, runs), devices.resolve(device)
    items = study.items(profile)
    _manifest(study, profile, folder)
    missing = [item for item in items if not (folder / f"{item.key}.npz").exists()]
    if not missing:
        return 0, len(items)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        store.take(lock, folder)
        try:
            manifest = _manifest(study, profile, folder) or {"created": _now(), "devices": []}
            new = 0
            options = {} if progress else {"disable": True}
            with tqdm(total=len(missing), desc=f"{study.id} ({profile})", unit="item", **options) as bar:
                for group in study.groups(missing):
                    for item, arrays in study.compute(group, profile, Context(target, _path(runs), profile)):
                        buffer = io.BytesIO()
                        np.savez_compressed(buffer, **arrays)
                        manifest = _updated(manifest, study, profile, devices.label(target))
                        # Before the item: a cut between the two must not leave one of which nobody knows how it was made.
                        store.replace(folder / MANIFEST, (json.dumps(manifest, indent=1) + "\n").encode())
                        store.replace(folder / f"{item.key}.npz", buffer.getvalue())
                        new += 1
                        bar.update()
                    if time_limit is not None and time.monotonic() - start > time_limit:
                        break
        finally:
            lock.release()
    except OSError as error:
        raise UserError(
            f"cannot write to {folder}: {error.strerror or error}; every item that ended is stored: make room or make it "
            "writable, and give the command again"
        ) from error
    return new, len(items) - len(missing) + new


def load(study: Study, profile: str = "laptop", runs: str | os.PathLike[str] | None = None) -> Results:
    """Reads what is stored of a study.

    Raises:
        UserError: if nothing is stored, or what is stored is damaged or was made with other numbers.
    """
    _check(profile)
    folder, items = folder_of(study, profile, runs), study.items(profile)
    manifest = _manifest(study, profile, folder)
    found: dict[Item, Arrays] = {}
    for item in items:
        path = folder / f"{item.key}.npz"
        if manifest is None or not path.exists():
            continue
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:  # of a path it may leave a file open
                found[item] = {name: archive[name] for name in archive.files}
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise UserError(
                f"{path} is damaged ({type(error).__name__}); remove it and give `{command(study, profile)}`"
            ) from None
    if not found:
        raise UserError(
            f"nothing of the study {study.id}, profile {profile}, is stored; compute it with `{command(study, profile)}`"
        )
    attrs = {
        "sweep": f"study {study.id}",
        "profile": profile,
        "cells_done": len(found),
        "cells_planned": len(items),
        "seeds": sorted({item.seed for item in found}),
        "device": manifest["devices"],
        "versions": manifest["versions"],
        "updated": manifest["updated"],
        "commit": manifest["commit"],
        "command": command(study, profile),
        "recipe": manifest["recipe"],
    }
    return Results(found, attrs)


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
    return store.runs_folder(runs) / "studies" / study.id / profile


def command(study: Study, profile: str) -> str:
    """What to type to compute a study, or to go on with it."""
    return f"python -m sciml_lib study {study.id} --profile {profile}"


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


def _path(runs: str | os.PathLike[str] | None) -> Path | None:
    return None if runs is None else Path(runs)


def _recipe_hash(study: Study, profile: str) -> str:
    return sha256(json.dumps(study.recipe(profile), sort_keys=True).encode()).hexdigest()


def _manifest(study: Study, profile: str, folder: Path) -> dict[str, Any] | None:
    """The manifest, None if there is none."""
    path = folder / MANIFEST
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        same = content["recipe_hash"] == _recipe_hash(study, profile)
        complete = {"recipe", "versions", "devices", "commit", "created", "updated"} <= set(content)
    except (ValueError, KeyError, TypeError):
        raise UserError(
            f"{path} is damaged; restore it, or move the folder away and give `{command(study, profile)}`"
        ) from None
    if not complete:
        raise UserError(f"{path} is damaged; restore it, or move the folder away and give `{command(study, profile)}`")
    if not same:
        raise UserError(
            f"{path} was made with other numbers than the study {study.id} has now; move the folder away and compute it anew "
            f"with `{command(study, profile)}`"
        )
    return content


def _updated(manifest: dict[str, Any], study: Study, profile: str, device: str) -> dict[str, Any]:
    return {
        "study": study.id,
        "profile": profile,
        "title": study.title,
        "recipe": study.recipe(profile),
        "recipe_hash": _recipe_hash(study, profile),
        "versions": provenance.versions(),
        "devices": sorted({*manifest["devices"], device}),
        "commit": provenance.commit(),
        "created": manifest["created"],
        "updated": _now(),
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
