"""What an equation promises to problems and sweeps, checked at a few points."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from sciml_lib.errors import UserError
from sciml_lib.models import MLP
from sciml_lib.problems import PINN, NeuralODE
from sciml_lib.systems import Block, Dynamics, SpaceTimeSystem, System

N_POINTS = 40
"""Residual points at which an equation is checked, or as many as it has."""

STEP = 1e-3
"""Step of the finite differences, as a part of the domain's side."""

ROUNDING = 1e-9
"""Largest relative difference in double precision that counts as rounding."""


def check_system(system: System, coefficients: Sequence[float] | None = None, *, tolerance: float = 0.05) -> None:
    """Checks that an equation of your own is what problems and sweeps take it for.

    Of an equation in (x, t): its blocks have points inside the domain and carry the derivatives that its residuals
    read; the residuals are finite and have one row a member and one column a point; members do not disturb each other; and
    its own reference solution satisfies it, by finite differences. Of a system of ordinary differential equations: the
    field has the states' shape, and both trajectories follow it. Of either: the recipe is plain data and holds every
    constant on which a number depends, and a small network can be trained and tested.

    Args:
        system: the equation, an object.
        coefficients: at least two values of its coefficient; by default three from its range.
        tolerance: largest residual of the reference solution, relative to the largest of its terms; for a reference that
            is itself computed numerically.

    Raises:
        AssertionError: if something is wrong; one sentence says what, and what to do.
    """
    if isinstance(system, type):
        raise AssertionError(f"{system.__name__} is a class; give check_system an object, such as {system.__name__}()")
    if not isinstance(system, SpaceTimeSystem | Dynamics):
        raise AssertionError(f"{system!r} is no equation; derive its class from SpaceTimeSystem or Dynamics")
    name = type(system).__name__
    _check_recipe(system, name)
    with _told(name, "coefficient_range"):
        values = _coefficients(system) if coefficients is None else [float(value) for value in coefficients]
        for value in values:
            system.check_coefficient(value)
    check = _check_equation if isinstance(system, SpaceTimeSystem) else _check_dynamics
    check(system, name, torch.tensor(values, dtype=torch.float64)[:, None], tolerance)
    _check_constants(system, name, torch.tensor(values, dtype=torch.float64)[:, None])


def _coefficients(system: System) -> list[float]:
    """Three coefficients that the equation can have."""
    low, high = system.coefficient_range
    if math.isfinite(low) and math.isfinite(high):
        return [low + part * (high - low) for part in (0.25, 0.5, 0.75)]
    return [low + step if math.isfinite(low) else min(high, 10.0) - step for step in (1.0, 2.0, 5.0)]


# --- its constants ---------------------------------------------------------------------------------------------


def _check_recipe(system: System, name: str) -> None:
    """The recipe is plain data, and that of a copy is the same."""
    try:
        written = json.loads(json.dumps(system.recipe))
    except (TypeError, ValueError, AttributeError) as error:
        raise AssertionError(f"{name}.recipe cannot be written as JSON ({error}); use plain constants") from error
    if written != system.recipe or copy.deepcopy(system).recipe != system.recipe:
        raise AssertionError(f"{name}.recipe is not the same when it is read again; use numbers, texts and lists of these")


def _check_constants(system: System, name: str, coefficient: Tensor) -> None:
    """Whatever the object holds and the recipe does not have, no number depends on it."""
    before = _numbers(system, coefficient)
    for held, value in vars(system).items():
        if held in system.recipe or isinstance(value, bool) or not isinstance(value, int | float):
            continue
        other = copy.copy(system)
        object.__setattr__(other, held, value + 1)
        try:
            same = all(torch.equal(one, two) for one, two in zip(before, _numbers(other, coefficient), strict=True))
        except Exception:  # then it matters
            same = False
        if not same:
            raise AssertionError(
                f"{name}: its numbers depend on {held}={value!r}, which is not in its recipe, so that stored runs would be "
                "taken for those of another equation; make it a constant with a public name, such as "
                f"{held.strip('_') or 'constant'}"
            )


def _numbers(system: Any, coefficient: Tensor) -> list[Tensor]:
    """What runs are computed from."""
    if isinstance(system, Dynamics):
        state = torch.tensor([[system.start]], dtype=torch.float64)
        return [system.field(state, coefficient[:1]), system.trajectory(float(coefficient[0]), 5)]
    blocks = system.blocks(_amount(system))
    points = {key: block.points for key, block in blocks.items()}
    jets = {
        key: dict.fromkeys(("u", *block.derivatives), torch.ones(1, len(block.points)).double())
        for key, block in blocks.items()
    }
    return [
        *points.values(),
        *system.residuals(jets, points, coefficient[:1]).values(),
        system.solution(points["residual"], coefficient),
    ]


