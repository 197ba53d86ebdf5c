"""Maps of the pendulum by several thresholds, the floor of their loss, Newton steps: on maps whose truth is known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from made_runs import Number
from made_runs import pendulum as made
from made_runs import rising as steep

from sciml_lib import rollouts
from sciml_lib.analysis import pendulum
from sciml_lib.panels import Panel
from sciml_lib.regimes import Thresholds
from sciml_lib.sweeps import catalog

VARIANTS = {"Adam": "adam", "L-BFGS": "lbfgs", "ALM": "alm", "NNCG": "nncg", "CL": "cl"}


# --- whose thresholds, and of which loss ---------------------------------------------------------------------


def test_cells_are_counted_by_a_maps_own_thresholds_and_by_those_of_others() -> None:
    """A loss of 5e-7 is low for Adam and high for L-BFGS; a test error of 2 is the other way round."""
    maps = {name: made(VARIANTS[name], steep(8, high=5e-7), lambda *_: 2.0) for name in ("Adam", "L-BFGS")}
    found = pendulum.counts(maps, maps).set_index(["map", "judge"])
    assert {where: tuple(row[["I", "II", "III"]]) for where, row in found.iterrows()} == {
        ("Adam", "own"): (0, 0, 64), ("Adam", "Adam"): (0, 0, 64), ("Adam", "L-BFGS"): (32, 32, 0),
        ("L-BFGS", "own"): (32, 32, 0), ("L-BFGS", "Adam"): (0, 0, 64), ("L-BFGS", "L-BFGS"): (32, 32, 0),
    }  # fmt: skip
    assert tuple(found.loc[("Adam", "L-BFGS"), ["train", "test"]]) == (3.20e-7, 3.18)


def divided(variant: str, train: Number, **parts: Number) -> list[bool]:
    """Which of the three losses the threshold of a map's row divides."""
    return pendulum.loss_ranges({"a": made(variant, train, **parts)})["divides"].tolist()


def test_a_threshold_divides_the_losses_between_which_it_lies() -> None:
    panel = made("adam", steep(8, 1e-7, 2e-6), data=steep(8, 1e-8, 1e-7), residual=steep(8, 1e-6, 2e-6))
    found = pendulum.loss_ranges({"Adam": panel}).set_index("loss")
    assert found["divides"].to_dict() == {"train_loss": True, "loss_data": False, "loss_residual": True}
    assert found.loc["loss_residual", ["threshold", "low", "high"]].tolist() == pytest.approx([1.12e-6, 1e-6, 2e-6])


def test_a_threshold_below_or_above_all_losses_divides_none() -> None:
    assert divided("alm", steep(8, 1e-7, 2e-6)) == [False, False, False]  # its threshold is 6.88e-9
    assert divided("cl", steep(8, 1e-9, 2e-9)) == [False, False, False]
    assert divided("alm", steep(8, 1e-7, 2e-6), residual=steep(8, 1e-9, 1e-8)) == [False, False, True]
    assert not divided("adam", lambda *_: 1.12e-6)[0]  # what is at the threshold is low


# --- the floor of the training loss --------------------------------------------------------------------------


def test_the_share_of_the_floor_and_the_cells_that_it_decides() -> None:
    floor = rollouts.euler_floor(made("adam", steep(99)))
    values = floor.to_series().to_dict()
    factor = {20: 10.0, 40: 4.0, 400: 1.25}  # a row each; the other five rows 2
    panels = {
        name: made(VARIANTS[name], lambda c, n, s: factor.get(n, 2.0) * values[c, n]) for name in ("Adam", "L-BFGS", "ALM")
    }
    found = pendulum.floors(panels)
    assert found.loc["Adam", ["share", "least", "most"]].tolist() == pytest.approx([0.5, 0.1, 0.8])
    above = int((floor > 3.20e-7).sum())
    assert 0 < above < 64 and found["above"].tolist() == [0, above, 64] and set(found["cells"]) == {64}
    # A threshold exactly at the highest floor can be met; and of an infinite loss the floor is nothing.
    at = dataclasses.replace(panels["ALM"], own_thresholds=Thresholds(float(floor.max()), 1.0, "by hand"))
    assert pendulum.floors({"ALM": at})["above"].item() == 0
    lost = made("adam", lambda c, n, s: np.inf if (c, n) == (1.0, 20) else 2 * values[c, n])
    turned = made("adam", lambda c, n, s: 1e-13 / values[c, n])
    found = pendulum.floors({"lost": lost, "turned": turned})
    assert found.loc["lost", "least"] == 0.0 and found.loc["turned", "rank"] == pytest.approx(-1.0)


# --- borders -------------------------------------------------------------------------------------------------


def test_a_row_crosses_its_threshold_inside_the_map_or_not_at_all() -> None:
    panel = made("adam", lambda c, n, s: 2e-6 if n == 20 or (n > 160 and c >= 8) else 1e-7)
    found = pendulum.crossings(panel, "train")  # at 20 states the loss is high from the start
    assert found.index.tolist() == [200, 240, 300, 400] and found.between(6, 8).all()
    assert pendulum.crossings(panel, "test").empty


# --- Newton steps --------------------------------------------------------------------------------------------


def newton(idle: int) -> tuple[Panel, Panel]:
    """L-BFGS, and NysNewton-CG that has nothing to solve for so many coefficients."""
    still = catalog.PENDULUM_AXES["pinode"][0][:idle]
    base = made("lbfgs", steep(8), n_seeds=2)
    method = made(
        "nncg",
        lambda c, n, s: steep(8)(c, n, s) * (1.0 if c in still else 0.999),
        n_seeds=2,
        ended=lambda c, n, s: "nothing_to_solve" if c in still else "budget_spent",
    )
    return base, method


@pytest.mark.parametrize(("coefficients", "idle"), [(8, 128), (2, 32), (0, 0)])
def test_runs_with_nothing_to_solve_are_counted(coefficients: int, idle: int) -> None:
    found = pendulum.newton_runs(*newton(coefficients))
    assert len(found) == 128 and found["idle"].sum() == found["unchanged"].sum() == idle


def test_runs_that_are_not_stored_do_not_count() -> None:
    base = made("lbfgs", steep(8))
    idle = made("nncg", steep(8, low=2e-7, high=3e-6), ended=lambda *_: "nothing_to_solve")
    stored = idle.runs["n_data"] > 160
    method = Panel(idle.runs.where(stored).assign(status=idle.runs["status"].where(stored, "")))
    found = pendulum.newton_runs(base, method)
    assert len(found) == found["idle"].sum() == 32 and not found["unchanged"].any()  # idle, and their losses are others
    unknown = Panel(made("nncg-tight", steep(8)).runs.where(False).assign(status=base.runs["status"].where(False, "")))
    assert pendulum.gains(base, unknown).empty


def test_gains_are_per_cent_of_the_base() -> None:
    base = made("lbfgs", steep(8), n_seeds=2)
    worse = lambda c, n, s: 0.5 * (0.9 if n > 20 else 1.25)  # noqa: E731
    moving = made("nncg-tight", lambda *cell: 0.4 * steep(8)(*cell), worse, n_seeds=2)
    found = pendulum.gains(base, moving)
    assert len(found) == 64 and found["train_loss"].to_numpy() == pytest.approx(60.0)
    assert found["test_error"].median() == pytest.approx(10.0) and found["test_error"].min() == pytest.approx(-25.0)
