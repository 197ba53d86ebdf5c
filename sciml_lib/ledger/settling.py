"""What would settle the claims that are open, and what that costs."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from sciml_lib.ledger.contract import Outcome, Settling, Verdict
from sciml_lib.prose import duration
from sciml_lib.sweeps import Job, store, timing


@dataclass(frozen=True)
class Cost:
    """What is missing of a settling run.

    Attributes:
        runs: that are not stored; 0 where it is no sweep.
        seconds: that they take, by the runs of the same recipe that are stored; NaN if there is none.
        command: what to type; empty where it is no sweep.
    """

    runs: int
    seconds: float
    command: str

    @property
    def words(self) -> str:
        """The time in words, ``not measured`` if it is not known."""
        return "not measured" if math.isnan(self.seconds) else duration(self.seconds)


def cost(settling: Settling, runs: str | os.PathLike[str] | None = None) -> Cost:
    """What is missing of a settling run, and what it costs on the processor that trained what is stored.

    Args:
        settling: the run.
        runs: the folder of all stores; by default see :func:`~sciml_lib.sweeps.places.runs_folder`.

    Raises:
        UserError: if a store is not in order, or there is no such sweep, profile, amount of data or seed.
    """
    if not settling.sweep:
        return Cost(0, math.nan, "")
    amounts = settling.n_data or None
    job = Job.of(settling.sweep, settling.profile, runs=runs or None, device="cpu", n_data=amounts, seeds=settling.seeds)
    stored = store.read(job)
    missing = [cell for cell in job.cells if cell not in stored.done]
    # Of whatever processor and engine: the costs of a plan, and not an estimate for this machine.
    rows = [row for one in (job, *job.siblings) for row in store.read(one).rows]
    seconds = timing.from_rows(job.plan, rows, missing) if missing else 0.0
    return Cost(len(missing), seconds, Job.of(settling.sweep, settling.profile, n_data=amounts, seeds=settling.seeds).command)


def plan(found: Iterable[Verdict], runs: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """The claims that are not settled, with what would settle each.

    Args:
        found: verdicts.
        runs: the folder of all stores.

    Returns:
        One row a claim, by its id: ``words`` of the claim, ``outcome``, ``reason``, ``run`` (what would settle it, empty if
        nobody has said), ``missing`` runs, ``seconds`` and ``command``.

    Raises:
        UserError: as :func:`cost`.
    """
    rows = {}
    for verdict in found:
        if verdict.outcome in (Outcome.HOLDS, Outcome.FAILS):
            continue
        settles, known = verdict.claim.settles, None
        if settles is not None:
            known = cost(settles, runs)
        rows[verdict.claim.id] = {
            "words": verdict.claim.words,
            "outcome": str(verdict.outcome),
            "reason": verdict.reading.reason,
            "run": settles.words if settles else "",
            "missing": known.runs if known else 0,
            "seconds": known.seconds if known else math.nan,
            "command": known.command if known else "",
        }
    columns = ["words", "outcome", "reason", "run", "missing", "seconds", "command"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)
