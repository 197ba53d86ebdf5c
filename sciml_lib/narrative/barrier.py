"""What the chapter on barriers says of curves between solutions: how far the loss rises, and what the error does meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import stats

from sciml_lib import figures
from sciml_lib.landscape import connectivity
from sciml_lib.ledger import FAILS, HOLDS, OPEN, Statement
from sciml_lib.narrative.landscapes import cell_name
from sciml_lib.prose import capitalised, counted, is_are, listed, number, part_of, percent, table
from sciml_lib.regimes.thresholds import Thresholds, of_panel
from sciml_lib.strategies import Strategy
from sciml_lib.studies import Item, Results
from sciml_lib.studies.cells import CONVECTION
from sciml_lib.studies.curves import TARGET
from sciml_lib.sweeps import catalog

PAIRS = {"same": "same seed", "other": "another seed"}
KINDS = {"bezier": "trained curve", "straight": "straight line"}
PAPER_CELL = (40.0, 10_000)
"""Of Fig. 15: speed and number of points."""

RISE = 1.1
"""A loss that rises on the way to no more than this many times the higher end meets no barrier."""

FINER = 10.0
"""One loss is far lower than another if it is so many times lower."""

ORDERED = 0.95
"""Share of pairs (an accurate point, an inaccurate one) from which on the loss is said to tell them apart."""


@dataclass(frozen=True)
class Path:
    """One curve from an L-BFGS solution to an ALM solution.

    Attributes:
        item: cell, pair, and the seed of the L-BFGS end.
        kind: ``bezier`` or ``straight``.
        t: places ``[T]``.
        loss: training loss there ``[T]``.
        error: test error there ``[T]``.
    """

    item: Item
    kind: str
    t: NDArray
    loss: NDArray
    error: NDArray

    @cached_property
    def factor(self) -> float:
        """The largest loss over that of the higher end, at least 1."""
        return float(self.loss.max() / max(self.loss[0], self.loss[-1]))

    @property
    def height(self) -> float:
        """The largest loss minus that of the higher end."""
        return float(connectivity(torch.from_numpy(self.loss)[:, None]).barrier)

    @property
    def clear(self) -> bool:
        """Whether there is no barrier."""
        return self.factor <= RISE

    def connectivity(self, which: str) -> float:
        """Mode connectivity by one of the two readings."""
        return float(connectivity(torch.from_numpy(self.loss)[:, None], which).value)


def paths(curves: Results, **wanted: str) -> list[Path]:
    """Returns the curves of a study, cell by cell, those of the same seed first, those with these values of attributes only.

    Args:
        curves: the study.
        wanted: ``variant`` of the item, or ``kind``.
    """
    kind, place = wanted.pop("kind", ""), {pair: i for i, pair in enumerate(PAIRS)}
    found = curves.where(**wanted)
    order = sorted(found, key=lambda item: (item.n_data, item.coefficient, place[item.variant], item.seed))
    return [
        Path(item, k, found[item]["t"], found[item][f"{k}_loss"], found[item][f"{k}_error"])
        for item in order
        for k in KINDS
        if kind in ("", k)
    ]


def low() -> Thresholds:
    """What counts as low here: the thresholds of Table 5 for L-BFGS."""
    return of_panel(CONVECTION)


def curve_cells(curves: Results) -> str:
    """Says which cells were run and whether the paper's is one of them, and tabulates the ends of every pair."""
    ends = [path for path in paths(curves, kind="straight")]
    rows = [
        [
            cell_name(path.item),
            PAIRS[path.item.variant],
            *(number(float(value)) for value in (path.loss[0], path.loss[-1], path.error[0], path.error[-1])),
        ]
        for path in ends
    ]
    header = ["cell", "pair", "training loss of L-BFGS", "of ALM", "test error of L-BFGS", "of ALM"]
    cells = {(path.item.coefficient, path.item.n_data): cell_name(path.item) for path in ends}
    beta, n = PAPER_CELL
    paper = f"The paper's cell (β = {beta:g}, {n:,} points)"
    here = listed(dict.fromkeys(cells.values()), last="and")
    run = (
        f"{paper} is among those that were run."
        if PAPER_CELL in cells
        else f"{paper} is not run in the profile *{curves.attrs['profile']}*; what was run is {here}."
    )
    return f"{run}\n\n{table(header, rows)}\n\n{_common_start(curves.attrs['profile'])}"


