"""How the runs of a sweep become problems: one class for each family of models."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from sciml_lib.errors import unknown
from sciml_lib.models import MLP
from sciml_lib.problems import PINN, Evaluation, NeuralODE, Problem
from sciml_lib.problems.neural_ode import OUTCOMES
from sciml_lib.systems import Dynamics, System

if TYPE_CHECKING:
    from sciml_lib.sweeps.spec import Cell

DTYPES = {"float32": torch.float32, "float64": torch.float64}

CONDITION_POINTS = 500
"""Initial and boundary points of a PINN, about: they come on top of the residual points that n_data counts."""


class Setup(Protocol):
    """What a family of models adds to the numbers of a sweep.

    Attributes:
        together: whether runs with unequal amounts of data train in one ensemble.
        data_seed: seed of the data.
        dtype: type of parameters and data, ``float32`` or ``float64``.
        outcomes: what an evaluation may say of a run beside how its training ended: a sentence for each label.
    """

    together: bool
    data_seed: int
    dtype: str
    outcomes: Mapping[str, str]

    @property
    def recipe(self) -> dict[str, Any]:
        """Everything here that a run's numbers depend on, as plain data."""

    @property
    def modules(self) -> tuple[str, ...]:
        """Names of the modules whose code the runs go through."""

    def network(self, system: System) -> Any:
        """The network that learns such a system."""

    def describe(self) -> str:
        """The network in words."""

    def shapes(self, system: System) -> tuple[tuple[int, ...], ...]:
        """The shapes of all tensors of the network, in the order of a row of parameters."""

    def term_names(self, system: System) -> tuple[str, ...]:
        """Names of the terms of the loss."""

    def metric_names(self, system: System) -> tuple[str, ...]:
        """Names of the further numbers of a run."""

    def cost(self, n_data: int) -> float:
        """What a run costs beside others of its sweep, in points."""

    def problem(self, system: System, coefficients: Sequence[float], n_data: Sequence[int], device: Any = "cpu") -> Problem:
        """The ensemble of some runs: one coefficient and one amount of data a member."""

    def evaluate(self, system: System, params: Tensor, cells: Sequence[Cell]) -> Evaluation:
        """What is known of trained networks ``params [M, P]``, those of the runs ``cells``."""


class _OfMLPs:
    """What setups whose network is an MLP share; all numbers are theirs."""

    hidden: tuple[int, ...]
    activation: str
    dtype: str
    together: bool

    def __post_init__(self) -> None:
        """Checks widths, activation and type."""
        object.__setattr__(self, "hidden", MLP(hidden=self.hidden, activation=self.activation).hidden)
        if self.dtype not in DTYPES:
            raise unknown("dtype", self.dtype, DTYPES)

    @property
    def _written(self) -> dict[str, Any]:
        """Widths and activation for a recipe; tanh is not written down, so that older stores stay valid."""
        activation = {} if self.activation == "tanh" else {"activation": self.activation}
        return {"hidden": list(self.hidden), **activation}

    def describe(self) -> str:
        """The network in words, such as ``3 hidden layers of 50 tanh units``."""
        widths = sorted(set(self.hidden))
        size = f"{widths[0]}" if len(widths) == 1 else ", ".join(map(str, self.hidden))
        layers = "1 hidden layer" if len(self.hidden) == 1 else f"{len(self.hidden)} hidden layers"
        return f"{layers} of {size} {self.activation} units"

    def shapes(self, system: System) -> tuple[tuple[int, ...], ...]:
        """Weight ``(out, in)`` and bias ``(out,)``, layer by layer."""
        return tuple(shape for out, into in self.network(system).shapes for shape in ((out, into), (out,)))

    def evaluate(self, system: System, params: Tensor, cells: Sequence[Cell]) -> Evaluation:
        """What is known of trained networks.

        Args:
            system: the equation.
            params: ``[M, P]``, in any type; they are evaluated in that of the setup, where they are.
            cells: their runs.
        """
        parts = [list(range(len(cells)))]
        if not self.together:
            parts = [[i for i, cell in enumerate(cells) if cell.n_data == n] for n in dict.fromkeys(c.n_data for c in cells)]
        found: list[Evaluation | None] = [None] * len(cells)
        for part in parts:
            coefficients, amounts = [cells[i].coefficient for i in part], [cells[i].n_data for i in part]
            problem = self.problem(system, coefficients, amounts, params.device)
            evaluation = problem.evaluate(params[part].to(problem.dtype))
            for k, i in enumerate(part):
                found[i] = _row(evaluation, k)
        return _joined(found)


