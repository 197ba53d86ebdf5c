"""What the chapter on flatness says: where runs have ended at a flat solution, and what its curvature has to do with it."""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr
from matplotlib.figure import Figure

from sciml_lib.landscape import HessianOperator, lanczos
from sciml_lib.narrative.physics import NEAR, constant_error, constant_loss
from sciml_lib.narrative.strategies import FAILS, HOLDS, OPEN, Statement, panel_words
from sciml_lib.optim import Status
from sciml_lib.panels import Panel
from sciml_lib.prose import counted, listed, number, percent, table
from sciml_lib.sweeps import devices
from sciml_lib.sweeps.spec import Cell

CLASSES = {
    "solved": "solved: low loss, low error",
    "wrong": "low loss, high error",
    "zero": "at the constant $u = 0$",
    "one": "at the constant $u = 1$",
    "other": "high loss, at neither",
}
"""What a run can have become; the constants come first, the thresholds of Table 5 decide the rest."""

FLAT = ("zero", "one")
LOW = ("solved", "wrong")

LETTERS = {"ρ": r"\rho"}
"""Symbols of coefficients inside of formulas."""

HARD = 15.0
"""From this coefficient on the paper finds deceptive flatness."""

DIMENSIONS = ("coefficient", "n_data", "seed")


def classes(panel: Panel) -> xr.DataArray:
    """What each run has become, by its loss and its error, ``[n_coefficient, n_data, n_seed]``; empty where none is stored.

    At a constant is what comes within 5 per cent of its loss and of its test error.
    """
    train, test = panel.seeded("train_loss"), panel.seeded("test_error")
    low, right = train <= panel.thresholds.train, test <= panel.thresholds.test
    found = xr.where(low, xr.where(right, "solved", "wrong"), "other")
    for name, value in (("zero", 0.0), ("one", 1.0)):
        errors = [constant_error(panel, value, float(c)) for c in train["coefficient"].values]
        level = constant_loss(panel, value)
        expected = xr.DataArray(errors, coords={"coefficient": train["coefficient"]})
        near = (np.abs(train / level - 1.0) < NEAR) & (np.abs(test / expected - 1.0) < NEAR)
        found = xr.where(near, name, found)
    return xr.where(train.notnull(), found, "").transpose(*DIMENSIONS)


def flat_table(panel: Panel) -> str:
    """Tabulates what the runs have become, with the curvature, the loss and the error of each kind."""
    kind = classes(panel)
    rows, total = [], int((kind != "").sum())
    for name, words in CLASSES.items():
        inside = (kind == name).values
        if not inside.any():
            rows.append([words, "none", *[""] * 4])
            continue
        numbers = [_middle(panel, quantity, inside) for quantity in ("train_loss", "test_error", "lambda_max", "trace")]
        rows.append([words, int(inside.sum()), *numbers])
    header = ["a run that ended", "runs", "training loss", "test error", "$\\lambda_{\\max}$", "trace"]
    symbol = panel_words(panel).symbol
    flat = kind.isin(FLAT)
    text = f"{table(header, rows)}\n\nNumbers are medians. "
    if not flat.any():
        return text + "No run has ended at one of the two constants."
    over = ((panel.seeded("train_loss") > panel.thresholds.train) & (kind != "")).values
    where = listed(f"{c:g}" for c in kind["coefficient"].values if flat.sel(coefficient=c).any())
    stalled = (panel.seeded("status") == Status.LINE_SEARCH_FAILED.label).values & flat.values
    return text + (
        f"{counted(int(flat.sum()), 'run')} of {total} have ended at a constant, at {symbol} = {where}; among the "
        f"{counted(int(over.sum()), 'run')} with a high training loss they are {percent(flat.values[over].mean())}. In "
        f"{int(stalled.sum())} of them the line search of L-BFGS found no lower point: they had settled."
    )


def flat_by_coefficient(panel: Panel, emptied: xr.DataArray) -> str:
    """Compares, coefficient by coefficient, the curvature of runs with a low loss, of flat ones, and of networks made constant.

    The unit 2 (rho^2 + 1) is the second derivative of the loss at a constant solution as everything is lifted alike: the
    residual of the equation becomes rho b (1 - b) and that of the initial values changes by b.

    Args:
        panel: the measured map.
        emptied: what :func:`emptied_curvature` returns.
    """
    kind, symbol, rows, flatter, compared = classes(panel), panel_words(panel).symbol, [], 0, 0
    lambdas = panel.seeded("lambda_max")
    units: list[float] = []
    for c in lambdas["coefficient"].values:
        names, unit = kind.sel(coefficient=c), 2.0 * (c**2 + 1.0)
        low = _finite(lambdas.sel(coefficient=c).values[names.isin(LOW).values])
        flat = _finite(lambdas.sel(coefficient=c).values[names.isin(FLAT).values])
        made = _finite(emptied.sel(coefficient=c).values[names.isin(LOW).values])
        units += (flat / unit).tolist()
        if low.size and flat.size:
            compared += 1
            flatter += int(np.median(flat) < np.median(low))
        whole = [f"{number(float(np.median(part)))} ({part.size})" if part.size else "none" for part in (low, flat)]
        parts = [f"{np.median(part) / unit:,.0f}" if part.size else "" for part in (low, flat, made)]
        rows.append([f"{c:g}", *whole, f"{unit:,.0f}", *parts])
    header = [symbol, "low loss (runs)", "at a constant (runs)", f"unit: $2({LETTERS.get(symbol, symbol)}^2 + 1)$"]
    text = table([*header, "low loss, in units", "at a constant, in units", "low loss, output set to zero, in units"], rows)
    text += "\n\nMedians of $\\lambda_{\\max}$. "
    if compared:
        text += (
            f"Runs at a constant are flatter than those with a low loss at {flatter} of the {counted(compared, 'value')} of "
            f"{symbol} that have both. "
        )
    if len(units) > 1:
        text += f"Run by run those at a constant have between {min(units):.0f} and {max(units):.0f} units" + (
            f", whatever the {symbol}: their curvature is that of the constant, and says nothing of how far away a better "
            "solution is. "
            if max(units) <= 2 * min(units)
            else ": the unit does not explain their curvature. "
        )
    return text + _emptied_words(panel, emptied, kind) + _data_words(kind, panel)


