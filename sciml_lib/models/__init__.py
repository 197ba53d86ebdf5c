"""Networks and their ensembles."""

from sciml_lib.models.curvature import JetHessian
from sciml_lib.models.euler import euler, rollout, runge_kutta
from sciml_lib.models.jets import JetWorkspace, Layout, propagate
from sciml_lib.models.mlp import MLP

__all__ = ["MLP", "JetHessian", "JetWorkspace", "Layout", "euler", "propagate", "rollout", "runge_kutta"]
