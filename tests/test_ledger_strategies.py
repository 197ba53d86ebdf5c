"""The claims on training strategies, on maps whose truth is known."""

from __future__ import annotations

from typing import Any

from ledger_cases import Gathered, check_contract, outcome
from made_runs import Number, runs

from sciml_lib.analysis.newton import Gain
from sciml_lib.ledger import Outcome, strategies
from sciml_lib.ledger.strategies import PANELS
from sciml_lib.panels import Panel


def high_from(beta: float, least: int = 0, low: float = 1e-6) -> Number:
    """A training loss that is high by all thresholds from a coefficient on, with so many points or more."""
    return lambda c, n, s: 1.0 if c >= beta and n >= least else low


def accurate_from(points: int, beta: float = 1e9) -> Number:
    """A test error that is low with so many points or more, below a coefficient."""
    return lambda c, n, s: 0.01 if n >= points and c < beta else 1.0


THREE = high_from(30, 1000), accurate_from(500, 30)
"""A map with all three regimes, whose border is at 25 where points are many."""


def panel(variant: str, train: Number = THREE[0], test: Number = THREE[1], profile: str = "paper", **options: Any) -> Panel:
    return Panel(runs(f"pinn/convection/{variant}", profile, train, test, options.pop("n_seeds", 3), **options))


def world(profile: str = "paper", cells: dict[str, Any] | None = None, **made: Any) -> Gathered:
    """Five maps and the gain of NNCG; what is not said is a map with three regimes.

    Args:
        profile: of all.
        cells: what to keep of every map.
        made: for a strategy by its variant its two numbers and its options; ``base`` is what NNCG starts from.
    """

    def of(name: str) -> Panel:
        numbers = made.get(name, made.get("all", {}))
        sweep = {"base": "nncg-base"}.get(name, name)
        whole = panel(sweep, profile=profile, **numbers)
        return Panel(whole.runs.sel(cells)) if cells else whole

    panels = {name: of(variant) for name, variant in PANELS.items()}
    return panels | {"grown": panels["L-BFGS"]}, Gain(of("base"), panels["NNCG"])


def split(first: Number, other: Number) -> Number:
    """The first seed does one thing and all others another."""
    return lambda c, n, s: (first if s == 0 else other)(c, n, s)


NOWHERE, LOW = high_from(1e9), accurate_from(0)
GAIN = {"base": {"train": lambda *_: 1e-3, "test": lambda *_: 0.1}}


def first_seed(there: float, elsewhere: float) -> Number:
    """A number of the first seed, and of all others."""
    return lambda c, n, s: there if s == 0 else elsewhere


UNLIKE = {"base": {"train": first_seed(1e-3, 1e-5), "test": first_seed(1.0, 0.01)}}
"""A base whose seeds are so unlike that the two readings of a gain disagree: 69 and 23 % where the first seed gains 70 %."""


def gave_up(where: Any) -> Any:
    return lambda c, n, s: "line_search_failed" if where(c, n, s) else "converged_change"


