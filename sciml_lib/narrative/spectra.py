"""What the chapter on spectra says: which of the paper's readings survive another smoothing, seed by seed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from matplotlib.figure import Figure

from sciml_lib import figures
from sciml_lib.errors import UserError
from sciml_lib.ledger import FAILS, HOLDS, OPEN, Statement, verdict_of
from sciml_lib.narrative.landscapes import share_span, span
from sciml_lib.narrative.readings import BAND, RING, Pair, Reading, highest_peak, pairs_of
from sciml_lib.prose import counted, listed, number, percent, table
from sciml_lib.studies import Results
from sciml_lib.studies.cells import CONVECTION, REACTION_DIFFUSION

COMMON_WIDTH = 0.02
"""The released width for a range of 10, which is about that of the paper's ResNet."""

PEAK = 10.0
"""A density has a peak at zero if it is so many times larger there than in the mean of the decade beside."""

OUTLIER, FAR_OUTLIER = 1e3, 1e4
"""The two sizes that section 2.5.1 names."""

PAPERS_SHARE, TOLERANCE = 0.37, 0.05
"""Negative eigenvalues at rho = 20 (appendix F.2), and how near to that is near."""

EVEN = (0.4, 0.6)
"""Between what a share of negative eigenvalues is about a half."""

CLAIMED_RHO = 20.0

MOST_POINTS = 20_000
"""Of Figs. 16(c,d)."""


def spectra_figure(results: Results, sweep: str, title: str, cells: Sequence[tuple[float, int]] = ()) -> Figure:
    """Draws spectra at the first seed: above with the released widths, below with one width for all.

    Args:
        results: the study.
        sweep: whose cells.
        title: title of the figure.
        cells: coefficients and amounts of data, in the order of drawing; what is not stored is left out, and if nothing is
            left, or nothing is given, all cells of the sweep are drawn.

    Raises:
        UserError: if none is stored.
    """
    first: dict[tuple[float, int], Pair] = {}
    for pair in sorted(pairs_of(results), key=lambda pair: pair.seed):
        if pair.cell[0] == sweep:
            first.setdefault(pair.cell[1:], pair)
    drawn = [first[cell] for cell in cells if cell in first] or list(first.values())
    if not drawn:
        raise UserError(f"no spectrum of {sweep} is stored; compute it with `{results.attrs['command']}`")
    rows = [
        [figures.SpectrumPair(pair.short, _curve(pair.before, rule), _curve(pair.after, rule)) for pair in drawn]
        for rule in (lambda reading: reading.released_width, lambda reading: COMMON_WIDTH)
    ]
    return figures.spectra(rows, title=title, row_labels=["released width", f"width {COMMON_WIDTH:g}"])


def most_points(results: Results) -> str:
    """Says what stands in for Figs. 16(c,d)."""
    most = max(item.n_data for item in results.items if item.sweep == CONVECTION)
    if most >= MOST_POINTS:
        return f"Figs. 16(c,d) have {MOST_POINTS:,} points, and so have our runs."
    return (
        f"Figs. 16(c,d) have {MOST_POINTS:,} points. Such runs are not part of the profile *{results.attrs['profile']}*; the "
        f"most that it has are {most:,}, which are taken instead."
    )


