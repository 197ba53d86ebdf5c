"""The chapters of the book as programs: list them, check their parameters, execute them.

A chapter is a pair of files in ``book/``: a ``.py`` with percent cells, which people edit and review, and the
executed ``.ipynb`` that the book shows. :func:`execute` runs a chapter with other parameters into a
new notebook; :func:`refresh` rebuilds the committed one from its ``.py`` with the default parameters, so that
a chapter whose source and data are unchanged comes out byte for byte the same. Neither ever leaves half a notebook, and
neither overwrites what somebody wrote.

The notebook tools are imported where they are used: a sweep on a bare GPU node never needs them.
"""

from __future__ import annotations

import ast
import contextlib
import math
import multiprocessing
import operator
import os
import shlex
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sciml_lib import keeper, notebooks, text
from sciml_lib.errors import UserError, unknown

if TYPE_CHECKING:
    from sciml_lib import warm

ROOT = Path(__file__).resolve().parents[1]
_LARGEST = 10**18
"""Whole numbers from here on are refused: nothing that a chapter counts comes near, and tools fail on thousands of digits."""

_MOST_JOBS = 4

_ONE_THREAD = {
    # An import of matplotlib looks for this once; a kernel that starts by itself sets it before.
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
}
"""What chapters that are executed beside each other find in their environment."""

