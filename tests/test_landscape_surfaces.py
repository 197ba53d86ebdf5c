"""Surfaces, curves, step lengths and watchers against closed forms, dense Hessians and plain loops. Float64."""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor
from tqdm import tqdm

from sciml_lib import systems
from sciml_lib.errors import UserError
from sciml_lib.landscape.curves import BezierFit, along, bezier, connectivity, straight, train_bezier
from sciml_lib.landscape.jumps import power_law
from sciml_lib.landscape.surface import Surface, adaptive_radius, normalised, random_directions, surface
from sciml_lib.landscape.trajectory import Recorder, StepRecorder
from sciml_lib.models import MLP
from sciml_lib.optim import LBFGS, Adam, Status
from sciml_lib.problems import PINN
from sciml_lib.strategies import MemberResult, Snapshot, Strategy, train

MODEL = MLP(hidden=(5, 4))
SHAPES = [shape for out, into in MODEL.shapes for shape in ((out, into), (out,))]


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def make_problem(coefficients: Sequence[float] = (1.0, 6.0, 12.0)) -> PINN:
    return PINN(systems.get("convection"), MODEL, coefficients, 12, dtype=torch.float64)


def trained(problem: PINN, iterations: int = 30, first_seed: int = 0) -> Tensor:
    """Members a little way down, each with its own seed."""
    optimiser = LBFGS(max_iterations=iterations)
    state = optimiser.init(problem, problem.init(range(first_seed, first_seed + len(problem))))
    while (state.status == Status.RUNNING).any():
        optimiser.step(problem, state)
    return state.params


def of_member(problem: PINN, m: int) -> Callable[[Tensor], Tensor]:
    return lambda points: problem.select([m] * len(points)).value(points)


