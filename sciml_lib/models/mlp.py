"""The multilayer perceptron of the paper's PINNs, as one matrix of parameters for a whole ensemble."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise

import torch
from torch import Tensor, nn

from sciml_lib import checks
from sciml_lib.errors import UserError, unknown
from sciml_lib.models.activations import ACTIVATIONS

INITIAL = ("xavier_normal", "linear")
"""Rules of the initial parameters, see :meth:`MLP.init`."""


@dataclass(frozen=True)
class MLP:
    """A fully connected network whose ensemble is a matrix ``[M, P]``, one row a member.

    A row lists the entries of :meth:`module`'s parameters in PyTorch's own order (weight ``[out, in]``, then bias,
    layer by layer), so that ``torch.nn.utils.vector_to_parameters`` reads it.

    Attributes:
        hidden: widths of the hidden layers. The default, three of 50, is what the released code trains; the text
            of the paper (appendix C.2) says four of 50: ``MLP(hidden=(50,) * 4)``.
        n_inputs: number of inputs; two for functions of x and t.
        n_outputs: number of outputs.
        initial: the rule of the initial parameters, see :meth:`init`.
        activation: function between the layers: ``tanh``, as in the paper, ``sin``, ``silu`` or ``gelu``. A PINN's tanh network
            goes through a compiled kernel on a CPU; the others are left to autograd, at several times the time of an
            evaluation.

    Raises:
        UserError: if a width is not a positive integer, or there is no such rule or activation.
    """

    hidden: tuple[int, ...] = (50, 50, 50)
    n_inputs: int = 2
    n_outputs: int = 1
    initial: str = "xavier_normal"
    activation: str = "tanh"

    def __post_init__(self) -> None:
        try:
            n_inputs, *hidden, n_outputs = (
                checks.whole("hidden", width, 1) for width in (self.n_inputs, *self.hidden, self.n_outputs)
            )
        except (TypeError, UserError):
            hidden = []
        if not hidden:
            raise UserError(f"hidden={self.hidden} must list one positive integer per hidden layer, such as (50, 50, 50)")
        for name, value in {"hidden": tuple(hidden), "n_inputs": n_inputs, "n_outputs": n_outputs}.items():
            object.__setattr__(self, name, value)
        if self.initial not in INITIAL:
            raise unknown("initial", self.initial, INITIAL)
        if self.activation not in ACTIVATIONS:
            raise unknown("activation", self.activation, ACTIVATIONS)

    def __repr__(self) -> str:
        """The fields; the activation only where it is not tanh, so that checkpoints of tanh networks stay valid."""
        named = (f.name for f in fields(self) if f.name != "activation" or self.activation != "tanh")
        return f"MLP({', '.join(f'{name}={getattr(self, name)!r}' for name in named)})"

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """``(out, in)`` of every layer's weight."""
        widths = (self.n_inputs, *self.hidden, self.n_outputs)
        return tuple((out, into) for into, out in pairwise(widths))

    @property
    def n_params(self) -> int:
        """P, the number of parameters of one member (5,301 for the default)."""
        return sum(out * into + out for out, into in self.shapes)

    def init(self, seeds: Sequence[int], *, dtype: torch.dtype = torch.float32, device: str = "cpu") -> Tensor:
        """Draws initial parameters, by the rule :attr:`initial`.

        ``xavier_normal``: weights with gain 1 and zero biases, the released code's rule for PINNs. ``linear``: what
        ``torch.nn.Linear`` does by itself, weights and biases uniform within 1 / sqrt(inputs), the released code's rule
        for the pendulum; the numbers are those of a module that is made after ``torch.manual_seed(seed)``.

        The numbers are drawn in float32 on the CPU whatever the target, so a seed means the same start everywhere.

        Args:
            seeds: one integer a member, 0 to 2**32 - 1.
            dtype: type of the result.
            device: where the result lives.

        Returns:
            Parameters ``[M, P]``.

        Raises:
            UserError: if a seed is anything else.
        """
        rows = torch.zeros(len(seeds), self.n_params)
        for row, seed in zip(rows, seeds, strict=True):
            generator = torch.Generator().manual_seed(checks.seed("seeds", seed))
            start = 0
            for out, into in self.shapes:
                weight, bias = row[start : start + out * into], row[start + out * into : start + out * into + out]
                if self.initial == "linear":
                    bound = 1.0 / math.sqrt(into)
                    weight.uniform_(-bound, bound, generator=generator)
                    bias.uniform_(-bound, bound, generator=generator)
                else:
                    weight.normal_(0.0, math.sqrt(2.0 / (out + into)), generator=generator)
                start += out * into + out
        return rows.to(device=device, dtype=dtype)

    def layers(self, params: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Splits ``params [M, P]`` into views: per layer a weight ``[M, out, in]`` and a bias ``[M, 1, out]``."""
        views, start = [], 0
        for out, into in self.shapes:
            weight = params[:, start : start + out * into].unflatten(1, (out, into))
            start += out * into
            views.append((weight, params[:, None, start : start + out]))
            start += out
        return views

    def __call__(self, params: Tensor, points: Tensor) -> Tensor:
        """Evaluates every member at the same points.

        Args:
            params: ``[M, P]``.
            points: ``[n, n_inputs]``, or ``[M, n, n_inputs]`` when each member has its own.

        Returns:
            Outputs ``[M, n, n_outputs]``.
        """
        return self.apply(self.layers(params), points.expand(len(params), -1, -1))

    def apply(self, layers: Sequence[tuple[Tensor, Tensor]], points: Tensor) -> Tensor:
        """Evaluates the network whose layers are given as :meth:`layers` gives them, at ``points [M, n, n_inputs]``."""
        h, value = points, ACTIVATIONS[self.activation].value
        *hidden, (weight, bias) = layers
        for w, b in hidden:
            h = value(torch.baddbmm(b, h, w.transpose(1, 2)))  # [M, n, W]
        return torch.baddbmm(bias, h, weight.transpose(1, 2))

    def module(self, params: Tensor | None = None) -> nn.Sequential:
        """The same network as a plain module, for one member.

        Args:
            params: a row ``[P]`` to copy into the module; by default the module keeps PyTorch's own start.

        Returns:
            The module, in the type and on the device of ``params``.
        """
        parts: list[nn.Module] = []
        for out, into in self.shapes:
            parts += [nn.Linear(into, out), ACTIVATIONS[self.activation].module()]
        module = nn.Sequential(*parts[:-1])
        if params is not None:
            module.to(device=params.device, dtype=params.dtype)
            nn.utils.vector_to_parameters(params.detach().clone(), module.parameters())
        return module


def check_model(model: object) -> None:
    """Refuses everything but an :class:`MLP` itself.

    Training carries derivatives through the layers that an MLP has. A subclass that evaluates something else would be
    trained as one function and tested as another.

    Args:
        model: what was given as the model.

    Raises:
        UserError: says what would fit.
    """
    if type(model) is not MLP:
        raise UserError(
            f"model={type(model).__name__} is not an MLP itself, so it would be trained with another function's derivatives; "
            f"choose MLP(activation=...) with one of {', '.join(ACTIVATIONS)}"
        )