@dataclass(frozen=True)
class PINNSetup(_OfMLPs):
    """Physics-informed networks on one set of points, an ensemble for each amount of data.

    Attributes:
        hidden: widths of the network's hidden layers.
        data_seed: seed of the residual points, shared by all runs.
        collocation: ``random`` residual points, or a ``grid`` (see :class:`~sciml_lib.problems.PINN`).
        activation: function between the layers, see :class:`~sciml_lib.models.MLP`.
        dtype: type of parameters and points, ``float32`` as in the paper, or ``float64``.

    Raises:
        UserError: if a width is impossible, or there is no such activation or type.
    """

    hidden: tuple[int, ...] = (50, 50, 50)
    data_seed: int = 0
    collocation: str = "random"
    activation: str = "tanh"
    dtype: str = "float32"
    together = False
    outcomes = MappingProxyType({})

    def network(self, system: System) -> MLP:
        """The network: two inputs, one output, whatever the system."""
        return MLP(hidden=self.hidden, activation=self.activation)

    @property
    def recipe(self) -> dict[str, Any]:
        """Network and points; what is as it always was is not written down, so that older stores stay valid."""
        recipe = {"model": {"kind": "MLP", **self._written}, "data_seed": self.data_seed, "dtype": self.dtype}
        return recipe | ({} if self.collocation == "random" else {"collocation": self.collocation})

    @property
    def modules(self) -> tuple[str, ...]:
        """The problem's module."""
        return (PINN.__module__,)

    def term_names(self, system: System) -> tuple[str, ...]:
        """The system's residual blocks, ``residual`` first."""
        return self.problem(system, [_some_coefficient(system)], [4]).term_names

    def metric_names(self, system: System) -> tuple[str, ...]:
        """None."""
        return ()

    def cost(self, n_data: int) -> float:
        """Residual points and those of the conditions."""
        return float(n_data + CONDITION_POINTS)

    def problem(self, system: System, coefficients: Sequence[float], n_data: Sequence[int], device: Any = "cpu") -> PINN:
        """The ensemble of some runs with one amount of data."""
        (n,) = set(n_data)
        options = {"data_seed": self.data_seed, "collocation": self.collocation}
        return PINN(system, self.network(system), list(coefficients), n, **options, device=device, dtype=DTYPES[self.dtype])


@dataclass(frozen=True)
class NeuralODESetup(_OfMLPs):
    """Networks for the rates of change of a system, all in one ensemble.

    Attributes:
        hidden: widths of the hidden layers; three of 16 in the paper (appendix C).
        physics: whether the true field is part of the loss.
        scaled: whether that part carries dt^2, see :class:`~sciml_lib.problems.NeuralODE`.
        representation: what the network sees.
        activation: function between the layers, see :class:`~sciml_lib.models.MLP`.
        dtype: type of parameters and states, ``float32`` as in the paper, or ``float64``.

    Raises:
        UserError: if a width is impossible, or there is no such activation or type.
    """

    hidden: tuple[int, ...] = (16, 16, 16)
    physics: bool = False
    scaled: bool = True
    representation: str = "raw"
    activation: str = "tanh"
    dtype: str = "float32"
    together = True
    data_seed = 0
    outcomes = MappingProxyType(OUTCOMES)

    def network(self, system: Dynamics) -> MLP:
        """The network, with PyTorch's own initial weights, as in the released code."""
        d = system.representation(self.representation).dimension
        return MLP(hidden=self.hidden, n_inputs=d, n_outputs=d, initial="linear", activation=self.activation)

    @property
    def recipe(self) -> dict[str, Any]:
        """Network and loss; what is as it always was is not written down, so that older stores stay valid."""
        model = {"kind": "neural ODE", **self._written, "representation": self.representation}
        return {"model": model, "physics": self.physics, "dtype": self.dtype} | ({} if self.scaled else {"scaled": False})

    @property
    def modules(self) -> tuple[str, ...]:
        """The problem's module."""
        return (NeuralODE.__module__,)

    def term_names(self, system: System) -> tuple[str, ...]:
        """``data``, and ``residual`` with physics."""
        return ("data", "residual") if self.physics else ("data",)

    def metric_names(self, system: System) -> tuple[str, ...]:
        """``one_step_mse``, see :meth:`~sciml_lib.problems.NeuralODE.evaluate`."""
        return ("one_step_mse",)

    def cost(self, n_data: int) -> float:
        """Observed states."""
        return float(n_data)

    def problem(self, system: Dynamics, coefficients: Sequence[float], n_data: Sequence[int], device: Any = "cpu") -> NeuralODE:
        """The ensemble of some runs."""
        if not isinstance(system, Dynamics):  # the problem says so in one sentence
            return NeuralODE(system, MLP(hidden=self.hidden), list(coefficients), list(n_data))
        options = {"physics": self.physics, "scaled": self.scaled, "representation": self.representation}
        options |= {"device": device, "dtype": DTYPES[self.dtype]}
        return NeuralODE(system, self.network(system), list(coefficients), list(n_data), **options)


def _some_coefficient(system: System) -> float:
    """A coefficient that the equation can have."""
    low, high = system.coefficient_range
    if math.isfinite(low) and math.isfinite(high):
        return 0.5 * (low + high)
    return low + 1.0 if math.isfinite(low) else min(high - 1.0, 1.0)


def _row(found: Evaluation, k: int) -> Evaluation:
    """What an evaluation says of one member."""
    terms, metrics = ({name: part[k : k + 1] for name, part in parts.items()} for parts in (found.terms, found.metrics))
    return Evaluation(terms, found.test_error[k : k + 1], metrics, found.outcomes[k : k + 1])


def _joined(rows: Sequence[Evaluation]) -> Evaluation:
    """Evaluations of several members as one."""
    first = rows[0]
    return Evaluation(
        terms={name: torch.cat([row.terms[name] for row in rows]) for name in first.terms},
        test_error=torch.cat([row.test_error for row in rows]),
        metrics={name: torch.cat([row.metrics[name] for row in rows]) for name in first.metrics},
        outcomes=[outcome for row in rows for outcome in row.outcomes],
    )
