"""Tables of facts that people write: one line a fact, read with every mistake named by file and line."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from sciml_lib import keeper
from sciml_lib.errors import UserError


def data_file(name: str) -> Path:
    """A table that comes with the library."""
    return Path(str(resources.files("sciml_lib.ledger").joinpath("data", name)))


def lines_of(path: str | os.PathLike[str], columns: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
    """Reads a table.

    Args:
        path: a CSV file; its first line names the columns.
        columns: their names, in order.

    Returns:
        One pair a fact: where it stands, as ``differences.csv, line 7``, and its entries by column, without outer blanks.

    Raises:
        UserError: if the file cannot be read, its first line is another, or a line has too few or too many entries.
    """
    raw = keeper.read_bytes(Path(path))
    if raw is None:
        raise UserError(f"{path} is missing; restore it")
    name = Path(path).name
    try:
        reader = csv.reader(io.StringIO(raw.decode("utf-8")), strict=True)
        rows = [(reader.line_num, row) for row in reader]
    except (csv.Error, UnicodeDecodeError) as error:
        raise UserError(f"{name} is not a table of comma-separated values ({error}); restore it") from error
    if not rows or rows[0][1] != list(columns):
        raise UserError(f"{name}, line 1 must name the columns {','.join(columns)}; restore it")
    found = []
    for number, row in rows[1:]:
        where = f"{name}, line {number}"
        if len(row) != len(columns):
            raise UserError(f"{where} has {len(row)} entries and not {len(columns)}; put a text with a comma in quotes")
        found.append((where, dict(zip(columns, (entry.strip() for entry in row), strict=True))))
    return found


def required(where: str, entries: dict[str, str], names: Sequence[str]) -> None:
    """Refuses a fact with an empty entry.

    Raises:
        UserError: it names the place and the column.
    """
    for name in names:
        if not entries[name]:
            raise UserError(f"{where} has no {name}; fill it in")


def one_of(where: str, name: str, value: str, choices: Sequence[str]) -> None:
    """Refuses a word that is not among those there are.

    Raises:
        UserError: it names the place, the column and the words.
    """
    if value not in choices:
        raise UserError(f"{where} has {name}={value!r}; write one of {', '.join(choices)}")
