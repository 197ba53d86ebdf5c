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
from sciml_lib import narrative
from sciml_lib.panels import Panel

panel = Panel.measured(
    "pinn/reaction-diffusion/lbfgs", profile, device, runs, seeds
)

# %% mystnb={"figure": {"caption": "Reaction-diffusion, after Fig. 11(b): training loss and largest eigenvalue of its Hessian at the ends of the runs, in the paper's colours (yellow is low). The eigenvalue is shown twice, since logarithm and mean over the seeds can be taken in two orders.", "name": "fig-flatness-map"}, "image": {"alt": "Three grids over the coefficient rho and the number of collocation points: the mean training loss, the logarithm of the mean largest eigenvalue, and the mean of the logarithms.", "width": "100%"}} tags=["cover"]
figure = narrative.curvature_figure(
    panel, "Training loss and curvature, reaction-diffusion"
)
figure

# %% tags=["remove-input"]
narrative.source(panel, figure)

# %% tags=["remove-input"]
narrative.say(narrative.two_means(panel))

# %% tags=["remove-input"]
narrative.say(narrative.power_words({"reaction-diffusion": panel}))

# %% [markdown]
# ## Flat where the loss is high?

# %% tags=["remove-input"]
narrative.say(narrative.by_regime(panel))

# %% tags=["remove-input"]
narrative.say(narrative.rank_table(panel))

# %% tags=["remove-input"]
narrative.say(narrative.rank_words(panel))

# %% [markdown]
# ## What the flat runs have learned
#
# A run counts as one that ended at a constant if its training loss and its test error are those of the constant, both within
# five per cent. The others are sorted by the thresholds of Table 5.

# %% tags=["remove-input"]
narrative.say(narrative.flat_table(panel))

# %% mystnb={"figure": {"caption": "One run of each kind at one coefficient: the true solution (above) and what the network learned (below), with its collocation points.", "name": "fig-flat-runs"}, "image": {"alt": "Pairs of colour maps over position and time, the true solution above the learned one, for one run of each kind that occurs; a run at a constant has one colour only.", "width": "100%"}}
figure = narrative.flat_figure(panel, "What runs of each kind have learned")
figure

# %% tags=["remove-input"]
narrative.source(panel, figure)

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
emptied = narrative.emptied_curvature(panel, device=device)

# %% tags=["remove-input"]
narrative.say(narrative.flat_by_coefficient(panel, emptied))

# %% [markdown]
# ## What holds

# %% tags=["remove-input"]
narrative.say(narrative.statement_table(narrative.flatness_statements(panel)))

# %% [markdown]
# ## Try it

# %% tags=["remove-input"]
narrative.say(narrative.commands("flatness", [panel]))

# %% tags=["remove-input"]
narrative.say(narrative.measure_command([panel]))
