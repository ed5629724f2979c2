"""Which vertices of different polytopes are one point, decided by the facets that polytopes share.

Polytopes that cover a convex domain face to face have their common points in common faces: the vertices of a shared facet are
the same points on both sides, and all polytopes around a vertex are joined through facets that hold it. Floats propose by the
bounds of displacements; where a polytope has two vertices that may coincide, the solutions of the hyperplanes decide.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tropica.errors import InputError
from tropica.regions.complex.clipping import Polytopes

NOT_FACE_TO_FACE = "the cells do not meet face to face: their signs rest on floating point, see cx.certified"
Corner = Callable[[int], Sequence[Fraction]]


def welded(given: Polytopes, pairs: np.ndarray, part: np.ndarray, column: np.ndarray, corner: Corner | None) -> np.ndarray:
    """The number (N,) of each vertex's point, equal for equal points.

    Args:
        given: bounded polytopes that cover a convex set face to face.
        pairs: (A, 2) those that share a facet.
        part, column: (A,) one of the two, and the column of the facet there.
        corner: the exact coordinates of a vertex by its row; None where exact arithmetic is out of reach.

    Raises:
        InputError: floating point does not decide, and exact arithmetic is out of reach.
    """
    group = may_coincide(given.at[:, :-1], given.displacement)
    key = given.owner * (group.max(initial=0) + 1) + group
    sorted_rows = np.argsort(key, kind="stable")
    keys = key[sorted_rows]
    twice = np.zeros(group.max(initial=0) + 1, bool)
    twice[group[sorted_rows[1:][keys[1:] == keys[:-1]]]] = True
    rows, which = rows_on(given, part, column)
    clear = ~twice[group[rows]]
    rows, which = rows[clear], which[clear]
    wanted = pairs.sum(1)[which] - part[which]  # the other polytope of the pair
    place = np.searchsorted(keys, wanted * (group.max(initial=0) + 1) + group[rows])
    other = sorted_rows[np.minimum(place, len(keys) - 1)] if len(keys) else rows
    met = key[other] == wanted * (group.max(initial=0) + 1) + group[rows]
    if not met.all():
        raise InputError(NOT_FACE_TO_FACE)
    return _joined(len(group), np.stack([rows, other], 1), _exact_links(np.flatnonzero(twice[group]), group, corner))


def exactly_welded(given: Polytopes, corner: Corner | None) -> np.ndarray:
    """The same for polytopes that need not be joined through facets: rational numbers decide wherever points may coincide."""
    group = may_coincide(given.at[:, :-1], given.displacement)
    several = np.bincount(group)[group] > 1
    return _joined(len(group), _exact_links(np.flatnonzero(several), group, corner))


def _joined(count: int, *links: np.ndarray) -> np.ndarray:
    a, b = np.concatenate(links).T
    graph = coo_array((np.ones(len(a), np.int8), (a, b)), shape=(count, count))
    return connected_components(graph, directed=False)[1]


def rows_on(given: Polytopes, part: np.ndarray, column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The vertices of facets, each by its polytope and its column there: rows of vertices, and which facet each is of."""
    counts = np.diff(given.start)[part]
    which = np.repeat(np.arange(len(part)), counts)
    before = np.cumsum(counts) - counts
    rows = np.arange(len(which)) - before[which] + given.start[part[which]]
    on = given.on[rows, column[which]]
    return rows[on], which[on]


def may_coincide(points: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """Numbers (N,) of sets of points (N, d), such that points of different sets are different.

    >>> may_coincide(np.array([[0.0], [1.0], [1.0], [2.0]]), np.array([0.0, 1e-9, 0.0, 0.0])).tolist()
    [0, 1, 1, 2]
    """
    group = np.zeros(len(points), np.int64)
    for _ in range(2):
        for x in points.T:
            ends = np.stack([np.nextafter(x - bound, -np.inf), np.nextafter(x + bound, np.inf)])
            values, rank = np.unique(ends, return_inverse=True)
            low, high = rank.reshape(2, -1) + group * len(values)
            order = np.argsort(low, kind="stable")
            reach = np.maximum.accumulate(high[order])
            group[order] = np.append(0, np.cumsum(low[order][1:] > reach[:-1]))[: len(order)]
    return group


def _exact_links(rows: np.ndarray, group: np.ndarray, corner: Corner | None) -> np.ndarray:
    """Pairs (n, 2) of equal points among rows that floats do not tell apart."""
    if len(rows) and corner is None:
        raise InputError("vertices that floating point does not tell apart, in a network too wide for exact arithmetic")
    known: dict[tuple[int, tuple[Fraction, ...]], int] = {}
    links = [(known.setdefault((int(group[row]), tuple(corner(row))), row), row) for row in rows.tolist() if corner is not None]
    return np.array(links, np.int64).reshape(-1, 2)
