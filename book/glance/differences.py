# %% [markdown]
# # Where paper and released code differ
#
# In how many places do {cite:t}`wang2026regimes` and their released code differ, or leave something open? What does this book
# follow there, and how much does the other reading change?

# %% tags=["parameters"]
runs: str = ""  # folder of stored runs; empty means the repository's own

# %% tags=["hide-input"]
import pandas as pd
from sciml_lib import prose, text
from sciml_lib.analysis import convection
from sciml_lib.ledger import differences
from sciml_lib.panels import Panel

# %load_ext sciml_lib.text

register = differences.read()
found = differences.effects(register, runs or None)
stored = found[found.missing.str.len() == 0]
MANY = 20  # a share of fewer cells says little
found["many"] = found.cells.fillna(0) >= MANY
wide = found[found.share.notna() & found.many]
subject = {one.id: one.subject for one in register}
swept = [one for one in register if one.measured]
told = [one for one in register if one.chapter and not one.measured]
open_ones = [one for one in register if one.reason]
apart = pd.concat([wide.test_ratio, 1 / wide.test_ratio], axis=1).max(axis=1)
largest = wide.loc[wide.share.idxmax()] if len(wide) else None
farthest = wide.loc[apart.idxmax()] if len(wide) else None
panel, again = (
    Panel.stored(f"pinn/convection/{name}", runs or None)
    for name in ("lbfgs", "warmup-2000")
)
twice = convection.repeats(panel, again) if panel and again else None

# %% tags=["remove-input"] language="markdown"
# :::{admonition} The answer
# :class: answer
# In {{ register | length }} places paper and code differ, or one of them is silent. For {{ swept | length }} of them both readings
# have sweeps of their own; of those, {{ stored.id.nunique() }} are measured in this copy.
#
# {% if largest is not none %}
# The most cells change regime with *{{ subject[largest.id] }}*: {{ largest.changed }} of {{ largest.cells }} from
# `{{ largest.base }}` to `{{ largest.other }}`.
# {% endif %}
# {% if farthest is not none %}
# The test error changes most with *{{ subject[farthest.id] }}*: by a factor of {{ apart.max() | number }} in the median cell.
# {% endif %}
#
# {{ told | length }} more are shown in a chapter in another quantity, and {{ open_ones | length }} are not measured; the tables say why.
# :::

# %% [markdown]
# ## What the other reading changes

# %% tags=["remove-input"] language="markdown"
# Both sweeps of a line are compared on the cells and seeds that both have, by the thresholds of the first. The sweep as this book
# reads it stands first, the other one second. Lines with fewer than {{ MANY }} cells stand below, since their shares say little.


# %% tags=["remove-input"]
def short(name):
    """The last part of the id of a sweep."""
    return name.rsplit("/", 1)[1]


def times(ratio):
    """A ratio of two losses or errors."""
    return "other units" if ratio != ratio else f"×\u00a0{ratio:.2g}"


def kappas(row):
    """Agreement with the published map by both readings, where there is one."""
    if row.kappa[0] != row.kappa[0]:
        return ""
    return f"{row.kappa[0]:.2f} → {row.kappa[1]:.2f}"


lines = []
order = ["many", "share", "test_ratio"]
for row in found.sort_values(order, ascending=False).itertuples():
    family = row.base.rsplit("/", 1)[0]
    line = {
        "what": f"{subject[row.id]}",
        "pair": f"`{family}`: `{short(row.base)}`, `{short(row.other)}`",
    }
    if row.missing:
        line |= {"test": "not run yet"}
    else:
        line |= {
            "test": times(row.test_ratio),
            "train": times(row.train_ratio),
            "cells": "other units"
            if row.changed is None
            else f"{row.changed} of {row.cells}",
            "runs": ""
            if row.runs_changed is None
            else f"{row.runs_changed} of {row.runs}",
            "kappa": kappas(row),
        }
    lines.append(line)
heads = {
    "pair": "sweeps",
    "test": "test error",
    "train": "training loss",
    "cells": "cells that change regime",
    "runs": "runs that do",
    "kappa": "kappa with Fig. 1",
}
effects_table = text.tabulated(
    pd.DataFrame(lines, columns=["what", *heads]).set_index("what"),
    heads,
    "difference",
    of_text=True,
)

# %% tags=["remove-input"] language="markdown"
# {{ effects_table }}
#
# *Test error* and *training loss*: the other reading over ours, seed means, in the median cell. *Kappa*: Cohen's kappa with the
# published map, ours first, where Fig. 1 shows that map. *Other units*: two losses that cannot be compared.
#
# {% if twice is not none and twice | length %}
# How much is chance? {{ twice | length }} runs of the convection map were trained twice with the same recipe and seed.
# {{ twice.equal.sum() }} of these pairs end with the same test error; in {{ twice.changed.sum() }} only one of the two is well trained.
# {% if twice.changed.any() %}
# So beside a border a change of a few cells is no effect of a reading.
# {% endif %}
# {% endif %}

# %% tags=["remove-input"]
WORDS = {
    "paper": "the paper",
    "code": "the code",
    "both": "both",
    "own": "a choice of ours",
    "none": "not in this book",
}


def effect(one):
    """What is known of the effect of a difference, in a few words."""
    where = (
        f" {{doc}}`../{one.chapter}` tells more."
        if one.chapter and one.measured
        else ""
    )
    if one.reason:
        return f"Not measured: {one.reason}."
    if not one.measured:
        return f"See {{doc}}`../{one.chapter}`."
    parts = []
    for row in found[found.id == one.id].itertuples():
        name = f"`{short(row.other)}`"
        if row.missing:
            gone = prose.listed(f"`{sweep}`" for sweep in row.missing)
            parts.append(f"{name}: not run yet ({gone})")
        elif row.changed is None:
            parts.append(f"{name}: test error {times(row.test_ratio)}")
        else:
            parts.append(
                f"{name}: {row.changed} of {row.cells} cells change, "
                f"test error {times(row.test_ratio)}"
            )
    return f"{'; '.join(parts)}.{where}"


def table_of(family):
    """All differences of one family."""
    mine = [one for one in register if one.family == family]
    frame = pd.DataFrame(
        {
            "paper": [
                f"{prose.capitalised(one.paper)} ({one.place})" for one in mine
            ],
            "code": [prose.capitalised(one.code) for one in mine],
            "here": [
                f"*{prose.capitalised(WORDS[one.follows])}*"
                + (f": {one.why}" if one.why else "")
                for one in mine
            ],
            "effect": [effect(one) for one in mine],
        },
        index=[f"**{one.subject}** (`{one.id}`)" for one in mine],
    )
    columns = {
        "paper": "paper",
        "code": "released code and figures",
        "here": "followed here",
        "effect": "measured effect",
    }
    return text.tabulated(frame, columns, "difference", of_text=True)


tables = {
    title: table_of(family) for family, title in differences.FAMILIES.items()
}
numbers = {
    title: sum(one.family == family for one in register)
    for family, title in differences.FAMILIES.items()
}

# %% [markdown]
# ## The register

# %% tags=["remove-input"] language="markdown"
# {% for title, rows in tables.items() %}
# ::::{dropdown} {{ title }}: {{ numbers[title] }}
# :::{div} register
# {{ rows }}
# :::
# ::::
#
# {% endfor %}
#
# *The paper* is its arXiv version. *The code* is the released repository; where an earlier script of it or a published figure is the
# evidence, the line says so. Table and equation numbers are the paper's.
