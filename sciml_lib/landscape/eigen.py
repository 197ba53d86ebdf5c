"""Leading eigenvalues and eigenvectors of the Hessians of an ensemble: Lanczos, and the paper's power iteration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm import tqdm

from sciml_lib.errors import unknown
from sciml_lib.landscape.checks import check_count, check_number, refuse
from sciml_lib.landscape.draws import Purpose, member_seeds, normal
from sciml_lib.landscape.krylov import BLOCK, Krylov, rounding
from sciml_lib.landscape.products import HessianOperator, check_operator

RANKS: dict[str, Callable[[Tensor], Tensor]] = {
    "largest": lambda values: values,
    "smallest": torch.neg,
    "magnitude": torch.abs,
}
"""What an eigenvalue is judged by; the highest comes first."""

NO_CURVATURE = "a Hessian that is zero, so nothing in it leads; leave them out"


@dataclass(frozen=True)
class Eigenpairs:
    """Some eigenpairs of every member's Hessian, the most wanted first.

    Attributes:
        values: ``[M, k]`` (float64, CPU).
        vectors: of unit length, ``[M, k, P]``, on the device and in the type of the parameters.
        residuals: length of H v - value v, from a product made for the purpose, ``[M, k]`` (float64, CPU). An eigenvalue
            lies at most this far from the value; no residual can tell whether it is the one that was asked for.
        converged: whether the method's own rule of stopping was met, ``[M, k]`` (CPU).
        products: with each member's Hessian that it took, ``[M]`` (CPU).
    """

    values: Tensor
    vectors: Tensor
    residuals: Tensor
    converged: Tensor
    products: Tensor


def lanczos_bytes_per_member(n_params: int, itemsize: int, k: int = 1, steps: int = 200) -> int:
    """Memory of one member in :func:`lanczos` if it takes all steps; vectors are added by 16, so most take far less."""
    return itemsize * n_params * (BLOCK * (steps // BLOCK + 1) + 4 * k + 4)


def lanczos(
    operator: HessianOperator,
    k: int = 1,
    *,
    which: str = "largest",
    tolerance: float = 1e-3,
    max_steps: int = 200,
    seeds: Sequence[int] | None = None,
    progress: bool = False,
) -> Eigenpairs:
    """Leading eigenpairs of all members side by side, by the Lanczos method with full reorthogonalisation.

    Each member stops on its own and costs nothing from then on. A pair has converged once its residual is at most
    ``tolerance`` times its own eigenvalue, or nothing but rounding (:func:`sciml_lib.landscape.krylov.rounding`). Relative
    to the largest eigenvalue instead, as is also common, any vector would do for a smallest one that is a millionth of it.
    In float32 such a value, as of trained PINNs, comes out right to some per cent at best and as not converged.

    A Krylov space holds only one vector of each eigenspace. For k > 1 a run is therefore followed by others in the
    complement of what was found, until nothing in that complement belongs among the first k: eigenvalues are found as often
    as they occur. (With k = 1 the value is right in any case, and the vector is one of its eigenspace.)

    Args:
        operator: products with M Hessians.
        k: pairs of each.
        which: ``largest``, ``smallest``, or ``magnitude`` for the largest in absolute value, signs kept.
        tolerance: see above; 1e-3 is that of the paper's power iteration for the change of a value.
        max_steps: of one run; its basis is kept (:func:`lanczos_bytes_per_member`).
        seeds: of the start vectors, one a member; 0 to M - 1 by default.
        progress: whether to show a bar.

    Returns:
        The pairs; ``converged`` is judged by the measured residuals.

    Raises:
        UserError: if an argument is impossible, or the Hessian of a member is zero.
    """
    check_operator(operator)
    check_count("k", k, 1, operator.n_params)
    if which not in RANKS:
        raise unknown("which", which, RANKS)
    check_number("tolerance", tolerance, above=0, such_as=1e-3)
    check_count("max_steps", max_steps, k, such_as=max(k, 200))
    search = _Search(operator, k, RANKS[which], tolerance, max_steps, member_seeds(seeds, len(operator)))
    parts = operator.parts(lanczos_bytes_per_member(operator.n_params, operator.params.itemsize, k, max_steps))
    with tqdm(total=len(operator), desc="eigenpairs", unit="member", disable=not progress) as bar:
        for rows in parts:
            for turn in range(k + 1 if k > 1 else 1):
                if len(rows):
                    before, rows = len(rows), search.run(rows, turn)
                    bar.update(before - len(rows))
    return search.measured()


class _Search:
    """The pairs found so far, and the runs that find more."""

    def __init__(
        self,
        operator: HessianOperator,
        k: int,
        rank: Callable[[Tensor], Tensor],
        tolerance: float,
        max_steps: int,
        seeds: Sequence[int],
    ) -> None:
        """Nothing is found yet; see :func:`lanczos` for the arguments."""
        self._operator, self._k, self._rank = operator, k, rank
        self._tolerance, self._max_steps, self._seeds = tolerance, max_steps, seeds
        m = len(operator)
        self._values = torch.full((m, k), torch.nan, dtype=torch.float64)  # the best first, NaN where there is none
        self._vectors = operator.params.new_zeros(m, k, operator.n_params)
        self._norm = torch.zeros(m, dtype=torch.float64)
        self._products = torch.zeros(m, dtype=torch.long)

    def run(self, rows: Tensor, turn: int) -> Tensor:
        """One Lanczos run of some members in the complement of what they have; returns those that need another.

        The first run looks for all k pairs, each later one for the best of what is left.

        Args:
            rows: ``[m]`` (CPU).
            turn: number of the run.
        """
        need, again = self._k if turn == 0 else 1, []
        krylov = self._begin(rows, turn)
        check = need  # the step at which residuals are looked at; a tenth of the steps apart, since T costs j^3
        while len(krylov.rows):
            krylov.advance()
            self._products[krylov.rows] += 1
            j = len(krylov)
            if turn == 0 and j == 1:
                refuse(krylov.rows[krylov.norm == 0], NO_CURVATURE)
            scheduled = j >= check or j == self._max_steps
            if scheduled:
                check = max(check, j + 1, round(1.1 * j))
            if scheduled or krylov.ended.any():
                again.append(self._harvest(krylov, need, scheduled, turn))
        return torch.cat(again).sort().values

    def _begin(self, rows: Tensor, turn: int) -> Krylov:
        """A run of some members ``[m]`` that stays clear of the vectors they have."""
        start = normal([self._seeds[row] for row in rows], Purpose.LANCZOS, turn, self._operator.params)
        locked = self._vectors[rows.to(self._vectors.device)] if turn else None
        return Krylov(self._operator.of_rows, rows, start, locked, self._norm[rows])

    def _harvest(self, krylov: Krylov, need: int, scheduled: bool, turn: int) -> Tensor:
        """Takes the pairs of the members that are done, which leave the run; returns those of them that need another.

        Args:
            krylov: the run.
            need: pairs of each member.
            scheduled: whether it is time to look at residuals; members that have found an invariant space leave anyway.
            turn: number of the run.
        """
        theta, s = self._best(*krylov.ritz(), need)
        residuals = krylov.beta[:, None] * s[:, -1].abs()
        small = (residuals <= self._bound(theta, krylov.norm)).all(dim=1)
        settled = krylov.ended | (small & scheduled)
        leaving = settled | (len(krylov) == self._max_steps)
        gone = leaving.nonzero()[:, 0]
        rows = krylov.rows[gone]
        if len(gone):
            self._norm[rows] = krylov.norm[gone]
            vectors = krylov.lift(s[gone].mT, gone)
            rows = rows[self._merge(rows, theta[gone], vectors, settled[gone], turn)]
            krylov.drop(leaving)
        return rows

    def _best(self, theta: Tensor, s: Tensor, need: int) -> tuple[Tensor, Tensor]:
        """The best of all Ritz values ``[m, j]`` and their columns of ``s [m, j, j]``: ``[m, n]`` and ``[m, j, n]``."""
        best = self._order(theta)[:, :need]
        return theta.gather(1, best), s.gather(2, best[:, None].expand(-1, s.shape[1], -1))

    def measured(self) -> Eigenpairs:
        """The best pairs in the span of the vectors found (Rayleigh & Ritz) and their residuals, by k products more."""
        v = self._vectors
        hv = torch.stack([self._operator(vector) for vector in v.unbind(dim=1)], dim=1)  # [M, k, P]
        # The upper triangle has the products with the vectors of the smaller eigenvalues, whose rounding is smaller.
        values, s = torch.linalg.eigh(torch.bmm(v, hv.mT).double().cpu(), UPLO="U")
        order = self._order(values)
        values, s = values.gather(1, order), s.mT.gather(1, order[..., None].expand_as(s))
        v, hv = (torch.bmm(s.to(v), part) for part in (v, hv))
        residuals = torch.linalg.vector_norm(hv - values.to(v)[..., None] * v, dim=2).double().cpu()
        converged = residuals <= self._bound(values, self._norm)
        return Eigenpairs(values, v, residuals, converged, self._products + self._k)

    def _merge(self, rows: Tensor, values: Tensor, vectors: Tensor, settled: Tensor, turn: int) -> Tensor:
        """Puts new pairs among the old ones of some members; returns which of them need another run, ``[m]``.

        A member does not if its newest pair is no better than the k-th: the rest of the complement is worse still. Nor does
        it if it has k pairs from a run that did not converge: their error is larger than what may be missing.

        Args:
            rows: ``[m]``.
            values: ``[m, n]``.
            vectors: ``[m, n, P]``.
            settled: whether the run converged or found an invariant space, ``[m]``.
            turn: number of the run.
        """
        on = rows.to(vectors.device)
        best = self._rank(values[:, 0])
        values = torch.cat([self._values[rows], values], dim=1)
        vectors = torch.cat([self._vectors[on], vectors], dim=1)
        order = self._order(values)[:, : self._k]
        self._values[rows] = values = values.gather(1, order)
        self._vectors[on] = vectors.gather(1, order.to(vectors.device)[..., None].expand(-1, -1, vectors.shape[2]))
        found = (~values.isnan()).sum(dim=1)
        unsure = best > self._rank(values[:, -1]) if turn else torch.full_like(settled, self._k > 1)
        return ((found < self._k) | (settled & unsure)) & (found < self._operator.n_params)

    def _order(self, values: Tensor) -> Tensor:
        """Numbers of ``values [m, n]`` from the best to the worst; NaN comes last."""
        return torch.argsort(self._rank(values).nan_to_num(nan=-torch.inf), dim=1, descending=True, stable=True)

    def _bound(self, values: Tensor, norm: Tensor) -> Tensor:
        """Residuals up to which ``values [m, n]`` have converged; with the norms ``[m]``."""
        return torch.maximum(self._tolerance * values.abs(), rounding(self._vectors.dtype) * norm[:, None])


def power_iteration(
    operator: HessianOperator,
    k: int = 1,
    *,
    steps: int = 100,
    tolerance: float = 1e-3,
    seeds: Sequence[int] | None = None,
    progress: bool = False,
) -> Eigenpairs:
    """Dominant eigenpairs as the paper has them: power iteration as in PyHessian (Yao et al. 2020; appendix D.2).

    Vectors begin normal and are brought to length one by dividing by their length + 1e-6; later ones are made orthogonal
    to those before at every step. A member stops once its Rayleigh quotient changes by less than ``tolerance`` relative to
    the last one + 1e-6; its value is then the last but one, with its sign. The eigenvalue found is dominant in absolute
    value and may be negative. A slow change ends the iteration just as convergence does, so the value may be well below the
    largest. :func:`lanczos` has neither defect and costs less. The residuals are our addition.

    Args:
        operator: products with M Hessians.
        k: pairs of each.
        steps: of each pair at most; 100 in PyHessian and the released code.
        tolerance: see above; 1e-3 there.
        seeds: of the start vectors, one a member; 0 to M - 1 by default.
        progress: whether to show a bar.

    Returns:
        The pairs in the order in which they were found; ``converged`` says that the change was small.

    Raises:
        UserError: if an argument is impossible, or the Hessian of a member is zero.
    """
    check_operator(operator)
    check_count("k", k, 1, operator.n_params)
    check_count("steps", steps, 1, such_as=100)
    check_number("tolerance", tolerance, least=0, such_as=1e-3)
    m, own = len(operator), member_seeds(seeds, len(operator))
    values = torch.full((m, k), torch.nan, dtype=torch.float64)
    converged, products = torch.zeros(m, k, dtype=torch.bool), torch.zeros(m, dtype=torch.long)
    vectors = operator.params.new_zeros(m, k, operator.n_params)
    with tqdm(total=k * steps, desc="power iteration", unit="step", disable=not progress) as bar:
        for i in range(k):
            v = _unit(normal(own, Purpose.POWER, i, operator.params))
            for step in range(steps):
                active = ~converged[:, i]
                if not active.any():
                    break
                for before in vectors[:, :i].unbind(dim=1):
                    v = v - (v * before).sum(dim=1, keepdim=True) * before
                v = _unit(v)
                hv = operator(v, active)
                products += active
                quotient, length = torch.stack([(v * hv).sum(dim=1), torch.linalg.vector_norm(hv, dim=1)]).double().cpu()
                if i == step == 0:
                    refuse((length == 0).nonzero()[:, 0], NO_CURVATURE)
                last = values[:, i]
                converged[:, i] |= (last - quotient).abs() < tolerance * (last.abs() + 1e-6)
                values[:, i] = torch.where(converged[:, i], last, quotient)
                vectors[:, i] = v = torch.where(active.to(v.device)[:, None], _unit(hv), vectors[:, i])
                bar.update()
    vectors = vectors / torch.linalg.vector_norm(vectors, dim=2, keepdim=True)
    residuals = []
    for v, value in zip(vectors.unbind(dim=1), values.unbind(dim=1), strict=True):
        difference = operator(v).double() - value[:, None].to(v.device) * v
        residuals.append(torch.linalg.vector_norm(difference, dim=1).cpu())
    return Eigenpairs(values, vectors, torch.stack(residuals, dim=1), converged, products + k)


def _unit(v: Tensor) -> Tensor:
    """``v [M, P]`` divided by its length + 1e-6, as in PyHessian."""
    return v / (torch.linalg.vector_norm(v, dim=1, keepdim=True) + 1e-6)
