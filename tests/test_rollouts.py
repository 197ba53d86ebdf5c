"""Floors that no neural ODE can pass, and motions that stored ones have learned, against plain loops."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from pathlib import Path

import made_runs
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

import sciml_lib
from sciml_lib import rollouts, systems
from sciml_lib.errors import UserError
from sciml_lib.panels import Panel
from sciml_lib.regimes import Regime
from sciml_lib.sweeps import catalog
from sciml_lib.sweeps.spec import Cell
from sciml_lib.systems import Pendulum

DT = 0.05


@pytest.fixture(autouse=True)
def own_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The runs of this repository, whatever the environment says."""
    monkeypatch.delenv("SCIML_RUNS", raising=False)


def blank(sweep: str) -> Panel:
    """A map whose runs do not matter."""
    return Panel(made_runs.runs(sweep, "paper", lambda *_: 1.0, lambda *_: 1.0, n_seeds=1))


def stored(sweep: str) -> Panel:
    """Runs of the repository."""
    return Panel(sciml_lib.load(sweep, "paper"))


def solved(coefficient: float, n: int, start: tuple[float, float]) -> NDArray:
    """The pendulum's states by SciPy with its defaults, ``[n, 2]``."""
    options = {"t_eval": DT * np.arange(n)}
    return solve_ivp(lambda _, x: rates(x, coefficient), (0.0, n * DT), start, **options).y.T


def rates(state: NDArray, coefficient: float) -> NDArray:
    angle, velocity = state[..., 0], state[..., 1]
    return np.stack([velocity, -velocity / coefficient - np.sin(angle)], axis=-1)


def on_the_sphere(states: NDArray) -> NDArray:
    angle, velocity = states[..., 0], states[..., 1]
    return np.stack([np.sin(angle) * np.cos(velocity), np.sin(angle) * np.sin(velocity), -np.cos(angle)], axis=-1)


def relative(followed: NDArray, true: NDArray) -> float:
    """Mean over the components of the relative L2 error."""
    return float(
        np.mean([np.sqrt(((followed - true)[:, k] ** 2).sum() / (true[:, k] ** 2).sum()) for k in range(true.shape[1])])
    )


# --- the floor of the training loss --------------------------------------------------------------------------


def least_loss(coefficient: float, n: int, *, physics: bool, scaled: bool) -> float:
    """The lowest loss over all values that a field could have at the observed states: a problem of least squares."""
    states = solved(coefficient, n, (1.7, 0.0))
    true, increments = rates(states[:-1], coefficient), np.diff(states, axis=0)
    # One unknown and one or two equations for each component of each pair.
    rows, wanted = [DT], [increments.ravel()]
    if physics:
        factor = DT if scaled else 1.0
        rows, wanted = [*rows, factor], [*wanted, factor * true.ravel()]
    unit = np.eye(true.size)
    matrix, right = np.vstack([row * unit for row in rows]), np.concatenate(wanted)
    best = np.linalg.lstsq(matrix, right, rcond=None)[0]
    return float(((matrix @ best - right) ** 2).sum() / true.size)


@pytest.mark.parametrize(("variant", "physics", "scaled"), [("adam", True, True), ("adam-unscaled", True, False)])
def test_the_floor_is_the_lowest_loss_that_any_field_could_have(variant: str, physics: bool, scaled: bool) -> None:
    floor = rollouts.euler_floor(blank(f"pinode/pendulum/{variant}"))
    assert floor.dims == ("coefficient", "n_data") and floor.shape == (8, 8)
    for coefficient, n in ((1.0, 20), (1.0, 100), (6.0, 40), (15.0, 20), (15.0, 100)):
        found = float(floor.sel(coefficient=coefficient, n_data=n))
        assert found == pytest.approx(least_loss(coefficient, n, physics=physics, scaled=scaled), rel=1e-6)


def test_without_physics_a_field_can_meet_every_state() -> None:
    assert least_loss(6.0, 20, physics=False, scaled=True) < 1e-25
    for sweep in ("pinode/pendulum/adam-data", "node/pendulum/adam"):
        floor = rollouts.euler_floor(blank(sweep))
        assert floor.shape == (8, 8) and not floor.any()


