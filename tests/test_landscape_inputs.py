"""What people give the tools for landscapes: losses of every kind, large networks, and what cannot work."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sciml_lib import systems
from sciml_lib.errors import UserError
from sciml_lib.landscape import (
    HessianOperator,
    Recorder,
    StepRecorder,
    adaptive_radius,
    along,
    bezier,
    connectivity,
    hutch_pp,
    hutchinson,
    lanczos,
    losses,
    normalised,
    power_iteration,
    power_law,
    random_directions,
    slq,
    straight,
    surface,
    train_bezier,
)
from sciml_lib.models import MLP
from sciml_lib.problems import PINN

# PyTorch's own forward differentiation still calls it.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

PARAMS, CENTER, PLANE = torch.ones(2, 4), torch.ones(4), torch.eye(4)[:2]
NAN = torch.tensor([[1.0, 2.0, 3.0, math.nan], [1.0, 1.0, 1.0, 1.0]])
WHOLE = torch.ones(2, 4, dtype=torch.long)
COMPLEX = torch.ones(2, 4, dtype=torch.complex64)
NET = nn.Linear(3, 1)


def square(x: Tensor) -> Tensor:
    return x.square().sum(dim=1)


def operator() -> HessianOperator:
    return HessianOperator.of_loss(square, PARAMS)


def problem() -> PINN:
    return PINN(systems.get("convection"), MLP(hidden=(4,)), [1.0, 2.0], 8)


class OfOne:
    """An objective that gives one loss for all members."""

    def value_and_grad(self, params: Tensor) -> tuple[Tensor, Tensor]:
        return params.sum(), params

    def select(self, index: list[int]) -> OfOne:
        return self


# --- a network whose residual is made by differentiating it by its inputs -------------------------------------------


class Pinn:
    """The loss of u' = -u, u(0) = 1 as one writes it for a network of PyTorch, at any rows of flat parameters."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(1, 6), nn.Tanh(), nn.Linear(6, 1)).double()
        self.x = torch.linspace(0, 1, 9, dtype=torch.float64)[:, None]
        self.center = nn.utils.parameters_to_vector(self.net.parameters())  # needs a gradient, as it does for people

    def u(self, row: Tensor, x: Tensor) -> Tensor:
        named = dict(self.net.named_parameters())
        parts = row.split([p.numel() for p in named.values()])
        weights = {name: part.view_as(p) for (name, p), part in zip(named.items(), parts, strict=True)}
        return torch.func.functional_call(self.net, weights, (x,))

    def one(self, row: Tensor) -> Tensor:
        x = self.x.clone().requires_grad_()
        u = self.u(row, x)
        (slope,) = torch.autograd.grad(u.sum(), x, create_graph=True)
        return (slope + u).square().mean() + (self.u(row, torch.zeros_like(x[:1])) - 1.0).square().sum()

    def __call__(self, rows: Tensor) -> Tensor:
        return torch.stack([self.one(row) for row in rows])

    def by_hand(self, row: Tensor) -> Tensor:
        """The same with the derivative of the network written out, so that nothing is differentiated."""
        w, b, v, c = row.split([6, 6, 6, 1])
        h = torch.tanh(self.x * w + b)  # [n, 6]
        u, slope = h @ v + c, ((1.0 - h**2) * w) @ v
        return (slope + u).square().mean() + (torch.tanh(b) @ v + c - 1.0).square().sum()


@pytest.mark.parametrize("grad_enabled", [True, False])
def test_losses_that_differentiate_by_their_inputs_work_in_every_tool(grad_enabled: bool) -> None:
    loss = Pinn()
    plane = random_directions(loss.center, 0)
    with torch.set_grad_enabled(grad_enabled):
        found = surface(loss, loss.center, plane, radius=0.3, resolution=5, progress=False)
        for i, alpha in enumerate(found.alpha):
            for j, beta in enumerate(found.beta):
                expected = loss.by_hand((loss.center + alpha * plane[0] + beta * plane[1]).detach())
                assert found.loss[i, j].item() == pytest.approx(expected.item(), rel=1e-10)
        radius = adaptive_radius(loss, loss.center, plane[0], rise=3.0)
        ends = [loss.by_hand((loss.center + sign * radius * plane[0]).detach()).item() for sign in (1, -1)]
        assert max(ends) >= 3.0 * loss.by_hand(loss.center.detach()).item() > 0
        a, b = loss.center[None], loss.center[None] + plane[:1]
        middle = along(loss, straight(a, b, [0.0, 0.5, 1.0]))[1, 0].item()
        assert middle == pytest.approx(loss.by_hand((0.5 * (a + b))[0].detach()).item(), rel=1e-10)
        hessian = torch.func.hessian(loss.by_hand)(loss.center.detach())
        pairs = lanczos(HessianOperator.of_loss(loss, loss.center[None]), 2)
    torch.testing.assert_close(pairs.values[0], torch.linalg.eigvalsh(hessian).flip(0)[:2], rtol=1e-6, atol=0)
    assert not any(x.requires_grad for x in (found.loss, found.directions, pairs.vectors))


