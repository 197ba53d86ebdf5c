"""Time steps and the neural ODE problem against plain modules, torchdiffeq and dense derivatives. Float64 unless said."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from torch import Tensor, nn
from torchdiffeq import odeint

from sciml_lib import systems
from sciml_lib.errors import UserError
from sciml_lib.models import ACTIVATIONS, MLP, euler, rollout, runge_kutta
from sciml_lib.problems import PINN, NeuralODE
from sciml_lib.strategies import LBFGS, MemberResult, MiniBatchAdam, Stage, Strategy, train
from sciml_lib.sweeps.setups import NeuralODESetup, PINNSetup
from sciml_lib.systems import Convection, Pendulum

DT = 0.05
COEFFICIENTS, AMOUNTS = (1.0, 4.0, 4.0, 15.0, 8.0), (9, 5, 5, 3, 9)  # members 1 and 2 are neighbours with equal data


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def network(dimension: int = 2, hidden: tuple[int, ...] = (4, 3), kind: type[MLP] = MLP, **options: object) -> MLP:
    return kind(hidden=hidden, n_inputs=dimension, n_outputs=dimension, initial="linear", **options)


def make_problem(
    coefficients: Sequence[float] = COEFFICIENTS,
    n_data: int | Sequence[int] = AMOUNTS,
    *,
    physics: bool = True,
    representation: str = "raw",
    hidden: tuple[int, ...] = (4, 3),
    dtype: torch.dtype = torch.float64,
    **options: object,
) -> NeuralODE:
    model = network(3 if representation == "sphere" else 2, hidden)
    options = {"physics": physics, "representation": representation, "dtype": dtype, **options}
    return NeuralODE(Pendulum(), model, coefficients, n_data, **options)


def with_model(kind: type[MLP], coefficients: Sequence[float], n_data: int | Sequence[int], **options: object) -> NeuralODE:
    """A problem whose network is made to do something else; given from the start it would be refused."""
    problem = NeuralODE(Pendulum(), network(), coefficients, n_data, **options)
    problem.model = network(kind=kind)
    return problem


def weights_of(problem: NeuralODE, seed: int = 1) -> Tensor:
    """Parameters at which nothing is small."""
    return problem.init(range(len(problem))) + 0.3 * normal(len(problem), problem.n_params, seed=seed).to(problem.dtype)


# --- time steps ---


def ensemble_field(model: MLP, params: Tensor) -> Callable[[Tensor], Tensor]:
    layers = model.layers(params)
    return lambda states: model.apply(layers, states[:, None])[:, 0]


@pytest.mark.parametrize("dimension", [2, 3])
def test_a_rollout_of_every_member_is_that_of_torchdiffeq(dimension: int) -> None:
    model = network(dimension, (7, 6))
    params = model.init(range(4), dtype=torch.float64) + 0.5 * normal(4, model.n_params)
    start = normal(4, dimension, seed=2)
    states, inside = rollout(ensemble_field(model, params), start, DT, 200)
    assert states.shape == (4, 200, dimension)
    assert inside.tolist() == [True] * 4
    times = DT * torch.arange(200, dtype=torch.float64)
    for m in range(4):
        module = model.module(params[m])
        with torch.no_grad():
            expected = odeint(lambda _, state, module=module: module(state), start[m], times, method="euler")
        torch.testing.assert_close(states[m], expected, rtol=0, atol=1e-6)
        assert (expected[-1] - expected[0]).norm() > 0.1


@pytest.mark.parametrize(("step", "order"), [(euler, 1), (runge_kutta, 4)])
def test_the_error_falls_with_the_order_of_the_method(step: Callable[..., Tensor], order: int) -> None:
    """x' = -r x^2 has x(t) = x(0) / (1 + r x(0) t); three members with their own r and x(0)."""
    rates, start = torch.tensor([[0.5], [1.0], [1.5]], dtype=torch.float64), torch.tensor([[2.0], [1.0], [0.7]]).double()
    errors = []
    for n in (20, 40, 80):
        states, _ = rollout(lambda x: -rates * x**2, start, 1.0 / n, n + 1, step=step)
        times = torch.linspace(0.0, 1.0, n + 1, dtype=torch.float64)
        errors.append((states[:, :, 0] - start / (1.0 + rates * start * times)).abs().amax(dim=1))
    for coarse, fine in pairwise(errors):
        assert (torch.log2(coarse / fine) - order).abs().max() < 0.15


