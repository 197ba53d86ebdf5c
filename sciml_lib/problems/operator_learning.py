"""Learning the solution operator of a steady equation from samples, for M members."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from sciml_lib.checks import whole
from sciml_lib.errors import UserError
from sciml_lib.models import FNO2d
from sciml_lib.problems.base import Evaluation, shuffled
from sciml_lib.problems.ensemble import EnsembleProblem
from sciml_lib.systems.operators import OperatorSystem

REFERENCE = 1024
"""Training samples whose medians scale the inputs, the same for every amount of data."""

VALIDATION = 1024
"""Samples of the validation, every fourth of the released code's 4,096."""

GROUPS = 4
"""Groups of samples by how many Gaussians their sources have; see :class:`~sciml_lib.systems.LatticeFlow`."""

CHUNK = 128
"""Samples of a member that are evaluated at a time."""


_Error = Callable[[Tensor, Tensor], Tensor]


def _squares(found: Tensor, truth: Tensor) -> Tensor:
    """The squared error of each sample, summed over its points, ``[B]``."""
    return (found - truth).square().sum(dim=(0, 1))


def _relative(found: Tensor, truth: Tensor) -> Tensor:
    """The relative L2 error of each sample, ``[B]``."""
    return torch.linalg.vector_norm(found - truth, dim=(0, 1)) / torch.linalg.vector_norm(truth, dim=(0, 1))


