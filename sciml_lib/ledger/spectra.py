"""What section 2.5.1 and appendices F.2 and F.5 of the paper say of the spectra of Hessians."""

from __future__ import annotations

import pandas as pd

from sciml_lib.analysis.spectra import BAND, COMMON_WIDTH, PEAK
from sciml_lib.ledger.statement import FAILS, HOLDS, OPEN, Statement, verdict_of
from sciml_lib.prose import counted, listed, percent, share_span, span
from sciml_lib.studies.cells import CONVECTION, REACTION_DIFFUSION

OUTLIER, FAR_OUTLIER = 1e3, 1e4
"""The two sizes that section 2.5.1 names."""

PAPERS_SHARE, TOLERANCE = 0.37, 0.05
"""Negative eigenvalues at rho = 20 (appendix F.2), and how near to that is near."""

EVEN = (0.4, 0.6)
"""Between what a share of negative eigenvalues is about a half."""

CLAIMED_RHO = 20.0


def statements(readings: pd.DataFrame) -> list[Statement]:
    """Evaluates them.

    A statement holds if it does for every run that it speaks of, and does not if one of its cells has no run for which it
    does. Else it cannot be judged.

    Args:
        readings: what :func:`sciml_lib.analysis.spectra.readings` returns.
    """
    found: list[Statement] = []
    before, after = _ends(readings, CONVECTION)
    if len(after):
        found += [_outliers(after), *_no_peak(before, after), _grows(before, after), _flat_directions(before, after)]
    before, after = _ends(readings, REACTION_DIFFUSION)
    if len(after):
        found += [_symmetric(before), _sharper(after), *_negative(before, after)]
    return found


