# %% [markdown]
# # Your own equation
#
# Does a network learn *your* equation, and if it fails, is it short of data or of training? A class of thirty lines and a
# list of coefficients are enough to draw the map that answers it. This page goes the whole way with an equation that is
# nowhere else in this book: the viscous Burgers equation,
#
# $$
# \frac{\partial u}{\partial t} + u\, \frac{\partial u}{\partial x} = \nu\, \frac{\partial^2 u}{\partial x^2},
# \qquad x \in [-1, 1],\quad t \in [0, 1],
# $$
#
# which starts as $u = -\sin \pi x$ and is held at zero at both ends. Small viscosities $\nu$ steepen the wave into a front.
# Our coefficient is $1/\nu$, so that harder problems lie to the right.

# %% tags=["parameters"]
profile: str = "laptop"  # smoke | laptop | paper
device: str = "auto"  # auto | cpu | cuda
seeds: int = 2  # use at most the first n seeds of the profile
runs: str = ""  # folder of stored runs; empty means the repository's own

# %% [markdown]
# ## Write the equation down
#
# A system says where its conditions are posed, which derivatives its equation needs, what the residuals are, and what the
# true solution is. The solution here is the Cole–Hopf formula, integrated by Gauss–Hermite quadrature
# {cite:p}`basdevant1986`. Constants of your own are public attributes; they become part of every stored recipe.

# %%
import math

import numpy as np
import torch
from sciml_lib.systems import Block, SpaceTimeSystem


class Burgers(SpaceTimeSystem):
    """u_t + u u_x = u_xx / c on [-1, 1] x [0, 1]; c is 1/nu."""

    name = "burgers"
    coefficient_name = "1/nu"
    coefficient_label = "1/ν"
    coefficient_words = "the inverse viscosity"
    coefficient_range = (0.0, math.inf)
    x_range = (-1.0, 1.0)

    def blocks(self, n, data_seed=0):
        """Collocation points, the initial line and both ends."""
        conditions = {
            name: Block(points) for name, points in self.edges().items()
        }
        return {
            "residual": Block(self.collocation(n, data_seed), ("x", "xx", "t")),
            **conditions,
        }

    def residuals(self, jets, points, coefficient):
        """The equation inside, the initial wave, and zero at both ends."""
        inner = jets["residual"]
        return {
            "residual": inner["t"]
            + inner["u"] * inner["x"]
            - inner["xx"] / coefficient,
            "initial": jets["initial"]["u"]
            + torch.sin(math.pi * points["initial"][..., 0]),
            "upper": jets["upper"]["u"],
            "lower": jets["lower"]["u"],
        }

    def solution(self, points, coefficient):
        """Cole-Hopf: a quotient of two Gaussian integrals, [M, n]."""
        z, w = map(torch.from_numpy, np.polynomial.hermite.hermgauss(100))
        x, t, c = (
            points[:, 0, None].double(),
            points[:, 1, None].double(),
            coefficient.double()[..., None],
        )  # c: [M, 1, 1]
        y = x - 2.0 * torch.sqrt(t / c) * z  # [M, n, nodes]
        exponent = -torch.cos(math.pi * y) * c / (2.0 * math.pi)
        weight = w * torch.exp(exponent - exponent.amax(dim=-1, keepdim=True))
        return -((torch.sin(math.pi * y) * weight).sum(-1) / weight.sum(-1)).to(
            points
        )


# %% [markdown]
# Before anything is trained, let the library look for slips: wrong shapes, a residual that the true solution does not
# satisfy, members that disturb each other.

# %%
from sciml_lib.testing import check_system

check_system(Burgers())

# %% [markdown]
# It says nothing, so all is well. A wrong sign is reported at once:


# %%
import textwrap


class Mistaken(Burgers):
    """The diffusion with the opposite sign."""

    def residuals(self, jets, points, coefficient):
        """As above, at a negative viscosity."""
        return super().residuals(jets, points, -coefficient)


try:
    check_system(Mistaken())
except AssertionError as error:
    print(textwrap.fill(str(error), 78))

# %% [markdown]
# An optimiser of your own has such a check as well, {py:func}`sciml_lib.testing.check_stage`.
#
# ## Choose what to train
#
# A sweep is a table: coefficients, amounts of data, seeds, a network and a recipe of training. Nothing in it has to be known
# to the library beforehand.

# %%
from sciml_lib import LBFGS, Adam, Reduction, Strategy, Sweep
from sciml_lib.sweeps import PINNSetup

SWEEP = Sweep(
    id="pinn/burgers/lbfgs",
    title="PINN, Burgers: Adam, then L-BFGS",
    system=Burgers(),
    coefficients=(5.0, 20.0, 60.0, 200.0),
    n_data=(20, 100, 400, 1600),
    seeds=(0, 1),
    setup=PINNSetup(hidden=(20, 20, 20)),
    strategy=Strategy((Adam(300), LBFGS(max_iterations=1500))),
    profiles={
        "laptop": Reduction("The whole sweep, a minute on one processor core."),
        "paper": "laptop",
        "smoke": Reduction(
            "Shows in seconds that everything works.",
            coefficients=(5.0, 200.0),
            n_data=(20, 100),
            strategy=Strategy((Adam(10), LBFGS(max_iterations=25))),
        ),
    },
)

