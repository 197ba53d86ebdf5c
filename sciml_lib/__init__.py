"""Ensemble training and regime maps for scientific machine learning.

import sciml_lib

runs = sciml_lib.load("pinn/convection/lbfgs", profile="laptop")
runs.test_error.mean("seed")
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from sciml_lib.errors import UserError

__version__ = "0.1.0"

# Loaded when first asked for, so that the command line answers at once and training needs no plotting package.
_WHERE = {"load": "sciml_lib.sweeps", "load_or_train": "sciml_lib.sweeps", "run": "sciml_lib.sweeps"}
_ROOMS = (
    *("systems", "models", "problems", "optim", "strategies", "sweeps", "regimes", "figures"),
    *("chapters", "errors", "narrative", "panels", "prose"),
)

__all__ = ["UserError", "__version__", "load", "load_or_train", "run"]


def __getattr__(name: str) -> Any:
    """Imports a room, or what stands in one, when it is first used."""
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    if name in _ROOMS:
        return import_module(f"sciml_lib.{name}")
    raise AttributeError(f"module 'sciml_lib' has no attribute {name!r}")
