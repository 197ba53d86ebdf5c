# %% [markdown]
# # Sharpness that deceives
#
# Do networks that training has taken to a low loss sit in a sharp or in a flat place of the landscape, and when do they get
# there {cite:p}`wang2026regimes`?

# %% tags=["parameters"]
profile: str = "laptop"  # smoke | laptop | paper
device: str = "auto"  # auto | cpu | cuda
seeds: int = 3  # use at most the first n seeds of the profile
runs: str = ""  # folder of stored runs; empty means the repository's own

# %% tags=["hide-input"]
from sciml_lib import figures, ledger, report, studies, text
from sciml_lib.analysis import curvature, sharpening
from sciml_lib.prose import percent

# %load_ext sciml_lib.text

source = ledger.Source(profile, device, runs, seeds)
panel, trained = ledger.sharpness.gather(source)
equations = {"convection": panel} | {
    name: source.measured(f"pinn/{name}/lbfgs")
    for name in ("reaction", "wave", "reaction-diffusion")
}
trajectories = studies.get("trajectories")

cells = curvature.cells_of(panel)  # one row a cell
single = curvature.runs_of(panel)  # one row a run
across = curvature.across(equations)  # one row an equation
along = sharpening.runs_of(trained)  # one row a run and phase
splits = sharpening.splits(trained)  # one row a cell
whole = along[along.phase == "whole"]
links = curvature.links(panel)  # rank correlations and their intervals
verdicts = ledger.judged(ledger.sharpness, panel, trained)

# %% tags=["remove-input"] language="markdown"
# :::{admonition} The answer
# :class: answer
# *The paper says*: sharpness deceives. Well-trained models sit in narrow valleys, where the largest eigenvalue
# $\lambda_{\max}$ of the loss's Hessian is large. It rises steeply just while the loss falls (*increasing sharpening*), and
# then both are stable (paper section 2.5.2, paper Figs. 7, 11(a) and 12).
#
# *We find*: over the map of convection $\lambda_{\max}$ and training loss have the rank correlation
# {{ "%+.2f" | format(across.lambda_max.convection) }}, but $\lambda_{\max}/\beta^2$ and training loss
# {{ "%+.2f" | format(across.scaled.convection) }}. Along training $\lambda_{\max}$ ends above its first value in
# {{ (whole.factor > 1).sum() }} of {{ whole | length }} runs.
#
# *Outcome*: of {{ verdicts | length }} claims {{ report.outcomes(verdicts) }}. The paper's map is that of an FNO, which is not
# run; our trainings begin with Adam, which the paper does not mention, and so can at most suggest something.
#
# *Evidence*: {{ single | length }} of the {{ panel.plan.sweep.at("paper").cells | length }} runs of the paper's map of
# convection, {{ panel.runs.sizes.seed }} of {{ panel.plan.sweep.at("paper").seeds | length }} seeds; trainings followed in
# {{ trained.items | length }} of {{ trajectories.items("paper") | length }} runs.
# :::

# %% mystnb={"figure": {"caption": "Convection at the ends of the runs, in the paper's colours (yellow is low): training loss, largest eigenvalue of its Hessian, and the same over the square of \u03b2. Of the seeds the mean loss is shown, and the mean of the logarithms.", "name": "fig-sharpness-map"}, "image": {"alt": "Three grids over the coefficient beta and the number of collocation points: the mean training loss, the logarithm of the largest eigenvalue, which rises with beta, and the logarithm of the largest eigenvalue over beta squared, which does not.", "width": "100%"}} tags=["cover"]
figure = figures.value_maps(
    curvature.maps(panel),
    *panel.maps[2:],
    **panel.axis_words,
    title="Training loss and curvature, convection",
)
figure

# %% tags=["remove-input"]
report.source(panel, figure)

# %% [markdown]
# Nothing is trained for {numref}`fig-sharpness-map`: the Hessian of the training loss is taken at the weights at which the
# stored runs have ended.

# %% [markdown]
# ## Over a map, sharpness follows the coefficient
#
# The residual of convection is $u_t + \beta\,u_x$, and the loss has its square. So one and the same network has a curvature
# that grows with $\beta^2$ where this part prevails, whether it is trained well or not. The other equations have their
# coefficients in such a place, too. A rank correlation of curvature and loss over a whole map therefore mixes two things,
# since the loss rises with the coefficient as well.

