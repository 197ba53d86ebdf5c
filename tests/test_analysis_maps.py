"""Regimes, borders and endings of maps whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from made_runs import Number, runs, steep

from sciml_lib.analysis import maps, structure
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
    assert np.isposinf(found.loc["wave", "first"]) and found.loc["wave", "III"] > 0


def test_one_seed_that_lifts_the_mean_of_its_cell_is_no_majority() -> None:
    lifted = panel("convection/lbfgs", lambda c, n, s: 1.0 if s == 0 and c == 30 else 1e-5)
    assert set(lifted.labels.sel(coefficient=30.0).values) == {Regime.II}
    found = maps.regime_shares({"a": lifted}).loc["a"]
    assert (found.means_II, found.most_II, found.split, found.runs) == (7, 0, 7, 21) and found.most_I == 84
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
    ended = lambda c, n, s: "line_search_failed" if not s else "budget_spent" if c > 5 else "negative_curvature"  # noqa: E731
    one = panel("reaction/lbfgs", lambda c, n, s: 0.1 if c >= 5 else 1e-5, ended=ended)
    unknown = Panel(one.runs.drop_vars("iterations"))
    found = maps.high_runs({"a": unknown}).loc["a"]
    assert found.to_dict() == {"runs": 60, "high": 40, "by_budget": 20, "by_search": 20, "early": None}


def test_runs_that_ended_within_a_hundred_iterations_of_their_warm_up_are_counted() -> None:
    """2,000 of the iterations are the warm-up's; how many a run made is known where it is stored, and has a warm-up."""
    one = panel("reaction/lbfgs", lambda c, n, s: 0.1 if c >= 5 else 1e-5)
    counted = one.runs["train_loss"] * 0 + xr.where(one.runs["coefficient"] == 5, 2100, 2101)
    known = Panel(one.runs.assign(iterations=counted))
    assert maps.high_runs({"a": known}).loc["a", ["high", "early"]].tolist() == [40, 10]
    assert maps.regime_shares({"a": known}).loc["a", ["runs", "early"]].tolist() == [40, 10]
    assert maps.warm_up(known) == 2000 and maps.warm_up(panel("convection/lbfgs-literal", steep(30))) == 0
    assert maps.ended_early(panel("convection/lbfgs-literal", steep(30))) is None


def test_cells_whose_seeds_disagree_are_told_seed_by_seed() -> None:
    train = lambda c, n, s: 1.0 if s == 0 and c == 30 else 1e-5  # noqa: E731
    found = maps.seeds_of_split_cells(panel("convection/lbfgs", train, lambda c, n, s: 0.9 if s == 2 and c == 30 else 0.1))
    assert set(found["coefficient"]) == {30.0} and len(found) == 7
    row = found.iloc[0]
    assert (row.I, row.II, row.III, row.of) == (1, 1, 1, 3) and (row.by_mean, row.by_median, row.by_most) == ("II", "I", "")
    assert (row["mean"], row["median"]) == (pytest.approx(1.1 / 3), 0.1)
    assert maps.seeds_of_split_cells(panel("convection/lbfgs", steep(30))).empty


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
    base = panel("convection/lbfgs", steep(30))
    found = maps.other_thresholds({"a": alm}, {"a": base}).loc["a"]
    assert found.to_dict() == maps.other_thresholds({"a": alm}, base).loc["a"].to_dict()
    assert found["train"] > 1 and found["own"] == (24, 0, 0) and found["changed"] == found["other"][1] > 0
    assert sum(found["other"]) == 24


# --- the shape of a map --------------------------------------------------------------------------------------


def test_the_order_of_two_regimes_is_that_of_the_pairs_in_a_line() -> None:
    labels = panel("reaction/lbfgs", lambda c, n, s: 0.1 if c >= 5 and n > 100 else 1e-5).labels
    n_rows = int((labels == Regime.II).any("coefficient").sum())
    assert structure.in_order(labels, Regime.I, Regime.II, "coefficient") == (1.0, n_rows)
    share, columns = structure.in_order(labels, Regime.II, Regime.I, "n_data")
    assert share == 0.0 and columns == int((labels == Regime.II).any("n_data").sum()) > 0
    share, lines = structure.in_order(labels, Regime.I, Regime.III, "n_data")
    assert np.isnan(share) and lines == 0


def test_thresholds_at_five_heights_move_the_cells_between_them() -> None:
    near = panel("reaction/lbfgs", lambda c, n, s: 1e-6 if c < 5 else 0.1)
    level = near.thresholds.train
    moved = panel("reaction/lbfgs", lambda c, n, s: 1e-6 if c < 5 else 1.05 * level)
    found = structure.under_thresholds(structure.labels_at(moved))
    assert found["II"].tolist() == [20, 20, 20, 0, 0] and found["kappa"].tolist() == [1, 1, 1, 0, 0]
    assert (structure.under_thresholds(structure.labels_at(near))["II"] == 20).all()


def test_each_regime_has_a_kappa_of_its_own() -> None:
    found = structure.kappas(np.array([[10, 5, 0], [0, 10, 0], [0, 0, 10]]))
    assert found[Regime.III] == 1.0 and found[Regime.I] == pytest.approx(0.695, abs=0.01) and found[Regime.II] < 1


def test_a_rise_is_that_of_the_first_border_of_a_row() -> None:
    one = panel("reaction/lbfgs", lambda c, n, s: {1: 1e-4, 2: 1e-3, 3: 1.0}.get(c, 1e-6))
    found = structure.rises(one.train, one.thresholds.train)
    grid = one.train["coefficient"].values
    k = int(
        np.flatnonzero((one.train.values[:-1, 0] <= one.thresholds.train) & (one.train.values[1:, 0] > one.thresholds.train))[0]
    )
    factor = one.train.values[k + 1, 0] / one.train.values[k, 0]
    assert len(found) == one.train.sizes["n_data"] and found["factor"].to_numpy() == pytest.approx(factor)
    assert found["exponent"].to_numpy() == pytest.approx(np.log(factor) / np.log(grid[k + 1] / grid[k]))
    assert structure.rises(one.train * 0 + 1e-9, one.thresholds.train).empty
    assert structure.rises(one.train, one.thresholds.train, one.train * 0 + 2.0).empty  # the floor's own border
    other = structure.steeper(found, found * 2)
    assert other["factor"][0] * 2 == pytest.approx(other["factor"][1]) and other["factor"][2] < 0.05
    assert np.isnan(structure.steeper(found, found.iloc[:0])["factor"][2])
