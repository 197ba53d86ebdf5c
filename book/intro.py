# %% [markdown]
# # Regime atlas
#
# Neural networks that should learn a physical law fail in two ways: the training loss never comes down, or it comes down and the
# solution is wrong. {cite:t}`wang2026regimes` ([arXiv 2605.29153](https://arxiv.org/abs/2605.29153)) maps both failures over the
# difficulty of the physics and the amount of data. Do the maps, and what the paper concludes from them, hold when everything is
# trained again?

# %% tags=["parameters", "remove-input"]
runs: str = ""  # folder of stored runs; empty means the repository's own

# %% tags=["remove-input"]
from sciml_lib import ledger, report, text
from sciml_lib.ledger import Outcome
from sciml_lib.ledger.coverage import coverage

# %load_ext sciml_lib.text

found = ledger.by_module(ledger.Source(runs=runs, max_minutes=0))
every = [one for some in found.values() for one in some]
tallies = {module: ledger.counts(some) for module, some in found.items()}
order = (
    Outcome.HOLDS,
    Outcome.SUGGESTS,
    Outcome.OPEN,
    Outcome.AGAINST,
    Outcome.FAILS,
)
parts = coverage(runs=runs or None).status.value_counts()

# %% tags=["remove-input"] language="markdown"
# :::{admonition} The answer
# :class: answer
# The paper says {{ every | length }} things that our runs can test: {{ report.outcomes(every) }}.
# Of the {{ parts.sum() }} parts of its figures, {{ parts.get("whole", 0) }} are drawn again at its own scale, and
# {{ parts.get("not run", 0) }} are not run at all.
# :::
#
# | the paper on | {% for one in order %}{{ report.MARKS[one] }} {{ one }} | {% endfor %}
#
# | :--- | {% for one in order %}---: | {% endfor %}
#
# {% for module, counts in tallies.items() %}
# | {{ "{doc}" }}`{{ module.TITLE }} <{{ module.CLAIMS[0].chapter }}>` | {% for one in order %}{{ counts[one] or "" }} | {% endfor %}
#
# {% endfor %}
#
# {doc}`glance/claims` has each of them with its evidence, and says what would settle the rest. *Open* is what was not run at the
# scale of the claim, or what the runs cannot decide; a claim never fails for want of budget.

# %% [markdown]
# ::::{grid} 1 2 2 4
# :gutter: 2
#
# :::{grid-item-card} I am new
# :link: start/three_regimes
# :link-type: doc
#
# Three small networks, trained the same way, that ended differently.
# :::
#
# :::{grid-item-card} Does it hold?
# :link: glance/claims
# :link-type: doc
#
# All claims, with what each outcome rests on.
# :::
#
# :::{grid-item-card} I doubt a number
# :link: runs/index
# :link-type: doc
#
# The line below a figure leads to its rows, the recipe and the command.
# :::
#
# :::{grid-item-card} I have an equation
# :link: use/own_equation
# :link-type: doc
#
# Thirty lines, and it has a regime map of its own.
# :::
# ::::
#
# ```{figure} _static/covers/pinn_convection.png
# :name: fig-cover
# :alt: Two coloured grids side by side, training loss on the left and test error on the right, over the convection coefficient and the number of collocation points, with solid and dashed borders between three regions marked I, II and III.
# :width: 100%
#
# The regime map of a physics-informed network on the convection equation, from our own runs. I: well trained. II: under-trained.
# III: over-trained. {doc}`start/reading_a_map` tells how to read it, {doc}`regimes/pinn_convection` how it compares with the
# published one.
# ```
#
# ## How the book is made
#
# {{ stored_runs_sentence }}
#
# A chapter is a notebook of a few lines around one library, `sciml_lib`. The library trains all the networks of a map
# *side by side*, as one ensemble, and writes one row for each finished run. Figures are drawn from these rows, the numbers in
# sentences are filled in from them, and the line below every figure leads to the runs that it was drawn from. Execute a chapter with other
# parameters, and its sentences change with its figures.
#
# The paper and the code released with it do not always say the same thing. Where they differ, the chapter says which reading it
# follows and, where it matters, shows the other one too.
