# %% [markdown]
# # Regimes across strategies (PINODE)
#
# Five strategies train the same physics-informed neural ODE of a pendulum. Does the map keep its three regimes, and do better
# strategies move their borders?

# %% tags=["parameters"]
profile: str = "laptop"  # smoke | laptop | paper
device: str = "auto"  # auto | cpu | cuda
seeds: int = 5  # use at most the first n seeds of the profile
runs: str = ""  # folder of stored runs; empty means the repository's own

# %% tags=["hide-input"]
import pandas as pd
from sciml_lib import ledger, report, text
from sciml_lib.analysis import maps, pendulum
from sciml_lib.ledger import Source
from sciml_lib.ledger.pendulum import AFTER_ADAM, FIVE, TIGHT
from sciml_lib.prose import number, part_of, percent

# %load_ext sciml_lib.text

(everything,) = ledger.pendulum.gather(Source(profile, device, runs, seeds))
verdicts = ledger.judged(ledger.pendulum, everything)
panels = {name: everything[name] for name in FIVE}
n_rows = panels["Adam"].runs.sizes["n_data"]
# Newton steps in the released script's order, and with a tolerance of our own
after_adam, tight = everything[AFTER_ADAM], everything[TIGHT]
common = {
    name: p.with_thresholds_of(panels["Adam"]) for name, p in panels.items()
}
inside, inside_test = (
    {name: pendulum.crossings(p, kind) for name, p in common.items()}
    for kind in ("train", "test")
)
counts = pendulum.counts(
    panels, {"Adam": panels["Adam"], "L-BFGS": panels["L-BFGS"]}
)
losses = pendulum.loss_ranges(panels)
divided = losses.groupby("loss").divides.sum()
floors = pendulum.floors(everything)
n_runs = sum(len(report.stored_runs(p)) for p in panels.values())
n_seeds = min(p.runs.sizes["seed"] for p in panels.values())
full_budget = all(
    p.plan.strategy.words == p.plan.sweep.strategy.words
    for p in panels.values()
)
by_own, by_adam = (
    counts[counts.judge == judge].set_index("map")
    for judge in (pendulum.OWN, "Adam")
)
under_own = floors.loc[list(panels)].query("above > 0")

# %% tags=["remove-input"] language="markdown"
# :::{admonition} The answer
# :class: answer
# *The paper says*: the three regimes are there with every strategy. ALM, which makes the equation a constraint, enlarges the
# region that can be trained; CL improves both the under-trained and the over-trained region (paper section 2.4, paper
# Fig. 3(k)-(o)).
#
# *We find*: the thresholds decide. Judged by its own row of paper Table 5, ALM has {{ by_own.I["ALM"] }} cells in Regime I of
# {{ floors.cells["ALM"] | whole }}; judged by the row of Adam, it has {{ by_adam.I["ALM"] }}.
#
# {% if profile != "smoke" %}
# *Outcome*: of {{ verdicts | length }} claims {{ report.outcomes(verdicts) }}.
# {% if supported(floors.above["ALM"] == floors.cells["ALM"]) %}
# Most of the open ones are so because the floor of the time step lies above a threshold of paper Table 5 (see below).
# {% endif %}
# Evidence: {{ "{:,}".format(n_runs) }} runs, all cells of the profile *{{ panels["Adam"].runs.attrs["profile"] }}*, {{ n_seeds }}
# seeds
# {%- if full_budget %}
# , with the budgets of paper Table 4
# {%- endif %}
# .
# {% endif %}
# :::

# %% mystnb={"figure": {"caption": "Regime maps of the PINODE with five training strategies, in the order of paper Fig. 3(k)-(o): training loss above, test error below, each judged by its own row of paper Table 5.", "name": "fig-pinode-strategies"}, "image": {"alt": "Ten grids, training loss above test error for each of Adam, L-BFGS, ALM, NNCG and CL, over the inverse damping and the number of observed states, with borders and the Roman numerals of the regimes.", "width": "100%"}} tags=["cover"]
figure = report.maps_figure(panels, "PINODE, pendulum: five strategies")
figure

# %% tags=["remove-input"]
report.source(panels.values(), figure)

# %% [markdown]
# The strategies are Adam on mini-batches {cite:p}`kingma2015`, L-BFGS {cite:p}`liu1989`, an augmented Lagrangian (ALM)
# {cite:p}`lu2021hard`, Newton steps after L-BFGS (NNCG) {cite:p}`rathore2024`, and a curriculum (CL)
# {cite:p}`krishnapriyan2021` that begins with strong damping, $1/b = 0.25$, and shows the network on each stage the trajectory
# of that stage's damping. Model and loss are those of {doc}`model_families`: a network gives the rates of change, and is trained
# on single steps of Euler's method and on the equation.
#
# ## The thresholds make the map
#
# Paper Table 5 gives every strategy its own pair of thresholds. So each map is also judged by the rows of Adam and of L-BFGS.
# The last column counts the cells that no training can bring below the threshold of their own row (next section).

