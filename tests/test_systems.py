"""The physics: point sets of the protocol, exact solutions, and every bad coefficient or count."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from torch import Tensor

from sciml_lib import systems
from sciml_lib.errors import UserError
from sciml_lib.models import MLP
from sciml_lib.problems import PINN
from sciml_lib.systems import Convection, Reaction, ReactionDiffusion, SpaceTimeSystem, Wave


def column(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None]


SPACE_TIME = sorted(name for name, system in systems.SYSTEMS.items() if issubclass(system, SpaceTimeSystem))


def exact_jets(system: SpaceTimeSystem, points: Tensor, coefficient: Tensor) -> dict[str, Tensor]:
    """Value and all derivatives of a closed solution, by differentiating it, ``[1, n]`` each."""
    at = points.clone().requires_grad_()
    u = system.solution(at, coefficient)
    (first,) = torch.autograd.grad(u.sum(), at, create_graph=True)
    second = [torch.autograd.grad(first[:, i].sum(), at, retain_graph=True)[0][None, :, i] for i in (0, 1)]
    return {"u": u, "x": first[None, :, 0], "t": first[None, :, 1], "xx": second[0], "tt": second[1]}


CLOSED = [(Convection(), beta) for beta in (1.0, 5.0, 30.0, 70.0)]
CLOSED += [(Reaction(), rho) for rho in (0.3, 5.0, 12.0)] + [(Wave(), c) for c in (0.1, 2.0, 6.0)]


@pytest.mark.parametrize(("system", "coefficient"), CLOSED, ids=lambda value: getattr(value, "name", value))
def test_the_exact_solution_makes_every_residual_vanish(system: SpaceTimeSystem, coefficient: float) -> None:
    blocks = system.blocks(500)
    points = {name: block.points for name, block in blocks.items()}
    jets = {name: exact_jets(system, at, column(coefficient)) for name, at in points.items()}
    scale = jets["residual"]["t"].abs().max() + jets["residual"]["tt"].abs().max()
    residuals = system.residuals(jets, points, column(coefficient))
    assert set(residuals) == {"residual", "upper", "lower", "initial", "velocity"} or len(residuals) == 3
    for name, residual in residuals.items():
        assert residual.abs().max() < 1e-12 * scale, name
    wrong = system.residuals(jets, points, column(1.1 * coefficient))["residual"]
    assert wrong.abs().max() > 1e-2 * jets["residual"]["t"].abs().max()


def finite_difference_jets(system: ReactionDiffusion, points: Tensor, rho: Tensor) -> dict[str, Tensor]:
    """Jets of a solution that is not differentiable by torch: fourth-order differences."""

    def u(dx: float = 0.0, dt: float = 0.0) -> Tensor:
        return system.solution(points + torch.tensor([dx, dt], dtype=torch.float64), rho)

    h, k = 2e-3, 4e-3
    time = (8.0 * (u(dt=h) - u(dt=-h)) - (u(dt=2 * h) - u(dt=-2 * h))) / (12.0 * h)
    bend = (16.0 * (u(dx=k) + u(dx=-k)) - (u(dx=2 * k) + u(dx=-2 * k)) - 30.0 * u()) / (12.0 * k**2)
    return {"u": u(), "t": time, "xx": bend}


@pytest.mark.parametrize("rho", [1.0, 10.0])
def test_the_split_solution_makes_every_residual_vanish_with_its_time_step(rho: float) -> None:
    x, t = torch.linspace(0.2, 6.0, 23, dtype=torch.float64), torch.tensor([0.1, 0.4], dtype=torch.float64)
    inner = torch.cartesian_prod(x, t)
    largest = []
    for time_step in (4e-4, 2e-4):
        system = ReactionDiffusion(time_step=time_step)
        points = {name: block.points for name, block in system.blocks(10).items()} | {"residual": inner}
        jets = {name: {"u": system.solution(at, column(rho))} for name, at in points.items() if name != "residual"}
        jets["residual"] = finite_difference_jets(system, inner, column(rho))
        residuals = system.residuals(jets, points, column(rho))
        assert residuals["initial"].abs().max() < 1e-9  # the Gaussian has a kink of 3e-9 where the ring closes
        assert residuals["boundary"].abs().max() < 1e-12
        largest.append((residuals["residual"].abs().max() / jets["residual"]["t"].abs().max()).item())
    assert largest[1] < 2e-3
    assert largest[0] / largest[1] == pytest.approx(2.0, rel=0.1)


def method_of_lines(rho: float, x: np.ndarray, times: np.ndarray, nu: float = 2.0, width: float = 0.5) -> np.ndarray:
    """Reaction-diffusion with derivatives in Fourier space and SciPy's integrator in time, ``[n_times, n_x]``."""
    wave_numbers = np.fft.rfftfreq(len(x), 1.0 / len(x))

    def rate(_: float, u: np.ndarray) -> np.ndarray:
        return np.fft.irfft(-nu * wave_numbers**2 * np.fft.rfft(u), len(x)) + rho * u * (1.0 - u)

    start = np.exp(-((x - math.pi) ** 2) / (2.0 * width**2))
    found = solve_ivp(rate, (0.0, 1.0), start, method="DOP853", t_eval=times, rtol=1e-9, atol=1e-10)
    return found.y.T


