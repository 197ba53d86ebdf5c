"""What section 2.5.1 and appendices F.2 and F.5 of the paper say of the spectra of Hessians."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial

import numpy as np
import pandas as pd

from sciml_lib.analysis import spectra
from sciml_lib.analysis.spectra import BAND, COMMON_WIDTH, PEAK
from sciml_lib.ledger.contract import Claim, Reading, Settling, Source, study_scope
from sciml_lib.ledger.votes import Vote, agreed, in_every_cell
from sciml_lib.prose import counted, listed, number, percent, share_span, span
from sciml_lib.studies import Results
from sciml_lib.studies.base import Network
from sciml_lib.studies.cells import CONVECTION, REACTION_DIFFUSION
from sciml_lib.sweeps.spec import Cell

TITLE = "Spectra of Hessians (section 2.5, appendices F.2 and F.5)"

OUTLIER, FAR_OUTLIER = 1e3, 1e4
"""The two sizes that section 2.5.1 names."""

PAPERS_SHARE, TOLERANCE = 0.37, 0.05
"""Negative eigenvalues at rho = 20 (appendix F.2), and how near to that is near (ours)."""

EVEN = (0.4, 0.6)
"""Between what a share of negative eigenvalues is about a half: ours."""

BALANCED = (0.5, 2.0)
"""Between what the ratio of the least and the greatest eigenvalue is about one: ours."""

MANY = 0.5
"""A large number of directions: ours, the paper gives none."""

EASY, HARDER, HARD = 5.0, 15.0, 20.0
"""The coefficients of paper Fig. 13, and that of the text about it."""

FIG_6 = ((5.0, 100), (50.0, 500))
FIG_16 = ((5.0, 100), (50.0, 100), (5.0, 20_000), (50.0, 20_000))
BOTH = tuple(dict.fromkeys(FIG_6 + FIG_16))
FIG_13 = ((EASY, 1000), (HARDER, 1000))
"""Cells of the paper's figures, as (coefficient, n_data)."""

_DENSE = "the dense Hessian in float64"
_SHARE = Settling(f"{_DENSE} at ρ = {HARD:g}, before and after training, with three seeds (minutes of one core a network)")


def _claim(name: str, where: str, words: str, scope: str, criterion: str, settles: Settling) -> Claim:
    return Claim(f"spectra-{name}", where, words, scope, criterion, "landscapes/spectra", settles)


_SEEDS = "in three quarters of the seeds of each cell"
_TWO = "the two cells of paper Fig. 6(a,b)"
_FIVE = "the five cells of paper Figs. 6(a,b) and 16(a-d)"
_RD = "ρ = 5, 15 and 20 of reaction-diffusion with 1,000 points"
CLAIMS = (
    _claim(
        "outliers", "section 2.5.1, paper Fig. 6(a,b)",
        f"trained convection networks have eigenvalues above {OUTLIER:,.0f}, some above {FAR_OUTLIER:,.0f}", _TWO,
        f"{_SEEDS} the largest is above {OUTLIER:,.0f}, and one is above {FAR_OUTLIER:,.0f}; two cells refute that",
        Settling("five seeds of both cells, trained without Adam as well", "pinn/convection/lbfgs-literal"),
    ),
    _claim(
        "no-peak", "section 2.5.1, paper Fig. 6(a,b)", "after training there is no peak at zero", _TWO,
        f"{_SEEDS} the density at zero is less than {PEAK:g} times its mean from 1 to 10 (ours), with the released width and "
        f"with {COMMON_WIDTH:g}; and a network with a known peak, such as the paper's ResNet-18, has one by the same number",
        Settling("the spectrum of a trained ResNet-18, which paper Fig. 6(e) shows with a peak, by the same measure"),
    ),
    _claim(
        "absence-grows", "section 2.5.1, paper Figs. 6(a,b) and 16(a-d)",
        "that absence becomes more significant with training", _FIVE,
        f"{_SEEDS} a smaller share of the eigenvalues than before is within ±{BAND:g} (where the figures' scale is linear), "
        "beyond the bounds of the estimate; two cells refute that",
        Settling("spectra of the two cells with 20,000 points", CONVECTION, n_data=(20_000,), seeds=3),
    ),
    _claim(
        "outliers-grow", "section 2.5.1, paper Figs. 6(a,b) and 16(a-d)", "the outliers grow with training", _FIVE,
        f"{_SEEDS} the largest eigenvalue is larger than before; two cells refute that",
        Settling("spectra of the two cells with 20,000 points", CONVECTION, n_data=(20_000,), seeds=3),
    ),
    _claim(
        "directions", "appendix F.5, paper Fig. 16(a-d)",
        "trained PINNs keep a large number of eigenvalues that are not zero", "the four cells of paper Fig. 16(a-d)",
        f"{_SEEDS} more than {MANY:.0%} of the eigenvalues (ours) are larger than the products' rounding; that they are "
        "smaller refutes it only in float64",
        Settling(f"{_DENSE} of every cell with 100 points (45 seconds of one core was measured for one) and with 20,000"),
    ),
    _claim(
        "symmetric", "appendix F.2, paper Fig. 13", "before training a spectrum is about symmetric around zero", _RD,
        f"{_SEEDS} {EVEN[0]:.0%} to {EVEN[1]:.0%} of the eigenvalues are negative, within the bounds of the estimate, and the "
        "least is at least half of the greatest and at most its double (all ours); two cells refute that", _SHARE,
    ),
    _claim(
        "easy-is-sharper", "appendix F.2, paper Fig. 13",
        f"after training the eigenvalues at ρ = {EASY:g} are larger than at ρ = {HARDER:g}", "the two cells of paper Fig. 13",
        "in three quarters of the pairs of one seed the largest eigenvalue is larger, and the largest over ρ² as well",
        Settling("three seeds of both cells", REACTION_DIFFUSION, n_data=(1000,), seeds=3),
    ),
    _claim(
        "biased", "appendix F.2", f"at ρ = {HARD:g} training makes a spectrum heavily biased towards positive values",
        f"the cell ρ = {HARD:g} with 1,000 points",
        "in three quarters of its seeds the share of negative eigenvalues falls, and below one half, within the bounds of the "
        "estimate", _SHARE,
    ),
    _claim(
        "share", "appendix F.2", f"there {percent(PAPERS_SHARE)} of the eigenvalues are negative after training",
        f"the cell ρ = {HARD:g} with 1,000 points",
        f"in three quarters of its seeds the bounds of the estimate are within {100 * TOLERANCE:g} points of that (ours)",
        _SHARE,
    ),
)  # fmt: skip
"""What the paper says that these spectra can test."""


