# %% [markdown]
# # Flatness that deceives
#
# Where a training has ended with a high loss, is the landscape around it flat, and what does that flatness mean
# {cite:p}`wang2026regimes`?

# %% tags=["parameters"]
profile: str = "laptop"  # smoke | laptop | paper
device: str = "auto"  # auto | cpu | cuda
seeds: int = 3  # use at most the first n seeds of the profile
runs: str = ""  # folder of stored runs; empty means the repository's own

# %% tags=["hide-input"]
from sciml_lib import figures, ledger, report, text
from sciml_lib.analysis import curvature, flatness
from sciml_lib.studies.trajectories import warm_up

# %load_ext sciml_lib.text

source = ledger.Source(profile, device, runs, seeds)
(panel,) = ledger.flatness.gather(source)
cells = curvature.cells_of(panel)  # one row a cell
table = flatness.runs_of(panel)  # one row a run
table["emptied"] = flatness.emptied_curvature(panel, table, device=device)
flat, high, low = (table[table[kind]] for kind in ("flat", "high", "low"))
rows = flatness.by_coefficient(table)
both = rows.dropna(subset=["low", "flat"])
units = flat.lambda_max / flatness.unit(flat.coefficient)
short = flat.iterations - warm_up(panel.plan) <= ledger.flatness.SHORT
verdicts = ledger.judged(ledger.flatness, panel)

# %% tags=["remove-input"] language="markdown"
# :::{admonition} The answer
# :class: answer
# *The paper says*: flatness deceives. In the map of reaction-diffusion, cells with $\rho \geq 15$ have small Hessian
# eigenvalues and yet a high training loss: the optimiser stalls on a plateau, where no gradient informs it (paper section
# 2.5.2, paper appendix F.2, paper Fig. 11(b)).
#
# *We find*: {{ high.flat.sum() }} of the {{ high | length }} runs with a high training loss have the loss and the error of a
# constant that solves the equation, and forgets how it began.
# {% if both | length %}
# Runs at a constant are flatter than the runs of low loss at {{ (both.flat < both.low).sum() }} of the {{ both | length }} values of ρ that
# have both.
# {% endif %}
#
# *Outcome*: of {{ verdicts | length }} claims {{ report.outcomes(verdicts) }}. A plateau and a constant that solves the equation
# are no alternatives: a run can be at both.
#
# *Evidence*: {{ table | length }} of the {{ panel.plan.sweep.at("paper").cells | length }} runs of the paper's map,
# {{ panel.runs.sizes.seed }} of {{ panel.plan.sweep.at("paper").seeds | length }} seeds.
# :::

# %% mystnb={"figure": {"caption": "Reaction-diffusion at the ends of the runs, after paper Fig. 11(b), in the paper's colours (yellow is low): training loss, largest eigenvalue of its Hessian, and the same over the square of \u03c1. Of the seeds the mean loss is shown, and the mean of the logarithms.", "name": "fig-flatness-map"}, "image": {"alt": "Three grids over the coefficient rho and the number of collocation points: the mean training loss, high at large rho with many points; the logarithm of the largest eigenvalue, which rises with rho; and the logarithm of the largest eigenvalue over rho squared, low where the loss is high.", "width": "100%"}} tags=["cover"]
figure = figures.value_maps(
    curvature.maps(panel),
    *panel.maps[2:],
    **panel.axis_words,
    title="Training loss and curvature, reaction-diffusion",
)
figure

# %% tags=["remove-input"]
report.source(panel, figure)

# %% [markdown]
# The equation is
#
# $$
# u_t = \nu\, u_{xx} + \rho\, u\,(1 - u).
# $$
#
# For {numref}`fig-flatness-map` the Hessian of the training loss is taken at the weights at which the stored runs have ended.

# %% [markdown]
# ## Where the loss is high, the landscape is flatter than elsewhere at this ρ
#
# The coefficient multiplies a part of the residual, and its square a part of the loss. So $\lambda_{\max}$ grows with ρ,
# whether a run is trained well or not, and flat means: flat for its ρ.

# %% tags=["remove-input"]
signed = "{:+.2f}".format
ranks = curvature.across({"reaction-diffusion": panel}).iloc[0]
fixed = curvature.at_one(table, "lambda_max", "train_loss")
regimes = curvature.by_regime(cells)
by_regime = text.tabulated(
    regimes,
    {
        "cells": "cells",
        "lambda_max": "$\\lambda_{\\max}$, median",
        "lower": "lower quartile",
        "upper": "upper quartile",
        "scaled": "$\\lambda_{\\max}/\\rho^2$, median",
        "trace": "trace, median",
        "train_loss": "training loss, median",
    },
    "regime",
    {"cells": "{:,.0f}".format},
)
heads = {
    "n": "measured",
    "lambda_max_train_loss": "$\\lambda_{\\max}$, training loss",
    "lambda_max_test_error": "$\\lambda_{\\max}$, test error",
    "scaled_train_loss": "$\\lambda_{\\max}/\\rho^2$, training loss",
    "scaled_test_error": "$\\lambda_{\\max}/\\rho^2$, test error",
    "trace_train_loss": "trace, training loss",
    "trace_test_error": "trace, test error",
}
written = dict.fromkeys(heads, signed) | {"n": "{:,.0f}".format}
over_cells, over_runs = (
    text.tabulated(curvature.ranks(frame), heads, "over", written)
    for frame in (cells, table)
)

