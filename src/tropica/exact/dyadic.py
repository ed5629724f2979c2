"""Floating-point numbers as integers over a power of two."""

from __future__ import annotations

import numpy as np

MANTISSA_BITS = 53
"""Binary digits of a float64."""
INT64_BITS = 61
"""Integers with at most this many binary digits are stored as int64: a sum of four of them does not overflow."""


def decode(values: np.ndarray) -> tuple[np.ndarray, int]:
    """Write floats as n / 2^e, exactly, with the smallest common e ≥ 0.

    Args:
        values: finite floats of any shape.

    Returns:
        n, of the same shape, int64 where all |n| < 2⁶¹ and Python integers (dtype object) otherwise; and e.

    >>> decode(np.array([0.5, -3.0, 0.0]))
    (array([ 1, -6,  0]), 1)
    >>> decode(np.array([1e300, 2.0**-1074]))[1]
    1074
    """
    mantissa, exponent = np.frexp(np.asarray(values, dtype=np.float64))
    numerators = (mantissa * 2.0**MANTISSA_BITS).astype(np.int64)
    nonzero = numerators != 0
    if not nonzero.any():
        return numerators, 0
    lowest_bit = np.where(nonzero, numerators & -numerators, 1)
    numerators //= lowest_bit
    exponent = exponent.astype(np.int64) - MANTISSA_BITS + np.frexp(lowest_bit.astype(np.float64))[1] - 1
    least = min(0, int(exponent[nonzero].min()))
    shift = np.where(nonzero, exponent - least, 0)
    if int((np.frexp(np.abs(numerators).astype(np.float64))[1] + shift).max()) <= INT64_BITS:
        return numerators << shift, -least
    return numerators.astype(object) << shift.astype(object), -least
