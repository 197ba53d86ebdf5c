"""What the chapter on training strategies says of borders: where each lies, and what the paper's statements come to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from sciml_lib import figures
from sciml_lib.ledger import FAILS, HOLDS, OPEN, Statement
from sciml_lib.panels import Panel
from sciml_lib.prose import listed, number, table
from sciml_lib.regimes import STRATEGY_NAMES, Regime

BASE = STRATEGY_NAMES["lbfgs"]
"""The strategy that the others are compared with."""

MANY_POINTS = 1000
"""From this N_f on the paper speaks of abundant data, and of the speed alone as the limit."""

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


def borders(panels: Mapping[str, Panel], title: str) -> Figure:
    """Draws the borders of all strategies into one map, with what resampling the seeds leaves open."""
    entries = []
    for name, panel in panels.items():
        axes = panel.runs["coefficient"].values, panel.runs["n_data"].values
        if panel.band is not None:
            entries.append(figures.Border.of_band(name, panel.band, *axes))
        else:
            means = panel.train.values, panel.test.values
            entries.append(figures.Border.of_means(name, *means, panel.thresholds, *axes))
    return figures.boundary_overlay(entries, **next(iter(panels.values())).axis_words, title=title)


def shifts(panels: Mapping[str, Panel], kind: str = "train") -> str:
    """Says where each strategy's training loss (or test error) first rises above the threshold, and whether that is a shift.

    A border has shifted if it lies beyond that of L-BFGS, with no overlap of the bands and by a gap that the grid can
    show, by the thresholds of its own row of Table 5 *and* by those of L-BFGS. Maps that are all judged by one pair of
    thresholds already are judged by those alone.

    Args:
        panels: the maps by the names of their strategies, L-BFGS among them.
        kind: ``train`` or ``test``; the test error counts only before the training loss has risen.
    """
    base = panels[BASE]
    amounts = [int(n) for n in base.runs["n_data"].values]
    words = panel_words(base)
    common = len({panel.thresholds for panel in panels.values()}) == 1
    rows, lines = [], []
    for own in (True, False)[: 1 if common else 2]:
        for name, panel in panels.items():
            if own or name != BASE:
                judged = panel if own else panel.with_thresholds_of(base)
                whose = "all" if common else "its own" if own else BASE
                rows.append([name, whose, *(_place(judged, n, kind) for n in amounts)])
    for name, panel in panels.items():
        if name != BASE:
            moved = {n: _shift(panel, base, n, kind) for n in amounts}
            parts = [
                f"to {word} {words.symbol} with {listed(f'{n:,}' for n in amounts if moved[n] == sign)} {words.unit}"
                for sign, word in ((1, "larger"), (-1, "smaller"))
                if sign in moved.values()
            ]
            lines.append(f"- *{name}*: " + (f"the border moves {listed(parts)}." if parts else "no row shows a shift."))
    what = {"train": "training loss", "test": "test error"}[kind]
    header = [f"{what} first rises above", "threshold of", *(f"{words.letter} = {n:,}" for n in amounts)]
    nowhere = any("nowhere" in row for row in rows)
    notes = ["*Nowhere*: not before the training loss has risen, and so nowhere that a border is drawn."]
    if kind == "train":
        notes = ["*Nowhere*: the whole row stays below.\n"] if nowhere else []
        notes += [_trust(panels), _returning(panels)]
    return "\n".join([table(header, rows), "", *lines, "", *notes]).strip()


def _trust(panels: Mapping[str, Panel]) -> str:
    """How much the bands can say, given the seeds."""
    seeds = listed(f"{panel.runs.sizes['seed']} with {name}" for name, panel in panels.items())
    few = [name for name, panel in panels.items() if panel.runs.sizes["seed"] <= 2]
    text = f"Seeds: {seeds}."
    if few:
        text += (
            " The band of two seeds runs from the border of the one to that of the other, and one seed has none: "
            f"for {listed(few)} a shift means that the seeds at hand agree on it, no more."
        )
    return text


def _returning(panels: Mapping[str, Panel]) -> str:
    """Names the rows in which a border is not all there is: behind it the loss is low again."""
    found = []
    for name, panel in panels.items():
        rows = [int(n) for n in panel.runs["n_data"].values if _returns(panel, int(n))]
        if rows:
            found.append(f"{name} with {listed(f'{n:,}' for n in rows)} {panel_words(panel).unit}")
    if not found:
        return ""
    symbol = panel_words(next(iter(panels.values()))).symbol
    return (
        f"\n\\* Behind the first rise the training loss is low again at some larger {symbol} ({listed(found)}); there a border "
        "is not the edge of a region, and a single cell can place it."
    )


def statements(panels: Mapping[str, Panel]) -> list[Statement]:
    """Evaluates what section 2.4 of the paper says about the borders of the five strategies.

    Args:
        panels: the convection panels by their names: L-BFGS, ALM, CL, RoPINN.
    """
    found = [_place_of_border(panels[BASE], BASE, 25.0), _place_of_border(panels["ALM"], "ALM", 50.0)]
    found += [_comparable(panels["CL"], panels["ALM"]), _further(panels["RoPINN"], panels[BASE])]
    return [*found, _needs(panels["ALM"], "ALM", 5000), _suffices(panels["CL"], "CL", 1000)]


def at(panel: Panel, n_data: int, kind: str = "train") -> dict[str, float] | None:
    """The border of one row as coefficients: crossing, lower, upper; None if it is not known."""
    if n_data not in panel.runs["n_data"]:
        return None
    row = panel.crossings.sel(boundary=kind, n_data=n_data)
    here = {name: float(row[name]) for name in ("crossing", "lower", "upper")}
    return None if np.isnan(here["crossing"]) else here


def has(panel: Panel, cell: dict[str, float]) -> bool:
    """Whether a cell is on the panel's grid."""
    return all(value in panel.runs[axis].values for axis, value in cell.items())


