"""What the tools ask of their arguments; whatever is wrong is said in one sentence that names the argument."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real

import torch
from torch import Tensor, nn

from sciml_lib.errors import UserError

SEEDS = 2**32
"""Seeds are whole numbers below this, as everywhere in the library."""


def refuse(members: Tensor, trouble: str) -> None:
    """Refuses members, by their numbers ``[m]``; nothing happens if there are none.

    Raises:
        UserError: names them and says what they have.
    """
    if len(members):
        named = ", ".join(map(str, members[:8].tolist())) + (f" and {len(members) - 8} more" if len(members) > 8 else "")
        raise UserError(f"member {named} has {trouble}" if len(members) == 1 else f"members {named} have {trouble}")


def check_finite(what: str, of: Tensor, members: Tensor | None = None) -> None:
    """Refuses the members (CPU; all by default) in whose row of ``of [M, n]`` something is not finite."""
    finite = torch.isfinite(of if members is None else of[members.to(of.device)]).all(dim=1).cpu()
    numbers = torch.arange(len(of)) if members is None else members
    refuse(numbers[~finite], f"{what} not finite; leave them out")


def check_real(name: str, x: object) -> None:
    """Refuses what is not a tensor of real floating-point numbers.

    A loss of complex parameters has a Hessian in their real and imaginary parts. Differentiated as complex numbers, half of
    its spectrum would be missing without a word.
    """
    if not isinstance(x, Tensor):
        raise UserError(f"{name} is of the type {type(x).__name__}; give a tensor, such as torch.as_tensor({name})")
    if x.is_complex():
        raise UserError(
            f"{name} is complex ({_type(x)}); give torch.view_as_real({name}).flatten(-2) instead, and a loss that puts the "
            "pairs together again by torch.view_as_complex"
        )
    if not x.is_floating_point():
        raise UserError(f"{name} holds {_type(x)} numbers, along which nothing can be differentiated; give {name}.double()")


def check_ensemble(name: str, params: object) -> None:
    """Refuses what is not an ensemble ``[M, P]`` of finite real numbers."""
    check_real(name, params)
    if params.dim() != 2 or not params.numel():
        raise UserError(
            f"{name} of shape {list(params.shape)} is no ensemble; give [M, P], such as {name}[None] for one member"
        )
    check_finite("parameters that are", params)


def check_point(name: str, point: object) -> None:
    """Refuses what is not one member's parameters ``[P]``, finite and real."""
    check_real(name, point)
    if point.dim() != 1 or not point.numel():
        raise UserError(f"{name} has shape {list(point.shape)}; give the parameters of one member [P], such as params[0]")
    if not torch.isfinite(point).all():
        raise UserError(
            f"{name} is not finite in {int((~torch.isfinite(point)).sum())} of {point.numel()} entries; choose another"
        )


def check_function(name: str, function: object) -> None:
    """Refuses what is not a function of parameters; a network is a function of its inputs."""
    if isinstance(function, nn.Module):
        raise UserError(
            f"{name} is a network ({type(function).__name__}), a function of its inputs; give a function from parameters "
            "[n, P] to losses [n], which calls the network by torch.func.functional_call"
        )
    if not callable(function):
        raise UserError(
            f"{name} is of the type {type(function).__name__}; give a function from parameters [n, P] to losses [n]"
        )


def check_values(name: str, values: object, points: Tensor) -> None:
    """Refuses what a function returned for ``points [n, P]`` if it is not one real number for each."""
    if not isinstance(values, Tensor):
        raise UserError(
            f"{name} gave a {type(values).__name__}; it must give a tensor with one number for each of {len(points)} points"
        )
    if values.shape != points.shape[:1]:
        raise UserError(f"{name} gave shape {list(values.shape)}; it must give one number for each of {len(points)} points")
    if values.is_complex():
        raise UserError(f"{name} gave complex numbers; it must give real ones, such as the square of their absolute values")


def check_fits(problem: object, params: Tensor, needed: Sequence[str], instead: str) -> None:
    """Refuses what is no problem, or parameters ``[M, P]`` that are not those of its members.

    Args:
        problem: of M members.
        params: ``[M, P]``.
        needed: names of the methods that will be called.
        instead: what to do where the problem lacks one.
    """
    missing = [name for name in needed if not callable(getattr(problem, name, None))]
    if missing:
        raise UserError(f"a {type(problem).__name__} has no {' and no '.join(missing)}; {instead}")
    members = len(problem) if hasattr(problem, "__len__") else len(params)
    wanted = (members, getattr(problem, "n_params", params.shape[1]))
    if wanted != tuple(params.shape):
        raise UserError(f"params have shape {list(params.shape)}; this problem needs {list(wanted)}")
    dtype = getattr(problem, "dtype", params.dtype)
    if dtype != params.dtype:
        name = str(dtype).removeprefix("torch.")
        raise UserError(f"params are {_type(params)} and the problem computes in {name}; give params.to(torch.{name})")


def check_count(name: str, value: object, least: int, most: float = math.inf, *, such_as: int | None = None) -> None:
    """Refuses what is not a whole number from ``least`` to ``most``."""
    if not isinstance(value, Integral) or isinstance(value, bool) or not least <= value <= most:
        span = f"of at least {least}" if most == math.inf else f"from {least} to {most}"
        raise UserError(f"{name}={value!r} is impossible; choose a whole number {span}{_example(such_as)}")


def check_number(name: str, value: object, *, above: float | None = None, least: float | None = None, such_as: float) -> None:
    """Refuses what is not a number above a bound, or at least as large as one; infinity and NaN are no numbers."""
    bound = above if least is None else least
    fits = isinstance(value, Real) and not isinstance(value, bool) and value < math.inf
    if not fits or not (value > bound if least is None else value >= bound):
        span = f"above {bound:g}" if least is None else f"of at least {bound:g}"
        raise UserError(f"{name}={value!r} is impossible; choose a number {span}{_example(such_as)}")


def check_seed(name: str, seed: object) -> None:
    """Refuses what is not a whole number from 0 to 2**32 - 1."""
    check_count(name, seed, 0, SEEDS - 1)


def _example(value: float | None) -> str:
    return "" if value is None else f", such as {value:g}"


def _type(x: Tensor) -> str:
    return str(x.dtype).removeprefix("torch.")
