"""Files that are whole or not there, whenever the process or the machine stops."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from pathlib import Path

TEMPORARY = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{12}~")
"""The names of files that :func:`replace_file` has not finished; they stay where the process is killed while it writes."""


def replace_file(path: Path, content: bytes | str) -> None:
    """Write a file whole or not at all, and durably.

    The content goes to another name beside it, is flushed to disk, and renamed; then the folder is flushed too, so that not
    even a power cut undoes the renaming. A reader meets the old content or the new one, nothing between.

    Args:
        path: the file; its folder must be there.
        content: what it is to hold; text as UTF-8.

    Raises:
        OSError: it cannot be written; the old file, if there was one, is as it was, and nothing else is left.

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
    """Make a renaming durable; some systems and file systems cannot open or flush folders, and need not."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
