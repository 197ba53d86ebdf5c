"""Which networks the studies look at: the cells of the paper's figures, as far as their networks are stored."""

from __future__ import annotations

from sciml_lib.studies.base import Item

CONVECTION, REACTION_DIFFUSION = "pinn/convection/lbfgs", "pinn/reaction-diffusion/lbfgs"

SMOKE = {CONVECTION: ((5.0, 100), (70.0, 100)), REACTION_DIFFUSION: ((1.0, 50), (30.0, 50))}
"""Two cells of the profile `smoke` of each."""


def items(
    cells: dict[str, tuple[tuple[float, int], ...]], seeds: dict[str, int], variants: tuple[str, ...] = ("",)
) -> tuple[Item, ...]:
    """All items of some cells: the first so many seeds of each sweep, each variant."""
    return tuple(
        Item(sweep, coefficient, n_data, seed, variant)
        for sweep, pairs in cells.items()
        for coefficient, n_data in pairs
        for seed in range(seeds[sweep])
        for variant in variants
    )


def together(items: tuple[Item, ...] | list[Item]) -> list[list[Item]]:
    """Groups of items with one sweep, one amount of data and one variant: those that can be one ensemble."""
    groups: dict[tuple[str, int, str], list[Item]] = {}
    for item in items:
        groups.setdefault((item.sweep, item.n_data, item.variant), []).append(item)
    return list(groups.values())
