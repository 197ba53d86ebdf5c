"""The checks for parts of one's own: all parts of the library pass, and broken ones are told what is wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from sciml_lib import systems
from sciml_lib.models import MLP
from sciml_lib.optim import Cosine, EnsembleState, Status
from sciml_lib.problems import PINN, NeuralODE
from sciml_lib.strategies import LBFGS, NNCG, Adam, AugmentedLagrangian, Curriculum, MiniBatchAdam, RoPINN
from sciml_lib.systems import Block, Convection, Dynamics, Pendulum, SpaceTimeSystem
from sciml_lib.testing import check_stage, check_system

SOLVER = LBFGS(max_iterations=6, history=5)

STAGES = [
    Adam(12),
    Adam(12, schedule=Cosine()),
    LBFGS(max_iterations=12, history=4),
    NNCG(steps=4, rank=5, cg_iterations=10),
    MiniBatchAdam(epochs=3, batch_size=4),
    MiniBatchAdam(epochs=3, batch_size=4, shuffle=True),
    AugmentedLagrangian(outer=3, inner=SOLVER),
    AugmentedLagrangian(outer=3, inner=SOLVER, keep_history=True),
    RoPINN(calls=4, solver=LBFGS(max_iterations=5, max_evaluations=7, history=5)),
    Curriculum(n_stages=4, step=1.5, solver=SOLVER),
]


# --- stages ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: type(stage).__name__)
def test_every_stage_of_the_library_passes(stage: Any) -> None:
    check_stage(stage)


def test_a_stage_is_checked_on_the_problem_that_is_given() -> None:
    network = MLP(hidden=(5,), n_inputs=2, n_outputs=2, initial="linear")
    check_stage(
        LBFGS(max_iterations=10, history=4), NeuralODE(Pendulum(), network, [1.0, 2.0, 4.0], [9, 7, 9], dtype=torch.float64)
    )


@dataclass
class DescentState(EnsembleState):
    """Adds the running mean of the gradient, ``[M, P]``."""

    mean: Tensor


@dataclass(frozen=True)
class Descent:
    """Gradient descent with momentum: a stage as somebody may write it, and right."""

    steps: int = 12
    rate: float = 0.05

    def expected_evaluations(self, problem: Any) -> int:
        return self.steps

    def bytes_per_member(self, problem: Any) -> int:
        return 3 * problem.n_params * problem.dtype.itemsize

    def init(self, problem: Any, params: Tensor, seeds: Any = None) -> DescentState:
        return DescentState.fresh(params, mean=torch.zeros_like(params))

    def step(self, problem: Any, state: DescentState) -> DescentState:
        running = state.status == Status.RUNNING
        loss, grad = problem.value_and_grad(state.params)
        finite = torch.isfinite(loss) & torch.isfinite(grad).all(dim=1)
        state.evaluations += running
        state.status[running & ~finite] = int(Status.DIVERGED)
        moving = running & finite
        state.iterations += moving
        self.move(state, torch.where(moving[:, None], grad, 0.0), moving)
        state.loss.copy_(loss)
        state.status[(state.status == Status.RUNNING) & (state.iterations >= self.steps)] = int(Status.BUDGET_SPENT)
        return state

    def move(self, state: DescentState, grad: Tensor, moving: Tensor) -> None:
        state.mean.lerp_(grad, 0.1)
        fall = self.rate / (1.0 + state.iterations.double())
        state.params.sub_(torch.where(moving[:, None], fall[:, None] * state.mean, 0.0))


def test_a_right_stage_of_ones_own_passes() -> None:
    check_stage(Descent())


@dataclass(frozen=True)
class OneCount(Descent):
    """Member 0's count stands for that of all."""

    def move(self, state: DescentState, grad: Tensor, moving: Tensor) -> None:
        state.mean.lerp_(grad, 0.1)
        state.params.sub_(torch.where(moving[:, None], self.rate / (1.0 + state.iterations[0].item()) * state.mean, 0.0))


@dataclass(frozen=True)
class OneNorm(Descent):
    """The gradient is scaled by the norm over all members."""

    def move(self, state: DescentState, grad: Tensor, moving: Tensor) -> None:
        super().move(state, grad / grad.norm().clamp(min=1e-12), moving)


