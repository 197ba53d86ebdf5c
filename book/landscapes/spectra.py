# %% [markdown]
# # Spectra
#
# How does training change the eigenvalues of the Hessian of a PINN's loss, and are there none near zero, as the paper says?

# %% tags=["parameters"]
profile: str = "laptop"  # smoke | laptop | paper
device: str = "auto"  # auto | cpu | cuda
seeds: int = 3  # use at most the first n seeds of the profile
runs: str = ""  # folder of stored runs; empty means the repository's own

# %% tags=["hide-input"]
from sciml_lib import figures, ledger, report, text
from sciml_lib.analysis import spectra
from sciml_lib.prose import share_span, span
from sciml_lib.studies.cells import CONVECTION, REACTION_DIFFUSION

# %load_ext sciml_lib.text

source = ledger.Source(profile, device, runs, seeds)
stored, ended = ledger.spectra.gather(source)
readings = spectra.readings(stored)  # two rows a run: before and after
before, after = (
    readings[readings.training == when].set_index(["cell", "seed"])
    for when in ("before", "after")
)
convection = after[after.sweep == CONVECTION]
most = convection.n_data.max()
peaked = after.peak_common >= spectra.PEAK
verdicts = ledger.judged(ledger.spectra, stored, ended)

by_cell = spectra.by_cell(readings)
cells_table = text.tabulated(
    by_cell,
    {
        "training": "training",
        "least": "least",
        "greatest": "greatest",
        "released_width": "released width",
        "peak_released": "peak, released width",
        "peak_common": f"peak, width {spectra.COMMON_WIDTH:g}",
        "within_band": f"within ±{spectra.BAND:g}",
    },
    "cell",
    dict.fromkeys(
        ("least", "greatest", "released_width", "peak_released", "peak_common"),
        span,
    )
    | {"within_band": share_span},
)
loose = (
    after.negative_most - after.negative_least > 2 * ledger.spectra.TOLERANCE
)
gaps = readings.counted_negative - readings.negative
widest = readings.loc[gaps.abs().idxmax()]
signs_table = text.tabulated(
    by_cell,
    {
        "training": "training",
        "negative": "negative, by weight",
        "negative_error": "largest standard error",
        "bounds": "bounds",
        "counted_negative": "Ritz values, unweighted",
        "below_rounding": "below rounding",
    },
    "cell",
    dict.fromkeys(
        ("negative", "bounds", "counted_negative", "below_rounding"),
        share_span,
    )
    | {"negative_error": lambda errors: f"{100 * max(errors):.2g} points"},
)

# %% tags=["remove-input"] language="markdown"
# :::{admonition} The answer
# :class: answer
# *The paper says*: the spectra of PINNs have outliers beyond $10^3$ or even $10^4$ and no peak at zero, and both become more
# pronounced with training (paper section 2.5.1, paper Fig. 6(a,b)). In reaction-diffusion with $\rho = 20$ the share of negative
# eigenvalues falls to 37 per cent (paper appendix F.2).
#
# *We find*: with training the share of the eigenvalues between −1 and 1 grows in
# {{ (after.within_band > before.within_band).sum() }} of {{ after | length }} networks. The largest eigenvalue lies beyond
# $10^3$ in {{ (convection.greatest > 1e3).sum() }} of the {{ convection | length }} convection networks.
# {% if supported(loose.all()) %}
# How many eigenvalues are negative cannot be told in float32.
# {% endif %}
#
# *Outcome*: of {{ verdicts | length }} claims {{ report.outcomes(verdicts) }}.
#
# *Evidence*: {{ after | length }} networks in {{ after.groupby("cell") | length }} cells, {{ after.groupby("cell").size().unique() | sort | listed("or") }} seeds a
# cell, trained as in {doc}`../regimes/pinn_convection` and {doc}`../regimes/pinn_physics`
# {%- if most < 20000 %}
# ; the largest number of collocation points is {{ most | whole }}, not 20,000
# {%- endif %}
# .
# :::

# %% [markdown]
# The Hessian says how the loss curves. Its eigenvalues say in how many directions it curves how much: many small ones mean flat
# ground, a large one a steep wall, a negative one a way down. {numref}`fig-spectra` shows their density before and after training.

# %% mystnb={"figure": {"caption": "Spectral densities before and after training, as in paper Fig. 6(a,b): above smoothed as in the released code, below with one width for all. First seed. The scale of the eigenvalues is linear between -1 and 1 and logarithmic beyond. Where Ritz values lie farther apart than the width, the curve falls apart into single Gaussians: there the quadrature has no more to say.", "name": "fig-spectra"}, "image": {"alt": "Panels in two rows with the density of eigenvalues before training (solid, blue) and after it (dashed, orange), for two cells of convection; above with broad Gaussians, below with narrow ones.", "width": "100%"}} tags=["cover"]
figure = figures.spectra(
    spectra.densities(stored, CONVECTION, [(5, 100), (50, 500)]),
    title="Convection",
    row_labels=spectra.WIDTHS,
)
figure

