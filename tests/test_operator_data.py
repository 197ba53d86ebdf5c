"""Data of operator learning: the equation, the recipe, and a cache that may be damaged, foreign or full."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import spsolve

from sciml_lib.errors import UserError
from sciml_lib.systems import AdvectionDiffusion2D, LatticeFlow, Poisson2D, advection_diffusion, lattice_flow, operator_data
from sciml_lib.systems import cache as cache_room

SMALL = Poisson2D(n=6, side=32, precision="float64")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of this test's own."""
    monkeypatch.setenv("SCIML_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is computed rather than read."""
    made, generate = [], Poisson2D.generate
    monkeypatch.setattr(Poisson2D, "generate", lambda self: made.append(self.digest) or generate(self))
    return made


def same(one: dict[str, NDArray], other: dict[str, NDArray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


# --- the equation --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("anisotropy", [(1.0, 2.5), (20.0, 30.0), (100.0, 200.0)])
@pytest.mark.parametrize("side", [32, 128])
def test_the_solution_solves_the_equation(anisotropy: tuple[float, float], side: int) -> None:
    data = Poisson2D(n=8, side=side, anisotropy=anisotropy, precision="float64").generate()
    for f, u, (k11, k22, k12) in zip(data["source"], data["solution"], data["tensor"], strict=True):
        wave = 2j * np.pi * np.fft.fftfreq(side, 1 / side)
        wave[side // 2] = 0  # the first derivative of the highest wave vanishes on the grid
        squared = -((2 * np.pi * np.fft.fftfreq(side, 1 / side)) ** 2)
        hat = np.fft.fft2(u)
        second = k11 * squared[:, None] * hat + k22 * squared * hat + 2 * k12 * wave[:, None] * wave * hat
        assert np.abs(-np.fft.ifft2(second).real - f).max() < 1e-10
        assert abs(u.mean()) < 1e-13 and abs(f.mean()) < 1e-13


@pytest.mark.parametrize(
    "recipe",
    [
        Poisson2D(n=4, anisotropy=(2.5, 5.0)),
        AdvectionDiffusion2D(n=4, ratio=(0.2, 0.4)),
        AdvectionDiffusion2D(n=4, ratio=(2.0, 2.5)),
    ],
)
def test_finite_differences_of_second_order_find_the_same_solution(recipe: LatticeFlow) -> None:
    """An independent solver, whose error falls to a quarter with half the spacing."""
    fine = replace(recipe, n=2, precision="float64").generate()
    errors = []
    for every in (2, 1):
        side = 128 // every
        ahead = sparse.eye(side, k=1) + sparse.eye(side, k=1 - side)
        first, second, one = (ahead - ahead.T) * side / 2, (ahead + ahead.T - 2 * sparse.eye(side)) * side**2, sparse.eye(side)
        found = []
        for f, (k11, k22, k12), v in zip(
            fine["source"][:, ::every, ::every], fine["tensor"], fine.get("velocity", np.zeros((2, 2))), strict=True
        ):
            operator = v[0] * sparse.kron(first, one) + v[1] * sparse.kron(one, first) - 2 * k12 * sparse.kron(first, first)
            operator -= k11 * sparse.kron(second, one) + k22 * sparse.kron(one, second)
            # What is constant is left out by asking that the first value be 0.
            values = np.concatenate([[0.0], spsolve(operator.tocsc()[1:, 1:], (f - f.mean()).ravel()[1:])])
            found.append((values - values.mean()).reshape(side, side))
        exact = fine["solution"][:, ::every, ::every]
        errors.append(np.linalg.norm(np.array(found) - exact) / np.linalg.norm(exact))
    assert errors[1] < 0.01 and 3.5 < errors[0] / errors[1] < 4.5, errors


@pytest.mark.parametrize("recipe", [Poisson2D(n=5), AdvectionDiffusion2D(n=5)])
def test_a_thinned_grid_has_every_fourth_point_of_the_whole(recipe: LatticeFlow) -> None:
    whole, some = (replace(recipe, every=every, precision="float64").generate() for every in (1, 4))
    assert some["solution"].shape == (5, 32, 32) and some.keys() == whole.keys()
    for name, values in some.items():
        expected = whole[name][:, ::4, ::4] if values.ndim == 3 else whole[name]
        np.testing.assert_allclose(values, expected, rtol=0, atol=1e-14, err_msg=name)
    coarse = replace(recipe, side=32, precision="float64").generate()["solution"]
    assert np.abs(coarse - some["solution"]).max() > 1e-4  # a solution of 32 x 32 points is another


# --- advection beside diffusion ------------------------------------------------------------------------------


def test_the_table_of_proportions_is_that_of_the_released_code() -> None:
    """Five of its 59 entries, each a mean over 400 random samples with a spread of about 25 %."""
    table = advection_diffusion.mean_proportions()
    assert len(table) == 59 and (np.diff(table) > 0).all()
    for weight, theirs in ((0.1, 0.375), (0.3, 0.913), (0.5, 1.461), (0.7, 2.389), (0.9, 5.356)):
        found = table[np.abs(advection_diffusion.LAMBDAS - weight).argmin()]
        assert found == pytest.approx(theirs, rel=0.05)  # four standard errors
    assert advection_diffusion.LAMBDAS[[0, 19, 20, 39, -1]] == pytest.approx([1e-3, 0.1, 0.14, 0.9, 0.978476])


def test_a_proportion_is_that_of_the_norms_of_both_terms() -> None:
    data = AdvectionDiffusion2D(n=3, side=64, ratio=(1.0, 1.3), precision="float64").generate()
    wave = 2j * np.pi * np.fft.fftfreq(64, 1 / 64)
    wave[32] = 0
    for u, (k11, k22, k12), (v1, v2), ratio in zip(
        data["solution"], data["tensor"], data["velocity"], data["ratio"], strict=True
    ):
        dx, dy = (np.fft.ifft2(w * np.fft.fft2(u)).real for w in (wave[:, None], wave))
        flux = k11 * dx + k12 * dy, k12 * dx + k22 * dy
        spread = sum(np.fft.ifft2(w * np.fft.fft2(q)).real for w, q in zip((wave[:, None], wave), flux, strict=True))
        assert np.linalg.norm(v1 * dx + v2 * dy) / np.linalg.norm(spread) == pytest.approx(ratio, rel=1e-6)


@pytest.mark.parametrize("ratio", [(0.2, 0.4), (1.0, 1.3), (2.0, 2.5)])
def test_proportions_lie_around_their_range_and_weights_come_from_the_list(ratio: tuple[float, float]) -> None:
    data = AdvectionDiffusion2D(n=800, every=16, ratio=ratio, precision="float64").generate()
    weight = np.linalg.norm(data["velocity"], axis=1)
    assert 2 <= len({round(one, 9) for one in weight}) <= 6
    assert np.abs(weight[:, None] - advection_diffusion.LAMBDAS).min(axis=1).max() < 1e-12
    assert (
        data["ratio"].mean() == pytest.approx(sum(ratio) / 2, rel=0.05)
        and 0.2 < data["ratio"].std() / data["ratio"].mean() < 0.4
    )
    means = [data["ratio"][group::4].mean() for group in range(4)]
    assert means == sorted(means, reverse=True)  # sources with fewer Gaussians are carried less
    matrices = np.stack([data["tensor"][:, [0, 2]], data["tensor"][:, [2, 1]]], axis=1) / (1 - weight)[:, None, None]
    values = np.linalg.eigvalsh(matrices)
    np.testing.assert_allclose(values[:, 0], 0.01, rtol=1e-9)
    assert 0.01 <= values[:, 1].min() and values[:, 1].max() <= 0.05


def test_a_wave_is_divided_by_its_own_symbol() -> None:
    side, (p, q) = 16, (3, -2)
    x = np.arange(side) / side
    f = np.cos(2 * np.pi * (p * x[:, None] + q * x))
    u = lattice_flow.solve(np.fft.rfft2(f[None]), np.array([[0.5, 2.0, 0.3]]))[0]
    np.testing.assert_allclose(u, f / (4 * np.pi**2 * (0.5 * p**2 + 2.0 * q**2 + 2 * 0.3 * p * q)), atol=1e-15)


def test_tensors_have_the_eigenvalues_one_and_e_in_all_directions() -> None:
    tensor = Poisson2D(n=400, side=16, anisotropy=(5.0, 10.0), precision="float64").generate()["tensor"]
    matrices = np.stack([tensor[:, [0, 2]], tensor[:, [2, 1]]], axis=1)
    values, vectors = np.linalg.eigh(matrices)
    np.testing.assert_allclose(values[:, 0], 0.01, rtol=1e-10)
    assert 0.05 <= values[:, 1].min() < 0.052 and 0.098 < values[:, 1].max() <= 0.1
    angles = np.arctan2(vectors[:, 1, 0], vectors[:, 0, 0]) % np.pi
    assert np.histogram(angles, 4, (0, np.pi))[0].min() > 70  # 100 each on average


def test_sources_are_gaussians_on_a_lattice_as_a_plain_loop_adds_them() -> None:
    data = replace(SMALL, n=1)
    heights = np.zeros((12, 12))
    heights[0, 3], heights[11, 7] = 0.5, 1.0
    found = data._source(heights[None])[0]
    x = np.arange(32) / 32
    expected = np.zeros((32, 32))
    for i, j in ((0, 3), (11, 7)):
        a, b = (0.5 + (k - 5.5) / 16 for k in (i, j))
        expected += heights[i, j] * np.exp(-((x[:, None] - a) ** 2 + (x - b) ** 2) / (2 * (1 / 32) ** 2))
    expected /= expected.max()
    np.testing.assert_allclose(found, expected - expected.mean(), atol=1e-14)


def test_the_four_groups_have_their_share_of_gaussians_and_none_is_empty() -> None:
    index = np.arange(2000)
    uniform = np.random.default_rng(0).random((2000, 289))
    active = SMALL._amplitudes(index, uniform) > 0
    for group, share in enumerate((0.8, 0.6, 0.4, 0.2)):
        assert active[group::4].mean() == pytest.approx(share, abs=0.01)
    never = np.concatenate([np.full((4, 144), 0.99), np.full((4, 144), 0.5), np.full((4, 1), 0.999)], axis=1)
    alone = SMALL._amplitudes(np.arange(4), never)
    assert (alone > 0).sum(axis=(1, 2)).tolist() == [1] * 4 and alone[:, 11, 11] == pytest.approx(0.5005)


RANGES = [(1.0, 2.5), (2.5, 5.0), (5.0, 10.0), (10.0, 20.0), (20.0, 30.0), (30.0, 50.0), (50.0, 100.0), (100.0, 200.0)]
HEIGHTS = [0.46, 0.33, 0.23, 0.15, 0.11, 0.085, 0.056, 0.038]


@pytest.mark.parametrize(("anisotropy", "height"), list(zip(RANGES, HEIGHTS, strict=True)))
def test_solutions_are_as_high_as_those_of_the_released_code(anisotropy: tuple[float, float], height: float) -> None:
    """The median over the samples of max |u|."""
    data = Poisson2D(n=512, side=32, anisotropy=anisotropy).generate()
    assert np.median(np.abs(data["solution"]).max(axis=(1, 2))) == pytest.approx(height, rel=0.12)


def test_solutions_have_the_energy_of_sparse_sources() -> None:
    """The sum over 128 x 128 points of u^2: 935 on average in the released data, 2,636 if every Gaussian is there."""
    for few, energy in ((True, 935), (False, 2636)):
        u = Poisson2D(n=512, side=64, sparse=few).generate()["solution"]
        assert 4 * np.square(u).sum(axis=(1, 2)).mean() == pytest.approx(energy, rel=0.1)


# --- the recipe ----------------------------------------------------------------------------------------------


def test_equal_recipes_give_equal_arrays_and_everything_else_gives_others() -> None:
    data = SMALL.generate()
    assert same(data, replace(SMALL).generate()) and {name: array.dtype for name, array in data.items()} == {
        "source": np.float64, "solution": np.float64, "tensor": np.float64,
    }  # fmt: skip
    changes = [{"seed": 1}, {"split": "validation"}, {"split": "test"}, {"sparse": False}, {"anisotropy": (2.5, 5.0)}]
    others = [replace(SMALL, **change) for change in changes]
    assert len({one.digest for one in (SMALL, *others, replace(SMALL, n=7), replace(SMALL, side=34))}) == 8
    for other in others:
        assert not np.allclose(other.generate()["solution"], data["solution"])
    assert json.loads(json.dumps(SMALL.recipe)) == SMALL.recipe and SMALL.recipe["anisotropy"] == [1.0, 2.5]
    assert Poisson2D(anisotropy=[1, 2.5]).digest == Poisson2D().digest


def test_fewer_samples_are_the_first_of_more_also_across_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    few, many = SMALL.generate(), replace(SMALL, n=40).generate()
    monkeypatch.setattr(lattice_flow, "CHUNK", 4)
    pieces = replace(SMALL, n=40).generate()
    for name in few:
        np.testing.assert_allclose(many[name][:6], few[name], rtol=0, atol=1e-14)
        np.testing.assert_allclose(pieces[name], many[name], rtol=0, atol=1e-14)


def test_ranges_share_their_sources() -> None:
    one, other = (Poisson2D(n=3, side=32, anisotropy=a).generate() for a in ((1.0, 2.5), (100.0, 200.0)))
    assert np.array_equal(one["source"], other["source"]) and not np.array_equal(one["tensor"], other["tensor"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"n": 0}, "n=0 is not a number of samples"),
        ({"n": 2.5}, "n=2.5 is not a number of samples"),
        ({"n": True}, "n=True is not a number of samples"),
        ({"side": 33}, "side=33 is impossible; choose an even"),
        ({"side": "128"}, "side='128' is impossible"),
        ({"every": 3}, "every=3 does not divide side=128 into at least 8 points an axis; choose one such as 2"),
        ({"every": 32}, "every=32 does not divide"),
        ({"every": 0}, "every=0 does not divide"),
        ({"every": True}, "every=True does not divide"),
        ({"anisotropy": (2.0, 1.0)}, r"anisotropy=\(2.0, 1.0\) is not a range"),
        ({"anisotropy": (-1.0, 1.0)}, "is not a range of eigenvalues"),
        ({"anisotropy": 3.0}, "anisotropy=3.0 is not a range"),
        ({"anisotropy": ("a", "b")}, "is not a range of eigenvalues"),
        ({"seed": -1}, "seed=-1 is not a seed"),
        ({"seed": 2**32}, "is not a seed; choose a whole number from 0 to 4294967295"),
        ({"split": "tset"}, "did you mean test"),
        ({"precision": "float16"}, "did you mean float"),
    ],
)
def test_impossible_recipes_are_one_sentence(change: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        Poisson2D(**change)


# --- the cache -----------------------------------------------------------------------------------------------


def test_data_are_computed_once_and_then_read(cache: Path, counted: list[str]) -> None:
    first, second = SMALL.load(), SMALL.load()
    assert same(first, second) and counted == [SMALL.digest]
    assert [path.name for path in cache.iterdir()] == [f"poisson-2d-{SMALL.digest[:20]}.npz"]
    first["solution"][:] = 0
    assert same(SMALL.load(), second)
    replace(SMALL, seed=1).load()
    assert len(counted) == 2 and len(list(cache.iterdir())) == 2


def flip(path: Path) -> None:
    """One bit in the middle of the numbers."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def of_another_recipe(path: Path) -> None:
    """A whole file, under the wrong name."""
    other = replace(SMALL, seed=5)
    other.load()
    other.path.replace(path)


DAMAGE: list[Callable[[Path], Any]] = [
    lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    lambda path: path.write_bytes(b""),
    lambda path: path.write_bytes(b"no archive"),
    lambda path: np.savez(path, solution=np.zeros(3)),
    lambda path: np.savez(path, digest=np.array([object()], dtype=object)),
    Path.unlink,
    flip,
    of_another_recipe,
]


@pytest.mark.parametrize("spoil", DAMAGE)
def test_a_damaged_or_foreign_file_is_made_anew(spoil: Callable[[Path], Any], counted: list[str]) -> None:
    expected = SMALL.load()
    spoil(SMALL.path)
    counted.clear()
    assert same(SMALL.load(), expected) and counted == [SMALL.digest]
    assert same(SMALL.load(), expected) and counted == [SMALL.digest]


def test_a_full_disk_costs_the_cache_and_not_the_data(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: Any, **arrays: NDArray) -> None:
        file.write(b"the beginning")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(np, "savez", full)
    with pytest.warns(UserWarning, match=rf"cannot be kept in {cache}: No space left on device; .* set SCIML_CACHE"):
        found = SMALL.load()
    assert same(found, SMALL.generate()) and list(cache.iterdir()) == []


def test_a_cache_that_is_no_folder_is_said_and_the_data_are_there(cache: Path) -> None:
    cache.write_text("a file")
    with pytest.warns(UserWarning, match="cannot be kept in"):
        assert same(SMALL.load(), SMALL.generate())


def test_an_interrupted_write_leaves_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", stopped)
    with pytest.raises(KeyboardInterrupt):
        SMALL.load()
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {}, "{home}/.cache/sciml_lib"),
        ("linux", {"XDG_CACHE_HOME": "{home}/elsewhere"}, "{home}/elsewhere/sciml_lib"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "{home}/.cache/sciml_lib"),
        ("darwin", {"XDG_CACHE_HOME": "{home}/elsewhere"}, "{home}/Library/Caches/sciml_lib"),
        ("win32", {"LOCALAPPDATA": "{home}/Local"}, "{home}/Local/sciml_lib"),
        ("linux", {"SCIML_CACHE": "~/mine"}, "{home}/mine"),
    ],
)
def test_the_cache_is_where_the_platform_keeps_caches(
    platform: str, environment: dict[str, str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SCIML_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(cache_room.sys, "platform", platform)
    for name, value in environment.items():
        monkeypatch.setenv(name, value.format(home=tmp_path))
    assert cache_room.folder() == Path(expected.format(home=tmp_path)).resolve()


def test_data_never_lie_inside_the_project_or_an_installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = Path(operator_data.__file__).parents[2]
    for folder in (project, project / "runs" / "data", tmp_path / "lib" / "site-packages" / "x"):
        monkeypatch.setenv("SCIML_CACHE", str(folder))
        with pytest.raises(
            UserError, match="lies inside the project or an installation; set SCIML_CACHE to a folder elsewhere"
        ):
            SMALL.load()


@pytest.mark.parametrize("ratio", [(0.4, 0.2), (0.0, 0.2), "0.2", (0.2, float("nan"))])
def test_an_impossible_range_of_proportions_is_one_sentence(ratio: Any) -> None:
    with pytest.raises(UserError, match=r"ratio=.* is not a range of proportions; choose one such as \(0.2, 0.4\)"):
        AdvectionDiffusion2D(ratio=ratio)
