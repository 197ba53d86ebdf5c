"""The chapters of the book as programs: list them, check their parameters, execute them.

A chapter is a pair of files in ``book/``: a ``.py`` with percent cells, which people edit and review, and the
executed ``.ipynb`` that the book shows. :func:`execute` runs a chapter with other parameters into a
new notebook; :func:`refresh` rebuilds the committed one from its ``.py`` with the default parameters, so that
a chapter whose source and data are unchanged comes out byte for byte the same.

The notebook tools are imported where they are used: a sweep on a bare GPU node never needs them.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import UserError, unknown

ROOT = Path(__file__).resolve().parents[1]
_KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
_PROGRESS_LINE = re.compile(r"^.*\d+%\|.*\|.*$")
_TYPES: dict[str, tuple[type, str]] = {
    "bool": (bool, "True or False"),
    "int": (int, "a whole number"),
    "float": (float, "a number"),
    "str": (str, "a text"),
}


@dataclass(frozen=True)
class Parameter:
    """One parameter of a chapter, as its parameters cell declares it.

    Attributes:
        name: the name to use after ``-p``.
        type: ``str``, ``int``, ``float`` or ``bool``; empty when the chapter does not say.
        default: the value the committed chapter was executed with.
        help: the comment beside it.
    """

    name: str
    type: str
    default: Any
    help: str

    def __str__(self) -> str:
        """Returns the line a person reads: name, type, default and help."""
        line = f"{self.name}: {self.type or 'any'} = {self.default!r}"
        return f"{line} ({self.help})" if self.help else line

    def read(self, value: Any) -> Any:
        """Returns ``value`` in the declared type; text from a command line is read as that type.

        Raises:
            UserError: if it is not a value of that type.
        """
        if self.type not in _TYPES:
            return value
        wanted, words = _TYPES[self.type]
        read = value
        if isinstance(value, str) and wanted is not str:
            with contextlib.suppress(ValueError, SyntaxError):
                read = ast.literal_eval(value.strip().capitalize() if wanted is bool else value.strip())
        if wanted is float and type(read) is int:
            read = float(read)
        if type(read) is not wanted:
            raise UserError(f"{self.name}={value!r} is not {words}; write it like the default, -p {self.name} {self.default}")
        return read


def names() -> list[str]:
    """Returns the names of all chapters, in alphabetical order."""
    return sorted(_sources())


def parameters(name: str) -> dict[str, Parameter]:
    """Returns what can be passed to the chapter ``name``, in the order in which it declares them.

    Raises:
        UserError: if there is no such chapter.
    """
    import papermill

    with _quiet():
        found = papermill.inspect_notebook(str(_notebook(name)))
    return {
        key: Parameter(
            key,
            _plain(entry["inferred_type_name"]),
            ast.literal_eval(entry["default"]),
            str(entry["help"] or "").strip(),
        )
        for key, entry in found.items()
    }


def check(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns ``given`` with every value in the type the chapter declares.

    Raises:
        UserError: if there is no such chapter or parameter, or a value has the wrong type.
    """
    known = parameters(name)
    for key in given:
        if key not in known:
            raise UserError(
                f"{unknown(f'parameter of the chapter {name}', key, known)}; "
                + "; ".join(str(parameter) for parameter in known.values())
            )
    return {key: known[key].read(value) for key, value in given.items()}