# --- complex parameters ---------------------------------------------------------------------------------------------

SCALES = torch.tensor([1.0, 2.0, 3.0, 10.0])


def modulus(w: Tensor) -> Tensor:
    return (SCALES * w.abs().square()).sum(dim=1)


@pytest.mark.parametrize(
    "call",
    [
        lambda w: HessianOperator.of_loss(modulus, w),
        lambda w: HessianOperator.of_problem(problem(), w),
        lambda w: operator()(w),
        lambda w: surface(modulus, w[0], PLANE),
        lambda w: surface(square, CENTER, w),
        lambda w: adaptive_radius(modulus, w[0], CENTER),
        lambda w: adaptive_radius(square, CENTER, w[0]),
        lambda w: random_directions(w[0], 0),
        lambda w: normalised(w, CENTER, [(4,)], "tensor"),
        lambda w: straight(w, PARAMS, [0.5]),
        lambda w: bezier(PARAMS, w, PARAMS, [0.5]),
        lambda w: along(modulus, [w]),
        lambda w: train_bezier(OfOne(), w, w),
        lambda w: Recorder(every=1, start=w),
        lambda w: StepRecorder(w),
    ],
)
def test_complex_parameters_are_refused(call: Callable[[Tensor], object]) -> None:
    with pytest.raises(UserError, match=r"is complex \(complex64\); give torch.view_as_real\(.*\).flatten\(-2\) instead"):
        call(COMPLEX)


def test_the_pairs_that_are_asked_for_instead_have_the_whole_spectrum() -> None:
    """Differentiated as complex numbers this loss had the eigenvalues 20, 6, 4, 2 and half of its trace."""
    pairs = torch.view_as_real(torch.ones(1, 4, dtype=torch.complex64)).flatten(-2)
    found = HessianOperator.of_loss(lambda x: modulus(torch.view_as_complex(x.unflatten(1, (-1, 2)))), pairs)
    assert lanczos(found, 3).values[0].tolist() == pytest.approx([20.0, 20.0, 6.0], rel=1e-4)
    assert hutchinson(found).value.item() == pytest.approx(64.0, rel=1e-4)


# --- memory ---------------------------------------------------------------------------------------------------------


def test_few_points_of_a_large_network_are_evaluated_at_a_time() -> None:
    def points(n_params: int, dtype: torch.dtype = torch.float32) -> int:
        return losses.points_at_a_time(torch.empty(n_params, dtype=dtype, device="meta"))

    assert points(500) == losses.MOST_POINTS  # nothing changes for networks as small as those of the paper
    for n_params in (10**6, 11_173_962, 25_557_032):  # up to a ResNet-50
        for dtype, itemsize in ((torch.float32, 4), (torch.float64, 8)):
            assert points(n_params, dtype) * losses.VECTORS * n_params * itemsize <= losses.CPU_BYTES
    assert points(10**6) > 3 * points(10**7) > 0
    assert points(10**10) == 1
    assert losses.points_at_a_time(torch.empty(10**10, device="meta"), chunk=7) == 7


def test_points_that_fit_the_memory_change_nothing_but_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def loss(x: Tensor) -> Tensor:
        sizes.append(len(x))
        return (x @ torch.linspace(1, 2, 40, dtype=torch.float64)).square() + x.sin().sum(dim=1)

    center = torch.linspace(-1, 1, 40, dtype=torch.float64)
    plane = random_directions(center, 0)
    whole = surface(loss, center, plane, resolution=9, progress=False)
    assert sizes == [81]
    sizes.clear()
    monkeypatch.setattr(losses, "CPU_BYTES", 5 * losses.VECTORS * 40 * 8 + 1)
    parts = surface(loss, center, plane, resolution=9, progress=False)
    assert max(sizes) == 5 and sum(sizes) == 81
    torch.testing.assert_close(parts.loss, whole.loss, rtol=1e-12, atol=1e-12)


