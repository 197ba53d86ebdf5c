"""A randomized low-rank picture of the Hessian, and the preconditioner made of it (Frangella, Tropp & Udell 2023)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from sciml_lib.optim.rows import memberwise

LIFT = 1e-6
"""A core that is not positive definite is lifted to this fraction of its largest eigenvalue (the released code)."""


@dataclass(frozen=True)
class Sketch:
    """The approximation U diag(values) U^T of every member's Hessian.

    Attributes:
        vectors: U, orthonormal columns, ``[M, P, rank]``.
        values: descending and not negative, ``[M, rank]``.
        good: whether the factorisation succeeded, ``[M]``; where it did not, the others are zero.
    """

    vectors: Tensor
    values: Tensor
    good: Tensor

    def precondition(self, r: Tensor, damping: float) -> Tensor:
        """Applies the inverse preconditioner  (s_k + mu) U (S + mu)^-1 U^T + (I - U U^T)  to ``r [M, P]``.

        s_k is the smallest value kept and mu the damping (section 17.1 of Frangella et al., equation 5.3 there).
        """
        return precondition(self.vectors, self.values, r, damping)


def precondition(vectors: Tensor, values: Tensor, r: Tensor, damping: float) -> Tensor:
    """See :meth:`Sketch.precondition`; for tensors as they are kept in an optimiser's state."""

    def applied(vectors: Tensor, values: Tensor, r: Tensor) -> tuple[Tensor]:
        inside = torch.bmm(r[:, None], vectors)  # [M, 1, rank]; rows, not columns: about twice as fast on a CPU
        scale = (values[:, -1:] + damping) / (values + damping) - 1.0
        return (r + torch.bmm(scale[:, None] * inside, vectors.mT)[:, 0],)

    (z,) = memberwise(applied, vectors, values, r)
    return z


def sketch(product: Callable[[Tensor], Tensor], test: Tensor) -> Sketch:
    """Approximates matrices of which only products are known (algorithm 2.1 of Frangella et al.).

    The products may be float32; what is small (rank x rank) and what is sensitive (the factorisations) is float64,
    since float32 breaks down at the condition numbers of these Hessians. A Hessian need not be positive semidefinite: its
    core on the test vectors is lifted until its smallest eigenvalue is at least a millionth of its largest. (The
    released code adds to the diagonal up to five times, then clips eigenvalues and raises the damping tenfold.)

    Args:
        product: from ``[M, P]`` to ``[M, P]``.
        test: Gaussian test matrices ``[M, P, rank]``.

    Returns:
        The approximation, in the type of ``test``.
    """
    (q,) = memberwise(lambda a: (torch.linalg.qr(a).Q,), test.double())  # [M, P, rank]
    y = torch.stack([product(column.to(test)).double() for column in q.unbind(dim=2)], dim=2)
    finite = torch.isfinite(y).flatten(1).all(dim=1)
    y = torch.where(finite[:, None, None], y, 0.0)
    u, values, factorised = memberwise(partial(_factorised, dtype=test.dtype), q, y)
    good = finite & factorised
    keep = good[:, None]
    return Sketch(torch.where(keep[..., None], u, 0.0).to(test), torch.where(keep, values, 0.0).to(test), good)


def _factorised(q: Tensor, y: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """U, the values and whether there are any, from the orthonormal test vectors and the products with them."""
    core = torch.bmm(q.mT, y)
    core = 0.5 * (core + core.mT)
    ends = torch.linalg.eigvalsh(core)[:, [0, -1]]
    largest = ends.abs().amax(dim=1)
    # The shift that algorithm 2.1 adds for stability, or what lifts the lowest eigenvalue.
    stable = torch.finfo(dtype).eps * torch.linalg.matrix_norm(y)
    shift = torch.maximum(stable, LIFT * largest - ends[:, 0]).clamp(min=torch.finfo(dtype).tiny)
    eye = torch.eye(q.shape[2], dtype=torch.float64, device=q.device)
    factor, info = torch.linalg.cholesky_ex(core + shift[:, None, None] * eye)
    good = info == 0
    factor = torch.where(good[:, None, None], factor, eye)
    b = torch.linalg.solve_triangular(factor, (y + shift[:, None, None] * q).mT, upper=False).mT
    u, sigma, _ = torch.linalg.svd(b, full_matrices=False)
    return u, (sigma.square() - shift[:, None]).clamp(min=0.0), good
