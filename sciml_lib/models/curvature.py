"""Products with the Hessian of a loss of jets, at one point of parameter space, in buffers.

A product H v is the directional derivative of the gradient along v (Pearlmutter 1994). Everything that depends on the
point alone is computed once: activations, their cotangents, and for every tanh layer the first and second derivatives
of the map from its pre-activation jet to its output jet,

    a   = tanh(z),   a_x = s z_x,   a_xx = s (z_xx - 2 a z_x^2),   s = 1 - a^2.

What is left for each v is twice the matrix products of a gradient and some products of arrays: about two gradients.
Differentiating the differentiable form twice takes four to five on a CPU, most of it for fresh memory. Networks with
another activation than tanh are differentiated in that way, see :func:`hessian_of`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sciml_lib.models.jets import JetWorkspace, Layout, propagate, require_tanh
from sciml_lib.models.mlp import MLP


@dataclass
class _Axis:
    """Derivatives of one axis' part of a tanh layer, with g the cotangent of the output jet; ``[m, count, W]`` each.

    Attributes:
        first: rows of the first derivative.
        second: rows of the second derivative; None if there is none.
        a1_z: d a_x / dz.
        c_z1: d^2 (g.a) / dz dz_x.
        a2_z: d a_xx / dz.
        a2_z1: d a_xx / dz_x.
        c_z2: d^2 (g.a) / dz dz_xx.
        c1_z1: d^2 (g.a) / dz_x^2.
    """

    first: slice
    second: slice | None
    a1_z: Tensor
    c_z1: Tensor
    a2_z: Tensor | None = None
    a2_z1: Tensor | None = None
    c_z2: Tensor | None = None
    c1_z1: Tensor | None = None


@dataclass
class _Layer:
    """What one hidden layer contributes to every product.

    Attributes:
        weight: ``[m, W, W_below]``.
        below: jet that enters it, ``[m, n_rows, W_below]``.
        cotangent: of its pre-activation jet, ``[m, n_rows, W]``.
        slope: s at all points, ``[m, n_points, W]``.
        c_z: d^2 (g.a) / dz^2 at all points, ``[m, n_points, W]``.
        axes: the axes' parts.
        z_dot: buffer for the tangent of the pre-activation jet, ``[m, n_rows, W]``.
    """

    weight: Tensor
    below: Tensor
    cotangent: Tensor
    slope: Tensor
    c_z: Tensor
    axes: list[_Axis]
    z_dot: Tensor


def hessian_of(model: MLP) -> type[JetHessian] | type[EagerHessian]:
    """The class that gives products with the Hessian of a loss of this network's jets: the fast one for tanh."""
    return JetHessian if model.activation == "tanh" else EagerHessian


class EagerHessian:
    """The same products by differentiating twice, for every activation; used as :class:`JetHessian` is.

    Attributes:
        loss: ``[m]``.
        grad: ``[m, P]``.
    """

    def __init__(self, model: MLP, params: Tensor, seed: Tensor, layout: Layout, loss: Callable[[Tensor], Tensor]) -> None:
        """Builds the graph of the gradient; arguments as those of :class:`JetHessian`."""
        with torch.enable_grad():
            self._params = params.detach().requires_grad_()
            total = loss(propagate(model, self._params, seed, layout))
            (self._grad,) = torch.autograd.grad(total.sum(), self._params, create_graph=True)
        self.loss, self.grad = total.detach(), self._grad.detach()

    @staticmethod
    def bytes_per_member(model: MLP, layout: Layout, itemsize: int) -> int:
        """Size of the graph for one member: about twelve arrays of a layer's rows."""
        return itemsize * 12 * layout.n_rows * sum(model.hidden)

    def product(self, v: Tensor) -> Tensor:
        """H v for ``v [m, P]``, ``[m, P]``."""
        (product,) = torch.autograd.grad(self._grad, self._params, v, retain_graph=True)
        return product


