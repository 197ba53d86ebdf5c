"""Neural ordinary differential equations: a system's trajectory, a network for its rates of change, for M members."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Self

import torch
from torch import Tensor

from sciml_lib.checks import real, whole
from sciml_lib.errors import UserError
from sciml_lib.models import MLP, check_model, rollout
from sciml_lib.problems.base import Evaluation, HessianProduct, shuffled
from sciml_lib.problems.ensemble import ResidualProblem
from sciml_lib.systems import Dynamics, System

ROLLOUT_BOUND = 100.0
"""Largest component of a state in the test: a member beyond it has left, and its error is that of the state cut off there.

No pendulum gets near it; a runaway network passes it within a few steps, and its error is then a finite number of two or
three digits, far above every threshold.
"""

ROLLOUT_DIVERGED = "rollout_diverged"
OUTCOMES = {ROLLOUT_DIVERGED: "training ended, but the trained model, followed along the test, left every bound"}
"""What an evaluation may say of a member, in words."""


class NeuralODE(ResidualProblem):
    """An ensemble of networks f that learn the rates of change of one system; damping, horizon and weights may differ.

    The residual blocks are those of one step of forward Euler from each observed state x to the next one x':

        data       x + dt f(x) - x'
        residual   dt (f(x) - F(x)),  F the true field: only with ``physics``

    over all pairs and components; a member's loss is the sum of their mean squares. This is the released code's loss: each
    observed state is the beginning of a step of its own (the paper's text describes one long integration), and its
    physics term carries dt^2, with weight 1 (the paper's equation 10 has no factor; ``scaled=False`` is that).

    The test error is that of a rollout: the network is followed by forward Euler along the whole test trajectory from its
    first state, and the relative L2 errors of the components are averaged. That fills the released maps; the text says
    one-step error, which :meth:`evaluate` gives as a metric beside it.

    Differences x' - x and true rates are taken in float64 and then cast, the released code subtracts float32 states.
    """

    def __init__(
        self,
        system: Dynamics,
        model: MLP,
        coefficients: Sequence[float] | Tensor,
        n_data: int | Sequence[int],
        *,
        physics: bool = False,
        scaled: bool = True,
        representation: str = "raw",
        validation: float = 0.0,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Binds the parts.

        Args:
            system: the equation.
            model: the network; as many inputs and outputs as the representation has dimensions.
            coefficients: one a member, ``[M]``.
            n_data: observed states, one number or one a member.
            physics: whether the true field is part of the loss (PINODE) or not (NODE).
            scaled: whether the physics term carries the factor dt^2.
            representation: what the network sees: ``raw`` states, or one of the system's own (the pendulum's ``sphere``).
            validation: share of each member's pairs, the last ones, that is held out of training.
            device: where the members live.
            dtype: their type; the paper's is float32.

        Raises:
            UserError: if there is no member, a number is impossible, the model is not an MLP that fits the representation, or
                physics is asked for in another representation than ``raw``.
        """
        if not isinstance(system, Dynamics):
            given = f"{system.name} is none; use PINN" if isinstance(system, System) else f"{system!r} is none"
            raise UserError(f"a neural ODE needs a system of ordinary differential equations, such as Pendulum(), and {given}")
        super().__init__(system, model, coefficients, device=device, dtype=dtype)
        self.n_data = torch.tensor(_checked_amounts(system, n_data, len(self)))
        seen = system.representation(representation)
        check_model(model)
        if (model.n_inputs, model.n_outputs) != (seen.dimension, seen.dimension):
            raise UserError(
                f"the representation {representation!r} of the {system.name} has {seen.dimension} dimensions: its MLP needs "
                f"n_inputs={seen.dimension} and n_outputs={seen.dimension}, not {model.n_inputs} and {model.n_outputs}"
            )
        if physics and representation != "raw":
            raise UserError(
                f"the field of the {system.name} is known for raw states only; choose representation='raw', or physics=False"
            )
        self.representation, self.physics, self.scaled = representation, physics, scaled
        self.validation = real("validation", validation)
        if not 0 <= self.validation < 1:
            raise UserError(f"validation={validation} is not a share of the data; choose 0 for none, or one such as 0.2")
        held_out = torch.ceil(self.validation * (self.n_data - 1)).long()
        self.n_validation = torch.minimum(held_out, self.n_data - 2)  # one pair at least is trained
        self._n_pairs = int(self.n_data.max()) - 1  # of the longest member, shared by all copies of this problem
        self._place_points(self.coefficients)

    @property
    def particulars(self) -> tuple[str, ...]:
        """Representation, loss and data."""
        kind = ("physics" if self.scaled else "unscaled physics") if self.physics else "data"
        held_out = (f"validation={self.validation}",) if self.validation else ()
        return (self.representation, kind, f"n_data={self.n_data.tolist()}", *held_out)

    @property
    def n_pairs(self) -> Tensor:
        """How many pairs of neighbouring states each member is trained on, ``[M]`` (CPU)."""
        return self.n_data - 1 - self.n_validation

    @property
    def term_names(self) -> tuple[str, ...]:
        """``data``, and ``residual`` with physics."""
        return ("data", "residual") if self.physics else ("data",)

    @property
    def metric_names(self) -> tuple[str, ...]:
        """``one_step_mse``, see :meth:`evaluate`."""
        return ("one_step_mse",)

    @property
    def data_groups(self) -> list[int]:
        """The members' amounts of data."""
        return self.n_data.tolist()

    @property
    def workspace_bytes_per_member(self) -> int:
        """Memory of one member in an evaluation: activations, their slopes and cotangents."""
        return self.dtype.itemsize * self._n_pairs * (4 * sum(self.model.hidden) + 12 * self.model.n_outputs)

    def at(self, coefficients: Tensor) -> Self:
        """The same problem at other coefficients, one a member, with the trajectories that belong to them."""
        other = copy.copy(self)
        other._place_points(coefficients)
        return other

    def resampled(self, data_seed: int | Sequence[int]) -> Self:
        """This very problem: nothing in a trajectory is drawn at random."""
        return self

    def residuals(self, params: Tensor) -> dict[str, Tensor]:
        """The residual blocks, differentiable to any order.

        Args:
            params: ``[M, P]``.

        Returns:
            ``{name: [M, n]}`` with n the entries of the longest member; zeros follow those of a shorter one, so its
            mean squares are :meth:`terms`, not the means of its rows.

        Raises:
            UserError: if the parameters are not those of the members.
        """
        self._check(params)
        found: dict[str, list[Tensor]] = {name: [] for name in self.term_names}
        for rows, pairs in self._groups():
            for name, r in self._residuals(self.model.layers(params[rows]), pairs).items():
                found[name].append(torch.nn.functional.pad(r, (0, self._n_pairs * self.model.n_outputs - r.shape[1])))
        return {name: torch.cat(parts) for name, parts in found.items()}

    @torch.no_grad()
    def constraints(self, params: Tensor, names: Sequence[str]) -> Tensor:
        """The residuals of some blocks side by side, ``[M, C]``.

        Every member's row is as long as the longest member's; it begins with what the member has, block after block,
        and ends with zeros. So do the multipliers of an augmented Lagrangian.
        """
        self._check(params)
        rows_of = []
        width = len(names) * self._n_pairs * self.model.n_outputs
        for rows, pairs in self._groups():
            residuals = self._residuals(self.model.layers(params[rows]), pairs)
            r = torch.cat([residuals[name] for name in names], dim=1)
            rows_of.append(torch.nn.functional.pad(r, (0, width - r.shape[1])))
        return torch.cat(rows_of)

    def terms(self, params: Tensor) -> dict[str, Tensor]:
        """Mean square of each residual block, ``{name: [M]}``."""
        self._check(params)
        parts = [self._residuals(self.model.layers(params[rows]), pairs) for rows, pairs in self._groups()]
        return {name: torch.cat([part[name].square().mean(dim=1) for part in parts]) for name in self.term_names}

    def loss(self, params: Tensor) -> Tensor:
        """The loss that is trained ``[M]``, differentiable to any order."""
        self._check(params)
        return torch.cat([self._loss(self.model.layers(params[rows]), rows, pairs) for rows, pairs in self._groups()])

    def value_and_grad(self, params: Tensor) -> tuple[Tensor, Tensor]:
        """Loss ``[M]`` and gradient ``[M, P]``: what training calls.

        Members with equally much data are evaluated together. Batched products round by the size of such a group, see
        :class:`~sciml_lib.problems.EnsembleProblem`.

        Raises:
            UserError: if the parameters are not those of the members.
        """
        self._check(params)
        loss, grad = params.new_empty(len(params)), torch.empty_like(params)
        for rows, pairs in self._groups():
            leaves = self._leaves(params[rows])
            with torch.enable_grad():
                value = self._loss(_paired(leaves), rows, pairs)
                grads = torch.autograd.grad(value.sum(), leaves)
            loss[rows] = value.detach()
            self._write(grad[rows], grads)
        return loss, grad

    def linearised(self, params: Tensor) -> tuple[Tensor, Tensor, HessianProduct]:
        """Loss, gradient, and what gives products with the Hessian at one point.

        Args:
            params: ``[M, P]``.

        Returns:
            Loss ``[M]``, gradient ``[M, P]``, and a function from ``v [M, P]`` (and a mask ``[M]`` of the members whose
            products are wanted) to the exact products ``H v``, ``[M, P]``; zeros stand where a whole group of members is
            not wanted. It holds the graphs of the gradients (:attr:`curvature_bytes_per_member`).

        Raises:
            UserError: if the parameters are not those of the members.
        """
        self._check(params)
        loss, grad = params.new_empty(len(params)), torch.empty_like(params)
        parts: list[tuple[slice, list[Tensor], tuple[Tensor, ...]]] = []
        for rows, pairs in self._groups():
            leaves = self._leaves(params[rows])
            with torch.enable_grad():
                value = self._loss(_paired(leaves), rows, pairs)
                grads = torch.autograd.grad(value.sum(), leaves, create_graph=True)
            loss[rows] = value.detach()
            self._write(grad[rows], grads)
            parts.append((rows, leaves, grads))

        def product(v: Tensor, wanted: Tensor | None = None) -> Tensor:
            result = torch.zeros_like(v)
            for rows, leaves, grads in parts:
                if wanted is None or wanted[rows].any():
                    along = [part for layer in self.model.layers(v[rows]) for part in layer]
                    self._write(result[rows], torch.autograd.grad(grads, leaves, along, retain_graph=True))
            return result

        return loss, grad, product

    def n_batches(self, size: int) -> Tensor:
        """In how many batches of at most ``size`` pairs each member's data are cut, ``[M]`` (CPU)."""
        return (self.n_pairs - 1) // size + 1

    def order(self, seeds: Tensor, epochs: Tensor) -> Tensor:
        """A random order of each member's pairs, ``[M, n]`` (CPU); see :func:`~sciml_lib.problems.base.shuffled`."""
        return shuffled(self.n_pairs, seeds, epochs)

    def minibatch(self, index: Tensor, size: int, order: Tensor | None = None) -> _MiniBatch:
        """The loss on one batch of each member.

        Args:
            index: number of the batch, ``[M]`` (CPU).
            size: pairs in a batch; the last one of a member may have fewer.
            order: in which a member's pairs are taken, ``[M, n]`` (CPU); in that of time if None, as in the released code.
        """
        place = (index * size)[:, None] + torch.arange(size)  # [M, size]
        filled = place < self.n_pairs[:, None]
        weights = filled.double() / filled.sum(dim=1, keepdim=True)
        place = place.clamp(max=self._n_pairs - 1)
        if order is not None:
            place = order.gather(1, place.clamp(max=order.shape[1] - 1))
        at = self._of[:, None], place.to(self.device)
        pairs = _Pairs(*(None if part is None else part[at] for part in (self._states, self._increments, self._rates)))
        return _MiniBatch(self, pairs, weights.to(self.device, self.dtype))

    @torch.no_grad()
    def validation_error(self, params: Tensor) -> Tensor:
        """Mean square of one step's error over the pairs that are held out, and their components, ``[M]``.

        Raises:
            UserError: if none are held out.
        """
        self._check(params)
        if not self.validation:
            raise UserError("no data are held out of training; give NeuralODE a share of them, such as validation=0.2")
        parts = [self._residuals(self.model.layers(params[rows]), pairs) for rows, pairs in self._groups(held_out=True)]
        return torch.cat([part["data"].square().mean(dim=1) for part in parts])

    @torch.no_grad()
    def evaluate(self, params: Tensor) -> Evaluation:
        """Everything that is stored of trained members.

        Args:
            params: ``[M, P]``.

        Returns:
            The terms of the loss; the rollout's test error; as metric ``one_step_mse`` the mean square of one step's error
            over all pairs and components of the test trajectory; and which rollouts have left :data:`ROLLOUT_BOUND`.
        """
        self._check(params)
        seen = self.system.representation(self.representation).map
        distinct, of = self.coefficients.cpu().unique(return_inverse=True)
        truth = torch.stack([seen(self.system.test_trajectory(c)) for c in distinct.tolist()])[of].to(self.device)
        layers, dt = self.model.layers(params), self.system.dt
        states = truth.to(self.dtype)
        followed, inside = rollout(
            lambda x: self.model.apply(layers, x[:, None])[:, 0], states[:, 0], dt, truth.shape[1], bound=ROLLOUT_BOUND
        )
        off = torch.linalg.vector_norm(followed.double() - truth, dim=1) / torch.linalg.vector_norm(truth, dim=1)
        step = dt * self.model.apply(layers, states[:, :-1]) - (truth[:, 1:] - truth[:, :-1])
        return Evaluation(
            terms=self.terms(params),
            test_error=off.mean(dim=1),
            metrics={"one_step_mse": step.square().mean(dim=(1, 2))},
            outcomes=[None if stayed else ROLLOUT_DIVERGED for stayed in inside.tolist()],
        )

    def _place_points(self, coefficients: Tensor) -> None:
        """Lays out the trajectories, one for each (coefficient, n_data) that occurs."""
        values = coefficients.double().cpu()
        seen, dt, longest = self.system.representation(self.representation).map, self.system.dt, self._n_pairs
        places: dict[tuple[float, int], int] = {}
        of = [places.setdefault(key, len(places)) for key in zip(values.tolist(), self.n_data.tolist(), strict=True)]
        states, increments, rates = [], [], []
        for value, n in places:
            raw = self.system.trajectory(value, n)
            points = seen(raw)
            parts = [(states, points[:-1]), (increments, points[1:] - points[:-1])]
            if self.physics:
                parts.append((rates, dt * self.system.field(raw[:-1], torch.tensor([value], dtype=torch.float64))))
            for found, part in parts:
                found.append(torch.nn.functional.pad(part, (0, 0, 0, longest - len(part))))
        # [trajectories, pairs of the longest, dimension]
        self._states, self._increments = (torch.stack(x).to(self.device, self.dtype) for x in (states, increments))
        self._rates = torch.stack(rates).to(self.device, self.dtype) if rates else None
        self._of = torch.tensor(of, device=self.device)
        self.coefficients = values.to(self.device)

    def _take(self, rows: Tensor | slice) -> Self:
        other = super()._take(rows)
        other.n_data, other.n_validation, other._of = self.n_data[rows], self.n_validation[rows], self._of[self._on(rows)]
        return other

    def _groups(self, *, held_out: bool = False) -> list[tuple[slice, _Pairs]]:
        """Neighbouring members with equally many pairs, and these: those that are trained, or those held out."""
        groups, start = [], 0
        for (trained, tested), members in groupby(zip(self.n_pairs.tolist(), self.n_validation.tolist(), strict=True)):
            rows = slice(start, start + len(list(members)))
            of, here = self._of[rows], slice(trained, trained + tested) if held_out else slice(trained)
            parts = (self._states, self._increments, self._rates)
            groups.append((rows, _Pairs(*(None if part is None else part[of, here] for part in parts))))
            start = rows.stop
        return groups

    def _residuals(self, layers: Sequence[tuple[Tensor, Tensor]], pairs: _Pairs) -> dict[str, Tensor]:
        """The residual blocks ``{name: [m, n d]}`` of members with equally many pairs."""
        step = self.system.dt * self.model.apply(layers, pairs.states)  # [m, n, d]
        found = {"data": (step - pairs.increments).flatten(1)}
        if pairs.rates is not None:
            missed = (step - pairs.rates).flatten(1)
            found["residual"] = missed if self.scaled else missed / self.system.dt
        return found

    def _loss(self, layers: Sequence[tuple[Tensor, Tensor]], rows: slice, pairs: _Pairs) -> Tensor:
        """The loss of members with equally many pairs, ``[m]``."""
        one = self._take(rows) if self.weights or self.augmentation else self
        residuals = self._residuals(layers, pairs)
        if one.augmentation is not None:  # the multipliers of a shorter member end with zeros
            width = sum(residuals[name].shape[1] for name in one.augmentation.constrained)
            one.augmentation = replace(one.augmentation, multipliers=one.augmentation.multipliers[:, :width])
        total = one._total(residuals)
        if one.augmentation is None:
            return total
        squares = sum(part.square().sum(dim=(1, 2)) for layer in layers for part in layer)
        return total + one.augmentation.decay * squares

    def _leaves(self, params: Tensor) -> list[Tensor]:
        """The layers' parts as tensors of their own to differentiate by; whole rows would be filled up with zeros."""
        return [part.detach().requires_grad_() for layer in self.model.layers(params) for part in layer]

    def _write(self, into: Tensor, parts: Sequence[Tensor]) -> None:
        """Writes gradients with respect to :meth:`_leaves` into rows ``[m, P]``."""
        for view, part in zip((view for layer in self.model.layers(into) for view in layer), parts, strict=True):
            view.copy_(part.detach())


@dataclass(frozen=True)
class _Pairs:
    """Observed states with what a step from them should give, ``[m, n, d]`` each.

    Attributes:
        states: what the network sees.
        increments: of the next state over this one.
        rates: dt times the true field; None without physics.
    """

    states: Tensor
    increments: Tensor
    rates: Tensor | None


@dataclass(frozen=True)
class _MiniBatch:
    """The loss of each member on one batch of its pairs.

    Attributes:
        problem: whose loss it is.
        pairs: the batches, the shorter ones filled up.
        weights: weight of each pair in its member's mean, ``[M, n]``; zero where it only fills up.
    """

    problem: NeuralODE
    pairs: _Pairs
    weights: Tensor

    def value_and_grad(self, params: Tensor) -> tuple[Tensor, Tensor]:
        """Loss ``[M]`` and gradient ``[M, P]``."""
        self.problem._check(params)
        leaves = self.problem._leaves(params)
        with torch.enable_grad():
            residuals = self.problem._residuals(_paired(leaves), self.pairs)
            squares = [self.problem._scaled(name, r.square()) for name, r in residuals.items()]
            square = sum(squares).unflatten(1, self.pairs.states.shape[1:])
            loss = (square.mean(dim=2) * self.weights).sum(dim=1)
            grads = torch.autograd.grad(loss.sum(), leaves)
        grad = torch.empty_like(params)
        self.problem._write(grad, grads)
        return loss.detach(), grad


def _paired(leaves: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Weights and biases in turn as layers."""
    return list(zip(leaves[::2], leaves[1::2], strict=True))


def _checked_amounts(system: Dynamics, n_data: int | Sequence[int], members: int) -> list[int]:
    """One amount of data a member."""
    several = isinstance(n_data, Iterable) and not isinstance(n_data, str)
    amounts = [whole("n_data", n) for n in (n_data if several else [n_data] * members)]
    if len(amounts) != members:
        raise UserError(f"n_data lists {len(amounts)} numbers for {members} members; give one for each, or a single one")
    for n in amounts:
        system.check_n_data(n)
    return amounts