def test_between_the_two_parts_the_true_field_costs_twice_the_floor() -> None:
    """And without the factor nearly all of the error of a step remains, since physics weighs 400 times as much."""
    scaled, unscaled = (rollouts.euler_floor(blank(f"pinode/pendulum/{name}")) for name in ("adam", "adam-unscaled"))
    states = solved(4.0, 160, (1.7, 0.0))
    defect = [after - x - DT * rates(x, 4.0) for x, after in pairwise(states)]
    of_true = float(np.mean(np.square(defect)))
    assert float(scaled.sel(coefficient=4, n_data=160)) == pytest.approx(of_true / 2, rel=1e-6)
    assert float(unscaled.sel(coefficient=4, n_data=160)) == pytest.approx(of_true * 400 / 401, rel=1e-6)
    np.testing.assert_allclose(unscaled / scaled, 800 / 401, rtol=1e-12)


def test_newton_steps_come_within_a_few_per_cent_of_the_floor_and_never_below() -> None:
    tight = stored("pinode/pendulum/nncg-tight")
    floor = rollouts.euler_floor(tight)
    single, mean = (tight.seeded("train_loss") / floor).values, (tight.train / floor).values
    assert single.shape == (8, 8, 5)
    assert 1.0 < single.min() < 1.001
    assert np.median(mean) < 1.03 and np.mean(mean < 1.1) > 0.9 and mean.max() < 1.2


@pytest.mark.parametrize("variant", ["adam", "lbfgs", "alm", "nncg", "cl", "adam-plain", "adam-unscaled"])
def test_no_stored_run_is_below_its_floor(variant: str) -> None:
    panel = stored(f"pinode/pendulum/{variant}")
    assert float((panel.seeded("train_loss") / rollouts.euler_floor(panel)).min()) > 1.0


def test_where_the_equation_is_the_constraint_the_data_cost_twice_the_floor() -> None:
    """As the chapter on strategies says of ALM: f = F, and the whole error of the step is left to the data."""
    alm = stored("pinode/pendulum/alm")
    ratio = (alm.seeded("loss_data").mean("seed") / rollouts.euler_floor(alm)).values
    assert 1.9 < np.median(ratio) < 2.1


# --- the floor of the test error -----------------------------------------------------------------------------


@pytest.mark.parametrize(("sweep", "seen"), [("pinode/pendulum/adam", lambda x: x), ("node/pendulum/adam", on_the_sphere)])
def test_the_true_field_is_followed_by_euler_and_measured_as_the_networks_are(sweep: str, seen) -> None:
    found = rollouts.true_field_error(blank(sweep))
    coefficients = catalog.get(sweep).coefficients
    assert found.dims == ("coefficient",) and tuple(found["coefficient"].values) == coefficients
    for coefficient in coefficients:
        true = solved(coefficient, 400, (2.8, 0.0))
        followed = [true[0]]
        for _ in range(399):
            followed.append(followed[-1] + DT * rates(followed[-1], coefficient))
        error = relative(seen(np.array(followed)), seen(true))
        assert float(found.sel(coefficient=coefficient)) == pytest.approx(error, rel=1e-9)
    assert np.all(np.diff(found) > 0)


def test_the_training_data_do_not_reach_as_far_as_the_test() -> None:
    assert rollouts.reach(blank("pinode/pendulum/adam")) == rollouts.reach(blank("node/pendulum/adam")) == (1.7, 2.8)


