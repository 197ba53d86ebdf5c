"""Regimes, borders and endings of maps whose truth is known, and what the ledger makes of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from made_runs import Number, runs, steep

from sciml_lib.analysis import maps
from sciml_lib.ledger import FAILS, HOLDS, OPEN
from sciml_lib.ledger.maps import SEEDS, three_regimes
from sciml_lib.panels import Panel
from sciml_lib.regimes import Regime


def panel(sweep: str, train: Number, test: Number = lambda *_: 0.01, profile: str = "laptop", **options) -> Panel:
    return Panel(runs(f"pinn/{sweep}", profile, train, test, **options))


def test_shares_are_of_the_cells_and_ii_begins_at_a_coefficient() -> None:
    found = maps.regime_shares(
        {
            "reaction": panel("reaction/lbfgs", lambda c, n, s: 0.1 if c >= 5 else 1e-5),
            "wave": panel("wave/lbfgs", lambda *_: 1e-5, lambda c, n, s: 0.9 if c > n / 100 else 0.1),
        }
    )
    assert found.loc["reaction", ["cells", "II", "III", "first", "symbol"]].tolist() == [30, pytest.approx(2 / 3), 0, 5, "ρ"]
    assert found.loc["reaction", "means_II"] == found.loc["reaction", "most_II"] == 20
    assert np.isnan(found.loc["wave", "first"]) and found.loc["wave", "III"] > 0


def test_one_seed_that_lifts_the_mean_of_its_cell_is_no_majority() -> None:
    lifted = panel("convection/lbfgs", lambda c, n, s: 1.0 if s == 0 and c == 30 else 1e-5)
    assert set(lifted.labels.sel(coefficient=30.0).values) == {Regime.II}
    found = maps.regime_shares({"a": lifted}).loc["a"]
    assert (found.means_II, found.most_II) == (7, 0) and found.most_I == 84
    two = panel("reaction/lbfgs", lambda c, n, s: 1.0 if s == 0 and c == 5 else 1e-5)
    assert set(maps.majority(two).sel(coefficient=5.0).values) == {Regime.MISSING}  # one of two is no majority


def test_the_scale_is_that_of_the_runs_grid_and_recipe() -> None:
    found = maps.scale(
        {
            "laptop": panel("convection/lbfgs", steep(30)),
            "paper": panel("convection/lbfgs", steep(30), profile="paper"),
            "cut": panel("convection/alm", steep(30)),
        }
    )
    assert found["runs"].tolist() == [252, 720, 24] and set(found["paper_runs"]) == {720}
    assert found["grid"].tolist() == [False, True, False] and found["recipe"].tolist() == [True, True, False]
    assert found["seeds"].tolist() == [3, 5, 1]


def test_high_runs_are_counted_by_how_they_ended() -> None:
    ended = lambda c, n, s: "budget_spent" if s else "line_search_failed"  # noqa: E731
    found = maps.high_runs({"a": panel("reaction/lbfgs", lambda c, n, s: 0.1 if c >= 5 else 1e-5, ended=ended)}).loc["a"]
    assert found.to_dict() == {"runs": 60, "high": 40, "by_budget": 20, "by_search": 20}


def test_borders_are_where_rows_cross_and_say_which_way_they_move() -> None:
    high = panel("reaction/lbfgs", lambda c, n, s: 0.1 if c >= 5 else 1e-5)
    wave = panel("wave/lbfgs", lambda *_: 1e-5, lambda c, n, s: 0.9 if c > n / 200 else 0.1)
    cut = Panel(wave.runs.sel(n_data=[50, 100, 250]))
    found = maps.borders({"reaction": high, "wave": wave, "cut": cut}).set_index(["map", "border"])
    train = found.loc[("reaction", "train")]
    assert (train.rows, train.crossed, train.start, train.never) == (5, 5, 0, 0) and 3 < train.low == train.high < 5
    assert found.loc[("wave", "train"), "never"] == 4 and np.isnan(found.loc[("wave", "train"), "low"])
    assert found.loc[("cut", "test"), "moves"] == "larger" and found.loc[("reaction", "train"), "moves"] == ""


def test_the_thresholds_of_another_row_change_labels() -> None:
    """A loss of 0.01 is low for ALM on convection and high for L-BFGS."""
    alm = panel("convection/alm", lambda c, n, s: 0.01 if c >= 20 else 1e-5)
    found = maps.other_thresholds({"a": alm}, {"a": panel("convection/lbfgs", steep(30))}).loc["a"]
    assert found["train"] > 1 and found["own"] == (24, 0, 0) and found["changed"] == found["other"][1] > 0
    assert sum(found["other"]) == 24


def judged(most: dict[str, tuple[int, int, int]], seeds: int = SEEDS, grid: bool = True, recipe: bool = True) -> str:
    shares = pd.DataFrame.from_dict(most, orient="index", columns=["most_I", "most_II", "most_III"])
    scale = pd.DataFrame({"seeds": seeds, "grid": grid, "recipe": recipe}, index=shares.index)
    return three_regimes("claim", shares, scale).verdict


def test_the_three_regimes_hold_fall_or_cannot_be_judged() -> None:
    every, lost = {"a": (5, 3, 1), "b": (1, 1, 1)}, {"a": (5, 3, 1), "b": (4, 0, 2)}
    assert judged(every) == HOLDS and judged(every, grid=False) == HOLDS  # a part of the grid can show that they are there
    assert judged(lost) == FAILS
    assert {judged(lost, grid=False), judged(lost, recipe=False), judged(lost, seeds=2), judged(every, seeds=2)} == {OPEN}
