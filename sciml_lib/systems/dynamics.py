"""What a system of ordinary differential equations is to the rest of the library."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar, NamedTuple

import torch
from scipy.integrate import solve_ivp
from torch import Tensor

from sciml_lib.checks import whole
from sciml_lib.errors import UserError, unknown
from sciml_lib.systems.base import System, is_number


class Representation(NamedTuple):
    """How a network sees a state.

    Attributes:
        dimension: numbers that it sees.
        map: from states ``[..., d]`` to what it sees, ``[..., dimension]``.
    """

    dimension: int
    map: Callable[[Tensor], Tensor]


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Dynamics(System):
    """An autonomous equation dx/dt = F(x; coefficient), observed along one trajectory at equal steps of time.

    An amount of data is the number of observed states n, so the horizon is T = n dt; the state at T itself is not
    observed, as in the released code. The test trajectory begins elsewhere and has always the same length.

    To add an equation, write a subclass with the class attributes and :meth:`field`.

    Attributes:
        dt: time between two observed states, in the equation's unit of time; 0.05 s in the paper (appendix C).

    Raises:
        UserError: if ``dt`` is not positive, or longer than half of the test trajectory.
    """

    data_label: ClassVar[str] = "$N$, observed states"
    time_label: ClassVar[str] = "time"
    """Time as the text of an axis, with its unit."""
    state_labels: ClassVar[tuple[str, ...]] = ()
    """The components of a state as texts of axes, with their units; by default ``$x_1$``, ``$x_2$`` ..."""
    start: ClassVar[tuple[float, ...]]
    """First state of the training trajectory."""
    test_start: ClassVar[tuple[float, ...]]
    """First state of the test trajectory."""
    test_horizon: ClassVar[float]
    """Duration of the test trajectory."""
    representations: ClassVar[dict[str, Representation]] = {}
    """What a network may see instead of the state itself, which is called ``raw``."""

    dt: float = 0.05

    def __post_init__(self) -> None:
        """Checks the step of time."""
        super().__post_init__()
        if not is_number(self.dt) or not 0 < self.dt < self.test_horizon / 2:
            raise UserError(
                f"dt={self.dt} is not a step of time; choose one above 0 and below {self.test_horizon / 2:g}, such as 0.05"
            )
        object.__setattr__(self, "dt", float(self.dt))

    @property
    def dimension(self) -> int:
        """d, the number of components of a state."""
        return len(self.start)

    @property
    def n_test(self) -> int:
        """States of the test trajectory."""
        return round(self.test_horizon / self.dt)

    @property
    def component_labels(self) -> tuple[str, ...]:
        """What the d components of a state are called."""
        return self.state_labels or tuple(f"$x_{{{k + 1}}}$" for k in range(self.dimension))

    def check_n_data(self, n: int) -> None:
        """Refuses a horizon shorter than two steps.

        Raises:
            UserError: says how many states are needed.
        """
        if whole("n_data", n) < 3:
            raise UserError(
                f"n_data={n} states are a horizon of fewer than two steps of {self.dt:g}; choose at least 3, such as 20"
            )

    def representation(self, name: str) -> Representation:
        """How a network sees a state.

        Raises:
            UserError: if there is no such representation.
        """
        known = {"raw": Representation(self.dimension, lambda states: states), **self.representations}
        if name not in known:
            raise unknown("representation", name, known)
        return known[name]

    def trajectory(self, coefficient: float, n: int) -> Tensor:
        """Observed states of the training trajectory, ``[n, d]`` float64.

        Raises:
            UserError: if coefficient or number are impossible.
        """
        self.check_n_data(n)
        return self._solved(coefficient, n, self.start)

    def test_trajectory(self, coefficient: float) -> Tensor:
        """States of the test trajectory, ``[n_test, d]`` float64.

        Raises:
            UserError: if the coefficient is impossible.
        """
        return self._solved(coefficient, self.n_test, self.test_start)

    def euler_defect(self, coefficient: float, n: int) -> Tensor:
        """What forward Euler with the true field misses in each step, x(t + dt) - x(t) - dt F(x(t)), ``[n - 1, d]``."""
        states = self.trajectory(coefficient, n)
        rates = self.field(states[:-1], torch.tensor([coefficient], dtype=torch.float64))
        return states[1:] - states[:-1] - self.dt * rates

    @abstractmethod
    def field(self, states: Tensor, coefficient: Tensor) -> Tensor:
        """F, the rates of change.

        Args:
            states: ``[..., d]``.
            coefficient: of a shape that broadcasts with ``states[..., 0]``.

        Returns:
            ``[..., d]``.
        """

    def _solved(self, coefficient: float, n: int, start: tuple[float, ...]) -> Tensor:
        """SciPy's ``solve_ivp`` with all its defaults (RK45, rtol 1e-3, atol 1e-6), as paper and released code have it.

        Its last step ends at the horizon, so a short trajectory is not exactly the beginning of a longer one.
        """
        self.check_coefficient(coefficient)
        question = _Question((type(self), repr(self.recipe)), float(coefficient), n, tuple(start), self)
        return _solve(question).clone()


@dataclass(frozen=True)
class _Question:
    """A trajectory to compute; two are the same if all of their numbers are."""

    which: tuple[type, str]
    coefficient: float
    n: int
    start: tuple[float, ...]
    system: Dynamics = field(compare=False)


@lru_cache(maxsize=4096)
def _solve(question: _Question) -> Tensor:
    """The states of a trajectory, ``[n, d]``, shared by all systems with the same constants."""
    system, value = question.system, torch.tensor(question.coefficient, dtype=torch.float64)
    times = system.dt * torch.arange(question.n, dtype=torch.float64)
    found = solve_ivp(
        lambda _, state: system.field(torch.as_tensor(state), value).numpy(),
        (0.0, question.n * system.dt),
        question.start,
        t_eval=times.numpy(),
    )
    return torch.from_numpy(found.y.T.copy())
