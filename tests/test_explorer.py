"""What the page of cells is told of a store: cell by cell, with pictures, without them, and where nothing was run."""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib
import matplotlib.image
import numpy as np
import pytest
import torch
from sphinx.errors import ExtensionError

from sciml_lib import explorer, keeper, thumbnails
from sciml_lib.chapters import ROOT
from sciml_lib.errors import UserError
from sciml_lib.regimes import thresholds
from sciml_lib.strategies import LBFGS, Adam, MemberResult, Strategy
from sciml_lib.sweeps import NeuralODESetup, PINNSetup, catalog, curvature
from sciml_lib.sweeps.job import Job
from sciml_lib.sweeps.spec import Cell, Reduction, Sweep
from sciml_lib.sweeps.store import Writer
from sciml_lib.systems import Convection, Pendulum

PINN_SETUP, NODE_SETUP = PINNSetup(hidden=(4,)), NeuralODESetup(hidden=(3,))
WAVES = Sweep(
    id="pinn/convection/lbfgs-made",
    title="Waves: made up",
    system="convection",
    coefficients=(5.0, 30.0),
    n_data=(100, 1000),
    seeds=(0, 1, 2),
    setup=PINN_SETUP,
    strategy=Strategy((Adam(10), LBFGS(max_iterations=500))),
    reading="None.",
    profiles={name: Reduction(why="For tests.", keep_seeds=2) for name in ("laptop", "smoke")},
)
SWINGS = Sweep(
    id="pinode/pendulum/adam-made",
    title="Swings: made up",
    system="pendulum",
    pairs=((2.0, 20), (4.0, 40)),
    seeds=(3, 4),
    setup=NODE_SETUP,
    strategy=Strategy((Adam(10),)),
    profiles={"laptop": "paper", "paper": Reduction(why="For tests.")},
)
LEVEL = thresholds.of_panel(WAVES.id)
LOW, HIGH = 0.1, 10.0
"""Factors on a threshold."""


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The catalog holds the two sweeps and nothing else."""
    monkeypatch.setattr(catalog, "SWEEPS", {one.id: one for one in (WAVES, SWINGS)})


def result(params: torch.Tensor, train: float, test: float, names: tuple[str, ...], **more: Any) -> MemberResult:
    numbers = {"status": "converged_change", "iterations": 400, "evaluations": 500, "seconds": 1.23456} | more
    return MemberResult(
        params=params, train_loss=train, terms={name: train / len(names) for name in names}, test_error=test, **numbers
    )


def wave(cell: Cell, **more: Any) -> MemberResult:
    """I for slow waves; for fast ones with few points seed 0 is in I, the others in III."""
    good = cell.coefficient == 5 or cell.seed == 0
    params = 0.3 * torch.randn(PINN_SETUP.network(Convection()).n_params, generator=torch.Generator().manual_seed(cell.seed))
    error = LEVEL.test * (LOW if good else HIGH)
    return result(params, LEVEL.train * LOW, error, ("residual", "boundary", "initial"), **more)


def write(runs: Path, sweep: Sweep, cells: list[Cell], of: Callable[[Cell], MemberResult], profile: str = "laptop") -> Job:
    job = Job(sweep.at(profile), runs, "cpu")
    with Writer(job) as writer:
        for cell in cells:
            writer.add(cell, of(cell))
    return job


def stored_waves(runs: Path, of: Callable[[Cell], MemberResult] = wave) -> Job:
    """All cells but that of many points and a fast wave; of few points and a fast wave two seeds."""
    cells = [cell for cell in WAVES.at("laptop").cells if cell[:2] != (30.0, 1000) and cell != Cell(30.0, 100, 2)]
    return write(runs, WAVES, cells, of)


def cell_of(described: dict[str, Any], c: float, n: int) -> dict[str, Any]:
    return described["cells"][described["data"]["values"].index(n)][described["coefficient"]["values"].index(c)]


def pixels(uri: str) -> np.ndarray:
    """The image of a data URI, ``[height, width, 3]`` from 0 to 255."""
    data = base64.b64decode(uri.removeprefix("data:image/png;base64,"))
    return np.round(matplotlib.image.imread(io.BytesIO(data), format="png")[..., :3] * 255)


def test_a_cell_says_what_its_seeds_did(tmp_path: Path) -> None:
    ends = {1: {"status": "line_search_failed", "iterations": 10 + explorer.maps.EARLY}}
    found = explorer.described(stored_waves(tmp_path, lambda cell: wave(cell, **ends.get(cell.seed, {}))))
    assert (found["sweep"], found["profile"], found["stored"], found["planned"]) == (WAVES.id, "laptop", 8, 12)
    assert found["coefficient"] | {"words": ""} == {"symbol": "β", "words": "", "values": [5.0, 30.0]}
    assert found["data"] == {"symbol": "N_f", "words": "collocation points", "values": [100, 1000]}
    assert (found["thresholds"]["train"], found["thresholds"]["test"]) == (LEVEL.train, LEVEL.test)
    cell = cell_of(found, 30.0, 100)
    assert cell["regime"] == 3 and cell["counts"] == [1, 0, 1]
    assert cell["train"] == pytest.approx(LEVEL.train * LOW, rel=1e-3)
    assert cell["test"] == pytest.approx(LEVEL.test * (LOW + HIGH) / 2, rel=1e-3)
    first, second, third = cell["runs"]
    assert third is None
    assert (first["regime"], first["status"], first["iterations"], first["seconds"]) == (1, "converged_change", 400, 1.24)
    assert "early" not in first and second["early"] and found["warmUp"] == 10
    assert second["status"] in found["endings"]
    assert sum(first["terms"]) == pytest.approx(first["train"], rel=1e-3) and found["terms"][0] == "residual"
    assert cell_of(found, 5.0, 1000)["counts"] == [3, 0, 0]


def test_what_was_not_run_and_what_is_not_stored_say_so(tmp_path: Path) -> None:
    found = explorer.described(stored_waves(tmp_path))
    cell = cell_of(found, 30.0, 1000)
    assert cell["regime"] == 0 and cell["counts"] == [0, 0, 0] and cell["runs"] == [None] * 3
    assert "train" not in cell
    told = cell["command"].split()
    for option, value in {"--coefficient": "30", "--n-data": "1000", "--seed": "0", "--profile": "laptop"}.items():
        assert told[told.index(option) + 1] == value
    runs = cell_of(found, 5.0, 100)["runs"]  # the profile keeps the parameters of two seeds of three
    assert [run["picture"] for run in runs] == [0, 1, explorer.NOT_KEPT]


def test_without_any_stored_parameters_the_numbers_are_all_there(tmp_path: Path) -> None:
    job = stored_waves(tmp_path)
    shutil.rmtree(job.folder / "arrays")
    found = explorer.described(job)
    assert found["pictures"] is None
    assert {run["picture"] for run in cell_of(found, 5.0, 100)["runs"]} == {explorer.NOT_KEPT}
    assert cell_of(found, 5.0, 100)["counts"] == [3, 0, 0]


def test_a_run_that_diverged_is_infinite_and_has_no_picture(tmp_path: Path) -> None:
    def of(cell: Cell) -> MemberResult:
        made = wave(cell)
        if cell != Cell(30.0, 100, 1):
            return made
        made.params.fill_(torch.nan)
        return result(made.params, float("nan"), float("nan"), ("residual", "boundary", "initial"), status="diverged")

    found = explorer.described(stored_waves(tmp_path, of))
    cell = cell_of(found, 30.0, 100)
    assert cell["regime"] == 2 and cell["counts"] == [1, 1, 0] and cell["train"] == float("inf")
    assert cell["runs"][1]["picture"] == explorer.NOT_FINITE
    assert all(map(np.isfinite, found["ranges"]["train"]))
    assert "NaN" not in json.dumps(cell["runs"][0]) and "Infinity" in json.dumps(cell)  # JavaScript reads the second


def test_a_curvature_that_was_measured_is_told(tmp_path: Path) -> None:
    job = stored_waves(tmp_path)
    cell = Cell(5.0, 100, 1)
    numbers = {"lambda_max": 768.25, "lambda_max_residual": 0.1, "lambda_power": 768.0, "trace": 1578.5, "trace_error": 0.2}
    fields = [*cell, *numbers.values(), 1.0, "cpu", "abc", keeper.digest(wave(cell).params.numpy())]
    lines = [",".join(map(str, line)) for line in (curvature.COLUMNS, fields)]
    (job.folder / curvature.NAME).write_text("\n".join(lines) + "\n")
    runs = cell_of(explorer.described(job), 5.0, 100)["runs"]
    assert (runs[1]["lambda"], runs[1]["trace"]) == (768.2, 1578.0)
    assert "lambda" not in runs[0]


def test_the_pictures_are_what_the_networks_give(tmp_path: Path) -> None:
    found = explorer.described(stored_waves(tmp_path))
    width, height = found["pictures"]["size"]
    shown = pixels(found["pictures"]["learned"][100])
    cells = [cell for cell in WAVES.at("laptop").cells if cell.n_data == 100 and cell.seed < 2]
    assert shown.shape == (len(cells) * height, width, 3)
    x = np.linspace(0.0, 2.0 * np.pi, width)
    t = np.linspace(0.0, 1.0, height)[::-1]  # time goes upwards
    points = torch.tensor(np.stack(np.meshgrid(x, t), axis=-1))
    colours = matplotlib.colormaps["RdBu_r"]
    for cell in cells:
        place = cell_of(found, cell.coefficient, 100)["runs"][cell.seed]["picture"]
        network = PINN_SETUP.network(Convection()).module(wave(cell).params.double())
        with torch.no_grad():
            expected = colours((network(points)[..., 0].numpy() + 1) / 2)[..., :3] * 255
        difference = np.abs(shown[place * height : (place + 1) * height] - expected)
        assert difference.max() <= 6, cell  # 255 shades
    truth = pixels(found["pictures"]["truth"])
    for k, beta in enumerate(WAVES.coefficients):
        expected = colours((np.sin(x - beta * t[:, None]) + 1) / 2)[..., :3] * 255
        assert np.abs(truth[k * height : (k + 1) * height] - expected).max() <= 6


def test_a_motion_is_followed_beside_the_true_one_and_ends_where_it_leaves_every_bound(tmp_path: Path) -> None:
    network = NODE_SETUP.network(Pendulum())

    def of(cell: Cell) -> MemberResult:
        params = torch.zeros(network.n_params)
        if cell.seed == 4:
            params[-2:] = torch.tensor([1.0, 1e30])  # a constant field: the angle grows by 1 rad/s, the velocity breaks out
            params[-1] = 0.0 if cell.coefficient == 2 else 1e30
        return result(params, 1e-8, 0.5, ("data",), metrics={"one_step_mse": 0.1})

    job = write(tmp_path, SWINGS, list(SWINGS.at("paper").cells), of, "paper")
    found = explorer.described(job)
    pictures, step = found["pictures"], thumbnails.STRIDE * 0.05
    assert pictures["kind"] == "motion" and "angle" in pictures["words"]
    assert found["cells"][0][1] is None and found["cells"][1][0] is None  # two pairs of four are planned
    true = Pendulum().test_trajectory(2.0)[:: thumbnails.STRIDE, 0].numpy()
    np.testing.assert_allclose(np.array(pictures["truth"][0]) / 100, true, atol=0.006)

    def learned(c: float, n: int, k: int) -> np.ndarray:
        return np.array(pictures["learned"][cell_of(found, c, n)["runs"][k]["picture"]]) / 100

    assert np.all(learned(2.0, 20, 0) == 2.8) and learned(2.0, 20, 0).size == true.size
    rising = np.minimum(2.8 + step * np.arange(true.size), 3 * pictures["limit"])
    np.testing.assert_allclose(learned(2.0, 20, 1), rising, atol=0.012)
    assert learned(4.0, 40, 1).tolist() == [2.8]
    assert found["warmUp"] is None


def test_what_a_network_on_the_sphere_sees_is_drawn(tmp_path: Path) -> None:
    setup = NeuralODESetup(hidden=(3,), representation="sphere")
    true = thumbnails.true_motions(Pendulum(), setup, [2.0])[0]
    angle = Pendulum().test_trajectory(2.0)[:: thumbnails.STRIDE, 0].numpy()
    np.testing.assert_allclose(true, -np.cos(angle))
    params = torch.zeros(1, setup.network(Pendulum()).n_params)
    np.testing.assert_allclose(thumbnails.learned_motions(Pendulum(), setup, params, [2.0])[0], -np.cos(2.8), rtol=1e-6)


# --- the scripts -----------------------------------------------------------------------------------------------


def assigned(path: Path) -> Any:
    """The data that a script assigns."""
    text = path.read_text(encoding="utf-8")
    return json.loads(text[text.index(" = ") + 3 : text.rindex(";")])


def test_every_stored_sweep_has_a_script_and_trials_have_none(tmp_path: Path) -> None:
    runs, folder = tmp_path / "runs", tmp_path / "out"
    stored_waves(runs)
    write(runs, WAVES, [Cell(5.0, 100, 0)], wave, "smoke")
    folder.mkdir()
    (folder / "pinn.gone.lbfgs.laptop.js").write_text("a store that is there no longer")
    found = explorer.write(folder, tmp_path / "kept", runs)
    assert [(one["sweep"], one["profile"]) for one in found] == [(WAVES.id, "laptop")]
    assert {path.name for path in folder.iterdir()} == {"index.js", "pinn.convection.lbfgs-made.laptop.js"}
    (entry,) = assigned(folder / explorer.INDEX)["sweeps"]
    assert assigned(folder / f"{entry['name']}.js") == json.loads(json.dumps(found[0]))
    assert (entry["stored"], entry["planned"]) == (8, 12)


def test_a_store_that_has_not_changed_is_not_evaluated_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs, folder, kept = tmp_path / "runs", tmp_path / "out", tmp_path / "kept"
    job = stored_waves(runs)
    first = explorer.write(folder, kept, runs)
    calls = []
    described = explorer.described
    monkeypatch.setattr(explorer, "described", lambda job: calls.append(job) or described(job))
    assert json.dumps(explorer.write(folder, kept, runs)) == json.dumps(first) and not calls
    write(runs, WAVES, [Cell(30.0, 1000, 0)], wave)
    assert explorer.write(folder, kept, runs)[0]["stored"] == 9 and len(calls) == 1
    assert len(list(kept.iterdir())) == 1
    shutil.rmtree(job.folder)
    assert explorer.write(folder, kept, runs) == [] and [path.name for path in folder.iterdir()] == ["index.js"]


@pytest.mark.parametrize("name", ["cells.csv", "manifest.json", "arrays/n100.npz"])
def test_a_damaged_store_stops_the_build_and_names_the_file(name: str, tmp_path: Path) -> None:
    job = stored_waves(tmp_path / "runs")
    path = job.folder / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] + b"\0?\n")
    with pytest.raises(UserError, match=name.replace(".", r"\.")):
        explorer.write(tmp_path / "out", tmp_path / "kept", tmp_path / "runs")
    where = importlib.util.spec_from_file_location("explorer_extension", ROOT / "book" / "_ext" / "explorer.py")
    extension = importlib.util.module_from_spec(where)
    where.loader.exec_module(extension)
    config = SimpleNamespace(html_static_path=[], myst_substitutions={})
    with pytest.raises(ExtensionError, match=name.replace(".", r"\.")):
        extension._write(SimpleNamespace(confdir=tmp_path), config)


def test_the_cells_to_begin_with_are_one_of_each_kind(tmp_path: Path) -> None:
    found = [explorer.described(stored_waves(tmp_path))]
    picked = {one["kind"]: one for one in explorer.suggested(found, WAVES.id)}
    assert set(picked) == {"well", "divided"}  # no cell has all of its seeds in III
    assert picked["divided"]["cell"] == (30.0, 100) and picked["divided"]["counts"] == [1, 0, 1]
    assert picked["well"]["cell"] == (5.0, 100) and picked["well"]["symbols"] == ("β", "N_f")
    assert picked["divided"]["link"] == f"#sweep={WAVES.id}&profile=laptop&c=30&n=100"
    assert explorer.suggested(found, "pinn/wave/lbfgs") == []


# --- the page in a browser -------------------------------------------------------------------------------------

PAGE = """<!doctype html>
<html data-content_root="./"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<style>:root { --pst-color-text-base: #222; --pst-color-primary: #07889b; }</style>
<link rel="icon" href="data:,"><link rel="stylesheet" href="explorer.css">
<script defer src="explorer/index.js"></script><script defer src="explorer.js"></script></head>
<body><div id="explorer"></div></body></html>
"""


@pytest.fixture
def site(tmp_path: Path) -> str:
    """The page with two made-up maps, as a file."""
    stored_waves(tmp_path / "runs")
    swing = result(torch.zeros(NODE_SETUP.network(Pendulum()).n_params), 1e-8, 0.5, ("data",), metrics={"one_step_mse": 0.1})
    write(tmp_path / "runs", SWINGS, list(SWINGS.at("paper").cells), lambda cell: swing, "paper")
    explorer.write(tmp_path / "site" / "explorer", tmp_path / "kept", tmp_path / "runs")
    for name in ("explorer.js", "explorer.css"):
        shutil.copy(ROOT / "book" / "_static" / name, tmp_path / "site")
    (tmp_path / "site" / "page.html").write_text(PAGE)
    return (tmp_path / "site" / "page.html").as_uri()


def text_of(page: Any, place: str = ".explorer-detail") -> str:
    return page.locator(place).inner_text()


def press(page: Any, *keys: str) -> str:
    """Presses keys; what the focused element is called then."""
    for key in keys:
        page.keyboard.press(key)
    return page.evaluate("document.activeElement.getAttribute('aria-label') || document.activeElement.name")


@pytest.mark.parametrize("width", [1440, 390])
def test_a_click_shows_the_seeds_of_a_cell(page: Any, site: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(site)
    page.locator('[data-c="30"][data-n="100"]').click()
    said = text_of(page)
    assert "Regime III" in said and "1 of 2 in I, 1 of 2 in III" in said and "2 of 3 planned seeds are stored" in said
    titles = page.locator(".explorer-card strong").all_inner_texts()
    assert titles == ["True solution", "Seed 0: I", "Seed 1: III"]
    assert page.locator("h2").evaluate("e => e.getBoundingClientRect().top < innerHeight")  # on a phone it is scrolled to
    drawn = "canvas => canvas.getContext('2d').getImageData(32, 25, 1, 1).data[3]"
    page.wait_for_function(f"[...document.querySelectorAll('canvas')].every({drawn})")
    assert page.locator("canvas").count() == 3
    page.locator('[data-c="5"][data-n="100"]').click()
    assert explorer.NOT_KEPT in text_of(page)  # of the third seed
    page.locator('[data-c="30"][data-n="1000"]').click()
    assert "Not run" in text_of(page) and "--coefficient 30 --n-data 1000" in text_of(page)
    assert page.locator(".explorer-card strong").all_inner_texts() == ["True solution"]
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    assert page.troubles == []


def test_the_keyboard_moves_over_the_map_and_opens_a_cell(page: Any, site: str) -> None:
    page.goto(site)
    page.locator(".explorer-cell").first.wait_for()
    page.locator("[name=sweep]").focus()
    assert press(page, "Tab") == "profile" and press(page, "Tab") == "explorer-colour"
    press(page, "Tab", "Tab", "Tab")  # by the link to all rows and the folded recipe into the map, of which one cell is reached
    begin = page.evaluate("document.activeElement.dataset.c + ' ' + document.activeElement.dataset.n")
    assert begin == "5 100"
    assert "= 30, N f = 1,000" in press(page, "ArrowRight", "ArrowUp", "ArrowUp")  # and no further than the end
    assert "= 5, N f = 1,000" in press(page, "Home") and "= 30, N f = 100." in press(page, "End", "ArrowDown")
    assert page.locator('.explorer-cell[tabindex="0"]').count() == 1
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid" and page.locator("h2").count() == 0
    press(page, "Enter")
    assert "Seed 1: III" in text_of(page)
    assert "Regime III" in page.locator("[aria-live=polite]").inner_text()
    assert page.evaluate("document.activeElement.getAttribute('aria-selected')") == "true"  # the focus stays
    assert page.troubles == []


def test_the_address_keeps_what_is_chosen(page: Any, site: str) -> None:
    page.goto(f"{site}#sweep={WAVES.id}&profile=laptop&c=30&n=100&colour=test")
    page.locator("h2").wait_for()
    assert page.locator("[name=explorer-colour]:checked").get_attribute("value") == "test"
    low, high = (page.locator(f'[data-c="{c}"][data-n="100"]').evaluate("e => e.style.backgroundColor") for c in (5, 30))
    page.locator("[value=regime]").check()
    assert (
        page.locator('[data-c="5"][data-n="100"]').evaluate("e => e.style.backgroundColor") not in (low, high) and low != high
    )
    page.locator("[name=sweep]").select_option(SWINGS.id)
    page.locator('[data-c="4"][data-n="40"]').click()
    assert page.url.endswith(f"#sweep={SWINGS.id}&profile=paper&c=4&n=40")
    assert page.locator("polyline").count() == 4  # two seeds beside the true motion
    assert page.locator(".explorer-cell").count() == 2  # two pairs of four are planned
    page.evaluate(f"location.hash = '#sweep={WAVES.id}&profile=laptop&c=5&n=1000'")
    page.locator("h2", has_text="1,000").wait_for()
    page.goto("about:blank")
    page.goto(f"{site}#sweep=nobody/knows/this&c=1&n=2")  # the first sweep, and no cell
    page.locator(".explorer-cell").first.wait_for()
    assert "Choose a cell" in text_of(page)
    assert page.troubles == []