def test_how_far_a_trajectory_reaches_is_its_largest_angle_on_either_side(monkeypatch: pytest.MonkeyPatch) -> None:
    class Pushed(Pendulum):
        """Begins with a velocity, so that its largest angle is not its first, and swings to the left."""

        start = (-0.5, -1.2)
        test_start = (-0.4, -1.9)

    monkeypatch.setitem(systems.SYSTEMS, "pendulum", Pushed)
    panel = blank("pinode/pendulum/adam")
    trained, tested = rollouts.reach(panel)
    plan = catalog.get("pinode/pendulum/adam").at("paper")
    training = [solved(c, n, Pushed.start)[:, 0] for c, n in plan.pairs]
    assert trained == pytest.approx(max(np.abs(angles).max() for angles in training), rel=1e-9)
    test = [solved(c, 400, Pushed.test_start)[:, 0] for c in plan.coefficients]
    assert tested == pytest.approx(max(np.abs(angles).max() for angles in test), rel=1e-9)
    assert trained == pytest.approx(-min(angles.min() for angles in training)) and trained > 1.0
    assert tested == pytest.approx(-min(angles.min() for angles in test)) and tested > 1.5


# --- motions -------------------------------------------------------------------------------------------------


def plain_network(params: NDArray, states: NDArray, widths: tuple[int, ...]) -> NDArray:
    """A network of tanh units from the digits of a row: weight, bias, weight, bias ..."""
    values, at = states, 0
    for k, (into, out) in enumerate(pairwise(widths)):
        weight, at = params[at : at + out * into].reshape(out, into), at + out * into
        bias, at = params[at : at + out], at + out
        values = weight @ values + bias
        values = np.tanh(values) if k < len(widths) - 2 else values
    assert at == params.size
    return values


CELLS = [
    ("pinode/pendulum/adam", Cell(4.0, 400, 3)),
    ("pinode/pendulum/lbfgs", Cell(15.0, 20, 5)),
    ("node/pendulum/adam-raw", Cell(2.9, 169, 7)),
]


@pytest.mark.parametrize(("sweep", "cell"), CELLS)
def test_a_stored_network_is_followed_as_a_plain_loop_would(sweep: str, cell: Cell) -> None:
    panel = stored(sweep)
    found = rollouts.learned(panel, cell)
    params = panel.parameters(cell).double().numpy()
    true = solved(cell.coefficient, 400, (2.8, 0.0))
    states = [true[0]]
    for _ in range(399):
        states.append(states[-1] + DT * plain_network(params, states[-1], (2, 16, 16, 16, 2)))
    np.testing.assert_allclose(found.learned, states, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.true, true, rtol=0, atol=1e-10)
    np.testing.assert_allclose(found.observed, solved(cell.coefficient, cell.n_data, (1.7, 0.0)), rtol=0, atol=1e-10)
    np.testing.assert_allclose(found.time, np.arange(400) / 20)
    assert np.abs(found.learned - found.true).max() > 0.1  # a network that learned something else


@pytest.mark.parametrize(("sweep", "cell"), CELLS)
def test_the_error_of_a_motion_is_the_stored_one_in_single_precision(sweep: str, cell: Cell) -> None:
    panel = stored(sweep)
    found = rollouts.learned(panel, cell)
    assert relative(found.learned, found.true) == pytest.approx(panel.value("test_error", cell), rel=2e-5)


def one_network(folder: Path, sweep: str, cell: Cell, fill: float) -> Panel:
    """A map of which one run's parameters are stored, all of them one number."""
    n_params = {"pinode": 626, "node": 659}[sweep.split("/")[0]]
    arrays = folder / sweep / "paper" / "arrays"
    arrays.mkdir(parents=True)
    name = f"c{cell.coefficient:g}_s{cell.seed}"
    np.savez(arrays / f"n{cell.n_data}.npz", **{name: np.full(n_params, fill, dtype=np.float32)})
    return dataclasses.replace(blank(sweep), folder=str(folder))


def test_a_network_that_runs_away_stays_where_the_test_cuts_it_off(tmp_path: Path) -> None:
    cell = Cell(4.0, 20, 3)
    found = rollouts.learned(one_network(tmp_path, "pinode/pendulum/adam", cell, 50.0), cell)
    assert found.learned[0].tolist() == [2.8, 0.0]
    assert np.all(found.learned[-200:] == 100.0) and np.isfinite(found.learned).all()


