"""Sweeps: what is trained, where it is stored, how it is gone on with."""

from sciml_lib.sweeps import catalog
from sciml_lib.sweeps.dataset import load, load_or_train
from sciml_lib.sweeps.execution import Report, run
from sciml_lib.sweeps.revalidation import revalidate
from sciml_lib.sweeps.setups import NeuralODESetup, PINNSetup
from sciml_lib.sweeps.spec import Cell, Plan, Reduction, Sweep
from sciml_lib.sweeps.store import archive, folder_of, read, read_params, runs_folder

__all__ = [
    "Cell",
    "NeuralODESetup",
    "PINNSetup",
    "Plan",
    "Reduction",
    "Report",
    "Sweep",
    "archive",
    "catalog",
    "folder_of",
    "load",
    "load_or_train",
    "read",
    "read_params",
    "revalidate",
    "run",
    "runs_folder",
]
