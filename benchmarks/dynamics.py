"""Neural ODEs on the pendulum, as one ensemble of mixed horizons and one run after the other, interleaved in one run.

    python benchmarks/dynamics.py                 # the default table, about two minutes
    python benchmarks/dynamics.py --members 192 --families pinode --work adam
    python benchmarks/dynamics.py --quick         # seconds; the figures mean nothing

The plain programs are in ``sequential.py``: one ``nn.Sequential`` at a time, its trajectory cut into slices of 32 steps
for ``torch.optim.Adam`` with ``ExponentialLR``, or whole for ``torch.optim.LBFGS`` with strong Wolfe search. Networks,
losses, recipes and the grid of damping, horizon and seed are those of the stored sweeps; an ensemble of 8, 16, ... members has
every horizon of the grid as often as every other. Both sides have the same number of threads, start from the same
weights in float32, and take turns.

A row gives milliseconds of a run one by one and in the ensemble, and the ratio. What a run is, and what is measured of it:

    adam        600 epochs of 13 updates. Some of the epochs are measured and scaled to all of them, since updates cost the
                same all along; the ensemble does the same updates of all its members
    lbfgs       60 iterations of the whole batch, about the number after which the tolerances of Table 4 end a run (20 to
                105); all are measured. Ours go on until the members have done so many on average

Both begin anew in each of three rounds, and the mean counts. One by one, eight runs that stand for all horizons are
timed (fewer in a smaller ensemble): the speed of a run does not depend on how many follow. On a CPU these networks are too
small for the plain programs to gain from a second thread; two of them side by side, of one thread each, would halve their
column.

That both sides do the same is checked first: the same work in float64 (of L-BFGS the first 12 iterations, since its
trajectories part soon), after which the losses of the runs that are timed must agree to rounding. The largest relative
difference is in the last column, and the program stops where it exceeds 1e-9. Of speed nothing is asserted: the
machine decides, the ratio is the result.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from ensemble import Ensemble, Side, race
from sequential import PlainAdam, PlainLBFGS, PlainTrajectory, Run, Sequential
from torch import Tensor

from sciml_lib import systems
from sciml_lib.problems import NeuralODE
from sciml_lib.strategies import Stage
from sciml_lib.sweeps.catalog import PENDULUM_AXES, PENDULUM_SEEDS, SETUPS
from sciml_lib.sweeps.table4 import TABLE_4_ADAM, TABLE_4_LBFGS

ENDLESS = 10**9
FEW = 8  # members on which the plain programs are timed, one of each horizon
ROUNDS = 3
CHECKED = 12  # iterations of L-BFGS after which both sides must agree
ROUNDING = 1e-9
WORK = {"node": ("adam",), "pinode": ("adam", "lbfgs")}
"""What is compared for which family: what the stored sweeps train it by."""


@dataclass(frozen=True)
class Comparison:
    """Both sides of one row.

    Attributes:
        family: ``node`` (data only, states on the sphere) or ``pinode`` (with the true field).
        work: ``adam`` or ``lbfgs``.
        members: M.
        epochs: of Adam that are measured.
        iterations: of an L-BFGS run.
    """

    family: str
    work: str
    members: int
    epochs: int = 24
    iterations: int = 60
    device: str = "cpu"

    @property
    def cells(self) -> list[tuple[float, int, int]]:
        """Coefficient, amount of data and seed of the members, the short horizons first as in a sweep.

        They are taken from the grid so that the amounts of data, then the coefficients, then the seeds change fastest.
        """
        coefficients, amounts = PENDULUM_AXES[self.family]
        grid = [
            (coefficients[(i + shift) % len(coefficients)], n, seed)
            for seed in PENDULUM_SEEDS
            for shift in range(len(coefficients))
            for i, n in enumerate(reversed(amounts))
        ]
        return sorted(grid[: self.members], key=lambda cell: cell[1])

    @property
    def few(self) -> list[int]:
        """The members that are also trained one by one."""
        return torch.linspace(0, self.members - 1, min(self.members, FEW)).round().long().tolist()

    @property
    def stretch(self) -> int:
        """Updates or iterations that are measured at a time."""
        return self.epochs * TABLE_4_ADAM.updates if self.work == "adam" else self.iterations

    @property
    def run(self) -> int:
        """Updates or iterations of a whole run."""
        return TABLE_4_ADAM.epochs * TABLE_4_ADAM.updates if self.work == "adam" else self.iterations

    def problem(self, dtype: torch.dtype = torch.float32) -> NeuralODE:
        """The members, as a sweep has them, in this type."""
        coefficients, amounts, _ = zip(*self.cells, strict=True)
        system, setup = systems.get("pendulum"), SETUPS[self.family]
        network = setup.network(system)
        options = {"physics": setup.physics, "scaled": setup.scaled, "representation": setup.representation}
        return NeuralODE(system, network, coefficients, amounts, **options, device=self.device, dtype=dtype)

    def start(self, problem: NeuralODE) -> Tensor:
        """Initial weights, ``[M, P]``."""
        return problem.init([seed for _, _, seed in self.cells])

    def sides(self, problem: NeuralODE, length: int = ENDLESS) -> dict[str, Side]:
        """Both sides at the beginning of their runs; ours ends a member after so many updates or iterations."""
        start = self.start(problem)
        plain = Sequential([self.plain(PlainTrajectory(problem, i, start[i])) for i in self.few])
        return {"sequential": plain, "ensemble": Ensemble(self.stage(length), problem, start)}

    def stage(self, length: int) -> Stage:
        """The library's optimiser, for so many updates or iterations."""
        if self.work == "adam":
            return replace(TABLE_4_ADAM, epochs=-(-length // TABLE_4_ADAM.updates))
        return replace(TABLE_4_LBFGS, max_iterations=length, max_evaluations=10 * length, tolerance_change=0.0)

    def plain(self, member: PlainTrajectory) -> Run:
        """The plain program for one member."""
        if self.work == "lbfgs":
            return PlainLBFGS(member, TABLE_4_LBFGS.history)
        numbers = {name: getattr(TABLE_4_ADAM, name) for name in ("batch_size", "updates", "learning_rate")}
        return PlainAdam(member, **numbers, decay=TABLE_4_ADAM.schedule.factor)

    def difference(self) -> float:
        """How far the losses of the same runs on both sides are from each other in the end, the largest relative one."""
        problem = self.problem(torch.float64)
        length = self.stretch if self.work == "adam" else min(self.iterations, CHECKED)
        plain, ours = self.sides(problem, length).values()
        plain.advance(length)
        ours.advance(length if self.work == "adam" else ENDLESS)
        few = problem.select(self.few)
        one_by_one, together = few.value(plain.params), few.value(ours.params[self.few])
        return ((together - one_by_one).abs() / one_by_one).max().item()

    def seconds(self) -> Mapping[str, float]:
        """What a run costs on either side."""
        problem = self.problem()
        spent = dict.fromkeys(("sequential", "ensemble"), 0.0)
        for _ in range(ROUNDS):
            rate, _ = race(self.sides(problem), self.stretch, problem.coefficients, rounds=1)
            for side in spent:
                spent[side] += self.run / rate[side] / ROUNDS
        return spent


def compare(comparison: Comparison) -> str:
    """One line of the table."""
    difference = comparison.difference()
    if not difference <= ROUNDING:
        sys.exit(f"{comparison}: the losses of both sides differ by {difference:.1e}, so they do not do the same")
    one_by_one, together = (1e3 * seconds for seconds in comparison.seconds().values())
    return (
        f"{comparison.family:>6} {comparison.work:>5} {comparison.members:>8} {one_by_one:>11.2f} {together:>9.2f} "
        f"{one_by_one / together:>6.2f} {difference:>11.0e}"
    )


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, nargs="+", default=[1, 8, 64, 192, 320])
    parser.add_argument("--families", nargs="+", choices=tuple(WORK), default=tuple(WORK))
    parser.add_argument("--work", nargs="+", choices=("adam", "lbfgs"), default=("adam", "lbfgs"))
    parser.add_argument("--epochs", type=int, default=24, help="of Adam that are measured")
    parser.add_argument("--iterations", type=int, default=60, help="of a run of L-BFGS")
    parser.add_argument("--quick", action="store_true", help="1 and 3 members, 2 epochs, 3 iterations: whether it runs")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    if args.quick:
        args.members, args.epochs, args.iterations = [1, 3], 2, 3
    torch.set_num_threads(args.threads)
    print(f"torch {torch.__version__}, {args.device}, {args.threads} threads; milliseconds of a run, see --help")
    print(
        f"measured, {ROUNDS} times: {args.epochs} of {TABLE_4_ADAM.epochs} epochs of adam, all {args.iterations} iterations "
        f"of lbfgs; of all members in the ensemble, of {FEW} at most one by one"
    )
    print(f"family  work {'members':>8} {'sequential':>11} {'ensemble':>9} {'ratio':>6} {'difference':>11}")
    options = {"epochs": args.epochs, "iterations": args.iterations, "device": args.device}
    for family in args.families:
        for work in WORK[family]:
            if work in args.work:
                for members in args.members:
                    print(compare(Comparison(family, work, members, **options)), flush=True)


if __name__ == "__main__":
    main()
