"""What section 2.2 of the paper says of several model families (paper Fig. 1)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from sciml_lib.ledger.maps import three_regimes
from sciml_lib.ledger.statement import FAILS, HOLDS, OPEN, Statement
from sciml_lib.prose import listed

STRUCTURE = {
    "NODEs and PINODEs show the three regimes (section 2.2, paper Fig. 1(d) and (e))": ["NODE", "PINODE"],
    "PINNs show the three regimes (section 2.2, paper Fig. 1(a))": ["PINN"],
}
"""The maps that a statement on regimes speaks of."""


def structure(shares: pd.DataFrame, scale: pd.DataFrame) -> list[Statement]:
    """Evaluates that the maps of all families have three regimes.

    Args:
        shares: what :func:`sciml_lib.analysis.maps.regime_shares` returns, PINN, NODE and PINODE among the maps.
        scale: what :func:`sciml_lib.analysis.maps.scale` returns.
    """
    return [three_regimes(claim, shares.loc[names], scale.loc[names]) for claim, names in STRUCTURE.items()]


def sharpness(jumps: Mapping[str, float]) -> list[Statement]:
    """Evaluates the paper's sentence that PINNs have sharper transitions than neural ODEs.

    Args:
        jumps: :func:`sciml_lib.analysis.families.jump` of each family, NaN for a map without a border.
    """
    known = {name: value for name, value in jumps.items() if np.isfinite(value)}
    text = listed(f"{value:.2g} ({name})" for name, value in known.items())
    found = f"the training loss rises across the border by a factor of {text} in the median pair of neighbouring cells"
    statements = []
    for claim, first, second in (
        ("transitions of PINNs are sharper than those of NODEs", "PINN", "NODE"),
        ("physics makes transitions sharper: those of PINODEs are sharper than those of NODEs", "PINODE", "NODE"),
    ):
        if first in known and second in known:
            statements.append(Statement(claim, found, HOLDS if known[first] > known[second] else FAILS))
        else:
            statements.append(Statement(claim, "one of the maps has no border", OPEN))
    return statements
