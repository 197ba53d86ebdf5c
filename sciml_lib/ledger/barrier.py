"""What appendix F.4 of the paper and the caption of Fig. 15 say of barriers."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from sciml_lib.analysis.barrier import FINER, PAIRS, RISE, climbs, inversions, joined, low, networks, order, points
from sciml_lib.analysis.strategies import iterations, own_stage
from sciml_lib.landscape.curves import SOLVER
from sciml_lib.ledger.contract import Claim, Reading, Scope, Settling, Source, unread
from sciml_lib.prose import counted, is_are, listed, number, percent
from sciml_lib.studies import Results
from sciml_lib.studies.curves import PAPER_CELL, TARGET
from sciml_lib.sweeps import catalog

TITLE = "Barriers (appendix F.4)"

FEWEST = 3
"""So many pairs, networks or cells at least: as many as the contract asks seeds of."""

NONE_OF = 10
"""That something never happens takes so many networks in which it does not: by the rule of three, less than a third of all."""

_PLACE, _CHAPTER = "appendix F.4, paper Fig. 15", "landscapes/barrier"
_SETTLES = Settling(
    "the study `curves` with the paper's budget at its cell: `python -m sciml_lib study curves --profile paper`"
)
_CELL = f"β = {PAPER_CELL[0]:g} with {PAPER_CELL[1]:,} points"
CLAIMS = (
    Claim(
        "barrier-refines", _PLACE,
        "where L-BFGS stays coarse (a loss of about $10^{-2}$) and inaccurate, ALM gets fine ($10^{-4}$) and accurate",
        f"{_CELL}: runs of ALM, from the place where their constraints come in",
        "three in four runs start above the test threshold of paper Table 5 for L-BFGS and end below it, with a loss "
        f"{FINER:g} times lower (half of the paper's two decades)",
        _CHAPTER, _SETTLES,
    ),
    Claim(
        "barrier-none", _PLACE, "no barrier of the loss lies between the coarse solution and the fine one",
        f"runs of ALM that start coarse and inaccurate and end fine and accurate; in the paper {_CELL}",
        f"three in four are joined with their own start by a curve that rises to at most {RISE:g} times the higher end (our "
        "choice)",
        _CHAPTER, _SETTLES,
    ),
    Claim(
        "barrier-basin", "appendix F.4, caption of paper Fig. 15", "solutions of L-BFGS and of ALM lie in one basin",
        f"finished runs of both in one cell, with one seed or with two; in the paper {_CELL}",
        f"three in four pairs of each kind are joined by a curve that rises to at most {RISE:g} times the higher end",
        _CHAPTER, _SETTLES,
    ),
    Claim(
        "barrier-decoupled", _PLACE, "a low training loss does not mean an accurate solution", f"trained networks; {_CELL}",
        "of the networks with a loss below the training threshold of paper Table 5 two or more have an error above the test "
        f"threshold (one is an accident, none of {NONE_OF} a failure)",
        _CHAPTER, _SETTLES,
    ),
    Claim(
        "barrier-sufficient", "appendix F.4, caption of paper Fig. 15",
        "only a sufficiently low loss leads to an accurate solution",
        f"cells with accurate and inaccurate networks; {_CELL}",
        "in every such cell each accurate network has a lower loss than each inaccurate one; it fails if half of them are "
        "not so",
        _CHAPTER, _SETTLES,
    ),
)  # fmt: skip
"""What the paper says that these runs can test."""


def gather(source: Source) -> tuple[Results]:
    """The study of curves between solutions."""
    return (source.study("curves"),)


def read(curves: Results) -> dict[str, Reading]:
    """What the runs say of each claim."""
    rows = climbs(curves)
    pairs, nets = joined(rows), networks(rows)
    return {
        "barrier-refines": _refines(rows, curves),
        "barrier-none": _none(pairs, curves),
        "barrier-basin": _basin(pairs, curves),
        "barrier-decoupled": _decoupled(nets, curves),
        "barrier-sufficient": _sufficient(rows, nets, curves),
    }


def times(factor: float) -> str:
    """Returns a factor of at least 1, with three digits below ten."""
    return "1" if factor == 1 else number(factor, 3 if factor < 10 else 2)


def _scope(found: pd.DataFrame, curves: Results, **more: float) -> Scope:
    """Of the cells that a claim speaks of, which are those found and the paper's, the share that was run; and their seeds."""
    cells = found.groupby(["coefficient", "n_data"])["seed"].nunique()
    share = len(cells) / len({PAPER_CELL, *cells.index})
    return Scope(curves.attrs["profile"], share, int(cells.min()) if len(cells) else 0, **more)


def _most(yes: Iterable[bool]) -> tuple[bool, bool]:
    """Whether most are so, and whether that is clear: at least three in four of them."""
    share = float(np.mean(list(yes)))
    return share > 0.5, abs(share - 0.5) >= 0.25


