"""``*.csv`` and ``*.tsv``: tables whose first line names the columns."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch

from tropica.data.labelled import LabelledData
from tropica.data.readers.columns import feature_columns, label_column, numbered_alike
from tropica.data.readers.request import FileRequest
from tropica.data.readers.tables import refuse_large_integers
from tropica.errors import DataError


def load_csv(request: FileRequest) -> LabelledData:
    """The points (N, d) of a table: numbers in named columns, with the names as ``feature_names``.

    Raises:
        DataError: the file is no table with a first line of names, or a column of points holds anything but numbers.
    """
    request.refuse_unknown_split("a single table")
    names = _header(request)
    label = label_column(names, request)
    features = feature_columns(names, label, request)
    table = _read(request)  # all columns: where some are chosen, pandas does not see that a line has too many entries
    columns = [_numbers(table[name], name, request) for name in features]
    inputs = torch.from_numpy(np.stack(columns, 1).astype(np.float32)) if len(table) else torch.empty(0, len(features))
    if label is None or not len(table):
        return request.labelled(inputs, None, features)
    labels = numbered_alike(request, lambda one: _label_texts(label, one), f"{request.path}: column {label}")
    return request.labelled(inputs, labels, features)


def _read(request: FileRequest, **settings: Any) -> Any:
    import pandas  # slow to import

    separator = "\t" if request.path.suffix.lower() == ".tsv" else ","
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pandas.errors.ParserWarning)  # lines with more entries than names lose data
            return pandas.read_csv(request.path, sep=separator, low_memory=False, index_col=False, **settings)
    except pandas.errors.ParserWarning as error:
        raise DataError(f"{request.path}: lines have more entries than the first line has names") from error
    except (ValueError, OSError, OverflowError) as error:  # pandas' own errors are ValueErrors
        text = " ".join(str(error).split())
        raise DataError(f"{request.path} cannot be read as a table: {text}") from error


def _header(request: FileRequest) -> list[str]:
    """The names of the columns."""
    names = [str(name) for name in _read(request, nrows=0).columns]
    unnamed = [i for i, name in enumerate(names) if name.startswith("Unnamed: ")]
    if unnamed and request.columns is None:
        raise DataError(
            f"{request.path}: column {unnamed[0] + 1} has no name in the first line; name it, or give the columns to read as "
            "columns=['NAME', …]"
        )
    if names and all(_is_number(name) for name in names):
        raise DataError(f"{request.path}: the first line must name the columns; found {', '.join(names[:5])}")
    return names


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _numbers(column: Any, name: str, request: FileRequest) -> np.ndarray:
    import pandas

    values = pandas.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    missing = np.isnan(values)
    if missing.any():
        row = int(missing.argmax())
        found = column.iloc[row]
        what = "is empty" if pandas.isna(found) else f"has {found!r}"
        raise DataError(f"{request.path}: row {row}, column {name}: a number is needed; the entry {what}")
    if column.dtype.kind in "iu":
        refuse_large_integers(values, name, request)
    return values


def _label_texts(column: str, request: FileRequest) -> np.ndarray:
    """The labels of one file as numbers, booleans or names."""
    table = _read(request, usecols=[column], dtype=str, keep_default_na=False)
    texts = table[column].tolist()
    empty = [row for row, text in enumerate(texts) if not isinstance(text, str) or not text.strip()]
    if empty:
        raise DataError(f"{request.path}: column {column}: {len(empty)} labels are missing; the first is in row {empty[0]}")
    return _parsed([text.strip() for text in texts])


def _parsed(stripped: list[str]) -> np.ndarray:
    """Texts as whole numbers, booleans or floats where all of them are; else as they stand."""
    if {text.lower() for text in stripped} <= {"true", "false"}:
        return np.array([text.lower() == "true" for text in stripped])
    try:
        top = 2**63 - 1  # larger numbers are refused as class numbers in any case
        return np.array([max(-top, min(top, int(text))) for text in stripped], dtype=np.int64)
    except ValueError:
        pass
    try:
        return np.array([float(text) for text in stripped])
    except ValueError:
        return np.array(stripped, dtype=object)
