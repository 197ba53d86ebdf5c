# %% [markdown]
# # What we learned that the paper does not say
#
# Which properties of a regime map come from how it is made, and not from the physics that it shows?

# %% tags=["parameters"]
runs: str = ""  # folder of stored runs; empty means the repository's own

# %% tags=["hide-input"]
import pandas as pd
from sciml_lib import figures, report, studies, text
from sciml_lib.analysis import (
    convection,
    effects,
    families,
    maps,
    pendulum,
    physics,
    spectra,
)
from sciml_lib.panels import Panel
from sciml_lib.regimes import Regime
from sciml_lib.sweeps.catalog import AXES, WARM_UP_STEPS
from sciml_lib.sweeps.spec import Cell

# %load_ext sciml_lib.text


def stored(names):
    """The maps of which something is stored; nothing is trained here."""
    found = {
        name: Panel.stored(sweep, runs or None) for name, sweep in names.items()
    }
    return {name: panel for name, panel in found.items() if panel is not None}


strategies = {
    "Adam": "adam",
    "L-BFGS": "lbfgs",
    "ALM": "alm",
    "NNCG": "nncg",
    "CL": "cl",
}
pinode = stored({k: f"pinode/pendulum/{v}" for k, v in strategies.items()})
pinn, alm = (
    stored({name: f"pinn/{name}/{strategy}" for name in AXES})
    for strategy in ("lbfgs", "alm")
)
others = stored(
    {
        name: f"pinn/convection/{name}"
        for name in (
            "lbfgs-literal",
            *(f"warmup-{steps}" for steps in WARM_UP_STEPS),
        )
    }
)
panel, literal = pinn.get("convection"), others.get("lbfgs-literal")
spectrum = studies.stored(studies.get("spectra"), runs=runs or None)
NOT_RUN = "*Not run yet.*"

# %% tags=["remove-input"] language="markdown"
# :::{admonition} The answer
# :class: answer
# Seven things have moved cells from one regime to another here, or made a finding appear, without any change of the equation: the
# time step of an integrator, the thresholds, a warm-up, constant solutions, the width of a smoothing, single precision, and a seed.
#
# Each has a section below, with numbers from the runs that are stored in this copy, and a link to the evidence.
# :::

# %% [markdown]
# ## Euler's step puts a floor under the loss of a PINODE

# %% tags=["remove-input"]
floors = pendulum.floors(pinode) if pinode else None
errors = families.error_floor(pinode["Adam"]) if "Adam" in pinode else None

# %% tags=["remove-input"] language="markdown"
# {% if floors is not none and "ALM" in floors.index and "L-BFGS" in floors.index %}
# A PINODE is asked for the true field, and for a field whose Euler steps meet the observed states. No field is both; what is left
# at best is half the mean squared error of a step. This floor is {{ floors.share["L-BFGS"] | percent }} of the training loss in the
# median cell with L-BFGS and {{ floors.share["ALM"] | percent }} with ALM.
# {% if supported(floors.above["ALM"] == floors.cells["ALM"]) %}
# The training threshold that the paper gives ALM lies below the floor in every cell, so that no network could be in Regime I or III.
# {% endif %}
# {% if errors is not none %}
# A NODE without physics has no such floor in its loss, but its test has one: even the true field, followed by Euler's method, has
# an error of {{ errors.true.min() | number }} to {{ errors.true.max() | number }}.
# {% endif %}
# More: {doc}`../regimes/pinode_strategies`, {doc}`../regimes/model_families`.
# {% else %}
# {{ NOT_RUN }}
# {% endif %}

# %% [markdown]
# ## Thresholds make the map

# %% tags=["remove-input"]
rows = None
if "Adam" in pinode:
    rows = pendulum.counts(pinode, {"Adam": pinode["Adam"]})
    rows = rows.pivot(index="map", columns="judge", values="II")
limits = [one.thresholds.train for one in pinode.values()]
common = {name: one for name, one in alm.items() if name in pinn}
judged = maps.other_thresholds(common, pinn) if common else None
judged_cells = sum(map(sum, judged.own)) if common else 0