# --- an equation in (x, t) -------------------------------------------------------------------------------------


def _check_equation(system: SpaceTimeSystem, name: str, coefficient: Tensor, tolerance: float) -> None:
    blocks = _checked_blocks(system, name)
    points = {key: block.points for key, block in blocks.items()}
    _check_solution(system, name, coefficient)
    with _told(name, "solution at points beside those of its blocks"):
        jets = {key: _jet(system, block, coefficient) for key, block in blocks.items()}
    residuals = _checked_residuals(system, name, jets, points, coefficient)
    _check_members(system, name, jets, points, coefficient, residuals)
    _check_against_the_solution(system, name, jets, points, coefficient, tolerance)
    with _told(name, "training"):
        problem = PINN(system, MLP(hidden=(4,)), coefficient[:, 0], _amount(system), dtype=torch.float64)
        params = problem.init(range(len(problem)))
        found = [*problem.value_and_grad(params), problem.test_error(params)]
    if not all(torch.isfinite(value).all() for value in found):
        raise AssertionError(
            f"{name}: loss, gradient or test error of a fresh network is not finite; look for a division by zero"
        )


def _amount(system: SpaceTimeSystem) -> int:
    """How many residual points there are in a check; a tensor grid has always all of them."""
    return system.max_collocation if system.whole_grid else min(N_POINTS, system.max_collocation)


def _checked_blocks(system: SpaceTimeSystem, name: str) -> dict[str, Block]:
    """The blocks, with points in the domain."""
    n = _amount(system)
    with _told(name, "blocks"):
        blocks, again = system.blocks(n), system.blocks(n)
    if not isinstance(blocks, dict) or not all(isinstance(block, Block) for block in blocks.values()):
        raise AssertionError(f"{name}.blocks returns {type(blocks).__name__}; return a dict of Block objects by name")
    if next(iter(blocks), None) != "residual" or len(blocks["residual"].points) != n:
        raise AssertionError(f"{name}.blocks: let 'residual' be first and have the {n} points of collocation(n, data_seed)")
    low, high = (torch.tensor(ends, dtype=torch.float64) for ends in zip(system.x_range, system.t_range, strict=True))
    slack = ROUNDING * (high - low)
    for key, block in blocks.items():
        if not ((block.points >= low - slack) & (block.points <= high + slack)).all():
            raise AssertionError(
                f"{name}.blocks: points of {key!r} lie outside of x_range={system.x_range} and t_range={system.t_range}; mend "
                "the points, or the ranges"
            )
        if not torch.equal(block.points, again[key].points):
            raise AssertionError(f"{name}.blocks: {key!r} has other points each time; draw them from data_seed alone")
    return blocks


def _check_solution(system: SpaceTimeSystem, name: str, coefficient: Tensor) -> None:
    """The reference solution where the test error is taken: finite, with one row a member that depends on it alone."""
    points = system.test_points()
    with _told(name, "solution"):
        found = system.solution(points, coefficient)
    _check_shape(f"{name}.solution", found, {(len(coefficient), len(points))})
    if not (found.norm(dim=1) > 0).all():
        raise AssertionError(
            f"{name}.solution is zero everywhere, so that no relative error can be taken; choose another problem"
        )
    for m in range(len(coefficient)):
        if not _close(system.solution(points, coefficient[m : m + 1])[0], found[m]):
            raise AssertionError(f"{name}.solution of one coefficient depends on the others; compute it row by row, [M, n]")


def _check_shape(where: str, found: object, shapes: set[tuple[int, int]]) -> None:
    if not isinstance(found, Tensor) or tuple(found.shape) not in shapes:
        given = list(found.shape) if isinstance(found, Tensor) else type(found).__name__
        wanted = " or ".join(str(list(shape)) for shape in sorted(shapes))
        raise AssertionError(
            f"{where} has the shape {given} and not {wanted}; let it have one row a member, one column a point"
        )
    if not torch.isfinite(found).all():
        raise AssertionError(
            f"{where} is not finite; look for a division by zero, or a root or logarithm of something negative"
        )


