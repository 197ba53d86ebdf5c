"""Stored spectra of Hessians before and after training: peaks at zero, shares of eigenvalues, and how sure these are."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from sciml_lib import figures
from sciml_lib.analysis.cells import cell_name
from sciml_lib.errors import UserError
from sciml_lib.landscape import Spectrum
from sciml_lib.studies import Item, Results
from sciml_lib.studies.base import Arrays

COMMON_WIDTH = 0.02
"""The released width for a range of 10, which is about that of the paper's ResNet."""

WIDTHS = ("released width", f"width {COMMON_WIDTH:g}")
"""The two rows of :func:`densities`."""

PEAK = 10.0
"""A density has a peak at zero if it is so many times larger there than in the mean of the decade beside: our criterion."""

RING = (1.0, 10.0)
"""That decade, on either side: where the figures' scale begins to be logarithmic."""

BAND = 1.0
"""Half of the band about zero: where the figures' scale is linear."""

ROUNDING, DOUBLE_ROUNDING = 1e-6, 2e-15
"""An eigenvalue smaller than this part of the largest has a sign by chance: about eight times the rounding of the products."""


@dataclass(frozen=True)
class Reading:
    """One stored spectrum, and what is read from it.

    Attributes:
        nodes: Ritz values, ``[starts, steps]``.
        weights: their weights, ``[starts, steps]``.
        double: whether the products that they come from are in float64.
    """

    nodes: Tensor
    weights: Tensor
    double: bool = False

    @classmethod
    def of(cls, arrays: Arrays, *, double: bool = False) -> Reading:
        """Reads a stored item."""
        return cls(torch.as_tensor(arrays["nodes"]), torch.as_tensor(arrays["weights"]), double)

    @cached_property
    def spectrum(self) -> Spectrum:
        """The same as an ensemble of one; the number of parameters is not stored and not needed."""
        return Spectrum(self.nodes[None], self.weights[None], 0)

    @property
    def ends(self) -> tuple[float, float]:
        """The least and the greatest Ritz value of all starts."""
        known = self.nodes[~self.nodes.isnan()]
        return float(known.min()), float(known.max())

    @property
    def released_width(self) -> float:
        """Width of the released code's Gaussians."""
        return float(self.spectrum.released_width[0])

    def density(self, grid: Tensor, width: float) -> Tensor:
        """The density on a grid ``[n]``."""
        return self.spectrum.density(grid, width)[0]

    def peak(self, width: float) -> float:
        """How many times larger the density is at zero than in the mean over the decade beside it."""
        known = ~self.nodes.isnan()
        nodes, weights = self.nodes[known], self.weights[known] / len(self.nodes)
        at_zero = float(self.density(torch.zeros(1, dtype=torch.float64), width)[0])
        sides = [_below(RING[1], side, width) - _below(RING[0], side, width) for side in (nodes, -nodes)]
        beside = float(weights @ (sides[0] + sides[1])) / (2.0 * (RING[1] - RING[0]))
        return math.inf if beside == 0 else at_zero / beside

    def share_within(self, bound: float) -> float:
        """Share of the eigenvalues in ``[-bound, bound]``, by weight."""
        return float((self.weights * (self.nodes.abs() <= bound)).sum(dim=1).mean())

    def share_within_bounds(self, bound: float) -> tuple[float, float]:
        """Between what the share of the eigenvalues in ``[-bound, bound]`` lies, given the nodes."""
        (low, high), (low_below, high_below) = (self.spectrum.share_bounds(end) for end in (bound, -bound))
        return max(0.0, float(low - high_below)), float(high - low_below)

    @property
    def negative(self) -> tuple[float, float]:
        """Share of the negative eigenvalues by weight, and its standard error over the starts, NaN if there is only one."""
        share, error = self.spectrum.share_below(0.0)
        return float(share[0]), float(error[0])

    @property
    def rounding(self) -> float:
        """What is smaller has a sign by chance."""
        return (DOUBLE_ROUNDING if self.double else ROUNDING) * max(abs(end) for end in self.ends)

    @property
    def negative_bounds(self) -> tuple[float, float]:
        """Between what the share of negative eigenvalues lies: the nodes' bounds where rounding may have turned signs."""
        least, _ = self.spectrum.share_bounds(-self.rounding)
        _, most = self.spectrum.share_bounds(self.rounding)
        return float(least[0]), float(most[0])

    @property
    def counted_negative(self) -> float:
        """The released code's share of negative Ritz values, without weights."""
        below, of = self.spectrum.count_below(0.0)
        return float(below[0] / of[0])


def pairs_of(results: Results) -> list[tuple[Item, Reading, Reading]]:
    """The runs of which both spectra are stored, each with that before and that after training, in the order of the study."""
    ends = results.where(variant="after")
    starts = results.where(variant="before").items()
    known = [(item, arrays, replace(item, variant="after")) for item, arrays in starts]
    double = results.attrs.get("recipe", {}).get("precision") == "double"
    read = partial(Reading.of, double=double)
    return [(item, read(arrays), read(ends[end])) for item, arrays, end in known if end in ends]


