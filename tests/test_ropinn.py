"""RoPINN against a plain loop around ``torch.optim.LBFGS``; its regions and shifts, and every bad number. Float64."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from trained import assert_same, cut_after_every_step

from sciml_lib import systems
from sciml_lib.errors import UserError
from sciml_lib.models import MLP
from sciml_lib.optim import LBFGS, Status
from sciml_lib.problems import PINN
from sciml_lib.strategies import MemberResult, RoPINN, Strategy, train
from sciml_lib.strategies.ropinn import RoPINNState

SHORT = RoPINN(calls=5, solver=LBFGS(max_iterations=8, history=10), initial_region=1e-3, window=3)
SEEDS = [4, 0, 9]


class Recording(PINN):
    """Keeps the shifts of every evaluation."""

    shifts: list[Tensor]

    def shifted(self, shifts: Tensor) -> PINN:
        self.shifts.append(shifts)
        return super().shifted(shifts)


def make_problem(kind: type[PINN] = PINN, m: int = 3, **options: object) -> PINN:
    betas = torch.linspace(1.0, 12.0, m)
    return kind(systems.get("convection"), MLP(hidden=(6, 6)), betas, 36, dtype=torch.float64, **options)


def start(problem: PINN, strategy: RoPINN) -> RoPINNState:
    return strategy.init(problem, problem.init(range(len(problem))), SEEDS[: len(problem)])


def regions_after_calls(problem: PINN, strategy: RoPINN) -> tuple[RoPINNState, list[list[float]]]:
    """The state at the end, and the region of every member after each of its calls."""
    state = start(problem, strategy)
    regions: list[list[float]] = [[] for _ in range(len(problem))]
    while (state.status == Status.RUNNING).any():
        before = state.calls.clone()
        strategy.step(problem, state)
        for m in (state.calls > before).nonzero()[:, 0].tolist():
            regions[m].append(state.region[m].item())
    return state, regions


def grid_points() -> dict[str, Tensor]:
    """The 6 x 6 tensor grid that 36 points mean, and its edges."""
    x = torch.linspace(0.0, 2.0 * math.pi, 6, dtype=torch.float64)
    t = torch.linspace(0.0, 1.0, 6, dtype=torch.float64)
    points = torch.cartesian_prod(t, x).flip(1)
    at = {"initial": points[:, 1] == 0, "upper": points[:, 0] == x[-1], "lower": points[:, 0] == 0}
    return {"residual": points} | {name: points[on] for name, on in at.items()}


def plain_ropinn(
    strategy: RoPINN, model: MLP, points: dict[str, Tensor], beta: float, params: Tensor, seed: int
) -> tuple[Tensor, list[float], int, int]:
    """One member as one would write it down: parameters, region after each call, iterations, evaluations."""
    net = model.module(params)
    weights = list(net.parameters())
    solver = strategy.solver
    optimiser = torch.optim.LBFGS(
        weights, max_iter=solver.max_iterations, history_size=solver.history, line_search_fn="strong_wolfe"
    )
    region, count, averages, regions = strategy.initial_region, 0, [], []
    grads: list[Tensor] = []

    def closure() -> Tensor:
        nonlocal count
        optimiser.zero_grad()
        generator = np.random.Generator(np.random.Philox(key=seed, counter=[0, count, 0, 0]))
        uniform = torch.from_numpy(generator.random((len(points["residual"]), 2), dtype=np.float32)).double()
        inner = (points["residual"] + region * uniform).requires_grad_()
        (d,) = torch.autograd.grad(net(inner).sum(), inner, create_graph=True)
        loss = (
            (d[:, 1] + beta * d[:, 0]).square().mean()
            + (net(points["upper"]) - net(points["lower"])).square().mean()
            + (net(points["initial"])[:, 0] - torch.sin(points["initial"][:, 0])).square().mean()
        )
        loss.backward()
        grads.append(torch.cat([w.grad.reshape(-1) for w in weights]))
        count += 1
        return loss

    for _ in range(strategy.calls):
        grads.clear()
        optimiser.step(closure)
        averages = [*averages, torch.stack(grads).mean(dim=0)][-strategy.window :]
        last = torch.stack(averages)
        v = (last.std(dim=0, correction=0) / (last.abs().mean(dim=0) + 1e-6)).mean().item()
        region = min(strategy.initial_region / (v or 1.0), strategy.max_region)
        regions.append(region)
    state = optimiser.state[weights[0]]
    return torch.cat([w.detach().reshape(-1) for w in weights]), regions, state["n_iter"], state["func_evals"]


@pytest.mark.usefixtures("searches_of_25_trials")
@pytest.mark.parametrize("collocation", ["random", "grid"])
def test_every_member_is_a_plain_loop_around_torch(collocation: str) -> None:
    problem = make_problem(collocation=collocation)
    points = grid_points() if collocation == "grid" else problem.points
    params = problem.init(range(3))
    state, regions = regions_after_calls(problem, SHORT)
    assert len(set(state.total_evaluations.tolist())) > 1  # the members were not in step
    for m, seed in enumerate(SEEDS):
        beta = problem.coefficients[m].item()
        x, expected, iterations, evaluations = plain_ropinn(SHORT, problem.model, points, beta, params[m], seed)
        assert (state.total_iterations[m], state.total_evaluations[m]) == (iterations, evaluations)
        torch.testing.assert_close(state.params[m], x, rtol=1e-6, atol=1e-8)
        assert regions[m] == pytest.approx(expected, rel=1e-6)
        assert len(set(expected[1:])) == 4  # the calibration had something to do, also once the window was full
    assert (state.calls == SHORT.calls).all()
    assert (state.evaluations == 0).all()


def test_the_region_is_the_initial_one_until_there_is_a_spread_and_never_exceeds_its_limit() -> None:
    wide = replace(SHORT, initial_region=4e-3, max_region=4.5e-3)
    _, regions = regions_after_calls(make_problem(), wide)
    assert [row[0] for row in regions] == [4e-3] * 3
    later = np.array([row[1:] for row in regions])
    assert later.max() == 4.5e-3
    free = replace(wide, max_region=0.5)
    _, unbounded = regions_after_calls(make_problem(), free)
    assert np.array(unbounded).max() > 4.5e-3


def test_shifts_lie_in_the_region_and_are_new_at_every_evaluation() -> None:
    problem = make_problem(Recording)
    problem.shifts = []
    state = start(problem, SHORT)
    while (state.status == Status.RUNNING).any():
        region, running = state.region.clone(), state.status == Status.RUNNING
        SHORT.step(problem, state)
        shifts = problem.shifts[-1]
        assert shifts.shape == (3, 36, 2)
        assert shifts.min() >= 0
        assert (shifts.amax(dim=(1, 2)) <= region).all()
        assert (shifts.amax(dim=(1, 2)) > 0.9 * region).all()  # 72 numbers reach near its end
        if len(problem.shifts) > 1:
            assert not (shifts == problem.shifts[-2])[running].all(dim=2).any()
        assert not torch.equal(shifts[0] / region[0], shifts[1] / region[1])
        assert not torch.equal(shifts[..., 0], shifts[..., 1])
    assert len(problem.shifts) == state.total_evaluations.max()


def test_conditions_are_not_moved() -> None:
    problem = make_problem()
    params = problem.init(range(3))
    shifts = 0.3 * torch.rand(3, 36, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    moved = problem.shifted(shifts)
    before, after = problem.residuals(params), moved.residuals(params)
    assert list(before) == ["residual", "boundary", "initial"]
    for name in ("boundary", "initial"):
        torch.testing.assert_close(after[name], before[name], rtol=0, atol=1e-13)
    for m in range(3):
        at = (problem.points["residual"] + shifts[m]).requires_grad_()
        (d,) = torch.autograd.grad(problem.model.module(params[m])(at).sum(), at)
        torch.testing.assert_close(after["residual"][m], d[:, 1] + problem.coefficients[m] * d[:, 0])
    torch.testing.assert_close(problem.residuals(params)["residual"], before["residual"], rtol=0, atol=0)
    torch.testing.assert_close(moved.value_and_grad(params)[0], moved.loss(params))
    torch.testing.assert_close(moved.select([2, 0]).loss(params[[2, 0]]), moved.loss(params)[[2, 0]])


def run(
    problem: PINN, seeds: list[int], results: dict[int, MemberResult] | None = None, **options: object
) -> dict[int, MemberResult]:
    """Trains for three calls; the results are put into ``results`` as they come."""
    results = {} if results is None else results
    train(problem, seeds, Strategy((replace(SHORT, calls=3),)), on_result=results.__setitem__, **options)
    return results


@pytest.mark.parametrize("width", [1, 2])
def test_a_member_does_not_depend_on_its_neighbours(width: int) -> None:
    together, slots = run(make_problem(), SEEDS), run(make_problem(), SEEDS, width=width)
    for m, seed in enumerate(SEEDS):
        alone = run(make_problem().select([m]), [seed])
        assert_same(alone, {0: together[m]})
    assert_same(slots, together)


def test_the_seed_of_a_member_is_that_of_its_shifts() -> None:
    problem = make_problem(m=2)
    params = problem.init([0, 0])
    one, other = (SHORT.step(problem, SHORT.init(problem, params, seeds)).grad for seeds in ([5, 6], [5, 7]))
    assert torch.equal(one[0], other[0])
    assert not torch.equal(one[1], other[1])
    default = SHORT.init(problem, params)
    assert default.seeds.tolist() == [0, 1]


def test_stopped_and_resumed_at_every_step_gives_the_same(tmp_path: Path) -> None:
    results = cut_after_every_step(partial(run, make_problem(), SEEDS, width=2), tmp_path, at_least=20)
    assert_same(results, run(make_problem(), SEEDS, width=2))


def test_a_member_that_diverges_ends_and_the_others_go_on() -> None:
    problem = make_problem()
    params = problem.init(range(3))
    params[1] = torch.nan
    state = SHORT.init(problem, params, SEEDS)
    while (state.status == Status.RUNNING).any():
        SHORT.step(problem, state)
    assert state.status[1] == Status.DIVERGED
    assert state.total_evaluations[1] == 1
    sound, _ = regions_after_calls(problem, SHORT)
    torch.testing.assert_close(state.params[[0, 2]], sound.params[[0, 2]], rtol=1e-8, atol=1e-10)


def test_defaults_are_those_of_table_2() -> None:
    default = RoPINN()
    assert (default.calls, default.initial_region, default.window, default.max_region) == (1000, 1e-5, 5, 0.01)
    assert (default.solver.max_iterations, default.solver.evaluation_budget, default.solver.history) == (20, 25, 100)
    assert default.expected_evaluations(make_problem()) == 25_000


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"calls": 0}, "calls >= 1"),
        ({"window": 0}, "window >= 1"),
        ({"initial_region": 0.0}, "0 < initial_region <= max_region"),
        ({"initial_region": -1e-5}, "0 < initial_region <= max_region"),
        ({"initial_region": 0.02}, "0 < initial_region <= max_region"),
        ({"initial_region": math.nan}, "0 < initial_region <= max_region"),
    ],
)
def test_impossible_numbers_are_refused(options: dict[str, float], said: str) -> None:
    with pytest.raises(UserError, match=said):
        RoPINN(**options)


@pytest.mark.parametrize("side", [1.0, 3.0])
def test_a_region_as_large_as_the_domain_is_refused(side: float) -> None:
    """The shorter side of convection's rectangle is that along t."""
    with pytest.raises(UserError, match=f"max_region={side} would carry points out .* shortest side is 1"):
        train(make_problem(), SEEDS, Strategy((RoPINN(max_region=side),)), on_result=lambda *_: None)
    RoPINN(max_region=0.99).check(make_problem())