def widths(results: Results) -> str:
    """Tabulates the smoothing, and what it leaves of a peak at zero."""
    rows = []
    for name, group in _by_cell(pairs_of(results)).items():
        for when in ("before", "after"):
            readings = [getattr(pair, when) for pair in group]
            rows.append(
                [
                    name,
                    when,
                    span(r.ends[0] for r in readings),
                    span(r.ends[1] for r in readings),
                    span(r.released_width for r in readings),
                    *_peaks(readings if when == "after" else []),
                    share_span(r.share_within(BAND)[0] for r in readings),
                ]
            )
    header = ["cell", "training", "least", "greatest", "released width", "peak, released width"]
    header += [f"peak, width {COMMON_WIDTH:g}", f"within ±{BAND:g}"]
    after = [pair.after.released_width for pair in pairs_of(results)]
    blind = sum(highest_peak(width) < PEAK for width in after)
    text = (
        f"{table(header, rows)}\n\n*Least* and *greatest* are Ritz values, *peak* is the density at zero over its mean between "
        f"{RING[0]:g} and {RING[1]:g} on either side (before training the Ritz values about zero are too few for it). The "
        f"widest released Gaussian has a standard deviation of {number(max(after))}: drawn with it, even a spectrum of zeros "
        f"alone would have a peak of no more than {number(highest_peak(max(after)))}; with a width of {COMMON_WIDTH:g} nothing "
        "limits it."
    )
    if blind:
        text += (
            f" In {blind} of {counted(len(after), 'spectrum', 'spectra')} after training the released width hides any peak: it "
            f"would be below {PEAK:g} whatever the spectrum."
        )
    return text


def negative_shares(results: Results) -> str:
    """Tabulates the share of negative eigenvalues by three rules, over the seeds of each cell."""
    rows = []
    for name, group in _by_cell(pairs_of(results)).items():
        for when in ("before", "after"):
            readings: list[Reading] = [getattr(pair, when) for pair in group]
            errors = [reading.negative[1] for reading in readings]
            rows.append(
                [
                    name,
                    when,
                    share_span(reading.negative[0] for reading in readings),
                    "n/a" if any(map(math.isnan, errors)) else f"{100 * max(errors):.2g} points",
                    _bounds([reading.negative_bounds for reading in readings]),
                    share_span(reading.counted_negative for reading in readings),
                    share_span(reading.share_within(reading.rounding)[0] for reading in readings),
                ]
            )
    header = ["cell", "training", "negative, by weight", "largest standard error", "bounds", "Ritz values, unweighted"]
    return table([*header, "below rounding"], rows)


def signs_by_chance(results: Results) -> str:
    """Says how many eigenvalues after training are too small to have a sign, and what that leaves of a negative share."""
    pairs = pairs_of(results)
    small = [pair.after.share_within(pair.after.rounding)[0] for pair in pairs]
    bounds = [pair.after.negative_bounds for pair in pairs]
    text = (
        f"After training {share_span(small)} of the eigenvalues are smaller than a millionth of the largest, and float32 "
        "rounds products with the Hessian to about a tenth of that. "
    )
    loose = sum(high - low > 2 * TOLERANCE for low, high in bounds)
    if 2 * loose > len(pairs):
        return (
            f"{text}So small a number has a sign by chance, and the quadrature cannot divide what lies so close about zero: in "
            f"{loose} of {counted(len(pairs), 'run')} the share of negative eigenvalues is not known to "
            f"±{100 * TOLERANCE:.0f} points, and could lie anywhere from {_bounds(bounds)}."
        )
    return (
        f"{text}In {len(pairs) - loose} of {counted(len(pairs), 'run')} the share of negative eigenvalues is known to "
        f"±{100 * TOLERANCE:.0f} points nevertheless."
    )


def counting_rules(results: Results) -> str:
    """Says how far the released count of Ritz values is from the share of eigenvalues."""
    gaps = {
        (pair.name, pair.seed, when): getattr(pair, when).counted_negative - getattr(pair, when).negative[0]
        for pair in pairs_of(results)
        for when in ("before", "after")
    }
    (name, seed, when), gap = max(gaps.items(), key=lambda entry: abs(entry[1]))
    text = (
        f"Counted without weights, as the released code of the neural operators does, the share of negative Ritz values "
        f"differs from the share by weight by up to {100 * abs(gap):.0f} points ({name}, seed {seed}, {when} training)"
    )
    low = sum(value < 0 for value in gaps.values())
    return f"{text}; it is the smaller of the two in {low} of {counted(len(gaps), 'spectrum', 'spectra')}."


