"""Everything that computes, on a pretended GPU: devices are not mixed, numbers are a CPU's, and the host waits seldom."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pretend_cuda import NAME, DeviceFault, on_gpu, pretended
from torch import Tensor

from sciml_lib import studies, sweeps, systems
from sciml_lib.errors import UserError
from sciml_lib.models import MLP
from sciml_lib.optim import LBFGS, NNCG, Adam
from sciml_lib.problems import PINN
from sciml_lib.strategies.recipe import MultiPhase
from sciml_lib.strategies.ropinn import RoPINN
from sciml_lib.sweeps import catalog, curvature, devices, execution, planner, store
from sciml_lib.sweeps.job import Job

# PyTorch's own forward differentiation still calls it.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

CONVECTION, REACTION_DIFFUSION, ALM = "pinn/convection/lbfgs", "pinn/reaction-diffusion/lbfgs", "pinn/convection/alm"

SWEEPS = (
    *(REACTION_DIFFUSION, ALM, "pinn/convection/ropinn", "pinn/reaction/nncg"),
    *("node/pendulum/adam", "pinode/pendulum/adam-plain", "pinode/pendulum/cl"),
)
"""Every kind of stage that the catalog has, and every family of models."""

WAITS = {"Adam": 2.0, "L-BFGS": 12.5}
"""How often the host may wait for the GPU in a step of a PINN, on average; every wait keeps the GPU from running ahead."""


@pytest.fixture(autouse=True, scope="module")
def eager() -> Iterator[None]:
    """What a GPU computes is compared with the same form on the CPU."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCIML_ENGINE", "eager")
        yield


