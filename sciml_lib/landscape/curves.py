"""Curves between two trained points: straight lines, trained Bezier curves, and what the loss does along them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from tqdm import tqdm

from sciml_lib.errors import UserError, unknown
from sciml_lib.landscape.checks import check_count, check_ensemble, check_fits, check_function, check_real, check_values
from sciml_lib.landscape.losses import detached
from sciml_lib.optim import LBFGS, Status
from sciml_lib.problems import Objective

SOLVER = LBFGS(max_iterations=1_000)
"""The released code's: one call of 1,000 iterations, 100 pairs, tolerances 1e-7 and 1e-9."""

FARTHEST = ("argmax", "argmin")
"""Which point of a curve :func:`connectivity` reads."""


class SelectableObjective(Objective, Protocol):
    """An objective that can be restricted to some of its members, as every problem can."""

    def select(self, index: Sequence[int]) -> SelectableObjective:
        """The objective of some of the members, in that order."""


class Curve(Sequence[Tensor]):
    """The points ``[M, P]`` of M curves at T places, one place after the other.

    Points are computed when they are asked for, so all of them, ``[T, M, P]``, never exist at once;
    ``torch.stack(list(curve))`` makes them all.
    """

    def __init__(self, point: Callable[[Tensor], Tensor], t: Tensor) -> None:
        """Takes what gives the points ``[M, P]`` at one place, and the places ``[T]``."""
        self._point, self._t = point, t

    def __len__(self) -> int:
        """T."""
        return len(self._t)

    def __getitem__(self, index: int) -> Tensor:
        """The points ``[M, P]`` at the place of this number."""
        return self._point(self._t[index])


@dataclass(frozen=True)
class BezierFit:
    """The trained middle points of M curves.

    Attributes:
        middle: the trained middle points ``[M, P]``.
        loss: mean loss over the grid of the curve, ``[M]`` float64 on the CPU.
        status: why each member ended, :class:`~sciml_lib.optim.Status` as ``[M]`` int64 on the CPU.
        iterations: iterations done ``[M]``.
        evaluations: evaluations of the whole curve ``[M]``.
    """

    middle: Tensor
    loss: Tensor
    status: Tensor
    iterations: Tensor
    evaluations: Tensor


@dataclass(frozen=True)
class Connectivity:
    """How the loss along M curves compares with its ends.

    Attributes:
        value: mode connectivity ``[M]``: mean loss of the two ends minus the loss at t*. Negative: a barrier, positive:
            lower loss between the ends.
        at: number of the point t* on the curve ``[M]``.
        barrier: height of the curve's largest loss over the larger of its ends, ``[M]``; never negative.
    """

    value: Tensor
    at: Tensor
    barrier: Tensor


def straight(a: Tensor, b: Tensor, t: Sequence[float] | Tensor) -> Curve:
    """Points of the straight lines from ``a`` to ``b``.

    Args:
        a: ends at t = 0, ``[M, P]``.
        b: ends at t = 1, ``[M, P]``.
        t: places on the line, ``[T]``.

    Returns:
        T times points ``[M, P]``; at t = 0 and 1 the ends to the last digit.

    Raises:
        UserError: the ends do not fit together, or ``t`` is not a row of numbers.
    """
    _check_ends(a=a, b=b)
    return Curve(lambda s: (1.0 - s) * a + s * b, _places(t, a))


def bezier(a: Tensor, middle: Tensor, b: Tensor, t: Sequence[float] | Tensor) -> Curve:
    """Points of the quadratic Bezier curves from ``a`` to ``b``.

    Args:
        a: ends at t = 0, ``[M, P]``.
        middle: control points ``[M, P]``, on the curve only where it is straight.
        b: ends at t = 1, ``[M, P]``.
        t: places on the curve, ``[T]``.

    Returns:
        T times points ``(1-t)^2 a + 2 t (1-t) middle + t^2 b``, ``[M, P]``; at t = 0 and 1 the ends to the last digit.

    Raises:
        UserError: the three do not fit together, or ``t`` is not a row of numbers.
    """
    _check_ends(a=a, middle=middle, b=b)
    return Curve(lambda s: _quadratic(a, middle, b, s), _places(t, a))


