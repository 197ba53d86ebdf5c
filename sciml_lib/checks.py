"""Checks of numbers that a person gives: each returns the number in plain Python, or says in one sentence what would do."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

from sciml_lib.errors import UserError

LARGEST_SEED = 2**32 - 1
"""PyTorch and NumPy take more, and treat some of it as equal."""


def whole(name: str, value: object, low: int | None = None, high: int | None = None) -> int:
    """A whole number of any kind, NumPy's too, as ``int``; True and False are none.

    Args:
        name: the argument, as the caller typed it.
        value: what was given for it.
        low: the smallest that will do; None for no bound.
        high: the largest that will do; None for no bound.

    Raises:
        UserError: if it is not a whole number, or not within the bounds; the message says which are.
    """
    bounds = {(True, True): "", (False, True): f" of at least {low}", (True, False): f" of at most {high}"}
    wanted = bounds.get((low is None, high is None), f" from {low} to {high}")
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None:
        raise UserError(f"{name}={value!r} is not a whole number; choose one{wanted or ' such as 3'}")
    if (low is not None and number < low) or (high is not None and number > high):
        raise UserError(f"{name}={number} is impossible; choose a whole number{wanted}")
    return number


def real(name: str, value: object) -> float:
    """A real number of any kind, NumPy's too, as ``float``; True and False are none.

    Raises:
        UserError: if it is not a number.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise UserError(f"{name}={value!r} is not a number; choose one such as 0.1")
    return float(value)


def seed(name: str, value: object) -> int:
    """A seed as ``int``.

    Raises:
        UserError: if it is not a whole number from 0 to 2**32 - 1.
    """
    try:
        return whole(name, value, 0, LARGEST_SEED)
    except UserError:
        raise UserError(f"{name}={value!r} is not a seed; choose integers from 0 to {LARGEST_SEED}, such as 0") from None


def seeds(name: str, values: Iterable[object], count: int) -> list[int]:
    """One seed for each of ``count`` members.

    Raises:
        UserError: if there are more or fewer, or one is not a seed.
    """
    try:
        given = list(values)
    except TypeError:
        raise UserError(f"{name}={values!r} is not a list of seeds; give one for each member, such as range({count})") from None
    if len(given) != count:
        raise UserError(f"{name} lists {len(given)} numbers for {count} members; give one for each, such as range({count})")
    return [seed(name, value) for value in given]


def settle(recipe: Any, *, whole_numbers: Sequence[str] = (), reals: Sequence[str] = ()) -> None:
    """Writes numbers of a frozen dataclass back in plain Python, so that equal recipes are written down alike.

    Args:
        recipe: the dataclass, in its ``__post_init__``.
        whole_numbers: names of its fields that count something; None stays None.
        reals: names of its other numbers.

    Raises:
        UserError: if one is not such a number.
    """
    for names, check in ((whole_numbers, whole), (reals, real)):
        for name in names:
            value = getattr(recipe, name)
            if value is not None:
                object.__setattr__(recipe, name, check(name, value))