def _common_start(profile: str) -> str:
    """What the training of L-BFGS and that of ALM have in common, from their recipes."""
    ours, theirs = (catalog.get(sweep).at(profile).strategy.stages for sweep in (CONVECTION, TARGET))
    shared = 0
    while shared < min(len(ours), len(theirs)) and ours[shared] == theirs[shared]:
        shared += 1
    begin = Strategy(theirs[:-1]).words
    text = f"ALM begins with {begin}, on the same loss and from the same start as L-BFGS with its seed"
    if shared < len(ours):
        text += f"; L-BFGS alone goes through the same and has {ours[shared].words} in all"
        common = "the two ends have a part of their training in common, up to the place where ALM brings in its constraints"
    else:
        common = "ALM sets out from the very solution of L-BFGS"
    return (
        f"{text}. So for a pair with the *same seed* {common}: if any two solutions lie in one basin, these should. A pair "
        "with *another seed* has nothing in common but the problem: it is the honest test of connectedness."
    )


def curves_figure(curves: Results, title: str) -> Figure:
    """Draws loss and error along all curves, a column a cell."""
    cells: dict[str, list[figures.Curve]] = {}
    for path in paths(curves):
        drawn = figures.Curve(PAIRS[path.item.variant], path.kind, path.t, path.loss, path.error)
        cells.setdefault(cell_name(path.item), []).append(drawn)
    return figures.curve_grid(cells, ends=("L-BFGS", "ALM"), title=title, low=(low().train, low().test))


def barriers(curves: Results) -> str:
    """Tabulates how far the loss rises along every curve, and says between which pairs there is no barrier."""
    rows = [
        [
            cell_name(path.item),
            PAIRS[path.item.variant],
            KINDS[path.kind],
            number(float(path.loss.max())),
            f"{path.t[path.loss.argmax()]:.2f}",
            number(path.height) if path.height > 0 else "0",
            _times(path.factor),
        ]
        for path in paths(curves)
    ]
    header = ["cell", "pair", "curve", "largest loss", "at t", "height of the barrier", "times the higher end"]
    lines = [f"- *{capitalised(PAIRS[pair])}*: {_clear_words(curves, pair)}" for pair in PAIRS if paths(curves, variant=pair)]
    recipe = curves.attrs["recipe"]
    return (
        f"{table(header, rows)}\n\n*Barrier*: the largest loss on the curve minus that of the higher end; a rise by at most "
        f"{percent(RISE - 1)} of it is called none.\n\n" + "\n".join(lines) + f"\n\n{_reading(curves)} A barrier on one curve "
        "is no proof that there is none without: the middle points were trained by up to "
        f"{counted(recipe['iterations'], 'iteration')} of L-BFGS on {recipe['points']} points of the curve."
    )


def _clear_words(curves: Results, pair: str) -> str:
    """How many curves of one kind of pair have no barrier."""
    parts = []
    for kind in reversed(KINDS):
        found = paths(curves, variant=pair, kind=kind)
        blocked = [path.factor for path in found if not path.clear]
        met = "none" if not blocked else "all" if len(blocked) == len(found) else f"{len(blocked)}"
        what = (
            f"along the {KINDS[kind]} {met} of {counted(len(found), 'pair')} {'meets' if met in ('none', '1') else 'meet'} one"
        )
        parts.append(what + (f", {_factors(blocked)} times the higher end" if blocked else ""))
    return f"{parts[0]}; {parts[1]}."


def _times(factor: float) -> str:
    return "1" if factor == 1 else number(factor, 3 if factor < 10 else 2)


def _factors(factors: list[float]) -> str:
    lowest, highest = _times(min(factors)), _times(max(factors))
    return lowest if lowest == highest else f"{lowest} to {highest}"