class Function:
    """An objective made of a differentiable function of points and members' numbers, ``[M, P], [M] -> [M]``."""

    def __init__(self, f: Callable[[Tensor, Tensor], Tensor], numbers: Tensor) -> None:
        self.f, self.numbers = f, numbers

    def select(self, index: Sequence[int]) -> Function:
        return Function(self.f, self.numbers[index])

    def value_and_grad(self, params: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            x = params.detach().requires_grad_()
            loss = self.f(x, self.numbers)
            (grad,) = torch.autograd.grad(loss.sum(), x)
        return loss.detach(), grad


# --- surfaces -------------------------------------------------------------------------------------------------


def bowl() -> tuple[Tensor, Tensor, Callable[[Tensor], Tensor]]:
    """A quadratic, by its matrix and its lowest point."""
    root = randn(7, 7)
    matrix, lowest = root @ root.T, randn(7, seed=1)
    return matrix, lowest, lambda x: 0.5 * ((x - lowest) @ matrix * (x - lowest)).sum(dim=1) + 3.0


@pytest.mark.parametrize("resolution", [3, 6, 11])
def test_the_surface_of_a_quadratic_is_the_quadratic(resolution: int) -> None:
    matrix, lowest, f = bowl()
    center, directions = randn(7, seed=2), randn(2, 7, seed=3)
    found = surface(f, center, directions, radius=0.7, resolution=resolution, progress=False)
    assert found.radius == 0.7 and torch.equal(found.directions, directions)
    torch.testing.assert_close(found.alpha, torch.linspace(-0.7, 0.7, resolution, dtype=torch.float64))
    torch.testing.assert_close(found.beta, found.alpha)
    assert torch.equal(found.alpha, -found.alpha.flip(0))
    assert resolution % 2 == 0 or found.loss[resolution // 2, resolution // 2] == f(center[None])[0]
    for i, alpha in enumerate(found.alpha):
        for j, beta in enumerate(found.beta):
            x = center + alpha * directions[0] + beta * directions[1] - lowest
            assert found.loss[i, j].item() == pytest.approx((0.5 * x @ matrix @ x + 3.0).item(), rel=1e-12)


@pytest.fixture
def visible_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress bars are shown wherever nobody switched them off, whatever the environment says."""
    for room in ("curves", "surface"):
        monkeypatch.setattr(importlib.import_module(f"sciml_lib.landscape.{room}"), "tqdm", partial(tqdm, disable=False))


@pytest.mark.usefixtures("visible_bars")
def test_chunks_change_nothing_and_neither_does_the_bar(capsys: pytest.CaptureFixture[str]) -> None:
    problem = make_problem()
    params = trained(problem)
    loss = of_member(problem, 1)
    directions = normalised(random_directions(params[1], 0), params[1], SHAPES, "filter")
    whole = surface(loss, params[1], directions, resolution=9, progress=False)
    assert not capsys.readouterr().err
    sizes: list[int] = []

    def counted(points: Tensor) -> Tensor:
        sizes.append(len(points))
        return loss(points)

    for chunk in (1, 7, 81, 1000):
        sizes.clear()
        parts = surface(counted, params[1], directions, resolution=9, chunk=chunk)
        torch.testing.assert_close(parts.loss, whole.loss, rtol=1e-11, atol=0)  # residuals cancel where they are small
        assert max(sizes) == min(chunk, 81) and sum(sizes) == 81
    assert "surface" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
@pytest.mark.parametrize("name", ["convection", "wave"])
def test_curvature_along_eigenvectors_is_the_eigenvalue(name: str) -> None:
    """The truth is the dense Hessian; five points a side give second differences of fourth order."""
    problem = PINN(systems.get(name), MLP(hidden=(4,)), [2.0, 3.0], 10, dtype=torch.float64)
    params = trained(problem)
    for m in range(2):
        one = problem.select([m])
        hessian = torch.func.hessian(lambda x, one=one: one.loss(x[None])[0])(params[m])
        values, vectors = torch.linalg.eigh(hessian)
        h = 1e-3
        found = surface(of_member(problem, m), params[m], vectors.T[[-1, -2]], radius=2 * h, resolution=5, progress=False)
        stencil = torch.tensor([-1.0, 16.0, -30.0, 16.0, -1.0], dtype=torch.float64) / (12.0 * h**2)
        assert (stencil @ found.loss[:, 2]).item() == pytest.approx(values[-1].item(), rel=1e-6)
        assert (stencil @ found.loss[2]).item() == pytest.approx(values[-2].item(), rel=1e-5)
        mixed = (found.loss[3, 3] - found.loss[3, 1] - found.loss[1, 3] + found.loss[1, 1]) / (4.0 * h**2)
        assert abs(mixed) < 1e-3 * values[-1]
        assert found.loss[2, 2].item() == pytest.approx(one.value(params[[m]]).item(), rel=1e-12)


def test_a_surface_of_float32_is_evaluated_in_float32_and_kept_in_float64() -> None:
    types = set()

    def loss(points: Tensor) -> Tensor:
        types.add(points.dtype)
        return points.square().sum(dim=1)

    found = surface(loss, torch.ones(4), torch.eye(4)[:2], resolution=3, progress=False)
    assert types == {torch.float32} and {found.alpha.dtype, found.loss.dtype} == {torch.float64}


def test_logarithms_have_a_floor_and_holes() -> None:
    loss = torch.tensor([[1.0, 0.0], [1e-12, 9e-12]], dtype=torch.float64)
    steps, directions = torch.zeros(2, dtype=torch.float64), torch.eye(2)
    expected = [[math.log10(1.0 + 1e-12), -12.0], [math.log10(2e-12), -11.0]]
    np.testing.assert_allclose(Surface(steps, steps, loss, 1.0, directions).log10, expected, rtol=1e-12)
    bad = torch.tensor([[torch.inf, torch.nan], [-1.0, 1e-2]], dtype=torch.float64)
    found = Surface(steps, steps, bad, 1.0, directions)
    assert torch.isnan(found.log10).tolist() == [[True, True], [True, False]]
    assert torch.isinf(found.loss[0, 0]) and torch.isnan(found.loss[0, 1])


def test_losses_that_are_not_finite_stay_what_they_are() -> None:
    def loss(x: Tensor) -> Tensor:
        return torch.where(x[:, 0] > 0.5, torch.inf, torch.where(x[:, 0] < -0.5, torch.nan, x[:, 1].square()))

    found = surface(loss, torch.zeros(3), torch.eye(3)[:2], radius=1.0, resolution=3, progress=False)
    assert torch.isnan(found.loss[0]).all() and torch.isinf(found.loss[2]).all() and found.loss[1].tolist() == [1.0, 0.0, 1.0]


# --- directions -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shapes", [SHAPES, [(40,), (3, 2, 2), (4,), (1,), ()]])
@pytest.mark.parametrize("how", ["filter", "tensor"])
def test_normalised_directions_are_those_of_a_loop(shapes: Sequence[tuple[int, ...]], how: str) -> None:
    size = sum(math.prod(shape) for shape in shapes)
    center, directions = randn(size), randn(2, size, seed=1)
    expected = directions.clone()
    for row in expected:
        start = 0
        for shape in shapes:
            n = math.prod(shape)
            pieces = shape[0] if how == "filter" and len(shape) > 1 else 1
            for k in range(pieces):
                part = slice(start + k * n // pieces, start + (k + 1) * n // pieces)
                row[part] *= math.sqrt(sum(center[part] ** 2)) / math.sqrt(sum(row[part] ** 2))
            start += n
    found = normalised(directions, center, shapes, how)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(normalised(7.0 * directions, center, shapes, how), found, rtol=1e-12, atol=0)
    if how == "tensor":
        lengths = [part.norm(dim=1) for part in found.split([math.prod(shape) for shape in shapes], dim=1)]
        assert all(a == pytest.approx(b) for a, b in lengths)  # both directions have the lengths of the center's tensors


def test_directions_without_a_rule_stay_and_zero_parts_stay_zero() -> None:
    center, directions = randn(MODEL.n_params), randn(2, MODEL.n_params, seed=1)
    assert torch.equal(normalised(directions, center, SHAPES, "none"), directions)
    directions[0, :2] = 0.0  # the weights into the first neuron
    center[-1] = 0.0  # the last bias
    found = normalised(directions, center, SHAPES, "filter")
    assert torch.isfinite(found).all() and not found[0, :2].any() and not found[:, -1].any()


def test_random_directions_depend_on_the_seed_alone() -> None:
    first = random_directions(torch.zeros(9), 3)
    assert first.shape == (2, 9) and torch.equal(first, random_directions(torch.ones(9), 3))
    assert not torch.equal(first, random_directions(torch.zeros(9), 4))
    double = random_directions(torch.zeros(9, dtype=torch.float64), 3)
    assert double.dtype == torch.float64 and torch.equal(double.float(), first)


# --- radius ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rise", [1.5, 10.0, 1e6])
@pytest.mark.parametrize("tolerance", [0.1, 1e-3])
def test_the_radius_of_a_parabola(rise: float, tolerance: float) -> None:
    curvature, lowest = 40.0, 0.02
    direction = torch.tensor([0.0, 0.5, 0.0], dtype=torch.float64)
    center = randn(3)
    found = adaptive_radius(
        lambda x: lowest + 0.5 * curvature * (x - center).square().sum(dim=1),
        center,
        direction,
        rise=rise,
        bounds=(1e-6, 1e4),
        tolerance=tolerance,
    )
    exact = math.sqrt(2.0 * (rise - 1.0) * lowest / curvature) / 0.5
    assert exact <= found * (1 + 1e-9) and found <= exact * (1.0 + tolerance)


def test_the_side_that_rises_first_counts_and_infinity_is_a_rise() -> None:
    def valley(x: Tensor) -> Tensor:
        return 1.0 + torch.where(x[:, 0] < 0, 90.0 * x[:, 0].abs(), 9.0 * x[:, 0])

    options = {"center": torch.zeros(1, dtype=torch.float64), "direction": torch.ones(1, dtype=torch.float64)}
    assert adaptive_radius(valley, **options) == pytest.approx(0.1, rel=0.0101)
    assert adaptive_radius(lambda x: torch.where(x[:, 0] > 0.3, torch.nan, 1.0), **options) == pytest.approx(0.3, rel=0.0101)


def test_the_radius_is_bounded() -> None:
    options = {"center": torch.zeros(1), "direction": torch.ones(1), "bounds": (0.01, 3.0)}
    assert adaptive_radius(lambda x: torch.ones(len(x)), **options) == 3.0
    assert adaptive_radius(lambda x: 1.0 + 1e6 * x[:, 0].abs(), **options) == 0.01
    for tolerance in (0.01, 0.5):  # doubling leads from 2.56 beyond the bound
        found = adaptive_radius(lambda x: torch.where(x[:, 0].abs() > 2.9, 20.0, 1.0), **options, tolerance=tolerance)
        assert 2.9 <= found <= min(3.0, 2.9 * (1.0 + tolerance))


# --- curves ---------------------------------------------------------------------------------------------------


def test_curves_begin_and_end_at_their_ends() -> None:
    a, middle, b = randn(3, 5), randn(3, 5, seed=1), randn(3, 5, seed=2)
    t = torch.linspace(0, 1, 11)
    for points in (straight(a, b, t), bezier(a, middle, b, t.tolist())):
        assert len(points) == 11 and points[4].shape == (3, 5) and torch.equal(points[0], a) and torch.equal(points[-1], b)
    torch.testing.assert_close(straight(a, b, [0.25])[0], a + 0.25 * (b - a))
    torch.testing.assert_close(bezier(a, middle, b, [0.5])[0], 0.25 * a + 0.5 * middle + 0.25 * b)
    flat, line = (torch.stack(list(curve)) for curve in (bezier(a, 0.5 * (a + b), b, t), straight(a, b, t)))
    torch.testing.assert_close(flat, line, rtol=1e-12, atol=1e-14)
    # De Casteljau: a point between points between points.
    first, second = straight(a, middle, [0.3])[0], straight(middle, b, [0.3])[0]
    torch.testing.assert_close(bezier(a, middle, b, [0.3])[0], straight(first, second, [0.3])[0], rtol=1e-12, atol=1e-14)


def test_functions_are_evaluated_along_curves() -> None:
    problem = make_problem()
    a, b = problem.init(range(3)), trained(problem)
    points = straight(a, b, [0.0, 0.4, 1.0])
    for function in (problem.value, problem.test_error):
        found = along(function, points)
        assert found.shape == (3, 3)
        torch.testing.assert_close(found[1], function(points[1]))
        assert torch.equal(found, along(function, iter(points)))


def reference(problem: PINN, a: Tensor, b: Tensor, points: int, options: dict[str, float]) -> tuple[Tensor, int, int]:
    """The middle of one member's curve as PyTorch trains it."""
    middle = (0.5 * (a + b)).requires_grad_()
    optimiser = torch.optim.LBFGS([middle], line_search_fn="strong_wolfe", **options)
    t = torch.linspace(0, 1, points, dtype=torch.float64)[:, None]
    member = problem.select([0] * points)

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = member.loss((1 - t) ** 2 * a + 2 * t * (1 - t) * middle + t**2 * b).mean()
        loss.backward()
        return loss

    optimiser.step(closure)
    state = optimiser.state[middle]
    return middle.detach(), state["n_iter"], state["func_evals"]


def mean_loss(problem: PINN, a: Tensor, middle: Tensor, b: Tensor, points: int) -> Tensor:
    return along(problem.value, bezier(a, middle, b, torch.linspace(0, 1, points, dtype=torch.float64))).mean(dim=0)


@pytest.mark.usefixtures("searches_of_25_trials")
def test_the_trained_middle_is_that_of_torch() -> None:
    problem = make_problem()
    a, b = trained(problem), trained(problem, first_seed=10)
    options = {"max_iter": 12, "history_size": 8}
    found = train_bezier(problem, a, b, points=7, solver=LBFGS(max_iterations=12, history=8), progress=False)
    assert (found.loss < mean_loss(problem, a, 0.5 * (a + b), b, 7)).all()
    torch.testing.assert_close(found.loss, mean_loss(problem, a, found.middle, b, 7), rtol=1e-10, atol=0)
    for m in range(3):
        middle, n_iter, n_eval = reference(problem.select([m]), a[m], b[m], 7, options)
        assert (found.iterations[m], found.evaluations[m]) == (n_iter, n_eval)
        assert Status(int(found.status[m])) is Status.BUDGET_SPENT
        torch.testing.assert_close(found.middle[m], middle, rtol=1e-7, atol=1e-8)


def test_members_that_end_early_leave_the_others_alone() -> None:
    """The last begins where its curve is lowest, the second costs more searches; each alone gives the same."""

    def hills(x: Tensor, number: Tensor) -> Tensor:
        return (number[:, None] * (x**2).sum(dim=1, keepdim=True) + x**4 - x[:, :1] * x[:, 1:2]).sum(dim=1)

    numbers = torch.tensor([1.0, 300.0, 5.0, 2.0], dtype=torch.float64)
    a, b = randn(4, 3), randn(4, 3, seed=1)
    a[3] = b[3] = 0.0
    solver = LBFGS(max_iterations=200)

    def fit(rows: list[int]) -> BezierFit:
        return train_bezier(Function(hills, numbers[rows]), a[rows], b[rows], points=9, solver=solver, progress=False)

    together = fit([0, 1, 2, 3])
    assert Status(int(together.status[3])) is Status.CONVERGED_GRADIENT and together.evaluations[3] == 1
    assert len(set(together.evaluations.tolist())) >= 3
    assert not together.middle[3].any()
    for m in range(4):
        alone = fit([m])
        assert (alone.status[0], alone.evaluations[0]) == (together.status[m], together.evaluations[m])
        # Both have converged to a minimum, at which the loss is flat.
        torch.testing.assert_close(alone.middle[0], together.middle[m], rtol=0, atol=1e-7)
        assert alone.loss[0].item() == pytest.approx(together.loss[m].item(), rel=1e-10)


@pytest.mark.usefixtures("visible_bars")
def test_the_bar_of_a_curve_is_shown_if_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    problem = make_problem([1.0])
    for progress in (False, True):
        train_bezier(problem, problem.init([0]), problem.init([1]), points=3, solver=LBFGS(max_iterations=2), progress=progress)
        assert ("Bezier curve" in capsys.readouterr().err) is progress


def test_connectivity_by_hand() -> None:
    losses = torch.tensor(
        [
            [1.0, 1.0, 2.0],
            [1.5, 0.5, 2.5],
            [4.0, 0.1, 3.0],
            [2.5, 2.0, 3.5],
            [3.0, 1.0, 4.0],
        ]
    )
    found = connectivity(losses)
    torch.testing.assert_close(found.value, torch.tensor([2.0 - 4.0, 1.0 - 2.0, 3.0 - 2.0]))
    assert found.at.tolist() == [2, 3, 0]
    torch.testing.assert_close(found.barrier, torch.tensor([1.0, 1.0, 0.0]))
    printed = connectivity(losses, "argmin")
    torch.testing.assert_close(printed.value, torch.tensor([2.0 - 1.5, 0.0, 0.0]))
    assert printed.at.tolist() == [1, 0, 2]
    torch.testing.assert_close(printed.barrier, found.barrier)


def test_a_curve_that_runs_away_has_an_infinite_barrier() -> None:
    found = connectivity(torch.tensor([[1.0, 1.0], [torch.inf, torch.nan], [1.0, 1.0]]))
    assert found.value[0] == -torch.inf and found.barrier[0] == torch.inf
    assert torch.isnan(found.value[1]) and torch.isnan(found.barrier[1])


# --- step lengths ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [1.8, 2.7])
def test_the_exponent_of_a_pareto_law_is_recovered(alpha: float) -> None:
    generator = np.random.default_rng(0)
    reciprocals = 5.0 * (1.0 - generator.random(1500)) ** (-1.0 / (alpha - 1.0))
    steps = np.concatenate([1.0 / reciprocals, [0.0, 1e-12, 1e-13]])
    found = power_law(generator.permutation(steps))
    assert (found.n, found.dropped, found.valid) == (1500, 3, True)
    assert abs(found.alpha - alpha) < 4.0 * found.sigma < 0.4
    # Maximum likelihood from the chosen smallest value on, and its standard error.
    tail = reciprocals[reciprocals >= found.xmin * (1 - 1e-12)]
    assert found.n_tail == len(tail)
    assert found.alpha == pytest.approx(1.0 + len(tail) / np.log(tail / found.xmin).sum(), rel=1e-9)
    assert found.sigma == pytest.approx((found.alpha - 1.0) / math.sqrt(len(tail)), rel=1e-9)
    assert power_law(torch.from_numpy(steps)) == power_law(steps.tolist())


def test_fits_say_nothing_while_they_work(capsys: pytest.CaptureFixture[str]) -> None:
    power_law([0.1, 0.2, 0.3, 0.4, 0.5])
    captured = capsys.readouterr()
    assert not captured.out and not captured.err


# --- watchers -------------------------------------------------------------------------------------------------

STRATEGY = Strategy((Adam(steps=7), LBFGS(max_iterations=12, history=4)))


def run(**options: object) -> dict[int, MemberResult]:
    problem, results = make_problem(), {}
    train(problem, range(3), STRATEGY, on_result=results.__setitem__, **options)
    return results


def history(m: int) -> list[tuple[int, Tensor]]:
    """What a plain loop over one member sees after each step: iterations over both stages, and the point."""
    problem = make_problem().select([m])
    params, done, seen = problem.init([m]), 0, []
    for stage in STRATEGY.stages:
        state = stage.init(problem, params)
        while (state.status == Status.RUNNING).any():
            state = stage.step(problem, state)
            seen.append((done + int(state.iterations[0]), state.params[0].clone()))
        params, done = state.params, seen[-1][0]
    return seen


@pytest.mark.parametrize("width", [None, 2])
def test_watchers_disturb_nothing(width: int | None) -> None:
    plain = run(width=width)
    start = make_problem().init(range(3))
    for watch in (Recorder(every=1), Recorder(at=[0, 5], start=start), StepRecorder(start)):
        watched = run(width=width, watch=watch)
        for m, result in plain.items():
            assert torch.equal(result.params, watched[m].params)
            assert (result.status, result.train_loss, result.evaluations) == (
                watched[m].status,
                watched[m].train_loss,
                watched[m].evaluations,
            )


def same(found: list[tuple[int, Tensor]], expected: list[tuple[int, Tensor]]) -> bool:
    for (_, ours), (_, theirs) in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-7, atol=1e-9)
    return [n for n, _ in found] == [n for n, _ in expected]


@pytest.mark.parametrize("width", [None, 2])
@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        ({"every": 4}, range(0, 100, 4)),
        ({"every": 1}, range(100)),
        ({"at": [9, 0, 3, 9, 1000]}, [0, 3, 9, 1000]),
        ({"at": (1, 7, 8)}, [1, 7, 8]),
    ],
)
def test_a_recorder_keeps_what_a_plain_loop_sees(width: int | None, options: dict[str, object], chosen: Sequence[int]) -> None:
    recorder = Recorder(**options)
    results = run(width=width, watch=recorder)
    assert sorted(recorder.points) == [0, 1, 2]
    for m in range(3):
        expected: list[tuple[int, Tensor]] = []
        seen = history(m)
        for number in chosen:
            first = next(((n, p) for n, p in seen if n >= number), None)
            if first is not None and (not expected or first[0] > expected[-1][0]):
                expected.append(first)
        expected = [*(entry for entry in expected if entry[0] < seen[-1][0]), seen[-1]]
        found = recorder.points[m]
        assert same(found, expected)
        assert torch.equal(found[-1][1], results[m].params) and found[-1][0] == results[m].iterations
        assert all(p.shape == (MODEL.n_params,) for _, p in found)


