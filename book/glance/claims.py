# %% [markdown]
# # All claims
#
# What does the paper claim that runs can test, and what do the runs that are stored here say of it?

# %% tags=["parameters"]
runs: str = ""  # folder of stored runs; empty means the repository's own

# %% tags=["hide-input"]
from sciml_lib import ledger, report, text
from sciml_lib.ledger import contract, settling
from sciml_lib.prose import duration

# %load_ext sciml_lib.text

verdicts = ledger.by_module(ledger.Source(runs=runs, max_minutes=0))
every = [one for found in verdicts.values() for one in found]
plan = settling.plan(every, runs)
counts = ledger.counts(every)

# %% tags=["remove-input"] language="markdown"
# :::{admonition} The answer
# :class: answer
# Of {{ every | length }} claims {{ report.outcomes(every) }}.
#
# An outcome is never more than what was run for it: {{ counts["open"] }} are *open* because their cells, seeds or budgets were
# not run, or because the test cannot decide.
# :::
#
# | outcome | when |
# | :--- | :--- |
# | ● holds | all cells of the claim, {{ contract.SEEDS }} seeds, the paper's budget or runs that ended by themselves, and a difference beyond its noise |
# | ✕ does not hold | all of that, and the published map passes the same test where it is digitised |
# | ◕ suggests, ◔ speaks against | the direction is clear, and something of the scope is missing |
# | ○ open | not run at that scale, too few units, or the test cannot decide |
#
# *Evidence* names the independent units that an outcome rests on, the fewest seeds of a cell, the share of the claim's cells
# that were run, the share of the paper's budget, and how many of the runs that decide against the claim ended because their
# budget was used up. With more than {{ (100 * contract.CENSORED) | whole }} % of these a claim never fails.

# %% tags=["remove-input"] language="markdown"
# {% for module, found in verdicts.items() %}
# ## {{ module.TITLE }}
#
# {{ report.claims_table(found, home=True) }}
#
# {% endfor %}

# %% [markdown]
# ## What would settle the rest

# %% tags=["remove-input"]
shown = plan.assign(
    time=[
        ""
        if not row.command
        else "not measured"
        if row.seconds != row.seconds
        else duration(row.seconds)
        for row in plan.itertuples()
    ],
    missing=[
        f"{row.missing:,}" if row.command else "" for row in plan.itertuples()
    ],
    command=[
        f"`{row.command}`" if row.command else "" for row in plan.itertuples()
    ],
)
settled_by = text.tabulated(
    shown,
    {
        "outcome": "outcome",
        "run": "what would settle it",
        "missing": "runs",
        "time": "time",
        "command": "command",
    },
    "claim",
    of_text=True,
)

# %% tags=["remove-input"] language="markdown"
# *Time*: of one processor core, by stored runs of the same recipe. The list is data: `python -m sciml_lib ledger open` prints it,
# and `python -m sciml_lib ledger ID` everything about one claim.
#
# :::{dropdown} {{ plan | length }} claims that are not settled
# {{ settled_by }}
# :::
