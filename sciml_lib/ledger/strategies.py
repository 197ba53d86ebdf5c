"""What section 2.4 of the paper says of training strategies on the convection equation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from sciml_lib.analysis.borders import BASE, RESOLUTION, amounts, at, cells_apart, has, published_at, returns, shift, unbounded
from sciml_lib.analysis.newton import MEASURES, WORSE, Gain
from sciml_lib.analysis.strategies import BUDGET_ENDED
from sciml_lib.ledger.contract import Claim, Reading, Readings, Scope, Settling, Source, scope_of, unread
from sciml_lib.ledger.maps import REGIMES_TEST, three_regimes
from sciml_lib.panels import Panel
from sciml_lib.prose import listed, number, part_of, percent
from sciml_lib.regimes import Regime

TITLE = "Training strategies on the convection equation (section 2.4)"
CHAPTER = "regimes/pinn_strategies"
ABUNDANT = 5000
"""From so many points on the published border of L-BFGS is a vertical line (paper Fig. 3(b))."""

HARD = 30.0
"""The coefficient at which the paper compares how many points ALM and CL need."""

PANELS = {"RoPINN": "ropinn", BASE: "lbfgs", "ALM": "alm", "NNCG": "nncg", "CL": "cl"}
"""The strategies in the order of paper Fig. 3(a)-(e), with the last part of their sweeps' names."""

AGREE = 0.2
"""Seeds agree on a cell if at most this share of them dissents: one of five, none of three."""


def _claim(name: str, where: str, words: str, scope: str, criterion: str, sweep: str, **settled: object) -> Claim:
    trained = next(words for words, variant in PANELS.items() if sweep.endswith(f"/{variant}"))
    settles = Settling(f"{trained} with the paper's budget and three seeds", sweep, **settled)
    return Claim(f"strategies-{name}", f"section 2.4, paper {where}", words, scope, criterion, CHAPTER, settles)


_PLENTY = (5000, 10_000, 15_000, 20_000, 25_000)
_ROWS = f"all coefficients with at least {ABUNDANT:,} points"
CLAIMS = (
    *(
        _claim(
            f"regimes-{variant}", f"Fig. 3({letter})", f"with {name} the three regimes remain", "the whole map",
            REGIMES_TEST, f"pinn/convection/{variant}", seeds=3,
        )
        for letter, (name, variant) in zip("abcde", PANELS.items(), strict=True)
    ),
    _claim(
        "border-lbfgs", "Fig. 3(b)", "the training border of L-BFGS lies at about β = 25", _ROWS,
        f"in every row within {RESOLUTION:g} cells of the grid", "pinn/convection/lbfgs",
        n_data=_PLENTY, seeds=3,
    ),
    _claim(
        "border-alm", "Fig. 3(c)", "with ALM the training border lies at about β = 50", _ROWS,
        f"in every row within {RESOLUTION:g} cells of the grid", "pinn/convection/alm",
        n_data=_PLENTY, seeds=3,
    ),
    _claim(
        "expands-alm", "Fig. 3(b) and (c)", "ALM expands Regime I of L-BFGS", "the whole map",
        "more cells are in I, by the thresholds of both rows of paper Table 5", "pinn/convection/alm", seeds=3,
    ),
    _claim(
        "border-cl", "Fig. 3(c) and (e)", "the training border of CL is comparable to that of ALM", _ROWS,
        "in every row within one cell of the grid", "pinn/convection/cl", n_data=_PLENTY, seeds=3,
    ),
    _claim(
        "shrinks-cl", "Fig. 3(b) and (e)", "CL makes under-trained cells of L-BFGS trainable", "cells in II with L-BFGS",
        "most of them are not in II with CL, by the thresholds of both rows of paper Table 5", "pinn/convection/cl", seeds=3,
    ),
    _claim(
        "further-ropinn", "Fig. 3(a) and (b)", "RoPINN moves the training border of L-BFGS to larger β", "all rows of the map",
        "in most rows its band lies beyond that of L-BFGS, by the thresholds of both rows of paper Table 5",
        "pinn/convection/ropinn", seeds=3,
    ),
    _claim(
        "needs-alm", "Fig. 3(c)", f"at β = {HARD:g} ALM needs 5,000 points or more to be accurate", f"the column β = {HARD:g}",
        "most seeds are above the test threshold with fewer points, and below it with so many", "pinn/convection/alm",
        n_data=(500, 1000, 2000, 5000), seeds=3,
    ),
    _claim(
        "suffices-cl", "Fig. 3(e)", f"at β = {HARD:g} CL is accurate with 1,000 points", f"the cell β = {HARD:g}, 1,000 points",
        "most seeds are below the test threshold", "pinn/convection/cl", n_data=(1000,), seeds=3,
    ),
    _claim(
        "nncg-test", "Fig. 4", "in Regime I NNCG lowers the test error where points are few by about 50 %",
        "cells of Regime I with the fewest points",
        "the median cell gains at least half of that, by both readings of the formula",
        "pinn/convection/nncg", n_data=(100,), seeds=3,
    ),
    _claim(
        "nncg-train", "Fig. 4", "in Regime I NNCG lowers the training loss by about 60 %", "cells of Regime I",
        "the median cell gains at least half of that, by both readings of the formula", "pinn/convection/nncg", seeds=3,
    ),
    _claim(
        "nncg-unstable", "Fig. 4", "outside Regime I NNCG is unstable: single runs fail or diverge", "cells outside Regime I",
        "the share of runs that give up is larger there than inside", "pinn/convection/nncg", seeds=3,
    ),
)  # fmt: skip
"""What the paper says that these maps can test."""


