"""The sweeps of this book: the paper's grids and budgets, and the profiles that reduce them.

Everything here is a table to be checked against the paper line by line; no sweep is special in any other file.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sciml_lib.errors import UserError, unknown
from sciml_lib.strategies import Strategy
from sciml_lib.sweeps import table2, table4
from sciml_lib.sweeps.setups import NeuralODESetup, PINNSetup
from sciml_lib.sweeps.spec import Reduction, Sweep
from sciml_lib.sweeps.table2 import TABLE_2_LBFGS, TINY, TINY_LBFGS, WARM_UP, damped, warm_then_lbfgs

# --- Fig. 1(a), Fig. 2(a) and Fig. 3(b): ticks of both axes of the published map ---
CONVECTION_BETA = (5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 15.0, 20.0, 25.0, 30.0, 50.0, 70.0)
CONVECTION_N_DATA = (100, 150, 200, 250, 500, 1000, 2000, 5000, 10_000, 15_000, 20_000, 25_000)

# --- The paper: five seeds for PINNs; the numbers 0 to 4 are those of the released code's earlier sweeps ---
SEEDS = (0, 1, 2, 3, 4)

SMOKE = "Shows in seconds that everything works; its map means nothing."

PANEL = Sweep(
    id="pinn/convection/lbfgs",
    title="PINN, convection: Adam warm-up, then L-BFGS to the end",
    system="convection",
    coefficients=CONVECTION_BETA,
    n_data=CONVECTION_N_DATA,
    seeds=SEEDS,
    strategy=warm_then_lbfgs(WARM_UP),
    reading=(
        "Three hidden layers of 50 as in the released code (the paper says four) and one L-BFGS call of up to 10,000 "
        f"iterations as in an earlier script of it (the paper says 2,000), after {WARM_UP:,} steps of Adam, which "
        "neither states for this map: of the lengths tried, the one that comes nearest to the published values."
    ),
    profiles={
        "smoke": Reduction(
            why=SMOKE,
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
            why=SMOKE,
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


def panel_of(system: str, name: str, *, pairs: tuple[tuple[float, int], ...] | None = None) -> Sweep:
    """One panel, or a variant of it on some of its cells."""
    axes, row = AXES[system], table2.row(name, system)
    grid = {"coefficients": axes.coefficients, "n_data": axes.n_data} if pairs is None else {"pairs": pairs}
    parts = {
        "smoke": {"coefficients": axes.smoke_coefficients, "n_data": axes.smoke_n_data},
        "laptop": {"coefficients": axes.laptop_coefficients, "n_data": axes.laptop_n_data},
    }
    cells = f"{len(axes.laptop_coefficients)} coefficients x {len(axes.laptop_n_data)} amounts of data"
    if pairs is not None:
        parts, cells = {"smoke": {"pairs": pairs[:2]}, "laptop": {}}, "All of its cells"
    return Sweep(
        id=f"pinn/{system}/{name}",
        title=f"PINN, {system}: {row.words}",
        system=system,
        seeds=SEEDS,
        strategy=row.paper,
        setup=PINNSetup(collocation=row.collocation),
        reading=f"{row.reading} Axes: {row.axes or axes.origin}.",
        profiles={
            "smoke": Reduction(why=SMOKE, n_seeds=2, strategy=row.smoke, **parts["smoke"]),
            "laptop": Reduction(
                why=f"{cells}, {row.cut}.",
                n_seeds=row.laptop_seeds,
                strategy=None if row.laptop == row.paper else row.laptop,
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


def damping_study(damping: float) -> Sweep:
    """NysNewton-CG with one damping on the two cells."""
    row = table2.row("nncg", "convection")
    return replace(
        panel_of("convection", "nncg", pairs=DAMPING_PAIRS),
        id=f"pinn/convection/nncg-damping-{damping:g}",
        title=f"PINN, convection: NysNewton-CG with damping {damping:g}, on two cells",
        strategy=damped(row.paper, damping),
        reading="The damping decides success, says the author of the method; this measures its effect.",
        profiles={
            "smoke": Reduction(why=SMOKE, n_seeds=2, strategy=damped(row.smoke, damping)),
            "laptop": Reduction(
                why="Both cells, two seeds and the budget of the panel.",
                n_seeds=row.laptop_seeds,
                strategy=damped(row.laptop, damping),
            ),
            "paper": Reduction(why="Both cells with five seeds and the full budget; wants a GPU."),
        },
    )


DAMPING_STUDY = tuple(damping_study(damping) for damping in DAMPINGS)

# --- Fig. 1(d), Fig. 1(e) and Fig. 3(k)-(o): the pendulum; both axes are the ticks of Fig. 1 ---
PENDULUM_AXES = {
    # N = 365.5 and so on are horizons over dt, of T = linspace(1, 20, 12); a horizon holds that many states, rounded up.
    "node": ((1.0, 1.2, 2.0, 2.9, 5.5, 8.0, 12.0, 15.0), (20, 70, 119, 169, 218, 267, 317, 366)),
    "pinode": ((1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 15.0), (20, 40, 100, 160, 200, 240, 300, 400)),
}
# The paper says three seeds, the released code lists these five.
PENDULUM_SEEDS = (3, 4, 5, 6, 7)
SETUPS = {
    "node": NeuralODESetup(representation="sphere"),
    "pinode": NeuralODESetup(physics=True),
}


def pendulum(family: str, name: str, *, variant: str = "", setup: NeuralODESetup | None = None, reading: str = "") -> Sweep:
    """One panel of the pendulum, or a variant of it."""
    row, (coefficients, n_data) = table4.ROWS[name], PENDULUM_AXES[family]
    return Sweep(
        id=f"{family}/pendulum/{variant or name}",
        title=f"{family.upper()}, pendulum: {row.words}",
        system="pendulum",
        coefficients=coefficients,
        n_data=n_data,
        seeds=PENDULUM_SEEDS,
        setup=setup or SETUPS[family],
        strategy=row.paper,
        reading=f"{reading or row.reading} {table4.STEPS_READING}.",
        profiles={
            "smoke": Reduction(why=SMOKE, coefficients=coefficients[::7], n_data=n_data[:2], n_seeds=2, strategy=row.smoke),
            "laptop": "paper",
            "paper": Reduction(why="The whole published grid with five seeds: minutes on two processor cores."),
        },
    )


PENDULUM = (
    pendulum("node", "adam"),
    *(pendulum("pinode", name) for name in ("adam", "lbfgs", "alm", "nncg", "cl")),
    # Other readings: Adam as the text has it, and with own batches; the angle instead of the sphere; the equation without its
    # factor, or left out; half of Adam's epochs, alone and with NNCG after them; NNCG that moves
    *(pendulum(family, name) for name in ("adam-plain", "adam-own") for family in ("node", "pinode")),
    pendulum(
        "node",
        "adam",
        variant="adam-raw",
        setup=NeuralODESetup(),
        reading="The network sees angle and angular velocity, as the released code has it for PINODE, not the sphere.",
    ),
    pendulum(
        "pinode",
        "adam",
        variant="adam-unscaled",
        setup=NeuralODESetup(physics=True, scaled=False),
        reading="The physics term without the factor dt^2, as in the paper's equation 10.",
    ),
    pendulum(
        "pinode",
        "adam",
        variant="adam-data",
        setup=NeuralODESetup(),
        reading="The same without the physics term: what the equation adds is the difference.",
    ),
    pendulum("pinode", "adam-half"),
    pendulum("pinode", "nncg-adam"),
    pendulum("pinode", "nncg-tight"),
)

SWEEPS: dict[str, Sweep] = {
    sweep.id: sweep
    for sweep in (
        *(PANEL, *OTHER_PANELS, LITERAL, *WARM_UP_STUDY, *NNCG_BASES, ALM_PDE, ROPINN_GRID, *DAMPING_STUDY),
        *PENDULUM,
    )
}


_OWN: dict[str, Sweep] = {}


def register(*sweeps: Sweep) -> Sweep:
    """Adds sweeps of one's own to the catalog of this process, so that they can be named by their ids.

    Returns:
        The last one.

    Raises:
        UserError: if one is none, or another sweep has its id; then none is added.
    """
    known = {**SWEEPS, **_OWN}
    for sweep in sweeps:
        if not isinstance(sweep, Sweep):
            raise UserError(f"{sweep!r} is not a sweep; make one with Sweep(id=..., system=..., strategy=..., ...)")
        if known.setdefault(sweep.id, sweep) != sweep:
            raise UserError(f"another sweep is called {sweep.id} already; give yours another id")
    _OWN.update({sweep.id: sweep for sweep in sweeps})
    return sweeps[-1]


def ids() -> tuple[str, ...]:
    """The ids of all sweeps, those of one's own last."""
    return (*SWEEPS, *(name for name in _OWN if name not in SWEEPS))


def get(sweep: Sweep | str) -> Sweep:
    """The sweep of that id; a sweep is given back as it is.

    Raises:
        UserError: if there is none; the nearest ids are offered.
    """
    if isinstance(sweep, Sweep):
        return sweep
    if not isinstance(sweep, str):
        raise UserError(f"sweep={sweep!r} is not a sweep; give an id such as 'pinn/convection/lbfgs', or a Sweep of your own")
    found = SWEEPS.get(sweep) or _OWN.get(sweep)
    if found is None:
        raise unknown("sweep", sweep, ids())
    return found
