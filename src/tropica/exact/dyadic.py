"""Floating-point numbers as what they are: integers over a power of two."""

from __future__ import annotations

import numpy as np

DIGITS = 53
"""Binary digits of a float64."""
WORD = 62
"""Binary digits that numbers may have to be kept as int64."""


def decode(values: np.ndarray) -> tuple[np.ndarray, int]:
    """Floats as n / 2^e, exactly, with the smallest e ≥ 0 that does for all of them.

    Args:
        values: finite floats of any shape.

    Returns:
        n, of the same shape, int64 where all |n| < 2⁶² and Python integers (object) where not; and e.

    >>> decode(np.array([0.5, -3.0, 0.0]))
    (array([ 1, -6,  0]), 1)
    >>> decode(np.array([1e300, 2.0**-1074]))[1]
    1074
    """
    mantissa, power = np.frexp(np.asarray(values, dtype=np.float64))
    whole = (mantissa * 2.0**DIGITS).astype(np.int64)
    used = whole != 0
    if not used.any():
        return whole, 0
    lowest = np.where(used, whole & -whole, 1)  # a number's last binary digit
    whole //= lowest
    power = power.astype(np.int64) - DIGITS + np.frexp(lowest.astype(np.float64))[1] - 1
    least = min(0, int(power[used].min()))
    left = np.where(used, power - least, 0)
    if int((np.frexp(np.abs(whole).astype(np.float64))[1] + left).max()) <= WORD:
        return whole << left, -least
    return whole.astype(object) << left.astype(object), -least