# %% tags=["remove-input"]
signed = "{:+.2f}".format
text.table(
    across,
    {
        "cells": "cells",
        "lambda_max": "$\\lambda_{\\max}$ with training loss",
        "scaled": "$\\lambda_{\\max}$ / coefficient² with training loss",
        "at_one": "$\\lambda_{\\max}$ with training loss, at one coefficient (median)",
    },
    "rank correlation over cells",
    dict.fromkeys(("lambda_max", "scaled", "at_one"), signed),
)

# %% tags=["remove-input"]
fixed = curvature.at_one(cells, "lambda_max", "train_loss")
heads = {
    "n": "measured",
    "lambda_max_train_loss": "$\\lambda_{\\max}$, training loss",
    "lambda_max_test_error": "$\\lambda_{\\max}$, test error",
    "scaled_train_loss": "$\\lambda_{\\max}/\\beta^2$, training loss",
    "scaled_test_error": "$\\lambda_{\\max}/\\beta^2$, test error",
    "trace_train_loss": "trace, training loss",
    "trace_test_error": "trace, test error",
}
written = dict.fromkeys(heads, signed) | {"n": "{:,.0f}".format}
over_cells, over_runs = (
    text.tabulated(curvature.ranks(frame), heads, "convection", written)
    for frame in (cells, single)
)

# %% tags=["remove-input"] language="markdown"
# {% if supported(across.scaled.convection | abs < 0.3 < across.lambda_max.convection) %}
# In convection most of the correlation over the map is the coefficient: with $\lambda_{\max}/\beta^2$ little is left of it.
# {% endif %}
# {% if supported(across.scaled["reaction-diffusion"] < -0.3 < 0.3 < across.lambda_max["reaction-diffusion"]) %}
# In reaction-diffusion the sign turns: so divided, cells with a higher loss tend to be the flatter ones ({doc}`flatness`).
# {% endif %}
# {% if links.value.given == links.value.given %}
# Given β, the partial rank correlation of $\lambda_{\max}$ and loss in convection is {{ signed(links.value.given) }}; resampled
# cells give {{ signed(links.low.given) }} to {{ signed(links.high.given) }}. How much the two have in common beside β depends on
# the reading.
# {% endif %}
# {% if fixed | length %}
# Cell by cell at one β, the correlation is negative at {{ (fixed < 0).sum() }} of {{ fixed | length }} values of β.
# {% endif %}
#
# :::{dropdown} Evidence: rank correlations by regime
# Over the cells of convection:
#
# {{ over_cells }}
#
# Over its single runs:
#
# {{ over_runs }}
#
# The last line of each has medians over the values of β. There it makes no difference whether $\lambda_{\max}$ is divided.
# :::

# %% [markdown]
# ## Two seeds of one cell differ by training alone
#
# What the paper means by sharpness that deceives is a statement about training. The cleanest comparison is one of two runs
# with the same coefficient and the same points, which differ in their first weights only.

# %% tags=["remove-input"]
shares = across.assign(
    share=across.sharper / across.seed_pairs.where(across.seed_pairs > 0)
)
under = cells[cells.most == 2]
by_mean = cells[cells.regime == 2]
regimes = curvature.by_regime(cells)
shown = dict.fromkeys(("share", "ahead", "ahead_at_one"), percent)
by_seeds = text.tabulated(
    shares,
    {
        "seed_pairs": "pairs of seeds",
        "share": "higher loss is sharper",
        "pairs": "pairs of a cell of I and one of II",
        "ahead": "that of I is sharper",
        "pairs_at_one": "pairs at one coefficient",
        "ahead_at_one": "that of I is sharper",
    },
    "equation",
    shown,
)
by_regime = text.tabulated(
    regimes,
    {
        "cells": "cells",
        "lambda_max": "$\\lambda_{\\max}$, median",
        "lower": "lower quartile",
        "upper": "upper quartile",
        "scaled": "$\\lambda_{\\max}/\\beta^2$, median",
        "trace": "trace, median",
        "train_loss": "training loss, median",
    },
    "convection, regime by the mean",
    {"cells": "{:,.0f}".format},
)

