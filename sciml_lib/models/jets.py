"""Derivatives of a network with respect to its inputs, carried forward beside its value.

A *jet* is a function's value with its first (and, where asked for, second) derivatives along the coordinate axes.
A layer with the activation f maps the jet of its input to the jet of its output by the chain rule:

    a    = f(z)
    a_x  = f'(z) z_x
    a_xx = f'(z) z_xx + f''(z) z_x^2

so residuals need no nested automatic differentiation. All derivatives of a layer are rows below its values, and the
layer's weight meets them in one matrix product.

:func:`propagate` is out of place, differentiable to any order and serves every activation. Training runs on a forward and
a reverse sweep, see :func:`sweep_of`: for tanh, :class:`JetWorkspace` writes both into buffers that are reused at every
evaluation (about twice as fast on a CPU as the differentiable form, most of whose time goes into fresh memory, and no faster
than a plain loop from 1,000 points on); for the other activations, :class:`EagerJets` leaves the reverse sweep to autograd.
On a CPU a network in float32 goes by the compiled kernel instead (:mod:`sciml_lib.kernel`), which does both for one tile of
points after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from sciml_lib.errors import UserError
from sciml_lib.models.activations import ACTIVATIONS
from sciml_lib.models.mlp import MLP

AXES = ("x", "t")
"""Names of the inputs, in the order of a point's coordinates."""


@dataclass(frozen=True)
class Layout:
    """Which rows of a stacked jet are what.

    Rows are: the value at all ``n_points``, then each derivative at as many points, counted from the first, as ask for
    it. The other points cost no row there.

    Attributes:
        n_points: number of points.
        counts: for each derivative (``"x"``, ``"xx"``, ``"t"``, ``"tt"``) at how many points it is wanted. A second
            derivative stands behind the first one along its axis, which is then wanted at no fewer points.
    """

    n_points: int
    counts: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, blocks: Sequence[tuple[int, Collection[str]]]) -> Layout:
        """The layout of blocks of points in their order.

        Args:
            blocks: for each block how many points it has and which derivatives it needs there. What a later block
                needs is carried at all points before it too, so blocks that need much come first.
        """
        wanted: dict[str, int] = {}
        stop = 0
        for n, names in blocks:
            stop += n
            for axis in AXES:
                for order in (1, 2):
                    if any(name in names for name in (axis, 2 * axis)[order - 1 :]):
                        wanted[order * axis] = stop
        order = [axis * k for axis in AXES for k in (1, 2)]
        return cls(stop, tuple((name, wanted[name]) for name in order if name in wanted))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the derivatives: ``("x", "t")``, or ``("x", "xx", "t")`` and so on."""
        return tuple(name for name, _ in self.counts)

    @cached_property
    def axes(self) -> tuple[tuple[str, bool], ...]:
        """The axes along which there is a derivative, and whether there is a second one."""
        return tuple((axis, 2 * axis in self.names) for axis in AXES if axis in self.names)

    @cached_property
    def n_jets(self) -> int:
        """How many points, counted from the first, carry any derivative."""
        return max((n for _, n in self.counts), default=0)

    @cached_property
    def n_rows(self) -> int:
        """Rows of a stacked jet."""
        return self.n_points + sum(n for _, n in self.counts)

    def count(self, name: str) -> int:
        """At how many points a derivative is carried."""
        return dict(self.counts)[name]

    def rows(self, name: str) -> slice:
        """The rows that hold one derivative."""
        return self._rows[name]

    @cached_property
    def _rows(self) -> dict[str, slice]:
        rows, start = {}, self.n_points
        for name, n in self.counts:
            rows[name] = slice(start, start + n)
            start += n
        return rows

    def seed(self, points: Tensor) -> Tensor:
        """The jet of the identity map: what goes into the first layer.

        Args:
            points: ``[n_points, 2]`` or ``[M, n_points, 2]``.

        Returns:
            ``[n_rows, 2]`` or ``[M, n_rows, 2]``: coordinates, unit vectors for first derivatives, zeros for second.
        """
        rows = points.new_zeros(*points.shape[:-2], self.n_rows, points.shape[-1])
        rows[..., : self.n_points, :] = points
        for axis, _ in self.axes:
            rows[..., self.rows(axis), AXES.index(axis)] = 1.0
        return rows

    def split(self, stacked: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Separates a stacked scalar jet ``[M, n_rows]`` into values ``[M, n_points]`` and derivatives ``[M, count]``."""
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
    k2 = max((layout.count(2 * axis) for axis, second in layout.axes if second), default=0)
    f = ACTIVATIONS[model.activation]
    h = seed.expand(len(params), -1, -1)
    *hidden, (weight, bias) = model.layers(params)
    for w, b in hidden:
        z = torch.bmm(h, w.transpose(1, 2))  # [M, n_rows, W]
        z0 = z[:, :n] + b
        a = f.value(z0)
        slope = f.first(z0[:, :k], a[:, :k])
        bend = f.second(z0[:, :k2], a[:, :k2], slope[:, :k2]) if k2 else slope
        parts = [a]
        for axis, second in layout.axes:
            z1 = z[:, layout.rows(axis)]
            parts.append(slope[:, : z1.shape[1]] * z1)
            if second:
                z2 = z[:, layout.rows(2 * axis)]
                m2 = z2.shape[1]
                parts.append(slope[:, :m2] * z2 + bend[:, :m2] * z1[:, :m2].square())
        h = torch.cat(parts, dim=1)
    out = torch.bmm(h, weight.transpose(1, 2))[..., 0]
    return torch.cat([out[:, :n] + bias[..., 0], out[:, n:]], dim=1)


