# %% [markdown]
# # Regimes across model families
#
# A physics-informed network learns one solution of one equation. Other models learn a law instead: a *neural ODE* (NODE)
# {cite:p}`chen2018node` learns how fast a state changes, from a trajectory that it is shown; its physics-informed sibling
# (PINODE) is told the equation as well. Do these divide into the same three regimes?
#
# **What the paper reports** (Fig. 1). The maps of five families, a PINN, a Fourier neural operator (FNO), its physics-informed
# form (PINO), a NODE and a PINODE, all show the three regimes, sharper where physics is part of the loss and more diffuse where
# a model learns from data alone {cite:p}`wang2026regimes`. The system of the last two is a damped pendulum,
#
# $$
# \frac{d\theta}{dt} = \omega, \qquad \frac{d\omega}{dt} = -b\,\omega - \sin\theta,
# $$
#
# that swings from rest at 1.7 rad and is observed every 0.05 s. From left to right in its maps the damping $b$ falls, from
# bottom to top the trajectory grows longer. The network $f$ has three layers of 16 units. It is trained on single steps of
# Euler's method: from each observed state $x$ the step $x + \Delta t\, f(x)$ should meet the next one. And it is tested by
# following $f$ over 20 s from another start, at rest at 2.8 rad.

# %% tags=["parameters"]
profile: str = "laptop"  # smoke | laptop | paper
device: str = "auto"  # auto | cpu | cuda
seeds: int = 5  # use at most the first n seeds of the profile
runs: str = ""  # folder of stored runs; empty means the repository's own

# %% [markdown]
# ## The families and their runs
#
# The pendulum's networks are tiny, and a whole map trains as one ensemble. So its profile *laptop* is the whole published
# grid.

# %%
from sciml_lib import narrative, rollouts
from sciml_lib.panels import Panel


def panel(sweep):
    """The map of one sweep."""
    return Panel.of(sweep, profile, device, runs, seeds)


maps = {
    "PINN": panel("pinn/convection/lbfgs"),
    "NODE": panel("node/pendulum/adam"),
    "PINODE": panel("pinode/pendulum/adam"),
}
pendulum = {name: maps[name] for name in ("NODE", "PINODE")}

# %% tags=["remove-input"]
narrative.say(narrative.families(maps))

# %% tags=["remove-input"]
narrative.say(narrative.budgets(maps))

# %% tags=["remove-input"]
narrative.say(narrative.missing_families(["FNO", "PINO"]))

# %% [markdown]
# On several points the paper and its released code differ, and the maps decide between them: they can only have been made the
# code's way. A NODE sees the state as a point on a sphere, a PINODE sees angle and velocity themselves (the text says both see
# the sphere). Both are trained on single steps (the text describes one integration over the whole horizon). The physics term
# carries a factor $\Delta t^2$ (the text has none).

# %% [markdown]
# ## Three maps

# %% mystnb={"figure": {"caption": "Regime maps of three model families, in the order of Fig. 1: training loss above, test error below, mean over the seeds, each judged by its own row of Table 5, with the borders at five heights of their thresholds (solid: training, dashed: test).", "name": "fig-families"}, "image": {"alt": "Six grids in two rows, training loss above and test error below, one column for each of PINN, NODE and PINODE, over the coefficient and the amount of data, with borders and the Roman numerals of the regimes.", "width": "100%"}} tags=["cover"]
figure = narrative.maps_figure(maps, "Three model families")
figure

# %% tags=["remove-input"]
narrative.source(maps.values(), figure)

# %% tags=["remove-input"]
narrative.say(narrative.regime_shares(maps))

# %% [markdown]
# Here is what three of the PINODEs have learned. The upper row shows the swing that they were tested on, the lower row the same
# in the plane of angle and velocity, with the states that they were trained on.

# %% mystnb={"figure": {"caption": "PINODEs from the regimes of the map: the true test motion and the one that results from following the network (above: angle over time; below: angle and angular velocity), with the states it was trained on. The notes give its own training loss and test error.", "name": "fig-motions"}, "image": {"alt": "Columns of two diagrams, one column for each regime: the angle of the pendulum over 20 seconds, true and learned, and below the two motions as curves in the plane of angle and angular velocity with dots for the training states.", "width": "100%"}}
figure = rollouts.examples(maps["PINODE"], "What three PINODEs have learned")
figure

# %% tags=["remove-input"]
narrative.source(maps["PINODE"], figure)

# %% [markdown]
# ## Beside the published maps

# %% mystnb={"figure": {"caption": "NODE: our maps (above) and the published ones of Fig. 1(d) (below), on the published grid and colour scale. The published values were read from the colours of the figure, to about five per cent of the colour range; hatched cells are hidden under a line.", "name": "fig-node"}, "image": {"alt": "Four grids: training loss and test error of our NODE above, the published ones below, in the same colours, each with its borders between the regimes.", "width": "100%"}}
figure = maps["NODE"].beside_the_published("NODE: ours and published")
figure

# %% tags=["remove-input"]
narrative.source(maps["NODE"], figure)

# %% mystnb={"figure": {"caption": "PINODE: our maps with Adam (above) and the published ones of Fig. 1(e) (below), on the published grid and colour scale. Marks as above.", "name": "fig-pinode"}, "image": {"alt": "Four grids: training loss and test error of our PINODE above, the published ones below, in the same colours, each with its borders between the regimes.", "width": "100%"}}
figure = maps["PINODE"].beside_the_published("PINODE: ours and published")
figure

# %% tags=["remove-input"]
narrative.source(maps["PINODE"], figure)

