"""Compiled kernels of the region engine (numba): pure loops over arrays.

Compiled code is kept in the user's cache folder, under a key of all kernel sources and of numba's version: numba notices
a changed file, but not a changed import.
"""

from __future__ import annotations

import hashlib
import os
import sys
from importlib import import_module
from pathlib import Path

import numba

_MODULES = ("bits", "signs", "maps", "geometry", "volume", "cut", "copies", "windows", "output", "next_map", "search")


def sources_key(folder: Path) -> str:
    """A hash of all Python files of a folder and of numba's version.

    >>> len(sources_key(Path(__file__).parent))
    16
    """
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted(folder.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def cache_folder() -> Path:
    """Where compiled kernels are kept: under ``NUMBA_CACHE_DIR`` if that is set, else in the user's cache folder."""
    own = os.environ.get("NUMBA_CACHE_DIR")
    if own:
        base = Path(own)
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return base / "tropica" / f"kernels-{sources_key(Path(__file__).parent)}"


def _import_kernels() -> None:
    """Import the kernels with numba's cache in the folder of their key; other code keeps its own."""
    before = numba.config.CACHE_DIR  # type: ignore[attr-defined]
    numba.config.CACHE_DIR = str(cache_folder())  # type: ignore[attr-defined]
    try:
        for name in _MODULES:
            import_module(f"{__name__}.{name}")
    finally:
        numba.config.CACHE_DIR = before  # type: ignore[attr-defined]


_import_kernels()
