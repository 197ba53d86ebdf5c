"""What a chapter says about its maps, in sentences whose every number and comparison comes from the runs.

Each function takes panels and returns Markdown. A sentence that the data do not support is not printed, or printed the
other way round; the same functions speak about three seeds on a laptop and five on a GPU.
"""

from sciml_lib.narrative.common import commands, endings, recipe, source
from sciml_lib.narrative.convection import (
    comparison,
    differences,
    literal_words,
    overview,
    repeats,
    three,
    trust,
    warmup_figure,
    warmup_words,
)
from sciml_lib.prose import say

__all__ = [
    "commands",
    "comparison",
    "differences",
    "endings",
    "literal_words",
    "overview",
    "recipe",
    "repeats",
    "say",
    "source",
    "three",
    "trust",
    "warmup_figure",
    "warmup_words",
]
