# %% [markdown]
# # Regimes across model families
#
# Do neural ODEs (NODE) {cite:p}`chen2018node` and their physics-informed form (PINODE) divide into the same three regimes as a
# PINN {cite:p}`wang2026regimes`, and do the maps come out as published?

# %% tags=["parameters"]
profile: str = "laptop"  # smoke | laptop | paper
device: str = "auto"  # auto | cpu | cuda
seeds: int = 5  # use at most the first n seeds of the profile
runs: str = ""  # folder of stored runs; empty means the repository's own

# %% tags=["hide-input"]
import pandas as pd
from sciml_lib import ledger, prose, report, rollouts, text
from sciml_lib.analysis import families, maps, pendulum, structure
from sciml_lib.ledger import Source
from sciml_lib.ledger.families import CODE, OWN, RAW, TEXT, floor_of

# %load_ext sciml_lib.text

pinn, node, pinode = ledger.families.gather(
    Source(profile, device, runs, seeds)
)
verdicts = ledger.judged(ledger.families, pinn, node, pinode)
models = {"PINN": pinn, "NODE": node[CODE], "PINODE": pinode["Adam"]}
nearest = models | {"NODE": node[OWN]}
agreement = families.against_published(
    {
        "PINN": pinn,
        "NODE": node[CODE],
        f"NODE, {OWN}": node[OWN],
        "PINODE": pinode["Adam"],
    }
)
own = agreement.loc[f"NODE, {OWN}"]
second = families.second_regime(models)
shares, scale = maps.regime_shares(models), maps.scale(models)

# %% tags=["remove-input"] language="markdown"
# :::{admonition} The answer
# :class: answer
# *The paper says*: PINN, FNO, PINO, NODE and PINODE all show three regimes; physics makes the transitions between them sharper
# (section 2.2, paper Fig. 1).
#
# *We find*: the labels agree with the published ones in {{ own.equal | percent }} of the cells for the NODE, if an epoch is one
# pass through a run's own batches. For the PINODE they agree in {{ agreement.equal.PINODE | percent }}, and in
# {{ pinode[ledger.families.HALF].agreement.share_equal | percent }} with half of Adam's epochs.
# {% if supported(second.low.NODE > second.cells.NODE / 2 and second.low.PINODE > second.cells.PINODE / 2) %}
# In both maps most of Regime II has a low test error, and so it has in the published maps.
# {% endif %}
#
# *Outcome*: of {{ verdicts | length }} claims {{ report.outcomes(verdicts) }}. The maps of the pendulum have all
# {{ scale.paper_runs.NODE }} runs of the paper's grid each; that of the PINN has {{ scale.runs.PINN }} of
# {{ scale.paper_runs.PINN }}. FNO and PINO were not run.
# :::

# %% mystnb={"figure": {"caption": "Regime maps of three model families, in the order of paper Fig. 1: training loss above, test error below, mean over the seeds, each judged by its own row of paper Table 5, with the borders at five heights of their thresholds (solid: training, dashed: test). The NODE is trained on each run's own batches, the PINODE as in the released code.", "name": "fig-families"}, "image": {"alt": "Six grids in two rows, training loss above and test error below, one column for each of PINN, NODE and PINODE, over the coefficient and the amount of data, with borders and the Roman numerals of the regimes.", "width": "100%"}} tags=["cover"]
figure = report.maps_figure(nearest, "Three model families")
figure

# %% tags=["remove-input"]
report.source(nearest.values(), figure)

# %% [markdown]
# A PINN learns one solution of one equation. A NODE learns how fast a state changes, from a trajectory that it is shown; a
# PINODE is told the equation as well. The system of both is a damped pendulum,
#
# $$
# \frac{d\theta}{dt} = \omega, \qquad \frac{d\omega}{dt} = -b\,\omega - \sin\theta,
# $$
#
# observed every $\Delta t = 0.05$ s from rest at 1.7 rad. The network $f$ is trained on single steps of Euler's method: from each
# observed state $x$ the step $x + \Delta t\, f(x)$ should meet the next one. The test follows $f$ over 20 s from another
# start, at rest at 2.8 rad.

