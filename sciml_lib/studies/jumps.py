"""Lengths of steps after the loss has become small: the PINN half of Fig. 14."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from sciml_lib.landscape import Recorder, StepRecorder
from sciml_lib.strategies import Strategy
from sciml_lib.studies.base import Arrays, Context, Item, Network, Study, train_watched
from sciml_lib.studies.cells import CONVECTION, together
from sciml_lib.studies.trajectories import warm_up
from sciml_lib.sweeps import catalog
from sciml_lib.sweeps.spec import Plan

RATES = (0.1, 0.2, 0.4, 0.8)
"""Learning rates, from those of the ResNet in Fig. 14."""


class Jumps(Study):
    """Steps of L-BFGS with several learning rates once the training loss is below a threshold.

    Neither the paper nor the released code says which threshold, how many points, or how many steps the PINNs had; the code
    for the ResNet takes 200 steps. Here: 500 points, the training threshold of Table 5, and the first 200 steps of L-BFGS
    after it was passed; steps of the Adam warm-up, during which an easy run passes it already, are not counted. With a
    strong Wolfe line search the learning rate sets the first trial of a step only.
    """

    id = "jumps"
    title = "Lengths of steps of L-BFGS below a loss threshold"

    def items(self, profile: str) -> tuple[Item, ...]:
        """Every speed, learning rate and seed; the variant names the rate."""
        speeds, n_data, seeds = ((5.0, 20.0), 500, 3) if profile != "smoke" else ((5.0,), 100, 1)
        rates = RATES if profile != "smoke" else RATES[-1:]
        return tuple(
            Item(CONVECTION, beta, n_data, seed, f"eta{rate:g}") for rate in rates for beta in speeds for seed in range(seeds)
        )

    def recipe(self, profile: str) -> dict[str, Any]:
        """The threshold of the loss, the number of steps, and how often the loss is looked at."""
        if profile == "smoke":
            return {"threshold": 10.0, "steps": 20, "every": 5}
        return {"threshold": 3.80e-3, "steps": 200, "every": 10}

    def networks(self, item: Item) -> tuple[Network, ...]:
        """None: the runs are trained once more."""
        return ()

    def plans(self, profile: str) -> tuple[Plan, ...]:
        """The recipe of the runs, for amounts of data beyond a laptop's, too."""
        return (catalog.get(CONVECTION).at("smoke" if profile == "smoke" else "paper"),)

    def groups(self, items: Sequence[Item]) -> list[list[Item]]:
        """All runs with one learning rate."""
        return together(list(items))

    def compute(self, group: Sequence[Item], profile: str, context: Context) -> Iterator[tuple[Item, Arrays]]:
        """Trains the runs together."""
        recipe = self.recipe(profile)
        (plan,) = self.plans(profile)
        cells, rate = [item.cell for item in group], float(group[0].variant.removeprefix("eta"))
        *before, solver = plan.strategy.stages
        warm = warm_up(plan)
        changed = replace(plan, strategy=Strategy((*before, replace(solver, learning_rate=rate))))
        problem = changed.problem(cells, context.device)
        start = problem.init([cell.seed for cell in cells])
        points, steps = Recorder(every=recipe["every"], start=start), StepRecorder(start)

        def watch(snapshot: Any, points: Recorder = points, steps: StepRecorder = steps) -> None:
            points(snapshot)
            steps(snapshot)

        train_watched(changed, cells, context.device, watch)
        for i, item in enumerate(group):
            numbers = np.array([number for number, _ in points.points[i]])
            params = torch.stack([p for _, p in points.points[i]]).to(context.device)
            losses = problem.select([i] * len(params)).value(params).double().cpu().numpy()
            below = np.flatnonzero(losses <= recipe["threshold"])
            passed = int(numbers[below[0]]) if below.size else -1
            after = (steps.iterations[i].numpy() > max(passed, warm)) & (passed >= 0)
            norms = steps.norms[i].numpy()[after][: recipe["steps"]]
            yield item, {"norms": norms, "passed": np.array(passed), "final_loss": losses[-1:]}
