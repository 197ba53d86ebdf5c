"""The programs one would otherwise write: one network at a time, in plain PyTorch.

For the convection equation derivatives by nested ``autograd.grad``, ``torch.optim.LBFGS`` with strong Wolfe search around
them, products with the Hessian by differentiating twice with ``retain_graph``; for neural ODEs the loss of single steps,
and ``torch.optim.Adam`` on slices of the trajectory. Nothing of the library's training is used: only its points or
trajectories, its initial weights and its ``nn.Module``. Each class trains one network by one strategy;
:class:`Sequential` trains several one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from sciml_lib.problems import PINN, NeuralODE

Draw = Callable[[int, int], Tensor]
"""Random numbers of a given shape, from the count of those drawn before: what a test replaces by the library's own."""


class Network:
    """One member of a problem in the usual style: a module and its loss."""

    net: nn.Module

    def loss(self) -> Tensor:
        """What is trained."""
        raise NotImplementedError

    def flat(self) -> Tensor:
        """The parameters in one vector."""
        return nn.utils.parameters_to_vector(self.net.parameters()).detach()


class Plain(Network):
    """One member of a convection problem: its points, its residuals."""

    def __init__(self, problem: PINN, member: int, params: Tensor) -> None:
        self.net = problem.model.module(params)
        self.beta = problem.coefficients[member]
        self.move_to(problem)

    def move_to(self, problem: PINN) -> None:
        """Takes the points of another draw."""
        self.inner = problem.points["residual"].clone().requires_grad_()
        self.upper, self.lower, self.initial = (problem.points[name] for name in ("upper", "lower", "initial"))
        self.target = torch.sin(self.initial[:, :1])

    def residuals(self, shift: Tensor | None = None, *, differentiable: bool = True) -> tuple[Tensor, Tensor, Tensor]:
        """Equation, boundary and initial residuals; the first one possibly at points moved by a ``shift``."""
        inner = self.inner if shift is None else (self.inner.detach() + shift).requires_grad_()
        u = self.net(inner)
        (d,) = torch.autograd.grad(u, inner, torch.ones_like(u), create_graph=differentiable)
        return d[:, 1] + self.beta * d[:, 0], self.net(self.upper) - self.net(self.lower), self.net(self.initial) - self.target

    def loss(self, shift: Tensor | None = None, *, differentiable: bool = True) -> Tensor:
        """The sum of the mean squares."""
        return sum(r.square().mean() for r in self.residuals(shift, differentiable=differentiable))


class PlainTrajectory(Network):
    """One member of a neural ODE: its observed states, and what one step of forward Euler should give from each."""

    def __init__(self, problem: NeuralODE, member: int, params: Tensor) -> None:
        self.net, system = problem.model.module(params), problem.system
        coefficient = problem.coefficients[member].cpu()
        raw = system.trajectory(coefficient.item(), int(problem.n_data[member]))
        states, self.dt = system.representation(problem.representation).map(raw), system.dt
        wanted = [states[1:] - states[:-1]]
        if problem.physics:
            wanted.append(self.dt * system.field(raw[:-1], coefficient))
        self.states, *self.wanted = (part.to(problem.device, problem.dtype) for part in (states[:-1], *wanted))

    def loss(self, rows: slice = slice(None)) -> Tensor:
        """The sum of the mean squares, over some of the steps."""
        step = self.dt * self.net(self.states[rows])
        return sum((step - part[rows]).square().mean() for part in self.wanted)


class Run(Protocol):
    """One network and its training."""

    member: Network

    def advance(self, iterations: int) -> int:
        """Trains for about so many iterations; returns how many were done."""


class Sequential:
    """Several runs one after the other."""

    def __init__(self, runs: Sequence[Run], warm: int = 0) -> None:
        self.runs = runs
        if warm:
            self.advance(warm)

    def advance(self, iterations: int) -> int:
        """Trains every member for some iterations; returns the member-iterations done."""
        return sum(run.advance(iterations) for run in self.runs)

    @property
    def params(self) -> Tensor:
        """Where the members are, ``[M, P]``."""
        return torch.stack([run.member.flat() for run in self.runs])


def _optimiser(net: nn.Module, iterations: int, evaluations: int, history: int = 100) -> torch.optim.LBFGS:
    return torch.optim.LBFGS(
        net.parameters(),
        max_iter=iterations,
        max_eval=evaluations,
        history_size=history,
        tolerance_change=0.0,
        line_search_fn="strong_wolfe",
    )


def _closure(optimiser: torch.optim.Optimizer, objective: Callable[[], Tensor]) -> Callable[[], Tensor]:
    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = objective()
        loss.backward()
        return loss

    return closure


def _count(optimiser: torch.optim.LBFGS) -> int:
    return optimiser.state[optimiser._params[0]].get("n_iter", 0)