def gather(source: Source) -> tuple[Results, dict[Network, str]]:
    """The study of spectra, and how the trainings of its networks ended."""
    found = source.study("spectra")
    ended: dict[Network, str] = {}
    for sweep in sorted({item.sweep for item in found.items}):
        runs = source.panel(sweep).seeded("status").to_series()
        ended |= {(sweep, Cell(float(c), int(n), int(s))): status for (c, n, s), status in runs.items() if status}
    return found, ended


def read(results: Results, ended: Mapping[Network, str], reference: float = math.nan) -> dict[str, Reading]:
    """What the runs say of each claim.

    Args:
        results: the study of spectra.
        ended: how the trainings of its networks ended.
        reference: the density at zero over its mean from 1 to 10, with the width
            :data:`~sciml_lib.analysis.spectra.COMMON_WIDTH`, of a network that is known to have a peak; NaN without one.
    """
    table = spectra.readings(results)
    places = list(zip(table["coefficient"], table["n_data"], strict=True))
    there = (*FIG_13, (HARD, 1000))
    judges = {
        "outliers": (CONVECTION, FIG_6, _outliers),
        "no-peak": (CONVECTION, FIG_6, partial(_no_peak, reference=reference)),
        "absence-grows": (CONVECTION, BOTH, _absence_grows),
        "outliers-grow": (CONVECTION, BOTH, _outliers_grow),
        "directions": (CONVECTION, FIG_16, _directions),
        "symmetric": (REACTION_DIFFUSION, there, _symmetric),
        "easy-is-sharper": (REACTION_DIFFUSION, FIG_13, _easy_is_sharper),
        "biased": (REACTION_DIFFUSION, there[2:], _biased),
        "share": (REACTION_DIFFUSION, there[2:], _share),
    }
    found = {}
    for name, (sweep, cells, judge) in judges.items():
        part = Results(results.where(sweep=sweep), results.attrs)
        inside = np.array([place in cells for place in places], dtype=bool)
        own = table[(table["sweep"] == sweep) & inside].set_index(["coefficient", "n_data", "seed"])
        vote, text = judge(*(own[own["training"] == when] for when in ("before", "after")))
        scope = study_scope(part, cells, ended=[ended.get((sweep, Cell(*run)), "") for run in own.index.unique()])
        if name == "easy-is-sharper":
            found[f"spectra-{name}"] = vote.reading(text, scope, unit="pair of cells")
        else:
            found[f"spectra-{name}"] = vote.reading(text, scope, needed=min(2, len(cells)))
    return found


Judged = tuple[Vote, str]
"""What the runs say, and in words."""


def _outliers(before: pd.DataFrame, after: pd.DataFrame) -> Judged:
    tops = after["greatest"]
    text = (
        f"the largest is above {OUTLIER:,.0f} in {(tops > OUTLIER).sum()} of {counted(len(tops), 'run')}, above "
        f"{FAR_OUTLIER:,.0f} in {(tops > FAR_OUTLIER).sum()}: {_per_cell(tops)}"
    )
    vote = in_every_cell(tops > OUTLIER)
    return vote if not vote.right or (tops > FAR_OUTLIER).any() else vote._replace(right=None), text


