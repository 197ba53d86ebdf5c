"""What the chapter on sharpness says: maps of curvature and trainings whose truth is known, each sentence both ways."""

from __future__ import annotations

import made_runs
import numpy as np
import pytest
from made_runs import Number

from sciml_lib import narrative
from sciml_lib.ledger import FAILS, HOLDS, OPEN
from sciml_lib.narrative import curvature, sharpening
from sciml_lib.panels import Panel
from sciml_lib.studies import Item, Results
from sciml_lib.studies.trajectories import warm_up
from sciml_lib.sweeps import catalog

SWEEP = "pinn/convection/lbfgs"
STEEP = made_runs.steep(30)
LOW, HIGH = 1e-5, 1e-2  # training losses on both sides of the threshold


def measured(lambda_max: Number, train: Number = STEEP, test: Number = made_runs.few, **numbers) -> Panel:
    """A map with made curvature: power iteration and trace give the largest eigenvalue, if nothing is said."""
    data = made_runs.runs(SWEEP, "laptop", train, test, numbers.pop("n_seeds", 3))
    columns = {"lambda_max": lambda_max, "lambda_power": lambda_max, "trace": lambda_max, **numbers}
    axes = [data[name].values.tolist() for name in ("coefficient", "n_data", "seed")]
    for name, number in columns.items():
        values = [[[number(c, n, s) for s in axes[2]] for n in axes[1]] for c in axes[0]]
        data[name] = ("coefficient", "n_data", "seed"), np.array(values, dtype=float)
    return Panel(data)


