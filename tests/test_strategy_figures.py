"""Figures that compare strategies or systems: grids of maps, overlaid boundaries, maps of improvement."""

import io

import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")

from sciml_lib import figures, regimes
from sciml_lib.errors import UserError
from sciml_lib.figures import Border, MapPair, style
from sciml_lib.figures.improvement_maps import _percent
from sciml_lib.regimes import Thresholds

T = Thresholds(1.0, 0.5, "by hand")
COEFFICIENT, N_DATA = np.array([1.0, 2.0, 3.0, 5.0]), np.array([10, 20, 40])
WORDS = {"coefficient_label": "coefficient", "data_label": "points", "title": "a title"}


def maps(shift=0.0):
    """Regime II in the upper right corner, III below it, I on the left."""
    x, y = np.indices((4, 3)).astype(float)
    return np.where((x >= 2) & (y == 2), 4.0, 0.1) + 0.01 * x + shift, np.where(x >= 2, 1.0, 0.1) + 0.01 * y


def artists(axes, gid):
    return [artist for artist in axes.get_children() if artist.get_gid() == gid]


def texts(axes, gid):
    return {tuple(np.round(t.get_position()).astype(int)): t.get_text() for t in artists(axes, gid)}


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def mesh(axes):
    return next(c for c in axes.collections if c.get_array() is not None)


def is_drawn_alike(figure):
    """Drawing the figure neither warns nor changes its digest."""
    before = figures.digest(figure)
    figure.savefig(io.BytesIO(), format="png", dpi=40)
    return figures.digest(figure) == before


# --- grids of maps --------------------------------------------------------------------------------------------


def pair(name="one", **change):
    train, test = change.pop("train", maps()[0]), change.pop("test", maps()[1])
    given = {"coefficient": COEFFICIENT, "n_data": N_DATA, "coefficient_label": "β, speed", "data_label": "points", **change}
    return MapPair(name, train, test, thresholds=T, boundaries=regimes.extract(train, test, T), **given)


def test_map_grid_has_training_above_test_and_one_column_a_pair():
    other = maps(0.3)
    figure = figures.map_grid([pair("one"), pair("two", train=other[0])], title="a title")
    assert is_drawn_alike(figure)
    panels = np.reshape(figure.axes, (2, 2))
    titles = [[axes.get_title("left") for axes in row] for row in panels]
    assert titles == [["(a) one\nTraining loss", "(b) two\nTraining loss"], ["Test error", "Test error"]]
    shown = [[maps()[0], other[0]], [maps()[1], maps()[1]]]
    for axes, values in zip(panels.ravel(), [v for row in shown for v in row], strict=True):
        assert np.array_equal(np.asarray(mesh(axes).get_array()), values.T)
        assert (mesh(axes).norm.vmin, mesh(axes).norm.vmax) == pytest.approx(tuple(np.percentile(values, [5, 95])))
        assert [t.get_text() for t in axes.get_xticklabels()] == ["1", "2", "3", "5"]
        assert [t.get_text() for t in axes.get_yticklabels()] == ["10", "20", "40"]
        assert sorted(t.get_text() for t in artists(axes, "numeral")) == ["I", "II", "III"]
        assert all(artists(axes, f"{kind}-{factor:g}") for kind in ("train", "test") for factor in regimes.FACTORS)
        assert len(axes.child_axes) == 1  # its own colour bar
    assert {line.get_linestyle() for line in artists(panels[0, 0], "test-1")} == {"--"}
    assert [axes.get_xlabel() for axes in panels.ravel()] == ["", "", "β, speed", "β, speed"]
    assert [axes.get_ylabel() for axes in panels.ravel()] == ["points", "", "points", ""]
    words = legend(figure)
    assert {"training boundary", "test boundary", "threshold on the colour bar"} <= set(words)
    assert "not computed" not in words


def test_map_grid_draws_the_same_map_as_the_regime_map():
    train, test = maps()
    alone = figures.regime_map(train, test, COEFFICIENT, N_DATA, T, regimes.extract(train, test, T), **WORDS)
    within = figures.map_grid([pair()], title="a title")
    for a, b in zip(alone.axes[:2], within.axes, strict=True):
        assert np.array_equal(mesh(a).get_array(), mesh(b).get_array()) and mesh(a).norm.vmax == mesh(b).norm.vmax
        for gid in ("train-1", "test-0.8"):
            lines = [[line.get_xydata() for line in artists(axes, gid)] for axes in (a, b)]
            assert all(np.array_equal(one, two) for one, two in zip(*lines, strict=True))


