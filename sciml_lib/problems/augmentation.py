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

    def by_block(self, amounts: Mapping[str, int]) -> dict[str, Tensor]:
        """The multipliers of each constrained block, ``{name: [M, n]}``, of blocks with so many residuals each."""
        parts = self.multipliers.split([amounts[name] for name in self.constrained], dim=1)
        return dict(zip(self.constrained, parts, strict=True))

    def total(self, residuals: Mapping[str, Tensor]) -> Tensor:
        """The objective without the decay, ``[M]``."""
        soft = [r.square().mean(dim=1) for name, r in residuals.items() if name not in self.constrained]
        total = self.weight * sum(soft)
        for name, multipliers in self.by_block({name: r.shape[1] for name, r in residuals.items()}).items():
            r = residuals[name]
            total = total + (multipliers * r).mean(dim=1) + 0.5 * self.penalty * r.square().mean(dim=1)
        return total