def gather(source: Source) -> tuple[dict[str, Panel], Gain]:
    """The five maps on the cells that all have, that of L-BFGS with every row that is stored, and the gain of NNCG."""
    panels = {name: source.panel(f"pinn/convection/{variant}") for name, variant in PANELS.items()}
    panels["grown"] = source.panel("pinn/convection/lbfgs", grown=True)
    return panels, Gain(source.panel("pinn/convection/nncg-base"), panels["NNCG"])


def read(panels: Mapping[str, Panel], gain: Gain) -> Readings:
    """What the runs say of each claim.

    Args:
        panels: the maps of :data:`PANELS`, and ``grown``: that of L-BFGS with every row that is stored in any profile.
        gain: of NNCG over the L-BFGS state that it starts from, on the convection equation.
    """
    whole = {name: panel for name, panel in panels.items() if name != "grown"}
    common = {name: panel.restricted_to(panels["ALM"]) for name, panel in whole.items()}
    base, alm, cl, ropinn = (common[name] for name in (BASE, "ALM", "CL", "RoPINN"))
    maps_of = {name: panels["grown"] if name == BASE else panel for name, panel in whole.items()}
    makers = {f"regimes-{PANELS[name]}": partial(three_regimes, panel) for name, panel in maps_of.items()}
    makers |= {
        "border-lbfgs": lambda: _place_of_border(panels["grown"], 25.0),
        "border-alm": lambda: _place_of_border(panels["ALM"], 50.0),
        "expands-alm": lambda: _expands(alm, base),
        "border-cl": lambda: _comparable(panels["CL"], panels["ALM"]),
        "shrinks-cl": lambda: _shrinks(cl, base),
        "further-ropinn": lambda: _further(ropinn, base),
        "needs-alm": lambda: _needs(panels["ALM"], 5000),
        "suffices-cl": lambda: _suffices(panels["CL"], 1000),
        "nncg-test": lambda: _gains(gain, panels["NNCG"], "test_error", 50, few=True),
        "nncg-train": lambda: _gains(gain, panels["NNCG"], "train_loss", 60),
        "nncg-unstable": lambda: _unstable(gain, panels["NNCG"]),
    }
    return Readings({f"strategies-{name}": make for name, make in makers.items()})


def place(crossing: float, low_again: bool) -> str:
    """A border as an entry of a table: its coefficient, with a star if the training loss is low again behind it."""
    if np.isnan(crossing):
        return "not run"
    where = f"{crossing:.3g}" if np.isfinite(crossing) else "nowhere" if crossing > 0 else "below the map"
    return where + (r" \*" if low_again else "")


def _rows(panel: Panel, least: int) -> tuple[list[int], set[tuple[float, int]]]:
    """The amounts of data of a map from one on, and all cells of the paper's map with so many."""
    return [n for n in amounts(panel) if n >= least], {pair for pair in panel.plan.sweep.at("paper").pairs if pair[1] >= least}


def _written(panel: Panel, n_data: int) -> str:
    here = at(panel, n_data)
    return place(here["crossing"] if here else np.nan, here is not None and returns(panel, n_data))