def readings(results: Results) -> pd.DataFrame:
    """What is read from the stored spectra.

    Returns:
        Two rows a run, ``training`` being ``before`` and ``after``: sweep, ``cell`` with the name of its equation, ``short``
        without, coefficient, n_data, seed; ``least`` and ``greatest`` Ritz value; ``released_width``, and whether it ``hides``
        any peak; ``peak_released`` and ``peak_common``, the peak at zero with the released width and with
        :data:`COMMON_WIDTH` (NaN before training, where the Ritz values about zero are too few for it); ``within_band``, the
        share of the eigenvalues within ±:data:`BAND`, with its bounds ``band_least`` and ``band_most``; ``below_rounding``, of
        those that have a sign by chance, and whether the products were in ``double`` precision; ``negative``, of the negative
        ones, with its standard error and its bounds; and ``counted_negative``, of the negative Ritz values.
    """
    rows = [
        {
            "sweep": item.sweep,
            "cell": cell_name(item, sweep=True),
            "short": cell_name(item),
            "coefficient": item.coefficient,
            "n_data": item.n_data,
            "seed": item.seed,
            "training": training,
            **_read(reading),
        }
        for item, *both in pairs_of(results)
        for training, reading in zip(("before", "after"), both, strict=True)
    ]
    found = pd.DataFrame(rows)
    found.loc[found["training"] == "before", ["peak_released", "peak_common"]] = np.nan
    return found


def by_cell(found: pd.DataFrame) -> pd.DataFrame:
    """The rows of :func:`readings` by cell and ``training``, in their order: each entry is the list over the seeds.

    Besides, ``bounds`` has all bounds of the share of negative eigenvalues.
    """
    groups = found.groupby(["cell", "training"], sort=False).agg(list).reset_index("training")
    groups["bounds"] = groups["negative_least"] + groups["negative_most"]
    return groups


def highest_peak(width: float) -> float:
    """The peak that a spectrum of zeros alone would show if it is smoothed by Gaussians of this width."""
    nodes = torch.zeros(1, 1, dtype=torch.float64)
    return Reading(nodes, torch.ones_like(nodes)).peak(width)


def densities(results: Results, sweep: str, cells: Sequence[tuple[float, int]] = ()) -> list[list[figures.SpectrumPair]]:
    """Densities of the first seed, to be drawn in two rows: with the released widths, and with one width for all.

    Args:
        results: the study.
        sweep: whose cells.
        cells: coefficients and amounts of data, in the order of drawing; what is not stored is left out, and if nothing is
            left, or nothing is given, all cells of the sweep are drawn.

    Raises:
        UserError: if none is stored.
    """
    first: dict[tuple[float, int], tuple[Item, Reading, Reading]] = {}
    for pair in sorted(pairs_of(results), key=lambda pair: pair[0].seed):
        if pair[0].sweep == sweep:
            first.setdefault((pair[0].coefficient, pair[0].n_data), pair)
    drawn = [first[cell] for cell in cells if cell in first] or list(first.values())
    if not drawn:
        raise UserError(f"no spectrum of {sweep} is stored; compute it with `{results.attrs['command']}`")
    rules: tuple[Callable[[Reading], float], ...] = (lambda reading: reading.released_width, lambda reading: COMMON_WIDTH)
    return [
        [
            figures.SpectrumPair(cell_name(item), _curve(before, rule(before)), _curve(after, rule(after)))
            for item, before, after in drawn
        ]
        for rule in rules
    ]


def _read(reading: Reading) -> dict[str, float | bool]:
    """The numbers of one row of :func:`readings`."""
    (least, greatest), (negative, error), (low, high) = reading.ends, reading.negative, reading.negative_bounds
    width, (band_least, band_most) = reading.released_width, reading.share_within_bounds(BAND)
    return {
        "least": least,
        "greatest": greatest,
        "released_width": width,
        "hides": highest_peak(width) < PEAK,
        "peak_released": reading.peak(width),
        "peak_common": reading.peak(COMMON_WIDTH),
        "within_band": reading.share_within(BAND),
        "band_least": band_least,
        "band_most": band_most,
        "below_rounding": reading.share_within(reading.rounding),
        "double": reading.double,
        "negative": negative,
        "negative_error": error,
        "negative_least": low,
        "negative_most": high,
        "counted_negative": reading.counted_negative,
    }


def _curve(reading: Reading, width: float) -> tuple[np.ndarray, np.ndarray]:
    """A density on a grid that is even on the figures' scale and, besides, resolves every Gaussian."""
    low, high = (end + sign * 6.0 * width for end, sign in zip(reading.ends, (-1, 1), strict=True))
    even = torch.linspace(_symlog(low), _symlog(high), 1_501, dtype=torch.float64)
    even = even.sign() * torch.where(even.abs() <= 1.0, even.abs(), 10.0 ** (even.abs() - 1.0))
    known = (2.0 * reading.nodes[~reading.nodes.isnan()] / width).round().unique() * width / 2.0
    near = (known[:, None] + width * torch.linspace(-3.0, 3.0, 7, dtype=torch.float64)).flatten()
    grid = torch.cat([even, near]).unique()
    return grid.numpy(), reading.density(grid, width).numpy()


def _symlog(value: float) -> float:
    return math.copysign(abs(value) if abs(value) <= 1.0 else 1.0 + math.log10(abs(value)), value)


def _below(bound: float, nodes: Tensor, width: float) -> Tensor:
    """How much of the Gaussians about some nodes lies below a bound."""
    return torch.special.ndtr((bound - nodes) / width)
