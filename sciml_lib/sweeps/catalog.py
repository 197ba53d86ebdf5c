"""The sweeps of this book: the paper's grids and budgets, and the profiles that reduce them.

Everything here is a table to be checked against the paper line by line; no sweep is special in any other file.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sciml_lib.errors import unknown
from sciml_lib.strategies import LBFGS, NNCG, Adam, AugmentedLagrangian, Curriculum, RoPINN, Strategy
from sciml_lib.strategies.alm import CONDITIONS
from sciml_lib.sweeps.spec import Reduction, Sweep

# --- Fig. 1(a), Fig. 2(a) and Fig. 3(b): ticks of both axes of the published map ---
CONVECTION_BETA = (5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 15.0, 20.0, 25.0, 30.0, 50.0, 70.0)
CONVECTION_N_DATA = (100, 150, 200, 250, 500, 1000, 2000, 5000, 10_000, 15_000, 20_000, 25_000)

# --- The paper: five seeds for PINNs; the numbers 0 to 4 are those of the released code's earlier sweeps ---
SEEDS = (0, 1, 2, 3, 4)

# --- Table 2, row L-BFGS: learning rate 1, history 100, tolerances 1e-7 and 1e-9, full batch ---
# The line search (strong Wolfe) and the evaluations (1.25 times the iterations) are the released code's.
TABLE_2_LBFGS = LBFGS(
    max_iterations=2_000,
    max_evaluations=2_500,
    history=100,
    tolerance_grad=1e-7,
    tolerance_change=1e-9,
    learning_rate=1.0,
)
# An earlier convection script of the released code makes one call of 10,000; then float32 runs end by themselves.
LONG_LBFGS = replace(TABLE_2_LBFGS, max_iterations=10_000, max_evaluations=12_500)

WARM_UP = 2_000
"""Adam steps before L-BFGS: the number in Table 2's row NNCG, and of the lengths in the study below the one whose test
errors come nearest to the published ones."""

WARM_UP_RATE = 1e-3  # Table 2, row NNCG


def warm_then_lbfgs(steps: int) -> Strategy:
    """L-BFGS with the long budget after so many steps of Adam."""
    return Strategy((Adam(steps, WARM_UP_RATE), LONG_LBFGS) if steps else (LONG_LBFGS,))


# --- Budgets of the profile `smoke`: seconds in all, on one core; the maps mean nothing ---
TINY_LBFGS = LBFGS(max_iterations=25, max_evaluations=32, history=100)
TINY = Strategy((Adam(10, WARM_UP_RATE), TINY_LBFGS))

PANEL = Sweep(
    id="pinn/convection/lbfgs",
    title="PINN, convection: Adam warm-up, then L-BFGS to the end",
    system="convection",
    coefficients=CONVECTION_BETA,
    n_data=CONVECTION_N_DATA,
    seeds=SEEDS,
    data_seed=0,
    hidden=(50, 50, 50),
    strategy=warm_then_lbfgs(WARM_UP),
    reading=(
        "Three hidden layers of 50 as in the released code (the paper says four) and one L-BFGS call of up to 10,000 "
        f"iterations as in an earlier script of it (the paper says 2,000), after {WARM_UP:,} steps of Adam, which "
        "neither states for this map: of the lengths tried, the one that comes nearest to the published values."
    ),
    profiles={
        "smoke": Reduction(
            why="Shows in seconds that everything works; its map means nothing.",
            coefficients=(5.0, 15.0, 70.0),
            n_data=(100, 250),
            n_seeds=2,
            strategy=TINY,
        ),
        "laptop": Reduction(
            why="All coefficients, up to 2,000 points, three seeds and the full budgets: hours on two processor cores.",
            n_data=(100, 150, 200, 250, 500, 1000, 2000),
            n_seeds=3,
        ),
        "paper": Reduction(why="The whole published grid with five seeds; wants a GPU.", keep_seeds=3),
    },
)

LITERAL = replace(  # the same grid, seeds and network
    PANEL,
    id="pinn/convection/lbfgs-literal",
    title="PINN, convection: L-BFGS to the letter of Table 2",
    strategy=Strategy((TABLE_2_LBFGS,)),
    reading="Table 2 of the paper: 2,000 iterations of L-BFGS from a random start; the network is the released code's.",
    profiles={
        "smoke": Reduction(
            why="Shows in seconds that everything works; its map means nothing.",
            coefficients=(5.0, 15.0, 70.0),
            n_data=(100, 250),
            n_seeds=2,
            strategy=Strategy((TINY_LBFGS,)),
        ),
        "laptop": Reduction(
            why="All coefficients, four amounts of data and two seeds: enough to see what the warm-up changes.",
            n_data=(100, 250, 500, 1000),
            n_seeds=2,
        ),
        "paper": Reduction(why="The whole published grid with five seeds; wants a GPU.", keep_seeds=3),
    },
)

# --- Which warm-up made the published map? Cells on both of its borders, (beta, N_f) ---
WARM_UP_PAIRS = ((10.0, 100), (15.0, 500), (20.0, 500), (25.0, 1000), (30.0, 1000), (30.0, 2000))
WARM_UP_STEPS = (0, 1_000, 2_000, 5_000)

WARM_UP_STUDY = tuple(
    Sweep(
        id=f"pinn/convection/warmup-{steps}",
        title=f"PINN, convection: {steps:,} steps of Adam before L-BFGS, on cells near the borders",
        system="convection",
        pairs=WARM_UP_PAIRS,
        seeds=SEEDS,
        data_seed=0,
        hidden=(50, 50, 50),
        strategy=warm_then_lbfgs(steps),
        reading="Neither the paper nor the released code states a warm-up for this map; this measures its effect.",
        profiles={
            "smoke": Reduction(
                why="Shows in seconds that everything works; its numbers mean nothing.",
                pairs=((10.0, 100), (15.0, 500)),
                n_seeds=2,
                strategy=TINY if steps else Strategy((TINY_LBFGS,)),
                keep_seeds=0,
            ),
            "laptop": Reduction(why="Everything: the cells are few.", keep_seeds=0),
            "paper": Reduction(why="Everything: the cells are few.", keep_seeds=0),
        },
    )
    for steps in WARM_UP_STEPS
)

# --- Figs. 2, 3 first pair of rows, 8 and 9: the other fourteen panels of Table 5 with PINNs ---


@dataclass(frozen=True)
class Axes:
    """The two axes of a system's maps, in the profiles.

    Attributes:
        coefficients: of the published map.
        n_data: of the published map.
        laptop_coefficients: the part that a laptop trains.
        laptop_n_data: the part that a laptop trains.
        smoke_coefficients: the part that a smoke run trains.
        smoke_n_data: the part that a smoke run trains.
        origin: where the published axes are from.
    """

    coefficients: tuple[float, ...]
    n_data: tuple[int, ...]
    laptop_coefficients: tuple[float, ...]
    laptop_n_data: tuple[int, ...]
    smoke_coefficients: tuple[float, ...]
    smoke_n_data: tuple[int, ...]
    origin: str


# The paper states ranges of the coefficients only. Ticks of Fig. 1(a) settle convection; for the others the best
# evidence are sweep scripts that the authors' repository once held.
AXES = {
    "convection": Axes(
        coefficients=CONVECTION_BETA,
        n_data=CONVECTION_N_DATA,
        laptop_coefficients=(5.0, 10.0, 20.0, 30.0, 50.0, 70.0),
        laptop_n_data=(100, 500, 1000, 2000),
        smoke_coefficients=(5.0, 70.0),
        smoke_n_data=(100, 250),
        origin="the ticks of Fig. 1(a)",
    ),
    "reaction": Axes(
        coefficients=tuple(float(rho) for rho in range(1, 13)),
        n_data=(2, 5, 10, 50, 100, 250, 500, 1000, 2000, 5000, 10_000, 20_000),
        laptop_coefficients=(1.0, 3.0, 5.0, 7.0, 9.0, 12.0),
        laptop_n_data=(2, 10, 50, 250, 1000),
        smoke_coefficients=(1.0, 12.0),
        smoke_n_data=(10, 50),
        origin="an earlier sweep script of the authors",
    ),
    "wave": Axes(
        coefficients=(0.1, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0),
        n_data=(50, 100, 250, 500, 1000, 2000, 5000, 10_000),
        laptop_coefficients=(0.1, 1.0, 2.0, 3.0, 4.0, 6.0),
        laptop_n_data=(50, 100, 250, 1000),
        smoke_coefficients=(0.1, 6.0),
        smoke_n_data=(50, 100),
        origin="an earlier sweep script of the authors",
    ),
    "reaction-diffusion": Axes(
        coefficients=(1.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0),
        n_data=(5, 10, 50, 100, 500, 1000, 2000, 5000, 10_000),
        laptop_coefficients=(1.0, 5.0, 10.0, 15.0, 20.0, 30.0),
        laptop_n_data=(5, 10, 50, 100, 1000),
        smoke_coefficients=(1.0, 30.0),
        smoke_n_data=(10, 50),
        origin="an earlier sweep script of the authors",
    ),
}

WARM = Adam(WARM_UP, WARM_UP_RATE)
TINY_WARM = Adam(10, WARM_UP_RATE)

# --- Table 2, row ALM: 50 calls of 2,000 iterations, penalty from 2, growth 1.2, after an ordinary training ---
# Which blocks are constrained, their weight and decay: the released code and an earlier script of it.
ALM_WEIGHT = {"convection": ((0.0, 500.0), (50.0, 100.0))}
ALM_DECAY = {"convection": ((0.0, 0.0), (50.0, 1e-3))}


def alm(system: str, constrained: tuple[str, ...] = (CONDITIONS,)) -> AugmentedLagrangian:
    """The row ALM for one equation."""
    return AugmentedLagrangian(
        outer=50,
        inner=TABLE_2_LBFGS,
        penalty=2.0,
        growth=1.2,
        constrained=constrained,
        weight=ALM_WEIGHT.get(system, ((0.0, 100.0),)),
        decay=ALM_DECAY.get(system, ((0.0, 0.0),)),
    )


# --- Table 2, row RoPINN: 1,000 calls (of PyTorch's 20 iterations), region 1e-5, window 5 ---
TABLE_2_ROPINN = RoPINN(
    calls=1_000,
    solver=replace(TABLE_2_LBFGS, max_iterations=20, max_evaluations=25),
    initial_region=1e-5,
    window=5,
    max_region=0.01,
)

# --- Table 2, row NNCG: Adam 2,000 at 1e-3, L-BFGS 1,000, NNCG 2,000 with rank 50; the rest is the released code's ---
NNCG_BASE = (Adam(2_000, WARM_UP_RATE), replace(TABLE_2_LBFGS, max_iterations=1_000, max_evaluations=1_250))
TABLE_2_NNCG = NNCG(steps=2_000, rank=50, refresh=100, damping=1e-2, cg_iterations=1_000, cg_tolerance=1e-5)

# --- Table 2, row CL: 140 stages of 2,000 iterations; the step is 0.5 (the table's 0.05 would end at beta = 7) ---
TABLE_2_CL = Curriculum(rungs=140, step=0.5, solver=TABLE_2_LBFGS)


def short(stage: LBFGS, iterations: int) -> LBFGS:
    """L-BFGS with another budget."""
    return replace(stage, max_iterations=iterations, max_evaluations=iterations * 5 // 4)


def _damped(strategy: Strategy, damping: float) -> Strategy:
    return Strategy((*strategy.stages[:-1], replace(strategy.stages[-1], damping=damping)))


def strategies_of(name: str, system: str) -> tuple[Strategy, Strategy, Strategy]:
    """A strategy as Table 2 has it, with the budget of a laptop and with that of a smoke run."""
    tiny = short(TINY_LBFGS, 5)
    if name == "lbfgs":
        return warm_then_lbfgs(WARM_UP), warm_then_lbfgs(WARM_UP), TINY
    if name in ("alm", "alm-pde"):
        full = alm(system, (CONDITIONS,) if name == "alm" else ("residual",))
        return (
            Strategy((WARM, LONG_LBFGS, full)),
            Strategy((WARM, TABLE_2_LBFGS, replace(full, inner=short(TABLE_2_LBFGS, 40)))),
            Strategy((TINY_WARM, TINY_LBFGS, replace(full, outer=3, inner=tiny))),
        )
    if name in ("ropinn", "ropinn-grid"):
        return (
            Strategy((WARM, TABLE_2_ROPINN)),
            Strategy((WARM, replace(TABLE_2_ROPINN, calls=75))),
            Strategy((TINY_WARM, replace(TABLE_2_ROPINN, calls=3, solver=tiny))),
        )
    if name == "nncg":
        return (
            Strategy((*NNCG_BASE, TABLE_2_NNCG)),
            Strategy((*NNCG_BASE, replace(TABLE_2_NNCG, steps=80, refresh=40, cg_iterations=30))),
            Strategy((TINY_WARM, TINY_LBFGS, replace(TABLE_2_NNCG, steps=3, rank=5, cg_iterations=3))),
        )
    if name == "nncg-base":
        return Strategy(NNCG_BASE), Strategy(NNCG_BASE), TINY
    if name == "cl":
        return (
            Strategy((TABLE_2_CL, TABLE_2_LBFGS)),
            Strategy((replace(TABLE_2_CL, solver=short(TABLE_2_LBFGS, 100)), TABLE_2_LBFGS)),
            Strategy((replace(TABLE_2_CL, rungs=7, step=10.0, solver=tiny), TINY_LBFGS)),
        )
    raise unknown("strategy", name, STRATEGY_WORDS)


STRATEGY_WORDS = {
    "lbfgs": "Adam warm-up, then L-BFGS to the end",
    "alm": "augmented Lagrangian, conditions as constraints",
    "alm-pde": "augmented Lagrangian, the equation as constraint",
    "ropinn": "RoPINN",
    "ropinn-grid": "RoPINN on the tensor grid it is tested on",
    "nncg": "Adam, L-BFGS, then NysNewton-CG",
    "nncg-base": "Adam and L-BFGS, as before NysNewton-CG",
    "cl": "curriculum learning",
}

READINGS = {
    "lbfgs": (
        "As the convection panel: three hidden layers of 50, 2,000 steps of Adam, then one call of L-BFGS of up to 10,000 "
        "iterations."
    ),
    "alm": (
        "Boundary and initial terms are the constraints, as in the released code; the paper's text says it is the equation. "
        "Fifty calls and a growth of 1.2 for every equation, as in Table 2."
    ),
    "alm-pde": "The equation is the constraint, as the paper's text says; everything else is as in the panel with ALM.",
    "ropinn": (
        "Width 50 like the other strategies (the released RoPINN has 512), random points and the fine test grid like the "
        "other strategies, an Adam warm-up like theirs; region and window of Table 2 for every equation."
    ),
    "ropinn-grid": (
        "The released code's points: a tensor grid of n x n with n the rounded root of the amount of data, for training, "
        "conditions and test alike."
    ),
    "nncg": "Stage lengths of Table 2; damping, tolerance and refresh of the released code.",
    "nncg-base": "The first two stages of Table 2's row NNCG: what NysNewton-CG starts from.",
    "cl": "A step of 0.5 where Table 2 says 0.05, which would not reach the map; no warm-up, since the first rung is easy.",
}

LAPTOP_CUTS = {
    "lbfgs": "full budgets, two seeds",
    "alm": "one seed, 2,000 iterations before the constraints and 40 in each of the 50 calls",
    "alm-pde": "one seed, 2,000 iterations before the constraint and 40 in each of the 50 calls",
    "ropinn": "two seeds and 75 of the 1,000 calls",
    "ropinn-grid": "two seeds and 75 of the 1,000 calls",
    "nncg": "two seeds, 80 Newton steps of at most 30 conjugate-gradient iterations each, and a refresh every 40",
    "nncg-base": "two seeds",
    "cl": "one seed, 100 iterations on each of the 140 rungs",
}


def panel_of(system: str, name: str, *, pairs: tuple[tuple[float, int], ...] | None = None) -> Sweep:
    """One panel, or a variant of it on some of its cells."""
    axes = AXES[system]
    full, laptop, smoke = strategies_of(name, system)
    n_seeds = 1 if name.split("-")[0] in ("alm", "cl") else 2
    grid = {"coefficients": axes.coefficients, "n_data": axes.n_data} if pairs is None else {"pairs": pairs}
    parts = {
        "smoke": {"coefficients": axes.smoke_coefficients, "n_data": axes.smoke_n_data},
        "laptop": {"coefficients": axes.laptop_coefficients, "n_data": axes.laptop_n_data},
    }
    if pairs is not None:
        parts = {"smoke": {"pairs": pairs[:2]}, "laptop": {}}
    laptop_n = len(axes.laptop_coefficients), len(axes.laptop_n_data)
    cells = f"{laptop_n[0]} coefficients x {laptop_n[1]} amounts of data" if pairs is None else "all of its cells"
    return Sweep(
        id=f"pinn/{system}/{name}",
        title=f"PINN, {system}: {STRATEGY_WORDS[name]}",
        system=system,
        seeds=SEEDS,
        data_seed=0,
        hidden=(50, 50, 50),
        strategy=full,
        collocation="grid" if name == "ropinn-grid" else "random",
        reading=f"{READINGS[name]} Axes: {axes.origin}.",
        profiles={
            "smoke": Reduction(
                why="Shows in seconds that everything works; its map means nothing.",
                n_seeds=2,
                strategy=smoke,
                **parts["smoke"],
            ),
            "laptop": Reduction(
                why=f"{cells}, {LAPTOP_CUTS[name]}.",
                n_seeds=n_seeds,
                strategy=None if laptop == full else laptop,
                **parts["laptop"],
            ),
            "paper": Reduction(why="The whole grid with five seeds; wants a GPU.", keep_seeds=3),
        },
        **grid,
    )


OTHER_PANELS = tuple(
    panel_of(system, name)
    for system, names in {
        "convection": ("alm", "ropinn", "nncg", "cl"),
        "reaction": ("lbfgs", "alm", "ropinn", "nncg"),
        "wave": ("lbfgs", "alm", "ropinn"),
        "reaction-diffusion": ("lbfgs", "alm", "ropinn"),
    }.items()
    for name in names
)

# --- What NysNewton-CG starts from, for the improvement maps of Fig. 4 ---
NNCG_BASES = tuple(panel_of(system, "nncg-base") for system in ("convection", "reaction"))

# --- The equation as the constraint, and the released RoPINN's points, each on rows of the convection map ---
ALM_PDE = panel_of("convection", "alm-pde", pairs=tuple((beta, 1000) for beta in AXES["convection"].laptop_coefficients))
ROPINN_GRID = panel_of(
    "convection",
    "ropinn-grid",
    pairs=tuple((beta, n) for n in (100, 500) for beta in AXES["convection"].laptop_coefficients),
)

# --- Which damping? One cell of Regime I near its border and one of Regime II, (beta, N_f) ---
DAMPING_PAIRS = ((10.0, 100), (30.0, 500))
DAMPINGS = (1e-4, 1e-3, 1e-2, 1e-1)

DAMPING_STUDY = tuple(
    replace(
        panel_of("convection", "nncg", pairs=DAMPING_PAIRS),
        id=f"pinn/convection/nncg-damping-{damping:g}",
        title=f"PINN, convection: NysNewton-CG with damping {damping:g}, on two cells",
        strategy=_damped(strategies_of("nncg", "convection")[0], damping),
        reading="The damping decides success, says the author of the method; this measures its effect.",
        profiles={
            "smoke": Reduction(
                why="Shows in seconds that everything works; its numbers mean nothing.",
                n_seeds=2,
                strategy=_damped(strategies_of("nncg", "convection")[2], damping),
            ),
            "laptop": Reduction(
                why="Both cells, two seeds and the budget of the panel.",
                n_seeds=2,
                strategy=_damped(strategies_of("nncg", "convection")[1], damping),
            ),
            "paper": Reduction(why="Both cells with five seeds and the full budget; wants a GPU."),
        },
    )
    for damping in DAMPINGS
)

SWEEPS: dict[str, Sweep] = {
    sweep.id: sweep
    for sweep in (PANEL, *OTHER_PANELS, LITERAL, *WARM_UP_STUDY, *NNCG_BASES, ALM_PDE, ROPINN_GRID, *DAMPING_STUDY)
}


def ids() -> tuple[str, ...]:
    """The ids of all sweeps."""
    return tuple(SWEEPS)


def get(sweep_id: str) -> Sweep:
    """The sweep of that id.

    Raises:
        UserError: if there is none; the nearest ids are offered.
    """
    if sweep_id not in SWEEPS:
        raise unknown("sweep", sweep_id, SWEEPS)
    return SWEEPS[sweep_id]
