"""What the driver of the chapters needs of notebook files: their sources, tidy outputs, and kernels that leave no trace.

An executed notebook that is committed holds what its source and its data determine and nothing of the machine: no
counters of tools, no progress bars, no messages about folders, no other picture for one pixel.
"""

from __future__ import annotations

import atexit
import base64
import contextlib
import functools
import hashlib
import io
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sciml_lib.errors import UserError

FORMATS = "ipynb,py:percent"
"""The two files of a chapter, as ``jupytext.toml`` says."""

SHARE_OF_PIXELS = 1e-4
"""At most this share of a picture's pixels may differ for it to count as the same; see :func:`keep_pictures`."""

LEVELS = 15
"""At most by so many of 256 levels may the mean of 5 x 5 pixels differ for a picture to count as the same."""

_PICTURES = ("image/png", "image/svg+xml")
_KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
_CELL_METADATA = ("mystnb", "tags")
_PROGRESS = re.compile(r"^.*\d+%\|.*\|.*$")
_NOISE = re.compile(
    r"Matplotlib is building the font cache"
    r"|Matplotlib created a temporary cache directory"
    r"|mkdir -p failed for path"
    r"|^Fontconfig (error|warning):"
    r"|IPython parent .* is not a writable location"
    r"|Kernel is running over TCP without encryption"
)


def read(path: Path) -> Any:
    """Returns the notebook in a file.

    Raises:
        UserError: if it cannot be read as one.
    """
    import nbformat

    try:
        return nbformat.read(path, as_version=4)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}; make it readable") from error
    except Exception as error:  # nbformat has no common class for what may be wrong with a file
        raise UserError(
            f"{path} is damaged: it is not a notebook ({type(error).__name__}); "
            "restore it, or remove it and give `make book`, which makes it anew from its .py"
        ) from error


def written(notebook: Any) -> bytes:
    """Returns the content of a notebook's file."""
    import nbformat

    return (nbformat.writes(notebook) + "\n").encode()


# --- sources -------------------------------------------------------------------------------------------------------


def sources(notebook: Any) -> list[tuple[str, str, dict[str, Any]]]:
    """Returns what a person wrote in each cell: its type, its text, and the metadata that the ``.py`` holds as well.

    The notebook goes through the text form first, so that what the ``.py`` cannot hold, such as a newline at the end of a
    cell, counts as no difference.
    """
    import jupytext

    text = jupytext.reads(jupytext.writes(notebook, fmt="py:percent"), fmt="py:percent")
    return [
        (cell.cell_type, cell.source, {key: cell.metadata[key] for key in _CELL_METADATA if cell.metadata.get(key)})
        for cell in text.cells
    ]


def digest(notebook: Any) -> str:
    """Returns a fingerprint of :func:`sources`, 16 hexadecimal digits."""
    return hashlib.sha256(json.dumps(sources(notebook), sort_keys=True).encode()).hexdigest()[:16]


def edited(notebook: Any, text: Any) -> bool:
    """Whether a committed notebook holds edits that are nowhere else.

    Its metadata carry the fingerprint of the sources it was executed from (:func:`normalise`). If it still fits, whatever
    differs was edited in the ``.py``. This needs no version control, and holds between two commits as well.

    Args:
        notebook: the ``.ipynb`` of a chapter.
        text: its ``.py``, read as a notebook.
    """
    return sources(notebook) != sources(text) and notebook.metadata.get("sciml_lib", {}).get("sources") != digest(notebook)


# --- outputs -------------------------------------------------------------------------------------------------------


def tidy(notebook: Any) -> None:
    """Removes progress bars, which are for the terminal, and what tools say about folders and caches of this machine."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if _has_content(output)]


def _has_content(output: Any) -> bool:
    """Drops the lines nobody needs from a stream; whether anything is left."""
    if output.output_type != "stream":
        return True
    lines = [line for line in re.split(r"[\r\n]", output.text) if not _PROGRESS.match(line)]
    if output.name == "stderr":
        lines = [line for line in lines if not _NOISE.search(line)]
    output.text = "\n".join(lines)
    return bool(output.text.strip())


def refuse_traces(notebook: Any, folders: Mapping[str, Path]) -> None:
    """Refuses a notebook that must not be committed, because it warns or names folders of this machine.

    Args:
        notebook: an executed notebook, after :func:`tidy`.
        folders: what may not be named: words for it, and the folder.

    Raises:
        UserError: if there is such an output; it shows it.
    """
    # A path begins where neither a name nor a tag such as </code> is going on.
    traces = {
        words: re.compile(rf"(?<![\w/.<]){re.escape(str(folder))}(?![\w-])[^\s\"'<>]*")
        for words, folder in folders.items()
        if folder != folder.parent
    }
    for output in (output for cell in notebook.cells for output in cell.get("outputs", ())):
        if output.get("name") == "stderr":
            raise UserError(
                f"it writes to the error stream, and a committed chapter must not warn; mend the cause: {_short(output.text)}"
            )
        for text in _texts(output):
            for words, trace in traces.items():
                if found := trace.search(text):
                    raise UserError(f"it shows {words} of this machine, {_short(found.group())}; print a relative path instead")


def _texts(output: Any) -> Iterator[str]:
    """The texts of an output."""
    yield output.get("text", "")
    for kind, content in output.get("data", {}).items():
        if kind.startswith("text/") and isinstance(content, str):
            yield content


def _short(text: str, length: int = 300) -> str:
    """A text on one line, its beginning if it is long."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[:length] + " ..."


