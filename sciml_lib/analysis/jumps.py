"""Lengths of late steps: the exponents of Fig. 14, and how much they can tell."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
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
    pairs = _by_speed(tails)
    total = sum(fast.size * slow.size for fast, slow in pairs)
    return sum(_won(fast, slow) for fast, slow in pairs) / total if total else np.nan


def chance_of_larger(tails: pd.DataFrame) -> tuple[float, float]:
    """How often chance alone gives such a share of :func:`larger_alpha`.

    The exponents of one learning rate are dealt out anew to its fast and its slow runs in every possible way, independently
    for each rate: a permutation test, stratified by the rate.

    Returns:
        The chance of a share at least as large, and of one at least as small; NaN if there is no pair.
    """
    pairs = _by_speed(tails)
    if not pairs:
        return np.nan, np.nan
    dealt = Counter({0.0: 1.0})
    for fast, slow in pairs:
        every, here = np.concatenate([fast, slow]), Counter()
        for chosen in combinations(range(every.size), fast.size):
            here[_won(every[list(chosen)], np.delete(every, chosen))] += 1
        joint: Counter[float] = Counter()
        for a, n in dealt.items():
            for b, m in here.items():
                joint[a + b] += n * m / here.total()
        dealt = joint
    found = sum(_won(fast, slow) for fast, slow in pairs)
    return sum(p for won, p in dealt.items() if won >= found), sum(p for won, p in dealt.items() if won <= found)


def _by_speed(tails: pd.DataFrame) -> list[tuple[NDArray, NDArray]]:
    """The exponents of the fast and of the slow runs, for each learning rate that both have."""
    groups = [group for _, group in tails.dropna(subset=["alpha"]).groupby("rate")]
    pairs = [tuple(g.loc[g["coefficient"] == beta, "alpha"].to_numpy() for beta in (FAST, SLOW)) for g in groups]
    return [(fast, slow) for fast, slow in pairs if fast.size and slow.size]


def _won(first: NDArray, second: NDArray) -> float:
    """In how many pairs the first is larger; a tie counts half."""
    difference = first[:, None] - second[None, :]
    return float((difference > 0).sum() + 0.5 * (difference == 0).sum())


def rate_effect(tails: pd.DataFrame) -> pd.DataFrame:
    """By how much the mean exponent differs between two learning rates, and within what bounds that is known.

    Seeds of one rate scatter about its mean with one variance for all rates of a speed; Student's distribution with the
    degrees of freedom of all of them bounds a difference. Rates with one run are left out, and so are speeds with fewer than
    two other rates.

    Returns:
        For each speed the largest ``change`` between two rates; what every one is smaller than, ``below``, and what some one is
        larger than, ``above`` (at least 0), each with an error of 5 per cent; and the number of ``rates``.
    """
    found = {}
    for beta, group in tails.dropna(subset=["alpha"]).groupby("coefficient"):
        rates = [part.to_numpy() for _, part in group.groupby("rate")["alpha"] if len(part) > 1]
        if len(rates) < 2:
            continue
        pairs = list(combinations(rates, 2))
        free = sum(part.size - 1 for part in rates)
        sigma = np.sqrt(sum(((part - part.mean()) ** 2).sum() for part in rates) / free)
        change = np.array([abs(a.mean() - b.mean()) for a, b in pairs])
        error = sigma * np.array([np.sqrt(1 / a.size + 1 / b.size) for a, b in pairs])
        # Every difference must pass the first; any of so many may pass the second by chance.
        below = (change + stats.t.ppf(0.95, free) * error).max()
        above = (change - stats.t.ppf(1 - 0.025 / len(pairs), free) * error).max()
        found[float(beta)] = {"change": change.max(), "below": below, "above": max(above, 0.0), "rates": len(rates)}
    return pd.DataFrame.from_dict(found, orient="index", columns=["change", "below", "above", "rates"])
