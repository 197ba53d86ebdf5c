"""Boundary curves against analytic fields, and resampling against exact enumeration."""

import itertools

import numpy as np
import pytest
import xarray as xr

from sciml_lib import regimes
from sciml_lib.errors import UserError
from sciml_lib.regimes import Thresholds

T = Thresholds(3.3, 2.0, "by hand")


def ramp(n_x, n_y):
    return np.indices((n_x, n_y)).astype(float)


def test_boundary_of_a_linear_field_is_exact():
    x, y = ramp(8, 5)
    field = x + 0.5 * y
    (curve,) = regimes.extract(field, np.zeros_like(field), T, factors=(1.0,), kinds=("train",))
    (line,) = curve.lines
    assert line[:, 0] + 0.5 * line[:, 1] == pytest.approx(3.3)
    assert line[:, 1].min() == 0 and line[:, 1].max() == 4
    assert (curve.kind, curve.factor, curve.level) == ("train", 1.0, 3.3)


def test_perturbed_curves_lie_at_the_perturbed_levels():
    x, y = ramp(9, 4)
    curves = regimes.extract(x, x + y, T, kinds=("train",))
    floor = np.percentile(x, 5)
    for curve in curves:
        assert curve.level == pytest.approx(floor + curve.factor * (3.3 - floor))
        assert np.vstack(curve.lines)[:, 0] == pytest.approx(curve.level)


def test_test_boundary_ends_where_the_training_loss_rises_above_its_threshold():
    x, y = ramp(8, 8)
    train, test = y, x  # Regime II above row 3.3, test boundary along column 2
    (dashed,) = regimes.extract(train, test, T, factors=(1.0,), kinds=("test",))
    (line,) = dashed.lines
    assert line[:, 0] == pytest.approx(2.0)
    assert line[:, 1].min() == 0 and line[:, 1].max() == 3  # the last node with a training loss of at most 3.3
    (solid,) = regimes.extract(train, test, T, factors=(1.0,), kinds=("train",))
    assert np.vstack(solid.lines)[:, 0].min() == 0  # not hidden beside Regime I, as in Fig. 1
    assert np.vstack(solid.lines)[:, 0].max() == 7


def test_masked_corners_leave_the_curve_ending_on_a_diagonal():
    train = np.array([[0.0, 0.0], [0.0, 9.0]])  # the far corner is Regime II
    test = np.array([[0.0, 4.0], [4.0, 4.0]])
    (dashed,) = regimes.extract(train, test, T, factors=(1.0,), kinds=("test",))
    ends = sorted(map(tuple, np.vstack(dashed.lines).round(9).tolist()))
    assert ends[0] == (0.0, 0.5) and ends[-1] == (0.5, 0.0)


def test_the_mask_moves_with_the_perturbation():
    x, y = ramp(6, 12)
    curves = regimes.extract(y, x, T.anchored(y, x), factors=(0.5, 1.0, 2.0), kinds=("test",))
    floor = np.percentile(y, 5)
    for curve in curves:
        assert np.vstack(curve.lines)[:, 1].max() == np.floor(floor + curve.factor * (3.3 - floor))


def test_missing_cells_interrupt_and_infinite_ones_do_not():
    x, _ = ramp(7, 7)
    holed = x.copy()
    holed[:, 3] = np.nan
    (curve,) = regimes.extract(holed, np.zeros_like(x), T, factors=(1.0,), kinds=("train",))
    assert len(curve.lines) == 2
    assert not np.any((np.vstack(curve.lines)[:, 1] > 2) & (np.vstack(curve.lines)[:, 1] < 4))
    endless = np.where(x >= 4, np.inf, 0.0)
    (curve,) = regimes.extract(endless, np.zeros_like(x), T, factors=(1.0,), kinds=("train",))
    points = np.vstack(curve.lines)
    assert np.all((points[:, 0] > 3) & (points[:, 0] < 4))


def test_no_crossing_gives_an_empty_boundary():
    curves = regimes.extract(np.zeros((3, 3)), np.zeros((3, 3)), T)
    assert len(curves) == 10 and all(curve.lines == () for curve in curves)


def test_nominal():
    curves = regimes.extract(np.eye(3) * 9, np.eye(3), T)
    assert regimes.nominal(curves, "train").level == 3.3
    with pytest.raises(UserError, match="no train boundary among the 1 given has factor 1"):
        regimes.nominal(curves[:1], "train")


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        (np.ones((3, 3)), np.ones((3, 4)), "two maps of the same cells"),
        (np.ones((1, 3)), np.ones((1, 3)), "1 x 3 cells has no boundary"),
        (np.ones((3, 1)), np.ones((3, 1)), "3 x 1 cells has no boundary"),
        (np.ones(3), np.ones(3), r"shape \(3,\), expected the 2 axes"),
        (np.ones((3, 3, 2)), np.ones((3, 3, 2)), r"shape \(3, 3, 2\), expected the 2 axes"),
    ],
)
def test_bad_maps_are_refused(train, test, message):
    with pytest.raises(UserError, match=message):
        regimes.extract(train, test, T)


