"""What the paper claims, and what the runs say of it."""

from sciml_lib.ledger import flatness, pendulum
from sciml_lib.ledger.statement import FAILS, HOLDS, OPEN, Statement, verdict_of

__all__ = ["FAILS", "HOLDS", "OPEN", "Statement", "flatness", "pendulum", "verdict_of"]
