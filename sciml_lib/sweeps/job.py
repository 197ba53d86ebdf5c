"""A plan bound to a machine and a folder: what every command and every function works on."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Real
from pathlib import Path
from typing import Any

import torch

from sciml_lib import checks
from sciml_lib.errors import UserError
from sciml_lib.sweeps import catalog, devices, places, plugins
from sciml_lib.sweeps.spec import Cell, Plan, Sweep, first_seeds, written


@dataclass(frozen=True)
class Job:
    """What is to be trained or read, where it is stored, and what trains.

    Attributes:
        plan: the sweep and profile.
        runs: the folder of all stores as it was given; None for the default.
        device: the device as it was given: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        seeds: only the first so many seeds; all if None.
        n_data: only these amounts of data; all if None.
        time_limit: seconds after which to stop; none if None.
        coefficients: only these coefficients; all if None.
        seed_numbers: only these seeds by their numbers; all if None.
    """

    plan: Plan
    runs: str | os.PathLike[str] | None = None
    device: str = "auto"
    seeds: int | None = None
    n_data: tuple[int, ...] | None = None
    time_limit: float | None = None
    coefficients: tuple[float, ...] | None = None
    seed_numbers: tuple[int, ...] | None = None

    @classmethod
    def of(
        cls,
        sweep: Sweep | str,
        profile: str = "laptop",
        *,
        runs: str | os.PathLike[str] | None = None,
        device: str | torch.device = "auto",
        seeds: int | None = None,
        n_data: Sequence[int] | None = None,
        time_limit: float | None = None,
        coefficients: Sequence[float] | None = None,
        seed_numbers: Sequence[int] | None = None,
    ) -> Job:
        """Checks every argument and binds them.

        Args:
            sweep: a sweep, or the id of one such as ``pinn/convection/lbfgs``.
            profile: ``smoke``, ``laptop`` or ``paper``, or one of the sweep's own.
            runs: the folder of all stores; by default see :func:`~sciml_lib.sweeps.places.runs_folder`.
            device: ``auto`` (the GPU if there is one), ``cpu``, ``cuda`` or ``cuda:1``.
            seeds: only the first so many seeds of the plan; all by default.
            n_data: only these amounts of data of the plan; all by default.
            time_limit: seconds after which to stop.
            coefficients: only these coefficients of the plan; all by default.
            seed_numbers: only these seeds of the plan, by their numbers; all by default.

        Raises:
            UserError: if one is impossible; it says what is possible.
        """
        plan = catalog.get(sweep).at(profile)
        first_seeds(seeds, len(plan.seeds))
        if seeds is not None and seed_numbers is not None:
            raise UserError(
                f"--seeds {seeds} takes the first seeds and --seed names single ones; give one of the two (in Python seeds or "
                "seed_numbers)"
            )
        job = cls(
            plan,
            runs,
            str(device),
            seeds,
            chosen_of("n_data", n_data, plan.n_data, plan, checks.whole),
            checked_limit(time_limit),
            chosen_of("coefficients", coefficients, plan.coefficients, plan, checks.real),
            chosen_of("seed_numbers", seed_numbers, plan.seeds, plan, checks.seed),
        )
        if not job.cells:
            pairs = ", ".join(f"{c:g} with {n}" for c, n in plan.pairs)
            raise UserError(
                f"no run of {plan.sweep.id}, {plan.profile}, has that coefficient with that n_data; choose among {pairs}"
            )
        _ = job.target
        return job

    @cached_property
    def target(self) -> torch.device:
        """The device.

        Raises:
            UserError: if it is not there.
        """
        return devices.resolve(self.device)

    @property
    def label(self) -> str:
        """The name under which rows record the device."""
        return devices.label(self.target)

    @property
    def folder(self) -> Path:
        """The folder of the store.

        Raises:
            UserError: if :attr:`runs` cannot be the name of a folder.
        """
        return places.folder_of(self.plan, self.runs)

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """The runs that are wanted."""
        plan = self.plan
        first = plan.seeds[: first_seeds(self.seeds, len(plan.seeds))]
        seeds = first if self.seed_numbers is None else self.seed_numbers
        amounts = plan.n_data if self.n_data is None else self.n_data
        values = plan.coefficients if self.coefficients is None else self.coefficients
        return tuple(c for c in plan.cells if c.seed in seeds and c.n_data in amounts and c.coefficient in values)

    def at(self, profile: str) -> Job:
        """The same for another profile of the sweep, whole.

        Raises:
            UserError: if there is no such profile.
        """
        return replace(self, plan=self.plan.sweep.at(profile), seeds=None, n_data=None, coefficients=None, seed_numbers=None)

    @property
    def siblings(self) -> list[Job]:
        """The other profiles of the sweep whose runs follow the same recipe, each whole."""
        sweep = self.plan.sweep
        others = [self.at(profile) for profile in dict.fromkeys(sweep.at(name).profile for name in sweep.profiles)]
        return [job for job in others if job.plan.profile != self.plan.profile and job.plan.hash == self.plan.hash]

    @property
    def _chosen(self) -> dict[str, Any]:
        """The parts of the plan that were asked for."""
        chosen = {"coefficients": self.coefficients, "n_data": self.n_data}
        return chosen | {"seeds": self.seeds, "seed_numbers": self.seed_numbers}

    @property
    def command(self) -> str:
        """What to type to train it, or to go on with it."""
        return self.typed("run")

    @property
    def restart(self) -> str:
        """What to type to put the store aside and train anew."""
        return self.typed("run", "--restart")

    def typed(self, verb: str, *flags: str) -> str:
        """The command line that does something with this sweep, with every option that matters.

        Where the command line cannot know the sweep, because it was made in a script or a notebook, it is the call.

        Args:
            verb: ``run``, ``measure``, ``status``, ``revalidate``.
            flags: further words.
        """
        plugin = plugins.origin(self.plan.sweep)
        if plugin is None:
            return self._call(verb, *flags)
        trains = verb in ("run", "measure")
        return words(
            verb,
            self.plan.sweep.id,
            self.plan.profile,
            *flags,
            plugin=plugin,
            runs=self.runs,
            device=self.device if trains else "auto",
            time_limit=self.time_limit if trains else None,
            **(self._chosen if verb == "run" else {}),
        )

    def _call(self, verb: str, *flags: str) -> str:
        """The Python that does it."""
        room, name = ("sciml_lib", verb) if verb in ("run", "measure") else ("sciml_lib.sweeps", verb)
        given: dict[str, Any] = {"runs": None if self.runs is None else os.fspath(self.runs)}
        if "--restart" in flags:
            room, name = "sciml_lib.sweeps", "archive"
        elif verb in ("run", "measure"):
            given["device"] = None if self.device == "auto" else self.device
            given |= self._chosen if verb == "run" else {}
            given["time_limit"] = self.time_limit
        options = "".join(f", {option}={value!r}" for option, value in given.items() if value is not None)
        return f"{room}.{name}(sweep, {self.plan.profile!r}{options})"


def words(
    verb: str,
    name: str,
    profile: str,
    *flags: str,
    plugin: str = "",
    runs: str | os.PathLike[str] | None = None,
    device: str = "auto",
    seeds: int | None = None,
    n_data: Sequence[int] | None = None,
    time_limit: float | None = None,
    coefficients: Sequence[float] | None = None,
    seed_numbers: Sequence[int] | None = None,
) -> str:
    """A command line of this library with the options that differ from their defaults; see :class:`Job` for these."""
    options: dict[str, Any] = {"--plugin": plugin or None, "--runs": runs, "--device": None if device == "auto" else device}
    options |= {"--seeds": seeds, "--time-limit": None if time_limit is None else _seconds(time_limit)}
    parts = ["python", "-m", "sciml_lib", verb, name, "--profile", profile, *flags]
    for option, value in options.items():
        if value is not None:
            parts += [option, str(value)]
    repeated = {"--coefficient": map(written, coefficients or ()), "--n-data": n_data or (), "--seed": seed_numbers or ()}
    for option, several in repeated.items():
        for value in several:
            parts += [option, str(value)]
    return shlex.join(parts)


def _seconds(seconds: float) -> str:
    """A time as the command line reads it."""
    return f"{seconds:.6f}".rstrip("0").rstrip(".") + "s"


def chosen_of(
    name: str, values: Sequence[Any] | None, planned: Sequence[Any], plan: Plan, check: Callable[[str, Any], Any]
) -> tuple[Any, ...] | None:
    """Checks a choice of coefficients, amounts of data or seeds against those there are; None means all.

    Args:
        name: what is chosen.
        values: the choice.
        planned: what there is.
        plan: whose.
        check: how one value is read, such as :func:`sciml_lib.checks.whole`.

    Raises:
        UserError: if one is not in the plan, or there is none.
    """
    if values is None:
        return None
    known = ", ".join(map(_in_words, planned))
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise UserError(f"{name}={values!r} is not a list; give some of {known}, such as {name}=({planned[0]},)")
    chosen = tuple(dict.fromkeys(check(name, one) for one in values))
    if not chosen or not set(chosen) <= set(planned):
        wrong = next((_in_words(one) for one in chosen if one not in planned), "nothing")
        raise UserError(f"{name}: {wrong} is not planned by {plan.sweep.id}, {plan.profile}; choose among {known}")
    return chosen


def _in_words(number: float) -> str:
    return written(number) if isinstance(number, float) else str(number)


def checked_limit(seconds: float | None) -> float | None:
    """Checks a time limit in seconds.

    Raises:
        UserError: if it is not a number above zero.
    """
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, Real) or not 0 < seconds < float("inf"):
        raise UserError(f"time_limit={seconds!r} is impossible; give seconds above 0, such as 540")
    return float(seconds)
