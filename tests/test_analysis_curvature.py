"""Curvature at the ends of training beside loss and error, on maps whose truth is known."""

from __future__ import annotations

import made_runs
import numpy as np
import pytest
from made_runs import Number

from sciml_lib import figures, report
from sciml_lib.analysis import curvature
from sciml_lib.panels import Panel
from sciml_lib.regimes import Regime

SWEEP = "pinn/convection/lbfgs"
STEEP = made_runs.steep(30)
LOW, HIGH = 1e-5, 1e-2  # training losses on both sides of the threshold


def measured(lambda_max: Number, train: Number = STEEP, test: Number = made_runs.few, **numbers) -> Panel:
    """A map of convection with made curvature."""
    return made_runs.measured(SWEEP, "laptop", train, test, lambda_max, numbers.pop("n_seeds", 3), **numbers)


def under(c: float, n: int, s: int) -> float:
    """A high loss at large coefficients; at beta = 30 only with many points."""
    return HIGH if c >= 50 or (c == 30 and n >= 1000) else LOW


def both(well: float, other: float) -> Panel:
    """A map of I and II, at beta = 30 both, each with its own curvature."""
    return measured(lambda c, n, s: well if under(c, n, s) == LOW else other, under, lambda *_: 0.01)


def test_a_cell_has_the_mean_of_logarithms_and_the_mean() -> None:
    panel = measured(lambda c, n, s: c * (10.0 if (c, n, s) == (7, 200, 1) else 1.0))
    cells = curvature.cells_of(panel).set_index(["coefficient", "n_data"])
    assert cells.loc[(7, 200), "lambda_max"] == pytest.approx(7 * 10 ** (1 / 3))
    assert cells.loc[(7, 200), "lambda_mean"] == pytest.approx(7 * 4)
    ratio = curvature.two_means(cells)
    assert ratio.median() == pytest.approx(1) and ratio.max() == pytest.approx(4 / 10 ** (1 / 3))
    assert ratio.idxmax() == (7, 200)
    one = curvature.cells_of(measured(lambda c, n, s: c, n_seeds=1))
    np.testing.assert_allclose(curvature.two_means(one), 1)


def test_curvature_is_counted_in_squares_of_the_coefficient() -> None:
    panel = measured(lambda c, n, s: n * c**2)
    for frame in (curvature.cells_of(panel), curvature.runs_of(panel)):
        np.testing.assert_allclose(frame["scaled"], frame["n_data"])


def test_runs_and_cells_are_judged_by_their_own_loss_and_error() -> None:
    train = lambda c, n, s: 3 * HIGH if (c, n, s) == (5, 100, 0) else LOW  # noqa: E731
    panel = measured(lambda c, n, s: c, train, lambda c, n, s: 1.0 if c == 70 else 0.01)
    runs, cells = curvature.runs_of(panel), curvature.cells_of(panel)
    assert len(runs) == 252 and len(cells) == 84
    assert runs["high"].sum() == 1 and cells["high"].sum() == 1  # the mean of the seeds is lifted by one
    assert set(runs.loc[runs["coefficient"] == 70, "regime"]) == {Regime.III}
    assert runs["regime"].value_counts()[Regime.II] == cells["regime"].value_counts()[Regime.II] == 1


def test_runs_that_were_not_measured_are_left_out() -> None:
    panel = measured(lambda c, n, s: np.nan if c < 50 else c * n)
    assert len(curvature.runs_of(panel)) == 252
    assert curvature.ranks(curvature.cells_of(panel)).loc["whole map", "n"] == 14
    assert curvature.by_regime(curvature.cells_of(panel))["cells"].sum() == 14
    assert [np.isnan(part.values).sum() for part in curvature.maps(panel)] == [0, 70, 70]


@pytest.mark.parametrize(
    ("factor", "low", "high", "negative"), [(0.995, 0, 0, 0), (0.9, 21, 0, 0), (1.1, 0, 21, 0), (-1.0, 0, 0, 21)]
)
def test_the_power_iteration_may_stop_early_or_be_negative(factor: float, low: int, high: int, negative: int) -> None:
    found = curvature.power_iteration(measured(lambda c, n, s: c, lambda_power=lambda c, n, s: c * (factor if c == 5 else 1.0)))
    assert found[:5] == (252, 252 - low - high - negative, low, high, negative)
    assert found.worst == pytest.approx(abs(factor - 1))


def test_without_runs_the_power_iteration_has_no_difference() -> None:
    found = curvature.power_iteration(measured(lambda *_: np.nan))
    assert found[:5] == (0, 0, 0, 0, 0) and np.isnan(found.worst)


