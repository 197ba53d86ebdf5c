# %% [markdown]
# # Three regimes in five minutes
#
# Why can a network bring its training loss down to almost nothing and still be wrong?
#
# Take the simplest moving thing there is: a sine wave on a ring, carried around at constant speed $\beta$,
#
# $$
# \frac{\partial u}{\partial t} + \beta\, \frac{\partial u}{\partial x} = 0, \qquad u(x, 0) = \sin x .
# $$
#
# We know the answer, $u = \sin(x - \beta t)$. A *physics-informed network* {cite:p}`raissi2019` does not. It is a
# function $u_\theta(x, t)$ with a few thousand adjustable numbers $\theta$, and it is told three things: what the wave looks like
# at the beginning, that the ring is closed, and that at $N_f$ chosen places in space and time, the *collocation points*, the
# equation should hold. Training makes the sum of the squared violations as small as it can. This sum is the **training
# loss**. How far the trained network is from the true wave *everywhere* is the **test error**.
#
# These two numbers can disagree, and that is what regimes are about.

# %% tags=["parameters"]
profile: str = "laptop"  # smoke | laptop | paper
device: str = "auto"  # auto | cpu | cuda
seeds: int = 3  # use at most the first n seeds of the profile
runs: str = ""  # folder of stored runs; empty means the repository's own

# %% tags=["hide-input"]
from sciml_lib import report
from sciml_lib.analysis import convection
from sciml_lib.panels import Panel
from sciml_lib.regimes import Regime

# %load_ext sciml_lib.text

panel = Panel.of(
    "pinn/convection/lbfgs", profile, device, runs, seeds, grown=True
)
found = {
    regime.numeral: panel.typical(regime)
    for regime in (Regime.I, Regime.II, Regime.III)
}

# %% [markdown]
# ## Three networks, one recipe
#
# The networks below are alike in size and were trained by the same recipe. They differ in the speed of the wave and in the
# number of places where they were told the equation (the dots).

# %% mystnb={"figure": {"caption": "Networks from the regimes of the map, each with the true solution above what it learned, over position and time. Dots: its collocation points. The notes give its own training loss and test error.", "name": "fig-three"}, "image": {"alt": "Columns of coloured wave patterns over position and time, one column for each regime: the true wave above, what the network learned below, with its collocation points as dots.", "width": "100%"}} tags=["hide-input"]
figure = panel.examples("The same recipe, different ends")
figure

# %% tags=["remove-input"]
report.source(panel, figure)

# %% tags=["remove-input"]
cells = {
    name: panel.cell_words(cell) if cell else "" for name, cell in found.items()
}
flat = convection.forgets(panel, found["III"])

# %% tags=["remove-input"] language="markdown"
# {% if cells["I"] %}
# **I, well trained** ({{ cells["I"] }}). It was told enough and has learned what it was told: the two pictures agree.
# {% endif %}
# {% if cells["II"] %}
#
# **II, under-trained** ({{ cells["II"] }}). It violates even what it was told. Training did not find weights that obey.
# {% endif %}
# {% if cells["III"] %}
#
# **III, over-trained** ({{ cells["III"] }}). It obeys what it was told and is wrong all the same. To train it better would not
# help.
# {% if supported(flat is not none and flat < 0.5) %}
# What it does is simple. From $t = {{ "%.2f" | format(flat) }}$ on it is a constant, and a constant solves the equation exactly.
# The wave is kept for a moment and then forgotten, in a strip so narrow that hardly any of the points lies in it.
# {% endif %}
# {% endif %}
#
# *Low* means at most {{ panel.thresholds.train | number }} for the training loss and {{ panel.thresholds.test | number }} for
# the test error ({{ panel.thresholds.origin }}).

# %% [markdown]
# ## From three networks to a map
#
# Now train such a network for every combination of a dozen speeds and a dozen amounts of data, several times each with
# different random starts; colour each combination by its mean training loss in one panel and its mean test error in
# another; and draw a border where either passes a threshold. This is a **regime map**. It was proposed for image
# classifiers {cite:p}`yang2021taxonomizing` and carried over to scientific machine learning by {cite:t}`wang2026regimes`, who
# find the same three regions for five kinds of models.
#
# Why draw it? Because, as the paper argues, the remedy depends on the region. Where data are short, a better optimiser has
# little to improve; where training itself fails, more data do not help. Someone who knows in which region a failing run lies
# can stop trying what cannot work.
#
# How such a map is drawn, and how much of it to believe, is the subject of {doc}`reading_a_map`; our first one is
# {doc}`../regimes/pinn_convection`.