_KINDS = {
    "bool": (bool, "True or False"),
    "int": (int, "a whole number of at most 18 digits"),
    "float": (float, "a finite number"),
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
        if self.type not in _KINDS:
            return value
        kind, words = _KINDS[self.type]
        found = _from_text(value, kind) if isinstance(value, str) else _from_number(value, kind)
        if type(found) is not kind or not _is_usable(found):
            raise UserError(
                f"{self.name}={_shown(value)} is not {words}; write it like the default, -p {self.name} {self.default}"
            )
        return found


def _from_text(text: str, kind: type) -> Any:
    """Reads a text as one of the four types; the text itself if it is none."""
    try:
        if kind is bool:
            return {"true": True, "false": False}.get(text.strip().lower(), text)
        return text if kind is str else kind(text.strip())
    except ValueError:
        return text


def _from_number(value: Any, kind: type) -> Any:
    """Reads NumPy's numbers as Python's, and a whole number as the real one that is asked for; else the value itself."""
    if isinstance(value, bool) or kind not in (int, float):
        return value
    try:
        return operator.index(value) if kind is int else float(value)
    except (TypeError, ValueError, OverflowError):
        return value


def _is_usable(value: Any) -> bool:
    """Whether a value can be written into a notebook, and a number be counted with."""
    if isinstance(value, str):
        return value.isprintable()  # neither a zero byte nor half a character
    return math.isfinite(value) if isinstance(value, float) else abs(value) < _LARGEST


def _shown(value: Any) -> str:
    """A value as a sentence can show it, however long it is."""
    if type(value) is int and abs(value) >= _LARGEST:
        return f"a number of about {value.bit_length() * math.log10(2):.0f} digits"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


def names() -> list[str]:
    """Returns the names of all chapters, in alphabetical order."""
    return sorted(_sources())


def parameters(name: str) -> dict[str, Parameter]:
    """Returns what can be passed to the chapter ``name``, in the order in which it declares them.

    Raises:
        UserError: if there is no such chapter.
    """
    import papermill

    with notebooks.quiet_kernels(ROOT):
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
    """Returns ``given`` with every value in the type the chapter declares, and the folder of runs as an absolute path.

    Raises:
        UserError: if there is no such chapter or parameter, a value has the wrong type, or there is no such folder of runs.
    """
    known = parameters(name)
    for key in given:
        if key not in known:
            raise UserError(
                f"{unknown(f'parameter of the chapter {name}', key, known)}; "
                + "; ".join(str(parameter) for parameter in known.values())
            )
    values = {key: known[key].read(value) for key, value in given.items()}
    if values.get("runs"):
        values["runs"] = _runs(values["runs"])
    return values


def execute(
    name: str,
    parameters: Mapping[str, Any],
    output: str | os.PathLike[str],
    *,
    runs: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> Path:
    """Executes a chapter with other parameters and writes the executed notebook.

    The notebook is written at the end, at once. If the chapter is refused, stops or is interrupted, a notebook that stood
    there before stands there still.

    Args:
        name: the chapter, one of :func:`names`.
        parameters: values that replace the defaults; text is read as the declared type.
        output: the notebook to write. Everything under ``book/`` is refused.
        runs: folder of stored runs to read and to train into; the repository's own by default.
        progress: show the progress of cells and of training on the terminal.

    Returns:
        The path of the executed notebook.

    Raises:
        UserError: if a name or value is not valid, or the chapter itself stops with such a sentence.
        papermill.PapermillExecutionError: if the chapter fails; its text is the traceback.
    """
    values = check(name, parameters if runs is None else {"runs": os.fspath(runs), **parameters})
    target = _target(output, name)
    with tempfile.TemporaryDirectory() as folder:
        notebook = _run(
            _notebook(name),
            Path(folder, "executed.ipynb"),
            parameters=values,
            cwd=_source(name).parent,
            progress=progress,
            SCIML_RUNS=_default_runs(),
        )
    notebooks.tidy(notebook)
    notebook.metadata.papermill.output_path = str(target)
    try:
        keeper.replace(target, notebooks.written(notebook))
    except OSError as error:
        raise UserError(f"cannot write {output}: {error.strerror or error}; choose another output") from error
    return target


def refresh(name: str, fork: warm.Fork | None = None) -> bool:
    """Rebuilds the committed notebook of a chapter from its ``.py``, executed with the default parameters.

    It is executed on the repository's own runs, whatever ``SCIML_RUNS`` says. Unchanged source on unchanged data gives the
    same bytes, on another machine as well: a picture in which a few pixels have another shade is not written anew
    (:func:`sciml_lib.notebooks.keep_pictures` has the rule).

    Args:
        name: the chapter, one of :func:`names`.
        fork: what becomes its kernel; by default a Python is started.

    Returns:
        Whether the file changed.

    Raises:
        UserError: if there is no such chapter, the ``.ipynb`` holds edits that would be lost, the chapter stops with a
            sentence of its own, or it shows what must not be committed: a warning, or a folder of this machine.
        papermill.PapermillExecutionError: if the chapter fails; its text is the traceback.
    """
    import jupytext

    source = _source(name)
    committed = source.with_suffix(".ipynb")
    keep_edits([name])
    before = keeper.read_bytes(committed)
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder, "source.ipynb")
        jupytext.write(jupytext.read(source), plain, fmt="ipynb")
        try:
            notebook = _run(
                plain,
                Path(folder, "executed.ipynb"),
                parameters={},
                cwd=source.parent,
                progress=False,
                fork=fork,
                SCIML_RUNS=None,
                **{text.STRICT: "1"},
            )
            notebooks.tidy(notebook)
            notebooks.refuse_traces(notebook, _folders_of_this_machine())
        except UserError as error:
            raise UserError(f"chapter {name}: {error}") from None
    notebooks.normalise(notebook)
    if before is not None:
        notebooks.keep_pictures(notebook, notebooks.read(committed))
    after = notebooks.written(notebook)
    if keeper.read_bytes(committed) != before:
        raise UserError(f"{_short(committed)} was saved while the chapter was executed; it is kept: look at it, then go on")
    if after != before:
        keeper.replace(committed, after)
    _keep_cover(notebook, ROOT / "book" / "_static" / "covers" / f"{name}.png")
    return after != before


def refresh_all(only: Iterable[str] | None = None, jobs: int | None = None) -> None:
    """Refreshes chapters, one line of report each, as ``make book`` does; first of all it looks for edits to keep.

    Several are executed at once, with one thread each, from one process that has imported the library. A chapter that fails
    does not keep the others from being executed.

    Args:
        only: names of chapters; all by default.
        jobs: how many at once; as many as there are processors to use by default, and at most four, for each takes up to
            a gigabyte of memory.

    Raises:
        UserError: if an ``.ipynb`` holds edits, before any chapter is executed; or at the end, if chapters failed, as in
            :func:`refresh`: it says of each what and why.
    """
    chosen = names() if only is None else list(dict.fromkeys(only))
    keep_edits(chosen)
    jobs = min(jobs or _processors(), _MOST_JOBS)
    # Elsewhere a process that has loaded the system's numerical libraries cannot be forked.
    together = len(chosen) > 1 and sys.platform == "linux"
    failures = []
    with contextlib.closing(_outcomes(chosen, jobs) if together else (_outcome(name) for name in chosen)) as outcomes:
        for name, words, failure in outcomes:
            print(f"{name} ... {words}", flush=True)
            if failure:
                failures.append(failure)
    if failures:
        raise UserError("\nerror: ".join(sorted(failures)))


def _processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _outcome(name: str, fork: warm.Fork | None = None) -> tuple[str, str, str]:
    """Refreshes a chapter; returns its name, what became of it in two words, and why it failed if it did."""
    try:
        return name, "new output" if refresh(name, fork) else "as committed", ""
    except UserError as error:
        reason = str(error)
    except OSError as error:
        reason = _of_the_system(error)
    except Exception as error:
        # Of a fault in the chapter papermill's text is the traceback.
        reason = str(error) if hasattr(error, "traceback") else "".join(traceback.format_exception(error))
    return name, "failed", reason if reason.startswith(f"chapter {name}: ") else f"chapter {name}: {reason}"


def _of_the_system(error: OSError) -> str:
    """An error of the file system as a sentence."""
    return f"{error.filename or 'a file'}: {error.strerror or error}; see to it and try again"


def _outcomes(chosen: Iterable[str], jobs: int) -> Iterator[tuple[str, str, str]]:
    """Yields what became of chapters as they end; each is executed in a fork of this process."""
    from sciml_lib import warm

    context = multiprocessing.get_context("fork")
    waiting, running = list(chosen)[::-1], {}
    with notebooks.quiet_kernels(ROOT, **_ONE_THREAD):
        warm.load()
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    receiver, sender = context.Pipe(duplex=False)
                    process = context.Process(target=_fork_and_tell, args=(waiting[-1], sender))
                    with warm.held_back():
                        process.start()
                        running[receiver] = waiting.pop(), process
                    sender.close()
                for receiver in connection.wait(list(running)):
                    name, process = running[receiver]
                    try:
                        outcome = receiver.recv()
                    except EOFError:
                        process.join()
                        outcome = name, "failed", f"chapter {name}: its process ended with status {process.exitcode}"
                    process.join()
                    receiver.close()
                    del running[receiver]
                    yield outcome
        finally:
            for _, process in running.values():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGINT)
            for _, process in running.values():
                process.join()


