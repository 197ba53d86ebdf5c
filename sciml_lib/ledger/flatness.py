"""What section 2.5.2 and appendix F.2 of the paper say of flatness at a high training loss."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sciml_lib.ledger.statement import FAILS, HOLDS, OPEN, Statement
from sciml_lib.prose import counted, number, percent

HARD = 15.0
"""From this coefficient on the paper finds deceptive flatness."""


def statements(runs: pd.DataFrame, symbol: str) -> list[Statement]:
    """Evaluates them.

    Args:
        runs: what :func:`sciml_lib.analysis.flatness.runs_of` returns.
        symbol: of the coefficient.
    """
    runs = runs[runs["lambda_max"].notna()]
    hard = runs["coefficient"] >= HARD
    trapped, low = runs[hard & runs["high"]], runs[~runs["high"]]
    return [
        Statement("flat regions occur at a high training loss", *_flatter(runs, symbol)),
        Statement(f"this is pronounced for {symbol} ≥ {HARD:g}", *_pronounced(runs, hard, symbol)),
        Statement(
            f"runs with {symbol} ≥ {HARD:g} and a high loss have small eigenvalues, in the colours of the whole map",
            *_small(trapped, low),
        ),
        Statement("such runs stall on a plateau that gives no direction, and not at a solution", *_stall(trapped)),
    ]


def flatter_pairs(runs: pd.DataFrame) -> tuple[float, int]:
    """In how many pairs of runs at one coefficient, one of high and one of low loss, the first is flatter; and the pairs."""
    won, n = 0, 0
    for _, group in runs.groupby("coefficient"):
        high, low = (group.loc[group["high"] == which, "lambda_max"].to_numpy() for which in (True, False))
        won += int((high[:, None] < low[None, :]).sum())
        n += high.size * low.size
    return (won / n if n else np.nan), n


def _flatter(runs: pd.DataFrame, symbol: str) -> tuple[str, str]:
    share, n = flatter_pairs(runs)
    if not n:
        return f"no {symbol} has runs of high and of low loss", OPEN
    text = (
        f"of two runs with equal {symbol}, one with a high and one with a low loss, the first is the flatter in "
        f"{percent(share)} of {counted(n, 'pair')}"
    )
    return text, HOLDS if share > 0.5 else FAILS


def _pronounced(runs: pd.DataFrame, hard: pd.Series, symbol: str) -> tuple[str, str]:
    """Whether more runs with large coefficients than others have a high loss and less curvature than those with a low one."""
    if hard.all() or not hard.any():
        return f"runs on both sides of {symbol} = {HARD:g} were not measured", OPEN
    middle = runs["coefficient"].map(runs[~runs["high"]].groupby("coefficient")["lambda_max"].median())
    deceiving = runs["high"] & (runs["lambda_max"] < middle)
    text = (
        f"a high loss, and less curvature than the median run of low loss at the same {symbol}: "
        f"{deceiving[hard].sum()} of {counted(int(hard.sum()), 'run')} there, {deceiving[~hard].sum()} of "
        f"{counted(int((~hard).sum()), 'run')} below"
    )
    return text, HOLDS if deceiving[hard].mean() > deceiving[~hard].mean() else FAILS


def _small(trapped: pd.DataFrame, low: pd.DataFrame) -> tuple[str, str]:
    if trapped.empty or low.empty:
        return "no such run, or none of low loss, was measured", OPEN
    middle = float(trapped["lambda_max"].median())
    below = float((low["lambda_max"] < middle).mean())
    text = f"their median is {number(middle)}, and {percent(below)} of all runs of low loss in the map have less"
    return text, HOLDS if below < 0.5 else FAILS


def _stall(trapped: pd.DataFrame) -> tuple[str, str]:
    if trapped.empty:
        return "no run there has a high loss", OPEN
    n = int(trapped["flat"].sum())
    text = f"{n} of {len(trapped)} are at a constant, which solves the equation and misses its initial values"
    return (text if n else "none of them is at a constant"), FAILS if n > len(trapped) / 2 else OPEN
