"""Stored runs as an ``xarray.Dataset``."""

from __future__ import annotations

import os

import numpy as np
import xarray as xr

from sciml_lib.errors import UserError
from sciml_lib.sweeps import catalog, curvature, devices, estimate, execution, manifest, store
from sciml_lib.sweeps.spec import Plan
from sciml_lib.sweeps.store import Stored

DIMENSIONS = ("coefficient", "n_data", "seed")


def load(sweep_id: str, profile: str = "laptop", runs: str | os.PathLike[str] | None = None) -> xr.Dataset:
    """Reads the stored runs of a sweep.

    Args:
        sweep_id: id of the sweep, such as ``pinn/convection/lbfgs``.
        profile: ``smoke``, ``laptop`` or ``paper``.
        runs: the folder of all stores; by default ``SCIML_RUNS`` of the environment, or ``runs/`` of the repository.

    Returns:
        Dimensions (coefficient, n_data, seed); variables ``train_loss``, ``loss_<block>``, ``test_error``, the metrics
        that the problem has beside it (``one_step_mse`` of a neural ODE), ``iterations``, ``evaluations``, ``seconds``
        (NaN where no run is stored) and ``status`` (``""`` there); where it has been measured the curvature
        (:data:`sciml_lib.sweeps.curvature.QUANTITIES`). The attributes say where the numbers come from.

    Raises:
        UserError: if there is no such sweep or profile, nothing is stored, or the store is not in order.
    """
    plan = catalog.get(sweep_id).at(profile)
    stored = store.read(plan, runs)
    if not stored.rows:
        raise UserError(
            f"no runs of {sweep_id}, profile {profile}, are stored in {store.runs_folder(runs)}; "
            f"train them with `{plan.command}`"
        )
    return _dataset(plan, stored, plan.seeds)


def load_or_train(
    sweep_id: str,
    profile: str = "laptop",
    *,
    runs: str | os.PathLike[str] | None = None,
    device: str = "auto",
    seeds: int | None = None,
    max_minutes: float = 5.0,
) -> xr.Dataset:
    """Reads the stored runs of a sweep and trains those that are missing, if that is a matter of minutes.

    Args:
        sweep_id: id of the sweep, such as ``pinn/convection/lbfgs``.
        profile: ``smoke``, ``laptop`` or ``paper``.
        runs: the folder of all stores; by default ``SCIML_RUNS`` of the environment, or ``runs/`` of the repository.
        device: what trains: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        seeds: only the first so many seeds of the plan; all by default.
        max_minutes: how long training may take by the estimate.

    Returns:
        As :func:`load`, with the chosen seeds.

    Raises:
        UserError: if training would take longer (the message says how long, and what to type), an argument is
            impossible, or the store is not in order.
        KeyboardInterrupt: if training was stopped by Ctrl-C.
    """
    plan = catalog.get(sweep_id).at(profile)
    target = devices.resolve(device)
    wanted = execution.wanted_cells(plan, seeds)
    stored = store.read(plan, runs)
    done = stored.done
    missing = [cell for cell in wanted if cell not in done]
    if missing:
        needed = estimate.time_left(plan, missing, target, runs)
        if needed.seconds > 60.0 * max_minutes:
            raise UserError(
                f"{len(missing)} of {len(wanted)} runs of {sweep_id}, profile {profile}, are not stored, and to train "
                f"them on this machine ({devices.label(target)}) takes {needed.words}; start it with "
                f"`{plan.command}` (it can be stopped at any moment and goes on by itself), or choose a smaller profile"
            )
        report = execution.run(sweep_id, profile, runs=runs, device=device, seeds=seeds)
        if report.stopped_by == "interrupt":
            raise KeyboardInterrupt
        stored = store.read(plan, runs)
    chosen = plan.seeds[: len({cell.seed for cell in wanted})]
    return _dataset(plan, stored, chosen)


def load_measured(
    sweep_id: str,
    profile: str = "laptop",
    *,
    runs: str | os.PathLike[str] | None = None,
    device: str = "auto",
    seeds: int | None = None,
) -> xr.Dataset:
    """Reads runs with their curvature; in the profile ``smoke`` what is missing of it is measured first, in seconds.

    Args:
        sweep_id: id of the sweep, such as ``pinn/convection/lbfgs``.
        profile: ``smoke``, ``laptop`` or ``paper``.
        runs: the folder of all stores; by default ``SCIML_RUNS`` of the environment, or ``runs/`` of the repository.
        device: what trains and measures: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        seeds: only the first so many seeds of the plan; all by default.

    Returns:
        As :func:`load_or_train`, with the curvature of every run whose parameters are stored and finite.

    Raises:
        UserError: as :func:`load_or_train`, or if a run has not been measured; the message says what to type.
    """
    plan, options = catalog.get(sweep_id).at(profile), {"runs": runs, "device": device, "seeds": seeds}
    found = load_or_train(sweep_id, profile, **options)
    left = curvature.left(plan, runs)
    if left and profile == "smoke":
        curvature.measure(sweep_id, profile, runs=runs, device=device, progress=False)
        found = load_or_train(sweep_id, profile, **options)
    elif left:
        raise UserError(
            f"the curvature of {left} runs of {sweep_id}, profile {profile}, is not stored; measure it with "
            f"`{curvature.command(plan)}` (it can be stopped at any moment and goes on by itself)"
        )
    if "lambda_max" not in found:
        raise UserError(
            f"no run of {sweep_id}, profile {profile}, has its parameters stored, so there is nothing to measure; train it "
            f"with `{plan.command}`"
        )
    return found


def _dataset(plan: Plan, stored: Stored, seeds: tuple[int, ...]) -> xr.Dataset:
    """Rows as arrays ``[coefficient, n_data, seed]``."""
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
    measured = curvature.read(stored.folder)
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
        attrs={
            "sweep": plan.sweep.id,
            "profile": plan.profile,
            "title": plan.sweep.title,
            "reading": plan.sweep.reading,
            "cells_done": len(rows),
            "cells_planned": len(plan.pairs) * len(seeds),
            "seeds": list(seeds),
            "device": " and ".join(sorted({row.device for row in rows})),
            "versions": dict(content["versions"]),
            "created": content["created"],
            "updated": content["updated"],
            "commit": content["commit"],
            "spec_hash": content["spec_hash"],
            "library_changed": manifest.library_changed(content, plan),
            "command": plan.command,
        },
    )
