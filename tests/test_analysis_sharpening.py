"""Loss and largest eigenvalue along training, for trainings whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from made_studies import AT, FALLING, RISING, study, training

from sciml_lib import figures
from sciml_lib.analysis import sharpening
from sciml_lib.studies.trajectories import warm_up
from sciml_lib.sweeps import catalog


def test_the_largest_rise_is_found_between_a_plateau_and_a_decline() -> None:
    assert sharpening.largest_rise(np.array([5, 1, 1, 2, 8, 4.0])) == (1, 4, pytest.approx(8))
    assert sharpening.largest_rise(np.array([5, np.nan, 4, 2, np.nan])) == (0, 0, 1.0)
    assert sharpening.largest_rise(np.array([np.nan, 2, 1, np.nan, 3.0])) == (2, 4, pytest.approx(3))


def test_the_phases_part_where_nine_tenths_of_the_rise_are_done() -> None:
    results = study({(5.0, 100): [training(RISING)] * 3})
    (runs,) = sharpening.trainings(results).values()
    assert sharpening.split(runs) == 1000.0  # 8; nine tenths of it, in logarithms, are 6.5
    spike = RISING.copy()
    spike[1] = 1000.0
    (runs,) = sharpening.trainings(study({(5.0, 100): [training(RISING), training(spike), training(RISING)]})).values()
    assert sharpening.split(runs) == 1000.0  # a spike of one seed does not move it
    high = training(4 * RISING[:8], FALLING[:8], AT[:8])
    (runs,) = sharpening.trainings(study({(5.0, 100): [training(RISING), high]})).values()
    assert sharpening.split(runs) == 1000.0  # nor does a seed that ends
    flat = study({(5.0, 100): [training(np.linspace(1, 1.4, 10))]})
    assert sharpening.split(*sharpening.trainings(flat).values()) is None


def test_after_the_split_a_run_is_stable_on_an_axis_or_not() -> None:
    wild = training(np.array([1, 1, 2, 4, 8, 8, 8, 3.9, 8, 8.0]), np.ones(10))
    found = sharpening.after_split(study({(5.0, 100): [training(RISING), training(RISING), wild]})).set_index("seed")
    assert found["fall"].to_list() == pytest.approx([1e5, 1e5, 1]) and found["lambda_log"].to_list() == [True, True, False]
    assert found["loss_log"].to_list() == [False, False, True]  # it goes on falling
    assert found["loss_linear"].all() and found["lambda_linear"].to_list() == [True, True, False]
    assert sharpening.after_split(study({(5.0, 100): [training(np.ones(10))]})).empty


def test_cells_have_a_split_or_none() -> None:
    flat = training(np.linspace(1, 1.4, 10))
    found = sharpening.splits(
        study({(50.0, 100): [flat], (5.0, 100): [training(RISING)], (5.0, 50): [training(2.0 ** np.arange(10))]})
    )
    assert found[["coefficient", "n_data"]].values.tolist() == [[5, 50], [5, 100], [50, 100]]
    assert found["split"].to_list() == pytest.approx([3000, 1000, np.nan], nan_ok=True)


def test_seeds_of_different_length_are_laid_side_by_side() -> None:
    short = training(np.array([1.0, 100.0]), np.array([1.0, 0.01]), np.array([0, 2000]))
    grid, losses, eigenvalues = sharpening.aligned(
        *sharpening.trainings(study({(5.0, 100): [short, training(RISING)]})).values()
    )
    assert grid.tolist() == AT.tolist() and losses[0, -1] == pytest.approx(0.01)
    np.testing.assert_allclose(eigenvalues[0, grid > 2000], 100.0)  # it has ended and stays there
    assert eigenvalues[0, 0] == pytest.approx(1) and eigenvalues[0, 5] == pytest.approx(100)
    assert eigenvalues[0, 2] == pytest.approx(100 ** (np.log1p(100) / np.log1p(2000)))
    np.testing.assert_allclose(eigenvalues[1], RISING)


def test_a_warm_up_is_counted_where_there_is_one() -> None:
    assert [warm_up(catalog.get(f"pinn/convection/{name}").at("paper")) for name in ("lbfgs", "lbfgs-literal")] == [2000, 0]
    run = sharpening.Run(AT, FALLING, RISING, 2000)
    assert [run.phase(name).iteration.tolist()[::5] for name in sharpening.PHASES] == [[0, 2000], [0, 2000], [2000]]
    assert sharpening.Run(AT, FALLING, RISING, 0).phase("lbfgs").iteration.tolist() == AT.tolist()


def test_adam_and_lbfgs_are_told_apart() -> None:
    late = np.array([1, 1, 1, 1, 1, 1, 2, 3, 4, 5.0])
    runs = sharpening.runs_of(study({(5.0, 100): [training(late)] * 2}))
    assert len(runs) == 6 and set(runs["seed"]) == {0, 1}
    found = sharpening.by_cell(runs).set_index("phase")
    assert list(found.index) == ["whole", "adam", "lbfgs"]
    assert found["factor"].to_list() == found["lowest"].to_list() == found["highest"].to_list() == [5, 1, 5]
    assert found["sharper"].to_list() == found["negative"].to_list() == [2, 0, 2] and set(found["runs"]) == {2}
    assert found["relation"].to_list() == pytest.approx([-0.89, np.nan, -1], abs=0.01, nan_ok=True)
    assert found.loc["whole", ["first", "last", "fall"]].to_list() == pytest.approx([1, 5, 1e9])
    only_adam = training(RISING[:5], FALLING[:5], AT[:5])
    assert set(sharpening.runs_of(study({(5.0, 100): [only_adam]}))["phase"]) == {"whole", "adam"}


def test_cells_are_in_the_order_of_data_and_coefficient() -> None:
    cells = {(50.0, 100): [training(RISING)], (5.0, 1000): [training(RISING)], (5.0, 100): [training(RISING)]}
    found = sharpening.by_cell(sharpening.runs_of(study(cells)))
    whole = found[found["phase"] == "whole"]
    assert whole[["coefficient", "n_data"]].values.tolist() == [[5, 100], [50, 100], [5, 1000]]


def test_what_rises_to_the_end_has_no_stable_phase() -> None:
    results = study({(5.0, 100): [training(2.0 ** np.arange(10))]})
    (runs,) = sharpening.trainings(results).values()
    assert sharpening.split(runs) == AT[-1]
    assert sharpening.after_split(results).empty


def test_the_figure_marks_the_split_and_the_change_of_the_optimiser() -> None:
    cells = {(5.0, 100): [training(RISING)] * 2, (50.0, 100): [training(RISING[:5], FALLING[:5], AT[:5])] * 2}
    figure = figures.trajectories(sharpening.curves(study(cells)), title="a title", switch="another optimiser")
    marks = [[line.get_gid() for line in axes.lines] for axes in figure.axes if axes.get_title()]
    assert [("split" in found, "switch" in found) for found in marks] == [(True, True), (True, False)]
    assert "another optimiser" in [text.get_text() for text in figure.legends[0].get_texts()]
