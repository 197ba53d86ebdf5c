"""Networks and their ensembles."""

from sciml_lib.models.activations import ACTIVATIONS
from sciml_lib.models.curvature import EagerHessian, JetHessian, hessian_of
from sciml_lib.models.euler import euler, rollout, runge_kutta
from sciml_lib.models.fno import FNO2d
from sciml_lib.models.jets import EagerJets, JetWorkspace, Layout, propagate, sweep_of
from sciml_lib.models.mlp import MLP, check_model

__all__ = [
    "ACTIVATIONS",
    "MLP",
    "EagerHessian",
    "EagerJets",
    "FNO2d",
    "JetHessian",
    "JetWorkspace",
    "Layout",
    "check_model",
    "euler",
    "hessian_of",
    "propagate",
    "rollout",
    "runge_kutta",
    "sweep_of",
]
