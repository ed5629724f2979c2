"""Upper hulls of lifted integer points, and facets and vertices of convex hulls, exactly.

Qhull proposes a triangulation of an upper hull, and exact signs verify it (:mod:`tropica.polyhedra.triangulation`). Where no
proposal passes, gift wrapping finds the hull in integers alone. Gift wrapping needs the facets of each cell, a polytope of one
dimension less, and facets come from upper hulls: the functions here are mutually recursive, down to dimension 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from tropica.exact.determinants import bareiss
from tropica.exact.linear_algebra import echelon, kernel, rank
from tropica.exact.linear_programs import exceeds_upper_hull
from tropica.exact.rational_arrays import compact, primitive
from tropica.polyhedra.coplanar_cells import CoplanarCells
from tropica.polyhedra.integer_rows import highest_of_equal
from tropica.polyhedra.predicates import IntegerPoints
from tropica.polyhedra.triangulation import propose

MAX_HULL_WIDTH = 6
"""Number of coordinates, height included, up to which vertices come from the hull; beyond, the hull has too many faces."""


# ── upper hulls ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, eq=False)
class UpperFaces:
    """The upper faces of distinct points (n, k + 1) whose projections span k dimensions.

    Attributes:
        cells: the maximal upper faces: sorted indices of all points on each.
        vertices: sorted indices of the points with a hyperplane through them strictly above all others.
        spanning: (C, k + 1) affinely independent points of each cell.
    """

    cells: list[np.ndarray]
    vertices: np.ndarray
    spanning: np.ndarray


def upper_faces(points: IntegerPoints) -> UpperFaces:
    """The upper faces of lifted points that span k ≥ 0 dimensions."""
    if points.width == 1:
        return UpperFaces([np.arange(points.n)], np.arange(points.n), np.zeros((1, 1), np.int64))
    found = propose(points)
    if found is None:
        return _wrapped_faces(points)
    cells = CoplanarCells(points, found)
    first = np.unique(cells.cell_of, return_index=True)[1]
    return UpperFaces(cells.points_of_cells, cells.vertices, found.simplices[first])


def _wrapped_faces(points: IntegerPoints) -> UpperFaces:
    """The result of :func:`upper_faces`, by gift wrapping."""
    cells = gift_wrap(points)
    x = points.integers.astype(object)[:, :-1]
    vertices = {p for cell in cells for p in _cell_vertices(x, cell).tolist()}
    spanning = [_affinely_independent(x, cell) for cell in cells]
    return UpperFaces(cells, np.array(sorted(vertices), np.int64), np.array(spanning))


def upper_vertices(points: IntegerPoints) -> np.ndarray:
    """The vertices of :func:`upper_faces` without the cells: much faster in many dimensions."""
    if points.width == 1:
        return np.arange(points.n)
    if points.width > MAX_HULL_WIDTH:
        return vertices_by_linear_programs(points)
    found = propose(points)
    return _wrapped_faces(points).vertices if found is None else CoplanarCells(points, found).vertices


def vertices_by_linear_programs(points: IntegerPoints) -> np.ndarray:
    """The result of :func:`upper_vertices`, by a linear program with k + 1 variables and n − 1 rows for each point."""
    z, largest = points.integers.astype(object), np.abs(points.floats).argmax(0)
    scales = [Fraction(abs(int(column[i])) or 1) for column, i in zip(points.integers.T, largest.tolist(), strict=True)]
    scaled = points.floats / np.maximum(np.abs(points.floats).max(0), 1e-300)
    every = np.arange(points.n)
    others = ((i, np.delete(every, i)) for i in every.tolist())
    return np.flatnonzero([exceeds_upper_hull(z[j] - z[i], scaled[j] - scaled[i], scales) for i, j in others])


# ── convex hulls ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, eq=False)
class Facet:
    """{x : ⟨normal, x⟩ ≤ offset} contains the hull, with equality at ``points`` (sorted indices). The normal is primitive."""

    normal: np.ndarray
    offset: int
    points: np.ndarray


def facets(x: np.ndarray) -> list[Facet]:
    """The facets of the convex hull of integer points (n, k) that span k ≥ 1 dimensions; points may repeat.

    They are the upper facets, the lower facets, and the facets parallel to the last axis, from the projection along it.
    """
    x = x.astype(object)
    k = x.shape[1]
    if k == 1:
        return [_facet(x, np.array([sign], dtype=object), int(np.argmax(sign * x[:, 0]))) for sign in (1, -1)]
    if k == 2:
        return _polygon_edges(x)
    found: list[Facet] = []
    for sign in (1, -1):
        chosen, lifted = _lifted(x, sign)
        cells = [chosen[cell] for cell in upper_faces(lifted).cells]
        found += [_facet(x, sign * upward_normal(x, cell), int(cell[0])) for cell in cells]
    for wall in facets(x[:, :-1]):
        if rank(x[wall.points] - x[wall.points[:1]]) == k - 1:
            found.append(Facet(np.append(wall.normal, 0), wall.offset, wall.points))
    return found


def hull_vertices(x: np.ndarray) -> np.ndarray:
    """The vertices of the convex hull of distinct integer points (n, k) that span k dimensions: sorted indices.

    A vertex is the unique maximum of some linear function with nonzero last coefficient, so it is an upper or a lower vertex.
    """
    if x.shape[1] == 0:
        return np.arange(1)
    above, below = (_lifted(x.astype(object), sign) for sign in (1, -1))
    return np.unique(np.concatenate([chosen[upper_vertices(lifted)] for chosen, lifted in (above, below)]))


def _lifted(x: np.ndarray, sign: int) -> tuple[np.ndarray, IntegerPoints]:
    """The indices of the highest points over the first k − 1 coordinates, and these points; heights are sign times the last."""
    chosen = highest_of_equal(x[:, :-1], sign * x[:, -1])
    return chosen, IntegerPoints([*(compact(column) for column in x[chosen, :-1].T), compact(sign * x[chosen, -1])])


def _polygon_edges(x: np.ndarray) -> list[Facet]:
    """The edges of a polygon, by Andrew's monotone chain."""
    corners = hull_ring(x)
    found = []
    for a, b in zip(corners, corners[1:] + corners[:1], strict=True):
        normal = primitive(np.array([b[1] - a[1], a[0] - b[0]], dtype=object))
        offset = int(normal @ np.array(a, dtype=object))
        found.append(Facet(normal, offset, np.flatnonzero(x @ normal == offset)))
    return found


