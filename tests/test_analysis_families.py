"""Maps of several families whose truth is known: beside the published ones, and their floors, errors, readings and jumps."""

from __future__ import annotations

import made_runs
import numpy as np
import pytest
import xarray as xr
from made_runs import Number, as_published
from made_runs import pendulum as made
from made_runs import rising as steep

from sciml_lib import rollouts
from sciml_lib.analysis import families, pendulum
from sciml_lib.panels import Panel
from sciml_lib.regimes import published
from sciml_lib.sweeps import catalog


def cells(values: xr.DataArray) -> dict[tuple[float, int], float]:
    """A map by (coefficient, n_data)."""
    return values.to_series().to_dict()


def beside(variant: str, train: float, test: float) -> Panel:
    """A PINODE with the published values over two factors."""
    return made(
        variant,
        as_published("PINODE", "train_loss", 1 / train, 1e-6),
        as_published("PINODE", "test_error", 1 / test, 1.0),
    )


# --- beside the published map --------------------------------------------------------------------------------


def test_a_map_with_the_published_values_agrees_in_labels_ratios_and_ranks() -> None:
    found = families.against_published({"same": beside("adam", 1.0, 1.0), "lower": beside("adam", 2.0, 4.0)})
    same, lower = found.loc["same"], found.loc["lower"]
    assert (same.equal, same.n, same.kappa) == (1.0, 61, 1.0)
    names = ["train_ratio", "test_ratio", "train_rank", "test_rank"]
    assert same[names].tolist() == pytest.approx([1.0] * 4)
    assert lower[names].tolist() == pytest.approx([2.0, 4.0, 1.0, 1.0]) and lower.equal < 1.0
    assert lower.published_worse > 0 == lower.published_better  # we are lower, so that II is theirs alone
    theirs = as_published("PINODE", "test_error", 1.0, 1.0)
    few = made("adam", as_published("PINODE", "train_loss", 1.0, 1e-6), lambda c, n, s: theirs(c, n, s) / (9 if n > 240 else 3))
    assert families.against_published({"few": few}).loc["few", "test_ratio"] == pytest.approx(3.0)  # of the median cell


def test_a_map_that_orders_the_cells_the_other_way_has_a_negative_rank() -> None:
    theirs = as_published("PINODE", "train_loss", 1.0, 1e-6)
    turned = made("adam", lambda *cell: 1e-12 / theirs(*cell), as_published("PINODE", "test_error", 1.0, 1.0))
    found = families.against_published({"ours": turned}).loc["ours"]
    assert (found.train_rank, found.test_rank) == pytest.approx((-1.0, 1.0))


def test_values_that_are_cut_off_or_hidden_do_not_count() -> None:
    """There ours may be what it likes."""
    data = published.fig1("PINODE")
    low, high, hidden = (cells(data[f"train_loss_{mark}"]) for mark in ("low", "high", "hidden"))
    assert all(any(cut.values()) for cut in (low, high, hidden))
    theirs = as_published("PINODE", "train_loss", 1.0, 1e-6)

    def ours(c: float, n: int, s: int) -> float:
        return 1.0 if low[c, n] or hidden[c, n] else 1e-12 if high[c, n] else theirs(c, n, s) / 3

    strange = made("adam", ours, as_published("PINODE", "test_error", 1.0, 1.0))
    found = families.against_published({"ours": strange}).loc["ours"]
    assert (found.train_ratio, found.train_rank) == pytest.approx((3.0, 1.0))
    lost = Panel(strange.runs.where(strange.runs["coefficient"] > 2))  # and what is not stored counts not at all
    assert families.legible(lost, "train_loss").index.get_level_values("coefficient").min() > 2
    few = Panel(strange.runs.sel(coefficient=[1.0], n_data=[20, 40]))
    assert np.isnan(families.against_published({"few": few}).loc["few", "train_ratio"])


def test_the_ratio_is_that_of_each_coefficient() -> None:
    theirs = as_published("PINODE", "train_loss", 1.0, 1e-6)
    panel = made("adam", lambda c, n, s: theirs(c, n, s) / c, as_published("PINODE", "test_error", 1.0, 1.0))
    found = families.ratio_along(panel, "train_loss", "coefficient")
    assert found.tolist() == pytest.approx(found.index.tolist()) and len(found) > 4


