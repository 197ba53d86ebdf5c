"""The one rule that turns a reading into an outcome, and how claims and readings belong together."""

from __future__ import annotations

import dataclasses
import math
import types

import pytest

from sciml_lib import ledger, report
from sciml_lib.errors import NotStored, UserError
from sciml_lib.ledger import Claim, Outcome, Reading, Scope, Settling, Verdict, settling

WHOLE = Scope("paper", cells=1.0, seeds=3)
RIGHT, WRONG = Reading("so", True, WHOLE, units=5), Reading("not so", False, WHOLE, units=5)


def with_scope(reading: Reading, **changes: object) -> Reading:
    return dataclasses.replace(reading, scope=dataclasses.replace(reading.scope, **changes))


def test_complete_evidence_decides() -> None:
    assert (RIGHT.outcome, WRONG.outcome) == (Outcome.HOLDS, Outcome.FAILS)
    assert RIGHT.reason == WRONG.reason == "" and RIGHT.lacking == []


@pytest.mark.parametrize(
    ("changes", "right", "wrong"),
    [
        ({"cells": 0.9}, Outcome.SUGGESTS, Outcome.AGAINST),
        ({"cells": 0.2}, Outcome.OPEN, Outcome.OPEN),
        ({"seeds": 2}, Outcome.SUGGESTS, Outcome.AGAINST),
        ({"seeds": 1}, Outcome.OPEN, Outcome.OPEN),
        ({"profile": "smoke"}, Outcome.OPEN, Outcome.OPEN),
        # Runs that ended by themselves would have ended there with any budget.
        ({"budget": 0.1}, Outcome.HOLDS, Outcome.FAILS),
        ({"budget": 0.1, "by_budget": 0.0}, Outcome.HOLDS, Outcome.FAILS),
        ({"budget": 0.1, "by_budget": 0.05}, Outcome.SUGGESTS, Outcome.AGAINST),
        ({"budget": 0.1, "by_budget": 0.5}, Outcome.SUGGESTS, Outcome.OPEN),
        ({"by_budget": 0.5}, Outcome.HOLDS, Outcome.OPEN),
    ],
)
def test_what_is_missing_weakens_the_outcome(changes: dict[str, object], right: Outcome, wrong: Outcome) -> None:
    ours, theirs = with_scope(RIGHT, **changes), with_scope(WRONG, **changes)
    assert (ours.outcome, theirs.outcome) == (right, wrong)
    assert bool(theirs.reason) == (wrong is not Outcome.FAILS)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"right": None}, "the test cannot decide"),
        ({"clear": False}, "within its noise"),
        ({"units": 2, "needed": 3}, "only 2 cells"),
    ],
)
def test_a_test_that_cannot_decide_leaves_both_open(changes: dict[str, object], reason: str) -> None:
    for reading in (RIGHT, WRONG):
        found = dataclasses.replace(reading, **changes)
        assert found.outcome is Outcome.OPEN and reason in found.reason


def test_a_test_that_the_published_map_fails_never_says_that_the_paper_is_wrong() -> None:
    for passes, wrong in ((True, Outcome.FAILS), (None, Outcome.FAILS), (False, Outcome.OPEN)):
        assert dataclasses.replace(WRONG, published=passes).outcome is wrong
        assert dataclasses.replace(RIGHT, published=passes).outcome is Outcome.HOLDS


def test_the_evidence_names_every_share_of_the_contract() -> None:
    words = with_scope(WRONG, cells=0.5, budget=0.04, by_budget=0.25).evidence
    for part in ("5 cells", "3 seeds", "50 %", "4 %", "25 %"):
        assert part in words


def module(*ids: str, readings: tuple[str, ...] | None = None) -> types.ModuleType:
    made = types.ModuleType("made")
    made.TITLE = "Made"
    made.CLAIMS = tuple(Claim(name, "section 1", "it is so", "all", "it is", "regimes/pinn_convection") for name in ids)
    made.gather = lambda source: (source,)
    made.read = lambda source: dict.fromkeys(ids if readings is None else readings, RIGHT)
    return made


def test_every_claim_has_one_reading_and_one_name() -> None:
    found = ledger.verdicts(modules=[module("a", "b")])
    assert [one.claim.id for one in found] == ["a", "b"]
    assert ledger.counts(found)[Outcome.HOLDS] == 2 and sum(ledger.counts(found).values()) == 2
    for wrong in (("a",), ("a", "b", "c")):
        with pytest.raises(UserError, match=r"made does not have one claim and one reading of [bc]"):
            ledger.verdicts(modules=[module("a", "b", readings=wrong)])
    with pytest.raises(UserError, match="two claims of the ledger are called a"):
        ledger.claims([module("a"), module("a")])


def test_claims_whose_runs_are_not_stored_are_open_and_the_others_are_judged() -> None:
    def nothing(source: ledger.Source) -> None:
        raise NotStored("no runs of a; train them with `it`")

    gone = module("a", "b")
    gone.gather = nothing
    found = ledger.by_module(modules=[gone, module("c")])
    assert [(one.outcome, one.reading.reason) for one in found[gone]] == [(Outcome.OPEN, "not run")] * 2
    assert (
        "train them with `it`" in found[gone][0].reading.found
        and ledger.counts(ledger.verdicts(modules=[*found]))[Outcome.HOLDS] == 1
    )


def test_an_unknown_claim_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match="strategies-border-lbfgs"):
        ledger.module_of("strategies-border-lbfg")


def test_every_chapter_of_a_claim_exists_and_every_settling_run_can_be_planned() -> None:
    from sciml_lib.sweeps.provenance import ROOT

    for one in ledger.claims().values():
        assert (ROOT / "book" / f"{one.chapter}.py").is_file(), one.id
        assert one.words and one.scope and one.criterion and one.where.startswith(("section", "appendix")), one.id
        if one.settles is not None:
            settling.cost(one.settles)


def test_the_plan_lists_what_is_not_settled_with_its_cost() -> None:
    settles = Settling("a run", "pinn/convection/alm", n_data=(1000,), seeds=1)
    some = Claim("x", "section 1", "it is so", "all", "it is", "x", settles)
    none = dataclasses.replace(some, id="y", settles=None)
    open_ = dataclasses.replace(RIGHT, right=None)
    found = settling.plan([Verdict(some, open_), Verdict(none, open_), Verdict(none, RIGHT)])
    assert list(found.index) == ["x", "y"]
    # Twelve coefficients; the laptop's runs have another budget, so nothing is known of their time.
    assert found.missing["x"] == 12 and math.isnan(found.seconds["x"])
    assert "--n-data 1000" in found.command["x"] and found.command["y"] == ""
    assert settling.cost(Settling("", "pinn/convection/lbfgs", n_data=(100,), seeds=1)).runs == 0


def test_the_table_of_claims_has_the_evidence_and_a_link_each_way() -> None:
    (one,) = ledger.verdicts(modules=[module("a")])
    assert 'id="a"' in report.claims_table([one], home=True) and 'claims.html#a"' in report.claims_table([one])
    assert "5 cells" in report.claims_table([one])
    assert report.outcomes([one, Verdict(one.claim, WRONG)]) == "1 holds and 1 does not hold"
