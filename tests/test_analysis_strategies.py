"""Borders, budgets and Newton steps of several strategies, on maps whose truth is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_runs import runs, steep

import sciml_lib
from sciml_lib import panels, report
from sciml_lib.analysis import borders, newton, strategies
from sciml_lib.ledger.strategies import place
from sciml_lib.panels import Panel
from sciml_lib.regimes import Regime

AMOUNTS = [100, 500, 1000, 2000]
NAMES = {"ropinn": "RoPINN", "lbfgs": "L-BFGS", "alm": "ALM", "nncg": "NNCG", "cl": "CL"}


def panel(variant: str, at: float, test=lambda c, n, s: 0.01, system: str = "convection", **options) -> Panel:
    """A map whose training loss is high from a coefficient on."""
    return Panel(runs(f"pinn/{system}/{variant}", "laptop", steep(at), test, **options))


def alm(at: float, test=lambda *_: 0.01, high: float = 1.0) -> Panel:
    """ALM's thresholds are looser than the high loss of `steep`; its own must be higher to count."""
    return Panel(runs("pinn/convection/alm", "laptop", lambda c, n, s: high if c >= at else 1e-5, test))


@pytest.fixture
def five() -> dict[str, Panel]:
    """Five strategies whose borders lie where the paper says."""
    places = {"ropinn": 70, "lbfgs": 30, "alm": 70, "nncg": 30, "cl": 70}
    made = {NAMES[v]: alm(at) if v == "alm" else panel(v, at) for v, at in places.items()}
    return {name: p.restricted_to(made["ALM"]) for name, p in made.items()}


# --- borders -------------------------------------------------------------------------------------------------


def test_a_shift_counts_only_beyond_the_bands_and_by_both_thresholds(five: dict[str, Panel]) -> None:
    found = borders.shifts(five)
    assert list(found.columns) == AMOUNTS and "L-BFGS" not in found.index
    assert (found.loc["RoPINN"] == 1).all() and (found.loc["NNCG"] == 0).all()
    # ALM by its own, far looser, threshold: a loss of 0.01 from 20 on is low for it and high for L-BFGS.
    five["ALM"] = alm(20, high=0.01)
    where = borders.places(five).set_index(["strategy", "judge", "n_data"])["crossing"]
    assert np.isposinf(where["ALM", "own", 100]) and 10 < where["ALM", "L-BFGS", 100] < 20
    assert (borders.shifts(five).loc["ALM"] == 0).all()
    # One of its seeds fails from 10 on: then the band of L-BFGS reaches to within half a cell of the border of RoPINN.
    noisy = runs("pinn/convection/lbfgs", "laptop", lambda c, n, s: 1e-1 if c >= (10 if s == 0 else 70) else 1e-5, lambda *_: 0)
    five["L-BFGS"] = Panel(noisy).restricted_to(five["CL"])
    assert (borders.shifts(five).loc["RoPINN"] == 0).all()


def test_a_test_border_moves_where_training_succeeds() -> None:
    cl, base = panel("cl", 1e9), panel("lbfgs", 1e9, lambda c, n, s: 0.9 if c >= 20 else 0.1)
    maps = {"L-BFGS": base.restricted_to(cl), "CL": cl}
    assert (borders.shifts(maps, "test").loc["CL"] == 1).all()
    assert not borders.places(maps, "test")["returns"].any()


def test_maps_with_one_pair_of_thresholds_are_judged_once(five: dict[str, Panel]) -> None:
    assert len(borders.places(five)) == (5 + 4) * len(AMOUNTS)
    common = {name: p.with_thresholds_of(five["L-BFGS"]) for name, p in five.items()}
    found = borders.places(common)
    assert len(found) == 5 * len(AMOUNTS) and set(found["judge"]) == {"own"}


def test_a_border_with_low_losses_behind_it_is_marked(five: dict[str, Panel]) -> None:
    assert not borders.places(five)["returns"].any()
    island = runs("pinn/convection/lbfgs", "laptop", lambda c, n, s: 1e-1 if c == 30 else 1e-5, lambda *_: 0.01)
    five["L-BFGS"] = Panel(island).restricted_to(five["ALM"])
    found = borders.places(five)
    assert set(found[found["returns"]]["strategy"]) == {"L-BFGS"} and found["returns"].sum() == len(AMOUNTS)
    assert [place(24.69, True), place(np.inf, False), place(-np.inf, False), place(np.nan, False)] == [
        r"24.7 \*", "nowhere", "below the map", "not run",
    ]  # fmt: skip


