"""A training step of the Fourier neural operator, and the making of its data; both sides take turns in one run.

    python benchmarks/operators.py                 # the default table, about two minutes
    python benchmarks/operators.py --quick         # seconds; the figures mean nothing

The plain program is how the operator is usually written: ``torch.fft.rfft2``, an ``einsum`` with complex weights for each of
the two corners of the spectrum, ``irfft2``, and ``torch.optim.Adam``. Both sides start from the same weights and see the same
batches. A row gives milliseconds of a step on either side, the median over all rounds, and their ratio. That both do the same
is checked first: the same steps in float64, after which the weights must agree; the largest relative difference is in the last
column, and the program stops where it exceeds 1e-9. Of speed nothing is asserted: the machine decides.

The last lines give the samples of either system that one processor makes in a second, solved on 128 x 128 points.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sciml_lib.models import FNO2d
from sciml_lib.problems import OperatorLearning
from sciml_lib.strategies import MiniBatchAdam
from sciml_lib.systems import AdvectionDiffusion, Poisson

ROUNDING = 1e-9
RATE = 4e-3
ENDLESS = 10**9


class PlainOperator(nn.Module):
    """The operator with complex weights and the fast transform, ``[B, C, n, n]`` to ``[B, n, n]``."""

    def __init__(self, model: FNO2d, params: Tensor):
        """Takes the weights from a row of parameters ``[P]``."""
        super().__init__()
        self.model = model
        values = {name: part[0] for name, part in model.split(params[None]).items()}
        self.linear = nn.ParameterDict()
        self.waves = nn.ParameterList()
        for name, value in values.items():
            if name.endswith("waves"):
                real, imaginary = value.split(model.width, dim=1)
                shape = 2, model.modes, model.modes, model.width, model.width
                weight = torch.complex(real, imaginary).view(shape).permute(0, 4, 3, 1, 2)  # [corner, in, out, kx, ky]
                self.waves.append(nn.Parameter(weight.contiguous()))
            else:
                self.linear[name.replace(".", "_")] = nn.Parameter(value.clone())

    def forward(self, fields: Tensor) -> Tensor:
        """Evaluates the operator."""
        m, n = self.model.modes, fields.shape[-1]
        h = self._map("lift", fields)
        for k, weight in enumerate(self.waves):
            hat = torch.fft.rfft2(h, norm="ortho")
            out = torch.zeros_like(hat)
            for corner, rows in enumerate((slice(m), slice(-m, None))):
                out[:, :, rows, :m] = torch.einsum("bixy,ioxy->boxy", hat[:, :, rows, :m], weight[corner])
            h = self._map(f"layer{k}", h) + torch.fft.irfft2(out, s=(n, n), norm="ortho")
            if k < len(self.waves) - 1:
                h = nn.functional.gelu(h)
        return self._map("out", nn.functional.gelu(self._map("head", h)))[:, 0]

    def _map(self, name: str, h: Tensor) -> Tensor:
        return nn.functional.conv2d(h, self.linear[f"{name}_weight"][:, :, None, None], self.linear[f"{name}_bias"])

    def row(self) -> Tensor:
        """The weights as a row of parameters ``[P]``."""
        parts = []
        waves = iter(self.waves)
        for name in self.model.tensors:
            if name.endswith("waves"):
                weight = next(waves).detach().permute(0, 3, 4, 2, 1).flatten(0, 2)  # [K, out, in]
                parts.append(torch.cat([weight.real, weight.imag], dim=1).ravel())
            else:
                parts.append(self.linear[name.replace(".", "_")].detach().ravel())
        return torch.cat(parts)


@dataclass(frozen=True)
class Comparison:
    """Both sides of one row.

    Attributes:
        side: points along each axis.
        width: of the network.
        modes: of the network.
        batch: samples of a step.
        batches: of an epoch.
    """

    side: int
    width: int
    modes: int
    batch: int
    batches: int = 2

    def problem(self, dtype: torch.dtype) -> OperatorLearning:
        """One run."""
        model = FNO2d(width=self.width, modes=self.modes)
        options = {"every": 128 // self.side, "mixed": True, "n_validation": 1, "dtype": dtype}
        return OperatorLearning(Poisson(), model, [2.5], self.batch * self.batches, **options)

    def sides(self, dtype: torch.dtype) -> tuple[dict[str, Callable[[], None]], Callable[[], tuple[Tensor, Tensor]]]:
        """A step of either side, and what gives the weights ``[P]`` of both."""
        problem = self.problem(dtype)
        start = problem.init([0])
        stage = MiniBatchAdam(epochs=ENDLESS, batch_size=self.batch, learning_rate=RATE)
        state = stage.init(problem, start)
        plain = PlainOperator(problem.model, start[0])
        optimiser = torch.optim.Adam(plain.parameters(), lr=RATE)
        parts = [problem.minibatch(torch.tensor([k]), self.batch).batches[0] for k in range(self.batches)]
        samples = [(one.fields.movedim(-1, 0).contiguous(), one.solution.movedim(-1, 0).contiguous()) for one in parts]
        done = 0

        def ours() -> None:
            stage.step(problem, state)

        def theirs() -> None:
            nonlocal done
            fields, solution = samples[done % self.batches]
            done += 1
            optimiser.zero_grad()
            ((plain(fields) - solution).square().sum() / self.batch).backward()
            optimiser.step()

        return {"plain": theirs, "ours": ours}, lambda: (plain.row(), state.params[0])

    def difference(self, steps: int = 4) -> float:
        """How far the weights of both sides are from each other after some steps in float64."""
        sides, rows = self.sides(torch.float64)
        for _ in range(steps):
            for step in sides.values():
                step()
        one, other = rows()
        return ((one - other).norm() / one.norm()).item()

    def milliseconds(self, rounds: int) -> dict[str, float]:
        """What a step costs on either side, the median."""
        sides, _ = self.sides(torch.float32)
        spent: dict[str, list[float]] = {name: [] for name in sides}
        for k in range(rounds + 2):  # the first two warm up
            for name, step in sides.items():
                began = time.perf_counter()
                step()
                if k >= 2:
                    spent[name].append(1e3 * (time.perf_counter() - began))
        return {name: statistics.median(times) for name, times in spent.items()}


def compare(comparison: Comparison, rounds: int) -> str:
    """One line of the table."""
    difference = comparison.difference()
    if not difference <= ROUNDING:
        sys.exit(f"{comparison}: the weights of both sides differ by {difference:.1e}, so they do not do the same")
    found = comparison.milliseconds(rounds)
    return (
        f"{comparison.side:>4} {comparison.width:>6} {comparison.modes:>6} {comparison.batch:>6} {found['plain']:>9.1f} "
        f"{found['ours']:>9.1f} {found['plain'] / found['ours']:>6.2f} {difference:>11.0e}"
    )


def per_second(system: Poisson | AdvectionDiffusion, n: int, every: int) -> float:
    """Samples that one processor makes in a second."""
    recipe = system.samples(system.ranges[0][0], n, "train", every=every)
    began = time.process_time()
    recipe.generate()
    return n / (time.process_time() - began)


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40, help="steps that are timed")
    parser.add_argument("--quick", action="store_true", help="the smallest network and two steps: whether it runs")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    rows = [(32, 16, 12, 32), (16, 16, 8, 32), (128, 16, 16, 16)]
    if args.quick:
        args.rounds, rows = 2, [(16, 4, 4, 4)]
    print(f"torch {torch.__version__}, {args.threads} threads; milliseconds of a training step, median of {args.rounds}")
    print(f"side  width  modes  batch {'plain':>9} {'ours':>9}  ratio  difference")
    for row in rows:
        print(compare(Comparison(*row), args.rounds), flush=True)
    n = 32 if args.quick else 1024
    for system in (Poisson(), AdvectionDiffusion()):
        per_second(system, 1, 4)  # the table of proportions is made once
        speed = ", ".join(f"{per_second(system, n, every):,.0f} on {128 // every} x {128 // every}" for every in (1, 4))
        print(f"samples of {system.name} in a second: {speed}")


if __name__ == "__main__":
    main()
