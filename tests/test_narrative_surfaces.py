"""What the chapter on rugged surfaces says, of surfaces whose truth is known: every sentence both ways round."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest
from plotly.offline import get_plotlyjs

matplotlib.use("Agg")

from sciml_lib import chapters, figures, narrative
from sciml_lib.errors import UserError
from sciml_lib.landscape import shape
from sciml_lib.ledger import FAILS, HOLDS, OPEN
from sciml_lib.studies import Item, Results
from sciml_lib.studies.cells import CONVECTION, REACTION_DIFFUSION

N = 31
RADIUS = 0.05
Loss = Callable[[np.ndarray, np.ndarray], np.ndarray]


def bowl(bottom: float = 1e-5, steep: float = 1e5) -> Loss:
    """A paraboloid, symmetric about the centre."""
    return lambda a, b: bottom + steep * (a**2 + 0.3 * b**2)


def pits(*places: tuple[int, int], base: Loss | None = None, depth: float = 0.5) -> Loss:
    """A surface with further minima, so many decades deep, at these points of the grid."""

    def loss(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        values = (base or bowl())(a, b)
        for i, j in places:
            around = values[i - 1 : i + 2, j - 1 : j + 2].min()
            values[i, j] = around / 10**depth
        return values

    return loss


def item(loss: Loss, radius: float = RADIUS, eigenvalues: tuple[float, float] = (1e3, 1e2)) -> dict[str, np.ndarray]:
    axis = np.linspace(-radius, radius, N)
    axis[N // 2] = 0.0
    values = loss(*np.meshgrid(axis, axis, indexing="ij"))
    return {"alpha": axis, "beta": axis.copy(), "loss": values, "eigenvalues": np.array(eigenvalues)}


def results(cells: dict[tuple[str, float, int], dict[str, list[dict[str, np.ndarray]]]]) -> Results:
    """Cells with their surfaces by variant, one a seed."""
    items = {
        Item(*cell, seed=seed, variant=variant): arrays
        for cell, variants in cells.items()
        for variant, surfaces in variants.items()
        for seed, arrays in enumerate(surfaces)
    }
    attrs = {
        "sweep": "study surfaces", "profile": "laptop", "cells_done": len(items), "cells_planned": 30,
        "seeds": sorted({one.seed for one in items}), "device": ["cpu"], "versions": "", "updated": "2026-11-25",
        "commit": "0123456789", "command": "python -m sciml_lib study surfaces --profile laptop",
        "recipe": {"resolution": N, "radius": RADIUS, "rise": 100.0, "scaling": "tensor"},
    }  # fmt: skip
    return Results(items, attrs)


EASY, HARD = (CONVECTION, 5.0, 100), (CONVECTION, 50.0, 500)
MILD, STIFF = (REACTION_DIFFUSION, 5.0, 1000), (REACTION_DIFFUSION, 15.0, 1000)
FAR = ((5, 5), (4, 25), (25, 8))


def usual(**changed: dict[str, list[dict[str, np.ndarray]]]) -> Results:
    """Smooth easy convection, pits around hard; a sharp mild reaction and a stiff one on a plateau."""
    near = {"wide": [item(bowl(), 8e-5)] * 2, "random": [item(bowl(steep=1e2))] * 2}
    cells = {
        "easy": {"eigen": [item(bowl())] * 2} | near,
        "hard": {"eigen": [item(pits(*FAR))] * 2} | near,
        "mild": {"eigen": [item(bowl(1e-5), eigenvalues=(1e4, 1e3))] * 2} | near,
        "stiff": {"eigen": [item(bowl(0.1, 1.0), eigenvalues=(1e2, 1e1))] * 2} | near,
    } | changed
    names = {"easy": EASY, "hard": HARD, "mild": MILD, "stiff": STIFF}
    return results({names[name]: variants for name, variants in cells.items() if variants})


def verdicts(found: Results) -> list[str]:
    return [statement.verdict for statement in narrative.surface_statements(found)]


# --- measures -------------------------------------------------------------------------------------------------


def test_a_bowl_is_measured_as_what_it_is():
    found = shape.measure(item(bowl(1e-4, 1e3)))
    height = shape.height_of(item(bowl(1e-4, 1e3)))
    rim = np.concatenate([height[0], height[-1], height[1:-1, 0], height[1:-1, -1]])
    assert found.centre == pytest.approx(-4.0, abs=1e-6) and found.below_centre == 0.0
    assert found.depth == pytest.approx(np.median(rim) + 4.0)
    assert found.valley == pytest.approx(np.mean(height <= -3.0))
    assert found.plain == pytest.approx(np.mean(np.abs(height - np.median(rim)) <= 1.0))
    assert (found.basins, found.drained) == (1, 1.0)
    assert found.bowl == pytest.approx(1.0, abs=1e-6)


def test_basins_are_counted_behind_barriers_and_ripples_are_not():
    height = shape.height_of(item(pits((4, 4), depth=0.5)))
    minima, drained = shape.basins(height)
    assert minima == [(N // 2, N // 2), (4, 4)] and 0.9 < drained < 1.0
    assert shape.basins(height, 0.6) == ([(N // 2, N // 2)], 1.0)
    assert shape.basins(shape.height_of(item(pits((4, 4), depth=0.05))))[0] == [(N // 2, N // 2)]


def test_of_two_valleys_each_keeps_its_own_points():
    # A line of two valleys with a pass of one decade, the left one deeper and three points wide, the right one four.
    line = np.array([1.0, -3.0, -1.0, 0.0, -1.0, -2.0, -1.0, 1.0])
    height = np.tile(line, (3, 1)) + np.array([[0.5], [0.0], [0.5]])
    minima, drained = shape.basins(height)
    assert minima == [(1, 1), (1, 5)]
    assert drained == pytest.approx(0.5)  # the pass and what lies left of it
    assert shape.inner_basins(height) == 2
    assert shape.inner_basins(height[:, 1:]) == 1  # one of them now lies on the rim


def test_holes_are_walls():
    height = np.tile(np.abs(np.arange(-4.0, 5.0)), (9, 1)) + np.abs(np.arange(-4.0, 5.0))[:, None]
    height[:, 6] = np.nan
    minima, drained = shape.basins(height)
    assert minima == [(4, 4), (4, 7)] and drained == pytest.approx(6 / 9)
    arrays = item(bowl())
    arrays["loss"][0, 0], arrays["loss"][0, 1] = np.inf, -1.0
    assert np.isnan(shape.height_of(arrays)[0, :2]).all() and np.isfinite(shape.height_of(arrays)[1:]).all()
    assert shape.measure(arrays).bowl == pytest.approx(1.0, abs=1e-6)


def test_what_is_no_bowl_is_not_explained_by_one():
    waves = item(lambda a, b: 1e-5 + 10.0 ** (3.0 * np.sin(400.0 * a) * np.cos(500.0 * b)))
    assert shape.measure(waves).bowl < 0.3


# --- sentences ------------------------------------------------------------------------------------------------


def test_statements_hold_where_the_surfaces_are_as_the_paper_says():
    found = usual()
    assert verdicts(found) == [HOLDS, HOLDS, FAILS, HOLDS, HOLDS, HOLDS]
    texts = [statement.found for statement in narrative.surface_statements(found)]
    assert "basins: 1 at β = 5, 4 at β = 50" in texts[1]
    assert "0 of 2 surfaces at β = 5 and 2 of 2 surfaces at β = 50" in texts[2]
    assert "leading eigenvalue: 10,000" in texts[3] or r"$1.0 \times 10^{4}$ at ρ = 5 and 100 at ρ = 15" in texts[3]


def test_statements_fail_where_they_are_the_other_way_round():
    shallow, sharp = item(bowl(1.0, 1e2)), item(bowl(1e-6, 1e5), eigenvalues=(1e6, 1e5))
    found = usual(
        easy={"eigen": [item(pits(*FAR, base=bowl(1.0, 1e2)))] * 2},
        hard={"eigen": [shallow] * 2},
        stiff={"eigen": [sharp] * 2},
    )
    assert verdicts(found) == [FAILS] * 6


def test_statements_about_some_seeds_cannot_be_judged():
    smooth, pitted = item(bowl()), item(pits(*FAR))
    some = [item(bowl(), eigenvalues=(1e5, 1.0)), item(bowl(0.1, 1.0), eigenvalues=(1e2, 1.0))]
    found = usual(
        easy={"eigen": [pitted, item(bowl(1.0, 1e2))]},
        hard={"eigen": [smooth, item(pits(*FAR, (25, 25)))]},
        stiff={"eigen": some},
    )
    assert verdicts(found) == [OPEN] * 6
    assert verdicts(usual(hard={}, stiff={})) == [HOLDS, OPEN, FAILS]


def test_the_radius_decides_or_does_not():
    said = narrative.radius_decides(usual())
    assert "The radius decides. *At a larger β it is much more rugged than at β = 5*: holds at the paper's radius" in said
    assert "random directions lies up to" in said
    both = {"eigen": [item(pits(*FAR))], "wide": [item(pits(*FAR), 8e-5)], "random": [item(bowl(1e-5, 1e7))]}
    smooth = {"eigen": [item(bowl())], "wide": [item(bowl(), 8e-5)], "random": [item(bowl(1e-5, 1e7))]}
    said = narrative.radius_decides(usual(easy=smooth, hard=both, mild={}, stiff={}))
    assert said.startswith("Up to the adapted radius, no verdict on ruggedness (2 statements) is another one.")
    assert "The directions matter less: random ones rise as high" in said


def test_whether_the_network_is_the_lowest_point_is_said_by_directions():
    said = narrative.lowest_points(usual())
    assert said.count("the trained network is the lowest point of each of the 8 surfaces") == 3
    one = narrative.lowest_points(results({EASY: {"eigen": [item(bowl())]}}))
    assert one == "- *eigenvectors*: the trained network is the lowest point of the one surface."
    tilted = item(pits((4, 4), depth=9.0))
    said = narrative.lowest_points(results({EASY: {"eigen": [item(bowl()), tilted]}}))
    assert "1 of 2 surfaces has a point with a lower loss than the trained network, at most by a factor of" in said
    assert "(convection, β = 5, N = 100, seed 1)" in said
    slightly = item(lambda a, b: 1e-2 + 1e-3 * (a / RADIUS) + 0 * b)
    assert "at most by 10 per cent" in narrative.lowest_points(results({EASY: {"random": [slightly] * 2}}))


def test_bowls_are_told_from_what_is_none():
    waves = item(lambda a, b: 1e-5 + 10.0 ** (3.0 * np.sin(400.0 * a) * np.cos(500.0 * b)))
    said = narrative.bowls(results({EASY: {"eigen": [item(bowl())]}, HARD: {"eigen": [waves]}}))
    assert re.fullmatch(
        r"- At the paper's radius\. Mostly bowls: convection, β = 5, N = 100 \((more than 99|100) %\); "
        r"hardly bowls: convection, β = 50, N = 500 \(\d+ %\)\.",
        said,
    )
    said = narrative.bowls(results({EASY: {"wide": [item(bowl()), waves]}}))
    assert said.startswith("- Up to the adapted radius. In between: convection, β = 5, N = 100")


def test_needles_are_measured_in_radii_and_points():
    said = narrative.needles(usual())
    assert said.count("\n") == 3 and "the paper's radius is 625 times that" in said
    assert "a single point, the lowest itself, is within a decade" in said and re.search(r"\d+ points are within", said)


def test_tables_have_a_row_for_each_cell_and_choice():
    found = usual()
    assert narrative.surface_overview(found).count("\n| ") == 5 and "31 by 31 points" in narrative.surface_overview(found)
    assert narrative.surface_shapes(found).count("\n| ") == 13
    choices = narrative.basin_choices(found).splitlines()
    assert choices[3] == "| convection, β = 50, N = 500 | 4 | 4 | 4 | 1 | 2 |"


def test_figures_show_the_first_seed_in_the_order_of_the_coefficients():
    other = item(bowl(1e-3))
    found = results({HARD: {"eigen": [item(bowl()), other]}, EASY: {"eigen": [item(bowl(1e-4)), other]}})
    figure = narrative.surfaces_figure(found, CONVECTION, "eigen", "a title")
    assert [axes.get_title() for axes in figure.axes] == ["β = 5, N = 100", "β = 50, N = 500"]
    figure = narrative.surfaces_figure(usual(), CONVECTION, "wide", "a title")
    assert figure.axes[0].get_title() == "β = 5, N = 100, radius 8.0e-05"
    assert figure.axes[0].get_xlabel() == "first eigenvector / radius"
    html = narrative.interactive(found, CONVECTION, "eigen", "a title").data
    assert "plotly-graph-div" in html and html == narrative.interactive(found, CONVECTION, "eigen", "a title").data
    with pytest.raises(UserError, match="no surface of pinn/reaction-diffusion/lbfgs along random directions is stored"):
        narrative.surfaces_figure(found, REACTION_DIFFUSION, "random", "t")


# --- what all chapters on landscapes say ----------------------------------------------------------------------


def test_the_small_print_names_the_study_and_the_digest():
    found = usual()
    figure = narrative.surfaces_figure(found, CONVECTION, "eigen", "t")
    for given in (found, [found, found]):
        text = narrative.study_source(given, figure).data
        assert text.count("study surfaces · laptop · ") == (1 if given is found else 2)
        assert f"figure digest {figures.digest(figure)}" in text


def test_the_commands_are_those_of_the_chapter_and_of_its_studies():
    said = narrative.study_command("rugged_surfaces", [usual()])
    assert "chapter rugged_surfaces -p profile laptop -o laptop.ipynb" in said
    assert "chapter rugged_surfaces -p profile smoke -o smoke.ipynb" in said
    assert "| `python -m sciml_lib study surfaces --profile laptop` | 24 of 30 | cpu |" in said


def test_seeds_are_limited_and_none_is_refused():
    found = usual()
    assert {one.seed for one in narrative.first_seeds(found, 1).items} == {0}
    assert narrative.first_seeds(found, 1).attrs["seeds"] == [0]
    assert len(narrative.first_seeds(found, 9).items) == len(found.items)
    for n in (0, -1):
        with pytest.raises(UserError, match=f"seeds={n} leaves nothing to show; choose at least 1"):
            narrative.first_seeds(found, n)


# --- how a page of the book gets the drawing library ----------------------------------------------------------


def extension(name: str):
    path = chapters.ROOT / "book" / "_ext" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_drawing_library_is_written_once_and_loaded_where_a_figure_needs_it(tmp_path):
    (tmp_path / "book" / "_static").mkdir(parents=True)
    target = tmp_path / "book" / "_static" / "plotly.min.js"
    handlers, added = {}, []
    app = SimpleNamespace(
        confdir=str(tmp_path), connect=handlers.__setitem__, add_js_file=lambda name, **options: added.append((name, options))
    )
    module = extension("turnable_figures")
    module.setup(app)
    handlers["config-inited"](app, None)
    assert target.read_text(encoding="utf-8") == get_plotlyjs() and [p.name for p in target.parent.iterdir()] == [target.name]
    before = target.stat().st_mtime_ns
    handlers["config-inited"](app, None)
    assert target.stat().st_mtime_ns == before
    target.write_text("of another version", encoding="utf-8")
    handlers["config-inited"](app, None)
    assert target.read_text(encoding="utf-8") == get_plotlyjs()

    handlers["html-page-context"](app, "page", "page.html", {"body": "<p>no figure</p>"}, None)
    handlers["html-page-context"](app, "search", "search.html", {}, None)
    assert added == []
    html = narrative.interactive(usual(), CONVECTION, "eigen", "t").data
    handlers["html-page-context"](app, "page", "page.html", {"body": html}, None)
    assert [name for name, _ in added] == ["plotly.min.js", None] and "resize" in added[1][1]["body"]
