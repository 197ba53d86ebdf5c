"""Activations with their first two derivatives, written in elementary functions so that autograd can go on to any order.

A derivative is given what has been computed before it, since most share a term with the value.
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor, nn


class Activation(Protocol):
    """A function applied entry by entry; every argument and result has one shape."""

    module: type[nn.Module]
    """The same function as a plain module."""

    @staticmethod
    def value(z: Tensor) -> Tensor:
        """The function at ``z``."""

    @staticmethod
    def first(z: Tensor, a: Tensor) -> Tensor:
        """Its derivative at ``z``, where ``a`` is its value."""

    @staticmethod
    def second(z: Tensor, a: Tensor, s: Tensor) -> Tensor:
        """Its second derivative at ``z``, where ``a`` is its value and ``s`` its slope."""


class Tanh:
    """The hyperbolic tangent: what the paper and its released code train."""

    module = nn.Tanh

    @staticmethod
    def value(z: Tensor) -> Tensor:
        """``tanh(z)``."""
        return torch.tanh(z)

    @staticmethod
    def first(z: Tensor, a: Tensor) -> Tensor:
        """``1 - a^2``."""
        return 1.0 - a.square()

    @staticmethod
    def second(z: Tensor, a: Tensor, s: Tensor) -> Tensor:
        """``-2 a s``."""
        return -2.0 * a * s


class Sine(nn.Module):
    """``sin(x)`` as a module, which PyTorch does not have."""

    def forward(self, x: Tensor) -> Tensor:
        """The sine of every entry."""
        return torch.sin(x)


class Sin:
    """The sine (Sitzmann et al. 2020, equation 2), without their factor omega_0 = 30 and their initial weights."""

    module = Sine

    @staticmethod
    def value(z: Tensor) -> Tensor:
        """``sin(z)``."""
        return torch.sin(z)

    @staticmethod
    def first(z: Tensor, a: Tensor) -> Tensor:
        """``cos(z)``."""
        return torch.cos(z)

    @staticmethod
    def second(z: Tensor, a: Tensor, s: Tensor) -> Tensor:
        """``-sin(z)``."""
        return -a


class SiLU:
    """``z sigmoid(z)``, the sigmoid linear unit (Elfwing et al. 2018), also called swish (Ramachandran et al. 2017)."""

    module = nn.SiLU

    @staticmethod
    def value(z: Tensor) -> Tensor:
        """``z p`` with ``p = sigmoid(z)``."""
        return z * torch.sigmoid(z)

    @staticmethod
    def first(z: Tensor, a: Tensor) -> Tensor:
        """``p + a (1 - p)``."""
        p = torch.sigmoid(z)
        return p + a * (1.0 - p)

    @staticmethod
    def second(z: Tensor, a: Tensor, s: Tensor) -> Tensor:
        """``(1 - p) (p + s - a p)``, since ``p' = p (1 - p)``."""
        p = torch.sigmoid(z)
        return (1.0 - p) * (p + s - a * p)


class GELU:
    """``z Phi(z)`` with the normal distribution function Phi (Hendrycks & Gimpel 2016), not its approximation by tanh."""

    module = nn.GELU

    @staticmethod
    def value(z: Tensor) -> Tensor:
        """``z Phi(z)``."""
        return z * _distribution(z)

    @staticmethod
    def first(z: Tensor, a: Tensor) -> Tensor:
        """``Phi(z) + z phi(z)``."""
        return _distribution(z) + z * _density(z)

    @staticmethod
    def second(z: Tensor, a: Tensor, s: Tensor) -> Tensor:
        """``(2 - z^2) phi(z)``."""
        return (2.0 - z.square()) * _density(z)


def _distribution(z: Tensor) -> Tensor:
    """Phi, the distribution function of the standard normal distribution."""
    return 0.5 * (1.0 + torch.erf(z / math.sqrt(2.0)))


def _density(z: Tensor) -> Tensor:
    """phi, its density."""
    return torch.exp(-0.5 * z.square()) / math.sqrt(2.0 * math.pi)


ACTIVATIONS: dict[str, type[Activation]] = {"tanh": Tanh, "sin": Sin, "silu": SiLU, "gelu": GELU}
"""The activations by name."""