def test_a_step_of_runge_kutta_is_the_classical_one() -> None:
    """On x' = x it is the exponential series up to h^4; on a nonlinear field it is not the 3/8 rule of torchdiffeq."""
    h = 0.3
    one = torch.ones(2, 1, dtype=torch.float64)
    series = sum(h**k / math.factorial(k) for k in range(5))
    assert runge_kutta(lambda x: x, one, h)[0].item() == pytest.approx(series, rel=1e-14)
    assert euler(lambda x: x, one, h)[0].item() == pytest.approx(1.0 + h, rel=1e-14)

    def f(x: float) -> float:
        return math.sin(3.0 * x) + x

    k1 = f(0.4)
    k2 = f(0.4 + h / 2 * k1)
    k3 = f(0.4 + h / 2 * k2)
    k4 = f(0.4 + h * k3)
    expected = 0.4 + h * (k1 / 6 + k2 / 3 + k3 / 3 + k4 / 6)
    ours = runge_kutta(lambda x: torch.sin(3.0 * x) + x, 0.4 * one, h)[0].item()
    assert ours == pytest.approx(expected, rel=1e-14)
    times = torch.tensor([0.0, h], dtype=torch.float64)
    other = odeint(lambda _, x: torch.sin(3.0 * x) + x, 0.4 * one[0], times, method="rk4")[1].item()
    assert abs(ours - other) > 1e-7


def test_runge_kutta_follows_the_pendulum_of_scipy() -> None:
    coefficient = torch.tensor([2.0, 10.0], dtype=torch.float64)
    start = torch.tensor([[1.7, 0.0], [2.8, 0.0]], dtype=torch.float64)
    states, _ = rollout(lambda x: Pendulum().field(x, coefficient), start, DT, 200, step=runge_kutta)
    for m, damping in enumerate((0.5, 0.1)):
        found = solve_ivp(
            lambda _, y, b=damping: [y[1], -b * y[1] - math.sin(y[0])],
            (0.0, 10.0),
            start[m].numpy(),
            t_eval=DT * np.arange(200),
            method="DOP853",
            rtol=1e-11,
            atol=1e-12,
        )
        np.testing.assert_allclose(states[m], found.y.T, rtol=0, atol=2e-6)


def explosive(x: Tensor) -> Tensor:
    """Grows beyond every bound from positive states, decays from negative ones, and is no number above 1e30."""
    return torch.where(x > 1e30, torch.nan, x**2)


def test_a_member_that_runs_away_is_cut_off_and_flagged_and_the_others_are_untouched() -> None:
    start = torch.tensor([[1.0, -0.5], [-1.0, -0.5], [-0.3, 3.0]], dtype=torch.float64)
    states, inside = rollout(explosive, start, 0.1, 60, bound=50.0)
    assert inside.tolist() == [False, True, False]
    assert torch.isfinite(states).all()
    assert states.abs().max() == 50.0
    alone, _ = rollout(explosive, start[1:2], 0.1, 60)
    assert torch.equal(states[1], alone[0])  # sums and products of single numbers round alike in any company
    free, _ = rollout(explosive, start, 0.1, 60)
    for m, which in ((0, 0), (2, 1)):
        left = int((free[m].abs() > 50.0).any(dim=1).nonzero()[0])
        assert torch.equal(states[m, :left], free[m, :left])  # as it was until it left
        assert states[m, left, which] == 50.0
        assert states[m, left, 1 - which] == free[m, left, 1 - which]  # only what left is cut
        assert (states[m, left:] == states[m, left]).all()  # and then it stays


@pytest.mark.parametrize(("wrong", "where"), [(math.nan, 8.0), (math.inf, 8.0), (-math.inf, -8.0)])
def test_a_state_that_is_no_number_is_cut_off_at_the_bound(wrong: float, where: float) -> None:
    def field(x: Tensor) -> Tensor:
        return torch.where(x > 1.05, wrong, 1.0)

    states, inside = rollout(field, torch.tensor([[1.0], [-5.0]], dtype=torch.float64), 0.1, 6, bound=8.0)
    assert inside.tolist() == [False, True]
    assert states[0, :, 0].tolist() == pytest.approx([1.0, 1.1, where, where, where, where])
    assert states[1, :, 0].tolist() == pytest.approx([-5.0 + 0.1 * k for k in range(6)])


def test_a_single_state_is_the_start() -> None:
    start = normal(3, 2)
    states, inside = rollout(lambda x: x, start, DT, 1)
    assert torch.equal(states[:, 0], start) and states.shape == (3, 1, 2) and inside.all()


# --- initial weights ---


@pytest.mark.parametrize("seed", [0, 3, 4711])
def test_linear_weights_are_those_of_modules_made_after_that_seed(seed: int) -> None:
    model = MLP(hidden=(16, 5), n_inputs=3, n_outputs=2, initial="linear")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 5), nn.Tanh(), nn.Linear(5, 2))
    expected = nn.utils.parameters_to_vector(module.parameters()).detach()
    ours = model.init([seed + 1, seed])
    torch.testing.assert_close(ours[1], expected, rtol=0, atol=1e-7)
    assert not torch.equal(ours[0], ours[1])
    torch.testing.assert_close(model.init([seed], dtype=torch.float64)[0], ours[1].double(), rtol=0, atol=0)
    xavier = MLP(hidden=(16, 5), n_inputs=3, n_outputs=2).init([seed])
    assert (xavier - ours[1]).abs().max() > 0.1


def test_an_unknown_rule_of_initial_weights_is_refused() -> None:
    with pytest.raises(UserError, match="unknown initial 'xavier': did you mean xavier_normal"):
        MLP(initial="xavier")


# --- losses ---


