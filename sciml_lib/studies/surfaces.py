"""Surfaces of the loss around trained networks: Figs. 5(a,b) and 13."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sciml_lib.landscape import HessianOperator, adaptive_radius, lanczos, normalised, random_directions, surface
from sciml_lib.problems import Problem
from sciml_lib.studies.base import Arrays, Context, Item, Study
from sciml_lib.studies.cells import CONVECTION, REACTION_DIFFUSION, SMOKE, items

RADIUS = 0.05
"""Of the axes of the paper's Fig. 5; its text gives none."""

RISE = 100.0
"""The wide surfaces reach to where the loss has risen so many times along the first direction."""


class Surfaces(Study):
    """Losses on a square grid in the plane of two directions, scaled tensor by tensor as in the released code.

    ``eigen``: along the two leading eigenvectors, to the paper's radius. ``random``: along two random directions, to the
    same radius. ``wide``: along the eigenvectors again, as far as the loss has risen a hundredfold.
    """

    id = "surfaces"
    title = "Surfaces of the training loss around trained networks"

    def items(self, profile: str) -> tuple[Item, ...]:
        """Every network with every choice of directions."""
        variants = ("eigen", "random", "wide")
        if profile == "smoke":
            return items(SMOKE, {CONVECTION: 1, REACTION_DIFFUSION: 1}, variants)
        cells = {CONVECTION: ((5.0, 100), (50.0, 500)), REACTION_DIFFUSION: ((5.0, 1000), (15.0, 1000))}
        return items(cells, {CONVECTION: 3, REACTION_DIFFUSION: 2}, variants)

    def recipe(self, profile: str) -> dict[str, Any]:
        """Points a side, radius, scaling."""
        resolution = {"smoke": 7, "laptop": 51, "paper": 401}[profile]
        return {"resolution": resolution, "radius": RADIUS, "rise": RISE, "scaling": "tensor"}

    def compute(self, group: Sequence[Item], profile: str, context: Context) -> Iterator[tuple[Item, Arrays]]:
        """One surface after the other."""
        recipe = self.recipe(profile)
        for item in group:
            problem, center = context.problem([item]), context.trained([item])
            if item.variant == "random":
                values, directions = np.full(2, np.nan), random_directions(center[0], item.seed)
            else:
                pairs = lanczos(HessianOperator.of_problem(problem, center), 2, seeds=[item.seed])
                values, directions = pairs.values[0].numpy(), pairs.vectors[0]
            sweep = context.plan(item.sweep).sweep
            shapes = sweep.setup.shapes(sweep.system)
            directions = normalised(directions, center[0], shapes, recipe["scaling"])

            def loss(points: Tensor, problem: Problem = problem) -> Tensor:
                return problem.select([0] * len(points)).value(points)

            radius = recipe["radius"]
            if item.variant == "wide":
                radius = adaptive_radius(loss, center[0], directions[0], rise=recipe["rise"])
            options = {"radius": radius, "resolution": recipe["resolution"], "chunk": _chunk(problem)}
            found = surface(loss, center[0], directions, progress=False, **options)
            arrays = {"alpha": found.alpha, "beta": found.beta, "loss": found.loss}
            yield item, {name: torch.as_tensor(part).numpy() for name, part in arrays.items()} | {"eigenvalues": values}


def _chunk(problem: Problem) -> int:
    """Points that are evaluated at a time: those that share the evaluation buffers."""
    return max(1, min(256, problem.group_size))