def _checked_residuals(
    system: SpaceTimeSystem, name: str, jets: Mapping[str, Any], points: Mapping[str, Tensor], coefficient: Tensor
) -> dict[str, Tensor]:
    """The residuals of the reference solution, of the right shapes."""
    try:
        residuals = system.residuals(jets, points, coefficient)
    except KeyError as error:
        carried = "; ".join(f"{key!r} {', '.join(jet)}" for key, jet in jets.items())
        raise AssertionError(
            f"{name}.residuals reads {error}, which no block of that name carries ({carried}); name the block, or the "
            "derivative in its Block(points, derivatives)"
        ) from error
    except Exception as error:
        raise AssertionError(f"{name}.residuals raised {type(error).__name__}: {error}") from error
    if not isinstance(residuals, dict) or "residual" not in residuals:
        raise AssertionError(f"{name}.residuals must return a dict with 'residual', the equation, and one entry a condition")
    shapes = {(len(coefficient), len(one)) for one in points.values()}
    for key, value in residuals.items():
        own = {(len(coefficient), len(points[key]))} if key in points else shapes
        _check_shape(f"{name}.residuals: {key!r}", value, own)
    return residuals


def _check_members(
    system: SpaceTimeSystem,
    name: str,
    jets: Mapping[str, Any],
    points: Mapping[str, Tensor],
    coefficient: Tensor,
    residuals: Mapping[str, Tensor],
) -> None:
    """A member's residuals depend on its own coefficient alone, also on points of its own."""
    for m in range(len(coefficient)):
        own = {key: {part: value[m : m + 1] for part, value in jet.items()} for key, jet in jets.items()}
        with _told(name, "residuals of a single member"):
            alone = system.residuals(own, points, coefficient[m : m + 1])
        if not all(_close(alone[key][0], value[m]) for key, value in residuals.items()):
            raise AssertionError(
                f"{name}.residuals of one member depend on the others; let coefficient, [M, 1], act row by row"
            )
    moved = {**points, "residual": points["residual"].expand(len(coefficient), -1, -1)}
    with _told(name, "residuals at points that differ from member to member, [M, n, 2]; read x as points[...][..., 0]:"):
        found = system.residuals(jets, moved, coefficient)
    if not all(_close(found[key], value) for key, value in residuals.items()):
        raise AssertionError(f"{name}.residuals misread points that are [M, n, 2], one set a member; write points[...][..., 0]")


def _check_against_the_solution(
    system: SpaceTimeSystem,
    name: str,
    jets: Mapping[str, dict[str, Tensor]],
    points: Mapping[str, Tensor],
    coefficient: Tensor,
    tolerance: float,
) -> None:
    """The reference solution leaves no residual beside the largest of the terms that it is made of."""
    residuals = system.residuals(jets, points, coefficient)
    size = jets["residual"]["u"].square().mean(dim=1).sqrt()  # [M]
    largest = {key: size.clone() for key in residuals}
    for block, jet in jets.items():
        for part in jet:
            without = {**jets, block: {**jet, part: torch.zeros_like(jet[part])}}
            for key, value in system.residuals(without, points, coefficient).items():
                term = (value - residuals[key]).square().mean(dim=1).sqrt()
                largest[key] = torch.maximum(largest[key], term.nan_to_num())
    for key, value in residuals.items():
        share = value.square().mean(dim=1).sqrt() / largest[key]
        worst = int(share.argmax())
        if not share[worst] <= tolerance:
            raise AssertionError(
                f"{name}: its reference solution misses {key!r} by {100 * share[worst]:.0f} % of the largest term at "
                f"{system.coefficient_name}={coefficient[worst, 0]:g}; look for a wrong sign or factor in residuals or solution"
            )


def _jet(system: SpaceTimeSystem, block: Block, coefficient: Tensor) -> dict[str, Tensor]:
    """The reference solution and the derivatives that a block asks for, by finite differences, ``[M, n]`` each."""
    jet = {"u": system.solution(block.points, coefficient)}
    for name in block.derivatives:
        axis, ends = (0, system.x_range) if name[0] == "x" else (1, system.t_range)
        h = STEP * (ends[1] - ends[0])
        centre = block.points.clone()
        centre[:, axis].clamp_(ends[0] + h, ends[1] - h)  # never outside, where there may be no solution
        shift = torch.zeros(2, dtype=torch.float64)
        shift[axis] = h
        before, here, after = (system.solution(centre + k * shift, coefficient) for k in (-1, 0, 1))
        bend = (after - 2.0 * here + before) / h**2
        slope = (after - before) / (2.0 * h) + (block.points - centre)[:, axis] * bend
        jet[name] = bend if len(name) == 2 else slope
    return jet


