"""What the paper claims, and what the runs say of it.

Every module of claims has four names: ``TITLE``, its heading; ``CLAIMS``, the claims in the paper's order;
``gather(source)``, which reads the runs that they speak of; and ``read(*gathered)``, which gives the reading of each claim by
its id. The rule that turns a reading into an outcome is :mod:`sciml_lib.ledger.contract`, one for all.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Any

from sciml_lib.errors import NotStored, UserError, unknown
from sciml_lib.ledger import (
    barrier,
    convection,
    families,
    flatness,
    jumps,
    maps,
    pendulum,
    settling,
    sharpness,
    spectra,
    strategies,
    surfaces,
)
from sciml_lib.ledger.contract import Claim, Outcome, Reading, Scope, Settling, Source, Verdict, unread

__all__ = [
    "MODULES",
    "Claim",
    "Outcome",
    "Reading",
    "Scope",
    "Settling",
    "Source",
    "Verdict",
    "barrier",
    "by_module",
    "claims",
    "convection",
    "counts",
    "families",
    "flatness",
    "in_full",
    "judged",
    "jumps",
    "maps",
    "module_of",
    "pendulum",
    "settling",
    "sharpness",
    "spectra",
    "strategies",
    "surfaces",
    "verdicts",
]

MODULES: tuple[ModuleType, ...] = (
    *(convection, families, maps, strategies, pendulum),
    *(surfaces, spectra, sharpness, flatness, barrier, jumps),
)
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


def module_of(name: str, modules: Sequence[ModuleType] = MODULES) -> ModuleType:
    """The module that a claim stands in.

    Raises:
        UserError: if there is no such claim; the nearest ids are offered.
    """
    known = {one.id: module for module in modules for one in module.CLAIMS}
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


def by_module(source: Source | None = None, modules: Sequence[ModuleType] = MODULES) -> dict[ModuleType, list[Verdict]]:
    """The verdicts on all claims, from stored runs.

    A claim is open where something that its module reads is not stored.

    Args:
        source: which runs; those of the repository, in the profile ``laptop``, by default.
        modules: of claims.

    Raises:
        UserError: if a store is not in order.
    """
    claims(modules)
    source = source or Source()
    return {module: _verdicts(module, source) for module in modules}


def _verdicts(module: ModuleType, source: Source) -> list[Verdict]:
    try:
        return judged(module, *module.gather(source))
    except NotStored as error:
        return [Verdict(one, unread(str(error), source.profile)) for one in module.CLAIMS]


def verdicts(source: Source | None = None, modules: Sequence[ModuleType] = MODULES) -> list[Verdict]:
    """What :func:`by_module` returns, in one list."""
    return [verdict for found in by_module(source, modules).values() for verdict in found]


def counts(found: Iterable[Verdict]) -> dict[Outcome, int]:
    """How many verdicts have each outcome, with zeros, in the order of :class:`Outcome`."""
    counted = Counter(verdict.outcome for verdict in found)
    return {outcome: counted[outcome] for outcome in Outcome}


def in_full(verdict: Verdict, runs: str | os.PathLike[str] | None = None) -> str:
    """Everything that the ledger knows of a claim, line by line.

    Args:
        verdict: on it.
        runs: the folder of all stores, for what is missing of the run that would settle it.
    """
    one, reading = verdict.claim, verdict.reading
    lines = [f"{one.id} ({one.where})", f"claim: {one.words}", f"speaks of: {one.scope}", f"test: {one.criterion}"]
    why = f", {reading.reason}" if reading.reason else ""
    lines += [f"found: {reading.found}", f"outcome: {verdict.outcome}{why}", f"evidence: {reading.evidence}"]
    if reading.reason and one.settles is not None:
        left = settling.cost(one.settles, runs)
        more = f" ({left.runs:,} runs, {left.words}): {left.command}" if left.command else ""
        lines.append(f"would be settled by: {one.settles.words}{more}")
    return "\n".join([*lines, f"chapter: {one.chapter}"])
