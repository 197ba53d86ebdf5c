"""The benchmarks run; what they measure is printed, never asserted."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def test_the_ensemble_benchmark_prints_its_table() -> None:
    command = [sys.executable, str(BENCHMARKS / "ensemble.py"), "--n-data", "20", "--members", "1", "3"]
    done = subprocess.run(
        [*command, "--iterations", "2", "--threads", "1"], capture_output=True, text=True, check=True, timeout=300
    )
    rows = [line.split() for line in done.stdout.splitlines()[2:]]
    assert [row[:2] for row in rows] == [["20", "1"], ["20", "3"]]
    for row in rows:
        sequential, ensemble, ratio = map(float, row[2:5])
        assert abs(ratio - ensemble / sequential) < 0.02 * ratio + 0.01
        assert all(re.fullmatch(r"\d+%", share) for share in row[5:])
