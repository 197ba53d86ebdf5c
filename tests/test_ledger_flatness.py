"""The claims on flatness at a high training loss, on maps whose truth is known."""

from __future__ import annotations

from functools import cache, lru_cache

import numpy as np
import pytest
from ledger_cases import Gathered, check_contract, once
from made_runs import measured

from sciml_lib.analysis import flatness as analysis
from sciml_lib.analysis.constants import constant_loss
from sciml_lib.ledger import Outcome, flatness
from sciml_lib.optim import Status
from sciml_lib.panels import Panel
from sciml_lib.studies.cells import REACTION_DIFFUSION
from sciml_lib.sweeps.spec import Cell

PANEL = measured(REACTION_DIFFUSION, "laptop", lambda *_: 1e-5, lambda *_: 0.01, lambda *_: 1.0)
ZERO, ERROR = constant_loss(PANEL, 0.0), analysis.constant_error
FALLS = {"right": (1.1, 1.2, 1.1), "equal": (1.1, 9.0, 1.1), "wrong": (9.0, 8.0, 9.0)}
"""By what factor the loss of three seeds falls when they go on."""


@pytest.fixture(autouse=True)
def _references_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error of a constant takes a reference solution, which is the same for all maps."""
    known = lru_cache(lambda value, c: ERROR(PANEL, value, c))
    monkeypatch.setattr(analysis, "constant_error", lambda panel, value, c: known(value, c))


def stuck(c: float, n: int) -> bool:
    return c >= 15 and n > 10


@cache
def world(
    kind: str, n_seeds: int = 3, profile: str = "paper", ended: Status = Status.LINE_SEARCH_FAILED, rows: int = 99
) -> Gathered:
    """At u = 0 from rho = 15 on with more than ten points, solved elsewhere; if it is ``below``, the same below 15."""
    below = kind == "below"
    high = (lambda c, n: c < 15 and n > 10) if below else stuck
    flat, iterations = {"right": (1e-3, 2010), "equal": (1.0, 3000), "wrong": (1e3, 9000), "below": (1e-3, 9000)}[kind]
    panel = measured(
        REACTION_DIFFUSION, profile,
        lambda c, n, s: 0.98 * ZERO if high(c, n) else 1e-5,
        lambda c, n, s: 0.999 if high(c, n) else 0.01,
        lambda c, n, s: (flat if high(c, n) else 1.0) * (1 if kind == "equal" else c**2),
        n_seeds, lambda *_: ended.label,
        iterations=lambda c, n, s: iterations if high(c, n) else 3000,
    )  # fmt: skip
    panel = Panel(panel.runs.isel(n_data=slice(rows)))
    pairs = [(float(c), int(n)) for c in panel.runs["coefficient"].values for n in panel.runs["n_data"].values]
    falls = FALLS["wrong" if below else kind]
    return panel, {Cell(c, n, s): falls[s] for c, n in pairs if stuck(c, n) for s in range(n_seeds)}


def test_every_claim_can_come_out_in_every_way() -> None:
    def broken(name: str, **less: object) -> Gathered:
        return world("below" if name == "flatness-pronounced" else "wrong", **less)

    check_contract(
        once(flatness),
        perfect=lambda _: world("right"),
        equal=lambda _: world("equal"),
        broken=broken,
        less=lambda name: [
            broken(name, n_seeds=1),
            broken(name, n_seeds=2),
            broken(name, ended=Status.BUDGET_SPENT),
            broken(name, rows=4),
        ],
        smoke=lambda name: broken(name, profile="smoke"),
    )


def test_how_a_run_ended_does_not_tell_a_plateau_from_a_solution() -> None:
    """All of them at a constant, their line searches failed: that decides nothing."""
    for kind in ("right", "wrong"):
        reading = flatness.read(world(kind)[0])["flatness-stalls"]
        assert reading.outcome is Outcome.OPEN and reading.right is None
        n = 3 * sum(stuck(*pair) for pair in PANEL.plan.sweep.at("paper").pairs)
        assert f"{n} of {n} such runs are at a constant" in reading.found
        assert (f"{n} (100 %) ended within 100 iterations" in reading.found) == (kind == "right")


def test_the_square_of_the_coefficient_is_divided_out() -> None:
    """Flatter than elsewhere at the same rho, and yet steeper than most of the map."""
    panel = measured(
        REACTION_DIFFUSION, "paper",
        lambda c, n, s: ZERO if stuck(c, n) else 1e-5, lambda c, n, s: 1.0 if stuck(c, n) else 0.01,
        lambda c, n, s: c**2 * (0.5 if stuck(c, n) else 1.0), 3,
    )  # fmt: skip
    found = flatness.read(panel)
    assert found["flatness-flatter"].outcome is Outcome.HOLDS and found["flatness-small"].outcome is Outcome.OPEN
    cells = sum(stuck(*pair) for pair in panel.plan.pairs)
    text = found["flatness-small"].found
    assert text.startswith(f"of {cells} such cells 0 have a smaller") and text.endswith(f"and {cells} a smaller λ_max/ρ²")


def test_a_cell_without_others_at_its_coefficient_has_no_say() -> None:
    everywhere = measured(
        REACTION_DIFFUSION, "paper", lambda c, n, s: ZERO if c >= 15 else 1e-5, lambda c, n, s: 1.0 if c >= 15 else 0.01,
        lambda c, n, s: 1e-3 if c >= 15 else 1.0, 3,
    )  # fmt: skip
    found = flatness.read(everywhere)
    assert [found[f"flatness-{name}"].units for name in ("flatter", "pronounced", "early")] == [0, 0, 0]
    assert found["flatness-small"].right and np.isfinite(found["flatness-small"].scope.by_budget)
