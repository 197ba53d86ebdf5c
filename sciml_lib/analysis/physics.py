"""Four equations: where they live, runs that have ended at a constant solution, and how far a constant gets."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from sciml_lib.analysis.constants import NEAR, constant_error, constant_loss
from sciml_lib.analysis.maps import ended_early
from sciml_lib.optim import Status
from sciml_lib.panels import Panel
from sciml_lib.regimes import Regime


def equations(panels: Mapping[str, Panel]) -> pd.DataFrame:
    """Where each equation lives, and which coefficients were swept in the paper and here.

    Returns:
        For each map: ``x`` and ``t``, the ends of the domain as pairs, the ``symbol`` of the coefficient, and the least and
        greatest coefficient ``paper`` and ``here``, as pairs.
    """
    found = {}
    for name, panel in panels.items():
        paper, here = panel.plan.sweep.coefficients, panel.runs["coefficient"].values
        found[name] = {
            "x": panel.system.x_range,
            "t": panel.system.t_range,
            "symbol": panel.system.coefficient_label,
            "paper": (paper[0], paper[-1]),
            "here": (float(here[0]), float(here[-1])),
        }
    return pd.DataFrame.from_dict(found, orient="index")


def at_zero(panels: Mapping[str, Panel]) -> pd.DataFrame:
    """How many runs in Regime II have ended at the constant zero, by training loss and test error alike.

    Where zero solves the equation and fits the boundary its training loss is what the initial values alone cost.

    Returns:
        For each map: the training loss of the constant (``level``), the training ``threshold``, the ``runs`` in cells of II,
        those of them that are at ``zero`` within 5 per cent, and of these the ones that ended within 100 iterations of
        their warm-up (``early``) and the ones whose line search found no lower point (``stalled``).
    """
    found = {}
    for name, panel in panels.items():
        level = constant_loss(panel, 0.0)
        train, test = panel.seeded("train_loss"), panel.seeded("test_error")
        under = panel.labels == Regime.II
        zero = (np.abs(train / level - 1.0) < NEAR) & (np.abs(test - 1.0) < NEAR) & under
        found[name] = {
            "level": level,
            "threshold": panel.thresholds.train,
            "runs": int((np.isfinite(test) & under).sum()),
            "zero": int(zero.sum()),
            "early": int((zero.values & ended_early(panel)).sum()),
            "stalled": int((zero & (panel.seeded("status") == Status.LINE_SEARCH_FAILED.label)).sum()),
        }
    return pd.DataFrame.from_dict(found, orient="index")


def constant_guess(panel: Panel, value: float = 1.0) -> pd.DataFrame:
    """How well a constant does, coefficient by coefficient, beside the runs and the error of the reference.

    Returns:
        For each coefficient: the test error of the ``constant``, whether it ``passes`` the threshold, the ``lowest`` error of
        a cell, the error of the ``reference``, and the number of cells in Regime I that are ``beaten``: no better than the
        constant.
    """
    found = {}
    for c in panel.runs["coefficient"].values.tolist():
        guess, errors = constant_error(panel, value, c), panel.test.sel(coefficient=c)
        well = errors.values[panel.labels.sel(coefficient=c).values == Regime.I]
        found[c] = {
            "constant": guess,
            "passes": guess <= panel.thresholds.test,
            "lowest": float(errors.min()),
            # The splitting is of first order, so that of the finer step there is a fiftieth left.
            "reference": panel.system.reference_error(c, refine=50) / (1 - 1 / 50),
            "beaten": int((well >= guess).sum()),
        }
    return pd.DataFrame.from_dict(found, orient="index")