def train_bezier(
    objective: SelectableObjective,
    a: Tensor,
    b: Tensor,
    *,
    points: int = 51,
    solver: LBFGS = SOLVER,
    progress: bool = True,
) -> BezierFit:
    """Trains the middle points of quadratic Bezier curves whose ends stay fixed.

    Every member's mean loss over a fixed, uniform grid of t is minimised, starting at the linear midpoint, by one call of
    L-BFGS. The released code divides the sum over 51 points by 50; here it is the mean. The ends are part of it and are
    evaluated once, so an evaluation costs ``points`` - 2 of the objective's.

    Args:
        objective: of M members: ``value_and_grad`` gives losses ``[M]`` and gradients ``[M, P]``, ``select`` the objective of
            some of them. Every problem of the library is one.
        a: ends at t = 0, ``[M, P]``.
        b: ends at t = 1, ``[M, P]``.
        points: points of the grid of t in [0, 1].
        solver: the optimiser.
        progress: whether a bar is shown, of the evaluations of the member that takes longest.

    Returns:
        Middle points ``[M, P]``, and how each member ended.

    Raises:
        UserError: the ends do not fit together or are not those of the objective's members, there are fewer than three points,
            or the solver is another one.
    """
    _check_ends(a=a, b=b)
    check_fits(objective, a, ("value_and_grad", "select"), "give a problem, or an object with these two methods")
    check_count("points", points, 3, such_as=51)
    if not isinstance(solver, LBFGS):
        raise UserError(f"solver is of the type {type(solver).__name__}; choose an LBFGS, such as LBFGS(max_iterations=1_000)")
    first, last = (objective.value_and_grad(end)[0] for end in (a, b))
    check_values("objective", first, a)
    ends = first + last
    mean = _MeanLoss(objective, a, b, torch.linspace(0.0, 1.0, points, dtype=torch.float64).tolist(), ends)
    state = solver.init(mean, 0.5 * (a + b))
    final, rows = state.select(torch.arange(len(a))), torch.arange(len(a))
    options = {} if progress else {"disable": True}  # left out, TQDM_DISABLE decides
    with tqdm(total=solver.evaluation_budget, desc="Bezier curve", unit="evaluation", **options) as bar:
        while len(rows):
            state = solver.step(mean, state)
            bar.update()
            ended = state.status != Status.RUNNING
            if ended.any():
                gone, stay = ended.nonzero()[:, 0], (~ended).nonzero()[:, 0]
                for name in ("params", "loss", "status", "iterations", "evaluations"):
                    mine, theirs = getattr(final, name), getattr(state, name)
                    mine[rows[gone].to(mine.device)] = theirs[gone.to(theirs.device)]
                rows, state, mean = rows[stay], state.select(stay), mean.select(stay.tolist())
    return BezierFit(final.params, final.loss, final.status, final.iterations, final.evaluations)


def along(function: Callable[[Tensor], Tensor], points: Iterable[Tensor]) -> Tensor:
    """Evaluates a function of all members at every point of their curves.

    Args:
        function: such as a problem's ``value`` or ``test_error``, ``[M, P] -> [M]``. It may differentiate a network by its
            inputs.
        points: a :class:`Curve`, or anything else that yields ``[M, P]`` T times; one point is held at a time.

    Returns:
        ``[T, M]``.

    Raises:
        UserError: ``function`` is a network or does not give one number a member, or there are no points ``[M, P]``.
    """
    check_function("function", function)
    values = []
    for i, point in enumerate(points):
        check_ensemble(f"points[{i}]", point)
        values.append(detached(function, point, "function"))
    if not values:
        raise UserError("points are empty; give points [M, P], such as straight(a, b, torch.linspace(0, 1, 51))")
    return torch.stack(values)


