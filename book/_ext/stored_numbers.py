"""Numbers for the pages that are no notebooks, counted from the stored runs whenever the book is built.

A page writes ``{{ stored_runs_sentence }}`` and can never disagree with what is in ``runs/``.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any


def setup(app: Any) -> dict[str, bool]:
    """Adds the numbers to the substitutions of every page."""
    app.connect("config-inited", _fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _fill(app: Any, config: Any) -> None:
    stores = list(_stores(Path(app.confdir) / "runs"))
    config.myst_substitutions = {
        **config.myst_substitutions,
        "stored_runs_sentence": _sentence(stores),
        "costs_table": _table(stores),
    }


def _stores(runs: Path) -> Any:
    """Yields (sweep, profile, rows, cells planned) of every store."""
    for manifest in sorted(runs.glob("**/manifest.json")):
        cells = manifest.with_name("cells.csv")
        if cells.exists() and not manifest.relative_to(runs).parts[
            0
        ].startswith("_"):
            with cells.open(newline="", encoding="utf-8") as lines:
                rows = list(csv.DictReader(lines))
            planned = json.loads(manifest.read_text(encoding="utf-8")).get(
                "cells_planned"
            )
            sweep = manifest.parent.parent.relative_to(runs).as_posix()
            yield sweep, manifest.parent.name, rows, planned


def _sentence(stores: list[Any]) -> str:
    rows = [row for _, _, rows, _ in stores for row in rows]
    if not rows:
        return "No run is stored in this copy yet."
    hours = sum(float(row["seconds"]) for row in rows) / 3600
    time = f"{hours:,.0f} hours" if hours >= 2 else f"{hours * 60:,.0f} minutes"
    return f"This copy stands on {len(rows):,} training runs that took {time} of computing."


def _table(stores: list[Any]) -> str:
    lines = [
        "| sweep | profile | runs stored | device | computing time |",
        "| --- | --- | --- | --- | --- |",
    ]
    for sweep, profile, rows, planned in stores:
        seconds = sum(float(row["seconds"]) for row in rows)
        devices = ", ".join(sorted({row["device"] for row in rows}))
        lines.append(
            f"| `{sweep}` | {profile} | {len(rows):,} of {planned} | {devices} | {_time(seconds)} |"
        )
    return (
        "\n".join(lines)
        if len(lines) > 2
        else "No run is stored in this copy yet."
    )


def _time(seconds: float) -> str:
    if seconds >= 5400:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
