"""What section 2.5.2 and appendix F.1 of the paper say of sharpness, over a map and along training."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sciml_lib.analysis.curvature import FEWEST, ahead
from sciml_lib.analysis.sharpening import SHARPER, STEADY
from sciml_lib.ledger.statement import FAILS, HOLDS, OPEN, Statement
from sciml_lib.prose import counted, number, percent


def over_a_map(cells: pd.DataFrame, symbol: str) -> list[Statement]:
    """Evaluates what is said of sharpness and training loss, on a map of PINNs.

    Args:
        cells: what :func:`sciml_lib.analysis.curvature.cells_of` returns.
        symbol: of the coefficient.
    """
    known = cells[cells["lambda_max"].notna()]
    high, low = (known.loc[known["high"] == which, "lambda_max"] for which in (True, False))
    claims = (
        "a low training loss need not mean a low curvature",
        "a high training loss need not mean a high curvature",
        "well-trained cells are sharper than under-trained ones (said of an FNO; here of PINNs)",
    )
    if low.empty or high.empty:
        return [Statement(claim, "the map has no cells of both, low and high training loss", OPEN) for claim in claims]
    sharp, flat = int((low > _middle(high)).sum()), int((high < _middle(low)).sum())
    first = f"{sharp} of {counted(low.size, 'cell')} with a low loss are sharper than the median cell with a high one"
    second = f"{flat} of {counted(high.size, 'cell')} with a high loss are flatter than the median cell with a low one"
    share, n = ahead(cells)
    fixed, m = ahead(cells, at_one_coefficient=True)
    third = f"so it is in {percent(share)} of {counted(n, 'pair')} of a cell of I with one of II"
    if m:
        third += f", and in {percent(fixed)} of those with equal {symbol} ({m:,})"
    return [
        Statement(claims[0], first, _some(sharp, low.size)),
        Statement(claims[1], second, _some(flat, high.size)),
        Statement(claims[2], third, HOLDS if share > 0.5 else FAILS if n else OPEN),
    ]


def _middle(eigenvalues: pd.Series) -> float:
    """The median of logarithms, which the eigenvalue of a cell is a mean of."""
    return float(np.exp(np.log(eigenvalues).median()))


def _some(found: int, of: int) -> str:
    """The verdict on *need not*: one case is enough for it, and that there is none says something if there could be many."""
    return HOLDS if found else FAILS if of >= FEWEST else OPEN


def along_training(runs: pd.DataFrame, splits: pd.DataFrame) -> list[Statement]:
    """Evaluates what is said of sharpening, from the runs of Figs. 7 and 12.

    Args:
        runs: what :func:`sciml_lib.analysis.sharpening.runs_of` returns.
        splits: what :func:`sciml_lib.analysis.sharpening.splits` returns.
    """
    whole = runs[runs["phase"] == "whole"]
    return [_rising(whole), _coincide(whole), _settles(splits), _steeper(whole)]


def in_most_seeds(whole: pd.DataFrame) -> pd.Series:
    """Whether most seeds of a cell end at :data:`~sciml_lib.analysis.sharpening.SHARPER` times their first value or more."""
    return (whole["factor"] >= SHARPER).groupby([whole["coefficient"], whole["n_data"]]).mean() > 0.5


def _rising(whole: pd.DataFrame) -> Statement:
    factors, most = whole["factor"], in_most_seeds(whole)
    middle, least, largest = (number(value) for value in (factors.median(), factors.min(), factors.max()))
    return Statement(
        "in all settings the largest eigenvalue rises substantially while the training loss falls",
        f"in {(factors >= SHARPER).sum()} of {counted(len(whole), 'run')} it ends at {SHARPER:g} times its first value or more "
        f"(median factor {middle}, {least} to {largest}); in {most.sum()} of {counted(len(most), 'cell')} in most seeds; its "
        f"largest rise on the way has the factor {number(whole['rise'].median())} in the median run",
        HOLDS if most.all() else FAILS,
    )


def _coincide(whole: pd.DataFrame) -> Statement:
    claim = "the rise coincides with the fall of the loss"
    known = whole["relation"].dropna()
    if known.empty:
        return Statement(claim, "the runs have too few points", OPEN)
    typical = whole.groupby(["coefficient", "n_data"])["relation"].median().dropna()
    found = (
        f"along a run the two have a rank correlation of {known.median():+.2f} in the median, negative in "
        f"{(known < 0).sum()} of {counted(len(known), 'run')}"
    )
    return Statement(claim, found, HOLDS if (typical <= -0.5).all() else FAILS)


def _settles(splits: pd.DataFrame) -> Statement:
    """Whether eigenvalue and loss stay where they are after the split."""
    claim, later = "after the sharpening both, loss and sharpness, are stable", splits[splits["after"]]
    if later.empty:
        return Statement(claim, f"no cell has a rise by a factor of {SHARPER:g}, and points after it", OPEN)
    found = (
        f"from the split on the eigenvalue stays within a factor of {STEADY:g} of its last value in {later['steady'].sum()} of "
        f"{counted(len(later), 'cell')}, the loss in {later['loss_steady'].sum()}; it falls by another factor of "
        f"{number(later['fall'].median())} (median cell)"
    )
    return Statement(claim, found, HOLDS if (later["steady"] & later["loss_steady"]).all() else FAILS)


def _steeper(whole: pd.DataFrame) -> Statement:
    """Whether the eigenvalue rises more where the coefficient is larger, at equal amounts of data.

    From the first to the last point, and in the largest rise on the way: if these, or the amounts of data, disagree, it cannot
    be judged.
    """
    claim = "sharpening is more pronounced for larger β"
    parts, verdicts = [], []
    for n_data, group in whole.groupby("n_data"):
        medians = group.groupby("coefficient")[["factor", "rise", "first"]].median()
        if len(medians) < 2:
            continue
        small, large = medians.iloc[0], medians.iloc[-1]
        verdicts += [large["factor"] > small["factor"], large["rise"] > small["rise"]]
        parts.append(
            f"with {n_data:,} points from first to last by {number(small['factor'])} at β = {small.name:g} and by "
            f"{number(large['factor'])} at β = {large.name:g} (where it is {number(large['first'] / small['first'])} times as "
            f"large before training), in its largest rise by {number(small['rise'])} and by {number(large['rise'])}"
        )
    if not parts:
        return Statement(claim, "no amount of data was run with several β", OPEN)
    verdict = HOLDS if all(verdicts) else OPEN if any(verdicts) else FAILS
    doubt = "; these do not agree" if verdict == OPEN else ""
    return Statement(claim, f"the eigenvalue of the median seed changes {'; '.join(parts)}{doubt}", verdict)
