"""The numbers of the convection chapter on maps whose truth is known, from empty ones to perfect ones."""

import math

import numpy as np
import pytest
import xarray as xr
from made_runs import few, runs, steep

from sciml_lib import panels, prose, report
from sciml_lib.analysis import convection
from sciml_lib.errors import UserError
from sciml_lib.figures.solutions import solutions
from sciml_lib.panels import Panel
from sciml_lib.regimes import Regime, published
from sciml_lib.sweeps import Cell, catalog

PANEL = "pinn/convection/lbfgs"


@pytest.fixture
def panel() -> Panel:
    return Panel(runs(PANEL, "laptop", steep(25), few))


def test_numbers_become_words():
    assert [prose.counted(n, "cell") for n in (0, 1, 1200)] == ["no cell", "1 cell", "1,200 cells"]
    assert [prose.percent(x) for x in (0, 0.001, 0.83, 0.999, 1, math.nan)] == [
        "0 %", "less than 1 %", "83 %", "more than 99 %", "100 %", "n/a",
    ]  # fmt: skip
    assert [prose.number(x) for x in (0.0312, 1.24, 12345.0, 2.31e-5, math.inf)] == [
        "0.031", "1.2", r"$1.2 \times 10^{4}$", r"$2.3 \times 10^{-5}$", "infinite",
    ]  # fmt: skip
    assert [prose.duration(s) for s in (0.2, 40, 700, 12600)] == ["1 second", "40 seconds", "12 minutes", "3.5 hours"]
    assert prose.listed("abc") == "a, b and c"
    assert [prose.strength(k) for k in (-0.1, 0.5, 0.95, math.nan)] == ["no", "moderate", "almost perfect", "undefined"]
    assert prose.table(["a", "b"], [[1, 2]]) == "| a | b |\n| :--- | ---: |\n| 1 | 2 |"


def test_intervals_become_words():
    assert [prose.between(*pair) for pair in ((0.35, 0.49), (0.0, 0.072), (3.0, math.inf), (math.nan, math.nan))] == [
        "0.35 to 0.49", "at most 0.072", "at least 3.0", "not legible",
    ]  # fmt: skip


def test_cells_and_runs_are_counted_by_regime(panel):
    found = convection.regimes(panel)
    labels = panel.labels.values
    assert found["cells"].to_dict() == {name: int((labels == k).sum()) for k, name in ((1, "I"), (2, "II"), (3, "III"))}
    assert found["runs"].to_dict() == {name: 3 * n for name, n in found["cells"].items()}
    theirs = panel.published_labels["label"]
    seen = theirs.sel(n_data=panel.runs["n_data"].values)
    assert found.loc["II", ["published", "seen"]].tolist() == [int((theirs == 2).sum()), int((seen == 2).sum())]
    assert 0 < found["seen"]["II"] < found["published"]["II"]


def test_a_run_has_a_regime_of_its_own():
    lone = Panel(runs(PANEL, "laptop", lambda c, n, s: 1.0 if (c, n, s) == (30, 1000, 0) else 1e-5, lambda *_: 0.01))
    assert convection.regimes(lone).loc["II", ["cells", "runs"]].tolist() == [1, 1]
    row = convection.by_row(lone).loc[1000]
    assert (row["ours"], row["runs"], row["of"]) == (30.0, 1, 36)
    missing = Panel(lone.runs.where(lone.runs["n_data"] < 1000))
    assert 1000 not in convection.by_row(missing).index and convection.regimes(missing)["runs"]["II"] == 0


def test_the_border_is_found_row_by_row(panel):
    found = convection.by_row(panel)
    assert set(found["ours"]) == {25.0} and found.loc[2000, "published"] == 30 and math.isinf(found.loc[100, "published"])


def test_seeds_that_agree_leave_every_label_settled(panel):
    assert convection.trust(panel) == {"cells": 84, "split": 0, "unsure": 0}
    split = Panel(runs(PANEL, "laptop", lambda c, n, s: 1e-5, lambda c, n, s: 1.0 if (c, n, s) == (5, 100, 0) else 0.01))
    assert convection.trust(split)["split"] == 1
    single = Panel(runs(PANEL, "laptop", steep(25), few, n_seeds=1))
    assert convection.trust(single) == {"cells": 84, "split": 0}
    with pytest.raises(UserError, match="more than one seed"):
        single.boundary_band("title")


