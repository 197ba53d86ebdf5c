"""Derivatives of a network with respect to its inputs, carried forward beside its value.

A *jet* is a function's value with its first (and, where asked for, second) derivatives along the coordinate axes.
One tanh layer maps the jet of its input to the jet of its output by the chain rule (s = 1 - a^2 is tanh', and
tanh'' = -2 a s):

    a    = tanh(z)
    a_x  = s z_x
    a_xx = s z_xx - 2 a s z_x^2

so residuals need no nested automatic differentiation. All derivatives of a layer are rows below its values, and the
layer's weight meets them in one matrix product.

Two implementations of the same numbers stand here. :func:`propagate` is out of place and differentiable to any
order; it serves Hessian products. :class:`JetWorkspace` writes forward and reverse sweep into buffers that are
reused at every evaluation; it is what training runs on (about twice as fast on a CPU, where most of the time of the
differentiable form goes into fresh memory).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sciml_lib.models.mlp import MLP

AXES = ("x", "t")
"""Names of the inputs, in the order of a point's coordinates."""


@dataclass(frozen=True)
class Layout:
    """Which rows of a stacked jet are what.

    Rows are: the value at all ``n_points``, then for each derivative, in the order of :attr:`names`, its values at
    the first ``n_jets`` points. The other points (where only the value is asked for) cost one row each.

    Attributes:
        n_points: number of points.
        n_jets: how many of them, counted from the first, carry derivatives.
        orders: highest derivative along each axis, such as ``(("x", 1), ("t", 1))``; 1 or 2.
    """

    n_points: int
    n_jets: int
    orders: tuple[tuple[str, int], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the derivatives: ``("x", "t")``, or ``("x", "xx", "t")`` and so on."""
        return tuple(axis * k for axis, order in self.orders for k in range(1, order + 1))

    @property
    def n_rows(self) -> int:
        """Rows of a stacked jet."""
        return self.n_points + len(self.names) * self.n_jets

    def rows(self, name: str) -> slice:
        """The rows that hold one derivative."""
        start = self.n_points + self.names.index(name) * self.n_jets
        return slice(start, start + self.n_jets)

    def seed(self, points: Tensor) -> Tensor:
        """The jet of the identity map: what goes into the first layer.

        Args:
            points: ``[n_points, 2]`` or ``[M, n_points, 2]``.

        Returns:
            ``[n_rows, 2]`` or ``[M, n_rows, 2]``: coordinates, unit vectors for first derivatives, zeros for second.
        """
        rows = points.new_zeros(*points.shape[:-2], self.n_rows, points.shape[-1])
        rows[..., : self.n_points, :] = points
        for axis, _ in self.orders:
            rows[..., self.rows(axis), AXES.index(axis)] = 1.0
        return rows

    def split(self, stacked: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Separates a stacked scalar jet ``[M, n_rows]`` into values ``[M, n_points]`` and derivatives ``[M, n_jets]``."""
        return stacked[:, : self.n_points], {name: stacked[:, self.rows(name)] for name in self.names}


def propagate(model: MLP, params: Tensor, seed: Tensor, layout: Layout) -> Tensor:
    """Carries a jet through the network, out of place and differentiably.

    Args:
        model: the network; its first output is taken.
        params: ``[M, P]``.
        seed: :meth:`Layout.seed` of the points.
        layout: the rows' meaning.

    Returns:
        Stacked jet ``[M, n_rows]``.
    """
    n, k = layout.n_points, layout.n_jets
    h = seed.expand(len(params), -1, -1)
    *hidden, (weight, bias) = model.layers(params)
    for w, b in hidden:
        z = torch.bmm(h, w.transpose(1, 2))  # [M, n_rows, W]
        a = torch.tanh(z[:, :n] + b)
        s = 1.0 - a[:, :k].square()
        parts = [a]
        for axis, order in layout.orders:
            z1 = z[:, layout.rows(axis)]
            parts.append(s * z1)
            if order == 2:
                parts.append(s * (z[:, layout.rows(2 * axis)] - 2.0 * a[:, :k] * z1.square()))
        h = torch.cat(parts, dim=1)
    out = torch.bmm(h, weight.transpose(1, 2))[..., 0]
    return torch.cat([out[:, :n] + bias[..., 0], out[:, n:]], dim=1)


class JetWorkspace:
    """Forward and reverse sweep of :func:`propagate` in fixed buffers, for at most ``capacity`` members at a time.

    Use: ``out = workspace.forward(params)``, then ``workspace.backward(cotangent)`` for the same members, before the
    next ``forward``. Not thread-safe, and not differentiable: use :func:`propagate` for second derivatives with
    respect to the parameters.
    """

    def __init__(self, model: MLP, seed: Tensor, layout: Layout, capacity: int) -> None:
        """Allocates the buffers.

        Args:
            model: the network.
            seed: ``[n_rows, 2]``, shared by all members.
            layout: the rows' meaning.
            capacity: members a sweep may hold.
        """
        self.model, self.layout, self.capacity = model, layout, capacity
        self._seed = seed
        rows, widths = layout.n_rows, model.hidden
        make = seed.new_empty
        second = any(order == 2 for _, order in layout.orders)
        self._a = [make(capacity, rows, w) for w in widths]
        self._s = [make(capacity, layout.n_jets, w) for w in widths]
        # Second-order directions need their pre-activations again in the reverse sweep.
        self._z = [make(capacity, rows - layout.n_points, w) for w in widths] if second else []
        self._g = [make(capacity * rows * max(widths)) for _ in range(2)]
        self._q = make(capacity * max(layout.n_jets, layout.n_points - layout.n_jets) * max(widths))
        self._layers: list[tuple[Tensor, Tensor]] = []

    @staticmethod
    def bytes_per_member(model: MLP, layout: Layout, itemsize: int) -> int:
        """Size of the buffers for one member."""
        rows, w = layout.n_rows, sum(model.hidden)
        second = rows - layout.n_points if any(order == 2 for _, order in layout.orders) else 0
        per_layer = (rows + layout.n_jets + second) * w
        return itemsize * (per_layer + (2 * rows + layout.n_points) * max(model.hidden))

    def forward(self, params: Tensor) -> Tensor:
        """Carries the jets forward.

        Args:
            params: ``[m, P]`` with ``m`` up to the capacity.

        Returns:
            Stacked jet ``[m, n_rows]``; it is overwritten by nothing, the caller may keep it.
        """
        m, n, k = len(params), self.layout.n_points, self.layout.n_jets
        # Contiguous copies: strided batches send the matrix product down a slower path.
        self._layers = [(w.contiguous(), b.contiguous()) for w, b in self.model.layers(params)]
        *hidden, (weight, bias) = self._layers
        h = self._seed.expand(m, -1, -1)
        for i, (w, b) in enumerate(hidden):
            a, s = self._a[i][:m], self._s[i][:m]
            torch.bmm(h, w.transpose(1, 2), out=a)
            if self._z:
                self._z[i][:m].copy_(a[:, n:])
            a[:, :n].add_(b).tanh_()
            torch.mul(a[:, :k], a[:, :k], out=s).neg_().add_(1.0)
            for axis, order in self.layout.orders:
                first = a[:, self.layout.rows(axis)]
                if order == 2:
                    scratch = self._scratch(first)
                    torch.mul(first, first, out=scratch).mul_(a[:, :k])
                    a[:, self.layout.rows(2 * axis)].add_(scratch, alpha=-2.0).mul_(s)
                first.mul_(s)
            h = a
        out = torch.bmm(h, weight.transpose(1, 2))[..., 0]
        out[:, :n].add_(bias[..., 0])
        return out

    def backward(self, cotangent: Tensor) -> Tensor:
        """Pulls derivatives with respect to the jet back to the parameters of the last :meth:`forward`.

        Args:
            cotangent: ``[m, n_rows]``, d(scalar of member m)/d(stacked jet).

        Returns:
            Gradient ``[m, P]``.
        """
        m, n = len(cotangent), self.layout.n_points
        grad = cotangent.new_empty(m, self.model.n_params)
        into = self.model.layers(grad)
        *hidden, (weight, _) = self._layers
        g_out = cotangent[..., None]  # [m, n_rows, 1]
        into[-1][0].copy_(torch.bmm(g_out.transpose(1, 2), self._a[-1][:m]))
        into[-1][1].copy_(cotangent[:, None, :n].sum(dim=2, keepdim=True))
        g = self._grad_buffer(0, m, self.model.hidden[-1])
        torch.mul(g_out, weight, out=g)
        for i in reversed(range(len(hidden))):
            self._layer_backward(i, g)
            below = self._a[i - 1][:m] if i else self._seed.expand(m, -1, -1)
            into[i][0].copy_(torch.bmm(g.transpose(1, 2), below))
            into[i][1].copy_(g[:, :n].sum(dim=1, keepdim=True))
            if i:
                g_below = self._grad_buffer(len(hidden) - i, m, self.model.hidden[i - 1])
                g = torch.bmm(g, hidden[i][0], out=g_below)
        return grad

    def _layer_backward(self, i: int, g: Tensor) -> None:
        """Turns the cotangent of layer ``i``'s output jet into that of its pre-activation jet, in place."""
        m, n, k = len(g), self.layout.n_points, self.layout.n_jets
        a, s = self._a[i][:m], self._s[i][:m]
        value, ends = a[:, :k], a[:, k:n]
        g_value = g[:, :k].mul_(s)
        q = self._scratch(value)
        for axis, order in self.layout.orders:
            rows = self.layout.rows(axis)
            a1, g1 = a[:, rows], g[:, rows]
            torch.mul(a1, g1, out=q)  # d(a_x)/dz = -2 a s z_x = -2 a a_x
            if order == 2:
                rows2 = self.layout.rows(2 * axis)
                z1, z2 = self._z[i][:m, self._below(rows)], self._z[i][:m, self._below(rows2)]
                g2 = g[:, rows2].mul_(s)  # [m, k, W], now also the cotangent of z_xx
                # d(a_xx)/dz = s (-2 a z_xx + (4 - 6 s) z_x^2); one -2 a is shared with the first-order term.
                q.addcmul_(g2, z2)
                g_value.addcmul_(g2, z1.square().mul_(4.0 - 6.0 * s))
                # d(a_xx)/dz_x = -4 a s z_x
                g1.mul_(s).addcmul_(g2, value * z1, value=-4.0)
            else:
                g1.mul_(s)
            g_value.addcmul_(q, value, value=-2.0)
        if n > k:
            slope = torch.mul(ends, ends, out=self._scratch(ends)).neg_().add_(1.0)
            g[:, k:n].mul_(slope)

    def _below(self, rows: slice) -> slice:
        return slice(rows.start - self.layout.n_points, rows.stop - self.layout.n_points)

    def _scratch(self, like: Tensor) -> Tensor:
        return self._q[: like.numel()].view(like.shape)

    def _grad_buffer(self, i: int, m: int, width: int) -> Tensor:
        return self._g[i % 2][: m * self.layout.n_rows * width].view(m, self.layout.n_rows, width)
