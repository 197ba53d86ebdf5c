# %% [markdown]
# # Is there a barrier?
#
# Does a wall of high loss, or restless jumping from basin to basin, explain why physics-informed networks are hard to train?

# %% tags=["parameters"]
profile: str = "laptop"  # smoke | laptop | paper
device: str = "auto"  # auto | cpu | cuda
seeds: int = 3  # use at most the first n seeds of the profile
runs: str = ""  # folder of stored runs; empty means the repository's own

# %% tags=["hide-input"]
from sciml_lib import figures, ledger, report, text
from sciml_lib.analysis import barrier, jumps
from sciml_lib.prose import number, part_of, percent
from sciml_lib.studies.curves import PAPER_CELL

# %load_ext sciml_lib.text

source = ledger.Source(profile, device, runs, seeds)
(curves,) = ledger.barrier.gather(source)
(steps,) = ledger.jumps.gather(source)
verdicts = [
    *ledger.judged(ledger.barrier, curves),
    *ledger.judged(ledger.jumps, steps),
]
outcome = {verdict.claim.id: verdict.outcome for verdict in verdicts}

climbs, points = barrier.climbs(curves), barrier.points(curves)
lines = climbs[climbs.kind == "straight"]  # one row a pair
pairs = barrier.joined(climbs)
own, finished = pairs[pairs.pair == "own"], pairs[pairs.pair != "own"]
like_the_papers = own[own.refined]
networks = barrier.networks(climbs)
low_networks = networks[networks.low]
misled = low_networks[~low_networks.right]
low = barrier.low()
wrong = points[points.low & ~points.right]
recipe = curves.attrs["recipe"]
start, further = barrier.common_start(curves.attrs["profile"])

tails = jumps.step_tails(steps)
share = jumps.larger_alpha(tails)
chance = jumps.chance_of_larger(tails)[0]
effect = jumps.rate_effect(tails)
short = tails[(tails.passed >= 0) & tails.alpha.isna()]

# %% tags=["remove-input"] language="markdown"
# :::{admonition} The answer
# :class: answer
# *The paper says*: neither. From a coarse solution of L-BFGS (a training loss of about $10^{-2}$) to a fine one of ALM (about
# $10^{-4}$) the loss stays low along a Bezier curve, while the test error changes (paper section 2.5.2, appendix F.4, paper
# Fig. 15). Late steps show no sign of jumps, for fast waves even less than for slow ones (appendix F.3, paper Fig. 14).
#
# *We find*: {% if own | length -%}
# {{ own.clear.sum() or "none" }} of {{ own | length }} runs of ALM are joined with their own start without a barrier.
# {% if like_the_papers | length %}
# Of these runs {{ like_the_papers | length }} go from coarse and inaccurate to fine and accurate, as the paper's does, and
# {{ like_the_papers.clear.sum() or "none" }} of them are joined.
# {%- else %}
# But none of these runs goes from coarse and inaccurate to fine and accurate, as the paper's does.
# {%- endif %}
# {%- else -%}
# no run of ALM was joined with its own start, which is the pair that the paper's claim is about.
# {%- endif %}
#  Of {{ finished | length }} pairs of finished runs {{ finished.clear.sum() or "none" }} are joined.
# Of {{ low_networks | length }} networks with a low loss {{ misled | length }} are inaccurate.
#
# {% if profile != "smoke" %}
# *Outcome*: of {{ verdicts | length }} claims, {{ report.outcomes(verdicts) }}. Evidence: {{ pairs | length }} pairs of
# networks, and {{ tails | length }} runs for the steps. The paper's cell (β = {{ "{:g}".format(PAPER_CELL[0]) }},
# {{ PAPER_CELL[1] | whole }} points) was
# {%- if PAPER_CELL not in lines[["coefficient", "n_data"]].itertuples(index=False, name=None) | list %}
#  not
# {%- endif %}
#  run.
# {% endif %}
# :::

# %% mystnb={"figure": {"caption": "Training loss (above) and test error (below) along curves from a solution of L-BFGS (left end) to one of ALM (right end), cell by cell, as in paper Fig. 15: trained Bezier curves solid, straight lines dashed. At t = 0: the place where the same run of ALM was before its constraints (own start), or a finished run of L-BFGS with the same seed or with another. Dotted: the thresholds of paper Table 5 for L-BFGS.", "name": "fig-curves"}, "image": {"alt": "A column of two diagrams for each cell: the training loss above and the test error below, over the place on the curve from 0 to 1, with a solid and a dashed line for each pair of solutions.", "width": "100%"}} tags=["cover"]
figure = figures.curve_grid(
    barrier.drawn(curves),
    ends=("L-BFGS", "ALM"),
    title="From L-BFGS to ALM",
    low=(low.train, low.test),
)
figure

