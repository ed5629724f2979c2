"""Lattices of integer vectors: kernels and saturations, by unimodular column operations."""

from __future__ import annotations

import numpy as np


def kernel_basis(rows: np.ndarray) -> np.ndarray:
    """A basis (d − r, d) of the lattice of integer vectors orthogonal to integer rows (n, d) of rank r.

    >>> kernel_basis(np.array([[2, 4, 0]])).tolist()
    [[-2, 1, 0], [0, 0, 1]]
    """
    d = rows.shape[1]
    left = rows.astype(object).T.copy()  # a row for each column of the given matrix
    basis = np.eye(d, dtype=np.int64).astype(object)
    pivot = 0
    for c in range(left.shape[1]):
        while True:
            filled = [i for i in range(pivot, d) if left[i, c]]
            if len(filled) < 2:
                break
            least = min(filled, key=lambda i: abs(left[i, c]))
            for i in filled:
                if i != least:
                    factor = left[i, c] // left[least, c]
                    left[i] = left[i] - factor * left[least]
                    basis[i] = basis[i] - factor * basis[least]
        if filled:
            i = filled[0]
            left[[pivot, i]], basis[[pivot, i]] = left[[i, pivot]], basis[[i, pivot]]
            pivot += 1
            if pivot == d:
                break
    return basis[pivot:]


def saturated_basis(rows: np.ndarray) -> np.ndarray:
    """A basis (r, d) of all integer vectors in the linear span of integer rows (n, d) of rank r.

    >>> saturated_basis(np.array([[2, 4], [1, 2]])).tolist()
    [[1, 2]]
    """
    return kernel_basis(kernel_basis(rows)) if len(rows) else rows.astype(object)
