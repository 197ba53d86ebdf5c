"""What the chapter on barriers says of step lengths: the exponents of Fig. 14, and how much they can tell."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from sciml_lib import figures
from sciml_lib.landscape import power_law
from sciml_lib.ledger import FAILS, HOLDS, OPEN, Statement
from sciml_lib.prose import counted, listed, number, percent, table
from sciml_lib.studies import Results
from sciml_lib.studies.trajectories import warm_up
from sciml_lib.sweeps import catalog

SLOW, FAST = 5.0, 20.0
"""The two speeds of Fig. 14."""

FEWEST = 50
"""Steps from which on a law is fitted."""

BOUND = 3.0
"""Largest exponent that release 2.0 of ``powerlaw`` allows by default."""

MOST = 0.75
"""Share of pairs from which on one group is said to be larger than another."""


def step_tails(jumps: Results) -> pd.DataFrame:
    """Fits the law of Fig. 14 to every run with enough steps, without a bound on its exponent.

    Returns:
        One row a run: coefficient, n_data, seed, rate, passed (iteration at which the threshold was; -1 if it never was),
        warm (whether that was during the warm-up), steps, alpha, sigma, n_tail, valid (NaN and False where too few steps
        are stored for a law), median and longest step, final_loss.
    """
    rows = []
    for item, arrays in jumps.items.items():
        norms, passed = arrays["norms"], int(arrays["passed"])
        fit = {"alpha": np.nan, "sigma": np.nan, "n_tail": 0, "valid": False}
        if len(norms) >= min(FEWEST, jumps.attrs["recipe"]["steps"]):
            law = power_law(norms)
            fit = {"alpha": law.alpha, "sigma": law.sigma, "n_tail": law.n_tail, "valid": law.in_range}
        rows.append(
            {
                "coefficient": item.coefficient,
                "n_data": item.n_data,
                "seed": item.seed,
                "rate": float(item.variant.removeprefix("eta")),
                "passed": passed,
                "warm": 0 <= passed <= _warm_up(jumps, item.sweep),
                "steps": len(norms),
                **fit,
                "median": float(np.median(norms)) if len(norms) else np.nan,
                "longest": float(norms.max()) if len(norms) else np.nan,
                "final_loss": float(arrays["final_loss"][-1]),
            }
        )
    return pd.DataFrame(rows).sort_values(["coefficient", "rate", "seed"], ignore_index=True)


def _warm_up(jumps: Results, sweep: str) -> int:
    return warm_up(catalog.get(sweep).at("smoke" if jumps.attrs["profile"] == "smoke" else "paper"))


def jump_choices(jumps: Results, tails: pd.DataFrame) -> str:
    """Says what of Fig. 14 is not on record, what was chosen here, and how many runs passed the threshold."""
    recipe = jumps.attrs["recipe"]
    amounts = listed(f"{n:,}" for n in sorted(tails["n_data"].unique()))
    rates = sorted(tails["rate"].unique())
    tried = f"the learning {'rate' if len(rates) == 1 else 'rates'} {listed(f'{rate:g}' for rate in rates)}"
    passed, warm = tails["passed"] >= 0, tails["warm"]
    text = (
        "The paper does not say how many points its PINNs had, which threshold their loss had to pass, how many steps "
        "followed, or which learning rates were tried, and no code for them is released; that for the ResNet records 200 "
        f"steps. Here: {amounts} points, a threshold of {number(recipe['threshold'], 3)}, {tried}, and up "
        f"to {counted(recipe['steps'], 'step')} of L-BFGS after the threshold (looked for every {recipe['every']} iterations). "
        f"It was passed by {_of(passed)}"
    )
    if warm.any():
        speeds = listed(f"β = {beta:g}" for beta in sorted(tails.loc[warm, "coefficient"].unique()))
        text += (
            f", by {_of(warm, plain=True)} during the warm-up with Adam already ({speeds}), where the steps begin with L-BFGS"
        )
    text += "."
    if not passed.all():
        losses = tails.loc[~passed, "final_loss"]
        text += (
            f" The others ended with a loss of {_range(losses)} and have no steps to look at"
            f" ({listed(_failures(tails[~passed]))})."
        )
    short = passed & tails["alpha"].isna()
    if short.any():
        rows = tails[short]
        where = f"{listed(_failures(rows))}; loss {_range(rows['final_loss'])}"
        text += (
            f" After {_counts(rows['steps'])} already L-BFGS stopped by itself in {counted(len(rows), 'run')} ({where}); that "
            "is too little for a law."
        )
    return text


def _of(mask: pd.Series, *, plain: bool = False) -> str:
    return f"{int(mask.sum())}" if plain else f"{int(mask.sum())} of {counted(len(mask), 'run')}"


def _failures(rows: pd.DataFrame) -> list[str]:
    return [f"β = {beta:g}: {counted(len(group), 'run')}" for beta, group in rows.groupby("coefficient")]


def jumps_figure(tails: pd.DataFrame, title: str) -> Figure:
    """Draws the exponent of every run over the learning rate, a panel a speed."""
    return figures.seed_strip(
        tails,
        x="rate",
        value="alpha",
        x_label=r"learning rate $\eta$",
        value_label=r"exponent $\alpha$",
        title=title,
        coefficient_name="β",
        data_name="$N_f$",
        columns=2,
        logarithmic=False,
    )


def jump_table(tails: pd.DataFrame) -> str:
    """Tabulates the exponents, and on how many steps and how safely they stand."""
    rows = []
    for (beta, rate), group in tails.dropna(subset=["alpha"]).groupby(["coefficient", "rate"]):
        rows.append(
            [
                f"{beta:g}",
                f"{rate:g}",
                len(group),
                number(group["alpha"].median()),
                _range(group["alpha"]),
                number(group["sigma"].median()),
                f"{group['n_tail'].median():g} of {group['steps'].median():g}",
                number(group["median"].median()),
                number((group["longest"] / group["median"]).median()),
            ]
        )
    header = ["β", "learning rate", "runs", "exponent, median", "lowest to highest", "standard error", "steps in the fit"]
    text = table([*header, "median step", "longest over median step"], rows)
    share = (tails["n_tail"] / tails["steps"].where(tails["steps"] > 0)).median()
    invalid = int((~tails["valid"] & tails["alpha"].notna()).sum())
    if not rows:
        return "No run has enough steps for a law."
    text += (
        f"\n\nThe law is fitted to the tail of the *reciprocals*, that is to the shortest steps: the shortest {percent(share)} "
        "of them in the median run. A jump would be a long step, which the fit leaves out; the last column looks at those."
    )
    above = int((tails["alpha"] > BOUND).sum())
    if above:
        text += (
            f" {above} of {counted(int(tails['alpha'].notna().sum()), 'exponent')} {'is' if above == 1 else 'are'} above "
            f"{BOUND:g}, the largest that the present release of the package finds unless it is told otherwise, as here."
        )
    if invalid:
        text += f" In {counted(invalid, 'run')} no choice of the tail gives an exponent in the range that the package allows."
    return text


def larger_alpha(tails: pd.DataFrame) -> float:
    """Share of pairs (a fast run, a slow run) with one learning rate in which the fast one has the larger exponent."""
    known = tails.dropna(subset=["alpha"])
    won, pairs = 0.0, 0
    for _, group in known.groupby("rate"):
        fast, slow = (group.loc[group["coefficient"] == beta, "alpha"].to_numpy() for beta in (FAST, SLOW))
        difference = fast[:, None] - slow[None, :]
        won += float((difference > 0).sum() + 0.5 * (difference == 0).sum())
        pairs += difference.size
    return won / pairs if pairs else np.nan


def rate_spread(tails: pd.DataFrame) -> dict[float, tuple[float, float, float]]:
    """By speed: spread of the medians over the learning rates, median spread of the seeds at one rate, rank correlation.

    Rates with one run say nothing of seeds and are left out, and so are speeds with fewer than two other rates.
    """
    found = {}
    for beta, group in tails.dropna(subset=["alpha"]).groupby("coefficient"):
        group = group[group.groupby("rate")["alpha"].transform("size") > 1]
        by_rate = group.groupby("rate")["alpha"]
        seeds = by_rate.max() - by_rate.min()
        if len(by_rate) < 2:
            continue
        constant = group["alpha"].nunique() == 1
        rank = np.nan if constant else float(stats.spearmanr(group["rate"], group["alpha"]).statistic)
        medians = by_rate.median()
        found[float(beta)] = (float(medians.max() - medians.min()), float(seeds.median()), rank)
    return found


def rate_words(tails: pd.DataFrame) -> str:
    """Says whether the learning rate matters, beside what the seeds do."""
    spread = rate_spread(tails)
    if not spread:
        return "With one learning rate, or one seed of each, nothing can be said of its influence."
    rows = [
        [f"{beta:g}", number(rates), number(seeds), "n/a" if np.isnan(rank) else f"{rank:+.2f}", number(_sigma(tails, beta))]
        for beta, (rates, seeds, rank) in spread.items()
    ]
    header = ["β", "spread over the learning rates", "spread over the seeds", "rank correlation with the rate"]
    text = table([*header, "standard error of one exponent"], rows)
    calm = [beta for beta, (rates, seeds, _) in spread.items() if rates <= seeds]
    moved = [beta for beta in spread if beta not in calm]
    sentences = ["With a strong Wolfe line search the learning rate is the first trial of a step and no more."]
    if calm:
        sentences.append(f"At {_speeds(calm)} its medians differ by no more than the seeds of one rate do.")
    if moved:
        sentences.append(f"At {_speeds(moved)} its medians differ by more than the seeds of one rate do.")
    spoken = " ".join([*sentences, *_stopped(tails)])
    return f"{text}\n\n*Spread*: highest minus lowest; rates with one exponent are left out. {spoken}"


def _stopped(tails: pd.DataFrame) -> list[str]:
    """Says at which rates runs stopped before they had made enough steps, if not equally often at all."""
    short = ((tails["passed"] >= 0) & tails["alpha"].isna()).groupby(tails["rate"])
    counts = short.sum()
    if counts.nunique() < 2:
        return []
    sizes = short.size()
    found = listed(f"{counts[rate]} of {sizes[rate]} at {rate:g}" for rate in counts.index)
    return [f"But it decides how many runs stop after a few steps: {found}."]


def _sigma(tails: pd.DataFrame, beta: float) -> float:
    return float(tails.loc[tails["coefficient"] == beta, "sigma"].median())


def _speeds(values: list[float]) -> str:
    return f"β = {listed(f'{value:g}' for value in values)}"


def _counts(values: pd.Series) -> str:
    low, high = int(values.min()), int(values.max())
    return counted(low, "step") if low == high else f"{low} to {counted(high, 'step')}"


def _range(values: pd.Series) -> str:
    low, high = number(float(values.min())), number(float(values.max()))
    return low if low == high else f"{low} to {high}"


def jump_statements(tails: pd.DataFrame) -> list[Statement]:
    """Evaluates what appendix F.3 says of the PINNs."""
    return [
        _faster(tails),
        _stable(tails),
        Statement("PINNs have larger exponents than ResNet-18", "the ResNet was not run", OPEN),
    ]


def _faster(tails: pd.DataFrame) -> Statement:
    claim = f"β = {FAST:g} has larger exponents than β = {SLOW:g}, that is, fewer jumps"
    share = larger_alpha(tails)
    if np.isnan(share):
        return Statement(claim, "only one of the two speeds has exponents", OPEN)
    known = tails.dropna(subset=["alpha"]).groupby("coefficient")["alpha"]
    medians = known.median()
    text = (
        f"in {percent(share)} of all pairs with one learning rate; medians {number(float(medians[FAST]))} and "
        f"{number(float(medians[SLOW]))}"
    )
    return Statement(claim, text, HOLDS if share >= MOST else FAILS)


def _stable(tails: pd.DataFrame) -> Statement:
    claim = "the exponents of the PINNs hardly depend on the learning rate"
    spread = rate_spread(tails)
    if not spread:
        return Statement(claim, "one learning rate, or one seed of each", OPEN)
    text = "; ".join(
        f"β = {beta:g}: medians differ by {number(rates)}, seeds by {number(seeds)}"
        for beta, (rates, seeds, _) in spread.items()
    )
    return Statement(claim, text, HOLDS if all(rates <= seeds for rates, seeds, _ in spread.values()) else FAILS)