def _ends(readings: pd.DataFrame, sweep: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of one sweep before and after training, by cell and seed."""
    own = readings[readings["sweep"] == sweep].set_index(["short", "seed"])
    return own[own["training"] == "before"], own[own["training"] == "after"]


def _outliers(after: pd.DataFrame) -> Statement:
    claim = f"trained convection networks have eigenvalues above {OUTLIER:,.0f}, some above {FAR_OUTLIER:,.0f}"
    tops = after["greatest"]
    text = (
        f"the largest lies above {OUTLIER:,.0f} in {(tops > OUTLIER).sum()} of {counted(len(tops), 'run')}, above "
        f"{FAR_OUTLIER:,.0f} in {(tops > FAR_OUTLIER).sum()}: {_per_cell(tops)}"
    )
    verdict = _of_cells(tops > OUTLIER)
    return Statement(claim, text, OPEN if verdict == HOLDS and tops.max() <= FAR_OUTLIER else verdict)


def _no_peak(before: pd.DataFrame, after: pd.DataFrame) -> list[Statement]:
    """Whether there is no peak at zero after training, with either width, and whether it is less than before."""
    n = counted(len(after), "run")
    rules = (
        ("the released width", after["peak_released"], ~after["hides"]),
        (f"a width of {COMMON_WIDTH:g}", after["peak_common"], pd.Series(True, index=after.index)),
    )
    found = []
    for words, peaks, seen in rules:
        without = peaks[seen] < PEAK
        text = f"the density at zero is {span(peaks)} times that beside it"
        if hidden := int((~seen).sum()):
            text += f"; in {hidden} of {n} the width would hide any peak"
        if len(without):
            text += f"; where one can be seen, it is less than {PEAK:g} times in {without.sum()} of {len(without)}"
        verdict = _of_cells(without) if len(without) else OPEN
        found.append(Statement(f"no peak at zero after training (drawn with {words})", text, verdict))
    falls = after["within_band"] < before["within_band"]
    text = (
        f"the share of the eigenvalues within ±{BAND:g} falls in {falls.sum()} of {n}: from "
        f"{share_span(before['within_band'])} to {share_span(after['within_band'])}"
    )
    return [*found, Statement("that absence becomes more significant after training", text, _of_cells(falls))]


def _grows(before: pd.DataFrame, after: pd.DataFrame) -> Statement:
    factor = after["greatest"] / before["greatest"]
    text = (
        f"the largest eigenvalue grows in {(factor > 1).sum()} of {counted(len(factor), 'run')}, by factors of "
        f"{_per_cell(factor)}"
    )
    return Statement("the outliers grow with training", text, _of_cells(factor > 1))


def _flat_directions(before: pd.DataFrame, after: pd.DataFrame) -> Statement:
    claim = "trained PINNs keep a large number of eigenvalues that are not zero (appendix F.5)"
    beyond = 1.0 - after["below_rounding"]
    text = (
        f"{share_span(beyond)} of the eigenvalues are larger than rounding, "
        f"{share_span(1.0 - after['within_band'])} larger than {BAND:g}; before training "
        f"{share_span(1.0 - before['within_band'])} are larger than {BAND:g}"
    )
    return Statement(claim, text, _of_cells(beyond > 0.5))


def _symmetric(before: pd.DataFrame) -> Statement:
    claim = "before training a spectrum is about symmetric around zero"
    sides = -before["least"] / before["greatest"]
    text = (
        f"negative are {share_span(before['negative'])} of the eigenvalues (bounds {_bounds(before)}); the least is "
        f"{span(-sides)} times the greatest"
    )
    balanced = sides.between(0.5, 2.0)
    if not balanced.any():
        return Statement(claim, text, FAILS)
    even = (before["negative_least"] >= EVEN[0]) & (before["negative_most"] <= EVEN[1])
    return Statement(claim, text, HOLDS if even.all() and balanced.all() else OPEN)


def _sharper(after: pd.DataFrame) -> Statement:
    """Whether the smallest coefficient has the largest eigenvalues, as the caption of Fig. 13 says of 5 and 15."""
    (first, easy), *others = after.groupby("coefficient")["greatest"]
    claim = f"after training the eigenvalues at ρ = {first:g} are larger than at "
    if not others:
        return Statement(f"{claim}larger ρ", "a larger ρ was not run", OPEN)
    second, hard = others[0]
    text = "the largest is " + listed(f"{span(tops)} at ρ = {c:g}" for c, tops in [(first, easy), *others])
    verdict = HOLDS if easy.min() > hard.max() else FAILS if easy.max() < hard.min() else OPEN
    return Statement(f"{claim}ρ = {second:g}", text, verdict)


def _negative(before: pd.DataFrame, after: pd.DataFrame) -> list[Statement]:
    """What is said of the share of negative eigenvalues at rho = 20."""
    claims = (
        f"at ρ = {CLAIMED_RHO:g} training makes a spectrum heavily biased towards positive values",
        f"at ρ = {CLAIMED_RHO:g} {percent(PAPERS_SHARE)} of the eigenvalues are negative after training",
    )
    old, new = (rows[rows["coefficient"] == CLAIMED_RHO] for rows in (before, after))
    if new.empty:
        return [Statement(claim, f"ρ = {CLAIMED_RHO:g} was not run", OPEN) for claim in claims]
    text = (
        f"the negative share goes from {share_span(old['negative'])} to {share_span(new['negative'])}, within bounds of "
        f"{_bounds(old)} and {_bounds(new)}"
    )
    low, high = new["negative_least"], new["negative_most"]
    fallen = ((high < old["negative_least"]) & (high < 0.5)).all()
    risen = ((low > old["negative_most"]) | (low > 0.5)).all()
    words = (
        f"{share_span(new['negative'])} by weight, within bounds of {_bounds(new)}; "
        f"{share_span(new['counted_negative'])} of the Ritz values"
    )
    inside = ((low - PAPERS_SHARE).abs() <= TOLERANCE).all() and ((high - PAPERS_SHARE).abs() <= TOLERANCE).all()
    outside = ((high < PAPERS_SHARE) | (low > PAPERS_SHARE)).all()
    return [
        Statement(claims[0], text, HOLDS if fallen else FAILS if risen else OPEN),
        Statement(claims[1], words, HOLDS if inside else FAILS if outside else OPEN),
    ]


def _bounds(rows: pd.DataFrame) -> str:
    """The widest of the bounds of the share of negative eigenvalues, in words."""
    return share_span((rows["negative_least"].min(), rows["negative_most"].max()))


def _per_cell(values: pd.Series) -> str:
    """A number of every cell in words, as a range over its seeds."""
    return listed(f"{span(group)} ({name})" for name, group in values.groupby("short", sort=False))


def _of_cells(right: pd.Series) -> str:
    """The verdict on something that is so for every run, or for no run of some cell."""
    verdicts = {verdict_of(group) for _, group in right.groupby("short")}
    return FAILS if FAILS in verdicts else OPEN if OPEN in verdicts else HOLDS
