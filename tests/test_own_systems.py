"""Systems as values: constants, recipes, words and equality, also of equations that are not the library's."""

from __future__ import annotations

import copy
import json
import math
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import torch

from sciml_lib import systems
from sciml_lib.errors import UserError
from sciml_lib.models import MLP
from sciml_lib.problems import PINN, NeuralODE
from sciml_lib.regimes import thresholds
from sciml_lib.systems import Block, Convection, Dynamics, Pendulum, Reaction, ReactionDiffusion, SpaceTimeSystem, System, Wave


class Burgers(SpaceTimeSystem):
    """As short as an equation of one's own can be."""

    name = "burgers"
    coefficient_name = "1/nu"
    coefficient_range = (0.0, math.inf)
    x_range = (-1.0, 1.0)

    def blocks(self, n, data_seed=0):
        edges = self.edges()
        conditions = {name: Block(edges[name]) for name in ("initial", "upper", "lower")}
        return {"residual": Block(self.collocation(n, data_seed), ("x", "xx", "t")), **conditions}

    def residuals(self, jets, points, coefficient):
        r = jets["residual"]
        return {"residual": r["t"] + r["u"] * r["x"] - r["xx"] / coefficient, "initial": jets["initial"]["u"]}

    def solution(self, points, coefficient):
        return torch.sin(math.pi * points[:, 0]) * torch.exp(-points[:, 1]) * torch.ones_like(coefficient)


class Spring(Dynamics):
    """Two states with a stiffness of its own."""

    name, coefficient_name, coefficient_range = "spring", "m", (0.0, math.inf)
    start, test_start, test_horizon = (1.0, 0.0), (0.5, 0.0), 4.0
    stiffness = 1.0

    def field(self, states, coefficient):
        place, velocity = states.unbind(-1)
        return torch.stack([velocity, -self.stiffness * place / coefficient], dim=-1)


# --- constants -----------------------------------------------------------------------------------------------


def test_constants_are_given_by_keyword_and_change_the_equation() -> None:
    points, two = torch.tensor([[0.3, 0.4]], dtype=torch.float64), torch.tensor([[2.0]], dtype=torch.float64)
    u = Wave(beta=3.0).solution(points, two)
    phase = 2 * math.pi * 0.4
    expected = math.sin(math.pi * 0.3) * math.cos(phase) + 0.5 * math.sin(3 * math.pi * 0.3) * math.cos(3 * phase)
    assert u.item() == pytest.approx(expected, rel=1e-12)
    assert Reaction(width=0.3).solution(points * 0, two).item() != Reaction().solution(points * 0, two).item()
    assert Spring(stiffness=4.0).trajectory(1.0, 20)[-1, 0].item() == pytest.approx(math.cos(2 * 0.95), abs=1e-2)


@pytest.mark.parametrize("name", sorted(systems.SYSTEMS))
def test_a_system_is_frozen_plain_data_and_equal_to_its_copies(name: str) -> None:
    system = systems.get(name)
    for other in (systems.get(name), copy.deepcopy(system), pickle.loads(pickle.dumps(system)), replace(system)):
        assert other == system and hash(other) == hash(system) and other.recipe == system.recipe
    assert json.loads(json.dumps(system.recipe)) == system.recipe and system.recipe["name"] == name
    with pytest.raises(FrozenInstanceError):
        setattr(system, next(key for key in ("dt", "grid") if hasattr(system, key)), 1)
    assert systems.get(system) is system


@pytest.mark.parametrize(
    ("one", "other", "constant"),
    [
        (Wave(), Wave(beta=3.0), "beta"),
        (ReactionDiffusion(), ReactionDiffusion(nu=5.0), "nu"),
        (ReactionDiffusion(), ReactionDiffusion(time_step=0.02), "time_step"),
        (Reaction(), Reaction(width=1.0), "width"),
        (Convection(), Convection(grid=(65, 33)), "grid"),
        (Convection(), Convection(test_grid=(65, 33)), "test_grid"),
        (Convection(), Convection().on_grid(5), "whole_grid"),
        (Pendulum(), Pendulum(dt=0.1), "dt"),
        (Spring(), Spring(stiffness=2.0), "stiffness"),
        (Burgers(), Burgers(x_range=(-2.0, 2.0)), "x_range"),
    ],
)
def test_every_constant_is_part_of_the_recipe_and_of_equality(one: System, other: System, constant: str) -> None:
    assert one != other and one.recipe != other.recipe
    assert constant in one.recipe and one.recipe[constant] != other.recipe[constant]


