"""Every figure of the paper, part by part, and how much of it was run: counted from what is stored, and never typed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from sciml_lib import studies, sweeps
from sciml_lib.studies.base import folder_of
from sciml_lib.sweeps import Job, catalog

STATUSES = ("whole", "part", "reduced", "not run")
"""How much of a part was run: all of the paper's runs; some of them; runs with a smaller budget; none."""

LEAST_SEEDS = 3
"""So many seeds of every cell make a map whole: what the paper says of its own maps (section 2.4)."""


@dataclass(frozen=True)
class Part:
    """A panel of a figure of the paper, or several that belong together.

    Attributes:
        figure: number and letters, as in ``1(a)``.
        words: what it shows.
        chapter: the chapter of this book that takes it up, as a path below ``book/``; empty if none does.
        sweeps: ids of the maps that it is drawn from.
        study: id of the study that it is drawn from.
        cells: of a study, the cells of this part, as (sweep, coefficient, n_data); all if empty.
        missing: why nothing of it was run; empty if something was.
        aside: what is done differently, as a part of a sentence.
    """

    figure: str
    words: str
    chapter: str = ""
    sweeps: tuple[str, ...] = ()
    study: str = ""
    cells: tuple[tuple[str, float, int], ...] = ()
    missing: str = ""
    aside: str = ""


NO_OPERATORS = "no run of an operator network (FNO, PINO) is stored yet"
NO_RESNET = "an image classifier is no part of this book"
CONVECTION, DIFFUSION = "pinn/convection/lbfgs", "pinn/reaction-diffusion/lbfgs"

FIGURES = (
    Part("1(a)", "PINN, convection", "regimes/pinn_convection", (CONVECTION,)),
    Part("1(b)", "FNO, Poisson", missing=NO_OPERATORS),
    Part("1(c)", "PINO, Darcy flow", missing=NO_OPERATORS),
    Part("1(d)", "NODE, pendulum", "regimes/model_families", ("node/pendulum/adam",)),
    Part("1(e)", "PINODE, pendulum", "regimes/model_families", ("pinode/pendulum/adam",)),
    *(
        Part(f"2({letter})", f"PINN with L-BFGS, {system}", "regimes/pinn_physics", (f"pinn/{system}/lbfgs",))
        for letter, system in zip("abcd", catalog.AXES, strict=True)
    ),
    *(
        Part(f"3({letter})", f"PINN, convection, {words}", "regimes/pinn_strategies", (f"pinn/convection/{name}",))
        for letter, (name, words) in zip(
            "abcde",
            {"ropinn": "RoPINN", "lbfgs": "L-BFGS", "alm": "ALM", "nncg": "NNCG", "cl": "CL"}.items(),
            strict=True,
        )
    ),
    Part("3(f)-(j)", "PINO, Darcy flow, five trainings", missing=NO_OPERATORS),
    *(
        Part(f"3({letter})", f"PINODE, pendulum, {words}", "regimes/pinode_strategies", (f"pinode/pendulum/{name}",))
        for letter, (name, words) in zip(
            "klmno",
            {"adam": "Adam", "lbfgs": "L-BFGS", "alm": "ALM", "nncg": "NNCG", "cl": "CL"}.items(),
            strict=True,
        )
    ),
    *(
        Part(f"4({letters})", f"NNCG over L-BFGS, {system}", "regimes/pinn_strategies", (f"pinn/{system}/nncg",))
        for letters, system in (("a, b", "convection"), ("c, d", "reaction"))
    ),
    Part(
        "5(a, b)", "Loss surfaces, PINN", "landscapes/rugged_surfaces", study="surfaces",
        cells=((CONVECTION, 5.0, 100), (CONVECTION, 50.0, 500)),
    ),
    Part("5(c, d)", "Loss surfaces, FNO", missing=NO_OPERATORS),
    Part("5(e)", "Loss surface, ResNet", missing=NO_RESNET),
    Part(
        "6(a, b)", "Hessian spectra, PINN", "landscapes/spectra", study="spectra",
        cells=((CONVECTION, 5.0, 100), (CONVECTION, 50.0, 500)),
    ),
    Part("6(c, d)", "Hessian spectra, FNO", missing=NO_OPERATORS),
    Part("6(e)", "Hessian spectrum, ResNet", missing=NO_RESNET),
    Part("7", "Sharpness along training", "landscapes/sharpness", study="trajectories", cells=((CONVECTION, 5.0, 15_000),)),
    *(
        Part(f"{figure}({letter})", f"PINN with {words}, {system}", "regimes/pinn_physics", (f"pinn/{system}/{name}",))
        for figure, name, words in (("8", "alm", "ALM"), ("9", "ropinn", "RoPINN"))
        for letter, system in zip("abcd", catalog.AXES, strict=True)
    ),
    Part("10(a, b)", "FNO, Poisson and advection-diffusion", missing=NO_OPERATORS),
    Part("11(a)", "Deceptive sharpness, FNO", missing=NO_OPERATORS),
    Part("11(b)", "Deceptive flatness, PINN", "landscapes/flatness", (DIFFUSION,)),
    Part(
        "12", "Sharpness along training, four cells", "landscapes/sharpness", study="trajectories",
        cells=tuple((CONVECTION, beta, n) for beta in (5.0, 50.0) for n in (100, 1000)),
    ),
    Part(
        "13", "Surfaces and spectra, reaction-diffusion", "landscapes/spectra", study="spectra",
        cells=((DIFFUSION, 5.0, 1000), (DIFFUSION, 15.0, 1000)),
    ),
    Part(
        "14", "Exponents of step lengths", "landscapes/barrier", study="jumps",
        aside="the half with PINNs; the other half is an image classifier",
    ),
    Part(
        "15", "A curve from L-BFGS to ALM", "landscapes/barrier", study="curves",
        aside="on the paper's cell from the start of ALM itself, else on other cells",
    ),
    Part(
        "16(a, b)", "Spectra by regime, few points", "landscapes/spectra", study="spectra",
        cells=((CONVECTION, 5.0, 100), (CONVECTION, 50.0, 100)),
    ),
    Part(
        "16(c, d)", "Spectra by regime, many points", "landscapes/spectra", study="spectra",
        cells=((CONVECTION, 5.0, 2000), (CONVECTION, 50.0, 2000)), aside="with 2,000 points where the paper has 20,000",
    ),
    Part("16(e)", "Spectrum, ResNet", missing=NO_RESNET),
)  # fmt: skip
"""The figures of the paper (arXiv version), in their order."""