# %% tags=["remove-input"]
report.study_source(curves, figure)

# %% [markdown]
# ## Which two networks are joined decides what is tested
#
# A *straight line* in the space of weights joins two networks $a$ and $b$; a quadratic *Bezier curve*
#
# $$
# w(t) = (1-t)^2\, a + 2\, t\, (1-t)\, m + t^2\, b
# $$
#
# can walk round a hill. Its middle point $m$ begins halfway between the ends and is trained, by L-BFGS, until the mean loss along
# the curve is small. The *barrier* is the largest loss on the curve minus that of the higher end.

# %% tags=["remove-input"]
by_pair = pairs.groupby("pair", sort=False)
text.table(
    by_pair[["refined", "clear"]]
    .sum()
    .assign(pairs=by_pair.size(), factor=by_pair["factor"].max())
    .rename(index=barrier.PAIRS),
    {
        "pairs": "pairs",
        "refined": "coarse and wrong to fine and accurate",
        "clear": "joined without a barrier",
        "factor": "largest rise, times the higher end",
    },
    "end at $t = 0$",
    dict.fromkeys(("refined", "clear"), "{:.0f}".format)
    | {"factor": ledger.barrier.times},
)

# %% tags=["remove-input"] language="markdown"
# A pair is *joined* if its curve or its line rises to at most {{ barrier.RISE | number }} times the higher end.
#
# *Own start*: one run of ALM, from the place where its constraints come in to its end. The run is trained once more to have
# that place. If it starts coarse and inaccurate and ends fine and accurate, it is a pair of the paper's kind, and only such
# pairs decide whether a barrier stands in the way.
#
# *Same seed*: a finished run of L-BFGS has the beginning of its training in common with ALM: {{ start }}.
# {% if further %}
# Then they part: ALM brings in its constraints, and L-BFGS alone has {{ further }} in all. So the end at $t = 0$ is not
# the place where ALM set out.
# {% else %}
# ALM sets out from the very solution of L-BFGS.
# {% endif %}
# *Another seed*: the two have nothing in common but the problem; it asks whether any two solutions are connected.
#
# A barrier on one curve does not prove that there is none without: the middle points had {{ recipe.iterations }} iterations, on
# {{ recipe.points }} points of the curve. Where that ended their training, a barrier decides nothing.

# %% [markdown]
# ## The printed formula can read a barrier as its absence
#
# *Mode connectivity* is the mean loss of the two ends minus the loss at that place of the curve where it differs *most* from this
# mean. Appendix D.1 of the paper prints the place where it differs *least*, argmin for argmax; the released code computes the
# former.

# %% tags=["remove-input"]
blind = climbs[~climbs.clear & (climbs.argmin >= 0)]


def signed(value):
    """A number with its sign; 0 if it is next to nothing."""
    if abs(value) < 5e-4:
        return "0"
    return f"{'-' if value < 0 else '+'}{number(abs(value))}"


# %% tags=["remove-input"] language="markdown"
# With argmin, whatever is high between the ends is passed over. In units of the ends' mean loss its values reach
# {{ climbs.argmin.abs().max() | number }}, where argmax gives up to {{ climbs.argmax.abs().max() | number }}. On
# {{ blind | length }} of {{ climbs | length }} curves the printed formula reads a barrier as its absence (evidence below).

# %% [markdown]
# ## A low loss does not vouch for a solution
#
# A point is called *accurate* if its test error is at most the threshold of paper Table 5 for L-BFGS, and its loss *low* if it is
# at most that of the training loss.

# %% tags=["remove-input"]
ordered = barrier.order(points)
text.table(
    ordered.assign(
        right=[part_of(r.right, r.points) for r in ordered.itertuples()],
        points=ordered.points.astype(int),
    ),
    {
        "points": "points of all curves",
        "rank": "rank correlation of loss and error",
        "right": f"error at most {number(low.test, 3)}",
        "apart": "told apart by the loss",
    },
    "cell",
    {"rank": "{:.2f}".format, "apart": percent},
)

# %% tags=["remove-input"]
inverted = barrier.inversions(climbs)
if len(inverted):
    ratio = inverted.right_loss / inverted.wrong_loss
    worst = inverted.loc[ratio.idxmax()]
