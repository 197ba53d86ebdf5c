"""Networks and jets against plain modules and nested automatic differentiation, float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sciml_lib.errors import UserError
from sciml_lib.models import MLP, JetWorkspace, Layout, propagate

ORDERS = [
    (("x", 1), ("t", 1)),
    (("x", 2), ("t", 2)),
    (("x", 2), ("t", 1)),
    (("t", 2),),
]


def ensemble(hidden: tuple[int, ...] = (7, 9, 5), m: int = 3) -> tuple[MLP, Tensor]:
    """A network and perturbed parameters, so that biases are not zero."""
    model = MLP(hidden=hidden)
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


@pytest.mark.parametrize("orders", ORDERS)
@pytest.mark.parametrize("n_jets", [4, 11])
def test_jets_are_the_nested_derivatives(orders: tuple[tuple[str, int], ...], n_jets: int) -> None:
    model, params = ensemble()
    points = torch.rand(11, 2, dtype=torch.float64, generator=generator(2))
    layout = Layout(11, n_jets, orders)
    values, derivatives = layout.split(propagate(model, params, layout.seed(points), layout))
    assert set(derivatives) == {axis * k for axis, order in orders for k in range(1, order + 1)}
    for m, row in enumerate(params):
        expected = nested_derivatives(model.module(row), points)
        torch.testing.assert_close(values[m], expected["u"], rtol=1e-12, atol=1e-12)
        for name, ours in derivatives.items():
            torch.testing.assert_close(ours[m], expected[name][:n_jets], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("orders", ORDERS)
@pytest.mark.parametrize("hidden", [(6,), (5, 8, 3)])
def test_workspace_gives_the_same_jets_and_gradients(orders: tuple[tuple[str, int], ...], hidden: tuple[int, ...]) -> None:
    model, params = ensemble(hidden)
    points = torch.rand(11, 2, dtype=torch.float64, generator=generator(2))
    layout = Layout(11, 6, orders)
    seed = layout.seed(points)
    workspace = JetWorkspace(model, seed, layout, capacity=4)
    for m in (3, 1, 2):  # buffers are larger than the batch, and used again
        p = params[:m].clone().requires_grad_()
        expected = propagate(model, p, seed, layout)
        cotangent = torch.randn(expected.shape, dtype=torch.float64, generator=generator(m))
        (gradient,) = torch.autograd.grad(expected, p, cotangent)
        torch.testing.assert_close(workspace.forward(params[:m]), expected.detach(), rtol=1e-13, atol=1e-13)
        torch.testing.assert_close(workspace.backward(cotangent), gradient, rtol=1e-12, atol=1e-12)


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


@pytest.mark.parametrize("hidden", [(), (0,), (50, -1), (2.5,), (True,)])
def test_impossible_widths_are_refused(hidden: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="hidden="):
        MLP(hidden=hidden)
