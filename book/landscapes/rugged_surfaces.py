# %% [markdown]
# # Rugged surfaces
#
# Training moves a network through a space of thousands of dimensions, and the loss is a landscape over it. Nobody can see such a
# landscape; but one can cut it with a plane through the trained network and look at the cut {cite:p}`li2018visualizing`. Is the
# ground around a network that solves hard physics more broken than around one that solves easy physics?
#
# **What the paper reports** (Figs. 5(a,b) and 13; section 2.5.1 and appendix F.2). For slow convection ($\beta = 5$) a large flat
# region of high loss surrounds a deep, narrow valley. For fast convection ($\beta = 50$) the surface turns highly irregular and
# much more rugged. Both have sharp local minima, unlike the wide basin of an image classifier. For reaction-diffusion the
# minimum at $\rho = 5$ is the sharper one, and $\rho = 15$ lies on a broad plateau of high loss {cite:p}`wang2026regimes`.
#
# A picture is one run. Here every statement is asked of all seeds, in numbers that are measured on the surfaces.

# %% tags=["parameters"]
profile: str = "laptop"  # smoke | laptop | paper
device: str = "auto"  # auto | cpu | cuda
seeds: int = 3  # use at most the first n seeds of the profile
runs: str = ""  # folder of stored runs; empty means the repository's own

# %% [markdown]
# ## The surfaces
#
# The plane is spanned by two directions. The paper takes the two leading eigenvectors of the Hessian: there the loss rises
# fastest. Each direction is scaled so that its part in every weight matrix, and in every vector of biases, is as long as that part
# of the network itself. That is what the released code does; the text says neuron by neuron. The text gives no radius; the axes
# of Fig. 5 run to 0.05. Heights are decimal logarithms, which fit the heights of Fig. 5, where the script has natural ones.
#
# Three planes are cut through every network: along the eigenvectors to the paper's radius, along two random directions to the
# same radius, and along the eigenvectors once more to an *adapted* radius, where the loss has risen a hundredfold.

# %%
from sciml_lib import narrative, studies

study = studies.get("surfaces")
stored = studies.load_or_run(study, profile, runs=runs or None, device=device)
surfaces = narrative.first_seeds(stored, seeds)

CONVECTION = "pinn/convection/lbfgs"
REACTION_DIFFUSION = "pinn/reaction-diffusion/lbfgs"

# %% tags=["remove-input"]
narrative.say(narrative.surface_overview(surfaces))

# %% [markdown]
# ## Along the eigenvectors

# %% mystnb={"figure": {"caption": "Training loss around networks trained on convection, along the two leading eigenvectors, to the radius of the paper's Fig. 5(a,b). First seed. Colours and view as there: blue is low, red is high, each surface by its own scale.", "name": "fig-surfaces-convection"}, "image": {"alt": "Two surfaces side by side over two directions, for slow and for fast convection: the height is the logarithm of the training loss; the trained network stands in the middle of each.", "width": "100%"}} tags=["cover"]
figure = narrative.surfaces_figure(
    surfaces, CONVECTION, "eigen", "Convection, along eigenvectors"
)
figure

# %% tags=["remove-input"]
narrative.study_source(surfaces, figure)

# %% mystnb={"figure": {"caption": "The same for reaction-diffusion, as in Fig. 13. First seed.", "name": "fig-surfaces-reaction"}, "image": {"alt": "Two surfaces side by side over two directions, for a small and a large reaction coefficient: the height is the logarithm of the training loss; the trained network stands in the middle.", "width": "100%"}}
figure = narrative.surfaces_figure(
    surfaces,
    REACTION_DIFFUSION,
    "eigen",
    "Reaction-diffusion, along eigenvectors",
)
figure

# %% tags=["remove-input"]
narrative.study_source(surfaces, figure)

# %% [markdown]
# The same four surfaces once more, to be turned with the mouse (in the built book; it needs no network):

# %% tags=["remove-input"]
narrative.interactive(surfaces, CONVECTION, "eigen", "Convection")

# %% tags=["remove-input"]
narrative.interactive(
    surfaces, REACTION_DIFFUSION, "eigen", "Reaction-diffusion"
)

# %% [markdown]
# ## Along random directions

# %% mystnb={"figure": {"caption": "The same convection networks and the same radius, along two random directions.", "name": "fig-surfaces-random"}, "image": {"alt": "Two surfaces side by side over two random directions, for slow and for fast convection; the trained network stands in the middle.", "width": "100%"}}
figure = narrative.surfaces_figure(
    surfaces, CONVECTION, "random", "Convection, along random directions"
)
figure