def test_every_differing_cell_is_listed(panel):
    found = convection.differing(panel)
    assert len(found) == len(panel.agreement.differing) > 0
    first = found.iloc[0]
    cell = {"n_data": first.n_data, "coefficient": first.coefficient}
    assert first.test_error == float(panel.test.sel(cell)) and first.ours != first.published
    assert found["resampled"].between(0, 1).all() and (found["low"] <= found["high"]).all()


def test_a_run_trained_twice_is_compared_with_itself(panel):
    def again(flip):
        return convection.repeats(panel, Panel(runs(f"pinn/convection/warmup-{catalog.WARM_UP}", "laptop", steep(25), flip)))

    same = again(few)
    assert len(same) == 18 and same["equal"].all() and not same["changed"].any()
    noisy = again(lambda c, n, s: 3 * few(c, n, s))
    assert noisy["ratio"].tolist() == pytest.approx([3.0] * 18) and not noisy["equal"].any()
    worse = again(lambda c, n, s: 0.9 if (c, n, s) == (20.0, 500, 1) else few(c, n, s))
    assert worse["changed"].sum() == 1 and worse["equal"].sum() == 17
    assert convection.repeats(panel, Panel(runs("pinn/convection/warmup-0", "laptop", steep(25), few))).empty


def test_the_published_map_agrees_with_itself(panel):
    theirs = panel.published
    train, test = (
        lambda c, n, s, name=name: float(theirs[name].sel(coefficient=c, n_data=n)) for name in ("train_loss", "test_error")
    )
    same = Panel(runs(PANEL, "laptop", train, test))
    assert same.agreement.share_equal == 1
    assert convection.differing(same).empty
    rows = convection.by_row(same)
    assert rows["ours"].equals(rows["published"])


def study(test) -> dict[int, Panel]:
    return {
        steps: Panel(runs(f"pinn/convection/warmup-{steps}", "laptop", lambda c, n, s: 1e-5, test(steps)))
        for steps in (0, 1000, 2000, 5000)
    }


def test_the_nearest_warm_up_is_the_one_with_the_published_values(panel):
    def truth(steps):
        def test(c, n, s):
            low, high = published.interval(panel.published, "test_error", c, n) or (0.1, 0.1)
            middle = min(high, 2.0) if low == 0 else low
            return middle * (1 if steps == 2000 else 3 + steps / 1000)

        return test

    cells = convection.warmups(study(truth))
    assert len(cells) == 6 and (cells["of"] == 5).all() and (cells["solved 0"] <= cells["solved 2000"]).all()
    missed = convection.missed_by(cells, [0, 1000, 2000, 5000])
    assert (missed.idxmin(), missed.idxmax()) == (2000, 5000) and missed[2000] == pytest.approx(1.0)
    assert convection.missed_by(cells.iloc[:0], [0]).empty


def test_the_fate_of_cells_in_regime_two_is_counted(panel):
    literal = Panel(runs("pinn/convection/lbfgs-literal", "laptop", steep(10), few))
    fate = convection.fate_of_regime_two(literal, panel)
    assert fate.sum() == 28  # seven coefficients from 10 on, four amounts of data
    assert fate["II"] == 16
    same = Panel(runs("pinn/convection/lbfgs-literal", "laptop", steep(25), few))
    assert convection.fate_of_regime_two(same, panel).to_dict() == {"I": 0, "II": 16, "III": 0}
    fine = Panel(runs("pinn/convection/lbfgs-literal", "laptop", steep(1e9), few))
    assert convection.fate_of_regime_two(fine, panel).sum() == 0


