"""Arrays of rational numbers: integers over one common denominator.

Callers read numbers with :func:`exact_array` (a checked NumPy array), turn it into a :class:`RationalArray` with
:func:`rationals`, or do both with :func:`rational_array`; one number is read by :func:`to_fraction`. Results for users are
object arrays of ints and Fractions (:func:`exact_numbers`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from numbers import Integral, Rational
from typing import Any

import numpy as np

from tropica.errors import InputError
from tropica.exact.dyadic import INT64_BITS, MANTISSA_BITS, decode

ACCEPTED = "an int, a Fraction, a float (read as an exact binary fraction) or a string such as '3/4'"
_LIMIT = 1 << INT64_BITS
_EXACT_IN_FLOAT64 = 1 << MANTISSA_BITS


@dataclass(frozen=True, eq=False)
class RationalArray:
    """The rational numbers ``numerators / denominator``.

    Attributes:
        numerators: integers of any shape: int64 where all are below 2⁶¹ in absolute value, else Python ints (dtype object).
        denominator: a positive int.
    """

    numerators: np.ndarray
    denominator: int = 1

    def reduced(self) -> RationalArray:
        """The same numbers in lowest terms, in int64 where it holds them."""
        numerators, denominator = self.numerators, self.denominator
        if denominator > 1:
            content = int(np.gcd.reduce(numerators, axis=None, initial=0))
            if not content:  # all are 0
                return RationalArray(compact(numerators))
            divisor = math.gcd(content, denominator)
            if divisor > 1:
                numerators, denominator = numerators // divisor, denominator // divisor
        return RationalArray(compact(numerators), denominator)

    def numerators_over(self, denominator: int) -> np.ndarray:
        """The numerators over a multiple of the denominator."""
        factor = denominator // self.denominator
        return self.numerators if factor == 1 else multiply(self.numerators, factor)

    def floats(self) -> np.ndarray:
        """The nearest float64 of each number."""
        numerators = self.numerators
        if numerators.dtype != object and max(largest(numerators), self.denominator) < _EXACT_IN_FLOAT64:
            return numerators / self.denominator
        flat = [nearest_float(n, self.denominator) for n in numerators.ravel().tolist()]
        return np.array(flat, dtype=np.float64).reshape(numerators.shape)

    def numbers(self) -> np.ndarray:
        """The numerators where the denominator is 1, else an object array of ints and Fractions."""
        if self.denominator == 1:
            return self.numerators
        flat = as_objects(ratio(n, self.denominator) for n in self.numerators.ravel().tolist())
        return flat.reshape(self.numerators.shape)


def nearest_float(numerator: int, denominator: int = 1) -> float:
    """The float64 nearest to a quotient of integers, ±∞ beyond all of them."""
    try:
        return numerator / denominator
    except OverflowError:
        return math.inf if numerator > 0 else -math.inf


# ── integers ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def largest(integers: np.ndarray) -> int:
    """The largest absolute value; 0 for an empty array."""
    return max(int(integers.max()), -int(integers.min())) if integers.size else 0


def compact(integers: np.ndarray) -> np.ndarray:
    """Integers as int64 where all are below 2⁶¹ in absolute value, as Python ints (dtype object) otherwise."""
    dtype = np.dtype(np.int64) if largest(integers) < _LIMIT else np.dtype(object)
    return integers if integers.dtype == dtype else integers.astype(dtype)


def multiply(integers: np.ndarray, factor: int) -> np.ndarray:
    """Integers times an int, without overflow."""
    if integers.dtype != object and abs(factor) * max(largest(integers), 1) >= _LIMIT:
        integers = integers.astype(object)
    return integers * factor


def common_denominator(*arrays: RationalArray) -> tuple[list[np.ndarray], int]:
    """The numerators of several arrays over their least common denominator, and that denominator."""
    denominator = math.lcm(*(a.denominator for a in arrays))
    return [a.numerators_over(denominator) for a in arrays], denominator


def primitive(vector: np.ndarray) -> np.ndarray:
    """The shortest integer vector in the direction of a rational one (ints and Fractions); 0 stays 0.

    >>> primitive(np.array([Fraction(1, 2), 3], dtype=object)).tolist()
    [1, 6]
    """
    integers = from_fractions(vector.tolist(), vector.shape).numerators.astype(object)
    return integers // (math.gcd(*integers.tolist()) or 1)


# ── reading numbers ───────────────────────────────────────────────────────────────────────────────────────────────────────


def to_fraction(number: Any, name: str = "a number") -> Fraction:
    """One number as a Fraction.

    Raises:
        InputError: not a number, NaN or ±∞.

    >>> to_fraction(0.5), to_fraction("1/3"), to_fraction(7)
    (Fraction(1, 2), Fraction(1, 3), Fraction(7, 1))
    """
    try:
        if isinstance(number, Fraction):
            return number
        if isinstance(number, Integral):
            return Fraction(int(number))
        if isinstance(number, Rational | str):
            return Fraction(number)
        return Fraction(float(number))
    except (TypeError, ValueError, OverflowError, ZeroDivisionError, RuntimeError):
        raise InputError(f"{name} must be {ACCEPTED}, finite; found {number!r}") from None


def exact_array(values: Any, name: str, ndim: int) -> np.ndarray:
    """Exact numbers as an array, checked.

    Args:
        values: an array, a tensor or nested sequences of ints, Fractions, floats and strings such as "3/4".
        name: the name of the numbers in error messages.
        ndim: the number of axes that the array must have. An empty list is accepted as a matrix without rows.

    Returns:
        An array of dtype int64, float64 or object (Python ints and Fractions).

    Raises:
        InputError: a wrong number of axes, rows of different lengths, NaN, ±∞, or entries that are not real numbers.
    """
    array = _as_array(values, name)
    if array.ndim == ndim - 1 == 1 and array.size == 0:
        array = array.reshape(0, 0)
    if array.ndim != ndim:
        raise InputError(f"{name} must be an array with {ndim} axes; found shape {array.shape}")
    if array.dtype.kind == "f" and array.dtype.itemsize <= 8:
        array = array.astype(np.float64)
        if not np.isfinite(array).all():
            where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
            raise InputError(f"{name} must be finite numbers; entry {where} is {array[where]}")
        return array
    if array.dtype.kind in "iub" and array.dtype != np.uint64:
        return array.astype(np.int64)
    if array.dtype == object or array.dtype == np.uint64:
        entries = (e if type(e) is int else to_fraction(e, f"an entry of {name}") for e in array.ravel().tolist())
        return as_objects(entries).reshape(array.shape)
    raise InputError(f"{name} must be ints, Fractions or floats; found dtype {array.dtype}")


def _as_array(values: Any, name: str) -> np.ndarray:
    """A NumPy array; of dtype object where NumPy's choice of dtype would round or convert numbers."""
    if isinstance(values, np.ndarray):
        return values
    if hasattr(values, "detach"):
        return values.detach().cpu().numpy()
    try:
        array = np.asarray(values)
        if array.dtype.kind == "f":  # ints beyond 2⁵³ among floats were rounded
            rewritten = bool(np.isfinite(array).all() and (np.abs(array) >= _EXACT_IN_FLOAT64).any())
        else:
            rewritten = array.dtype.kind in "US"
        return np.array(values, dtype=object) if rewritten else array
    except ValueError:
        raise InputError(f"{name} must be an array; found rows of different lengths") from None


