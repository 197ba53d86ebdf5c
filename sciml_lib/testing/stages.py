"""What a stage of training promises to the loop, checked on a small ensemble."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import json
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any, get_type_hints

import torch
from torch import Tensor

from sciml_lib.errors import UserError
from sciml_lib.models import MLP
from sciml_lib.optim import Adam, EnsembleState, Status
from sciml_lib.problems import PINN, NeuralODE, Problem
from sciml_lib.strategies import MemberResult, Stage, Strategy, TimeLimitReached, train
from sciml_lib.strategies.recipe import MultiPhase
from sciml_lib.sweeps import Sweep
from sciml_lib.systems import Convection, Pendulum

COEFFICIENTS = (1.0, 2.0, 3.0, 4.0, 5.0)
"""One a member of the ensemble on which a stage is checked."""

MOST_EVALUATIONS = 1_000
"""A longer budget is refused: rounding grows with every step until nothing can be compared."""

FAILING = 1
"""The member whose loss turns NaN, after its first two evaluations."""

GIVEN_UP = (Status.DIVERGED, Status.LINE_SEARCH_FAILED, Status.NOT_DESCENT, Status.SKETCH_FAILED)
"""How a member may end whose loss is NaN wherever it looks; the loop stores all of them as ``diverged``."""

_NO_MEMORY = "keep every number that it remembers in the state that init returns, as a tensor with one row a member"
_OWN_ROW = (
    "reduce over the last axis only, as in grad.norm(dim=1), and use each member's own row, as in state.iterations[:, None]"
)


def check_stage(stage: Stage | MultiPhase, problem: Problem | None = None, *, tolerance: float = 1e-6) -> None:
    """Checks that a stage of your own does in an ensemble what the training loop relies on.

    The stage trains five small networks in double precision. A member must end at the same point alone and among
    others, whether it begins with them or enters later, in few slots or many; a training that was stopped must go on to
    the very same numbers; a member whose loss turns NaN must end as ``diverged`` (or by a search that fails, which is stored
    as that) and disturb nobody; the recipe must hold every number of the stage.

    Args:
        stage: the stage, with a budget of about 30 evaluations.
        problem: what to train, at least three members in float64; by default a small physics-informed network, or, where
            the stage refuses that, a small neural ODE.
        tolerance: largest difference of parameters, relative to the largest of them, that counts as rounding.

    Raises:
        AssertionError: if something is wrong; one sentence says what, and what to do.
    """
    name = type(stage).__name__
    _check_recipe(stage, name)
    trial = _Trial(name, copy.deepcopy(stage), _problem_for(stage, name) if problem is None else problem, tolerance)
    for one in trial.optimisers:
        _check_contract(one, trial)
    reference = trial.train()
    _check_memory(trial, reference)
    for one in trial.optimisers:
        _check_ended_members_stay(one, trial)
        _check_late_members(one, trial)
        _check_nan(one, trial)
    _check_alone(trial, reference)
    _check_few_slots(trial, reference)
    _check_neighbours_of_nan(trial, reference)


@dataclasses.dataclass(frozen=True)
class _Trial:
    """A stage with what it trains.

    Attributes:
        name: of its class.
        stage: a copy that is never trained itself, so that every training begins with a stage as fresh as a new process has.
        problem: M members.
        tolerance: see :func:`check_stage`.
    """

    name: str
    stage: Stage | MultiPhase
    problem: Problem
    tolerance: float

    @property
    def strategy(self) -> Strategy:
        """The stage as a recipe; something must follow a curriculum."""
        fresh = copy.deepcopy(self.stage)
        return Strategy((fresh, Adam(2)) if isinstance(fresh, MultiPhase) else (fresh,))

    @property
    def optimisers(self) -> list[Stage]:
        """The stage itself, or what trains the first phase of one that has several."""
        return [self.strategy.phases[0].stage]

    @property
    def seeds(self) -> list[int]:
        """One a member."""
        return list(range(len(self.problem)))

    @property
    def evaluations(self) -> int:
        """How many one member is expected to ask for."""
        return sum(phase.stage.expected_evaluations(self.problem) for phase in self.strategy.phases)

    def train(self, problem: Problem | None = None, seeds: Sequence[int] | None = None, **options: Any) -> _Trained:
        """Trains a fresh copy of the stage, all members or others, and counts the steps."""
        problem = self.problem if problem is None else problem
        strategy, trained = self.strategy, _Trained({}, itertools.count())
        most = 10 * len(problem) * (self.evaluations + 10)

        def count(_: Any) -> None:
            if next(trained.ticks) > most:
                raise AssertionError(f"{self.name} does not end: set Status.BUDGET_SPENT where its budget is used up")

        with _told(self.name, "while it trained"), suppress(TimeLimitReached):
            seeds = self.seeds if seeds is None else seeds
            train(problem, seeds, strategy, on_result=trained.results.__setitem__, progress=count, **options)
        changed = _differences(vars(strategy.stages[0]), vars(self.stage), _cached(type(self.stage)))
        if changed:
            raise AssertionError(f"{self.name} stores {', '.join(changed)} on itself while it trains; {_NO_MEMORY}")
        return trained

    def begin(self, stage: Stage, members: Sequence[int]) -> EnsembleState:
        """The state of some members before their first step."""
        params = self.problem.init(self.seeds)[list(members)]
        return stage.init(self.problem.select(members), params, [self.seeds[m] for m in members])


@dataclasses.dataclass
class _Trained:
    """The results of a training, and a counter of its steps."""

    results: dict[int, MemberResult]
    ticks: Iterator[int]

    @cached_property
    def steps(self) -> int:
        """How many steps there were."""
        return next(self.ticks)


# --- what it is ------------------------------------------------------------------------------------------------


def _check_recipe(stage: object, name: str) -> None:
    """The recipe is plain data that holds every number of the stage."""
    if isinstance(stage, type) or not dataclasses.is_dataclass(stage) or not stage.__dataclass_params__.frozen:
        given = stage.__name__ if isinstance(stage, type) else name
        raise AssertionError(
            f"{given} must be an object of a frozen dataclass, so that its numbers can be written into recipes; decorate the "
            f"class with @dataclass(frozen=True) and give {given}(...)"
        )
    known = {one.name for one in dataclasses.fields(stage)}
    for other, value in _loose(stage, known).items():
        raise AssertionError(
            f"{name}.{other}={value!r} is no field, so that no recipe has it; write `{other}: {type(value).__name__} = "
            f"{value!r}` in a class with @dataclass(frozen=True), or ClassVar if nobody is to change it"
        )
    before = _recipe(stage, name)
    for field, value in ((one.name, getattr(stage, one.name)) for one in dataclasses.fields(stage)):
        for another in _other_values(value):
            try:
                changed = dataclasses.replace(stage, **{field: another})
            except ValueError:  # it refuses that number
                continue
            if _recipe(changed, name) == before:
                raise AssertionError(
                    f"{name}: {field}={another!r} and {field}={value!r} have one recipe; store the number as it was given"
                )


def _loose(stage: object, fields: set[str]) -> dict[str, Any]:
    """Numbers and texts of a stage that are no fields of it."""
    constants = {name for name, kind in get_type_hints(type(stage)).items() if "ClassVar" in str(kind)}
    found = {}
    for name in sorted({*dir(type(stage)), *vars(stage)} - fields - constants):
        described = vars(stage).get(name, getattr(type(stage), name, None))
        if not name.startswith("_") and isinstance(described, (bool, int, float, str, tuple)):
            found[name] = described
    return found


def _other_values(value: object) -> list[Any]:
    """Values of the same type that may do as well."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, value - 1]
    return [value * 1.25, value * 0.75] if isinstance(value, float) else []


