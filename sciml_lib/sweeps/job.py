"""A plan bound to a machine and a folder: what every command and every function works on."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Real
from pathlib import Path
from typing import Any

import torch

from sciml_lib import checks
from sciml_lib.errors import UserError
from sciml_lib.sweeps import catalog, devices, places, plugins
from sciml_lib.sweeps.spec import Cell, Plan, Sweep, first_seeds


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
    """

    plan: Plan
    runs: str | os.PathLike[str] | None = None
    device: str = "auto"
    seeds: int | None = None
    n_data: tuple[int, ...] | None = None
    time_limit: float | None = None

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

        Raises:
            UserError: if one is impossible; it says what is possible.
        """
        plan = catalog.get(sweep).at(profile)
        job = cls(plan, runs, str(device), seeds, chosen_amounts(n_data, plan), checked_limit(time_limit))
        first_seeds(seeds, len(job.plan.seeds))
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
        chosen = self.plan.seeds[: first_seeds(self.seeds, len(self.plan.seeds))]
        amounts = self.plan.n_data if self.n_data is None else self.n_data
        return tuple(cell for cell in self.plan.cells if cell.seed in chosen and cell.n_data in amounts)

    def at(self, profile: str) -> Job:
        """The same for another profile of the sweep, whole.

        Raises:
            UserError: if there is no such profile.
        """
        return replace(self, plan=self.plan.sweep.at(profile), seeds=None, n_data=None)

    @property
    def kin(self) -> list[Job]:
        """The same for every other profile of the sweep that has the same recipe, whole."""
        profiles = dict.fromkeys(self.plan.sweep.at(name).profile for name in self.plan.sweep.profiles)
        others = [self.at(profile) for profile in profiles if profile != self.plan.profile]
        return [other for other in others if other.plan.hash == self.plan.hash]

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
            seeds=self.seeds if verb == "run" else None,
            n_data=self.n_data if verb == "run" else None,
            time_limit=self.time_limit if trains else None,
        )

    def _call(self, verb: str, *flags: str) -> str:
        """The Python that does it."""
        room, name = ("sciml_lib", verb) if verb in ("run", "measure") else ("sciml_lib.sweeps", verb)
        given: dict[str, Any] = {"runs": None if self.runs is None else os.fspath(self.runs)}
        if "--restart" in flags:
            room, name = "sciml_lib.sweeps", "archive"
        elif verb in ("run", "measure"):
            given["device"] = None if self.device == "auto" else self.device
            given["seeds"] = self.seeds if verb == "run" else None
            given["n_data"] = self.n_data if verb == "run" else None
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
) -> str:
    """A command line of this library with the options that differ from their defaults; see :class:`Job` for these."""
    options: dict[str, Any] = {"--plugin": plugin or None, "--runs": runs, "--device": None if device == "auto" else device}
    options |= {"--seeds": seeds, "--time-limit": None if time_limit is None else _seconds(time_limit)}
    parts = ["python", "-m", "sciml_lib", verb, name, "--profile", profile, *flags]
    for option, value in options.items():
        if value is not None:
            parts += [option, str(value)]
    for amount in n_data or ():
        parts += ["--n-data", str(amount)]
    return shlex.join(parts)


def _seconds(seconds: float) -> str:
    """A time as the command line reads it."""
    return f"{seconds:.6f}".rstrip("0").rstrip(".") + "s"


def chosen_amounts(n_data: Sequence[int] | None, plan: Plan) -> tuple[int, ...] | None:
    """Checks amounts of data against those there are; None means all.

    Raises:
        UserError: if one is not in the plan, or there is none.
    """
    if n_data is None:
        return None
    planned = ", ".join(map(str, plan.n_data))
    if isinstance(n_data, str) or not isinstance(n_data, Iterable):
        raise UserError(f"n_data={n_data!r} is not a list; give some of {planned}, such as n_data=({plan.n_data[0]},)")
    chosen = tuple(dict.fromkeys(checks.whole("n_data", n) for n in n_data))
    if not chosen or not set(chosen) <= set(plan.n_data):
        wrong = next((n for n in chosen if n not in plan.n_data), "nothing")
        raise UserError(f"n_data: {wrong} is not planned by {plan.sweep.id}, {plan.profile}; choose among {planned}")
    return chosen


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
