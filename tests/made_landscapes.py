"""Curves, step lengths and surfaces whose truth is known, as studies store them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sciml_lib.studies import Item, Results
from sciml_lib.studies.cells import CONVECTION, REACTION_DIFFUSION
from sciml_lib.studies.curves import TARGET

# --- curves ---------------------------------------------------------------------------------------------------

T = np.linspace(0.0, 1.0, 11)
CELL = (30.0, 1000)
Ends = tuple[float, float]


def falling(first: float, last: float, bump: float = 1.0) -> np.ndarray:
    """From one value to another, evenly in the logarithm; in the middle so many times more."""
    values = np.geomspace(first, last, T.size)
    values[T.size // 2] *= bump
    return values


def attrs(profile: str = "laptop", **more: object) -> dict[str, object]:
    return {"profile": profile, "seeds": [0, 1], "recipe": {"iterations": 200, "points": 21, "shown": 11}} | more


def pair(
    variant: str,
    seed: int = 0,
    bumps: Ends = (1.0, 1.0),
    *,
    loss: Ends = (1e-2, 1e-4),
    error: Ends = (1.0, 0.01),
    cell: tuple[float, int] = CELL,
    **ended: str,
) -> dict[Item, dict[str, np.ndarray]]:
    """Two networks whose trained curve and straight line have a bump; ``status`` and ``run_status`` say how training ended."""
    arrays = {"t": T} | {name: np.array(value) for name, value in ended.items()}
    for kind, bump in zip(("bezier", "straight"), bumps, strict=True):
        arrays |= {f"{kind}_loss": falling(*loss, bump), f"{kind}_error": falling(*error)}
    return {Item(TARGET if variant == "own" else CONVECTION, *cell, seed, variant): arrays}


def curves(
    same: Ends | None = (1.0, 1.0), other: Ends | None = (1.0, 1.0), *, profile: str = "laptop", **more: object
) -> Results:
    """Both pairs of finished runs of one cell, as :func:`pair` makes them."""
    parts = [
        pair(variant, seed, bumps, **more) for seed, (variant, bumps) in enumerate((("same", same), ("other", other))) if bumps
    ]
    return Results({item: arrays for part in parts for item, arrays in part.items()}, attrs(profile))


def joined(*parts: Results) -> Results:
    return Results({item: arrays for part in parts for item, arrays in part.items.items()}, parts[0].attrs)


# --- steps ----------------------------------------------------------------------------------------------------


def lengths(alpha: float, n: int = 80) -> np.ndarray:
    """Steps whose reciprocals follow a power law, without any chance."""
    quantiles = (np.arange(n) + 0.5) / n
    return (1.0 - quantiles) ** (1.0 / (alpha - 1.0))


def steps(
    law: Callable[[float, float, int], float],
    *,
    speeds: tuple[float, ...] = (5.0, 20.0),
    rates: tuple[float, ...] = (0.1, 0.2, 0.4, 0.8),
    passed: Callable[[float, int], int] = lambda beta, seed: 2500,
    seeds: int = 3,
    n: Callable[[float, int], int] = lambda beta, seed: 80,
    profile: str = "laptop",
) -> Results:
    """Runs whose exponent is a function of speed, rate and seed."""
    items = {}
    for beta in speeds:
        for rate in rates:
            for seed in range(seeds):
                at = passed(beta, seed)
                norms = lengths(law(beta, rate, seed), n(beta, seed)) if at >= 0 else np.zeros(0)
                arrays = {"norms": norms, "passed": np.array(at), "final_loss": np.array([1e-5 if at >= 0 else 0.05])}
                items[Item(CONVECTION, beta, 500, seed, f"eta{rate:g}")] = arrays
    return Results(items, attrs(profile, recipe={"threshold": 3.80e-3, "steps": 200, "every": 10}, seeds=list(range(seeds))))


# --- surfaces -------------------------------------------------------------------------------------------------

N = 31
RADIUS = 0.05
Loss = Callable[[np.ndarray, np.ndarray], np.ndarray]


def bowl(bottom: float = 1e-5, steep: float = 1e5) -> Loss:
    """A paraboloid, symmetric about the centre."""
    return lambda a, b: bottom + steep * (a**2 + 0.3 * b**2)


def pits(*places: tuple[int, int], base: Loss | None = None, depth: float = 0.5) -> Loss:
    """A surface with further minima, so many decades deep, at these points of the grid."""

    def loss(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        values = (base or bowl())(a, b)
        for i, j in places:
            around = values[i - 1 : i + 2, j - 1 : j + 2].min()
            values[i, j] = around / 10**depth
        return values

    return loss


def item(loss: Loss, radius: float = RADIUS, eigenvalues: tuple[float, float] = (1e3, 1e2)) -> dict[str, np.ndarray]:
    axis = np.linspace(-radius, radius, N)
    axis[N // 2] = 0.0
    values = loss(*np.meshgrid(axis, axis, indexing="ij"))
    return {"alpha": axis, "beta": axis.copy(), "loss": values, "eigenvalues": np.array(eigenvalues)}


def results(cells: dict[tuple[str, float, int], dict[str, list[dict[str, np.ndarray]]]], profile: str = "laptop") -> Results:
    """Cells with their surfaces by variant, one a seed."""
    items = {
        Item(*cell, seed=seed, variant=variant): arrays
        for cell, variants in cells.items()
        for variant, surfaces in variants.items()
        for seed, arrays in enumerate(surfaces)
    }
    attrs = {
        "sweep": "study surfaces", "profile": profile, "cells_done": len(items), "cells_planned": 30,
        "seeds": sorted({one.seed for one in items}), "device": ["cpu"], "versions": "", "updated": "2026-11-25",
        "commit": "0123456789", "command": "python -m sciml_lib study surfaces --profile laptop",
        "recipe": {"resolution": N, "radius": RADIUS, "rise": 100.0, "scaling": "tensor"},
    }  # fmt: skip
    return Results(items, attrs)


EASY, HARD = (CONVECTION, 5.0, 100), (CONVECTION, 50.0, 500)
MILD, STIFF = (REACTION_DIFFUSION, 5.0, 1000), (REACTION_DIFFUSION, 15.0, 1000)
FAR = ((5, 5), (4, 25), (25, 8))