def _reading(curves: Results) -> str:
    """What follows from both kinds of pairs."""
    same, other = (_open(curves, pair) for pair in PAIRS)
    if same is None or other is None:
        return "With one kind of pair alone nothing can be compared."
    if not any(path.clear for path in paths(curves)):
        return (
            "No pair is joined without a climb, and even a common start does not help: what Fig. 15 shows of the paper's two "
            "solutions is not so for these. Training the curve lowers its largest loss by a factor of "
            f"{_factors(_lowered(curves))}, and does not remove the barrier."
        )
    if same and other:
        return (
            "Even solutions of different seeds can be joined without a climb. So the paper's finding does not hinge on the "
            "common start of its two solutions."
        )
    if same:
        return (
            "Solutions with a common start can be joined without a climb, and not all of those without one: that there is no "
            "barrier says that ALM went on from where L-BFGS was, not that the landscape is connected."
        )
    if other:
        return "Solutions of different seeds can be joined without a climb, and not all of those with a common start."
    return "Neither all pairs with a common start can be joined without a climb, nor all of those without one."


def _lowered(curves: Results) -> list[float]:
    """By what factor the largest loss is lower on the trained curve than on the straight line, pair by pair."""
    trained, line = (paths(curves, kind=kind) for kind in KINDS)
    return [float(b.loss.max() / a.loss.max()) for a, b in zip(trained, line, strict=True)]


def _open(curves: Results, pair: str) -> bool | None:
    """Whether every pair of one kind is joined by some curve without a barrier; None if there is no pair."""
    joined: dict[Item, bool] = {}
    for path in paths(curves, variant=pair):
        joined[path.item] = joined.get(path.item, False) or path.clear
    return all(joined.values()) if joined else None


def two_connectivities(curves: Results) -> str:
    """Tabulates mode connectivity by its definition and by the formula that the paper prints, over the ends' mean loss."""
    rows, mosts, leasts, blind = [], [], [], 0
    for path in paths(curves):
        mean = 0.5 * (path.loss[0] + path.loss[-1])
        most, least = (path.connectivity(which) / mean for which in ("argmax", "argmin"))
        rows.append([cell_name(path.item), PAIRS[path.item.variant], KINDS[path.kind], _signed(most), _signed(least)])
        mosts.append(most)
        leasts.append(least)
        blind += not path.clear and least >= 0
    header = ["cell", "pair", "curve", "by argmax", "by argmin, as printed"]
    text = table(header, rows)
    return (
        f"{text}\n\nBoth in units of the ends' mean loss; negative: the loss is higher on the way. By argmax the place may be "
        "an end itself, where the loss falls all the way; then the value is half the difference of the ends, and no barrier. "
        "With argmin the place is that where the loss differs *least* from the ends' mean, and whatever is high between them "
        f"is passed over: the largest of these values is {_plain(leasts)} times that mean, where argmax gives up to "
        f"{_plain(mosts)} times."
        + (f" On {counted(blind, 'curve')} of {len(rows)} the printed formula reads a barrier as its absence." if blind else "")
    )


def _plain(values: list[float]) -> str:
    return number(max(abs(value) for value in values))


def _signed(value: float) -> str:
    if abs(value) < 5e-4:
        return "0"
    return f"{'-' if value < 0 else '+'}{number(abs(value))}"


def error_while_low(curves: Results) -> str:
    """Tabulates what the test error does on the part of each trained curve on which the loss is low."""
    limit, rows, factors, shares = low(), [], [], []
    for path in paths(curves, kind="bezier"):
        here = path.loss <= limit.train
        shares.append(float(here.mean()))
        row = [cell_name(path.item), PAIRS[path.item.variant], part_of(int(here.sum()), here.size)]
        if here.any():
            errors = path.error[here]
            factors.append(float(errors.max() / errors.min()))
            row += [
                number(float(errors.min())),
                number(float(errors.max())),
                part_of(int((errors > limit.test).sum()), len(errors)),
            ]
        else:
            row += ["no point", "no point", ""]
        rows.append(row)
    header = [
        "cell",
        "pair",
        f"points with a loss of at most {number(limit.train)}",
        "lowest test error there",
        "highest there",
    ]
    text = table([*header, f"of these with an error above {number(limit.test, 3)}"], rows)
    if not factors:
        return f"{text}\n\nNo point of a trained curve has a low loss."
    text += f"\n\nAlong one curve the error differs by a factor of up to {number(max(factors))} while the loss is low."
    if max(shares) < 0.5:
        text += (
            f" But on no curve is it low for most of the way ({percent(max(shares))} of the points at most): these are two "
            "places with a low loss and not a region."
        )
    return text


