"""Figures of the pendulum's chapters: maps of any number, and motions over time and in the space of states."""

from __future__ import annotations

import io

import made_runs
import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")

from sciml_lib import figures, rollouts
from sciml_lib.errors import UserError
from sciml_lib.figures import ValueMap, style
from sciml_lib.panels import Panel

COEFFICIENT, N_DATA = np.array([1.0, 2.0, 15.0]), np.array([20, 1000])
WORDS = {"coefficient_label": "1/b, the inverse damping", "data_label": "$N$, observed states", "title": "a title"}
VALUES = np.array([[0.1, 0.25], [np.nan, 0.5], [0.875, np.inf]])


def mesh(axes):
    return next(c for c in axes.collections if c.get_array() is not None)


def artists(axes, gid):
    return [artist for artist in axes.get_children() if artist.get_gid() == gid]


def texts(axes, gid):
    return {tuple(np.round(t.get_position()).astype(int).tolist()): t.get_text() for t in artists(axes, gid)}


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def is_drawn_alike(figure):
    """Drawing the figure neither warns nor changes its digest."""
    before = figures.digest(figure)
    figure.savefig(io.BytesIO(), format="png", dpi=40)
    return figures.digest(figure) == before


# --- maps of values ------------------------------------------------------------------------------------------


def drawn(*maps, **change):
    return figures.value_maps(maps, COEFFICIENT, N_DATA, **{**WORDS, **change})


def test_maps_stand_in_a_row_with_their_own_colour_bars_and_one_vertical_axis():
    figure = drawn(ValueMap("first", VALUES), ValueMap("second", 2 * VALUES), ValueMap("third", VALUES + 1))
    assert is_drawn_alike(figure)
    assert figure.get_suptitle() == "a title"
    assert [axes.get_title("left") for axes in figure.axes] == ["first", "second", "third"]
    for axes, values in zip(figure.axes, (VALUES, 2 * VALUES, VALUES + 1), strict=True):
        shown = mesh(axes).get_array()
        assert shown.shape == (2, 3)  # the coefficient runs to the right
        for (i, j), value in np.ndenumerate(values):
            if np.isfinite(value):
                assert shown[j, i] == value
        assert shown.mask.tolist() == [[False, True, False], [False, False, False]]
        assert [t.get_text() for t in axes.get_xticklabels()] == ["1", "2", "15"]
        assert [t.get_text() for t in axes.get_yticklabels()] == ["20", "1,000"]
        assert axes.get_xlabel() == "1/b, the inverse damping"
        assert len(axes.child_axes) == 1
    assert [axes.get_ylabel() for axes in figure.axes] == ["$N$, observed states", "", ""]


def test_cells_without_a_value_are_hatched_and_infinite_ones_say_so():
    (axes,) = drawn(ValueMap("one", VALUES)).axes
    (cell,) = artists(axes, "missing")
    assert cell.get_xy() == (0.5, -0.5) and cell.get_hatch()
    assert [(t.get_text(), t.get_position()) for t in axes.texts] == [("∞", (2, 1))]


def test_colours_are_those_of_the_limits_given_and_of_the_percentiles_otherwise():
    finite = VALUES[np.isfinite(VALUES)]
    figure = drawn(ValueMap("given", VALUES, (0.0, 4.0)), ValueMap("own", VALUES), ValueMap("same", 3 * VALUES, (0.0, 4.0)))
    ends = [(mesh(axes).norm.vmin, mesh(axes).norm.vmax) for axes in figure.axes]
    assert ends[0] == ends[2] == (0.0, 4.0)
    assert ends[1] == pytest.approx(tuple(np.percentile(finite, [5, 95])))
    assert all(mesh(axes).cmap is style.map_colours() for axes in figure.axes)


def test_values_are_written_into_their_cells_only_if_that_is_asked_for():
    written, plain = drawn(ValueMap("written", VALUES, (0.0, 1.0), written=True), ValueMap("plain", VALUES)).axes
    assert texts(written, "value") == {(0, 0): "0.1", (0, 1): "0.25", (1, 1): "0.5", (2, 0): "0.88"}
    assert artists(plain, "value") == []
    ink = {t.get_text(): t.get_color() for t in artists(written, "value")}
    assert ink["0.1"] != ink["0.88"] == "white"  # dark on the light low end, white on the dark high end


@pytest.mark.parametrize(("count", "relative"), [(1, 2), (2, 2), (3, 3)])
def test_a_row_is_as_wide_as_its_maps_and_at_least_as_two(count, relative):
    width = drawn(*[ValueMap(str(k), VALUES) for k in range(count)]).get_size_inches()[0]
    assert width == pytest.approx(style.WIDEST / 3 * relative)


def test_a_taller_grid_makes_a_taller_figure():
    tall = figures.value_maps([ValueMap("a", np.ones((2, 8)))], [1, 2], range(1, 9), **WORDS)
    assert tall.get_size_inches()[1] > drawn(ValueMap("a", VALUES)).get_size_inches()[1]
    assert is_drawn_alike(tall)


