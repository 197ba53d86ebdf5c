"""What turns a sum of mean squares into an augmented Lagrangian."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Augmentation:
    """The objective  w sum_soft mean(r^2) + sum_constrained [mean(lambda g) + mu/2 mean(g^2)] + d ||theta||^2.

    Products of multiplier and residual are taken point by point, as in the released code.

    Attributes:
        constrained: names of the blocks that are constraints.
        multipliers: lambda, one for each of their points, ``[M, C]``, the blocks side by side.
        penalty: mu, ``[M]``.
        weight: w, weight of the other blocks, ``[M]``.
        decay: d, weight of the squared norm of the parameters, ``[M]``.
    """

    constrained: tuple[str, ...]
    multipliers: Tensor
    penalty: Tensor
    weight: Tensor
    decay: Tensor

    def take(self, index: Tensor | slice) -> Augmentation:
        """The same for some of the members."""
        parts = (self.multipliers, self.penalty, self.weight, self.decay)
        return Augmentation(self.constrained, *(part[index] for part in parts))

    def total(self, residuals: Mapping[str, Tensor]) -> Tensor:
        """The objective without the decay, ``[M]``."""
        soft = [r.square().mean(dim=1) for name, r in residuals.items() if name not in self.constrained]
        total = self.weight * sum(soft)
        start = 0
        for name in self.constrained:
            r = residuals[name]
            multipliers = self.multipliers[:, start : start + r.shape[1]]
            total = total + (multipliers * r).mean(dim=1) + 0.5 * self.penalty * r.square().mean(dim=1)
            start += r.shape[1]
        return total
