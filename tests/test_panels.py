"""Panels of equations that are not the library's, and every wrong thing a chapter may be given."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import made_runs
import numpy as np
import pytest
import torch
import xarray as xr
from matplotlib.text import Text

import sciml_lib
from sciml_lib import rollouts
from sciml_lib.analysis.borders import panel_words
from sciml_lib.errors import UserError
from sciml_lib.panels import Panel, mixed, solved
from sciml_lib.regimes import Regime, Thresholds, thresholds
from sciml_lib.report import maps_figure, stored_runs
from sciml_lib.strategies import Adam, Strategy
from sciml_lib.sweeps import PINNSetup, catalog
from sciml_lib.sweeps.spec import Cell, Reduction, Sweep
from sciml_lib.systems import Block, Dynamics, SpaceTimeSystem

PANEL = "pinn/convection/lbfgs"
SETUP = PINNSetup(hidden=(3,))


class Helmholtz(SpaceTimeSystem):
    """Stationary, so that nothing about it is a time."""

    name, coefficient_name, coefficient_label, coefficient_range = "helmholtz", "a", "a", (0.0, math.inf)
    coefficient_words, data_label, axis_labels = "the number of waves", "$n$, points of the square", ("x", "y")
    x_range = (0.0, 1.0)
    grid, test_grid = (17, 9), (7, 5)

    def blocks(self, n, data_seed=0):
        return {"residual": Block(self.collocation(n, data_seed), ("xx", "tt")), "left": Block(self.edges()["lower"])}

    def residuals(self, jets, points, coefficient):
        inner = jets["residual"]
        return {"residual": inner["xx"] + inner["tt"] + coefficient * inner["u"], "left": jets["left"]["u"]}

    def solution(self, points, coefficient):
        return torch.sin(coefficient * math.pi * points[..., 0]) * torch.sin(coefficient * math.pi * points[..., 1])


class Oscillator(Dynamics):
    """Two states without any words of their own."""

    name, coefficient_name, coefficient_range = "oscillator", "k", (0.0, math.inf)
    start, test_start, test_horizon = (1.0, 0.0), (0.5, 0.0), 4.0

    def field(self, states, coefficient):
        place, velocity = states.unbind(-1)
        return torch.stack([velocity, -coefficient * place], dim=-1)


def own_sweep(system: Any, family: str, setup: Any, monkeypatch: pytest.MonkeyPatch, n_data=(20, 40, 80)) -> Sweep:
    """A sweep of one's own, which the catalog does not have."""
    with monkeypatch.context() as during:
        during.setitem(sciml_lib.systems.SYSTEMS, system.name, type(system))
        made = Sweep(
            id=f"{family}/{system.name}/adam",
            title="mine",
            system=system.name,
            strategy=Strategy((Adam(steps=2),)),
            seeds=(0, 1),
            reading="mine",
            coefficients=(1.0, 2.0, 4.0),
            n_data=n_data,
            setup=setup,
            profiles={"laptop": Reduction("all")},
        )
    object.__setattr__(made, "system", system)
    return made