def _recipe(stage: Any, name: str) -> str:
    """The stage in the recipe of a sweep."""
    stages = (stage, Adam(2)) if isinstance(stage, MultiPhase) else (stage,)
    with _told(name, "as a part of a strategy"):
        sweep = Sweep("check/stage/one", "", Convection(), Strategy(stages), (0,), coefficients=(1.0,), n_data=(10,))
    try:
        return json.dumps(sweep.at("laptop").recipe["strategy"], sort_keys=True)
    except (TypeError, ValueError, UserError) as error:
        raise AssertionError(
            f"{name} cannot be written into a recipe ({error}); let its fields be numbers, texts, tuples of these, or frozen "
            "dataclasses"
        ) from error


def _problem_for(stage: Any, name: str) -> Problem:
    """A small ensemble that the stage does not refuse."""
    small = Convection(grid=(17, 9), test_grid=(17, 9))
    makers: tuple[Callable[[], Problem], ...] = (
        lambda: PINN(small, MLP(hidden=(6,)), COEFFICIENTS, 20, dtype=torch.float64),
        lambda: NeuralODE(Pendulum(), _ode_network(), COEFFICIENTS, [8, 10, 12, 14, 16], dtype=torch.float64),
    )
    for make in makers:
        problem = make()
        try:
            stage.check(problem)
        except AttributeError:
            return problem
        except UserError as error:
            refusal = error
        else:
            return problem
    raise AssertionError(f"{name} refuses a PINN and a neural ODE ({refusal}); give check_stage(..., problem=) one that fits")


