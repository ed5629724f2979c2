"""The location of a data file: the given path, or the same path in the folder that TROPICA_DATA names."""

from __future__ import annotations

import os
from pathlib import Path

from tropica.data.labelled import Split
from tropica.errors import DataError

VARIABLE = "TROPICA_DATA"
PLACEHOLDER = "{split}"


def data_folder() -> Path | None:
    """The folder named by TROPICA_DATA, or None if the variable is not set."""
    value = os.environ.get(VARIABLE)
    return Path(value).expanduser() if value else None


def locate(spec: str, split: Split) -> Path:
    """The file or folder that ``spec`` names, with ``{split}`` replaced. A relative path that does not exist is looked
    up in TROPICA_DATA.

    Raises:
        DataError: there is no such file or folder; the message lists the paths that were tried.

    >>> locate("nowhere-{split}.npz", "test")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    tropica.errors.DataError: no data at nowhere-test.npz...
    """
    path = Path(spec.replace(PLACEHOLDER, split)).expanduser()
    if path.exists():
        return path
    folder = data_folder()
    if path.is_absolute():
        raise DataError(f"no data at {path}")
    if folder is None:
        raise DataError(f"no data at {path} (set {VARIABLE} to a folder for it to be looked up there too)")
    if not (folder / path).exists():
        raise DataError(f"no data at {path}, nor at {folder / path} ({VARIABLE})")
    return folder / path


def locate_shorthand(name: str, file: str) -> str:
    """The path of ``file`` in TROPICA_DATA, for which ``name`` is short.

    Raises:
        DataError: TROPICA_DATA is not set.
    """
    folder = data_folder()
    if folder is None:
        raise DataError(f"{name!r} is short for ${VARIABLE}/{file}: set {VARIABLE} to the folder that holds this file")
    return str(folder / file)


def data_name(spec: str) -> str:
    """A name for the data at ``spec``: the stem of the file name without the split.

    >>> data_name("sets/cifar10-{split}.parquet"), data_name("sets/cats/{split}.npz"), data_name("faces/")
    ('cifar10', 'cats', 'faces')
    """
    path = Path(spec)
    return path.stem.replace(PLACEHOLDER, "").strip("-_. ") or path.parent.name or "data"
