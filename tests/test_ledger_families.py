"""What the ledger says of model families whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from ledger_cases import check_readings
from made_runs import Number, as_published, less, rising, runs, steep
from made_runs import pendulum as made

from sciml_lib import ledger, rollouts
from sciml_lib.ledger import Outcome, Reading, families, maps
from sciml_lib.panels import Panel
from sciml_lib.sweeps import catalog

TRAIN, TEST = as_published("NODE", "train_loss", hidden=1e-6), as_published("NODE", "test_error")


def noisy(number: Number) -> Number:
    """Rows that are not all alike."""
    return lambda c, n, s: number(c, n, s) * (1 + n / 1e4)


def node(train: Number, test: Number = lambda *_: 0.5, variant: str = "adam") -> Panel:
    return made(variant, train, test, "node", 3)


def pinn(train: Number) -> Panel:
    return Panel(runs("pinn/convection/lbfgs", "paper", train, lambda *_: 0.01, 3))


def growing(power: float, level: float) -> Number:
    """A loss that grows with a power of the coefficient and is at the threshold at a coefficient of 7."""
    return noisy(lambda c, n, s: level * (c / 7) ** power)


# --- transitions -----------------------------------------------------------------------------------------------

FLOOR = 5.21e-5


def test_a_transition_can_be_sharper_alike_or_smoother() -> None:
    gradual, sharp = node(growing(1, FLOOR)), node(growing(9, FLOOR))

    def reading(panel: Panel, other: Panel) -> dict[str, Reading]:
        return {"sharper": families._sharper(panel, other)}

    jump, slow = pinn(noisy(steep(25))), pinn(growing(2, 3.8e-3))
    *poorer, smoke = less(slow)
    check_readings(
        perfect=reading(jump, gradual), equal=reading(pinn(growing(1, 3.8e-3)), gradual), broken=reading(slow, sharp),
        less=[reading(one, sharp) for one in poorer], smoke=reading(smoke, sharp),
    )  # fmt: skip
    assert families._sharper(pinn(lambda *_: 1e-6), gradual).outcome is Outcome.OPEN


def test_the_floor_of_the_time_step_is_no_part_of_a_transition() -> None:
    """Above its floor the loss rises a thousandfold, and with it by less than three times."""
    floor = rollouts.euler_floor(made("adam", lambda *_: 1.0))
    values = floor.to_series().to_dict()
    panel = made("adam", lambda c, n, s: values[c, n] + (1e-6 if c >= 8 else 1e-9))
    steepness = families.structure.rises(panel.train, panel.thresholds.train, floor)
    assert len(steepness) and steepness["factor"].median() < 20
    assert steepness["exponent"].to_numpy() == pytest.approx(np.log(1e3) / np.log(8 / 6))
    # A row whose floor alone passes the threshold has no border of its own.
    low = floor.to_series().median()
    left = families.structure.rises(panel.train, low, floor)
    assert not {int(n) for n in left.index} & {int(n) for n in floor["n_data"].values if (floor.sel(n_data=n) > low).all()}


def test_readings_of_the_updates_that_disagree_leave_a_claim_open() -> None:
    flat = made("adam", growing(4, 1.12e-6), n_seeds=3)
    found = {name: families._sharper(flat, node(growing(p, FLOOR))) for name, p in (("a", 1), ("b", 30))}
    assert [one.right for one in found.values()] == [True, False] and maps.joined(found).outcome is Outcome.OPEN


# --- the published maps ------------------------------------------------------------------------------------------


def test_a_published_map_has_come_out_again_by_the_best_reading() -> None:
    parts = {families.CODE: node(lambda *c: TRAIN(*c) / 2, TEST), families.OWN: node(TRAIN, TEST, "adam-own")}
    found = families._judged(parts, parts | {families.TEXT: node(lambda *c: TRAIN(*c) / 9, TEST, "adam-plain")})
    assert found["labels"].outcome is Outcome.HOLDS and found["labels"].found.startswith("own batches: 61 of 61")
    assert "as in the code" in found["labels"].found and "the text" in found["labels"].found
    assert found["each"].outcome is Outcome.HOLDS and set(found) == {"regimes", *maps.TESTS}
    # Of all else both readings have to say the same.
    assert found["hard"].right is True and "as in the code" in found["hard"].found


# --- which training the published map shows ----------------------------------------------------------------------


def variants(names: tuple[str, ...] = ("Adam", "L-BFGS", "ALM"), **factors: float) -> dict[str, Panel]:
    """PINODEs with the published values over a factor each, 1 for Adam and 8 for the others if nothing is said."""
    train, test = as_published("PINODE", "train_loss", hidden=1e-6), as_published("PINODE", "test_error")
    found = {}
    for name in names:
        variant = families.PINODE[name]
        factor = factors.get(variant, 1.0 if variant == "adam" else 8.0)
        found[name] = made(variant, lambda *c, f=factor: train(*c) / f, test, n_seeds=3)
    return found


def test_the_nearest_of_all_variants_is_found() -> None:
    def reading(panels: dict[str, Panel]) -> dict[str, Reading]:
        return {"trained": families._trained(panels, "L-BFGS")}

    broken = variants()
    cut = [dict(zip(broken, ones, strict=True)) for ones in zip(*map(less, broken.values()), strict=True)]
    check_readings(
        perfect=reading(variants(adam=8.0, lbfgs=1.0)), equal=reading(variants(lbfgs=1.0)), broken=reading(broken),
        less=[reading(one) for one in cut[:-1]], smoke=reading(cut[-1]),
    )  # fmt: skip
    found = reading(broken)["trained"].found
    assert "(Adam)" in found


def test_every_variant_of_the_pinode_is_a_rival() -> None:
    known = {name.rsplit("/", 1)[-1] for name in catalog.ids() if name.startswith("pinode/")}
    assert known == set(families.PINODE.values()) and set(families.NODE.values()) <= {
        name.rsplit("/", 1)[-1] for name in catalog.ids() if name.startswith("node/")
    }


def test_every_claim_has_a_reading() -> None:
    readings = {name: node(rising(8, 1e-6, 1e-4), variant=variant) for name, variant in families.NODE.items()}
    found = ledger.judged(families, pinn(steep(25)), readings, variants(tuple(families.PINODE)))
    assert [one.claim.id for one in found] == [one.id for one in families.CLAIMS]
    assert isinstance(families.floor_of(variants()["Adam"]), xr.DataArray) and families.floor_of(node(steep(8))) == 0.0
