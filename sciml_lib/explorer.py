"""What the page on which one clicks a cell of a map has to know: every stored sweep as a script that a browser loads.

A page that is opened as a file may load scripts and nothing else, so what is written here are scripts that assign data.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sciml_lib import figures, keeper, thumbnails
from sciml_lib.analysis import maps
from sciml_lib.figures import provenance
from sciml_lib.optim import Status
from sciml_lib.panels import Panel
from sciml_lib.regimes import FAMILY_NAMES, REGIMES, Regime
from sciml_lib.sweeps import catalog, dataset, store
from sciml_lib.sweeps.job import Job
from sciml_lib.sweeps.setups import NeuralODESetup, PINNSetup
from sciml_lib.sweeps.spec import Cell
from sciml_lib.systems import Dynamics, SpaceTimeSystem

INDEX = "index.js"
"""The script that lists the others; each of them is loaded only when its sweep is chosen."""

NOT_KEPT, NOT_FINITE = "parameters are not stored", "parameters are not finite"
"""Why there is no picture of what a network learned."""

MADE_BY = (
    *("explorer.py", "thumbnails.py", "panels.py", "analysis/maps.py"),
    *("figures/style.py", "figures/provenance.py"),
    *("models", "optim", "problems", "regimes", "strategies", "sweeps", "systems"),
)
"""The parts of the library that a script follows from: where one of them has changed, all scripts are made anew."""

SMOKE = "smoke"
"""The profile whose numbers mean nothing."""


def command(job: Job, cell: Cell) -> str:
    """What to type to train one run again, into a folder of one's own."""
    one = {"coefficients": (cell.coefficient,), "n_data": (cell.n_data,), "seed_numbers": (cell.seed,), "seeds": None}
    return replace(job, runs="my_runs", **one).command


def page_of(job: Job) -> str:
    """The page of a sweep's rows, relative to the root of the book."""
    return f"book/{provenance.page_of(job.plan.sweep.id, job.plan.profile)}"


def jobs(runs: str | os.PathLike[str] | None = None) -> list[Job]:
    """Every sweep and profile of which something is stored, in the order of the catalog; trials left out.

    Raises:
        UserError: if a store is damaged; it names the file.
    """
    found = []
    for sweep in map(catalog.get, catalog.ids()):
        for profile in dict.fromkeys(sweep.at(name).profile for name in sweep.profiles):
            job = Job.of(sweep, profile, runs=runs)
            if profile != SMOKE and job.folder.exists() and store.read(job).rows:
                found.append(job)
    return found


