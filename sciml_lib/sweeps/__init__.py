"""Sweeps: what is trained, where it is stored, how it is gone on with."""

from sciml_lib.sweeps import catalog, plugins
from sciml_lib.sweeps.catalog import register
from sciml_lib.sweeps.curvature import measure
from sciml_lib.sweeps.dataset import load, load_or_train
from sciml_lib.sweeps.execution import Report, run
from sciml_lib.sweeps.job import Job
from sciml_lib.sweeps.places import runs_folder
from sciml_lib.sweeps.revalidation import revalidate
from sciml_lib.sweeps.setups import NeuralODESetup, PINNSetup
from sciml_lib.sweeps.spec import Cell, Plan, Reduction, Sweep
from sciml_lib.sweeps.store import archive, read, read_params
from sciml_lib.sweeps.timing import Estimate, estimate

__all__ = [
    "Cell",
    "Estimate",
    "Job",
    "NeuralODESetup",
    "PINNSetup",
    "Plan",
    "Reduction",
    "Report",
    "Sweep",
    "archive",
    "catalog",
    "estimate",
    "load",
    "load_or_train",
    "measure",
    "plugins",
    "read",
    "read_params",
    "register",
    "revalidate",
    "run",
    "runs_folder",
]
