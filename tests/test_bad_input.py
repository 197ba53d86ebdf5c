"""Whatever a person gives, or a disk has become, ends as one sentence that names what is wrong; and nothing else is touched.

Every table below lists inputs with the words of the sentence that must answer them. Inputs that look wrong and are right
stand at the end of each part.
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import sciml_lib
from sciml_lib import keeper, studies, sweeps
from sciml_lib.cli import main
from sciml_lib.errors import UserError
from sciml_lib.strategies import Adam, Strategy
from sciml_lib.studies import STUDIES, Item, Study
from sciml_lib.sweeps import catalog, curvature, execution, places, plugins, store
from sciml_lib.sweeps.dataset import load_measured
from sciml_lib.sweeps.job import Job
from sciml_lib.sweeps.setups import PINNSetup
from sciml_lib.sweeps.spec import Reduction, Sweep
from sciml_lib.systems import Convection

# PyTorch's own forward differentiation still calls it.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

TINY = Sweep(
    id="pinn/convection/tiny",
    title="Tiny, for tests",
    system="convection",
    coefficients=(5.0, 70.0),
    n_data=(10, 20),
    seeds=(0, 1),
    setup=PINNSetup(hidden=(4,)),
    strategy=Strategy((Adam(2),)),
    reading="None.",
    profiles={"smoke": Reduction(why="For tests."), "long": Reduction(why="For tests.", strategy=Strategy((Adam(10**6),)))},
)
P = 17
SECONDS = 60
"""A case that takes longer hangs."""


class Norms(Study):
    """The gradient's norm at the end of two runs: the smallest study of trained networks."""

    id = "norms"
    title = "Norms, for tests"

    def items(self, profile: str) -> tuple[Item, ...]:
        return tuple(Item(TINY.id, 5.0, 10, seed) for seed in (0, 1))

    def recipe(self, profile: str) -> dict[str, Any]:
        return {"power": 2}

    def groups(self, items: Sequence[Item]) -> list[list[Item]]:
        return [list(items)]

    def compute(self, group: Sequence[Item], profile: str, context: Any) -> Iterator[tuple[Item, dict]]:
        params = context.trained(group)
        norms = context.problem(group).value_and_grad(params)[1].norm(dim=1)
        for item, norm in zip(group, norms, strict=True):
            yield item, {"norm": norm.numpy()}


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The tiny sweep and its study are known by name, this is an empty folder, and whatever hangs fails."""
    monkeypatch.setitem(catalog.SWEEPS, TINY.id, TINY)
    monkeypatch.setitem(STUDIES, Norms.id, Norms())
    monkeypatch.setattr(catalog, "_OWN", {})
    monkeypatch.setattr(plugins, "_LOADED", {})
    monkeypatch.delenv("SCIML_RUNS", raising=False)
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)
    before = signal.signal(signal.SIGALRM, lambda *_: pytest.fail("it hangs"))
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs in which everything is stored: runs, curvature, a study."""
    runs = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        patch.setitem(catalog.SWEEPS, TINY.id, TINY)
        torch.set_num_threads(1)
        sciml_lib.run(TINY, "smoke", runs=runs, device="cpu", progress=False)
        sciml_lib.measure(TINY, "smoke", runs=runs, device="cpu", progress=False)
        studies.run(Norms(), "smoke", runs=runs, device="cpu", progress=False)
    return runs


@pytest.fixture
def runs(trained: Path, tmp_path: Path) -> Path:
    """A copy of that folder, to be damaged."""
    return Path(shutil.copytree(trained, tmp_path / "runs"))


STORE = f"{TINY.id}/smoke"
np.save(_BUFFER := io.BytesIO(), np.zeros(P))
ONE_ARRAY = _BUFFER.getvalue()
"""What ``numpy.save`` writes: one array, and no archive."""


def snapshot(folder: Path, derived: bool = True) -> dict[str, tuple[int, bytes]]:
    """What a folder holds: the kind of every entry, and the bytes of every file; with what is derived of networks, or not."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if not derived and (path.name == curvature.NAME or "studies" in path.parts):
            continue
        mode = path.lstat().st_mode
        link = os.readlink(path).encode() if stat.S_ISLNK(mode) else b""
        found[str(path)] = (stat.S_IFMT(mode), path.read_bytes() if stat.S_ISREG(mode) else link)
    return found


def one_sentence(text: str) -> str:
    """Asserts that a text can be shown to a person as it is: one line that ends, with nothing that a terminal obeys."""
    assert text.strip() and text.isprintable() and len(text) < 2000, text
    return text


def typed(*words: str) -> str:
    """The sentence with which the command line refuses these words."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")  # said in lines of their own
        result = CliRunner().invoke(main, words)
    assert isinstance(result.exception, SystemExit) and result.exit_code == 2, result.output + repr(result.exception)
    (line,) = [line for line in result.stderr.split("\n")[:-1] if not line.startswith("warning: ")]
    assert line.startswith("error: ")
    return one_sentence(line)


def called(act: Callable[[], Any]) -> str:
    """The sentence with which a call is refused."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(UserError) as caught:
            act()
    return str(caught.value)


# --- what can be done to a file ----------------------------------------------------------------------------------

Damage = Callable[[Path], Any]


def put(content: bytes | str) -> Damage:
    data = content.encode() if isinstance(content, str) else content
    return lambda path: path.write_bytes(data)


def text(change: Callable[[str], str], encoding: str = "utf-8") -> Damage:
    return lambda path: path.write_bytes(change(path.read_text()).encode(encoding))


def data(change: Callable[[bytes], bytes]) -> Damage:
    return lambda path: path.write_bytes(change(path.read_bytes()))


def instead(make: Callable[[Path], Any]) -> Damage:
    """Something else in the file's place."""

    def damage(path: Path) -> None:
        path.unlink()
        make(path)

    return damage


def zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def circle(path: Path) -> None:
    path.symlink_to(path.name)


NO_FILE = {
    "a folder": (instead(Path.mkdir), "is no regular file"),
    "a pipe": (instead(os.mkfifo), "is no regular file"),
    "a device": (instead(zeros), "is no regular file"),
    "a link to itself": (instead(circle), "cannot be read: Too many levels of symbolic links"),
}
"""What may stand in the place of any file; none may hang."""


def field(name: str, value: str, line: int = 2) -> Damage:
    """Another value in one field of a table."""

    def change(content: str) -> str:
        lines = content.split("\n")
        fields = lines[line - 1].split(",")
        fields[lines[0].split(",").index(name)] = value
        lines[line - 1] = ",".join(fields)
        return "\n".join(lines)

    return text(change)


def fields(**values: str) -> Damage:
    def damage(path: Path) -> None:
        for name, value in values.items():
            field(name, value)(path)

    return damage


def entry(**changes: Any) -> Damage:
    """Other entries in a JSON file."""
    return text(lambda content: json.dumps({**json.loads(content), **changes}))


def inside(name: str, change: Callable[[Any], Any]) -> Damage:
    """Another value of one entry, made of the present one."""
    return text(lambda content: json.dumps({**(whole := json.loads(content)), name: change(whole[name])}))


# --- cells.csv ---------------------------------------------------------------------------------------------------

