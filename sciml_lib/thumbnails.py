"""Small pictures of what stored networks learned, hundreds at a time: for a page that has no room for a figure each."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence

import matplotlib
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sciml_lib.models import MLP, rollout
from sciml_lib.problems.neural_ode import ROLLOUT_BOUND
from sciml_lib.sweeps.setups import NeuralODESetup
from sciml_lib.systems import Dynamics, SpaceTimeSystem

WIDTH, HEIGHT = 64, 50
"""Pixels of a picture along the first coordinate and along the second."""

SHADES = 255
"""Colours of a picture; an odd number, so that zero is the middle one."""

TOGETHER = 4
"""Networks that are evaluated at a time; more would not stay near the processor."""

STRIDE = 4
"""Every so many steps of a motion are kept: 100 of the pendulum's 400 states are a smooth line on a small picture."""

COMPONENTS = {"raw": (0, ""), "sphere": (2, "height of the bob, −cos of the angle")}
"""Which component of what a network sees is drawn, and its words if they are not the system's own."""


def true_fields(system: SpaceTimeSystem, coefficients: Sequence[float]) -> NDArray:
    """The true solutions, ``[n_coefficient, HEIGHT, WIDTH]``, the end of the second coordinate on top."""
    values = torch.tensor(coefficients, dtype=torch.float64)[:, None]
    return _upright(system.solution(_points(system), values))


def learned_fields(system: SpaceTimeSystem, network: MLP, params: Tensor) -> NDArray:
    """What networks learned, ``[M, HEIGHT, WIDTH]``, as :func:`true_fields`.

    Args:
        system: the equation.
        network: whose parameters they are.
        params: ``[M, P]``, finite.
    """
    points = _points(system).float()
    with torch.no_grad():
        values = [network(part.float(), points)[:, :, 0] for part in params.split(TOGETHER)]
    return _upright(torch.cat(values))


def sprite(fields: NDArray, limits: NDArray) -> str:
    """Pictures below each other in one image, as a data URI: one picture of smooth fields takes about 0.8 kB.

    Args:
        fields: ``[K, HEIGHT, WIDTH]``.
        limits: ``[K]``; colours go from minus this to this, values beyond take the colour of the end.
    """
    scaled = np.clip(fields / limits[:, None, None], -1.0, 1.0)
    shades = np.round((scaled + 1.0) / 2.0 * (SHADES - 1)).astype(np.uint8)
    return "data:image/png;base64," + base64.b64encode(_png(shades.reshape(-1, fields.shape[-1]))).decode()


def true_motions(system: Dynamics, setup: NeuralODESetup, coefficients: Sequence[float]) -> NDArray:
    """One component of the true test motions in the representation of a setup, ``[n_coefficient, n]``."""
    component = COMPONENTS.get(setup.representation, (0, ""))[0]
    return _seen(system, setup, coefficients)[:, ::STRIDE, component].numpy()


def learned_motions(system: Dynamics, setup: NeuralODESetup, params: Tensor, coefficients: Sequence[float]) -> NDArray:
    """What networks make of the test motion, as :func:`true_motions`, ``[M, n]``; NaN once a motion has left every bound.

    Args:
        system: the equation.
        setup: whose parameters they are.
        params: ``[M, P]``, finite.
        coefficients: one a network, M of them.
    """
    network, distinct = setup.network(system), sorted(set(coefficients))
    start = _seen(system, setup, distinct)[[distinct.index(c) for c in coefficients], 0].float()
    with torch.no_grad():
        layers = network.layers(params.float())
        states, _ = rollout(
            lambda x: network.apply(layers, x[:, None])[:, 0], start, system.dt, system.n_test, bound=ROLLOUT_BOUND
        )
    inside = (states.abs() < ROLLOUT_BOUND).all(dim=-1)
    component = COMPONENTS.get(setup.representation, (0, ""))[0]
    return torch.where(inside, states[..., component], torch.nan)[:, ::STRIDE].double().numpy()


def motion_words(system: Dynamics, setup: NeuralODESetup) -> str:
    """What :func:`true_motions` gives, in words, such as ``angle in rad``."""
    component, words = COMPONENTS.get(setup.representation, (0, f"first number of {setup.representation}"))
    return words or system.component_labels[component]


def _seen(system: Dynamics, setup: NeuralODESetup, coefficients: Sequence[float]) -> Tensor:
    """The true test motions as a network sees them, ``[n_coefficient, n_test, d]``."""
    seen = system.representation(setup.representation).map
    return torch.stack([seen(system.test_trajectory(c)) for c in coefficients])


def _points(system: SpaceTimeSystem) -> Tensor:
    """The points of a picture, row by row from the beginning of the second coordinate, ``[HEIGHT * WIDTH, 2]``."""
    x, t = system.axes((WIDTH, HEIGHT))
    return torch.stack([part.reshape(-1) for part in torch.meshgrid(x, t, indexing="xy")], dim=1)


def _upright(values: Tensor) -> NDArray:
    """Values at :func:`_points` as pictures, whose first row is on top."""
    return values.reshape(len(values), HEIGHT, WIDTH).flip(1).double().numpy()


def _png(shades: NDArray) -> bytes:
    """A PNG image with the colours of the book's solutions.

    A picture of a smooth field is a third of its size or less if each pixel is stored as the difference from the one on its
    left (filter 1 of the PNG standard), which libraries leave out where pixels are numbers of a palette.

    Args:
        shades: ``[height, width]``, from 0 to ``SHADES - 1``.
    """
    height, width = shades.shape
    palette = matplotlib.colormaps["RdBu_r"](np.linspace(0.0, 1.0, SHADES))[:, :3]
    rows = np.ones((height, width + 1), dtype=np.uint8)  # each begins with the number of its filter
    rows[:, 1:] = np.diff(shades, axis=1, prepend=np.uint8(0))
    parts = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0),
        b"PLTE": np.round(palette * 255).astype(np.uint8).tobytes(),
        b"IDAT": zlib.compress(rows.tobytes()),
        b"IEND": b"",
    }
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in parts.items())


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
