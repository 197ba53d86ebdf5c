"""The benchmarks run; what they measure is printed, never asserted. Their two sides do the same work."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor

from sciml_lib import kernel

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
        assert all(float(milliseconds) > 0 for milliseconds in row[5:7])
        assert all(re.fullmatch(r"\d+%", share) for share in row[7:10])
        assert row[10:] == (["the", "loop", "wins"] if ratio < 0.995 else row[10:])


def test_the_strategies_benchmark_prints_its_tables() -> None:
    command = [sys.executable, str(BENCHMARKS / "strategies.py"), "--n-data", "20", "--members", "2"]
    done = subprocess.run(
        [*command, "--iterations", "2", "--rank", "3", "--cg-iterations", "2", "--threads", "1"],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    lines = [line.split() for line in done.stdout.splitlines()]
    rates, ratios = lines[3:10], lines[12:]
    work = ["lbfgs", "alm", "ropinn", "level", "row", "nncg", "products"]
    assert [row[:3] for row in rates] == [["20", "2", name] for name in work]
    for row in rates:
        sequential, ensemble, ratio = map(float, row[3:])
        assert abs(ratio - ensemble / sequential) < 0.02 * ratio + 0.01
    assert [row[:2] for row in ratios] == [["20", "2"]]
    assert all(float(cell) > 0 for row in ratios for cell in row[2:])


def test_the_dynamics_benchmark_prints_its_table() -> None:
    command = [sys.executable, str(BENCHMARKS / "dynamics.py"), "--quick", "--threads", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    rows = [line.split() for line in done.stdout.splitlines()[3:]]
    work = [("node", "adam"), ("pinode", "adam"), ("pinode", "lbfgs")]
    assert [row[:3] for row in rows] == [[*names, members] for names in work for members in ("1", "3")]
    for row in rows:
        sequential, ensemble, ratio, difference = map(float, row[3:])
        assert abs(ratio - sequential / ensemble) < 0.02 * ratio + 0.01
        assert difference < 1e-9


def test_the_operators_benchmark_prints_its_table() -> None:
    command = [sys.executable, str(BENCHMARKS / "operators.py"), "--quick"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    step, *speeds = done.stdout.splitlines()[2:]
    side, width, modes, batch, plain, ours, ratio, difference = map(float, step.split())
    assert (side, width, modes, batch) == (16, 4, 4, 4) and difference < 1e-9
    assert abs(ratio - plain / ours) < 0.1 * ratio + 0.01  # milliseconds are printed with one digit
    assert [line.split()[2] for line in speeds] == ["poisson", "advection-diffusion"]


def test_the_operators_benchmark_refuses_to_compare_what_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    operators = importlib.import_module("operators")
    monkeypatch.setattr(operators.nn.functional, "gelu", lambda h: h)
    with pytest.raises(SystemExit, match="do not do the same"):
        operators.compare(operators.Comparison(16, 3, 2, 4), 1)


def test_the_landscape_benchmark_prints_its_table() -> None:
    command = [sys.executable, str(BENCHMARKS / "landscape.py"), "--quick", "--threads", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    rows = [line.split() for line in done.stdout.splitlines()[2:]]
    assert [row[:2] for row in rows] == [["20", "1"], ["20", "3"]]
    for row in rows:
        products, plain, package, ensemble, to_plain, to_package, difference = map(float, row[2:])
        assert products >= 2 and difference <= 1e-3
        for ratio, other in ((to_plain, plain), (to_package, package)):
            assert abs(ratio - other / ensemble) < 0.02 * ratio + 0.01


def test_the_dynamics_benchmark_refuses_to_compare_what_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    dynamics = importlib.import_module("dynamics")
    other = {"batch_size": 32, "updates": 13, "learning_rate": 1e-3, "decay": 0.99}
    monkeypatch.setattr(dynamics.Comparison, "plain", lambda self, member: dynamics.PlainAdam(member, **other))
    with pytest.raises(SystemExit, match="do not do the same"):
        dynamics.compare(dynamics.Comparison("pinode", "adam", 1, epochs=2))


@pytest.fixture
def strategies(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """``benchmarks/strategies.py`` as a module; like a script it finds its neighbours in its own folder."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("strategies")


