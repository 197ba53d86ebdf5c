"""Sweeps of one's own for the command line: modules that define some, named by ``--plugin`` or installed."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType

from sciml_lib.errors import UserError
from sciml_lib.sweeps import catalog
from sciml_lib.sweeps.spec import Sweep

GROUP = "sciml_lib.sweeps"
"""Entry points of this group name modules whose sweeps are always known where their package is installed."""

_LOADED: dict[str, str] = {}  # id of a sweep: the plugin that it is from, as it was typed; empty if it is installed


def load(name: str) -> list[Sweep]:
    """Imports a module and registers every sweep that it defines at its top level.

    Args:
        name: a module such as ``my_sweeps``, looked for in the present folder too, or a file such as ``my_sweeps.py``.

    Returns:
        The sweeps.

    Raises:
        UserError: if it cannot be imported, or defines no sweep.
    """
    try:
        found = _sweeps(_imported(name))
        if not found:
            raise UserError("the module defines no sweep; put one at its top level, such as MINE = Sweep(...)")
        catalog.register(*found)
    except UserError as error:
        raise UserError(f"--plugin {name}: {error}") from error.__cause__
    _LOADED.update({sweep.id: name for sweep in found})
    return found


def load_installed() -> None:
    """Registers the sweeps of all installed packages that offer some by an entry point.

    Raises:
        UserError: if one cannot be imported.
    """
    for entry in metadata.entry_points(group=GROUP):
        try:
            module = entry.load()
        except Exception as error:  # whatever somebody else's package raises
            raise UserError(
                f"the package that offers the sweeps {entry.value} cannot be imported ({_in_a_line(error)}); mend or "
                "uninstall it"
            ) from error
        for sweep in _sweeps(module):
            _LOADED.setdefault(catalog.register(sweep).id, "")


def origin(sweep: Sweep) -> str | None:
    """The plugin that a sweep is from, ``""`` if none has to be named, None if the command line cannot know it."""
    if catalog.SWEEPS.get(sweep.id) is sweep:
        return ""
    return _LOADED.get(sweep.id)


def _sweeps(module: ModuleType) -> list[Sweep]:
    """The sweeps among a module's attributes, and in its lists and tuples."""
    found: list[Sweep] = []
    for value in vars(module).values():
        found += [one for one in (value if isinstance(value, list | tuple) else [value]) if isinstance(one, Sweep)]
    mine = [one for one in found if catalog.SWEEPS.get(one.id) is not one]  # imported ones are not its own
    return list({id(one): one for one in mine}.values())


def _imported(name: str) -> ModuleType:
    path = Path(name)
    try:
        if path.suffix == ".py":
            return _from_file(path.resolve())
        if "" not in sys.path and str(Path.cwd()) not in sys.path:
            sys.path.insert(0, str(Path.cwd()))
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise UserError(f"it needs the package {error.name}, which is not installed") from error
        raise UserError(f"there is no such module here; give one in {Path.cwd()}, an installed one, or a .py file") from None
    except UserError:
        raise
    except (Exception, SystemExit) as error:  # whatever somebody else's code raises
        raise UserError(f"it cannot be imported ({_in_a_line(error)}); mend it first") from error


def _in_a_line(error: BaseException) -> str:
    """The kind of an exception and what it says, however many lines that takes."""
    return ": ".join(filter(None, (type(error).__name__, " ".join(str(error).split()))))


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise UserError("there is no such file; give the path of a Python file that defines sweeps")
    if path.stem in sys.modules and Path(getattr(sys.modules[path.stem], "__file__", None) or "") == path:
        return sys.modules[path.stem]
    found = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(found)
    sys.modules[path.stem] = module  # dataclasses and fingerprints look their module up
    try:
        sys.path.insert(0, str(path.parent))  # it may import its neighbours
        found.loader.exec_module(module)
    except BaseException:
        del sys.modules[path.stem]
        raise
    return module