def normalise(notebook: Any) -> None:
    """Leaves in a notebook only what its source and its data determine, and notes the fingerprint of the source."""
    notebook.metadata = {
        "jupytext": {"formats": FORMATS},
        "kernelspec": dict(_KERNELSPEC),
        "sciml_lib": {"sources": digest(notebook)},
    }
    for index, cell in enumerate(notebook.cells):
        cell.id = f"c{index:03d}"
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
        if not cell.metadata.get("tags", True):
            del cell.metadata["tags"]


# --- pictures ------------------------------------------------------------------------------------------------------


def keep_pictures(notebook: Any, committed: Any) -> None:
    """Puts the committed picture back wherever the new one shows the same.

    Processors round differently in the last digit, and that can move the edge of a curve by a pixel here and there. Two
    pictures count as the same if they have the same size, at most one pixel in 10,000 differs (:data:`SHARE_OF_PIXELS`),
    and the mean of no 5 x 5 pixels differs by more than 15 of 256 levels in any channel (:data:`LEVELS`). Between two
    processors 42 of 1.7 million pixels and 11 levels of such a mean were seen; another digit in the smallest label of a
    figure makes 18. A drawing (SVG) goes with the picture beside it.

    Args:
        notebook: the notebook as it was executed now; changed in place.
        committed: the notebook as it was before.
    """
    new, old = list(_pictures(notebook)), list(_pictures(committed))
    if len(new) == len(old):
        for mine, theirs in zip(new, old, strict=True):
            if mine["image/png"] == theirs["image/png"] or same_picture(mine["image/png"], theirs["image/png"]):
                mine.update({kind: theirs[kind] for kind in _PICTURES if kind in mine and kind in theirs})


def same_picture(one: str, other: str) -> bool:
    """Whether two pictures (PNG in base64) show the same; the rule is that of :func:`keep_pictures`."""
    import numpy as np
    from PIL import Image
    from scipy.ndimage import uniform_filter

    try:
        first, second = (
            np.asarray(Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGBA"), dtype=np.float64)
            for picture in (one, other)
        )
    except (ValueError, OSError):  # not a picture: then not the same one
        return False
    if first.shape != second.shape:
        return False
    change = first - second  # [height, width, channel]
    share = (change != 0).any(axis=-1).mean()
    return bool(share <= SHARE_OF_PIXELS and np.abs(uniform_filter(change, (5, 5, 1))).max() <= LEVELS)


def cover(notebook: Any) -> bytes | None:
    """Returns the picture of the cell tagged ``cover``; None if there is no such cell."""
    for cell in notebook.cells:
        if "cover" in cell.metadata.get("tags", ()):
            (picture,) = (output.data["image/png"] for output in cell.outputs if "image/png" in output.get("data", {}))
            return base64.b64decode(picture)
    return None


def _pictures(notebook: Any) -> Iterator[Any]:
    """The data of every output with a picture, in order."""
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if "image/png" in output.get("data", {}):
                yield output.data


# --- kernels -------------------------------------------------------------------------------------------------------


@functools.cache
def environment() -> dict[str, str | None]:
    """Variables that keep a kernel apart from the settings and caches of whoever starts it; None means unset.

    Jupyter, IPython and matplotlib keep settings, histories and caches in the home folder. A kernel of a chapter gets an
    empty folder instead, the same for the whole process: it works where the home folder cannot be written, and no setting
    of one person changes a figure.
    """
    folder = Path(tempfile.mkdtemp(prefix="sciml-kernels-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    profile = folder / "ipython" / "profile_default"
    profile.mkdir(parents=True)
    # A kernel warns at each start that it talks over TCP; it talks to this machine only.
    (profile / "ipython_kernel_config.py").write_text("get_config().IPKernelApp.log_level = 40\n")
    return {
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_CONFIG_DIR": str(folder / "jupyter"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_PATH": None,
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "MPLCONFIGDIR": str(folder / "matplotlib"),
        "MATPLOTLIBRC": None,
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "PYTHONWARNINGS": None,
    }


@contextlib.contextmanager
def quiet_kernels(root: Path, **changes: str | None) -> Iterator[None]:
    """Lets kernels started inside import the library in ``root``, keeps them apart, and silences the notebook tools.

    Args:
        root: the repository.
        changes: further environment variables; None unsets one.
    """
    import logging

    path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH", "")]))
    changes = {**environment(), "PYTHONPATH": path, **changes}
    before = {key: os.environ.get(key) for key in changes}
    loggers = [logging.getLogger(name) for name in ("papermill", "traitlets", "asyncio", "matplotlib.font_manager")]
    levels = [logger.level for logger in loggers]
    try:
        set_environment(changes)
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        yield
    finally:
        set_environment(before)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def set_environment(values: Mapping[str, str | None]) -> None:
    """Sets environment variables; None unsets one."""
    for key, value in values.items():
        if value is None:
            os.environ.pop(key, None)
        else:
            os.environ[key] = value