VELOCITY: dict[int, Tensor] = {}


@dataclass(frozen=True)
class Remembering(Descent):
    """The velocity stands in a table beside the state."""

    def move(self, state: DescentState, grad: Tensor, moving: Tensor) -> None:
        before = VELOCITY.get(len(grad), torch.zeros_like(grad))
        VELOCITY[len(grad)] = 0.9 * before + grad
        state.params.sub_(torch.where(moving[:, None], self.rate * VELOCITY[len(grad)], 0.0))


@dataclass(frozen=True)
class OnItself(Descent):
    """The velocity stands on the stage."""

    def move(self, state: DescentState, grad: Tensor, moving: Tensor) -> None:
        object.__setattr__(self, "velocity", 0.9 * getattr(self, "velocity", 0.0) + grad.sum())
        super().move(state, grad, moving)


@dataclass(frozen=True)
class Restless(Descent):
    """Members that have ended move on."""

    def move(self, state: DescentState, grad: Tensor, moving: Tensor) -> None:
        state.mean.lerp_(grad, 0.1)
        state.params.sub_(self.rate * state.mean)


@dataclass(frozen=True)
class Blind(Descent):
    """Does not look whether the loss is finite."""

    def step(self, problem: Any, state: DescentState) -> DescentState:
        running = state.status == Status.RUNNING
        grad = problem.value_and_grad(state.params)[1]
        state.evaluations += running
        state.iterations += running
        self.move(state, torch.where(running[:, None], grad, 0.0), running)
        state.status[running & (state.iterations >= self.steps)] = int(Status.BUDGET_SPENT)
        return state


@dataclass(frozen=True)
class Endless(Descent):
    """Forgets its budget."""

    def step(self, problem: Any, state: DescentState) -> DescentState:
        return replace(self, steps=10**9)._once(problem, state)

    def _once(self, problem: Any, state: DescentState) -> DescentState:
        return Descent.step(self, problem, state)


@dataclass(frozen=True)
class OneNumber(Descent):
    """The state holds a number that is nobody's."""

    def init(self, problem: Any, params: Tensor, seeds: Any = None) -> DescentState:
        return DescentState.fresh(params, mean=torch.zeros(3))


class Undecorated(Descent):
    rate_of_decay: float = 0.5


@dataclass(frozen=True)
class NotPlain(Descent):
    device: Any = field(default_factory=lambda: torch.device("cpu"))


@dataclass
class Thawed(Descent.__base__):
    steps: int = 3


@dataclass(frozen=True)
class Wordless(Descent):
    words: str = ""


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        (OneCount(), "OneCount trains member 2 otherwise when it enters later than others.*each member's own row"),
        (OneNorm(), "OneNorm .*; reduce over the last axis only"),
        (Remembering(), "Remembering ends elsewhere when .*; keep every number that it remembers in the state"),
        (OnItself(), "OnItself stores velocity on itself while it trains; keep every number that it remembers in the state"),
        (
            Restless(),
            "Restless.step changes params of a member that has ended; change only rows with state.status == Status.RUN",
        ),
        (
            Blind(),
            "Blind ends a member whose loss turned NaN as budget_spent, at parameters that are NaN; set Status.DIVERGED where",
        ),
        (Endless(), "Endless does not end: set Status.BUDGET_SPENT where its budget is used up"),
        (OneNumber(), r"OneNumber.init: state.mean is \[3\] for 5 members; let it have one row a member"),
        (Undecorated(), "Undecorated.rate_of_decay=0.5 is no field.*write `rate_of_decay: float = 0.5` in a class with @datac"),
        (NotPlain(), "NotPlain cannot be written into a recipe .*; let its fields be numbers, texts"),
        (Thawed(), "Thawed must be an object of a frozen dataclass"),
        (Descent, "Descent must be an object of a frozen dataclass"),
        (Wordless(), "Wordless.words=''; let it be a property that says what it does"),
        (Descent(steps=5_000), "Descent expects 5,000 evaluations of each member; check one with a budget of about 30"),
        (
            MiniBatchAdam(epochs=3, batch_size=2, updates=1),
            r"MiniBatchAdam refuses a PINN and a neural ODE \(updates=1 .*problem=",
        ),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_a_broken_stage_is_told_what_is_wrong(stage: Any, said: str) -> None:
    VELOCITY.clear()
    with pytest.raises(AssertionError, match=said) as error:
        check_stage(stage)
    assert "\n" not in str(error.value)


