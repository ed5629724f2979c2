"""Data that stays in its file and is read as it is needed: a memory-mapped ``.npy``, the row groups of a ``.parquet``."""

from __future__ import annotations

import mmap
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from tropica.data.arrays import as_inputs, as_labels, why_unreadable
from tropica.data.labelled import LabelledData, Split
from tropica.data.readers.images import stack_images
from tropica.data.readers.request import FileRequest
from tropica.errors import DataError


class Rows(ABC):
    """Points (N, *shape) in a file: ``rows[a:b]`` reads them as a float32 tensor."""

    shape: tuple[int, ...]

    def __len__(self) -> int:
        return self.shape[0]

    @abstractmethod
    def __getitem__(self, part: slice) -> Tensor:
        """Some consecutive points."""


@dataclass(frozen=True, eq=False, repr=False)
class FileData:
    """Points in a file, with the class of each where it is known: like :class:`LabelledData`, but read batch by batch.

    Made by ``load_data(spec, lazy=True)``.
    """

    rows: Rows
    labels: Tensor | None
    name: str
    num_classes: int | None = None
    split: Split = "train"

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one point."""
        return self.rows.shape[1:]

    def __repr__(self) -> str:
        return f"FileData({self.name!r}, {self.split}: {len(self)} points of shape {self.input_shape})"


class NpyRows(Rows):
    """A ``.npy`` file, memory-mapped; uint8 images are divided by 255 and channels brought to the front, as in ``.npz``."""

    def __init__(self, path: Path, limit: int | None) -> None:
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            raise DataError(f"{path} cannot be read as a NumPy array: {why_unreadable(error)}") from error
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
            base.madvise(mmap.MADV_DONTNEED)  # what was read need not stay in this process's memory
        return points


class ParquetRows(Rows):
    """Coded images in a column of a ``.parquet`` file, decoded as they are asked for; one row group is held."""

    def __init__(self, file: Any, column: str, path: Path, count: int) -> None:
        self._file, self._column, self._path = file, column, path
        sizes = [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]
        self._firsts = np.cumsum([0, *sizes])
        self._held: tuple[int, list[bytes | None]] = (-1, [])
        self.shape = (count, *self._decoded(range(1)).shape[1:])

    def __getitem__(self, part: slice) -> Tensor:
        return self._decoded(range(*part.indices(len(self))))

    def _decoded(self, rows: Sequence[int]) -> Tensor:
        return stack_images(((self._coded(row), f"{self._path}: row {row}") for row in rows), len(rows))

    def _coded(self, row: int) -> bytes:
        group = int(np.searchsorted(self._firsts, row, "right")) - 1
        if group != self._held[0]:
            import pyarrow

            try:
                table = self._file.read_row_group(group, columns=[f"{self._column}.bytes"])
            except (pyarrow.ArrowException, OSError) as error:
                raise DataError(f"{self._path}: row group {group} cannot be read: {error}") from error
            self._held = (group, [image["bytes"] for image in table.column(self._column).to_pylist()])
        coded = self._held[1][row - int(self._firsts[group])]
        if coded is None:
            raise DataError(
                f"{self._path}: row {row}: the image has no bytes (a reference to a file of its own is not followed)"
            )
        return coded


def open_npy(request: FileRequest) -> FileData:
    """A ``.npy`` file of points; labels, where there are any, in ``NAME.labels.npy`` beside it."""
    request.refuse_unknown_split("a single array")
    rows = NpyRows(request.path, request.limit)
    beside = request.path.with_suffix(".labels.npy")
    labels, classes = None, None
    if beside.exists():
        try:
            every = as_labels(np.load(beside, allow_pickle=False), str(beside))
        except (ValueError, OSError, EOFError) as error:
            raise DataError(f"{beside} cannot be read as a NumPy array: {why_unreadable(error)}") from error
        if len(every) < len(rows):
            raise DataError(f"{beside}: {len(every)} labels for {len(rows)} points")
        labels, classes = every[: len(rows)], int(every.max()) + 1
    return FileData(rows, labels, request.name, classes, request.split)


def load_npy(request: FileRequest) -> LabelledData:
    """A ``.npy`` file of points, read whole."""
    data = open_npy(request)
    return request.deliver(data.rows[0 : len(data)], data.labels, data.num_classes)