def test_the_recipe_of_the_wave_is_what_the_paper_poses() -> None:
    assert Wave().recipe == {
        "name": "wave", "beta": 2.0, "grid": [257, 101], "test_grid": [129, 101], "whole_grid": False,
        "x_range": [0.0, 1.0], "t_range": [0.0, 1.0],
    }  # fmt: skip


def test_trajectories_are_kept_apart_by_constants_and_by_class_but_not_by_object() -> None:
    class Soft(Spring):
        stiffness = 0.25

    stiff, soft = Spring(stiffness=4.0), Soft()
    assert not torch.equal(stiff.trajectory(1.0, 10), soft.trajectory(1.0, 10))
    assert not torch.equal(Spring(dt=0.1).trajectory(1.0, 10), Spring().trajectory(1.0, 10))
    before = vars(stiff).copy()
    states = stiff.trajectory(1.0, 10)
    states.zero_()  # what is handed out is the caller's own
    assert stiff.trajectory(1.0, 10).any() and vars(stiff) == before
    assert torch.equal(Spring(stiffness=4.0).trajectory(1.0, 10), stiff.trajectory(1.0, 10))


# --- equations of one's own ----------------------------------------------------------------------------------


def test_an_equation_needs_six_things_and_says_the_rest_by_itself() -> None:
    burgers = Burgers()
    assert (burgers.title, burgers.coefficient_label, burgers.coefficient_words) == (
        "Burgers",
        "1/nu",
        "the burgers coefficient",
    )
    assert (burgers.data_symbol, burgers.data_words, burgers.axis_labels) == ("$N_f$", "collocation points", ("x", "t"))
    problem = PINN(burgers, MLP(hidden=(4,)), [10.0], 20)
    assert torch.isfinite(problem.value_and_grad(problem.init([0]))[0]).all()
    spring = Spring()
    assert spring.component_labels == ("$x_{1}$", "$x_{2}$") and spring.time_label == "time"
    assert len(NeuralODE(spring, MLP(hidden=(4,), n_inputs=2, n_outputs=2), [1.0], [10])) == 1
    assert PINN(burgers, MLP(hidden=(4,)), [10.0], 25, collocation="grid").n_residual == 25


def test_the_words_of_a_subclass_do_not_come_from_another_equation() -> None:
    class Telegraph(Wave):
        name = "telegraph"
        coefficient_name = "a"
        data_label = "$N$"

    found = Telegraph()
    assert (found.title, found.coefficient_label, found.coefficient_words) == ("Telegraph", "a", "the telegraph coefficient")
    assert (found.data_symbol, found.data_words) == ("$N$", "data")
    assert (Wave.title, Wave.coefficient_label) == ("1D Wave", "c")


def test_a_class_may_give_a_constant_of_its_base_another_value() -> None:
    class Coarse(Burgers):
        grid = (65, 33)

    class Third(Wave):
        beta = 3.0

    @dataclass(frozen=True)
    class Damped(Third):
        damping: float = 0.5

    assert Coarse().grid == (65, 33) and Coarse().max_collocation == 63 * 32 and Coarse(grid=(9, 9)).grid == (9, 9)
    assert Third().recipe["beta"] == 3.0 and Third(beta=5.0).beta == 5.0
    assert Damped().recipe["beta"] == 3.0 and Damped().recipe["damping"] == 0.5
    assert Damped(damping=0.1) != Damped() and Damped(damping=0.1) == Damped(damping=0.1)


def test_the_recipe_of_a_plain_class_has_what_its_init_sets() -> None:
    class Measured(Spring):
        def __init__(self, data: np.ndarray, gain: float) -> None:
            super().__init__()
            self.data, self.gain, self._scratch = data, gain, object()

    one, same, other = (Measured(np.array([1.0, x]), 2.0) for x in (2.0, 2.0, 3.0))
    assert one == same and one != other and one.recipe["gain"] == 2.0
    assert one.recipe["data"]["shape"] == [2] and one.recipe["data"] != other.recipe["data"]
    assert "_scratch" not in one.recipe and json.dumps(one.recipe)
    with pytest.raises(UserError, match="cannot be written into its recipe"):
        _ = Measured(object(), 2.0).recipe


