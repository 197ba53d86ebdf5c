"""The store: round trip, every kind of damage, the lock between processes, a full disk."""

from __future__ import annotations

import json
import math
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from sciml_lib.errors import UserError
from sciml_lib.strategies import LBFGS, MemberResult, Strategy
from sciml_lib.sweeps import catalog, store
from sciml_lib.sweeps.job import Job
from sciml_lib.sweeps.rows import Row
from sciml_lib.sweeps.setups import PINNSetup
from sciml_lib.sweeps.spec import Plan, Reduction, Sweep
from sciml_lib.sweeps.store import Writer

P = 2 * 4 + 4 + 4 + 1
SWEEP = Sweep(
    id="pinn/convection/tiny",
    title="Tiny",
    system="convection",
    coefficients=(0.5, 5.0),
    n_data=(10, 20),
    seeds=(0, 1),
    setup=PINNSetup(hidden=(4,)),
    strategy=Strategy((LBFGS(max_iterations=3),)),
    reading="None.",
    profiles={"smoke": Reduction(why="For tests."), "laptop": Reduction(why="For tests.", keep_seeds=1)},
)


def result(value: float = 0.1, status: str = "converged_change") -> MemberResult:
    losses = {"residual": value, "boundary": value / 3, "initial": value / 7}
    return MemberResult(
        params=torch.full((P,), value),
        status=status,
        train_loss=sum(losses.values()),
        terms=losses,
        test_error=value,
        iterations=12,
        evaluations=15,
        seconds=1.23456,
    )


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweep is part of the catalog, so that commands name it."""
    monkeypatch.setitem(catalog.SWEEPS, SWEEP.id, SWEEP)


def job(runs: Path, plan: Plan | None = None) -> Job:
    return Job(plan or SWEEP.at("smoke"), runs, "cpu")


def write(runs: Path, count: int = 8, plan: Plan | None = None) -> Path:
    plan = plan or SWEEP.at("smoke")
    with Writer(job(runs, plan)) as writer:
        for i, cell in enumerate(plan.cells[:count]):
            assert writer.add(cell, result(0.1 + i / 3))
    return job(runs, plan).folder


def test_what_is_written_is_read_back_exactly(tmp_path: Path) -> None:
    plan = SWEEP.at("smoke")
    write(tmp_path, 8)
    rows = store.read(job(tmp_path, plan)).rows
    assert [row.cell for row in rows] == list(plan.cells)
    assert rows[2] == Row.of(plan.cells[2], result(0.1 + 2 / 3), "cpu")
    assert rows[2].seconds == 1.235


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e-300, 0.0, 1 / 3])
def test_losses_of_diverged_members_come_back(tmp_path: Path, value: float) -> None:
    plan = SWEEP.at("smoke")
    with Writer(job(tmp_path, plan)) as writer:
        writer.add(plan.cells[0], result(value, "diverged"))
    (row,) = store.read(job(tmp_path, plan)).rows
    np.testing.assert_equal(row.train_loss, result(value).train_loss)
    np.testing.assert_equal(row.terms["residual"], value)
    np.testing.assert_equal(row.test_error, value)
    assert row.status == "diverged"


def test_a_row_is_never_written_twice(tmp_path: Path) -> None:
    plan = SWEEP.at("smoke")
    folder = write(tmp_path, 3)
    before = (folder / "cells.csv").read_bytes()
    with Writer(job(tmp_path, plan)) as writer:
        assert not writer.add(plan.cells[1], result(9.0))
    assert (folder / "cells.csv").read_bytes() == before


def test_parameters_are_kept_before_and_after_packing(tmp_path: Path) -> None:
    plan = SWEEP.at("smoke")
    folder = write(tmp_path, 3)
    before = store.read_params(job(tmp_path), 10)
    assert sorted(before) == ["c0.5_s0", "c0.5_s1", "c5_s0"]
    with Writer(job(tmp_path, plan)) as writer:
        writer.pack(10)
        writer.pack(20)
    after = store.read_params(job(tmp_path), 10)
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value)
    np.testing.assert_array_equal(after["c5_s0"], np.full(P, 0.1 + 2 / 3, dtype=np.float32))
    assert not (folder / "arrays/n20.npz").exists()


def test_only_the_kept_seeds_leave_parameters(tmp_path: Path) -> None:
    plan = SWEEP.at("laptop")
    write(tmp_path, 8, plan)
    assert sorted(store.read_params(job(tmp_path, plan), 20)) == ["c0.5_s0", "c5_s0"]


def test_damaged_parameters_are_refused_before_they_are_overwritten(tmp_path: Path) -> None:
    plan = SWEEP.at("smoke")
    folder = write(tmp_path, 1)
    (folder / "arrays/n10.npz").write_bytes(b"PK nonsense")
    with Writer(job(tmp_path, plan)) as writer, pytest.raises(UserError, match=r"n10\.npz is damaged"):
        writer.add(plan.cells[1], result())
    assert (folder / "arrays/n10.npz").read_bytes() == b"PK nonsense"


@pytest.mark.parametrize("cut", [1, 2, 5, 30])
def test_a_cut_off_line_is_said_left_out_and_mended(tmp_path: Path, cut: int) -> None:
    plan = SWEEP.at("smoke")
    folder = write(tmp_path, 3)
    whole = (folder / "cells.csv").read_bytes()
    (folder / "cells.csv").write_bytes(whole[:-cut])
    with pytest.warns(UserWarning, match="its last line was cut off"):
        assert [row.cell for row in store.read(job(tmp_path, plan)).rows] == list(plan.cells[:2])
    with pytest.warns(UserWarning, match="cut off"), Writer(job(tmp_path, plan)) as writer:
        assert writer.add(plan.cells[2], result(0.1 + 2 / 3))
    assert (folder / "cells.csv").read_bytes() == whole
    assert len(store.read(job(tmp_path, plan)).rows) == 3


def test_zeros_after_a_power_cut_are_left_out(tmp_path: Path) -> None:
    folder = write(tmp_path, 3)
    whole = (folder / "cells.csv").read_bytes()
    (folder / "cells.csv").write_bytes(whole + b"\0" * 100)
    with pytest.warns(UserWarning, match="cut off"):
        assert len(store.read(job(tmp_path)).rows) == 3


def test_a_table_cut_off_in_its_head_begins_anew(tmp_path: Path) -> None:
    plan = SWEEP.at("smoke")
    folder = write(tmp_path, 1)
    whole = (folder / "cells.csv").read_bytes()
    (folder / "cells.csv").write_bytes(whole[:20])
    with pytest.warns(UserWarning, match="cut off"), Writer(job(tmp_path, plan)) as writer:
        writer.add(plan.cells[0], result())
    assert (folder / "cells.csv").read_bytes() == whole


def edit(line: int, old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        lines = text.split("\n")
        assert old in lines[line - 1]
        lines[line - 1] = lines[line - 1].replace(old, new, 1)
        return "\n".join(lines)

    return change


DAMAGE = {
    "a letter in a number": (edit(3, "converged_change,0.", "converged_change,O."), 3, "train_loss='O.*not a number"),
    "a number nudged": (edit(3, "converged_change,0.", "converged_change,1."), 3, "is not the sum"),
    "a negative loss": (edit(2, "converged_change,0.", "converged_change,-0."), 2, "is negative"),
    "NaN as a coordinate": (edit(2, "0.5,10,0", "nan,10,0"), 2, "coefficient='nan' is not finite"),
    "half a seed": (edit(2, "0.5,10,0", "0.5,10,0.5"), 2, "seed='0.5' is not a whole number"),
    "negative points": (edit(2, "0.5,10,0", "0.5,-10,0"), 2, "n_data='-10' is not a whole number"),
    "a cell of another plan": (edit(2, "0.5,10,0", "0.5,10,7"), 2, r"beta=0.5, n_data=10, seed=7 is not in the plan"),
    "a line twice": (lambda text: text + text.split("\n")[1] + "\n", 5, "is already in line 2"),
    "an unknown status": (edit(4, "converged_change", "converged"), 4, "status='converged' is none of"),
    "a run that still runs": (edit(4, "converged_change", "running"), 4, "status='running' is none of"),
    "a field too many": (edit(2, ",cpu", ",cpu,1"), 2, "13 fields are expected, not 14"),
    "an empty line": (lambda text: text.replace("\n", "\n\n", 1), 2, "13 fields are expected, not 1;"),
    "endless seconds": (edit(2, "1.235", "inf"), 2, "seconds='inf' is not finite"),
    "another head": (edit(1, "test_error", "error"), 1, "the columns are not"),
    "no head": (lambda text: text.split("\n", 1)[1], 1, "the columns are not"),
    "a merge conflict": (lambda text: "<<<<<<< HEAD\n" + text, 1, "the columns are not"),
    "another file": (lambda text: "%PDF-1.4", 1, "which is no table of this sweep"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_names_file_line_and_cure_and_changes_nothing(tmp_path: Path, kind: str) -> None:
    change, line, words = DAMAGE[kind]
    plan = SWEEP.at("smoke")
    cells = write(tmp_path, 3) / "cells.csv"
    cells.write_bytes(damaged := change(cells.read_text()).encode())
    for attempt in (lambda: store.read(job(tmp_path, plan)), Writer(job(tmp_path, plan)).__enter__):
        with pytest.raises(UserError, match=words) as caught:
            if kind == "another file":
                with pytest.warns(UserWarning, match="cut off"):
                    attempt()
            attempt()
        assert f"{cells}, line {line}:" in str(caught.value)
        assert "trained again" in str(caught.value)
    assert cells.read_bytes() == damaged


def test_a_table_that_is_no_text_is_refused(tmp_path: Path) -> None:
    cells = write(tmp_path, 3) / "cells.csv"
    cells.write_bytes(cells.read_bytes().replace(b"cpu\n", b"\xff\xfe\n", 1))
    with pytest.raises(UserError, match="line 2: it is not text"):
        store.read(job(tmp_path))


def test_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    cells = write(tmp_path, 3) / "cells.csv"
    cells.write_bytes(cells.read_bytes().replace(b"\n", b"\r\n"))
    assert len(store.read(job(tmp_path)).rows) == 3


def manifest_with(**changes: object) -> Callable[[str], str]:
    return lambda text: json.dumps({**json.loads(text), **changes})


MANIFESTS = {
    "cut off": (lambda text: text[:100], "is damaged.*--restart"),
    "no text": (lambda text: "\x00", "is damaged"),
    "a list": (lambda text: "[]", "is damaged"),
    "a field missing": (manifest_with(blocks=None), "'blocks' is missing"),
    "of another sweep": (manifest_with(sweep="pinn/convection/other"), "belongs to pinn/convection/other"),
    "of another profile": (manifest_with(profile="paper"), "belongs to pinn/convection/tiny, profile paper"),
    "of another specification": (
        manifest_with(spec_hash="0" * 64),
        r"another specification.*`python -m sciml_lib run pinn/convection/tiny --profile smoke --restart --runs .* --device",
    ),
}


@pytest.mark.parametrize("kind", MANIFESTS)
def test_a_manifest_that_does_not_fit_is_refused_with_the_command_that_mends_it(tmp_path: Path, kind: str) -> None:
    change, words = MANIFESTS[kind]
    plan = SWEEP.at("smoke")
    folder = write(tmp_path, 2)
    path = folder / "manifest.json"
    path.write_text(change(path.read_text()))
    kept = {file.name: file.read_bytes() for file in folder.glob("*.*")}
    for attempt in (lambda: store.read(job(tmp_path, plan)), Writer(job(tmp_path, plan)).__enter__):
        with pytest.raises(UserError, match=words):
            attempt()
    assert {file.name: file.read_bytes() for file in folder.glob("*.*")} == kept


def test_the_difference_of_the_specification_is_named(tmp_path: Path) -> None:
    import dataclasses

    write(tmp_path, 1)
    other = dataclasses.replace(SWEEP, setup=PINNSetup(hidden=(5,), data_seed=1))
    with pytest.raises(UserError, match="its model, data_seed differ"):
        store.read(job(tmp_path, other.at("smoke")))


def test_rows_without_a_manifest_are_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, 2)
    (folder / "manifest.json").unlink()
    with pytest.raises(UserError, match=r"has no manifest\.json beside it"):
        store.read(job(tmp_path))


def test_a_longer_plan_goes_on_with_the_same_rows(tmp_path: Path) -> None:
    import dataclasses

    write(tmp_path, 8)
    more = dataclasses.replace(SWEEP, seeds=(0, 1, 2)).at("smoke")
    with Writer(job(tmp_path, more)) as writer:
        assert len(writer.rows) == 8
    assert store.read(job(tmp_path, more)).manifest["cells_planned"] == 12


def test_archive_moves_and_deletes_nothing(tmp_path: Path) -> None:
    folder = write(tmp_path, 2)
    kept = (folder / "cells.csv").read_bytes()
    place = store.archive(SWEEP, "smoke", tmp_path)
    assert place is not None and not folder.exists()
    assert (place / "cells.csv").read_bytes() == kept
    assert store.archive(SWEEP, "smoke", tmp_path) is None


def test_a_second_process_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    code = (
        "import sys; from sciml_lib.sweeps.store import Writer; from sciml_lib.errors import UserError\n"
        "sys.path.insert(0, 'tests'); from test_store import job\n"
        "writer = Writer(job(sys.argv[1]))\n"
        "try: writer.__enter__()\n"
        "except UserError as error: print('refused', error); sys.exit(2)\n"
        "print('locked', flush=True); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    root = Path(__file__).parents[1]
    plan = SWEEP.at("smoke")
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None and first.stdout.readline() == "locked\n"
        before = (job(tmp_path, plan).folder / "manifest.json").read_bytes()
        with pytest.raises(UserError, match="another process is writing to"):
            Writer(job(tmp_path, plan)).__enter__()
        with pytest.raises(UserError, match="another process is writing to"):
            store.archive(SWEEP, "smoke", tmp_path)
        assert (job(tmp_path, plan).folder / "manifest.json").read_bytes() == before
        first.kill()
        first.wait()
    with Writer(job(tmp_path, plan)) as writer:  # the lock ends with the process, however that ends
        assert writer.add(plan.cells[0], result())
    with Writer(job(tmp_path, plan)):
        pass


def test_a_full_disk_is_a_sentence_and_loses_nothing(tmp_path: Path) -> None:
    """A limit on the size of files is real: the kernel writes a part of the line, then refuses."""
    plan = SWEEP.at("laptop")
    folder = write(tmp_path, 4, plan)
    cells = folder / "cells.csv"
    before = cells.read_bytes()
    arrays = (folder / "arrays/n10.npz").read_bytes()
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Writer(job(tmp_path, plan)) as writer:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 30, hard))
        try:
            with pytest.raises(UserError, match=r"cannot write to .*4 runs are stored.*go on with"):
                writer.add(plan.cells[5], result())  # a seed without parameters: only the row is refused
            with pytest.raises(UserError, match="cannot write to"):
                writer.add(plan.cells[4], result())
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert cells.read_bytes() == before
    assert (folder / "arrays/n10.npz").read_bytes() == arrays
    assert not list(folder.rglob("*.tmp"))
    with Writer(job(tmp_path, plan)) as writer:
        assert writer.add(plan.cells[5], result())
    assert len(store.read(job(tmp_path, plan)).rows) == 5


@pytest.mark.parametrize("number", [28, 30, 13])  # ENOSPC, EROFS, EACCES
def test_a_disk_that_refuses_to_sync_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    plan = SWEEP.at("smoke")
    folder = write(tmp_path, 1)
    before = (folder / "cells.csv").read_bytes()

    def refuse(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    with Writer(job(tmp_path, plan)) as writer:
        monkeypatch.setattr(os, "fsync", refuse)
        with pytest.raises(UserError, match=os.strerror(number)):
            writer.add(plan.cells[1], result())
        assert plan.cells[1] not in writer.rows
    monkeypatch.undo()
    assert (folder / "cells.csv").read_bytes() == before
    assert not list(folder.rglob("*.tmp"))
    with Writer(job(tmp_path, plan)):
        pass  # the refused one gave its lock back


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file is a file, not a folder of runs"):
        Writer(job(tmp_path / "file")).__enter__()


def test_drafts_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    folder = write(tmp_path, 1)
    for name in ("manifest.json.tmp", ".checkpoint-n10-00000000.pt.tmp", "arrays/n10.npz.tmp"):
        (folder / name).write_text("half")
    with Writer(job(tmp_path)):
        assert not list(folder.rglob("*.tmp"))