def test_map_grid_wraps_into_rows_of_about_equal_length():
    figure = figures.map_grid([pair(str(k)) for k in range(5)], title="five", columns=4)
    assert is_drawn_alike(figure)
    grid = np.reshape(figure.axes, (4, 3))
    assert [[axes.get_visible() for axes in row] for row in grid] == [[True] * 3] * 2 + [[True, True, False]] * 2
    assert [axes.get_title("left").split("\n")[0] for axes in grid[2, :2]] == ["(d) 3", "(e) 4"]
    assert len(figures.map_grid([pair(str(k)) for k in range(5)], title="five", columns=5).axes) == 10


def test_map_grid_takes_different_grids_and_hatches_missing_cells():
    train, test = (values[:3, :2] for values in maps())
    train[0, 0] = np.nan
    small = pair("small", train=train, test=test, coefficient=[0.25, 0.5, 1.5], n_data=[1000, 2000], data_label="images")
    figure = figures.map_grid([pair(), small], title="two grids", missing="left out")
    assert is_drawn_alike(figure)
    upper = figure.axes[1]
    assert [t.get_text() for t in upper.get_xticklabels()] == ["0.25", "0.5", "1.5"]
    assert [t.get_text() for t in upper.get_yticklabels()] == ["1,000", "2,000"] and upper.get_ylabel() == "images"
    assert len(artists(upper, "missing")) == 1 and not artists(figure.axes[0], "missing")
    assert "left out" in legend(figure)


def test_long_numbers_are_turned():
    values = np.ones((12, 2)) * np.arange(12)[:, None]
    fine = pair("fine", train=values, test=values, coefficient=0.001 * np.arange(1, 13), n_data=[1, 2])
    figure = figures.map_grid([fine, pair()], title="turned")
    assert {t.get_rotation() for t in figure.axes[0].get_xticklabels()} == {90}
    assert {t.get_rotation() for t in figure.axes[1].get_xticklabels()} == {0}


def test_digest_of_a_grid_of_maps_sees_every_part():
    one, two = pair(), pair("two", train=maps(0.3)[0])
    moved = maps()[1].copy()
    moved[2, 1] += 0.3
    seen = {
        figures.digest(figures.map_grid(pairs, title=title))
        for pairs, title in [
            ([one, two], "a"),
            ([one, two], "b"),
            ([two, one], "a"),
            ([one], "a"),
            ([one, pair("two", train=maps(0.3)[0], test=moved)], "a"),
            ([one, pair("two", train=maps(0.3)[0], coefficient_label="γ")], "a"),
        ]
    }
    assert len(seen) == 6
    assert figures.digest(figures.map_grid([one, two], title="a")) in seen


@pytest.mark.parametrize(
    ("pairs", "options", "message"),
    [
        ([], {}, "a grid of maps needs 1 to 26 pairs, got 0"),
        ([pair()], {"columns": 0}, "columns must be at least 1, got 0"),
        ([pair(coefficient=[1.0, 2.0, 3.0])], {}, "coefficient has 3 values but the map has 4 cells"),
        ([pair(n_data=[10, 10, 20])], {}, "n_data must be a list of strictly increasing numbers"),
        (
            [MapPair("a", np.ones((4, 3)), np.ones((3, 4)), COEFFICIENT, N_DATA, T, [], "c", "n")],
            {},
            "two maps of the same cells",
        ),
    ],
)
def test_bad_grids_of_maps_are_refused(pairs, options, message):
    with pytest.raises(UserError, match=message):
        figures.map_grid(pairs, title="bad", **options)


# --- overlaid boundaries --------------------------------------------------------------------------------------


def border(name="one", crossing=((0.5, 1.0, np.inf), (-np.inf, 2.5, np.nan)), spread=0.25, **change):
    crossing = np.array(crossing)
    ends = {} if spread is None else {"lower": crossing - spread, "upper": crossing + spread}
    return Border(**{"name": name, "coefficient": COEFFICIENT, "n_data": N_DATA, "crossing": crossing, **ends, **change})


def overlay(borders, **options):
    return figures.boundary_overlay(borders, **{**WORDS, **options})


def points(axes, gid):
    return [(*np.round([*line.get_xdata(), *line.get_ydata()], 6), line.get_marker()) for line in artists(axes, gid)]


