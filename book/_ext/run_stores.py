"""What is stored under ``runs/``: read and checked for the pages of the sweeps.

A store of the catalog is checked line by line, as the library checks it; one of a sweep that a page of the book defines is
checked as far as its own manifest goes. Anything that is damaged is an error that names the file.
"""

from __future__ import annotations

import csv
import io
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sciml_lib import keeper, regimes, studies
from sciml_lib.errors import UserError
from sciml_lib.figures import provenance
from sciml_lib.regimes import Regime, RegimeMap
from sciml_lib.sweeps import catalog, curvature, manifest, store
from sciml_lib.sweeps.job import Job

REMEDY = "restore it, or move the folder away"
EXPECTED = {
    "sweep": keeper.TEXT,
    "profile": keeper.TEXT,
    "title": keeper.TEXT,
    "specification": keeper.OBJECT,
    "cells_planned": keeper.WHOLE,
    "versions": keeper.VERSIONS,
    "devices": keeper.NAMES,
    "commit": keeper.COMMIT,
    "updated": keeper.DATE,
}
KEYS = ("coefficient", "n_data", "seed")


@dataclass(frozen=True)
class Store:
    """The stored runs of a sweep in one profile.

    Attributes:
        folder: where they are.
        manifest: what the store says of itself.
        rows: its table, every entry as it is written there.
        curvature: the same of what was measured at the ends of the runs.
        job: the sweep and profile; None for a sweep that is not in the catalog.
        notes: what the library warns of.
    """

    folder: Path
    manifest: Mapping[str, Any]
    rows: Sequence[Mapping[str, str]]
    curvature: Sequence[Mapping[str, str]]
    job: Job | None
    notes: Sequence[str]

    @property
    def sweep(self) -> str:
        """The id of the sweep."""
        return self.manifest["sweep"]

    @property
    def profile(self) -> str:
        """The name of the profile."""
        return self.manifest["profile"]

    @property
    def page(self) -> str:
        """The address of its page, from the folder ``book`` on."""
        return provenance.page_of(self.sweep, self.profile)

    @property
    def seconds(self) -> float:
        """The computing time of all runs."""
        return sum(float(row["seconds"]) for row in self.rows)

    @property
    def library_changed(self) -> bool:
        """Whether the library has changed since, see :mod:`sciml_lib.sweeps.revalidation`."""
        return self.job is not None and manifest.library_changed(
            dict(self.manifest), self.job.plan
        )

    @cached_property
    def map(self) -> RegimeMap | None:
        """The regime map; None where no threshold follows from the runs."""
        if not self.rows:
            return None
        names = [*KEYS, "status", "train_loss", "test_error"]
        frame = pd.DataFrame(self.rows)[names]
        numbers = [name for name in names if name != "status"]
        frame[numbers] = frame[numbers].astype(float)
        runs = frame.set_index(list(KEYS)).to_xarray()
        runs["status"] = runs["status"].fillna("").astype(str)
        try:
            return regimes.map_of(runs.assign_attrs(sweep=self.sweep))
        except UserError:
            return None

    @cached_property
    def regimes(self) -> list[Regime]:
        """The regime of every run by itself."""
        if self.map is None:
            return [Regime.MISSING] * len(self.rows)
        train, test = (
            regimes.by_status(
                [float(row[name]) for row in self.rows],
                [row["status"] for row in self.rows],
            )
            for name in ("train_loss", "test_error")
        )
        labels = regimes.label(train, test, self.map.thresholds)
        return [Regime(int(label)) for label in labels]

    @cached_property
    def quickest(self) -> Mapping[str, str] | None:
        """The run that took the least time among those that ended with a finite value."""
        ended = [
            row for row in self.rows if np.isfinite(float(row["train_loss"]))
        ]
        return min(ended, key=lambda row: float(row["seconds"]), default=None)


