"""Training recipes and the one training loop."""

from sciml_lib.optim import LBFGS, NNCG, Adam
from sciml_lib.strategies.alm import AugmentedLagrangian
from sciml_lib.strategies.curriculum import Curriculum
from sciml_lib.strategies.loop import (
    MemberResult,
    Progress,
    Snapshot,
    TimeLimitReached,
    memory_per_member,
    train,
)
from sciml_lib.strategies.minibatch import MiniBatchAdam
from sciml_lib.strategies.recipe import Phase, Stage, Strategy
from sciml_lib.strategies.ropinn import RoPINN

__all__ = [
    "LBFGS",
    "NNCG",
    "Adam",
    "AugmentedLagrangian",
    "Curriculum",
    "MemberResult",
    "MiniBatchAdam",
    "Phase",
    "Progress",
    "RoPINN",
    "Snapshot",
    "Stage",
    "Strategy",
    "TimeLimitReached",
    "memory_per_member",
    "train",
]
