"""Optimisers for ensembles: ``init`` and ``step``, the state returned, nothing hidden."""

from sciml_lib.optim.adam import Adam, AdamState, Cosine, Exponential, Schedule
from sciml_lib.optim.history import History
from sciml_lib.optim.lbfgs import LBFGS, LBFGSState
from sciml_lib.optim.nncg import NNCG, NNCGState
from sciml_lib.optim.nystrom import Sketch, sketch
from sciml_lib.optim.state import EnsembleState, Status

__all__ = [
    "LBFGS",
    "NNCG",
    "Adam",
    "AdamState",
    "Cosine",
    "EnsembleState",
    "Exponential",
    "History",
    "LBFGSState",
    "NNCGState",
    "Schedule",
    "Sketch",
    "Status",
    "sketch",
]
