"""What a chapter says about its maps, in sentences whose every number and comparison comes from the runs.

Each function takes panels and returns Markdown. A sentence that the data do not support is not printed, or printed the
other way round; the same functions speak about three seeds on a laptop and five on a GPU.
"""

from sciml_lib.narrative.common import budgets, commands, endings, maps_figure, source
from sciml_lib.narrative.convection import (
    comparison,
    differences,
    literal_words,
    overview,
    recipe,
    repeats,
    three,
    trust,
    warmup_figure,
    warmup_words,
)
from sciml_lib.narrative.families import (
    against_published,
    error_floor,
    families,
    floor_figure,
    floor_words,
    missing_families,
    readings,
    second_regime,
    sharpness,
    two_errors,
    two_errors_figure,
    what_matters,
    who_was_drawn,
)
from sciml_lib.narrative.pendulum import nothing_to_solve, pendulum_statements, which_loss, whose_thresholds
from sciml_lib.narrative.physics import collapses, equations, flat_guesses, regime_shares, same_thresholds, stays_and_moves
from sciml_lib.narrative.strategies import borders, shifts, statement_table, statements
from sciml_lib.narrative.variants import (
    constraint_words,
    damping_figure,
    damping_words,
    grid_words,
    improvement_figure,
    improvement_words,
    nncg_statements,
)
from sciml_lib.prose import say

__all__ = [
    "against_published",
    "borders",
    "budgets",
    "collapses",
    "commands",
    "comparison",
    "constraint_words",
    "damping_figure",
    "damping_words",
    "differences",
    "endings",
    "equations",
    "error_floor",
    "families",
    "flat_guesses",
    "floor_figure",
    "floor_words",
    "grid_words",
    "improvement_figure",
    "improvement_words",
    "literal_words",
    "maps_figure",
    "missing_families",
    "nncg_statements",
    "nothing_to_solve",
    "overview",
    "pendulum_statements",
    "readings",
    "recipe",
    "regime_shares",
    "repeats",
    "same_thresholds",
    "say",
    "second_regime",
    "sharpness",
    "shifts",
    "source",
    "statement_table",
    "statements",
    "stays_and_moves",
    "three",
    "trust",
    "two_errors",
    "two_errors_figure",
    "warmup_figure",
    "warmup_words",
    "what_matters",
    "which_loss",
    "who_was_drawn",
    "whose_thresholds",
]