def _fork_and_tell(name: str, sender: connection.Connection) -> None:
    """The life of the process of one chapter; the interruption that is sent to it stops the kernel, too."""
    from sciml_lib import warm

    with contextlib.suppress(KeyboardInterrupt):
        fork = warm.Fork()
        warm.detach(signal.default_int_handler)
        sender.send(_outcome(name, fork))


def keep_edits(chosen: Iterable[str]) -> None:
    """Stops if a refresh would throw away what somebody wrote into an ``.ipynb`` and not into its ``.py``.

    Raises:
        UserError: if so; it names every such notebook and both ways to go on.
    """
    import jupytext

    edited = []
    for name in chosen:
        source, notebook = _source(name), _source(name).with_suffix(".ipynb")
        if notebook.exists() and notebooks.edited(notebooks.read(notebook), jupytext.read(source)):
            edited.append(_short(notebook))
    if edited:
        files = " ".join(shlex.quote(path) for path in edited)
        raise UserError(
            f"{' and '.join(edited)} {'was' if len(edited) == 1 else 'were'} edited, and the .py differs; nothing is "
            f"changed: keep the edits with `python -m jupytext --to py:percent {files}`, which writes the .py, "
            f"or drop them with `rm {files}`, then give the command again"
        )


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


def _target(output: str | os.PathLike[str], name: str) -> Path:
    """The file that ``output`` names, after everything is refused that could not or must not be written at the end."""
    example = f"name another file, as in -o {name}-mine.ipynb"
    try:
        target = Path(output).resolve()
        there = target.exists()
    except (OSError, RuntimeError, ValueError) as error:  # too long a name, links in a circle, a zero byte
        raise UserError(f"{output!r} is not the name of a file ({error}); {example}") from error
    if target.suffix != ".ipynb":
        raise UserError(f"{output} does not end in .ipynb; {example}")
    if any(folder.exists() and folder.samefile(ROOT / "book") for folder in target.parents):
        raise UserError(f"{output} is in book/, the place of the committed chapters; {example}")
    if not target.parent.is_dir():
        raise UserError(f"there is no folder {target.parent}; create it or choose another output")
    if there and not target.is_file():
        raise UserError(f"{output} is {'a folder' if target.is_dir() else 'no regular file'}; {example}")
    if there and not os.access(target, os.W_OK):
        raise UserError(f"{output} is write-protected; {example}")
    try:
        with tempfile.TemporaryFile(dir=target.parent):
            pass
    except OSError as error:
        raise UserError(f"cannot write to {target.parent}: {error.strerror or error}; choose another output") from error
    return target


