"""Operator learning against a plain loop of PyTorch, and against NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_operators import by_fft
from torch import Tensor

from sciml_lib import Strategy
from sciml_lib.errors import UserError
from sciml_lib.models import MLP, FNO2d
from sciml_lib.optim import Status
from sciml_lib.problems import Batched, OperatorLearning, Validated
from sciml_lib.strategies import MiniBatchAdam, train
from sciml_lib.strategies.loop import MemberResult
from sciml_lib.systems import AdvectionDiffusion, Convection, Poisson

MODEL = FNO2d(n_inputs=4, width=4, modes=3, layers=2, head=5)
EIGHT = {"every": 16, "n_validation": 6, "dtype": torch.float64}


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One cache for all tests of this file."""
    folder = tmp_path_factory.getbasetemp() / "operator-data"
    monkeypatch.setenv("SCIML_CACHE", str(folder))
    return folder


def problem(coefficients: tuple[float, ...] = (2.5, 2.5, 50.0), n_data: Any = (16, 8, 16), **options: Any) -> OperatorLearning:
    return OperatorLearning(Poisson(), MODEL, coefficients, n_data, **{**EIGHT, **options})


def samples(coefficient: float, n: int, split: str = "train") -> tuple[np.ndarray, np.ndarray]:
    """Inputs ``[n, 4, 8, 8]`` and solutions of the first samples, scaled as the released code does, by NumPy."""
    recipe = Poisson().samples(coefficient, 1024, "train", every=16)
    arrays = {name: part.astype(np.float64) for name, part in recipe.generate().items()}
    norms = np.sqrt((arrays["source"] ** 2).sum(axis=(1, 2))) / 64
    medians = np.median(norms), np.median(np.abs(arrays["tensor"]), axis=0)
    if split == "validation":
        recipe = Poisson().samples(coefficient, n, "validation", every=16)
        arrays = {name: part.astype(np.float64) for name, part in recipe.generate().items()}
        norms = np.sqrt((arrays["source"] ** 2).sum(axis=(1, 2))) / 64
    amplitude = (norms / medians[0])[:n]
    fields = np.empty((n, 4, 8, 8))
    fields[:, 0] = arrays["source"][:n] / amplitude[:, None, None]
    fields[:, 1:] = (arrays["tensor"][:n] / medians[1] / amplitude[:, None])[:, :, None, None]
    return fields, arrays["solution"][:n]


def grouped(n: int) -> list[int]:
    return sorted(range(n), key=lambda i: i % 4)