# %% tags=["remove-input"]
wide = counts.assign(
    cells=[f"{r.I} / {r.II} / {r.III}" for r in counts.itertuples()]
).pivot(index="map", columns="judge", values="cells")
text.table(
    by_own[["train", "test"]].join(
        [
            wide.add_prefix("by "),
            floors[["above"]].astype(int),
        ]
    ),
    {
        "train": "$T_\\mathrm{train}$",
        "test": "$T_\\mathrm{test}$",
        "by own": "I / II / III, by its own",
        "by Adam": "by those of Adam",
        "by L-BFGS": "by those of L-BFGS",
        "above": "cells whose floor is above $T_\\mathrm{train}$",
    },
    "map",
)

# %% tags=["remove-input"] language="markdown"
# The training thresholds differ by a factor of {{ (by_own.train.max() / by_own.train.min()) | whole }} between strategies.
# {% if supported((by_adam.II[1:] == 0).all() and by_adam.II["Adam"] > 0) %}
# By the row of Adam, only the map of Adam has a Regime II; by their own rows, all five have one. What looks like a difference
# between strategies is for the most part a difference between thresholds.
# {% endif %}
#
# Could paper Table 5 mean another loss than the sum of data part and physics part? The threshold lies within the range of the
# cells, and so can divide them, for the sum in {{ divided.train_loss }} of {{ panels | length }} maps and for the physics part
# alone in {{ divided.loss_residual }} (evidence below). Which of them is meant, the paper does not say.

# %% [markdown]
# ## Some thresholds lie below what the time step allows
#
# Euler's method errs even with the true field, so no network can bring the loss to zero: it has a *floor*
# ({doc}`model_families`). Where the floor is above the threshold, a cell is in Regime II whatever the training.

# %% tags=["remove-input"] language="markdown"
# {% for name, row in under_own.iterrows() %}
# - *{{ name }}*: {{ row.above | part_of(row.cells) }} of {{ row.cells | whole }} cells have a floor above the threshold.
# {% endfor %}
#
# {% if supported(floors.above["ALM"] == floors.cells["ALM"]) %}
# By its own row ALM cannot have a cell of Regime I, however well it trains. There *under-trained* says something about the time
# step, and nothing about the optimiser.
# {% endif %}
#
# ALM also pays for meeting its constraint: where $f = F$, the data part costs the whole error of the step, which is twice the
# floor. In the median cell the floor is {{ floors.share["ALM"] | percent }} of its loss, and {{ floors.share["CL"] | percent }}
# of that of CL.

# %% [markdown]
# ## With one pair of thresholds, only Adam has a Regime II
#
# All maps judged by the row of Adam, with which paper Fig. 1(e) is drawn, can be laid beside each other.

# %% mystnb={"figure": {"caption": "The same maps, all judged by the thresholds of paper Table 5 for Adam. Colours as above: each map has its own scale.", "name": "fig-one-yardstick"}, "image": {"alt": "Ten grids as in the figure before, with the borders and numerals that follow from one common pair of thresholds.", "width": "100%"}}
figure = report.maps_figure(common, "Five strategies, one pair of thresholds")
figure

# %% tags=["remove-input"]
report.source(panels.values(), figure)

# %% mystnb={"figure": {"caption": "Where each row of the map crosses the training threshold (left) and the test threshold (right), for five strategies and one pair of thresholds. Marks: seed means. Bars: 5 to 95 per cent of the resampled seeds. Arrowheads: the row lies above its threshold from the start (left edge), or never crosses it in the map (right edge).", "name": "fig-pinode-borders"}, "image": {"alt": "Two panels over the inverse damping and the number of observed states; in each row five marks with bars, one for each strategy, show where the training and the test border lie.", "width": "100%"}}
figure = report.borders_figure(
    common, "Borders of five strategies, one pair of thresholds"
)
figure

# %% tags=["remove-input"]
report.source(panels.values(), figure)

# %% tags=["remove-input"] language="markdown"
# With Adam the training loss crosses the threshold in {{ inside["Adam"] | length }} of {{ n_rows }} rows
# {%- if inside["Adam"] | length %}
# , all with at least {{ inside["Adam"].index.min() | whole }} observed states
# {%- endif %}
# ; with L-BFGS in {{ inside["L-BFGS"] | length }}.
# {% if supported((inside["L-BFGS"] | length) == 0) %}
# A border beyond the edge of the map cannot be moved farther out. So these runs cannot show that a strategy moves the training
# border of L-BFGS to larger $1/b$, even if it does.
# {% endif %}
# The test error crosses its threshold inside the map in {{ inside_test["L-BFGS"] | length }} of the rows with L-BFGS, and in
# {{ inside_test["ALM"] | length }} with ALM (evidence below).

