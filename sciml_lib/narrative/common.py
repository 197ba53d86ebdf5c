"""What every chapter says in the same way: where its runs come from, how they were trained, how they ended, what to type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from sciml_lib import figures, prose
from sciml_lib.optim import LBFGS, NNCG, Adam, Status
from sciml_lib.panels import Panel, solved
from sciml_lib.prose import capitalised, counted, listed, number, part_of, table
from sciml_lib.regimes import Regime
from sciml_lib.strategies import AugmentedLagrangian, Curriculum, MiniBatchAdam, RoPINN
from sciml_lib.strategies.alm import CONDITIONS

NUMERALS = (Regime.I, Regime.II, Regime.III)
"""The regimes in their order."""


def regime_counts(labels: xr.DataArray) -> str:
    """Returns how many cells are in each regime, as ``29 / 21 / 14``."""
    return " / ".join(str(int((labels == regime).sum())) for regime in NUMERALS)


def source(panels: Panel | Iterable[Panel], figure: Figure) -> Any:
    """Returns the small print below a figure: the provenance of each panel and the digest of what is drawn."""
    lines = [figures.provenance.line(panel.runs.attrs) for panel in many(panels)]
    return prose.small_print([*lines, f"figure digest {figures.digest(figure)}"])


def budgets(panels: Mapping[str, Panel]) -> str:
    """Tabulates what a network goes through here, and in the paper's full budget, map by map; equal maps share a line."""
    rows: list[list[Any]] = []
    for name, panel in panels.items():
        here = listed((stage_words(s, brief=True) for s in panel.plan.strategy.stages), last="and then")
        full = listed((stage_words(s, brief=True) for s in panel.plan.sweep.strategy.stages), last="and then")
        runs = f"{len(stored_runs(panel)):,}"
        row = [name, runs, panel.runs.sizes["seed"], here, "the same" if here == full else full]
        if rows and rows[-1][2:] == row[2:]:
            rows[-1][:2] = [f"{rows[-1][0]}, {name}", f"{rows[-1][1]}, {runs}"]
        else:
            rows.append(row)
    text = table(["map", "runs", "seeds", "here", "in the profile *paper*"], rows, of_text=True)
    solvers = {
        _solver_words(phase.stage)
        for p in panels.values()
        for phase in p.plan.strategy.phases
        if isinstance(phase.stage, LBFGS)
    }
    return f"{text}\n\n*L-BFGS*: {listed(sorted(solvers), last='or')}." if solvers else text


def maps_figure(panels: Mapping[str, Panel], title: str) -> Figure:
    """Draws several maps beside each other, training loss above and test error below."""
    pairs = [
        figures.MapPair(
            name,
            *panel.maps,
            panel.thresholds,
            panel.boundaries,
            panel.system.coefficient_label,
            panel.axis_words["data_label"],
        )
        for name, panel in panels.items()
    ]
    return figures.map_grid(pairs, title=title, columns=len(pairs))


def endings(panels: Mapping[str, Panel]) -> str:
    """Tabulates the statuses that ended the runs of each panel."""
    counts = {name: stored_runs(panel)["status"].value_counts() for name, panel in panels.items()}
    met = [status for status in Status if any(status.label in found for found in counts.values())]
    rows = [
        [capitalised(status.sentence), *(part_of(found.get(status.label, 0), found.sum()) for found in counts.values())]
        for status in met
    ]
    return table(["why a run stopped", *counts], rows)


def commands(chapter: str, panels: Iterable[Panel]) -> str:
    """Lists the commands that repeat a chapter and its runs, with the measured time of each."""
    panels = list(panels)
    profile = panels[0].runs.attrs["profile"]
    seconds = [float(panel.runs["seconds"].sum()) for panel in panels]
    rows = [
        [
            f"`python -m sciml_lib run {panel.sweep} --profile {profile}`",
            f"{len(stored_runs(panel)):,}",
            prose.duration(time),
            panel.runs.attrs["device"],
        ]
        for panel, time in zip(panels, seconds, strict=True)
    ]
    again = [f"python -m sciml_lib chapter {chapter} -p profile {name} -o {name}.ipynb" for name in {profile: 0, "smoke": 0}]
    return (
        "```bash\n" + "\n".join(again) + "\n```\n\n"
        f"While the runs are stored the first takes well under a minute. Training them took {prose.duration(sum(seconds))}:\n\n"
        + table(["command", "runs", "time", "device"], rows)
    )


