"""Lengths of late steps: the exponents of Fig. 14, and how much they can tell."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from sciml_lib.landscape import power_law
from sciml_lib.studies import Results
from sciml_lib.studies.trajectories import warm_up
from sciml_lib.sweeps import catalog

SLOW, FAST = 5.0, 20.0
"""The two speeds of Fig. 14."""

FEWEST = 50
"""Steps from which on a law is fitted."""

BOUND = 3.0
"""Largest exponent that release 2.0 of ``powerlaw`` allows by default."""


def step_tails(jumps: Results) -> pd.DataFrame:
    """Fits the law of Fig. 14 to every run with enough steps, without a bound on its exponent.

    Returns:
        One row a run: coefficient, n_data, seed, rate, passed (iteration at which the threshold was; -1 if it never was),
        warm (whether that was during the warm-up), steps, alpha, sigma, n_tail, valid (NaN and False where too few steps
        are stored for a law), median and longest step, final_loss.
    """
    rows = []
    for item, arrays in jumps.items.items():
        norms, passed = arrays["norms"], int(arrays["passed"])
        fit = {"alpha": np.nan, "sigma": np.nan, "n_tail": 0, "valid": False}
        if len(norms) >= min(FEWEST, jumps.attrs["recipe"]["steps"]):
            law = power_law(norms)
            fit = {"alpha": law.alpha, "sigma": law.sigma, "n_tail": law.n_tail, "valid": law.in_range}
        rows.append(
            {
                "coefficient": item.coefficient,
                "n_data": item.n_data,
                "seed": item.seed,
                "rate": float(item.variant.removeprefix("eta")),
                "passed": passed,
                "warm": 0 <= passed <= _warm_up(jumps, item.sweep),
                "steps": len(norms),
                **fit,
                "median": float(np.median(norms)) if len(norms) else np.nan,
                "longest": float(norms.max()) if len(norms) else np.nan,
                "final_loss": float(arrays["final_loss"][-1]),
            }
        )
    return pd.DataFrame(rows).sort_values(["coefficient", "rate", "seed"], ignore_index=True)


def _warm_up(jumps: Results, sweep: str) -> int:
    return warm_up(catalog.get(sweep).at("smoke" if jumps.attrs["profile"] == "smoke" else "paper"))


def by_rate(tails: pd.DataFrame) -> pd.DataFrame:
    """The exponents by speed and learning rate, and on how many steps and how safely they stand.

    Args:
        tails: what :func:`step_tails` returns.

    Returns:
        For each (coefficient, rate) with an exponent: ``runs``, medians of ``alpha``, of its standard error ``sigma``, of the
        steps in the fit ``n_tail``, of ``steps``, of the ``median`` step and of the longest over the median step, ``jump``;
        and the ``least`` and ``most`` exponent.
    """
    known = tails.dropna(subset=["alpha"]).assign(jump=lambda rows: rows["longest"] / rows["median"])
    groups = known.groupby(["coefficient", "rate"])
    found = groups[["alpha", "sigma", "n_tail", "steps", "median", "jump"]].median()
    return found.assign(runs=groups.size(), least=groups["alpha"].min(), most=groups["alpha"].max())


def larger_alpha(tails: pd.DataFrame) -> float:
    """Share of pairs (a fast run, a slow run) with one learning rate in which the fast one has the larger exponent."""
    known = tails.dropna(subset=["alpha"])
    won, pairs = 0.0, 0
    for _, group in known.groupby("rate"):
        fast, slow = (group.loc[group["coefficient"] == beta, "alpha"].to_numpy() for beta in (FAST, SLOW))
        difference = fast[:, None] - slow[None, :]
        won += float((difference > 0).sum() + 0.5 * (difference == 0).sum())
        pairs += difference.size
    return won / pairs if pairs else np.nan


def rate_spread(tails: pd.DataFrame) -> pd.DataFrame:
    """Whether the exponents differ more between learning rates than between seeds.

    Rates with one run say nothing of seeds and are left out, and so are speeds with fewer than two other rates.

    Returns:
        For each speed the spread (highest minus lowest) of the medians over the learning ``rates``, the median spread of the
        ``seeds`` at one rate, the ``rank`` correlation of exponent and rate, and the median standard error, ``sigma``.
    """
    found = {}
    for beta, group in tails.dropna(subset=["alpha"]).groupby("coefficient"):
        group = group[group.groupby("rate")["alpha"].transform("size") > 1]
        by_rate = group.groupby("rate")["alpha"]
        seeds = by_rate.max() - by_rate.min()
        if len(by_rate) < 2:
            continue
        constant = group["alpha"].nunique() == 1
        rank = np.nan if constant else float(stats.spearmanr(group["rate"], group["alpha"]).statistic)
        medians = by_rate.median()
        sigma = tails.loc[tails["coefficient"] == beta, "sigma"].median()
        found[float(beta)] = {"rates": medians.max() - medians.min(), "seeds": seeds.median(), "rank": rank, "sigma": sigma}
    return pd.DataFrame.from_dict(found, orient="index", columns=["rates", "seeds", "rank", "sigma"])
