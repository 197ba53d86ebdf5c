"""What section 2.5.1 and appendix F.2 of the paper say of loss surfaces along the leading eigenvectors."""

from __future__ import annotations

import pandas as pd

from sciml_lib.analysis.surfaces import ends
from sciml_lib.landscape.shape import DECADE
from sciml_lib.ledger.statement import FAILS, HOLDS, OPEN, Statement, verdict_of
from sciml_lib.prose import counted, listed, share_span, span
from sciml_lib.studies.cells import CONVECTION, REACTION_DIFFUSION

NARROW, LARGE = 0.1, 0.5
"""A narrow valley takes less than this share of the square, a large plain more than that."""


def statements(shapes: pd.DataFrame) -> list[Statement]:
    """Evaluates them, at the paper's radius.

    A statement holds if it does for every seed, and does not if it does for none.

    Args:
        shapes: what :func:`sciml_lib.analysis.surfaces.shapes` returns.
    """
    shapes = shapes[shapes["variant"] == "eigen"]
    found = []
    easy, _ = ends(shapes, CONVECTION)
    if len(easy):
        found += [_funnel(easy), *ruggedness(shapes)]
    easy, hard = ends(shapes, REACTION_DIFFUSION)
    if len(hard):
        claim = (
            f"the minimum is sharper at {_symbol(easy)} than at {_symbol(hard)}: its leading eigenvalue is larger (caption of "
            "paper Fig. 13)"
        )
        found += [_larger(claim, "leading eigenvalue", "lambda_1", easy, hard), _flatter(easy, hard), _plateau(easy, hard)]
    return found


def ruggedness(shapes: pd.DataFrame) -> list[Statement]:
    """Whether more difficult convection is more rugged, and whether all its surfaces have several minima.

    Args:
        shapes: rows of one variant.
    """
    easy, hard = ends(shapes, CONVECTION)
    if easy.empty:
        return []
    claims = (
        f"at a larger β it is much more rugged than at {_symbol(easy)}",
        "PINN surfaces are characterised by sharp local minima (caption of paper Fig. 5): several on each",
    )
    several = [end["basins"] > 1 for end in (easy, hard) if len(end)]
    text = "more than one basin on " + listed(
        f"{(end['basins'] > 1).sum()} of {counted(len(end), 'surface')} at {_symbol(end)}" for end in (easy, hard) if len(end)
    )
    every, lacking = all(one.all() for one in several), any(not one.any() for one in several)
    minima = Statement(claims[1], text, HOLDS if every else FAILS if lacking else OPEN)
    if hard.empty:
        return [Statement(claims[0], "a larger β was not run", OPEN), minima]
    few, many = easy["basins"], hard["basins"]
    text = (
        f"basins: {span(few)} at {_symbol(easy)}, {span(many)} at {_symbol(hard)}; share of a bowl in the relief: "
        f"{share_span(easy['bowl'])} and {share_span(hard['bowl'])}"
    )
    verdict = HOLDS if many.min() > few.max() else FAILS if many.median() <= few.median() else OPEN
    return [Statement(claims[0], text, verdict), minima]


def _symbol(rows: pd.DataFrame) -> str:
    return str(rows["symbol"].iloc[0])


def _funnel(rows: pd.DataFrame) -> Statement:
    claim = f"at {_symbol(rows)} a large flat region of high loss surrounds a deep, narrow valley"
    right = (rows["depth"] >= DECADE) & (rows["valley"] < NARROW) & (rows["plain"] > LARGE)
    text = (
        f"the rim lies {span(rows['depth'])} decades above the centre; the valley takes {share_span(rows['valley'])} of the "
        f"square, the plain {share_span(rows['plain'])}"
    )
    return Statement(claim, text, verdict_of(right))


def _flatter(easy: pd.DataFrame, hard: pd.DataFrame) -> Statement:
    claim = f"the surface at {_symbol(hard)} is flatter than at {_symbol(easy)}: its rim lies less high above the centre"
    one = _larger(claim, "depth in decades", "depth", easy, hard)
    rims = listed(f"{span(10.0 ** (end['centre'] + end['depth']))} at {_symbol(end)}" for end in (easy, hard))
    return Statement(claim, f"{one.found}; the loss on the rim is {rims}", one.verdict)


def _plateau(easy: pd.DataFrame, hard: pd.DataFrame) -> Statement:
    claim = f"{_symbol(hard)} has a broad plateau of high loss: a higher lowest loss than {_symbol(easy)}, and a larger plain"
    lowest = [end.assign(lowest=10.0 ** (end["centre"] - end["below_centre"])) for end in (hard, easy)]
    high, broad = _larger(claim, "lowest loss", "lowest", *lowest), _larger(claim, "plain", "plain", hard, easy)
    text = f"{high.found}; plain: " + listed(f"{share_span(end['plain'])} at {_symbol(end)}" for end in (hard, easy))
    both = {high.verdict, broad.verdict}
    return Statement(claim, text, FAILS if FAILS in both else OPEN if OPEN in both else HOLDS)


def _larger(claim: str, what: str, column: str, first: pd.DataFrame, second: pd.DataFrame) -> Statement:
    """Whether the first of two is larger in every pair of seeds, or smaller in every one."""
    text = f"{what}: " + listed(f"{span(end[column])} at {_symbol(end)}" for end in (first, second))
    if first[column].min() > second[column].max():
        return Statement(claim, text, HOLDS)
    return Statement(claim, text, FAILS if first[column].max() < second[column].min() else OPEN)
