"""Runs at a constant solution: how they are told from others, and their curvature, on maps whose truth is known."""

from __future__ import annotations

import made_runs
import numpy as np
import pandas as pd
import pytest
import torch
from made_runs import Number

from sciml_lib.analysis import flatness
from sciml_lib.analysis.constants import constant_error, constant_loss
from sciml_lib.panels import Panel

SWEEP = "pinn/reaction-diffusion/lbfgs"


def measured(train: Number, test: Number, lambda_max: Number, ended: str = "line_search_failed") -> Panel:
    return made_runs.measured(SWEEP, "laptop", train, test, lambda_max, 2, lambda *_: ended)


PLAIN = measured(lambda *_: 1e-5, lambda *_: 0.01, lambda *_: 1.0)
ZERO, ONE = constant_loss(PLAIN, 0.0), constant_loss(PLAIN, 1.0)


def paper(flat: float = 40.0, solved: float = 200.0, **options) -> Panel:
    """At u = 0 from rho = 15 on with more than 10 points, solved elsewhere; curvatures in units of 2 (rho^2 + 1)."""
    stuck = lambda c, n: c >= 15 and n > 10  # noqa: E731
    return measured(
        lambda c, n, s: 0.98 * ZERO if stuck(c, n) else 1e-5,
        lambda c, n, s: 0.999 if stuck(c, n) else 0.01,
        lambda c, n, s: flatness.unit(c) * (flat if stuck(c, n) else solved),
        **options,
    )


def test_runs_are_sorted_by_what_they_have_become() -> None:
    error = {c: constant_error(PLAIN, 1.0, c) for c in (1.0, 5.0, 10.0, 15.0, 20.0, 30.0)}
    ends = {5: (1e-5, 0.01), 10: (1e-5, 0.9), 50: (0.97 * ZERO, 1.04), 1000: (0.2, 0.5)}
    panel = measured(
        lambda c, n, s: 1.02 * ONE if n == 100 else ends[n][0],
        lambda c, n, s: 0.97 * error[c] if n == 100 else ends[n][1],
        lambda *_: 1.0,
    )
    found = flatness.runs_of(panel).groupby("n_data")["kind"].unique()
    assert {n: list(kinds) for n, kinds in found.items()} == {
        5: ["solved"], 10: ["wrong"], 50: ["zero"], 100: ["one"], 1000: ["other"],
    }  # fmt: skip
    assert set(flatness.runs_of(Panel(panel.runs.where(panel.runs["seed"] == 0)))["seed"]) == {0}


@pytest.mark.parametrize(("loss", "error"), [(0.94 * ZERO, 1.0), (ZERO, 0.94), (ZERO, 1.06)])
def test_loss_and_error_must_both_be_those_of_the_constant(loss: float, error: float) -> None:
    assert set(flatness.runs_of(measured(lambda *_: loss, lambda *_: error, lambda *_: 1.0))["kind"]) == {"other"}


def test_runs_are_counted_by_kind() -> None:
    runs = flatness.runs_of(paper())
    found = flatness.by_kind(runs)
    assert found["runs"].to_dict() == {"solved": 42, "wrong": 0, "zero": 18, "one": 0, "other": 0}
    assert found.loc["zero", "train_loss"] == pytest.approx(0.98 * ZERO) and np.isnan(found.loc["one", "trace"])
    assert runs["flat"].sum() == runs["stalled"][runs["flat"]].sum() == runs["high"].sum() == 18
    assert not flatness.runs_of(paper(ended="converged_change"))["stalled"].any()


def test_curvature_by_coefficient_is_in_units_of_the_constant() -> None:
    runs = flatness.runs_of(paper())
    runs["emptied"] = 20.0 * flatness.unit(runs["coefficient"])
    found = flatness.by_coefficient(runs)
    assert found.loc[15].to_dict() == pytest.approx(
        {
            "low": 200 * 452, "n_low": 4, "flat": 40 * 452, "n_flat": 6, "unit": 452,
            "low_in_units": 200, "flat_in_units": 40, "emptied_in_units": 20,
        }
    )  # fmt: skip
    assert found.loc[1, "n_flat"] == 0 and np.isnan(found.loc[1, "flat"])
    apart = flatness.apart_in_data(runs)
    assert list(apart.index) == [15, 20, 30]
    assert set(apart["low_at_most"]) == {10} and set(apart["flat_at_least"]) == {50}
    mixed = measured(lambda c, n, s: ZERO if s else 1e-5, lambda c, n, s: 1.0 if s else 0.01, lambda *_: 1.0)
    assert flatness.apart_in_data(flatness.runs_of(mixed)).empty


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_the_second_derivative_at_a_constant_solution(value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network whose hidden layers are zero as well moves by its last bias alone: 2 (rho^2 + 1), as the chapter says."""
    torch.set_num_threads(1)
    panel = Panel(PLAIN.runs.sel(coefficient=[5.0, 10.0], n_data=[50], seed=[0]))
    runs = flatness.runs_of(panel)
    size, wanted = panel.plan.sweep.setup.network(panel.system).n_params, panel.plan.sweep.setup.hidden[-1]

    def parameters(self: Panel, cell: object) -> torch.Tensor:
        params = torch.zeros(size)
        params[-wanted - 1 :] = 3.0  # what goes into the output is replaced
        return params

    monkeypatch.setattr(Panel, "parameters", parameters)
    found = flatness.emptied_curvature(panel, runs, value, "cpu")
    pd.testing.assert_series_equal(found, flatness.unit(runs["coefficient"]), rtol=2e-3, check_names=False)
    monkeypatch.setattr(Panel, "parameters", lambda self, cell: None)
    assert flatness.emptied_curvature(panel, runs, value, "cpu").isna().all()


def test_one_run_of_each_kind_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    panel = paper()
    monkeypatch.setattr(Panel, "parameters", lambda self, cell: torch.zeros(1))
    cells = flatness.one_of_each(panel, flatness.runs_of(panel))
    assert {kind: cell[:2] for kind, cell in cells.items()} == {"solved": (30.0, 10), "zero": (30.0, 1000)}
    monkeypatch.setattr(Panel, "parameters", lambda self, cell: None)
    assert flatness.one_of_each(panel, flatness.runs_of(panel)) == {}
