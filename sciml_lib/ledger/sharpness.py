"""What sections 2.5.1 and 2.5.2 and appendix F.1 of the paper say of sharpness, over a map and along training."""

from __future__ import annotations

import pandas as pd

from sciml_lib.analysis import curvature, sharpening
from sciml_lib.analysis.sharpening import LEVEL, SHARPER, STEADY
from sciml_lib.ledger.contract import Claim, Reading, Settling, Source, scope_of, study_scope
from sciml_lib.ledger.votes import FEWEST_SIGNS, Vote, agreed, in_every_cell, signs
from sciml_lib.optim import Status
from sciml_lib.panels import Panel
from sciml_lib.prose import counted, listed, number
from sciml_lib.regimes import Regime
from sciml_lib.studies import Results
from sciml_lib.studies.cells import CONVECTION

TITLE = "Deceptive sharpness (section 2.5, appendix F.1)"

COUPLED = 0.5
"""From this rank correlation on two numbers go together: Cohen's mark for a large correlation."""

FIG_12 = ((5.0, 100), (50.0, 100), (5.0, 1000), (50.0, 1000))
SHARPENING = (*FIG_12, (5.0, 15_000))
"""The cells of paper Figs. 12 and 7, as (β, n_data)."""

PARTS = {"whole": "all of training", "lbfgs": "L-BFGS alone"}
"""What is read of a run: the paper's begin with L-BFGS, where ours change over to it."""

COUNTER_CELLS = 2
"""So many cells have to speak against what is said of all: one may be an accident."""

_BARE = Settling(
    "the cells of paper Figs. 7 and 12 trained without Adam, 2,000 iterations of L-BFGS, measured every 20 of them"
)
_MAP = Settling("the rows with 5,000 points and more, where the published map has Regime II", CONVECTION, "paper", seeds=3)
_FIGS = "the five cells of paper Figs. 7 and 12"
_BOTH = "over all of training and over L-BFGS alone"


def _claim(name: str, where: str, words: str, scope: str, criterion: str, settles: Settling) -> Claim:
    return Claim(f"sharpness-{name}", where, words, scope, criterion, "landscapes/sharpness", settles)


CLAIMS = (
    _claim(
        "decoupled", "sections 2.5.1 and 2.5.2",
        "training loss and curvature are decoupled: neither need be low with the other", "the whole map of convection",
        f"the rank correlation is below {COUPLED:g} (Cohen's mark of a large one) by three readings without the factor β²: "
        "with λ_max/β², given β, and between seeds of a cell; 95 % of resampled cells agree", _MAP,
    ),
    _claim(
        "coefficient", "section 2.5.1", "larger coefficients sharpen the landscape", "the whole map of convection",
        "the rank correlation with β is positive for λ_max and for λ_max/β²; 95 % of resampled cells agree", _MAP,
    ),
    _claim(
        "well-trained", "section 2.5.2, paper Fig. 11(a)",
        "well-trained cells are sharper than under-trained ones (shown for an FNO; here of PINNs)",
        "cells of Regime II by most of their seeds, on the map of convection",
        f"most of them are flatter than the median cell of I with the same β, by more than chance, which takes {FEWEST_SIGNS}",
        _MAP,
    ),
    _claim(
        "rises", "appendix F.1, paper Figs. 7 and 12",
        "in all settings the largest eigenvalue rises substantially as the training loss falls", _FIGS,
        f"in three quarters of the seeds of every cell it ends at {SHARPER:g} times its first value (our number), {_BOTH}; two "
        "cells in which it ends below it refute that", _BARE,
    ),
    _claim(
        "coincides", "section 2.5.2, paper Figs. 7 and 12", "the rise coincides with the fall of the loss", _FIGS,
        f"in three quarters of the seeds of every cell the two have a rank correlation of at most -{COUPLED:g} (Cohen's mark "
        f"of a large one), {_BOTH}; two cells in which it is positive refute that", _BARE,
    ),
    _claim(
        "stable", "section 2.5.2, paper Figs. 7 and 12", "after the sharpening both, loss and sharpness, are stable", _FIGS,
        "in three quarters of the seeds of every cell both stay near their last values, on a logarithmic axis (within a factor "
        f"of {STEADY:g}) and on a linear one (within {LEVEL:.0%} of the largest value; both ours); two cells refute that",
        _BARE,
    ),
    _claim(
        "steeper", "appendix F.1, paper Fig. 12", "sharpening is more pronounced for larger β",
        "the four cells of paper Fig. 12",
        f"with either amount of data, in three quarters of the seeds, by two readings of a rise and {_BOTH}", _BARE,
    ),
)  # fmt: skip
"""What the paper says that these runs can test."""


