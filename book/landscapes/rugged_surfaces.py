# %% [markdown]
# # Rugged surfaces
#
# Is the loss landscape around a network that solves hard physics more rugged than around one that solves easy physics?

# %% tags=["parameters"]
profile: str = "laptop"  # smoke | laptop | paper
device: str = "auto"  # auto | cpu | cuda
seeds: int = 3  # use at most the first n seeds of the profile
runs: str = ""  # folder of stored runs; empty means the repository's own

# %% tags=["hide-input"]
from IPython.display import HTML
from sciml_lib import figures, ledger, report, text
from sciml_lib.analysis import surfaces
from sciml_lib.prose import share_span, span
from sciml_lib.studies.cells import CONVECTION, REACTION_DIFFUSION

# %load_ext sciml_lib.text

source = ledger.Source(profile, device, runs, seeds)
(stored,) = ledger.surfaces.gather(source)
verdicts = ledger.judged(ledger.surfaces, stored)
recipe = stored.attrs["recipe"]
shapes = surfaces.shapes(stored)  # one row a surface
eigen, random, wide = (
    shapes[shapes.variant == variant] for variant in surfaces.VARIANTS
)
easy, hard = surfaces.ends(eigen, CONVECTION)
near_easy, near_hard = surfaces.ends(wide, CONVECTION)
mild, stiff = surfaces.ends(eigen, REACTION_DIFFUSION)
reaches = surfaces.reaches(shapes)  # one row a network
narrow = reaches.loc[list(easy.cell.unique()) + list(hard.cell.unique())]
choices = surfaces.basin_choices(stored)
on_hard = choices[choices.cell.isin(hard.cell)].drop(columns=["cell", "seed"])
depths = surfaces.depths(shapes)
lost = depths.eigen - depths.random
needed = surfaces.resolution(shapes).set_index("cell").needed

networks_table = text.tabulated(
    reaches.groupby("cell", sort=False)
    .agg(list)
    .assign(seeds=reaches.groupby("cell", sort=False).size()),
    {
        "seeds": "seeds",
        "loss": "training loss",
        "lambda_1": "$\\lambda_1$",
        "lambda_2": "$\\lambda_2$",
        "reach": "adapted radius",
        "radii": "paper's radius, in adapted radii",
        "steps": "its grid step, in adapted radii",
        "valley_points": "points within a decade",
    },
    "cell",
    dict.fromkeys(reaches, span),
)
shapes_table = text.tabulated(
    surfaces.by_cell(shapes).replace({"variant": surfaces.VARIANTS}),
    {
        "variant": "directions",
        "depth": "depth, decades",
        "valley": "valley",
        "plain": "plain",
        "basins": "basins",
        "drained": "drains to the lowest",
        "bowl": "bowl",
    },
    "cell",
    dict.fromkeys(("depth", "basins"), span)
    | dict.fromkeys(("valley", "plain", "drained", "bowl"), share_span),
)
choices_table = text.tabulated(
    choices.groupby("cell", sort=False).agg(list),
    {f"{one:g}": f"{one:g} decades" for one in surfaces.BARRIERS}
    | {"coarse": f"every second point, {surfaces.BARRIER:g} decades"},
    "basins behind a barrier of",
    dict.fromkeys(choices, span),
)

# %% tags=["remove-input"] language="markdown"
# :::{admonition} The answer
# :class: answer
# *The paper says*: for slow convection a large flat region of high loss surrounds a deep, narrow valley; for fast convection the
# landscape is highly irregular and much more rugged (paper section 2.5.1, paper Fig. 5(a,b)).
#
# *We find*: at {{ easy.symbol.iloc[0] }} the rim of the square lies {{ easy.depth | span }} decades above the network, and the valley
# takes {{ easy.valley | share_span }} of it.
# {% if supported((narrow.steps > 1).all() and (wide.basins == 1).all()) %}
# Whether {{ hard.symbol.iloc[0] }} is more rugged this grid cannot tell: its step is {{ narrow.steps | span }} times as long as the
# valley is wide. Up to the radius where the loss has risen {{ recipe.rise | whole }}-fold every surface has one basin.
# {% endif %}
#
# *Outcome*:
# {% if profile != "smoke" %}
# of {{ verdicts | length }} claims, {{ report.outcomes(verdicts) }}. The evidence:
# {% endif %}
# {{ reaches | length }} networks in {{ reaches.groupby("cell") | length }} cells,
# {{ reaches.groupby("cell").size().unique() | sort | listed("or") }} seeds a cell, trained as in {doc}`../regimes/pinn_convection`
# and {doc}`../regimes/pinn_physics`.
# :::

