"""What section 2.2 of the paper says of several model families (paper Fig. 1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
import xarray as xr

from sciml_lib import rollouts
from sciml_lib.analysis import families, structure
from sciml_lib.ledger import convection, maps
from sciml_lib.ledger.contract import Claim, Reading, Settling, Source, scope_of, unread
from sciml_lib.panels import Panel
from sciml_lib.prose import listed, number

TITLE = "Model families (section 2.2)"
CHAPTER = "regimes/model_families"
CODE, OWN, TEXT, RAW = "as in the code", "own batches", "the text", "angle and velocity"
HALF = "Adam, half"
"""Half of Adam's epochs, as many as it has in the released script for NNCG."""

NODE = {CODE: "adam", OWN: "adam-own", TEXT: "adam-plain", RAW: "adam-raw"}
"""Readings of the NODE, by the last part of their sweeps' names."""

READINGS = (CODE, OWN)
"""The readings of the NODE that the claims are judged by; where they disagree a claim is open. The text's rate never falls."""

PINODE = {
    "Adam": "adam", "Adam, no physics": "adam-data", "Adam, the text": "adam-plain", "Adam, own batches": "adam-own",
    "Adam, no factor": "adam-unscaled", HALF: "adam-half", "L-BFGS": "lbfgs", "ALM": "alm", "NNCG": "nncg",
    "NNCG after Adam": "nncg-adam", "NNCG, tight": "nncg-tight", "CL": "cl",
}  # fmt: skip
"""Every variant of the PINODE that is in the catalog."""

CHANCE = 0.05
"""Rows of two maps that differ as much by chance less often than this are told apart."""

_STEEP = (
    "along the coefficient the training loss rises across the border by a larger factor, and with a larger exponent of the "
    f"coefficient above its floor, in the median row; rows of one kind differ as much with a chance below {CHANCE:g}"
)
CLAIMS = (
    *maps.claims_of("families-node", "NODE", "Fig. 1(d)", CHAPTER),
    *maps.claims_of("families-pinode", "PINODE", "Fig. 1(e)", CHAPTER),
    Claim(
        "families-sharper-pinn", "section 2.2, paper Fig. 1(a) and (d)", "PINNs have sharper transitions than NODEs",
        "all rows that cross the training border", _STEEP, CHAPTER,
        Settling("all rows of the map of the PINN, with three seeds", convection.SWEEP, seeds=3),
    ),
    Claim(
        "families-sharper-physics", "section 2.2, paper Fig. 1(d) and (e)",
        "physics makes transitions sharper: those of PINODEs are sharper than those of NODEs",
        "all rows that cross the training border", _STEEP, CHAPTER,
    ),
    Claim(
        "families-trained", "section 2.2, paper Fig. 1(e)", "the PINODE of paper Fig. 1(e) was trained with L-BFGS",
        "the whole map", "of all variants of the PINODE L-BFGS has the largest kappa with the published labels, each variant "
        "by the row of paper Table 5 that serves it best (its own, Adam's or that of L-BFGS), with any one seed left out",
        CHAPTER,
    ),
)  # fmt: skip
"""What the paper says that these maps can test."""


def gather(source: Source) -> tuple[Panel, dict[str, Panel], dict[str, Panel]]:
    """The map of the PINN with every row that is stored, the readings of the NODE, and the variants of the PINODE."""
    node = {name: source.panel(f"node/pendulum/{variant}") for name, variant in NODE.items()}
    pinode = {name: source.panel(f"pinode/pendulum/{variant}") for name, variant in PINODE.items()}
    return *convection.gather(source), node, pinode


def read(pinn: Panel, node: Mapping[str, Panel], pinode: Mapping[str, Panel]) -> dict[str, Reading]:
    """What the runs say of each claim.

    Args:
        pinn: the map of the PINN.
        node: the maps of :data:`NODE`.
        pinode: the maps of :data:`PINODE`.
    """
    rival = {name: node[name] for name in READINGS}
    batches = {CODE: pinode["Adam"], OWN: pinode["Adam, own batches"], TEXT: pinode["Adam, the text"]}
    batches[HALF] = pinode[HALF]
    found = {f"families-node-{name}": one for name, one in _judged(rival, rival | {TEXT: node[TEXT]}).items()}
    found |= {f"families-pinode-{name}": one for name, one in _judged({CODE: pinode["Adam"]}, batches).items()}
    return found | {
        "families-sharper-pinn": maps.joined({name: _sharper(pinn, one) for name, one in rival.items()}),
        "families-sharper-physics": maps.joined({name: _sharper(pinode["Adam"], one) for name, one in rival.items()}),
        "families-trained": _trained(pinode, "L-BFGS"),
    }


