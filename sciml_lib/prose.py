"""Numbers as words: what the sentences, tables and lines of provenance of a chapter are made of.

No number of the book that comes from a run is typed by hand; a chapter fills its sentences with these
functions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any


def counted(n: int, word: str, plural: str = "") -> str:
    """Returns ``1 cell`` or ``1,200 cells``; zero is written ``no cell``."""
    if n == 0:
        return f"no {word}"
    return f"{n:,} {word if n == 1 else plural or word + 's'}"


def percent(share: float) -> str:
    """Returns a share as ``83 %``, ``n/a`` for NaN; neither 0 nor 100 unless it is exact."""
    if math.isnan(share):
        return "n/a"
    rounded = round(100 * share)
    if rounded in (0, 100) and share not in (0, 1):
        return "less than 1 %" if rounded == 0 else "more than 99 %"
    return f"{rounded} %"


def number(value: float, digits: int = 2) -> str:
    r"""Returns a number with that many significant digits, in Markdown: ``0.031``, ``$2.3 \times 10^{-5}$``."""
    if math.isnan(value):
        return "n/a"
    if math.isinf(value):
        return "infinite"
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        places = 0 if value == 0 else max(0, digits - 1 - math.floor(math.log10(abs(value))))
        return f"{value:,.{places}f}"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return rf"${mantissa} \times 10^{{{int(exponent)}}}$"


def span(values: Iterable[float], digits: int = 2) -> str:
    """Returns numbers of several seeds as one or as a range, ``2.1 to 2.4``; whole numbers with all digits."""
    known = [value for value in values if value == value]
    if not known:
        return "n/a"
    whole = all(isinstance(value, Integral) for value in known)
    low, high = (f"{end:,}" if whole else number(end, digits) for end in (min(known), max(known)))
    return low if low == high else f"{low} to {high}"


def share_span(values: Iterable[float]) -> str:
    """Returns shares of several seeds as one or as a range, ``12 to 15 %``."""
    known = [value for value in values if value == value]
    if not known:
        return "n/a"
    low, high = percent(min(known)), percent(max(known))
    if low == high:
        return low
    return f"{low.removesuffix(' %') if low[0].isdigit() and high[0].isdigit() else low} to {high}"


def duration(seconds: float) -> str:
    """Returns ``40 seconds``, ``12 minutes`` or ``3.5 hours``."""
    if seconds < 90:
        return counted(max(1, round(seconds)), "second")
    if seconds < 5400:
        return counted(round(seconds / 60), "minute")
    return f"{seconds / 3600:.1f} hours"


def listed(items: Iterable[Any], last: str = "and") -> str:
    """Returns ``a, b and c``."""
    words = [str(item) for item in items]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}" if words else "none"


def between(low: float, high: float) -> str:
    """Returns ``0.35 to 0.49``, ``at most 0.07`` from zero on, ``at least 3`` without end, ``not legible`` for NaN."""
    if math.isnan(low):
        return "not legible"
    if math.isinf(high):
        return f"at least {number(low)}"
    return f"at most {number(high)}" if low == 0 else f"{number(low)} to {number(high)}"


def is_are(n: int) -> str:
    """Returns the verb that goes with a number of things."""
    return "is" if n == 1 else "are"


def none_or(n: int) -> str:
    """Returns a number as a word where it is zero."""
    return "none" if n == 0 else str(n)


def capitalised(text: str) -> str:
    """Returns text with its first letter large and the rest as it is."""
    return text[:1].upper() + text[1:]


def in_words(n: int) -> str:
    """Returns a small number as a word, a larger one in digits."""
    return {1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}.get(n, str(n))


def part_of(part: int, whole: int) -> str:
    """Returns ``12 (24 %)``."""
    return f"{int(part):,} ({percent(part / whole)})" if whole else "none"


def strength(kappa: float) -> str:
    """Returns the usual word for a value of Cohen's kappa (Landis and Koch, 1977)."""
    if math.isnan(kappa):
        return "undefined"
    for limit, word in ((0.0, "no"), (0.2, "slight"), (0.4, "fair"), (0.6, "moderate"), (0.8, "substantial")):
        if kappa <= limit:
            return word
    return "almost perfect"


def table(header: Sequence[str], rows: Iterable[Sequence[Any]], *, of_text: bool = False) -> str:
    """Returns a Markdown table; the first column is aligned left, the others right, or left as well if it is of text."""
    lines = [header, [":---", *[":---" if of_text else "---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(str(entry) for entry in line) + " |" for line in lines)


def say(text: str) -> Any:
    """Returns text as an object that a notebook shows as Markdown."""
    from IPython.display import Markdown

    return Markdown(text)


def small_print(lines: Iterable[str], figure_digest: str) -> Any:
    """Returns lines as an object that a notebook shows below a figure, small.

    Args:
        lines: HTML.
        figure_digest: of the data that are drawn; not shown, but a part of the output, so that a change of it is seen.
    """
    from IPython.display import HTML

    return HTML(f'<p class="provenance" data-figure-digest="{figure_digest}">' + "<br>".join(lines) + "</p>")
