"""Sums of rational vectors."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from tropica.exact.rational_arrays import RationalArray, compact


def common(a: RationalArray, b: RationalArray) -> tuple[tuple[np.ndarray, np.ndarray], int]:
    """The numerators of two arrays over their least common denominator, as Python ints, and that denominator."""
    denominator = math.lcm(a.denominator, b.denominator)
    return (a.numerators_over(denominator).astype(object), b.numerators_over(denominator).astype(object)), denominator


def difference(a: RationalArray, b: RationalArray) -> RationalArray:
    """a − b."""
    (first, second), denominator = common(a, b)
    return RationalArray(compact(first - second), denominator).reduced()


def moved(x: RationalArray, direction: RationalArray, step: Fraction) -> RationalArray:
    """x + step · direction."""
    scaled = direction.numerators.astype(object) * step.numerator
    (a, b), denominator = common(x, RationalArray(scaled, direction.denominator * step.denominator))
    return RationalArray(compact(a + b), denominator).reduced()


def stacked(a: RationalArray, b: RationalArray) -> RationalArray:
    """The rows of both."""
    (first, second), denominator = common(a, b)
    return RationalArray(compact(np.concatenate([first, second])), denominator)
