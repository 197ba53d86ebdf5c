"""Optimisers for ensembles: ``init`` and ``step``, the state returned, nothing hidden."""

from sciml_lib.optim.adam import Adam, AdamState
from sciml_lib.optim.lbfgs import LBFGS, LBFGSState
from sciml_lib.optim.state import EnsembleState, Status

__all__ = ["LBFGS", "Adam", "AdamState", "EnsembleState", "LBFGSState", "Status"]
