"""What appendix F.4 of the paper and the caption of Fig. 15 say of barriers."""

from __future__ import annotations

import pandas as pd

from sciml_lib.analysis.barrier import FINER, KINDS, PAIRS, PAPER_CELL, inversions, joined, low, order
from sciml_lib.ledger.statement import FAILS, HOLDS, OPEN, Statement
from sciml_lib.prose import counted, is_are, listed, number, part_of, percent

ORDERED = 0.95
"""Share of pairs (an accurate point, an inaccurate one) from which on the loss is said to tell them apart."""


def statements(rows: pd.DataFrame, points: pd.DataFrame) -> list[Statement]:
    """Evaluates it.

    Args:
        rows: what :func:`sciml_lib.analysis.barrier.climbs` returns.
        points: what :func:`sciml_lib.analysis.barrier.points` returns.
    """
    return [
        _finer(rows),
        _no_barrier(rows, "same", "no barrier of the loss lies between the solutions of L-BFGS and of ALM"),
        _no_barrier(rows, "other", "the two solutions lie in the same basin (tested with different seeds)"),
        _decoupled(points),
        _sufficiently_low(rows, points),
    ]


def _finer(rows: pd.DataFrame) -> Statement:
    claim = "L-BFGS has converged coarsely (a loss of about $10^{-2}$) and ALM finely (about $10^{-4}$)"
    pairs = rows[(rows["pair"] == "same") & (rows["kind"] == "straight")]
    if pairs.empty:
        return Statement(claim, "no pair with the same seed was run", OPEN)
    text = "; ".join(f"{number(row.loss_0)} and {number(row.loss_1)} ({row.cell})" for row in pairs.itertuples())
    ratio = pairs["loss_0"] / pairs["loss_1"]
    its = (pairs["coefficient"] == PAPER_CELL[0]) & (pairs["n_data"] == PAPER_CELL[1])
    if not its.any():
        like = pairs.loc[ratio >= FINER, "cell"].tolist()
        alike = f"far lower with ALM at {listed(like)}" if like else "nowhere far lower with ALM"
        return Statement(claim, f"its cell was not run; in ours {text}: {alike}", OPEN)
    return Statement(claim, text, HOLDS if ratio[its].min() >= FINER else FAILS)


def _no_barrier(rows: pd.DataFrame, pair: str, claim: str) -> Statement:
    clear = joined(rows, pair)
    if clear is None:
        return Statement(claim, f"no pair with {'the ' if pair == 'same' else ''}{PAIRS[pair]} was run", OPEN)
    most = rows[rows["pair"] == pair].groupby("kind")["factor"].max()
    parts = [f"{name}: at most {times(most[kind])} times the higher end" for kind, name in KINDS.items()]
    return Statement(claim, f"{PAIRS[pair]}; {'; '.join(parts)}", HOLDS if clear else FAILS)


def times(factor: float) -> str:
    """Returns a factor of at least 1, with three digits below ten."""
    return "1" if factor == 1 else number(factor, 3 if factor < 10 else 2)


def _decoupled(points: pd.DataFrame) -> Statement:
    claim = "a low loss does not mean an accurate solution"
    here = points[points["low"]]
    if here.empty:
        return Statement(claim, "no point of a curve has a low loss", OPEN)
    n, wrong = len(here), int((~here["right"]).sum())
    text = (
        f"Of {counted(n, 'point')} with a loss of at most {number(low().train)} {part_of(wrong, n)} {is_are(wrong)} inaccurate."
    )
    return Statement(claim, text, HOLDS if wrong else FAILS)


def _sufficiently_low(rows: pd.DataFrame, points: pd.DataFrame) -> Statement:
    claim = "only a sufficiently low loss leads to an accurate solution"
    known = order(points)["apart"].dropna()
    if known.empty:
        return Statement(claim, "no cell has accurate and inaccurate points", OPEN)
    text = "an accurate point has the lower loss in " + listed(f"{percent(s)} ({name})" for name, s in known.items())
    reversed_ = inversions(rows)
    if len(reversed_):
        cells = listed(reversed_["cell"].unique())
        text += f" of all pairs with an inaccurate one; solutions in reverse order at {cells}"
    return Statement(claim, text, HOLDS if known.min() >= ORDERED and reversed_.empty else FAILS)
