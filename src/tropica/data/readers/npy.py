"""``*.npy``: one NumPy array of points, memory-mapped."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from tropica.data.arrays import as_inputs, numpy_message
from tropica.data.file_data import FileData, FileRows
from tropica.data.readers.columns import numbered_alike
from tropica.data.readers.request import FileRequest
from tropica.errors import DataError


class NpyRows(FileRows):
    """A memory-mapped array. uint8 images are divided by 255, and their channels come first, as in ``.npz`` files."""

    def __init__(self, path: Path, limit: int | None) -> None:
        array = _load(path, "r")
        if not isinstance(array, np.memmap):
            raise DataError(f"{path} is an archive of arrays, not a single one; name it *.npz")
        if array.ndim < 2 or len(array) == 0:
            raise DataError(f"{path}: points must be an array (N, *shape) with N > 0; found shape {array.shape}")
        self._array = array[:limit]
        self._where = str(path)
        self.shape = (len(self._array), *self[0:1].shape[1:])

    def __getitem__(self, part: slice) -> Tensor:
        points = as_inputs(np.asarray(self._array[part]), self._where)  # a copy
        base: Any = self._array
        while isinstance(base, np.ndarray):
            base = base.base
        if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            base.madvise(mmap.MADV_DONTNEED)  # pages that were read would count as this process's memory
        return points


def open_npy(request: FileRequest) -> FileData:
    """The points of a ``.npy`` file, with the labels of ``NAME.labels.npy`` if that file exists.

    Raises:
        DataError: the file does not hold an array of points, or there are fewer labels than points.
    """
    request.refuse_unknown_split("a single array")
    request.refuse_columns("an array")
    rows = NpyRows(request.path, request.limit)
    path = request.path.with_suffix(".labels.npy")
    if not path.exists():
        return FileData(rows, None, request.name, None, request.split)
    labels = numbered_alike(request, lambda one: _load(one.path.with_suffix(".labels.npy")), str(path))
    if labels is None:
        return FileData(rows, None, request.name, None, request.split)
    if len(labels.numbers) < len(rows):
        raise DataError(f"{path}: {len(labels.numbers)} labels for {len(rows)} points")
    return FileData(rows, labels.numbers[: len(rows)], request.name, labels.num_classes, request.split, labels.names)


def _load(path: Path, mmap_mode: Any = None) -> np.ndarray:
    try:
        return np.load(path, mmap_mode=mmap_mode, allow_pickle=False)
    except Exception as error:  # a damaged header makes NumPy raise SyntaxError, OverflowError, MemoryError, …
        raise DataError(f"{path} cannot be read as a NumPy array: {numpy_message(error, path)}") from error