def _runs(folder: str) -> str:
    """The absolute path of a folder of stored runs, which has to be there."""
    from sciml_lib.sweeps import places

    return str(places.runs_folder(folder, must_exist=True).resolve())


def _default_runs() -> str | None:
    """``SCIML_RUNS`` as an absolute path: a chapter runs in its own folder, the reader named it in theirs."""
    from sciml_lib.sweeps import places

    return str(places.runs_folder().resolve()) if os.environ.get("SCIML_RUNS") else None


def _run(
    source: Path,
    target: Path,
    *,
    parameters: Mapping[str, Any],
    cwd: Path,
    progress: bool,
    fork: warm.Fork | None = None,
    **environment: Any,
) -> Any:
    """Executes a notebook into another and returns that.

    Raises:
        UserError: if the chapter stops with such a sentence.
        papermill.PapermillExecutionError: if it fails.
    """
    import papermill

    from sciml_lib import warm

    try:
        with notebooks.quiet_kernels(ROOT, TQDM_DISABLE=None if progress else "1", **environment):
            papermill.execute_notebook(
                str(source),
                str(target),
                parameters=dict(parameters),
                cwd=str(cwd),
                progress_bar=progress,
                stderr_file=sys.stderr if progress else None,
                kernel_name="python3",
                **warm.options(fork),
            )
    except papermill.PapermillExecutionError as error:
        if error.ename in {kind.__name__ for kind in (UserError, *UserError.__subclasses__())}:
            raise UserError(error.evalue) from None
        raise
    return notebooks.read(target)


def _folders_of_this_machine() -> dict[str, Path]:
    """What a committed chapter must not name, with words for it."""
    return {"the folder of the repository": ROOT, "the home folder": Path(os.path.expanduser("~"))}


def _keep_cover(notebook: Any, target: Path) -> None:
    """Keeps the picture of the cell tagged ``cover`` as a file, for the README and the pages that are not notebooks."""
    picture = notebooks.cover(notebook)
    if picture is not None and picture != keeper.read_bytes(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        keeper.replace(target, picture)


def _short(path: Path) -> str:
    """A path as one would type it here."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def _plain(type_name: str) -> str:
    return "" if type_name in ("None", "") else type_name


def main(arguments: list[str] | None = None) -> int:
    """Runs ``python -m sciml_lib.chapters refresh [NAME ...]``; returns the exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    if not words or words[0] != "refresh":
        print("usage: python -m sciml_lib.chapters refresh [NAME ...]", file=sys.stderr)
        return 2
    try:
        refresh_all(words[1:] or None)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {_of_the_system(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped by Ctrl-C; every chapter that was finished is kept: give the same command again", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
