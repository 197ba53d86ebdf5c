"""What section 2.4 of the paper says of training strategies on the pendulum (paper Fig. 3(k)-(o))."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import xarray as xr
from scipy import stats

from sciml_lib import rollouts
from sciml_lib.analysis import structure
from sciml_lib.analysis.newton import Gain
from sciml_lib.ledger import maps
from sciml_lib.ledger.contract import Claim, Reading, Settling, Source, scope_of, unread
from sciml_lib.ledger.families import CHANCE, sharper
from sciml_lib.panels import Panel
from sciml_lib.prose import listed, percent
from sciml_lib.regimes import STRATEGY_NAMES, Regime

TITLE = "Training strategies on the pendulum (section 2.4)"
CHAPTER = "regimes/pinode_strategies"
BASE = STRATEGY_NAMES["lbfgs"]
"""The strategy that the others are compared with."""

AFTER_ADAM, TIGHT = "NNCG after Adam", "NNCG, tight"
PANELS = {
    "Adam": "adam", BASE: "lbfgs", "ALM": "alm", "NNCG": "nncg", "CL": "cl", AFTER_ADAM: "nncg-adam", TIGHT: "nncg-tight",
}  # fmt: skip
"""The strategies in the order of paper Fig. 3(k)-(o), and two more trainings with Newton steps, with their sweeps."""

FIVE = tuple(PANELS)[:5]
FEW = 40
"""Up to so many states the paper's horizons are short: one or two seconds."""

ROWS_TOO_LOW = Settling("the authors' word on which loss the rows of paper Table 5 mean")
_JUDGES = (
    "by the rows of both in paper Table 5, by that of Adam and by that of L-BFGS; a row is left out where the time step alone "
    f"is above its training threshold in most cells; {maps.STEADY}"
)


def _claim(name: str, figure: str, words: str, scope: str, criterion: str, settles: Settling | None = None) -> Claim:
    return Claim(f"pendulum-{name}", f"section 2.4, paper Fig. 3{figure}", words, scope, criterion, CHAPTER, settles)


CLAIMS = (
    *(
        _claim(
            f"regimes-{PANELS[name]}", f"({letter})", f"with {name} the three regimes of the PINODE remain", "the whole map",
            f"{maps.REGIMES_TEST}; cells that the time step alone lifts above the threshold do not count, and with most "
            "of them gone it is open", ROWS_TOO_LOW,
        )
        for letter, name in zip("klmno", FIVE, strict=True)
    ),
    _claim("expands-alm", "(l) and (m)", "ALM expands Regime I of L-BFGS", "the whole map", f"more cells are in I, {_JUDGES}"),
    _claim("keeps-alm", "(m)", "ALM does not remove Regime III", "the whole map", f"cells are in III, {_JUDGES}"),
    _claim(
        "shrinks-cl", "(l) and (o)", "CL shrinks Regime II of L-BFGS", "the whole map",
        f"fewer cells are in II, {_JUDGES}; and where L-BFGS has none",
    ),
    _claim(
        "test-cl", "(l) and (o)", "CL lowers the test error of L-BFGS where data are few", f"cells with at most {FEW} states",
        f"it is lower in the median cell; cells differ as much by chance in fewer than {percent(CHANCE)} of cases (Wilcoxon)",
    ),
    _claim(
        "smoother-cl", "(k)-(o)", "transitions of CL are smoother than those of the other strategies",
        "all rows that cross the training border",
        "the training loss rises by a smaller factor, and above its floor with a smaller exponent of 1/b, than with each other "
        f"strategy; rows of one kind differ as much with a chance below {CHANCE:g}; none whose border is the floor's counts",
    ),
    _claim(
        "gains-nncg", "(n)", "in Regime I NNCG improves what L-BFGS has reached", "cells of Regime I of L-BFGS",
        f"training loss and test error are lower in more than {percent(maps.MOST)} of the cells, with the code's tolerance "
        f"and with a tighter one; it fails below {percent(1 - maps.MOST)}", Settling("the tolerance of the paper's own runs"),
    ),
)  # fmt: skip
"""What the paper says that these maps can test."""