def _place_of_border(panel: Panel, claimed: float) -> Reading:
    """Whether the training border lies at a coefficient, as nearly as the grid can tell, where points are plenty."""
    rows, cells = _rows(panel, ABUNDANT)
    places = {n: here for n in rows if (here := at(panel, n)) is not None}
    if not places:
        return unread(f"no row with at least {ABUNDANT:,} points was run", panel.runs.attrs["profile"])
    grid = panel.runs["coefficient"].values
    near = [cells_apart(grid, here["crossing"], claimed) <= RESOLUTION for here in places.values()]
    # Where the band of a row reaches beyond the map, its seeds do not agree on where the border is.
    clear = all(np.isfinite(here[end]) or np.isnan(here[end]) for here in places.values() for end in ("lower", "upper"))
    theirs = [cells_apart(grid, x, claimed) <= RESOLUTION for n in rows if np.isfinite(x := published_at(panel, n))]
    return Reading(
        listed(f"{_written(panel, n)} with {n:,} points" for n in places),
        all(near), scope_of(panel, cells), units=len(places), unit="row", needed=2, clear=clear,
        published=all(theirs) if theirs else None,
    )  # fmt: skip


def _expands(panel: Panel, base: Panel) -> Reading:
    counts = [[int((p.labels == Regime.I).sum()) for p in (judged, base)] for judged in (panel, panel.with_thresholds_of(base))]
    text = (
        f"cells in I: {counts[0][0]} and {counts[0][1]} by the thresholds of their own rows, {counts[1][0]} by those of L-BFGS"
    )
    more = [ours > theirs for ours, theirs in counts]
    changed = int((panel.labels != base.labels).sum())
    right = more[0] if more[0] == more[1] else None
    return Reading(text, right, scope_of([panel, base]), units=changed, unit="changed cell", needed=3)


def _comparable(ours: Panel, theirs: Panel) -> Reading:
    rows, cells = _rows(ours, ABUNDANT)
    both = {n: (a["crossing"], b["crossing"]) for n in rows if (a := at(ours, n)) and (b := at(theirs, n))}
    if not both:
        return unread(f"no row with at least {ABUNDANT:,} points was run with both", ours.runs.attrs["profile"])
    text = listed(f"{_written(ours, n)} and {_written(theirs, n)} with {n:,} points" for n in both)
    if all(a == b and np.isinf(a) for a, b in both.values()):
        return Reading(
            f"{text}; neither border lies in the map", None, scope_of([ours, theirs], cells), units=len(both), unit="row"
        )
    grid = ours.runs["coefficient"].values
    same = all(cells_apart(grid, a, b) <= 1.0 for a, b in both.values())
    return Reading(text, same, scope_of([ours, theirs], cells), units=len(both), unit="row", needed=2)


def _shrinks(panel: Panel, base: Panel) -> Reading:
    under = (base.labels == Regime.II).values
    cells = {
        (float(base.runs["coefficient"][i]), int(base.runs["n_data"][j])) for i, j in zip(*np.nonzero(under), strict=True)
    }  # fmt: skip
    if not cells:
        return unread("no cell that both have is in II with L-BFGS", panel.runs.attrs["profile"])
    freed = [int((judged.labels.values[under] != Regime.II).sum()) for judged in (panel, panel.with_thresholds_of(base))]
    most = [n > len(cells) / 2 for n in freed]
    text = f"{freed[0]} of {len(cells)} leave II by the thresholds of their own rows, {freed[1]} by those of L-BFGS"
    right = most[0] if most[0] == most[1] else None
    return Reading(text, right, scope_of([panel, base], cells), units=len(cells), needed=3)


def _further(panel: Panel, base: Panel) -> Reading:
    beyond = set(unbounded(base))
    known = [n for n in amounts(base) if n not in beyond and at(base, n) and at(panel, n)]
    scope = scope_of([panel, base])
    if not known:
        return Reading(
            "no row of L-BFGS has a border in the map that another could lie beyond", None, scope, units=0, unit="row"
        )
    signs = {n: shift(panel, base, n) for n in known}
    words = {1: "larger β", 0: "no shift", -1: "smaller β"}
    counts = {sign: [f"{n:,}" for n, s in signs.items() if s == sign] for sign in words}
    text = "; ".join(f"{words[sign]} with {listed(many)} points" for sign, many in counts.items() if many)
    return Reading(text, len(counts[1]) > len(known) / 2, scope, units=len(known), unit="row", needed=3)


def _passing(panel: Panel) -> dict[int, tuple[int, int]]:
    """How many seeds of the column :data:`HARD` are below the test threshold, and of how many, by amount of data."""
    if not has(panel, {"coefficient": HARD}):
        return {}
    errors = panel.seeded("test_error").sel(coefficient=HARD)
    good, stored = (errors <= panel.thresholds.test).sum("seed"), errors.notnull().sum("seed")
    return {int(n): (int(good.sel(n_data=n)), of) for n in amounts(panel) if (of := int(stored.sel(n_data=n)))}


