"""`digits`: the 1,797 handwritten digits of 8 × 8 pixels from the UCI repository, as scikit-learn ships them."""

from __future__ import annotations

from typing import Any

from tropica.data.arrays import as_inputs, as_labels, fifth_of_each_class, labelled
from tropica.data.labelled import LabelledData, Split


def load_digits(split: Split, limit: int | None) -> LabelledData:
    """Points (1, 8, 8) in [0, 1] (multiples of 1/16) of ten classes, with a fixed stratified split.

    >>> load_digits("test", None)
    LabelledData('digits', test: 355 points of shape (1, 8, 8), 10 classes)
    """
    from sklearn import datasets  # slow to import

    bunch: Any = datasets.load_digits()
    rows = fifth_of_each_class(bunch.target, split)
    inputs = as_inputs(bunch.images[rows, None] / 16, "digits")
    labels = as_labels(bunch.target[rows], "digits")
    return labelled(inputs, labels, name="digits", split=split, limit=limit)