def test_a_network_that_is_not_stored_or_sees_the_sphere_is_refused(tmp_path: Path) -> None:
    cell, sweep = Cell(4.0, 20, 3), "pinode/pendulum/adam"
    panel = one_network(tmp_path, sweep, cell, 0.0)
    assert np.all(rollouts.learned(panel, cell).learned == [2.8, 0.0])  # a field of zeros
    said = "no network that sees raw states is stored for this cell of {}; choose another panel"
    for other in (Cell(4.0, 20, 4), Cell(6.0, 20, 3), Cell(4.0, 40, 3)):
        with pytest.raises(UserError, match=said.format(sweep)):
            rollouts.learned(panel, other)
    cell, sweep = Cell(2.0, 20, 3), "node/pendulum/adam"
    sphere = one_network(tmp_path, sweep, cell, 0.0)
    assert sphere.parameters(cell) is not None
    with pytest.raises(UserError, match=said.format(sweep)):
        rollouts.learned(sphere, cell)


def test_a_map_of_pinns_has_neither_floors_nor_motions() -> None:
    panel = Panel(made_runs.runs("pinn/convection/lbfgs", "laptop", made_runs.steep(25), made_runs.few))
    said = "pinn/convection/lbfgs is no map of neural ODEs; choose one, such as pinode/pendulum/adam"
    for refuse in (
        rollouts.euler_floor,
        rollouts.true_field_error,
        rollouts.reach,
        lambda panel: rollouts.learned(panel, Cell(5.0, 100, 0)),
    ):
        with pytest.raises(UserError, match=said):
            refuse(panel)


# --- examples ------------------------------------------------------------------------------------------------


def test_the_examples_are_one_run_of_each_regime_with_its_numbers() -> None:
    panel = stored("pinode/pendulum/adam")
    figure = rollouts.examples(panel, "What three PINODEs have learned")
    regimes = [r for r in (Regime.I, Regime.II, Regime.III) if (panel.labels == r).any()]
    assert len(regimes) == 3 and figure.get_suptitle() == "What three PINODEs have learned"
    upper, lower = np.reshape(figure.axes, (2, 3))
    for regime, above, below in zip(regimes, upper, lower, strict=True):
        cell = panel.typical(regime)
        assert int(panel.labels.sel(coefficient=cell.coefficient, n_data=cell.n_data)) == regime
        title = above.get_title()
        assert title.startswith(f"{regime.numeral}, {regime.title}: ")
        assert title.endswith(f"1/b = {cell.coefficient:g}, $N$ = {cell.n_data}")
        expected = rollouts.learned(panel, cell)
        true, learned = above.lines
        np.testing.assert_array_equal(true.get_xydata(), np.stack([expected.time, expected.true[:, 0]], axis=1))
        np.testing.assert_array_equal(learned.get_xydata(), np.stack([expected.time, expected.learned[:, 0]], axis=1))
        np.testing.assert_array_equal(below.lines[2].get_xydata(), expected.observed)
        note = below.get_xlabel().split("\n")[1]
        loss, error = panel.value("train_loss", cell), panel.value("test_error", cell)
        assert note == f"training loss {loss:.1e}, test error {error:.2g}"
    assert (upper[0].get_ylabel(), lower[0].get_ylabel()) == ("angle in rad", "angular velocity in rad/s")


def test_a_regime_of_which_nothing_is_stored_is_left_out_and_nothing_at_all_is_refused(tmp_path: Path) -> None:
    cell, sweep = Cell(4.0, 20, 3), "pinode/pendulum/adam"
    one = one_network(tmp_path, sweep, cell, 0.0)  # all of the map is in Regime II
    figure = rollouts.examples(one, "one")
    assert len(figure.axes) == 2
    assert figure.axes[0].get_title().startswith("II, ") and "$N$ = 20" in figure.axes[0].get_title()
    nothing = dataclasses.replace(one, folder=str(tmp_path / "empty"))
    with pytest.raises(
        UserError, match=f"the arrays of {sweep} are not stored; train it with `python -m sciml_lib run {sweep}"
    ):
        rollouts.examples(nothing, "none")