@pytest.mark.parametrize(("rho", "error"), [(1.0, 0.0019), (30.0, 0.0053)])
def test_the_split_solution_converges_to_that_of_another_method_with_the_first_power_of_its_step(
    rho: float, error: float
) -> None:
    x, times = np.arange(64) * 2.0 * math.pi / 64, np.linspace(0.0, 1.0, 101)
    truth = method_of_lines(rho, x, times)
    points = torch.from_numpy(np.stack([np.tile(x, 101), np.repeat(times, 64)], axis=1))
    distances = []
    for time_step in (0.01, 0.005, 0.0025):
        ours = ReactionDiffusion(time_step=time_step).solution(points, column(rho)).numpy()
        distances.append(np.linalg.norm(ours[0] - truth.ravel()) / np.linalg.norm(truth))
    assert distances[0] == pytest.approx(error, rel=0.05)  # the protocol's numbers
    assert distances[0] / distances[1] == pytest.approx(2.0, rel=0.05)
    assert distances[1] / distances[2] == pytest.approx(2.0, rel=0.05)
    assert ReactionDiffusion().reference_error(rho, refine=50) == pytest.approx(error, rel=0.05)


def test_the_split_solution_between_two_steps_and_with_other_constants() -> None:
    system = ReactionDiffusion(nu=0.5, width=math.pi / 4.0, time_step=1e-3)
    x, times = np.arange(64) * 2.0 * math.pi / 64, np.array([0.0, 0.0107, 0.33333, 0.9999])
    truth = method_of_lines(3.0, x, times, nu=0.5, width=math.pi / 4.0)
    points = torch.from_numpy(np.stack([np.tile(x, 4), np.repeat(times, 64)], axis=1))
    order = torch.randperm(len(points), generator=torch.Generator().manual_seed(0))
    ours = system.solution(points[order], column(3.0, 1.0, 3.0))
    np.testing.assert_allclose(ours[0], truth.ravel()[order], rtol=0, atol=1e-3)
    assert torch.equal(ours[0], ours[2])
    assert not torch.allclose(ours[0], ours[1], atol=0.1)


def nested_residuals(name: str, net: torch.nn.Module, points: dict[str, Tensor], c: float) -> dict[str, Tensor]:
    """The residuals as a user would write them down, with nested ``autograd.grad``."""
    inner = points["residual"].clone().requires_grad_()
    u = net(inner)[:, 0]
    (d,) = torch.autograd.grad(u.sum(), inner, create_graph=True)
    u_xx, u_tt = (torch.autograd.grad(d[:, i].sum(), inner, retain_graph=True)[0][:, i] for i in (0, 1))
    start = points["initial"].clone().requires_grad_()
    value = net(start)[:, 0]
    (slope,) = torch.autograd.grad(value.sum(), start, retain_graph=True)
    x = start[:, 0]
    upper, lower = net(points["upper"])[:, 0], net(points["lower"])[:, 0]
    if name == "wave":
        begin = torch.sin(math.pi * x) + 0.5 * torch.sin(2.0 * math.pi * x)
        conditions = {"upper": upper, "lower": lower, "initial": value - begin, "velocity": slope[:, 1]}
        return {"residual": u_tt - c * c * u_xx} | conditions
    begin, equation = {
        "convection": (torch.sin(x), d[:, 1] + c * d[:, 0]),
        "reaction": (torch.exp(-8.0 * (x - math.pi) ** 2 / math.pi**2), d[:, 1] - c * u * (1.0 - u)),
        "reaction-diffusion": (torch.exp(-2.0 * (x - math.pi) ** 2), d[:, 1] - 2.0 * u_xx - c * u * (1.0 - u)),
    }[name]
    return {"residual": equation, "boundary": upper - lower, "initial": value - begin}


