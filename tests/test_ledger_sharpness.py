"""The claims on sharpness, on maps and trainings whose truth is known."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from ledger_cases import Gathered, check_contract, once
from made_runs import Number, measured
from made_studies import AT, FALLING, RISING, study, training

from sciml_lib.ledger import Outcome, sharpness
from sciml_lib.optim import Status
from sciml_lib.panels import Panel
from sciml_lib.studies import Results
from sciml_lib.studies.cells import CONVECTION

BARE = "pinn/convection/lbfgs-literal"
LOW, HIGH = 1e-5, 1e-2
SETTLED = np.array([1, 0.1, 0.01, 1e-3, 1e-4, 9e-5, 8e-5, 8e-5, 7e-5, 7e-5])
ONES = np.ones(10)
WILD = np.array([1, 1, 2, 4, 8, 8, 1, 8, 1, 8.0])


def under(c: float, n: int, s: int) -> bool:
    """Every second amount of data is in Regime II."""
    return n in (150, 250, 1000, 5000, 15_000, 25_000)


def drawn(c: float, n: int, s: int) -> np.ndarray:
    """Two standard normal numbers of a run."""
    return np.random.default_rng([int(c), n, s]).normal(size=2)


def loss(c: float, n: int, s: int) -> float:
    """Without any order beside the regimes."""
    return (HIGH if under(c, n, s) else LOW) * np.exp(0.1 * drawn(c, n, s)[0])


def half_coupled(c: float, n: int, s: int) -> float:
    """Beta squared, times a number that goes with that of the loss by a half."""
    return c**2 * np.exp(drawn(c, n, s) @ [0.5, 0.75**0.5])


@cache
def chart(kind: str, profile: str = "paper", n_seeds: int = 3, ended: str = "converged_change", rows: int = 99) -> Panel:
    """A map: of the paper, without any difference, or wrong in one of three ways."""
    plain: Number = lambda c, n, s: LOW * np.exp(0.1 * drawn(c, n, s)[0])  # noqa: E731
    train, lambda_max = {
        "right": (loss, lambda c, n, s: c**3 * (1 if under(c, n, s) else 3) * np.exp(0.1 * drawn(c, n, s)[1])),
        "equal": (plain, half_coupled),
        "coupled": (plain, lambda c, n, s: c**2 * plain(c, n, s) ** 9),
        "falling": (plain, lambda c, n, s: c**-1 * np.exp(0.1 * drawn(c, n, s)[1])),
        "blunt": (loss, lambda c, n, s: c**2 * (3 if under(c, n, s) else 1)),
        "alike": (loss, lambda c, n, s: c**2),
    }[kind]
    panel = measured(CONVECTION, profile, train, lambda *_: 0.01, lambda_max, n_seeds, lambda *_: ended)
    return Panel(panel.runs.isel(n_data=slice(rows)))


WRONG_MAP = {"sharpness-decoupled": "coupled", "sharpness-coefficient": "falling"}
Curves = Callable[[float], tuple[np.ndarray, np.ndarray]]
CURVES: dict[str, Curves] = {
    "right": lambda c: (RISING if c == 5 else RISING**2, SETTLED),
    "equal": lambda c: (ONES, FALLING),
    "falling": lambda c: (RISING if c == 5 else RISING[::-1].copy(), FALLING),
    "wild": lambda c: (WILD, WILD),
}


@cache
def trainings(
    kind: str, n_seeds: int = 3, sweep: str = BARE, end: int = 1500, cells: int = 5, profile: str = "laptop"
) -> Results:
    """The five cells of the paper's figures, or the first so many of them, without Adam."""
    at = AT * end // AT[-1]
    made = {
        (c, n): [training(*CURVES[kind](c), at)] * n_seeds for c, n in sharpness.SHARPENING[:cells]
    }  # fmt: skip
    return study(made, profile, sweep)


