"""Where the rows of a map first rise above a threshold, and whether two maps place their borders differently."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from sciml_lib.errors import UserError
from sciml_lib.panels import Panel
from sciml_lib.regimes import STRATEGY_NAMES, Regime
from sciml_lib.regimes.bootstrap import crossings as row_crossings

BASE = STRATEGY_NAMES["lbfgs"]
"""The strategy that the others are compared with."""

RESOLUTION = 0.5
"""Two borders that are nearer than this, in cells, are the same: the grid does not tell them apart."""


class Words(NamedTuple):
    """How the axes of a map are called in sentences: the coefficient, the letter of an amount of data, and its unit."""

    symbol: str
    letter: str
    unit: str


def panel_words(panel: Panel) -> Words:
    """The words for a panel's axes, from its system."""
    system = panel.system
    return Words(system.coefficient_label, system.data_symbol, system.data_words)


def has(panel: Panel, cell: Mapping[str, float]) -> bool:
    """Whether a cell is on the panel's grid."""
    return all(value in panel.runs[axis].values for axis, value in cell.items())


def at(panel: Panel, n_data: int, kind: str = "train") -> dict[str, float] | None:
    """The border of one row as coefficients: ``crossing``, ``lower``, ``upper``; None if it is not known."""
    if n_data not in panel.runs["n_data"]:
        return None
    row = panel.crossings.sel(boundary=kind, n_data=n_data)
    here = {name: float(row[name]) for name in ("crossing", "lower", "upper")}
    return None if np.isnan(here["crossing"]) else here


def published_at(panel: Panel, n_data: int) -> float:
    """Where a row of the published map of this model crosses the training threshold, as a coefficient.

    Returns:
        Infinite where the whole row is below, minus infinite where it is above from the start; NaN where the figure does not
        show the crossing, or has no such map.
    """
    try:
        theirs = panel.published
    except UserError:
        return np.nan
    if panel.sweep != theirs.attrs["sweep"] or n_data not in theirs["n_data"]:
        return np.nan
    train, test = (
        theirs[name].sel(n_data=[n_data]).transpose("coefficient", "n_data") for name in ("train_loss", "test_error")
    )
    place = float(row_crossings(train.values[None], test.values[None], panel.thresholds)[0].squeeze())
    return (
        float(np.interp(place, np.arange(train.sizes["coefficient"]), theirs["coefficient"])) if np.isfinite(place) else place
    )


def amounts(panel: Panel) -> list[int]:
    """The amounts of data of a map."""
    return [int(n) for n in panel.runs["n_data"].values]


def returns(panel: Panel, n_data: int) -> bool:
    """Whether the training loss of a row is low again behind the first cell of Regime II."""
    row = panel.labels.sel(n_data=n_data).values
    under = np.flatnonzero(row == Regime.II)
    return bool(under.size) and bool(np.isin(row[under[0] :], (Regime.I, Regime.III)).any())


def places(panels: Mapping[str, Panel], kind: str = "train") -> pd.DataFrame:
    """The border of every row of several maps, by their own thresholds and by those of the base.

    Args:
        panels: the maps by the names of their strategies, :data:`BASE` among them.
        kind: ``train`` or ``test``; the test error counts only before the training loss has risen.

    Returns:
        One row a map, judge and amount of data: ``strategy``, ``judge`` (``own``, or :data:`BASE` where the thresholds are
        those of its map), ``n_data``, ``crossing`` (a coefficient; infinite beyond the last one, minus infinite before the
        first, NaN if not run), and whether the training loss ``returns`` below its threshold behind it. Maps with one pair
        of thresholds are judged once.
    """
    base = panels[BASE]
    common = len({panel.thresholds for panel in panels.values()}) == 1
    rows = []
    for judge in ("own",) if common else ("own", BASE):
        for name, panel in panels.items():
            if judge == BASE == name:
                continue
            judged = panel if judge == "own" else panel.with_thresholds_of(base)
            for n in amounts(base):
                here = at(judged, n, kind)
                row = {"strategy": name, "judge": judge, "n_data": n, "crossing": here["crossing"] if here else np.nan}
                rows.append(row | {"returns": bool(here) and kind == "train" and returns(judged, n)})
    return pd.DataFrame(rows)


def shifts(panels: Mapping[str, Panel], kind: str = "train") -> pd.DataFrame:
    """Where each map's border lies beyond that of the base, row by row, see :func:`shift`.

    Args:
        panels: the maps by the names of their strategies, :data:`BASE` among them.
        kind: ``train`` or ``test``.

    Returns:
        1, -1 or 0, by strategy (all but the base) and amount of data.
    """
    base = panels[BASE]
    signs = {
        name: {n: shift(panel, base, n, kind) for n in amounts(base)} for name, panel in panels.items() if name != BASE
    }  # fmt: skip
    return pd.DataFrame.from_dict(signs, orient="index", columns=amounts(base))


def shift(panel: Panel, base: Panel, n_data: int, kind: str = "train") -> int:
    """Whether a row's border lies beyond the base's: 1 at a larger coefficient, -1 at a smaller one, 0 if not.

    It does if the bands do not overlap and leave a gap that the grid can show, by the thresholds of its own row of Table 5
    *and* by those of the base.
    """
    grid = base.runs["coefficient"].values
    signs = [
        _beyond(at(judged, n_data, kind), at(base, n_data, kind), grid) for judged in (panel, panel.with_thresholds_of(base))
    ]
    return signs[0] if signs[0] == signs[1] else 0


def unbounded(panel: Panel, kind: str = "train") -> list[int]:
    """The rows whose border, or the upper end of whose band, lies beyond the map: no border can be seen farther out."""
    ends = {n: here for n in amounts(panel) if (here := at(panel, n, kind)) is not None}
    return [n for n, here in ends.items() if np.isposinf(_ends(here)[1])]


def cells_apart(grid: np.ndarray, a: float, b: float) -> float:
    """Distance of two coefficients in cells of a grid; a place beyond its edge counts as one cell farther out."""
    if a == b:
        return 0.0
    place = [np.interp(x, grid, np.arange(grid.size), left=-1.0, right=float(grid.size)) for x in (a, b)]
    return float(abs(place[0] - place[1]))


def _ends(here: Mapping[str, float]) -> tuple[float, float]:
    """The band of a border; with one seed there is none, and it is the border itself."""
    low, high = (here["crossing"] if np.isnan(here[end]) else here[end] for end in ("lower", "upper"))
    return low, high


def _beyond(here: dict[str, float] | None, base: dict[str, float] | None, grid: np.ndarray) -> int:
    if here is None or base is None:
        return 0
    (low, high), (base_low, base_high) = _ends(here), _ends(base)
    if low > base_high and cells_apart(grid, low, base_high) >= RESOLUTION:
        return 1
    return -1 if high < base_low and cells_apart(grid, high, base_low) >= RESOLUTION else 0
