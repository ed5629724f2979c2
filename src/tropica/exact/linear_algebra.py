"""Exact linear algebra of integer matrices, by fraction-free elimination."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from tropica.exact.rational_arrays import primitive


def echelon(rows: np.ndarray) -> tuple[np.ndarray, list[int], list[int]]:
    """Reduce an integer matrix (n, d) to echelon form.

    Returns:
        The r pivot rows (r, d), reduced: integers, each row divided by its content, pivot columns cleared; the indices of the
        pivot rows in the given matrix; and the pivot columns, increasing.
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
    """The rank of an integer matrix.

    >>> rank(np.array([[1, 2], [2, 4], [0, 0]]))
    1
    """
    return len(echelon(rows)[1])


def ranks(matrices: np.ndarray, prime: int = 0) -> np.ndarray:
    """The ranks (M,) of many small integer matrices (M, r, c) at once.

    Args:
        prime: 0 for the ranks themselves; a prime below 2³¹ for the ranks modulo that prime, which are at most as large
            (matrices of int64 in [0, prime)).
    """
    left = matrices.copy() if prime else matrices.astype(object)
    count, rows, columns = left.shape
    every = np.arange(count)
    used = np.zeros((count, rows), bool)
    found = np.zeros(count, np.int64)
    for c in range(columns):
        candidates = (left[:, :, c] != 0) & ~used
        p = candidates.argmax(1)
        has = candidates[every, p]
        found += has
        used[every[has], p[has]] = True
        if c == columns - 1:
            break
        pivot_row = np.where(has[:, None], left[every, p], 0)
        scale = np.where(has, left[every, p, c], 1)
        entry = left[:, :, c].copy()
        if prime:
            left = (left * scale[:, None, None] % prime - entry[:, :, None] * pivot_row[:, None, :] % prime) % prime
        else:
            left = left * scale[:, None, None] - entry[:, :, None] * pivot_row[:, None, :]
    return found


def kernel(rows: np.ndarray) -> np.ndarray:
    """Primitive integer vectors (d − r, d) that span the kernel of an integer matrix (n, d) of rank r.

    >>> kernel(np.array([[1, 0, 2]])).tolist()
    [[0, 1, 0], [-2, 0, 1]]
    """
    reduced, _, pivots = echelon(rows)
    d = rows.shape[1]
    out = []
    for free in (c for c in range(d) if c not in pivots):
        vector = np.full(d, Fraction(0), dtype=object)
        vector[free] = Fraction(1)
        for row, pivot in zip(reduced, pivots, strict=True):
            vector[pivot] = -Fraction(row[free], row[pivot])
        out.append(primitive(vector))
    return np.array(out, dtype=object).reshape(len(out), d)


def solve(matrix: np.ndarray, right: np.ndarray) -> np.ndarray | None:
    """The unique X (k, c), in Fractions, with ``matrix`` X = ``right``, for integers (n, k) and (n, c).

    Returns:
        X, or None where no X solves the system or several do.

    >>> solve(np.array([[2, 0], [0, 4], [2, 4]]), np.array([[1], [1], [2]])).tolist()
    [[Fraction(1, 2)], [Fraction(1, 4)]]
    """
    k = matrix.shape[1]
    reduced, _, pivots = echelon(np.concatenate([matrix, right], 1))
    if pivots != list(range(k)):
        return None
    factors = np.array([Fraction(1, int(reduced[i, i])) for i in range(k)], dtype=object)
    return factors[:, None] * reduced[:, k:]


def projection(basis: np.ndarray) -> np.ndarray:
    """The matrix (d, d), in Fractions, of the orthogonal projection onto the span of independent integer rows (k, d)."""
    if not len(basis):
        return np.full((basis.shape[1],) * 2, Fraction(0), dtype=object)
    coefficients = solve(basis @ basis.T, basis)
    assert coefficients is not None  # the rows are independent
    return basis.T @ coefficients