def coverage(parts: Sequence[Part] = FIGURES, runs: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """How much of each part is stored.

    Args:
        parts: of the paper's figures.
        runs: the folder of all stores; by default see :func:`~sciml_lib.sweeps.places.runs_folder`.

    Returns:
        One row a part, by its figure: ``words``, ``chapter``, ``status`` (one of :data:`STATUSES`), ``stored`` and
        ``planned`` (the paper's runs of a map; items of a study), ``cells`` and ``all_cells`` of a map that have a run of the
        paper's recipe, ``seeds`` (the least number that such a cell has), ``reduced`` (runs with a smaller budget), and
        ``why``, a reason or an aside.

    Raises:
        UserError: if a store is not in order.
    """
    rows = {}
    for part in parts:
        found = _of_maps(part, runs) if part.sweeps else _of_study(part, runs) if part.study else {"status": "not run"}
        said = {"words": part.words, "chapter": part.chapter, "why": part.missing or part.aside}
        rows[part.figure] = said | found
    columns = ["words", "chapter", "status", "stored", "planned", "cells", "all_cells", "seeds", "reduced", "why"]
    return pd.DataFrame.from_dict(rows, orient="index").reindex(columns=columns)


def _of_maps(part: Part, runs: str | os.PathLike[str] | None) -> dict[str, object]:
    """Counts the runs of maps: those of the paper's recipe, in whatever profile, and those with another one."""
    stored, planned, reduced, cells, all_cells, seeds = 0, 0, 0, 0, 0, []
    for name in part.sweeps:
        sweep = catalog.get(name)
        plan = sweep.at("paper")
        full: set[object] = set()
        for profile in dict.fromkeys(sweep.at(p).profile for p in sweep.profiles if p != "smoke"):
            other = sweep.at(profile)
            done = sweeps.read(Job(other, runs)).done
            if other.hash == plan.hash:
                full |= done
            else:
                reduced += len(done)
        by_cell = {pair: sum((*pair, seed) in full for seed in plan.seeds) for pair in plan.pairs}
        seeds += [n for n in by_cell.values() if n]
        stored, planned = stored + len(full), planned + len(plan.cells)
        cells, all_cells = cells + sum(n > 0 for n in by_cell.values()), all_cells + len(by_cell)
    least = min(seeds, default=0)
    whole = cells == all_cells and least >= LEAST_SEEDS
    status = "whole" if whole else "part" if stored else "reduced" if reduced else "not run"
    counted = {"stored": stored, "planned": planned, "cells": cells, "all_cells": all_cells}
    return {"status": status, **counted, "seeds": least, "reduced": reduced}


def _of_study(part: Part, runs: str | os.PathLike[str] | None) -> dict[str, object]:
    """Counts the items of a study that belong to a part."""
    study = studies.get(part.study)
    wanted = [
        item for item in study.items("laptop") if not part.cells or (item.sweep, item.coefficient, item.n_data) in part.cells
    ]
    folder = folder_of(study, "laptop", runs)
    stored = sum((folder / f"{item.key}.npz").is_file() for item in wanted)
    seeds = len({item.seed for item in wanted})
    status = (
        "not run" if not stored else "whole" if stored == len(wanted) and seeds >= LEAST_SEEDS and not part.aside else "part"
    )
    return {"status": status, "stored": stored, "planned": len(wanted), "seeds": seeds, "reduced": 0}