def write(folder: Path, kept: Path, runs: str | os.PathLike[str] | None = None) -> list[dict[str, Any]]:
    """Writes all scripts of the page; those of stores that have not changed are taken from the last time.

    Args:
        folder: where they are to be.
        kept: a folder that outlives the call; what is in it is thrown away when it is out of date.
        runs: the folder of all stores; by default the repository's own.

    Returns:
        What :func:`described` gives, of each store.

    Raises:
        UserError: if a store is damaged; it names the file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kept.mkdir(parents=True, exist_ok=True)
    found, entries, current = [], [], set()
    for job in jobs(runs):
        name, version = ".".join([*job.plan.sweep.id.split("/"), job.plan.profile]), _version(job)
        cached = kept / f"{name}.{version}.json"
        if not cached.exists():
            keeper.replace(cached, json.dumps(described(job), ensure_ascii=False, separators=(",", ":")).encode())
        text = cached.read_text(encoding="utf-8")
        _assign(folder / f"{name}.js", f"(window.explorerSweeps ||= {{}})[{json.dumps(name)}]", text)
        found.append(json.loads(text))
        entries.append(_entry(found[-1]) | {"name": name, "version": version})
        current.add(cached)
    scripts = {folder / INDEX, *(folder / f"{entry['name']}.js" for entry in entries)}
    for old in {*kept.glob("*.json"), *folder.glob("*.js")} - current - scripts:
        old.unlink()
    _assign(folder / INDEX, "window.explorerIndex", json.dumps(_index(entries), ensure_ascii=False))
    return found


def described(job: Job) -> dict[str, Any]:
    """One stored sweep as plain data.

    Returns:
        The words of the sweep, its axes (``coefficient``, ``data``), its ``thresholds``, the ``ranges`` of the colour scales
        and ``cells``: one list for each amount of data with one entry for each coefficient, None where nothing is planned.
        A cell has its ``regime`` and the means ``train`` and ``test``, in ``counts`` how many seeds are in I, II and III, and
        its ``runs``, one a seed, None where none is stored. ``pictures`` shows what the networks learned.

    Raises:
        UserError: if the store is damaged; it names the file.
    """
    plan = job.plan
    sweep, system = plan.sweep, plan.sweep.system
    panel = Panel(dataset.load(sweep, plan.profile, job.runs), os.fspath(job.runs or ""), None, plan)
    pictures, shown = _pictures(panel)
    return {
        "sweep": sweep.id,
        "profile": plan.profile,
        "title": sweep.title,
        "group": f"{FAMILY_NAMES.get(sweep.id.split('/')[0], 'Other')}, {system.title}",
        "recipe": f"{sweep.setup.describe()}; {plan.strategy.words}",
        "reading": sweep.reading,
        "page": page_of(job),
        "stored": len(panel.runs["status"].values[panel.runs["status"].values != ""]),
        "planned": len(plan.cells),
        "coefficient": _axis(system.coefficient_label, system.coefficient_words, plan.coefficients),
        "data": _axis(system.data_symbol.strip("$"), system.data_words, plan.n_data),
        "seeds": list(plan.seeds),
        "terms": [name.removeprefix("loss_") for name in panel.runs if name.startswith("loss_")],
        "thresholds": {
            "train": panel.thresholds.train,
            "test": panel.thresholds.test,
            "origin": panel.thresholds.origin,
        },
        "ranges": {"train": _range(panel.train.values), "test": _range(panel.test.values)},
        "endings": {status.label: status.sentence for status in Status} | dict(sweep.setup.outcomes),
        "warmUp": _warm_up(panel),
        "cells": _cells(panel, shown),
        "pictures": pictures,
    }


def suggested(
    stores: Sequence[Mapping[str, Any]], sweep: str = catalog.PANEL.id, profile: str = "laptop"
) -> list[dict[str, Any]]:
    """Cells to begin with, of one map: where all seeds are well trained, where all are over-trained, where they differ.

    Args:
        stores: what :func:`write` gave.
        sweep: the map.
        profile: of the map.

    Returns:
        For each that there is: its ``kind`` (``well``, ``over``, ``divided``), the ``cell`` with the ``symbols`` of its
        coordinates, the ``counts`` of its seeds and the ``link`` to it on the page.
    """
    chosen = [one for one in stores if (one["sweep"], one["profile"]) == (sweep, profile)]
    cells = [(c, n, cell) for one in chosen for c, n, cell in _by_place(one) if sum(cell["counts"])]
    alike = {regime: [at for at in cells if at[2]["counts"][regime - 1] == sum(at[2]["counts"])] for regime in REGIMES}
    divided = [at for at in cells if sum(map(bool, at[2]["counts"])) > 1]
    picked = {
        "well": max(alike[Regime.I], key=lambda at: (at[0], -at[1]), default=None),
        "over": min(alike[Regime.III], key=lambda at: at[2]["train"], default=None),
        "divided": max(divided, key=lambda at: (sum(map(bool, at[2]["counts"])), sorted(at[2]["counts"])[1]), default=None),
    }
    return [
        {
            "kind": kind,
            "cell": at[:2],
            "symbols": (chosen[0]["coefficient"]["symbol"], chosen[0]["data"]["symbol"]),
            "counts": at[2]["counts"],
            "link": f"#sweep={sweep}&profile={profile}&c={at[0]:g}&n={at[1]}",
        }
        for kind, at in picked.items()
        if at is not None
    ]


def _by_place(described: Mapping[str, Any]) -> list[tuple[float, int, dict[str, Any]]]:
    """The planned cells of a map with their coordinates."""
    return [
        (c, n, cell)
        for n, row in zip(described["data"]["values"], described["cells"], strict=True)
        for c, cell in zip(described["coefficient"]["values"], row, strict=True)
        if cell is not None
    ]


def _cells(panel: Panel, shown: Mapping[Cell, int | str]) -> list[list[dict[str, Any] | None]]:
    """All cells of a map, ``[n_data][coefficient]``."""
    job, plan = panel.job, panel.plan
    means = {"train": panel.train.values, "test": panel.test.values}
    labels, own = panel.labels.values, maps.seed_labels(panel).values
    numbers = {name: panel.seeded(name).values for name in panel.runs.data_vars}
    terms = [name for name in numbers if name.startswith("loss_")]
    last, planned = _warm_up(panel), set(plan.pairs)

    def run(place: tuple[int, int, int], cell: Cell) -> dict[str, Any] | None:
        value = {name: array[place] for name, array in numbers.items()}
        if value["status"] == "":
            return None
        found = {
            "status": str(value["status"]),
            "regime": int(own[place]),
            "train": _short(value["train_loss"]),
            "terms": [_short(value[name]) for name in terms],
            "test": _short(value["test_error"]),
            "iterations": int(value["iterations"]),
            "seconds": _short(value["seconds"], 3),
            "picture": shown.get(cell, NOT_KEPT),
        }
        if last is not None and value["iterations"] <= last + maps.EARLY:
            found["early"] = True
        if not math.isnan(value.get("lambda_max", math.nan)):
            found |= {"lambda": _short(value["lambda_max"]), "trace": _short(value["trace"])}
        return found

    def one(i: int, j: int) -> dict[str, Any] | None:
        c, n = plan.coefficients[i], plan.n_data[j]
        if (c, n) not in planned:
            return None
        found = {name: _short(values[i, j]) for name, values in means.items() if not math.isnan(values[i, j])}
        return found | {
            "regime": int(labels[i, j]),
            "counts": [int((own[i, j] == regime).sum()) for regime in REGIMES],
            "runs": [run((i, j, k), Cell(c, n, seed)) for k, seed in enumerate(plan.seeds)],
            "command": command(job, Cell(c, n, plan.seeds[0])),
        }

    return [[one(i, j) for i in range(len(plan.coefficients))] for j in range(len(plan.n_data))]


def _pictures(panel: Panel) -> tuple[dict[str, Any] | None, dict[Cell, int | str]]:
    """Pictures of what the networks of a map learned, and which of them, or what instead, belongs to each run."""
    setup, plan = panel.plan.sweep.setup, panel.plan
    shown: dict[Cell, int | str] = {}
    params: dict[Cell, NDArray] = {}
    for n in plan.n_data:
        arrays = store.read_params(panel.job, n)
        for cell in plan.cells:
            if cell.n_data == n and (row := arrays.get(store.params_key(cell))) is not None:
                if np.isfinite(row).all():
                    params[cell] = row
                else:
                    shown[cell] = NOT_FINITE
    if not params:
        return None, shown
    if isinstance(setup, PINNSetup):
        return _fields(panel.system, setup, plan.coefficients, params, shown)
    if isinstance(setup, NeuralODESetup):
        return _motions(panel.system, setup, plan.coefficients, params, shown)
    return None, shown | dict.fromkeys(params, "no picture is drawn of this family of models")


def _fields(
    system: SpaceTimeSystem,
    setup: PINNSetup,
    coefficients: Sequence[float],
    params: Mapping[Cell, NDArray],
    shown: dict[Cell, int | str],
) -> tuple[dict[str, Any], dict[Cell, int | str]]:
    """Solutions as images: the true ones in one, the learned ones in one for each amount of data."""
    truth = thumbnails.true_fields(system, coefficients)
    limits = np.abs(truth).max(axis=(1, 2))
    learned = []
    for n in sorted({cell.n_data for cell in params}):
        cells = [cell for cell in params if cell.n_data == n]
        rows = torch.from_numpy(np.stack([params[cell] for cell in cells]))
        fields = thumbnails.learned_fields(system, setup.network(system), rows)
        learned.append((n, thumbnails.sprite(fields, limits[[coefficients.index(cell.coefficient) for cell in cells]])))
        shown |= {cell: k for k, cell in enumerate(cells)}
    return {
        "kind": "field",
        "size": [thumbnails.WIDTH, thumbnails.HEIGHT],
        "axes": list(system.axis_labels),
        "limits": [_short(limit, 2) for limit in limits],
        "truth": thumbnails.sprite(truth, limits),
        "learned": dict(learned),
    }, shown


def _motions(
    system: Dynamics,
    setup: NeuralODESetup,
    coefficients: Sequence[float],
    params: Mapping[Cell, NDArray],
    shown: dict[Cell, int | str],
) -> tuple[dict[str, Any], dict[Cell, int | str]]:
    """Test motions as lists of numbers, in hundredths; a motion ends where it has left every bound."""
    truth = thumbnails.true_motions(system, setup, coefficients)
    rows = torch.from_numpy(np.stack(list(params.values())))
    followed = thumbnails.learned_motions(system, setup, rows, [cell.coefficient for cell in params])
    room = float(np.abs(truth).max())
    kept = [motion[np.isfinite(motion)] for motion in followed]
    return {
        "kind": "motion",
        "words": thumbnails.motion_words(system, setup),
        "time": system.time_label,
        "horizon": system.test_horizon,
        "limit": _short(room),
        # Beyond twice the picture's height nothing is seen of a line.
        "truth": [_hundredths(motion) for motion in truth],
        "learned": [_hundredths(np.clip(motion, -3 * room, 3 * room)) for motion in kept],
    }, shown | {cell: k for k, cell in enumerate(params)}


def _hundredths(values: NDArray) -> list[int]:
    return np.round(100 * values).astype(int).tolist()


def _warm_up(panel: Panel) -> int | None:
    """Iterations of the Adam that a strategy begins with, if something follows it; None where there is no warm-up."""
    steps = maps.warm_up(panel)
    return steps if steps and len(panel.plan.strategy.stages) > 1 else None


def _axis(symbol: str, words: str, values: Sequence[float]) -> dict[str, Any]:
    return {"symbol": symbol, "words": words, "values": list(values)}


def _range(values: NDArray) -> list[float]:
    """Ends of a colour scale of the logarithm to the base of ten, as the figures have theirs."""
    positive = values[np.isfinite(values) & (values > 0)]
    return [_short(end) for end in figures.style.colour_range(np.log10(positive))]


def _short(value: float, digits: int = 4) -> float:
    """A number with no more digits than a page shows; what is infinite stays so, which JavaScript can read."""
    return float(f"{float(value):.{digits}g}")


def _entry(described: Mapping[str, Any]) -> dict[str, Any]:
    """What the list of sweeps says of one."""
    return {name: described[name] for name in ("sweep", "profile", "title", "group", "stored", "planned")}


def _index(entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the page knows before a sweep is chosen."""
    style = figures.style
    shades = style.map_colours()(np.linspace(0.0, 1.0, 17))[:, :3]
    return {
        "sweeps": list(entries),
        "regimes": [
            {"numeral": r.numeral, "title": r.title, "sentence": r.sentence, "colour": style.REGIME_COLOURS.get(r, "")}
            for r in (Regime.MISSING, *REGIMES)
        ],
        "shades": np.round(shades * 255).astype(int).tolist(),
        "early": maps.EARLY,
    }


def _version(job: Job) -> str:
    """Fingerprint of what a script is made of: all files of the store, and the library, see :data:`MADE_BY`."""
    content = sha256(_library().encode())
    for path in sorted(path for path in job.folder.rglob("*") if path.suffix in (".json", ".csv", ".npz")):
        content.update(path.relative_to(job.folder).as_posix().encode())
        content.update(keeper.read_bytes(path) or b"")
    return content.hexdigest()[:16]


@cache
def _library() -> str:
    root = Path(__file__).parent
    made_by = [path for part in MADE_BY for path in ((root / part).rglob("*") if (root / part).is_dir() else [root / part])]
    files = sorted(path for path in made_by if path.suffix in (".py", ".csv"))
    return sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def _assign(path: Path, name: str, text: str) -> None:
    keeper.replace(path, f"{name} = {text};\n".encode())
