"""Spectral densities of the Hessians of an ensemble by stochastic Lanczos quadrature."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm import tqdm

from sciml_lib.errors import UserError
from sciml_lib.landscape.checks import check_count, check_real
from sciml_lib.landscape.draws import Purpose, member_seeds, rademacher
from sciml_lib.landscape.krylov import BLOCK, Krylov
from sciml_lib.landscape.products import HessianOperator, check_operator

RELEASED_VARIANCE = 5e-5
"""Variance of the released code's Gaussians, relative to the range of the Ritz values or 1, whichever is larger."""

RELEASED_MARGIN = 1e-3
"""What the released code adds to that range at either end."""

KERNELS = 2**22
"""Values of Gaussians that exist at a time when a density is drawn."""


@dataclass(frozen=True)
class Spectrum:
    """Quadratures of the members' spectra, from which everything else is computed.

    A start gives Ritz values and weights that add up to one, with which sums over all P eigenvalues are approximated,

        (1 / P) sum_i f(lambda_i)  =  mean over starts of  sum_k weight_k f(node_k),

    exactly for polynomials of degree below twice the steps, apart from the spread of the starts (Golub & Meurant 2010,
    chapter 6; Ghorbani, Krishnan & Xiao 2019). If a start found an invariant space after fewer steps, the remaining nodes
    are NaN and their weights zero.

    Attributes:
        nodes: Ritz values, ascending, ``[M, starts, steps]``.
        weights: squares of the first components of T's eigenvectors, ``[M, starts, steps]``.
        n_params: P.
    """

    nodes: Tensor
    weights: Tensor
    n_params: int

    @property
    def released_range(self) -> tuple[Tensor, Tensor]:
        """From where to where the released code draws a density, ``[M]`` each.

        The means over the starts of the least and of the greatest Ritz value, and 1e-3 beyond.
        """
        low = self.nodes.nan_to_num(nan=math.inf).amin(dim=2).mean(dim=1)
        high = self.nodes.nan_to_num(nan=-math.inf).amax(dim=2).mean(dim=1)
        return low - RELEASED_MARGIN, high + RELEASED_MARGIN

    @property
    def released_width(self) -> Tensor:
        """Standard deviation of the released code's Gaussians, ``[M]``: root of 5e-5 times the range, or times 1.

        It grows with the range (0.7 for 1e4), so it broadens the eigenvalues near zero in one spectrum and not in another.
        To compare spectra, give them a common width.
        """
        low, high = self.released_range
        return (RELEASED_VARIANCE * (high - low).clamp(min=1.0)).sqrt()

    def density(self, grid: Tensor, width: float | Tensor) -> Tensor:
        """The density as a mixture of Gaussians, the mean over the starts.

        Args:
            grid: places at which the density is evaluated, ``[n]``, in the unit of the eigenvalues.
            width: standard deviation of the Gaussians, one number or one a member ``[M]``.

        Returns:
            ``[M, n]`` (float64, CPU). Its integral over all numbers is one; it is not rescaled to be so over the grid.

        Raises:
            UserError: if a width is not above zero or belongs to no member, or ``grid`` is not a row of numbers.
        """
        check_real("grid", grid)
        if grid.dim() != 1:
            raise UserError(f"grid has shape {list(grid.shape)}; give places in one row, such as torch.linspace(-1, 10, 500)")
        widths = self._widths(width)
        grid = grid.double().cpu()
        result = []
        for nodes, weights, w in zip(self.nodes, self.weights, widths, strict=True):
            present = ~nodes.isnan()
            nodes, weights = nodes[present], weights[present] / (len(self.nodes[0]) * w * math.sqrt(2.0 * math.pi))
            parts = [
                torch.exp(-0.5 * ((part[:, None] - nodes) / w).square()) @ weights
                for part in grid.split(max(1, KERNELS // len(nodes)))
            ]
            result.append(torch.cat(parts))
        return torch.stack(result)

    def share_below(self, threshold: float = 0.0) -> tuple[Tensor, Tensor]:
        """The share of the eigenvalues that lie below a number, by weight.

        The standard error is that of the starts alone. A share is not a polynomial, so the quadrature has an error of its
        own. It is large where many eigenvalues lie near the threshold, as they do near zero: see :meth:`share_bounds`.

        Returns:
            The share ``[M]`` and its standard error over the starts ``[M]``, NaN if there is only one.
        """
        return self._mean((self.nodes < threshold).double())

    def share_bounds(self, threshold: float = 0.0) -> tuple[Tensor, Tensor]:
        """The bounds of the share of :meth:`share_below`, given the nodes.

        These are the inequalities of Chebyshev, Markov and Stieltjes (Szego 1939, section 3.41): the weight of the node
        next to the threshold on either side may belong to eigenvalues on the other. The spread of the starts and the
        rounding of products come on top: an eigenvalue nearer to zero than that rounding has a sign by chance.

        Returns:
            The least and the greatest share, means over the starts, ``[M]`` each.
        """
        sums = torch.nn.functional.pad(self.weights.cumsum(dim=2), (1, 0))  # of the first 0, 1, ... nodes
        below = (self.nodes < threshold).sum(dim=2, keepdim=True)
        steps = self.nodes.shape[2]
        low, high = (sums.gather(2, (below + shift).clamp(0, steps))[..., 0].mean(dim=1) for shift in (-1, 1))
        return low, high

    def count_below(self, threshold: float = 0.0) -> tuple[Tensor, Tensor]:
        """Number of Ritz values below a number, over all starts and without weights, and the number of them all.

        The released code (of its neural operators) calls the quotient the share of negative eigenvalues. It is not that
        share: Lanczos spreads its Ritz values over the range of a spectrum, not in proportion to its eigenvalues.

        Returns:
            Counts ``[M]`` each.
        """
        return (self.nodes < threshold).sum(dim=(1, 2)), (~self.nodes.isnan()).sum(dim=(1, 2))

    def moment(self, p: int) -> tuple[Tensor, Tensor]:
        """The mean of the eigenvalues' p-th powers; P times the first is the trace.

        Returns:
            The moment ``[M]`` and its standard error over the starts ``[M]``, NaN if there is only one.

        Raises:
            UserError: if ``p`` is not a whole number of at least 0.
        """
        check_count("p", p, 0, such_as=1)
        return self._mean(self.nodes.nan_to_num(nan=0.0) ** p)

    def _widths(self, width: float | Tensor) -> Tensor:
        """One standard deviation for each member, ``[M]`` (float64, CPU)."""
        try:
            widths = torch.as_tensor(width, dtype=torch.float64, device="cpu").expand(len(self.nodes))
        except (TypeError, ValueError, RuntimeError):
            widths = torch.zeros(1)
        if not ((widths > 0) & widths.isfinite()).all():
            raise UserError(
                f"width={width} is impossible; choose one standard deviation above 0, or one for each of {len(self.nodes)} "
                "members, such as spectrum.released_width"
            )
        return widths

    def _mean(self, f: Tensor) -> tuple[Tensor, Tensor]:
        """Mean over the starts of the quadrature of ``f [M, starts, steps]``, and its standard error."""
        starts = (self.weights * f).sum(dim=2)
        if starts.shape[1] == 1:
            return starts[:, 0], torch.full_like(starts[:, 0], math.nan)
        return starts.mean(dim=1), starts.std(dim=1) / math.sqrt(starts.shape[1])


def slq_bytes_per_member(n_params: int, itemsize: int, steps: int = 100) -> int:
    """Memory of one member in :func:`slq`: the basis of one start and some vectors."""
    return itemsize * n_params * (BLOCK * (steps // BLOCK + 1) + 4)


def slq(
    operator: HessianOperator,
    *,
    steps: int = 100,
    starts: int = 10,
    seeds: Sequence[int] | None = None,
    progress: bool = False,
) -> Spectrum:
    """Stochastic Lanczos quadrature (Ghorbani, Krishnan & Xiao 2019; appendix D.2 of the paper).

    Vectors of random signs start Lanczos recursions with full reorthogonalisation, whose tridiagonal matrices are
    diagonalised in float64 by a symmetric solver. (The released code uses one for any matrix, in float32.) A member's
    starts follow one another, so that the basis of one is held (:func:`slq_bytes_per_member`); members are taken in
    parts where all of them would need too much. As many steps as parameters give the whole spectrum.

    Args:
        operator: products with M Hessians.
        steps: of a recursion; 100 in the released code.
        starts: 10 in the released code.
        seeds: of the start vectors, one a member; 0 to M - 1 by default.
        progress: whether to show a bar.

    Returns:
        The raw nodes and weights (float64, CPU).

    Raises:
        UserError: if an argument is impossible.
    """
    check_operator(operator)
    check_count("steps", steps, 1, such_as=100)
    check_count("starts", starts, 1, such_as=10)
    m, own = len(operator), member_seeds(seeds, len(operator))
    nodes = torch.full((m, starts, steps), torch.nan, dtype=torch.float64)
    weights = torch.zeros_like(nodes)
    parts = operator.parts(slq_bytes_per_member(operator.n_params, operator.params.itemsize, steps))
    with tqdm(total=len(parts) * starts * steps, desc="spectra", unit="step", disable=not progress) as bar:
        for part in parts:
            for start in range(starts):
                first = rademacher([own[row] for row in part], Purpose.QUADRATURE, start, operator.params)
                krylov = Krylov(operator.of_rows, part, first)
                while len(krylov.rows):
                    krylov.advance()
                    j = len(krylov)
                    bar.update()
                    ended = krylov.ended | (j == steps)
                    if ended.any():
                        theta, s = krylov.ritz()
                        rows = krylov.rows[ended]
                        nodes[rows, start, :j] = theta[ended]
                        weights[rows, start, :j] = s[ended, 0].square()
                        krylov.drop(ended)
    return Spectrum(nodes, weights, operator.n_params)
