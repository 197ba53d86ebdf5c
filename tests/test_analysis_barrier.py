"""Curves and step lengths whose truth is known: what is measured on them, and the statements both ways round."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from sciml_lib import figures
from sciml_lib.analysis import barrier, jumps
from sciml_lib.errors import UserError
from sciml_lib.landscape import power_law
from sciml_lib.ledger import FAILS, HOLDS, OPEN
from sciml_lib.ledger.barrier import statements
from sciml_lib.ledger.jumps import statements as jump_statements
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
    return [one.verdict for one in statements(barrier.climbs(results), barrier.points(results))]


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


@pytest.mark.parametrize(
    ("same", "other", "found"),
    [
        ((1.0, 1.0), (1.0, 1e6), (True, True)),  # one clear curve is enough
        ((1.0, 1e6), (1e6, 1e6), (True, False)),
        ((1e6, 1e6), (1.0, 1e6), (False, True)),
        (None, (1.0, 1.0), (None, True)),
    ],
)
def test_a_pair_is_joined_by_one_clear_curve(same: tuple | None, other: tuple | None, found: tuple) -> None:
    rows = barrier.climbs(curves(same, other))
    assert tuple(barrier.joined(rows, pair) for pair in barrier.PAIRS) == found


def test_all_pairs_of_a_kind_must_be_joined() -> None:
    rows = barrier.climbs(joined(curves(), curves((1e4, 1e4), (1e4, 1e4), cell=(50.0, 1000))))
    assert [barrier.joined(rows, pair) for pair in barrier.PAIRS] == [False, False]


def test_training_lowers_the_largest_loss_by_a_factor() -> None:
    lowered = barrier.lowered(barrier.climbs(curves((1e4, 1e6), (1e4, 1e7))))
    assert sorted(lowered) == pytest.approx([100, 1000])


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
    assert verdicts(joined(curves(), curves(cell=(50.0, 1000), loss=(1e-4, 1e-4))))[0] == OPEN


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


def tails_of(*args: object, **options: object) -> pd.DataFrame:
    return jumps.step_tails(steps(*args, **options))


@pytest.fixture(scope="module")
def claimed() -> pd.DataFrame:
    return tails_of(as_claimed)


def jump_verdicts(tails: pd.DataFrame) -> list[str]:
    return [one.verdict for one in jump_statements(tails)]


def test_exponents_are_those_the_steps_were_made_with(claimed: pd.DataFrame) -> None:
    assert len(claimed) == 24 and claimed["valid"].all()
    for row in claimed.itertuples():
        assert row.alpha == pytest.approx(as_claimed(row.coefficient, row.rate, row.seed), rel=0.15)
        assert row.sigma == pytest.approx((row.alpha - 1) / np.sqrt(row.n_tail), rel=0.05)
        assert row.steps == 80 and row.longest > row.median and not row.warm


def test_statements_on_jumps_hold(claimed: pd.DataFrame) -> None:
    assert jumps.larger_alpha(claimed) == 1.0
    assert jump_verdicts(claimed) == [HOLDS, HOLDS, OPEN]


def test_statements_on_jumps_fall() -> None:
    tails = tails_of(lambda beta, rate, seed: (1.4 if beta == 20 else 1.8) + 1.0 * rate + 0.05 * seed)
    assert jumps.larger_alpha(tails) == 0.0
    assert jump_verdicts(tails) == [FAILS, FAILS, OPEN]
    slow = jumps.rate_spread(tails).loc[5.0]
    assert slow["rank"] == pytest.approx(0.97, abs=0.03) and slow["rates"] > slow["seeds"]


def test_half_of_the_pairs_is_no_difference() -> None:
    tails = tails_of(lambda beta, rate, seed: 1.6 + 0.4 * seed)
    assert jumps.larger_alpha(tails) == 0.5 and jump_verdicts(tails)[0] == FAILS


def test_what_does_not_exist_is_not_judged() -> None:
    tails = tails_of(as_claimed, speeds=(5.0,), rates=(0.8,), seeds=1)
    assert jump_verdicts(tails) == [OPEN, OPEN, OPEN] and jumps.rate_spread(tails).empty
    none = tails_of(as_claimed, passed=lambda beta, seed: -1)
    assert jumps.by_rate(none).empty and jump_verdicts(none) == [OPEN, OPEN, OPEN]


def test_runs_that_passed_early_or_never_are_told() -> None:
    tails = tails_of(as_claimed, passed=lambda beta, seed: 900 if beta == 5 else 2500 if seed else -1)
    assert (tails["passed"] >= 0).sum() == 20 and set(tails.loc[tails["warm"], "coefficient"]) == {5.0}
    assert tails["alpha"].isna().sum() == 4 and jumps.by_rate(tails).loc[(20.0, 0.8), "runs"] == 2
    assert jump_verdicts(tails)[0] == HOLDS


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
