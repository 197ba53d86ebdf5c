"""What independent programs found: the table, the comparison with known runs, and NumPy alone on stored networks."""

from __future__ import annotations

import ast
from pathlib import Path

import made_runs
import numpy as np
import pytest

from sciml_lib.errors import UserError
from sciml_lib.ledger import cross_checks
from sciml_lib.ledger.again import MEASURED_AGAIN
from sciml_lib.ledger.cross_checks import COLUMNS, Check
from sciml_lib.panels import Panel
from sciml_lib.sweeps import catalog, store
from sciml_lib.sweeps.job import Job

LITERAL = "pinn/convection/lbfgs-literal"


def written(folder: Path, *lines: str) -> Path:
    path = folder / "checks.csv"
    path.write_text("\n".join([",".join(COLUMNS), *lines]) + "\n", encoding="utf-8")
    return path


# --- the table ------------------------------------------------------------------------------------------------


def test_the_table_of_the_library_is_in_order() -> None:
    checks = cross_checks.read()
    assert {check.program for check in checks} >= {"released code", "DeepXDE"}
    for check in checks:
        system = catalog.get(check.sweep).system
        low, high = system.coefficient_range
        assert low < check.coefficient < high and all(np.isfinite(value) for value in check.values.values())
        assert all(value > 0 for name, value in check.values.items() if name != "lambda_max")


def test_numbers_of_one_run_are_one_check(tmp_path: Path) -> None:
    start = f"other,1.0,{LITERAL},5,100,0"
    first, own = cross_checks.read(
        written(tmp_path, f"{start},train_loss,1e-5,by hand", f"{start},test_error,0.01,by hand",
                f"other,1.0,{LITERAL},5,100,,train_loss,2e-5,by hand")
    )  # fmt: skip
    assert first == Check("other", "1.0", LITERAL, 5.0, 100, 0, {"train_loss": 1e-5, "test_error": 0.01}, "by hand")
    assert own.seed is None and own.values == {"train_loss": 2e-5}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"other,1.0,{LITERAL},5,100,0,train_loss,small,by hand", "line 2 has value='small'"),
        (f"other,1.0,{LITERAL},5,100,0,train_loss,nan,by hand", "line 2 has value='nan'"),
        (f"other,1.0,{LITERAL},5,1e2,0,train_loss,1,by hand", "line 2 has n_data='1e2', which is no whole number"),
        (f"other,1.0,{LITERAL},5,100,0,loss,1,by hand", "line 2 has quantity='loss'; write one of train_loss"),
        ("other,1.0,pinn/convection/lbfg,5,100,0,train_loss,1,by hand", "line 2: unknown sweep .*did you mean"),
        (f",1.0,{LITERAL},5,100,0,train_loss,1,by hand", "line 2 has no program"),
        (f"other,1.0,{LITERAL},5,100,0,train_loss,1", "line 2 has 8 entries and not 9"),
    ],
)
def test_a_line_that_is_not_in_order_is_named(line: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"checks.csv, {said}"):
        cross_checks.read(written(tmp_path, line))


def test_a_number_that_is_given_twice_is_named(tmp_path: Path) -> None:
    line = f"other,1.0,{LITERAL},5,100,0,train_loss,1e-5,by hand"
    with pytest.raises(UserError, match=r"checks.csv, line 3 gives train_loss .* a second time"):
        cross_checks.read(written(tmp_path, line, line))


