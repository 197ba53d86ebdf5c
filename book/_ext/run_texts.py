"""The pages of the stored sweeps and studies, as Markdown with their tables as HTML."""

from __future__ import annotations

import html
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from run_stores import Store, StudyStore, cell_of
from sciml_lib import prose, report
from sciml_lib.figures import provenance
from sciml_lib.regimes import REGIMES, Regime
from sciml_lib.sweeps import job
from sciml_lib.sweeps.job import Job

Linked = Callable[[str], str]
"""What turns a commit into the words that show it."""

HEADS = {
    "coefficient": "coefficient",
    "n_data": "n_data",
    "seed": "seed",
    "regime": "regime",
    "train_loss": "training loss",
    "test_error": "test error",
    "lambda_max": "largest eigenvalue",
    "trace": "trace",
}
"""The columns that every table begins with or that have another name in it than in the file."""

LAST = ("iterations", "evaluations", "seconds", "status", "device")


def page(store: Store, source: Path, commit: Linked) -> str:
    """Writes the page of one store.

    Args:
        store: what is stored.
        source: the folder in which the page is written.
        commit: how a commit is shown.
    """
    said = store.manifest
    counted = Counter(store.regimes)
    shown = ", ".join(f"{r.numeral} {counted[r]:,}" for r in REGIMES)
    rows = [
        ["profile", f"{store.profile}. {plain(_why(store))}"],
        ["runs stored", _count(store)],
        ["seeds", _seeds(store)],
        ["computing time", prose.duration(store.seconds)],
    ]
    if store.map is not None:
        rows.append(["runs in regime", f"{shown} ({_thresholds(store)})"])
    parts = [
        f"# {plain(store.sweep)}, {store.profile}",
        f"**{plain(said['title'])}.**",
        _pairs(rows),
        _reading(store),
        *(f":::{{warning}}\n{plain(note)}\n:::" for note in store.notes),
        "## Re-run\n\n" + _again(store),
        "## Recipe\n\n" + _recipe(store),
        "## Who trained it\n\n" + _made(store, commit),
        _map(store),
        "## Rows\n\n" + _downloads(store.folder, source),
        raw(_table(store)),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def study_page(
    store: StudyStore,
    source: Path,
    commit: Linked,
    stores: Sequence[Store],
) -> str:
    """Writes the page of one study; the arguments are those of :func:`page`, and all stores of sweeps.

    An item leads to the row of its network. Some studies train networks of their own: those lead to the sweep's page.
    """
    stored = {
        provenance.page_of(one.sweep, one.profile, cell_of(row))
        for one in stores
        for row in one.rows
    }
    attrs, study = store.results.attrs, store.study
    items = list(store.results.items)
    rows = [
        ["items stored", f"{len(items)} of {attrs['cells_planned']}"],
        ["seeds", provenance.ranges(attrs["seeds"])],
    ]
    seconds = store.manifest["seconds"]
    if seconds:
        rows.append(["computing time", prose.duration(sum(seconds.values()))])
    heads = ("sweep", "coefficient", "n_data", "seed", "variant", "seconds")
    lines = []
    for item in items:
        target = provenance.page_of(item.sweep, store.profile, item.cell)
        target = target if target in stored else target.partition("#")[0]
        first = f'<th scope="row">{provenance.link(item.sweep, target)}</th>'
        values = (f"{item.coefficient:g}", item.n_data, item.seed)
        spent = seconds.get(item.key)
        cells = (*values, item.variant, "" if spent is None else f"{spent:.1f}")
        lines.append(_line(item.key, first, cells))
    parts = [
        f"# study {study.id}, {store.profile}",
        f"**{plain(study.title)}.**",
        _pairs(rows),
        *(f":::{{warning}}\n{plain(note)}\n:::" for note in store.notes),
        "## Re-run\n\n"
        + "It computes what is missing; an item that is stored is not computed again.\n\n"
        + bash(job.words("study", study.id, store.profile)),
        "## Recipe\n\n"
        + _folded("The numbers, as stored", store.manifest["recipe"]),
        "## Who computed it\n\n" + _calls(store.manifest, commit),
        "## Rows\n\n"
        + f"The arrays are in `runs/studies/{study.id}/{store.profile}/`, one file an item. "
        + _file(store.folder / "manifest.json", source),
        raw(_sortable(heads, lines)),
    ]
    return "\n\n".join(parts) + "\n"


def index(
    stores: Sequence[Store],
    studies: Sequence[StudyStore],
    planned: Sequence[Job],
) -> str:
    """Writes the page that lists everything that is stored, and what is planned."""
    runs = sum(len(one.rows) for one in stores)
    time = sum(one.seconds for one in stores)
    heads = (
        "sweep",
        "profile",
        "runs",
        "of",
        "I",
        "II",
        "III",
        "hours",
        "last",
    )
    lines = []
    for one in stores:
        found = Counter(one.regimes) if one.map is not None else {}
        counts = [found.get(r, "") for r in REGIMES]
        values = (one.profile, len(one.rows), _whole(one), *counts)
        name = provenance.link(one.sweep, one.page, one.manifest["title"])
        first = f'<th scope="row">{name}</th>'
        rest = (f"{one.seconds / 3600:.2f}", one.manifest["updated"][:10])
        key = Path(one.page).stem
        lines.append(_line(key, first, (*values, *rest)))
    texts = [
        "# All runs",
        f"{len(stores)} stores hold {prose.counted(runs, 'training run')}, which took {prose.duration(time)} of computing. "
        "Each has a page: its recipe, who trained it, the commands that repeat it, and its rows, which can be sorted and "
        "downloaded. Runs are counted against those of the whole sweep, before a profile reduces it; I, II and III count "
        "the runs in each regime by themselves.",
        "## Stored\n\n" + "Press the head of a column to sort by it.",
        raw(_sortable(heads, lines)),
    ]
    if studies:
        rows = [
            [
                f"[{plain(one.study.title)}]({Path(one.page).stem}.md)",
                one.profile,
                f"{len(one.results.items)} of {one.results.attrs['cells_planned']}",
            ]
            for one in studies
        ]
        told = "What was computed of the trained networks beside their losses."
        texts.append(
            "## Studies of trained networks\n\n"
            + f"{told}\n\n{prose.table(['study', 'profile', 'items'], rows)}"
        )
    if planned:
        rows = [
            [f"`{job.command}`", f"{len(job.cells):,}", plain(job.plan.why)]
            for job in planned
        ]
        texts.append(
            "## Planned, and not stored\n\n"
            + prose.table(["command", "runs", "what it is"], rows, of_text=True)
        )
    return "\n\n".join(texts) + "\n"


def plain(text: str) -> str:
    """Text in which Markdown finds nothing to obey."""
    return re.sub(r"([\\`*_{}\[\]<>$|#~^])", r"\\\1", " ".join(text.split()))


def raw(text: str) -> str:
    """HTML as it is."""
    return f"```{{raw}} html\n{text}\n```"


def bash(*commands: str) -> str:
    """Commands to type."""
    return "```bash\n" + "\n".join(commands) + "\n```"


def _pairs(rows: Iterable[Sequence[str]]) -> str:
    """Facts by name, as a table."""
    return prose.table(["what", "this store"], rows, of_text=True)


def _why(store: Store) -> str:
    return store.manifest["specification"].get("why", "")


def _whole(store: Store) -> int:
    """The runs of the whole sweep."""
    planned = store.manifest["cells_planned"]
    return planned if store.job is None else store.job.plan.sweep.n_runs


def _count(store: Store) -> str:
    planned, whole = store.manifest["cells_planned"], _whole(store)
    text = f"{len(store.rows):,} of {planned:,}"
    if store.job is None:
        return text
    plan = store.job.plan
    part = "" if whole == planned else f" ({whole:,} in the whole sweep)"
    cut = (
        ", with smaller budgets" if plan.strategy != plan.sweep.strategy else ""
    )
    return text + part + cut


def _seeds(store: Store) -> str:
    there = {cell_of(row)[2] for row in store.rows}
    whole = store.manifest["specification"].get("seeds", there)
    if store.job is not None:
        whole = store.job.plan.sweep.seeds
    return (
        f"{provenance.ranges(there) or 'none'} ({len(there)} of {len(whole)})"
    )


def _thresholds(store: Store) -> str:
    chosen = store.map.thresholds
    return (
        f"training loss above {prose.number(chosen.train)} is II, test error above "
        f"{prose.number(chosen.test)} is III; {plain(chosen.origin)}"
    )


def _reading(store: Store) -> str:
    """Whose word is followed, and the mark of a library that has changed."""
    reading = store.manifest["specification"].get("reading", "")
    if store.job is not None:
        reading = store.job.plan.sweep.reading
    text = (
        f":::{{admonition}} The reading\n{plain(reading)}\n:::"
        if reading
        else ""
    )
    if store.library_changed:
        text += (
            f"\n\n*{provenance.CHANGED}.* Whether it changed these numbers, "
            f"`{_command(store, verb='revalidate')}` finds out."
        )
    return text


def _command(store: Store, verb: str = "run", **options: Any) -> str:
    """A command on a store of the catalog, or on a sweep of one's own that a file defines."""
    if store.job is not None:
        return replace(
            store.job, runs=options.pop("runs", None), **options
        ).typed(verb)
    given = {"plugin": "my_sweeps.py", **options}
    return job.words(verb, store.sweep, store.profile, **given)


def _again(store: Store) -> str:
    """The commands: everything, and one run."""
    text = bash(_command(store))
    if store.job is None:
        text = f"With the sweep in `my_sweeps.py`, as a page of this book defines it:\n\n{text}"
    if store.quickest is None:
        return text
    coefficient, n_data, seed = cell_of(store.quickest)
    one = {
        "coefficients": (coefficient,),
        "n_data": (n_data,),
        "seed_numbers": (seed,),
    }
    command = _command(store, runs="my_runs", **one)
    spent = prose.duration(float(store.quickest["seconds"]))
    return (
        f"{text}\n\nOne run, into a folder of your own (this one took {spent}; press the first entry of a row to have the "
        f"command for that run):\n\n::::{{div}} one-run\n{bash(command)}\n::::\n\n"
        "At its end the command prints the range of the stored seeds of the cell, and where the new run lies."
    )


def _recipe(store: Store) -> str:
    """What a run goes through, in words and as stored."""
    stored = store.manifest["specification"]
    rows = []
    if store.job is None:
        rows.append(
            ["equation", f"`{stored['system']['name']}`, on {_link_own()}"]
        )
        rows.append(
            ["training", plain("; then ".join(map(_stage, stored["strategy"])))]
        )
    else:
        plan = store.job.plan
        sweep = plan.sweep
        rows.append(["equation", plain(sweep.system.title)])
        rows.append(
            ["network", f"{sweep.setup.describe()}, in {sweep.setup.dtype}"]
        )
        rows.append(
            ["training", prose.capitalised(report.in_full(plan.strategy))]
        )
        if plan.strategy != sweep.strategy:
            rows.append(
                [
                    "in the full budget",
                    prose.capitalised(report.in_full(sweep.strategy)),
                ]
            )
    rows += [
        [
            plain(stored["coefficient_name"]),
            ", ".join(f"{c:g}" for c in stored["coefficients"]),
        ],
        ["n\\_data", ", ".join(f"{n:,}" for n in stored["n_data"])],
        ["seeds planned", ", ".join(map(str, stored["seeds"]))],
    ]
    digest = store.manifest.get("spec_hash", "")
    return f"{_pairs(rows)}\n\n{_folded(f'Everything, as stored (fingerprint {digest[:16]})', stored)}"


def _link_own() -> str:
    return "{doc}`../use/own_equation`"


def _stage(stage: Mapping[str, Any]) -> str:
    numbers = ", ".join(
        f"{name} {value}" for name, value in stage.items() if name != "kind"
    )
    return f"{stage['kind']} ({numbers})"


def _folded(title: str, content: Mapping[str, Any]) -> str:
    text = json.dumps(content, indent=1, ensure_ascii=False)
    return f":::{{dropdown}} {title}\n```json\n{text}\n```\n:::"


def _made(store: Store, commit: Linked) -> str:
    """Who trained the runs, call by call where that is recorded."""
    if store.manifest.get("calls"):
        return _calls(store.manifest, commit)
    said = store.manifest
    rows = [
        ["trained", f"{said['created'][:10]} to {said['updated'][:10]}"],
        ["device", ", ".join(said["devices"])],
        ["versions", _versions(said["versions"])],
        ["commit", commit(said["commit"])],
    ]
    return f"{_pairs(rows)}\n\nProcessor, threads and engine were not recorded then."


def _calls(manifest: Mapping[str, Any], commit: Linked) -> str:
    heads = [
        "from",
        "to",
        "processor",
        "threads",
        "engine",
        "device",
        "precision",
        "versions",
        "commit",
    ]
    rows = []
    for call in manifest["calls"]:
        processor = str(call.get("processor", "not recorded"))
        cores = f", {call['cores']} cores" if call.get("cores") else ""
        device = " ".join(
            filter(None, [call["device"], call.get("driver", "")])
        )
        rows.append(
            [
                call["started"][:16].replace("T", " "),
                call["ended"][:16].replace("T", " "),
                plain(processor + cores),
                call.get("threads", ""),
                call.get("engine", ""),
                plain(device),
                call.get("float32_precision", ""),
                _versions(call["versions"]),
                commit(call["commit"]),
            ]
        )
    return prose.table(heads, rows, of_text=True)


def _versions(versions: Mapping[str, str]) -> str:
    return plain(
        ", ".join(f"{name} {version}" for name, version in versions.items())
    )


def _map(store: Store) -> str:
    """The regimes in small, every cell a link to its first row."""
    if store.map is None:
        return ""
    labels = store.map.labels
    first: dict[tuple[float, int], str] = {}
    for row in sorted(store.rows, key=cell_of):
        cell = cell_of(row)
        first.setdefault(cell[:2], provenance.anchor(cell))
    amounts = sorted({n for _, n in first}, reverse=True)
    coefficients = sorted({c for c, _ in first})
    lines = []
    for n in amounts:
        cells = [f'<th scope="row">{n:,}</th>']
        for c in coefficients:
            if (c, n) not in first:
                cells.append("<td></td>")
                continue
            regime = Regime(int(labels.sel(coefficient=c, n_data=n)))
            where = f"coefficient {c:g}, n_data {n}, {regime.title}"
            cells.append(
                f'<td class="regime-{regime.numeral}"><a href="#{first[c, n]}" aria-label="{where}">{regime.numeral}</a></td>'
            )
        lines.append(f"<tr>{''.join(cells)}</tr>")
    heads = "".join(f'<th scope="col">{c:g}</th>' for c in coefficients)
    name = html.escape(store.manifest["specification"]["coefficient_name"])
    table = (
        f'<div class="run-table"><table class="run-map"><thead><tr><th>n_data, {name}</th>{heads}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )
    told = "The regime of each cell, by the mean over its seeds; a cell leads to its first row."
    return f"## The map in small\n\n{told}\n\n{raw(table)}"


def _downloads(folder: Path, source: Path) -> str:
    names = [
        name
        for name in ("cells.csv", "curvature.csv", "manifest.json")
        if (folder / name).exists()
    ]
    links = prose.listed(_file(folder / name, source) for name in names)
    return (
        f"All digits are in the files: {links}. Press the head of a column to sort by it, and again to turn the order around. "
        "The regime is that of the run by itself."
    )


def _file(path: Path, source: Path) -> str:
    """A file to download, by its path from the page."""
    return f"{{download}}`{path.name} <{os.path.relpath(path, source).replace(os.sep, '/')}>`"


def _table(store: Store) -> str:
    """The rows, to be sorted."""
    measured = {cell_of(row): row for row in store.curvature}
    own = [
        name
        for name in (store.rows[0] if store.rows else ())
        if name not in {*HEADS, *LAST}
    ]
    extra = ["lambda_max", "trace"] if measured else []
    names = [
        "coefficient",
        "n_data",
        "seed",
        "regime",
        "train_loss",
        "test_error",
        *extra,
        *own,
        *LAST,
    ]
    lines = []
    for row, regime in zip(store.rows, store.regimes, strict=True):
        cell = cell_of(row)
        key = provenance.anchor(cell)
        entries = {**measured.get(cell, {}), **row, "regime": regime.numeral}
        first = f'<th scope="row"><a href="#{key}">{cell[0]:g}</a></th>'
        lines.append(
            _line(
                key,
                first,
                [_entry(entries.get(name, "")) for name in names[1:]],
            )
        )
    return _sortable(
        [HEADS.get(name, name.replace("_", " ")) for name in names], lines
    )


def _entry(text: str) -> str:
    """A number with four digits; a whole number and a word as they are."""
    try:
        return text if text.lstrip("-").isdigit() else f"{float(text):.4g}"
    except ValueError:
        return text


def _line(key: str, first: str, cells: Iterable[Any]) -> str:
    rest = "".join(f"<td>{html.escape(str(cell))}</td>" for cell in cells)
    return f'<tr id="{html.escape(key)}">{first}{rest}</tr>'


def _sortable(heads: Iterable[str], lines: Iterable[str]) -> str:
    """A table whose columns can be sorted, see ``run_table.js``."""
    columns = "".join(
        f'<th scope="col" aria-sort="none"><button type="button">{html.escape(head)}</button></th>'
        for head in heads
    )
    body = "\n".join(lines)
    return (
        '<div class="run-table" tabindex="0"><table class="sortable">'
        f"<thead><tr>{columns}</tr></thead><tbody>\n{body}\n</tbody></table></div>"
    )