def _judged(readings: Mapping[str, Panel], rivals: Mapping[str, Panel]) -> dict[str, Reading]:
    """What a map says of the claims, which all readings of its recipe have to agree on.

    A published map has come out again if it has by one of the rivals, that with the largest kappa; the others are told.
    """
    parts = {name: maps.readings_of(panel) for name, panel in readings.items()}
    found = {key: maps.joined({name: part[key] for name, part in parts.items()}) for key in next(iter(parts.values()))}
    kappas = {name: panel.agreement.kappa for name, panel in rivals.items()}
    best = max(kappas, key=lambda name: np.nan_to_num(kappas[name], nan=-1.0))
    nearest = parts[best] if best in parts else maps.readings_of(rivals[best])
    others = listed(f"{kappa:.2f} ({name})" for name, kappa in kappas.items() if name != best)
    labels = replace(nearest["labels"], found=f"{best}: {nearest['labels'].found}; by the other readings kappa {others}")
    return found | {"labels": labels, "each": replace(nearest["each"], found=f"{best}: {nearest['each'].found}")}


def floor_of(panel: Panel) -> xr.DataArray | float:
    """What of the training loss of a map no training can take away: with physics, the error of the time step."""
    return rollouts.euler_floor(panel) if panel.sweep.startswith("pinode/") else 0.0


def _published_rises(panel: Panel) -> pd.DataFrame:
    theirs = panel.published
    read = ~(theirs["train_loss_low"] | theirs["train_loss_high"] | theirs["train_loss_hidden"])
    return structure.rises(theirs["train_loss"].where(read), panel.thresholds.train)


def sharper(ours: pd.DataFrame, theirs: pd.DataFrame) -> tuple[bool | None, bool, str]:
    """Whether one map is steeper than another by both measures, whether that is more than chance, and both in words."""
    found = structure.steeper(ours, theirs)
    if any(np.isnan(chance) for *_, chance in found.values()):
        return None, False, "one of the two has no row that crosses the border"
    signs = {a > b for a, b, _ in found.values()}
    text = listed(f"{name} {a:.2g} and {b:.2g}" for name, (a, b, _) in found.items())
    text += f" in the median of {len(ours)} and {len(theirs)} rows"
    return signs.pop() if len(signs) == 1 else None, max(chance for *_, chance in found.values()) < CHANCE, text


def _sharper(panel: Panel, other: Panel) -> Reading:
    ours, theirs = (structure.rises(one.train, one.thresholds.train, floor_of(one)) for one in (panel, other))
    scope = scope_of([panel, other])
    if not len(ours) or not len(theirs):
        return unread("one of the two has no row that crosses the border", scope.profile)
    right, clear, text = sharper(ours, theirs)
    published = [_published_rises(one) for one in (panel, other)]
    passes = sharper(*published)[0] if min(map(len, published)) >= 3 else None
    return Reading(text, right, scope, min(len(ours), len(theirs)), "row", 3, clear, passes)


def _trained(variants: Mapping[str, Panel], claimed: str) -> Reading:
    """Whether the map of one variant is nearer to the published one than all others."""
    judges = {name: variants[name].thresholds for name in ("Adam", claimed)}

    def best(panels: Mapping[str, Panel]) -> pd.Series:
        return families.kappas(panels, judges).max(axis=1).fillna(-1.0)

    def first(kappa: pd.Series) -> bool | None:
        others = kappa.drop(claimed).max()
        return None if others == kappa[claimed] else bool(kappa[claimed] > others)

    kappa = best(variants)
    right, top = first(kappa), kappa.drop(claimed).nlargest(2)
    pair = (claimed, top.index[0])
    cut = [dict(zip(pair, p, strict=True)) for p in zip(*(maps.without_each_seed(variants[n]) for n in pair), strict=False)]
    text = f"the largest kappa of {claimed} is {kappa[claimed]:.2f}, those of the nearest others " + listed(
        f"{value:.2f} ({name})" for name, value in top.items()
    )
    own, theirs = (float(loss.max()) for loss in (variants[claimed].train, variants[claimed].published["train_loss"]))
    text += f"; its training loss is at most {number(own)}, the published one reaches {number(theirs)}"
    clear = all(first(best(one)) == right for one in cut)
    scope = scope_of(list(variants.values()))
    # A rival's Regime II is no failure of its training; that of the claimed one would be.
    scope = replace(scope, by_budget=scope_of(variants[claimed]).by_budget)
    return Reading(text, right, scope, variants[claimed].agreement.n, "cell", maps.COMPARED, clear)
