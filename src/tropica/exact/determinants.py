"""Determinants, cofactors and permanents of stacks of matrices, exact for integers."""

from __future__ import annotations

from itertools import combinations

import numpy as np


def determinants(matrices: np.ndarray) -> np.ndarray:
    """The determinants (B,) of matrices (B, k, k) of any dtype, expanded row by row.

    >>> determinants(np.array([[[1, 2], [3, 4]]]))
    array([-2])
    """
    return _expanded(matrices, signed=True)


def permanents(matrices: np.ndarray) -> np.ndarray:
    """The permanents (B,) of matrices (B, k, k): determinants with all signs positive."""
    return _expanded(matrices, signed=False)


def _expanded(matrices: np.ndarray, *, signed: bool) -> np.ndarray:
    k = matrices.shape[-1]
    if k == 0:
        return np.ones(len(matrices), matrices.dtype)
    return _minors(matrices, k, signed)[tuple(range(k))]


def cofactors(matrices: np.ndarray, *, signed: bool) -> np.ndarray:
    """The cofactors c (B, k) with det(rows, q) = ⟨c, q⟩ for matrices (B, k − 1, k) of rows; those of permanents if unsigned."""
    k = matrices.shape[-1]
    out = np.empty((len(matrices), k), matrices.dtype)
    minors = _minors(matrices, k - 1, signed)
    for c in range(k):
        rest = tuple(i for i in range(k) if i != c)
        minor = minors[rest] if rest else np.ones(len(matrices), matrices.dtype)
        out[:, c] = -minor if signed and (k - 1 + c) % 2 else minor
    return out


def _minors(matrices: np.ndarray, rows: int, signed: bool) -> dict[tuple[int, ...], np.ndarray]:
    """All minors of the first rows, keyed by their columns."""
    k = matrices.shape[-1]
    level: dict[tuple[int, ...], np.ndarray] = {(c,): matrices[:, 0, c] for c in range(k)} if rows else {}
    for r in range(1, rows):
        following = {}
        for subset in combinations(range(k), r + 1):
            total = None
            for place, c in enumerate(subset):
                term = matrices[:, r, c] * level[subset[:place] + subset[place + 1 :]]
                if total is None:
                    total = -term if signed and r % 2 else term
                elif signed and (r + place) % 2:
                    total = total - term
                else:
                    total = total + term
            following[subset] = total
        level = following
    return level


def bareiss(matrices: np.ndarray) -> np.ndarray:
    """The determinants of integer matrices (B, k, k) of any size, by Bareiss' fraction-free elimination."""
    return np.array([_bareiss([list(map(int, row)) for row in m]) for m in matrices], dtype=object)


def _bareiss(m: list[list[int]]) -> int:
    k, sign, last = len(m), 1, 1
    for i in range(k - 1):
        if m[i][i] == 0:
            swap = next((r for r in range(i + 1, k) if m[r][i] != 0), None)
            if swap is None:
                return 0
            m[i], m[swap], sign = m[swap], m[i], -sign
        for r in range(i + 1, k):
            for c in range(i + 1, k):
                m[r][c] = (m[r][c] * m[i][i] - m[r][i] * m[i][c]) // last
        last = m[i][i]
    return sign * m[-1][-1] if k else 1
