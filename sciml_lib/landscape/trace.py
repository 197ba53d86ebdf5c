"""Traces of the Hessians of an ensemble, estimated from products with random vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm import tqdm

from sciml_lib.landscape.checks import check_count, check_number
from sciml_lib.landscape.draws import Purpose, member_seeds, rademacher
from sciml_lib.landscape.products import HessianOperator, check_operator


@dataclass(frozen=True)
class Trace:
    """An estimate of every member's trace.

    Attributes:
        value: ``[M]`` (float64, CPU).
        error: its standard error, ``[M]``; NaN after a single sample.
        probes: vectors that the Hessian was multiplied by, ``[M]``.
    """

    value: Tensor
    error: Tensor
    probes: Tensor


def hutchinson(
    operator: HessianOperator,
    *,
    probes: int = 100,
    tolerance: float | None = None,
    seeds: Sequence[int] | None = None,
    progress: bool = False,
) -> Trace:
    """The mean of v.Hv over vectors v of random signs (Hutchinson 1990; appendix D.2 of the paper).

    With a tolerance this is the paper's estimate, as in PyHessian (Yao et al. 2020): a member stops when its running mean
    changes by less than ``tolerance`` relative to the last one + 1e-6. Two samples that happen to be alike are enough for
    that, so the estimate may be far worse than its tolerance, and its standard error too small.

    Args:
        operator: products with M Hessians.
        probes: vectors, at most if there is a tolerance; 100 in PyHessian and the released code.
        tolerance: None for all the vectors; 1e-3 for the paper's estimate.
        seeds: of the vectors, one a member; 0 to M - 1 by default.
        progress: whether to show a bar.

    Returns:
        The mean and its standard error.

    Raises:
        UserError: if an argument is impossible.
    """
    check_operator(operator)
    check_count("probes", probes, 1, such_as=100)
    if tolerance is not None:
        check_number("tolerance", tolerance, least=0, such_as=1e-3)
    m, own = len(operator), member_seeds(seeds, len(operator))
    samples = torch.full((m, probes), torch.nan, dtype=torch.float64)
    active = torch.ones(m, dtype=torch.bool)
    last = torch.zeros(m, dtype=torch.float64)
    for i in tqdm(range(probes), desc="trace", unit="probe", disable=not progress):
        v = rademacher(own, Purpose.HUTCHINSON, i, operator.params)
        samples[:, i] = torch.where(active, _forms(v, operator(v, active)), torch.nan)
        if tolerance is not None:
            mean = samples.nanmean(dim=1)
            active &= ~((mean - last).abs() < tolerance * (last.abs() + 1e-6))
            last = mean
            if not active.any():
                break
    return Trace(*_mean(samples), (~samples.isnan()).sum(dim=1))


def hutch_pp(
    operator: HessianOperator, *, products: int = 99, seeds: Sequence[int] | None = None, progress: bool = False
) -> Trace:
    """Hutch++ (Meyer, Musco, Musco & Woodruff 2021, algorithm 1): exact where the Hessian is large, random in the rest.

    A third of the products makes a basis of the directions that H stretches most, a third measures the trace in it, and a
    third estimates the rest as :func:`hutchinson` does. The fewer eigenvalues hold the trace, the more it gains.

    Args:
        operator: products with M Hessians.
        products: with each of them, cut to a multiple of 3.
        seeds: of the random vectors, one a member; 0 to M - 1 by default.
        progress: whether to show a bar.

    Returns:
        The estimate, and the standard error of its random part.

    Raises:
        UserError: if an argument is impossible; fewer than 6 products give no standard error.
    """
    check_operator(operator)
    check_count("products", products, 6, such_as=99)
    third = products // 3
    m, p = operator.params.shape
    own, rank = member_seeds(seeds, m), min(third, p)
    value, error = torch.zeros(m, dtype=torch.float64), torch.zeros(m, dtype=torch.float64)
    # The sketch, its basis and what the factorisation needs.
    parts = operator.parts(4 * rank * p * operator.params.itemsize)
    with tqdm(total=len(parts) * (2 * rank + third), desc="trace", unit="product", disable=not progress) as bar:
        for rows in parts:
            seed, like = [own[row] for row in rows], operator.params

            def product(v: Tensor, rows: Tensor = rows) -> Tensor:
                bar.update()
                return operator.of_rows(v, rows)

            sketch = torch.stack([product(rademacher(seed, Purpose.SKETCH, i, like)) for i in range(rank)], dim=2)
            q = torch.linalg.qr(sketch).Q.mT.contiguous()  # [m, rank, P]
            del sketch
            value[rows] = sum(_forms(v, product(v)) for v in q.unbind(dim=1))
            samples = []
            for i in range(third):
                v = rademacher(seed, Purpose.REST, i, like)
                for _ in range(2):  # once leaves rounding of the size of the norm
                    v = v - torch.bmm(torch.bmm(v[:, None], q.mT), q)[:, 0]
                samples.append(_forms(v, product(v)))
            rest, error[rows] = _mean(torch.stack(samples, dim=1))
            value[rows] += rest
    return Trace(value, error, torch.full((m,), 2 * rank + third))


def _forms(v: Tensor, hv: Tensor) -> Tensor:
    """Quadratic forms of ``[m, P]``, ``[m]`` (float64, CPU)."""
    return (v.double() * hv.double()).sum(dim=1).cpu()


def _mean(samples: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard error of ``samples [m, n]`` without those that are NaN, ``[m]`` each."""
    count = (~samples.isnan()).sum(dim=1)
    mean = samples.nanmean(dim=1)
    spread = (samples - mean[:, None]).square().nansum(dim=1) / (count - 1)
    return mean, (spread / count).sqrt()
