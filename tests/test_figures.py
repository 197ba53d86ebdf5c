"""Figures: what is drawn, where the numerals go, and that a digest notices what a reader would."""

import io

import matplotlib
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from bs4 import BeautifulSoup
from matplotlib.colors import to_hex

matplotlib.use("Agg")

from sciml_lib import figures, regimes
from sciml_lib.errors import UserError
from sciml_lib.figures import provenance, style
from sciml_lib.figures.regime_map import numeral_places
from sciml_lib.regimes import Regime, Thresholds, published, thresholds

T = Thresholds(1.0, 0.5, "by hand")
COEFFICIENT, N_DATA = np.array([1.0, 2.0, 3.0, 5.0]), np.array([10, 20, 40])
WORDS = {"coefficient_label": "coefficient", "data_label": "points", "title": "a title"}


def maps():
    """Regime II in the upper right corner, III below it, I on the left."""
    x, y = np.indices((4, 3)).astype(float)
    return np.where((x >= 2) & (y == 2), 4.0, 0.1) + 0.01 * x, np.where(x >= 2, 1.0, 0.1) + 0.01 * y


def seeds(n=3):
    generator = np.random.default_rng(0)
    return [values[..., None] * generator.uniform(0.2, 1.8, (4, 3, n)) for values in maps()]


def draw(train=None, test=None, **options):
    base = maps()
    train, test = (given if given is not None else own for given, own in zip((train, test), base, strict=True))
    curves = regimes.extract(train, test, T)
    return figures.regime_map(train, test, COEFFICIENT, N_DATA, T, curves, **{**WORDS, **options})


def artists(axes, gid):
    return [artist for artist in axes.get_children() if artist.get_gid() == gid]