def connectivity(losses: Tensor, which: str = "argmax") -> Connectivity:
    """Mode connectivity and barrier of curves.

    t* is where the loss differs most from the mean of the two ends: the standard definition (Yang et al. 2021), and what
    the released code computes. The paper's appendix D.1 prints argmin instead, where it differs least and the value is
    almost zero by construction; that variant is here for comparison.

    Args:
        losses: losses along the curves, first and last at their ends, ``[T, M]``; a NaN makes its member's value NaN.
        which: ``argmax``, or ``argmin`` for the printed formula.

    Returns:
        One value a curve.

    Raises:
        UserError: there is no such variant, or fewer than three points.
    """
    if which not in FARTHEST:
        raise unknown("variant", which, FARTHEST)
    check_real("losses", losses)
    if losses.dim() != 2 or len(losses) < 3:
        raise UserError(f"losses have shape {list(losses.shape)}; a connectivity needs [T, M] with at least 3 points a curve")
    mean = 0.5 * (losses[0] + losses[-1])
    distance = (mean - losses).abs()  # [T, M]
    at = distance.argmax(dim=0) if which == "argmax" else distance.argmin(dim=0)
    value = mean - losses.gather(0, at[None])[0]
    return Connectivity(value, at, losses.amax(dim=0) - torch.maximum(losses[0], losses[-1]))


class _MeanLoss:
    """The mean loss along each member's curve as a function of its middle point."""

    def __init__(self, objective: SelectableObjective, a: Tensor, b: Tensor, t: list[float], ends: Tensor) -> None:
        self._objective, self._a, self._b, self._t, self._ends = objective, a, b, t, ends

    def value_and_grad(self, middle: Tensor) -> tuple[Tensor, Tensor]:
        total, grad = self._ends.clone(), torch.zeros_like(middle)
        for t in self._t[1:-1]:
            value, slope = self._objective.value_and_grad(_quadratic(self._a, middle, self._b, t))
            total += value
            grad.add_(slope, alpha=2.0 * t * (1.0 - t))
        return total / len(self._t), grad / len(self._t)

    def select(self, index: list[int]) -> _MeanLoss:
        return _MeanLoss(self._objective.select(index), self._a[index], self._b[index], self._t, self._ends[index])


def _quadratic(a: Tensor, middle: Tensor, b: Tensor, t: float | Tensor) -> Tensor:
    return (1.0 - t) ** 2 * a + 2.0 * t * (1.0 - t) * middle + t**2 * b


def _places(t: Sequence[float] | Tensor, like: Tensor) -> Tensor:
    """Places on a curve ``[T]`` in the type and on the device of its ends."""
    try:
        places = torch.as_tensor(t, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError):
        places = torch.zeros(0)
    if places.dim() != 1 or not len(places) or not places.isfinite().all():
        raise UserError("t must be places on the curve in one row, finite numbers such as torch.linspace(0, 1, 51)")
    return places.to(like)


def _check_ends(**ends: Tensor) -> None:
    """Refuses ends and control points ``[M, P]``, by their names, that cannot be joined."""
    for name, points in ends.items():
        check_ensemble(name, points)
    (first, a), *others = ends.items()
    for name, b in others:
        if a.shape[1] != b.shape[1]:
            raise UserError(
                f"{first} has {a.shape[1]} parameters a member and {name} has {b.shape[1]}; "
                "only members of one architecture can be joined"
            )
        if len(a) != len(b):
            raise UserError(f"{first} has {len(a)} members and {name} has {len(b)}; give as many of one as of the other")
        if a.dtype != b.dtype or a.device != b.device:
            raise UserError(
                f"{first} is {a.dtype} on {a.device} and {name} is {b.dtype} on {b.device}; give {name}.to({first})"
            )
