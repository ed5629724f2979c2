"""`load_data`: data sets by name, file or folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Literal, overload

from tropica.data.file_data import FileData
from tropica.data.labelled import SPLITS, LabelledData, Split
from tropica.data.readers.csv import load_csv
from tropica.data.readers.folder import load_folder
from tropica.data.readers.npy import open_npy
from tropica.data.readers.npz import load_npz
from tropica.data.readers.parquet import open_parquet
from tropica.data.readers.paths import locate_shorthand
from tropica.data.readers.request import FileRequest
from tropica.data.validate import validate_points
from tropica.errors import DataError
from tropica.runtime.arithmetic import own_settings
from tropica.studies.datasets.digits import load_digits
from tropica.studies.datasets.mnist1d import load_mnist1d
from tropica.studies.datasets.openml import load_openml

EMBEDDED = {"digits": load_digits, "mnist1d": load_mnist1d}
SHORTHANDS = {"mnist": "mnist.npz", "cifar10": "cifar10-{split}.parquet"}
WHOLE = {".npz": load_npz, ".csv": load_csv, ".tsv": load_csv}
BY_ROWS = {".npy": open_npy, ".parquet": open_parquet}
FILES = (".npz", ".parquet", ".npy", ".csv", ".tsv")
OPENML = "openml:"


@overload
def load_data(
    spec: str | os.PathLike[str],
    *,
    split: Split = "train",
    limit: int | None = None,
    lazy: Literal[False] = False,
    label: str | None = None,
    columns: Sequence[str] | None = None,
    targets: bool = False,
) -> LabelledData: ...
@overload
def load_data(
    spec: str | os.PathLike[str],
    *,
    split: Split = "train",
    limit: int | None = None,
    lazy: bool,
    label: str | None = None,
    columns: Sequence[str] | None = None,
    targets: bool = False,
) -> LabelledData | FileData: ...
@own_settings()
def load_data(
    spec: str | os.PathLike[str],
    *,
    split: Split = "train",
    limit: int | None = None,
    lazy: bool = False,
    label: str | None = None,
    columns: Sequence[str] | None = None,
    targets: bool = False,
) -> LabelledData | FileData:
    """The points and labels of a data set given by name, file or folder.

    Args:
        spec: `digits` or `mnist1d` (embedded); a path `*.npz`, `*.npy`, `*.parquet`, `*.csv` or `*.tsv`, or an image folder
            with one subfolder for each class; `openml:NAME`; `mnist` or `cifar10`, short for `mnist.npz` and
            `cifar10-{split}.parquet` in the folder that the environment variable TROPICA_DATA names. A relative path is looked
            up in the current folder first, then in TROPICA_DATA. `{split}` in a path stands for `train` or `test`; classes are
            numbered alike in both.
        split: `train` or `test`. A file with a single set of points is a train set, unless its path has `{split}`.
        limit: take at most this many points, from the start; None for all.
        lazy: read the points of a `.npy` or `.parquet` file batch by batch, and keep none in memory.
        label: the column of a table, or the array of an archive, that holds the labels; "" for none. By default the column
            `label`, or an array with a usual name (`y`, `labels`, `target`); where there is none, labels are not guessed.
            Strings are classes by sorted name.
        columns: the columns of a table that are the coordinates of the points, in this order; all but the labels by default.
        targets: the labels may be the targets of a regression: where they are no classes, such as floats or numbers below 0,
            they are left out, and belong neither to the points nor to the labels.

    Returns:
        Inputs (N, *shape) float32, images (channels, height, width) in [0, 1]; labels (N,) int64 or None; the names of classes
        and of the columns of a table. With `lazy` and a
        `.npy` or `.parquet` file, `FileData`, which is accepted wherever data is; its points are checked as they are read.

    Raises:
        DataError: the specification is unknown, the file is missing or has another layout, several columns could be the
            labels, a package is missing, or openml.org cannot be reached.
        InputError: a point has a NaN or an infinity.

    >>> load_data("digits", split="test", limit=100)
    LabelledData('digits', test: 100 points of shape (1, 8, 8), 10 classes)
    """
    if split not in SPLITS:
        raise DataError(f"the split must be one of {', '.join(SPLITS)}; found {split!r}")
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise DataError(f"the limit must be a whole number of points, 1 or more, or None; found {limit!r}")
    spec = os.fspath(spec)
    if columns is not None and (isinstance(columns, str) or not all(isinstance(name, str) for name in columns)):
        raise DataError(f"columns must be a list of names of columns; found {columns!r}")
    if label is not None and not isinstance(label, str):
        raise DataError(f"label must be the name of a column or array, or ''; found {label!r}")
    if lazy and (opener := BY_ROWS.get(_file_suffix(spec))):
        return opener(_file_request(spec, split, limit, label, columns, targets))
    data = _load(spec, split, limit, label, columns, targets)
    validate_points(data.inputs, data.input_shape, where=f"data {spec!r}")
    return data


def _file_suffix(spec: str) -> str:
    """The suffix of the file that a specification names; '' where it names no file."""
    return "" if spec in EMBEDDED or spec.startswith(OPENML) else os.path.splitext(SHORTHANDS.get(spec, spec))[1].lower()


def _load(
    spec: str, split: Split, limit: int | None, label: str | None, columns: Sequence[str] | None, targets: bool
) -> LabelledData:
    if (spec in EMBEDDED or spec.startswith(OPENML)) and (label is not None or columns is not None):
        raise DataError(f"label= and columns= name columns of a file; {spec!r} has its own labels")
    if spec in EMBEDDED:
        return EMBEDDED[spec](split, limit)
    if spec.startswith(OPENML):
        return load_openml(spec.removeprefix(OPENML), split, limit)
    request = _file_request(spec, split, limit, label, columns, targets)
    if request.path.is_dir():
        return load_folder(request)
    suffix = request.path.suffix.lower()
    return BY_ROWS[suffix](request).in_memory() if suffix in BY_ROWS else WHOLE[suffix](request)


def _file_request(
    spec: str, split: Split, limit: int | None, label: str | None, columns: Sequence[str] | None, targets: bool
) -> FileRequest:
    """The request for a file or folder that exists and is of a known kind."""
    if spec in SHORTHANDS:
        return FileRequest.from_spec(locate_shorthand(spec, SHORTHANDS[spec]), split, limit, label, columns, targets)
    accepted = [*EMBEDDED, *SHORTHANDS, *(f"*{suffix}" for suffix in FILES), "an image folder", f"{OPENML}NAME"]
    hint = f"data may be {', '.join(accepted)}"
    try:
        request = FileRequest.from_spec(spec, split, limit, label, columns, targets)
    except DataError as error:  # perhaps a mistyped name rather than a path
        raise DataError(f"{error}; {hint}") from error
    if not request.path.is_dir() and request.path.suffix.lower() not in FILES:
        raise DataError(f"{request.path}: this kind of file is not known; {hint}")
    return request
