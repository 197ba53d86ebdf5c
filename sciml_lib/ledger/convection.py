"""What the paper says of the regime map of a PINN on the convection equation (paper Figs. 1(a), 2(a) and 3(b))."""

from __future__ import annotations

from sciml_lib.ledger import maps
from sciml_lib.ledger.contract import Reading, Settling, Source
from sciml_lib.panels import Panel

TITLE = "The regime map of a PINN (sections 2.1 and 2.2)"
SWEEP = "pinn/convection/lbfgs"
CLAIMS = maps.claims_of(
    "convection", "PINN", "Fig. 1(a)", "regimes/pinn_convection",
    Settling("all cells of the paper's map, with three seeds", SWEEP, seeds=3),
)  # fmt: skip


def gather(source: Source) -> tuple[Panel]:
    """The map of L-BFGS with every row that is stored."""
    return (source.panel(SWEEP, grown=True),)


def read(panel: Panel) -> dict[str, Reading]:
    """What the runs say of each claim."""
    return {f"convection-{name}": reading for name, reading in maps.readings_of(panel).items()}
