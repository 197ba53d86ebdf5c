"""Where the paper and its released code differ or are silent, what this book follows, and what the difference changes.

The facts stand in ``data/differences.csv``, one line each. Their effect is not among them: :func:`effects` computes it from
the stored runs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields

import pandas as pd

from sciml_lib.analysis.effects import Effect, compare
from sciml_lib.errors import UserError
from sciml_lib.ledger.records import data_file, lines_of, one_of, required
from sciml_lib.panels import Panel
from sciml_lib.sweeps import catalog

FAMILIES = {
    "pinn": "PINNs: networks, equations, trainings",
    "pendulum": "NODE and PINODE",
    "maps": "Regime maps",
    "landscapes": "Landscapes",
    "operators": "FNO and PINO",
    "classifier": "The image classifier",
}
"""What a difference concerns, and the title of its table."""

FOLLOWS = ("paper", "code", "both", "own", "none")
"""Whose word this book follows; ``own`` is a choice of ours, ``none``: it is no part of this book."""

COLUMNS = ("id", "family", "subject", "place", "paper", "code", "follows", "why", "measured", "chapter", "reason")

_ID = re.compile(r"[a-z]+-[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Difference:
    """One difference.

    Attributes:
        id: its name, such as ``pinn-d14``.
        family: what it concerns, one of :data:`FAMILIES`.
        subject: what it is about, in a few words.
        place: where the paper has it.
        paper: what the paper says.
        code: what the released code does, or a published figure shows.
        follows: whose word this book follows, one of :data:`FOLLOWS`.
        why: why; empty where it is no part of this book.
        measured: the pairs of sweeps that measure its effect: as the book has it, and otherwise.
        chapter: where the book tells more, as a path below ``book/``; empty if nowhere.
        reason: why no sweeps measure it; empty if some do, or the chapter shows it in another quantity.
    """

    id: str
    family: str
    subject: str
    place: str
    paper: str
    code: str
    follows: str
    why: str
    measured: tuple[tuple[str, str], ...]
    chapter: str
    reason: str


def read(path: str | os.PathLike[str] | None = None) -> tuple[Difference, ...]:
    """Reads the register.

    Args:
        path: of another table; by default the one that comes with the library.

    Raises:
        UserError: if an entry is missing, given twice, or names what there is not; it names file and line.
    """
    found: dict[str, Difference] = {}
    for where, entries in lines_of(path or data_file("differences.csv"), COLUMNS):
        one = _checked(where, entries)
        if one.id in found:
            raise UserError(f"{where} has the id {one.id} a second time; choose another")
        found[one.id] = one
    return tuple(found.values())


def _checked(where: str, entries: dict[str, str]) -> Difference:
    """A line as a difference."""
    needed = ("id", "family", "subject", "place", "paper", "code", "follows")
    required(where, entries, needed if entries["follows"] == "none" else (*needed, "why"))
    if not _ID.fullmatch(entries["id"]):
        raise UserError(f"{where} has the id {entries['id']!r}; write small letters and digits with a hyphen, such as pinn-d14")
    one_of(where, "family", entries["family"], tuple(FAMILIES))
    one_of(where, "follows", entries["follows"], FOLLOWS)
    pairs = tuple(_pair(where, text) for text in entries["measured"].split(";") if text.strip())
    if pairs and entries["reason"]:
        raise UserError(f"{where} has sweeps that measure it and a reason why none does; keep one of the two")
    if not (pairs or entries["reason"] or entries["chapter"]):
        raise UserError(f"{where} has neither sweeps that measure it, nor a chapter, nor a reason; give one of them")
    return Difference(**{**entries, "measured": pairs})


def _pair(where: str, text: str) -> tuple[str, str]:
    """Two sweeps, written ``as the book has it > otherwise``."""
    names = [name.strip() for name in text.split(">")]
    if len(names) != 2:
        raise UserError(f"{where} has measured={text.strip()!r}; write two sweeps as base > other")
    for name in names:
        try:
            catalog.get(name)
        except UserError as error:
            raise UserError(f"{where}: {error}") from error
    return names[0], names[1]


def effects(register: Sequence[Difference], runs: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """Computes what each difference changes, from the stored runs; nothing is trained.

    Args:
        register: the differences.
        runs: the folder of all stores; by default see :func:`~sciml_lib.sweeps.places.runs_folder`.

    Returns:
        One row a pair of sweeps: ``id``, ``base``, ``other``, what is ``missing`` (the ids of sweeps of which nothing is
        stored, empty if both are there), and what :class:`~sciml_lib.analysis.effects.Effect` has, NaN or None where
        something is missing.

    Raises:
        UserError: if a store is not in order.
    """
    panels: dict[str, Panel | None] = {}
    rows = []
    for one in register:
        for pair in one.measured:
            for name in pair:
                if name not in panels:
                    panels[name] = Panel.stored(name, runs)
            base, other = (panels[name] for name in pair)
            missing = tuple(name for name in dict.fromkeys(pair) if panels[name] is None)
            row = {"id": one.id, "base": pair[0], "other": pair[1], "missing": missing}
            if base is not None and other is not None:
                effect = compare(base, other)
                row |= asdict(effect) | {"share": effect.share}
            rows.append(row)
    columns = ["id", "base", "other", "missing", *(field.name for field in fields(Effect)), "share"]
    ratios = dict.fromkeys(("test_ratio", "train_ratio", "share"), float)
    return pd.DataFrame(rows, columns=columns, dtype=object).astype(ratios)  # a whole number stays one beside what is missing
