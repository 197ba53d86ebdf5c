"""The sentences of the chapters on model families and on strategies for the pendulum, on maps whose truth is known."""

from __future__ import annotations

import dataclasses

import made_runs
import numpy as np
import pytest
import xarray as xr
from made_runs import Number
from made_runs import pendulum as made
from made_runs import rising as steep

from sciml_lib import narrative, rollouts
from sciml_lib.errors import UserError
from sciml_lib.ledger import FAILS, HOLDS, OPEN
from sciml_lib.narrative.strategies import Words, panel_words
from sciml_lib.panels import Panel
from sciml_lib.regimes import Regime, Thresholds, published
from sciml_lib.sweeps import catalog

ADAM, NODE = (1.12e-6, 1.74), (5.21e-5, 1.98)  # rows of Table 5
VARIANTS = {"Adam": "adam", "L-BFGS": "lbfgs", "ALM": "alm", "NNCG": "nncg", "CL": "cl"}


def rows(text: str) -> dict[str, list[str]]:
    """The rows of the tables in a text, by their first entry."""
    lines = [line[2:-2].split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {first: others for first, *others in lines}


def table(values: xr.DataArray) -> dict[tuple[float, int], float]:
    """A map by (coefficient, n_data)."""
    return values.to_series().to_dict()


def prose_of(text: str) -> str:
    """What a text says below its tables."""
    return "\n".join(line for line in text.splitlines() if not line.startswith("| ")).strip()


@pytest.fixture(scope="module")
def floor() -> xr.DataArray:
    """The floor of forward Euler on the grid of the PINODE."""
    return rollouts.euler_floor(made("adam", steep(99)))


def over(floor: xr.DataArray, factor: float) -> Number:
    """A training loss that is a multiple of the floor."""
    values = table(floor)
    return lambda c, n, s: factor * values[c, n]


# --- the published maps of a family ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sweep_id", "model"),
    [
        ("pinode/pendulum/adam", "PINODE"),
        ("pinode/pendulum/nncg-tight", "PINODE"),
        ("node/pendulum/adam-raw", "NODE"),
        ("pinn/convection/warmup-0", "PINN"),
        ("fno/advection-diffusion/adam", "FNO"),
        ("pino/darcy/alm", "PINO"),
    ],
)
def test_every_strategy_is_compared_with_the_one_map_of_its_family(sweep_id: str, model: str) -> None:
    found = published.of_sweep(sweep_id)
    assert found.identical(published.fig1(model)) and found.attrs["model"] == model


