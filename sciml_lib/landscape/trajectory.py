"""Watchers of training that keep points or step lengths: ``train(..., watch=Recorder(every=20))``.

They copy what they keep and change nothing, so training does not notice them. They are not part of a checkpoint: after a
resume they know only what came later. Of members that share a slot, the one that represents them is recorded.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from sciml_lib.errors import UserError
from sciml_lib.landscape.checks import check_count, check_ensemble
from sciml_lib.strategies.loop import Snapshot


class Recorder:
    """Keeps the points of every member at chosen iterations, and its last one.

    The number of a point is the training loop's count of iterations over all phases. Adam has made as many steps there;
    L-BFGS counts an iteration when it begins, so its number k is the point that iteration k starts from, or, where the
    member has ended, the point it ended at.
    """

    def __init__(self, *, at: Sequence[int] | None = None, every: int | None = None, start: Tensor | None = None) -> None:
        """Says what is kept; exactly one of ``at`` and ``every`` is given.

        Args:
            at: the chosen iterations.
            every: the distance between chosen iterations, the first of which is 0.
            start: the points that training starts from, ``[M, P]``, recorded as iteration 0, at which no step ends.

        Raises:
            UserError: both or neither of the two are given, or an argument is impossible.
        """
        if (at is None) == (every is None):
            raise UserError("a Recorder needs either at=[0, 20, 40] or every=20")
        if every is not None:
            check_count("every", every, 1, such_as=20)
        if at is not None:
            if isinstance(at, str) or not isinstance(at, Collection) or not len(at):
                raise UserError(f"at={at!r} lists no iterations; choose some, such as [0, 20, 40]")
            for i, iteration in enumerate(at):
                check_count(f"at[{i}]", iteration, 0)
        if start is not None:
            check_ensemble("start", start)
        self._at = None if at is None else sorted(at)
        self._every = every
        self._start = start
        self._stored: dict[int, list[tuple[int, Tensor]]] = {}
        self._due: dict[int, float] = {}
        self._ends: dict[int, tuple[int, Tensor]] = {}  # of members that have left their slot
        self._latest: Snapshot | None = None

    def __call__(self, snapshot: Snapshot) -> None:
        """Looks at the members after a step."""
        self._ends |= self._present(without=snapshot.members)
        self._latest = snapshot
        for i, (member, iteration) in enumerate(zip(snapshot.members, snapshot.iterations.tolist(), strict=True)):
            if member not in self._due:
                self._stored[member], self._due[member] = [], self._after(-1)
                if self._start is not None and self._due[member] == 0:
                    self._store(member, 0, self._start[member])
            if iteration >= self._due[member]:
                self._store(member, iteration, snapshot.params[i])

    @property
    def points(self) -> dict[int, list[tuple[int, Tensor]]]:
        """``{member: [(iteration, params [P]), ...]}``, iterations increasing, params on the CPU.

        A chosen iteration at which no step ended is represented by the first one after it. The last point of a member is
        always there; it replaces one that is stored under the same number.
        """
        ends = self._ends | self._present()
        return {m: [*(p for p in points if p[0] < ends[m][0]), ends[m]] for m, points in self._stored.items()}

    def _store(self, member: int, iteration: int, params: Tensor) -> None:
        self._stored[member].append((iteration, _copy(params)))
        self._due[member] = self._after(iteration)

    def _after(self, iteration: int) -> float:
        """The next chosen iteration."""
        if self._at is None:
            return (iteration // self._every + 1) * self._every
        place = bisect_right(self._at, iteration)
        return self._at[place] if place < len(self._at) else float("inf")

    def _present(self, without: Sequence[int] = ()) -> dict[int, tuple[int, Tensor]]:
        """Copies of the latest points, but not of those members.

        An optimiser moves running members in place, but nothing touches the row of one that has ended: until the next
        snapshot it is enough to hold on to the latest.
        """
        if self._latest is None:
            return {}
        rows = enumerate(zip(self._latest.members, self._latest.iterations.tolist(), strict=True))
        skipped = set(without)
        return {m: (n, _copy(self._latest.params[i])) for i, (m, n) in rows if m not in skipped}


class StepRecorder:
    """Keeps the length of every step of every member.

    A step is a change of the parameters: evaluations within a line search make none. A member that is first seen beyond its
    first iteration, because training was resumed or because it shared a slot before, begins there.
    """

    def __init__(self, start: Tensor) -> None:
        """Takes the points that training starts from.

        Args:
            start: ``[M, P]``, such as ``problem.init(seeds)``.

        Raises:
            UserError: ``start`` is not an ensemble of finite real numbers.
        """
        check_ensemble("start", start)
        self._last = start.detach().clone()
        self._steps: dict[int, list[tuple[int, float]]] = {}

    @torch.no_grad()
    def __call__(self, snapshot: Snapshot) -> None:
        """Looks at the members after a step."""
        rows = torch.tensor(snapshot.members, device=self._last.device)
        now = snapshot.params.to(self._last.device)  # [m, P]
        norms = torch.linalg.vector_norm(now.double() - self._last[rows].double(), dim=1)
        self._last[rows] = now
        for member, iteration, norm in zip(snapshot.members, snapshot.iterations.tolist(), norms.tolist(), strict=True):
            joined_late = member not in self._steps and iteration > 1
            steps = self._steps.setdefault(member, [])
            if norm > 0 and not joined_late:
                steps.append((iteration, norm))

    @property
    def norms(self) -> dict[int, Tensor]:
        """Lengths of the steps, ``{member: [K]}`` float64, in order."""
        return {m: torch.tensor([norm for _, norm in steps], dtype=torch.float64) for m, steps in self._steps.items()}

    @property
    def iterations(self) -> dict[int, Tensor]:
        """The training loop's count of iterations after each of those steps, ``{member: [K]}``."""
        return {m: torch.tensor([n for n, _ in steps], dtype=torch.long) for m, steps in self._steps.items()}


def _copy(params: Tensor) -> Tensor:
    return params.detach().to("cpu", copy=True)
