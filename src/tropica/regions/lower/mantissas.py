"""Rational numbers of any size as a float64 mantissa and a power of two."""

from __future__ import annotations

import math

import numpy as np

from tropica.exact.rational_arrays import RationalArray


def mantissas(array: RationalArray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers as m · 2^e with ½ ≤ |m| < 1, m rounded to the nearest float64; zeros have m = 0."""
    numerators = array.numerators
    if numerators.dtype != object and array.denominator.bit_count() == 1:  # int64 to float64 rounds to nearest
        m, e = np.frexp(numerators.astype(np.float64))
        return m, e.astype(np.int64) - (array.denominator.bit_length() - 1)
    flat = [_mantissa(int(n), array.denominator) for n in numerators.ravel().tolist()]
    m = np.array([x[0] for x in flat], dtype=np.float64).reshape(numerators.shape)
    e = np.array([x[1] for x in flat], dtype=np.int64).reshape(numerators.shape)
    return m, e


def _mantissa(numerator: int, denominator: int) -> tuple[float, int]:
    if numerator == 0:
        return 0.0, 0
    shift = abs(numerator).bit_length() - denominator.bit_length()
    value = numerator / (denominator << shift) if shift >= 0 else (numerator << -shift) / denominator
    m, e = math.frexp(value)
    return m, e + shift
