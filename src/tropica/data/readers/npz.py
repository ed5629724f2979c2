"""``*.npz``: NumPy archives, in the layout of the Keras data sets or with one set of points."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.lib.npyio import NpzFile

from tropica.data.arrays import as_inputs, as_labels, numpy_message
from tropica.data.labelled import LabelledData
from tropica.data.readers.request import FileRequest
from tropica.errors import DataError

SINGLE_SETS = (("x", "y"), ("inputs", "labels"))


def load_npz(request: FileRequest) -> LabelledData:
    """The arrays `x_train`, `y_train`, `x_test`, `y_test`; or `x`, `y`; or `inputs`, `labels`. Labels may be absent.

    Nothing is unpickled. uint8 images are divided by 255.

    Raises:
        DataError: the archive has another layout, or no arrays for this split.
    """
    with _opened(request.path) as archive:
        points_key, labels_key, labels_keys = _keys(archive.files, request)
        labels = {key: as_labels(archive[key], f"{request.path}: {key}") for key in labels_keys if key in archive.files}
        inputs = as_inputs(archive[points_key], f"{request.path}: {points_key}")
    # The classes of the whole data set are counted, as one split or its first points may lack some.
    classes = max((int(values.max()) + 1 for values in labels.values() if len(values)), default=None)
    return request.labelled(inputs, labels.get(labels_key), classes)


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
    except (zipfile.BadZipFile, zlib.error, ValueError, OSError, EOFError) as error:
        raise DataError(f"{path} cannot be read as a NumPy archive of plain arrays: {numpy_message(error)}") from error


def _keys(found: list[str], request: FileRequest) -> tuple[str, str, tuple[str, ...]]:
    """The names of the points, of their labels, and of all labels of the set."""
    if f"x_{request.split}" in found:
        return f"x_{request.split}", f"y_{request.split}", ("y_train", "y_test")
    for points, labels in SINGLE_SETS:
        if points in found:
            request.refuse_unknown_split(f"arrays {', '.join(found)}")
            return points, labels, (labels,)
    raise DataError(
        f"{request.path}: no points for the {request.split} split; found arrays {', '.join(found) or 'none'}; "
        f"accepted: x_{request.split}, x, inputs"
    )
