"""The PINN problem against a plain module with nested derivatives."""

from __future__ import annotations

import pytest
import torch

from sciml_lib import systems
from sciml_lib.errors import UserError
from sciml_lib.models import MLP
from sciml_lib.problems import PINN
from sciml_lib.problems import pinn as pinn_module

BETAS = [2.0, 11.0, 30.0]


@pytest.fixture
def problem() -> PINN:
    return PINN(systems.get("convection"), MLP(hidden=(9, 7)), BETAS, 60, dtype=torch.float64)


def plain_loss(problem: PINN, member: int, params: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss and gradient as a user would write them: one module, nested ``autograd.grad``."""
    net = problem.model.module(params)
    beta = BETAS[member]
    inner = problem.points["residual"].clone().requires_grad_()
    (d,) = torch.autograd.grad(net(inner).sum(), inner, create_graph=True)
    initial = problem.points["initial"]
    loss = (
        (d[:, 1] + beta * d[:, 0]).square().mean()
        + (net(problem.points["upper"]) - net(problem.points["lower"])).square().mean()
        + (net(initial)[:, 0] - torch.sin(initial[:, 0])).square().mean()
    )
    loss.backward()
    return loss.detach(), torch.cat([p.grad.reshape(-1) for p in net.parameters()])


def test_loss_and_gradient_are_the_plain_ones(problem: PINN) -> None:
    params = problem.init([0, 1, 2])
    loss, grad = problem.value_and_grad(params)
    torch.testing.assert_close(problem.loss(params), loss)
    for m in range(3):
        expected, expected_grad = plain_loss(problem, m, params[m])
        torch.testing.assert_close(loss[m], expected, rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(grad[m], expected_grad, rtol=1e-10, atol=1e-13)


def test_groups_do_not_change_the_numbers(problem: PINN, monkeypatch: pytest.MonkeyPatch) -> None:
    params = problem.init([0, 1, 2])
    loss, grad = problem.value_and_grad(params)
    monkeypatch.setattr(pinn_module, "CPU_WORKSPACE_BYTES", 1)
    assert problem.group_size == 1
    one_by_one = problem.value_and_grad(params)
    torch.testing.assert_close(one_by_one[0], loss, rtol=1e-12, atol=0)
    torch.testing.assert_close(one_by_one[1], grad, rtol=1e-10, atol=1e-12)


def test_second_derivatives_of_the_loss_exist(problem: PINN) -> None:
    """The differentiable path is what Hessian products will use."""
    params = problem.init([0, 1, 2]).requires_grad_()
    (grad,) = torch.autograd.grad(problem.loss(params).sum(), params, create_graph=True)
    v = torch.randn(params.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    (hv,) = torch.autograd.grad((grad * v).sum(), params)
    eps = 1e-5
    ahead, behind = (problem.value_and_grad(params.detach() + s * eps * v)[1] for s in (1, -1))
    torch.testing.assert_close(hv, (ahead - behind) / (2 * eps), rtol=1e-5, atol=1e-6)


def test_test_error_is_relative_l2(problem: PINN) -> None:
    params = problem.init([0, 1, 2])
    points = problem.system.test_points()
    for m, error in enumerate(problem.test_error(params)):
        exact = torch.sin(points[:, 0] - BETAS[m] * points[:, 1])
        ours = problem.model.module(params[m])(points)[:, 0]
        assert error.item() == pytest.approx(((ours - exact).norm() / exact.norm()).item(), rel=1e-12)
    flat = torch.zeros_like(params)
    torch.testing.assert_close(problem.test_error(flat), torch.ones(3, dtype=torch.float64))


def test_select_repeats_and_orders(problem: PINN) -> None:
    params = problem.init([0, 1, 2])
    chosen = problem.select([2, 0, 2])
    torch.testing.assert_close(chosen.loss(params[[2, 0, 2]]), problem.loss(params)[[2, 0, 2]])


def test_an_empty_ensemble_and_a_wrong_network_are_refused() -> None:
    with pytest.raises(UserError, match="coefficients is empty"):
        PINN(systems.get("convection"), MLP(), [], 100)
    with pytest.raises(UserError, match="n_inputs=2"):
        PINN(systems.get("convection"), MLP(n_inputs=3), [5.0], 100)
