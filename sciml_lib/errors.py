"""The exceptions a person sees, and the helper that words its most common cause."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MOST_NAMES = 12
"""No error lists more valid names than these: the nearest stand before them."""

LONGEST_NAME = 100
"""No error repeats more characters of a name than these."""


class UserError(ValueError):
    """Something the caller asked for cannot be done; the message says in one sentence what to do instead."""


class NotStored(UserError):
    """What was asked for has not been computed yet; the message says what to type."""


def unknown(kind: str, got: object, choices: Iterable[object]) -> UserError:
    """Returns the error for a name that is not among the valid ones, nearest names first.

    Args:
        kind: what the name names, as the user would say it (``"sweep"``, ``"profile"``).
        got: the name that was given.
        choices: the valid names.
    """
    names, name = [str(choice) for choice in choices], str(got)
    name = name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..."
    nearest = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(nearest)}? " if nearest else ""
    shown = ", ".join(names[:MOST_NAMES]) + (f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else "")
    return UserError(f"unknown {kind} {name!r}: {hint}the valid ones are {shown}")
