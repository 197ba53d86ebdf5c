"""What the chapter on flatness says, on maps whose truth is known, and the curvature of networks made constant."""

from __future__ import annotations

import made_runs
import numpy as np
import pytest
import torch
import xarray as xr
from made_runs import Number

from sciml_lib import narrative
from sciml_lib.narrative import flatness
from sciml_lib.narrative.physics import constant_error, constant_loss
from sciml_lib.narrative.strategies import FAILS, HOLDS, OPEN
from sciml_lib.panels import Panel

SWEEP = "pinn/reaction-diffusion/lbfgs"


def measured(train: Number, test: Number, lambda_max: Number, ended: str = "line_search_failed") -> Panel:
    data = made_runs.runs(SWEEP, "laptop", train, test, 2, lambda *_: ended)
    axes = [data[name].values.tolist() for name in ("coefficient", "n_data", "seed")]
    values = [[[lambda_max(c, n, s) for s in axes[2]] for n in axes[1]] for c in axes[0]]
    data["lambda_max"] = data["trace"] = ("coefficient", "n_data", "seed"), np.array(values, dtype=float)
    return Panel(data)


PLAIN = measured(lambda *_: 1e-5, lambda *_: 0.01, lambda *_: 1.0)
ZERO, ONE = constant_loss(PLAIN, 0.0), constant_loss(PLAIN, 1.0)


def unit(c: float) -> float:
    return 2 * (c**2 + 1)


def paper(flat: float = 40.0, solved: float = 200.0, **options) -> Panel:
    """At u = 0 from rho = 15 on with more than 10 points, solved elsewhere; curvatures in units of 2 (rho^2 + 1)."""
    stuck = lambda c, n: c >= 15 and n > 10  # noqa: E731
    return measured(
        lambda c, n, s: 0.98 * ZERO if stuck(c, n) else 1e-5,
        lambda c, n, s: 0.999 if stuck(c, n) else 0.01,
        lambda c, n, s: unit(c) * (flat if stuck(c, n) else solved),
        **options,
    )


