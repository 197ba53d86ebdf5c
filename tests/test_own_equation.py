"""The page on an equation of one's own: what it tells a reader to save and type works as it stands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from scipy.integrate import solve_ivp

import sciml_lib
from sciml_lib.cli import main
from sciml_lib.sweeps import catalog, plugins

PAGE = Path(__file__).parents[1] / "book/use/own_equation.py"


def saved() -> str:
    """The two cells that the page says to save: the class and the sweep."""
    cells = re.split(r"^# %%.*\n", PAGE.read_text(encoding="utf-8"), flags=re.M)
    chosen = [cell for cell in cells if "class Burgers" in cell or "SWEEP = Sweep(" in cell]
    assert len(chosen) == 2
    return "\n".join(chosen)


def commands() -> list[str]:
    (block,) = re.findall(r"# ```bash\n(.*?)# ```", PAGE.read_text(encoding="utf-8"), re.S)
    return [line.removeprefix("# python -m sciml_lib ") for line in block.splitlines()]


def test_the_commands_of_the_page_do_what_they_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(catalog, "_OWN", {})
    monkeypatch.setattr(plugins, "_LOADED", {})
    (tmp_path / "my_sweeps.py").write_text(saved(), encoding="utf-8")
    typed = commands()
    assert [line.split()[0] for line in typed] == ["run", "status", "measure"]
    for line in typed:
        done = CliRunner().invoke(main, [*shlex.split(line), "--profile", "smoke"])
        assert done.exit_code == 0, done.output
    runs = sciml_lib.load("pinn/burgers/lbfgs", "smoke", tmp_path / "my_runs")
    assert (runs.status != "").all() and bool(runs.lambda_max.notnull().all())
    runs.to_netcdf(tmp_path / "burgers.nc")
    assert (tmp_path / "burgers.nc").stat().st_size > 0


def test_the_reference_solution_of_the_page_is_that_of_an_independent_solver() -> None:
    page: dict[str, object] = {"__name__": "page"}
    exec(saved(), page)
    x, c = np.linspace(-1.0, 1.0, 401), 10.0
    h = x[1] - x[0]

    def rates(_: float, u: np.ndarray) -> np.ndarray:
        inner = (u[2:] - 2 * u[1:-1] + u[:-2]) / (c * h**2) - u[1:-1] * (u[2:] - u[:-2]) / (2 * h)
        return np.concatenate([[0.0], inner, [0.0]])

    found = solve_ivp(rates, (0.0, 1.0), -np.sin(np.pi * x), t_eval=[0.3, 1.0], method="LSODA", rtol=1e-8, atol=1e-10)
    for t, u in zip(found.t, found.y.T, strict=True):
        points = torch.tensor(np.stack([x, np.full_like(x, t)], axis=1))
        ours = page["Burgers"]().solution(points, torch.tensor([[c]], dtype=torch.float64))[0]
        assert np.abs(ours.numpy() - u).max() < 1e-3
