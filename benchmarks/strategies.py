"""The strategies of Table 2 as ensembles, against the plain programs one would otherwise write.

    python benchmarks/strategies.py               # the default table, some minutes
    python benchmarks/strategies.py --n-data 1000 --members 8 --strategies nncg products

Everything is the convection equation with three hidden layers of 50, in float32. The plain programs are in
``sequential.py``: one network at a time, nested ``autograd.grad``, ``torch.optim.LBFGS``. Both sides do the same work
from the same weights (``tests/test_benchmarks.py`` holds their results together), and their timed stretches alternate.
The sequential side is timed on at most four members, since its speed per member does not depend on how many follow. A
row gives work per second on either side and the ratio; what the unit of work is depends on the row:

    lbfgs       an iteration of one member, with full histories
    alm         an iteration of one member; multipliers, penalty and a fresh optimiser every so many iterations
    ropinn      an iteration of one member, in calls of 20; points drawn anew for every evaluation
    level        an iteration of one member on a curriculum's level, each with fresh points and a fresh optimiser
    row         the training of one member to its own coefficient, all levels below it included, over a row of six
                coefficients; the ensemble trains a level once for all that pass it, the plain program once for each
    nncg        a Newton step of one member; sketches and iterations of conjugate gradients are equal in number
    products    a product with one member's Hessian, everything that does not depend on the vector computed before

The damping of ``nncg`` is raised so far that no negative curvature ends a solve, and the tolerance lowered so far that
no residual does (a row in which one did says so): what is compared is speed, not where the steps lead. A second table
has the time of an evaluation (loss and gradient) of the other equations, divided by that of convection with as many
points and members. Nothing is asserted: the machine decides, the ratio is the result.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from ensemble import BETA, Ensemble, Side, race
from sequential import Plain, PlainALM, PlainCurriculum, PlainLBFGS, PlainNNCG, PlainProducts, PlainRoPINN, Run, Sequential
from torch import Tensor

from sciml_lib import systems
from sciml_lib.models import MLP
from sciml_lib.optim import LBFGS, Status
from sciml_lib.problems import PINN
from sciml_lib.strategies import NNCG, AugmentedLagrangian, Curriculum, RoPINN, Stage, Strategy, train

ENDLESS = 10**9
FEW = 4  # members on which the sequential side is timed
WARM = 110  # iterations that fill the histories
EQUATIONS = {"convection": BETA, "reaction": 5.0, "reaction-diffusion": 5.0, "wave": 2.0}

# A laptop's convection row with a tenth of the levels: the coefficients, and levels in steps of 5 up to the highest.
ROW = (5.0, 10.0, 20.0, 30.0, 50.0, 70.0)
LADDER = {"n_stages": 14, "step": 5.0}


def lbfgs(iterations: int) -> LBFGS:
    """L-BFGS that does exactly so many iterations."""
    return LBFGS(max_iterations=iterations, max_evaluations=10 * iterations, tolerance_change=0.0)


@dataclass(frozen=True)
class Comparison:
    """Both sides of every row, for one number of points and of members.

    Attributes:
        n_data: residual points.
        members: M.
        iterations: of a timed stretch, of a call of the augmented Lagrangian and of a level.
        rank: of the sketches; cg_iterations: of a Newton step; refresh: steps that a sketch serves; damping: mu.
    """

    n_data: int
    members: int
    iterations: int = 60
    rank: int = 50
    cg_iterations: int = 10
    refresh: int = 5
    damping: float = 10.0
    device: str = "cpu"
    dtype: torch.dtype = torch.float32

    def problem(self, equation: str = "convection") -> PINN:
        """M members of one equation."""
        system, coefficients = systems.get(equation), [EQUATIONS[equation]] * self.members
        return PINN(system, MLP(), coefficients, self.n_data, device=self.device, dtype=self.dtype)

    @cached_property
    def start(self) -> Tensor:
        """Weights after an ordinary training, ``[M, P]``."""
        problem = self.problem()
        return Ensemble(lbfgs(ENDLESS), problem, problem.init(range(self.members)), WARM).params

    def sides(self, work: str) -> tuple[Side, Side, int]:
        """The sequential and the ensemble's side, and how much of its work a stretch is."""
        if work == "row":
            return PlainRow(self), EnsembleRow(self), max(1, self.iterations // 6)
        plain = Sequential(self.runs(work))
        if work == "products":
            return plain, EnsembleProducts(self.problem(), self.start, self.vectors()), 3 * self.cg_iterations
        if work == "level":
            return plain, EnsembleCurriculum(self.levels(self.problem()), self.start), self.iterations
        ours = Ensemble(self.stage(work, ENDLESS), self.problem(), self.start)
        if work in ("lbfgs", "ropinn"):  # what keeps its history has a full one when the clock starts
            plain.advance(WARM)
            ours.advance(WARM)
        return plain, ours, self.refresh if work == "nncg" else self.iterations

    def stage(self, work: str, length: int) -> Stage:
        """The library's optimiser, for so many iterations, calls or Newton steps."""
        if work == "alm":
            return AugmentedLagrangian(outer=length, inner=lbfgs(self.iterations), weight=((0.0, 500.0),))
        if work == "ropinn":  # Table 2, without a tolerance that could end a call early
            return RoPINN(calls=length, solver=LBFGS(max_iterations=20, max_evaluations=25, tolerance_change=0.0))
        if work == "nncg":
            return NNCG(steps=length, cg_tolerance=1e-30, **self._newton)
        return lbfgs(length)

    def runs(self, work: str) -> list[Run]:
        """The plain programs, at the same weights."""
        problem, few = self.problem(), range(min(self.members, FEW))
        members = [Plain(problem, i, self.start[i]) for i in few]
        if work == "alm":
            ours = self.stage(work, 1)
            options = {"weight": ours.weight[0][1], "penalty": ours.penalty, "growth": ours.growth}
            return [PlainALM(member, self.iterations, **options) for member in members]
        if work == "ropinn":
            ours = self.stage(work, 1)
            return [PlainRoPINN(member, ours.initial_region, ours.window, ours.max_region) for member in members]
        if work == "level":
            return [PlainCurriculum(member, self.levels(problem.select([i]))) for i, member in zip(few, members, strict=True)]
        if work == "nncg":
            return [PlainNNCG(member, **self._newton) for member in members]
        if work == "products":
            vectors = self.vectors()
            return [
                PlainProducts(PlainNNCG(member, **self._newton), vectors[:, i]) for i, member in zip(few, members, strict=True)
            ]
        return [PlainLBFGS(member) for member in members]

    def solved_whole(self, plain: Sequential, ours: Ensemble) -> bool:
        """Whether every solve of both sides did all its iterations of conjugate gradients."""

        def products(steps: int) -> int:  # the first solve starts from zero, the others from the last direction
            return self.rank * -(-steps // self.refresh) + steps * (self.cg_iterations + 1) - 1

        # Beside products, a step of ours counts its gradient and at least one trial of the line search.
        enough = [products(int(steps)) + 2 * int(steps) for steps in ours.state.iterations]
        ours_did = all(done >= wanted for done, wanted in zip(ours.state.evaluations.tolist(), enough, strict=True))
        return ours_did and all(run.products == products(run.steps) for run in plain.runs)

    @property
    def _newton(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("rank", "refresh", "damping", "cg_iterations")}

    @staticmethod
    def levels(problem: PINN) -> list[PINN]:
        """The problem on every level of the ladder."""
        return [phase.view(problem) for phase in Curriculum(**LADDER).phases]

    def vectors(self) -> Tensor:
        """Directions for products, ``[8, M, P]``."""
        shape = 8, *self.start.shape
        return torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(self.start)


class EnsembleCurriculum:
    """Levels, each trained by all members side by side; who has ended one leaves its slot."""

    def __init__(self, levels: list[PINN], params: Tensor) -> None:
        self.levels, self.params, self.next = levels, params.clone(), 0

    def advance(self, iterations: int) -> int:
        """One level."""
        level, stage, done = self.levels[self.next % len(self.levels)], lbfgs(iterations), 0
        self.next += 1
        slots = torch.arange(len(level))
        state = stage.init(level, self.params)
        while len(slots):
            state = stage.step(level.select(slots), state)
            ended = state.status != Status.RUNNING
            if ended.any():
                self.params[slots[ended]] = state.params[ended.to(state.params.device)]
                done += int(state.iterations[ended].sum())
                state, slots = state.select((~ended).nonzero()[:, 0]), slots[~ended]
        return done


class PlainRow:
    """One seed of a row of coefficients, each trained all the way from the lowest level."""

    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison
        self.problem = PINN(
            systems.get("convection"), MLP(), ROW, comparison.n_data, device=comparison.device, dtype=comparison.dtype
        )
        self.params = self.problem.init([0] * len(ROW))

    def advance(self, iterations: int) -> int:
        """A whole row with so many iterations on each level."""
        phases = Curriculum(**LADDER, solver=lbfgs(iterations)).phases
        ended = []
        for i, coefficient in enumerate(ROW):
            own = self.problem.select([i])
            levels = [phase.view(own) for phase in phases if phase.coefficient < coefficient]
            run = PlainCurriculum(Plain(own, 0, self.problem.init([0])[0]), [*levels, own])
            for _ in run.levels:
                run.advance(iterations)
            ended.append(run.member.flat())
        self.params = torch.stack(ended)
        return len(ROW)


class EnsembleRow:
    """The same row with M seeds, by the library's loop."""

    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison
        self.seeds = [seed for _ in ROW for seed in range(comparison.members)]
        coefficients = [coefficient for coefficient in ROW for _ in range(comparison.members)]
        self.problem = PINN(
            systems.get("convection"), MLP(), coefficients, comparison.n_data, device=comparison.device, dtype=comparison.dtype
        )
        self.params = self.problem.init(self.seeds)

    def advance(self, iterations: int) -> int:
        """A whole row with so many iterations on each level."""
        solver = lbfgs(iterations)
        strategy = Strategy((Curriculum(**LADDER, solver=solver), solver))
        results = {}
        train(self.problem, self.seeds, strategy, on_result=results.__setitem__)
        self.params = torch.stack([results[i].params for i in range(len(self.seeds))])
        return len(results)


class EnsembleProducts:
    """Products with the Hessians of all members at one point."""

    def __init__(self, problem: PINN, params: Tensor, vectors: Tensor) -> None:
        self.vectors = vectors
        _, _, self.product = problem.linearised(params)

    def advance(self, iterations: int) -> int:
        """So many products with every Hessian."""
        for i in range(iterations):
            self.product(self.vectors[i % len(self.vectors)])
        return iterations * self.vectors.shape[1]


class Evaluations:
    """Loss and gradient of one equation at fixed weights."""

    def __init__(self, problem: PINN) -> None:
        self.problem, self.params = problem, problem.init(range(len(problem)))
        self.advance(1)  # buffers

    def advance(self, iterations: int) -> int:
        """So many evaluations of every member."""
        for _ in range(iterations):
            self.problem.value_and_grad(self.params)
        return iterations * len(self.problem)


WORK = ("lbfgs", "alm", "ropinn", "level", "row", "nncg", "products")


def compare(comparison: Comparison, work: str) -> str:
    """One line of the first table."""
    plain, ours, stretch = comparison.sides(work)
    rate, _ = race({"sequential": plain, "ensemble": ours}, stretch, comparison.start)
    whole = work != "nncg" or comparison.solved_whole(plain, ours)
    return (
        f"{comparison.n_data:>6} {comparison.members:>8} {work:>10} {rate['sequential']:>11.2f} {rate['ensemble']:>9.2f} "
        f"{rate['ensemble'] / rate['sequential']:>6.2f}"
        + ("" if whole else "  (some solves ended early: choose more damping or fewer iterations)")
    )


def equations(comparison: Comparison) -> str:
    """One line of the second table."""
    sides = {name: Evaluations(comparison.problem(name)) for name in EQUATIONS}
    rate, _ = race(sides, max(1, comparison.iterations // 3), comparison.start)
    ratios = [f"{rate['convection'] / rate[name]:>{max(8, len(name))}.2f}" for name in EQUATIONS if name != "convection"]
    return f"{comparison.n_data:>6} {comparison.members:>8} {1e3 / rate['convection']:>13.2f} {' '.join(ratios)}"


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n-data", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--members", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--strategies", nargs="+", choices=(*WORK, "equations"), default=(*WORK, "equations"))
    parser.add_argument("--iterations", type=int, default=60, help="a stretch, a call of ALM, a level (a sixth in a row)")
    parser.add_argument("--rank", type=int, default=50, help="of the sketches")
    parser.add_argument("--cg-iterations", type=int, default=10, help="a Newton step")
    parser.add_argument("--refresh", type=int, default=5, help="Newton steps that a sketch serves")
    parser.add_argument("--damping", type=float, default=10.0, help="of the Newton steps")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print(f"torch {torch.__version__}, {args.device}, {args.threads} threads; work per second, see --help for its unit")
    options = {name: getattr(args, name) for name in ("iterations", "rank", "cg_iterations", "refresh", "damping", "device")}
    print(", ".join(f"{name} {value}" for name, value in options.items() if name != "device"))
    shapes = [Comparison(n_data, members, **options) for n_data in args.n_data for members in args.members]
    chosen = [work for work in WORK if work in args.strategies]
    if chosen:
        print(f"{'n_data':>6} {'members':>8} {'work':>10} {'sequential':>11} {'ensemble':>9} {'ratio':>6}")
        for comparison in shapes:
            for work in chosen:
                print(compare(comparison, work), flush=True)
    if "equations" in args.strategies:
        print("milliseconds of one member's loss and gradient for convection, and multiples of it for the others")
        print(f"{'n_data':>6} {'members':>8} {'convection':>13} " + " ".join(f"{name:>8}" for name in list(EQUATIONS)[1:]))
        for comparison in shapes:
            print(equations(comparison), flush=True)


if __name__ == "__main__":
    main()