def test_the_digest_of_a_row_of_maps_sees_every_part():
    values = np.where(np.isinf(VALUES), 0.9, VALUES)
    one, two = ValueMap("one", values), ValueMap("two", values, (0.0, 1.0))
    seen = {
        figures.digest(figure)
        for figure in (
            drawn(one, two),
            drawn(two, one),
            drawn(one),
            drawn(one, ValueMap("two", values, (0.0, 2.0))),
            drawn(one, ValueMap("two", values, (0.0, 1.0), written=True)),
            drawn(one, ValueMap("two", np.where(values == 0.5, 0.51, values), (0.0, 1.0))),
            drawn(one, two, title="another"),
            drawn(one, two, data_label="another"),
        )
    }
    assert len(seen) == 8 and figures.digest(drawn(one, two)) in seen


@pytest.mark.parametrize(
    ("maps", "axes", "message"),
    [
        ([], (COEFFICIENT, N_DATA), "1 to 3 maps fit into a row, got 0"),
        ([ValueMap(str(k), VALUES) for k in range(4)], (COEFFICIENT, N_DATA), "1 to 3 maps fit into a row, got 4"),
        ([ValueMap("a", VALUES), ValueMap("b", VALUES.T)], (COEFFICIENT, N_DATA), r"'b' has shape \(2, 3\) .* has \(3, 2\)"),
        ([ValueMap("a", VALUES)], (COEFFICIENT[:2], N_DATA), r"the map 'a' has shape \(3, 2\) but its grid has \(2, 2\)"),
        ([ValueMap("a", VALUES)], ([2.0, 1.0, 15.0], N_DATA), "coefficient must be a list of strictly increasing numbers"),
        ([ValueMap("a", VALUES)], (COEFFICIENT, [20, 20]), "n_data must be a list of strictly increasing numbers"),
    ],
)
def test_bad_rows_of_maps_are_refused(maps, axes, message):
    with pytest.raises(UserError, match=message):
        figures.value_maps(maps, *axes, **WORDS)


# --- the maps that the chapter draws -------------------------------------------------------------------------


def pinode(one_step=lambda c, n, s: 1e-4 * c + n * 1e-8):
    """A PINODE of two seeds whose numbers differ from cell to cell and from seed to seed."""
    data = made_runs.runs(
        "pinode/pendulum/adam", "paper", lambda c, n, s: 1e-6 * (c + n / 100) * (s - 2), lambda c, n, s: c + n / 1000 + s, 2
    )
    c, n, s = (data[name] for name in ("coefficient", "n_data", "seed"))
    return Panel(data.assign(one_step_mse=one_step(c, n, s) * (s - 2)))


def test_the_floor_is_drawn_in_the_colours_of_the_training_loss_and_its_share_is_written():
    panel = pinode()
    figure = rollouts.floor_figure(panel, "How much")
    assert is_drawn_alike(figure) and figure.get_suptitle() == "How much"
    floor = rollouts.euler_floor(panel).values
    titles = ["training loss", "floor of forward Euler", "share of the floor"]
    assert [axes.get_title("left") for axes in figure.axes] == titles
    for axes, values in zip(figure.axes, (panel.train.values, floor, floor / panel.train.values), strict=True):
        np.testing.assert_array_equal(mesh(axes).get_array(), values.T)
        assert (axes.get_xlabel(), axes.get_xticklabels()[-1].get_text()) == ("1/b, the inverse damping", "15")
    loss, own, share = ((mesh(axes).norm.vmin, mesh(axes).norm.vmax) for axes in figure.axes)
    assert loss == own == pytest.approx(tuple(np.percentile(panel.train, [5, 95]))) and share == (0.0, 1.0)
    assert [len(artists(axes, "value")) for axes in figure.axes] == [0, 0, 64]
    assert texts(figure.axes[2], "value")[7, 0] == f"{floor[7, 0] / float(panel.train[7, 0]):.2g}"


# --- motions -------------------------------------------------------------------------------------------------

TIME = 0.5 * np.arange(5)
TRUE = [np.stack([2.0 * np.cos(TIME), -np.sin(TIME)], axis=1), np.stack([0.5 * TIME, TIME - 1], axis=1)]
LEARNED = [TRUE[0] + 0.1, 40.0 * TRUE[1]]
OBSERVED = [np.array([[1.7, 0.0], [1.6, -0.1], [1.5, -0.2]]), np.array([[0.3, 0.4]])]


def moving(**change):
    given = {
        "time": TIME,
        "true": TRUE,
        "learned": LEARNED,
        "observed": OBSERVED,
        "titles": ["I, well trained", "III, over-trained"],
        "notes": ["loss 1", "loss 2"],
        "labels": ("angle", "velocity"),
        "title": "two motions",
        **change,
    }
    return figures.rollouts(**given)


