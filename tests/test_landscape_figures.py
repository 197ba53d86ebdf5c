"""Figures of loss landscapes: what is drawn, and that nothing is drawn that was not given."""

import io
import json
import re
from itertools import chain

import matplotlib
import numpy as np
import plotly.graph_objects as go
import pytest
from matplotlib.colors import to_hex

matplotlib.use("Agg")

from sciml_lib.errors import UserError
from sciml_lib.figures import digest
from sciml_lib.figures.curves import along_curves
from sciml_lib.figures.spectra import FLOOR, SpectrumPair, spectra
from sciml_lib.figures.surfaces import Relief, surface_interactive, surfaces, to_html
from sciml_lib.figures.trajectories import Trajectory, trajectories


def artists(axes, gid):
    return [artist for artist in axes.get_children() if artist.get_gid() == gid]


def picture(figure, dpi=40):
    """The figure as it is printed; drawing it must not warn."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def texts(legend):
    return [text.get_text() for text in legend.get_texts()]


# --- surfaces -------------------------------------------------------------------------------------------------

ALPHA, BETA = np.linspace(-0.05, 0.05, 9), np.linspace(-0.05, 0.05, 7)


def relief(scale=1.0, title="a surface"):
    """Higher towards positive alpha, so that the two directions cannot be mistaken."""
    return Relief(title, ALPHA, BETA, -4.0 + scale * (100 * ALPHA[:, None] ** 2 + 20 * ALPHA[:, None] + 5 * BETA**2))


def sheet(axes):
    (found,) = [c for c in axes.collections if c.get_array() is not None]
    return found


def test_surfaces_stand_side_by_side_each_with_its_colours():
    given = [relief(), relief(3.0, "another")]
    figure = surfaces(given, title="a title", directions=("first", "second"))
    picture(figure)
    assert [axes.get_title() for axes in figure.axes] == ["a surface", "another"] and figure.get_suptitle() == "a title"
    for axes, one in zip(figure.axes, given, strict=True):
        assert (axes.elev, axes.azim) == (30.0, 135.0)
        assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_zlabel()) == ("first", "second", "training loss")
        face = sheet(axes)
        assert face.get_cmap().name == "RdYlBu_r"
        assert (face.norm.vmin, face.norm.vmax) == pytest.approx(tuple(np.percentile(one.height, [5, 95])))
        # One facet between each four neighbours, coloured by their mean; all in the order of alpha, then beta.
        corners = one.height[:-1, :-1] + one.height[1:, :-1] + one.height[:-1, 1:] + one.height[1:, 1:]
        np.testing.assert_allclose(np.ravel(face.get_array()), np.ravel(corners / 4.0), rtol=1e-12)
        low, high = axes.get_zlim()
        assert low <= one.height.min() and one.height.max() <= high
        assert axes.zaxis.get_major_formatter()(-2.0, None) == "$10^{-2}$"


def test_holes_are_left_out():
    holed = relief()
    holed.height[0, 0] = np.nan
    holed.height[-1, -1] = np.inf
    figure = surfaces([holed], title="t")
    picture(figure)
    (axes,) = figure.axes
    # What is left of the four corners of a facet is its triangle.
    colours = np.asarray(sheet(axes).get_array())
    assert colours[0] == pytest.approx((holed.height[0, 1] + holed.height[1, 0] + holed.height[1, 1]) / 3)
    assert colours[-1] == pytest.approx((holed.height[-1, -2] + holed.height[-2, -1] + holed.height[-2, -2]) / 3)
    assert axes.get_zlim()[1] < 0 and np.isfinite([sheet(axes).norm.vmin, sheet(axes).norm.vmax]).all()


def test_the_digest_of_a_surface_survives_drawing_and_sees_a_changed_number():
    figure = surfaces([relief()], title="t")
    before = digest(figure)
    picture(figure)
    picture(figure, dpi=90)
    assert digest(figure) == before == digest(surfaces([relief()], title="t"))
    changed = relief()
    changed.height[4, 3] += 0.5
    assert digest(surfaces([changed], title="t")) != before


def test_the_interactive_surface_carries_the_same_numbers():
    given = [relief(), relief(3.0, "another")]
    figure = surface_interactive(given, title="a title", directions=("first", "second"))
    assert isinstance(figure, go.Figure) and len(figure.data) == 2
    assert [note.text for note in figure.layout.annotations] == ["a surface", "another"]
    for trace, one, scene in zip(figure.data, given, (figure.layout.scene, figure.layout.scene2), strict=True):
        np.testing.assert_allclose(trace.x, one.alpha, rtol=1e-6)
        np.testing.assert_allclose(trace.y, one.beta, rtol=1e-6)
        np.testing.assert_allclose(np.asarray(trace.z), one.height.T, rtol=1e-6)
        assert (trace.cmin, trace.cmax) == pytest.approx(tuple(np.percentile(one.height, [5, 95])))
        assert (scene.xaxis.title.text, scene.yaxis.title.text, scene.zaxis.title.text) == ("first", "second", "training loss")
        eye = scene.camera.eye
        assert np.rad2deg(np.arctan2(eye.y, eye.x)) == pytest.approx(135.0)
        assert np.rad2deg(np.arctan2(eye.z, np.hypot(eye.x, eye.y))) == pytest.approx(30.0)
        assert "10\u207b\u00b3" in scene.zaxis.ticktext or "10\u207b\u2074" in scene.zaxis.ticktext
    # Reversed: blue is low.
    assert figure.data[0].colorscale[0][1] == to_hex(matplotlib.colormaps["RdYlBu"](1.0))


def test_the_html_asks_for_nothing_from_outside_and_is_the_same_every_time():
    holed = relief()
    holed.height[0, 0] = np.nan
    html = to_html(surface_interactive([holed], title="t"), alt="two <surfaces>")
    assert html == to_html(surface_interactive([holed], title="t"), alt="two <surfaces>")
    assert html != to_html(surface_interactive([relief(2.0)], title="t"), alt="two <surfaces>")
    assert not re.search(r"https?:|src=|//cdn|@import", html)
    assert 'role="img" aria-label="two &lt;surfaces&gt;"' in html
    (data,) = re.findall(r'<script type="application/json">([^<]*)</script>', html)
    assert json.loads(data) == json.loads(surface_interactive([holed], title="t").to_json())
    assert len(html) < 10_000  # the library is not inside
    (name,) = set(re.findall(r"surface-[0-9a-f]{12}", html))
    assert f'id="{name}"' in html


@pytest.mark.parametrize("draw", [surfaces, surface_interactive])
def test_bad_surfaces_are_refused(draw):
    with pytest.raises(UserError, match="1 to 3 surfaces fit beside each other, got 0"):
        draw([], title="t")
    with pytest.raises(UserError, match="got 4"):
        draw([relief()] * 4, title="t")
    with pytest.raises(UserError, match=r"'turned' has shape \(7, 9\) but its grid has \(9, 7\)"):
        draw([Relief("turned", ALPHA, BETA, relief().height.T)], title="t")
    with pytest.raises(UserError, match="'void' has no finite value"):
        draw([Relief("void", ALPHA, BETA, np.full((9, 7), np.inf))], title="t")


# --- spectra --------------------------------------------------------------------------------------------------


def spectrum(title="a cell", shift=0.0):
    before, after = np.linspace(-50.0, 400.0, 90), np.linspace(-2.0, 3e4, 70)
    return SpectrumPair(title, (before, np.exp(-((before - shift) ** 2) / 50.0)), (after, np.full(70, 1e-3)))


@pytest.mark.parametrize("rows", [1, 2])
def test_spectra_before_and_after(rows):
    given = [[spectrum(), spectrum("another", 20.0)] for _ in range(rows)]
    labels = ["released width", "common width"][:rows] if rows == 2 else []
    figure = spectra(given, title="a title", row_labels=labels)
    picture(figure)
    assert len(figure.axes) == 2 * rows
    for axes, one in zip(figure.axes, chain.from_iterable(given), strict=True):
        assert axes.get_title() == one.title
        before, after = axes.lines
        assert (to_hex(before.get_color()), before.get_linestyle()) == ("#1f77b4", "-")
        assert (to_hex(after.get_color()), after.get_linestyle()) == ("#ff7f0e", "--")
        for line, (x, density) in ((before, one.before), (after, one.after)):
            np.testing.assert_array_equal(line.get_xdata(), x)
            np.testing.assert_array_equal(line.get_ydata(), np.maximum(density, FLOOR))
        assert (axes.get_xscale(), axes.get_yscale()) == ("symlog", "log") and axes.get_ylim()[0] == FLOOR == 1e-10
        assert axes.xaxis.get_transform().linthresh == 1.0
        low, high = axes.get_xlim()
        ticks = axes.get_xticks()
        assert low < -50 and high > 3e4 and 0 in ticks and ticks.min() < 0 < 100 <= ticks.max()
    assert texts(figure.legends[0]) == ["before training", "after training"]
    if rows == 2:
        assert [axes.get_ylabel() for axes in figure.axes[::2]] == ["released width\ndensity", "common width\ndensity"]
    else:
        assert figure.axes[0].get_ylabel() == "density"


def test_bad_spectra_are_refused():
    for rows in ([], [[]], [[spectrum()], [spectrum(), spectrum()]], [[spectrum()]] * 3):
        with pytest.raises(UserError, match="one row of spectra, or two rows of equally many"):
            spectra(rows, title="t")
    with pytest.raises(UserError, match="1 row_labels for 2 rows"):
        spectra([[spectrum()]] * 2, title="t", row_labels=["a"])
    with pytest.raises(UserError, match=r"'b' after training has densities of shape \(3,\) at \(2,\) eigenvalues"):
        spectra([[SpectrumPair("b", ([1, 2], [1, 2]), ([1, 2], [1, 2, 3]))]], title="t")


# --- trajectories ---------------------------------------------------------------------------------------------

ITERATIONS = np.arange(0, 100, 20)


def trajectory(title="a cell", seeds=3, split=30.0):
    factor = np.arange(1.0, seeds + 1)[:, None]
    return Trajectory(title, ITERATIONS, factor * np.exp(-ITERATIONS / 30.0), factor * (10.0 + ITERATIONS), split)


def axes_pairs(figure):
    """The left and the right axes of every panel."""
    half = len(figure.axes) // 2
    return list(zip(figure.axes[:half], figure.axes[half:], strict=True))


def test_trajectories_show_seeds_medians_and_phases():
    given = [trajectory(), trajectory("another", split=None)]
    figure = trajectories(given, title="a title", phases=("sharpening", "stable"))
    picture(figure)
    for (left, right), one in zip(axes_pairs(figure), given, strict=True):
        assert left.get_title() == one.title
        for axes, values, name, colour in (
            (left, one.loss, "loss", "#1f77b4"),
            (right, one.eigenvalue, "eigenvalue", "#d62728"),
        ):
            thin, (thick,) = artists(axes, f"{name}-seed"), artists(axes, f"{name}-median")
            np.testing.assert_array_equal([line.get_ydata() for line in thin], values)
            np.testing.assert_array_equal(thick.get_ydata(), values[1])  # the middle one of three
            np.testing.assert_array_equal(thick.get_xdata(), ITERATIONS)
            assert thick.get_linewidth() > 2 * thin[0].get_linewidth()
            assert {to_hex(line.get_color()) for line in (*thin, thick)} == {colour}
            assert {line.get_linestyle() for line in (*thin, thick)} == {"-" if name == "loss" else "--"}
            assert axes.get_yscale() == "log"
    (left, _), (plain, _) = axes_pairs(figure)
    (early,), (late,), (separator,) = (artists(left, gid) for gid in ("early", "late", "split"))
    assert (early.get_x(), early.get_x() + early.get_width()) == (0, 30) and separator.get_xdata()[0] == 30
    assert (late.get_x(), late.get_x() + late.get_width()) == (30, 80) and separator.get_linestyle() == "--"
    assert not any(artists(plain, gid) for gid in ("early", "late", "split"))
    assert texts(figure.legends[0])[-2:] == ["sharpening", "stable"]


def test_one_seed_is_its_own_median_and_half_of_the_seeds_are_enough_for_one():
    figure = trajectories([trajectory(seeds=1, split=None)], title="t")
    ((left, _),) = axes_pairs(figure)
    assert not artists(left, "loss-seed") and len(artists(left, "loss-median")) == 1
    assert texts(figure.legends[0]) == ["training loss", "largest eigenvalue"]
    short = trajectory(seeds=4)
    short.loss[:2, 3:] = np.nan  # two of four have ended
    short.loss[2, 4:] = np.nan
    short.eigenvalue[:, 2:] = np.nan
    figure = trajectories([short], title="t")
    picture(figure)
    ((left, right),) = axes_pairs(figure)
    (thick,) = artists(left, "loss-median")
    expected = [*np.median(short.loss[:, :3], axis=0), short.loss[2:, 3].mean(), np.nan]
    np.testing.assert_allclose(thick.get_ydata(), expected)
    assert np.isnan(artists(right, "eigenvalue-median")[0].get_ydata()).tolist() == [False, False, True, True, True]


def test_panels_are_laid_out_in_columns():
    figure = trajectories([trajectory(str(k)) for k in range(5)], title="t", columns=3)
    picture(figure)
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert len(shown) == 10 and len(figure.axes) == 11
    assert figure.axes[0].get_gridspec().get_geometry() == (2, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"iterations": [0]}, "must be at least two, and increase"),
        ({"iterations": [0, 20, 20, 40, 60]}, "must be at least two, and increase"),
        ({"loss": np.ones((3, 4))}, r"losses of shape \(3, 4\).*both must be \[seeds, 5\]"),
        ({"loss": np.ones((2, 5))}, r"eigenvalues of \(3, 5\)"),
        ({"loss": np.ones((0, 5)), "eigenvalue": np.ones((0, 5))}, r"losses of shape \(0, 5\)"),
        ({"loss": np.zeros((3, 5))}, "positive values, but 'a cell' has the loss 0"),
        ({"eigenvalue": np.full((3, 5), -2.0)}, "has the eigenvalue -2"),
        ({"split": 81.0}, "split=81 lies outside"),
    ],
)
def test_bad_trajectories_are_refused(change, message):
    with pytest.raises(UserError, match=message):
        trajectories([Trajectory(**{**vars(trajectory()), **change})], title="t")


def test_no_trajectory_is_refused():
    for panels, columns in (([], 2), ([trajectory()], 0)):
        with pytest.raises(UserError, match="at least one trajectory and at least one column"):
            trajectories(panels, title="t", columns=columns)


# --- curves ---------------------------------------------------------------------------------------------------

PLACES = np.linspace(0, 1, 11)


def along(seeds=3, factor=1.0):
    base = np.exp(-3 * PLACES)[:, None] * np.arange(1.0, seeds + 1)
    return {"bezier": factor * base, "straight": factor * (base + PLACES[:, None] * (1 - PLACES[:, None]))}


def test_curves_show_loss_and_error_of_both_kinds():
    train, test = along(), along(factor=7.0)
    figure = along_curves(PLACES, train, test, ends=("L-BFGS", "ALM"), title="a title")
    picture(figure)
    left, right = figure.axes
    assert (left.get_title(), right.get_title()) == ("Training loss", "Test error")
    for axes, given in ((left, train), (right, test)):
        for kind, dash in (("bezier", "-"), ("straight", "--")):
            thin, (thick,) = artists(axes, f"{kind}-seed"), artists(axes, f"{kind}-median")
            np.testing.assert_array_equal(np.transpose([line.get_ydata() for line in thin]), given[kind])
            np.testing.assert_array_equal(thick.get_ydata(), given[kind][:, 1])
            assert {line.get_linestyle() for line in (*thin, thick)} == {dash}
        assert axes.get_yscale() == "log" and axes.get_xlim() == (0, 1)
        assert "L-BFGS at 0, ALM at 1" in axes.get_xlabel()
    assert texts(figure.legends[0]) == ["trained Bezier curve", "straight line", "single seeds, thin"]


def test_one_kind_of_one_seed_and_values_that_are_not_finite():
    train = {"straight": along(1)["straight"]}
    train["straight"][4] = np.inf
    figure = along_curves(PLACES, train, {"straight": along(1)["straight"]}, ends=("a", "b"), title="t")
    picture(figure)
    (line,) = figure.axes[0].lines
    assert np.flatnonzero(np.isnan(line.get_ydata())).tolist() == [4]
    assert texts(figure.legends[0]) == ["straight line"]


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ({}, {}, "must both have 'bezier', 'straight' or both"),
        (along(), {"bezier": along()["bezier"]}, r"got \['bezier', 'straight'\] and \['bezier'\]"),
        ({"spline": 1}, {"spline": 1}, r"got \['spline'\]"),
        ({"bezier": np.ones((10, 2))}, {"bezier": np.ones((11, 2))}, r"loss of bezier has shape \(10, 2\) but 11 places"),
        ({"bezier": np.ones((11, 2))}, {"bezier": np.ones(11)}, r"test error of bezier has shape \(11,\)"),
        ({"bezier": np.ones((11, 2))}, {"bezier": np.zeros((11, 2))}, "the test error of bezier has 0"),
    ],
)
def test_bad_curves_are_refused(train, test, message):
    with pytest.raises(UserError, match=message):
        along_curves(PLACES, train, test, ends=("a", "b"), title="t")