class OperatorLearning(EnsembleProblem):
    """An ensemble of Fourier neural operators; range of the equations, amount of data and weights may differ.

    The loss is the squared error, summed over the points and averaged over the samples, of u in its own unit; the released
    code has it so, and the paper says mean squared error. The test error is the relative L2 error of a sample, averaged over
    the validation: samples that are not trained on, but of which :class:`~sciml_lib.strategies.MiniBatchAdam` with
    ``keep_best`` chooses its epoch, as the released code does. ``train_error`` is the same over the training samples: what the
    published maps call training loss.

    A sample's source and the coefficients of its equation are divided by its own amplitude, which leaves u as it is, and the
    coefficients also by their medians. The amplitude is the norm of the source over the median of these norms.
    """

    def __init__(
        self,
        system: OperatorSystem,
        model: FNO2d,
        coefficients: Sequence[float] | Tensor,
        n_data: int | Sequence[int],
        *,
        every: int = 1,
        mixed: bool = False,
        data_seed: int = 0,
        n_validation: int = VALIDATION,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Binds the parts; data are read from the cache, or computed.

        Args:
            system: the equations.
            model: the network; its inputs are the channels of the system.
            coefficients: one a member, ``[M]``: lower ends of ranges of the system.
            n_data: training samples, one number or one a member.
            every: how much the grid of 128 x 128 points is thinned along each axis.
            mixed: whether the four groups of sources are mixed; if not, they lie behind each other, as in the released code's
                files, which it reads in their order.
            data_seed: of the samples.
            n_validation: samples of the validation.
            device: where the members live.
            dtype: their type; the paper's is float32.

        Raises:
            UserError: if there is no member, a number is impossible, the network does not fit, or its modes are more than the
                grid has.
        """
        if not isinstance(system, OperatorSystem):
            raise UserError(f"operator learning needs a system of samples, such as Poisson(), and {system!r} is none")
        if type(model) is not FNO2d or model.n_inputs != system.n_channels:
            raise UserError(f"the {system.name} system needs FNO2d(n_inputs={system.n_channels}, ...), not {model}")
        super().__init__(system, model, coefficients, device=device, dtype=dtype)
        several = not isinstance(n_data, int)
        amounts = [whole("n_data", n, 1) for n in (n_data if several else [n_data] * len(self))]
        if len(amounts) != len(self):
            raise UserError(f"n_data lists {len(amounts)} numbers for {len(self)} members; give one for each, or a single one")
        self.n_data, self.every, self.mixed, self.data_seed = torch.tensor(amounts), every, bool(mixed), data_seed
        self._n_validation = whole("n_validation", n_validation, 1)
        values = self.coefficients.tolist()
        model.check_points(system.samples(values[0], 1, "train", every=every, seed=data_seed).points)
        most = {c: max(n for d, n in zip(values, amounts, strict=True) if d == c) for c in values}
        self._data = [self._loaded(c, n) for c, n in most.items()]
        self._of = torch.tensor([list(most).index(c) for c in values])

    @property
    def particulars(self) -> tuple[str, ...]:
        """Grid, order and data."""
        order = "mixed" if self.mixed else "grouped"
        return (f"every={self.every}", order, f"data_seed={self.data_seed}", f"n_data={self.n_data.tolist()}")

    @property
    def term_names(self) -> tuple[str, ...]:
        """``data``."""
        return ("data",)

    @property
    def metric_names(self) -> tuple[str, ...]:
        """``train_error``, see :meth:`evaluate`."""
        return ("train_error",)

    @property
    def points(self) -> int:
        """Points along each axis of the grid."""
        return self._data[0].solution.shape[-1]

    @property
    def n_validation(self) -> Tensor:
        """Samples of the validation, ``[M]`` (CPU)."""
        return torch.full((len(self),), self._n_validation)

    @property
    def workspace_bytes_per_member(self) -> int:
        """Memory of one member in an evaluation of :data:`CHUNK` samples: what the layers keep for the gradient."""
        kept = self.model.layers * (4 * self.model.width) + 4 * self.model.head + self.model.n_inputs
        samples = min(CHUNK, int(self.n_data.max()))
        return self.dtype.itemsize * (kept * self.points**2 * samples + 2 * self.n_params)

    def terms(self, params: Tensor) -> dict[str, Tensor]:
        """The loss on all training samples, ``{"data": [M]}``, differentiable to any order."""
        self._check(params)
        return {"data": self._means(params, "train", _squares)[:, 0]}

    def value_and_grad(self, params: Tensor) -> tuple[Tensor, Tensor]:
        """Loss ``[M]`` and gradient ``[M, P]`` on all training samples, some of them at a time."""
        self._check(params)
        loss, grad = torch.zeros_like(params[:, 0]), torch.zeros_like(params)
        for k, n in enumerate(self.n_data.tolist()):
            for batch in self._chunks(k, "train"):
                part, slope = self._on_batch(params[k : k + 1], [batch], slice(k, k + 1))
                share = batch.solution.shape[-1] / n
                loss[k] += share * part[0]
                grad[k] += share * slope[0]
        return loss, grad

    def n_batches(self, size: int) -> Tensor:
        """In how many batches each member's samples are cut, ``[M]`` (CPU); one with fewer has all of them in one.

        Raises:
            UserError: if a number of samples is no multiple of the size.
        """
        for n in self.n_data.tolist():
            if n > size and n % size:
                raise UserError(
                    f"n_data={n} samples do not fill batches of {size}; choose a multiple of {size}, or fewer than that"
                )
        return (self.n_data - 1) // size + 1

    def order(self, seeds: Tensor, epochs: Tensor) -> Tensor:
        """A random order of each member's samples, ``[M, n]`` (CPU); see :func:`~sciml_lib.problems.base.shuffled`."""
        return shuffled(self.n_data, seeds, epochs)

    def minibatch(self, index: Tensor, size: int, order: Tensor | None = None) -> _MiniBatch:
        """The loss on one batch of each member.

        Args:
            index: number of the batch, ``[M]`` (CPU).
            size: samples in a batch.
            order: in which a member's samples are taken, ``[M, n]`` (CPU); as they lie if None.
        """
        batches = []
        for k, (batch, n) in enumerate(zip(index.tolist(), self.n_data.tolist(), strict=True)):
            place = slice(batch * size, min((batch + 1) * size, n))
            mine = self._places(k) if order is None else self._places(k)[order[k, :n]]
            batches.append(self._data[int(self._of[k])].batch("train", mine[place]))
        return _MiniBatch(self, batches)

    @torch.no_grad()
    def validation_error(self, params: Tensor) -> Tensor:
        """The loss on the validation samples, ``[M]``."""
        self._check(params)
        return self._means(params, "validation", _squares)[:, 0]

    @torch.no_grad()
    def evaluate(self, params: Tensor) -> Evaluation:
        """Everything that is stored of trained members.

        Args:
            params: ``[M, P]``.

        Returns:
            The loss; the relative error on the validation; and that on the training samples as metric ``train_error``.
        """
        self._check(params)
        loss, error = self._means(params, "train", _squares, _relative).unbind(dim=1)
        test_error = self._means(params, "validation", _relative)[:, 0]
        return Evaluation(terms={"data": loss}, test_error=test_error, metrics={"train_error": error})

    def _loaded(self, coefficient: float, n: int) -> _Data:
        """The samples of a range, training samples in the order of the draws."""
        splits = {"train": max(n, REFERENCE), "validation": self._n_validation}
        fields: dict[str, tuple[Tensor, Tensor, Tensor]] = {}
        medians: tuple[Tensor, Tensor] | None = None
        for split, count in splits.items():
            arrays = self.system.samples(coefficient, count, split, every=self.every, seed=self.data_seed).load()
            source, solution, given = (
                torch.from_numpy(part).double() for part in (arrays["source"], arrays["solution"], self.system.channels(arrays))
            )
            norm = source.square().mean(dim=(1, 2)).sqrt() / source.shape[-1]
            if medians is None:
                medians = norm[:REFERENCE].quantile(0.5), given[:REFERENCE].abs().quantile(0.5, dim=0)
                count = n
            amplitude = (norm / medians[0])[:, None]
            parts = source / amplitude[..., None], given / (amplitude * medians[1]), solution
            fields[split] = tuple(part[:count].to(self.device, self.dtype) for part in parts)
        return _Data(fields)

    def _places(self, k: int) -> Tensor:
        """Where the samples of member k lie, in its order, ``[n]``."""
        n = int(self.n_data[k])
        return torch.arange(n) if self.mixed else torch.cat([torch.arange(group, n, GROUPS) for group in range(GROUPS)])

    def _chunks(self, k: int, split: str) -> Iterator[_Batch]:
        """All samples of member k, some at a time."""
        n = int(self.n_data[k]) if split == "train" else self._n_validation
        data = self._data[int(self._of[k])]
        for start in range(0, n, CHUNK):
            yield data.batch(split, torch.arange(start, min(start + CHUNK, n)))

    def _means(self, params: Tensor, split: str, *errors: _Error) -> Tensor:
        """The means over the samples of some errors of every member, ``[M, len(errors)]``, by one pass through them."""
        rows = []
        for k in range(len(self)):
            tensors, parts = self.model.split(params[k : k + 1]), []
            for batch in self._chunks(k, split):
                found = self.model.apply(tensors, batch.fields[None])[0]
                parts.append(torch.stack([error(found, batch.solution) for error in errors]))
            rows.append(torch.cat(parts, dim=1).mean(dim=1))
        return torch.stack(rows)

    def _on_batch(self, params: Tensor, batches: Sequence[_Batch], rows: slice) -> tuple[Tensor, Tensor]:
        """Loss and gradient of members on one batch each, of equal size."""
        fields = torch.stack([batch.fields for batch in batches])
        solution = torch.stack([batch.solution for batch in batches])
        leaves = {name: part.detach().requires_grad_() for name, part in self.model.split(params).items()}
        with torch.enable_grad():
            square = (self.model.apply(leaves, fields) - solution).square().sum(dim=(1, 2)).mean(dim=1)
            loss = self._take(rows)._scaled("data", square)
            grads = torch.autograd.grad(loss.sum(), list(leaves.values()))
        return loss.detach(), torch.cat([part.flatten(1) for part in grads], dim=1)

    def _take(self, rows: Tensor | slice) -> Self:
        other = super()._take(rows)
        other.n_data, other._of = self.n_data[rows], self._of[rows]
        return other


@dataclass(frozen=True)
class _Batch:
    """Samples as a network takes them.

    Attributes:
        fields: ``[n_channels, n, n, B]``.
        solution: ``[n, n, B]``.
    """

    fields: Tensor
    solution: Tensor


@dataclass(frozen=True)
class _Data:
    """The samples of one range.

    Attributes:
        fields: for each split the scaled sources ``[n, side, side]`` and coefficients ``[n, channels - 1]``, and the solutions.
    """

    fields: dict[str, tuple[Tensor, Tensor, Tensor]]

    @property
    def solution(self) -> Tensor:
        """Of the training samples."""
        return self.fields["train"][2]

    def batch(self, split: str, places: Tensor) -> _Batch:
        """Some samples, side by side."""
        source, given, solution = (part[places.to(part.device)].movedim(0, -1) for part in self.fields[split])
        constant = given[:, None, None].expand(-1, *source.shape)
        return _Batch(torch.cat([source[None], constant]), solution.contiguous())


@dataclass(frozen=True)
class _MiniBatch:
    """The loss of each member on one batch of its samples."""

    problem: OperatorLearning
    batches: list[_Batch]

    def value_and_grad(self, params: Tensor) -> tuple[Tensor, Tensor]:
        """Loss ``[M]`` and gradient ``[M, P]``; members with equally large batches are evaluated together."""
        self.problem._check(params)
        parts, start = [], 0
        sizes = [batch.solution.shape[-1] for batch in self.batches]
        for end in range(1, len(sizes) + 1):
            if end == len(sizes) or sizes[end] != sizes[start]:
                parts.append(self.problem._on_batch(params[start:end], self.batches[start:end], slice(start, end)))
                start = end
        return torch.cat([loss for loss, _ in parts]), torch.cat([grad for _, grad in parts])