def rows(text: str) -> dict[str, list[str]]:
    """The rows of the tables in a text, by their first entry."""
    lines = [line[2:-2].split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {first: others for first, *others in lines}


# --- two means ------------------------------------------------------------------------------------------------


def test_two_means_differ_by_the_spread_of_the_seeds() -> None:
    text = narrative.two_means(measured(lambda c, n, s: c * (10.0 if (c, n, s) == (7, 200, 1) else 1.0)))
    assert "is 1.00 times the other in the median cell, and 1.86 times at most (β = 7, $N_f$ = 200)" in text  # 4 / 10^(1/3)
    assert "Both order the cells almost alike (rank correlation 1.00)." in text


def test_two_means_can_order_the_cells_in_two_ways() -> None:
    text = narrative.two_means(measured(lambda c, n, s: 10 ** (6 - c / 20) if s == 0 else 10 ** (c / 20)))
    assert "The two order the cells differently (rank correlation -" in text and "almost alike" not in text


def test_one_seed_has_one_mean() -> None:
    assert narrative.two_means(measured(lambda c, n, s: c, n_seeds=1)).endswith("With one seed there is no difference.")


# --- power iteration ------------------------------------------------------------------------------------------


def test_the_power_iteration_is_as_good_where_it_agrees() -> None:
    text = narrative.power_words({"convection": measured(lambda c, n, s: c, lambda_power=lambda c, n, s: 0.995 * c)})
    assert rows(text)["convection"] == ["252", "252 (100 %)", "0", "0", "0", "0.0050"]
    assert text.endswith("At the ends of these runs that is as good: one eigenvalue stands out, and it is quickly found.")


@pytest.mark.parametrize(
    ("factor", "column", "said"),
    [(0.9, 2, "a step that changes little ends it"), (1.1, 3, "a step that"), (-1.0, 4, "what is largest in absolute value")],
)
def test_the_power_iteration_may_stop_early_or_be_negative(factor: float, column: int, said: str) -> None:
    text = narrative.power_words(
        {"x": measured(lambda c, n, s: c, lambda_power=lambda c, n, s: c * (factor if c == 5 else 1.0))}
    )
    assert rows(text)["x"][column] == "21" and rows(text)["x"][1] == "231 (92 %)"
    assert f"In 21 runs of 252 that gives another number: {said}" in text and "can be compared" not in text
    one = lambda c, n, s: c * (factor if (c, n, s) == (5, 100, 0) else 1.0)  # noqa: E731
    assert "Almost everywhere else both agree" in narrative.power_words({"x": measured(lambda c, n, s: c, lambda_power=one)})


# --- regimes, ranks, statements -------------------------------------------------------------------------------


def statuses(panel: Panel) -> list[str]:
    return [statement.verdict for statement in narrative.sharpness_statements(panel)]


def both(well: float, under: float) -> Panel:
    """A map of I and II, at beta = 30 both, each with its own curvature."""
    train = lambda c, n, s: HIGH if c >= 50 or (c == 30 and n >= 1000) else LOW  # noqa: E731
    return measured(lambda c, n, s: well if train(c, n, s) == LOW else under, train, lambda *_: 0.01)


def test_the_sharper_regime_is_named() -> None:
    text = narrative.by_regime(both(well=100.0, under=10.0))
    assert rows(text)["I, well trained"][:3] == ["68", "100", "100 to 100"] and rows(text)["III, over-trained"][0] == "no cell"
    assert "the one of I has the larger $\\lambda_{\\max}$ in 100 %" in text
    assert "; and among pairs with one and the same β (10) it has the larger one in 100 %." in text
    assert "in 0 %; one half would be chance" in narrative.by_regime(both(well=10.0, under=100.0))
    assert statuses(both(well=100.0, under=10.0)) == [HOLDS, HOLDS, HOLDS]
    assert statuses(both(well=10.0, under=100.0)) == [FAILS, FAILS, FAILS]


def test_the_coefficient_may_hide_which_regime_is_sharp() -> None:
    """Curvature rises with beta, but at one beta the well-trained cells are the sharper ones."""
    train = lambda c, n, s: HIGH if c >= 50 or (c == 30 and n >= 1000) else LOW  # noqa: E731
    panel = measured(lambda c, n, s: c**2 * (1.5 if train(c, n, s) == LOW else 1.0), train, lambda *_: 0.01)
    text = narrative.by_regime(panel)
    assert "; but among pairs with one and the same β (10)" in text
    assert text.endswith("it has the larger one in 100 %.")
    assert curvature.ahead(panel)[0] < 0.5 < curvature.ahead(panel, at_one_coefficient=True)[0]


def test_without_both_regimes_nothing_is_judged() -> None:
    panel = measured(lambda c, n, s: c, lambda *_: LOW, lambda *_: 0.01)
    assert narrative.by_regime(panel).endswith("the map has no cells of both.") and statuses(panel) == [OPEN] * 3
    few = measured(
        lambda c, n, s: 1.0 if c < 70 else 9.0, lambda c, n, s: HIGH if (c, n) == (70, 100) else LOW, lambda *_: 0.01
    )
    assert statuses(few)[1] == OPEN  # one cell with a high loss that is sharp says nothing of others


def test_rank_correlations_have_the_sign_of_the_truth() -> None:
    loss = lambda c, n, s: 1e-7 * c * n + 1e-9 * s  # noqa: E731
    text = narrative.rank_table(measured(lambda c, n, s: 1 / (c * n + s), loss, lambda c, n, s: c * n + s, trace=loss))
    assert rows(text)["the whole map"][0] == "84 / 252"
    assert rows(text)["the whole map"][1][:5] == "-1.00" and rows(text)["the whole map"][3][:5] == "+1.00"
    assert rows(text)["at one β (median)"][1:3] == ["-1.00 / -1.00", "-1.00 / -1.00"]
    few = narrative.rank_table(measured(lambda c, n, s: c, lambda *_: LOW, lambda *_: 0.01))
    assert rows(few)["within II"] == ["0 / 0", *["n/a / n/a"] * 4] and rows(few)["within I"][0] == "84 / 252"


@pytest.mark.parametrize(
    ("lambda_max", "said"),
    [
        (lambda c, n, s: c**4 / n, "The sign turns."),
        (lambda c, n, s: 1 / (c * n), "So the better trained run is the sharper one, and curvature deceives"),
        (lambda c, n, s: c * n, "So the better trained run is the flatter one, and a low curvature is a good sign."),
        (lambda c, n, s: c**4 * (1 + 0.1 * (n * 7919 % 13)), "rises with the training loss"),
        (lambda c, n, s: c**4, "The cells are too few for a rank correlation."),
    ],
)
def test_a_map_over_the_coefficient_is_told_from_one_at_a_time(lambda_max: Number, said: str) -> None:
    panel = measured(lambda_max, lambda c, n, s: 1e-9 * c**3 * n**0.1, lambda *_: 0.01)
    assert said in narrative.rank_words(panel)


def test_a_flat_relation_is_called_one() -> None:
    sign = {100: 3, 150: 1, 200: 4, 250: 2, 500: 3.5, 1000: 1.5, 2000: 2.7}
    panel = measured(lambda c, n, s: sign[n], lambda c, n, s: 1e-7 * n, lambda *_: 0.01)
    assert narrative.rank_words(panel).endswith("So curvature tells next to nothing about how well a run is trained.")


def test_equations_are_told_apart_by_their_sign_at_one_coefficient() -> None:
    def loss(c: float, n: int, s: int) -> float:
        return 1e-9 * c**3 * n**0.1

    maps = {
        "one": measured(lambda c, n, s: c * n, loss, lambda *_: 0.01),
        "two": measured(lambda c, n, s: c**4 / n, loss, lambda *_: 0.01),
        "three": measured(lambda c, n, s: c**4, loss, lambda *_: 0.01),
    }
    text = narrative.across_equations(maps)
    assert rows(text)["one"][1:2] == ["+1.00"] and rows(text)["two"][1:2] == ["-1.00"] and rows(text)["three"][1:2] == ["n/a"]
    assert rows(text)["one"][2:] == ["no such pair"] * 2
    assert "It rises with the training loss in the map of one; it falls with the training loss in the map of two;" in text
    assert text.endswith("it cannot be related to the training loss in the map of three.")


def test_maps_are_drawn_in_one_scale_of_curvature() -> None:
    figure = narrative.curvature_figure(both(100.0, 10.0), "a title")
    first, second = (mesh.norm for axes in figure.axes[1:3] for mesh in axes.collections[:1])
    assert (first.vmin, first.vmax) == (second.vmin, second.vmax)
    assert [axes.get_title(loc="left") for axes in figure.axes[:1]] == ["training loss"]


def test_commands_name_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curvature.curvature, "spent", lambda job: (252, 7200.0))
    text = narrative.measure_command([both(1.0, 2.0)])
    assert rows(text)[f"`python -m sciml_lib measure {SWEEP} --profile laptop`"] == ["252", "2.0 hours"]
    assert text.endswith(f"It needs the runs: `python -m sciml_lib run {SWEEP} --profile laptop`.")


