"""Shows that stored runs stand although the library has changed since.

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

from sciml_lib import keeper
from sciml_lib.errors import UserError
from sciml_lib.sweeps import dataset, manifest, plugins, provenance, store
from sciml_lib.sweeps.job import Job
from sciml_lib.sweeps.spec import Sweep

SMALLEST = "smoke"


def revalidate(sweep: Sweep | str, profile: str = "laptop", runs: str | os.PathLike[str] | None = None) -> str:
    """Compares the code that made a store with the present one, and notes in its manifest if both give the same numbers.

    A store that was made by several versions of the code is compared with each of them.

    Args:
        sweep: a sweep, or the id of one.
        profile: whose store is meant; what is trained for the comparison is always ``smoke``.
        runs: the folder of all stores; by default see :func:`~sciml_lib.sweeps.places.runs_folder`.

    Returns:
        What was found, in a sentence.

    Raises:
        UserError: if nothing is stored, the code that made it is not to be had, or the numbers differ.
    """
    job = Job.of(sweep, profile, runs=runs)
    content, name = dataset.read_some(job).manifest, f"{job.plan.sweep.id}, {profile}"
    if not manifest.library_changed(content, job.plan):
        return f"{name}: the library has not changed since; there is nothing to revalidate"
    if SMALLEST not in job.plan.sweep.profiles:
        raise UserError(f"{name}, has no profile {SMALLEST}, which is what is trained for the comparison; give it one")
    present = provenance.library_digest(job.plan.code)
    known = set(content.get("revalidated", ()))
    made_by = {call["library"]: call["commit"] for call in content.get("calls", ())}
    versions = [digest for digest in content["library"] if digest != present and not (digest in known and present in known)]
    for digest in versions:
        _check_commit(made_by.get(digest, content["commit"]))
    with tempfile.TemporaryDirectory() as folder:
        new = _train(job, provenance.ROOT, Path(folder) / "new")
        for digest in versions:
            _compare(job, digest, made_by.get(digest, content["commit"]), new, Path(folder))
    _note(job, {present, *content["library"]})
    commits = ", ".join(made_by.get(digest, content["commit"])[:7] for digest in versions)
    return (
        f"{name}: {len(new.rows)} runs of the profile {SMALLEST} are the same to the last bit by commit "
        f"{commits} and by the present library; the manifest says so now"
    )


def _compare(job: Job, digest: str, commit: str, new: _Made, folder: Path) -> None:
    """Trains by the code of a commit and refuses if that is not the code, or its numbers are others."""
    sweep_id = job.plan.sweep.id
    with _checkout(commit, folder / f"code-{commit[:7]}") as code:
        old = _train(job, code, folder / f"old-{commit[:7]}")
    if old.library != digest:
        raise UserError(
            f"commit {commit[:7]} does not hold the code that trained {sweep_id}, {job.plan.profile} (it was changed "
            "and not committed); its runs can only be trained anew"
        )
    if old.rows != new.rows:
        raise UserError(
            f"{sweep_id}: the code of commit {commit[:7]} and the present one give different numbers in the "
            f"profile {SMALLEST}; the mark stays until the runs are trained anew: `{job.restart}`"
        )


class _Made:
    """What one version of the code made of the smallest profile: the rows without their times, and its fingerprint."""

    def __init__(self, folder: Path) -> None:
        with (folder / "cells.csv").open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
        self.rows = sorted(str({name: value for name, value in row.items() if name != "seconds"}) for row in rows)
        self.library = json.loads((folder / manifest.NAME).read_text(encoding="utf-8"))["library"][-1]


def _train(job: Job, code: Path, runs: Path) -> _Made:
    sweep_id, plugin = job.plan.sweep.id, plugins.origin(job.plan.sweep)
    if plugin is None:
        raise UserError(f"{sweep_id} was made in a script; put it into a module and name that by --plugin to revalidate it")
    command = [sys.executable, "-m", "sciml_lib", "run", sweep_id, "--profile", SMALLEST, "--device", "cpu", "--quiet"]
    command += ["--plugin", str(Path(plugin).resolve() if plugin.endswith(".py") else plugin)] if plugin else []
    # One thread: with more, the order of a sum may depend on how busy the machine is.
    environment = os.environ | {"PYTHONPATH": str(code), "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
    done = subprocess.run([*command, "--runs", str(runs)], cwd=code, env=environment, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(f"the code in {code} could not train {sweep_id}, profile {SMALLEST} ({last}); nothing is revalidated")
    return _Made(runs / sweep_id / SMALLEST)


def _check_commit(commit: str) -> None:
    """Refuses a commit that cannot be checked out."""
    git = ["git", "-C", str(provenance.ROOT), "cat-file", "-e", f"{commit}^{{commit}}"]
    try:
        subprocess.run(git, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        raise UserError(
            f"commit {commit[:7] or '(not recorded)'} is not in this repository, so the code that made the store cannot be "
            "compared; fetch it, or train the runs anew"
        ) from None


@contextmanager
def _checkout(commit: str, folder: Path) -> Iterator[Path]:
    """The files of a commit in a folder of their own."""
    git = ["git", "-C", str(provenance.ROOT), "worktree"]
    subprocess.run([*git, "add", "--detach", str(folder), commit], capture_output=True, text=True, check=True)
    try:
        yield folder
    finally:
        subprocess.run([*git, "remove", "--force", str(folder)], capture_output=True, check=False)


def _note(job: Job, same: set[str]) -> None:
    """Writes into the manifest which fingerprints of the library give the same numbers."""
    with (
        keeper.writing(job.folder, "nothing was changed", f"give `{job.typed('revalidate')}` again"),
        keeper.locked(job.folder),
    ):
        content = store.read(job).manifest
        content["revalidated"] = sorted({*content.get("revalidated", ()), *same})
        keeper.replace(job.folder / manifest.NAME, keeper.dumped(content))
