"""Exact rational data as integers: NumPy arrays of Python ints (or int64 where they fit) over one denominator a column.

Multiplying a column by a positive number changes no hull's combinatorics, so everything that decides works on integers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from numbers import Integral, Rational
from typing import Any

import numpy as np

from tropica.errors import InputError
from tropica.exact.dyadic import decode

WORD = 1 << 62
"""Integers of absolute value below this are kept as int64."""


def exact_array(numbers: Any, name: str, dimension: int) -> np.ndarray:
    """An array of ints, Fractions or floats (lists too) as it is, checked: the right number of axes, finite, exact numbers.

    Returns:
        An array of dtype int64 (whole numbers), float64 or object (Python ints and Fractions).

    Raises:
        InputError: another number of axes, a ragged list, NaN, ±∞, or entries that are not real numbers.
    """
    try:
        array = np.asarray(numbers)
        if array.dtype.kind == "f" and isinstance(numbers, list | tuple):
            size = np.abs(array)
            if bool(np.isfinite(size).all()) and bool((size >= 2.0**53).any()):
                array = np.array(numbers, dtype=object)  # an int among floats may have been rounded
    except ValueError:
        raise InputError(f"{name} must be an array with {dimension} axes; found rows of different lengths") from None
    if array.ndim == dimension - 1 == 1 and array.size == 0:
        array = array.reshape(0, 0)
    if array.ndim != dimension:
        raise InputError(f"{name} must be an array with {dimension} axes; found shape {array.shape}")
    if array.dtype.kind == "f" and array.dtype.itemsize <= 8:
        array = array.astype(np.float64)
        if not np.isfinite(array).all():
            where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
            raise InputError(f"{name} must be finite numbers; entry {where} is {array[where]}")
        return array
    if array.dtype.kind in "iub" and array.dtype != np.uint64:
        return array.astype(np.int64)
    if array.dtype == object or array.dtype == np.uint64:
        out = np.empty(array.shape, dtype=object)
        out.ravel()[:] = [_exact(entry, name) for entry in array.ravel().tolist()]
        return out
    raise InputError(f"{name} must be ints, Fractions or floats; found dtype {array.dtype}")


def _exact(entry: Any, name: str) -> int | Fraction:
    if isinstance(entry, (int, Integral)):
        return int(entry)
    if isinstance(entry, Rational):
        return Fraction(int(entry.numerator), int(entry.denominator))
    if isinstance(entry, (float, np.floating)) and math.isfinite(entry):
        return Fraction(float(entry))
    raise InputError(f"{name} must be finite ints, Fractions or floats; found {entry!r}")


def integers(column: np.ndarray) -> tuple[np.ndarray, int]:
    """A column of exact numbers as integers over one positive denominator: (n,) int64 or object, and the denominator.

    >>> integers(np.array([0.5, 3.0]))
    (array([1, 6]), 2)
    """
    if column.dtype == np.float64:
        top, places = decode(column)
        return top, 1 << places
    if column.dtype != object:
        return compact(column.astype(object)), 1
    entries = column.tolist()
    bottom = math.lcm(*(e.denominator for e in entries)) if entries else 1
    top = [e.numerator * (bottom // e.denominator) for e in entries]
    return compact(as_objects(top)), bottom


def compact(numbers: np.ndarray) -> np.ndarray:
    """An object array of ints as int64 where all are below 2⁶², as it is otherwise."""
    if numbers.dtype != object:
        return numbers
    if not numbers.size:
        return numbers.astype(np.int64)
    flat = numbers.ravel()
    return numbers.astype(np.int64) if max(flat.max(), -flat.min()) < WORD else numbers


def as_objects(entries: Iterable[Any]) -> np.ndarray:
    """A one-dimensional object array, whatever the entries are."""
    listed = list(entries)
    out = np.empty(len(listed), dtype=object)
    out[:] = listed
    return out


def quotient(top: int, bottom: int) -> int | Fraction:
    """top / bottom as an int where it is one, as a Fraction otherwise."""
    value = Fraction(top, bottom)
    return value.numerator if value.denominator == 1 else value


def echelon(rows: np.ndarray) -> tuple[np.ndarray, list[int], list[int]]:
    """Fraction-free elimination of an integer matrix (n, d).

    Returns:
        The reduced matrix (r, d) of its pivot rows (integers, each divided by its content, pivot columns cleared), the numbers
        of the pivot rows in the matrix given, and the pivot columns.
    """
    left = rows.astype(object)
    width = left.shape[1]
    chosen: list[int] = []
    columns: list[int] = []
    for c in range(width):
        column = left[:, c].copy()
        column[chosen] = 0
        found = np.flatnonzero(column != 0)
        if not len(found):
            continue
        p = int(found[0])
        left[p] = left[p] // (math.gcd(*left[p].tolist()) or 1)
        pivot = left[p, c]
        others = np.flatnonzero(left[:, c] != 0)
        others = others[others != p]
        left[others] = left[others] * pivot - left[others, c][:, None] * left[p][None, :]
        for i in chosen:
            left[i] = left[i] // (math.gcd(*left[i].tolist()) or 1)
        chosen.append(p)
        columns.append(c)
        if len(chosen) == min(left.shape):
            break
    return left[chosen], chosen, columns


def rank(rows: np.ndarray) -> int:
    """The rank of an integer matrix, exactly.

    >>> rank(np.array([[1, 2], [2, 4], [0, 0]]))
    1
    """
    return len(echelon(rows)[1])
