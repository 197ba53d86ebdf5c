"""What section 2.4 of the paper says of training strategies on the convection equation."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sciml_lib.analysis.borders import BASE, MANY_POINTS, RESOLUTION, at, cells_apart, has, returns, shift
from sciml_lib.analysis.newton import MEASURES, WORSE, Gain
from sciml_lib.ledger.statement import FAILS, HOLDS, OPEN, Statement
from sciml_lib.panels import Panel
from sciml_lib.prose import listed, number, part_of, percent
from sciml_lib.regimes import Regime


def statements(panels: Mapping[str, Panel]) -> list[Statement]:
    """Evaluates what is said about the borders of the five strategies.

    Args:
        panels: the convection panels by their names: L-BFGS, ALM, CL, RoPINN.
    """
    found = [_place_of_border(panels[BASE], BASE, 25.0), _place_of_border(panels["ALM"], "ALM", 50.0)]
    found += [_comparable(panels["CL"], panels["ALM"]), _further(panels["RoPINN"], panels[BASE])]
    return [*found, _needs(panels["ALM"], "ALM", 5000), _suffices(panels["CL"], "CL", 1000)]


def newton_statements(gain: Gain) -> list[Statement]:
    """Evaluates what is said about NysNewton-CG."""
    well = gain.labels == Regime.I
    amounts = gain.gains["train_loss"]["n_data"].values
    least = np.broadcast_to(amounts == amounts.min(), well.shape)
    found = [
        _gains_about(gain, "test_error", 50, well & least, f"the test error where data are short ($N_f$ = {amounts.min():,})"),
        _gains_about(gain, "train_loss", 60, well, "the training loss"),
    ]
    claim = "outside Regime I NNCG is unstable: single runs fail or diverge"
    trouble = gain.gave_up | gain.worse
    shares = []
    for inside in (~well & (gain.labels != Regime.MISSING), well):
        runs = int(gain.stored[inside].sum())
        shares.append((int(trouble[inside].sum()), runs))
    (outside, n_outside), (within, n_within) = shares
    if not n_outside:
        return [*found, Statement(claim, "no cell of the base lies outside Regime I", OPEN)]
    text = (
        f"{part_of(outside, n_outside)} of {n_outside} runs outside give up or end with a test error more than "
        f"{percent(WORSE)} higher than before; inside Regime I {part_of(within, n_within)} of {n_within}"
    )
    more = outside / n_outside > (within / n_within if n_within else 0.0)
    return [*found, Statement(claim, text, HOLDS if more else FAILS)]


def place(crossing: float, low_again: bool) -> str:
    """A border as an entry of a table: its coefficient, with a star if the training loss is low again behind it."""
    if np.isnan(crossing):
        return "not run"
    where = f"{crossing:.3g}" if np.isfinite(crossing) else "nowhere" if crossing > 0 else "below the map"
    return where + (r" \*" if low_again else "")


def _place(panel: Panel, n_data: int) -> str:
    here = at(panel, n_data)
    return place(here["crossing"] if here else np.nan, here is not None and returns(panel, n_data))


def _place_of_border(panel: Panel, name: str, claimed: float) -> Statement:
    """Whether the training border lies at a coefficient, as nearly as the grid can tell, where points are plenty."""
    claim = f"the training border of {name} lies at about β = {claimed:g}"
    grid = panel.runs["coefficient"].values
    amounts = [int(n) for n in panel.runs["n_data"].values if n >= MANY_POINTS]
    places = {n: here["crossing"] for n in amounts if (here := at(panel, n)) is not None}
    if not places:
        return Statement(claim, f"no row with at least {MANY_POINTS:,} points was run", OPEN)
    text = listed(f"{_place(panel, n)} with {n:,} points" for n in places)
    near = [cells_apart(grid, found, claimed) <= RESOLUTION for found in places.values()]
    return Statement(claim, text, HOLDS if all(near) else FAILS)


def _rows_of_both(ours: Panel, theirs: Panel) -> dict[int, tuple[dict[str, float], dict[str, float]]]:
    """The training borders of the rows in which both are known, by amount of data."""
    rows = {int(n): (at(ours, int(n)), at(theirs, int(n))) for n in ours.runs["n_data"].values}
    return {n: pair for n, pair in rows.items() if None not in pair}


def _all_equal(rows: dict[int, tuple[dict[str, float], dict[str, float]]]) -> bool:
    """Whether no row tells two borders apart, as where both lie beyond the same edge of the map."""
    return all(a["crossing"] == b["crossing"] for a, b in rows.values())


def _comparable(ours: Panel, theirs: Panel) -> Statement:
    claim = "CL has a training border comparable to that of ALM"
    rows = {n: pair for n, pair in _rows_of_both(ours, theirs).items() if n >= MANY_POINTS}
    if not rows:
        return Statement(claim, f"no row with at least {MANY_POINTS:,} points was run with both", OPEN)
    text = listed(f"{_place(ours, n)} and {_place(theirs, n)} with {n:,} points" for n in rows)
    if _all_equal(rows):
        return Statement(claim, f"CL and ALM: {text}; neither border lies in the map", OPEN)
    grid = ours.runs["coefficient"].values
    same = [cells_apart(grid, a["crossing"], b["crossing"]) <= 1.0 for a, b in rows.values()]
    return Statement(claim, f"CL and ALM: {text} (comparable: within one cell)", HOLDS if all(same) else FAILS)


def _further(ours: Panel, base: Panel) -> Statement:
    claim = "RoPINN moves the training border to larger β than L-BFGS"
    rows = _rows_of_both(ours, base)
    if not rows:
        return Statement(claim, "no row was run with both", OPEN)
    if _all_equal(rows):
        return Statement(claim, "neither border lies in the map", OPEN)
    signs = {n: shift(ours, base, n) for n in rows}
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


def _gains_about(gain: Gain, quantity: str, claimed: int, where: NDArray, words: str) -> Statement:
    """Whether the median cell gains about so many per cent: at least half of it, by both readings of the formula."""
    claim = f"in Regime I NNCG lowers {words} by about {claimed} %"
    middles = []
    for measure in MEASURES:
        values = gain.values(quantity, measure, where)
        if not values.size:
            return Statement(claim, "no such cell of the base is in Regime I", OPEN)
        middles.append(float(np.median(values)))
    text = listed(f"{middle:.0f} % ({reading})" for middle, reading in zip(middles, MEASURES.values(), strict=True))
    near = all(claimed / 2 <= middle for middle in middles)
    return Statement(claim, f"the median cell by {text}; at least half of the claim counts as about", HOLDS if near else FAILS)
