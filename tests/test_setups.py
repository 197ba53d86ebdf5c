"""Setups: the words, names, shapes and costs of a family, the type it computes in, and what goes into a recipe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from sciml_lib import systems
from sciml_lib.errors import UserError
from sciml_lib.models import MLP
from sciml_lib.sweeps import catalog
from sciml_lib.sweeps.setups import NeuralODESetup, PINNSetup, Setup
from sciml_lib.sweeps.spec import Cell, Sweep
from sciml_lib.systems import Convection, Pendulum, System

PINNS, NODES = PINNSetup(hidden=(6, 5)), NeuralODESetup(hidden=(4,), physics=True)
BOTH = [(PINNS, Convection()), (NODES, Pendulum())]


@pytest.mark.parametrize("sweep_id", catalog.ids())
def test_every_setup_knows_its_names_without_a_run(sweep_id: str) -> None:
    sweep = catalog.get(sweep_id)
    plan = sweep.at(next(iter(sweep.profiles)))
    assert sweep.setup.term_names(sweep.system) == plan.smallest.term_names
    assert sweep.setup.metric_names(sweep.system) == plan.smallest.metric_names
    assert sum(torch.Size(shape).numel() for shape in sweep.setup.shapes(sweep.system)) == plan.n_params


@pytest.mark.parametrize(("setup", "system"), BOTH)
def test_one_signature_gives_every_familys_network(setup: Setup, system: System) -> None:
    network = setup.network(system)
    assert isinstance(network, MLP) and network.hidden == setup.hidden
    assert setup.shapes(system) == tuple(tuple(p.shape) for p in network.module().parameters())
    sphere = replace(NODES, physics=False, representation="sphere").network(Pendulum())
    assert (sphere.n_inputs, sphere.n_outputs) == (3, 3)


def test_networks_and_costs_in_words_and_numbers() -> None:
    assert PINNSetup().describe() == "3 hidden layers of 50 tanh units"
    assert replace(PINNS, activation="sin").describe() == "2 hidden layers of 6, 5 sin units"
    assert NODES.describe() == "1 hidden layer of 4 tanh units"
    assert (PINNS.cost(100), NODES.cost(100)) == (600.0, 100.0)  # initial and boundary points come on top


@pytest.mark.parametrize(("setup", "system"), BOTH)
def test_type_and_activation_reach_the_problem_and_the_recipe(setup: Setup, system: System) -> None:
    plain = setup.problem(system, [5.0], [20])
    assert plain.dtype == torch.float32 and plain.model.activation == "tanh"
    assert setup.recipe["dtype"] == "float32" and "activation" not in setup.recipe["model"]
    other = replace(setup, dtype="float64", activation="silu")
    problem = other.problem(system, [5.0], [20])
    assert problem.dtype == problem.init([0]).dtype == torch.float64 and problem.model.activation == "silu"
    assert torch.isfinite(problem.value_and_grad(problem.init([0]))[0]).all()
    assert other.recipe["dtype"] == "float64" and other.recipe["model"]["activation"] == "silu"

    def plan_of(given: Setup) -> Sweep:
        strategy = catalog.get("pinn/convection/lbfgs").strategy
        return Sweep("a/b/c", "", system, strategy, (0,), coefficients=(5.0,), n_data=(20,), setup=given).at("laptop")

    assert plan_of(other).recipe["dtype"] == "float64"
    assert len({plan_of(one).hash for one in (setup, other, replace(setup, dtype="float64"))}) == 3


@pytest.mark.parametrize(("setup", "system"), BOTH)
def test_trained_networks_are_evaluated_as_their_own_problems(setup: Setup, system: System) -> None:
    cells = [Cell(2.0, 20, 0), Cell(4.0, 30, 1), Cell(6.0, 20, 2)]
    params = setup.network(system).init([0, 1, 2])
    found = setup.evaluate(system, params.double(), cells)
    for m, cell in enumerate(cells):
        own = setup.problem(system, [cell.coefficient], [cell.n_data]).evaluate(params[[m]])
        torch.testing.assert_close(found.test_error[[m]], own.test_error, rtol=1e-5, atol=0)
        for ours, theirs in ((found.terms, own.terms), (found.metrics, own.metrics)):
            assert list(ours) == list(theirs)
            for name in ours:
                torch.testing.assert_close(ours[name][[m]], theirs[name], rtol=1e-4, atol=0)
    assert list(found.outcomes) == ([None] * 3 if setup is NODES else [])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: PINNSetup(dtype="float16"), "unknown dtype 'float16': did you mean"),
        (lambda: NeuralODESetup(dtype=torch.float64), "the valid ones are float32, float64"),
        (lambda: PINNSetup(activation="relu"), "unknown activation 'relu'"),
        (lambda: PINNSetup(hidden=(0,)), "must list one positive integer per hidden layer"),
        (lambda: NODES.problem(systems.get("convection"), [5.0], [20]), "and convection is none; use PINN"),
        (lambda: PINNS.problem(systems.get("pendulum"), [5.0], [20]), "and pendulum is none; use NeuralODE"),
    ],
)
def test_impossible_setups_are_one_sentence(make: Callable[[], object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        make()