def loss_and_error(curves: Results) -> str:
    """Says how the test error goes with the training loss over all points of all curves."""
    limit = low()
    rows = []
    for name, (loss, error) in _points(curves).items():
        rank = float(stats.spearmanr(loss, error).statistic) if len(loss) > 2 else np.nan
        share = separation(loss, error, limit.test)
        rows.append(
            [
                name,
                len(loss),
                f"{rank:.2f}",
                part_of(int((error <= limit.test).sum()), len(loss)),
                "n/a" if np.isnan(share) else percent(share),
            ]
        )
    header = ["cell", "points", "rank correlation of loss and error", f"error at most {number(limit.test, 3)}", "told apart"]
    loss, error = _all_points(curves)
    right = error <= limit.test
    text = (
        f"{table(header, rows)}\n\n*Told apart*: in how many of all pairs of an accurate and an inaccurate point the accurate "
        f"one has the lower loss; one half would be chance. {_low_but_wrong(loss, error)} {_inversion_words(curves)}"
    )
    if right.all() or not right.any():
        return f"{text} {'All' if right.all() else 'None'} of the points {'are' if right.all() else 'is'} accurate."
    wrong, best = float(loss[~right].min()), float(loss[right].min())
    text += (
        f" The lowest loss of an inaccurate point is {number(wrong)}, that of an accurate one {number(best)}, and the highest "
        f"of an accurate one {number(float(loss[right].max()))}."
    )
    if wrong <= best:
        return f"{text} So over all these cells no loss is low enough to vouch for a solution."
    under = int((loss < wrong).sum())
    return f"{text} Below {number(wrong)} every point is accurate, {part_of(under, len(loss))} of all."


def _low_but_wrong(loss: NDArray, error: NDArray) -> str:
    limit = low()
    here = loss <= limit.train
    if not here.any():
        return f"No point has a loss of at most {number(limit.train)}, which is what Table 5 calls low."
    wrong = int((here & (error > limit.test)).sum())
    n = int(here.sum())
    return (
        f"Of {counted(n, 'point')} with a loss of at most {number(limit.train)} {part_of(wrong, n)} {is_are(wrong)} inaccurate."
    )


def inversions(curves: Results) -> list[tuple[str, tuple[str, float, float], tuple[str, float, float]]]:
    """Pairs of solutions of one cell of which the inaccurate one has the lower loss.

    Returns:
        Of each its cell, and name, loss and error first of the inaccurate, then of the accurate one.
    """
    cells: dict[str, dict[str, tuple[float, float]]] = {}
    for path in paths(curves, kind="straight"):
        ends = cells.setdefault(cell_name(path.item), {})
        ends[f"L-BFGS (seed {path.item.seed})"] = float(path.loss[0]), float(path.error[0])
        ends["ALM (seed 0)"] = float(path.loss[-1]), float(path.error[-1])
    return [
        (cell, (wrong, *a), (right, *b))
        for cell, ends in cells.items()
        for wrong, a in ends.items()
        for right, b in ends.items()
        if a[1] > low().test >= b[1] and a[0] < b[0]
    ]


def _inversion_words(curves: Results) -> str:
    found = inversions(curves)
    if not found:
        return "Among the solutions themselves, the ends, no inaccurate one has a lower loss than an accurate one of its cell."
    cell, *pair = max(found, key=lambda entry: entry[2][1] / entry[1][1])
    (wrong, a, a_error), (right, b, b_error) = pair
    return (
        f"Among the solutions themselves, the ends, the order is reversed at {cell}: that of {wrong} has a loss of {number(a)} "
        f"and an error of {number(a_error)}, that of {right} a loss of {number(b)} and an error of {number(b_error)}."
    )


def separation(loss: NDArray, error: NDArray, limit: float) -> float:
    """Share of pairs (an accurate point, an inaccurate one) in which the accurate one has the lower loss; ties count half."""
    right = error <= limit
    if right.all() or not right.any():
        return np.nan
    return float(stats.mannwhitneyu(loss[~right], loss[right]).statistic / (right.sum() * (~right).sum()))