# %% mystnb={"figure": {"caption": "PINODEs from the regimes of the map: the true test motion and the one that results from following the network (above: angle over time; below: angle and angular velocity), with the states it was trained on. The notes give its own training loss and test error.", "name": "fig-motions"}, "image": {"alt": "Columns of two diagrams, one column for each regime: the angle of the pendulum over 20 seconds, true and learned, and below the two motions as curves in the plane of angle and angular velocity with dots for the training states.", "width": "100%"}} tags=["hide-input"]
figure = rollouts.examples(models["PINODE"], "What three PINODEs have learned")
figure

# %% tags=["remove-input"]
report.source(models["PINODE"], figure)

# %% [markdown]
# ## Paper Fig. 1(d) counts a pass through a run's own batches as an epoch
#
# How many updates an epoch has, paper and code say differently. In the released code every run has 13, as many as a
# trajectory of 20 s has batches; the text can be read as one pass through the batches of the run itself. In both the code's
# learning rate falls by 0.5 per cent after each epoch.

# %% mystnb={"figure": {"caption": "NODE with a run's own batches: our maps (above) and the published ones of paper Fig. 1(d) (below), on the published grid and colour scale. The published values were read from the colours of the figure, to about five per cent of the colour range; hatched cells are hidden under a line.", "name": "fig-node"}, "image": {"alt": "Four grids: training loss and test error of our NODE above, the published ones below, in the same colours, each with its borders between the regimes.", "width": "100%"}} tags=["hide-input"]
figure = node[OWN].beside_the_published("NODE: ours and published")
figure

# %% tags=["remove-input"]
report.source(node[OWN], figure)

# %% tags=["remove-input"]
equal = [
    f"{prose.percent(row.equal)} of {prose.counted(int(row.n), 'cell')}"
    for row in agreement.itertuples()
]
kappas = [
    "n/a" if k != k else f"{k:.2f} ({prose.strength(k)})"
    for k in agreement.kappa
]
two, plain = "{:.2f}".format, "{:.2g}".format
published_table = text.tabulated(
    agreement.assign(equal=equal, kappa=kappas),
    {
        "equal": "equal labels",
        "kappa": "Cohen's kappa",
        "published_worse": "I here, II there",
        "published_better": "II here, I there",
        "train_ratio": "published over our training loss",
        "test_ratio": "published over our test error",
        "train_rank": "rank correlation, training loss",
        "test_rank": "rank correlation, test error",
    },
    "map",
    dict.fromkeys(("train_ratio", "test_ratio"), plain)
    | dict.fromkeys(("train_rank", "test_rank"), two),
)
readings = {name: node[name] for name in (CODE, OWN, TEXT)}
by_kappa = families.against_published(readings)
along = {
    axis: pd.DataFrame(
        {
            name: families.ratio_along(one, "train_loss", axis)
            for name, one in readings.items()
        }
    )
    for axis in ("coefficient", "n_data")
}
along_tables = [
    text.tabulated(
        along[axis].rename("{:g}".format),
        {name: name for name in readings},
        head,
        dict.fromkeys(readings, plain),
    )
    for axis, head in (("coefficient", "1/b"), ("n_data", "$N$"))
]
reading_table = text.tabulated(
    by_kappa.assign(
        labels=[
            " / ".join(map(str, maps.counts_of(one.labels)))
            for one in readings.values()
        ],
        equal=[
            f"{round(row.equal * row.n) if row.n else 0} of {row.n:.0f}"
            for row in by_kappa.itertuples()
        ],
    ),
    {
        "labels": "I / II / III",
        "equal": "equal labels",
        "kappa": "Cohen's kappa",
        "train_ratio": "published over our training loss",
        "test_ratio": "published over our test error",
    },
    "an epoch",
    {"kappa": two, "train_ratio": plain, "test_ratio": plain},
)
rows = along["n_data"][OWN]
begins = [
    f"{symbol} = {first:g}" if first < 1e9 else "nowhere"
    for symbol, first in zip(shares["symbol"], shares["first"], strict=True)
]
shares_table = text.tabulated(
    shares.assign(begins=begins),
    {
        "cells": "cells",
        "I": "I, well trained",
        "II": "II, under-trained",
        "III": "III, over-trained",
        "begins": "II begins at",
        "means_II": "cells of II",
        "most_II": "cells of II by most seeds",
    },
    "map",
    dict.fromkeys(("I", "II", "III"), prose.percent),
)

