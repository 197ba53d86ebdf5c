"""What a sweep is: one map of the paper, written down as data."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Any, NamedTuple

from sciml_lib import checks, systems
from sciml_lib.errors import UserError, unknown
from sciml_lib.problems import Problem
from sciml_lib.strategies import Strategy, train
from sciml_lib.sweeps.setups import PINNSetup, Setup
from sciml_lib.systems import System

LARGEST = 3.4e38
"""Largest coefficient: beyond it single precision has no number."""

_PART = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_ID, _PROFILE = re.compile(rf"{_PART}/{_PART}/{_PART}"), re.compile(_PART)


class Cell(NamedTuple):
    """Coordinates of one training run."""

    coefficient: float
    n_data: int
    seed: int


def written(coefficient: float) -> str:
    """A coefficient as it is typed and as it names things: ``5``, ``0.1``."""
    return repr(float(coefficient)).removesuffix(".0")


@dataclass(frozen=True)
class Reduction:
    """What a profile leaves out of the sweep's own numbers; None leaves them as they are.

    Attributes:
        why: one sentence: what it is for.
        coefficients: a part of the sweep's coefficients.
        n_data: a part of its amounts of data.
        pairs: a part of its pairs, for a sweep that lists them.
        n_seeds: only the first so many seeds.
        strategy: the recipe with other budgets.
        keep_seeds: the final parameters of the first so many seeds are stored; all by default.
    """

    why: str
    coefficients: tuple[float, ...] | None = None
    n_data: tuple[int, ...] | None = None
    pairs: tuple[tuple[float, int], ...] | None = None
    n_seeds: int | None = None
    strategy: Strategy | None = None
    keep_seeds: int | None = None


@dataclass(frozen=True)
class Sweep:
    """Many training runs that differ in a coefficient, an amount of data and a seed.

    Attributes:
        id: readable name, ``<family>/<system>/<variant>``; letters, digits, ``.``, ``_`` and ``-``.
        title: what it is, in a few words.
        system: the equation: one of :mod:`sciml_lib.systems`, by name or made with constants of your own, or your own
            subclass of :class:`~sciml_lib.systems.SpaceTimeSystem` or :class:`~sciml_lib.systems.Dynamics`.
        strategy: the recipe of every run.
        seeds: seeds of the initial parameters.
        reading: one sentence: whose word is followed where the paper and its released code differ.
        coefficients: values of the equation's coefficient.
        n_data: amounts of data: residual points, or observed states.
        pairs: the (coefficient, n_data) to train, where they are no full grid; then the two above follow from it.
        setup: the family of models, with its own numbers.
        profiles: what each profile reduces, by name; the name of another profile where the two are the same runs. By
            default there is one, ``laptop``, with everything.

    Raises:
        UserError: if a number is impossible; it says which numbers are possible.
    """

    id: str
    title: str
    system: System
    strategy: Strategy
    seeds: tuple[int, ...]
    reading: str = ""
    coefficients: tuple[float, ...] = ()
    n_data: tuple[int, ...] = ()
    pairs: tuple[tuple[float, int], ...] | None = None
    setup: Setup = field(default_factory=PINNSetup)
    profiles: dict[str, Reduction | str] = field(default_factory=lambda: {"laptop": Reduction("The whole sweep.")})

    def __post_init__(self) -> None:
        """Checks every name and number, also those of the profiles."""
        _check_names(self)
        if isinstance(self.system, str):
            object.__setattr__(self, "system", systems.get(self.system))
        if not isinstance(self.system, System):
            raise UserError(
                f"system={self.system!r} is not an equation; give the name of one, or an object such as Convection()"
            )
        _check_strategy(self.strategy)
        if isinstance(self.setup, type) or not callable(getattr(self.setup, "problem", None)):
            raise UserError(
                f"setup={self.setup!r} is not a family of models; give an object such as PINNSetup(hidden=(50, 50))"
            )
        if self.pairs is not None:
            pairs = tuple(_pair(pair) for pair in _listed("pairs", self.pairs))
            if not pairs:
                raise UserError("pairs is empty; list at least one (coefficient, n_data), such as (5.0, 100)")
            object.__setattr__(self, "pairs", pairs)
            object.__setattr__(self, "coefficients", tuple(sorted({c for c, _ in pairs})))
            object.__setattr__(self, "n_data", tuple(sorted({n for _, n in pairs})))
        else:
            coefficients, n_data = _listed("coefficients", self.coefficients), _listed("n_data", self.n_data)
            object.__setattr__(self, "coefficients", tuple(_real("coefficients", c) for c in coefficients))
            object.__setattr__(self, "n_data", tuple(checks.whole("n_data", n) for n in n_data))
        object.__setattr__(self, "seeds", tuple(checks.seed("seeds", seed) for seed in _listed("seeds", self.seeds)))
        _check_numbers(self)
        for name in self.profiles:
            self.at(name)

    def at(self, profile: str) -> Plan:
        """The sweep as one profile trains it; a profile that is another by name gives that one.

        Raises:
            UserError: if there is no such profile, or if it asks for what is not part of the sweep.
        """
        seen = []
        while isinstance(cut := self._reduction(profile), str):
            seen.append(profile)
            if cut in seen:
                raise UserError(f"the profiles {' and '.join(seen)} of {self.id} refer to each other; give one of them numbers")
            profile = cut
        coefficients = _part("coefficients", cut.coefficients, self.coefficients)
        n_data = _part("n_data", cut.n_data, self.n_data)
        pairs = _part("pairs", cut.pairs, self.pairs or [(c, n) for n in self.n_data for c in self.coefficients])
        pairs = [(float(c), n) for c, n in pairs if c in coefficients and n in n_data]
        if not pairs:
            raise UserError(
                f"the profile {profile} of {self.id} leaves no run; let it keep some coefficients and amounts of data"
            )
        _check_strategy(cut.strategy or self.strategy)
        if cut.keep_seeds is not None and checks.whole("keep_seeds", cut.keep_seeds) < 0:
            raise UserError(f"keep_seeds={cut.keep_seeds} is impossible; choose a whole number from 0 on")
        return Plan(
            sweep=self,
            profile=profile,
            pairs=tuple(sorted(pairs, key=lambda pair: (pair[1], pair[0]))),
            seeds=self.seeds[: first_seeds(cut.n_seeds, len(self.seeds))],
            strategy=cut.strategy or self.strategy,
            keep_seeds=cut.keep_seeds,
        )

    @property
    def n_runs(self) -> int:
        """How many runs the sweep has in all, before any profile reduces it."""
        return (len(self.pairs) if self.pairs else len(self.coefficients) * len(self.n_data)) * len(self.seeds)

    def _reduction(self, profile: str) -> Reduction | str:
        if not isinstance(profile, str) or profile not in self.profiles:
            raise unknown("profile", profile, self.profiles)
        return self.profiles[profile]


@dataclass(frozen=True)
class Plan:
    """A sweep in one profile: exactly the runs to train.

    Attributes:
        sweep: the sweep.
        profile: name of the profile.
        pairs: the (coefficient, n_data) to train, ordered by n_data.
        seeds: seeds of each pair.
        strategy: the recipe of every run.
        keep_seeds: the final parameters of the first so many seeds are stored; all if None.
    """

    sweep: Sweep
    profile: str
    pairs: tuple[tuple[float, int], ...]
    seeds: tuple[int, ...]
    strategy: Strategy
    keep_seeds: int | None = None

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """All runs: by n_data, then by coefficient, then by seed."""
        return tuple(Cell(c, n, seed) for c, n in self.pairs for seed in self.seeds)

    @property
    def coefficients(self) -> tuple[float, ...]:
        """The coefficients that occur, ascending."""
        return tuple(sorted({c for c, _ in self.pairs}))

    @property
    def n_data(self) -> tuple[int, ...]:
        """The amounts of data that occur, ascending."""
        return tuple(sorted({n for _, n in self.pairs}))

    @property
    def kept_seeds(self) -> tuple[int, ...]:
        """Seeds whose final parameters are stored."""
        return self.seeds if self.keep_seeds is None else self.seeds[: self.keep_seeds]

    @property
    def recipe(self) -> dict[str, Any]:
        """Everything that a run's numbers are meant to depend on beside its own coordinates, as plain data.

        In their last digits they also depend on the processor and, where a library multiplies the matrices of several
        members at a time, on which members were trained together (1e-7 relative in an evaluation in float32, which long
        training amplifies). The manifest tells the first, and a stopped ensemble goes on with the same members.
        """
        return {
            "system": self.sweep.system.recipe,
            "strategy": [_plain(stage) for stage in self.strategy.stages],
            **self.sweep.setup.recipe,
        }

    @cached_property
    def hash(self) -> str:
        """Fingerprint of :attr:`recipe`: rows of two stores are runs of one kind if and only if it is the same.

        The grids are no part of it: to add a seed to a sweep does not change the runs that are stored.
        """
        return sha256(json.dumps(self.recipe, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    @property
    def code(self) -> tuple[type | str, ...]:
        """The classes and modules whose code its runs go through; what these import follows from them."""
        parts = [self.sweep.system, self.sweep.setup, *self.strategy.stages, *(p.stage for p in self.strategy.phases)]
        found = {cls for part in parts for one in _nested(part) for cls in type(one).__mro__ if cls is not object}
        return (
            *sorted(found, key=lambda cls: f"{cls.__module__}.{cls.__qualname__}"),
            *self.sweep.setup.modules,
            train.__module__,
        )

    @property
    def specification(self) -> dict[str, Any]:
        """All of it as plain data, for the manifest."""
        return {
            **self.recipe,
            "coefficient_name": self.sweep.system.coefficient_name,
            "coefficients": list(self.coefficients),
            "n_data": list(self.n_data),
            "pairs": None if self.sweep.pairs is None else [list(pair) for pair in self.pairs],
            "seeds": list(self.seeds),
            "reading": self.sweep.reading,
            "why": self.why,
        }

    @cached_property
    def smallest(self) -> Problem:
        """The problem of one run with the least data, for questions that any run answers."""
        return self.problem(self.cells[:1])

    @property
    def n_params(self) -> int:
        """P, the number of parameters of a run's network."""
        return self.smallest.n_params

    def cost(self, cell: Cell) -> float:
        """What a run costs beside others of the plan, in points."""
        return self.sweep.setup.cost(cell.n_data)

    @property
    def why(self) -> str:
        """What the profile is for, in one sentence."""
        return self.sweep.profiles[self.profile].why

    def problem(self, cells: Sequence[Cell], device: Any = "cpu") -> Problem:
        """The ensemble of some of its runs."""
        coefficients, n_data = [cell.coefficient for cell in cells], [cell.n_data for cell in cells]
        return self.sweep.setup.problem(self.sweep.system, coefficients, n_data, device)

    def ensembles(self, cells: Sequence[Cell]) -> list[tuple[Cell, ...]]:
        """Which of some runs train together: all, or those with equally much data, the cheap amounts first."""
        if self.sweep.setup.together:
            return [tuple(cells)] if cells else []
        amounts = sorted({cell.n_data for cell in cells})
        return [tuple(cell for cell in cells if cell.n_data == n) for n in amounts]