# %% tags=["remove-input"] language="markdown"
# {% if shares.seed_pairs.convection %}
# In convection the run with the higher training loss is the sharper one in {{ shares.sharper.convection }} of
# {{ shares.seed_pairs.convection }} such pairs; one half would be chance.
# {% endif %}
# {% if links.value.seeds == links.value.seeds %}
# Over all cells that is a surplus of {{ signed(links.value.seeds) }}, between 0 for chance and +1 if it were always so; resampled
# cells give {{ signed(links.low.seeds) }} to {{ signed(links.high.seeds) }}.
# {% endif %}
# The comparison of well-trained with under-trained cells, which the paper makes, needs cells of Regime II.
# Of the {{ cells | length }} cells of convection {{ under | length }} lie there by most of their seeds, and
# {{ by_mean | length }} by their mean.
#
# :::{dropdown} Evidence: pairs of seeds, pairs of cells, and regimes
# {{ by_seeds }}
#
# Three seeds make three pairs, which are not independent.
#
# {{ by_regime }}
#
# Medians and quartiles of $\lambda_{\max}$ are taken of its logarithm.
# :::

# %% [markdown]
# ## Increasing sharpening: λ_max while the network learns
#
# For paper Figs. 7 and 12 some runs are trained once more, and their weights are kept on the way. All begin with 2,000 steps
# of Adam ({doc}`../regimes/pinn_convection`), which the paper does not mention: its curves may begin where ours change over
# to L-BFGS.

# %% mystnb={"figure": {"caption": "Training loss (blue, solid) and largest eigenvalue of the Hessian (red, dashed) along training, both on logarithmic axes; thin lines are seeds, thick ones their median; a run that has ended keeps its last values. To the left of the dotted line Adam trains, to its right L-BFGS. The dashed line parts the phases by the rule that is given below.", "name": "fig-sharpening"}, "image": {"alt": "Panels for different beta and numbers of collocation points, each with a falling curve of the training loss and a curve of the largest eigenvalue over the iterations, shaded green before and pink after a dashed line.", "width": "100%"}}
figure = figures.trajectories(
    sharpening.curves(trained),
    title="Loss and curvature along training, convection",
    phases=("largest eigenvalue rises", "after nine tenths of its rise"),
    switch="L-BFGS takes over from Adam",
)
figure

# %% tags=["remove-input"]
report.study_source(trained, figure)

# %% tags=["remove-input"]
phases = sharpening.by_cell(along)
phases["negative_of"] = [
    f"{row.negative} of {row.runs}" for row in phases.itertuples()
]
phases["sharper_of"] = [
    f"{row.sharper} of {row.runs}" for row in phases.itertuples()
]
phases["phase_name"] = phases.phase.map(
    {"whole": "all of training", "adam": "Adam", "lbfgs": "L-BFGS"}
)
phases.index = [
    f"$\\beta = {row.coefficient:g}$, $N_f = {row.n_data:,}$"
    for row in phases.itertuples()
]
columns = {
    "first": "$\\lambda_{\\max}$, first",
    "last": "last",
    "sharper_of": "ends sharper",
    "rise": "largest rise on the way, factor",
    "fall": "loss falls by the factor",
    "relation": "rank correlation with the loss",
}
text.table(
    phases[phases.phase == "whole"],
    columns,
    "cell",
    {"relation": signed},
)

# %% tags=["remove-input"]
by_phase = text.tabulated(
    phases,
    {"phase_name": "phase", "factor": "factor, median", "lowest": "lowest"}
    | {"highest": "highest"}
    | columns
    | {"negative_of": "negative"},
    "cell",
    {"relation": signed},
)
ends = (whole.factor > 1).groupby(whole.coefficient).agg(["sum", "size"])
fig_7 = whole[(whole.coefficient == 5) & (whole.n_data == 15_000)]
found = splits.dropna(subset="split")
places = [
    f"{row.split:,.0f} (β = {row.coefficient:g} with {row.n_data:,} points)"
    for row in found.itertuples()
]