# --- along training -------------------------------------------------------------------------------------------

AT = np.array([0, 10, 100, 500, 1000, 2000, 2100, 2300, 2600, 3000])
FALLING = 10.0 ** -np.arange(10.0)
RISING = np.array([1, 1, 2, 4, 8, 8, 8, 8, 8, 8.0])


def training(lambda_max: np.ndarray, loss: np.ndarray = FALLING, at: np.ndarray = AT) -> dict[str, np.ndarray]:
    return {"iteration": at, "loss": loss, "lambda_max": lambda_max}


def study(cells: dict[tuple[float, int], list[dict[str, np.ndarray]]], profile: str = "laptop") -> Results:
    items = {Item(SWEEP, c, n, seed): run for (c, n), runs in cells.items() for seed, run in enumerate(runs)}
    return Results(items, {"profile": profile, "sweep": "study trajectories"})


def verdicts(results: Results) -> list[str]:
    return [statement.verdict for statement in narrative.sharpening_statements(results)]


def test_the_largest_rise_is_found_between_a_plateau_and_a_decline() -> None:
    assert sharpening.largest_rise(np.array([5, 1, 1, 2, 8, 4.0])) == (1, 4, pytest.approx(8))
    assert sharpening.largest_rise(np.array([5, np.nan, 4, 2, np.nan])) == (0, 0, 1.0)
    assert sharpening.largest_rise(np.array([np.nan, 2, 1, np.nan, 3.0])) == (2, 4, pytest.approx(3))


def test_the_phases_part_where_nine_tenths_of_the_rise_are_done() -> None:
    results = study({(5.0, 100): [training(RISING)] * 3})
    (runs,) = sharpening.trainings(results).values()
    assert sharpening.split(runs) == 1000.0  # 8; nine tenths of it, in logarithms, are 6.5
    assert "iteration 1,000 (β = 5 with 100 points)." in narrative.sharpening_table(results)
    spike = RISING.copy()
    spike[1] = 1000.0
    (runs,) = sharpening.trainings(study({(5.0, 100): [training(RISING), training(spike), training(RISING)]})).values()
    assert sharpening.split(runs) == 1000.0  # a spike of one seed does not move it
    high = training(4 * RISING[:8], FALLING[:8], AT[:8])
    (runs,) = sharpening.trainings(study({(5.0, 100): [training(RISING), high]})).values()
    assert sharpening.split(runs) == 1000.0  # nor does a seed that ends
    flat = study({(5.0, 100): [training(np.linspace(1, 1.4, 10))]})
    assert sharpening.split(*sharpening.trainings(flat).values()) is None
    assert "At β = 5 with 100 points the median nowhere rises by a factor of 1.5" in narrative.sharpening_table(flat)


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
    assert [run.phase(name).iteration.tolist()[::5] for name in ("whole", "adam", "lbfgs")] == [[0, 2000], [0, 2000], [2000]]
    assert sharpening.Run(AT, FALLING, RISING, 0).phase("lbfgs").iteration.tolist() == AT.tolist()