def hull_ring(x: np.ndarray) -> list[tuple[int, int]]:
    """The corners of the convex hull of integer points (n, 2), counterclockwise; fewer than three where it has no area."""
    order = sorted({(int(a), int(b)) for a, b in x.tolist()})
    return _chain(order)[:-1] + _chain(order[::-1])[:-1]


def _chain(points: list[tuple[int, int]]) -> list[tuple[int, int]]:
    out: list[tuple[int, int]] = []
    for p in points:
        while len(out) > 1 and _cross(out[-2], out[-1], p) <= 0:
            out.pop()
        out.append(p)
    return out


def _cross(a: tuple[int, int], b: tuple[int, int], c: tuple[int, int]) -> int:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _facet(x: np.ndarray, normal: np.ndarray, on: int) -> Facet:
    offset = int(normal @ x[on])
    return Facet(normal, offset, np.flatnonzero(x @ normal == offset))


# ── gift wrapping ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def gift_wrap(points: IntegerPoints) -> list[np.ndarray]:
    """The cells of :func:`upper_faces`, found from cell to cell across ridges, in integers only."""
    z = points.integers.astype(object)
    k = z.shape[1] - 1
    first = _first_cell(z)
    found = {tuple(first.tolist()): first}
    queue = [first]
    seen: set[tuple[int, ...]] = set()
    while queue:
        cell = queue.pop()
        gaps = _gaps(z, upward_normal(z, cell), cell[0])
        for ridge, normal in cell_ridges(z[:, :k], cell):
            key = tuple(ridge.tolist())
            if key in seen:
                continue
            seen.add(key)
            following = _turn(gaps, (z[:, :k] - z[ridge[0], :k]) @ normal)
            if following is not None and tuple(following.tolist()) not in found:
                found[tuple(following.tolist())] = following
                queue.append(following)
    return list(found.values())


