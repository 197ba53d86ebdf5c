# %% [markdown]
# # Regimes across strategies (PINN)
#
# If training fails, train differently. The paper tries five ways on the convection equation: plain L-BFGS, constraints by an
# augmented Lagrangian (ALM) {cite:p}`lu2021hard`, a curriculum that begins with slow waves (CL) {cite:p}`krishnapriyan2021`,
# points that wander (RoPINN) {cite:p}`wu2024ropinn`, and Newton steps after L-BFGS (NNCG) {cite:p}`rathore2024`. Does any of
# them move the borders of the map, and by more than the random start does?
#
# **What the paper reports** (section 2.4, the first pair of rows of Fig. 3, and Fig. 4). The three regimes survive every
# strategy; the training border moves from about $\beta = 25$ with L-BFGS to about 50 with ALM and with CL; RoPINN moves it
# towards faster waves, too; NNCG improves what is already well trained and is unreliable elsewhere.

# %% tags=["parameters"]
profile: str = "laptop"  # smoke | laptop | paper
device: str = "auto"  # auto | cpu | cuda
seeds: int = 3  # use at most the first n seeds of the profile
runs: str = ""  # folder of stored runs; empty means the repository's own

# %% [markdown]
# ## The runs

# %%
from sciml_lib import narrative
from sciml_lib.panels import Panel


def panel(variant, system="convection"):
    """The map of one strategy, or of a variant of it."""
    return Panel.of(f"pinn/{system}/{variant}", profile, device, runs, seeds)


names = {
    "ropinn": "RoPINN",
    "lbfgs": "L-BFGS",
    "alm": "ALM",
    "nncg": "NNCG",
    "cl": "CL",
}
panels = {name: panel(variant) for variant, name in names.items()}

# %% [markdown]
# What a network goes through, here and with the full budget, is in the table. Read every statement below as one about the
# budgets in the column *here*; they are not equally near to the full ones.

# %% tags=["remove-input"]
narrative.say(narrative.budgets(panels))

# %% [markdown]
# One thing about the curriculum. Its curriculum stages climb from $\beta = 0$ in equal steps, and up to any speed the way is the same
# whatever the goal. So one trajectory per seed and number of points serves the whole row of a map: at each speed of the
# grid a copy leaves it, is trained once more on the row's own points, and is done. That is the same training for every cell,
# and saves most of the work; but the cells of a row share their way, so one unlucky curriculum stage colours all that lie above it.

# %% [markdown]
# ## Five maps

# %% mystnb={"figure": {"caption": "Regime maps of the convection equation with five training strategies, in the order of Fig. 3(a)-(e): training loss above, test error below, each judged by its own row of Table 5.", "name": "fig-strategies"}, "image": {"alt": "Ten grids in two rows, training loss above and test error below, one column for each of RoPINN, L-BFGS, ALM, NNCG and CL, over the speed of the wave and the number of collocation points, with borders and Roman numerals of the regimes.", "width": "100%"}} tags=["cover"]
common = {name: p.restricted_to(panels["ALM"]) for name, p in panels.items()}
figure = narrative.maps_figure(common, "PINN, 1D convection: five strategies")
figure

# %% tags=["remove-input"]
narrative.source(panels.values(), figure)

# %% tags=["remove-input"]
narrative.say(narrative.regime_shares(common))

# %% [markdown]
# ## Do the borders move, or is it noise?
#
# Here are the borders of all strategies in one picture: where each row first rises above its threshold. A bar is the part of
# the row in which that place lies when the seeds are resampled (5 to 95 per cent); a mark alone comes from a single seed.

# %% mystnb={"figure": {"caption": "Where each row of the map crosses the training threshold (left) and the test threshold (right), for five strategies. Marks: seed means. Bars: 5 to 95 per cent of the resampled seeds, where there is more than one. Arrowheads: the row lies above its threshold from the start (left edge), or never crosses it in the map (right edge). Each strategy is judged by its own row of Table 5.", "name": "fig-borders"}, "image": {"alt": "Two panels over the speed of the wave and the number of collocation points; in each row five marks with bars, one for each strategy, show where the training and the test border lie.", "width": "100%"}}
figure = narrative.borders(common, "Borders of five strategies")
figure

# %% tags=["remove-input"]
narrative.source(panels.values(), figure)

# %% tags=["remove-input"]
narrative.say(narrative.shifts(common))

# %% [markdown]
# The same for the border between I and III, where the training loss is low and it is the solution that fails:

# %% tags=["remove-input"]
narrative.say(narrative.shifts(common, "test"))

# %% [markdown]
# ## Statement by statement
#
# Section 2.4 of the paper says where the borders are. The right column says whether our runs say the same, at the scale that
# was run; a place counts as the claimed one if it lies within half a step of our grid.

# %% tags=["remove-input"]
narrative.say(narrative.statement_table(narrative.statements(common)))

# %% tags=["remove-input"]
narrative.say(
    narrative.same_thresholds(
        common,
        {name: common["L-BFGS"] for name in common},
        "each strategy",
        "L-BFGS",
    )
)