def test_a_row_without_an_upper_end_leaves_no_room_for_another_border(five: dict[str, Panel]) -> None:
    assert borders.unbounded(five["L-BFGS"]) == []
    one_bad_seed = runs("pinn/convection/lbfgs", "laptop", lambda c, n, s: 1.0 if s == 0 and n > 100 else 1e-5, lambda *_: 0.01)
    five["L-BFGS"] = Panel(one_bad_seed).restricted_to(five["ALM"])
    assert borders.unbounded(five["L-BFGS"]) == AMOUNTS
    five["RoPINN"] = panel("ropinn", 1e9)  # as good as can be
    assert (borders.shifts(five).loc["RoPINN"] == 0).all()


def test_crossings_are_coefficients_with_and_without_a_band() -> None:
    two, one = panel("ropinn", 30), panel("alm", 1e9, n_seeds=1)
    row = two.crossings.sel(boundary="train", n_data=1000)
    assert 20 < float(row["crossing"]) < 30 and float(row["lower"]) == float(row["upper"]) == float(row["crossing"])
    assert np.isposinf(one.crossings["crossing"].sel(boundary="train").values).all()
    assert np.isnan(one.crossings["lower"].values).all()


def test_a_cut_keeps_the_common_cells() -> None:
    cut = panel("lbfgs", 30).restricted_to(panel("alm", 30))
    assert cut.runs["coefficient"].values.tolist() == [5, 10, 20, 30, 50, 70]
    assert cut.runs["n_data"].values.tolist() == AMOUNTS
    assert panels.onset(cut.labels)[1000] == 30 and (cut.labels == Regime.II).sum() == 12


# --- maps side by side ---------------------------------------------------------------------------------------


def test_every_strategy_has_its_share_of_the_papers_budget(five: dict[str, Panel]) -> None:
    found = strategies.budgets(five)
    assert found["share"].to_dict() == {"RoPINN": 0.25, "L-BFGS": 5.0, "ALM": 0.05, "NNCG": 0.04, "CL": 0.05}
    assert found.loc["ALM", ["here", "paper"]].tolist() == [50 * 100, 50 * 2000]
    assert found.loc["L-BFGS", ["cells", "seeds", "runs", "paper_runs", "paper_seeds"]].tolist() == [24, 3, 72, 720, 5]


def test_every_cut_of_the_budget_is_in_the_table(five: dict[str, Panel]) -> None:
    table = report.budgets(five)
    for here, full in (("250 calls", "1,000 calls"), ("up to 100 iterations", "50 calls of up to 2,000 iterations")):
        assert here in table and full in table
    equal = report.budgets({"a": five["NNCG"], "b": five["NNCG"]})
    assert equal.count("\n| ") == 2 and "| a, b | 48, 48 |" in equal


def test_accurate_means_below_the_own_threshold() -> None:
    error = lambda c, n, s: 0.3 if n >= 1000 else 0.9  # noqa: E731
    maps = {"L-BFGS": panel("lbfgs", 99, error), "ALM": panel("alm", 99, error)}  # thresholds 0.434 and 0.278
    found = strategies.accurate_from(maps, 30.0)
    assert found["L-BFGS"] == 1000 and np.isposinf(found["ALM"])
    assert strategies.errors_at(maps, 30.0).loc["ALM", 1000] == 0.3
    assert strategies.errors_at(maps, 31.0).empty and strategies.accurate_from(maps, 31.0).empty


def test_constraints_side_by_side() -> None:
    soft, conditions = panel("lbfgs", 99, lambda c, n, s: 0.9), panel("alm", 99)
    equation = Panel(runs("pinn/convection/alm-pde", "laptop", lambda *_: 1e-5, lambda c, n, s: 0.1 if c < 20 else 0.9))
    forms = {"nothing": soft, "conditions": conditions, "equation": equation}
    found = strategies.constraints(forms, equation, 0.28)
    solved = found.xs("solved", axis="columns", level=1)
    assert solved.sum().to_dict() == {"nothing": 0, "conditions": 6, "equation": 2} and found.attrs["seeds"] == [0]
    elsewhere = Panel(conditions.runs.sel(n_data=[100, 500]))
    assert strategies.constraints(forms | {"conditions": elsewhere}, equation, 0.28)["conditions"].isna().all(axis=None)


