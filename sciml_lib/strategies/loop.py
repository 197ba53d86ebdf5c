"""The training loop: the phases of a strategy over an ensemble, with checkpoints, a time limit and progress.

Every member passes through the phases of a strategy. Within a phase at most ``width`` members, the *slots*, are trained
side by side; a member that ends leaves its slot at once and the next waiting one takes it. Members that would do
exactly the same in a phase share one slot.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import torch
from torch import Tensor

from sciml_lib import checks
from sciml_lib.errors import UserError
from sciml_lib.optim import EnsembleState, Status
from sciml_lib.problems import Problem
from sciml_lib.strategies.recipe import Phase, Stage, Strategy

CHECKPOINT_SECONDS = 30.0


@dataclass(frozen=True)
class MemberResult:
    """What became of one member.

    Attributes:
        params: final parameters ``[P]``, on the CPU.
        status: why it ended: ``diverged`` if its training loss is not finite; else what its evaluation says of it, if it says
            something (the setup's ``outcomes``); else the label of the :class:`~sciml_lib.optim.Status` of the last stage.
        train_loss: unweighted training loss at ``params``.
        terms: its parts.
        test_error: the problem's test error at ``params``.
        metrics: further numbers that the problem has there.
        iterations: iterations over all stages.
        evaluations: evaluations of loss and gradient over all stages.
        seconds: the member's share of the ensemble's wall time.
        engine: how its problem was evaluated, ``fused`` or ``eager``.
    """

    params: Tensor
    status: str
    train_loss: float
    terms: dict[str, float]
    test_error: float
    iterations: int
    evaluations: int
    seconds: float
    metrics: dict[str, float] = field(default_factory=dict)
    engine: str = "eager"


@dataclass(frozen=True)
class Progress:
    """How far an ensemble is: members finished, in all and in training, and evaluations done and expected at most.

    Evaluations that several members share count for each of them.
    """

    finished: int
    total: int
    running: int
    evaluations: int
    expected_evaluations: int


@dataclass(frozen=True)
class Snapshot:
    """The members in training after a step, for whoever watches; to be read, not to be changed.

    Attributes:
        members: their indices, one a slot; those who share a slot are represented by one of them.
        params: their present points ``[m, P]``.
        iterations: iterations done so far, over all phases, ``[m]`` (CPU).
        phase: number of the phase.
    """

    members: tuple[int, ...]
    params: Tensor
    iterations: Tensor
    phase: int


class TimeLimitReached(Exception):
    """The deadline passed; the ensemble stands in its checkpoint."""


@dataclass
class _Ensemble:
    """Everything a checkpoint holds: where each member is, and the slots with their optimiser's state."""

    phase: int
    params: Tensor  # [M, P], the point each member starts the present phase from
    status: Tensor  # [M]
    iterations: Tensor  # [M], over the phases done
    evaluations: Tensor  # [M]
    seconds: Tensor  # [M]
    waiting: list[int] | None = None  # None before the phase has begun
    slots: list[int] = field(default_factory=list)
    finished: int = 0
    state: EnsembleState | None = None

    @classmethod
    def fresh(cls, params: Tensor) -> _Ensemble:
        m = len(params)
        counts = (torch.zeros(m, dtype=torch.long) for _ in range(3))
        return cls(0, params, *counts, torch.zeros(m, dtype=torch.float64))


def memory_per_member(problem: Problem, strategy: Strategy) -> int:
    """Bytes that one slot occupies during the hungriest stage, the shared evaluation buffers not counted.

    Twice its state, since the slots are copied together whenever one is filled or freed.
    """
    return 2 * max(phase.stage.bytes_per_member(problem) for phase in strategy.phases)


def train(
    problem: Problem,
    seeds: Sequence[int],
    strategy: Strategy,
    *,
    on_result: Callable[[int, MemberResult], None],
    width: int | None = None,
    checkpoint: Path | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    deadline: float | None = None,
    progress: Callable[[Progress], None] | None = None,
    watch: Callable[[Snapshot], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Trains every member of an ensemble and reports each as it ends.

    Args:
        problem: M members.
        seeds: seeds of their initial parameters, ``[M]``, integers from 0 to 2**32 - 1.
        strategy: the recipe.
        on_result: called once a member with its index and result. After a resume a member may be reported again that
            was reported since the last checkpoint; its numbers are the same.
        width: slots; all members at once by default.
        checkpoint: file that holds the ensemble while it trains. If it exists, training goes on from it; it is
            replaced atomically and removed at the end.
        checkpoint_seconds: how often it is written.
        deadline: value of ``clock`` at which to stop.
        progress: called after every step.
        watch: called after every step, before members that have ended leave; it disturbs nothing.
        clock: what tells the time in seconds.

    Raises:
        UserError: the strategy does not fit the problem, or an argument is impossible; the message says what would do.
        TimeLimitReached: the deadline passed; the checkpoint is up to date.
        KeyboardInterrupt: as it came, possibly in the middle of a step, so that the last checkpoint is the one to
            go on from.
        OSError: the checkpoint could not be written; the last good one is untouched.
        Exception: whatever the problem or a stage raises, as it came, even if it is the fault of one member alone: nobody is
            trained any further. What has been reported stays, and the last checkpoint is the one to go on from. A residual
            that cannot be computed should rather be NaN; its member then ends as ``diverged``, and the others go on.
    """
    seeds = checks.seeds("seeds", seeds, len(problem))
    width = None if width is None else checks.whole("width", width, 1)
    if not isinstance(strategy, Strategy):
        raise UserError(f"strategy={strategy!r} is not a strategy; write it like Strategy((Adam(), LBFGS()))")
    strategy.check(problem)
    identity = "" if checkpoint is None else _identity(problem, seeds, strategy, width)
    phases = strategy.phases
    participants = (sum(map(len, phase.groups(problem, seeds))) for phase in phases)
    expected = sum(n * phase.stage.expected_evaluations(problem) for n, phase in zip(participants, phases, strict=True))
    ensemble = _load(checkpoint, identity, problem, phases) or _Ensemble.fresh(problem.init(seeds))
    last_save = clock()
    try:
        while ensemble.phase < len(phases):
            bound = _BoundPhase.of(phases[ensemble.phase], problem, seeds, ensemble)
            final = ensemble.phase == len(phases) - 1
            while _fill_slots(ensemble, bound, width):
                _advance(ensemble, bound)
                if watch is not None:
                    watch(_snapshot(ensemble))
                _retire(ensemble, bound, problem, final, on_result)
                if progress is not None:
                    progress(_progress(ensemble, bound, expected))
                now = clock()
                if deadline is not None and now >= deadline:
                    raise TimeLimitReached
                if checkpoint is not None and now - last_save >= checkpoint_seconds:
                    _save(checkpoint, identity, ensemble)
                    last_save = clock()
            ensemble.phase, ensemble.waiting = ensemble.phase + 1, None
    except TimeLimitReached:
        if checkpoint is not None:
            _save(checkpoint, identity, ensemble)
        raise
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)


@dataclass
class _BoundPhase:
    """A phase, bound to the ensemble.

    Attributes:
        stage: the optimiser.
        problem: what it trains on.
        seeds: seeds of the members.
        replicas: for each member with a slot of its own, all that take over its result, itself among them.
    """

    stage: Stage
    problem: Problem
    seeds: Sequence[int]
    replicas: dict[int, list[int]]
    _chosen: tuple[list[int], Problem] | None = None

    @classmethod
    def of(cls, phase: Phase, problem: Problem, seeds: Sequence[int], ensemble: _Ensemble) -> _BoundPhase:
        """Binds a phase; if it has not begun, everybody who takes part and has not diverged waits for a slot."""
        diverged = ensemble.status == Status.DIVERGED
        groups = phase.groups(problem, seeds)
        replicas = {group[0]: group for group in groups if not diverged[group[0]]}
        if ensemble.waiting is None:
            ensemble.waiting = list(replicas)
            ensemble.status[~diverged] = int(Status.RUNNING)
        return cls(phase.stage, phase.view(problem), seeds, replicas)

    def problem_of(self, slots: list[int]) -> Problem:
        """The problem of the members in the slots; it is kept until these change."""
        if self._chosen is None or self._chosen[0] != slots:
            self._chosen = list(slots), self.problem.select(slots)
        return self._chosen[1]


def _fill_slots(ensemble: _Ensemble, bound: _BoundPhase, width: int | None) -> bool:
    """Gives free slots to waiting members; False when nobody is left."""
    free = (width or len(ensemble.params)) - len(ensemble.slots)
    entering, ensemble.waiting = ensemble.waiting[:free], ensemble.waiting[free:]
    if entering:
        fresh = _fresh_state(bound.stage, bound.problem, ensemble.params, bound.seeds, entering)
        ensemble.state = fresh if ensemble.state is None else _joined(ensemble.state, fresh)
        ensemble.slots += entering
    return bool(ensemble.slots)


def _fresh_state(stage: Stage, problem: Problem, params: Tensor, seeds: Sequence[int], members: list[int]) -> EnsembleState:
    return stage.init(problem.select(members), params[members], [int(seeds[m]) for m in members])


def _joined(state: EnsembleState, fresh: EnsembleState) -> EnsembleState:
    ours, new = state.tensors(), fresh.tensors()
    return state.replaced({name: torch.cat([ours[name], new[name]]) for name in ours})


def _advance(ensemble: _Ensemble, bound: _BoundPhase) -> None:
    """One step of all slots; its time is shared equally among them, and among those who share a slot."""
    start = time.perf_counter()
    ensemble.state = bound.stage.step(bound.problem_of(ensemble.slots), ensemble.state)
    each = (time.perf_counter() - start) / len(ensemble.slots)
    for slot in ensemble.slots:
        group = bound.replicas[slot]
        ensemble.seconds[group] += each / len(group)


def _retire(
    ensemble: _Ensemble, bound: _BoundPhase, problem: Problem, final: bool, on_result: Callable[[int, MemberResult], None]
) -> None:
    """Takes ended members out of their slots; in the final phase, and where they diverged, they are reported."""
    state = ensemble.state
    ended = state.status != Status.RUNNING
    if not ended.any():
        return
    members = []
    for i in ended.nonzero()[:, 0].tolist():
        group = bound.replicas[ensemble.slots[i]]
        ensemble.params[group] = state.params[i]
        ensemble.status[group] = state.status[i]
        ensemble.iterations[group] += state.total_iterations[i]
        ensemble.evaluations[group] += state.total_evaluations[i]
        members += group
    stay = (~ended).nonzero()[:, 0]
    ensemble.slots = [ensemble.slots[i] for i in stay.tolist()]
    ensemble.state = state.select(stay) if len(stay) else None
    over = [m for m in members if final or ensemble.status[m] == Status.DIVERGED]
    _report(ensemble, problem, over, on_result)


@torch.no_grad()
def _report(ensemble: _Ensemble, problem: Problem, members: list[int], on_result: Callable[[int, MemberResult], None]) -> None:
    if not members:
        return
    params = ensemble.params[members]
    found = problem.select(members).evaluate(params)
    losses = sum(found.terms.values())  # one after the other: a sum over a stack may group its terms by where they lie
    for i, member in enumerate(members):
        # A run without a loss or an error is one that blew up, whatever ended it: NaN has one meaning in a store.
        known = bool(torch.isfinite(losses[i])) and not bool(torch.isnan(found.test_error[i]))
        status = Status(int(ensemble.status[member])) if known else Status.DIVERGED
        outcome = found.outcomes[i] if found.outcomes and status is not Status.DIVERGED else None
        ensemble.finished += 1
        on_result(
            member,
            MemberResult(
                params=params[i].cpu().clone(),
                status=outcome or status.label,
                train_loss=losses[i].item(),
                terms={name: value[i].item() for name, value in found.terms.items()},
                test_error=found.test_error[i].item(),
                iterations=int(ensemble.iterations[member]),
                evaluations=int(ensemble.evaluations[member]),
                seconds=float(ensemble.seconds[member]),
                metrics={name: value[i].item() for name, value in found.metrics.items()},
                engine=problem.engine,
            ),
        )


def _progress(ensemble: _Ensemble, bound: _BoundPhase, expected: int) -> Progress:
    done = int(ensemble.evaluations.sum())
    if ensemble.state is not None:
        sizes = torch.tensor([len(bound.replicas[slot]) for slot in ensemble.slots])
        done += int((ensemble.state.total_evaluations * sizes).sum())
    return Progress(ensemble.finished, len(ensemble.params), len(ensemble.slots), done, expected)


def _snapshot(ensemble: _Ensemble) -> Snapshot:
    state, slots = ensemble.state, ensemble.slots
    return Snapshot(tuple(slots), state.params, ensemble.iterations[slots] + state.total_iterations, ensemble.phase)


def _identity(problem: Problem, seeds: Sequence[int], strategy: Strategy, width: int | None) -> str:
    """A fingerprint of what is trained, so that a checkpoint is never continued by another ensemble."""
    return sha256(repr((problem.description, list(seeds), strategy, width)).encode()).hexdigest()


def _save(checkpoint: Path, identity: str, ensemble: _Ensemble) -> None:
    """Writes the checkpoint beside itself and moves it into place, so that a cut never leaves half a file."""
    content = {name: value for name, value in vars(ensemble).items() if name != "state"}
    state = None if ensemble.state is None else ensemble.state.tensors()
    draft = checkpoint.with_name(checkpoint.name + ".tmp")
    try:
        with open(draft, "wb") as file:
            torch.save({"identity": identity, "ensemble": content, "state": state}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, checkpoint)
    except (OSError, RuntimeError) as error:  # PyTorch words a full disk as a RuntimeError
        draft.unlink(missing_ok=True)
        raise error if isinstance(error, OSError) else OSError(str(error)) from error
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _load(checkpoint: Path | None, identity: str, problem: Problem, phases: Sequence[Phase]) -> _Ensemble | None:
    """Reads the checkpoint, or returns None where there is none that fits (and says so if one had to be passed over)."""
    if checkpoint is None or not checkpoint.exists():
        return None
    try:
        saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
        if saved["identity"] != identity:
            warnings.warn(f"{checkpoint} belongs to another ensemble; these members start again", stacklevel=3)
            return None
        ensemble = _Ensemble(**saved["ensemble"])
        ensemble.params = ensemble.params.to(problem.device)
        if saved["state"] is not None:
            phase, slots = phases[ensemble.phase], ensemble.slots
            fresh = _fresh_state(phase.stage, phase.view(problem), ensemble.params, [0] * len(problem), slots)
            ensemble.state = fresh.load(saved["state"])
        return ensemble
    except torch.OutOfMemoryError:  # the file is sound; the caller may try again with fewer slots
        raise
    except Exception as error:  # whatever a damaged file makes PyTorch raise
        reason = type(error).__name__
        warnings.warn(f"{checkpoint} is damaged ({reason}); these members start again", stacklevel=3)
        return None
