"""The claims on barriers and jumps, in worlds whose truth is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
from ledger_cases import check_contract, outcome
from made_landscapes import Ends, attrs, pair, steps

from sciml_lib import ledger
from sciml_lib.ledger import Outcome
from sciml_lib.ledger import barrier as module
from sciml_lib.studies import Results
from sciml_lib.studies.curves import PAPER_CELL

CELLS = (PAPER_CELL, (30.0, 1000), (30.0, 2000))
REFINED, ACCURATE, TURNED = ((1e-2, 1e-4), (1.0, 0.01)), ((1e-3, 1e-4), (0.1, 0.01)), ((1e-4, 1e-2), (1.0, 0.01))
WALL = (1e4, 1e4)
Pairs = Iterable[dict]


def world(*pairs: Pairs, profile: str = "laptop") -> tuple[Results]:
    return (Results({item: arrays for part in pairs for one in part for item, arrays in one.items()}, attrs(profile)),)


def own(
    kinds: Iterable[tuple[Ends, Ends]],
    bumps: Iterable[Ends] = (),
    *,
    cell: tuple[float, int] = PAPER_CELL,
    budget: bool = False,
) -> Pairs:
    """Runs of ALM, one a seed, each with the losses and errors of its ends and with the bumps on its curves."""
    ended = dict.fromkeys(("status", "run_status"), "budget_spent" if budget else "converged_change")
    given = list(bumps)
    for seed, (loss, error) in enumerate(kinds):
        yield pair("own", seed, given[seed] if given else (1.0, 1.0), loss=loss, error=error, cell=cell, **ended)


def both(
    bumps: Iterable[Ends], *, cells: Iterable[tuple[float, int]] = CELLS, seeds: int = 3, status: str = "converged_change"
) -> Pairs:
    """Pairs of finished runs in several cells, of both kinds; a bump for each cell."""
    for cell, bump in zip(cells, bumps, strict=True):
        for seed in range(seeds):
            yield pair("same", seed, bump, cell=cell, status=status)
            yield pair("other", seed + 1, bump, cell=cell, status=status)


def everywhere(*kinds: tuple[Ends, Ends], cells: Iterable[tuple[float, int]] = CELLS, seeds: int = 3) -> list[Pairs]:
    return [own([kind] * seeds, cell=cell) for cell, kind in zip(cells, kinds, strict=True)]


FLAT = (1.0, 1.0)
WORLDS: dict[str, dict[str, Callable[[str], tuple[Results]]]] = {
    "barrier-refines": {
        "perfect": lambda p: world(own([REFINED] * 3), profile=p),
        "equal": lambda p: world(own([REFINED, REFINED, ACCURATE]), profile=p),
        "broken": lambda p: world(own([TURNED] * 3), profile=p),
    },
    "barrier-none": {
        "perfect": lambda p: world(own([REFINED] * 3, [FLAT, (1.0, 1e4), FLAT]), profile=p),  # one clear curve is enough
        "equal": lambda p: world(own([REFINED] * 3, [FLAT, FLAT, WALL]), profile=p),
        "broken": lambda p: world(own([REFINED] * 3, [WALL] * 3), profile=p),
    },
    "barrier-basin": {
        "perfect": lambda p: world(both([FLAT] * 3), profile=p),
        "equal": lambda p: world(both([FLAT, FLAT, WALL]), profile=p),
        "broken": lambda p: world(both([WALL] * 3), profile=p),
    },
    "barrier-decoupled": {
        "perfect": lambda p: world(own([((1e-3, 1e-4), (1.0, 0.01))] * 3), profile=p),
        "equal": lambda p: world(own([ACCURATE, ACCURATE, ((1e-3, 1e-4), (1.0, 0.01))]), profile=p),
        "broken": lambda p: world(own([ACCURATE] * 5), profile=p),
    },
    "barrier-sufficient": {
        "perfect": lambda p: world(*everywhere(REFINED, REFINED, REFINED), profile=p),
        "equal": lambda p: world(*everywhere(REFINED, REFINED, TURNED), profile=p),
        "broken": lambda p: world(*everywhere(TURNED, TURNED, TURNED), profile=p),
    },
}
LESS = {
    "barrier-refines": [world(own([TURNED] * n)) for n in (1, 2)]
    + [world(own([TURNED] * 3, cell=CELLS[1])), world(own([TURNED] * 3, budget=True))],
    "barrier-none": [world(own([REFINED] * n, [WALL] * n)) for n in (1, 2)]
    + [world(own([REFINED] * 3, [WALL] * 3, cell=CELLS[1])), world(own([REFINED] * 3, [WALL] * 3, budget=True))]
    + [world(own([ACCURATE] * 3, [WALL] * 3)), world(both([WALL] * 3))],  # only pairs of the paper's kind decide
    "barrier-basin": [world(both([WALL] * 3, seeds=n)) for n in (1, 2)]
    + [world(both([WALL] * 2, cells=CELLS[:2])), world(both([WALL] * 3, cells=(*CELLS[1:], (50.0, 1000))))]
    + [world(both([WALL] * 3, status="budget_spent")), world(own([REFINED] * 3, [WALL] * 3))],
    "barrier-decoupled": [world(own([ACCURATE] * 3)), world(own([ACCURATE] * 5, cell=CELLS[1]))],
    "barrier-sufficient": [world(*everywhere(TURNED, TURNED, TURNED, seeds=n)) for n in (1, 2)]
    + [world(*everywhere(TURNED, TURNED, cells=CELLS[:2]))]
    + [world(*everywhere(TURNED, TURNED, TURNED, cells=(*CELLS[1:], (50.0, 1000))))],
}


@pytest.mark.parametrize("name", [claim.id for claim in module.CLAIMS])
def test_a_claim_on_barriers_can_come_out_every_way(name: str) -> None:
    made = WORLDS[name]
    check_contract(
        module,
        **{way: lambda _, make=make: make("laptop") for way, make in made.items()},
        less=lambda _: LESS[name],
        smoke=lambda _: made["broken"]("smoke"),
        claims=[name],
    )


def test_a_pair_that_is_not_the_papers_decides_nothing() -> None:
    """Of three runs two are pairs of its kind, and joined; the third has a wall and is another kind of pair."""
    gathered = world(own([REFINED, REFINED, ACCURATE], [FLAT, FLAT, WALL], cell=CELLS[1]))
    reading = module.read(*gathered)["barrier-none"]
    assert (reading.units, reading.right, reading.clear) == (2, True, True) and reading.outcome is Outcome.OPEN
    other_cell = world(own([REFINED] * 3, cell=CELLS[1]))
    assert outcome(module, other_cell, "barrier-none") is Outcome.SUGGESTS
    assert outcome(module, other_cell, "barrier-refines") is Outcome.OPEN


# --- jumps ----------------------------------------------------------------------------------------------------

Law = Callable[[float, float, int], float]


def faster(beta: float, rate: float, seed: int) -> float:
    return (2.4 if beta == 20 else 1.6) + 0.15 * seed


JUMPS: dict[str, dict[str, Law]] = {
    "jumps-speed": {
        "perfect": faster,
        "equal": lambda beta, rate, seed: 1.6 + 0.4 * seed,
        "broken": lambda beta, rate, seed: faster(25 - beta, rate, seed),
    },
    "jumps-rate": {
        "perfect": faster,
        "equal": lambda beta, rate, seed: 2.0 + 1.2 * seed + 0.2 * rate,
        "broken": lambda beta, rate, seed: 1.5 + 3.0 * rate + 0.05 * seed,
    },
}


@pytest.mark.parametrize("name", [claim.id for claim in ledger.jumps.CLAIMS])
def test_a_claim_on_jumps_can_come_out_every_way(name: str) -> None:
    laws = JUMPS[name]
    broken = laws["broken"]
    check_contract(
        ledger.jumps,
        **{way: lambda _, law=law: (steps(law),) for way, law in laws.items()},
        less=lambda _: [
            (steps(broken, seeds=2),),
            (steps(broken, seeds=1),),
            (steps(broken, rates=(0.1, 0.8)),),
            (steps(broken, speeds=(5.0,)),),
            (steps(broken, n=lambda beta, seed: 3 if beta == 5 and seed else 80),),
        ],
        smoke=lambda _: (steps(broken, profile="smoke"),),
        claims=[name],
    )


def test_runs_without_an_exponent_are_missing_and_said() -> None:
    """Two of three seeds of the slow wave stop at once, as happens where the step begins with a small learning rate."""
    results = steps(faster, n=lambda beta, seed: 3 if beta == 5 and seed == 0 else 80)
    speed, rate = (verdict.reading for verdict in ledger.judged(ledger.jumps, results))
    assert speed.outcome is Outcome.SUGGESTS and (speed.units, speed.scope.seeds, speed.scope.cells) == (20, 2, 1.0)
    assert "4 of 24 runs" in speed.found and "4 of 24 runs" in rate.found