# %% [markdown]
# The loss is a landscape over thousands of dimensions. One can cut it with a plane through the trained network and look at the cut
# {cite:p}`li2018visualizing`. The paper spans the plane by the two leading eigenvectors of the Hessian, where the loss rises
# fastest. {numref}`fig-surfaces-convection` shows such cuts, and below it the same surfaces can be turned with the mouse.

# %% mystnb={"figure": {"caption": "Training loss around networks trained on convection, along the two leading eigenvectors, to the radius of paper Fig. 5(a,b). First seed. Colours and view as there: blue is low, red is high, each surface by its own scale.", "name": "fig-surfaces-convection"}, "image": {"alt": "Two surfaces side by side over two directions, for slow and for fast convection: the height is the logarithm of the training loss; the trained network stands in the middle of each.", "width": "100%"}} tags=["cover"]
figure = figures.surfaces(
    surfaces.reliefs(stored, CONVECTION, "eigen"),
    title="Convection, along eigenvectors",
    directions=surfaces.DIRECTIONS["eigen"],
)
figure

# %% tags=["remove-input"]
report.study_source(stored, figure)

# %% mystnb={"figure": {"caption": "The surfaces of the figure above, to be turned. The pointer shows the heights, as decimal logarithms.", "name": "fig-surfaces-turnable"}} tags=["remove-input"]
HTML(
    figures.to_html(
        figures.surface_interactive(
            surfaces.reliefs(stored, CONVECTION, "eigen"),
            title="Convection",
            directions=surfaces.DIRECTIONS["eigen"],
        ),
        alt="Two surfaces that can be turned, for slow and for fast convection: the height is the logarithm of the training loss "
        "over the two leading eigenvectors.",
    )
)

# %% tags=["remove-input"] language="markdown"
# ## Slow convection: a deep, narrow valley in a plain
#
# At {{ easy.symbol.iloc[0] }} the rim of the square lies {{ easy.depth | span }} decades above the network, and
# {{ easy.plain | share_span }} of the square lies within a decade of the rim. Within a decade of the lowest point there
# {{ "is only that point itself" if easy.valley_points.max() == 1 else "are " ~ (easy.valley_points | span) ~ " points" }}. The trained
# network is the lowest point of {{ (shapes.below_centre == 0).sum() }} of {{ shapes | length }} surfaces, whatever the directions.
#
# A funnel in a plain is what any sharp minimum looks like on a logarithmic scale. The logarithm of a bowl $\ell_0 + \lambda r^2$
# falls steeply where $r$ is small, and hardly rises where it is large. A bowl explains {{ easy.bowl | share_span }} of the variance
# of the heights at {{ easy.symbol.iloc[0] }}, and {{ hard.bowl | share_span }} at {{ hard.symbol.iloc[0] }}.
#
# :::{dropdown} Evidence: where each surface is taken
# {{ networks_table }}
#
# Ranges are those over the seeds. Each surface has {{ recipe.resolution }} by {{ recipe.resolution }} points. Those along
# eigenvectors and along random directions reach to {{ recipe.radius }} along each direction. The *adapted radius* is where the loss
# has risen {{ recipe.rise | whole }}-fold along the first eigenvector. *Points within a decade* are those of the grid at the paper's
# radius that lie within a decade of the lowest.
# :::
#
# ## The paper's grid steps over the valley, and its basins are counts of grid points
#
# In convection the loss rises {{ recipe.rise | whole }}-fold within {{ narrow.reach | span }} of the network. A step of the grid at the
# paper's radius is {{ narrow.steps | span }} times as long. {numref}`fig-surfaces-adapted` takes for each network the
# radius that its own valley has.

