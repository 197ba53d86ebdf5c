"""What section 2.5.2 and appendix F.2 of the paper say of flatness at a high training loss."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from sciml_lib.analysis import flatness
from sciml_lib.analysis.curvature import beside_peers
from sciml_lib.analysis.sharpening import STEADY
from sciml_lib.ledger.contract import Claim, Reading, Scope, Settling, Source, scope_of
from sciml_lib.ledger.votes import FEWEST_SIGNS, Vote, agreed, in_every_cell, signs
from sciml_lib.panels import Panel
from sciml_lib.prose import number, part_of, percent
from sciml_lib.studies.cells import REACTION_DIFFUSION
from sciml_lib.studies.trajectories import warm_up
from sciml_lib.sweeps.spec import Cell

TITLE = "Deceptive flatness (section 2.5, appendix F.2)"

HARD = 15.0
"""From this coefficient on the paper finds deceptive flatness."""

SHORT = 100
"""A run that ended within so many iterations of its warm-up is counted apart."""

CONTINUED = 2000
"""Iterations in float64 in which a run that stalls does not halve its loss: those of L-BFGS in paper Table 2."""

_MORE = Settling(f"three seeds of every cell with ρ ≥ {HARD:g}", REACTION_DIFFUSION, seeds=3)
_ON = Settling(
    f"the runs of high loss continued from their ends for {CONTINUED:,} iterations of L-BFGS in float64, with the norm of the "
    "gradient stored; and the same cells trained without Adam"
)
_TRAPPED = f"cells with ρ ≥ {HARD:g} and a high training loss in most of their seeds, on the map of reaction-diffusion"
_CHANCE = f"by more than chance, which takes {FEWEST_SIGNS}"


def _claim(name: str, where: str, words: str, scope: str, criterion: str, settles: Settling = _MORE) -> Claim:
    return Claim(f"flatness-{name}", where, words, scope, criterion, "landscapes/flatness", settles)


CLAIMS = (
    _claim(
        "flatter", "section 2.5.2, paper Fig. 11(b)", "flat regions occur at a high training loss",
        "cells of reaction-diffusion with a high loss in most of their seeds",
        f"most have a smaller λ_max than the median cell of low loss with the same ρ, {_CHANCE}",
    ),
    _claim(
        "pronounced", "section 2.5.2", f"this is pronounced for ρ ≥ {HARD:g}", "the whole map of reaction-diffusion",
        "of the cells there a larger share has a high loss and a smaller λ_max than the median cell of low loss with the same "
        "ρ, by two standard errors",
    ),
    _claim(
        "small", "appendix F.2, paper Fig. 11(b)", f"cells with ρ ≥ {HARD:g} and a high loss have small eigenvalues", _TRAPPED,
        f"most have a smaller λ_max, and a smaller λ_max/ρ², than the median cell of low loss of the map, {_CHANCE}",
    ),
    _claim(
        "early", "appendix F.2", "there L-BFGS ends prematurely, in a state that is not optimal", _TRAPPED,
        f"most end by themselves, after fewer iterations than the median cell of low loss with the same ρ, {_CHANCE}",
    ),
    _claim(
        "stalls", "section 2.5.2, appendix F.2", "such runs stall on a plateau that gives no direction", _TRAPPED,
        f"continued in float64 for {CONTINUED:,} iterations (paper Table 2) the loss of three quarters of the runs of every "
        f"cell falls by less than a factor of {STEADY:g} (ours); two cells in which it falls by more refute that", _ON,
    ),
)  # fmt: skip
"""What the paper says that these runs can test."""


def gather(source: Source) -> tuple[Panel]:
    """The measured map of reaction-diffusion; no run was continued yet."""
    return (source.measured(REACTION_DIFFUSION),)


def read(panel: Panel, continued: Mapping[Cell, float] | None = None) -> dict[str, Reading]:
    """What the runs say of each claim.

    Args:
        panel: the measured map of reaction-diffusion.
        continued: by what factor the loss of runs falls in :data:`CONTINUED` more iterations in float64; none by default.
    """
    cells = flatness.cells_of(panel)
    cells = cells[cells["lambda_max"].notna()]
    high, low, hard = cells["mostly_high"], cells["mostly_low"], cells["coefficient"] >= HARD
    there = scope_of(panel, {pair for pair in panel.plan.sweep.at("paper").pairs if pair[0] >= HARD})
    found = {
        "flatter": _flatter(cells, high, low, scope_of(panel)),
        "pronounced": _pronounced(cells, high, low, hard, scope_of(panel)),
        "small": _small(cells[high & hard], cells[low], there),
        "early": _early(cells, high & hard, low, there),
        "stalls": _stalls(panel, continued or {}, there),
    }
    return {f"flatness-{name}": reading for name, reading in found.items()}


def _flatter(cells: pd.DataFrame, high: pd.Series, low: pd.Series, scope: Scope) -> Reading:
    beside = beside_peers(cells, high, low)
    text = f"of {beside.notna().sum()} cells {(beside < 0).sum()} are flatter than those of low loss at the same ρ"
    return signs(-beside).reading(text, scope, needed=FEWEST_SIGNS)


def _pronounced(cells: pd.DataFrame, high: pd.Series, low: pd.Series, hard: pd.Series, scope: Scope) -> Reading:
    beside = beside_peers(cells, high | low, low)
    known = beside.notna().to_numpy()
    flat_and_high = ((beside < 0).to_numpy() & high[high | low].to_numpy())[known]
    far = hard[high | low].to_numpy()[known]
    (k, n), (k_below, m) = ((int(flat_and_high[part].sum()), int(part.sum())) for part in (far, ~far))
    text = f"a high loss and less curvature than at a low one: {k} of {n} cells there, {k_below} of {m} below"
    if not n or not m:
        return Vote(None, False, 0).reading(text, scope)
    pooled = (k + k_below) / (n + m)
    apart = abs(k / n - k_below / m) > 2 * np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    return Vote(k / n > k_below / m, bool(apart), min(n, m)).reading(text, scope, needed=FEWEST_SIGNS)


def _small(trapped: pd.DataFrame, low: pd.DataFrame, scope: Scope) -> Reading:
    logs = {name: (np.log(trapped[name]), float(np.log(low[name]).median())) for name in ("lambda_max", "scaled")}
    counts = {name: int((own < middle).sum()) for name, (own, middle) in logs.items()}
    text = (
        f"of {len(trapped)} such cells {counts['lambda_max']} have a smaller λ_max than the median cell of low loss "
        f"of the map, and {counts['scaled']} a smaller λ_max/ρ²"
    )
    return agreed(*(signs(middle - own) for own, middle in logs.values())).reading(text, scope, needed=FEWEST_SIGNS)


def _early(cells: pd.DataFrame, trapped: pd.Series, low: pd.Series, scope: Scope) -> Reading:
    beside = beside_peers(cells, trapped, low, "iterations")
    text = (
        f"of {beside.notna().sum()} such cells {(beside < 0).sum()} made fewer iterations than those of low loss at the same ρ"
    )
    return signs(-beside).reading(text, scope, needed=FEWEST_SIGNS)


def _stalls(panel: Panel, continued: Mapping[Cell, float], scope: Scope) -> Reading:
    """A plateau and a constant that solves the equation are no alternatives, and how a run ended shows neither."""
    runs = flatness.runs_of(panel)
    trapped = runs[runs["high"] & (runs["coefficient"] >= HARD)]
    n = len(trapped)
    short = int((trapped["iterations"] - warm_up(panel.plan) <= SHORT).sum())
    text = (
        f"{trapped['flat'].sum()} of {n} such runs are at a constant that solves the equation, which can be a "
        f"plateau; the line search of {trapped['stalled'].sum()} found no lower point in float32, {part_of(short, n)} ended "
        f"within {SHORT} iterations of the warm-up"
    )
    cells = {Cell(float(row.coefficient), int(row.n_data), int(row.seed)) for row in trapped.itertuples()}
    falls = pd.Series({tuple(cell): fall for cell, fall in continued.items() if cell in cells}, dtype=float)
    if falls.empty:
        return Reading(f"{text}; none was continued in float64", None, scope, units=0)
    falls.index = pd.MultiIndex.from_tuples(falls.index, names=["coefficient", "n_data", "seed"])
    text += f"; continued in float64 the loss of {percent(float((falls < STEADY).mean()))} of them hardly falls"
    text += f" (median factor {number(falls.median())})"
    return in_every_cell(falls < STEADY).reading(text, scope, needed=2)