# %% [markdown]
# ## Newton steps with nothing to solve
#
# The paper starts NNCG from the end of L-BFGS (paper Table 4). The released code solves the Newton system to an absolute
# tolerance, and its script spends half of its epochs on Adam and the other half on Newton steps. Both orders were run with the
# code's tolerance; the first of them is a mixture that neither paper nor code has.

# %% tags=["hide-input"]
newton = pendulum.newton_runs(panels["L-BFGS"], panels["NNCG"])
after = pendulum.newton_runs(panels["Adam"], after_adam)
gains = pendulum.gains(panels["L-BFGS"], tight)
tolerance, tighter = (
    p.plan.strategy.stages[-1] for p in (panels["NNCG"], tight)
)

# %% tags=["remove-input"] language="markdown"
# After L-BFGS, {{ newton.idle.sum() | part_of(newton | length) }} of {{ newton | length }} runs end before a step that does anything.
# {% if newton.idle.any() %}
# Where L-BFGS stops, the norm of the gradient is already below the tolerance of {{ tolerance.cg_tolerance | number(1) }}, so that
# zero counts as the solution of the Newton system. In {{ newton.unchanged.sum() | part_of(newton | length) }} of the runs the loss
# is that of L-BFGS to the last digit.
# {% endif %}
#
# After Adam, {{ after.idle.sum() | part_of(after | length) }} of {{ after | length }} runs do.
# {% if supported(newton.idle.mean() > 0.5 and after.idle.mean() > 0.5) %}
# So it is the tolerance that leaves nothing to solve, in either order.
# {% endif %}
#
# After L-BFGS with a tolerance of {{ tighter.cg_tolerance | number(1) }}, a damping of {{ tighter.damping | number(1) }} and full steps, the
# method moves
# {%- if gains | length %}
# : in the median cell the training loss falls by {{ gains.train_loss.median() | round | int }} % and the test error by
# {{ gains.test_error.median() | round | int }} %
# {%- endif %}
# .
# {% if supported(floors.share["NNCG, tight"] > 0.9 and gains.test_error.min() < 0) %}
# Its loss is then almost all floor, {{ floors.share["NNCG, tight"] | percent }} in the median cell: nothing is left to train. The
# test error does not follow everywhere: between the cells it ranges from a fall by
# {{ gains.test_error.max() | round | int }} % to a rise by {{ -gains.test_error.min() | round | int }} %.
# {% endif %}

# %% mystnb={"figure": {"caption": "What NysNewton-CG with the tighter tolerance improves on the L-BFGS state that it starts from, in per cent of that state: as ratio of the seed means (above) and as mean of the seeds' ratios (below). Blue is better. A cross with a number counts runs that gave up.", "name": "fig-improvement-pinode"}, "image": {"alt": "Four grids in a diverging colour map with the relative improvement by Newton steps in every cell of the pendulum's map: training loss left and test error right, ratio of means above and mean of ratios below.", "width": "100%"}}
figure = report.improvement_figure(
    panels["L-BFGS"], tight, "What Newton steps improve: pendulum"
)
figure

# %% tags=["remove-input"]
report.source([panels["L-BFGS"], tight], figure)

# %% [markdown]
# ## What the paper claims
#
# A claim that compares cells is judged by every row of paper Table 5 that the floor leaves room for, and is open where these
# rows disagree. How smooth a transition is, is told of the whole loss and of what is above its floor.

# %% tags=["remove-input"]
text.say(report.claims_table(verdicts))

# %% tags=["remove-input"] language="markdown"
# {% if supported(floors.above["ALM"] == floors.cells["ALM"] and by_adam.II["L-BFGS"] == 0 and floors.share["CL"] > 0.5) %}
# By its own row ALM could not have won a cell of Regime I, since the floor is above that threshold everywhere. By the row of
# Adam, L-BFGS has no Regime II that CL could shrink. And {{ floors.share["CL"] | percent }} of the loss of CL is floor, which is
# smooth.
# {% endif %}

