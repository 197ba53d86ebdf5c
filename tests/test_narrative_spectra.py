"""What the chapter on spectra says, of quadratures whose truth is known: every sentence both ways round."""

from __future__ import annotations

import math

import matplotlib
import numpy as np
import pytest
import torch

matplotlib.use("Agg")

from sciml_lib import narrative
from sciml_lib.errors import UserError
from sciml_lib.ledger import FAILS, HOLDS, OPEN
from sciml_lib.narrative import spectra
from sciml_lib.narrative.readings import Reading, highest_peak, pairs_of
from sciml_lib.narrative.spectra import COMMON_WIDTH
from sciml_lib.studies import Item, Results
from sciml_lib.studies.cells import CONVECTION, REACTION_DIFFUSION

Nodes = dict[float, float]
"""Weights by Ritz value, of one start or of all."""


def arrays(*starts: Nodes) -> dict[str, np.ndarray]:
    steps = max(map(len, starts))
    nodes, weights = np.full((len(starts), steps), np.nan), np.zeros((len(starts), steps))
    for k, start in enumerate(starts):
        found = sorted(start.items())
        nodes[k, : len(found)], weights[k, : len(found)] = zip(*found, strict=True)
    return {"nodes": nodes, "weights": weights}


def reading(*starts: Nodes) -> Reading:
    return Reading.of(arrays(*starts))


def results(runs: dict[tuple[str, float, int], list[tuple[Nodes, Nodes]]], profile: str = "laptop") -> Results:
    """Runs by cell, each before and after training, one a seed."""
    items = {
        Item(*cell, seed=seed, variant=variant): arrays(nodes, nodes)
        for cell, pairs in runs.items()
        for seed, pair in enumerate(pairs)
        for variant, nodes in zip(("before", "after"), pair, strict=True)
    }
    attrs = {"profile": profile, "seeds": sorted({item.seed for item in items}), "command": "python -m sciml_lib study spectra"}
    return Results(items, attrs)


SPREAD = {-300.0: 0.2, -30.0: 0.2, -2.0: 0.08, 2.0: 0.12, 30.0: 0.2, 400.0: 0.2}
"""Nothing about zero, and about as much on either side."""

SHARP = {-1e-5: 0.4, 1e-5: 0.4, 5.0: 0.1, 50.0: 0.05, 2e4: 0.05}
"""A peak at zero and an outlier."""

WIDE = {-3.0: 0.05, 3.0: 0.05, 20.0: 0.2, 90.0: 0.3, 5e3: 0.2, 2e4: 0.2}
"""An outlier and no peak."""

SMALL = {-1e-5: 0.45, 1e-5: 0.45, 5.0: 0.05, 90.0: 0.05}
"""A peak and no outlier."""

SLOW, FAST, MANY = (CONVECTION, 5.0, 100), (CONVECTION, 50.0, 500), (CONVECTION, 50.0, 2000)


def rho(value: float) -> tuple[str, float, int]:
    return REACTION_DIFFUSION, value, 1000


def verdicts(found: Results) -> list[str]:
    return [statement.verdict for statement in narrative.spectrum_statements(found)]


def statement(found: Results, words: str):
    (one,) = [s for s in narrative.spectrum_statements(found) if words in s.claim]
    return one


# --- what is read from one spectrum ---------------------------------------------------------------------------


def test_shares_are_those_of_the_weights_and_counts_are_not():
    one = reading({-1.0: 0.1, 2.0: 0.2, 3.0: 0.7}, {-2.0: 0.1, -1.0: 0.2, 4.0: 0.7})
    assert one.negative == pytest.approx((0.2, 0.1)) and one.counted_negative == 0.5
    assert one.ends == (-2.0, 4.0) and one.rounding == pytest.approx(4e-6)
    share, error = one.share_within(2.0)
    assert share == pytest.approx(0.3) and error == pytest.approx(0.0, abs=1e-12)
    assert math.isnan(reading({-1.0: 0.5, 1.0: 0.5}).share_within(1.0)[1])


