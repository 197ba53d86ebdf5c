"""When the book may call the paper right or wrong: a claim, what the runs say of it, and the one rule that judges.

A claim is never judged by more than was run for it. The rule knows five outcomes, and only complete evidence leads to the
first two: the claim's own cells, three seeds, the paper's budget or runs that ended by themselves, a difference that is larger
than its noise, and for a failure also that the published map passes the same test.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from sciml_lib import studies
from sciml_lib.analysis.cells import first_seeds
from sciml_lib.analysis.strategies import BUDGET_ENDED, iterations, own_stage, paper_budget, paper_iterations
from sciml_lib.panels import Panel
from sciml_lib.prose import counted, listed, percent
from sciml_lib.regimes import Regime
from sciml_lib.strategies import MiniBatchAdam
from sciml_lib.studies import Results
from sciml_lib.sweeps import catalog


class Outcome(StrEnum):
    """What the runs say of a claim."""

    HOLDS = "holds"
    FAILS = "does not hold"
    SUGGESTS = "suggests"
    AGAINST = "speaks against"
    OPEN = "open"


# Criteria of the contract, fixed before the runs that they judge.
SEEDS = 3
"""So many seeds of every cell of the claim for *holds* or *does not hold*: the fewest that the paper has anywhere (Fig. 4)."""

FEWEST_SEEDS = 2
"""With fewer nothing is known of the noise, and a claim is open."""

CELLS = 0.25
"""With less than this share of the claim's cells it is open."""

CENSORED = 0.1
"""A failure counts only if at most this share of the failing runs ended because their budget was used up."""


@dataclass(frozen=True)
class Settling:
    """What would settle a claim that is open.

    Attributes:
        words: the run or study, as a part of a sentence.
        sweep: the sweep to train; empty if it is not one of the catalog.
        profile: of the sweep.
        n_data: only these amounts of data; all if empty.
        seeds: only the first so many seeds; all if None.
    """

    words: str
    sweep: str = ""
    profile: str = "paper"
    n_data: tuple[int, ...] = ()
    seeds: int | None = None


@dataclass(frozen=True)
class Claim:
    """Something the paper says that runs can test.

    Attributes:
        id: its name in the ledger, letters, digits and hyphens.
        where: the place in the paper, such as ``section 2.4, paper Fig. 3(b)``.
        words: what it says, in our words.
        scope: the cells, seeds and budgets that it speaks of, in words.
        criterion: what the test asks, with the origin of every number in it.
        chapter: the chapter that argues it, as a path below ``book/``.
        settles: what would settle it; None where its own scope is run.
    """

    id: str
    where: str
    words: str
    scope: str
    criterion: str
    chapter: str
    settles: Settling | None = None


@dataclass(frozen=True)
class Scope:
    """How much of what a claim speaks of was run.

    Attributes:
        profile: of the runs; ``smoke`` never judges.
        cells: share of the claim's cells that have a run.
        seeds: the fewest seeds that such a cell has.
        budget: share of the paper's budget, 1 or more if it is whole.
        by_budget: share of the runs that decide against the claim which ended because their budget was used up; NaN if there
            is none.
        recipe: what of the runs is not done as in the paper, in words; empty if nothing that matters to the claim.
    """

    profile: str
    cells: float
    seeds: int
    budget: float = 1.0
    by_budget: float = math.nan
    recipe: str = ""


