"""One statement of the paper beside what the runs say of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

HOLDS, FAILS, OPEN = "holds", "does not hold", "cannot be judged"


@dataclass(frozen=True)
class Statement:
    """One statement of the paper beside the number from the runs.

    Attributes:
        claim: what the paper says, in our words.
        found: what the runs say.
        verdict: :data:`HOLDS`, :data:`FAILS` or :data:`OPEN`, each at the scale that was run.
    """

    claim: str
    found: str
    verdict: str


def verdict_of(right: Iterable[bool]) -> str:
    """Returns the verdict on something that is so for every run, for none, or for some."""
    known = list(right)
    return HOLDS if all(known) else OPEN if any(known) else FAILS