# %% tags=["remove-input"]
narrative.say(narrative.against_published(maps))

# %% [markdown]
# ### Which training does Fig. 1(e) show?
#
# The text says that the PINODE of Fig. 1 was trained with L-BFGS. Table 5 has a row for that, and one for Adam.

# %%
lbfgs = panel("pinode/pendulum/lbfgs")

# %% tags=["remove-input"]
narrative.say(
    narrative.who_was_drawn({"Adam": maps["PINODE"], "L-BFGS": lbfgs})
)

# %% [markdown]
# ## How sharp is a border?

# %% tags=["remove-input"]
narrative.say(narrative.statement_table(narrative.sharpness(maps)))

# %% [markdown]
# ## Is Regime II badly tested?

# %% tags=["remove-input"]
narrative.say(narrative.second_regime(maps))

# %% [markdown]
# ## What the training loss is made of
#
# Euler's method errs, even with the true field: a step of $\Delta t$ along $F(x)$ does not end where the pendulum does. So the
# two parts of a PINODE's loss contradict each other. The data ask for an $f$ that makes up for the error of the step, the
# physics asks for $f = F$, and between them
#
# $$
# \min_f\; \overline{\lvert x + \Delta t f - x' \rvert^2} + \Delta t^2\, \overline{\lvert f - F \rvert^2}
# = \tfrac{1}{2}\, \overline{\lvert x + \Delta t F - x' \rvert^2},
# $$
#
# reached halfway, with $f$ in the middle of what the two ask for. No network and no optimiser can do better. This floor needs
# no training to be known; here it is, in the colours of the training loss.

# %% mystnb={"figure": {"caption": "Training loss of the PINODE with Adam, the floor that Euler's method puts under it, in the same colours, and the share of the floor in the loss, cell by cell.", "name": "fig-floor"}, "image": {"alt": "Three grids over the inverse damping and the number of observed states: the training loss, the floor of forward Euler, and the ratio of the two written into each cell.", "width": "100%"}}
figure = narrative.floor_figure(
    maps["PINODE"], "How much of the training loss is the time step's"
)
figure

# %% tags=["remove-input"]
narrative.source(maps["PINODE"], figure)

# %%
tight = panel("pinode/pendulum/nncg-tight")

# %% tags=["remove-input"]
narrative.say(
    narrative.floor_words(
        {
            "Adam": maps["PINODE"],
            "L-BFGS": lbfgs,
            "L-BFGS, then Newton steps": tight,
        }
    )
)

# %% [markdown]
# The last line is not a strategy of the paper: Newton steps with a tolerance of our own ({doc}`pinode_strategies`), which show
# that the floor is not a formality. What a better optimiser can still gain lies between the second line and the third.

# %% [markdown]
# ## What the test error is made of

# %% tags=["remove-input"]
narrative.say(narrative.error_floor(maps["PINODE"]))

# %% [markdown]
# ### Rollout or one step?
#
# The text calls the test error that of one step along the test trajectory. The released code measures that as well, but fills
# its maps with the error of the rollout. The two are not the same thing in other units.

# %% mystnb={"figure": {"caption": "Two test errors of the same PINODEs: of the rollout over 20 s, which the paper's maps show, and of single steps along the test trajectory, which its text names.", "name": "fig-two-errors"}, "image": {"alt": "Two grids over the inverse damping and the number of observed states, the relative error of the rollout left and the mean squared error of one step right.", "width": "100%"}}
figure = narrative.two_errors_figure(
    maps["PINODE"], "One model, two test errors"
)
figure

# %% tags=["remove-input"]
narrative.source(maps["PINODE"], figure)

# %% tags=["remove-input"]
narrative.say(narrative.two_errors(pendulum))

# %% [markdown]
# ## Other readings
#
# What would the maps look like if the text were followed, or another part of the code? *Text*: an epoch is one pass through a
# run's own batches, so short trajectories get fewer updates, and the learning rate stays; in the released code every epoch has
# 13 updates and the rate falls by 0.5 per cent after each. *Angle and velocity*: the NODE sees what the PINODE sees. *No
# factor*: the physics term without $\Delta t^2$, as the text has it. *No physics*: the PINODE without its equation, on the data
# alone. Ratios are those of the median cell.

# %%
node_readings = {
    "text": panel("node/pendulum/adam-plain"),
    "angle and velocity": panel("node/pendulum/adam-raw"),
}
pinode_readings = {
    "text": panel("pinode/pendulum/adam-plain"),
    "no factor": panel("pinode/pendulum/adam-unscaled"),
    "no physics": panel("pinode/pendulum/adam-data"),
}

# %% [markdown]
# NODE:

# %% tags=["remove-input"]
narrative.say(narrative.other_readings(maps["NODE"], node_readings))

# %% [markdown]
# PINODE:

# %% tags=["remove-input"]
narrative.say(narrative.other_readings(maps["PINODE"], pinode_readings))

# %% tags=["remove-input"]
narrative.say(
    narrative.what_matters(
        maps["NODE"],
        node_readings["angle and velocity"],
        maps["PINODE"],
        pinode_readings["no physics"],
    )
)

# %% [markdown]
# ## How the runs ended

# %% tags=["remove-input"]
narrative.say(narrative.endings(maps))

# %% [markdown]
# ## Try it

# %% tags=["remove-input"]
narrative.say(
    narrative.commands(
        "model_families",
        [
            *maps.values(),
            lbfgs,
            tight,
            *node_readings.values(),
            *pinode_readings.values(),
        ],
    )
)
