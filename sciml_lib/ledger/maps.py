"""What the paper says of regime maps as wholes (sections 2.2 and 2.3, appendix E)."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from sciml_lib.ledger.statement import FAILS, HOLDS, OPEN, Statement
from sciml_lib.prose import listed

ACROSS_PHYSICS = {
    "L-BFGS": "four equations have the same coarse three regimes (section 2.3, paper Fig. 2)",
    "ALM": "the three regimes persist with ALM (appendix E, paper Fig. 8)",
    "RoPINN": "the three regimes persist with RoPINN (appendix E, paper Fig. 9)",
}
"""What the paper says of the maps of four equations, by strategy."""

SEEDS = 3
"""With fewer seeds a map is not judged."""


def across_physics(maps: Mapping[str, tuple[pd.DataFrame, pd.DataFrame]]) -> list[Statement]:
    """Evaluates what the paper says of four equations.

    Args:
        maps: the two tables that :func:`three_regimes` takes, by strategy.
    """
    return [three_regimes(ACROSS_PHYSICS[name], *tables) for name, tables in maps.items()]


def three_regimes(claim: str, shares: pd.DataFrame, scale: pd.DataFrame) -> Statement:
    """Evaluates that each of some maps has all three regimes, each in a cell that most of its seeds are in.

    It falls only by a map whose whole grid was run, with the paper's recipe and three seeds.

    Args:
        claim: the paper's statement in our words.
        shares: what :func:`sciml_lib.analysis.maps.regime_shares` returns.
        scale: what :func:`sciml_lib.analysis.maps.scale` returns, of the same maps.
    """
    enough = scale["seeds"] >= SEEDS
    missing = {name: [r for r in ("I", "II", "III") if not row[f"most_{r}"]] for name, row in shares.iterrows()}
    parts = [f"none of {listed(lost, last='and')} in that of {name}" for name, lost in missing.items() if lost]
    complete = [name for name, lost in missing.items() if not lost]
    text = f"cells that most of their seeds are in: of all three regimes in {len(complete)} of {len(missing)} maps"
    text = "; ".join([text + (f" ({listed(complete)})" if complete else ""), *parts])
    if not enough.all():
        text += f"; fewer than {SEEDS} seeds with {listed(scale.index[~enough])}"
    judged = scale["grid"] & scale["recipe"] & enough
    if any(lost and judged[name] for name, lost in missing.items()):
        return Statement(claim, text, FAILS)
    return Statement(claim, text, HOLDS if len(complete) == len(missing) and enough.all() else OPEN)
