"""Tools that look at the landscape of a loss; they know losses of ``[M, P]``, and neither models nor equations."""

from sciml_lib.landscape.curves import BezierFit, Connectivity, Curve, along, bezier, connectivity, straight, train_bezier
from sciml_lib.landscape.density import Spectrum, slq, slq_bytes_per_member
from sciml_lib.landscape.eigen import Eigenpairs, lanczos, lanczos_bytes_per_member, power_iteration
from sciml_lib.landscape.jumps import PowerLaw, power_law
from sciml_lib.landscape.products import HessianOperator
from sciml_lib.landscape.surface import Surface, adaptive_radius, normalised, random_directions, surface
from sciml_lib.landscape.trace import Trace, hutch_pp, hutchinson
from sciml_lib.landscape.trajectory import Recorder, StepRecorder

__all__ = [
    "BezierFit",
    "Connectivity",
    "Curve",
    "Eigenpairs",
    "HessianOperator",
    "PowerLaw",
    "Recorder",
    "Spectrum",
    "StepRecorder",
    "Surface",
    "Trace",
    "adaptive_radius",
    "along",
    "bezier",
    "connectivity",
    "hutch_pp",
    "hutchinson",
    "lanczos",
    "lanczos_bytes_per_member",
    "normalised",
    "power_iteration",
    "power_law",
    "random_directions",
    "slq",
    "slq_bytes_per_member",
    "straight",
    "surface",
    "train_bezier",
]