def many(panels: Panel | Iterable[Panel]) -> list[Panel]:
    """Returns panels as a list, one panel as a list of one."""
    return [panels] if isinstance(panels, Panel) else list(panels)


def stage_words(stage: Any, *, brief: bool = False) -> str:
    """Returns what a stage of a strategy does, with its numbers, as part of a sentence; in brief without those of L-BFGS."""
    if isinstance(stage, Adam):
        return f"{stage.steps:,} steps of Adam (learning rate {stage.learning_rate:g})"
    if isinstance(stage, MiniBatchAdam):
        passes = f"{stage.updates} updates each" if stage.repeat else "each one pass through its own batches"
        fall = "" if stage.decay == 1.0 else f", times {stage.decay:g} an epoch"
        return (
            f"{stage.epochs:,} epochs of Adam on batches of {stage.batch_size} ({passes}; learning rate "
            f"{stage.learning_rate:g}{fall})"
        )
    if isinstance(stage, AugmentedLagrangian):
        blocks = (
            "boundary and initial terms"
            if stage.constrained == (CONDITIONS,)
            else listed("the equation" if name == "residual" else name for name in stage.constrained)
        )
        decay = "" if not any(value for _, value in stage.decay) else f"; weight decay {_table_words(stage.decay)}"
        return (
            f"{counted(stage.outer, 'call')} of up to {stage.inner.max_iterations:,} iterations of L-BFGS on an augmented "
            f"Lagrangian (constraints: {blocks}; penalty from {stage.penalty:g}, times {stage.growth:g} a call; weight of the "
            f"rest {_table_words(stage.weight)}{decay})"
        )
    if isinstance(stage, RoPINN):
        return (
            f"{stage.calls:,} calls of {counted(stage.solver.max_iterations, 'iteration')} of L-BFGS on points that wander in "
            f"a region of {stage.initial_region:g} at first and {stage.max_region:g} at most (calibrated on the last "
            f"{stage.window} calls)"
        )
    if isinstance(stage, Curriculum):
        return (
            f"a curriculum of {stage.n_stages} stages from coefficient {stage.first:g} on, {stage.step:g} apart, each of up to "
            f"{stage.solver.max_iterations:,} iterations of L-BFGS on data of its own"
        )
    if isinstance(stage, NNCG):
        often = "every step" if stage.refresh == 1 else f"every {stage.refresh} steps"
        return (
            f"{stage.steps:,} Newton steps (sketch of rank {stage.rank} renewed {often}, damping "
            f"{stage.damping:g}, at most {stage.cg_iterations:,} iterations of conjugate gradients)"
        )
    text = f"up to {stage.max_iterations:,} iterations of L-BFGS"
    return text if brief else f"{text} ({_solver_words(stage)})"


def _solver_words(stage: LBFGS) -> str:
    return (
        f"history {stage.history}, strong Wolfe line search, tolerances {number(stage.tolerance_grad, 1)} and "
        f"{number(stage.tolerance_change, 1)}"
    )


def _table_words(pairs: tuple[tuple[float, float], ...]) -> str:
    """A table by coefficient in words."""
    (_, first), *others = pairs
    return f"{first:g}" + "".join(f", {value:g} from coefficient {edge:g} on" for edge, value in others)


def stored_runs(panel: Panel) -> pd.DataFrame:
    """One row a stored run: coefficient, n_data, seed, test_error, status, and whether it is well trained by itself."""
    error = panel.seeded("test_error")
    found = panel.runs[["status"]].assign(test_error=error, solved=solved(panel)).to_dataframe().reset_index()
    return found[found["test_error"].notnull()]


def stored_cells(panel: Panel) -> set[tuple[float, float]]:
    """The (n_data, coefficient) of which at least one run is stored."""
    return {(float(n), float(c)) for n, c in stored_runs(panel)[["n_data", "coefficient"]].itertuples(index=False)}