def _accuracy(panel: Panel, wanted: set[int], right: Callable[[dict[int, bool]], bool | None]) -> Reading:
    """A reading of which amounts of data are enough at :data:`HARD`, for most of the seeds."""
    found = {n: pair for n, pair in _passing(panel).items() if n in wanted}
    if not found:
        return unread(f"β = {HARD:g} was not run with so many points", panel.runs.attrs["profile"])
    text = f"at most {number(panel.thresholds.test)}: " + listed(
        f"{good} of {of} seeds with {n:,} points" for n, (good, of) in found.items()
    )
    # Every run of the column counts, whatever its training loss.
    wrong = (panel.seeded("test_error") > panel.thresholds.test).values
    scope = scope_of(panel, {(HARD, n) for n in wanted}, against={panel.sweep: wrong})
    clear = all(min(good, of - good) <= AGREE * of for good, of in found.values())
    return Reading(text, right({n: good > of / 2 for n, (good, of) in found.items()}), scope, units=len(found), clear=clear)


def _needs(panel: Panel, claimed: int) -> Reading:
    """Whether so many points are needed: fewer are not enough, and so many are."""

    def right(enough: dict[int, bool]) -> bool | None:
        if any(good for n, good in enough.items() if n < claimed):
            return False
        return True if enough.get(claimed) else None

    wanted = {n for _, n in panel.plan.sweep.at("paper").pairs if n <= claimed}
    return _accuracy(panel, wanted, right)


def _suffices(panel: Panel, claimed: int) -> Reading:
    return _accuracy(panel, {claimed}, lambda enough: enough[claimed])


def _gain_scope(gain: Gain, method: Panel, where: NDArray, against: NDArray) -> Scope:
    """Of cells that depend on the base's labels the share that was run is that of the paper's whole map."""
    whole = scope_of(method)
    status = gain.status[against & where[..., None]]
    seeds = gain.stored[where].sum(axis=-1)
    by_budget = float(np.isin(status, BUDGET_ENDED).mean()) if status.size else np.nan
    return Scope(whole.profile, whole.cells, int(seeds.min()) if seeds.size else 0, whole.budget, by_budget)


def _gains(gain: Gain, method: Panel, quantity: str, claimed: int, *, few: bool = False) -> Reading:
    """Whether the median cell of Regime I gains about so many per cent: at least half, by both readings of the formula."""
    where = gain.labels == Regime.I
    if few:
        least = gain.gains["train_loss"]["n_data"].values
        where = where & np.broadcast_to(least == least.min(), where.shape)
    parts = {reading: gain.values(quantity, measure, where) for measure, reading in MEASURES.items()}
    scope = _gain_scope(gain, method, where, gain.stored)
    if not all(values.size for values in parts.values()):
        return Reading("no such cell of the base is in Regime I", None, scope, units=0)
    middles = {reading: float(np.median(values)) for reading, values in parts.items()}
    text = f"the median cell by {listed(f'{middle:.0f} % ({reading})' for reading, middle in middles.items())}"
    near = {claimed / 2 <= middle for middle in middles.values()}
    return Reading(text, near.pop() if len(near) == 1 else None, scope, units=int(where.sum()), needed=3)


def _unstable(gain: Gain, method: Panel) -> Reading:
    """Whether more runs give up outside Regime I than inside; a wrong solution that stays wrong is no instability."""
    well, known = gain.labels == Regime.I, gain.labels != Regime.MISSING
    shares = []
    for inside in (known & ~well, well):
        shares.append((int(gain.gave_up[inside].sum()), int(gain.stored[inside].sum()), int(gain.worse[inside].sum())))
    (out, n_out, worse), (within, n_within, _) = shares
    scope = _gain_scope(gain, method, known & ~well, gain.stored)
    if not n_out or not n_within:
        return Reading("the base has no cells of both, inside and outside Regime I", None, scope, units=0, unit="run")
    text = (
        f"{part_of(out, n_out)} of {n_out} runs outside give up, {part_of(within, n_within)} of {n_within} inside; the test "
        f"error grows by more than {percent(WORSE)} in {worse} outside, where it was wrong before"
    )
    more = out / n_out > within / n_within
    # One run is an accident.
    return Reading(text, more, scope, units=n_out, unit="run", needed=10, clear=not more or out - within > 1)