def _returns(panel: Panel, n_data: int) -> bool:
    row = panel.labels.sel(n_data=n_data).values
    under = np.flatnonzero(row == Regime.II)
    return bool(under.size) and bool(np.isin(row[under[0] :], (Regime.I, Regime.III)).any())


def _place(panel: Panel, n_data: int, kind: str = "train") -> str:
    here = at(panel, n_data, kind)
    if here is None:
        return "not run"
    mark = r" \*" if kind == "train" and _returns(panel, n_data) else ""
    return _coefficient(here["crossing"]) + mark


def _coefficient(crossing: float) -> str:
    if np.isneginf(crossing):
        return "below the map"
    return "nowhere" if np.isposinf(crossing) else f"{crossing:.3g}"


def _shift(panel: Panel, base: Panel, n_data: int, kind: str = "train") -> int:
    """1 or -1 if a row's border lies beyond the base's by both yardsticks; 0 if not."""
    grid = base.runs["coefficient"].values
    signs = [
        _beyond(at(judged, n_data, kind), at(base, n_data, kind), grid) for judged in (panel, panel.with_thresholds_of(base))
    ]
    return signs[0] if signs[0] == signs[1] else 0


def _beyond(here: dict[str, float] | None, base: dict[str, float] | None, grid: np.ndarray) -> int:
    """1 or -1 if a border lies beyond the base's: no overlap of the bands, and a gap that the grid can show; 0 if not."""
    if here is None or base is None:
        return 0
    low, high = (here["crossing"] if np.isnan(here[end]) else here[end] for end in ("lower", "upper"))
    base_low, base_high = (base["crossing"] if np.isnan(base[end]) else base[end] for end in ("lower", "upper"))
    if low > base_high and _cells_apart(grid, low, base_high) >= RESOLUTION:
        return 1
    return -1 if high < base_low and _cells_apart(grid, high, base_low) >= RESOLUTION else 0


def _cells_apart(grid: np.ndarray, a: float, b: float) -> float:
    """Distance of two coefficients in cells of a grid; a place beyond its edge counts as one cell farther out."""
    if a == b:
        return 0.0
    place = [np.interp(x, grid, np.arange(grid.size), left=-1.0, right=float(grid.size)) for x in (a, b)]
    return float(abs(place[0] - place[1]))


def _rows_of_both(ours: Panel, theirs: Panel) -> dict[int, tuple[dict[str, float], dict[str, float]]]:
    """The training borders of the rows in which both are known, by amount of data."""
    rows = {int(n): (at(ours, int(n)), at(theirs, int(n))) for n in ours.runs["n_data"].values}
    return {n: pair for n, pair in rows.items() if None not in pair}


def _all_equal(rows: dict[int, tuple[dict[str, float], dict[str, float]]]) -> bool:
    """Whether no row tells two borders apart, as where both lie beyond the same edge of the map."""
    return all(a["crossing"] == b["crossing"] for a, b in rows.values())