def test_overlay_shows_crossings_intervals_and_what_lies_outside():
    figure = overlay([border()])
    assert is_drawn_alike(figure)
    train, test = figure.axes
    assert [axes.get_title("left") for axes in (train, test)] == ["Training boundary", "Test boundary"]
    assert [axes.get_ylabel() for axes in (train, test)] == ["points", ""]
    assert points(train, "crossing") == [(0.5, 0, "o"), (1.0, 1, "o")]
    assert [p[:2] for p in points(train, "interval")] == [(0.25, 0.75), (0.75, 1.25)]
    assert points(train, "outside") == [(3.5, 2, ">")]
    assert points(test, "outside") == [(-0.5, 0, "<")] and len(points(test, "crossing")) == 1  # NaN: nothing is drawn
    assert [t.get_text() for t in train.get_xticklabels()] == ["1", "2", "3", "5"]
    assert legend(figure) == [
        "one",
        "90 % of resampled seeds",
        "above from the first coefficient on",
        "no crossing inside the map",
    ]


def test_strategies_are_told_apart_by_place_colour_and_marker():
    count = len(style.STRATEGIES)
    figure = overlay([border(str(k)) for k in range(count)], kind="train")
    assert is_drawn_alike(figure)
    (axes,) = figure.axes
    first_row = [line for line in artists(axes, "crossing") if line.get_xdata()[0] == 0.5]
    assert len({line.get_color() for line in first_row}) == len({line.get_marker() for line in first_row}) == count
    heights = [line.get_ydata()[0] for line in first_row]
    assert heights == sorted(heights, reverse=True) and len(set(heights)) == count
    assert max(np.abs(heights)) < 0.5 and np.sum(heights) == pytest.approx(0)
    assert legend(figure)[:count] == [str(k) for k in range(count)]


def test_positions_are_moved_to_the_common_grid():
    # Index 0.5 between 2 and 4 is the coefficient 3, the second of the union 1, 3, 4 and 2: index 2 of (1, 2, 3, 4).
    coarse = border("coarse", [[0.5, np.inf], [np.nan, -np.inf]], coefficient=[2.0, 4.0], n_data=[20, 80], spread=None)
    fine = border("fine", [[1.0, 1.0], [0.5, 0.5]], coefficient=[1.0, 3.0], n_data=[10, 20], spread=None)
    figure = overlay([coarse, fine])
    assert is_drawn_alike(figure)
    train, test = figure.axes
    assert [t.get_text() for t in train.get_xticklabels()] == ["1", "2", "3", "4"]
    assert [t.get_text() for t in train.get_yticklabels()] == ["10", "20", "80"]
    assert points(train, "crossing") == [(2.0, 1.2, "o"), (2.0, -0.2, "s"), (2.0, 0.8, "s")]
    assert points(train, "outside") == [(3.5, 2.2, ">")]
    assert points(test, "outside") == [(0.5, 2.2, "<")]  # the left edge of its own map, not of the plot
    assert points(test, "crossing") == [(1.0, -0.2, "s"), (1.0, 0.8, "s")]


def test_intervals_with_an_open_end_reach_the_edge_of_the_map():
    given = {"lower": [[-np.inf, 1.0, np.inf]] * 2, "upper": [[1.0, np.inf, np.inf]] * 2}
    figure = overlay([border(crossing=[[0.5, np.inf, np.inf]] * 2, **given)], kind="test")
    assert is_drawn_alike(figure)
    (axes,) = figure.axes
    assert [p[:2] for p in points(axes, "interval")] == [(-0.5, 1.0), (1.0, 3.5)]
    assert points(axes, "open end") == [(-0.5, 0, "<")]
    assert points(axes, "outside") == [(3.5, 1, ">"), (3.5, 2, ">")]
    assert "interval reaches beyond the map" in legend(figure)


def test_borders_of_resampled_and_of_single_seeds():
    train, test = maps()
    generator = np.random.default_rng(0)
    seeded = [values[..., None] * generator.uniform(0.7, 1.4, (4, 3, 3)) for values in (train, test)]
    band = regimes.bootstrap(*seeded, T)
    resampled = Border.of_band("three seeds", band, COEFFICIENT, N_DATA)
    assert np.array_equal(resampled.crossing, band.rows["crossing"].values, equal_nan=True)
    assert np.array_equal(resampled.upper, band.rows["upper"].values, equal_nan=True)
    means = [regimes.seed_mean(values) for values in seeded]
    single = Border.of_means("means", *means, T, COEFFICIENT, N_DATA)
    assert single.lower is None and np.array_equal(single.crossing, resampled.crossing, equal_nan=True)
    # By hand: the training loss of the last row rises from 0.11 to 4.02 between the indices 1 and 2.
    by_hand = Border.of_means("by hand", train, test, T, COEFFICIENT, N_DATA)
    assert by_hand.crossing[0] == pytest.approx([np.inf, np.inf, 1 + 0.89 / 3.91])
    figure = overlay([resampled, single])
    assert is_drawn_alike(figure)
    assert legend(figure)[:2] == ["three seeds", "means (one seed)"]


