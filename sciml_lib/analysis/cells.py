"""What the chapters on landscapes share: seeds, and the names of their cells."""

from __future__ import annotations

from sciml_lib import systems
from sciml_lib.errors import UserError
from sciml_lib.studies import Item, Results
from sciml_lib.sweeps import catalog


def first_seeds(results: Results, n: int) -> Results:
    """Returns the items of the first so many seeds.

    Raises:
        UserError: if there are none.
    """
    seeds = results.attrs["seeds"][: max(n, 0)]
    if not seeds:
        raise UserError(f"seeds={n} leaves nothing to show; choose at least 1")
    return Results({k: v for k, v in results.items.items() if k.seed in seeds}, {**results.attrs, "seeds": seeds})


def cell_name(item: Item, *, sweep: bool = False) -> str:
    """Returns a cell in words, such as ``β = 5, N = 100``, with the name of its equation before it if that is wanted."""
    words = f"{coefficient_name(item)}, N = {item.n_data:,}"
    return f"{systems.get(catalog.get(item.sweep).system).name}, {words}" if sweep else words


def coefficient_name(item: Item) -> str:
    """Returns a coefficient in words, such as ``β = 5``."""
    return f"{systems.get(catalog.get(item.sweep).system).coefficient_label} = {item.coefficient:g}"
