"""The faces of a polyhedron {x : A x + c ≤ 0} in few dimensions, exactly: facets, vertices, rays, interior points.

Floating point proposes which rows are facets (Qhull on the polar of a point inside). The double description method takes the
proposed rows apart in integers; a row that cuts off one of the vertices found, or the end of a ray, is added. In the end no row
cuts anything off, and a row is a facet if the vertices and rays on it span one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.spatial import ConvexHull, QhullError

from tropica.exact.linear_algebra import echelon, kernel, rank
from tropica.exact.rational_arrays import RationalArray, compact, from_fractions
from tropica.polyhedra.vertex_enumeration import extreme_rays


@dataclass(frozen=True, eq=False)
class SmallFaces:
    """The faces of a polyhedron that contains an interior point.

    Attributes:
        facets: (F,) rows, one for each facet: the first of proportional ones.
        groups: for each facet all rows on its hyperplane.
        ends: (V, d + 1) primitive integers: vertices (w > 0) and rays (w = 0) of the polyhedron; where it contains lines,
            those of its part on the span of the normals.
        tight: (F, V) which of them lie on which facet.
        lines: (k, d) a basis of the lines in the polyhedron.
    """

    facets: np.ndarray
    groups: tuple[np.ndarray, ...]
    ends: np.ndarray
    tight: np.ndarray
    lines: np.ndarray

    @property
    def bounded(self) -> bool:
        """Whether there is no ray and no line."""
        return not len(self.lines) and bool((self.ends[:, -1] > 0).all())

    def interior(self) -> RationalArray:
        """A point (1, d) inside."""
        return _middle(self.ends)

    def on_facet(self, f: int) -> RationalArray:
        """A point (1, d) in the relative interior of a facet."""
        return _middle(self.ends[self.tight[f]])


def small_faces(rows: np.ndarray, center: np.ndarray) -> SmallFaces:
    """Find the faces.

    Args:
        rows: (N, d + 1) integers: [a | c] with ⟨a, x⟩ + c ≤ 0, strictly at some point; rows with a = 0 count for nothing.
        center: (d,) about that point, in float64, for proposals.
    """
    d = rows.shape[1] - 1
    hyperplane: dict[tuple[int, ...], list[int]] = {}
    for i, row in enumerate(rows.tolist()):
        if any(row[:-1]):
            common = int(np.gcd.reduce(np.array(row, dtype=object)))
            hyperplane.setdefault(tuple(e // common for e in row), []).append(i)
    groups = [np.array(g) for g in hyperplane.values()]
    distinct = np.array(list(hyperplane), dtype=object).reshape(len(groups), d + 1)
    basis, lines = _span(distinct[:, :-1], d)
    # On the span of the normals, x = s · basis, the polyhedron has a vertex.
    flat = np.concatenate([distinct[:, :-1] @ basis.T, distinct[:, -1:]], 1) if len(distinct) else distinct[:, d:]
    proposed = _proposed(flat, center, basis) if len(basis) > 1 else np.arange(len(flat))
    ends, tight, facet = _described(flat, proposed)
    moved = np.concatenate([ends[:, :-1] @ basis, ends[:, -1:]], 1)
    return SmallFaces(
        np.array([groups[i][0] for i in facet], dtype=np.int64), tuple(groups[i] for i in facet), moved, tight[facet], lines
    )


def _span(normals: np.ndarray, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Integer bases of the span of the normals and of its complement."""
    if not len(normals):
        return np.zeros((0, d), dtype=object), np.eye(d, dtype=np.int64).astype(object)
    reduced, _, pivots = echelon(normals)
    if len(pivots) == d:
        return np.eye(d, dtype=np.int64).astype(object), np.zeros((0, d), dtype=object)
    return reduced, kernel(normals)


def _proposed(flat: np.ndarray, center: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Rows that are probably facets: the vertices of the hull of the polar points a/⟨slack⟩ and 0."""
    k = flat.shape[1] - 1
    largest = np.array([float(max(abs(e) for e in row)) if max(map(abs, row)) < 1 << 1000 else np.inf for row in flat.tolist()])
    if not np.isfinite(largest).all():
        return np.arange(len(flat))
    floats = np.array([[e / m for e in row] for row, m in zip(flat.tolist(), map(int, largest.tolist()), strict=True)], float)
    inner = center if len(basis) == len(center) else np.linalg.lstsq(basis.astype(float).T, center, rcond=None)[0]
    slack = -(floats[:, :k] @ inner + floats[:, k])
    if not (slack > 0).all() or len(flat) < k + 1:
        return np.arange(len(flat))
    polar = floats[:, :k] / slack[:, None]
    try:
        hull = ConvexHull(np.concatenate([polar / np.abs(polar).max(0, initial=1e-300), np.zeros((1, k))]))
    except QhullError:
        return np.arange(len(flat))
    found = hull.vertices[hull.vertices < len(flat)]
    return found if rank(flat[found, :k]) == k else np.arange(len(flat))


def _described(flat: np.ndarray, proposed: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Vertices and rays of {s : flat (s, 1) ≤ 0}, which of them lie on which rows, and the rows that are facets."""
    k = flat.shape[1] - 1
    far = np.array([[0] * k + [1]], dtype=object)
    chosen = list(map(int, proposed))
    while True:
        ends = extreme_rays(np.concatenate([far, -flat[chosen]])) if k else np.array([[1]], dtype=object)
        values = flat @ ends.T
        if not (cut := sorted(set(np.flatnonzero((values > 0).any(1)).tolist()))):
            break
        chosen += cut
    tight = np.asarray(values == 0, bool).reshape(len(flat), len(ends))
    facet = [i for i in range(len(flat)) if tight[i].sum() >= k and (tight[i] & (ends[:, -1] > 0)).any()]
    return ends, tight, [i for i in facet if rank(ends[tight[i]]) == k]


def _middle(ends: np.ndarray) -> RationalArray:
    """The mean of vertices plus the sum of rays of length about 1."""
    points = ends[ends[:, -1] > 0]
    common = math.lcm(*points[:, -1].tolist())
    total = (points[:, :-1] * (common // points[:, -1])[:, None]).sum(0)
    mean = RationalArray(compact(total[None]), common * len(points))
    rays = [r[:-1] for r in ends if r[-1] == 0]
    if not rays:
        return mean.reduced()
    shortened = [from_fractions([int(e) for e in r], r.shape).numerators.astype(object) for r in rays]
    scale = [max(1, max(abs(int(e)) for e in r)) for r in shortened]
    denominator = math.lcm(mean.denominator, *scale)
    top = mean.numerators_over(denominator).astype(object)
    for r, size in zip(shortened, scale, strict=True):
        top = top + (r * (denominator // size))[None]
    return RationalArray(compact(top), denominator).reduced()
