"""What appendix F.3 of the paper says of the steps of PINNs, beside Fig. 14. Its ResNet is not run here."""

from __future__ import annotations

import pandas as pd

from sciml_lib.analysis.jumps import FAST, SLOW, chance_of_larger, larger_alpha, rate_effect, step_tails
from sciml_lib.ledger.contract import FEWEST_SEEDS, Claim, Reading, Scope, Settling, Source, unread
from sciml_lib.prose import counted, number, percent
from sciml_lib.studies import Results
from sciml_lib.studies.jumps import RATES

TITLE = "Jumps between basins (appendix F.3)"

CHANCE = 0.05
"""A difference that chance alone gives more often than this is within its noise: the usual five per cent."""

STABLE = 1.1
"""Exponents are stable if they change by less than this: the range, 1.7 to 2.8, of those of the ResNet that are stored beside
the released code, whose change with the learning rate the paper calls a drop."""

_MORE = Settling("the study `jumps` with more seeds at every learning rate, and the settings that the paper does not give")
_SCOPE = f"β = {SLOW:g} and {FAST:g}, learning rates {RATES[0]:g} to {RATES[-1]:g}; points, threshold and rates are ours"
CLAIMS = (
    Claim(
        "jumps-speed", "appendix F.3, paper Fig. 14",
        f"late steps of L-BFGS jump less at β = {FAST:g} than at β = {SLOW:g}: their exponents are larger", _SCOPE,
        "larger in most pairs with one learning rate, and of the ways to deal the exponents of a rate out to both speeds at "
        f"most {percent(CHANCE)} give that by chance",
        "landscapes/barrier", _MORE,
    ),
    Claim(
        "jumps-rate", "appendix F.3, paper Fig. 14", "the exponents hardly depend on the learning rate", _SCOPE,
        f"a test of equivalence: for both speeds no two learning rates differ by {STABLE:g} or more (the range of the ResNet's "
        "exponents beside the released code), each with an error of 5 %",
        "landscapes/barrier", _MORE,
    ),
)  # fmt: skip
"""What the paper says that these runs can test."""


def gather(source: Source) -> tuple[Results]:
    """The study of late steps."""
    return (source.study("jumps"),)


def read(jumps: Results) -> dict[str, Reading]:
    """What the runs say of each claim."""
    tails, profile = step_tails(jumps), jumps.attrs["profile"]
    return {"jumps-speed": _larger(tails, profile), "jumps-rate": _stable(tails, profile)}


def _scope(tails: pd.DataFrame, profile: str) -> Scope:
    """A speed at a learning rate is a cell, and is run where two seeds or more have an exponent."""
    known = tails.dropna(subset=["alpha"]).groupby(["coefficient", "rate"]).size()
    known = known[known >= FEWEST_SEEDS]
    return Scope(profile, len(known) / (2 * len(RATES)), int(known.min()) if len(known) else 0)


def _missing(tails: pd.DataFrame) -> str:
    lost = int(tails["alpha"].isna().sum())
    return f"{lost} of {counted(len(tails), 'run')} have no exponent" if lost else "every run has an exponent"


def _larger(tails: pd.DataFrame, profile: str) -> Reading:
    share = larger_alpha(tails)
    if share != share:
        return unread(f"no learning rate has exponents of both speeds; {_missing(tails)}", profile)
    larger = share > 0.5
    chance = chance_of_larger(tails)[0 if larger else 1]
    text = (
        f"larger in {percent(share)} of the pairs with one learning rate; chance gives a share that is as far from one half in "
        f"{percent(chance)}; {_missing(tails)}"
    )
    units = int(tails["alpha"].notna().sum())
    return Reading(text, larger, _scope(tails, profile), units=units, unit="run", needed=8, clear=chance <= CHANCE)


def _stable(tails: pd.DataFrame, profile: str) -> Reading:
    effect = rate_effect(tails)
    if len(effect) < 2:
        return unread(f"too few learning rates have two exponents at both speeds; {_missing(tails)}", profile)
    text = "; ".join(
        f"β = {row.Index:g}: two rates differ by up to {number(row.change)}, and surely by less than {number(row.below)}"
        for row in effect.itertuples()
    )
    stable, varies = bool((effect["below"] < STABLE).all()), bool((effect["above"] > STABLE).any())
    units = int(tails["alpha"].notna().sum())
    return Reading(
        f"{text}; {_missing(tails)}", bool((effect["change"] < STABLE).all()), _scope(tails, profile),
        units=units, unit="run", needed=8, clear=stable or varies,
    )  # fmt: skip
