# %% [markdown]
# # Flatness that deceives
#
# A small curvature can also mean that nothing pulls: the loss is high, and the landscape around it almost flat.
#
# **What the paper reports** (section 2.5.2, appendix F.2, Fig. 11(b)). In the map of reaction-diffusion,
#
# $$
# u_t = \nu\, u_{xx} + \rho\, u\,(1 - u),
# $$
#
# cells with a large coefficient, $\rho \geq 15$, have small Hessian eigenvalues and yet a high training loss. There the
# optimiser is trapped on a plateau, for want of gradients that inform it, and stops too early {cite:p}`wang2026regimes`.
#
# Another chapter has found what a part of these runs have learned: nothing ({doc}`../regimes/pinn_physics`). The constants
# $u = 0$ and $u = 1$ solve this equation and its boundary conditions exactly; only the initial values tell them from the
# solution. So the question here is a double one: are runs with a high loss flat, and is their flatness that of a constant?

# %% tags=["parameters"]
profile: str = "laptop"  # smoke | laptop | paper
device: str = "auto"  # auto | cpu | cuda
seeds: int = 3  # use at most the first n seeds of the profile
runs: str = ""  # folder of stored runs; empty means the repository's own

# %% [markdown]
# ## A map of curvature
#
# The Hessian of the training loss is taken at the weights at which the stored runs have ended.

# %%
from sciml_lib import ledger, narrative, report, text
from sciml_lib.analysis import flatness
from sciml_lib.panels import Panel

# %load_ext sciml_lib.text

panel = Panel.measured(
    "pinn/reaction-diffusion/lbfgs", profile, device, runs, seeds
)

# %% mystnb={"figure": {"caption": "Reaction-diffusion, after Fig. 11(b): training loss and largest eigenvalue of its Hessian at the ends of the runs, in the paper's colours (yellow is low). The eigenvalue is shown twice, since logarithm and mean over the seeds can be taken in two orders.", "name": "fig-flatness-map"}, "image": {"alt": "Three grids over the coefficient rho and the number of collocation points: the mean training loss, the logarithm of the mean largest eigenvalue, and the mean of the logarithms.", "width": "100%"}} tags=["cover"]
figure = narrative.curvature_figure(
    panel, "Training loss and curvature, reaction-diffusion"
)
figure

# %% tags=["remove-input"]
report.source(panel, figure)

# %% tags=["remove-input"]
text.say(narrative.two_means(panel))

# %% tags=["remove-input"]
text.say(narrative.power_words({"reaction-diffusion": panel}))

# %% [markdown]
# ## Flat where the loss is high?

# %% tags=["remove-input"]
text.say(narrative.by_regime(panel))

# %% tags=["remove-input"]
text.say(narrative.rank_table(panel))

# %% tags=["remove-input"]
text.say(narrative.rank_words(panel))

# %% [markdown]
# ## What the flat runs have learned
#
# A run counts as one that ended at a constant if its training loss and its test error are those of the constant, both within
# five per cent. The others are sorted by the thresholds of Table 5.

# %%
table = flatness.runs_of(panel)  # one row a run
flat, high, low = (table[table[kind]] for kind in ("flat", "high", "low"))

# %% tags=["remove-input"]
names = {
    "solved": "solved: low loss, low error",
    "wrong": "low loss, high error",
    "zero": "at the constant $u = 0$",
    "one": "at the constant $u = 1$",
    "other": "high loss, at neither",
}
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
# The table has medians. {{ flat | length }} of {{ table | length }} runs have ended at a constant
# {%- if flat | length %}
# , at ρ = {{ flat.coefficient.unique() | values }}.
# Of the {{ high | length }} runs with a high training loss they are {{ high.flat.mean() | percent }}.
# In {{ flat.stalled.sum() }} of the runs at a constant the line search of L-BFGS found no lower point.
# {% else %}
# .
# {% endif %}

# %% mystnb={"figure": {"caption": "One run of each kind at one coefficient: the true solution (above) and what the network learned (below), with its collocation points.", "name": "fig-flat-runs"}, "image": {"alt": "Pairs of colour maps over position and time, the true solution above the learned one, for one run of each kind that occurs; a run at a constant has one colour only.", "width": "100%"}}
cells = flatness.one_of_each(panel, table)
figure = panel.solutions_figure(
    list(cells.values()),
    [
        f"{names[kind]}\n{panel.cell_words(cell)}"
        for kind, cell in cells.items()
    ],
    [
        f"training loss {panel.value('train_loss', cell):.1e}, "
        f"$\\lambda_{{\\max}}$ {panel.value('lambda_max', cell):.1e}"
        for cell in cells.values()
    ],
    "What runs of each kind have learned",
)
figure

# %% tags=["remove-input"]
report.source(panel, figure)

# %% [markdown]
# ## The curvature of nothing
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

# %%
table["emptied"] = flatness.emptied_curvature(panel, table, device=device)

# %% tags=["remove-input"]
rows = flatness.by_coefficient(table)
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
both = rows.dropna(subset=["low", "flat"])
units = flat.lambda_max / flatness.unit(flat.coefficient)
lost = (table.emptied / table.lambda_max)[table.low].median()
apart = flatness.apart_in_data(table)

# %% tags=["remove-input"] language="markdown"
# The table has medians of $\lambda_{\max}$.
# {% if both | length %}
# Runs at a constant are flatter than those with a low loss at {{ (both.flat < both.low).sum() }} of the {{ both | length }}
# values of ρ that have both.
# {% endif %}
# {% if units | length > 1 %}
# Run by run, those at a constant have between {{ units.min() | whole }} and {{ units.max() | whole }} units.
# {% if supported(units.max() <= 2 * units.min()) %}
# This hardly depends on ρ: their curvature is that of the constant, and says nothing of how far away a better solution is.
# {% endif %}
# {% endif %}
# {% if lost == lost %}
#
# And a run is made flat by making it constant. With the weights into its output set to zero, and all else kept, a run of low
# loss keeps {{ lost | percent }} of its $\lambda_{\max}$ in the median. (Such a constant is a special one: no hidden weight
# has any effect on it.)
# {% endif %}
# {% if apart | length %}
#
# One caution: at ρ = {{ apart.index | values }} every run with a low loss has at most {{ apart.low_at_most.max() | whole }}
# collocation points, and every run at a constant at least {{ apart.flat_at_least.min() | whole }}. What is compared there
# differs in its data, too.
# {% endif %}

# %% [markdown]
# ## What holds

# %% tags=["remove-input"]
text.say(report.statement_table(ledger.flatness.statements(table, "ρ")))

# %% [markdown]
# ## Try it

# %% tags=["remove-input"]
text.say(report.commands("flatness", [panel]))

# %% tags=["remove-input"]
text.say(report.measure_command([panel]))
