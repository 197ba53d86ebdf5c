"""One evaluation of loss and gradient: the compiled kernel against everything else one might use, interleaved in one run.

    python benchmarks/kernel.py                      # the default table, some minutes
    python benchmarks/kernel.py --systems wave --n-data 1000 --members 12
    python benchmarks/kernel.py --with jax numba     # also JAX and numba, if they are installed (they are no dependencies)

The sides: ``fused``, the compiled kernel; ``eager``, the library without it; ``plain``, one ``nn.Module`` after the other with
nested ``autograd.grad`` (``sequential.py``; convection alone); ``jax``, ``jit(lax.map(value_and_grad))`` with one ``jvp`` along
(beta, 1), which is as good as a few lines can be. ``--with numba`` adds one line: how fast the two products of a tile, which
are most of the work, are in loops that numba compiles. This is why the kernel is C++.

What is printed is the processor time of the thread that works, the least of several rounds, in milliseconds a member; the
wall time beside it, which other programs on the machine lengthen; and the floating-point work of the matrix products
alone, with its share of what a product of 1024 x 1024 matrices does in the same minute. The last column is the error of
the gradient against float64. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from sequential import Plain
from torch import Tensor

from sciml_lib import systems
from sciml_lib.kernel import get
from sciml_lib.models import MLP
from sciml_lib.problems import PINN

COEFFICIENTS = {
    "convection": (5.0, 10.0, 20.0, 30.0, 50.0, 70.0),
    "reaction": (2.0, 5.0, 8.0),
    "wave": (1.0, 2.0, 5.0),
    "reaction-diffusion": (5.0, 15.0, 20.0),
}


@dataclass
class Times:
    """The least processor and wall time of one call, in seconds."""

    processor: float = float("inf")
    wall: float = float("inf")

    def add(self, call: Callable[[], object], repeat: int) -> None:
        """Calls and keeps the least."""
        processor, wall = _processor_time(), time.perf_counter()
        for _ in range(repeat):
            call()
        self.processor = min(self.processor, (_processor_time() - processor) / repeat)
        self.wall = min(self.wall, (time.perf_counter() - wall) / repeat)


def _processor_time() -> float:
    """Of all threads of this process: JAX has some of its own."""
    return time.process_time()


def race(calls: Mapping[str, Callable[[], object]], rounds: int, repeat: int) -> dict[str, Times]:
    """The times of several calls, which take turns."""
    times = {name: Times() for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            times[name].add(call, repeat)
    return times


def product_rate(size: int = 1024) -> float:
    """Floating-point operations a second of a product of square matrices, on the threads there are."""
    a, out = torch.randn(size, size), torch.empty(size, size)
    times = race({"product": lambda: torch.mm(a, a, out=out)}, rounds=5, repeat=2)
    return 2.0 * size**3 / times["product"].processor


def operations(problem: PINN) -> float:
    """Those of the matrix products of one evaluation of one member: forward, and twice as many back.

    Rows are counted as they are needed at least: the value, first derivatives that are wanted for a second one, and one
    row for the linear operator of a block.
    """
    forms = problem._fused.forms
    rows = 0
    for form in forms:
        blocks = 1 if form.partner is None else 2
        rows += blocks * problem.points[form.source].shape[-2] * (1 + form.axes.bit_count() + form.linear)
    sizes = [out * into for out, into in problem.model.shapes]
    return 2.0 * rows * (3.0 * sum(sizes) - sizes[0])


def jax_side(problem: PINN, params: Tensor) -> Callable[[], object]:
    """The same evaluation in JAX."""
    import jax
    import jax.numpy as jnp

    shapes = problem.model.shapes
    inner, upper, lower, initial = (
        jnp.asarray(problem.points[name].numpy()) for name in ("residual", "upper", "lower", "initial")
    )
    target = jnp.sin(initial[:, 0])

    def network(row, points):
        h, start = points, 0
        for i, (out, into) in enumerate(shapes):
            weight = row[start : start + out * into].reshape(out, into)
            start += out * into
            h = h @ weight.T + row[start : start + out]
            start += out
            h = jnp.tanh(h) if i + 1 < len(shapes) else h
        return h[:, 0]

    def loss(row, beta):
        direction = jnp.broadcast_to(jnp.stack([beta, jnp.ones_like(beta)]), inner.shape)
        _, residual = jax.jvp(lambda points: network(row, points), (inner,), (direction,))
        boundary = network(row, upper) - network(row, lower)
        return (residual**2).mean() + (boundary**2).mean() + ((network(row, initial) - target) ** 2).mean()

    each = jax.value_and_grad(loss)
    evaluate = jax.jit(lambda rows, betas: jax.lax.map(lambda pair: each(*pair), (rows, betas)))
    rows, betas = jnp.asarray(params.numpy()), jnp.asarray(problem.coefficients.numpy())
    evaluate(rows, betas)[1].block_until_ready()
    return lambda: evaluate(rows, betas)[1].block_until_ready()


def numba_rates(width: int = 50, columns: int = 192) -> tuple[float, float]:
    """Operations a second of the two products of a tile as plain loops that numba compiles: W H, and G H^T."""
    import numba
    import numpy as np

    @numba.njit(fastmath=True)
    def forward(w, h, out, repeat):
        for _ in range(repeat):
            out[:] = 0
            for j in range(w.shape[0]):
                for k in range(w.shape[1]):
                    for c in range(h.shape[1]):
                        out[j, c] += w[j, k] * h[k, c]

    @numba.njit(fastmath=True)
    def backward(g, h, out, repeat):
        for _ in range(repeat):
            for j in range(g.shape[0]):
                for k in range(h.shape[0]):
                    total = np.float32(0)
                    for c in range(h.shape[1]):
                        total += g[j, c] * h[k, c]
                    out[j, k] += total

    weight, tile = (np.random.rand(width, n).astype(np.float32) for n in (width, columns))
    out, repeat = {"forward": np.empty_like(tile), "backward": np.empty_like(weight)}, 200
    calls = {
        "forward": lambda: forward(weight, tile, out["forward"], repeat),
        "backward": lambda: backward(tile, tile, out["backward"], repeat),
    }
    for call in calls.values():  # compiles
        call()
    times = race(calls, rounds=6, repeat=1)
    work = 2.0 * repeat * width**2 * columns
    return work / times["forward"].processor, work / times["backward"].processor


def compare(name: str, n_data: int, members: int, rounds: int, extra: tuple[str, ...]) -> list[str]:
    """The lines of one table."""
    chosen = [COEFFICIENTS[name][i % len(COEFFICIENTS[name])] for i in range(members)]
    problem = PINN(systems.get(name), MLP(), chosen, n_data)
    exact = PINN(systems.get(name), MLP(), chosen, n_data, dtype=torch.float64)
    params = 1.2 * problem.init(range(members))
    if problem.engine != "fused":
        raise SystemExit("there is no kernel to measure; see the sentence above")
    eager = problem.select(range(members))
    eager._engine = "eager"
    calls: dict[str, Callable[[], object]] = {
        "fused": lambda: problem.value_and_grad(params),
        "eager": lambda: eager.value_and_grad(params),
    }
    shares = {"fused": members, "eager": members}
    _, expected = exact.value_and_grad(params.double())
    errors = {side: error(calls[side]()[1], expected) for side in calls}
    if name == "convection":
        few = [Plain(problem, i, params[i]) for i in range(min(members, 2))]
        calls["plain"], shares["plain"] = lambda: [plain_gradient(member) for member in few], len(few)
        errors["plain"] = error(torch.stack(calls["plain"]()), expected[: len(few)])
        if "jax" in extra:
            calls["jax"], shares["jax"] = jax_side(problem, params), members
            errors["jax"] = error(torch.from_numpy(calls["jax"]().__array__().copy()), expected)
    rate = product_rate()
    times = race(calls, rounds, max(1, 4_000 // ((n_data + 500) * members)))
    work, ours = operations(problem), times["fused"].processor / members
    lines = []
    for side, found in times.items():
        each, wall = found.processor / shares[side], found.wall / shares[side]
        flops = work / each
        share = f"{flops / 1e9:>8.1f} {flops / rate:>6.0%}" if side == "fused" else f"{'':>8} {'':>6}"
        lines.append(
            f"{name:>18} {n_data:>6} {members:>7} {side:>6} {1e3 * each:>8.3f} {1e3 * wall:>8.3f} {each / ours:>6.2f} "
            f"{share} {errors[side]:>9.1e}"
        )
    return lines


def plain_gradient(member: Plain) -> Tensor:
    """Loss and gradient as one writes them."""
    member.net.zero_grad()
    member.loss().backward()
    return torch.cat([p.grad.reshape(-1) for p in member.net.parameters()])


def error(found: Tensor, expected: Tensor) -> float:
    """The largest relative error of a member's gradient."""
    return float(((found.double() - expected).norm(dim=1) / expected.norm(dim=1)).max())


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--systems", nargs="+", default=list(COEFFICIENTS), choices=list(COEFFICIENTS))
    parser.add_argument("--n-data", type=int, nargs="+", default=[100, 1000, 2000, 5000])
    parser.add_argument("--members", type=int, nargs="+", default=[1, 12])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--with", dest="extra", nargs="*", default=[], choices=["jax", "numba"])
    args = parser.parse_args()
    for package in args.extra:
        if importlib.util.find_spec(package) is None:
            parser.error(f"{package} is not installed here; leave it out, or install it for this comparison alone")
    torch.set_num_threads(args.threads)
    lanes = 0 if get() is None else get().lanes
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(
        f"torch {torch.__version__}, {args.threads} threads, load {load:.1f}, vectors of {lanes} numbers, products of "
        f"1024 x 1024 matrices at {product_rate() / 1e9:.1f} GFLOP/s; ms a member, ratio of processor time to the kernel's"
    )
    print(
        f"{'system':>18} {'n_data':>6} {'members':>7} {'side':>6} {'cpu ms':>8} {'wall ms':>8} {'ratio':>6} {'GFLOP/s':>8} "
        f"{'share':>6} {'error':>9}"
    )
    if "numba" in args.extra:
        rate = product_rate()
        forward, backward = numba_rates()
        print(f"products of a tile in numba: {forward / rate:.0%} and {backward / rate:.0%} of those of large matrices")
    for name in args.systems:
        for n_data in args.n_data:
            for members in args.members:
                print("\n".join(compare(name, n_data, members, args.rounds, tuple(args.extra))), flush=True)


if __name__ == "__main__":
    main()
