"""Members trained to their ends, with and without cuts, and the comparison of two such trainings."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import torch

from sciml_lib.strategies import MemberResult, TimeLimitReached

Results = dict[int, MemberResult]


def assert_same(a: Results, b: Results, rtol: float = 1e-7, atol: float = 1e-9) -> None:
    """Same members, same ends, same counts, and the same parameters to rounding."""
    assert sorted(a) == sorted(b)
    for m in a:
        torch.testing.assert_close(a[m].params, b[m].params, rtol=rtol, atol=atol)
        assert (a[m].status, a[m].iterations, a[m].evaluations) == (b[m].status, b[m].iterations, b[m].evaluations)


def cut_after_every_step(run: Callable[..., object], folder: Path, at_least: int) -> Results:
    """Trains with a deadline that has always passed, and goes on from the checkpoint until everybody has ended.

    Args:
        run: takes ``results`` to fill and the options of ``train``.
        folder: where the checkpoint may be.
        at_least: more cuts than this must have been made, so that they fell everywhere.
    """
    checkpoint, results, stops = folder / "c.pt", {}, 0
    while True:
        try:
            run(results=results, checkpoint=checkpoint, deadline=time.monotonic())
            break
        except TimeLimitReached:
            stops += 1
            assert checkpoint.exists()
    assert stops > at_least
    assert not checkpoint.exists()
    return results
