"""The sentences of the chapters on model families and on strategies for the pendulum, on maps whose truth is known."""

from __future__ import annotations

import dataclasses

import made_runs
import numpy as np
import pytest
import xarray as xr
from made_runs import Number
from made_runs import pendulum as made
from made_runs import steep_pendulum as steep

from sciml_lib import narrative, rollouts
from sciml_lib.errors import UserError
from sciml_lib.ledger import FAILS, HOLDS, OPEN, Statement
from sciml_lib.narrative.strategies import Words, panel_words
from sciml_lib.panels import Panel
from sciml_lib.regimes import Thresholds, published
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


# --- families ------------------------------------------------------------------------------------------------


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


# --- whose thresholds, and of which loss ---------------------------------------------------------------------


def test_maps_are_counted_by_their_own_thresholds_and_by_those_of_others() -> None:
    """A loss of 5e-7 is low for Adam and high for L-BFGS; a test error of 2 is the other way round."""
    maps = {name: made(VARIANTS[name], steep(8, high=5e-7), lambda *_: 2.0) for name in ("Adam", "L-BFGS")}
    text = narrative.whose_thresholds(maps, maps)
    assert rows(text)["map"][2:] == ["I / II / III, by its own", "by those of Adam", "by those of L-BFGS"]
    assert rows(text)["Adam"] == [r"$1.1 \times 10^{-6}$", "1.7", "0 / 0 / 64", "0 / 0 / 64", "32 / 32 / 0"]
    assert rows(text)["L-BFGS"] == [r"$3.2 \times 10^{-7}$", "3.2", "32 / 32 / 0", "0 / 0 / 64", "32 / 32 / 0"]
    assert prose_of(text) == "By the thresholds of Adam the maps of Adam and L-BFGS have no Regime II at all."
    high = narrative.whose_thresholds({"a": made("adam", steep(15))}, maps)
    assert "no Regime II" not in high


def test_a_loss_that_the_threshold_divides_has_a_tick() -> None:
    panel = made("adam", steep(8, 1e-7, 2e-6), data=steep(8, 1e-8, 1e-7), residual=steep(8, 1e-6, 2e-6))
    text = narrative.which_loss({"Adam": panel})
    assert rows(text)["map"] == [r"$T_\mathrm{train}$", "whole loss", "data part", "physics part"]
    assert rows(text)["Adam"] == [
        r"$1.1 \times 10^{-6}$",
        r"$1.0 \times 10^{-7}$ to $2.0 \times 10^{-6}$ ✓",
        r"$1.0 \times 10^{-8}$ to $1.0 \times 10^{-7}$",
        r"$1.0 \times 10^{-6}$ to $2.0 \times 10^{-6}$ ✓",
    ]
    assert "divides none" not in text


def test_a_threshold_below_or_above_all_losses_divides_none() -> None:
    panels = {
        "ALM": made("alm", steep(8, 1e-7, 2e-6)),  # its threshold is 6.88e-9
        "Adam": made("adam", steep(8, 1e-7, 2e-6), residual=steep(8, 1e-6, 1.2e-6)),
        "CL": made("cl", steep(8, 1e-9, 2e-9)),
    }
    text = narrative.which_loss(panels)
    assert "✓" not in "".join(rows(text)["ALM"] + rows(text)["CL"]) and "".join(rows(text)["Adam"]).count("✓") == 2
    assert text.endswith("That of ALM and CL divides none of the three.")
    only = made("alm", steep(8, 1e-7, 2e-6), residual=steep(8, 1e-9, 1e-8))
    text = narrative.which_loss({"ALM": only})
    assert "✓" in rows(text)["ALM"][-1] and "divides none" not in text


# --- statements ----------------------------------------------------------------------------------------------

CLAIMS = ("expands", "remove", "shrinks", "lowers", "smoother")
"""A word of each of the paper's statements on the pendulum, in order."""


def judged(panels: dict[str, Panel], yardstick: Panel | None = None) -> dict[str, Statement]:
    found = narrative.pendulum_statements(panels, yardstick or panels["Adam"])
    assert all(word in statement.claim for word, statement in zip(CLAIMS, found, strict=True))
    return dict(zip(CLAIMS, found, strict=True))


def level(*coefficients: float, low: float, middle: float, high: float) -> Number:
    """A training loss that is low, then middle from one coefficient on and high from another on."""
    first, second = coefficients
    return lambda c, n, s: high if c >= second else middle if c >= first else low


