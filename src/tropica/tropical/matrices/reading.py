"""Matrices of numbers and tropical zeros, read and checked; inside, all are max-plus."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from tropica.errors import InputError
from tropica.exact.rational_arrays import exact_numbers
from tropica.polyhedra.conventions import Convention, shown, sign_of

ZERO = -math.inf
"""The zero of max-plus."""


def matrix(a: Any, name: str, convention: Convention) -> np.ndarray:
    """A matrix in max-plus: float64, or objects where there are Fractions or large ints. Min-plus changes its signs.

    Raises:
        InputError: not a matrix, NaN, the infinity of the other convention.
    """
    sign = sign_of(convention)
    try:
        array = _with_fractions(a)
        if array.dtype.kind in "iu" and array.size and max(-int(array.min()), int(array.max())) > 2**53:
            array = array.astype(object)
        if array.dtype != object:
            array = array.astype(np.float64)
    except (TypeError, ValueError, OverflowError, ZeroDivisionError) as error:
        raise InputError(f"{name} must be a matrix of numbers; {error}") from None
    if array.ndim != 2 or 0 in array.shape:
        raise InputError(f"{name} must be a matrix; found shape {array.shape}")
    zero, other = ("−∞", "min") if sign > 0 else ("+∞", "max")
    for v in array.ravel().tolist():
        if not isinstance(v, int | float | Fraction) or v != v or v == -sign * ZERO:
            hint = f'; for {other}-plus pass convention="{other}"' if isinstance(v, float) and math.isinf(v) else ""
            raise InputError(f"{name} must hold numbers or {zero}, the zero of {shown(convention)}; found {v!r}{hint}")
    return sign * array


def _with_fractions(a: Any) -> np.ndarray:
    """The array, with strings such as "1/3" as Fractions; the infinities stay floats."""
    array = np.asarray(a)
    if array.dtype.kind not in "US" and not (array.dtype == object and any(isinstance(v, str) for v in array.ravel())):
        return array
    out = np.asarray(a, dtype=object).copy()
    for index, v in np.ndenumerate(out):
        if isinstance(v, str):
            out[index] = float(v) if v.strip().lstrip("+-").lower() in ("inf", "infinity") else Fraction(v)
    return out


def square(a: Any, convention: Convention) -> np.ndarray:
    """A square matrix, checked."""
    array = matrix(a, "A", convention)
    if array.shape[0] != array.shape[1]:
        raise InputError(f"A must be square; found shape {array.shape}")
    return array


def signed(array: np.ndarray, convention: Convention) -> np.ndarray:
    """A result of max-plus with the signs of the convention, and without −0."""
    return array if convention == "max" else 0 - array


def exact_entries(array: np.ndarray) -> np.ndarray:
    """The same numbers as ints and Fractions, and −∞; dtype object."""
    out, finite = array.astype(object), array != ZERO
    out[finite] = exact_numbers(array[finite])
    return out


def as_given(value: Any, given: np.ndarray, sign: int) -> Any:
    """An exact result with the signs of the convention: as it is for exact matrices, rounded to float64 for float matrices.

    Raises:
        InputError: a number beyond float64.
    """
    if isinstance(value, np.ndarray):
        out = np.empty(value.shape, dtype=object if given.dtype == object else np.float64)
        for index in np.ndindex(value.shape):
            out[index] = as_given(value[index], given, sign)
        return out
    if value == ZERO or given.dtype == object:
        return sign * value
    try:
        return sign * float(value) + 0.0  # not −0
    except OverflowError:
        raise _beyond() from None


def check_sums(array: np.ndarray, terms: int) -> None:
    """Check that sums of ``terms`` entries are within float64.

    Raises:
        InputError: they may not be.
    """
    if array.dtype != object:
        finite = array[array != ZERO]
        if terms * float(np.abs(finite).max(initial=0.0)) > 1e308:
            raise _beyond()


def _beyond() -> InputError:
    return InputError("a result is beyond float64; give the entries as ints or Fractions")
