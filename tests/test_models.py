"""Networks and jets against plain modules and nested automatic differentiation, float64."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from sciml_lib import systems
from sciml_lib.errors import UserError
from sciml_lib.models import ACTIVATIONS, MLP, EagerJets, JetHessian, JetWorkspace, Layout, propagate
from sciml_lib.problems import PINN

COUNTS = [
    (("x", 4), ("t", 4)),
    (("x", 6), ("t", 11)),
    (("x", 5), ("xx", 5), ("t", 5), ("tt", 5)),
    (("x", 5), ("xx", 3), ("t", 9), ("tt", 5)),
    (("x", 11), ("xx", 4), ("t", 4)),
    (("t", 11), ("tt", 11)),
]


def ensemble(hidden: tuple[int, ...] = (7, 9, 5), m: int = 3, activation: str = "tanh") -> tuple[MLP, Tensor]:
    """A network and perturbed parameters, so that biases are not zero."""
    model = MLP(hidden=hidden, activation=activation)
    params = model.init(range(m), dtype=torch.float64)
    return model, params + 0.2 * torch.randn(params.shape, dtype=torch.float64, generator=generator(1))


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def nested_derivatives(module: torch.nn.Module, points: Tensor) -> dict[str, Tensor]:
    x = points.clone().requires_grad_()
    u = module(x)[:, 0]
    (first,) = torch.autograd.grad(u.sum(), x, create_graph=True)
    second = [torch.autograd.grad(first[:, i].sum(), x, retain_graph=True)[0][:, i] for i in (0, 1)]
    return {"u": u, "x": first[:, 0], "t": first[:, 1], "xx": second[0], "tt": second[1]}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_derivatives_of_an_activation_are_those_of_its_module(name: str) -> None:
    f = ACTIVATIONS[name]
    z = torch.linspace(-6.0, 6.0, 241, dtype=torch.float64, requires_grad=True)
    a = f.value(z)
    s = f.first(z, a)
    ours = [a, s, f.second(z, a, s)]
    torch.testing.assert_close(a, f.module()(z), rtol=1e-14, atol=1e-15)
    for low, high in pairwise(ours):
        (slope,) = torch.autograd.grad(low.sum(), z, retain_graph=True)
        torch.testing.assert_close(high, slope, rtol=1e-12, atol=1e-14)
    # What products with a Hessian of second derivatives need: two orders more, against differences.
    (third,) = torch.autograd.grad(ours[2].sum(), z, create_graph=True)
    (fourth,) = torch.autograd.grad(third.sum(), z)
    h = z[1] - z[0]
    torch.testing.assert_close(third[1:-1], (ours[2][2:] - ours[2][:-2]) / (2 * h), rtol=0, atol=0.02)
    torch.testing.assert_close(fourth[1:-1], (third[2:] - third[:-2]) / (2 * h), rtol=0, atol=0.1)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("counts", COUNTS)
def test_jets_are_the_nested_derivatives(counts: tuple[tuple[str, int], ...], activation: str) -> None:
    model, params = ensemble(activation=activation)
    points = torch.rand(11, 2, dtype=torch.float64, generator=generator(2))
    layout = Layout(11, counts)
    values, derivatives = layout.split(propagate(model, params, layout.seed(points), layout))
    assert {name: d.shape[1] for name, d in derivatives.items()} == dict(counts)
    for m, row in enumerate(params):
        expected = nested_derivatives(model.module(row), points)
        torch.testing.assert_close(values[m], expected["u"], rtol=1e-12, atol=1e-12)
        for name, ours in derivatives.items():
            torch.testing.assert_close(ours[m], expected[name][: dict(counts)[name]], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("counts", COUNTS)
@pytest.mark.parametrize("hidden", [(6,), (5, 8, 3)])
@pytest.mark.parametrize("own_points", [False, True])
def test_workspace_gives_the_same_jets_and_gradients(
    counts: tuple[tuple[str, int], ...], hidden: tuple[int, ...], own_points: bool
) -> None:
    model, params = ensemble(hidden)
    points = torch.rand(*([3] if own_points else []), 11, 2, dtype=torch.float64, generator=generator(2))
    layout = Layout(11, counts)
    seeds = layout.seed(points)
    workspace = JetWorkspace(model, layout, capacity=4, like=params)
    for m in (3, 1, 2):  # buffers are larger than the batch, and used again
        p, seed = params[:m].clone().requires_grad_(), seeds[:m] if own_points else seeds
        expected = propagate(model, p, seed, layout)
        cotangent = torch.randn(expected.shape, dtype=torch.float64, generator=generator(m))
        (gradient,) = torch.autograd.grad(expected, p, cotangent)
        torch.testing.assert_close(workspace.forward(params[:m], seed), expected.detach(), rtol=1e-13, atol=1e-13)
        torch.testing.assert_close(workspace.backward(cotangent), gradient, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("counts", COUNTS)
@pytest.mark.parametrize("hidden", [(6,), (5, 8, 3)])
def test_hessian_products_are_those_of_differentiating_twice(
    counts: tuple[tuple[str, int], ...], hidden: tuple[int, ...]
) -> None:
    model, params = ensemble(hidden)
    points = torch.rand(11, 2, dtype=torch.float64, generator=generator(2))
    layout = Layout(11, counts)
    seed = layout.seed(points)

    def loss(jet: Tensor) -> Tensor:
        return (jet.square() * torch.cos(jet.roll(1, dims=1))).mean(dim=1)  # couples neighbours, and is not quadratic

    hessian = JetHessian(model, params, seed, layout, loss)
    p = params.clone().requires_grad_()
    expected = loss(propagate(model, p, seed, layout))
    (gradient,) = torch.autograd.grad(expected.sum(), p, create_graph=True)
    torch.testing.assert_close(hessian.loss, expected.detach(), rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(hessian.grad, gradient.detach(), rtol=1e-12, atol=1e-12)
    for i in range(2):
        v = torch.randn(params.shape, dtype=torch.float64, generator=generator(i))
        (hv,) = torch.autograd.grad(gradient, p, v, retain_graph=True)
        torch.testing.assert_close(hessian.product(v), hv, rtol=1e-11, atol=1e-11)


def plain_loss(problem: PINN, m: int) -> Callable[[Tensor], Tensor]:
    """One member's loss of its parameters ``[P]``, of a plain module and nested differentiation."""
    module = problem.model.module(torch.zeros(problem.n_params, dtype=torch.float64))
    shapes = {name: p.shape for name, p in module.named_parameters()}

    def loss(row: Tensor) -> Tensor:
        parts = row.split([shape.numel() for shape in shapes.values()])
        weights = {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}
        jets = {}
        for name, points in problem.points.items():
            x = points.clone().requires_grad_()
            u = torch.func.functional_call(module, weights, x)[:, 0]
            (first,) = torch.autograd.grad(u.sum(), x, create_graph=True)
            second = [torch.autograd.grad(first[:, i].sum(), x, create_graph=True)[0][:, i] for i in (0, 1)]
            parts = {"u": u, "x": first[:, 0], "t": first[:, 1], "xx": second[0], "tt": second[1]}
            jets[name] = {key: value[None] for key, value in parts.items()}
        residuals = problem.system.residuals(jets, problem.points, problem.coefficients[m].reshape(1, 1))
        return sum(r.square().mean() for r in residuals.values())

    return loss


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("system", ["convection", "wave"])
def test_a_pinn_with_any_activation_is_trained_and_tested_as_the_plain_module(
    system: str, activation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = MLP(hidden=(5, 4), activation=activation)
    equation = systems.get(system)
    problem = PINN(equation, model, [2.0, 3.0], 30, dtype=torch.float64)
    params = problem.init([0, 1]) + 0.2 * torch.randn(2, problem.n_params, dtype=torch.float64, generator=generator(1))
    v = torch.randn(params.shape, dtype=torch.float64, generator=generator(2))
    for budget in (None, 1):  # all members at once, and one by one
        if budget is not None:
            monkeypatch.setattr("sciml_lib.problems.pinn.CPU_WORKSPACE_BYTES", budget)
            monkeypatch.setattr("sciml_lib.problems.pinn.CPU_CURVATURE_BYTES", budget)
        loss, grad = problem.value_and_grad(params)
        at, slope, product = problem.linearised(params)
        curved = product(v)
        for m in range(2):
            f, row = plain_loss(problem, m), params[m].clone().requires_grad_()
            expected = f(row)
            (gradient,) = torch.autograd.grad(expected, row, create_graph=True)
            (hv,) = torch.autograd.grad(gradient, row, v[m])
            for ours in (loss, at, problem.value(params), problem.loss(params)):
                torch.testing.assert_close(ours[m], expected.detach(), rtol=1e-11, atol=0)
            for ours in (grad, slope):
                torch.testing.assert_close(ours[m], gradient.detach(), rtol=1e-9, atol=1e-11)
            torch.testing.assert_close(curved[m], hv, rtol=1e-8, atol=1e-10)
            points = equation.test_points()
            exact = equation.solution(points, problem.coefficients[m].reshape(1, 1))[0]
            off = (model.module(params[m])(points)[:, 0] - exact).norm() / exact.norm()
            torch.testing.assert_close(problem.test_error(params)[m], off.detach(), rtol=1e-11, atol=0)


@pytest.mark.parametrize("activation", sorted(set(ACTIVATIONS) - {"tanh"}))
def test_what_is_written_for_tanh_refuses_another_activation(activation: str) -> None:
    model, params = ensemble((4,), activation=activation)
    layout = Layout(3, (("x", 3),))
    with pytest.raises(UserError, match=f"JetWorkspace is written for tanh.*activation='{activation}'"):
        JetWorkspace(model, layout, 3, params)
    with pytest.raises(UserError, match=f"JetHessian is written for tanh.*activation='{activation}'"):
        JetHessian(model, params, layout.seed(torch.rand(3, 2, dtype=torch.float64)), layout, lambda jet: jet.sum(dim=1))


def test_the_eager_form_agrees_with_the_buffers_for_tanh() -> None:
    model, params = ensemble()
    layout = Layout(11, COUNTS[3])
    seed = layout.seed(torch.rand(11, 2, dtype=torch.float64, generator=generator(2)))
    eager, fast = (kind(model, layout, 3, params) for kind in (EagerJets, JetWorkspace))
    torch.testing.assert_close(eager.forward(params, seed), fast.forward(params, seed), rtol=1e-13, atol=1e-13)
    cotangent = torch.randn(3, layout.n_rows, dtype=torch.float64, generator=generator(3))
    torch.testing.assert_close(eager.backward(cotangent), fast.backward(cotangent), rtol=1e-12, atol=1e-12)


def test_an_unknown_activation_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UserError, match=r"unknown activation 'tanhh': did you mean tanh\?.*sin, silu, gelu"):
        MLP(activation="tanhh")