def _trained(pairs: pd.DataFrame, curves: Results) -> dict[str, float]:
    """The budget of the curves' middle points, and how many of those that meet a barrier had used it up."""
    blocked = pairs[~pairs["clear"].astype(bool)]
    budget = curves.attrs["recipe"]["iterations"] / SOLVER.max_iterations
    return {"budget": budget, "by_budget": float(blocked["cut"].mean()) if len(blocked) else np.nan}


def _refines(rows: pd.DataFrame, curves: Results) -> Reading:
    runs = rows[(rows["pair"] == "own") & (rows["kind"] == "straight")]
    text = "; ".join(
        f"{group['refined'].sum()} of {counted(len(group), 'run')} at {cell} (medians {number(group['loss_0'].median())} and "
        f"{number(group['loss_1'].median())})"
        for cell, group in runs.groupby("cell", sort=False)
    )
    here = runs[(runs["coefficient"] == PAPER_CELL[0]) & (runs["n_data"] == PAPER_CELL[1])]
    profile = curves.attrs["profile"]
    if here.empty:
        return unread(f"its cell was not run; {text}" if text else "no run of ALM was joined with its start", profile)
    right, clear = _most(here["refined"])
    here_cut, sweep = here.loc[~here["refined"], "run_cut"], catalog.get(TARGET)
    stages = (own_stage(sweep.at(one).strategy) for one in (profile, "paper"))
    mine, theirs = map(iterations, stages)
    cut = {"budget": mine / theirs, "by_budget": float(here_cut.mean()) if len(here_cut) else np.nan}
    return Reading(text, right, _scope(here, curves, **cut), len(here), "run", FEWEST, clear)


def _none(pairs: pd.DataFrame, curves: Results) -> Reading:
    own = pairs[pairs["pair"] == "own"]
    like = own[own["refined"].astype(bool)]
    # A cell has as many seeds as it has runs, also where only some of them are pairs of this kind.
    runs = own[own["cell"].isin(like["cell"])]
    scope = _scope(runs, curves, **_trained(like, curves))
    of = counted(len(own), "run")
    if own.empty:
        return unread("no run of ALM was joined with its start", curves.attrs["profile"])
    if like.empty:
        text = f"none of {of} of ALM goes from coarse and inaccurate to fine and accurate; of these other runs"
        return Reading(f"{text} {own['clear'].sum()} are joined with their start", None, scope, 0, "pair")
    right, clear = _most(like["clear"])
    text = (
        f"{len(like)} of {of} of ALM {'goes' if len(like) == 1 else 'go'} from coarse and inaccurate to fine and accurate; "
        f"{like['clear'].sum()} of these {is_are(like['clear'].sum())} joined with the own start (rise: at most "
        f"{times(like['factor'].max())} times the higher end)"
    )
    return Reading(text, right, scope, len(like), "pair", FEWEST, clear)


def _basin(pairs: pd.DataFrame, curves: Results) -> Reading:
    ends = pairs[pairs["pair"] != "own"]
    kinds = {kind: group["clear"].astype(bool) for kind, group in ends.groupby("pair", sort=False)}
    # Pairs that end at one network of ALM are not independent.
    scope = _scope(ends.assign(seed=ends["end_seed"]), curves, **_trained(ends, curves))
    if len(kinds) < 2:
        return Reading("only one kind of pair was run", None, scope, 0)
    text = listed(f"{clear.sum()} of {counted(len(clear), 'pair')} ({PAIRS[kind]})" for kind, clear in kinds.items())
    votes = {_most(clear) for clear in kinds.values()}
    right = {right for right, _ in votes}
    return Reading(
        f"joined: {text}", right.pop() if len(right) == 1 else None, scope,
        ends["cell"].nunique(), "cell", FEWEST, all(clear for _, clear in votes),
    )  # fmt: skip


def _decoupled(nets: pd.DataFrame, curves: Results) -> Reading:
    here = nets[nets["low"]]
    wrong, n, limit = int((~here["right"]).sum()), len(here), number(low().train)
    clear = wrong > 1 or (wrong == 0 and n >= NONE_OF)
    text = f"{wrong} of {counted(n, 'network')} with a loss of at most {limit} {is_are(wrong)} inaccurate"
    scope = _scope(nets[nets["cell"].isin(here["cell"])], curves)
    return Reading(text, wrong > 0 if n else None, scope, n, "network", FEWEST, clear)


def _sufficient(rows: pd.DataFrame, nets: pd.DataFrame, curves: Results) -> Reading:
    both = nets.groupby("cell")["right"].transform("nunique") == 2
    here = nets[both]
    cells = list(here["cell"].unique())
    if not cells:
        return Reading("no cell has accurate and inaccurate networks", None, _scope(here, curves), 0)
    turned = set(inversions(rows)["cell"])
    ordered = len(cells) - len(turned)
    apart = order(points(curves))["apart"].dropna()
    text = (
        f"so in {ordered} of {counted(len(cells), 'cell')} with both; of two points of their curves the accurate one has the "
        f"lower loss in {percent(apart.min())}{'' if len(apart) == 1 else ' or more'}"
    )
    clear = not turned or ordered <= len(cells) / 2
    return Reading(text, not turned, _scope(here, curves), len(cells), "cell", FEWEST, clear)
