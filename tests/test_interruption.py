"""A sweep that is killed again and again ends as if nothing had happened.

Run as a program, this file is the one that kills: it imports PyTorch once and forks a child for every attempt.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch

from sciml_lib import sweeps
from sciml_lib.strategies import LBFGS, Adam, Strategy
from sciml_lib.sweeps import catalog, execution, store
from sciml_lib.sweeps.job import Job

ROOT = Path(__file__).parents[1]
KILLS = 32
PANEL = catalog.get("pinn/convection/lbfgs")
# The smoke profile of the panel with a budget that takes a few seconds, so that there is a middle to be killed in.
SWEEP = dataclasses.replace(
    PANEL,
    id="pinn/convection/killed",
    profiles={
        "smoke": dataclasses.replace(
            PANEL.profiles["smoke"], strategy=Strategy((Adam(30), LBFGS(max_iterations=60, history=20)))
        )
    },
)


def job(runs: Path) -> Job:
    return Job(SWEEP.at("smoke"), runs, "cpu")


def rows_of(runs: Path) -> dict[sweeps.Cell, store.Row]:
    rows = store.read(job(runs)).rows
    cells = [row.cell for row in rows]
    assert len(set(cells)) == len(cells) == len(SWEEP.at("smoke").cells)
    return {row.cell: row for row in rows}


def assert_same(runs: Path, reference: Path) -> None:
    """Same rows, same numbers, same parameters, and nothing left over."""
    ours, theirs = rows_of(runs), rows_of(reference)
    assert ours.keys() == theirs.keys()
    for cell, row in ours.items():
        other = theirs[cell]
        assert (row.status, row.iterations, row.evaluations) == (other.status, other.iterations, other.evaluations)
        assert math.isclose(row.train_loss, other.train_loss, rel_tol=1e-6), (row, other)
        assert math.isclose(row.test_error, other.test_error, rel_tol=1e-6), (row, other)
    folder, whole = (job(path).folder for path in (runs, reference))
    for path in sorted(whole.glob("arrays/*.npz")):
        n_data = int(path.stem[1:])
        arrays, wanted = store.read_params(job(runs), n_data), store.read_params(job(reference), n_data)
        assert arrays.keys() == wanted.keys()
        for name, value in wanted.items():
            torch.testing.assert_close(torch.from_numpy(arrays[name]), torch.from_numpy(value), rtol=1e-5, atol=1e-7)
    assert not [*folder.rglob("*.tmp"), *folder.glob(".checkpoint*")]


def train(runs: Path) -> None:
    execution.train(job(runs), progress=False, checkpoint_seconds=0.1)


def kill_again_and_again(place: Path, kills: int, seed: int) -> dict[str, float]:
    """Trains in children that are killed at random moments; every sweep that ends is compared, then the next begins."""
    torch.set_num_threads(1)
    catalog.SWEEPS[SWEEP.id] = SWEEP
    start = time.monotonic()
    train(place / "reference")
    whole = time.monotonic() - start
    dice = random.Random(seed)
    count: dict[str, float] = {"killed": 0, "compared": 0, "resumed": 0, "cut rows": 0}
    round_ = 0
    while count["killed"] < kills or count["compared"] == 0:
        runs = place / f"round{round_}"
        folder = job(runs).folder
        count["resumed"] += bool(list(folder.glob(".checkpoint*.pt")))
        child = os.fork()
        if child == 0:
            try:
                train(runs)
                os._exit(0)
            except BaseException as error:
                print(repr(error), file=sys.stderr, flush=True)
                os._exit(1)
        end = time.monotonic() + dice.uniform(0.0, min(0.8, 0.3 * whole)) if count["killed"] < kills else math.inf
        while (status := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < end:
            time.sleep(0.001)
        if status == (0, 0):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            count["killed"] += 1
            cells = folder / "cells.csv"
            count["cut rows"] += cells.exists() and not cells.read_bytes().endswith(b"\n")
        else:
            assert status[1] == 0, "a child failed"
            assert_same(runs, place / "reference")
            count["compared"] += 1
            round_ += 1
    count["seconds of one sweep"] = round(whole, 1)
    return count


def test_killed_again_and_again_it_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, __file__, str(tmp_path), str(KILLS)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    count = json.loads(done.stdout.splitlines()[-1])
    assert count["killed"] >= 30 and count["compared"] >= 1 and count["resumed"] >= 5, count


if __name__ == "__main__":
    print(json.dumps(kill_again_and_again(Path(sys.argv[1]), int(sys.argv[2]), seed=0)))
