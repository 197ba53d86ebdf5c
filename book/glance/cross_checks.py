# %% [markdown]
# # What independent programs say
#
# Do other programs, given the same training problem, end where the runs of this book end?

# %% tags=["parameters"]
runs: str = ""  # folder of stored runs; empty means the repository's own

# %% tags=["hide-input"]
import pandas as pd
from sciml_lib import systems, text
from sciml_lib.analysis.constants import NEAR, constant_loss
from sciml_lib.ledger import cross_checks
from sciml_lib.ledger.again import MEASURED_AGAIN
from sciml_lib.panels import Panel
from sciml_lib.prose import number
from sciml_lib.sweeps import catalog

# %load_ext sciml_lib.text

checks = cross_checks.compare(cross_checks.read(), runs or None)
checks["known"] = checks.ours_train_loss.notna()
RELEASED = "released code"
released = checks[(checks.program == RELEASED)]
node = released[released.sweep.str.startswith("node/")]
pinn = released[released.sweep.str.startswith("pinn/")]
bare = pinn.note.str.contains("where ours has one")
pinn, cold = pinn[~bare], pinn[bare]
deepxde = checks[checks.program == "DeepXDE"]
networks = pd.concat([pinn, deepxde])
compared = networks[networks.known]
same = compared.regime == compared.our_regime
apart = compared[~same]
ratios = [f"ratio_{name}" for name in ("train_loss", "test_error")]
node_apart = (node[ratios] - 1).abs().max()
node_known = node.ratio_train_loss.notna().all()

# %% tags=["remove-input"] language="markdown"
# :::{admonition} The answer
# :class: answer
# {% if compared | length %}
# Of {{ compared | length }} runs of PINNs that the released code or DeepXDE trained, {{ same.sum() }} end in the regime in which
# our run ends.
# {% else %}
# Nothing of it is stored in this copy: not run yet.
# {% endif %}
# {% if node_known %}
# A neural ODE of the released code has our training loss to {{ node_apart.ratio_train_loss | number(1) }}, relatively, seed by seed.
# {% endif %}
#
# The other programs trained a cell of a PINN with one seed, or two. So this page says whether programs agree, and not what a cell
# is like.
# :::

# %% [markdown]
# ## The released code trains the same PINNs
#
# Initial weights and collocation points are the same numbers in both programs; the rest is rounding. Thousands of iterations of
# L-BFGS amplify it, so that losses of the same seed may differ by a small factor.


# %% tags=["remove-input"]
def cell_words(row):
    """A cell and its seed, in the symbols of its system."""
    system = systems.get(catalog.get(row.sweep).system)
    seed = f", seed {row.seed}" if row.seed else ""
    words = (
        f"{system.coefficient_label} = {row.coefficient:g}, N = {row.n_data:,}"
    )
    return f"{system.name}, {words}{seed}"


def both(row, quantity):
    """Theirs and ours, in the digits that the other program gave."""
    theirs = getattr(row, f"theirs_{quantity}")
    ours = getattr(row, f"ours_{quantity}")
    if theirs != theirs:
        return ""
    mine = "not run yet" if ours != ours else number(ours)
    return f"{number(theirs)} / {mine}"


def steps(row):
    """Iterations of L-BFGS of both."""
    theirs, ours = row.theirs_iterations, row.ours_iterations
    if theirs != theirs:
        return ""
    return f"{theirs:,.0f} / " + (
        "not run yet" if ours != ours else f"{ours:,.0f}"
    )


def table_of(rows):
    """Runs of another program beside ours."""
    frame = pd.DataFrame(
        {
            "loss": [both(row, "train_loss") for row in rows.itertuples()],
            "ratio": [f"{r:.2g}" if r == r else "" for r in rows[ratios[0]]],
            "error": [both(row, "test_error") for row in rows.itertuples()],
            "steps": [steps(row) for row in rows.itertuples()],
            "regime": [
                f"{row.regime} / {row.our_regime or 'not run yet'}"
                for row in rows.itertuples()
            ],
            "all": [
                ", ".join(f"{n} in {name}" for name, n in one.items())
                for one in rows.our_regimes
            ],
        },
        index=[cell_words(row) for row in rows.itertuples()],
    )
    heads = {
        "loss": "training loss",
        "ratio": "ours over theirs",
        "error": "test error",
        "steps": "iterations",
        "regime": "regime",
        "all": "our seeds",
    }
    return text.tabulated(frame, heads, "theirs / ours", of_text=True)


literal = pinn[pinn.sweep.str.endswith("-literal")]
warm = pinn[~pinn.sweep.str.endswith("-literal")]
literal_table, warm_table = table_of(literal), table_of(warm)
cold_table = table_of(cold)
spread = compared.ratio_train_loss[same]
split = pinn[pinn.known & (pinn.our_regimes.str.len() > 1)]
zero = pd.concat([cold.theirs_train_loss, cold.ours_train_loss]).dropna()
diffusion = Panel.stored("pinn/reaction-diffusion/lbfgs", runs or None)
level = constant_loss(diffusion, 0.0) if diffusion else None

