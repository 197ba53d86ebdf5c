"""What is read from spectra, and the statements about them, of quadratures whose truth is known."""

from __future__ import annotations

import math

import matplotlib
import numpy as np
import pytest
import torch

matplotlib.use("Agg")

from sciml_lib import figures
from sciml_lib.analysis import spectra
from sciml_lib.analysis.spectra import COMMON_WIDTH, Reading, highest_peak, pairs_of
from sciml_lib.errors import UserError
from sciml_lib.ledger import FAILS, HOLDS, OPEN
from sciml_lib.ledger.spectra import statements
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
    return [statement.verdict for statement in statements(spectra.readings(found))]


def statement(found: Results, words: str):
    (one,) = [s for s in statements(spectra.readings(found)) if words in s.claim]
    return one


# --- what is read from one spectrum ---------------------------------------------------------------------------


def test_shares_are_those_of_the_weights_and_counts_are_not():
    one = reading({-1.0: 0.1, 2.0: 0.2, 3.0: 0.7}, {-2.0: 0.1, -1.0: 0.2, 4.0: 0.7})
    assert one.negative == pytest.approx((0.2, 0.1)) and one.counted_negative == 0.5
    assert one.ends == (-2.0, 4.0) and one.rounding == pytest.approx(4e-6)
    assert one.share_within(2.0) == pytest.approx(0.3)


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
    assert [s.found for s in statements(spectra.readings(alone))][1:] == ["a larger ρ was not run"] + ["ρ = 20 was not run"] * 2
    assert len(statements(spectra.readings(results({SLOW: [(SPREAD, WIDE)]})))) == 6


# --- what the chapter tabulates -------------------------------------------------------------------------------


def test_every_run_has_two_rows_with_what_is_read_from_its_spectra():
    tiny = {-1e-4: 0.5, 1e-4: 0.49, 1e4: 0.01}
    found = spectra.readings(results({SLOW: [(SPREAD, SMALL)], FAST: [(EVEN, tiny)]}))
    assert list(found["training"]) == ["before", "after"] * 2
    assert list(found["cell"].unique()) == ["convection, β = 5, N = 100", "convection, β = 50, N = 500"]
    first, second = (found[found["training"] == "after"].iloc[k] for k in (0, 1))
    assert (first["least"], first["greatest"]) == (-1e-5, 90.0)
    assert (first["negative"], first["negative_least"]) == pytest.approx((0.45, 0.0))
    assert first["within_band"] == pytest.approx(0.9) and first["below_rounding"] == 0.9
    assert first["peak_common"] == reading(SMALL).peak(COMMON_WIDTH) and not first["hides"]
    assert second["below_rounding"] == pytest.approx(0.99) and second["negative_most"] > 0.98
    assert found.loc[found["training"] == "before", ["peak_released", "peak_common"]].isna().all(axis=None)


def test_a_range_that_hides_every_peak_is_marked():
    found = spectra.readings(results({SLOW: [(SPREAD, SMALL | {2e5: 0.0}), (SPREAD, SMALL)]}))
    assert list(found.loc[found["training"] == "after", "hides"]) == [True, False]


def test_the_two_ways_of_counting_are_both_there():
    found = spectra.readings(results({SLOW: [({-1.0: 0.9, 1.0: 0.05, 2.0: 0.05}, EVEN)]}))
    assert (found["counted_negative"] - found["negative"]).iloc[0] == pytest.approx(1 / 3 - 0.9)


def test_rows_by_cell_list_the_seeds():
    found = spectra.by_cell(spectra.readings(results({SLOW: [(SPREAD, SMALL)] * 2, FAST: [(SPREAD, WIDE)]})))
    assert list(found.index) == ["convection, β = 5, N = 100"] * 2 + ["convection, β = 50, N = 500"] * 2
    slow = found.iloc[1]
    assert slow["training"] == "after" and slow["seed"] == [0, 1] and slow["greatest"] == [90.0, 90.0]
    assert min(slow["bounds"]) == 0.0 and max(slow["bounds"]) == pytest.approx(0.95)


def test_one_start_has_no_standard_error():
    one = Results({Item(*SLOW, seed=0, variant=when): arrays(EVEN) for when in ("before", "after")}, {})
    assert spectra.readings(one)["negative_error"].isna().all()


# --- the figure -----------------------------------------------------------------------------------------------


def test_the_wanted_cells_are_drawn_twice():
    found = results({FAST: [(SPREAD, WIDE), (SPREAD, SMALL)], SLOW: [(SPREAD, SMALL)]})
    rows = spectra.densities(found, CONVECTION, [(5, 100), (50, 500), (70, 100)])
    assert [[pair.title for pair in row] for row in rows] == [["β = 5, N = 100", "β = 50, N = 500"]] * 2
    for (pair, _), width in zip(rows, (reading(SMALL).released_width, COMMON_WIDTH), strict=True):
        grid, density = pair.after
        expected = reading(SMALL).density(torch.tensor(grid), width)
        np.testing.assert_allclose(density, expected.numpy(), atol=1e-300)
        assert density.max() == pytest.approx(float(reading(SMALL).density(torch.zeros(1), width)[0]), rel=0.05)
    everything = spectra.densities(found, CONVECTION, [(9, 9)])[0]
    assert [pair.title for pair in everything] == ["β = 50, N = 500", "β = 5, N = 100"]
    assert len(figures.spectra(rows, title="t", row_labels=spectra.WIDTHS).axes) == 4
    with pytest.raises(UserError, match="no spectrum of pinn/reaction-diffusion/lbfgs is stored"):
        spectra.densities(found, REACTION_DIFFUSION)


def test_a_run_of_which_one_half_is_missing_is_left_out():
    found = results({SLOW: [(SPREAD, SMALL), (SPREAD, WIDE)]})
    items = {item: a for item, a in found.items.items() if (item.seed, item.variant) != (1, "after")}
    assert [item.seed for item, *_ in pairs_of(Results(items, found.attrs))] == [0]
