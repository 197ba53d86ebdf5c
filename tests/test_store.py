"""The store: round trip, what it promises to keep in which order, the lock between processes, a full disk.

What it says of damaged files stands in ``test_bad_input.py``.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from sciml_lib import keeper
from sciml_lib.errors import UserError
from sciml_lib.strategies import LBFGS, MemberResult, Strategy
from sciml_lib.sweeps import catalog, manifest, provenance, store
from sciml_lib.sweeps.job import Job
from sciml_lib.sweeps.rows import Row
from sciml_lib.sweeps.setups import PINNSetup
from sciml_lib.sweeps.spec import Cell, Plan, Reduction, Sweep
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


def test_the_difference_of_the_specification_is_named(tmp_path: Path) -> None:
    write(tmp_path, 1)
    other = dataclasses.replace(SWEEP, setup=PINNSetup(hidden=(5,), data_seed=1))
    with pytest.raises(UserError, match="its model, data_seed differ"):
        store.read(job(tmp_path, other.at("smoke")))


def test_a_longer_plan_goes_on_with_the_same_rows(tmp_path: Path) -> None:
    write(tmp_path, 8)
    more = dataclasses.replace(SWEEP, seeds=(0, 1, 2)).at("smoke")
    with Writer(job(tmp_path, more)) as writer:
        assert len(writer.rows) == 8
    assert store.read(job(tmp_path, more)).manifest["cells_planned"] == 12


def test_the_manifest_tells_every_call_of_another_set_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls of the same set-up share an entry; a call that trained nothing has none."""
    clock = iter(f"2026-05-01T12:00:{second:02}+00:00" for second in range(60))
    monkeypatch.setattr(keeper, "now", lambda: next(clock))
    cells = SWEEP.at("smoke").cells

    def call(threads: int, *some: Cell) -> list[dict]:
        torch.set_num_threads(threads)
        with Writer(job(tmp_path)) as writer:
            for cell in some:
                writer.add(cell, result())
        return store.read(job(tmp_path)).manifest["calls"]

    try:
        (first,) = call(1, cells[0])
        (again,) = call(1, cells[1])
        assert first["started"] == again["started"] and first["ended"] < again["ended"]
        found = call(2, cells[2])
        assert found[0] == again and [one["threads"] for one in found] == [1, 2]
        assert call(3) == found  # nothing was trained
        assert [one["threads"] for one in call(1, cells[3])] == [1, 2]
    finally:
        torch.set_num_threads(1)
    expected = {"processor", "cores", "threads", "engine", "float32_precision", "versions", "commit", "library", "device"}
    assert expected | {"started", "ended"} == set(first)


def test_what_was_shown_to_be_the_same_is_not_forgotten_by_a_later_row(tmp_path: Path) -> None:
    folder, plan = write(tmp_path, 2), SWEEP.at("smoke")
    path, present = folder / "manifest.json", provenance.library_digest(plan.code)
    content = json.loads(path.read_text()) | {"library": ["0123456789abcdef"]}
    path.write_text(json.dumps(content))
    assert manifest.library_changed(store.read(job(tmp_path)).manifest, plan)
    path.write_text(json.dumps(content | {"revalidated": ["0123456789abcdef", present]}))
    with Writer(job(tmp_path)) as writer:
        writer.add(plan.cells[2], result())
    found = store.read(job(tmp_path)).manifest
    assert found["library"] == ["0123456789abcdef", present] and not manifest.library_changed(found, plan)
    path.write_text(json.dumps(found | {"library": ["feedfeedfeedfeed", *found["library"]]}))
    assert manifest.library_changed(store.read(job(tmp_path)).manifest, plan)  # a third version was not compared


def test_archive_moves_and_deletes_nothing(tmp_path: Path) -> None:
    folder = write(tmp_path, 2)
    kept = (folder / "cells.csv").read_bytes()
    place = store.archive(SWEEP, "smoke", tmp_path)
    assert place is not None and not folder.exists()
    assert (place / "cells.csv").read_bytes() == kept
    assert store.archive(SWEEP, "smoke", tmp_path) is None


def test_stores_that_are_put_aside_in_one_second_are_all_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "now", lambda: "2026-05-01T12:00:00+00:00")
    places = [(write(tmp_path, count), store.archive(SWEEP, "smoke", tmp_path))[1] for count in (1, 2, 3)]
    assert [len((place / "cells.csv").read_text().splitlines()) for place in places] == [2, 3, 4]


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
        folder = job(tmp_path, plan).folder
        before = (folder / "manifest.json").read_bytes()
        for cleaned in (False, True):  # as by `git clean`, which takes whatever git does not know
            if cleaned:
                for path in folder.iterdir():
                    path.unlink()
            with pytest.raises(UserError, match="another process is writing to"):
                Writer(job(tmp_path, plan)).__enter__()
            with pytest.raises(UserError, match="another process is writing to"):
                store.archive(SWEEP, "smoke", tmp_path)
            assert cleaned or (folder / "manifest.json").read_bytes() == before
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


def test_no_row_is_ever_without_its_parameters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cut may fall between any two writes: the network is on the disk before the row that speaks of it."""
    found, append = [], keeper.append

    def look(path: Path, lines: bytes) -> None:
        append(path, lines)
        rows = store.read(job(tmp_path)).rows
        found.append(sum(store.params_of(job(tmp_path), row.cell) is not None for row in rows) == len(rows))

    monkeypatch.setattr(keeper, "append", look)
    write(tmp_path, 8)
    assert len(found) == 9 and all(found)  # the head of the table, and eight rows


def test_no_row_is_ever_without_the_code_that_trained_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, 2)
    monkeypatch.setattr(provenance, "library_digest", lambda parts: "feedfeedfeedfeed")
    with Writer(job(tmp_path)) as writer:
        writer.add(writer.job.cells[2], result())
        assert store.read(job(tmp_path)).manifest["library"][-1] == "feedfeedfeedfeed"


@pytest.mark.parametrize("way", ["append", "replace"])
def test_what_is_written_is_forced_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """All of it, before the call comes back."""
    path, forced, fsync = tmp_path / "file", {}, os.fsync

    def note(descriptor: int) -> None:
        fsync(descriptor)
        status = os.fstat(descriptor)
        forced[status.st_ino] = status.st_size

    path.write_bytes(b"before\n")
    monkeypatch.setattr(os, "fsync", note)
    getattr(keeper, way)(path, b"after\n")
    status = path.stat()
    assert forced == {status.st_ino: status.st_size}


def test_every_row_is_forced_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, fsync = [], os.fsync
    with Writer(job(tmp_path)) as writer:
        cells = writer.folder / "cells.csv"

        def note(descriptor: int) -> None:
            if os.fstat(descriptor).st_ino == cells.stat().st_ino:
                sizes.append(os.fstat(descriptor).st_size)
            fsync(descriptor)

        monkeypatch.setattr(os, "fsync", note)
        for cell in writer.job.cells[:3]:
            writer.add(cell, result())
            assert sizes[-1:] == [cells.stat().st_size]
    assert len(sizes) == 3


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
