"""Where a data file lies: as given, or in the folder that the environment variable TROPICA_DATA names."""

from __future__ import annotations

import os
from pathlib import Path

from tropica.data.labelled import Split
from tropica.errors import DataError

VARIABLE = "TROPICA_DATA"
PLACEHOLDER = "{split}"


def data_folder() -> Path | None:
    """The folder named by TROPICA_DATA, or None where it is not set."""
    value = os.environ.get(VARIABLE)
    return Path(value).expanduser() if value else None


def locate(spec: str, split: Split) -> Path:
    """The file or folder that `spec` names, `{split}` replaced; a relative path is looked up in TROPICA_DATA second.

    Raises:
        DataError: nothing is there; the message lists the places looked at.

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
    """The specification of `file` in TROPICA_DATA, for which `name` is short.

    Raises:
        DataError: TROPICA_DATA is not set.
    """
    folder = data_folder()
    if folder is None:
        raise DataError(f"{name!r} is short for ${VARIABLE}/{file}: set {VARIABLE} to the folder that holds this file")
    return str(folder / file)


def data_name(spec: str) -> str:
    """A name for the data at `spec`: the file's stem without the split.

    >>> data_name("sets/cifar10-{split}.parquet"), data_name("sets/cats/{split}.npz"), data_name("faces/")
    ('cifar10', 'cats', 'faces')
    """
    path = Path(spec)
    return path.stem.replace(PLACEHOLDER, "").strip("-_. ") or path.parent.name or "data"
