"""What every claim of the ledger has to pass: the contract, by evidence whose truth is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import ModuleType, SimpleNamespace
from typing import Any

from sciml_lib.ledger import Outcome, Reading

Gathered = tuple[Any, ...]


def outcome(module: ModuleType, gathered: Gathered, name: str) -> Outcome:
    """The outcome of one claim of a module."""
    return module.read(*gathered)[name].outcome


def once(module: ModuleType) -> Any:
    """A module of claims that reads the same evidence only once, for cases that several claims share."""
    found: dict[tuple[int, ...], tuple[Gathered, Any]] = {}

    def read(*gathered: Any) -> Any:
        key = tuple(map(id, gathered))
        if key not in found:
            found[key] = gathered, module.read(*gathered)  # the evidence is kept, so that nothing else gets its id
        return found[key][1]

    return SimpleNamespace(CLAIMS=module.CLAIMS, read=read, __name__=module.__name__)


def check_contract(
    module: ModuleType,
    *,
    perfect: Callable[[str], Gathered],
    equal: Callable[[str], Gathered],
    broken: Callable[[str], Gathered],
    less: Callable[[str], Iterable[Gathered]],
    smoke: Callable[[str], Gathered],
    claims: Iterable[str] | None = None,
) -> None:
    """Asserts the contract for every claim of a module, each case made for the id of a claim.

    Args:
        module: of claims.
        perfect: complete evidence that the paper is right.
        equal: complete evidence without any difference, or one within its noise.
        broken: complete evidence that the paper is wrong.
        less: ``broken`` with cells, seeds or budget taken away, one after the other.
        smoke: ``broken`` in the profile smoke.
        claims: ids; all of the module by default.
    """
    for name in claims or [one.id for one in module.CLAIMS]:
        found = [outcome(module, made(name), name) for made in (perfect, equal, broken)]
        assert found == [Outcome.HOLDS, Outcome.OPEN, Outcome.FAILS], (name, found)
        for gathered in less(name):
            poorer = outcome(module, gathered, name)
            assert poorer in (Outcome.OPEN, Outcome.AGAINST), (name, poorer)
        assert outcome(module, smoke(name), name) is Outcome.OPEN, name


def check_readings(
    *,
    perfect: Mapping[str, Reading],
    equal: Mapping[str, Reading],
    broken: Mapping[str, Reading],
    less: Iterable[Mapping[str, Reading]],
    smoke: Mapping[str, Reading],
) -> None:
    """Asserts the contract for some readings at once, where one evidence serves several claims; see :func:`check_contract`."""
    for name in broken:
        found = [world[name].outcome for world in (perfect, equal, broken)]
        assert found == [Outcome.HOLDS, Outcome.OPEN, Outcome.FAILS], (name, found, broken[name])
        for poorer in less:
            assert poorer[name].outcome in (Outcome.OPEN, Outcome.AGAINST), (name, poorer[name])
        assert smoke[name].outcome is Outcome.OPEN, name
