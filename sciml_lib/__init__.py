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
_WHERE = {
    **dict.fromkeys(("Reduction", "Sweep", "estimate", "load", "load_or_train", "measure", "run"), "sciml_lib.sweeps"),
    **dict.fromkeys(("Adam", "LBFGS", "Strategy"), "sciml_lib.strategies"),
}
_ROOMS = (
    *("systems", "models", "problems", "optim", "strategies", "landscape", "sweeps", "studies", "regimes", "figures"),
    *("analysis", "chapters", "errors", "keeper", "ledger", "panels", "prose", "report", "rollouts", "testing", "text"),
)

__all__ = ["UserError", "__version__", *_WHERE]


def __getattr__(name: str) -> Any:
    """Imports a room, or what stands in one, when it is first used."""
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    if name in _ROOMS:
        try:
            return import_module(f"sciml_lib.{name}")
        except ModuleNotFoundError as error:
            raise _not_installed(name, error) from error
    raise AttributeError(f"module 'sciml_lib' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Everything that can be asked for, rooms included."""
    return sorted({*globals(), *_WHERE, *_ROOMS})


def _not_installed(room: str, error: ModuleNotFoundError) -> ModuleNotFoundError:
    """Says which extra of the package brings what a room needs."""
    extra = dict.fromkeys(("figures", "panels", "rollouts", "report", "analysis"), "figures") | {"chapters": "chapters"}
    if room not in extra:
        return error
    return ModuleNotFoundError(
        f"sciml_lib.{room} needs {error.name}, which is not installed: pip install 'sciml_lib[{extra[room]}]'", name=error.name
    )
