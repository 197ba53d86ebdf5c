"""What every family of problems has in common: members, weighted terms, and derivatives of their sum."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor

from sciml_lib.errors import UserError, unknown
from sciml_lib.problems.augmentation import Augmentation
from sciml_lib.problems.base import Evaluation, HessianProduct
from sciml_lib.systems import System

DTYPES = (torch.float32, torch.float64)


class EnsembleProblem(ABC):
    """M members that share a system and a model and differ in coefficient and weights; their loss is a sum of named terms.

    A family writes :attr:`term_names`, :meth:`terms` (differentiable by the parameters), :meth:`evaluate`,
    :attr:`workspace_bytes_per_member` and :attr:`particulars`, and extends :meth:`_take` if members differ in more than the
    coefficient. Loss, gradient and products with the Hessian follow by automatic differentiation; a family that knows a
    faster way overrides them.

    In the eager form a member's numbers agree with those that it has alone, or in another company, to rounding: about 1e-7
    relative in an evaluation in float32, since batched products of a library round by the size of the batch. Long training
    amplifies this. Where :attr:`engine` is ``fused`` they are the same bits.

    Attributes:
        system: the equation.
        model: the network; it has ``n_params`` and ``init``.
        coefficients: one a member, ``[M]``.
        device: where the members live.
        dtype: their type.
        data_seed: seed of the data.
        weights: weights of terms in the loss that is trained, ``{name: [M]}``; a term that is not listed has weight 1.
    """

    data_seed: int = 0

    def __init__(
        self,
        system: System,
        model: Any,
        coefficients: Sequence[float] | Tensor,
        *,
        device: str | torch.device,
        dtype: torch.dtype,
    ) -> None:
        """Checks and binds what every family has.

        Raises:
            UserError: if there is no member, a coefficient is impossible, or there is no such device or type.
        """
        if dtype not in DTYPES:
            raise UserError(f"dtype={dtype} is not a type for training; choose torch.float32 or torch.float64")
        self.device, self.dtype = _checked_device(device), dtype
        self.coefficients = _checked_coefficients(system, coefficients).to(self.device)
        self.system, self.model = system, model
        self.weights: dict[str, Tensor] = {}

    def __len__(self) -> int:
        """M, the number of members."""
        return len(self.coefficients)

    @property
    def n_params(self) -> int:
        """P, the number of parameters of a member."""
        return self.model.n_params

    @property
    def description(self) -> str:
        """Everything that makes two problems the same, in one line."""
        equation = f"{type(self.system).__name__} {self.system.recipe}"
        parts = [equation, f"{self.model}", *self.particulars, f"{self.dtype}", f"{self.coefficients.tolist()}"]
        parts += [f"{name} times {weight.tolist()}" for name, weight in self.weights.items()]
        return f"{type(self).__name__}({', '.join(parts)})"

    @property
    @abstractmethod
    def particulars(self) -> tuple[str, ...]:
        """What the family adds to :attr:`description`."""

    @property
    @abstractmethod
    def term_names(self) -> tuple[str, ...]:
        """Names of the terms, in the order of the loss."""

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Names of the further numbers that :meth:`evaluate` gives; none unless a family says so."""
        return ()

    @property
    def coefficient_name(self) -> str:
        """Name of the swept coefficient; empty if the equation has none."""
        return self.system.coefficient_name

    @property
    def engine(self) -> str:
        """How it is evaluated: ``eager``, by PyTorch, unless a family knows better."""
        return "eager"

    @property
    def group_size(self) -> int:
        """How many members are evaluated at a time: all of them unless a family says so."""
        return 2**31 - 1

    @property
    @abstractmethod
    def workspace_bytes_per_member(self) -> int:
        """Memory of one member in an evaluation."""

    @property
    def curvature_bytes_per_member(self) -> int:
        """Memory of one member in what :meth:`linearised` returns."""
        return 4 * self.workspace_bytes_per_member

    def select(self, index: Sequence[int] | Tensor) -> Self:
        """The same problem for some of the members (in that order; repetition is allowed)."""
        return self._take(torch.as_tensor(index, dtype=torch.long).cpu())

    def init(self, seeds: Sequence[int]) -> Tensor:
        """Initial parameters ``[len(seeds), P]``, one seed a member."""
        return self.model.init(seeds, dtype=self.dtype, device=str(self.device))

    def weighted(self, weights: Mapping[str, float | Sequence[float] | Tensor]) -> Self:
        """The same problem with some terms of its loss multiplied; weights of a weighted problem multiply its own.

        Loss, gradient and Hessian are those of the weighted sum. :meth:`terms` and the training loss that is reported stay
        what they are.

        Args:
            weights: for each term to be weighted one number, or one a member, ``[M]``; not negative.

        Raises:
            UserError: if there is no such term, a weight is impossible, or the problem is augmented.
        """
        other = copy.copy(self)
        other.weights = dict(self.weights)
        for name, value in weights.items():
            if name not in self.term_names:
                raise unknown("term to weight", name, self.term_names)
            weight = self._checked_weight(name, value)
            other.weights[name] = other.weights[name] * weight if name in other.weights else weight
        return other

    @abstractmethod
    def terms(self, params: Tensor) -> dict[str, Tensor]:
        """The terms of the loss without weights, ``{name: [M]}``, differentiable to any order."""

    def loss(self, params: Tensor) -> Tensor:
        """The loss that is trained ``[M]``, differentiable to any order: the weighted sum of the terms."""
        return self._sum(self.terms(params))

    @torch.no_grad()
    def value(self, params: Tensor) -> Tensor:
        """The loss that is trained ``[M]``, alone."""
        return self.loss(params)

    def value_and_grad(self, params: Tensor) -> tuple[Tensor, Tensor]:
        """That loss ``[M]`` and its gradient ``[M, P]``."""
        with torch.enable_grad():
            x = params.detach().requires_grad_()
            loss = self.loss(x)
            (grad,) = torch.autograd.grad(loss.sum(), x)
        return loss.detach(), grad

    def linearised(self, params: Tensor) -> tuple[Tensor, Tensor, HessianProduct]:
        """Loss, gradient, and what gives products with the Hessian at one point.

        Args:
            params: ``[M, P]``.

        Returns:
            Loss ``[M]``, gradient ``[M, P]``, and a function from ``v [M, P]`` (and a mask ``[M]`` of the members whose
            products are wanted) to the exact products ``H v``, ``[M, P]``. It holds the graph of the gradient.
        """
        with torch.enable_grad():
            x = params.detach().requires_grad_()
            loss = self.loss(x)
            (grad,) = torch.autograd.grad(loss.sum(), x, create_graph=True)

        def product(v: Tensor, wanted: Tensor | None = None) -> Tensor:
            if wanted is not None and not wanted.any():
                return torch.zeros_like(v)
            return torch.autograd.grad(grad, x, v, retain_graph=True)[0]

        return loss.detach(), grad.detach(), product

    def test_error(self, params: Tensor) -> Tensor:
        """The test error ``[M]``."""
        return self.evaluate(params).test_error

    @abstractmethod
    def evaluate(self, params: Tensor) -> Evaluation:
        """Everything that is stored of trained members at ``params [M, P]``."""

    def _take(self, rows: Tensor | slice) -> Self:
        """The problem of the members ``rows`` (CPU); a family whose members differ in more than the coefficient extends it."""
        other, on = copy.copy(self), self._on(rows)
        other.coefficients = self.coefficients[on]
        other.weights = {name: weight[on] for name, weight in self.weights.items()}
        return other

    def _on(self, rows: Tensor | slice) -> Tensor | slice:
        """Rows on the device of the members."""
        return rows if isinstance(rows, slice) else rows.to(self.device)

    def _sum(self, terms: Mapping[str, Tensor]) -> Tensor:
        """The weighted sum of terms, ``[M]``."""
        return torch.stack([self._scaled(name, term) for name, term in terms.items()]).sum(dim=0)

    def _scaled(self, name: str, values: Tensor) -> Tensor:
        """What belongs to a term, ``[M, ...]``, times the term's weight."""
        weight = self.weights.get(name)
        return values if weight is None else weight.reshape(-1, *[1] * (values.dim() - 1)) * values

    def _check(self, params: Tensor) -> None:
        """Refuses parameters that are not those of the members.

        Raises:
            UserError: says what they should be.
        """
        wanted = (len(self), self.n_params)
        if tuple(params.shape) != wanted:
            raise UserError(
                f"params of shape {list(params.shape)} do not fit; give {list(wanted)}, one row for each of the "
                f"{len(self)} members"
            )
        if params.dtype != self.dtype:
            raise UserError(f"params of type {params.dtype} do not fit a problem of {self.dtype}; give params.to({self.dtype})")

    def _checked_weight(self, name: str, value: float | Sequence[float] | Tensor) -> Tensor:
        said = f"the weight of {name!r} must be one number, or one for each of the {len(self)} members, none of them negative"
        try:
            weight = torch.as_tensor(value, dtype=self.dtype, device=self.device).detach()
        except (TypeError, ValueError, RuntimeError):
            raise UserError(f"{said}; choose a number such as 5") from None
        if weight.shape not in ((), (len(self),)) or not (torch.isfinite(weight) & (weight >= 0)).all():
            raise UserError(f"{said}; choose a number such as 5")
        return weight.expand(len(self)).clone()


