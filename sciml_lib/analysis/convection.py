"""The first map: its regimes beside the published ones, what seeds decide, and what the warm-up and the budget change."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from sciml_lib.panels import Panel, distance, mixed, onset, solved
from sciml_lib.regimes import REGIMES, Regime
from sciml_lib.regimes.published import interval
from sciml_lib.report import stored_cells, stored_runs

CELL = ["n_data", "coefficient"]


def regimes(panel: Panel) -> pd.DataFrame:
    """Cells and runs of each regime, by the mean over the seeds and by each run itself, and the published cells beside them.

    Returns:
        One row a regime, by its numeral: ``cells``, ``runs``, ``published`` (all legible cells) and ``seen`` (the published
        cells of which a run of ours is stored).
    """
    theirs = panel.published_labels["label"]
    ours = panel.labels.reindex_like(theirs, fill_value=int(Regime.MISSING))
    single = regime_of_runs(panel)
    return pd.DataFrame(
        {
            "cells": [int((panel.labels == r).sum()) for r in REGIMES],
            "runs": [int((single["regime"] == r.numeral).sum()) for r in REGIMES],
            "published": [int((theirs == r).sum()) for r in REGIMES],
            "seen": [int(((theirs == r) & (ours != Regime.MISSING)).sum()) for r in REGIMES],
        },
        index=[r.numeral for r in REGIMES],
    )


def regime_of_runs(panel: Panel) -> pd.DataFrame:
    """One row a stored run, with the ``regime`` that it has by itself, as a numeral."""
    names = ("train_loss", "test_error", "status")
    runs = xr.Dataset({name: panel.seeded(name) for name in names}).to_dataframe().reset_index()
    runs = runs[runs["test_error"].notna()]
    low, right = runs["train_loss"] <= panel.thresholds.train, runs["test_error"] <= panel.thresholds.test
    return runs.assign(regime=np.where(low, np.where(right, "I", "III"), "II"))


def by_row(panel: Panel) -> pd.DataFrame:
    """For every amount of data with a stored run: at which coefficient the training loss first exceeds its threshold.

    Returns:
        ``ours`` and ``published``, by n_data: a coefficient, infinite where the whole row stays below, NaN where a cell is
        missing or hidden; and ``runs``, how many runs of ours are in Regime II by themselves, of how many ``of``.
    """
    single, theirs = regime_of_runs(panel), panel.published_labels["label"]
    amounts = [int(n) for n in sorted(single["n_data"].unique())]
    ours, published = (onset(labels.sel(n_data=amounts)) for labels in (panel.labels, theirs))
    under = single[single["regime"] == "II"].groupby("n_data").size()
    frame = pd.DataFrame({"ours": pd.Series(ours), "published": pd.Series(published)}).reindex(amounts)
    return frame.assign(runs=under.reindex(amounts, fill_value=0), of=single.groupby("n_data").size().reindex(amounts))


def trust(panel: Panel) -> dict[str, int]:
    """How many ``cells`` are stored, and in how many of them the seeds are ``split`` or leave the label ``unsure``.

    Split: some seeds are well trained and others are not. Unsure: no label is reached by nine resamples of ten; not known, and
    not there, with one seed.
    """
    known = panel.labels != Regime.MISSING
    found = {"cells": int(known.sum()), "split": int(mixed(panel).sum())}
    if panel.band is not None:
        sure = panel.band.label_probability.max(axis=0) >= 0.9
        found["unsure"] = int((~sure & known.values).sum())
    return found


def differing(panel: Panel) -> pd.DataFrame:
    """The cells whose regime is not the published one.

    Returns:
        One row a cell: n_data, coefficient, ``ours``, ``published`` (numerals), our ``test_error`` and between what the
        published one lies, whether the published label is ``uncertain``, and how often it appears when our seeds are
        resampled.
    """
    rows = []
    for d in panel.agreement.differing:
        cell = {"coefficient": d.coefficient, "n_data": d.n_data}
        low, high = interval(panel.published, "test_error", d.coefficient, d.n_data) or (np.nan, np.nan)
        rows.append(
            {
                **{
                    "n_data": int(d.n_data),
                    "coefficient": d.coefficient,
                    "ours": d.ours.numeral,
                    "published": d.published.numeral,
                },
                **{"test_error": float(panel.test.sel(cell)), "low": low, "high": high, "uncertain": bool(d.uncertain)},
                "resampled": _chance(panel, int(d.published), cell),
            }
        )
    columns = [*CELL, "ours", "published", "test_error", "low", "high", "uncertain", "resampled"]
    return pd.DataFrame(rows, columns=columns)


def _chance(panel: Panel, regime: int, cell: Mapping[str, float]) -> float:
    """Share of the resamples in which our cell is in a regime; NaN with one seed."""
    if panel.band is None:
        return float("nan")
    at = [int(np.flatnonzero(np.isclose(panel.runs[axis], value))[0]) for axis, value in cell.items()]
    return float(panel.band.label_probability[(regime - 1, *at)])


def warmups(study: Mapping[int, Panel]) -> pd.DataFrame:
    """The cells that are stored for every length of the warm-up.

    Returns:
        One row a cell, by (n_data, coefficient): for every length its mean test error (column: the length) and how many
        seeds are well trained by themselves (column: ``solved`` and the length), the seeds ``of``, and between what the
        published mean lies, ``low`` and ``high``, NaN where it is not legible.
    """
    published = next(iter(study.values())).published
    rows = {}
    for n_data, coefficient in sorted(set.intersection(*(stored_cells(panel) for panel in study.values()))):
        cell = {"coefficient": coefficient, "n_data": n_data}
        low, high = interval(published, "test_error", coefficient, n_data) or (np.nan, np.nan)
        row: dict[object, float] = {"low": low, "high": high}
        for steps, panel in study.items():
            row[steps], row[f"solved {steps}"] = float(panel.test.sel(cell)), int(solved(panel).sel(cell).sum())
            row["of"] = int(panel.runs["test_error"].sel(cell).notnull().sum())
        rows[int(n_data), coefficient] = row
    return pd.DataFrame.from_dict(rows, orient="index")


def missed_by(cells: pd.DataFrame, lengths: list[int]) -> pd.Series:
    """By what factor (geometric mean over the cells) each warm-up misses the published means, beyond their reading accuracy.

    Args:
        cells: what :func:`warmups` returns.
        lengths: of the warm-ups.

    Returns:
        A factor for each length, the least first; empty if no published mean is legible.
    """
    legible = cells[cells["low"].notna()] if len(cells) else cells
    if legible.empty:
        return pd.Series(dtype=float)
    away = {
        steps: np.mean([distance(row[steps], (row["low"], row["high"])) for _, row in legible.iterrows()]) for steps in lengths
    }
    return (10.0 ** pd.Series(away)).sort_values()


def repeats(panel: Panel, again: Panel) -> pd.DataFrame:
    """Runs that were trained twice: same recipe, cell and seed, stored in two sweeps.

    Returns:
        One row a run: its coordinates, the ``ratio`` of the two test errors (the larger over the smaller), whether they are
        ``equal``, and whether one of the two alone is well trained (``changed``). Empty if the recipes differ.
    """
    keys = ["coefficient", "n_data", "seed"]
    if panel.plan.hash != again.plan.hash:
        return pd.DataFrame(columns=[*keys, "ratio", "equal", "changed"])
    pairs = stored_runs(panel).merge(stored_runs(again), on=keys, suffixes=("", "_again"))
    pairs = pairs[np.isfinite(pairs["test_error"]) & np.isfinite(pairs["test_error_again"])]
    return pairs[keys].assign(
        ratio=np.exp(np.abs(np.log(pairs["test_error"] / pairs["test_error_again"]))),
        equal=pairs["test_error"] == pairs["test_error_again"],
        changed=pairs["solved"] != pairs["solved_again"],
    )


def fate_of_regime_two(first: Panel, second: Panel) -> pd.Series:
    """What a second map makes of the cells that a first one has in Regime II: how many are in I, II and III, by numeral."""
    counts = first.agreement_with(second).confusion[Regime.II - 1]
    return pd.Series({r.numeral: int(n) for r, n in zip(REGIMES, counts, strict=True)})


def forgets(panel: Panel, cell: object) -> float | None:
    """From which time on a network of low loss is a constant in x; None if it never is, or its loss is high."""
    if cell is None or panel.value("train_loss", cell) > panel.thresholds.train:
        return None
    return panel.solution(cell).flat_from