def test_a_network_that_forgets_is_one_of_low_loss(panel, monkeypatch):
    cells = {regime: panel.typical(regime) for regime in (Regime.II, Regime.III)}
    x, t = np.linspace(0, 2 * np.pi, 9), np.linspace(0, 1, 5)
    wave = np.sin(x)[None, :] * np.array([1.0, 0.5, 0.01, 0.0, 0.0])[:, None]
    flat = panels.Solution(x, t, wave, np.sin(x)[None, :].repeat(5, axis=0), np.zeros((0, 2)))
    monkeypatch.setattr(Panel, "solution", lambda self, cell: flat)
    monkeypatch.setattr(Panel, "parameters", lambda self, cell: None)
    assert flat.flat_from == 0.5
    low = next(cell for cell in (cells[Regime.III], convection_cell(panel, 1e-5)) if cell is not None)
    assert convection.forgets(panel, low) == 0.5
    assert convection.forgets(panel, convection_cell(panel, 1e-2)) is None and convection.forgets(panel, None) is None
    never = panels.Solution(x, t, flat.true, flat.true, flat.points)
    assert never.flat_from is None


def convection_cell(panel: Panel, loss: float) -> Cell:
    """A stored run with that training loss."""
    frame = convection.regime_of_runs(panel)
    row = frame[np.isclose(frame["train_loss"], loss)].iloc[0]
    return Cell(float(row.coefficient), int(row.n_data), int(row.seed))


def test_onset_knows_gaps_and_rows_without_a_border():
    labels = xr.DataArray(
        [[1, 1, 0], [1, 2, 2], [1, 2, 2]],
        dims=("coefficient", "n_data"),
        coords={"coefficient": [5, 6, 7], "n_data": [1, 2, 3]},
    )
    found = panels.onset(labels)
    assert found[1] == math.inf
    assert found[2] == 6
    assert math.isnan(found[3])


def test_recipes_and_commands_come_from_the_catalog(panel):
    text = report.in_full(panel.plan.strategy)
    assert text.startswith("2,000 steps of Adam (learning rate 0.001) and then up to 10,000 iterations of L-BFGS (history 100")
    commands = report.commands("pinn_convection", [panel])
    assert "-p profile laptop -o laptop.ipynb" in commands and "4.2 hours" in commands
    one = "python -m sciml_lib run pinn/convection/lbfgs --profile laptop --runs my_runs"
    assert f"{one} --coefficient 5 --n-data 100 --seed 0\n" in commands
    assert "252 (100 %)" in report.endings({"panel": panel})
    both = report.runs_over({1: panel, 2: panel}, "length")
    assert len(both) == 504 and both.groupby("length").size().tolist() == [252, 252]


def test_without_stored_parameters_the_examples_say_how_to_get_them(panel, tmp_path):
    empty = Panel(panel.runs, str(tmp_path))
    with pytest.raises(UserError, match="python -m sciml_lib run pinn/convection/lbfgs --profile laptop"):
        empty.examples("title")


def test_an_example_comes_from_the_regime_it_stands_for(panel, tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / PANEL / "laptop" / "arrays"
    folder.mkdir(parents=True)
    for n in panel.runs["n_data"].values:
        names = [f"c{c:g}_s0" for c in panel.runs["coefficient"].values]
        np.savez(folder / f"n{n}.npz", **{name: rng.normal(size=5301).astype(np.float32) for name in names})
    here = Panel(panel.runs, str(tmp_path))
    for regime in (Regime.I, Regime.II, Regime.III):
        cell = here.typical(regime)
        assert here.labels.sel(coefficient=cell.coefficient, n_data=cell.n_data) == regime
    solution = here.solution(cell)
    assert solution.learned.shape == solution.true.shape == (101, 129)
    np.testing.assert_allclose(solution.true, np.sin(solution.x[None, :] - cell.coefficient * solution.t[:, None]))
    assert len(solution.points) == cell.n_data
    assert len(here.examples("title").axes) == 7  # three columns of two, and the colour bar


def test_solutions_of_unequal_number_are_refused():
    grid = np.zeros((3, 4))
    with pytest.raises(UserError, match="for each network"):
        solutions([grid], [grid, grid], range(4), range(3), [[[0, 0]]], ["a"], ["b"], title="t")
    with pytest.raises(UserError, match="shape"):
        solutions([grid.T], [grid], range(4), range(3), [[[0, 0]]], ["a"], ["b"], title="t")