CELLS = {
    **NO_FILE,
    "an extra column": (text(lambda t: t.replace("\n", ",1\n")), "line 1: the columns are not"),
    "a column renamed": (text(lambda t: t.replace("test_error", "error")), "line 1: the columns are not"),
    "semicolons": (text(lambda t: t.replace(",", ";")), "line 1: the columns are not"),
    "tabs": (text(lambda t: t.replace(",", "\t")), "line 1: the columns are not"),
    "no head": (text(lambda t: t.split("\n", 1)[1]), "line 1: the columns are not"),
    "marks of a merge": (text(lambda t: "<<<<<<< HEAD\n" + t), "line 1: the columns are not"),
    "a mark of byte order": (data(lambda b: b"\xef\xbb\xbf" + b), "line 1: the columns are not"),
    "UTF-16": (text(str, "utf-16"), "line 1: it is not text"),
    "line ends of an old Mac": (text(lambda t: t.replace("\n", "\r")), "line 1: it begins with .* no table of this sweep"),
    "another file": (put("%PDF-1.4"), "line 1: it begins with b'%PDF-1.4', which is no table of this sweep"),
    "a page": (put("<html>\n<body>404</body>\n</html>\n"), "line 1: the columns are not"),
    "a byte that is no letter": (data(lambda b: b.replace(b"cpu", b"cp\xe9", 1)), "line 2: it is not text"),
    "zeros inside": (data(lambda b: b.replace(b"5.0", b"\0\0\0", 1)), "line 2: coefficient=.* is not a number"),
    "an empty line": (text(lambda t: t.replace("\n", "\n\n", 1)), "line 2: 13 fields are expected, not 1;"),
    "commas alone": (text(lambda t: t.replace("\n", "\n" + "," * 12 + "\n", 1)), "line 2: status='' is none of"),
    "a field too many": (text(lambda t: t.replace("cpu", "cpu,1", 1)), "line 2: 13 fields are expected, not 14"),
    "a field too few": (text(lambda t: t.replace(",cpu", "", 1)), "line 2: 13 fields are expected, not 12"),
    "quotes": (text(lambda t: t.replace("5.0", '"5.0"', 1)), "line 2: coefficient='\"5.0\"' is not a number"),
    "a blank": (field("n_data", " 10"), "line 2: n_data=' 10' is not a whole number"),
    "a decimal comma": (text(lambda t: t.replace("5.0", "5,0", 1)), "line 2: 13 fields are expected, not 14"),
    "an underscore": (field("coefficient", "7_0.0"), "line 2: coefficient='7_0.0' is not a number"),
    "an underscore in a count": (field("n_data", "1_0"), "line 2: n_data='1_0' is not a whole number"),
    "other digits": (field("n_data", "\uff11\uff10"), "line 2: n_data='\uff11\uff10' is not a whole number"),
    "a hexadecimal": (field("coefficient", "0x5p0"), "line 2: coefficient='0x5p0' is not a number"),
    "an endless number": (field("coefficient", "7" * 5000), "line 2: coefficient='7{40}' is not a number"),
    "an endless count": (field("iterations", "7" * 5000), "line 2: iterations='7{40}' is not a whole number"),
    "half an iteration": (field("iterations", "3.5"), "line 2: iterations='3.5' is not a whole number"),
    "half a seed": (field("seed", "0.5"), "line 2: seed='0.5' is not a whole number"),
    "a negative seed": (field("seed", "-1"), "line 2: seed='-1' is not a whole number"),
    "negative points": (field("n_data", "-10"), "line 2: n_data='-10' is not a whole number"),
    "a letter in a number": (field("train_loss", "O.1"), "line 2: train_loss='O.1' is not a number"),
    "no loss": (field("train_loss", ""), "line 2: train_loss='' is not a number"),
    "a seed of no plan": (field("seed", "7"), "line 2: the run beta=5, n_data=10, seed=7 is not in the plan of"),
    "a coefficient nearby": (field("coefficient", "5.0000001"), "line 2: the run beta=5, .* is not in the plan of"),
    "an endless coefficient": (field("coefficient", "inf"), "line 2: coefficient='inf' is not finite"),
    "no coefficient": (field("coefficient", "nan"), "line 2: coefficient='nan' is not finite"),
    "a line twice": (text(lambda t: t + t.split("\n")[1] + "\n"), "line 10: the run beta=5, .* is already in line 2"),
    "a run twice": (
        text(lambda t: t + t.split("\n")[1].replace("budget_spent", "converged_change") + "\n"),
        "line 10: the run beta=5, n_data=10, seed=0 is already in line 2",
    ),
    "an unknown status": (field("status", "converged"), "line 2: status='converged' is none of converged_gradient, "),
    "a run that still runs": (field("status", "running"), "line 2: status='running' is none of"),
    "no status": (field("status", ""), "line 2: status='' is none of"),
    "a loss that is no number": (field("train_loss", "nan"), "line 2: train_loss=nan .* diverged, and its status is budget"),
    "an endless loss": (fields(train_loss="inf", loss_residual="inf"), "line 2: train_loss=inf .* its status is budget_spent"),
    "an error that is no number": (field("test_error", "nan"), "line 2: .*test_error=nan .* its status is budget_spent"),
    "a term that is no number": (field("loss_residual", "nan"), "line 2: train_loss=.* is not the sum nan of its terms"),
    "an endless term": (field("loss_residual", "inf"), "line 2: train_loss=.* is not the sum inf of its terms"),
    "a loss nudged": (field("train_loss", "123.0"), "line 2: train_loss=123.0 is not the sum"),
    "a negative loss": (field("train_loss", "-1.0"), "line 2: train_loss='-1.0' is negative"),
    "a negative term": (field("loss_boundary", "-1.0"), "line 2: loss_boundary='-1.0' is negative"),
    "a negative error": (field("test_error", "-1.0"), "line 2: test_error='-1.0' is negative"),
    "no seconds": (field("seconds", "nan"), "line 2: seconds='nan' is not finite"),
    "endless seconds": (field("seconds", "inf"), "line 2: seconds='inf' is not finite"),
    "negative seconds": (field("seconds", "-1.0"), "line 2: seconds='-1.0' is negative"),
    "a device that a terminal obeys": (field("device", "\x1b[31mcpu"), r"line 2: device='\\x1b\[31mcpu' is not the name"),
    "no device": (field("device", ""), "line 2: device='' is not the name"),
}


def doors_of_a_store(runs: Path) -> list[Callable[[], str]]:
    """All ways into a store: none may believe what another refuses."""
    options = {"runs": runs, "device": "cpu"}
    return [
        lambda: typed("status", TINY.id, "-p", "smoke", "--runs", str(runs)),
        lambda: typed("run", TINY.id, "-p", "smoke", "-q", "-d", "cpu", "--runs", str(runs)),
        lambda: typed("measure", TINY.id, "-p", "smoke", "-q", "-d", "cpu", "--runs", str(runs)),
        lambda: typed("revalidate", TINY.id, "-p", "smoke", "--runs", str(runs)),
        lambda: called(lambda: sciml_lib.load(TINY, "smoke", runs)),
        lambda: called(lambda: sciml_lib.run(TINY, "smoke", **options)),
        lambda: called(lambda: sciml_lib.load_or_train(TINY, "smoke", **options)),
        lambda: called(lambda: sciml_lib.estimate(TINY, "smoke", **options)),
        lambda: called(lambda: load_measured(TINY, "smoke", **options)),
        lambda: called(store.Writer(Job(TINY.at("smoke"), runs, "cpu")).__enter__),
    ]


def refused_everywhere(
    runs: Path, file: str, damage: Damage, says: str, doors: Callable[[Path], list], derived: bool = True
) -> None:
    """Every door answers the damage of one file with a sentence that names it, and nothing in the folder changes."""
    path = runs / file
    damage(path)
    before = snapshot(runs, derived)
    for door in doors(runs):
        sentence = one_sentence(door())
        assert str(path) in sentence and re.search(says, sentence), sentence
        assert re.search("restore|move it away|move the file|move the folder|remove it|put it aside", sentence)
        assert snapshot(runs, derived) == before


@pytest.mark.parametrize("kind", CELLS)
def test_a_damaged_table_is_refused(runs: Path, kind: str) -> None:
    refused_everywhere(runs, f"{STORE}/cells.csv", *CELLS[kind], doors_of_a_store)


HARMLESS = {
    "line ends of Windows": text(lambda t: t.replace("\n", "\r\n")),
    "lines in another order": text(lambda t: "".join([*(s := t.splitlines(keepends=True))[:1], *s[:0:-1]])),
    "an error without end": field("test_error", "inf"),
    "a run that diverged": fields(status="diverged", train_loss="nan", test_error="nan"),
    "a loss without end": fields(status="diverged", train_loss="inf", loss_residual="inf"),
}


@pytest.mark.parametrize("kind", HARMLESS)
def test_a_table_that_looks_odd_and_is_right_is_read(runs: Path, kind: str) -> None:
    HARMLESS[kind](runs / STORE / "cells.csv")
    before = snapshot(runs)
    assert sciml_lib.load(TINY, "smoke", runs).attrs["cells_done"] == 8
    assert sciml_lib.run(TINY, "smoke", runs=runs, device="cpu").trained == 0
    assert snapshot(runs) == before


@pytest.mark.parametrize("content", [b"", None])
def test_without_a_table_everything_is_trained_again(runs: Path, content: bytes | None) -> None:
    path = runs / STORE / "cells.csv"
    path.unlink() if content is None else path.write_bytes(content)
    whole = sciml_lib.run(TINY, "smoke", runs=runs, device="cpu", progress=False)
    assert (whole.trained, whole.done) == (8, 8)


def test_a_table_elsewhere_is_followed(runs: Path) -> None:
    """A link is how people move a store to a larger disk."""
    path = runs / STORE / "cells.csv"
    path.rename(runs.parent / "elsewhere.csv")
    path.symlink_to(runs.parent / "elsewhere.csv")
    assert sciml_lib.load(TINY, "smoke", runs).attrs["cells_done"] == 8


# --- manifest.json -----------------------------------------------------------------------------------------------

NO_JSON, NO_OBJECT = "it is not JSON", "it is not a JSON object"


def damaged(name: str) -> str:
    return rf"is damaged \('{name}' is missing or is not "


def first_call(**changes: Any) -> Damage:
    return inside("calls", lambda calls: [{**calls[0], **changes}])


