"""What Newton steps improve on the state that they start from, and what their damping does."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from sciml_lib import regimes
from sciml_lib.analysis.borders import has
from sciml_lib.optim import Status
from sciml_lib.panels import Panel
from sciml_lib.regimes import REGIMES, Regime

FAILURES = (Status.DIVERGED, Status.LINE_SEARCH_FAILED, Status.NOT_DESCENT, Status.SKETCH_FAILED)
"""Statuses with which NysNewton-CG gives up before its budget is spent."""

WORSE = 0.05
"""By how much, relatively, a test error must grow for a run to count as spoiled."""

MEASURES = {"ratio_of_means": "ratio of seed means", "mean_of_ratios": "mean of the seeds' ratios"}
"""The two readings of the paper's Eq. 23, by the names that :func:`sciml_lib.regimes.improvement` gives them."""

QUANTITIES = {"train_loss": "training loss", "test_error": "test error"}
"""What can improve."""


class Gain:
    """What a method improves on its base, on the cells and seeds that both have.

    Attributes:
        gains: for training loss and test error the data set of :func:`sciml_lib.regimes.improvement`.
        labels: regimes of the base, ``[n_coefficient, n_data]``.
        before: test error of the base, ``[n_coefficient, n_data, n_seed]``.
        gave_up: which runs of the method ended before their budget, ``[n_coefficient, n_data, n_seed]``.
        worse: which of its runs have a test error more than 5 % above the base's, or none that is finite.
        indefinite: which of its runs spent their budget but met negative curvature.
        status: how the method's runs ended.
        stored: which runs both have.
    """

    def __init__(self, base: Panel, method: Panel) -> None:
        """Brings both on their common grid and seeds."""
        ours, theirs = xr.align(method.runs, base.runs, join="inner")
        method, base = Panel(ours.assign_attrs(method.runs.attrs)), Panel(theirs.assign_attrs(base.runs.attrs))
        self.gains = {
            name: regimes.improvement(
                base.seeded(name), method.seeded(name), base_status=base.seeded("status"), method_status=method.seeded("status")
            )
            for name in QUANTITIES
        }
        self.labels: NDArray = base.labels.values
        self.status: NDArray = method.seeded("status").values
        self.before: NDArray = base.seeded("test_error").values
        after = method.seeded("test_error").values
        self.stored: NDArray = (self.status != "") & (base.seeded("status").values != "")
        self.gave_up: NDArray = np.isin(self.status, [s.label for s in FAILURES])
        self.indefinite: NDArray = self.status == Status.NEGATIVE_CURVATURE.label
        self.worse: NDArray = self.stored & ~(after <= (1.0 + WORSE) * self.before)

    def values(self, quantity: str, measure: str, where: NDArray) -> NDArray:
        """The improvements in per cent of the cells ``where``, those that are not known left out."""
        values = self.gains[quantity][measure].values[where]
        return values[~np.isnan(values)]


def by_regime(gain: Gain) -> pd.DataFrame:
    """How much a method gains in each regime of its base, and how often it gives up there.

    Returns:
        One row a regime of the base that occurs, by its numeral: ``cells``, ``runs``, of these ``gave_up``, ``indefinite``
        (met negative curvature) and ``worse`` (test error more than 5 % higher), the least test error ``before`` of the runs
        that became worse, and for each quantity and measure, such as ``train_loss ratio_of_means``, the ``median``,
        ``low`` and ``high`` cell in per cent, as columns of two levels.
    """
    rows = {}
    for regime in REGIMES:
        inside = gain.labels == regime
        if not inside.any():
            continue
        counts = {name: int(getattr(gain, name)[inside].sum()) for name in ("gave_up", "indefinite", "worse")}
        before = gain.before[inside][gain.worse[inside]]
        row: dict[tuple[str, str], float] = {
            ("cells", ""): int(inside.sum()),
            ("runs", ""): int(gain.stored[inside].sum()),
            **{(name, ""): n for name, n in counts.items()},
            ("before", ""): float(before.min()) if before.size else np.nan,
        }
        for quantity in QUANTITIES:
            for measure in MEASURES:
                values = gain.values(quantity, measure, inside)
                found = (np.median(values), values.min(), values.max()) if values.size else (np.nan,) * 3
                row |= {(f"{quantity} {measure}", name): v for name, v in zip(("median", "low", "high"), found, strict=True)}
        rows[regime.numeral] = pd.Series(row, dtype=object)
    return pd.DataFrame(rows).T


def damping_runs(study: Mapping[float, Panel], quantity: str = "train_loss") -> pd.DataFrame:
    """The stored runs of a study of the damping: coefficient, n_data, seed, the quantity, ``damping``."""
    frames = []
    for damping, panel in study.items():
        runs = panel.runs[[quantity]].to_dataframe().reset_index().dropna(subset=[quantity])
        frames.append(runs.assign(damping=damping))
    return pd.concat(frames, ignore_index=True)


def dampings(study: Mapping[float, Panel], base: Panel) -> pd.DataFrame:
    """What each damping makes of each cell of a study.

    Args:
        study: the map of each damping.
        base: what all of them start from.

    Returns:
        One row a cell, by (coefficient, n_data): the ``regime`` of the base (a numeral, empty if it was not run) and its mean
        loss ``before``; for each damping the mean loss (column: the damping) and how most runs ended (column: ``ended`` and
        the damping, empty if not run); the ``best`` and ``worst`` damping, the ``ratio`` of their losses, and whether the
        single runs of the two ``overlap``. The last four are missing where fewer than two losses are finite.
    """
    rows = {}
    for coefficient, n_data in next(iter(study.values())).plan.pairs:
        cell = {"coefficient": coefficient, "n_data": n_data}
        known = has(base, cell)
        row: dict[object, object] = {
            "regime": Regime(int(base.labels.sel(cell))).numeral if known else "",
            "before": float(base.train.sel(cell)) if known else np.nan,
        }
        losses = {damping: float(panel.train.sel(cell)) for damping, panel in study.items()}
        row |= losses | {f"ended {damping:g}": _most_common(panel, cell) for damping, panel in study.items()}
        finite = {damping: loss for damping, loss in losses.items() if np.isfinite(loss)}
        if len(finite) > 1:
            best, worst = min(finite, key=finite.get), max(finite, key=finite.get)
            row |= {"best": best, "worst": worst, "ratio": finite[worst] / finite[best]}
            row["overlap"] = _overlap(study[best], study[worst], cell)
        rows[coefficient, n_data] = row
    return pd.DataFrame.from_dict(rows, orient="index")


def _most_common(panel: Panel, cell: dict[str, float]) -> str:
    ended = [s for s in panel.runs["status"].sel(cell).values.tolist() if s]
    return max(sorted(set(ended)), key=ended.count) if ended else ""


def _overlap(a: Panel, b: Panel, cell: dict[str, float]) -> bool:
    """Whether the single runs of two panels at a cell lie among each other."""
    first, second = (panel.runs["train_loss"].sel(cell).dropna("seed").values for panel in (a, b))
    return bool(first.size and second.size and first.max() >= second.min() and second.max() >= first.min())
