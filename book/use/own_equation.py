# %% [markdown]
# # Your own equation
#
# **Can I draw a regime map of an equation that this book does not have?** Yes. You write one class of about thirty lines;
# training, storing, maps and curvature then work on it as they are. This page does so for the viscous Burgers equation,
#
# $$
# \frac{\partial u}{\partial t} + u\, \frac{\partial u}{\partial x} = \nu\, \frac{\partial^2 u}{\partial x^2},
# \qquad u(x, 0) = -\sin \pi x, \qquad u(\pm 1, t) = 0 .
# $$
#
# Where $\nu$ is small, the sine steepens to a front in the middle. So the coefficient of the map is $1/\nu$: to the right it
# gets hard. The networks on this page are small and are trained for a moment only, while the page is executed. They show how
# it is done; the map of a study needs larger budgets.

# %% tags=["parameters"]
profile: str = "laptop"  # smoke | laptop | paper
device: str = "auto"  # auto | cpu | cuda
seeds: int = 2  # use at most the first n seeds of the profile
runs: str = ""  # folder to train into; empty means a temporary one

# %% [markdown]
# ## The equation is one class
#
# It says where the points are and which derivatives are needed there, what the residuals are, and what the true solution is.

# %%
import math

import numpy as np
import torch

from sciml_lib.systems import Block, SpaceTimeSystem

NODES, WEIGHTS = map(torch.from_numpy, np.polynomial.hermite.hermgauss(64))


class Burgers(SpaceTimeSystem):
    name, coefficient_name = "burgers", "1/nu"
    coefficient_label, coefficient_words = "1/ν", "the inverse viscosity"
    coefficient_range = (0.0, math.inf)
    x_range = (-1.0, 1.0)
    grid = test_grid = (65, 33)

    def blocks(self, n, data_seed=0):
        inside = Block(self.collocation(n, data_seed), ("x", "xx", "t"))
        edges = {key: Block(points) for key, points in self.edges().items()}
        return {"residual": inside, **edges}

    def residuals(self, jets, points, coefficient):
        inner, x = jets["residual"], points["initial"][..., 0]
        steepening = inner["t"] + inner["u"] * inner["x"]
        return {
            "residual": steepening - inner["xx"] / coefficient,
            "initial": jets["initial"]["u"] + torch.sin(math.pi * x),
            "upper": jets["upper"]["u"],
            "lower": jets["lower"]["u"],
        }

    def solution(self, points, coefficient):
        # Cole and Hopf turn the equation into that of heat, whose
        # solution is an integral: Gauss-Hermite quadrature.
        x, t, c = points[:, :1], points[:, 1:], coefficient[..., None]
        y = math.pi * (x - 2.0 * torch.sqrt(t / c) * NODES.to(points))
        weight = WEIGHTS.to(points).log() - c / math.tau * torch.cos(y)
        return -(torch.softmax(weight, dim=-1) * torch.sin(y)).sum(dim=-1)


# %% [markdown]
# Three things are worth knowing.
#
# - `coefficient` has the shape `[M, 1]`, one row for each network of an ensemble. Write formulas that act row by row.
# - A block carries `u`, and the derivatives it asks for among `x`, `xx`, `t` and `tt`. Mixed and third derivatives are not
#   available.
# - Constants of your equation are public attributes, such as `x_range` here. They are part of the recipe: runs with other
#   constants are never mixed.
#
# ## A check finds wrong signs
#
# `check_system` compares the residuals with your own reference solution, and tries what ensembles, strategies and stores
# rely on. It says nothing if all is well.

# %%
from sciml_lib.testing import check_system

check_system(Burgers())

# %% [markdown]
# A wrong sign is reported at once, before anything is trained:


# %%
class Mistaken(Burgers):
    def residuals(self, jets, points, coefficient):
        return super().residuals(jets, points, -coefficient)


try:
    check_system(Mistaken())
except AssertionError as error:
    print(error)

# %% [markdown]
# An optimiser of your own has such a check as well, `sciml_lib.testing.check_stage`.
#
# ## A sweep says what to train
#
# Coefficients, amounts of data, seeds, and the recipe of every run. The profiles name smaller versions of it.

# %%
from sciml_lib import LBFGS, Adam, Reduction, Strategy, Sweep
from sciml_lib.sweeps import PINNSetup

BURGERS = Sweep(
    id="pinn/burgers/adam-lbfgs",
    title="PINN, viscous Burgers equation: Adam, then L-BFGS",
    system=Burgers(),
    coefficients=(2.0, 10.0, 50.0, 200.0),
    n_data=(10, 50, 250),
    seeds=(0, 1),
    strategy=Strategy(
        (Adam(200, learning_rate=5e-3), LBFGS(50, history=20))
    ),
    setup=PINNSetup(hidden=(20, 20), dtype="float64"),
    profiles={
        "smoke": Reduction(
            "Seconds; means nothing.",
            coefficients=(2.0, 200.0),
            n_data=(10, 50),
            strategy=Strategy((Adam(20), LBFGS(5))),
        ),
        "laptop": Reduction("The whole sweep."),
        "paper": "laptop",
    },
)

# %% [markdown]
# Ask first what it costs on this machine, then train. Give `runs` the folder in which you want to keep the results; this page
# uses a temporary one.

# %%
import tempfile

import sciml_lib

temporary = tempfile.TemporaryDirectory()
where = {"runs": runs or temporary.name, "device": device}

needed = sciml_lib.estimate(BURGERS, profile, **where)
print("a matter of minutes:", needed.seconds < 600)