def test_regimes_have_medians_of_logarithms() -> None:
    found = curvature.by_regime(curvature.cells_of(both(well=100.0, other=10.0)))
    assert list(found.index) == ["I", "II", "III"]
    assert found["cells"].to_list() == [68, 16, 0]
    assert found.loc["I", ["lambda_max", "lower", "upper"]].to_list() == pytest.approx([100, 100, 100])
    assert found.loc["III"].isna().sum() == 6
    two = curvature.cells_of(measured(lambda c, n, s: 1.0 if n < 250 else 100.0, lambda *_: LOW, lambda *_: 0.01))
    two = two[two["n_data"].isin([100, 2000])]
    assert curvature.by_regime(two).loc["I", "lambda_max"] == pytest.approx(10)


def test_pairs_say_which_regime_is_sharper() -> None:
    sharp, flat = (curvature.cells_of(both(*values)) for values in ((100.0, 10.0), (10.0, 100.0)))
    assert curvature.ahead(sharp) == (1.0, 68 * 16) and curvature.ahead(flat) == (0.0, 68 * 16)
    assert curvature.ahead(sharp, at_one_coefficient=True) == (1.0, 10)
    assert curvature.ahead(curvature.cells_of(both(10.0, 10.0)))[0] == 0.5
    share, n = curvature.ahead(curvature.cells_of(measured(lambda c, n, s: c, lambda *_: LOW, lambda *_: 0.01)))
    assert np.isnan(share) and n == 0


def test_the_coefficient_may_hide_which_regime_is_sharp() -> None:
    """Curvature rises with beta, but at one beta the well-trained cells are the sharper ones."""
    panel = measured(lambda c, n, s: c**2 * (1.5 if under(c, n, s) == LOW else 1.0), under, lambda *_: 0.01)
    cells = curvature.cells_of(panel)
    assert curvature.ahead(cells)[0] < 0.5 < curvature.ahead(cells, at_one_coefficient=True)[0]


def test_rank_correlations_have_the_sign_of_the_truth() -> None:
    loss = lambda c, n, s: 1e-8 * c * n + 1e-10 * s  # noqa: E731
    panel = measured(lambda c, n, s: 1 / (c * n + s), loss, lambda c, n, s: 1e-6 * (c * n + s), trace=loss)
    for frame, n in ((curvature.cells_of(panel), 84), (curvature.runs_of(panel), 252)):
        found = curvature.ranks(frame)
        assert found.loc["whole map", "n"] == found.loc["within I", "n"] == n and found.loc["within II", "n"] == 0
        assert found.loc["whole map", "lambda_max_train_loss"] == pytest.approx(-1, abs=0.01)
        assert found.loc["whole map", "trace_train_loss"] == pytest.approx(1, abs=0.01)
        assert found.loc["at one coefficient", "lambda_max_test_error"] == pytest.approx(-1)
        assert found.loc["within II"].isna().sum() == 6


def test_few_or_equal_numbers_have_no_rank_correlation() -> None:
    assert np.isnan(curvature.rank([1, 2, 3, 4], [1, 2, 3, 4]))
    assert np.isnan(curvature.rank([1, 2, 3, 4, np.nan], [1, 2, 3, 4, 5]))
    assert np.isnan(curvature.rank([1, 1, 1, 1, 1], [1, 2, 3, 4, 5]))
    assert curvature.rank([1, 2, 3, 4, np.inf, 6], [2, 3, 4, 5, 0, 7]) == pytest.approx(1)


def test_the_square_of_the_coefficient_makes_no_correlation_at_one_coefficient() -> None:
    """Curvature is beta squared times something without order; loss rises with beta."""
    noise = {100: 3, 150: 1, 200: 4, 250: 2, 500: 3.5, 1000: 1.5, 2000: 2.7}
    panel = measured(lambda c, n, s: c**2 * noise[n], lambda c, n, s: 1e-8 * c * n**0.01, lambda *_: 0.01)
    found = curvature.ranks(curvature.cells_of(panel))
    assert found.loc["whole map", "lambda_max_train_loss"] > 0.8
    assert abs(found.loc["whole map", "scaled_train_loss"]) < 0.1
    assert found.loc["at one coefficient", "lambda_max_train_loss"] == pytest.approx(
        found.loc["at one coefficient", "scaled_train_loss"]
    )


def test_equations_stand_side_by_side() -> None:
    def loss(c: float, n: int, s: int) -> float:
        return 1e-9 * c**3 * n**0.1 * (1 + 1e-3 * s)

    found = curvature.across(
        {
            "one": measured(lambda c, n, s: c * n * (1 + s), loss, lambda *_: 0.01),
            "two": measured(lambda c, n, s: c**4 / n / (1 + s), loss, lambda *_: 0.01),
            "three": measured(lambda c, n, s: c**4, loss, lambda *_: 0.01),
        }
    )
    assert found["at_one"].to_list() == pytest.approx([1, -1, np.nan], nan_ok=True)
    assert found["sharper"].to_list() == [252, 0, 0] and set(found["seed_pairs"]) == {252} and set(found["cells"]) == {84}
    assert (found["lambda_max"] > 0).all() and set(found["pairs"]) == {0}


