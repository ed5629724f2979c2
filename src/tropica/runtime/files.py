"""Atomic writing of files, and checks before a computation that its results can be written."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import os
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tropica.errors import InputError

TEMPORARY = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{12}~")
"""A pattern for the names of the temporary files of :func:`replace_file`. A process that is killed while writing leaves one."""


def replace_file(path: Path, content: bytes | str) -> None:
    """Write a file atomically and durably.

    The content goes to a temporary file in the same folder, is flushed to disk, and the file is renamed; then the folder is
    flushed, so that a power cut does not undo the renaming. A reader sees the old content or the new one.

    Args:
        path: the file; its folder must exist.
        content: the new content; text is encoded as UTF-8.

    Raises:
        OSError: the file cannot be written. An old file is unchanged, and no temporary file is left.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     replace_file(Path(folder) / "a.txt", "new")
    ...     [(entry.name, entry.read_text()) for entry in Path(folder).iterdir()]
    [('a.txt', 'new')]
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}~")
    try:
        with temporary.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    _flush_folder(path.parent)


def _flush_folder(folder: Path) -> None:
    """Flush a folder, which makes a renaming durable. Systems that cannot open or flush folders are skipped."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def writable_folder(folder: str | os.PathLike[str]) -> Path:
    """The path of a folder that can be created or written to. It is not created here, so that a failed computation leaves none.

    Raises:
        InputError: the path is a file, or cannot be written to.
    """
    path = Path(folder)
    nearest = next(parent for parent in (path.absolute(), *path.absolute().parents) if parent.exists())
    if not nearest.is_dir():
        raise InputError(f"{path}: {'' if nearest == path.absolute() else f'{nearest} is '}a file; a folder is needed")
    if not os.access(nearest, os.W_OK):
        raise InputError(f"{path}: {nearest} cannot be written to")
    return path


def writable_file(file: str | os.PathLike[str]) -> Path:
    """The path of a file that can be written.

    Raises:
        InputError: the path is a folder, or its folder does not exist or cannot be written to.

    >>> writable_file("nowhere/numbers.json")
    Traceback (most recent call last):
    tropica.errors.InputError: nowhere/numbers.json: there is no folder nowhere
    """
    path = Path(file)
    if path.is_dir():
        raise InputError(f"{path}: a folder; a file is needed")
    if not path.parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"{path}: the folder {path.parent} cannot be written to")
    return path


def write_file(path: Path, content: bytes | str) -> Path:
    """Write a file atomically; its folder is created.

    Raises:
        InputError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, content)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error
    return path


def write_json(path: Path, content: Mapping[str, Any]) -> Path:
    """Write numbers as JSON."""
    return write_file(path, json_text(content))


def json_text(content: Mapping[str, Any]) -> str:
    """Numbers as JSON. Values that are not finite, which JSON cannot express, become null."""
    return json.dumps(plain(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table as CSV (RFC 4180, with line feeds)."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def plain(content: Any) -> Any:
    """Nested content with None for floats that are not finite, and lists for tuples.

    >>> plain({"a": (1, float("nan"))})
    {'a': [1, None]}
    """
    if isinstance(content, Mapping):
        return {str(key): plain(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [plain(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
