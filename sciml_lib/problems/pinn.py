"""Physics-informed networks: a system, an MLP and collocation points, for M members."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from sciml_lib.errors import UserError
from sciml_lib.models import MLP, JetWorkspace, Layout, propagate
from sciml_lib.systems import System

# Buffers of one sweep that still stay near the processor; larger groups of members were slower on two CPU cores
# (benchmarks/ensemble.py), and a GPU wants them all at once.
CPU_WORKSPACE_BYTES = 24 * 2**20
GPU_WORKSPACE_BYTES = 8 * 2**30


class PINN:
    """An ensemble of physics-informed networks that share their points and differ in coefficient and weights.

    The loss of a member is the unweighted sum of the mean squares of its residual blocks, without the factors 1/2 of
    the paper's equation (2): this is what the released code trains and what the thresholds of Table 5 refer to.
    """

    def __init__(
        self,
        system: System,
        model: MLP,
        coefficients: Sequence[float] | Tensor,
        n_data: int,
        *,
        data_seed: int = 0,
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
            device: where the members live.
            dtype: their type; the paper's is float32.

        Raises:
            UserError: if there is no member, a coefficient or the number of points is impossible, or the network
                does not map two inputs to one output.
        """
        values = torch.as_tensor(coefficients, dtype=torch.float64).reshape(-1)
        if not len(values):
            raise UserError("coefficients is empty: give one coefficient for each member of the ensemble")
        for value in values.tolist():
            system.check_coefficient(value)
        if (model.n_inputs, model.n_outputs) != (2, 1):
            raise UserError(f"a PINN maps (x, t) to u: its MLP needs n_inputs=2 and n_outputs=1, not {model}")
        self.system, self.model, self.n_data, self.data_seed = system, model, n_data, data_seed
        self.device, self.dtype = torch.device(device), dtype
        self.coefficients = values.to(self.device, dtype)
        blocks = system.blocks(n_data, data_seed)
        self.points = {name: block.points.to(self.device, dtype) for name, block in blocks.items()}
        flags = [block.derivatives for block in blocks.values()]
        if flags != sorted(flags, reverse=True):
            raise UserError(f"system {system.name!r} must list its blocks with derivatives before the others")
        n_points = sum(len(points) for points in self.points.values())
        n_jets = sum(len(points) for points, flag in zip(self.points.values(), flags, strict=True) if flag)
        self.layout = Layout(n_points, n_jets, system.orders)
        self._seed = self.layout.seed(torch.cat(list(self.points.values())))
        self._workspaces: dict[int, JetWorkspace] = {}  # shared by all copies of this problem

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
        return (
            f"PINN({self.system.name}, {self.model}, n_data={self.n_data}, data_seed={self.data_seed}, "
            f"{self.dtype}, {self.coefficients.tolist()})"
        )

    @property
    def block_names(self) -> tuple[str, ...]:
        """Names of the residual blocks, in the order of the loss."""
        with torch.no_grad():
            return tuple(self.select([0]).residuals(self.init([0])))

    def select(self, index: Sequence[int] | Tensor) -> PINN:
        """The same problem for some of the members (in that order; repetition is allowed)."""
        chosen = torch.as_tensor(index, dtype=torch.long, device=self.device)
        return self.at(self.coefficients[chosen])

    def at(self, coefficients: Tensor) -> PINN:
        """The same problem at other coefficients, one a member."""
        other = copy.copy(self)
        other.coefficients = coefficients.to(self.device, self.dtype)
        return other

    def init(self, seeds: Sequence[int]) -> Tensor:
        """Initial parameters ``[len(seeds), P]``, one seed a member."""
        return self.model.init(seeds, dtype=self.dtype, device=str(self.device))

    def residuals(self, params: Tensor) -> dict[str, Tensor]:
        """The residual blocks, differentiable to any order.

        Args:
            params: ``[M, P]``.

        Returns:
            ``{name: [M, n]}``.
        """
        return self._residuals(propagate(self.model, params, self._seed, self.layout))

    def block_losses(self, params: Tensor) -> dict[str, Tensor]:
        """Mean square of each residual block, ``{name: [M]}``."""
        return {name: r.square().mean(dim=1) for name, r in self.residuals(params).items()}

    def loss(self, params: Tensor) -> Tensor:
        """The training loss ``[M]``, differentiable to any order."""
        return _total(self.residuals(params))

    def value_and_grad(self, params: Tensor) -> tuple[Tensor, Tensor]:
        """Loss ``[M]`` and gradient ``[M, P]``: what training calls.

        Members go through the buffers of :class:`~sciml_lib.models.jets.JetWorkspace` in groups; neither result
        depends on who else is in the group.
        """
        group = self.group_size
        losses, grads = [], []
        for start in range(0, len(params), group):
            rows = slice(start, min(start + group, len(params)))
            workspace = self._workspace(min(group, len(params)))
            jet = workspace.forward(params[rows]).requires_grad_()
            with torch.enable_grad():
                loss = _total(self.at(self.coefficients[rows])._residuals(jet))
                (cotangent,) = torch.autograd.grad(loss.sum(), jet)
            losses.append(loss.detach())
            grads.append(workspace.backward(cotangent))
        return (losses[0], grads[0]) if len(losses) == 1 else (torch.cat(losses), torch.cat(grads))

    @torch.no_grad()
    def test_error(self, params: Tensor) -> Tensor:
        """Relative L2 error ``[M]`` against the reference solution over the test vector of 13,031 entries."""
        points = self.system.test_points().to(self.device)
        errors = []
        for row, coefficient in zip(params, self.coefficients, strict=True):
            exact = self.system.solution(points, coefficient.double().reshape(1, 1))[0]
            ours = self.model(row[None], points.to(self.dtype))[0, :, 0]
            errors.append(torch.linalg.vector_norm(ours - exact) / torch.linalg.vector_norm(exact))
        return torch.stack(errors)

    @property
    def group_size(self) -> int:
        """How many members are evaluated at a time."""
        budget = GPU_WORKSPACE_BYTES if self.device.type == "cuda" else CPU_WORKSPACE_BYTES
        return max(1, budget // self.workspace_bytes_per_member)

    @property
    def workspace_bytes_per_member(self) -> int:
        """Size of one member's share of the evaluation buffers."""
        return JetWorkspace.bytes_per_member(self.model, self.layout, self.dtype.itemsize)

    def _workspace(self, capacity: int) -> JetWorkspace:
        if not self._workspaces or next(iter(self._workspaces)) < capacity:
            self._workspaces.clear()
            self._workspaces[capacity] = JetWorkspace(self.model, self._seed, self.layout, capacity)
        return next(iter(self._workspaces.values()))

    def _residuals(self, jet: Tensor) -> dict[str, Tensor]:
        """Cuts a stacked jet ``[M, n_rows]`` into the system's blocks and asks it for its residuals."""
        values, derivatives = self.layout.split(jet)
        jets: dict[str, dict[str, Tensor]] = {}
        start = 0
        for name, points in self.points.items():
            stop = start + len(points)
            jets[name] = {"u": values[:, start:stop]}
            if stop <= self.layout.n_jets:
                jets[name] |= {key: d[:, start:stop] for key, d in derivatives.items()}
            start = stop
        return self.system.residuals(jets, self.points, self.coefficients[:, None])


def _total(residuals: dict[str, Tensor]) -> Tensor:
    """Sum of the blocks' mean squares, ``[M]``."""
    return torch.stack([r.square().mean(dim=1) for r in residuals.values()]).sum(dim=0)
