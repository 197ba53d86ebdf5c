"""What a physical system is to the rest of the library."""

from __future__ import annotations

import copy
import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from hashlib import sha256
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from sciml_lib.checks import whole
from sciml_lib.errors import UserError

Jet = Mapping[str, Tensor]
"""A block's values by name: ``"u"`` and the derivatives the system asked for (``"x"``, ``"t"``, ``"xx"`` ...), ``[M, n]``."""

DERIVATIVES = ("x", "xx", "t", "tt")
"""The derivatives that a network's jet can carry; there are no mixed ones and none of third order."""

_WORDS = frozenset(
    {
        *("name", "title", "axis_labels", "state_labels", "time_label", "data_label"),
        *("coefficient_name", "coefficient_label", "coefficient_words", "coefficient_range"),
        "representations",  # functions; the setup's recipe says which one is used
    }
)
"""Public attributes of a system that are no constants of its equation."""


@dataclass(frozen=True)
class Block:
    """Points at which one part of the problem is posed.

    Attributes:
        points: coordinates (x, t), ``[n, 2]``, float64.
        derivatives: which derivatives the system needs there beside the value: ``"x"``, ``"xx"``, ``"t"``, ``"tt"``.

    Raises:
        UserError: if the points are no coordinates, or a network's jet does not carry such a derivative.
    """

    points: Tensor
    derivatives: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Checks both."""
        if isinstance(self.derivatives, str):
            raise UserError(
                f"derivatives={self.derivatives!r} is one text; give a tuple of them, such as ({self.derivatives!r},)"
            )
        for name in self.derivatives:
            if name not in DERIVATIVES:
                raise UserError(
                    f"derivatives: {name!r} is not available to a block; choose among {', '.join(map(repr, DERIVATIVES))} "
                    "(the value itself is always there)"
                )
        if not isinstance(self.points, Tensor) or self.points.ndim != 2 or self.points.shape[1] != 2:
            found = list(self.points.shape) if isinstance(self.points, Tensor) else type(self.points).__name__
            raise UserError(f"points={found} are not coordinates of a block; give a tensor [n, 2] of (x, t)")


class System(ABC):
    """An equation with one coefficient: what every kind of physics has in common.

    A system carries the words for itself and the constants of its equation. The constants are its public attributes
    that are plain data, wherever they stand: fields of a frozen dataclass, attributes of the class, or attributes that
    an ``__init__`` of your own sets. All of them are part of :attr:`recipe`, and so of the hash of every run. A plain
    subclass without an ``__init__`` takes each of its constants by keyword::

        class Burgers(SpaceTimeSystem):
            name, coefficient_name, coefficient_range = "burgers", "1/nu", (0.0, math.inf)
            x_range = (-1.0, 1.0)
            height = 1.0
            ...

        Burgers(height=2.0)

    Two systems are equal if they are of one class and have the same recipe.
    """

    name: ClassVar[str]
    """The name by which the library knows it, also as a part of file names: ``"reaction-diffusion"``."""
    title: ClassVar[str]
    """Its name as a reader sees it, the paper's (Table 5) where it is one of the paper; by default made of :attr:`name`."""
    coefficient_name: ClassVar[str]
    """The coefficient as one types it: ``"beta"``."""
    coefficient_label: ClassVar[str]
    """The coefficient as one prints it: ``"β"``; by default :attr:`coefficient_name`."""
    coefficient_words: ClassVar[str]
    """What the coefficient is; by default "the convection coefficient", with the system's own name."""
    coefficient_range: ClassVar[tuple[float, float]]
    """Open interval of coefficients for which the equation makes sense."""
    data_label: ClassVar[str]
    """What an amount of data counts, as the text of an axis: its symbol, a comma, its words."""

    def __init_subclass__(cls, **options: Any) -> None:
        """Fills in the words that follow from others, and lets a class give a field of its base another default."""
        super().__init_subclass__(**options)
        own = vars(cls)
        if "name" in own:
            for word, text in {"title": cls.name.title(), "coefficient_words": f"the {cls.name} coefficient"}.items():
                if word not in own:
                    setattr(cls, word, text)
        if "coefficient_name" in own and "coefficient_label" not in own:
            cls.coefficient_label = cls.coefficient_name
        # The ``__init__`` that a dataclass generates would set the default of the base.
        maker = next(base for base in cls.__mro__ if "__init__" in vars(base))
        written = maker is not System and maker.__init__ is not System.__init__ and "__dataclass_params__" not in vars(maker)
        inherited = fields(cls) if is_dataclass(cls) else ()
        if not written and any(getattr(cls, one.name, MISSING) is not one.default for one in inherited):
            cls.__init__ = System.__init__

    def __init__(self, **constants: Any) -> None:
        """Sets constants by name; all others are those of the class.

        Raises:
            UserError: if there is no such constant, or its value is impossible.
        """
        known = {**self._constants(), **({one.name: one for one in fields(self)} if is_dataclass(self) else {})}
        for name, value in constants.items():
            if name not in known:
                raise UserError(
                    f"{type(self).__name__} has no constant {name!r}; it has {', '.join(known) or 'none'}, each with a default"
                )
            object.__setattr__(self, name, value)
        for name in known:
            if not hasattr(self, name):
                raise UserError(f"{type(self).__name__} needs a value for its constant {name}; give it by keyword")
        self.__post_init__()

    def __post_init__(self) -> None:  # noqa: B027 (there may be nothing to check)
        """Checks the constants; a subclass that adds some extends it.

        Raises:
            UserError: if one is impossible.
        """

    def __eq__(self, other: object) -> bool:
        """Whether both are of one class with the same constants."""
        return type(other) is type(self) and repr(other.recipe) == repr(self.recipe)

    def __hash__(self) -> int:
        """A number that equal systems share."""
        return hash((type(self), repr(self.recipe)))

    def __repr__(self) -> str:
        """The class with its constants, as one types them."""
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._constants().items())})"

    @property
    def recipe(self) -> dict[str, object]:
        """Its name and all constants as plain data: what a run's numbers depend on.

        Tuples are lists; an array or a tensor is its shape and the SHA-256 of its numbers.

        Raises:
            UserError: if an attribute of the object cannot be written down.
        """
        return {"name": self.name, **{name: _plain(value) for name, value in self._constants().items()}}

    @property
    def data_symbol(self) -> str:
        """The symbol of an amount of data, such as ``$N_f$``."""
        return self.data_label.split(",")[0].strip()

    @property
    def data_words(self) -> str:
        """What an amount of data counts, such as ``collocation points``; ``data`` where its label has a symbol alone."""
        return self.data_label.partition(",")[2].strip() or "data"

    def _constants(self) -> dict[str, Any]:
        """The public attributes that are plain data, by name."""
        found = {}
        held = vars(self)
        for name in sorted({*dir(type(self)), *held}):
            described = inspect.getattr_static(type(self), name, None)
            if name.startswith("_") or name in _WORDS or hasattr(described, "__get__"):
                continue
            value = getattr(self, name)
            if name in held or _is_plain(value):
                found[name] = value
        return found

    def check_coefficient(self, coefficient: float) -> None:
        """Refuses a coefficient outside :attr:`coefficient_range`.

        Raises:
            UserError: names the coefficient, what was got and the valid range.
        """
        low, high = self.coefficient_range
        if not is_number(coefficient):
            raise UserError(f"{self.coefficient_name}={coefficient!r} is not a number; choose one between {low:g} and {high:g}")
        if not low < coefficient < high:
            wanted = f"above {low:g}" if np.isinf(high) else f"between {low:g} and {high:g}"
            raise UserError(
                f"{self.coefficient_name}={coefficient:g} is no coefficient of the {self.name} equation; choose one {wanted}"
            )

    @abstractmethod
    def check_n_data(self, n: int) -> None:
        """Refuses an amount of data that the system cannot give.

        Raises:
            UserError: says which amounts are possible.
        """