@pytest.mark.parametrize(("held_out", "hiding"), [(0.9, 12), (0.02, 0)])
def test_a_test_on_the_training_grid_can_hide_regime_three(
    held_out: float, hiding: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = Panel(runs("pinn/convection/ropinn-grid", "laptop", lambda *_: 1e-5, lambda *_: 0.01))
    monkeypatch.setattr(Panel, "held_out_error", lambda self: self.seeded("test_error") * 0 + held_out)
    found = strategies.tested_where_trained(grid, panel("ropinn", 99))
    assert found["low"].sum() == 12 and found["hiding"].sum() == hiding
    high = Panel(grid.runs.assign(train_loss=grid.runs["train_loss"] * 0 + 1.0))
    assert not strategies.tested_where_trained(high, grid)[["low", "hiding"]].any(axis=None)


def test_networks_of_a_training_grid_are_tested_on_the_common_one(smoke_runs: Path) -> None:
    data = sciml_lib.load_or_train("pinn/convection/ropinn-grid", "smoke", runs=smoke_runs, device="cpu")
    found = Panel(data, str(smoke_runs)).held_out_error()
    stored = data["test_error"].transpose(*found.dims)
    assert np.isfinite(found.values).sum() == np.isfinite(stored.values).sum() == 4
    assert not np.allclose(found.values[np.isfinite(found.values)], stored.values[np.isfinite(stored.values)], rtol=1e-6)


# --- Newton steps --------------------------------------------------------------------------------------------


def improved(ended=lambda c, n, s: "line_search_failed" if c >= 30 else "budget_spent") -> Panel:
    """Below 30 a loss of 40 and an error of 50 per cent of the base's; beyond, the same loss and twice the error."""
    train = lambda c, n, s: steep(30)(c, n, s) * (0.4 if c < 30 else 1.0)  # noqa: E731
    return Panel(runs("pinn/convection/nncg", "laptop", train, lambda c, n, s: 0.05 if c < 30 else 0.2, ended=ended))


BEFORE = panel("nncg-base", 30, lambda c, n, s: 0.1)


def test_improvement_by_regime_of_the_base() -> None:
    found = newton.by_regime(newton.Gain(BEFORE, improved()))
    assert list(found.index) == ["I", "II"] and found["cells"].tolist() == [12, 12] and found["runs"].tolist() == [24, 24]
    for measure in newton.MEASURES:
        assert found.loc["I", f"train_loss {measure}"].tolist() == pytest.approx([60, 60, 60])
        assert found.loc["I", f"test_error {measure}"].tolist() == pytest.approx([50, 50, 50])
        assert found.loc["II", f"test_error {measure}"].tolist() == pytest.approx([-100, -100, -100])
    assert found.loc["I", ["gave_up", "indefinite", "worse"]].tolist() == [0, 0, 0] and np.isnan(found.loc["I", ("before", "")])
    assert found.loc["II", ["gave_up", "indefinite", "worse", "before"]].tolist() == [24, 0, 24, 0.1]
    indefinite = newton.by_regime(newton.Gain(BEFORE, improved(lambda *_: "negative_curvature")))
    assert indefinite["indefinite"].tolist() == [24, 24] and indefinite["gave_up"].tolist() == [0, 0]


def test_the_best_damping_is_named() -> None:
    study = {}
    for mu in (1e-3, 1e-1):
        train = lambda c, n, s, mu=mu: 1e-3 * mu if c == 10 else 1e-3  # noqa: E731
        study[mu] = Panel(runs(f"pinn/convection/nncg-damping-{mu:g}", "laptop", train, lambda *_: 0.1))
    found = newton.dampings(study, panel("nncg-base", 99))
    assert found.loc[(10, 100), ["regime", "best", "worst", "overlap"]].tolist() == ["I", 1e-3, 1e-1, False]
    assert found.loc[(10, 100), "ratio"] == pytest.approx(100)
    assert found.loc[(30, 500), "overlap"] and found.loc[(30, 500), "ratio"] == 1.0
    assert found[["ended 0.001", "ended 0.1"]].eq("converged_change").all(axis=None)
    elsewhere = newton.dampings(study, Panel(panel("nncg-base", 99).runs.sel(n_data=[100])))
    assert elsewhere.loc[(30, 500), "regime"] == "" and np.isnan(elsewhere.loc[(30, 500), "before"])
    drawn = newton.damping_runs(study)
    assert isinstance(drawn, pd.DataFrame) and drawn.groupby("damping").size().tolist() == [4, 4]
