"""Table 4 of the paper as recipes: one row a strategy for the pendulum.

To be checked against the paper line by line. The whole grid takes minutes on two processor cores, so there is no smaller
profile than the table's own but `smoke`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sciml_lib.optim import Exponential
from sciml_lib.strategies import LBFGS, NNCG, AugmentedLagrangian, Curriculum, MiniBatchAdam, Strategy

# --- Row L-BFGS: learning rate 1, 1,000 epochs, history 50, tolerances 1e-7 and 1e-9, full batch ---
TABLE_4_LBFGS = LBFGS(
    max_iterations=1_000,
    max_evaluations=1_250,
    history=50,
    tolerance_grad=1e-7,
    tolerance_change=1e-9,
    learning_rate=1.0,
)
INNER = replace(TABLE_4_LBFGS, max_iterations=500, max_evaluations=625)  # rows ALM and CL: 500 epochs a call
TINY = replace(TABLE_4_LBFGS, max_iterations=5, max_evaluations=6)

# --- Row Adam: learning rate 1e-3, 600 epochs, batches of 32; updates an epoch and decay are the released code's ---
TABLE_4_ADAM = MiniBatchAdam(epochs=600, batch_size=32, updates=13, learning_rate=1e-3, schedule=Exponential(0.995))

# --- Row ALM: 50 x 500, penalty 1.05^50; weight 10 of the data and the history that is kept are the released code's ---
TABLE_4_ALM = AugmentedLagrangian(
    outer=50,
    inner=INNER,
    penalty=1.0,
    growth=1.05,
    constrained=("residual",),
    weight=((0.0, 10.0),),
    keep_history=True,
)

# --- Row NNCG: learning rate 1e-3, 1,500 epochs, rank 10, after 1,000 of L-BFGS; the rest is the released code's ---
TABLE_4_NNCG = NNCG(steps=1_500, rank=10, refresh=1, damping=1e-2, cg_iterations=100, cg_tolerance=1e-5, learning_rate=1e-3)

# --- Row CL: 60 x 500, the coefficient grows by 0.25: on 1/b that is from 0.25 to 15, the last stage at the target ---
TABLE_4_CL = Curriculum(n_stages=59, step=0.25, solver=INNER, start=0.25)

STEPS_READING = (
    "Every observed state is the beginning of one step of forward Euler, the physics term carries dt^2 and weight 1, and the "
    "test error is that of a rollout over 20 s, all as in the released code (the paper describes an integration over the whole "
    "horizon, no factor, and the error of one step)"
)


@dataclass(frozen=True)
class Row:
    """One strategy for the pendulum.

    Attributes:
        words: what it is.
        paper: the recipe with the paper's budgets.
        smoke: seconds in all; the maps mean nothing.
        reading: whose word is followed where paper and released code differ, or are silent.
    """

    words: str
    paper: Strategy
    smoke: Strategy
    reading: str


ADAM = Row(
    words="Adam on mini-batches",
    paper=Strategy((TABLE_4_ADAM,)),
    smoke=Strategy((replace(TABLE_4_ADAM, epochs=2),)),
    reading="An epoch has 13 updates whatever the horizon, and the learning rate falls by 0.995 after each: the code's alone.",
)

ROWS = {
    "adam": ADAM,
    "adam-plain": Row(
        words="Adam on mini-batches, the paper's text to the letter",
        paper=Strategy((replace(TABLE_4_ADAM, updates=None, schedule=None),)),
        smoke=Strategy((replace(TABLE_4_ADAM, epochs=2, updates=None, schedule=None),)),
        reading="An epoch is one pass through a run's own batches and the learning rate stays: the text, and no more.",
    ),
    "adam-own": Row(
        words="Adam on mini-batches, each run's own in an epoch",
        paper=Strategy((replace(TABLE_4_ADAM, updates=None),)),
        smoke=Strategy((replace(TABLE_4_ADAM, epochs=2, updates=None),)),
        reading="An epoch is one pass through a run's own batches, and the learning rate falls by 0.995 after each.",
    ),
    "adam-half": Row(
        words="Adam on mini-batches, half of the epochs",
        paper=Strategy((replace(TABLE_4_ADAM, epochs=300),)),
        smoke=Strategy((replace(TABLE_4_ADAM, epochs=2),)),
        reading="The 300 epochs that the released script for NNCG gives to Adam, and nothing after them.",
    ),
    "lbfgs": Row(
        words="L-BFGS",
        paper=Strategy((TABLE_4_LBFGS,)),
        smoke=Strategy((TINY,)),
        reading="One call of 1,000 iterations; the released code calls again after the first has ended by its tolerances.",
    ),
    "alm": Row(
        words="augmented Lagrangian, the equation as constraint",
        paper=Strategy((TABLE_4_LBFGS, TABLE_4_ALM)),
        smoke=Strategy((TINY, replace(TABLE_4_ALM, outer=3, inner=TINY))),
        reading=(
            "Constraint is the equation, as in the released code; penalty from 1 and a multiplier for each component of each "
            "state are the code's, too; its clipping of gradients to norm 1 is left out: hardly any evaluation exceeds it."
        ),
    ),
    "nncg": Row(
        words="L-BFGS, then NysNewton-CG",
        paper=Strategy((TABLE_4_LBFGS, TABLE_4_NNCG)),
        smoke=Strategy((TINY, replace(TABLE_4_NNCG, steps=3, cg_iterations=3))),
        reading=(
            "The order of Table 4 (the released script begins with Adam); damping 1e-2, tolerance 1e-5 and 100 iterations of "
            "conjugate gradients are the released code's."
        ),
    ),
    "nncg-adam": Row(
        words="Adam, then NysNewton-CG",
        paper=Strategy((replace(TABLE_4_ADAM, epochs=300), replace(TABLE_4_NNCG, steps=300))),
        smoke=Strategy((replace(TABLE_4_ADAM, epochs=2), replace(TABLE_4_NNCG, steps=3, cg_iterations=3))),
        reading="The released script's order: half of its 600 epochs are Adam's and half NysNewton-CG's, none L-BFGS's.",
    ),
    "nncg-tight": Row(
        words="L-BFGS, then NysNewton-CG with a tolerance that asks for steps",
        paper=Strategy((TABLE_4_LBFGS, replace(TABLE_4_NNCG, steps=200, damping=1e-6, cg_tolerance=1e-9, learning_rate=1.0))),
        smoke=Strategy((TINY, replace(TABLE_4_NNCG, steps=3, cg_iterations=3, damping=1e-6, cg_tolerance=1e-9))),
        reading="Ours: tolerance 1e-9, damping 1e-6 and learning rate 1, 200 steps.",
    ),
    "cl": Row(
        words="curriculum learning",
        paper=Strategy((TABLE_4_CL, INNER)),
        smoke=Strategy((replace(TABLE_4_CL, n_stages=3, step=5.0, solver=TINY), TINY)),
        reading=(
            "The 60 steps of 0.25 are taken on 1/b, which they lead exactly to 15; every stage is trained on the trajectory of "
            "its own coefficient (the released script lacks an argument and does not run)."
        ),
    ),
}