def test_every_claim_can_come_out_in_every_way() -> None:
    def equal(name: str) -> Gathered:
        return chart("equal" if name == "sharpness-decoupled" else "alike"), trainings("equal")

    def broken(name: str, profile: str = "paper", **less: object) -> Gathered:
        kind = "wild" if name == "sharpness-stable" else "falling"
        panel, along = ({k: v for k, v in less.items() if k in names} for names in (("n_seeds", "ended", "rows"), ALONG))
        small = {"profile": "smoke"} if profile == "smoke" else {}
        return chart(WRONG_MAP.get(name, "blunt"), profile, **panel), trainings(kind, **along, **small)

    check_contract(
        once(sharpness),
        perfect=lambda _: (chart("right"), trainings("right")),
        equal=equal,
        broken=broken,
        less=lambda name: [
            broken(name, n_seeds=1),
            broken(name, n_seeds=2),
            broken(name, rows=4, cells=3),
            broken(name, ended=Status.BUDGET_SPENT.label, end=2000),
            *([broken(name, sweep=CONVECTION, end=3000)] if name in ALONG_TRAINING else []),
        ],
        smoke=lambda name: broken(name, "smoke"),
    )


ALONG = ("n_seeds", "sweep", "end", "cells")
ALONG_TRAINING = {f"sharpness-{name}" for name in ("rises", "coincides", "stable", "steeper")}


def test_runs_that_begin_with_adam_only_suggest() -> None:
    found = sharpness.read(chart("right"), trainings("right", sweep=CONVECTION))
    adam = {name: found[name] for name in ALONG_TRAINING}
    assert {reading.outcome for reading in adam.values()} <= {Outcome.SUGGESTS, Outcome.OPEN}
    assert all("runs that begin with Adam" in reading.lacking for reading in adam.values())


def test_the_square_of_the_coefficient_couples_nothing() -> None:
    """Loss and curvature both rise with beta, and have nothing else in common."""
    rising = measured(
        CONVECTION, "paper", lambda c, n, s: 1e-7 * c * np.exp(0.1 * drawn(c, n, s)[0]), lambda *_: 0.01,
        lambda c, n, s: c**2 * np.exp(0.3 * drawn(c, n, s)[1]), 3,
    )  # fmt: skip
    found = sharpness.read(rising, trainings("right"))
    assert found["sharpness-decoupled"].outcome is Outcome.HOLDS
    assert found["sharpness-coefficient"].outcome is Outcome.OPEN
    assert "λ_max +0.9" in found["sharpness-decoupled"].found


def test_one_bad_seed_makes_no_under_trained_cell() -> None:
    lifted = measured(
        CONVECTION, "paper", lambda c, n, s: 3 * HIGH if s == 0 and under(c, n, s) else LOW, lambda *_: 0.01, half_coupled, 3
    )
    reading = sharpness.read(lifted, trainings("right"))["sharpness-well-trained"]
    assert reading.units == 0 and reading.outcome is Outcome.OPEN


def test_one_cell_against_all_is_an_accident() -> None:
    made = {cell: [training(RISING, SETTLED, AT // 2)] * 3 for cell in sharpness.SHARPENING}
    made[50.0, 100] = [training(RISING[::-1].copy(), FALLING, AT // 2)] * 3
    reading = sharpness.read(chart("right"), study(made, sweep=BARE))["sharpness-rises"]
    assert reading.outcome is Outcome.OPEN and reading.reason == "only 1 cell" and "in 12 of 15 runs" in reading.found


def test_what_is_stable_on_one_axis_alone_is_open() -> None:
    """A loss that falls tenfold from a millionth of its first value is flat on a linear axis."""
    made = {cell: [training(RISING, FALLING, AT // 2)] * 3 for cell in sharpness.SHARPENING}
    reading = sharpness.read(chart("right"), study(made, sweep=BARE))["sharpness-stable"]
    assert reading.right is None
    assert "in 0 of 15 runs on a logarithmic axis (the eigenvalue alone in 15), and in 15 on a linear one" in reading.found


def test_trainings_of_other_cells_say_nothing() -> None:
    made = {(5.0, 100): [training(RISING, SETTLED, AT // 2)] * 3, (7.0, 500): [training(ONES, SETTLED, AT // 2)] * 3}
    reading = sharpness.read(chart("right"), study(made, sweep=BARE))["sharpness-rises"]
    assert reading.scope.cells == 0.2 and "in 3 of 3 runs" in reading.found
