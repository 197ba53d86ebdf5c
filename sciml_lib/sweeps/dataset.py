"""Stored runs as an ``xarray.Dataset``."""

from __future__ import annotations

import os
from numbers import Real

import numpy as np
import xarray as xr

from sciml_lib.errors import NotStored, UserError
from sciml_lib.sweeps import catalog, curvature, devices, execution, manifest, places, store, timing
from sciml_lib.sweeps.job import Job
from sciml_lib.sweeps.spec import Sweep
from sciml_lib.sweeps.store import Stored

DIMENSIONS = ("coefficient", "n_data", "seed")


def load(
    sweep: Sweep | str, profile: str = "laptop", runs: str | os.PathLike[str] | None = None, *, grown: bool = False
) -> xr.Dataset:
    """Reads the stored runs of a sweep.

    Args:
        sweep: a sweep, or the id of one such as ``pinn/convection/lbfgs``.
        profile: ``smoke``, ``laptop`` or ``paper``, or one of the sweep's own.
        runs: the folder of all stores; by default see :func:`~sciml_lib.sweeps.places.runs_folder`.
        grown: as :func:`load_or_train` has it.

    Returns:
        Dimensions (coefficient, n_data, seed); variables ``train_loss``, ``loss_<term>``, ``test_error``, the metrics
        that the problem has beside it (``one_step_mse`` of a neural ODE), ``iterations``, ``evaluations``, ``seconds``
        (NaN where no run is stored) and ``status`` (``""`` there); where it has been measured the curvature
        (:data:`sciml_lib.sweeps.curvature.QUANTITIES`). The attributes say where the numbers come from; all of it can
        be written by ``to_netcdf()``.

    Raises:
        UserError: if there is no such sweep, profile or folder, nothing is stored, or the store is not in order.
    """
    job = Job.of(sweep, profile, runs=runs)
    stored = read_some(job)
    if grown:
        job, stored = _grown(job, stored)
    return _dataset(job, stored, job.plan.seeds)


def read_some(job: Job) -> Stored:
    """Reads a store in which something should be.

    Raises:
        UserError: if there is no folder of that name, nothing is stored, or the store is not in order.
    """
    folder = places.runs_folder(job.runs, must_exist=job.runs is not None)
    stored = store.read(job)
    if not stored.rows:
        raise NotStored(
            f"no runs of {job.plan.sweep.id}, profile {job.plan.profile}, are stored in {folder}; "
            f"train them with `{job.command}`"
        )
    return stored


def load_or_train(
    sweep: Sweep | str,
    profile: str = "laptop",
    *,
    runs: str | os.PathLike[str] | None = None,
    device: str = "auto",
    seeds: int | None = None,
    max_minutes: float = 5.0,
    grown: bool = False,
) -> xr.Dataset:
    """Reads the stored runs of a sweep and trains those that are missing, if that is a matter of minutes.

    Args:
        sweep: a sweep, or the id of one such as ``pinn/convection/lbfgs``.
        profile: ``smoke``, ``laptop`` or ``paper``, or one of the sweep's own.
        runs: the folder of all stores; by default see :func:`~sciml_lib.sweeps.places.runs_folder`.
        device: what trains: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        seeds: only the first so many seeds of the plan; all by default.
        max_minutes: how long training may take by the estimate.
        grown: whether to give a larger profile of the same recipe instead, as far as it is stored, if it has all these runs
            and more.

    Returns:
        As :func:`load`, with the chosen seeds.

    Raises:
        UserError: if training would take longer (the message says how long, and what to type), an argument is
            impossible, or the store is not in order.
        KeyboardInterrupt: if training was stopped by Ctrl-C.
    """
    job = Job.of(sweep, profile, runs=runs, device=device, seeds=seeds)
    stored, seeds_there = _trained(job, max_minutes), _seeds_of(job)
    if grown:
        job, stored = _grown(job, stored)
    return _dataset(job, stored, seeds_there)


def _grown(job: Job, stored: Stored) -> tuple[Job, Stored]:
    """The profile of the same recipe that has all runs of a job stored and the most beyond them; else what was given."""
    found = job, stored
    for other in job.siblings:
        theirs = store.read(other)
        if found[1].done & set(job.cells) <= theirs.done and len(theirs.done) > len(found[1].done):
            found = other, theirs
    return found


def _trained(job: Job, max_minutes: float) -> Stored:
    """The store of a job after its missing runs have been trained, if that is a matter of minutes."""
    if isinstance(max_minutes, bool) or not isinstance(max_minutes, Real) or not max_minutes >= 0:
        raise UserError(f"max_minutes={max_minutes!r} is impossible; give minutes from 0 on, such as 5")
    places.runs_folder(job.runs, must_exist=job.runs is not None)
    stored, target = store.read(job), job.target
    missing = len(set(job.cells) - stored.done)
    if not missing:
        return stored
    needed = timing.time_left(job, stored)
    if needed.seconds > 60.0 * max_minutes:
        raise NotStored(
            f"{missing} of {len(job.cells)} runs of {job.plan.sweep.id}, profile {job.plan.profile}, are not stored in "
            f"{places.runs_folder(job.runs)}, and to train them on this machine ({devices.label(target)}) takes "
            f"{needed.words}; start it with `{job.command}` (it can be stopped at any moment and goes on by itself), or "
            "choose a smaller profile"
        )
    if execution.train(job, stored=stored).stopped_by:
        raise KeyboardInterrupt
    return store.read(job)


