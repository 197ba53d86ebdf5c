"""Sweeps: what is trained, where it is stored, how it is gone on with."""

from sciml_lib.sweeps import catalog
from sciml_lib.sweeps.confirmation import confirm
from sciml_lib.sweeps.dataset import load, load_or_train
from sciml_lib.sweeps.execution import Report, run
from sciml_lib.sweeps.setups import NeuralODESetup, PINNSetup
from sciml_lib.sweeps.spec import Cell, Plan, Reduction, Sweep
from sciml_lib.sweeps.store import folder_of, read, read_params, runs_folder, set_aside

__all__ = [
    "Cell",
    "NeuralODESetup",
    "PINNSetup",
    "Plan",
    "Reduction",
    "Report",
    "Sweep",
    "catalog",
    "confirm",
    "folder_of",
    "load",
    "load_or_train",
    "read",
    "read_params",
    "run",
    "runs_folder",
    "set_aside",
]