@pytest.fixture
def five() -> dict[str, Panel]:
    """Strategies of which all the paper says is true, by the thresholds of each and by those of Adam."""
    # ALM: low for its own row before 12, for Adam's everywhere but 15. L-BFGS: low for its own before 6, for Adam's before 8.
    alm = made("alm", level(12, 15, low=1e-9, middle=1e-8, high=2e-6), lambda c, n, s: 2.0 if n == 20 else 0.5)
    base = made("lbfgs", level(6, 8, low=1e-7, middle=1e-6, high=2e-6), lambda *_: 1.0)
    cl = made("cl", level(10, 12, low=1.5e-7, middle=3e-7, high=2e-6), lambda c, n, s: 0.4 if n <= 40 else 1.5)
    return {"Adam": made("adam", steep(8)), "L-BFGS": base, "ALM": alm, "NNCG": made("nncg", steep(8)), "CL": cl}


def test_statements_on_the_pendulum_hold_where_both_yardsticks_say_so(five: dict[str, Panel]) -> None:
    found = judged(five)
    assert {word: s.verdict for word, s in found.items()} == dict.fromkeys(CLAIMS, HOLDS)
    # 8 amounts of data a coefficient; ALM has 20 observed states in III.
    assert found["expands"].found == (
        "cells of I with ALM and L-BFGS: 42 and 24 by the thresholds of their own rows, 49 and 32 by one pair of thresholds "
        "(Adam)"
    )
    assert found["remove"].found == "cells of III: 6 by the thresholds of its own row, 7 by one pair of thresholds"
    assert found["shrinks"].found.startswith(
        "cells of II with L-BFGS and CL: 40 and 24 by the thresholds of their own rows, 32"
    )
    assert "32 and 16 by one pair" in found["shrinks"].found
    assert found["lowers"].found == (
        "with 20 and 40 states it is lower than with L-BFGS in 100 % of the cells, in the median cell by 60 %"
    )
    assert found["smoother"].found.endswith("by a factor of 20 (Adam), 10 (L-BFGS), 10 (ALM), 20 (NNCG) and 2 (CL)")


def test_a_statement_that_one_yardstick_alone_confirms_is_open(five: dict[str, Panel]) -> None:
    # By Adam's thresholds ALM is no better than L-BFGS, by its own row it is.
    five["ALM"] = made("alm", level(10, 11, low=1e-9, middle=2e-6, high=2e-6))
    five["L-BFGS"] = made("lbfgs", level(6, 10, low=1e-7, middle=1e-6, high=2e-6), lambda *_: 1.0)
    assert judged(five)["expands"].verdict == OPEN
    # And the other way round: its own row is hard to meet, Adam's easy.
    five["ALM"] = made("alm", level(2, 15, low=1e-9, middle=1e-7, high=2e-6))
    assert judged(five)["expands"].verdict == OPEN
    five["CL"] = made("cl", level(4, 15, low=1e-7, middle=1e-6, high=2e-6))  # 48 of II by its own, 8 by Adam's; L-BFGS 40, 24
    assert judged(five)["shrinks"].verdict == OPEN


def test_statements_fall_where_neither_yardstick_confirms_them(five: dict[str, Panel]) -> None:
    five["ALM"] = made("alm", steep(4, low=1e-9), lambda *_: 0.5)  # 16 cells of I, L-BFGS has more; III is gone
    five["CL"] = made("cl", steep(1, low=1e-9, high=5e-6), lambda c, n, s: 1.2)
    found = judged(five)
    verdicts = {word: s.verdict for word, s in found.items()}
    assert verdicts == {"expands": FAILS, "remove": FAILS, "shrinks": FAILS, "lowers": FAILS, "smoother": OPEN}
    assert found["remove"].found == "cells of III: 0 by the thresholds of its own row, 0 by one pair of thresholds"
    assert "in 0 % of the cells" in found["lowers"].found
    # As many cells are not more, and not fewer.
    five["ALM"] = five["CL"] = Panel(five["L-BFGS"].runs)
    found = judged(five)
    assert (found["expands"].verdict, found["shrinks"].verdict) == (FAILS, FAILS)


def test_the_test_error_is_lower_where_data_are_few_only_if_most_such_cells_say_so(five: dict[str, Panel]) -> None:
    half = made("cl", steep(8), lambda c, n, s: 0.5 if n == 20 or n > 40 else 1.5)  # L-BFGS has 1 everywhere
    found = judged(five | {"CL": half})["lowers"]
    assert found.verdict == FAILS and "in 50 % of the cells" in found.found
    more = made("cl", steep(8), lambda c, n, s: 0.5 if n == 20 or c == 1 else 1.5)
    found = judged(five | {"CL": more})["lowers"]
    assert found.verdict == HOLDS and "in 56 % of the cells, in the median cell by 50 %" in found.found
    long = {name: Panel(p.runs.sel(n_data=[100, 400])) for name, p in five.items()}
    found = judged(long)["lowers"]
    assert (found.found, found.verdict) == ("no row with at most 40 states was run", OPEN)
    # Runs that diverged with both strategies say nothing.
    gone = lambda c, n, s: np.inf if c > 1 else 0.5  # noqa: E731
    both = {"CL": made("cl", steep(8), gone), "L-BFGS": made("lbfgs", steep(8), lambda *cell: 2 * gone(*cell))}
    assert "in 100 % of the cells, in the median cell by 50 %" in judged(five | both)["lowers"].found


