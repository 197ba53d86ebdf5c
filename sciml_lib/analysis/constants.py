"""Networks that give one value everywhere: what their training loss and their test error are."""

from __future__ import annotations

import torch

from sciml_lib import systems
from sciml_lib.panels import Panel

NEAR = 0.05
"""How near, relatively, a loss and an error must come to those of a constant to count as the same."""


def constant_loss(panel: Panel, value: float) -> float:
    """The training loss of a network that gives one value everywhere, by the system's own residuals."""
    plan = panel.plan
    system, n_data = systems.get(plan.sweep.system), int(plan.n_data[-1])
    blocks = system.blocks(n_data, plan.sweep.setup.data_seed)
    points = {name: block.points for name, block in blocks.items()}
    jets = {}
    for name, block in blocks.items():
        zero = torch.zeros(1, len(block.points), dtype=torch.float64)
        jets[name] = {"u": zero + value, **dict.fromkeys(("x", "xx", "t", "tt"), zero)}
    coefficient = torch.tensor([[float(panel.runs["coefficient"].values[-1])]], dtype=torch.float64)
    return float(sum(r.square().mean() for r in system.residuals(jets, points, coefficient).values()))


def constant_error(panel: Panel, value: float, coefficient: float) -> float:
    """The test error of a network that gives one value everywhere."""
    system = panel.system
    exact = system.solution(system.test_points(), torch.tensor([[coefficient]], dtype=torch.float64))[0]
    return float((exact - value).norm() / exact.norm())
