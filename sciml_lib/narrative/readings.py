"""Stored spectra as the chapter on them reads them: peaks at zero, shares of eigenvalues, and how sure these are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from sciml_lib.landscape import Spectrum
from sciml_lib.narrative.landscapes import cell_name
from sciml_lib.studies import Item, Results
from sciml_lib.studies.base import Arrays

RING = (1.0, 10.0)
"""That decade, on either side: where the figures' scale begins to be logarithmic."""

BAND = 1.0
"""Half of the band about zero: where the figures' scale is linear."""

ROUNDING = 1e-6
"""An eigenvalue smaller than this part of the largest has a sign by chance: about eight times the rounding of float32."""

Cell = tuple[str, float, int]
"""Sweep, coefficient and amount of data."""


@dataclass(frozen=True)
class Reading:
    """One stored spectrum, and what the chapter reads from it.

    Attributes:
        nodes: Ritz values, ``[starts, steps]``.
        weights: their weights, ``[starts, steps]``.
    """

    nodes: Tensor
    weights: Tensor

    @classmethod
    def of(cls, arrays: Arrays) -> Reading:
        """Reads a stored item."""
        return cls(torch.as_tensor(arrays["nodes"]), torch.as_tensor(arrays["weights"]))

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

    def share_within(self, bound: float) -> tuple[float, float]:
        """Share of the eigenvalues in ``[-bound, bound]`` by weight, and its standard error over the starts."""
        starts = (self.weights * (self.nodes.abs() <= bound)).sum(dim=1)
        error = float(starts.std()) / math.sqrt(len(starts)) if len(starts) > 1 else math.nan
        return float(starts.mean()), error

    @property
    def negative(self) -> tuple[float, float]:
        """Share of the negative eigenvalues by weight, and its standard error over the starts."""
        share, error = self.spectrum.share_below(0.0)
        return float(share[0]), float(error[0])

    @property
    def rounding(self) -> float:
        """What is smaller has a sign by chance."""
        return ROUNDING * max(abs(end) for end in self.ends)

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


@dataclass(frozen=True)
class Pair:
    """One run before and after training."""

    cell: Cell
    seed: int
    before: Reading
    after: Reading

    @property
    def name(self) -> str:
        """The cell in words."""
        return cell_name(Item(*self.cell, seed=0), sweep=True)

    @property
    def short(self) -> str:
        """The cell without its equation."""
        return cell_name(Item(*self.cell, seed=0))


def pairs_of(results: Results) -> list[Pair]:
    """The runs of which both spectra are stored, in the order of the study."""
    return [
        Pair((item.sweep, item.coefficient, item.n_data), item.seed, Reading.of(before), Reading.of(after))
        for item, before in results.where(variant="before").items()
        for after in results.where(**(_coordinates(item) | {"variant": "after"})).values()
    ]


def highest_peak(width: float) -> float:
    """The peak that a spectrum of zeros alone would show if it is smoothed by Gaussians of this width."""
    nodes = torch.zeros(1, 1, dtype=torch.float64)
    return Reading(nodes, torch.ones_like(nodes)).peak(width)


def _below(bound: float, nodes: Tensor, width: float) -> Tensor:
    """How much of the Gaussians about some nodes lies below a bound."""
    return torch.special.ndtr((bound - nodes) / width)


def _coordinates(item: Item) -> dict[str, object]:
    return {"sweep": item.sweep, "coefficient": item.coefficient, "n_data": item.n_data, "seed": item.seed}