def gather(source: Source) -> tuple[Panel, Results]:
    """The measured map of convection, and the trainings that were followed."""
    return source.measured(CONVECTION), source.study("trajectories")


def read(panel: Panel, trained: Results) -> dict[str, Reading]:
    """What the runs say of each claim.

    Args:
        panel: the measured map of convection.
        trained: the study of trajectories.
    """
    links = curvature.links(panel)
    found = {"decoupled": _decoupled(panel, links), "coefficient": _coefficient(panel, links)}
    found |= {"well-trained": _well_trained(panel)} | _along_training(trained)
    return {f"sharpness-{name}": reading for name, reading in found.items()}


def _interval(links: pd.DataFrame, name: str) -> str:
    value, low, high = links.loc[name]
    return f"{value:+.2f} ({low:+.2f} to {high:+.2f})"


def _beyond(links: pd.DataFrame, mark: float, cells: int) -> Vote:
    """Whether some correlations are above a mark, all of them and their whole intervals."""
    if links["value"].isna().any():
        return Vote(None, False, cells)
    sure = ((links["low"] > mark) | (links["high"] < mark)).all()
    return agreed(*(Vote(bool(value > mark), bool(sure), cells) for value in links["value"]))


def _decoupled(panel: Panel, links: pd.DataFrame) -> Reading:
    cells = curvature.cells_of(panel)
    coupled = _beyond(links.loc[["scaled", "given", "seeds"]], COUPLED, int(cells["lambda_max"].notna().sum()))
    sharper, pairs = curvature.between_seeds(curvature.runs_of(panel))
    text = (
        f"rank correlation with the training loss: λ_max {_interval(links, 'raw')}, λ_max/β² {_interval(links, 'scaled')}, "
        f"given β {_interval(links, 'given')}; the run of higher loss is the sharper one in {sharper} of {pairs} pairs of seeds"
    )
    every = {panel.sweep: panel.seeded("train_loss").notnull().values}
    vote = coupled._replace(right=None if coupled.right is None else not coupled.right)
    return vote.reading(text, scope_of(panel, against=every))


def _coefficient(panel: Panel, links: pd.DataFrame) -> Reading:
    names = ["coefficient", "coefficient_scaled"]
    cells = int(curvature.cells_of(panel)["lambda_max"].notna().sum())
    text = f"rank correlation with β: λ_max {_interval(links, names[0])}, λ_max/β² {_interval(links, names[1])}"
    every = {panel.sweep: panel.seeded("train_loss").notnull().values}
    return _beyond(links.loc[names], 0.0, cells).reading(text, scope_of(panel, against=every))


def _well_trained(panel: Panel) -> Reading:
    cells = curvature.cells_of(panel)
    under = cells["most"] == Regime.II
    beside = curvature.beside_peers(cells, under, cells["most"] == Regime.I)
    means = int((cells["regime"] == Regime.II).sum())
    text = (
        f"by most of their seeds {under.sum()} of {counted(len(cells), 'cell')} are in II, by their mean {means}; of "
        f"{beside.notna().sum()} with cells of I at the same β {(beside < 0).sum()} are flatter than these"
    )
    return signs(-beside).reading(text, scope_of(panel), needed=FEWEST_SIGNS)