both = points.right.any() and not points.right.all()
lowest_wrong = points.loss[~points.right].min()
lowest_right = points.loss[points.right].min()
region = barrier.while_low(curves)

# %% tags=["remove-input"] language="markdown"
# *Told apart*: in how many of all pairs of an accurate and an inaccurate point the accurate one has the lower loss; one half
# would be chance. Over a whole curve a lower loss does go with a smaller error.
# {% if points.low.any() %}
# Among the points with a loss of at most {{ low.train | number }} it says little: {{ (wrong | length) | part_of(points.low.sum()) }}
# of {{ points.low.sum() }} are inaccurate.
# {% endif %}
# {% if inverted | length %}
# The order can even be reversed between trained networks of one cell. At {{ worst.cell }} that of {{ worst.wrong }} has a loss of
# {{ worst.wrong_loss | number }} and an error of {{ worst.wrong_error | number }}; that of {{ worst.right }} has a loss of
# {{ worst.right_loss | number }} and an error of {{ worst.right_error | number }}.
# {% endif %}
# {% if both and lowest_wrong > lowest_right %}
# Only below the lowest loss of an inaccurate point, {{ lowest_wrong | number }}, is every point accurate.
# {% endif %}
#
# Is a low loss a *region* that both ends lie in? It is low at {{ (region.low / region.points).min() | percent }} to
# {{ (region.low / region.points).max() | percent }} of the points of a trained curve.

# %% tags=["remove-input"] language="markdown"
# {% if outcome["jumps-speed"] == "open" %}
# ## Late steps do not tell the two waves apart
# {% else %}
# ## Late steps of the two waves differ, and few runs say so
# {% endif %}
#
# Paper Fig. 14 looks at the steps that training takes once its loss is small. To the reciprocals $1 / |w_{k+1} - w_k|$ of their
# lengths a power law is fitted, whose density falls like $x^{-\alpha}$ from some value on; the paper reads a *smaller* exponent
# $\alpha$ as *more* jumps between basins {cite:p}`wang2026regimes`.

# %% mystnb={"figure": {"caption": "Exponents of the power law of reciprocal step lengths over the learning rate of L-BFGS, one panel a speed, one dot a seed, with the mean over the seeds: the half of paper Fig. 14 that shows physics-informed networks.", "name": "fig-jumps"}, "image": {"alt": "One diagram for each speed of the wave: the fitted exponent over the learning rate, a dot for each seed and a bar at their mean.", "width": "100%"}}
figure = figures.seed_strip(
    tails,
    x="rate",
    value="alpha",
    x_label=r"learning rate $\eta$",
    value_label=r"exponent $\alpha$",
    title="Exponents of late steps of L-BFGS",
    coefficient_name="β",
    data_name="$N_f$",
    columns=2,
    logarithmic=False,
)
figure

# %% tags=["remove-input"]
report.study_source(steps, figure)

# %% tags=["remove-input"] language="markdown"
# {% if share == share %}
# At equal learning rate the run with β = {{ "{:g}".format(jumps.FAST) }} has the larger exponent in {{ share | percent }} of all
# pairs with one of β = {{ "{:g}".format(jumps.SLOW) }}. If the speed did not matter, chance would give so large a share in
# {{ chance | percent }} of the cases.
# {% endif %}
# {% if short | length %}
# But {{ short | length }} of {{ tails | length }} runs have no exponent, since L-BFGS stopped after a few steps, at
# β = {{ short.coefficient.unique() | values }} and at a learning rate of at most {{ "{:g}".format(short.rate.max()) }}.
# {% endif %}
# {% if outcome["jumps-speed"] == "suggests" %}
# So the direction is the paper's, and the number of runs is small: this suggests it, and no more.
# {% endif %}
# {% if effect | length %}
#
# Are the exponents *stable* over the learning rates? That two medians are close does not show it: few seeds hide an influence as
# well as they show none. So the question is how large a difference the seeds leave possible.
# {% for row in effect.itertuples() %}
# At β = {{ "{:g}".format(row.Index) }} the means of two rates differ by up to {{ row.change | number }}, and a difference of
# {{ row.below | number }} cannot be excluded.
# {% endfor %}
# {% if outcome["jumps-rate"] == "open" %}
# Differences of {{ ledger.jumps.STABLE | number }} are what the ResNet of the released code shows. So these runs cannot tell.
# {% endif %}
# With a strong Wolfe line search the learning rate is the first trial of a step, and no more.
# {% endif %}
#
# One more caution: the law is fitted to the shortest steps,
# {%- if (tails.steps > 0).any() %}
#  {{ (tails.n_tail / tails.steps.where(tails.steps > 0)).median() | percent }} of them in the median run
# {%- endif %}
# . A jump would be a long step, which the fit leaves out.

