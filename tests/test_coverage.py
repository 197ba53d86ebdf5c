"""How much of the paper's figures is stored, on folders whose content is known."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sciml_lib import chapters, sweeps
from sciml_lib.ledger import coverage as module
from sciml_lib.ledger.coverage import FIGURES, STATUSES, Part, coverage
from sciml_lib.sweeps import catalog

LONE = "pinn/convection/lbfgs"


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Part:
    """A sweep of four cells and three seeds that trains in a moment; `smoke` has another budget."""
    from sciml_lib import Adam, Reduction, Strategy, Sweep
    from sciml_lib.sweeps import PINNSetup

    profiles = {
        "smoke": Reduction("For tests.", n_seeds=1, strategy=Strategy((Adam(1),))),
        "laptop": Reduction("For tests.", n_data=(10,)),
        "half": Reduction("For tests.", strategy=Strategy((Adam(2),))),
        "paper": Reduction("For tests."),
    }
    sweep = Sweep(
        id="pinn/convection/tiny-map", title="Tiny", system="convection", coefficients=(5.0, 6.0), n_data=(10, 20),
        seeds=(0, 1, 2), strategy=Strategy((Adam(3),)), setup=PINNSetup(hidden=(3,)), profiles=profiles,
    )  # fmt: skip
    monkeypatch.setitem(catalog.SWEEPS, sweep.id, sweep)
    return Part("0(a)", "Tiny", "start/three_regimes", (sweep.id,))


def status(part: Part, runs: Path) -> dict[str, object]:
    return coverage([part], runs).loc[part.figure].to_dict()


def test_a_map_is_whole_with_three_seeds_of_every_cell(tiny: Part, tmp_path: Path) -> None:
    (name,) = tiny.sweeps
    assert status(tiny, tmp_path)["status"] == "not run"
    sweeps.run(name, "smoke", runs=tmp_path, device="cpu", progress=False)
    assert status(tiny, tmp_path)["status"] == "not run"  # which never counts
    sweeps.run(name, "half", runs=tmp_path, device="cpu", progress=False)
    found = status(tiny, tmp_path)
    assert (found["status"], found["stored"], found["planned"], found["reduced"]) == ("reduced", 0, 12, 12)
    sweeps.run(name, "laptop", runs=tmp_path, device="cpu", progress=False)
    found = status(tiny, tmp_path)
    assert (found["status"], found["stored"], found["cells"], found["all_cells"], found["seeds"]) == ("part", 6, 2, 4, 3)
    sweeps.run(name, "paper", runs=tmp_path, device="cpu", seeds=2, progress=False)
    assert (status(tiny, tmp_path)["status"], status(tiny, tmp_path)["seeds"]) == ("part", 2)
    sweeps.run(name, "paper", runs=tmp_path, device="cpu", progress=False)
    assert (status(tiny, tmp_path)["status"], status(tiny, tmp_path)["stored"]) == ("whole", 12)


def test_a_study_counts_its_items(tmp_path: Path) -> None:
    part = Part("0(b)", "Spectra", study="spectra", cells=((LONE, 5.0, 100),))
    assert status(part, tmp_path)["status"] == "not run"
    folder = tmp_path / "studies" / "spectra" / "laptop"
    folder.mkdir(parents=True)
    names = [f"pinn-convection-lbfgs_c5_n100_s{seed}_{when}.npz" for seed in range(3) for when in ("before", "after")]
    for k, file in enumerate(names):
        (folder / file).touch()
        assert status(part, tmp_path)["status"] == ("whole" if k == 5 else "part")
    aside = Part("0(c)", "Spectra", study="spectra", cells=((LONE, 5.0, 100),), aside="elsewhere")
    assert (status(aside, tmp_path)["status"], status(aside, tmp_path)["why"]) == ("part", "elsewhere")


def test_every_figure_of_the_paper_is_listed_once() -> None:
    names = [part.figure for part in FIGURES]
    assert len(set(names)) == len(names)
    assert list(dict.fromkeys(int(re.match(r"\d+", name)[0]) for name in names)) == list(range(1, 17))
    for part in FIGURES:
        assert bool(part.missing) != bool(part.sweeps or part.study), part
        assert all(name in catalog.SWEEPS for name in part.sweeps)
        assert not part.chapter or (chapters.ROOT / "book" / f"{part.chapter}.py").is_file()
    assert set(coverage().status) <= set(STATUSES) and module.LEAST_SEEDS == 3
