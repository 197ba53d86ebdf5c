"""Curves from an L-BFGS solution to an ALM solution of the same cell: Fig. 15."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch

from sciml_lib.landscape import along, bezier, straight, train_bezier
from sciml_lib.landscape.curves import SOLVER
from sciml_lib.studies.base import Arrays, Context, Item, Network, Study
from sciml_lib.studies.cells import CONVECTION

TARGET = "pinn/convection/alm"
"""Where the curves end, at seed 0."""


class Curves(Study):
    """Straight lines and trained Bezier curves from L-BFGS (t = 0) to the augmented Lagrangian (t = 1).

    ``same``: both have the same seed. ALM begins with the very training that L-BFGS goes through, so its solution is what
    became of that one. ``other``: the L-BFGS solution is that of another seed. The paper's cell has beta = 40 and 10,000
    points; the profile `laptop` takes cells of its maps.
    """

    id = "curves"
    title = "Straight lines and Bezier curves from L-BFGS to ALM"

    def items(self, profile: str) -> tuple[Item, ...]:
        """Both kinds of pairs; an item's seed is that of the L-BFGS end."""
        cells = {"smoke": ((5.0, 100),), "laptop": ((30.0, 1000), (50.0, 1000), (30.0, 2000)), "paper": ((50.0, 10_000),)}
        pairs = (("same", 0), ("other", 1))
        return tuple(Item(CONVECTION, c, n, seed, variant) for c, n in cells[profile] for variant, seed in pairs)

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
        """Both ends of the curve."""
        return ((item.sweep, item.cell), (TARGET, item.cell._replace(seed=0)))

    def groups(self, items: Sequence[Item]) -> list[list[Item]]:
        """The curves of one cell."""
        cells: dict[tuple[float, int], list[Item]] = {}
        for item in items:
            cells.setdefault((item.coefficient, item.n_data), []).append(item)
        return list(cells.values())

    def compute(self, group: Sequence[Item], profile: str, context: Context) -> Iterator[tuple[Item, Arrays]]:
        """The group's curves together."""
        recipe = self.recipe(profile)
        solver = replace(SOLVER, max_iterations=recipe["iterations"])
        problem, a = context.problem(group), context.trained(group)
        b = context.trained([replace(item, sweep=TARGET, seed=0) for item in group])
        fit = train_bezier(problem, a, b, points=recipe["points"], solver=solver, progress=False)
        t = torch.linspace(0.0, 1.0, recipe["shown"], dtype=torch.float64)
        curves = {"bezier": bezier(a, fit.middle, b, t), "straight": straight(a, b, t)}
        values = {
            f"{name}_{quantity}": along(function, points)
            for name, points in curves.items()
            for quantity, function in (("loss", problem.value), ("error", problem.test_error))
        }
        for i, item in enumerate(group):
            yield item, {"t": t.numpy()} | {name: part[:, i].double().cpu().numpy() for name, part in values.items()}
