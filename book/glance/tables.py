# %% [markdown]
# # The paper's tables
#
# What do Tables 1 to 5 of {cite:t}`wang2026regimes` prescribe, and what was run here?

# %% tags=["parameters"]
runs: str = ""  # folder of stored runs; empty means the repository's own

# %% tags=["hide-input"]
import pandas as pd
from sciml_lib import text
from sciml_lib.ledger.coverage import coverage
from sciml_lib.regimes import thresholds
from sciml_lib.regimes.names import FAMILY_NAMES, STRATEGY_NAMES
from sciml_lib.sweeps import catalog

# %load_ext sciml_lib.text

parts = coverage(runs=runs or None)
rows = pd.DataFrame.from_dict(
    thresholds.table5(), orient="index", columns=["train", "test"]
)
rows.index = pd.MultiIndex.from_tuples(
    [tuple(name.split("/")) for name in rows.index],
    names=["family", "system", "strategy"],
)
ours = {name for name in thresholds.table5() if name in catalog.SWEEPS}

# %% tags=["remove-input"] language="markdown"
# :::{admonition} The answer
# :class: answer
# Table 5 has {{ rows | length }} rows of thresholds; {{ ours | length }} of them have a sweep in this book. The others are those
# of operator networks, which are not run.
# :::

# %% [markdown]
# ## Table 1: models, systems, trainings

# %% tags=["remove-input"]
table_1 = (
    rows.reset_index()
    .groupby(["family", "system"], sort=False)["strategy"]
    .apply(list)
)
shown = pd.DataFrame(
    {
        "system": [system for _, system in table_1.index],
        "paper": [
            ", ".join(STRATEGY_NAMES[name] for name in names)
            for names in table_1
        ],
        "here": [
            ", ".join(
                STRATEGY_NAMES[name]
                for name in names
                if f"{family}/{system}/{name}" in ours
            )
            or "not run"
            for (family, system), names in table_1.items()
        ],
    },
    index=[FAMILY_NAMES[family] for family, _ in table_1.index],
)
text.table(
    shown,
    {
        "system": "system",
        "paper": "trainings with a row in the paper's Table 5",
        "here": "in this book",
    },
    "model",
    of_text=True,
)

# %% [markdown]
# ## Tables 2 and 4: budgets
#
# What a network goes through in the paper's full budget, by the reading that this book follows, and in the profile that a
# laptop trains. Where the two are the same there is one entry. Table 3 is that of the operator networks.

# %% tags=["remove-input"]
budgets = {}
for name in thresholds.table5():
    if name in ours:
        sweep = catalog.get(name)
        full, here = sweep.strategy.words, sweep.at("laptop").strategy.words
        budgets[name] = {
            "full": full,
            "here": "the same" if here == full else here,
        }
text.table(
    pd.DataFrame.from_dict(budgets, orient="index").rename("`{}`".format),
    {"full": "the paper's budget, as read here", "here": "on a laptop"},
    "sweep",
    of_text=True,
)

# %% [markdown]
# ## Table 5: thresholds
#
# Where low ends, for the training loss and for the test error: the numbers that make a regime of a cell.

# %% tags=["remove-input"]
shown = rows.reset_index()
shown.index = [FAMILY_NAMES[family] for family in shown.family]
shown["strategy"] = shown.strategy.map(STRATEGY_NAMES)
text.table(
    shown,
    {
        "system": "system",
        "strategy": "training",
        "train": "training loss",
        "test": "test error",
    },
    "model",
    {"train": lambda value: f"{value:.3g}", "test": "{:.3g}".format},
)