# %% tags=["remove-input"] language="markdown"
# {{ reading_table }}
#
# *As in the code*: 13 updates. *Own batches*: one pass, and the rate falls. *The text*: one pass, and the rate stays.
# {% if supported(own.kappa > 0.8 > agreement.kappa.NODE and by_kappa.kappa[TEXT] < agreement.kappa.NODE) %}
#
# With own batches the NODE has the published label in {{ (own.equal * own.n) | round | int }} of {{ own.n | int }} cells. The code's
# count leaves {{ agreement.published_worse.NODE }} cells well trained that are under-trained in the published map: it gives short
# trajectories up to 13 times the updates of a pass. The reading was chosen because it fits; what speaks for it is that no number
# was tuned, and that the test errors agree as well.
# {% endif %}
# {% if rows | length and supported(rows.iloc[0] < 0.8 and rows.iloc[-1] > 1.1) %}
# The values are not met everywhere. Along the amount of data the correction goes too far: the published training loss is
# {{ rows.iloc[0] | number }} times ours on the shortest trajectories that can be read and {{ rows.iloc[-1] | number }} times on the
# longest.
# {% endif %}
#
# :::{dropdown} Evidence: published over our training loss, by damping and by length
# Ratios are those of the median cell that can be read.
#
# {{ along_tables[0] }}
#
# {{ along_tables[1] }}
# :::

# %% [markdown]
# ## Paper Fig. 1(e) fits the code's count, and has more of Regime II

# %% mystnb={"figure": {"caption": "PINODE: our maps with Adam (above) and the published ones of paper Fig. 1(e) (below), on the published grid and colour scale. Marks as above.", "name": "fig-pinode"}, "image": {"alt": "Four grids: training loss and test error of our PINODE above, the published ones below, in the same colours, each with its borders between the regimes.", "width": "100%"}} tags=["hide-input"]
figure = models["PINODE"].beside_the_published("PINODE: ours and published")
figure

# %% tags=["remove-input"]
report.source(models["PINODE"], figure)

# %% tags=["remove-input"]
batches = families.kappas(
    {
        CODE: pinode["Adam"],
        OWN: pinode["Adam, own batches"],
        TEXT: pinode["Adam, the text"],
    },
    {},
).own

# %% tags=["remove-input"] language="markdown"
# {% if supported(batches[CODE] > batches[OWN] and batches[CODE] > batches[TEXT]) %}
# For the PINODE it is the other way round: kappa is {{ batches[CODE] | number }} with the code's 13 updates and
# {{ batches[OWN] | number }} with own batches. So the two panels of the pendulum do not come from one script; their grids differ,
# too.
# {% endif %}
# {% if supported(agreement.published_worse.PINODE > agreement.published_better.PINODE) %}
# The disagreement that is left has one direction: {{ agreement.published_worse.PINODE }} cells are well trained here and
# under-trained in the published map, {{ agreement.published_better.PINODE | none_or }} the other way round.
# {% endif %}
#
# :::{dropdown} Evidence: agreement with the published maps
# {{ published_table }}
#
# Ratios are those of the median cell. The columns on values leave out the cells that the published colours cut off at the ends
# of their scale, or hide under a line.
# :::
#
# :::{dropdown} Evidence: size of the regimes
# {{ shares_table }}
#
# A cell is labelled by the mean over its seeds. {doc}`pinn_convection` shows the cells of the PINN whose seeds disagree.
# :::

