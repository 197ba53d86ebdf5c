"""Networks and jets against plain modules and nested automatic differentiation, float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sciml_lib.errors import UserError
from sciml_lib.models import MLP, JetHessian, JetWorkspace, Layout, propagate

COUNTS = [
    (("x", 4), ("t", 4)),
    (("x", 6), ("t", 11)),
    (("x", 5), ("xx", 5), ("t", 5), ("tt", 5)),
    (("x", 5), ("xx", 3), ("t", 9), ("tt", 5)),
    (("x", 11), ("xx", 4), ("t", 4)),
    (("t", 11), ("tt", 11)),
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


@pytest.mark.parametrize("counts", COUNTS)
def test_jets_are_the_nested_derivatives(counts: tuple[tuple[str, int], ...]) -> None:
    model, params = ensemble()
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


@pytest.mark.parametrize("hidden", [(), (0,), (50, -1), (2.5,), (True,)])
def test_impossible_widths_are_refused(hidden: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="hidden="):
        MLP(hidden=hidden)
