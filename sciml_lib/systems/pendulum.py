"""A damped pendulum that swings far enough to be nonlinear."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from sciml_lib.errors import UserError
from sciml_lib.systems.dynamics import Dynamics, Representation


def on_the_sphere(states: Tensor) -> Tensor:
    """The embedding of the paper's equation (21): (sin th cos om, sin th sin om, -cos th).

    The angular velocity takes the place of the sphere's second angle.

    Args:
        states: (angle, angular velocity), ``[..., 2]``.

    Returns:
        Points of the unit sphere, ``[..., 3]``.
    """
    angle, velocity = states.unbind(-1)
    return torch.stack([angle.sin() * velocity.cos(), angle.sin() * velocity.sin(), -angle.cos()], dim=-1)


@dataclass(frozen=True, eq=False, repr=False)
class Pendulum(Dynamics):
    """theta' = omega, omega' = -b omega - sin theta (the paper, appendix B.2), angles in rad and time in s.

    The coefficient is 1/b, the axis of the paper's maps: to the right the damping is weak. Both trajectories begin at
    rest, the training one at 1.7 rad and the test one at 2.8 rad; that they begin at rest is in the released code only.
    Angles are not wrapped.
    """

    name = "pendulum"
    title = "Pendulum"
    coefficient_name = "1/b"
    coefficient_label = "1/b"
    coefficient_words = "the inverse damping"
    coefficient_range = (0.0, math.inf)
    time_label = "time in s"
    state_labels = ("angle in rad", "angular velocity in rad/s")
    start = (1.7, 0.0)
    test_start = (2.8, 0.0)
    test_horizon = 20.0
    representations: ClassVar[dict[str, Representation]] = {"sphere": Representation(3, on_the_sphere)}

    @staticmethod
    def coefficient_of(damping: float) -> float:
        """The coefficient 1/b of a damping b.

        Raises:
            UserError: if the damping is not positive.
        """
        if not 0 < damping < math.inf:
            raise UserError(f"damping={damping} is no damping of this pendulum; choose one above 0, such as 0.1")
        return 1.0 / damping

    def field(self, states: Tensor, coefficient: Tensor) -> Tensor:
        """(omega, -b omega - sin theta), ``[..., 2]``."""
        angle, velocity = states.unbind(-1)
        return torch.stack([velocity, -velocity / coefficient - angle.sin()], dim=-1)
