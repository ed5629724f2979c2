"""`openml:NAME`: the data sets of openml.org, by scikit-learn's client and its cache."""

from __future__ import annotations

from http.client import HTTPException
from importlib.util import find_spec
from math import isqrt
from typing import Any

import numpy as np
import torch

from tropica.data.arrays import Labels, as_inputs, fifth_of_each_class, labelled
from tropica.data.labelled import LabelledData, Split
from tropica.errors import DataError


def load_openml(name: str, split: Split, limit: int | None) -> LabelledData:
    """The newest active version of a data set, with a fixed stratified split (OpenML names no test points).

    Features that are all whole numbers with minimum 0 and maximum 255 are taken for 8-bit images: they are divided by 255, and
    shaped (1, side, side) where their number is a square. Targets that are not classes are ignored.

    Raises:
        DataError: openml.org cannot be reached, the data set does not exist, or its features are not numbers.
    """
    where = f"openml:{name}"
    bunch = _fetch(name)
    features = _numbers(bunch.data, where)
    names, codes = _classes(bunch.target)
    rows = fifth_of_each_class(np.zeros(len(features)) if codes is None else codes, split)
    inputs = as_inputs(_as_images(features)[rows], where)
    labels = None if codes is None else Labels(torch.from_numpy(codes[rows]), len(names), names)
    return labelled(inputs, labels, name=name, split=split, limit=limit)


def _fetch(name: str) -> Any:
    from sklearn import datasets  # slow to import

    # The fast parser needs pandas; the other one gives the same arrays.
    parser = "auto" if find_spec("pandas") else "liac-arff"
    try:
        return datasets.fetch_openml(name, as_frame=False, parser=parser)
    except (OSError, HTTPException) as error:  # URLError, HTTPError, timeouts and resets are OSErrors
        raise DataError(f"openml:{name} could not be fetched from openml.org (is there a network?): {error}") from error
    except ValueError as error:
        raise DataError(f"openml:{name} is not a data set that can be loaded: {error}") from error


def _numbers(features: Any, where: str) -> np.ndarray:
    """The features (N, d) as floats; OpenML also has sparse matrices and strings."""
    dense = features.toarray() if hasattr(features, "toarray") else np.asarray(features)
    try:
        return dense.astype(np.float64)
    except ValueError as error:
        raise DataError(f"{where}: the features must be numbers: {error}") from error


def _classes(target: Any) -> tuple[tuple[str, ...], np.ndarray | None]:
    """The names of the classes and the class of each point; no classes where the target is not a class."""
    if target is None or np.ndim(target) != 1 or np.asarray(target).dtype.kind == "f":
        return (), None
    names, codes = np.unique(np.asarray(target).astype(str), return_inverse=True)
    return tuple(names.tolist()), codes


def _as_images(features: np.ndarray) -> np.ndarray:
    """8-bit images as uint8, square where possible; other features unchanged."""
    if not (features.min() == 0 and features.max() == 255 and np.all(features == np.round(features))):
        return features
    side = isqrt(features.shape[1])
    shape = (1, side, side) if side * side == features.shape[1] else features.shape[1:]
    return features.astype(np.uint8).reshape(len(features), *shape)
