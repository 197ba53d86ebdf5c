"""Problems: a system, a model and data, bound for the members of an ensemble."""

from sciml_lib.problems.augmentation import Augmentation
from sciml_lib.problems.base import (
    Batched,
    Constrained,
    Continuable,
    CurvedObjective,
    Evaluation,
    Movable,
    Objective,
    Problem,
    Validated,
)
from sciml_lib.problems.ensemble import EnsembleProblem, ResidualProblem
from sciml_lib.problems.neural_ode import NeuralODE
from sciml_lib.problems.operator_learning import OperatorLearning
from sciml_lib.problems.pinn import PINN

__all__ = [
    "PINN",
    "Augmentation",
    "Batched",
    "Constrained",
    "Continuable",
    "CurvedObjective",
    "EnsembleProblem",
    "Evaluation",
    "Movable",
    "NeuralODE",
    "Objective",
    "OperatorLearning",
    "Problem",
    "ResidualProblem",
    "Validated",
]
