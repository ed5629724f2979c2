"""Simplices of many polytopes at once, from the incidence of their vertices and facets alone.

A face is the simplices of its own facets that do not hold its first vertex, each with that vertex. The facets of a face are the
largest of its proper intersections with facets of the polytope; incidences are exact, and so is the triangulation.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

ENTRIES = 1 << 24
"""Entries of the tables that are made at a time."""


def padded_vertices(start: np.ndarray) -> np.ndarray:
    """(P, V) the numbers of each polytope's vertices, which lie one polytope after the other; −1 behind the last."""
    counts = np.diff(start)
    column = np.arange(counts.max(initial=0))
    return np.where(column < counts[:, None], start[:-1, None] + column, -1)


def chunks(start: np.ndarray, facets: int) -> Iterator[np.ndarray]:
    """Numbers of polytopes of about equal size, in batches whose tables stay small."""
    counts = np.diff(start)
    order = np.argsort(counts, kind="stable")
    low = 0
    while low < len(order):
        size = int(counts[order[min(low + 4095, len(order) - 1)]])
        high = min(len(order), low + max(1, min(4096, ENTRIES // max(1, size * facets * max(size, facets)))))
        yield order[low:high]
        low = high


def triangulate(member: np.ndarray, on: np.ndarray, dimension: int) -> tuple[np.ndarray, np.ndarray]:
    """Simplices of faces of polytopes.

    Args:
        member: (R, V) which vertices of a polytope a face holds.
        on: (R, V, F) which facets of the polytope each vertex lies on.
        dimension: of the faces.

    Returns:
        The face (S,) of each simplex, and its vertices (S, dimension + 1), as columns.

    >>> square = np.array([[1, 0, 0, 1], [1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]], bool)
    >>> triangulate(np.ones((1, 4), bool), square[None], 2)[1].tolist()
    [[0, 1, 2], [0, 2, 3]]
    """
    face, apexes = np.arange(len(member)), np.zeros((len(member), 0), np.int64)
    for _ in range(dimension - 1):
        apex = member.argmax(1)
        meets = on[face] & member[:, :, None]
        rows, facet = np.nonzero(facets_of(meets, member) & ~meets[np.arange(len(member)), apex])
        member = meets[rows, :, facet]
        apexes = np.concatenate([apexes[rows], apex[rows, None]], 1)
        face = face[rows]
    ends = np.stack([member.argmax(1), member.shape[1] - 1 - member[:, ::-1].argmax(1)], 1)
    return face, np.concatenate([apexes, ends[:, : min(dimension, 1) + 1]], 1)


def facets_of(meets: np.ndarray, member: np.ndarray) -> np.ndarray:
    """(R, F) which intersections (R, V, F) of faces (R, V) with half-spaces' borders are their facets, each once.

    A face's facets are its largest proper faces; of equal ones the first counts.
    """
    table = meets.astype(np.float32)
    size = table.sum(1)
    common = np.matmul(table.transpose(0, 2, 1), table)
    proper = (size > 0) & (size < member.sum(1)[:, None])
    within = (common == size[:, :, None]) & proper[:, None, :]  # the vertices of f are among those of g
    earlier = np.tri(size.shape[1], k=-1, dtype=bool)  # [f, g]: g < f
    larger = (size[:, None, :] > size[:, :, None]) | earlier
    return proper & ~(within & larger).any(2)


def simplex_volumes(corners: np.ndarray) -> np.ndarray:
    """The k-dimensional volumes (S,) of simplices (S, k + 1, n) in ℝⁿ; ∞ beyond float64.

    >>> simplex_volumes(2.0**600 * np.array([[[0.0, 0.0], [3.0, 4.0]]])) / 2.0**600
    array([5.])
    """
    sides = corners[:, 1:] - corners[:, :1]
    k = sides.shape[1]
    if k == 0:
        return np.ones(len(corners))
    _, exponent = np.frexp(np.abs(sides).max((1, 2), initial=0.0))
    with np.errstate(over="ignore", under="ignore"):
        return np.ldexp(_of_unit_size(np.ldexp(sides, -exponent[:, None, None])), k * exponent)


def _of_unit_size(sides: np.ndarray) -> np.ndarray:
    """The volumes of simplices with these sides (S, k, n), whose squares neither overflow nor vanish."""
    k, n = sides.shape[1:]
    if k == 1:
        return np.linalg.norm(sides[:, 0], axis=1)
    if k == n:
        return np.abs(np.linalg.det(sides)) / math.factorial(k)
    diagonal = np.abs(np.diagonal(np.linalg.qr(sides.transpose(0, 2, 1), mode="r"), axis1=1, axis2=2))
    return diagonal.prod(1) / math.factorial(k)
