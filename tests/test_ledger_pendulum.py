"""What the ledger says of strategies on the pendulum, on maps whose truth is known."""

from __future__ import annotations

import pytest
import xarray as xr
from ledger_cases import check_readings
from made_runs import Number, less
from made_runs import pendulum as made

from sciml_lib import ledger, rollouts
from sciml_lib.ledger import Outcome, Reading, pendulum
from sciml_lib.panels import Panel
from sciml_lib.regimes import Regime

LOW, HIGH = 1e-9, 1e-5
"""Losses that every row of Table 5 calls low, but for that of ALM, and high."""


def map_of(variant: str, train: Number = lambda *_: LOW, test: Number = lambda *_: 0.5) -> Panel:
    return made(variant, lambda c, n, s: train(c, n, s) * (1 + n / 1e4), test, n_seeds=3)


def three(high: float = 12, few: int = 40) -> dict[str, Number]:
    """A map with all regimes: II from a coefficient on, III with so few states."""
    return {"train": lambda c, n, s: HIGH if c >= high else LOW, "test": lambda c, n, s: 9.0 if n <= few else 0.5}


@pytest.fixture(scope="module")
def floor() -> xr.DataArray:
    """A time step without error: every row of Table 5 leaves room."""
    return xr.zeros_like(map_of("adam").train)


@pytest.fixture(scope="module")
def judges(floor: xr.DataArray) -> pendulum.Judges:
    return pendulum._judges({name: map_of(pendulum.PANELS[name]) for name in ("Adam", "L-BFGS")}, floor)


def test_regimes_count_where_the_floor_leaves_them_to_the_training(floor: xr.DataArray) -> None:
    def reading(panel: Panel) -> dict[str, Reading]:
        return {"regimes": pendulum._three_regimes(panel, floor)}

    full, none = map_of("adam", **three()), map_of("adam")
    high = map_of("adam", lambda *_: HIGH)
    *poorer, smoke = less(high)
    doubtful = map_of("adam", lambda c, n, s: 1.0 if s == 3 and c == 15 else LOW)
    check_readings(
        perfect=reading(full), equal=reading(doubtful), broken=reading(none),
        # All epochs of mini-batches are the recipe: a run that has made them was not cut off.
        less=[reading(one) for one in poorer[:-1]], smoke=reading(smoke),
    )  # fmt: skip
    assert reading(poorer[-1])["regimes"].outcome is Outcome.FAILS
    lifted = floor + xr.where(full.train["coefficient"] >= 12, 1.0, 0.0)  # there II is the time step's
    found = pendulum._three_regimes(full, lifted)
    assert found.right is False and "in 16 of 64 cells" in found.found
    assert pendulum._three_regimes(full, floor + 1.0).outcome is Outcome.OPEN


def test_a_row_of_table_5_below_the_floor_judges_nothing() -> None:
    panels = {name: map_of(pendulum.PANELS[name]) for name in ("Adam", "L-BFGS", "ALM")}
    left = pendulum._judges(panels, rollouts.euler_floor(panels["ALM"]))([panels["ALM"]])
    assert "their own rows" not in left and "that of Adam" in left


@pytest.mark.parametrize("regime", [Regime.I, Regime.II])
def test_a_strategy_can_have_more_as_many_or_fewer_cells_of_a_regime(regime: Regime, judges: pendulum.Judges) -> None:
    """ALM has more of Regime I than L-BFGS, L-BFGS has more of Regime II than CL."""
    more, fewer = ("alm", "lbfgs") if regime == Regime.I else ("lbfgs", "cl")

    def of(variant: str, many: bool) -> Panel:
        edge = 12 if many == (regime == Regime.I) else 6
        return map_of(variant, lambda c, n, s: HIGH if c >= edge else LOW)

    def reading(first: Panel, second: Panel) -> dict[str, Reading]:
        return {"more": pendulum._more(first, second, judges, regime)}

    one, two = of(more, False), of(fewer, True)
    *poorer, smoke = zip(less(one), less(two), strict=True)
    # Cells that one of the seeds alone moves are noise.
    lucky = map_of(more, lambda c, n, s: (LOW if (s == 3) == (regime == Regime.I) else HIGH) if c >= 12 else LOW)
    check_readings(
        perfect=reading(of(more, True), of(fewer, False)), equal=reading(of(more, True), of(fewer, True)),
        broken=reading(one, two), less=[reading(*pair) for pair in poorer], smoke=reading(*smoke),
    )  # fmt: skip
    assert reading(lucky, of(fewer, True))["more"].outcome is Outcome.OPEN


def test_no_regime_two_can_shrink_where_there_is_none(judges: pendulum.Judges) -> None:
    found = pendulum._more(map_of("lbfgs"), map_of("cl"), judges, Regime.II)
    assert found.right is None and found.outcome is Outcome.OPEN


