"""What section 2.5.1 and appendix F.2 of the paper say of loss surfaces along the leading eigenvectors."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd

from sciml_lib.analysis.strategies import iterations, own_stage
from sciml_lib.analysis.surfaces import ends, resolution, shapes
from sciml_lib.landscape.shape import DECADE
from sciml_lib.ledger.contract import FEWEST_SEEDS, Claim, Reading, Scope, Settling, Source, unread
from sciml_lib.ledger.votes import Vote, agreed
from sciml_lib.prose import counted, listed, number, percent, share_span, span
from sciml_lib.studies import Results
from sciml_lib.studies.cells import CONVECTION, REACTION_DIFFUSION
from sciml_lib.sweeps import catalog
from sciml_lib.sweeps.table2 import TABLE_2_LBFGS

TITLE = "Loss surfaces (section 2.5, appendix F.2)"

NARROW, LARGE = 0.1, 0.5
"""A narrow valley takes less than this share of the square, a large plain more than that. Our choice."""

CONVECTION_CELLS = ((5.0, 100), (50.0, 500))
"""Of paper Fig. 5(a) and (b): coefficient and points."""

REACTION_CELLS = ((5.0, 1000), (15.0, 1000))
"""Of paper Fig. 13(a) and (b)."""

_EVERY = "in every pair of one network of each cell"
_CHAPTER = "landscapes/rugged_surfaces"
_SEEDS = Settling("three seeds of both cells", REACTION_DIFFUSION, n_data=(1000,), seeds=3)
CLAIMS = (
    Claim(
        "surfaces-funnel", "section 2.5.1, paper Fig. 5(a)",
        "for slow convection a large flat region of high loss surrounds a deep, narrow valley", "β = 5 with 100 points",
        f"for every network the rim lies {DECADE:g} decade or more above it, the valley takes less than {percent(NARROW)} of "
        f"the square, the plain more than {percent(LARGE)} (our choice)",
        _CHAPTER,
    ),
    Claim(
        "surfaces-rugged", "section 2.5.1, paper Fig. 5(a) and (b)", "for fast convection the surface is much more rugged",
        "β = 5 with 100 points and β = 50 with 500",
        f"more basins {_EVERY}, on a grid whose step is no longer than the way on which the loss rises a hundredfold",
        _CHAPTER, Settling("surfaces whose grid resolves the valley"),
    ),
    Claim(
        "surfaces-sharper", "appendix F.2, caption of paper Fig. 13",
        "the minimum is sharper at ρ = 5 than at ρ = 15: its leading eigenvalue is larger", "ρ = 5 and 15 with 1,000 points",
        f"larger {_EVERY}, as it is and divided by the factor ρ² of the squared equation", _CHAPTER, _SEEDS,
    ),
    Claim(
        "surfaces-flatter", "appendix F.2, caption of paper Fig. 13", "the surface is flatter at ρ = 15 than at ρ = 5",
        "ρ = 5 and 15 with 1,000 points",
        f"a rim that is lower {_EVERY}, by its height above the network and by its loss", _CHAPTER, _SEEDS,
    ),
    Claim(
        "surfaces-plateau", "appendix F.2, caption of paper Fig. 13", "ρ = 15 has a broad plateau of high loss",
        "ρ = 5 and 15 with 1,000 points", f"a higher lowest loss and a larger plain than at ρ = 5 {_EVERY}", _CHAPTER, _SEEDS,
    ),
)  # fmt: skip
"""What the paper says that these runs can test."""


def gather(source: Source) -> tuple[Results]:
    """The study of surfaces."""
    return (source.study("surfaces"),)


def read(surfaces: Results) -> dict[str, Reading]:
    """What the surfaces along eigenvectors, at the paper's radius, say of each claim."""
    found, profile = shapes(surfaces), surfaces.attrs["profile"]
    eigen = found[found["variant"] == "eigen"]
    slow, fast = ends(eigen, CONVECTION)
    easy, hard = ends(eigen, REACTION_DIFFUSION)
    lacking = unread("one of the two cells has no surface", profile)
    readings = dict.fromkeys((claim.id for claim in CLAIMS), lacking)
    if len(slow):
        readings["surfaces-funnel"] = _funnel(slow, profile)
    if len(fast):
        readings["surfaces-rugged"] = _rugged(slow, fast, resolution(found), profile)
    if len(hard):
        readings |= {
            "surfaces-sharper": _sharper(easy, hard, profile),
            "surfaces-flatter": _flatter(easy, hard, profile),
            "surfaces-plateau": _plateau(easy, hard, profile),
        }
    return readings


def larger(first: pd.Series, second: pd.Series) -> Vote:
    """Whether the first of two is larger; it is clear where every pair of networks says the same."""
    right = bool(first.median() > second.median())
    return Vote(right, bool(first.min() > second.max() if right else first.max() < second.min()))


