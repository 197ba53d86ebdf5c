"""Where "low" ends: the thresholds of Table 5, a rule for panels without a row, and their perturbations."""

from __future__ import annotations

import csv
import dataclasses
import functools
from importlib import resources

import numpy as np
from numpy.typing import ArrayLike

from sciml_lib.errors import UserError
from sciml_lib.regimes import _checks
from sciml_lib.regimes.names import FAMILY_NAMES, STRATEGY_NAMES, slug, strategy_of

FACTORS = (0.8, 0.9, 1.0, 1.1, 1.2)
"""The five perturbations of a threshold: +-20 % as the paper says, five curves as Fig. 1 draws."""

RELATIVE_LEVEL = 0.3
"""Height of the relative threshold between the 5th and 95th percentile of a map (ours, see `relative`)."""

TABLE_5 = "Table 5 of the paper"
"""How the origin of thresholds from that table begins."""


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """The two numbers that turn a pair of maps into regimes.

    A value is *low* if it is at most the threshold and *high* if it is above.

    Attributes:
        train: threshold of the training loss, in the units of the map.
        test: threshold of the test error, in the units of the map.
        origin: where the two numbers are from, for the reader; figures print it unless it is Table 5 of the paper.
        train_floor: bottom of the training map's colour scale, from which `perturbed` measures; see
            `anchored`.
        test_floor: the same for the test map.
    """

    train: float
    test: float
    origin: str
    train_floor: float = 0.0
    test_floor: float = 0.0

    @classmethod
    def of(cls, *, train: float, test: float, origin: str = "chosen by the author of this map") -> Thresholds:
        """Thresholds of one's own: ``Thresholds.of(train=1e-3, test=0.05)``.

        Args:
            train: the largest training loss that counts as low.
            test: the largest test error that counts as low.
            origin: why these two, for the reader of the figure.

        Raises:
            UserError: if a number is not positive and finite.
        """
        return cls(train, test, origin)

    def __post_init__(self) -> None:
        """Refuses thresholds that no loss or error could be compared with."""
        for name in ("train", "test"):
            level, floor = getattr(self, name), getattr(self, f"{name}_floor")
            number = isinstance(level, (int, float)) and not isinstance(level, bool)
            if not (number and np.isfinite(level) and level > 0):
                raise UserError(f"the {name} threshold must be a positive number, got {level!r}")
            if not 0 <= floor < level:
                raise UserError(f"{name}_floor={floor!r} must lie between 0 and the {name} threshold {level!r}")

    @property
    def published(self) -> bool:
        """Whether they stand in Table 5 of the paper."""
        return self.origin.startswith(TABLE_5)

    @property
    def sentence(self) -> str:
        """The two numbers and where they are from, as a figure's legend says it."""
        return f"thresholds {self.train:.2g} (training loss) and {self.test:.2g} (test error): {self.origin}"

    def anchored(self, train_mean: ArrayLike, test_mean: ArrayLike) -> Thresholds:
        """Returns a copy whose floors are the 5th percentiles of these maps.

        The 5th percentile is ``v_min`` of the paper's colour scale (Eq. 22), that is, the zero of the
        normalised level whose perturbation the five curves of Fig. 1 show. Where the 5th percentile is not
        below the threshold (a panel without low cells) there is no such level and the floor is zero.

        Args:
            train_mean: training loss, any shape; NaN and infinite cells are left out.
            test_mean: test error, any shape.
        """
        floors = {}
        for name, values in (("train", train_mean), ("test", test_mean)):
            finite = np.asarray(values, dtype=float)
            finite = finite[np.isfinite(finite)]
            p5 = float(np.percentile(finite, 5)) if finite.size else 0.0
            floors[f"{name}_floor"] = p5 if 0 <= p5 < getattr(self, name) else 0.0
        return dataclasses.replace(self, **floors)

    def perturbed(self, factor: float) -> Thresholds:
        """Returns the thresholds moved by a factor: ``T(s) = v_min + s (T - v_min)``, ``v_min`` the floor.

        The paper speaks of "perturbing the percentile thresholds by +-20 %" without a formula. The curves of
        Fig. 1 tell two readings apart: in the FNO panel, whose colour scale does not begin at zero, the outer
        curves lie at 0.86-0.88 and 1.10-1.12 of the threshold, which is this formula (0.87 and 1.13), not a
        factor on the threshold itself (0.8 and 1.2) and not one on its rank among the cells (0.84 to 1.46).

        Args:
            factor: ``s``, positive; see `FACTORS`.

        Raises:
            UserError: the factor is not a positive number.
        """
        if not (np.isfinite(factor) and factor > 0):
            raise UserError(f"factor must be a positive number such as 0.8 or 1.2, got {factor!r}")
        moved = {
            name: getattr(self, f"{name}_floor") + factor * (getattr(self, name) - getattr(self, f"{name}_floor"))
            for name in ("train", "test")
        }
        return dataclasses.replace(self, **moved)


