"""Curves from an L-BFGS solution to an ALM solution of the same cell: Fig. 15."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sciml_lib.landscape import along, bezier, straight, train_bezier
from sciml_lib.landscape.curves import SOLVER
from sciml_lib.optim import Status
from sciml_lib.strategies import Snapshot
from sciml_lib.studies.base import Arrays, Context, Item, Network, Study, train_watched
from sciml_lib.studies.cells import CONVECTION

TARGET = "pinn/convection/alm"
"""Where the curves end."""

PAPER_CELL = (40.0, 10_000)
"""Of Fig. 15: speed and number of points."""

OWN_SEEDS = 3
"""Runs of ALM that are joined with their own starts, in each cell."""


class Curves(Study):
    """Straight lines and trained Bezier curves from L-BFGS (t = 0) to the augmented Lagrangian (t = 1).

    ``same``: the stored solution of L-BFGS with that of ALM of the same seed. Where ALM has fewer iterations before its
    constraints than L-BFGS has in all, the former is not the place where ALM set out. ``other``: the L-BFGS solution is that
    of the next seed. ``own``: one run of ALM, from the place where its constraints come in to its end; it is trained once more
    to have that place, so it needs no stored network, and the paper's cell need not be on a map.
    """

    id = "curves"
    title = "Straight lines and Bezier curves from L-BFGS to ALM"

    def items(self, profile: str) -> tuple[Item, ...]:
        """All kinds of pairs; an item's seed is that of the L-BFGS end."""
        cells = {"smoke": ((5.0, 100),), "laptop": ((30.0, 1000), (50.0, 1000), (30.0, 2000)), "paper": ((50.0, 10_000),)}
        own = {"smoke": cells["smoke"], "laptop": (*cells["laptop"], PAPER_CELL), "paper": (PAPER_CELL,)}[profile]
        pairs, seeds = (("same", 0), ("other", 1)), range(1 if profile == "smoke" else OWN_SEEDS)
        return (
            *(Item(CONVECTION, c, n, seed, variant) for c, n in cells[profile] for variant, seed in pairs),
            *(Item(TARGET, c, n, seed, "own") for c, n in own for seed in seeds),
        )

    def recipe(self, profile: str) -> dict[str, Any]:
        """Points of the training grid and of the evaluation, and the solver's iterations."""
        return {
            "smoke": {"points": 5, "iterations": 3, "shown": 7},
            "laptop": {"points": 21, "iterations": 200, "shown": 101},
            "paper": {"points": 51, "iterations": 1_000, "shown": 101},
        }[profile]

    def sweeps(self, profile: str) -> tuple[str, ...]:
        """Those of both ends."""
        return (CONVECTION, TARGET)

    def networks(self, item: Item) -> tuple[Network, ...]:
        """Both ends of the curve; none where the run is trained once more."""
        return () if item.variant == "own" else ((item.sweep, item.cell), (TARGET, item.cell._replace(seed=end_seed(item))))

    def groups(self, items: Sequence[Item]) -> list[list[Item]]:
        """The curves of one cell that have their ends from the same place."""
        cells: dict[tuple[str, float, int], list[Item]] = {}
        for item in items:
            cells.setdefault((item.sweep, item.coefficient, item.n_data), []).append(item)
        return list(cells.values())

    def compute(self, group: Sequence[Item], profile: str, context: Context) -> Iterator[tuple[Item, Arrays]]:
        """The group's curves together.

        ``control``: start, middle point and end of the trained curve, ``[3, P]``; ``status`` and ``iterations``: how its
        training ended; ``run_status``: how the run of ALM ended, where it is trained here.
        """
        recipe = self.recipe(profile)
        solver = replace(SOLVER, max_iterations=recipe["iterations"])
        problem = context.problem(group)
        runs: list[Arrays] = [{}] * len(group)
        if group[0].variant == "own":
            a, b, runs = _own_ends(group, context)
        else:
            a = context.trained(group)
            b = context.trained([replace(item, sweep=TARGET, seed=end_seed(item)) for item in group])
        fit = train_bezier(problem, a, b, points=recipe["points"], solver=solver, progress=False)
        t = torch.linspace(0.0, 1.0, recipe["shown"], dtype=torch.float64)
        curves = {"bezier": bezier(a, fit.middle, b, t), "straight": straight(a, b, t)}
        values = {
            f"{name}_{quantity}": along(function, points)
            for name, points in curves.items()
            for quantity, function in (("loss", problem.value), ("error", problem.test_error))
        }
        control = torch.stack([a, fit.middle, b], dim=1).cpu().numpy()  # [M, 3, P]
        for i, item in enumerate(group):
            rows = {name: part[:, i].double().cpu().numpy() for name, part in values.items()}
            ended = {"status": np.array(Status(int(fit.status[i])).label), "iterations": fit.iterations[i].numpy()}
            yield item, {"t": t.numpy(), "control": control[i]} | rows | ended | runs[i]


def end_seed(item: Item) -> int:
    """The seed of the run of ALM at t = 1."""
    return item.seed - 1 if item.variant == "other" else item.seed


def _own_ends(group: Sequence[Item], context: Context) -> tuple[Tensor, Tensor, list[Arrays]]:
    """Where some runs of ALM are when its constraints come in, where they end, ``[M, P]`` each, and how they ended."""
    plan, starts = context.plan(TARGET), {}
    last = len(plan.strategy.phases) - 1

    def watch(snapshot: Snapshot) -> None:
        if snapshot.phase == last - 1:
            starts.update(zip(snapshot.members, snapshot.params.detach().clone(), strict=True))

    cells = [item.cell for item in group]
    results = train_watched(plan, cells, context.device, watch)
    ended = [results[cell] for cell in cells]
    ends = torch.stack([one.params for one in ended]).to(context.device)
    return torch.stack([starts[i] for i in range(len(cells))]), ends, [{"run_status": np.array(one.status)} for one in ended]
