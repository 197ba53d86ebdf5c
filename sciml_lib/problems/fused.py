"""A physics-informed network's loss by the compiled kernel, one member at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sciml_lib.kernel import FORM, MAX_LAYERS, MAX_WIDTH, Block, Kernel, Network
from sciml_lib.models import MLP
from sciml_lib.problems.augmentation import Augmentation
from sciml_lib.problems.forms import Form

TOLERANCE = 1e-4
"""Largest relative difference from the eager form that the kernel is believed at; float32 leaves about 1e-6."""

_WEIGHT = FORM.index("weight")


def fits(model: MLP, dtype: torch.dtype, device: torch.device) -> bool:
    """Whether the kernel knows such networks: tanh, float32, on a CPU, and of a size that stays in the cache."""
    small = len(model.hidden) < MAX_LAYERS and max(model.hidden) <= MAX_WIDTH
    return model.activation == "tanh" and dtype == torch.float32 and device.type == "cpu" and small


@dataclass(frozen=True)
class Fused:
    """What the kernel is asked for one ensemble.

    Attributes:
        kernel: the kernel.
        model: the network.
        forms: the residuals.
        points: coordinates of the blocks, ``[n, 2]``, or ``[M, n, 2]`` where members have their own.
    """

    kernel: Kernel
    model: MLP
    forms: tuple[Form, ...]
    points: Mapping[str, Tensor]

    @property
    def name(self) -> tuple[object, ...]:
        """What it goes through in the kernel: the same for ensembles that differ in numbers alone."""
        forms = ((f.axes, f.linear, f.partner is not None, f.offset is not None) for f in self.forms)
        return (self.model, *forms)

    def take(self, rows: Tensor | slice, points: Mapping[str, Tensor]) -> Fused:
        """The same for some of the members."""
        return Fused(self.kernel, self.model, tuple(form.take(rows) for form in self.forms), points)

    def loss(
        self, params: Tensor, weights: Mapping[str, Tensor], augmentation: Augmentation | None, *, gradient: bool
    ) -> tuple[Tensor, Tensor | None]:
        """The loss that is trained, without a decay, ``[M]``, and its gradient ``[M, P]`` if it is wanted."""
        blocks, kept = self._blocks(weights, augmentation)
        _, loss, grad = self.kernel.evaluate(Network.of(self.model.hidden), params.contiguous(), blocks, gradient=gradient)
        del kept
        return loss.to(params.dtype), grad

    def terms(self, params: Tensor) -> dict[str, Tensor]:
        """Mean square of each block of residuals, ``{name: [M]}``."""
        blocks, kept = self._blocks({}, None)
        squares, _, _ = self.kernel.evaluate(Network.of(self.model.hidden), params.contiguous(), blocks, gradient=False)
        del kept
        return {form.name: squares[:, i].to(params.dtype) for i, form in enumerate(self.forms)}

    def residuals(self, params: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        """Some blocks of residuals, ``{name: [M, n]}``."""
        found = {name: params.new_empty(len(params), self._n(self._form(name))) for name in names}
        blocks, kept = self._blocks({}, None, found)
        self.kernel.evaluate(Network.of(self.model.hidden), params.contiguous(), blocks, gradient=False)
        del kept
        return found

    def values(self, params: Tensor, points: Tensor) -> Tensor:
        """The networks' values ``[M, n]`` at ``points [n, 2]``."""
        return self.kernel.values(Network.of(self.model.hidden), params.contiguous(), points.contiguous())

    def _form(self, name: str) -> Form:
        return next(form for form in self.forms if form.name == name)

    def _n(self, form: Form) -> int:
        return self.points[form.source].shape[-2]

    def _blocks(
        self,
        weights: Mapping[str, Tensor],
        augmentation: Augmentation | None,
        residuals: Mapping[str, Tensor] | None = None,
    ) -> tuple[list[Block], list[Tensor]]:
        """The blocks as the kernel wants them, and the tensors that they point to."""
        kept: list[Tensor] = []
        blocks = []
        multipliers = {} if augmentation is None else augmentation.by_block({f.name: self._n(f) for f in self.forms})
        for form in self.forms:
            numbers = form.numbers
            weight = _weight(form.name, weights, augmentation)
            if weight is not None:
                numbers = numbers.clone()
                numbers[:, _WEIGHT] = weight
            block = Block(n=self._n(form), axes=form.axes, linear=form.linear)
            wanted = (residuals or {}).get(form.name)
            block.form, block.residuals = numbers.data_ptr(), None if wanted is None else wanted.data_ptr()
            parts = {"points": self.points[form.source], "offset": form.offset, "multipliers": multipliers.get(form.name)}
            parts["partner"] = None if form.partner is None else self.points[form.partner]
            kept.append(numbers)
            for name, part in parts.items():
                if part is None:
                    continue
                own = part.dim() == 3 if name in ("points", "partner") else len(part) > 1
                part = part if (part[0] if own else part).is_contiguous() else part.contiguous()
                setattr(block, name, part.data_ptr())
                setattr(block, f"{name}_step", part.stride(0) if own else 0)
                kept.append(part)
            blocks.append(block)
        return blocks, kept


def _weight(name: str, weights: Mapping[str, Tensor], augmentation: Augmentation | None) -> Tensor | None:
    """What multiplies a block's mean square, ``[M]``; None if that is 1."""
    if augmentation is None:
        return weights.get(name)
    return 0.5 * augmentation.penalty if name in augmentation.constrained else augmentation.weight


def agrees(ours: tuple[Tensor, Tensor], theirs: tuple[Tensor, Tensor]) -> bool:
    """Whether two losses ``[M]`` with their gradients ``[M, P]`` are the same but for rounding; NaN never is."""
    (loss, grad), (their_loss, their_grad) = ours, theirs
    norm = torch.linalg.vector_norm(their_grad, dim=1)
    apart = torch.linalg.vector_norm(grad - their_grad, dim=1) <= TOLERANCE * norm
    return bool((apart & ((loss - their_loss).abs() <= TOLERANCE * their_loss.abs())).all())
