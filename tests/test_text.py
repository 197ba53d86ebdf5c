"""The text of a chapter: what is filled in, what is refused, and what is concluded."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from sciml_lib import text
from sciml_lib.errors import UserError

NAMES = {"n": 3, "share": 0.25, "values_of": [5.0, 10.5], "profile": "laptop"}


def test_numbers_are_filled_in_words() -> None:
    filled = text.fill(
        "{{ n }} runs, {{ share | percent }}, at {{ values_of | values }}; {{ 1e-5 | number }}, {{ 1234.4 | whole }}", NAMES
    )
    assert filled == "3 runs, 25 %, at 5 and 10.5; $1.0 \\times 10^{-5}$, 1,234"
    assert text.fill("{% if n > 5 %}\nmany\n{% else %}\nfew\n{% endif %}", NAMES) == "few\n"


def test_several_numbers_are_filled_as_a_range() -> None:
    def filled(values: list[float], kind: str) -> str:
        return text.fill(f"{{{{ values | {kind} }}}}", {"values": values})

    assert filled([1.0, 1.001], "span") == "1.0" and filled([2.0, 1.0], "span") == "1.0 to 2.0"
    assert filled([math.nan, 3.0], "span") == "3.0" and filled([math.nan], "span") == "n/a"
    assert filled([3, 1200], "span") == "3 to 1,200" and filled([2, 2], "span") == "2"
    assert filled([0.121, 0.124], "share_span") == "12 %" and filled([0.5, 0.12], "share_span") == "12 to 50 %"
    assert filled([0.001, 0.5], "share_span") == "less than 1 % to 50 %"
    assert filled([0.5, 0.999], "share_span") == "50 % to more than 99 %" and filled([], "share_span") == "n/a"


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("First line.\n{{ missing }}", "'First line.' cannot be filled: 'missing' is undefined"),
        ("{{ n | nonsense }}", "No filter named 'nonsense'"),
        ("{% if n %}", "Unexpected end of template"),
        ("{{ n", "unexpected end of template"),
    ],
)
def test_what_cannot_be_filled_is_an_error(template: str, why: str) -> None:
    with pytest.raises(UserError, match=f"the text of the cell that begins with .*{why}"):
        text.fill(template, NAMES)


def test_a_conclusion_stands_where_its_condition_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    template = "Found: {{ n }}.\n{% if supported(n > 2) %}\nSo there are many.\n{% endif %}\n"
    monkeypatch.delenv(text.STRICT, raising=False)
    assert text.fill(template, NAMES) == "Found: 3.\nSo there are many.\n"
    assert text.fill(template, NAMES | {"profile": "smoke"}) == "Found: 3.\n"  # which never judges
    assert text.fill(template, NAMES | {"n": 1, "profile": "smoke"}) == "Found: 1.\n"
    other = text.fill(template, NAMES | {"n": 1})
    assert other == f"Found: 1.\n\n{text.UNSUPPORTED}"
    monkeypatch.setenv(text.STRICT, "1")
    assert text.fill(template, NAMES) == "Found: 3.\nSo there are many.\n"
    with pytest.raises(UserError, match=r"do not support what is concluded in the cell that begins with 'Found: .* rewrite it"):
        text.fill(template, NAMES | {"n": 1})


def test_a_condition_on_nothing_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(text.STRICT, raising=False)
    assert text.UNSUPPORTED in text.fill("{% if supported(x > 1) %}much{% endif %}", NAMES | {"x": math.nan})


def test_the_magic_fills_a_cell_with_the_names_of_the_notebook() -> None:
    class Shell:
        def __init__(self) -> None:
            self.user_ns = dict(NAMES)

        def register_magic_function(self, function, kind, name):
            self.registered = function, kind, name

    shell = Shell()
    text.load_ipython_extension(shell)
    function, kind, name = shell.registered
    assert (kind, name) == ("cell", "markdown")
    assert function("", "{{ n }} runs").data == "3 runs"


def test_a_data_frame_becomes_a_table() -> None:
    frame = pd.DataFrame({"a": [1000, 2], "b": [0.00123, math.nan], "c": ["x", None], "d": [0.5, 0.25]}, index=["one", "two"])
    shown = text.table(frame, {"a": "A", "b": "$b$", "c": "", "d": "share"}, "name", {"d": "{:.0%}".format}).data
    assert shown.splitlines() == [
        "| name | A | $b$ |  | share |",
        "| :--- | ---: | ---: | ---: | ---: |",
        "| one | 1,000 | 0.0012 | x | 50% |",
        "| two | 2 |  |  | 25% |",
    ]
