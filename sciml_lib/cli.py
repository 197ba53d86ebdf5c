"""The command line: ``sciml list | run | status | measure | study | chapter | ledger``, or ``python -m sciml_lib ...``.

The rooms are imported inside the commands, so that ``--help`` answers at once.
"""

# ruff: noqa: D301 (click reads the backspaces as "keep these lines as they are")
from __future__ import annotations

import math
import re
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sciml_lib import __version__
from sciml_lib.errors import UserError, unknown

if TYPE_CHECKING:
    from sciml_lib.sweeps import Job

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
INTERRUPTED = 130
MORE_TO_DO = 75
"""Stopped before the end, by a time limit or a signal; what sysexits.h calls a temporary failure: give the command again."""


class _Group(click.Group):
    """Shows what a person can do about as one sentence instead of a traceback; offers near names for commands."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _show_warning
                return super().invoke(ctx)
        except UserError as error:
            _say(f"error: {error}")
            ctx.exit(2)
        except OSError as error:  # whatever no room has worded
            _say(f"error: {error.filename or 'a file'}: {error.strerror or error}; see to it and try again")
            ctx.exit(2)
        except KeyboardInterrupt:
            click.echo("stopped by Ctrl-C; every run that ended is stored: give the same command again to go on", err=True)
            ctx.exit(INTERRUPTED)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        command = super().get_command(ctx, name)
        if command is None and not ctx.resilient_parsing:
            raise click.UsageError(str(unknown("command", name, self.list_commands(ctx))))
        return command


def _show_warning(message: Warning | str, *_: Any) -> None:
    """A warning as a line for a person, without the line of source that raised it."""
    _say(f"warning: {message}")


def _say(sentence: str) -> None:
    """Prints a line to stderr; whatever a terminal would obey, such as a line end in the name of a file, is spelled out."""
    click.echo("".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in sentence), err=True)


class _Duration(click.ParamType):
    """A time such as ``90``, ``90s``, ``9m``, ``1.5h`` or ``1h30m``, in seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        return seconds_of(value)


def seconds_of(text: str) -> float:
    """Reads a time such as ``90``, ``90s``, ``9m``, ``1.5h`` or ``1h30m``.

    Returns:
        Seconds.

    Raises:
        UserError: if it is none, or not above zero.
    """
    number = r"\d+(?:\.\d*)?"
    compact = text.strip().lower().replace(" ", "")
    if not re.fullmatch(rf"{number}|(?:{number}[smhd])+", compact):
        raise UserError(f"--time-limit {text!r} is not a time; write it like 90s, 9m, 1.5h or 1h30m")
    parts = re.findall(rf"({number})([smhd]?)", compact)
    seconds = math.fsum(float(value) * _UNITS[unit or "s"] for value, unit in parts)
    if not 0 < seconds < math.inf:
        raise UserError(f"--time-limit {text!r} leaves no time; give more than zero, such as 9m")
    return seconds


@click.group(
    cls=_Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Begin with `python -m sciml_lib list`.",
)
@click.version_option(__version__, prog_name="sciml_lib")
def main() -> None:
    """Train the sweeps of the regime atlas, look at them, execute its chapters."""


