# %% [markdown]
# # The paper's figures
#
# Which of the sixteen figures of {cite:t}`wang2026regimes` does this book draw again, and at which scale?

# %% tags=["parameters"]
runs: str = ""  # folder of stored runs; empty means the repository's own

# %% tags=["hide-input"]
from sciml_lib import text
from sciml_lib.ledger.coverage import LEAST_SEEDS, coverage

# %load_ext sciml_lib.text

parts = coverage(runs=runs or None)
counts = parts.status.value_counts().reindex(
    ["whole", "part", "reduced", "not run"], fill_value=0
)

# %% tags=["remove-input"] language="markdown"
# :::{admonition} The answer
# :class: answer
# Of {{ parts | length }} parts of figures, {{ counts["whole"] }} are drawn at the paper's scale and {{ counts["part"] }} from a
# part of its runs.
#
# For {{ counts["reduced"] }} the networks were trained with a smaller budget than the paper's, and {{ counts["not run"] }} are
# not run.
# :::
#
# *Whole*: every cell of the paper's map with its full budget and at least {{ LEAST_SEEDS }} seeds; for a study, every item.
# *Part*: fewer cells or seeds, or other ones. *Reduced*: a smaller budget. All counts are those of the runs that are stored in
# this copy.

# %% tags=["remove-input"]
MARKS = {
    "whole": "●\u00a0whole",
    "part": "◐\u00a0part",
    "reduced": "◔\u00a0reduced",
    "not run": "○\u00a0not\u00a0run",
}


def scale(row) -> str:
    """How much of a part is stored, in words."""
    if row.status == "not run":
        return row.why
    if row.status == "reduced":
        return f"{row.reduced:,.0f} runs with a smaller budget"
    if row.all_cells == row.all_cells:
        words = (
            f"{row.stored:,.0f} of {row.planned:,.0f} runs: {row.cells:.0f} of "
            f"{row.all_cells:.0f} cells, at least {row.seeds:.0f} seeds"
        )
        more = f"; {row.reduced:,.0f} with another budget"
        return words + (more if row.reduced else "")
    words = (
        f"{row.stored:.0f} of {row.planned:.0f} items, {row.seeds:.0f} seeds"
    )
    return words + (f"; {row.why}" if row.why else "")


shown = parts.assign(
    mark=parts.status.map(MARKS),
    scale=[scale(row) for row in parts.itertuples()],
    where=[
        "" if not chapter else f"{{doc}}`../{chapter}`"
        for chapter in parts.chapter
    ],
)
text.table(
    shown,
    {
        "words": "what it shows",
        "mark": "status",
        "scale": "stored here",
        "where": "chapter",
    },
    "paper Fig.",
    of_text=True,
)
