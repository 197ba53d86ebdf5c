"""What independent programs found in cells of this book, and what our stored runs have there.

The numbers of the others stand in ``data/cross_checks.csv``; ours are read from the stored runs, never typed.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sciml_lib import studies
from sciml_lib.analysis.maps import seed_labels, warm_up
from sciml_lib.analysis.spectra import pairs_of
from sciml_lib.errors import UserError
from sciml_lib.ledger.records import data_file, lines_of, one_of, required
from sciml_lib.panels import Panel
from sciml_lib.regimes import Regime
from sciml_lib.studies import Results
from sciml_lib.sweeps import catalog

COLUMNS = ("program", "version", "sweep", "coefficient", "n_data", "seed", "quantity", "value", "note")

NEGATIVE = "negative_share"
"""Share of the Hessian's eigenvalues that are negative: ours is read from the stored spectra."""

QUANTITIES = ("train_loss", "test_error", "iterations", "one_step_mse", "lambda_max", "trace", NEGATIVE)
"""What is compared; ``iterations`` are those after a warm-up with Adam."""


@dataclass(frozen=True)
class Check:
    """What one program found in one cell.

    Attributes:
        program: its name.
        version: which of it.
        sweep: id of the sweep of ours that trains the same.
        coefficient: of the cell.
        n_data: of the cell.
        seed: of the run; None if the program drew its own random numbers.
        values: what it found, by the names in :data:`QUANTITIES`.
        note: how it was obtained.
    """

    program: str
    version: str
    sweep: str
    coefficient: float
    n_data: int
    seed: int | None
    values: Mapping[str, float]
    note: str


def read(path: str | os.PathLike[str] | None = None) -> tuple[Check, ...]:
    """Reads the numbers of the others.

    Args:
        path: of another table; by default the one that comes with the library.

    Raises:
        UserError: if a line is not in order, or gives a number a second time; it names file and line.
    """
    values: dict[tuple[object, ...], dict[str, float]] = {}
    for where, entries in lines_of(path or data_file("cross_checks.csv"), COLUMNS):
        required(where, entries, [name for name in COLUMNS if name != "seed"])
        one_of(where, "quantity", entries["quantity"], QUANTITIES)
        try:
            catalog.get(entries["sweep"])
        except UserError as error:
            raise UserError(f"{where}: {error}") from error
        seed = _number(where, "seed", entries["seed"], int) if entries["seed"] else None
        cell = _number(where, "coefficient", entries["coefficient"], float), _number(where, "n_data", entries["n_data"], int)
        key = (entries["program"], entries["version"], entries["sweep"], *cell, seed, entries["note"])
        known = values.setdefault(key, {})
        if entries["quantity"] in known:
            raise UserError(f"{where} gives {entries['quantity']} of this run a second time; remove one of the two")
        known[entries["quantity"]] = _number(where, "value", entries["value"], float)
    return tuple(Check(*key[:6], values=found, note=key[6]) for key, found in values.items())


