"""Loss, leading eigenvalue and trace along training: Figs. 7 and 12."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from sciml_lib.landscape import HessianOperator, Recorder, hutch_pp, lanczos
from sciml_lib.optim import Adam
from sciml_lib.studies.base import Arrays, Context, Item, Network, Study, train_watched
from sciml_lib.studies.cells import CONVECTION, SMOKE, items, together
from sciml_lib.sweeps import catalog
from sciml_lib.sweeps.spec import Plan

LAST = 20_000
"""No run of these has more iterations."""


def warm_up(plan: Plan) -> int:
    """Iterations of Adam before the first of L-BFGS."""
    return sum(stage.steps for stage in plan.strategy.stages if isinstance(stage, Adam))


class Trajectories(Study):
    """Points of training at iterations that are evenly spaced on a logarithmic scale, and at the end.

    Where a warm-up comes first its end is one of them, and the spacing begins anew: the paper's figures begin with L-BFGS, and
    of a log scale of 20,000 iterations little would be left for the few hundred that it often needs. Numbers of iterations
    count the warm-up, too.

    The runs are trained once more, by the recipe of their sweep, with somebody watching; that disturbs nothing.
    """

    id = "trajectories"
    title = "Loss, leading eigenvalue and trace along training"

    def items(self, profile: str) -> tuple[Item, ...]:
        """The runs of Fig. 12, and beside them, where it is affordable, that of Fig. 7."""
        if profile == "smoke":
            return items({CONVECTION: SMOKE[CONVECTION]}, {CONVECTION: 2})
        cells = ((5.0, 100), (50.0, 100), (5.0, 1000), (50.0, 1000))
        found = items({CONVECTION: cells}, {CONVECTION: 3 if profile == "laptop" else 5})
        return found + items({CONVECTION: ((5.0, 15_000),)}, {CONVECTION: 3 if profile == "laptop" else 5})

    def recipe(self, profile: str) -> dict[str, Any]:
        """How many points from the start on and from the end of the warm-up on, and the products of a trace."""
        return {"points": 5, "products": 6} if profile == "smoke" else {"points": 40, "later": 20, "products": 30}

    def networks(self, item: Item) -> tuple[Network, ...]:
        """None: the runs are trained once more."""
        return ()

    def plans(self, profile: str) -> tuple[Plan, ...]:
        """The recipe of the runs, for amounts of data beyond a laptop's, too."""
        return (catalog.get(CONVECTION).at("smoke" if profile == "smoke" else "paper"),)

    def groups(self, items: Sequence[Item]) -> list[list[Item]]:
        """All runs with equally much data."""
        return together(list(items))

    def compute(self, group: Sequence[Item], profile: str, context: Context) -> Iterator[tuple[Item, Arrays]]:
        """Trains the runs together, then measures them point by point."""
        recipe = self.recipe(profile)
        # Amounts of data beyond the profile's own are trained by the same recipe.
        (plan,) = self.plans(profile)
        warm = warm_up(plan)
        later = warm + np.geomspace(1, LAST - warm, recipe["later"]) if "later" in recipe else []
        at = np.unique(np.concatenate([[0, warm], np.geomspace(1, LAST, recipe["points"]), later]).round().astype(int)).tolist()
        cells = [item.cell for item in group]
        problem = plan.problem(cells, context.device)
        recorder = Recorder(at=at, start=problem.init([cell.seed for cell in cells]))
        results = train_watched(plan, cells, context.device, recorder)
        for i, item in enumerate(group):
            points = recorder.points[i]
            one = problem.select([i] * len(points))
            params = torch.stack([p for _, p in points]).to(context.device)
            operator = HessianOperator.of_problem(one, params)
            seeds = [item.seed] * len(points)
            pairs, trace = lanczos(operator, seeds=seeds), hutch_pp(operator, products=recipe["products"], seeds=seeds)
            yield (
                item,
                {
                    "iteration": np.array([number for number, _ in points]),
                    "loss": operator.loss.double().cpu().numpy(),
                    "lambda_max": pairs.values[:, 0].numpy(),
                    "residual": pairs.residuals[:, 0].numpy(),
                    "trace": trace.value.numpy(),
                    "trace_error": trace.error.numpy(),
                    "test_error": np.array(results[item.cell].test_error),
                },
            )
