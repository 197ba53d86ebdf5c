"""``manifest.json``: what a store belongs to, and who trained what when."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sciml_lib import keeper
from sciml_lib.errors import UserError
from sciml_lib.keeper import COMMIT, DATE, FINGERPRINTS, NAMES, OBJECT, TEXT, VERSIONS, WHOLE
from sciml_lib.sweeps import provenance
from sciml_lib.sweeps.job import Job
from sciml_lib.sweeps.spec import Plan

NAME = "manifest.json"


_EXPECTED = {
    "sweep": TEXT,
    "profile": TEXT,
    "specification": OBJECT,
    "spec_hash": TEXT,
    "cells_planned": WHOLE,
    "blocks": NAMES,
    "metrics": NAMES,
    "versions": VERSIONS,
    "devices": NAMES,
    "commit": COMMIT,
    "library": FINGERPRINTS,
    "revalidated": NAMES,
    "created": DATE,
    "updated": DATE,
    "calls": provenance.CALLS,
}
_OPTIONAL = {"metrics", "revalidated", "calls"}


def fresh(plan: Plan, blocks: Sequence[str], metrics: Sequence[str] = ()) -> dict[str, Any]:
    """The manifest of a store without a row."""
    names = {"blocks": list(blocks)} | ({"metrics": list(metrics)} if metrics else {})
    return {"sweep": plan.sweep.id, "profile": plan.profile, **names, "created": keeper.now()}


def described(manifest: dict[str, Any], plan: Plan) -> dict[str, Any]:
    """The manifest with everything that the plan says now; what it says of the rows stays."""
    names = {name: manifest[name] for name in ("blocks", "metrics") if name in manifest}
    said = {"sweep": manifest["sweep"], "profile": manifest["profile"], "title": plan.sweep.title}
    said |= {"specification": json.loads(json.dumps(plan.specification)), "spec_hash": plan.hash}
    said |= {"cells_planned": len(plan.cells), **names}
    return said | {name: value for name, value in manifest.items() if name not in said}


def updated(manifest: dict[str, Any], plan: Plan, call: dict[str, Any]) -> dict[str, Any]:
    """The manifest with everything that the plan says, and with what a call did.

    Args:
        manifest: as it was, see :func:`fresh` for a new one.
        plan: what the call trains.
        call: how it trains, see :func:`~sciml_lib.sweeps.provenance.this_call`.
    """
    library = [d for d in manifest.get("library", ()) if d != call["library"]]
    return described(manifest, plan) | {
        "versions": call["versions"],
        "devices": sorted({*manifest.get("devices", ()), call["device"]}),
        "commit": call["commit"],
        "library": [*library, call["library"]],
        "created": manifest["created"],
        "updated": call["ended"],
        "calls": provenance.with_call(manifest.get("calls", ()), call),
    }


def with_calls_of(manifest: dict[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest with the calls, devices, code and revalidations of another one, some of whose rows it takes over."""
    calls = manifest.get("calls", ())
    for call in other.get("calls", ()):
        calls = provenance.with_call(calls, call)
    merged = {name: list(dict.fromkeys((*other[name], *manifest.get(name, ())))) for name in ("devices", "library")}
    if same := {*manifest.get("revalidated", ()), *other.get("revalidated", ())}:
        merged["revalidated"] = sorted(same)
    return manifest | merged | {"calls": list(calls)}


def read(path: Path, job: Job) -> dict[str, Any] | None:
    """Reads a manifest and checks that it belongs to the plan; None if there is none.

    Raises:
        UserError: if it is damaged, or belongs to another sweep, profile or specification.
    """
    plan, remedy = job.plan, f"restore it, or put the store aside and train anew: `{job.restart}`"
    manifest = keeper.read_json(path, remedy, _EXPECTED, _OPTIONAL)
    if manifest is None:
        return None
    ours, theirs = (plan.sweep.id, plan.profile), (manifest["sweep"], manifest["profile"])
    if ours != theirs:
        raise UserError(
            f"{path} belongs to {theirs[0]!r}, profile {theirs[1]!r}, and not to {ours[0]}, profile {ours[1]}; "
            f"move the folder to where it belongs, or put it aside and train anew: `{job.restart}`"
        )
    differs = _difference(manifest["specification"], plan)
    if manifest["spec_hash"] != plan.hash or differs:
        what = f"its {', '.join(differs)} differ" if differs else "its spec_hash differs"
        raise UserError(
            f"{path} was made with another specification ({what}); its runs are not those of "
            f"the sweep as it is now; put it aside and train anew: `{job.restart}` (nothing is deleted)"
        )
    return manifest


def library_changed(manifest: dict[str, Any], plan: Plan) -> bool:
    """Whether any row may have been trained by other code than there is now, and that was not shown to give the same."""
    present = provenance.library_digest(plan.code)
    made = {*manifest["library"], present}
    return made != {present} and not made <= set(manifest.get("revalidated", ()))


def versions_in_words(manifest: dict[str, Any]) -> str:
    """The packages that trained the rows, see :func:`~sciml_lib.sweeps.provenance.versions_in_words`."""
    return provenance.versions_in_words((*(call["versions"] for call in manifest.get("calls", ())), manifest["versions"]))


def _difference(theirs: dict[str, Any], plan: Plan) -> list[str]:
    """Which parts of a stored specification are not those of the plan's recipe."""
    ours = json.loads(json.dumps(plan.recipe))
    return [name for name, value in ours.items() if theirs.get(name) != value]
