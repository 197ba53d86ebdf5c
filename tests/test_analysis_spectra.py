"""What is read from spectra, and the statements about them, of quadratures whose truth is known."""

from __future__ import annotations

import math

import matplotlib
import numpy as np
import pytest
import torch
from made_studies import EVEN, FAST, SLOW, SMALL, SPREAD, WIDE, Nodes, arrays
from made_studies import spectra as results

matplotlib.use("Agg")

from sciml_lib import figures
from sciml_lib.analysis import spectra
from sciml_lib.analysis.spectra import COMMON_WIDTH, Reading, highest_peak, pairs_of
from sciml_lib.errors import UserError
from sciml_lib.studies import Item, Results
from sciml_lib.studies.cells import CONVECTION, REACTION_DIFFUSION


def reading(*starts: Nodes) -> Reading:
    return Reading.of(arrays(*starts))


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
