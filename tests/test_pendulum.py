"""The pendulum's trajectories against SciPy on the bare formula, what forward Euler misses of them, and every bad number."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from sciml_lib import systems
from sciml_lib.errors import UserError
from sciml_lib.models import euler, rollout, runge_kutta
from sciml_lib.systems import Pendulum

# Fig. 1(e) of the paper.
INVERSE_DAMPINGS = (1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 15.0)
AMOUNTS = (20, 40, 100, 160, 200, 240, 300, 400)


def plain(damping: float, n: int, angle: float, dt: float = 0.05, **options: object) -> np.ndarray:
    """The states at 0, dt, ..., (n - 1) dt, without the horizon, ``[n, 2]``; with the solver's defaults if nothing is said."""

    def rates(_: float, state: np.ndarray) -> list[float]:
        return [state[1], -damping * state[1] - math.sin(state[0])]

    times = np.linspace(0.0, n * dt, n, endpoint=False)
    return solve_ivp(rates, (0.0, n * dt), [angle, 0.0], t_eval=times, **options).y.T


@pytest.mark.parametrize("n", [3, 20, 119, 400])
@pytest.mark.parametrize("damping", [1.0, 0.5, 0.1, 1.0 / 15.0])
def test_the_training_trajectory_is_that_of_scipy_with_its_defaults(damping: float, n: int) -> None:
    ours = Pendulum().trajectory(Pendulum.coefficient_of(damping), n)
    assert (ours.shape, ours.dtype) == ((n, 2), torch.float64)
    assert ours[0].tolist() == [1.7, 0.0]
    np.testing.assert_allclose(ours, plain(damping, n, 1.7), rtol=0, atol=1e-10)


@pytest.mark.parametrize("damping", [1.0, 0.5, 0.1, 1.0 / 15.0])
def test_the_test_trajectory_begins_elsewhere_and_lasts_20_seconds(damping: float) -> None:
    ours = Pendulum().test_trajectory(Pendulum.coefficient_of(damping))
    assert ours.shape == (400, 2)
    assert ours[0].tolist() == [2.8, 0.0]
    expected = plain(damping, 400, 2.8)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-10)
    # The defaults are coarse enough to be told from another choice.
    exact = plain(damping, 400, 2.8, rtol=1e-10, atol=1e-12)
    assert 1e-4 < abs(expected - exact).max() < 0.1


@pytest.mark.parametrize("coefficient", [1.0, 6.0, 15.0])
def test_a_short_trajectory_is_not_exactly_the_beginning_of_a_longer_one(coefficient: float) -> None:
    """The solver's last step ends at the horizon; a dense interpolant passes through other points."""
    system = Pendulum()
    gap = (system.trajectory(coefficient, 40) - system.trajectory(coefficient, 400)[:40]).abs().max()
    assert 1e-5 < gap < 1e-3


def test_a_trajectory_can_be_changed_without_changing_the_next() -> None:
    system = Pendulum()
    first = system.trajectory(4.0, 20)
    first.zero_()
    np.testing.assert_allclose(system.trajectory(4.0, 20), plain(0.25, 20, 1.7), rtol=0, atol=1e-10)


def test_one_system_keeps_its_trajectories_apart() -> None:
    system = Pendulum()
    for _ in range(2):
        for damping in (1.0, 0.5):
            coefficient = Pendulum.coefficient_of(damping)
            np.testing.assert_allclose(system.trajectory(coefficient, 400), plain(damping, 400, 1.7), rtol=0, atol=1e-10)
            np.testing.assert_allclose(system.test_trajectory(coefficient), plain(damping, 400, 2.8), rtol=0, atol=1e-10)


def test_another_step_of_time_has_other_times_and_as_many_test_states_as_fit() -> None:
    system = Pendulum(dt=0.1)
    np.testing.assert_allclose(system.trajectory(2.0, 30), plain(0.5, 30, 1.7, dt=0.1), rtol=0, atol=1e-10)
    assert (system.n_test, Pendulum().n_test, Pendulum(dt=0.025).n_test) == (200, 400, 800)
    assert len(system.test_trajectory(2.0)) == 200


