"""What is installed, what can be imported and asked for, and data sets as netCDF files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import sciml_lib
from sciml_lib import LBFGS, Strategy, Sweep, chapters
from sciml_lib.sweeps import PINNSetup
from sciml_lib.systems import SpaceTimeSystem, Wave

ROOT = chapters.ROOT


# --- the package -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a copy of the repository, built without a network."""
    pytest.importorskip("setuptools")
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "sciml_lib", source / "sciml_lib", ignore=shutil.ignore_patterns("__pycache__"))
    options = ["--no-build-isolation", "--no-deps", "--no-index", "--quiet", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", str(folder), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("sciml_lib-*.whl")
    return built


def test_the_wheel_holds_the_library_its_data_and_the_mark_of_types_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "sciml_lib").rglob("*.py")}
    data = {str(path.relative_to(ROOT)) for path in (ROOT / "sciml_lib" / "regimes" / "data").iterdir()}
    assert modules | data | {"sciml_lib/py.typed"} <= set(names)
    assert {name.split("/")[0].split("-")[0] for name in names} == {"sciml_lib"}


def test_the_wheel_installs_the_command_sciml(wheel: Path, tmp_path: Path) -> None:
    options = ["--no-deps", "--no-index", "--quiet", "--disable-pip-version-check", "--target", str(tmp_path / "site")]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(wheel)], check=True, timeout=300)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site"), "PYTHONWARNINGS": ""}
    for words in (["list"], ["status", "pinn/wave/lbfgs"]):
        command = [sys.executable, str(tmp_path / "site" / "bin" / "sciml"), *words]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "pinn/wave/lbfgs" in done.stdout
    # An installed library never stores inside itself.
    assert f"the runs in {tmp_path / 'runs'}" in done.stdout


def test_everything_that_dir_lists_can_be_asked_for() -> None:
    listed = dir(sciml_lib)
    assert {"load", "run", "measure", "estimate", "Sweep", "UserError", "landscape", "studies", "testing"} <= set(listed)
    assert listed == sorted(set(listed))
    for name in listed:
        assert getattr(sciml_lib, name) is not None
    rooms = {path.parent.name if path.stem == "__init__" else path.stem for path in (ROOT / "sciml_lib").glob("*/__init__.py")}
    assert rooms <= set(listed)
    with pytest.raises(AttributeError, match="module 'sciml_lib' has no attribute 'lod'"):
        sciml_lib.lod  # noqa: B018


@pytest.mark.parametrize(
    ("statement", "room"),
    [
        ("sciml_lib.figures", "figures"),
        ("from sciml_lib import figures", "figures"),
        ("from sciml_lib import panels", "panels"),
    ],
)
def test_without_the_drawing_packages_figures_say_what_to_install_and_the_rest_works(statement: str, room: str) -> None:
    code = f"""
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("matplotlib", "seaborn", "plotly", "contourpy"):
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
import sciml_lib
sciml_lib.load, sciml_lib.run, sciml_lib.testing, sciml_lib.landscape
try:
    {statement}
except ModuleNotFoundError as error:
    print(error)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    said = f"sciml_lib.{room} needs matplotlib, which is not installed: pip install 'sciml_lib[figures]'"
    assert done.stdout.strip() == said


# --- netCDF ----------------------------------------------------------------------------------------------------


class Thick(SpaceTimeSystem):
    """A wave whose equation is somebody's own."""

    name, coefficient_name, coefficient_range = "thick-wave", "c", (0.0, 10.0)
    coefficient_label = "c̃"  # beyond ASCII
    x_range = Wave.x_range
    blocks, residuals, solution = Wave.blocks, Wave.residuals, Wave.solution
    beta, _start = 2.0, Wave._start


MINE = Sweep(
    id="pinn/thick-wave/lbfgs",
    title="Mine, with a c̃",
    system=Thick(grid=(17, 9), test_grid=(17, 9)),
    strategy=Strategy((LBFGS(4),)),
    coefficients=(1.0, 2.0),
    n_data=(10, 20),
    seeds=(0, 3),
    setup=PINNSetup(hidden=(4,)),
)


def test_runs_of_ones_own_sweep_survive_a_netcdf_file(tmp_path: Path) -> None:
    sciml_lib.run(MINE, runs=tmp_path, progress=False, seeds=1)  # the second seed is missing
    sciml_lib.measure(MINE, runs=tmp_path, progress=False)
    runs = sciml_lib.load(MINE, runs=tmp_path)
    assert np.isfinite(runs.lambda_max.sel(seed=0)).all() and np.isnan(runs.test_error.sel(seed=3)).all()
    same_after_a_file(runs, tmp_path / "mine.nc")


@pytest.mark.parametrize("sweep", ["pinn/convection/lbfgs", "pinode/pendulum/adam"])
def test_stored_runs_survive_a_netcdf_file(sweep: str, tmp_path: Path) -> None:
    runs = sciml_lib.load(sweep, "laptop")
    same_after_a_file(runs, tmp_path / "runs.nc")


def same_after_a_file(runs: xr.Dataset, path: Path) -> None:
    runs.to_netcdf(path)
    with xr.open_dataset(path) as again:
        xr.testing.assert_equal(again.drop_vars("status"), runs.drop_vars("status"))
        assert (again.status.astype(str) == runs.status.astype(str)).all()
        assert set(again.attrs) == set(runs.attrs)
        for name, value in runs.attrs.items():
            assert np.array_equal(np.atleast_1d(again.attrs[name]), np.atleast_1d(value)), name
