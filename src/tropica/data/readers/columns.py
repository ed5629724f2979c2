"""Which columns of a table hold the labels and the points: asked for by name, and never guessed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from tropica.data.arrays import Labels, as_labels
from tropica.data.readers.request import FileRequest
from tropica.errors import DataError

LABEL = "label"
"""The name of a column of labels that needs no asking."""
NO_LABELS = ""


def label_column(names: Sequence[str], request: FileRequest, usual: Sequence[str] = (LABEL,)) -> str | None:
    """The column of labels: the one asked for, or the one with the usual name; None where there are no labels.

    Args:
        names: the columns that could hold labels.
        request: what was asked for.
        usual: names that are labels without asking.

    Raises:
        DataError: the column asked for does not exist, or several columns could be meant and none is asked for.
    """
    if request.label == NO_LABELS or not names:
        return None
    if request.label is not None:
        if request.label not in names:
            raise DataError(f"{request.path}: there is no column {request.label!r} of labels; found {_listed(names)}")
        return request.label
    known = [name for name in usual if name in names]
    if len(known) == 1:
        return known[0]
    raise DataError(
        f"{request.path}: which of these has the labels: {_listed(names)}? Give it as label='NAME' (--label NAME); "
        "label='' takes the points without labels"
    )


def feature_columns(names: Sequence[str], label: str | None, request: FileRequest) -> list[str]:
    """The columns that are the coordinates of the points: those asked for, or all but that of the labels.

    Raises:
        DataError: a column asked for does not exist, or none is left.
    """
    chosen = [name for name in names if name != label] if request.columns is None else list(request.columns)
    missing = [name for name in chosen if name not in names]
    if missing:
        raise DataError(f"{request.path}: there is no column {missing[0]!r}; found {_listed(names)}")
    if not chosen:
        raise DataError(f"{request.path}: no columns are left for the points; found {_listed(names)}")
    return chosen


def numbered_alike(request: FileRequest, read: Callable[[FileRequest], np.ndarray], where: str) -> Labels | None:
    """The labels of one split, with classes numbered as in all splits whose files exist: one of them may lack some classes.

    None for labels that are no classes, where the request allows the targets of a regression.
    """
    try:
        return _numbered_alike(request, read, where)
    except DataError:
        if request.targets:
            return None
        raise


def _numbered_alike(request: FileRequest, read: Callable[[FileRequest], np.ndarray], where: str) -> Labels:
    arrays = {one.split: read(one) for one in request.splits()}
    kinds = {array.dtype.kind in "UO" for array in arrays.values()}
    for array in arrays.values() if len(kinds) > 1 else ():
        as_labels(array, where)
    if len(kinds) > 1:
        raise DataError(f"{where}: the labels are numbers in one split and names in the other")
    every = as_labels(np.concatenate(list(arrays.values())), where)
    start = 0
    for split, array in arrays.items():
        if split == request.split:
            return replace(every, numbers=every.numbers[start : start + len(array)])
        start += len(array)
    raise DataError(f"{where}: no labels for the {request.split} split")


def _listed(names: Sequence[str], most: int = 20) -> str:
    shown = ", ".join(map(repr, names[:most]))
    return f"{shown}, … ({len(names)} columns)" if len(names) > most else shown
