"""``*.npz``: NumPy archives, in the layout of the Keras data sets or with one set of points."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.lib.npyio import NpzFile

from tropica.data.arrays import as_inputs, as_labels, numpy_message
from tropica.data.labelled import LabelledData
from tropica.data.readers.columns import label_column, numbered_alike
from tropica.data.readers.request import FileRequest
from tropica.errors import DataError

POINTS = ("x", "X", "inputs", "data", "features", "images")
"""Usual names of an array of points."""
LABELS = ("y", "Y", "labels", "label", "target", "targets")
"""Usual names of an array of labels."""
SPLIT_SETS = (("x", "y"), ("X", "y"), ("X", "Y"))


def load_npz(request: FileRequest) -> LabelledData:
    """The arrays `x_train`, `y_train`, `x_test`, `y_test`; or one set, such as `x`, `y` or `data`, `target`.

    Labels may be absent. Nothing is unpickled. uint8 images are divided by 255.

    Raises:
        DataError: the archive has another layout, no arrays for this split, or several arrays could be the labels.
    """
    request.refuse_columns("an archive of arrays", label=False)
    with _opened(request.path) as archive:
        points, label = _keys(archive, request)
        inputs = as_inputs(archive[points], f"{request.path}: {points}")
        if label is None:
            return request.labelled(inputs, None)
        splits = replace(request, splits_inside=True) if label.endswith(f"_{request.split}") else request
    labels = numbered_alike(splits, lambda one: _labels(label, one), f"{request.path}: {label}")
    return request.labelled(inputs, labels)


def _labels(label: str, request: FileRequest) -> np.ndarray:
    """The labels of one split."""
    with _opened(request.path) as archive:
        key = f"{label.rpartition('_')[0]}_{request.split}" if request.splits_inside else label
        if key not in archive.files:
            return np.zeros(0, np.int64)
        array = archive[key]
        as_labels(array, f"{request.path}: {key}")
        return array.reshape(-1)


@contextmanager
def _opened(path: Path) -> Iterator[NpzFile]:
    """The archive at ``path``. Any error in reading it becomes a `DataError`."""
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, NpzFile):
            raise DataError(f"{path} is a single NumPy array, not an archive of named arrays (numpy.savez)")
        with archive:
            yield archive
    except DataError:
        raise
    # A damaged archive makes zipfile and NumPy raise nearly anything: BadZipFile, zlib.error, KeyError, NotImplementedError, …
    except Exception as error:
        raise DataError(f"{path} cannot be read as a NumPy archive of plain arrays: {numpy_message(error, path)}") from error


def _keys(archive: NpzFile, request: FileRequest) -> tuple[str, str | None]:
    """The names of the points and of their labels."""
    found = archive.files
    for x, y in SPLIT_SETS:
        points, labels = f"{x}_{request.split}", f"{y}_{request.split}"
        if points in found and (labels in found or (x, y) == SPLIT_SETS[0]):
            if request.label is not None:
                raise DataError(
                    f"{request.path}: label={request.label!r} is for archives with one set; found {', '.join(found)}"
                )
            if labels in found:
                return points, labels
            others = [name for name in found if not name.startswith((f"{x}_", f"{y}_"))]
            if others:
                raise DataError(f"{request.path}: are the labels of {points} in {', '.join(others)}? Name them {labels}")
            return points, None
    known = [name for name in POINTS if name in found]
    if len(known) != 1:
        accepted = ", ".join((f"x_{request.split}", *POINTS))
        what = f"several arrays of points, {', '.join(known)}" if known else f"no points for the {request.split} split"
        raise DataError(f"{request.path}: {what}; found arrays {', '.join(found) or 'none'}; accepted: {accepted}")
    request.refuse_unknown_split(f"arrays {', '.join(found)}")
    others = [name for name in found if name != known[0]]
    return known[0], label_column(others, request, LABELS)