def test_a_strategy_whose_cells_are_missing_says_so():
    nothing = border("lost", np.full((2, 3), np.nan))
    figure = overlay([nothing, border()])
    assert is_drawn_alike(figure)
    assert legend(figure)[:2] == ["lost (cells missing)", "one"]
    assert is_drawn_alike(overlay([nothing]))


def test_digest_of_an_overlay_sees_every_part():
    seen = {
        figures.digest(overlay(borders, **options))
        for borders, options in [
            ([border(), border("two")], {}),
            ([border("two"), border()], {}),
            ([border(), border("two", spread=0.3)], {}),
            ([border(), border("two", ((0.5, 1.1, np.inf), (-np.inf, 2.5, np.nan)))], {}),
            ([border(), border("two", ((0.5, 1.0, -np.inf), (-np.inf, 2.5, np.nan)))], {}),
            ([border(), border("two", coefficient=COEFFICIENT + 1)], {}),
            ([border(), border("two")], {"kind": "train"}),
            ([border(), border("two")], {"title": "another"}),
        ]
    }
    assert len(seen) == 8
    assert figures.digest(overlay([border(), border("two")])) in seen


@pytest.mark.parametrize(
    ("borders", "options", "message"),
    [
        ([], {}, "1 to 7 strategies can be told apart on one plot, got 0"),
        ([border(str(k)) for k in range(8)], {}, "got 8"),
        ([border(), border()], {}, "each strategy needs its own name, got one, one"),
        ([border()], {"kind": "tests"}, "unknown kind 'tests': did you mean test"),
        ([border(coefficient=[2.0, 1.0, 3.0, 4.0])], {}, "coefficient must be a list of strictly increasing"),
        ([border(n_data=[1, 2])], {}, r"crossing of one has shape \(2, 3\), expected \(2, 2\)"),
        ([border(upper=None)], {}, "one has one end of its intervals only: give lower and upper, or neither"),
        ([border(upper=np.ones(3))], {}, r"upper of one has shape \(3,\)"),
    ],
)
def test_bad_borders_are_refused(borders, options, message):
    with pytest.raises(UserError, match=message):
        overlay(borders, **options)


# --- improvement ----------------------------------------------------------------------------------------------


def gains():
    values = np.array([[50.0, -20.0, 3.25], [100.0, 0.0, -150.0], [np.nan, -np.inf, 10.0], [-2345.0, 60.0, 70.0]])
    failed = np.zeros((4, 3), dtype=int)
    failed[2, 1], failed[1, 2] = 2, 1
    return values, failed


def improvement(values=None, failed=None, **options):
    base = gains()
    values, failed = (own if given is None else given for given, own in zip((values, failed), base, strict=True))
    entries = [[("Training loss", values, failed), ("Test error", -base[0][::-1], None)]]
    return figures.improvement_maps(entries, COEFFICIENT, N_DATA, **{**WORDS, **options})


def test_improvement_maps_show_values_failed_runs_and_missing_cells():
    values, _ = gains()
    figure = improvement()
    assert is_drawn_alike(figure)
    left, right = figure.axes
    assert [axes.get_title("left") for axes in (left, right)] == ["Training loss", "Test error"]
    end = np.percentile(np.abs(values[np.isfinite(values)]), 95)
    assert (mesh(left).norm.vmin, mesh(left).norm.vmax) == pytest.approx((-end, end))
    assert mesh(left).cmap(mesh(left).norm(0.0))[:3] == pytest.approx((0.966, 0.967, 0.967), abs=0.01)  # zero is white
    blue, red = (mesh(left).cmap(mesh(left).norm(v)) for v in (end, -end))
    assert blue[2] > blue[0] and red[0] > red[2]
    written = texts(left, "value")
    assert written[0, 0] == "+50" and written[0, 1] == "\u221220" and written[0, 2] == "+3.2" and written[1, 1] == "0"
    assert written[3, 0] == "\u22122e3" and (2, 0) not in written and (2, 1) not in written and len(written) == 10
    assert texts(left, "failed") == {(1, 2): "\u27151", (2, 1): "\u27152"} and texts(right, "failed") == {}
    (cell,) = artists(left, "missing")
    assert cell.get_xy() == (1.5, -0.5) and cell.get_hatch()
    assert "\u2212\u221e" in [t.get_text() for t in left.texts] and "\u221e" in [t.get_text() for t in right.texts]
    assert np.asarray(mesh(left).get_array())[1, 2] < -1e30 and not np.ma.getmaskarray(mesh(left).get_array())[1, 2]
    assert "95th percentile of |Δ|" in left.child_axes[0].get_ylabel()
    assert legend(figure) == [
        "the method is better",
        "the method is worse",
        "number of its runs that gave up",
        "no pair of runs to compare",
    ]