def _reading(text: str, vote: Vote, rows: pd.DataFrame, cells: Collection[tuple[float, int]], profile: str) -> Reading:
    """A reading whose units are networks, of the cells of a figure."""
    seeds = rows.groupby(["coefficient", "n_data"])["seed"].nunique()
    stored = [int(seeds[cell]) for cell in cells if cell in seeds]
    budget = iterations(own_stage(catalog.get(rows["sweep"].iloc[0]).at(profile).strategy)) / iterations(TABLE_2_LBFGS)
    scope = Scope(profile, len(stored) / len(cells), min(stored, default=0), budget)
    return Reading(text, vote.right, scope, len(rows), "network", FEWEST_SEEDS * len(cells), vote.clear)


def _symbol(rows: pd.DataFrame) -> str:
    return str(rows["symbol"].iloc[0])


def _each(column: str, *parts: pd.DataFrame) -> str:
    return listed(f"{span(part[column])} at {_symbol(part)}" for part in parts)


def _funnel(rows: pd.DataFrame, profile: str) -> Reading:
    so = (rows["depth"] >= DECADE) & (rows["valley"] < NARROW) & (rows["plain"] > LARGE)
    text = (
        f"the rim lies {span(rows['depth'])} decades above the centre; the valley takes {share_span(rows['valley'])} of the "
        f"square, the plain {share_span(rows['plain'])}; a bowl explains {share_span(rows['bowl'])} of the relief"
    )
    vote = Vote(bool(so.mean() > 0.5), bool(so.all() or not so.any()))
    return _reading(text, vote, rows, CONVECTION_CELLS[:1], profile)


def _rugged(slow: pd.DataFrame, fast: pd.DataFrame, steps: pd.DataFrame, profile: str) -> Reading:
    rows = pd.concat([slow, fast])
    here = steps[steps["cell"].isin(rows["cell"])]
    text = f"basins: {_each('basins', slow, fast)}"
    vote = larger(fast["basins"], slow["basins"])
    # On a coarser grid a basin is a sample: minima that are next to each other cannot be told from one valley.
    if len(here) < len(rows) or not (here["steps"] <= 1.0).all():
        vote = Vote(None, clear=False)
        if len(here):
            needed = int(here["needed"].max())
            text += f"; but a step of the grid is {span(here['steps'])} times as long as the valley is wide"
            text += f" (to resolve each {counted(needed, 'point')} a side are needed)"
        else:
            text += "; how wide the valley is was not measured"
    return _reading(text, vote, rows, CONVECTION_CELLS, profile)


def _sharper(easy: pd.DataFrame, hard: pd.DataFrame, profile: str) -> Reading:
    plain = [rows["lambda_1"] for rows in (easy, hard)]
    divided = [rows["lambda_1"] / rows["coefficient"] ** 2 for rows in (easy, hard)]
    text = f"leading eigenvalue: {_each('lambda_1', easy, hard)}; divided by ρ²: {listed(span(part) for part in divided)}"
    vote = agreed(larger(*plain), larger(*divided))
    return _reading(text, vote, pd.concat([easy, hard]), REACTION_CELLS, profile)


def _flatter(easy: pd.DataFrame, hard: pd.DataFrame, profile: str) -> Reading:
    depths = [rows["depth"] for rows in (easy, hard)]
    rims = [rows["centre"] + rows["depth"] for rows in (easy, hard)]
    losses = listed(number(10.0 ** float(np.median(rim))) for rim in rims)
    text = f"the rim lies {_each('depth', easy, hard)} decades above the network, and has a loss of {losses} (medians)"
    vote = agreed(larger(*depths), larger(*rims))
    return _reading(text, vote, pd.concat([easy, hard]), REACTION_CELLS, profile)


def _plateau(easy: pd.DataFrame, hard: pd.DataFrame, profile: str) -> Reading:
    lowest = [rows["centre"] - rows["below_centre"] for rows in (hard, easy)]
    high, broad = larger(*lowest), larger(hard["plain"], easy["plain"])
    losses = listed(number(10.0 ** float(np.median(one))) for one in reversed(lowest))
    plains = listed(f"{share_span(rows['plain'])} at {_symbol(rows)}" for rows in (easy, hard))
    text = f"lowest loss {losses} (medians); plain {plains}"
    # It takes both; one that is clearly not so is enough against it.
    wrong = any(vote.clear and not vote.right for vote in (high, broad))
    vote = Vote(False, clear=True) if wrong else Vote(bool(high.right and broad.right), high.clear and broad.clear)
    return _reading(text, vote, pd.concat([easy, hard]), REACTION_CELLS, profile)
