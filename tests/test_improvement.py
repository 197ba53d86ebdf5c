"""Relative improvement of one method over another, against percentages worked out by hand."""

import numpy as np
import pytest
import xarray as xr

from sciml_lib import regimes
from sciml_lib.errors import UserError

DIMS = ("coefficient", "n_data", "seed")


def runs(values, coefficient=(1.0, 2.0), n_data=(10,), seed=(0, 1)):
    coords = {"coefficient": list(coefficient), "n_data": list(n_data), "seed": list(seed)}
    return xr.DataArray(np.array(values, dtype=float), coords, dims=DIMS)


def cell(found, name):
    return float(found[name].squeeze())


def test_both_readings_of_the_equation_by_hand():
    # Seeds 4 -> 1 (75 %) and 1 -> 2 (-100 %): means 2.5 -> 1.5, 40 %; mean of the percentages -12.5 %.
    found = regimes.improvement(np.array([[[4.0, 1.0]]]), np.array([[[1.0, 2.0]]]))
    assert cell(found, "ratio_of_means") == pytest.approx(40.0)
    assert cell(found, "mean_of_ratios") == pytest.approx(-12.5)
    assert (cell(found, "failed"), cell(found, "runs")) == (0, 2)
    assert found["ratio_of_means"].dims == ("coefficient", "n_data") and not found.coords
    assert found["mean_of_ratios"].attrs["units"] == "%"


def test_equal_runs_improve_by_nothing_and_a_perfect_one_by_all():
    base = np.array([[[3.0, 3.0]], [[0.5, 0.5]]])
    found = regimes.improvement(base, np.array([[[3.0, 3.0]], [[0.0, 0.0]]]))
    for name in ("ratio_of_means", "mean_of_ratios"):
        assert found[name].values == pytest.approx(np.array([[0.0], [100.0]]))


def test_a_diverged_run_is_kept():
    base, method = np.array([[[4.0, 2.0]], [[4.0, 2.0]]]), np.array([[[1.0, np.inf]], [[1.0, 1.0]]])
    found = regimes.improvement(base, method)
    assert found["ratio_of_means"].values[:, 0].tolist() == [-np.inf, pytest.approx(100 * 4 / 6)]
    assert found["mean_of_ratios"].values[:, 0].tolist() == [-np.inf, pytest.approx((75 + 50) / 2)]
    assert found["failed"].values[:, 0].tolist() == [1, 0]


def test_a_run_that_diverged_to_nan_counts_as_infinite_where_its_status_says_so():
    base, method = np.array([[[4.0, 2.0]]]), np.array([[[1.0, np.nan]]])
    unknown = regimes.improvement(base, method)
    assert (cell(unknown, "ratio_of_means"), cell(unknown, "failed"), cell(unknown, "runs")) == (75.0, 0, 1)
    status = np.array([[["converged", "diverged"]]])
    known = regimes.improvement(base, method, method_status=status)
    assert (cell(known, "ratio_of_means"), cell(known, "failed"), cell(known, "runs")) == (-np.inf, 1, 2)
    labelled = regimes.improvement(runs(base, (1,)), runs(method, (1,)), method_status=runs(base, (1,)).copy(data=status).T)
    assert cell(labelled, "failed") == 1


def test_an_infinite_baseline_is_beaten_by_any_finite_value():
    found = regimes.improvement(np.array([[[np.inf]], [[np.inf]]]), np.array([[[5.0]], [[np.inf]]]))
    for name in ("ratio_of_means", "mean_of_ratios"):
        assert found[name].values[0, 0] == 100.0 and np.isnan(found[name].values[1, 0])
    assert found["failed"].values[:, 0].tolist() == [0, 1]


def test_a_baseline_of_zero():
    found = regimes.improvement(np.zeros((2, 1, 1)), np.array([[[0.0]], [[1.0]]]))
    assert np.isnan(found["ratio_of_means"].values[0, 0]) and found["ratio_of_means"].values[1, 0] == -np.inf


def test_runs_that_one_of_the_two_lacks_are_left_out_of_both_means():
    # Seed 0 of the baseline and seed 2 of the method are missing: only seed 1 is compared, 10 -> 5.
    base, method = np.array([[[np.nan, 10.0, 1.0]]]), np.array([[[1e9, 5.0, np.nan]]])
    found = regimes.improvement(base, method)
    assert [cell(found, name) for name in ("ratio_of_means", "mean_of_ratios", "runs", "failed")] == [50.0, 50.0, 1, 0]
    nothing = regimes.improvement(base, np.full((1, 1, 3), np.nan))
    assert np.isnan(cell(nothing, "ratio_of_means")) and np.isnan(cell(nothing, "mean_of_ratios"))
    assert cell(nothing, "runs") == 0


def test_cells_and_seeds_are_matched_by_coordinate():
    base = runs([[[8.0, 2.0, 9.0]], [[4.0, 6.0, 9.0]]], seed=(0, 1, 5))
    method = runs([[[3.0, 2.0]], [[7.0, 7.0]]], coefficient=(2.0, 3.0), seed=(1, 0))
    found = regimes.improvement(base, method.transpose("seed", "n_data", "coefficient"))
    assert found["coefficient"].values.tolist() == [2.0] and found["n_data"].values.tolist() == [10]
    # At coefficient 2: seed 0 is 4 -> 2 (50 %), seed 1 is 6 -> 3 (50 %).
    assert cell(found, "ratio_of_means") == pytest.approx(50.0) == cell(found, "mean_of_ratios")
    assert cell(found, "runs") == 2


def test_inputs_are_left_as_they_were():
    base, method = np.array([[[4.0, np.nan]]]), np.array([[[1.0, 2.0]]])
    before = base.copy(), method.copy()
    regimes.improvement(base, method, method_status=np.full((1, 1, 2), "diverged"))
    assert np.array_equal(base, before[0], equal_nan=True) and np.array_equal(method, before[1])


@pytest.mark.parametrize(
    ("base", "method", "message"),
    [
        (np.ones((2, 2)), np.ones((2, 2, 1)), r"base has shape \(2, 2\), expected the 3 axes"),
        (np.ones((2, 2, 3)), np.ones((2, 2, 2)), "give two maps of the same runs"),
        (np.ones((1, 1, 1)), -np.ones((1, 1, 1)), "method has the value -1: losses and errors are not negative"),
        (runs(np.ones((2, 1, 2))), np.ones((2, 1, 2)), "only one of base and method says which coefficient is which"),
        (runs(np.ones((2, 1, 2))), runs(np.ones((2, 1, 2)), n_data=(20,)), "share no n_data"),
        (runs(np.ones((2, 1, 2))).isel(seed=0), runs(np.ones((2, 1, 2))), "base has the dimensions"),
    ],
)
def test_runs_that_cannot_be_compared_are_refused(base, method, message):
    with pytest.raises(UserError, match=message):
        regimes.improvement(base, method)


def test_a_status_of_another_shape_is_refused():
    with pytest.raises(UserError, match="method_status has shape"):
        regimes.improvement(np.ones((1, 1, 2)), np.ones((1, 1, 2)), method_status=np.array(["converged"]))