def test_bounds_take_in_the_neighbours_and_what_rounding_may_have_turned():
    # The nodes next to zero may stand for eigenvalues on its other side.
    assert reading({-5.0: 0.1, -1.0: 0.2, 1.0: 0.3, 5.0: 0.4}).negative_bounds == pytest.approx((0.1, 0.6))
    # Of a spectrum that reaches to 1e6, -0.5 and 0.5 have a sign by chance: they count as neighbours, those beyond as well.
    rounded = reading({-9.0: 0.1, -5.0: 0.1, -0.5: 0.2, 0.5: 0.2, 5.0: 0.1, 1e6: 0.3})
    assert rounded.rounding == 1.0 and rounded.negative_bounds == pytest.approx((0.1, 0.7))


def test_a_peak_is_the_density_at_zero_over_its_mean_beside():
    one = reading({-4.0: 0.2, 0.0: 0.5, 5.0: 0.3})
    width = 0.1
    grid = torch.linspace(1.0, 10.0, 20_001, dtype=torch.float64)
    beside = 0.5 * (one.density(grid, width).mean() + one.density(-grid, width).mean())
    assert one.peak(width) == pytest.approx(float(one.density(torch.zeros(1), width)[0] / beside), rel=1e-3)
    assert one.peak(width) == pytest.approx(0.5 / (width * math.sqrt(2 * math.pi)) / (0.5 / 18), rel=1e-3)
    assert reading({0.0: 1.0}).peak(COMMON_WIDTH) == math.inf == highest_peak(COMMON_WIDTH)
    # A wide Gaussian leaves no peak, even of zeros alone.
    grid = torch.linspace(1.0, 10.0, 20_001, dtype=torch.float64)
    normal = torch.exp(-0.5 * (grid / 3.0) ** 2).mean()
    assert highest_peak(3.0) == pytest.approx(1.0 / float(normal), rel=1e-3) and highest_peak(3.0) < spectra.PEAK


# --- statements -----------------------------------------------------------------------------------------------

EVEN = {-400.0: 0.25, -100.0: 0.2, -1.0: 0.04, 1.0: 0.02, 100.0: 0.24, 420.0: 0.25}
BIASED = {-30.0: 0.35, -10.0: 0.02, 10.0: 0.02, 50.0: 0.3, 200.0: 0.31}


def test_all_hold_where_the_spectra_are_as_the_paper_says():
    before = {-300.0: 0.2, -0.5: 0.3, 0.5: 0.3, 400.0: 0.2}
    found = results(
        {
            SLOW: [(before, WIDE)] * 2,
            FAST: [(before, WIDE)] * 2,
            rho(5.0): [(EVEN, BIASED | {900.0: 0.0})] * 2,
            rho(15.0): [(EVEN, BIASED)] * 2,
            rho(20.0): [(EVEN, BIASED)] * 2,
        }
    )
    assert verdicts(found) == [HOLDS] * 10
    assert statement(found, "37 %").found == "37 % by weight, within bounds of 35 to 39 %; 40 % of the Ritz values"


def test_all_fail_where_they_are_the_other_way_round():
    lopsided = {-1.0: 0.5, 400.0: 0.5}
    heavy = {-50.0: 0.85, -10.0: 0.05, 10.0: 0.05, 20.0: 0.05}
    found = results(
        {
            SLOW: [(SPREAD, SMALL)] * 2,
            FAST: [(SPREAD, SMALL)] * 2,
            rho(5.0): [(lopsided, heavy)] * 2,
            rho(15.0): [(lopsided, heavy | {90.0: 0.0})] * 2,
            rho(20.0): [(lopsided, heavy)] * 2,
        }
    )
    assert verdicts(found) == [FAILS] * 10


