"""The claims on surfaces, in worlds whose truth is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from ledger_cases import check_contract, outcome
from made_landscapes import EASY, FAR, HARD, MILD, RADIUS, STIFF, N, bowl, item, pits, results

from sciml_lib.ledger import Outcome
from sciml_lib.ledger import surfaces as module
from sciml_lib.studies import Results

Surface = dict[str, np.ndarray]
STEP = 2 * RADIUS / (N - 1)
FUNNEL, PITTED, SHALLOW, PLATEAU = item(bowl()), item(pits(*FAR)), item(bowl(1.0, 1e2)), item(bowl(0.1, 1.0))


def world(first: Sequence[Surface], second: Sequence[Surface] = (), *, width: float = STEP) -> Callable[[str], tuple[Results]]:
    """Two cells, a surface a seed; every valley is so wide."""

    def made(cells: tuple, profile: str) -> tuple[Results]:
        parts = {
            cell: {"eigen": s, "wide": [item(bowl(), width)] * len(s)} for cell, s in zip(cells, (first, second), strict=True)
        }
        return (results({cell: part for cell, part in parts.items() if part["eigen"]}, profile),)

    return made


def sharp(*eigenvalues: float) -> list[Surface]:
    return [item(bowl(), eigenvalues=(value, 1.0)) for value in eigenvalues]


WORLDS = {
    "surfaces-funnel": (world([FUNNEL] * 3), world([FUNNEL, FUNNEL, SHALLOW]), world([SHALLOW] * 3)),
    "surfaces-rugged": (
        world([FUNNEL] * 3, [PITTED] * 3),
        world([FUNNEL, PITTED, FUNNEL], [PITTED, FUNNEL, PITTED]),
        world([PITTED] * 3, [FUNNEL] * 3),
    ),
    "surfaces-sharper": (
        world(sharp(1e4, 2e4, 3e4), sharp(1e2, 2e2, 3e2)),
        world(sharp(1e4, 2e4, 3e4), sharp(2e4, 1e4, 9e4)),
        world(sharp(1e2, 2e2, 3e2), sharp(1e5, 2e5, 3e5)),
    ),
    "surfaces-flatter": (
        world([FUNNEL] * 3, [PLATEAU] * 3),
        world([FUNNEL, PLATEAU, FUNNEL], [PLATEAU, FUNNEL, FUNNEL]),
        world([FUNNEL] * 3, [item(bowl(1e-6, 1e7))] * 3),
    ),
    "surfaces-plateau": (
        world([FUNNEL] * 3, [PLATEAU] * 3),
        world([FUNNEL, PLATEAU, FUNNEL], [PLATEAU, FUNNEL, FUNNEL]),
        world([FUNNEL] * 3, [item(bowl(1e-6))] * 3),
    ),
}


def cells_of(name: str) -> tuple:
    return (EASY, HARD) if name in ("surfaces-funnel", "surfaces-rugged") else (MILD, STIFF)


def fewer(gathered: tuple[Results], **kept: object) -> tuple[Results]:
    (found,) = gathered
    items = {
        one: arrays
        for one, arrays in found.items.items()
        if one.seed < kept.get("seeds", 9) and one.coefficient != kept.get("without")
    }
    return (Results(items, found.attrs),)


@pytest.mark.parametrize("name", [claim.id for claim in module.CLAIMS])
def test_a_claim_can_come_out_every_way(name: str) -> None:
    perfect, equal, broken = ((lambda _, made=made: made(cells_of(name), "laptop")) for made in WORLDS[name])
    whole = broken(name)
    less = [fewer(whole, seeds=2), fewer(whole, seeds=1)]
    less += [fewer(whole, without=cell[1]) for cell in cells_of(name) if name != "surfaces-funnel"]
    check_contract(
        module,
        perfect=perfect,
        equal=equal,
        broken=broken,
        less=lambda _: less,
        smoke=lambda _: WORLDS[name][2](cells_of(name), "smoke"),
        claims=[name],
    )


def test_basins_on_a_grid_that_steps_over_the_valley_decide_nothing() -> None:
    for first, second in (([FUNNEL] * 3, [PITTED] * 3), ([PITTED] * 3, [FUNNEL] * 3)):
        (found,) = world(first, second, width=0.5 * STEP)((EASY, HARD), "laptop")
        reading = module.read(found)["surfaces-rugged"]
        assert reading.right is None and reading.outcome is Outcome.OPEN and "61 points a side" in reading.found
        unmeasured = Results({one: arrays for one, arrays in found.items.items() if one.variant != "wide"}, found.attrs)
        assert module.read(unmeasured)["surfaces-rugged"].outcome is Outcome.OPEN


def test_an_order_that_a_factor_of_the_equation_turns_round_is_not_decided() -> None:
    """Between the two coefficients lies a factor of nine in their squares."""
    gathered = world(sharp(1e4, 1.1e4, 1.2e4), sharp(2e4, 2.1e4, 2.2e4))((MILD, STIFF), "laptop")
    assert outcome(module, gathered, "surfaces-sharper") is Outcome.OPEN
    assert module.read(*gathered)["surfaces-sharper"].right is None


def test_two_seeds_of_each_suggest() -> None:
    gathered = fewer(world([FUNNEL] * 3, [PLATEAU] * 3)((MILD, STIFF), "laptop"), seeds=2)
    assert outcome(module, gathered, "surfaces-plateau") is Outcome.SUGGESTS
