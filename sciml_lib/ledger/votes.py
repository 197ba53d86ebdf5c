"""How runs decide a claim: cell by cell, by most of the seeds of a cell, and by several readings that have to agree."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sciml_lib.ledger.contract import Reading, Scope

# Criteria of ours, fixed before the runs that they judge.
AGREED = 0.75
"""A cell says what so large a share of its seeds says: all of two or three, four of five. Else it is undecided."""

FEWEST_SIGNS = 5
"""Of fewer cells not even all on one side are more than chance, by :func:`signs`."""


class Vote(NamedTuple):
    """What some runs say of a claim: the part of a :class:`~sciml_lib.ledger.Reading` that follows from them alone."""

    right: bool | None
    clear: bool
    units: int = 0

    def reading(self, found: str, scope: Scope, **options: Any) -> Reading:
        """The reading, with what was found in words."""
        return Reading(found, self.right, scope, units=self.units, clear=self.clear, **options)


def in_every_cell(yes: pd.Series, no: pd.Series | None = None) -> Vote:
    """Whether something is so in every cell.

    Args:
        yes: whether it is so in a run, indexed by the cell and the ``seed``.
        no: whether it is not so; by default where ``yes`` is not. Both can be false of a run that leaves it open.

    Returns:
        Right if every cell says so, and wrong if one says the opposite; it rests on those cells. Without either it is not
        clear, or, where single runs leave it open, it cannot be decided.
    """
    cell = [level for level in yes.index.names if level != "seed"]
    so, not_so = (part.groupby(level=cell).mean() for part in (yes, ~yes if no is None else no))
    against = not_so >= AGREED
    if against.any():
        return Vote(False, True, int(against.sum()))
    if so.empty or (no is not None and not (yes | no).all()):
        return Vote(None, False, len(so))
    return Vote(bool((so > 0.5).all()), bool((so >= AGREED).all()), len(so))


def agreed(*votes: Vote) -> Vote:
    """What several readings of one claim say together; if they disagree it cannot be decided."""
    rights = {vote.right for vote in votes}
    right = rights.pop() if len(rights) == 1 else None
    return Vote(right, all(vote.clear for vote in votes), min(vote.units for vote in votes))


def signs(differences: pd.Series) -> Vote:
    """Whether most of some differences are positive, and whether by more than chance.

    By chance half of them are, give or take ``sqrt(n) / 2``; twice that is allowed for it. A difference of zero counts half.
    """
    known = differences.dropna()
    n, positive = len(known), float((known > 0).sum() + 0.5 * (known == 0).sum())
    return Vote(positive > n / 2, abs(positive - n / 2) > np.sqrt(n), n)