def test_rivals_are_judged_by_all_thresholds_and_by_their_own() -> None:
    near, far = beside("adam", 1.0, 1.0), beside("lbfgs", 4.0, 1.0)
    judges = {"Adam": near.thresholds, "L-BFGS": far.thresholds}
    found = families.rivals({"Adam": near, "L-BFGS": far}, judges)
    assert found.loc["Adam", ["Adam", "own", "best"]].tolist() == [1.0] * 3
    assert found.loc["L-BFGS", "Adam"] == pytest.approx(far.with_thresholds_of(near).agreement.kappa)
    assert found.loc["L-BFGS", "own"] == found.loc["L-BFGS", "L-BFGS"] == pytest.approx(far.agreement.kappa, nan_ok=True)
    assert found.loc["L-BFGS", "best"] == max(found.loc["L-BFGS", ["Adam", "own"]])
    assert found.loc["L-BFGS", "train_ratio"] == pytest.approx(4.0)
    assert found["threshold"].tolist() == [1.12e-6, 3.2e-7]
    assert found.loc["L-BFGS", "highest"] == pytest.approx(found.loc["Adam", "highest"] / 4, rel=0.2)


# --- families ------------------------------------------------------------------------------------------------


def pinn(train: Number) -> Panel:
    return Panel(made_runs.runs("pinn/convection/lbfgs", "laptop", train, made_runs.few))


def test_families_have_their_axes_and_runs() -> None:
    found = families.families({"PINN": pinn(made_runs.steep(25)), "NODE": made("adam", steep(8), family="node", n_seeds=2)})
    assert found.loc["PINN"].tolist() == [
        "convection", "β", (5, 70), "$N_f$, collocation points", (100, 2000), 252, 3,
    ]  # fmt: skip
    assert found.loc["NODE"].tolist() == ["pendulum", "1/b", (1, 15), "$N$, observed states", (20, 366), 128, 2]


def test_cells_of_regime_two_with_a_low_test_error_are_counted() -> None:
    amounts = catalog.PENDULUM_AXES["pinode"][1][:3]
    most = made("adam", steep(8), lambda c, n, s: 2.0 if n in amounts else 0.5)
    found = families.second_regime({"a": most, "low": made("adam", steep(99)), "high": made("adam", steep(0), lambda *_: 9.0)})
    assert found.loc["a", ["I", "II", "threshold", "cells", "low"]].tolist() == [0.5, 0.5, 1.74, 32, 20]
    assert np.isnan(found.loc["low", "II"]) and found.loc["low", "cells"] == 0
    assert np.isnan(found.loc["high", "I"]) and found.loc["high", ["cells", "low"]].tolist() == [64, 0]
    # No cell that the published PINODE has in II lies above the test threshold of Adam.
    assert found.loc["a", "published_cells"] == found.loc["a", "published_low"] == 29


# --- floors --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def floor() -> xr.DataArray:
    """The floor of forward Euler on the grid of the PINODE."""
    return rollouts.euler_floor(made("adam", steep(99)))


def test_the_share_of_the_floor_is_that_of_the_median_cell_with_both_ends(floor: xr.DataArray) -> None:
    values, factor = cells(floor), {20: 10.0, 40: 4.0, 400: 1.25}  # a row each; the other five rows 2
    panels = {
        "rows": made("adam", lambda c, n, s: factor.get(n, 2.0) * values[c, n]),
        "turned": made("adam", lambda c, n, s: 1e-13 / values[c, n]),
        "lost": made("adam", lambda c, n, s: np.inf if (c, n) == (1.0, 20) else 2 * values[c, n]),
    }
    found = pendulum.floors(panels)
    assert found.loc["rows", ["share", "least", "most"]].tolist() == pytest.approx([0.5, 0.1, 0.8])
    assert found.loc["turned", "rank"] == pytest.approx(-1.0) and found.loc["lost", "least"] == 0  # of an infinite loss none


