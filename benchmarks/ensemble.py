"""The ensemble against the loop one would otherwise write, on the same problem, interleaved in one run.

    python benchmarks/ensemble.py                 # the default table, some minutes
    python benchmarks/ensemble.py --n-data 100 1000 --members 1 8 36 --iterations 30

The loop (``sequential.py``): one ``nn.Module`` at a time, derivatives by nested ``autograd.grad``,
``torch.optim.LBFGS`` with strong Wolfe search, float32. Both sides start from the same weights, after the same number
of iterations that fill the histories (so that a direction costs what it costs in the middle of a run), and the timed
stretches alternate between them. What is compared is member-iterations per second; a line also says how the
ensemble's step divides into evaluation, search direction and the rest. Nothing is asserted: the machine decides, the
ratio is the result.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from typing import Any, Protocol

import torch
from sequential import Plain, PlainLBFGS, Sequential
from torch import Tensor

from sciml_lib import systems
from sciml_lib.models import MLP
from sciml_lib.optim import LBFGS, LBFGSState, Status
from sciml_lib.problems import PINN

BETA = 30.0  # hard enough that no run converges within the benchmark


class Clocked:
    """A problem that notes how long its evaluations take."""

    def __init__(self, problem: PINN) -> None:
        self.problem, self.seconds = problem, 0.0

    def value_and_grad(self, params: Tensor) -> tuple[Tensor, Tensor]:
        start = _now(params)
        result = self.problem.value_and_grad(params)
        self.seconds += _now(params) - start
        return result


class ClockedLBFGS(LBFGS):
    """L-BFGS that notes how long its directions take."""

    seconds = 0.0

    def _new_directions(self, state: LBFGSState, on: Tensor) -> None:
        start = _now(on)
        super()._new_directions(state, on)
        type(self).seconds += _now(on) - start


class Ensemble:
    """All members side by side."""

    def __init__(self, stage: Any, problem: Any, params: Tensor, warm: int = 0) -> None:
        self.stage, self.problem = stage, problem
        self.state = stage.init(problem, params)
        if warm:
            self.advance(warm)

    def advance(self, iterations: int) -> int:
        """Steps until the members have done that many iterations on average; returns the member-iterations done."""
        before = int(self.state.total_iterations.sum())
        while int(self.state.total_iterations.sum()) - before < iterations * len(self.state):
            if not (self.state.status == Status.RUNNING).any():
                break
            self.state = self.stage.step(self.problem, self.state)
        return int(self.state.total_iterations.sum()) - before

    @property
    def params(self) -> Tensor:
        """Where the members are, ``[M, P]``."""
        return self.state.params


class Side(Protocol):
    """One of the programs that are compared."""

    def advance(self, iterations: int) -> int:
        """Works for a while; returns the work done, in the unit of the table."""


def _now(tensor: Tensor) -> float:
    if tensor.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter()


def race(sides: Mapping[str, Side], iterations: int, on: Tensor, rounds: int = 3) -> tuple[dict[str, float], dict[str, float]]:
    """Work per second and seconds of every side; they take turns, and ``on`` says by where it lives whose clock counts."""
    done, spent = dict.fromkeys(sides, 0), dict.fromkeys(sides, 0.0)
    for _ in range(rounds):
        for name, side in sides.items():
            start = _now(on)
            done[name] += side.advance(iterations)
            spent[name] += _now(on) - start
    return {name: done[name] / spent[name] for name in sides}, spent


def compare(n_data: int, members: int, iterations: int, device: str, rounds: int = 3) -> str:
    """One line of the table."""
    problem = PINN(systems.get("convection"), MLP(), [BETA] * members, n_data, device=device)
    params = problem.init(range(members))
    # The sequential loop is timed on a few members: its speed per member does not depend on how many follow.
    few = [Plain(problem, i, params[i]) for i in range(min(members, 4))]
    clocked = Clocked(problem)
    optimiser = ClockedLBFGS(max_iterations=10**9, max_evaluations=10**9, tolerance_change=0.0)
    sides = {
        "ensemble": Ensemble(optimiser, clocked, params, warm=110),
        "sequential": Sequential([PlainLBFGS(member) for member in few], warm=110),
    }
    clocked.seconds = ClockedLBFGS.seconds = 0.0
    rate, spent = race(sides, iterations, params, rounds)
    evaluation = clocked.seconds / spent["ensemble"]
    direction = ClockedLBFGS.seconds / spent["ensemble"]
    return (
        f"{n_data:>6} {members:>8} {rate['sequential']:>11.1f} {rate['ensemble']:>9.1f} "
        f"{rate['ensemble'] / rate['sequential']:>6.2f} {evaluation:>11.0%} {direction:>10.0%} "
        f"{max(0.0, 1 - evaluation - direction):>6.0%}"
    )


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n-data", type=int, nargs="+", default=[100, 1000, 5000, 25000])
    parser.add_argument("--members", type=int, nargs="+", default=[1, 12, 36])
    parser.add_argument("--iterations", type=int, default=0, help="a round; by default about 20 s of work in all")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print(f"torch {torch.__version__}, {args.device}, {args.threads} threads; member-iterations per second")
    columns = ("n_data", 6), ("members", 8), ("sequential", 11), ("ensemble", 9), ("ratio", 6)
    columns += ("evaluation", 11), ("direction", 10), ("rest", 6)
    print(" ".join(f"{name:>{width}}" for name, width in columns))
    for n_data in args.n_data:
        for members in args.members:
            iterations = args.iterations or max(2, 20_000 // (n_data + 500))
            print(compare(n_data, members, iterations, args.device), flush=True)


if __name__ == "__main__":
    main()
