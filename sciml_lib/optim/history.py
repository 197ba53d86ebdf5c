"""The curvature pairs of L-BFGS, and the search direction they give, for the members of an ensemble.

With the last pairs as rows of S and Y, oldest first, R the upper triangle of S Y^T, D its diagonal and H0 = gamma I, the
inverse Hessian approximation is, in the compact form of Byrd, Nocedal & Schnabel (1994, theorem 2.2),

    H = H0 + [S^T, H0 Y^T] [[R^-T (D + Y H0 Y^T) R^-1, -R^-T], [-R^-1, 0]] [S; Y H0]

and d = -H g takes two triangular solves (their algorithm 3.1):

    R alpha = S g,   q = gamma (g - Y^T alpha),   R^T delta = D alpha - Y q,   d = -(q + S^T delta)

This is what the two loops of Nocedal & Wright (2006, algorithm 7.4) give, also with four products with the history, but
in four large operations instead of four hundred small ones. New pairs overwrite the oldest in place: rows of S and Y are
in no order of age, only the small matrix R is brought into it, and the history is never gathered or shifted.

On a CPU, in float32, the compiled kernel does this member by member: a direction is then the same bits whoever is beside
its member. The batched form here serves everything else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from sciml_lib import kernel
from sciml_lib.optim.rows import row_sums
from sciml_lib.optim.state import Part

MIN_CURVATURE = 1e-10
"""A pair is kept if y.s exceeds this, as in ``torch.optim.LBFGS``."""


@dataclass
class History(Part):
    """Curvature pairs in ring buffers of H rows; each member has its own number of them.

    Attributes:
        s: steps ``[M, H, P]``; zero where nothing is stored yet.
        y: differences of gradients ``[M, H, P]``; zero likewise.
        products: S Y^T in the order of storage, ``[M, H, H]`` float64; unit where nothing is stored yet.
        gamma: scale of the initial inverse Hessian, y.s / y.y of the newest pair, ``[M]``.
        pairs: pairs stored since the start ``[M]`` (CPU); the next goes to row ``pairs mod H``.
    """

    s: Tensor
    y: Tensor
    products: Tensor
    gamma: Tensor
    pairs: Tensor

    @classmethod
    def empty(cls, params: Tensor, size: int) -> Self:
        """No pairs yet, and room for ``size`` of each member of ``params [M, P]``."""
        m, p = params.shape
        return cls(
            s=params.new_zeros(m, size, p),
            y=params.new_zeros(m, size, p),
            products=torch.eye(size, device=params.device, dtype=torch.float64).repeat(m, 1, 1),
            gamma=params.new_ones(m),
            pairs=torch.zeros(m, dtype=torch.long),
        )

    def store(self, rows: Tensor, s: Tensor, y: Tensor) -> None:
        """Stores one pair of each of the members ``rows``, over the oldest where the history is full.

        A pair without positive curvature is left out. :meth:`direction` completes what is stored here, so it comes
        between two calls for the same member.

        Args:
            rows: members, int64 on the CPU.
            s: their steps ``[m, P]``.
            y: the differences of their gradients ``[m, P]``.
        """
        curvature = row_sums(y * s)
        good = (curvature > MIN_CURVATURE).nonzero()[:, 0]
        chosen = rows[good.cpu()]
        if not len(chosen):
            return
        row = (self.pairs[chosen] % self.s.shape[1]).to(s.device)
        on = chosen.to(s.device)
        self.s[on, row], self.y[on, row] = s[good], y[good]
        self.products[on, row, row] = torch.nan  # shows, should the product with the pair never be taken
        self.gamma[on] = curvature[good] / row_sums(y[good].square())
        self.pairs[chosen] += 1

    def direction(self, grad: Tensor, on: Tensor) -> Tensor:
        """Search directions ``-H g`` of the members ``on``, ``[m, P]``; steepest descent where there are no pairs.

        Args:
            grad: gradients of all members, ``[M, P]``.
            on: members, int64 on the device of ``grad``.
        """
        built = kernel.get() if grad.device.type == "cpu" and grad.dtype == torch.float32 else None
        if built is not None:
            return built.direction(self.s, self.y, self.products, self.gamma, self.pairs, grad.contiguous(), on)
        return self._batched_direction(grad)[on]

    def _batched_direction(self, grad: Tensor) -> Tensor:
        """The directions of all members at once, ``[M, P]``."""
        pairs = self.pairs.to(grad.device)
        filled = int(self.pairs.max().clamp(1, self.s.shape[1]))  # rows in use by anybody; a view, nothing is copied
        s, y = self.s[:, :filled], self.y[:, :filled]
        s_g = self._products_with_steps(grad, pairs, s)

        order = self._by_age(pairs, filled)
        back = order.argsort(dim=1)
        member = torch.arange(len(grad), device=grad.device)[:, None, None]
        # A row not yet filled is zero in S and Y with a unit diagonal: its coefficients come out as zero.
        r = self.products[member, order[:, :, None], order[:, None, :]]
        d = r.diagonal(dim1=1, dim2=2)
        alpha = torch.linalg.solve_triangular(r, s_g.gather(1, order)[..., None], upper=True)[..., 0]
        q = self.gamma[:, None] * (grad - _combined(alpha.gather(1, back), y))
        y_q = torch.bmm(q[:, None], y.transpose(1, 2))[:, 0].double().gather(1, order)
        delta = torch.linalg.solve_triangular(r.mT, (d * alpha - y_q)[..., None], upper=False)[..., 0]
        return -(q + _combined(delta.gather(1, back), s))

    def _products_with_steps(self, grad: Tensor, pairs: Tensor, s: Tensor) -> Tensor:
        """S g ``[M, filled]``; on the way the newest pairs' columns of S Y^T, so that S is read once for both."""
        member = torch.arange(len(grad), device=grad.device)
        newest = (pairs - 1) % self.s.shape[1]
        s_g, s_y = torch.bmm(torch.stack([grad, self.y[member, newest]], dim=1), s.transpose(1, 2)).double().unbind(1)
        stored = pairs > 0
        self.products[member[stored], : s.shape[1], newest[stored]] = s_y[stored]
        return s_g

    def _by_age(self, pairs: Tensor, filled: int) -> Tensor:
        """The rows in use, oldest first, ``[M, filled]``; before the history is full they lie in that order already."""
        size = self.s.shape[1]
        age = torch.arange(filled, device=pairs.device)
        return torch.where(pairs[:, None] > size, (pairs[:, None] + age) % size, age)


def _combined(weights: Tensor, rows: Tensor) -> Tensor:
    """The sum of ``rows [M, n, P]`` with float64 ``weights [M, n]``, ``[M, P]``."""
    return torch.bmm(weights.to(rows)[:, None], rows)[:, 0]