MANIFEST = {
    **NO_FILE,
    "cut off": (data(lambda b: b[:100]), NO_JSON),
    "empty": (put(""), NO_JSON),
    "zeros": (put(b"\0" * 4096), NO_JSON),
    "not text": (put(b'{"sweep": "\xff"}'), NO_JSON),
    "UTF-16": (text(str, "utf-16"), NO_JSON),
    "a nested bomb": (put("[" * 100_000), NO_JSON),
    "nested objects": (put('{"a":' * 100_000), NO_JSON),
    "a number of 5000 digits": (put('{"cells_planned": ' + "9" * 5000 + "}"), NO_JSON),
    "marks of a merge": (text(lambda t: "<<<<<<< HEAD\n" + t), NO_JSON),
    "null": (put("null"), NO_OBJECT),
    "a number": (put("7"), NO_OBJECT),
    "a text": (put('"manifest"'), NO_OBJECT),
    "a list": (put("[1, 2]"), NO_OBJECT),
    "nothing in it": (put("{}"), damaged("sweep")),
    "sweep a number": (entry(sweep=5), damaged("sweep")),
    "profile null": (entry(profile=None), damaged("profile")),
    "another sweep": (entry(sweep="pinn/wave/lbfgs"), "belongs to 'pinn/wave/lbfgs', profile 'smoke', and not to"),
    "another profile": (entry(profile="laptop"), "belongs to .*tiny', profile 'laptop', and not to"),
    "a sweep that a terminal obeys": (entry(sweep="\x1b[31m/\n"), "belongs to .*, profile 'smoke', and not to"),
    "a sweep of half a character": (entry(sweep="\ud800"), "belongs to .*, profile 'smoke', and not to"),
    "another hash": (entry(spec_hash="0" * 64), "was made with another specification .*spec_hash differs"),
    "hash a number": (entry(spec_hash=0), damaged("spec_hash")),
    "another recipe with the old hash": (
        inside("specification", lambda s: {**s, "data_seed": 1}),
        r"was made with another specification \(its data_seed differ",
    ),
    "another constant with the old hash": (
        inside("specification", lambda s: {**s, "system": {**s["system"], "grid": [9, 9]}}),
        r"was made with another specification \(its system differ",
    ),
    "specification null": (entry(specification=None), damaged("specification")),
    "specification a list": (entry(specification=[1]), damaged("specification")),
    "specification empty": (entry(specification={}), "was made with another specification"),
    "cells planned a text": (entry(cells_planned="8"), damaged("cells_planned")),
    "cells planned true": (entry(cells_planned=True), damaged("cells_planned")),
    "cells planned NaN": (entry(cells_planned=float("nan")), damaged("cells_planned")),
    "blocks null": (entry(blocks=None), damaged("blocks")),
    "blocks numbers": (entry(blocks=[1, 2, 3]), damaged("blocks")),
    "blocks a text": (entry(blocks="residual"), damaged("blocks")),
    "metrics null": (entry(metrics=None), damaged("metrics")),
    "metrics a number": (entry(metrics=5), damaged("metrics")),
    "metrics mixed": (entry(metrics=["a", 1]), damaged("metrics")),
    "versions a list": (entry(versions=["torch"]), damaged("versions")),
    "versions numbers": (entry(versions={"torch": 2}), damaged("versions")),
    "devices null": (entry(devices=None), damaged("devices")),
    "devices mixed": (entry(devices=[1, "cpu"]), damaged("devices")),
    "library a text": (entry(library="0123456789abcdef"), damaged("library")),
    "library objects": (entry(library=[{"a": 1}]), damaged("library")),
    "library empty": (entry(library=[]), damaged("library")),
    "revalidated a number": (entry(revalidated=5), damaged("revalidated")),
    "revalidated mixed": (entry(revalidated=["a", 5]), damaged("revalidated")),
    "commit a name": (entry(commit="HEAD"), damaged("commit")),
    "commit an option": (entry(commit="--help"), damaged("commit")),
    "commit short": (entry(commit="40d30"), damaged("commit")),
    "commit null": (entry(commit=None), damaged("commit")),
    "commit with a line end": (entry(commit="0" * 40 + "\n"), damaged("commit")),
    "created no date": (entry(created="yesterday"), damaged("created")),
    "created a number": (entry(created=20261125), damaged("created")),
    "updated null": (entry(updated=None), damaged("updated")),
    "calls a number": (entry(calls=5), damaged("calls")),
    "calls null": (entry(calls=None), damaged("calls")),
    "calls numbers": (entry(calls=[1]), damaged("calls")),
    "calls without entries": (entry(calls=[{}]), damaged("calls")),
    "a call by an option": (first_call(commit="--help"), damaged("calls")),
    "a call by a list of code": (first_call(library=["a"]), damaged("calls")),
    "a call by versions in a list": (first_call(versions=["torch"]), damaged("calls")),
    "a call by versions in numbers": (first_call(versions={"torch": 2}), damaged("calls")),
    "a call on a device of numbers": (first_call(device=1), damaged("calls")),
    "a call that never ended": (first_call(ended="never"), damaged("calls")),
    "a call that never began": (first_call(started=None), damaged("calls")),
}


@pytest.mark.parametrize("kind", MANIFEST)
def test_a_damaged_manifest_is_refused(runs: Path, kind: str) -> None:
    refused_everywhere(runs, f"{STORE}/manifest.json", *MANIFEST[kind], doors_of_a_store)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"blocks": ["residual"]}, "the columns are not"),
        ({"blocks": []}, "the columns are not"),
        ({"metrics": ["one_step_mse"]}, "the columns are not"),
    ],
)
def test_a_manifest_that_names_other_columns_is_refused(runs: Path, change: dict[str, Any], says: str) -> None:
    entry(**change)(runs / STORE / "manifest.json")
    refused_everywhere(runs, f"{STORE}/cells.csv", lambda path: None, says, doors_of_a_store)


@pytest.mark.parametrize("change", [{"calls": []}, {"commit": ""}, {"revalidated": []}, {"title": 5}, {"more": None}])
def test_a_manifest_that_is_older_or_longer_is_read(runs: Path, change: dict[str, Any]) -> None:
    entry(**change)(runs / STORE / "manifest.json")
    assert sciml_lib.load(TINY, "smoke", runs).attrs["cells_done"] == 8


def test_rows_without_a_manifest_are_refused(runs: Path) -> None:
    (runs / STORE / "manifest.json").unlink()
    refused_everywhere(runs, f"{STORE}/cells.csv", lambda p: None, r"has no manifest\.json beside it", doors_of_a_store)


# --- the folder of a store ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: path.write_text("mine"), "Not a directory|File exists"),
        (os.mkfifo, "Not a directory|File exists"),
        (circle, "Too many levels of symbolic links|File exists"),
    ],
)
def test_what_is_no_folder_of_a_store_is_refused(runs: Path, make: Damage, says: str) -> None:
    shutil.rmtree(runs / STORE)
    make(runs / STORE)
    before = snapshot(runs)
    for door in doors_of_a_store(runs):
        sentence = one_sentence(door())
        assert str(runs / STORE) in sentence and re.search(says, sentence)
        assert snapshot(runs) == before


def refusing(number: int, refused: Path) -> Callable[..., Any]:
    """A function that refuses one path as the system would; for others it is what it replaces."""

    def made(genuine: Callable[..., Any]) -> Callable[..., Any]:
        def function(path: Any, *arguments: Any, **options: Any) -> Any:
            if isinstance(path, str | Path) and Path(path) == refused:
                raise OSError(number, os.strerror(number), str(path))
            return genuine(path, *arguments, **options)

        return function

    return made


def doors_of_parameters(runs: Path) -> list[Callable[[], str]]:
    """All ways to trained networks; what was derived of them before is gone."""
    (runs / STORE / "curvature.csv").unlink(missing_ok=True)
    shutil.rmtree(runs / "studies", ignore_errors=True)
    return [
        lambda: typed("measure", TINY.id, "-p", "smoke", "-q", "-d", "cpu", "--runs", str(runs)),
        lambda: typed("study", "norms", "-p", "smoke", "-q", "-d", "cpu", "--runs", str(runs)),
        lambda: called(lambda: sciml_lib.measure(TINY, "smoke", runs=runs, device="cpu", progress=False)),
        lambda: called(lambda: load_measured(TINY, "smoke", runs=runs, device="cpu")),
        lambda: called(lambda: studies.run(Norms(), "smoke", runs=runs, device="cpu", progress=False)),
    ]


def doors_of_curvature(runs: Path) -> list[Callable[[], str]]:
    """All ways to what was measured."""
    return [
        lambda: typed("measure", TINY.id, "-p", "smoke", "-q", "-d", "cpu", "--runs", str(runs)),
        lambda: called(lambda: sciml_lib.load(TINY, "smoke", runs)),
        lambda: called(lambda: sciml_lib.load_or_train(TINY, "smoke", runs=runs, device="cpu")),
        lambda: called(lambda: load_measured(TINY, "smoke", runs=runs, device="cpu")),
        lambda: called(lambda: curvature.spent(Job(TINY.at("smoke"), runs))),
    ]


def doors_of_a_study(runs: Path) -> list[Callable[[], str]]:
    """All ways to the items of a study."""
    return [
        lambda: typed("study", "norms", "-p", "smoke", "-q", "-d", "cpu", "--runs", str(runs)),
        lambda: called(lambda: studies.run(Norms(), "smoke", runs=runs, device="cpu", progress=False)),
        lambda: called(lambda: studies.load(Norms(), "smoke", runs)),
        lambda: called(lambda: studies.load_or_run(Norms(), "smoke", runs=runs, device="cpu")),
    ]


ITEM = "pinn-convection-tiny_c5_n10_s0"


@pytest.mark.parametrize(
    ("file", "doors"),
    [
        (f"{STORE}/cells.csv", doors_of_a_store),
        (f"{STORE}/manifest.json", doors_of_a_store),
        (f"{STORE}/arrays/n10.npz", doors_of_parameters),
        (f"{STORE}/curvature.csv", doors_of_curvature),
        ("studies/norms/smoke/manifest.json", doors_of_a_study),
        (f"studies/norms/smoke/{ITEM}.npz", doors_of_a_study),
    ],
)
@pytest.mark.parametrize("number", [5, 13])  # EIO, EACCES
def test_a_file_that_the_system_refuses_is_said(
    runs: Path, monkeypatch: pytest.MonkeyPatch, file: str, doors: Callable[[Path], list], number: int
) -> None:
    monkeypatch.setattr(Path, "read_bytes", refusing(number, runs / file)(Path.read_bytes))
    for door in doors(runs):
        sentence = one_sentence(door())
        assert f"{runs / file} cannot be read: {os.strerror(number)}; make it readable" in sentence


