"""What the paper claims, and what the runs say of it."""

from sciml_lib.ledger import barrier, families, flatness, jumps, maps, pendulum, sharpness, spectra, strategies, surfaces
from sciml_lib.ledger.statement import FAILS, HOLDS, OPEN, Statement, verdict_of

__all__ = [
    "FAILS",
    "HOLDS",
    "OPEN",
    "Statement",
    "barrier",
    "families",
    "flatness",
    "jumps",
    "maps",
    "pendulum",
    "sharpness",
    "spectra",
    "strategies",
    "surfaces",
    "verdict_of",
]
