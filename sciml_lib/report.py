"""What every chapter says in the same way: where its runs come from, how they were trained, how they ended, what to type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from sciml_lib import figures, ledger, prose
from sciml_lib.analysis import borders
from sciml_lib.analysis.newton import MEASURES, QUANTITIES, Gain
from sciml_lib.ledger import Outcome, Verdict
from sciml_lib.ledger.strategies import place
from sciml_lib.optim import LBFGS, Status
from sciml_lib.panels import Panel, solved
from sciml_lib.prose import capitalised, listed, number, part_of, table
from sciml_lib.strategies import Strategy
from sciml_lib.studies import Results
from sciml_lib.sweeps import curvature


def source(panels: Panel | Iterable[Panel], figure: Figure) -> Any:
    """Returns the small print below a figure: the provenance of each panel and the digest of what is drawn."""
    lines = [figures.provenance.line(panel.runs.attrs) for panel in many(panels)]
    return prose.small_print(lines, figures.digest(figure))


def budgets(panels: Mapping[str, Panel]) -> str:
    """Tabulates what a network goes through here, and in the paper's full budget, map by map; equal maps share a line."""
    rows: list[list[Any]] = []
    for name, panel in panels.items():
        here, full = panel.plan.strategy.words, panel.plan.sweep.strategy.words
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
    """Draws several maps beside each other, at most three in a row, the training loss of each above its test error."""
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
    return figures.map_grid(pairs, title=title)


def borders_figure(panels: Mapping[str, Panel], title: str) -> Figure:
    """Draws the borders of several strategies into one map, with what resampling the seeds leaves open."""
    entries = []
    for name, panel in panels.items():
        axes = panel.runs["coefficient"].values, panel.runs["n_data"].values
        if panel.band is not None:
            entries.append(figures.Border.of_band(name, panel.band, *axes))
        else:
            means = panel.train.values, panel.test.values
            entries.append(figures.Border.of_means(name, *means, panel.thresholds, *axes))
    return figures.boundary_overlay(entries, **next(iter(panels.values())).axis_words, title=title)


def improvement_figure(base: Panel, method: Panel, title: str) -> Figure:
    """Draws the improvement maps of training loss and test error, by both readings of the paper's formula."""
    gain = Gain(base, method)
    failed = gain.gave_up.sum(axis=-1)
    rows = [
        [(f"{capitalised(words)}: {reading}", gain.gains[name][measure].values, failed) for name, words in QUANTITIES.items()]
        for measure, reading in MEASURES.items()
    ]
    axes = gain.gains["train_loss"]["coefficient"].values, gain.gains["train_loss"]["n_data"].values
    # A gain ends at 100 per cent and a loss has no bound; a few lost cells would wash out all the others.
    return figures.improvement_maps(rows, *axes, **method.axis_words, title=title, limit=100.0)


def endings(panels: Mapping[str, Panel]) -> str:
    """Tabulates the statuses that ended the runs of each panel."""
    counts = {name: stored_runs(panel)["status"].value_counts() for name, panel in panels.items()}
    sentences = {status.label: status.sentence for status in Status}
    for panel in panels.values():
        sentences |= panel.plan.sweep.setup.outcomes
    rows = [
        [capitalised(sentence), *(part_of(found.get(label, 0), found.sum()) for found in counts.values())]
        for label, sentence in sentences.items()
        if any(label in found for found in counts.values())
    ]
    return table(["why a run stopped", *counts], rows)