# %% mystnb={"figure": {"caption": "The same convection networks along their eigenvectors, each to its own radius.", "name": "fig-surfaces-adapted"}, "image": {"alt": "Two surfaces side by side over two eigenvectors in units of the radius, for slow and for fast convection; the trained network stands in the middle.", "width": "100%"}}
figure = figures.surfaces(
    surfaces.reliefs(stored, CONVECTION, "wide"),
    title="Convection, adapted radius",
    directions=surfaces.DIRECTIONS["wide"],
)
figure

# %% tags=["remove-input"]
report.study_source(stored, figure)

# %% tags=["remove-input"] language="markdown"
# Up to the adapted radius the number of basins in convection is {{ wide[wide.sweep == CONVECTION].basins | span }}, and a bowl
# explains {{ wide[wide.sweep == CONVECTION].bowl | share_span }} of their relief.
# At the paper's radius the number of basins at {{ hard.symbol.iloc[0] }} depends on what is called one: it is between
# {{ on_hard.min(axis=None) }} and {{ on_hard.max(axis=None) }}, by barrier, grid and seed. A grid that resolves every valley of
# convection would need {{ needed[narrow.index.unique("cell")].max() | whole }} points a side.
# {% if supported((narrow.steps > 1).all() and (wide.basins == 1).all() and near_easy.bowl.min() > 0.9 and near_hard.bowl.min() > 0.9) %}
#
# So the basins say that the loss is uneven at a distance from the network, between points that lie far apart. They do not say how
# many minima there are, and near the network there is one.
# {% endif %}
#
# :::{dropdown} Evidence: shapes of all surfaces
# {{ shapes_table }}
#
# *Depth*: from the median of the rim down to the network, in decades. *Valley*: share of the square's points within a decade of the
# lowest. *Plain*: share within a decade of the rim's median. *Basins*: minima inside the square that a pass of at least 0.1
# decades (26 per cent) divides from every lower one; what is shallower is a ripple. *Drains to the lowest*: share of the points
# from which the way downhill ends in the lowest basin. *Bowl*: how much of the variance of the heights the best paraboloid explains
# that has the network at its bottom. All heights are logarithms; ranges are those over the seeds.
# :::
#
# :::{dropdown} Evidence: basins by barrier and grid
# {{ choices_table }}
#
# At the paper's radius, along eigenvectors. A narrow valley across the grid can look like a string of pits.
# :::

# %% [markdown]
# ## Random directions show a smoother surface

# %% mystnb={"figure": {"caption": "The same convection networks and the same radius, along two random directions.", "name": "fig-surfaces-random"}, "image": {"alt": "Two surfaces side by side over two random directions, for slow and for fast convection; the trained network stands in the middle.", "width": "100%"}}
figure = figures.surfaces(
    surfaces.reliefs(stored, CONVECTION, "random"),
    title="Convection, along random directions",
    directions=surfaces.DIRECTIONS["random"],
)
figure

# %% tags=["remove-input"]
report.study_source(stored, figure)

# %% tags=["remove-input"] language="markdown"
# Two directions of thousands show a little of a landscape. Along random ones, at the same radius, the number of basins
# is {{ random.basins | span }}.
# {% if lost.max() > 0 %}
# Their rim lies less high above the network than along eigenvectors, by up to {{ lost.max() | number }} decades;
# {{ depths.random[lost.idxmax()] | number }} are left there ({{ lost.idxmax() }}).
# {% endif %}

# %% [markdown]
# ## Reaction-diffusion: which minimum is the sharper one?
#
# The paper says that the minimum at $\rho = 5$ is the sharper one, and that $\rho = 15$ lies on a broad plateau of high loss: a case
# of deceptive flatness (paper appendix F.2, paper Fig. 13; {doc}`flatness`).

# %% mystnb={"figure": {"caption": "The same for reaction-diffusion, as in paper Fig. 13. First seed.", "name": "fig-surfaces-reaction"}, "image": {"alt": "Two surfaces side by side over two directions, for a small and a large reaction coefficient: the height is the logarithm of the training loss; the trained network stands in the middle.", "width": "100%"}}
figure = figures.surfaces(
    surfaces.reliefs(stored, REACTION_DIFFUSION, "eigen"),
    title="Reaction-diffusion, along eigenvectors",
    directions=surfaces.DIRECTIONS["eigen"],
)
figure