def naive_blocks(problem: NeuralODE, module: nn.Module, coefficient: float, n: int) -> dict[str, float]:
    """The losses of one member as one would write them down: state after state, component after component."""
    damping, states = 1.0 / coefficient, Pendulum().trajectory(coefficient, n)
    seen = problem.system.representation(problem.representation).map(states)
    data = physics = 0.0
    d = seen.shape[1]
    with torch.no_grad():
        for k in range(n - 1):
            f = module(seen[k]).tolist()
            for j in range(d):
                predicted = seen[k, j].item() + DT * f[j]
                data += (predicted - seen[k + 1, j].item()) ** 2
            if problem.physics:
                angle, velocity = states[k].tolist()
                r = (f[0] - velocity, f[1] + damping * velocity + math.sin(angle))
                physics += (DT**2 if problem.scaled else 1.0) * (r[0] ** 2 + r[1] ** 2)
    blocks = {"data": data / ((n - 1) * d)}
    return blocks | ({"residual": physics / ((n - 1) * d)} if problem.physics else {})


@pytest.mark.parametrize(
    "options",
    [{}, {"scaled": False}, {"physics": False}, {"physics": False, "representation": "sphere"}],
    ids=["physics", "unscaled", "data", "sphere"],
)
def test_losses_are_the_plain_ones(options: dict[str, object]) -> None:
    problem = make_problem(**options)
    params = weights_of(problem)
    ours, loss = problem.terms(params), problem.loss(params)
    value, (again, _) = problem.value(params), problem.value_and_grad(params)
    residuals = problem.residuals(params)
    assert tuple(ours) == tuple(residuals) == problem.term_names
    for m, (coefficient, n) in enumerate(zip(COEFFICIENTS, AMOUNTS, strict=True)):
        expected = naive_blocks(problem, problem.model.module(params[m]), coefficient, n)
        assert tuple(expected) == problem.term_names
        for name, number in expected.items():
            assert ours[name][m].item() == pytest.approx(number, rel=1e-11)
            own = (n - 1) * problem.model.n_outputs
            assert residuals[name][m, :own].square().mean().item() == pytest.approx(number, rel=1e-11)
            assert not residuals[name][m, own:].any()  # a shorter member's row is filled up with zeros
        for total in (loss, value, again):
            assert total[m].item() == pytest.approx(sum(expected.values()), rel=1e-11)


def test_float32_losses_are_the_same_to_rounding() -> None:
    wide, narrow = make_problem(), make_problem(dtype=torch.float32)
    params = weights_of(narrow)
    torch.testing.assert_close(narrow.loss(params).double(), wide.loss(params.double()), rtol=1e-5, atol=0)


class TrueField(MLP):
    """A network that has learned everything: its rates are the true ones at 1/b = 4, whatever its weights."""

    def apply(self, layers: Sequence[tuple[Tensor, Tensor]], points: Tensor) -> Tensor:
        return Pendulum().field(points, torch.tensor(4.0, dtype=points.dtype))


@pytest.mark.parametrize("scaled", [True, False])
def test_the_true_field_has_no_physics_residual_and_what_euler_misses_for_its_data_loss(scaled: bool) -> None:
    amounts = (20, 7, 40)
    options = {"physics": True, "scaled": scaled, "dtype": torch.float64}
    problem = with_model(TrueField, [4.0] * 3, amounts, **options)
    params = problem.init(range(3))
    losses = problem.terms(params)
    assert losses["residual"].max() < 1e-30
    for m, n in enumerate(amounts):
        floor = Pendulum().euler_defect(4.0, n).square().mean()
        torch.testing.assert_close(losses["data"][m], floor, rtol=1e-9, atol=0)
    # The field of another damping is wrong by the difference of the two frictions.
    other = problem.at(torch.tensor([2.0, 2.0, 2.0]))
    for m, n in enumerate(amounts):
        wrong = (DT if scaled else 1.0) * (0.5 - 0.25) * Pendulum().trajectory(2.0, n)[:-1, 1]
        expected = wrong.square().mean() / 2.0
        torch.testing.assert_close(other.terms(params)["residual"][m], expected, rtol=1e-9, atol=0)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_is_trained_and_tested_as_the_plain_module(activation: str) -> None:
    problem = NeuralODE(Pendulum(), network(activation=activation), [4.0, 1.0], (20, 9), physics=True, dtype=torch.float64)
    params = weights_of(problem)
    loss, grad = problem.value_and_grad(params)
    found = problem.evaluate(params)
    for m, (coefficient, n) in enumerate(((4.0, 20), (1.0, 9))):
        module = problem.model.module(params[m])
        states = Pendulum().trajectory(coefficient, n)
        rates, true = module(states[:-1]), Pendulum().field(states[:-1], torch.tensor(coefficient, dtype=torch.float64))
        expected = (states[:-1] + DT * rates - states[1:]).square().mean() + (DT * (rates - true)).square().mean()
        torch.testing.assert_close(loss[m], expected.detach(), rtol=1e-10, atol=0)
        parts = torch.autograd.grad(expected, list(module.parameters()))
        torch.testing.assert_close(grad[m], torch.cat([part.reshape(-1) for part in parts]), rtol=1e-9, atol=1e-12)
        error, one_step = naive_test(problem, module, coefficient)
        assert found.test_error[m].item() == pytest.approx(error, rel=1e-9)
        assert found.metrics["one_step_mse"][m].item() == pytest.approx(one_step, rel=1e-9)


