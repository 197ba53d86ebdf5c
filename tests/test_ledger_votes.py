"""How runs decide a claim, and how much of its scope a study has."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from made_studies import study, training

from sciml_lib.ledger import Outcome, Reading, Scope
from sciml_lib.ledger.contract import study_scope
from sciml_lib.ledger.votes import FEWEST_SIGNS, Vote, agreed, in_every_cell, signs
from sciml_lib.optim import Status

SPENT = Status.BUDGET_SPENT.label


def cells(*seeds: list[bool]) -> pd.Series:
    places = [(float(c), 100, s) for c, many in enumerate(seeds) for s in range(len(many))]
    index = pd.MultiIndex.from_tuples(places, names=["coefficient", "n_data", "seed"])
    return pd.Series([value for many in seeds for value in many], index, dtype=bool)


@pytest.mark.parametrize(
    ("seeds", "vote"),
    [
        ([[True] * 3, [True, True, True, True, False]], (True, True, 2)),
        ([[True] * 3, [True, True, False]], (True, False, 2)),
        ([[True] * 3, [True, False]], (False, False, 2)),
        ([[True] * 3, [False] * 3], (False, True, 1)),
        ([[True, False], [False, False, False, False, True]], (False, True, 1)),
    ],
)
def test_a_cell_decides_by_three_quarters_of_its_seeds(seeds: list[list[bool]], vote: tuple[bool, bool, int]) -> None:
    assert in_every_cell(cells(*seeds)) == Vote(*vote)


def test_what_single_runs_leave_open_is_open() -> None:
    none = cells([False] * 3)
    assert in_every_cell(none, none).right is None
    assert in_every_cell(cells([True, True, False]), none).right is None
    assert in_every_cell(none, cells([True] * 3)) == Vote(False, True, 1)
    assert in_every_cell(cells()) == Vote(None, False, 0)


def test_readings_that_disagree_decide_nothing() -> None:
    yes, no = Vote(True, True, 5), Vote(False, True, 2)
    assert agreed(yes, Vote(True, False, 3)) == Vote(True, False, 3) and agreed(yes, no).right is None
    assert agreed(no, Vote(None, True, 1)).right is None


@pytest.mark.parametrize(
    ("n", "positive", "clear"), [(4, 4, False), (5, 5, True), (5, 4, False), (10, 9, True), (10, 8, False)]
)
def test_a_coin_falls_on_one_side_less_often_than_that(n: int, positive: int, clear: bool) -> None:
    differences = pd.Series([1.0] * positive + [-1.0] * (n - positive) + [np.nan])
    assert signs(differences) == Vote(True, clear, n) and signs(-differences)[:2] == (False, clear)
    assert not signs(pd.Series(np.zeros(20))).clear


def test_a_study_has_a_part_of_a_figure() -> None:
    run = training(np.ones(10))
    found = study({(5.0, 100): [run] * 3, (50.0, 100): [run] * 2, (7.0, 100): [run]})
    figure = ((5.0, 100), (50.0, 100), (5.0, 1000), (50.0, 1000))
    assert study_scope(found, figure, ended=[SPENT, "", "", ""]) == Scope("laptop", 0.5, 2, pytest.approx(5), 0.25)
    assert study_scope(found, [(5.0, 1000)]).cells == study_scope(found, [(5.0, 1000)]).seeds == 0
    assert np.isnan(study_scope(found, figure).by_budget)


def test_runs_that_are_not_done_as_in_the_paper_only_suggest() -> None:
    whole = Scope("laptop", 1.0, 3)
    other = Scope("laptop", 1.0, 3, recipe="runs that begin with Adam")
    for right, plain, weak in ((True, Outcome.HOLDS, Outcome.SUGGESTS), (False, Outcome.FAILS, Outcome.AGAINST)):
        assert Reading("", right, whole).outcome is plain
        assert (
            Reading("", right, other).outcome is weak and Reading("", right, other).reason == "only runs that begin with Adam"
        )
    assert Reading("", True, whole, units=0, needed=1).reason == "no cell"


def test_so_few_cells_are_never_more_than_chance() -> None:
    assert signs(pd.Series(np.ones(FEWEST_SIGNS))).clear and not signs(pd.Series(np.ones(FEWEST_SIGNS - 1))).clear
