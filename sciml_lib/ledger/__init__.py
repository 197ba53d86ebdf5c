"""What the paper claims, and what the runs say of it."""

from sciml_lib.ledger import barrier, flatness, jumps, pendulum
from sciml_lib.ledger.statement import FAILS, HOLDS, OPEN, Statement, verdict_of

__all__ = ["FAILS", "HOLDS", "OPEN", "Statement", "barrier", "flatness", "jumps", "pendulum", "verdict_of"]