def philox(member: int, kind: str, width: int) -> Callable[[int, int], Tensor]:
    """The numbers that the library draws for a member with this seed."""

    def draw(rows: int, count: int) -> Tensor:
        generator = np.random.Generator(np.random.Philox(key=member, counter=[0, count, 0, 0]))
        return torch.from_numpy(getattr(generator, kind)((rows, width), dtype=np.float32)).double()

    return draw


# In float64 and for few iterations, since quasi-Newton trajectories part soon. Amount: what the plain side is asked for;
# length: after how much of it (iterations, calls, steps) the ensemble's stage ends by itself.
@pytest.mark.parametrize(("work", "amount", "length"), [("lbfgs", 12, 12), ("alm", 12, 2), ("ropinn", 30, 2), ("nncg", 4, 4)])
def test_both_sides_of_the_strategies_benchmark_train_alike(
    strategies: ModuleType, work: str, amount: int, length: int
) -> None:
    case = strategies.Comparison(30, 2, iterations=6, rank=4, cg_iterations=5, refresh=2, dtype=torch.float64)
    plain = strategies.Sequential(case.runs(work))
    for i, run in enumerate(plain.runs):
        if work in ("ropinn", "nncg"):
            run.draw = philox(i, *(("random", 2) if work == "ropinn" else ("standard_normal", case.rank)))
    ours = strategies.Ensemble(case.stage(work, length), case.problem(), case.start)
    done = plain.advance(amount)
    assert ours.advance(10**6) == done
    if work == "nncg":  # all the iterations of conjugate gradients were done
        products = 2 * case.rank + length * (case.cg_iterations + 1) - 1
        assert [run.products for run in plain.runs] == [products] * 2
    losses = [case.problem().value(params) for params in (case.start, plain.params, ours.params)]
    assert work == "alm" or (losses[1] < losses[0]).all()
    torch.testing.assert_close(losses[2], losses[1], rtol=1e-6, atol=0.0)


@pytest.mark.parametrize("work", ["level", "row"])
def test_both_sides_of_the_strategies_benchmark_climb_alike(strategies: ModuleType, work: str) -> None:
    case = strategies.Comparison(30, 1 if work == "row" else 2, iterations=6, dtype=torch.float64)
    plain, ours, _ = case.sides(work)
    for _ in range(1 if work == "row" else 3):
        assert plain.advance(3) == ours.advance(3)
    problem = ours.problem if work == "row" else case.problem()
    torch.testing.assert_close(problem.value(ours.params), problem.value(plain.params), rtol=1e-6, atol=0.0)


def test_both_sides_of_the_strategies_benchmark_give_the_same_products(strategies: ModuleType) -> None:
    case = strategies.Comparison(30, 2, dtype=torch.float64)
    plain, ours, _ = case.sides("products")
    v = case.vectors()[0]
    expected = torch.stack([run.newton.product(row) for run, row in zip(plain.runs, v, strict=True)])
    torch.testing.assert_close(ours.product(v), expected, rtol=1e-9, atol=1e-9)
    assert ours.advance(3) == plain.advance(3) == 6


@pytest.mark.skipif(kernel.get() is None, reason="there is no kernel to measure")
def test_the_kernel_benchmark_prints_its_table() -> None:
    command = [sys.executable, str(BENCHMARKS / "kernel.py"), "--n-data", "20", "--members", "2", "--rounds", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    head, _, *lines = done.stdout.splitlines()
    assert "GFLOP/s" in head and "load" in head
    rows = [line.split() for line in lines]
    sides = {"convection": ["fused", "eager", "plain"]}
    sides |= {name: ["fused", "eager"] for name in ("reaction", "wave", "reaction-diffusion")}
    assert [(row[0], row[3]) for row in rows] == [(name, side) for name in sides for side in sides[name]]
    for row in rows:
        assert float(row[4]) > 0 and float(row[5]) > 0 and float(row[-1]) < 1e-4
        assert (row[3] == "fused") == (len(row) == 10)


@pytest.mark.skipif(importlib.util.find_spec("jax") is not None, reason="JAX is installed here")
def test_a_peer_that_is_not_installed_is_named() -> None:
    command = [sys.executable, str(BENCHMARKS / "kernel.py"), "--with", "jax"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2 and "jax is not installed here" in done.stderr