@functools.cache
def table5() -> dict[str, tuple[float, float]]:
    """Returns Table 5 of the paper, panel id (``"pinn/convection/lbfgs"``) to ``(T_train, T_test)``."""
    return {panel: (float(row["T_train"]), float(row["T_test"])) for panel, row in _rows().items()}


@functools.cache
def _rows() -> dict[str, dict[str, str]]:
    """The rows of Table 5 as they are printed, by panel id."""
    text = resources.files("sciml_lib.regimes").joinpath("data/table5_thresholds.csv").read_text(encoding="utf-8")
    families, strategies = ({title: name for name, title in names.items()} for names in (FAMILY_NAMES, STRATEGY_NAMES))
    return {
        f"{families[row['model']]}/{slug(row['system'])}/{strategies[row['strategy']]}": row
        for row in csv.DictReader(text.splitlines())
    }


def of_panel(sweep_id: str) -> Thresholds:
    """Returns the thresholds that Table 5 gives for a sweep.

    A variant uses the row of the strategy it varies: ``pinn/convection/lbfgs-literal`` and
    ``pinn/convection/warmup-2000`` are judged by the L-BFGS row, so that their maps can be compared; the
    origin says so.

    Args:
        sweep_id: ``family/system/variant``, as in the catalog of sweeps.

    Raises:
        UserError: the id is malformed, or the table has no row for it.
    """
    found = _row_of(sweep_id)
    if found is None:
        raise UserError(
            f"{TABLE_5} has no row for {sweep_id}; choose thresholds with Thresholds.of(train=..., test=...), or take "
            "those of thresholds.relative(train_mean, test_mean)"
        )
    return found


def for_maps(sweep_id: str, train_mean: ArrayLike, test_mean: ArrayLike) -> Thresholds:
    """Returns the row of Table 5 for a sweep, or thresholds that follow from its maps where it has none.

    Args:
        sweep_id: ``family/system/variant``; the system may be one's own.
        train_mean: training loss, ``[n_coefficient, n_data]``; see :func:`relative`.
        test_mean: test error, same shape.

    Raises:
        UserError: the id is malformed, or nothing follows from the maps.
    """
    return _row_of(sweep_id) or relative(train_mean, test_mean)


def _row_of(sweep_id: str) -> Thresholds | None:
    parts = str(sweep_id).lower().replace("_", "-").split("/")
    if len(parts) != 3 or not all(parts):
        raise UserError(f"{sweep_id!r} is not the id of a sweep; write family/system/variant, such as pinn/convection/lbfgs")
    family, system, variant = parts
    strategy = strategy_of(variant)
    row = _rows().get(f"{family}/{system}/{strategy}")
    if row is None:
        return None
    note = "" if variant == strategy else f"; the variant {variant} is judged by the row of its base strategy"
    origin = f"{TABLE_5}, row {row['model']}, {row['system']}, {row['strategy']}{note}"
    return Thresholds(float(row["T_train"]), float(row["T_test"]), origin=origin)


def relative(train_mean: ArrayLike, test_mean: ArrayLike) -> Thresholds:
    """Returns thresholds for a panel without a row in Table 5: 0.3 of the way from p5 to p95 of its maps.

    This rule is ours. The paper gives none, and no single one reproduces its table: expressed as a level
    between the 5th and 95th percentile, the rows of the panels that can be read from Fig. 1 range from 0.19
    to 0.41. The rows of the PINN and the FNO agree best (0.29/0.30 and 0.31/0.32 for training/test), and 0.3
    is their common value. The level sits on the scale that the colours of the maps use (Eq. 22), so the
    threshold is the same shade in every map. It depends on the grid: other cells give other thresholds, so give
    thresholds of your own (:meth:`Thresholds.of`) where you know which error is good enough.

    Args:
        train_mean: training loss, ``[n_coefficient, n_data]``; NaN and infinite cells are left out.
        test_mean: test error, same shape.

    Raises:
        UserError: the shapes differ, or a map has no finite value or no variation.
    """
    train_mean, test_mean = np.asarray(train_mean, dtype=float), np.asarray(test_mean, dtype=float)
    _checks.same_shape(train_mean, test_mean)
    levels = []
    for name, values in (("training", train_mean), ("test", test_mean)):
        finite = values[np.isfinite(values)]
        if finite.size == 0 or finite.min() == finite.max():
            raise UserError(
                f"the {name} map has no two different finite values: a relative threshold needs a varying map; "
                "choose thresholds with Thresholds.of(train=..., test=...)"
            )
        low, high = np.percentile(finite, [5, 95])
        levels.append(float(low + RELATIVE_LEVEL * (high - low)))
    origin = f"rule of this project: {RELATIVE_LEVEL:g} of the way from the 5th to the 95th percentile of each map"
    return Thresholds(*levels, origin=origin)