# %% tags=["remove-input"] language="markdown"
# {% if ranks.lambda_max == ranks.lambda_max %}
# Over the cells of the map $\lambda_{\max}$ and training loss have the rank correlation {{ signed(ranks.lambda_max) }},
# but $\lambda_{\max}/\rho^2$ and training loss {{ signed(ranks.scaled) }}.
# {% endif %}
# {% if fixed | length %}
# Run by run at one ρ, the correlation is negative at {{ (fixed < 0).sum() }} of {{ fixed | length }} values of ρ.
# {% endif %}
# {% if ranks.pairs_at_one %}
# Of a cell of Regime I and one of Regime II at the same ρ, the one of I has the larger $\lambda_{\max}$ in
# {{ ranks.ahead_at_one | percent }} of {{ ranks.pairs_at_one | whole }} pairs.
# {% endif %}
#
# :::{dropdown} Evidence: regimes, and rank correlations by regime
# {{ by_regime }}
#
# {% if ranks.pairs %}
# Of all {{ ranks.pairs | whole }} pairs of a cell of I with a cell of II, whatever their ρ, the one of I has the larger
# $\lambda_{\max}$ in {{ ranks.ahead | percent }}; one half would be chance.
# {% endif %}
#
# Rank correlations over cells:
#
# {{ over_cells }}
#
# Rank correlations over single runs:
#
# {{ over_runs }}
#
# The last line of each has medians over the values of ρ.
# :::

# %% [markdown]
# ## Most runs of high loss have learned a constant
#
# The constants $u = 0$ and $u = 1$ solve this equation and its boundary conditions exactly; only the initial values tell them
# from the solution ({doc}`../regimes/pinn_physics`). A run counts as one that ended at a constant if its training loss and its
# test error are those of the constant, both within five per cent. The others are sorted by the thresholds of paper Table 5.

# %% mystnb={"figure": {"caption": "One run of each kind at one coefficient: the true solution (above) and what the network learned (below), with its collocation points.", "name": "fig-flat-runs"}, "image": {"alt": "Pairs of colour maps over position and time, the true solution above the learned one, for one run of each kind that occurs; a run at a constant has one colour only.", "width": "100%"}} tags=["hide-input"]
names = {
    "solved": "solved: low loss, low error",
    "wrong": "low loss, high error",
    "zero": "at the constant $u = 0$",
    "one": "at the constant $u = 1$",
    "other": "high loss, at neither",
}
examples = flatness.one_of_each(panel, table)
figure = panel.solutions_figure(
    list(examples.values()),
    [
        f"{names[kind]}\n{panel.cell_words(cell)}"
        for kind, cell in examples.items()
    ],
    [
        f"training loss {panel.value('train_loss', cell):.1e}, "
        f"$\\lambda_{{\\max}}$ {panel.value('lambda_max', cell):.1e}"
        for cell in examples.values()
    ],
    "What runs of each kind have learned",
)
figure

# %% tags=["remove-input"]
report.source(panel, figure)

# %% tags=["remove-input"]
text.table(
    flatness.by_kind(table).rename(names),
    {
        "runs": "runs",
        "train_loss": "training loss",
        "test_error": "test error",
        "lambda_max": "$\\lambda_{\\max}$",
        "trace": "trace",
    },
    "a run that ended",
)

# %% tags=["remove-input"] language="markdown"
# The table has medians.
# {% if flat | length %}
# Runs at a constant occur at ρ = {{ flat.coefficient.unique() | values }}; of all runs with a high loss they are
# {{ high.flat.mean() | percent }}.
# In {{ flat.stalled.sum() }} of the {{ flat | length }} runs at a constant the line search of L-BFGS found no lower point, and
# {{ short.sum() }} of them ended within {{ ledger.flatness.SHORT }} iterations of the warm-up.
# That is not the same as having settled: the search ends where single precision shows no descent, also on a plateau. Whether such
# a run would go on in double precision was not tried.
# {% endif %}

# %% [markdown]
# ## The flatness is that of the constant
#
# How sharp is the loss at a constant solution? Lift the network's output by a small $b$ everywhere. At $u = 0$ the residual of
# the equation becomes $-\rho\, b\,(1 - b)$, at $u = 1$ it becomes $\rho\, b\,(1 + b)$, the boundary conditions stay fulfilled,
# and every initial value is missed by $b$ more or less. So at either constant the second derivative of the loss by $b$ is
#
# $$
# 2\,(\rho^2 + 1).
# $$
#
# Weights act on the output; the largest eigenvalue is this number, times the square of how far the most effective direction of
# the weights lifts it. To see what being constant does by itself we also take every run, set its weights into the output to
# zero, and measure again.