WORLDS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "border-lbfgs": (
        {},
        {"lbfgs": {"train": split(high_from(10), NOWHERE)}},
        {"lbfgs": {"train": high_from(70)}},
    ),
    "border-alm": (
        {"alm": {"train": high_from(70)}},
        {"alm": {"train": split(high_from(10), NOWHERE)}},
        {"alm": {"train": high_from(15)}},
    ),
    "expands-alm": (
        {"alm": {"train": NOWHERE, "test": LOW}},
        {},
        {"alm": {"train": high_from(10)}},
    ),
    "border-cl": (
        {"alm": {"train": high_from(50)}, "cl": {"train": high_from(70)}},
        {"alm": {"train": NOWHERE}, "cl": {"train": NOWHERE}},
        {"alm": {"train": high_from(50)}, "cl": {"train": high_from(10)}},
    ),
    "shrinks-cl": ({"cl": {"train": NOWHERE}}, {"lbfgs": {"train": NOWHERE}}, {}),
    "further-ropinn": (
        {"lbfgs": {"train": high_from(20)}, "ropinn": {"train": high_from(70)}},
        {"lbfgs": {"train": NOWHERE}, "ropinn": {"train": NOWHERE}},
        {"lbfgs": {"train": high_from(50)}, "ropinn": {"train": high_from(20)}},
    ),
    "needs-alm": (
        {"alm": {"test": accurate_from(5000)}},
        {"alm": {"test": accurate_from(10**9)}},
        {"alm": {"test": accurate_from(100)}},
    ),
    "suffices-cl": (
        {"cl": {"test": accurate_from(1000)}},
        {"cl": {"test": split(accurate_from(1000), accurate_from(10**9))}},
        {"cl": {"test": accurate_from(2000)}},
    ),
    "nncg-test": (
        {**GAIN, "nncg": {"train": lambda *_: 1e-4, "test": lambda *_: 0.02}},
        {**UNLIKE, "nncg": {"train": lambda *_: 1e-5, "test": first_seed(0.3, 0.01)}},
        {**GAIN, "nncg": {"train": lambda *_: 1e-4, "test": lambda *_: 0.09}},
    ),
    "nncg-train": (
        {**GAIN, "nncg": {"train": lambda *_: 1e-4, "test": LOW}},
        {**UNLIKE, "nncg": {"train": first_seed(3e-4, 1e-5), "test": LOW}},
        {**GAIN, "nncg": {"train": lambda *_: 9e-4, "test": LOW}},
    ),
    "nncg-unstable": tuple(
        {"base": {}, "nncg": {"ended": gave_up(where)}}
        for where in (lambda c, n, s: c >= 30, lambda c, n, s: (c, n, s) == (30, 2000, 0), lambda c, n, s: c < 10 and n > 500)
    ),
    **{
        f"regimes-{variant}": (
            {},
            {variant: {"train": split(THREE[0], NOWHERE)}},
            {variant: {"train": NOWHERE}},
        )
        for variant in PANELS.values()
    },
}  # fmt: skip
"""For every claim a world in which the paper is right, one that does not tell, and one in which it is wrong."""


def worlds(place: int) -> Any:
    # The two worlds of a gain that do not tell: the readings of the formula disagree.
    return lambda name: world(**WORLDS[name.removeprefix("strategies-")][place])


def poorer(name: str) -> list[Gathered]:
    """The world in which the paper is wrong, with fewer seeds, fewer cells, and a budget that was used up."""
    wrong = WORLDS[name.removeprefix("strategies-")][2]
    names = {"all": {}, **{variant: {} for variant in (*PANELS.values(), "base")}} | wrong
    spent = {"ended": lambda *_: "budget_spent"}
    return [
        world(**{key: {**options, "n_seeds": 1} for key, options in names.items()}),
        world(cells={"coefficient": [5.0, 10.0], "n_data": [100, 1000, 2000]}, **wrong),
        world("laptop", **{key: {**options, **spent} for key, options in names.items()}),
    ]


def test_every_claim_has_its_three_outcomes_and_falls_only_with_all_its_evidence() -> None:
    check_contract(
        strategies,
        perfect=worlds(0),
        equal=worlds(1),
        broken=worlds(2),
        less=poorer,
        smoke=lambda name: world("smoke", **WORLDS[name.removeprefix("strategies-")][2]),
    )


def test_a_perfect_method_can_win_only_against_a_base_that_has_a_border() -> None:
    better = {"ropinn": {"train": lambda *_: 1e-9, "test": LOW}}
    for border, expected in ((high_from(20), Outcome.HOLDS), (NOWHERE, Outcome.OPEN)):
        assert outcome(strategies, world(**better, lbfgs={"train": border}), "strategies-further-ropinn") is expected


def test_the_published_map_passes_its_own_test() -> None:
    assert strategies.read(*world())["strategies-border-lbfgs"].published is True