def test_only_another_activation_than_tanh_changes_the_name_of_a_network() -> None:
    assert repr(MLP(hidden=(4,))) == "MLP(hidden=(4,), n_inputs=2, n_outputs=1, initial='xavier_normal')"
    assert repr(MLP(hidden=(4,), activation="sin")).endswith("initial='xavier_normal', activation='sin')")


def test_a_subclass_that_evaluates_something_else_is_refused() -> None:
    class SineNet(MLP):
        def apply(self, layers: list[tuple[Tensor, Tensor]], points: Tensor) -> Tensor:
            return torch.sin(super().apply(layers, points))

    for model in (SineNet(hidden=(4,)), torch.nn.Linear(2, 1), None):
        with pytest.raises(UserError, match=rf"model={type(model).__name__} is not an MLP itself.*MLP\(activation=\.\.\.\)"):
            PINN(systems.get("convection"), model, [1.0], 20)


def test_a_layout_carries_what_the_blocks_ask_for_and_no_more() -> None:
    blocks = [(10, ("xx", "t")), (4, ("t",)), (3, ()), (2, ("x",)), (5, ())]
    layout = Layout.of(blocks)
    assert layout.counts == (("x", 19), ("xx", 10), ("t", 14))
    assert (layout.n_points, layout.n_jets, layout.n_rows) == (24, 19, 24 + 19 + 10 + 14)
    assert layout.rows("t") == slice(24 + 29, 24 + 29 + 14)
    assert Layout.of([(3, ("tt",))]).counts == (("t", 3), ("tt", 3))


