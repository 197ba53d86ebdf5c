"""Pages are read and written by as many processes as there are processors: the builder has no option for that."""

from __future__ import annotations

import os
from typing import Any

SILENT = ("sphinx_multitoc_numbering", "sphinx_jupyterbook_latex")
"""Parts of the builder that do not say whether they bear it. The first numbers the chapters when all of them have been read, in
the first process; the second has to do with LaTeX only."""


def setup(app: Any) -> dict[str, bool]:
    """Tells Sphinx how many it may start."""
    app.parallel = os.cpu_count() or 1
    app.connect("config-inited", _declare)
    app.connect("env-updated", _forget_unused)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _declare(app: Any, config: Any) -> None:
    for name in set(SILENT) & set(app.extensions):
        app.extensions[name].parallel_read_safe = True


def _forget_unused(app: Any, env: Any) -> None:
    """Modules of which no page shows anything get no listing; a process that reads alone would have forgotten them, too."""
    modules = getattr(env, "_viewcode_modules", {})
    for name in [
        name for name, entry in modules.items() if not entry or not entry[2]
    ]:
        del modules[name]
