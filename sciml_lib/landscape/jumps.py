"""Lengths of optimisation steps and the tail of their reciprocals: does training jump between basins?"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sciml_lib.errors import UserError

SMALLEST_STEP = 1e-12
"""Steps up to this are no steps, as in the released code."""

FEWEST = 4
"""Different steps without which there is no choice of a smallest value to fit from."""


@dataclass(frozen=True)
class PowerLaw:
    """A power law fitted to the reciprocals of step lengths.

    Attributes:
        alpha: its exponent; the paper reads a smaller one as more jumping (Figure 14).
        sigma: standard error of the exponent.
        xmin: reciprocal from which the law holds, that of the smallest Kolmogorov-Smirnov distance.
        n: reciprocals in all.
        n_tail: those from ``xmin`` on, which the exponent is fitted to.
        dropped: steps left out because they are no longer than 1e-12.
        valid: whether any choice of ``xmin`` gives an exponent in the range that ``powerlaw`` allows; if not, the other
            numbers are those of the smallest distance nevertheless.
    """

    alpha: float
    sigma: float
    xmin: float
    n: int
    n_tail: int
    dropped: int
    valid: bool


def step_norms(points: Tensor) -> Tensor:
    """Euclidean lengths of the steps between successive points.

    Args:
        points: ``[K + 1, M, P]``.

    Returns:
        ``[K, M]`` float64; the difference of two float32 points is taken without rounding.
    """
    norms = [torch.linalg.vector_norm(b.double() - a.double(), dim=1) for a, b in pairwise(points)]
    return torch.stack(norms) if norms else points.new_zeros(0, points.shape[1], dtype=torch.float64)


def power_law(steps: Sequence[float] | NDArray | Tensor, *, largest: float | None = None) -> PowerLaw:
    """Fits a power law to the reciprocals of step lengths, by the method of Hodgkinson et al. (2022).

    The fit is that of the package ``powerlaw`` with its defaults: continuous values, maximum likelihood, and the smallest
    value chosen by the Kolmogorov-Smirnov distance (Clauset et al. 2009).

    Args:
        steps: lengths of the steps of one member, ``[K]``.
        largest: bound of the exponent. None for that of ``powerlaw``, which is 3 in its release 2.0: a law that falls faster
            is then fitted to another part of the steps, or not at all. Infinity for no bound.

    Returns:
        The law, and how many steps were dropped.

    Raises:
        UserError: a length is negative or not finite, too few different ones are left, or ``powerlaw`` is not installed.
    """
    try:
        import powerlaw  # loads a plotting library, which training must not need
    except ModuleNotFoundError as error:
        raise UserError("fits of power laws need a package that is not installed: pip install powerlaw==2.0.0") from error

    lengths = torch.as_tensor(steps, dtype=torch.float64, device="cpu").numpy()
    if lengths.ndim != 1 or not np.isfinite(lengths).all() or (lengths < 0).any():
        raise UserError("steps must be the lengths of one member's steps, in one row, finite and not negative")
    kept = lengths[lengths > SMALLEST_STEP]
    if len(np.unique(kept)) < FEWEST:
        raise UserError(
            f"{len(np.unique(kept))} different steps longer than {SMALLEST_STEP:g} are too few for a power law: "
            f"record at least {FEWEST}, better a hundred"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package warns of its own deprecated names, once for each value it tries
        bound = {} if largest is None else {"parameter_ranges": {"alpha": [1.0, largest]}}
        fit = powerlaw.Fit(1.0 / kept, verbose=0, **bound)
        law = fit.power_law
        return PowerLaw(
            alpha=float(law.alpha),
            sigma=float(law.standard_err),
            xmin=float(fit.xmin),
            n=len(kept),
            n_tail=int(fit.n_tail),
            dropped=len(lengths) - len(kept),
            valid=not fit.noise_flag,
        )