def _emptied_words(panel: Panel, emptied: xr.DataArray, kind: xr.DataArray) -> str:
    """What setting the output to zero does to the curvature of runs of each kind."""
    ratio = emptied / panel.seeded("lambda_max")
    parts = []
    for names, words in ((LOW, "with a low loss"), (FLAT, "at a constant")):
        inside = ratio.values[kind.isin(names).values & ratio.notnull().values]
        if inside.size:
            parts.append(f"a factor {number(float(np.median(inside)))} in the median of the {inside.size:,} runs {words}")
    if not parts:
        return ""
    return (
        "And a run is made flat by making it constant: its weights into the output set to zero, and all else kept, changes "
        f"$\\lambda_{{\\max}}$ by {listed(parts)}. (Such a constant is a special one: no hidden weight has any effect on it.)"
    )


def _data_words(kind: xr.DataArray, panel: Panel) -> str:
    """Says where runs of low loss and flat ones do not share an amount of data, so that these differ as well."""
    words, amounts, apart = panel_words(panel), kind["n_data"].values, []
    for c in kind["coefficient"].values:
        low, flat = (amounts[kind.sel(coefficient=c).isin(names).any("seed").values] for names in (LOW, FLAT))
        if low.size and flat.size and low.max() < flat.min():
            apart.append((c, int(low.max()), int(flat.min())))
    if not apart:
        return ""
    at, most, least = listed(f"{c:g}" for c, _, _ in apart), max(n for _, n, _ in apart), min(n for _, _, n in apart)
    return (
        f"\n\nOne caution: at {words.symbol} = {at} every run with a low loss has at most {most:,} {words.unit}, and every run "
        f"at a constant at least {least:,}. What is compared there differs in its data, too."
    )


def _finite(values: np.ndarray) -> np.ndarray:
    return values[np.isfinite(values)]


def emptied_curvature(panel: Panel, value: float = 0.0, device: str = "auto") -> xr.DataArray:
    """Largest eigenvalue of every run's Hessian, once its last layer gives one value whatever its input.

    The weights into the output become zero and its bias the value, everything else stays: an exact constant, with the hidden
    layers that training has made.

    Args:
        panel: the map; runs whose parameters are not stored are left out.
        value: the constant.
        device: auto, cpu or cuda.

    Returns:
        ``[n_coefficient, n_data, n_seed]``; NaN where there are no parameters.
    """
    target, plan = devices.resolve(device), panel.plan
    found = xr.full_like(panel.seeded("train_loss"), np.nan)
    runs: dict[Cell, torch.Tensor] = {}
    for place in np.ndindex(found.shape):
        cell = Cell(*(found[axis].values[i].item() for axis, i in zip(DIMENSIONS, place, strict=True)))
        params = panel.parameters(cell)
        if params is not None and torch.isfinite(params).all():
            runs[cell] = params.clone()
    width = plan.sweep.setup.hidden[-1]
    for cells in plan.ensembles(list(runs)):
        params = torch.stack([runs[cell] for cell in cells])
        params[:, -width - 1 : -1], params[:, -1] = 0.0, value
        problem = plan.problem(cells, target)
        operator = HessianOperator.of_problem(problem, params.to(problem.device, problem.dtype))
        values = lanczos(operator, seeds=[cell.seed for cell in cells]).values[:, 0].tolist()
        for cell, one in zip(cells, values, strict=True):
            found.loc[{"coefficient": cell.coefficient, "n_data": cell.n_data, "seed": cell.seed}] = one
    return found


