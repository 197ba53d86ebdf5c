"""How far a map agrees with a published one, over the cells that can be read."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sciml_lib.errors import UserError
from sciml_lib.regimes import _checks
from sciml_lib.regimes.labels import Regime


@dataclasses.dataclass(frozen=True)
class Difference:
    """A cell whose two labels differ.

    Attributes:
        coefficient: its coefficient.
        n_data: its amount of data.
        ours: our label.
        published: the published one.
        uncertain: whether the published label could be another within the accuracy of the digitisation.
    """

    coefficient: float
    n_data: float
    ours: Regime
    published: Regime
    uncertain: bool


@dataclasses.dataclass(frozen=True)
class Agreement:
    """Two label maps compared, cell by cell.

    Attributes:
        n: cells compared: common to both grids, computed by us, legible in the published map.
        n_uncertain: those among them whose published label is uncertain.
        n_illegible: common cells left out because the published label cannot be read.
        n_missing: common legible cells left out because we have not computed them.
        share_equal: share of equal labels among the ``n`` cells, NaN if ``n`` is 0.
        share_equal_certain: the same without the uncertain cells.
        kappa: Cohen's kappa, the agreement beyond what the two sets of label frequencies would give by
            chance; NaN if both maps show one and the same label only, where chance agreement is complete and
            kappa is not defined.
        confusion: number of cells ``[3, 3]``, rows our label I, II, III, columns the published one.
        differing: the cells whose labels differ.
    """

    n: int
    n_uncertain: int
    n_illegible: int
    n_missing: int
    share_equal: float
    share_equal_certain: float
    kappa: float
    confusion: NDArray
    differing: tuple[Difference, ...]

    @property
    def sentence(self) -> str:
        """The comparison in one sentence for a reader."""
        if self.n == 0:
            return "No cell of the two maps can be compared."
        kappa = "not defined, both maps show one label only" if math.isnan(self.kappa) else f"{self.kappa:.2f}"
        equal = round(self.share_equal * self.n)
        return (
            f"{equal} of {self.n} comparable cells have the published label ({self.share_equal:.0%}; "
            f"Cohen's kappa {kappa}); {self.n_uncertain} of the {self.n} lie within the reading accuracy of a "
            f"threshold, and {self.n_illegible} more cannot be read."
        )


def agreement(
    ours: xr.DataArray, published: xr.DataArray, legible: xr.DataArray, uncertain: xr.DataArray | None = None
) -> Agreement:
    """Compares two label maps on the cells that both grids have, matched by the values of their coordinates.

    Args:
        ours: our labels 0 to 3 with the coordinates ``coefficient`` and ``n_data``.
        published: published labels with these coordinates; their grid may be another.
        legible: which published labels can be read, on the published grid.
        uncertain: which of them could be another within the accuracy, on the published grid; none if not
            given.

    Raises:
        UserError: an argument has no such coordinates, they do not increase, or the two grids share no cell.
    """
    for name, values in (("ours", ours), ("published", published)):
        if not isinstance(values, xr.DataArray) or not {"coefficient", "n_data"} <= set(values.coords):
            raise UserError(f"{name} must be a DataArray with the coordinates coefficient and n_data, as sciml_lib.load gives")
    index = [_match(ours, published, axis) for axis in ("coefficient", "n_data")]

    def common(values: xr.DataArray, which: int) -> NDArray:
        return values.transpose("coefficient", "n_data").values[np.ix_(*(pairs[which] for pairs in index))]

    mine, theirs, readable = common(ours, 0), common(published, 1), common(legible, 1).astype(bool)
    doubtful = common(uncertain, 1).astype(bool) if uncertain is not None else np.zeros(mine.shape, dtype=bool)
    readable &= theirs != Regime.MISSING
    compared = readable & (mine != Regime.MISSING)
    confusion = np.zeros((3, 3), dtype=int)
    np.add.at(confusion, (mine[compared] - 1, theirs[compared] - 1), 1)
    certain = compared & ~doubtful
    coefficient = ours["coefficient"].values[index[0][0]]
    n_data = ours["n_data"].values[index[1][0]]
    differing = tuple(
        Difference(
            coefficient[i].item(),
            n_data[j].item(),
            Regime(mine[i, j]),
            Regime(theirs[i, j]),
            bool(doubtful[i, j]),
        )
        for i, j in np.argwhere(compared & (mine != theirs))
    )
    return Agreement(
        n=int(compared.sum()),
        n_uncertain=int((compared & doubtful).sum()),
        n_illegible=int((~readable).sum()),
        n_missing=int((readable & ~compared).sum()),
        share_equal=_share(mine == theirs, compared),
        share_equal_certain=_share(mine == theirs, certain),
        kappa=cohen_kappa(confusion),
        confusion=confusion,
        differing=differing,
    )


def cohen_kappa(confusion: NDArray) -> float:
    """Returns Cohen's kappa ``(p_o - p_e) / (1 - p_e)`` of a table of counts; NaN if empty or ``p_e`` is 1."""
    total = confusion.sum()
    # Chance agreement in whole numbers, so that "complete" is exact.
    chance = int(np.dot(confusion.sum(axis=0), confusion.sum(axis=1)))
    if total == 0 or chance == total**2:
        return math.nan
    return float((np.trace(confusion) * total - chance) / (total**2 - chance))


def _share(equal: NDArray, among: NDArray) -> float:
    return float(equal[among].mean()) if among.any() else math.nan


def _match(ours: xr.DataArray, published: xr.DataArray, axis: str) -> tuple[list[int], list[int]]:
    """Positions of the values that two axes share, equal to one part in a million."""
    mine, theirs = (_checks.increasing(axis, values[axis].values) for values in (ours, published))
    same = np.isclose(mine[:, None], theirs[None, :], rtol=1e-6, atol=0)
    pairs = np.argwhere(same)
    if pairs.size == 0:
        raise UserError(f"the two maps share no {axis}: ours are {_listed(mine)}, the published are {_listed(theirs)}")
    return pairs[:, 0].tolist(), pairs[:, 1].tolist()


def _listed(values: NDArray) -> str:
    return ", ".join(f"{value:g}" for value in values)
