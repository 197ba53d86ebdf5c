"""Keeping files: how everything that is stored is written, read and locked.

Three kinds of records use it: the runs of a sweep, the curvature measured at their ends, and the items of a study. A
file is replaced as a whole or grows by whole lines that are forced to the disk, so a cut at any moment leaves what was
there before or what should be there now.
"""

from __future__ import annotations

import io
import json
import os
import re
import stat
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from sciml_lib.errors import UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

Kind = tuple[str, Callable[[Any], bool]]
"""What an entry of a JSON file has to be: in words, and how to tell."""


def _is_text_by_text(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(one, str) for pair in value.items() for one in pair)


def _is_commit(value: Any) -> bool:
    return isinstance(value, str) and (not value or re.fullmatch(r"[0-9a-f]{40}", value) is not None)


def _is_date(value: Any) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value) is not None
    except ValueError:
        return False


TEXT: Kind = ("a text", lambda value: isinstance(value, str))
OBJECT: Kind = ("an object", lambda value: isinstance(value, dict))
WHOLE: Kind = ("a whole number", lambda value: type(value) is int)
NAMES: Kind = ("a list of names", lambda value: isinstance(value, list) and all(isinstance(one, str) for one in value))
FINGERPRINTS: Kind = ("a list of fingerprints", lambda value: NAMES[1](value) and bool(value))
VERSIONS: Kind = ("versions by package", _is_text_by_text)
COMMIT: Kind = ("a commit", _is_commit)
DATE: Kind = ("a date", _is_date)

LOCK = ".lock"
"""Lock file where a folder itself cannot be locked."""


def now() -> str:
    """The present time, UTC, to the second, as in ``2026-05-01T12:00:00+00:00``."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def digest(array: NDArray) -> str:
    """Fingerprint of an array's values, which what is derived of them carries: 16 hexadecimal digits."""
    return sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]


def replace(path: Path, content: bytes) -> None:
    """Writes a file beside its place and moves it there, so that a cut leaves the old one or the new one.

    Raises:
        OSError: if the disk refuses; the old file is untouched.
    """
    draft = path.with_name(path.name + ".tmp")
    try:
        with open(draft, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise


def append(path: Path, lines: bytes) -> None:
    """Appends whole lines and forces them to the disk; if that fails, the file is as it was.

    Raises:
        OSError: if the disk refuses.
    """
    with open(path, "ab", buffering=0) as file:
        length = file.seek(0, os.SEEK_END)
        try:
            written = 0
            while written < len(lines):
                written += file.write(lines[written:])
            os.fsync(file.fileno())
        except BaseException:
            with suppress(OSError):
                file.truncate(length)
            raise


def read_bytes(path: Path) -> bytes | None:
    """The content of a regular file; None if there is none.

    Raises:
        UserError: if it is something else, such as a folder or a pipe, or cannot be read.
    """
    with reading(path):
        try:
            kind = path.stat().st_mode
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(kind):
            raise UserError(f"{path} is no regular file; move it away, or restore the file that belongs there")
        return path.read_bytes()


def read_json(
    path: Path, remedy: str, expected: Mapping[str, Kind] | None = None, optional: Collection[str] = ()
) -> dict[str, Any] | None:
    """The JSON object in a file; None if there is no such file.

    Args:
        path: the file.
        remedy: what to do about a damaged one, as the end of a sentence.
        expected: its entries, and what each has to be; there may be more.
        optional: those that may be missing.

    Raises:
        UserError: if it cannot be read, is no JSON object, or an entry is missing or of another kind.
    """
    data = read_bytes(path)
    if data is None:
        return None
    try:
        content = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        raise UserError(f"{path} is damaged (it is not JSON); {remedy}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} is damaged (it is not a JSON object); {remedy}")
    wrong = first_wrong(content, expected or {}, optional)
    if wrong:
        raise UserError(f"{path} is damaged ({wrong[0]!r} is missing or is not {wrong[1]}); {remedy}")
    return content


def first_wrong(
    content: Mapping[str, Any], expected: Mapping[str, Kind], optional: Collection[str] = ()
) -> tuple[str, str] | None:
    """The first entry that is missing or not what it has to be, and in words what it has to be; None if all are right."""
    for name, (words, fits) in expected.items():
        if not fits(content[name]) if name in content else name not in optional:
            return name, words
    return None


def dumped(content: dict[str, Any]) -> bytes:
    """The text of a JSON file."""
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()


def read_npz(path: Path, remedy: str) -> dict[str, NDArray]:
    """The arrays of an ``.npz`` file by name; empty if there is no such file.

    Args:
        path: the file.
        remedy: what to do about a damaged one, as the end of a sentence.

    Raises:
        UserError: if it cannot be read, is damaged, or is something else.
    """
    data = read_bytes(path)
    if data is None:
        return {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:  # NumPy would also open a single array, or a pickle
            archive.testzip()
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            found = {name: archive[name] for name in archive.files}
        if not all(isinstance(array, np.ndarray) for array in found.values()):
            raise TypeError  # NumPy hands out the bytes of a file that is no array
        return found
    except (
        *(ValueError, KeyError, EOFError, TypeError, OverflowError, MemoryError, SyntaxError, tokenize.TokenError),
        *(zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, NotImplementedError, RuntimeError),
    ) as error:
        raise UserError(f"{path} is damaged ({type(error).__name__}); {remedy}") from None


def packed(arrays: dict[str, NDArray], *, compressed: bool = True) -> bytes:
    """The content of an ``.npz`` file with these arrays, in the order of their names."""
    buffer = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(buffer, **dict(sorted(arrays.items())))
    return buffer.getvalue()


@contextmanager
def reading(place: Path) -> Iterator[None]:
    """Turns an error of the file system while reading into a sentence."""
    try:
        yield
    except OSError as error:
        name = error.filename or place
        raise UserError(f"{name} cannot be read: {error.strerror or error}; make it readable, or move it away") from error


@contextmanager
def writing(folder: Path, kept: str, remedy: str) -> Iterator[None]:
    """Turns an error of the file system while writing into a sentence.

    Args:
        folder: where is written.
        kept: what is safe, such as ``12 runs are stored``.
        remedy: how to go on once there is room, such as ``go on with `...` ``.
    """
    try:
        yield
    except OSError as error:
        raise UserError(
            f"cannot write to {folder}: {error.strerror or error}; {kept}: make room or make it writable, then {remedy}"
        ) from error


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps other processes from writing to a folder.

    The folder itself is locked, not a file in it: a file can be deleted, and whoever comes next would make and lock a new
    one. Where a folder cannot be locked (Windows, some network file systems) a file is locked after all.

    Raises:
        UserError: if another process has locked it, or its file system has no locks.
        OSError: if the folder cannot be opened.
    """
    busy = UserError(f"another process is writing to {folder}; wait until it ends, or stop it (this one changed nothing)")
    with ExitStack() as held:
        if fcntl is None or not _lock_folder(folder, held, busy):
            lock = FileLock(folder / LOCK)
            try:
                lock.acquire(blocking=False)
            except Timeout:
                raise busy from None
            except NotImplementedError as error:
                raise UserError(f"the file system of {folder} has no locks; use --runs with a folder on another one") from error
            held.callback(lock.release)
        yield


def _lock_folder(folder: Path, held: ExitStack, busy: UserError) -> bool:
    """Locks a folder until ``held`` is left; False where folders cannot be locked."""
    handle = os.open(folder, os.O_RDONLY)
    held.callback(os.close, handle)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise busy from None
    except OSError:
        return False
    return True