def _along_training(trained: Results) -> dict[str, Reading]:
    """What the runs of Figs. 7 and 12 say; those of other cells say nothing of them."""
    runs = {cell: found for cell, found in sharpening.trainings(trained).items() if cell in SHARPENING}
    single = [run for found in runs.values() for run in found]
    spent = [Status.BUDGET_SPENT.label if run.iteration[-1] >= run.most else "" for run in single]
    recipe = "runs that begin with Adam" if any(run.warm for run in single) else ""
    scopes = [study_scope(trained, cells, ended=spent, recipe=recipe) for cells in (SHARPENING, FIG_12)]
    tables = sharpening.runs_of(trained), sharpening.after_split(trained)
    tables = [found.set_index(["coefficient", "n_data", "seed"]) for found in tables]
    table, later = (found[found.index.droplevel("seed").isin(SHARPENING)] for found in tables)
    parts = {name: table[table["phase"] == name] for name in PARTS}
    found = {"rises": _rises(parts), "coincides": _coincides(parts), "stable": _stable(later)}
    readings = {name: vote.reading(text, scopes[0], needed=COUNTER_CELLS) for name, (vote, text) in found.items()}
    vote, text = _steeper(parts)
    return readings | {"steeper": vote.reading(text, scopes[1], unit="amount of data", needed=2)}


def _rises(parts: dict[str, pd.DataFrame]) -> tuple[Vote, str]:
    factors = {name: runs["factor"] for name, runs in parts.items()}
    words = (
        f"in {(factor >= SHARPER).sum()} of {counted(len(factor), 'run')} over {PARTS[name]} (median factor "
        f"{number(factor.median())}, below 1 in {(factor < 1).sum()})"
        for name, factor in factors.items()
    )
    vote = agreed(*(in_every_cell(factor >= SHARPER, factor < 1) for factor in factors.values()))
    return vote, f"it ends at {SHARPER:g} times its first value or more {listed(words)}"


def _coincides(parts: dict[str, pd.DataFrame]) -> tuple[Vote, str]:
    known = {name: runs["relation"].dropna() for name, runs in parts.items()}
    words = (
        f"{relation.median():+.2f} over {PARTS[name]} (at most -{COUPLED:g} in {(relation <= -COUPLED).sum()} of "
        f"{counted(len(relation), 'run')}, positive in {(relation > 0).sum()})"
        for name, relation in known.items()
    )
    vote = agreed(*(in_every_cell(relation <= -COUPLED, relation > 0) for relation in known.values()))
    return vote, f"the rank correlation along a run is in the median {listed(words)}"


def _stable(later: pd.DataFrame) -> tuple[Vote, str]:
    both = {axis: later[f"loss_{axis}"].astype(bool) & later[f"lambda_{axis}"].astype(bool) for axis in ("log", "linear")}
    n = counted(len(later), "run")
    text = (
        f"after the split both stay near their last values in {both['log'].sum()} of {n} on a logarithmic axis (the eigenvalue "
        f"alone in {later['lambda_log'].sum()}), and in {both['linear'].sum()} on a linear one; the loss falls by another "
        f"factor of {number(later['fall'].median())}"
    )
    return agreed(*(in_every_cell(part) for part in both.values())), text


def _steeper(parts: dict[str, pd.DataFrame]) -> tuple[Vote, str]:
    """Seed by seed, since one seed starts from the same weights at either coefficient."""
    cast, words = [], []
    for name, runs in parts.items():
        for rise, meaning in (("factor", "from first to last"), ("rise", "in its largest rise")):
            small, large = (runs[rise].unstack("coefficient").reindex(columns=[5.0, 50.0])[c] for c in (5.0, 50.0))
            known = small.notna() & large.notna()
            small, large = small[known], large[known]
            cast.append(in_every_cell(large > small, large < small))
            words.append(f"{(large > small).sum()} of {len(small)} {meaning} over {PARTS[name]}")
    return agreed(*cast), f"pairs of runs of one seed in which it rises more at β = 50 than at β = 5: {listed(words)}"
