"""Boundary matrices over GF(2), the field of two elements: which face begins a homology class, and which one ends it."""

from __future__ import annotations

import numpy as np
from numba import njit


def boundary_pairs(starts: np.ndarray, rows: np.ndarray, dimension: np.ndarray) -> np.ndarray:
    """The partner (n,) of each face of a filtered complex in persistent homology over GF(2); −1 for one without a partner.

    Faces are numbered in the order in which they come, each after its own facets. A face either begins a class or ends the
    class that its partner began; faces without a partner begin the classes that never end, the homology of the complex.
    Columns are reduced from the highest dimension down, and the column of a face that has a partner is never looked at
    (C. Chen and M. Kerber, "Persistent homology computation with a twist", 2011).

    Args:
        starts: (n + 1,) offsets into ``rows``.
        rows: (m,) the numbers of the facets of each face.
        dimension: (n,) of each face.

    >>> a_triangle = [[], [], [], [0, 1], [0, 2], [1, 2], [3, 4, 5]]
    >>> starts = np.append(0, np.cumsum([len(f) for f in a_triangle]))
    >>> boundary_pairs(starts, np.array(sum(a_triangle, [])), np.array([0, 0, 0, 1, 1, 1, 2])).tolist()
    [-1, 3, 4, 1, 2, 6, 5]
    """
    order = np.lexsort((np.arange(len(dimension)), -np.asarray(dimension)))
    return _paired(np.asarray(starts, np.int64), np.asarray(rows, np.int64), order)


@njit(cache=True, nogil=True)
def _paired(starts: np.ndarray, rows: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Each column is a heap of row numbers, in which equal ones cancel in pairs; reduced columns are kept one after another."""
    n = len(order)
    partner, reduced_at = np.full(n, -1, np.int64), np.full(n, -1, np.int64)
    first, last = np.zeros(n, np.int64), np.zeros(n, np.int64)
    kept, used = np.empty(max(16, 2 * len(rows)), np.int64), 0
    heap, size = np.empty(1024, np.int64), 0
    for j in order:
        if partner[j] >= 0:
            continue
        size = 0
        for k in range(starts[j], starts[j + 1]):
            heap, size = _push(heap, size, rows[k])
        pivot, size = _pop(heap, size)
        while pivot >= 0 and reduced_at[pivot] >= 0:
            other = reduced_at[pivot]
            for k in range(first[other] + 1, last[other]):
                heap, size = _push(heap, size, kept[k])
            pivot, size = _pop(heap, size)
        if pivot < 0:
            continue
        partner[j], partner[pivot], reduced_at[pivot] = pivot, j, j
        first[j] = used
        while pivot >= 0:
            if used == len(kept):
                larger = np.empty(2 * used, np.int64)
                larger[:used] = kept
                kept = larger
            kept[used] = pivot
            used += 1
            pivot, size = _pop(heap, size)
        last[j] = used
    return partner


@njit(cache=True, nogil=True)
def _push(heap: np.ndarray, size: int, item: int) -> tuple[np.ndarray, int]:
    if size == len(heap):
        larger = np.empty(2 * size, np.int64)
        larger[:size] = heap
        heap = larger
    at = size
    while at > 0 and heap[(at - 1) // 2] < item:
        heap[at] = heap[(at - 1) // 2]
        at = (at - 1) // 2
    heap[at] = item
    return heap, size + 1


@njit(cache=True, nogil=True)
def _pop_one(heap: np.ndarray, size: int) -> tuple[int, int]:
    top, size = heap[0], size - 1
    item, at = heap[size], 0
    while 2 * at + 1 < size:
        child = 2 * at + 1
        if child + 1 < size and heap[child + 1] > heap[child]:
            child += 1
        if heap[child] <= item:
            break
        heap[at] = heap[child]
        at = child
    heap[at] = item
    return top, size


@njit(cache=True, nogil=True)
def _pop(heap: np.ndarray, size: int) -> tuple[int, int]:
    """The largest number that is in the heap an odd number of times, taken out with all larger ones; −1 if there is none."""
    while size:
        top, size = _pop_one(heap, size)
        if not size or heap[0] != top:
            return top, size
        _, size = _pop_one(heap, size)
    return -1, 0
