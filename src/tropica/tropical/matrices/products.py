"""Products, powers and the Kleene star of tropical matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from tropica.errors import InputError
from tropica.polyhedra.conventions import Convention, sign_of
from tropica.tropical.matrices.reading import ZERO, as_given, check_sums, exact_entries, matrix, signed, square


def matmul(a: Any, b: Any, *, convention: Convention = "max") -> np.ndarray:
    """(A ⊙ B)_ij = max_k (a_ik + b_kj), in min-plus min_k.

    >>> matmul([[0, 1], [2, -3]], [[1, 0], [0, 5]]).tolist()
    [[1.0, 6.0], [3.0, 2.0]]
    >>> matmul([[0, 1], [2, -3]], [[1, 0], [0, 5]], convention="min").tolist()
    [[1.0, 0.0], [-3.0, 2.0]]
    """
    return signed(_product(matrix(a, "A", convention), matrix(b, "B", convention)), convention)


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if a.shape[1] != b.shape[0]:
        raise InputError(f"matrices of shapes {a.shape} and {b.shape} have no product; the inner sizes must be equal")
    if a.dtype != b.dtype:  # one operand is exact, and so is the product
        a, b = exact_entries(a), exact_entries(b)
    for operand in (a, b):
        check_sums(operand, 2)
    out = np.full((a.shape[0], b.shape[1]), ZERO, dtype=a.dtype)
    for k in range(a.shape[1]):  # memory: one matrix of the result's shape
        np.maximum(out, a[:, k, None] + b[None, k], out=out)
    return out


def identity(n: int, *, convention: Convention = "max") -> np.ndarray:
    """0 on the diagonal, the tropical zero elsewhere."""
    out = np.full((n, n), sign_of(convention) * ZERO)
    np.fill_diagonal(out, 0)
    return out


def power(a: Any, n: int, *, convention: Convention = "max") -> np.ndarray:
    """A ⊙ ... ⊙ A by squaring: entry (i, j) is the largest (in min-plus smallest) weight of a walk of n arcs from i to j.

    >>> power([[0, 1], [2, -3]], 2).tolist()
    [[3.0, 1.0], [2.0, 3.0]]
    """
    a = square(a, convention)
    if isinstance(n, bool) or not isinstance(n, int) or n < 0:
        raise InputError(f"a power of a matrix is a whole number, 0 or more; found {n!r}")
    out = identity(len(a))
    if a.dtype == object:  # 0 as an int: 0.0 would make floats of Fractions
        out = out.astype(object)
        np.fill_diagonal(out, 0)
    while n:
        out = _product(out, a) if n & 1 else out
        n >>= 1
        a = _product(a, a) if n else a
    return signed(out, convention)


def kleene_star(a: Any, *, convention: Convention = "max") -> np.ndarray:
    """A* = I ⊕ A ⊕ A² ⊕ …: entry (i, j) is the largest (in min-plus smallest) weight of a walk from i to j.

    Computed exactly, by Floyd and Warshall, and rounded once where the entries are floats.

    Raises:
        InputError: a cycle of positive (in min-plus negative) weight, for which the sum does not converge.

    >>> kleene_star([[-1, 2], [-3, 0]]).tolist()
    [[0.0, 2.0], [-3.0, 0.0]]
    """
    given = square(a, convention)
    return as_given(star(exact_entries(given), convention), given, sign_of(convention))


def star(left: np.ndarray, convention: Convention) -> np.ndarray:
    """The Kleene star of an exact matrix in max-plus."""
    out = left.copy()
    for k in range(len(out)):
        if out[k, k] > 0:
            side = "positive" if convention == "max" else "negative"
            raise InputError(f"the Kleene star does not exist: node {k} is on a cycle of {side} weight")
        np.maximum(out, out[:, k, None] + out[None, k], out=out)
    np.fill_diagonal(out, 0)
    return out
