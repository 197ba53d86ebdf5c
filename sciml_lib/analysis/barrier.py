"""Curves between solutions: how far the loss rises on the way, and what the test error does meanwhile."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy import stats

from sciml_lib import figures
from sciml_lib.analysis.cells import cell_name
from sciml_lib.analysis.strategies import BUDGET_ENDED
from sciml_lib.landscape import connectivity
from sciml_lib.regimes.thresholds import Thresholds, of_panel
from sciml_lib.strategies import Strategy
from sciml_lib.studies import Item, Results
from sciml_lib.studies.base import Arrays
from sciml_lib.studies.cells import CONVECTION
from sciml_lib.studies.curves import TARGET, end_seed
from sciml_lib.sweeps import catalog

PAIRS = {"own": "own start", "same": "same seed", "other": "another seed"}
"""What stands at t = 0: where the run of ALM itself was when its constraints came in, or a finished run of L-BFGS."""

KINDS = {"bezier": "trained curve", "straight": "straight line"}

RISE = 1.1
"""A loss that rises on the way to no more than this many times the higher end meets no barrier. Our choice."""

FINER = 10.0
"""One loss is far lower than another if it is so many times lower: half of the paper's two decades, in the logarithm."""


def low() -> Thresholds:
    """What counts as low here: the thresholds of Table 5 for L-BFGS."""
    return of_panel(CONVECTION)


def climbs(curves: Results) -> pd.DataFrame:
    """Every curve of the study, cell by cell, in the order of :data:`PAIRS`.

    Returns:
        One row a curve: ``coefficient``, ``n_data``, ``cell`` (its name), ``pair`` (a name of :data:`PAIRS`), ``seed`` of the
        end at t = 0 and ``end_seed`` of that at t = 1, ``kind`` (``bezier`` or ``straight``); ``cut``, whether the training of
        a trained curve ended because its iterations were used up, or nobody knows; ``run_cut``, the same of a run of ALM that
        the study trained; ``loss_0``, ``loss_1``, ``error_0`` and ``error_1`` at its ends; whether the pair is ``refined``, as
        the paper's is: coarse and inaccurate at t = 0, and far finer and accurate at t = 1;
        ``largest`` loss, the place ``at`` which it is, its ``height`` above the higher end, and by what ``factor`` it is
        larger, at least 1; whether the curve is ``clear`` of a barrier; mode connectivity over the ends' mean loss, by
        its definition (``argmax``) and by the formula that the paper prints (``argmin``).
    """
    rows, limit = [], low().test
    for item, kind, arrays in _paths(curves):
        t, loss, error = (arrays[name] for name in ("t", f"{kind}_loss", f"{kind}_error"))
        mean, column = 0.5 * (loss[0] + loss[-1]), torch.from_numpy(loss)[:, None]
        factor = float(loss.max() / max(loss[0], loss[-1]))
        rows.append(
            {
                **{"coefficient": item.coefficient, "n_data": item.n_data, "cell": cell_name(item)},
                **{"pair": item.variant, "seed": item.seed, "end_seed": end_seed(item), "kind": kind},
                "cut": kind == "bezier" and _cut(arrays, "status"),
                "run_cut": _cut(arrays, "run_status"),
                **{"loss_0": loss[0], "loss_1": loss[-1], "error_0": error[0], "error_1": error[-1]},
                "refined": bool(loss[0] >= FINER * loss[-1] and error[0] > limit >= error[-1]),
                "largest": float(loss.max()),
                "at": float(t[loss.argmax()]),
                "height": float(connectivity(column).barrier),
                "factor": factor,
                "clear": factor <= RISE,
                "argmax": float(connectivity(column).value / mean),
                "argmin": float(connectivity(column, "argmin").value / mean),
            }
        )
    return pd.DataFrame(rows)