def _ode_network() -> MLP:
    return MLP(hidden=(6,), n_inputs=2, n_outputs=2, initial="linear")


def _check_contract(stage: Stage, trial: _Trial) -> None:
    """Numbers for the planner, words for a reader, and a state with one row a member."""
    for name in ("expected_evaluations", "bytes_per_member"):
        with _told(trial.name, f"in {name}"):
            value = getattr(stage, name)(trial.problem)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise AssertionError(f"{trial.name}.{name}(problem) gives {value!r}; return a whole number above 0")
    if trial.evaluations > MOST_EVALUATIONS:
        raise AssertionError(
            f"{trial.name} expects {trial.evaluations:,} evaluations of each member; check one with a budget of about 30, "
            "since rounding grows with every step"
        )
    words = getattr(stage, "words", trial.name)
    if not isinstance(words, str) or not words.strip():
        raise AssertionError(f"{trial.name}.words={words!r}; let it be a property that says what it does, as text")
    members = trial.seeds
    with _told(trial.name, "in init"):
        state = trial.begin(stage, members)
    _check_rows(state, len(members), f"{trial.name}.init")
    with _told(trial.name, "in the first step"):
        state = stage.step(trial.problem, state)
    _check_rows(state, len(members), f"{trial.name}.step")
    if not (state.total_evaluations > 0).all():
        raise AssertionError(f"{trial.name}.step counts no evaluation; add 1 to state.evaluations where the status is RUNNING")