def _no_peak(before: pd.DataFrame, after: pd.DataFrame, reference: float) -> Judged:
    """A criterion that was never seen to find a peak cannot show that there is none."""
    released, common, hides = after["peak_released"], after["peak_common"], after["hides"].astype(bool)
    text = (
        f"the density at zero is {span(common)} times that beside it with a width of {COMMON_WIDTH:g}, {span(released)} times "
        f"with the released ones, which would hide any peak in {hides.sum()} of {counted(len(after), 'run')}"
    )
    votes = in_every_cell(common < PEAK), in_every_cell((released < PEAK) & ~hides, released >= PEAK)
    if not reference >= PEAK:
        return agreed(*votes)._replace(right=None), f"{text}; no network with a known peak was measured"
    return agreed(*votes), f"{text}; a network with a known peak has {number(reference)} times"


def _absence_grows(before: pd.DataFrame, after: pd.DataFrame) -> Judged:
    """By a share, which no smoothing enters; that of a wider band about zero where the spectrum is wider would grow more."""
    old, new = before["within_band"], after["within_band"]
    text = (
        f"the share of the eigenvalues within ±{BAND:g} falls in {(new < old).sum()} of {counted(len(new), 'run')}: before it "
        f"is {share_span(old)} (by its bounds at most {percent(before['band_most'].max())}), after {share_span(new)} (at least "
        f"{percent(after['band_least'].min())})"
    )
    return in_every_cell(after["band_most"] < before["band_least"], after["band_least"] > before["band_most"]), text


def _outliers_grow(before: pd.DataFrame, after: pd.DataFrame) -> Judged:
    factor = after["greatest"] / before["greatest"]
    text = f"the largest grows in {(factor > 1).sum()} of {counted(len(factor), 'run')}, by factors of {_per_cell(factor)}"
    return in_every_cell(factor > 1, factor < 1), text


def _directions(before: pd.DataFrame, after: pd.DataFrame) -> Judged:
    beyond = 1.0 - after["below_rounding"]
    text = (
        f"{share_span(beyond)} of the eigenvalues are larger than rounding, {share_span(1.0 - after['within_band'])} larger "
        f"than {BAND:g}; before training {share_span(1.0 - before['within_band'])} are larger than {BAND:g}"
    )
    # What is smaller than the rounding of float32 need not be zero.
    return in_every_cell(beyond > MANY, (beyond < MANY) & after["double"].astype(bool)), text


def _symmetric(before: pd.DataFrame, after: pd.DataFrame) -> Judged:
    sides, low, high = -before["least"] / before["greatest"], before["negative_least"], before["negative_most"]
    text = (
        f"negative are {share_span(before['negative'])} of the eigenvalues (bounds {_bounds(before)}); the least is "
        f"{span(-sides)} times the greatest"
    )
    even = in_every_cell((low >= EVEN[0]) & (high <= EVEN[1]), (high < EVEN[0]) | (low > EVEN[1]))
    return agreed(even, in_every_cell(sides.between(*BALANCED))), text


def _easy_is_sharper(before: pd.DataFrame, after: pd.DataFrame) -> Judged:
    """Seed by seed, since one seed starts from the same weights at either coefficient."""
    wide = after["greatest"].unstack("coefficient").reindex(columns=[EASY, HARDER]).dropna()
    easy, hard = wide[EASY], wide[HARDER]
    factors = easy / hard, (easy / EASY**2) / (hard / HARDER**2)
    text = (
        f"the largest at ρ = {EASY:g} is {span(factors[0])} times that at ρ = {HARDER:g} (one number a seed), over ρ² "
        f"{span(factors[1])} times"
    )
    return agreed(*(in_every_cell(factor > 1, factor < 1) for factor in factors)), text


def _biased(before: pd.DataFrame, after: pd.DataFrame) -> Judged:
    text = (
        f"the negative share goes from {share_span(before['negative'])} to {share_span(after['negative'])}, within bounds of "
        f"{_bounds(before)} and {_bounds(after)}"
    )
    low, high = after["negative_least"], after["negative_most"]
    fallen, risen = (high < before["negative_least"]) & (high < 0.5), (low > before["negative_most"]) | (low > 0.5)
    return in_every_cell(fallen, risen), text


def _share(before: pd.DataFrame, after: pd.DataFrame) -> Judged:
    low, high = after["negative_least"], after["negative_most"]
    text = (
        f"{share_span(after['negative'])} by weight, within bounds of {_bounds(after)}; "
        f"{share_span(after['counted_negative'])} of the Ritz values"
    )
    inside = (low >= PAPERS_SHARE - TOLERANCE) & (high <= PAPERS_SHARE + TOLERANCE)
    return in_every_cell(inside, (high < PAPERS_SHARE - TOLERANCE) | (low > PAPERS_SHARE + TOLERANCE)), text


def _bounds(rows: pd.DataFrame) -> str:
    """The widest of the bounds of the share of negative eigenvalues, in words."""
    return share_span((rows["negative_least"].min(), rows["negative_most"].max()))


def _per_cell(values: pd.Series) -> str:
    """A number of every cell in words, as a range over its seeds."""
    groups = values.groupby(["coefficient", "n_data"], sort=False)
    return listed(f"{span(group)} (β = {c:g}, N = {n:,})" for (c, n), group in groups)
