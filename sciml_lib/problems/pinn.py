"""Physics-informed networks: a system, an MLP and collocation points, for M members."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Self

import torch
from torch import Tensor

from sciml_lib import kernel
from sciml_lib.checks import seed, whole
from sciml_lib.errors import UserError, unknown
from sciml_lib.models import (
    MLP,
    EagerHessian,
    EagerJets,
    JetHessian,
    JetWorkspace,
    Layout,
    check_model,
    hessian_of,
    propagate,
    sweep_of,
)
from sciml_lib.problems.base import Evaluation, HessianProduct
from sciml_lib.problems.ensemble import ResidualProblem
from sciml_lib.problems.forms import forms_of
from sciml_lib.problems.fused import Fused, agrees, fits
from sciml_lib.systems import SpaceTimeSystem, System

# Buffers of one sweep that still stay near the processor; larger groups of members were slower on two CPU cores
# (benchmarks/ensemble.py), and a GPU wants them all at once.
CPU_WORKSPACE_BYTES = 24 * 2**20
GPU_WORKSPACE_BYTES = 8 * 2**30

# Products with the Hessian are as fast in small groups, and a group whose members have all ended costs nothing.
CPU_CURVATURE_BYTES = 6 * 2**20

COLLOCATION = ("random", "grid")
"""How residual points are placed: drawn from the master grid, or the whole of a tensor grid of its own."""


class PINN(ResidualProblem):
    """An ensemble of physics-informed networks that share their points and differ in coefficient and weights.

    The loss of a member is the unweighted sum of the mean squares of its residual blocks, without the factors 1/2 of
    the paper's equation (2): this is what the released code trains and what the thresholds of Table 5 refer to.

    A tanh network in float32 on a CPU goes through the compiled kernel (:mod:`sciml_lib.kernel`), if the system's residuals
    have a form that it knows (:mod:`sciml_lib.problems.forms`). A member's numbers then depend on nothing but the member, to
    the bit. Everything else goes by the eager form.
    """

    def __init__(
        self,
        system: SpaceTimeSystem,
        model: MLP,
        coefficients: Sequence[float] | Tensor,
        n_data: int,
        *,
        data_seed: int = 0,
        collocation: str = "random",
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Binds the parts.

        Args:
            system: the equation.
            model: the network; two inputs, one output.
            coefficients: one a member, ``[M]``.
            n_data: number of residual points; the initial and boundary points come on top.
            data_seed: seed of the residual points, the same for all members.
            collocation: ``random`` points of the system's master grid, or ``grid``: the system posed and tested on
                the tensor grid of n x n points with n the rounded root of ``n_data`` (:meth:`SpaceTimeSystem.on_grid`).
            device: where the members live.
            dtype: their type; the paper's is float32.

        Raises:
            UserError: if there is no member, a coefficient or the number of points is impossible, or the model is not an
                MLP that maps two inputs to one output.
        """
        if not isinstance(system, SpaceTimeSystem):
            given = f"{system.name} is none; use NeuralODE" if isinstance(system, System) else f"{system!r} is none"
            raise UserError(f"a PINN needs an equation in (x, t), such as Convection(), and {given}")
        check_model(model)
        if (model.n_inputs, model.n_outputs) != (2, 1):
            raise UserError(f"a PINN maps (x, t) to u: its MLP needs n_inputs=2 and n_outputs=1, not {model}")
        if collocation not in COLLOCATION:
            raise unknown("collocation", collocation, COLLOCATION)
        n_data = whole("n_data", n_data)
        system = system.on_grid(round(n_data**0.5)) if collocation == "grid" else system
        super().__init__(system, model, coefficients, device=device, dtype=dtype)
        self.coefficients = self.coefficients.to(dtype)
        self.n_data, self.data_seed, self.collocation = n_data, seed("data_seed", data_seed), collocation
        # Both are shared by all copies of this problem.
        self._workspaces: dict[int, JetWorkspace | EagerJets] = {}
        self._term_names: list[str] = []
        self._fused: Fused | None = None
        self._engine: str | None = None  # not yet known
        self._place_points(self.data_seed)

    @property
    def particulars(self) -> tuple[str, ...]:
        """Number, placing and seed of the points."""
        placed = () if self.collocation == "random" else (self.collocation,)
        return (f"n_data={self.n_data}", *placed, f"data_seed={self.data_seed}")

    @property
    def term_names(self) -> tuple[str, ...]:
        """Names of the residual blocks, in the order of the loss."""
        if not self._term_names:
            one = copy.copy(self)
            one._engine = "eager"  # a question for names builds no kernel
            with torch.no_grad():
                self._term_names += one.select([0]).residuals(self.init([0]))
        return tuple(self._term_names)

    @property
    def engine(self) -> str:
        """How it is evaluated: ``fused``, by the compiled kernel, or ``eager``."""
        if self._engine is None:
            self._bind()
        return self._engine

    def at(self, coefficients: Tensor) -> Self:
        """The same problem at other coefficients, one a member."""
        other = copy.copy(self)
        other.coefficients = coefficients.to(self.device, self.dtype)
        other._fused, other._engine = None, None
        return other

    def resampled(self, data_seed: int | Sequence[int]) -> Self:
        """The same problem on another draw of residual points, the same for all members."""
        other = copy.copy(self)
        other._place_points(data_seed)
        other._fused, other._engine = None, None
        return other

    def shifted(self, shifts: Tensor) -> Self:
        """The same problem with every member's residual points moved.

        Args:
            shifts: displacement of each point, ``[M, n, 2]``; points may leave the domain.
        """
        bound = self.engine == "fused" and self._fused
        other = copy.copy(self)
        other.points = self.points | {"residual": self.points["residual"] + shifts}
        other._jet_seed = None
        if bound:
            # An offset is known where it was asked for alone.
            still = all(form.offset is None for form in bound.forms if "residual" in (form.source, form.partner))
            other._fused = bound.take(slice(None), other.points) if still else None
            other._engine = "fused" if still else "eager"
        return other

    def residuals(self, params: Tensor) -> dict[str, Tensor]:
        """The residual blocks, differentiable to any order.

        Args:
            params: ``[M, P]``.

        Returns:
            ``{name: [M, n]}``.

        Raises:
            UserError: if the parameters are not those of the members.
        """
        self._check(params)
        return self._residuals(propagate(self.model, params, self._seed, self.layout))

    def value_and_grad(self, params: Tensor) -> tuple[Tensor, Tensor]:
        """Loss ``[M]`` and gradient ``[M, P]``: what training calls.

        The compiled kernel takes the members one by one. In the eager form they go through the buffers of
        :class:`~sciml_lib.models.jets.JetWorkspace` in groups, whose size the products round by, see
        :class:`~sciml_lib.problems.EnsembleProblem`.

        Raises:
            UserError: if the parameters are not those of the members.
        """
        self._check(params)
        if self.engine == "fused":
            loss, grad = self._fused.loss(params, self.weights, self.augmentation, gradient=True)
        else:
            loss, grad = self._eager_value_and_grad(params)
        if self.augmentation is not None:
            loss = self._with_decay(loss, params)
            grad += (2.0 * self.augmentation.decay)[:, None] * params
        return loss, grad

    @torch.no_grad()
    def value(self, params: Tensor) -> Tensor:
        """Loss ``[M]`` alone, for line searches that need no gradient."""
        self._check(params)
        if self.engine == "fused":
            loss, _ = self._fused.loss(params, self.weights, self.augmentation, gradient=False)
            return self._with_decay(loss, params)
        losses = []
        for rows in _groups(len(params), self.group_size):
            one = self._take(rows)
            jet = self._workspace(min(self.group_size, len(params))).forward(params[rows], one._seed)
            losses.append(one._with_decay(one._total(one._residuals(jet)), params[rows]))
        return torch.cat(losses)

    @torch.no_grad()
    def constraints(self, params: Tensor, names: Sequence[str]) -> Tensor:
        """The residuals of some blocks side by side, ``[M, C]``."""
        if self.engine != "fused":
            return super().constraints(params, names)
        self._check(params)
        residuals = self._fused.residuals(params, names)
        return torch.cat([residuals[name] for name in names], dim=1)

    def linearised(self, params: Tensor) -> tuple[Tensor, Tensor, HessianProduct]:
        """Loss, gradient, and what gives products with the Hessian at one point.

        Args:
            params: ``[M, P]``.

        Returns:
            Loss ``[M]``, gradient ``[M, P]``, and a function from ``v [M, P]`` (and a mask ``[M]`` of the members whose
            products are wanted) to the exact products ``H v``, ``[M, P]``; zeros stand where a whole group of members is
            not wanted. The function holds much memory (:attr:`curvature_bytes_per_member`): it is meant for many
            products, and then to be dropped.

        Raises:
            UserError: if the parameters are not those of the members.
        """
        self._check(params)
        parts: list[tuple[slice, JetHessian | EagerHessian, Tensor | None]] = []
        losses, grads = [], []
        budget = GPU_WORKSPACE_BYTES if self.device.type == "cuda" else CPU_CURVATURE_BYTES
        # Members that the kernel trains are on their own here, too: PyTorch's products round by the size of a group, by where
        # operands lie in memory, and by the number of threads.
        alone = self.engine == "fused"
        size = 1 if alone else max(1, budget // self.curvature_bytes_per_member)
        threads = kernel.one_thread if alone else nullcontext
        for rows in _groups(len(params), size):
            one, p = self._take(rows), params[rows].detach().clone()
            kind = hessian_of(self.model)
            with threads():
                hessian = kind(self.model, p, one._seed, self.layout, lambda jet, one=one: one._total(one._residuals(jet)))
            decay = None if one.augmentation is None else one.augmentation.decay[:, None]
            losses.append(one._with_decay(hessian.loss, p))
            grads.append(hessian.grad if decay is None else hessian.grad + (2.0 * decay) * p)
            parts.append((rows, hessian, decay))

        def product(v: Tensor, wanted: Tensor | None = None) -> Tensor:
            result = torch.zeros_like(v)
            for rows, hessian, decay in parts:
                if wanted is None or wanted[rows].any():
                    direction = v[rows].clone()
                    with threads():
                        result[rows] = hessian.product(direction)
                    if decay is not None:
                        result[rows] += (2.0 * decay) * direction
            return result

        return torch.cat(losses), torch.cat(grads), product

    @torch.no_grad()
    def test_error(self, params: Tensor) -> Tensor:
        """Relative L2 error ``[M]`` against the reference solution over the test vector of 13,031 entries."""
        self._check(params)
        points = self.system.test_points().to(self.device)
        errors = []
        for row, coefficient in zip(params, self.coefficients, strict=True):
            exact = self.system.solution(points, coefficient.double().reshape(1, 1))[0]
            if self.engine == "fused":
                ours = self._fused.values(row[None], points.to(self.dtype))[0]
            else:
                ours = self.model(row[None], points.to(self.dtype))[0, :, 0]
            errors.append(torch.linalg.vector_norm(ours - exact) / torch.linalg.vector_norm(exact))
        return torch.stack(errors)

    @torch.no_grad()
    def evaluate(self, params: Tensor) -> Evaluation:
        """Terms and test error of trained members, one by one: evaluated together they would want too much memory."""
        self._check(params)
        rows = [(self.select([m]), params[[m]]) for m in range(len(params))]
        blocks = [one._fused.terms(p) if one.engine == "fused" else one.terms(p) for one, p in rows]
        return Evaluation(
            terms={name: torch.cat([losses[name] for losses in blocks]) for name in blocks[0]},
            test_error=torch.cat([one.test_error(p) for one, p in rows]),
        )

    @property
    def data_groups(self) -> list[int]:
        """One number for all members: they share their points."""
        return [0] * len(self)

    @property
    def group_size(self) -> int:
        """How many members are evaluated at a time."""
        if self.engine == "fused":
            return torch.get_num_threads()
        budget = GPU_WORKSPACE_BYTES if self.device.type == "cuda" else CPU_WORKSPACE_BYTES
        return max(1, budget // self.workspace_bytes_per_member)

    @property
    def workspace_bytes_per_member(self) -> int:
        """Size of one member's share of the evaluation buffers: of the kernel's, its tile."""
        if self.engine == "fused":
            return kernel.tile_bytes(self.model.hidden)
        return sweep_of(self.model).bytes_per_member(self.model, self.layout, self.dtype.itemsize)

    @property
    def curvature_bytes_per_member(self) -> int:
        """Memory of one member in what :meth:`linearised` returns."""
        return hessian_of(self.model).bytes_per_member(self.model, self.layout, self.dtype.itemsize)

    @property
    def n_residual(self) -> int:
        """Points of the residual block."""
        return self.points["residual"].shape[-2]

    @property
    def shortest_side(self) -> float:
        """Length of the shorter side of the rectangle of (x, t)."""
        return min(high - low for low, high in (self.system.x_range, self.system.t_range))

    def _place_points(self, data_seed: int | Sequence[int]) -> None:
        """Lays the points out."""
        blocks = self.system.blocks(self.n_data, data_seed)
        if next(iter(blocks)) != "residual":
            raise UserError(f"system {self.system.name!r} must list its block 'residual' first, not {next(iter(blocks))!r}")
        self.points = {name: block.points.to(self.device, self.dtype) for name, block in blocks.items()}
        self.layout = Layout.of([(len(block.points), block.derivatives) for block in blocks.values()])
        self._jet_seed = None

    @property
    def _seed(self) -> Tensor:
        """What goes into the first layer, ``[n_rows, 2]``, or ``[M, n_rows, 2]`` where members have points of their own."""
        if self._jet_seed is None:
            own = any(points.dim() == 3 for points in self.points.values())
            parts = [p.expand(len(self), -1, -1) if own else p for p in self.points.values()]
            self._jet_seed = self.layout.seed(torch.cat(parts, dim=-2))
        return self._jet_seed

    def _take(self, rows: Tensor | slice) -> Self:
        engine = self.engine  # a copy inherits what is known, and does not ask again
        other = super()._take(rows)
        on = self._on(rows)
        if self.points["residual"].dim() == 3:
            other.points = self.points | {"residual": self.points["residual"][on]}
            other._jet_seed = None
        if engine == "fused":
            other._fused = self._fused.take(on, other.points)
        return other

    def _bind(self) -> None:
        """Finds out how this problem is evaluated."""
        self._fused, self._engine = None, "eager"
        built = kernel.get() if fits(self.model, self.dtype, self.device) else None
        if built is None:
            return
        keys, start = {}, 0
        for name, points in self.points.items():
            start += len(points)
            keys[name] = ("u", *(key for key, count in self.layout.counts if start <= count))
        forms = forms_of(self.system, self.points, keys, self.coefficients)
        if forms is None:
            return
        fused = Fused(built, self.model, forms, self.points)
        if _is_trusted(fused, self):
            self._fused, self._engine = fused, "fused"

    def _eager_value_and_grad(self, params: Tensor) -> tuple[Tensor, Tensor]:
        """Loss without a decay ``[M]`` and gradient ``[M, P]`` by :class:`JetWorkspace`."""
        losses, grads = [], []
        for rows in _groups(len(params), self.group_size):
            one, p = self._take(rows), params[rows]
            workspace = self._workspace(min(self.group_size, len(params)))
            jet = workspace.forward(p, one._seed).requires_grad_()
            with torch.enable_grad():
                loss = one._total(one._residuals(jet))
                (cotangent,) = torch.autograd.grad(loss.sum(), jet)
            losses.append(loss.detach())
            grads.append(workspace.backward(cotangent))
        return (losses[0], grads[0]) if len(losses) == 1 else (torch.cat(losses), torch.cat(grads))

    def _workspace(self, capacity: int) -> JetWorkspace | EagerJets:
        if not self._workspaces or next(iter(self._workspaces)) < capacity:
            self._workspaces.clear()
            self._workspaces[capacity] = sweep_of(self.model)(self.model, self.layout, capacity, self.coefficients)
        return next(iter(self._workspaces.values()))

    def _residuals(self, jet: Tensor) -> dict[str, Tensor]:
        """Cuts a stacked jet ``[M, n_rows]`` into the system's blocks and asks it for its residuals."""
        values, derivatives = self.layout.split(jet)
        jets: dict[str, dict[str, Tensor]] = {}
        start = 0
        for name, points in self.points.items():
            stop = start + points.shape[-2]
            jets[name] = {"u": values[:, start:stop]}
            jets[name] |= {key: d[:, start:stop] for key, d in derivatives.items() if stop <= d.shape[1]}
            start = stop
        return self.system.residuals(jets, self.points, self.coefficients[:, None])


_TRUSTED: dict[object, bool] = {}
"""What the kernel has been compared with the eager form for in this process."""


def _is_trusted(fused: Fused, problem: PINN) -> bool:
    """Compares the kernel with the eager form at the initial points of two members, once for every way through it."""
    if fused.name not in _TRUSTED:
        eager = copy.copy(problem)
        eager.weights, eager.augmentation = {}, None
        eager = eager.select([0, len(problem) - 1])
        params = eager.init([0, 1])
        ours = fused.take(torch.tensor([0, len(problem) - 1]), fused.points).loss(params, {}, None, gradient=True)
        _TRUSTED[fused.name] = agrees(ours, eager.value_and_grad(params))
        if not _TRUSTED[fused.name]:
            kernel.say_eager(
                f"the compiled kernel disagrees with the eager form on {problem.system.name}",
                "delete the folder `kernel` of the cache to build it anew",
            )
    return _TRUSTED[fused.name]


def _groups(m: int, size: int) -> list[slice]:
    """Slices of at most ``size`` that cover ``m`` members."""
    return [slice(start, min(start + size, m)) for start in range(0, m, size)]