def test_links_tell_the_coefficient_from_the_loss() -> None:
    noise = {100: 3, 150: 1, 200: 4, 250: 2, 500: 3.5, 1000: 1.5, 2000: 2.7}
    apart = curvature.links(
        measured(lambda c, n, s: c**2 * noise[n] * (1 + s % 2), lambda c, n, s: 1e-8 * c * n**0.01 * (1 + s), lambda *_: 0.01)
    )
    assert apart.loc["raw", "low"] > 0.8 and apart.loc["coefficient", "low"] > 0.9
    assert apart.loc["scaled", "low"] < 0 < apart.loc["scaled", "high"] and abs(apart.loc["given", "value"]) < 0.2
    assert apart.loc["seeds", "value"] == 0  # of three pairs one each way, and one equal
    tied = curvature.links(
        measured(lambda c, n, s: c**2 * n * (1 + s), lambda c, n, s: 1e-9 * c * n * (1 + s), lambda *_: 0.01)
    )
    assert (tied.loc[["raw", "scaled", "given", "seeds"], "low"] > 0.5).all() and tied.loc["seeds", "value"] == 1
    assert (tied["low"] <= tied["value"]).all()
    assert curvature.links(measured(lambda c, n, s: c if c == 5 and n < 500 else np.nan)).isna().all(axis=None)


def test_a_partial_correlation_is_that_of_the_residuals_of_ranks() -> None:
    rng = np.random.default_rng(1)
    loss, scale = rng.lognormal(size=(12, 7)), rng.lognormal(size=(12, 7))
    panel = measured(lambda *_: 1.0)
    axes = [list(panel.runs[name].values) for name in ("coefficient", "n_data")]
    at = lambda table: lambda c, n, s: float(table[axes[0].index(c), axes[1].index(n)])  # noqa: E731
    panel = measured(lambda c, n, s: c * at(scale)(c, n, s), lambda c, n, s: 1e-9 * c * at(loss)(c, n, s), lambda *_: 0.01)
    cells = curvature.cells_of(panel)
    ranks = cells[["train_loss", "lambda_max", "coefficient"]].rank()
    design = np.column_stack([np.ones(len(ranks)), ranks["coefficient"]])
    left = [ranks[name] - design @ np.linalg.lstsq(design, ranks[name], rcond=None)[0] for name in ("train_loss", "lambda_max")]
    assert curvature.links(panel).loc["given", "value"] == pytest.approx(np.corrcoef(*left)[0, 1])


def test_cells_are_compared_with_others_of_their_coefficient() -> None:
    cells = curvature.cells_of(both(well=100.0, other=10.0))
    under = cells["most"] == Regime.II
    beside = curvature.beside_peers(cells, under, cells["most"] == Regime.I)
    assert beside.dropna().index.to_list() == [(30, 1000), (30, 2000)] and len(beside) == 16
    np.testing.assert_allclose(beside.dropna(), np.log(0.1))
    assert curvature.beside_peers(cells, ~under, ~under).eq(0).all()


def test_most_seeds_say_where_a_cell_is() -> None:
    """One bad seed lifts the mean of a cell and not its majority; of two seeds one is none."""
    loss = lambda c, n, s: 3 * HIGH if (c, n, s) == (5, 100, 0) else LOW  # noqa: E731
    for n_seeds, most in ((3, Regime.I), (2, Regime.MISSING)):
        cells = curvature.cells_of(measured(lambda c, n, s: c, loss, lambda *_: 0.01, n_seeds=n_seeds))
        cell = cells.set_index(["coefficient", "n_data"]).loc[5, 100]
        assert cell["regime"] == Regime.II and cell["most"] == most
        assert not cell["mostly_high"] and cell["mostly_low"] == (n_seeds == 3)


def test_maps_are_drawn_on_the_grid_of_the_runs() -> None:
    panel = measured(lambda c, n, s: np.exp(c) * n)
    first, second, third = curvature.maps(panel)
    axes = panel.runs["coefficient"].values[:, None], panel.runs["n_data"].values[None, :]
    np.testing.assert_allclose(second.values, axes[0] + np.log(axes[1]))
    np.testing.assert_allclose(third.values, second.values - 2 * np.log(axes[0]))
    figure = figures.value_maps([first, second, third], *panel.maps[2:], **panel.axis_words, title="a title")
    assert [axes.get_title(loc="left") for axes in figure.axes[:1]] == ["training loss"]


def test_commands_name_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report.curvature, "spent", lambda job: (252, 7200.0))
    text = report.measure_command([both(1.0, 2.0)])
    assert f"| `python -m sciml_lib measure {SWEEP} --profile laptop` | 252 | 2.0 hours |" in text
    assert text.endswith(f"It needs the runs: `python -m sciml_lib run {SWEEP} --profile laptop`.")