def test_a_recorder_that_knows_the_start_has_it_under_iteration_zero() -> None:
    start = make_problem().init(range(3))
    recorder = Recorder(every=10, start=start)
    run(watch=recorder)
    for m, points in recorder.points.items():
        assert points[0][0] == 0 and torch.equal(points[0][1], start[m])
        assert [n for n, _ in points[1:-1]] == [10] and len(points) >= 3
    recorder = Recorder(at=[10], start=start)
    run(watch=recorder)
    assert all(points[0][0] == 10 for points in recorder.points.values())


def test_a_recorder_copies_what_it_keeps_and_knows_the_present_before_the_end() -> None:
    recorder = Recorder(at=[1])
    assert recorder.points == {}
    params = torch.zeros(2, 3)
    recorder(Snapshot((4, 7), params, torch.tensor([1, 1]), 0))
    params += 1.0  # as an optimiser does in place
    recorder(Snapshot((4, 7), params, torch.tensor([2, 2]), 0))
    recorder(Snapshot((4,), params[:1] + 1.0, torch.tensor([3]), 0))
    points = {m: [(n, p.tolist()) for n, p in found] for m, found in recorder.points.items()}
    assert points == {4: [(1, [0.0] * 3), (3, [2.0] * 3)], 7: [(1, [0.0] * 3), (2, [1.0] * 3)]}


