"""Vertices of a polytope given by half-spaces, and facets of a convex hull: the double description method, in integers.

A vertex v/w is kept as the integer vector (v, w), w > 0. The half-spaces cut one after the other. Two vertices on either side
of a cut are the ends of an edge if the half-spaces through both hold no third vertex (Fukuda and Prodon, 1996): no vertex need
be simple.
"""

from __future__ import annotations

import math

import numpy as np

from tropica.errors import InputError
from tropica.exact.linear_algebra import echelon, solve
from tropica.exact.rational_arrays import as_objects, ratio

MOST_VERTICES = 1 << 16
"""Polytopes with more vertices, at the end or on the way, are refused."""
_PAIRS = 1 << 14
"""Pairs of vertices that are tested in one block."""


def vertices_of_halfspaces(normals: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The vertices (V, d) of {x : normals x ≤ offsets}, ints and Fractions, in lexicographic order.

    Args:
        normals: (F, d) ints and Fractions, dtype object. Rows may repeat, be redundant or 0; the set may have no interior.
        offsets: (F,) likewise.

    Raises:
        InputError: the set is empty or unbounded, or has more than ``MOST_VERTICES`` vertices.

    >>> square = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]], dtype=object)
    >>> vertices_of_halfspaces(square, np.array([1, 0, 1, 0], dtype=object)).tolist()
    [[0, 0], [0, 1], [1, 0], [1, 1]]
    """
    d = normals.shape[1]
    rows = {(0,) * d + (1,): None}  # w ≥ 0 first
    rows.update(
        dict.fromkeys(_integers([*(-n for n in normal), offset]) for normal, offset in zip(normals, offsets, strict=True))
    )
    cone = extreme_rays(np.array(list(rows), dtype=object).reshape(len(rows), d + 1))
    if not len(cone) or not (cone[:, -1] > 0).any():
        raise InputError("the polytope is empty: no point satisfies all of A x ≤ b")
    if (cone[:, -1] == 0).any():
        direction = [int(x) for x in cone[cone[:, -1] == 0][0, :-1]]
        raise InputError(f"the polytope is unbounded, in the direction {direction} for one; add inequalities, or use Space(d)")
    points = sorted(tuple(ratio(x, v[-1]) for x in v[:-1]) for v in cone.tolist())
    return as_objects(x for point in points for x in point).reshape(len(points), d)


def _integers(row: list) -> tuple[int, ...]:
    """The shortest integer vector in the direction of a rational one."""
    scale = math.lcm(*(x.denominator for x in row))
    listed = [x.numerator * (scale // x.denominator) for x in row]
    common = math.gcd(*listed) or 1
    return tuple(x // common for x in listed)


def extreme_rays(rows: np.ndarray) -> np.ndarray:
    """The extreme rays (R, n) of the cone {v : rows v ≥ 0}, for integer rows (F, n), as primitive integers.

    For the rows (x, 1) of points x they are the facets {x : ⟨r, (x, 1)⟩ ≥ 0} of the convex hull.

    Raises:
        InputError: the cone holds a line, or has more than ``MOST_VERTICES`` rays.
    """
    n = rows.shape[1]
    _, first, _ = echelon(rows)
    if len(first) < n:
        raise InputError("the polytope is empty, or unbounded along a line; add inequalities, or use Space(d)")
    inverse = solve(rows[first], np.eye(n, dtype=np.int64).astype(object))
    assert inverse is not None  # the rows are independent
    rays = np.array([_integers(column) for column in inverse.T.tolist()], dtype=object)
    used = list(first)
    tight = (rays @ rows[used].T) == 0
    for i in range(len(rows)):
        if i in first:
            continue
        value = rays @ rows[i]
        below, above = np.flatnonzero(value < 0), np.flatnonzero(value > 0)
        ends = _edges(tight, above, below)
        new = [_integers(list(value[p] * rays[m] - value[m] * rays[p])) for p, m in ends.tolist()]
        kept = value >= 0
        used.append(i)
        made = np.array(new, dtype=object).reshape(len(new), n)
        rays = np.concatenate([rays[kept], made])
        tight = np.concatenate([np.column_stack([tight, value == 0])[kept], (made @ rows[used].T) == 0]).astype(bool)
        if len(rays) > MOST_VERTICES:
            raise InputError(
                f"the polytope has more than {MOST_VERTICES:,} vertices on the way; use fewer dimensions: a slice of it"
            )
    return rays


def _edges(tight: np.ndarray, above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Pairs (E, 2) of one from each list that are the ends of an edge: no third ray lies on all rows that both lie on."""
    pairs = np.stack(np.meshgrid(above, below, indexing="ij"), -1).reshape(-1, 2)
    off = (~tight).astype(np.float32)
    found = []
    for start in range(0, len(pairs), _PAIRS):
        block = pairs[start : start + _PAIRS]
        common = (tight[block[:, 0]] & tight[block[:, 1]]).astype(np.float32)
        found.append(block[((common @ off.T) == 0).sum(1) == 2])
    return np.concatenate(found) if found else pairs