# %% [markdown]
# ## Where paper and code differ
#
# - Paper Table 4 speaks of epochs; in the released code an epoch of L-BFGS, ALM or CL is a whole call of L-BFGS. It matters
#   little: these losses are so small that the tolerances of the solver end a call after some dozens of iterations. Hardly a run
#   is limited by its budget, those of Adam apart (evidence below).
# - Paper Table 4 lets NNCG follow L-BFGS; the script of the released code lets it follow Adam. *NNCG* without a word more is the
#   order of the paper with the tolerance of the code.
# - The paper calls its test error that of one step; its thresholds can only be those of the whole motion
#   ({doc}`model_families`).

# %% [markdown]
# ## Try it
#
# The map of L-BFGS trains in seconds; the other sweeps take minutes at most.

# %% tags=["remove-input"]
text.say(report.commands("pinode_strategies", everything.values()))

# %% [markdown]
# ## Exercises
#
# **1.** Let $e$ be the error of one Euler step with the true field $F$, and $\delta = \Delta t\,(f - F)$. A pair of states costs
# $(\delta - e)^2$ for the data and $\delta^2$ for the physics. What is the lowest sum, and what does $f = F$ cost?
#
# :::{dropdown} Answer
# The sum is least at $\delta = e/2$, where it is $e^2/2$: this is the floor. With $f = F$ the physics costs nothing and the data
# cost $e^2$, twice the floor. A network that meets the constraint of ALM exactly has a loss of which one half is floor.
# :::
#
# **2.** Judge the map of ALM by the thresholds of L-BFGS. In how many of its cells of Regime II does the floor alone exceed the
# threshold?

# %% tags=["remove-input"] language="markdown"
# :::{dropdown} Answer
# ```python
# from sciml_lib import rollouts
# from sciml_lib.regimes import Regime
#
# judged = panels["ALM"].with_thresholds_of(panels["L-BFGS"])
# floor = rollouts.euler_floor(judged)
# under = judged.labels == Regime.II
# int((under & (floor > judged.thresholds.train)).sum()), int(under.sum())
# ```
#
# Every cell whose floor exceeds the threshold is in Regime II, so the first number is that of the last column in the row of L-BFGS
# above, {{ floors.above["L-BFGS"] | whole }}. The second is {{ counts.query("map == 'ALM' and judge == 'L-BFGS'").II.item() }}.
# :::

# %% [markdown]
# ## Evidence

# %% tags=["remove-input"]
cells = [
    f"{number(r.low)} to {number(r.high)}{' ✓' if r.divides else ''}"
    for r in losses.itertuples()
]
ranges = text.tabulated(
    by_own[["train"]].join(
        losses.assign(cells=cells).pivot(
            index="map", columns="loss", values="cells"
        )
    ),
    {
        "train": "$T_\\mathrm{train}$",
        "train_loss": "whole loss",
        "loss_data": "data part",
        "loss_residual": "physics part",
    },
    "map",
)
sizes = maps.regime_shares(panels)
begins = [f"{c:g}" if c < 1e9 else "nowhere" for c in sizes["first"]]
shares = text.tabulated(
    sizes.assign(begins=begins),
    {
        "I": "I, well trained",
        "II": "II, under-trained",
        "III": "III, over-trained",
        "begins": "II begins at 1/b",
        "split": "cells whose seeds are split",
    },
    "map",
    dict.fromkeys(("I", "II", "III"), percent),
)
floor = text.tabulated(
    floors.assign(
        share=[
            f"{percent(r.share)} ({percent(r.least)} to {percent(r.most)})"
            for r in floors.itertuples()
        ],
        above=[part_of(r.above, r.cells) for r in floors.itertuples()],
    ),
    {
        "share": "share of the floor in the training loss: median cell",
        "rank": "rank correlation with the floor",
        "threshold": "$T_\\mathrm{train}$",
        "above": "cells whose floor is above it",
    },
    "map",
    {"rank": "{:.2f}".format},
)

# %% tags=["remove-input"] language="markdown"
# :::{dropdown} Evidence: recipes
# {{ report.budgets(panels) }}
# :::
#
# :::{dropdown} Evidence: shares of the regimes, by the thresholds of each map's own row
# {{ shares }}
# :::
#
# :::{dropdown} Evidence: which loss the thresholds could mean
# ✓: the threshold lies within this range of cells, and so can divide them.
#
# {{ ranges }}
# :::
#
# :::{dropdown} Evidence: the floor
# {{ floor }}
# :::
#
# :::{dropdown} Evidence: where the training border lies, by one pair of thresholds
# {{ report.borders_table(common) }}
# :::
#
# :::{dropdown} Evidence: where the test border lies, by one pair of thresholds
# *Nowhere*: not before the training loss has risen, and so nowhere that a border is drawn.
#
# {{ report.borders_table(common, "test") }}
# :::
#
# :::{dropdown} Evidence: how the runs ended
# {{ report.endings(everything) }}
# :::
