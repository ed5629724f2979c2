"""Stored arrays as points, labels and splits: the conventions that all readers share."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tropica.data.labelled import LabelledData, Split
from tropica.errors import DataError

CHANNELS = (1, 3, 4)


def as_inputs(array: np.ndarray, where: str) -> Tensor:
    """Points (N, *shape) as float32.

    uint8 arrays (N, height, width) or (N, height, width, channels) are images: they are divided by 255 and become
    (N, channels, height, width). Floats keep their scale and layout.

    Raises:
        DataError: the array holds neither uint8 nor floats, or has fewer than two axes.

    >>> as_inputs(np.full((2, 28, 28), 255, np.uint8), "example").shape
    torch.Size([2, 1, 28, 28])
    """
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


def numpy_message(error: Exception) -> str:
    """NumPy's message about an unreadable file, without its advice to load pickles."""
    text = str(error)
    objects = any(word in text for word in ("pickle", "Object arrays", "Python objects"))
    return "it holds Python objects, which are never loaded" if objects else text


def as_labels(array: np.ndarray, where: str) -> Tensor:
    """Class numbers (N,) or (N, 1) of any integer dtype, as int64 (N,).

    Raises:
        DataError: the array has another dtype or shape, or holds a negative number.

    >>> as_labels(np.array([[3], [1]], np.uint8), "example")
    tensor([3, 1])
    """
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise DataError(f"{where}: labels must be whole numbers (N,); found shape {array.shape}, dtype {array.dtype}")
    if array.size and array.min() < 0:
        raise DataError(f"{where}: labels must be 0 or more; found {array.min()} at point {int(array.argmin())}")
    return torch.from_numpy(array.astype(np.int64))


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
    inputs: Tensor, labels: Tensor | None, *, name: str, num_classes: int | None, split: Split, limit: int | None
) -> LabelledData:
    """The first ``limit`` points as `LabelledData`.

    Raises:
        DataError: there are no points, or the numbers of points and labels differ.

    >>> labelled(torch.ones(3, 2), None, name="ones", num_classes=None, split="train", limit=2)
    LabelledData('ones', train: 2 points of shape (2,), no labels)
    """
    if len(inputs) == 0:
        raise DataError(f"{name}: there are no points in the {split} split")
    if labels is not None and len(labels) != len(inputs):
        raise DataError(f"{name}: {len(inputs)} points, but {len(labels)} labels in the {split} split")
    return LabelledData(inputs[:limit], None if labels is None else labels[:limit], name, num_classes, split)
