"""The register of differences between paper and code, and what one sweep changes against another, on known runs."""

from __future__ import annotations

from pathlib import Path

import made_runs
import numpy as np
import pytest

from sciml_lib import chapters
from sciml_lib.analysis import effects
from sciml_lib.analysis.effects import compare
from sciml_lib.errors import UserError
from sciml_lib.ledger import differences
from sciml_lib.ledger.differences import COLUMNS, FAMILIES
from sciml_lib.ledger.records import lines_of
from sciml_lib.panels import Panel
from sciml_lib.sweeps import catalog

BASE, OTHER = "pinn/convection/lbfgs", "pinn/convection/lbfgs-literal"
GOOD = {
    "id": "pinn-d1", "family": "pinn", "subject": "layers", "place": "Table 2", "paper": "four", "code": "three",
    "follows": "code", "why": "it drew the maps", "measured": f"{BASE} > {OTHER}", "chapter": "", "reason": "",
}  # fmt: skip


def written(folder: Path, *changes: dict[str, str], columns: tuple[str, ...] = COLUMNS) -> Path:
    """A register with a line for each set of changes to a good one."""
    path = folder / "register.csv"
    lines = [",".join(f'"{(GOOD | change)[name]}"' for name in columns) for change in changes]
    path.write_text("\n".join([",".join(columns), *lines]) + "\n", encoding="utf-8")
    return path


# --- the register ---------------------------------------------------------------------------------------------


def test_the_register_of_the_library_is_in_order() -> None:
    register = differences.read()
    assert len(register) > 50 and {one.family for one in register} == set(FAMILIES)
    for one in register:
        assert not one.chapter or (chapters.ROOT / "book" / f"{one.chapter}.py").is_file(), one
        assert "|" not in "".join((one.subject, one.paper, one.code, one.why, one.reason)), "it would break a table"
    measured = {name for one in register for pair in one.measured for name in pair}
    assert {"node/pendulum/adam-own", "pinn/convection/alm-pde", "pinn/convection/warmup-0"} <= measured


def test_the_data_of_the_ledger_come_with_the_package() -> None:
    import tomllib

    declared = tomllib.loads((chapters.ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["sciml_lib"]
    assert "ledger/data/*" in declared


def test_a_good_line_is_read(tmp_path: Path) -> None:
    (one,) = differences.read(written(tmp_path, {}))
    assert one.measured == ((BASE, OTHER),) and (one.id, one.follows, one.why) == ("pinn-d1", "code", "it drew the maps")
    several = {"measured": f"{BASE} > {OTHER}; {BASE}>pinn/convection/warmup-0"}
    assert differences.read(written(tmp_path, several))[0].measured[1] == (BASE, "pinn/convection/warmup-0")
    assert differences.read(written(tmp_path, {"follows": "none", "why": "", "measured": "", "reason": "no part"}))[0].why == ""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        *(({name: " "}, f"has no {name}; fill it in") for name in COLUMNS[:8]),
        ({"id": "PINN 1"}, "has the id 'PINN 1'; write small letters"),
        ({"family": "pinns"}, "has family='pinns'; write one of pinn, pendulum"),
        ({"follows": "us"}, "has follows='us'; write one of paper, code"),
        ({"measured": BASE}, r"has measured='pinn/convection/lbfgs'; write two sweeps as base > other"),
        (
            {"measured": f"{BASE} > pinn/convection/lbfgs-litteral"},
            ": unknown sweep .*did you mean",
        ),
        ({"reason": "too dear"}, "has sweeps that measure it and a reason why none does"),
        ({"measured": ""}, "has neither sweeps that measure it, nor a chapter, nor a reason"),
    ],
)
def test_a_line_that_is_not_in_order_is_named(change: dict[str, str], said: str, tmp_path: Path) -> None:
    other = {"id": "pinn-d2"}
    with pytest.raises(UserError, match=rf"register.csv, line 3:? ?{said}"):
        differences.read(written(tmp_path, other, change))


def test_an_id_that_is_given_twice_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"register\.csv, line 3 has the id pinn-d1 a second time"):
        differences.read(written(tmp_path, {}, {}))


def test_other_columns_and_short_lines_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"register\.csv, line 1 must name the columns id,family"):
        differences.read(written(tmp_path, {}, columns=COLUMNS[:-1]))
    path = tmp_path / "short.csv"
    path.write_text(",".join(COLUMNS) + "\npinn-d1,pinn\n")
    with pytest.raises(UserError, match=r"short\.csv, line 2 has 2 entries and not 11"):
        differences.read(path)
    with pytest.raises(UserError, match="is missing; restore it"):
        lines_of(tmp_path / "nothing.csv", COLUMNS)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match=r"short\.csv is not a table"):
        differences.read(path)