def what_survives(results: Results) -> str:
    """Says what another smoothing leaves of a missing peak, and what does not depend on it."""
    pairs = pairs_of(results)
    n = counted(len(pairs), "trained spectrum", "trained spectra")
    common = sum(pair.after.peak(COMMON_WIDTH) >= PEAK for pair in pairs)
    released = sum(pair.after.peak(pair.after.released_width) >= PEAK for pair in pairs)
    text = (
        f"With one width for all {common} of {n} {'has' if common == 1 else 'have'} a peak at zero, with the released widths "
    )
    text += f"{released}. "
    if common == len(pairs):
        text += "So the absence of a peak does not survive another smoothing"
        text += "." if released < common else ": nor is there one with the released."
    elif common == 0 and released == 0:
        text += "So the absence of a peak survives another smoothing."
    else:
        text += "So the absence of a peak is not a property of all of them, whatever the smoothing."
    flatter = sum(pair.after.share_within(BAND)[0] > pair.before.share_within(BAND)[0] for pair in pairs)
    return (
        f"{text} Without any smoothing, the share of the eigenvalues within ±{BAND:g} grows with training in {flatter} of "
        f"{counted(len(pairs), 'run')}. What is said of outliers does not depend on the width: it is about Ritz values."
    )


def spectrum_statements(results: Results) -> list[Statement]:
    """Evaluates what section 2.5.1 and appendices F.2 and F.5 say about spectra.

    A statement holds if it does for every run that it speaks of, and does not if one of its cells has no run for which it
    does. Else it cannot be judged.
    """
    pairs = pairs_of(results)
    convection = [pair for pair in pairs if pair.cell[0] == CONVECTION]
    reaction = [pair for pair in pairs if pair.cell[0] == REACTION_DIFFUSION]
    found = []
    if convection:
        found += [_outliers(convection), *_no_peak(convection), _grows(convection), _flat_directions(convection)]
    if reaction:
        found.append(_symmetric(reaction))
        found += [_sharper(reaction), *_negative(reaction)]
    return found


def _outliers(pairs: list[Pair]) -> Statement:
    claim = f"trained convection networks have eigenvalues above {OUTLIER:,.0f}, some above {FAR_OUTLIER:,.0f}"
    tops = [pair.after.ends[1] for pair in pairs]
    text = (
        f"the largest lies above {OUTLIER:,.0f} in {sum(top > OUTLIER for top in tops)} of {counted(len(tops), 'run')}, above "
        f"{FAR_OUTLIER:,.0f} in {sum(top > FAR_OUTLIER for top in tops)}: {_per_cell(pairs, lambda pair: pair.after.ends[1])}"
    )
    verdict = _of_cells(pairs, lambda pair: pair.after.ends[1] > OUTLIER)
    return Statement(claim, text, OPEN if verdict == HOLDS and max(tops) <= FAR_OUTLIER else verdict)


def _no_peak(pairs: list[Pair]) -> list[Statement]:
    """Whether there is no peak at zero after training, with either width, and whether it is less than before."""
    readings = [pair.after for pair in pairs]
    n = counted(len(pairs), "run")
    rules: tuple[tuple[str, Callable[[Reading], float]], ...] = (
        ("the released width", lambda reading: reading.released_width),
        (f"a width of {COMMON_WIDTH:g}", lambda reading: COMMON_WIDTH),
    )
    found = []
    for words, rule in rules:
        peaks = [reading.peak(rule(reading)) for reading in readings]
        seen = [pair for pair in pairs if highest_peak(rule(pair.after)) >= PEAK]

        def without(pair: Pair, rule: Callable[[Reading], float] = rule) -> bool:
            return pair.after.peak(rule(pair.after)) < PEAK

        text = f"the density at zero is {span(peaks)} times that beside it"
        if hidden := len(pairs) - len(seen):
            text += f"; in {hidden} of {n} the width would hide any peak"
        if seen:
            text += f"; where one can be seen, it is less than {PEAK:g} times in {sum(map(without, seen))} of {len(seen)}"
        verdict = _of_cells(seen, without) if seen else OPEN
        found.append(Statement(f"no peak at zero after training (drawn with {words})", text, verdict))

    def falls(pair: Pair) -> bool:
        return pair.after.share_within(BAND)[0] < pair.before.share_within(BAND)[0]

    text = (
        f"the share of the eigenvalues within ±{BAND:g} falls in {sum(map(falls, pairs))} of {n}: from "
        f"{share_span(pair.before.share_within(BAND)[0] for pair in pairs)} to "
        f"{share_span(pair.after.share_within(BAND)[0] for pair in pairs)}"
    )
    return [*found, Statement("that absence becomes more significant after training", text, _of_cells(pairs, falls))]