def _options(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options that several commands have, by name and in that order."""
    known = {
        "profile": click.option("--profile", "-p", default="laptop", show_default=True, help="smoke, laptop or paper."),
        "time_limit": click.option("--time-limit", "-t", type=_Duration(), help="Stop after that time: 90s, 9m, 1.5h, 1h30m."),
        "device": click.option("--device", "-d", default="auto", show_default=True, help="auto, cpu, cuda or cuda:1."),
        "runs": click.option(
            "--runs",
            callback=_folder,
            help="Folder of the stores. [default: SCIML_RUNS, or runs/ of the clone, or ./runs]",
        ),
        "plugin": click.option(
            "--plugin",
            multiple=True,
            expose_value=False,
            is_eager=True,
            callback=_load_plugins,
            help="A module or file with sweeps of your own; repeatable.",
        ),
    }

    def decorated(command: Callable[..., Any]) -> Callable[..., Any]:
        for name in reversed(names):
            command = known[name](command)
        return command

    return decorated


def _folder(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """Refuses what is no folder at once, whatever the command."""
    if value is not None:
        from sciml_lib.sweeps import places

        places.runs_folder(value)
    return value


def _load_plugins(_ctx: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> None:
    if values or metadata.entry_points(group="sciml_lib.sweeps"):
        from sciml_lib.sweeps import plugins

        plugins.load_installed()
        for value in values:
            plugins.load(value)


@main.command("list")
@_options("plugin")
def list_sweeps() -> None:
    """List the sweeps and their profiles.

    \b
    Example:
      python -m sciml_lib list
    """
    from sciml_lib.sweeps import catalog

    for sweep_id in catalog.ids():
        sweep = catalog.get(sweep_id)
        click.echo(f"{sweep_id}\n    {sweep.title}")
        for profile in sweep.profiles:
            plan = sweep.at(profile)
            why = plan.why if plan.profile == profile else f"The same as {plan.profile}."
            click.echo(f"    {profile:8}{len(plan.cells):5} runs  {why}")


@main.command()
@click.argument("sweep")
@_options("profile", "time_limit", "device")
@click.option("--coefficient", "-c", type=float, multiple=True, help="Only this coefficient; repeatable.")
@click.option("--n-data", "-n", type=int, multiple=True, help="Only this amount of data; repeatable.")
@click.option("--seed", type=int, multiple=True, help="Only this seed; repeatable.")
@click.option("--seeds", type=int, help="Only the first so many seeds of the profile.")
@_options("runs", "plugin")
@click.option("--restart", is_flag=True, help="Put the stored runs aside (nothing is deleted) and begin anew.")
@click.option("--quiet", "-q", is_flag=True, help="No progress bar and no estimate.")
def run(
    sweep: str,
    profile: str,
    time_limit: float | None,
    device: str,
    coefficient: tuple[float, ...],
    n_data: tuple[int, ...],
    seed: tuple[int, ...],
    seeds: int | None,
    runs: str | None,
    restart: bool,
    quiet: bool,
) -> None:
    """Train SWEEP, or go on with it. Runs that are stored are never trained again.

    Stop it at any moment, with Ctrl-C or otherwise: runs that ended are kept, and those in training go on from their
    last checkpoint, at most a minute back. With --coefficient the range of the stored seeds of that cell is printed at the
    end, and where the new runs lie.

    \b
    Examples:
      python -m sciml_lib run pinn/convection/lbfgs --profile smoke
      python -m sciml_lib run pinn/convection/lbfgs --profile laptop --time-limit 9m
      python -m sciml_lib run pinn/convection/lbfgs --profile paper --n-data 5000 --n-data 10000 --seeds 3
      python -m sciml_lib run pinn/convection/lbfgs --coefficient 30 --n-data 1000 --seed 0 --runs my_runs
      python -m sciml_lib run pinn/convection/lbfgs --profile paper --device cuda
      python -m sciml_lib run pinn/burgers/lbfgs --plugin my_sweeps

    \b
    Exit status: 0 if done, 75 if stopped with more to do (time limit, SIGTERM), 130 if stopped by Ctrl-C, 2 if something is
    wrong.
    """
    from sciml_lib import sweeps
    from sciml_lib.sweeps import execution, expectation, timing

    chosen = {"seeds": seeds, "n_data": n_data or None, "coefficients": coefficient or None, "seed_numbers": seed or None}
    chosen |= {"time_limit": time_limit}
    job = sweeps.Job.of(sweep, profile, runs=runs, device=device, **chosen)
    target = job.label
    if restart and (place := sweeps.archive(job.plan.sweep, profile, runs)):
        click.echo(f"the stored runs are now in {place}")
    stored = sweeps.read(job)
    if not quiet:
        missing = len(set(job.cells) - stored.done)
        text = f"{sweep}, {profile}: {len(job.cells) - missing} of {len(job.cells)} runs are stored in {job.folder}"
        click.echo(text + (f"; the rest takes {timing.time_left(job, stored).words} on {target}" if missing else ""))
    expected = expectation.of(job) if coefficient else None  # before anything new is stored
    report = execution.train(job, stored=stored, progress=not quiet)
    click.echo(report.sentence)
    if expected:
        for line in expected.sentences(sweeps.read(job).rows):
            click.echo(line)
    if report.stopped_by:
        sys.exit(INTERRUPTED if report.stopped_by == "Ctrl-C" else MORE_TO_DO)


@main.command()
@click.argument("sweep", required=False)
@click.option("--profile", "-p", help="Only this profile.")
@click.option("--device", "-d", default="auto", show_default=True, help="Device that the estimate is for.")
@_options("runs", "plugin")
def status(sweep: str | None, profile: str | None, device: str, runs: str | None) -> None:
    """Show what is stored of SWEEP, or of all sweeps: runs, how they ended, time spent and time left.

    \b
    Examples:
      python -m sciml_lib status
      python -m sciml_lib status pinn/convection/lbfgs --profile laptop
    """
    from sciml_lib.sweeps import Job, catalog, devices, places

    devices.resolve(device)
    folder = places.runs_folder(runs, must_exist=runs is not None)
    chosen = [catalog.get(sweep)] if sweep else [catalog.get(sweep_id) for sweep_id in catalog.ids()]
    if profile and not any(profile in one.profiles for one in chosen):
        raise unknown("profile", profile, dict.fromkeys(name for one in chosen for name in one.profiles))
    click.echo(f"the runs in {folder}")
    wrong = 0
    for one in chosen:
        for name in dict.fromkeys(one.at(name).profile for name in one.profiles if name == (profile or name)):
            try:
                click.echo(_status_line(Job.of(one, name, runs=runs, device=device)))
            except UserError as error:
                if sweep and profile:
                    raise
                _say(f"{one.id}, {name}: error: {error}")
                wrong += 1
    if wrong:
        sys.exit(2)


@main.command()
@click.argument("sweep")
@_options("profile", "runs", "plugin")
def revalidate(sweep: str, profile: str, runs: str | None) -> None:
    """Show that the stored runs of SWEEP stand although the library has changed since.

    Trains the profile smoke by the code of the commit that made the store and by the present code; if every number is the
    same to the last bit, the manifest notes it and the mark on the figures goes.

    \b
    Example:
      python -m sciml_lib revalidate pinn/reaction/alm
    """
    from sciml_lib import sweeps

    click.echo(sweeps.revalidate(sweep, profile, runs))


@main.command()
@click.argument("sweep")
@_options("profile", "time_limit", "device", "runs", "plugin")
@click.option("--quiet", "-q", is_flag=True, help="No progress bar.")
def measure(sweep: str, profile: str, time_limit: float | None, device: str, runs: str | None, quiet: bool) -> None:
    """Measure eigenvalues and traces of the Hessian at the stored ends of SWEEP; nothing is trained.

    \b
    Example:
      python -m sciml_lib measure pinn/reaction-diffusion/lbfgs --profile laptop

    \b
    Exit status: 0 if done, 75 if stopped by the time limit, 2 if something is wrong.
    """
    from sciml_lib.sweeps import curvature

    options = {"runs": runs, "device": device, "time_limit": time_limit, "progress": not quiet}
    measured = curvature.measure(sweep, profile, **options)
    click.echo(measured.sentence)
    if measured.stopped:
        sys.exit(MORE_TO_DO)


@main.command()
@click.argument("name")
@_options("profile", "time_limit", "device", "runs")
@click.option("--quiet", "-q", is_flag=True, help="No progress bar and no estimate.")
def study(name: str, profile: str, time_limit: float | None, device: str, runs: str | None, quiet: bool) -> None:
    """Compute the study NAME of stored networks (spectra, surfaces, trajectories, curves, jumps), or go on with it.

    \b
    Example:
      python -m sciml_lib study spectra --profile laptop

    \b
    Exit status: 0 if done, 75 if stopped by the time limit, 2 if something is wrong.
    """
    from sciml_lib import studies
    from sciml_lib.sweeps import devices
    from sciml_lib.sweeps.timing import duration

    chosen = studies.get(name)
    devices.resolve(device)
    if not quiet:
        left = studies.seconds_left(chosen, profile, runs)
        known = "how long the rest takes is not known before its first item" if math.isnan(left) else ""
        click.echo(f"study {name}, {profile}: {known or f'the rest takes about {duration(left)}' if left else 'complete'}")
    options = {"runs": runs, "device": device, "time_limit": time_limit, "progress": not quiet}
    computed = studies.run(chosen, profile, **options)
    click.echo(f"study {name}, {profile}: {computed.sentence}")
    if computed.stopped:
        sys.exit(MORE_TO_DO)


@main.command()
@click.argument("name")
@click.option("--param", "-p", "params", nargs=2, multiple=True, metavar="NAME VALUE", help="A parameter; repeatable.")
@click.option("--output", "-o", required=True, type=click.Path(path_type=Path), help="The notebook to write.")
def chapter(name: str, params: tuple[tuple[str, str], ...], output: Path) -> None:
    """Execute the chapter NAME with other parameters into a new notebook.

    \b
    Example:
      python -m sciml_lib chapter pinn_convection -p profile smoke -o my_map.ipynb
    """
    from sciml_lib import chapters

    twice = [key for key, count in Counter(key for key, _ in params).items() if count > 1]
    if twice:
        raise UserError(f"-p {twice[0]} is given twice; give every parameter once")
    chapters.execute(name, dict(params), output)
    click.echo(f"wrote {output}")


@main.command()
@click.argument("which", default="all")
@_options("profile", "runs")
def ledger(which: str, profile: str, runs: str | None) -> None:
    """What the runs say of the paper's claims: WHICH is all, open, or the id of one claim.

    \b
    Examples:
      python -m sciml_lib ledger
      python -m sciml_lib ledger open
      python -m sciml_lib ledger strategies-border-lbfgs
    """
    from sciml_lib import ledger as claims
    from sciml_lib.sweeps.timing import duration

    source = claims.Source(profile, runs=runs or "", max_minutes=0)
    if which not in ("all", "open"):
        module = claims.module_of(which)
        click.echo(claims.in_full(next(v for v in claims.verdicts(source, [module]) if v.claim.id == which), runs))
        return
    found = claims.verdicts(source)
    if which == "open":
        for name, row in claims.settling.plan(found, runs).iterrows():
            time = "" if math.isnan(row.seconds) else f", {duration(row.seconds)}"
            left = f" ({row.missing:,} runs{time}): {row.command}" if row.command else ""
            click.echo(f"{name}: {row.outcome}, {row.reason}\n    {row.run or 'what would settle it is not known'}{left}")
        return
    for verdict in found:
        click.echo(f"{verdict.claim.id}: {verdict.outcome}\n    {verdict.claim.words}; found: {verdict.reading.found}")
    click.echo(", ".join(f"{n} {outcome}" for outcome, n in claims.counts(found).items()))


def _status_line(job: Job) -> str:
    """What is stored of one profile, in one or two lines."""
    from sciml_lib.sweeps import store, timing

    plan, stored = job.plan, store.read(job)
    rows = stored.rows
    text = f"{plan.sweep.id}, {plan.profile}: {len(rows)} of {len(plan.cells)} runs"
    if rows:
        text += f", {timing.duration(sum(row.seconds for row in rows))} of training"
    if len(rows) < len(plan.cells):
        left = timing.time_left(job, stored, calibrate=False)
        if not math.isnan(left.seconds):
            text += f", {left.words} left on {job.label}"
    counts = Counter(row.status for row in rows).most_common()
    return text + ("\n    " + ", ".join(f"{count} {status}" for status, count in counts) if rows else "")