def _plain(value: Any) -> Any:
    """A stage, or what a field of one holds, as plain data; every dataclass names its kind, options not used are left out."""
    if dataclasses.is_dataclass(value):
        held = {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
        return {"kind": type(value).__name__, **{name: _plain(one) for name, one in held.items() if one is not None}}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def _nested(part: Any) -> Iterator[Any]:
    """An object and all dataclasses that its fields hold, such as the solver of a curriculum."""
    yield part
    if dataclasses.is_dataclass(part):
        for one in dataclasses.fields(part):
            value = getattr(part, one.name)
            if dataclasses.is_dataclass(value) and not isinstance(value, type):
                yield from _nested(value)


def first_seeds(n: int | None, planned: int) -> int:
    """Checks a number of seeds against those there are; None means all.

    Raises:
        UserError: if it is not between 1 and ``planned``.
    """
    if n is None:
        return planned
    n = checks.whole("seeds", n)
    if not 1 <= n <= planned:
        raise UserError(f"seeds={n} is impossible: {planned} seeds are planned; choose between 1 and {planned}")
    return n


def _listed(name: str, values: Any) -> tuple[Any, ...]:
    """Several values in whatever order they were given, a text excepted."""
    if not isinstance(values, Iterable) or isinstance(values, str | bytes):
        raise UserError(f"{name}={values!r} is not a list; write it like {name}=({values!r},)")
    return tuple(values)


def _pair(pair: Any) -> tuple[float, int]:
    """A coefficient and an amount of data."""
    if not isinstance(pair, Sequence) or isinstance(pair, str) or len(pair) != 2:
        raise UserError(f"pairs lists {pair!r}, which is no (coefficient, n_data); write it like (5.0, 100)")
    return _real("coefficients", pair[0]), checks.whole("n_data", pair[1])


def _real(name: str, value: Any) -> float:
    """A number of any kind, NumPy's and PyTorch's too, as ``float``."""
    try:
        if not isinstance(value, str | bytes | bool):
            return float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        pass
    raise UserError(f"{name} lists {value!r}, which is not a number; choose one such as 5.0")


def _check_names(sweep: Sweep) -> None:
    """Refuses names that could not be those of folders."""
    if not isinstance(sweep.id, str) or not _ID.fullmatch(sweep.id):
        raise UserError(
            f"id={sweep.id!r} is not the id of a sweep; write it as family/system/variant, such as pinn/burgers/lbfgs"
        )
    if not isinstance(sweep.profiles, dict):
        raise UserError(f"profiles={sweep.profiles!r} is not a dictionary; write it like {{'laptop': Reduction('All of it.')}}")
    if not sweep.profiles:
        raise UserError("profiles is empty; leave it out, or give at least one, such as {'laptop': Reduction('All of it.')}")
    for name, cut in sweep.profiles.items():
        if not isinstance(name, str) or not _PROFILE.fullmatch(name):
            raise UserError(f"{name!r} is not the name of a profile; use letters, digits, '.', '_' and '-'")
        if not isinstance(cut, Reduction | str):
            raise UserError(f"the profile {name} is {cut!r}; give a Reduction('why'), or the name of another profile")


def _check_strategy(strategy: Any) -> None:
    """Refuses what is no recipe of stages that have numbers."""
    if not isinstance(strategy, Strategy):
        raise UserError(f"strategy={strategy!r} is not a strategy; write it like Strategy((Adam(), LBFGS()))")
    for stage in strategy.stages:
        if isinstance(stage, type) or not dataclasses.is_dataclass(stage):
            raise UserError(f"the stage {stage!r} of the strategy is not an optimiser; give an object such as Adam(steps=2000)")


def _check_numbers(sweep: Sweep) -> None:
    """Refuses grids and seeds that cannot be trained."""
    system = sweep.system
    _filled("coefficients", sweep.coefficients, "(5.0, 10.0)")
    _filled("n_data", sweep.n_data, "(100, 1000)")
    _filled("seeds", sweep.seeds, "(0, 1, 2)")
    if sweep.pairs is not None:
        _filled("pairs", sweep.pairs, "((5.0, 100),)")
    for coefficient in sweep.coefficients:
        if not abs(coefficient) <= LARGEST:
            raise UserError(f"{system.coefficient_name}={coefficient} is not finite in single precision; choose a number")
        system.check_coefficient(coefficient)
    for n in sweep.n_data:
        system.check_n_data(n)
    checks.seed("data_seed", sweep.setup.data_seed)


def _filled(name: str, values: Sequence[Any], example: str) -> None:
    if not values:
        raise UserError(f"{name} is empty; give at least one, such as {name}={example}")
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        raise UserError(f"{name} lists {twice[0]} twice; list every value once")


def _part(name: str, chosen: Any, whole: Sequence[Any]) -> Sequence[Any]:
    """The chosen part of a list, all of it if None."""
    if chosen is None:
        return whole
    chosen = _listed(name, chosen)
    for value in chosen:
        if value not in whole:
            raise UserError(f"{name}: {value} is not in the sweep, which has {', '.join(map(str, whole))}")
    return chosen
