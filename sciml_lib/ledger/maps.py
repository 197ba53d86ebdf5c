"""What the paper says of single regime maps (sections 2.1 to 2.3, appendix E); the tests serve all maps of the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import xarray as xr

from sciml_lib import regimes
from sciml_lib.analysis import maps, structure
from sciml_lib.ledger.contract import Claim, Reading, Scope, Settling, Source, least, scope_of
from sciml_lib.panels import Panel
from sciml_lib.prose import listed, percent, strength
from sciml_lib.regimes import REGIMES, Agreement, Regime, Thresholds

TITLE = "Four equations (section 2.3, appendix E)"
CHAPTER = "regimes/pinn_physics"

SAME = 0.8
"""Two maps with a larger kappa are the same: *almost perfect* in the words of Landis and Koch (1977)."""

MOST = 2 / 3
"""A pattern is there in more than so many pairs of cells, and the opposite one if it is in less than the rest; ours."""

COMPARED = 25
"""So many cells make the standard error of a kappa near 0.8 a tenth."""

FIGURES = {"lbfgs": ("Fig. 2", "L-BFGS"), "alm": ("Fig. 8", "ALM"), "ropinn": ("Fig. 9", "RoPINN")}
SYSTEMS = {"reaction": "b", "wave": "c", "reaction-diffusion": "d"}
"""Panels of these figures; their panels (a) are those of convection, which paper Figs. 1 and 3 have as well."""

PANELS = {f"{variant}-{system}": f"pinn/{system}/{variant}" for variant in FIGURES for system in SYSTEMS}

REGIMES_TEST = "each regime has a cell that most of its seeds are in; without one, but with a cell by the mean, it is open"

STEADY = "and so with any one seed left out"
"""What counts as larger than the noise of the seeds."""

_LIMITS = f"in more than {percent(MOST)} of the pairs (ours), {STEADY}; it fails below {percent(1 - MOST)}"
TESTS = {
    "labels": (
        "section 2.2", "training by its recipe gives the published labels again",
        f"Cohen's kappa above {SAME}, which Landis and Koch (1977) call almost perfect, with and without labels that could be "
        f"others within the accuracy of the figure, {STEADY}",
    ),
    "each": (
        "section 2.2", "each regime comes out where it is published",
        f"the same, for each regime against the other two; of each at least 3 published cells are compared, {STEADY}",
    ),
    "robust": (
        "section 2.1", "thresholds that are 20 % lower or higher hardly change its regimes",
        f"at all five heights all three regimes occur, with a kappa above {SAME} with those at the middle one, {STEADY}",
    ),
    "hard": (
        "section 2.2", "Regime II lies at hard coefficients, with abundant data",
        f"in a row at harder coefficients than I, and in a column with more data than III, {_LIMITS}",
    ),
    "scarce": ("section 2.2", "Regime III lies where data are scarce", f"in a column with fewer data than I, {_LIMITS}"),
    "high": (
        "section 2.2", "in Regime II the test error is high, too",
        f"above the test threshold in more than {percent(MOST)} of its cells (ours), {STEADY}; fails below {percent(1 - MOST)}",
    ),
}  # fmt: skip
"""What the paper says of a map of Fig. 1: where, in our words, and the criterion."""


def claims_of(module: str, model: str, figure: str, chapter: str, settles: Settling | None = None) -> tuple[Claim, ...]:
    """The claims on a map of paper Fig. 1: its three regimes, and :data:`TESTS`.

    Args:
        module: the beginning of their ids.
        model: the family of networks.
        figure: where the paper has the map, such as ``Fig. 1(a)``.
        chapter: the chapter that argues them.
        settles: what would settle them.
    """
    told = {"regimes": ("section 2.2", "it has the three regimes", REGIMES_TEST)} | TESTS
    scope, recipes = "the whole map", "the whole map, by any reading of the recipe that was run"
    return tuple(
        Claim(
            f"{module}-{name}",
            f"{section}, paper {figure}",
            f"{model}: {words}",
            recipes if name in ("labels", "each") else scope,
            criterion,
            chapter,
            settles,
        )
        for name, (section, words, criterion) in told.items()
    )


def _panel_claim(key: str) -> Claim:
    variant, system = key.split("-", 1)
    figure, name = FIGURES[variant]
    where = "section 2.3" if variant == "lbfgs" else "appendix E"
    return Claim(
        f"maps-{key}", f"{where}, paper {figure}({SYSTEMS[system]})", f"{system} with {name} has the three regimes",
        "the whole map", REGIMES_TEST, CHAPTER,
        Settling(f"{name} with the paper's budget and three seeds, on all cells of the paper's map", PANELS[key], seeds=3),
    )  # fmt: skip


CLAIMS = tuple(_panel_claim(key) for key in PANELS)
"""One claim a panel."""


def gather(source: Source) -> tuple[dict[str, Panel]]:
    """The maps of :data:`PANELS`; those with L-BFGS with every row that is stored."""
    return ({key: source.panel(sweep, grown=key.startswith("lbfgs")) for key, sweep in PANELS.items()},)


def read(panels: Mapping[str, Panel]) -> dict[str, Reading]:
    """What the runs say of each claim."""
    return {f"maps-{key}": three_regimes(panel) for key, panel in panels.items()}


def three_regimes(panel: Panel) -> Reading:
    """Whether a map has all three regimes, each in a cell that most of its seeds are in."""
    most = maps.majority(panel)
    counts = {regime: int((most == regime).sum()) for regime in REGIMES}
    text = f"most seeds of a cell are in {listed(f'{regime.numeral} in {n}' for regime, n in counts.items())} cells"
    divided = int(maps.split(panel).sum())
    if divided:
        text += f"; the seeds of {divided} are split"
    lost = [regime for regime, n in counts.items() if not n]
    if lost:
        text += f"; none in {listed(regime.numeral for regime in lost)}"
    # A regime that a mean has and no majority depends on single seeds.
    doubtful = any((panel.labels == regime).any() for regime in lost)
    return Reading(text, None if doubtful else not lost, scope_of(panel), units=sum(counts.values()))


class Found(NamedTuple):
    """What one test says of one map: whether it is so, None if it cannot tell, in words, and of how many units."""

    right: bool | None
    text: str
    units: int


def readings_of(panel: Panel) -> dict[str, Reading]:
    """What a map says of each of :data:`TESTS`, and whether it has three regimes, by the names of the claims."""
    read = panel.published_labels
    theirs = read["label"].transpose(*structure.AXES)
    unequal = np.zeros(panel.labels.shape, dtype=bool)
    for cell in panel.agreement.differing:
        unequal |= ((panel.labels["coefficient"] == cell.coefficient) & (panel.labels["n_data"] == cell.n_data)).values
    against = {panel.sweep: np.broadcast_to(unequal[..., None], panel.seeded("train_loss").shape)}

    cut, whole, compared = without_each_seed(panel), scope_of(panel), scope_of(panel, against=against)

    def reading(
        measure: Callable[[Panel], Found], unit: str, needed: int = 3, published: Found | None = None, scope: Scope = whole
    ) -> Reading:
        found = measure(panel)
        clear = all(measure(one).right == found.right for one in cut)
        passes = None if published is None else published.right
        return Reading(found.text, found.right, scope, found.units, unit, needed, clear, passes)

    def surely(measure: Callable[[Agreement], Found]) -> Callable[[Panel], Found]:
        """The same whether or not labels count that could be others within the reading accuracy of the figure."""

        def judged(panel: Panel) -> Found:
            found, sure = (
                measure(regimes.agreement(panel.labels, read["label"], legible))
                for legible in (read["legible"], read["legible"] & ~read["uncertain"])
            )
            return found if found.right == sure.right else found._replace(right=None)

        return judged

    robust = _robust(structure.published_labels_at(panel))
    high = _high(theirs, panel.published["test_error"], panel.thresholds)
    return {
        "regimes": three_regimes(panel),
        "labels": reading(surely(_labels), "cell", COMPARED, scope=compared),
        "each": reading(surely(_each), "published cell", scope=compared),
        "robust": reading(lambda p: _robust(structure.labels_at(p)), "cell", COMPARED, robust),
        "hard": reading(lambda p: _hard(p.labels), "line", published=_hard(theirs)),
        "scarce": reading(lambda p: _scarce(p.labels), "column", published=_scarce(theirs)),
        "high": reading(lambda p: _high(p.labels, p.test, p.thresholds), "cell", published=high),
    }


def without_each_seed(panel: Panel) -> list[Panel]:
    """The same map with one seed left out, for each of its seeds; none if there is one only."""
    seeds = panel.runs["seed"].values if panel.runs.sizes["seed"] > 1 else []
    return [replace(panel, runs=panel.runs.drop_sel(seed=seed)) for seed in seeds]


def joined(readings: Mapping[str, Reading]) -> Reading:
    """One reading of several readings of the paper: what they disagree on cannot be decided.

    Args:
        readings: by what is read otherwise, as the end of ``with``.
    """
    parts = list(readings.values())
    rights, published = {part.right for part in parts}, {part.published for part in parts}
    text = "; ".join(f"{name}: {part.found}" for name, part in readings.items())
    return Reading(
        text if len(parts) > 1 else parts[0].found,
        rights.pop() if len(rights) == 1 else None,
        least([part.scope for part in parts]),
        min(part.units for part in parts),
        parts[0].unit,
        parts[0].needed,
        all(part.clear for part in parts),
        published.pop() if len(published) == 1 else None,
    )


def _labels(agreement: Agreement) -> Found:
    equal = round(agreement.share_equal * agreement.n) if agreement.n else 0
    text = f"{equal} of {agreement.n} labels are equal, kappa {agreement.kappa:.2f} ({strength(agreement.kappa)})"
    return Found(None if np.isnan(agreement.kappa) else agreement.kappa > SAME, text, agreement.n)


def _each(agreement: Agreement) -> Found:
    confusion = agreement.confusion
    kappas, cells = structure.kappas(confusion), confusion.sum(axis=0)
    text = listed(
        f"{regime.numeral} {kappa:.2f} ({n} published cells)" for (regime, kappa), n in zip(kappas.items(), cells, strict=True)
    )
    known = not any(np.isnan(kappa) for kappa in kappas.values())
    return Found(all(kappa > SAME for kappa in kappas.values()) if known else None, f"kappa of {text}", int(cells.min()))


def _robust(at: Callable[[float], xr.DataArray]) -> Found:
    found = structure.under_thresholds(at)
    cells = found[[regime.numeral for regime in REGIMES]]
    lowest = float(found["kappa"].min())
    text = f"kappa at least {lowest:.2f}; " + listed(f"{c.min()} to {c.max()} cells in {name}" for name, c in cells.items())
    # Of a map that has not all regimes to begin with nothing can be lost.
    right = bool((cells > 0).all(axis=None)) and lowest > SAME if (cells.loc[1.0] > 0).all() else None
    return Found(right, text, int(cells.loc[1.0].sum()))


def pattern(shares: Iterable[float]) -> bool | None:
    """Whether something is so in most cases of each kind; None if of one kind there is none, or neither way has most.

    Args:
        shares: of the cases in which it is so, of each kind; NaN where there is none.
    """
    shares = list(shares)
    if any(np.isnan(share) for share in shares):
        return None
    if any(share < 1 - MOST for share in shares):
        return False
    return True if all(share > MOST for share in shares) else None


def _words(share: float) -> str:
    return "no pair" if np.isnan(share) else percent(share)


def _hard(labels: xr.DataArray) -> Found:
    harder, rows = structure.in_order(labels, Regime.I, Regime.II, "coefficient")
    more, columns = structure.in_order(labels, Regime.III, Regime.II, "n_data")
    text = (
        f"at a harder coefficient than I in {_words(harder)} of the pairs of {rows} rows, with more data than III in "
        f"{_words(more)} of the pairs of {columns} columns"
    )
    return Found(pattern([harder, more]), text, min(rows, columns))


def _scarce(labels: xr.DataArray) -> Found:
    fewer, columns = structure.in_order(labels, Regime.III, Regime.I, "n_data")
    return Found(pattern([fewer]), f"with fewer data than I in {_words(fewer)} of the pairs of {columns} columns", columns)


def _high(labels: xr.DataArray, test: xr.DataArray, thresholds: Thresholds) -> Found:
    errors = test.transpose(*structure.AXES).values[(labels == Regime.II).values]
    errors = errors[~np.isnan(errors)]
    share = float((errors > thresholds.test).mean()) if errors.size else np.nan
    text = f"above the test threshold in {(errors > thresholds.test).sum()} of {errors.size} cells of II"
    return Found(pattern([share]), text, errors.size)
