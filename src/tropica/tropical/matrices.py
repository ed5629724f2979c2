"""Tropical matrices (max-plus): product, power, permanent, eigenvalue. Entries are floats, ints or Fractions.

Floats and ints below 2^53 are float64, and so are results; arrays with Fractions or larger ints (dtype object) stay exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from tropica.errors import InputError
from tropica.exact.rational_arrays import exact_numbers, largest, rationals

ZERO = -math.inf
"""The tropical zero."""


def matmul(a: Any, b: Any) -> np.ndarray:
    """(A ⊙ B)_ij = max_k (a_ik + b_kj).

    >>> matmul([[0, 1], [2, -3]], [[1, 0], [0, 5]]).tolist()
    [[1.0, 6.0], [3.0, 2.0]]
    """
    a, b = matrix(a, "A"), matrix(b, "B")
    if a.shape[1] != b.shape[0]:
        raise InputError(f"matrices of shapes {a.shape} and {b.shape} have no product; the inner sizes must be equal")
    if a.dtype != b.dtype:  # one operand is exact, and so is the product
        a, b = _rational(a), _rational(b)
    out = np.full((a.shape[0], b.shape[1]), ZERO, dtype=a.dtype)
    for k in range(a.shape[1]):  # memory: one matrix of the result's shape
        np.maximum(out, a[:, k, None] + b[None, k], out=out)
    return out


def identity(n: int) -> np.ndarray:
    """0 on the diagonal, −∞ elsewhere."""
    out = np.full((n, n), ZERO)
    np.fill_diagonal(out, 0)
    return out


def power(a: Any, n: int) -> np.ndarray:
    """A ⊙ ... ⊙ A by squaring: entry (i, j) is the largest weight of a walk of n arcs from i to j.

    >>> power([[0, 1], [2, -3]], 2).tolist()
    [[3.0, 1.0], [2.0, 3.0]]
    """
    a = square(a)
    if isinstance(n, bool) or not isinstance(n, int) or n < 0:
        raise InputError(f"a power of a matrix is a whole number, 0 or more; found {n!r}")
    out = identity(len(a))
    if a.dtype == object:  # 0 as an int: 0.0 would make floats of Fractions
        out = out.astype(object)
        np.fill_diagonal(out, 0)
    while n:
        out = matmul(out, a) if n & 1 else out
        n >>= 1
        a = matmul(a, a) if n else a
    return out


@dataclass(frozen=True)
class Permanent:
    """The tropical permanent max_σ Σ_i a_{iσ(i)} of a matrix.

    Attributes:
        value: the permanent; −∞ where every permutation meets an entry −∞.
        permutation: an optimal σ.
        singular: whether the maximum is attained more than once, or is −∞.
    """

    value: Any
    permutation: tuple[int, ...]
    singular: bool


def permanent(a: Any) -> Permanent:
    """Solve the assignment problem max_σ Σ_i a_{iσ(i)}: the tropical permanent and, as there are no signs, determinant.

    Sums of floats are compared in float64; arrays of Fractions are compared exactly, by clearing denominators.

    Raises:
        InputError: not a square matrix of numbers; Fractions or ints that are beyond 2^53 over their common denominator.

    >>> permanent([[1, 2], [3, 4]])
    Permanent(value=5.0, permutation=(1, 0), singular=True)
    """
    a = square(a)
    whole, bottom = _whole(a)
    best = _assignment(whole)
    if best is None:
        return Permanent(ZERO, (), True)
    value, columns = best
    singular = False
    for i, j in enumerate(columns):
        kept, whole[i, j] = whole[i, j], ZERO
        other = _assignment(whole)
        whole[i, j] = kept
        if other is not None and other[0] == value:
            singular = True
            break
    found = Fraction(int(value), bottom) if a.dtype == object else value
    return Permanent(found, columns, singular)


def _whole(a: np.ndarray) -> tuple[np.ndarray, int]:
    """Fractions as whole float64 numbers over a common denominator; floats as they are."""
    if a.dtype != object:
        return a.copy(), 1
    finite = a != ZERO
    whole = rationals(exact_numbers(a[finite]))
    if largest(whole.numerators) * len(a) >= 2**53:
        raise InputError("the entries, over a common denominator, are beyond 2^53; give floats instead")
    out = np.full(a.shape, ZERO)
    out[finite] = whole.numerators.astype(np.float64)
    return out, whole.denominator


def _assignment(a: np.ndarray) -> tuple[float, tuple[int, ...]] | None:
    """The optimal assignment, or None where no assignment has finite weight."""
    try:
        rows, columns = linear_sum_assignment(a, maximize=True)
    except ValueError:  # infeasible
        return None
    value = math.fsum(a[rows, columns].tolist())
    return None if value == ZERO else (value, tuple(columns.tolist()))


def eigenvalue(a: Any) -> Any:
    """The largest mean weight of a cycle (Karp); −∞ where there is no cycle.

    For an irreducible matrix it is the only λ with A ⊙ v = λ ⊙ v for some finite v. An array of Fractions gives a Fraction.

    >>> eigenvalue([[0, 1], [2, -3]])
    1.5
    """
    a = square(a)
    n = len(a)
    best = np.zeros((n + 1, n), dtype=a.dtype)  # best[k, v]: the largest weight of a walk of k arcs that ends in v
    for k in range(n):
        best[k + 1] = (best[k][:, None] + a).max(0)
    means = [
        min(_ratio(best[n, v] - best[k, v], n - k) for k in range(n) if best[k, v] != ZERO)
        for v in range(n)
        if best[n, v] != ZERO
    ]
    return max(means, default=ZERO)


def _ratio(total: Any, arcs: int) -> Any:
    return Fraction(total) / arcs if isinstance(total, int | Fraction) else float(total) / arcs


def matrix(a: Any, name: str) -> np.ndarray:
    """A matrix of numbers: float64, or objects where there are Fractions or large ints.

    Raises:
        InputError: not a matrix, NaN, +∞.
    """
    try:
        array = np.asarray(a)
        if array.dtype.kind in "iu" and array.size and max(-int(array.min()), int(array.max())) > 2**53:
            array = array.astype(object)
        if array.dtype != object:
            array = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must be a matrix of numbers; {error}") from None
    if array.ndim != 2 or 0 in array.shape:
        raise InputError(f"{name} must be a matrix; found shape {array.shape}")
    flat = array.ravel().tolist()
    bad = next((v for v in flat if not isinstance(v, int | float | Fraction) or v != v or v == math.inf), None)
    if bad is not None:
        other = '; for min-plus, whose zero is +∞, pass convention="min"' if bad == math.inf else ""
        raise InputError(f"{name} must hold numbers or −∞, the zero of max-plus; found {bad!r}{other}")
    return array


def _rational(array: np.ndarray) -> np.ndarray:
    """The same numbers as ints and Fractions, and −∞."""
    out, finite = array.astype(object), array != ZERO
    out[finite] = exact_numbers(array[finite])
    return out


def square(a: Any) -> np.ndarray:
    """A square matrix, checked."""
    array = matrix(a, "A")
    if array.shape[0] != array.shape[1]:
        raise InputError(f"A must be square; found shape {array.shape}")
    return array