report = sciml_lib.run(BURGERS, profile, **where, progress=False)
print(report.done, "runs are stored")

# %% [markdown]
# `run` can be stopped at any time and goes on by itself; what is stored is never trained again. `load` gives the runs as an
# `xarray` data set, and `to_netcdf` writes that to a file.

# %%
found = sciml_lib.load(BURGERS, profile, runs=where["runs"])
dict(found.sizes)

# %% [markdown]
# ## The map follows
#
# A panel is a map with all that can be said of it.

# %% mystnb={"figure": {"caption": "Regime map of the viscous Burgers equation from the small networks of this page, with thresholds that follow from the map itself.", "name": "fig-burgers-map"}, "image": {"alt": "Two coloured grids over the inverse viscosity and the number of collocation points, training loss on the left and test error on the right, with borders between regimes.", "width": "100%"}}
from sciml_lib.panels import Panel

panel = Panel.of(BURGERS, profile, device, where["runs"], seeds)
figure = panel.regime_map("Viscous Burgers equation")
figure

# %% tags=["remove-input", "nbval-ignore-output"]
# These networks are trained here: the last digits are those of a processor.
from sciml_lib import figures, prose


def source(figure):
    trained = prose.counted(report.done, "run")
    return prose.small_print(
        [
            f"{BURGERS.id}, {profile}: {trained}, trained for this page",
            f"figure digest {figures.digest(figure)}",
        ]
    )


source(figure)

# %% tags=["remove-input"]
from sciml_lib.regimes import Regime


def regimes_of(labels):
    rows = [
        [f"{n:,}", *(Regime(int(v)).numeral for v in labels.sel(n_data=n))]
        for n in labels["n_data"].values[::-1]
    ]
    return prose.table(
        ["$N_f$", *(f"1/ν = {c:g}" for c in labels["coefficient"].values)],
        rows,
    )


present = [r for r in Regime if r and (panel.labels == r).any()]
prose.say(
    f"The map shows {prose.in_words(len(present))} of the three regimes. "
    "Cell by cell, as in the figure:\n\n" + regimes_of(panel.labels)
)

# %% [markdown]
# ## Thresholds are yours to choose
#
# Table 5 of the paper has no row for this equation, so the thresholds above follow from the map: they lie 0.3 of the way up
# its colour scales. Another grid moves them. If you know which error is good enough, say so.

# %%
from sciml_lib.regimes import Thresholds

strict = Thresholds.of(train=0.5, test=0.12)
mine = Panel.of(
    BURGERS, profile, device, where["runs"], seeds, thresholds=strict
)

# %% tags=["remove-input"]
moved = int((mine.labels != panel.labels).sum())
prose.say(
    f"By these thresholds {prose.counted(moved, 'cell')} of "
    f"{mine.labels.size} {prose.is_are(moved)} in another regime than "
    "before:\n\n" + regimes_of(mine.labels)
)

# %% [markdown]
# ## See what a network learned

# %% mystnb={"figure": {"caption": "One run of each regime that occurs: the true solution above, what the network learned below, with its collocation points.", "name": "fig-burgers-runs"}, "image": {"alt": "Pairs of colour maps over position and time: the sine that steepens to a front, and below it what the networks learned, with their collocation points as dots.", "width": "100%"}}
figure = panel.examples("Burgers: truth and network")
figure

# %% tags=["remove-input", "nbval-ignore-output"]
source(figure)

# %% [markdown]
# ## Measure the curvature
#
# The largest eigenvalue of the Hessian at the end of every run takes one call more.

# %%
sciml_lib.measure(BURGERS, profile, **where, progress=False)
found = sciml_lib.load(BURGERS, profile, runs=where["runs"])
sharpest = found.lambda_max.mean(["n_data", "seed"]).idxmax()
print(f"the loss is sharpest at 1/nu = {sharpest.item():g}")

# %% [markdown]
# ## The same from a terminal
#
# Write the class and the sweep of this page to a file `my_sweeps.py`. The option `--plugin` makes its sweeps known to every
# command.
#
# ```bash
# sciml run pinn/burgers/adam-lbfgs --plugin my_sweeps --runs my_runs
# sciml status pinn/burgers/adam-lbfgs --plugin my_sweeps --runs my_runs
# sciml measure pinn/burgers/adam-lbfgs --plugin my_sweeps --runs my_runs
# ```
#
# A package of your own can offer its sweeps for good, by an entry point of the group `sciml_lib.sweeps`; then no option is
# needed.
#
# ## Exercises
#
# **1.** Let the waves start twice as high, $u(x, 0) = -2 \sin \pi x$, as a constant of the class. What makes sure that runs
# with another height are kept apart?
#
# :::{dropdown} Answer
# Add `height = 1.0` to the class, and multiply the sine of `residuals` by `self.height`. In `solution`, the exponent
# `c / math.tau` and the result take the factor as well; `check_system(Burgers(height=2.0))` tells you if you forgot one. A
# public number of the class is in `Burgers().recipe`, and the recipe is in the hash of every run: `run` refuses to add to a
# store that was made by another one.
# :::
#
# **2.** A cell is in regime III. Which single change of the sweep above tells you most cheaply whether more data would help?
#
# :::{dropdown} Answer
# More points at that coefficient alone: list them as `pairs=((200.0, 250), (200.0, 1_000))` in a second sweep. If the test
# error falls while the training loss stays low, it was the data. If the training loss rises above its threshold, the cell has
# moved to regime II, and the optimiser or its budget is next.
# :::
