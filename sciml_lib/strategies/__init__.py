"""Training recipes and the one training loop."""

from sciml_lib.optim import LBFGS, Adam
from sciml_lib.strategies.loop import (
    MemberResult,
    Progress,
    Strategy,
    TimeLimitReached,
    memory_per_member,
    train,
)

__all__ = ["LBFGS", "Adam", "MemberResult", "Progress", "Strategy", "TimeLimitReached", "memory_per_member", "train"]