# %% tags=["remove-input"]
report.study_source(stored, figure)

# %% tags=["remove-input"] language="markdown"
# {% if stiff | length %}
# The training loss is {{ mild.loss | span }} at {{ mild.symbol.iloc[0] }} and {{ stiff.loss | span }} at {{ stiff.symbol.iloc[0] }}.
# The leading eigenvalue is {{ mild.lambda_1 | span }} and {{ stiff.lambda_1 | span }}; divided by $\rho^2$, a factor of the
# squared equation, it is {{ (mild.lambda_1 / mild.coefficient**2) | span }} and
# {{ (stiff.lambda_1 / stiff.coefficient**2) | span }}.
# {% if supported(mild.lambda_1.min() < stiff.lambda_1.max() and mild.loss.max() < stiff.loss.min()) %}
# So the loss is high at {{ stiff.symbol.iloc[0] }} in every run, and which minimum is the sharper depends on the seed. There are
# {{ stiff | length }} seeds.
# {% endif %}
# {% endif %}

# %% [markdown]
# ## What the paper claims
#
# At the paper's radius, along the eigenvectors. Two cells differ clearly if every pair of one network of each says the same.
# Basins decide nothing on a grid that steps over the valley.

# %% tags=["remove-input"]
text.say(report.claims_table(verdicts))

# %% [markdown]
# The caption of paper Fig. 5 speaks of sharp local minima in (a) and (b). The text about (a) names one valley, so the number of
# minima is no claim about (a). The classifier
# (ResNet-18, paper Fig. 5(e)) and the neural operators (paper Fig. 5(c,d)) are not part of this edition.
#
# ## Where paper and code differ
#
# - *Scaling.* Each direction is scaled so that its part in every weight matrix, and in every vector of biases, is as long as that
#   part of the network. This is what the released code does; the text says neuron by neuron, which moves other neurons by other
#   amounts. The leading eigenvectors, so scaled, are neither eigenvectors nor orthogonal any more.
# - *Radius.* The text gives none; the axes of paper Fig. 5 run to 0.05, and so do ours.
# - *Heights.* Ours are decimal logarithms, which fit the heights of paper Fig. 5. The script has natural ones.
#
# ## Try it
#
# `surfaces.reliefs(stored, REACTION_DIFFUSION, "wide")` has the surfaces of reaction-diffusion up to their adapted radius, and
# `"random"` those along random directions; `figures.surfaces` draws them.

# %% tags=["remove-input"]
text.say(report.study_command("rugged_surfaces", [stored]))

# %% tags=["remove-input"] language="markdown"
# ## Exercises
#
# **1.** How many points would a square of the paper's size need, so that one step is no longer than the smallest adapted radius
# of convection?
#
# :::{dropdown} Answer
# The square is {{ 2 * recipe.radius }} wide and the smallest radius {{ narrow.reach.min() | number }}. So each side has about
# {{ (2 * recipe.radius / narrow.reach.min()) | number }} steps, and the square about
# {{ ((2 * recipe.radius / narrow.reach.min()) ** 2) | number }} points. The grid of {{ recipe.resolution }} by
# {{ recipe.resolution }} has {{ (recipe.resolution ** 2) | whole }}.
# :::
#
# **2.** The heights are $\log_{10}(\ell_0 + \lambda r^2)$ with $\ell_0 = 10^{-6}$ and $\lambda = 10^4$. How far from the centre has the
# loss risen a hundredfold, and how much of a disc of radius 0.05 lies within a decade of its rim?
#
# :::{dropdown} Answer
# $\lambda r^2 = 99\,\ell_0$ gives $r \approx 10^{-4}$. At the rim the loss is 25; it is a tenth of that at $r = 0.05/\sqrt{10}$. So nine
# tenths of the disc lie within a decade of the rim: a funnel in a plain, although nothing but a bowl is there.
# :::
