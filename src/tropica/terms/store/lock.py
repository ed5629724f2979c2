"""One run at a time in a folder: a lock that says whose it is, and that a run that was killed does not leave behind for good.

The file ``lock`` holds the owner as JSON: host, process, when. While the owner lives it holds a lock of the operating system
on the file, which ends with the process however that ends. Where the file comes from another host, whose file system may not
tell this one of its locks, the owner also touches the file every few seconds; one that is not touched is stale.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from pathlib import Path
from typing import IO, Any

from tropica.errors import StoreError

try:
    import fcntl
except ImportError:  # not on Windows: there the touched file is all there is
    fcntl = None

NAME = "lock"
BEAT = 5.0
"""Seconds between two touches."""
MISSED = 4
"""So many touches that did not come mean that the owner is gone."""
_held: set[Path] = set()
"""Folders that this process holds: the system's locks are one process's as a whole."""


class Lock:
    """The right to write to a folder, while the ``with`` block lasts.

    Raises:
        StoreError: another run has it; says which, on which host.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder.absolute() / NAME
        self.stale: str | None = None
        """Whose lock was found and no longer counts; None if there was none."""

    def __enter__(self) -> Lock:
        if self.path in _held:
            raise StoreError(f"{self.path.parent}: another extraction of this process writes to it")
        try:
            self._file = self._acquired()
        except OSError as error:
            if isinstance(error, StoreError):
                raise
            raise StoreError(f"{self.path.parent}: cannot be written to ({error.strerror})") from error
        _held.add(self.path)
        self._over = threading.Event()
        self._beating = threading.Thread(target=self._beat, daemon=True)
        self._beating.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._beating.join()
        _held.discard(self.path)
        with contextlib.suppress(OSError):
            self.path.unlink()
        with contextlib.suppress(OSError):
            self._file.close()

    def _acquired(self) -> IO[str]:
        """The file, locked, with this process as its owner."""
        while True:
            file = os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666), "r+")
            try:
                if not _locked(file):
                    raise StoreError(_refusal(self.path, _owner(file)))
                if not _same(file, self.path):  # its owner removed it in the meantime
                    file.close()
                    continue
                if found := _owner(file):
                    if found.get("host") != socket.gethostname() and _alive(self.path):
                        raise StoreError(_refusal(self.path, found))
                    self.stale = _whose(found)
                file.seek(0)
                file.truncate()
                json.dump({"host": socket.gethostname(), "process": os.getpid(), "since": _now()}, file)
                file.flush()
                os.fsync(file.fileno())
                return file
            except BaseException:
                file.close()
                raise

    def _beat(self) -> None:
        while not self._over.wait(BEAT):
            with contextlib.suppress(OSError):
                os.utime(self.path)


def _locked(file: IO[str]) -> bool:
    """Take the system's lock on an open file; False where another process has it."""
    if fcntl is None:
        return not _alive(Path(file.name)) if isinstance(file.name, str) and _owner(file) else True
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:  # a file system without locks
        return True
    return True


def _same(file: IO[str], path: Path) -> bool:
    """Is the open file still the one of that name?"""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _owner(file: IO[str]) -> dict[str, Any]:
    """What the file says of its owner; nothing where it is empty or damaged."""
    file.seek(0)
    try:
        found = json.loads(file.read(4096) or "{}")
    except (ValueError, RecursionError):
        return {"host": "an unknown host", "process": "?"}
    return found if isinstance(found, dict) else {}


def _alive(path: Path) -> bool:
    """Is the file touched while it is watched? No two hosts' clocks need to agree for that."""
    try:
        before = path.stat().st_mtime_ns
        for _ in range(4 * MISSED):
            time.sleep(BEAT / 4)
            if path.stat().st_mtime_ns != before:
                return True
    except FileNotFoundError:
        pass
    return False


def _whose(owner: dict[str, Any]) -> str:
    since = f", since {owner['since']}" if "since" in owner else ""
    return f"process {owner.get('process', '?')} on {owner.get('host', 'an unknown host')}{since}"


def _refusal(path: Path, owner: dict[str, Any]) -> str:
    return f"{path.parent}: another run writes to it ({_whose(owner)}); wait for it to end, or give another folder"


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S %z")