def test_bad_factors_are_refused():
    with pytest.raises(UserError, match="factor must be a positive number"):
        regimes.extract(np.eye(3), np.eye(3), T, factors=(0.0,))


def test_places_between_the_ticks_in_units_of_the_coefficient():
    places = regimes.to_coefficient([0.0, 1.5, 2.0, np.inf, -np.inf, np.nan], [5.0, 10.0, 20.0])
    assert places == pytest.approx([5.0, 15.0, 20.0, np.inf, -np.inf, np.nan], nan_ok=True)
    with pytest.raises(UserError, match="coefficient must be a list of strictly increasing numbers"):
        regimes.to_coefficient([0.0], [2.0, 1.0])


# --- resampling -----------------------------------------------------------------------------------------------


def stacked(n_seeds, seed=0, shape=(4, 3)):
    generator = np.random.default_rng(seed)
    return generator.uniform(0, 6, (*shape, n_seeds)), generator.uniform(0, 4, (*shape, n_seeds))


def by_brute_force(train, test):
    """All n^n ordered resamples, the definition itself."""
    n = train.shape[-1]
    draws = list(itertools.product(range(n), repeat=n))
    high = np.mean([train[..., draw].mean(-1) > T.train for draw in draws], axis=0)
    labels = np.array([regimes.label(train[..., draw].mean(-1), test[..., draw].mean(-1), T) for draw in draws])
    return high, np.array([(labels == k).mean(axis=0) for k in (1, 2, 3)])


@pytest.mark.parametrize(("n_seeds", "different"), [(2, 3), (3, 10), (4, 35), (5, 126)])
def test_probabilities_are_exact(n_seeds, different):
    train, test = stacked(n_seeds)
    found = regimes.bootstrap(train, test, T)
    high, labels = by_brute_force(train, test)
    assert (found.exact, found.n_resamples, found.n_seeds) == (True, different, n_seeds)
    assert found.train_high == pytest.approx(high)
    assert found.label_probability == pytest.approx(labels)
    assert found.label_probability.sum(axis=0) == pytest.approx(1.0)


def test_draws_approach_the_exact_probabilities():
    train, test = stacked(3)
    exact = regimes.bootstrap(train, test, T)
    drawn = regimes.bootstrap(train, test, T, n_resamples=4000, generator=np.random.default_rng(1))
    assert not drawn.exact and drawn.n_resamples == 4000
    assert drawn.label_probability == pytest.approx(exact.label_probability, abs=0.04)  # five standard errors
    assert drawn.test_field == pytest.approx(exact.test_field, abs=0.04, nan_ok=True)
    again = regimes.bootstrap(train, test, T, n_resamples=4000, generator=np.random.default_rng(1))
    assert np.array_equal(drawn.train_field, again.train_field)


def test_many_seeds_are_drawn_and_need_a_generator():
    train, test = stacked(8)
    assert regimes.bootstrap(train, test, T, generator=np.random.default_rng(0)).n_resamples == 2000
    with pytest.raises(UserError, match="needs a generator"):
        regimes.bootstrap(train, test, T)


def test_equal_seeds_leave_no_band_and_cross_where_the_map_does():
    x, y = ramp(8, 5)
    train = np.repeat((x + 0.5 * y)[..., None], 3, axis=-1)
    found = regimes.bootstrap(train, np.zeros_like(train), T)
    assert set(np.unique(found.train_field)) == {0.0, 1.0}
    rows = found.rows.sel(boundary="train")
    assert rows.crossing.values == pytest.approx(3.3 - 0.5 * np.arange(5))
    assert np.array_equal(rows.lower, rows.crossing) and np.array_equal(rows.upper, rows.crossing)
    assert found.spread("train") == 0.0
    assert np.all(np.isposinf(found.rows.crossing.sel(boundary="test"))) and np.isnan(found.spread("test"))


def test_fields_are_probabilities_between_the_cells():
    # Two seeds, thresholds crossed at 1.3 and 5.3 (coefficient index): resamples (aa), (ab), (bb) with 1/4, 1/2, 1/4.
    x, _ = ramp(9, 2)
    train = np.stack([x + 2.0, x - 2.0], axis=-1)
    found = regimes.bootstrap(train, np.zeros_like(train), T)
    expected = np.select([found.x > 5.3, found.x > 3.3, found.x > 1.3], [1.0, 0.75, 0.25], 0.0)
    assert found.train_field[:, 0] == pytest.approx(expected)
    row = found.rows.sel(boundary="train", n_data=0)
    assert (float(row.crossing), float(row.lower), float(row.upper)) == pytest.approx((3.3, 1.3, 5.3))
    assert found.spread("train") == pytest.approx(4.0)


def test_the_interval_of_a_row_is_that_of_90_per_cent():
    # Three seeds, shifted by 0, 1 and 3 along the row, so a resample crosses at 6.3 minus the mean of its shifts. That of the
    # first seed alone, 6.3, and that of the last alone, 3.3, have the probability 1/27 = 3.7 % each: outside 5 %, inside 2.5 %.
    x, _ = ramp(10, 2)
    train = np.stack([x - 3.0 + shift for shift in (0.0, 1.0, 3.0)], axis=-1)
    row = regimes.bootstrap(train, np.zeros_like(train), T).rows.sel(boundary="train", n_data=0)
    assert (float(row.lower), float(row.upper)) == pytest.approx((6.3 - 7.0 / 3.0, 6.3 - 1.0 / 3.0))