# %% [markdown]
# ## What Newton steps add
#
# NNCG begins where L-BFGS ends, so the fair question is what it improves. The paper's Fig. 4 maps the relative improvement
# $\Delta = (v_\text{base} - v_\text{NNCG}) / v_\text{base}$ over its cells. Two things are left open there. Is it the ratio of
# the means over the seeds, or the mean of the seeds' ratios? We draw both. And what is the base: the map of L-BFGS, or the
# state of the same runs before the first Newton step? We take the latter, which compares a run with itself. Runs that gave up
# are kept, with the parameters they had, and counted in the cells.

# %%
bases = {s: panel("nncg-base", s) for s in ("convection", "reaction")}
newton = {"convection": panels["NNCG"], "reaction": panel("nncg", "reaction")}
pairs = {s: (bases[s], newton[s]) for s in bases}

# %% mystnb={"figure": {"caption": "What NysNewton-CG improves on the L-BFGS state that it starts from, convection equation, in per cent of that state: as ratio of the seed means (above) and as mean of the seeds' ratios (below). Blue is better. A cross with a number counts runs that gave up.", "name": "fig-improvement-convection"}, "image": {"alt": "Four grids in a diverging colour map with the relative improvement by Newton steps in every cell of the convection map: training loss left and test error right, ratio of means above and mean of ratios below.", "width": "100%"}}
figure = narrative.improvement_figure(
    *pairs["convection"], "What Newton steps improve: convection"
)
figure

# %% tags=["remove-input"]
narrative.source(pairs["convection"], figure)

# %% tags=["remove-input"]
narrative.say(narrative.improvement_words(*pairs["convection"]))

# %% mystnb={"figure": {"caption": "What NysNewton-CG improves on the L-BFGS state that it starts from, reaction equation, in per cent of that state: as ratio of the seed means (above) and as mean of the seeds' ratios (below). Blue is better. Marks as above.", "name": "fig-improvement-reaction"}, "image": {"alt": "Four grids in a diverging colour map with the relative improvement by Newton steps in every cell of the reaction map: training loss left and test error right, ratio of means above and mean of ratios below.", "width": "100%"}}
figure = narrative.improvement_figure(
    *pairs["reaction"], "What Newton steps improve: reaction"
)
figure

# %% tags=["remove-input"]
narrative.source(pairs["reaction"], figure)

# %% tags=["remove-input"]
narrative.say(narrative.improvement_words(*pairs["reaction"]))

# %% tags=["remove-input"]
narrative.say(
    narrative.statement_table(narrative.nncg_statements(*pairs["convection"]))
)

# %% [markdown]
# ### How much damping?
#
# A Newton step solves $(H + \mu I)\, d = g$. The Hessian of such a loss has directions of negative curvature, and where $\mu$
# does not outweigh them the system is not positive definite: conjugate gradients then stop early, and the run carries the
# mark *negative curvature*. The author of the method warns that the damping decides whether it works; here is what it does
# on two cells.

# %%
dampings = (1e-4, 1e-3, 1e-2, 1e-1)
study = {mu: panel(f"nncg-damping-{mu:g}") for mu in dampings}

# %% mystnb={"figure": {"caption": "Training loss after NysNewton-CG against its damping, on two cells of the map. One dot is one seed, the bar is their mean, the dotted line the training threshold.", "name": "fig-damping"}, "image": {"alt": "Two small panels, one for each of two cells of the map, with the training loss of single seeds over four values of the damping.", "width": "100%"}}
figure = narrative.damping_figure(
    study, "train_loss", "Damping of the Newton steps"
)
figure

# %% tags=["remove-input"]
narrative.source(study.values(), figure)

# %% tags=["remove-input"]
narrative.say(narrative.damping_words(study, bases["convection"]))

# %% [markdown]
# ## Which terms are hard?
#
# The paper's text says that ALM enforces the *equation* as a hard constraint. Its released code does the opposite by default:
# boundary and initial terms get the multipliers, and the equation stays a penalty. This decides how the paper's conclusion
# about hard constraints is to be understood, so both were run on one row of the map.

# %%
equation = panel("alm-pde")

# %% tags=["remove-input"]
narrative.say(
    narrative.constraint_words(panels["L-BFGS"], panels["ALM"], equation)
)

# %% [markdown]
# ## Testing on the training grid
#
# The released RoPINN trains on a tensor grid of $n \times n$ points and measures the error on the very same grid. These
# networks were trained that way; their error is shown on their own grid and on the common, finer one.

# %%
grid = panel("ropinn-grid")

# %% tags=["remove-input"]
narrative.say(narrative.grid_words(grid, panels["RoPINN"]))

# %% [markdown]
# ## How the runs ended

# %% tags=["remove-input"]
narrative.say(narrative.endings(panels))

# %% [markdown]
# ## Try it

# %% tags=["remove-input"]
narrative.say(
    narrative.commands(
        "pinn_strategies",
        [
            *panels.values(),
            *bases.values(),
            newton["reaction"],
            *study.values(),
            equation,
            grid,
        ],
    )
)