def test_curves_hold_one_point_at_a_time() -> None:
    """All points of this curve would take 80 GB."""
    a, b = torch.zeros(2, 5000, dtype=torch.float64), torch.ones(2, 5000, dtype=torch.float64)
    t = torch.linspace(0, 1, 1_000_001, dtype=torch.float64)
    for curve in (straight(a, b, t), bezier(a, 0.5 * (a + b), b, t)):
        assert len(curve) == 1_000_001
        torch.testing.assert_close(curve[250_000], torch.full_like(a, 0.25))
        torch.testing.assert_close(curve[-1], b)
        with pytest.raises(IndexError):
            curve[1_000_001]
    alive: list[int] = []
    kept: list[Tensor] = []

    def points() -> object:
        for i in range(5):
            kept.append(torch.full((2, 3), float(i)))
            alive.append(sum(point is not None for point in kept))
            yield kept[-1]
            kept[i] = None

    assert along(lambda x: x.sum(dim=1), points())[:, 0].tolist() == [0.0, 3.0, 6.0, 9.0, 12.0]
    assert max(alive) == 1


# --- power laws -----------------------------------------------------------------------------------------------------


def pareto(alpha: float, n: int, seed: int = 0) -> np.ndarray:
    """Step lengths whose reciprocals follow a power law exactly."""
    return (1.0 - np.random.default_rng(seed).random(n)) ** (1.0 / (alpha - 1.0))


@pytest.mark.parametrize("n", [200, 2000])
@pytest.mark.parametrize("alpha", [1.8, 2.5, 3.5])
def test_exponents_of_exact_samples_are_found_above_3_too(alpha: float, n: int) -> None:
    law = power_law(pareto(alpha, n))
    assert law.valid and law.n_tail >= 50
    assert abs(law.alpha - alpha) < 4.0 * law.sigma < (1.6 if n == 200 else 0.6)


def test_a_bound_is_kept_where_it_is_asked_for() -> None:
    bounded = power_law(pareto(3.5, 300), largest=3.0)
    assert bounded.alpha <= 3.0 + 1e-6
    assert power_law(pareto(3.5, 300)).alpha > 3.0


def test_a_tail_of_a_few_points_is_no_law() -> None:
    """With a bound of 3 these samples of a law of 3.5 are fitted to a handful of points, 2.65 for one."""
    short = [power_law(pareto(3.5, 300, seed), largest=3.0) for seed in range(12)]
    assert any(law.in_range and law.n_tail < 50 for law in short)
    assert all(law.valid == (law.in_range and law.n_tail >= 50) for law in short)
    few = power_law(pareto(2.0, 49))
    assert few.in_range and not few.valid


