"""Intervals of shares and of their differences, paired over runs and test points."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tropica.errors import InputError

RESAMPLES = 2000


class Interval(NamedTuple):
    """An estimate with the ends of its 95 % interval."""

    value: float
    low: float
    high: float

    def text(self, scale: float = 100.0, digits: int = 1, *, sign: bool = False) -> str:
        """The estimate with its interval in brackets, times ``scale``.

        >>> Interval(0.019, 0.01, 0.03).text(sign=True)
        '+1.9 [+1.0, +3.0]'
        """
        form = f"{'+' if sign else ''}.{digits}f"
        value, low, high = (format(scale * number, form) for number in self)
        return f"{value} [{low}, {high}]"


def paired_interval(one: np.ndarray, other: np.ndarray, *, seed: int = 0, resamples: int = RESAMPLES) -> Interval:
    """The mean of ``one − other`` with its 95 % percentile bootstrap interval, paired over runs and test points.

    Runs (rows) and test points (columns) are drawn with replacement, each draw the same in both arrays: test points that are
    hard for all networks cancel. With a single run the interval is that over test points alone, and says nothing about others.

    Args:
        one, other: (runs, points) of 0 and 1, or of numbers: the same seeds and the same points.
        seed: of the draws.
        resamples: the number of draws.

    Raises:
        InputError: the arrays differ in shape or are empty.

    >>> right, same = np.ones((3, 50)), np.zeros((3, 50))
    >>> round(paired_interval(right, same).low, 9), paired_interval(right, right)
    (1.0, Interval(value=0.0, low=0.0, high=0.0))
    """
    if one.shape != other.shape or one.ndim != 2 or not one.size:
        raise InputError(f"paired runs and points are needed, (runs, points) in both; found {one.shape} and {other.shape}")
    difference = one.astype(float) - other.astype(float)
    runs, points = difference.shape
    generator = np.random.default_rng(seed)
    # The mean over drawn points is linear in how often each was drawn: one product for all draws.
    weight = generator.multinomial(points, np.full(points, 1 / points), size=resamples) / points
    share = generator.multinomial(runs, np.full(runs, 1 / runs), size=resamples) / runs
    means = ((weight @ difference.T) * share).sum(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(difference.mean()), float(low), float(high))
