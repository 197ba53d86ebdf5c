"""Regimes of training: thresholds, labels, boundaries with their spread, and agreement with published maps.

Takes arrays (numpy or xarray), returns arrays; knows nothing of training or of stored runs.
"""

from sciml_lib.regimes import published, thresholds
from sciml_lib.regimes.agreement import Agreement, Difference, agreement, cohen_kappa
from sciml_lib.regimes.bootstrap import Bootstrap, bootstrap
from sciml_lib.regimes.boundaries import Boundary, extract, nominal, to_coefficient
from sciml_lib.regimes.improvement import improvement
from sciml_lib.regimes.labels import REGIMES, Regime, by_status, label, seed_mean, shares
from sciml_lib.regimes.maps import RegimeMap, map_of
from sciml_lib.regimes.names import FAMILY_NAMES, STRATEGY_NAMES
from sciml_lib.regimes.thresholds import FACTORS, Thresholds

__all__ = [
    "FACTORS",
    "FAMILY_NAMES",
    "REGIMES",
    "STRATEGY_NAMES",
    "Agreement",
    "Bootstrap",
    "Boundary",
    "Difference",
    "Regime",
    "RegimeMap",
    "Thresholds",
    "agreement",
    "bootstrap",
    "by_status",
    "cohen_kappa",
    "extract",
    "improvement",
    "label",
    "map_of",
    "nominal",
    "published",
    "seed_mean",
    "shares",
    "thresholds",
    "to_coefficient",
]