def execute(
    name: str,
    parameters: Mapping[str, Any],
    output: str | os.PathLike[str],
    *,
    runs: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> Path:
    """Executes a chapter with other parameters and writes the executed notebook.

    Args:
        name: the chapter, one of :func:`names`.
        parameters: values that replace the defaults; text is read as the declared type.
        output: the notebook to write. The committed chapter itself is refused.
        runs: folder of stored runs to read and to train into; the repository's own by default.
        progress: show the progress of cells and of training on the terminal.

    Returns:
        The path of the executed notebook.

    Raises:
        UserError: if a name or value is not valid, or the chapter itself stops with such a sentence.
    """
    import papermill

    values = check(name, parameters)
    if runs is not None:
        values.setdefault("runs", str(Path(runs).resolve()))
    if values.get("runs"):  # the chapter runs in its own folder, the reader typed the path in theirs
        values["runs"] = str(Path(values["runs"]).resolve())
    source, target = _notebook(name), Path(output).resolve()
    if target == source:
        raise UserError(f"{output} is the committed chapter itself; name another file, as in -o {name}-mine.ipynb")
    if target.suffix != ".ipynb":
        raise UserError(f"{output} does not end in .ipynb; name the notebook to write, as in -o {name}-mine.ipynb")
    if not target.parent.is_dir():
        raise UserError(f"there is no folder {target.parent}; create it or choose another output")
    try:
        with _quiet(), _kernel_environment(TQDM_DISABLE=None if progress else "1"):
            papermill.execute_notebook(
                str(source),
                str(target),
                parameters=values,
                cwd=str(source.parent),
                progress_bar=progress,
                stderr_file=sys.stderr if progress else None,
                kernel_name="python3",
            )
    except papermill.PapermillExecutionError as error:
        if error.ename == "UserError":
            target.unlink(missing_ok=True)
            raise UserError(error.evalue) from None
        raise
    _edit(target, _drop_progress)
    return target


def refresh(name: str) -> bool:
    """Rebuilds the committed notebook of a chapter from its ``.py``, executed with the default parameters.

    Returns:
        Whether the file changed. Unchanged source on unchanged data gives the same bytes.

    Raises:
        UserError: if there is no such chapter, or the chapter stops with a sentence of its own.
    """
    import jupytext
    import nbformat
    import papermill

    source = _source(name)
    committed = source.with_suffix(".ipynb")
    with tempfile.TemporaryDirectory() as folder:
        plain, executed = Path(folder, "source.ipynb"), Path(folder, "executed.ipynb")
        with _quiet():
            jupytext.write(jupytext.read(source), plain, fmt="ipynb")
        try:
            with _quiet(), _kernel_environment(TQDM_DISABLE="1"):
                papermill.execute_notebook(
                    str(plain),
                    str(executed),
                    cwd=str(source.parent),
                    progress_bar=False,
                    kernel_name="python3",
                )
        except papermill.PapermillExecutionError as error:
            if error.ename == "UserError":
                raise UserError(f"chapter {name}: {error.evalue}") from None
            raise
        notebook = nbformat.read(executed, as_version=4)
    _normalise(notebook)
    text = nbformat.writes(notebook) + "\n"
    before = committed.read_text(encoding="utf-8") if committed.exists() else ""
    if text != before:
        scratch = committed.with_suffix(".ipynb.tmp")
        scratch.write_text(text, encoding="utf-8")
        scratch.replace(committed)
    _write_cover(notebook, ROOT / "book" / "_static" / "covers" / f"{name}.png")
    return text != before


def refresh_all() -> None:
    """Refreshes every chapter, one line of report each, as ``make book`` does."""
    for name in names():
        print(f"executing the chapter {name} ...", end=" ", flush=True)
        print("new output" if refresh(name) else "as committed", flush=True)


def _sources() -> dict[str, Path]:
    """Returns the ``.py`` file of every chapter; folders of the book that begin with ``_`` hold none."""
    book = ROOT / "book"
    if not book.is_dir():
        raise UserError("the chapters are not installed with the library; run this from a clone of the repository")
    found = (path for path in book.rglob("*.py") if not any(p[0] in "_." for p in path.relative_to(book).parts))
    return {path.stem: path for path in found}


def _source(name: str) -> Path:
    sources = _sources()
    if name not in sources:
        raise unknown("chapter", name, sorted(sources))
    return sources[name]


def _notebook(name: str) -> Path:
    notebook = _source(name).with_suffix(".ipynb")
    if not notebook.exists():
        raise UserError(f"{notebook.relative_to(ROOT)} is missing; make it with `python -m sciml_lib.chapters refresh {name}`")
    return notebook


def _write_cover(notebook: Any, target: Path) -> None:
    """Keeps the picture of the cell tagged ``cover`` as a file, for the README and the pages that are no notebooks."""
    for cell in notebook.cells:
        if "cover" in cell.metadata.get("tags", ()):
            (picture,) = (o.data["image/png"] for o in cell.outputs if "image/png" in o.get("data", {}))
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(base64.b64decode(picture))


def _plain(type_name: str) -> str:
    return "" if type_name in ("None", "") else type_name


@contextlib.contextmanager
def _kernel_environment(**changes: str | None) -> Iterator[None]:
    """Lets kernels started inside import this library and see the given variables (None unsets one)."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    changes = {"PYTHONPATH": path, "PYDEVD_DISABLE_FILE_VALIDATION": "1", **changes}
    before = {key: os.environ.get(key) for key in changes}
    try:
        _set_environment(changes)
        yield
    finally:
        _set_environment(before)


def _set_environment(values: Mapping[str, str | None]) -> None:
    for key, value in values.items():
        if value is None:
            os.environ.pop(key, None)
        else:
            os.environ[key] = value


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences what the notebook tools log about themselves; a person can do nothing about it."""
    import logging

    loggers = [logging.getLogger(name) for name in ("papermill", "traitlets", "asyncio")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _edit(path: Path, change: Any) -> None:
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    change(notebook)
    nbformat.write(notebook, path)


def _drop_progress(notebook: Any) -> None:
    """Removes progress bars from stored outputs: they are for the terminal."""
    for cell in notebook.cells:
        kept = []
        for output in cell.get("outputs", []):
            if output.output_type == "stream":
                lines = [line for line in re.split(r"[\r\n]", output.text) if not _PROGRESS_LINE.match(line)]
                output.text = "\n".join(lines)
                if not output.text.strip():
                    continue
            kept.append(output)
        if cell.cell_type == "code":
            cell.outputs = kept


def _normalise(notebook: Any) -> None:
    """Leaves in a notebook only what its source and its data determine."""
    _drop_progress(notebook)
    notebook.metadata = {
        "jupytext": {"formats": "ipynb,py:percent", "text_representation": _representation(notebook)},
        "kernelspec": dict(_KERNELSPEC),
    }
    for index, cell in enumerate(notebook.cells):
        cell.id = f"c{index:03d}"
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
        if not cell.metadata.get("tags", True):
            del cell.metadata["tags"]


def _representation(notebook: Any) -> dict[str, str]:
    kept = notebook.metadata.get("jupytext", {}).get("text_representation", {})
    return {key: kept[key] for key in ("extension", "format_name") if key in kept}


def main(arguments: list[str] | None = None) -> int:
    """Runs ``python -m sciml_lib.chapters refresh [NAME ...]``; returns the exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    if not words or words[0] != "refresh":
        print("usage: python -m sciml_lib.chapters refresh [NAME ...]", file=sys.stderr)
        return 2
    try:
        if words[1:]:
            for name in words[1:]:
                refresh(name)
        else:
            refresh_all()
    except UserError as error:
        print(f"\n{error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
