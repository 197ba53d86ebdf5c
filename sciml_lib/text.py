"""The text of a chapter: Markdown in a cell of the notebook, whose numbers are filled in when it is executed.

A cell that begins with ``%%markdown`` is text. ``{{ n }}`` is the value of a name of the notebook, ``{{ share | percent }}``
that value in the words of :mod:`sciml_lib.prose`, and ``{% if n %} .. {% endif %}`` a part that is there if its condition
holds. A name that the notebook does not have is an error, and never an empty place.

What a person concludes from the stored runs is true of the stored runs. Such a paragraph stands inside
``{% if supported(condition) %} .. {% endif %}``, with the condition that carries it. Where the condition does not hold, the
paragraph is left out with a note; and ``make book`` fails, so that somebody rewrites it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from sciml_lib import prose
from sciml_lib.errors import UserError
from sciml_lib.prose import say

__all__ = ["STRICT", "fill", "load_ipython_extension", "say", "table", "tabulated"]

if TYPE_CHECKING:
    import jinja2
    import pandas as pd

STRICT = "SCIML_STRICT_TEXT"
"""Set to 1 in the environment, an interpretation that the data do not support is an error; ``make book`` sets it."""

UNSUPPORTED = "*(An interpretation stood here that these runs do not support; it was written for the stored ones.)*"

_FILTERS = (
    "capitalised",
    "counted",
    "duration",
    "in_words",
    "is_are",
    "listed",
    "none_or",
    "number",
    "part_of",
    "percent",
    "share_span",
    "span",
)


def fill(template: str, names: Mapping[str, Any]) -> str:
    """Fills the text of a cell.

    Args:
        template: Markdown with places to fill, in the language of Jinja.
        names: values by name; ``profile`` among them says whether conclusions are drawn at all: not in ``smoke``.

    Returns:
        Markdown.

    Raises:
        UserError: if the text asks for a name that there is not, cannot be read, or concludes what the data do not support
            while :data:`STRICT` is set.
    """
    import jinja2

    unsupported = []

    def supported(condition: Any) -> bool:
        """Whether a conclusion is drawn; notes where it was not."""
        if bool(condition):
            return names.get("profile") != "smoke"
        if names.get("profile") != "smoke":
            unsupported.append(template)
        return False

    try:
        text = _environment().from_string(template).render({**names, "supported": supported})
    except jinja2.TemplateError as error:
        begin = _first_line(template)
        raise UserError(f"the text of the cell that begins with {begin!r} cannot be filled: {error}") from None
    if unsupported and os.environ.get(STRICT) == "1":
        raise UserError(
            f"the runs do not support what is concluded in the cell that begins with {_first_line(template)!r}; read it beside "
            "the data, and rewrite it or its condition"
        )
    return f"{text.rstrip()}\n\n{UNSUPPORTED}" if unsupported else text


@cache
def _environment() -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {name: getattr(prose, name) for name in _FILTERS}
    environment.filters["values"] = lambda values: prose.listed(f"{value:g}" for value in values)
    environment.filters["whole"] = lambda value: f"{round(value):,}"
    return environment


def _first_line(template: str) -> str:
    return next((line for line in template.splitlines() if line.strip()), "")


def load_ipython_extension(shell: Any) -> None:
    """Gives a notebook the cell magic ``%%markdown``."""
    shell.register_magic_function(lambda _, cell: say(fill(cell, shell.user_ns)), "cell", "markdown")


def table(
    frame: pd.DataFrame,
    columns: Mapping[str, str],
    index: str = "",
    formats: Mapping[str, Callable[[Any], str]] | None = None,
    *,
    of_text: bool = False,
) -> Any:
    """Shows some columns of a data frame as a table, see :func:`tabulated`."""
    return say(tabulated(frame, columns, index, formats, of_text=of_text))


def tabulated(
    frame: pd.DataFrame,
    columns: Mapping[str, str],
    index: str = "",
    formats: Mapping[str, Callable[[Any], str]] | None = None,
    *,
    of_text: bool = False,
) -> str:
    """Some columns of a data frame as a table in Markdown, for a place in the text of a cell.

    Args:
        frame: one row a line; its index is the first column.
        columns: head of each column, by its name, in their order.
        index: head of the first column.
        formats: how the entries of a column are written, by its name; numbers with two digits by default. NaN and None are
            empty.
        of_text: whether the columns are texts, aligned left, and not numbers.
    """
    written = dict(formats or {})

    def entry(name: str, value: Any) -> str:
        if value is None or value != value:
            return ""
        if name in written:
            return written[name](value)
        return prose.number(value) if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)

    lines = zip(frame.index, frame.astype(object).to_dict("records"), strict=True)
    rows = [[str(label), *(entry(name, row[name]) for name in columns)] for label, row in lines]
    return prose.table([index, *columns.values()], rows, of_text=of_text)