# %% tags=["remove-input"] language="markdown"
# {% if rows is not none and limits | length > 1 %}
# Paper Table 5 gives every strategy thresholds of its own. For PINODE the training thresholds differ by a factor of
# {{ (limits | max / (limits | min)) | whole }}. By their own, {{ (rows.own > 0).sum() }} of {{ rows | length }} maps have a Regime II; by those
# of Adam {{ (rows.Adam > 0).sum() }}.
# {% if supported((rows.own > 0).sum() > (rows.Adam > 0).sum()) %}
# What looks like a difference between strategies is mostly one between thresholds.
# {% endif %}
# {% if judged is not none %}
# Of {{ judged_cells }} cells of PINNs with ALM, {{ judged.changed.sum() }} change their regime if they are judged as those
# with L-BFGS are.
# {% endif %}
# More: {doc}`../regimes/pinode_strategies`, {doc}`../regimes/pinn_physics`.
# {% else %}
# {{ NOT_RUN }}
# {% endif %}

# %% [markdown]
# ## A warm-up decides how large Regime II is

# %% tags=["remove-input"]
warm = maps_high = None
if panel is not None and literal is not None:
    warm = effects.compare(panel, literal)
    maps_high = maps.high_runs({"literal": literal}).loc["literal"]
    with_, without = warm.regimes

# %% tags=["remove-input"] language="markdown"
# {% if warm is not none %}
# The paper's table trains the convection map from a random start. On the {{ warm.cells }} cells that were run both ways, Regime II has
# {{ without[1] }} cells so and {{ with_[1] }} after 2,000 steps of Adam.
# {% if warm.legible and warm.kappa[0] == warm.kappa[0] %}
# Agreement with the published map, as Cohen's kappa, is {{ "%.2f" | format(warm.kappa[0]) }} with the warm-up and
# {{ "%.2f" | format(warm.kappa[1]) }} without.
# {% endif %}
# {% if maps_high.high %}
# Of the {{ maps_high.high }} runs without one that end above the training threshold, {{ maps_high.by_budget }} had used up their
# 2,000 iterations.
# {% endif %}
# {% if supported(without[1] > with_[1] and maps_high.by_budget > maps_high.high / 2) %}
# So a part of Regime II is a budget that has ended, and neither paper nor code names a warm-up for this map.
# {% endif %}
# More: {doc}`../regimes/pinn_convection`.
# {% else %}
# {{ NOT_RUN }}
# {% endif %}

# %% [markdown]
# ## Constants solve the equations

# %% tags=["remove-input"]
zero = physics.at_zero(pinn) if pinn else None
flat = []
if panel is not None:
    single = convection.regime_of_runs(panel)
    wrong = [
        Cell(float(row.coefficient), int(row.n_data), int(row.seed))
        for row in single[single.regime == Regime.III.numeral].itertuples()
    ]
    wrong = [cell for cell in wrong if panel.parameters(cell) is not None]
    flat = pd.Series(
        [convection.forgets(panel, cell) for cell in wrong], dtype=float
    )

# %% tags=["remove-input"] language="markdown"
# {% if zero is not none %}
# Every constant solves the convection equation, and $u = 0$ solves all four with their boundary conditions. Only the initial values
# speak against it.
# Of the {{ zero.runs.sum() }} runs in cells of Regime II, {{ zero.zero.sum() }} have the training loss and the test error of $u = 0$.
# {% if flat | length %}
# Regime III of convection is the same, with a start that is kept for a moment: {{ flat.notna().sum() }} of its {{ flat | length }} runs end
# as a constant in space, the median one from $t = {{ "%.2f" | format(flat.median()) }}$ on.
# {% if supported(flat.notna().mean() > 0.5 and flat.median() < 0.5) %}
# In both regimes networks end near a constant; what differs is whether the training loss sees how they lost the start.
# {% endif %}
# {% endif %}
# More: {doc}`../regimes/pinn_physics`, {doc}`../start/three_regimes`, {doc}`../landscapes/flatness`.
# {% else %}
# {{ NOT_RUN }}
# {% endif %}

# %% [markdown]
# ## The width of the smoothing decides whether a spectrum has a peak

# %% tags=["remove-input"]
after = None
if spectrum is not None:
    readings = spectra.readings(spectrum)
    after = readings[readings.training == "after"]

