"""Decimal logarithms of bounds with thousands of digits, and Serra's bound computed in logarithms."""

from __future__ import annotations

import math
import operator

import numpy as np

from tropica.bounds.architecture import Architecture, relu_widths
from tropica.errors import InputError


def log10(value: int) -> float:
    """The decimal logarithm of a positive whole number of any size.

    Raises:
        InputError: ``value`` is not a positive whole number.

    >>> log10(10**5000)
    5000.0
    """
    try:
        return math.log10(operator.index(value))
    except (TypeError, ValueError):
        raise InputError(f"log10 takes a whole number, 1 or more; found {value!r}") from None


def serra2018_log10(architecture: Architecture) -> float:
    """log10 of :func:`~tropica.bounds.serra2018`, to about 12 digits, by the same recursion in floating point.

    Args:
        architecture: (n_0, n_1, ..., n_L), or a traced ReLU network.

    Raises:
        InputError: as :func:`~tropica.bounds.serra2018`.

    >>> round(serra2018_log10((784, 784, 200, 80)), 2)
    320.3
    """
    widths = relu_widths(architecture, "Theorem 1 of Serra et al. 2018")
    counts = np.full(widths.inputs + 1, -np.inf)  # entry m: the logarithm of the number of regions of dimension m
    counts[-1] = 0
    for width in widths.hidden:
        counts = _after_layer(counts, width)
    return float(np.logaddexp.reduce(counts)) / math.log(10)


def _after_layer(counts: np.ndarray, width: int) -> np.ndarray:
    """Logarithms of the regions by dimension after one layer, by the sums of :mod:`~tropica.bounds.upper`."""
    m = np.arange(min(len(counts) - 1, width) + 1)
    row = np.append(0, np.cumsum(np.log(width + 1 - m[1:]) - np.log(m[1:])))  # the logarithms of C(width, m)
    sums = np.logaddexp.accumulate(row)
    above = np.append(np.logaddexp.accumulate(counts[::-1])[::-1], -np.inf)  # entry m: the regions of dimension m or more
    kept = counts[m] + sums[np.minimum(m, width - m)]
    lowered = row + above[np.minimum(np.maximum(m + 1, width - m), len(counts))]
    return np.logaddexp(kept, lowered)