def test_a_field_that_holds_no_number_can_be_left_out_of_a_decorated_class() -> None:
    @dataclass(frozen=True)
    class Cached(Burgers):
        strength: float = 1.0
        _cache: dict = field(default_factory=dict, compare=False, repr=False)

    one = Cached()
    one._cache["x"] = 1
    assert one == Cached() and "_cache" not in one.recipe and Cached(strength=2.0) != one


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Burgers(nu=1.0), r"Burgers has no constant 'nu'; it has grid, t_range, test_grid, whole_grid, x_range"),
        (lambda: Burgers(grid=(1, 5)), r"grid=\(1, 5\) is not a grid; give two whole numbers"),
        (lambda: Convection(test_grid=101), "test_grid=101 is not a grid"),
        (lambda: Convection(grid=(2.5, 101)), r"grid=\(2.5, 101\) is not a grid"),
        (lambda: Wave(beta=2.5), "beta=2.5 is not the number of a mode"),
        (lambda: Wave(beta=-1), "beta=-1 must be positive; choose a number such as 2"),
        (lambda: Wave(beta="2"), "beta='2' must be positive"),
        (lambda: Reaction(width=0.0), "width=0.0 must be positive"),
        (lambda: ReactionDiffusion(nu=math.inf), "nu=inf must be positive"),
        (lambda: Spring(dt="0.05"), "dt=0.05 is not a step of time"),
        (lambda: Convection().check_n_data(1.5), "n_data=1.5 is not a whole number; choose one such as 3"),
        (lambda: Convection().collocation("20"), "n_data='20' is not a whole number"),
        (lambda: Spring().trajectory(1.0, True), "n_data=True is not a whole number"),
        (lambda: Convection().check_coefficient("5"), "beta='5' is not a number; choose one between 0 and inf"),
        (lambda: Spring().trajectory(None, 10), "m=None is not a number"),
        (lambda: systems.get(["wave"]), r"unknown system \"\['wave'\]\""),
        (lambda: systems.get("wav"), "did you mean wave"),
    ],
)
def test_impossible_constants_are_one_sentence(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        make()


def test_numbers_of_numpy_are_numbers_and_whole_ones_are_floats() -> None:
    for same in (Wave(beta=3), Wave(beta=np.float32(3))):
        assert same == Wave(beta=3.0) and hash(same) == hash(Wave(beta=3.0))
        assert json.dumps(same.recipe) == json.dumps(Wave(beta=3.0).recipe)
    assert json.dumps(Pendulum(dt=1).recipe) == json.dumps(Pendulum(dt=1.0).recipe)
    Convection().check_coefficient(np.float32(5))
    assert Wave(beta=np.float64(3)) == Wave(beta=3.0) and Spring(dt=np.float32(0.125)).n_test == 32
    assert Convection().collocation(np.int64(7)).shape == (7, 2) and thresholds.Thresholds.of(train=np.float32(1), test=1)


@pytest.mark.parametrize("name", ["xxx", "xt", "y", "laplacian", "u", "", 2])
def test_a_block_refuses_derivatives_that_no_jet_carries_at_once(name: Any) -> None:
    with pytest.raises(UserError, match="is not available to a block; choose among 'x', 'xx', 't', 'tt'"):
        Block(torch.zeros(3, 2), ("x", name))


@pytest.mark.parametrize(
    ("points", "derivatives", "said"),
    [
        (torch.zeros(3, 2), "xx", r"give a tuple of them, such as \('xx',\)"),
        (torch.zeros(3), (), r"points=\[3\] are not coordinates"),
        (torch.zeros(3, 3), (), r"points=\[3, 3\] are not coordinates"),
        ([[0.0, 1.0]], (), "points=list are not coordinates"),
    ],
)
def test_a_block_refuses_what_are_no_points(points: Any, derivatives: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        Block(points, derivatives)


def test_systems_and_table_5_call_the_papers_equations_the_same() -> None:
    for name, system in systems.SYSTEMS.items():
        family = "node" if issubclass(system, Dynamics) else "pinn"
        strategy = "adam" if family == "node" else "alm"
        assert f", {system.title}, " in thresholds.of_panel(f"{family}/{name}/{strategy}").origin