def cell_ridges(x: np.ndarray, cell: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """The facets of a cell (indices of points that span the k dimensions of x): the points on each, and an outward normal."""
    if len(cell) > x.shape[1] + 1:
        return [(cell[f.points], f.normal) for f in facets(x[cell])]
    ridges = [np.delete(cell, i) for i in range(len(cell))]
    normals = [normal_of(x[ridge]) for ridge in ridges]
    outward = [-n if n @ (x[v] - x[r[0]]) > 0 else n for n, r, v in zip(normals, ridges, cell, strict=True)]
    return list(zip(ridges, outward, strict=True))


def _cell_vertices(x: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """The vertices of a cell (indices of points that span the k dimensions of x)."""
    k = x.shape[1]
    if len(cell) == k + 1:
        return cell
    through: dict[int, list[np.ndarray]] = {}
    for ridge, normal in cell_ridges(x, cell):
        for p in ridge.tolist():
            through.setdefault(p, []).append(normal)
    return np.array(sorted(p for p, normals in through.items() if rank(np.stack(normals)) == k), np.int64)


def normal_of(corners: np.ndarray) -> np.ndarray:
    """A normal (k,) of the hyperplane through k affinely independent integer points (k, k), primitive."""
    sides = corners[1:] - corners[:1]
    k = corners.shape[1]
    minors = bareiss(np.stack([np.delete(sides, c, axis=1) for c in range(k)])) if k > 1 else np.array([1], dtype=object)
    signs = np.array([-1 if (k - 1 + c) % 2 else 1 for c in range(k)], dtype=object)
    return primitive(signs * minors)


def upward_normal(z: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """The normal (k + 1,) of a cell of lifted points (indices), primitive, its last entry positive."""
    normal = normal_of(z[_affinely_independent(z[:, :-1], cell)])
    return normal if normal[-1] > 0 else -normal


def _affinely_independent(x: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Affinely independent points of a cell (indices) with the same affine hull."""
    return np.append(cell[:1], cell[echelon(x[cell] - x[cell[:1]])[1]])


def _gaps(z: np.ndarray, normal: np.ndarray, on: int) -> np.ndarray:
    """The distances (n,) ≥ 0 of all points below a hyperplane through one of them, in units of its normal."""
    return -((z - z[on]) @ normal)


def _turn(gaps: np.ndarray, ahead: np.ndarray) -> np.ndarray | None:
    """Turn a hyperplane about a ridge until it meets more points.

    Args:
        gaps: (n,) of all points below the hyperplane.
        ahead: (n,) distances beyond the ridge.

    Returns:
        Indices of all points on the new hyperplane; None at the boundary, where no point is beyond the ridge.
    """
    beyond = np.flatnonzero(ahead > 0)
    if not len(beyond):
        return None
    best = beyond[0]
    for j in beyond[1:]:
        if gaps[j] * ahead[best] < gaps[best] * ahead[j]:
            best = j
    return np.flatnonzero(gaps * ahead[best] - ahead * gaps[best] == 0)


def _first_cell(z: np.ndarray) -> np.ndarray:
    """A first cell: a hyperplane through the highest points is turned until its points span k dimensions."""
    k = z.shape[1] - 1
    normal = np.array([0] * k + [1], dtype=object)
    cell = np.flatnonzero(z[:, -1] == max(z[:, -1]))
    while True:
        across = kernel(z[cell, :k] - z[cell[:1], :k])
        if not len(across):
            return cell
        ahead = (z[:, :k] - z[cell[0], :k]) @ across[0]
        direction, ahead = (across[0], ahead) if (ahead > 0).any() else (-across[0], -ahead)
        gaps = _gaps(z, normal, cell[0])
        following = _turn(gaps, ahead)
        assert following is not None  # the points span k dimensions
        new = next(int(j) for j in following if ahead[j] > 0)
        # normal + t · direction, with t = gap / ahead at the new point
        normal = primitive(np.append(normal[:k] * ahead[new] + direction * gaps[new], normal[k] * ahead[new]))
        cell = following