@pytest.mark.parametrize("n_seeds", [4, 5])
def test_the_ends_of_a_row_are_the_quantiles_of_all_resamples(n_seeds):
    x, _ = ramp(12, 2)
    shifts = np.random.default_rng(n_seeds).uniform(0.0, 4.0, n_seeds)
    train = np.stack([x - 4.0 + shift for shift in shifts], axis=-1)
    row = regimes.bootstrap(train, np.zeros_like(train), T).rows.sel(boundary="train", n_data=1)
    crossing = [7.3 - shifts[list(draw)].mean() for draw in itertools.product(range(n_seeds), repeat=n_seeds)]
    expected = np.quantile(crossing, [0.05, 0.95], method="inverted_cdf")
    assert (float(row.lower), float(row.upper)) == pytest.approx(tuple(expected))


def test_test_field_is_left_out_in_regime_two():
    x, y = ramp(6, 6)
    train, test = (np.repeat(v[..., None], 2, axis=-1) for v in (y, x))
    found = regimes.bootstrap(train, test, T)
    assert np.isnan(found.test_field[:, found.y > 3.3]).all()
    assert not np.isnan(found.test_field[:, found.y <= 3.3]).any()


@pytest.mark.parametrize(
    ("row", "crossing"),
    [
        ([0, 1, 2, 3, 4], 3.3),
        ([5, 5, 5, 5, 5], -np.inf),
        ([0, 0, 0, 0, 0], np.inf),
        ([0, 5, 0, 5, 5], 0.66),  # the first rise counts
        ([0, 5, np.nan, 5, 5], 0.66),  # known although a later cell is missing
        ([0, 0, np.nan, 5, 5], np.nan),
    ],
)
def test_first_crossing_of_a_row(row, crossing):
    train = np.array([row, row], dtype=float).T[..., None].repeat(2, axis=-1)
    found = regimes.bootstrap(train, np.zeros_like(train), T)
    assert found.rows.crossing.sel(boundary="train").values == pytest.approx([crossing] * 2, nan_ok=True)


def test_test_crossing_beyond_the_training_boundary_is_none():
    train = np.array([[0.0, 0.0], [9.0, 0.0], [9.0, 0.0], [9.0, 0.0]])[..., None].repeat(2, axis=-1)
    test = np.array([[0.0, 0.0], [0.0, 0.0], [0.0, 4.0], [4.0, 4.0]])[..., None].repeat(2, axis=-1)
    found = regimes.bootstrap(train, test, T)
    assert found.rows.crossing.sel(boundary="test").values.tolist() == [np.inf, 1.5]


def test_missing_and_diverged_runs():
    train, test = stacked(3)
    train[0, 0, :] = np.nan  # a missing cell
    test[1, 1, 0] = np.nan  # a missing run: both of its numbers are out
    train[2, 2, 1] = np.inf  # a diverged run
    found = regimes.bootstrap(train, test, T)
    assert np.isnan(found.train_high[0, 0]) and np.isnan(found.label_probability[:, 0, 0]).all()
    assert np.isnan(found.train_field[0, 0]) and not np.isnan(found.train_field[-1, -1])
    left = train[1, 1, 1:]
    draws = [d for d in itertools.product(range(3), repeat=3) if set(d) != {0}]
    means = [np.mean([left[k - 1] for k in d if k > 0]) for d in draws]
    assert found.train_high[1, 1] == pytest.approx(np.mean(np.array(means) > T.train))
    without = 8 / 27  # no draw of the diverged seed
    finite = np.array([train[2, 2, list(d)].mean() for d in itertools.product((0, 2), repeat=3)])
    assert found.train_high[2, 2] == pytest.approx(1 - without * np.mean(finite <= T.train))


def test_data_arrays_in_any_order_carry_their_rows():
    train, test = stacked(2)
    arrays = [
        xr.DataArray(v, dims=("coefficient", "n_data", "seed"), coords={"n_data": [100, 500, 1000]}).transpose()
        for v in (train, test)
    ]
    found = regimes.bootstrap(*arrays, T)
    assert found.rows.n_data.values.tolist() == [100, 500, 1000]
    assert np.array_equal(found.train_high, regimes.bootstrap(train, test, T).train_high)


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((3, 3, 1), {}, "resampling one seed says nothing"),
        ((3, 3), {}, r"expected the 3 axes \(coefficient, n_data, seed\)"),
        ((1, 3, 2), {}, "has no boundary"),
        ((3, 3, 2), {"n_resamples": 0}, "n_resamples must be at least 1, got 0"),
        ((3, 3, 2), {"n_resamples": 10}, "pass generator=np.random.default_rng"),
    ],
)
def test_bad_resampling_is_refused(shape, options, message):
    with pytest.raises(UserError, match=message):
        regimes.bootstrap(np.ones(shape), np.ones(shape), T, **options)