def test_thresholds_below_the_floor_are_counted(floor: xr.DataArray) -> None:
    values = cells(floor)
    panels = {name: made(name, lambda c, n, s: 2 * values[c, n]) for name in ("adam", "lbfgs", "alm")}
    found = pendulum.floors(panels)
    above = int((floor > 3.20e-7).sum())
    assert 0 < above < 64 and found["above"].tolist() == [0, above, 64] and set(found["cells"]) == {64}


def test_the_best_cells_are_set_beside_the_true_field() -> None:
    own = rollouts.true_field_error(made("adam", steep(99))).to_series().to_dict()
    found = families.error_floor(made("adam", steep(99), lambda c, n, s: (2.0 if n == 160 else 5.0) * own[c]))
    assert found["share"].tolist() == pytest.approx([0.5] * 8) and found["true"].to_dict() == pytest.approx(own)


# --- rollout or one step -------------------------------------------------------------------------------------


def test_both_errors_can_order_the_cells_alike_or_the_other_way() -> None:
    rising = lambda c, n, s: 0.2 * c + n / 1e4  # noqa: E731
    alike = made("adam", steep(99), rising, one_step=lambda *cell: 1e-4 * rising(*cell))
    turned = made("adam", steep(99), rising, one_step=lambda *cell: 1e-4 / rising(*cell))
    found = families.two_errors({"alike": alike, "turned": turned})
    assert found["rank"].tolist() == pytest.approx([1.0, -1.0]) and found["apart"].tolist() == [1.0, 0.0]
    assert found.loc["alike", ["lowest", "highest"]].tolist() == pytest.approx([2.02e-5, 3.04e-4])


def test_one_step_tells_regime_three_apart_by_as_many_pairs_as_it_orders() -> None:
    """Cells of III from 1/b = 10 on, all others in I; in half of the rows one step sees no difference."""
    test = lambda c, n, s: 3.0 + n / 1e4 if c >= 10 else 1.0 + n / 1e4  # noqa: E731
    panels = {
        "half": made("adam", steep(99), test, one_step=lambda c, n, s: 1e-4 if c >= 10 and n > 160 else 1e-5),
        "no III": made("adam", steep(99), lambda c, n, s: c / 100, one_step=lambda c, n, s: n / 1e6),
    }
    apart = families.two_errors(panels)["apart"]
    assert apart["half"] == 0.75 and np.isnan(apart["no III"])  # half of the pairs, and half of the tied half


# --- readings ------------------------------------------------------------------------------------------------


def test_readings_of_one_loss_are_compared_label_by_label() -> None:
    base = made("adam", steep(8), lambda *_: 0.5, data=lambda *_: 2e-7)
    other = made("adam-plain", steep(10), lambda *_: 1.5, data=lambda *_: 3e-7)
    found = families.readings(base, {"as above": base, "text": other})
    assert found.loc["as above", ["loss", "error", "cells", "changed"]].tolist() == [1, 1, (32, 32, 0), 0]
    assert found.loc["text", "loss"] == pytest.approx(1.5) and found.loc["text", "error"] == pytest.approx(3.0)
    assert found.loc["text", "cells"] == (40, 24, 0) and found.loc["text", "changed"] == 8
    assert found["kappa"].tolist() == [base.agreement.kappa, other.agreement.kappa]


def test_readings_with_another_loss_have_no_regimes_to_compare() -> None:
    base, other = made("adam", steep(8)), made("adam-unscaled", steep(1), lambda *_: 1.0)
    found = families.readings(base, {"no factor": other, "no physics": made("adam-data", steep(99))})
    assert found.loc["no factor", "loss"] == pytest.approx(10.5) and found.loc["no factor", "error"] == 2.0
    assert found[["cells", "changed", "kappa"]].isna().all(axis=None)


def test_a_median_ratio_can_be_that_of_some_amounts_of_data() -> None:
    base, other = made("adam", steep(99)), made("adam-data", steep(99), lambda c, n, s: 1.0 if n <= 40 else 0.5)
    assert families.median_ratio(other, base, "test_error") == 1.0
    assert families.median_ratio(other, base, "test_error", [20, 40]) == 2.0