class JetHessian:
    """The Hessian of ``loss(jet(params))`` of tanh networks at one point, for a group of members.

    Attributes:
        loss: ``[m]``.
        grad: ``[m, P]``.
    """

    def __init__(self, model: MLP, params: Tensor, seed: Tensor, layout: Layout, loss: Callable[[Tensor], Tensor]) -> None:
        """Computes everything that does not depend on v.

        Args:
            model: the network.
            params: ``[m, P]``.
            seed: jet of the points, ``[n_rows, 2]`` or ``[m, n_rows, 2]``.
            layout: the rows' meaning.
            loss: from the stacked jet ``[m, n_rows]`` to ``[m]``, twice differentiable.

        Raises:
            UserError: if the network's activation is not tanh.
        """
        require_tanh(model, "JetHessian")
        self._model, self._layout = model, layout
        workspace = JetWorkspace(model, layout, len(params), params, keep=True)
        self._jet = workspace.forward(params, seed).requires_grad_()
        with torch.enable_grad():
            total = loss(self._jet)
            (self._cotangent,) = torch.autograd.grad(total.sum(), self._jet, create_graph=True)
        self.loss = total.detach()
        self._out = self._cotangent.detach()[..., None]  # [m, n_rows, 1]
        *hidden, (self._weight, _) = model.layers(params)
        self._layers: list[_Layer] = []

        def visit(i: int, g: Tensor) -> None:
            if len(self._layers) + i == len(hidden) - 1:
                self._layers.insert(0, self._layer(workspace, i, hidden[i][0], g))
            else:
                self._layers[0].cotangent.copy_(g)

        self.grad = workspace.backward(self._out[..., 0], visit)
        self._last = workspace.outputs(len(hidden) - 1)
        self._h_dot = [torch.empty_like(layer.z_dot) for layer in self._layers]

    def _layer(self, workspace: JetWorkspace, i: int, weight: Tensor, g: Tensor) -> _Layer:
        """What layer ``i`` contributes, from the cotangent ``g`` of its output jet."""
        n = self._layout.n_points
        a = workspace.outputs(i)[:, :n]
        s = 1.0 - a.square()
        a_s = a * s
        curl = s * (3.0 * s - 2.0)  # d(a s)/dz
        c_z = -2.0 * a_s * g[:, :n]
        axes = []
        for axis, second in self._layout.axes:
            rows = self._layout.rows(axis)
            z1, g1 = workspace.pre_activation(i, axis), g[:, rows]
            k = z1.shape[1]
            part = _Axis(rows, None, a1_z=-2.0 * a_s[:, :k] * z1, c_z1=-2.0 * a_s[:, :k] * g1)
            c_z[:, :k] -= 2.0 * curl[:, :k] * z1 * g1
            if second:
                part.second = rows2 = self._layout.rows(2 * axis)
                z2, g2 = workspace.pre_activation(i, 2 * axis), g[:, rows2]
                k2 = z2.shape[1]
                z1, s2, as2, curl2 = z1[:, :k2], s[:, :k2], a_s[:, :k2], curl[:, :k2]
                part.a2_z = -2.0 * as2 * z2 + s2 * (4.0 - 6.0 * s2) * z1.square()
                part.a2_z1 = -4.0 * as2 * z1
                part.c_z1[:, :k2] -= 4.0 * curl2 * z1 * g2
                part.c_z2 = -2.0 * as2 * g2
                part.c1_z1 = -4.0 * as2 * g2
                c_z[:, :k2] -= g2 * (2.0 * curl2 * z2 + 2.0 * as2 * (4.0 - 12.0 * s2) * z1.square())
            axes.append(part)
        return _Layer(weight, workspace.outputs(i - 1), torch.empty_like(g), s, c_z, axes, torch.empty_like(g))

    @staticmethod
    def bytes_per_member(model: MLP, layout: Layout, itemsize: int) -> int:
        """Size of what is kept for one member."""
        arrays = 4 * layout.n_rows + 2 * layout.n_points  # output, cotangent and both tangents; slopes and c_z
        for axis, second in layout.axes:
            arrays += 2 * layout.count(axis) + 4 * (layout.count(2 * axis) if second else 0)
        return itemsize * arrays * sum(model.hidden)

    @torch.no_grad()
    def product(self, v: Tensor) -> Tensor:
        """H v for ``v [m, P]``, ``[m, P]``."""
        n = self._layout.n_points
        *tangents, (w_dot, b_dot) = self._model.layers(v)
        h_dot = None
        for layer, out, (v_w, v_b) in zip(self._layers, self._h_dot, tangents, strict=True):
            z = torch.bmm(layer.below, v_w.mT, out=layer.z_dot)
            if h_dot is not None:
                z.baddbmm_(h_dot, layer.weight.mT)
            z[:, :n] += v_b
            h_dot = self._forward(layer, z, out)
        jet_dot = torch.bmm(self._last, w_dot.mT).baddbmm_(h_dot, self._weight.mT)[..., 0]
        jet_dot[:, :n] += b_dot[..., 0]
        (out_dot,) = torch.autograd.grad(self._cotangent, self._jet, jet_dot, retain_graph=True)

        result = torch.empty_like(v)
        *into, (into_w, into_b) = self._model.layers(result)
        out_dot = out_dot[..., None]
        into_w.copy_(torch.bmm(out_dot.mT, self._last).baddbmm_(self._out.mT, h_dot))
        into_b.copy_(out_dot[:, :n].mT.sum(dim=2, keepdim=True))
        g = torch.mul(out_dot, self._weight).addcmul_(self._out, w_dot)
        for i in reversed(range(len(self._layers))):
            layer = self._layers[i]
            c = self._backward(layer, g)
            weight = torch.bmm(c.mT, layer.below)
            if i:
                weight.baddbmm_(layer.cotangent.mT, self._h_dot[i - 1])
                g = torch.bmm(c, layer.weight).baddbmm_(layer.cotangent, tangents[i][0])
            into[i][0].copy_(weight)
            into[i][1].copy_(c[:, :n].sum(dim=1, keepdim=True))
        return result

    def _forward(self, layer: _Layer, z: Tensor, out: Tensor) -> Tensor:
        """Tangent of the output jet from that of the pre-activation jet."""
        n, s = self._layout.n_points, layer.slope
        torch.mul(z[:, :n], s, out=out[:, :n])
        for axis in layer.axes:
            z1 = z[:, axis.first]
            k = z1.shape[1]
            torch.mul(z1, s[:, :k], out=out[:, axis.first]).addcmul_(axis.a1_z, z[:, :k])
            if axis.second is not None:
                z2 = z[:, axis.second]
                k2 = z2.shape[1]
                a2 = torch.mul(z2, s[:, :k2], out=out[:, axis.second])
                a2.addcmul_(axis.a2_z, z[:, :k2]).addcmul_(axis.a2_z1, z1[:, :k2])
        return out

    def _backward(self, layer: _Layer, g: Tensor) -> Tensor:
        """Tangent of the pre-activation's cotangent from that of the output's, in place."""
        n, s, z = self._layout.n_points, layer.slope, layer.z_dot
        c = g[:, :n].mul_(s).addcmul_(layer.c_z, z[:, :n])
        for axis in layer.axes:
            z1, g1 = z[:, axis.first], g[:, axis.first]
            k = z1.shape[1]
            c[:, :k].addcmul_(axis.a1_z, g1).addcmul_(axis.c_z1, z1)
            g1.mul_(s[:, :k]).addcmul_(axis.c_z1, z[:, :k])
            if axis.second is not None:
                z2, g2 = z[:, axis.second], g[:, axis.second]
                k2 = z2.shape[1]
                c[:, :k2].addcmul_(axis.a2_z, g2).addcmul_(axis.c_z2, z2)
                g1[:, :k2].addcmul_(axis.a2_z1, g2).addcmul_(axis.c1_z1, z1[:, :k2])
                g2.mul_(s[:, :k2]).addcmul_(axis.c_z2, z[:, :k2])
        return g
