# %% [markdown]
# # The regime map of a PINN
#
# A physics-informed network {cite:p}`raissi2019` is asked to carry a sine wave around a ring. For which speeds of the wave,
# and with how many points of instruction, does it succeed? And where it fails, does it fail to *train*, or does it train
# well and learn the wrong thing?
#
# The equation is the simplest one there is for a moving wave,
#
# $$
# \frac{\partial u}{\partial t} + \beta\, \frac{\partial u}{\partial x} = 0, \qquad u(x, 0) = \sin x,
# \qquad 0 \le x \le 2\pi, \quad 0 \le t \le 1,
# $$
#
# closed to a ring by $u(0, t) = u(2\pi, t)$. Its solution is $\sin(x - \beta t)$, so success can be measured exactly. A
# network $u_\theta(x, t)$ is trained on a sum of three mean squares: of the equation at $N_f$ *collocation points*, of the
# starting values, and of the mismatch between the two ends. What changes from cell to cell of the map is only the speed
# $\beta$ and the number $N_f$.
#
# **What the paper reports** (Fig. 1(a), shown again as Fig. 2(a)). Slow waves with enough points are learned: Regime I. To
# the right of a nearly vertical border, placed at $\beta \approx 25$, the training loss stays high however many points
# there are: Regime II, which the authors attribute to the difficulty of the optimisation, as
# {cite:t}`krishnapriyan2021` had found and {cite:t}`rathore2024` analysed. Below, where points are few, the loss
# is low and the solution is wrong: Regime III, a lack of data. {doc}`../start/reading_a_map` explains the marks of the map.

# %% tags=["parameters"]
profile: str = "laptop"  # smoke | laptop | paper
device: str = "auto"  # auto | cpu | cuda
seeds: int = 3  # use at most the first n seeds of the profile
runs: str = ""  # folder of stored runs; empty means the repository's own

# %% [markdown]
# ## The runs
#
# One call reads what is stored and trains what is missing; if that would take more than a few minutes it stops and says how
# to go on. With `grown` it shows as much of the paper's whole grid as is stored beyond the profile.

# %%
from sciml_lib import narrative
from sciml_lib.panels import Panel

panel = Panel.of(
    "pinn/convection/lbfgs", profile, device, runs, seeds, grown=True
)

# %% tags=["remove-input"]
narrative.say(narrative.recipe(panel))

# %% [markdown]
# ## Our map

# %% mystnb={"figure": {"caption": "Our regime map of the PINN on the convection equation: training loss (left) and test error (right), mean over the seeds of each cell, with the borders at five heights of their thresholds (solid: training, dashed: test). The pale veil covers the places where the border lies in some of the resampled sets of seeds and not in others.", "name": "fig-map"}, "image": {"alt": "Regime map of the PINN on the convection equation, two grids of cells over the coefficient beta and the number of collocation points, training loss left and test error right, with five solid and five dashed borders and the Roman numerals of the regimes.", "width": "100%"}} tags=["cover"]
figure = panel.regime_map("PINN, 1D convection: our runs", band=True)
figure

# %% tags=["remove-input"]
narrative.source(panel, figure)

# %% tags=["remove-input"]
narrative.say(narrative.overview(panel))

# %% [markdown]
# ### How far to trust a border
#
# Each cell is a mean over very few seeds, and single seeds tend to do either very well or very badly. So we ask how often
# a cell would lie on the other side of its threshold if other seeds, of the same kind as ours, had been drawn.

# %% mystnb={"figure": {"caption": "How sure each side of the two thresholds is. Colour: probability, over resampled sets of seeds, that the cell lies above the threshold (left: training loss, right: test error). Thin outlines: where that probability is 5 and 95 per cent; the border lies between them. Thick lines: the borders of the seed means.", "name": "fig-band"}, "image": {"alt": "Two grids over the coefficient and the number of collocation points, coloured by the probability that the training loss, left, and the test error, right, exceed their thresholds when seeds are resampled, with the outlines of the band in which each border lies.", "width": "100%"}}
figure = panel.boundary_band("Which side of the threshold? Resampled seeds")
figure

# %% tags=["remove-input"]
narrative.source(panel, figure)

