"""The sentences of the chapter on four equations, on maps whose truth is known."""

from __future__ import annotations

import pytest
from made_runs import runs, steep

from sciml_lib import narrative
from sciml_lib.panels import Panel


def panel(variant: str, at: float, test=lambda c, n, s: 0.01, system: str = "convection", **options) -> Panel:
    """A map whose training loss is high from a coefficient on."""
    return Panel(runs(f"pinn/{system}/{variant}", "laptop", steep(at), test, **options))


def test_shares_and_borders_in_words():
    high = lambda c, n, s: 0.1 if c >= 5 else 1e-5  # noqa: E731
    maps = {
        "reaction": Panel(runs("pinn/reaction/lbfgs", "laptop", high, lambda *_: 0.01)),
        "wave": Panel(runs("pinn/wave/lbfgs", "laptop", lambda *_: 1e-5, lambda c, n, s: 0.9 if c > n / 100 else 0.1)),
    }
    table = narrative.regime_shares(maps)
    assert "| reaction | 30 | 33 % | 67 % | 0 % | ρ = 5 |" in table  # two of six coefficients are below 5
    assert "nowhere in this map |" in table
    text = narrative.stays_and_moves(maps)
    assert "All three regimes occur in 0 of the 2 maps. In that of reaction there is no III." in text
    assert "*reaction*: the training border crosses 5 of 5 rows at ρ = " in text
    assert "*wave*: the training border is not met in 4; the test border crosses" in text
    by_data = {"wave": Panel(runs("pinn/wave/lbfgs", "laptop", lambda *_: 1e-5, lambda c, n, s: 0.9 if c > n / 200 else 0.1))}
    cut = {"wave": Panel(by_data["wave"].runs.sel(n_data=[50, 100, 250]))}
    assert "(it moves to larger values as data are added)" in narrative.stays_and_moves(cut)


def test_networks_that_have_ended_at_zero_are_counted():
    zero = narrative.physics.constant_loss(panel("lbfgs", 1, system="reaction-diffusion"), 0.0)
    assert zero == pytest.approx(0.1405, abs=1e-3)  # the mean square of the initial value
    assert narrative.physics.constant_loss(panel("lbfgs", 1, system="wave"), 0.0) == pytest.approx(0.5 + 0.125, rel=1e-2)
    train = lambda c, n, s: 1.01 * zero if c >= 20 else 0.3 if c >= 15 else 1e-5  # noqa: E731
    data = runs("pinn/reaction-diffusion/lbfgs", "laptop", train, lambda c, n, s: 0.99 if c >= 15 else 0.1)
    text = narrative.collapses({"reaction-diffusion": Panel(data)})
    assert "20 of the 30 runs in Regime II have ended at the constant zero" in text  # two of three coefficients
    fine = panel("lbfgs", 1e9, system="wave")
    assert "None of the runs in Regime II" in narrative.collapses({"wave": fine})


def test_a_constant_passes_the_threshold_of_fast_reactions():
    data = runs("pinn/reaction-diffusion/lbfgs", "laptop", lambda *_: 1e-5, lambda c, n, s: 0.38 if c == 20 else 0.1)
    text = narrative.flat_guesses(Panel(data))
    rows = {line.split(" | ")[0].strip("| "): line.split(" | ") for line in text.splitlines() if line.startswith("| ")}
    for rho, error in (("5", 0.75), ("15", 0.40), ("30", 0.30)):  # the anchors of the protocol
        assert float(rows[rho][1]) == pytest.approx(error, abs=0.011)
    assert rows["1"][3].startswith("0.19 %") and rows["30"][3].startswith("0.53 %")
    assert "From ρ = 15 on the constant 1 has an error below the test threshold" in text
    assert "5 cells of Regime I there are no better than the constant." in text  # rho = 20: 0.38 against 0.36
    good = Panel(runs("pinn/reaction-diffusion/lbfgs", "laptop", lambda *_: 1e-5, lambda *_: 0.1))
    assert "All cells of Regime I there are better" in narrative.flat_guesses(good)


def test_labels_by_another_yardstick():
    base = panel("lbfgs", 30)
    alm = Panel(runs("pinn/convection/alm", "laptop", steep(50), lambda *_: 0.01))  # 1e-2: low for ALM, high for L-BFGS
    text = narrative.same_thresholds({"convection": alm}, {"convection": base}, "ALM", "L-BFGS")
    assert "| convection | 8.8 | 0.64 | 24 / 0 / 0 | 16 / 8 / 0 | 8 |" in text
    assert "8 labels depend on whose thresholds are taken" in text
    assert "For convection the training threshold of its row is the looser one" in text
    same = narrative.same_thresholds({"a": base}, {"a": base}, "x", "y")
    assert "No label depends on whose thresholds are taken." in same