@pytest.mark.parametrize(
    ("sweep_id", "said"),
    [
        ("pinn/wave/lbfgs", r"unknown panel of Fig\. 1 'pinn/wave'"),
        ("node/convection/adam", "did you mean .*pinn/convection"),
        ("pinode/pendulum", "unknown panel of Fig. 1 'pinode'"),
        ("pinode", "the valid ones are pinn/convection, fno/advection-diffusion, pino/darcy, node/pendulum, pinode/pendulum"),
    ],
)
def test_a_family_that_fig_1_does_not_show_on_that_system_is_refused(sweep_id: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        published.of_sweep(sweep_id)


def test_a_horizon_of_the_published_node_is_the_number_of_states_that_it_holds() -> None:
    """Ticks such as 69.4 are horizons over dt; values stay with their row, and the map meets that of our runs."""
    data = published.fig1("NODE")
    ticks = (20, 69.4, 118.7, 168.1, 217.4, 266.8, 316.1, 365.5)
    assert data.n_data.values.tolist() == [len(np.arange(0, tick)) for tick in ticks] == list(catalog.PENDULUM_AXES["node"][1])
    assert np.issubdtype(data.n_data.dtype, np.integer)
    # Four lines of the file.
    read = {(1.2, 70): (3.11e-6, 4.43), (2.9, 119): (9.16e-5, 1.58), (15, 218): (1.64e-4, 1.63), (8, 366): (1.85e-4, 1.41)}
    for (c, n), (train, test) in read.items():
        cell = data.sel(coefficient=c, n_data=n)
        assert (float(cell["train_loss"]), float(cell["test_error"])) == (train, test)
    node = made("adam", steep(99), family="node")
    assert node.agreement.n == 61 and node.agreement.n_illegible == 3
    assert published.fig1("PINODE").n_data.values.tolist() == [20, 40, 100, 160, 200, 240, 300, 400]


def as_published(model: str, name: str, factor: float, hidden: float) -> Number:
    """The published values times a factor, and a number of our own where a line hides them."""
    values = table(published.fig1(model)[name])
    return lambda c, n, s: hidden if np.isnan(values[c, n]) else factor * values[c, n]


def beside(variant: str, train: float, test: float) -> Panel:
    """A PINODE with the published values over two factors."""
    return made(
        variant,
        as_published("PINODE", "train_loss", 1 / train, 1e-6),
        as_published("PINODE", "test_error", 1 / test, 1.0),
    )


def test_a_map_with_the_published_values_agrees_in_labels_ratios_and_ranks() -> None:
    same = narrative.against_published({"ours": beside("adam", 1.0, 1.0)})
    assert rows(same)["ours"] == ["100 % of 61 cells", "1.00 (almost perfect)", "1", "1", "1.00", "1.00"]
    lower = rows(narrative.against_published({"ours": beside("adam", 2.0, 4.0)}))["ours"]
    assert lower[2:] == ["2", "4", "1.00", "1.00"] and lower[0] != "100 % of 61 cells"
    theirs = as_published("PINODE", "test_error", 1.0, 1.0)
    few = made("adam", as_published("PINODE", "train_loss", 1.0, 1e-6), lambda c, n, s: theirs(c, n, s) / (9 if n > 240 else 3))
    assert rows(narrative.against_published({"ours": few}))["ours"][3] == "3"  # of the median cell


def test_a_map_that_orders_the_cells_the_other_way_has_a_negative_rank() -> None:
    theirs = as_published("PINODE", "train_loss", 1.0, 1e-6)
    turned = made("adam", lambda *cell: 1e-12 / theirs(*cell), as_published("PINODE", "test_error", 1.0, 1.0))
    assert rows(narrative.against_published({"ours": turned}))["ours"][-2:] == ["-1.00", "1.00"]


def test_values_that_are_cut_off_or_hidden_do_not_count() -> None:
    """There ours may be what it likes."""
    data = published.fig1("PINODE")
    low, high, hidden = (table(data[f"train_loss_{mark}"]) for mark in ("low", "high", "hidden"))
    assert all(any(cut.values()) for cut in (low, high, hidden))
    theirs = as_published("PINODE", "train_loss", 1.0, 1e-6)
    errors = as_published("PINODE", "test_error", 1.0, 1.0)

    def ours(c: float, n: int, s: int) -> float:
        return 1.0 if low[c, n] or hidden[c, n] else 1e-12 if high[c, n] else theirs(c, n, s) / 3

    strange = made("adam", ours, errors)
    found = rows(narrative.against_published({"ours": strange}))["ours"]
    assert (found[2], found[4]) == ("3", "1.00")
    lost = Panel(strange.runs.where(strange.runs["coefficient"] > 2))
    assert rows(narrative.against_published({"ours": lost}))["ours"][2] == "3"  # and what is not stored counts not at all


def test_the_map_that_was_drawn_is_the_one_nearest_in_both_values() -> None:
    near, far = (1.1, 1.1), (3.0, 1.5)
    text = narrative.who_was_drawn({"Adam": beside("adam", *near), "L-BFGS": beside("lbfgs", *far)})
    assert text.endswith("the published map is nearest to *Adam*.")
    assert rows(text)["Adam"][2:] == ["1.1", "1.1"] and rows(text)["L-BFGS"][2:] == ["3", "1.5"]
    turned = narrative.who_was_drawn({"Adam": beside("adam", *far), "L-BFGS": beside("lbfgs", *near)})
    assert turned.endswith("the published map is nearest to *L-BFGS*.")
    # A perfect training loss does not make up for test errors ten times too low, and above is as far as below.
    for factors in ((0.5, 2.0), (2.0, 0.5), (0.5, 0.5)):
        text = narrative.who_was_drawn({"Adam": beside("adam", 1.0, 10.0), "L-BFGS": beside("lbfgs", *factors)})
        assert text.endswith("the published map is nearest to *L-BFGS*.")
    text = narrative.who_was_drawn({"Adam": beside("adam", *near), "L-BFGS": beside("lbfgs", 0.2, 0.2)})
    assert text.endswith("the published map is nearest to *Adam*.")


def test_a_map_that_never_reaches_the_end_of_the_colours_is_named_beside_one_that_does() -> None:
    ends = published.fig1("PINODE")["train_loss"].attrs["colour_range"][1]
    errors = as_published("PINODE", "test_error", 1.0, 1.0)
    reaching, short = (made(name, steep(12, high=f * ends), errors) for name, f in (("adam", 1.01), ("lbfgs", 0.99)))
    text = narrative.who_was_drawn({"Adam": reaching, "L-BFGS": short})
    assert r"The published colours of the training loss end at $4.3 \times 10^{-6}$." in text
    assert "No cell of our map with L-BFGS gets that far." in text
    assert rows(text)["Adam"][:2] == [r"$1.1 \times 10^{-6}$", r"$4.3 \times 10^{-6}$"]  # threshold and highest loss
    for both in (reaching, short):
        assert "gets that far" not in narrative.who_was_drawn({"Adam": both, "L-BFGS": both})


# --- families ------------------------------------------------------------------------------------------------


def test_the_families_are_tabulated_with_what_they_learn_and_how_many_runs_they_have() -> None:
    pinn = Panel(made_runs.runs("pinn/convection/lbfgs", "laptop", made_runs.steep(25), made_runs.few))
    text = narrative.families(
        {"PINN": pinn, "NODE": made("adam", steep(8), family="node", n_seeds=2), "PINODE": made("adam", steep(8))}
    )
    assert rows(text)["PINN"] == [
        "the solution $u(x, t)$, from its equation", "convection, β = 5 ... 70", "$N_f$, collocation points = 100 ... 2,000",
        "252", "3",
    ]  # fmt: skip
    learned = "the rates of change, from observed states"
    axes = "pendulum, 1/b = 1 ... 15", "$N$, observed states = 20 ... 366"
    assert rows(text)["NODE"] == [learned, *axes, "128", "2"]
    assert rows(text)["PINODE"][:1] == [f"{learned} and the equation"]
    assert rows(text)["PINODE"][2:] == ["$N$, observed states = 20 ... 400", "64", "1"]


def test_missing_families_are_one_or_several() -> None:
    assert narrative.missing_families(["FNO", "PINO"]).startswith("FNO and PINO are not run in this edition")
    assert narrative.missing_families(["FNO"]).startswith("FNO is not run in this edition")


def test_the_axes_of_the_pendulum_have_words_of_their_own() -> None:
    pendulum = made("adam", steep(8))
    assert panel_words(pendulum) == Words("1/b", "$N$", "observed states")
    assert pendulum.axis_words == {"coefficient_label": "1/b, the inverse damping", "data_label": "$N$, observed states"}
    wave = Panel(made_runs.runs("pinn/convection/lbfgs", "laptop", made_runs.steep(25), made_runs.few))
    assert wave.axis_words["coefficient_label"] == "β, the convection coefficient"
    assert panel_words(wave)[:2] == ("β", "$N_f$")


def test_the_recipes_of_table_4_are_said_with_their_numbers() -> None:
    table = rows(narrative.budgets({name: made(variant, steep(8)) for name, variant in VARIANTS.items()}))
    assert table["Adam"][2:] == [
        "600 epochs of Adam on batches of 32 (13 updates each; learning rate 0.001, times 0.995 an epoch)", "the same",
    ]  # fmt: skip
    assert "constraints: the equation; penalty from 1, times 1.05 a call; weight of the rest 10)" in table["ALM"][2]
    assert table["CL"][2].startswith("a curriculum of 59 stages from coefficient 0.25 on, 0.25 apart, each of up to 500 iter")
    letter = rows(narrative.budgets({"text": made("adam-plain", steep(8))}))["text"][2]
    assert "(each one pass through its own batches; learning rate 0.001)" in letter  # it does not fall


# --- Regime II -----------------------------------------------------------------------------------------------


def by_row(high: float, low: float, rows_with_high: int) -> Number:
    """A test error that is high for the first so many amounts of data of the PINODE."""
    amounts = catalog.PENDULUM_AXES["pinode"][1][:rows_with_high]
    return lambda c, n, s: high if n in amounts else low


def test_regime_two_is_said_to_be_well_tested_only_where_most_of_it_is() -> None:
    most, half = made("adam", steep(8), by_row(2.0, 0.5, 3)), made("adam", steep(8), by_row(2.0, 0.5, 4))
    text = narrative.second_regime({"PINODE": most})
    assert "In the map of PINODE most of Regime II has a *low* test error." in text
    assert rows(text)["PINODE"] == ["0.50", "0.50", "2.0", "1.7", "20 (62 %)"]  # 32 cells of II, in three rows of eight high
    text = narrative.second_regime({"half": half})
    assert rows(text)["half"][-1] == "16 (50 %)" and prose_of(text) == ""
    text = narrative.second_regime({"a": most, "b": half, "c": most})
    assert "In the maps of a and c most of Regime II" in text


def test_regimes_without_a_cell_have_no_median() -> None:
    text = narrative.second_regime({"low": made("adam", steep(99)), "high": made("adam", steep(0), lambda *_: 9.0)})
    assert rows(text) == {
        "map": rows(text)["map"],
        ":---": ["---:"] * 5,
        "low": ["0.50", "no cell", "no cell", "1.7", "none"],
        "high": ["no cell", "9.0", "no cell", "1.7", "0 (0 %)"],
    }
    assert prose_of(text) == ""


# --- the floor of the training loss --------------------------------------------------------------------------


def test_a_threshold_above_every_floor_leaves_the_training_responsible(floor: xr.DataArray) -> None:
    assert float(floor.max()) < ADAM[0]
    text = narrative.floor_words({"Adam": made("adam", over(floor, 4.0))})
    assert rows(text)["Adam"] == ["25 % (25 % to 25 %)", "1.00", r"$1.1 \times 10^{-6}$", "0 (0 %)"]
    assert prose_of(text) == ""


def test_thresholds_below_the_floor_are_named_with_their_cells(floor: xr.DataArray) -> None:
    panels = {name: made(VARIANTS[name], over(floor, 2.0)) for name in ("Adam", "L-BFGS", "ALM")}
    text = narrative.floor_words(panels)
    above = int((floor > 3.20e-7).sum())
    assert 0 < above < 64 and float(floor.min()) > 6.88e-9
    assert rows(text)["L-BFGS"][-1].startswith(f"{above} (") and rows(text)["ALM"][-1] == "64 (100 %)"
    assert f"whatever the training: {above} of 64 with L-BFGS and 64 of 64 with ALM. There *under-trained*" in text
    # A threshold exactly at the highest floor can be met.
    at = dataclasses.replace(panels["ALM"], own_thresholds=Thresholds(float(floor.max()), 1.0, "by hand"))
    assert prose_of(narrative.floor_words({"ALM": at})) == ""


def test_the_share_of_the_floor_is_that_of_the_median_cell_with_both_ends(floor: xr.DataArray) -> None:
    factor = {20: 10.0, 40: 4.0, 400: 1.25}  # a row each; the other five rows 2
    values = table(floor)
    train = lambda c, n, s: factor.get(n, 2.0) * values[c, n]  # noqa: E731
    assert rows(narrative.floor_words({"a": made("adam", train)}))["a"][0] == "50 % (10 % to 80 %)"
    turned = made("adam", lambda c, n, s: 1e-13 / values[c, n])
    assert rows(narrative.floor_words({"a": turned}))["a"][1] == "-1.00"
    lost = made("adam", lambda c, n, s: np.inf if (c, n) == (1.0, 20) else 2 * values[c, n])
    assert rows(narrative.floor_words({"a": lost}))["a"][0] == "50 % (0 % to 50 %)"  # of an infinite loss it is nothing


# --- the floor of the test error -----------------------------------------------------------------------------


def test_the_best_cells_are_set_beside_the_true_field() -> None:
    own = rollouts.true_field_error(made("adam", steep(99))).to_series().to_dict()
    panel = made("adam", steep(99), lambda c, n, s: (2.0 if n == 160 else 5.0) * own[c])
    text = narrative.error_floor(panel)
    assert list(rows(text)) == ["1/b", ":---", "1", "2", "4", "6", "8", "10", "12", "15"]
    assert {row[-1] for first, row in rows(text).items() if first.isdigit()} == {"50 %"}
    assert rows(text)["1"][:2] == ["0.016", "0.032"] and rows(text)["15"][:2] == ["0.50", "1.0"]
    assert "The test begins at 2.8 rad, and no training trajectory goes beyond 1.7 rad" in text
    assert "At 1/b = 1 the true field would have an error of 0.016, and the best cell has 0.032." in text
    assert "At 1/b = 15 following the *true* field with Euler's method already costs 0.50, and the best cell has 1.0." in text
    assert "more accurate than the true field" not in text


def test_networks_that_are_better_than_the_true_field_are_pointed_out() -> None:
    own = rollouts.true_field_error(made("adam", steep(99))).to_series().to_dict()
    better = (4.0, 20), (15.0, 400)
    panel = made("adam", steep(99), lambda c, n, s: (0.5 if (c, n) in better else 1.0) * own[c])
    text = narrative.error_floor(panel)
    assert text.endswith(
        " At 1/b = 4 and 15 the best networks are more accurate than the true field: trained on single steps of "
        "Euler they have learned to make up for a part of its error."
    )
    assert rows(text)["4"][-1] == "200 %" and rows(text)["6"][-1] == "100 %"  # as accurate is not more accurate


# --- rollout or one step -------------------------------------------------------------------------------------


def test_the_errors_of_rollout_and_one_step_can_order_the_cells_alike_or_the_other_way() -> None:
    rising = lambda c, n, s: 0.2 * c + n / 1e4  # noqa: E731
    alike = made("adam", steep(99), rising, one_step=lambda *cell: 1e-4 * rising(*cell))
    turned = made("adam", steep(99), rising, one_step=lambda *cell: 1e-4 / rising(*cell))
    text = narrative.two_errors({"alike": alike, "turned": turned})
    assert rows(text)["alike"] == ["1.00", r"$2.0 \times 10^{-5}$ to $3.0 \times 10^{-4}$", "1.7", "100 %"]
    assert (rows(text)["turned"][0], rows(text)["turned"][-1]) == ("-1.00", "0 %")


def test_one_step_tells_regime_three_apart_by_as_many_pairs_as_it_orders() -> None:
    """Cells of III from 1/b = 10 on, all others in I; in half of the rows one step sees no difference."""
    test = lambda c, n, s: 3.0 + n / 1e4 if c >= 10 else 1.0 + n / 1e4  # noqa: E731
    seen = made("adam", steep(99), test, one_step=lambda c, n, s: 1e-4 if c >= 10 and n > 160 else 1e-5)
    assert rows(narrative.two_errors({"a": seen}))["a"][-1] == "75 %"  # half of the pairs, and half of the tied half
    without = {
        "no III": made("adam", steep(99), lambda c, n, s: c / 100, one_step=lambda c, n, s: n / 1e6),
        "no I": made("adam", steep(99), lambda c, n, s: 2 + c, one_step=lambda c, n, s: n / 1e6),
    }
    text = narrative.two_errors(without)
    assert rows(text)["no III"][-1] == "no cell" and rows(text)["no I"][-1] == "n/a"


def test_table_5_means_the_rollout_only_if_no_error_of_one_step_comes_near_it() -> None:
    test = lambda c, n, s: c + n / 1e4  # noqa: E731
    low = made("adam", steep(99), test, one_step=lambda *cell: 1e-4 * test(*cell))
    node = made("adam", steep(99), test, family="node", one_step=lambda *cell: 1e-4 * test(*cell))
    both = narrative.two_errors({"PINODE": low, "NODE": node})
    highest = 1e-4 * 15.04
    assert f"The thresholds of Table 5 are at least {ADAM[1] / highest:,.0f} times every error of one step" in both
    assert both.endswith("they mean the rollout.")
    high = made("adam", steep(99), test, one_step=lambda *cell: 0.12 * test(*cell))  # 1.8 at most: above 1.74, below 1.98
    assert "they mean the rollout" not in narrative.two_errors({"NODE": node, "PINODE": high})
    assert "they mean the rollout" not in narrative.two_errors({"PINODE": high})


# --- other readings ------------------------------------------------------------------------------------------


def test_readings_of_one_loss_are_compared_label_by_label() -> None:
    base = made("adam", steep(8), lambda *_: 0.5)
    other = made("adam-plain", steep(10), lambda *_: 1.5, data=lambda *_: 3e-7)
    base.runs["loss_data"][:] = 2e-7
    text = narrative.other_readings(base, {"text": other})
    kappa = [f"{panel.agreement.kappa:.2f}" for panel in (base, other)]
    assert rows(text)["*as above*"] == ["1", "1", "32 / 32 / 0", "", kappa[0]]
    assert rows(text)["text"] == ["1.5", "3", "40 / 24 / 0", "8", kappa[1]]
    assert kappa[0] != kappa[1]


def test_readings_with_another_loss_have_no_regimes_to_compare() -> None:
    base, other = made("adam", steep(8)), made("adam-unscaled", steep(1), lambda *_: 1.0)
    text = narrative.other_readings(base, {"no factor": other, "no physics": made("adam-data", steep(99))})
    assert rows(text)["no factor"] == ["10", "2", "another loss", "", ""]  # 20 times in four columns, 1 time in the others
    assert rows(text)["no physics"][2:] == ["another loss", "", ""]
    one_label = made("adam", steep(0))  # all of ours in II, and so is ...
    everything = Panel(one_label.runs.sel(coefficient=[15.0], n_data=[300, 400]))  # ... what is published there
    assert rows(narrative.other_readings(everything, {}))["*as above*"][-1] == "n/a"


def factors(loss: float, error: float, high: int = 0) -> tuple[Panel, Panel]:
    """A NODE on the sphere with 12 cells above its threshold, and one on raw states with so many that is lower by factors."""
    node = made("adam", lambda c, n, s: 1e-4 if c >= 8 and n < 200 else 1e-5, family="node", data=lambda *_: 1e-4)
    cells = node.plan.pairs[:high]
    raw = made(
        "adam-raw",
        lambda c, n, s: 1e-4 if (c, n) in cells else 1e-6,
        lambda *_: 0.5 / error,
        family="node",
        data=lambda *_: 1e-4 / loss,
    )
    return node, raw


def equation(error: float, short: float | None = None) -> tuple[Panel, Panel]:
    """A PINODE, and one without physics whose test error is that many times higher, and otherwise with short trajectories."""
    data = lambda c, n, s: 0.5 * (short if short is not None and n <= 40 else error)  # noqa: E731
    return made("adam", steep(99)), made("adam-data", steep(99), data)


def test_regime_two_of_the_node_is_that_of_its_sphere_only_if_angles_do_without() -> None:
    pinodes = equation(1.0)
    node, raw = factors(100.0, 2.0)
    assert int((node.labels == Regime.II).sum()) == 12
    text = narrative.what_matters(node, raw, *pinodes)
    assert (
        "A NODE that sees angle and velocity has a loss 100 times smaller in the median cell, and a test error 2.0 times"
        in text
    )
    assert "On the sphere 12 of 64 cells are above the training threshold, here 0 (in other units" in text
    assert "the Regime II of the NODE is that of its representation." in text
    for high in (12, 20):
        text = narrative.what_matters(*factors(100.0, 2.0, high), *pinodes)
        assert f"On the sphere 12 of 64 cells are above the training threshold, here {high}." in text
        assert "representation" not in text


@pytest.mark.parametrize(
    ("error", "short", "words", "little"),
    [
        (1.05, None, "is 5 % larger in the median cell, and 5 % larger in that", True),
        (0.95, 1.02, "is 5 % smaller in the median cell, and 2 % larger in that", True),
        (1.5, None, "is 50 % larger in the median cell, and 50 % larger in that", False),
        (1.0, 1.5, "is the same in the median cell, and 50 % larger in that", False),  # where data are short alone
        (0.8, 1.0, "is 20 % smaller in the median cell, and the same in that", False),
    ],
)
def test_the_equation_adds_little_only_if_nothing_changes_without_it(
    error: float, short: float | None, words: str, little: bool
) -> None:
    text = narrative.what_matters(*factors(100.0, 2.0), *equation(error, short))
    assert words in text and "of the two shortest trajectories." in text
    assert ("so it adds little." in text) == little
    assert text.endswith("and no others.") != little


# --- how sharp a border is -----------------------------------------------------------------------------------


def sharp(pinn: float, node: float, pinode: float) -> dict[str, Panel]:
    """Three families whose training loss rises by a factor across the border, 0 for no border."""
    first = made_runs.runs(
        "pinn/convection/lbfgs", "laptop", lambda c, n, s: 1e-3 * (pinn if c >= 25 and pinn else 0.5), lambda *_: 0.1
    )
    return {
        "PINN": Panel(first),
        "NODE": made("adam", lambda c, n, s: 2e-5 * (node if c >= 8 and node else 1), family="node"),
        "PINODE": made("adam", lambda c, n, s: 5e-7 * (pinode if c >= 8 and pinode else 1)),
    }


def test_transitions_are_sharper_or_not() -> None:
    first, second = narrative.sharpness(sharp(50, 10, 20))
    assert [s.verdict for s in (first, second)] == [HOLDS, HOLDS]
    assert first.found == second.found
    assert "by a factor of 1e+02 (PINN), 10 (NODE) and 20 (PINODE) in the median pair" in first.found
    assert first.claim.endswith("PINNs are sharper than those of NODEs") and "PINODEs" in second.claim
    assert [s.verdict for s in narrative.sharpness(sharp(4, 10, 9))] == [FAILS, FAILS]
    assert [s.verdict for s in narrative.sharpness(sharp(4, 10, 11))] == [FAILS, HOLDS]


def test_a_family_without_a_border_cannot_be_judged() -> None:
    found = narrative.sharpness(sharp(50, 10, 0))
    assert [s.verdict for s in found] == [HOLDS, OPEN] and found[1].found == "one of the maps has no border"
    assert [s.verdict for s in narrative.sharpness(sharp(0, 10, 20))] == [OPEN, HOLDS]
    assert [s.verdict for s in narrative.sharpness(sharp(50, 0, 20))] == [OPEN, OPEN]
    without = sharp(50, 10, 20)
    del without["PINN"]
    assert [s.verdict for s in narrative.sharpness(without)] == [OPEN, HOLDS]


# --- shifts --------------------------------------------------------------------------------------------------


@pytest.fixture
def moved() -> dict[str, Panel]:
    """CL rises two cells behind L-BFGS with long trajectories and with none of 20 states, ALM two cells before it."""
    at = {"lbfgs": lambda n: 6, "cl": lambda n: 6 if n == 20 else 10, "alm": lambda n: 2}
    return {
        name: made(VARIANTS[name], lambda c, n, s, a=at[VARIANTS[name]]: 2e-6 if c >= a(n) else 1e-9, n_seeds=2)
        for name in ("L-BFGS", "CL", "ALM")
    }


def test_maps_of_one_pair_of_thresholds_are_tabulated_once(moved: dict[str, Panel]) -> None:
    adam = made("adam", steep(8))
    common = {name: panel.with_thresholds_of(adam) for name, panel in moved.items()}
    text = narrative.shifts(common)
    lines = [line for line in text.splitlines() if line.startswith("| ")][2:]
    assert [line.split(" | ")[:2] for line in lines] == [["| L-BFGS", "all"], ["| CL", "all"], ["| ALM", "all"]]
    assert text.startswith("| training loss first rises above | threshold of | $N$ = 20 | $N$ = 40 | $N$ = 100 |")
    amounts = "40, 100, 160, 200, 240, 300 and 400 observed states."
    assert f"- *CL*: the border moves to larger 1/b with {amounts}" in text
    assert f"- *ALM*: the border moves to smaller 1/b with 20, {amounts}" in text
    assert "Seeds: 2 with L-BFGS, 2 with CL and 2 with ALM." in text


def test_maps_with_thresholds_of_their_own_are_tabulated_by_both(moved: dict[str, Panel]) -> None:
    text = narrative.shifts(moved)
    lines = [line.strip("| ").split(" | ")[:2] for line in text.splitlines() if line.startswith("| ")][2:]
    assert lines == [
        ["L-BFGS", "its own"], ["CL", "its own"], ["ALM", "its own"], ["CL", "L-BFGS"], ["ALM", "L-BFGS"],
    ]  # fmt: skip
    assert "*CL*: the border moves to larger 1/b with 40, 100, 160" in text
    # By one pair of thresholds the map reads alike; by its own row, ALM's loss of 1e-7 is high from the start.
    adam = made("adam", steep(8))
    moved["ALM"] = made("alm", steep(10, low=1e-7), n_seeds=2)
    assert "| ALM | its own | below the map | below the map |" in narrative.shifts(moved)
    assert "- *ALM*: no row shows a shift." in narrative.shifts(moved)
    common = narrative.shifts({name: panel.with_thresholds_of(adam) for name, panel in moved.items()})
    assert "- *ALM*: the border moves to larger 1/b with 20, 40, 100" in common


def test_a_test_border_of_the_pendulum_moves_by_one_pair_of_thresholds() -> None:
    at = lambda edge: lambda c, n, s: 3.0 if c >= (4 if n < 300 else edge) else 0.5  # noqa: E731
    maps = {
        "L-BFGS": made("lbfgs", steep(99), at(4), n_seeds=2),
        "CL": made("cl", steep(99), at(12), n_seeds=2),
    }
    adam = made("adam", steep(99))
    text = narrative.shifts({name: panel.with_thresholds_of(adam) for name, panel in maps.items()}, "test")
    assert "- *CL*: the border moves to larger 1/b with 300 and 400 observed states." in text
    own = narrative.shifts(maps, "test")  # for their own rows an error of 3 is low
    assert "- *CL*: no row shows a shift." in own and "| nowhere |" in own


def test_a_map_that_cannot_be_compared_is_not_the_nearest():
    nothing = Panel(beside("adam", 3.0, 3.0).runs.isel(coefficient=[0], n_data=[0, 1]))
    text = narrative.who_was_drawn({"Adam": nothing, "L-BFGS": beside("lbfgs", 1.5, 1.5)})
    assert text.endswith("nearest to *L-BFGS*.") and "nan" not in text


def test_too_few_legible_cells_are_said_to_be_not_available():
    node = Panel(made("adam", steep(8), lambda c, n, s: c + n, family="node").runs.isel(coefficient=[0, 7], n_data=[0, 1]))
    assert "nan" not in narrative.against_published({"NODE": node})


def test_raw_states_that_are_worse_are_not_called_smaller():
    text = narrative.what_matters(*factors(0.5, 0.8), *equation(1.0))
    assert "0.50 times smaller" not in text and "0.80 times smaller" not in text


def test_one_cell_fewer_is_not_far_from_the_threshold():
    assert "far from it" not in narrative.what_matters(*factors(100.0, 2.0, 11), *equation(1.0))


def test_every_step_has_no_number():
    assert "renewed every step," in narrative.budgets({"NNCG": made("nncg", steep(8))})