# %% tags=["remove-input"]
report.study_source(stored, figure)

# %% [markdown]
# :::{dropdown} How a spectrum is estimated
# Nobody computes all eigenvalues of such a matrix. *Stochastic Lanczos quadrature* {cite:p}`ghorbani2019` starts from ten random
# vectors and multiplies each a hundred times with the Hessian. Each start gives a hundred *Ritz values* with *weights*. The weights
# add up to one, and the weight near a number is the share of the eigenvalues near it. What a figure shows are Ritz values smoothed
# by Gaussians.
# :::
#
# ## Whether there is a peak at zero depends on the smoothing
#
# In the released code the variance of the Gaussians is $5 \times 10^{-5}$ times the range of the spectrum. So their width grows with
# the largest eigenvalue: a spectrum that reaches to 10 is drawn with a width of 0.02, one that reaches to $10^5$ with a hundred
# times that. The paper's classifier is of the first kind, its PINNs are of the second. The lower row of {numref}`fig-spectra` has
# the width 0.02 for all.

# %% tags=["remove-input"] language="markdown"
# We call it a peak if the density at zero is at least {{ spectra.PEAK | whole }} times its mean between 1 and 10 on either side.
# With the width {{ spectra.COMMON_WIDTH }}, {{ peaked.sum() }} of {{ after | length }} trained spectra have one. With the released
# widths {{ (after.peak_released >= spectra.PEAK).sum() }} have one; in {{ after.hides.sum() }} the width would hide any peak,
# whatever the spectrum.
# Without any smoothing, the share of the eigenvalues between −1 and 1 grows with training in
# {{ (after.within_band > before.within_band).sum() }} of {{ after | length }} networks.
# {% if supported((after.band_least > before.band_most).all()) %}
# That is beyond the bounds of both estimates: before at most {{ before.band_most.max() | percent }}, after at least
# {{ after.band_least.min() | percent }}.
# {% endif %}
# {% if supported(peaked.all()) %}
#
# So with the small width every spectrum has what we call a peak. Whether that is a peak in the sense of the paper is open: the
# factor of {{ spectra.PEAK | whole }} is ours, and no network that is known to have a peak, such as the classifier of paper
# Fig. 6(e), was measured by it.
# {% endif %}
#
# :::{dropdown} Evidence: range, smoothing and peaks, cell by cell
# {{ cells_table }}
#
# Ranges are those over the seeds. *Least* and *greatest* are Ritz values, *peak* is the density at zero over its mean between 1 and
# 10 (before training the Ritz values about zero are too few for it). The last column does not depend on any smoothing: it is a share
# by weight. The widest released Gaussian has a standard deviation of {{ after.released_width.max() | number }}: drawn with it, even
# a spectrum of zeros alone has a peak of no more than {{ spectra.highest_peak(after.released_width.max()) | number }}.
# :::

# %% [markdown]
# ## In float32 nearly all directions are flat, which does not make them zero
#
# Loss landscape ageing (the paper: aging) means that training slows down as ever more directions become flat. The paper argues
# against it with paper Fig. 16: PINNs keep a large number of eigenvalues that are not zero (paper appendix F.5).

# %% mystnb={"figure": {"caption": "The same for few and for many collocation points, in the order of paper Fig. 16(a-d).", "name": "fig-spectra-points"}, "image": {"alt": "Panels in two rows with the density of eigenvalues before and after training, for slow and fast convection with few and with many points; above with broad Gaussians, below with narrow ones.", "width": "100%"}}
figure = figures.spectra(
    spectra.densities(
        stored, CONVECTION, [(5, 100), (50, 100), (5, most), (50, most)]
    ),
    title="Convection, few and many points",
    row_labels=spectra.WIDTHS,
)
figure

# %% tags=["remove-input"]
report.study_source(stored, figure)

# %% tags=["remove-input"] language="markdown"
# After training {{ after.below_rounding | share_span }} of the eigenvalues are smaller than a millionth of the largest. In float32
# such a number cannot be told from zero: products with the Hessian are rounded to about a tenth of it. The outliers do not depend
# on any smoothing either. The largest eigenvalue is larger after training than before in
# {{ (after.greatest > before.greatest)[after.sweep == CONVECTION].sum() }} of {{ convection | length }} convection networks.
# {% if supported((1 - after.below_rounding).max() < 0.05) %}
#
# So at most {{ (1 - after.below_rounding).max() | percent }} of the directions are curved beyond rounding. Of the others float32
# cannot say how many are zero, and so not whether many are not. What it does say: the largest eigenvalues do not vanish.
# {% endif %}

