"""Figures can be read on the page: the numbers along their axes are large enough, and line drawings stay sharp."""

import functools
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pandas as pd
import pytest
import xarray as xr

matplotlib.use("Agg")

from sciml_lib import figures, regimes
from sciml_lib.figures import Border, Curve, MapPair, Relief, SpectrumPair, Trajectory, ValueMap, style
from sciml_lib.figures.legibility import label_pixels
from sciml_lib.regimes import Thresholds

LEAST = 9.0
T = Thresholds(1.0, 0.5, "by hand")
COEFFICIENT = np.array([1.0, 5.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 100.0, 120.0])
N_DATA = np.array([100, 500, 1000, 2000, 5000, 10_000, 15_000, 20_000])
WORDS = {"coefficient_label": "coefficient", "data_label": "$N_f$, collocation points", "title": "a title"}
SHAPE = COEFFICIENT.size, N_DATA.size
X, Y = np.indices(SHAPE).astype(float)
TRAIN, TEST = np.where((X > 6) & (Y > 4), 4e-3, 1e-4) + 1e-5 * X, np.where(X > 6, 1.0, 0.1) + 0.01 * Y
CURVES = regimes.extract(TRAIN, TEST, T)
LINE = np.linspace(0.0, 1.0, 30)


def by_name(values):
    coords = {"coefficient": COEFFICIENT, "n_data": N_DATA}
    return xr.DataArray(values, coords=coords, dims=("coefficient", "n_data"))


def drawn_maps():
    return figures.regime_map(TRAIN, TEST, COEFFICIENT, N_DATA, T, CURVES, **WORDS)


def drawn_grid(n=5):
    axes = {"coefficient_label": "coefficient", "data_label": "$N_f$, collocation points"}
    pairs = [MapPair(str(k), TRAIN, TEST, COEFFICIENT, N_DATA, T, CURVES, **axes) for k in range(n)]
    return figures.map_grid(pairs, title="a title")


def drawn_beside():
    published = xr.Dataset({"train_loss": by_name(TRAIN), "test_error": by_name(TEST)})
    return figures.side_by_side(TRAIN, TEST, COEFFICIENT, N_DATA, published, T, CURVES, **WORDS)


def drawn_labels():
    labels = regimes.label(TRAIN, TEST, T)
    ours, theirs = by_name(labels), by_name(np.roll(labels, 1, axis=0))
    return figures.label_maps(ours, theirs, regimes.agreement(ours, theirs, theirs > 0), **WORDS)


def drawn_band():
    generator = np.random.default_rng(0)
    seeds = [values[..., None] * generator.uniform(0.5, 1.5, (*SHAPE, 3)) for values in (TRAIN, TEST)]
    band = regimes.bootstrap(*seeds, T, generator=generator)
    return figures.boundary_band(band, TRAIN, TEST, COEFFICIENT, N_DATA, CURVES, **WORDS)


def drawn_overlay():
    borders = [Border(str(k), COEFFICIENT, N_DATA, np.full((2, N_DATA.size), 2.0 + k)) for k in range(5)]
    return figures.boundary_overlay(borders, **WORDS)


def drawn_improvement(n=5):
    row = [(f"map {k}", 100 * (TEST - 0.5), None) for k in range(n)]
    return figures.improvement_maps([row, row], COEFFICIENT, N_DATA, **WORDS)


def drawn_values():
    return figures.value_maps([ValueMap(str(k), TRAIN) for k in range(3)], COEFFICIENT, N_DATA, **WORDS)


def drawn_solutions(n=5):
    field, points = np.sin(6 * LINE)[:, None] * LINE, np.tile(LINE[:, None], 2)
    lists = [[part] * n for part in (field, field, points, "a cell", "training loss 1.2e-03, test error 0.1")]
    learned, true, points, titles, notes = lists
    return figures.solutions(learned, true, LINE, LINE, points, titles, notes, title="a title")


def drawn_rollouts(n=5):
    motion = np.stack([np.cos(9 * LINE), np.sin(9 * LINE)], axis=1)
    lists = [[part] * n for part in (motion, motion, motion, "a cell", "training loss 1.2e-03, test error 0.1")]
    return figures.rollouts(LINE, *lists, labels=("angle", "velocity"), title="a title")


def drawn_surfaces(n=3):
    return figures.surfaces([Relief(str(k), LINE, LINE, LINE[:, None] + LINE) for k in range(n)], title="a title")