def test_what_some_seeds_say_cannot_be_judged():
    found = results(
        {
            SLOW: [(SPREAD, SMALL), (SMALL, WIDE)],
            rho(5.0): [(EVEN, SHARP), (SPREAD, SMALL)],
            rho(15.0): [(EVEN, WIDE | {1e3: 0.0}), (SPREAD, SMALL | {1e3: 0.0})],
            rho(20.0): [(SHARP, SHARP)] * 2,
        }
    )
    assert verdicts(found) == [OPEN] * 10
    assert "2 to 37" not in statement(found, "37 %").found


def test_one_cell_without_is_enough_to_fail():
    found = results({SLOW: [(SPREAD, SMALL)] * 2, FAST: [(SPREAD, WIDE)] * 2})
    assert statement(found, "eigenvalues above 1,000").verdict == FAILS
    one = statement(found, "outliers grow")
    assert one.verdict == FAILS and "in 2 of 4 runs, by factors of 0.23 (β = 5, N = 100) and 50 (β = 50, N = 500)" in one.found


def test_where_no_eigenvalue_is_above_the_second_size_it_cannot_be_judged():
    found = results({SLOW: [(SPREAD, {-1.0: 0.5, 2e3: 0.5})]})
    assert statement(found, "eigenvalues above 1,000").verdict == OPEN


def test_a_width_that_hides_every_peak_proves_nothing():
    hidden = {-0.001: 0.4, 0.001: 0.4, 5.0: 0.1, 2e5: 0.1}
    one = statement(results({SLOW: [(SPREAD, hidden)]}), "the released width")
    assert one.verdict == OPEN and "in 1 of 1 run the width would hide any peak" in one.found
    two = statement(results({SLOW: [(SPREAD, hidden), (SPREAD, SMALL)]}), "the released width")
    assert two.verdict == FAILS and "less than 10 times in 0 of 1" in two.found


def test_what_was_not_run_is_open():
    alone = results({rho(5.0): [(EVEN, BIASED)]})
    assert verdicts(alone) == [HOLDS, OPEN, OPEN, OPEN]
    assert [s.found for s in narrative.spectrum_statements(alone)][1:] == ["a larger ρ was not run"] + [
        "ρ = 20 was not run"
    ] * 2
    assert len(narrative.spectrum_statements(results({SLOW: [(SPREAD, WIDE)]}))) == 6


# --- sentences ------------------------------------------------------------------------------------------------


def test_what_survives_is_said_three_ways():
    hidden = {-0.001: 0.4, 0.001: 0.4, 5.0: 0.1, 2e5: 0.1}
    said = narrative.what_survives(results({SLOW: [(SPREAD, hidden), (SPREAD, SMALL)]}))
    assert "2 of 2 trained spectra have a peak at zero, with the released widths 1." in said
    assert "does not survive another smoothing. Without" in said and "grows with training in 2 of 2 runs" in said
    said = narrative.what_survives(results({SLOW: [(SPREAD, SMALL)]}))
    assert "does not survive another smoothing: nor is there one with the released." in said
    said = narrative.what_survives(results({SLOW: [(SMALL, WIDE)]}))
    assert "0 of 1 trained spectrum have a peak at zero, with the released widths 0. So the absence of a peak survives" in said
    assert "grows with training in 0 of 1 run" in said
    said = narrative.what_survives(results({SLOW: [(SMALL, WIDE), (SPREAD, SMALL)]}))
    assert "1 of 2 trained spectra has a peak" in said and "is not a property of all of them" in said


def test_signs_are_by_chance_where_rounding_is_larger():
    tiny = {-1e-4: 0.5, 1e-4: 0.49, 1e4: 0.01}
    said = narrative.signs_by_chance(results({SLOW: [(SPREAD, tiny)]}))
    assert "After training 99 % of the eigenvalues are smaller" in said
    assert (
        "in 1 of 1 run the share of negative eigenvalues is not known to ±5 points, and could lie anywhere from 0 to 99 %"
        in said
        or ("could lie anywhere from 0 to 100 %" in said)
    )
    said = narrative.signs_by_chance(results({SLOW: [(SPREAD, BIASED)]}))
    assert "0 % of the eigenvalues are smaller" in said and "In 1 of 1 run the share" in said and "nevertheless" in said