# %% tags=["remove-input"]
narrative.study_source(surfaces, figure)

# %% mystnb={"figure": {"caption": "The same for reaction-diffusion.", "name": "fig-surfaces-random-reaction"}, "image": {"alt": "Two surfaces side by side over two random directions, for a small and a large reaction coefficient; the trained network stands in the middle.", "width": "100%"}}
figure = narrative.surfaces_figure(
    surfaces,
    REACTION_DIFFUSION,
    "random",
    "Reaction-diffusion, along random directions",
)
figure

# %% tags=["remove-input"]
narrative.study_source(surfaces, figure)

# %% [markdown]
# ## Up to a hundredfold loss
#
# A radius that is the same for all networks shows a needle in one cell and a bowl in the next. So here the radius follows the
# network: it ends where the loss has risen a hundredfold along the first eigenvector. It is given above each surface.

# %% mystnb={"figure": {"caption": "The same convection networks along their eigenvectors, each to its own radius.", "name": "fig-surfaces-adapted"}, "image": {"alt": "Two surfaces side by side over two eigenvectors in units of the radius, for slow and for fast convection; the trained network stands in the middle.", "width": "100%"}}
figure = narrative.surfaces_figure(
    surfaces, CONVECTION, "wide", "Convection, adapted radius"
)
figure

# %% tags=["remove-input"]
narrative.study_source(surfaces, figure)

# %% mystnb={"figure": {"caption": "The same for reaction-diffusion.", "name": "fig-surfaces-adapted-reaction"}, "image": {"alt": "Two surfaces side by side over two eigenvectors in units of the radius, for a small and a large reaction coefficient; the trained network stands in the middle.", "width": "100%"}}
figure = narrative.surfaces_figure(
    surfaces,
    REACTION_DIFFUSION,
    "wide",
    "Reaction-diffusion, adapted radius",
)
figure

# %% tags=["remove-input"]
narrative.study_source(surfaces, figure)

# %% tags=["remove-input"]
narrative.say(narrative.needles(surfaces))

# %% [markdown]
# ## In numbers
#
# *Depth*: from the median of the rim down to the network, in decades. *Valley*: share of the square's points within a decade of the
# lowest. *Plain*: share within a decade of the rim's median. *Basins*: minima inside the square that a pass of at least 0.1
# decades (26 per cent) divides from every lower one; what is shallower is a ripple. *Drains to the lowest*: share of the points from
# which the way downhill ends in the lowest basin. *Bowl*: how much of the variance of the heights the best paraboloid explains that
# has the network at its bottom. All heights are logarithms; ranges are those over the seeds.

# %% tags=["remove-input"]
narrative.say(narrative.surface_shapes(surfaces))

# %% [markdown]
# A basin is a matter of definition, and a narrow valley across the grid can look like a string of pits. Here is what the number of
# basins along the eigenvectors becomes with other barriers, and on a grid with every second point:

# %% tags=["remove-input"]
narrative.say(narrative.basin_choices(surfaces))

# %% [markdown]
# Is the network where the training ended the lowest point of its plane?

# %% tags=["remove-input"]
narrative.say(narrative.lowest_points(surfaces))

# %% [markdown]
# A funnel in a plain is what any sharp minimum looks like on a logarithmic scale: the logarithm of a bowl $\ell_0 + \lambda r^2$
# falls steeply where $r$ is small, and hardly rises where it is large. So how much of each relief is a bowl, and no more?

# %% tags=["remove-input"]
narrative.say(narrative.bowls(surfaces))

# %% [markdown]
# ## Statement by statement
#
# At the paper's radius, along the eigenvectors. A statement *holds* if it does for every seed, *does not hold* if one of
# its cells has no seed for which it does, and else *cannot be judged*.

# %% tags=["remove-input"]
narrative.say(narrative.statement_table(narrative.surface_statements(surfaces)))

# %% [markdown]
# ## What decides
#
# Two directions of thousands show a little of a landscape, and three choices were made before it could be drawn.

# %% tags=["remove-input"]
narrative.say(narrative.radius_decides(surfaces))

# %% [markdown]
# The scaling is the third: with lengths matched neuron by neuron, as the text has it, other neurons would be moved by other
# amounts, and the surfaces would differ. And the two leading eigenvectors, so scaled, are neither eigenvectors nor orthogonal any more.
# The classifier that the paper compares with (ResNet-18) and the neural operators of Fig. 5(c,d) are not part of this edition.

# %% [markdown]
# ## Try it

# %% tags=["remove-input"]
narrative.say(narrative.study_command("rugged_surfaces", [surfaces]))