# --- one sweep against another --------------------------------------------------------------------------------


def made(sweep: str, train: made_runs.Number, test: made_runs.Number, n_seeds: int | None = None) -> Panel:
    profile = "paper" if "pendulum" in sweep else "laptop"
    return Panel(made_runs.runs(sweep, profile, train, test, n_seeds))


LOW = 1e-5


def test_a_sweep_does_not_differ_from_itself() -> None:
    panel = made(BASE, made_runs.steep(25.0), made_runs.few)
    found = compare(panel, panel)
    assert (found.test_ratio, found.train_ratio, found.changed, found.runs_changed, found.share) == (1.0, 1.0, 0, 0, 0.0)
    assert found.cells == len(panel.plan.pairs) and found.runs == len(panel.plan.cells) and found.seeds == 3
    assert found.kappa[0] == found.kappa[1] == panel.agreement.kappa and found.legible == panel.agreement.n


def test_ratios_and_labels_are_those_of_common_cells_and_seeds() -> None:
    """The literal map has four amounts of data and two seeds; the third seed of the other would change every mean."""
    base = made(BASE, lambda c, n, s: LOW if s < 2 else 1.0, lambda c, n, s: 0.01 if s < 2 else 9.0)
    other = made(OTHER, lambda c, n, s: 1e-2 if c >= 50 else 3 * LOW, lambda c, n, s: 0.02)
    found = compare(base, other)
    assert (found.cells, found.seeds, found.runs) == (48, 2, 96)
    assert found.test_ratio == pytest.approx(2.0) and found.train_ratio == pytest.approx(3.0)
    assert (found.changed, found.runs_changed) == (8, 16) and found.share == pytest.approx(8 / 48)  # beta = 50 and 70
    assert found.regimes == ((48, 0, 0), (40, 8, 0))


def test_one_bad_seed_moves_a_cell_and_one_run() -> None:
    base = made(BASE, lambda *_: LOW, lambda *_: 0.01)
    other = made(OTHER, lambda c, n, s: 1.0 if (c, n, s) == (5.0, 100, 1) else LOW, lambda *_: 0.01)
    found = compare(base, other)
    assert (found.changed, found.runs_changed, found.train_ratio) == (1, 1, 1.0)


def test_the_thresholds_of_the_first_judge_both() -> None:
    """A loss between the thresholds of L-BFGS (3.8e-3) and those of ALM (3.34e-2) is high in one direction only."""
    lbfgs, alm = (made(f"pinn/convection/{name}", lambda *_: 1e-2, lambda *_: 0.01) for name in ("lbfgs", "alm"))
    cells = compare(lbfgs, alm).cells
    assert compare(lbfgs, alm).regimes == ((0, cells, 0),) * 2 and compare(alm, lbfgs).regimes == ((cells, 0, 0),) * 2


def test_losses_with_other_units_are_not_compared_but_errors_are() -> None:
    base = made_runs.pendulum("adam", lambda *_: 1e-7, lambda *_: 0.5)
    for variant in ("adam-unscaled", "adam-data"):
        found = compare(base, made_runs.pendulum(variant, lambda *_: 1e-3, lambda *_: 1.0))
        assert found.test_ratio == 2.0 and np.isnan(found.train_ratio) and np.isnan(found.share)
        assert found.changed is found.runs_changed is found.regimes is None
    assert compare(base, made_runs.pendulum("lbfgs", lambda *_: 1e-7)).changed == 0
    where = made("pinn/convection/ropinn-grid", lambda *_: LOW, lambda *_: 0.01)  # other points, the same loss
    assert compare(made("pinn/convection/ropinn", lambda *_: LOW, lambda *_: 0.01), where).changed == 0


def test_a_run_that_diverged_changes_the_regime_and_no_ratio() -> None:
    base = made(BASE, lambda *_: LOW, lambda *_: 0.01)
    data = made_runs.runs(OTHER, "laptop", lambda *_: LOW, lambda *_: 0.01)
    data["train_loss"][0, 0, 0], data["test_error"][0, 0, 0], data["status"][0, 0, 0] = np.nan, np.nan, "diverged"
    found = compare(base, Panel(data))
    assert (found.changed, found.runs_changed, found.train_ratio, found.test_ratio) == (1, 1, 1.0, 1.0)