def rows(text: str) -> dict[str, list[str]]:
    """The rows of the tables in a text, by their first entry."""
    lines = [line[2:-2].split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {first: others for first, *others in lines}


def emptied(panel: Panel, factor: float) -> xr.DataArray:
    return xr.zeros_like(panel.seeded("lambda_max")) + factor * unit(panel.seeded("lambda_max")["coefficient"])


def verdicts(panel: Panel) -> list[str]:
    return [statement.verdict for statement in narrative.flatness_statements(panel)]


def test_runs_are_sorted_by_what_they_have_become() -> None:
    error = {c: constant_error(PLAIN, 1.0, c) for c in (1.0, 5.0, 10.0, 15.0, 20.0, 30.0)}
    table = {5: (1e-5, 0.01), 10: (1e-5, 0.9), 50: (0.97 * ZERO, 1.04), 1000: (0.2, 0.5)}
    panel = measured(
        lambda c, n, s: 1.02 * ONE if n == 100 else table[n][0],
        lambda c, n, s: 0.97 * error[c] if n == 100 else table[n][1],
        lambda *_: 1.0,
    )
    found = flatness.classes(panel)
    for n, name in {5: "solved", 10: "wrong", 50: "zero", 100: "one", 1000: "other"}.items():
        assert set(found.sel(n_data=n).values.ravel()) == {name}
    missing = Panel(panel.runs.where(panel.runs["seed"] == 0))
    assert set(flatness.classes(missing).isel(seed=1).values.ravel()) == {""}


@pytest.mark.parametrize(("loss", "error"), [(0.94 * ZERO, 1.0), (ZERO, 0.94), (ZERO, 1.06)])
def test_loss_and_error_must_both_be_those_of_the_constant(loss: float, error: float) -> None:
    assert set(flatness.classes(measured(lambda *_: loss, lambda *_: error, lambda *_: 1.0)).values.ravel()) == {"other"}


def test_the_table_counts_the_runs_at_a_constant() -> None:
    text = narrative.flat_table(paper())
    assert rows(text)["at the constant $u = 0$"][0] == "18" and rows(text)["at the constant $u = 1$"][0] == "none"
    assert "18 runs of 60 have ended at a constant, at ρ = 15, 20 and 30; among the 18 runs with a high training loss" in text
    assert "In 18 of them the line search" in text
    assert "In 0 of them the line search" in narrative.flat_table(paper(ended="converged_change"))
    assert narrative.flat_table(PLAIN).endswith("No run has ended at one of the two constants.")


def test_the_curvature_of_a_constant_is_recognised_by_its_unit() -> None:
    panel = paper()
    text = narrative.flat_by_coefficient(panel, emptied(panel, 20.0))
    assert rows(text)["15"] == [r"$9.0 \times 10^{4}$ (4)", r"$1.8 \times 10^{4}$ (6)", "452", "200", "40", "20"]
    assert rows(text)["1"][1] == "none" and rows(text)["1"][4] == ""
    assert "flatter than those with a low loss at 3 of the 3 values of ρ" in text
    assert "have between 40 and 40 units, whatever the ρ: their curvature is that of the constant" in text
    assert "a factor 0.10 in the median of the 42 runs with a low loss and a factor 0.50 in the median of the 18 runs" in text
    assert "at ρ = 15, 20 and 30 every run with a low loss has at most 10 collocation points, and every run at" in text
    assert text.endswith("at a constant at least 50. What is compared there differs in its data, too.")


def test_other_curvatures_are_not_put_down_to_the_constant() -> None:
    spread = measured(
        lambda c, n, s: ZERO if n > 10 else 1e-5,
        lambda c, n, s: 1.0 if n > 10 else 0.01,
        lambda c, n, s: 1e5 if n > 10 else 1.0,
    )
    text = narrative.flat_by_coefficient(spread, emptied(spread, 20.0))
    assert "the unit does not explain their curvature" in text and "whatever the ρ" not in text
    assert "at 0 of the 6 values of ρ" in text
    mixed = measured(lambda c, n, s: ZERO if s else 1e-5, lambda c, n, s: 1.0 if s else 0.01, lambda *_: 1.0)
    assert "One caution" not in narrative.flat_by_coefficient(mixed, emptied(mixed, 1.0))
    none = narrative.flat_by_coefficient(PLAIN, emptied(PLAIN, np.nan))
    assert none.endswith("Medians of $\\lambda_{\\max}$. ")


def test_statements_hold_where_high_losses_are_flat() -> None:
    panel = paper(flat=1.0, solved=1e5)
    assert verdicts(panel) == [HOLDS, HOLDS, HOLDS, FAILS]
    found = narrative.flatness_statements(panel)
    assert "the first is the flatter in 100 % of 72 pairs" in found[0].found
    assert "18 of 30 runs there, 0 of 30 runs below" in found[1].found
    assert "18 of 18 are at a constant" in found[3].found


def test_statements_fall_where_high_losses_are_sharp() -> None:
    assert verdicts(paper(flat=1e5, solved=1.0))[:3] == [FAILS, FAILS, FAILS]
    elsewhere = measured(lambda c, n, s: 0.3 if c >= 15 else 1e-5, lambda *_: 0.6, lambda c, n, s: 1.0)
    assert verdicts(elsewhere) == [OPEN, FAILS, HOLDS, OPEN]
    assert narrative.flatness_statements(elsewhere)[3].found == "none of them is at a constant"
    assert verdicts(PLAIN)[::2] == [OPEN, OPEN] and verdicts(PLAIN)[3] == OPEN


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_the_second_derivative_at_a_constant_solution(value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network whose hidden layers are zero as well moves by its last bias alone: 2 (rho^2 + 1), as the chapter says."""
    torch.set_num_threads(1)
    panel = Panel(PLAIN.runs.sel(coefficient=[5.0, 10.0], n_data=[50], seed=[0]))
    size, wanted = panel.plan.sweep.setup.network(panel.system).n_params, panel.plan.sweep.setup.hidden[-1]

    def parameters(self: Panel, cell: object) -> torch.Tensor:
        params = torch.zeros(size)
        params[-wanted - 1 :] = 3.0  # what goes into the output is replaced
        return params

    monkeypatch.setattr(Panel, "parameters", parameters)
    found = narrative.emptied_curvature(panel, value, "cpu")
    for c in (5.0, 10.0):
        assert float(found.sel(coefficient=c, n_data=50, seed=0)) == pytest.approx(unit(c), rel=2e-3)
    monkeypatch.setattr(Panel, "parameters", lambda self, cell: None)
    assert bool(narrative.emptied_curvature(panel, value, "cpu").isnull().all())


def test_the_figure_shows_one_run_of_each_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    panel = paper()
    params = panel.plan.sweep.setup.network(panel.system).init([0])[0]
    monkeypatch.setattr(Panel, "parameters", lambda self, cell: params)
    titles = [axes.get_title() for axes in narrative.flat_figure(panel, "a title").axes]
    assert [title for title in titles if title] == [
        "solved: low loss, low error\nρ = 30, $N_f$ = 10",
        "at the constant $u = 0$\nρ = 30, $N_f$ = 1,000",
    ]