def test_values_are_readable_on_their_cell():
    figure = improvement(np.array([[100.0, -100.0, 1.0]] * 4), limit=100.0)
    colours = {t.get_text(): t.get_color() for t in artists(figure.axes[0], "value")}
    assert colours == {"+100": "white", "\u2212100": "white", "+1.0": "#20242a"}
    assert figure.axes[0].child_axes[0].get_ylabel() == "Δ in %, clipped at ±100"
    assert mesh(figure.axes[0]).norm.vmax == 100


def test_a_large_map_is_left_without_numbers_but_not_without_its_failures():
    values, failed = np.full((10, 7), 5.0), np.zeros((10, 7))
    failed[4, 4] = 3
    figure = figures.improvement_maps([[("all", values, failed)]], np.arange(10), np.arange(7), **WORDS)
    assert is_drawn_alike(figure)
    assert artists(figure.axes[0], "value") == [] and texts(figure.axes[0], "failed") == {(4, 4): "\u27153"}


def test_rows_and_columns_of_improvement_and_its_data_set():
    base, method = np.full((4, 3, 2), 4.0), np.full((4, 3, 2), 1.0)
    method[3, 2, 1] = np.inf
    found = regimes.improvement(base, method)
    rows = [
        [(f"{q}, {r}", found[r].values, found["failed"].values) for q in "ab"] for r in ("ratio_of_means", "mean_of_ratios")
    ]
    figure = figures.improvement_maps(rows, COEFFICIENT, N_DATA, **WORDS)
    assert is_drawn_alike(figure)
    assert [axes.get_xlabel() for axes in figure.axes] == ["", "", "coefficient", "coefficient"]
    assert [axes.get_ylabel() for axes in figure.axes] == ["points", "", "points", ""]
    assert texts(figure.axes[3], "failed") == {(3, 2): "\u27151"} and texts(figure.axes[0], "value")[0, 0] == "+75"


def test_improvement_of_nothing_can_be_drawn():
    assert is_drawn_alike(improvement(np.full((4, 3), np.nan)))
    assert is_drawn_alike(improvement(np.zeros((4, 3))))


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.04, "0"), (-0.04, "0"), (9.94, "+9.9"), (9.96, "+10"), (-999.4, "\u2212999"), (-1e12, "\u22121e12"), (999.6, "+1e3")],
)
def test_percentages_are_short(value, text):
    assert _percent(value) == text


def test_digest_of_improvement_sees_every_part():
    values, failed = gains()
    seen = {
        figures.digest(figure)
        for figure in (
            improvement(),
            improvement(np.where(values == 60, 61, values)),
            improvement(np.where(np.isinf(values), np.nan, values)),
            improvement(failed=failed * 2),
            improvement(limit=100.0),
            improvement(title="another"),
        )
    }
    assert len(seen) == 6 and figures.digest(improvement()) in seen


@pytest.mark.parametrize(
    ("entries", "options", "message"),
    [
        ([], {}, "give rows of equally many maps, got rows of none"),
        ([[("a", *gains())], []], {}, "give rows of equally many maps, got rows of 1, 0"),
        ([[("a", np.ones((3, 4)), None)]], {}, r"the map 'a' has shape \(3, 4\) but coefficient and n_data have \(4, 3\)"),
        ([[("a", np.ones((4, 3)), np.ones(3))]], {}, r"the map 'a' has shape \(3,\)"),
        ([[("a", *gains())]], {"limit": 0.0}, "limit must be a positive number of percent such as 100, got 0.0"),
        ([[("a", *gains())]], {"limit": np.inf}, "limit must be a positive number"),
    ],
)
def test_bad_improvement_maps_are_refused(entries, options, message):
    with pytest.raises(UserError, match=message):
        figures.improvement_maps(entries, COEFFICIENT, N_DATA, **WORDS, **options)


def test_style_leaves_no_trace():
    before = dict(matplotlib.rcParams)
    figures.map_grid([pair()], title="a title")
    overlay([border()])
    improvement()
    assert dict(matplotlib.rcParams) == before