def test_the_two_ways_of_counting_are_compared():
    said = narrative.counting_rules(results({SLOW: [({-1.0: 0.9, 1.0: 0.05, 2.0: 0.05}, EVEN)]}))
    assert "by up to 57 points (convection, β = 5, N = 100, seed 0, before training)" in said
    assert said.endswith("it is the smaller of the two in 1 of 2 spectra.")


def test_the_largest_amount_of_points_is_said():
    assert "part of the profile *laptop*; the most that it has are 2,000" in narrative.most_points(
        results({MANY: [(EVEN, WIDE)]})
    )
    full = results({(CONVECTION, 5.0, 20_000): [(EVEN, WIDE)]}, "paper")
    assert narrative.most_points(full) == "Figs. 16(c,d) have 20,000 points, and so have our runs."


def test_tables_have_two_rows_for_each_cell():
    found = results({SLOW: [(SPREAD, SMALL)] * 2, FAST: [(SPREAD, WIDE)]})
    shares = narrative.negative_shares(found).splitlines()
    assert len(shares) == 6 and shares[3].startswith("| convection, β = 5, N = 100 | after | 45 % | 0 points | 0 to 95 % |")
    text = narrative.widths(found)
    assert text.count("\n| convection") == 4
    assert "hides any peak" not in text  # both widths are small enough
    hidden = narrative.widths(results({SLOW: [(SPREAD, SMALL | {2e5: 0.0})]}))
    assert "In 1 of 1 spectrum after training the released width hides any peak" in hidden


def test_one_start_has_no_standard_error():
    one = Results(
        {Item(*SLOW, seed=0, variant=when): arrays(EVEN) for when in ("before", "after")}, {"profile": "laptop", "command": ""}
    )
    assert "| n/a |" in narrative.negative_shares(one)


# --- the figure -----------------------------------------------------------------------------------------------


def test_the_figure_has_the_wanted_cells_twice():
    found = results({FAST: [(SPREAD, WIDE), (SPREAD, SMALL)], SLOW: [(SPREAD, SMALL)]})
    figure = narrative.spectra_figure(found, CONVECTION, "a title", [(5, 100), (50, 500), (70, 100)])
    assert [axes.get_title() for axes in figure.axes] == ["β = 5, N = 100", "β = 50, N = 500"] * 2
    assert [axes.get_ylabel() for axes in figure.axes][::2] == ["released width\ndensity", "width 0.02\ndensity"]
    upper, lower = (figure.axes[k].lines[1].get_xydata() for k in (0, 2))
    for curve, width in ((upper, reading(SMALL).released_width), (lower, COMMON_WIDTH)):
        expected = reading(SMALL).density(torch.tensor(curve[:, 0]), width)
        np.testing.assert_allclose(curve[:, 1], np.maximum(expected.numpy(), 1e-10))
        assert curve[:, 1].max() == pytest.approx(float(reading(SMALL).density(torch.zeros(1), width)[0]), rel=0.05)
    assert [axes.get_title() for axes in narrative.spectra_figure(found, CONVECTION, "t", [(9, 9)]).axes[:2]] == [
        "β = 50, N = 500",
        "β = 5, N = 100",
    ]
    with pytest.raises(UserError, match="no spectrum of pinn/reaction-diffusion/lbfgs is stored"):
        narrative.spectra_figure(found, REACTION_DIFFUSION, "t")


def test_a_run_of_which_one_half_is_missing_is_left_out():
    found = results({SLOW: [(SPREAD, SMALL), (SPREAD, WIDE)]})
    items = {item: a for item, a in found.items.items() if (item.seed, item.variant) != (1, "after")}
    assert [pair.seed for pair in pairs_of(Results(items, found.attrs))] == [0]
