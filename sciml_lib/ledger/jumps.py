"""What appendix F.3 of the paper says of the steps of PINNs, beside Fig. 14."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sciml_lib.analysis.jumps import FAST, SLOW, larger_alpha, rate_spread
from sciml_lib.ledger.statement import FAILS, HOLDS, OPEN, Statement
from sciml_lib.prose import number, percent

MOST = 0.75
"""Share of pairs from which on one group is said to be larger than another."""


def statements(tails: pd.DataFrame) -> list[Statement]:
    """Evaluates it.

    Args:
        tails: what :func:`sciml_lib.analysis.jumps.step_tails` returns.
    """
    return [
        _faster(tails),
        _stable(tails),
        Statement("PINNs have larger exponents than ResNet-18", "the ResNet was not run", OPEN),
    ]


def _faster(tails: pd.DataFrame) -> Statement:
    claim = f"β = {FAST:g} has larger exponents than β = {SLOW:g}, that is, fewer jumps"
    share = larger_alpha(tails)
    if np.isnan(share):
        return Statement(claim, "only one of the two speeds has exponents", OPEN)
    known = tails.dropna(subset=["alpha"]).groupby("coefficient")["alpha"]
    medians = known.median()
    text = (
        f"in {percent(share)} of all pairs with one learning rate; medians {number(float(medians[FAST]))} and "
        f"{number(float(medians[SLOW]))}"
    )
    return Statement(claim, text, HOLDS if share >= MOST else FAILS)


def _stable(tails: pd.DataFrame) -> Statement:
    claim = "the exponents of the PINNs hardly depend on the learning rate"
    spread = rate_spread(tails)
    if spread.empty:
        return Statement(claim, "one learning rate, or one seed of each", OPEN)
    text = "; ".join(
        f"β = {beta:g}: medians differ by {number(rates)}, seeds by {number(seeds)}"
        for beta, rates, seeds in spread[["rates", "seeds"]].itertuples()
    )
    return Statement(claim, text, HOLDS if (spread["rates"] <= spread["seeds"]).all() else FAILS)
