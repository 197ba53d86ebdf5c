"""The Lanczos recursion for several members side by side, with full reorthogonalisation."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

BLOCK = 16
"""Basis vectors for which memory is taken at a time: how many a run needs is not known beforehand."""


def rounding(dtype: torch.dtype) -> float:
    """Length, relative to the norm of the operator, at which a vector is nothing but the rounding of a product.

    Errors of many entries average out: products of the Hessians of trained PINNs with random vectors in float32 are right to
    3e-9 of the norm, a thirtieth of that type's precision. In float64 there is no need to go to the limit.
    """
    return 1e-14 if dtype == torch.float64 else 1e-8


class Krylov:
    """Orthonormal bases of Krylov spaces and the tridiagonal matrices T of the members' operators in them.

    Every new vector is made orthogonal to all before it, twice: once leaves components of the size of rounding over
    beta, twice is enough (Parlett 1998, section 6.9). Without it copies of the leading eigenvalues appear (Paige 1976).
    The recursion takes place in the complement of vectors that are given at the beginning. Members leave the run one by
    one, by :meth:`drop`, and cost nothing from then on.

    Attributes:
        rows: numbers of the members that are still in the run, ``[m]`` (CPU).
        norm: the largest length of a product so far, a lower bound of the operator's norm, ``[m]`` (float64, CPU).
        ended: members that have found an invariant space: beta is rounding or no dimension is left, ``[m]`` (CPU).
    """

    def __init__(
        self,
        product: Callable[[Tensor, Tensor], Tensor],
        rows: Tensor,
        start: Tensor,
        locked: Tensor | None = None,
        norm: Tensor | None = None,
    ) -> None:
        """The spaces of dimension one.

        Args:
            product: the operators' products, from vectors ``[m, P]`` and the numbers of their members ``[m]`` to ``[m, P]``.
            rows: numbers of the members, ``[m]`` (CPU).
            start: start vectors of any length, ``[m, P]``.
            locked: orthonormal vectors to stay clear of, zeros where a member has fewer, ``[m, L, P]``.
            norm: what is known of the operators' norms, ``[m]`` (float64, CPU).
        """
        m, p = start.shape
        self._product, self.rows = product, rows
        self._locked = start.new_zeros(m, 1, p) if locked is None else locked  # a zero is clear of everything
        self._blocks: list[Tensor] = []  # [m, BLOCK, P] each
        self._entries: list[Tensor] = []  # alpha and beta of each step, [2, m]
        self._free = p - (self._locked != 0).any(dim=2).sum(dim=1).cpu()  # [m], dimensions of the complement
        self.norm = torch.zeros(m, dtype=torch.float64) if norm is None else norm
        self.ended = torch.zeros(m, dtype=torch.bool)
        start = start.clone()
        for _ in range(2):
            self._project(start)
        self._append(start, torch.linalg.vector_norm(start, dim=1))

    def __len__(self) -> int:
        """Steps that have been done."""
        return len(self._entries)

    def advance(self) -> None:
        """Does a step of all members in the run."""
        w = self._product(self._blocks[-1][:, len(self) % BLOCK], self.rows).clone()
        whole = torch.linalg.vector_norm(w, dim=1)
        alpha = self._project(w) + self._project(w)
        beta = torch.linalg.vector_norm(w, dim=1)
        entries = torch.stack([alpha, beta, whole]).double().cpu()  # the one transfer of a step
        self._entries.append(entries[:2])
        self.norm = torch.maximum(self.norm, entries[2])
        self.ended = (entries[1] <= rounding(w.dtype) * self.norm) | (len(self) >= self._free)
        self._append(w, beta)

    def drop(self, leaving: Tensor) -> None:
        """Takes members out of the run, by a mask ``[m]`` (CPU)."""
        index = (~leaving).nonzero()[:, 0]
        on = index.to(self._locked.device)
        self._locked = self._locked[on]
        for i, block in enumerate(self._blocks):
            self._blocks[i] = block[on]  # one after the other, so that never all of them exist twice
        self.rows = self.rows[index]
        self._entries = [entry[:, index] for entry in self._entries]
        self._free, self.norm, self.ended = self._free[index], self.norm[index], self.ended[index]

    @property
    def beta(self) -> Tensor:
        """Coupling of each space to the vector that would follow, ``[m]`` (float64, CPU)."""
        return self._entries[-1][1]

    def ritz(self) -> tuple[Tensor, Tensor]:
        """Eigenvalues of T, ascending, ``[m, j]``, and its eigenvectors as columns, ``[m, j, j]`` (float64, CPU)."""
        alpha, beta = torch.stack(self._entries, dim=2)  # [m, j] each
        beta = beta[:, :-1]
        return torch.linalg.eigh(torch.diag_embed(alpha) + torch.diag_embed(beta, 1) + torch.diag_embed(beta, -1))

    def lift(self, coordinates: Tensor, index: Tensor) -> Tensor:
        """The vectors, of unit length, that have these coordinates in the basis.

        Args:
            coordinates: ``[i, k, j]`` (CPU).
            index: places in the run of the members that they belong to, ``[i]`` (CPU).

        Returns:
            ``[i, k, P]``.
        """
        on = index.to(self._locked.device)
        vectors = self._locked.new_zeros(*coordinates.shape[:2], self._locked.shape[2])
        for block, part in zip(self._blocks, coordinates.to(vectors).split(BLOCK, dim=2), strict=False):
            vectors.baddbmm_(part, block[on, : part.shape[2]])
        return vectors / torch.linalg.vector_norm(vectors, dim=2, keepdim=True)

    def _project(self, w: Tensor) -> Tensor:
        """Makes ``w [m, P]`` orthogonal to what is locked and to the basis; returns its part along the newest, ``[m]``."""
        filled = self._blocks[:-1]
        if self._blocks:
            filled = [*filled, self._blocks[-1][:, : len(self) % BLOCK + 1]]
        for block in (self._locked, *filled):
            newest = torch.bmm(w[:, None], block.mT)  # [m, 1, b]; rows, not columns: about twice as fast on a CPU
            w[:, None].baddbmm_(newest, block, alpha=-1.0)
        return newest[:, 0, -1]

    def _append(self, w: Tensor, length: Tensor) -> None:
        """Adds ``w [m, P]`` of this length to the basis as a unit vector, or as zero where there is none."""
        if len(self) % BLOCK == 0:
            self._blocks.append(w.new_zeros(len(w), BLOCK, w.shape[1]))
        self._blocks[-1][:, len(self) % BLOCK] = w / torch.where(length > 0, length, 1.0)[:, None]
