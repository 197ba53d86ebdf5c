"""What the paper claims, and what the runs say of it.

Every module of claims has three names: ``CLAIMS``, the claims in the paper's order; ``gather(source)``, which reads the runs
that they speak of; and ``read(*gathered)``, which gives the reading of each claim by its id. The rule that turns a reading into
an outcome is :mod:`sciml_lib.ledger.contract`, one for all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Any

from sciml_lib.errors import UserError, unknown
from sciml_lib.ledger import convection, families, maps, pendulum, strategies
from sciml_lib.ledger.contract import Claim, Outcome, Reading, Scope, Settling, Source, Verdict

__all__ = [
    "MODULES",
    "Claim",
    "Outcome",
    "Reading",
    "Scope",
    "Settling",
    "Source",
    "Verdict",
    "claim",
    "claims",
    "convection",
    "counts",
    "families",
    "judged",
    "maps",
    "pendulum",
    "strategies",
    "verdicts",
]

MODULES: tuple[ModuleType, ...] = (convection, maps, families, strategies, pendulum)
"""The modules of claims, in the order of the paper's sections."""


def claims(modules: Sequence[ModuleType] = MODULES) -> dict[str, Claim]:
    """All claims by their ids.

    Raises:
        UserError: if two have one id.
    """
    found: dict[str, Claim] = {}
    for module in modules:
        for one in module.CLAIMS:
            if one.id in found:
                raise UserError(f"two claims of the ledger are called {one.id}; rename that of {module.__name__}")
            found[one.id] = one
    return found


def claim(name: str) -> Claim:
    """The claim of an id.

    Raises:
        UserError: if there is none; the nearest ids are offered.
    """
    known = claims()
    if name not in known:
        raise unknown("claim", name, known)
    return known[name]


def judged(module: ModuleType, *gathered: Any) -> list[Verdict]:
    """The verdicts on the claims of a module, in their order.

    Args:
        module: of claims.
        gathered: what its ``gather`` returns.

    Raises:
        UserError: if a claim has no reading, or a reading no claim; it names the module.
    """
    readings = module.read(*gathered)
    odd = {one.id for one in module.CLAIMS} ^ readings.keys()
    if odd:
        raise UserError(f"{module.__name__} does not have one claim and one reading of {', '.join(sorted(odd))}; give it both")
    return [Verdict(one, readings[one.id]) for one in module.CLAIMS]


def verdicts(source: Source | None = None, modules: Sequence[ModuleType] = MODULES) -> list[Verdict]:
    """The verdicts on all claims, from stored runs.

    Args:
        source: which runs; those of the repository, in the profile ``laptop``, by default.
        modules: of claims.

    Raises:
        UserError: if a store is not in order.
    """
    claims(modules)
    source = source or Source()
    return [verdict for module in modules for verdict in judged(module, *module.gather(source))]


def counts(found: Iterable[Verdict]) -> dict[Outcome, int]:
    """How many verdicts have each outcome, with zeros, in the order of :class:`Outcome`."""
    counted = Counter(verdict.outcome for verdict in found)
    return {outcome: counted[outcome] for outcome in Outcome}
