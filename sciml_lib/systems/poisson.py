"""The Poisson equation with an anisotropic tensor (SYS-1 of the paper)."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import NDArray

from sciml_lib.systems.lattice_flow import LatticeFlow, checked_range, turned


@dataclass(frozen=True, kw_only=True)
class Poisson2D(LatticeFlow):
    """-div(K grad u) = f on the periodic unit square (SYS-1 of the paper); see :class:`LatticeFlow` for f.

    K is 0.01 times a symmetric matrix with the eigenvalues 1 and e, e uniform in a range, turned by a uniform angle, as in
    the released code.

    Attributes:
        anisotropy: range of the eigenvalue e.

    Raises:
        UserError: if a number is impossible.
    """

    name = "poisson-2d"
    version = 2

    anisotropy: tuple[float, float] = (1.0, 2.5)

    def __post_init__(self) -> None:
        """Checks the numbers."""
        super().__post_init__()
        chosen = checked_range("anisotropy", self.anisotropy, "eigenvalues", (1.0, 2.5))
        object.__setattr__(self, "anisotropy", chosen)

    def _coefficients(self, uniform: NDArray) -> dict[str, NDArray]:
        return {"tensor": turned(*self.anisotropy, uniform[:, 0], uniform[:, 1])}