# --- ordinary differential equations ---------------------------------------------------------------------------


def _check_dynamics(system: Dynamics, name: str, coefficient: Tensor, tolerance: float) -> None:
    d = system.dimension
    for other in ("test_start", "state_labels"):
        value = getattr(system, other)
        if len(value) not in ({d, 0} if other == "state_labels" else {d}):
            raise AssertionError(f"{name}.{other} has {len(value)} entries and start has {d}; let both have one a component")
    states = torch.stack([torch.tensor([one], dtype=torch.float64) for one in (system.start, system.test_start)], dim=1)
    states = states.expand(len(coefficient), -1, -1)  # [M, 2, d]
    with _told(name, "field of states [M, n, d] and coefficients [M, 1]"):
        together = system.field(states, coefficient)
    if not isinstance(together, Tensor) or together.shape != states.shape or not torch.isfinite(together).all():
        given = list(together.shape) if isinstance(together, Tensor) else type(together).__name__
        raise AssertionError(
            f"{name}.field gives {given} for states {list(states.shape)}; return finite rates of the same shape, as by "
            "torch.stack([...], dim=-1)"
        )
    for m in range(len(coefficient)):
        with _told(name, "field of one member"):
            alone = system.field(states[m], coefficient[m])
        if not _close(alone, together[m]):
            raise AssertionError(
                f"{name}.field of one member depends on the others; let the coefficient, [M, 1], act row by row"
            )
    for key in system.representations:
        seen = system.representation(key)
        with _told(name, f"representation {key!r}"):
            shape = tuple(seen.map(states).shape)
        if shape != (*states.shape[:-1], seen.dimension):
            raise AssertionError(f"{name}: the representation {key!r} maps to {shape[-1]} numbers and not {seen.dimension}")
    for value in coefficient[:, 0].tolist():
        with _told(name, "trajectories"):
            paths = {"trajectory": system.trajectory(value, 20), "test_trajectory": system.test_trajectory(value)}
        for key, path in paths.items():
            _check_path(system, f"{name}.{key}", path, value, tolerance)
    with _told(name, "training"):
        network = MLP(hidden=(4,), n_inputs=d, n_outputs=d, initial="linear")
        problem = NeuralODE(system, network, coefficient[:, 0], 20, dtype=torch.float64)
        params = problem.init(range(len(problem)))
        found = [*problem.value_and_grad(params), problem.test_error(params)]
    if not all(torch.isfinite(value).all() for value in found):
        raise AssertionError(f"{name}: loss, gradient or test error of a fresh network is not finite; look at its states")


def _check_path(system: Dynamics, where: str, path: object, coefficient: float, tolerance: float) -> None:
    """From every state the field leads to the next one, by ten steps of the classical Runge-Kutta method."""
    if not isinstance(path, Tensor) or path.dim() != 2 or path.shape[1] != system.dimension or not torch.isfinite(path).all():
        raise AssertionError(f"{where} is not a finite tensor [n, {system.dimension}]; return one state a row")
    value, h, state = torch.tensor(coefficient, dtype=torch.float64), system.dt / 10, path[:-1]
    for _ in range(10):
        k1 = system.field(state, value)
        k2 = system.field(state + h / 2 * k1, value)
        k3 = system.field(state + h / 2 * k2, value)
        state = state + h / 6 * (k1 + 2 * k2 + 2 * k3 + system.field(state + h * k3, value))
    share = float((state - path[1:]).norm() / (path[1:] - path[:-1]).norm().clamp(min=1e-300))
    if not share <= tolerance:
        raise AssertionError(
            f"{where} does not follow the field at {system.coefficient_name}={coefficient:g}: a step misses "
            f"{100 * share:.0f} % of its length; look for a wrong sign or factor in field, or for another dt"
        )


# --- tools -----------------------------------------------------------------------------------------------------


def _close(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.allclose(one, other, rtol=ROUNDING, atol=ROUNDING)


@contextmanager
def _told(name: str, where: str) -> Iterator[None]:
    """Puts whatever somebody's code raises into a sentence; the traceback stays with it."""
    try:
        yield
    except AssertionError:
        raise
    except UserError as error:
        raise AssertionError(f"{name}, {where}: {error}") from error
    except Exception as error:
        raise AssertionError(f"{name}, {where} raised {type(error).__name__}: {error}") from error