# %% [markdown]
# ## How many eigenvalues are negative cannot be told in float32
#
# For reaction-diffusion the paper counts negative eigenvalues: a falling share means fewer ways down. A share of eigenvalues is a
# sum of weights. It is well known only if few eigenvalues crowd about zero, and here nearly all do.

# %% mystnb={"figure": {"caption": "The same for reaction-diffusion, as in paper Fig. 13.", "name": "fig-spectra-reaction"}, "image": {"alt": "Panels in two rows with the density of eigenvalues before and after training, for several reaction coefficients; above with broad Gaussians, below with narrow ones.", "width": "100%"}}
figure = figures.spectra(
    spectra.densities(stored, REACTION_DIFFUSION),
    title="Reaction-diffusion",
    row_labels=spectra.WIDTHS,
)
figure

# %% tags=["remove-input"]
report.study_source(stored, figure)

# %% tags=["remove-input"] language="markdown"
# Two errors count. Where eigenvalues crowd, one Ritz value stands for many of them, on both sides of zero; classical inequalities
# bound what that can come to. And an eigenvalue smaller than the rounding of the products has no sign at all. In
# {{ loose.sum() }} of {{ after | length }} networks the two together leave the share open by more than
# ±{{ (100 * ledger.spectra.TOLERANCE) | whole }} points.
# {% if supported(loose.all()) %}
# The share could lie anywhere from {{ (after.negative_least.min(), after.negative_most.max()) | share_span }}. The question is open
# and not unanswerable: a dense Hessian in float64 gives every eigenvalue, with far smaller rounding.
# {% endif %}
#
# :::{dropdown} Evidence: the share of negative eigenvalues by three rules
# {{ signs_table }}
#
# *By weight* is the share of the eigenvalues, with its standard error over the start vectors; *bounds* has the two errors of the
# text. Counted without weights, the share of negative Ritz values differs from the share by weight by up to
# {{ (100 * gaps.abs().max()) | whole }} points ({{ widest.cell }}, seed {{ widest.seed }}, {{ widest.training }} training). It is the
# smaller of the two in {{ (gaps < 0).sum() }} of {{ gaps | length }} spectra.
# :::

# %% [markdown]
# ## What the paper claims
#
# Each claim is judged on the cells of its figure. A cell says what three quarters of its seeds say. One cell alone refutes nothing
# that is said of several, and what the bounds of an estimate leave open is open.

# %% tags=["remove-input"]
text.say(report.claims_table(verdicts))

# %% [markdown]
# The classifier itself (ResNet-18, paper Fig. 6(e) and 16(e)) and the neural operators (paper Fig. 6(c,d)) are not part of this
# edition. So nothing here compares a PINN with them.
#
# ## Where paper and code differ
#
# - No released code counts the negative eigenvalues of a PINN. That of the neural operators counts Ritz values below zero, without
#   their weights. But Lanczos spreads its Ritz values over the range of a spectrum, and not where most eigenvalues are.
# - The caption of paper Fig. 13 names $\rho = 5$ and 15, the text about it $\rho = 20$. All three are in
#   {numref}`fig-spectra-reaction`.

# %% tags=["remove-input"] language="markdown"
# {% if most < 20000 %}
# - Paper Fig. 16(c,d) has 20,000 collocation points. Such runs are not part of the profile *{{ profile }}*; the most that it has are
#   {{ most | whole }}, which stand in for them in {numref}`fig-spectra-points`.
# {% else %}
# - Paper Fig. 16(c,d) has 20,000 collocation points; ours have {{ most | whole }}.
# {% endif %}

# %% [markdown]
# ## Try it

# %% tags=["remove-input"]
text.say(report.study_command("spectra", [stored]))

# %% [markdown]
# ## Exercises
#
# **1.** A spectrum has nothing but zeros and one outlier. From what outlier on does the released width hide the peak at zero, by the
# criterion of a factor of 10?
#
# :::{dropdown} Answer
# Smoothed by a Gaussian of width $w$, the zeros have the density $1/(w\sqrt{2\pi})$ at zero and the mean
# $(\Phi(10/w) - \Phi(1/w))/9$ between 1 and 10. The ratio falls below 10 at $w \approx 1.46$. The released variance is
# $5 \times 10^{-5}$ times the range, so this is a range of about $4.2 \times 10^4$: an outlier that some networks of this chapter have.
# `spectra.highest_peak(1.46)` gives the ratio.
# :::
#
# **2.** Of a large matrix's eigenvalues nine in ten are exactly zero; the others spread evenly from −1 to 1. What share of the eigenvalues
# is negative, and what share of the Ritz values will be?
#
# :::{dropdown} Answer
# One in twenty eigenvalues is negative. In exact arithmetic a start finds a multiple eigenvalue once at most, however often it
# occurs. So of a hundred Ritz values one lies at zero, and about half of the others are negative. The weight of that one Ritz value
# is what tells the two apart.
# :::