def _grows(pairs: list[Pair]) -> Statement:
    claim = "the outliers grow with training"

    def factor(pair: Pair) -> float:
        return pair.after.ends[1] / pair.before.ends[1]

    text = (
        f"the largest eigenvalue grows in {sum(factor(pair) > 1 for pair in pairs)} of {counted(len(pairs), 'run')}, by "
        f"factors of {_per_cell(pairs, factor)}"
    )
    return Statement(claim, text, _of_cells(pairs, lambda pair: factor(pair) > 1))


def _flat_directions(pairs: list[Pair]) -> Statement:
    claim = "trained PINNs keep a large number of eigenvalues that are not zero (F.5)"

    def beyond(pair: Pair) -> float:
        return 1.0 - pair.after.share_within(pair.after.rounding)[0]

    text = (
        f"{share_span(map(beyond, pairs))} of the eigenvalues are larger than rounding, "
        f"{share_span(1.0 - pair.after.share_within(BAND)[0] for pair in pairs)} larger than {BAND:g}; before training "
        f"{share_span(1.0 - pair.before.share_within(BAND)[0] for pair in pairs)} are larger than {BAND:g}"
    )
    return Statement(claim, text, _of_cells(pairs, lambda pair: beyond(pair) > 0.5))


def _symmetric(pairs: list[Pair]) -> Statement:
    claim = "before training a spectrum is about symmetric around zero"
    shares = [pair.before.negative[0] for pair in pairs]
    sides = [-pair.before.ends[0] / pair.before.ends[1] for pair in pairs]
    bounds = [pair.before.negative_bounds for pair in pairs]
    text = (
        f"negative are {share_span(shares)} of the eigenvalues (bounds {_bounds(bounds)}); the least is "
        f"{span(-side for side in sides)} times the greatest"
    )
    balanced = [0.5 <= side <= 2.0 for side in sides]
    if not any(balanced):
        return Statement(claim, text, FAILS)
    even = [EVEN[0] <= low and high <= EVEN[1] for low, high in bounds]
    return Statement(claim, text, HOLDS if all(even) and all(balanced) else OPEN)


def _sharper(pairs: list[Pair]) -> Statement:
    """Whether the smallest coefficient has the largest eigenvalues, as the caption of Fig. 13 says of 5 and 15."""
    tops = {c: [pair.after.ends[1] for pair in pairs if pair.cell[1] == c] for c in sorted({pair.cell[1] for pair in pairs})}
    (first, easy), *others = tops.items()
    claim = f"after training the eigenvalues at ρ = {first:g} are larger than at "
    if not others:
        return Statement(f"{claim}larger ρ", "a larger ρ was not run", OPEN)
    second, hard = others[0]
    text = "the largest is " + listed(f"{span(values)} at ρ = {c:g}" for c, values in tops.items())
    verdict = HOLDS if min(easy) > max(hard) else FAILS if max(easy) < min(hard) else OPEN
    return Statement(f"{claim}ρ = {second:g}", text, verdict)