def rationals(array: np.ndarray) -> RationalArray:
    """An array of :func:`exact_array` over its least common denominator.

    >>> found = rationals(np.array([0.5, -3.0]))
    >>> found.numerators.tolist(), found.denominator
    ([1, -6], 2)
    """
    if array.dtype == np.float64:
        numerators, places = decode(array)
        return RationalArray(numerators, 1 << places)
    if array.dtype != object:
        return RationalArray(compact(array))
    return from_fractions(array.ravel().tolist(), array.shape)


def rational_array(values: Any, name: str, ndim: int) -> RationalArray:
    """Exact numbers over their least common denominator. Args, Raises: as :func:`exact_array`."""
    return rationals(exact_array(values, name, ndim))


def from_fractions(values: Iterable[Fraction | int], shape: Sequence[int]) -> RationalArray:
    """Ints and Fractions, row by row, over their least common denominator."""
    listed = list(values)
    denominator = math.lcm(*(v.denominator for v in listed))
    numerators = as_objects(v.numerator * (denominator // v.denominator) for v in listed)
    return RationalArray(compact(numerators.reshape(shape)), denominator)


# ── ints and Fractions ────────────────────────────────────────────────────────────────────────────────────────────────────


def ratio(numerator: int | Fraction, denominator: int = 1) -> int | Fraction:
    """A quotient: an int where it is an integer, else a Fraction."""
    value = Fraction(numerator, denominator)
    return value.numerator if value.denominator == 1 else value


def exact_numbers(array: np.ndarray) -> np.ndarray:
    """The same numbers as ints and Fractions, ints where they are integers; dtype object."""
    return as_objects(ratio(*e.as_integer_ratio()) for e in array.ravel().tolist()).reshape(array.shape)


def as_objects(entries: Iterable[Any]) -> np.ndarray:
    """A one-dimensional array of dtype object, for entries of any type."""
    listed = list(entries)
    out = np.empty(len(listed), dtype=object)
    out[:] = listed
    return out
