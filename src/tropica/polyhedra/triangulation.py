"""Regular triangulations: Qhull proposes, exact signs verify.

A proposal is a list of simplices. It triangulates the upper hull of the lifted points if

1. every simplex has positive volume (in projection);
2. every ridge (face of codimension one) is in two simplices on opposite sides of it, each on or below the other's hyperplane;
   or in one simplex, with all vertices on its side;
3. some point in general position is in exactly one simplex;
4. every other point is in a simplex and not above it.

By 2, the number of simplices over a point is constant on the convex hull of the vertices, and by 3 it is one. A function that
is concave across each ridge is concave, and by 4 no point is above it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import ConvexHull, KDTree, QhullError

from tropica.exact.determinants import cofactors
from tropica.exact.rational_arrays import compact
from tropica.polyhedra.predicates import IntegerPoints, spread_out

JOGGLES = (0.0, 1e-10, 1e-7, 1e-5, 1e-9, 1e-6)
"""Sizes of the random perturbations of the heights that Qhull is tried with, in order, relative to the heights' spread."""
APEX_DEPTH = 8.0
"""The depth below the lifted points of the apex that makes their hull full-dimensional, in units of the heights' spread."""
MAX_PAIRS = 1 << 20
"""Pairs of a ridge and a point compared at once."""
MAX_STEPS = 10_000
"""Largest number of exact steps of a visibility walk from simplex to simplex."""


@dataclass(frozen=True, eq=False)
class Triangulation:
    """A certified regular triangulation of points in dimension k.

    Attributes:
        simplices: (F, k + 1) indices, with positive orientation in projection.
        neighbors: (F, k + 1) the simplex across the ridge opposite to each corner, −1 at the boundary.
        coplanar: (F, k + 1) whether the neighbor lies in the same hyperplane.
        inside: (J,) the points on the hull that are not corners; all remaining points lie below the hull.
        where: (J,) a simplex that contains each of these points in projection.
    """

    simplices: np.ndarray
    neighbors: np.ndarray
    coplanar: np.ndarray
    inside: np.ndarray
    where: np.ndarray


class Unverified(Exception):
    """A proposal that fails a check."""


def propose(points: IntegerPoints) -> Triangulation | None:
    """A certified triangulation of the upper hull; None where no proposal passes the checks."""
    for joggle in JOGGLES:
        try:
            return triangulate(points, joggle=joggle)
        except Unverified:
            continue
    return None


def triangulate(points: IntegerPoints, *, joggle: float = 0.0) -> Triangulation:
    """Triangulate the upper hull of lifted points whose projections span k ≥ 1 dimensions, and certify it.

    Args:
        joggle: the size of random perturbations of the heights for Qhull, relative to the heights' spread.

    Raises:
        Unverified: the proposal fails a check.
    """
    k = points.width - 1
    simplices = _oriented(points, _proposal(points, joggle), k)
    neighbors, opposite = _neighbors(simplices)
    coplanar = _check_ridges(points, simplices, neighbors, opposite)
    _check_border(points, simplices, neighbors)
    _check_once(points, simplices)
    inside, where = _check_rest(points, simplices, neighbors)
    return Triangulation(simplices, neighbors, coplanar, inside, where)


# ── the proposal ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _proposal(points: IntegerPoints, joggle: float) -> np.ndarray:
    """The simplices (F, k + 1) that Qhull finds on the upper hull."""
    if points.n == points.width:
        return np.arange(points.n)[None]
    try:
        return _upper_simplices(points, joggle)
    except np.linalg.LinAlgError as error:
        raise Unverified(str(error)) from None


def _upper_simplices(points: IntegerPoints, joggle: float) -> np.ndarray:
    x, heights = _whitened(points.floats[:, :-1]), points.floats[:, -1]
    scale = np.abs(heights).max()
    heights = _detrended(x, heights)
    if np.ptp(heights) <= 1e-5 * scale:
        heights = _detrended(x, _above_plane(points))
    if not heights.any():
        heights = -(x * x).sum(1)  # all points are in one hyperplane: any triangulation is regular
    spread = np.ptp(heights)
    if spread <= 1e-12:
        heights, spread = np.zeros(len(x)), 1.0
    heights = heights / spread
    if joggle:
        heights = heights + joggle * np.random.default_rng(0).random(len(heights))
    lifted = np.concatenate([x, heights[:, None]], 1)
    below = np.append(x.mean(0), heights.min() - APEX_DEPTH)
    try:
        hull = ConvexHull(np.concatenate([lifted, below[None]]), qhull_options="Qt" if len(x[0]) < 4 else "Qt Qx")
    except (QhullError, ValueError) as error:
        raise Unverified(str(error)) from None
    upper = (hull.equations[:, -2] > 0) & (hull.simplices < len(x)).all(1)
    return hull.simplices[upper].astype(np.int64)


