"""What every chapter on landscapes says in the same way: where its studies come from, and what to type."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from matplotlib.figure import Figure

from sciml_lib import figures, prose, systems
from sciml_lib.errors import UserError
from sciml_lib.narrative.strategies import FAILS, HOLDS, OPEN
from sciml_lib.studies import Item, Results
from sciml_lib.sweeps import catalog


def study_source(results: Results | Iterable[Results], figure: Figure) -> Any:
    """Returns the small print below a figure: the provenance of each study and the digest of what is drawn."""
    lines = [figures.provenance.line(one.attrs) for one in _many(results)]
    return prose.small_print([*lines, f"figure digest {figures.digest(figure)}"])


def study_command(chapter: str, results: Sequence[Results]) -> str:
    """Lists the commands that repeat a chapter and compute its studies.

    Args:
        chapter: the chapter's name.
        results: the studies it reads, all of one profile.
    """
    profile = results[0].attrs["profile"]
    again = [f"python -m sciml_lib chapter {chapter} -p profile {name} -o {name}.ipynb" for name in {profile: 0, "smoke": 0}]
    rows = [
        [
            f"`{one.attrs['command']}`",
            f"{one.attrs['cells_done']:,} of {one.attrs['cells_planned']:,}",
            prose.listed(one.attrs["device"]),
        ]
        for one in results
    ]
    return (
        "```bash\n" + "\n".join(again) + "\n```\n\n"
        "While everything is stored the first takes well under a minute; in the profile *smoke* the networks are trained and "
        "the study is computed on the way. In the other profiles a study is computed before, of networks that are stored:\n\n"
        + prose.table(["command", "items stored", "device"], rows)
    )


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
    system = systems.get(catalog.get(item.sweep).system)
    words = f"{system.coefficient_label} = {item.coefficient:g}, N = {item.n_data:,}"
    return f"{system.name}, {words}" if sweep else words


def span(values: Iterable[float], digits: int = 2) -> str:
    """Returns numbers of several seeds as one or as a range, ``2.1 to 2.4``."""
    known = [value for value in values if value == value]
    if not known:
        return "n/a"
    low, high = prose.number(min(known), digits), prose.number(max(known), digits)
    return low if low == high else f"{low} to {high}"


def share_span(values: Iterable[float]) -> str:
    """Returns shares of several seeds as one or as a range, ``12 to 15 %``."""
    known = list(values)
    low, high = prose.percent(min(known)), prose.percent(max(known))
    if low == high:
        return low
    return f"{low.removesuffix(' %') if low[0].isdigit() and high[0].isdigit() else low} to {high}"


def verdict_of(right: Iterable[bool]) -> str:
    """Returns the verdict on something that is so for every run, for none, or for some."""
    known = list(right)
    return HOLDS if all(known) else OPEN if any(known) else FAILS


def _many(results: Results | Iterable[Results]) -> list[Results]:
    """Returns results as a list, one as a list of one."""
    return [results] if isinstance(results, Results) else list(results)