def test_the_field_is_the_formula_and_loses_energy_by_friction_alone() -> None:
    states = 3.0 * torch.randn(5, 7, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    coefficients = torch.tensor([1.0, 2.0, 5.0, 10.0, 15.0], dtype=torch.float64)[:, None]  # one a member
    rates = Pendulum().field(states, coefficients)
    for m, damping in enumerate((1.0, 0.5, 0.2, 0.1, 1.0 / 15.0)):
        for state, rate in zip(states[m].tolist(), rates[m].tolist(), strict=True):
            assert rate == pytest.approx([state[1], -damping * state[1] - math.sin(state[0])], rel=1e-12)
    angle, velocity = states.unbind(-1)
    power = angle.sin() * rates[..., 0] + velocity * rates[..., 1]  # of omega^2 / 2 - cos theta
    torch.testing.assert_close(power, -velocity.square() / coefficients)


def test_the_embedding_lies_on_the_unit_sphere_and_is_the_formula() -> None:
    sphere = Pendulum().representation("sphere")
    assert sphere.dimension == 3
    states = Pendulum().trajectory(10.0, 60).reshape(3, 20, 2)
    points = sphere.map(states)
    assert points.shape == (3, 20, 3)
    torch.testing.assert_close(points.square().sum(dim=-1), torch.ones(3, 20, dtype=torch.float64), rtol=0, atol=1e-14)
    for (angle, velocity), point in zip(states.reshape(-1, 2).tolist(), points.reshape(-1, 3).tolist(), strict=True):
        expected = [math.sin(angle) * math.cos(velocity), math.sin(angle) * math.sin(velocity), -math.cos(angle)]
        assert point == pytest.approx(expected, rel=1e-13, abs=1e-15)


def test_raw_states_are_seen_as_they_are() -> None:
    raw = Pendulum().representation("raw")
    states = Pendulum().trajectory(10.0, 20)
    assert raw.dimension == Pendulum().dimension == 2
    assert torch.equal(raw.map(states), states)


def test_what_one_step_of_euler_misses_is_the_published_floor() -> None:
    """Exact physics gives a one-step MSE of 6e-8 to 9.6e-7 over the grid of Fig. 1(e)."""
    system = Pendulum()
    floor = []
    for coefficient in INVERSE_DAMPINGS:
        for n in AMOUNTS:
            states = plain(1.0 / coefficient, n, 1.7)
            missed = []
            for (angle, velocity), after in pairwise(states):
                step = np.array([velocity, -velocity / coefficient - math.sin(angle)])
                missed.append(after - ([angle, velocity] + 0.05 * step))
            ours = system.euler_defect(coefficient, n)
            np.testing.assert_allclose(ours, missed, rtol=0, atol=1e-10)
            floor.append(ours.square().mean().item())
    assert 5.95e-8 < min(floor) < 6.15e-8
    assert 9.5e-7 < max(floor) < 9.65e-7


def error_of(step: Callable[..., torch.Tensor], coefficient: float, dt: float) -> float:
    """Relative error of a rollout of the true field from the test start, the mean of the two components."""
    n = round(20.0 / dt)
    value = torch.tensor([coefficient], dtype=torch.float64)
    start = torch.tensor([[2.8, 0.0]], dtype=torch.float64)
    states, inside = rollout(lambda x: Pendulum().field(x, value), start, dt, n, step=step)
    assert inside.all()
    exact = plain(1.0 / coefficient, n, 2.8, dt=dt, method="DOP853", rtol=1e-12, atol=1e-13)
    off = np.linalg.norm(states[0].numpy() - exact, axis=0) / np.linalg.norm(exact, axis=0)
    return float(off.mean())


@pytest.mark.parametrize("coefficient", [1.0, 2.0, 8.0, 15.0])
def test_the_true_field_followed_by_euler_has_an_error_that_falls_with_the_step(coefficient: float) -> None:
    errors = [error_of(euler, coefficient, dt) for dt in (0.05, 0.025, 0.0125)]
    assert 0.01 < errors[0] < 0.6
    for coarse, fine in pairwise(errors):
        assert 1.9 < coarse / fine < 2.3
    assert error_of(runge_kutta, coefficient, 0.05) < 1e-5 * errors[0]


def test_the_catalogue_of_systems_has_it() -> None:
    system = systems.get("pendulum")
    assert isinstance(system, Pendulum)
    assert (system.dt, system.coefficient_name, system.start, system.test_start) == (0.05, "1/b", (1.7, 0.0), (2.8, 0.0))


@pytest.mark.parametrize("dt", [0.0, -0.05, math.nan, math.inf, 10.0])
def test_an_impossible_step_of_time_is_refused(dt: float) -> None:
    with pytest.raises(UserError, match=rf"dt={dt} is not a step of time; choose one above 0 and below 10, such as 0\.05"):
        Pendulum(dt)


@pytest.mark.parametrize("n", [2, 1, 0, -5])
def test_a_horizon_of_fewer_than_two_steps_is_refused(n: int) -> None:
    said = rf"n_data={n} states are a horizon of fewer than two steps of 0\.05; choose at least 3"
    for refuse in (Pendulum().check_n_data, lambda n: Pendulum().trajectory(1.0, n), lambda n: Pendulum().euler_defect(1.0, n)):
        with pytest.raises(UserError, match=said):
            refuse(n)
    Pendulum().check_n_data(3)


@pytest.mark.parametrize("coefficient", [0.0, -2.0, math.nan, math.inf])
def test_a_coefficient_that_is_not_positive_is_refused(coefficient: float) -> None:
    said = f"1/b={coefficient:g} is no coefficient of the pendulum equation; choose one above 0"
    for refuse in (
        Pendulum().check_coefficient,
        lambda c: Pendulum().trajectory(c, 20),
        Pendulum().test_trajectory,
        lambda c: Pendulum().euler_defect(c, 20),
    ):
        with pytest.raises(UserError, match=said):
            refuse(coefficient)


@pytest.mark.parametrize("damping", [0.0, -0.1, math.nan, math.inf])
def test_a_damping_that_is_not_positive_is_refused(damping: float) -> None:
    said = rf"damping={damping} is no damping of this pendulum; choose one above 0, such as 0\.1"
    with pytest.raises(UserError, match=said):
        Pendulum.coefficient_of(damping)
    assert Pendulum.coefficient_of(0.1) == 10.0


def test_an_unknown_representation_is_refused_with_those_there_are() -> None:
    said = r"unknown representation 'spere': did you mean sphere\? the valid ones are raw, sphere"
    with pytest.raises(UserError, match=said):
        Pendulum().representation("spere")