@dataclass(frozen=True)
class Reading:
    """What the runs say of a claim.

    Attributes:
        found: in words, with the numbers.
        right: whether it is as the paper says; None if the test cannot decide, whatever was run.
        scope: how much of the claim's scope was run.
        units: independent units that ``right`` rests on, such as cells, networks or pairs.
        unit: what they are, in the singular.
        needed: with fewer units the claim is open.
        clear: whether the difference is larger than its noise.
        published: whether the published map passes the same test; None where it is not digitised, or has no part in it.
    """

    found: str
    right: bool | None
    scope: Scope
    units: int = 1
    unit: str = "cell"
    needed: int = 1
    clear: bool = True
    published: bool | None = None

    @property
    def outcome(self) -> Outcome:
        """The outcome by the contract."""
        scope = self.scope
        undecided = self.right is None or not self.clear or self.units < self.needed
        if scope.profile == "smoke" or undecided or scope.seeds < FEWEST_SEEDS or scope.cells < CELLS:
            return Outcome.OPEN
        if not self.right and (scope.by_budget > CENSORED or self.published is False):
            return Outcome.OPEN
        if not self.lacking:
            return Outcome.HOLDS if self.right else Outcome.FAILS
        return Outcome.SUGGESTS if self.right else Outcome.AGAINST

    @property
    def lacking(self) -> list[str]:
        """What of the claim's scope is missing, in words; empty if nothing is."""
        scope = self.scope
        parts = []
        if scope.cells < 1:
            parts.append(f"{percent(scope.cells)} of the cells")
        if scope.seeds < SEEDS:
            parts.append(counted(scope.seeds, "seed"))
        # A run that ended by itself would have ended there with any budget.
        if scope.budget < 1 and scope.by_budget > 0:
            parts.append(f"{percent(scope.budget)} of the budget")
        if scope.recipe:
            parts.append(scope.recipe)
        return parts

    @property
    def reason(self) -> str:
        """Why the outcome is not a plain one, as a part of a sentence; empty if it is."""
        scope = self.scope
        if self.outcome in (Outcome.HOLDS, Outcome.FAILS):
            return ""
        if scope.profile == "smoke":
            return "the profile smoke never judges"
        if not scope.cells:
            return "not run"
        if self.right is None:
            return "the test cannot decide"
        if self.units < self.needed:
            return f"{'only ' if self.units else ''}{counted(self.units, self.unit)}"
        if not self.clear:
            return "the difference is within its noise"
        if not self.right and scope.by_budget > CENSORED:
            return f"{percent(scope.by_budget)} of the failing runs ended by their budget"
        if not self.right and self.published is False:
            return "the published map itself fails this test"
        return f"only {listed(self.lacking)}"

    @property
    def evidence(self) -> str:
        """What the outcome rests on: units, seeds, and the shares of the contract."""
        scope = self.scope
        parts = [counted(self.units, self.unit), counted(scope.seeds, "seed"), f"{percent(scope.cells)} of the cells"]
        parts.append(f"{percent(scope.budget)} of the budget" if scope.budget < 1 else "full budget")
        if scope.by_budget == scope.by_budget:
            parts.append(f"{percent(scope.by_budget)} of the failing runs ended by budget")
        return " · ".join(parts)