def joined(rows: pd.DataFrame) -> pd.DataFrame:
    """The pairs of solutions, and whether some curve joins them without a barrier.

    Args:
        rows: what :func:`climbs` returns.

    Returns:
        One row a pair: ``cell``, ``pair``, ``seed``, ``end_seed``, ``coefficient``, ``n_data``, whether it is ``refined`` and
        ``clear``, and whether the training of its curve was ``cut`` short; ``factor``, by which the lower of its curves rises.
    """
    pairs = rows.groupby(["cell", "pair", "seed"], sort=False)
    parts = dict.fromkeys(("end_seed", "coefficient", "n_data", "refined"), "first")
    parts |= {"clear": "any", "cut": "any", "factor": "min"}
    return pairs.agg(parts).reset_index() if len(rows) else pd.DataFrame(columns=["cell", "pair", "seed", *parts])


def networks(rows: pd.DataFrame) -> pd.DataFrame:
    """The ends of all curves, each network once.

    Args:
        rows: what :func:`climbs` returns.

    Returns:
        One row a network: ``cell``, ``coefficient``, ``n_data``, ``seed``, ``name``, ``loss``, ``error``, whether the loss is
        ``low`` and whether it is ``right``, its error low.
    """
    limit, found = low(), []
    for row in rows.itertuples():
        here = {"cell": row.cell, "coefficient": row.coefficient, "n_data": row.n_data}
        own = row.pair == "own"
        first = f"{'ALM before its constraints' if own else 'L-BFGS'} (seed {row.seed})"
        found.append(here | {"seed": row.seed, "name": first, "loss": row.loss_0, "error": row.error_0})
        found.append(
            here | {"seed": row.end_seed, "name": f"ALM (seed {row.end_seed})", "loss": row.loss_1, "error": row.error_1}
        )
    columns = ["cell", "coefficient", "n_data", "seed", "name", "loss", "error"]
    every = pd.DataFrame(found, columns=columns).drop_duplicates(["cell", "name"], ignore_index=True)
    return every.assign(low=every["loss"] <= limit.train, right=every["error"] <= limit.test)


def while_low(curves: Results) -> pd.DataFrame:
    """What the test error does on the part of each trained curve on which the loss is low.

    Returns:
        One row a trained curve: ``cell``, ``pair``, ``points`` of the curve, how many of them are ``low``, the ``least`` and
        the ``most`` test error of those (NaN if there are none), and how many of those are ``wrong``.
    """
    limit, rows = low(), []
    for item, kind, arrays in _paths(curves):
        if kind == "bezier":
            loss = arrays["bezier_loss"]
            errors = arrays["bezier_error"][loss <= limit.train]
            least, most = (float(errors.min()), float(errors.max())) if errors.size else (np.nan, np.nan)
            row = {"cell": cell_name(item), "pair": item.variant, "points": loss.size, "low": errors.size}
            rows.append(row | {"least": least, "most": most, "wrong": int((errors > limit.test).sum())})
    return pd.DataFrame(rows)


def points(curves: Results) -> pd.DataFrame:
    """Loss and error of all points of all curves of a cell, each once: curves share their ends.

    Returns:
        One row a point: ``cell``, ``loss``, ``error``, whether the loss is ``low`` and whether the point is ``right``, its
        error low.
    """
    found = [
        pd.DataFrame({"cell": cell_name(item), "loss": arrays[f"{kind}_loss"], "error": arrays[f"{kind}_error"]})
        for item, kind, arrays in _paths(curves)
    ]
    every = pd.concat(found, ignore_index=True)
    with np.errstate(divide="ignore"):
        same = np.log10(every[["loss", "error"]]).round(5).assign(cell=every["cell"]).duplicated()
    every, limit = every[~same].reset_index(drop=True), low()
    return every.assign(low=every["loss"] <= limit.train, right=every["error"] <= limit.test)


def separation(loss: NDArray, right: NDArray) -> float:
    """Share of pairs (an accurate point, an inaccurate one) in which the accurate one has the lower loss; ties count half."""
    loss, right = np.asarray(loss), np.asarray(right)
    if right.all() or not right.any():
        return np.nan
    return float(stats.mannwhitneyu(loss[~right], loss[right]).statistic / (right.sum() * (~right).sum()))