def _negative(pairs: list[Pair]) -> list[Statement]:
    """What is said of the share of negative eigenvalues at rho = 20."""
    claims = (
        f"at ρ = {CLAIMED_RHO:g} training makes a spectrum heavily biased towards positive values",
        f"at ρ = {CLAIMED_RHO:g} {percent(PAPERS_SHARE)} of the eigenvalues are negative after training",
    )
    runs = [pair for pair in pairs if pair.cell[1] == CLAIMED_RHO]
    if not runs:
        return [Statement(claim, f"ρ = {CLAIMED_RHO:g} was not run", OPEN) for claim in claims]
    before, after = ([getattr(pair, when).negative_bounds for pair in runs] for when in ("before", "after"))
    shares = [[getattr(pair, when).negative[0] for pair in runs] for when in ("before", "after")]
    text = (
        f"the negative share goes from {share_span(shares[0])} to {share_span(shares[1])}, within bounds of {_bounds(before)} "
        f"and {_bounds(after)}"
    )
    fallen = all(new[1] < old[0] and new[1] < 0.5 for old, new in zip(before, after, strict=True))
    risen = all(new[0] > old[1] or new[0] > 0.5 for old, new in zip(before, after, strict=True))
    words = (
        f"{share_span(shares[1])} by weight, within bounds of {_bounds(after)}; "
        f"{share_span(pair.after.counted_negative for pair in runs)} of the Ritz values"
    )
    inside = all(abs(end - PAPERS_SHARE) <= TOLERANCE for bound in after for end in bound)
    outside = all(high < PAPERS_SHARE or low > PAPERS_SHARE for low, high in after)
    return [
        Statement(claims[0], text, HOLDS if fallen else FAILS if risen else OPEN),
        Statement(claims[1], words, HOLDS if inside else FAILS if outside else OPEN),
    ]


def _curve(reading: Reading, rule: Callable[[Reading], float]) -> tuple[np.ndarray, np.ndarray]:
    """A density on a grid that is even on the figures' scale and, besides, resolves every Gaussian."""
    width = rule(reading)
    low, high = (end + sign * 6.0 * width for end, sign in zip(reading.ends, (-1, 1), strict=True))
    even = torch.linspace(_symlog(low), _symlog(high), 1_501, dtype=torch.float64)
    even = even.sign() * torch.where(even.abs() <= 1.0, even.abs(), 10.0 ** (even.abs() - 1.0))
    known = (2.0 * reading.nodes[~reading.nodes.isnan()] / width).round().unique() * width / 2.0
    near = (known[:, None] + width * torch.linspace(-3.0, 3.0, 7, dtype=torch.float64)).flatten()
    grid = torch.cat([even, near]).unique()
    return grid.numpy(), reading.density(grid, width).numpy()


def _bounds(bounds: Sequence[tuple[float, float]]) -> str:
    """The widest of several bounds, in words."""
    return share_span((min(low for low, _ in bounds), max(high for _, high in bounds)))


def _symlog(value: float) -> float:
    return math.copysign(abs(value) if abs(value) <= 1.0 else 1.0 + math.log10(abs(value)), value)


def _by_cell(pairs: list[Pair]) -> dict[str, list[Pair]]:
    groups: dict[str, list[Pair]] = {}
    for pair in pairs:
        groups.setdefault(pair.name, []).append(pair)
    return groups


def _per_cell(pairs: list[Pair], value: Callable[[Pair], float]) -> str:
    """A number of every cell in words, as a range over its seeds."""
    groups: Mapping[str, list[Pair]] = {pair.short: [p for p in pairs if p.cell == pair.cell] for pair in pairs}
    return listed(f"{span(map(value, group))} ({name})" for name, group in groups.items())


def _of_cells(pairs: list[Pair], right: Callable[[Pair], bool]) -> str:
    """The verdict on something that is so for every run, or for no run of some cell."""
    verdicts = {verdict_of(map(right, group)) for group in _by_cell(pairs).values()}
    return FAILS if FAILS in verdicts else OPEN if OPEN in verdicts else HOLDS


def _peaks(readings: list[Reading]) -> tuple[str, str]:
    """The peaks with the released widths and with one for all, in words."""
    if not readings:
        return "", ""
    return span(r.peak(r.released_width) for r in readings), span(r.peak(COMMON_WIDTH) for r in readings)