# %% tags=["remove-input"]
whole = dict.fromkeys(
    ("unit", "low_in_units", "flat_in_units", "emptied_in_units"),
    "{:,.0f}".format,
)
text.table(
    rows.rename("{:g}".format),
    {
        "low": "low loss",
        "n_low": "runs",
        "flat": "at a constant",
        "n_flat": "runs",
        "unit": "unit: $2(\\rho^2 + 1)$",
        "low_in_units": "low loss, in units",
        "flat_in_units": "at a constant, in units",
        "emptied_in_units": "low loss, output set to zero, in units",
    },
    "ρ",
    whole,
)

# %% tags=["remove-input"]
lost = (table.emptied / table.lambda_max)[table.low].median()
apart = flatness.apart_in_data(table)

# %% tags=["remove-input"] language="markdown"
# The table has medians of $\lambda_{\max}$.
# {% if units | length > 1 %}
# Run by run, those at a constant have between {{ units.min() | whole }} and {{ units.max() | whole }} units.
# {% if supported(units.max() <= 2 * units.min()) %}
# This hardly depends on ρ: their curvature is that of the constant, and says nothing of how far away a better solution is.
# {% endif %}
# {% endif %}
# {% if lost == lost %}
# With the weights into its output set to zero, and all else kept, a run of low loss keeps {{ lost | percent }} of its
# $\lambda_{\max}$ in the median. (Such a constant is a special one: no hidden weight has any effect on it.)
# {% endif %}
# {% if apart | length %}
#
# One caution: at ρ = {{ apart.index | values }} every run with a low loss has at most {{ apart.low_at_most.max() | whole }}
# collocation points, and every run at a constant at least {{ apart.flat_at_least.min() | whole }}. What is compared there
# differs in its data, too.
# {% endif %}

# %% [markdown]
# ## What the paper claims

# %% tags=["remove-input"]
text.say(report.claims_table(verdicts))

# %% [markdown]
# A cell has a high loss if most of its seeds have. Two remarks on these lines:
#
# - The third compares eigenvalues of different ρ in the colours of one map, as the paper's figure does, with and without the
#   factor $\rho^2$. Where the two disagree it cannot be judged.
# - The last asks whether the gradient gives a direction. No stored number tells: not how a run ended, not how many iterations it
#   made, and not its largest eigenvalue.

# %% [markdown]
# ## Where paper and code differ
#
# The paper's map shows the logarithm of the eigenvalue, and does not say whether the mean over the seeds or the logarithm is
# taken first; its code takes the mean. We take the mean of the logarithms. The paper's eigenvalues are by power iteration, ours
# by the Lanczos method ({doc}`sharpness`).

# %% tags=["remove-input"]
ratio = curvature.two_means(cells)
power = curvature.power_iteration(panel)

# %% tags=["remove-input"] language="markdown"
# With the mean first, the eigenvalue is {{ ratio.median() | number(3) }} times ours in the median cell and
# {{ ratio.max() | number(3) }} times at most.
# {% if ratio | length > 4 %}
# The two order the cells with a rank correlation of {{ "%.2f" | format(curvature.rank(cells.lambda_mean, cells.lambda_max)) }}.
# {% endif %}
# Power iteration and Lanczos method agree within 1 % in {{ power.same }} of {{ power.runs }} runs; the largest relative
# difference is {{ power.worst | number }}.

# %% [markdown]
# ## Try it

# %% tags=["remove-input"] language="markdown"
# {{ report.commands("flatness", [panel]) }}
#
# {{ report.measure_command([panel]) }}

# %% [markdown]
# ## Exercises
#
# 1. The network is at $u = 0$, and its output is lifted by $b$ everywhere. Which parts of the loss change, and how does
#    $2\,(\rho^2 + 1)$ come about?
#
# :::{dropdown} Answer
# The mean square of the residual becomes $\rho^2 b^2 (1 - b)^2$, with the second derivative $2\rho^2$ at $b = 0$. The mean
# square of what is missed of the initial values, $(h - b)^2$, has the second derivative 2, whatever $h$ is. The boundary
# conditions compare both ends, which are lifted alike, and stay at zero.
# :::
#
# 2. What would tell a plateau from a minimum?
#
# :::{dropdown} Answer
# The gradient, and what more training does. At a minimum the gradient vanishes; on a plateau it is small but not zero, and with
# more precise arithmetic the loss goes on falling, slowly. The largest eigenvalue cannot tell them apart.
# :::

# %% tags=["remove-input"] language="markdown"
# :::{dropdown} Evidence: how these networks were trained, and how the runs ended
# {{ report.budgets({"reaction-diffusion": panel}) }}
#
# {{ report.endings({"reaction-diffusion": panel}) }}
# :::