def test_kappa_is_that_of_the_published_sweep_on_enough_cells() -> None:
    study = [made(f"pinn/convection/warmup-{n}", lambda *_: LOW, made_runs.few) for n in (0, 2000)]
    assert compare(*study).legible == 0 and np.isnan(compare(*study).kappa).all()  # no published map is theirs
    panel = made(BASE, lambda *_: LOW, made_runs.few)
    few = compare(panel, study[0])
    assert 0 < few.legible < effects.FEWEST and np.isnan(few.kappa).all()


def test_sweeps_without_a_common_run_or_equation_are_refused() -> None:
    panel = made(BASE, lambda *_: LOW, lambda *_: 0.01)
    empty = Panel(panel.runs.assign(status=panel.runs["status"].where(False, "")))
    with pytest.raises(UserError, match="have no run in common; compare sweeps that share"):
        compare(panel, empty)
    with pytest.raises(UserError, match="maps of convection and reaction"):
        compare(panel, made("pinn/reaction/lbfgs", lambda *_: LOW, lambda *_: 0.01, 2))


# --- effects of the register ----------------------------------------------------------------------------------


def test_an_effect_is_computed_where_both_sweeps_are_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = {
        BASE: made(BASE, lambda *_: LOW, lambda *_: 0.01),
        OTHER: made(OTHER, lambda *_: 1.0, lambda *_: 0.03),
    }
    monkeypatch.setattr(Panel, "stored", lambda sweep, runs=None: there.get(sweep))
    own = "pinode/pendulum/adam > node/pendulum/adam-own"
    rows = differences.effects(differences.read(written(tmp_path, {}, {"id": "pinn-d2", "measured": own})))
    first, second = rows.to_dict("records")
    assert first["missing"] == () and (first["changed"], first["cells"], first["share"]) == (48, 48, 1.0)
    assert first["test_ratio"] == pytest.approx(3.0)
    assert second["missing"] == ("pinode/pendulum/adam", "node/pendulum/adam-own") and np.isnan(second["share"])


def test_in_an_empty_folder_nothing_is_measured_and_nothing_fails(tmp_path: Path) -> None:
    found = differences.effects(differences.read(), tmp_path)
    assert (found["missing"].str.len() > 0).all() and found["test_ratio"].isna().all()


# --- what is stored -------------------------------------------------------------------------------------------


def test_stored_runs_are_read_and_never_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sciml_lib import Adam, Reduction, Strategy, Sweep, sweeps
    from sciml_lib.sweeps import PINNSetup

    profiles = {"laptop": Reduction("For tests.", n_data=(10,)), "paper": Reduction("For tests.")}
    sweep = Sweep(
        id="pinn/convection/tiny-stored", title="Tiny", system="convection", coefficients=(5.0, 6.0), n_data=(10, 20),
        seeds=(0, 1), strategy=Strategy((Adam(3),)), setup=PINNSetup(hidden=(3,)), profiles=profiles,
    )  # fmt: skip
    monkeypatch.setitem(catalog.SWEEPS, sweep.id, sweep)
    assert Panel.stored(sweep.id, tmp_path) is None and not list(tmp_path.rglob("*.csv"))
    sweeps.run(sweep.id, "laptop", runs=tmp_path, device="cpu", progress=False)
    panel = Panel.stored(sweep.id, tmp_path)
    assert panel.runs.attrs["profile"] == "laptop" and panel.runs.sizes["n_data"] == 1
    sweeps.run(sweep.id, "paper", runs=tmp_path, device="cpu", progress=False)
    grown = Panel.stored(sweep.id, tmp_path)
    assert grown.runs.attrs["profile"] == "paper" and grown.plan.profile == "paper" and grown.folder == str(tmp_path)
    assert Panel.stored(sweep.id, tmp_path, grown=False).runs.sizes["n_data"] == 1
    with pytest.raises(UserError, match="unknown sweep"):
        Panel.stored("pinn/convection/tiny", tmp_path)


def test_a_study_of_which_nothing_is_stored_is_none_and_nothing_is_written(tmp_path: Path) -> None:
    from sciml_lib import studies

    assert studies.stored(studies.get("spectra"), runs=tmp_path) is None and not list(tmp_path.rglob("*"))
    assert len(studies.stored(studies.get("spectra")).items) > 0