def test_an_epoch_is_that_of_a_plain_loop_with_torchs_adam() -> None:
    """Batches in the order of the groups, the loss in pixels, the schedule, and another network's code."""
    ensemble = problem()
    start = ensemble.init([1, 2, 3])
    stage = MiniBatchAdam(epochs=3, batch_size=4, learning_rate=4e-3)
    found: dict[int, MemberResult] = {}
    train(ensemble, [1, 2, 3], Strategy((stage,)), on_result=found.__setitem__)
    for k, (coefficient, n) in enumerate(((2.5, 16), (2.5, 8), (50.0, 16))):
        fields, solutions = (torch.from_numpy(part) for part in samples(coefficient, n))
        leaves = {name: part[0].clone().requires_grad_() for name, part in MODEL.split(start[k : k + 1]).items()}
        optimiser = torch.optim.Adam(leaves.values(), lr=4e-3)
        for _ in range(3):
            for batch in range(n // 4):
                place = grouped(n)[4 * batch : 4 * batch + 4]
                optimiser.zero_grad()
                loss = (by_fft(MODEL, leaves, fields[place]) - solutions[place]).square().sum() / 4
                loss.backward()
                optimiser.step()
        expected = torch.cat([leaf.detach().ravel() for leaf in leaves.values()])
        torch.testing.assert_close(found[k].params, expected, rtol=1e-8, atol=1e-10)
    assert {one.status for one in found.values()} == {Status.BUDGET_SPENT.label}


def test_what_is_stored_of_a_run_is_what_numpy_computes() -> None:
    ensemble = problem()
    params = ensemble.init([1, 2, 3])
    found = ensemble.evaluate(params)
    for k, (coefficient, n) in enumerate(((2.5, 16), (2.5, 8), (50.0, 16))):
        tensors = {name: part[0] for name, part in MODEL.split(params[k : k + 1]).items()}
        errors = {}
        for split, count in (("train", n), ("validation", 6)):
            fields, truth = samples(coefficient, count, split)
            off = by_fft(MODEL, tensors, torch.from_numpy(fields)).numpy() - truth
            norms = [np.linalg.norm(part.reshape(count, -1), axis=1) for part in (off, truth)]
            errors[split] = (norms[0] / norms[1]).mean(), (norms[0] ** 2).mean()
        assert found.metrics["train_error"][k].item() == pytest.approx(errors["train"][0], rel=1e-6)
        assert found.test_error[k].item() == pytest.approx(errors["validation"][0], rel=1e-6)
        assert found.terms["data"][k].item() == pytest.approx(errors["train"][1], rel=1e-6)
        assert ensemble.validation_error(params)[k].item() == pytest.approx(errors["validation"][1], rel=1e-6)


def test_the_gradient_in_parts_is_that_of_the_whole_and_products_are_those_of_autograd(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ensemble = problem((2.5, 50.0), (10, 8)).weighted({"data": [1.0, 3.0]})
    params = ensemble.init([4, 5])
    x = params.clone().requires_grad_()
    whole = ensemble.loss(x)
    (expected,) = torch.autograd.grad(whole.sum(), x, create_graph=True)
    monkeypatch.setattr("sciml_lib.problems.operator_learning.CHUNK", 4)
    loss, grad = ensemble.value_and_grad(params)
    torch.testing.assert_close(loss, whole.detach(), rtol=1e-12, atol=0)
    torch.testing.assert_close(grad, expected.detach(), rtol=1e-10, atol=1e-12)
    v = torch.randn(params.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    (product,) = torch.autograd.grad(expected, x, v)
    torch.testing.assert_close(ensemble.linearised(params)[2](v), product, rtol=1e-9, atol=1e-9)


def test_a_member_alone_is_what_it_is_among_others() -> None:
    ensemble = problem()
    params = ensemble.init([1, 2, 3])
    one = ensemble.select([2])
    assert isinstance(one, Batched) and isinstance(one, Validated) and one.n_data.tolist() == [16]
    for ours, alone in (
        (ensemble.value_and_grad(params)[1][2:], one.value_and_grad(params[2:])[1]),
        (ensemble.evaluate(params).test_error[2:], one.evaluate(params[2:]).test_error),
        (
            ensemble.minibatch(torch.tensor([1, 1, 1]), 4).value_and_grad(params)[1][2:],
            one.minibatch(torch.tensor([1]), 4).value_and_grad(params[2:])[1],
        ),
    ):
        torch.testing.assert_close(ours, alone, rtol=1e-10, atol=1e-12)


def test_groups_lie_behind_each_other_unless_they_are_mixed() -> None:
    def taken(ensemble: OperatorLearning, order: Tensor | None = None) -> list[Tensor]:
        return [ensemble.minibatch(torch.tensor([k]), 4, order).batches[0].solution for k in range(4)]

    _, truth = samples(2.5, 16)
    expected = torch.from_numpy(truth).movedim(0, -1)
    in_groups, mixed = (taken(problem((2.5,), 16, mixed=one)) for one in (False, True))
    for k in range(4):
        torch.testing.assert_close(in_groups[k], expected[..., k::4], rtol=0, atol=1e-7)
        torch.testing.assert_close(mixed[k], expected[..., 4 * k : 4 * k + 4], rtol=0, atol=1e-7)
    backwards = torch.arange(15, -1, -1)[None]
    torch.testing.assert_close(
        taken(problem((2.5,), 16, mixed=True), backwards)[0], expected[..., 12:].flip(-1), rtol=0, atol=1e-7
    )
    assert problem((2.5,), 16).description != problem((2.5,), 16, mixed=True).description


def test_fewer_samples_are_the_first_of_more_and_are_scaled_alike() -> None:
    few, many = problem((2.5,), 8), problem((2.5,), 2048)
    for one, other in zip(few._data[0].fields["train"], many._data[0].fields["train"], strict=True):
        assert torch.equal(one, other[:8])


def test_the_best_epoch_is_kept_and_training_brings_both_errors_down() -> None:
    ensemble = OperatorLearning(Poisson(), FNO2d(width=6, modes=4, layers=2, head=8), (1.0,), 64, every=16, n_validation=32)
    stage = MiniBatchAdam(epochs=60, batch_size=16, learning_rate=4e-3, keep_best=True)
    found: dict[int, MemberResult] = {}
    train(ensemble, [0], Strategy((stage,)), on_result=found.__setitem__)
    before = ensemble.evaluate(ensemble.init([0]))
    assert found[0].metrics["train_error"] < 0.3 * before.metrics["train_error"].item()
    assert found[0].test_error < 0.5 * before.test_error.item()


def test_the_other_system_has_six_inputs() -> None:
    ensemble = OperatorLearning(AdvectionDiffusion(), FNO2d(n_inputs=6, width=3, modes=2, layers=1, head=3), (0.8,), 5, **EIGHT)
    assert torch.isfinite(ensemble.evaluate(ensemble.init([0])).test_error).all()
    assert ensemble.minibatch(torch.tensor([0]), 32).batches[0].fields.shape == (6, 8, 8, 5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"coefficients": (3.0,)}, "K=3.0 is not the lower end of a range of the poisson system; choose one of 1, 2.5, 5"),
        ({"n_data": 0}, "n_data=0 is impossible"),
        ({"n_data": (4, 4)}, "n_data lists 2 numbers for 1 members"),
        ({"every": 7}, "every=7 does not divide side=128"),
        ({"n_validation": 0}, "n_validation=0 is impossible"),
        ({"model": FNO2d(n_inputs=6)}, r"the poisson system needs FNO2d\(n_inputs=4, ...\), not FNO2d"),
        ({"model": MLP()}, r"needs FNO2d\(n_inputs=4, ...\), not MLP"),
        ({"model": FNO2d(modes=5)}, "modes=5 are more than a grid of 8 x 8 points has; choose at most 4"),
        ({"system": Convection()}, "operator learning needs a system of samples"),
    ],
)
def test_what_does_not_fit_is_one_sentence(change: dict[str, Any], said: str) -> None:
    given = {"system": Poisson(), "model": MODEL, "coefficients": (2.5,), "n_data": 4, **EIGHT, **change}
    with pytest.raises(UserError, match=said):
        OperatorLearning(**given)


def test_samples_that_do_not_fill_their_batches_are_refused() -> None:
    with pytest.raises(UserError, match="n_data=10 samples do not fill batches of 4; choose a multiple of 4"):
        MiniBatchAdam(batch_size=4).check(problem((2.5,), 10))


@pytest.mark.parametrize(
    ("ranges", "said"),
    [
        (((2.5, 1.0),), r"ranges=\(2.5, 1.0\) is not a range of the eigenvalue of the diffusion tensor"),
        (((2.5, 5.0), (1.0, 2.5)), "do not ascend"),
        ((), "do not ascend"),
    ],
)
def test_impossible_ranges_are_refused(ranges: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        Poisson(ranges=ranges)