def data_of(sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> xr.Dataset:
    """Runs of a sweep: the loss is high at its largest coefficient, the error where points are few."""
    with monkeypatch.context() as during:
        during.setitem(catalog.SWEEPS, sweep.id, sweep)
        few = sweep.n_data[0]
        return made_runs.runs(
            sweep.id,
            "laptop",
            lambda c, n, s: 1.0 + 0.01 * s if c == 4 else 1e-3 * c,
            lambda c, n, s: 1.0 if c == 4 or n == few else 0.01 * c,
        )


@pytest.fixture
def mine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Panel:
    """A panel of one's own sweep, by way of :meth:`Panel.of`, with the parameters of all runs stored."""
    sweep = own_sweep(Helmholtz(), "pinn", SETUP, monkeypatch)
    monkeypatch.setattr(sciml_lib, "load_or_train", lambda given, *_, **__: data_of(given, monkeypatch), raising=False)
    arrays = tmp_path / sweep.id / "laptop" / "arrays"
    arrays.mkdir(parents=True)
    for n in sweep.n_data:
        names = [f"c{c:g}_s{s}" for c in sweep.coefficients for s in sweep.seeds]
        np.savez(
            arrays / f"n{n}.npz",
            **{name: np.full(SETUP.network(Helmholtz()).n_params, 0.1, dtype=np.float32) for name in names},
        )
    return Panel.of(sweep, runs=tmp_path)


# --- an equation of one's own --------------------------------------------------------------------------------


def test_a_sweep_that_the_catalog_does_not_have_becomes_a_map(mine: Panel) -> None:
    assert mine.plan.sweep.id not in catalog.SWEEPS and isinstance(mine.system, Helmholtz)
    assert mine.thresholds == thresholds.relative(mine.train, mine.test)
    expected = [[Regime.III, Regime.I, Regime.I], [Regime.III, Regime.I, Regime.I], [Regime.II] * 3]
    assert mine.labels.values.tolist() == expected
    part = mine.restricted_to(mine)
    assert part.plan is mine.plan and part.labels.equals(mine.labels)
    assert panel_words(mine) == ("a", "$n$", "points of the square")


def texts(figure: Any) -> str:
    """Everything that is written in a figure."""
    return "\n".join(text.get_text() for text in figure.findobj(Text))


def test_every_figure_speaks_the_words_of_the_system(mine: Panel) -> None:
    whole = mine.regime_map("mine"), mine.boundary_band("mine"), mine.examples("mine")
    for figure in whole:
        written = texts(figure)
        assert not any(word in written for word in ("beta", "β", "N_f", "time", "convection", "$t$"))
    for figure in whole[:2]:
        assert "a, the number of waves" in texts(figure) and "$n$, points of the square" in texts(figure)
    written = texts(whole[2])
    assert re.search(r"I, well trained: a = [12], \$n\$ = (40|80)\b", written)
    assert "$u(x, y)$" in written and "the network\n$y$" in written


def test_the_legend_says_where_thresholds_are_from_unless_from_table_5(mine: Panel) -> None:
    def legend(panel: Panel) -> str:
        return panel.regime_map("m").legends[0].get_title().get_text().replace("\n", " ")

    assert legend(mine) == mine.thresholds.sentence and "of the way from the 5th to the 95th percentile" in legend(mine)
    own = Panel(mine.runs, own_thresholds=Thresholds.of(train=0.5, test=0.05, origin="a tolerance of 5 %"), own_plan=mine.plan)
    assert legend(own) == "thresholds 0.5 (training loss) and 0.05 (test error): a tolerance of 5 %"
    papers = Panel(made_runs.runs(PANEL, "laptop", made_runs.steep(25), made_runs.few))
    assert legend(papers) == ""
    both, one = (
        maps_figure({"a": papers, "b": own, "c": last}, "m").legends[0].get_title().get_text() for last in (own, papers)
    )
    assert both.startswith("(b), (c) thresholds 0.5") and one.startswith("(b) thresholds 0.5")
    assert maps_figure({"a": own, "b": own}, "m").legends[0].get_title().get_text().startswith("thresholds 0.5")


def test_the_motions_of_a_system_without_words_are_numbered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    setup = catalog.get("node/pendulum/adam-raw").setup
    sweep = own_sweep(Oscillator(), "node", setup, monkeypatch)
    panel = Panel(data_of(sweep, monkeypatch), str(tmp_path), own_plan=sweep.at("laptop"))
    arrays = tmp_path / sweep.id / "laptop" / "arrays"
    arrays.mkdir(parents=True)
    n_params = setup.network(Oscillator()).n_params
    np.savez(arrays / "n40.npz", **{f"c{c:g}_s0": np.zeros(n_params, dtype=np.float32) for c in sweep.coefficients})
    written = texts(rollouts.examples(panel, "mine"))
    assert "k = 1, $N$ = 40" in written or "k = 2, $N$ = 40" in written
    assert "$x_{1}$" in written and "$x_{2}$" in written and "angle" not in written and "1/b" not in written
    assert rollouts.learned(panel, Cell(1.0, 40, 0)).true.shape == (80, 2)


# --- NaN has one meaning -------------------------------------------------------------------------------------


def test_a_run_that_ended_without_a_number_is_high_everywhere() -> None:
    runs = made_runs.runs(PANEL, "laptop", lambda *_: 1e-5, lambda *_: 0.01)
    spoiled = {"coefficient": 5.0, "n_data": 100, "seed": 0}
    for status in ("line_search_failed", "diverged"):
        broken = runs.copy(deep=True)
        for name in ("train_loss", "test_error"):
            broken[name].loc[spoiled] = np.nan
        broken["status"] = broken["status"].astype(object)
        broken["status"].loc[spoiled] = status
        panel, cell = Panel(broken), {"coefficient": 5.0, "n_data": 100}
        assert panel.train.sel(cell) == np.inf and panel.test.sel(cell) == np.inf
        assert panel.labels.sel(cell) == Regime.II and (panel.labels == Regime.I).sum() == panel.labels.size - 1
        assert panel.band.train_high[0, 0] == pytest.approx(1 - (2 / 3) ** 3)  # every resample that has the spoiled seed
        assert not solved(panel).sel(spoiled) and mixed(panel).sel(cell)
        assert len(stored_runs(panel)) == panel.seeded("test_error").size


# --- what a chapter may be given -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seeds": [1, 2]}, r"seeds=\[1, 2\] is impossible: 3 seeds are planned; choose between 1 and 3"),
        ({"seeds": "3"}, "seeds='3' is impossible"),
        ({"seeds": 2.0}, "seeds=2.0 is impossible"),
        ({"seeds": True}, "seeds=True is impossible"),
        ({"seeds": math.nan}, "seeds=nan is impossible"),
        ({"seeds": 0}, "seeds=0 is impossible"),
        ({"seeds": -1}, "seeds=-1 is impossible"),
        ({"profile": ["laptop"]}, "unknown profile"),
        ({"profile": None}, "unknown profile 'None'"),
        ({"profile": "labtop"}, "did you mean laptop"),
        ({"runs": ["a"]}, r"runs=\['a'\] is not a folder"),
        ({"runs": 3}, "runs=3 is not a folder"),
        ({"sweep": ["pinn/convection/lbfgs"]}, "is not a sweep; give an id"),
        ({"sweep": None}, "sweep=None is not a sweep"),
        ({"sweep": "pinn/convektion/lbfgs"}, "did you mean pinn/convection/lbfgs"),
        ({"thresholds": (1.0, 2.0)}, r"write them as Thresholds.of\(train="),
    ],
)
@pytest.mark.parametrize("make", [Panel.of, Panel.measured])
def test_what_a_chapter_cannot_mean_is_one_sentence(make: Any, change: dict[str, Any], said: str, monkeypatch) -> None:
    monkeypatch.setattr(sciml_lib, "load_or_train", lambda *_, **__: xr.Dataset(), raising=False)
    monkeypatch.setattr("sciml_lib.panels.dataset.load_measured", lambda *_, **__: xr.Dataset())
    with pytest.raises(UserError, match=said):
        make(**{"sweep": PANEL, "profile": "laptop", **change})


def test_more_seeds_than_there_are_mean_all(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(sciml_lib, "load_or_train", lambda *_, seeds, **__: asked.append(seeds), raising=False)
    for seeds in (None, 2, 99, np.int64(2)):
        Panel.of(PANEL, "laptop", seeds=seeds)
    assert asked == [None, 2, 3, 2]
