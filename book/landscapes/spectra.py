# %% [markdown]
# # Spectra
#
# The Hessian of the loss says how it curves, and its eigenvalues say in how many directions it curves how much: many small ones
# mean flat ground, a large one a steep wall, a negative one a way down. How does training a PINN change them?
#
# **What the paper reports** (Figs. 6(a,b), 13 and 16(a-d); section 2.5.1, appendices F.2 and F.5). The spectra of PINNs have large
# outliers, beyond $10^3$ or even $10^4$, and no peak at zero; both become more pronounced with training, while an image
# classifier has outliers of about 10 and a sharp peak at zero. For reaction-diffusion the spectrum is about symmetric before
# training; after it, at $\rho = 20$, 37 per cent of the eigenvalues are negative, where a classifier keeps about half
# {cite:p}`wang2026regimes`.

# %% tags=["parameters"]
profile: str = "laptop"  # smoke | laptop | paper
device: str = "auto"  # auto | cpu | cuda
seeds: int = 3  # use at most the first n seeds of the profile
runs: str = ""  # folder of stored runs; empty means the repository's own

# %% [markdown]
# ## How a spectrum is estimated
#
# Nobody computes all eigenvalues of such a matrix. *Stochastic Lanczos quadrature* {cite:p}`ghorbani2019` multiplies random vectors with it, a hundred times each, and finds for each of ten start vectors a hundred *Ritz
# values* with *weights*. The weights add up to one, and the weight near a number is the share of the eigenvalues near it. What one sees in a figure are Ritz values smoothed by
# Gaussians. In the released code their variance is $5 \times 10^{-5}$ times the range of the spectrum, so their width grows with
# the largest eigenvalue: a spectrum that reaches to 10 is drawn with a width of 0.02, one that reaches to $10^5$ with a hundred
# times that. What lies near zero is smeared out in the one and not in the other. So each spectrum is drawn twice here: with the
# released width, and with 0.02 for all, which is what the released rule gives for the classifier.

# %%
from sciml_lib import narrative, studies

study = studies.get("spectra")
stored = studies.load_or_run(study, profile, runs=runs or None, device=device)
spectra = narrative.first_seeds(stored, seeds)

CONVECTION = "pinn/convection/lbfgs"
REACTION_DIFFUSION = "pinn/reaction-diffusion/lbfgs"
most = max(run.n_data for run in spectra.items if run.sweep == CONVECTION)

# %% [markdown]
# ## Convection

# %% mystnb={"figure": {"caption": "Spectral densities before and after training, as in Fig. 6(a,b): above smoothed as in the released code, below with one width for all. First seed. The scale of the eigenvalues is linear between -1 and 1 and logarithmic beyond. Where Ritz values lie farther apart than the width, the curve falls apart into single Gaussians: there the quadrature has no more to say.", "name": "fig-spectra"}, "image": {"alt": "Panels in two rows with the density of eigenvalues before training (solid, blue) and after it (dashed, orange), for two cells of convection; above with broad Gaussians, below with narrow ones.", "width": "100%"}} tags=["cover"]
figure = narrative.spectra_figure(
    spectra, CONVECTION, "Convection", [(5, 100), (50, 500)]
)
figure

# %% tags=["remove-input"]
narrative.study_source(spectra, figure)

# %% tags=["remove-input"]
narrative.say(narrative.most_points(spectra))

# %% mystnb={"figure": {"caption": "The same for few and for many collocation points, in the order of Fig. 16(a-d).", "name": "fig-spectra-points"}, "image": {"alt": "Panels in two rows with the density of eigenvalues before and after training, for slow and fast convection with few and with many points; above with broad Gaussians, below with narrow ones.", "width": "100%"}}
figure = narrative.spectra_figure(
    spectra,
    CONVECTION,
    "Convection, few and many points",
    [(5, 100), (50, 100), (5, most), (50, most)],
)
figure

# %% tags=["remove-input"]
narrative.study_source(spectra, figure)

# %% [markdown]
# ## Reaction-diffusion
#
# The caption of Fig. 13 names $\rho = 5$ and 15, the text about it $\rho = 20$. All three are here.

# %% mystnb={"figure": {"caption": "The same for reaction-diffusion, as in Fig. 13.", "name": "fig-spectra-reaction"}, "image": {"alt": "Panels in two rows with the density of eigenvalues before and after training, for several reaction coefficients; above with broad Gaussians, below with narrow ones.", "width": "100%"}}
figure = narrative.spectra_figure(
    spectra, REACTION_DIFFUSION, "Reaction-diffusion"
)
figure

# %% tags=["remove-input"]
narrative.study_source(spectra, figure)

# %% [markdown]
# ## Is there a peak at zero?

# %% tags=["remove-input"]
narrative.say(narrative.widths(spectra))

# %% [markdown]
# The last column does not depend on any smoothing: it is the share of the eigenvalues, by weight.

# %% [markdown]
# ## How many eigenvalues are negative?
#
# No code of the paper counts the negative eigenvalues of a PINN; that of its neural operators counts Ritz values below zero,
# without their weights. But Lanczos spreads its Ritz values over the range of a spectrum, not where most eigenvalues are. The
# share of the eigenvalues is the sum of the weights below zero, here with its standard error over the start vectors.
#
# This sum has two more errors. Where eigenvalues crowd, one Ritz value stands for many of them, on both sides of zero if they
# crowd there; classical inequalities bound what that can come to. And an eigenvalue smaller than the rounding of the
# products has no sign at all. *Bounds* has both.

# %% tags=["remove-input"]
narrative.say(narrative.negative_shares(spectra))

# %% tags=["remove-input"]
narrative.say(narrative.signs_by_chance(spectra))

# %% tags=["remove-input"]
narrative.say(narrative.counting_rules(spectra))

# %% [markdown]
# ## Statement by statement
#
# Over all seeds. A statement *holds* if it does for every run that it speaks of, *does not hold* if one of its cells has no run for
# which it does, and else *cannot be judged*; what the bounds of a share leave open cannot be judged either.

# %% tags=["remove-input"]
narrative.say(narrative.statement_table(narrative.spectrum_statements(spectra)))

# %% tags=["remove-input"]
narrative.say(narrative.what_survives(spectra))

# %% [markdown]
# The classifier itself (ResNet-18, Figs. 6(e) and 16(e)) and the neural operators (Figs. 6(c,d)) are not part of this edition.

# %% [markdown]
# ## Try it

# %% tags=["remove-input"]
narrative.say(narrative.study_command("spectra", [spectra]))