# %% tags=["remove-input"] language="markdown"
# The table has medians over the seeds.
# {% for beta, row in ends.iterrows() %}
# At β = {{ "%g" | format(beta) }} the eigenvalue ends larger than it begins in {{ row["sum"] }} of {{ row["size"] }} runs.
# {% endfor %}
# {% if fig_7 | length %}
# The cell of paper Fig. 7, β = 5 with 15,000 points, has {{ fig_7 | length }} seeds here and five in the paper.
# {% endif %}
#
# :::{dropdown} Evidence: Adam and L-BFGS apart, and where the phases part
# {{ by_phase }}
#
# A correlation is that along one run, and the median of the seeds is given; the last column counts the runs in which it is
# negative, so that the eigenvalue rises where the loss falls.
#
# The paper gives no rule for where its two phases part. Here it is the first point at which nine tenths of the largest rise
# of the seeds' median eigenvalue are done, counted in its logarithm{% if places %}: iteration {{ places | listed }}{% endif %}.
# {% if found | length < splits | length %}
# In {{ splits | length - found | length }} of {{ splits | length }} cells the median nowhere rises by a factor of 1.5, so
# there are no phases.
# {% endif %}
# :::

# %% [markdown]
# ## What the paper claims

# %% tags=["remove-input"]
text.say(report.claims_table(verdicts))

# %% tags=["remove-input"] language="markdown"
# Some remarks on these lines:
#
# - Those on the map are judged by what is left once $\beta^2$ is divided out.
# - Those on training ask three quarters of the seeds of every cell, once over all of training and once over L-BFGS alone. Where
#   the two disagree, only runs that begin without Adam could tell.
# - "Stable" has two readings, and both are shown. On a logarithmic axis the loss has to stay within a factor of
#   {{ sharpening.STEADY | whole }}. On a linear one a fall from a small loss to a smaller one cannot be seen. The paper does not
#   say which it means.

# %% [markdown]
# ## Where paper and code differ
#
# The paper's map shows the logarithm of the eigenvalue, and does not say whether the mean over the seeds or the logarithm is
# taken first; its code takes the mean. We take the mean of the logarithms, which does not give the sharpest seed most of the
# weight.

# %% tags=["remove-input"]
ratio = curvature.two_means(cells)
power = curvature.power_iteration(panel)

# %% tags=["remove-input"] language="markdown"
# With the mean first, the eigenvalue is {{ ratio.median() | number(3) }} times ours in the median cell and
# {{ ratio.max() | number(3) }} times at most.
# {% if ratio | length > 4 %}
# The two order the cells with a rank correlation of {{ "%.2f" | format(curvature.rank(cells.lambda_mean, cells.lambda_max)) }}.
# {% endif %}
#
# The paper finds $\lambda_{\max}$ by *power iteration*: a random vector is multiplied by the Hessian until the value changes
# by less than a thousandth. That can end too early, or at a negative eigenvalue; ours is by the Lanczos method. Both agree
# within 1 % in {{ power.same }} of {{ power.runs }} runs.
# {% if power.same < power.runs %}
# In the others the power iteration gives less ({{ power.low }}), more ({{ power.high }}) or a negative number
# ({{ power.negative }}); the largest relative difference is {{ power.worst | number }}.
# {% endif %}

# %% [markdown]
# ## Try it

# %% tags=["remove-input"] language="markdown"
# {{ report.study_command("sharpness", [trained]) }}
#
# The runs of the maps, and their curvature:
#
# {{ report.measure_command(equations.values() | list) }}

# %% [markdown]
# ## Exercises
#
# 1. Before training has begun, the eigenvalue at β = 50 already is dozens of times that at β = 5, though the first weights
#    are the same. Why, and why not a hundred times?
#
# :::{dropdown} Answer
# The loss has the mean square of $u_t + \beta\,u_x$, so its second derivatives by the weights have a part that is
# proportional to $\beta^2$. Between these two cells it grows by a factor of 100. The parts of $u_t$ and of the initial and
# boundary values do not grow with β, and at β = 5 they are not small.
# :::
#
# 2. At one β, does it matter for a rank correlation whether $\lambda_{\max}$, its logarithm or $\lambda_{\max}/\beta^2$ is
#    taken? And over the whole map?
#
# :::{dropdown} Answer
# At one β it does not: all three put the runs into one and the same order, and ranks know nothing else. Over the map the
# logarithm still changes nothing, but the division by $\beta^2$ puts cells of different β into another order.
# :::

# %% tags=["remove-input"] language="markdown"
# :::{dropdown} Evidence: how these networks were trained, and how the runs ended
# {{ report.budgets(equations) }}
#
# {{ report.endings(equations) }}
# :::
