"""The compiled kernel against float64, against the eager form, and against itself in other company."""

from __future__ import annotations

import math
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from sciml_lib import kernel, systems
from sciml_lib.kernel import build
from sciml_lib.models import MLP
from sciml_lib.optim.history import History
from sciml_lib.problems import PINN
from sciml_lib.problems import pinn as pinn_module
from sciml_lib.systems import Block, SpaceTimeSystem

needs_compiler = pytest.mark.skipif(not any(map(shutil.which, build.COMPILERS)), reason="there is no C++ compiler")
X86 = ("-march=x86-64", "-march=x86-64-v3") if platform.machine() in ("x86_64", "AMD64") else ()
COEFFICIENTS = {
    "convection": (5.0, 30.0, 70.0),
    "reaction": (2.0, 5.0),
    "wave": (1.0, 2.0, 5.0),
    "reaction-diffusion": (5.0, 20.0),
}


def forget() -> None:
    """Makes the process ask for the kernel again."""
    kernel._built.cache_clear()
    kernel._wanted.cache_clear()
    pinn_module._TRUSTED.clear()


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("SCIML_ENGINE", "CXX"):
        monkeypatch.delenv(name, raising=False)
    forget()
    yield
    monkeypatch.undo()
    forget()


class Cubic(SpaceTimeSystem):
    """Everything that a form can hold: products with u, a cubic term, a source, periodic derivatives."""

    name, coefficient_name, coefficient_range = "cubic", "k", (0.0, math.inf)
    x_range = (-1.0, 1.0)

    def blocks(self, n, data_seed=0):
        edges = self.edges()
        inner = Block(self.collocation(n, data_seed), ("xx", "t"))
        return {"residual": inner, **{name: Block(edges[name], ("x",)) for name in ("upper", "lower", "initial")}}

    def residuals(self, jets, points, coefficient):
        r, up, low = jets["residual"], jets["upper"], jets["lower"]
        u = r["u"]
        source = torch.sin(coefficient * points["residual"][..., 0]) * points["residual"][..., 1]
        return {
            "residual": r["t"] + u * r["x"] - r["xx"] / coefficient + 5.0 * (u**3 - u) + 0.5 * u**2 - source,
            "periodic": up["u"] - low["u"],
            "slope": up["x"] - low["x"],
            "initial": jets["initial"]["u"] - 0.3 * coefficient,
        }

    def solution(self, points, coefficient):
        return points[:, 0] * torch.ones_like(coefficient)


def pair(system: SpaceTimeSystem, coefficients: tuple[float, ...], n: int, hidden: tuple[int, ...]) -> tuple[PINN, PINN]:
    """The same problem in float32, by the kernel, and in float64."""
    model = MLP(hidden=hidden)
    return PINN(system, model, coefficients, n), PINN(system, model, coefficients, n, dtype=torch.float64)


def close(ours: torch.Tensor, exact: torch.Tensor, tolerance: float = 3e-6) -> None:
    """Equal to rounding in single precision, relative to the largest entry of a member."""
    scale = exact.abs().flatten(1).amax(dim=1) if exact.dim() > 1 else exact.abs()
    apart = (ours.double() - exact).abs()
    apart = apart.flatten(1).amax(dim=1) if exact.dim() > 1 else apart
    assert (apart <= tolerance * scale).all(), (apart / scale).max()


def assert_exact(problem: PINN, exact: PINN, params: torch.Tensor) -> None:
    """Loss, gradient, terms, residuals and test error are those of float64."""
    assert problem.engine == "fused" and exact.engine == "eager"
    loss, grad = problem.value_and_grad(params)
    theirs = exact.value_and_grad(params.double())
    close(loss, theirs[0])
    close(grad, theirs[1])
    assert torch.equal(problem.value(params), loss)
    found, terms = problem.evaluate(params), exact.terms(params.double())
    for name in exact.term_names:
        close(found.terms[name], terms[name], 1e-5)
    close(problem.constraints(params, exact.term_names), exact.constraints(params.double(), exact.term_names), 1e-5)
    close(found.test_error, exact.test_error(params.double()))


