"""What is computed of trained networks beside their losses: one file a study, and the table of their names."""

from sciml_lib.errors import unknown
from sciml_lib.studies.base import Computed, Item, Results, Study, load, load_or_run, run, seconds_left, stored
from sciml_lib.studies.curves import Curves
from sciml_lib.studies.jumps import Jumps
from sciml_lib.studies.spectra import Spectra
from sciml_lib.studies.surfaces import Surfaces
from sciml_lib.studies.trajectories import Trajectories

STUDIES: dict[str, Study] = {study.id: study for study in (Spectra(), Surfaces(), Trajectories(), Curves(), Jumps())}


def get(name: str) -> Study:
    """Returns the study of that name.

    Raises:
        UserError: if there is none.
    """
    if not isinstance(name, str) or name not in STUDIES:
        raise unknown("study", name, STUDIES)
    return STUDIES[name]


__all__ = [
    "STUDIES",
    "Computed",
    "Curves",
    "Item",
    "Jumps",
    "Results",
    "Spectra",
    "Study",
    "Surfaces",
    "Trajectories",
    "get",
    "load",
    "load_or_run",
    "run",
    "seconds_left",
    "stored",
]
