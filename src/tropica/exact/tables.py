"""Exact numbers in arrays: integers over one common denominator, int64 where they are small and Python's where they are not."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from numbers import Integral, Rational
from typing import Any

import numpy as np
from torch import Tensor

from tropica.errors import InputError
from tropica.exact.dyadic import decode

SMALL = 2**53
"""Integers below are kept in int64: they are exact in float64, too, and sums of a few of them do not overflow."""
ACCEPTED = "an int, a Fraction, a float (the binary fraction that it is) or a text such as '3/4'"


@dataclass(frozen=True, eq=False)
class Table:
    """Rational numbers top / bottom: ``top`` an array of int64 or of Python ints (dtype object), ``bottom`` > 0."""

    top: np.ndarray
    bottom: int = 1

    def lowest(self) -> Table:
        """The same numbers in lowest terms, in int64 where that holds them."""
        top, bottom = self.top, self.bottom
        if bottom > 1:
            divisor = int(np.gcd.reduce(top, axis=None, initial=bottom))
            if divisor > 1:
                top, bottom = top // divisor, bottom // divisor
        return Table(compact(top), bottom)

    def over(self, bottom: int) -> np.ndarray:
        """The numerators over a multiple of the denominator."""
        factor = bottom // self.bottom
        return self.top if factor == 1 else times(self.top, factor)

    def floats(self) -> np.ndarray:
        """The nearest float64 of each."""
        if self.top.dtype != object and self.bottom < SMALL:
            return self.top / self.bottom
        flat = [_nearest(n, self.bottom) for n in self.top.ravel().tolist()]
        return np.array(flat, dtype=np.float64).reshape(self.top.shape)

    def numbers(self) -> np.ndarray:
        """An int64 array where all are whole and small, else an object array of ints and Fractions."""
        if self.bottom == 1:
            return self.top
        out = np.empty(self.top.shape, dtype=object)
        out.ravel()[:] = [plain(Fraction(n, self.bottom)) for n in self.top.ravel().tolist()]
        return out


def _nearest(top: int, bottom: int) -> float:
    try:
        return top / bottom
    except OverflowError:
        return math.inf if top > 0 else -math.inf


def plain(number: Fraction) -> int | Fraction:
    """An int for a whole number."""
    return number.numerator if number.denominator == 1 else number


def compact(top: np.ndarray) -> np.ndarray:
    """Integers as int64 where all are small, as Python ints where one is not."""
    large = bool(top.size) and not -SMALL < int(top.min()) <= int(top.max()) < SMALL
    wanted = np.dtype(object) if large else np.dtype(np.int64)
    return top if top.dtype == wanted else top.astype(wanted)


def times(top: np.ndarray, factor: int) -> np.ndarray:
    """Integers times an integer, without overflow."""
    if top.dtype != object and top.size:
        largest = max(abs(int(top.min())), abs(int(top.max())), 1)
        top = top.astype(object) if abs(factor) * largest >= SMALL else top
    return top * factor


def exact(number: Any, what: str = "a number") -> Fraction:
    """One number as a Fraction.

    Raises:
        InputError: not a number, NaN or infinite.

    >>> exact(0.5), exact("1/3"), exact(7)
    (Fraction(1, 2), Fraction(1, 3), Fraction(7, 1))
    """
    try:
        if isinstance(number, Fraction):
            return number
        if isinstance(number, Integral) and not isinstance(number, bool):
            return Fraction(int(number))
        if isinstance(number, Rational | str):
            return Fraction(number)
        if isinstance(number, Tensor):
            number = number.item()
        return Fraction(float(number))
    except (TypeError, ValueError, OverflowError, ZeroDivisionError, RuntimeError):
        raise InputError(f"{what} must be {ACCEPTED}, finite; found {number!r}") from None


def table(values: Any, what: str, ndim: int) -> Table:
    """An array of exact numbers from nested sequences, arrays or tensors.

    Raises:
        InputError: entries that are no finite numbers, or another number of dimensions.
    """
    if isinstance(values, Tensor):
        values = values.detach().cpu().numpy()
    array = values if isinstance(values, np.ndarray) else _object_array(values, what)
    if array.dtype == object and any(isinstance(v, list | tuple) for v in array.flat):
        raise InputError(f"{what} has rows of different lengths")
    if array.ndim != ndim:
        raise InputError(f"{what} must be an array of {ndim} dimension{'s' * (ndim > 1)}; found shape {array.shape}")
    if array.dtype.kind in "iu":
        return Table(compact(array.astype(object) if array.dtype.kind == "u" else array.astype(np.int64)))
    if array.dtype.kind == "f" and array.dtype.itemsize <= 8:
        return from_floats(array.astype(np.float64), what)
    return from_fractions([exact(v, f"an entry of {what}") for v in array.ravel().tolist()], array.shape)


def _object_array(values: Any, what: str) -> np.ndarray:
    try:
        return np.array(values, dtype=object)
    except ValueError:
        raise InputError(f"{what} has rows of different lengths") from None


def from_fractions(values: Iterable[Fraction | int], shape: tuple[int, ...]) -> Table:
    """Numbers over their common denominator."""
    listed = list(values)
    bottom = math.lcm(*(v.denominator for v in listed)) if listed else 1
    top = np.empty(len(listed), dtype=object)
    top[:] = [v.numerator * (bottom // v.denominator) for v in listed]
    return Table(compact(top.reshape(shape)), bottom)


def from_floats(array: np.ndarray, what: str) -> Table:
    """Float64 numbers as what they are: integers over a power of two.

    >>> found = from_floats(np.array([0.5, -3.0]), "numbers")
    >>> found.top.tolist(), found.bottom
    ([1, -6], 2)
    """
    if not bool(np.isfinite(array).all()):
        bad = array[~np.isfinite(array)].flat[0]
        raise InputError(f"{what} must hold finite numbers; found {bad}")
    top, places = decode(array)
    return Table(top, 1 << places)


def together(*tables: Table) -> tuple[list[np.ndarray], int]:
    """Numerators over one common denominator, and that denominator."""
    bottom = math.lcm(*(t.bottom for t in tables))
    return [t.over(bottom) for t in tables], bottom
