"""The loss over the plane of two directions through a point, as the paper's 3D landscapes show it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral

import torch
from torch import Tensor
from tqdm import tqdm

from sciml_lib.errors import UserError, unknown
from sciml_lib.landscape.checks import check_count, check_function, check_number, check_point, check_real, check_seed
from sciml_lib.landscape.losses import Loss, detached, points_at_a_time

FLOOR = 1e-12
"""Added to a loss before its logarithm is taken, as in the released code."""

NORMALISATIONS = ("filter", "tensor", "none")
"""How directions are scaled, see :func:`normalised`."""


@dataclass(frozen=True)
class Surface:
    """The loss of one member on a square grid around its parameters.

    Attributes:
        alpha: multiples of the first direction, ``[n]`` float64 on the CPU.
        beta: multiples of the second, ``[n]``.
        loss: loss at ``center + alpha[i] directions[0] + beta[j] directions[1]``, ``[n, n]`` float64 on the CPU;
            infinite and undefined values are kept.
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

        NaN, which is drawn as a hole, where the loss is not finite or too negative to have a logarithm (an augmented
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

    Raises:
        UserError: the center is not one point, or the seed not a whole number from 0 to 2**32 - 1.
    """
    check_point("center", center)
    check_seed("seed", seed)
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, center.numel(), generator=generator).to(center)


def normalised(directions: Tensor, center: Tensor, shapes: Sequence[Sequence[int]], how: str) -> Tensor:
    """Gives the parts of directions the lengths of the same parts of the parameters.

    Networks whose layers are scaled against each other may compute the same function; without this their surfaces would
    still differ (Li et al. 2018, section 4).

    ``filter`` works on each row of a weight matrix (each leading index of a larger tensor), that is on all weights into
    one neuron, as the paper's text says. A bias has one entry a neuron, of which normalisation would leave only the
    sign, so the vector of a layer's biases counts as one filter. ``tensor`` works on each weight and each bias as a
    whole: this is what the released code does for its 3D landscapes. ``none`` changes nothing. As in the released
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
    _check(center, directions)
    if not all(isinstance(shape, Sequence) and all(isinstance(n, Integral) for n in shape) for shape in shapes):
        raise UserError(f"shapes={shapes!r} are none; give the shape of every parameter tensor, such as [(50, 2), (50,)]")
    sizes = [math.prod(shape) for shape in shapes]
    if sum(sizes) != center.numel():
        raise UserError(
            f"shapes make up {sum(sizes)} parameters but the center has {center.numel()}; name every parameter tensor"
        )
    if how == "none":
        return directions.clone()
    parts = []
    for shape, d, w in zip(shapes, directions.split(sizes, dim=1), center.split(sizes), strict=True):
        rows = shape[0] if how == "filter" and len(shape) > 1 else 1
        d, w = d.unflatten(1, (rows, -1)), w.unflatten(0, (rows, -1))  # [2, rows, size], [rows, size]
        ours, theirs = (torch.linalg.vector_norm(v, dim=-1, keepdim=True) for v in (d, w))
        parts.append((d * torch.where(ours > 0, theirs / ours, 0.0)).flatten(1))
    return torch.cat(parts, dim=1)


def surface(
    loss: Loss,
    center: Tensor,
    directions: Tensor,
    *,
    radius: float = 0.05,
    resolution: int = 101,
    chunk: int | None = None,
    progress: bool = True,
) -> Surface:
    """Evaluates the loss on a square grid in the plane of two directions.

    The paper gives no radius; the axes of its Figure 5 run to 0.05. Its scripts use 401 points a side. An odd number has
    the center itself on the grid.

    Args:
        loss: the loss of one member at any number of points, ``[n, P] -> [n]``; of member m of a problem it is
            ``lambda points: problem.select([m] * len(points)).value(points)``. It may differentiate a network by its inputs.
        center: parameters ``[P]``.
        directions: ``[2, P]``, scaled as they are to be used.
        radius: the grid reaches from ``-radius`` to ``radius`` in multiples of the directions.
        resolution: points a side.
        chunk: points evaluated at a time; more need more memory and change nothing but rounding. By default at most 256,
            and fewer where so many would need more than :func:`sciml_lib.landscape.losses.budget`.
        progress: whether a bar is shown.

    Returns:
        The surface.

    Raises:
        UserError: a number is out of range, the center is not one finite point [P], a direction is zero or does not have P
            entries, or the loss is a network or returns something else than one number a point.
    """
    check_function("loss", loss)
    _check(center, directions, 2)
    check_number("radius", radius, above=0, such_as=0.05)
    check_count("resolution", resolution, 3, such_as=101)
    chunk = points_at_a_time(center, chunk)
    center, directions = center.detach(), directions.detach()
    # Written so that the middle of an odd number is exactly zero.
    steps = radius * (2.0 * torch.arange(resolution, dtype=torch.float64) - (resolution - 1)) / (resolution - 1)
    multiples = torch.cartesian_prod(steps, steps)  # [n n, 2]

    def at(part: Tensor) -> Tensor:
        first, second = part.to(center)[:, :, None].unbind(1)  # [c, 1]
        return (first * directions[0]).add_(center).add_(second * directions[1])  # [c, P]

    values = []
    options = {} if progress else {"disable": True}  # left out, TQDM_DISABLE decides
    with tqdm(total=len(multiples), desc="surface", unit="point", **options) as bar:
        for part in multiples.split(chunk):
            values.append(detached(loss, at(part)).double().cpu())
            bar.update(len(part))
    return Surface(steps, steps.clone(), torch.cat(values).view(resolution, resolution), radius, directions.clone())


def adaptive_radius(
    loss: Loss,
    center: Tensor,
    direction: Tensor,
    *,
    rise: float = 10.0,
    bounds: tuple[float, float] = (1e-6, 10.0),
    tolerance: float = 0.01,
) -> float:
    """Finds how far along a direction the loss has risen by a factor.

    A fixed radius shows a plain in one cell and a wall in the next; this one makes the same rise fill every picture. The
    radius is doubled, starting at the lower bound, until the loss on one of the two sides has risen; the last doubling is
    then bisected geometrically. A loss that is not finite counts as risen. A rise within one doubling that is gone at its
    end is missed.

    Args:
        loss: the loss of one member at any number of points, ``[n, P] -> [n]``.
        center: parameters ``[P]``.
        direction: ``[P]``.
        rise: the factor, over the loss at the center plus 1e-12.
        bounds: smallest and largest radius that may be the answer.
        tolerance: relative accuracy of the answer.

    Returns:
        A radius at which the loss has risen, at most ``tolerance`` (relative) larger than one at which it has not; the lower
        bound if it has risen there already, the upper one if it rises nowhere.

    Raises:
        UserError: a number is out of range, the center is not one finite point [P], the direction is zero or does not have P
            entries, or the loss is a network or negative or not finite at the center.
    """
    check_function("loss", loss)
    check_real("direction", direction)
    _check(center, direction[None], 1)
    check_number("rise", rise, above=1, such_as=10)
    check_number("tolerance", tolerance, above=0, such_as=0.01)
    if not isinstance(bounds, Sequence) or len(bounds) != 2:
        raise UserError(f"bounds={bounds!r} are impossible; choose two radii, such as (1e-6, 10.0)")
    low, largest = bounds
    check_number("bounds[0]", low, above=0, such_as=1e-6)
    check_number("bounds[1]", largest, above=low, such_as=max(10.0, 2.0 * low))
    center, direction = center.detach(), direction.detach()
    base = detached(loss, center[None]).item()
    if not (math.isfinite(base) and base >= 0):
        raise UserError(f"the loss at the center is {base}; choose a center where it is finite and not negative")

    def risen(radius: float) -> bool:
        ends = detached(loss, torch.stack([center + radius * direction, center - radius * direction]))
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


def _check(center: Tensor, directions: Tensor, count: int | None = None) -> None:
    """Refuses directions, any number or so many, that do not belong to the center or lead nowhere."""
    check_point("center", center)
    check_real("directions", directions)
    if directions.dim() != 2 or directions.shape[1] != len(center) or len(directions) != (count or len(directions)):
        raise UserError(
            f"directions have shape {list(directions.shape)} and the center has {len(center)} parameters; "
            f"give directions of shape [{count or 'k'}, {len(center)}]"
        )
    if directions.dtype != center.dtype:
        raise UserError(f"directions are {directions.dtype} and the center is {center.dtype}; give directions.to(center)")
    lengths = torch.linalg.vector_norm(directions.double(), dim=-1)
    if not (torch.isfinite(lengths) & (lengths > 0)).all():
        raise UserError(f"a direction must be finite and not zero; the lengths given are {lengths.tolist()}")