def gather(source: Source) -> tuple[dict[str, Panel]]:
    """The maps of :data:`PANELS`."""
    return ({name: source.panel(f"pinode/pendulum/{variant}") for name, variant in PANELS.items()},)


def read(panels: Mapping[str, Panel]) -> dict[str, Reading]:
    """What the runs say of each claim."""
    base, alm, cl = panels[BASE], panels["ALM"], panels["CL"]
    floor = rollouts.euler_floor(base)
    found = {f"regimes-{PANELS[name]}": _three_regimes(panels[name], floor) for name in FIVE}
    newton = {"after L-BFGS": found["regimes-nncg"], "after Adam": _three_regimes(panels[AFTER_ADAM], floor)}
    judges = _judges(panels, floor)
    gains = {"tolerance of the code": panels["NNCG"], "tighter": panels[TIGHT]}
    found |= {
        "regimes-nncg": maps.joined(newton),
        "expands-alm": _more(alm, base, judges, Regime.I),
        "keeps-alm": _keeps(alm, judges),
        "shrinks-cl": _more(base, cl, judges, Regime.II),
        "test-cl": _lower_where_few(cl, base),
        "smoother-cl": _smoother({name: panels[name] for name in FIVE}, floor),
        "gains-nncg": maps.joined({name: _gains(base, one) for name, one in gains.items()}),
    }
    return {f"pendulum-{name}": reading for name, reading in found.items()}


def _three_regimes(panel: Panel, floor: xr.DataArray) -> Reading:
    """Three regimes, in cells whose label the training decides."""
    free = floor.reindex_like(panel.train) <= panel.thresholds.train
    status = panel.runs["status"].where(free, "")
    found = maps.three_regimes(replace(panel, runs=panel.runs.where(free).assign(status=status)))
    n = int((~free).sum())
    text = f"{found.found}; the time step alone is above the threshold in {n} of {free.size} cells" if n else found.found
    return replace(found, found=text, right=found.right if free.mean() > 0.5 else None, scope=scope_of(panel))


Judges = Callable[[Sequence[Panel]], dict[str, list[Panel]]]
"""Some maps by each row of Table 5 that training can satisfy in most of their cells, by whose row it is."""


def _judges(panels: Mapping[str, Panel], floor: xr.DataArray) -> Judges:
    def judged(maps: Sequence[Panel]) -> dict[str, list[Panel]]:
        found = {"their own rows": list(maps)}
        found |= {f"that of {name}": [panel.with_thresholds_of(panels[name]) for panel in maps] for name in ("Adam", BASE)}
        return {name: ps for name, ps in found.items() if all((floor <= p.thresholds.train).mean() > 0.5 for p in ps)}

    return judged


def _agreed(judges: Judges, judged: Sequence[Panel], right: Callable[[list[Panel]], bool | None]) -> tuple[bool | None, bool]:
    """What all judges that can tell agree on, and whether they do with any one seed left out."""

    def agreed(ones: Sequence[Panel]) -> bool | None:
        found = {right(pair) for pair in judges(ones).values()} - {None}
        return found.pop() if len(found) == 1 else None

    found = agreed(judged)
    return found, all(agreed(cut) == found for cut in zip(*map(maps.without_each_seed, judged), strict=False))


def _more(more: Panel, fewer: Panel, judges: Judges, regime: Regime) -> Reading:
    """Whether one map has more cells of a regime than another; if as many, it cannot be told."""

    def counts(pair: Sequence[Panel]) -> list[int]:
        return [int((panel.labels == regime).sum()) for panel in pair]

    def right(pair: list[Panel]) -> bool | None:
        bigger, smaller = counts(pair)
        # Of a Regime II that the base does not have nothing can be taken away.
        return None if bigger == smaller or (regime == Regime.II and not bigger) else bigger > smaller

    pairs = judges([more, fewer])
    changed = max((int((a.labels != b.labels).sum()) for a, b in pairs.values()), default=0)
    found, clear = _agreed(judges, [more, fewer], right)
    text = f"cells of {regime.numeral} with {_name(more)} and {_name(fewer)}: " + listed(
        "{} and {}".format(*counts(pair)) + f" by {name}" for name, pair in pairs.items()
    )
    return Reading(text, found, scope_of([more, fewer]), changed, "changed cell", 3, clear)