def _number(where: str, name: str, text: str, kind: Callable[[str], float]) -> float:
    """A number of the table."""
    try:
        value = kind(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(f"{where} has {name}={text!r}, which is no {'whole ' if kind is int else ''}number; correct it")
    return value


def compare(checks: Sequence[Check], runs: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """Sets what the others found beside our stored runs of the profile *laptop*; nothing is trained.

    Args:
        checks: what the others found.
        runs: the folder of all stores; by default see :func:`~sciml_lib.sweeps.places.runs_folder`.

    Returns:
        One row a check: ``program``, ``version``, ``sweep``, ``coefficient``, ``n_data``, ``seed`` (as text, empty if it drew
        its own random numbers) and ``note``. For each quantity ``theirs_<quantity>``; ``ours_<quantity>``, that of the same
        seed, or the median over our seeds if it drew its own; ``ratio_<quantity>``, ours over theirs; and ``low_<quantity>``
        and ``high_<quantity>`` over our seeds; NaN where a number was not found or is not stored. ``regime``, theirs by our
        thresholds; ``our_regime``, that of our run of the same seed by itself, or of most of our runs of the cell; both as
        numerals, empty if they are not known. ``our_regimes``, how many of our runs of the cell are in which.

    Raises:
        UserError: if a store is not in order.
    """
    panels = {name: Panel.stored(name, runs, grown=False) for name in dict.fromkeys(check.sweep for check in checks)}
    wants_spectra = any(NEGATIVE in check.values for check in checks)
    spectra = studies.stored(studies.get("spectra"), runs=runs) if wants_spectra else None
    rows = []
    for check in checks:
        panel = panels[check.sweep]
        our_regimes, our_regime = _regimes(panel, check)
        row: dict[str, object] = {
            **{"program": check.program, "version": check.version, "sweep": check.sweep, "coefficient": check.coefficient},
            **{"n_data": check.n_data, "seed": "" if check.seed is None else str(check.seed), "note": check.note},
            **{"regime": _theirs(panel, check), "our_regime": our_regime, "our_regimes": our_regimes},
        }
        for quantity, theirs in check.values.items():
            known = _ours(panel, spectra, check, quantity)
            over = list(known.values()) or [math.nan]
            ours = float(np.median(over)) if check.seed is None else known.get(check.seed, math.nan)
            numbers = {"theirs": theirs, "ours": ours, "ratio": ours / theirs, "low": min(over), "high": max(over)}
            row |= {f"{name}_{quantity}": number for name, number in numbers.items()}
        rows.append(row)
    return pd.DataFrame(rows)


def _at(panel: Panel | None, check: Check) -> dict[str, float] | None:
    """The coordinates of a check's cell, None if the panel does not have it."""
    if panel is None:
        return None
    near = np.isclose(panel.runs["coefficient"], check.coefficient), panel.runs["n_data"].values == check.n_data
    return {"coefficient": check.coefficient, "n_data": check.n_data} if all(part.any() for part in near) else None


def _ours(panel: Panel | None, spectra: Results | None, check: Check, quantity: str) -> dict[int, float]:
    """Our stored numbers of a check's cell, by seed."""
    if quantity == NEGATIVE:
        cell = (check.sweep, check.coefficient, check.n_data)
        pairs = pairs_of(spectra) if spectra is not None else []
        return {i.seed: end.negative[0] for i, _, end in pairs if (i.sweep, i.coefficient, i.n_data) == cell}
    at = _at(panel, check)
    if panel is None or at is None or quantity not in panel.runs:
        return {}
    values = panel.seeded(quantity).sel(at)
    found = {int(seed): float(values.sel(seed=seed)) for seed in values["seed"].values}
    shift = warm_up(panel) if quantity == "iterations" else 0
    return {seed: value - shift for seed, value in found.items() if value == value}


def _regimes(panel: Panel | None, check: Check) -> tuple[dict[str, int], str]:
    """How many of our runs of a cell are in which regime, and in which the run of the check's seed, or else most, is."""
    at = _at(panel, check)
    if panel is None or at is None:
        return {}, ""
    labels = seed_labels(panel).sel(at)
    by_seed = {int(seed): Regime(int(labels.sel(seed=seed))) for seed in labels["seed"].values}
    by_seed = {seed: regime.numeral for seed, regime in by_seed.items() if regime != Regime.MISSING}
    counted = dict(sorted(Counter(by_seed.values()).items()))
    most = max(counted, key=lambda name: counted[name], default="")
    return counted, most if check.seed is None else by_seed.get(check.seed, "")


def _theirs(panel: Panel | None, check: Check) -> str:
    """The regime of what the other program found, by our thresholds; empty if it cannot be told."""
    if panel is None or "train_loss" not in check.values:
        return ""
    if check.values["train_loss"] > panel.thresholds.train:
        return Regime.II.numeral
    if "test_error" not in check.values:
        return ""
    return (Regime.III if check.values["test_error"] > panel.thresholds.test else Regime.I).numeral
