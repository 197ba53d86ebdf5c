"""Maps of several model families: how near they come to the published ones, and what their losses and errors are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats

from sciml_lib import regimes, rollouts
from sciml_lib.analysis.maps import counts_of, runs_of
from sciml_lib.panels import Panel
from sciml_lib.regimes import REGIMES, Regime, Thresholds

QUANTITIES = ("train_loss", "test_error")
"""The two numbers of a published map."""


def families(panels: Mapping[str, Panel]) -> pd.DataFrame:
    """The system and the axes of each map.

    Returns:
        For each map: the name of its ``system``, the ``symbol`` and the ends of its ``coefficients``, the words and the ends of
        its ``data``, and the number of stored ``runs`` and ``seeds``.
    """
    found = {}
    for name, panel in panels.items():
        system, plan = panel.system, panel.plan
        found[name] = {
            "system": system.name,
            "symbol": system.coefficient_label,
            "coefficients": (plan.coefficients[0], plan.coefficients[-1]),
            "data": system.data_label,
            "amounts": (plan.n_data[0], plan.n_data[-1]),
            "runs": runs_of(panel),
            "seeds": panel.runs.sizes["seed"],
        }
    return pd.DataFrame.from_dict(found, orient="index")


def against_published(panels: Mapping[str, Panel]) -> pd.DataFrame:
    """How far each map agrees with its published one, in labels and in values.

    Returns:
        For each map: the share of ``equal`` labels among ``n`` cells and Cohen's ``kappa``; the number of cells that are in I
        here and in II there (``published_worse``) and the other way round (``published_better``); the median of published over
        ours and their rank correlation, for the training loss and the test error (``train_ratio``, ``train_rank``,
        ``test_ratio``, ``test_rank``), over the cells that :func:`legible` keeps.
    """
    found = {}
    for name, panel in panels.items():
        agreement = panel.agreement
        row: dict[str, Any] = {"equal": agreement.share_equal, "n": agreement.n, "kappa": agreement.kappa}
        row |= {"published_worse": int(agreement.confusion[0, 1]), "published_better": int(agreement.confusion[1, 0])}
        for quantity in QUANTITIES:
            both, short = legible(panel, quantity), quantity.split("_")[0]
            known = len(both) >= 3
            row[f"{short}_ratio"] = float((both["published"] / both["ours"]).median()) if known else np.nan
            row[f"{short}_rank"] = _rank(both["ours"], both["published"]) if known else np.nan
        found[name] = row
    return pd.DataFrame.from_dict(found, orient="index")


def legible(panel: Panel, quantity: str) -> pd.DataFrame:
    """Our values and the published ones, on the cells whose published value can be read.

    Left out are cells that the published colours cut off at an end of their scale or hide under a line.

    Args:
        panel: the map.
        quantity: train_loss or test_error.

    Returns:
        ``ours`` and ``published`` by coefficient and amount of data.
    """
    theirs = panel.published
    read = ~(theirs[f"{quantity}_low"] | theirs[f"{quantity}_high"] | theirs[f"{quantity}_hidden"])
    ours = {"train_loss": panel.train, "test_error": panel.test}[quantity]
    both = xr.Dataset({"ours": ours, "published": theirs[quantity].where(read)}).to_dataframe().dropna()
    return both[np.isfinite(both["ours"]) & (both["published"] > 0)]


def ratio_along(panel: Panel, quantity: str, axis: str) -> pd.Series:
    """The median of published over ours at each value of an axis, coefficient or n_data."""
    both = legible(panel, quantity)
    return (both["published"] / both["ours"]).groupby(axis).median()


def rivals(panels: Mapping[str, Panel], judges: Mapping[str, Thresholds]) -> pd.DataFrame:
    """Which of several maps of one family is nearest to the published one.

    Args:
        panels: the maps.
        judges: thresholds that all of them, and the published map, are judged by beside those of each one's own row.

    Returns:
        For each map: ``kappa`` with the published labels by the thresholds of each judge (a column with the judge's name) and
        by its ``own``, the ``best`` of them (NaN where two maps show one label only), its own training ``threshold``, its
        ``highest`` training loss, and the median of published over ours of the training loss and of the test error
        (``train_ratio``, ``test_ratio``), see :func:`against_published`.
    """
    found = kappas(panels, judges)
    return found.assign(
        best=found.max(axis=1),
        threshold=[panel.thresholds.train for panel in panels.values()],
        highest=[float(panel.train.max()) for panel in panels.values()],
    ).join(against_published(panels)[["train_ratio", "test_ratio"]])


def kappas(panels: Mapping[str, Panel], judges: Mapping[str, Thresholds]) -> pd.DataFrame:
    """Cohen's kappa of each map with the published labels, by the thresholds of each judge and by its ``own``."""
    found, read = {}, {}
    for name, panel in panels.items():
        levels = {**judges, "own": panel.thresholds}
        for level in levels.values():
            if level not in read:
                read[level] = regimes.published.labels(panel.published, level)
        found[name] = {
            judge: regimes.agreement(
                regimes.label(panel.train, panel.test, level), read[level]["label"], read[level]["legible"]
            ).kappa
            for judge, level in levels.items()
        }
    return pd.DataFrame.from_dict(found, orient="index", dtype=float)


def second_regime(panels: Mapping[str, Panel]) -> pd.DataFrame:
    """The test error of each regime, and how many cells of II have a low one, here and in the published map.

    Returns:
        For each map: the median test error in ``I``, ``II`` and ``III`` (NaN without a cell), the test ``threshold``, the
        ``cells`` of II and those of them with a ``low`` test error; and the same two of the published map,
        ``published_cells`` and ``published_low``.
    """
    found = {}
    for name, panel in panels.items():
        inside = {regime: panel.test.values[(panel.labels == regime).values] for regime in REGIMES}
        limit, theirs = panel.thresholds.test, panel.published_labels
        under = (theirs["label"] == Regime.II) & theirs["legible"]
        found[name] = {
            **{regime.numeral: np.median(values) if values.size else np.nan for regime, values in inside.items()},
            "threshold": limit,
            "cells": inside[Regime.II].size,
            "low": int((inside[Regime.II] <= limit).sum()),
            "published_cells": int(under.sum()),
            "published_low": int((under & (panel.published["test_error"] <= limit)).sum()),
        }
    return pd.DataFrame.from_dict(found, orient="index")


def error_floor(panel: Panel) -> pd.DataFrame:
    """What the true field itself has as a test error when Euler's method follows it, beside the best cell.

    Returns:
        For each coefficient: the error of the true field (``true``), the ``lowest`` of a cell, and the ``share`` of the one in
        the other.
    """
    found = pd.DataFrame({"true": rollouts.true_field_error(panel).to_series(), "lowest": panel.test.min("n_data").to_series()})
    return found.assign(share=found["true"] / found["lowest"])


def two_errors(panels: Mapping[str, Panel]) -> pd.DataFrame:
    """How far the error of the rollout and that of one step order the cells alike.

    Returns:
        For each map: the ``rank`` correlation of both, the ``lowest`` and ``highest`` error of one step of a cell, the test
        ``threshold``, and ``apart``: in which share of all pairs of a cell of III with one of I the former has the larger error
        of one step (ties count half; NaN without such a pair).
    """
    found = {}
    for name, panel in panels.items():
        one_step = panel.seeded("one_step_mse").mean("seed")
        over, well = (one_step.values[(panel.labels == regime).values] for regime in (Regime.III, Regime.I))
        pairs = over.size * well.size
        found[name] = {
            "rank": _rank(panel.test.values.ravel(), one_step.values.ravel()),
            "lowest": float(one_step.min()),
            "highest": float(one_step.max()),
            "threshold": panel.thresholds.test,
            "apart": float(stats.mannwhitneyu(over, well).statistic / pairs) if pairs else np.nan,
        }
    return pd.DataFrame.from_dict(found, orient="index")


def readings(base: Panel, variants: Mapping[str, Panel]) -> pd.DataFrame:
    """What other readings of paper and code change on the cells of a map.

    Args:
        base: the map as it is read here.
        variants: the same cells read otherwise, by what is different.

    Returns:
        For each reading: the ratios of the data ``loss`` and of the test ``error`` to those of the base, of the median cell;
        and where it has the same loss, the numbers of cells in I, II and III (``cells``), the labels that are ``changed`` and
        ``kappa`` with the published ones. None where it has another loss.
    """
    found = {}
    for name, panel in variants.items():
        comparable = panel.plan.sweep.setup == base.plan.sweep.setup
        found[name] = {
            "loss": median_ratio(panel, base, "loss_data"),
            "error": median_ratio(panel, base, "test_error"),
            "cells": counts_of(panel.labels) if comparable else None,
            "changed": int((panel.labels != base.labels).sum()) if comparable else None,
            "kappa": panel.agreement.kappa if comparable else None,
        }
    return pd.DataFrame.from_dict(found, orient="index", dtype=object)


def median_ratio(panel: Panel, base: Panel, quantity: str, n_data: Any = None) -> float:
    """Median over the cells of a panel's seed mean over that of another; with ``n_data`` over these amounts of data alone."""
    ratio = panel.seeded(quantity).mean("seed") / base.seeded(quantity).mean("seed")
    return float((ratio if n_data is None else ratio.sel(n_data=n_data)).median())


def _rank(a: Any, b: Any) -> float:
    return float(stats.spearmanr(a, b).statistic)
