"""Newton steps, for the chapter on the pendulum."""

from sciml_lib.analysis.newton import Gain
from sciml_lib.report import improvement_figure

__all__ = ["Gain", "improvement_figure"]
