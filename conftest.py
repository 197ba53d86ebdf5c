"""What every test needs: the repository on the path of the kernels that notebooks start, and few threads."""

import os
from pathlib import Path

import pytest

from sciml_lib import notebooks

ROOT = Path(__file__).resolve().parent

notebooks.set_environment(notebooks.environment())  # the kernels of nbval leave no trace and read nobody's settings
os.environ.pop("SCIML_RUNS", None)  # the committed chapters are those of the repository's own runs
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
os.environ["TQDM_DISABLE"] = "1"  # as in the committed chapters: a progress bar never prints the same twice
os.environ.setdefault("MPLBACKEND", "agg")


@pytest.fixture(scope="session")
def smoke_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder of runs that all chapters and commands of one test session share."""
    return tmp_path_factory.mktemp("runs")
