"""The Fourier neural operator against the fast Fourier transform with complex weights, and its derivatives against autograd."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from made_operators import by_fft
from torch import Tensor

from sciml_lib.errors import UserError
from sciml_lib.models import FNO2d

SMALL = FNO2d(n_inputs=4, width=5, modes=4, layers=3, head=6)


def drawn(model: FNO2d, members: int, n: int, samples: int, shared: bool = False) -> tuple[Tensor, Tensor]:
    params = model.init(range(members), dtype=torch.float64)
    params = params + 0.1 * torch.randn(params.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    shape = (1 if shared else members, model.n_inputs, n, n, samples)
    return params, torch.randn(shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)


def alone(model: FNO2d, params: Tensor, fields: Tensor, k: int) -> Tensor:
    """Member k by :func:`by_fft`, ``[n, n, B]``."""
    tensors = {name: part[0] for name, part in model.split(params[k : k + 1]).items()}
    return by_fft(model, tensors, fields[min(k, len(fields) - 1)].permute(3, 0, 1, 2)).permute(1, 2, 0)


@pytest.mark.parametrize("n", [8, 9, 16, 30])
@pytest.mark.parametrize("shared", [True, False])
def test_every_member_is_the_operator_by_the_fast_transform(n: int, shared: bool) -> None:
    params, fields = drawn(SMALL, 3, n, 2, shared)
    found = SMALL(params, fields)
    assert found.shape == (3, n, n, 2)
    for k in range(3):
        torch.testing.assert_close(found[k], alone(SMALL, params, fields, k), rtol=1e-12, atol=1e-12)


def test_gradients_and_products_with_the_hessian_are_those_of_the_fast_transform() -> None:
    model = FNO2d(n_inputs=3, width=3, modes=2, layers=2, head=4)
    params, fields = drawn(model, 2, 6, 3)
    v = torch.randn(params.shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)

    def derivatives(evaluate: Any) -> tuple[Tensor, Tensor]:
        x = params.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(evaluate(x).square().sum(), x, create_graph=True)
        return gradient.detach(), torch.autograd.grad(gradient, x, v)[0]

    ours = derivatives(lambda x: model(x, fields))
    theirs = derivatives(lambda x: torch.stack([alone(model, x, fields, k) for k in range(2)]))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def test_the_default_is_the_configuration_of_a_million_parameters() -> None:
    assert FNO2d().n_params == 1_050_321 and FNO2d(n_inputs=6).n_params == 1_050_353
    assert sum(math.prod(shape) for shape in SMALL.tensors.values()) == SMALL.n_params == SMALL.init([0]).shape[1]


def test_initial_numbers_are_those_of_the_rule_and_of_the_seed_alone() -> None:
    one, other = FNO2d(width=8, modes=6).init([7, 8]), FNO2d(width=8, modes=6).init([8])
    assert torch.equal(one[1], other[0]) and not torch.equal(one[0], one[1])
    for name, part in FNO2d(width=8, modes=6).split(one).items():
        if name.endswith("waves"):
            low, high = 0.0, 1 / 64
        else:
            inputs = FNO2d(width=8, modes=6).tensors[name.replace("bias", "weight")][1]
            low, high = -1 / math.sqrt(inputs), 1 / math.sqrt(inputs)
        assert low <= part.min() and part.max() < high
        if part.numel() > 100:
            assert part.mean() == pytest.approx((low + high) / 2, abs=0.1 * (high - low))
            assert part.std() == pytest.approx((high - low) / math.sqrt(12), rel=0.1)


def test_the_curvature_of_the_last_bias_is_twice_the_number_of_points() -> None:
    """In the sum over pixels, averaged over samples: 32,768 on the paper's grid, whatever has been learnt."""
    n, samples = 16, 5
    params, fields = drawn(SMALL, 1, n, samples)
    x = params.requires_grad_()
    loss = (SMALL(x, fields) - 0.3).square().sum() / samples
    (gradient,) = torch.autograd.grad(loss, x, create_graph=True)
    (row,) = torch.autograd.grad(gradient[0, -1], x)
    assert list(SMALL.tensors)[-1] == "out.bias" and row[0, -1].item() == pytest.approx(2 * n**2, rel=1e-12)


def test_a_finer_grid_shows_the_same_operator() -> None:
    """Of smooth inputs: what it learns belongs to functions, not to a grid; orthonormal transforms cancel their scale."""
    params, _ = drawn(SMALL, 1, 8, 1)
    outputs = []
    for n in (32, 64):
        x = 2 * torch.pi * torch.arange(n, dtype=torch.float64) / n
        wave = torch.sin(x[:, None] + 2 * x) + 0.5 * torch.cos(x)[:, None]
        outputs.append(SMALL(params, wave.expand(1, 4, n, n)[..., None])[0, :: n // 32, :: n // 32, 0])
    torch.testing.assert_close(*outputs, rtol=0, atol=1e-3)


def test_single_precision_follows_double() -> None:
    params, fields = drawn(SMALL, 2, 16, 2)
    torch.testing.assert_close(SMALL(params.float(), fields.float()).double(), SMALL(params, fields), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"modes": 0}, "modes=0 is impossible; choose a whole number of at least 1"),
        ({"width": 2.5}, "width=2.5 is not a whole number"),
        ({"layers": True}, "layers=True is not a whole number"),
        ({"head": -1}, "head=-1 is impossible"),
    ],
)
def test_impossible_networks_are_one_sentence(change: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        FNO2d(**change)


def test_more_modes_than_the_grid_has_are_refused() -> None:
    params, fields = drawn(SMALL, 1, 7, 1)
    with pytest.raises(UserError, match="modes=4 are more than a grid of 7 x 7 points has; choose at most 3"):
        SMALL(params, fields)
    with pytest.raises(UserError, match="seeds=-1 is not a seed"):
        SMALL.init([-1])
