"""One function per kind of figure: arrays in, ``matplotlib.figure.Figure`` out, without pyplot's global state.

A figure shows itself when it is the last value of a notebook cell.
"""

from sciml_lib.figures import provenance, style
from sciml_lib.figures.boundary_band import boundary_band
from sciml_lib.figures.boundary_overlay import Border, boundary_overlay
from sciml_lib.figures.curve_grid import Curve, curve_grid
from sciml_lib.figures.curves import along_curves
from sciml_lib.figures.digest import digest, print_digest
from sciml_lib.figures.improvement_maps import improvement_maps
from sciml_lib.figures.label_maps import label_maps
from sciml_lib.figures.map_grid import MapPair, map_grid
from sciml_lib.figures.regime_map import regime_map, side_by_side
from sciml_lib.figures.rollouts import rollouts
from sciml_lib.figures.seed_strip import seed_strip
from sciml_lib.figures.solutions import solutions
from sciml_lib.figures.spectra import SpectrumPair, spectra
from sciml_lib.figures.surfaces import Relief, surface_interactive, surfaces, to_html
from sciml_lib.figures.trajectories import Trajectory, trajectories
from sciml_lib.figures.value_maps import ValueMap, value_maps

__all__ = [
    "Border",
    "Curve",
    "MapPair",
    "Relief",
    "SpectrumPair",
    "Trajectory",
    "ValueMap",
    "along_curves",
    "boundary_band",
    "boundary_overlay",
    "curve_grid",
    "digest",
    "improvement_maps",
    "label_maps",
    "map_grid",
    "print_digest",
    "provenance",
    "regime_map",
    "rollouts",
    "seed_strip",
    "side_by_side",
    "solutions",
    "spectra",
    "style",
    "surface_interactive",
    "surfaces",
    "to_html",
    "trajectories",
    "value_maps",
]
