"""The physics: one file a system, and the table of their names."""

from sciml_lib.errors import unknown
from sciml_lib.systems.advection_diffusion import AdvectionDiffusion2D
from sciml_lib.systems.base import Block, SpaceTimeSystem, System
from sciml_lib.systems.convection import Convection
from sciml_lib.systems.dynamics import Dynamics, Representation
from sciml_lib.systems.lattice_flow import LatticeFlow
from sciml_lib.systems.operator_data import OperatorData
from sciml_lib.systems.operators import AdvectionDiffusion, OperatorSystem, Poisson
from sciml_lib.systems.pendulum import Pendulum
from sciml_lib.systems.poisson import Poisson2D
from sciml_lib.systems.reaction import Reaction
from sciml_lib.systems.reaction_diffusion import ReactionDiffusion
from sciml_lib.systems.wave import Wave

SYSTEMS: dict[str, type[System]] = {system.name: system for system in (Convection, Reaction, Wave, ReactionDiffusion, Pendulum)}


def get(system: str | System) -> System:
    """Returns the system of that name with the paper's constants; a system is given back as it is.

    Raises:
        UserError: if there is none.
    """
    if isinstance(system, System):
        return system
    if not isinstance(system, str) or system not in SYSTEMS:
        raise unknown("system", system, SYSTEMS)
    return SYSTEMS[system]()


__all__ = [
    "SYSTEMS",
    "AdvectionDiffusion",
    "AdvectionDiffusion2D",
    "Block",
    "Convection",
    "Dynamics",
    "LatticeFlow",
    "OperatorData",
    "OperatorSystem",
    "Pendulum",
    "Poisson",
    "Poisson2D",
    "Reaction",
    "ReactionDiffusion",
    "Representation",
    "SpaceTimeSystem",
    "System",
    "Wave",
    "get",
]
