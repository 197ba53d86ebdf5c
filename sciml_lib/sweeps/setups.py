"""How the runs of a sweep become problems: one class for each family of models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sciml_lib.models import MLP
from sciml_lib.problems import PINN, NeuralODE, Problem
from sciml_lib.systems import System


class Setup(Protocol):
    """What a family of models adds to the numbers of a sweep.

    Attributes:
        together: whether runs with unequal amounts of data train in one ensemble.
        data_seed: seed of the data.
    """

    together: bool
    data_seed: int

    @property
    def recipe(self) -> dict[str, Any]:
        """Everything here that a run's numbers depend on, as plain data."""

    @property
    def modules(self) -> tuple[str, ...]:
        """Names of the modules whose code the runs go through."""

    def problem(self, system: System, coefficients: Sequence[float], n_data: Sequence[int], device: Any) -> Problem:
        """The ensemble of some runs: one coefficient and one amount of data a member."""


@dataclass(frozen=True)
class PINNSetup:
    """Physics-informed networks on one set of points, an ensemble for each amount of data.

    Attributes:
        hidden: widths of the network's hidden layers.
        data_seed: seed of the residual points, shared by all runs.
        collocation: ``random`` residual points, or a ``grid`` (see :class:`~sciml_lib.problems.PINN`).

    Raises:
        UserError: if a width is impossible.
    """

    hidden: tuple[int, ...] = (50, 50, 50)
    data_seed: int = 0
    collocation: str = "random"
    together = False

    def __post_init__(self) -> None:
        """Checks the widths."""
        self.network()

    def network(self) -> MLP:
        """The network."""
        return MLP(hidden=self.hidden)

    @property
    def recipe(self) -> dict[str, Any]:
        """Network and points; what is as it always was is not written down, so that older stores stay valid."""
        recipe = {"model": {"kind": "MLP", "hidden": list(self.hidden)}, "data_seed": self.data_seed}
        return recipe | ({} if self.collocation == "random" else {"collocation": self.collocation})

    @property
    def modules(self) -> tuple[str, ...]:
        """The problem's module."""
        return (PINN.__module__,)

    outcomes = {}

    def term_names(self, system):
        return PINN(system, self.network(), [system.coefficient_range[0] + 1.0], 10).term_names

    def metric_names(self, system):
        return ()

    def cost(self, n_data):
        return n_data + 500.0

    def problem(self, system: System, coefficients: Sequence[float], n_data: Sequence[int], device: Any = "cpu") -> PINN:
        """The ensemble of some runs with one amount of data."""
        (n,) = set(n_data)
        options = {"data_seed": self.data_seed, "collocation": self.collocation, "device": device}
        return PINN(system, self.network(), list(coefficients), n, **options)


@dataclass(frozen=True)
class NeuralODESetup:
    """Networks for the rates of change of a system, all in one ensemble.

    Attributes:
        hidden: widths of the hidden layers; three of 16 in the paper (appendix C).
        physics: whether the true field is part of the loss.
        scaled: whether that part carries dt^2, see :class:`~sciml_lib.problems.NeuralODE`.
        representation: what the network sees.

    Raises:
        UserError: if a width is impossible.
    """

    hidden: tuple[int, ...] = (16, 16, 16)
    physics: bool = False
    scaled: bool = True
    representation: str = "raw"
    together = True
    data_seed = 0

    def __post_init__(self) -> None:
        """Checks the widths."""
        MLP(hidden=self.hidden)

    def network(self, dimension: int) -> MLP:
        """The network, with PyTorch's own initial weights, as in the released code."""
        return MLP(hidden=self.hidden, n_inputs=dimension, n_outputs=dimension, initial="linear")

    @property
    def recipe(self) -> dict[str, Any]:
        """Network and loss."""
        model = {"kind": "neural ODE", "hidden": list(self.hidden), "representation": self.representation}
        return {"model": model, "physics": self.physics} | ({} if self.scaled else {"scaled": False})

    @property
    def modules(self) -> tuple[str, ...]:
        """The problem's module."""
        return (NeuralODE.__module__,)

    outcomes = {}

    def term_names(self, system):
        return ("data", "residual") if self.physics else ("data",)

    def metric_names(self, system):
        return ("one_step_mse",)

    def cost(self, n_data):
        return float(n_data)

    def problem(self, system: System, coefficients: Sequence[float], n_data: Sequence[int], device: Any = "cpu") -> NeuralODE:
        """The ensemble of some runs."""
        network = self.network(system.representation(self.representation).dimension)
        options = {"physics": self.physics, "scaled": self.scaled, "representation": self.representation, "device": device}
        return NeuralODE(system, network, list(coefficients), list(n_data), **options)