@pytest.mark.parametrize("width", [None, 2])
def test_a_step_recorder_measures_every_change(width: int | None) -> None:
    start = make_problem().init(range(3))
    recorder = StepRecorder(start)
    results = run(width=width, watch=recorder)
    for m in range(3):
        last, expected = start[m], []
        for n, point in history(m):
            if not torch.equal(point, last):
                expected.append((n, torch.linalg.vector_norm(point - last).item()))
            last = point
        np.testing.assert_allclose(recorder.norms[m], [norm for _, norm in expected], rtol=1e-6)
        assert recorder.iterations[m].tolist() == [n for n, _ in expected]
        assert results[m].iterations == 19 and len(expected) == 19  # one change an iteration; trials make none
        assert results[m].evaluations > 19


def test_a_step_recorder_takes_up_members_that_join_late_and_no_step_that_is_not_a_number() -> None:
    recorder = StepRecorder(torch.zeros(3, 2))
    recorder(Snapshot((0,), torch.tensor([[3.0, 4.0]]), torch.tensor([1]), 0))
    recorder(Snapshot((0, 2), torch.tensor([[3.0, 4.0], [5.0, 5.0]]), torch.tensor([2, 9]), 1))
    recorder(Snapshot((2, 0), torch.tensor([[5.0, 7.0], [torch.nan, 0.0]]), torch.tensor([10, 3]), 1))
    assert {m: norms.tolist() for m, norms in recorder.norms.items()} == {0: [5.0], 2: [2.0]}
    assert {m: n.tolist() for m, n in recorder.iterations.items()} == {0: [1], 2: [10]}