def commands(chapter: str, panels: Iterable[Panel], profile: str = "") -> str:
    """Lists the commands that repeat a chapter, one cell of its first panel and all its runs, with the time of each.

    Args:
        chapter: its name.
        panels: what it reads.
        profile: of the chapter; that of the first panel by default. Each panel has its own.
    """
    panels = list(panels)
    profile = profile or panels[0].runs.attrs["profile"]
    seconds = [float(panel.runs["seconds"].sum()) for panel in panels]
    rows = [
        [
            f"`python -m sciml_lib run {panel.sweep} --profile {panel.runs.attrs['profile']}`",
            f"{len(stored_runs(panel)):,}",
            prose.duration(time),
            panel.runs.attrs["device"],
        ]
        for panel, time in zip(panels, seconds, strict=True)
    ]
    again = [f"python -m sciml_lib chapter {chapter} -p profile {name} -o {name}.ipynb" for name in {profile: 0, "smoke": 0}]
    return (
        "```bash\n" + "\n".join(again) + "\n```\n\n"
        f"While the runs are stored the first takes well under a minute. {_one_cell(panels[0])}"
        f"Training all of them took {prose.duration(sum(seconds))}:\n\n" + table(["command", "runs", "time", "device"], rows)
    )


def _one_cell(panel: Panel) -> str:
    """How to train the cheapest stored cell again, as sentences; nothing if none can be named."""
    runs = panel.runs[["status", "seconds"]].to_dataframe(dim_order=["coefficient", "n_data", "seed"])
    runs = runs[~runs["status"].isin(("", Status.DIVERGED.label)) & runs["seconds"].gt(0)]
    if runs.empty:
        return ""
    coefficient, n_data, seed = runs["seconds"].idxmin()
    one = {"coefficients": (float(coefficient),), "n_data": (int(n_data),), "seed_numbers": (int(seed),)}
    command = replace(panel.job, runs="my_runs", **one).command
    return (
        f"One cell took {prose.duration(runs['seconds'].min())}; trained again, it is set beside its stored seeds:\n\n"
        f"```bash\n{command}\n```\n\n"
    )


def many(panels: Panel | Iterable[Panel]) -> list[Panel]:
    """Returns panels as a list, one panel as a list of one."""
    return [panels] if isinstance(panels, Panel) else list(panels)


def in_full(strategy: Strategy) -> str:
    """Returns what a strategy does, as part of a sentence, with all numbers of L-BFGS."""
    details = (f" ({_solver_words(stage)})" if isinstance(stage, LBFGS) else "" for stage in strategy.stages)
    return listed((stage.words + more for stage, more in zip(strategy.stages, details, strict=True)), last="and then")


def _solver_words(stage: LBFGS) -> str:
    return (
        f"history {stage.history}, strong Wolfe line search, tolerances {number(stage.tolerance_grad, 1)} and "
        f"{number(stage.tolerance_change, 1)}"
    )


def stored_runs(panel: Panel) -> pd.DataFrame:
    """One row a stored run: coefficient, n_data, seed, test_error, status, and whether it is well trained by itself."""
    error = panel.seeded("test_error")
    found = panel.runs[["status"]].assign(test_error=error, solved=solved(panel)).to_dataframe().reset_index()
    return found[found["test_error"].notnull()]


def runs_over(panels: Mapping[Any, Panel], name: str) -> pd.DataFrame:
    """The stored runs of several panels in one frame, with the key of each panel in a column of that name."""
    return pd.concat([stored_runs(panel).assign(**{name: key}) for key, panel in panels.items()], ignore_index=True)


def stored_cells(panel: Panel) -> set[tuple[float, float]]:
    """The (n_data, coefficient) of which at least one run is stored."""
    return {(float(n), float(c)) for n, c in stored_runs(panel)[["n_data", "coefficient"]].itertuples(index=False)}


def study_source(results: Results | Iterable[Results], figure: Figure) -> Any:
    """Returns the small print below a figure: the provenance of each study and the digest of what is drawn."""
    lines = [figures.provenance.line(one.attrs) for one in _all(results)]
    return prose.small_print(lines, figures.digest(figure))


