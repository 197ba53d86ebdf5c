"""Logistic growth that also spreads around the ring; its reference solution is computed by operator splitting."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from sciml_lib.systems.base import Block, Jet, SpaceTimeSystem, positive
from sciml_lib.systems.reaction import bump, logistic

MODES = 128
"""Points around the ring on which the reference is computed, as the released code does for its test grid."""


@dataclass(frozen=True, eq=False, repr=False)
class ReactionDiffusion(SpaceTimeSystem):
    """u_t - nu u_xx - rho u (1 - u) = 0 on [0, 2 pi] x [0, 1], a Gaussian at t = 0, periodic in x (appendix B.2).

    The paper prints the reaction with the opposite sign and leaves nu and the initial value open. Here, as in the
    released code, the reaction makes u grow, nu is 2 (the authors' sweeps) and the Gaussian is exp(-2 (x - pi)^2).
    There is no closed solution: the reference splits every time step of 0.01 into an exact logistic step and an exact
    diffusion step in Fourier space (Lie splitting), which is the released code's reference, too. Its own error is what
    :meth:`reference_error` measures.

    Attributes:
        nu: diffusivity.
        width: standard deviation of the Gaussian; 1/2 gives the released code's. Upstream code has pi/4.
        time_step: step of the splitting.

    Raises:
        UserError: if a constant is not positive.
    """

    name = "reaction-diffusion"
    title = "1D Reaction-Diffusion"
    coefficient_name = "rho"
    coefficient_label = "ρ"
    coefficient_range = (0.0, math.inf)
    x_range = (0.0, 2.0 * math.pi)

    nu: float = 2.0
    width: float = 0.5
    time_step: float = 0.01

    def __post_init__(self) -> None:
        """Checks the constants."""
        super().__post_init__()
        positive(self, "nu", "width", "time_step")

    def blocks(self, n: int, data_seed: int | Sequence[int] = 0) -> dict[str, Block]:
        """Residual points, the initial line (257) and both ends of the ring (101 each)."""
        conditions = {name: Block(points) for name, points in self.edges().items()}
        return {"residual": Block(self.collocation(n, data_seed), ("xx", "t")), **conditions}

    def residuals(self, jets: Mapping[str, Jet], points: Mapping[str, Tensor], coefficient: Tensor) -> dict[str, Tensor]:
        """Equation, periodicity of u, and u - h at t = 0."""
        inner = jets["residual"]
        u = inner["u"]
        return {
            "residual": inner["t"] - self.nu * inner["xx"] - coefficient * u * (1.0 - u),
            "boundary": jets["upper"]["u"] - jets["lower"]["u"],
            "initial": jets["initial"]["u"] - bump(points["initial"][..., 0], self.width),
        }

    def solution(self, points: Tensor, coefficient: Tensor) -> Tensor:
        """The split solution, ``[M, n]``: trigonometric in x; a time between two steps is reached by a shorter one."""
        rho, inverse = np.unique(coefficient.detach().cpu().double().numpy().ravel(), return_inverse=True)
        place = points.detach().cpu().double().numpy()
        times, at = np.unique(place[:, 1], return_inverse=True)
        rows = []
        for value in rho:
            spectra = _split(float(value), self.nu, self.width, self.time_step, tuple(times))  # [n_times, modes]
            waves = np.exp(1j * np.outer(place[:, 0], np.arange(spectra.shape[1])))
            rows.append(np.einsum("pk,pk->p", waves, spectra[at]).real)
        found = torch.from_numpy(np.stack(rows)[inverse])
        return found.to(points)

    def reference_error(self, coefficient: float, refine: int = 200) -> float:
        """Relative L2 distance of the reference from one with a much finer time step, over the points of the test error.

        Args:
            coefficient: rho.
            refine: how many times finer.
        """
        fine = replace(self, time_step=self.time_step / refine)
        points, rho = self.test_points(), torch.tensor([[coefficient]], dtype=torch.float64)
        coarse_solution, fine_solution = self.solution(points, rho), fine.solution(points, rho)
        return float((coarse_solution - fine_solution).norm() / fine_solution.norm())


@lru_cache(maxsize=64)
def _split(rho: float, nu: float, width: float, time_step: float, times: tuple[float, ...]) -> np.ndarray:
    """The one-sided Fourier coefficients of the solution at ascending times, ``[n_times, MODES / 2 + 1]``.

    They are scaled so that u(x) is the real part of the sum of c_k exp(i k x).
    """
    x = torch.arange(MODES, dtype=torch.float64) * (2.0 * math.pi / MODES)
    u = bump(x, width)
    k = np.arange(MODES // 2 + 1)

    def advance(u: Tensor, dt: float) -> Tensor:
        grown = logistic(u, torch.tensor(rho * dt, dtype=torch.float64)).numpy()
        return torch.from_numpy(np.fft.irfft(np.fft.rfft(grown) * np.exp(-nu * k**2 * dt), MODES))

    spectra, steps = [], 0
    for time in times:
        whole = math.floor(time / time_step + 1e-9)
        for _ in range(whole - steps):
            u = advance(u, time_step)
        steps = whole
        rest = time - whole * time_step
        here = advance(u, rest) if rest > 1e-12 else u
        spectrum = np.fft.rfft(here.numpy()) / MODES
        spectrum[1:-1] *= 2.0
        spectra.append(spectrum)
    return np.stack(spectra)
