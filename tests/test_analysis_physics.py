"""Runs that have ended at a constant, and how far a constant gets, on maps whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from made_runs import Number, runs

from sciml_lib.analysis import physics
from sciml_lib.analysis.constants import constant_loss
from sciml_lib.panels import Panel

SWEEP = "pinn/reaction-diffusion/lbfgs"


def made(train: Number, test: Number, sweep: str = SWEEP, iterations: Number = lambda *_: 3000, **options) -> Panel:
    data = runs(sweep, "laptop", train, test, **options)
    axes = [data[name].values.tolist() for name in ("coefficient", "n_data", "seed")]
    values = [[[iterations(c, n, s) for s in axes[2]] for n in axes[1]] for c in axes[0]]
    data["iterations"] = ("coefficient", "n_data", "seed"), np.array(values, dtype=float)
    return Panel(data)


def test_runs_that_have_ended_at_zero_are_counted() -> None:
    zero = constant_loss(made(lambda *_: 1e-5, lambda *_: 0.1), 0.0)
    assert zero == pytest.approx(0.1405, abs=1e-3)  # the mean square of the initial value
    wave = made(lambda *_: 1e-5, lambda *_: 0.1, "pinn/wave/lbfgs")
    assert constant_loss(wave, 0.0) == pytest.approx(0.5 + 0.125, rel=1e-2)
    stuck = made(
        lambda c, n, s: 1.01 * zero if c >= 20 else 0.3 if c >= 15 else 1e-5,
        lambda c, n, s: 0.99 if c >= 15 else 0.1,
        iterations=lambda c, n, s: 2100 if c == 20 else 2101,  # 2,000 of them are the warm-up
        ended=lambda c, n, s: "line_search_failed" if s else "converged_change",
    )
    found = physics.at_zero({"stuck": stuck, "wave": wave})
    assert found.loc["stuck", ["runs", "zero", "early", "stalled"]].tolist() == [30, 20, 10, 10]  # two of three coefficients
    assert found.loc["wave", ["runs", "zero", "early", "stalled"]].tolist() == [0, 0, 0, 0]


def test_loss_and_error_must_both_be_those_of_zero() -> None:
    zero = constant_loss(made(lambda *_: 1e-5, lambda *_: 0.1), 0.0)
    for train, test in ((0.94 * zero, 1.0), (zero, 0.94)):
        assert physics.at_zero({"a": made(lambda *_, t=train: t, lambda *_, e=test: e)})["zero"].sum() == 0


def test_a_constant_passes_the_threshold_of_fast_reactions() -> None:
    found = physics.constant_guess(made(lambda *_: 1e-5, lambda c, n, s: 0.38 if c == 20 else 0.1))
    assert found["constant"][[5.0, 15.0, 30.0]].tolist() == pytest.approx([0.75, 0.40, 0.30], abs=0.015)  # of the protocol
    assert found["reference"][[1.0, 30.0]].tolist() == pytest.approx([0.0019, 0.0053], abs=5e-5)
    assert found.index[found["passes"]].tolist() == [15.0, 20.0, 30.0]
    assert found["beaten"].to_dict() == {1.0: 0, 5.0: 0, 10.0: 0, 15.0: 0, 20.0: 5, 30.0: 0}  # 0.38 against 0.36


def test_equations_have_their_domains_and_ranges() -> None:
    found = physics.equations({"rd": made(lambda *_: 1e-5, lambda *_: 0.1)}).loc["rd"]
    assert found["x"] == (0.0, pytest.approx(2 * np.pi)) and found["t"] == (0.0, 1.0)
    assert found["paper"] == found["here"] == (1.0, 30.0) and found["symbol"] == "ρ"