@dataclass(frozen=True, init=False, eq=False, repr=False, kw_only=True)
class SpaceTimeSystem(System):
    """An equation on a rectangle of (x, t), its conditions and its reference solution.

    The point sets are those of the released code: a master grid of 257 x 101 points with both ends included; residual
    points drawn without replacement from its interior (t = 0 excluded, t = 1 included, so 25,500 of them); the
    initial and boundary conditions on all grid points; the test error on a 129 x 101 grid.

    To add an equation, write a subclass with ``name``, ``coefficient_name``, ``coefficient_range``, ``x_range`` and the
    three abstract methods below; all other words and numbers have defaults. See :class:`System` for its constants.

    Attributes:
        grid: points of the master grid along x and t.
        test_grid: points of the grid of the test error.
        whole_grid: see :meth:`on_grid`.

    Raises:
        UserError: if a grid has no points inside.
    """

    data_label: ClassVar[str] = "$N_f$, collocation points"
    axis_labels: ClassVar[tuple[str, str]] = ("x", "t")
    """Letters of the two coordinates, as figures print them; ``("x", "y")`` for an equation without time."""
    x_range: ClassVar[tuple[float, float]]
    t_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    grid: tuple[int, int] = (257, 101)
    test_grid: tuple[int, int] = (129, 101)
    whole_grid: bool = False

    def __post_init__(self) -> None:
        """Checks the grids."""
        super().__post_init__()
        for name in ("grid", "test_grid"):
            value = getattr(self, name)
            whole = isinstance(value, Sequence) and len(value) == 2 and all(type(n) is int for n in value)
            if not whole or min(value) < (2 if self.whole_grid else 3):
                raise UserError(f"{name}={value!r} is not a grid; give two whole numbers of at least 3, such as (257, 101)")

    @property
    def max_collocation(self) -> int:
        """How many residual points the master grid holds."""
        n_x, n_t = self.grid
        return n_x * n_t if self.whole_grid else (n_x - 2) * (n_t - 1)

    def on_grid(self, n: int) -> Self:
        """The same system on a tensor grid of n x n points, for training and test alike.

        This is how the released RoPINN code poses its problems: all points of the grid, ends and initial line
        included, are residual points; conditions are asked for at n points; and the error is measured at the very
        points that were trained on.

        Args:
            n: points along each axis; at least 2.

        Raises:
            UserError: if ``n`` is below 2.
        """
        if n < 2:
            raise UserError(f"a tensor grid needs at least 2 x 2 points, not {n} x {n}; choose n_data of at least 3")
        other = copy.copy(self)
        for name, value in {"grid": (n, n), "test_grid": (n, n), "whole_grid": True}.items():
            object.__setattr__(other, name, value)
        return other

    def check_n_data(self, n: int) -> None:
        """Refuses a number of residual points that the master grid does not have.

        Raises:
            UserError: says which numbers are possible.
        """
        most, (n_x, n_t) = self.max_collocation, self.grid
        if whole("n_data", n) < 1:
            raise UserError(f"n_data={n} leaves no residual point to train on; choose between 1 and {most}")
        if n > most:
            raise UserError(f"n_data={n} exceeds the {most} points of the {n_x} x {n_t} grid; choose between 1 and {most}")

    def axes(self, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """The coordinates of a grid's columns ``[n_x]`` and rows ``[n_t]``, ends included."""
        x = torch.linspace(*self.x_range, grid[0], dtype=torch.float64)
        t = torch.linspace(*self.t_range, grid[1], dtype=torch.float64)
        return x, t

    def edges(self) -> dict[str, Tensor]:
        """Points of the master grid on the initial line ``[n_x, 2]`` and on both ends ``[n_t, 2]``, corners included."""
        x, t = self.axes(self.grid)
        low, high = self.x_range
        return {
            "initial": torch.stack([x, torch.full_like(x, self.t_range[0])], dim=1),
            "upper": torch.stack([torch.full_like(t, high), t], dim=1),
            "lower": torch.stack([torch.full_like(t, low), t], dim=1),
        }

    def collocation(self, n: int, data_seed: int | Sequence[int] = 0) -> Tensor:
        """Draws residual points from the interior of the master grid, without replacement.

        A draw is the beginning of one seeded permutation of the 25,500 points (x running fastest), so with one seed
        a smaller set is part of every larger one, and no set depends on the coefficient.

        On a tensor grid (:meth:`on_grid`) the points are always all there are, whatever ``n``.

        Args:
            n: number of points.
            data_seed: seed of the permutation; a sequence of integers is one seed, too.

        Returns:
            Coordinates ``[n, 2]``, float64.

        Raises:
            UserError: if ``n`` is not between 1 and the number of points there are.
        """
        x, t = self.axes(self.grid)
        if self.whole_grid:
            return _mesh(x, t)
        self.check_n_data(n)
        pool = _mesh(x[1:-1], t[1:])
        drawn = np.random.RandomState(data_seed).permutation(len(pool))[:n]
        return pool[torch.from_numpy(drawn)]

    def test_points(self) -> Tensor:
        """The points of the test error, ``[13031, 2]``: interior, initial line, upper and lower boundary.

        Corners occur twice, as in the released code; the relative error is taken over this stacked vector. On a
        tensor grid (:meth:`on_grid`) it is every point once.
        """
        x, t = self.axes(self.test_grid)
        if self.whole_grid:
            return _mesh(x, t)
        return torch.cat(
            [
                _mesh(x[1:-1], t[1:]),
                _mesh(x, t[:1]),
                _mesh(x[-1:], t),
                _mesh(x[:1], t),
            ]
        )

    @abstractmethod
    def blocks(self, n: int, data_seed: int | Sequence[int] = 0) -> dict[str, Block]:
        """The point sets of training: ``"residual"``, with ``n`` points, and all conditions.

        Derivatives that a block asks for are carried at the blocks before it, too, so those that ask for much come
        first; ``"residual"`` is always the first.
        """

    @abstractmethod
    def residuals(self, jets: Mapping[str, Jet], points: Mapping[str, Tensor], coefficient: Tensor) -> dict[str, Tensor]:
        """The residuals whose mean squares are the loss.

        Args:
            jets: the network's jet at every block.
            points: the blocks' coordinates, ``[n, 2]``, or ``[M, n, 2]`` where members have their own.
            coefficient: ``[M, 1]``.

        Returns:
            ``{name: [M, n]}``; the loss is the unweighted sum of their mean squares.
        """

    @abstractmethod
    def solution(self, points: Tensor, coefficient: Tensor) -> Tensor:
        """The reference solution at ``points [n, 2]`` for ``coefficient [M, 1]``, ``[M, n]``."""


def _mesh(x: Tensor, t: Tensor) -> Tensor:
    """All pairs (x, t), ``[len(t) * len(x), 2]``, x running fastest."""
    grid_t, grid_x = torch.meshgrid(t, x, indexing="ij")
    return torch.stack([grid_x.reshape(-1), grid_t.reshape(-1)], dim=1)


def is_number(value: object) -> bool:
    """Whether a value is a real number of Python or NumPy; True and False are none."""
    return isinstance(value, Real) and not isinstance(value, bool)


def positive(system: System, *names: str) -> None:
    """Refuses constants that are no positive finite numbers, and makes floats of the others: 3 and 3.0 are one recipe.

    Raises:
        UserError: names the first that is not.
    """
    for name in names:
        value = getattr(system, name)
        if not is_number(value) or not 0 < value < math.inf:
            default = getattr(type(system), name)
            raise UserError(f"{name}={value!r} must be positive; choose a number such as {default:g}")
        object.__setattr__(system, name, float(value))


def _is_plain(value: Any) -> bool:
    """Whether a value is numbers and texts, or lists and tables of them."""
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    if isinstance(value, Mapping):
        return all(map(_is_plain, value.values()))
    return value is None or isinstance(value, (bool, int, float, str, np.generic, np.ndarray, Tensor))


def _plain(value: Any) -> Any:
    """A constant as JSON can hold it."""
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray):
        return {"shape": list(value.shape), "dtype": str(value.dtype), "sha256": sha256(value.tobytes()).hexdigest()}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise UserError(
        f"the constant {value!r} of a system cannot be written into its recipe; use numbers, texts, tuples or arrays, or give "
        "it a name that begins with _ if no result depends on it"
    )