# --- what cannot work -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "said"),
    [
        # not an ensemble
        (lambda: HessianOperator.of_loss(square, CENTER), r"params of shape \[4\] is no ensemble; give \[M, P\], such as"),
        (lambda: HessianOperator.of_loss(square, PARAMS[:0]), r"params of shape \[0, 4\]"),
        (lambda: HessianOperator.of_loss(square, [[1.0]]), "params is of the type list; give a tensor"),
        (lambda: HessianOperator.of_loss(square, WHOLE), r"params holds int64 numbers.*give params.double\(\)"),
        (lambda: HessianOperator.of_loss(square, NAN), "member 0 has parameters that are not finite"),
        (lambda: HessianOperator.of_problem(problem(), CENTER), r"params of shape \[4\]"),
        (lambda: HessianOperator.of_problem(problem(), problem().init([0])), r"params have shape \[1, 17\].*needs \[2, 17\]"),
        (lambda: HessianOperator.of_problem(problem(), PARAMS), r"params have shape \[2, 4\]; this problem needs \[2, 17\]"),
        (
            lambda: HessianOperator.of_problem(problem(), problem().init([0, 1]).double()),
            r"params are float64 and the problem computes in float32; give params.to\(torch.float32\)",
        ),
        # not a loss
        (lambda: HessianOperator.of_loss(NET, PARAMS), r"loss is a network \(Linear\).*functional_call"),
        (lambda: HessianOperator.of_loss(0.5, PARAMS), "loss is of the type float; give a function"),
        (lambda: HessianOperator.of_loss(lambda x: x.sum(), PARAMS), r"loss gave shape \[\]; .* each of 2 points"),
        (lambda: HessianOperator.of_loss(lambda x: 3.0, PARAMS), "loss gave a float; it must give a tensor"),
        (lambda: HessianOperator.of_loss(lambda x: square(x) * 1j, PARAMS), "loss gave complex numbers"),
        (lambda: HessianOperator.of_loss(lambda x: square(x).detach(), PARAMS), "without a gradient; leave out torch.no_grad"),
        (lambda: HessianOperator.of_loss(square, PARAMS, chunk=1.5), "chunk=1.5 is impossible"),
        (lambda: HessianOperator.of_problem(NET, PARAMS), "a Linear has no linearised and no value; HessianOperator.of_loss"),
        (lambda: surface(NET, CENTER, PLANE), "loss is a network"),
        (lambda: adaptive_radius(NET, CENTER, CENTER), "loss is a network"),
        (lambda: along(NET, [PARAMS]), "function is a network"),
        (lambda: along(problem(), [PARAMS]), "function is of the type PINN"),
        (lambda: adaptive_radius(torch.sum, CENTER, CENTER), r"loss gave shape \[\]"),
        (lambda: along(torch.sum, [PARAMS]), r"function gave shape \[\]"),
        # products and what is made of them
        (lambda: operator()(CENTER), r"v has shape \[4\]; these Hessians multiply vectors of shape \[2, 4\]"),
        (lambda: operator()(PARAMS[:, :3]), r"v has shape \[2, 3\]"),
        (lambda: operator()(WHOLE), "v holds int64 numbers"),
        (lambda: lanczos(problem()), "operator is of the type PINN; make one by HessianOperator.of_problem"),
        (lambda: power_iteration(PARAMS), "operator is of the type Tensor"),
        (lambda: hutchinson(square), "operator is of the type function"),
        (lambda: hutch_pp(None), "operator is of the type NoneType"),
        (lambda: slq(NET), "operator is of the type Linear"),
        (lambda: lanczos(operator(), 5), "k=5 is impossible; choose a whole number from 1 to 4"),
        (lambda: lanczos(operator(), 1.0), "k=1.0 is impossible"),
        (lambda: lanczos(operator(), True), "k=True is impossible"),
        (lambda: lanczos(operator(), tolerance="1e-3"), "tolerance='1e-3' is impossible"),
        (lambda: lanczos(operator(), max_steps=2.5), "max_steps=2.5 is impossible"),
        (lambda: power_iteration(operator(), steps=math.inf), "steps=inf is impossible"),
        (lambda: hutchinson(operator(), probes="100"), "probes='100' is impossible"),
        (lambda: hutchinson(operator(), tolerance=math.nan), "tolerance=nan is impossible"),
        (lambda: hutch_pp(operator(), products=99.0), "products=99.0 is impossible"),
        (lambda: slq(operator(), steps=None), "steps=None is impossible"),
        (lambda: slq(operator(), starts=-1), "starts=-1 is impossible"),
        (lambda: slq(operator(), seeds=3), "seeds=3 is not a list; give one seed for each of 2 members"),
        (lambda: lanczos(operator(), seeds="01"), "seeds='01' is not a list"),
        (lambda: lanczos(operator(), seeds=[0.5, 1]), r"seeds\[0\]=0.5 is impossible"),
        (lambda: lanczos(operator(), seeds=[0, 2**32]), r"seeds\[1\]=4294967296 is impossible"),
        (lambda: slq(operator()).density([0.0], 1.0), "grid is of the type list"),
        (lambda: slq(operator()).density(torch.zeros(2, 2), 1.0), r"grid has shape \[2, 2\]"),
        (lambda: slq(operator()).density(torch.zeros(2), [1.0, 1.0, 1.0]), "one for each of 2 members"),
        (lambda: slq(operator()).density(torch.zeros(2), "wide"), "width=wide is impossible"),
        (lambda: slq(operator()).moment(-1), "p=-1 is impossible"),
        # surfaces
        (lambda: surface(square, PARAMS, PLANE), r"center has shape \[2, 4\]; give the parameters of one member \[P\]"),
        (lambda: surface(square, NAN[0], PLANE), "center is not finite in 1 of 4 entries"),
        (lambda: surface(square, WHOLE[0], PLANE), "center holds int64 numbers"),
        (lambda: surface(square, CENTER, WHOLE), "directions holds int64 numbers"),
        (lambda: surface(square, CENTER, torch.eye(4)), r"directions have shape \[4, 4\].*give directions of shape \[2, 4\]"),
        (lambda: surface(square, CENTER, [CENTER, CENTER]), "directions is of the type list"),
        (lambda: surface(square, CENTER, PLANE.double()), r"directions are torch.float64.*directions.to\(center\)"),
        (lambda: surface(square, CENTER, PLANE, radius="wide"), "radius='wide' is impossible"),
        (lambda: surface(square, CENTER, PLANE, radius=math.inf), "radius=inf is impossible"),
        (lambda: surface(square, CENTER, PLANE, resolution=11.0), "resolution=11.0 is impossible"),
        (lambda: surface(square, CENTER, PLANE, chunk=-3), "chunk=-3 is impossible"),
        (lambda: surface(square, CENTER, PLANE, chunk=2.5), "chunk=2.5 is impossible"),
        (lambda: adaptive_radius(square, NAN[0], CENTER), "center is not finite"),
        (lambda: adaptive_radius(square, CENTER, NAN[0]), "must be finite and not zero"),
        (lambda: adaptive_radius(square, CENTER, CENTER, rise="x"), "rise='x' is impossible"),
        (lambda: adaptive_radius(square, CENTER, CENTER, bounds=3.0), "bounds=3.0 are impossible; choose two radii"),
        (lambda: adaptive_radius(square, CENTER, CENTER, bounds=("a", "b")), r"bounds\[0\]='a' is impossible"),
        (lambda: adaptive_radius(square, CENTER, CENTER, tolerance=0), "tolerance=0 is impossible"),
        (lambda: random_directions(CENTER, -1), "seed=-1 is impossible"),
        (lambda: random_directions(CENTER, 0.5), "seed=0.5 is impossible"),
        (lambda: random_directions(PARAMS, 0), r"center has shape \[2, 4\]"),
        (lambda: normalised(PLANE, CENTER, [4], "tensor"), r"shapes=\[4\] are none; give the shape of every parameter tensor"),
        (lambda: normalised(CENTER, CENTER, [(4,)], "tensor"), r"give directions of shape \[k, 4\]"),
        # curves
        (lambda: straight(NAN, PARAMS, [0.5]), "member 0 has parameters that are not finite"),
        (lambda: straight(WHOLE, PARAMS, [0.5]), "a holds int64 numbers"),
        (lambda: straight(PARAMS, PARAMS.double(), [0.5]), r"b is torch.float64.*give b.to\(a\)"),
        (lambda: straight(PARAMS, PARAMS, 0.5), "t must be places on the curve in one row"),
        (lambda: straight(PARAMS, PARAMS, []), "t must be places"),
        (lambda: straight(PARAMS, PARAMS, ["0"]), "t must be places"),
        (lambda: bezier(PARAMS, PARAMS, PARAMS, [math.nan]), "t must be places"),
        (lambda: along(square, []), "points are empty"),
        (lambda: along(square, PARAMS), r"points\[0\] of shape \[4\] is no ensemble"),
        (lambda: train_bezier(square, PARAMS, PARAMS), "a function has no value_and_grad and no select; give a problem"),
        (lambda: train_bezier(problem(), PARAMS, PARAMS), r"params have shape \[2, 4\]; this problem needs \[2, 17\]"),
        (lambda: train_bezier(OfOne(), PARAMS, PARAMS, points=5.0), "points=5.0 is impossible"),
        (lambda: train_bezier(OfOne(), PARAMS, PARAMS, solver="lbfgs"), "solver is of the type str; choose an LBFGS"),
        (lambda: train_bezier(OfOne(), PARAMS, PARAMS), r"objective gave shape \[\]; it must give one number for each of 2"),
        (lambda: connectivity([[1.0], [2.0], [1.0]]), "losses is of the type list"),
        # step lengths and watchers
        (lambda: power_law(["0.1", "0.2", "0.3", "0.4"]), "steps must be the lengths of one member's steps, in one row"),
        (lambda: power_law(None), "steps must be"),
        (lambda: power_law([[1.0, 2.0], [3.0]]), "steps must be"),
        (lambda: power_law(torch.ones(5, dtype=torch.complex64)), "steps must be"),
        (lambda: power_law([0.1, math.nan]), "steps must be"),
        (lambda: power_law([0.1, 0.2, 0.3, 0.4], largest=1.0), "largest=1.0 is impossible; choose a number above 1"),
        (lambda: power_law([0.1, 0.2, 0.3, 0.4], largest="3"), "largest='3' is impossible"),
        (lambda: Recorder(every=1.5), "every=1.5 is impossible"),
        (lambda: Recorder(at=[0.5]), r"at\[0\]=0.5 is impossible"),
        (lambda: Recorder(at="0"), "at='0' lists no iterations"),
        (lambda: Recorder(at=20), "at=20 lists no iterations"),
        (lambda: Recorder(every=1, start=CENTER), r"start of shape \[4\] is no ensemble"),
        (lambda: StepRecorder(CENTER), r"start of shape \[4\] is no ensemble"),
        (lambda: StepRecorder(WHOLE), "start holds int64 numbers"),
    ],
)
def test_bad_inputs_are_refused_in_one_sentence(call: Callable[[], object], said: str) -> None:
    with pytest.raises(UserError, match=said) as refused:
        call()
    assert "\n" not in str(refused.value)
