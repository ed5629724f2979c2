"""Files of results: whole or not at all, and refused before the work begins rather than after it."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tropica.errors import InputError


def writable_folder(folder: str | os.PathLike[str]) -> Path:
    """A folder that can be made or written to; it is not made yet, so that work that fails leaves nothing behind.

    Raises:
        InputError: not so.
    """
    path = Path(folder)
    nearest = next(parent for parent in (path.absolute(), *path.absolute().parents) if parent.exists())
    if not nearest.is_dir():
        raise InputError(f"{path}: {'' if nearest == path.absolute() else f'{nearest} is '}a file; a folder is needed")
    if not os.access(nearest, os.W_OK):
        raise InputError(f"{path}: {nearest} cannot be written to")
    return path


def writable_file(file: str | os.PathLike[str]) -> Path:
    """A file that can be written: its folder is there, and it is not a folder itself.

    Raises:
        InputError: not so.

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
    """Write a file under another name and rename it, so that a reader never meets half of it; its folder is made.

    Raises:
        InputError: it cannot be written.
    """
    raw = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(raw)
        temporary.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return path


def write_json(path: Path, content: Mapping[str, Any]) -> Path:
    """Write numbers as JSON; what is not finite, which JSON has no word for, becomes null."""
    return write_file(path, json.dumps(plain(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
    """Write a table as CSV (RFC 4180, but with plain line feeds)."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return write_file(path, text.getvalue())


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
