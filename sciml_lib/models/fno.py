"""The Fourier neural operator in two dimensions, evaluated for many parameter vectors at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import gelu

from sciml_lib import checks
from sciml_lib.errors import UserError


@dataclass(frozen=True)
class FNO2d:
    """A Fourier neural operator whose parameters are rows of ``[M, P]``, one row a member.

    Every point is lifted to ``width`` channels; then each layer adds a convolution in Fourier space, which keeps the waves
    of lowest frequency, to a linear map of the channels; two linear maps lead to the one output. GELU stands between them all.
    The defaults are the released code's configuration "1M", with 1,050,321 parameters for four inputs; the paper says about
    one million. As there, no coordinates are among the inputs, the transforms are orthonormal, and nothing is padded.

    A truncated transform is two products with small real matrices in each direction, and complex numbers are pairs of real
    ones. For grids of these sizes that is faster than the fast transform, and any derivative of it is again such products.

    Attributes:
        n_inputs: channels of the input: the source and the coefficients of the equation.
        width: channels between the layers.
        modes: frequencies along each axis: 0 to ``modes - 1`` of the last one, ``-modes`` to ``modes - 1`` of the other.
        layers: number of Fourier layers.
        head: channels between the two last linear maps.

    Raises:
        UserError: if a number is not a positive integer.
    """

    n_inputs: int = 4
    width: int = 16
    modes: int = 16
    layers: int = 4
    head: int = 32

    def __post_init__(self) -> None:
        """Checks the numbers."""
        for name in ("n_inputs", "width", "modes", "layers", "head"):
            object.__setattr__(self, name, checks.whole(name, getattr(self, name), 1))

    @property
    def tensors(self) -> dict[str, tuple[int, ...]]:
        """The shape of every tensor by its name, in the order of a row of parameters.

        Those of a Fourier layer are ``[waves, 2 out, in]``, the real parts of all outputs above the imaginary ones; a wave's
        number is ``kx * modes + ky`` with the non-negative kx first.
        """
        width, waves = self.width, 2 * self.modes**2
        found = {"lift.weight": (width, self.n_inputs), "lift.bias": (width,)}
        for k in range(self.layers):
            found[f"layer{k}.waves"] = (waves, 2 * width, width)
            found |= {f"layer{k}.weight": (width, width), f"layer{k}.bias": (width,)}
        found |= {"head.weight": (self.head, width), "head.bias": (self.head,)}
        return found | {"out.weight": (1, self.head), "out.bias": (1,)}

    @property
    def n_params(self) -> int:
        """P, the number of parameters of one member; a complex number counts as two."""
        return sum(math.prod(shape) for shape in self.tensors.values())

    def check_points(self, points: int) -> None:
        """Refuses a grid on which some of the waves could not be told from others.

        Args:
            points: along each axis.

        Raises:
            UserError: says how many modes it has.
        """
        if self.modes > points // 2:
            raise UserError(
                f"modes={self.modes} are more than a grid of {points} x {points} points has; choose at most {points // 2}, "
                "or a finer grid"
            )

    def init(self, seeds: Sequence[int], *, dtype: torch.dtype = torch.float32, device: str | torch.device = "cpu") -> Tensor:
        """Draws initial parameters by the released code's rule.

        Both parts of a complex weight are uniform in [0, 1) over the square of the width; weights and biases of the linear maps
        are uniform within one over the root of their inputs, as ``torch.nn.Linear`` and ``Conv2d`` have them. The numbers are
        drawn in float32 on the CPU whatever the target.

        Args:
            seeds: one integer a member, 0 to 2**32 - 1.
            dtype: type of the result.
            device: where it lives.

        Returns:
            Parameters ``[M, P]``.

        Raises:
            UserError: if a seed is anything else.
        """
        rows = torch.empty(len(seeds), self.n_params)
        for row, seed in zip(rows, seeds, strict=True):
            generator = torch.Generator().manual_seed(checks.seed("seeds", seed))
            bound = 1.0
            for (name, shape), part in zip(self.tensors.items(), row.split(self._sizes), strict=True):
                if name.endswith("waves"):
                    part.uniform_(0.0, 1.0 / self.width**2, generator=generator)
                    continue
                bound = 1.0 / math.sqrt(shape[1]) if name.endswith("weight") else bound  # a bias has that of its weight
                part.uniform_(-bound, bound, generator=generator)
        return rows.to(device=device, dtype=dtype)

    def split(self, params: Tensor) -> dict[str, Tensor]:
        """The named tensors of ``params [M, P]``, ``{name: [M, *shape]}``, as views.

        One split, and not a slice for each: the gradient of a slice is a row of zeros as long as all parameters.
        """
        parts = params.split(self._sizes, dim=1)
        return {name: part.unflatten(1, shape) for (name, shape), part in zip(self.tensors.items(), parts, strict=True)}

    def __call__(self, params: Tensor, fields: Tensor) -> Tensor:
        """Evaluates every member.

        Args:
            params: ``[M, P]``.
            fields: the inputs, ``[M, n_inputs, n, n, B]``, samples last, or ``[1, ...]`` if all members see the same.

        Returns:
            ``[M, n, n, B]``.

        Raises:
            UserError: if the grid has too few points.
        """
        return self.apply(self.split(params), fields)

    def apply(self, tensors: dict[str, Tensor], fields: Tensor) -> Tensor:
        """Evaluates the members whose tensors are given as :meth:`split` gives them."""
        return _linear(tensors, "out", self.features(tensors, fields))[:, 0]

    def features(self, tensors: dict[str, Tensor], fields: Tensor) -> Tensor:
        """What the last linear map sees, ``[M, head, n, n, B]``."""
        self.check_points(fields.shape[2])
        members = len(tensors["lift.bias"])
        h = _linear(tensors, "lift", fields.expand(members, -1, -1, -1, -1))
        for k in range(self.layers):
            h = _linear(tensors, f"layer{k}", h) + self._convolved(tensors[f"layer{k}.waves"], h)
            if k < self.layers - 1:
                h = gelu(h)
        return gelu(_linear(tensors, "head", h))

    def _convolved(self, waves: Tensor, h: Tensor) -> Tensor:
        """The convolution with the truncated spectrum ``waves [M, K, 2 O, C]`` of ``h [M, C, n, n, B]``."""
        members, channels, n, _, samples = h.shape
        m, out = self.modes, waves.shape[2] // 2
        to_y, to_x, from_x, from_y = _transforms(n, m, h.dtype, h.device)
        z = torch.matmul(to_y, h.reshape(members * channels * n, n, samples))  # [M C x, (part, ky), B]
        z = torch.matmul(to_x, z.view(members * channels, 2 * n, m * samples))  # [M C, (part, kx), (ky, B)]
        z = z.view(members, channels, 2, 2 * m * m, samples).movedim(3, 1)  # [M, K, C, part, B]
        by_real, by_imaginary = waves @ z[:, :, :, 0], waves @ z[:, :, :, 1]  # [M, K, 2 O, B]
        real = by_real[:, :, :out] - by_imaginary[:, :, out:]
        imaginary = by_real[:, :, out:] + by_imaginary[:, :, :out]
        z = torch.stack([real, imaginary], dim=3).movedim(1, 3)  # [M, O, part, K, B]
        z = torch.matmul(from_x, z.reshape(members * out, 4 * m, m * samples))  # [M O, (x, part), (ky, B)]
        return torch.matmul(from_y, z.view(members * out * n, 2 * m, samples)).view(members, out, n, n, samples)

    @property
    def _sizes(self) -> list[int]:
        return [math.prod(shape) for shape in self.tensors.values()]


def _linear(tensors: dict[str, Tensor], name: str, h: Tensor) -> Tensor:
    """The linear map of the channels at every point, ``[M, out, n, n, B]``."""
    weight, bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
    return torch.baddbmm(bias[:, :, None], weight, h.flatten(2)).unflatten(2, h.shape[2:])


@lru_cache(maxsize=32)
def _transforms(n: int, modes: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The truncated orthonormal transforms of real fields, along y and x, there and back, as real matrices.

    Returns:
        ``[(part, ky), y]``, ``[(part, kx), (x, part)]``, ``[(x, part), (part, kx)]`` and ``[y, (part, ky)]``.
    """
    place = torch.arange(n, dtype=torch.float64)
    low = torch.arange(modes, dtype=torch.float64)
    y = 2.0 * math.pi / n * torch.outer(low, place)
    x = 2.0 * math.pi / n * torch.outer(torch.cat([low, low - modes]), place)
    scale = 1.0 / math.sqrt(n)
    to_y = torch.cat([y.cos(), -y.sin()])
    # exp(-i a) (p + i q) = (cos p + sin q) + i (cos q - sin p), and with the other sign on the way back
    cos, sin = x.cos(), x.sin()
    to_x = torch.stack([torch.stack([cos, sin], dim=2), torch.stack([-sin, cos], dim=2)])  # [part, kx, x, part]
    from_x = to_x.permute(2, 3, 0, 1)
    # A real field has its other half of waves as well; that of frequency 0 is alone.
    both = torch.where(low == 0, 1.0, 2.0)[:, None]
    from_y = torch.cat([both * y.cos(), -both * y.sin()]).T
    matrices = to_y, to_x.reshape(4 * modes, 2 * n), from_x.reshape(2 * n, 4 * modes), from_y
    return tuple((scale * matrix).to(device=device, dtype=dtype).contiguous() for matrix in matrices)