def test_a_row_is_what_pytorch_calls_the_parameters() -> None:
    model, params = ensemble()
    points = torch.rand(5, 2, dtype=torch.float64)
    module = model.module(params[1])
    assert sum(p.numel() for p in module.parameters()) == model.n_params == params.shape[1]
    torch.testing.assert_close(model(params, points)[1], module(points))
    torch.testing.assert_close(torch.nn.utils.parameters_to_vector(module.parameters()), params[1])


def test_sizes_are_those_of_code_and_text() -> None:
    assert MLP().n_params == 5301  # the released code
    assert MLP(hidden=(50,) * 4).n_params == 7851  # the paper's text


def test_initial_weights_are_xavier_normal_and_belong_to_the_seed() -> None:
    model = MLP(hidden=(200, 200))
    params = model.init([4, 5, 4])
    assert torch.equal(params[0], params[2])
    assert not torch.equal(params[0], params[1])
    (_, b0), (w, b1), _ = model.layers(params)
    assert w[0].std().item() == pytest.approx((2 / 400) ** 0.5, rel=0.02)
    assert not b0.any()
    assert not b1.any()


@pytest.mark.parametrize("seed", [-1, 0.5, 1.0, True, "3", 2**32, 2**64, None, np.float32(2), np.bool_(True)])
def test_what_is_no_seed_is_refused(seed: object) -> None:
    with pytest.raises(UserError, match=r"seeds=.* is not a seed; choose integers from 0 to 4294967295"):
        MLP(hidden=(4,)).init([0, seed])


def test_seeds_may_be_any_kind_of_integer_and_the_largest_is_its_own() -> None:
    model = MLP(hidden=(4,))
    plain = model.init([3, 0, 2**32 - 1])
    for seeds in (np.array([3, 0, 2**32 - 1]), torch.tensor([3, 0, 2**32 - 1]), np.array([3, 0, 2**32 - 1], dtype=np.uint32)):
        assert torch.equal(model.init(seeds), plain)
    assert len(plain.unique(dim=0)) == 3


@pytest.mark.parametrize("hidden", [(), (0,), (50, -1), (2.5,), (True,)])
def test_impossible_widths_are_refused(hidden: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="hidden="):
        MLP(hidden=hidden)
