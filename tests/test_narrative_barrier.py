"""What the chapter on barriers says, of curves and step lengths whose truth is known: every sentence both ways round."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from sciml_lib import figures, narrative
from sciml_lib.errors import UserError
from sciml_lib.landscape import power_law
from sciml_lib.ledger import FAILS, HOLDS, OPEN
from sciml_lib.narrative import barrier, jumps
from sciml_lib.studies import Item, Results
from sciml_lib.studies.cells import CONVECTION

T = np.linspace(0.0, 1.0, 11)
CELL = (30.0, 1000)
Profile = Callable[[np.ndarray], np.ndarray]


def falling(first: float, last: float, bump: float = 1.0) -> np.ndarray:
    """From one value to another, evenly in the logarithm; in the middle so many times more."""
    values = np.geomspace(first, last, T.size)
    values[T.size // 2] *= bump
    return values


def attrs(profile: str = "laptop", **more: object) -> dict[str, object]:
    return {"profile": profile, "seeds": [0, 1], "recipe": {"iterations": 200, "points": 21, "shown": 11}} | more


def curves(
    same: tuple[float, float] | None = (1.0, 1.0),
    other: tuple[float, float] | None = (1.0, 1.0),
    *,
    loss: tuple[float, float] = (1e-2, 1e-4),
    error: tuple[float, float] = (1.0, 0.01),
    cell: tuple[float, int] = CELL,
    profile: str = "laptop",
) -> Results:
    """One cell whose losses have a bump on the trained curve and on the straight line, for both kinds of pairs."""
    items = {}
    for seed, (variant, bumps) in enumerate((("same", same), ("other", other))):
        if bumps is not None:
            arrays = {"t": T}
            for kind, bump in zip(("bezier", "straight"), bumps, strict=True):
                arrays |= {f"{kind}_loss": falling(*loss, bump), f"{kind}_error": falling(*error)}
            items[Item(CONVECTION, *cell, seed, variant)] = arrays
    return Results(items, attrs(profile))


def joined(*parts: Results) -> Results:
    return Results({item: arrays for part in parts for item, arrays in part.items.items()}, parts[0].attrs)


def verdicts(results: Results) -> list[str]:
    return [statement.verdict for statement in narrative.barrier_statements(results)]


# --- curves ---------------------------------------------------------------------------------------------------


def test_a_path_measures_its_climb() -> None:
    results = curves((1.0, 1e4), loss=(1e-2, 1e-2))
    (trained, line) = barrier.paths(results, variant="same")
    assert (trained.kind, line.kind) == ("bezier", "straight")
    assert trained.clear and trained.factor == 1.0 and trained.height == 0.0
    assert not line.clear and line.factor == pytest.approx(1e4) and line.height == pytest.approx(100 - 1e-2)
    assert line.connectivity("argmax") == pytest.approx(1e-2 - 100) and line.connectivity("argmin") == 0.0


def test_paths_come_cell_by_cell_and_the_same_seed_first() -> None:
    results = joined(curves(cell=(50.0, 2000)), curves(cell=(50.0, 1000)), curves(cell=(30.0, 2000)))
    found = [(p.item.n_data, p.item.coefficient, p.item.variant) for p in barrier.paths(results, kind="straight")]
    assert found == [(n, c, v) for n, c in ((1000, 50.0), (2000, 30.0), (2000, 50.0)) for v in ("same", "other")]


def test_the_papers_cell_is_missed_unless_it_was_run() -> None:
    text = narrative.curve_cells(joined(curves(), curves(cell=(50.0, 1000))))
    assert "(β = 40, 10,000 points) is not run in the profile *laptop*; what was run is β = 30, N = 1,000 and β = 50" in text
    assert "| β = 30, N = 1,000 | another seed | 0.010 | $1.0 \\times 10^{-4}$ | 1.0 | 0.010 |" in text
    text = narrative.curve_cells(curves(cell=(40.0, 10_000), profile="paper"))
    assert "(β = 40, 10,000 points) is among those that were run" in text


def test_what_two_solutions_have_in_common_comes_from_their_recipes() -> None:
    text = narrative.curve_cells(curves())
    assert "2,000 steps of Adam" in text and "L-BFGS alone goes through the same and has up to 10,000 iterations" in text
    assert "a part of their training in common" in text
    text = narrative.curve_cells(curves(profile="paper"))
    assert "ALM sets out from the very solution of L-BFGS" in text and "L-BFGS alone" not in text


@pytest.mark.parametrize(
    ("same", "other", "words"),
    [
        ((1.0, 1.0), (1.0, 1e6), "Even solutions of different seeds can be joined without a climb"),
        ((1.0, 1e6), (1e6, 1e6), "not that the landscape is connected"),
        ((1e6, 1e6), (1.0, 1e6), "joined without a climb, and not all of those with a common start"),
        ((1e6, 1e8), (1e6, 1e7), "No pair is joined without a climb, and even a common start does not help"),
        (None, (1.0, 1.0), "With one kind of pair alone nothing can be compared"),
    ],
)
def test_both_kinds_of_pairs_are_weighed(same: tuple | None, other: tuple | None, words: str) -> None:
    text = narrative.barriers(curves(same, other))
    assert words in text
    assert "up to 200 iterations of L-BFGS on 21 points" in text


def test_some_of_each_is_said_so() -> None:
    results = joined(curves((1.0, 1.0), (1.0, 1.0)), curves((1e4, 1e4), (1e4, 1e4), cell=(50.0, 1000)))
    text = narrative.barriers(results)
    assert "Neither all pairs with a common start can be joined without a climb, nor all of those without one" in text
    assert "*Same seed*: along the straight line 1 of 2 pairs meets one, 1,000 times" in text.replace("$", "")


def test_climbs_are_counted() -> None:
    text = narrative.barriers(curves((1.0, 1e4), (1e4, 1e6)))
    assert (
        "along the straight line all of 1 pair meet one, 1,000 times the higher end; along the trained curve none of 1" in text
    )
    assert "the trained curve all of 1 pair meet one, 1,000 times" in text
    lowered = narrative.barriers(curves((1e4, 1e6), (1e4, 1e6)))
    assert "lowers its largest loss by a factor of 100, and does not remove the barrier" in lowered
    assert "Another" not in narrative.barriers(curves((1.0, 1.0), None))


def test_the_printed_formula_is_shown_beside_the_standard_one() -> None:
    text = narrative.two_connectivities(curves((1.0, 1e6), (1.0, 1.0)))
    assert "| β = 30, N = 1,000 | same seed | straight line | -$2.0 \\times 10^{5}$ | +0.21 |" in text
    assert "On 1 curve of 4 the printed formula reads a barrier as its absence" in text
    assert "reads a barrier" not in narrative.two_connectivities(curves())


def test_a_low_region_and_two_low_places_are_told_apart() -> None:
    text = narrative.error_while_low(curves(loss=(1e-3, 1e-4)))
    assert "the error differs by a factor of up to 100 while the loss is low." in text and "not a region" not in text
    text = narrative.error_while_low(curves((1e9, 1e9), (1e9, 1e9), loss=(5e-1, 1e-3)))
    assert "(27 % of the points at most): these are two places" in text
    text = narrative.error_while_low(curves(loss=(1.0, 0.1)))
    assert "No point of a trained curve has a low loss" in text and "no point |" in text


def test_error_follows_loss_or_does_not() -> None:
    text = narrative.loss_and_error(curves(loss=(1e-2, 1e-4), error=(1.0, 0.01)))
    assert "| β = 30, N = 1,000 | 11 | 1.00 |" in text and "| 100 % |" in text  # ends and equal curves count once
    assert "no inaccurate one has a lower loss than an accurate one" in text and "every point is accurate" in text
    text = narrative.loss_and_error(curves(loss=(1e-4, 1e-2), error=(1.0, 0.01)))
    assert "| -1.00 |" in text and "| 0 % |" in text and "no loss is low enough to vouch for a solution" in text
    assert "the order is reversed at β = 30, N = 1,000: that of L-BFGS (seed 0) has a loss of $1.0 \\times 10^{-4}$" in text
    assert "an error of 1.0, that of ALM (seed 0) a loss of 0.010 and an error of 0.010" in text
    assert "All of the points are accurate." in narrative.loss_and_error(curves(error=(0.1, 0.01)))
    assert "None of the points is accurate." in narrative.loss_and_error(curves(error=(1.0, 0.9)))
    assert "which is what Table 5 calls low" in narrative.loss_and_error(curves(loss=(1.0, 0.1)))
    two = narrative.loss_and_error(joined(curves(), curves(cell=(50.0, 1000))))
    assert "| all together | 11 |" in two


def test_separation_is_the_share_of_ordered_pairs() -> None:
    loss, error = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.1, 1.0, 0.1, 1.0])
    assert barrier.separation(loss, error, 0.5) == 0.75
    assert np.isnan(barrier.separation(loss, error, 2.0))


def test_statements_on_barriers_go_both_ways() -> None:
    paper = (40.0, 10_000)
    assert verdicts(curves(cell=paper, loss=(3e-3, 1e-4))) == [HOLDS] * 5
    assert verdicts(curves((1e6, 1e6), (1e6, 1e6), cell=paper, loss=(2e-4, 1e-4), error=(0.1, 0.01))) == [
        FAILS, FAILS, FAILS, FAILS, OPEN,
    ]  # fmt: skip
    assert verdicts(curves((1.0, 1e6), (1e6, 1e6)))[1:3] == [HOLDS, FAILS]  # one clear curve is enough
    assert verdicts(curves(None, (1.0, 1.0)))[:3] == [OPEN, OPEN, HOLDS]
    assert verdicts(curves((1.0, 1.0), None))[2] == OPEN
    assert verdicts(curves(loss=(1.0, 0.1)))[3] == OPEN
    assert verdicts(curves(loss=(1e-4, 1e-2)))[3:] == [HOLDS, FAILS]  # the inaccurate end has the lower loss
    assert verdicts(curves(error=(0.1, 0.01)))[4] == OPEN


def test_ends_of_other_cells_do_not_judge_the_papers() -> None:
    first = narrative.barrier_statements(joined(curves(), curves(cell=(50.0, 1000), loss=(1e-4, 1e-4))))[0]
    assert first.verdict == OPEN and "far lower with ALM at β = 30, N = 1,000" in first.found
    first = narrative.barrier_statements(curves(loss=(1e-4, 1e-4)))[0]
    assert first.verdict == OPEN and "nowhere far lower with ALM" in first.found


def test_the_figure_has_a_column_a_cell() -> None:
    figure = narrative.curves_figure(joined(curves(), curves(cell=(50.0, 1000))), "Curves")
    assert [axes.get_title() for axes in figure.axes[:2]] == ["β = 30, N = 1,000", "β = 50, N = 1,000"]
    (line,) = (line for line in figure.axes[0].lines if line.get_gid() == "same seed bezier")
    assert line.get_ydata() == pytest.approx(falling(1e-2, 1e-4))
    (line,) = (line for line in figure.axes[2].lines if line.get_gid() == "another seed straight")
    assert line.get_ydata() == pytest.approx(falling(1.0, 0.01))
    levels = [line.get_ydata()[0] for axes in figure.axes for line in axes.lines if line.get_gid() == "low"]
    assert levels == [3.80e-3, 3.80e-3, 0.434, 0.434]
    assert figures.digest(figure) != figures.digest(narrative.curves_figure(curves(), "Curves"))


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


def lengths(alpha: float, n: int = 80) -> np.ndarray:
    """Steps whose reciprocals follow a power law, without any chance."""
    quantiles = (np.arange(n) + 0.5) / n
    return (1.0 - quantiles) ** (1.0 / (alpha - 1.0))


def steps(
    law: Callable[[float, float, int], float],
    *,
    speeds: tuple[float, ...] = (5.0, 20.0),
    rates: tuple[float, ...] = (0.1, 0.2, 0.4, 0.8),
    passed: Callable[[float, int], int] = lambda beta, seed: 2500,
    seeds: int = 3,
    n: Callable[[float, int], int] = lambda beta, seed: 80,
) -> Results:
    """Runs whose exponent is a function of speed, rate and seed."""
    items = {}
    for beta in speeds:
        for rate in rates:
            for seed in range(seeds):
                at = passed(beta, seed)
                norms = lengths(law(beta, rate, seed), n(beta, seed)) if at >= 0 else np.zeros(0)
                arrays = {"norms": norms, "passed": np.array(at), "final_loss": np.array([1e-5 if at >= 0 else 0.05])}
                items[Item(CONVECTION, beta, 500, seed, f"eta{rate:g}")] = arrays
    return Results(items, attrs(recipe={"threshold": 3.80e-3, "steps": 200, "every": 10}, seeds=list(range(seeds))))


def as_claimed(beta: float, rate: float, seed: int) -> float:
    return (2.4 if beta == 20 else 1.6) + 0.15 * seed


@pytest.fixture(scope="module")
def claimed() -> tuple[Results, pd.DataFrame]:
    results = steps(as_claimed)
    return results, narrative.step_tails(results)


def jump_verdicts(tails: pd.DataFrame) -> list[str]:
    return [statement.verdict for statement in narrative.jump_statements(tails)]


def test_exponents_are_those_the_steps_were_made_with(claimed: tuple[Results, pd.DataFrame]) -> None:
    _, tails = claimed
    assert len(tails) == 24 and tails["valid"].all()
    for row in tails.itertuples():
        assert row.alpha == pytest.approx(as_claimed(row.coefficient, row.rate, row.seed), rel=0.15)
        assert row.sigma == pytest.approx((row.alpha - 1) / np.sqrt(row.n_tail), rel=0.05)
        assert row.steps == 80 and row.longest > row.median and not row.warm


def test_statements_on_jumps_hold(claimed: tuple[Results, pd.DataFrame]) -> None:
    _, tails = claimed
    assert jumps.larger_alpha(tails) == 1.0
    assert jump_verdicts(tails) == [HOLDS, HOLDS, OPEN]
    text = narrative.rate_words(tails)
    assert "At β = 5 and 20 its medians differ by no more than the seeds of one rate do" in text and "more than" in text
    assert "by more than the seeds" not in text


def test_statements_on_jumps_fall() -> None:
    tails = narrative.step_tails(steps(lambda beta, rate, seed: (1.4 if beta == 20 else 1.8) + 1.0 * rate + 0.05 * seed))
    assert jumps.larger_alpha(tails) == 0.0
    assert jump_verdicts(tails) == [FAILS, FAILS, OPEN]
    assert "At β = 5 and 20 its medians differ by more than the seeds of one rate do" in narrative.rate_words(tails)
    spread = jumps.rate_spread(tails)
    assert spread[5.0][2] == pytest.approx(0.97, abs=0.03) and spread[5.0][0] > spread[5.0][1]


def test_half_of_the_pairs_is_no_difference() -> None:
    tails = narrative.step_tails(steps(lambda beta, rate, seed: 1.6 + 0.4 * seed))
    assert jumps.larger_alpha(tails) == 0.5 and jump_verdicts(tails)[0] == FAILS


def test_what_does_not_exist_is_not_judged() -> None:
    tails = narrative.step_tails(steps(as_claimed, speeds=(5.0,), rates=(0.8,), seeds=1))
    assert jump_verdicts(tails) == [OPEN, OPEN, OPEN]
    assert "nothing can be said of its influence" in narrative.rate_words(tails)
    assert narrative.jumps_figure(tails, "x").axes


def test_the_choices_are_said_with_the_runs_that_passed(claimed: tuple[Results, pd.DataFrame]) -> None:
    text = narrative.jump_choices(*claimed)
    assert "500 points, a threshold of 0.00380, the learning rates 0.1, 0.2, 0.4 and 0.8, and up to 200 steps" in text
    assert "It was passed by 24 of 24 runs." in text and "Adam already" not in text and "The others" not in text
    early = steps(as_claimed, passed=lambda beta, seed: 900 if beta == 5 else 2500 if seed else -1)
    tails = narrative.step_tails(early)
    text = narrative.jump_choices(early, tails)
    assert "passed by 20 of 24 runs, by 12 during the warm-up with Adam already (β = 5), where the steps begin with" in text
    assert "The others ended with a loss of 0.050 and have no steps to look at (β = 20: 4 runs)." in text
    assert tails["alpha"].isna().sum() == 4 and "| 20 | 0.8 | 2 |" in narrative.jump_table(tails)
    assert jump_verdicts(tails)[0] == HOLDS


def test_a_run_that_ends_at_once_has_no_exponent() -> None:
    results = steps(as_claimed, n=lambda beta, seed: 3 + seed if beta == 5 and seed < 2 else 80)
    tails = narrative.step_tails(results)
    assert tails["alpha"].isna().sum() == 8 and "how many runs stop" not in narrative.rate_words(tails)
    fewer = tails.assign(alpha=tails["alpha"].where((tails["rate"] < 0.3) | (tails["coefficient"] == 20), 1.6))
    assert "stop after a few steps: 2 of 6 at 0.1, 2 of 6 at 0.2, 0 of 6 at 0.4 and 0 of 6 at 0.8." in narrative.rate_words(
        fewer
    )
    text = narrative.jump_choices(results, tails)
    assert (
        "After 3.0 to 4.0 steps already" not in text and "After 3 to 4 steps already L-BFGS stopped by itself in 8 runs" in text
    )
    assert "(β = 5: 8 runs; loss $1.0 \\times 10^{-5}$)" in text


def test_exponents_above_the_bound_of_the_package_are_found() -> None:
    tails = narrative.step_tails(steps(lambda beta, rate, seed: 5.0 if beta == 20 else 2.0))
    assert tails.loc[tails["coefficient"] == 20, "alpha"].to_numpy() == pytest.approx(5.0, rel=0.05)
    assert "12 of 24 exponents are above 3, the largest" in narrative.jump_table(tails)
    assert "above 3" not in narrative.jump_table(tails[tails["coefficient"] == 5])
    bounded = power_law(lengths(5.0), largest=jumps.BOUND)
    assert bounded.alpha == pytest.approx(3.0) and not bounded.in_range


def test_no_exponent_at_all_is_said() -> None:
    results = steps(as_claimed, passed=lambda beta, seed: -1)
    tails = narrative.step_tails(results)
    assert narrative.jump_table(tails) == "No run has enough steps for a law."
    assert jump_verdicts(tails) == [OPEN, OPEN, OPEN]


def test_the_table_says_which_steps_are_in_the_fit(claimed: tuple[Results, pd.DataFrame]) -> None:
    _, tails = claimed
    text = narrative.jump_table(tails)
    assert "| 5 | 0.1 | 3 |" in text and "A jump would be a long step, which the fit leaves out" in text
    assert "the range that the package allows" not in text
    spoiled = tails.assign(valid=tails["seed"] != 0)
    assert "In 8 runs no choice of the tail gives an exponent in the range that the package allows" in narrative.jump_table(
        spoiled
    )


def test_the_figure_of_exponents_is_not_logarithmic(claimed: tuple[Results, pd.DataFrame]) -> None:
    figure = narrative.jumps_figure(claimed[1], "Exponents")
    assert [axes.get_yscale() for axes in figure.axes if axes.get_visible()] == ["linear", "linear"]
    (points,) = (part for part in figure.axes[0].collections if len(part.get_offsets()))
    assert len(points.get_offsets()) == 12