# %% [markdown]
# ## Paper Fig. 1(e) fits half of Adam's epochs best
#
# The text says that the PINODE of paper Fig. 1 was trained with L-BFGS. Every variant of the PINODE in the catalog is a rival,
# and each is judged by the row of paper Table 5 that serves it best.

# %% tags=["remove-input"]
judges = {name: pinode[name].thresholds for name in ("Adam", "L-BFGS")}
rivals = families.rivals(pinode, judges)
text.table(
    rivals.sort_values("best", ascending=False),
    {
        "Adam": "kappa, thresholds of Adam",
        "L-BFGS": "of L-BFGS",
        "own": "its own",
        "highest": "its highest training loss",
        "train_ratio": "published over ours: training loss",
        "test_ratio": "published over ours: test error",
    },
    "our map",
    dict.fromkeys(("Adam", "L-BFGS", "own"), two)
    | dict.fromkeys(("train_ratio", "test_ratio"), plain),
)

# %% tags=["remove-input"]
by_adam, by_lbfgs = (
    rivals[name].drop("Adam").sort_values(ascending=False) for name in judges
)
theirs = float(pinode["Adam"].published["train_loss"].max())
half = ledger.families.HALF
newton = rivals.best["NNCG after Adam"]

# %% tags=["remove-input"] language="markdown"
# An empty entry: both maps show one label only.
# {% if supported(rivals.best[half] == rivals.best.max() and rivals.Adam[half] > rivals.Adam.Adam + 0.1 and newton == rivals.best[half]) %}
# The nearest map is that of Adam with 300 of its 600 epochs. By the row of Adam it has a kappa of
# {{ rivals.Adam[half] | number }}, where all 600 epochs have {{ rivals.Adam.Adam | number }}. Half of the epochs are what the script
# that was released for NNCG gives to Adam; its NNCG afterwards, with steps of a thousandth of Newton's length, changes no label.
# That the published map has more of Regime II than ours is this difference.
# {% endif %}
# {% if supported(0.8 < rivals.train_ratio[half] < 1.25 and 0.8 < rivals.test_ratio[half] < 1.25) %}
# The values agree as well: the published training loss is {{ rivals.train_ratio[half] | number }} times that of half the epochs in
# the median cell, the test error {{ rivals.test_ratio[half] | number }} times. The reading was chosen because it fits, and no
# number was tuned.
# {% endif %}
# {% if supported(theirs > 2 * rivals.highest["L-BFGS"]) %}
# It is not the map of L-BFGS: the published training losses reach {{ theirs | number }}, those of L-BFGS nowhere more than
# {{ rivals.highest["L-BFGS"] | number }}.
# {% endif %}

# %% [markdown]
# ## Regime II of the pendulum has a low test error
#
# The paper describes Regime II by a high training loss *and* a high test error; its borders are drawn by the training loss
# alone.

# %% tags=["remove-input"]
parts = {
    f"{kind}part": [
        prose.part_of(low, cells)
        for low, cells in zip(
            second[f"{kind}low"], second[f"{kind}cells"], strict=True
        )
    ]
    for kind in ("", "published_")
}
text.table(
    second.assign(**parts),
    {
        "I": "median test error in I",
        "II": "in II",
        "III": "in III",
        "threshold": "$T_\\mathrm{test}$",
        "part": "cells of II with a test error at most that",
        "published_part": "the same in the published map",
    },
    "map",
)

# %% tags=["remove-input"] language="markdown"
# {% if supported(second.published_low.NODE > second.published_cells.NODE / 2 and second.published_low.PINODE > second.published_cells.PINODE / 2 and second.low.PINODE == second.cells.PINODE) %}
# For the PINODE every cell of II has a low test error, here and in the published map; for the NODE most have. On the pendulum
# Regime II means a high training loss alone.
# {% endif %}

