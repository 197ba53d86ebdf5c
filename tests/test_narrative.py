"""Words from numbers: every sentence of the chapters on maps whose truth is known, from empty ones to perfect ones."""

import math

import numpy as np
import pytest
import xarray as xr
from made_runs import few, runs, steep

from sciml_lib import narrative, panels, prose
from sciml_lib.errors import UserError
from sciml_lib.figures.solutions import solutions
from sciml_lib.panels import Panel
from sciml_lib.regimes import Regime, published
from sciml_lib.sweeps import catalog

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


def test_the_overview_counts_cells_and_finds_the_border(panel):
    text = narrative.overview(panel)
    labels = panel.labels.values
    assert f"Of the {labels.size} cells computed" in text
    assert f"{prose.percent(float((labels == 1).mean()))} are well trained (I)" in text
    assert r"In our map, the training loss first exceeds its threshold at $\beta = 25$ with 1,000 and 2,000 points" in text


def test_seeds_that_agree_leave_every_label_settled(panel):
    text = narrative.trust(panel)
    assert text.startswith("In 0 of 84 cells")
    assert "Every label is reached by at least nine resamples of ten" in text
    assert "With 3 seeds there are only 10 different resamples" in text


def test_seeds_that_disagree_are_counted():
    split = Panel(runs(PANEL, "laptop", lambda c, n, s: 1e-5, lambda c, n, s: 1.0 if (c, n, s) == (5, 100, 0) else 0.01))
    assert narrative.trust(split).startswith("In 1 of 84 cells")


def test_one_seed_has_no_band():
    single = Panel(runs(PANEL, "laptop", steep(25), few, n_seeds=1))
    assert "With one seed nothing can be said" in narrative.trust(single)
    with pytest.raises(UserError, match="more than one seed"):
        single.boundary_band("title")


def test_the_comparison_accounts_for_every_differing_cell(panel):
    text, result = narrative.comparison(panel), panel.agreement
    assert result.sentence in text
    assert f"Of the {len(result.differing)} cells that differ" in text
    assert narrative.differences(panel).count("\n| ") == len(result.differing) + 1


def test_the_comparison_says_what_it_cannot_see(panel):
    under = int((panel.published_labels["label"] == int(Regime.II)).sum())
    seen = int((panel.published_labels["label"].sel(n_data=panel.runs["n_data"].values) == int(Regime.II)).sum())
    assert 0 < seen < under
    assert f"{under - seen} lie where nothing of ours is stored" in narrative.comparison(panel)


def test_a_run_trained_twice_is_compared_with_itself(panel):
    steps = catalog.WARM_UP

    def again(flip):
        return Panel(runs(f"pinn/convection/warmup-{steps}", "laptop", steep(25), flip))

    same = narrative.repeats(panel, again(few))
    assert "in 0 of 18" in same
    assert "in 0 one of the two is well trained" in same
    assert "no more than a name" not in same
    noisy = narrative.repeats(panel, again(lambda c, n, s: 3 * few(c, n, s)))
    assert "in 18 of 18, and in 0 one" in noisy
    worse = narrative.repeats(panel, again(lambda c, n, s: 0.9 if (c, n, s) == (20.0, 500, 1) else few(c, n, s)))
    assert "in 1 of 18, and in 1 one of the two is well trained" in worse
    assert "no more than a name" in worse
    assert "the regime changes" not in worse
    moved = narrative.repeats(panel, again(lambda c, n, s: 0.9 if (c, n) == (20.0, 500) else few(c, n, s)))
    assert r"the regime changes at $\beta = 20$ with 500 points (I in the map, III here, III published)." in moved
    assert narrative.repeats(panel, Panel(runs("pinn/convection/warmup-0", "laptop", steep(25), few))) == ""


def test_the_published_map_agrees_with_itself(panel):
    theirs = panel.published
    train, test = (
        lambda c, n, s, name=name: float(theirs[name].sel(coefficient=c, n_data=n)) for name in ("train_loss", "test_error")
    )
    same = Panel(runs(PANEL, "laptop", train, test))
    assert same.agreement.share_equal == 1
    assert "almost perfect agreement. No cell differs." in narrative.comparison(same)
    assert narrative.differences(same) == "No cell differs."


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

    text = narrative.warmup_words(study(truth))
    assert "a warm-up of 2,000 steps comes nearest" in text
    assert "missed by a factor of 1.0" in text
    assert "Farthest off is a warm-up of 5,000 steps" in text


def test_lengths_that_do_equally_well_are_not_ranked():
    assert "too near to be ruled out" in narrative.warmup_words(study(lambda steps: lambda c, n, s: 0.5 + steps / 1e6))


def test_the_literal_map_says_what_the_warm_up_changes(panel):
    literal = Panel(runs("pinn/convection/lbfgs-literal", "laptop", steep(10), few))
    text = narrative.literal_words(literal, panel)
    stuck = literal.agreement_with(panel).confusion[1]
    assert stuck.sum() == 28  # seven coefficients from 10 on, four amounts of data
    assert f"With the printed settings {stuck.sum()} cells" in text
    assert f"and {stuck[1]} stay in Regime II" in text
    assert "belongs to the *recipe*" in text
    same = narrative.literal_words(Panel(runs("pinn/convection/lbfgs-literal", "laptop", steep(25), few)), panel)
    assert "does not depend on how training starts" in same


def test_a_panel_with_nothing_in_regime_two_says_so(panel):
    fine = Panel(runs("pinn/convection/lbfgs-literal", "laptop", steep(1e9), few))
    assert "In no cell that both maps have" in narrative.literal_words(fine, panel)


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
    text = narrative.recipe(panel)
    assert "252 runs" in text and "2,000 steps of Adam (learning rate 0.001) and then up to 10,000 iterations of L-BFGS" in text
    commands = narrative.commands("pinn_convection", [panel])
    assert "-p profile laptop -o laptop.ipynb" in commands and "4.2 hours" in commands
    assert "252 (100 %)" in narrative.endings({"panel": panel})


def test_without_stored_parameters_the_examples_say_how_to_get_them(panel, tmp_path):
    empty = Panel(panel.runs, str(tmp_path))
    with pytest.raises(UserError, match="python -m sciml_lib run pinn/convection/lbfgs --profile laptop"):
        empty.examples("title")
    assert narrative.three(empty).count("No stored run") == 3


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
