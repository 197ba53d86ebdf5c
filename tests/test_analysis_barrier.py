"""What is measured on curves and step lengths whose truth is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from made_landscapes import T, attrs, curves, falling, joined, lengths, pair, steps
from scipy import stats

from sciml_lib import figures
from sciml_lib.analysis import barrier, jumps
from sciml_lib.errors import UserError
from sciml_lib.landscape import power_law
from sciml_lib.studies import Results

# --- curves ---------------------------------------------------------------------------------------------------


def test_a_curve_measures_its_climb() -> None:
    trained, line = barrier.climbs(curves((1.0, 1e4), None, loss=(1e-2, 1e-2))).itertuples()
    assert (trained.kind, line.kind) == ("bezier", "straight")
    assert trained.clear and trained.factor == 1.0 and trained.height == 0.0
    assert not line.clear and line.factor == pytest.approx(1e4) and line.height == pytest.approx(100 - 1e-2)
    assert line.largest == pytest.approx(100) and line.at == 0.5
    assert line.argmax == pytest.approx(1 - 1e4) and line.argmin == 0.0


def test_curves_come_cell_by_cell_and_the_same_seed_first() -> None:
    results = joined(curves(cell=(50.0, 2000)), curves(cell=(50.0, 1000)), curves(cell=(30.0, 2000)))
    found = barrier.climbs(results).query("kind == 'straight'")[["n_data", "coefficient", "pair"]]
    wanted = [(n, c, v) for n, c in ((1000, 50.0), (2000, 30.0), (2000, 50.0)) for v in ("same", "other")]
    assert list(found.itertuples(index=False, name=None)) == wanted


def test_ends_are_those_of_the_curves() -> None:
    row = barrier.climbs(curves()).iloc[0]
    assert row["cell"] == "β = 30, N = 1,000" and row["seed"] == 0
    assert row[["loss_0", "loss_1", "error_0", "error_1"]].tolist() == pytest.approx([1e-2, 1e-4, 1.0, 0.01])


def test_what_two_solutions_have_in_common_comes_from_their_recipes() -> None:
    begin, more = barrier.common_start("laptop")
    assert begin.startswith("2,000 steps of Adam") and more == "up to 10,000 iterations of L-BFGS"
    assert barrier.common_start("paper")[1] == ""


def test_a_pair_is_joined_by_one_clear_curve() -> None:
    found = barrier.joined(barrier.climbs(joined(curves((1.0, 1e6), (1e6, 1e4)), Results(pair("own", 2), attrs()))))
    assert found[["pair", "seed", "end_seed"]].to_numpy().tolist() == [["own", 2, 2], ["same", 0, 0], ["other", 1, 0]]
    assert found["clear"].tolist() == [True, True, False] and found["factor"].tolist() == pytest.approx([1, 1, 1e4 / 10], rel=1)


@pytest.mark.parametrize(
    ("loss", "error", "refined"),
    [
        ((1e-2, 1e-4), (1.0, 0.01), True),
        ((1e-2, 1e-4), (0.1, 0.01), False),
        ((1e-2, 1e-4), (1.0, 0.9), False),
        ((5e-4, 1e-4), (1.0, 0.01), False),
    ],
)
def test_a_pair_of_the_papers_kind_gets_fine_and_accurate(loss: tuple, error: tuple, refined: bool) -> None:
    assert (barrier.climbs(curves(loss=loss, error=error))["refined"] == refined).all()


def test_training_that_was_cut_short_is_told() -> None:
    ended = {"status": "converged_change", "run_status": "line_search_failed"}
    (curve, line) = barrier.climbs(Results(pair("own", **ended), attrs())).itertuples()
    assert not (curve.cut or line.cut or curve.run_cut)
    (curve, line) = barrier.climbs(Results(pair("own", status="budget_spent"), attrs())).itertuples()
    assert curve.cut and not line.cut and curve.run_cut  # what is not stored is not known to have ended by itself


def test_every_network_counts_once() -> None:
    found = barrier.networks(barrier.climbs(joined(curves(), Results(pair("own", 1, error=(1.0, 0.5)), attrs()))))
    names = ["ALM before its constraints (seed 1)", "ALM (seed 1)", "L-BFGS (seed 0)", "ALM (seed 0)", "L-BFGS (seed 1)"]
    assert found["name"].tolist() == names and found["seed"].tolist() == [1, 1, 0, 0, 1]
    assert found["low"].tolist() == [False, True, False, True, False] and found["right"].tolist() == [False] * 3 + [True, False]


def test_the_printed_formula_passes_over_a_barrier() -> None:
    line = barrier.climbs(curves((1.0, 1e6), (1.0, 1.0))).query("kind == 'straight' and pair == 'same'").iloc[0]
    assert line["argmax"] == pytest.approx(-2.0e5, rel=0.02) and line["argmin"] == pytest.approx(0.21, abs=0.01)


def test_a_low_region_and_two_low_places_are_told_apart() -> None:
    found = barrier.while_low(curves(loss=(1e-3, 1e-4)))
    assert (found["low"] == found["points"]).all() and (found["most"] / found["least"]).max() == pytest.approx(100)
    found = barrier.while_low(curves((1e9, 1e9), (1e9, 1e9), loss=(5e-1, 1e-3)))
    assert (found["low"] / found["points"]).max() == pytest.approx(3 / 11)
    found = barrier.while_low(curves(loss=(1.0, 0.1)))
    assert (found["low"] == 0).all() and found["least"].isna().all() and (found["wrong"] == 0).all()
    assert barrier.while_low(curves(loss=(1e-3, 1e-4)))["wrong"].tolist() == [2, 2]  # errors of 1 and 0.63


def test_error_follows_loss_or_does_not() -> None:
    right = barrier.order(barrier.points(curves(loss=(1e-2, 1e-4), error=(1.0, 0.01)))).loc["β = 30, N = 1,000"]
    assert right[["points", "rank", "apart"]].tolist() == pytest.approx([11, 1.0, 1.0])  # ends and equal curves count once
    turned = curves(loss=(1e-4, 1e-2), error=(1.0, 0.01))
    found = barrier.order(barrier.points(turned)).iloc[0]
    assert (found["rank"], found["apart"]) == pytest.approx((-1.0, 0.0))
    (row,) = barrier.inversions(barrier.climbs(turned)).query("wrong == 'L-BFGS (seed 0)'").itertuples()
    assert (row.right, row.cell) == ("ALM (seed 0)", "β = 30, N = 1,000")
    assert (row.wrong_loss, row.wrong_error, row.right_loss, row.right_error) == pytest.approx((1e-4, 1.0, 1e-2, 0.01))
    assert barrier.inversions(barrier.climbs(curves())).empty
    assert np.isnan(barrier.order(barrier.points(curves(error=(0.1, 0.01)))).iloc[0]["apart"])
    two = barrier.order(barrier.points(joined(curves(), curves(cell=(50.0, 1000)))))
    assert two["points"].to_dict() == {"β = 30, N = 1,000": 11, "β = 50, N = 1,000": 11, "all together": 22}


def test_separation_is_the_share_of_ordered_pairs() -> None:
    loss, right = np.array([1.0, 2.0, 3.0, 4.0]), np.array([True, False, True, False])
    assert barrier.separation(loss, right) == 0.75
    assert np.isnan(barrier.separation(loss, np.ones(4, dtype=bool)))


def test_the_figure_has_a_column_a_cell() -> None:
    both = barrier.drawn(joined(curves(), curves(cell=(50.0, 1000))))
    limits = barrier.low()
    figure = figures.curve_grid(both, ends=("L-BFGS", "ALM"), title="Curves", low=(limits.train, limits.test))
    assert [axes.get_title() for axes in figure.axes[:2]] == ["β = 30, N = 1,000", "β = 50, N = 1,000"]
    (line,) = (line for line in figure.axes[0].lines if line.get_gid() == "same seed bezier")
    assert line.get_ydata() == pytest.approx(falling(1e-2, 1e-4))
    (line,) = (line for line in figure.axes[2].lines if line.get_gid() == "another seed straight")
    assert line.get_ydata() == pytest.approx(falling(1.0, 0.01))
    levels = [line.get_ydata()[0] for axes in figure.axes for line in axes.lines if line.get_gid() == "low"]
    assert levels == [3.80e-3, 3.80e-3, 0.434, 0.434]


@pytest.mark.parametrize(
    ("curve", "words"),
    [
        (figures.Curve("a", "cubic", T, T + 1, T + 1), "kind='cubic'"),
        (figures.Curve("a", "bezier", T, T[1:] + 1, T + 1), "give equally many"),
        (figures.Curve("a", "bezier", T, T, T + 1), "the loss of 'a' has 0"),
        (figures.Curve("a", "bezier", T, T + 1, -T), "the error of 'a' has -1"),
    ],
)
def test_a_figure_of_impossible_curves_is_refused(curve: figures.Curve, words: str) -> None:
    with pytest.raises(UserError, match=words):
        figures.curve_grid({"cell": [curve]}, ends=("a", "b"), title="x")
    with pytest.raises(UserError, match="1 to 4 pairs"):
        figures.curve_grid({}, ends=("a", "b"), title="x")


# --- steps ----------------------------------------------------------------------------------------------------


def as_claimed(beta: float, rate: float, seed: int) -> float:
    return (2.4 if beta == 20 else 1.6) + 0.15 * seed


def tails_of(*args: object, **options: object) -> pd.DataFrame:
    return jumps.step_tails(steps(*args, **options))


@pytest.fixture(scope="module")
def claimed() -> pd.DataFrame:
    return tails_of(as_claimed)


def test_exponents_are_those_the_steps_were_made_with(claimed: pd.DataFrame) -> None:
    assert len(claimed) == 24 and claimed["valid"].all()
    for row in claimed.itertuples():
        assert row.alpha == pytest.approx(as_claimed(row.coefficient, row.rate, row.seed), rel=0.15)
        assert row.sigma == pytest.approx((row.alpha - 1) / np.sqrt(row.n_tail), rel=0.05)
        assert row.steps == 80 and row.longest > row.median and not row.warm


def test_the_larger_exponents_are_counted_and_so_is_their_chance(claimed: pd.DataFrame) -> None:
    assert jumps.larger_alpha(claimed) == 1.0
    assert jumps.chance_of_larger(claimed) == pytest.approx((20.0**-4, 1.0))  # one of 20 ways to deal out, four times
    turned = tails_of(lambda beta, rate, seed: (1.4 if beta == 20 else 1.8) + rate + 0.05 * seed)
    assert jumps.larger_alpha(turned) == 0.0 and jumps.chance_of_larger(turned) == pytest.approx((1.0, 20.0**-4))
    even = tails_of(lambda beta, rate, seed: 1.6 + 0.4 * seed)
    assert jumps.larger_alpha(even) == 0.5 and min(jumps.chance_of_larger(even)) > 0.5
    alone = tails_of(as_claimed, speeds=(5.0,), rates=(0.8,))
    assert np.isnan(jumps.larger_alpha(alone)) and np.isnan(jumps.chance_of_larger(alone)).all()


def test_the_chance_is_that_of_a_rank_test_where_there_is_one_rate() -> None:
    tails = tails_of(lambda beta, rate, seed: (2.0 if beta == 20 else 1.7) + 0.5 * seed, rates=(0.1,))
    fast, slow = (tails.loc[tails["coefficient"] == beta, "alpha"] for beta in (20.0, 5.0))
    wanted = [stats.mannwhitneyu(fast, slow, alternative=side, method="exact").pvalue for side in ("greater", "less")]
    assert jumps.chance_of_larger(tails) == pytest.approx(wanted)


def test_differences_between_rates_are_bounded_by_the_scatter_of_seeds() -> None:
    tails = tails_of(lambda beta, rate, seed: 2.0 + (rate if beta == 5 else 0.0) + 0.1 * seed)
    found = jumps.rate_effect(tails)
    slow = tails[tails["coefficient"] == 5.0].pivot(index="seed", columns="rate", values="alpha")
    assert found.loc[5.0, "change"] == pytest.approx(slow[0.8].mean() - slow[0.1].mean())
    sigma = np.sqrt(slow.var().mean())  # 3 seeds of 4 rates: 8 degrees of freedom
    assert found.loc[5.0, "below"] == pytest.approx(found.loc[5.0, "change"] + 1.8595 * sigma * np.sqrt(2 / 3), rel=1e-3)
    assert 0 < found.loc[5.0, "above"] < 0.7 and found.loc[20.0, "above"] == 0.0 and found.loc[20.0, "below"] < 0.5
    assert jumps.rate_effect(tails_of(as_claimed, rates=(0.8,))).empty


def test_what_does_not_exist_is_not_summed_up() -> None:
    none = tails_of(as_claimed, passed=lambda beta, seed: -1)
    assert jumps.by_rate(none).empty and jumps.rate_effect(none).empty and np.isnan(jumps.larger_alpha(none))


def test_runs_that_passed_early_or_never_are_told() -> None:
    tails = tails_of(as_claimed, passed=lambda beta, seed: 900 if beta == 5 else 2500 if seed else -1)
    assert (tails["passed"] >= 0).sum() == 20 and set(tails.loc[tails["warm"], "coefficient"]) == {5.0}
    assert tails["alpha"].isna().sum() == 4 and jumps.by_rate(tails).loc[(20.0, 0.8), "runs"] == 2


def test_a_run_that_ends_at_once_has_no_exponent() -> None:
    tails = tails_of(as_claimed, n=lambda beta, seed: 3 + seed if beta == 5 and seed < 2 else 80)
    short = tails[tails["alpha"].isna()]
    assert len(short) == 8 and set(short["steps"]) == {3, 4} and set(short["coefficient"]) == {5.0}


def test_exponents_above_the_bound_of_the_package_are_found() -> None:
    tails = tails_of(lambda beta, rate, seed: 5.0 if beta == 20 else 2.0)
    assert tails.loc[tails["coefficient"] == 20, "alpha"].to_numpy() == pytest.approx(5.0, rel=0.05)
    assert (tails["alpha"] > jumps.BOUND).sum() == 12
    bounded = power_law(lengths(5.0), largest=jumps.BOUND)
    assert bounded.alpha == pytest.approx(3.0) and not bounded.in_range


def test_exponents_are_summed_up_by_speed_and_rate(claimed: pd.DataFrame) -> None:
    found = jumps.by_rate(claimed)
    assert found.shape[0] == 8 and (found["runs"] == 3).all()
    group = claimed[(claimed["coefficient"] == 5) & (claimed["rate"] == 0.1)]
    row = found.loc[(5.0, 0.1)]
    assert row["alpha"] == group["alpha"].median() and (row["least"], row["most"]) == (
        group["alpha"].min(),
        group["alpha"].max(),
    )
    assert row["jump"] == pytest.approx((group["longest"] / group["median"]).median())
