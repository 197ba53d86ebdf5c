"""The tail of the reciprocals of step lengths: does training jump between basins?"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sciml_lib.errors import UserError
from sciml_lib.landscape.checks import check_number

SMALLEST_STEP = 1e-12
"""Steps no longer than this are left out, as in the released code."""

FEWEST = 4
"""Different steps below which there is no choice of a smallest value to fit from."""

FEWEST_IN_TAIL = 50
"""Points of the tail below which an exponent is not worth quoting.

The bias of the maximum likelihood estimate falls like 1/n; Clauset, Shalizi & Newman (2009, section 3.2) give 50 as a rule of
thumb, and their program ``plfit`` warns of fewer.
"""


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
        in_range: whether any choice of ``xmin`` gives an exponent within the bounds; if not, the other numbers are
            nevertheless those of the smallest distance.
    """

    alpha: float
    sigma: float
    xmin: float
    n: int
    n_tail: int
    dropped: int
    in_range: bool

    @property
    def valid(self) -> bool:
        """Whether the exponent is worth quoting: it is in range, and at least 50 points are in the tail it is fitted to."""
        return self.in_range and self.n_tail >= FEWEST_IN_TAIL


def power_law(steps: Sequence[float] | NDArray | Tensor, *, largest: float = math.inf) -> PowerLaw:
    """Fits a power law to the reciprocals of step lengths, by the method of Hodgkinson et al. (2022).

    The fit is made by the package ``powerlaw``: continuous values, maximum likelihood, and the smallest value chosen by the
    Kolmogorov-Smirnov distance (Clauset et al. 2009). Its release 2.0 looks only for exponents up to 3 unless told
    otherwise, and fits a law that falls faster to some other part of the steps. Here there is no bound, as in its releases 1.

    Args:
        steps: lengths of the steps of one member, ``[K]``.
        largest: upper bound of the exponent, above 1; 3 is the default of ``powerlaw`` 2.0.

    Returns:
        The law, and how many steps were dropped.

    Raises:
        UserError: something else than lengths is given, too few different ones are left, the bound is not above 1, or
            ``powerlaw`` is not installed.
    """
    if largest != math.inf:
        check_number("largest", largest, above=1, such_as=3)
    lengths = _lengths(steps)
    kept = lengths[lengths > SMALLEST_STEP]
    if len(np.unique(kept)) < FEWEST:
        raise UserError(
            f"{len(np.unique(kept))} different steps longer than {SMALLEST_STEP:g} are too few for a power law; "
            f"record at least {FEWEST}, better some hundreds"
        )
    try:
        import powerlaw  # loads a plotting library, which training must not need
    except ModuleNotFoundError as error:
        raise UserError("fits of power laws need a package that is not installed: pip install powerlaw==2.0.0") from error

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package warns of its own deprecated names, once for each value it tries
        fit = powerlaw.Fit(1.0 / kept, verbose=0, parameter_ranges={"alpha": [1.0, float(largest)]})
        law = fit.power_law
        return PowerLaw(
            alpha=float(law.alpha),
            sigma=float(law.standard_err),
            xmin=float(fit.xmin),
            n=len(kept),
            n_tail=int(fit.n_tail),
            dropped=len(lengths) - len(kept),
            in_range=not fit.noise_flag,
        )


def _lengths(steps: Sequence[float] | NDArray | Tensor) -> NDArray:
    """Lengths of steps ``[K]`` (float64)."""
    try:
        lengths = torch.as_tensor(steps if isinstance(steps, Tensor) else np.asarray(steps)).detach().cpu()
    except (TypeError, ValueError, RuntimeError):
        lengths = torch.full((1,), torch.nan)
    if lengths.is_complex() or lengths.dim() != 1 or not (lengths.isfinite() & (lengths >= 0)).all():
        raise UserError("steps must be the lengths of one member's steps, in one row, finite numbers that are not negative")
    return lengths.double().numpy()