def test_a_motion_is_drawn_over_time_and_in_the_space_of_states_with_its_data():
    figure = moving()
    assert is_drawn_alike(figure) and figure.get_suptitle() == "two motions"
    for k, (above, below) in enumerate(np.reshape(figure.axes, (2, 2)).T):
        true, learned = above.lines
        np.testing.assert_array_equal(true.get_xydata(), np.stack([TIME, TRUE[k][:, 0]], axis=1))
        np.testing.assert_array_equal(learned.get_xydata(), np.stack([TIME, LEARNED[k][:, 0]], axis=1))
        assert [line.get_xydata().tolist() for line in below.lines] == [x[k].tolist() for x in (TRUE, LEARNED, OBSERVED)]
        assert above.get_title() == ["I, well trained", "III, over-trained"][k]
        assert (above.get_xlabel(), below.get_xlabel()) == ("time", f"angle\nloss {k + 1}")
        # One colour and line for the network's in both, dots for the data.
        assert true.get_linestyle() == "-" and below.lines[0].get_linestyle() == "-"
        assert learned.get_linestyle() == below.lines[1].get_linestyle() == "--"
        assert true.get_color() == below.lines[0].get_color() != learned.get_color() == below.lines[1].get_color()
        assert (below.lines[2].get_marker(), below.lines[2].get_linestyle()) == (".", "None")
    assert [axes.get_ylabel() for axes in figure.axes] == ["angle", "", "velocity", ""]
    assert legend(figure) == ["true test motion", "the network's", "states it was trained on"]


def test_a_network_that_runs_away_does_not_squeeze_the_others():
    figure = moving()
    reach = 1.35 * 2.0  # the largest component of any true motion
    for axes in figure.axes:
        assert axes.get_ylim() == pytest.approx((-reach, reach))
    for axes in figure.axes[2:]:
        assert axes.get_xlim() == pytest.approx((-reach, reach))
    assert np.abs(figure.axes[1].lines[1].get_ydata()).max() > 10 * reach  # it is cut off by the frame, not by the data


def test_one_network_has_one_column():
    one = {name: given[:1] for name, given in {"true": TRUE, "learned": LEARNED, "observed": OBSERVED}.items()}
    figure = moving(**one, titles=["I"], notes=["note"])
    assert is_drawn_alike(figure) and len(figure.axes) == 2
    assert figure.get_size_inches()[0] < moving().get_size_inches()[0]


def test_the_digest_of_motions_sees_every_part():
    seen = {
        figures.digest(figure)
        for figure in (
            moving(),
            moving(time=2 * TIME),
            moving(true=TRUE[::-1]),
            moving(learned=[LEARNED[0] + 0.01, LEARNED[1]]),
            moving(observed=[OBSERVED[0][:2], OBSERVED[1]]),
            moving(titles=["I", "III"]),
            moving(notes=["loss 1", "loss 3"]),
            moving(labels=("angle", "rate")),
            moving(title="another"),
        )
    }
    assert len(seen) == 9 and figures.digest(moving()) in seen


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({name: [] for name in ("true", "learned", "observed", "titles", "notes")}, "for each network"),
        ({"learned": LEARNED[:1]}, "give one true and one learned motion, one set of data, one title and one note"),
        ({"observed": OBSERVED[:1]}, "for each network"),
        ({"titles": ["I"]}, "for each network"),
        ({"notes": ["a", "b", "c"]}, "for each network"),
        ({"true": [TRUE[0], TRUE[1][:3]]}, r"a motion has shape \(3, 2\) but 5 times of two components are expected"),
        ({"learned": [LEARNED[0].T, LEARNED[1]]}, r"a motion has shape \(2, 5\)"),
        ({"learned": [np.ones((5, 3)), LEARNED[1]]}, r"a motion has shape \(5, 3\)"),
        ({"time": TIME[:4]}, r"a motion has shape \(5, 2\) but 4 times"),
    ],
)
def test_bad_motions_are_refused(change, message):
    with pytest.raises(UserError, match=message):
        moving(**change)


def test_these_figures_leave_no_trace_in_the_style():
    before = dict(matplotlib.rcParams)
    moving()
    drawn(ValueMap("a", VALUES))
    assert dict(matplotlib.rcParams) == before


def test_data_of_three_components_are_refused():
    with pytest.raises(UserError, match="shape"):
        moving(observed=[np.ones((4, 3)), OBSERVED[1]])


def test_an_infinite_cell_does_not_hide_the_others_from_the_digest():
    def one(x):
        maps = [figures.ValueMap("a", [[1.0, 2.0], [x, np.inf]], (0, 5))]
        return figures.digest(figures.value_maps(maps, [1, 2], [1, 2], coefficient_label="a", data_label="b", title="t"))

    assert one(3.0) != one(4.0)