class Readings(Mapping[str, Reading]):
    """Readings by the ids of their claims, each made when it is asked for: one claim costs no more than its own test."""

    def __init__(self, makers: Mapping[str, Callable[[], Reading]]) -> None:
        """Takes what makes each reading."""
        self._makers = dict(makers)

    def __getitem__(self, name: str) -> Reading:
        return self._makers[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


@dataclass(frozen=True)
class Verdict:
    """A claim with what the runs say of it."""

    claim: Claim
    reading: Reading

    @property
    def outcome(self) -> Outcome:
        """The outcome by the contract."""
        return self.reading.outcome


@dataclass(frozen=True)
class Source:
    """Which stored runs are read; the parameters of a chapter.

    Attributes:
        profile: smoke, laptop or paper.
        device: auto, cpu or cuda.
        runs: the folder of stored runs; empty for the repository's own.
        seeds: at most the first so many seeds.
        max_minutes: how long runs that are not stored may be trained for, by the estimate.
    """

    profile: str = "laptop"
    device: str = "auto"
    runs: str = ""
    seeds: int | None = None
    max_minutes: float = 5.0

    def panel(self, sweep: str, **options: object) -> Panel:
        """The map of a sweep, see :meth:`sciml_lib.panels.Panel.of`."""
        options["max_minutes"] = self.max_minutes
        return Panel.of(sweep, self.profile, self.device, self.runs, self.seeds, **options)

    def measured(self, sweep: str) -> Panel:
        """The map of a sweep with the curvature of its runs, see :meth:`sciml_lib.panels.Panel.measured`."""
        options = {"max_minutes": self.max_minutes}
        return Panel.measured(sweep, self.profile, self.device, self.runs, self.seeds, **options)

    def study(self, name: str) -> Results:
        """What is stored of a study, see :func:`sciml_lib.studies.load_or_run`."""
        found = studies.load_or_run(studies.get(name), self.profile, runs=self.runs or None, device=self.device)
        return found if self.seeds is None else first_seeds(found, self.seeds)


def unread(why: str, profile: str) -> Reading:
    """The reading of a claim of whose scope nothing was run.

    Args:
        why: what is missing, as a part of a sentence.
        profile: of the runs.
    """
    return Reading(why, None, Scope(profile, 0.0, 0), units=0)


def scope_of(
    panels: Panel | Collection[Panel],
    cells: Collection[tuple[float, int]] = (),
    *,
    against: Mapping[str, np.ndarray] | None = None,
) -> Scope:
    """How much of a claim's scope some maps have: of several the least.

    Args:
        panels: the maps that the claim compares, or the one that it speaks of.
        cells: its cells as (coefficient, n_data); all of the paper's map if empty.
        against: for each sweep the runs that decide against the claim, a mask ``[n_coefficient, n_data, n_seed]``; by default
            those in the claim's cells whose training loss is above the threshold.
    """
    parts = [
        _scope(panel, cells, (against or {}).get(panel.sweep)) for panel in ([panels] if isinstance(panels, Panel) else panels)
    ]
    return least(parts)


def least(scopes: Sequence[Scope]) -> Scope:
    """What several scopes have in common: of each number the least, and the most of the runs that ended by their budget."""
    cut = [scope.by_budget for scope in scopes if scope.by_budget == scope.by_budget]
    return Scope(
        scopes[0].profile,
        min(scope.cells for scope in scopes),
        min(scope.seeds for scope in scopes),
        min(scope.budget for scope in scopes),
        max(cut, default=math.nan),
    )


def _scope(panel: Panel, cells: Collection[tuple[float, int]], against: np.ndarray | None) -> Scope:
    wanted = set(cells) or set(panel.plan.sweep.at("paper").pairs)
    pairs = [(float(c), int(n)) for c in panel.runs["coefficient"].values for n in panel.runs["n_data"].values]
    inside = np.array([pair in wanted for pair in pairs]).reshape(panel.labels.shape)
    status = panel.seeded("status").values
    stored = inside & (panel.labels.values != Regime.MISSING)
    if against is None:
        against = (panel.seeded("train_loss") > panel.thresholds.train).values
    failing = status[against & inside[..., None] & (status != "")]
    seeds = (status != "").sum(axis=-1)[stored]
    stage = own_stage(panel.plan.strategy)
    budget = iterations(stage) / paper_iterations(panel)
    # Mini-batches have no end of their own: all of the paper's epochs are the recipe, and cut nothing off.
    complete = isinstance(stage, MiniBatchAdam) and budget >= 1
    return Scope(
        panel.runs.attrs["profile"],
        stored.sum() / len(wanted),
        int(seeds.min()) if seeds.size else 0,
        budget,
        float(np.isin(failing, BUDGET_ENDED).mean()) if failing.size and not complete else math.nan,
    )


def study_scope(
    results: Results, cells: Collection[tuple[float, int]], *, ended: Collection[str] = (), recipe: str = ""
) -> Scope:
    """How much of a claim's scope a study has.

    Args:
        results: the study; of several sweeps the items of the one that the claim speaks of.
        cells: those of the paper's figure as (coefficient, n_data).
        ended: the statuses of the networks that decide the claim.
        recipe: what of them is not done as in the paper, in words.
    """
    profile, networks = results.attrs["profile"], {(item.sweep, item.cell) for item in results.items}
    seeds = Counter(cell[:2] for _, cell in networks)
    stored = [seeds[cell] for cell in set(cells) if cell in seeds]
    sweeps = [catalog.get(sweep) for sweep in {sweep for sweep, _ in networks}]
    budgets = [iterations(own_stage(sweep.at(profile).strategy)) / paper_budget(sweep) for sweep in sweeps]
    return Scope(
        profile,
        len(stored) / len(set(cells)),
        min(stored, default=0),
        min(budgets, default=0.0),
        float(np.isin(list(ended), BUDGET_ENDED).mean()) if len(ended) else math.nan,
        recipe,
    )
