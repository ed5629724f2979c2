"""``*.parquet``: encoded images in the layout of the Hugging Face hub, or tables of numbers in named columns."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tropica.data.arrays import Labels
from tropica.data.file_data import FileData, FileRows
from tropica.data.readers.columns import feature_columns, label_column, numbered_alike
from tropica.data.readers.images import stack_images
from tropica.data.readers.request import FileRequest
from tropica.data.readers.tables import refuse_large_integers
from tropica.errors import DataError


class RowGroups:
    """The rows of some columns of a parquet file, read group by group. One group is held in memory."""

    def __init__(self, file: Any, columns: Sequence[str], request: FileRequest, decode: Callable[[Any], Any]) -> None:
        self._file, self._columns, self.request, self._decode = file, list(columns), request, decode
        sizes = [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]
        self._firsts = np.cumsum([0, *sizes])
        self._cached: tuple[int, Any] = (-1, None)

    def parts(self, rows: range) -> list[tuple[int, Any]]:
        """The decoded rows of a range, as pieces of groups, each with the number of its first row."""
        found: list[tuple[int, Any]] = []
        row = rows.start
        while row < rows.stop:
            group = int(np.searchsorted(self._firsts, row, "right")) - 1
            first, last = int(self._firsts[group]), int(self._firsts[group + 1])
            stop = min(last, rows.stop)
            found.append((row, self._group(group)[row - first : stop - first]))
            row = stop
        return found

    def _group(self, group: int) -> Any:
        if group != self._cached[0]:
            try:
                table = self._file.read_row_group(group, columns=self._columns)
                self._cached = (group, self._decode(table))
            except DataError:
                raise
            # A damaged file makes pyarrow raise its own errors, OSError, ValueError, KeyError, …
            except Exception as error:
                raise DataError(f"{self.request.path}: row group {group} cannot be read as parquet: {error}") from error
        return self._cached[1]


class ImageRows(FileRows):
    """Encoded images in one column, decoded on access."""

    def __init__(self, file: Any, column: str, request: FileRequest, count: int) -> None:
        def encoded(table: Any) -> list[bytes | None]:
            return table.column(column).combine_chunks().flatten()[0].to_pylist()  # also null where the struct is

        self._groups = RowGroups(file, [f"{column}.bytes"], request, encoded)
        self._channels: int | None = None
        self.shape = (count, *self._decoded(range(1)).shape[1:])
        self._channels = self.shape[1]

    def __getitem__(self, part: slice) -> Tensor:
        return self._decoded(range(*part.indices(len(self))))

    def _decoded(self, rows: range) -> Tensor:
        path = self._groups.request.path
        images: list[tuple[bytes, str]] = []
        for first, encoded in self._groups.parts(rows):
            for row, coded in enumerate(encoded, first):
                if coded is None:
                    raise DataError(
                        f"{path}: row {row}: the image is null, or has no bytes (references to separate files are not followed)"
                    )
                images.append((coded, f"{path}: row {row}"))
        return stack_images(images, len(images), channels=self._channels)


class TableRows(FileRows):
    """Numbers in named columns, one coordinate a column."""

    def __init__(self, file: Any, columns: Sequence[str], request: FileRequest, count: int) -> None:
        self._columns, self._request = columns, request
        self._groups = RowGroups(file, columns, request, self._numbers)
        self.shape = (count, len(columns))

    def __getitem__(self, part: slice) -> Tensor:
        parts = self._groups.parts(range(*part.indices(len(self))))
        return torch.from_numpy(np.concatenate([rows for _, rows in parts])) if parts else torch.empty(0, len(self._columns))

    def _numbers(self, table: Any) -> np.ndarray:
        found = np.empty((table.num_rows, len(self._columns)), np.float32)
        for i, name in enumerate(self._columns):
            column = table.column(name)
            if column.null_count:
                row = int(np.argmax(column.is_null().to_numpy()))
                raise DataError(
                    f"{self._request.path}: column {name}: {column.null_count} numbers are missing (row {row} of a group)"
                )
            values = column.to_numpy()
            if values.dtype.kind in "iu":
                refuse_large_integers(values.astype(np.float64), name, self._request)
            found[:, i] = values
        return found


def open_parquet(request: FileRequest) -> FileData:
    """The points of a file: the images in a struct column with a field ``bytes``, or numbers in named columns.

    The labels are the column ``label``, or the one that the request names.

    Raises:
        DataError: pyarrow is not installed, the file does not have this layout, or several columns could hold the labels.
    """
    arrow = _pyarrow()
    request.refuse_unknown_split("a single file")
    try:
        return _opened(arrow, request)
    except DataError:
        raise
    # A damaged file makes pyarrow raise its own errors, OSError, ValueError, KeyError, …
    except Exception as error:
        raise DataError(f"{request.path} cannot be read as parquet: {error}") from error


def _opened(arrow: Any, request: FileRequest) -> FileData:
    file = arrow.parquet.ParquetFile(request.path)
    schema, rows = file.schema_arrow, file.metadata.num_rows
    count = rows if request.limit is None else min(request.limit, rows)
    if count == 0:
        raise DataError(f"{request.name}: there are no points in the {request.split} split")
    if twice := [name for name in schema.names if schema.names.count(name) > 1]:
        raise DataError(f"{request.path}: several columns have the name {twice[0]!r}; columns are told apart by their names")
    image = _image_column(arrow.types, schema, request)
    if image is not None:
        label = label_column([name for name in schema.names if name != image], request)
        points: FileRows = ImageRows(file, image, request, count)
        features = None
    else:
        label = label_column(schema.names, request)
        features = feature_columns(schema.names, label, request)
        _check_numbers(arrow.types, schema, features, request)
        points = TableRows(file, features, request, count)
    names = (None if features is None else tuple(features),)
    labels = None if label is None else _labels(arrow, label, request)
    if labels is None:
        return FileData(points, None, request.name, None, request.split, None, *names)
    return FileData(points, labels.numbers[:count], request.name, labels.num_classes, request.split, labels.names, *names)


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise DataError("reading *.parquet needs pyarrow: pip install 'tropica[parquet]'") from error
    return pyarrow


def _image_column(types: Any, schema: Any, request: FileRequest) -> str | None:
    """The column of encoded images; None for a table without one."""
    images = [f.name for f in schema if types.is_struct(f.type) and f.type.get_field_index("bytes") >= 0]
    if request.columns is not None:
        chosen = [name for name in request.columns if name in images]
        if not chosen:
            return None
        images = chosen if len(request.columns) == 1 else []
    elif len(images) <= 1:
        return images[0] if images else None
    if len(images) != 1:
        raise DataError(f"{request.path}: several columns of images: give one of them as columns=['NAME']")
    return images[0]


def _check_numbers(types: Any, schema: Any, features: Sequence[str], request: FileRequest) -> None:
    for name in features:
        kind = schema.field(name).type
        if not (types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)):
            raise DataError(
                f"{request.path}: column {name} is {kind}; points are numbers, or encoded images (a struct with a field "
                "'bytes'); leave it out by columns=['NAME', …]"
            )


def _labels(arrow: Any, column: str, request: FileRequest) -> Labels | None:
    """All labels of the file, numbered alike in all splits."""
    metadata = arrow.parquet.ParquetFile(request.path).schema_arrow.metadata
    found = numbered_alike(request, lambda one: _label_array(arrow, column, one), f"{request.path}: column {column}")
    names = _named_classes(metadata, column)
    if found is None or names is None or found.names is not None:
        return found
    if found.num_classes > len(names):
        raise DataError(f"{request.path}: column {column}: {len(names)} class names for labels up to {found.num_classes - 1}")
    return replace(found, num_classes=len(names), names=names)


def _label_array(arrow: Any, column: str, request: FileRequest) -> np.ndarray:
    """The labels of one file."""
    file = arrow.parquet.ParquetFile(request.path)
    if column not in file.schema_arrow.names:
        raise DataError(f"{request.path}: there is no column {column!r} of labels")
    table, kind = file.read(columns=[column]).column(column), file.schema_arrow.field(column).type
    if arrow.types.is_dictionary(kind):
        table, kind = table.cast(kind.value_type), kind.value_type
    if table.null_count:
        raise DataError(f"{request.path}: column {column}: {table.null_count} labels are missing")
    if not any(is_kind(kind) for is_kind in (arrow.types.is_integer, arrow.types.is_boolean, *_strings(arrow.types))):
        raise DataError(
            f"{request.path}: column {column}: labels must be whole numbers, names or booleans; the column is {kind}"
        )
    return np.asarray(table.to_numpy())


def _strings(types: Any) -> tuple[Callable[[Any], bool], ...]:
    return types.is_string, types.is_large_string


def _named_classes(metadata: dict[bytes, bytes] | None, column: str) -> tuple[str, ...] | None:
    """The class names in the description of the file by the hub, or None without a description."""
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        return tuple(str(name) for name in features[column]["names"])
    except (KeyError, TypeError, ValueError):
        return None
