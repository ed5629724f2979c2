"""`*.parquet` with coded images, in the layout of the Hugging Face hub."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from torch import Tensor

from tropica.data.arrays import as_labels
from tropica.data.labelled import LabelledData
from tropica.data.readers.images import stack_images
from tropica.data.readers.mapped import FileData, ParquetRows
from tropica.data.readers.request import FileRequest
from tropica.errors import DataError

CHUNK = 1024  # rows decoded at a time, within one row group


def load_parquet(request: FileRequest) -> LabelledData:
    """A struct column with a field `bytes` (the coded images), and a column of class numbers where there is one.

    Row groups are read one at a time. The labels are the column `label`, or else the first column of whole numbers.

    Raises:
        DataError: pyarrow is not installed, or the file is not of this layout.
    """
    arrow = _pyarrow()
    request.refuse_unknown_split("a single file")
    try:
        with arrow.parquet.ParquetFile(request.path) as file:
            image_column, label_column = _columns(arrow, file.schema_arrow, request)
            rows = file.metadata.num_rows
            count = rows if request.limit is None else min(request.limit, rows)
            inputs = stack_images(_coded(file, image_column, count, request), count)
            labels, classes = _labels(file, label_column, request)
    except (arrow.ArrowException, OSError) as error:
        raise DataError(f"{request.path} cannot be read as parquet: {error}") from error
    return request.deliver(inputs, None if labels is None else labels[:count], classes)


def open_parquet(request: FileRequest) -> FileData:
    """As :func:`load_parquet`, but images are decoded as they are asked for, and one row group is held at a time."""
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
    """The names of the column of images and of the column of labels (None where there is none)."""
    types = arrow.types
    images = [f.name for f in schema if types.is_struct(f.type) and f.type.get_field_index("bytes") >= 0]
    if not images:
        found = ", ".join(f"{f.name}: {f.type}" for f in schema)
        raise DataError(f"{request.path}: no column of coded images (a struct with a field 'bytes'); found {found}")
    whole = [f.name for f in schema if types.is_integer(f.type)]
    return images[0], "label" if "label" in whole else next(iter(whole), None)


def _coded(file: Any, column: str, count: int, request: FileRequest) -> Iterator[tuple[bytes, str]]:
    """The first `count` coded images, each with its place."""
    row = 0
    for batch in file.iter_batches(batch_size=CHUNK, columns=[f"{column}.bytes"]):
        for coded in batch.column(column).field("bytes").to_pylist():
            if row == count:
                return
            where = f"{request.path}: row {row}"
            if coded is None:
                raise DataError(f"{where}: the image has no bytes (a reference to a file of its own is not followed)")
            yield coded, where
            row += 1


def _labels(file: Any, column: str | None, request: FileRequest) -> tuple[Tensor | None, int | None]:
    """All labels of the file, and the number of classes."""
    if column is None:
        return None, None
    table = file.read(columns=[column]).column(column)
    if table.null_count:
        raise DataError(f"{request.path}: column {column}: {table.null_count} labels are missing")
    labels = as_labels(np.asarray(table.to_numpy()), f"{request.path}: column {column}")
    return labels, _named_classes(file.schema_arrow.metadata, column) or int(labels.max()) + 1 if len(labels) else None


def _named_classes(metadata: dict[bytes, bytes] | None, column: str) -> int | None:
    """The number of class names in the hub's own description of the file, where it has one."""
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        return len(features[column]["names"])
    except (KeyError, TypeError, ValueError):
        return None
