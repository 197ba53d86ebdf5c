"""Problems: a system, a model and data, bound for the members of an ensemble."""

from sciml_lib.problems.augmentation import Augmentation
from sciml_lib.problems.base import BatchedProblem, CollocationProblem, Evaluation, Objective, Problem
from sciml_lib.problems.neural_ode import NeuralODE
from sciml_lib.problems.pinn import PINN

__all__ = [
    "PINN",
    "Augmentation",
    "BatchedProblem",
    "CollocationProblem",
    "Evaluation",
    "NeuralODE",
    "Objective",
    "Problem",
]