def picture(figure):
    """The figure as it is printed; drawing it must not warn."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=40)
    return buffer.getvalue()


def is_white_grounded(figure):
    return to_hex(figure.get_facecolor()) == "#ffffff"


# --- regime maps ----------------------------------------------------------------------------------------------


def test_a_cell_with_fewer_seeds_than_planned_says_so():
    present = np.full((4, 3), 3)
    present[1, 2], present[0, 0] = 2, 0
    figure = draw(seeds=(present, 3))
    for axes in figure.axes[:2]:
        notes = {text.get_text(): text.get_position() for text in axes.texts if "/" in text.get_text()}
        assert notes == {"2/3": (1, 2)}
    assert not any("/" in text.get_text() for text in draw().axes[0].texts)


def test_regime_map_shows_raw_cells_axes_and_numerals():
    train, test = maps()
    figure = draw()
    picture(figure)
    panels = figure.axes[:2]
    assert [axes.get_title("left") for axes in panels] == ["Training loss", "Test error"]
    for axes, values in zip(panels, (train, test), strict=True):
        (mesh,) = [c for c in axes.collections if c.get_array() is not None]
        assert np.array_equal(np.asarray(mesh.get_array()), values.T)
        assert (mesh.norm.vmin, mesh.norm.vmax) == pytest.approx(tuple(np.percentile(values, [5, 95])))
        assert [t.get_text() for t in axes.get_xticklabels()] == ["1", "2", "3", "5"]
        assert [t.get_text() for t in axes.get_yticklabels()] == ["10", "20", "40"]
        assert axes.get_xlim() == (-0.5, 3.5) and axes.get_ylim() == (-0.5, 2.5)
        assert sorted(t.get_text() for t in artists(axes, "numeral")) == ["I", "II", "III"]
        assert artists(axes, "missing") == []
        assert artists(axes, "train-1") and artists(axes, "test-1")
        assert {line.get_linestyle() for line in artists(axes, "train-0.8")} == {"-"}
        assert {line.get_linestyle() for line in artists(axes, "test-0.8")} == {"--"}
        assert len(axes.child_axes) == 1  # its own colour bar
    assert is_white_grounded(figure)
    assert "threshold on the colour bar" in [t.get_text() for t in figure.legends[0].get_texts()]


def test_missing_cells_are_hatched_and_explained_and_infinite_ones_marked():
    train, test = maps()
    train[0, 0] = test[0, 0] = np.nan
    test[3, 0] = np.inf
    figure = draw(train, test)
    picture(figure)
    left, right = figure.axes[:2]
    for axes in (left, right):
        (cell,) = artists(axes, "missing")
        assert cell.get_hatch() and cell.get_xy() == (-0.5, -0.5) and cell.get_width() == cell.get_height() == 1
    assert "not computed" in [t.get_text() for t in figure.legends[0].get_texts()]
    assert "\u221e" in [t.get_text() for t in right.texts] and "\u221e" not in [t.get_text() for t in left.texts]
    assert figure.axes[1].collections[0].norm.vmax < 2  # the scale is made from finite values


def test_a_map_without_any_value_can_be_drawn():
    nothing = np.full((4, 3), np.nan)
    figure = draw(nothing, nothing)
    picture(figure)
    assert len(artists(figure.axes[0], "missing")) == 12 and artists(figure.axes[0], "numeral") == []


def test_colours_are_the_paper_s():
    colours = style.map_colours()
    assert to_hex(colours(0.0)) == to_hex(matplotlib.colormaps["viridis"](1.0))
    assert to_hex(colours(1.0)) == to_hex(matplotlib.colormaps["viridis_r"](0.8))
    factors = regimes.FACTORS
    assert to_hex(style.factor_colour(0.8, factors)) == to_hex(matplotlib.colormaps["plasma"](0.1))
    assert to_hex(style.factor_colour(1.2, factors)) == to_hex(matplotlib.colormaps["plasma"](0.9))
    grey = [np.dot(matplotlib.colors.to_rgb(style.REGIME_COLOURS[k]), (0.299, 0.587, 0.114)) for k in (1, 3, 2)]
    assert grey[0] - grey[1] > 0.2 and grey[1] - grey[2] > 0.2  # told apart without any colour


def test_style_leaves_no_trace():
    before = dict(matplotlib.rcParams)
    draw()
    assert dict(matplotlib.rcParams) == before
    matplotlib_pyplot = pytest.importorskip("matplotlib.pyplot")
    assert matplotlib_pyplot.get_fignums() == []


def test_a_figure_shows_itself():
    data, size = draw()._repr_png_()
    assert data[:8] == b"\x89PNG\r\n\x1a\n" and set(size) == {"width", "height"}


def test_numerals_sit_in_their_largest_region():
    labels = np.full((9, 9), 1)
    labels[6:, :] = 2
    labels[0, 0] = 2  # a stray cell of II does not draw its numeral away
    places = numeral_places(labels)
    assert places[Regime.II] == (7.0, 4.0)
    assert set(places) == {Regime.I, Regime.II}
    bent = np.full((9, 9), 1)
    bent[3:, 3:] = 3  # I is an L: its centroid lies near the corner of III
    x, y = (round(v) for v in numeral_places(bent)[Regime.I])
    assert bent[x, y] == 1
    assert numeral_places(np.zeros((3, 3), dtype=int)) == {}


def test_band_is_drawn_over_a_map():
    train, test = seeds()
    band = regimes.bootstrap(train, test, T)
    plain, veiled = draw(), draw(band=band)
    picture(veiled)
    assert len(veiled.axes[0].collections) > len(plain.axes[0].collections)
    assert "5-95 % of resampled seeds" in [t.get_text() for t in veiled.legends[0].get_texts()]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"coefficient": [1.0, 3.0, 2.0, 5.0]}, "coefficient must be a list of strictly increasing numbers"),
        ({"coefficient": [1.0, 2.0, 3.0]}, "coefficient has 3 values but the map has 4 cells"),
        ({"n_data": [10, 10, 20]}, "n_data must be a list of strictly increasing numbers"),
        ({"n_data": [10, np.nan, 20]}, "n_data must be a list of strictly increasing numbers"),
        ({"test_mean": np.ones((3, 4))}, "give two maps of the same cells"),
        ({"train_mean": np.ones((1, 3)), "test_mean": np.ones((1, 3))}, "1 x 3 cells has no boundary"),
    ],
)
def test_bad_maps_are_refused(change, message):
    train, test = maps()
    given = {"train_mean": train, "test_mean": test, "coefficient": COEFFICIENT, "n_data": N_DATA, **change}
    with pytest.raises(UserError, match=message):
        figures.regime_map(**given, thresholds=T, boundaries=[], **WORDS)


# --- beside the published map ---------------------------------------------------------------------------------


def beside(rows=slice(None), **change):
    data = published.fig1("PINN").isel(n_data=rows)
    limits = thresholds.of_panel("pinn/convection/lbfgs")
    coefficient, n_data = data.coefficient.values[2:], np.array([100, 200, 500])
    train = np.linspace(0, 0.01, 30).reshape(10, 3)
    test = np.linspace(0, 1.2, 30).reshape(10, 3)
    given = {"train_mean": train, "test_mean": test, "coefficient": coefficient, "n_data": n_data, **change}
    curves = regimes.extract(train, test, limits)
    theirs = published.boundaries(data, limits)
    return data, figures.side_by_side(**given, published=data, thresholds=limits, boundaries=curves,
                                      published_boundaries=theirs, **WORDS)  # fmt: skip


def test_side_by_side_shares_grid_colours_and_scale():
    data, figure = beside()
    picture(figure)
    panels = figure.axes[:4]
    meshes = [next(c for c in axes.collections if c.get_array() is not None) for axes in panels]
    for ours, theirs, name in zip(meshes[:2], meshes[2:], ("train_loss", "test_error"), strict=True):
        assert (ours.norm.vmin, ours.norm.vmax) == (theirs.norm.vmin, theirs.norm.vmax) == data[name].colour_range
        assert ours.get_array().shape == theirs.get_array().shape == (12, 12)
        assert np.ma.count(ours.get_array()) == 30
    assert len(artists(panels[0], "missing")) == 144 - 30 and len(artists(panels[2], "missing")) == 4
    # Our rows 100, 200, 500 are the rows 0, 2, 4 of the published grid, our columns begin at its third.
    assert meshes[0].get_array()[4, 11] == pytest.approx(0.01) and meshes[0].get_array()[0, 2] == 0
    lines = artists(panels[0], "train-1")
    assert lines and all(line.get_xdata().min() >= 2 and line.get_ydata().max() <= 4 for line in lines)


def test_side_by_side_of_a_part_of_the_published_grid():
    _, figure = beside(slice(0, 5))
    picture(figure)
    assert len(artists(figure.axes[2], "missing")) == 0 and len(artists(figure.axes[0], "missing")) == 60 - 30


def test_side_by_side_refuses_foreign_grids():
    with pytest.raises(UserError, match="share no n_data"):
        beside(n_data=[1, 2, 3])
    with pytest.raises(UserError, match="coefficient must be a list of strictly increasing"):
        beside(coefficient=np.ones(10))


# --- label maps -----------------------------------------------------------------------------------------------


def labelled(values):
    return xr.DataArray(values, {"coefficient": COEFFICIENT, "n_data": N_DATA}, dims=("coefficient", "n_data"))


def test_label_maps_mark_what_differs():
    ours = labelled(np.array([[1, 1, 1], [1, 1, 2], [3, 2, 2], [0, 3, 2]]))
    theirs = labelled(np.array([[1, 1, 1], [1, 3, 2], [3, 2, 1], [3, 3, 0]]))
    doubt = labelled(np.zeros((4, 3), dtype=bool))
    doubt[1, 1] = True
    found = regimes.agreement(ours, theirs, theirs > 0, doubt)
    figure = figures.label_maps(ours, theirs, found, uncertain=doubt, **WORDS)
    picture(figure)
    left, middle, right = figure.axes[:3]
    assert right.get_title("left") == "Differences: 80% of 10 cells equal"
    differing = sorted((p.get_x() + 0.5, p.get_y() + 0.5) for p in artists(right, "differs"))
    assert differing == [(1.0, 1.0), (2.0, 2.0)]
    assert len(artists(middle, "uncertain")) == len(artists(right, "uncertain")) == 1
    assert [len(artists(axes, "missing")) for axes in (left, middle, right)] == [1, 1, 2]
    numerals = [t.get_text() for t in left.texts]
    assert [numerals.count(n) for n in ("I", "II", "III")] == [5, 4, 2]


def test_label_maps_show_the_common_cells_only():
    ours = labelled(np.ones((4, 3), dtype=int))
    theirs = ours.isel(coefficient=slice(1, 4)).transpose()
    figure = figures.label_maps(ours, theirs, regimes.agreement(ours, theirs, theirs > 0), **WORDS)
    picture(figure)
    assert figure.axes[0].get_xlim() == (-0.5, 2.5)
    with pytest.raises(UserError, match="has no boundary"):
        one = ours.isel(coefficient=[0])
        figures.label_maps(ours, one, regimes.agreement(ours, one, one > 0), **WORDS)


# --- bands and seeds ------------------------------------------------------------------------------------------


def test_boundary_band():
    train, test = seeds()
    band = regimes.bootstrap(train, test, T)
    means = [regimes.seed_mean(values) for values in (train, test)]
    figure = figures.boundary_band(band, *means, COEFFICIENT, N_DATA, regimes.extract(*means, T), **WORDS)
    picture(figure)
    left, right = figure.axes[:2]
    mesh = next(c for c in left.collections if c.get_array() is not None)
    assert np.asarray(mesh.get_array()) == pytest.approx(band.train_high.T)
    assert artists(left, "train-1") and not artists(left, "test-1") and not artists(left, "train-0.8")
    assert artists(right, "test-1") and artists(left, "interval")
    assert figure.legends[0].get_title().get_text() == "3 seeds, 10 different resamples, all enumerated"
    with pytest.raises(UserError, match="give two maps of the same cells"):
        figures.boundary_band(band, *(m[:3] for m in means), COEFFICIENT[:3], N_DATA, [], **WORDS)


def runs():
    rows = [
        {"coefficient": c, "n_data": n, "seed": s, "warmup": w, "test_error": value}
        for c, n in ((20.0, 1000), (25.0, 1000))
        for w in (0, 2000)
        for s, value in enumerate([0.01, 0.0101, 1.1 if w == 0 else 0.02])
    ]
    return pd.DataFrame(rows)


def strip(table, **options):
    named = {"x": "warmup", "value": "test_error", "x_label": "Adam steps", "value_label": "test error", "title": "seeds"}
    named |= {"coefficient_name": "c", "data_name": "$N$"}
    return figures.seed_strip(table, **{**named, **options})


def test_seed_strip_shows_every_run_its_mean_and_the_published_interval():
    table = runs()
    figure = strip(table, published=published.fig1("PINN"), threshold=0.434)
    picture(figure)
    assert len(figure.axes) == 2
    first, second = figure.axes
    assert first.get_yscale() == "log" and "20" in first.get_title()
    (dots,) = first.collections
    assert sorted(dots.get_offsets()[:, 1]) == pytest.approx(sorted([0.01, 0.0101, 1.1, 0.01, 0.0101, 0.02]))
    columns = np.round(dots.get_offsets()[:, 0])
    assert sorted(columns) == [0, 0, 0, 1, 1, 1]
    assert len({tuple(point) for point in dots.get_offsets().round(3).tolist()}) == 6  # none hides another
    means = sorted(line.get_ydata()[0] for line in artists(first, "mean"))
    assert means == pytest.approx([(0.01 + 0.0101 + 0.02) / 3, (0.01 + 0.0101 + 1.1) / 3])
    (span,) = artists(second, "published")  # 0.465 +- 5 % of the colour range 1.434
    assert (span.get_y(), span.get_y() + span.get_height()) == pytest.approx((0.465 - 0.0717, 0.465 + 0.0717))
    (span,) = artists(first, "published")  # at most the lowest colour: open downwards
    assert span.get_y() == first.get_ylim()[0]


def test_seed_strip_marks_diverged_runs_and_leaves_out_missing_ones():
    table = runs()
    table.loc[0, "test_error"] = np.inf
    table.loc[1, "test_error"] = np.nan
    table.index = [0] * len(table)  # an index with repeated labels is common after pd.concat
    figure = strip(table, columns=1)
    picture(figure)
    first = figure.axes[0]
    (mark,) = artists(first, "diverged")
    assert len(mark.get_xdata()) == 1 and len(first.collections[0].get_offsets()) == 4
    assert len(artists(first, "mean")) == 1  # an infinite mean has no bar
    assert "no finite value" in [t.get_text() for t in figure.legends[0].get_texts()]


def test_seed_strip_of_diverged_runs_only():
    table = runs().assign(test_error=np.inf)
    picture(strip(table))


def test_bad_run_tables_are_refused():
    with pytest.raises(UserError, match="runs lacks the column 'warmup'"):
        strip(runs().drop(columns="warmup"))
    with pytest.raises(UserError, match="has no row with a test_error"):
        strip(runs().assign(test_error=np.nan))
    with pytest.raises(UserError, match="must be positive to be drawn"):
        strip(runs().assign(test_error=0.0))


# --- digest ---------------------------------------------------------------------------------------------------


def test_digest_is_stable_and_blind_to_noise():
    train, test = maps()
    first = figures.digest(draw())
    assert len(first) == 12 and first == figures.digest(draw())
    noise = 1e-9 * np.random.default_rng(3).standard_normal((4, 3))
    assert figures.digest(draw(train + noise, test - noise)) == first
    figure = draw()
    picture(figure)
    assert figures.digest(figure) == first  # drawing it changes nothing


@pytest.mark.parametrize(
    "change",
    [
        {"train": 5.0 - maps()[0]},
        {"test": maps()[1][::-1]},
        {"train": maps()[0] + np.eye(4, 3) * 0.01},
        {"test": np.where(np.eye(4, 3), np.nan, maps()[1])},
        {"title": "another title"},
        {"coefficient_label": "another label"},
    ],
)
def test_digest_changes_with_what_is_shown(change):
    assert figures.digest(draw(**change)) != figures.digest(draw())


def test_digest_sees_curves_thresholds_and_axes():
    train, test = maps()
    curves = regimes.extract(train, test, T)
    moved = Thresholds(1.5, 0.5, "")
    seen = {
        figures.digest(figures.regime_map(train, test, c, n, t, b, **WORDS))
        for c, n, t, b in [
            (COEFFICIENT, N_DATA, T, curves),
            (COEFFICIENT, N_DATA, T, curves[1:]),
            (COEFFICIENT, N_DATA, T, regimes.extract(train, test, moved)),
            (COEFFICIENT, N_DATA, moved, curves),
            (COEFFICIENT + 1, N_DATA, T, curves),
            (COEFFICIENT, N_DATA + 1, T, curves),
        ]
    }
    assert len(seen) == 6


def test_digest_of_every_kind_of_figure_survives_drawing_and_sees_a_changed_number():
    table = runs()
    changed = table.assign(test_error=table.test_error.where(table.index != 3, 0.012))
    first = strip(table)
    before = figures.digest(first)
    picture(first)
    assert figures.digest(first) == before != figures.digest(strip(changed))
    tiny = table.assign(test_error=table.test_error * 1e-6)  # small numbers count on a logarithmic axis
    assert figures.digest(strip(tiny)) != figures.digest(
        strip(tiny.assign(test_error=tiny.test_error.where(tiny.index != 3, 2e-8)))
    )
    train, test = seeds()
    means = [regimes.seed_mean(values) for values in (train, test)]
    curves = regimes.extract(*means, T)
    bands = [
        figures.boundary_band(regimes.bootstrap(a, test, T), *means, COEFFICIENT, N_DATA, curves, **WORDS)
        for a in (train, train[..., ::-1], train * 1.3)
    ]
    digests = [figures.digest(figure) for figure in bands]
    assert digests[0] != digests[2]
    picture(bands[0])
    assert figures.digest(bands[0]) == digests[0]


def test_digest_of_plain_matplotlib_artists():
    def plain(data, scale="linear"):
        figure = style.new_figure(3, 3)
        axes = figure.subplots()
        axes.plot(data)
        axes.imshow(np.outer(data, data))
        axes.set_yscale(scale)
        axes.legend(["data"])
        return figures.digest(figure)

    data = np.array([0.1, 0.5, 0.9])
    assert plain(data) == plain(data + 1e-9) != plain(1 - data)
    assert plain(data) != plain(data, "log")


def test_print_digest(capsys):
    figure = draw()
    figures.print_digest(figure, share_equal=0.123456789, cells=np.int64(7), kappa=np.float64("nan"), note="as is")
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"figure digest {figures.digest(figure)}", "share equal: 0.1235", "cells: 7", "kappa: nan", "note: as is"]


# --- provenance -----------------------------------------------------------------------------------------------


ATTRS = {
    "sweep": "pinn/convection/lbfgs",
    "profile": "laptop",
    "cells_done": 252,
    "cells_planned": 252,
    "cells_whole": 720,
    "seeds": [0, 1, 2],
    "seeds_whole": 5,
    "published": 1,
    "reduced": 0,
    "device": "cpu",
    "versions": "python 3.11.7, sciml_lib 0.1.0, torch 2.13.0+cpu, numpy 2.4.6",
    "updated": "2026-11-23T20:15:00+00:00",
    "commit": "abc1234def5678",
    "library_changed": 0,
}


def read(html):
    """What a reader sees of some HTML, and its links: words by address."""
    soup = BeautifulSoup(html, "html.parser")
    return soup.get_text(), {tag["data-page"]: tag for tag in soup.find_all("a")}


def test_the_provenance_line_is_short_and_its_words_lead_to_the_page_of_the_sweep():
    text, links = read(provenance.line(ATTRS))
    assert text == (
        "pinn/convection/lbfgs \u00b7 252 of 720 runs of the paper's map \u00b7 3 of 5 seeds \u00b7 rows \u00b7 recipe "
        "\u00b7 re-run \u00b7 explore"
    )
    page = "runs/pinn-convection-lbfgs-laptop.html"
    cells = "explorer/cells.html#sweep=pinn/convection/lbfgs&profile=laptop"
    assert list(links) == [page, f"{page}#rows", f"{page}#recipe", f"{page}#re-run", cells]
    assert links[page]["title"] == (
        "laptop \u00b7 seeds 0-2 \u00b7 cpu \u00b7 sciml_lib 0.1.0, torch 2.13.0 \u00b7 2026-11-23 \u00b7 commit abc1234"
    )
    assert not any(tag.has_attr("href") for tag in links.values())  # nobody knows where the notebook will be


def test_the_provenance_line_says_what_is_not_the_papers():
    text, _ = read(provenance.line({**ATTRS, "reduced": 1, "library_changed": 1, "cells_done": 1250, "published": 0}))
    assert "1,250 of 720 runs, with smaller budgets" in text and text.endswith(provenance.CHANGED) and "paper" not in text
    whole = {key: value for key, value in ATTRS.items() if not key.endswith("_whole")}
    assert "252 of 252 runs" in read(provenance.line(whole))[0] and "3 seeds" in read(provenance.line(whole))[0]


def test_the_provenance_of_a_study_leads_to_its_items():
    study = {"sweep": "study spectra", "profile": "laptop", "unit": "items", "cells_done": 24, "cells_planned": 30}
    text, links = read(provenance.line({**study, "seeds": [0], "device": ["cuda", "cpu"]}))
    assert text == "study spectra \u00b7 24 of 30 items \u00b7 1 seed \u00b7 items \u00b7 recipe \u00b7 re-run"
    assert links["runs/study-spectra-laptop.html#rows"].text == "items"
    assert "cpu and cuda" in links["runs/study-spectra-laptop.html"]["title"]


def test_provenance_says_what_is_not_recorded():
    assert provenance.line({}) == "sweep not recorded \u00b7 ? of ? runs \u00b7 seeds not recorded"
    assert provenance.details({}) == (
        "profile not recorded \u00b7 seeds not recorded \u00b7 device not recorded \u00b7 versions not recorded \u00b7 "
        "date not recorded \u00b7 commit not recorded"
    )


def test_a_line_of_provenance_writes_no_html_of_its_own():
    line = provenance.line({**ATTRS, "sweep": "a/<b>/c", "commit": '"><i'})
    assert read(line)[0].startswith("a/<b>/c ") and "<b>" not in line and "<i" not in line


@pytest.mark.parametrize(
    ("cell", "part", "address"),
    [
        (None, "", "runs/pinn-wave-alm-laptop.html"),
        (None, "recipe", "runs/pinn-wave-alm-laptop.html#recipe"),
        ((30.0, 1000, 0), "", "runs/pinn-wave-alm-laptop.html#c30-n1000-s0"),
        ((np.float64(0.1), np.int64(50), np.int64(3)), "", "runs/pinn-wave-alm-laptop.html#c0.1-n50-s3"),
    ],
)
def test_the_page_of_a_sweep_and_of_its_rows(cell, part, address):
    assert provenance.page_of("pinn/wave/alm", "laptop", cell, part) == address


def test_ranges():
    assert provenance.ranges([3, 1, 2, 7, 9, 8, 20]) == "1-3, 7-9, 20"
