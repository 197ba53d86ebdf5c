"""What the ledger says of single maps whose truth is known: perfect, equal and broken ones, and poorer evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from ledger_cases import check_readings
from made_runs import Number, as_published, less, runs, steep

from sciml_lib import ledger
from sciml_lib.ledger import Outcome, Reading, maps
from sciml_lib.panels import Panel
from sciml_lib.regimes import Regime

SWEEP = "pinn/convection/lbfgs"
T = 3.8e-3
TRAIN, TEST = as_published("PINN", "train_loss", hidden=1e-5), as_published("PINN", "test_error", hidden=0.01)


def made(train: Number, test: Number, sweep: str = SWEEP, **options) -> Panel:
    return Panel(runs(sweep, "paper", train, test, 3, **options))


def turned(c: float, n: int, s: int) -> float:
    """High for slow waves where points are few, and only just."""
    return 1.05 * T if c <= 8 and n < 1000 else 1e-5


def wrong(c: float, n: int, s: int) -> float:
    """A test error that is high where points are plenty, and low in Regime II."""
    return 1.0 if n > 2000 else 0.01


WORLDS = {
    "perfect": made(TRAIN, TEST),
    # Two of the seeds have the published labels; one is high everywhere, and so are the means.
    "equal": made(lambda c, n, s: 1.0 if s == 0 else TRAIN(c, n, s), TEST),
    # One seed of one cell is all that is not in Regime I.
    "doubtful": made(lambda c, n, s: 1.0 if (c, n, s) == (70, 25_000, 0) else 1e-5, lambda *_: 0.01),
    "broken": made(turned, wrong),
    "one regime": made(lambda *_: 1e-5, lambda *_: 0.01),
}


def readings(panel: Panel, *names: str) -> dict[str, Reading]:
    found = maps.readings_of(panel)
    return {name: found[name] for name in names or found if names or name != "regimes"}


def test_the_claims_on_a_published_map_can_hold_stay_open_and_fail() -> None:
    *poorer, smoke = less(WORLDS["broken"])
    check_readings(
        perfect=readings(WORLDS["perfect"]), equal=readings(WORLDS["equal"]), broken=readings(WORLDS["broken"]),
        less=[readings(one) for one in poorer], smoke=readings(smoke),
    )  # fmt: skip


def test_the_three_regimes_can_be_there_doubtful_and_lost() -> None:
    high = made(lambda *_: 1.0, lambda *_: 1.0)
    cut, two, one, spent, smoke = less(high)
    check_readings(
        perfect=readings(WORLDS["perfect"], "regimes"), equal=readings(WORLDS["doubtful"], "regimes"),
        broken=readings(WORLDS["one regime"], "regimes"), less=[readings(p, "regimes") for p in (cut, two, one, spent)],
        smoke=readings(smoke, "regimes"),
    )  # fmt: skip
    assert readings(high, "regimes")["regimes"].outcome is Outcome.FAILS


def test_labels_that_the_figure_leaves_open_do_not_decide() -> None:
    """So many labels differ that the uncertain ones alone bring kappa below its limit."""
    theirs = WORLDS["perfect"].published_labels
    doubt, label = theirs["uncertain"].to_series().to_dict(), theirs["label"].to_series().to_dict()
    moved = [cell for cell in label if label[cell] == Regime.I and not doubt[cell]][:14] + [c for c in label if doubt[c]]
    other = lambda *cell: 1e-5 if label[cell] == Regime.II else 1.0  # noqa: E731
    found = readings(made(lambda c, n, s: other(c, n) if (c, n) in moved else TRAIN(c, n, s), TEST), "labels")["labels"]
    assert found.right is None and found.outcome is Outcome.OPEN, found


def test_a_pattern_of_two_thirds_is_one_and_half_is_none() -> None:
    assert [maps.pattern(x) for x in ([0.7], [0.5], [0.3], [0.7, 0.3], [0.7, np.nan])] == [True, None, False, False, None]


def test_readings_that_disagree_decide_nothing_together() -> None:
    parts = {name: readings(WORLDS[name], "scarce")["scarce"] for name in ("perfect", "broken")}
    both = maps.joined(parts)
    assert both.right is None and both.outcome is Outcome.OPEN and all(name in both.found for name in parts)
    alone = maps.joined({"perfect": parts["perfect"]})
    assert alone.found == parts["perfect"].found and alone.outcome is Outcome.HOLDS
    poor = replace(parts["perfect"], scope=replace(parts["perfect"].scope, seeds=2), units=1)
    least = maps.joined({"a": parts["perfect"], "b": poor})
    assert (least.scope.seeds, least.units) == (2, 1)


def test_every_panel_is_judged_by_itself() -> None:
    key = "alm-reaction"
    three = lambda c, n, s: 0.9 if n < 500 else 0.01  # noqa: E731
    sweeps: Mapping[str, str] = maps.PANELS
    top = {name: max(made(steep(0), three, sweep).runs["coefficient"].values) for name, sweep in sweeps.items()}
    full = {name: made(lambda c, n, s, t=top[name]: 1.0 if c == t else 1e-6, three, sweep) for name, sweep in sweeps.items()}
    full[key] = made(lambda *_: 1e-6, lambda *_: 0.01, sweeps[key])
    found = {verdict.claim.id: verdict.outcome for verdict in ledger.judged(maps, full)}
    assert found.pop(f"maps-{key}") is Outcome.FAILS and set(found.values()) == {Outcome.HOLDS}


def test_the_claims_have_ids_of_their_own_and_places_in_the_paper() -> None:
    known = ledger.claims()
    assert len(known) == sum(len(module.CLAIMS) for module in ledger.MODULES)
    assert "paper Fig. 8(c)" in known["maps-alm-wave"].where and "appendix E" in known["maps-alm-wave"].where
    assert "section 2.3" in known["maps-lbfgs-reaction"].where
    assert {one.id for one in ledger.convection.CLAIMS} == {f"convection-{n}" for n in maps.readings_of(WORLDS["equal"])}