@pytest.mark.parametrize("name", SPACE_TIME)
@pytest.mark.parametrize("collocation", ["random", "grid"])
def test_residuals_of_a_network_are_those_of_nested_derivatives(name: str, collocation: str) -> None:
    coefficients = [0.7, 5.0]
    problem = PINN(systems.get(name), MLP(hidden=(7, 5)), coefficients, 49, collocation=collocation, dtype=torch.float64)
    params = problem.init([1, 2])
    params += 0.2 * torch.randn(params.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    ours = problem.residuals(params)
    for m, c in enumerate(coefficients):
        expected = nested_residuals(name, problem.model.module(params[m]), problem.points, c)
        assert list(ours) == list(expected)
        for block in expected:
            torch.testing.assert_close(ours[block][m], expected[block], rtol=1e-10, atol=1e-11)
    total = sum(r.square().mean(dim=1) for r in ours.values())
    loss, grad = problem.value_and_grad(params)
    torch.testing.assert_close(loss, total, rtol=1e-11, atol=1e-12)
    x = params.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(problem.loss(x).sum(), x)
    torch.testing.assert_close(grad, gradient, rtol=1e-9, atol=1e-10)


def test_the_wave_equation_has_c_squared_and_not_the_4_of_one_released_loss() -> None:
    jet = {
        key: torch.full((2, 1), value, dtype=torch.float64) for key, value in {"u": 0.0, "xx": 1.0, "tt": 7.0, "t": 0.0}.items()
    }
    points = dict.fromkeys(("residual", "initial", "upper", "lower"), torch.zeros(1, 2, dtype=torch.float64))
    residuals = Wave().residuals(dict.fromkeys(points, jet), points, column(2.0, 3.0))
    assert residuals["residual"].tolist() == [[7.0 - 4.0], [7.0 - 9.0]]


@pytest.mark.parametrize("name", ["reaction", "reaction-diffusion"])
def test_a_large_growth_does_not_overflow(name: str) -> None:
    system = systems.get(name)
    u = system.solution(system.test_points(), column(1e5))
    assert torch.isfinite(u).all()
    assert u.min() > -1e-9
    assert u.max() < 1.0 + 1e-9
    late = system.test_points()[:, 1] > 0.5
    torch.testing.assert_close(u[0, late], torch.ones(int(late.sum()), dtype=torch.float64), rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    "constants",
    [
        {"nu": 0.0},
        {"nu": -1.0},
        {"width": 0.0},
        {"time_step": -0.01},
        {"nu": math.nan},
        {"width": math.nan},
        {"time_step": math.nan},
    ],
)
def test_impossible_constants_are_refused(constants: dict[str, float]) -> None:
    with pytest.raises(UserError, match="must be positive"):
        ReactionDiffusion(**constants)


@pytest.mark.parametrize("name", SPACE_TIME)
def test_a_tensor_grid_is_trained_and_tested_on(name: str) -> None:
    system = systems.get(name)
    on_grid = system.on_grid(7)
    assert (on_grid.max_collocation, system.max_collocation) == (49, 25_500)  # the original is as it was
    blocks = on_grid.blocks(49)
    assert {block: len(b.points) for block, b in blocks.items()} == {"residual": 49, "initial": 7, "upper": 7, "lower": 7}
    x, t = (torch.linspace(low, high, 7, dtype=torch.float64) for low, high in (system.x_range, system.t_range))
    expected = torch.cartesian_prod(t, x).flip(1)
    assert torch.equal(blocks["residual"].points, expected)
    assert torch.equal(on_grid.test_points(), expected)
    with pytest.raises(UserError, match="at least 2 x 2 points"):
        system.on_grid(1)
    with pytest.raises(UserError, match="at least 2 x 2 points"):
        PINN(system, MLP(hidden=(4,)), [1.0], 2, collocation="grid")


@pytest.mark.parametrize(
    ("n_data", "side"),
    [
        (100, 10),
        (45, 7),
        (150, 12),
        (25_000, 158),
        (250, 16),
    ],
)
def test_a_tensor_grid_has_the_rounded_root_of_n_data_points_along_each_axis(n_data: int, side: int) -> None:
    """The sides that the released code takes for the axis of the map."""
    assert PINN(Convection(), MLP(hidden=(4,)), [1.0], n_data, collocation="grid").n_residual == side**2


def test_point_sets_are_those_of_the_protocol() -> None:
    system = Convection()
    blocks = system.blocks(1000)
    assert {name: len(block.points) for name, block in blocks.items()} == {
        "residual": 1000,
        "initial": 257,
        "upper": 101,
        "lower": 101,
    }
    assert system.max_collocation == 25_500
    pool = system.collocation(25_500)
    assert len(torch.unique(pool, dim=0)) == 25_500
    assert pool[:, 0].min() > 0
    assert pool[:, 0].max() < 2 * math.pi
    assert pool[:, 1].min() == pytest.approx(0.01)
    assert pool[:, 1].max() == 1.0
    assert len(system.test_points()) == 13_031


def test_a_smaller_draw_is_the_beginning_of_a_larger_one_and_depends_on_the_seed_alone() -> None:
    system = Convection()
    assert torch.equal(system.collocation(2000)[:100], system.collocation(100))
    assert not torch.equal(system.collocation(100, data_seed=1), system.collocation(100))
    one, other = (PINN(system, MLP(hidden=(4,)), [beta], 100) for beta in (5.0, 50.0))
    assert torch.equal(one.points["residual"], other.points["residual"])


@pytest.mark.parametrize("n", [0, -5, 30_000])
def test_impossible_numbers_of_points_are_refused(n: int) -> None:
    with pytest.raises(UserError, match="choose between 1 and 25500"):
        Convection().collocation(n)


@pytest.mark.parametrize("beta", [-1.0, 0.0, math.inf, math.nan])
def test_impossible_coefficients_are_refused(beta: float) -> None:
    with pytest.raises(UserError, match="beta="):
        PINN(Convection(), MLP(hidden=(4,)), [5.0, beta], 100)


def test_unknown_system_names_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean convection"):
        systems.get("convecton")