def drawn_spectra(n=5, points=30):
    line = np.linspace(-1.0, 1.0, points)
    pair = SpectrumPair("a cell", (1e4 * line, np.exp(-(line**2))), (1e4 * line, np.exp(-line)))
    return figures.spectra([[pair] * n] * 2, title="a title", row_labels=("wide", "narrow"))


def drawn_curves(n=5):
    cells = {str(k): [Curve("one", "bezier", LINE, LINE + 1e-3, LINE + 1e-2)] for k in range(n)}
    return figures.curve_grid(cells, ends=("a", "b"), title="a title")


def drawn_along():
    curve = {"bezier": LINE[:, None] + 1e-3}
    return figures.along_curves(LINE, curve, curve, ends=("a", "b"), title="a title")


def drawn_trajectories(n=5):
    panel = Trajectory("a cell", 1 + LINE, np.exp(-LINE)[None], np.exp(LINE)[None])
    return figures.trajectories([panel] * n, title="a title", columns=3)


def drawn_strip(n=5):
    rows = [(float(c), 1000, s, w, 10.0 ** (-s)) for c in range(n) for s in range(3) for w in (0, 100, 1000, 10_000)]
    runs = pd.DataFrame(rows, columns=["coefficient", "n_data", "seed", "warmup", "test_error"])
    words = {"x_label": "steps", "value_label": "test error", "title": "t", "coefficient_name": "β", "data_name": "$N_f$"}
    return figures.seed_strip(runs, x="warmup", value="test_error", **words)


drawn = functools.cache(lambda draw: draw())
"""Drawing takes a while; the tests look at one and the same figure."""

CELLS = [
    drawn_maps, drawn_grid, drawn_beside, drawn_labels, drawn_band, drawn_improvement, drawn_values, drawn_solutions,
    drawn_surfaces,
]  # fmt: skip
LINES = [drawn_overlay, drawn_rollouts, drawn_spectra, drawn_curves, drawn_along, drawn_trajectories, drawn_strip]


@pytest.mark.parametrize("draw", CELLS + LINES)
def test_the_numbers_of_every_kind_of_figure_can_be_read(draw):
    assert label_pixels(drawn(draw)) >= LEAST
    assert drawn(draw).get_figwidth() <= style.WIDEST


def test_every_kind_of_figure_is_measured():
    tested = {name for draw in CELLS + LINES for name in draw.__code__.co_names}
    kinds = {
        name
        for name in figures.__all__
        if callable(kind := getattr(figures, name)) and kind.__annotations__.get("return") == "style.BookFigure"
    }
    assert kinds and kinds <= tested


def test_labels_are_measured_as_they_are_shown():
    def axes_of(width, size):
        with style.paper():
            figure = style.new_figure(width, 2.0)
            figure.subplots().tick_params(labelsize=size)
        return figure

    small = label_pixels(axes_of(4.0, 9.0), column=2000)  # 9 points are 12 pixels, and nothing is enlarged
    assert small == pytest.approx(12.0)
    figure = axes_of(8.0, 9.0)
    assert label_pixels(figure, column=384) == pytest.approx(9.0 / 72 * 384 / (figure.get_tightbbox().width + 0.2))
    assert axes_of(30.0, 9.5).get_figwidth() == style.WIDEST


@pytest.mark.parametrize("draw", [drawn_rollouts, drawn_solutions, drawn_curves, drawn_spectra, drawn_grid])
def test_more_panels_than_fit_go_below(draw):
    many = drawn(draw)
    assert many.get_figheight() > draw(2).get_figheight()
    shown = [axes for axes in many.axes if axes.get_visible() and axes.get_subplotspec() is not None]
    columns = {axes.get_subplotspec().colspan.start for axes in shown}
    assert len(columns) <= (4 if draw is drawn_spectra else 3)
    assert len(shown) == 10  # two panels of each of the five


@pytest.mark.parametrize("draw", LINES)
def test_a_line_drawing_shows_itself_as_svg(draw):
    text, size = drawn(draw)._repr_svg_()
    assert set(size) == {"width", "height"}
    assert ElementTree.fromstring(text).tag.endswith("svg")
    assert "<image" not in text and "dc:date" not in text
    assert len(text) < 500_000


def test_the_same_drawing_gives_the_same_svg():
    assert drawn_along()._repr_svg_() == drawn_along()._repr_svg_()


@pytest.mark.parametrize("draw", CELLS)
def test_cells_and_surfaces_are_pictures(draw):
    assert drawn(draw)._repr_svg_() is None


def test_a_drawing_with_very_many_points_is_a_picture():
    assert drawn(drawn_spectra).is_drawing()
    assert not drawn_spectra(points=style.MOST_POINTS // 20 + 1).is_drawing()
