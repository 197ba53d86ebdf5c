"""The command line: ``python -m sciml_lib list | run | status | chapter``.

The rooms are imported inside the commands, so that ``--help`` answers at once.
"""

# ruff: noqa: D301 (click reads the backspaces as "keep these lines as they are")
from __future__ import annotations

import math
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import click

from sciml_lib import __version__
from sciml_lib.errors import UserError, unknown

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
INTERRUPTED = 130


class _Group(click.Group):
    """Shows what a person can do about as one sentence instead of a traceback; offers near names for commands."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except UserError as error:
            click.echo(f"error: {error}", err=True)
            ctx.exit(2)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        command = super().get_command(ctx, name)
        if command is None and not ctx.resilient_parsing:
            raise click.UsageError(str(unknown("command", name, self.list_commands(ctx))))
        return command


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
        raise UserError(f"--time-limit {text!r} is no time; write it like 90s, 9m, 1.5h or 1h30m")
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


@main.command("list")
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
@click.option("--profile", "-p", default="laptop", show_default=True, help="smoke, laptop or paper.")
@click.option("--time-limit", "-t", type=_Duration(), help="Stop after that time: 90s, 9m, 1.5h, 1h30m.")
@click.option("--device", "-d", default="auto", show_default=True, help="auto, cpu, cuda or cuda:1.")
@click.option("--seeds", type=int, help="Only the first so many seeds of the profile.")
@click.option("--runs", type=click.Path(path_type=Path), help="Folder of the stores. [default: SCIML_RUNS, or runs/]")
@click.option("--restart", is_flag=True, help="Put the stored runs aside (nothing is deleted) and begin anew.")
@click.option("--quiet", "-q", is_flag=True, help="No progress bar and no estimate.")
def run(
    sweep: str,
    profile: str,
    time_limit: float | None,
    device: str,
    seeds: int | None,
    runs: Path | None,
    restart: bool,
    quiet: bool,
) -> None:
    """Train SWEEP, or go on with it. Runs that are stored are never trained again.

    Stop it at any moment, with Ctrl-C or otherwise: runs that ended are kept, and those in training go on from their
    last checkpoint, at most a minute back.

    \b
    Examples:
      python -m sciml_lib run pinn/convection/lbfgs --profile smoke
      python -m sciml_lib run pinn/convection/lbfgs --profile laptop --time-limit 9m
      python -m sciml_lib run pinn/convection/lbfgs --profile paper --device cuda

    \b
    Exit status: 0 if done or stopped by the time limit, 130 if stopped by Ctrl-C, 2 if something is wrong.
    """
    from sciml_lib import sweeps
    from sciml_lib.sweeps import catalog, devices, estimate, execution

    plan = catalog.get(sweep).at(profile)
    target = devices.resolve(device)
    wanted = execution.wanted_cells(plan, seeds)
    if restart and (place := sweeps.archive(plan, runs)):
        click.echo(f"the stored runs are now in {place}")
    if not quiet:
        done = sweeps.read(plan, runs).done
        missing = [cell for cell in wanted if cell not in done]
        needed = estimate.time_left(plan, missing, target, runs)
        click.echo(
            f"{sweep}, {profile}: {len(wanted) - len(missing)} of {len(wanted)} runs are stored"
            + (f"; the rest takes {needed.words} on {devices.label(target)}" if missing else "")
        )
    report = sweeps.run(sweep, profile, runs=runs, device=device, seeds=seeds, time_limit=time_limit, progress=not quiet)
    click.echo(report.sentence)
    if report.stopped_by == "interrupt":
        sys.exit(INTERRUPTED)


@main.command()
@click.argument("sweep", required=False)
@click.option("--profile", "-p", help="Only this profile.")
@click.option("--device", "-d", default="auto", show_default=True, help="Device that the estimate is for.")
@click.option("--runs", type=click.Path(path_type=Path), help="Folder of the stores. [default: SCIML_RUNS, or runs/]")
def status(sweep: str | None, profile: str | None, device: str, runs: Path | None) -> None:
    """Show what is stored of SWEEP, or of all sweeps: runs, how they ended, time spent and time left.

    \b
    Examples:
      python -m sciml_lib status
      python -m sciml_lib status pinn/convection/lbfgs --profile laptop
    """
    from sciml_lib.sweeps import catalog, devices

    target = devices.resolve(device)
    chosen = [catalog.get(sweep)] if sweep else [catalog.get(sweep_id) for sweep_id in catalog.ids()]
    wrong = 0
    for one in chosen:
        for name in [profile] if profile else dict.fromkeys(one.at(name).profile for name in one.profiles):
            try:
                click.echo(_status_line(one.at(name), runs, target))
            except UserError as error:
                if sweep and profile:
                    raise
                click.echo(f"{one.id}, {name}: error: {error}", err=True)
                wrong += 1
    if wrong:
        sys.exit(2)


@main.command()
@click.argument("sweep")
@click.option("--profile", "-p", default="laptop", show_default=True, help="Whose store is meant: smoke, laptop or paper.")
@click.option("--runs", type=click.Path(path_type=Path), help="Folder of the stores. [default: SCIML_RUNS, or runs/]")
def revalidate(sweep: str, profile: str, runs: Path | None) -> None:
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
@click.option("--profile", "-p", default="laptop", show_default=True, help="smoke, laptop or paper.")
@click.option("--time-limit", "-t", type=_Duration(), help="Stop after that time: 90s, 9m, 1.5h, 1h30m.")
@click.option("--device", "-d", default="auto", show_default=True, help="auto, cpu, cuda or cuda:1.")
@click.option("--runs", type=click.Path(path_type=Path), help="Folder of the stores. [default: SCIML_RUNS, or runs/]")
@click.option("--quiet", "-q", is_flag=True, help="No progress bar.")
def measure(sweep: str, profile: str, time_limit: float | None, device: str, runs: Path | None, quiet: bool) -> None:
    """Measure eigenvalues and traces of the Hessian at the stored ends of SWEEP; nothing is trained.

    \b
    Example:
      python -m sciml_lib measure pinn/reaction-diffusion/lbfgs --profile laptop
    """
    from sciml_lib.sweeps import curvature

    options = {"runs": runs, "device": device, "time_limit": time_limit, "progress": not quiet}
    click.echo(curvature.measure(sweep, profile, **options).sentence)


@main.command()
@click.argument("name")
@click.option("--profile", "-p", default="laptop", show_default=True, help="smoke, laptop or paper.")
@click.option("--time-limit", "-t", type=_Duration(), help="Stop after that time: 90s, 9m, 1.5h, 1h30m.")
@click.option("--device", "-d", default="auto", show_default=True, help="auto, cpu, cuda or cuda:1.")
@click.option("--runs", type=click.Path(path_type=Path), help="Folder of the stores. [default: SCIML_RUNS, or runs/]")
@click.option("--quiet", "-q", is_flag=True, help="No progress bar.")
def study(name: str, profile: str, time_limit: float | None, device: str, runs: Path | None, quiet: bool) -> None:
    """Compute the study NAME of stored networks (spectra, surfaces, trajectories, curves, jumps), or go on with it.

    \b
    Example:
      python -m sciml_lib study spectra --profile laptop
    """
    from sciml_lib import studies

    options = {"runs": runs, "device": device, "time_limit": time_limit, "progress": not quiet}
    new, done = studies.run(studies.get(name), profile, **options)
    planned = len(studies.get(name).items(profile))
    click.echo(f"study {name}, {profile}: {done} of {planned} items are stored, {new} of them by this call")


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


def _status_line(plan: Any, runs: Path | None, device: Any) -> str:
    """What is stored of one profile, in one or two lines."""
    from sciml_lib import sweeps
    from sciml_lib.sweeps import devices, estimate

    rows = sweeps.read(plan, runs).rows
    text = f"{plan.sweep.id}, {plan.profile}: {len(rows)} of {len(plan.cells)} runs"
    done = {row.cell for row in rows}
    missing = [cell for cell in plan.cells if cell not in done]
    if rows:
        text += f", {estimate.duration(sum(row.seconds for row in rows))} of training"
    if missing:
        left = estimate.time_left(plan, missing, device, runs, calibrate=False)
        if not math.isnan(left.seconds):
            text += f", {left.words} left on {devices.label(device)}"
    counts = Counter(row.status for row in rows).most_common()
    return text + ("\n    " + ", ".join(f"{count} {status}" for status, count in counts) if rows else "")
