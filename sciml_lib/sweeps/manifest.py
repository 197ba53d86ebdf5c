"""``manifest.json``: what a store belongs to and where it comes from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sciml_lib.errors import UserError
from sciml_lib.sweeps import provenance
from sciml_lib.sweeps.spec import Plan

NAME = "manifest.json"
_EXPECTED = {
    "sweep": str,
    "profile": str,
    "specification": dict,
    "spec_hash": str,
    "cells_planned": int,
    "blocks": list,
    "versions": dict,
    "devices": list,
    "commit": str,
    "library": list,
    "created": str,
    "updated": str,
}


def fresh(plan: Plan, blocks: Sequence[str], metrics: Sequence[str] = ()) -> dict[str, Any]:
    """The manifest of a store without a row."""
    names = {"blocks": list(blocks)} | ({"metrics": list(metrics)} if metrics else {})
    return {"sweep": plan.sweep.id, "profile": plan.profile, **names, "created": _now()}


def updated(manifest: dict[str, Any], plan: Plan, device: str) -> dict[str, Any]:
    """The manifest with today's date, this library, and everything that the plan says."""
    digest = provenance.library_digest(plan.modules)
    return {
        "sweep": manifest["sweep"],
        "profile": manifest["profile"],
        "title": plan.sweep.title,
        "specification": plan.specification,
        "spec_hash": plan.hash,
        "cells_planned": len(plan.cells),
        **{name: manifest[name] for name in ("blocks", "metrics") if name in manifest},
        "versions": provenance.versions(),
        "devices": sorted({*manifest.get("devices", ()), device}),
        "commit": provenance.commit(),
        "library": [*(d for d in manifest.get("library", ()) if d != digest), digest],
        "created": manifest["created"],
        "updated": _now(),
    }


def dumped(manifest: dict[str, Any]) -> bytes:
    """The text of the file."""
    return (json.dumps(manifest, indent=1, ensure_ascii=False) + "\n").encode()


def read(path: Path, plan: Plan) -> dict[str, Any]:
    """Reads a manifest and checks that it belongs to the plan.

    Raises:
        UserError: if it is damaged, or belongs to another sweep, profile or specification.
    """
    mend = f"restore it, or put the store aside and train anew: `{plan.command} --restart`"
    try:
        manifest = json.loads(path.read_bytes().decode("utf-8"))
    except (ValueError, RecursionError):
        raise UserError(f"{path} is damaged (it is no JSON); {mend}") from None
    if not isinstance(manifest, dict):
        raise UserError(f"{path} is damaged (it is no JSON object); {mend}")
    for name, kind in _EXPECTED.items():
        if not isinstance(manifest.get(name), kind):
            raise UserError(f"{path} is damaged ({name!r} is missing or is no {kind.__name__}); {mend}")
    ours, theirs = (plan.sweep.id, plan.profile), (manifest["sweep"], manifest["profile"])
    if ours != theirs:
        raise UserError(
            f"{path} belongs to {theirs[0]}, profile {theirs[1]}, and not to {ours[0]}, profile {ours[1]}; "
            f"move the folder to where it belongs, or put it aside and train anew: `{plan.command} --restart`"
        )
    if manifest["spec_hash"] != plan.hash:
        raise UserError(
            f"{path} was made with another specification ({_difference(manifest, plan)}); its runs are not those of "
            f"the catalog; put it aside and train anew: `{plan.command} --restart` (nothing is deleted)"
        )
    return manifest


def library_changed(manifest: dict[str, Any], plan: Plan) -> bool:
    """Whether any row may have been trained by other code than there is now, and that was not confirmed to be as good."""
    present = provenance.library_digest(plan.modules)
    return manifest["library"] != [present] and present not in manifest.get("revalidated", ())


def _difference(manifest: dict[str, Any], plan: Plan) -> str:
    """What differs, in a few words."""
    theirs = manifest["specification"]
    names = [name for name, value in plan.recipe.items() if theirs.get(name) != json.loads(json.dumps(value))]
    return f"its {', '.join(names)} differ" if names else "its spec_hash differs"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
