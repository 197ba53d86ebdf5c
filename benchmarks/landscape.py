"""The leading Hessian eigenvalue of many networks: as one ensemble, and one network after the other, in one run.

    python benchmarks/landscape.py                # the default table, some minutes
    python benchmarks/landscape.py --n-data 1000 --members 8 60
    python benchmarks/landscape.py --quick        # seconds; the figures mean nothing

Everything is the convection equation with three hidden layers of 50, in float32, at weights after 110 iterations of
L-BFGS. Three programs compute the same eigenvalues and take turns:

    ensemble    ``lanczos`` of the library, with the products that the problem offers; its checks (the loss and the first
                product evaluated twice) are part of the time
    plain       one ``nn.Module`` at a time (``sequential.py``): the gradient once with a graph, which is then
                differentiated along each vector; Lanczos with full reorthogonalisation
    eigenthings the package hessian-eigenthings, whose operator makes the gradient anew for each product; its own Lanczos

For each network all three compute the same number of products with its Hessian: as many as the ensemble needed. The two
that go one by one are timed on at most six networks, since their speed does not depend on how many follow. A row gives the
mean number of products, milliseconds per network, and how many times longer the others take than the ensemble.

That all compute the same is checked first: the one by one do four times as many products, after which no start matters,
and the largest relative difference between their eigenvalues and those of the ensemble is in the last column. The program
stops where it exceeds the tolerance, 1e-3. Of speed nothing is asserted: the machine decides, the ratio is the result.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from functools import cached_property

import hessian_eigenthings
import torch
from ensemble import BETA, Ensemble, race
from sequential import Plain
from torch import Tensor

from sciml_lib import systems
from sciml_lib.landscape import Eigenpairs, HessianOperator, lanczos
from sciml_lib.models import MLP
from sciml_lib.optim import LBFGS
from sciml_lib.problems import PINN

FEW = 6  # networks on which the programs that go one by one are timed
WARM = 110  # iterations before
TOLERANCE = 1e-3  # of the residuals, and what the eigenvalues may differ by


class Together:
    """All networks side by side."""

    def __init__(self, problem: PINN, params: Tensor) -> None:
        self.problem, self.params = problem, params

    def pairs(self) -> Eigenpairs:
        """The leading eigenpairs, from nothing."""
        return lanczos(HessianOperator.of_problem(self.problem, self.params), tolerance=TOLERANCE)

    def advance(self, times: int) -> int:
        """All networks so many times; returns the products."""
        return sum(int(self.pairs().products.sum()) for _ in range(times))


class PlainLanczos:
    """One network after the other, by differentiating its gradient."""

    def __init__(self, members: list[Plain], products: list[int]) -> None:
        self.members, self.products = members, products

    def value(self, member: Plain, products: int) -> float:
        """The largest eigenvalue, and a product more with its vector to know how good it is."""
        parameters = list(member.net.parameters())
        grad = torch.cat([g.reshape(-1) for g in torch.autograd.grad(member.loss(), parameters, create_graph=True)])

        def product(v: Tensor) -> Tensor:
            return torch.cat([h.reshape(-1) for h in torch.autograd.grad(grad, parameters, v, retain_graph=True)])

        steps = products - 1
        basis = grad.new_empty(steps + 1, len(grad))
        start = torch.randn(len(grad), generator=torch.Generator().manual_seed(0)).to(grad)
        basis[0] = start / start.norm()
        t = torch.zeros(steps, steps, dtype=torch.float64)
        for j in range(steps):
            w = product(basis[j])
            t[j, j] = basis[j] @ w
            for _ in range(2):
                w = w - basis[: j + 1].T @ (basis[: j + 1] @ w)
            beta = w.norm()
            basis[j + 1] = w / beta
            if j + 1 < steps:
                t[j, j + 1] = t[j + 1, j] = beta
        vector = basis[:steps].T @ torch.linalg.eigh(t).eigenvectors[:, -1].to(grad)
        return (vector @ product(vector)).item()

    def values(self, times: int = 1) -> Tensor:
        """Of all networks, after so many times the products."""
        found = [self.value(member, times * n) for member, n in zip(self.members, self.products, strict=True)]
        return torch.tensor(found, dtype=torch.float64)

    def advance(self, times: int) -> int:
        """All networks so many times; returns the products."""
        for _ in range(times):
            self.values()
        return times * sum(self.products)


class Eigenthings(PlainLanczos):
    """One network after the other, by the package."""

    def value(self, member: Plain, products: int) -> float:
        """The largest eigenvalue."""
        operator = hessian_eigenthings.HessianOperator(member.net, [member.target], lambda *_: member.loss())
        return hessian_eigenthings.lanczos(operator, k=1, max_iter=products, which="LA", seed=0).eigenvalues.item()


@dataclass(frozen=True)
class Comparison:
    """One row.

    Attributes:
        n_data: residual points.
        members: M.
        warm: iterations of L-BFGS before.
        rounds: how often each program has its turn.
    """

    n_data: int
    members: int
    warm: int = WARM
    rounds: int = 3
    device: str = "cpu"

    @cached_property
    def ours(self) -> Together:
        """The ensemble's side."""
        coefficients = [BETA] * self.members
        problem = PINN(systems.get("convection"), MLP(), coefficients, self.n_data, device=self.device)
        stage = LBFGS(max_iterations=10**9, max_evaluations=10**9, tolerance_change=0.0)
        return Together(problem, Ensemble(stage, problem, problem.init(range(self.members)), self.warm).params)

    def line(self) -> str:
        """The table's."""
        ours = self.ours
        pairs = ours.pairs()
        few = torch.linspace(0, self.members - 1, min(self.members, FEW)).round().long().tolist()
        members = [Plain(ours.problem, i, ours.params[i]) for i in few]
        products = pairs.products[few].tolist()
        sides = {"plain": PlainLanczos(members, products), "eigenthings": Eigenthings(members, products)}
        found = pairs.values[few, 0]
        difference = max(((side.values(4) - found) / found).abs().max().item() for side in sides.values())
        if not (difference <= TOLERANCE and pairs.converged.all()):
            sys.exit(f"{self}: the eigenvalues differ by {difference:.1e} or have not converged")
        rate, _ = race({**sides, "ensemble": ours}, 1, ours.params, self.rounds)
        mean = pairs.products.double().mean().item()
        times = {name: 1e3 * mean / r for name, r in rate.items()}
        ratios = [times[name] / times["ensemble"] for name in sides]
        return (
            f"{self.n_data:>6} {self.members:>8} {mean:>9.1f} "
            + " ".join(f"{times[name]:>11.2f}" for name in ("plain", "eigenthings", "ensemble"))
            + f" {ratios[0]:>9.2f} {ratios[1]:>15.2f} {difference:>11.0e}"
        )


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n-data", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--members", type=int, nargs="+", default=[1, 8, 60])
    parser.add_argument("--rounds", type=int, default=3, help="how often each program has its turn")
    parser.add_argument("--quick", action="store_true", help="3 members, 20 points, 2 iterations before: whether it runs")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    warm = WARM
    if args.quick:
        args.n_data, args.members, args.rounds, warm = [20], [1, 3], 1, 2
    torch.set_num_threads(args.threads)
    print(f"torch {torch.__version__}, {args.device}, {args.threads} threads; milliseconds of a network's leading eigenvalue")
    print(
        f"{'n_data':>6} {'members':>8} {'products':>9} {'plain':>11} {'eigenthings':>11} {'ensemble':>11} "
        f"{'/ plain':>9} {'/ eigenthings':>15} {'difference':>11}"
    )
    for n_data in args.n_data:
        for members in args.members:
            print(Comparison(n_data, members, warm, args.rounds, args.device).line(), flush=True)


if __name__ == "__main__":
    main()