def test_adam_and_lbfgs_are_told_apart() -> None:
    late = np.array([1, 1, 1, 1, 1, 1, 2, 3, 4, 5.0])
    text = narrative.sharpening_table(study({(5.0, 100): [training(late)] * 2}))
    lines = [line[2:-2].split(" | ") for line in text.splitlines() if line.startswith("| ")][2:]
    assert [line[1] for line in lines] == ["all of training", "Adam", "L-BFGS"]
    assert [line[3] for line in lines] == ["5.0 (5.0 to 5.0)", "1.0 (1.0 to 1.0)", "5.0 (5.0 to 5.0)"]
    assert [line[4] for line in lines] == ["2 of 2", "0 of 2", "2 of 2"]
    assert [line[7] for line in lines] == ["-0.89 (negative in 2)", "n/a", "-1.00 (negative in 2)"]
    only_adam = training(RISING[:5], FALLING[:5], AT[:5])
    assert "L-BFGS" not in narrative.sharpening_table(study({(5.0, 100): [only_adam]}))


def test_statements_hold_where_curvature_rises_with_falling_loss() -> None:
    settled = np.array([1, 0.1, 0.01, 1e-3, 1e-4, 9e-5, 8e-5, 8e-5, 7e-5, 7e-5])
    steeper = training(RISING**2 * 100, settled)
    cells = {(5.0, 100): [training(RISING, settled)] * 3, (50.0, 100): [steeper] * 3}
    assert verdicts(study(cells)) == [HOLDS] * 4
    text = narrative.sharpening_statements(study(cells))[3].found
    assert "with 100 points from first to last by 8.0 at β = 5 and by 64 at β = 50 (where it is 100 times as large" in text


def test_statements_fall_where_curvature_falls_with_the_loss() -> None:
    cells = {(5.0, 100): [training(RISING)] * 3, (50.0, 100): [training(RISING[::-1].copy())] * 3}
    assert verdicts(study(cells)) == [FAILS] * 4  # the loss goes on falling after the split
    assert "in 3 of 6 runs it ends at 1.5 times" in narrative.sharpening_statements(study(cells))[0].found


def test_two_measures_of_a_rise_may_disagree() -> None:
    dip = np.array([10, 10, 10, 10, 10, 1, 5, 10, 20, 10.0])
    found = narrative.sharpening_statements(study({(5.0, 100): [training(RISING)], (50.0, 100): [training(dip)]}))[3]
    assert found.verdict == OPEN and found.found.endswith("in its largest rise by 8.0 and by 20; these do not agree")


def test_what_rises_to_the_end_has_no_stable_phase() -> None:
    results = study({(5.0, 100): [training(2.0 ** np.arange(10))]})
    (runs,) = sharpening.trainings(results).values()
    assert sharpening.split(runs) == AT[-1]
    found = narrative.sharpening_statements(results)[2]
    assert found.verdict == OPEN and found.found.endswith("and points after it")


def test_what_was_not_run_cannot_be_judged() -> None:
    short = training(np.array([1.0, 1.1]), np.array([1.0, 0.5]), np.array([0, 10]))
    assert verdicts(study({(5.0, 100): [short]})) == [FAILS, OPEN, OPEN, OPEN]


def test_the_cell_of_fig_7_is_named_where_it_is_missing_or_has_one_seed() -> None:
    assert "is not among the runs that are stored of the profile *laptop*" in sharpening.fig_7_words(
        study({(5.0, 100): [training(RISING)]})
    )
    assert sharpening.fig_7_words(study({(5.0, 15_000): [training(RISING)]})).startswith("The cell of Fig. 7 has one seed")
    assert sharpening.fig_7_words(study({(5.0, 15_000): [training(RISING)] * 5})) == ""


def test_the_figure_marks_the_split_and_the_change_of_the_optimiser() -> None:
    cells = {(5.0, 100): [training(RISING)] * 2, (50.0, 100): [training(RISING[:5], FALLING[:5], AT[:5])] * 2}
    figure = narrative.sharpening_figure(study(cells), "a title")
    marks = [[line.get_gid() for line in axes.lines] for axes in figure.axes if axes.get_title()]
    assert [("split" in found, "switch" in found) for found in marks] == [(True, True), (True, False)]
    assert "L-BFGS takes over from Adam" in [text.get_text() for text in figure.legends[0].get_texts()]
