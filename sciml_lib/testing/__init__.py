"""Checks for parts of your own: a stage of training, or an equation. Each ends in one sentence if something is wrong.

from sciml_lib.testing import check_stage, check_system

check_system(Burgers())
check_stage(Muon(steps=30))

They need no test runner; in a test of yours they are one line.
"""

from sciml_lib.testing.stages import check_stage
from sciml_lib.testing.systems import check_system

__all__ = ["check_stage", "check_system"]