# --- derivatives ---


def augmented(problem: NeuralODE, constrained: Sequence[str] = ("residual",), seed: int = 5) -> NeuralODE:
    width = problem.constraints(weights_of(problem), constrained).shape[1]
    m = len(problem)
    penalty, weight, decay = torch.rand(3, m, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) + 0.2
    return problem.augmented(constrained, normal(m, width, seed=seed), penalty, 10.0 * weight, 0.1 * decay)


PROBLEMS: dict[str, Callable[[], NeuralODE]] = {
    "equal": lambda: make_problem((1.0, 5.0, 9.0), 6),
    "mixed": make_problem,
    "sphere": lambda: make_problem(physics=False, representation="sphere"),
    "unscaled": lambda: make_problem(scaled=False),
    "augmented": lambda: augmented(make_problem((1.0, 5.0, 9.0), 6)),
    "augmented and mixed": lambda: augmented(make_problem()),
    "both blocks constrained": lambda: augmented(make_problem(), ("data", "residual")),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_gradients_and_hessian_products_are_the_dense_ones(name: str) -> None:
    problem = PROBLEMS[name]()
    params = weights_of(problem)
    loss, grad, product = problem.linearised(params)
    again, same = problem.value_and_grad(params)
    torch.testing.assert_close(loss, again, rtol=1e-13, atol=1e-15)
    torch.testing.assert_close(grad, same, rtol=1e-12, atol=1e-14)
    v = normal(*params.shape, seed=8)
    products = product(v)
    for m in range(len(problem)):

        def of_member(row: Tensor, m: int = m) -> Tensor:
            return problem.loss(torch.cat([params[:m], row[None], params[m + 1 :]]))[m]

        torch.testing.assert_close(loss[m], of_member(params[m]), rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(grad[m], torch.func.grad(of_member)(params[m]), rtol=1e-10, atol=1e-12)
        hessian = torch.func.jacrev(torch.func.grad(of_member))(params[m])
        torch.testing.assert_close(products[m], hessian @ v[m], rtol=1e-9, atol=1e-11)
        assert (hessian @ v[m]).norm() > 1e-3
    torch.testing.assert_close(product(2.0 * v), 2.0 * products, rtol=1e-12, atol=1e-14)  # it can be asked again


def test_products_that_nobody_wants_are_not_computed() -> None:
    problem = make_problem()
    params, v = weights_of(problem), normal(5, make_problem().n_params, seed=8)
    _, _, product = problem.linearised(params)
    some = product(v, torch.tensor([False, False, True, False, True]))
    torch.testing.assert_close(some[[2, 4]], product(v)[[2, 4]], rtol=1e-12, atol=1e-14)
    assert not some[[0, 3]].any()  # whole groups of equally much data
    assert torch.isfinite(some).all()


# --- members and their neighbours ---


def run(problem: NeuralODE, seeds: Sequence[int], stage: Stage, **options: object) -> dict[int, MemberResult]:
    results: dict[int, MemberResult] = {}
    train(problem, seeds, Strategy((stage,)), on_result=results.__setitem__, **options)
    return results


@pytest.mark.parametrize("physics", [True, False])
def test_a_member_among_others_is_the_member_alone_to_rounding(physics: bool) -> None:
    # Products of another batch size may round otherwise: by some units of 1.2e-7 in sums of up to 70 terms. Along the test's
    # 400 steps this adds up.
    eps = torch.finfo(torch.float32).eps
    coefficients, amounts = (1.0, 4.0, 4.0, 15.0, 2.0), (20, 70, 20, 20, 40)
    options = {"physics": physics, "dtype": torch.float32, "hidden": (16, 16, 16)}
    problem = make_problem(coefficients, amounts, **options)
    params = problem.init(range(5))
    loss, grad = problem.value_and_grad(params)
    metrics = problem.evaluate(params)
    for m, (coefficient, n) in enumerate(zip(coefficients, amounts, strict=True)):
        alone = make_problem([coefficient], n, **options)
        for one in (alone, problem.select([m])):
            own_loss, own_grad = one.value_and_grad(params[[m]])
            torch.testing.assert_close(own_loss[0], loss[m], rtol=32 * eps, atol=0)
            torch.testing.assert_close(own_grad[0], grad[m], rtol=0, atol=32 * eps * float(grad[m].abs().max()))
            found = one.evaluate(params[[m]])
            torch.testing.assert_close(found.test_error[0], metrics.test_error[m], rtol=1e-4, atol=0)
            torch.testing.assert_close(
                found.metrics["one_step_mse"][0], metrics.metrics["one_step_mse"][m], rtol=64 * eps, atol=0
            )


@pytest.mark.parametrize("physics", [True, False])
def test_a_member_trained_among_others_is_the_member_trained_alone(physics: bool) -> None:
    coefficients, amounts, seeds = (1.0, 4.0, 4.0, 15.0), (20, 70, 20, 40), (3, 4, 3, 5)
    # Products of another batch size round otherwise, by some 1e-16 in float64. An update of Adam, 1e-3 m / (sqrt(v) + 1e-8),
    # makes 1e-11 of that at the very most, and there are 39; a dozen iterations of L-BFGS amplify it a thousandfold or so.
    for stage in (MiniBatchAdam(epochs=3, updates=13), LBFGS(max_iterations=12)):
        options = {"physics": physics, "dtype": torch.float64, "hidden": (8, 8)}
        together = run(make_problem(coefficients, amounts, **options), seeds, stage)
        slots = run(make_problem(coefficients, amounts, **options), seeds, stage, width=2)
        for m, (coefficient, n, seed) in enumerate(zip(coefficients, amounts, seeds, strict=True)):
            (alone,) = run(make_problem([coefficient], n, **options), [seed], stage).values()
            for other in (together[m], slots[m]):
                torch.testing.assert_close(alone.params, other.params, rtol=0, atol=1e-9)
                assert (alone.status, alone.iterations, alone.evaluations) == (
                    other.status,
                    other.iterations,
                    other.evaluations,
                )
                assert alone.test_error == pytest.approx(other.test_error, rel=1e-5)


# --- other views of a problem ---


@pytest.mark.parametrize("kind", ["plain", "augmented"])
def test_select_repeats_and_orders(kind: str) -> None:
    problem = make_problem() if kind == "plain" else augmented(make_problem())
    params = weights_of(problem)
    index = [4, 1, 4, 3]
    chosen = problem.select(index)
    assert len(chosen) == 4
    assert chosen.data_groups == [9, 5, 9, 3]
    assert chosen.coefficients.tolist() == [8.0, 4.0, 8.0, 15.0]
    loss, grad = problem.value_and_grad(params)
    own_loss, own_grad = chosen.value_and_grad(params[index])
    torch.testing.assert_close(own_loss, loss[index], rtol=1e-12, atol=0)
    torch.testing.assert_close(own_grad, grad[index], rtol=1e-10, atol=1e-13)
    twice = chosen.select(torch.tensor([3, 0]))
    torch.testing.assert_close(twice.loss(params[[3, 4]]), loss[[3, 4]], rtol=1e-12, atol=0)


def test_other_coefficients_have_their_own_trajectories() -> None:
    problem, others = make_problem(), (2.0, 6.0, 4.0, 0.25, 2.0)
    params = weights_of(problem)
    moved = problem.at(torch.tensor(others, dtype=torch.float64))
    fresh = make_problem(others)
    assert moved.coefficients.tolist() == list(others)
    assert moved.data_groups == list(AMOUNTS)
    assert moved.description == fresh.description != problem.description
    for ours, expected in ((moved, fresh), (problem.select([4, 3]).at(torch.tensor([2.0, 0.25])), fresh.select([4, 3]))):
        some = params if len(ours) == 5 else params[[4, 3]]
        for name, residual in expected.residuals(some).items():
            assert torch.equal(ours.residuals(some)[name], residual)
        assert torch.equal(ours.evaluate(some).test_error, expected.evaluate(some).test_error)
    assert (moved.loss(params) - problem.loss(params)).abs()[[0, 1, 3, 4]].min() > 1e-6
    torch.testing.assert_close(problem.loss(params), make_problem().loss(params), rtol=0, atol=0)  # itself untouched


def test_nothing_is_drawn_at_random() -> None:
    problem = make_problem()
    assert problem.resampled(7) is problem
    assert problem.data_seed == 0


@pytest.mark.parametrize(
    "options",
    [
        {"coefficients": (1.0, 4.0, 4.0, 15.0, 8.5)},
        {"n_data": (9, 5, 5, 3, 8)},
        {"physics": False},
        {"scaled": False},
        {"hidden": (4, 4)},
        {"dtype": torch.float32},
        {"physics": False, "representation": "sphere"},
    ],
)
def test_problems_that_train_differently_are_described_differently(options: dict[str, object]) -> None:
    assert make_problem(**options).description != make_problem().description
    other = NeuralODE(Pendulum(0.1), network(), COEFFICIENTS, AMOUNTS, physics=True, dtype=torch.float64)
    assert other.description != make_problem().description == make_problem().description


# --- augmented Lagrangians ---


@pytest.mark.parametrize("names", [("data",), ("residual",), ("data", "residual"), ("residual", "data")])
def test_constraints_begin_with_what_a_member_has_and_end_with_zeros(names: tuple[str, ...]) -> None:
    problem = make_problem()
    params = weights_of(problem)
    ours = problem.constraints(params, names)
    assert ours.shape == (5, len(names) * (max(AMOUNTS) - 1) * 2)
    for m, n in enumerate(AMOUNTS):
        one = problem.select([m])
        own = torch.cat([make_problem([COEFFICIENTS[m]], n).residuals(params[[m]])[name][0] for name in names])
        assert len(own) == len(names) * (n - 1) * 2
        torch.testing.assert_close(ours[m, : len(own)], own, rtol=1e-12, atol=1e-15)
        assert not ours[m, len(own) :].any()
        torch.testing.assert_close(one.constraints(params[[m]], names)[0], ours[m], rtol=1e-12, atol=1e-15)  # as wide


@pytest.mark.parametrize("constrained", [("residual",), ("data",), ("data", "residual"), ("residual", "data")])
def test_the_augmented_loss_is_the_formula_point_by_point(constrained: tuple[str, ...]) -> None:
    problem = make_problem()
    params = weights_of(problem)
    view = augmented(problem, constrained)
    added = view.augmentation
    loss, grad = view.value_and_grad(params)
    torch.testing.assert_close(view.loss(params), loss, rtol=1e-13, atol=1e-15)
    torch.testing.assert_close(view.value(params), loss, rtol=1e-13, atol=1e-15)
    for m, n in enumerate(AMOUNTS):
        x = params[m].clone().requires_grad_()
        residuals = make_problem([COEFFICIENTS[m]], n).residuals(x[None])
        total = added.decay[m] * (x * x).sum()
        start = 0
        for name in constrained:
            g = residuals[name][0]
            for j in range(len(g)):
                total = total + (added.multipliers[m, start + j] * g[j] + 0.5 * added.penalty[m] * g[j] ** 2) / len(g)
            start += len(g)
        for name in {"data", "residual"} - set(constrained):
            total = total + added.weight[m] * sum(r**2 for r in residuals[name][0]) / ((n - 1) * 2)
        (expected,) = torch.autograd.grad(total, x)
        torch.testing.assert_close(loss[m], total.detach(), rtol=1e-11, atol=1e-13)
        torch.testing.assert_close(grad[m], expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(problem.loss(params), make_problem().loss(params), rtol=0, atol=0)  # itself untouched


def test_the_augmented_loss_is_that_of_the_released_code() -> None:
    """w L_data + mean(lambda r) + mu/2 dt^2 mean(r^2) with unscaled r; our multipliers are lambda / dt, as lambda grows by
    mu dt^2 r there and ours by mu dt r."""
    problem, unscaled = make_problem(), make_problem(scaled=False)
    params = weights_of(problem)
    r = unscaled.constraints(params, ["residual"])
    mu, w = torch.full((5,), 1.3, dtype=torch.float64), torch.full((5,), 10.0, dtype=torch.float64)
    g = problem.constraints(params, ["residual"])
    torch.testing.assert_close(g, DT * r, rtol=1e-12, atol=1e-15)
    theirs = mu[:, None] * DT**2 * r
    ours = mu[:, None] * g
    torch.testing.assert_close(theirs, DT * ours, rtol=1e-12, atol=1e-16)
    loss = problem.augmented(["residual"], ours, mu, w, torch.zeros(5)).loss(params)
    data = problem.terms(params)["data"]
    for m, n in enumerate(AMOUNTS):
        own = slice(0, 2 * (n - 1))
        lifted = (theirs[m, own] * r[m, own]).mean() + 0.5 * 1.3 * DT**2 * r[m, own].square().mean()
        torch.testing.assert_close(loss[m], 10.0 * data[m] + lifted, rtol=1e-11, atol=1e-14)


# --- mini-batches ---


def module_of(model: MLP, row: Tensor, states: Tensor) -> Tensor:
    """The plain module's outputs, differentiable by the row of parameters."""
    module = model.module(row)
    parts = row.split([p.numel() for p in module.parameters()])
    named = {name: part.view_as(p) for (name, p), part in zip(module.named_parameters(), parts, strict=True)}
    return torch.func.functional_call(module, named, states)


def naive_batch(problem: NeuralODE, m: int, row: Tensor, begin: int, size: int) -> tuple[Tensor, int]:
    """Loss of one member on the pairs ``begin`` to ``begin + size``, as far as there are any, and how many these are."""
    coefficient, n = problem.coefficients[m].item(), problem.data_groups[m]
    raw = Pendulum().trajectory(coefficient, n)
    states = problem.system.representation(problem.representation).map(raw)
    end = min(begin + size, n - 1)
    f = module_of(problem.model, row, states[begin:end])
    loss = (states[begin:end] + DT * f - states[begin + 1 : end + 1]).square().mean()
    if problem.physics:
        angle, velocity = raw[begin:end].unbind(1)
        r = f - torch.stack([velocity, -velocity / coefficient - angle.sin()], dim=1)
        loss = loss + (DT**2 if problem.scaled else 1.0) * r.square().mean()
    return loss, end - begin


@pytest.mark.parametrize("size", [1, 3, 4, 8, 32])
@pytest.mark.parametrize(
    "options",
    [{}, {"scaled": False}, {"physics": False, "representation": "sphere"}],
    ids=["physics", "unscaled", "sphere"],
)
def test_batches_are_the_pairs_in_order_and_the_last_may_be_short(options: dict[str, object], size: int) -> None:
    problem = make_problem(**options)
    params = weights_of(problem)
    count = problem.n_batches(size)
    assert count.tolist() == [math.ceil((n - 1) / size) for n in AMOUNTS]
    sums, pairs = torch.zeros(5, dtype=torch.float64), torch.zeros(5)
    for k in range(int(count.max())):
        index = torch.minimum(torch.full((5,), k), count - 1)  # members with fewer batches see their last one again
        loss, grad = problem.minibatch(index, size).value_and_grad(params)
        for m in range(5):
            x = params[m].clone().requires_grad_()
            expected, n_pairs = naive_batch(problem, m, x, int(index[m]) * size, size)
            (expected_grad,) = torch.autograd.grad(expected, x)
            torch.testing.assert_close(loss[m], expected.detach(), rtol=1e-11, atol=1e-14)
            torch.testing.assert_close(grad[m], expected_grad, rtol=1e-9, atol=1e-12)
            if k < count[m]:
                sums[m] += n_pairs * loss[m]
                pairs[m] += n_pairs
    assert pairs.tolist() == [n - 1 for n in AMOUNTS]
    torch.testing.assert_close(sums / pairs, problem.loss(params), rtol=1e-11, atol=1e-14)


def test_members_can_be_at_different_batches_and_in_another_order() -> None:
    problem = make_problem()
    params = weights_of(problem)
    index, chosen = torch.tensor([3, 0, 1, 0, 2]), [4, 2, 0]
    loss, grad = problem.minibatch(index, 2).value_and_grad(params)
    some, some_grad = problem.select(chosen).minibatch(index[chosen], 2).value_and_grad(params[chosen])
    torch.testing.assert_close(some, loss[chosen], rtol=1e-13, atol=1e-15)
    torch.testing.assert_close(some_grad, grad[chosen], rtol=1e-12, atol=1e-14)
    for m in range(5):
        expected, _ = naive_batch(problem, m, params[m], 2 * int(index[m]), 2)
        torch.testing.assert_close(loss[m], expected.detach(), rtol=1e-11, atol=1e-14)


# --- evaluation ---


def naive_test(problem: NeuralODE, module: nn.Module, coefficient: float, bound: float = 100.0) -> tuple[float, float]:
    """Error of the rollout and mean square of one step's error, as one would write them down."""
    truth = problem.system.representation(problem.representation).map(Pendulum().test_trajectory(coefficient)).numpy()
    n, d = truth.shape
    state, followed, squares, left = truth[0], [truth[0]], [], False
    with torch.no_grad():
        for k in range(n - 1):
            if not left:
                state = state + DT * module(torch.from_numpy(state)).numpy()
                left = bool((abs(state) > bound).any())
                state = np.clip(state, -bound, bound)
            followed.append(state)
            one_step = truth[k] + DT * module(torch.from_numpy(truth[k])).numpy()
            squares += ((one_step - truth[k + 1]) ** 2).tolist()
    off = np.stack(followed) - truth
    errors = [math.sqrt((off[:, j] ** 2).sum() / (truth[:, j] ** 2).sum()) for j in range(d)]
    return sum(errors) / d, float(np.mean(squares))


@pytest.mark.parametrize("representation", ["raw", "sphere"])
def test_the_test_error_is_that_of_a_rollout_from_the_test_start(representation: str) -> None:
    problem = make_problem(physics=False, representation=representation)
    params = weights_of(problem)
    found = problem.evaluate(params)
    torch.testing.assert_close(problem.test_error(params), found.test_error, rtol=0, atol=0)
    for name, losses in problem.terms(params).items():
        torch.testing.assert_close(found.terms[name], losses, rtol=0, atol=0)
    assert tuple(found.metrics) == problem.metric_names == ("one_step_mse",)
    assert found.outcomes == [None] * 5
    for m, coefficient in enumerate(COEFFICIENTS):
        error, one_step = naive_test(problem, problem.model.module(params[m]), coefficient)
        assert found.test_error[m].item() == pytest.approx(error, rel=1e-9)
        assert found.metrics["one_step_mse"][m].item() == pytest.approx(one_step, rel=1e-10)


def test_the_true_field_is_tested_as_eulers_method_would_be() -> None:
    problem = with_model(TrueField, [4.0], 20, physics=True, dtype=torch.float64)
    found = problem.evaluate(problem.init([0]))
    angle, velocity = 2.8, 0.0
    states = []
    for _ in range(400):
        states.append((angle, velocity))
        angle, velocity = angle + DT * velocity, velocity + DT * (-0.25 * velocity - math.sin(angle))
    truth = Pendulum().test_trajectory(4.0).numpy()
    errors = np.linalg.norm(np.array(states) - truth, axis=0) / np.linalg.norm(truth, axis=0)
    assert found.test_error.item() == pytest.approx(errors.mean(), rel=1e-9)
    assert 0.05 < errors.mean() < 0.5
    assert found.metrics["one_step_mse"].item() < 2e-6


class Runaway(MLP):
    """Seed 7 begins with a rate of change that nothing stops."""

    def init(self, seeds: Sequence[int], **options: object) -> Tensor:
        params = super().init(seeds, **options)
        for row, seed in zip(params, seeds, strict=True):
            if seed == 7:
                row[-2] = 900.0  # the bias of the angle's rate: 45 rad a step
        return params


def test_a_network_that_runs_away_is_cut_off_in_the_test_and_named() -> None:
    options = {"physics": True, "dtype": torch.float64}
    problem = with_model(Runaway, [4.0, 4.0, 1.0], (5, 9, 9), **options)
    params = problem.init([3, 7, 3])
    found = problem.evaluate(params)
    assert found.outcomes == [None, "rollout_diverged", None]
    assert "rollout_diverged" in NeuralODESetup().outcomes and not PINNSetup().outcomes
    assert torch.isfinite(found.test_error).all()
    error, one_step = naive_test(problem, problem.model.module(params[1]), 4.0)
    assert found.test_error[1].item() == pytest.approx(error, rel=1e-9)
    assert found.metrics["one_step_mse"][1].item() == pytest.approx(one_step, rel=1e-10)
    assert 30.0 < error < 1000.0  # far above every threshold, and still a number
    assert found.test_error[[0, 2]].max() < 10.0
    results = run(problem, [3, 7, 3], MiniBatchAdam(epochs=2, updates=13, learning_rate=1e-9))
    assert [results[m].status for m in range(3)] == ["budget_spent", "rollout_diverged", "budget_spent"]
    assert results[1].test_error == pytest.approx(error, rel=1e-5)
    assert results[1].iterations == results[0].iterations == 2 * 13


def test_weights_that_are_no_numbers_have_diverged_in_training_and_not_in_the_test() -> None:
    class Broken(MLP):
        def init(self, seeds: Sequence[int], **options: object) -> Tensor:
            return super().init(seeds, **options).where(torch.tensor(seeds)[:, None] != 7, torch.nan)

    problem = with_model(Broken, [4.0, 4.0], 9, dtype=torch.float64)
    results = run(problem, [3, 7], MiniBatchAdam(epochs=2))
    assert [results[m].status for m in range(2)] == ["budget_spent", "diverged"]
    assert math.isfinite(results[1].test_error)
    assert math.isnan(results[1].metrics["one_step_mse"])


# --- bad input ---


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"coefficients": []}, "coefficients is empty"),
        ({"n_data": (9, 5)}, "n_data lists 2 numbers for 3 members; give one for each, or a single one"),
        ({"n_data": 2}, "n_data=2 states are a horizon of fewer than two steps"),
        ({"n_data": (9, 0, 9)}, "n_data=0 states"),
        ({"coefficients": (1.0, 0.0, 2.0)}, "1/b=0 is no coefficient of the pendulum equation; choose one above 0"),
        ({"coefficients": (1.0, math.nan, 2.0)}, "1/b=nan is no coefficient"),
        ({"representation": "spere"}, r"unknown representation 'spere': did you mean sphere\?"),
        ({"representation": "sphere"}, "'sphere' of the pendulum has 3 dimensions: its MLP needs n_inputs=3 and n_outputs=3"),
        ({"model": MLP(hidden=(4,), n_inputs=3, n_outputs=3)}, "'raw' of the pendulum has 2 dimensions.*not 3 and 3"),
        ({"model": MLP(hidden=(4,))}, "n_inputs=2 and n_outputs=2, not 2 and 1"),
        ({"model": network(kind=TrueField)}, r"model=TrueField is not an MLP itself.*choose MLP\(activation=\.\.\.\)"),
        (
            {"model": MLP(hidden=(4,), n_inputs=3, n_outputs=3), "representation": "sphere", "physics": True},
            "known for raw states only; choose representation='raw', or physics=False",
        ),
        (
            {"system": Convection()},
            "a neural ODE needs a system of ordinary differential equations, .* and convection is none; use PINN",
        ),
    ],
)
def test_impossible_problems_are_refused(change: dict[str, object], said: str) -> None:
    parts = {"system": Pendulum(), "model": network(), "coefficients": (1.0, 2.0, 3.0), "n_data": 9} | change
    with pytest.raises(UserError, match=said):
        NeuralODE(**parts)


@pytest.mark.parametrize("n_data", [9.7, (9, 9.7, 9), (9, "9", 9)])
def test_an_amount_of_data_that_is_no_whole_number_is_refused(n_data: object) -> None:
    with pytest.raises(UserError, match="whole number"):
        make_problem((1.0, 2.0, 3.0), n_data)


def test_another_coefficient_that_is_impossible_is_refused() -> None:
    with pytest.raises(UserError, match="1/b=0 is no coefficient of the pendulum equation"):
        make_problem().at(torch.zeros(5))


def test_the_pendulum_is_no_problem_for_a_pinn() -> None:
    with pytest.raises(UserError, match=r"a PINN needs an equation .* and pendulum is none; use NeuralODE"):
        PINN(systems.get("pendulum"), MLP(), [5.0], 100)
