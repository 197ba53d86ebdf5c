"""What a sweep is: one map of the paper, written down as data."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Any, NamedTuple

from sciml_lib import systems
from sciml_lib.errors import UserError, unknown
from sciml_lib.problems import Problem
from sciml_lib.strategies import Strategy, train
from sciml_lib.sweeps.setups import PINNSetup, Setup


class Cell(NamedTuple):
    """Coordinates of one training run."""

    coefficient: float
    n_data: int
    seed: int


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
        id: readable name, ``<family>/<system>/<variant>``.
        title: what it is, in a few words.
        system: name of the equation in :mod:`sciml_lib.systems`.
        strategy: the recipe of every run.
        seeds: seeds of the initial parameters.
        reading: one sentence: whose word is followed where the paper and its released code differ.
        coefficients: values of the equation's coefficient.
        n_data: amounts of data: residual points, or observed states.
        pairs: the (coefficient, n_data) to train, where they are no full grid; then the two above follow from it.
        setup: the family of models, with its own numbers.
        profiles: what each profile reduces, by name; the name of another profile where the two are the same runs.

    Raises:
        UserError: if a number is impossible; it says which numbers are possible.
    """

    id: str
    title: str
    system: str
    strategy: Strategy
    seeds: tuple[int, ...]
    reading: str
    coefficients: tuple[float, ...] = ()
    n_data: tuple[int, ...] = ()
    pairs: tuple[tuple[float, int], ...] | None = None
    setup: Setup = field(default_factory=PINNSetup)
    profiles: dict[str, Reduction | str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Checks every number, also those of the profiles."""
        if self.pairs is not None:
            if not self.pairs:
                raise UserError("pairs is empty; list at least one (coefficient, n_data), such as (5.0, 100)")
            object.__setattr__(self, "coefficients", tuple(sorted({float(c) for c, _ in self.pairs})))
            object.__setattr__(self, "n_data", tuple(sorted({n for _, n in self.pairs})))
        else:
            object.__setattr__(self, "coefficients", tuple(float(c) for c in self.coefficients))
        _check_numbers(self)
        for name in self.profiles:
            self.at(name)

    def at(self, profile: str) -> Plan:
        """The sweep as one profile trains it; a profile that is another by name gives that one.

        Raises:
            UserError: if there is no such profile, or if it asks for what is not part of the sweep.
        """
        if profile not in self.profiles:
            raise unknown("profile", profile, self.profiles)
        cut = self.profiles[profile]
        if isinstance(cut, str):
            return self.at(cut)
        coefficients = _part("coefficients", cut.coefficients, self.coefficients)
        n_data = _part("n_data", cut.n_data, self.n_data)
        pairs = _part("pairs", cut.pairs, self.pairs or [(c, n) for n in self.n_data for c in self.coefficients])
        pairs = [(float(c), n) for c, n in pairs if c in coefficients and n in n_data]
        return Plan(
            sweep=self,
            profile=profile,
            pairs=tuple(sorted(pairs, key=lambda pair: (pair[1], pair[0]))),
            seeds=self.seeds[: first_seeds(cut.n_seeds, len(self.seeds))],
            strategy=cut.strategy or self.strategy,
            keep_seeds=cut.keep_seeds,
        )


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
        """Everything that a run's numbers depend on beside its own coordinates, as plain data."""
        return {
            "system": self.sweep.system,
            "strategy": [_plain(stage) for stage in self.strategy.stages],
            "dtype": "float32",
            **self.sweep.setup.recipe,
        }

    @cached_property
    def hash(self) -> str:
        """Fingerprint of :attr:`recipe`: rows of two stores may be mixed if and only if it is the same.

        The grids are no part of it: to add a seed to a sweep does not change the runs that are stored.
        """
        return sha256(json.dumps(self.recipe, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    @property
    def modules(self) -> tuple[str, ...]:
        """Names of the modules whose code its runs go through; what these import follows from them."""
        parts = [systems.get(self.sweep.system), *self.strategy.stages]
        parts += [phase.stage for phase in self.strategy.phases]
        return tuple(sorted({type(part).__module__ for part in parts} | {*self.sweep.setup.modules, train.__module__}))

    @property
    def specification(self) -> dict[str, Any]:
        """All of it as plain data, for the manifest."""
        return {
            **self.recipe,
            "coefficient_name": systems.get(self.sweep.system).coefficient_name,
            "coefficients": list(self.coefficients),
            "n_data": list(self.n_data),
            "pairs": None if self.sweep.pairs is None else [list(pair) for pair in self.pairs],
            "seeds": list(self.seeds),
            "reading": self.sweep.reading,
            "why": self.why,
        }

    @property
    def command(self) -> str:
        """What to type to train it, or to go on with it."""
        return f"python -m sciml_lib run {self.sweep.id} --profile {self.profile}"

    @property
    def why(self) -> str:
        """What the profile is for, in one sentence."""
        return self.sweep.profiles[self.profile].why

    def problem(self, cells: Sequence[Cell], device: Any = "cpu") -> Problem:
        """The ensemble of some of its runs."""
        coefficients, n_data = [cell.coefficient for cell in cells], [cell.n_data for cell in cells]
        return self.sweep.setup.problem(systems.get(self.sweep.system), coefficients, n_data, device)

    def ensembles(self, cells: Sequence[Cell]) -> list[tuple[Cell, ...]]:
        """Which of some runs train together: all, or those with equally much data, the cheap amounts first."""
        if self.sweep.setup.together:
            return [tuple(cells)] if cells else []
        amounts = sorted({cell.n_data for cell in cells})
        return [tuple(cell for cell in cells if cell.n_data == n) for n in amounts]


def _plain(stage: Any) -> dict[str, Any]:
    """A stage as plain data; options that are not used are left out."""
    entries = {name: value for name, value in dataclasses.asdict(stage).items() if value is not None}
    return {"kind": type(stage).__name__, **entries}


def first_seeds(n: int | None, planned: int) -> int:
    """Checks a number of seeds against those there are; None means all.

    Raises:
        UserError: if it is not between 1 and ``planned``.
    """
    if n is None:
        return planned
    if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= planned:
        raise UserError(f"seeds={n} is impossible: {planned} seeds are planned; choose between 1 and {planned}")
    return n


def _check_numbers(sweep: Sweep) -> None:
    """Refuses grids and seeds that cannot be trained."""
    system = systems.get(sweep.system)
    _filled("coefficients", sweep.coefficients, "(5.0, 10.0)")
    _filled("n_data", sweep.n_data, "(100, 1000)")
    _filled("seeds", sweep.seeds, "(0, 1, 2)")
    if sweep.pairs is not None:
        _filled("pairs", sweep.pairs, "((5.0, 100),)")
    for coefficient in sweep.coefficients:
        if not math.isfinite(coefficient):
            raise UserError(f"{system.coefficient_name}={coefficient} is not finite; choose a number")
        system.check_coefficient(coefficient)
    for n in sweep.n_data:
        if isinstance(n, bool) or not isinstance(n, int):
            raise UserError(f"n_data={n} is not a whole number; choose one such as 100")
        system.check_n_data(n)
    for name, seed in [("data_seed", sweep.setup.data_seed), *(("seeds", seed) for seed in sweep.seeds)]:
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
            raise UserError(f"{name}: {seed} is no seed; choose whole numbers from 0 to {2**32 - 1}")


def _filled(name: str, values: Sequence[Any], example: str) -> None:
    if not values:
        raise UserError(f"{name} is empty; give at least one, such as {name}={example}")
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        raise UserError(f"{name} lists {twice[0]} twice; list every value once")


def _part(name: str, chosen: Iterable[Any] | None, whole: Sequence[Any]) -> Sequence[Any]:
    """The chosen part of a list, all of it if None."""
    if chosen is None:
        return whole
    for value in chosen:
        if value not in whole:
            raise UserError(f"{name}: {value} is not in the sweep, which has {', '.join(map(str, whole))}")
    return tuple(chosen)