def test_regime_three_can_remain_be_doubtful_or_go(judges: pendulum.Judges) -> None:
    def reading(panel: Panel) -> dict[str, Reading]:
        return {"keeps": pendulum._keeps(panel, judges)}

    gone = map_of("alm", lambda c, n, s: HIGH if c >= 12 else LOW)
    *poorer, smoke = less(gone)
    check_readings(
        perfect=reading(map_of("alm", **three())), equal=reading(map_of("alm", test=lambda c, n, s: 9.0 if s == 3 else 0.5)),
        broken=reading(gone), less=[reading(one) for one in poorer], smoke=reading(smoke),
    )  # fmt: skip


def test_the_test_error_where_data_are_few_can_be_lower_alike_or_higher() -> None:
    def reading(panel: Panel, base: Panel) -> dict[str, Reading]:
        return {"test": pendulum._lower_where_few(panel, base)}

    base = map_of("lbfgs", test=lambda *_: 4.0)
    lower, higher = (map_of("cl", test=lambda c, n, s, f=f: f * (1 + c / 100) * 4.0) for f in (0.5, 1.5))
    mixed = map_of("cl", test=lambda c, n, s: 4.0 * (1.1 + c / 1e3 if n == 20 else 0.9 - c / 1e3))
    *poorer, smoke = zip(less(higher), less(base), strict=True)
    check_readings(
        perfect=reading(lower, base), equal=reading(mixed, base), broken=reading(higher, base),
        less=[reading(*pair) for pair in poorer], smoke=reading(*smoke),
    )  # fmt: skip
    long = [Panel(p.runs.sel(n_data=[100, 400])) for p in (lower, base)]
    assert reading(*long)["test"].outcome is Outcome.OPEN


def test_transitions_of_cl_can_be_smoother_alike_or_sharper(floor: xr.DataArray) -> None:
    """A power of the coefficient; every map is at its own threshold at a coefficient of 7."""

    def of(name: str, power: float) -> Panel:
        level = made(pendulum.PANELS[name], lambda *_: 1.0).thresholds.train
        return map_of(pendulum.PANELS[name], lambda c, n, s: level * (c / 7) ** power)

    def reading(power: float, cut: int | None = None) -> dict[str, Reading]:
        panels = {name: of(name, power if name == "CL" else 4.0) for name in pendulum.FIVE}
        if cut is not None:
            panels = {name: less(panel)[cut] for name, panel in panels.items()}
        return {"smoother": pendulum._smoother(panels, floor)}

    check_readings(
        perfect=reading(1.0), equal=reading(4.0), broken=reading(12.0), less=[reading(12.0, cut) for cut in range(4)],
        smoke=reading(12.0, 4),
    )  # fmt: skip


def test_the_smoothness_of_the_floor_decides_nothing() -> None:
    """By its own row the border of every row is that of the time step."""
    high = rollouts.euler_floor(map_of("cl")) + 1.0
    panels = {name: map_of(pendulum.PANELS[name], lambda c, n, s: HIGH if c >= 8 else LOW) for name in pendulum.FIVE}
    assert pendulum._smoother(panels, high).outcome is Outcome.OPEN


def test_newton_steps_can_gain_in_most_some_or_few_cells() -> None:
    base = map_of("lbfgs", lambda c, n, s: HIGH if c >= 12 else LOW)

    def of(share: float) -> Panel:
        better = lambda n: 0.5 if n <= 400 * share else 1.5  # noqa: E731
        return map_of("nncg", lambda c, n, s: better(n) * (HIGH if c >= 12 else LOW), lambda c, n, s: 0.5 * better(n))

    def reading(method: Panel, start: Panel) -> dict[str, Reading]:
        return {"gains": pendulum._gains(start, method)}

    *poorer, smoke = zip(less(of(0)), less(base), strict=True)
    check_readings(
        perfect=reading(of(1), base), equal=reading(of(0.4), base), broken=reading(of(0), base),
        less=[reading(*pair) for pair in poorer], smoke=reading(*smoke),
    )  # fmt: skip


def test_every_claim_has_a_reading_and_most_of_them_need_the_floor() -> None:
    panels = {name: map_of(variant, **three()) for name, variant in pendulum.PANELS.items()}
    found = {verdict.claim.id: verdict for verdict in ledger.judged(pendulum, panels)}
    assert list(found) == [one.id for one in pendulum.CLAIMS]
    alm = found["pendulum-regimes-alm"]
    assert alm.outcome is Outcome.OPEN and "in 64 of 64 cells" in alm.reading.found
    assert found["pendulum-regimes-adam"].outcome is Outcome.HOLDS