def test_transitions_of_cl_are_smoother_only_if_no_other_is(five: dict[str, Panel]) -> None:
    five["CL"] = made("cl", steep(8, low=1e-7, high=1.2e-6))
    assert judged(five)["smoother"].verdict == FAILS  # by a factor of 12; that of ALM is 10
    alone = {name: p if name == "CL" else made(VARIANTS[name], steep(99, low=1e-9)) for name, p in five.items()}
    found = judged(alone)["smoother"]
    assert (found.found, found.verdict) == ("there is no training border to compare", OPEN)
    alone["L-BFGS"] = made("lbfgs", steep(8))
    assert judged(alone)["smoother"].verdict == HOLDS
    none = five | {"CL": made("cl", steep(99))}
    assert judged(none)["smoother"].verdict == OPEN


# --- Newton steps with nothing to solve ----------------------------------------------------------------------


def newton(idle: int, falls: float = 0.6, error: float = 0.9) -> str:
    """What is said of NysNewton-CG if it has nothing to solve for so many coefficients, and moves with a tighter tolerance."""
    still = catalog.PENDULUM_AXES["pinode"][0][:idle]
    base = made("lbfgs", steep(8), n_seeds=2)
    method = made(
        "nncg",
        lambda c, n, s: steep(8)(c, n, s) * (1.0 if c in still else 0.999),
        n_seeds=2,
        ended=lambda c, n, s: "nothing_to_solve" if c in still else "budget_spent",
    )
    moving = made(
        "nncg-tight", lambda *cell: (1 - falls) * steep(8)(*cell), lambda c, n, s: 0.5 * (error if n > 20 else 1.25), n_seeds=2
    )
    return narrative.nothing_to_solve(base, method, moving)


def test_runs_with_nothing_to_solve_are_counted_among_all() -> None:
    text = newton(8)
    assert text.startswith("128 (100 %) of 128 runs ended before a step that did anything")
    assert "already below 1e-05, the absolute tolerance" in text
    assert "In 128 (100 %) of the runs the loss is that of L-BFGS to the last digit." in text
    some = newton(2)
    assert some.startswith("32 (25 %) of 128 runs ended") and "In 32 (25 %) of the runs the loss" in some
    assert "With a tolerance of 1e-09, a damping of 1e-06 and full steps the method moves:" in some
    assert some.endswith("in the median cell the training loss falls by 60 % and the test error by 10 % (from -25 to 10 %).")


def test_a_method_that_always_moves_has_something_to_solve() -> None:
    assert newton(0) == "No run of NysNewton-CG in this profile ended for want of something to solve."


def test_what_was_not_stored_is_neither_idle_nor_moving() -> None:
    base = made("lbfgs", steep(8))
    idle = made("nncg", steep(8, low=2e-7, high=3e-6), ended=lambda *_: "nothing_to_solve")
    stored = idle.runs["n_data"] > 160
    method = Panel(idle.runs.where(stored).assign(status=idle.runs["status"].where(stored, "")))
    unknown = Panel(made("nncg-tight", steep(8)).runs.where(False).assign(status=base.runs["status"].where(False, "")))
    text = narrative.nothing_to_solve(base, method, unknown)
    assert text.startswith("32 (100 %) of 32 runs ended")
    assert "to the last digit" not in text  # as idle as they were, their losses are others
    assert "the method moves" not in text


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


def test_regime_three_that_one_yardstick_alone_sees_is_open(five):
    five["ALM"] = made("alm", lambda *_: 1e-7, lambda *_: 2.0)  # by its own row all of it is II, by Adam's all III
    assert judged(five)["remove"].verdict == OPEN
    five["ALM"] = made("alm", lambda *_: 1e-9, lambda *_: 1.5)  # all III by its own row, all I by Adam's
    assert judged(five)["remove"].verdict == OPEN


def test_a_test_error_that_is_higher_is_not_lower_by_nothing(five):
    five["CL"] = made("cl", steep(8), lambda *_: 1.5)
    assert "in the median cell higher by 50 %" in judged(five)["lowers"].found


def test_a_threshold_at_the_highest_loss_divides_nothing():
    text = narrative.which_loss({"Adam": made("adam", lambda *_: 1.12e-6)})
    assert "✓" not in rows(text)["Adam"][1]


def test_every_step_has_no_number():
    assert "renewed every step," in narrative.budgets({"NNCG": made("nncg", steep(8))})