def _check_rows(state: object, m: int, where: str) -> None:
    if not isinstance(state, EnsembleState):
        raise AssertionError(
            f"{where} returns a {type(state).__name__}; return an EnsembleState, or a dataclass of yours derived from it"
        )
    for name, value in state.tensors().items():
        if not isinstance(value, Tensor) or value.dim() == 0 or len(value) != m:
            shape = list(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise AssertionError(f"{where}: state.{name} is {shape} for {m} members; let it have one row a member")


# --- what it does ----------------------------------------------------------------------------------------------


def _check_memory(trial: _Trial, reference: _Trained) -> None:
    """The same start gives the same end, with or without a stop in between."""
    again = trial.train()
    _compare(reference.results, again.results, 0.0, f"{trial.name} ends elsewhere when it trains a second time", _NO_MEMORY)
    for width in (None, len(trial.problem) - 2):
        whole = reference if width is None else trial.train(width=width)
        for steps in sorted({1, max(1, whole.steps // 2)}):
            said = f"{trial.name} ends elsewhere when it is stopped after {steps} steps and goes on"
            _compare(whole.results, _stopped(trial, steps, whole.steps, width), 0.0, said, _NO_MEMORY)


def _stopped(trial: _Trial, steps: int, in_all: int, width: int | None) -> dict[int, MemberResult]:
    """The results of a training that was stopped after some steps and went on from its checkpoint in another process."""
    ticks = itertools.count()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        options = {"checkpoint": Path(folder, "checkpoint.pt"), "checkpoint_seconds": 1e9, "width": width}
        first = trial.train(deadline=steps, clock=lambda: next(ticks), **options)
        # Whatever is remembered outside the state would now be that of another training.
        trial.train(seeds=[seed + 1_000 for seed in trial.seeds])
        rest = trial.train(**options)
    lost = [str(warning.message) for warning in said if "start again" in str(warning.message)]
    if lost or first.steps + rest.steps != in_all:
        raise AssertionError(
            f"{trial.name} cannot go on from its checkpoint ({''.join(lost) or 'it took other steps'}); let all its fields "
            "have a plain repr, and its state hold tensors alone"
        )
    return first.results | rest.results


def _check_ended_members_stay(stage: Stage, trial: _Trial) -> None:
    """A member that has ended is left alone."""
    with _told(trial.name, "in a step beside a member that has ended"):
        state = stage.step(trial.problem, trial.begin(stage, trial.seeds))
        state.status[FAILING] = int(Status.DIVERGED)
        before = {name: getattr(state, name)[FAILING].clone() for name in ("params", "iterations", "evaluations", "status")}
        for _ in range(2):
            state = stage.step(trial.problem, state)
    for name, value in before.items():
        if not torch.equal(getattr(state, name)[FAILING], value):
            raise AssertionError(
                f"{trial.name}.step changes {name} of a member that has ended; change only rows with state.status == "
                "Status.RUNNING"
            )


def _check_late_members(stage: Stage, trial: _Trial) -> None:
    """Members of different age train side by side: the later ones are at their first step when others are at their fourth."""
    m = len(trial.problem)
    early, late = list(range(m // 2)), list(range(m // 2, m))
    with _told(trial.name, "among members that entered at different times"):
        alone = _to_the_end(stage, trial, trial.problem.select(late), trial.begin(stage, late))
        state = trial.begin(stage, early)
        for _ in range(3):
            state = stage.step(trial.problem.select(early), state)
        ours, new = state.tensors(), trial.begin(stage, late).tensors()
        state = state.replaced({name: torch.cat([ours[name], new[name]]) for name in ours})
        state = _to_the_end(stage, trial, trial.problem.select([*early, *late]), state)
    for row, member in enumerate(late):
        one, other = alone.params[row], state.params[len(early) + row]
        counts = (alone.total_iterations[row], state.total_iterations[len(early) + row])
        if not _close(one, other, trial.tolerance) or counts[0] != counts[1]:
            raise AssertionError(
                f"{trial.name} trains member {member} otherwise when it enters later than others: it seems to use the count or "
                f"the numbers of one member for all; {_OWN_ROW}"
            )


def _to_the_end(stage: Stage, trial: _Trial, problem: Problem, state: EnsembleState) -> EnsembleState:
    """Steps until every member has ended."""
    for _ in range(10 * (trial.evaluations + 10)):
        if not (state.status == Status.RUNNING).any():
            break
        state = stage.step(problem, state)
    return state


def _check_alone(trial: _Trial, reference: _Trained) -> None:
    """A member ends where it ends alone."""
    for m in trial.seeds:
        alone = trial.train(trial.problem.select([m]), [m]).results
        said = f"{trial.name} brings member {m} elsewhere alone than among others"
        _compare({0: reference.results[m]}, alone, trial.tolerance, said, _OWN_ROW)


def _check_few_slots(trial: _Trial, reference: _Trained) -> None:
    """Two slots that are filled again and again give what as many slots as members give."""
    few = trial.train(width=2).results
    said = f"{trial.name} ends elsewhere when members take turns in two slots"
    _compare(reference.results, few, trial.tolerance, said, _OWN_ROW)


def _check_nan(stage: Stage, trial: _Trial) -> None:
    """A member whose loss turns NaN gives up, or at least stays where its loss was finite."""
    problem = _failing(trial.problem)
    with _told(trial.name, "when the loss of a member turned NaN"):
        state = stage.init(problem, problem.init(trial.seeds), trial.seeds)
        state = _to_the_end(stage, trial, problem, state)
    status = Status(int(state.status[FAILING]))
    if status not in GIVEN_UP and not torch.isfinite(state.params[FAILING]).all():
        raise AssertionError(
            f"{trial.name} ends a member whose loss turned NaN as {status.label}, at parameters that are NaN; set "
            "Status.DIVERGED where loss or gradient is not finite, and leave the member there"
        )


def _check_neighbours_of_nan(trial: _Trial, reference: _Trained) -> None:
    """The others end where they would."""
    found = trial.train(_failing(trial.problem)).results
    said = f"{trial.name} ends elsewhere when the loss of another member turns NaN"
    expected = {m: result for m, result in reference.results.items() if m != FAILING}
    _compare(expected, found, trial.tolerance, said, _OWN_ROW)


# --- tools -----------------------------------------------------------------------------------------------------


class _TurnsNaN:
    """Mixed into a problem: the loss of one member is NaN from some evaluation on, whatever its parameters are.

    Attributes:
        fails: which rows fail, ``[M]`` (CPU).
        left: evaluations that are left before it does, one number that all views of the problem share.
    """

    fails: Tensor
    left: list[int]

    def _take(self, rows: Tensor | slice) -> Any:
        other = super()._take(rows)
        vars(other)["fails"] = self.fails[rows]
        return other

    def value_and_grad(self, params: Tensor) -> tuple[Tensor, Tensor]:
        """Loss ``[M]`` and gradient ``[M, P]``."""
        return self.spoil(*super().value_and_grad(params))

    def value(self, params: Tensor) -> Tensor:
        """Loss ``[M]``."""
        return self.spoil(super().value(params))[0]

    def linearised(self, params: Tensor) -> tuple[Tensor, Tensor, Any]:
        """Loss, gradient, and the product with the Hessian."""
        loss, grad, product = super().linearised(params)
        return (*self.spoil(loss, grad), product)

    def minibatch(self, *arguments: Any) -> _Spoiled:
        """The loss on one batch of each member."""
        return _Spoiled(super().minibatch(*arguments), self)

    def spoil(self, *values: Tensor) -> list[Tensor]:
        """Counts an evaluation, and puts NaN where the loss has turned NaN."""
        self.left[0] -= bool(self.fails.any())
        return [self._spoiled(value) for value in values]

    def _spoiled(self, value: Tensor) -> Tensor:
        fails = self.fails.to(value.device).reshape(-1, *[1] * (value.dim() - 1))
        return torch.where(fails, torch.nan, value) if self.left[0] < 0 else value


@dataclasses.dataclass(frozen=True)
class _Spoiled:
    """A batch of such a problem."""

    inner: Any
    problem: _TurnsNaN

    def value_and_grad(self, params: Tensor) -> list[Tensor]:
        """Loss ``[M]`` and gradient ``[M, P]``."""
        return self.problem.spoil(*self.inner.value_and_grad(params))


def _failing(problem: Problem) -> Any:
    """The same problem, with the loss of one member NaN after two evaluations."""
    other = object.__new__(type("Failing", (_TurnsNaN, type(problem)), {}))
    vars(other).update(vars(problem), fails=torch.arange(len(problem)) == FAILING, left=[2])
    return other


def _compare(
    expected: Mapping[int, MemberResult], found: Mapping[int, MemberResult], tolerance: float, said: str, advice: str
) -> None:
    """Fails with a sentence unless two trainings ended alike."""
    for m, one in expected.items():
        other = found.get(m)
        if other is None:
            raise AssertionError(f"{said} (member {m} does not end at all); {advice}")
        for name in ("status", "iterations", "evaluations"):
            if getattr(one, name) != getattr(other, name):
                raise AssertionError(f"{said} ({name} {getattr(other, name)} and not {getattr(one, name)}); {advice}")
        if not _close(one.params, other.params, tolerance):
            distance = (one.params - other.params).abs().max()
            raise AssertionError(f"{said} (parameters differ by {distance:.1e}); {advice}")


def _close(one: Tensor, other: Tensor, tolerance: float) -> bool:
    size = max(1.0, float(one.abs().nan_to_num().max()))
    return torch.allclose(one, other, rtol=0.0, atol=tolerance * size, equal_nan=True)


def _differences(now: Mapping[str, Any], before: Mapping[str, Any], besides: set[str]) -> list[str]:
    """Names of attributes that are new, or that print otherwise."""
    return sorted(name for name in {*now} - besides if name not in before or repr(now[name]) != repr(before[name]))


def _cached(kind: type) -> set[str]:
    """The cached properties of a class, which follow from its fields."""
    return {name for base in kind.__mro__ for name, value in vars(base).items() if isinstance(value, cached_property)}


@contextmanager
def _told(name: str, when: str) -> Iterator[None]:
    """Puts whatever somebody's code raises into a sentence; the traceback stays with it."""
    try:
        yield
    except (AssertionError, TimeLimitReached):  # neither is a fault of that code
        raise
    except Exception as error:
        raise AssertionError(f"{name} raised {type(error).__name__} {when}: {error}") from error
