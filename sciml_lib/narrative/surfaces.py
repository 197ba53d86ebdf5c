"""What the chapter on rugged surfaces says: how deep, how narrow and how broken the stored surfaces are, run by run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from sciml_lib import figures, systems
from sciml_lib.errors import UserError
from sciml_lib.landscape.shape import BARRIER, DECADE, Shape, height_of, inner_basins, measure
from sciml_lib.ledger import FAILS, HOLDS, OPEN, Statement, verdict_of
from sciml_lib.narrative.landscapes import cell_name
from sciml_lib.prose import capitalised, counted, listed, number, share_span, span, table
from sciml_lib.studies import Item, Results
from sciml_lib.studies.base import Arrays
from sciml_lib.studies.cells import CONVECTION, REACTION_DIFFUSION
from sciml_lib.sweeps import catalog

NARROW, LARGE = 0.1, 0.5
"""A narrow valley takes less than this share of the square, a large plain more than that."""

MOSTLY, HARDLY = 0.8, 0.5
"""A surface is mostly a bowl if one explains so much of its relief, and hardly one if it explains less than half."""

BARRIERS = (0.03, BARRIER, 0.3, 1.0)
"""Barriers that basins are counted with, in decades."""

DIRECTIONS = {
    "eigen": ("first eigenvector", "second eigenvector"),
    "random": ("first random direction", "second random direction"),
    "wide": ("first eigenvector / radius", "second eigenvector / radius"),
}
"""Names of the axes by variant; where each surface has its own radius, in units of that."""

VARIANTS = {"eigen": "eigenvectors", "random": "random directions", "wide": "eigenvectors, adapted"}
"""What the variants are called in tables."""

DECIMALS = 4
"""To so many decimals of a decade surfaces are drawn: the same page on every machine."""

Cell = tuple[str, float, int]
"""Sweep, coefficient and amount of data."""


def surfaces_figure(results: Results, sweep: str, variant: str, title: str) -> Figure:
    """Draws the surfaces of the cells of one sweep side by side, at the first seed."""
    return figures.surfaces(_reliefs(results, sweep, variant), title=title, directions=DIRECTIONS[variant])


def interactive(results: Results, sweep: str, variant: str, title: str) -> Any:
    """Returns the same surfaces as an object that a page of the book lets its reader turn."""
    from IPython.display import HTML

    drawn = figures.surface_interactive(_reliefs(results, sweep, variant), title=title, directions=DIRECTIONS[variant])
    return HTML(figures.to_html(drawn))


def surface_overview(results: Results) -> str:
    """Tabulates where each surface is taken: the loss there, the leading eigenvalues, and how far it reaches."""
    rows = []
    for cell, items in _cells(results).items():
        eigen, wide = _of(items, "eigen"), _of(items, "wide")
        values = np.array([arrays["eigenvalues"] for arrays in eigen.values()]).reshape(-1, 2)
        centres = [10.0 ** measure(arrays).centre for arrays in eigen.values()]
        reach = [float(arrays["alpha"][-1]) for arrays in wide.values()]
        spans = (span(centres), span(values[:, 0]), span(values[:, 1]), span(reach))
        rows.append([_name(cell), len(eigen), *spans])
    header = ["cell", "seeds", "training loss", "$\\lambda_1$", "$\\lambda_2$", "adapted radius"]
    recipe = results.attrs["recipe"]
    return (
        f"{table(header, rows)}\n\nEach surface has {recipe['resolution']} by {recipe['resolution']} points. The first two "
        f"kinds reach to {recipe['radius']:g} along each direction, the adapted ones to where the loss has risen "
        f"{recipe['rise']:g}-fold along the first eigenvector."
    )


def surface_shapes(results: Results) -> str:
    """Tabulates what is measured on the surfaces, over all seeds."""
    rows = []
    for cell, items in _cells(results).items():
        for variant, words in VARIANTS.items():
            shapes = [measure(arrays) for arrays in _of(items, variant).values()]
            if shapes:
                rows.append(
                    [
                        _name(cell),
                        words,
                        span(shape.depth for shape in shapes),
                        share_span(shape.valley for shape in shapes),
                        share_span(shape.plain for shape in shapes),
                        _counts(shape.basins for shape in shapes),
                        share_span(shape.drained for shape in shapes),
                        share_span(max(shape.bowl, 0.0) for shape in shapes),
                    ]
                )
    return table(["cell", "directions", "depth, decades", "valley", "plain", "basins", "drains to the lowest", "bowl"], rows)


def basin_choices(results: Results) -> str:
    """Tabulates how the number of basins at the paper's radius depends on the barrier and on the grid."""
    rows = []
    for cell, items in _cells(results, "eigen").items():
        heights = [height_of(arrays) for arrays in items.values()]
        counts = [[inner_basins(height, barrier) for height in heights] for barrier in BARRIERS]
        # From the second point on, so that the centre of an odd grid is among every second one.
        coarse = [inner_basins(height[height.shape[0] // 2 % 2 :: 2, height.shape[1] // 2 % 2 :: 2]) for height in heights]
        rows.append([_name(cell), *map(_counts, counts), _counts(coarse)])
    header = [f"{barrier:g} decades" for barrier in BARRIERS]
    return table(["basins behind a barrier of", *header, f"every second point, {BARRIER:g} decades"], rows)


def lowest_points(results: Results) -> str:
    """Says whether the trained network is the lowest point of its surface, for each choice of directions."""
    lines = []
    for variant, words in VARIANTS.items():
        shapes = {item: measure(arrays) for item, arrays in results.where(variant=variant).items()}
        if not shapes:
            continue
        deeper = {item: shape.below_centre for item, shape in shapes.items() if shape.below_centre > 0}
        if not deeper:
            lines.append(f"- *{words}*: the trained network is the lowest point of {_each(len(shapes))}.")
            continue
        worst = max(deeper, key=deeper.__getitem__)
        factor = 10.0 ** deeper[worst]
        gain = f"by {100 * (1 - 1 / factor):.2g} per cent" if factor < 2 else f"by a factor of {number(factor)}"
        lines.append(
            f"- *{words}*: {len(deeper)} of {counted(len(shapes), 'surface')} {'has' if len(deeper) == 1 else 'have'} a point "
            f"with a lower loss than the trained network, at most {gain} ({_cell_of(worst)}, seed {worst.seed})."
        )
    return "\n".join(lines)


def needles(results: Results) -> str:
    """Says how wide the valleys are: by how much farther than to the hundredfold loss the paper's radius reaches."""
    lines = []
    for cell, items in _cells(results).items():
        reach = [float(a["alpha"][-1]) for a in _of(items, "wide").values()]
        shapes = [measure(a) for a in _of(items, "eigen").values()]
        if reach and shapes:
            points = [
                round(shape.valley * a["loss"].size) for shape, a in zip(shapes, _of(items, "eigen").values(), strict=True)
            ]
            times = [results.attrs["recipe"]["radius"] / radius for radius in reach]
            lines.append(
                f"- *{_name(cell)}*: within {span(reach)} of the centre the loss rises "
                f"{results.attrs['recipe']['rise']:g}-fold; the paper's radius is {span(times)} times that. On its grid "
                f"{_points(points)} within a decade of the lowest."
            )
    return "\n".join(lines)


def bowls(results: Results) -> str:
    """Says which surfaces are little else than a bowl, seen on a logarithmic scale."""
    sentences = []
    for variant, where in (("eigen", "At the paper's radius"), ("wide", "Up to the adapted radius")):
        found = {
            _name(cell): [max(measure(a).bowl, 0.0) for a in items.values()] for cell, items in _cells(results, variant).items()
        }
        if not found:
            continue
        mostly = [name for name, shares in found.items() if min(shares) >= MOSTLY]
        hardly = [name for name, shares in found.items() if max(shares) < HARDLY]
        between = [name for name in found if name not in (*mostly, *hardly)]
        parts = [
            f"{what}: {listed(f'{name} ({share_span(found[name])})' for name in names)}"
            for what, names in (("mostly bowls", mostly), ("in between", between), ("hardly bowls", hardly))
            if names
        ]
        sentences.append(f"- {where}. {capitalised('; '.join(parts))}.")
    return "\n".join(sentences)


def surface_statements(results: Results) -> list[Statement]:
    """Evaluates what section 2.5.1 and appendix F.2 say about the surfaces along eigenvectors, at the paper's radius.

    A statement holds if it does for every seed, and does not if it does for none.
    """
    shapes = _shapes(results, "eigen")
    found = []
    easy, _ = _ends(shapes, CONVECTION)
    if easy is not None:
        found += [_funnel(easy, shapes[easy]), *_ruggedness(shapes)]
    easy, hard = _ends(shapes, REACTION_DIFFUSION)
    if hard is not None:
        values = {cell: _eigenvalues(results, cell) for cell in (easy, hard)}
        names = {cell: _symbol(cell) for cell in (easy, hard)}
        found.append(
            _larger(
                f"the minimum is sharper at {names[easy]} than at {names[hard]}: its leading eigenvalue is larger",
                "leading eigenvalue",
                {names[easy]: values[easy], names[hard]: values[hard]},
            )
        )
        found.append(_flatter(easy, hard, shapes))
        found.append(_plateau(easy, hard, shapes))
    return found


def radius_decides(results: Results) -> str:
    """Says whether ruggedness is seen at the adapted radius, too, and what random directions see."""
    pairs = list(zip(*(_ruggedness(_shapes(results, variant)) for variant in ("eigen", "wide")), strict=False))
    turned = [(here, there) for here, there in pairs if here.verdict != there.verdict]
    text = f"Up to the adapted radius, no verdict on ruggedness ({counted(len(pairs), 'statement')}) is another one."
    if turned:
        text = "The radius decides. " + " ".join(
            f"*{capitalised(here.claim)}*: {here.verdict} at the paper's radius, {there.verdict} up to the adapted one "
            f"({there.found})."
            for here, there in turned
        )
    lines = []
    for cell, items in _cells(results).items():
        eigen, random = ([measure(a).depth for a in _of(items, variant).values()] for variant in ("eigen", "random"))
        if eigen and random:
            lines.append((np.median(eigen) - np.median(random), np.median(random), _name(cell)))
    if lines:
        gap, depth, name = max(lines)
        text += (
            f"\n\nDirections are another: with the same radius the rim along random directions lies up to {number(gap)} "
            f"decades less high above the centre than along eigenvectors ({name}: {number(depth)} decades are left)."
            if gap > 0
            else "\n\nThe directions matter less: random ones rise as high as eigenvectors."
        )
    return text


def _funnel(cell: Cell, shapes: list[Shape]) -> Statement:
    claim = f"at {_symbol(cell)} a large flat region of high loss surrounds a deep, narrow valley"
    right = [shape.depth >= DECADE and shape.valley < NARROW and shape.plain > LARGE for shape in shapes]
    text = (
        f"the rim lies {span(shape.depth for shape in shapes)} decades above the centre; the valley takes "
        f"{share_span(shape.valley for shape in shapes)} of the square, the plain {share_span(shape.plain for shape in shapes)}"
    )
    return Statement(claim, text, verdict_of(right))


def _ruggedness(shapes: Mapping[Cell, list[Shape]]) -> list[Statement]:
    """Whether more difficult convection is more rugged, and whether all its surfaces have several minima."""
    easy, hard = _ends(shapes, CONVECTION)
    if easy is None:
        return []
    claims = f"at a larger β it is much more rugged than at {_symbol(easy)}", "PINN surfaces have several sharp local minima"
    several = {cell: [shape.basins > 1 for shape in shapes[cell]] for cell in (easy, hard) if cell is not None}
    text = "more than one basin on " + listed(
        f"{sum(found)} of {counted(len(found), 'surface')} at {_symbol(cell)}" for cell, found in several.items()
    )
    every, lacking = all(map(all, several.values())), any(not any(found) for found in several.values())
    minima = Statement(claims[1], text, HOLDS if every else FAILS if lacking else OPEN)
    if hard is None:
        return [Statement(claims[0], "a larger β was not run", OPEN), minima]
    few, many = ([shape.basins for shape in shapes[cell]] for cell in (easy, hard))
    text = (
        f"basins: {_counts(few)} at {_symbol(easy)}, {_counts(many)} at {_symbol(hard)}; share of a bowl in the relief: "
        f"{share_span(max(s.bowl, 0.0) for s in shapes[easy])} and {share_span(max(s.bowl, 0.0) for s in shapes[hard])}"
    )
    verdict = HOLDS if min(many) > max(few) else FAILS if np.median(many) <= np.median(few) else OPEN
    return [Statement(claims[0], text, verdict), minima]


def _flatter(easy: Cell, hard: Cell, shapes: Mapping[Cell, list[Shape]]) -> Statement:
    names = {cell: _symbol(cell) for cell in (easy, hard)}
    claim = f"the surface at {names[hard]} is flatter than at {names[easy]}: its rim lies less high above the centre"
    statement = _larger(
        claim, "depth in decades", {names[cell]: [shape.depth for shape in shapes[cell]] for cell in (easy, hard)}
    )
    rims = listed(f"{span(10.0 ** (s.centre + s.depth) for s in shapes[cell])} at {names[cell]}" for cell in (easy, hard))
    return Statement(claim, f"{statement.found}; the loss on the rim is {rims}", statement.verdict)


def _plateau(easy: Cell, hard: Cell, shapes: Mapping[Cell, list[Shape]]) -> Statement:
    names = {cell: _symbol(cell) for cell in (easy, hard)}
    claim = f"{names[hard]} has a broad plateau of high loss: a higher lowest loss than {names[easy]}, and a larger plain"
    lowest = {names[cell]: [10.0 ** (s.centre - s.below_centre) for s in shapes[cell]] for cell in (hard, easy)}
    plain = {names[cell]: [shape.plain for shape in shapes[cell]] for cell in (hard, easy)}
    high, broad = _larger(claim, "lowest loss", lowest), _larger(claim, "plain", plain)
    text = f"{high.found}; plain: " + listed(f"{share_span(shares)} at {name}" for name, shares in plain.items())
    both = {high.verdict, broad.verdict}
    return Statement(claim, text, FAILS if FAILS in both else OPEN if OPEN in both else HOLDS)


def _larger(claim: str, what: str, values: Mapping[str, list[float]]) -> Statement:
    """Whether the first of two is larger in every pair of seeds, or smaller in every one."""
    (_, first), (_, second) = values.items()
    text = f"{what}: " + listed(f"{span(numbers)} at {name}" for name, numbers in values.items())
    if min(first) > max(second):
        return Statement(claim, text, HOLDS)
    return Statement(claim, text, FAILS if max(first) < min(second) else OPEN)


def _shapes(results: Results, variant: str) -> dict[Cell, list[Shape]]:
    return {cell: [measure(arrays) for arrays in items.values()] for cell, items in _cells(results, variant).items()}


def _cells(results: Results, variant: str | None = None) -> dict[Cell, dict[Item, Arrays]]:
    """The items by their cells, in the order of the study."""
    cells: dict[Cell, dict[Item, Arrays]] = {}
    for item, arrays in results.items.items():
        if variant in (None, item.variant):
            cells.setdefault((item.sweep, item.coefficient, item.n_data), {})[item] = arrays
    return cells


def _of(items: Mapping[Item, Arrays], variant: str) -> dict[Item, Arrays]:
    return {item: arrays for item, arrays in items.items() if item.variant == variant}


def _ends(cells: Iterable[Cell], sweep: str) -> tuple[Cell | None, Cell | None]:
    """The cells of a sweep with the smallest and the largest coefficient; None for what is not there."""
    own = sorted((cell for cell in cells if cell[0] == sweep), key=lambda cell: cell[1])
    return (own[0] if own else None), (own[-1] if len(own) > 1 else None)


def _eigenvalues(results: Results, cell: Cell) -> list[float]:
    sweep, coefficient, n_data = cell
    found = results.where(sweep=sweep, coefficient=coefficient, n_data=n_data, variant="eigen")
    return [float(arrays["eigenvalues"][0]) for arrays in found.values()]


def _reliefs(results: Results, sweep: str, variant: str) -> list[figures.Relief]:
    found = results.where(sweep=sweep, variant=variant)
    first = {}
    for item in sorted(found, key=lambda item: item.seed):
        first.setdefault((item.coefficient, item.n_data), item)
    if not first:
        raise UserError(
            f"no surface of {sweep} along {VARIANTS[variant]} is stored; compute it with `{results.attrs['command']}`"
        )
    reliefs = []
    for _, item in sorted(first.items()):
        alpha, beta = (np.asarray(found[item][axis], dtype=float) for axis in ("alpha", "beta"))
        title = cell_name(item)
        if variant == "wide":
            title = f"{title}, radius {alpha[-1]:.1e}"
            alpha, beta = alpha / alpha[-1], beta / alpha[-1]
        reliefs.append(figures.Relief(title, alpha, beta, height_of(found[item]).round(DECIMALS)))
    return reliefs


def _name(cell: Cell) -> str:
    return cell_name(Item(*cell, seed=0), sweep=True)


def _cell_of(item: Item) -> str:
    return cell_name(item, sweep=True)


def _symbol(cell: Cell) -> str:
    return f"{systems.get(catalog.get(cell[0]).system).coefficient_label} = {cell[1]:g}"


def _counts(values: Iterable[int]) -> str:
    low, high = min(values := list(values)), max(values)
    return f"{low}" if low == high else f"{low} to {high}"


def _points(counts: list[int]) -> str:
    if max(counts) == 1:
        return "a single point, the lowest itself, is"
    return f"{_counts(counts)} points are"


def _each(n: int) -> str:
    return "the one surface" if n == 1 else f"each of the {n} surfaces"