def require_tanh(model: MLP, who: str) -> None:
    """Refuses a network whose derivatives are not those written out by hand.

    Args:
        model: the network.
        who: name of the class that knows tanh alone.

    Raises:
        UserError: if the activation is another one.
    """
    if model.activation != "tanh":
        raise UserError(f"{who} is written for tanh, and this MLP has activation={model.activation!r}; use its eager form")


def sweep_of(model: MLP) -> type[JetWorkspace] | type[EagerJets]:
    """The class that carries this network's jets forward and derivatives back: the fast one for tanh."""
    return JetWorkspace if model.activation == "tanh" else EagerJets


class EagerJets:
    """Forward and reverse sweep by autograd, for every activation; used as :class:`JetWorkspace` is."""

    def __init__(self, model: MLP, layout: Layout, capacity: int, like: Tensor) -> None:
        """Keeps what the sweeps need.

        Args:
            model: the network.
            layout: the rows' meaning.
            capacity: members a sweep may hold; nothing is allocated ahead.
            like: not used, there are no buffers.
        """
        self.model, self.layout, self.capacity = model, layout, capacity
        self._params: Tensor
        self._jet: Tensor

    @staticmethod
    def bytes_per_member(model: MLP, layout: Layout, itemsize: int) -> int:
        """Size of the graph for one member: about four arrays of a layer's rows, and as many of its points."""
        return itemsize * 4 * (layout.n_rows + layout.n_points) * sum(model.hidden)

    def forward(self, params: Tensor, seed: Tensor) -> Tensor:
        """Carries the jets forward; arguments and result as those of :meth:`JetWorkspace.forward`."""
        with torch.enable_grad():
            self._params = params.detach().requires_grad_()
            self._jet = propagate(self.model, self._params, seed, self.layout)
        return self._jet.detach()

    def backward(self, cotangent: Tensor) -> Tensor:
        """Pulls a cotangent ``[m, n_rows]`` of the last jet back to the gradient ``[m, P]``."""
        (grad,) = torch.autograd.grad(self._jet, self._params, cotangent)
        return grad


