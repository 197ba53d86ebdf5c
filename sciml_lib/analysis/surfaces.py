"""Stored loss surfaces: how deep, how narrow and how broken they are, one row a surface."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pandas as pd

from sciml_lib import figures
from sciml_lib.analysis.cells import cell_name, coefficient_name
from sciml_lib.errors import UserError
from sciml_lib.landscape.shape import BARRIER, height_of, inner_basins, measure
from sciml_lib.studies import Item, Results

BARRIERS = (0.03, BARRIER, 0.3, 1.0)
"""Barriers that basins are counted with, in decades."""

VARIANTS = {"eigen": "eigenvectors", "random": "random directions", "wide": "eigenvectors, adapted"}
"""The planes that are cut through a network; the adapted one ends where the loss has risen by the recipe's factor."""

DIRECTIONS = {
    "eigen": ("first eigenvector", "second eigenvector"),
    "random": ("first random direction", "second random direction"),
    "wide": ("first eigenvector / radius", "second eigenvector / radius"),
}
"""Names of the axes by variant; where each surface has its own radius, in units of that."""

DECIMALS = 4
"""To so many decimals of a decade surfaces are drawn: the same page on every machine."""


def shapes(results: Results) -> pd.DataFrame:
    """What is measured on the stored surfaces.

    Returns:
        One row a surface: sweep, ``cell`` with the name of its equation, ``symbol`` (the coefficient in words), coefficient,
        n_data, seed, variant; the training ``loss`` of the network, the two leading eigenvalues ``lambda_1`` and
        ``lambda_2``, how far the surface reaches (``radius``) and its ``step`` from point to point; ``valley_points``, the
        number of points within a decade of the lowest; and what :class:`sciml_lib.landscape.shape.Shape` has, with a
        ``bowl`` of at least 0.
    """
    return pd.DataFrame([_row(item, arrays) for item, arrays in results.items.items()])


def ends(found: pd.DataFrame, sweep: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of a sweep's cells with the smallest and with the largest coefficient; empty for what is not there."""
    own = found[found["sweep"] == sweep]
    cells = [rows for _, rows in own.sort_values("coefficient", kind="stable").groupby(["coefficient", "n_data"], sort=False)]
    return (cells[0] if cells else own), (cells[-1] if len(cells) > 1 else own.iloc[:0])


def by_cell(found: pd.DataFrame) -> pd.DataFrame:
    """The rows of :func:`shapes` by cell and variant, in their order: each entry is the list over the seeds."""
    return found.groupby(["cell", "variant"], sort=False).agg(list).reset_index("variant")


def reaches(found: pd.DataFrame) -> pd.DataFrame:
    """How narrow the valleys are beside the paper's radius and beside the grid that is laid over it.

    Args:
        found: what :func:`shapes` returns.

    Returns:
        One row a network that has both surfaces along its eigenvectors, by cell and seed: ``reach``, within which the loss
        rises by the recipe's factor; ``radii``, how many times that the paper's radius is, and ``steps``, the paper's grid
        step; ``valley_points``, the points of the grid within a decade of the lowest; the training ``loss`` and the two
        eigenvalues.
    """
    own, wide = (found[found["variant"] == variant].set_index(["cell", "seed"]) for variant in ("eigen", "wide"))
    both = own.assign(reach=wide["radius"]).dropna(subset="reach")
    both = both.assign(radii=both["radius"] / both["reach"], steps=both["step"] / both["reach"])
    return both[["loss", "lambda_1", "lambda_2", "reach", "radii", "steps", "valley_points"]]


def resolution(found: pd.DataFrame) -> pd.DataFrame:
    """Whether the grid along the eigenvectors, at the paper's radius, resolves each valley.

    Along the first eigenvector the loss is quadratic, ``l + lambda r^2 / 2``, where it is small; so it has risen a
    hundredfold at ``r = sqrt(198 l / lambda)``. The direction is scaled tensor by tensor, which changes lambda: so the width
    is taken from the surface whose radius is that place, found on the loss itself.

    Args:
        found: what :func:`shapes` returns.

    Returns:
        One row a network whose width is known: ``cell``, ``seed``, ``steps``, how many times as long a step of the grid is,
        and ``needed``, the points a side of a grid whose step is as long.
    """
    rows = reaches(found).reset_index()
    return rows.assign(needed=np.ceil((2 * rows["radii"]).round(6) + 1).astype(int))[["cell", "seed", "steps", "needed"]]


def depths(found: pd.DataFrame) -> pd.DataFrame:
    """Median depth by cell, a column a variant."""
    return found.pivot_table(index="cell", columns="variant", values="depth", aggfunc="median", sort=False)


def basin_choices(results: Results) -> pd.DataFrame:
    """How many basins each surface along eigenvectors has, at the paper's radius, by barrier and grid.

    Returns:
        One row a surface: ``cell``, seed, a column for each of :data:`BARRIERS` (such as ``0.03``), and ``coarse``, with
        every second point and the usual barrier.
    """
    rows = []
    for item, arrays in results.where(variant="eigen").items():
        height = height_of(arrays)
        counts = {f"{barrier:g}": inner_basins(height, barrier) for barrier in BARRIERS}
        # From the second point on, so that the centre of an odd grid is among every second one.
        coarse = inner_basins(height[height.shape[0] // 2 % 2 :: 2, height.shape[1] // 2 % 2 :: 2])
        rows.append({"cell": cell_name(item, sweep=True), "seed": item.seed, **counts, "coarse": coarse})
    return pd.DataFrame(rows)


def reliefs(results: Results, sweep: str, variant: str) -> list[figures.Relief]:
    """The surfaces of the cells of one sweep, at the first seed, to be drawn side by side.

    Raises:
        UserError: if none is stored.
    """
    found = results.where(sweep=sweep, variant=variant)
    first: dict[tuple[float, int], Item] = {}
    for item in sorted(found, key=lambda item: item.seed):
        first.setdefault((item.coefficient, item.n_data), item)
    if not first:
        raise UserError(
            f"no surface of {sweep} along {VARIANTS[variant]} is stored; compute it with `{results.attrs['command']}`"
        )
    drawn = []
    for _, item in sorted(first.items()):
        alpha, beta = (np.asarray(found[item][axis], dtype=float) for axis in ("alpha", "beta"))
        title = cell_name(item)
        if variant == "wide":
            title = f"{title}, radius {alpha[-1]:.1e}"
            alpha, beta = alpha / alpha[-1], beta / alpha[-1]
        drawn.append(figures.Relief(title, alpha, beta, height_of(found[item]).round(DECIMALS)))
    return drawn


def _row(item: Item, arrays: dict[str, np.ndarray]) -> dict[str, object]:
    """One row of :func:`shapes`."""
    shape = measure(arrays)
    alpha, (first, second) = arrays["alpha"], arrays["eigenvalues"]
    return {
        "sweep": item.sweep,
        "cell": cell_name(item, sweep=True),
        "symbol": coefficient_name(item),
        "coefficient": item.coefficient,
        "n_data": item.n_data,
        "seed": item.seed,
        "variant": item.variant,
        "loss": 10.0**shape.centre,
        "lambda_1": float(first),
        "lambda_2": float(second),
        "radius": float(alpha[-1]),
        "step": float(alpha[-1] - alpha[-2]),
        "valley_points": round(shape.valley * arrays["loss"].size),
        **asdict(shape),
        "bowl": max(shape.bowl, 0.0),
    }
