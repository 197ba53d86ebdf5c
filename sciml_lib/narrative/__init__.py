"""What is left of the sentences that chapters get from functions; each chapter is taking its own words over."""

from sciml_lib.analysis.cells import first_seeds
from sciml_lib.narrative.barrier import (
    barrier_statements,
    barriers,
    curve_cells,
    curves_figure,
    error_while_low,
    loss_and_error,
    two_connectivities,
)
from sciml_lib.narrative.families import floor_words
from sciml_lib.narrative.jumps import jump_choices, jump_statements, jump_table, jumps_figure, rate_words, step_tails
from sciml_lib.narrative.pendulum import nothing_to_solve, pendulum_statements, which_loss, whose_thresholds
from sciml_lib.narrative.physics import regime_shares
from sciml_lib.narrative.strategies import borders, shifts
from sciml_lib.prose import say
from sciml_lib.report import (
    budgets,
    commands,
    endings,
    improvement_figure,
    maps_figure,
    source,
    statement_table,
    study_command,
    study_source,
)

__all__ = [
    "barrier_statements",
    "barriers",
    "borders",
    "budgets",
    "commands",
    "curve_cells",
    "curves_figure",
    "endings",
    "error_while_low",
    "first_seeds",
    "floor_words",
    "improvement_figure",
    "jump_choices",
    "jump_statements",
    "jump_table",
    "jumps_figure",
    "loss_and_error",
    "maps_figure",
    "nothing_to_solve",
    "pendulum_statements",
    "rate_words",
    "regime_shares",
    "say",
    "shifts",
    "source",
    "statement_table",
    "step_tails",
    "study_command",
    "study_source",
    "two_connectivities",
    "which_loss",
    "whose_thresholds",
]
