"""Upper hulls by gift wrapping, in integers only: slow, right for any input; for where Qhull's proposal does not pass."""

from __future__ import annotations

import numpy as np

from tropica.exact.determinants import bareiss
from tropica.exact.linear_algebra import echelon, kernel
from tropica.exact.rational_arrays import primitive
from tropica.polyhedra.predicates import Points


def wrap(points: Points) -> list[np.ndarray]:
    """The maximal upper faces of lifted points that span k dimensions: for each, the sorted indices of all points on it."""
    z = points.whole.astype(object)
    k = z.shape[1] - 1
    first = _first_cell(z, k)
    found = {tuple(first.tolist()): first}
    queue = [first]
    seen: set[tuple[int, ...]] = set()
    while queue:
        cell = queue.pop()
        plane = _hyperplane(z, cell, k)
        gaps = _gaps(z, plane, cell[0])
        for ridge, normal in cell_ridges(z[:, :k], cell):
            key = tuple(ridge.tolist())
            if key in seen:
                continue
            seen.add(key)
            following = _pivot(z, gaps, normal, ridge[0], k)
            if following is not None and tuple(following.tolist()) not in found:
                found[tuple(following.tolist())] = following
                queue.append(following)
    return list(found.values())


def cell_ridges(x: np.ndarray, cell: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """The facets of a cell (indices of points that span x's k dimensions): the points on each (sorted), an outward normal."""
    from tropica.polyhedra.facets import facets  # each dimension is done by the one below it

    k = x.shape[1]
    if len(cell) == k + 1:
        ridges = [np.delete(cell, i) for i in range(k + 1)]
        return [(r, _outward(x, r, int(v))) for r, v in zip(ridges, cell, strict=True)]
    return [(cell[f.points], f.normal) for f in facets(x[cell])]


def _outward(x: np.ndarray, ridge: np.ndarray, inside: int) -> np.ndarray:
    normal = plane_through(x[ridge])
    return -normal if normal @ (x[inside] - x[ridge[0]]) > 0 else normal


def plane_through(corners: np.ndarray) -> np.ndarray:
    """A normal (k,) of the hyperplane through k affinely independent integer points (k, k), primitive."""
    sides = corners[1:] - corners[:1]
    k = corners.shape[1]
    minors = bareiss(np.stack([np.delete(sides, c, axis=1) for c in range(k)])) if k > 1 else np.array([1], dtype=object)
    normal = np.array([-m if (k - 1 + c) % 2 else m for c, m in enumerate(minors.tolist())], dtype=object)
    return primitive(normal)


def _hyperplane(z: np.ndarray, cell: np.ndarray, k: int) -> np.ndarray:
    """The normal (k + 1,) of a cell, its last entry positive."""
    _, rows, _ = echelon(z[cell, :k] - z[cell[:1], :k])
    corners = z[np.concatenate([cell[:1], cell[rows]])]
    normal = plane_through(corners)
    return normal if normal[-1] > 0 else -normal


def _gaps(z: np.ndarray, normal: np.ndarray, on: int) -> np.ndarray:
    """How far below a hyperplane each point is: ≥ 0."""
    return -((z - z[on]) @ normal)


def _pivot(z: np.ndarray, gaps: np.ndarray, normal: np.ndarray, on: int, k: int) -> np.ndarray | None:
    """Turn the hyperplane about a ridge until it meets more points: all points on it then; None at the border."""
    ahead = (z[:, :k] - z[on, :k]) @ normal
    beyond = np.flatnonzero(ahead > 0)
    if not len(beyond):
        return None
    best = beyond[0]
    for j in beyond[1:]:
        if gaps[j] * ahead[best] < gaps[best] * ahead[j]:
            best = j
    return np.flatnonzero(gaps * ahead[best] - ahead * gaps[best] == 0)


def _first_cell(z: np.ndarray, k: int) -> np.ndarray:
    """From the highest points on, turned until k dimensions are spanned."""
    heights = z[:, -1]
    normal = np.array([0] * k + [1], dtype=object)
    top = int(max(range(len(z)), key=lambda i: heights[i]))
    cell = np.flatnonzero(heights == heights[top])
    while True:
        across = kernel(z[cell, :k] - z[cell[:1], :k])
        if not len(across):
            return cell
        turn = across[0]
        ahead = (z[:, :k] - z[cell[0], :k]) @ turn
        turn = turn if (ahead > 0).any() else -turn
        gaps = _gaps(z, normal, cell[0])
        ahead = (z[:, :k] - z[cell[0], :k]) @ turn
        following = _pivot(z, gaps, turn, cell[0], k)
        assert following is not None  # the points span k dimensions
        new = next(int(j) for j in following if ahead[j] > 0)
        # N + t·turn with t = gap / ahead of a point met
        normal = primitive(np.append(normal[:k] * ahead[new] + turn * gaps[new], normal[k] * ahead[new]))
        cell = following
