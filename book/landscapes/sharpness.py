# %% [markdown]
# # Sharpness that deceives
#
# How strongly a loss curves around the weights that training has found is measured by the largest eigenvalue of its Hessian,
# $\lambda_{\max}$. In other fields a *flat* minimum, with a small one, is taken for a good sign. Is it one here?
#
# **What the paper reports** (section 2.5.2, Figs. 7, 11(a) and 12). Sharpness deceives: well-trained models sit in narrow
# valleys. In time, $\lambda_{\max}$ rises steeply just while the loss falls (*increasing sharpening*), after which both are
# stable; with a faster wave the rise is steeper. And over a map, well-trained cells are the ones with large eigenvalues, and
# badly trained cells those with small ones {cite:p}`wang2026regimes`.
#
# The map that shows the latter is one of Fourier neural operators on the Poisson equation, which are not run in this edition.
# So we ask it of the PINNs on convection, whose map the paper does not show in this way. The trainings of Figs. 7 and 12 are
# run as they are. As everywhere in this book they begin with 2,000 steps of Adam ({doc}`../regimes/pinn_convection`), which
# the paper does not mention: its curves may begin where ours change over to L-BFGS, or may not.

# %% tags=["parameters"]
profile: str = "laptop"  # smoke | laptop | paper
device: str = "auto"  # auto | cpu | cuda
seeds: int = 3  # use at most the first n seeds of the profile
runs: str = ""  # folder of stored runs; empty means the repository's own

# %% [markdown]
# ## A map of curvature
#
# Nothing is trained for the map: the Hessian of the training loss is taken at the weights at which the stored runs have ended.

# %%
from sciml_lib import narrative, studies
from sciml_lib.panels import Panel

panel = Panel.measured("pinn/convection/lbfgs", profile, device, runs, seeds)

# %% mystnb={"figure": {"caption": "Training loss and largest eigenvalue of its Hessian at the ends of the runs, in the paper's colours (yellow is low). The eigenvalue is shown twice, since logarithm and mean over the seeds can be taken in two orders.", "name": "fig-sharpness-map"}, "image": {"alt": "Three grids over the coefficient beta and the number of collocation points: the mean training loss, the logarithm of the mean largest eigenvalue, and the mean of the logarithms.", "width": "100%"}} tags=["cover"]
figure = narrative.curvature_figure(
    panel, "Training loss and curvature, convection"
)
figure

# %% tags=["remove-input"]
narrative.source(panel, figure)

# %% tags=["remove-input"]
narrative.say(narrative.two_means(panel))

# %% tags=["remove-input"]
narrative.say(narrative.power_words({"convection": panel}))

# %% [markdown]
# ## Which regime is sharp?

# %% tags=["remove-input"]
narrative.say(narrative.by_regime(panel))

# %% [markdown]
# ### Curvature against loss and error
#
# A rank correlation is $+1$ where the sharper of two cells always has the higher loss, $-1$ where it always has the lower one,
# and about 0 where curvature tells nothing. If sharpness deceives it is negative.

# %% tags=["remove-input"]
narrative.say(narrative.rank_table(panel))

# %% tags=["remove-input"]
narrative.say(narrative.rank_words(panel))

# %% tags=["remove-input"]
narrative.say(narrative.statement_table(narrative.sharpness_statements(panel)))

# %% [markdown]
# ### The other equations
#
# One equation is one example. Here are the maps of all four, trained with L-BFGS; that of reaction-diffusion is looked at more
# closely in {doc}`flatness`. A larger coefficient multiplies a part of the residual and by that alone raises the curvature, so
# the columns for one coefficient are the ones to read.

# %%
equations = {"convection": panel} | {
    name: Panel.measured(f"pinn/{name}/lbfgs", profile, device, runs, seeds)
    for name in ("reaction", "wave", "reaction-diffusion")
}

# %% tags=["remove-input"]
narrative.say(narrative.across_equations(equations))

# %% [markdown]
# ## Curvature while the network learns
#
# For Figs. 7 and 12 some runs are trained once more, and their weights are kept on the way, more densely where Adam begins and
# where L-BFGS does.

# %%
trained = narrative.first_seeds(
    studies.load_or_run(
        studies.get("trajectories"), profile, runs=runs or None, device=device
    ),
    seeds,
)

# %% mystnb={"figure": {"caption": "Training loss (blue, solid) and largest eigenvalue of the Hessian (red, dashed) along training; thin lines are seeds, thick ones their median; a run that has ended keeps its last values. To the left of the dotted line Adam trains, to its right L-BFGS. The dashed line parts the phases by the rule that is given below.", "name": "fig-sharpening"}, "image": {"alt": "Panels for different beta and numbers of collocation points, each with a falling curve of the training loss and a curve of the largest eigenvalue over the iterations, shaded green before and pink after a dashed line.", "width": "100%"}}
figure = narrative.sharpening_figure(
    trained, "Loss and curvature along training, convection"
)
figure

# %% tags=["remove-input"]
narrative.study_source(trained, figure)

# %% tags=["remove-input"]
narrative.say(narrative.sharpening_table(trained))

# %% tags=["remove-input"]
narrative.say(
    narrative.statement_table(narrative.sharpening_statements(trained))
)

# %% [markdown]
# ## Try it
#
# The study of the trainings:

# %% tags=["remove-input"]
narrative.say(narrative.study_command("sharpness", [trained]))

# %% [markdown]
# The runs of the map, and their curvature:

# %% tags=["remove-input"]
narrative.say(narrative.measure_command(list(equations.values())))