class ResidualProblem(EnsembleProblem):
    """Problems whose terms are mean squares of blocks of residuals, so that some blocks can become constraints.

    A family writes :meth:`residuals` in place of :meth:`terms`.

    Attributes:
        augmentation: the augmented Lagrangian that is trained in place of the sum of terms; None if there is none.
    """

    augmentation: Augmentation | None = None

    @abstractmethod
    def residuals(self, params: Tensor) -> dict[str, Tensor]:
        """The residual blocks ``{name: [M, n]}``, differentiable to any order."""

    def terms(self, params: Tensor) -> dict[str, Tensor]:
        """Mean square of each residual block, ``{name: [M]}``."""
        return mean_squares(self.residuals(params))

    @torch.no_grad()
    def constraints(self, params: Tensor, names: Sequence[str]) -> Tensor:
        """The residuals of some blocks side by side, ``[M, C]``."""
        residuals = self.residuals(params)
        return torch.cat([residuals[name] for name in names], dim=1)

    def augmented(
        self, constrained: Sequence[str], multipliers: Tensor, penalty: Tensor, weight: Tensor, decay: Tensor
    ) -> Self:
        """The same problem with an augmented Lagrangian for its loss; see :class:`Augmentation` for the arguments.

        Raises:
            UserError: if the problem is weighted.
        """
        if self.weights:
            raise UserError(
                "an augmented Lagrangian has weights of its own, and this problem is weighted; give it one without weights"
            )
        other = copy.copy(self)
        parts = (part.to(self.device, self.dtype) for part in (multipliers, penalty, weight, decay))
        other.augmentation = Augmentation(tuple(constrained), *parts)
        return other

    def weighted(self, weights: Mapping[str, float | Sequence[float] | Tensor]) -> Self:
        """See :meth:`EnsembleProblem.weighted`; an augmented problem is refused, since it has weights of its own."""
        if self.augmentation is not None:
            raise UserError("an augmented problem has weights of its own; give them as AugmentedLagrangian(weight=...)")
        return super().weighted(weights)

    def loss(self, params: Tensor) -> Tensor:
        """The loss that is trained ``[M]``, differentiable to any order."""
        return self._with_decay(self._total(self.residuals(params)), params)

    def _take(self, rows: Tensor | slice) -> Self:
        other = super()._take(rows)
        if self.augmentation is not None:
            other.augmentation = self.augmentation.take(self._on(rows))
        return other

    def _total(self, residuals: Mapping[str, Tensor]) -> Tensor:
        """The loss without what depends on the parameters alone, ``[M]``."""
        if self.augmentation is not None:
            return self.augmentation.total(residuals)
        return self._sum(mean_squares(residuals))

    def _with_decay(self, loss: Tensor, params: Tensor) -> Tensor:
        if self.augmentation is None:
            return loss
        return loss + self.augmentation.decay * params.square().sum(dim=1)


def mean_squares(residuals: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Mean square of each block ``[M, n]``, ``{name: [M]}``."""
    return {name: r.square().mean(dim=1) for name, r in residuals.items()}


def _checked_coefficients(system: System, coefficients: Sequence[float] | Tensor) -> Tensor:
    """The coefficients as ``[M]`` float64."""
    try:
        values = torch.as_tensor(coefficients, dtype=torch.float64).detach().reshape(-1)
    except (TypeError, ValueError, RuntimeError):
        raise UserError(f"coefficients={coefficients!r} are not numbers; give a list such as [5.0, 10.0]") from None
    if not len(values):
        raise UserError("coefficients is empty: give one coefficient for each member of the ensemble")
    for value in values.tolist():
        system.check_coefficient(value)
    return values


def _checked_device(device: str | torch.device) -> torch.device:
    """The device, if there is one of that name."""
    if isinstance(device, torch.device):
        return device
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, TypeError):
        raise UserError(f"device={device!r} is not there; choose cpu, or cuda where PyTorch finds a GPU") from None
    return found