# %% tags=["remove-input"] language="markdown"
# {% if spread | length %}
# Where the regimes agree, our training loss lies between {{ spread.min() | number }} and {{ spread.max() | number }} times theirs.
# {% endif %}
#
# L-BFGS of paper Table 2, from a random start:
#
# {{ literal_table }}
#
# With 2,000 steps of Adam before L-BFGS:
#
# {{ warm_table }}
#
# *Iterations*: of L-BFGS, those of Adam not counted. *Our seeds*: the regimes of all our runs of the cell, each by itself.
# {% if compared | length %}
# In {{ split | length | counted("line") }} our own seeds are not in one regime, so that one run of another program decides little.
# {% endif %}
#
# {% if compared | length and supported(apart | length == 1 and apart.sweep.iloc[0] == "pinn/wave/lbfgs" and apart.theirs_iterations.iloc[0] < 100 and apart.ours_iterations.iloc[0] > 1000) %}
# One cell differs, that of the wave, and it differs by luck. The released run ended {{ apart.theirs_iterations.iloc[0] | int }} iteration
# after its warm-up; ours went on for {{ apart.ours_iterations.iloc[0] | whole }}. Started from either end of the warm-up, our
# L-BFGS and PyTorch's do the same. In single precision the last digits of a warm-up decide whether L-BFGS gets away from it, and
# with that the regime of the run.
# {% endif %}
#
# Reaction-diffusion without a warm-up, where our runs have one:
#
# {{ cold_table }}
#
# {% if level and supported((zero / level - 1).abs().max() < NEAR) %}
# All of these have the training loss of the constant $u = 0$, {{ level | number }}, within {{ NEAR | percent }}: that Regime II lies there
# is no effect of the warm-up.
# {% endif %}

# %% [markdown]
# ## A neural ODE is the same number, seed by seed
#
# A neural ODE is trained by a fixed number of steps of Adam on small batches, and nothing is amplified.


# %% tags=["remove-input"]
def apart_by(ratio):
    """A relative difference."""
    return "not run yet" if ratio != ratio else number(ratio - 1, 1)


names = {
    "train_loss": "training loss",
    "test_error": "error of the rollout",
    "one_step_mse": "error of one step",
}
frame = pd.DataFrame(
    {
        f"{kind}_{name}": (
            node[f"theirs_{name}"].map(lambda value: number(value, 6))
            if kind == "theirs"
            else node[f"ratio_{name}"].map(apart_by)
        )
        for name in names
        for kind in ("theirs", "apart")
    }
)
frame.index = [cell_words(row) for row in node.itertuples()]
heads = {
    f"{kind}_{name}": f"{words}, released code"
    if kind == "theirs"
    else "ours, relatively"
    for name, words in names.items()
    for kind in ("theirs", "apart")
}
text.say(text.tabulated(frame, heads, "cell", of_text=True))

# %% tags=["remove-input"] language="markdown"
# {% if node_known and supported(node_apart.ratio_train_loss < 1e-3 and node_apart.ratio_test_error < 1e-2) %}
# So the map of the neural ODE in this book is that of the released recipe. That it is not the published map
# ({doc}`../regimes/model_families`) is then a matter of the recipe, and not of the program.
# {% endif %}

# %% [markdown]
# ## DeepXDE finds the same regimes
#
# DeepXDE is a PINN library with which this one shares no code. It drew its own points and weights, one run in each of two
# cells; ours is the median over the seeds.

# %% tags=["remove-input"]
text.say(table_of(deepxde))

# %% [markdown]
# ## Hessians without our tools
#
# For single networks the Hessian was computed in double precision by a program of a few lines, or its largest eigenvalue by SciPy.

# %% tags=["remove-input"]
lines = []
quantities = {
    "lambda_max": "$\\lambda_{\\max}$",
    "trace": "trace",
    cross_checks.NEGATIVE: "share of negative eigenvalues",
}
hessians = checks[~checks.program.isin([RELEASED, "DeepXDE"])]
for row in hessians.itertuples():
    for name, words in quantities.items():
        theirs = getattr(row, f"theirs_{name}")
        ours = getattr(row, f"ours_{name}")
        if theirs == theirs:
            lines.append(
                {
                    "cell": cell_words(row),
                    "program": f"{row.program} ({row.version})",
                    "what": words,
                    "theirs": f"{theirs:.6g}",
                    "ours": f"{ours:.6g}" if ours == ours else "not run yet",
                    "ratio": f"{ours / theirs:.4g}" if ours == ours else "",
                }
            )
heads = {
    "program": "program",
    "what": "quantity",
    "theirs": "theirs",
    "ours": "ours",
    "ratio": "ours over theirs",
}
hessian_table = text.tabulated(
    pd.DataFrame(lines).set_index("cell"), heads, "cell", of_text=True
)

# %% tags=["remove-input"] language="markdown"
# {{ hessian_table }}
#
# These numbers belong to one network each. The cells were trained anew since, so the ratio says how much two trainings of one cell
# differ. Whether the tools are right, the tests below say: they compare them with dense matrices of one and the same network.

# %% [markdown]
# ## What the tests measure again
#
# The numbers above were obtained once. These comparisons are made by the tests of this repository, whenever they are run.

# %% tags=["remove-input"]
again = pd.DataFrame(
    [
        {
            "ours": one.ours,
            "against": one.against,
            "test": f"`{one.file}`",
            "name": one.test.removeprefix("test_").replace("_", " "),
        }
        for one in MEASURED_AGAIN
    ]
).set_index("ours")
text.table(
    again,
    {"against": "against", "name": "test", "test": "file"},
    "of this library",
    of_text=True,
)

# %% tags=["remove-input"] language="markdown"
# :::{dropdown} Evidence: how the numbers of the others were obtained
# {% for note in checks.note.unique() %}
# {% set rows = checks[checks.note == note] %}
# - *{{ rows.program.iloc[0] }}* ({{ rows.version.iloc[0] }}), {{ rows | length | counted("run") }}: {{ note }}.
# {% endfor %}
# :::