# %% [markdown]
# ## What the paper claims

# %% tags=["remove-input"]
text.say(report.claims_table(verdicts))

# %% [markdown]
# The first two lines are about runs of ALM and their own starts, the third about pairs of finished runs. The claims on low losses
# count networks, not points of curves, which are no independent evidence.

# %% [markdown]
# ## Where paper and code differ
#
# - The paper does not say which curve paper Fig. 15 shows, nor where its two solutions come from; both curves and three kinds
#   of pairs are shown here.
# - The paper calls the loss of its coarse end, about $10^{-2}$, low. By the training threshold of its own Table 5 for L-BFGS,
#   $3.8 \times 10^{-3}$, that network is in Regime II.
# - Appendix D.1 prints argmin for argmax in the definition of mode connectivity; the released code has argmax.
# - For the PINNs of paper Fig. 14 neither paper nor code say how many points they had, which threshold their loss had to pass,
#   how many steps followed, or which learning rates were tried; the code for the ResNet records 200 steps.
# - The other half of paper Fig. 14, a ResNet-18 on images, is not run here. The exponents stored beside the released code lie
#   between 1.7 and 2.8 at every learning rate from 0.1 to 0.8, without the abrupt drop at large ones that the paper's text
#   describes.

# %% [markdown]
# ## Try it

# %% [markdown]
# Each stored curve has its `control` points, which are its start, its middle point and its end: with them a reader can draw
# the curve again, or train it further with `sciml_lib.landscape.train_bezier`.

# %% tags=["remove-input"]
text.say(report.study_command("barrier", [curves, steps]))

# %% [markdown]
# ## Exercises
#
# **1.** Let the two ends of a curve have the losses 0.02 and 0.002, and let the loss in the middle be 31. What is mode connectivity
# by argmax? And what can it be by argmin?
#
# :::{dropdown} Answer
# The ends' mean is 0.011. By argmax it is $0.011 - 31 \approx -31$, a barrier. The loss is continuous, and the mean lies between
# those of the ends; so somewhere on the curve the loss *is* 0.011. By argmin mode connectivity is 0, or on a finite grid almost
# 0, whatever lies between the ends.
# :::
#
# **2.** A run makes 199 steps of about the same length, and one that is a hundred times longer. Which of its steps does the
# exponent $\alpha$ see?
#
# :::{dropdown} Answer
# The law is fitted to the largest *reciprocals*, that is to the shortest steps. The long step has the smallest reciprocal, and is
# left out of the fit: `sciml_lib.landscape.power_law` gives the same exponent with it and without it as long as the same tail is
# chosen. Look at the longest step over the median one instead (evidence below).
# :::

# %% [markdown]
# ## Evidence

# %% tags=["remove-input"]
named = climbs.assign(
    pair=climbs.pair.map(barrier.PAIRS), curve=climbs.kind.map(barrier.KINDS)
)
ends = text.tabulated(
    named.loc[lines.index].set_index("cell"),
    {
        "pair": "pair",
        "seed": "seed at t = 0",
        "loss_0": "training loss at t = 0",
        "loss_1": "at t = 1",
        "error_0": "test error at t = 0",
        "error_1": "at t = 1",
    },
    "cell",
)
heights = text.tabulated(
    named.set_index("cell"),
    {
        "pair": "pair",
        "curve": "curve",
        "largest": "largest loss",
        "at": "at t",
        "height": "height of the barrier",
        "factor": "times the higher end",
    },
    "cell",
    {"at": "{:.2f}".format, "factor": ledger.barrier.times},
)
connectivities = text.tabulated(
    named.set_index("cell"),
    {
        "pair": "pair",
        "curve": "curve",
        "argmax": "by argmax",
        "argmin": "by argmin, as printed",
    },
    "cell",
    dict.fromkeys(("argmax", "argmin"), signed),
)
lows = text.tabulated(
    region.assign(
        pair=region.pair.map(barrier.PAIRS),
        low=[part_of(r.low, r.points) for r in region.itertuples()],
        wrong=[part_of(r.wrong, r.low) for r in region.itertuples()],
    ).set_index("cell"),
    {
        "pair": "pair",
        "low": f"points with a loss of at most {number(low.train)}",
        "least": "lowest test error there",
        "most": "highest there",
        "wrong": f"of these with an error above {number(low.test, 3)}",
    },
    "cell",
)
by_rate = jumps.by_rate(tails).reset_index()
exponents = text.tabulated(
    by_rate.assign(
        range=[
            " to ".join(dict.fromkeys([number(r.least), number(r.most)]))
            for r in by_rate.itertuples()
        ],
        fit=[f"{r.n_tail:g} of {r.steps:g}" for r in by_rate.itertuples()],
        rate=by_rate.rate.map("{:g}".format),
    ).set_index(by_rate.coefficient.map("{:g}".format)),
    {
        "rate": "learning rate",
        "runs": "runs",
        "alpha": "exponent, median",
        "range": "lowest to highest",
        "sigma": "standard error",
        "fit": "steps in the fit",
        "median": "median step",
        "jump": "longest over median step",
    },
    "β",
)
effects = text.tabulated(
    effect.rename("{:g}".format),
    {
        "rates": "learning rates with two exponents or more",
        "change": "largest difference of two means",
        "below": "every difference is smaller than",
        "above": "some difference is larger than",
    },
    "β",
    {"rates": "{:.0f}".format},
)
passed, warm = tails[tails.passed >= 0], tails[tails.warm]
stopped = (
    short.groupby("rate")
    .size()
    .reindex(sorted(tails.rate.unique()), fill_value=0)
)
above = (tails.alpha > jumps.BOUND).sum()