@dataclass(frozen=True)
class StudyStore:
    """The stored items of a study in one profile.

    Attributes:
        study: which.
        folder: where they are.
        manifest: what the store says of itself.
        results: the items that belong to the networks that are stored now.
        notes: what the library warns of.
    """

    study: studies.Study
    folder: Path
    manifest: Mapping[str, Any]
    results: studies.Results
    notes: Sequence[str]

    @property
    def profile(self) -> str:
        """The name of the profile."""
        return self.folder.name

    @property
    def page(self) -> str:
        """The address of its page, from the folder ``book`` on."""
        return provenance.page_of(f"study {self.study.id}", self.profile)


def cell_of(row: Mapping[str, str]) -> tuple[float, int, int]:
    """The coordinates of a row."""
    return float(row["coefficient"]), int(row["n_data"]), int(row["seed"])


def stores(runs: Path) -> list[Store]:
    """Reads all stores of sweeps in a folder, those of the catalog first and in its order.

    Raises:
        UserError: if one is damaged; it names the file.
    """
    folders = {
        path.parent
        for name in (manifest.NAME, "cells.csv")
        for path in runs.glob(f"*/*/*/*/{name}")
        if not path.relative_to(runs).parts[0].startswith("_")
    }
    order = {sweep: place for place, sweep in enumerate(catalog.SWEEPS)}
    found = [_store(folder, runs) for folder in sorted(folders)]
    return sorted(found, key=lambda one: order.get(one.sweep, len(order)))


def _store(folder: Path, runs: Path) -> Store:
    sweep, profile = folder.parent.relative_to(runs).as_posix(), folder.name
    content = keeper.read_json(folder / manifest.NAME, REMEDY, EXPECTED)
    if content is None:
        raise UserError(
            f"{folder / 'cells.csv'} has no {manifest.NAME} beside it; {REMEDY}"
        )
    if (content["sweep"], content["profile"]) != (sweep, profile):
        raise UserError(
            f"{folder / manifest.NAME} belongs to {content['sweep']}, "
            f"{content['profile']}; move the folder to where it belongs"
        )
    job, notes = None, []
    if sweep in catalog.SWEEPS:
        job = Job.of(sweep, profile, runs=runs)
        notes = _checked(job)
    return Store(
        folder,
        content,
        _table(folder / "cells.csv"),
        _table(folder / curvature.NAME),
        job,
        notes,
    )


def _checked(job: Job) -> list[str]:
    """Refuses a store that is not in order; returns what the library warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # a line that was cut off
        try:
            store.read(job)
        except UserWarning as warning:
            raise UserError(str(warning)) from None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        curvature.read(job)
    return [str(one.message) for one in caught]


def _table(path: Path) -> list[dict[str, str]]:
    """A table as it is written; empty if there is none."""
    data = keeper.read_bytes(path)
    try:
        rows = list(csv.reader(io.StringIO((data or b"").decode("utf-8"))))
        table = [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
        for row in table:
            cell_of(row)
            for name in ("train_loss", "test_error", "seconds"):
                float(row.get(name, 0))
        return table
    except (ValueError, KeyError) as error:
        raise UserError(f"{path} is damaged ({error}); {REMEDY}") from None


def study_stores(runs: Path) -> list[StudyStore]:
    """Reads all studies of which something is stored.

    Raises:
        UserError: if one is damaged; it names the file.
    """
    found = []
    for study in studies.STUDIES.values():
        for path in sorted((runs / "studies" / study.id).glob("*/*.json")):
            if any(path.parent.glob("*.npz")):
                found.append(_study_store(study, path, runs))
    return found


def _study_store(study: studies.Study, path: Path, runs: Path) -> StudyStore:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        results = studies.load(study, path.parent.name, runs)
    notes = [str(one.message) for one in caught]
    content = json.loads(path.read_text(encoding="utf-8"))
    return StudyStore(study, path.parent, content, results, notes)


def planned(found: Sequence[Store]) -> list[Job]:
    """The profiles of the catalog of which nothing is stored, without those that only show that everything works."""
    there = {(one.sweep, one.profile) for one in found}
    jobs = []
    for sweep in catalog.SWEEPS.values():
        names = dict.fromkeys(sweep.at(name).profile for name in sweep.profiles)
        for name in names:
            if name != "smoke" and (sweep.id, name) not in there:
                jobs.append(Job.of(sweep, name))
    return jobs
