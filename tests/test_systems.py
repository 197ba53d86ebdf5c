"""The physics: point sets of the protocol, exact solutions, and every bad coefficient or count."""

from __future__ import annotations

import math

import pytest
import torch

from sciml_lib import systems
from sciml_lib.errors import UserError
from sciml_lib.models import MLP
from sciml_lib.problems import PINN
from sciml_lib.systems import Convection


@pytest.mark.parametrize("beta", [1.0, 5.0, 30.0, 70.0])
def test_the_exact_solution_makes_every_residual_vanish(beta: float) -> None:
    system = Convection()
    jets, points = {}, {}
    for name, block in system.blocks(500).items():
        at = block.points.clone().requires_grad_()
        u = system.solution(at, torch.tensor([[beta]], dtype=torch.float64))
        (d,) = torch.autograd.grad(u.sum(), at)
        jets[name] = {"u": u.detach(), "x": d[None, :, 0], "t": d[None, :, 1]}
        points[name] = block.points
    for name, residual in system.residuals(jets, points, torch.tensor([[beta]], dtype=torch.float64)).items():
        assert residual.abs().max() < 1e-12 * beta, name


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
