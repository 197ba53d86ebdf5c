"""The loss over the plane of two directions through a point, as the paper's 3D landscapes show it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm import tqdm

from sciml_lib.errors import UserError, unknown

FLOOR = 1e-12
"""Added to a loss before its logarithm is taken, as in the released code."""

NORMALISATIONS = ("filter", "tensor", "none")
"""How directions are scaled, see :func:`normalised`."""

Loss = Callable[[Tensor], Tensor]
"""The loss of one member at any number of points, ``[n, P] -> [n]``."""


@dataclass(frozen=True)
class Surface:
    """The loss of one member on a square grid around its parameters.

    Attributes:
        alpha: multiples of the first direction, ``[n]`` float64 on the CPU.
        beta: multiples of the second, ``[n]``.
        loss: loss at ``center + alpha[i] directions[0] + beta[j] directions[1]``, ``[n, n]`` float64 on the CPU;
            what is infinite or undefined stays so.
        radius: largest multiple.
        directions: the two directions, as they were used, ``[2, P]``.
    """

    alpha: Tensor
    beta: Tensor
    loss: Tensor
    radius: float
    directions: Tensor

    @property
    def log10(self) -> Tensor:
        """Decimal logarithm of the loss plus 1e-12, ``[n, n]``.

        NaN, and so a hole in a drawing, where the loss is not finite or too negative to have a logarithm (an augmented
        Lagrangian can be negative).
        """
        shifted = self.loss + FLOOR
        return torch.where(torch.isfinite(shifted) & (shifted > 0), shifted, torch.nan).log10()


def random_directions(center: Tensor, seed: int) -> Tensor:
    """Two directions with independent standard normal entries.

    The numbers are drawn in float32 on the CPU whatever the target, so a seed means the same directions everywhere.

    Args:
        center: a point ``[P]``.
        seed: seed of the numbers.

    Returns:
        Directions ``[2, P]``, in the type and on the device of ``center``.
    """
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, center.numel(), generator=generator).to(center)


def normalised(directions: Tensor, center: Tensor, shapes: Sequence[Sequence[int]], how: str) -> Tensor:
    """Gives the parts of directions the lengths of the same parts of the parameters.

    Networks whose layers are scaled against each other may compute the same function; without this their surfaces would
    differ nevertheless (Li et al. 2018, section 4).

    ``filter`` works on each row of a weight matrix (each leading index of a larger tensor), that is on all weights into
    one neuron, as the paper's text says. A bias has one entry a neuron, of which normalisation would leave the sign
    alone, so that the vector of a layer's biases counts as one filter. ``tensor`` works on each weight and each bias as a
    whole: this is what the released code does for its 3D landscapes. ``none`` leaves all as it is. As in the released
    code, the directions are not made orthogonal again; parts whose direction is zero stay zero.

    Args:
        directions: ``[k, P]``, two for a surface.
        center: parameters ``[P]``.
        shapes: shape of every parameter tensor in the order of the entries, such as ``[(50, 2), (50,), ...]``.
        how: ``filter``, ``tensor`` or ``none``.

    Returns:
        The directions, scaled, ``[k, P]``.

    Raises:
        UserError: there is no such rule, the shapes do not make up P, or a direction is zero or not finite.
    """
    if how not in NORMALISATIONS:
        raise unknown("normalisation", how, NORMALISATIONS)
    _check(center, directions, directions.shape[:1])
    sizes = [math.prod(shape) for shape in shapes]
    if sum(sizes) != center.numel():
        raise UserError(f"shapes make up {sum(sizes)} parameters but the center has {center.numel()}")
    if how == "none":
        return directions.clone()
    parts = []
    for shape, d, w in zip(shapes, directions.split(sizes, dim=1), center.split(sizes), strict=True):
        rows = shape[0] if how == "filter" and len(shape) > 1 else 1
        d, w = d.unflatten(1, (rows, -1)), w.unflatten(0, (rows, -1))  # [2, rows, size], [rows, size]
        ours, theirs = (torch.linalg.vector_norm(v, dim=-1, keepdim=True) for v in (d, w))
        parts.append((d * torch.where(ours > 0, theirs / ours, 0.0)).flatten(1))
    return torch.cat(parts, dim=1)


@torch.no_grad()
def surface(
    loss: Loss,
    center: Tensor,
    directions: Tensor,
    *,
    radius: float = 0.05,
    resolution: int = 101,
    chunk: int = 256,
    progress: bool = True,
) -> Surface:
    """Evaluates the loss on a square grid in the plane of two directions.

    The paper gives no radius; the axes of its Figure 5 run to 0.05. Its scripts use 401 points a side. An odd number has
    the center itself on the grid.

    Args:
        loss: the loss of one member at any number of points, ``[n, P] -> [n]``; of member m of a problem it is
            ``lambda points: problem.select([m] * len(points)).value(points)``.
        center: parameters ``[P]``.
        directions: ``[2, P]``, scaled as they are to be used.
        radius: the grid reaches from ``-radius`` to ``radius`` in multiples of the directions.
        resolution: points a side.
        chunk: points evaluated at a time; more need more memory and change nothing.
        progress: whether a bar is shown.

    Returns:
        The surface.

    Raises:
        UserError: a number is out of range, a direction is zero or has not P entries, or the loss returns something else
            than one number a point.
    """
    _check(center, directions, (2,))
    if not (math.isfinite(radius) and radius > 0):
        raise UserError(f"radius={radius} must be positive: 0.05 is that of the paper's Figure 5")
    if resolution < 3 or chunk < 1:
        raise UserError(f"a surface needs resolution of at least 3 and chunk of at least 1, got {resolution} and {chunk}")
    # Written so that the middle of an odd number is exactly zero.
    steps = radius * (2.0 * torch.arange(resolution, dtype=torch.float64) - (resolution - 1)) / (resolution - 1)
    multiples = torch.cartesian_prod(steps, steps)  # [n n, 2]
    values = []
    options = {} if progress else {"disable": True}  # left out, TQDM_DISABLE decides
    with tqdm(total=len(multiples), desc="surface", unit="point", **options) as bar:
        for part in multiples.split(chunk):
            first, second = part.to(center)[:, :, None].unbind(1)  # [c, 1]
            value = loss(center + first * directions[0] + second * directions[1])
            if value.shape != (len(part),):
                raise UserError(f"loss must return one number for each of {len(part)} points, got shape {list(value.shape)}")
            values.append(value.double().cpu())
            bar.update(len(part))
    return Surface(steps, steps.clone(), torch.cat(values).view(resolution, resolution), radius, directions.clone())


@torch.no_grad()
def adaptive_radius(
    loss: Loss,
    center: Tensor,
    direction: Tensor,
    *,
    rise: float = 10.0,
    bounds: tuple[float, float] = (1e-6, 10.0),
    tolerance: float = 0.01,
) -> float:
    """Finds how far one may go along a direction until the loss has risen by a factor.

    A fixed radius shows a plain in one cell and a wall in the next; this one makes the same rise fill every picture. The
    steps are doubled from the lower bound on until the loss on one of the two sides has risen, and the last doubling is
    then halved geometrically. A loss that is not finite has risen. A rise inside a doubling that has gone again at its end
    is not seen.

    Args:
        loss: the loss of one member at any number of points, ``[n, P] -> [n]``.
        center: parameters ``[P]``.
        direction: ``[P]``.
        rise: the factor, over the loss at the center plus 1e-12.
        bounds: smallest and largest radius that may be the answer.
        tolerance: relative accuracy of the answer.

    Returns:
        A radius at which the loss has risen, by at most ``tolerance`` larger than one at which it has not; a bound if it
        has risen there already, or nowhere.

    Raises:
        UserError: a number is out of range, the direction is zero or has not P entries, or the loss at the center is
            negative or not finite.
    """
    _check(center, direction[None], (1,))
    low, largest = bounds
    if not (rise > 1 and 0 < low < largest < math.inf and tolerance > 0):
        raise UserError(
            f"a radius needs rise > 1, 0 < bounds[0] < bounds[1] and tolerance > 0, got {rise}, {bounds}, {tolerance}"
        )
    base = loss(center[None]).item()
    if not (math.isfinite(base) and base >= 0):
        raise UserError(f"the loss at the center is {base}: a factor needs one that is finite and not negative")

    def risen(radius: float) -> bool:
        ends = loss(torch.stack([center + radius * direction, center - radius * direction]))
        return not bool((ends < rise * (base + FLOOR)).all())

    if risen(low):
        return low
    high = 2.0 * low
    while not risen(min(high, largest)):
        if high >= largest:
            return largest
        low, high = high, 2.0 * high
    high = min(high, largest)
    while high > (1.0 + tolerance) * low:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if risen(middle) else (middle, high)
    return high


def _check(center: Tensor, directions: Tensor, count: Sequence[int]) -> None:
    """Refuses directions that do not belong to the center or lead nowhere."""
    if center.dim() != 1 or directions.shape != (*count, center.numel()):
        raise UserError(
            f"directions have shape {list(directions.shape)} and the center {list(center.shape)}: "
            f"a center of one member [P] needs directions [{', '.join(map(str, count))}, P]"
        )
    lengths = torch.linalg.vector_norm(directions.double(), dim=-1)
    if not (torch.isfinite(lengths) & (lengths > 0)).all():
        raise UserError(f"a direction must be finite and not zero, the lengths given are {lengths.tolist()}")