def test_what_a_stage_raises_becomes_a_sentence_and_keeps_its_traceback() -> None:
    @dataclass(frozen=True)
    class Slip(Descent):
        def move(self, state: DescentState, grad: Tensor, moving: Tensor) -> None:
            state.momentum.add_(grad)

    with pytest.raises(AssertionError, match=r"Slip raised AttributeError in the first step: .*'momentum'") as error:
        check_stage(Slip())
    assert isinstance(error.value.__cause__, AttributeError)


# --- systems ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(systems.SYSTEMS))
def test_every_system_of_the_library_passes(name: str) -> None:
    check_system(systems.get(name))


def test_other_constants_coefficients_and_grids_pass() -> None:
    check_system(systems.Wave(beta=3.0), [0.5, 4.0])
    check_system(Convection().on_grid(8))
    check_system(Pendulum(dt=0.1), [Pendulum.coefficient_of(0.1), 1.0])


class Heat(SpaceTimeSystem):
    """u_t = a u_xx on [0, 1], u = sin(pi x) at t = 0: an equation as somebody may write it, and right."""

    name, coefficient_name, coefficient_range = "heat", "a", (0.0, math.inf)
    x_range = (0.0, 1.0)

    def blocks(self, n: int, data_seed: Any = 0) -> dict[str, Block]:
        edges = self.edges()
        return {"residual": Block(self.collocation(n, data_seed), ("xx", "t")), **{key: Block(p) for key, p in edges.items()}}

    def residuals(self, jets: Any, points: Any, coefficient: Tensor) -> dict[str, Tensor]:
        inner, x = jets["residual"], points["initial"][..., 0]
        return {
            "residual": inner["t"] - coefficient * inner["xx"],
            "initial": jets["initial"]["u"] - torch.sin(math.pi * x),
            "ends": jets["upper"]["u"] + jets["lower"]["u"],
        }

    def solution(self, points: Tensor, coefficient: Tensor) -> Tensor:
        x, t = points[..., 0], points[..., 1]
        return torch.sin(math.pi * x) * torch.exp(-(math.pi**2) * coefficient * t)


class WrongSign(Heat):
    def residuals(self, jets, points, coefficient):
        return {
            **super().residuals(jets, points, coefficient),
            "residual": jets["residual"]["t"] + coefficient * jets["residual"]["xx"],
        }


class WrongShape(Heat):
    def residuals(self, jets, points, coefficient):
        return {key: value.mean(dim=1) for key, value in super().residuals(jets, points, coefficient).items()}


class UnknownDerivative(Heat):
    def blocks(self, n, data_seed=0):
        return {"residual": Block(self.collocation(n, data_seed), ("xt",))}


class NotCarried(Heat):
    def blocks(self, n, data_seed=0):
        return {**super().blocks(n, data_seed), "residual": Block(self.collocation(n, data_seed), ("xx",))}


class Outside(Heat):
    def blocks(self, n, data_seed=0):
        return {**super().blocks(n, data_seed), "upper": Block(self.edges()["upper"] + 1.0)}


class Unsorted(Heat):
    def blocks(self, n, data_seed=0):
        return dict(reversed(super().blocks(n, data_seed).items()))


class OtherPoints(Heat):
    def blocks(self, n, data_seed=0):
        return {**super().blocks(n, data_seed), "upper": Block(torch.rand(5, 2, dtype=torch.float64))}


class Shared(Heat):
    def residuals(self, jets, points, coefficient):
        return super().residuals(jets, points, coefficient.mean().expand_as(coefficient))


class SharedSolution(Heat):
    def solution(self, points, coefficient):
        return super().solution(points, coefficient.mean().expand_as(coefficient))


