# %% [markdown]
# # Regimes across strategies (PINODE)
#
# In {doc}`pinn_strategies` five ways to train were tried on a wave. Here are five on a pendulum: Adam on mini-batches
# {cite:p}`kingma2015`, L-BFGS {cite:p}`liu1989`, an augmented Lagrangian (ALM) {cite:p}`lu2021hard`, Newton steps after L-BFGS
# (NNCG) {cite:p}`rathore2024`, and a curriculum (CL) {cite:p}`krishnapriyan2021` that begins with strong damping. The model and
# its loss are those of {doc}`model_families`: a network for the rates of change, trained on single steps of Euler's method and on
# the equation.
#
# **What the paper reports** (section 2.4 and Fig. 3(k)-(o)). The three regimes are there with every strategy. ALM, which makes the
# equation a constraint, expands the region that can be trained; CL improves both the under-trained and the over-trained region;
# NNCG, which begins where L-BFGS ends, gains where training is easy and is unstable elsewhere.

# %% tags=["parameters"]
profile: str = "laptop"  # smoke | laptop | paper
device: str = "auto"  # auto | cpu | cuda
seeds: int = 5  # use at most the first n seeds of the profile
runs: str = ""  # folder of stored runs; empty means the repository's own

# %% [markdown]
# ## The runs

# %%
from sciml_lib import narrative
from sciml_lib.panels import Panel


def panel(variant):
    """The map of one strategy, or of a variant of it."""
    return Panel.of(f"pinode/pendulum/{variant}", profile, device, runs, seeds)


names = {
    "adam": "Adam",
    "lbfgs": "L-BFGS",
    "alm": "ALM",
    "nncg": "NNCG",
    "cl": "CL",
}
panels = {name: panel(variant) for variant, name in names.items()}

# %% tags=["remove-input"]
narrative.say(narrative.budgets(panels))

# %% [markdown]
# Table 4 speaks of epochs; the released code's epochs of L-BFGS, ALM and CL are whole calls of L-BFGS. It does not matter much:
# these losses are so small that the tolerances of the solver end a call after some dozens of iterations, and hardly a run here is
# limited by its budget, those of Adam apart. The curriculum climbs from $1/b = 0.25$, and on every curriculum stage the network is shown the trajectory
# of that curriculum stage's damping.

# %% [markdown]
# ## Five maps

# %% mystnb={"figure": {"caption": "Regime maps of the PINODE with five training strategies, in the order of Fig. 3(k)-(o): training loss above, test error below, each judged by its own row of Table 5.", "name": "fig-pinode-strategies"}, "image": {"alt": "Ten grids in two rows, training loss above and test error below, one column for each of Adam, L-BFGS, ALM, NNCG and CL, over the inverse damping and the number of observed states, with borders and the Roman numerals of the regimes.", "width": "100%"}} tags=["cover"]
figure = narrative.maps_figure(panels, "PINODE, pendulum: five strategies")
figure

# %% tags=["remove-input"]
narrative.source(panels.values(), figure)

# %% tags=["remove-input"]
narrative.say(narrative.regime_shares(panels))

# %% [markdown]
# ## The thresholds make the map
#
# Table 5 gives every strategy its own pair of thresholds, and for the pendulum they differ by more than two orders of magnitude.
# So before the maps are compared, each is judged by those of two others as well.

# %% tags=["remove-input"]
narrative.say(
    narrative.whose_thresholds(
        panels,
        {"Adam": panels["Adam"], "L-BFGS": panels["L-BFGS"]},
    )
)

# %% [markdown]
# Could the table mean another loss than the sum of both parts?

# %% tags=["remove-input"]
narrative.say(narrative.which_loss(panels))

# %% [markdown]
# The reason lies in the floor that Euler's method puts under the loss ({doc}`model_families`). ALM pays for meeting its constraint:
# where $f = F$ the data part costs the whole error of the step, which is twice the floor.

# %%
tight = panel("nncg-tight")

# %% tags=["remove-input"]
narrative.say(narrative.floor_words(panels | {"NNCG, tight": tight}))

# %% [markdown]
# ## The same yardstick for all
#
# Judged by the thresholds of Adam, which are those that Fig. 1(e) is drawn with, the maps can be laid beside each other.

# %% mystnb={"figure": {"caption": "The same maps, all judged by the thresholds of Table 5 for Adam. Colours as above: each map has its own scale.", "name": "fig-one-yardstick"}, "image": {"alt": "Ten grids in two rows as in the figure before, with the borders and numerals that follow from one common pair of thresholds.", "width": "100%"}}
common = {
    name: p.with_thresholds_of(panels["Adam"]) for name, p in panels.items()
}
figure = narrative.maps_figure(
    common, "Five strategies, one pair of thresholds"
)
figure

# %% tags=["remove-input"]
narrative.source(panels.values(), figure)

# %% mystnb={"figure": {"caption": "Where each row of the map crosses the training threshold (left) and the test threshold (right), for five strategies and one pair of thresholds. Marks: seed means. Bars: 5 to 95 per cent of the resampled seeds. Arrowheads: the row lies above its threshold from the start (left edge), or never crosses it in the map (right edge).", "name": "fig-pinode-borders"}, "image": {"alt": "Two panels over the inverse damping and the number of observed states; in each row five marks with bars, one for each strategy, show where the training and the test border lie.", "width": "100%"}}
figure = narrative.borders(
    common, "Borders of five strategies, one pair of thresholds"
)
figure

# %% tags=["remove-input"]
narrative.source(panels.values(), figure)

# %% tags=["remove-input"]
narrative.say(narrative.shifts(common))

# %% [markdown]
# The same for the border between I and III:

# %% tags=["remove-input"]
narrative.say(narrative.shifts(common, "test"))

# %% [markdown]
# ## Statement by statement
#
# A statement about regimes holds here if it holds by the thresholds that Table 5 gives each strategy *and* by one common pair;
# if only one of the two says so, it cannot be judged.

# %% tags=["remove-input"]
narrative.say(
    narrative.statement_table(
        narrative.pendulum_statements(panels, panels["Adam"])
    )
)

# %% [markdown]
# ## Newton steps with nothing to solve

# %% tags=["remove-input"]
narrative.say(
    narrative.nothing_to_solve(panels["L-BFGS"], panels["NNCG"], tight)
)

# %% mystnb={"figure": {"caption": "What NysNewton-CG with the tighter tolerance improves on the L-BFGS state that it starts from, in per cent of that state: as ratio of the seed means (above) and as mean of the seeds' ratios (below). Blue is better. A cross with a number counts runs that gave up.", "name": "fig-improvement-pinode"}, "image": {"alt": "Four grids in a diverging colour map with the relative improvement by Newton steps in every cell of the pendulum's map: training loss left and test error right, ratio of means above and mean of ratios below.", "width": "100%"}}
figure = narrative.improvement_figure(
    panels["L-BFGS"], tight, "What Newton steps improve: pendulum"
)
figure

# %% tags=["remove-input"]
narrative.source([panels["L-BFGS"], tight], figure)

# %% [markdown]
# ## How the runs ended

# %% tags=["remove-input"]
narrative.say(narrative.endings(panels | {"NNCG, tight": tight}))

# %% [markdown]
# ## Try it

# %% tags=["remove-input"]
narrative.say(
    narrative.commands("pinode_strategies", [*panels.values(), tight])
)