@pytest.fixture(scope="module")
def on_cpu(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Trains a sweep's profile `smoke` on the CPU, once for all tests here; gives the folder of all of them."""
    runs = tmp_path_factory.mktemp("cpu")
    torch.set_num_threads(1)

    def trained(*names: str, seeds: int | None = None) -> Path:
        for name in names:
            execution.run(name, "smoke", runs=runs, device="cpu", seeds=seeds, progress=False)
        return runs

    return trained


def small(dtype: torch.dtype = torch.float32) -> PINN:
    return PINN(systems.get("convection"), MLP(hidden=(6, 6)), [5.0, 30.0], 20, device="cuda", dtype=dtype)


# --- the pretence -----------------------------------------------------------------------------------------------


def test_it_is_there_and_gone_again() -> None:
    before = torch.cuda.is_available()
    with pretended(free=10**9):
        assert devices.resolve("auto") == torch.device("cuda", 0) and devices.label(devices.resolve("cuda")) == NAME
        x = torch.ones(3, device="cuda")
        assert (x.device, x.is_cuda, x[1:].device, (2 * x).device) == (torch.device("cuda", 0), True, x.device, x.device)
        assert not torch.ones(3).is_cuda and not x.cpu().is_cuda and x.cpu().numpy().tolist() == [1, 1, 1]
    assert torch.cuda.is_available() is before


REFUSED: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "a sum": lambda gpu, cpu: gpu + cpu,
    "a product": lambda gpu, cpu: gpu[None] @ cpu[:, None],
    "side by side": lambda gpu, cpu: torch.stack([gpu, cpu]),
    "added in place": lambda gpu, cpu: cpu.add_(gpu[0]),
    "indexed from the GPU": lambda gpu, cpu: cpu[gpu.long()],
    "written by an index": lambda gpu, cpu: gpu.__setitem__(torch.tensor([0, 1]), cpu[:2]),
    "as an array": lambda gpu, cpu: gpu.numpy(),
    "as an array of NumPy's making": lambda gpu, cpu: np.asarray(gpu),
    "drawn by a generator of the CPU": lambda gpu, cpu: torch.rand(3, generator=torch.Generator(), device="cuda"),
    "filled by a generator of the CPU": lambda gpu, cpu: gpu.normal_(generator=torch.Generator()),
    "by its address": lambda gpu, cpu: gpu.data_ptr(),
    "in a backward pass": lambda gpu, cpu: (gpu.requires_grad_() * gpu).backward(cpu),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cuda_refuses_is_refused(name: str) -> None:
    with pretended(), pytest.raises(DeviceFault):
        REFUSED[name](torch.ones(3, device="cuda"), torch.ones(3))


ALLOWED: dict[str, tuple[Callable[[Tensor, Tensor], Any], dict[str, int]]] = {
    "a number": (lambda gpu, cpu: gpu * cpu[0], {}),
    "a comparison": (lambda gpu, cpu: torch.where(gpu > 0, gpu, 0.0), {}),
    "to the host": (lambda gpu, cpu: gpu.cpu() + cpu, {"copy to the host": 1}),
    "as a list": (lambda gpu, cpu: gpu.tolist(), {"copy to the host": 1}),
    "into the host": (lambda gpu, cpu: cpu.copy_(gpu), {"copy to the host": 1}),
    "one number": (lambda gpu, cpu: gpu.sum().item(), {"item": 1}),
    "a decision": (lambda gpu, cpu: bool((gpu > 0).all()), {"item": 1}),
    "to the device": (lambda gpu, cpu: gpu + cpu.to("cuda"), {"copy to the device": 1}),
    "to where another is": (lambda gpu, cpu: gpu + cpu.double().to(gpu), {"copy to the device": 1}),
    "made there of a list": (
        lambda gpu, cpu: gpu + torch.tensor([1.0, 2.0, 3.0], device=gpu.device),
        {"copy to the device": 1},
    ),
    "made there of nothing": (lambda gpu, cpu: gpu + torch.zeros(3, device=gpu.device) + torch.zeros_like(gpu), {}),
    "from locked pages": (lambda gpu, cpu: gpu + cpu.pin_memory().to("cuda", non_blocking=True), {}),
    "an index of the host": (lambda gpu, cpu: gpu[torch.tensor([0, 2])], {"copy to the device": 1}),
    "a mask": (lambda gpu, cpu: gpu[gpu > 0], {"boolean mask": 1}),
    "a mask that is filled": (lambda gpu, cpu: gpu.__setitem__(gpu > 0, 2.0), {}),
    "which": (lambda gpu, cpu: (gpu > 0).nonzero(), {"nonzero": 1}),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_what_cuda_allows_is_allowed_and_its_waits_are_counted(name: str) -> None:
    compute, waits = ALLOWED[name]
    with pretended() as counts:
        gpu, cpu = torch.ones(3, device="cuda"), torch.ones(3)
        counts.reset()
        compute(gpu, cpu)
    assert dict(counts.waits) == waits


@pytest.mark.parametrize("optimiser", [Adam(), LBFGS(), NNCG(rank=4), RoPINN()], ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("fault", ["nothing comes back", "parameters stay behind", ""])
def test_a_missing_copy_is_caught(monkeypatch: pytest.MonkeyPatch, optimiser: Any, fault: str) -> None:
    """The same steps with a copy between the devices left out, and without a fault."""

    def steps() -> None:
        problem = small()
        state = optimiser.init(problem, problem.init([0, 1]))
        for _ in range(4):
            state = optimiser.step(problem, state)
        assert on_gpu(state.params) and torch.isfinite(state.loss).all()

    if fault == "nothing comes back":
        monkeypatch.setattr(Tensor, "cpu", lambda x: x)
    elif fault == "parameters stay behind":
        init = PINN.init
        monkeypatch.setattr(PINN, "init", lambda problem, seeds: init(problem, seeds).to("cpu"))
    with pretended():
        if not fault:
            steps()
        else:
            with pytest.raises(DeviceFault, match=r"same device|Tensor\.cpu"):
                steps()


# --- what trains ------------------------------------------------------------------------------------------------


def kinds(name: str) -> set[type]:
    stages = catalog.get(name).strategy.stages
    return {*map(type, stages), *(type(p.stage) for one in stages if isinstance(one, MultiPhase) for p in one.phases)}


def test_every_kind_of_training_is_tried_here() -> None:
    assert set().union(*map(kinds, SWEEPS)) == set().union(*map(kinds, catalog.SWEEPS))
    assert {name.split("/")[0] for name in SWEEPS} == {name.split("/")[0] for name in catalog.SWEEPS}


@pytest.mark.parametrize("name", SWEEPS)
def test_runs_are_those_of_a_cpu(name: str, on_cpu: Callable[..., Path], tmp_path: Path) -> None:
    with pretended():
        sweeps.run(name, "smoke", runs=tmp_path, device="cuda", seeds=1, progress=False)
    job = partial(Job.of, name, "smoke", device="cpu", seeds=1)
    ours = {row.cell: row for row in store.read(job(runs=tmp_path)).rows}
    cpus = {row.cell: row for row in store.read(job(runs=on_cpu(name, seeds=1))).rows}
    assert set(ours) == set(job().cells)
    # How many members NysNewton-CG takes products of at a time depends on the device, and with it the rounding.
    near = 1e-3 if name.startswith("pinn") and "nncg" in name else 1e-6
    for cell, row in ours.items():
        cpu = cpus[cell]
        assert (row.status, row.iterations, row.evaluations) == (cpu.status, cpu.iterations, cpu.evaluations)
        assert (row.train_loss, row.test_error) == pytest.approx((cpu.train_loss, cpu.test_error), rel=near)
        assert (row.device, cpu.device) == (NAME, "cpu")


def test_a_stop_and_a_resume_change_nothing(tmp_path: Path) -> None:
    """Checkpoints go to the disk and come back to the device."""
    name, stops, steps = "pinode/pendulum/lbfgs", 0, itertools.count(0.0)
    job = partial(Job.of, name, "smoke", device="cuda", seeds=1)
    with pretended():
        sweeps.run(name, "smoke", runs=tmp_path / "whole", device="cuda", seeds=1, progress=False)
        while execution.train(
            job(runs=tmp_path, time_limit=3.0),
            progress=False,
            clock=lambda: next(steps),  # a second passes at every look
        ).stopped_by:
            stops += 1
        whole, parts = (store.read(job(runs=runs)).rows for runs in (tmp_path / "whole", tmp_path))
    assert stops > 2  # in the middle of training
    assert {row.cell: row.train_loss for row in parts} == pytest.approx({row.cell: row.train_loss for row in whole}, rel=1e-6)


@pytest.mark.parametrize("name", WAITS)
def test_the_host_waits_no_more_often_than_it_did(name: str) -> None:
    optimiser = {"Adam": Adam(steps=100), "L-BFGS": LBFGS(max_iterations=100)}[name]
    with pretended() as counts:
        problem = small(torch.float64)  # rounding must not decide how many trials a line search takes
        state = optimiser.init(problem, problem.init([0, 1]))
        for n in range(25):
            if n == 5:  # buffers and history have their first entries
                counts.reset()
            state = optimiser.step(problem, state)
        assert counts.launches > 20 * 50
        waits = {what: number / 20 for what, number in counts.waits.items()}
    assert sum(waits.values()) <= WAITS[name], waits


# --- what is computed of trained networks -------------------------------------------------------------------------


@pytest.mark.parametrize("name", [REACTION_DIFFUSION, "pinode/pendulum/adam-plain"])
def test_measured_curvature_is_that_of_a_cpu(name: str, on_cpu: Callable[..., Path]) -> None:
    job = Job.of(name, "smoke", runs=on_cpu(name, seeds=1), device="cpu")
    with pretended():
        curvature.measure(name, "smoke", runs=job.runs, device="cuda", progress=False)
    ours = curvature.read(job)
    (job.folder / curvature.NAME).unlink()
    curvature.measure_job(job, progress=False)
    assert len(ours) == len(store.read(job).rows) > 0
    for cell, found in curvature.read(job).items():
        for quantity in ("lambda_max", "lambda_power", "trace"):
            assert ours[cell][quantity] == pytest.approx(found[quantity], rel=1e-3, abs=4 * found["trace_error"])


@pytest.mark.parametrize("name", studies.STUDIES)
def test_items_of_a_study_are_those_of_a_cpu(name: str, on_cpu: Callable[..., Path]) -> None:
    study, runs = studies.get(name), on_cpu(REACTION_DIFFUSION, ALM, seeds=1)
    on_cpu(CONVECTION)
    with pretended():
        studies.run(study, "smoke", runs=runs, device="cuda", progress=False)
    ours = studies.load(study, "smoke", runs)
    assert (ours.attrs["device"], list(ours.items)) == ([NAME], list(study.items("smoke")))
    for path in studies.base.folder_of(study, "smoke", runs).glob("*.npz"):
        path.unlink()
    studies.run(study, "smoke", runs=runs, device="cpu", progress=False)
    for item, arrays in studies.load(study, "smoke", runs).items.items():
        for quantity, array in arrays.items():
            theirs, where = ours.items[item][quantity], f"{item.key} {quantity}"
            if array.dtype.kind == "U":
                np.testing.assert_array_equal(theirs, array, err_msg=where)
            else:
                np.testing.assert_allclose(theirs, array, rtol=1e-2, atol=1e-4, err_msg=where)


# --- memory, precision, and what is written down ------------------------------------------------------------------


def test_as_many_runs_train_side_by_side_as_fit_an_8_gb_card() -> None:
    plan = catalog.get(CONVECTION).at("paper")
    with pretended(free=7_600_000_000):
        device = devices.resolve("cuda")
        memory = devices.memory_budget(device)
        widths = []
        for cells in plan.ensembles(plan.cells):
            problem = plan.problem(cells[:1], device)

            def need(m: int, problem: PINN = problem) -> int:
                each = planner.memory_per_member(problem, plan.strategy)
                return m * each + min(problem.group_size, m) * problem.workspace_bytes_per_member

            slots = [planner.slots(plan, cells, device, share * memory // 8) for share in range(1, 17)]
            assert slots == sorted(slots)
            for share, m in enumerate(slots, start=1):
                assert need(m) <= share * memory // 8 and (m == len(cells) or need(m + 1) > share * memory // 8)
            widths.append(slots[7])
    assert widths == sorted(widths, reverse=True) and len(widths) == 12
    assert widths[0] == 60 and 60 > widths[-1] > 30  # the most data: fewer, but far from one by one


def test_memory_that_this_process_keeps_is_free() -> None:
    with pretended(free=3 * 10**9, kept=5 * 10**9):
        assert devices.memory_budget(devices.resolve("cuda")) == pytest.approx(0.6 * 8e9)


def test_a_gpu_that_cannot_even_be_asked_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(device: object = None) -> None:
        raise RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be reported later")

    with pretended():
        monkeypatch.setattr(torch.cuda, "mem_get_info", full)
        with pytest.raises(UserError, match=r"^device=cuda:0 cannot be used \(CUDA error: out of memory\); close other"):
            devices.memory_budget(devices.resolve("cuda"))


def test_an_environment_that_takes_digits_away_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(devices.TF32_VARIABLE, "1")
    name = "pinode/pendulum/lbfgs"
    calls = (
        lambda: sweeps.run(name, "smoke", runs=tmp_path, device="cuda"),
        lambda: sweeps.timing.estimate(name, "smoke", runs=tmp_path, device="cuda"),
        lambda: studies.run(studies.get("jumps"), "smoke", runs=tmp_path, device="cuda"),
    )
    for call in calls:
        with pretended(), pytest.raises(UserError, match=r"TORCH_ALLOW_TF32_CUBLAS_OVERRIDE=1 .* unset it"):
            call()
    assert not list(tmp_path.rglob("*.json"))
    with devices.full_precision(torch.device("cpu")):  # a CPU does not look at it
        pass


def test_the_manifest_tells_the_gpu_its_software_and_the_precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    torch.set_float32_matmul_precision("high")
    try:
        with pretended():
            sweeps.run("pinode/pendulum/lbfgs", "smoke", runs=tmp_path, device="cuda", seeds=1, progress=False)
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision("highest")
    (manifest,) = tmp_path.rglob("manifest.json")
    (call,) = json.loads(manifest.read_text())["calls"]
    assert (call["device"], call["cuda"], call["float32_precision"]) == (NAME, "13.0", "highest")
    assert isinstance(call["driver"], str)