# %% [markdown]
# ## The training loss has a floor that no network can pass
#
# Euler's method errs, even with the true field $F$. So the two parts of a PINODE's loss contradict each other: the data ask for
# an $f$ that makes up for the error of the step, the physics asks for $f = F$. Between them
#
# $$
# \min_f\; \overline{\lvert x + \Delta t f - x' \rvert^2} + \Delta t^2\, \overline{\lvert f - F \rvert^2}
# = \tfrac{1}{2}\, \overline{\lvert x + \Delta t F - x' \rvert^2},
# $$
#
# reached halfway. This floor needs no training to be known.

# %% mystnb={"figure": {"caption": "Training loss of the PINODE with Adam, the floor that Euler's method puts under it, in the same colours, and the share of the floor in the loss, cell by cell.", "name": "fig-floor"}, "image": {"alt": "Three grids over the inverse damping and the number of observed states: the training loss, the floor of forward Euler, and the ratio of the two written into each cell.", "width": "100%"}} tags=["hide-input"]
figure = rollouts.floor_figure(
    models["PINODE"], "How much of the training loss is the time step's"
)
figure

# %% tags=["remove-input"]
report.source(models["PINODE"], figure)

# %% tags=["remove-input"]
floors = pendulum.floors(
    {
        "Adam": pinode["Adam"],
        "L-BFGS": pinode["L-BFGS"],
        "L-BFGS, then Newton steps": pinode["NNCG, tight"],
    }
)
last = floors.loc["L-BFGS, then Newton steps"]
share_words = [
    f"{prose.percent(row.share)} ({prose.percent(row.least)} to {prose.percent(row.most)})"
    for row in floors.itertuples()
]
above = [prose.part_of(row.above, row.cells) for row in floors.itertuples()]
floor_table = text.tabulated(
    floors.assign(share=share_words, above=above),
    {
        "share": "share of the floor in the training loss: median cell",
        "rank": "rank correlation with the floor",
        "threshold": "$T_\\mathrm{train}$",
        "above": "cells whose floor is above it",
    },
    "map",
    {"rank": two},
)
errors = families.error_floor(models["PINODE"])
trained, tested = rollouts.reach(models["PINODE"])
errors_table = text.tabulated(
    errors.rename("{:g}".format),
    {
        "true": "test error of the true field",
        "lowest": "lowest test error in our map",
        "share": "the one over the other",
    },
    "1/b",
    {"share": prose.percent},
)
steps = families.two_errors({name: models[name] for name in ("NODE", "PINODE")})
margin = steps.threshold.min() / steps.highest.max()
ranges = [
    f"{prose.number(row.lowest)} to {prose.number(row.highest)}"
    for row in steps.itertuples()
]
steps_table = text.tabulated(
    steps.assign(ranges=ranges),
    {
        "rank": "rank correlation of both errors",
        "ranges": "error of one step, lowest to highest cell",
        "threshold": "$T_\\mathrm{test}$",
        "apart": "III apart from I by one step alone",
    },
    "map",
    {"rank": two, "apart": prose.percent},
)