# %% tags=["remove-input"] language="markdown"
# {% if after is not none %}
# The released code smooths a spectrum with a width that grows with its range. With these widths
# {{ (after.peak_released >= spectra.PEAK).sum() }} of {{ after | length }} trained spectra have a peak at zero; with one width of
# {{ spectra.COMMON_WIDTH }} for all, which is about that of the paper's classifier, {{ (after.peak_common >= spectra.PEAK).sum() }} have one.
# {% if supported(after.hides.sum() > 0 and (after.peak_common >= spectra.PEAK).mean() > 0.9) %}
# In {{ after.hides.sum() }} of them the released width would hide any peak, so that its absence says nothing there.
# {% endif %}
# More: {doc}`../landscapes/spectra`.
# {% else %}
# {{ NOT_RUN }}
# {% endif %}

# %% [markdown]
# ## Single precision ends runs beside their warm-up

# %% tags=["remove-input"] language="markdown"
# {% if zero is not none and zero.zero.sum() %}
# Of the {{ zero.zero.sum() }} runs that ended at $u = 0$, {{ zero.early.sum() }} made at most {{ maps.EARLY }} iterations of L-BFGS after
# Adam. In {{ zero.stalled.sum() }} the line search found no lower point.
# {% if supported(zero.early.sum() > zero.zero.sum() / 3 and zero.stalled.sum() > zero.zero.sum() / 2) %}
# A search in single precision ends where a decrease is too small to be seen, and that is not a minimum. Whether a run gets away from
# the end of its warm-up can hang on the last digits: {doc}`cross_checks` has a cell where it does.
# {% endif %}
# More: {doc}`../landscapes/flatness`, {doc}`../regimes/pinn_physics`.
# {% else %}
# {{ NOT_RUN }}
# {% endif %}

# %% [markdown]
# ## One seed decides a cell

# %% tags=["remove-input"]
trust = convection.trust(panel) if panel is not None else None
shares = maps.regime_shares(pinn) if pinn else None
again = others.get("warmup-2000")
twice = (
    convection.repeats(panel, again)
    if panel is not None and again is not None
    else ()
)

# %% tags=["remove-input"] language="markdown"
# {% if trust is not none %}
# A run of a PINN does very well or very badly, and rarely anything between. In {{ trust.split }} of {{ trust.cells }} cells of the convection
# map some seeds are well trained and others are not; their mean counts failures.
# Over {{ shares | length | counted("equation") }}, {{ shares.means_II.sum() }} cells are in Regime II by their means, and
# {{ shares.most_II.sum() }} by most of their seeds.
# {% if twice | length and not twice.equal.all() %}
# Not even the number of a seed decides: {{ twice | length }} runs were trained twice, and in {{ twice.changed.sum() }} of these pairs only one
# is well trained.
# {% endif %}
# More: {doc}`../regimes/pinn_convection`.
# {% else %}
# {{ NOT_RUN }}
# {% endif %}

# %% mystnb={"figure": {"caption": "Test error of single runs of three cells near the border, over the steps of Adam before L-BFGS. One dot is one seed, the bar is their mean; the band is the published value with its reading accuracy, the dotted line the test threshold.", "name": "fig-learned-seeds"}, "image": {"alt": "Three small panels, one for each cell, with the test error of five seeds over four lengths of the Adam warm-up; in most columns the dots lie in two groups, far above and far below the threshold.", "width": "100%"}} tags=["hide-input"]
study = {
    steps: others[f"warmup-{steps}"]
    for steps in WARM_UP_STEPS
    if f"warmup-{steps}" in others
}
figure = None
if study:
    frame = report.runs_over(study, "warmup")
    figure = figures.seed_strip(
        frame[frame.n_data >= 1000],
        x="warmup",
        value="test_error",
        x_label="steps of Adam before L-BFGS",
        value_label="test error",
        title="Seeds end well or badly",
        coefficient_name="β",
        data_name="$N_f$",
        published=next(iter(study.values())).published,
        threshold=next(iter(study.values())).thresholds.test,
        columns=3,
    )
figure

# %% tags=["remove-input"]
report.source(study.values(), figure) if study else None