class PlainLBFGS:
    """L-BFGS; the history goes on from one stretch to the next."""

    def __init__(self, member: Network, history: int = 100) -> None:
        self.member = member
        self.optimiser = _optimiser(member.net, 1, 1, history)
        self.closure = _closure(self.optimiser, member.loss)

    def advance(self, iterations: int) -> int:
        """One call of the optimiser."""
        before = _count(self.optimiser)
        self.optimiser.param_groups[0].update(max_iter=iterations, max_eval=10 * iterations)
        self.optimiser.step(self.closure)
        return _count(self.optimiser) - before


class PlainAdam:
    """Adam on one slice of a trajectory after the other, an epoch having a number of updates whatever the slices."""

    def __init__(self, member: PlainTrajectory, *, batch_size: int, updates: int, learning_rate: float, decay: float) -> None:
        self.member, self.updates, self.done = member, updates, 0
        self.batches = [slice(start, start + batch_size) for start in range(0, len(member.states), batch_size)]
        self.optimiser = torch.optim.Adam(member.net.parameters(), lr=learning_rate)
        self.schedule = torch.optim.lr_scheduler.ExponentialLR(self.optimiser, decay)

    def advance(self, iterations: int) -> int:
        """So many updates."""
        for _ in range(iterations):
            rows = self.batches[self.done % self.updates % len(self.batches)]
            self.optimiser.zero_grad()
            self.member.loss(rows).backward()
            self.optimiser.step()
            self.done += 1
            if self.done % self.updates == 0:
                self.schedule.step()
        return iterations


class PlainALM:
    """Augmented Lagrangian with the conditions for constraints: multipliers, penalty, then a fresh L-BFGS."""

    def __init__(self, member: Plain, inner: int, weight: float, penalty: float, growth: float) -> None:
        self.member, self.inner, self.weight, self.penalty, self.growth = member, inner, weight, penalty, growth
        self.multipliers = [torch.zeros_like(r) for r in member.residuals()[1:]]

    def objective(self) -> Tensor:
        """The augmented Lagrangian."""
        residual, *constraints = self.member.residuals()
        total = self.weight * residual.square().mean()
        for multipliers, g in zip(self.multipliers, constraints, strict=True):
            total = total + (multipliers * g).mean() + 0.5 * self.penalty * g.square().mean()
        return total

    def advance(self, iterations: int) -> int:
        """Whole calls until the iterations are reached."""
        done = 0
        while done < iterations:
            constraints = self.member.residuals()[1:]
            self.multipliers = [m + self.penalty * g.detach() for m, g in zip(self.multipliers, constraints, strict=True)]
            self.penalty *= self.growth
            optimiser = _optimiser(self.member.net, self.inner, 10 * self.inner)
            optimiser.step(_closure(optimiser, self.objective))
            done += _count(optimiser)
        return done


class PlainRoPINN:
    """L-BFGS called again and again, on points that are moved at every evaluation by up to a calibrated region."""

    def __init__(self, member: Plain, initial_region: float, window: int, max_region: float, draw: Draw | None = None) -> None:
        self.member, self.initial, self.window, self.max_region = member, initial_region, window, max_region
        self.draw = draw or (lambda rows, count: torch.rand(rows, 2).to(member.inner))
        self.region, self.drawn = initial_region, 0
        self.gradients: list[Tensor] = []  # of the present call
        self.averages: list[Tensor] = []  # of the last calls
        self.optimiser = _optimiser(member.net, 20, 25)

    def closure(self) -> Tensor:
        """The loss on a fresh sample of points."""
        self.optimiser.zero_grad()
        loss = self.member.loss(self.region * self.draw(len(self.member.inner), self.drawn))
        self.drawn += 1
        loss.backward()
        self.gradients.append(torch.cat([p.grad.reshape(-1) for p in self.member.net.parameters()]))
        return loss

    def advance(self, iterations: int) -> int:
        """Whole calls until the iterations are reached."""
        before = _count(self.optimiser)
        while _count(self.optimiser) - before < iterations:
            self.optimiser.step(self.closure)
            self.averages = [*self.averages, torch.stack(self.gradients).mean(dim=0)][-self.window :]
            self.gradients = []
            last = torch.stack(self.averages)
            spread = last.std(dim=0, correction=0) / (last.abs().mean(dim=0) + 1e-6)
            v = spread.mean().item() or 1.0
            self.region = min(self.initial / v, self.max_region)
        return _count(self.optimiser) - before


