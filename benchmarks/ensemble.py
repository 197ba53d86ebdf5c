"""The ensemble against the loop one would otherwise write, on the same problem, interleaved in one run.

    python benchmarks/ensemble.py                 # the default table, some minutes
    python benchmarks/ensemble.py --n-data 100 1000 --members 1 8 36 --iterations 30

The loop (``sequential.py``): one ``nn.Module`` at a time, derivatives by nested ``autograd.grad``,
``torch.optim.LBFGS`` with strong Wolfe search, float32. Both sides start from the same weights, after the same number
of iterations that fill the histories (so that a direction costs what it costs in the middle of a run), and the timed
stretches alternate between them. What is compared is member-iterations per second; a line also has the processor time
of one, how the ensemble's step divides into evaluation, search direction and the rest, and says where the loop wins. Nothing
is asserted: the machine decides, the ratio is the result.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from sequential import Plain, PlainLBFGS, Sequential
from torch import Tensor

from sciml_lib import kernel, systems
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


@dataclass
class Spent:
    """What one side has done, and what it took: wall time, and processor time of all its threads, in seconds."""

    done: int = 0
    wall: float = 0.0
    processor: float = 0.0


def raced(sides: Mapping[str, Side], iterations: int, on: Tensor, rounds: int = 3) -> dict[str, Spent]:
    """What every side did; they take turns, and ``on`` says by where it lives whose clock counts."""
    spent = {name: Spent() for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            start, processor = _now(on), time.process_time()
            spent[name].done += side.advance(iterations)
            spent[name].wall += _now(on) - start
            spent[name].processor += time.process_time() - processor
    return spent


def race(sides: Mapping[str, Side], iterations: int, on: Tensor, rounds: int = 3) -> tuple[dict[str, float], dict[str, float]]:
    """Work per second and seconds of every side, see :func:`raced`."""
    spent = raced(sides, iterations, on, rounds)
    return {name: one.done / one.wall for name, one in spent.items()}, {name: one.wall for name, one in spent.items()}


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
    spent = raced(sides, iterations, params, rounds)
    plain, ours = spent["sequential"], spent["ensemble"]
    evaluation, direction = clocked.seconds / ours.wall, ClockedLBFGS.seconds / ours.wall
    ratio = (ours.done / ours.wall) / (plain.done / plain.wall)
    return (
        f"{n_data:>6} {members:>8} {plain.done / plain.wall:>11.1f} {ours.done / ours.wall:>9.1f} {ratio:>6.2f} "
        f"{1e3 * plain.processor / plain.done:>9.2f} {1e3 * ours.processor / ours.done:>9.2f} {evaluation:>11.0%} "
        f"{direction:>10.0%} {max(0.0, 1 - evaluation - direction):>6.0%}" + ("  the loop wins" if ratio < 1 else "")
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
    engine = "eager" if args.device != "cpu" or kernel.get() is None else "fused"
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(
        f"torch {torch.__version__}, {args.device} ({engine}), {args.threads} threads, load {load:.1f}; member-iterations per "
        "second, and processor milliseconds of all threads for one"
    )
    columns = ("n_data", 6), ("members", 8), ("sequential", 11), ("ensemble", 9), ("ratio", 6), ("seq ms", 9), ("ens ms", 9)
    columns += ("evaluation", 11), ("direction", 10), ("rest", 6)
    print(" ".join(f"{name:>{width}}" for name, width in columns))
    for n_data in args.n_data:
        for members in args.members:
            iterations = args.iterations or max(2, 20_000 // (n_data + 500))
            print(compare(n_data, members, iterations, args.device), flush=True)


if __name__ == "__main__":
    main()