def _detrended(x: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """Heights minus the affine function of x that fits them best: the upper hull keeps its faces."""
    ones = np.concatenate([x, np.ones((len(x), 1))], 1)
    return heights - ones @ np.linalg.lstsq(ones, heights, rcond=None)[0]


def _above_plane(points: IntegerPoints) -> np.ndarray:
    """Heights above a hyperplane through k + 1 of the points, computed exactly and then rounded, for nearly coplanar points."""
    chosen = spread_out(points.floats[:, :-1])
    if len(chosen) < points.width:
        return np.zeros(points.n)
    whole = points.integers.astype(object)
    normal = cofactors((whole[chosen[1:]] - whole[chosen[0]])[None], signed=True)[0]
    if normal[-1] == 0:
        return np.zeros(points.n)
    above = (whole - whole[chosen[0]]) @ (normal if normal[-1] > 0 else -normal)
    largest = max(max(above), -min(above))
    return np.array([e / largest for e in above.tolist()]) if largest else np.zeros(points.n)


def _whitened(x: np.ndarray) -> np.ndarray:
    """An affine image with equal spread in all directions."""
    x = x / np.maximum(np.ptp(x, 0), 1e-300)
    x = x - x.mean(0)
    _, spread, axes = np.linalg.svd(x, full_matrices=False)
    if spread[-1] <= 1e-12 * spread[0]:
        return x
    white = x @ (axes.T / spread)
    return white / np.abs(white).max()


def _oriented(points: IntegerPoints, simplices: np.ndarray, k: int) -> np.ndarray:
    """The simplices with nonzero volume, reordered to positive orientation."""
    sign = points.orientation(simplices, k)
    simplices, sign = simplices[sign != 0], sign[sign != 0]
    if not len(simplices):
        raise Unverified("no simplex with nonzero volume")
    simplices[sign < 0, :2] = simplices[sign < 0, 1::-1]
    return simplices


# ── the checks ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _neighbors(simplices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The simplex across each ridge and its corner that is not on the ridge, both (F, k + 1); −1 where there is none."""
    count, corners = simplices.shape
    ridges = np.stack([np.delete(simplices, i, axis=1) for i in range(corners)], 1).reshape(count * corners, corners - 1)
    ridges.sort(axis=1)
    order = np.lexsort(ridges.T[::-1]) if corners > 1 else np.arange(count)
    same = (ridges[order[1:]] == ridges[order[:-1]]).all(1)
    if (same[1:] & same[:-1]).any():
        raise Unverified("a ridge in three simplices")
    a, b = order[:-1][same], order[1:][same]
    neighbors, opposite = np.full(count * corners, -1), np.full(count * corners, -1)
    neighbors[a], neighbors[b] = b // corners, a // corners
    corner = simplices.ravel()
    opposite[a], opposite[b] = corner[b], corner[a]
    return neighbors.reshape(count, corners), opposite.reshape(count, corners)


def _check_ridges(points: IntegerPoints, simplices: np.ndarray, neighbors: np.ndarray, opposite: np.ndarray) -> np.ndarray:
    """Condition 2 for inner ridges; whether the simplices on both sides are coplanar (F, k + 1)."""
    k = simplices.shape[1] - 1
    f, i = np.nonzero(neighbors >= 0)
    once = f < neighbors[f, i]
    f, i = f[once], i[once]
    other = opposite[f, i]
    replaced = simplices[f].copy()
    replaced[np.arange(len(f)), i] = other
    if (points.orientation(replaced, k) >= 0).any():
        raise Unverified("two simplices on one side of their ridge")
    lifted = points.orientation(np.concatenate([simplices[f], other[:, None]], 1), k + 1)
    if (lifted > 0).any():
        raise Unverified("a ridge that is not concave")
    coplanar = np.zeros(simplices.shape, bool)
    level = lifted == 0
    f, i = f[level], i[level]
    coplanar[f, i] = True
    back = (neighbors[neighbors[f, i]] == f[:, None]).argmax(1)
    coplanar[neighbors[f, i], back] = True
    return coplanar


def _check_border(points: IntegerPoints, simplices: np.ndarray, neighbors: np.ndarray) -> None:
    """Condition 2 for outer ridges."""
    f, i = np.nonzero(neighbors < 0)
    # The last corner replaces the omitted one: an odd permutation, unless the omitted corner is the last.
    ridges, rows = simplices[f].copy(), np.arange(len(f))
    ridges[rows, i] = ridges[:, -1]
    sign = np.where(i == simplices.shape[1] - 1, 1, -1).astype(np.int8)
    used = np.unique(simplices)
    step = max(1, MAX_PAIRS // len(used))
    for start in range(0, len(ridges), step):
        sides = points.sides(ridges[start : start + step, :-1], used)
        if (sides == -sign[start : start + step, None]).any():
            raise Unverified("a point beyond the boundary")


def _check_once(points: IntegerPoints, simplices: np.ndarray) -> None:
    """Condition 3: a point inside the first simplex is in no other."""
    k = simplices.shape[1] - 1
    first, total = simplices[0], 1 << 12
    corners = points.floats[simplices, :k]
    # Only simplices whose bounding box may contain the point; the margin is far above the one rounding of each float.
    margin = 2.0**-40 * np.abs(points.floats[:, :k]).max(0)
    low, high = corners.min(1) - margin, corners.max(1) + margin
    random = np.random.default_rng(0)
    for _ in range(20):
        weights = random.integers(1, 1 << 8, k + 1)
        weights[0] += total - weights.sum()
        query = weights @ points.floats[first, :k] / total
        near = simplices[((low <= query) & (high >= query)).all(1)]
        used, number = np.unique(near, return_inverse=True)
        exact = (points.integers[first].astype(object) * weights.astype(object)[:, None]).sum(0)
        scaled = np.concatenate([points.integers[used].astype(object) * total, exact[None]])
        both = IntegerPoints([compact(c) for c in scaled.T])
        signs = barycentric_signs(both, number.reshape(near.shape), np.full(len(near), len(used)))
        over = (signs >= 0).all(1)
        if (signs[over] == 0).any():
            continue
        if over.sum() != 1:
            raise Unverified("simplices overlap")
        return
    raise Unverified("no point in general position was found")


def barycentric_signs(points: IntegerPoints, simplices: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """The signs (B, k + 1) of the barycentric coordinates of one point (B,) in each positive simplex (B, k + 1)."""
    k = simplices.shape[1] - 1
    replaced = np.repeat(simplices[:, None, :], k + 1, axis=1)
    i = np.arange(k + 1)
    replaced[:, i, i] = queries[:, None]
    return points.orientation(replaced.reshape(-1, k + 1), k).reshape(-1, k + 1)


def _check_rest(points: IntegerPoints, simplices: np.ndarray, neighbors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Condition 4: the other points on the hull, and a simplex that contains each."""
    k = simplices.shape[1] - 1
    corner = np.zeros(points.n, bool)
    corner[simplices] = True
    rest = np.flatnonzero(~corner)
    if not len(rest):
        return rest, rest
    where = _locate(points, simplices, neighbors, rest)
    open_ = np.arange(len(rest))
    for _ in range(MAX_STEPS):  # few steps: floating point has already found almost every simplex
        signs = barycentric_signs(points, simplices[where[open_]], rest[open_])
        out = (signs < 0).any(1)
        open_, signs = open_[out], signs[out]
        if not len(open_):
            break
        where[open_] = neighbors[where[open_], (signs < 0).argmax(1)]
        if (where[open_] < 0).any():
            raise Unverified("a point outside of all simplices")
    else:
        raise Unverified("a point was not found in any simplex")
    above = points.orientation(np.concatenate([simplices[where], rest[:, None]], 1), k + 1)
    if (above > 0).any():
        raise Unverified("a point above the hull")
    return rest[above == 0], where[above == 0]


def _locate(points: IntegerPoints, simplices: np.ndarray, neighbors: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """A simplex that contains each point, up to rounding.

    A visibility walk starts at the nearest corner and crosses the ridge that the point is farthest beyond.
    """
    x = points.floats[:, :-1]
    corners = x[simplices]
    sides = corners[:, 1:] - corners[:, :1]
    inverse = _inverses(np.swapaxes(sides, 1, 2))
    start = np.empty(points.n, np.int64)
    start[simplices] = np.arange(len(simplices))[:, None]
    used = np.unique(simplices)
    scale = np.maximum(np.ptp(x[used], 0), 1e-300)
    where = start[used[KDTree(x[used] / scale).query(x[rest] / scale)[1]]]
    open_ = np.arange(len(rest))
    for _ in range(4 * len(simplices) + 4):
        f = where[open_]
        with np.errstate(over="ignore", invalid="ignore"):  # an inverse may overflow; exact signs correct the result
            inner = np.einsum("fij,fj->fi", inverse[f], x[rest[open_]] - corners[f, 0])
        weights = np.concatenate([1 - inner.sum(1, keepdims=True), inner], 1)
        worst = weights.argmin(1)
        onward = neighbors[f, worst]
        go = np.isfinite(weights).all(1) & (weights[np.arange(len(f)), worst] < -1e-9) & (onward >= 0)
        if not go.any():
            break
        open_, onward = open_[go], onward[go]
        where[open_] = onward
    return where


def _inverses(matrices: np.ndarray) -> np.ndarray:
    """The inverses (F, k, k), 0 where a matrix is singular in floating point: a simplex may have a volume that rounds to 0."""
    try:
        return np.linalg.inv(matrices)
    except np.linalg.LinAlgError:
        if len(matrices) == 1:
            return np.zeros_like(matrices)
        half = len(matrices) // 2
        return np.concatenate([_inverses(matrices[:half]), _inverses(matrices[half:])])
