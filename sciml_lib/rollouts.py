"""What is known of a map of neural ODEs beside its runs: floors that no network can pass, and motions that were learned.

Like :mod:`sciml_lib.panels` this is glue between the stored runs and the rooms that know arrays only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr
from matplotlib.figure import Figure
from torch import Tensor

from sciml_lib import figures
from sciml_lib.errors import UserError
from sciml_lib.models import rollout
from sciml_lib.panels import Panel
from sciml_lib.problems.neural_ode import ROLLOUT_BOUND
from sciml_lib.regimes import REGIMES, Regime
from sciml_lib.sweeps.spec import Cell
from sciml_lib.systems import Dynamics


@dataclass(frozen=True)
class Rollout:
    """What one network makes of the test motion, in raw states.

    Attributes:
        time: ``[n]``.
        true: ``[n, d]``.
        learned: ``[n, d]``.
        observed: the states it was trained on, ``[n_data, d]``.
    """

    time: np.ndarray
    true: np.ndarray
    learned: np.ndarray
    observed: np.ndarray


def euler_floor(panel: Panel) -> xr.DataArray:
    r"""The training loss below which no field can come, ``[coefficient, n_data]``; zero without physics.

    With e the defect of one Euler step with the true field and delta = dt (f - F), a pair of states costs
    (delta - e)^2 for the data and k delta^2 for the physics, with k = 1, or 1/dt^2 where the physics term is not scaled.
    The best delta is e / (1 + k), and what is left is e^2 k / (1 + k): half of the mean squared defect for k = 1. No two
    states of a trajectory coincide, so a field that is flexible enough attains it.
    """
    system, setup = _system(panel), panel.plan.sweep.setup
    k = 0.0 if not setup.physics else 1.0 if setup.scaled else system.dt**-2
    floor = xr.zeros_like(panel.train)
    for i, j in np.ndindex(floor.shape):
        defect = system.euler_defect(float(floor["coefficient"][i]), int(floor["n_data"][j]))
        floor[i, j] = k / (1.0 + k) * defect.square().mean().item()
    return floor


def true_field_error(panel: Panel) -> xr.DataArray:
    """Test error that the true field itself has when it is followed by forward Euler, ``[coefficient]``.

    It is measured as the panel's networks are: in their representation.
    """
    system = _system(panel)
    seen = system.representation(panel.plan.sweep.setup.representation).map
    errors = []
    for coefficient in panel.runs["coefficient"].values.tolist():
        true, value = system.test_trajectory(coefficient), torch.tensor([coefficient], dtype=torch.float64)
        followed, _ = rollout(lambda x, c=value: system.field(x, c), true[:1], system.dt, len(true))
        difference, size = (torch.linalg.vector_norm(part, dim=0) for part in (seen(followed[0]) - seen(true), seen(true)))
        errors.append((difference / size).mean().item())
    return xr.DataArray(errors, coords={"coefficient": panel.runs["coefficient"]}, dims="coefficient")


def reach(panel: Panel) -> tuple[float, float]:
    """The largest angle, or first component, in any training trajectory of a panel, and in any test trajectory."""
    system, plan = _system(panel), panel.plan
    trained = max(float(system.trajectory(c, n)[:, 0].abs().max()) for c, n in plan.pairs)
    return trained, max(float(system.test_trajectory(c)[:, 0].abs().max()) for c in plan.coefficients)


def learned(panel: Panel, cell: Cell) -> Rollout:
    """Follows a stored network that sees raw states along the test motion.

    Raises:
        UserError: if its parameters are not stored, or it sees another representation.
    """
    system, setup = _system(panel), panel.plan.sweep.setup
    params = panel.parameters(cell)
    if params is None or setup.representation != "raw":
        raise UserError(f"no network that sees raw states is stored for this cell of {panel.sweep}; choose another panel")
    network, row = setup.network(system), params[None].double()  # the same digits on every processor
    true = system.test_trajectory(cell.coefficient)

    def field(states: Tensor) -> Tensor:
        return network(row, states[:, None])[:, 0]

    with torch.no_grad():
        learned, _ = rollout(field, true[:1], system.dt, len(true), bound=ROLLOUT_BOUND)
    return Rollout(
        time=system.dt * np.arange(len(true)),
        true=true.numpy(),
        learned=learned[0].numpy(),
        observed=system.trajectory(cell.coefficient, cell.n_data).numpy(),
    )


def examples(panel: Panel, title: str) -> Figure:
    """Draws one run of each regime that occurs: the true test motion and the network's.

    Raises:
        UserError: if no final parameters are stored.
    """
    cells = {regime: panel.typical(regime) for regime in REGIMES}
    found: dict[Regime, Cell] = {regime: cell for regime, cell in cells.items() if cell is not None}
    if not found:
        raise UserError(f"the arrays of {panel.sweep} are not stored; train it with `{panel.job.command}`")
    shown: list[Any] = [learned(panel, cell) for cell in found.values()]
    system = _system(panel)
    return figures.rollouts(
        shown[0].time,
        [one.true for one in shown],
        [one.learned for one in shown],
        [one.observed for one in shown],
        [f"{regime.numeral}, {regime.title}: {panel.cell_words(cell)}" for regime, cell in found.items()],
        [panel.note(cell) for cell in found.values()],
        labels=system.component_labels,
        time_label=system.time_label,
        title=title,
    )


def floor_figure(panel: Panel, title: str) -> Figure:
    """Draws the training loss, the floor of forward Euler in the same colours, and the floor's share of the loss."""
    floor = euler_floor(panel)
    limits = figures.style.colour_range(panel.train.values)
    maps = [
        figures.ValueMap("training loss", panel.train.values, limits),
        figures.ValueMap("floor of forward Euler", floor.values, limits),
        figures.ValueMap("share of the floor", (floor / panel.train).values, (0.0, 1.0), written=True),
    ]
    axes = panel.runs["coefficient"].values, panel.runs["n_data"].values
    return figures.value_maps(maps, *axes, **panel.axis_words, title=title)


def _system(panel: Panel) -> Dynamics:
    system = panel.system
    if not isinstance(system, Dynamics):
        raise UserError(f"{panel.sweep} is no map of neural ODEs; choose one, such as pinode/pendulum/adam")
    return system
