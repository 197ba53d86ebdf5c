"""Products with the Hessians of an ensemble at one point: all that the tools for spectra know of a loss."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sciml_lib.errors import UserError
from sciml_lib.landscape.checks import (
    check_count,
    check_ensemble,
    check_finite,
    check_fits,
    check_function,
    check_real,
    check_values,
    refuse,
)
from sciml_lib.landscape.losses import Loss, budget, detached
from sciml_lib.problems.base import CurvedObjective, HessianProduct

Linearised = tuple[Tensor, Tensor, HessianProduct]


class HessianOperator:
    """Products with the Hessians of M members, at one point of each.

    Made by :meth:`of_problem` or :meth:`of_loss`. Losses are evaluated twice more, and the first product of one member is made
    twice: eigenvalues of a loss that changes from call to call would mean nothing.

    Attributes:
        params: the points, ``[M, P]``.
        loss: there, ``[M]``.
        grad: of the loss there, ``[M, P]``.
    """

    def __init__(self, params: Tensor, linearise: Callable[[Tensor], Linearised], value: Callable[[Tensor], Tensor]) -> None:
        """Evaluates and checks.

        Args:
            params: ``[M, P]``.
            linearise: gives loss, gradient and products at such parameters.
            value: gives the loss by an evaluation of its own, ``[M]``.

        Raises:
            UserError: if something is not finite, or the loss differs between two evaluations.
        """
        check_ensemble("params", params)
        self.params = params.detach()
        self.loss, self.grad, self._product = linearise(self.params)
        check_finite("a loss that is", self.loss[:, None])
        check_finite("a gradient that is", self.grad)
        # Twice by one program: where a loss is tiny, that of another one may round to other digits from the third on.
        once, again = (value(self.params)[:, None] for _ in range(2))
        _check_same("loss", once, again, torch.arange(len(params)))
        self._fresh = torch.ones(len(params), dtype=torch.bool)  # members without a product so far

    @classmethod
    def of_problem(cls, problem: CurvedObjective, params: Tensor) -> HessianOperator:
        """The Hessians of a problem's training loss, by the products that it offers itself.

        Args:
            problem: the ensemble. The operator holds as much memory as what the problem's ``linearised`` returns.
            params: ``[M, P]``.

        Raises:
            UserError: if ``params`` are not those of the problem's members or are complex, something is not finite, or the
                loss changes when it is evaluated again.
        """
        check_ensemble("params", params)
        check_fits(problem, params, ("linearised", "value"), "HessianOperator.of_loss takes any function of parameters [M, P]")
        return cls(params, problem.linearised, problem.value)

    @classmethod
    def of_loss(cls, loss: Loss, params: Tensor, *, chunk: int | None = None) -> HessianOperator:
        """The Hessians of any differentiable loss, by differentiating it twice (Pearlmutter 1994).

        Args:
            loss: from ``[m, P]`` to ``[m]``, each entry a function of its own row alone.
            params: ``[M, P]``.
            chunk: members whose graph exists at a time. By default the graph of all is built once and kept, which is
                fastest. With a chunk the graph is rebuilt for every product, about half as much work again, and members
                whose product is not wanted cost nothing. ``loss`` then has to accept any rows; where members differ in
                more than their parameters, make one operator for each or use :meth:`of_problem`.

        Raises:
            UserError: if ``loss`` is a network or gives something else than one number a member, ``params`` are complex,
                ``chunk`` is less than 1, something is not finite, or the loss changes when it is evaluated again.
        """
        check_function("loss", loss)
        check_ensemble("params", params)
        if chunk is not None:
            check_count("chunk", chunk, 1)

        def value(x: Tensor) -> Tensor:
            return torch.cat([detached(loss, part) for part in x.split(chunk or len(x))])

        if chunk is None:
            return cls(params, lambda x: _linearise(loss, x), value)
        return cls(params, lambda x: _linearise_in_chunks(loss, x, chunk), value)

    def __len__(self) -> int:
        """M."""
        return len(self.params)

    @property
    def n_params(self) -> int:
        """P."""
        return self.params.shape[1]

    def __call__(self, v: Tensor, wanted: Tensor | None = None) -> Tensor:
        """Products with all Hessians.

        Args:
            v: ``[M, P]``.
            wanted: the members whose products are wanted, ``[M]`` (CPU); all by default.

        Returns:
            ``[M, P]``; rows that are not wanted hold anything finite.

        Raises:
            UserError: if ``v`` is not real or has another shape, a member's first product is not finite, or the very first
                changes when it is made again.
        """
        check_real("v", v)
        if v.shape != self.params.shape:
            raise UserError(f"v has shape {list(v.shape)}; these Hessians multiply vectors of shape {list(self.params.shape)}")
        hv = self._product(v, wanted)
        first = (self._fresh if wanted is None else self._fresh & wanted).nonzero()[:, 0]
        if len(first):
            check_finite("a Hessian that is", hv, first)
            if self._fresh.all():  # one member will do, and costs little
                again = self._product(v, torch.arange(len(self)) == first[0])
                _check_same("Hessian", hv, again, first[:1])
            self._fresh[first] = False
        return hv

    def of_rows(self, v: Tensor, rows: Tensor) -> Tensor:
        """Products with the Hessians of some members only.

        Args:
            v: ``[m, P]``.
            rows: which members, ascending, ``[m]`` (CPU).

        Returns:
            ``[m, P]``.
        """
        if len(rows) == len(self):
            return self(v)
        wanted = torch.zeros(len(self), dtype=torch.bool)
        wanted[rows] = True
        on = rows.to(v.device)
        whole = torch.zeros_like(self.params)
        whole[on] = v
        return self(whole, wanted)[on]

    def parts(self, bytes_per_member: int) -> list[Tensor]:
        """Cuts the members into parts, so that a tool that needs so much memory for each keeps within bounds.

        The bounds are those of :func:`sciml_lib.landscape.losses.budget`; a part has at least one member.

        Returns:
            Numbers of the members of each part (CPU).
        """
        return list(torch.arange(len(self)).split(max(1, budget(self.params) // bytes_per_member)))


def check_operator(operator: object) -> None:
    """Refuses what is not a :class:`HessianOperator`."""
    if not isinstance(operator, HessianOperator):
        raise UserError(
            f"operator is of the type {type(operator).__name__}; make one by HessianOperator.of_problem(problem, params) or "
            "HessianOperator.of_loss(loss, params)"
        )


def _linearise(loss: Loss, params: Tensor) -> Linearised:
    """Loss, gradient, and products by differentiating the gradient along a vector."""
    x = params.detach().clone().requires_grad_()
    with torch.enable_grad():
        value = loss(x)
        check_values("loss", value, x)
        if not value.requires_grad:
            raise UserError("loss gave numbers without a gradient; leave out torch.no_grad, .detach() and .item() in it")
        (grad,) = torch.autograd.grad(value.sum(), x, create_graph=True, materialize_grads=True)

    def product(v: Tensor, wanted: Tensor | None = None) -> Tensor:
        if not grad.requires_grad:  # the loss is linear
            return torch.zeros_like(v)
        return torch.autograd.grad(grad, x, v, retain_graph=True, materialize_grads=True)[0]

    return value.detach(), grad.detach(), product


def _linearise_in_chunks(loss: Loss, params: Tensor, chunk: int) -> Linearised:
    """The same with a graph of so many members at a time."""
    parts = torch.arange(len(params)).split(chunk)
    losses, grads = zip(*(_linearise(loss, params[rows])[:2] for rows in parts), strict=True)

    def product(v: Tensor, wanted: Tensor | None = None) -> Tensor:
        result = torch.zeros_like(v)
        for rows in parts:
            if wanted is None or wanted[rows].any():
                result[rows] = _linearise(loss, params[rows])[2](v[rows])
        return result

    return torch.cat(losses), torch.cat(grads), product


def _check_same(name: str, once: Tensor, again: Tensor, members: Tensor) -> None:
    """Refuses those among some members (CPU) whose rows of two evaluations ``[M, n]`` differ by more than rounding.

    Programs may add in another order; what is random differs by far more than half the digits.
    """
    on = members.to(once.device)
    near = torch.finfo(once.dtype).eps ** 0.5 * torch.linalg.vector_norm(once[on], dim=1)
    same = (torch.linalg.vector_norm(once[on] - again[on], dim=1) <= near).cpu()
    refuse(members[~same], f"a {name} that changed when it was evaluated again; switch off what is random in the loss")