def study_command(chapter: str, results: Sequence[Results]) -> str:
    """Lists the commands that repeat a chapter and compute its studies.

    Args:
        chapter: the chapter's name.
        results: the studies it reads, all of one profile.
    """
    profile = results[0].attrs["profile"]
    again = [f"python -m sciml_lib chapter {chapter} -p profile {name} -o {name}.ipynb" for name in {profile: 0, "smoke": 0}]
    rows = [
        [
            f"`{one.attrs['command']}`",
            f"{one.attrs['cells_done']:,} of {one.attrs['cells_planned']:,}",
            listed(one.attrs["device"]),
        ]
        for one in results
    ]
    return (
        "```bash\n" + "\n".join(again) + "\n```\n\n"
        "While everything is stored the first takes well under a minute; in the profile *smoke* the networks are trained and "
        "the study is computed on the way. In the other profiles a study is computed before, of networks that are stored:\n\n"
        + table(["command", "items stored", "device"], rows)
    )


def measure_command(panels: Sequence[Panel]) -> str:
    """Lists the commands that train and measure the runs of some panels, with the time that measuring took."""
    rows = []
    for panel in panels:
        n, seconds = curvature.spent(panel.job)
        rows.append([f"`{panel.job.typed('measure')}`", f"{n:,}", prose.duration(seconds)])
    trained = listed(f"`{panel.job.command}`" for panel in panels)
    return f"{table(['command', 'runs measured', 'time'], rows)}\n\nIt needs the runs: {trained}."


MARKS = {
    Outcome.HOLDS: "\u25cf",
    Outcome.SUGGESTS: "\u25d5",
    Outcome.OPEN: "\u25cb",
    Outcome.AGAINST: "\u25d4",
    Outcome.FAILS: "\u2715",
}
"""The sign of each outcome; the word always stands beside it."""


def claims_table(found: Iterable[Verdict], *, home: bool = False) -> str:
    """Tabulates verdicts: what the paper says and where, what the runs say, the outcome, and what it rests on.

    Args:
        found: the verdicts.
        home: whether it is the page of all claims, where every row has its anchor and leads to its chapter; elsewhere a row
            leads there.
    """
    rows = []
    for verdict in found:
        claim, reading = verdict.claim, verdict.reading
        why = f": {reading.reason}" if reading.reason else ""
        outcome = f"{MARKS[verdict.outcome]}\u00a0**{verdict.outcome}**{why}"
        said = f'<span id="{claim.id}"></span>{claim.words}' if home else claim.words
        link = f"{{doc}}`../{claim.chapter}`" if home else f'<a href="../glance/claims.html#{claim.id}">in full</a>'
        rows.append([f"{said} ({claim.where})", reading.found, outcome, f"{reading.evidence} · {link}"])
    return table(["the paper says", "our runs say", "outcome", "evidence"], rows, of_text=True)


def outcomes(found: Iterable[Verdict]) -> str:
    """Counts the outcomes that occur, as ``1 holds, 2 suggest, 4 are open``."""
    words = {
        Outcome.HOLDS: ("holds", "hold"),
        Outcome.SUGGESTS: ("is suggested", "are suggested"),
        Outcome.AGAINST: ("is spoken against", "are spoken against"),
        Outcome.FAILS: ("does not hold", "do not hold"),
        Outcome.OPEN: ("is open", "are open"),
    }
    counts = ledger.counts(found)
    return listed(f"{counts[one]} {words[one][counts[one] != 1]}" for one in words if counts[one])


def _all(results: Results | Iterable[Results]) -> list[Results]:
    """Returns results as a list, one as a list of one."""
    return [results] if isinstance(results, Results) else list(results)


def borders_table(panels: Mapping[str, Panel], kind: str = "train") -> str:
    """Tabulates where the border of each map lies, row by row; see :func:`sciml_lib.analysis.borders.places`.

    Args:
        panels: the maps by the names of their strategies.
        kind: ``train`` or ``test``.
    """
    found = borders.places(panels, kind)
    found["place"] = [place(row.crossing, row.returns) for row in found.itertuples()]
    found["judge"] = found["judge"].replace({"own": "its own"})
    wide = found.pivot_table("place", ["strategy", "judge"], "n_data", "first", sort=False)
    symbol = next(iter(panels.values())).system.data_symbol
    heads = ["border of", "threshold of", *(f"{symbol} = {n:,}" for n in wide)]
    return table(heads, [[*index, *row] for index, row in zip(wide.index, wide.values.tolist(), strict=True)])