def _name(panel: Panel) -> str:
    return STRATEGY_NAMES[panel.sweep.rsplit("/", 1)[-1]]


def _keeps(panel: Panel, judges: Judges) -> Reading:
    counts = {name: int((one.labels == Regime.III).sum()) for name, (one,) in judges([panel]).items()}
    found, clear = _agreed(judges, [panel], lambda ones: bool((ones[0].labels == Regime.III).any()))
    text = "cells of III: " + listed(f"{n} by {name}" for name, n in counts.items())
    return Reading(text, found, scope_of(panel), panel.labels.size, clear=clear)


def _lower_where_few(panel: Panel, base: Panel) -> Reading:
    few = [int(n) for n in base.runs["n_data"].values if n <= FEW]
    cells = {pair for pair in panel.plan.sweep.at("paper").pairs if pair[1] <= FEW}
    gain = np.log((base.test / panel.test).sel(n_data=few).values.ravel()) if few else np.array([])
    gain = gain[np.isfinite(gain)]
    if not gain.size:
        return unread(f"no row with at most {FEW} states was run with both", panel.runs.attrs["profile"])
    middle = float(np.expm1(-np.median(gain)))
    chance = float(stats.wilcoxon(gain).pvalue) if gain.any() else 1.0
    text = (
        f"with {listed(few)} states it is lower in {(gain > 0).sum()} of {gain.size} cells, in the median cell "
        f"{percent(abs(middle))} {'lower' if middle < 0 else 'higher'}"
    )
    wrong = {one.sweep: (one.seeded("test_error") > one.thresholds.test).values for one in (panel, base)}
    scope = scope_of([panel, base], cells, against=wrong)
    return Reading(text, middle < 0, scope, gain.size, needed=6, clear=chance < CHANCE)


def _smoother(panels: Mapping[str, Panel], floor: xr.DataArray) -> Reading:
    steep = {name: structure.rises(panel.train, panel.thresholds.train, floor) for name, panel in panels.items()}
    scope = scope_of(list(panels.values()))
    others = {name: frame for name, frame in steep.items() if name != "CL" and len(frame)}
    if not len(steep["CL"]) or not others:
        return Reading(
            "no row of CL, or of all others, crosses the border elsewhere than its floor", None, scope, units=0, unit="row"
        )
    found = {name: sharper(frame, steep["CL"]) for name, frame in others.items()}
    text = "; ".join(f"{name} and CL: {words}" for name, (*_, words) in found.items())
    steeper = [name for name, (right, clear, _) in found.items() if right is False and clear]
    if steeper:
        return Reading(text, False, scope, min(len(steep["CL"]), *(len(others[n]) for n in steeper)), "row", 3)
    smoother = all(right for right, *_ in found.values())
    units = min(len(frame) for frame in (steep["CL"], *others.values()))
    return Reading(text, True if smoother else None, scope, units, "row", 3, all(clear for _, clear, _ in found.values()))


def _gains(base: Panel, method: Panel) -> Reading:
    """Whether loss and error of most cells of Regime I are lower than before the Newton steps."""
    gain = Gain(base, method)
    where = gain.labels == Regime.I
    scope = scope_of([base, method])
    parts = {
        words: gain.values(name, "ratio_of_means", where) for name, words in (("train_loss", "loss"), ("test_error", "error"))
    }
    if not all(values.size for values in parts.values()):
        return Reading("no such cell of L-BFGS is in Regime I", None, scope, units=0)
    lower = {words: float((values > 0).mean()) for words, values in parts.items()}
    text = listed(
        f"the {words} is lower in {percent(share)}, by {np.median(parts[words]):.0f} % in the median cell"
        for words, share in lower.items()
    )
    return Reading(text, maps.pattern(lower.values()), scope, int(where.sum()), needed=3)
