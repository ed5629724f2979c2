"""Integer matrices (int64 where all entries fit, else Python ints): stacked columns and equal rows."""

from __future__ import annotations

import numpy as np


def stack_columns(columns: list[np.ndarray], n: int) -> np.ndarray:
    """Integer columns (n,) as a matrix: int64 where all columns are."""
    if all(c.dtype != object for c in columns):
        return np.stack(columns, 1) if columns else np.zeros((n, 0), np.int64)
    out = np.empty((n, len(columns)), dtype=object)
    for j, c in enumerate(columns):
        out[:, j] = c.astype(object)
    return out


def row_classes(rows: np.ndarray) -> np.ndarray:
    """The class (n,) of each row, the same exactly for equal rows; classes are numbered by first appearance."""
    if rows.dtype != object and rows.shape[1]:
        packed = np.ascontiguousarray(rows).view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).ravel()
        _, first, number = np.unique(packed, return_index=True, return_inverse=True)
        order = np.empty(len(first), np.int64)
        order[np.argsort(first)] = np.arange(len(first))
        return order[number.ravel()]
    seen: dict[tuple[int, ...], int] = {}
    return np.fromiter((seen.setdefault(tuple(r), len(seen)) for r in rows.tolist()), np.int64, len(rows))


def highest_of_equal(points: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """Sorted indices of the (first) highest point of each class of equal points (n, d)."""
    classes = row_classes(points)
    if classes.max(initial=-1) + 1 == len(points):
        return np.arange(len(points))
    best: dict[int, int] = {}
    listed = heights.tolist()
    for i, c in enumerate(classes.tolist()):
        j = best.setdefault(c, i)
        if listed[i] > listed[j]:
            best[c] = i
    return np.array(sorted(best.values()), np.int64)
