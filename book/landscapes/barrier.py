# %% [markdown]
# # Is there a barrier?
#
# Training that ends badly may have been stopped by a wall: between the place where it stands and a good solution the loss is
# high, and no optimiser that only walks downhill gets across. Or it may never settle: its steps carry it from one basin into
# the next. Both pictures are known from networks for images. Do they explain why physics-informed networks are hard to train?
#
# **What the paper reports** (Figs. 14 and 15). Neither does {cite:p}`wang2026regimes`. Between a solution of L-BFGS that has
# converged coarsely (a training loss of about $10^{-2}$) and one of the augmented Lagrangian (ALM) that has converged finely
# (about $10^{-4}$) there is no barrier: the loss stays low along a Bezier curve from the one to the other. The test errors at
# its ends differ all the same, and so the paper concludes that a low loss does not vouch for a solution, and that only a
# sufficiently low one leads to an accurate one. And the lengths of the steps that L-BFGS takes late in training show no sign of
# jumps, for fast waves even less than for slow ones.

# %% tags=["parameters"]
profile: str = "laptop"  # smoke | laptop | paper
device: str = "auto"  # auto | cpu | cuda
seeds: int = 3  # use at most the first n seeds of the profile
runs: str = ""  # folder of stored runs; empty means the repository's own

# %% [markdown]
# ## Curves between two solutions
#
# A *straight line* in the space of weights joins two networks $a$ and $b$; a quadratic *Bezier curve*
#
# $$
# w(t) = (1-t)^2\, a + 2\, t\, (1-t)\, m + t^2\, b
# $$
#
# can walk round a hill: its middle point $m$ begins halfway between the ends and is trained, by L-BFGS, until the mean loss
# along the curve is small. The paper does not say which of the two Fig. 15 shows, nor where its two solutions come from. So
# here are both curves, between two kinds of pairs.

# %%
from sciml_lib import narrative, studies

curves = narrative.first_seeds(
    studies.load_or_run(
        studies.get("curves"), profile, runs=runs or None, device=device
    ),
    seeds,
)

# %% tags=["remove-input"]
narrative.say(narrative.curve_cells(curves))

# %% mystnb={"figure": {"caption": "Training loss (above) and test error (below) along curves from a solution of L-BFGS (left end) to one of ALM (right end), cell by cell, as in Fig. 15: trained Bezier curves solid, straight lines dashed; pairs with the same seed and with another. Dotted: the thresholds of Table 5 for L-BFGS.", "name": "fig-curves"}, "image": {"alt": "A column of two diagrams for each cell: the training loss above and the test error below, over the place on the curve from 0 to 1, with a solid and a dashed line for each pair of solutions.", "width": "100%"}} tags=["cover"]
figure = narrative.curves_figure(curves, "From L-BFGS to ALM")
figure

# %% tags=["remove-input"]
narrative.study_source(curves, figure)

# %% [markdown]
# ### How high is the climb?

# %% tags=["remove-input"]
narrative.say(narrative.barriers(curves))

# %% [markdown]
# ### In one number
#
# Papers on image networks call *mode connectivity* the mean loss of the two ends minus the loss at that place of the curve
# where it differs *most* from this mean. Appendix D.1 of the paper prints the place where it differs *least* (argmin for
# argmax); the released code computes the former.

# %% tags=["remove-input"]
narrative.say(narrative.two_connectivities(curves))

# %% [markdown]
# ### What the test error does meanwhile

# %% tags=["remove-input"]
narrative.say(narrative.error_while_low(curves))

# %% [markdown]
# And over all points of all curves, the straight ones too: does a lower loss mean a smaller error?

# %% tags=["remove-input"]
narrative.say(narrative.loss_and_error(curves))

# %% [markdown]
# ### The paper's statements

# %% tags=["remove-input"]
narrative.say(narrative.statement_table(narrative.barrier_statements(curves)))

# %% [markdown]
# ## Does training jump?
#
# Fig. 14 looks at the steps that training takes once its loss is small. To the reciprocals $1 / |w_{k+1} - w_k|$ of their
# lengths a power law is fitted, whose density falls like $x^{-\alpha}$ from some value on; the paper reads a *smaller* exponent
# $\alpha$ as *more* jumps between basins {cite:p}`wang2026regimes`.

# %%
jumps = narrative.first_seeds(
    studies.load_or_run(
        studies.get("jumps"), profile, runs=runs or None, device=device
    ),
    seeds,
)
tails = narrative.step_tails(jumps)

# %% tags=["remove-input"]
narrative.say(narrative.jump_choices(jumps, tails))

# %% mystnb={"figure": {"caption": "Exponents of the power law of reciprocal step lengths over the learning rate of L-BFGS, one panel a speed, one dot a seed, with the mean over the seeds: the half of Fig. 14 that shows physics-informed networks.", "name": "fig-jumps"}, "image": {"alt": "One diagram for each speed of the wave: the fitted exponent on a logarithmic axis over the learning rate, a dot for each seed and a bar at their mean.", "width": "100%"}}
figure = narrative.jumps_figure(tails, "Exponents of late steps of L-BFGS")
figure

# %% tags=["remove-input"]
narrative.study_source(jumps, figure)

# %% tags=["remove-input"]
narrative.say(narrative.jump_table(tails))

# %% [markdown]
# ### Does the learning rate matter?

# %% tags=["remove-input"]
narrative.say(narrative.rate_words(tails))

# %% [markdown]
# ### The paper's statements about jumps

# %% tags=["remove-input"]
narrative.say(narrative.statement_table(narrative.jump_statements(tails)))

# %% [markdown]
# The other half of Fig. 14, a ResNet-18 on images, is not run here. The exponents that are stored beside the released code lie
# between 1.7 and 2.8 at every learning rate from 0.1 to 0.8, without the abrupt drop at large ones that the paper's text
# describes.

# %% [markdown]
# ## Try it

# %% tags=["remove-input"]
narrative.say(narrative.study_command("barrier", [curves, jumps]))