# %% tags=["remove-input"] language="markdown"
# :::{dropdown} Evidence: the ends of the curves
# {{ ends }}
# :::
#
# :::{dropdown} Evidence: how high the climb is
# {{ heights }}
#
# The middle points were trained by up to {{ recipe.iterations }} iterations of L-BFGS on {{ recipe.points }} points of the curve.
# :::
#
# :::{dropdown} Evidence: mode connectivity by both formulas
# {{ connectivities }}
#
# Both in units of the ends' mean loss; negative: the loss is higher on the way. By argmax the place may be an end itself, where
# the loss falls all the way; then the value is half the difference of the ends, and no barrier.
# :::
#
# :::{dropdown} Evidence: the test error on trained curves where the loss is low
# {{ lows }}
# {% if region.most.notna().any() %}
#
# Along one curve the error differs by a factor of up to {{ (region.most / region.least).max() | number }} while the loss is low.
# {% endif %}
# {% if both %}
#
# Over all curves the lowest loss of an accurate point is {{ lowest_right | number }}, and the highest
# {{ points.loss[points.right].max() | number }}. Below the lowest of an inaccurate one lie
# {{ (points.loss < lowest_wrong).sum() | part_of(points | length) }} of all points.
# {% endif %}
# :::
#
# :::{dropdown} Evidence: which runs the exponents are from
# Runs with {{ tails.n_data.unique() | values }} points and the learning rates {{ tails.rate.unique() | values }}; up to
# {{ steps.attrs["recipe"]["steps"] }} steps of L-BFGS after the loss has passed {{ steps.attrs["recipe"]["threshold"] | number(3) }}
# (looked for every {{ steps.attrs["recipe"]["every"] }} iterations). {{ passed | length }} of {{ tails | length }} runs passed it
# {%- if warm | length %}
# , {{ warm | length }} of them in the warm-up with Adam already (β = {{ warm.coefficient.unique() | values }}), where the steps
# begin with L-BFGS
# {%- endif %}
# .
# {% if short | length %}
# {{ short | length }} runs then ended after {{ short.steps.min() }} to {{ short.steps.max() }} steps, with a loss of
# {{ short.final_loss.min() | number }} to {{ short.final_loss.max() | number }}: too little for a law. By learning rate these are
# {% for rate, n in stopped.items() %}
# {{ ", " if not loop.first }}{{ n }} of {{ (tails.rate == rate).sum() }} at {{ "{:g}".format(rate) }}
# {%- endfor %}
# .
# {% endif %}
# :::
#
# :::{dropdown} Evidence: the exponents
# {{ exponents }}
#
# {{ above }} of {{ tails.alpha.notna().sum() }} exponents are above {{ "{:g}".format(jumps.BOUND) }}, the largest that the present
# release of the package `powerlaw` finds unless it is told otherwise, as here.
# :::
#
# :::{dropdown} Evidence: learning rate and seed
# {{ effects }}
#
# Bounds with an error of 5 per cent, by Student's distribution: the seeds of a speed scatter alike at all of its rates.
# :::