def flat_figure(panel: Panel, title: str) -> Figure:
    """Draws, at the coefficient that has most kinds of runs, one of each kind: the truth above what it has learned.

    Large coefficients are preferred where several have equally many kinds, and large amounts of data within them.
    """
    kind = classes(panel)
    chosen: dict[str, Cell] = {}
    for c in kind["coefficient"].values[::-1]:
        found: dict[str, Cell] = {}
        for j, k in np.ndindex(kind.shape[1:]):
            cell = Cell(float(c), int(kind["n_data"][j]), int(kind["seed"][k]))
            name = str(kind.sel(coefficient=c).values[j, k])
            if name and panel.parameters(cell) is not None:
                found[name] = cell
        if len(found) > len(chosen):
            chosen = found
    chosen = {name: chosen[name] for name in CLASSES if name in chosen}
    words = panel_words(panel)
    titles = [f"{CLASSES[n]}\n{words.symbol} = {c.coefficient:g}, {words.letter} = {c.n_data:,}" for n, c in chosen.items()]
    notes = [
        f"training loss {panel.value('train_loss', c):.1e}, $\\lambda_{{\\max}}$ {panel.value('lambda_max', c):.1e}"
        for c in chosen.values()
    ]
    return panel.solutions_figure(list(chosen.values()), titles, notes, title)


def flatness_statements(panel: Panel) -> list[Statement]:
    """Evaluates what section 2.5.2 and appendix F.2 say of flatness at a high training loss."""
    symbol = panel_words(panel).symbol
    claims = (
        "flat regions occur at a high training loss",
        f"this is pronounced for {symbol} ≥ {HARD:g}",
        f"runs with {symbol} ≥ {HARD:g} and a high loss have small eigenvalues, in the colours of the whole map",
        "such runs stall on a plateau that gives no direction, and not at a solution",
    )
    lambdas, kind = panel.seeded("lambda_max"), classes(panel)
    measured = lambdas.notnull() & (kind != "")
    high = (panel.seeded("train_loss") > panel.thresholds.train) & measured
    low = measured & ~high
    hard = (lambdas["coefficient"] >= HARD) & measured
    found = [_flatter(panel, high, low), _pronounced(panel, high, low, hard)]
    trapped = lambdas.values[(high & hard).values]
    others = lambdas.values[low.values]
    if not trapped.size or not others.size:
        found.append(("no such run, or none of low loss, was measured", OPEN))
    else:
        middle = float(np.median(trapped))
        below = float((others < middle).mean())
        text = f"their median is {number(middle)}, and {percent(below)} of all runs of low loss in the map have less"
        found.append((text, HOLDS if below < 0.5 else FAILS))
    bad = kind.values[(high & hard).values]
    if not bad.size:
        found.append(("no run there has a high loss", OPEN))
    else:
        n = int(np.isin(bad, FLAT).sum())
        text = f"{n} of {bad.size} are at a constant, which solves the equation and misses its initial values"
        found.append((text if n else "none of them is at a constant", FAILS if n > bad.size / 2 else OPEN))
    return [Statement(claim, *one) for claim, one in zip(claims, found, strict=True)]


def _pairs(panel: Panel, high: xr.DataArray, low: xr.DataArray) -> tuple[float, int]:
    """In how many pairs of runs with equal coefficient, one of high and one of low loss, the first is the flatter."""
    won, n = 0, 0
    for c in high["coefficient"].values:
        values = panel.seeded("lambda_max").sel(coefficient=c).values
        a, b = (values[part.sel(coefficient=c).values] for part in (high, low))
        won += int((a[:, None] < b[None, :]).sum())
        n += a.size * b.size
    return (won / n if n else np.nan), n


def _flatter(panel: Panel, high: xr.DataArray, low: xr.DataArray) -> tuple[str, str]:
    share, n = _pairs(panel, high, low)
    symbol = panel_words(panel).symbol
    if not n:
        return f"no {symbol} has runs of high and of low loss", OPEN
    text = (
        f"of two runs with equal {symbol}, one with a high and one with a low loss, the first is the flatter in "
        f"{percent(share)} of {counted(n, 'pair')}"
    )
    return text, HOLDS if share > 0.5 else FAILS


def _pronounced(panel: Panel, high: xr.DataArray, low: xr.DataArray, hard: xr.DataArray) -> tuple[str, str]:
    """Whether more runs with large coefficients than others have a high loss and less curvature than those with a low one."""
    lambdas = panel.seeded("lambda_max")
    middle = lambdas.where(low).median(["n_data", "seed"])
    deceiving = high & (lambdas < middle)
    symbol = panel_words(panel).symbol
    groups = [(deceiving & part, part) for part in (hard, (high | low) & ~hard)]
    (many, all_hard), (few, all_easy) = ((int(a.sum()), int(b.sum())) for a, b in groups)
    if not all_hard or not all_easy:
        return f"runs on both sides of {symbol} = {HARD:g} were not measured", OPEN
    text = (
        f"a high loss, and less curvature than the median run of low loss at the same {symbol}: "
        f"{many} of {counted(all_hard, 'run')} there, {few} of {counted(all_easy, 'run')} below"
    )
    return text, HOLDS if many / all_hard > few / all_easy else FAILS


def _middle(panel: Panel, quantity: str, inside: np.ndarray) -> str:
    """Median of a quantity over some runs."""
    values = panel.seeded(quantity).values[inside]
    return number(float(np.nanmedian(values))) if np.isfinite(values).any() else "n/a"