def _place_of_border(panel: Panel, name: str, claimed: float) -> Statement:
    """Whether the training border lies at a coefficient, as nearly as the grid can tell, where points are plenty."""
    claim = f"the training border of {name} lies at about β = {claimed:g}"
    grid = panel.runs["coefficient"].values
    amounts = [int(n) for n in panel.runs["n_data"].values if n >= MANY_POINTS]
    places = {n: here["crossing"] for n in amounts if (here := at(panel, n)) is not None}
    if not places:
        return Statement(claim, f"no row with at least {MANY_POINTS:,} points was run", OPEN)
    text = listed(f"{_place(panel, n)} with {n:,} points" for n in places)
    near = [_cells_apart(grid, place, claimed) <= RESOLUTION for place in places.values()]
    return Statement(claim, text, HOLDS if all(near) else FAILS)


def _comparable(ours: Panel, theirs: Panel) -> Statement:
    claim = "CL has a training border comparable to that of ALM"
    rows = {n: pair for n, pair in _rows_of_both(ours, theirs).items() if n >= MANY_POINTS}
    if not rows:
        return Statement(claim, f"no row with at least {MANY_POINTS:,} points was run with both", OPEN)
    text = listed(f"{_place(ours, n)} and {_place(theirs, n)} with {n:,} points" for n in rows)
    if _all_equal(rows):
        return Statement(claim, f"CL and ALM: {text}; neither border lies in the map", OPEN)
    grid = ours.runs["coefficient"].values
    same = [_cells_apart(grid, a["crossing"], b["crossing"]) <= 1.0 for a, b in rows.values()]
    return Statement(claim, f"CL and ALM: {text} (comparable: within one cell)", HOLDS if all(same) else FAILS)


def _further(ours: Panel, base: Panel) -> Statement:
    claim = "RoPINN moves the training border to larger β than L-BFGS"
    rows = _rows_of_both(ours, base)
    if not rows:
        return Statement(claim, "no row was run with both", OPEN)
    if _all_equal(rows):
        return Statement(claim, "neither border lies in the map", OPEN)
    signs = {n: _shift(ours, base, n) for n in rows}
    words = {1: "larger β", 0: "no shift", -1: "smaller β"}
    counts = {sign: [f"{n:,}" for n, s in signs.items() if s == sign] for sign in words}
    text = "; ".join(f"{words[sign]} with {listed(many)} points" for sign, many in counts.items() if many)
    return Statement(claim, text, HOLDS if len(counts[1]) > len(rows) / 2 else FAILS)


def _needs(panel: Panel, name: str, claimed: int, beta: float = 30.0) -> Statement:
    """Whether so many points are needed for an accurate solution."""
    claim = f"at β = {beta:g} {name} needs {claimed:,} points or more to be accurate"
    found = _errors(panel, beta)
    if found is None:
        return Statement(claim, f"β = {beta:g} was not run", OPEN)
    text, passing, most = found
    if any(n < claimed for n in passing):
        return Statement(claim, text, FAILS)
    if most < claimed:
        return Statement(claim, f"{text}; more was not run", OPEN)
    return Statement(claim, text, HOLDS if passing else OPEN)


def _suffices(panel: Panel, name: str, claimed: int, beta: float = 30.0) -> Statement:
    """Whether so many points are enough for an accurate solution."""
    claim = f"at β = {beta:g} {name} is accurate with {claimed:,} points"
    found = _errors(panel, beta)
    if found is None or not has(panel, {"n_data": claimed}) or np.isnan(panel.test.sel(coefficient=beta, n_data=claimed)):
        return Statement(claim, f"β = {beta:g} with {claimed:,} points was not run", OPEN)
    return Statement(claim, found[0], HOLDS if claimed in found[1] else FAILS)


def _errors(panel: Panel, beta: float) -> tuple[str, list[int], int] | None:
    """Test errors over the amounts of data, in words; the amounts that pass the threshold; the largest amount."""
    if not has(panel, {"coefficient": beta}):
        return None
    errors = panel.test.sel(coefficient=beta).dropna("n_data")
    if not errors.size:
        return None
    amounts = [int(n) for n in errors["n_data"].values]
    passing = [n for n in amounts if float(errors.sel(n_data=n)) <= panel.thresholds.test]
    values = listed(number(float(error)) for error in errors.values)
    limit, tried = number(panel.thresholds.test), listed(f"{n:,}" for n in amounts)
    passed = f"with {listed(f'{n:,}' for n in passing)} it is at most {limit}" if passing else f"none is at most {limit}"
    return f"test error {values} with {tried} points; {passed}", passing, amounts[-1]