# %% tags=["remove-input"]
narrative.say(narrative.trust(panel))

# %% [markdown]
# ## Beside the published map

# %% mystnb={"figure": {"caption": "Our maps (above) and the published ones (below), on the published grid and colour scale. The published values were read from the colours of Fig. 1(a), to about five per cent of the colour range; hatched cells are not computed (ours) or hidden under a line (published).", "name": "fig-published"}, "image": {"alt": "Four grids: our training loss and test error above, the published ones below, in the same colours, each with its borders between the regimes.", "width": "100%"}}
figure = panel.beside_the_published("PINN, 1D convection: ours and published")
figure

# %% tags=["remove-input"]
narrative.source(panel, figure)

# %% mystnb={"figure": {"caption": "The regime of every cell: ours, published, and where they differ (ours above the diagonal of a cell, published below it). A dot marks a published label that lies within the reading accuracy of a threshold.", "name": "fig-labels"}, "image": {"alt": "Three grids of regime labels over the coefficient and the number of collocation points: ours, the published ones, and the cells in which the two differ.", "width": "100%"}}
figure = panel.label_maps("Regimes, cell by cell")
figure

# %% tags=["remove-input"]
narrative.source(panel, figure)

# %% tags=["remove-input"]
narrative.say(narrative.comparison(panel))

# %% tags=["remove-input", "hide-output"]
narrative.say(narrative.differences(panel))

# %% [markdown]
# ## Which training made the published map?
#
# The paper's Table 2 lists L-BFGS {cite:p}`liu1989,nocedal2006` with 2,000 iterations, from a random start. The row of
# the table for another method, and parts of the authors' earlier code, begin with some thousand steps of Adam
# {cite:p}`kingma2015` instead. This matters more than it seems. On a few decisive cells we trained five seeds with each
# length of such a warm-up, followed by the same L-BFGS.

# %%
study = {
    steps: Panel.of(f"pinn/convection/warmup-{steps}", profile, device, runs)
    for steps in (0, 1000, 2000, 5000)
}

# %% mystnb={"figure": {"caption": "Test error of single runs against the length of the Adam warm-up before L-BFGS, on a few cells of the map. One dot is one seed, the bar is their mean; the band is the published value with its reading accuracy, the dotted line the test threshold.", "name": "fig-warmup"}, "image": {"alt": "Small panels, one for each of a few cells of the map, with the test error of single seeds over four lengths of the Adam warm-up, and the published value as a band.", "width": "100%"}}
figure = narrative.warmup_figure(study, "A warm-up of Adam before L-BFGS")
figure

# %% tags=["remove-input"]
narrative.source(study.values(), figure)

# %% tags=["remove-input"]
narrative.say(narrative.warmup_words(study))

# %% tags=["remove-input"]
narrative.say(narrative.repeats(panel, study[2000]))

# %% [markdown]
# ## Table 2 to the letter
#
# What would the map have looked like with the printed settings? Here is a smaller map of plain L-BFGS from a random
# start, with the 2,000 iterations of the table.

# %%
literal = Panel.of(
    "pinn/convection/lbfgs-literal", profile, device, runs, seeds
)

# %% mystnb={"figure": {"caption": "The regime map with the settings of Table 2 taken literally: L-BFGS from a random start, no warm-up. Marks as in the map above.", "name": "fig-literal"}, "image": {"alt": "Regime map with plain L-BFGS, training loss left and test error right, over the coefficient and the number of collocation points.", "width": "100%"}}
figure = literal.regime_map("PINN, 1D convection: Table 2 to the letter")
figure

# %% tags=["remove-input"]
narrative.source(literal, figure)

# %% tags=["remove-input"]
narrative.say(narrative.literal_words(literal, panel))

# %% [markdown]
# ## How the runs ended
#
# A map shows where a run ended up, not why it stopped there. The reason is stored with each run.

# %% tags=["remove-input"]
narrative.say(
    narrative.endings({"with warm-up": panel, "to the letter": literal})
)

# %% [markdown]
# ## Try it
#
# These commands repeat this chapter, the runs behind it, and a quick version of the whole that you can watch.

# %% tags=["remove-input"]
narrative.say(
    narrative.commands("pinn_convection", [panel, *study.values(), literal])
)
