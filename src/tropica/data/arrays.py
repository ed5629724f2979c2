"""Stored arrays as points, labels and splits: the conventions that all readers share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tropica.data.labelled import LabelledData, Split
from tropica.errors import DataError

CHANNELS = (1, 3, 4)
MAX_CLASSES = 10**6
"""A class number beyond this is taken for an identifier: a network would need as many outputs."""


def as_inputs(array: np.ndarray, where: str) -> Tensor:
    """Points (N, *shape) as float32.

    uint8 arrays (N, height, width) or (N, height, width, channels) are images: they are divided by 255 and become
    (N, channels, height, width). Floats keep their scale and layout.

    Raises:
        DataError: the array holds neither uint8 nor floats, or has fewer than two axes.

    >>> as_inputs(np.full((2, 28, 28), 255, np.uint8), "example").shape
    torch.Size([2, 1, 28, 28])
    """
    refuse_masked(array, where)
    if array.ndim < 2:
        raise DataError(f"{where}: points must be an array (N, *shape); found shape {array.shape}")
    if array.dtype == np.uint8:
        return torch.from_numpy(channels_first(array).astype(np.float32)).div_(255)
    if array.dtype.kind != "f":
        raise DataError(f"{where}: points must be uint8 images or floats; found {array.dtype}")
    return torch.from_numpy(array.astype(np.float32))


def channels_first(images: np.ndarray) -> np.ndarray:
    """Images (N, H, W), (N, H, W, C) or (N, C, H, W) as (N, C, H, W). Arrays with another number of axes are unchanged."""
    if images.ndim == 3:
        return images[:, None]
    if images.ndim == 4 and images.shape[-1] in CHANNELS and images.shape[1] not in CHANNELS:
        return np.moveaxis(images, -1, 1)
    return images


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(6)


def numpy_message(error: Exception, path: Path) -> str:
    """NumPy's message about an unreadable file, without its advice to load pickles (it takes other files for those)."""
    text = str(error)
    if not isinstance(error, OSError) and not _first_bytes(path).startswith((b"PK", b"\x93NUMPY")):
        return "it is no file that NumPy wrote"
    objects = any(word in text for word in ("pickle", "Object arrays", "Python objects"))
    return "it holds Python objects, which are never loaded" if objects else text


@dataclass(frozen=True, eq=False)
class Labels:
    """Class numbers (N,) int64, the number of classes, and the names of the classes if they have names."""

    numbers: Tensor
    num_classes: int
    names: tuple[str, ...] | None = None

    def first(self, limit: int | None) -> Labels:
        """The labels of the first points; the classes stay those of all."""
        return replace(self, numbers=self.numbers[:limit])


def as_labels(array: np.ndarray, where: str) -> Labels:
    """The classes of points from class numbers, names of classes or booleans, (N,) or (N, 1).

    Strings are classes by sorted name; False and True are classes 0 and 1.

    Raises:
        DataError: the array has another dtype or shape, is empty, or holds a number below 0 or beyond a million.

    >>> as_labels(np.array([[3], [1]], np.uint8), "example").numbers
    tensor([3, 1])
    >>> found = as_labels(np.array(["dog", "cat", "dog"]), "example")
    >>> found.numbers, found.names
    (tensor([1, 0, 1]), ('cat', 'dog'))
    """
    refuse_masked(array, where)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or array.dtype.kind not in "iubUO":
        is_float = array.dtype.kind == "f"
        hint = "; floats are no classes, but targets of a regression (targets=True, --task regression)" if is_float else ""
        raise DataError(
            f"{where}: labels must be whole numbers, names or booleans (N,); "
            f"found shape {array.shape}, dtype {array.dtype}{hint}"
        )
    if array.dtype.kind in "UO":
        return _named_labels(array, where)
    if array.dtype.kind == "b":
        return Labels(torch.from_numpy(array.astype(np.int64)), 2, ("False", "True"))
    if array.size and array.min() < 0:
        raise DataError(f"{where}: labels must be 0 or more; found {array.min()} at point {int(array.argmin())}")
    if array.size and int(array.max()) >= MAX_CLASSES:
        raise DataError(
            f"{where}: labels are class numbers 0, 1, 2, … below {MAX_CLASSES:,}; found {array.max()} at point "
            f"{int(array.argmax())} (is it an identifier? number the classes from 0, or give them as strings)"
        )
    return Labels(torch.from_numpy(array.astype(np.int64)), int(array.max()) + 1 if array.size else 1)


def _named_labels(array: np.ndarray, where: str) -> Labels:
    """Classes by sorted name."""
    strings = [isinstance(entry, str) for entry in array.tolist()]
    if not all(strings):
        at = strings.index(False)
        raise DataError(f"{where}: names of classes must be strings; point {at} has {array[at]!r}")
    names, numbers = np.unique(array.astype(str), return_inverse=True)
    return Labels(torch.from_numpy(numbers.astype(np.int64).reshape(-1)), len(names), tuple(names.tolist()))


def refuse_masked(array: np.ndarray, where: str) -> None:
    """Raise `DataError` for a masked array that masks anything: what is under a mask is no data.

    >>> refuse_masked(np.ma.masked_invalid([[1.0, np.nan]]), "example")
    Traceback (most recent call last):
    tropica.errors.DataError: example: a masked array must not mask anything; entry (0, 1) is masked
    """
    if isinstance(array, np.ma.MaskedArray) and np.ma.is_masked(array):
        first = tuple(int(i) for i in np.argwhere(np.ma.getmaskarray(array))[0])
        raise DataError(f"{where}: a masked array must not mask anything; entry {first} is masked")


def fifth_of_each_class(labels: np.ndarray, split: Split) -> np.ndarray:
    """The indices of a fixed stratified 80/20 split, in order: every fifth point of each class is a test point.

    >>> fifth_of_each_class(np.array([0, 0, 1, 0, 0, 0, 0]), "test")
    array([5])
    """
    rank = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        members = labels == label
        rank[members] = np.arange(members.sum())
    is_test = rank % 5 == 4
    return np.flatnonzero(is_test if split == "test" else ~is_test)


def labelled(
    inputs: Tensor,
    labels: Labels | None,
    *,
    name: str,
    split: Split,
    limit: int | None,
    feature_names: Sequence[str] | None = None,
) -> LabelledData:
    """The first ``limit`` points as `LabelledData`.

    Raises:
        DataError: there are no points, or the numbers of points and labels differ.

    >>> labelled(torch.ones(3, 2), None, name="ones", split="train", limit=2)
    LabelledData('ones', train: 2 points of shape (2,), no labels)
    """
    if len(inputs) == 0:
        raise DataError(f"{name}: there are no points in the {split} split")
    features = None if feature_names is None else tuple(feature_names)
    if labels is None:
        return LabelledData(inputs[:limit], None, name, None, split, feature_names=features)
    if len(labels.numbers) != len(inputs):
        raise DataError(f"{name}: {len(inputs)} points, but {len(labels.numbers)} labels in the {split} split")
    numbers = labels.numbers[:limit]
    return LabelledData(inputs[:limit], numbers, name, labels.num_classes, split, labels.names, features)
