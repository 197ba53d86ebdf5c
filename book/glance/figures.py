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
# Which figure of a chapter draws which part.
DRAWN = {
    "1(a)": "fig-map",
    "1(d)": "fig-node",
    "1(e)": "fig-pinode",
    **dict.fromkeys([f"2({k})" for k in "abcd"], "fig-physics"),
    **dict.fromkeys([f"3({k})" for k in "abcde"], "fig-strategies"),
    **dict.fromkeys([f"3({k})" for k in "klmno"], "fig-pinode-strategies"),
    "4(a, b)": "fig-improvement-convection",
    "4(c, d)": "fig-improvement-reaction",
    "5(a, b)": "fig-surfaces-convection",
    "6(a, b)": "fig-spectra",
    "7": "fig-sharpening",
    **dict.fromkeys([f"8({k})" for k in "abcd"], "fig-physics-alm"),
    **dict.fromkeys([f"9({k})" for k in "abcd"], "fig-physics-ropinn"),
    "11(b)": "fig-flatness-map",
    "12": "fig-sharpening",
    "13": "fig-spectra-reaction",
    "14": "fig-jumps",
    "15": "fig-curves",
    "16(a, b)": "fig-spectra-points",
    "16(c, d)": "fig-spectra-points",
}


def picture(row) -> str:
    """A small picture of our figure, which leads to the figure."""
    name = DRAWN.get(row.Index, "")
    if row.status == "not run" or not name:
        return ""
    return (
        f'<a href="../{row.chapter}.html#{name}"><img class="thumbnail" '
        f'loading="lazy" src="../../_static/thumbs/{name}.png" '
        f'alt="Our figure with paper Fig. {row.Index}: {row.words}"></a>'
    )


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
    picture=[picture(row) for row in parts.itertuples()],
    where=[
        "" if not chapter else f"{{doc}}`../{chapter}`"
        for chapter in parts.chapter
    ],
)
text.table(
    shown,
    {
        "words": "what it shows",
        "picture": "our figure",
        "mark": "status",
        "scale": "stored here",
        "where": "chapter",
    },
    "paper Fig.",
    of_text=True,
)
