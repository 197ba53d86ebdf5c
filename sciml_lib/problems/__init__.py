"""Problems: a system, a model and data, bound for the members of an ensemble."""

from sciml_lib.problems.base import Objective, Problem
from sciml_lib.problems.pinn import PINN

__all__ = ["PINN", "Objective", "Problem"]