# --- the comparison -------------------------------------------------------------------------------------------


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seed 0 is well trained with a loss of 1e-5 and seed 1 wrong with 4e-5; nothing but the literal map is stored."""
    data = made_runs.runs(LITERAL, "laptop", lambda c, n, s: (1.0 + 3.0 * s) * 1e-5, lambda c, n, s: 0.01 + s)
    data["iterations"] = data["train_loss"] * 0 + 1_500.0

    def stored(sweep: str, runs: object = None, *, grown: bool = True) -> Panel | None:
        return Panel(data) if sweep == LITERAL else None

    monkeypatch.setattr(Panel, "stored", stored)


def row(**found: object) -> dict[str, object]:
    numbers = {"train_loss": 2e-5, "test_error": 1.0}
    check = Check("other", "1.0", LITERAL, 5.0, 100, 0, numbers, "by hand")
    return cross_checks.compare([Check(**{**vars(check), **found})]).iloc[0].to_dict()


def test_a_run_is_compared_with_that_of_its_seed(ours: None) -> None:
    found = row(values={"train_loss": 2e-5, "test_error": 1.0, "iterations": 1_000})
    assert (found["ratio_train_loss"], found["ratio_test_error"]) == pytest.approx((0.5, 0.01))
    assert (found["regime"], found["our_regime"], found["our_regimes"]) == ("III", "I", {"I": 1, "III": 1})
    assert found["ratio_iterations"] == 1.5  # without a warm-up, all iterations are those of L-BFGS
    assert (found["low_train_loss"], found["high_train_loss"]) == pytest.approx((1e-5, 4e-5))
    assert row(seed=1)["our_regime"] == "III" and row(seed=1)["ratio_train_loss"] == pytest.approx(2.0)


def test_other_random_numbers_are_compared_with_the_median_seed(ours: None) -> None:
    assert row(seed=None)["ratio_train_loss"] == pytest.approx(2.5e-5 / 2e-5)


def test_a_high_loss_is_regime_ii_whatever_the_error_and_a_low_one_needs_it(ours: None) -> None:
    assert row(values={"train_loss": 1.0})["regime"] == "II"
    assert row(values={"train_loss": 1e-6})["regime"] == ""
    assert row(values={"train_loss": 1e-6, "test_error": 0.1})["regime"] == "I"


@pytest.mark.parametrize(
    "elsewhere",
    [{"sweep": "pinn/wave/lbfgs"}, {"coefficient": 5.5}, {"n_data": 101}, {"seed": 7}],
    ids=lambda one: next(iter(one)),
)
def test_a_run_that_is_not_stored_has_no_number_of_ours(ours: None, elsewhere: dict[str, object]) -> None:
    found = row(**elsewhere)
    assert np.isnan(found["ours_train_loss"]) and np.isnan(found["ratio_train_loss"]) and found["our_regime"] == ""


def test_steps_of_a_warm_up_are_not_counted_and_what_is_not_measured_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    data = made_runs.runs("pinn/convection/lbfgs", "laptop", lambda *_: 1e-5, lambda *_: 0.01)
    data["iterations"] = data["train_loss"] * 0 + 2_500.0
    monkeypatch.setattr(Panel, "stored", lambda *_, **__: Panel(data))
    found = row(sweep="pinn/convection/lbfgs", values={"iterations": 250, "lambda_max": 1.0})
    assert found["ratio_iterations"] == 2.0 and np.isnan(found["ours_lambda_max"])


# --- what is measured again -----------------------------------------------------------------------------------


@pytest.mark.parametrize("one", MEASURED_AGAIN, ids=lambda one: one.test)
def test_every_test_that_the_page_names_is_there(one) -> None:
    tree = ast.parse((Path(__file__).parent / one.file).read_text(encoding="utf-8"))
    assert one.test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def mlp(params: np.ndarray, points: np.ndarray, hidden: tuple[int, ...]) -> np.ndarray:
    """A network with tanh units in NumPy; complex points give derivatives by a complex step."""
    at, value = 0, points
    for k, (fan_in, fan_out) in enumerate(zip((points.shape[1], *hidden), (*hidden, 1), strict=True)):
        weight = params[at : at + fan_in * fan_out].reshape(fan_out, fan_in)
        bias = params[at + fan_in * fan_out : at + fan_in * fan_out + fan_out]
        at += fan_in * fan_out + fan_out
        value = value @ weight.T + bias
        value = np.tanh(value) if k < len(hidden) else value
    assert at == len(params)
    return value[:, 0]


def test_stored_numbers_are_those_of_numpy_alone() -> None:
    """Training loss and test error of the convection equation, from the stored weights and the formulas of the paper.

    The points of the residual are the library's draw; everything else is written out here.
    """
    job = Job(catalog.get("pinn/convection/lbfgs").at("laptop"))
    rows = {one.cell: one for one in store.read(job).rows}
    params, hidden = store.read_params(job, 100), job.plan.sweep.setup.hidden
    cells = [
        cell for cell in rows if cell.n_data == 100 and store.params_key(cell) in params and cell.coefficient in (5, 15, 70)
    ]
    assert len(cells) >= 3
    points = job.plan.sweep.system.collocation(100, job.plan.sweep.setup.data_seed).double().numpy()
    x, t = np.linspace(0, 2 * np.pi, 257), np.linspace(0, 1, 101)
    start, ends = np.column_stack([x, 0 * x]), [np.column_stack([0 * t + end, t]) for end in (0.0, 2 * np.pi)]
    fine_x = np.linspace(0, 2 * np.pi, 129)
    inner = np.stack(np.meshgrid(fine_x[1:-1], t[1:]), axis=-1).reshape(-1, 2)
    test = np.concatenate([inner, np.column_stack([fine_x, 0 * fine_x]), *ends])  # 13,031 points
    assert len(test) == 13_031
    for cell in cells:
        beta = cell.coefficient
        weights = params[store.params_key(cell)].astype(float)
        slope = {}
        for axis, name in enumerate("xt"):
            moved = points.astype(complex)
            moved[:, axis] += 1e-30j
            slope[name] = mlp(weights, moved, hidden).imag / 1e-30
        terms = [
            slope["t"] + beta * slope["x"],
            mlp(weights, start, hidden) - np.sin(x),
            mlp(weights, ends[1], hidden) - mlp(weights, ends[0], hidden),
        ]
        loss = sum(np.mean(term**2) for term in terms)
        exact = np.sin(test[:, 0] - beta * test[:, 1])
        error = np.linalg.norm(mlp(weights, test, hidden) - exact) / np.linalg.norm(exact)
        assert rows[cell].train_loss == pytest.approx(loss, rel=2e-3)
        assert rows[cell].test_error == pytest.approx(error, rel=2e-3)
