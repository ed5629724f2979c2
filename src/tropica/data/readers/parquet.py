"""``*.parquet`` with encoded images, in the layout of the Hugging Face hub."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from tropica.data.arrays import as_labels
from tropica.data.file_data import FileData, FileRows
from tropica.data.readers.images import stack_images
from tropica.data.readers.request import FileRequest
from tropica.errors import DataError


class ParquetRows(FileRows):
    """Encoded images in one column, decoded on access. One row group is held in memory."""

    def __init__(self, file: Any, column: str, path: Path, count: int) -> None:
        self._file, self._column, self._path = file, column, path
        sizes = [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]
        self._firsts = np.cumsum([0, *sizes])
        self._cached: tuple[int, list[bytes | None]] = (-1, [])
        self.shape = (count, *self._decoded(range(1)).shape[1:])

    def __getitem__(self, part: slice) -> Tensor:
        return self._decoded(range(*part.indices(len(self))))

    def _decoded(self, rows: Sequence[int]) -> Tensor:
        return stack_images(((self._encoded(row), f"{self._path}: row {row}") for row in rows), len(rows))

    def _encoded(self, row: int) -> bytes:
        group = int(np.searchsorted(self._firsts, row, "right")) - 1
        if group != self._cached[0]:
            self._cached = (group, self._read_group(group))
        coded = self._cached[1][row - int(self._firsts[group])]
        if coded is None:
            raise DataError(f"{self._path}: row {row}: the image has no bytes (references to separate files are not followed)")
        return coded

    def _read_group(self, group: int) -> list[bytes | None]:
        try:
            table = self._file.read_row_group(group, columns=[f"{self._column}.bytes"])
        except (_pyarrow().ArrowException, OSError) as error:
            raise DataError(f"{self._path}: row group {group} cannot be read as parquet: {error}") from error
        return table.column(self._column).combine_chunks().field("bytes").to_pylist()


def open_parquet(request: FileRequest) -> FileData:
    """The images in a struct column with a field ``bytes`` (encoded images), with a column of class numbers if there is one.

    The labels are the column ``label``, or else the first column of whole numbers.

    Raises:
        DataError: pyarrow is not installed, or the file does not have this layout.
    """
    arrow = _pyarrow()
    request.refuse_unknown_split("a single file")
    try:
        file = arrow.parquet.ParquetFile(request.path)
        image_column, label_column = _columns(arrow, file.schema_arrow, request)
        rows = file.metadata.num_rows
        count = rows if request.limit is None else min(request.limit, rows)
        if count == 0:
            raise DataError(f"{request.name}: there are no points in the {request.split} split")
        labels, classes = _labels(file, label_column, request)
        points = ParquetRows(file, image_column, request.path, count)
    except (arrow.ArrowException, OSError) as error:
        raise DataError(f"{request.path} cannot be read as parquet: {error}") from error
    return FileData(points, None if labels is None else labels[:count], request.name, classes, request.split)


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise DataError("reading *.parquet needs pyarrow: pip install 'tropica[parquet]'") from error
    return pyarrow


def _columns(arrow: Any, schema: Any, request: FileRequest) -> tuple[str, str | None]:
    """The names of the column of images and of the column of labels (None if there is none)."""
    types = arrow.types
    images = [f.name for f in schema if types.is_struct(f.type) and f.type.get_field_index("bytes") >= 0]
    if not images:
        found = ", ".join(f"{f.name}: {f.type}" for f in schema)
        raise DataError(f"{request.path}: no column of encoded images (a struct with a field 'bytes'); found {found}")
    whole = [f.name for f in schema if types.is_integer(f.type)]
    return images[0], "label" if "label" in whole else next(iter(whole), None)


def _labels(file: Any, column: str | None, request: FileRequest) -> tuple[Tensor | None, int | None]:
    """All labels of the file, and the number of classes."""
    if column is None:
        return None, None
    table = file.read(columns=[column]).column(column)
    if table.null_count:
        raise DataError(f"{request.path}: column {column}: {table.null_count} labels are missing")
    labels = as_labels(np.asarray(table.to_numpy()), f"{request.path}: column {column}")
    return labels, _named_classes(file.schema_arrow.metadata, column) or int(labels.max()) + 1


def _named_classes(metadata: dict[bytes, bytes] | None, column: str) -> int | None:
    """The number of class names in the description of the file by the hub, or None without a description."""
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        return len(features[column]["names"])
    except (KeyError, TypeError, ValueError):
        return None
