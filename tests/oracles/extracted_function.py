"""The extracted function N^(X) by brute force: every term at every point, then a plain maximum (TropEx, equation 2)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Extracted(NamedTuple):
    """N^(X) at B points.

    values (B, s): max of a+ over the terms of each label minus max of a- over all terms; -inf where a label has none.
    labels (B,): the first label that attains the largest value.
    active_term (B,): the first term of that label that attains its maximum.
    """

    values: NDArray[np.float64]
    labels: NDArray[np.int64]
    active_term: NDArray[np.int64]


def evaluate(
    plus_weight: ArrayLike,
    plus_bias: ArrayLike,
    minus_weight: ArrayLike,
    minus_bias: ArrayLike,
    labels: ArrayLike,
    classes: int,
    x: ArrayLike,
) -> Extracted:
    """Weights (D, d), biases (D,), labels (D,) in range(classes), x (B, d) or (B, *input) -> `Extracted`.

    Labels are compared before the subtraction of a-, which is common to all labels and could only round differences to ties.
    """
    label_of_term = np.asarray(labels)
    plus = _values(plus_weight, plus_bias, x)
    minus = _values(minus_weight, minus_bias, x).max(axis=1)
    best = np.full((len(plus), classes), -np.inf)
    first = np.full((len(plus), classes), -1)
    for label in range(classes):
        terms = np.flatnonzero(label_of_term == label)
        if len(terms):
            first[:, label] = terms[plus[:, terms].argmax(axis=1)]
            best[:, label] = plus[:, terms].max(axis=1)
    predicted = best.argmax(axis=1)
    return Extracted(best - minus[:, None], predicted, first[np.arange(len(plus)), predicted])


def _values(weight: ArrayLike, bias: ArrayLike, x: ArrayLike) -> NDArray[np.float64]:
    """(B, D): each affine function at each point. A plain loop, not a BLAS call: equal terms must get equal values."""
    points = np.asarray(x, dtype=np.float64)
    flat, rows = points.reshape(len(points), -1), np.asarray(weight, dtype=np.float64)
    return np.einsum("bd,kd->bk", flat, rows, optimize=False) + np.asarray(bias, dtype=np.float64)