@pytest.mark.parametrize("number", [28, 30, 13])  # ENOSPC, EROFS, EACCES
@pytest.mark.parametrize("door", ["run", "measure", "study"])
def test_a_folder_that_cannot_be_written_is_said(runs: Path, monkeypatch: pytest.MonkeyPatch, door: str, number: int) -> None:
    cells = runs / STORE / "cells.csv"
    cells.write_text("".join(cells.read_text().splitlines(keepends=True)[:-1]))
    (runs / STORE / "curvature.csv").unlink()
    (runs / f"studies/norms/smoke/{ITEM}.npz").unlink()
    before = snapshot(runs)
    words = {"study": ("study", "norms")}.get(door, (door, TINY.id))

    def refuse(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(keeper, "replace", refuse)
    sentence = typed(*words, "-p", "smoke", "-q", "-d", "cpu", "--runs", str(runs))
    assert re.search(f"cannot write to {runs}.*: {os.strerror(number)};.* `python -m sciml_lib {door} .*--runs", sentence)
    monkeypatch.undo()
    assert snapshot(runs) == before


def test_a_folder_that_cannot_be_opened_is_said(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (runs / STORE / "curvature.csv").unlink()
    monkeypatch.setattr(keeper.os, "open", refusing(13, runs / STORE)(os.open))
    sentence = typed("measure", TINY.id, "-p", "smoke", "-q", "-d", "cpu", "--runs", str(runs))
    assert f"cannot write to {runs / STORE}: Permission denied; what was measured is stored" in sentence


def test_a_complete_store_that_cannot_be_written_can_be_asked(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(30, os.strerror(30))

    monkeypatch.setattr(keeper.os, "open", refusing(13, runs / STORE)(os.open))
    for name in ("replace", "append"):
        monkeypatch.setattr(keeper, name, refuse)
    options = ["-p", "smoke", "-q", "-d", "cpu", "--runs", str(runs)]
    for words in (["run", TINY.id], ["measure", TINY.id], ["study", "norms"]):
        assert CliRunner().invoke(main, [*words, *options]).exit_code == 0


@pytest.mark.parametrize(("make", "says"), [(Path.mkdir, "Is a directory"), (circle, "Too many levels of symbolic links")])
@pytest.mark.parametrize("door", ["run", "measure", "archive"])
def test_what_is_no_lock_is_said(runs: Path, monkeypatch: pytest.MonkeyPatch, make: Damage, says: str, door: str) -> None:
    """Where folders cannot be locked, a file is."""
    monkeypatch.setattr(keeper, "fcntl", None)
    (runs / STORE / "curvature.csv").unlink()
    cells = runs / STORE / "cells.csv"
    cells.write_text("".join(cells.read_text().splitlines(keepends=True)[:-1]))
    make(runs / STORE / keeper.LOCK)
    before = snapshot(runs)
    options = ["-p", "smoke", "-q", "-d", "cpu", "--runs", str(runs)]
    if door == "archive":
        sentence = called(lambda: sweeps.archive(TINY, "smoke", runs))
    else:
        sentence = typed(door, TINY.id, *options)
    assert str(runs / STORE) in sentence and says in sentence
    assert snapshot(runs) == before


def test_a_store_that_cannot_be_moved_is_said_and_stays(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(18, os.strerror(18))

    monkeypatch.setattr(store.os, "rename", refuse)
    before = {path: content for path, content in snapshot(runs).items() if "_archive" not in path}
    sentence = typed("run", TINY.id, "-p", "smoke", "-q", "-d", "cpu", "--runs", str(runs), "--restart")
    assert f"cannot move {runs / STORE} to {runs / '_archive'}" in sentence and "Invalid cross-device link" in sentence
    assert {path: content for path, content in snapshot(runs).items() if "_archive" not in path} == before


# --- what a stopped training left behind -------------------------------------------------------------------------

RECORDS = {
    "a nested bomb": put("[" * 100_000),
    "not text": put(b"\xff\xfe"),
    "null": put("null"),
    "a number": put("7"),
    "cells a number": entry(cells=7),
    "cells of numbers": entry(cells=[1, 2]),
    "cells without end": entry(cells=[[5.0, float("inf"), 0]]),
    "no cells": entry(cells=[]),
    "another recipe": entry(spec_hash="0" * 64),
    "no width": entry(width=0),
    "a width without end": entry(width=float("inf")),
    "a folder": instead(Path.mkdir),
    "a pipe": instead(os.mkfifo),
}


@pytest.fixture
def stopped(runs: Path) -> Path:
    """The record of an ensemble that was stopped before its last run ended."""
    cells = runs / STORE / "cells.csv"
    cells.write_text("".join(cells.read_text().splitlines(keepends=True)[:-1]))
    plan = TINY.at("smoke")
    ensemble = sweeps.planner.Ensemble(plan.cells[4:], 4, plan.hash)
    ensemble.begin(runs / STORE)
    return ensemble.checkpoint(runs / STORE).with_suffix(".json")


@pytest.mark.parametrize("kind", RECORDS)
def test_a_record_that_cannot_be_used_is_said_and_passed_over(runs: Path, stopped: Path, kind: str) -> None:
    RECORDS[kind](stopped)
    with pytest.warns(UserWarning, match=r"\.json does not belong to pinn/convection/tiny, smoke; it is ignored"):
        report = sciml_lib.run(TINY, "smoke", runs=runs, device="cpu", progress=False)
    assert (report.trained, report.done) == (1, 8)


CHECKPOINTS = {
    "not a checkpoint": put(b"PK nonsense"),
    "a pickle": put(b"\x80\x04\x95\x0c\x00\x00\x00\x00\x00\x00\x00\x8c\x08builtins\x94."),
    "another archive": put(keeper.packed({"a": np.zeros(3)})),
    "a number": lambda path: torch.save(7, path),
    "another ensemble": lambda path: torch.save({"identity": "x"}, path),
    "a folder": Path.mkdir,
    "a pipe": os.mkfifo,
}


@pytest.mark.parametrize("kind", CHECKPOINTS)
def test_a_checkpoint_that_cannot_be_used_is_said_and_passed_over(runs: Path, stopped: Path, kind: str) -> None:
    CHECKPOINTS[kind](stopped.with_suffix(".pt"))
    with pytest.warns(UserWarning, match="start again"):
        report = sciml_lib.run(TINY, "smoke", runs=runs, device="cpu", progress=False)
    assert (report.trained, report.done) == (1, 8)


# --- stored parameters -------------------------------------------------------------------------------------------


def arrays(change: Callable[[dict[str, np.ndarray]], dict[str, Any]]) -> Damage:
    """Other arrays in the file."""

    def damage(path: Path) -> None:
        with np.load(path) as archive:
            found = {name: archive[name] for name in archive.files}
        np.savez(path, **change(found))

    return damage


def every(change: Callable[[np.ndarray], Any]) -> Damage:
    return arrays(lambda found: {name: change(array) for name, array in found.items()})


def first(change: Callable[[np.ndarray], Any]) -> Damage:
    return arrays(lambda found: {**found, "c5_s0": change(found["c5_s0"])})


def members(*names: str, content: bytes = b"text") -> Callable[[Path], None]:
    """An archive with members that are no arrays."""

    def make(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, content)

    return make


def header(path: Path) -> None:
    """A byte of the header inside the archive is another, and the archive does not say so."""
    with np.load(path) as archive:
        array = archive["c5_s0"]
    buffer = io.BytesIO()
    np.save(buffer, array)
    members("c5_s0.npy", content=buffer.getvalue().replace(b"'fortran_order'", b"('fortran_order"))(path)


def mark(path: Path) -> None:
    """The first member is said to be encrypted."""
    content = bytearray(path.read_bytes())
    for start, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.find(start) + offset] |= 1
    path.write_bytes(bytes(content))


def method(path: Path) -> None:
    """The first member is said to be packed in a way that nobody knows."""
    content = bytearray(path.read_bytes())
    for start, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        content[content.find(start) + offset] = 99
    path.write_bytes(bytes(content))


def swapped(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {**found, "c5_s0": found["c5_s1"], "c5_s1": found["c5_s0"]}


NOT_ITS_ROW = r"the parameters stored for .*tiny, coefficient 5, n_data=10, seed 0, are not those of its row: their loss is .*"
SHAPES = r"is damaged \(c5_s0 is .* and a network of pinn/convection/tiny has 17 parameters in single or double precision\)"
DAMAGED = r"is damaged \(\w+\); restore it, or move it away to go on without its parameters"
PARAMETERS = {
    **NO_FILE,
    "cut off": (data(lambda b: b[: len(b) // 2]), DAMAGED),
    "empty": (put(""), DAMAGED),
    "nonsense": (put("nonsense"), DAMAGED),
    "a page": (put("<html>404</html>"), DAMAGED),
    "one array": (put(ONE_ARRAY), DAMAGED),
    "a pickle": (put(b"\x80\x04]\x94."), DAMAGED),
    "objects": (every(lambda a: np.array([None] * P, dtype=object)), DAMAGED),
    "flipped at the end": (data(lambda b: b[:-30] + bytes([b[-30] ^ 255]) + b[-29:]), DAMAGED),
    "flipped in the middle": (data(lambda b: b[:150] + bytes([b[150] ^ 255]) + b[151:]), DAMAGED),
    "a broken header": (header, DAMAGED),
    "a text inside": (members("c5_s0.npy"), DAMAGED),
    "another file inside": (members("c5_s0"), DAMAGED),
    "locked by a password": (mark, DAMAGED),
    "packed in another way": (method, DAMAGED),
    "one too short": (first(lambda a: a[:10]), SHAPES),
    "all too short": (every(lambda a: a[:10]), SHAPES),
    "too long": (every(lambda a: np.append(a, a)), SHAPES),
    "in two dimensions": (every(lambda a: a[None]), SHAPES),
    "one number": (every(lambda a: a[0]), SHAPES),
    "texts": (every(lambda a: a.astype(str)), SHAPES),
    "whole numbers": (every(lambda a: a.astype(int)), SHAPES),
    "truth values": (every(lambda a: a > 0), SHAPES),
    "complex numbers": (every(lambda a: a.astype(complex)), SHAPES),
    "quadruple precision": (every(lambda a: a.astype(np.longdouble)), SHAPES),
    "the other byte order": (every(lambda a: a.astype(a.dtype.newbyteorder("S"))), SHAPES),
    "rounded": (every(np.rint), NOT_ITS_ROW),
    "zero": (every(np.zeros_like), NOT_ITS_ROW),
    "another scale": (first(lambda a: 1.5 * a), NOT_ITS_ROW),
    "huge": (every(lambda a: a * np.float32(1e20)), NOT_ITS_ROW),
    "two exchanged": (arrays(swapped), NOT_ITS_ROW),
}


@pytest.mark.parametrize("kind", PARAMETERS)
def test_damaged_parameters_are_refused(runs: Path, kind: str) -> None:
    damage, says = PARAMETERS[kind]
    doors_of_parameters(runs)
    refused_everywhere(runs, f"{STORE}/arrays/n10.npz", damage, says, doors_of_parameters, derived=False)


def test_a_file_in_the_place_of_all_parameters_is_refused(runs: Path) -> None:
    shutil.rmtree(runs / STORE / "arrays")
    (runs / STORE / "arrays").write_text("mine")
    for door in doors_of_parameters(runs):
        assert f"{runs / STORE / 'arrays'}/n10.npz cannot be read: Not a directory" in door()


def test_a_run_does_not_overwrite_damaged_parameters(runs: Path, stopped: Path) -> None:
    """To store a network beside others, these have to be read."""
    stopped.unlink()
    path = runs / STORE / "arrays/n20.npz"
    path.write_bytes(b"PK nonsense")
    rows = (runs / STORE / "cells.csv").read_bytes()
    sentence = typed("run", TINY.id, "-p", "smoke", "-q", "-d", "cpu", "--runs", str(runs))
    assert f"{path} is damaged" in sentence and path.read_bytes() == b"PK nonsense"
    assert (runs / STORE / "cells.csv").read_bytes() == rows


@pytest.mark.parametrize(
    ("damage", "left_out"),
    [
        (every(lambda a: np.full_like(a, np.nan)), 4),
        (first(lambda a: a * np.float32(np.inf)), 1),
        (arrays(lambda found: {name: array for name, array in found.items() if name != "c5_s0"}), 1),
        (arrays(lambda found: {**found, "c6_s0": found["c5_s0"]}), 0),
        (every(lambda a: a.astype(np.float64)), 0),
        (first(lambda a: a.astype(np.float64)), 0),
        (lambda path: path.unlink(), 4),
    ],
)
def test_parameters_that_are_rightly_gone_or_wider_are_no_damage(runs: Path, damage: Damage, left_out: int) -> None:
    doors_of_parameters(runs)
    damage(runs / STORE / "arrays/n10.npz")
    measured = sciml_lib.measure(TINY, "smoke", runs=runs, device="cpu", progress=False)
    assert (measured.new, measured.left_out) == (8 - left_out, left_out)


# --- curvature.csv -----------------------------------------------------------------------------------------------

CURVATURE = {
    **NO_FILE,
    "empty": (put(""), "is damaged .*columns are not"),
    "cut in its head": (data(lambda b: b[:20]), "is damaged .*columns are not"),
    "another head": (text(lambda t: t.replace("trace", "tr", 1)), "is damaged .*columns are not"),
    "semicolons": (text(lambda t: t.replace(",", ";")), "is damaged .*columns are not"),
    "a mark of byte order": (data(lambda b: b"\xef\xbb\xbf" + b), "is damaged .*columns are not"),
    "a byte that is no letter": (data(lambda b: b.replace(b"cpu", b"\xe9", 1)), "is damaged .it is not text"),
    "UTF-16": (text(str, "utf-16"), "is damaged .it is not text"),
    "a run twice": (text(lambda t: t + t.split("\n")[1] + "\n"), "is damaged .line 10: its run was measured already"),
    "a coefficient of no plan": (field("coefficient", "71.0"), "is damaged .line 2: its run is not in the plan"),
    "a seed of no plan": (field("seed", "7"), "is damaged .line 2: its run is not in the plan"),
    "an endless field": (field("device", "x" * 200_000), "is damaged .line 2: device='x{40}' is not the name of a device"),
    "no device": (field("device", ""), "is damaged .line 2: device='' is not the name of a device"),
    "an empty line": (text(lambda t: t.replace("\n", "\n\n", 1)), "is damaged .line 2: it has 1 fields and not 12"),
    "a field too few": (text(lambda t: t.replace(",cpu", "", 1)), "is damaged .line 2: it has 11 fields and not 12"),
    "an underscore": (field("coefficient", "7_0.0"), "is damaged .line 2: coefficient='7_0.0' is not a number"),
    "a letter": (field("lambda_max", "a"), "is damaged .line 2: lambda_max='a' is not a number"),
    "an endless eigenvalue": (field("lambda_max", "inf"), "is damaged .line 2: lambda_max='inf' is not finite"),
    "no trace": (field("trace", "nan"), "is damaged .line 2: trace='nan' is not finite"),
    "a negative residual": (field("lambda_max_residual", "-1"), "is damaged .line 2: lambda_max_residual='-1' is negative"),
    "a negative error": (field("trace_error", "-1"), "is damaged .line 2: trace_error='-1' is negative"),
    "negative seconds": (field("seconds", "-1"), "is damaged .line 2: seconds='-1' is negative"),
    "endless seconds": (field("seconds", "inf"), "is damaged .line 2: seconds='inf' is not finite"),
}


@pytest.mark.parametrize("kind", CURVATURE)
def test_damaged_curvature_is_refused_and_nothing_trained_is_lost(runs: Path, kind: str) -> None:
    refused_everywhere(runs, f"{STORE}/curvature.csv", *CURVATURE[kind], doors_of_curvature)


@pytest.mark.parametrize(
    ("damage", "new"),
    [
        (text(lambda t: t.replace("\n", "\r\n")), 0),
        (fields(lambda_max="-1.0", trace="-2.0"), 0),  # a saddle may curve downwards only
        (data(lambda b: b[:-30]), 1),
        (data(lambda b: b + b"70.0,10"), 0),
        (data(lambda b: b + b"\0" * 50), 0),
        (field("device", '"cpu', line=5), 0),  # no quote opens here, where lines are no more than fields and commas
    ],
)
def test_curvature_that_was_cut_or_looks_odd_is_read(runs: Path, damage: Damage, new: int) -> None:
    damage(runs / STORE / "curvature.csv")
    assert len(curvature.read(Job(TINY.at("smoke"), runs))) == 8 - new
    assert sciml_lib.measure(TINY, "smoke", runs=runs, device="cpu", progress=False).new == new


# --- studies -----------------------------------------------------------------------------------------------------

NO_MANIFEST = r"manifest\.json is damaged"
STUDY = {
    **NO_FILE,
    "cut off": (data(lambda b: b[:50]), NO_MANIFEST),
    "a list": (put("[]"), NO_MANIFEST),
    "nothing in it": (put("{}"), NO_MANIFEST),
    "a nested bomb": (put('{"a":' * 100_000), NO_MANIFEST),
    "another recipe": (entry(recipe_hash="0" * 64), "was made with other numbers than the study norms"),
    "hash null": (entry(recipe_hash=None), NO_MANIFEST),
    "recipe null": (entry(recipe=None), NO_MANIFEST),
    "created no date": (entry(created=5), NO_MANIFEST),
    "updated no date": (entry(updated="soon"), NO_MANIFEST),
    "seconds a list": (entry(seconds=[1.0]), NO_MANIFEST),
    "seconds texts": (entry(seconds={ITEM: "long"}), NO_MANIFEST),
    "seconds without end": (entry(seconds={ITEM: float("inf")}), NO_MANIFEST),
    "no calls": (entry(calls=[]), NO_MANIFEST),
    "calls numbers": (entry(calls=[1]), NO_MANIFEST),
    "calls without entries": (entry(calls=[{}]), NO_MANIFEST),
    "a device in a list": (first_call(device=["cpu"]), NO_MANIFEST),
    "versions in a list": (first_call(versions=["torch"]), NO_MANIFEST),
    "a commit that is an option": (first_call(commit="--help"), NO_MANIFEST),
}
REMOVE = r"is damaged \(.*\); remove it and give `python -m sciml_lib study norms --profile smoke"
STUDY_ITEM = {
    **{name: case for name, case in NO_FILE.items() if "link" not in name},  # that is no file, and is replaced by one
    "empty": (put(""), REMOVE),
    "nonsense": (put("nonsense"), REMOVE),
    "cut off": (data(lambda b: b[: len(b) // 2]), REMOVE),
    "one array": (put(ONE_ARRAY), REMOVE),
    "objects": (every(lambda a: np.array([None], dtype=object)), REMOVE),
    "another file inside": (members("norm", "_networks"), REMOVE),
    "without its networks": (arrays(lambda found: {"norm": found["norm"]}), REMOVE),
}


@pytest.mark.parametrize("kind", STUDY)
def test_a_damaged_manifest_of_a_study_is_refused(runs: Path, kind: str) -> None:
    refused_everywhere(runs, "studies/norms/smoke/manifest.json", *STUDY[kind], doors_of_a_study)
    one_sentence(called(lambda: studies.seconds_left(Norms(), "smoke", runs)))


@pytest.mark.parametrize("kind", STUDY_ITEM)
def test_a_damaged_item_of_a_study_is_refused(runs: Path, kind: str) -> None:
    refused_everywhere(runs, f"studies/norms/smoke/{ITEM}.npz", *STUDY_ITEM[kind], doors_of_a_study)


@pytest.mark.parametrize(("make", "says"), [(put("mine"), "Not a directory"), (circle, "Too many levels")])
def test_what_is_no_folder_of_a_study_is_refused(runs: Path, make: Damage, says: str) -> None:
    shutil.rmtree(runs / "studies/norms/smoke")
    make(runs / "studies/norms/smoke")
    before = snapshot(runs)
    for door in doors_of_a_study(runs):
        sentence = one_sentence(door())
        assert str(runs / "studies/norms/smoke") in sentence and says in sentence
        assert snapshot(runs) == before


# --- names, folders, devices, seeds, times: as they are typed ------------------------------------------------------

LONG = "a" * 300
LINES = [
    # names
    (["run", "../../etc"], "unknown sweep '../../etc': the valid ones are"),
    (["run", ""], "unknown sweep ''"),
    (["run", f"{TINY.id}\nx"], r"unknown sweep 'pinn/convection/tiny\\nx': did you mean pinn/convection/tiny"),
    (["run", "pinn/convection/tiny\x1b[31m"], r"unknown sweep 'pinn/convection/tiny\\x1b\[31m'"),
    (["run", "PINN/convection/lbfgs"], "unknown sweep 'PINN/convection/lbfgs': did you mean pinn/convection/lbfgs"),
    (["run", "pinn/convection/lbfg"], "unknown sweep 'pinn/convection/lbfg': did you mean pinn/convection/lbfgs"),
    (["run", "/etc/passwd"], "unknown sweep '/etc/passwd'"),
    (["run", "x" * 100_000], "unknown sweep"),
    (["run", "\udcff"], "unknown sweep"),
    (["status", "pinn/konvection/lbfgs"], "unknown sweep"),
    (["measure", "pinn/x"], "unknown sweep 'pinn/x'"),
    (["revalidate", "x"], "unknown sweep 'x'"),
    (["study", "spectrum"], "unknown study 'spectrum': did you mean spectra"),
    (["study", "../../etc"], "unknown study '../../etc'"),
    (["chapter", "../../etc/passwd", "-o", "out.ipynb"], "unknown chapter '../../etc/passwd'"),
    (["chapter", "pinn_convektion", "-o", "out.ipynb"], "unknown chapter 'pinn_convektion': did you mean pinn_convection"),
    # profiles
    (["run", TINY.id, "-p", "../../x"], "unknown profile '../../x': the valid ones are smoke, long"),
    (["run", TINY.id, "-p", ""], "unknown profile ''"),
    (["run", TINY.id, "-p", "smok"], "unknown profile 'smok': did you mean smoke"),
    (["run", TINY.id], "unknown profile 'laptop'"),
    (["status", "-p", "nope"], "unknown profile 'nope'"),
    (["status", TINY.id, "-p", "paper"], "unknown profile 'paper'"),
    (["measure", TINY.id, "-p", "nope"], "unknown profile 'nope'"),
    (["revalidate", TINY.id, "-p", "nope"], "unknown profile 'nope'"),
    (["study", "spectra", "-p", "big"], "unknown profile 'big': the valid ones are smoke, laptop, paper"),
    # folders
    *(
        ([*command, "--runs", folder], says)
        for command in (
            ["run", TINY.id, "-p", "smoke", "-q"],
            ["status"],
            ["measure", TINY.id, "-p", "smoke"],
            ["revalidate", TINY.id, "-p", "smoke"],
            ["study", "spectra", "-p", "smoke"],
        )
        for folder, says in (
            ("", "runs='' is not a folder"),
            ("  ", "runs='  ' is not a folder"),
            ("None", "runs='None' is not a folder"),
            ("/etc/hostname", "/etc/hostname is a file, not a folder of runs; name a folder, such as"),
            (LONG, "File name too long"),
            ("~nobody-is-called-so/runs", "runs='~nobody-is-called-so/runs' is not a folder"),
            ("a\0b", r"runs='a\\x00b' is not a folder"),
            ("a\udcffb", r"runs='a\\udcffb' is not a folder"),
        )
    ),
    *(
        ([*command, "--runs", "nowhere\nat all"], r"there is no folder nowhere\\nat all; name the folder in which")
        for command in (["status"], ["measure", TINY.id, "-p", "smoke"], ["study", "spectra", "-p", "smoke"])
    ),
    (["run", TINY.id, "-p", "smoke", "-q", "--runs", "/proc/none"], "cannot write to /proc/none"),
    (["revalidate", TINY.id, "-p", "smoke", "--runs", "nowhere"], "there is no folder nowhere"),
    # devices
    (["run", TINY.id, "-p", "smoke", "-d", "gpu"], "unknown device 'gpu'"),
    (["run", TINY.id, "-p", "smoke", "-d", ""], "unknown device ''"),
    (["run", TINY.id, "-p", "smoke", "-d", "cpu; rm -rf /"], "unknown device 'cpu; rm -rf /': the valid ones are auto, cpu"),
    (["run", TINY.id, "-p", "smoke", "-d", "cpu\n"], r"unknown device 'cpu\\n'"),
    (["run", TINY.id, "-p", "smoke", "-d", "cuda:" + "9" * 20], "device=cuda:9{20} asks for a GPU and PyTorch finds none"),
    (["run", TINY.id, "-p", "smoke", "-d", "cuda:" + "9" * 5000], "unknown device 'cuda:9"),
    (["status", "-d", "cuda"], "device=cuda asks for a GPU and PyTorch finds none; use --device cpu"),
    (["status", "-d", "warp"], "unknown device 'warp'"),
    (["measure", TINY.id, "-p", "smoke", "-d", "gpu"], "unknown device 'gpu'"),
    (["study", "spectra", "-d", "gpu"], "unknown device 'gpu'"),
    # seeds
    (["run", TINY.id, "-p", "smoke", "--seeds", "0"], "seeds=0 is impossible: 2 seeds are planned; choose between 1 and 2"),
    (["run", TINY.id, "-p", "smoke", "--seeds", "-1"], "seeds=-1 is impossible"),
    (["run", TINY.id, "-p", "smoke", "--seeds", "3"], "seeds=3 is impossible"),
    (["run", TINY.id, "-p", "smoke", "--seeds", "9" * 21], "seeds=9{21} is impossible"),
    # times
    *(
        (["run", TINY.id, "-p", "smoke", "-t", time], f"--time-limit .*{says}")
        for time, says in (
            ("nan", "'nan' is not a time; write it like 90s, 9m"),
            ("9 parsecs", "is not a time"),
            ("-5m", "'-5m' is not a time"),
            ("1e3", "'1e3' is not a time"),
            ("", "'' is not a time"),
            ("0", "'0' leaves no time"),
            ("9" * 400, "leaves no time|is not a time"),
            ("1:30", "is not a time"),
            ("9m\x1b", r"'9m\\x1b' is not a time"),
        )
    ),
    (["measure", TINY.id, "-p", "smoke", "-t", "soon"], "--time-limit 'soon' is not a time"),
    (["study", "spectra", "-t", "0"], "--time-limit '0' leaves no time"),
    # nothing there
    (["measure", TINY.id, "-p", "smoke"], "no runs of pinn/convection/tiny, profile smoke, are stored in .*; train them with"),
    (["revalidate", TINY.id, "-p", "smoke"], "no runs of pinn/convection/tiny, profile smoke, are stored in"),
    (["study", "norms", "-p", "smoke"], "the network of .*tiny, coefficient 5, n_data=10, seed 0 .and 1 more. is not stored"),
    # chapters
    (["chapter", "pinn_convection", "-o", "nowhere/out.ipynb"], "there is no folder .*nowhere; create it or choose another"),
    (["chapter", "pinn_convection", "-o", "folder.ipynb"], "folder.ipynb is a folder"),
    (["chapter", "pinn_convection", "-o", "out.html"], "out.html does not end in .ipynb"),
    (["chapter", "pinn_convection", "-p", "seeds", "two", "-o", "out.ipynb"], "seeds='two' is not a whole number"),
    (["chapter", "pinn_convection", "-p", "seeds", "True", "-o", "out.ipynb"], "seeds='True' is not a whole number"),
    (["chapter", "pinn_convection", "-p", "seeds", "2**99999999", "-o", "out.ipynb"], "is not a whole number"),
    (["chapter", "pinn_convection", "-p", "seeds", "9" * 5000, "-o", "out.ipynb"], "is not a whole number"),
    (["chapter", "pinn_convection", "-p", "runs", "/etc/hostname", "-o", "out.ipynb"], "/etc/hostname"),
    (["chapter", "pinn_convection", "-p", "runs", "nowhere", "-o", "out.ipynb"], "there is no folder nowhere"),
    (["chapter", "pinn_convection", "-p", "sead", "3", "-o", "out.ipynb"], "unknown parameter .*'sead': did you mean seeds"),
    (["chapter", "pinn_convection", "-p", "seeds", "1", "-p", "seeds", "2", "-o", "out.ipynb"], "-p seeds is given twice"),
]


def shown(words: list[str]) -> str:
    return " ".join(words).encode("unicode_escape").decode()[:60]


@pytest.mark.parametrize(("words", "says"), LINES, ids=[shown(words) for words, _ in LINES])
def test_what_is_typed_wrong_is_refused(words: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("SCIML_RUNS", str(tmp_path / "runs"))
    (tmp_path / "runs").mkdir()
    (tmp_path / "folder.ipynb").mkdir()
    before = snapshot(tmp_path)
    assert re.search(says, sentence := typed(*words)), sentence
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["stat"], "unknown command 'stat': did you mean status"),
        (["run"], "Missing argument 'SWEEP'"),
        (["run", "a", "b"], "unexpected extra argument"),
        (["run", TINY.id, "--seeds", "1.5"], "'1.5' is not a valid integer"),
        (["run", TINY.id, "--seeds", "many"], "'many' is not a valid integer"),
        (["run", TINY.id, "--sead", "1"], "No such option"),
        (["--hepl"], "No such option"),
        (["chapter", "pinn_convection"], "Missing option '--output'"),
        (["chapter", "pinn_convection", "-p", "seeds"], "requires 2 arguments"),
    ],
)
def test_wrong_usage_shows_how_it_is_used(words: list[str], says: str) -> None:
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2 and isinstance(result.exception, SystemExit)
    assert re.search(f"^Error: .*{says}", result.stderr.splitlines()[-1]) and "Traceback" not in result.output


def test_odd_folders_that_are_right_are_taken(tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("with space", "line\nend", "~tilde", "--dash", "ünï"):
        shutil.copytree(trained, tmp_path / name)
        given = str(tmp_path / name)
        result = CliRunner().invoke(main, ["run", TINY.id, "-p", "smoke", "-q", "-d", "cpu", "--runs", given])
        assert result.exit_code == 0, result.output
    assert sciml_lib.load(TINY, "smoke", "~/with space").attrs["cells_done"] == 8
    monkeypatch.setenv("SCIML_RUNS", "~/with space")
    assert places.runs_folder() == tmp_path / "with space"
    monkeypatch.delenv("SCIML_RUNS")
    default = places.runs_folder()
    monkeypatch.setenv("SCIML_RUNS", "")
    assert places.runs_folder() == default


# --- the same in a script or a notebook ----------------------------------------------------------------------------


def in_script(function: str, *arguments: Any, **options: Any) -> Callable[[], Any]:
    return lambda: getattr(sciml_lib, function)(*arguments, **options)


CALLS = {
    # sweeps and profiles
    "a list": (in_script("load", ["x"]), r"sweep=\['x'\] is not a sweep"),
    "None": (in_script("run", None), "sweep=None is not a sweep; give an id such as"),
    "a number": (in_script("estimate", 5), "sweep=5 is not a sweep"),
    "bytes": (in_script("measure", b"pinn/convection/lbfgs"), "is not a sweep"),
    "a class": (in_script("load_or_train", Sweep), "is not a sweep"),
    "a plan": (in_script("load", TINY.at("smoke")), "is not a sweep"),
    "no name": (in_script("load", ""), "unknown sweep ''"),
    "profile None": (in_script("load", TINY, None), "unknown profile 'None'"),
    "profile a list": (in_script("run", TINY, ["smoke"]), "unknown profile"),
    "profile a number": (in_script("measure", TINY, 5), "unknown profile '5'"),
    # folders
    "runs a number": (in_script("load", TINY, "smoke", 5), "runs=5 is not a folder"),
    "runs bytes": (in_script("run", TINY, "smoke", runs=b"runs"), "runs=b'runs' is not a folder"),
    "runs False": (in_script("run", TINY, "smoke", runs=False), "runs=False is not a folder"),
    "runs empty": (in_script("run", TINY, "smoke", runs=""), "runs='' is not a folder"),
    "runs a zero byte": (in_script("run", TINY, "smoke", runs="a\0b"), "is not a folder"),
    "runs nobody's": (in_script("run", TINY, "smoke", runs="~nobody-is-called-so"), "is not a folder"),
    "runs a file": (in_script("measure", TINY, "smoke", runs="/etc/hostname"), "/etc/hostname is a file"),
    "runs nowhere": (in_script("load", TINY, "smoke", "nowhere"), "there is no folder nowhere"),
    "runs nowhere, to train": (in_script("load_or_train", TINY, "smoke", runs="nowhere"), "there is no folder nowhere"),
    # devices
    "device None": (in_script("run", TINY, "smoke", runs="runs", device=None), "unknown device 'None'"),
    "device a number": (in_script("run", TINY, "smoke", runs="runs", device=0), "unknown device '0'"),
    "device gpu": (in_script("load_or_train", TINY, "smoke", runs="runs", device="gpu"), "unknown device 'gpu'"),
    "device for a measurement": (in_script("measure", TINY, "smoke", runs="runs", device="gpu"), "unknown device 'gpu'"),
    "device for an estimate": (in_script("estimate", TINY, "smoke", runs="runs", device="gpu"), "unknown device 'gpu'"),
    "a GPU that is not there": (in_script("run", TINY, "smoke", runs="runs", device=torch.device("cuda")), "asks for a GPU"),
    # seeds
    "seeds a text": (in_script("run", TINY, "smoke", runs="runs", seeds="1"), "seeds='1' is not a whole number"),
    "seeds True": (in_script("run", TINY, "smoke", runs="runs", seeds=True), "seeds=True is not a whole number"),
    "seeds half": (in_script("load_or_train", TINY, "smoke", runs="runs", seeds=1.5), "seeds=1.5 is not a whole number"),
    "seeds a list": (in_script("estimate", TINY, "smoke", runs="runs", seeds=[0]), r"seeds=\[0\] is not a whole number"),
    "seeds none": (in_script("run", TINY, "smoke", runs="runs", seeds=0), "seeds=0 is impossible: 2 seeds are planned"),
    "seeds negative": (in_script("run", TINY, "smoke", runs="runs", seeds=-1), "seeds=-1 is impossible"),
    "seeds too many": (in_script("run", TINY, "smoke", runs="runs", seeds=np.int64(3)), "seeds=3 is impossible"),
    # times
    "time a text": (in_script("run", TINY, "smoke", runs="runs", time_limit="9m"), "time_limit='9m' is impossible"),
    "time none": (
        in_script("run", TINY, "smoke", runs="runs", time_limit=0),
        "time_limit=0 is impossible; give seconds above 0",
    ),
    "time negative": (in_script("run", TINY, "smoke", runs="runs", time_limit=-1.0), "time_limit=-1.0 is impossible"),
    "time NaN": (in_script("measure", TINY, "smoke", runs="runs", time_limit=float("nan")), "time_limit=nan is impossible"),
    "time True": (in_script("run", TINY, "smoke", runs="runs", time_limit=True), "time_limit=True is impossible"),
    "minutes NaN": (
        in_script("load_or_train", TINY, "long", runs="runs", device="cpu", max_minutes=float("nan")),
        "max_minutes=nan is impossible",
    ),
    "minutes a text": (in_script("load_or_train", TINY, "long", runs="runs", max_minutes="5"), "max_minutes='5' is impossible"),
    "minutes negative": (in_script("load_or_train", TINY, "long", runs="runs", max_minutes=-1), "max_minutes=-1 is impossible"),
    # the rest
    "nothing stored": (in_script("load", TINY, "smoke", "runs"), "no runs of .*tiny, profile smoke, are stored in runs; train"),
    "nothing measured": (in_script("measure", TINY, "smoke", runs="runs"), "no runs of .*tiny, profile smoke, are stored in"),
    "no sweep to know": (lambda: sweeps.register("pinn/convection/lbfgs"), "'pinn/convection/lbfgs' is not a sweep"),
    "nothing to put aside": (lambda: sweeps.archive("pinn/x"), "unknown sweep 'pinn/x'"),
    "no study": (lambda: studies.get(None), "unknown study 'None'"),
    "a study in a list": (lambda: studies.get(["spectra"]), "unknown study"),
    "profile of a study": (lambda: studies.run(Norms(), None, runs="runs"), "unknown profile 'None'"),
    "profile of a study in a list": (lambda: studies.load(Norms(), ["smoke"], "runs"), "unknown profile"),
    "device of a study": (lambda: studies.run(Norms(), "smoke", runs="runs", device="gpu"), "unknown device 'gpu'"),
    "time of a study": (lambda: studies.run(Norms(), "smoke", runs="runs", time_limit="9m"), "time_limit='9m' is impossible"),
    "folder of a study": (lambda: studies.load(Norms(), "smoke", "nowhere"), "there is no folder nowhere"),
    "nothing of a study": (lambda: studies.load(Norms(), "smoke", "runs"), "nothing of the study norms, profile smoke, is"),
}


@pytest.mark.parametrize("kind", CALLS)
def test_a_call_that_cannot_be_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(
        execution, "train", execution.train if "minutes" not in kind else lambda *_, **__: pytest.fail("trained")
    )
    (tmp_path / "runs").mkdir()
    act, says = CALLS[kind]
    assert re.search(says, sentence := one_sentence(called(act))), sentence
    assert [path.name for path in tmp_path.rglob("*")] == ["runs"]


@pytest.mark.parametrize("name", ["run", "measure", "load_or_train", "estimate"])
def test_a_device_is_looked_at_even_if_there_is_nothing_to_do(runs: Path, name: str) -> None:
    assert "unknown device 'gpu'" in called(in_script(name, TINY, "smoke", runs=runs, device="gpu"))


def test_numbers_and_devices_of_other_packages_are_taken(tmp_path: Path) -> None:
    options = {"runs": tmp_path, "device": torch.device("cpu"), "progress": False}
    report = sciml_lib.run(TINY, "smoke", seeds=np.int64(1), time_limit=np.float32(500), **options)
    assert report.done == 4 and sciml_lib.load(TINY, "smoke", tmp_path).attrs["device"].startswith("cpu")
    assert sciml_lib.run(TINY, "smoke", seeds=np.uint8(2), time_limit=np.int64(500), **options).done == 8
    assert sciml_lib.load_or_train(TINY, "smoke", runs=tmp_path, max_minutes=np.float64(1)).attrs["cells_done"] == 8
    assert sciml_lib.load_or_train(TINY, "smoke", runs=tmp_path, max_minutes=0).attrs["cells_done"] == 8


# --- sweeps of one's own -------------------------------------------------------------------------------------------

OWN = {
    **{
        f"id {name!r}": ({"id": name}, "is not the id of a sweep; write it as family/system/variant")
        for name in (
            *("", "burgers", "pinn/burgers", "/pinn/burgers/x", "../../x", "pinn/../x", "pinn/burgers/..", "a/b/c/d"),
            *("/tmp/evil/x", "a//b", "a/b/c ", "a/b/c\n", "a/b/\0", "a/b/ü", None, 5, ["a/b/c"], "-a/b/c"),
        )
    },
    **{
        f"profile {name!r}": ({"profiles": {name: Reduction("x")}}, "is not the name of a profile")
        for name in ("../x", "", "a/b", ".", "a b", "a\n", None, 5)
    },
    "no profiles": ({"profiles": {}}, "profiles is empty"),
    "profiles None": ({"profiles": None}, "profiles=None is not"),
    "profiles a list": ({"profiles": ["smoke"]}, "profiles=.* is not"),
    "profile a number": ({"profiles": {"a": 5}}, "the profile a is 5"),
    "profiles that refer to each other": ({"profiles": {"a": "b", "b": "a"}}, "the profiles a and b of .* refer to each other"),
    "a profile that refers to itself": ({"profiles": {"a": "a"}}, "refer to each other|refers to itself"),
    "a profile that is not there": ({"profiles": {"a": "b"}}, "unknown profile 'b'"),
    "a coefficient that is not there": (
        {"profiles": {"a": Reduction("x", coefficients=(6.0,))}},
        "coefficients: 6.0 is not in",
    ),
    "an amount that is not there": ({"profiles": {"a": Reduction("x", n_data=(11,))}}, "n_data: 11 is not in the sweep"),
    "pairs that are not there": ({"profiles": {"a": Reduction("x", pairs=((5.0, 11),))}}, "is not in the sweep"),
    "too many seeds in a profile": ({"profiles": {"a": Reduction("x", n_seeds=3)}}, "seeds=3 is impossible"),
    "no seed in a profile": ({"profiles": {"a": Reduction("x", n_seeds=0)}}, "seeds=0 is impossible"),
    "half a seed in a profile": ({"profiles": {"a": Reduction("x", n_seeds=1.5)}}, "seeds=1.5 is not a whole number"),
    "nothing left in a profile": ({"profiles": {"a": Reduction("x", coefficients=())}}, "the profile a of .* leaves no run"),
    "coefficients of a profile a number": ({"profiles": {"a": Reduction("x", coefficients=5.0)}}, "coefficients=5.0 is not a"),
    "a strategy of a profile": ({"profiles": {"a": Reduction("x", strategy="adam")}}, "strategy='adam' is not a strategy"),
    "kept seeds of a profile": ({"profiles": {"a": Reduction("x", keep_seeds=-1)}}, "keep_seeds=-1 is impossible"),
    "kept seeds that are half": ({"profiles": {"a": Reduction("x", keep_seeds=0.5)}}, "keep_seeds=0.5 is not a whole number"),
    "strategy a name": ({"strategy": "adam"}, "strategy='adam' is not a strategy; write it like"),
    "strategy None": ({"strategy": None}, "strategy=None is not a strategy"),
    "strategy a stage": ({"strategy": Adam(2)}, "is not a strategy"),
    "system unknown": ({"system": "convektion"}, "unknown system 'convektion': did you mean convection"),
    "system a number": ({"system": 5}, "system=5 is not an equation"),
    "system a class": ({"system": Convection}, "is not an equation"),
    "setup a name": ({"setup": "mlp"}, "setup='mlp' is not"),
    "setup None": ({"setup": None}, "setup=None is not"),
    "no coefficients": ({"coefficients": ()}, "coefficients is empty"),
    "coefficients a number": ({"coefficients": 5.0}, "coefficients=5.0 is not a"),
    "coefficients texts": ({"coefficients": ("5",)}, "beta='5' is not a number|coefficients.*'5'.* is not a number"),
    "coefficients None": ({"coefficients": (None,)}, "None.* is not a number"),
    "a coefficient too large": ({"coefficients": (1e39,)}, r"beta=1e\+39 is not finite in single precision"),
    "an endless coefficient": ({"coefficients": (float("inf"),)}, "beta=inf is not finite"),
    "no number": ({"coefficients": (float("nan"),)}, "beta=nan is not finite"),
    "a complex coefficient": ({"coefficients": (1j,)}, "is not a number"),
    "a coefficient out of range": ({"coefficients": (-5.0,)}, "beta=-5 is no coefficient of the convection equation"),
    "a coefficient twice": ({"coefficients": (5.0, 5)}, "coefficients lists 5.0 twice"),
    "no amount": ({"n_data": ()}, "n_data is empty"),
    "an amount of a half": ({"n_data": (1.5,)}, "n_data=1.5 is not a whole number"),
    "an amount in words": ({"n_data": ("10",)}, "n_data='10' is not a whole number"),
    "an amount that is true": ({"n_data": (True,)}, "n_data=True is not a whole number"),
    "a single amount": ({"n_data": 10}, "n_data=10 is not a"),
    "no point": ({"n_data": (0,)}, "n_data=0 leaves no residual point"),
    "too many points": ({"n_data": (30_000,)}, "n_data=30000 exceeds the 25500 points"),
    "an amount twice": ({"n_data": (10, 10)}, "n_data lists 10 twice"),
    "no seeds": ({"seeds": ()}, "seeds is empty"),
    "a single seed": ({"seeds": 3}, "seeds=3 is not a"),
    "a negative seed": ({"seeds": (-1,)}, "seeds=-1 is not a seed; choose integers from 0 to 4294967295"),
    "a seed too large": ({"seeds": (2**32,)}, "seeds=4294967296 is not a seed"),
    "a seed that is true": ({"seeds": (True,)}, "seeds=True is not a seed"),
    "half a seed": ({"seeds": (0.5,)}, "seeds=0.5 is not a seed"),
    "seeds in a text": ({"seeds": "012"}, "seeds='012' is not a|seeds='0' is not a whole number"),
    "a seed twice": ({"seeds": (0, 0)}, "seeds lists 0 twice"),
    "no pairs": ({"pairs": ()}, "pairs is empty"),
    "pairs a number": ({"pairs": 5}, "pairs=5 is not a"),
    "pairs of one": ({"pairs": ((5.0,),)}, r"pairs lists \(5.0,\), which is no"),
    "pairs of numbers": ({"pairs": (5.0, 100)}, "pairs lists 5.0, which is no"),
    "pairs of texts": ({"pairs": (("5", 10),)}, "'5'.* is not a number"),
    "a pair twice": ({"pairs": ((5.0, 10), (5.0, 10))}, r"pairs lists \(5.0, 10\) twice"),
    "a pair out of range": ({"pairs": ((5.0, 0),)}, "n_data=0 leaves"),
    "a data seed": ({"setup": PINNSetup((4,), data_seed=-1)}, "data_seed=-1 is not a seed"),
    "a data seed of a half": ({"setup": PINNSetup((4,), data_seed=0.5)}, "data_seed=0.5 is not a seed"),
}


@pytest.mark.parametrize("kind", OWN)
def test_a_sweep_that_cannot_be_is_refused(kind: str) -> None:
    change, says = OWN[kind]
    assert re.search(says, sentence := one_sentence(called(lambda: dataclasses.replace(TINY, **change)))), sentence


def test_numbers_of_numpy_make_the_same_sweep() -> None:
    same = dataclasses.replace(
        TINY, coefficients=np.array([5, 70]), n_data=[np.int64(10), np.int32(20)], seeds=range(2), system=Convection()
    )
    assert same == TINY and same.at("smoke").hash == TINY.at("smoke").hash
    assert json.dumps(same.at("smoke").specification) == json.dumps(TINY.at("smoke").specification)


# --- plugins -------------------------------------------------------------------------------------------------------

HEAD = "from sciml_lib import Adam, Reduction, Strategy, Sweep\nfrom sciml_lib.sweeps import PINNSetup\n"
MINE = (
    "{name} = Sweep(id='{id}', title='Mine', system='convection', strategy=Strategy((Adam(2),)), coefficients=({c},), "
    "n_data=(10,), seeds=(0,), setup=PINNSetup((4,)), profiles={{'smoke': Reduction('x')}})\n"
)
MODULE = HEAD + MINE.format(name="MINE", id="pinn/convection/mine", c=5.0)

PLUGINS = {
    "no such module": (None, "no_such_module", "there is no such module here"),
    "no such package": (None, "no_such_package.part", "needs the package no_such_package|there is no such module"),
    "no such file": (None, "nowhere.py", "nowhere.py: there is no such file"),
    "no name": (None, "", "cannot be imported|there is no such module"),
    "a point": (None, ".", "cannot be imported|there is no such module"),
    "a path up": (None, "../mine", "cannot be imported|there is no such module"),
    "a relative name": (None, ".mine", "cannot be imported"),
    "a zero byte": (None, "a\0.py", "cannot be imported|there is no such file"),
    "a module without sweeps": (None, "json", "json: the module defines no sweep; put one at its top level"),
    "a file without sweeps": ("x = 1\n", "mine.py", "the module defines no sweep"),
    "an empty file": ("", "mine.py", "the module defines no sweep"),
    "a syntax error": ("def f(:\n", "mine.py", r"cannot be imported \(SyntaxError: .*mend it first"),
    "a syntax error in a module": ("def f(:\n", "mine", r"cannot be imported \(SyntaxError"),
    "not text": (b"\xff\xfe\n", "mine.py", r"cannot be imported \((SyntaxError|UnicodeDecodeError|ValueError)"),
    "a missing package": ("import no_such_package\n", "mine.py", "needs the package no_such_package, which is not installed"),
    "a missing package in a module": ("import no_such_package\n", "mine", "needs the package no_such_package"),
    "an exception of several lines": (
        "raise RuntimeError('one\\ntwo')\n",
        "mine.py",
        "cannot be imported .RuntimeError: one two",
    ),
    "an exit": ("import sys\nsys.exit('good bye')\n", "mine.py", "cannot be imported .SystemExit"),
    "a sweep that cannot be": (MODULE.replace("(5.0,)", "(-5.0,)"), "mine.py", "mine.py: beta=-5 is no coefficient"),
    "the id of another": (
        MODULE.replace("mine'", "lbfgs'"),
        "mine.py",
        "another sweep is called pinn/convection/lbfgs already",
    ),
    "one id twice": (
        MODULE + MINE.format(name="OTHER", id="pinn/convection/mine", c=6.0),
        "mine.py",
        "another sweep is called pinn/convection/mine already",
    ),
    "a folder": (Path.mkdir, "mine.py", "there is no such file"),
}


@pytest.fixture
def forget_modules() -> Iterator[None]:
    """What a case imports is forgotten after it, and so is its folder."""
    modules, path = set(sys.modules), list(sys.path)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith(("mine", "own_")):
            del sys.modules[name]


@pytest.mark.parametrize("kind", PLUGINS)
def test_a_plugin_that_cannot_be_is_refused(kind: str, tmp_path: Path, forget_modules: None) -> None:
    content, name, says = PLUGINS[kind]
    if callable(content):
        content(tmp_path / "mine.py")
    elif content is not None:
        put(content)(tmp_path / "mine.py")
    before = catalog.ids()
    for words in (["list"], ["run", "pinn/convection/mine", "-p", "smoke"]):
        assert re.search(says, sentence := typed(*words, "--plugin", name)), sentence
        assert "--plugin" in sentence
        assert catalog.ids() == before


def test_an_installed_plugin_that_is_broken_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Entry:
        value = "their_sweeps"

        def load(self) -> None:
            raise RuntimeError("one\ntwo")

    monkeypatch.setattr(plugins.metadata, "entry_points", lambda group: [Entry()] if group == plugins.GROUP else [])
    assert "the package that offers the sweeps their_sweeps cannot be imported (RuntimeError: one two)" in typed("list")


def test_the_whole_command_as_a_process_prints_no_traceback(tmp_path: Path) -> None:
    """Once for all: what the tables above see in one process is what a person sees."""
    (tmp_path / "mine.py").write_text("raise RuntimeError\n")
    command = [sys.executable, "-m", "sciml_lib", "run", TINY.id, "--plugin", "mine.py"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == "error: --plugin mine.py: it cannot be imported (RuntimeError); mend it first\n"