class FlatPoints(Heat):
    def residuals(self, jets, points, coefficient):
        extra = points["residual"][:, 0] * 0.0
        found = super().residuals(jets, points, coefficient)
        return {**found, "residual": found["residual"] + (extra if extra.dim() == 1 else extra[:, :1] + 1.0)}


class NotFinite(Heat):
    def solution(self, points, coefficient):
        return super().solution(points, coefficient) / points[..., 1]


class Hidden(Heat):
    def __init__(self):
        super().__init__()
        object.__setattr__(self, "_height", 1.0)

    def residuals(self, jets, points, coefficient):
        return {key: self._height * value for key, value in super().residuals(jets, points, coefficient).items()}


class Spring(Dynamics):
    """m x'' = -x, and right."""

    name, coefficient_name, coefficient_range = "spring", "m", (0.0, math.inf)
    start, test_start, test_horizon = (1.0, 0.0), (0.5, 0.0), 4.0

    def field(self, states: Tensor, coefficient: Tensor) -> Tensor:
        place, velocity = states.unbind(-1)
        return torch.stack([velocity, -place / coefficient], dim=-1)


class Measured(Spring):
    """Trajectories that are not those of the field."""

    def trajectory(self, coefficient, n):
        return super().trajectory(coefficient, n).flip(1)


class Column(Spring):
    def field(self, states, coefficient):
        return states[..., :1] / coefficient[..., None]


class Unequal(Spring):
    test_start = (0.5, 0.0, 0.0)


def test_right_systems_of_ones_own_pass() -> None:
    check_system(Heat())
    check_system(Spring())


@pytest.mark.parametrize(
    ("system", "said"),
    [
        (
            WrongSign(),
            "WrongSign: its reference solution misses 'residual' by 200 % of the largest term at a=.*; look for a wrong",
        ),
        (WrongShape(), r"WrongShape.residuals: 'residual' has the shape \[3\] and not \[3, 40\]; let it have one row a member"),
        (UnknownDerivative(), "UnknownDerivative, blocks: derivatives: 'xt' is not available to a block"),
        (
            NotCarried(),
            "NotCarried.residuals reads 't', which no block of that name carries .*name the block, or the derivative",
        ),
        (Outside(), "Outside.blocks: points of 'upper' lie outside of x_range"),
        (Unsorted(), "Unsorted.blocks: let 'residual' be first"),
        (OtherPoints(), "OtherPoints.blocks: 'upper' has other points each time; draw them from data_seed"),
        (Shared(), "Shared.residuals of one member depend on the others"),
        (SharedSolution(), "SharedSolution.solution of one coefficient depends on the others"),
        (FlatPoints(), r"FlatPoints.residuals misread points that are \[M, n, 2\]"),
        (NotFinite(), "NotFinite.solution is not finite; look for a division by zero"),
        (Hidden(), "Hidden: its numbers depend on _height=1.0, which is not in its recipe.*public name, such as height"),
        (Measured(), "Measured.trajectory does not follow the field at m=.*: a step misses"),
        (Column(), r"Column.field gives \[3, 2, 1\] for states \[3, 2, 2\]; return finite rates of the same shape"),
        (Unequal(), "Unequal.test_start has 3 entries and start has 2"),
        (Heat, r"Heat is a class; give check_system an object, such as Heat\(\)"),
        ("heat", "'heat' is no equation; derive its class from SpaceTimeSystem or Dynamics"),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_a_broken_system_is_told_what_is_wrong(system: Any, said: str) -> None:
    with pytest.raises(AssertionError, match=said) as error:
        check_system(system)
    assert "\n" not in str(error.value)


def test_a_wrong_factor_is_found_beside_a_right_sign() -> None:
    class Quarter(Heat):
        def residuals(self, jets, points, coefficient):
            return super().residuals(jets, points, 0.75 * coefficient)

    with pytest.raises(AssertionError, match="misses 'residual' by 25 %"):
        check_system(Quarter())


def test_coefficients_are_checked_and_can_be_chosen() -> None:
    with pytest.raises(AssertionError, match="Heat, coefficient_range: a=-1 is no coefficient"):
        check_system(Heat(), [-1.0, 2.0])
    assert PINN(Heat(), MLP(hidden=(4,)), [1.0], 10).term_names == ("residual", "initial", "ends")
