"""Time steps of a vector field, for all members at once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Field = Callable[[Tensor], Tensor]
"""Rates of change: from states ``[M, ..., d]`` to the same shape."""


def euler(field: Field, states: Tensor, dt: float) -> Tensor:
    """One step of the forward Euler method, of first order: what the paper's models are trained and tested with."""
    return states + dt * field(states)


def runge_kutta(field: Field, states: Tensor, dt: float) -> Tensor:
    """One step of the classical Runge-Kutta method, of fourth order: a reference that Euler is compared with."""
    k1 = field(states)
    k2 = field(states + 0.5 * dt * k1)
    k3 = field(states + 0.5 * dt * k2)
    k4 = field(states + dt * k3)
    return states + dt / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)


def rollout(
    field: Field,
    start: Tensor,
    dt: float,
    n: int,
    *,
    step: Callable[[Field, Tensor, float], Tensor] = euler,
    bound: float = torch.inf,
) -> tuple[Tensor, Tensor]:
    """Follows a field from one state on, each step from where the one before ended.

    A member whose state leaves the bound, or is not finite, stays where the bound cut it off, so that an error of its
    states is a finite number.

    Args:
        field: of states ``[M, d]``.
        start: ``[M, d]``.
        dt: length of a step.
        n: states wanted, ``start`` among them.
        step: the method.
        bound: largest size of a component.

    Returns:
        States ``[M, n, d]``, and which members have stayed within the bound ``[M]``.
    """
    states, inside = [start], torch.ones(len(start), dtype=torch.bool, device=start.device)
    for _ in range(n - 1):
        state = step(field, states[-1], dt)
        stays = (state.abs() <= bound).all(dim=-1) & torch.isfinite(state).all(dim=-1)
        cut = torch.nan_to_num(state, nan=bound, posinf=bound, neginf=-bound).clamp(-bound, bound)
        states.append(torch.where(inside[:, None], torch.where(stays[:, None], state, cut), states[-1]))
        inside = inside & stays
    return torch.stack(states, dim=1), inside