def order(found: pd.DataFrame) -> pd.DataFrame:
    """How the test error goes with the training loss, cell by cell, and over all if there are several.

    Args:
        found: what :func:`points` returns.

    Returns:
        For each cell the number of ``points``, the ``rank`` correlation of loss and error, how many are ``right``, and in how
        many of all pairs the loss tells right from wrong, ``apart`` (see :func:`separation`).
    """
    groups = dict(list(found.groupby("cell", sort=False)))
    if len(groups) > 1:
        groups["all together"] = found
    rows = {
        name: {
            "points": len(group),
            "rank": _rank(group["loss"], group["error"]),
            "right": int(group["right"].sum()),
            "apart": separation(group["loss"], group["right"]),
        }
        for name, group in groups.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def inversions(rows: pd.DataFrame) -> pd.DataFrame:
    """Pairs of solutions of one cell of which the inaccurate one has the lower loss.

    Args:
        rows: what :func:`climbs` returns.

    Returns:
        One row a pair: ``cell``, and name, loss and error of the inaccurate one (``wrong``, ``wrong_loss``, ``wrong_error``)
        and of the accurate one (``right``, ``right_loss``, ``right_error``).
    """
    found = [
        {"cell": cell, "wrong": a.name, "wrong_loss": a.loss, "wrong_error": a.error}
        | {"right": b.name, "right_loss": b.loss, "right_error": b.error}
        for cell, group in networks(rows).groupby("cell", sort=False)
        for a in group[~group["right"]].itertuples()
        for b in group[group["right"]].itertuples()
        if a.loss < b.loss
    ]
    names = [f"{which}{part}" for which in ("wrong", "right") for part in ("", "_loss", "_error")]
    return pd.DataFrame(found, columns=["cell", *names])


def common_start(profile: str) -> tuple[str, str]:
    """What ALM goes through before its constraints, and up to what L-BFGS alone goes on; empty if it does not.

    Args:
        profile: of the sweeps of both ends.
    """
    ours, theirs = (catalog.get(sweep).at(profile).strategy.stages for sweep in (CONVECTION, TARGET))
    shared = 0
    while shared < min(len(ours), len(theirs)) and ours[shared] == theirs[shared]:
        shared += 1
    return Strategy(theirs[:-1]).words, ours[shared].words if shared < len(ours) else ""


def drawn(curves: Results) -> dict[str, list[figures.Curve]]:
    """The curves by the name of their cell, as :func:`sciml_lib.figures.curve_grid` draws them."""
    cells: dict[str, list[figures.Curve]] = {}
    for item, kind, arrays in _paths(curves):
        curve = figures.Curve(PAIRS[item.variant], kind, arrays["t"], arrays[f"{kind}_loss"], arrays[f"{kind}_error"])
        cells.setdefault(cell_name(item), []).append(curve)
    return cells


def _paths(curves: Results) -> list[tuple[Item, str, Arrays]]:
    """All curves, cell by cell, in the order of :data:`PAIRS`."""
    place = list(PAIRS).index
    found = sorted(curves.items.items(), key=lambda e: (e[0].n_data, e[0].coefficient, place(e[0].variant), e[0].seed))
    return [(item, kind, arrays) for item, arrays in found for kind in KINDS]


def _cut(arrays: Arrays, name: str) -> bool:
    """Whether something ended because its budget was used up; so it counts where that is not stored."""
    return str(arrays.get(name, BUDGET_ENDED[0])) in BUDGET_ENDED


def _rank(a: pd.Series, b: pd.Series) -> float:
    """Rank correlation; NaN where one of them has a single value, or there are fewer than three."""
    if len(a) < 3 or a.nunique() == 1 or b.nunique() == 1:
        return np.nan
    return float(stats.spearmanr(a, b).statistic)