class JetWorkspace:
    """Forward and reverse sweep of :func:`propagate` for tanh in fixed buffers, for at most ``capacity`` members at a time.

    With s = 1 - a^2, tanh' is s and tanh'' is -2 a s.

    Use: ``out = workspace.forward(params, seed)``, then ``workspace.backward(cotangent)`` for the same members, before
    the next ``forward``. Not thread-safe, and not differentiable: use :func:`propagate` for second derivatives with
    respect to the parameters.
    """

    def __init__(self, model: MLP, layout: Layout, capacity: int, like: Tensor, *, keep: bool = False) -> None:
        """Allocates the buffers.

        Args:
            model: the network.
            layout: the rows' meaning.
            capacity: members a sweep may hold.
            like: a tensor of the type and on the device of the parameters.
            keep: whether :meth:`pre_activation` is wanted afterwards even where the reverse sweep needs none.

        Raises:
            UserError: if the network's activation is not tanh.
        """
        require_tanh(model, "JetWorkspace")
        self.model, self.layout, self.capacity = model, layout, capacity
        rows, widths = layout.n_rows, model.hidden
        make = like.new_empty
        second = any(second for _, second in layout.axes)
        self._a = [make(capacity, rows, w) for w in widths]
        self._s = [make(capacity, layout.n_jets, w) for w in widths]
        # Second-order directions need their pre-activations again in the reverse sweep.
        self._z = [make(capacity, rows - layout.n_points, w) for w in widths] if second or keep else []
        self._g = [make(capacity * rows * max(widths)) for _ in range(2)]
        self._q = make(capacity * max(layout.n_jets, layout.n_points - layout.n_jets) * max(widths))
        # Room for what the reverse sweep of second derivatives needs in between.
        self._r = make(capacity * layout.n_jets * max(widths)) if second else self._q
        self._layers: list[tuple[Tensor, Tensor]] = []
        self._seed = self._q

    @staticmethod
    def bytes_per_member(model: MLP, layout: Layout, itemsize: int) -> int:
        """Size of the buffers for one member."""
        rows, w = layout.n_rows, sum(model.hidden)
        second = any(second for _, second in layout.axes)
        per_layer = (rows + layout.n_jets + second * (rows - layout.n_points)) * w
        return itemsize * (per_layer + (2 * rows + layout.n_points + second * layout.n_jets) * max(model.hidden))

    def forward(self, params: Tensor, seed: Tensor) -> Tensor:
        """Carries the jets forward.

        Args:
            params: ``[m, P]`` with ``m`` up to the capacity.
            seed: :meth:`Layout.seed` of the points, ``[n_rows, 2]`` shared by all members or ``[m, n_rows, 2]``.

        Returns:
            Stacked jet ``[m, n_rows]``; it is overwritten by nothing, the caller may keep it.
        """
        m, n, k = len(params), self.layout.n_points, self.layout.n_jets
        # Contiguous copies: strided batches send the matrix product down a slower path.
        self._layers = [(w.contiguous(), b.contiguous()) for w, b in self.model.layers(params)]
        *hidden, (weight, bias) = self._layers
        self._seed = h = seed.expand(m, -1, -1)
        for i, (w, b) in enumerate(hidden):
            a, s = self._a[i][:m], self._s[i][:m]
            torch.bmm(h, w.transpose(1, 2), out=a)
            if self._z:
                self._z[i][:m].copy_(a[:, n:])
            a[:, :n].add_(b).tanh_()
            torch.mul(a[:, :k], a[:, :k], out=s).neg_().add_(1.0)
            for axis, second in self.layout.axes:
                first = a[:, self.layout.rows(axis)]
                if second:
                    a2 = a[:, self.layout.rows(2 * axis)]
                    k2 = a2.shape[1]
                    scratch = torch.mul(first[:, :k2], first[:, :k2], out=self._scratch(a2))
                    a2.addcmul_(scratch, a[:, :k2], value=-2.0).mul_(s[:, :k2])
                first.mul_(s[:, : first.shape[1]])
            h = a
        out = torch.bmm(h, weight.transpose(1, 2))[..., 0]
        out[:, :n].add_(bias[..., 0])
        return out

    def outputs(self, i: int) -> Tensor:
        """The jet that hidden layer ``i`` gave in the last :meth:`forward`, ``[m, n_rows, W]``; -1 is what went in."""
        return self._a[i][: len(self._seed)] if i >= 0 else self._seed

    def pre_activation(self, i: int, name: str) -> Tensor:
        """A derivative of hidden layer ``i``'s pre-activation, ``[m, count, W]``."""
        return self._z[i][: len(self._seed), self._below(self.layout.rows(name))]

    def backward(self, cotangent: Tensor, visit: Callable[[int, Tensor], None] | None = None) -> Tensor:
        """Pulls derivatives with respect to the jet back to the parameters of the last :meth:`forward`.

        Args:
            cotangent: ``[m, n_rows]``, d(scalar of member m)/d(stacked jet).
            visit: called twice with each hidden layer's number and a buffer ``[m, n_rows, W]``, from the last layer to
                the first: with the cotangent of its output jet, and then of its pre-activation jet.

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
            if visit is not None:
                visit(i, g)
            self._layer_backward(i, g)
            if visit is not None:
                visit(i, g)
            below = self._a[i - 1][:m] if i else self._seed
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
        for axis, second in self.layout.axes:
            rows = self.layout.rows(axis)
            a1, g1 = a[:, rows], g[:, rows]
            k1 = a1.shape[1]
            q = torch.mul(a1, g1, out=self._scratch(a1))  # d(a_x)/dz = -2 a s z_x = -2 a a_x
            g1.mul_(s[:, :k1])
            if second:
                rows2 = self.layout.rows(2 * axis)
                z2 = self._z[i][:m, self._below(rows2)]
                k2 = z2.shape[1]
                z1 = self._z[i][:m, self._below(rows)][:, :k2]
                g2 = g[:, rows2].mul_(s[:, :k2])  # [m, k2, W], now also the cotangent of z_xx
                # d(a_xx)/dz = s (-2 a z_xx + (4 - 6 s) z_x^2); one -2 a is shared with the first-order term.
                q[:, :k2].addcmul_(g2, z2)
                # d(a_xx)/dz_x = -4 a s z_x
                r = torch.mul(g2, z1, out=self._r[: z1.numel()].view(z1.shape))
                g1[:, :k2].addcmul_(r, value[:, :k2], value=-4.0)
                r.mul_(z1)
                g_value[:, :k2].add_(r, alpha=4.0).addcmul_(r, s[:, :k2], value=-6.0)
            g_value[:, :k1].addcmul_(q, value[:, :k1], value=-2.0)
        if n > k:
            slope = torch.mul(ends, ends, out=self._scratch(ends)).neg_().add_(1.0)
            g[:, k:n].mul_(slope)

    def _below(self, rows: slice) -> slice:
        return slice(rows.start - self.layout.n_points, rows.stop - self.layout.n_points)

    def _scratch(self, like: Tensor) -> Tensor:
        return self._q[: like.numel()].view(like.shape)

    def _grad_buffer(self, i: int, m: int, width: int) -> Tensor:
        return self._g[i % 2][: m * self.layout.n_rows * width].view(m, self.layout.n_rows, width)