class PlainCurriculum:
    """Levels, each with its coefficient, points of its own and a fresh L-BFGS, from the weights of the one below."""

    def __init__(self, member: Plain, levels: Sequence[PINN]) -> None:
        """Takes the levels as one-member problems."""
        self.member, self.levels, self.next = member, levels, 0

    def advance(self, iterations: int) -> int:
        """One level."""
        level = self.levels[self.next % len(self.levels)]
        self.next += 1
        self.member.move_to(level)
        self.member.beta = level.coefficients[0]
        optimiser = _optimiser(self.member.net, iterations, 10 * iterations)
        optimiser.step(_closure(optimiser, self.member.loss))
        return _count(optimiser)


class PlainNNCG:
    """Newton steps by conjugate gradients with a Nystrom preconditioner, as in Rathore et al. (2024)."""

    def __init__(
        self, member: Plain, *, rank: int, refresh: int, damping: float, cg_iterations: int, draw: Draw | None = None
    ) -> None:
        self.member, self.rank, self.refresh, self.damping, self.cg_iterations = member, rank, refresh, damping, cg_iterations
        self.parameters = list(member.net.parameters())
        self.draw = draw or (lambda rows, count: torch.randn(rows, rank).to(member.inner))
        self.direction = torch.zeros_like(member.flat())
        self.steps = self.products = 0

    def linearise(self) -> Tensor:
        """Prepares products at the present weights; returns the loss."""
        loss = self.member.loss()
        self.grad = self._flat(torch.autograd.grad(loss, self.parameters, create_graph=True))
        return loss.detach()

    def product(self, v: Tensor) -> Tensor:
        """H v, by differentiating the gradient once more."""
        self.products += 1
        return self._flat(torch.autograd.grad(self.grad, self.parameters, v, retain_graph=True))

    def advance(self, iterations: int) -> int:
        """So many Newton steps."""
        for _ in range(iterations):
            self._step()
        return iterations

    def _step(self) -> None:
        loss = self.linearise()
        g = self.grad.detach()
        if self.steps % self.refresh == 0:
            self._sketch()
        for start in (self.direction, torch.zeros_like(g)):
            self.direction = self._solve(g, start)
            slope = g @ self.direction
            if slope > 0:
                break
        here, t = self.member.flat(), 1.0
        for _ in range(30):
            nn.utils.vector_to_parameters(here - t * self.direction, self.parameters)
            if self.member.loss(differentiable=False) <= loss - 0.1 * t * slope:
                break
            t *= 0.5
        self.steps += 1

    def _solve(self, g: Tensor, start: Tensor) -> Tensor:
        """(H + mu I) d = g; ends early at negative curvature, and where rounding leaves no residual."""
        d, r = start.clone(), g.clone()
        if d.any():
            r = g - self.product(d) - self.damping * d
        z = self._precondition(r)
        p, rz = z, r @ z
        for iteration in range(self.cg_iterations):
            if rz <= 0:
                break
            hp = self.product(p) + self.damping * p
            curvature = p @ hp
            if not curvature > 0:
                return d + p if iteration == 0 else d
            alpha = rz / curvature
            d, r = d + alpha * p, r - alpha * hp
            z = self._precondition(r)
            rz, before = r @ z, rz
            p = z + rz / before * p
        return d

    def _sketch(self) -> None:
        """Randomised Nystrom approximation (algorithm 2.1 of Frangella et al. 2023), its core lifted where it must be."""
        q = torch.linalg.qr(self.draw(len(self.direction), self.steps // self.refresh).double()).Q  # [P, rank]
        y = torch.stack([self.product(column.to(self.direction)) for column in q.T], dim=1).double()
        core = 0.5 * (q.T @ y + y.T @ q)
        ends = torch.linalg.eigvalsh(core)[[0, -1]]
        shift = max(torch.finfo(self.direction.dtype).eps * torch.linalg.matrix_norm(y), 1e-6 * ends.abs().max() - ends[0])
        factor = torch.linalg.cholesky(core + shift * torch.eye(self.rank).to(core))
        b = torch.linalg.solve_triangular(factor, (y + shift * q).T, upper=False).T
        u, sigma, _ = torch.linalg.svd(b, full_matrices=False)
        self.vectors, self.values = u.to(self.direction), (sigma.square() - shift).clamp(min=0.0).to(self.direction)

    def _precondition(self, r: Tensor) -> Tensor:
        scale = (self.values[-1] + self.damping) / (self.values + self.damping) - 1.0
        return r + self.vectors @ (scale * (self.vectors.T @ r))

    @staticmethod
    def _flat(parts: Sequence[Tensor]) -> Tensor:
        return torch.cat([part.reshape(-1) for part in parts])


class PlainProducts:
    """Products with one Hessian alone, one vector after the other."""

    def __init__(self, newton: PlainNNCG, vectors: Tensor) -> None:
        self.newton, self.member, self.vectors = newton, newton.member, vectors
        newton.linearise()

    def advance(self, iterations: int) -> int:
        """So many products."""
        for i in range(iterations):
            self.newton.product(self.vectors[i % len(self.vectors)])
        return iterations