# --- what cannot be done --------------------------------------------------------------------------------------

CENTER, PLANE = torch.ones(4), torch.eye(4)[:2]


def square(x: Tensor) -> Tensor:
    return x.square().sum(dim=1)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: surface(square, CENTER, PLANE, radius=0.0), "radius=0.0 is impossible; choose a number above 0, such as 0.05"),
        (lambda: surface(square, CENTER, PLANE, radius=-0.05), "radius=-0.05 is impossible"),
        (lambda: surface(square, CENTER, PLANE, radius=math.nan), "radius=nan is impossible"),
        (
            lambda: surface(square, CENTER, PLANE, resolution=2),
            "resolution=2 is impossible; choose a whole number of at least 3",
        ),
        (lambda: surface(square, CENTER, PLANE, chunk=0), "chunk=0 is impossible; choose a whole number of at least 1"),
        (lambda: surface(square, CENTER, PLANE[:1]), r"directions have shape \[1, 4\].*give directions of shape \[2, 4\]"),
        (lambda: surface(square, CENTER, PLANE[:, :3]), r"directions have shape \[2, 3\] and the center has 4"),
        (lambda: surface(square, CENTER[None], PLANE), r"center has shape \[1, 4\]; give the parameters of one member"),
        (lambda: surface(square, CENTER, torch.stack([PLANE[0], 0 * CENTER])), r"not zero; .*\[1.0, 0.0\]"),
        (lambda: surface(square, CENTER, PLANE / 0), "must be finite"),
        (
            lambda: surface(torch.sum, CENTER, PLANE, progress=False),
            r"loss gave shape \[\]; it must give one number for each of 256 points",
        ),
        (lambda: normalised(PLANE, CENTER, [(2, 2)], "rows"), "unknown normalisation 'rows'.*filter, tensor, none"),
        (lambda: normalised(PLANE, CENTER, [(2, 2), (1,)], "filter"), "make up 5 parameters but the center has 4"),
        (lambda: normalised(0 * PLANE, CENTER, [(2, 2)], "none"), "not zero"),
        (lambda: normalised(PLANE[:, :3], CENTER, [(2, 2)], "none"), r"directions have shape \[2, 3\]"),
        (lambda: adaptive_radius(square, CENTER, 0 * CENTER), "not zero"),
        (lambda: adaptive_radius(square, CENTER, CENTER[:3]), r"directions of shape \[1, 4\]"),
        (lambda: adaptive_radius(square, CENTER, CENTER, rise=1.0), "rise=1.0 is impossible; choose a number above 1"),
        (
            lambda: adaptive_radius(square, CENTER, CENTER, bounds=(1.0, 0.1)),
            r"bounds\[1\]=0.1 is impossible; choose a number above 1",
        ),
        (lambda: adaptive_radius(lambda x: -square(x), CENTER, CENTER), "the loss at the center is -4.0"),
        (lambda: adaptive_radius(lambda x: square(x) / 0, CENTER, CENTER), "the loss at the center is inf"),
        (lambda: straight(PLANE, PLANE[:1], [0.5]), "a has 2 members and b has 1"),
        (
            lambda: straight(PLANE, PLANE[:, :3], [0.5]),
            "a has 4 parameters a member and b has 3; only members of one architecture",
        ),
        (lambda: straight(CENTER, CENTER, [0.5]), r"a of shape \[4\] is no ensemble; give \[M, P\], such as a\[None\]"),
        (lambda: bezier(PLANE, PLANE[:1], PLANE, [0.5]), "a has 2 members and middle has 1"),
        (lambda: train_bezier(make_problem(), PLANE, PLANE[:, :3]), "one architecture"),
        (lambda: train_bezier(make_problem(), PLANE, PLANE[:1]), "a has 2 members and b has 1"),
        (lambda: train_bezier(Function(square, CENTER), PLANE, PLANE, points=2), "points=2 is impossible; .* at least 3"),
        (lambda: connectivity(torch.ones(2, 3)), "at least 3 points a curve"),
        (lambda: connectivity(torch.ones(5)), r"losses have shape \[5\]"),
        (lambda: connectivity(torch.ones(5, 1), "max"), "unknown variant 'max': did you mean argmax"),
        (lambda: power_law([0.1, 0.2, 0.2, 0.3, 0.0]), "3 different steps longer than 1e-12 are too few"),
        (lambda: power_law([]), "0 different steps"),
        (lambda: power_law([0.1, math.inf]), "finite numbers that are not negative"),
        (lambda: power_law([0.1, -0.1]), "finite numbers that are not negative"),
        (lambda: power_law(np.ones((2, 2))), "in one row"),
        (lambda: Recorder(), "either at=.* or every=20"),
        (lambda: Recorder(at=[1], every=2), "either at=.* or every=20"),
        (lambda: Recorder(every=0), "every=0 is impossible"),
        (lambda: Recorder(at=[]), r"at=\[\] lists no iterations"),
        (lambda: Recorder(at=[3, -1]), r"at\[1\]=-1 is impossible"),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_sentence(call: Callable[[], object], said: str) -> None:
    with pytest.raises(UserError, match=said) as refused:
        call()
    assert "\n" not in str(refused.value)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "powerlaw", None)
    with pytest.raises(UserError, match="pip install powerlaw"):
        power_law([0.1, 0.2, 0.3, 0.4])