@needs_compiler
@pytest.mark.parametrize("march", ["", *X86])
def test_tanh_is_within_two_units_in_the_last_place(march: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", f"c++ {march}")
    x = torch.cat([torch.linspace(-10, 10, 1_000_003), torch.logspace(-38, 1.3, 500_001), -torch.logspace(-38, 1.3, 7)])
    exact = torch.tanh(x.double())
    spacing = torch.nextafter(exact.float().abs(), torch.tensor(2.0)) - exact.float().abs()
    y = kernel.get().tanh(x)
    assert ((y.double() - exact).abs() / spacing).max() <= 2.0
    special = torch.tensor([0.0, -0.0, math.inf, -math.inf, math.nan, 1e-45, -1e-45])
    got = kernel.get().tanh(special)
    assert torch.equal(got[:4], torch.tensor([0.0, 0.0, 1.0, -1.0])) and torch.signbit(got[1]) and got[4].isnan()
    assert torch.equal(got[5:], special[5:])


@needs_compiler
@pytest.mark.parametrize("march", ["", *X86])
@pytest.mark.parametrize("name", [*COEFFICIENTS, "cubic"])
def test_the_kernel_is_exact_for_every_system(name: str, march: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", f"c++ {march}")
    system = Cubic() if name == "cubic" else systems.get(name)
    problem, exact = pair(system, COEFFICIENTS.get(name, (0.5, 3.0)), 137, (50, 50, 50))
    params = problem.init(range(len(problem))) * 1.3
    assert_exact(problem, exact, params)


@needs_compiler
@pytest.mark.parametrize("hidden", [(1,), (3,), (17, 64, 5), (256,), (20,) * 6, (4, 3, 2, 1)], ids=str)
@pytest.mark.parametrize("n", [1, 2, 33, 700])
def test_the_kernel_is_exact_for_every_shape(hidden: tuple[int, ...], n: int) -> None:
    for system in (systems.get("wave"), Cubic()):
        problem, exact = pair(system, (0.7, 2.0), n, hidden)
        assert_exact(problem, exact, problem.init([3, 4]) * 0.9)


@needs_compiler
def test_weights_multipliers_decay_and_moved_points_are_exact() -> None:
    generator = torch.Generator().manual_seed(1)
    problem, exact = pair(systems.get("wave"), (1.0, 2.0, 5.0), 90, (20, 20))
    params = problem.init(range(3))
    constrained = ("upper", "initial", "velocity")
    width = problem.constraints(params, constrained).shape[1]
    parts = [torch.rand(3, width, generator=generator), *(torch.rand(3, generator=generator) for _ in range(3))]
    shifts = 0.01 * torch.rand(3, 90, 2, generator=generator)
    weights = {"residual": torch.tensor([1.0, 0.0, 7.0]), "lower": 3.0}
    for change in (
        lambda p: p.weighted(weights),
        lambda p: p.augmented(constrained, *parts),
        lambda p: p.shifted(shifts.to(p.dtype)),
        lambda p: p.shifted(shifts.to(p.dtype)).augmented(constrained, *parts),
        lambda p: p.at(torch.tensor([3.0, 2.0, 1.0])),
        lambda p: p.resampled(5),
        lambda p: p.shifted(shifts.to(p.dtype)).weighted(weights).select([2, 0]),
    ):
        ours, theirs = change(problem), change(exact)
        some = params[[2, 0]] if len(ours) == 2 else params
        assert ours.engine == "fused"
        loss, grad = ours.value_and_grad(some)
        expected = theirs.value_and_grad(some.double())
        close(loss, expected[0])
        close(grad, expected[1])
        close(ours.value(some), expected[0])


@needs_compiler
def test_a_source_is_not_carried_to_moved_points() -> None:
    """The offset is known at the points that it was asked for: elsewhere the eager form asks again."""
    problem, exact = pair(Cubic(), (0.5, 3.0), 40, (9, 9))
    shifts, params = torch.full((2, 40, 2), 0.01), problem.init([0, 1])
    moved = problem.shifted(shifts)
    assert problem.engine == "fused" and moved.engine == "eager"
    close(moved.value_and_grad(params)[1], exact.shifted(shifts.double()).value_and_grad(params.double())[1])


class Odd(Cubic):
    """Residuals without a form, one after the other."""

    kind = ""

    def residuals(self, jets, points, coefficient):
        r = jets["residual"]
        x = points["residual"][..., 0]
        residual = KINDS[self.kind](r, x, jets)
        return {"residual": residual}


KINDS = {
    "sine of u": lambda r, x, jets: r["t"] + torch.sin(r["u"]),
    "fourth power": lambda r, x, jets: r["t"] + r["u"] ** 4,
    "variable coefficient": lambda r, x, jets: r["t"] + x * r["x"],
    "product of derivatives": lambda r, x, jets: r["t"] * r["x"],
    "neighbours": lambda r, x, jets: r["t"] + r["u"].roll(1, dims=1),
    "mean": lambda r, x, jets: r["t"] - r["u"].mean(dim=1, keepdim=True),
    "logarithm": lambda r, x, jets: r["t"] + torch.log(0.1 + r["u"] ** 2),
    "three blocks": lambda r, x, jets: r["t"] + jets["upper"]["u"] + jets["lower"]["u"],
}


@needs_compiler
@pytest.mark.parametrize("kind", KINDS)
def test_other_residuals_go_by_the_eager_form(kind: str) -> None:
    n = 101 if kind == "three blocks" else 30
    problem, exact = pair(Odd(kind=kind), (0.5, 3.0), n, (9, 9))
    params = problem.init([0, 1])
    assert problem.engine == "eager"
    close(problem.value_and_grad(params)[1], exact.value_and_grad(params.double())[1], 1e-4)


@needs_compiler
@pytest.mark.parametrize("name", [*COEFFICIENTS, "cubic"])
def test_a_member_is_the_same_bits_in_any_company(name: str) -> None:
    system = Cubic() if name == "cubic" else systems.get(name)
    coefficients = [1.0 + 0.5 * i for i in range(11)]
    problem = PINN(system, MLP(hidden=(50, 50, 50)), coefficients, 150)
    params = problem.init(range(11)) * 1.2
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        loss, grad = problem.value_and_grad(params)
        error = problem.test_error(params)
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            for chosen in ([4], [4, 0], list(range(10, -1, -1)), [4] * 5):
                some = problem.select(chosen)
                found = some.value_and_grad(params[chosen])
                assert torch.equal(found[0], loss[chosen]) and torch.equal(found[1], grad[chosen])
                assert torch.equal(some.test_error(params[chosen]), error[chosen])
            alone = PINN(system, MLP(hidden=(50, 50, 50)), [coefficients[4]], 150)
            assert torch.equal(alone.value_and_grad(params[[4]])[1], grad[[4]])
    finally:
        torch.set_num_threads(before)


def filled(members: int, size: int, p: int, stored: int) -> tuple[History, torch.Tensor]:
    """A history of a random quadratic, and gradients."""
    generator = torch.Generator().manual_seed(stored)
    scale = 0.1 + torch.rand(members, p, generator=generator)
    history, rows = History.empty(torch.zeros(members, p), size), torch.arange(members)
    for _ in range(stored):
        s = 0.01 * torch.randn(members, p, generator=generator)
        history.store(rows, s, scale * s)
        history.direction(torch.randn(members, p, generator=generator), rows)
    return history, torch.randn(members, p, generator=generator)


@needs_compiler
@pytest.mark.parametrize("stored", [0, 1, 4, 7, 8, 20])
@pytest.mark.parametrize("p", [1, 5, 37, 530])
def test_directions_are_those_of_float64_and_nobodys_neighbours(stored: int, p: int) -> None:
    history, grad = filled(5, 7, p, stored)
    rows = torch.tensor([3, 0, 4])
    found = history.direction(grad, rows)
    doubles = {name: part.double() if part.dtype == torch.float32 else part for name, part in vars(history).items()}
    expected = History(**doubles).direction(grad.double(), rows)
    close(found, expected, 1e-4 if p < 7 else 1e-5)
    alone = History(**{name: part[[4]].clone() for name, part in vars(history).items()})
    assert torch.equal(alone.direction(grad[[4]], torch.tensor([0]))[0], found[2])


# --- what may be wrong with the machine --------------------------------------------------------------------------


def assert_trains_eagerly(said: str) -> None:
    """One sentence, once; then everything goes on."""
    with pytest.warns(UserWarning, match=said) as caught:
        problem = PINN(systems.get("convection"), MLP(hidden=(5,)), [5.0], 20)
        loss, _ = problem.value_and_grad(problem.init([0]))
        again = PINN(systems.get("convection"), MLP(hidden=(5,)), [5.0], 20)
        again.value_and_grad(problem.init([0]))
    assert len(caught) == 1 and str(caught[0].message).count(". ") == 0
    assert problem.engine == again.engine == "eager" and torch.isfinite(loss).all()


def test_no_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert_trains_eagerly("there is no C.. compiler .*so the eager form is used; install g")


def test_a_compiler_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler -O2")
    assert_trains_eagerly("CXX='no-such-compiler -O2' names no compiler, so the eager form is used")


@pytest.mark.parametrize(
    "answer", ["exit 3", 'test "$1" = --version || { echo "x.cpp:1: error: sorry" >&2; exit 1; }', "exit 0"]
)
def test_a_broken_compiler(answer: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "cc"
    script.write_text(f"#!/bin/sh\n{answer}\n")
    script.chmod(0o755)
    monkeypatch.setenv("CXX", str(script))
    monkeypatch.setenv("SCIML_CACHE", str(tmp_path / "cache"))
    assert_trains_eagerly("does not run|cannot build the kernel .*sorry|cannot be loaded")
    assert not list((tmp_path / "cache").rglob("*.part"))


@needs_compiler
def test_a_cache_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("SCIML_CACHE", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match=r"cannot be kept .*; it is built anew by every process"):
        assert PINN(systems.get("convection"), MLP(hidden=(5,)), [5.0], 20).engine == "fused"


@needs_compiler
def test_a_damaged_file_in_the_cache_is_built_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SCIML_CACHE", str(tmp_path))
    kept = tmp_path / "kernel" / f"kernel-{build._digest(build._compiler())}.so"
    kept.parent.mkdir()
    kept.write_bytes(b"nothing of use")
    assert kernel.get() is not None and kept.stat().st_size > 1000


def test_an_engine_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCIML_ENGINE", "nonsense")
    with pytest.warns(UserWarning, match="SCIML_ENGINE='nonsense' is none of fused, eager; fused is used") as caught:
        kernel.get()
        kernel.get()
    assert len(caught) == 1


def test_the_eager_engine_is_a_choice_and_no_accident(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCIML_ENGINE", "eager")
    assert kernel.get() is None and PINN(systems.get("convection"), MLP(), [5.0], 20).engine == "eager"


@needs_compiler
@pytest.mark.parametrize("factor", [1.001, math.nan])
def test_a_kernel_that_disagrees_is_not_used(factor: float, monkeypatch: pytest.MonkeyPatch) -> None:
    right = kernel.Kernel.evaluate

    def wrong(*args, **options):
        squares, loss, grad = right(*args, **options)
        return squares, loss, None if grad is None else grad * factor

    monkeypatch.setattr(kernel.Kernel, "evaluate", wrong)
    assert_trains_eagerly("the compiled kernel disagrees with the eager form on convection, so the eager form is used")


@needs_compiler
@pytest.mark.parametrize("options", [{"activation": "sin"}, {"hidden": (257,)}, {"hidden": (2,) * 32}])
def test_networks_that_the_kernel_does_not_know(options: dict) -> None:
    problem = PINN(systems.get("convection"), MLP(**options), [5.0], 20)
    assert problem.engine == "eager" and torch.isfinite(problem.value_and_grad(problem.init([0]))[0]).all()
