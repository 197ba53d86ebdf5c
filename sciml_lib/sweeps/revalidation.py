"""Confirms that stored runs stand although the library has changed since.

A change of the code marks the figures of every store that it could have touched. Most changes touch no number. To show
that, the smallest profile of the sweep is trained twice side by side, by the code of the commit that made the store and by
the present one; if every number of it is the same to the last bit, the manifest notes it and the mark goes.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from sciml_lib.errors import UserError
from sciml_lib.sweeps import catalog, manifest, provenance, store
from sciml_lib.sweeps.spec import Plan

SMALLEST = "smoke"


def revalidate(sweep_id: str, profile: str = "laptop", runs: str | os.PathLike[str] | None = None) -> str:
    """Compares the code that made a store with the present one, and notes in its manifest if both give the same numbers.

    Args:
        sweep_id: id of the sweep.
        profile: whose store is meant; what is trained for the comparison is always ``smoke``.
        runs: the folder of all stores; by default ``SCIML_RUNS`` of the environment, or ``runs/`` of the repository.

    Returns:
        What was found, in a sentence.

    Raises:
        UserError: if nothing is stored, the code that made it is not to be had, or the numbers differ.
    """
    plan = catalog.get(sweep_id).at(profile)
    content = store.read(plan, runs).manifest
    if not content:
        raise UserError(f"no runs of {sweep_id}, profile {profile}, are stored; train them with `{plan.command}`")
    if not manifest.library_changed(content, plan):
        return f"{sweep_id}, {profile}: the library has not changed since; there is nothing to revalidate"
    if len(content["library"]) != 1:
        raise UserError(f"{sweep_id}, {profile}, was trained by several versions of the library; that cannot be confirmed")
    with tempfile.TemporaryDirectory() as folder, _checkout(content["commit"], Path(folder) / "code") as code:
        made = {name: _train(sweep_id, root, Path(folder) / name) for name, root in (("old", code), ("new", store.ROOT))}
    if made["old"].library != content["library"][0]:
        raise UserError(
            f"commit {content['commit'][:7]} does not hold the code that trained {sweep_id}, {profile} (it was changed "
            "and not committed); its runs can only be trained anew"
        )
    if made["old"].rows != made["new"].rows:
        raise UserError(
            f"{sweep_id}: the code of commit {content['commit'][:7]} and the present one give different numbers in the "
            f"profile {SMALLEST}; the mark stays until the runs are trained anew: `{plan.command} --restart`"
        )
    _note(plan, runs)
    return (
        f"{sweep_id}, {profile}: {len(made['new'].rows)} runs of the profile {SMALLEST} are the same to the last bit by commit "
        f"{content['commit'][:7]} and by the present library; the manifest says so now"
    )


class _Made:
    """What one version of the code made of the smallest profile: the rows without their times, and its fingerprint."""

    def __init__(self, folder: Path) -> None:
        with (folder / "cells.csv").open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
        self.rows = sorted(str({name: value for name, value in row.items() if name != "seconds"}) for row in rows)
        self.library = json.loads((folder / manifest.NAME).read_text(encoding="utf-8"))["library"][-1]


def _train(sweep_id: str, code: Path, runs: Path) -> _Made:
    command = [sys.executable, "-m", "sciml_lib", "run", sweep_id, "--profile", SMALLEST, "--device", "cpu", "--quiet"]
    # One thread: with more, the order of a sum may depend on how busy the machine is.
    environment = os.environ | {"PYTHONPATH": str(code), "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
    done = subprocess.run([*command, "--runs", str(runs)], cwd=code, env=environment, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(f"the code in {code} could not train {sweep_id}, profile {SMALLEST} ({last}); nothing is confirmed")
    return _Made(runs / sweep_id / SMALLEST)


@contextmanager
def _checkout(commit: str, folder: Path) -> Iterator[Path]:
    """The files of a commit in a folder of their own."""
    git = ["git", "-C", str(store.ROOT), "worktree"]
    try:
        subprocess.run([*git, "add", "--detach", str(folder), commit], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        raise UserError(
            f"commit {commit[:7] or '(not recorded)'} is not in this repository, so the code that made the store cannot be "
            "compared; fetch it, or train the runs anew"
        ) from None
    try:
        yield folder
    finally:
        subprocess.run([*git, "remove", "--force", str(folder)], capture_output=True, check=False)


def _note(plan: Plan, runs: str | os.PathLike[str] | None) -> None:
    """Writes the fingerprint of the present library into the manifest, as one that gives the same numbers."""
    folder = store.folder_of(plan, runs)
    lock = FileLock(folder / ".lock")
    store.take(lock, folder)
    try:
        content = store.read(plan, runs).manifest
        content["revalidated"] = sorted({*content.get("revalidated", ()), provenance.library_digest(plan.modules)})
        store.replace(folder / manifest.NAME, manifest.dumped(content))
    finally:
        lock.release()