def _points(curves: Results) -> dict[str, tuple[NDArray, NDArray]]:
    """Loss and error of all points of all curves, cell by cell and over all."""
    cells: dict[str, list[Path]] = {}
    for path in paths(curves):
        cells.setdefault(cell_name(path.item), []).append(path)
    found = {name: _joined(group) for name, group in cells.items()}
    return found | ({"all together": _joined(paths(curves))} if len(found) > 1 else {})


def _all_points(curves: Results) -> tuple[NDArray, NDArray]:
    return _joined(paths(curves))


def _joined(group: list[Path]) -> tuple[NDArray, NDArray]:
    """Losses and errors of all points, each once: curves share their ends."""
    both = np.stack([np.concatenate([getattr(path, name) for path in group]) for name in ("loss", "error")], axis=1)
    with np.errstate(divide="ignore"):
        _, first = np.unique(np.round(np.log10(both), 5), axis=0, return_index=True)
    return both[np.sort(first), 0], both[np.sort(first), 1]


def barrier_statements(curves: Results) -> list[Statement]:
    """Evaluates what appendix F.4 and the caption of Fig. 15 say."""
    return [
        _finer(curves),
        _no_barrier(curves, "same", "no barrier of the loss lies between the solutions of L-BFGS and of ALM"),
        _no_barrier(curves, "other", "the two solutions lie in the same basin (tested with different seeds)"),
        _decoupled(curves),
        _sufficiently_low(curves),
    ]


def _finer(curves: Results) -> Statement:
    claim = "L-BFGS has converged coarsely (a loss of about $10^{-2}$) and ALM finely (about $10^{-4}$)"
    pairs = paths(curves, variant="same", kind="straight")
    if not pairs:
        return Statement(claim, "no pair with the same seed was run", OPEN)
    text = "; ".join(f"{number(float(p.loss[0]))} and {number(float(p.loss[-1]))} ({cell_name(p.item)})" for p in pairs)
    its = [path for path in pairs if (path.item.coefficient, path.item.n_data) == PAPER_CELL]
    if not its:
        like = [cell_name(path.item) for path in pairs if path.loss[0] / path.loss[-1] >= FINER]
        alike = f"far lower with ALM at {listed(like)}" if like else "nowhere far lower with ALM"
        return Statement(claim, f"its cell was not run; in ours {text}: {alike}", OPEN)
    return Statement(claim, text, HOLDS if min(path.loss[0] / path.loss[-1] for path in its) >= FINER else FAILS)


def _no_barrier(curves: Results, pair: str, claim: str) -> Statement:
    clear = _open(curves, pair)
    if clear is None:
        return Statement(claim, f"no pair with {'the ' if pair == 'same' else ''}{PAIRS[pair]} was run", OPEN)
    parts = []
    for kind, name in KINDS.items():
        factors = [path.factor for path in paths(curves, variant=pair, kind=kind)]
        parts.append(f"{name}: at most {_times(max(factors))} times the higher end")
    return Statement(claim, f"{PAIRS[pair]}; {'; '.join(parts)}", HOLDS if clear else FAILS)


def _decoupled(curves: Results) -> Statement:
    claim = "a low loss does not mean an accurate solution"
    loss, error = _all_points(curves)
    here = loss <= low().train
    if not here.any():
        return Statement(claim, "no point of a curve has a low loss", OPEN)
    return Statement(claim, _low_but_wrong(loss, error), HOLDS if (error[here] > low().test).any() else FAILS)


def _sufficiently_low(curves: Results) -> Statement:
    claim = "only a sufficiently low loss leads to an accurate solution"
    points = _points(curves)
    shares = {name: separation(loss, error, low().test) for name, (loss, error) in points.items()}
    known = {name: share for name, share in shares.items() if not np.isnan(share)}
    if not known:
        return Statement(claim, "no cell has accurate and inaccurate points", OPEN)
    text = "an accurate point has the lower loss in " + listed(f"{percent(s)} ({name})" for name, s in known.items())
    reversed_ = inversions(curves)
    if reversed_:
        cells = listed(dict.fromkeys(entry[0] for entry in reversed_))
        text += f" of all pairs with an inaccurate one; solutions in reverse order at {cells}"
    return Statement(claim, text, HOLDS if min(known.values()) >= ORDERED and not reversed_ else FAILS)
