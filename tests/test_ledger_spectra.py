"""The claims on spectra, of quadratures whose truth is known."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from ledger_cases import Gathered, check_contract, once, outcome
from made_studies import EVEN, WIDE, Nodes
from made_studies import spectra as made

from sciml_lib.ledger import Outcome, spectra
from sciml_lib.optim import Status
from sciml_lib.studies import Results
from sciml_lib.studies.cells import CONVECTION, REACTION_DIFFUSION
from sciml_lib.sweeps.spec import Cell

BAND = {x: 0.06 for x in np.linspace(-0.9, 0.9, 10)}
NEAR = {-300.0: 0.2, 400.0: 0.2, **BAND}
"""Six in ten eigenvalues within ±1."""

FLAT = {-0.9: 1e-3, -1e-16: 0.45, 1e-16: 0.447, 0.9: 1e-3, 5.0: 0.051, 90.0: 0.05}
"""Nearly all are zero, even in float64, and there is no outlier."""

APART = {-300.0: 0.2, -30.0: 0.2, -2.0: 0.08, 2.0: 0.12, 30.0: 0.2, 400.0: 0.2}
BIASED = {-30.0: 0.35, -10.0: 0.02, 10.0: 0.02, 50.0: 0.3, 200.0: 0.31}
LOPSIDED = {-1.0: 0.02, -0.5: 0.02, 5.0: 0.02, 100.0: 0.44, 400.0: 0.5}
HEAVY = {-50.0: 0.85, -10.0: 0.05, 10.0: 0.05, 20.0: 0.05}

CELLS = [(CONVECTION, *cell) for cell in spectra.BOTH]
CELLS += [(REACTION_DIFFUSION, rho, 1000) for rho in (5.0, 15.0, 20.0)]


def pair(cell: tuple[str, float, int], right: bool) -> tuple[Nodes, Nodes]:
    """The spectra before and after training of one run, as the paper says or the other way round."""
    if cell[0] == CONVECTION:
        return (NEAR, WIDE) if right else (APART, FLAT)
    if right:
        return EVEN, BIASED | ({900.0: 0.0} if cell[1] == 5 else {})
    return LOPSIDED, HEAVY | ({1000.0: 0.0} if cell[1] == 15 else {})


@cache
def world(
    seeds: tuple[bool, ...], profile: str = "paper", ended: Status = Status.LINE_SEARCH_FAILED, double: bool = True
) -> Gathered:
    """The study, one truth a seed."""
    results = made({cell: [pair(cell, right) for right in seeds] for cell in CELLS}, profile)
    results = Results(results.items, {**results.attrs, "recipe": {"precision": "double"} if double else {}})
    return results, {(item.sweep, item.cell): ended.label for item in results.items}, 1e3


@cache
def without(coefficient: float, n_data: int) -> Gathered:
    """The broken world without one cell, whichever equation it is of."""
    results, *others = world((False,) * 3)
    left = {k: v for k, v in results.items.items() if (k.coefficient, k.n_data) != (coefficient, n_data)}
    return Results(left, results.attrs), *others


def test_every_claim_can_come_out_in_every_way() -> None:
    broken = (False,) * 3
    poorer = [world(broken[:1]), world(broken[:2]), world(broken, ended=Status.BUDGET_SPENT)]
    missing = {"spectra-easy-is-sharper": (15.0, 1000)} | dict.fromkeys(
        ("spectra-symmetric", "spectra-biased", "spectra-share"), (20.0, 1000)
    )
    check_contract(
        once(spectra),
        perfect=lambda _: world((True,) * 3),
        equal=lambda _: world((True, False, True)),
        broken=lambda _: world(broken),
        less=lambda name: [*poorer, without(*missing.get(name, (5.0, 100)))],
        smoke=lambda _: world(broken, "smoke"),
    )


def test_a_criterion_that_was_never_tried_finds_no_peak_and_no_absence() -> None:
    for right in (True, False):
        results, ended, _ = world((right,) * 3)
        assert outcome(spectra, (results, ended), "spectra-no-peak") is Outcome.OPEN
        assert outcome(spectra, (results, ended, 2.0), "spectra-no-peak") is Outcome.OPEN  # it does not see that one


def test_what_float32_takes_for_zero_need_not_be() -> None:
    assert outcome(spectra, world((False,) * 3, double=False), "spectra-directions") is Outcome.OPEN
    assert outcome(spectra, world((True,) * 3, double=False), "spectra-directions") is Outcome.HOLDS


def test_a_width_that_hides_every_peak_proves_nothing() -> None:
    hidden = {-0.001: 0.4, 0.001: 0.4, 5.0: 0.1, 2e5: 0.1}
    found = made({cell: [(NEAR, hidden)] * 3 for cell in CELLS[:2]}, "paper")
    reading = spectra.read(found, {}, 1e3)["spectra-no-peak"]
    assert reading.outcome is Outcome.OPEN and "hide any peak in 6 of 6 runs" in reading.found


def test_the_square_of_the_coefficient_is_divided_out() -> None:
    """At rho = 15 the largest eigenvalue is twice that at 5, and over rho squared less than a quarter of it."""
    found = made({(REACTION_DIFFUSION, c, 1000): [(EVEN, {-1.0: 0.5, top: 0.5})] * 3 for c, top in ((5.0, 1e3), (15.0, 2e3))})
    reading = spectra.read(found, {})["spectra-easy-is-sharper"]
    assert reading.outcome is Outcome.OPEN
    assert "0.50 times that at ρ = 15" in reading.found and "over ρ² 4.5 times" in reading.found


def test_no_outlier_of_the_second_size_decides_nothing() -> None:
    found = made({cell: [(NEAR, {-1.0: 0.5, 2e3: 0.5})] * 3 for cell in CELLS[:2]}, "paper")
    assert spectra.read(found, {})["spectra-outliers"].right is None


@pytest.mark.parametrize("n", [0, 1])
def test_one_cell_without_is_an_accident(n: int) -> None:
    cells = {cell: [pair(cell, i != n)] * 3 for i, cell in enumerate(CELLS[:2])}
    reading = spectra.read(made(cells, "paper"), {})["spectra-outliers-grow"]
    assert reading.outcome is Outcome.OPEN and reading.reason == "only 1 cell"


def test_endings_are_those_of_the_claims_own_runs() -> None:
    results, ended, _ = world((False,) * 3)
    some = {network: Status.BUDGET_SPENT.label for network in ended if network[1] == Cell(5.0, 100, 0)}
    assert spectra.read(results, ended | some)["spectra-outliers"].scope.by_budget == pytest.approx(1 / 6)