def load_measured(
    sweep: Sweep | str,
    profile: str = "laptop",
    *,
    runs: str | os.PathLike[str] | None = None,
    device: str = "auto",
    seeds: int | None = None,
    max_minutes: float = 5.0,
) -> xr.Dataset:
    """Reads runs with their curvature; in the profile ``smoke`` what is missing of it is measured first, in seconds.

    Args:
        sweep: a sweep, or the id of one such as ``pinn/convection/lbfgs``.
        profile: ``smoke``, ``laptop`` or ``paper``, or one of the sweep's own.
        runs: the folder of all stores; by default see :func:`~sciml_lib.sweeps.places.runs_folder`.
        device: what trains and measures: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        seeds: only the first so many seeds of the plan; all by default.
        max_minutes: how long training may take by the estimate.

    Returns:
        As :func:`load_or_train`, with the curvature of every run whose parameters are stored and finite.

    Raises:
        UserError: as :func:`load_or_train`, or if a run has not been measured; the message says what to type.
    """
    job = Job.of(sweep, profile, runs=runs, device=device, seeds=seeds)
    stored = _trained(job, max_minutes)
    left = curvature.left(job, stored)
    name = f"{job.plan.sweep.id}, profile {job.plan.profile}"
    if left and profile == "smoke":
        curvature.measure_job(job, progress=False)
    elif left:
        raise NotStored(
            f"the curvature of {left} runs of {name}, is not stored; measure it with `{job.typed('measure')}` "
            "(it can be stopped at any moment and goes on by itself)"
        )
    found = _dataset(job, stored, _seeds_of(job))
    if "lambda_max" not in found:
        raise NotStored(
            f"no run of {name}, has its parameters stored, so there is nothing to measure; train it with `{job.command}`"
        )
    return found


def _seeds_of(job: Job) -> tuple[int, ...]:
    return job.plan.seeds[: len({cell.seed for cell in job.cells})]


def _dataset(job: Job, stored: Stored, seeds: tuple[int, ...]) -> xr.Dataset:
    """Rows as arrays ``[coefficient, n_data, seed]``."""
    plan = job.plan
    coordinates = {"coefficient": list(plan.coefficients), "n_data": list(plan.n_data), "seed": list(seeds)}
    place = {name: {value: i for i, value in enumerate(values)} for name, values in coordinates.items()}
    shape = tuple(len(values) for values in coordinates.values())
    blocks = [f"loss_{name}" for name in stored.manifest["blocks"]]
    metrics = stored.manifest.get("metrics", ())
    names = ["train_loss", *blocks, "test_error", *metrics, "iterations", "evaluations", "seconds"]
    arrays = {name: np.full(shape, np.nan) for name in names}
    status = np.full(shape, "", dtype=object)
    rows = [row for row in stored.rows if row.cell.seed in place["seed"]]
    for row in rows:
        at = tuple(place[name][value] for name, value in zip(DIMENSIONS, row.cell, strict=True))
        for name in ("train_loss", "test_error", "iterations", "evaluations", "seconds"):
            arrays[name][at] = getattr(row, name)
        for name, value in row.terms.items():
            arrays[f"loss_{name}"][at] = value
        for name, value in row.metrics.items():
            arrays[name][at] = value
        status[at] = row.status
    measured = curvature.read(job)
    if measured:
        arrays |= {name: np.full(shape, np.nan) for name in curvature.QUANTITIES}
    for cell, numbers in measured.items():
        if cell.seed in place["seed"]:
            at = tuple(place[name][value] for name, value in zip(DIMENSIONS, cell, strict=True))
            for name, value in numbers.items():
                arrays[name][at] = value
    content = stored.manifest
    return xr.Dataset(
        {**{name: (DIMENSIONS, array) for name, array in arrays.items()}, "status": (DIMENSIONS, status)},
        coords=coordinates,
        attrs={  # netCDF has no truth values
            "sweep": plan.sweep.id,
            "profile": plan.profile,
            "title": plan.sweep.title,
            "reading": plan.sweep.reading,
            "cells_done": len(rows),
            "cells_planned": len(plan.pairs) * len(seeds),
            "cells_whole": plan.sweep.n_runs,
            "seeds": list(seeds),
            "seeds_whole": len(plan.sweep.seeds),
            "published": int(plan.sweep.pairs is None and catalog.SWEEPS.get(plan.sweep.id) is plan.sweep),
            "reduced": int(plan.strategy != plan.sweep.strategy),
            "device": " and ".join(sorted({row.device for row in rows})),
            "versions": manifest.versions_in_words(content),
            "created": content["created"],
            "updated": content["updated"],
            "commit": content["commit"],
            "spec_hash": content["spec_hash"],
            "library_changed": int(manifest.library_changed(content, plan)),
            "command": job.command,
        },
    )