# %% tags=["remove-input"] language="markdown"
# With Adam the floor is {{ floors.share.Adam | percent }} of the training loss of the median cell; after L-BFGS and Newton steps
# it is {{ last.share | percent }}. In {{ floors.above["L-BFGS"] }} of {{ floors.cells["L-BFGS"] }} cells the floor lies above
# the threshold that paper Table 5 gives L-BFGS. Such a cell is in Regime II whatever the training: *under-trained* then says
# something about the time step, and nothing about the optimiser.
#
# The test error has a floor of the same kind. At the weakest damping the true field, followed by Euler's method, has an error
# of {{ errors.true.iloc[-1] | number }}, and the best cell has {{ errors.lowest.iloc[-1] | number }}.
#
# :::{dropdown} Evidence: the floor under three trainings
# {{ floor_table }}
#
# The last line is no strategy of the paper: Newton steps with a tolerance of our own ({doc}`pinode_strategies`). What a better
# optimiser can still gain lies between the second line and the third.
# :::
#
# :::{dropdown} Evidence: the test error of the true field
# {{ errors_table }}
#
# The test begins at {{ tested | number }} rad, and no training trajectory goes beyond {{ trained | number }} rad: the test asks
# for swings that no network has seen.
# :::
#
# :::{dropdown} Evidence: the error of the rollout and of one step
# {{ steps_table }}
#
# *Apart*: in how many of all pairs of a cell of III with a cell of I the one of III has the larger error of one step; one half
# would be chance.
# {% if supported(margin > 10) %}
# The thresholds of paper Table 5 are at least {{ margin | whole }} times every error of one step: they mean the rollout.
# {% endif %}
# :::

# %% [markdown]
# ## What the paper claims

# %% tags=["remove-input"]
text.say(report.claims_table(verdicts))

# %% tags=["remove-input"]
steep = {
    name: structure.rises(one.train, one.thresholds.train, floor_of(one))
    for name, one in {
        "PINN": pinn,
        f"NODE, {CODE}": node[CODE],
        f"NODE, {OWN}": node[OWN],
        "PINODE": pinode["Adam"],
    }.items()
}
jumps = pd.DataFrame(
    {
        name: {"rows": len(one)} | one.median().to_dict()
        for name, one in steep.items()
    }
).T
jumps_table = text.tabulated(
    jumps,
    {
        "rows": "rows that cross the border",
        "factor": "the training loss rises by",
        "exponent": "above its floor with an exponent of the coefficient of",
    },
    "map",
    dict.fromkeys(("factor", "exponent"), plain) | {"rows": "{:.0f}".format},
)
codes, owns = (
    jumps.factor["PINODE"] > jumps.factor[f"NODE, {name}"]
    for name in (CODE, OWN)
)

# %% tags=["remove-input"] language="markdown"
# A row holds the cells with one $N$ (or $N_f$), a column those with one coefficient. A claim on the NODE is judged by both counts
# of updates, and is open where they disagree.
# {% if supported(codes != owns) %}
# The claim that physics makes transitions sharper is such a one: beside the code's count the PINODE rises by the larger factor,
# beside own batches by the smaller one.
# {% endif %}
#
# :::{dropdown} Evidence: how steep the training border is
# Median over the rows, between the two cells on either side of the border. The steps of the grids differ; the exponent allows
# for that.
#
# {{ jumps_table }}
# :::

# %% [markdown]
# ## Where paper and code differ
#
# - *The state.* In the released code a NODE sees the state as a point on a sphere, a PINODE sees angle and velocity themselves;
#   the text says that both see the sphere.
# - *The test error.* The text calls it that of one step along the test trajectory; the released code fills its maps with the
#   relative error of the rollout.
# - *The physics term* carries a factor $\Delta t^2$ in the code and none in the text.
# - *An epoch* has 13 updates in the code, after each of which the learning rate falls by 0.5 per cent. By the *text* it is one pass
#   through a run's own batches, and the rate stays. Paper Fig. 1(d) fits one pass *and* a falling rate.
#
# All readings that were run are compared below with the code's; their ratios are those of the median cell.

