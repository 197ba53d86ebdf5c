"""How a system's residuals depend on the network, found by asking them: what the compiled kernel needs to know.

Many equations are, in u and its derivatives along x and t, of the form

    r = offset + p1 u + p2 u^2 + p3 u^3 + sum_k (a_k u_k + c_k u_kk + b_k u u_k)

with numbers that depend on the coefficient alone and an offset that depends on the point: the paper's four, Burgers'
equation, Allen and Cahn's. A condition may compare a block with another one, as periodicity does. :func:`forms_of` gives a
system's residuals jets of its own making, reads the numbers off, and then tests them on random jets: a system whose residuals
are anything else has no forms, and goes by automatic differentiation.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sciml_lib.kernel import FORM
from sciml_lib.models.jets import AXES
from sciml_lib.systems import SpaceTimeSystem

TOLERANCE = 1e-9
"""Largest relative difference between a residual and its form, in float64."""

_AT = {name: i for i, name in enumerate(FORM)}


@dataclass(frozen=True)
class Form:
    """How one block of residuals depends on the network.

    Attributes:
        name: the block of residuals.
        source: the block of points where the network is asked.
        partner: another one whose points are asked beside them, one by one; None if there is none.
        numbers: those of :data:`sciml_lib.kernel.FORM`, ``[M, FORM]``; the weight is 1.
        offset: what is there where the network is zero, ``[M, n]``, or ``[1, n]`` where it is the same for all members; None
            if it is zero.
        axes: bit k is set if the first derivative along axis k is wanted for itself.
        linear: whether any a_k or c_k is not zero.
    """

    name: str
    source: str
    partner: str | None
    numbers: Tensor
    offset: Tensor | None
    axes: int
    linear: bool

    def take(self, rows: Tensor | slice) -> Form:
        """The same for some of the members."""
        offset = self.offset if self.offset is None or len(self.offset) == 1 else self.offset[rows]
        return replace(self, numbers=self.numbers[rows], offset=offset)


def forms_of(
    system: SpaceTimeSystem, points: Mapping[str, Tensor], keys: Mapping[str, Collection[str]], coefficients: Tensor
) -> tuple[Form, ...] | None:
    """The forms of a system's residuals.

    Args:
        system: the equation.
        points: its blocks' coordinates, ``[n, 2]``.
        keys: for each block the names of its jet, ``u`` among them.
        coefficients: ``[M]``.

    Returns:
        A form for each block of residuals, in their order and in float32; None if any residual has none.
    """
    unique, which = torch.unique(coefficients.detach().cpu().double(), return_inverse=True)
    question = _Question(system, {name: p.detach().cpu().double() for name, p in points.items()}, keys, unique[:, None])
    try:
        zero = question.ask({})
        found = [_form(question, name, offset) for name, offset in zero.items()]
    except Exception:  # a system may do with its jets what it likes; then there is no form
        return None
    if any(form is None for form in found) or not _hold(question, found):
        return None
    return tuple(_in_single(form.take(which)) for form in found)


@dataclass(frozen=True)
class _Question:
    """A system, at the points of its blocks."""

    system: SpaceTimeSystem
    points: Mapping[str, Tensor]
    keys: Mapping[str, Collection[str]]
    coefficient: Tensor  # [U, 1]

    def ask(self, given: Mapping[tuple[str, str], Tensor | float]) -> dict[str, Tensor]:
        """The residuals ``{name: [U, n]}`` of jets that are zero but for what is given by (block, name)."""
        jets = {}
        for block, names in self.keys.items():
            shape = (len(self.coefficient), len(self.points[block]))
            zero = torch.zeros(shape, dtype=torch.float64)
            jets[block] = {name: zero + given.get((block, name), 0.0) for name in names}
        residuals = self.system.residuals(jets, self.points, self.coefficient)
        return {name: r.expand(len(self.coefficient), -1) for name, r in residuals.items()}


def _form(question: _Question, name: str, offset: Tensor) -> Form | None:
    """The form of one block of residuals; None if it has none."""
    scale = 0.0
    sources: dict[str, Tensor] = {}
    for block, keys in question.keys.items():

        def change(block: str = block, **jet: float) -> Tensor:
            return question.ask({(block, key): value for key, value in jet.items()})[name] - offset

        numbers = torch.zeros(*offset.shape, len(FORM), dtype=torch.float64)
        if len(question.points[block]) != offset.shape[1]:
            others = change(**dict.fromkeys(keys, 1.0)), change(**dict.fromkeys(keys, -2.0))
            if any(other.any() for other in others):
                return None
            continue
        plus, minus, twice = change(u=1.0), change(u=-1.0), change(u=2.0)
        even, odd = 0.5 * (plus + minus), 0.5 * (plus - minus)
        third = (twice - 4.0 * even - 2.0 * odd) / 6.0
        parts = {"p1": odd - third, "p2": even, "p3": third}
        for axis in AXES:
            if axis in keys:
                parts[f"a_{axis}"] = change(**{axis: 1.0})
                parts[f"b_{axis}"] = change(u=1.0, **{axis: 1.0}) - plus - parts[f"a_{axis}"]
            if 2 * axis in keys:
                parts[f"c_{axis}"] = change(**{2 * axis: 1.0})
        for key, values in parts.items():
            numbers[..., _AT[key]] = values
        size = numbers.abs().max()
        scale = max(scale, float(size))
        if (numbers - numbers[:, :1]).abs().max() > TOLERANCE * size:
            return None  # numbers that differ from point to point
        if size > 0:
            sources[block] = torch.where(numbers[:, 0].abs() > TOLERANCE * size, numbers[:, 0], 0.0)
    return _joined(name, sources, offset)


def _joined(name: str, sources: Mapping[str, Tensor], offset: Tensor) -> Form | None:
    """A form of one block of points, or of two of which one is a multiple of the other."""
    if not 1 <= len(sources) <= 2:
        return None
    (source, numbers), *others = sources.items()
    numbers = numbers.clone()
    has = {key: bool(numbers[:, at].any()) for key, at in _AT.items()}
    partner = None
    if others:
        ((partner, second),) = others
        if any(has[key] or second[:, _AT[key]].any() for key in FORM if key not in ("p1", "a_x", "a_t")):
            return None
        at = int(numbers[0].abs().argmax())
        if not numbers[:, at].all():
            return None
        ratio = second[:, at] / numbers[:, at]
        if not torch.allclose(second, ratio[:, None] * numbers, rtol=TOLERANCE, atol=0.0):
            return None
        numbers[:, _AT["ratio"]] = ratio
    numbers[:, _AT["weight"]] = 1.0
    axes = sum(1 << k for k, axis in enumerate(AXES) if has[f"b_{axis}"] or has[f"c_{axis}"])
    linear = any(has[f"{kind}_{axis}"] for kind in "ac" for axis in AXES)
    if not offset.any():
        return Form(name, source, partner, numbers, None, axes, linear)
    same = bool((offset == offset[:1]).all())
    return Form(name, source, partner, numbers, offset[:1] if same else offset, axes, linear)


def _hold(question: _Question, forms: Sequence[Form]) -> bool:
    """Whether the forms give the residuals of random jets."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(2):
        given = {}
        for block, keys in question.keys.items():
            shape = (len(question.coefficient), len(question.points[block]))
            given |= {(block, key): torch.randn(shape, generator=generator, dtype=torch.float64) for key in keys}
        for form, (name, r) in zip(forms, question.ask(given).items(), strict=True):
            ours = _residual(form, form.source, given)
            if form.partner is not None:
                ours = ours + form.numbers[:, _AT["ratio"], None] * _residual(form, form.partner, given)
            if form.offset is not None:
                ours = ours + form.offset
            if name != form.name or not torch.allclose(ours, r, rtol=TOLERANCE, atol=TOLERANCE * float(r.abs().max())):
                return False
    return True


def _residual(form: Form, block: str, given: Mapping[tuple[str, str], Tensor]) -> Tensor:
    """What a form makes of the jets of one block, without its offset, ``[U, n]``."""
    n = {key: form.numbers[:, at, None] for key, at in _AT.items()}
    u = given[block, "u"]
    total = u * (n["p1"] + u * (n["p2"] + u * n["p3"]))
    for axis in AXES:
        if (block, axis) in given:
            total = total + (n[f"a_{axis}"] + n[f"b_{axis}"] * u) * given[block, axis]
        if (block, 2 * axis) in given:
            total = total + n[f"c_{axis}"] * given[block, 2 * axis]
    return total


def _in_single(form: Form) -> Form:
    """The form in float32, ready to be pointed at."""
    offset = None if form.offset is None else form.offset.float().contiguous()
    return replace(form, numbers=form.numbers.float().contiguous(), offset=offset)
