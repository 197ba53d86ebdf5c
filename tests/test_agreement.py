"""Agreement of label maps, against numbers worked out by hand."""

import numpy as np
import pytest
import xarray as xr

from sciml_lib import regimes
from sciml_lib.errors import UserError
from sciml_lib.regimes import Regime, cohen_kappa, published, thresholds


def grid(values, coefficient=(5.0, 6.0, 7.0), n_data=(100, 200)):
    return xr.DataArray(
        np.array(values), dims=("coefficient", "n_data"), coords={"coefficient": list(coefficient), "n_data": list(n_data)}
    )


def test_kappa_by_hand():
    # The classical 2 x 2 example: 50 subjects, p_o = 0.7, p_e = 0.5, kappa = 0.4.
    assert cohen_kappa(np.array([[20, 5], [10, 15]])) == pytest.approx(0.4)
    # 3 x 3: p_o = 14/20, marginals (8, 7, 5) and (7, 8, 5): p_e = (56 + 56 + 25) / 400.
    assert cohen_kappa(np.array([[6, 1, 1], [1, 5, 1], [0, 2, 3]])) == pytest.approx((0.7 - 137 / 400) / (1 - 137 / 400))
    assert cohen_kappa(np.eye(3, dtype=int) * 4) == 1.0
    assert cohen_kappa(np.array([[0, 5], [5, 0]])) == pytest.approx(-1.0)


def test_kappa_is_undefined_for_one_label_and_zero_for_a_constant_map():
    assert np.isnan(cohen_kappa(np.diag([7, 0, 0])))
    assert np.isnan(cohen_kappa(np.zeros((3, 3), dtype=int)))
    assert cohen_kappa(np.array([[3, 4], [0, 0]])) == 0.0


def test_agreement_by_hand():
    ours = grid([[1, 1], [3, 2], [0, 2]])
    theirs = grid([[1, 3], [3, 2], [2, 0]])
    uncertain = grid([[False, True], [False, False], [True, False]])
    found = regimes.agreement(ours, theirs, theirs > 0, uncertain)
    assert (found.n, found.n_illegible, found.n_missing, found.n_uncertain) == (4, 1, 1, 1)
    assert found.share_equal == 0.75 and found.share_equal_certain == 1.0
    assert found.confusion.tolist() == [[1, 0, 1], [0, 1, 0], [0, 0, 1]]
    assert found.kappa == pytest.approx((0.75 - 5 / 16) / (1 - 5 / 16))
    (cell,) = found.differing
    assert (cell.coefficient, cell.n_data, cell.ours, cell.published) == (5.0, 200, Regime.I, Regime.III)
    assert cell.uncertain
    assert found.sentence.startswith("3 of 4 comparable cells have the published label (75%; Cohen's kappa 0.64)")


def test_cells_are_matched_by_value_not_by_place():
    ours = grid([[1, 2], [3, 1]], coefficient=(6.0, 40.0), n_data=(50, 200))
    theirs = grid([[1, 1], [1, 2], [1, 1]])
    found = regimes.agreement(ours, theirs.transpose(), theirs > 0)
    assert (found.n, found.share_equal) == (1, 1.0)
    assert found.confusion[1, 1] == 1


def test_a_map_agrees_with_itself_over_the_legible_cells():
    data = published.fig1("PINN")
    labels = published.labels(data, thresholds.of_panel("pinn/convection/lbfgs"))
    found = regimes.agreement(labels.label, labels.label, labels.legible, labels.uncertain)
    assert (found.n, found.n_illegible, found.n_uncertain) == (140, 4, 4)
    assert found.share_equal == found.kappa == 1.0 and found.differing == ()


def test_nothing_to_compare_and_one_label_only():
    empty = regimes.agreement(grid(np.zeros((3, 2), int)), grid(np.ones((3, 2), int)), grid(np.ones((3, 2), bool)))
    assert empty.n == 0 and empty.n_missing == 6
    assert np.isnan(empty.share_equal) and np.isnan(empty.kappa)
    assert empty.sentence == "No cell of the two maps can be compared."
    same = regimes.agreement(grid(np.ones((3, 2), int)), grid(np.ones((3, 2), int)), grid(np.ones((3, 2), bool)))
    assert same.share_equal == 1.0 and np.isnan(same.kappa) and "not defined" in same.sentence


def test_grids_without_overlap_are_refused():
    labels = grid(np.ones((3, 2), int))
    other = grid(np.ones((2, 2), int), coefficient=(1.5, 2.5))
    with pytest.raises(UserError, match=r"share no coefficient: ours are 5, 6, 7, the published are 1\.5, 2\.5"):
        regimes.agreement(labels, other, other > 0)
    other = grid(np.ones((3, 2), int), n_data=(1, 2))
    with pytest.raises(UserError, match="share no n_data"):
        regimes.agreement(labels, other, other > 0)


def test_axes_must_increase_and_exist():
    labels = grid(np.ones((3, 2), int))
    with pytest.raises(UserError, match="coefficient must be a list of strictly increasing numbers"):
        regimes.agreement(labels.isel(coefficient=[1, 0, 2]), labels, labels > 0)
    with pytest.raises(UserError, match="ours must be a DataArray"):
        regimes.agreement(np.ones((3, 2)), labels, labels > 0)