# %% [markdown]
# `sciml_lib.estimate(SWEEP)` tells how long it will take, `sciml_lib.run(SWEEP)` trains it, can be stopped at any moment and
# goes on where it was, and `sciml_lib.load(SWEEP)` gives the numbers as an `xarray.Dataset`. A panel does all three: it reads
# what is stored and trains what is missing.

# %%
from sciml_lib import report
from sciml_lib.panels import Panel

# %load_ext sciml_lib.text

panel = Panel.of(SWEEP, profile, device, runs, seeds)
panel.runs[["train_loss", "test_error", "status"]].sizes

# %% [markdown]
# ## See the map
#
# Table 5 of the paper has no thresholds for Burgers. Without your word the library takes 0.3 of the way between the lowest and
# the highest values of each map ({py:func}`sciml_lib.regimes.thresholds.relative`), which is good enough to see the shape.

# %% mystnb={"figure": {"caption": "The regime map of the Burgers equation, with thresholds derived from the map itself.", "name": "fig-own-map"}, "image": {"alt": "Two maps of training loss and test error over the inverse viscosity and the number of collocation points, with borders between regimes.", "width": "100%"}} tags=["hide-input"]
figure = panel.regime_map("Burgers, thresholds derived from the map")
figure

# %% tags=["remove-input"]
report.source(panel, figure)

# %% [markdown]
# You know better what is good enough for you. Say it, and the borders move to where your tolerance puts them.

# %% mystnb={"figure": {"caption": "The same runs, judged by a tolerance of five per cent in the solution.", "name": "fig-own-thresholds"}, "image": {"alt": "The same pair of maps with borders at a training loss of 0.001 and a test error of 0.05.", "width": "100%"}} tags=["hide-input"]
from sciml_lib.regimes import Thresholds

mine = Panel.of(
    SWEEP,
    profile,
    device,
    runs,
    seeds,
    Thresholds.of(train=1e-3, test=0.05, origin="my tolerance"),
)
figure = mine.regime_map("Burgers, judged by a tolerance of 5 %")
figure

# %% tags=["remove-input"]
report.source(mine, figure)

# %% tags=["remove-input"]
n_two, n_three = (int((mine.labels == regime).sum()) for regime in (2, 3))

# %% tags=["remove-input"] language="markdown"
# By this tolerance {{ n_three }} of the {{ mine.labels.size }} cells are over-trained (III) and {{ n_two }} under-trained (II).
# Where a cell is in III, the equation holds at the collocation points and the solution is wrong all the same: add points before
# you try another optimiser.

# %% [markdown]
# A label is a number; a picture says what it means. Each column is a run from one regime, the true wave above what the network
# made of it, with its collocation points as dots.

# %% mystnb={"figure": {"caption": "One run of each regime that occurs: the true solution above what was learned.", "name": "fig-own-solutions"}, "image": {"alt": "Columns of coloured fields over position and time: the true Burgers wave above the network's solution.", "width": "100%"}} tags=["hide-input"]
figure = mine.examples("What the networks learned")
figure

# %% tags=["remove-input"]
report.source(mine, figure)

# %% [markdown]
# ## From the command line
#
# Save the two cells with the class and the sweep as `my_sweeps.py`, and every command knows them:
#
# ```bash
# python -m sciml_lib run pinn/burgers/lbfgs --plugin my_sweeps.py --runs my_runs
# python -m sciml_lib status pinn/burgers/lbfgs --plugin my_sweeps.py --runs my_runs
# python -m sciml_lib measure pinn/burgers/lbfgs --plugin my_sweeps.py --runs my_runs
# ```
#
# The last one adds the leading eigenvalue and the trace of the Hessian at the end of every run. A package can offer its sweeps
# for good by an entry point of the group `sciml_lib.sweeps`. If you change a constant of the class, the stored runs are refused;
# if you change its code, figures say so: no number of another equation is ever mixed in.
#
# ## Exercises
#
# **1.** Let the wave start twice as high, $u(x, 0) = -2 \sin \pi x$, as a constant of the class. What keeps runs with another
# height apart?
#
# ```{admonition} Answer
# :class: dropdown
# Give the class an attribute `height` and multiply the sine in `residuals` by it; the solution needs the factor too, and
# `check_system` tells you where you forgot it. A public attribute is part of the recipe of every run, and a store that was made
# by another recipe is refused.
# ```
#
# **2.** A cell is over-trained. Which single change tells you most cheaply whether more points would help?
#
# ```{admonition} Answer
# :class: dropdown
# A second sweep with `pairs=` that lists this coefficient alone, at four times the points. If the test error falls while the
# training loss stays low, it was the data. If the training loss rises above its threshold, training has become the problem.
# ```