# %% tags=["remove-input"]
counts = {
    "loss": plain,
    "error": plain,
    "cells": lambda n: " / ".join(map(str, n)),
    "changed": "{:.0f}".format,
    "kappa": two,
}
columns = {
    "loss": "data loss, ratio",
    "error": "test error, ratio",
    "cells": "I / II / III",
    "changed": "labels that change",
    "kappa": "kappa with the published",
}
node_readings = families.readings(node[CODE], node)
pinode_readings = families.readings(
    pinode["Adam"],
    {
        name.removeprefix("Adam, "): one
        for name, one in pinode.items()
        if name.startswith("Adam")
    },
)
node_table, pinode_table = (
    text.tabulated(frame.rename({"Adam": CODE}), columns, head, counts)
    for head, frame in (("NODE", node_readings), ("PINODE", pinode_readings))
)
shortest = families.median_ratio(
    pinode["Adam, no physics"],
    pinode["Adam"],
    "test_error",
    pinode["Adam"].runs["n_data"].values[:2],
)
sphere, raw = (
    int((one.train > node[CODE].thresholds.train).sum())
    for one in (node[CODE], node[RAW])
)

# %% tags=["remove-input"] language="markdown"
# {% if supported(raw == 0 and sphere > 0) %}
# A NODE that sees angle and velocity has a loss {{ (1 / node_readings.loss[RAW]) | whole }} times smaller. On the
# sphere {{ sphere }} of {{ node[CODE].train.size }} cells are above the training threshold, on angle and velocity none. The two
# losses have other units, but the second stays far below: the Regime II of the NODE belongs to its representation.
# {% endif %}
#
# Without its equation a PINODE has a test error {{ (1 - pinode_readings.error["no physics"]) | percent }} lower in the median cell,
# and {{ (1 - shortest) | percent }} lower in that of the two shortest trajectories.
# {% if supported(0.9 < pinode_readings.error["no physics"] < 1 and 0.9 < shortest < 1) %}
# So the physics term adds little. It asks for the true field at the states that are observed anyway, where the data ask for
# almost the same.
# {% endif %}
#
# :::{dropdown} Evidence: other readings
# {{ node_table }}
#
# {{ pinode_table }}
#
# An empty entry: another loss, so that its regimes cannot be compared.
# :::

# %% tags=["remove-input"]
rates = "the rates of change, from observed states"
learned = {
    "PINN": "the solution $u(x, t)$, from its equation",
    "NODE": rates,
    "PINODE": f"{rates} and the equation",
}
table = families.families(models)
families_table = text.tabulated(
    table.assign(
        learns=pd.Series(learned),
        system=[
            f"{row.system}, {row.symbol} = {row.coefficients[0]:g} ... {row.coefficients[1]:g}"
            for row in table.itertuples()
        ],
        data=[
            f"{row.data} = {row.amounts[0]:,} ... {row.amounts[1]:,}"
            for row in table.itertuples()
        ],
    ),
    {
        "learns": "its networks learn",
        "system": "system",
        "data": "amount of data",
        "runs": "runs",
        "seeds": "seeds",
    },
    "family",
)

# %% tags=["remove-input"] language="markdown"
# :::{dropdown} Evidence: families and recipes
# {{ families_table }}
#
# {{ report.budgets(models) }}
# :::
#
# :::{dropdown} Evidence: how the runs ended
# {{ report.endings(models) }}
# :::

# %% [markdown]
# ## Try it

# %% tags=["remove-input"]
everything = [pinn, *node.values(), *pinode.values()]
text.say(report.commands("model_families", everything))

# %% [markdown]
# ## Exercises
#
# 1. By which count of updates does a NODE with 70 observed states get more of them in 600 epochs, and by what factor?
#
# :::{dropdown} Answer
# 70 states make 69 steps, which fill three batches of 32. A pass has three updates, the code's epoch 13: over four times as many.
# With the longest trajectory there are 12 batches, and the two counts hardly differ. Therefore the two readings differ most where
# data are few.
# :::
#
# 2. Show that the floor of the training loss is half of the mean squared error of Euler's step.
#
# :::{dropdown} Answer
# Let $e = x' - x - \Delta t F$ be the error of the step and $\delta = \Delta t (f - F)$. A pair of states costs
# $\lvert \delta - e \rvert^2 + \lvert \delta \rvert^2$. The minimum is at $\delta = e / 2$, and its value is
# $\lvert e \rvert^2 / 2$.
# :::
