"""The borders of a map: how steeply a quantity rises across them."""

from __future__ import annotations

import numpy as np

from sciml_lib.panels import Panel


def jump(panel: Panel) -> float:
    """By what factor the training loss rises across the training border, in the median pair of neighbouring cells.

    Neighbours in either direction count if one of them is low and the other is high; NaN if there are none.
    """
    train, level = panel.train.values, panel.thresholds.train
    factors: list[float] = []
    for a, b in ((train[1:], train[:-1]), (train[:, 1:], train[:, :-1])):
        across = ((a <= level) & (b > level)) | ((b <= level) & (a > level))
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.maximum(a, b) / np.minimum(a, b)
        factors += ratio[across & np.isfinite(ratio)].tolist()
    return float(np.median(factors)) if factors else np.nan
