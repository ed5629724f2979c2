"""The facets of a convex hull, exactly: upper ones, lower ones, and those between, dimension by dimension."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tropica.exact.linear_algebra import echelon, rank
from tropica.exact.rational_arrays import compact
from tropica.polyhedra.configuration import row_numbers
from tropica.polyhedra.predicates import Points
from tropica.polyhedra.upper import upper_cells, upper_vertices
from tropica.polyhedra.wrapping import plane_through


@dataclass(frozen=True, eq=False)
class Facet:
    """{x : ⟨normal, x⟩ ≤ offset} holds the hull, with equality at ``points`` (sorted indices); integers, normal primitive."""

    normal: np.ndarray
    offset: int
    points: np.ndarray


def facets(x: np.ndarray) -> list[Facet]:
    """Of integer points (n, k) that span k ≥ 1 dimensions; points may repeat."""
    x = x.astype(object)
    k = x.shape[1]
    if k == 1:
        low, high = min(x[:, 0]), max(x[:, 0])
        one = np.array([1], dtype=object)
        return [Facet(one, high, np.flatnonzero(x[:, 0] == high)), Facet(-one, -low, np.flatnonzero(x[:, 0] == low))]
    if k == 2:
        return _edges(x)
    found: list[Facet] = []
    for sign in (1, -1):
        best, lifted = _above(x, sign)
        found += [_facet(x, best[cell], sign) for cell in upper_cells(lifted)]
    for wall in facets(x[:, :-1]):
        if rank(x[wall.points] - x[wall.points[:1]]) == k - 1:
            found.append(Facet(np.append(wall.normal, 0), wall.offset, wall.points))
    return found


def extreme(x: np.ndarray) -> np.ndarray:
    """The vertices of the convex hull of integer points (n, k), all different, that span k dimensions: sorted indices.

    A vertex is alone the maximum of some linear function, even of one whose last coefficient is not 0: on top or at the bottom.
    """
    if x.shape[1] == 0:
        return np.arange(1)
    chosen = []
    for sign in (1, -1):
        best, lifted = _above(x.astype(object), sign)
        chosen.append(best[upper_vertices(lifted)])
    return np.unique(np.concatenate(chosen))


def _above(x: np.ndarray, sign: int) -> tuple[np.ndarray, Points]:
    """The highest point over each place of the first k − 1 coordinates (the last, times a sign, is the height)."""
    number, count = row_numbers(x[:, :-1])
    best = _best(number, count, sign * x[:, -1])
    return best, Points([compact(x[best, j]) for j in range(x.shape[1] - 1)] + [compact(sign * x[best, -1])])


def _edges(x: np.ndarray) -> list[Facet]:
    """The edges of a polygon, by Andrew's monotone chain."""
    listed = [(int(a), int(b)) for a, b in x.tolist()]
    order = sorted(set(listed))

    def chain(points: list[tuple[int, int]]) -> list[tuple[int, int]]:
        out: list[tuple[int, int]] = []
        for p in points:
            while len(out) > 1 and _turn(out[-2], out[-1], p) <= 0:
                out.pop()
            out.append(p)
        return out

    corners = chain(order)[:-1] + chain(order[::-1])[:-1]  # counterclockwise
    found = []
    for a, b in zip(corners, corners[1:] + corners[:1], strict=True):
        divisor = math.gcd(b[1] - a[1], a[0] - b[0])
        n = ((b[1] - a[1]) // divisor, (a[0] - b[0]) // divisor)
        offset = n[0] * a[0] + n[1] * a[1]
        on = [i for i, p in enumerate(listed) if n[0] * p[0] + n[1] * p[1] == offset]
        found.append(Facet(np.array(n, dtype=object), offset, np.array(on)))
    return found


def _turn(a: tuple[int, int], b: tuple[int, int], c: tuple[int, int]) -> int:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _best(number: np.ndarray, count: int, heights: np.ndarray) -> np.ndarray:
    """The highest point over each place."""
    best = np.full(count, -1)
    for i, c in enumerate(number.tolist()):
        if best[c] < 0 or heights[i] > heights[best[c]]:
            best[c] = i
    return best


def _facet(x: np.ndarray, cell: np.ndarray, sign: int) -> Facet:
    _, rows, _ = echelon(x[cell, :-1] - x[cell[:1], :-1])
    normal = plane_through(x[np.concatenate([cell[:1], cell[rows]])])
    if normal[-1] * sign < 0:
        normal = -normal
    offset = int(normal @ x[cell[0]])
    return Facet(normal, offset, np.flatnonzero(x @ normal == offset))
