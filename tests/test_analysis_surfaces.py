"""What is measured on surfaces whose truth is known, and what chapters on landscapes say in the same way."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest
from made_landscapes import EASY, FAR, HARD, MILD, RADIUS, STIFF, N, bowl, item, pits, results

matplotlib.use("Agg")

from sciml_lib import figures, report
from sciml_lib.analysis import surfaces
from sciml_lib.analysis.cells import first_seeds
from sciml_lib.errors import UserError
from sciml_lib.landscape import shape
from sciml_lib.studies import Results
from sciml_lib.studies.cells import CONVECTION, REACTION_DIFFUSION


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


# --- what the chapter tabulates -------------------------------------------------------------------------------


def test_every_surface_has_a_row_with_what_is_measured_on_it():
    found = surfaces.shapes(usual())
    assert len(found) == 24 and set(found["variant"]) == set(surfaces.VARIANTS)
    first = found.iloc[0]
    assert (first["cell"], first["symbol"], first["seed"]) == ("convection, β = 5, N = 100", "β = 5", 0)
    assert first["loss"] == pytest.approx(1e-5) and (first["lambda_1"], first["lambda_2"]) == (1e3, 1e2)
    assert first["radius"] == RADIUS and first["step"] == pytest.approx(2 * RADIUS / (N - 1))
    assert (first["valley_points"], first["basins"]) == (1, 1) and (found["below_centre"] == 0).all()
    waves = item(lambda a, b: 1e-5 + 10.0 ** (3.0 * np.sin(400.0 * a) * np.cos(500.0 * b)))
    assert 0 <= surfaces.shapes(results({EASY: {"eigen": [waves]}}))["bowl"].iloc[0] < 0.3
    tilted = surfaces.shapes(results({EASY: {"eigen": [item(bowl()), item(pits((4, 4), depth=9.0))]}}))
    assert list(tilted["below_centre"] > 0) == [False, True]


def test_rows_by_cell_list_the_seeds():
    found = surfaces.by_cell(surfaces.shapes(usual()))
    assert len(found) == 12 and found["seed"].iloc[0] == [0, 1]
    assert list(found.loc["convection, β = 50, N = 500", "basins"]) == [[4, 4], [1, 1], [1, 1]]


def test_the_papers_radius_and_its_grid_are_measured_in_reaches():
    found = surfaces.reaches(surfaces.shapes(usual()))
    assert len(found) == 8 and set(found["reach"]) == {8e-5}
    assert found["radii"].tolist() == pytest.approx([625.0] * 8)
    assert found["steps"].tolist() == pytest.approx([2 * 625.0 / (N - 1)] * 8)
    assert found.loc["convection, β = 5, N = 100", "valley_points"].tolist() == [1, 1]
    assert surfaces.reaches(surfaces.shapes(usual(easy={"eigen": [item(bowl())]}))).shape[0] == 6  # without its own radius


def test_the_points_that_resolve_a_valley_are_counted():
    found = surfaces.resolution(surfaces.shapes(usual()))
    assert found["needed"].tolist() == [1251] * 8  # 1,250 steps of 8e-5 across the square
    assert found["steps"].tolist() == pytest.approx([2 * RADIUS / (N - 1) / 8e-5] * 8)


def test_depths_are_compared_by_directions():
    found = surfaces.depths(surfaces.shapes(usual())).loc["convection, β = 5, N = 100"]
    assert found["eigen"] - found["random"] == pytest.approx(3.0, abs=0.05)


def test_the_smallest_and_the_largest_coefficient_are_found():
    easy, hard = surfaces.ends(surfaces.shapes(usual()), CONVECTION)
    assert (set(easy["coefficient"]), set(hard["coefficient"])) == ({5.0}, {50.0})
    alone, none = surfaces.ends(surfaces.shapes(usual(hard={})), CONVECTION)
    assert set(alone["coefficient"]) == {5.0} and none.empty
    assert all(end.empty for end in surfaces.ends(surfaces.shapes(usual(mild={}, stiff={})), REACTION_DIFFUSION))


def test_basins_are_counted_by_barrier_and_grid():
    found = surfaces.basin_choices(usual()).set_index("cell").loc["convection, β = 50, N = 500"].iloc[0]
    assert found.drop("seed").tolist() == [4, 4, 4, 1, 2]


def test_the_first_seed_is_drawn_in_the_order_of_the_coefficients():
    other = item(bowl(1e-3))
    found = results({HARD: {"eigen": [item(bowl()), other]}, EASY: {"eigen": [item(bowl(1e-4)), other]}})
    drawn = surfaces.reliefs(found, CONVECTION, "eigen")
    assert [relief.title for relief in drawn] == ["β = 5, N = 100", "β = 50, N = 500"]
    assert drawn[0].height[N // 2, N // 2] == pytest.approx(-4.0, abs=1e-4)
    own = surfaces.reliefs(usual(), CONVECTION, "wide")[0]
    assert own.title == "β = 5, N = 100, radius 8.0e-05" and own.alpha[-1] == own.beta[-1] == 1.0
    with pytest.raises(UserError, match="no surface of pinn/reaction-diffusion/lbfgs along random directions is stored"):
        surfaces.reliefs(found, REACTION_DIFFUSION, "random")


# --- what all chapters on landscapes say ----------------------------------------------------------------------


def test_the_small_print_names_the_study_and_the_digest():
    found = usual()
    figure = figures.surfaces(surfaces.reliefs(found, CONVECTION, "eigen"), title="t")
    for given in (found, [found, found]):
        text = report.study_source(given, figure).data
        assert text.count(">study surfaces</a> · 24 of 30 ") == (1 if given is found else 2)
        assert f'data-figure-digest="{figures.digest(figure)}"' in text


def test_the_commands_are_those_of_the_chapter_and_of_its_studies():
    said = report.study_command("rugged_surfaces", [usual()])
    assert "chapter rugged_surfaces -p profile laptop -o laptop.ipynb" in said
    assert "chapter rugged_surfaces -p profile smoke -o smoke.ipynb" in said
    assert "| `python -m sciml_lib study surfaces --profile laptop` | 24 of 30 | cpu |" in said


def test_seeds_are_limited_and_none_is_refused():
    found = usual()
    assert {one.seed for one in first_seeds(found, 1).items} == {0}
    assert first_seeds(found, 1).attrs["seeds"] == [0]
    assert len(first_seeds(found, 9).items) == len(found.items)
    for n in (0, -1):
        with pytest.raises(UserError, match=f"seeds={n} leaves nothing to show; choose at least 1"):
            first_seeds(found, n)


@pytest.mark.parametrize("hole", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_a_wall_between_basins(hole: float) -> None:
    height = np.add.outer(np.zeros(5), np.abs(np.arange(7) - 3.0)[::-1])
    height[:, 3] = hole
    minima, drained = shape.basins(height)
    assert len(minima) == 2 and drained == pytest.approx(15 / 35)
